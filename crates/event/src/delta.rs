//! Streamed pieces: what lives between an item's start and its end, and is never in the journal.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ItemId;

/// A piece of an open item's growing text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Delta {
    /// The open sample or call.
    pub item: ItemId,
    /// Bytes of this item's stream (pieces of every kind together) that came before this piece, so that a reader
    /// who saw a part of it already can tell.
    pub offset: u64,
    /// What came.
    #[serde(flatten)]
    pub piece: Piece,
}

/// What a stream is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", content = "text", rename_all = "snake_case")]
pub enum Piece {
    /// Text of the answer.
    Text(String),
    /// The model's reasoning, where the provider shows it.
    Reasoning(String),
    /// Arguments of a tool call, as JSON text still growing.
    Arguments(String),
    /// Output of a running tool, decoded (invalid UTF-8 replaced).
    Output(String),
}

impl Piece {
    /// The text, whatever its kind.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Reasoning(text) | Self::Arguments(text) | Self::Output(text) => text,
        }
    }
}
