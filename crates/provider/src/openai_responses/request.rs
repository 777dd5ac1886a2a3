//! The body of requests, kept as ready JSON that only grows: the whole of one request but its tail begins the next,
//! so that the provider's cache hits and nothing is serialised twice. Never sends anything.

use std::borrow::Cow;

use codetether_event::{ContentPart, Message, ModelId, Role, Temperature, ToolResult};
use codetether_files::BlobStore;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::stream::State;
use crate::attempt::Script;
use crate::calls::{self, arguments, sendable, told};
use crate::form::Ask;
use crate::sight::{self, PDF, PDF_NAME};
use crate::size::Size;
use crate::{Epoch, SampleSpec, ToolDeclaration};

/// Whether a model thinks before it answers, as far as its name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thinking {
    Always,
    Never,
    Unknown,
}

impl Thinking {
    fn of(model: &str) -> Self {
        let name = model.rsplit('/').next().unwrap_or_default();
        let begins = |families: &[&str]| families.iter().any(|family| name.starts_with(family));
        if begins(&["gpt-3", "gpt-4", "chatgpt-"]) || (begins(&["gpt-5"]) && name.contains("-chat")) {
            Self::Never
        } else if begins(&["gpt-5", "gpt-oss", "o1", "o3", "o4", "codex-"]) {
            Self::Always
        } else {
            Self::Unknown
        }
    }
}

/// The growing body.
#[derive(Debug)]
pub(super) struct Body {
    model: ModelId,
    /// JSON up to and without the end of the list of items.
    bytes: Vec<u8>,
    thinking: Thinking,
    /// OpenAI's own endpoint, which finds a prefix in its cache by a key; others may refuse what they do not know.
    official: bool,
    sights: u64,
    sight_bytes: usize,
    /// Numbers below this are in ids that look as if made here.
    next_id: u64,
}

impl Body {
    /// The body of a dialogue that has said nothing yet.
    pub(super) fn new(epoch: &Epoch, ask: Ask<'_>, official: bool) -> Self {
        let thinking = Thinking::of(epoch.model.model());
        let mut head = json!({"model": epoch.model.model(), "stream": true, "store": false});
        // OpenAI refuses it where there is nothing to encrypt.
        if thinking != Thinking::Never {
            head["include"] = json!(["reasoning.encrypted_content"]);
        }
        if !epoch.system.is_empty() {
            head["instructions"] = json!(epoch.system);
        }
        if !epoch.tools.is_empty() {
            head["tools"] = epoch.tools.iter().map(declaration).collect();
            head["parallel_tool_calls"] = json!(true);
        }
        match ask {
            Ask::Schema { name, schema } => {
                head["text"] = json!({
                    "format": {"type": "json_schema", "name": name, "schema": schema, "strict": true},
                });
            }
            Ask::Json => head["text"] = json!({"format": {"type": "json_object"}}),
            Ask::Call { answer, alone: true } => {
                head["tool_choice"] = json!({"type": "function", "name": answer});
            }
            Ask::Call { .. } => head["tool_choice"] = json!("required"),
            Ask::Nothing => {}
        }
        let mut bytes = head.to_string().into_bytes();
        bytes.pop();
        bytes.extend_from_slice(br#","input":["#);
        Self { model: epoch.model.clone(), bytes, thinking, official, sights: 0, sight_bytes: 0, next_id: 0 }
    }
}

impl Script for Body {
    type Reader = State;

    fn push(&mut self, message: &Message, blobs: &BlobStore) -> Result<(), codetether_files::Error> {
        let items = match message.role {
            Role::User => user(&message.parts, blobs)?,
            Role::Assistant => {
                let ids = message.calls().map(|call| call.id.as_str());
                self.next_id = self.next_id.max(calls::next_id(ids));
                self.assistant(message)
            }
        };
        for item in &items {
            self.append(item);
        }
        Ok(())
    }

