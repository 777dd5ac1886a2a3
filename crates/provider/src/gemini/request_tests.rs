use codetether_event::{BlobId, ToolName};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn epoch(model: &str) -> Epoch {
    Epoch {
        model: ModelId::new(model),
        system: "Be \"brief\".".into(),
        tools: Vec::new(),
        format: codetether_event::ResponseFormat::Text,
        way: codetether_event::Way::Native,
    }
}

fn call(id: &str, arguments: &str) -> ContentPart {
    let name = ToolName::new("read");
    ContentPart::ToolCall(ToolCall { id: id.into(), name, arguments: arguments.into(), wrapped: None })
}

fn result(call: &str, text: &str) -> ContentPart {
    ContentPart::ToolResult(ToolResult { call: call.into(), text: text.into(), error: false })
}

fn thought(signature: Option<&str>, sealed: Option<&str>, model: &str) -> ContentPart {
    ContentPart::Reasoning {
        text: if sealed.is_some() { "" } else { "hm" }.into(),
        signature: signature.map(str::to_owned),
        sealed: sealed.map(str::to_owned),
        model: Some(ModelId::new(model)),
    }
}

fn said(role: Role, parts: impl IntoIterator<Item = ContentPart>) -> Message {
    Message { role, parts: parts.into_iter().collect() }
}

fn store() -> BlobStore {
    BlobStore::new("/nowhere")
}

fn contents(model: &str, pushed: &[Message]) -> Value {
    let mut body = Body::new(&epoch(model), Ask::Nothing);
    for message in pushed {
        body.push(message, &store()).unwrap();
    }
    let bytes = body.request(&SampleSpec::default()).unwrap();
    serde_json::from_slice::<Value>(&bytes).unwrap()["contents"].take()
}

#[test]
fn a_request_is_written_once_in_a_fixed_order() {
    let mut body = Body::new(&epoch("google/m-1"), Ask::Nothing);
    body.push(&Message::user("héllo"), &store()).unwrap();
    body.push(&said(Role::Assistant, [call("call_7", "{ \"a\": 1 }")]), &store()).unwrap();
    body.push(&said(Role::User, [ContentPart::text("and"), result("call_7", "ok")]), &store()).unwrap();
    let spec = SampleSpec { effort: None, max_output: Some(9), ..SampleSpec::default() };
    assert_eq!(
        String::from_utf8(body.request(&spec).unwrap()).unwrap(),
        concat!(
            r#"{"systemInstruction":{"parts":[{"text":"Be \"brief\"."}]},"contents":["#,
            r#"{"role":"user","parts":[{"text":"héllo"}]},"#,
            r#"{"role":"model","parts":[{"functionCall":{"name":"read","args":{ "a": 1 }}}]},"#,
            r#"{"role":"user","parts":[{"functionResponse":{"name":"read","response":{"output":"ok"}}},"#,
            r#"{"text":"and"}]}],"generationConfig":{"maxOutputTokens":9}}"#
        )
    );
}

#[test]
fn signatures_go_back_whole_or_not_at_all_and_only_to_their_model() {
    let signed = |model: &str| {
        let parts = [
            ContentPart::reasoning("summary"),
            thought(Some("s0"), None, model),
            thought(None, Some("s1"), model),
            ContentPart::text(""),
            call("a", "{}"),
        ];
        said(Role::Assistant, parts)
    };
    let parts = |model, message: Message| contents(model, &[message])[0]["parts"].clone();
    let called = || json!({"id": "a", "name": "read", "args": {}});
    assert_eq!(
        parts("google/m", signed("google/m")),
        json!([
            {"text": "hm", "thought": true, "thoughtSignature": "s0"},
            {"text": "", "thoughtSignature": "s1"},
            {"functionCall": called()},
        ])
    );
    assert_eq!(parts("google/m", signed("google/n")), json!([{"functionCall": called()}]));
    // Which later models refuse to go on from, unless they are told.
    assert_eq!(
        parts("google/gemini-3-pro", signed("google/gemini-2.5-pro")),
        json!([{"functionCall": called(), "thoughtSignature": "skip_thought_signature_validator"}])
    );
}

