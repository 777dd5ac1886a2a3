//! One answer as each wire's servers stream it: what it says is written once, what is sent differs. Renders bytes.

use std::io::Write;

use codetether_testkit::Reply;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use serde_json::{Value, json};

use crate::asking::{WIRES, Wire};

/// Why the model stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    Done,
    Calls,
    Length,
    Filter,
    /// A word that nobody knows.
    New,
}

/// An error that a server has in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    Overloaded,
    RateLimit,
    Server,
    Auth,
    TooLong,
    Quota,
    Request,
}

/// A stream that grows by what the model says. It reports 100 tokens of the prompt and 10 of the answer, where servers
/// of its wire do, unless it is told otherwise.
#[derive(Clone)]
pub(crate) struct Stream {
    wire: &'static Wire,
    /// Name and data of each event.
    events: Vec<(String, String)>,
    /// The block or item that is open, by its number.
    open: Option<usize>,
    blocks: usize,
    calls: usize,
    usage: Option<(Value, Value)>,
}

impl Stream {
    /// The answer has begun, and says nothing yet.
    pub(crate) fn of(wire: &'static Wire) -> Self {
        Self {
            wire,
            events: Vec::new(),
            open: None,
            blocks: 0,
            calls: 0,
            usage: Some((json!(100), json!(10))),
        }
        .begin()
    }

    fn begin(mut self) -> Self {
        match self.wire.name {
            "openai-chat" => self.chat(&json!({ "role": "assistant", "content": "" }), &Value::Null),
            "openai-responses" => {
                let response = json!({ "id": "resp_1", "status": "in_progress", "output": [] });
                self.push("response.created", &json!({ "response": response }));
            }
            "anthropic" => {
                let message = json!({ "id": "msg_1", "type": "message", "role": "assistant", "content": [] });
                self.push("message_start", &json!({ "message": message }));
            }
            _ => {}
        }
        self
    }

    /// No usage is reported.
    pub(crate) fn uncounted(self) -> Self {
        Self { usage: None, ..self }
    }

    /// This usage is reported.
    pub(crate) fn counted(self, input: Value, output: Value) -> Self {
        Self { usage: Some((input, output)), ..self }
    }

    /// An event of the wire's form, its type among the data where the wire has types.
    fn push(&mut self, kind: &str, fields: &Value) {
        let mut data = json!({ "type": kind });
        for (name, value) in fields.as_object().unwrap() {
            data[name] = value.clone();
        }
        self.events.push((kind.to_owned(), data.to_string()));
    }

    fn chat(&mut self, delta: &Value, finish: &Value) {
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
        self.events.push((String::new(), json!({ "id": "c1", "choices": [choice] }).to_string()));
    }

    fn gemini(&mut self, part: &Value) {
        let content = json!({ "role": "model", "parts": [part] });
        self.events
            .push((String::new(), json!({ "candidates": [{ "content": content, "index": 0 }] }).to_string()));
    }

    /// An event with this data as it is.
    pub(crate) fn raw(mut self, kind: &str, data: impl Into<String>) -> Self {
        self.events.push((kind.to_owned(), data.into()));
        self
    }

    pub(crate) fn text(mut self, text: &str) -> Self {
        match self.wire.name {
            "openai-chat" => self.chat(&json!({ "content": text }), &Value::Null),
            "openai-responses" => {
                let at =
                    self.open("response.output_item.added", |_| json!({ "item": { "type": "message" } }));
                let delta = json!({ "output_index": at, "content_index": 0, "delta": text });
                self.push("response.output_text.delta", &delta);
            }
            "anthropic" => {
                let block = json!({ "content_block": { "type": "text", "text": "" } });
                let at = self.open("content_block_start", |_| block.clone());
                let delta = json!({ "index": at, "delta": { "type": "text_delta", "text": text } });
                self.push("content_block_delta", &delta);
            }
            _ => self.gemini(&json!({ "text": text })),
        }
        self
    }

    /// The number of the open text, which is begun where there is none.
    fn open(&mut self, kind: &str, fields: impl Fn(usize) -> Value) -> usize {
        if let Some(at) = self.open {
            return at;
        }
        let at = self.block(kind, &fields(self.blocks));
        self.open = Some(at);
        at
    }

