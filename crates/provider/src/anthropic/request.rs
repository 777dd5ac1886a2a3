//! The body of requests, kept as ready JSON that only grows, and the marks that tell the server's cache what to keep.
//! Never sends anything.
//!
//! The cache keeps prefixes of the prompt (tools, then system, then messages) that end at a mark, and looks a request's
//! marked prefixes up by what is in them; the marks themselves are not part of it. So the bytes here, without their
//! marks, are such that each request begins with the whole of the one before, and a request is marked at its end and
//! where the request of the step before ended: what that one wrote is what this one reads, however many blocks are in
//! between. Two more marks are at the end of the tools and of the system prompt, which other sessions share. That makes
//! four, as many as a request may have.

use std::collections::{HashMap, HashSet};

use codetether_event::{ContentPart, Message, ModelId, Role, ToolCall, ToolResult};
use codetether_files::BlobStore;
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::blocks::{Block, Content};
use super::claude::{self, Held};
use super::stream::State;
use crate::attempt::Script;
use crate::calls::{self, arguments, sendable};
use crate::form::Ask;
use crate::size::Size;
use crate::{Epoch, SampleSpec};

/// Goes before the end of a block.
const MARK: &[u8] = br#","cache_control":{"type":"ephemeral"}"#;

/// The growing body.
#[derive(Debug)]
pub(super) struct Body {
    model: ModelId,
    held: Option<Held>,
    /// JSON up to and without the end of the last message's list of blocks.
    bytes: Vec<u8>,
    /// Whose message the last one is. Servers want turns to alternate, so messages of one side become one.
    speaker: Option<Role>,
    marks: Marks,
    sights: u64,
    sight_bytes: usize,
    /// Numbers below this are in ids that look as if made here.
    next_id: u64,
    /// What the calls' ids have become.
    ids: HashMap<String, String>,
    taken: HashSet<String>,
}

/// Where marks go: before the last byte of a block.
#[derive(Debug, Default)]
struct Marks {
    tools: Option<usize>,
    system: Option<usize>,
    /// The end of the user's message before the last one, which ended an earlier request.
    before: Option<usize>,
    /// The end of the user's last message.
    last: Option<usize>,
}

