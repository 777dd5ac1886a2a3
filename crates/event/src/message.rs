//! What a model is told and what it says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{BlobId, ModelId, ToolName};

/// Who speaks. (The system prompt belongs to the epoch, not to the messages.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The user, the harness, or the tools.
    User,
    /// The model.
    Assistant,
}

/// One message of the context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub parts: Vec<ContentPart>,
}

impl Message {
    /// A user's message of one text.
    pub fn user(text: impl Into<String>) -> Self {
        Self { role: Role::User, parts: vec![ContentPart::text(text)] }
    }

    /// The text parts, joined by nothing.
    #[must_use]
    pub fn text(&self) -> String {
        self.parts
            .iter()
            .filter_map(|part| match part {
                ContentPart::Text { text } => Some(text.as_str()),
                _ => None,
            })
            .collect()
    }

    /// The calls that this message makes, in order.
    pub fn calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.parts.iter().filter_map(|part| match part {
            ContentPart::ToolCall(call) => Some(call),
            _ => None,
        })
    }
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ContentPart {
    /// Plain text.
    Text {
        /// The text.
        text: String,
    },
    /// An image, or a document whose pages are looked at (`application/pdf`); kept as a blob. Right behind a tool's
    /// result it belongs to that result.
    Image {
        /// Such as `image/png`.
        media_type: String,
        /// Where its bytes are.
        blob: BlobId,
    },
    /// What the model thought, as the provider showed it; goes back to the provider whole or not at all.
    Reasoning {
        /// Readable part; may be empty.
        text: String,
        /// The provider's opaque proof of it, given back unchanged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
        /// Thoughts that the provider shows to nobody, as the opaque text that is given back unchanged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sealed: Option<String>,
        /// The model that thought this, if it wants it back; no other model is told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<ModelId>,
    },
    /// The model calls a tool.
    ToolCall(ToolCall),
    /// What a tool answered.
    ToolResult(ToolResult),
}

impl ContentPart {
    /// A text part.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }

    /// Thoughts that no model is told again.
    pub fn reasoning(text: impl Into<String>) -> Self {
        Self::Reasoning { text: text.into(), signature: None, sealed: None, model: None }
    }
}

/// An image that a call shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sight {
    /// Such as `image/png`.
    pub media_type: String,
    /// Where its bytes are.
    pub blob: BlobId,
}

/// A call as the model made it: nothing in it is trusted yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ToolCall {
    /// The provider's id of the call, to be given back with its result.
    pub id: String,
    /// The tool's name, as the model wrote it.
    pub name: ToolName,
    /// The arguments: the very bytes received, which should be JSON.
    pub arguments: String,
    /// The arguments of [`CALL_TOOL`], as they were received, where the model made the call through that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrapped: Option<String>,
}

/// The tool through which a model calls those whose schemas it was not shown at first.
pub const CALL_TOOL: &str = "call_tool";

impl ToolCall {
    /// The name on the wire: that of [`CALL_TOOL`] where the call was made through it.
    #[must_use]
    pub fn sent_name(&self) -> &str {
        if self.wrapped.is_some() { CALL_TOOL } else { self.name.as_str() }
    }

    /// The arguments on the wire.
    #[must_use]
    pub fn sent_arguments(&self) -> &str {
        self.wrapped.as_deref().unwrap_or(&self.arguments)
    }
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ToolResult {
    /// The provider's id of the call.
    pub call: String,
    /// What the model is told.
    pub text: String,
    /// Whether the call failed, was refused or was stopped.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub error: bool,
}
