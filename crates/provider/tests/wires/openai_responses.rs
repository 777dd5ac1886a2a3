//! What is OpenAI's Responses' own: encrypted thoughts given back, errors inside the stream, the details of its usage.

use codetether_event::{
    ContentPart, Message, ProviderFailureKind as Kind, Role, StopReason, ToolResult, Usage,
};
use codetether_provider::SampleError;
use codetether_testkit::{Reply, Server};
use serde_json::json;

use crate::asking::{OPENAI_RESPONSES, ask, assistant, call, endpoint, epoch, push, thoughts};

#[tokio::test]
async fn thoughts_are_given_back_with_the_calls_that_they_led_to() {
    let server =
        Server::start([Reply::sealed("xyz").and_call("read", r#"{"path":"a"}"#), Reply::text("done")]);
    let mut dialogue = OPENAI_RESPONSES.dialogue(&endpoint(&server));
    let answer = ask(&mut *dialogue).await.0.unwrap();
    let parts = [thoughts("", 0, &json!([]), "xyz"), call("call_0_0", r#"{"path":"a"}"#)];
    assert_eq!((&answer.message, &answer.stop), (&assistant(parts), &StopReason::ToolUse));
    // As it is after a resume.
    let kept: Message = serde_json::from_str(&serde_json::to_string(&answer.message).unwrap()).unwrap();
    push(&mut *dialogue, &kept);
    let result = ToolResult { call: "call_0_0".into(), text: "x = 1".into(), error: false };
    push(&mut *dialogue, &Message { role: Role::User, parts: vec![ContentPart::ToolResult(result)] });
    assert_eq!(ask(&mut *dialogue).await.0.unwrap().message, assistant([ContentPart::text("done")]));
    assert_eq!(
        server.json(1),
        json!({
            "model": "m-1",
            "stream": true,
            "store": false,
            "include": ["reasoning.encrypted_content"],
            "instructions": "Be brief.",
            "tools": [{
                "type": "function",
                "name": "read",
                "description": "Reads a file.",
                "parameters": epoch().tools[0].schema,
                "strict": false,
            }],
            "parallel_tool_calls": true,
            "input": [
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "go"}]},
                {"type": "reasoning", "id": "rs_0_0", "summary": [], "encrypted_content": "xyz"},
                {"type": "function_call", "call_id": "call_0_0", "name": "read", "arguments": r#"{"path":"a"}"#},
                {"type": "function_call_output", "call_id": "call_0_0", "output": "x = 1"},
            ],
        })
    );
}

#[tokio::test]
async fn usage_comes_with_its_details() {
    let usage = json!({
        "input_tokens": 50, "input_tokens_details": {"cached_tokens": 40},
        "output_tokens": 20, "output_tokens_details": {"reasoning_tokens": 4}, "total_tokens": 70,
    });
    let server = Server::start([Reply::text("hi").usage(usage).finish("max_output_tokens")]);
    let answer = OPENAI_RESPONSES.ask_once(&endpoint(&server)).await.unwrap();
    let usage = Usage { input: 50, output: 20, cache_read: 40, reasoning: 4, ..Usage::default() };
    assert_eq!((answer.usage, answer.stop), (usage, StopReason::MaxOutput));
}

#[tokio::test]
async fn an_error_in_the_middle_is_a_failure_of_its_class_and_what_was_spent_is_known() {
    for (code, class) in [
        ("server_error", Kind::Server),
        ("rate_limit_exceeded", Kind::RateLimited),
        ("insufficient_quota", Kind::Quota),
        ("context_length_exceeded", Kind::ContextTooLong),
        ("invalid_prompt", Kind::BadRequest),
        ("invalid_image_format", Kind::BadRequest),
        ("bio_policy", Kind::Declined),
    ] {
        let failed = json!({"type": "response.failed", "response": {
            "status": "failed", "error": {"code": code, "message": "no"},
            "usage": {"input_tokens": 50, "output_tokens": 1},
        }});
        let flat = json!({"type": "error", "code": code, "message": "no", "param": null});
        let nested = json!({"type": "error", "error": {"type": "x", "code": code, "message": "no"}});
        let spent = Usage { input: 50, output: 1, ..Usage::default() };
        for (event, spent) in [(failed, spent), (flat, Usage::default()), (nested, Usage::default())] {
            let server = Server::start([Reply::raw_sse(format!("data: {event}\n\n"))]);
            let answer = OPENAI_RESPONSES.ask_once(&endpoint(&server)).await;
            let Err(SampleError::Failed { failure, usage }) = answer else { panic!("{answer:?}") };
            assert_eq!((failure.kind, failure.message.as_str()), (class, "`acme` reported: no"), "{event}");
            assert_eq!(usage, spent, "{event}");
        }
    }
}
