//! OpenRouter's dialect of Chat Completions, and other vendors' quirks, as their servers would see them.

use codetether_event::{ContentPart, Effort, Message, Piece, ProviderFailureKind};
use codetether_provider::{
    Cancel, Endpoint, OpenAiChat, Provider, SampleError, SampleSpec, Sampled, ToolCalls,
};
use codetether_testkit::{Reply, Server};
use serde_json::{Value, json};

use crate::asking::{assistant, call, client, endpoint, epoch, push};

fn provider(server: &Server, name: &str) -> OpenAiChat {
    let endpoint = Endpoint { name: name.into(), ..endpoint(server) };
    OpenAiChat::new(&endpoint, ToolCalls::Native, client(&endpoint))
}

async fn ask(
    dialogue: &mut dyn codetether_provider::Dialogue,
    effort: Option<Effort>,
) -> (Result<Sampled, SampleError>, Vec<Piece>) {
    let mut pieces = Vec::new();
    let spec = SampleSpec { effort, ..SampleSpec::default() };
    let answer = dialogue.sample(&spec, &mut |piece| pieces.push(piece), &Cancel::new()).await;
    (answer, pieces)
}

fn deltas(deltas: &[Value]) -> String {
    let mut text = ": OPENROUTER PROCESSING\n\n".to_owned();
    for delta in deltas {
        text.push_str(&format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": delta}]})));
        text.push_str(": OPENROUTER PROCESSING\n\n");
    }
    text
}

#[tokio::test]
async fn thoughts_come_back_as_they_were_told() {
    let said = deltas(&[
        json!({"reasoning": "Let ", "reasoning_details": [{"type": "reasoning.text", "text": "Let ", "format": "anthropic-claude-v1", "index": 0}]}),
        json!({"reasoning_details": [{"type": "reasoning.text", "text": "me see.", "index": 0}]}),
        json!({"reasoning_details": [{"type": "reasoning.text", "signature": "c2ln", "index": 0}]}),
        json!({"reasoning_details": [{"type": "reasoning.encrypted", "data": "eHl6", "id": "rs_1", "index": 1}]}),
        json!({"tool_calls": [{"index": 0, "id": "t1", "function": {"name": "read", "arguments": "{}"}}]}),
    ]);
    let end = concat!(
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"cost\":0.01}}\n\ndata: [DONE]\n\n",
    );
    let server = Server::start([Reply::raw_sse(said + end), Reply::text("done")]);
    let mut dialogue = provider(&server, "openrouter").dialogue(&epoch());
    push(&mut *dialogue, &Message::user("go"));
    let (answer, pieces) = ask(&mut *dialogue, Some(Effort::High)).await;
    let answer = answer.unwrap();
    let details = json!([
        {"type": "reasoning.text", "text": "Let me see.", "format": "anthropic-claude-v1", "index": 0, "signature": "c2ln"},
        {"type": "reasoning.encrypted", "data": "eHl6", "id": "rs_1", "index": 1},
    ]);
    let thought = ContentPart::Reasoning {
        text: "Let me see.".into(),
        signature: None,
        sealed: Some(details.to_string()),
        model: Some(epoch().model),
    };
    assert_eq!(answer.message, assistant([thought, call("t1", "{}")]));
    assert_eq!((answer.usage.input, answer.usage.output), (7, 3));
    let shown: String = pieces
        .iter()
        .filter_map(|piece| match piece {
            Piece::Reasoning(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(shown, "Let me see.");

    push(&mut *dialogue, &answer.message);
    ask(&mut *dialogue, None).await.0.unwrap();
    let first = server.json(0);
    assert_eq!((&first["usage"], first.get("stream_options")), (&json!({"include": true}), None));
    assert_eq!(first["reasoning"], json!({"effort": "high"}));
    assert_eq!(server.json(1)["messages"][2]["reasoning_details"], details);
    assert_eq!(server.requests()[0].header("x-title"), Some("CodeTether Agent"));
}

#[tokio::test]
async fn an_error_in_the_stream_says_whose_it_is() {
    let said = deltas(&[json!({"content": "hal"})]);
    let error = json!({
        "error": {"code": 429, "message": "Provider returned error",
            "metadata": {"provider_name": "Acme", "raw": "too many requests"}},
        "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
    });
    let server = Server::start([Reply::raw_sse(format!("{said}data: {error}\n\n"))]);
    let mut dialogue = provider(&server, "openrouter").dialogue(&epoch());
    push(&mut *dialogue, &Message::user("go"));
    let Err(SampleError::Failed { failure, .. }) = ask(&mut *dialogue, None).await.0 else { panic!() };
    assert_eq!(failure.kind, ProviderFailureKind::RateLimited);
    assert_eq!(failure.message, "`openrouter` reported: Provider returned error (`Acme`: too many requests)");
}

#[tokio::test]
async fn deepseek_gets_its_thoughts_back_and_azure_the_key_in_its_own_header() {
    let thought = Reply::reasoning("hm").and_call("read", "{}");
    let server = Server::start([thought.clone(), Reply::text("done"), thought, Reply::text("done")]);
    for (name, given, number) in [("deepseek", json!("hm"), 1), ("acme", Value::Null, 3)] {
        let mut dialogue = provider(&server, name).dialogue(&epoch());
        push(&mut *dialogue, &Message::user("go"));
        let answer = ask(&mut *dialogue, None).await.0.unwrap();
        push(&mut *dialogue, &answer.message);
        ask(&mut *dialogue, None).await.0.unwrap();
        assert_eq!(server.json(number)["messages"][2]["reasoning_content"], given, "{name}");
    }
    let server = Server::start([Reply::text("hi")]);
    let mut dialogue = provider(&server, "azure").dialogue(&epoch());
    push(&mut *dialogue, &Message::user("go"));
    ask(&mut *dialogue, None).await.0.unwrap();
    let request = &server.requests()[0];
    assert_eq!((request.header("api-key"), request.header("authorization")), (Some("sk-123456789"), None));
}
