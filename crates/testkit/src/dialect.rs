//! The dialects in which servers stream what a model says: OpenAI's Chat Completions and Responses, Anthropic's
//! Messages and Google's Gemini. Which one a request wants, its path tells. Renders events; knows nothing of HTTP.

mod responses;

use serde_json::{Value, json};

/// A dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    OpenAi,
    Responses,
    Anthropic,
    Gemini,
}

/// What a model says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Speech {
    pub(crate) said: Vec<Said>,
    /// Why it stopped, in the dialect's word.
    pub(crate) finish: Option<String>,
    pub(crate) usage: Usage,
}

/// A piece of it, as one event carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// The text, so many times over.
    Text {
        text: String,
        times: usize,
    },
    Reasoning(String),
    Sealed(String),
    /// The beginning of a call of this tool.
    Call(String),
    /// More of the arguments of the last call.
    Arguments(String),
}

/// The tokens that are reported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Usage {
    /// 100 of the prompt and 10 of the answer.
    #[default]
    Usual,
    /// This object.
    Told(String),
    Untold,
}

/// An event, and how many times it comes.
type Event = (Vec<u8>, usize);

impl Dialect {
    /// The one of a request with this path.
    pub(crate) fn of(path: &str) -> Self {
        let path = path.split('?').next().unwrap_or_default();
        if path.ends_with("/messages") {
            Self::Anthropic
        } else if path.ends_with("/responses") {
            Self::Responses
        } else if path.ends_with(":streamGenerateContent") {
            Self::Gemini
        } else {
            Self::OpenAi
        }
    }

    /// The events that say it, as the answer to the request of this number, which goes into the ids of calls.
    pub(crate) fn events(self, speech: &Speech, number: usize) -> Vec<Event> {
        match self {
            Self::OpenAi => openai(speech, number),
            Self::Responses => responses::events(speech, number),
            Self::Anthropic => anthropic(speech, number),
            Self::Gemini => gemini(speech, number),
        }
    }
}

impl Speech {
    fn has_calls(&self) -> bool {
        self.said.iter().any(|said| matches!(said, Said::Call(_)))
    }
}

fn call_id(number: usize, index: usize) -> String {
    format!("call_{number}_{index}")
}

