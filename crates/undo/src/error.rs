//! What can go wrong with snapshots and restoring.

use std::path::PathBuf;

use codetether_files::LockError;

use crate::SnapshotId;

/// Something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file, be it of the tree or of the store.
    #[error(transparent)]
    File(#[from] codetether_files::Error),
    /// Another process has what only one may have.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The store has no such snapshot; it may have been collected.
    #[error("there is no snapshot `{id}` any more")]
    NoSnapshot {
        /// Which.
        id: SnapshotId,
    },
    /// A file of the store does not hold what its name says.
    #[error("`{}` is damaged: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// In what way.
        why: &'static str,
    },
    /// What a snapshot says of a file is not there any more.
    #[error("the content of `{}` as it was is lost", path.display())]
    Lost {
        /// The file, below the root.
        path: PathBuf,
    },
    /// A folder that is too large to be a working tree.
    #[error("`{}` holds more than {max} files; start in a smaller folder, or ignore what is generated", root.display())]
    TooMany {
        /// The folder.
        root: PathBuf,
        /// The bound.
        max: usize,
    },
    /// Not 64 hexadecimal digits.
    #[error("`{}` is not the id of a snapshot", text.escape_debug())]
    NotAnId {
        /// As it was given.
        text: String,
    },
    /// The name of a session that cannot be a file's name.
    #[error("`{}` cannot name a session here: use letters, digits, `-` and `_`", name.escape_debug())]
    BadName {
        /// As it was given.
        name: String,
    },
    /// A restore was begun and not finished.
    #[error("an undo in `{}` was interrupted; it has to be finished first", root.display())]
    Unfinished {
        /// The working tree.
        root: PathBuf,
    },
}

impl Error {
    /// Whether there was no room on the disk.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::File(error) | Self::Lock(LockError::File(error)) => error.is_full(),
            _ => false,
        }
    }
}
