//! What the events of this wire say, and what it all comes to. Events are read without building a tree of them; those
//! of an unknown kind are passed over.

use codetether_event::{ContentPart, ModelId, Piece, StopReason, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::usage::Counts;
use crate::answer::{Fault, Reader, shown};
use crate::errors;
use crate::parts::{Call, Part, Parts, Reasoning, Texts, drop_empty};
use crate::text::Text;

/// Most blocks of one answer, those of an unknown kind among them.
const BLOCKS_MAX: usize = 4_096;

/// What the events have said so far.
#[derive(Debug)]
pub(super) struct State {
    model: ModelId,
    next_id: u64,
    parts: Parts,
    blocks: Vec<Block>,
    stop: Option<String>,
    /// Why the model declined, in the server's words.
    explanation: Option<String>,
    /// The message has begun.
    begun: bool,
    done: bool,
    counts: Counts,
}

/// A block of the answer.
#[derive(Debug)]
struct Block {
    /// The server's number of it.
    index: u64,
    /// The part that it is; none for a block of an unknown kind.
    part: Option<usize>,
    /// The arguments that it began with, for servers that send them at once.
    input: Option<String>,
}

impl State {
    /// Nothing has come yet. Calls without an id are numbered from `next_id`.
    pub(super) fn new(model: ModelId, next_id: u64) -> Self {
        Self {
            model,
            next_id,
            parts: Parts::new(Texts::Shown),
            blocks: Vec::new(),
            stop: None,
            explanation: None,
            begun: false,
            done: false,
            counts: Counts::default(),
        }
    }
}

impl Reader for State {
    fn event(&mut self, data: &[u8], out: &mut dyn FnMut(Piece)) -> Result<(), Fault> {
        if self.done || data.is_empty() {
            return Ok(());
        }
        // Of servers that speak both OpenAI's wire and this one.
        if data.trim_ascii() == b"[DONE]" {
            self.done = true;
            return Ok(());
        }
        let unreadable = |error: serde_json::Error| Fault::unreadable(&error, data);
        let event: Event<'_> = serde_json::from_slice(data).map_err(unreadable)?;
        let index = event.index.and_then(|index| index.get().parse().ok());
        let kind = event.r#type.as_ref().map(|kind| kind.0.as_ref());
        if kind.is_none_or(|kind| kind == "error") && event.error.is_some() {
            return Err(Fault::Reported(String::from_utf8_lossy(data).into_owned()));
        }
        match kind.unwrap_or_default() {
            "message_start" => {
                self.begun = true;
                let message: Option<Begun<'_>> = read(event.message).map_err(unreadable)?;
                if let Some(usage) = message.and_then(|message| message.usage) {
                    self.counts.begin(usage.get());
                }
            }
            "content_block_start" => {
                if let Some(block) = read(event.content_block).map_err(unreadable)? {
                    self.start(index, block, out)?;
                }
            }
            "content_block_delta" => {
                if let Some(delta) = read(event.delta).map_err(unreadable)? {
                    self.delta(index, delta, out)?;
                }
            }
            "message_delta" => {
                if let Some(delta) = read(event.delta).map_err(unreadable)? {
                    self.end(delta);
                }
                if let Some(usage) = event.usage {
                    self.counts.settle(usage.get());
                }
            }
            "message_stop" => self.done = true,
            "" => return Err(Fault::Protocol(format!("an event has no type: `{}`", shown(data)))),
            // `ping`, `content_block_stop`, and whatever there will be.
            _ => {}
        }
        Ok(())
    }

    fn object(&mut self, object: &[u8], out: &mut dyn FnMut(Piece)) -> Result<(), Fault> {
        let unreadable = |error: serde_json::Error| Fault::unreadable(&error, object);
        let message: Message<'_> = serde_json::from_slice(object).map_err(unreadable)?;
        if message.error.is_some_and(|error| error.get() != "null") {
            return Err(Fault::Reported(String::from_utf8_lossy(object).into_owned()));
        }
        let Some(content) = message.content else {
            return Err(Fault::Protocol("there is no content in what it sent".into()));
        };
        self.begun = true;
        for (index, block) in content.into_iter().enumerate() {
            let block = serde_json::from_str(block.get()).map_err(unreadable)?;
            self.start(Some(index as u64), block, out)?;
        }
        self.end(Ended { stop_reason: message.stop_reason, stop_details: message.stop_details });
        if let Some(usage) = message.usage {
            self.counts.settle(usage.get());
        }
        self.done = true;
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn is_ended(&self) -> bool {
        self.stop.is_some()
    }

    fn parts(&self) -> &Parts {
        &self.parts
    }

    fn parts_mut(&mut self) -> &mut Parts {
        &mut self.parts
    }

    fn usage(&self) -> Option<Usage> {
        self.counts.usage(self.parts.tokens())
    }

    fn whole(mut self, out: &mut dyn FnMut(Piece)) -> Result<(Vec<ContentPart>, StopReason), Fault> {
        if self.stop.is_none() && !self.done {
            return Err(Fault::Cut);
        }
        if !self.begun {
            return Err(Fault::Protocol("there is no message in what it sent".into()));
        }
        let has_calls = self.parts.has_calls();
        let stop = match self.stop.as_deref() {
            Some("refusal") => StopReason::Refused,
            Some("max_tokens" | "model_context_window_exceeded") => StopReason::MaxOutput,
            _ if has_calls => StopReason::ToolUse,
            None | Some("end_turn" | "stop_sequence" | "tool_use" | "") => StopReason::EndTurn,
            // `pause_turn` among them: it comes with tools of the server, none of which are asked for.
            Some(other) => StopReason::Other(errors::shown(other)),
        };
        let cut = stop == StopReason::MaxOutput;
        self.give_arguments(cut, out);
        if let Some(explanation) = self.explanation.take().filter(|_| stop == StopReason::Refused) {
            let at = self.parts.begin(Part::Text(String::new()))?;
            self.parts.grow(at, &explanation, out);
        }
        self.parts.flush(out);
        let mut content = self.parts.into_content(self.next_id, Some(&self.model));
        drop_empty(&mut content);
        for part in &mut content {
            // Thoughts cut off before their signature came are no longer the model's.
            if let ContentPart::Reasoning { signature: None, sealed: None, model, .. } = part
                && cut
            {
                *model = None;
            }
        }
        Ok((content, stop))
    }
}

impl State {
    fn start(
        &mut self,
        index: Option<u64>,
        start: Start<'_>,
        out: &mut dyn FnMut(Piece),
    ) -> Result<(), Fault> {
        let text = |text: Option<Text<'_>>| text.map(|text| text.0.into_owned()).unwrap_or_default();
        let mut input = None;
        let mut begins = String::new();
        let part = match start.r#type.0.as_ref() {
            "text" => {
                begins = text(start.text);
                Some(Part::Text(String::new()))
            }
            "thinking" => {
                begins = text(start.thinking);
                let signature = Some(text(start.signature)).filter(|signature| !signature.is_empty());
                Some(Part::Reasoning(Reasoning { signature, ..Reasoning::default() }))
            }
            "redacted_thinking" => {
                let sealed = Some(text(start.data));
                Some(Part::Reasoning(Reasoning { sealed, ..Reasoning::default() }))
            }
            "tool_use" => {
                input = start.input.map(|input| input.get().to_owned()).filter(|input| input != "null");
                let (id, name) = (text(start.id), text(start.name));
                Some(Part::Call(Call { index, id, name, ..Call::default() }))
            }
            _ => None,
        };
        let part = part.map(|part| self.parts.begin(part)).transpose()?;
        let index = index.unwrap_or(self.blocks.len() as u64);
        self.block(Block { index, part, input })?;
        if let Some(at) = part.filter(|_| !begins.is_empty()) {
            self.parts.grow(at, &begins, out);
        }
        Ok(())
    }

    fn delta(
        &mut self,
        index: Option<u64>,
        delta: Delta<'_>,
        out: &mut dyn FnMut(Piece),
    ) -> Result<(), Fault> {
        let Delta { text, thinking, partial_json, signature, .. } = delta;
        let (grows, begin): (_, fn() -> Part) = match delta.r#type.0.as_ref() {
            "text_delta" => (text, || Part::Text(String::new())),
            "thinking_delta" => (thinking, || Part::Reasoning(Reasoning::default())),
            "signature_delta" => (None, || Part::Reasoning(Reasoning::default())),
            "input_json_delta" => (partial_json, || Part::Call(Call::default())),
            _ => return Ok(()),
        };
        let known = match index {
            Some(index) => self.blocks.iter().rev().find(|block| block.index == index),
            None => self.blocks.last(),
        };
        let at = match known {
            Some(Block { part: Some(at), .. }) => *at,
            Some(_) => return Ok(()),
            // Some servers begin no block.
            None => {
                let at = self.parts.begin(begin())?;
                self.block(Block { index: index.unwrap_or(0), part: Some(at), input: None })?;
                at
            }
        };
        if let (Some(signature), Some(Part::Reasoning(reasoning))) = (signature, self.parts.get_mut(at)) {
            reasoning.signature = Some(signature.0.into_owned()).filter(|text| !text.is_empty());
        }
        if let Some(text) = grows.filter(|text| !text.0.is_empty()) {
            self.parts.grow(at, &text.0, out);
        }
        Ok(())
    }

    fn block(&mut self, block: Block) -> Result<(), Fault> {
        if self.blocks.len() >= BLOCKS_MAX {
            return Err(Fault::Protocol(format!("more than {BLOCKS_MAX} blocks in one answer")));
        }
        self.begun = true;
        self.blocks.push(block);
        Ok(())
    }

    fn end(&mut self, ended: Ended<'_>) {
        if let Some(reason) = ended.stop_reason {
            self.stop = Some(reason.0.into_owned());
        }
        let explanation = ended.stop_details.and_then(|details| {
            serde_json::from_str::<Details>(details.get()).ok()?.explanation.filter(|text| !text.is_empty())
        });
        if explanation.is_some() {
            self.explanation = explanation;
        }
    }

    /// Calls whose arguments did not come in pieces have those that they began with.
    fn give_arguments(&mut self, cut: bool, out: &mut dyn FnMut(Piece)) {
        let last = self.parts.last().map(|(at, _)| at);
        for block in std::mem::take(&mut self.blocks) {
            let (Some(at), Some(input)) = (block.part, block.input) else { continue };
            let Some(Part::Call(call)) = self.parts.get_mut(at) else { continue };
            // A call that the limit cut off before its first argument must not look like one without any.
            let cut = cut && Some(at) == last && input == "{}";
            if call.arguments.is_empty() && !cut {
                self.parts.grow(at, &input, out);
            }
        }
    }
}

fn read<'a, T: Deserialize<'a>>(json: Option<&'a RawValue>) -> Result<Option<T>, serde_json::Error> {
    json.map(|json| serde_json::from_str(json.get())).transpose()
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Event<'a> {
    #[serde(borrow)]
    r#type: Option<Text<'a>>,
    #[serde(borrow)]
    index: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    content_block: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Begun<'a> {
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

/// A whole message, or an error in its place.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    stop_reason: Option<Text<'a>>,
    #[serde(borrow)]
    stop_details: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Start<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    thinking: Option<Text<'a>>,
    #[serde(borrow)]
    signature: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<Text<'a>>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    thinking: Option<Text<'a>>,
    #[serde(borrow)]
    partial_json: Option<Text<'a>>,
    #[serde(borrow)]
    signature: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Ended<'a> {
    #[serde(borrow)]
    stop_reason: Option<Text<'a>>,
    #[serde(borrow)]
    stop_details: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Details {
    explanation: Option<String>,
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