fn openai(speech: &Speech, number: usize) -> Vec<Event> {
    let mut calls = 0_usize;
    let mut events = vec![(choice(&json!({ "role": "assistant", "content": "" }), &Value::Null), 1)];
    for said in &speech.said {
        let (delta, times) = match said {
            Said::Text { text, times } => (json!({ "content": text }), *times),
            Said::Reasoning(text) => (json!({ "reasoning_content": text }), 1),
            Said::Sealed(_) => continue,
            Said::Call(name) => {
                let function = json!({ "name": name, "arguments": "" });
                let id = call_id(number, calls);
                let call = json!({ "index": calls, "id": id, "type": "function", "function": function });
                calls += 1;
                (json!({ "tool_calls": [call] }), 1)
            }
            Said::Arguments(piece) => {
                let index = calls.saturating_sub(1);
                (json!({ "tool_calls": [{ "index": index, "function": { "arguments": piece } }] }), 1)
            }
        };
        events.push((choice(&delta, &Value::Null), times));
    }
    let usual = if speech.has_calls() { "tool_calls" } else { "stop" };
    events.push((choice(&json!({}), &json!(speech.finish.as_deref().unwrap_or(usual))), 1));
    let usual = r#"{"prompt_tokens":100,"completion_tokens":10,"total_tokens":110}"#;
    events.extend(speech.usage.json(usual).map(|usage| (chunk("", &format!(r#","usage":{usage}"#)), 1)));
    events.push((b"data: [DONE]\n\n".to_vec(), 1));
    events
}

fn choice(delta: &Value, finish: &Value) -> Vec<u8> {
    chunk(&format!(r#"{{"index":0,"delta":{delta},"finish_reason":{finish}}}"#), "")
}

fn chunk(choices: &str, more: &str) -> Vec<u8> {
    let head = r#""id":"chatcmpl-scripted","object":"chat.completion.chunk","created":1700000000,"model":"scripted""#;
    format!("data: {{{head},\"choices\":[{choices}]{more}}}\n\n").into_bytes()
}

impl Usage {
    fn json<'a>(&'a self, usual: &'a str) -> Option<&'a str> {
        match self {
            Self::Usual => Some(usual),
            Self::Told(usage) => Some(usage),
            Self::Untold => None,
        }
    }
}

fn anthropic(speech: &Speech, number: usize) -> Vec<Event> {
    let usage = speech.usage.json(r#"{"input_tokens":100,"output_tokens":10}"#);
    let usage: Option<Value> = usage.map(|usage| serde_json::from_str(usage).unwrap());
    let mut message = json!({
        "id": format!("msg_{number}"),
        "type": "message",
        "role": "assistant",
        "model": "scripted",
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
    });
    if let Some(usage) = &usage {
        message["usage"] = usage.clone();
        message["usage"]["output_tokens"] = json!(1);
    }
    let mut events = vec![typed("message_start", &json!({ "message": message })), typed("ping", &json!({}))];
    let mut blocks = Blocks { number, begun: 0, calls: 0, open: None };
    for said in &speech.said {
        blocks.say(said, &mut events);
    }
    blocks.close(&mut events);
    let usual = if speech.has_calls() { "tool_use" } else { "end_turn" };
    let reason = speech.finish.as_deref().unwrap_or(usual);
    let mut end = json!({ "delta": { "stop_reason": reason, "stop_sequence": null } });
    if let Some(usage) = usage {
        end["usage"] = usage;
    }
    events.push(typed("message_delta", &end));
    events.push(typed("message_stop", &json!({})));
    events
}

/// The blocks of an answer of Anthropic's.
struct Blocks {
    number: usize,
    begun: usize,
    calls: usize,
    /// What the open block is made of.
    open: Option<Made>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    Text,
    Thinking,
    Call,
}

impl Blocks {
    fn say(&mut self, said: &Said, events: &mut Vec<Event>) {
        let (delta, times) = match said {
            Said::Text { text, times } => {
                self.open(Made::Text, &json!({ "type": "text", "text": "" }), events);
                (json!({ "type": "text_delta", "text": text }), *times)
            }
            Said::Reasoning(text) => {
                let block = json!({ "type": "thinking", "thinking": "", "signature": "" });
                self.open(Made::Thinking, &block, events);
                (json!({ "type": "thinking_delta", "thinking": text }), 1)
            }
            Said::Sealed(data) => {
                self.close(events);
                self.begin(Made::Text, &json!({ "type": "redacted_thinking", "data": data }), events);
                return self.close(events);
            }
            Said::Call(name) => {
                self.close(events);
                let id = call_id(self.number, self.calls);
                self.calls += 1;
                let block = json!({ "type": "tool_use", "id": id, "name": name, "input": {} });
                self.begin(Made::Call, &block, events);
                (json!({ "type": "input_json_delta", "partial_json": "" }), 1)
            }
            Said::Arguments(piece) => (json!({ "type": "input_json_delta", "partial_json": piece }), 1),
        };
        self.delta(&delta, times, events);
    }

    /// Opens a block, unless it is open.
    fn open(&mut self, made: Made, block: &Value, events: &mut Vec<Event>) {
        if self.open != Some(made) {
            self.close(events);
            self.begin(made, block, events);
        }
    }

    fn begin(&mut self, made: Made, block: &Value, events: &mut Vec<Event>) {
        self.begun += 1;
        self.open = Some(made);
        events.push(typed("content_block_start", &json!({ "index": self.index(), "content_block": block })));
    }

    fn delta(&self, delta: &Value, times: usize, events: &mut Vec<Event>) {
        let (event, _) = typed("content_block_delta", &json!({ "index": self.index(), "delta": delta }));
        events.push((event, times));
    }

    fn close(&mut self, events: &mut Vec<Event>) {
        let Some(made) = self.open.take() else { return };
        if made == Made::Thinking {
            let signature = format!("sig_{}_{}", self.number, self.index());
            self.delta(&json!({ "type": "signature_delta", "signature": signature }), 1, events);
        }
        events.push(typed("content_block_stop", &json!({ "index": self.index() })));
    }

    fn index(&self) -> usize {
        self.begun.saturating_sub(1)
    }
}

fn typed(kind: &str, fields: &Value) -> Event {
    let mut data = json!({ "type": kind });
    for (name, value) in fields.as_object().into_iter().flatten() {
        data[name] = value.clone();
    }
    (format!("event: {kind}\ndata: {data}\n\n").into_bytes(), 1)
}

/// Calls come whole; a seal is the signature of what comes next, or of an empty text at the end. The reason to finish and
/// the usage come with the last event, and none says that it was.
fn gemini(speech: &Speech, number: usize) -> Vec<Event> {
    let mut events = Vec::new();
    let mut calls = 0_usize;
    let mut seal = None;
    let mut said = speech.said.iter().peekable();
    while let Some(next) = said.next() {
        let (mut part, times) = match next {
            Said::Text { text, times } => (json!({ "text": text }), *times),
            Said::Reasoning(text) => (json!({ "text": text, "thought": true }), 1),
            Said::Sealed(data) => {
                seal = Some(data);
                continue;
            }
            Said::Call(name) => {
                let mut arguments = String::new();
                while let Some(Said::Arguments(piece)) = said.peek() {
                    arguments.push_str(piece);
                    said.next();
                }
                let id = call_id(number, calls);
                calls += 1;
                // What is no JSON comes as a text, for the wire knows nothing else.
                let args = serde_json::from_str(&arguments).unwrap_or(Value::String(arguments));
                (json!({ "functionCall": { "id": id, "name": name, "args": args } }), 1)
            }
            Said::Arguments(_) => continue,
        };
        if let Some(seal) = seal.take() {
            part["thoughtSignature"] = json!(seal);
        }
        events.push((candidate(&[part], None, None, number), times));
    }
    let mut last = vec![json!({ "text": "" })];
    if let Some(seal) = seal {
        last[0]["thoughtSignature"] = json!(seal);
    }
    let usual = r#"{"promptTokenCount":100,"candidatesTokenCount":10,"totalTokenCount":110}"#;
    let usage = speech.usage.json(usual).map(|usage| serde_json::from_str(usage).unwrap());
    let reason = speech.finish.as_deref().unwrap_or("STOP");
    events.push((candidate(&last, Some(reason), usage, number), 1));
    events
}

fn candidate(parts: &[Value], reason: Option<&str>, usage: Option<Value>, number: usize) -> Vec<u8> {
    let mut data = json!({
        "candidates": [{ "content": { "role": "model", "parts": parts }, "index": 0 }],
        "modelVersion": "scripted",
        "responseId": format!("answer_{number}"),
    });
    if let Some(reason) = reason {
        data["candidates"][0]["finishReason"] = json!(reason);
    }
    if let Some(usage) = usage {
        data["usageMetadata"] = usage;
    }
    format!("data: {data}\r\n\r\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reply;
    use crate::reply::Rendered;

    /// The events of Anthropic's answer to request 3, with their kinds.
    fn said(reply: &Reply) -> Vec<Value> {
        let text =
            String::from_utf8(reply.clone().chunked_every(1 << 20).render(3, Dialect::Anthropic).bytes);
        let text = text.unwrap();
        let events = text.split("event: ").skip(1);
        events
            .map(|event| {
                let (kind, data) = event.split_once("\ndata: ").unwrap();
                let data: Value = serde_json::from_str(data.split("\n\n").next().unwrap()).unwrap();
                assert_eq!(data["type"], kind);
                data
            })
            .collect()
    }

    #[test]
    fn the_path_tells_the_dialect() {
        assert_eq!(Dialect::of("/v1/messages?beta=true"), Dialect::Anthropic);
        assert_eq!(Dialect::of("/v1/responses"), Dialect::Responses);
        assert_eq!(Dialect::of("/v1/chat/completions"), Dialect::OpenAi);
        assert_eq!(Dialect::of("/v1/messages/count_tokens"), Dialect::OpenAi);
        assert_eq!(Dialect::of("/v1/models/m:streamGenerateContent?alt=sse"), Dialect::Gemini);
    }

    #[test]
    fn an_answer_of_geminis_is_made_of_whole_calls_and_signed_parts() {
        let reply = Reply::reasoning("hm").and_sealed("s1").and_call("read", r#"{"a":1}"#).and_sealed("s2");
        let Rendered { bytes, .. } = reply.chunked_every(1 << 20).render(3, Dialect::Gemini);
        let text = String::from_utf8(bytes).unwrap();
        let events = text.split("data: ").skip(1);
        let events = events.map(|event| serde_json::from_str(event.split("\r\n").next().unwrap()).unwrap());
        let events: Vec<Value> = events.collect();
        let parts: Vec<_> =
            events.iter().map(|event| &event["candidates"][0]["content"]["parts"][0]).collect();
        let called = json!({ "id": "call_3_0", "name": "read", "args": { "a": 1 } });
        assert_eq!(
            parts,
            [
                &json!({ "text": "hm", "thought": true }),
                &json!({ "functionCall": called, "thoughtSignature": "s1" }),
                &json!({ "text": "", "thoughtSignature": "s2" }),
            ]
        );
        let end = &events[2];
        assert_eq!(
            (&end["candidates"][0]["finishReason"], &end["usageMetadata"]["promptTokenCount"]),
            (&json!("STOP"), &json!(100))
        );
    }

    #[test]
    fn an_answer_of_anthropics_is_made_of_blocks() {
        let reply =
            Reply::reasoning("so so").and_sealed("xyz").and_text("two words").and_call("read", r#"{"a":1}"#);
        let said = said(&reply);
        let kinds: Vec<_> = said.iter().map(|event| event["type"].as_str().unwrap()).collect();
        let block =
            ["content_block_start", "content_block_delta", "content_block_delta", "content_block_stop"];
        let mut wanted = vec!["message_start", "ping"];
        wanted.extend(
            ["content_block_start"].iter().chain([&"content_block_delta"; 3]).chain([&"content_block_stop"]),
        );
        wanted.extend(["content_block_start", "content_block_stop"]);
        wanted.extend(block);
        wanted.extend(block);
        wanted.extend(["message_delta", "message_stop"]);
        assert_eq!(kinds, wanted);
        let blocks: Vec<_> = said.iter().filter(|event| event["type"] == "content_block_start").collect();
        assert_eq!(blocks[1]["content_block"], json!({ "type": "redacted_thinking", "data": "xyz" }));
        assert_eq!(blocks[3]["content_block"]["id"], "call_3_0");
        assert_eq!(blocks[3]["index"], 3);
        let end = &said[said.len() - 2];
        assert_eq!(
            (&end["delta"]["stop_reason"], &end["usage"]["output_tokens"]),
            (&json!("tool_use"), &json!(10))
        );
        assert_eq!(said[0]["message"]["usage"], json!({ "input_tokens": 100, "output_tokens": 1 }));
        assert_eq!(said[5]["delta"], json!({ "type": "signature_delta", "signature": "sig_3_0" }));
    }
}
