//! What can go wrong with the ledger, and what it has to tell.

use std::path::{Path, PathBuf};

use codetether_event::{ItemId, Money, SessionId};

use crate::Scope;

/// The ledger could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A newer build made it; this one would not understand what is in it.
    #[error(
        "the ledger `{}` has version {found}, and this build knows versions up to {known}: use the newer build",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The last version known here.
        known: i64,
    },
    /// The item has a lease, or was settled.
    #[error("money for item {item} of session {session} was reserved before")]
    Twice {
        /// The session.
        session: SessionId,
        /// The item.
        item: ItemId,
    },
    /// It is in use for too long, there is no room, it may not be read or written, or the like.
    #[error("cannot use the ledger `{}`: {cause}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// SQLite's words.
        cause: rusqlite::Error,
    },
    /// The file could not be made or put aside.
    #[error(transparent)]
    Files(#[from] codetether_files::Error),
    /// The lock for putting a damaged ledger aside could not be had.
    #[error(transparent)]
    Lock(#[from] codetether_files::LockError),
}

impl Error {
    pub(crate) fn sqlite(path: &Path, cause: rusqlite::Error) -> Self {
        Self::Sqlite { path: path.to_owned(), cause }
    }
}

/// A damaged ledger was put aside, and an empty one begun. What was spent before does not count until
/// [`Ledger::rebuild`](crate::Ledger::rebuild) has read it from the journals.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the ledger of what was spent was damaged: it is kept as `{}`, and a new one was begun without what was spent before",
    aside.display()
)]
pub struct Rebuilt {
    /// Where the damaged file is.
    pub aside: PathBuf,
}

/// A limit that would not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the next request may cost up to {asked}, and of {max} for {scope} {spent} is spent and {reserved} is reserved"
)]
pub struct Refused {
    /// What it counts.
    pub scope: Scope,
    /// The most.
    pub max: Money,
    /// What was spent.
    pub spent: Money,
    /// What is set aside for requests under way.
    pub reserved: Money,
    /// What was asked for.
    pub asked: Money,
}

/// Why nothing was set aside.
#[derive(Debug, thiserror::Error)]
pub enum ReserveError {
    /// A limit would not hold.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The ledger could not be used.
    #[error(transparent)]
    Ledger(#[from] Error),
}
