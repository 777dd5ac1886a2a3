//! What can go wrong with a journal. One failure may answer several callers, so errors can be cloned.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use codetether_event::{Seq, SessionId};
use codetether_files::LockError;

/// A journal could not be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("{0}")]
    File(Arc<codetether_files::Error>),
    /// Another writer has the session.
    #[error("session {id} is in use by {owner}")]
    Locked {
        /// The session.
        id: SessionId,
        /// Process id, and what the owner says it is.
        owner: String,
    },
    /// There is no such session.
    #[error("there is no session {id}")]
    NotFound {
        /// The session.
        id: SessionId,
    },
    /// A new session has the id of an old one.
    #[error("there is a session {id} already")]
    Exists {
        /// The session.
        id: SessionId,
    },
    /// Something whole follows what is not: no crash does this.
    #[error("`{}` is damaged at line {line} (byte {offset}): {reason}", path.display())]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// Where the line begins.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A line is whole, but this build can make nothing of the record in it: nothing is lost.
    #[error("cannot read `{}` from line {line} on: {reason}", path.display())]
    Newer {
        /// The journal.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// What this build does not know.
        reason: String,
    },
    /// The caller's records do not follow on the journal's last one.
    #[error("cannot append record {got}: the next one is {expected}")]
    Sequence {
        /// Of the first that does not fit.
        got: Seq,
        /// The one that would fit.
        expected: Seq,
    },
    /// A record would be larger than readers accept.
    #[error("cannot append record {seq}: it has {bytes} bytes, at most {max} fit")]
    TooLarge {
        /// Of the record.
        seq: Seq,
        /// Length of its line.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// A record has no form in JSON.
    #[error("cannot append record {seq}: {reason}")]
    Encode {
        /// Of the record.
        seq: Seq,
        /// Why not.
        reason: String,
    },
    /// An earlier failure left open what the disk holds; opening the session again finds out.
    #[error("cannot append to `{}` any more, open the session again: {reason}", path.display())]
    Broken {
        /// The journal.
        path: PathBuf,
        /// The earlier failure.
        reason: String,
    },
    /// Too many callers wait for the same sync.
    #[error("too many syncs of `{}` are waiting", path.display())]
    Busy {
        /// The journal.
        path: PathBuf,
    },
    /// A fork reaches beyond the journal's end.
    #[error("session {id} has no record {seq}: its last one is {last}")]
    NoRecord {
        /// The session.
        id: SessionId,
        /// The record asked for.
        seq: Seq,
        /// The last there is.
        last: Seq,
    },
    /// The system gave no thread to write with.
    #[error("cannot start the journal's writer: {0}")]
    Thread(String),
    /// The thread that writes is gone.
    #[error("the journal's writer has ended")]
    Ended,
}

impl Error {
    /// Whether there was no room: a full disk, an exhausted quota, a file larger than its limit.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::File(error) if error.is_full())
    }

    /// What the user can do about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Damaged { path, .. } => {
                let id = path.parent().and_then(Path::file_name)?.to_string_lossy();
                Some(format!(
                    "`codetether session repair {id}` keeps the sound part, and a copy of the whole"
                ))
            }
            Self::Newer { .. } => {
                Some("a newer version of codetether wrote it and can read it: update this one".to_owned())
            }
            Self::Locked { .. } => Some("end that process, or fork the session with `--fork`".to_owned()),
            _ if self.is_full() => Some("make room on the disk; the session can be resumed then".to_owned()),
            _ => None,
        }
    }

    pub(crate) fn lock(id: SessionId, error: LockError) -> Self {
        match error {
            LockError::Held { owner, .. } => Self::Locked { id, owner },
            LockError::File(error) if error.is_not_found() => Self::NotFound { id },
            LockError::File(error) => error.into(),
        }
    }
}

impl From<codetether_files::Error> for Error {
    fn from(error: codetether_files::Error) -> Self {
        Self::File(Arc::new(error))
    }
}
