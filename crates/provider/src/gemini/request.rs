//! The body of requests, kept as ready JSON that only grows: the server's cache keeps prefixes by itself. Never sends
//! anything.
//!
//! The model signs parts, and wants each signature back on the very part. A thought keeps its own; that of a text or a
//! call is carried by a sealed thought right before it.

use std::collections::HashMap;

use codetether_event::{ContentPart, Message, ModelId, Role, ToolCall, ToolResult};
use codetether_files::BlobStore;
use serde::Serialize;
use serde_json::value::RawValue;

use super::named::{self, Format};
use super::parts::{Data, FunctionCall, FunctionResponse, Part, Response, Shown, Sight};
use super::stream::State;
use crate::attempt::Script;
use crate::calls::{self, arguments, sendable};
use crate::form::Ask;
use crate::size::Size;
use crate::{Epoch, SampleSpec};

/// What Google has clients send for a call that another model made: later models refuse the first call of a step
/// without a signature.
const UNSIGNED: &str = "skip_thought_signature_validator";

/// The growing body.
#[derive(Debug)]
pub(super) struct Body {
    model: ModelId,
    /// The model is a Gemini 3 or later.
    third: bool,
    format: Option<Format>,
    /// JSON up to and without the end of the last content's list of parts.
    bytes: Vec<u8>,
    /// Whose content the last one is. Servers want turns to alternate, so messages of one side become one.
    speaker: Option<Role>,
    sights: u64,
    sight_bytes: usize,
    /// Numbers below this are in ids that look as if made here.
    next_id: u64,
    /// The calls' names, which results repeat.
    names: HashMap<String, String>,
}

