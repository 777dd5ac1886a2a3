//! `codetether doctor`: is everything in place, and what to do where it is not. Reaches no network, but that Vault may be
//! asked for a key.

use std::path::Path;
use std::process::{Command, Stdio};

use codetether_config::{Layer, SandboxTier, Settings};
use codetether_event::Confinement;
use codetether_files::{WriteOptions, write_atomic};
use codetether_provider::Cassettes;

use crate::args::DoctorArgs;
use crate::exit::{Exit, Failure};
use crate::trust::Project;
use crate::{models, place, printer, sandbox, settings};

/// One finding: what was looked at, whether it is well, and what to do if not.
struct Finding {
    name: &'static str,
    well: bool,
    text: String,
}

pub(crate) fn run(args: &DoctorArgs) -> Result<Exit, Failure> {
    let dir = args.dir.as_deref().unwrap_or(Path::new("."));
    let project = Project::at(&dir.canonicalize().unwrap_or_else(|_| dir.to_owned()));
    let mut findings = vec![platform()];
    match settings::load(&project, Vec::new(), Layer::default()) {
        Ok(settings) => {
            findings.push(settings_file());
            findings.push(model(&settings));
            findings.push(sandbox(&settings));
        }
        Err(error) => findings.push(Finding { name: "settings", well: false, text: error.to_string() }),
    }
    findings.push(sessions());
    findings.push(program("git", "install git: the agent's work in a project is best reviewed with it"));
    findings.push(program("bash", "install bash: the `bash` tool runs commands with it"));
    for Finding { name, well, text } in &findings {
        let mark = if *well { "ok  " } else { "fix " };
        printer::out(&format!("{mark} {name:<9} {text}\n"))?;
    }
    Ok(if findings.iter().all(|finding| finding.well) { Exit::Done } else { Exit::Failed })
}

/// What the agent's commands are confined in; `sandbox doctor` looks closer.
fn sandbox(settings: &Settings) -> Finding {
    let finding = |well, text: &str| Finding { name: "sandbox", well, text: text.to_owned() };
    match sandbox::confinement(settings) {
        Ok(Confinement::Namespaces) => {
            finding(true, "commands are confined by namespaces; `codetether sandbox doctor` looks closer")
        }
        Ok(Confinement::Landlock) => finding(
            settings.sandbox.tier == Some(SandboxTier::Landlock),
            "commands are confined by Landlock alone, which leaves gaps: `codetether sandbox doctor` lists them, and says \
             what is in the way of namespaces",
        ),
        Ok(Confinement::None) => finding(
            true,
            "commands are not confined, as your settings say: what you allow runs with your own rights; `codetether config \
             unset sandbox.tier` confines them",
        ),
        Err(failure) => finding(false, &failure.message()),
    }
}

fn platform() -> Finding {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let well = os == "linux" && matches!(arch, "x86_64" | "aarch64");
    let text = if well {
        format!("{os} {arch}")
    } else {
        format!("{os} {arch} is not supported: use Linux on x86-64 or arm64")
    };
    Finding { name: "platform", well, text }
}

fn settings_file() -> Finding {
    let text = match place::config_file() {
        Some(path) if path.exists() => format!("read from {}", path.display()),
        Some(path) => format!("none yet; they would be in {}", path.display()),
        None => "no place for a settings file: neither `HOME` nor `XDG_CONFIG_HOME` is set".into(),
    };
    Finding { name: "settings", well: true, text }
}

fn model(settings: &Settings) -> Finding {
    let finding = |well, text| Finding { name: "model", well, text };
    let models::Chosen { model, note } = match models::chosen(settings) {
        Ok(chosen) => chosen,
        Err(failure) => {
            let cure = "set `model = \"provider/model\"` in the settings, or give `-m`";
            return finding(false, format!("{}: {cure}", failure.message()));
        }
    };
    let why = note.map(|note| format!(" ({note})")).unwrap_or_default();
    match models::check(settings, &model, &Cassettes::default()) {
        Ok(found) => {
            let key = if found.key.is_some() { "with a key" } else { "without a key" };
            finding(true, format!("{model} at {} {key}{why}", found.base_url))
        }
        Err(failure) => finding(false, failure.message()),
    }
}

/// Whether sessions can be written, tried by writing.
fn sessions() -> Finding {
    let finding = |well, text| Finding { name: "sessions", well, text };
    let dir = match place::data_dir() {
        Ok(dir) => dir,
        Err(failure) => return finding(false, failure.message()),
    };
    let probe = dir.join(format!(".doctor-{}", std::process::id()));
    let tried = codetether_files::create_dir_private(&dir)
        .and_then(|()| write_atomic(&probe, b"", &WriteOptions::default()))
        .and_then(|()| codetether_files::remove_file(&probe));
    match tried {
        Ok(()) => finding(true, format!("kept in {}", dir.display())),
        Err(error) => finding(false, format!("{error}; make the folder writable, or set `XDG_DATA_HOME`")),
    }
}

fn program(name: &'static str, cure: &str) -> Finding {
    let output = Command::new(name).arg("--version").stdin(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => {
            let version = String::from_utf8_lossy(&output.stdout);
            Finding { name, well: true, text: printer::plain(version.lines().next().unwrap_or_default()) }
        }
        _ => Finding { name, well: false, text: format!("not found; {cure}") },
    }
}
