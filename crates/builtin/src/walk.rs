//! The files below a folder, in one order, as `glob` and `grep` see them: ignore files are honoured, hidden files
//! are there, `.git` is not, and no symbolic link is followed. Every folder and every ignore file is opened beneath
//! the root, so nothing outside is named or read, whatever a repository or another process does to the paths.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use codetether_files::{Entry, EntryKind, Root, RootError};
use codetether_tool::{Cancel, Hidden, ToolError};
use globset::{GlobBuilder, GlobMatcher};

use crate::ignores::Ignores;
use crate::place::{refused, relative};

/// Most files and folders that one walk visits.
const VISITS: usize = 500_000;

/// Longest pattern, in bytes.
const PATTERN_MAX: usize = 4_096;

/// How a walk ended.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Walked {
    /// There was more than a walk may visit.
    pub(crate) is_cut: bool,
    /// Folders and ignore files that could not be read, or not to their end.
    pub(crate) unread: u64,
    /// Files that permission hides.
    pub(crate) hidden: u64,
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Go {
    On,
    Stop,
}

/// Visits all files below the folder `base`, a path within the root, in the order of their names within each folder;
/// `visit` gets the path relative to it. Symbolic links count as files and are not followed.
pub(crate) fn walk(
    root: &Root,
    base: &str,
    hidden: &Hidden,
    cancel: &Cancel,
    mut visit: impl FnMut(&Path, &EntryKind) -> Go,
) -> Result<Walked, ToolError> {
    let base = if base == "." { "" } else { base };
    let mut walk = Walk { root, cancel, ignores: Ignores::default(), visits: 0, walked: Walked::default() };
    if !base.is_empty() {
        for end in std::iter::once(0).chain(base.match_indices('/').map(|(end, _)| end)) {
            walk.walked.unread += walk.ignores.enter(root, &base[..end], |_| true);
        }
    }
    let first = walk.enter(base.to_owned()).map_err(|failure| match failure {
        Failure::Stopped => ToolError::Interrupted,
        Failure::Refused(error) => refused(root, base, error),
    })?;
    let below = first.path.len();
    // The folders that were entered and not yet left.
    let mut open = vec![first];
    while let Some(folder) = open.last_mut() {
        if cancel.is_cancelled() {
            return Err(ToolError::Interrupted);
        }
        let Some(entry) = folder.left.next() else {
            walk.ignores.leave();
            open.pop();
            continue;
        };
        let is_dir = entry.kind == EntryKind::Directory;
        let path = folder.below(&entry.name);
        if entry.name == ".git" || walk.ignores.ignore(&path, is_dir) {
            continue;
        }
        if !is_dir {
            if hidden.hides(Path::new(&path)) {
                walk.walked.hidden += 1;
                continue;
            }
            let relative = OsStr::from_bytes(path.as_bytes().get(below..).unwrap_or_default());
            if visit(Path::new(relative), &entry.kind) == Go::Stop {
                break;
            }
            continue;
        }
        // A folder whose name is no text cannot be asked for.
        let entered = path.into_string().map_err(|_| None).and_then(|path| walk.enter(path).map_err(Some));
        match entered {
            Ok(folder) => open.push(folder),
            Err(Some(Failure::Stopped)) => return Err(ToolError::Interrupted),
            Err(None | Some(Failure::Refused(_))) => walk.walked.unread += 1,
        }
    }
    Ok(walk.walked)
}

struct Walk<'a> {
    root: &'a Root,
    cancel: &'a Cancel,
    ignores: Ignores,
    visits: usize,
    walked: Walked,
}

/// A folder that is being walked.
struct Folder {
    /// Its path within the root, with a slash at the end; empty for the root.
    path: String,
    /// What was not visited yet.
    left: std::vec::IntoIter<Entry>,
}

impl Folder {
    fn below(&self, name: &OsStr) -> OsString {
        let mut path = OsString::with_capacity(self.path.len() + name.len());
        path.push(&self.path);
        path.push(name);
        path
    }
}

/// Why a folder was not entered.
enum Failure {
    Stopped,
    Refused(RootError),
}

impl Walk<'_> {
    /// Reads the names in a folder, as many as may still be visited, and takes up its ignore files.
    fn enter(&mut self, path: String) -> Result<Folder, Failure> {
        let mut entries = Vec::new();
        if self.visits < VISITS {
            for entry in self.root.list(&path).map_err(Failure::Refused)? {
                if self.cancel.is_cancelled() {
                    return Err(Failure::Stopped);
                }
                if self.visits >= VISITS {
                    self.walked.is_cut = true;
                    break;
                }
                self.visits += 1;
                match entry {
                    Ok(entry) => entries.push(entry),
                    Err(_) => {
                        self.walked.unread += 1;
                        break;
                    }
                }
            }
        } else {
            self.walked.is_cut = true;
        }
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let has = |name: &str| {
            entries.binary_search_by(|entry| entry.name.as_os_str().cmp(OsStr::new(name))).is_ok()
        };
        self.walked.unread += self.ignores.enter(self.root, &path, has);
        let path = if path.is_empty() { path } else { path + "/" };
        Ok(Folder { path, left: entries.into_iter() })
    }
}

/// The folder's path within the root.
pub(crate) fn folder(root: &Root, path: &str) -> Result<String, ToolError> {
    let metadata = root.metadata(path).map_err(|error| refused(root, path, error))?;
    if !metadata.is_dir() {
        return Err(refused(root, path, RootError::NotADirectory { path: path.to_owned() }));
    }
    relative(root, path)
}

/// A pattern for paths relative to the folder that is searched. One without a slash is for names anywhere below it.
pub(crate) fn pattern(root: &Root, pattern: &str) -> Result<GlobMatcher, ToolError> {
    let bad = |why: &str| {
        ToolError::ForModel(format!("bad pattern `{}`: {why}", crate::text::first_chars(pattern, 200)))
    };
    if pattern.len() > PATTERN_MAX {
        return Err(bad("it is too long"));
    }
    let absolute = root.path().to_str().and_then(|root| pattern.strip_prefix(root)?.strip_prefix('/'));
    let relative = absolute.unwrap_or(pattern);
    let relative = relative.strip_prefix("./").unwrap_or(relative);
    if relative.starts_with('/') || relative.split('/').any(|part| part == "..") {
        return Err(bad("it must stay below `path`"));
    }
    let whole = if relative.contains('/') { relative.to_owned() } else { format!("**/{relative}") };
    let glob = GlobBuilder::new(&whole).literal_separator(true).build();
    Ok(glob.map_err(|error| bad(&error.kind().to_string()))?.compile_matcher())
}

/// The lines that say what a walk left out; empty when it left out nothing.
pub(crate) fn left_out(walked: Walked) -> String {
    let mut text = String::new();
    if walked.is_cut {
        text += &format!("[stopped after {VISITS} files and folders; give a `path` to search less]\n");
    }
    if walked.unread > 0 {
        let what = if walked.unread == 1 { "file or folder" } else { "files or folders" };
        text += &format!("[{} {what} could not be read]\n", walked.unread);
    }
    if walked.hidden > 0 {
        let what = if walked.hidden == 1 { "file" } else { "files" };
        text += &format!("[{} {what} passed over: permission rules forbid reading them]\n", walked.hidden);
    }
    text
}
