//! Takes an answer apart as it comes: what is said, and calls of tools, which these models write as JSON between
//! `<tool_call>` and `</tool_call>`. What is no such call stays text.

use codetether_event::{ContentPart, Message, Piece, Role, ToolCall, ToolName};
use serde_json::Value;
use serde_json::value::RawValue;

const OPEN: &str = "<tool_call>";
const CLOSE: &str = "</tool_call>";

/// An answer that is coming.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    parts: Vec<ContentPart>,
    /// Text that was not handed out: it may be the beginning of a mark, or is in a call.
    rest: String,
    in_call: bool,
    /// Names the calls.
    base: String,
    calls: usize,
}

#[derive(serde::Deserialize)]
struct Call<'a> {
    name: String,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
}

impl Reading {
    /// `base` makes the ids of calls differ from those of other answers.
    pub(crate) fn new(base: String) -> Self {
        Self { base, ..Self::default() }
    }

    /// Takes in what came.
    pub(crate) fn feed(&mut self, text: &str, out: &mut (dyn FnMut(Piece) + Send)) {
        self.rest.push_str(text);
        loop {
            if self.in_call {
                let Some(at) = self.rest.find(CLOSE) else { return };
                let call: String = self.rest.drain(..at + CLOSE.len()).collect();
                self.in_call = false;
                self.call(call.strip_suffix(CLOSE).unwrap_or(&call), out);
            } else if let Some(at) = self.rest.find(OPEN) {
                let said: String = self.rest.drain(..at).collect();
                self.say(&said, out);
                self.rest.drain(..OPEN.len());
                self.in_call = true;
            } else {
                let keep = (1..OPEN.len()).rev().find(|count| self.rest.ends_with(&OPEN[..*count]));
                let said: String = self.rest.drain(..self.rest.len() - keep.unwrap_or(0)).collect();
                return self.say(&said, out);
            }
        }
    }

    /// Nothing more comes. The answer, and whether it has calls.
    pub(crate) fn finish(mut self, out: &mut (dyn FnMut(Piece) + Send)) -> (Message, bool) {
        let rest = std::mem::take(&mut self.rest);
        if self.in_call {
            self.call(&rest, out);
        } else {
            self.say(&rest, out);
        }
        // Blanks around calls are no words.
        let calls = self.calls > 0;
        self.parts.retain(|part| match part {
            ContentPart::Text { text } => !calls || !text.trim().is_empty(),
            _ => true,
        });
        (Message { role: Role::Assistant, parts: self.parts }, calls)
    }

    /// What was said so far, without calls.
    pub(crate) fn partial(&self) -> Option<Message> {
        let said = self.parts.iter().filter(|part| matches!(part, ContentPart::Text { .. }));
        let parts: Vec<_> = said.cloned().collect();
        (!parts.is_empty()).then_some(Message { role: Role::Assistant, parts })
    }

    fn say(&mut self, said: &str, out: &mut (dyn FnMut(Piece) + Send)) {
        if said.is_empty() {
            return;
        }
        out(Piece::Text(said.to_owned()));
        match self.parts.last_mut() {
            Some(ContentPart::Text { text }) => text.push_str(said),
            _ => self.parts.push(ContentPart::text(said)),
        }
    }

    fn call(&mut self, text: &str, out: &mut (dyn FnMut(Piece) + Send)) {
        let Ok(call) = serde_json::from_str::<Call<'_>>(text.trim()) else {
            return self.say(&format!("{OPEN}{text}{CLOSE}"), out);
        };
        let arguments = call.arguments.map_or("{}", RawValue::get);
        // Some models write the arguments as a text of JSON.
        let arguments = match serde_json::from_str(arguments) {
            Ok(Value::String(inner)) => inner,
            _ => arguments.to_owned(),
        };
        out(Piece::Arguments(arguments.clone()));
        self.calls += 1;
        self.parts.push(ContentPart::ToolCall(ToolCall {
            id: format!("call_{}_{}", self.base, self.calls),
            name: ToolName::new(call.name),
            arguments,
            wrapped: None,
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, piece: usize) -> (Message, String) {
        let (mut reading, mut shown) = (Reading::new("a".into()), String::new());
        let characters: Vec<char> = text.chars().collect();
        for piece in characters.chunks(piece) {
            let piece: String = piece.iter().collect();
            reading.feed(&piece, &mut |piece| shown.push_str(piece.text()));
        }
        let (message, _) = reading.finish(&mut |piece| shown.push_str(piece.text()));
        (message, shown)
    }

    #[test]
    fn calls_are_found_however_the_text_is_cut() {
        let text = "I look.\n<tool_call>\n{\"name\": \"read\", \"arguments\": {\"path\": \"a<b\"}}\n</tool_call>\n<tool_call>{\"name\":\"ls\"}</tool_call>";
        let whole = read(text, 1_000);
        for piece in 1..20 {
            assert_eq!(read(text, piece), whole);
        }
        let calls: Vec<_> = whole
            .0
            .calls()
            .map(|call| (call.id.as_str(), call.name.as_str(), call.arguments.as_str()))
            .collect();
        assert_eq!(calls, [("call_a_1", "read", "{\"path\": \"a<b\"}"), ("call_a_2", "ls", "{}")]);
        assert_eq!(whole.0.text(), "I look.\n");
    }

    #[test]
    fn what_is_no_call_stays_text() {
        for text in ["a < b <tool", "<tool_call>nonsense</tool_call>", "plain"] {
            assert_eq!(
                read(text, 3),
                (Message { role: Role::Assistant, parts: vec![ContentPart::text(text)] }, text.into())
            );
        }
    }

    #[test]
    fn a_call_that_ends_with_the_answer_is_one() {
        let (message, _) = read("<tool_call>{\"name\":\"ls\",\"arguments\":\"{\\\"a\\\":1}\"}", 4);
        assert_eq!(message.calls().next().unwrap().arguments, "{\"a\":1}");
    }
}
