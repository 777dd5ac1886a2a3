//! The settings in force during a turn. They are part of its start, so that no later change of a settings file
//! alters what a replay decides.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{BlobId, Check, HookPoint, ModelId, Money, ResponseFormat, Tiers, ToolName};

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

/// How much of an answer is left to chance: from 0 (nothing) to 2, in hundredths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "f64", into = "f64")]
#[schemars(with = "f64")]
pub struct Temperature(u16);

impl Temperature {
    /// The most that any provider takes.
    const MAX: f64 = 2.0;

    /// In hundredths.
    #[must_use]
    pub fn hundredths(self) -> u16 {
        self.0
    }
}

impl TryFrom<f64> for Temperature {
    type Error = String;

    fn try_from(value: f64) -> Result<Self, String> {
        if !(0.0..=Self::MAX).contains(&value) {
            return Err(format!("a temperature is a number from 0 to {}, not {value}", Self::MAX));
        }
        // In range, and whole after rounding.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 200")]
        Ok(Self((value * 100.0).round() as u16))
    }
}

impl From<Temperature> for f64 {
    fn from(temperature: Temperature) -> Self {
        Self::from(temperature.0) / 100.0
    }
}

/// How one model is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Manner {
    /// How hard it should think; the provider's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<Effort>,
    /// Largest number of tokens of one answer; the provider's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output: Option<u32>,
    /// How much is left to chance; the provider's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<Temperature>,
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
    /// How much is left to chance; the provider's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<Temperature>,
    /// Largest number of steps (answers asked for, retries not counted).
    pub max_steps: u32,
    /// Longest time from the turn's start, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_time_ms: Option<u64>,
    /// Most money that the turn may cost, in millionths of a dollar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost: Option<Money>,
    /// Whether models without a known price may be asked under such a limit, which they then escape.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_unknown_price: bool,
    /// Models that go on where one before fails for good, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallback: Vec<ModelId>,
    /// The models that the prompt is routed to one of; it is asked of `model` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tiers: Option<Box<Tiers>>,
    /// How those of all of them are asked that are not asked as the first model is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub manners: BTreeMap<ModelId, Manner>,
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
    /// What the last answer must be.
    #[serde(default, skip_serializing_if = "ResponseFormat::is_text")]
    pub format: ResponseFormat,
    /// How failed requests are tried again.
    #[serde(default)]
    pub retry: Retry,
    /// Whether the answers come from cassettes, so that nothing is spent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
    /// What holds commands in.
    #[serde(default, skip_serializing_if = "Confinement::is_none")]
    pub confinement: Confinement,
    /// Whether the files are remembered before and after each call that could change them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub snapshots: bool,
    /// When the context gives way; never when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compaction: Option<Compaction>,
    /// The agent in force; `build` as it is built in when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// What the system prompt says after its own text: the agent's prompt, and the skills that there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supplement: Option<BlobId>,
    /// The points at which hooks are in force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<HookPoint>,
    /// What tells whether the work is right; nothing does when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
    /// Whether the turn ends with the first answer of which a call has written a file.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub single: bool,
    /// What small models among those that may be asked are told and offered; all are told and offered the same when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub small: Option<Box<Small>>,
}

/// Small models: they are told less, and offered fewer tools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Small {
    /// Which they are.
    pub models: Vec<ModelId>,
    /// The tools that they are offered.
    pub tools: Vec<ToolName>,
}

/// When the context gives way to less: outputs fold, then older messages become a summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Compaction {
    /// Most tokens of a request: the smallest window of the models that may be asked.
    pub window: u32,
    /// The share of it, in percent, from which on it does.
    pub share: u8,
}

/// What holds commands in, the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Confinement {
    /// Nothing.
    #[default]
    None,
    /// Landlock and seccomp alone, which leave gaps.
    Landlock,
    /// Namespaces, Landlock and seccomp.
    Namespaces,
}

impl Confinement {
    /// Whether nothing does.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }
}

impl TurnSettings {
    /// Whether this model of the turn's is a small one.
    #[must_use]
    pub fn is_small(&self, model: &ModelId) -> bool {
        self.small.as_ref().is_some_and(|small| small.models.contains(model))
    }

    /// The tools that this model of the turn's is offered; every one there is when absent.
    #[must_use]
    pub fn offered(&self, model: &ModelId) -> Option<Vec<ToolName>> {
        match &self.small {
            Some(small) if small.models.contains(model) => {
                // An agent may have narrowed them since.
                let offers = |tool: &&ToolName| self.tools.as_ref().is_none_or(|tools| tools.contains(tool));
                Some(small.tools.iter().filter(offers).cloned().collect())
            }
            _ => self.tools.clone(),
        }
    }

    /// What the system prompt for this model says after its own text. A small one is told of no skills.
    #[must_use]
    pub fn supplement_for(&self, model: &ModelId) -> Option<&BlobId> {
        self.supplement.as_ref().filter(|_| self.agent.is_some() || !self.is_small(model))
    }

    /// How this model of the turn's is asked.
    #[must_use]
    pub fn manner(&self, model: &ModelId) -> Manner {
        let Self { effort, max_output, temperature, .. } = *self;
        self.manners.get(model).copied().unwrap_or(Manner { effort, max_output, temperature })
    }
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
