//! What an answer must be, how a provider was made to give it, and what came of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a turn's last answer must be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ResponseFormat {
    /// Text, as the model likes.
    #[default]
    Text,
    /// Some JSON value.
    Json,
    /// A JSON value that fits a schema.
    Schema {
        /// Names it to the provider: letters, digits, `_` and `-`, at most 64.
        name: String,
        /// JSON Schema (2020-12). What answers are checked with, whatever the provider takes.
        schema: Box<Value>,
        /// Refuse to ask where the provider would not enforce the schema by itself.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        strict: bool,
    },
}

impl ResponseFormat {
    /// Whether answers are as the model likes.
    #[must_use]
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Text)
    }
}

/// How a provider is made to give such an answer, the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// The provider enforces the schema.
    #[default]
    Native,
    /// The answer is the call of a tool whose arguments it is.
    Tool,
    /// The provider enforces JSON; the schema is in the prompt.
    Json,
    /// The schema is in the prompt.
    Prompt,
}

impl Way {
    /// The next, where this one is not to be had.
    #[must_use]
    pub fn below(self) -> Option<Self> {
        match self {
            Self::Native => Some(Self::Tool),
            Self::Tool => Some(Self::Json),
            Self::Json => Some(Self::Prompt),
            Self::Prompt => None,
        }
    }

    /// Its name in the journal.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Tool => "tool",
            Self::Json => "json",
            Self::Prompt => "prompt",
        }
    }
}

/// How far an answer had to be helped before it fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// Not at all.
    Strict,
    /// Its form was mended: a fence, prose around it, an open bracket.
    Repaired,
    /// A scalar was taken for the type that was meant, such as `"3"` for 3.
    Coerced,
}

impl Rung {
    /// Its name in the journal.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Repaired => "repaired",
            Self::Coerced => "coerced",
        }
    }
}

/// What came of an answer that must have a form. The message stays as the model wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Structured {
    /// How it was asked for.
    pub way: Way,
    /// How it reads; absent where there is no answer, or it is calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reading: Option<Reading>,
}

/// How such an answer reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Reading {
    /// It fits.
    Fits {
        /// What it took.
        rung: Rung,
        /// The value.
        value: Box<Value>,
    },
    /// It does not.
    Misfits {
        /// Why not, with paths; for the model too.
        problem: String,
    },
}
