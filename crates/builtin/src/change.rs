//! Changes of several files as one: all are made, or those that were made are put back.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;

use codetether_event::KnownFile;
use codetether_files::{Permissions, Root, RootError};
use codetether_tool::ToolError;

use crate::known::{self, Standing};
use crate::place::refused;

/// Most bytes that all files of one call hold together, before and after.
pub(crate) const TOTAL_MAX: usize = 128 << 20;

/// What becomes of one file.
pub(crate) struct Change {
    /// Relative to the root.
    pub(crate) path: String,
    /// What it holds, and the bits of its permissions; nothing where there is none.
    pub(crate) before: Option<(Vec<u8>, u32)>,
    /// What it is to hold; nothing where it is removed.
    pub(crate) after: Option<(Vec<u8>, Permissions)>,
    /// The file that it was until now.
    pub(crate) moved_from: Option<String>,
    /// Whether the model knew the whole of what it is made of.
    pub(crate) standing: Standing,
}

impl Change {
    /// What the model knows after it. Of a file that it did not know before it still knows no more than the change.
    fn known(&self) -> Option<KnownFile> {
        match (&self.after, self.standing) {
            (None, _) => Some(known::forgotten(self.path.clone())),
            (Some((bytes, _)), Standing::Same) => Some(known::learnt(self.path.clone(), bytes)),
            (Some(_), Standing::Unknown | Standing::Changed) => None,
        }
    }
}

/// What the model knows after all of them.
pub(crate) fn known(changes: &[Change]) -> Vec<KnownFile> {
    changes.iter().filter_map(Change::known).collect()
}

/// Makes all changes. Files are written first and removed last, so that no content is without a place.
///
/// # Errors
/// When one cannot be made; then all others are as they were, or the error names those that are not.
pub(crate) fn make(root: &Root, changes: &[Change]) -> Result<(), ToolError> {
    distinct(root, changes)?;
    let (written, removed): (Vec<&Change>, Vec<&Change>) =
        changes.iter().partition(|change| change.after.is_some());
    let mut made: Vec<&Change> = Vec::new();
    let mut folders = BTreeSet::new();
    for change in written.into_iter().chain(removed) {
        let done = match &change.after {
            Some((bytes, permissions)) => {
                match change.before {
                    Some(_) => root.write_as(&change.path, bytes, *permissions),
                    // What has come there since it was looked at is not overwritten.
                    None => {
                        folders.extend(missing_folders(root, &change.path));
                        root.create_as(&change.path, bytes, *permissions)
                    }
                }
            }
            None => root.remove(&change.path),
        };
        let Err(error) = done else {
            made.push(change);
            continue;
        };
        let why = refused(root, &change.path, error);
        let left = put_back(root, &made, &folders);
        let told = match (made.is_empty(), left.is_empty()) {
            (true, _) => return Err(why),
            (false, true) => "what was written before it was put back, so no file has changed".to_owned(),
            (false, false) => {
                format!("what was written before it could not all be put back: {}", left.join("; "))
            }
        };
        return Err(ToolError::ForModel(format!("{why}; {told}")));
    }
    Ok(())
}

/// An error when two paths lead to one file: what is written last would undo what was written before.
fn distinct(root: &Root, changes: &[Change]) -> Result<(), ToolError> {
    let mut seen: BTreeMap<(u64, u64), &str> = BTreeMap::new();
    for Change { path, .. } in changes.iter().filter(|change| change.before.is_some()) {
        let file = root.metadata(path).map_err(|error| refused(root, path, error))?;
        if let Some(other) = seen.insert((file.dev(), file.ino()), path) {
            return Err(ToolError::ForModel(format!(
                "`{other}` and `{path}` are one file: change it by one of its names"
            )));
        }
    }
    Ok(())
}

/// Takes changes back, the last first; gives what stood in the way.
fn put_back(root: &Root, made: &[&Change], folders: &BTreeSet<String>) -> Vec<String> {
    let mut left = Vec::new();
    for change in made.iter().rev() {
        let undone = match &change.before {
            Some((bytes, mode)) => root.write_as(&change.path, bytes, Permissions::Exactly(*mode)),
            None => root.remove(&change.path),
        };
        left.extend(undone.err().map(|error| error.to_string()));
    }
    for folder in folders.iter().rev() {
        // It may never have been made, or hold something else by now.
        let _ = root.remove_folder(folder);
    }
    left
}

/// The folders above a path that are not there, which writing it would make.
fn missing_folders(root: &Root, path: &str) -> Vec<String> {
    let is_missing = |folder: &&str| matches!(root.metadata(folder), Err(RootError::NotFound { .. }));
    let above = path.char_indices().filter(|(_, c)| *c == '/').filter_map(|(at, _)| path.get(..at));
    above.filter(is_missing).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_since_the_plan_was_made_is_not_overwritten_and_the_rest_is_put_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let root = Root::open(dir.path()).unwrap();
        root.write("old", b"old").unwrap();
        let change = |name: &str, before: Option<&str>| Change {
            path: name.to_owned(),
            before: before.map(|bytes| (bytes.into(), 0o644)),
            after: Some((b"ours".to_vec(), Permissions::Kept)),
            moved_from: None,
            standing: Standing::Same,
        };
        let planned = [change("new/first", None), change("old", Some("old")), change("taken", None)];
        root.write("taken", b"theirs").unwrap();
        let error = make(&root, &planned).unwrap_err().to_string();
        assert_eq!(
            error,
            "`taken` is there by now, and was not before: it is left as it is; what was written before it was put back, so no \
             file has changed"
        );
        let read = |name: &str| std::fs::read_to_string(path(name)).unwrap();
        assert_eq!((read("taken").as_str(), read("old").as_str()), ("theirs", "old"));
        assert!(!path("new").exists());
    }
}
