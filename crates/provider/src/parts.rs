//! The parts of an answer while they grow: texts, thoughts and calls, in the order in which they came. Bounded. Hands
//! out what has grown as pieces; knows no wire.

use codetether_event::{ContentPart, ModelId, Piece, ToolCall, ToolName};

use crate::answer::Fault;
use crate::calls::{TOKEN_BYTES, made_id};

/// Most calls of one answer.
const CALLS_MAX: usize = 128;
/// Most parts of one answer. Each delta looks through the calls among them.
const PARTS_MAX: usize = 4_096;

/// A part.
#[derive(Debug)]
pub(crate) enum Part {
    Text(String),
    Reasoning(Reasoning),
    Call(Call),
}

/// Thoughts.
#[derive(Debug, Default)]
pub(crate) struct Reasoning {
    pub(crate) text: String,
    pub(crate) signature: Option<String>,
    pub(crate) sealed: Option<String>,
}

/// A call.
#[derive(Debug, Default)]
pub(crate) struct Call {
    /// The server's number of it, where it has one.
    pub(crate) index: Option<u64>,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: String,
}

impl Part {
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Reasoning(_) | Self::Call(_) => None,
        }
    }

    fn growing(&self) -> &str {
        match self {
            Self::Text(text) | Self::Reasoning(Reasoning { text, .. }) => text,
            Self::Call(call) => &call.arguments,
        }
    }
}

/// What texts are to whoever listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Texts {
    /// Text.
    Shown,
    /// The JSON of a call, a piece of which is no text.
    Arguments,
}

/// The parts.
#[derive(Debug)]
pub(crate) struct Parts {
    parts: Vec<Part>,
    texts: Texts,
    calls: usize,
    /// The part that grows, and how much of it has been handed out.
    unsent: Option<(usize, usize)>,
}

impl Parts {
    pub(crate) fn new(texts: Texts) -> Self {
        Self { parts: Vec::new(), texts, calls: 0, unsent: None }
    }

    /// Begins a part; gives its place.
    pub(crate) fn begin(&mut self, part: Part) -> Result<usize, Fault> {
        if self.parts.len() >= PARTS_MAX {
            return Err(Fault::Protocol(format!("more than {PARTS_MAX} parts in one answer")));
        }
        if matches!(part, Part::Call(_)) {
            if self.calls >= CALLS_MAX {
                return Err(Fault::Protocol(format!("more than {CALLS_MAX} calls in one answer")));
            }
            self.calls = self.calls.saturating_add(1);
        }
        self.parts.push(part);
        Ok(self.parts.len().saturating_sub(1))
    }

    /// The last part and its place.
    pub(crate) fn last(&self) -> Option<(usize, &Part)> {
        self.parts.iter().enumerate().next_back()
    }

    pub(crate) fn get_mut(&mut self, at: usize) -> Option<&mut Part> {
        self.parts.get_mut(at)
    }

    /// The calls with their places, the last first.
    pub(crate) fn last_calls(&self) -> impl Iterator<Item = (usize, &Call)> {
        self.parts.iter().enumerate().rev().filter_map(|(at, part)| match part {
            Part::Call(call) => Some((at, call)),
            _ => None,
        })
    }

    pub(crate) fn has_calls(&self) -> bool {
        self.calls > 0
    }

    /// Appends to a part.
    pub(crate) fn grow(&mut self, at: usize, text: &str, out: &mut dyn FnMut(Piece)) {
        if self.unsent.is_none_or(|(open, _)| open != at) {
            self.flush(out);
        }
        let Some(part) = self.parts.get_mut(at) else { return };
        let grown = match part {
            Part::Text(text) | Part::Reasoning(Reasoning { text, .. }) => text,
            Part::Call(call) => &mut call.arguments,
        };
        self.unsent.get_or_insert((at, grown.len()));
        grown.push_str(text);
    }

    pub(crate) fn has_unsent(&self) -> bool {
        self.unsent.is_some()
    }

    /// Hands out what came since the last piece.
    pub(crate) fn flush(&mut self, out: &mut dyn FnMut(Piece)) {
        let Some((at, from)) = self.unsent.take() else { return };
        let Some(part) = self.parts.get(at) else { return };
        let text = part.growing().get(from..).unwrap_or_default();
        if text.is_empty() {
            return;
        }
        out(match (part, self.texts) {
            (Part::Text(_), Texts::Shown) => Piece::Text(text.to_owned()),
            (Part::Reasoning(_), _) => Piece::Reasoning(text.to_owned()),
            (Part::Call(_), _) | (Part::Text(_), Texts::Arguments) => Piece::Arguments(text.to_owned()),
        });
    }

    /// Tokens of all that came, roughly.
    pub(crate) fn tokens(&self) -> u64 {
        let bytes: usize = self.parts.iter().map(|part| part.growing().len()).sum();
        (bytes as u64).div_ceil(TOKEN_BYTES)
    }

    /// Bytes of the arguments of all calls, and of texts that are such.
    pub(crate) fn argument_bytes(&self) -> usize {
        let argued = |part: &&Part| match part {
            Part::Call(_) => true,
            Part::Text(_) => self.texts == Texts::Arguments,
            Part::Reasoning(_) => false,
        };
        self.parts.iter().filter(argued).map(|part| part.growing().len()).sum()
    }

    /// The texts that someone has seen as texts.
    pub(crate) fn shown_texts(&self) -> impl Iterator<Item = &str> {
        let shown = self.texts == Texts::Shown;
        self.parts.iter().filter_map(Part::text).filter(move |_| shown)
    }

    /// The texts, where there is nothing else.
    pub(crate) fn texts_alone(&self) -> Option<impl Iterator<Item = &str>> {
        let alone = self.parts.iter().all(|part| part.text().is_some());
        alone.then(|| self.shown_texts())
    }

    /// Takes the texts out, as one.
    pub(crate) fn take_text(&mut self) -> String {
        let text = self.parts.iter().filter_map(Part::text).collect();
        self.parts.retain(|part| part.text().is_none());
        text
    }

    /// What became of it. Calls without an id, or with that of another call, are numbered from `next_id`; thoughts
    /// belong to `model`, if it wants them back.
    pub(crate) fn into_content(self, mut next_id: u64, model: Option<&ModelId>) -> Vec<ContentPart> {
        let mut seen: Vec<String> = Vec::new();
        self.parts
            .into_iter()
            .map(|part| match part {
                Part::Text(text) => ContentPart::Text { text },
                Part::Reasoning(Reasoning { text, signature, sealed }) => {
                    ContentPart::Reasoning { text, signature, sealed, model: model.cloned() }
                }
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
                        wrapped: None,
                    })
                }
            })
            .collect()
    }
}

/// Takes out the texts and thoughts that have nothing in them.
pub(crate) fn drop_empty(content: &mut Vec<ContentPart>) {
    content.retain(|part| match part {
        ContentPart::Text { text } => !text.is_empty(),
        ContentPart::Reasoning { text, signature, sealed, .. } => {
            !text.is_empty() || signature.is_some() || sealed.is_some()
        }
        _ => true,
    });
}
