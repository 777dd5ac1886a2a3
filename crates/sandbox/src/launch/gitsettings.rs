//! Git settings: reads the few lines that matter here (a name, where hooks are, what is included) and makes a file of
//! the user's own that is harmless. Never starts git, and follows nothing but what it says.

use std::path::{Path, PathBuf};

use super::host::Host;
use super::repository;

/// Longest file that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// What of the user's settings goes into a sandbox: who commits, and how text is treated. Nothing that names a program
/// or a secret.
const HARMLESS: &[&str] = &[
    "user.name",
    "user.email",
    "user.useconfigonly",
    "init.defaultbranch",
    "core.autocrlf",
    "core.eol",
    "core.quotepath",
    "core.precomposeunicode",
    "pull.rebase",
    "pull.ff",
    "merge.conflictstyle",
    "diff.algorithm",
    "rebase.autosquash",
    "rebase.autostash",
    "rerere.enabled",
    "safe.directory",
    "commit.verbose",
    "column.ui",
    "color.ui",
];

/// Lines of a file of git settings: the key in lower case (`section.name`, or `section.sub.name`), and its value.
pub(crate) fn entries(text: &str) -> Vec<(String, String)> {
    let mut section = String::new();
    let mut found = Vec::new();
    let joined = text.replace("\\\r\n", "").replace("\\\n", "");
    for line in joined.lines() {
        let mut line = line.trim();
        // Several may stand on one line; the last is the one of what follows.
        while let Some(end) = line.strip_prefix('[').and_then(|_| end_of_section(line)) {
            section = section_name(&line[1..end]);
            line = line[end + 1..].trim();
        }
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let (name, value) = line.split_once('=').unwrap_or((line, "true"));
        found.push((format!("{section}.{}", name.trim().to_ascii_lowercase()), unquoted(value.trim())));
    }
    found
}

/// Where the bracket is that closes a section's name: not one in quotes.
fn end_of_section(line: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, letter) in line.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ']' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

fn section_name(inner: &str) -> String {
    match inner.split_once('"') {
        Some((section, sub)) => {
            format!("{}.{}", section.trim().to_ascii_lowercase(), sub.trim_end_matches('"'))
        }
        None => inner.trim().to_ascii_lowercase(),
    }
}

fn unquoted(value: &str) -> String {
    let (mut text, mut quoted, mut letters) = (String::new(), false, value.chars());
    while let Some(letter) = letters.next() {
        match letter {
            '"' => quoted = !quoted,
            '\\' => match letters.next() {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some(other) => text.push(other),
                None => {}
            },
            '#' | ';' if !quoted => break,
            other => text.push(other),
        }
    }
    if quoted { text } else { text.trim_end().to_owned() }
}

/// The one line of a file that says where something is, as git reads it: every byte counts but those that end the line.
pub(crate) fn lead(path: &Path) -> Option<Vec<u8>> {
    let meta = path.metadata().ok().filter(|meta| meta.is_file() && meta.len() <= LONGEST)?;
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).ok()?);
    let file = codetether_files::open_read(path).ok()?;
    std::io::Read::read_to_end(&mut std::io::Read::take(file, LONGEST), &mut bytes).ok()?;
    while matches!(bytes.last(), Some(b'\n' | b'\r')) {
        bytes.pop();
    }
    Some(bytes)
}

