//! The settings in force during a turn. They are part of its start, so that no later change of a settings file
//! alters what a replay decides.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ModelId, ToolName};

/// What may happen without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Reads only: whatever could write is refused.
    Plan,
    /// Reads run; writes and commands ask.
    Ask,
    /// Reads and writes inside the workspace run; commands ask.
    AutoEdit,
    /// Everything runs that no rule denies.
    Bypass,
}

impl Mode {
    /// The name used in flags, settings and the journal.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Ask => "ask",
            Self::AutoEdit => "auto-edit",
            Self::Bypass => "bypass",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How hard a reasoning model should think.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    /// As little as the model allows.
    Minimal,
    /// Little.
    Low,
    /// The middle.
    Medium,
    /// Much.
    High,
}

impl Effort {
    /// The name used in flags, settings, the journal and OpenAI's wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// The settings of one turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TurnSettings {
    /// The model that is asked.
    pub model: ModelId,
    /// What may happen without asking.
    pub mode: Mode,
    /// How hard the model should think; the provider's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<Effort>,
    /// Largest number of tokens of one answer; the provider's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output: Option<u32>,
    /// Largest number of steps (answers asked for, retries not counted).
    pub max_steps: u32,
    /// Longest time from the turn's start, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_time_ms: Option<u64>,
    /// The tools offered; every one there is when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<ToolName>>,
    /// Permission rules that allow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// Permission rules that ask; they outrank those that allow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ask: Vec<String>,
    /// Permission rules that deny; they outrank all others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<String>,
    /// How failed requests are tried again.
    #[serde(default)]
    pub retry: Retry,
}

/// How failed requests are tried again: after `base_ms` doubled at each try, or what the server asked for, plus
/// up to a quarter of it by chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Retry {
    /// Tries of one step, the first among them.
    pub max_tries: u32,
    /// Milliseconds before the second try.
    pub base_ms: u64,
    /// Longest time from the first failure of a step to the start of its last try, in milliseconds.
    pub max_total_ms: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Self { max_tries: 6, base_ms: 500, max_total_ms: 300_000 }
    }
}
