//! `codetether doctor`: is everything in place, and what to do where it is not. No value of a key is ever shown. Reaches no
//! network beyond this machine without `--online`, but that Vault may be asked for the key of the chosen model.

mod endpoints;

use std::io::IsTerminal;
use std::path::Path;
use std::process::{Command, Stdio};

use codetether_config::{Layer, SandboxTier, Settings};
use codetether_event::{Confinement, ModelId};
use codetether_files::{WriteOptions, write_atomic};
use codetether_provider::Cassettes;
use serde_json::json;

use crate::args::DoctorArgs;
use crate::commands::version::BUILD;
use crate::exit::{Exit, Failure};
use crate::trust::Project;
use crate::{keys, models, place, printer, sandbox, settings};

/// Less free space than this is worth a word, bytes.
const LITTLE: u64 = 1 << 30;
/// With less than this nothing should be begun, bytes.
const TOO_LITTLE: u64 = 64 << 20;

/// How it stands with one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ok,
    Warning,
    Error,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One finding: what was looked at, how it stands with it, and what to do if not well.
struct Finding {
    name: &'static str,
    state: State,
    text: String,
    cure: Option<String>,
}

impl Finding {
    fn ok(name: &'static str, text: impl Into<String>) -> Self {
        Self { name, state: State::Ok, text: text.into(), cure: None }
    }

    fn warning(name: &'static str, text: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { name, state: State::Warning, text: text.into(), cure: Some(cure.into()) }
    }

    fn error(name: &'static str, text: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { name, state: State::Error, text: text.into(), cure: Some(cure.into()) }
    }
}

pub(crate) fn run(args: &DoctorArgs) -> Result<Exit, Failure> {
    let dir = args.dir.as_deref().unwrap_or(Path::new("."));
    let project = Project::at(&dir.canonicalize().unwrap_or_else(|_| dir.to_owned()));
    let mut findings = vec![Finding::ok("version", BUILD), platform()];
    match settings::load(&project, Vec::new(), Layer::default()) {
        Ok(settings) => {
            findings.push(settings_file());
            findings.push(trust(&project));
            let (finding, reached) = model(&settings);
            let needs_none =
                reached.first().is_some_and(|(_, found)| finding.state == State::Ok && found.key.is_none());
            findings.push(match known_keys(&settings) {
                Finding { state: State::Warning, text, .. } if needs_none => {
                    Finding::ok("keys", format!("{text}; the model needs none"))
                }
                keys => keys,
            });
            findings.push(finding);
            findings.extend(endpoints::reach(reached, args.online)?);
            findings.extend(tiers(&settings));
            findings.extend(local_models());
            findings.push(sandbox(&settings));
        }
        Err(error) => {
            let cure = "`codetether config check` tells where; `codetether config edit` opens the file";
            findings.push(Finding::error("settings", error.to_string(), cure));
        }
    }
    findings.extend(data());
    findings.push(program(
        "git",
        State::Warning,
        "install git: the agent's work in a project is best reviewed with it",
    ));
    findings.push(program("bash", State::Error, "install bash: the `bash` tool runs commands with it"));
    findings.push(terminal());
    let well = findings.iter().all(|finding| finding.state != State::Error);
    printer::out(&if args.json { as_json(&findings, well) } else { as_text(&findings) })?;
    Ok(if well { Exit::Done } else { Exit::Failed })
}

/// The models that prompts are routed to, where they are.
fn tiers(settings: &Settings) -> Option<Finding> {
    if !settings.routes() {
        return None;
    }
    let named =
        [("small", &settings.tiers.small), ("main", &settings.tiers.main), ("heavy", &settings.tiers.heavy)];
    let set = named.iter().filter_map(|(tier, model)| Some((*tier, model.as_ref()?.id())));
    let mut text = Vec::new();
    for (tier, model) in set {
        if let Err(failure) = models::check_known(settings, &model) {
            let cure = format!(
                "set `tiers.{tier}` to a model that there is; {}",
                failure.help().unwrap_or_default()
            );
            return Some(Finding::error("tiers", failure.message(), cure));
        }
        text.push(format!("{tier} `{model}`"));
    }
    Some(Finding::ok("tiers", format!("prompts go to {}", text.join(", "))))
}

/// The models on this machine, where there are any.
fn local_models() -> Option<Finding> {
    let kept = super::models::files::store().ok()?.list().ok()?;
    let names: Vec<String> = kept.iter().map(|kept| format!("`local/{}`", kept.name)).collect();
    if names.is_empty() {
        return None;
    }
    Some(match codetether_local::HAS_ENGINE {
        true => Finding::ok("local", names.join(", ")),
        false => Finding::warning(
            "local",
            format!("{}, and no engine", names.join(", ")),
            codetether_local::NO_ENGINE,
        ),
    })
}