impl Body {
    /// The body of a dialogue that has said nothing yet.
    pub(super) fn new(epoch: &Epoch, ask: Ask<'_>) -> Self {
        let mut bytes = json!({"model": epoch.model.model(), "stream": true}).to_string().into_bytes();
        bytes.pop();
        let mut marks = Marks::default();
        if !epoch.tools.is_empty() {
            bytes.extend_from_slice(br#","tools":"#);
            let tools = epoch.tools.iter().map(|tool| Tool {
                name: tool.name.as_str(),
                description: &tool.description,
                input_schema: &tool.schema,
                strict: tool.strict,
            });
            marks.tools = Some(append_list(&mut bytes, tools));
        }
        if let Some(system) = Block::text(&epoch.system) {
            bytes.extend_from_slice(br#","system":"#);
            marks.system = Some(append_list(&mut bytes, [system]));
        }
        bytes.extend_from_slice(br#","messages":["#);
        Self {
            model: epoch.model.clone(),
            held: match ask {
                Ask::Schema { schema, .. } => Some(Held::Schema(schema.clone())),
                Ask::Call { answer, alone } => Some(Held::Call(alone.then(|| answer.to_owned()))),
                Ask::Json | Ask::Nothing => None,
            },
            bytes,
            speaker: None,
            marks,
            sights: 0,
            sight_bytes: 0,
            next_id: 0,
            ids: HashMap::new(),
            taken: HashSet::new(),
        }
    }
}

impl Script for Body {
    type Reader = State;

    fn push(&mut self, message: &Message, blobs: &BlobStore) -> Result<(), codetether_files::Error> {
        match message.role {
            Role::User => {
                let blocks = self.user(&message.parts, blobs)?;
                self.append(Role::User, &blocks);
            }
            Role::Assistant => {
                let blocks = self.assistant(message);
                self.append(Role::Assistant, &blocks);
            }
        }
        Ok(())
    }

    fn resume(&self, spec: &SampleSpec, said: &str) -> Option<Vec<u8>> {
        if self.held.is_some()
            || !claude::goes_on(self.model.model(), spec)
            || self.speaker != Some(Role::User)
        {
            return None;
        }
        self.body(spec, Some(said)).ok()
    }

    fn request(&self, spec: &SampleSpec) -> Result<Vec<u8>, String> {
        self.body(spec, None)
    }

    fn size(&self) -> Size {
        Size { bytes: self.bytes.len().saturating_sub(self.sight_bytes) as u64, sights: self.sights }
    }

    fn reader(&self) -> State {
        State::new(self.model.clone(), self.next_id)
    }
}

impl Body {
    /// A request, at its end what the model has said already of its answer.
    fn body(&self, spec: &SampleSpec, said: Option<&str>) -> Result<Vec<u8>, String> {
        let settings = claude::settings(self.model.model(), spec)?.held(self.held.as_ref());
        let mut body = Vec::with_capacity(self.bytes.len().saturating_add(512));
        let Marks { tools, system, before, last } = self.marks;
        let mut from = 0;
        for at in [tools, system, before, last].into_iter().flatten() {
            body.extend_from_slice(self.bytes.get(from..at).unwrap_or_default());
            body.extend_from_slice(MARK);
            from = at;
        }
        body.extend_from_slice(self.bytes.get(from..).unwrap_or_default());
        if let Some(said) = said.and_then(Block::text) {
            body.extend_from_slice(br#"]},{"role":"assistant","content":["#);
            append(&mut body, &said);
        }
        body.extend_from_slice(if self.speaker.is_some() { b"]}]," } else { b"]," });
        // Its fields continue the object that is open here.
        let settings = serde_json::to_vec(&settings).map_err(|error| error.to_string())?;
        body.extend_from_slice(settings.get(1..).unwrap_or_default());
        Ok(body)
    }

    /// Results stand first, as servers want them, each with the images that follow it.
    fn user<'a>(
        &self,
        parts: &'a [ContentPart],
        blobs: &BlobStore,
    ) -> Result<Vec<Block<'a>>, codetether_files::Error> {
        let mut results: Vec<(&ToolResult, Vec<Block<'_>>)> = Vec::new();
        let mut said = Vec::new();
        let mut answering = false;
        for part in parts {
            answering &= matches!(part, ContentPart::Image { .. });
            match part {
                ContentPart::Text { text } => said.extend(Block::text(text)),
                ContentPart::Image { media_type, blob } => {
                    let sight = Block::seen(media_type, blob, blobs)?;
                    match results.last_mut() {
                        // Servers take nothing but text where a call failed.
                        Some((result, sights)) if answering && !result.error => sights.push(sight),
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
        let results = results.into_iter().map(|(result, sights)| self.result(result, sights));
        Ok(results.chain(said).collect())
    }

    fn result<'a>(&self, result: &'a ToolResult, sights: Vec<Block<'a>>) -> Block<'a> {
        let text = match result.text.trim().is_empty() {
            true if result.error => "failed",
            _ => &result.text,
        };
        let content = if sights.is_empty() {
            Content::Text(text)
        } else {
            Content::Blocks(Block::text(text).into_iter().chain(sights).collect())
        };
        let id = self.ids.get(&result.call).cloned().unwrap_or_else(|| plain_id(&result.call));
        Block::ToolResult { tool_use_id: id, content, is_error: result.error }
    }

    /// Nothing where only thoughts are left: no server takes those alone.
    fn assistant<'a>(&mut self, message: &'a Message) -> Vec<Block<'a>> {
        self.next_id = self.next_id.max(calls::next_id(message.calls().map(|call| call.id.as_str())));
        let mut blocks = Vec::with_capacity(message.parts.len());
        for part in &message.parts {
            match part {
                ContentPart::Text { text } => blocks.extend(Block::text(text)),
                ContentPart::ToolCall(call) => blocks.push(self.call(call)),
                ContentPart::Reasoning { text, signature, sealed, .. } => blocks.push(match sealed {
                    Some(data) => Block::RedactedThinking { data },
                    None => Block::Thinking { thinking: text, signature: signature.as_deref() },
                }),
                // A model shows nothing.
                ContentPart::Image { .. } | ContentPart::ToolResult(_) => {}
            }
        }
        // Thoughts go back whole or not at all, to the model that had them, and never as the last that is said.
        let own = message.parts.iter().all(|part| match part {
            ContentPart::Reasoning { model, .. } => model.as_ref() == Some(&self.model),
            _ => true,
        });
        let thought =
            |block: &Block<'_>| matches!(block, Block::Thinking { .. } | Block::RedactedThinking { .. });
        if !own || blocks.last().is_some_and(thought) {
            blocks.retain(|block| !thought(block));
        }
        blocks
    }

    fn call<'a>(&mut self, call: &ToolCall) -> Block<'a> {
        let plain = plain_id(&call.id);
        let mut id = plain.clone();
        let mut again = 1_u32;
        // No two calls of a dialogue may have one id, and other wires' servers count from the start in each answer.
        while !self.taken.insert(id.clone()) {
            again = again.saturating_add(1);
            id = format!("{plain}-{again}");
        }
        self.ids.insert(call.id.clone(), id.clone());
        let name = sendable(call.sent_name()).into_owned();
        // What `arguments` gives is JSON.
        let input = RawValue::from_string(arguments(call.sent_arguments())).unwrap_or_default();
        Block::ToolUse { id, name, input }
    }

    fn append(&mut self, speaker: Role, blocks: &[Block<'_>]) {
        for block in blocks {
            if self.speaker == Some(speaker) {
                self.bytes.push(b',');
            } else {
                let (end, role) = match (self.speaker, speaker) {
                    (None, Role::User) => ("", "user"),
                    (None, Role::Assistant) => ("", "assistant"),
                    (Some(_), Role::User) => ("]},", "user"),
                    (Some(_), Role::Assistant) => ("]},", "assistant"),
                };
                self.bytes.extend_from_slice(format!(r#"{end}{{"role":"{role}","content":["#).as_bytes());
                if speaker == Role::User {
                    self.marks.before = self.marks.last;
                }
                self.speaker = Some(speaker);
            }
            let mark = append(&mut self.bytes, block);
            if speaker == Role::User {
                self.marks.last = Some(mark);
            }
            let (bytes, sights) = block.sights();
            self.sight_bytes = self.sight_bytes.saturating_add(bytes);
            self.sights = self.sights.saturating_add(sights);
        }
    }
}

/// A tool on the wire.
#[derive(Serialize)]
struct Tool<'a> {
    name: &'a str,
    description: &'a str,
    input_schema: &'a serde_json::Value,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    strict: bool,
}

/// Appends an object; gives where its mark would go.
fn append(bytes: &mut Vec<u8>, object: &impl Serialize) -> usize {
    let written = serde_json::to_writer(&mut *bytes, object);
    debug_assert!(written.is_ok(), "an object has string keys, and memory takes all bytes");
    bytes.len().saturating_sub(1)
}

/// Appends a list of objects, of which there is one at least; gives where the last one's mark would go.
fn append_list<T: Serialize>(bytes: &mut Vec<u8>, objects: impl IntoIterator<Item = T>) -> usize {
    let mut mark = 0;
    let mut before = b'[';
    for object in objects {
        bytes.push(before);
        before = b',';
        mark = append(bytes, &object);
    }
    bytes.push(b']');
    mark
}

/// An id as servers take it: letters, digits, `_` and `-`. What is not becomes its number, so that two stay two.
fn plain_id(id: &str) -> String {
    if id.is_empty() {
        return "unnamed".to_owned();
    }
    let mut plain = String::with_capacity(id.len());
    for c in id.chars() {
        match c {
            c if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') => plain.push(c),
            c => plain.push_str(&format!("_{:x}", u32::from(c))),
        }
    }
    plain
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
