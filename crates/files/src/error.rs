//! What can go wrong with files: always says what was being done, and to which path.

use std::io;
use std::path::{Path, PathBuf};

/// Something could not be done to a path.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} `{}`: {}", path.display(), plain(cause))]
pub struct Error {
    action: &'static str,
    path: PathBuf,
    cause: io::Error,
}

impl Error {
    /// For those who work on an open file: `action` completes "cannot … `path`".
    pub fn new(action: &'static str, path: impl Into<PathBuf>, cause: impl Into<io::Error>) -> Self {
        Self { action, path: path.into(), cause: cause.into() }
    }

    pub(crate) fn of<E: Into<io::Error>>(action: &'static str, path: &Path) -> impl FnOnce(E) -> Self {
        move |cause| Self::new(action, path, cause)
    }

    /// The kind of failure.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.cause.kind()
    }

    /// The path that something was being done to.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there was no room: a full disk, an exhausted quota, a file larger than its limit.
    #[must_use]
    pub fn is_full(&self) -> bool {
        is_full(&self.cause)
    }

    /// Whether the path does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.kind() == io::ErrorKind::NotFound
    }
}

pub(crate) fn is_full(cause: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(cause.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// The system's words without the number that `std` puts behind them.
fn plain(cause: &io::Error) -> String {
    let text = cause.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// A path could not be used within a [`Root`](crate::Root).
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// It leads out of the root, by `..`, as an absolute path or through a symbolic link.
    #[error("`{path}` is outside the workspace")]
    Outside {
        /// As it was given.
        path: String,
    },
    /// It cannot be a path.
    #[error("`{}` is not a path: it holds a NUL character", path.escape_debug())]
    Invalid {
        /// As it was given.
        path: String,
    },
    /// There is something there by now, and nothing was to be.
    #[error("`{path}` is there by now, and was not before: it is left as it is")]
    Exists {
        /// As it was given.
        path: String,
    },
    /// There is nothing there.
    #[error("there is no `{path}`")]
    NotFound {
        /// As it was given.
        path: String,
    },
    /// A file was wanted.
    #[error("`{path}` is a folder")]
    IsDirectory {
        /// As it was given.
        path: String,
    },
    /// A folder was wanted.
    #[error("`{path}` is not a folder")]
    NotADirectory {
        /// As it was given.
        path: String,
    },
    /// It is a pipe, a device or a socket.
    #[error("`{path}` is not a regular file")]
    NotAFile {
        /// As it was given.
        path: String,
    },
    /// It is larger than the reader can take.
    #[error("`{path}` is too large: {bytes} bytes, at most {max} can be read")]
    TooLarge {
        /// As it was given.
        path: String,
        /// Its size, or how much had been seen of it when it was given up.
        bytes: u64,
        /// The bound.
        max: u64,
    },
    /// Anything else.
    #[error(transparent)]
    Io(#[from] Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_in_plain_words() {
        let full = Error::new("write", "/x/y", io::Error::from(rustix::io::Errno::NOSPC));
        assert_eq!(full.to_string(), "cannot write `/x/y`: No space left on device");
        assert!(full.is_full());
        for other in [rustix::io::Errno::DQUOT, rustix::io::Errno::FBIG] {
            assert!(Error::new("write", "/x", other).is_full(), "{other}");
        }
        assert!(!Error::new("write", "/x", rustix::io::Errno::ACCESS).is_full());
    }
}
