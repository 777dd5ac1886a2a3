//! The blocks that messages of this wire are made of, as they are sent. Never decides what is sent.

use codetether_event::BlobId;
use codetether_files::BlobStore;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::sight::{self, PDF};

/// A block.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block<'a> {
    Text {
        text: &'a str,
    },
    Image {
        source: Source<'a>,
    },
    Document {
        source: Source<'a>,
    },
    Thinking {
        thinking: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        signature: Option<&'a str>,
    },
    RedactedThinking {
        data: &'a str,
    },
    ToolUse {
        id: String,
        name: String,
        input: Box<RawValue>,
    },
    ToolResult {
        tool_use_id: String,
        content: Content<'a>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
    },
}

/// The bytes of an image or a document.
#[derive(Debug, Serialize)]
pub(super) struct Source<'a> {
    r#type: &'static str,
    media_type: &'a str,
    data: String,
}

/// What a result tells.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Content<'a> {
    Text(&'a str),
    Blocks(Vec<Block<'a>>),
}

impl<'a> Block<'a> {
    /// A text, unless it is blank: servers refuse those.
    pub(super) fn text(text: &'a str) -> Option<Self> {
        if text.trim().is_empty() { None } else { Some(Self::Text { text }) }
    }

    /// What a blob holds.
    pub(super) fn seen(
        media_type: &'a str,
        blob: &BlobId,
        blobs: &BlobStore,
    ) -> Result<Self, codetether_files::Error> {
        let source = Source { r#type: "base64", media_type, data: sight::base64(blob, blobs)? };
        Ok(if media_type == PDF { Self::Document { source } } else { Self::Image { source } })
    }

    /// Bytes of images and documents in it, and how many of these there are.
    pub(super) fn sights(&self) -> (usize, u64) {
        match self {
            Self::Image { source } | Self::Document { source } => (source.data.len(), 1),
            Self::ToolResult { content: Content::Blocks(blocks), .. } => {
                let sights = blocks.iter().map(Self::sights);
                sights.fold((0, 0), |(bytes, count), (more, others)| {
                    (bytes.saturating_add(more), count.saturating_add(others))
                })
            }
            _ => (0, 0),
        }
    }
}