    fn request(&self, spec: &SampleSpec) -> Result<Vec<u8>, String> {
        // What holds for this sample alone stands behind the items, so that the cache does not mind.
        if self.thinking == Thinking::Always && spec.temperature.is_some() {
            let model = self.model.model();
            return Err(format!("`{model}` thinks, so it takes no `temperature`: leave it out"));
        }
        let tail = Tail {
            max_output_tokens: spec.max_output,
            reasoning: self.reasoning(spec)?,
            temperature: spec.temperature,
            prompt_cache_key: spec.cache_key.as_deref().filter(|_| self.official),
        };
        let tail = serde_json::to_vec(&tail).map_err(|error| error.to_string())?;
        let mut body = Vec::with_capacity(self.bytes.len().saturating_add(tail.len()).saturating_add(2));
        body.extend_from_slice(&self.bytes);
        body.push(b']');
        // Its fields, if any, continue the object that is open here.
        let fields = tail.get(1..).unwrap_or_default();
        if fields.len() > 1 {
            body.push(b',');
        }
        body.extend_from_slice(fields);
        Ok(body)
    }

    fn size(&self) -> Size {
        Size { bytes: self.bytes.len().saturating_sub(self.sight_bytes) as u64, sights: self.sights }
    }

    fn reader(&self) -> State {
        State::new(self.model.clone(), self.next_id)
    }
}

impl Body {
    fn reasoning(&self, spec: &SampleSpec) -> Result<Option<Reasoning>, String> {
        let effort = spec.effort.map(|effort| effort.as_str());
        match (self.thinking, effort) {
            (Thinking::Never, Some(_)) => {
                let model = self.model.model();
                Err(format!("`{model}` does not think, so it takes no `effort`: leave it out"))
            }
            (Thinking::Never | Thinking::Unknown, None) => Ok(None),
            _ => Ok(Some(Reasoning { effort, summary: "auto" })),
        }
    }

    fn assistant<'a>(&self, message: &'a Message) -> Vec<Item<'a>> {
        let mut items = Vec::with_capacity(message.parts.len());
        for part in &message.parts {
            match part {
                ContentPart::Text { text } if text.is_empty() => {}
                ContentPart::Text { text } => items.push(Item::Tagged(Tagged::said(text))),
                ContentPart::ToolCall(call) => items.push(Item::Tagged(Tagged::FunctionCall {
                    call_id: &call.id,
                    name: sendable(call.sent_name()),
                    arguments: arguments(call.sent_arguments()),
                })),
                ContentPart::Reasoning { sealed, .. } => {
                    items.extend(sealed.as_deref().and_then(thought).map(Item::Thought));
                }
                // A model shows nothing.
                ContentPart::Image { .. } | ContentPart::ToolResult(_) => {}
            }
        }
        // Thoughts go back whole or not at all, to the model that had them, and never without what they led to: the
        // server refuses those.
        let own = message.parts.iter().all(|part| match part {
            ContentPart::Reasoning { model, sealed, .. } => {
                model.as_ref() == Some(&self.model)
                    && sealed.as_deref().is_some_and(|item| thought(item).is_some())
            }
            _ => true,
        });
        if !own || matches!(items.last(), Some(Item::Thought(_))) {
            items.retain(|item| !matches!(item, Item::Thought(_)));
        }
        items
    }

    fn append(&mut self, item: &Item<'_>) {
        if self.bytes.last() != Some(&b'[') {
            self.bytes.push(b',');
        }
        let written = serde_json::to_writer(&mut self.bytes, item);
        debug_assert!(written.is_ok(), "an item has string keys, and memory takes all bytes");
        if let Item::Tagged(
            Tagged::Message { content, .. }
            | Tagged::FunctionCallOutput { output: Output::Parts(content), .. },
        ) = item
        {
            for bytes in content.iter().filter_map(Content::sight) {
                self.sights = self.sights.saturating_add(1);
                self.sight_bytes = self.sight_bytes.saturating_add(bytes);
            }
        }
    }
}

