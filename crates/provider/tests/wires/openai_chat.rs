//! What is OpenAI's own: calls by answers that fit a schema, and the details of its usage.

use codetether_event::{ContentPart, Message, Piece, Role, StopReason, ToolResult, Usage};
use codetether_provider::{OpenAiChat, Provider, ToolCalls};
use codetether_testkit::{Reply, Server};
use serde_json::json;

use crate::asking::{OPENAI_CHAT, ask, assistant, call, client, endpoint, epoch, push};

#[tokio::test]
async fn where_the_answer_is_the_call_the_server_sees_no_tools() {
    let step = r#"{"tool":"read","arguments":{"path": "a"}}"#;
    let done = r#"{"tool":"done","arguments":{"message":"fertig"}}"#;
    let server = Server::start([Reply::text(step), Reply::text(done)]);
    let endpoint = endpoint(&server);
    let mut dialogue = OpenAiChat::new(&endpoint, ToolCalls::Schema, client(&endpoint)).dialogue(&epoch());
    push(&mut *dialogue, &Message::user("go"));
    let (answer, pieces) = ask(&mut *dialogue).await;
    let answer = answer.unwrap();
    assert_eq!(answer.message, assistant([call("call_0", r#"{"path": "a"}"#)]));
    assert_eq!(answer.stop, StopReason::ToolUse);
    assert!(pieces.iter().all(|piece| matches!(piece, Piece::Arguments(_))), "{pieces:?}");

    push(&mut *dialogue, &answer.message);
    let result = ToolResult { call: "call_0".into(), text: "x = 1".into(), error: false };
    push(&mut *dialogue, &Message { role: Role::User, parts: vec![ContentPart::ToolResult(result)] });
    let answer = ask(&mut *dialogue).await.0.unwrap();
    assert_eq!(answer.message, assistant([ContentPart::text("fertig")]));
    assert_eq!(answer.stop, StopReason::EndTurn);

    let body = server.json(1);
    assert_eq!((body.get("tools"), &body["response_format"]["type"]), (None, &json!("json_schema")));
    assert_eq!(body["messages"][2], json!({"role": "assistant", "content": step}));
    assert_eq!(body["messages"][3], json!({"role": "user", "content": "result of read:\nx = 1"}));
}

#[tokio::test]
async fn usage_comes_with_its_details() {
    let usage = json!({
        "prompt_tokens": 50, "completion_tokens": 20,
        "prompt_tokens_details": {"cached_tokens": 40}, "completion_tokens_details": {"reasoning_tokens": 4},
    });
    let server = Server::start([Reply::text("hi").usage(usage)]);
    let answer = OPENAI_CHAT.ask_once(&endpoint(&server)).await.unwrap();
    assert_eq!(
        answer.usage,
        Usage { input: 50, output: 20, cache_read: 40, reasoning: 4, ..Usage::default() }
    );
    assert_eq!(server.json(0)["messages"][1], json!({"role": "user", "content": "go"}));
}
