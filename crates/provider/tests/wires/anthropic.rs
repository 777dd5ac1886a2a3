//! What is Anthropic's own: thoughts given back, the cache's marks, errors inside the stream, headers.

use codetether_event::{
    ContentPart, Effort, Message, ModelId, ProviderFailureKind as Kind, Role, StopReason, ToolResult, Usage,
};
use codetether_provider::{Anthropic, Cancel, Endpoint, Epoch, Provider, SampleError, SampleSpec};
use codetether_testkit::{Reply, Server};
use serde_json::json;

use crate::asking::{ANTHROPIC, ask, assistant, call, client, endpoint, epoch, push};

fn result(call: &str, text: &str) -> Message {
    let result = ToolResult { call: call.into(), text: text.into(), error: false };
    Message { role: Role::User, parts: vec![ContentPart::ToolResult(result)] }
}

#[tokio::test]
async fn thoughts_are_given_back_with_the_calls_that_they_led_to() {
    let server = Server::start([
        Reply::reasoning("so so").and_sealed("xyz").and_call("read", r#"{"path":"a"}"#),
        Reply::text("done"),
    ]);
    let mut dialogue = ANTHROPIC.dialogue(&endpoint(&server));
    let answer = ask(&mut *dialogue).await.0.unwrap();
    let sealed = ContentPart::Reasoning {
        text: String::new(),
        signature: None,
        sealed: Some("xyz".into()),
        model: Some(epoch().model),
    };
    let parts = [ANTHROPIC.reasoning("so so", 0), sealed, call("call_0_0", r#"{"path":"a"}"#)];
    assert_eq!((&answer.message, &answer.stop), (&assistant(parts), &StopReason::ToolUse));
    // As it is after a resume.
    let kept: Message = serde_json::from_str(&serde_json::to_string(&answer.message).unwrap()).unwrap();
    push(&mut *dialogue, &kept);
    push(&mut *dialogue, &result("call_0_0", "x = 1"));
    assert_eq!(ask(&mut *dialogue).await.0.unwrap().message, assistant([ContentPart::text("done")]));

    let marked = json!({"type": "ephemeral"});
    assert_eq!(
        server.json(1),
        json!({
            "model": "m-1",
            "stream": true,
            "tools": [{
                "name": "read",
                "description": "Reads a file.",
                "input_schema": epoch().tools[0].schema,
                "cache_control": marked,
            }],
            "system": [{"type": "text", "text": "Be brief.", "cache_control": marked}],
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "go", "cache_control": marked}]},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "so so", "signature": "sig_0_0"},
                    {"type": "redacted_thinking", "data": "xyz"},
                    {"type": "tool_use", "id": "call_0_0", "name": "read", "input": {"path": "a"}},
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "call_0_0", "content": "x = 1", "cache_control": marked},
                ]},
            ],
            "max_tokens": 16384,
        })
    );
}

#[tokio::test]
async fn the_version_goes_along_and_can_be_another() {
    let server = Server::start([Reply::text("hi"), Reply::text("hi")]);
    ANTHROPIC.ask_once(&endpoint(&server)).await.unwrap();
    let headers = vec![("anthropic-version".into(), "2026-10-21".into())];
    ANTHROPIC.ask_once(&Endpoint { headers, ..endpoint(&server) }).await.unwrap();
    let versions = server.requests();
    let versions: Vec<_> = versions.iter().map(|request| request.header("anthropic-version")).collect();
    assert_eq!(versions, [Some("2023-06-01"), Some("2026-10-21")]);
}

#[tokio::test]
async fn usage_is_all_of_the_prompt_and_what_the_cache_did() {
    let usage = json!({
        "input_tokens": 3, "cache_read_input_tokens": 900, "cache_creation_input_tokens": 97, "output_tokens": 20,
        "output_tokens_details": {"thinking_tokens": 15},
    });
    let server = Server::start([Reply::text("hi").usage(usage)]);
    let answer = ANTHROPIC.ask_once(&endpoint(&server)).await.unwrap();
    let usage =
        Usage { input: 1_000, output: 20, cache_read: 900, cache_write: 97, reasoning: 15, estimated: false };
    assert_eq!(answer.usage, usage);
}

