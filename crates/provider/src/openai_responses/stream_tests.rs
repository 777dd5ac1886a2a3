use codetether_event::{Message, Role, ToolCall, ToolName};
use serde_json::{Value, json};

use super::*;
use crate::answer::{Answer, Whole};

fn model() -> ModelId {
    ModelId::new("acme/m-1")
}

fn call(id: &str, arguments: &str) -> ContentPart {
    let name = ToolName::new("read");
    ContentPart::ToolCall(ToolCall { id: id.into(), name, arguments: arguments.into(), wrapped: None })
}

fn sealed(text: &str, item: &Value) -> ContentPart {
    let (sealed, model) = (Some(item.to_string()), Some(model()));
    ContentPart::Reasoning { text: text.into(), signature: None, sealed, model }
}

fn read(text: &str) -> Result<Whole, Fault> {
    let mut answer = Answer::new(State::new(model(), 4));
    answer.feed(text.as_bytes(), &mut |_| ())?;
    let whole = answer.finish(&mut |_| ()).map_err(|(fault, _)| fault)?;
    // None of these streams reports it.
    assert!(whole.usage.is_none_or(|usage| usage.estimated));
    Ok(Whole { usage: None, ..whole })
}

fn stream(events: &[Value]) -> String {
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}

fn added(index: u64, item: Value) -> Value {
    json!({"type": "response.output_item.added", "output_index": index, "item": item})
}

fn done(index: u64, item: &Value) -> Value {
    json!({"type": "response.output_item.done", "output_index": index, "item": item})
}

fn delta(index: u64, kind: &str, text: &str) -> Value {
    json!({"type": format!("response.{kind}.delta"), "output_index": index, "delta": text})
}

fn ended(status: &str, reason: Value) -> Value {
    let response = json!({"status": status, "incomplete_details": reason});
    json!({"type": format!("response.{status}"), "response": response})
}

fn whole(parts: Vec<ContentPart>, stop: StopReason) -> Result<Whole, Fault> {
    Ok(Whole { message: Message { role: Role::Assistant, parts }, stop, usage: None })
}

#[test]
fn parallel_calls_grow_by_their_numbers_and_tools_of_the_server_are_passed_over() {
    let function =
        |id: &str| json!({"type": "function_call", "call_id": id, "name": "read", "arguments": ""});
    let search = json!({"type": "tool_search_call", "arguments": {"q": 1}, "content": "any"});
    let text = stream(&[
        json!({"type": "response.brand_new", "delta": {"x": 1}, "output_index": "?"}),
        added(0, search.clone()),
        delta(0, "output_text", "of the server"),
        done(0, &search),
        added(1, function("a")),
        added(2, function("b")),
        delta(2, "function_call_arguments", "{\"p\""),
        delta(1, "function_call_arguments", "{}"),
        delta(2, "function_call_arguments", ":\"é\"}"),
        done(3, &json!({"type": "function_call", "call_id": "b", "name": "read", "arguments": "{\"c\":1}"})),
        ended("completed", Value::Null),
    ]);
    let calls = vec![call("a", "{}"), call("b", "{\"p\":\"é\"}"), call("call_4", "{\"c\":1}")];
    assert_eq!(read(&text), whole(calls, StopReason::ToolUse));
}

#[test]
fn thoughts_are_kept_as_the_item_that_was_whole() {
    let begun = json!({"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "half"});
    let item = json!({"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "one"}],
        "encrypted_content": "whole"});
    let part =
        json!({"type": "response.reasoning_summary_part.added", "output_index": 0, "summary_index": 0});
    let events = |item: &Value| {
        stream(&[
            added(0, begun.clone()),
            part.clone(),
            delta(0, "reasoning_summary_text", "one"),
            part.clone(),
            delta(0, "reasoning_summary_text", "two"),
            done(0, item),
            delta(1, "output_text", "hi"),
            ended("completed", Value::Null),
        ])
    };
    let hi = || ContentPart::text("hi");
    assert_eq!(read(&events(&item)), whole(vec![sealed("one\n\ntwo", &item), hi()], StopReason::EndTurn));
    let cut = json!({"type": "reasoning", "status": "incomplete", "encrypted_content": "half"});
    let unsealed = vec![ContentPart::reasoning("one\n\ntwo"), hi()];
    assert_eq!(read(&events(&cut)), whole(unsealed, StopReason::EndTurn));
}

#[test]
fn an_answer_ends_as_the_server_says() {
    let said = added(0, json!({"type": "message"}));
    let text = |kind: &str, status: &str, reason: Value| {
        read(&stream(&[said.clone(), delta(0, kind, "hi"), ended(status, reason)]))
    };
    let hi = |stop| whole(vec![ContentPart::text("hi")], stop);
    assert_eq!(text("output_text", "completed", Value::Null), hi(StopReason::EndTurn));
    assert_eq!(text("refusal", "completed", Value::Null), hi(StopReason::Refused));
    for (reason, stop) in [
        (json!({"reason": "max_output_tokens"}), StopReason::MaxOutput),
        (json!({"reason": "content_filter"}), StopReason::Refused),
        (json!({"reason": "bored"}), StopReason::Other("bored".into())),
        (Value::Null, StopReason::Other("incomplete".into())),
    ] {
        assert_eq!(text("output_text", "incomplete", reason), hi(stop));
    }
    let failed = Err(Fault::Reported("\"the answer ended in an error\"".into()));
    assert_eq!(text("output_text", "failed", Value::Null), failed);
    assert_eq!(read(&stream(&[said, delta(0, "output_text", "hi")])), Err(Fault::Cut));
}

#[test]
fn one_object_in_place_of_a_stream_is_the_same_answer() {
    let thought = json!({"type": "reasoning", "summary": [{"text": "hm"}], "encrypted_content": "x"});
    let object = json!({
        "object": "response", "status": "completed", "error": null,
        "output": [
            thought,
            {"type": "web_search_call", "status": "completed"},
            {"type": "message", "content": [{"type": "output_text", "text": "hi"}]},
            {"type": "function_call", "call_id": "a", "name": "read", "arguments": "{}"},
        ],
    });
    let parts = vec![sealed("hm", &thought), ContentPart::text("hi"), call("a", "{}")];
    assert_eq!(read(&object.to_string()), whole(parts, StopReason::ToolUse));
    let refusal = json!({"output": [{"type": "message", "content": [{"type": "refusal", "refusal": "no"}]}]});
    assert_eq!(read(&refusal.to_string()), whole(vec![ContentPart::text("no")], StopReason::Refused));
    let failed =
        json!({"status": "failed", "error": {"code": "server_error", "message": "no"}, "output": []});
    let reported = Fault::Reported(r#"{"error":{"code":"server_error","message":"no"}}"#.into());
    assert_eq!(read(&failed.to_string()), Err(reported));
    assert!(matches!(read("{\"object\":\"list\"}"), Err(Fault::Protocol(_))));
}
