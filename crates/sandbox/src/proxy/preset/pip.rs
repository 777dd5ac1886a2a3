//! The hosts of pip: `index-url`, `extra-index-url` and `find-links` of the user's and the machine's `pip.conf`, and of
//! the environment. The file of a virtual environment is not read, as that stands in the workspace.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Found, Place, PresetError, in_file, in_variable};

/// Sections that say where `pip install` goes; the later counts more, whichever file it is in.
const SECTIONS: [&str; 2] = ["global", "install"];
const KEYS: [&str; 4] = ["index-url", "extra-index-url", "find-links", "no-index"];

/// A key's value, and where it stands.
type Settings = BTreeMap<&'static str, (String, String)>;

/// The same by the number of the section. A later file replaces what an earlier one says.
type Sections = BTreeMap<(usize, &'static str), (String, String)>;

pub(super) fn find(place: &Place<'_>, found: &mut Found) -> Result<(), PresetError> {
    let mut sections = Sections::new();
    for file in files(place) {
        read(&file, found, &mut sections)?;
    }
    let mut settings: Settings = sections.into_iter().map(|((_, key), placed)| (key, placed)).collect();
    for key in KEYS {
        let variable = format!("PIP_{}", key.to_uppercase().replace('-', "_"));
        if let Some(value) = place.set(&variable) {
            settings.insert(key, (value, in_variable(&variable)));
        }
    }
    let is_true =
        |value: &str| matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on" | "y" | "t");
    let has_index = !settings.get("no-index").is_some_and(|(value, _)| is_true(value));
    if has_index {
        match settings.get("index-url") {
            Some((address, at)) => index(address.trim(), at, found)?,
            None => pypi(found),
        }
        each(&settings, "extra-index-url", found)?;
    }
    each(&settings, "find-links", found)
}

fn each(settings: &Settings, key: &str, found: &mut Found) -> Result<(), PresetError> {
    let Some((list, at)) = settings.get(key) else { return Ok(()) };
    for address in list.split_whitespace() {
        index(address, at, found)?;
    }
    Ok(())
}

/// PyPI keeps its files on another host; other indexes serve them themselves, or a denial names theirs.
fn index(address: &str, at: &str, found: &mut Found) -> Result<(), PresetError> {
    let host = url::Url::parse(address).ok().and_then(|url| url.host_str().map(str::to_owned));
    if host.as_deref() == Some("pypi.org") {
        pypi(found);
        return Ok(());
    }
    found.address(address, at)
}

fn pypi(found: &mut Found) {
    found.default_host("pypi.org");
    found.default_host("files.pythonhosted.org");
}

/// The files that pip reads, those that count more later.
fn files(place: &Place<'_>) -> Vec<PathBuf> {
    let named = place.set("PIP_CONFIG_FILE");
    // pip's own way to say "none".
    if named.as_deref() == Some("/dev/null") {
        return Vec::new();
    }
    let shared =
        place.set("XDG_CONFIG_DIRS").unwrap_or_else(|| place.system("etc/xdg").display().to_string());
    let mut files: Vec<PathBuf> = shared
        .split(':')
        .filter(|dir| !dir.is_empty())
        .map(|dir| Path::new(dir).join("pip/pip.conf"))
        .collect();
    files.push(place.system("etc/pip.conf"));
    match named.map(PathBuf::from) {
        // One that is there stands in the place of the user's own.
        Some(named) if named.is_file() => files.push(named),
        _ => {
            files.push(place.home.join(".pip/pip.conf"));
            files.push(place.config().join("pip/pip.conf"));
        }
    }
    files
}

/// Python's `configparser`: sections, `key = value` or `key: value`, values that go on in indented lines.
fn read(file: &Path, found: &Found, sections: &mut Sections) -> Result<(), PresetError> {
    let text = found.read(file)?.unwrap_or_default();
    let mut section = None;
    let mut current = None;
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if line.starts_with([' ', '\t']) {
            if let Some((value, _)) = current.as_ref().and_then(|at| sections.get_mut(at)) {
                value.push('\n');
                value.push_str(trimmed);
            }
            continue;
        }
        current = None;
        if let Some(name) = trimmed.strip_prefix('[') {
            let name = name.split(']').next().unwrap_or_default();
            section = SECTIONS.iter().position(|known| *known == name);
            continue;
        }
        let Some((key, value)) = trimmed.split_once(['=', ':']) else {
            return Err(found.wrong(file, "a line has neither `=` nor `:`"));
        };
        // As pip does: `_` is `-`, and a `--` in front is taken off.
        let key = key.trim().to_ascii_lowercase().replace('_', "-");
        let key = KEYS.into_iter().find(|known| *known == key.trim_start_matches("--"));
        if let (Some(section), Some(key)) = (section, key) {
            let name = SECTIONS.get(section).copied().unwrap_or_default();
            let at = in_file(&format!("{name}.{key}"), file);
            sections.insert((section, key), (value.trim().to_owned(), at));
            current = Some((section, key));
        }
    }
    Ok(())
}
