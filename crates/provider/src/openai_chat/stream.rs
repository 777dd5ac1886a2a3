//! An answer put together from what the server sends: events of a stream, or one object where the server does not
//! stream. Pure: bytes in, pieces and in the end a message out. Events are read without building a tree of them.

use std::borrow::Cow;

use codetether_event::{ContentPart, Message, Piece, Role, StopReason, ToolCall, ToolName, Usage};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::request::{TOKEN_BYTES, made_id};
use super::schema_calls::{self, Step};
use super::sse::{EventStream, TooLong};
use super::usage;
use super::{ToolCalls, errors};

/// Most calls of one answer.
const CALLS_MAX: usize = 128;
/// Most parts of one answer: texts, thoughts and calls. Each delta looks through the calls among them.
const PARTS_MAX: usize = 4_096;

/// Why what came is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The server reported an error of its own: this JSON.
    Reported(String),
    /// It breaks the protocol.
    Protocol(String),
    /// It ended too soon.
    Cut,
}

impl From<TooLong> for Fault {
    fn from(error: TooLong) -> Self {
        Self::Protocol(error.to_string())
    }
}

/// A whole answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Whole {
    pub(super) message: Message,
    pub(super) stop: StopReason,
    /// As [`Answer::usage`] tells.
    pub(super) usage: Option<Usage>,
}

/// An answer that is coming.
#[derive(Debug)]
pub(super) struct Answer {
    events: EventStream,
    /// The body, where it turned out to be one object instead of a stream.
    object: Option<Vec<u8>>,
    /// Nothing but white space has come.
    blank: bool,
    state: State,
}

impl Answer {
    /// Nothing has come yet. Calls without an id are numbered from `next_id`.
    pub(super) fn new(tool_calls: ToolCalls, next_id: u64) -> Self {
        Self {
            events: EventStream::default(),
            object: None,
            blank: true,
            state: State::new(tool_calls, next_id),
        }
    }

    /// Takes in what was read.
    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut dyn FnMut(Piece)) -> Result<(), Fault> {
        if let Some(object) = &mut self.object {
            if object.len().saturating_add(bytes.len()) > super::sse::STREAM_MAX {
                return Err(TooLong::Stream.into());
            }
            object.extend_from_slice(bytes);
            return Ok(());
        }
        // A server that does not stream may send blanks while it works.
        let begins = bytes.trim_ascii_start();
        if self.blank && begins.starts_with(b"{") {
            self.object = Some(begins.to_vec());
            return Ok(());
        }
        self.blank &= begins.is_empty();
        let state = &mut self.state;
        self.events.feed(bytes, &mut |data| state.event(data, out))
    }

    /// Hands out what came since the last piece.
    pub(super) fn flush(&mut self, out: &mut dyn FnMut(Piece)) {
        self.state.flush(out);
    }

    /// Whether there is anything to hand out.
    pub(super) fn has_unsent(&self) -> bool {
        self.state.unsent.is_some()
    }

    /// The server said that nothing more comes.
    pub(super) fn is_done(&self) -> bool {
        self.state.done
    }

    /// The body is at its end, or broke off: what is there may be whole all the same.
    pub(super) fn finish(mut self, out: &mut dyn FnMut(Piece)) -> Result<Whole, (Fault, Option<Usage>)> {
        let read = self.read_rest(out);
        self.flush(out);
        let usage = self.usage();
        read.map_err(|fault| (fault, usage))?;
        self.state.whole(usage, out).map_err(|fault| (fault, usage))
    }

    /// Tokens so far: reported, or else estimated for the output alone; nothing when nothing came.
    pub(super) fn usage(&self) -> Option<Usage> {
        let output = self.state.output_tokens();
        match self.state.usage {
            Some(usage) => Some(usage),
            None if output > 0 => Some(Usage { output, estimated: true, ..Usage::default() }),
            None => None,
        }
    }

    /// The text that has come, without calls.
    pub(super) fn partial(&self) -> Option<Message> {
        let parts: Vec<_> = match self.state.tool_calls {
            ToolCalls::Native => {
                self.state.parts.iter().filter_map(Part::text).map(ContentPart::text).collect()
            }
            // A piece of a JSON object is no text.
            ToolCalls::Schema => Vec::new(),
        };
        if parts.is_empty() { None } else { Some(Message { role: Role::Assistant, parts }) }
    }

    fn read_rest(&mut self, out: &mut dyn FnMut(Piece)) -> Result<(), Fault> {
        let state = &mut self.state;
        if let Some(object) = self.object.take() {
            if serde_json::from_slice::<IgnoredAny>(&object).is_err_and(|error| error.is_eof()) {
                return Err(Fault::Cut);
            }
            state.event(&object, out)?;
            state.done = true;
            return Ok(());
        }
        let whole = state.done || state.finish.is_some();
        match self.events.finish(&mut |data| state.event(data, out)) {
            // What a cut left of an event that the answer does not need.
            Err(Fault::Protocol(_)) if whole => Ok(()),
            // A cut inside an event is a cut, not nonsense.
            Err(Fault::Protocol(_)) => Err(Fault::Cut),
            other => other,
        }
    }
}