/// Results stand first, each with the images that follow it.
fn user<'a>(parts: &'a [ContentPart], blobs: &BlobStore) -> Result<Vec<Item<'a>>, codetether_files::Error> {
    let mut results: Vec<(&ToolResult, Vec<Content<'_>>)> = Vec::new();
    let mut said = Vec::new();
    let mut answering = false;
    for part in parts {
        answering &= matches!(part, ContentPart::Image { .. });
        match part {
            ContentPart::Text { text } => said.push(Content::InputText { text: Cow::Borrowed(text) }),
            ContentPart::Image { media_type, blob } => {
                let url = sight::data_url(media_type, blob, blobs)?;
                let sight = if media_type == PDF {
                    Content::InputFile { filename: PDF_NAME, file_data: url }
                } else {
                    Content::InputImage { detail: "auto", image_url: url }
                };
                match results.last_mut() {
                    Some((_, sights)) if answering => sights.push(sight),
                    _ => said.push(sight),
                }
            }
            ContentPart::ToolResult(result) => {
                results.push((result, Vec::new()));
                answering = true;
            }
            // A user neither thinks aloud nor calls tools.
            ContentPart::Reasoning { .. } | ContentPart::ToolCall(_) => {}
        }
    }
    if said.is_empty() && results.is_empty() {
        said.push(Content::InputText { text: Cow::Borrowed("") });
    }
    let message = (!said.is_empty()).then_some(Item::Tagged(Tagged::Message {
        role: "user",
        status: None,
        content: said,
    }));
    let results = results.into_iter().map(|(result, sights)| {
        let text = told(result);
        let output = if sights.is_empty() {
            Output::Text(text)
        } else {
            let text = Some(text).filter(|text| !text.is_empty()).map(Cow::Owned);
            Output::Parts(text.map(|text| Content::InputText { text }).into_iter().chain(sights).collect())
        };
        Item::Tagged(Tagged::FunctionCallOutput { call_id: &result.call, output })
    });
    Ok(results.chain(message).collect())
}

/// The item that sealed thoughts are on this wire; none where another wire sealed them.
fn thought(sealed: &str) -> Option<&RawValue> {
    #[derive(Deserialize)]
    struct Kind<'a> {
        r#type: Cow<'a, str>,
    }
    let item = serde_json::from_str(sealed).ok()?;
    serde_json::from_str::<Kind<'_>>(sealed).is_ok_and(|kind| kind.r#type == "reasoning").then_some(item)
}

fn declaration(tool: &ToolDeclaration) -> Value {
    json!({
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.schema,
        // Said either way: the server takes it for wanted where nothing is said.
        "strict": tool.strict,
    })
}

/// What holds for one sample.
#[derive(Serialize)]
struct Tail<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<Reasoning>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<Temperature>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_cache_key: Option<&'a str>,
}

#[derive(Serialize)]
struct Reasoning {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    summary: &'static str,
}

/// An item of the dialogue.
#[derive(Serialize)]
#[serde(untagged)]
enum Item<'a> {
    Tagged(Tagged<'a>),
    /// As it came.
    Thought(&'a RawValue),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Tagged<'a> {
    Message {
        role: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<&'static str>,
        content: Vec<Content<'a>>,
    },
    FunctionCall {
        call_id: &'a str,
        name: Cow<'a, str>,
        arguments: String,
    },
    FunctionCallOutput {
        call_id: &'a str,
        output: Output<'a>,
    },
}

impl<'a> Tagged<'a> {
    /// What the model said.
    fn said(text: &'a str) -> Self {
        let content = vec![Content::OutputText { text, annotations: [] }];
        Self::Message { role: "assistant", status: Some("completed"), content }
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Output<'a> {
    Text(String),
    Parts(Vec<Content<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Content<'a> {
    InputText { text: Cow<'a, str> },
    InputImage { detail: &'static str, image_url: String },
    InputFile { filename: &'static str, file_data: String },
    OutputText { text: &'a str, annotations: [(); 0] },
}

impl Content<'_> {
    /// The length of an image or a document.
    fn sight(&self) -> Option<usize> {
        match self {
            Self::InputImage { image_url: url, .. } | Self::InputFile { file_data: url, .. } => {
                Some(url.len())
            }
            Self::InputText { .. } | Self::OutputText { .. } => None,
        }
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
