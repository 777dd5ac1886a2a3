use codetether_event::{BlobId, Effort, ToolName};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::ToolDeclaration;

fn epoch() -> Epoch {
    let tool = |name: &str| ToolDeclaration {
        name: ToolName::new(name),
        description: "Does.".into(),
        schema: json!({"type": "object", "properties": {"path": {"type": "string"}}}),
        strict: false,
    };
    let tools = vec![tool("list"), tool("read")];
    Epoch {
        model: ModelId::new("acme/m-1"),
        system: "Be \"brief\".".into(),
        tools,
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

fn thought(text: &str, signature: Option<&str>) -> ContentPart {
    ContentPart::Reasoning {
        text: text.into(),
        signature: signature.map(str::to_owned),
        sealed: None,
        model: Some(epoch().model),
    }
}

fn sealed(data: &str) -> ContentPart {
    ContentPart::Reasoning {
        text: String::new(),
        signature: None,
        sealed: Some(data.into()),
        model: Some(epoch().model),
    }
}

fn user(parts: impl IntoIterator<Item = ContentPart>) -> Message {
    Message { role: Role::User, parts: parts.into_iter().collect() }
}

fn assistant(parts: impl IntoIterator<Item = ContentPart>) -> Message {
    Message { role: Role::Assistant, parts: parts.into_iter().collect() }
}

fn store() -> BlobStore {
    BlobStore::new("/nowhere")
}

fn body(pushed: &[Message]) -> Body {
    let mut body = Body::new(&epoch(), Ask::Nothing);
    for message in pushed {
        body.push(message, &store()).unwrap();
    }
    body
}

fn request(body: &Body) -> Value {
    serde_json::from_slice(&body.request(&SampleSpec::default()).unwrap()).unwrap()
}

/// The messages of a request, without the cache's marks.
fn messages(pushed: &[Message]) -> Value {
    let mut request = request(&body(pushed));
    strip_marks(&mut request);
    request["messages"].take()
}

fn strip_marks(value: &mut Value) -> usize {
    let own = value.as_object_mut().and_then(|object| object.remove("cache_control"));
    let inner: usize = match value {
        Value::Object(object) => object.values_mut().map(strip_marks).sum(),
        Value::Array(list) => list.iter_mut().map(strip_marks).sum(),
        _ => 0,
    };
    inner + own.iter().count()
}

fn without_marks(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap().replace(std::str::from_utf8(MARK).unwrap(), "")
}

#[test]
fn a_request_is_written_once_in_a_fixed_order_and_marked_for_the_cache() {
    let body = body(&[Message::user("héllo")]);
    let spec = SampleSpec { effort: Some(Effort::Low), max_output: Some(9), ..SampleSpec::default() };
    assert_eq!(
        String::from_utf8(body.request(&spec).unwrap()).unwrap(),
        concat!(
            r#"{"model":"m-1","stream":true,"tools":["#,
            r#"{"name":"list","description":"Does.","input_schema":{"type":"object","properties":{"path":{"type":"string"}}}},"#,
            r#"{"name":"read","description":"Does.","input_schema":{"type":"object","properties":{"path":{"type":"string"}}},"#,
            r#""cache_control":{"type":"ephemeral"}}],"#,
            r#""system":[{"type":"text","text":"Be \"brief\".","cache_control":{"type":"ephemeral"}}],"#,
            r#""messages":[{"role":"user","content":[{"type":"text","text":"héllo","cache_control":{"type":"ephemeral"}}]}],"#,
            r#""max_tokens":9,"output_config":{"effort":"low"}}"#
        )
    );
    let bare = Body::new(&Epoch { system: " \n".into(), tools: Vec::new(), ..epoch() }, Ask::Nothing);
    assert_eq!(
        String::from_utf8(bare.request(&SampleSpec::default()).unwrap()).unwrap(),
        r#"{"model":"m-1","stream":true,"messages":[],"max_tokens":16384}"#
    );
}

#[test]
fn an_effort_that_the_model_does_not_take_is_no_request() {
    let body =
        Body::new(&Epoch { model: ModelId::new("anthropic/claude-3-5-haiku"), ..epoch() }, Ask::Nothing);
    let spec = SampleSpec { effort: Some(Effort::Low), max_output: None, ..SampleSpec::default() };
    assert!(body.request(&spec).unwrap_err().contains("does not think"));
}

#[test]
fn calls_go_back_as_received_and_results_stand_first() {
    let pushed = [
        Message::user("go"),
        assistant([
            thought("hm", Some("s1")),
            ContentPart::text("Let me see."),
            sealed("xyz"),
            call("a", "{ \"path\": 1 }"),
            call("b", ""),
        ]),
        user([result("a", "fine", false), ContentPart::text("and hurry"), result("b", "no such file", true)]),
        assistant([call("c", "{\"pa")]),
        user([result("c", " ", true)]),
        user([ContentPart::text("go on")]),
    ];
    assert_eq!(
        messages(&pushed),
        json!([
            {"role": "user", "content": [{"type": "text", "text": "go"}]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s1"},
                {"type": "text", "text": "Let me see."},
                {"type": "redacted_thinking", "data": "xyz"},
                {"type": "tool_use", "id": "a", "name": "read", "input": {"path": 1}},
                {"type": "tool_use", "id": "b", "name": "read", "input": {}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": "fine"},
                {"type": "tool_result", "tool_use_id": "b", "content": "no such file", "is_error": true},
                {"type": "text", "text": "and hurry"},
            ]},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "c", "name": "read", "input": {"not_json": "{\"pa"}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c", "content": "failed", "is_error": true},
                {"type": "text", "text": "go on"},
            ]},
        ])
    );
    let bytes = without_marks(&body(&pushed).request(&SampleSpec::default()).unwrap());
    assert!(bytes.contains(r#""input":{ "path": 1 }"#), "the very bytes: {bytes}");
}

#[test]
fn thoughts_go_back_whole_or_not_at_all() {
    let other = ContentPart::Reasoning {
        text: "theirs".into(),
        signature: Some("s2".into()),
        sealed: None,
        model: Some(ModelId::new("acme/m-2")),
    };
    let hi = || ContentPart::text("hi");
    let thinking = |text: &str, signature: Option<&str>| {
        let mut block = json!({"type": "thinking", "thinking": text});
        if let Some(signature) = signature {
            block["signature"] = signature.into();
        }
        block
    };
    let text = || json!({"type": "text", "text": "hi"});
    for (parts, wanted) in [
        (vec![thought("a", Some("s")), hi()], vec![thinking("a", Some("s")), text()]),
        // A server that signs nothing gets back what it sent.
        (vec![thought("a", None), hi()], vec![thinking("a", None), text()]),
        (vec![thought("", Some("s")), hi()], vec![thinking("", Some("s")), text()]),
        // One that is another model's, or nobody's, takes the others with it.
        (vec![thought("a", Some("s")), other, hi()], vec![text()]),
        (vec![sealed("x"), ContentPart::reasoning("cut"), hi()], vec![text()]),
        // None may be the last.
        (vec![hi(), thought("a", Some("s"))], vec![text()]),
    ] {
        let said = messages(&[Message::user("go"), assistant(parts.clone())]);
        assert_eq!(said[1], json!({"role": "assistant", "content": wanted}), "{parts:?}");
    }
}

#[test]
fn what_no_server_takes_is_left_out_and_turns_alternate() {
    let pushed = [
        Message::user("one"),
        Message::user(" \n"),
        assistant([thought("hm", Some("s"))]),
        assistant([ContentPart::text("")]),
        Message::user("two"),
        assistant([ContentPart::text("a")]),
        assistant([ContentPart::text("b")]),
    ];
    let text = |text: &str| json!({"type": "text", "text": text});
    assert_eq!(
        messages(&pushed),
        json!([
            {"role": "user", "content": [text("one"), text("two")]},
            {"role": "assistant", "content": [text("a"), text("b")]},
        ])
    );
}

#[test]
fn ids_of_calls_are_plain_and_no_two_are_the_same() {
    let pushed = [
        Message::user("go"),
        assistant([call("functions.read:0", "{}"), call("", "{}")]),
        user([result("functions.read:0", "1", false), result("", "2", false)]),
        assistant([call("functions.read:0", "{}")]),
        user([result("functions.read:0", "3", false), result("nobody's", "4", false)]),
    ];
    let said = messages(&pushed);
    let ids = |message: usize, key: &str| -> Vec<String> {
        let blocks = said[message]["content"].as_array().unwrap();
        blocks.iter().map(|block| block[key].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(1, "id"), ["functions_2eread_3a0", "unnamed"]);
    assert_eq!(ids(2, "tool_use_id"), ["functions_2eread_3a0", "unnamed"]);
    assert_eq!(ids(3, "id"), ["functions_2eread_3a0-2"]);
    assert_eq!(ids(4, "tool_use_id"), ["functions_2eread_3a0-2", "nobody_27s"]);
}

#[test]
fn images_and_documents_are_sent_whole_and_belong_to_the_result_before_them() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = BlobStore::new(dir.path());
    let (png, pdf) = (blobs.put(b"\x89PNG").unwrap(), blobs.put(b"%PDF-1").unwrap());
    let seen = |media_type: &str, blob: &BlobId| ContentPart::Image {
        media_type: media_type.into(),
        blob: blob.clone(),
    };
    let (png, pdf) = (seen("image/png", &png), seen("application/pdf", &pdf));
    let mut body = Body::new(&epoch(), Ask::Nothing);
    let before = body.bytes.clone();
    let lost = seen("image/png", &BlobId::new("0".repeat(64)));
    assert!(body.push(&user([ContentPart::text("x"), png.clone(), lost]), &blobs).is_err());
    assert_eq!((&body.bytes, body.sights, body.speaker), (&before, 0, None), "nothing is left behind");

    let parts = [pdf.clone(), ContentPart::text("what is it?"), png.clone()];
    body.push(&user(parts), &blobs).unwrap();
    body.push(&assistant([call("a", "{}"), call("b", "{}"), call("c", "{}")]), &blobs).unwrap();
    let parts = [
        result("a", "a picture", false),
        png.clone(),
        pdf.clone(),
        result("b", "", false),
        png.clone(),
        result("c", "broken", true),
        png.clone(),
        ContentPart::text("see?"),
        png,
    ];
    body.push(&user(parts), &blobs).unwrap();
    let mut request = request(&body);
    strip_marks(&mut request);
    let image =
        json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}});
    let document = json!({
        "type": "document",
        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0x"},
    });
    let text = |text: &str| json!({"type": "text", "text": text});
    assert_eq!(request["messages"][0]["content"], json!([document, text("what is it?"), image]));
    assert_eq!(
        request["messages"][2]["content"],
        json!([
            {"type": "tool_result", "tool_use_id": "a", "content": [text("a picture"), image, document]},
            {"type": "tool_result", "tool_use_id": "b", "content": [image]},
            {"type": "tool_result", "tool_use_id": "c", "content": "broken", "is_error": true},
            image,
            text("see?"),
            image,
        ])
    );
    assert_eq!(body.sights, 7);
    assert_eq!(body.size().sights, 7);
    assert!(body.size().bytes < 4 * 1_024, "{:?}", body.size());
}