#[tokio::test]
async fn an_error_in_the_middle_is_a_failure_of_its_class_and_what_was_spent_is_known() {
    for (kind, class, message) in [
        ("overloaded_error", Kind::Overloaded, "`acme` reported: no [request req_1]"),
        ("api_error", Kind::Server, "`acme` reported: no [request req_1]"),
        ("timeout_error", Kind::Server, "`acme` reported: no [request req_1]"),
        ("rate_limit_error", Kind::RateLimited, "`acme` reported: no [request req_1]"),
        ("authentication_error", Kind::Auth, "`acme` reported: no [request req_1]"),
        ("permission_error", Kind::Auth, "`acme` reported: no [request req_1]"),
        ("invalid_request_error", Kind::BadRequest, "`acme` reported: no [request req_1]"),
        ("not_found_error", Kind::BadRequest, "`acme` reported: no [request req_1]"),
        ("request_too_large", Kind::ContextTooLong, "`acme` reported: no [request req_1]"),
        ("billing_error", Kind::Quota, "`acme` reported: no [request req_1]"),
    ] {
        let error = json!({"type": "error", "error": {"type": kind, "message": "no"}, "request_id": "req_1"});
        let start =
            json!({"type": "message_start", "message": {"usage": {"input_tokens": 50, "output_tokens": 1}}});
        let server = Server::start([Reply::raw_sse(format!(
            "event: message_start\ndata: {start}\n\nevent: error\ndata: {error}\n\n"
        ))]);
        let answer = ANTHROPIC.ask_once(&endpoint(&server)).await;
        let Err(SampleError::Failed { failure, usage }) = answer else { panic!("{answer:?}") };
        assert_eq!((failure.kind, failure.message.as_str()), (class, message), "{kind}");
        assert_eq!(usage, Usage { input: 50, output: 1, estimated: true, ..Usage::default() });
    }
}

