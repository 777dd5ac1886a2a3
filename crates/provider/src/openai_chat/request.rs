//! The body of requests, kept as ready JSON that only grows: the whole of one request but its tail begins the next,
//! so that the provider's cache hits and nothing is serialised twice. Never sends anything.

use std::borrow::Cow;
use std::collections::HashMap;

use codetether_event::{ContentPart, Message, ModelId, Role, ToolCall};
use codetether_files::BlobStore;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::quirks::{AnswerIds, GivenBack, Quirks, UsageField};
use super::stream::State;
use super::{ToolCalls, details, schema_calls};
use crate::attempt::Script;
use crate::calls::{self, arguments, sendable, told};
use crate::form::Ask;
use crate::sight::{self, PDF, PDF_NAME};
use crate::size::Size;
use crate::{Epoch, SampleSpec};

/// The growing body.
#[derive(Debug)]
pub(super) struct Body {
    /// JSON up to and without the end of the list of messages.
    bytes: Vec<u8>,
    tool_calls: ToolCalls,
    quirks: Quirks,
    model: ModelId,
    images: u64,
    image_bytes: usize,
    /// Numbers below this are in ids that look as if made here: the next call that comes without an id gets it, however
    /// often the answer is asked for.
    next_id: u64,
    /// Which tool a call was for, where results must name it.
    names: HashMap<String, String>,
    /// Whether it offers tools, and leaves it to the model whether it calls one.
    offers: bool,
}

impl Body {
    /// The body of a dialogue that has said nothing yet.
    pub(super) fn new(epoch: &Epoch, ask: Ask<'_>, tool_calls: ToolCalls, quirks: Quirks) -> Self {
        let mut head = json!({"model": epoch.model.model(), "stream": true});
        match quirks.usage {
            UsageField::StreamOptions => head["stream_options"] = json!({"include_usage": true}),
            UsageField::Include => head["usage"] = json!({"include": true}),
            UsageField::Unasked => {}
        }
        let system = match tool_calls {
            ToolCalls::Native => {
                if !epoch.tools.is_empty() {
                    head["tools"] = epoch.tools.iter().map(declaration).collect();
                }
                epoch.system.clone()
            }
            ToolCalls::Schema if epoch.tools.is_empty() => epoch.system.clone(),
            ToolCalls::Schema => {
                let done = !matches!(ask, Ask::Call { .. });
                head["response_format"] = schema_calls::response_format(&epoch.tools, done);
                schema_calls::system(&epoch.system, &epoch.tools, done)
            }
        };
        match ask {
            Ask::Schema { name, schema } => {
                head["response_format"] = json!({
                    "type": "json_schema",
                    "json_schema": {"name": name, "schema": schema, "strict": true},
                });
            }
            Ask::Json => head["response_format"] = json!({"type": "json_object"}),
            Ask::Call { answer, alone: true } if tool_calls == ToolCalls::Native => {
                head["tool_choice"] = json!({"type": "function", "function": {"name": answer}});
            }
            Ask::Call { .. } if tool_calls == ToolCalls::Native => head["tool_choice"] = json!("required"),
            Ask::Call { .. } | Ask::Nothing => {}
        }
        let mut bytes = head.to_string().into_bytes();
        bytes.pop();
        bytes.extend_from_slice(br#","messages":["#);
        let names = HashMap::new();
        let model = epoch.model.clone();
        let offers =
            tool_calls == ToolCalls::Native && !epoch.tools.is_empty() && matches!(ask, Ask::Nothing);
        let mut body =
            Self { bytes, tool_calls, quirks, model, images: 0, image_bytes: 0, next_id: 0, names, offers };
        if !system.is_empty() {
            body.append(&Wire { content: Some(Content::Text(system)), ..Wire::of("system") });
        }
        body
    }
}

impl Script for Body {
    type Reader = State;

    fn push(&mut self, message: &Message, blobs: &BlobStore) -> Result<(), codetether_files::Error> {
        match message.role {
            Role::User => self.push_user(&message.parts, blobs),
            Role::Assistant => {
                self.push_assistant(message);
                Ok(())
            }
        }
    }

