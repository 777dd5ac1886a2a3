//! What can go wrong around a command. A command that ran and failed is no error here.

use std::path::PathBuf;

/// Why a command could not be run or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The argument list was empty.
    #[error("there is no program to run")]
    Empty,
    /// No such program.
    #[error("cannot run `{program}`: there is no such program in PATH")]
    NotFound {
        /// As it was asked for.
        program: String,
    },
    /// The folder to run it in is not there.
    #[error("cannot run `{program}` in `{dir}`: there is no such folder")]
    NoFolder {
        /// As it was asked for.
        program: String,
        /// Where.
        dir: PathBuf,
    },
    /// The kernel refused to start it: too many processes, arguments too long, no right to execute.
    #[error("cannot run `{program}`: {source}")]
    Start {
        /// As it was asked for.
        program: String,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// It could not be run in the sandbox.
    #[error("cannot run `{program}` in the sandbox: {cause}")]
    Confine {
        /// As it was asked for.
        program: String,
        /// Why.
        cause: String,
    },
    /// It runs or ran, but watching it failed. Its process group was killed.
    #[error("cannot watch `{program}`: {source}")]
    Watch {
        /// As it was asked for.
        program: String,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The list of processes cannot be read.
    #[error("cannot look for processes in `/proc`: {0}")]
    Processes(std::io::Error),
    /// New marked processes appeared faster than they could be killed, or one would not die.
    #[error("{count} processes with `{name}={value}` are still alive after being killed for two seconds")]
    Survivors {
        /// How many were seen last.
        count: usize,
        /// The variable.
        name: String,
        /// Its value.
        value: String,
    },
}
