//! Which size of model a job goes to: the models that the settings name for it, how it was decided, and why a larger one
//! took over.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ModelId, Money, ProviderFailure};

/// A size of model. What each is, the user's settings say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Cheap or local, and quick.
    Small,
    /// The usual one.
    Main,
    /// For what the usual one does not do.
    Heavy,
}

impl Tier {
    /// Its name in settings and records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Main => "main",
            Self::Heavy => "heavy",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The models that a turn may be routed to. The one in the middle is that of the turn's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tiers {
    /// The small one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub small: Option<Candidate>,
    /// The usual one.
    pub main: Candidate,
    /// The one for what the usual one does not do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heavy: Option<Candidate>,
}

impl Tiers {
    /// The model of a tier.
    #[must_use]
    pub fn get(&self, tier: Tier) -> Option<&Candidate> {
        match tier {
            Tier::Small => self.small.as_ref(),
            Tier::Main => Some(&self.main),
            Tier::Heavy => self.heavy.as_ref(),
        }
    }

    /// The next larger one that there is.
    #[must_use]
    pub fn above(&self, tier: Tier) -> Option<(Tier, &Candidate)> {
        let larger = [Tier::Main, Tier::Heavy].into_iter().filter(|larger| *larger > tier);
        larger.filter_map(|larger| Some((larger, self.get(larger)?))).next()
    }

    /// All that there are, the smallest first.
    pub fn all(&self) -> impl Iterator<Item = (Tier, &Candidate)> {
        let tiers = [Tier::Small, Tier::Main, Tier::Heavy];
        tiers.into_iter().filter_map(|tier| Some((tier, self.get(tier)?)))
    }
}

/// A model of a tier, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Candidate {
    /// The model.
    pub model: ModelId,
    /// Whether it runs on this machine, inside this program.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub embedded: bool,
    /// Most tokens of a prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<u32>,
    /// Whether it takes images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<bool>,
    /// What it costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rates: Option<TierRates>,
}

/// What a model costs, in millionths of a dollar per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TierRates {
    /// Tokens of the prompt.
    pub input: Money,
    /// Tokens of the answer.
    pub output: Money,
    /// Tokens of the prompt that a cache gave.
    pub cache_read: Money,
}

/// What was decided of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Routed {
    /// Who set the job: `prompt`, or `summary` for one that takes the place of older messages.
    pub job: RoutedJob,
    /// Where it goes.
    pub tier: Tier,
    /// The model of that.
    pub model: ModelId,
    /// What decided.
    pub rule: RouteRule,
    /// What the prompt asks for, as far as its words tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// How probable it is that the small model is not enough, in thousandths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<u16>,
    /// What that was read off, in thousandths, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub features: BTreeMap<String, i64>,
    /// What the model costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rates: Option<TierRates>,
    /// What would have been asked else: the usual model where it is another, else the small one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<Alternative>,
}

/// A model that was not chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Alternative {
    /// Its tier.
    pub tier: Tier,
    /// The model.
    pub model: ModelId,
    /// What it costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rates: Option<TierRates>,
}

/// Who set a job that was routed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoutedJob {
    /// A person or another agent did, by a prompt.
    Prompt,
    /// The program did: a summary in the place of older messages.
    Summary,
}

/// What decided where a job goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RouteRule {
    /// The kind of job.
    Kind,
    /// What there is to read does not fit the small model's window.
    Window,
    /// There are images, which the small model cannot see.
    Images,
    /// The conversation is in the larger model's cache, and reading it anew would cost more than is saved.
    Warm,
    /// The head, by the score.
    Score,
}

/// Why a turn goes on with a larger model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Evidence {
    /// It made calls that cannot be made, twice.
    InvalidCalls,
    /// The check failed again after it was told.
    CheckFailed,
    /// It made the same call again and again.
    NoProgress,
    /// It gave no summary.
    NoSummary,
    /// It could not be asked.
    Failed {
        /// How that failed.
        failure: ProviderFailure,
    },
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidCalls => f.write_str("it made calls that cannot be made"),
            Self::CheckFailed => f.write_str("the check failed again"),
            Self::NoProgress => f.write_str("it went in circles"),
            Self::NoSummary => f.write_str("it gave no summary"),
            Self::Failed { failure } => write!(f, "it could not be asked: {}", failure.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_larger_tier_is_one_that_there_is() {
        let candidate = |model: &str| Candidate {
            model: ModelId::new(model),
            embedded: false,
            window: None,
            images: None,
            rates: None,
        };
        let mut tiers = Tiers { small: Some(candidate("a/s")), main: candidate("a/m"), heavy: None };
        assert_eq!(tiers.above(Tier::Small).map(|(tier, _)| tier), Some(Tier::Main));
        assert_eq!(tiers.above(Tier::Main), None);
        tiers.heavy = Some(candidate("a/h"));
        assert_eq!(tiers.above(Tier::Main).map(|(_, found)| found.model.as_str()), Some("a/h"));
        assert_eq!(tiers.all().count(), 3);
    }
}