/// A file of settings, unless it is not there, no file, or far too long.
pub(crate) fn read(path: &Path) -> Option<String> {
    let meta = path.metadata().ok().filter(|meta| meta.is_file() && meta.len() <= LONGEST)?;
    let mut text = Vec::with_capacity(usize::try_from(meta.len()).ok()?);
    let file = codetether_files::open_read(path).ok()?;
    std::io::Read::read_to_end(&mut std::io::Read::take(file, LONGEST), &mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// The user's settings, as far as they are harmless, as a file.
pub(crate) fn harmless(host: &Host) -> Option<String> {
    let xdg = host.var("XDG_CONFIG_HOME").map_or_else(|| host.home.join(".config"), PathBuf::from);
    let files = [xdg.join("git/config"), host.home.join(".gitconfig")];
    let mut kept = String::new();
    for file in files {
        let Some(text) = read(&file) else { continue };
        for (key, value) in entries(&text) {
            if key == "include.path" {
                let file = included(&file, &value, &host.home);
                entries(&read(&file).unwrap_or_default())
                    .iter()
                    .for_each(|(key, value)| keep(&mut kept, key, value));
            } else {
                keep(&mut kept, &key, &value);
            }
        }
    }
    (!kept.is_empty()).then_some(kept)
}

/// What the user's own settings, and the machine's, say of every repository: as far as it names files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Global {
    /// Where hooks and attributes are; what is no whole path is found from each repository's working tree.
    pub(crate) entries: Vec<(String, String)>,
    /// Files that git runs, or has run, found from there.
    pub(crate) words: Vec<String>,
    /// The files that these settings are in.
    pub(crate) files: Vec<PathBuf>,
    /// Files by their whole path that git runs, or has run.
    pub(crate) programs: Vec<PathBuf>,
}

impl Global {
    /// Reads them, and what they include, whatever the condition.
    pub(crate) fn read(host: &Host) -> Self {
        let xdg = host.var("XDG_CONFIG_HOME").map_or_else(|| host.home.join(".config"), PathBuf::from);
        let own = host.var("GIT_CONFIG_GLOBAL").map(PathBuf::from);
        let usual = [PathBuf::from("/etc/gitconfig"), xdg.join("git/config"), host.home.join(".gitconfig")];
        let mut open: Vec<PathBuf> = usual.into_iter().chain(own).collect();
        let mut global = Self::default();
        while let Some(file) = open.pop() {
            if global.files.contains(&file) || global.files.len() >= 64 {
                continue;
            }
            for (key, value) in entries(&read(&file).unwrap_or_default()) {
                if key == "include.path" || key.starts_with("includeif.") && key.ends_with(".path") {
                    open.push(included(&file, &value, &host.home));
                    continue;
                }
                if matches!(key.as_str(), "core.hookspath" | "core.attributesfile") {
                    global.entries.push((key, value));
                    continue;
                }
                for word in repository::programs(&key, &value) {
                    match word.strip_prefix("~/") {
                        Some(rest) => global.programs.push(host.home.join(rest)),
                        None if word.starts_with('/') => global.programs.push(PathBuf::from(word)),
                        None if word.contains('/') => global.words.push(word.to_owned()),
                        None => {}
                    }
                }
            }
            global.files.push(file);
        }
        global.files.retain(|file| file.is_file());
        global
    }
}

/// The user's own file of patterns that git ignores in every repository: `core.excludesFile`, or where it is without that.
/// It need not be there.
#[must_use]
pub fn excludes_file(host: &Host) -> PathBuf {
    let xdg = host.var("XDG_CONFIG_HOME").map_or_else(|| host.home.join(".config"), PathBuf::from);
    let mut named = xdg.join("git/ignore");
    for file in [PathBuf::from("/etc/gitconfig"), xdg.join("git/config"), host.home.join(".gitconfig")] {
        for (key, value) in entries(&read(&file).unwrap_or_default()) {
            let of_included = |file: PathBuf| {
                let all = entries(&read(&file).unwrap_or_default());
                all.into_iter().rfind(|(key, _)| key == "core.excludesfile").map(|(_, value)| value)
            };
            let value = match key.as_str() {
                "core.excludesfile" => Some(value),
                "include.path" => of_included(included(&file, &value, &host.home)),
                _ => None,
            };
            // What is relative is so to wherever git is run.
            let value = value.map(|value| match value.strip_prefix("~/") {
                Some(rest) => host.home.join(rest),
                None => PathBuf::from(value),
            });
            named = value.filter(|path| path.is_absolute()).unwrap_or(named);
        }
    }
    named
}

/// Which file an `include` names.
pub(crate) fn included(by: &Path, value: &str, home: &Path) -> PathBuf {
    match value.strip_prefix("~/") {
        Some(rest) => home.join(rest),
        None => by.parent().unwrap_or(by).join(value),
    }
}

fn keep(into: &mut String, key: &str, value: &str) {
    if !HARMLESS.contains(&key) {
        return;
    }
    let Some((section, name)) = key.split_once('.') else { return };
    let quoted = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    into.push_str(&format!("[{section}]\n\t{name} = \"{quoted}\"\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_git_reads_them() {
        let text = "[user]\n\tname = Ada \"L.\" ; who\n[core] hooksPath = .husky\n[filter \"a.B]c\"]\nclean = \"x # y\"\n\
                    [branch \"x\"]\n# no\n\tbare\n[include]\n path = a\\\n/b\n";
        let got = entries(text);
        let got: Vec<_> = got.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(
            got,
            [
                ("user.name", "Ada L."),
                ("core.hookspath", ".husky"),
                ("filter.a.B]c.clean", "x # y"),
                ("branch.x.bare", "true"),
                ("include.path", "a/b"),
            ]
        );
    }

    #[test]
    fn nothing_that_runs_or_is_secret_is_kept() {
        let mut kept = String::new();
        for (key, value) in entries(
            "[user]\nname=Ada\n[core]\nfsmonitor=evil\nhooksPath=/x\n[credential]\nhelper=store\n[http]\nextraHeader=Authorization: x\n[alias]\nx=!sh\n",
        ) {
            keep(&mut kept, &key, &value);
        }
        assert_eq!(kept, "[user]\n\tname = \"Ada\"\n");
    }
}