#[test]
fn a_result_without_its_call_is_a_text() {
    assert_eq!(
        contents("google/m", &[said(Role::User, [result("lost", "fine")])]),
        json!([{"role": "user", "parts": [{"text": "fine"}]}])
    );
}

#[test]
fn images_and_documents_are_sent_whole_where_the_model_looks_for_them() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = BlobStore::new(dir.path());
    let (png, pdf) = (blobs.put(b"\x89PNG").unwrap(), blobs.put(b"%PDF-1").unwrap());
    let seen = |media_type: &str, blob: &BlobId| ContentPart::Image {
        media_type: media_type.into(),
        blob: blob.clone(),
    };
    let lost = seen("image/png", &BlobId::new("0".repeat(64)));
    let image = json!({"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}});
    let document = json!({"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0x"}});
    for (model, inside) in [("google/gemini-2.5-pro", false), ("google/gemini-3-pro", true)] {
        let mut body = Body::new(&epoch(model), Ask::Nothing);
        body.push(&said(Role::Assistant, [call("a", "{}")]), &blobs).unwrap();
        let before = body.bytes.clone();
        assert!(body.push(&said(Role::User, [ContentPart::text("x"), lost.clone()]), &blobs).is_err());
        assert_eq!((&body.bytes, body.sights), (&before, 0), "nothing is left behind");
        let parts = [
            result("a", "a picture"),
            seen("image/png", &png),
            ContentPart::text("see?"),
            seen("application/pdf", &pdf),
        ];
        body.push(&said(Role::User, parts), &blobs).unwrap();
        let bytes = body.request(&SampleSpec::default()).unwrap();
        let sent: Value = serde_json::from_slice(&bytes).unwrap();
        let mut response = json!({"id": "a", "name": "read", "response": {"output": "a picture"}});
        let wanted = if inside {
            response["parts"] = json!([image]);
            json!([{"functionResponse": response}, {"text": "see?"}, document])
        } else {
            json!([{"functionResponse": response}, image, {"text": "see?"}, document])
        };
        assert_eq!(sent["contents"][1]["parts"], wanted);
        assert_eq!(body.size().sights, 2);
        assert!(body.size().bytes < 4 * 1_024, "{:?}", body.size());
    }
}

fn any_part() -> impl Strategy<Value = ContentPart> {
    let text = || any::<String>();
    prop_oneof![
        text().prop_map(ContentPart::text),
        text().prop_map(ContentPart::reasoning),
        text().prop_map(|seal| thought(None, Some(&seal), "google/m")),
        text().prop_map(|signature| thought(Some(&signature), None, "google/m")),
        (text(), text()).prop_map(|(id, arguments)| call(&id, &arguments)),
        (text(), text()).prop_map(|(id, text)| result(&id, &text)),
    ]
}

proptest! {
    #[test]
    fn each_request_begins_with_the_one_before_whatever_is_said(
        messages in prop::collection::vec((any::<bool>(), prop::collection::vec(any_part(), 0..4)), 1..8),
    ) {
        let mut body = Body::new(&epoch("google/m"), Ask::Nothing);
        let mut last = body.bytes.clone();
        for (from_user, parts) in messages {
            let role = if from_user { Role::User } else { Role::Assistant };
            body.push(&said(role, parts), &store()).unwrap();
            prop_assert!(body.bytes.starts_with(&last));
            last = body.bytes.clone();
            let request: Value = serde_json::from_slice(&body.request(&SampleSpec::default()).unwrap()).unwrap();
            let contents = request["contents"].as_array().unwrap();
            prop_assert!(contents.windows(2).all(|pair| pair[0]["role"] != pair[1]["role"]), "{:?}", contents);
        }
    }
}