    fn request(&self, spec: &SampleSpec) -> Result<Vec<u8>, String> {
        let mut body = Vec::with_capacity(self.bytes.len().saturating_add(128));
        body.extend_from_slice(&self.bytes);
        body.push(b']');
        if let Some(tokens) = spec.max_output {
            body.extend_from_slice(format!(r#","{}":{tokens}"#, self.quirks.limit.as_str()).as_bytes());
        }
        if let Some(effort) = spec.effort {
            body.extend_from_slice(self.quirks.effort.json(effort).as_bytes());
        }
        if spec.must_call && self.offers {
            body.extend_from_slice(b",\"tool_choice\":\"required\"");
        }
        if let Some(temperature) = spec.temperature {
            body.extend_from_slice(format!(r#","temperature":{}"#, f64::from(temperature)).as_bytes());
        }
        if let Some(key) = spec.cache_key.as_deref().filter(|_| self.quirks.cache_key) {
            body.extend_from_slice(format!(r#","prompt_cache_key":{}"#, json!(key)).as_bytes());
        }
        body.push(b'}');
        Ok(body)
    }

    fn size(&self) -> Size {
        Size { bytes: self.bytes.len().saturating_sub(self.image_bytes) as u64, sights: self.images }
    }

    fn reader(&self) -> State {
        let mut state = State::new(self.tool_calls, self.next_id);
        if self.quirks.usage == UsageField::Include {
            state = state.telling_cost();
        }
        match self.quirks.reasoning {
            GivenBack::Never => state,
            GivenBack::Content | GivenBack::Details => state.thought_by(self.model.clone()),
        }
    }
}

impl Body {
    fn push_user(&mut self, parts: &[ContentPart], blobs: &BlobStore) -> Result<(), codetether_files::Error> {
        let mut said = Vec::new();
        let mut results = Vec::new();
        let (mut images, mut image_bytes) = (0_u64, 0_usize);
        for part in parts {
            match part {
                ContentPart::Text { text } => said.push(Said::Text { text: text.clone() }),
                ContentPart::Image { media_type, blob } => {
                    let url = sight::data_url(media_type, blob, blobs)?;
                    images = images.saturating_add(1);
                    image_bytes = image_bytes.saturating_add(url.len());
                    said.push(if media_type == PDF {
                        Said::File { file: File { filename: PDF_NAME, file_data: url } }
                    } else {
                        Said::ImageUrl { image_url: ImageUrl { url } }
                    });
                }
                ContentPart::ToolResult(result) => match self.tool_calls {
                    ToolCalls::Native => results.push(result),
                    ToolCalls::Schema => {
                        let name = self.names.get(&result.call).map_or("a call", String::as_str);
                        said.push(Said::Text { text: schema_calls::result(name, result) });
                    }
                },
                // A user neither thinks aloud nor calls tools.
                ContentPart::Reasoning { .. } | ContentPart::ToolCall(_) => {}
            }
        }
        self.images = self.images.saturating_add(images);
        self.image_bytes = self.image_bytes.saturating_add(image_bytes);
        for result in &results {
            self.append(&Wire {
                tool_call_id: Some(self.quirks.ids.sent(&result.call)),
                content: Some(Content::Text(told(result))),
                ..Wire::of("tool")
            });
        }
        if !said.is_empty() || results.is_empty() {
            self.append(&Wire { content: Some(Content::of(said)), ..Wire::of("user") });
        }
        Ok(())
    }

    fn push_assistant(&mut self, message: &Message) {
        self.next_id = self.next_id.max(calls::next_id(message.calls().map(|call| call.id.as_str())));
        let text = message.text();
        let mut wire = match self.tool_calls {
            ToolCalls::Native => {
                let calls: Vec<_> = message.calls().map(|call| WireCall::of(call, self.quirks.ids)).collect();
                let content =
                    if text.is_empty() && !calls.is_empty() { None } else { Some(Content::Text(text)) };
                Wire { content, tool_calls: calls, ..Wire::of("assistant") }
            }
            ToolCalls::Schema => {
                let names = message.calls().map(|call| (call.id.clone(), call.sent_name().to_owned()));
                self.names.extend(names);
                let said = schema_calls::replay(&text, message.calls());
                Wire { content: Some(Content::Text(said)), ..Wire::of("assistant") }
            }
        };
        let mut thought = String::new();
        for part in &message.parts {
            match part {
                ContentPart::Reasoning { text, sealed, model: Some(model), .. } if *model == self.model => {
                    thought.push_str(text);
                    if self.quirks.reasoning == GivenBack::Details {
                        wire.reasoning_details =
                            wire.reasoning_details.or_else(|| sealed.as_deref().and_then(details::read));
                    }
                }
                _ => {}
            }
        }
        if self.quirks.reasoning == GivenBack::Content && !thought.is_empty() {
            wire.reasoning_content = Some(thought);
        }
        self.append(&wire);
    }

    fn append(&mut self, message: &Wire<'_>) {
        if self.bytes.last() != Some(&b'[') {
            self.bytes.push(b',');
        }
        let written = serde_json::to_writer(&mut self.bytes, message);
        debug_assert!(written.is_ok(), "a message has string keys, and memory takes all bytes");
    }
}

fn declaration(tool: &crate::ToolDeclaration) -> Value {
    let mut function = json!({"name": tool.name, "description": tool.description, "parameters": tool.schema});
    // Servers that know nothing of it are not told that it is not wanted.
    if tool.strict {
        function["strict"] = json!(true);
    }
    json!({"type": "function", "function": function})
}

/// A message on the wire.
#[derive(Serialize)]
struct Wire<'a> {
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<String>,
    content: Option<Content>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_details: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<WireCall<'a>>,
}

impl Wire<'_> {
    fn of(role: &'static str) -> Self {
        Self {
            role,
            tool_call_id: None,
            content: None,
            reasoning_content: None,
            reasoning_details: None,
            tool_calls: Vec::new(),
        }
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Said>),
}

impl Content {
    /// One text wherever possible: small servers know nothing else.
    fn of(parts: Vec<Said>) -> Self {
        let texts: Option<Vec<_>> = parts
            .iter()
            .map(|part| match part {
                Said::Text { text } => Some(text.as_str()),
                Said::ImageUrl { .. } | Said::File { .. } => None,
            })
            .collect();
        match texts {
            Some(texts) => Self::Text(texts.join("\n\n")),
            None => Self::Parts(parts),
        }
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Said {
    Text { text: String },
    ImageUrl { image_url: ImageUrl },
    File { file: File },
}

#[derive(Serialize)]
struct File {
    filename: &'static str,
    file_data: String,
}

#[derive(Serialize)]
struct ImageUrl {
    url: String,
}

#[derive(Serialize)]
struct WireCall<'a> {
    id: String,
    r#type: &'static str,
    function: WireFunction<'a>,
}

#[derive(Serialize)]
struct WireFunction<'a> {
    name: Cow<'a, str>,
    arguments: String,
}

impl<'a> WireCall<'a> {
    fn of(call: &'a ToolCall, ids: AnswerIds) -> Self {
        let function =
            WireFunction { name: sendable(call.sent_name()), arguments: arguments(call.sent_arguments()) };
        Self { id: ids.sent(&call.id), r#type: "function", function }
    }
}

#[cfg(test)]
mod tests {
    use codetether_event::{BlobId, Effort, ModelId, ToolName, ToolResult};
    use proptest::prelude::*;

    use super::super::quirks::LimitName;
    use super::*;
    use crate::ToolDeclaration;

    const OPENAI: Quirks = Quirks { limit: LimitName::MaxCompletionTokens, ..Quirks::NONE };

    fn epoch() -> Epoch {
        let tool = ToolDeclaration {
            name: ToolName::new("read"),
            description: "Reads.".into(),
            schema: json!({"type": "object", "properties": {"path": {"type": "string"}}}),
            strict: false,
        };
        Epoch {
            model: ModelId::new("acme/m-1"),
            system: "Be \"brief\".".into(),
            tools: vec![tool],
            format: codetether_event::ResponseFormat::Text,
            way: codetether_event::Way::Native,
        }
    }

    fn call(id: &str, arguments: &str) -> ContentPart {
        let name = ToolName::new("read");
        ContentPart::ToolCall(ToolCall { id: id.into(), name, arguments: arguments.into(), wrapped: None })
    }

    fn result(call: &str, text: &str, error: bool) -> ContentPart {
        ContentPart::ToolResult(ToolResult { call: call.into(), text: text.into(), error })
    }

    fn message(role: Role, parts: impl IntoIterator<Item = ContentPart>) -> Message {
        Message { role, parts: parts.into_iter().collect() }
    }

    fn store() -> BlobStore {
        BlobStore::new("/nowhere")
    }

    fn messages(tool_calls: ToolCalls, pushed: &[Message]) -> Value {
        let mut body = Body::new(&epoch(), Ask::Nothing, tool_calls, Quirks::NONE);
        for message in pushed {
            body.push(message, &store()).unwrap();
        }
        let mut body: Value = serde_json::from_slice(&body.request(&SampleSpec::default()).unwrap()).unwrap();
        let mut messages = body["messages"].take();
        messages.as_array_mut().unwrap().remove(0);
        messages
    }

    #[test]
    fn a_request_is_written_once_in_a_fixed_order() {
        let mut body = Body::new(&epoch(), Ask::Nothing, ToolCalls::Native, OPENAI);
        body.push(&Message::user("héllo"), &store()).unwrap();
        let spec = SampleSpec { effort: Some(Effort::Low), max_output: Some(9), ..SampleSpec::default() };
        let text = String::from_utf8(body.request(&spec).unwrap()).unwrap();
        assert_eq!(
            text,
            concat!(
                r#"{"model":"m-1","stream":true,"stream_options":{"include_usage":true},"#,
                r#""tools":[{"type":"function","function":{"name":"read","description":"Reads.","#,
                r#""parameters":{"type":"object","properties":{"path":{"type":"string"}}}}}],"#,
                r#""messages":[{"role":"system","content":"Be \"brief\"."},{"role":"user","content":"héllo"}],"#,
                r#""max_completion_tokens":9,"reasoning_effort":"low"}"#
            )
        );
        let bare = Body::new(
            &Epoch { system: String::new(), tools: Vec::new(), ..epoch() },
            Ask::Nothing,
            ToolCalls::Schema,
            Quirks::NONE,
        );
        let text = String::from_utf8(bare.request(&SampleSpec::default()).unwrap()).unwrap();
        assert_eq!(
            text,
            r#"{"model":"m-1","stream":true,"stream_options":{"include_usage":true},"messages":[]}"#
        );
    }

    fn with(quirks: Quirks, pushed: &[Message]) -> Value {
        let epoch = Epoch { system: String::new(), tools: Vec::new(), ..epoch() };
        let mut body = Body::new(&epoch, Ask::Nothing, ToolCalls::Native, quirks);
        for message in pushed {
            body.push(message, &store()).unwrap();
        }
        let spec = SampleSpec { effort: Some(Effort::High), ..SampleSpec::default() };
        serde_json::from_slice(&body.request(&spec).unwrap()).unwrap()
    }

    #[test]
    fn thoughts_go_back_to_the_model_that_had_them_where_it_wants_them() {
        let details = r#"[{"type":"reasoning.encrypted","data":"x"}]"#;
        let thought = |model: &str| ContentPart::Reasoning {
            text: "hm".into(),
            signature: None,
            sealed: Some(details.into()),
            model: Some(ModelId::new(model)),
        };
        let pushed = [
            message(Role::Assistant, [thought("acme/m-1"), ContentPart::text("one")]),
            message(Role::Assistant, [thought("acme/m-2"), ContentPart::text("two")]),
        ];
        let said = |text: &str| json!({"role": "assistant", "content": text});
        let mut content = said("one");
        content["reasoning_content"] = json!("hm");
        let quirks = Quirks { reasoning: GivenBack::Content, ..Quirks::NONE };
        assert_eq!(with(quirks, &pushed)["messages"], json!([content, said("two")]));
        let mut detailed = said("one");
        detailed["reasoning_details"] = serde_json::from_str(details).unwrap();
        let quirks = Quirks { reasoning: GivenBack::Details, ..Quirks::NONE };
        assert_eq!(with(quirks, &pushed)["messages"], json!([detailed, said("two")]));
        assert_eq!(with(Quirks::NONE, &pushed)["messages"], json!([said("one"), said("two")]));
    }

    #[test]
    fn a_call_and_its_result_have_one_id_whatever_the_vendor_allows() {
        let quirks = Quirks { ids: AnswerIds::NineAlphanumerics, usage: UsageField::Unasked, ..Quirks::NONE };
        let pushed = [
            message(Role::Assistant, [call("call_0", "{}"), call("aB3dE6gH9", "{}")]),
            message(Role::User, [result("call_0", "a", false), result("aB3dE6gH9", "b", false)]),
        ];
        let body = with(quirks, &pushed);
        assert_eq!(body.get("stream_options"), None);
        let messages = &body["messages"];
        let made = &messages[0]["tool_calls"][0]["id"];
        assert_eq!((made.as_str().unwrap().len(), &messages[1]["tool_call_id"]), (9, made));
        assert_eq!(messages[0]["tool_calls"][1]["id"], json!("aB3dE6gH9"));
        assert_eq!(messages[2]["tool_call_id"], json!("aB3dE6gH9"));
    }

    #[test]
    fn calls_go_back_as_received_and_results_follow_in_order() {
        let pushed = [
            message(
                Role::Assistant,
                [
                    ContentPart::reasoning("hm"),
                    ContentPart::text("Let me see."),
                    call("a", "{ \"path\": 1 }"),
                    call("b", ""),
                ],
            ),
            message(
                Role::User,
                [
                    result("a", "fine", false),
                    ContentPart::text("and hurry"),
                    result("b", "no such file", true),
                ],
            ),
            message(Role::Assistant, [call("c", "{\"pa")]),
            message(Role::User, [result("c", "Error: bad arguments", true)]),
        ];
        let function = |arguments: &str| json!({"name": "read", "arguments": arguments});
        let called = |id: &str, arguments: &str| json!({"id": id, "type": "function", "function": function(arguments)});
        assert_eq!(
            messages(ToolCalls::Native, &pushed),
            json!([
                {"role": "assistant", "content": "Let me see.", "tool_calls": [called("a", "{ \"path\": 1 }"), called("b", "{}")]},
                {"role": "tool", "tool_call_id": "a", "content": "fine"},
                {"role": "tool", "tool_call_id": "b", "content": "error: no such file"},
                {"role": "user", "content": "and hurry"},
                {"role": "assistant", "content": null, "tool_calls": [called("c", "{\"not_json\":\"{\\\"pa\"}")]},
                {"role": "tool", "tool_call_id": "c", "content": "Error: bad arguments"},
            ])
        );
    }

    #[test]
    fn where_the_answer_is_the_call_all_is_text() {
        let pushed = [
            message(Role::Assistant, [call("a", "{\"path\": 1}")]),
            message(Role::User, [result("a", "gone", true), ContentPart::text("hurry")]),
            message(Role::Assistant, [ContentPart::text("ok")]),
        ];
        assert_eq!(
            messages(ToolCalls::Schema, &pushed),
            json!([
                {"role": "assistant", "content": "{\"tool\":\"read\",\"arguments\":{\"path\": 1}}"},
                {"role": "user", "content": "result of read:\nerror: gone\n\nhurry"},
                {"role": "assistant", "content": "{\"tool\":\"done\",\"arguments\":{\"message\":\"ok\"}}"},
            ])
        );
        let head = Body::new(&epoch(), Ask::Nothing, ToolCalls::Schema, Quirks::NONE).bytes;
        let head = String::from_utf8(head).unwrap();
        assert!(head.contains("\"response_format\":{\"type\":\"json_schema\""), "{head}");
        assert!(!head.contains("\"tools\""), "{head}");
    }

    #[test]
    fn an_image_is_sent_whole_and_a_lost_one_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = BlobStore::new(dir.path());
        let blob = blobs.put(b"\x89PNG").unwrap();
        let image = |blob: BlobId| ContentPart::Image { media_type: "image/png".into(), blob };
        let mut body = Body::new(&epoch(), Ask::Nothing, ToolCalls::Native, Quirks::NONE);
        let before = body.bytes.clone();
        let lost = message(Role::User, [ContentPart::text("x"), image(BlobId::new("0".repeat(64)))]);
        assert!(body.push(&lost, &blobs).is_err());
        assert_eq!((body.bytes.clone(), body.images), (before, 0));
        body.push(&message(Role::User, [ContentPart::text("what is it?"), image(blob)]), &blobs).unwrap();
        let body: Value = serde_json::from_slice(&body.request(&SampleSpec::default()).unwrap()).unwrap();
        let parts = json!([
            {"type": "text", "text": "what is it?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}},
        ]);
        assert_eq!(body["messages"][1], json!({"role": "user", "content": parts}));
    }

    #[test]
    fn a_document_is_sent_as_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = BlobStore::new(dir.path());
        let pdf = ContentPart::Image { media_type: PDF.into(), blob: blobs.put(b"%PDF-1").unwrap() };
        let mut body = Body::new(&epoch(), Ask::Nothing, ToolCalls::Native, Quirks::NONE);
        body.push(&message(Role::User, [pdf]), &blobs).unwrap();
        let body: Value = serde_json::from_slice(&body.request(&SampleSpec::default()).unwrap()).unwrap();
        let file = json!({"filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBERi0x"});
        let parts = json!([{"type": "file", "file": file}]);
        assert_eq!(body["messages"][1], json!({"role": "user", "content": parts}));
    }

    #[test]
    fn ids_made_here_are_never_made_twice_in_a_dialogue() {
        let mut body = Body::new(&epoch(), Ask::Nothing, ToolCalls::Native, Quirks::NONE);
        assert_eq!(body.next_id, 0);
        for id in ["call_7", "call_2", "call_x", "call_99999999999999999999", "other"] {
            body.push(&message(Role::Assistant, [call(id, "{}")]), &store()).unwrap();
        }
        assert_eq!(calls::made_id(body.next_id), "call_8");
        for number in [u64::MAX, u64::from(u32::MAX) + 1] {
            body.push(&message(Role::Assistant, [call(&format!("call_{number}"), "{}")]), &store()).unwrap();
        }
        assert_eq!(body.next_id, 8, "a server's number does not bring ours to their end");
        body.push(&message(Role::Assistant, [call(&format!("call_{}", u32::MAX), "{}")]), &store()).unwrap();
        assert_eq!(body.next_id, u64::from(u32::MAX) + 1);
    }

    fn any_part() -> impl Strategy<Value = ContentPart> {
        let text = || any::<String>();
        prop_oneof![
            text().prop_map(ContentPart::text),
            text().prop_map(ContentPart::reasoning),
            (text(), text()).prop_map(|(id, arguments)| call(&id, &arguments)),
            (text(), text(), any::<bool>()).prop_map(|(id, text, error)| result(&id, &text, error)),
        ]
    }

    proptest! {
        #[test]
        fn each_request_begins_with_the_one_before_whatever_is_said(
            said in prop::collection::vec((any::<bool>(), prop::collection::vec(any_part(), 0..4)), 1..8),
            schema in any::<bool>(),
            max_output in any::<Option<u32>>(),
        ) {
            let tool_calls = if schema { ToolCalls::Schema } else { ToolCalls::Native };
            let mut body = Body::new(&epoch(), Ask::Nothing, tool_calls, Quirks::NONE);
            let spec = SampleSpec { effort: None, max_output, ..SampleSpec::default() };
            let tail = max_output.map_or_else(|| "]}".to_owned(), |n| format!(r#"],"max_tokens":{n}}}"#));
            let mut last = body.request(&spec).unwrap();
            for (user, parts) in said {
                let role = if user { Role::User } else { Role::Assistant };
                body.push(&message(role, parts), &store()).unwrap();
                let next = body.request(&spec).unwrap();
                let prefix = last.strip_suffix(tail.as_bytes()).unwrap();
                prop_assert!(next.starts_with(prefix));
                prop_assert!(serde_json::from_slice::<Value>(&next).is_ok());
                last = next;
            }
        }
    }
}
