//! Why a sandbox could not be set up: which step, what the kernel said, and what to do about it. A sandbox that
//! cannot be set up runs nothing.

use std::io;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// A step that failed. Travels from the processes inside to the one outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("cannot set up the sandbox: {step}: {cause}")]
pub struct Fault {
    /// What was being done, to what.
    pub step: String,
    /// What was wrong.
    pub cause: String,
    /// What to do next.
    pub cure: Option<String>,
    /// Whether namespaces are what cannot be had here.
    pub no_namespaces: bool,
}

impl Fault {
    /// A fault in our own words.
    pub(crate) fn new(step: impl Into<String>, cause: impl Into<String>) -> Self {
        Self { step: step.into(), cause: cause.into(), cure: None, no_namespaces: false }
    }

    /// A fault of the system's.
    pub(crate) fn of(step: impl Into<String>, cause: impl Into<io::Error>) -> Self {
        Self::new(step, cause.into().to_string())
    }

    /// The same, with what to do about it.
    pub(crate) fn with_cure(self, cure: impl Into<String>) -> Self {
        Self { cure: Some(cure.into()), ..self }
    }

    /// New namespaces were refused.
    pub(crate) fn namespaces(errno: Errno) -> Self {
        let cure = match errno {
            Errno::PERM => {
                "`codetether sandbox doctor` says what forbids them here; `--tier landlock` does without, with gaps"
            }
            Errno::NOSPC | Errno::USERS => {
                "raise `/proc/sys/user/max_user_namespaces` and the like, or use `--tier landlock`"
            }
            Errno::INVAL => "this kernel has no user namespaces; `--tier landlock` does without, with gaps",
            _ => "`codetether sandbox doctor` looks into it",
        };
        let step = "making user, mount, process, network, ipc, uts and cgroup namespaces";
        Self { no_namespaces: true, ..Self::of(step, errno).with_cure(cure) }
    }

    /// Namespaces could be made, and then nothing could be done in them: so AppArmor forbids them.
    pub(crate) fn powerless(self) -> Self {
        let cure = "a security module allows no rights in user namespaces; `codetether sandbox doctor` has a profile for AppArmor, and `--tier landlock` does without them, with gaps";
        Self { no_namespaces: true, ..self.with_cure(cure) }
    }
}

/// Says what was being done when something went wrong.
pub(crate) trait Doing<T> {
    /// The step, made only when it is needed.
    fn doing<S: Into<String>>(self, step: impl FnOnce() -> S) -> Result<T, Fault>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing<S: Into<String>>(self, step: impl FnOnce() -> S) -> Result<T, Fault> {
        self.map_err(|error| Fault::of(step(), error))
    }
}
