//! A command that tells whether the work is right.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A command that tells whether the work of a turn is right: by exit code 0, and by nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// What `bash` runs.
    pub command: String,
    /// Longest run, in milliseconds.
    #[serde(default = "Check::usual_time")]
    pub time_ms: u64,
    /// Whether it runs before the model is asked, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub first: bool,
    /// Whether it runs at the end also where no call has changed a file.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub always: bool,
    /// How often the model is told that it fails, and the turn goes on; with 0 the turn ends when it fails.
    #[serde(default = "Check::usual_rounds")]
    pub rounds: u32,
    /// Which of the tries the turn is, where a try that fails is taken back and made anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tries: Option<Tries>,
}

impl Check {
    /// How long it may take where nothing else is said: ten minutes.
    pub const TIME_MS: u64 = 600_000;

    /// How often the model is told where nothing else is said.
    pub const ROUNDS: u32 = 3;

    fn usual_time() -> u64 {
        Self::TIME_MS
    }

    fn usual_rounds() -> u32 {
        Self::ROUNDS
    }
}

/// Which of how many tries a turn is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tries {
    /// From 1 on.
    pub number: u32,
    /// Most tries.
    pub most: u32,
}

impl Tries {
    /// Most tries that can be asked for.
    pub const MOST: u32 = 20;
}

/// When a check ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CheckPoint {
    /// Before the model was asked.
    First,
    /// Where the turn would end.
    End,
}

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CheckStatus {
    /// By itself; it passed if the code is 0.
    Exited {
        /// The exit code.
        code: i32,
    },
    /// By a signal.
    Killed {
        /// The signal.
        signal: i32,
    },
    /// It ran out of time and was ended.
    TimedOut,
    /// It was not run: a rule denies it, or it could not be started.
    NotRun {
        /// Why.
        why: String,
    },
}

impl CheckStatus {
    /// Whether the work is right.
    #[must_use]
    pub fn passed(&self) -> bool {
        matches!(self, Self::Exited { code: 0 })
    }

    /// The exit code, where it ended by itself.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Exited { code } => Some(*code),
            Self::Killed { .. } | Self::TimedOut | Self::NotRun { .. } => None,
        }
    }
}

impl fmt::Display for CheckStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited { code: 0 } => f.write_str("passes"),
            Self::Exited { code } => write!(f, "fails with exit code {code}"),
            Self::Killed { signal } => write!(f, "was ended by signal {signal}"),
            Self::TimedOut => f.write_str("was ended, since it took longer than it may"),
            Self::NotRun { why } => write!(f, "was not run: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exit_code_0_passes() {
        let not_run = CheckStatus::NotRun { why: "a rule".into() };
        for status in [
            CheckStatus::Exited { code: 1 },
            CheckStatus::Exited { code: -1 },
            CheckStatus::Killed { signal: 9 },
            CheckStatus::TimedOut,
            not_run,
        ] {
            assert!(!status.passed(), "{status}");
        }
        assert!(CheckStatus::Exited { code: 0 }.passed());
    }

    #[test]
    fn what_is_left_out_is_the_usual() {
        let check: Check = serde_json::from_str(r#"{"command":"make"}"#).unwrap();
        assert_eq!((check.time_ms, check.rounds), (Check::TIME_MS, Check::ROUNDS));
        assert!(!check.first && !check.always && check.tries.is_none());
    }
}
