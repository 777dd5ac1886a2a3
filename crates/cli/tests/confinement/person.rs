//! On whose behalf the suite runs: who runs it, or, where that is root, a normal user, too.

use std::ffi::OsStr;
use std::process::Command;

/// The number of the normal user; whether it has a name does not matter.
const NORMAL: &str = "1000";

/// Whose command it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Person {
    /// Who runs the suite.
    Runner,
    /// Somebody without power, where root runs the suite.
    Normal,
}

impl Person {
    /// Whether it has root's power.
    pub(crate) fn is_root(self) -> bool {
        self == Self::Runner && rustix::process::geteuid().is_root()
    }

    /// A command as this person.
    pub(crate) fn command(self, program: impl AsRef<OsStr>) -> Command {
        match self {
            Self::Runner => Command::new(program),
            Self::Normal => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", NORMAL, "--regid", NORMAL, "--clear-groups", "--"]).arg(program);
                command
            }
        }
    }

    /// What to call it in tables.
    pub(crate) fn name(self) -> &'static str {
        if self.is_root() { "root" } else { "a normal user" }
    }
}
