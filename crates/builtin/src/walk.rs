//! The files below a folder, in one order, as `glob` and `grep` see them: ignore files are honoured, hidden files
//! are there, `.git` is not, and no symbolic link is followed.

use std::path::{Path, PathBuf};

use codetether_files::Root;
use codetether_tool::{Cancel, ToolError};
use globset::{GlobBuilder, GlobMatcher};
use ignore::{DirEntry, WalkBuilder};

use crate::place::refused;

/// Most files and folders that one walk visits.
const VISITS: usize = 500_000;

/// Longest pattern, in bytes.
const PATTERN_MAX: usize = 4_096;

/// How a walk ended.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Walked {
    /// There was more than a walk may visit.
    pub(crate) is_cut: bool,
    /// Folders and ignore files that could not be read.
    pub(crate) unread: u64,
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Go {
    On,
    Stop,
}

/// Visits all files below the folder `real`, in the order of their names within each folder; `visit` gets the path
/// relative to it. Symbolic links count as files and are not followed.
pub(crate) fn walk(
    real: &Path,
    cancel: &Cancel,
    mut visit: impl FnMut(&Path, &DirEntry) -> Go,
) -> Result<Walked, ToolError> {
    let entries = WalkBuilder::new(real)
        .hidden(false)
        .require_git(false)
        .git_global(false)
        .follow_links(false)
        .sort_by_file_name(Ord::cmp)
        .filter_entry(|entry| entry.depth() == 0 || entry.file_name() != ".git")
        .build();
    let mut walked = Walked::default();
    for (visits, entry) in entries.enumerate() {
        if cancel.is_cancelled() {
            return Err(ToolError::Interrupted);
        }
        if visits >= VISITS {
            walked.is_cut = true;
            break;
        }
        let Ok(entry) = entry else {
            walked.unread += 1;
            continue;
        };
        if entry.file_type().is_some_and(|kind| kind.is_dir()) {
            continue;
        }
        let Ok(relative) = entry.path().strip_prefix(real) else { continue };
        if visit(relative, &entry) == Go::Stop {
            break;
        }
    }
    Ok(walked)
}

/// The folder's path within the root and its real path.
pub(crate) fn folder(root: &Root, path: &str) -> Result<(String, PathBuf), ToolError> {
    let real = root.open_dir(path).map_err(|error| refused(root, path, error))?;
    Ok((crate::place::relative(root, path)?, real))
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
        text += &format!("[{} could not be read]\n", crate::text::count(walked.unread, "file or folder"));
    }
    text
}