    fn block(&mut self, kind: &str, fields: &Value) -> usize {
        let at = self.blocks;
        self.blocks += 1;
        let mut fields = fields.clone();
        let number = if self.wire.name == "anthropic" { "index" } else { "output_index" };
        fields[number] = json!(at);
        self.push(kind, &fields);
        at
    }

    fn close(&mut self) {
        if let (Some(at), "anthropic") = (self.open.take(), self.wire.name) {
            self.push("content_block_stop", &json!({ "index": at }));
        }
    }

    /// A call whose arguments come in these pieces; without an id where that is empty.
    pub(crate) fn call(self, id: &str, pieces: &[&str]) -> Self {
        self.calls(&[(id, pieces)])
    }

    /// Calls that all begin before their arguments come, a piece of each in turn, where the wire can do that.
    pub(crate) fn calls(mut self, calls: &[(&str, &[&str])]) -> Self {
        self.close();
        let begun: Vec<usize> = calls.iter().map(|(id, _)| self.begin_call(id)).collect();
        let most = calls.iter().map(|(_, pieces)| pieces.len()).max().unwrap_or(0);
        for n in 0..most {
            for (at, (_, pieces)) in begun.iter().zip(calls) {
                if let Some(piece) = pieces.get(n) {
                    self.arguments(*at, piece);
                }
            }
        }
        for (at, (id, pieces)) in begun.iter().zip(calls) {
            self.end_call(*at, id, &pieces.concat());
        }
        self
    }

    fn begin_call(&mut self, id: &str) -> usize {
        match self.wire.name {
            "openai-chat" => {
                let at = self.calls;
                self.calls += 1;
                let mut call = json!({ "index": at, "type": "function", "function": { "name": "read", "arguments": "" } });
                named(&mut call, "id", id);
                self.chat(&json!({ "tool_calls": [call] }), &Value::Null);
                at
            }
            "openai-responses" => {
                let mut item = json!({ "type": "function_call", "name": "read", "arguments": "" });
                named(&mut item, "call_id", id);
                self.block("response.output_item.added", &json!({ "item": item }))
            }
            "anthropic" => {
                let mut block = json!({ "type": "tool_use", "name": "read", "input": {} });
                named(&mut block, "id", id);
                self.block("content_block_start", &json!({ "content_block": block }))
            }
            _ => 0,
        }
    }

    fn arguments(&mut self, at: usize, piece: &str) {
        match self.wire.name {
            "openai-chat" => {
                let call = json!({ "index": at, "function": { "arguments": piece } });
                self.chat(&json!({ "tool_calls": [call] }), &Value::Null);
            }
            "openai-responses" => {
                let delta = json!({ "output_index": at, "delta": piece });
                self.push("response.function_call_arguments.delta", &delta);
            }
            "anthropic" => {
                let delta = json!({ "type": "input_json_delta", "partial_json": piece });
                self.push("content_block_delta", &json!({ "index": at, "delta": delta }));
            }
            _ => {}
        }
    }

    fn end_call(&mut self, at: usize, id: &str, arguments: &str) {
        match self.wire.name {
            "openai-responses" => {
                let mut item = json!({ "type": "function_call", "name": "read", "arguments": arguments });
                named(&mut item, "call_id", id);
                self.push("response.output_item.done", &json!({ "output_index": at, "item": item }));
            }
            "anthropic" => self.push("content_block_stop", &json!({ "index": at })),
            "gemini" => {
                let mut call = json!({ "name": "read" });
                named(&mut call, "id", id);
                if !arguments.is_empty() {
                    let args = serde_json::from_str(arguments);
                    call["args"] = args.unwrap_or_else(|_| Value::String(arguments.to_owned()));
                }
                self.gemini(&json!({ "functionCall": call }));
            }
            _ => {}
        }
    }

    /// Why the model stopped, and what it took.
    pub(crate) fn stop(self, why: Why) -> Self {
        let usage = self.usage.clone();
        self.reason(why, usage.as_ref()).report(usage.as_ref())
    }

