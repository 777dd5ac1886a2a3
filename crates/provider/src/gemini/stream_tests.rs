use codetether_event::{Message as Said, Role, ToolCall, ToolName};
use serde_json::{Value, json};

use super::*;
use crate::answer::{Answer, Whole};

fn model() -> ModelId {
    ModelId::new("google/m")
}

fn chunk(parts: Value) -> Value {
    json!({"candidates": [{"content": {"role": "model", "parts": parts}, "index": 0}]})
}

fn ended(reason: &str) -> Value {
    let usage = json!({"promptTokenCount": 9, "candidatesTokenCount": 7});
    json!({"candidates": [{"finishReason": reason}], "usageMetadata": usage})
}

fn read(events: &[Value]) -> Result<Whole, Fault> {
    let mut answer = Answer::new(State::new(model(), 4));
    for event in events {
        answer.feed(format!("data: {event}\r\n\r\n").as_bytes(), &mut |_| ())?;
    }
    answer.finish(&mut |_| ()).map_err(|(fault, _)| fault)
}

fn whole(parts: Vec<ContentPart>, stop: StopReason) -> Whole {
    let usage = Some(Usage { input: 9, output: 7, ..Usage::default() });
    Whole { message: Said { role: Role::Assistant, parts }, stop, usage }
}

fn call(id: &str, arguments: &str) -> ContentPart {
    let name = ToolName::new("read");
    ContentPart::ToolCall(ToolCall { id: id.into(), name, arguments: arguments.into(), wrapped: None })
}

fn thought(text: &str, signature: Option<&str>, sealed: Option<&str>) -> ContentPart {
    ContentPart::Reasoning {
        text: text.into(),
        signature: signature.map(str::to_owned),
        sealed: sealed.map(str::to_owned),
        model: Some(model()),
    }
}

#[test]
fn pieces_are_joined_but_never_with_a_part_that_is_signed() {
    let events = [
        chunk(json!([{"text": "hm ", "thought": true}, {"text": "ja", "thought": true}])),
        chunk(json!([{"text": "own", "thought": true, "thoughtSignature": "s0"}])),
        chunk(json!([{"text": "Grüße "}])),
        chunk(json!([{"text": "日本"}, {"executableCode": {"language": "PYTHON", "code": "1"}}])),
        chunk(json!([{"text": "signed", "thoughtSignature": "s1"}])),
        chunk(json!([{"text": "not"}])),
        chunk(json!([
            {"functionCall": {"name": "read", "args": {"path": "é"}}, "thoughtSignature": "s2"},
            {"functionCall": {"name": "read", "id": "x"}},
            {"functionCall": {"name": "read", "id": "x", "args": null}},
        ])),
        chunk(json!([{"text": "", "thoughtSignature": "s3"}])),
        ended("STOP"),
    ];
    let parts = vec![
        ContentPart::reasoning("hm ja"),
        thought("own", Some("s0"), None),
        ContentPart::text("Grüße 日本"),
        thought("", None, Some("s1")),
        ContentPart::text("signed"),
        ContentPart::text("not"),
        thought("", None, Some("s2")),
        call("call_4", r#"{"path":"é"}"#),
        call("x", "{}"),
        call("call_5", "{}"),
        thought("", None, Some("s3")),
        ContentPart::text(""),
    ];
    assert_eq!(read(&events), Ok(whole(parts, StopReason::ToolUse)));
}

#[test]
fn why_it_ended_is_told() {
    let said = |reason: &str| read(&[chunk(json!([{"text": "hi"}])), ended(reason)]).unwrap();
    let hi = || vec![ContentPart::text("hi")];
    assert_eq!(said("STOP"), whole(hi(), StopReason::EndTurn));
    assert_eq!(said("MAX_TOKENS"), whole(hi(), StopReason::MaxOutput));
    assert_eq!(said("LANGUAGE"), whole(hi(), StopReason::Other("LANGUAGE".into())));
    for reason in ["SAFETY", "RECITATION", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "IMAGE_SAFETY"] {
        let mut parts = hi();
        parts.push(ContentPart::text(format!("the answer was withheld: `{reason}`")));
        assert_eq!(said(reason), whole(parts, StopReason::Refused));
    }
    let words = json!({"candidates": [{"finishReason": "SAFETY", "finishMessage": "not for me"}]});
    let answer = read(&[words]).unwrap();
    assert_eq!((answer.message.text(), answer.stop), ("not for me".into(), StopReason::Refused));
    for reason in ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"] {
        let fault = Fault::Protocol(format!("the model's answer was `{reason}`"));
        assert_eq!(read(&[ended(reason)]), Err(fault));
    }
}

#[test]
fn a_reason_may_come_with_every_event() {
    let mut first = chunk(json!([{"text": "one "}]));
    first["candidates"][0]["finishReason"] = json!("STOP");
    let events = [first, chunk(json!([{"text": "two"}])), ended("STOP")];
    assert_eq!(read(&events), Ok(whole(vec![ContentPart::text("one two")], StopReason::EndTurn)));
}

#[test]
fn what_is_no_answer_is_a_fault() {
    assert_eq!(read(&[chunk(json!([{"text": "hi"}]))]), Err(Fault::Cut));
    let error = json!({"error": {"code": 500, "message": "oops"}});
    assert_eq!(read(std::slice::from_ref(&error)), Err(Fault::Reported(error.to_string())));
    let list = format!("[{error}]");
    let mut answer = Answer::new(State::new(model(), 0));
    answer.feed(list.as_bytes(), &mut |_| ()).unwrap();
    assert_eq!(answer.finish(&mut |_| ()), Err((Fault::Reported(error.to_string()), None)));
    let nothing = Fault::Protocol("there is no candidate in what it sent".into());
    let mut answer = Answer::new(State::new(model(), 0));
    answer.feed(b"{}", &mut |_| ()).unwrap();
    assert_eq!(answer.finish(&mut |_| ()), Err((nothing, None)));
}
