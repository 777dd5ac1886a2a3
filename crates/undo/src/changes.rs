//! What differs between two snapshots, for people and for those who show a diff.

use std::path::PathBuf;

use crate::entry::Entry;
use crate::store::Trees;
use crate::tree::os;
use crate::{Error, SnapshotId, Undo};

/// A path, and what it was before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Below the root.
    pub path: PathBuf,
    /// `None` when there was nothing.
    pub before: Option<Entry>,
    /// `None` when there is nothing any more.
    pub after: Option<Entry>,
}

pub(crate) fn between(undo: &Undo, from: &SnapshotId, to: &SnapshotId) -> Result<Vec<Change>, Error> {
    let mut trees = Trees::of(&undo.store);
    let ((from, _), (to, _)) = (trees.get(from)?, trees.get(to)?);
    let mut changes: Vec<_> = from
        .differences(&to)
        .into_iter()
        .map(|found| Change { path: os(&found.path).to_owned(), before: found.here, after: found.there })
        .collect();
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(changes)
}