    /// As [`Self::stop`], with the usage first, where the wire has another place for it.
    pub(crate) fn counted_before_it_stops(self, why: Why) -> Self {
        let usage = self.usage.clone();
        match self.wire.name {
            "openai-chat" => self.report(usage.as_ref()).reason(why, None),
            "anthropic" => {
                let usage = json!({ "input_tokens": 100, "output_tokens": 10 });
                self.raw("", json!({ "type": "message_delta", "delta": {}, "usage": usage }).to_string())
                    .reason(why, None)
            }
            "gemini" => {
                let usage = json!({ "promptTokenCount": 100, "candidatesTokenCount": 10 });
                self.raw("", json!({ "usageMetadata": usage }).to_string()).reason(why, None)
            }
            _ => self.stop(why),
        }
    }

    /// As [`Self::stop`], with the usage in an event of its own, where the wire can have it so.
    pub(crate) fn counted_after_it_stops(self, why: Why) -> Self {
        match self.wire.name {
            "gemini" => {
                let usage = json!({ "promptTokenCount": 100, "candidatesTokenCount": 10 });
                self.reason(why, None).raw("", json!({ "usageMetadata": usage }).to_string())
            }
            "anthropic" => {
                let usage = json!({ "input_tokens": 100, "output_tokens": 10 });
                let event = json!({ "type": "message_delta", "delta": {}, "usage": usage });
                self.reason(why, None).raw("message_delta", event.to_string())
            }
            _ => self.stop(why),
        }
    }

    fn reason(mut self, why: Why, usage: Option<&(Value, Value)>) -> Self {
        self.close();
        match self.wire.name {
            "openai-chat" => {
                let reason = match why {
                    Why::Done => "stop",
                    Why::Calls => "tool_calls",
                    Why::Length => "length",
                    Why::Filter => "content_filter",
                    Why::New => "tired",
                };
                self.chat(&json!({}), &json!(reason));
            }
            "openai-responses" => {
                let cut = |reason| ("incomplete", json!({ "reason": reason }));
                let (status, details) = match why {
                    Why::Done | Why::Calls => ("completed", Value::Null),
                    Why::Length => cut("max_output_tokens"),
                    Why::Filter => cut("content_filter"),
                    Why::New => cut("tired"),
                };
                let mut response = json!({ "id": "resp_1", "status": status, "incomplete_details": details });
                if let Some((input, output)) = usage {
                    response["usage"] = json!({ "input_tokens": input, "output_tokens": output });
                }
                self.push(&format!("response.{status}"), &json!({ "response": response }));
            }
            "anthropic" => {
                let reason = match why {
                    Why::Done => "end_turn",
                    Why::Calls => "tool_use",
                    Why::Length => "max_tokens",
                    Why::Filter => "refusal",
                    Why::New => "tired",
                };
                let mut event = json!({ "delta": { "stop_reason": reason, "stop_sequence": null } });
                if let Some((input, output)) = usage {
                    event["usage"] = json!({ "input_tokens": input, "output_tokens": output });
                }
                self.push("message_delta", &event);
            }
            _ => {
                let reason = match why {
                    Why::Done | Why::Calls => "STOP",
                    Why::Length => "MAX_TOKENS",
                    Why::Filter => "SAFETY",
                    Why::New => "TIRED",
                };
                let mut event = json!({ "candidates": [{ "finishReason": reason, "index": 0 }] });
                if let Some((input, output)) = usage {
                    event["usageMetadata"] =
                        json!({ "promptTokenCount": input, "candidatesTokenCount": output });
                }
                self.events.push((String::new(), event.to_string()));
            }
        }
        self
    }

    fn report(mut self, usage: Option<&(Value, Value)>) -> Self {
        if let (Some((input, output)), "openai-chat") = (usage, self.wire.name) {
            let usage = json!({ "prompt_tokens": input, "completion_tokens": output });
            self.events.push((String::new(), json!({ "choices": [], "usage": usage }).to_string()));
        }
        self
    }

