//! Processes that outlive the call that started them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ItemId;

/// A process in the background. Its item is the call that started it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type")]
pub enum ProcessEvent {
    /// It is about to run.
    #[serde(rename = "process.started")]
    Started {
        /// The process.
        item: ItemId,
        /// What it runs.
        command: String,
        /// In the environment of all that it starts, so that survivors of a crash are found.
        marker: String,
        /// Whether it reaches nothing but the workspace.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        confined: bool,
    },
    /// It ended.
    #[serde(rename = "process.exited")]
    Exited {
        /// The process.
        item: ItemId,
        /// How.
        status: ProcessStatus,
        /// What the sandbox did when it had ended, a line each.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
    },
    /// It is gone without an end of its own: with its sandbox, or with the program.
    #[serde(rename = "process.lost")]
    Lost {
        /// The process.
        item: ItemId,
        /// Why, in words.
        why: String,
    },
    /// The result of a call told the model that it is gone.
    #[serde(rename = "process.told")]
    Told {
        /// The process.
        item: ItemId,
    },
}

/// How a process in the background ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ProcessStatus {
    /// By itself.
    Code {
        /// Its exit code.
        code: i32,
    },
    /// By a signal that nobody here sent.
    Signal {
        /// Which.
        signal: i32,
    },
    /// The time that its call gave it was up.
    TimedOut,
    /// A call ended it.
    Killed,
    /// The session ended, and it with the session.
    Closed,
}

impl std::fmt::Display for ProcessStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code { code } => write!(f, "ended with exit code {code}"),
            Self::Signal { signal } => write!(f, "was ended by signal {signal}"),
            Self::TimedOut => f.write_str("was ended when its time was up"),
            Self::Killed => f.write_str("was killed, as asked"),
            Self::Closed => f.write_str("was ended with the session"),
        }
    }
}