#[test]
fn a_request_is_marked_where_it_ends_and_where_the_one_before_ended() {
    let marked = |body: &Body| {
        let request = request(body);
        let messages = request["messages"].as_array().unwrap().clone();
        let mut found = Vec::new();
        for (at, message) in messages.iter().enumerate() {
            for (block, value) in message["content"].as_array().unwrap().iter().enumerate() {
                if value.get("cache_control").is_some() {
                    found.push((at, block));
                }
            }
        }
        found
    };
    let mut body = Body::new(&epoch(), Ask::Nothing);
    body.push(&Message::user("environment"), &store()).unwrap();
    body.push(&Message::user("go"), &store()).unwrap();
    assert_eq!(marked(&body), [(0, 1)]);
    for step in 0..3 {
        // More blocks in a step than the cache looks back from a mark.
        let ids: Vec<String> = (0..25).map(|n| format!("c{step}_{n}")).collect();
        body.push(&assistant(ids.iter().map(|id| call(id, "{}"))), &store()).unwrap();
        body.push(&user(ids.iter().map(|id| result(id, "ok", false))), &store()).unwrap();
        let (before, last) = (step * 2, step * 2 + 2);
        assert_eq!(marked(&body), [(before, if step == 0 { 1 } else { 24 }), (last, 24)]);
    }
    assert_eq!(strip_marks(&mut request(&body)), 4);
}