    /// The server says that it is done, where the wire has a word for it.
    pub(crate) fn end(mut self) -> Self {
        match self.wire.name {
            "openai-chat" => self.events.push((String::new(), "[DONE]".into())),
            "anthropic" => self.push("message_stop", &json!({})),
            _ => {}
        }
        self
    }

    /// The server has trouble, and says so in the vendor's words.
    pub(crate) fn trouble(mut self, trouble: Trouble) -> Self {
        use Trouble::{Auth, Overloaded, Quota, RateLimit, Request, Server, TooLong};
        match self.wire.name {
            "openai-chat" | "openai-responses" => {
                let code = match trouble {
                    Overloaded => "server_is_overloaded",
                    RateLimit => "rate_limit_exceeded",
                    Server => "server_error",
                    Auth => "invalid_api_key",
                    TooLong => "context_length_exceeded",
                    Quota => "insufficient_quota",
                    Request => "invalid_request_error",
                };
                let error = json!({ "code": code, "message": "no" });
                if self.wire.name == "openai-chat" {
                    return self.raw("", json!({ "error": error }).to_string());
                }
                let response = json!({ "id": "resp_1", "status": "failed", "error": error });
                self.push("response.failed", &json!({ "response": response }));
                self
            }
            "anthropic" => {
                let (kind, message) = match trouble {
                    Overloaded => ("overloaded_error", "no"),
                    RateLimit => ("rate_limit_error", "no"),
                    Server => ("api_error", "no"),
                    Auth => ("authentication_error", "no"),
                    TooLong => {
                        ("invalid_request_error", "prompt is too long: 205000 tokens > 200000 maximum")
                    }
                    Quota => ("billing_error", "no"),
                    Request => ("invalid_request_error", "no"),
                };
                self.push("error", &json!({ "error": { "type": kind, "message": message } }));
                self
            }
            _ => {
                let (code, status, message) = match trouble {
                    Overloaded => (503, "UNAVAILABLE", "no"),
                    RateLimit => (429, "RESOURCE_EXHAUSTED", "no"),
                    Server => (500, "INTERNAL", "no"),
                    Auth => (403, "PERMISSION_DENIED", "no"),
                    TooLong => {
                        (400, "INVALID_ARGUMENT", "The input token count (1100000) exceeds the maximum")
                    }
                    Quota => (429, "RESOURCE_EXHAUSTED", "no"),
                    Request => (400, "INVALID_ARGUMENT", "no"),
                };
                let mut error = json!({ "code": code, "status": status, "message": message });
                if trouble == Quota {
                    error["details"] = json!([{ "violations": [{ "quotaId": "RequestsPerDay" }] }]);
                }
                self.raw("", json!({ "error": error }).to_string())
            }
        }
    }

    /// Every event's data changed.
    pub(crate) fn each(mut self, change: impl Fn(&str) -> String) -> Self {
        for (_, data) in &mut self.events {
            *data = change(data);
        }
        self
    }

    /// Every event's data with more fields in it.
    pub(crate) fn with_fields(self, change: impl Fn(&mut Value)) -> Self {
        self.each(|data| match serde_json::from_str::<Value>(data) {
            Ok(mut value) => {
                change(&mut value);
                value.to_string()
            }
            Err(_) => data.to_owned(),
        })
    }

    /// Its bytes, with these line ends.
    pub(crate) fn lines(&self, end: &str) -> Vec<u8> {
        self.written(|kind, data| match kind {
            "" => format!("data: {data}{end}{end}"),
            _ => format!("event: {kind}{end}data: {data}{end}{end}"),
        })
    }

    /// Its bytes, each event written so.
    pub(crate) fn written(&self, write: impl Fn(&str, &str) -> String) -> Vec<u8> {
        self.events.iter().map(|(kind, data)| write(kind, data)).collect::<String>().into_bytes()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.lines("\n")
    }

    pub(crate) fn reply(&self) -> Reply {
        Reply::raw_sse(self.bytes())
    }
}

fn named(object: &mut Value, key: &str, name: &str) {
    if !name.is_empty() {
        object[key] = json!(name);
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The wires, for as long as the tests run.
pub(crate) fn wires() -> &'static [Wire] {
    &WIRES
}
