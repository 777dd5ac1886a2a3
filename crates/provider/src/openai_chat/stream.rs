//! What the events of this wire say, and what it all comes to. Events are read without building a tree of them.

use codetether_event::{ContentPart, ModelId, Money, Piece, StopReason, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::ToolCalls;
use super::details::Details;
use super::schema_calls::{self, Step};
use super::usage;
use crate::answer::{Fault, Reader};
use crate::errors;
use crate::parts::{Call, Part, Parts, Reasoning, Texts};
use crate::text::Text;

/// What the events have said so far.
#[derive(Debug)]
pub(super) struct State {
    tool_calls: ToolCalls,
    next_id: u64,
    parts: Parts,
    finish: Option<String>,
    refused: bool,
    done: bool,
    /// An event that holds a choice has come.
    chosen: bool,
    usage: Option<Usage>,
    /// Whether what the server says of costs counts.
    tells_cost: bool,
    cost: Option<Money>,
    /// Who thought this, if it is to be given back.
    model: Option<ModelId>,
    details: Details,
}

impl State {
    /// Nothing has come yet. Calls without an id are numbered from `next_id`.
    pub(super) fn new(tool_calls: ToolCalls, next_id: u64) -> Self {
        let texts = match tool_calls {
            ToolCalls::Native => Texts::Shown,
            ToolCalls::Schema => Texts::Arguments,
        };
        Self {
            tool_calls,
            next_id,
            parts: Parts::new(texts),
            finish: None,
            refused: false,
            done: false,
            chosen: false,
            usage: None,
            tells_cost: false,
            cost: None,
            model: None,
            details: Details::default(),
        }
    }

    /// The server says what an answer costs.
    pub(super) fn telling_cost(self) -> Self {
        Self { tells_cost: true, ..self }
    }

    /// What is thought is to be given back to this model.
    pub(super) fn thought_by(self, model: ModelId) -> Self {
        Self { model: Some(model), ..self }
    }
}

impl Reader for State {
    fn event(&mut self, data: &[u8], out: &mut dyn FnMut(Piece)) -> Result<(), Fault> {
        if self.done || data.is_empty() {
            return Ok(());
        }
        if data.trim_ascii() == b"[DONE]" {
            self.done = true;
            return Ok(());
        }
        let chunk: Chunk<'_> =
            serde_json::from_slice(data).map_err(|error| Fault::unreadable(&error, data))?;
        if chunk.error.is_some_and(|error| error.get() != "null") {
            return Err(Fault::Reported(String::from_utf8_lossy(data).into_owned()));
        }
        if let Some(reported) = chunk.usage.and_then(|usage| usage::read(usage.get())) {
            self.usage = Some(reported);
        }
        if let Some(cost) = chunk.usage.filter(|_| self.tells_cost).and_then(|usage| usage::cost(usage.get()))
        {
            self.cost = Some(cost);
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

    fn object(&mut self, object: &[u8], out: &mut dyn FnMut(Piece)) -> Result<(), Fault> {
        self.event(object, out)?;
        self.done = true;
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn is_ended(&self) -> bool {
        self.finish.is_some()
    }

    fn parts(&self) -> &Parts {
        &self.parts
    }

    fn parts_mut(&mut self) -> &mut Parts {
        &mut self.parts
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }

    fn cost(&self) -> Option<Money> {
        self.cost
    }

    fn whole(mut self, out: &mut dyn FnMut(Piece)) -> Result<(Vec<ContentPart>, StopReason), Fault> {
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
            self.read_step(out)?;
        }
        let stop = match self.finish.as_deref() {
            _ if self.refused => StopReason::Refused,
            Some("content_filter") => StopReason::Refused,
            Some("length") => StopReason::MaxOutput,
            _ if self.parts.has_calls() => StopReason::ToolUse,
            None | Some("stop" | "tool_calls" | "function_call" | "eos" | "") => StopReason::EndTurn,
            Some(other) => StopReason::Other(errors::shown(other)),
        };
        let mut content = self.parts.into_content(self.next_id, self.model.as_ref());
        seal(&mut content, self.model.as_ref(), self.details.sealed());
        Ok((content, stop))
    }
}

impl State {
    fn delta(&mut self, delta: Delta<'_>, whole: bool, out: &mut dyn FnMut(Piece)) -> Result<(), Fault> {
        // Servers that changed the field's name send both for a while.
        let reasoning =
            [delta.reasoning_content, delta.reasoning].into_iter().flatten().find(|text| !text.0.is_empty());
        let told = match delta.reasoning_details {
            Some(details) if self.model.is_some() => self.details.take(details.get()),
            _ => String::new(),
        };
        let reasoning = match reasoning {
            Some(text) => Some(text.0),
            None if told.is_empty() => None,
            None => Some(told.into()),
        };
        if let Some(text) = reasoning {
            let at = match self.parts.last() {
                Some((at, Part::Reasoning(_))) => at,
                _ => self.parts.begin(Part::Reasoning(Reasoning::default()))?,
            };
            self.parts.grow(at, &text, out);
        }
        let refusal = delta.refusal.filter(|text| !text.0.is_empty());
        self.refused |= refusal.is_some();
        for text in [delta.content, refusal].into_iter().flatten().filter(|text| !text.0.is_empty()) {
            let at = match self.parts.last() {
                Some((at, Part::Text(_))) => at,
                _ => self.parts.begin(Part::Text(String::new()))?,
            };
            self.parts.grow(at, &text.0, out);
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
            None => self.parts.begin(Part::Call(Call { index, ..Call::default() }))?,
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
                Some(text) => self.parts.grow(at, &text.0, out),
                // Some send the object itself instead of its text.
                None => self.parts.grow(at, text, out),
            },
        }
        Ok(())
    }

    /// The call that a delta belongs to.
    fn find(&self, index: Option<u64>, id: &str) -> Option<usize> {
        let mut calls = self.parts.last_calls();
        let same_id = |call: &Call| id.is_empty() || call.id.is_empty() || call.id == id;
        match index {
            // Some number every call zero, and tell them apart by their ids alone.
            Some(_) => calls.find(|(_, call)| call.index == index && same_id(call)),
            None if id.is_empty() => calls.next(),
            None => calls.find(|(_, call)| call.id == id),
        }
        .map(|(at, _)| at)
    }

    /// Turns the text into the call that it is.
    fn read_step(&mut self, out: &mut dyn FnMut(Piece)) -> Result<(), Fault> {
        let text = self.parts.take_text();
        if text.is_empty() {
            return Ok(());
        }
        let part = match schema_calls::read(&text) {
            Step::Call { name, arguments } => Part::Call(Call { name, arguments, ..Call::default() }),
            Step::Done { message: text } | Step::Text { text } => {
                out(Piece::Text(text.clone()));
                Part::Text(text)
            }
        };
        self.parts.begin(part).map(|_| ())
    }
}

/// Puts the sealed thoughts of an answer with its first thoughts, or where those would be.
fn seal(content: &mut Vec<ContentPart>, model: Option<&ModelId>, list: Option<String>) {
    let Some(list) = list else { return };
    let first = content.iter_mut().find_map(|part| match part {
        ContentPart::Reasoning { sealed, .. } => Some(sealed),
        _ => None,
    });
    match first {
        Some(sealed) => *sealed = Some(list),
        None => content.insert(
            0,
            ContentPart::Reasoning {
                text: String::new(),
                signature: None,
                sealed: Some(list),
                model: model.cloned(),
            },
        ),
    }
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
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
    /// OpenRouter's list.
    #[serde(borrow)]
    reasoning_details: Option<&'a RawValue>,
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

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
