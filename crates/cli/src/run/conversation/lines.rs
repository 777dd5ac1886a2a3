//! The lines of a conversation that come in: read one at a time, each an operation or the reason why it is none.

use std::io::{BufRead, Read};

use codetether_event::{Input, Op, OpId, TurnSettings};
use serde_json::{Map, Value};
use tokio::sync::mpsc;

use crate::printer;

/// Most bytes of a line.
const LINE: u64 = 10 << 20;
/// Characters of a name that is shown.
const SHOWN: usize = 80;
/// Lines that may wait to be taken in.
const WAITING: usize = 1;

/// A line that came in.
pub(super) struct Line {
    /// Its number, from 1.
    pub(super) number: u64,
    pub(super) text: Result<String, Refused>,
}

/// Why a line was not taken in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// The id that it gave, whatever it was.
    pub(super) id: Option<Value>,
    pub(super) reason: String,
}

impl Refused {
    fn because(reason: impl Into<String>) -> Self {
        Self { id: None, reason: reason.into() }
    }
}

/// The operations there are for those who hold a conversation.
const OPERATIONS: &[&str] =
    &["prompt", "steer", "answer", "compact", "interrupt", "restore", "rewind", "rename", "detach", "attach"];

/// The lines of standard input, read by a thread of its own, as a read cannot be cancelled. Empty ones are passed over.
pub(super) fn read() -> mpsc::Receiver<Line> {
    let (lines, queue) = mpsc::channel(WAITING);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        for number in 1.. {
            let text = match next(&mut input) {
                Ok(None) => return,
                Ok(Some(text)) => text,
                Err(error) => {
                    let reason = format!("cannot read standard input: {error}");
                    // The last line there is.
                    let _ = lines.blocking_send(Line { number, text: Err(Refused::because(reason)) });
                    return;
                }
            };
            let is_blank = text.as_ref().is_ok_and(|text| text.trim().is_empty());
            if !is_blank && lines.blocking_send(Line { number, text }).is_err() {
                return;
            }
        }
    });
    queue
}

/// The next line; `None` at the end of input.
fn next(input: &mut impl BufRead) -> std::io::Result<Option<Result<String, Refused>>> {
    let mut bytes = Vec::new();
    if input.by_ref().take(LINE + 1).read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    if bytes.len() as u64 > LINE && bytes.last() != Some(&b'\n') {
        input.skip_until(b'\n')?;
        return Ok(Some(Err(Refused::because(format!("the line is longer than {} MiB", LINE >> 20)))));
    }
    Ok(Some(String::from_utf8(bytes).map_err(|_| Refused::because("the line is no UTF-8"))))
}

/// What a line asks for: an operation as it is, or a prompt or steering with nothing but its text.
pub(super) fn operation(line: &str, turn: &TurnSettings) -> Result<(Option<OpId>, Op), Refused> {
    let mut fields: Map<String, Value> = serde_json::from_str(line)
        .map_err(|error| Refused::because(format!("the line is no JSON object: {error}")))?;
    let named = fields.remove("id").filter(|id| !id.is_null());
    let refused = |reason: String| Refused { id: named.clone(), reason };
    let id: Option<OpId> = named
        .clone()
        .map(serde_json::from_value)
        .transpose()
        .map_err(|_| refused("`id` must be a UUID; leave it out to get one".into()))?;
    let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default();
    if !OPERATIONS.contains(&kind) {
        let known: Vec<String> = OPERATIONS.iter().map(|name| format!("`{name}`")).collect();
        let kind = printer::plain(&kind.chars().take(SHOWN).collect::<String>());
        return Err(refused(format!(
            "there is no operation `{kind}`: `type` is one of {}",
            known.join(", ")
        )));
    }
    let is_short = matches!(kind, "prompt" | "steer") && fields.contains_key("text");
    let op = match (is_short, kind) {
        (true, kind) => {
            let other = fields.keys().find(|key| !matches!(key.as_str(), "type" | "text"));
            if let Some(other) = other {
                return Err(refused(format!(
                    "`{other}` does not go with `text`: give `input` and `settings` instead"
                )));
            }
            let text = fields.get("text").and_then(Value::as_str).unwrap_or_default();
            if text.trim().is_empty() {
                return Err(refused("`text` must be a text, and not empty".into()));
            }
            let input = Input::text(text);
            match kind {
                "prompt" => Op::Prompt { input, settings: Box::new(turn.clone()) },
                _ => Op::Steer { input },
            }
        }
        (false, _) => {
            serde_json::from_value(Value::Object(fields)).map_err(|error| refused(error.to_string()))?
        }
    };
    // Where no turn is under way, the summary has one of its own.
    let op = match op {
        Op::Compact { settings: None } => Op::Compact { settings: Some(Box::new(turn.clone())) },
        op => op,
    };
    Ok((id, op))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_bound_and_the_next_one_is_read_all_the_same() {
        let mut input = "x".repeat(usize::try_from(LINE).unwrap() + 5);
        input.push_str("\nnext\nlast");
        let mut input = input.as_bytes();
        assert_eq!(next(&mut input).unwrap().unwrap().unwrap_err().reason, "the line is longer than 10 MiB");
        assert_eq!(next(&mut input).unwrap(), Some(Ok("next\n".into())));
        assert_eq!(next(&mut input).unwrap(), Some(Ok("last".into())));
        assert_eq!(next(&mut input).unwrap(), None);
    }
}
