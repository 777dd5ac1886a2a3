//! What happens to the workspace's files as a whole: snapshots, and taking changes back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ItemId, Principal, Seq, SnapshotId};

/// What happens to the workspace's files as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type")]
pub enum FilesEvent {
    /// A snapshot was taken.
    #[serde(rename = "files.snapshot")]
    Snapshot {
        /// The item that took it.
        item: ItemId,
        /// Which it is; the last one's where nothing changed since.
        id: SnapshotId,
    },
    /// Someone wants changes taken back, or done again.
    #[serde(rename = "files.asked")]
    Asked {
        /// Which, and how.
        wish: Restore,
        /// Who.
        by: Principal,
    },
    /// That is about to be done.
    #[serde(rename = "files.restoring")]
    Restoring {
        /// The item.
        item: ItemId,
        /// The files before it.
        before: SnapshotId,
    },
    /// It is done.
    #[serde(rename = "files.restored")]
    Restored {
        /// The item.
        item: ItemId,
        /// The files after it.
        after: SnapshotId,
        /// What was changed, relative to the root.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        changed: Vec<String>,
        /// What was left as it is, since the user has changed it since.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        kept: Vec<String>,
    },
}

/// Changes that are to be taken back, or done again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Restore {
    /// Which.
    pub what: Which,
    /// Only in these files, relative to the root; in all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// What becomes of files that the user has changed since.
    pub conflicts: OnConflict,
    /// The conversation goes back as well, to before this record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewind: Option<Seq>,
}

/// Which changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Which {
    /// Those of these calls are taken back.
    Undo {
        /// The calls.
        calls: Vec<ItemId>,
    },
    /// What was taken back last is done again.
    Redo,
}

/// What becomes of a file that the user has changed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// It stays as it is.
    Keep,
    /// It becomes what it was before; the user's version is in the snapshot before.
    Overwrite,
    /// It becomes what it was before, and the user's version is kept beside it.
    Both,
}
