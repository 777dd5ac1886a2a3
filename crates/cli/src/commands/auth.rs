//! `codetether auth …`: the keys of providers: kept, forgotten, and where each is. Never shows one, and never takes
//! one from the command line, where others could read it.

use std::io::{BufRead as _, IsTerminal as _, Read as _};

use clap::Subcommand;
use codetether_config::{Layer, Settings};
use codetether_keys::{KeyError, Keys, LONGEST, Place, Source, Wanted, is_name};
use codetether_secret::Secret;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::models::{self, Endpoint};
use crate::trust::Project;
use crate::{keys, printer, settings};

#[derive(Debug, Subcommand)]
pub(crate) enum AuthCommand {
    /// Keep a provider's key: in the keyring where there is one, else in a file that only you can read.
    ///
    /// The key is asked for at the terminal and not shown.
    Login {
        /// The provider, such as `openai`.
        provider: String,
        /// Read the key from standard input.
        #[arg(long)]
        stdin: bool,
    },
    /// Forget a provider's key, in the keyring and in the file.
    Logout {
        /// The provider.
        provider: String,
    },
    /// Say where each provider's key is, and which one is used.
    Status {
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        Self::new(Exit::Failed, error.to_string())
    }
}

pub(crate) fn run(command: AuthCommand) -> Result<Exit, Failure> {
    // A project says nothing about keys, so it is the user's settings that count here, in whatever folder.
    let project = Project::at(&super::super::run::folder(None)?);
    let settings = settings::load(&project, Vec::new(), Layer::default())?;
    let keys = keys::of(&settings);
    match command {
        AuthCommand::Login { provider, stdin } => login(&settings, keys, &provider, stdin),
        AuthCommand::Logout { provider } => logout(keys, &provider),
        AuthCommand::Status { json } => status(&settings, keys, json),
    }
}

fn login(settings: &Settings, keys: &Keys, provider: &str, stdin: bool) -> Result<Exit, Failure> {
    let endpoint = models::endpoints(settings).into_iter().find(|endpoint| endpoint.name == provider);
    let Some(endpoint) = endpoint else { return Err(models::no_provider(settings, provider)) };
    if !is_name(provider) {
        return Err(Failure::new(Exit::Usage, KeyError::Name(provider.to_owned()).to_string()));
    }
    let key = if stdin { piped()? } else { typed(provider)? };
    keys::redactor().learn([key.clone()]);
    let file = keys.file();
    // A server on this machine is not worth a question of the keyring's, so its key is looked for in the file.
    let is_local = endpoint.place == Place::Local;
    let place = if !is_local && keys.keyring().is_there() {
        match keys.keyring().set(provider, &key) {
            Ok(()) => {
                // What is kept twice is forgotten once.
                if let Some(file) = file {
                    file.remove(provider)?;
                }
                Some("the keyring".to_owned())
            }
            Err(error) => {
                printer::err(&format!("note: {error}\n"));
                None
            }
        }
    } else {
        None
    };
    let place = match (place, file) {
        (Some(place), _) => place,
        (None, Some(file)) => {
            file.set(provider, &key)?;
            format!("`{}`, which only you can read", file.path().display())
        }
        (None, None) => {
            return Err(Failure::with_help(
                Exit::Failed,
                "there is no place for the key: no keyring, and neither `HOME` nor `XDG_DATA_HOME` is set",
                "set `HOME` to your home folder",
            ));
        }
    };
    printer::out(&format!("the key of `{provider}` is in {place}\n"))?;
    if let Some(name) = endpoint.variable
        && keys::variable(&name).is_some()
    {
        printer::err(&format!("note: `{name}` is set and outranks it\n"));
    }
    Ok(Exit::Done)
}

fn logout(keys: &Keys, provider: &str) -> Result<Exit, Failure> {
    let from_file = keys.file().map(|file| file.remove(provider)).transpose()?.unwrap_or(false);
    let from_keyring = keys.keyring().remove(provider)?;
    let places: Vec<&str> = [(from_keyring, "the keyring"), (from_file, "the file")]
        .into_iter()
        .filter(|(was, _)| *was)
        .map(|(_, name)| name)
        .collect();
    if places.is_empty() {
        return Err(Failure::with_help(
            Exit::Failed,
            format!("no key of `{provider}` is kept here"),
            "`codetether auth status` shows where keys are",
        ));
    }
    printer::out(&format!("the key of `{provider}` is gone from {}\n", places.join(" and ")))?;
    Ok(Exit::Done)
}

