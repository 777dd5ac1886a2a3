use codetether_event::{Effort, ToolCall, ToolName};

use super::*;

fn epoch(model: &str) -> Epoch {
    let tool = ToolDeclaration {
        name: ToolName::new("read"),
        description: "Reads.".into(),
        schema: json!({"type": "object"}),
        strict: false,
    };
    Epoch {
        model: ModelId::new(model),
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

fn sealed(item: &str, model: &str) -> ContentPart {
    let (sealed, model) = (Some(item.into()), Some(ModelId::new(model)));
    ContentPart::Reasoning { text: "hm".into(), signature: None, sealed, model }
}

fn text(body: &Body, spec: &SampleSpec) -> String {
    String::from_utf8(body.request(spec).unwrap()).unwrap()
}

fn input(pushed: &[Message], blobs: &BlobStore) -> Value {
    let mut body = Body::new(&epoch("acme/m-1"), Ask::Nothing, false);
    for message in pushed {
        body.push(message, blobs).unwrap();
    }
    serde_json::from_str::<Value>(&text(&body, &SampleSpec::default())).unwrap()["input"].take()
}

#[test]
fn a_request_is_written_once_in_a_fixed_order() {
    let mut body = Body::new(&epoch("openai/gpt-5.2"), Ask::Nothing, false);
    body.push(&Message::user("héllo"), &BlobStore::new("/nowhere")).unwrap();
    assert_eq!(
        text(&body, &SampleSpec { effort: Some(Effort::Low), max_output: Some(99), ..SampleSpec::default() }),
        concat!(
            r#"{"model":"gpt-5.2","stream":true,"store":false,"include":["reasoning.encrypted_content"],"#,
            r#""instructions":"Be \"brief\".","tools":[{"type":"function","name":"read","description":"Reads.","#,
            r#""parameters":{"type":"object"},"strict":false}],"parallel_tool_calls":true,"#,
            r#""input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"héllo"}]}],"#,
            r#""max_output_tokens":99,"reasoning":{"effort":"low","summary":"auto"}}"#
        )
    );
    let bare = Epoch { system: String::new(), tools: Vec::new(), ..epoch("acme/m-1") };
    assert_eq!(
        text(&Body::new(&bare, Ask::Nothing, false), &SampleSpec::default()),
        r#"{"model":"m-1","stream":true,"store":false,"include":["reasoning.encrypted_content"],"input":[]}"#
    );
}

#[test]
fn only_models_that_think_are_asked_for_thoughts() {
    let tail = |model: &str, effort| {
        let body = Body::new(&epoch(model), Ask::Nothing, false).request(&SampleSpec {
            effort,
            max_output: None,
            ..SampleSpec::default()
        })?;
        let body: Value = serde_json::from_slice(&body).unwrap();
        Ok((body["reasoning"].clone(), body.get("include").is_some()))
    };
    let summary = json!({"summary": "auto"});
    let high = json!({"effort": "high", "summary": "auto"});
    let refused =
        |model: &str| Err(format!("`{model}` does not think, so it takes no `effort`: leave it out"));
    for (model, unasked, asked) in [
        ("openai/gpt-5", Ok((summary.clone(), true)), Ok((high.clone(), true))),
        ("openai/o4-mini", Ok((summary.clone(), true)), Ok((high.clone(), true))),
        ("router/openai/gpt-oss-20b", Ok((summary, true)), Ok((high.clone(), true))),
        ("acme/m-1", Ok((Value::Null, true)), Ok((high, true))),
        ("openai/gpt-4.1", Ok((Value::Null, false)), refused("gpt-4.1")),
        ("openai/gpt-5-chat-latest", Ok((Value::Null, false)), refused("gpt-5-chat-latest")),
    ] {
        assert_eq!(tail(model, None), unasked, "{model}");
        assert_eq!(tail(model, Some(Effort::High)), asked, "{model}");
    }
}

#[test]
fn calls_go_back_as_received_and_results_follow_in_order() {
    let pushed = [
        message(
            Role::Assistant,
            [ContentPart::text("Let me see."), call("a", "{ \"path\": 1 }"), call("b", "")],
        ),
        message(
            Role::User,
            [result("a", "fine", false), ContentPart::text("and hurry"), result("b", "no such file", true)],
        ),
    ];
    let said = json!([{"type": "output_text", "text": "Let me see.", "annotations": []}]);
    assert_eq!(
        input(&pushed, &BlobStore::new("/nowhere")),
        json!([
            {"type": "message", "role": "assistant", "status": "completed", "content": said},
            {"type": "function_call", "call_id": "a", "name": "read", "arguments": "{ \"path\": 1 }"},
            {"type": "function_call", "call_id": "b", "name": "read", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "a", "output": "fine"},
            {"type": "function_call_output", "call_id": "b", "output": "error: no such file"},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "and hurry"}]},
        ])
    );
}

#[test]
fn thoughts_go_back_in_place_and_whole_or_not_at_all() {
    const ITEM: &str = r#"{ "type":"reasoning", "id":"rs_1","summary":[],"encrypted_content":"x/+=" }"#;
    let sent = |parts: Vec<ContentPart>| {
        let mut body = Body::new(&epoch("acme/m-1"), Ask::Nothing, false);
        body.push(&message(Role::Assistant, parts), &BlobStore::new("/nowhere")).unwrap();
        let text = text(&body, &SampleSpec::default());
        text.split_once("\"input\":[").unwrap().1.strip_suffix("]}").unwrap().to_owned()
    };
    let called = r#"{"type":"function_call","call_id":"a","name":"read","arguments":"{}"}"#;
    let own = || sealed(ITEM, "acme/m-1");
    assert_eq!(sent(vec![own(), call("a", "{}")]), format!("{ITEM},{called}"));
    for parts in [
        vec![sealed(ITEM, "acme/m-2"), call("a", "{}")],
        vec![own(), ContentPart::reasoning("cut"), call("a", "{}")],
        vec![own(), sealed("c2VhbGVk", "acme/m-1"), call("a", "{}")],
        vec![call("a", "{}"), own()],
    ] {
        assert_eq!(sent(parts.clone()), called, "{parts:?}");
    }
}

#[test]
fn sights_stand_with_the_result_that_they_belong_to() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = BlobStore::new(folder.path());
    let blob = blobs.put(b"png").unwrap();
    let sight = |media_type: &str| ContentPart::Image { media_type: media_type.into(), blob: blob.clone() };
    let image = json!({"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,cG5n"});
    let file = json!({
        "type": "input_file", "filename": "document.pdf", "file_data": "data:application/pdf;base64,cG5n",
    });
    let pushed = message(
        Role::User,
        [
            result("a", "looked", false),
            sight("image/png"),
            result("b", "", false),
            sight(PDF),
            ContentPart::text("so?"),
            sight("image/png"),
        ],
    );
    assert_eq!(
        input(&[pushed], &blobs),
        json!([
            {"type": "function_call_output", "call_id": "a",
                "output": [{"type": "input_text", "text": "looked"}, image]},
            {"type": "function_call_output", "call_id": "b", "output": [file]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "so?"}, image]},
        ])
    );
}
