//! The parts that contents of this wire are made of, as they are sent. Never decides what is sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use codetether_event::BlobId;
use codetether_files::BlobStore;
use serde::Serialize;
use serde_json::value::RawValue;

/// A part: what it is, and the model's signature of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part<'a> {
    #[serde(flatten)]
    pub(super) data: Data<'a>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) thought: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thought_signature: Option<&'a str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Data<'a> {
    Text(&'a str),
    #[serde(rename = "inlineData")]
    Sight(Sight<'a>),
    FunctionCall(FunctionCall<'a>),
    FunctionResponse(FunctionResponse<'a>),
}

/// The bytes of an image or a document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sight<'a> {
    mime_type: &'a str,
    data: String,
}

#[derive(Debug, Serialize)]
pub(super) struct FunctionCall<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'a str>,
    pub(super) name: String,
    pub(super) args: Box<RawValue>,
}

#[derive(Debug, Serialize)]
pub(super) struct FunctionResponse<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'a str>,
    pub(super) name: &'a str,
    pub(super) response: Response<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) parts: Vec<Shown<'a>>,
}

/// What a result tells, under the keys that models are taught.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Response<'a> {
    Output(&'a str),
    Error(&'a str),
}

/// What a result shows.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown<'a> {
    pub(super) inline_data: Sight<'a>,
}

impl<'a> Part<'a> {
    pub(super) fn new(data: Data<'a>) -> Self {
        Self { data, thought: false, thought_signature: None }
    }

    /// A text, unless it is blank: servers refuse those that are not signed.
    pub(super) fn text(text: &'a str) -> Option<Self> {
        if text.trim().is_empty() { None } else { Some(Self::new(Data::Text(text))) }
    }

    /// Bytes of images and documents in it, and how many of these there are.
    pub(super) fn sights(&self) -> (usize, u64) {
        match &self.data {
            Data::Sight(sight) => (sight.data.len(), 1),
            Data::FunctionResponse(response) => {
                let bytes = response.parts.iter().map(|shown| shown.inline_data.data.len()).sum();
                (bytes, response.parts.len() as u64)
            }
            Data::Text(_) | Data::FunctionCall(_) => (0, 0),
        }
    }
}

impl<'a> Sight<'a> {
    /// What a blob holds.
    pub(super) fn read(
        mime_type: &'a str,
        blob: &BlobId,
        blobs: &BlobStore,
    ) -> Result<Self, codetether_files::Error> {
        Ok(Self { mime_type, data: STANDARD.encode(blobs.get(blob)?) })
    }
}