fn any_part() -> impl Strategy<Value = ContentPart> {
    let text = || any::<String>();
    prop_oneof![
        text().prop_map(ContentPart::text),
        text().prop_map(ContentPart::reasoning),
        (text(), any::<Option<String>>()).prop_map(|(text, signature)| thought(&text, signature.as_deref())),
        text().prop_map(|data| sealed(&data)),
        (text(), text()).prop_map(|(id, arguments)| call(&id, &arguments)),
        (text(), text(), any::<bool>()).prop_map(|(id, text, error)| result(&id, &text, error)),
    ]
}

proptest! {
    #[test]
    fn each_request_without_its_marks_begins_with_the_one_before_whatever_is_said(
        said in prop::collection::vec((any::<bool>(), prop::collection::vec(any_part(), 0..4)), 1..8),
    ) {
        let mut body = Body::new(&epoch(), Ask::Nothing);
        let spec = SampleSpec::default();
        let tail = "],\"max_tokens\":16384}";
        let prefix = |request: &[u8]| {
            let text = without_marks(request);
            let text = text.strip_suffix(tail).unwrap();
            text.strip_suffix("]}").unwrap_or(text).to_owned()
        };
        let mut last = prefix(&body.request(&spec).unwrap());
        for (from_user, parts) in said {
            body.push(&if from_user { user(parts) } else { assistant(parts) }, &store()).unwrap();
            let request = body.request(&spec).unwrap();
            let next = prefix(&request);
            prop_assert!(next.starts_with(&last), "{}\n{}", last, next);
            let mut value: Value = serde_json::from_slice(&request).unwrap();
            prop_assert!(strip_marks(&mut value) <= 4);
            let roles: Vec<_> = value["messages"].as_array().unwrap().iter().map(|m| m["role"].clone()).collect();
            prop_assert!(roles.windows(2).all(|pair| pair[0] != pair[1]), "{:?}", roles);
            last = next;
        }
    }
}
