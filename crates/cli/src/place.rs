//! Where things are, by the XDG base directory specification.

use std::env;
use std::path::PathBuf;

use codetether_agent::Memory;
use codetether_config::{SandboxLayer, UndoLayer};
use codetether_sandbox::Audit;

use crate::exit::{Exit, Failure};

/// The user's settings file.
pub(crate) fn config_file() -> Option<PathBuf> {
    base("XDG_CONFIG_HOME", ".config").map(|dir| dir.join("config.toml"))
}

/// The user's own instructions for models, beside the settings.
pub(crate) fn instructions() -> Option<PathBuf> {
    config_file().map(|file| file.with_file_name("AGENTS.md"))
}

/// Where sessions and their index are.
pub(crate) fn data_dir() -> Result<PathBuf, Failure> {
    base("XDG_DATA_HOME", ".local/share").ok_or_else(|| {
        Failure::with_help(
            Exit::Failed,
            "there is no place for sessions: neither `HOME` nor `XDG_DATA_HOME` is set",
            "set `HOME` to your home folder",
        )
    })
}

/// Where the files of working trees are remembered.
pub(crate) fn memory(settings: &UndoLayer) -> Result<Memory, Failure> {
    let data = data_dir()?;
    let gigabytes = settings.max_size.map_or(u64::MAX, u64::from);
    Ok(Memory {
        store: data.join("undo"),
        leases: data,
        max_bytes: gigabytes.saturating_mul(1 << 30),
        excludes: vec![codetether_sandbox::excludes_file(&codetether_sandbox::Host::here())],
    })
}

/// Where it is recorded what the agent ran.
pub(crate) fn audit_file() -> Result<PathBuf, Failure> {
    data_dir().map(|dir| dir.join("audit.jsonl"))
}

/// The same, where the settings want it.
pub(crate) fn audit(settings: &SandboxLayer) -> Result<Option<Audit>, Failure> {
    settings.audit.unwrap_or(true).then(|| audit_file().map(Audit::own)).transpose()
}

/// Where it is recorded what was spent.
pub(crate) fn ledger() -> Result<PathBuf, Failure> {
    data_dir().map(|dir| dir.join("ledger.sqlite"))
}

/// Where it is recorded what replays would have cost, so that limits hold in them as they held in what was recorded.
pub(crate) fn replayed() -> Result<PathBuf, Failure> {
    data_dir().map(|dir| dir.join("replayed.sqlite"))
}

/// Where sockets of this user's own processes are.
pub(crate) fn run_dir() -> PathBuf {
    let absolute = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    match absolute {
        Some(dir) => dir.join("codetether"),
        None => env::temp_dir().join(format!("codetether-{}", rustix::process::getuid().as_raw())),
    }
}

/// The program's own folder under a base directory. A relative path in the variable counts as unset.
fn base(variable: &str, under_home: &str) -> Option<PathBuf> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(under_home)))?;
    Some(base.join("codetether"))
}