#[tokio::test]
async fn a_status_that_says_no_is_told_with_the_requests_id() {
    let body = |kind: &str, message: &str| {
        json!({"type": "error", "error": {"type": kind, "message": message}}).to_string()
    };
    for (status, body, kind) in [
        (
            400,
            body("invalid_request_error", "prompt is too long: 9 tokens > 8 maximum"),
            Kind::ContextTooLong,
        ),
        (
            400,
            body("invalid_request_error", "input length and `max_tokens` exceed context limit: 9 + 1 > 8"),
            Kind::ContextTooLong,
        ),
        (
            400,
            body("invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
            Kind::Quota,
        ),
        (400, body("invalid_request_error", "messages: roles must alternate"), Kind::BadRequest),
        (401, body("authentication_error", "invalid x-api-key"), Kind::Auth),
        (402, body("billing_error", "pay"), Kind::Quota),
        (403, body("permission_error", "no"), Kind::Auth),
        (404, body("not_found_error", "model: m-1"), Kind::BadRequest),
        (413, body("request_too_large", "too large"), Kind::ContextTooLong),
        (429, body("rate_limit_error", "slow down"), Kind::RateLimited),
        (500, body("api_error", "oops"), Kind::Server),
        (504, body("timeout_error", "slow"), Kind::Server),
        (529, body("overloaded_error", "Overloaded"), Kind::Overloaded),
    ] {
        let server = Server::start([Reply::status(status).header("request-id", "req_7").body(body)]);
        let failure = ANTHROPIC.failure(&endpoint(&server)).await;
        assert_eq!((failure.kind, failure.status), (kind, Some(status)), "{}", failure.message);
        assert!(failure.message.ends_with(" [request req_7]"), "{}", failure.message);
    }
}

#[tokio::test]
async fn effort_and_limit_go_along_or_are_refused_before_anything_is_sent() {
    let server = Server::start([Reply::text("hi"), Reply::text("hi")]);
    let provider = Anthropic::new(&endpoint(&server), client(&endpoint(&server)));
    let spec = SampleSpec { effort: Some(Effort::High), max_output: Some(30_000), ..SampleSpec::default() };
    let mut said = |_| ();
    for model in ["anthropic/claude-opus-5", "anthropic/claude-haiku-4-5", "anthropic/claude-3-haiku"] {
        let mut dialogue = provider.dialogue(&Epoch { model: ModelId::new(model), ..epoch() });
        push(&mut *dialogue, &Message::user("go"));
        let answer = dialogue.sample(&spec, &mut said, &Cancel::new()).await;
        match answer {
            Ok(answer) => assert_eq!(answer.message.text(), "hi"),
            Err(error) => assert_eq!(
                error.to_string(),
                "cannot ask `acme`: `claude-3-haiku` does not think, so it takes no `effort`: leave it out"
            ),
        }
    }
    assert_eq!(server.requests().len(), 2);
    let thinking = |number: usize| server.json(number)["thinking"].clone();
    assert_eq!(thinking(0), json!({"type": "adaptive", "display": "summarized"}));
    assert_eq!(server.json(0)["output_config"], json!({"effort": "high"}));
    assert_eq!(thinking(1), json!({"type": "enabled", "budget_tokens": 15_000}));
}

#[tokio::test]
async fn an_older_model_goes_on_from_a_text_that_broke_off() {
    let broken = || Reply::raw_sse(format!("{}data: {{", ANTHROPIC.begun));
    let rest = Reply::text(" there").and_call("read", "{}");
    let refused =
        || Reply::status(400).body(r#"{"error":{"type":"invalid_request_error","message":"no prefill"}}"#);
    let server = Server::start([broken(), rest, broken(), refused(), Reply::text("hi there")]);
    let provider = Anthropic::new(&endpoint(&server), client(&endpoint(&server)));
    let dialogue = || {
        let epoch = Epoch { model: ModelId::new("acme/claude-sonnet-4-5"), ..epoch() };
        let mut dialogue = provider.dialogue(&epoch);
        push(&mut *dialogue, &Message::user("go"));
        dialogue
    };
    let kind = |answer: Result<codetether_provider::Sampled, SampleError>| match answer {
        Err(SampleError::Failed { failure, .. }) => failure.kind,
        other => panic!("{other:?}"),
    };
    let mut resumed = dialogue();
    assert_eq!(kind(ask(&mut *resumed).await.0), Kind::Cut);
    let (answer, pieces) = ask(&mut *resumed).await;
    let message = answer.unwrap().message;
    assert_eq!(message, assistant([ContentPart::text("hi there"), call("call_1_0", "{}")]));
    assert_eq!(pieces.iter().map(codetether_event::Piece::text).collect::<String>(), "hi there{}");
    let said = json!({"role": "assistant", "content": [{"type": "text", "text": "hi"}]});
    let messages = |number: usize| server.json(number)["messages"].as_array().unwrap().clone();
    assert_eq!(messages(1).last(), Some(&said));
    assert_eq!(messages(1)[..1], messages(0)[..]);

    let mut refused = dialogue();
    assert_eq!(kind(ask(&mut *refused).await.0), Kind::Cut);
    assert_eq!(kind(ask(&mut *refused).await.0), Kind::Protocol, "it is asked again, from the start");
    assert_eq!(ask(&mut *refused).await.0.unwrap().message, assistant([ContentPart::text("hi there")]));
    assert_eq!((messages(3).last(), messages(4)), (Some(&said), messages(2)));
}

#[tokio::test]
async fn a_later_model_one_that_thinks_and_one_that_called_a_tool_begin_anew() {
    let text = || Reply::raw_sse(ANTHROPIC.begun);
    let called = concat!(
        "data: {\"type\":\"content_block_start\",\"index\":1,",
        "\"content_block\":{\"type\":\"tool_use\",\"id\":\"c\",\"name\":\"read\",\"input\":{}}}\n\n",
    );
    let high = SampleSpec { effort: Some(Effort::High), ..SampleSpec::default() };
    for (model, spec, broken) in [
        ("acme/claude-opus-4-6", SampleSpec::default(), text()),
        ("acme/m-1", SampleSpec::default(), text()),
        ("acme/claude-sonnet-4-5", high, text()),
        ("acme/claude-sonnet-4-5", SampleSpec::default(), Reply::raw_sse([ANTHROPIC.begun, called].concat())),
    ] {
        let server = Server::start([broken, Reply::text("anew")]);
        let provider = Anthropic::new(&endpoint(&server), client(&endpoint(&server)));
        let mut dialogue = provider.dialogue(&Epoch { model: ModelId::new(model), ..epoch() });
        push(&mut *dialogue, &Message::user("go"));
        assert!(dialogue.sample(&spec, &mut |_| (), &Cancel::new()).await.is_err());
        let answer = dialogue.sample(&spec, &mut |_| (), &Cancel::new()).await.unwrap();
        assert_eq!(answer.message.text(), "anew");
        assert_eq!(server.requests()[0].body, server.requests()[1].body, "{model}");
    }
}