fn as_text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { name, state, text: what, cure } in findings {
        text.push_str(&format!("{:<7} {name:<9} {}\n", state.as_str(), printer::plain(what)));
        if let Some(cure) = cure {
            let cure = printer::plain(cure).replace('\n', "\n                  ");
            text.push_str(&format!("{:17} cure: {cure}\n", ""));
        }
    }
    text
}

fn as_json(findings: &[Finding], well: bool) -> String {
    let list: Vec<_> = findings
        .iter()
        .map(|Finding { name, state, text, cure }| {
            json!({ "name": name, "state": state.as_str(), "text": text, "cure": cure })
        })
        .collect();
    format!("{}\n", json!({ "well": well, "findings": list }))
}

/// What the agent's commands are confined in; `sandbox doctor` looks closer.
fn sandbox(settings: &Settings) -> Finding {
    let name = "sandbox";
    match sandbox::confinement(settings) {
        Ok(Confinement::Namespaces) => {
            Finding::ok(name, "commands are confined by namespaces; `codetether sandbox doctor` looks closer")
        }
        Ok(Confinement::Landlock) if settings.sandbox.tier == Some(SandboxTier::Landlock) => {
            Finding::ok(name, "commands are confined by Landlock alone, as your settings say")
        }
        Ok(Confinement::Landlock) => Finding::warning(
            name,
            "commands are confined by Landlock alone, which leaves gaps",
            "`codetether sandbox doctor` lists them, and says what is in the way of namespaces",
        ),
        Ok(Confinement::None) => Finding::warning(
            name,
            "commands are not confined, as your settings say: what you allow runs with your own rights",
            "`codetether config unset sandbox.tier` confines them",
        ),
        Err(failure) => Finding::error(
            name,
            failure.message(),
            "`codetether sandbox doctor` says what is missing; `--no-sandbox` does without",
        ),
    }
}

fn platform() -> Finding {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let kernel = rustix::system::uname();
    let text = format!("{os} {arch}, kernel {}", kernel.release().to_string_lossy());
    if os == "linux" && matches!(arch, "x86_64" | "aarch64") {
        Finding::ok("platform", text)
    } else {
        Finding::error("platform", format!("{text} is not supported"), "use Linux on x86-64 or arm64")
    }
}

fn settings_file() -> Finding {
    match place::config_file() {
        Some(path) if path.exists() => Finding::ok("settings", format!("read from {}", path.display())),
        Some(path) => Finding::ok("settings", format!("none yet; they would be in {}", path.display())),
        None => Finding::warning(
            "settings",
            "no place for a settings file: neither `HOME` nor `XDG_CONFIG_HOME` is set",
            "set `HOME` to your home folder",
        ),
    }
}

/// Whether the project's own files have power here.
fn trust(project: &Project) -> Finding {
    use codetether_config::trust::Verdict;
    let name = "trust";
    let look = "`codetether trust` shows what they could do, `codetether trust add` trusts exactly these";
    match project.verdict() {
        Verdict::Flawed(flaw) => Finding::error(
            name,
            format!("the project's own files cannot be trusted: {flaw}"),
            "put plain files there, fewer or smaller ones",
        ),
        _ if !project.files().have_power() => {
            Finding::ok(name, "this folder has no files of its own that could do more than narrow")
        }
        Verdict::Trusted => Finding::ok(name, "you trust this folder's own files, as they are now"),
        Verdict::Refused => {
            Finding::ok(name, "you refused to trust this folder's own files; they can only narrow")
        }
        Verdict::Changed(_) => {
            Finding::warning(name, "this folder's own files have changed since you decided about them", look)
        }
        Verdict::Unknown => Finding::warning(
            name,
            "this folder's own files are not trusted, so that they can only narrow",
            look,
        ),
    }
}

/// The providers whose keys are at hand, by name and place. Places that may be slow or ask something are not asked.
fn known_keys(settings: &Settings) -> Finding {
    let variables = models::endpoints(settings).into_iter().filter_map(|endpoint| {
        let variable = endpoint.variable.filter(|name| keys::variable(name).is_some())?;
        Some(format!("{} (`{variable}`)", endpoint.name))
    });
    let mut found: Vec<String> = variables.collect();
    match keys::of(settings).file().map(codetether_keys::KeyFile::names).transpose() {
        Ok(names) => {
            found.extend(names.unwrap_or_default().iter().map(|name| format!("{name} (`keys.toml`)")))
        }
        Err(error) => {
            return Finding::error(
                "keys",
                error.to_string(),
                "mend the file, or delete it and keep keys anew",
            );
        }
    }
    match found.is_empty() {
        false => Finding::ok("keys", format!("there for {}", found.join(", "))),
        true => Finding::warning(
            "keys",
            "none in the environment or in `keys.toml`",
            "`codetether auth login NAME` keeps one; `codetether auth status` looks in Vault and the keyring, too",
        ),
    }
}

