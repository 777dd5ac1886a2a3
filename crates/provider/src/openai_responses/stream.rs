//! What the events of this wire say, and what it all comes to. Events are read without building a tree of them; those
//! of an unknown kind are passed over, and so are items of tools that the server runs itself.

use codetether_event::{ContentPart, ModelId, Piece, StopReason, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::usage;
use crate::answer::{Fault, Reader, shown};
use crate::errors;
use crate::parts::{Call, Part, Parts, Reasoning, Texts, drop_empty};
use crate::text::Text;

/// Most items of one answer, those of an unknown kind among them.
const ITEMS_MAX: usize = 4_096;

/// What the events have said so far.
#[derive(Debug)]
pub(super) struct State {
    model: ModelId,
    next_id: u64,
    parts: Parts,
    items: Vec<Item>,
    refused: bool,
    /// How it ended, once it has.
    end: Option<End>,
    usage: Option<Usage>,
}

/// How an answer ends.
#[derive(Debug)]
enum End {
    Completed,
    /// In the server's word for the reason.
    Incomplete(String),
}

/// An item of the answer.
#[derive(Debug, Clone, Copy)]
struct Item {
    /// The server's number of it.
    index: u64,
    made: Made,
    /// The part that it is; none for an item of an unknown kind.
    part: Option<usize>,
}

/// What an item is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    Text,
    Thoughts,
    Call,
    Unknown,
}

impl State {
    /// Nothing has come yet. Calls without an id are numbered from `next_id`.
    pub(super) fn new(model: ModelId, next_id: u64) -> Self {
        let parts = Parts::new(Texts::Shown);
        Self { model, next_id, parts, items: Vec::new(), refused: false, end: None, usage: None }
    }
}

impl Reader for State {
    fn event(&mut self, data: &[u8], out: &mut dyn FnMut(Piece)) -> Result<(), Fault> {
        // Some servers say at the end that they are done, as those of Chat Completions do.
        if self.end.is_some() || data.is_empty() || data.trim_ascii() == b"[DONE]" {
            return Ok(());
        }
        let unreadable = |error: serde_json::Error| Fault::unreadable(&error, data);
        let event: Event<'_> = serde_json::from_slice(data).map_err(unreadable)?;
        let index = event.output_index.and_then(|index| index.get().parse().ok());
        let kind = event.r#type.as_ref().map_or("", |kind| kind.0.as_ref());
        let reports = event.error.is_some_and(|error| error.get() != "null");
        let made = match kind {
            "error" => return Err(Fault::Reported(String::from_utf8_lossy(data).into_owned())),
            "" if reports => return Err(Fault::Reported(String::from_utf8_lossy(data).into_owned())),
            "" => return Err(Fault::Protocol(format!("an event has no type: `{}`", shown(data)))),
            "response.output_text.delta" => Made::Text,
            "response.refusal.delta" => {
                self.refused = true;
                Made::Text
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => Made::Thoughts,
            "response.function_call_arguments.delta" => Made::Call,
            "response.reasoning_summary_part.added" => {
                self.separate(index, out);
                return Ok(());
            }
            "response.output_item.added" => {
                if let Some(raw) = event.item {
                    self.begin(index, told(raw).map_err(unreadable)?.as_ref())?;
                }
                return Ok(());
            }
            "response.output_item.done" => {
                if let Some(raw) = event.item {
                    self.settle(index, raw, told(raw).map_err(unreadable)?, out)?;
                }
                return Ok(());
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                let Some(response) = read(event.response).map_err(unreadable)? else {
                    return Err(Fault::Protocol("there is no response in what it sent".into()));
                };
                return self.end(kind.trim_start_matches("response."), response, out);
            }
            // `response.created`, the ends of what is settled with its item, and whatever there will be.
            _ => return Ok(()),
        };
        if let Some(delta) = read::<Text<'_>>(event.delta).map_err(unreadable)? {
            self.grow(index, made, &delta.0, out)?;
        }
        Ok(())
    }

    fn object(&mut self, object: &[u8], out: &mut dyn FnMut(Piece)) -> Result<(), Fault> {
        let response: Response<'_> =
            serde_json::from_slice(object).map_err(|error| Fault::unreadable(&error, object))?;
        if response.output.is_none() && response.error.is_none_or(|error| error.get() == "null") {
            return Err(Fault::Protocol("there is no output in what it sent".into()));
        }
        self.end("", response, out)
    }

    fn is_done(&self) -> bool {
        self.end.is_some()
    }