impl Body {
    /// The body of a dialogue that has said nothing yet.
    pub(super) fn new(epoch: &Epoch, ask: Ask<'_>) -> Self {
        let mut bytes = b"{".to_vec();
        if let Some(system) = Part::text(&epoch.system) {
            bytes.extend_from_slice(br#""systemInstruction":{"parts":["#);
            append(&mut bytes, &system);
            bytes.extend_from_slice(b"]},");
        }
        if !epoch.tools.is_empty() {
            bytes.extend_from_slice(br#""tools":[{"functionDeclarations":"#);
            let tools = epoch.tools.iter().map(|tool| Tool {
                name: tool.name.as_str(),
                description: &tool.description,
                parameters_json_schema: &tool.schema,
            });
            append(&mut bytes, &tools.collect::<Vec<_>>());
            bytes.extend_from_slice(b"}],");
        }
        let format = match ask {
            Ask::Schema { schema, .. } => Some(Format { schema: Some(schema.clone()) }),
            Ask::Json => Some(Format { schema: None }),
            Ask::Call { .. } | Ask::Nothing => None,
        };
        let mode = match ask {
            // Which holds the model to the schemas too.
            Ask::Call { .. } => Some("ANY"),
            _ if epoch.tools.iter().any(|tool| tool.strict) => Some("VALIDATED"),
            _ => None,
        };
        if let Some(mode) = mode {
            let mode = format!(r#""toolConfig":{{"functionCallingConfig":{{"mode":"{mode}"}}}},"#);
            bytes.extend_from_slice(mode.as_bytes());
        }
        bytes.extend_from_slice(br#""contents":["#);
        Self {
            third: named::is_third(epoch.model.model()),
            model: epoch.model.clone(),
            format,
            bytes,
            speaker: None,
            sights: 0,
            sight_bytes: 0,
            next_id: 0,
            names: HashMap::new(),
        }
    }
}

impl Script for Body {
    type Reader = State;

    fn push(&mut self, message: &Message, blobs: &BlobStore) -> Result<(), codetether_files::Error> {
        match message.role {
            Role::User => {
                let mut bytes = std::mem::take(&mut self.bytes);
                let parts = self.user(&message.parts, blobs);
                let counts = parts.map(|parts| append_parts(&mut bytes, self.speaker, Role::User, &parts));
                self.bytes = bytes;
                self.count(Role::User, counts?);
            }
            Role::Assistant => {
                self.next_id = self.next_id.max(calls::next_id(message.calls().map(|call| call.id.as_str())));
                for call in message.calls() {
                    self.names.insert(call.id.clone(), sendable(call.sent_name()).into_owned());
                }
                let parts = self.assistant(message);
                let counts = append_parts(&mut self.bytes, self.speaker, Role::Assistant, &parts);
                self.count(Role::Assistant, counts);
            }
        }
        Ok(())
    }

    fn request(&self, spec: &SampleSpec) -> Result<Vec<u8>, String> {
        // All that is asked of one sample alone is in here.
        let settings = named::settings(self.model.model(), spec)?.with_form(self.format.as_ref());
        let mut body = Vec::with_capacity(self.bytes.len().saturating_add(256));
        body.extend_from_slice(&self.bytes);
        body.extend_from_slice(if self.speaker.is_some() { b"]}]" } else { b"]" });
        if settings != named::Settings::default() {
            body.extend_from_slice(br#","generationConfig":"#);
            append(&mut body, &settings);
        }
        body.push(b'}');
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
    /// Results stand first, as servers want them. What one shows is in it where the model takes that, else behind all
    /// of them.
    fn user<'a>(
        &'a self,
        parts: &'a [ContentPart],
        blobs: &BlobStore,
    ) -> Result<Vec<Part<'a>>, codetether_files::Error> {
        let mut results: Vec<Part<'a>> = Vec::new();
        let mut said = Vec::new();
        let mut answering = false;
        for part in parts {
            answering &= matches!(part, ContentPart::Image { .. });
            match part {
                ContentPart::Text { text } => said.extend(Part::text(text)),
                ContentPart::Image { media_type, blob } => {
                    let sight = Sight::read(media_type, blob, blobs)?;
                    match results.last_mut().map(|part| &mut part.data) {
                        Some(Data::FunctionResponse(result)) if answering && self.third => {
                            result.parts.push(Shown { inline_data: sight });
                        }
                        _ => said.push(Part::new(Data::Sight(sight))),
                    }
                }
                ContentPart::ToolResult(result) => match self.names.get(&result.call) {
                    Some(name) => {
                        results.push(Part::new(Data::FunctionResponse(response(name, result))));
                        answering = true;
                    }
                    // Servers refuse a result without its call.
                    None => said.extend(Part::text(&result.text)),
                },
                // A user neither thinks aloud nor calls tools.
                ContentPart::Reasoning { .. } | ContentPart::ToolCall(_) => {}
            }
        }
        results.append(&mut said);
        Ok(results)
    }

    fn assistant<'a>(&self, message: &'a Message) -> Vec<Part<'a>> {
        // Signatures go back whole or not at all, and to the model that made them.
        let own = message.parts.iter().all(|part| match part {
            ContentPart::Reasoning { signature, sealed, model, .. } => {
                (signature.is_none() && sealed.is_none()) || model.as_ref() == Some(&self.model)
            }
            _ => true,
        });
        let mut parts = Vec::with_capacity(message.parts.len());
        let mut seal = None;
        for part in &message.parts {
            let signature = seal.take();
            let part = match part {
                ContentPart::Text { text } if signature.is_some() => Some(Part::new(Data::Text(text))),
                ContentPart::Text { text } => Part::text(text),
                ContentPart::ToolCall(call) => Some(Part::new(Data::FunctionCall(function_call(call)))),
                ContentPart::Reasoning { sealed: Some(sealed), .. } => {
                    seal = Some(sealed.as_str()).filter(|_| own);
                    None
                }
                ContentPart::Reasoning { text, signature: Some(signature), .. } if own => {
                    let thought_signature = Some(signature.as_str());
                    parts.push(Part { data: Data::Text(text), thought: true, thought_signature });
                    None
                }
                // Thoughts that nobody signed are summaries, which only people read; and a model shows nothing.
                ContentPart::Reasoning { .. } | ContentPart::Image { .. } | ContentPart::ToolResult(_) => {
                    None
                }
            };
            parts.extend(part.map(|part| Part { thought_signature: signature, ..part }));
        }
        let first = parts.iter_mut().find(|part| matches!(part.data, Data::FunctionCall(_)));
        if let Some(first) = first.filter(|first| self.third && first.thought_signature.is_none()) {
            first.thought_signature = Some(UNSIGNED);
        }
        parts
    }

    fn count(&mut self, speaker: Role, counts: Option<(usize, u64)>) {
        let Some((bytes, sights)) = counts else { return };
        self.speaker = Some(speaker);
        self.sight_bytes = self.sight_bytes.saturating_add(bytes);
        self.sights = self.sights.saturating_add(sights);
    }
}

fn function_call(call: &ToolCall) -> FunctionCall<'_> {
    // What `arguments` gives is JSON.
    let args = RawValue::from_string(arguments(call.sent_arguments())).unwrap_or_default();
    FunctionCall { id: servers_id(&call.id), name: sendable(call.sent_name()).into_owned(), args }
}

fn response<'a>(name: &'a str, result: &'a ToolResult) -> FunctionResponse<'a> {
    let response = if result.error { Response::Error(&result.text) } else { Response::Output(&result.text) };
    FunctionResponse { id: servers_id(&result.call), name, response, parts: Vec::new() }
}

/// The id of a call, unless it was made here, for a server that goes by the order.
fn servers_id(id: &str) -> Option<&str> {
    (!id.is_empty() && calls::next_id([id].into_iter()) == 0).then_some(id)
}

/// A tool on the wire.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tool<'a> {
    name: &'a str,
    description: &'a str,
    parameters_json_schema: &'a serde_json::Value,
}

/// Appends what this side says, to its last content or as a new one; gives the bytes and the number of the sights in
/// it, or nothing where it is nothing.
fn append_parts(
    bytes: &mut Vec<u8>,
    before: Option<Role>,
    speaker: Role,
    parts: &[Part<'_>],
) -> Option<(usize, u64)> {
    if parts.is_empty() {
        return None;
    }
    if before == Some(speaker) {
        bytes.push(b',');
    } else {
        let end = if before.is_some() { "]}," } else { "" };
        let role = match speaker {
            Role::User => "user",
            Role::Assistant => "model",
        };
        bytes.extend_from_slice(format!(r#"{end}{{"role":"{role}","parts":["#).as_bytes());
    }
    let mut sights = (0_usize, 0_u64);
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            bytes.push(b',');
        }
        append(bytes, part);
        let (more, others) = part.sights();
        sights = (sights.0.saturating_add(more), sights.1.saturating_add(others));
    }
    Some(sights)
}

fn append(bytes: &mut Vec<u8>, value: &impl Serialize) {
    let written = serde_json::to_writer(bytes, value);
    debug_assert!(written.is_ok(), "what is sent has string keys, and memory takes all bytes");
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
