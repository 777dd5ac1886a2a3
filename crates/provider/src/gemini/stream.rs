//! What the events of this wire say, and what it all comes to. Each event is a piece of the answer; there is none that
//! says that it was the last. Parts of an unknown kind are passed over.

use codetether_event::{ContentPart, ModelId, Piece, StopReason, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::usage::Counts;
use crate::answer::{Fault, Reader};
use crate::errors;
use crate::parts::{Call, Part, Parts, Reasoning, Texts};
use crate::text::Text;

/// What the events have said so far.
#[derive(Debug)]
pub(super) struct State {
    model: ModelId,
    next_id: u64,
    parts: Parts,
    /// What comes may belong to the last part: nothing is joined with a part that is signed.
    open: bool,
    stop: Option<String>,
    /// The prompt was blocked.
    blocked: bool,
    /// Why the answer ended, in the server's words.
    explanation: Option<String>,
    begun: bool,
    done: bool,
    counts: Counts,
}

impl State {
    /// Nothing has come yet. Calls without an id are numbered from `next_id`.
    pub(super) fn new(model: ModelId, next_id: u64) -> Self {
        Self {
            model,
            next_id,
            parts: Parts::new(Texts::Shown),
            open: false,
            stop: None,
            blocked: false,
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
        let event: Event<'_> =
            serde_json::from_slice(data).map_err(|error| Fault::unreadable(&error, data))?;
        if event.error.is_some_and(|error| error.get() != "null") {
            return Err(Fault::Reported(String::from_utf8_lossy(data).into_owned()));
        }
        if let Some(usage) = event.usage_metadata {
            self.counts.take(usage.get());
        }
        if let Some(feedback) = event.prompt_feedback
            && let Some(reason) = feedback.block_reason
        {
            self.blocked = true;
            self.end(reason, feedback.block_reason_message);
        }
        // Only one is asked for.
        if let Some(candidate) = event.candidates.into_iter().flatten().next() {
            self.begun = true;
            for part in candidate.content.and_then(|content| content.parts).unwrap_or_default() {
                self.part(part, out)?;
            }
            if let Some(reason) = candidate.finish_reason {
                self.end(reason, candidate.finish_message);
            }
        }
        Ok(())
    }

    fn object(&mut self, object: &[u8], out: &mut dyn FnMut(Piece)) -> Result<(), Fault> {
        if object.starts_with(b"[") {
            let events: Vec<&RawValue> =
                serde_json::from_slice(object).map_err(|error| Fault::unreadable(&error, object))?;
            for event in events {
                self.event(event.get().as_bytes(), out)?;
            }
        } else {
            self.event(object, out)?;
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
        self.counts.usage(self.parts.tokens(), self.stop.is_some())
    }

    fn whole(mut self, out: &mut dyn FnMut(Piece)) -> Result<(Vec<ContentPart>, StopReason), Fault> {
        if self.stop.is_none() && !self.done {
            return Err(Fault::Cut);
        }
        if !self.begun && !self.blocked {
            return Err(Fault::Protocol("there is no candidate in what it sent".into()));
        }
        let reason = self.stop.take().unwrap_or_default();
        let explanation = self.explanation.take();
        let stop = match reason.as_str() {
            reason if self.blocked || is_refusal(reason) => StopReason::Refused,
            "MAX_TOKENS" => StopReason::MaxOutput,
            // The model is to be asked again: what it wanted to do is lost.
            "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" | "MALFORMED_RESPONSE" => {
                let words = explanation.map(|words| format!(": {words}")).unwrap_or_default();
                return Err(Fault::Protocol(format!("the model's answer was `{reason}`{words}")));
            }
            _ if self.parts.has_calls() => StopReason::ToolUse,
            "" | "STOP" | "FINISH_REASON_UNSPECIFIED" => StopReason::EndTurn,
            other => StopReason::Other(errors::shown(other)),
        };
        if stop == StopReason::Refused {
            let what = if self.blocked { "the prompt was blocked" } else { "the answer was withheld" };
            let words = explanation.unwrap_or_else(|| format!("{what}: `{}`", errors::shown(&reason)));
            let at = self.parts.begin(Part::Text(String::new()))?;
            self.parts.grow(at, &words, out);
        }
        self.parts.flush(out);
        let mut sealed_before = false;
        let mut content = self.parts.into_content(self.next_id, Some(&self.model));
        content.retain_mut(|part| match part {
            ContentPart::Text { text } => std::mem::take(&mut sealed_before) || !text.is_empty(),
            ContentPart::Reasoning { text, signature, sealed, model } => {
                sealed_before = sealed.is_some();
                if signature.is_none() && sealed.is_none() {
                    // A summary, which the model does not want back.
                    *model = None;
                }
                !text.is_empty() || signature.is_some() || sealed.is_some()
            }
            _ => {
                sealed_before = false;
                true
            }
        });
        Ok((content, stop))
    }
}

impl State {
    fn part(&mut self, part: Said<'_>, out: &mut dyn FnMut(Piece)) -> Result<(), Fault> {
        let signature =
            part.thought_signature.map(|text| text.0.into_owned()).filter(|text| !text.is_empty());
        if let Some(call) = part.function_call {
            self.seal(signature)?;
            let text = |text: Option<Text<'_>>| text.map(|text| text.0.into_owned()).unwrap_or_default();
            let (id, name) = (text(call.id), text(call.name));
            let at = self.parts.begin(Part::Call(Call { id, name, ..Call::default() }))?;
            let args = call.args.map(RawValue::get).filter(|args| *args != "null").unwrap_or("{}");
            self.parts.grow(at, args, out);
            self.open = false;
        } else if let Some(text) = part.text {
            let thought = part.thought == Some(true);
            let signed = signature.is_some();
            let at = match self.parts.last() {
                Some((at, Part::Text(_))) if self.open && !thought && !signed => at,
                Some((at, Part::Reasoning(_))) if self.open && thought && !signed => at,
                _ if text.0.is_empty() && !signed => return Ok(()),
                _ if thought => {
                    self.parts.begin(Part::Reasoning(Reasoning { signature, ..Reasoning::default() }))?
                }
                _ => {
                    self.seal(signature)?;
                    self.parts.begin(Part::Text(String::new()))?
                }
            };
            self.parts.grow(at, &text.0, out);
            self.open = !signed;
        }
        Ok(())
    }

    /// The signature of the part that is about to begin.
    fn seal(&mut self, signature: Option<String>) -> Result<(), Fault> {
        if signature.is_some() {
            self.parts.begin(Part::Reasoning(Reasoning { sealed: signature, ..Reasoning::default() }))?;
        }
        Ok(())
    }

    fn end(&mut self, reason: Text<'_>, message: Option<Text<'_>>) {
        self.stop = Some(reason.0.into_owned());
        self.explanation = message.map(|text| text.0.into_owned()).filter(|text| !text.is_empty());
    }
}

/// The answer, or the rest of it, is withheld.
fn is_refusal(reason: &str) -> bool {
    const REFUSALS: [&str; 10] = [
        "SAFETY",
        "RECITATION",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "ESCALATION",
        "MODEL_ARMOR",
    ];
    REFUSALS.contains(&reason)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct Event<'a> {
    #[serde(borrow)]
    candidates: Option<Vec<Candidate<'a>>>,
    #[serde(borrow)]
    prompt_feedback: Option<Feedback<'a>>,
    #[serde(borrow)]
    usage_metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    #[serde(borrow)]
    content: Option<Content<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Text<'a>>,
    #[serde(borrow)]
    finish_message: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    parts: Option<Vec<Said<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feedback<'a> {
    #[serde(borrow)]
    block_reason: Option<Text<'a>>,
    #[serde(borrow)]
    block_reason_message: Option<Text<'a>>,
}

/// A part.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Said<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    thought: Option<bool>,
    #[serde(borrow)]
    thought_signature: Option<Text<'a>>,
    #[serde(borrow)]
    function_call: Option<Called<'a>>,
}

#[derive(Deserialize)]
struct Called<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    args: Option<&'a RawValue>,
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