/// What the events have said so far.
#[derive(Debug)]
struct State {
    tool_calls: ToolCalls,
    next_id: u64,
    parts: Vec<Part>,
    /// The part that grows, and how much of it has been handed out.
    unsent: Option<(usize, usize)>,
    finish: Option<String>,
    refused: bool,
    done: bool,
    /// An event that holds a choice has come.
    chosen: bool,
    usage: Option<Usage>,
}

#[derive(Debug)]
enum Part {
    Text(String),
    Reasoning(String),
    Call(Call),
}

#[derive(Debug, Default)]
struct Call {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
}

impl Part {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Reasoning(_) | Self::Call(_) => None,
        }
    }

    fn growing(&self) -> &str {
        match self {
            Self::Text(text) | Self::Reasoning(text) => text,
            Self::Call(call) => &call.arguments,
        }
    }
}

impl State {
    fn new(tool_calls: ToolCalls, next_id: u64) -> Self {
        Self {
            tool_calls,
            next_id,
            parts: Vec::new(),
            unsent: None,
            finish: None,
            refused: false,
            done: false,
            chosen: false,
            usage: None,
        }
    }

    fn event(&mut self, data: &[u8], out: &mut dyn FnMut(Piece)) -> Result<(), Fault> {
        if self.done || data.is_empty() {
            return Ok(());
        }
        if data.trim_ascii() == b"[DONE]" {
            self.done = true;
            return Ok(());
        }
        let chunk: Chunk<'_> = serde_json::from_slice(data).map_err(|error| {
            let start = data.get(..200.min(data.len())).unwrap_or_default();
            Fault::Protocol(format!("{error} in `{}`", errors::shown(&String::from_utf8_lossy(start))))
        })?;
        if let Some(error) = chunk.error.filter(|error| error.get() != "null") {
            return Err(Fault::Reported(error.get().to_owned()));
        }
        if let Some(reported) = chunk.usage.and_then(|usage| usage::read(usage.get())) {
            self.usage = Some(reported);
        }
        let Some(choice) = chunk.choices.into_iter().flatten().next() else { return Ok(()) };
        self.chosen = true;
        if let Some(delta) = choice.delta {
            self.delta(delta, false, out)?;
        }
        if let Some(message) = choice.message {
            self.delta(message, true, out)?;
        }
        if let Some(reason) = choice.finish_reason {
            self.finish = Some(reason.0.into_owned());
        }
        Ok(())
    }

    fn delta(&mut self, delta: Delta<'_>, whole: bool, out: &mut dyn FnMut(Piece)) -> Result<(), Fault> {
        // Servers that changed the field's name send both for a while.
        let reasoning =
            [delta.reasoning_content, delta.reasoning].into_iter().flatten().find(|text| !text.0.is_empty());
        if let Some(text) = reasoning {
            let at = match self.parts.last() {
                Some(Part::Reasoning(_)) => self.parts.len().saturating_sub(1),
                _ => self.begin(Part::Reasoning(String::new()))?,
            };
            self.grow(at, &text.0, out);
        }
        let refusal = delta.refusal.filter(|text| !text.0.is_empty());
        self.refused |= refusal.is_some();
        for text in [delta.content, refusal].into_iter().flatten().filter(|text| !text.0.is_empty()) {
            let at = match self.parts.last() {
                Some(Part::Text(_)) => self.parts.len().saturating_sub(1),
                _ => self.begin(Part::Text(String::new()))?,
            };
            self.grow(at, &text.0, out);
        }
        for (position, call) in delta.tool_calls.into_iter().flatten().enumerate() {
            // In a whole message every call is a call of its own.
            let index = if whole { Some(position as u64) } else { call.index };
            self.call(index, call, out)?;
        }
        Ok(())
    }

    fn call(
        &mut self,
        index: Option<u64>,
        delta: CallDelta<'_>,
        out: &mut dyn FnMut(Piece),
    ) -> Result<(), Fault> {
        let id = delta.id.map(|id| id.0).unwrap_or_default();
        let function = delta.function.unwrap_or_default();
        let at = match self.find(index, &id) {
            Some(at) => at,
            None if self.calls() >= CALLS_MAX => {
                return Err(Fault::Protocol(format!("more than {CALLS_MAX} calls in one answer")));
            }
            None => self.begin(Part::Call(Call { index, ..Call::default() }))?,
        };
        if let Some(Part::Call(call)) = self.parts.get_mut(at) {
            if call.id.is_empty() {
                call.id = id.into_owned();
            }
            if let Some(name) = function.name.filter(|_| call.name.is_empty()) {
                call.name = name.0.into_owned();
            }
        }
        match function.arguments.map(RawValue::get) {
            None | Some("null" | "\"\"") => {}
            Some(text) => match serde_json::from_str::<Text<'_>>(text).ok().filter(|_| text.starts_with('"'))
            {
                Some(text) => self.grow(at, &text.0, out),
                // Some send the object itself instead of its text.
                None => self.grow(at, text, out),
            },
        }
        Ok(())
    }

    /// The call that a delta belongs to.
    fn find(&self, index: Option<u64>, id: &str) -> Option<usize> {
        let calls = || {
            self.parts.iter().enumerate().rev().filter_map(|(at, part)| match part {
                Part::Call(call) => Some((at, call)),
                _ => None,
            })
        };
        let same_id = |call: &Call| id.is_empty() || call.id.is_empty() || call.id == id;
        match index {
            // Some number every call zero, and tell them apart by their ids alone.
            Some(_) => calls().find(|(_, call)| call.index == index && same_id(call)),
            None if id.is_empty() => calls().next(),
            None => calls().find(|(_, call)| call.id == id),
        }
        .map(|(at, _)| at)
    }

    fn calls(&self) -> usize {
        self.parts.iter().filter(|part| matches!(part, Part::Call(_))).count()
    }

    fn begin(&mut self, part: Part) -> Result<usize, Fault> {
        if self.parts.len() >= PARTS_MAX {
            return Err(Fault::Protocol(format!("more than {PARTS_MAX} parts in one answer")));
        }
        self.parts.push(part);
        Ok(self.parts.len().saturating_sub(1))
    }

    fn grow(&mut self, at: usize, text: &str, out: &mut dyn FnMut(Piece)) {
        if self.unsent.is_none_or(|(open, _)| open != at) {
            self.flush(out);
        }
        let Some(part) = self.parts.get_mut(at) else { return };
        let (Part::Text(grown) | Part::Reasoning(grown) | Part::Call(Call { arguments: grown, .. })) = part;
        self.unsent.get_or_insert((at, grown.len()));
        grown.push_str(text);
    }

    fn flush(&mut self, out: &mut dyn FnMut(Piece)) {
        let Some((at, from)) = self.unsent.take() else { return };
        let Some(part) = self.parts.get(at) else { return };
        let text = part.growing().get(from..).unwrap_or_default();
        if text.is_empty() {
            return;
        }
        out(match (part, self.tool_calls) {
            (Part::Text(_), ToolCalls::Native) => Piece::Text(text.to_owned()),
            (Part::Reasoning(_), _) => Piece::Reasoning(text.to_owned()),
            (Part::Call(_), _) | (Part::Text(_), ToolCalls::Schema) => Piece::Arguments(text.to_owned()),
        });
    }

    fn output_tokens(&self) -> u64 {
        let bytes: usize = self.parts.iter().map(|part| part.growing().len()).sum();
        (bytes as u64).div_ceil(TOKEN_BYTES)
    }

    fn whole(mut self, usage: Option<Usage>, out: &mut dyn FnMut(Piece)) -> Result<Whole, Fault> {
        if self.finish.is_none() && !self.done {
            return Err(Fault::Cut);
        }
        if !self.chosen {
            return Err(Fault::Protocol("there is no choice in what it sent".into()));
        }
        if self.finish.as_deref() == Some("error") {
            return Err(Fault::Reported("\"the answer ended in an error\"".into()));
        }
        if self.tool_calls == ToolCalls::Schema {
            self.read_step(out);
        }
        let has_calls = self.calls() > 0;
        let stop = match self.finish.as_deref() {
            _ if self.refused => StopReason::Refused,
            Some("content_filter") => StopReason::Refused,
            Some("length") => StopReason::MaxOutput,
            _ if has_calls => StopReason::ToolUse,
            None | Some("stop" | "tool_calls" | "function_call" | "eos" | "") => StopReason::EndTurn,
            Some(other) => StopReason::Other(errors::shown(other)),
        };
        let message = Message { role: Role::Assistant, parts: self.content() };
        Ok(Whole { message, stop, usage })
    }

    /// Turns the text into the call that it is.
    fn read_step(&mut self, out: &mut dyn FnMut(Piece)) {
        let text: String = self.parts.iter().filter_map(Part::text).collect();
        if text.is_empty() {
            return;
        }
        self.parts.retain(|part| part.text().is_none());
        match schema_calls::read(&text) {
            Step::Call { name, arguments } => {
                self.parts.push(Part::Call(Call { name, arguments, ..Call::default() }));
            }
            Step::Done { message: text } | Step::Text { text } => {
                out(Piece::Text(text.clone()));
                self.parts.push(Part::Text(text));
            }
        }
    }

    fn content(self) -> Vec<ContentPart> {
        let mut next_id = self.next_id;
        let mut seen: Vec<String> = Vec::new();
        self.parts
            .into_iter()
            .map(|part| match part {
                Part::Text(text) => ContentPart::Text { text },
                Part::Reasoning(text) => ContentPart::Reasoning { text, signature: None },
                Part::Call(call) => {
                    let mut id = call.id;
                    // Results find their calls by these.
                    while id.is_empty() || seen.contains(&id) {
                        id = made_id(next_id);
                        next_id = next_id.saturating_add(1);
                    }
                    seen.push(id.clone());
                    ContentPart::ToolCall(ToolCall {
                        id,
                        name: ToolName::new(call.name),
                        arguments: call.arguments,
                    })
                }
            })
            .collect()
    }
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
    /// In place of `delta` where the server does not stream.
    #[serde(borrow)]
    message: Option<Delta<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow)]
    content: Option<Text<'a>>,
    #[serde(borrow)]
    reasoning_content: Option<Text<'a>>,
    #[serde(borrow)]
    reasoning: Option<Text<'a>>,
    #[serde(borrow)]
    refusal: Option<Text<'a>>,
    #[serde(borrow)]
    tool_calls: Option<Vec<CallDelta<'a>>>,
}

#[derive(Deserialize)]
struct CallDelta<'a> {
    index: Option<u64>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    function: Option<FunctionDelta<'a>>,
}

#[derive(Deserialize, Default)]
struct FunctionDelta<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    /// A JSON text of JSON text; from some servers the JSON itself.
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

/// A text that is borrowed unless it holds escapes. (serde borrows a `Cow` only where it stands alone, not in an
/// `Option`.) A list of parts counts as the texts in it, as some servers send.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }

            fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
                #[derive(Deserialize)]
                struct TextPart {
                    text: Option<String>,
                }
                let mut all = String::new();
                while let Some(part) = parts.next_element::<TextPart>()? {
                    all.push_str(&part.text.unwrap_or_default());
                }
                Ok(Text(Cow::Owned(all)))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