/// The model that would be asked, with what is needed for it, and those that may be asked after it.
fn model(settings: &Settings) -> (Finding, Vec<(ModelId, models::Found)>) {
    let models::Chosen { model, note } = match models::chosen(settings) {
        Ok(chosen) => chosen,
        Err(failure) => {
            let cure = "set `model = \"provider/model\"` in the settings, or give `-m`; `codetether models list` tells what \
                        there is";
            return (Finding::error("model", failure.message(), cure), Vec::new());
        }
    };
    let why = note.map(|note| format!(" ({note})")).unwrap_or_default();
    let fallback = settings.fallback.iter().filter_map(|model| {
        models::check(settings, model, &Cassettes::default()).ok().map(|found| (model.clone(), found))
    });
    match models::check(settings, &model, &Cassettes::default()) {
        Ok(found) => {
            let key = if found.key.is_some() { "with a key" } else { "without a key" };
            let finding = Finding::ok("model", format!("{model} at {} {key}{why}", found.base_url));
            (finding, std::iter::once((model, found)).chain(fallback).collect())
        }
        Err(failure) => {
            let cure =
                failure.help().unwrap_or_else(|| "`codetether models list` tells what there is".to_owned());
            (Finding::error("model", failure.message(), cure), fallback.collect())
        }
    }
}

/// Whether sessions can be written, tried by writing, and how much room there is for them.
fn data() -> Vec<Finding> {
    let dir = match place::data_dir() {
        Ok(dir) => dir,
        Err(failure) => {
            return vec![Finding::error("sessions", failure.message(), "set `HOME` to your home folder")];
        }
    };
    let probe = dir.join(format!(".doctor-{}", std::process::id()));
    let tried = codetether_files::create_dir_private(&dir)
        .and_then(|()| write_atomic(&probe, b"", &WriteOptions::default()))
        .and_then(|()| codetether_files::remove_file(&probe));
    if let Err(error) = tried {
        let cure = "make the folder writable, or set `XDG_DATA_HOME` to another";
        return vec![Finding::error("sessions", error.to_string(), cure)];
    }
    let kept = Finding::ok("sessions", format!("kept in {}", dir.display()));
    let Ok(disk) = rustix::fs::statvfs(&dir) else { return vec![kept] };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let size = match free {
        ..1_000_000_000 => format!("{} MB", free / 1_000_000),
        _ => format!("{}.{} GB", free / 1_000_000_000, free / 100_000_000 % 10),
    };
    let text = format!("{size} free for sessions and snapshots");
    let cure = "make room, or lower `undo.max_size`; `codetether session list` tells what could be deleted";
    let room = match free {
        ..TOO_LITTLE => Finding::error("disk", text, cure),
        TOO_LITTLE..LITTLE => Finding::warning("disk", text, cure),
        _ => Finding::ok("disk", text),
    };
    vec![kept, room]
}

/// What a person would see and answer at.
fn terminal() -> Finding {
    let name = "terminal";
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return Finding::ok(
            name,
            "none here: nobody can answer questions, and what would be asked is refused",
        );
    }
    let term = std::env::var("TERM").unwrap_or_default();
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| keys::variable(name));
    let locale = locale.unwrap_or_default().to_uppercase();
    let size = rustix::termios::tcgetwinsize(std::io::stderr());
    let size = size.map(|size| format!(", {} × {}", size.ws_col, size.ws_row)).unwrap_or_default();
    let kind = if term.is_empty() { "of no known kind".to_owned() } else { format!("`{term}`") };
    if locale.contains("UTF-8") || locale.contains("UTF8") {
        let plain = if crate::chat::is_plain(&term) { "; `chat` reads plain lines here" } else { "" };
        return Finding::ok(name, format!("{kind}{size}{plain}"));
    }
    Finding::warning(
        name,
        format!("{kind}{size}, in a locale that is not UTF-8: letters beyond ASCII may be shown wrongly"),
        "set `LANG=C.UTF-8`, or another locale whose name ends in `UTF-8`",
    )
}

fn program(name: &'static str, without: State, cure: &str) -> Finding {
    let output = Command::new(name).arg("--version").stdin(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => {
            let version = String::from_utf8_lossy(&output.stdout);
            Finding::ok(name, printer::plain(version.lines().next().unwrap_or_default()))
        }
        _ => Finding { name, state: without, text: "not found".to_owned(), cure: Some(cure.to_owned()) },
    }
}
