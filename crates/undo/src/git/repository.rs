//! Where the repository of a working tree is, and what HEAD says.

use std::io::Read;
use std::path::{Path, PathBuf};

use codetether_files::Folder;

use super::Format;

/// More of a small file of the repository is not read.
const SMALL_MAX: u64 = 1 << 20;

/// Packed references are more.
const REFS_MAX: u64 = 64 << 20;

/// A repository, main or linked.
#[derive(Debug, Clone)]
pub(crate) struct Repository {
    /// Its working tree.
    pub(crate) top: PathBuf,
    /// The root of the snapshots below that, with `/` at the end if there is any.
    pub(crate) prefix: Vec<u8>,
    /// With HEAD and the index.
    dir: PathBuf,
    /// With objects and references; the same but for linked worktrees.
    common: PathBuf,
    pub(crate) format: Format,
}

impl Repository {
    /// Of a folder, whose path must be canonical; looks upwards as git does.
    pub(crate) fn of(root: &Path) -> Option<Self> {
        let (top, dir) = root.ancestors().find_map(|top| Some((top, git_dir(top)?)))?;
        let common = match small(&dir, "commondir") {
            Some(text) => dir.join(text.trim_end()),
            None => dir.clone(),
        };
        let below = root.strip_prefix(top).ok()?.as_os_str().as_encoded_bytes();
        let mut prefix = below.to_vec();
        if !prefix.is_empty() {
            prefix.push(b'/');
        }
        let format = format(&small(&common, "config").unwrap_or_default());
        Some(Self { top: top.to_owned(), prefix, dir, common, format })
    }

    /// What HEAD names, and the commit that is; enough to see that it moved.
    pub(crate) fn head(&self) -> String {
        let Some(head) = small(&self.dir, "HEAD") else { return String::new() };
        let Some(name) = head.trim_end().strip_prefix("ref: ") else { return head.trim_end().to_owned() };
        let commit = self.reference(name).unwrap_or_default();
        format!("{name} {commit}").trim_end().to_owned()
    }

    fn reference(&self, name: &str) -> Option<String> {
        if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return None;
        }
        if let Some(loose) = small(&self.dir, name).or_else(|| small(&self.common, name)) {
            return Some(loose.trim_end().to_owned());
        }
        let packed = text(&self.common, "packed-refs", REFS_MAX)?;
        packed.lines().find_map(|line| {
            let (id, at) = line.split_once(' ')?;
            (at == name).then(|| id.to_owned())
        })
    }

    pub(crate) fn index(&self) -> PathBuf {
        self.dir.join("index")
    }

    pub(crate) fn objects(&self) -> PathBuf {
        self.common.join("objects")
    }

    /// Patterns that hold for this clone alone.
    pub(crate) fn excludes(&self) -> PathBuf {
        self.common.join("info/exclude")
    }
}

/// The folder that `.git` is or names.
fn git_dir(top: &Path) -> Option<PathBuf> {
    let dir = match small(top, ".git") {
        Some(text) => top.join(text.strip_prefix("gitdir:")?.trim()),
        None => top.join(".git"),
    };
    Folder::open(&dir).ok()?.look("HEAD").ok()??;
    Some(dir)
}

fn small(dir: &Path, name: &str) -> Option<String> {
    text(dir, name, SMALL_MAX)
}

fn text(dir: &Path, name: &str, max: u64) -> Option<String> {
    let mut text = String::new();
    let file = Folder::open(dir).ok()?.open_file(name).ok()?;
    file.take(max).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Git's settings say it in one place; all else in them is of no concern here.
fn format(config: &str) -> Format {
    let mut in_extensions = false;
    for line in config.lines() {
        let line = line.trim();
        if line.starts_with('[') {
            in_extensions = line.to_lowercase().starts_with("[extensions]");
        } else if in_extensions
            && let Some((key, value)) = line.split_once('=')
            && key.trim().eq_ignore_ascii_case("objectformat")
            && value.trim().eq_ignore_ascii_case("sha256")
        {
            return Format::Sha256;
        }
    }
    Format::Sha1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_what_the_extensions_say() {
        assert_eq!(format("[core]\n\tbare = false\n"), Format::Sha1);
        assert_eq!(format("[extensions]\n\tobjectFormat = sha256\n[core]\n"), Format::Sha256);
        assert_eq!(format("[other]\n\tobjectFormat = sha256\n"), Format::Sha1);
    }
}
