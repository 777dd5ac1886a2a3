//! Wishes: what a surface may ask of a session.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AskId, ContentPart, ModelId, OpId, Restore, Seq, TurnSettings};

/// An operation, who asks for it, and an id that makes asking twice harmless.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Submission {
    /// Made by the surface.
    pub id: OpId,
    /// Who asks.
    pub from: Principal,
    /// For what.
    pub op: Op,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Principal {
    /// The user whose session it is, at a terminal or over standard input.
    Local,
    /// Someone else, by the name that an endpoint authenticated.
    Remote(String),
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Op {
    /// Start a turn.
    Prompt {
        /// What the user says.
        input: Input,
        /// What holds during the turn.
        settings: Box<TurnSettings>,
    },
    /// Say something to a turn under way; it is taken in at the next step.
    Steer {
        /// What the user says.
        input: Input,
    },
    /// Answer an open ask.
    Answer {
        /// Which.
        ask: AskId,
        /// How.
        answer: Answer,
    },
    /// Put a summary in the place of what was said: at the next step of the turn under way, or in a turn of its own.
    Compact {
        /// What holds in that turn; needed where none is under way, and passed over where one is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        settings: Option<Box<TurnSettings>>,
    },
    /// How long the context of a model is, as its server says.
    Window {
        /// The model.
        model: ModelId,
        /// Tokens of a request and its answer together.
        tokens: u32,
    },
    /// Stop the turn under way.
    Interrupt,
    /// Someone is there who can answer asks.
    Attach {
        /// Who.
        audience: Audience,
    },
    /// Nobody is there any more.
    Detach,
    /// Take changes of files back, or do them again.
    Restore(Restore),
    /// Take the conversation back to what it was before a record that began a turn or a step.
    Rewind {
        /// That record.
        to: Seq,
    },
    /// Give the session a title.
    Rename {
        /// The title.
        title: String,
    },
}

/// What a user says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Input {
    /// Texts and images, in order.
    pub parts: Vec<ContentPart>,
}

impl Input {
    /// An input of one text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { parts: vec![ContentPart::text(text)] }
    }
}

/// Who can answer an ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// A person at a terminal.
    Terminal,
    /// A program that holds the conversation over standard input and output.
    Script,
}

/// The answer to an ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Answer {
    /// This call may run; for a host, one connection may be made.
    Allow,
    /// The same, and so it is for all that the ask's rules match, as long as the session lasts.
    AllowSession,
    /// The same, and the rules are written to the file that the ask names.
    AllowAlways,
    /// The answer to a question: some of its options, words of the user's own, or both.
    Chosen {
        /// The labels of the options.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        options: Vec<String>,
        /// What the user says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
    /// A question is not answered; this call may not run; for a host, nothing reaches it for the rest of the turn.
    Deny {
        /// Why; the model hears it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}
