//! What a model says as a server of OpenAI's Responses streams it: items, each with its beginning, its pieces and its
//! end. Renders events; knows nothing of HTTP.

use serde_json::{Value, json};

use super::{Event, Said, Speech, call_id, typed};

/// The events that say it, as the answer to the request of this number.
pub(super) fn events(speech: &Speech, number: usize) -> Vec<Event> {
    let mut stream = Stream { number, events: Vec::new(), output: Vec::new(), calls: 0, open: None };
    let begun = stream.response("in_progress", &Value::Null, &Value::Null);
    stream.event("response.created", json!({ "response": begun }), 1);
    stream.event("response.in_progress", json!({ "response": begun }), 1);
    for said in &speech.said {
        stream.say(said);
    }
    stream.close();
    let usual = json!({
        "input_tokens": 100, "input_tokens_details": { "cached_tokens": 0, "cache_write_tokens": 0 },
        "output_tokens": 10, "output_tokens_details": { "reasoning_tokens": 0 }, "total_tokens": 110,
    });
    let usage = speech.usage.json(&usual.to_string()).map(|usage| serde_json::from_str(usage).unwrap());
    let status = if speech.finish.is_some() { "incomplete" } else { "completed" };
    let details = speech.finish.as_ref().map(|reason| json!({ "reason": reason }));
    let whole = stream.response(status, &json!(details), &usage.unwrap_or_default());
    stream.event(&format!("response.{status}"), json!({ "response": whole }), 1);
    stream.events
}

struct Stream {
    number: usize,
    events: Vec<Event>,
    /// The items that are whole.
    output: Vec<Value>,
    calls: usize,
    open: Option<Open>,
}

/// An item that grows.
struct Open {
    made: Made,
    item: Value,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    Text,
    Thoughts,
    Call,
}

impl Made {
    /// What its pieces are called.
    fn name(self) -> &'static str {
        match self {
            Self::Text => "output_text",
            Self::Thoughts => "reasoning_summary_text",
            Self::Call => "function_call_arguments",
        }
    }

    /// The part that it has, with this text, and the words of its events.
    fn part(self, text: &str) -> Option<(&'static str, Value)> {
        match self {
            Self::Text => {
                let part = json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] });
                Some(("content_part", part))
            }
            Self::Thoughts => {
                Some(("reasoning_summary_part", json!({ "type": "summary_text", "text": text })))
            }
            Self::Call => None,
        }
    }
}

impl Stream {
    fn say(&mut self, said: &Said) {
        match said {
            Said::Text { text, times } => {
                let item = json!({
                    "id": self.id("msg"), "type": "message", "status": "in_progress", "role": "assistant", "content": [],
                });
                self.open(Made::Text, item);
                self.delta(text, *times);
            }
            Said::Reasoning(text) => {
                let item = self.thoughts("");
                self.open(Made::Thoughts, item);
                self.delta(text, 1);
            }
            Said::Sealed(data) => {
                self.close();
                let item = self.thoughts(data);
                self.event("response.output_item.added", json!({ "item": item }), 1);
                self.event("response.output_item.done", json!({ "item": item }), 1);
                self.output.push(item);
            }
            Said::Call(name) => {
                self.close();
                let item = json!({
                    "id": self.id("fc"), "type": "function_call", "status": "in_progress",
                    "call_id": call_id(self.number, self.calls), "name": name, "arguments": "",
                });
                self.calls += 1;
                self.open(Made::Call, item);
            }
            Said::Arguments(piece) => self.delta(piece, 1),
        }
    }

    fn id(&self, kind: &str) -> String {
        format!("{kind}_{}_{}", self.number, self.output.len())
    }

    fn thoughts(&self, sealed: &str) -> Value {
        json!({ "id": self.id("rs"), "type": "reasoning", "summary": [], "encrypted_content": sealed })
    }

    /// Opens an item, unless one of its kind is open.
    fn open(&mut self, made: Made, item: Value) {
        if self.open.as_ref().is_some_and(|open| open.made == made) {
            return;
        }
        self.close();
        self.event("response.output_item.added", json!({ "item": item }), 1);
        self.open = Some(Open { made, item, text: String::new() });
        if let Some((name, part)) = made.part("") {
            self.grown(&format!("response.{name}.added"), json!({ "part": part }), 1);
        }
    }

