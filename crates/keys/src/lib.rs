//! Where the keys of providers come from: the environment, Vault or OpenBao, the keyring, a file, a command. Looks only
//! where it has to, and remembers what it found; never prints a key, and tells the [`Redactor`] of each.
//!
//! Nothing here is a setting of a project's: who calls passes on what the user's own settings say.

mod bounded;
mod command;
mod error;
mod file;
mod keyring;
mod vault;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use codetether_secret::{Redactor, Secret};

pub use error::KeyError;
pub use file::KeyFile;
pub use keyring::Keyring;
pub use vault::{Access, VaultConfig, VaultSettings};

/// A key is no longer than this, in bytes, wherever it comes from.
pub const LONGEST: usize = 16 * 1024;

/// Where a key comes from, in the order in which they are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// An environment variable.
    Environment,
    /// HashiCorp Vault or OpenBao.
    Vault,
    /// The Secret Service of the desktop.
    Keyring,
    /// The file `keys.toml`.
    File,
    /// The provider's `key_command`.
    Command,
}

impl Source {
    /// All, in order.
    pub const ALL: [Self; 5] = [Self::Environment, Self::Vault, Self::Keyring, Self::File, Self::Command];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::Vault => "vault",
            Self::Keyring => "keyring",
            Self::File => "file",
            Self::Command => "command",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a provider's key is looked for by.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The provider's name: what the key is called in Vault, keyring and file.
    pub provider: &'a str,
    /// The environment variable that may hold it.
    pub variable: Option<&'a str>,
    /// The command that may print it.
    pub command: Option<&'a str>,
    /// Where the provider is.
    pub place: Place,
}

/// Where a provider is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On this machine: most such servers need no key, so nothing is asked that may be slow or raise a question (the keyring).
    Local,
    /// Elsewhere.
    Remote,
}

/// The environment, as it is read here: the value of a variable that is set and not empty.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// A key, and where it is from.
#[derive(Debug, Clone)]
pub struct Found {
    /// The key, without white space around it.
    pub secret: Secret,
    /// Where it is from.
    pub source: Source,
}

/// The sources of keys of one process.
pub struct Keys {
    environment: Environment,
    vault: Option<VaultConfig>,
    keyring: Keyring,
    file: Option<KeyFile>,
    redactor: Arc<Redactor>,
    found: Mutex<HashMap<String, Option<Found>>>,
    /// One login for all keys.
    session: Mutex<Option<vault::Session>>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("vault", &self.vault).field("file", &self.file).finish_non_exhaustive()
    }
}

impl Keys {
    /// Sources by these settings; asks none of them yet.
    #[must_use]
    pub fn new(
        environment: Environment,
        vault: Option<VaultConfig>,
        file: Option<PathBuf>,
        redactor: Arc<Redactor>,
    ) -> Self {
        let keyring = Keyring::by(&environment);
        Self {
            environment,
            vault,
            keyring,
            file: file.map(KeyFile::at),
            redactor,
            found: Mutex::default(),
            session: Mutex::default(),
        }
    }

    /// The key of a provider, from the first source that has one; asked for again, the same answer at once. May block
    /// for as long as the sources' limits say, each of which is at most 30 seconds.
    ///
    /// # Errors
    /// When a source that was set up cannot answer. None after it is asked then: which key is used must not depend on
    /// the weather. The keyring alone, which nobody set up, fails only where no source after it has a key.
    pub fn find(&self, wanted: &Wanted<'_>) -> Result<Option<Found>, KeyError> {
        let mut known = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(wanted.provider) {
            return Ok(found.clone());
        }
        let (mut found, mut locked) = (None, None);
        for source in Source::ALL {
            match self.ask(source, wanted) {
                Ok(None) => {}
                Ok(Some(secret)) => {
                    found = Some(Found { secret, source });
                    break;
                }
                Err(error) if source == Source::Keyring => locked = Some(error),
                Err(error) => return Err(error),
            }
        }
        if let (None, Some(error)) = (&found, locked) {
            return Err(error);
        }
        known.insert(wanted.provider.to_owned(), found.clone());
        Ok(found)
    }

    /// What each source says of each provider's key; the first that has one wins. No command is run: that one is
    /// there is all that is told. A source that fails once is not asked again.
    pub fn status(&self, wanted: &[Wanted<'_>]) -> Vec<Vec<(Source, Result<bool, String>)>> {
        let mut failed: HashMap<Source, String> = HashMap::new();
        let mut ask = |source, wanted: &Wanted<'_>| match (source, failed.get(&source)) {
            (Source::Command, _) => Ok(wanted.command.is_some()),
            (_, Some(problem)) => Err(problem.clone()),
            (_, None) => self.ask(source, wanted).map(|secret| secret.is_some()).map_err(|error| {
                let problem = error.to_string();
                failed.insert(source, problem.clone());
                problem
            }),
        };
        wanted
            .iter()
            .map(|wanted| Source::ALL.into_iter().map(|source| (source, ask(source, wanted))).collect())
            .collect()
    }

    /// The keyring.
    #[must_use]
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> Option<&KeyFile> {
        self.file.as_ref()
    }

    /// What one source has.
    fn ask(&self, source: Source, wanted: &Wanted<'_>) -> Result<Option<Secret>, KeyError> {
        let secret = match source {
            Source::Environment => {
                wanted.variable.and_then(|name| (self.environment)(name)).map(Secret::from)
            }
            Source::Vault => match &self.vault {
                Some(vault) => {
                    let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
                    vault::read(vault, wanted.provider, &mut session, &self.redactor)?
                }
                None => None,
            },
            Source::Keyring if wanted.place == Place::Local => None,
            Source::Keyring => self.keyring.get(wanted.provider)?,
            Source::File => match &self.file {
                Some(file) => file.get(wanted.provider)?,
                None => None,
            },
            Source::Command => match wanted.command {
                Some(command) => Some(command::run(wanted.provider, command)?),
                None => None,
            },
        };
        let Some(secret) = secret else { return Ok(None) };
        let trimmed = Secret::from(secret.expose().trim().to_owned());
        if trimmed.expose().is_empty() {
            return Ok(None);
        }
        self.redactor.learn([trimmed.clone()]);
        Ok(Some(trimmed))
    }
}

/// Whether a text can be the name of a provider in every source: no path, no table.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (1..=64).contains(&name.len()) && !name.starts_with('.') && name.chars().all(plain)
}
