//! Where things are: the repository, and what is kept between runs in the user's cache directory.
//!
//! Everything kept is named by what it was made with (toolchain, version), so that nothing stale is ever used.

use std::env;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use crate::Failure;
use crate::failure::At as _;
use crate::process;

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    // Cargo sets it when it runs us; what was compiled in is for a binary that is started by hand.
    let crate_folder =
        env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    crate_folder.ancestors().nth(2).map_or(crate_folder.clone(), PathBuf::from)
}

/// The folder of everything that is kept between runs, made if need be.
pub(crate) fn cache() -> Result<PathBuf, Failure> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
    let cache = base
        .ok_or_else(|| Failure::Missing {
            what: "a cache directory".into(),
            fix: "set `HOME` or `XDG_CACHE_HOME` to an absolute path".into(),
        })?
        .join("codetether/dev");
    fs::create_dir_all(&cache).at("create", &cache)?;
    Ok(cache)
}

/// Waits until no other run is setting something up, and keeps others waiting until the answer is dropped.
pub(crate) fn hold_setup() -> Result<File, Failure> {
    let path = cache()?.join("setup.lock");
    let file = File::create(&path).at("create", &path)?;
    file.lock().at("lock", &path)?;
    Ok(file)
}

/// Compiler version and machine, such as `1.95.0-x86_64-unknown-linux-gnu`.
pub(crate) fn toolchain() -> Result<String, Failure> {
    let text = process::text(Command::new("rustc").arg("-vV"))?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    match (field("release:"), field("host:")) {
        (Some(release), Some(host)) => Ok(format!("{release}-{host}")),
        _ => Err(Failure::Wrong(format!("`rustc -vV` says neither release nor host:\n{text}"))),
    }
}

/// Whether this is a CI run, as CI services say it.
pub(crate) fn in_ci() -> bool {
    env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false")
}