    fn delta(&mut self, text: &str, times: usize) {
        let Some(open) = &mut self.open else { return };
        open.text.push_str(&text.repeat(times));
        let name = format!("response.{}.delta", open.made.name());
        self.grown(&name, json!({ "delta": text }), times);
    }

    fn close(&mut self) {
        let Some(Open { made, item, text }) = &self.open else { return };
        let (made, mut item, text) = (*made, item.clone(), text.clone());
        let key = if made == Made::Call { "arguments" } else { "text" };
        self.grown(&format!("response.{}.done", made.name()), json!({ key: text }), 1);
        if let Some((name, part)) = made.part(&text) {
            self.grown(&format!("response.{name}.done"), json!({ "part": part }), 1);
            item[if made == Made::Text { "content" } else { "summary" }] = json!([part]);
        }
        match made {
            Made::Thoughts => {
                item["encrypted_content"] = json!(format!("enc_{}_{}", self.number, self.output.len()));
            }
            Made::Text => item["status"] = json!("completed"),
            Made::Call => {
                item["status"] = json!("completed");
                item["arguments"] = json!(text);
            }
        }
        self.open = None;
        self.event("response.output_item.done", json!({ "item": item }), 1);
        self.output.push(item);
    }

    /// An event of the open item's part.
    fn grown(&mut self, kind: &str, mut fields: Value, times: usize) {
        if let Some(open) = &self.open {
            fields["item_id"] = open.item["id"].clone();
            match open.made {
                Made::Text => fields["content_index"] = json!(0),
                Made::Thoughts => fields["summary_index"] = json!(0),
                Made::Call => {}
            }
            if kind.starts_with("response.output_text") {
                fields["logprobs"] = json!([]);
            }
        }
        self.event(kind, fields, times);
    }

    fn event(&mut self, kind: &str, mut fields: Value, times: usize) {
        if fields.get("response").is_none() {
            fields["output_index"] = json!(self.output.len());
        }
        fields["sequence_number"] = json!(self.events.len());
        let (event, _) = typed(kind, &fields);
        self.events.push((event, times));
    }

    fn response(&self, status: &str, details: &Value, usage: &Value) -> Value {
        json!({
            "id": format!("resp_{}", self.number), "object": "response", "created_at": 1_700_000_000,
            "model": "scripted", "status": status, "error": null, "incomplete_details": details,
            "output": self.output, "parallel_tool_calls": true, "tool_choice": "auto", "tools": [], "usage": usage,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reply;
    use crate::dialect::Dialect;

    #[test]
    fn an_answer_is_made_of_items_that_the_end_repeats() {
        let reply = Reply::reasoning("so").and_text("hi").and_call("read", "{}").finish("max_output_tokens");
        let bytes = reply.chunked_every(1 << 20).render(3, Dialect::Responses).bytes;
        let text = String::from_utf8(bytes).unwrap();
        let said: Vec<Value> = text
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .map(|data| serde_json::from_str(data).unwrap())
            .collect();
        let kinds: Vec<_> = said.iter().map(|event| event["type"].as_str().unwrap()).collect();
        let item = |pieces: &[&str]| {
            let names = ["output_item.added"].iter().chain(pieces).chain(&["output_item.done"]);
            names.map(|name| format!("response.{name}")).collect::<Vec<_>>()
        };
        let wanted = [
            vec!["response.created".to_owned(), "response.in_progress".to_owned()],
            item(&[
                "reasoning_summary_part.added",
                "reasoning_summary_text.delta",
                "reasoning_summary_text.done",
                "reasoning_summary_part.done",
            ]),
            item(&["content_part.added", "output_text.delta", "output_text.done", "content_part.done"]),
            item(&["function_call_arguments.delta", "function_call_arguments.done"]),
            vec!["response.incomplete".to_owned()],
        ];
        assert_eq!(kinds, wanted.concat());
        let response = &said[said.len() - 1]["response"];
        assert_eq!(response["incomplete_details"], json!({ "reason": "max_output_tokens" }));
        assert_eq!(response["output"][0]["encrypted_content"], "enc_3_0");
        assert_eq!(
            response["output"][2],
            json!({
                "id": "fc_3_2", "type": "function_call", "status": "completed",
                "call_id": "call_3_0", "name": "read", "arguments": "{}",
            })
        );
    }
}