    fn is_ended(&self) -> bool {
        self.end.is_some()
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

    fn whole(self, _: &mut dyn FnMut(Piece)) -> Result<(Vec<ContentPart>, StopReason), Fault> {
        let stop = match self.end {
            None => return Err(Fault::Cut),
            _ if self.refused => StopReason::Refused,
            Some(End::Incomplete(reason)) => match reason.as_str() {
                "content_filter" => StopReason::Refused,
                "max_output_tokens" => StopReason::MaxOutput,
                other => StopReason::Other(errors::shown(other)),
            },
            Some(End::Completed) if self.parts.has_calls() => StopReason::ToolUse,
            Some(End::Completed) => StopReason::EndTurn,
        };
        let mut content = self.parts.into_content(self.next_id, Some(&self.model));
        drop_empty(&mut content);
        for part in &mut content {
            // Without its seal a thought is of no use to the model.
            if let ContentPart::Reasoning { sealed: None, model, .. } = part {
                *model = None;
            }
        }
        Ok((content, stop))
    }
}

impl State {
    fn begin(&mut self, index: Option<u64>, item: Option<&Told<'_>>) -> Result<Item, Fault> {
        let text = |text: &Option<Text<'_>>| text.as_ref().map_or("", |text| text.0.as_ref()).to_owned();
        let Some(item) = item else { return self.add(index, Made::Unknown, None) };
        let (made, part) = match item.r#type.0.as_ref() {
            "message" => (Made::Text, Some(Part::Text(String::new()))),
            "reasoning" => (Made::Thoughts, Some(Part::Reasoning(Reasoning::default()))),
            "function_call" => {
                let (id, name) = (text(&item.call_id), text(&item.name));
                (Made::Call, Some(Part::Call(Call { index, id, name, ..Call::default() })))
            }
            _ => (Made::Unknown, None),
        };
        self.add(index, made, part)
    }

    fn add(&mut self, index: Option<u64>, made: Made, part: Option<Part>) -> Result<Item, Fault> {
        if self.items.len() >= ITEMS_MAX {
            return Err(Fault::Protocol(format!("more than {ITEMS_MAX} items in one answer")));
        }
        let part = part.map(|part| self.parts.begin(part)).transpose()?;
        let item = Item { index: index.unwrap_or(self.items.len() as u64), made, part };
        self.items.push(item);
        Ok(item)
    }

    /// The item of this number; the last one where there is no number.
    fn find(&self, index: Option<u64>) -> Option<Item> {
        self.items.iter().rev().find(|item| index.is_none_or(|index| item.index == index)).copied()
    }

    fn grow(
        &mut self,
        index: Option<u64>,
        made: Made,
        text: &str,
        out: &mut dyn FnMut(Piece),
    ) -> Result<(), Fault> {
        let item = match self.find(index) {
            Some(item) if item.made == made => item,
            Some(_) if index.is_some() => return Ok(()),
            // Some servers begin no item.
            _ => {
                let part = match made {
                    Made::Text => Some(Part::Text(String::new())),
                    Made::Thoughts => Some(Part::Reasoning(Reasoning::default())),
                    Made::Call => Some(Part::Call(Call { index, ..Call::default() })),
                    Made::Unknown => None,
                };
                self.add(index, made, part)?
            }
        };
        if let Some(at) = item.part.filter(|_| !text.is_empty()) {
            self.parts.grow(at, text, out);
        }
        Ok(())
    }

    /// The next part of a summary is a paragraph of its own.
    fn separate(&mut self, index: Option<u64>, out: &mut dyn FnMut(Piece)) {
        let Some(Item { part: Some(at), made: Made::Thoughts, .. }) = self.find(index) else { return };
        if matches!(self.parts.get_mut(at), Some(Part::Reasoning(thoughts)) if !thoughts.text.is_empty()) {
            self.parts.grow(at, "\n\n", out);
        }
    }