fn status(settings: &Settings, keys: &Keys, as_json: bool) -> Result<Exit, Failure> {
    let endpoints = models::endpoints(settings);
    let wanted: Vec<Wanted<'_>> = endpoints.iter().map(Endpoint::wanted).collect();
    for (endpoint, sources) in endpoints.iter().zip(keys.status(&wanted)) {
        // Of the many vendors, those that someone uses, and the best known.
        let silent = sources.iter().all(|(_, answer)| matches!(answer, Ok(false)));
        if silent && !endpoint.matters {
            continue;
        }
        let has = |answer: &Result<bool, String>| matches!(answer, Ok(true));
        let used = sources.iter().find(|(_, answer)| has(answer)).map(|(source, _)| *source);
        if as_json {
            let told: serde_json::Map<String, Value> = sources
                .iter()
                .map(|(source, answer)| {
                    let told = match answer {
                        Ok(has) => json!(has),
                        Err(problem) => json!({ "error": problem }),
                    };
                    (source.to_string(), told)
                })
                .collect();
            let used = used.map(Source::as_str);
            printer::out(&format!(
                "{}\n",
                json!({ "provider": endpoint.name, "used": used, "sources": told })
            ))?;
            continue;
        }
        let others: Vec<&str> = sources
            .iter()
            .filter(|(source, answer)| has(answer) && Some(*source) != used)
            .map(|(source, _)| source.as_str())
            .collect();
        let mut line =
            format!("{}: {}", printer::plain(&endpoint.name), used.map_or("no key", Source::as_str));
        if !others.is_empty() {
            line.push_str(&format!(" (also: {})", others.join(", ")));
        }
        for (source, answer) in &sources {
            if let Err(problem) = answer {
                line.push_str(&format!("\n  {source}: {}", printer::plain(problem)));
            }
        }
        line.push('\n');
        printer::out(&line)?;
    }
    Ok(Exit::Done)
}

/// The key from standard input, which holds nothing else.
fn piped() -> Result<Secret, Failure> {
    let mut text = String::new();
    let most = u64::try_from(LONGEST).unwrap_or(u64::MAX).saturating_add(1);
    std::io::stdin().lock().take(most).read_to_string(&mut text).map_err(|error| {
        Failure::new(Exit::Usage, format!("cannot read the key from standard input: {error}"))
    })?;
    sound(&text)
}

/// The key as it is typed or pasted, unseen.
fn typed(provider: &str) -> Result<Secret, Failure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(Failure::with_help(
            Exit::Usage,
            "there is no terminal to ask for the key at",
            format!("pipe it in: `… | codetether auth login {provider} --stdin`"),
        ));
    }
    let silent = Silent::new();
    let silent = silent.map_err(|error| {
        Failure::with_help(
            Exit::Failed,
            format!("cannot make the terminal hide what is typed: {error}"),
            "use `--stdin`",
        )
    })?;
    printer::err(&format!("key of `{provider}` (it is not shown): "));
    let mut line = String::new();
    let most = u64::try_from(LONGEST).unwrap_or(u64::MAX).saturating_add(1);
    let read = stdin.lock().take(most).read_line(&mut line);
    drop(silent);
    printer::err("\n");
    read.map_err(|error| Failure::new(Exit::Failed, format!("cannot read the key: {error}")))?;
    if line.contains('\u{3}') {
        return Err(Failure::new(Exit::Interrupted, "interrupted; nothing was kept"));
    }
    sound(&line)
}

fn sound(text: &str) -> Result<Secret, Failure> {
    let key = text.trim();
    let problem = match key {
        "" => "the key is empty".to_owned(),
        key if key.len() > LONGEST || text.len() > LONGEST => {
            format!("the key is longer than {LONGEST} bytes")
        }
        key if key.chars().any(|c| c.is_control() || c.is_whitespace()) => {
            "the key holds white space or control characters".to_owned()
        }
        key => return Ok(Secret::from(key.to_owned())),
    };
    Err(Failure::with_help(Exit::Usage, problem, "copy it anew from the provider; nothing was kept"))
}

/// A terminal that does not show what is typed, until this is dropped. Ctrl-C is a character meanwhile, so that the
/// terminal is never left like this.
struct Silent(Termios);

impl Silent {
    fn new() -> rustix::io::Result<Self> {
        let stdin = std::io::stdin();
        let before = tcgetattr(&stdin)?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
        tcsetattr(&stdin, OptionalActions::Flush, &hidden)?;
        Ok(Self(before))
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // There is nothing to be done where the terminal has gone away.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}
