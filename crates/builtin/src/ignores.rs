//! What ignore files say: `.ignore`, `.gitignore` and `.git/info/exclude`, of every folder from the root down to where
//! a walk is. Reads each beneath the root, never more than a bounded part of it, and never a pipe or a device.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use codetether_files::{Root, RootError};
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::place::join;

/// Largest ignore file, in bytes.
const FILE_MAX: u64 = 1 << 20;

/// Most bytes of the ignore files that hold at one place.
const HELD_MAX: u64 = 4 << 20;

/// The rules that hold where a walk is.
#[derive(Default)]
pub(crate) struct Ignores {
    /// One for each folder on the way, the root's first.
    folders: Vec<Folder>,
}

/// The rules of one folder.
struct Folder {
    /// Bytes of a path that lead into the folder.
    above: usize,
    ignore: Gitignore,
    git_ignore: Gitignore,
    git_exclude: Gitignore,
    /// A repository begins here: what the one around it ignores does not hold.
    is_repository: bool,
    /// Bytes of the files.
    size: u64,
}

impl Ignores {
    /// Takes up the rules of a folder, given by its path within the root; `has` says whether there may be a file of
    /// a name in it. Lines that are no patterns are passed over. Returns how many of its files could not be used.
    pub(crate) fn enter(&mut self, root: &Root, folder: &str, has: impl Fn(&str) -> bool) -> u64 {
        let mut room = HELD_MAX.saturating_sub(self.folders.iter().map(|folder| folder.size).sum());
        let (before, mut failed) = (room, 0);
        let mut rules = |name: &str| match read(root, &join(folder, name), &mut room) {
            Ok(rules) => rules,
            Err(Unusable) => {
                failed += 1;
                Gitignore::empty()
            }
        };
        let mut rules_if = |there: bool, name: &str| if there { rules(name) } else { Gitignore::empty() };
        let is_repository = has(".git") && root.metadata(&join(folder, ".git")).is_ok();
        let ignore = rules_if(has(".ignore"), ".ignore");
        let git_ignore = rules_if(has(".gitignore"), ".gitignore");
        let git_exclude = rules_if(is_repository, ".git/info/exclude");
        let above = if folder.is_empty() { 0 } else { folder.len() + 1 };
        self.folders.push(Folder {
            above,
            ignore,
            git_ignore,
            git_exclude,
            is_repository,
            size: before - room,
        });
        failed
    }

    /// Drops the rules of the folder that was entered last.
    pub(crate) fn leave(&mut self) {
        self.folders.pop();
    }

    /// Whether a path within the root, in the folder that was entered last, is ignored. A deeper folder's rules win
    /// over those above it, and any `.ignore` over any `.gitignore`, as in ripgrep.
    pub(crate) fn ignore(&self, path: &OsStr, is_dir: bool) -> bool {
        let (mut ignore, mut git_ignore, mut git_exclude) = (Match::None, Match::None, Match::None);
        let mut outer = false;
        for folder in self.folders.iter().rev() {
            let path = Path::new(OsStr::from_bytes(path.as_bytes().get(folder.above..).unwrap_or_default()));
            if ignore.is_none() {
                ignore = folder.ignore.matched(path, is_dir);
            }
            if !outer && git_ignore.is_none() {
                git_ignore = folder.git_ignore.matched(path, is_dir);
            }
            if !outer && git_exclude.is_none() {
                git_exclude = folder.git_exclude.matched(path, is_dir);
            }
            outer |= folder.is_repository;
        }
        ignore.or(git_ignore).or(git_exclude).is_ignore()
    }
}

/// There is an ignore file, and it cannot be used.
struct Unusable;

/// The rules in a file, none when there is no such file. Takes its size from `room`.
fn read(root: &Root, path: &str, room: &mut u64) -> Result<Gitignore, Unusable> {
    let bytes = match root.read(path, FILE_MAX.min(*room)) {
        Ok(bytes) => bytes,
        Err(RootError::NotFound { .. } | RootError::NotADirectory { .. } | RootError::IsDirectory { .. }) => {
            return Ok(Gitignore::empty());
        }
        Err(_) => return Err(Unusable),
    };
    *room -= bytes.len() as u64;
    // Paths are given relative to the file's folder.
    let mut rules = GitignoreBuilder::new(".");
    let text = String::from_utf8_lossy(&bytes);
    for line in text.trim_start_matches('\u{FEFF}').lines() {
        // Git passes over what is no pattern, too.
        let _ = rules.add_line(None, line);
    }
    rules.build().map_err(|_| Unusable)
}