    /// An item is whole: what has not come in pieces is in it, and so is the seal.
    fn settle(
        &mut self,
        index: Option<u64>,
        raw: &RawValue,
        told: Option<Told<'_>>,
        out: &mut dyn FnMut(Piece),
    ) -> Result<(), Fault> {
        let item = match self.find(index) {
            Some(item) => item,
            None => self.begin(index, told.as_ref())?,
        };
        let (Some(at), Some(told)) = (item.part, told) else { return Ok(()) };
        let whole = told.status.as_ref().is_none_or(|status| status.0 != "incomplete");
        let missing = match self.parts.get_mut(at) {
            Some(Part::Text(text)) => {
                let contents = told.content.into_iter().flatten();
                let mut said = String::new();
                for content in contents {
                    self.refused |= content.refusal.as_ref().is_some_and(|refusal| !refusal.0.is_empty());
                    said.extend([content.text, content.refusal].into_iter().flatten().map(|text| text.0));
                }
                Some(said).filter(|_| text.is_empty())
            }
            Some(Part::Reasoning(thoughts)) => {
                let sealed = told.encrypted_content.is_some_and(|sealed| !sealed.0.is_empty()) && whole;
                thoughts.sealed = sealed.then(|| raw.get().to_owned());
                let texts = told.summary.into_iter().chain(told.content).flatten();
                let texts: Vec<_> = texts.filter_map(|content| content.text).map(|text| text.0).collect();
                Some(texts.join("\n\n")).filter(|_| thoughts.text.is_empty())
            }
            Some(Part::Call(call)) => {
                for (own, told) in [(&mut call.id, told.call_id), (&mut call.name, told.name)] {
                    if let Some(told) = told.filter(|_| own.is_empty()) {
                        *own = told.0.into_owned();
                    }
                }
                told.arguments.map(|text| text.0.into_owned()).filter(|_| call.arguments.is_empty())
            }
            None => None,
        };
        if let Some(missing) = missing.filter(|text| !text.is_empty()) {
            self.parts.grow(at, &missing, out);
        }
        Ok(())
    }

    /// The answer is over, by the event of this kind or by the status of the object itself.
    fn end(&mut self, kind: &str, response: Response<'_>, out: &mut dyn FnMut(Piece)) -> Result<(), Fault> {
        if let Some(usage) = response.usage.and_then(|usage| usage::read(usage.get())) {
            self.usage = Some(usage);
        }
        if let Some(error) = response.error.filter(|error| error.get() != "null") {
            return Err(Fault::Reported(format!("{{\"error\":{}}}", error.get())));
        }
        // Some servers send the items in one.
        if self.items.is_empty() {
            for (index, raw) in response.output.into_iter().flatten().enumerate() {
                let item = told(raw).map_err(|error| Fault::unreadable(&error, raw.get().as_bytes()))?;
                self.settle(Some(index as u64), raw, item, out)?;
            }
        }
        let status = response.status.map(|status| status.0);
        let reason = response.incomplete_details.and_then(|details| details.reason).map(|reason| reason.0);
        self.end = Some(match (kind, status.as_deref()) {
            ("failed", _) | ("", Some("failed")) => {
                return Err(Fault::Reported("\"the answer ended in an error\"".into()));
            }
            ("incomplete", _) | ("", Some("incomplete")) => {
                End::Incomplete(reason.map_or_else(|| "incomplete".to_owned(), |reason| reason.into_owned()))
            }
            ("", Some(other)) if other != "completed" => End::Incomplete(other.to_owned()),
            _ => End::Completed,
        });
        Ok(())
    }
}

fn read<'a, T: Deserialize<'a>>(json: Option<&'a RawValue>) -> Result<Option<T>, serde_json::Error> {
    json.map(|json| serde_json::from_str(json.get())).transpose()
}

/// Reads an item; none where its kind is unknown, whatever is in it.
fn told(raw: &RawValue) -> Result<Option<Told<'_>>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Kind<'a> {
        #[serde(borrow)]
        r#type: Option<Text<'a>>,
    }
    let kind = serde_json::from_str::<Kind<'_>>(raw.get())?.r#type;
    let known = kind.is_some_and(|kind| ["message", "reasoning", "function_call"].contains(&kind.0.as_ref()));
    if known { serde_json::from_str(raw.get()).map(Some) } else { Ok(None) }
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Event<'a> {
    #[serde(borrow)]
    r#type: Option<Text<'a>>,
    #[serde(borrow)]
    output_index: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    item: Option<&'a RawValue>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    status: Option<Text<'a>>,
    #[serde(borrow)]
    output: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    incomplete_details: Option<Incomplete<'a>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Incomplete<'a> {
    #[serde(borrow)]
    reason: Option<Text<'a>>,
}

/// An item as the server tells it.
#[derive(Deserialize)]
struct Told<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(borrow)]
    status: Option<Text<'a>>,
    #[serde(borrow)]
    call_id: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    arguments: Option<Text<'a>>,
    #[serde(borrow)]
    encrypted_content: Option<Text<'a>>,
    #[serde(borrow)]
    summary: Option<Vec<Content<'a>>>,
    #[serde(borrow)]
    content: Option<Vec<Content<'a>>>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    refusal: Option<Text<'a>>,
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
