//! Why a task stopped. Whoever reads it is at a terminal or in a CI log, so each says what to do next where it can.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// Why a task stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Something must be installed that cannot be installed from here.
    #[error("{what} is missing: {fix}")]
    Missing {
        /// The program or library.
        what: String,
        /// One line: how to get it.
        fix: String,
    },
    /// A command could not be started.
    #[error("cannot start `{command}`: {source}")]
    Start {
        /// As a person would type it.
        command: String,
        /// Why.
        source: std::io::Error,
    },
    /// A command ended badly.
    #[error("`{command}` ended with {status}")]
    Ended {
        /// As a person would type it.
        command: String,
        /// Its exit code or signal.
        status: ExitStatus,
    },
    /// A file or folder.
    #[error("cannot {doing} `{}`: {source}", path.display())]
    Io {
        /// A verb: `read`, `create`.
        doing: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What was found is not what it must be.
    #[error("{0}")]
    Wrong(String),
}

/// Names the file or folder in an I/O error.
pub(crate) trait At<T> {
    /// `doing` is a verb that reads well after "cannot".
    fn at(self, doing: &'static str, path: &Path) -> Result<T, Failure>;
}

impl<T> At<T> for std::io::Result<T> {
    fn at(self, doing: &'static str, path: &Path) -> Result<T, Failure> {
        self.map_err(|source| Failure::Io { doing, path: path.to_owned(), source })
    }
}
