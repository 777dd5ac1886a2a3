//! What of a tree is kept: the policy, and the patterns of `.gitignore` files as git reads them.

use std::io::Read;
use std::sync::Arc;

use codetether_files::Folder;
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::entry::Why;
use crate::tree::{self, os};

/// More of a file of patterns is not read.
const PATTERNS_MAX: u64 = 1 << 20;

/// Folders of these names are made anew by their tools.
const GENERATED: [&[u8]; 3] = [b"node_modules", b"__pycache__", b".pnpm-store"];

/// A folder with one of these is a cache, or a virtual environment of Python.
const TELLTALES: [&str; 2] = ["CACHEDIR.TAG", "pyvenv.cfg"];

/// What is kept.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Larger files are left out.
    pub file_max: u64,
    /// Larger ignored files are left out; ignored folders always are.
    pub ignored_max: u64,
    /// A tree of more files and folders is refused.
    pub entries_max: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self { file_max: 256 << 20, ignored_max: 1 << 20, entries_max: 1_000_000 }
    }
}

/// The patterns that hold in a folder: its own, then those of the folders above.
#[derive(Debug)]
pub(crate) struct Patterns {
    /// The folder that they are written for; `None` is wherever the working tree begins.
    folder: Option<tree::Path>,
    /// The root below that, for patterns from above the root.
    root: Vec<u8>,
    own: Gitignore,
    above: Option<Arc<Self>>,
}

/// What patterns say of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Kept,
    Ignored,
}

impl Patterns {
    /// Of a file's text. `root` is the path of the snapshots' root below the folder that the file lies in.
    pub(crate) fn from_above(text: &str, root: &[u8], above: Option<Arc<Self>>) -> Arc<Self> {
        Arc::new(Self { folder: None, root: root.to_vec(), own: parse(text), above })
    }

    /// With those of a folder's own `.gitignore` before them.
    pub(crate) fn enter(above: Option<&Arc<Self>>, path: &tree::Path, folder: &Folder) -> Option<Arc<Self>> {
        let Some(text) = read(folder, ".gitignore") else { return above.cloned() };
        let folder = Some(Arc::clone(path));
        Some(Arc::new(Self { folder, root: Vec::new(), own: parse(&text), above: above.cloned() }))
    }

    /// Of a path below the root. Folders above it must have been asked about before.
    pub(crate) fn judge(patterns: Option<&Arc<Self>>, path: &[u8], is_folder: bool) -> Verdict {
        let mut next = patterns;
        while let Some(patterns) = next {
            let joined;
            let below = match &patterns.folder {
                Some(folder) if folder.is_empty() => path,
                Some(folder) => path.get(folder.len() + 1..).unwrap_or_default(),
                None => {
                    joined = tree::join(&patterns.root, path);
                    &joined
                }
            };
            match patterns.own.matched(os(below), is_folder) {
                Match::Ignore(_) => return Verdict::Ignored,
                Match::Whitelist(_) => return Verdict::Kept,
                Match::None => next = patterns.above.as_ref(),
            }
        }
        Verdict::Kept
    }
}

/// The text of a file of patterns, if there is one.
pub(crate) fn read(folder: &Folder, name: &str) -> Option<String> {
    let mut text = Vec::new();
    folder.open_file(name).ok()?.take(PATTERNS_MAX).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

fn parse(text: &str) -> Gitignore {
    let mut builder = GitignoreBuilder::new("");
    for line in text.trim_start_matches('\u{feff}').lines() {
        // Git takes no notice of a pattern that is none, either.
        let _ = builder.add_line(None, line);
    }
    builder.build().unwrap_or_else(|_| Gitignore::empty())
}

/// Whether a folder is one that a tool makes anew.
pub(crate) fn is_generated(parent: &Folder, name: &[u8]) -> bool {
    GENERATED.contains(&name)
        || TELLTALES.iter().any(|telltale| {
            parent.look(os(&tree::join(name, telltale.as_bytes()))).is_ok_and(|seen| seen.is_some())
        })
}

impl Policy {
    /// Why a file of this size is left out, if it is.
    pub(crate) fn leaves_out(&self, size: u64, verdict: Verdict) -> Option<Why> {
        match verdict {
            Verdict::Ignored if size > self.ignored_max => Some(Why::IgnoredFile),
            _ if size > self.file_max => Some(Why::TooLarge),
            _ => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "what others do to files")]
mod tests {
    use super::*;

    #[test]
    fn patterns_hold_as_they_do_for_git() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(".gitignore"), "*.log\n/build\n!keep.log\n").unwrap();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        std::fs::write(dir.path().join("sub/.gitignore"), "!again.log\n/only-here\nfolder/\n").unwrap();
        let root = Folder::open(dir.path()).unwrap();
        let above = Patterns::from_above("top/secret\n*.tmp\n", b"top", None);
        let outer = Patterns::enter(Some(&above), &tree::Path::from(&b""[..]), &root);
        let inner =
            Patterns::enter(outer.as_ref(), &tree::Path::from(&b"sub"[..]), &root.descend("sub").unwrap());
        let ignored = |path: &str, is_folder| {
            let patterns = if path.starts_with("sub/") { &inner } else { &outer };
            Patterns::judge(patterns.as_ref(), path.as_bytes(), is_folder) == Verdict::Ignored
        };
        for path in ["a.log", "build", "secret", "x.tmp", "sub/x.log", "sub/only-here", "sub/x.tmp"] {
            assert!(ignored(path, false), "{path}");
        }
        for path in [
            "keep.log",
            "sub/build",
            "sub/keep.log",
            "sub/again.log",
            "only-here",
            "sub/secret",
            "sub/folder",
        ] {
            assert!(!ignored(path, false), "{path}");
        }
        assert!(ignored("sub/folder", true));
    }
}
