//! What is Gemini's own: the model in the path, signatures given back, errors with details, prompts that are blocked.

use codetether_event::{
    ContentPart, Effort, Message, ModelId, ProviderFailureKind as Kind, Role, StopReason, ToolResult, Usage,
};
use codetether_provider::{Cancel, Epoch, Gemini, Provider, SampleError, SampleSpec};
use codetether_testkit::{Reply, Server};
use serde_json::json;

use crate::asking::{GEMINI, ask, assistant, call, client, endpoint, epoch, push};

fn sealed(data: &str) -> ContentPart {
    ContentPart::Reasoning {
        text: String::new(),
        signature: None,
        sealed: Some(data.into()),
        model: Some(epoch().model),
    }
}

#[tokio::test]
async fn signatures_are_given_back_on_the_very_parts() {
    let server = Server::start([
        Reply::reasoning("so so")
            .and_sealed("c2lnMQ==")
            .and_call("read", r#"{"path":"a"}"#)
            .and_call("read", r#"{"path":"b"}"#),
        Reply::text("done").and_sealed("c2lnMg=="),
        Reply::text("again"),
    ]);
    let mut dialogue = GEMINI.dialogue(&endpoint(&server));
    let answer = ask(&mut *dialogue).await.0.unwrap();
    let parts = [
        ContentPart::reasoning("so so"),
        sealed("c2lnMQ=="),
        call("call_0_0", r#"{"path":"a"}"#),
        call("call_0_1", r#"{"path":"b"}"#),
    ];
    assert_eq!((&answer.message, &answer.stop), (&assistant(parts), &StopReason::ToolUse));
    // As it is after a resume.
    let kept: Message = serde_json::from_str(&serde_json::to_string(&answer.message).unwrap()).unwrap();
    push(&mut *dialogue, &kept);
    let result = |call: &str, error| {
        ContentPart::ToolResult(ToolResult { call: call.into(), text: "x = 1".into(), error })
    };
    let results = vec![result("call_0_0", false), result("call_0_1", true)];
    push(&mut *dialogue, &Message { role: Role::User, parts: results });
    let answer = ask(&mut *dialogue).await.0.unwrap();
    let parts = [ContentPart::text("done"), sealed("c2lnMg=="), ContentPart::text("")];
    assert_eq!(answer.message, assistant(parts));
    push(&mut *dialogue, &answer.message);
    push(&mut *dialogue, &Message::user("more"));
    ask(&mut *dialogue).await.0.unwrap();

    assert_eq!(
        server.json(2),
        json!({
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "tools": [{"functionDeclarations": [{
                "name": "read",
                "description": "Reads a file.",
                "parametersJsonSchema": epoch().tools[0].schema,
            }]}],
            "contents": [
                {"role": "user", "parts": [{"text": "go"}]},
                {"role": "model", "parts": [
                    {
                        "functionCall": {"id": "call_0_0", "name": "read", "args": {"path": "a"}},
                        "thoughtSignature": "c2lnMQ==",
                    },
                    {"functionCall": {"id": "call_0_1", "name": "read", "args": {"path": "b"}}},
                ]},
                {"role": "user", "parts": [
                    {"functionResponse": {"id": "call_0_0", "name": "read", "response": {"output": "x = 1"}}},
                    {"functionResponse": {"id": "call_0_1", "name": "read", "response": {"error": "x = 1"}}},
                ]},
                {"role": "model", "parts": [
                    {"text": "done"}, {"text": "", "thoughtSignature": "c2lnMg=="},
                ]},
                {"role": "user", "parts": [{"text": "more"}]},
            ],
        })
    );
}

#[tokio::test]
async fn usage_is_all_of_the_prompt_and_thoughts_are_output() {
    let usage = json!({
        "promptTokenCount": 1_000, "cachedContentTokenCount": 900, "candidatesTokenCount": 5,
        "thoughtsTokenCount": 15,
    });
    let server = Server::start([Reply::text("hi").usage(usage)]);
    let answer = GEMINI.ask_once(&endpoint(&server)).await.unwrap();
    let usage = Usage { input: 1_000, output: 20, cache_read: 900, reasoning: 15, ..Usage::default() };
    assert_eq!(answer.usage, usage);
}

#[tokio::test]
async fn a_status_that_says_no_is_told_with_how_long_to_wait() {
    let body = |status: &str, message: &str, detail: serde_json::Value| {
        let error = json!({"code": 0, "status": status, "message": message, "details": [detail]});
        json!([{ "error": error }]).to_string()
    };
    let wait = json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"});
    let quota = |id: &str| json!({"violations": [{"quotaId": id}]});
    let per_day = quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier");
    let wrong_key = json!({"reason": "API_KEY_INVALID"});
    let long = "The input token count (9) exceeds the maximum number of tokens allowed (8).";
    for (status, body, kind, retry_after_ms) in [
        (429, body("RESOURCE_EXHAUSTED", "slow down", wait), Kind::RateLimited, Some(34_500)),
        (429, body("RESOURCE_EXHAUSTED", "quota", quota("RequestsPerMinute")), Kind::RateLimited, None),
        (429, body("RESOURCE_EXHAUSTED", "quota", per_day), Kind::Quota, None),
        (400, body("INVALID_ARGUMENT", "API key not valid.", wrong_key), Kind::Auth, None),
        (400, body("INVALID_ARGUMENT", long, json!({})), Kind::ContextTooLong, None),
        (400, body("INVALID_ARGUMENT", "contents are required", json!({})), Kind::BadRequest, None),
        (403, body("PERMISSION_DENIED", "no", json!({})), Kind::Auth, None),
        (404, body("NOT_FOUND", "no such model", json!({})), Kind::BadRequest, None),
        (503, body("UNAVAILABLE", "overloaded", json!({})), Kind::Overloaded, None),
    ] {
        let server = Server::start([Reply::status(status).body(body.as_str())]);
        let failure = GEMINI.failure(&endpoint(&server)).await;
        assert_eq!(
            (failure.kind, failure.status, failure.retry_after_ms),
            (kind, Some(status), retry_after_ms),
            "{body}"
        );
    }
}

#[tokio::test]
async fn an_error_in_the_middle_is_a_failure_of_its_class_and_what_was_spent_is_known() {
    let start = json!({
        "candidates": [{"content": {"parts": [{"text": "half"}]}}], "usageMetadata": {"promptTokenCount": 50},
    });
    let error = json!({"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}});
    let server = Server::start([Reply::raw_sse(format!("data: {start}\r\n\r\ndata: {error}\r\n\r\n"))]);
    let answer = GEMINI.ask_once(&endpoint(&server)).await;
    let Err(SampleError::Failed { failure, usage }) = answer else { panic!("{answer:?}") };
    assert_eq!((failure.kind, failure.status), (Kind::Overloaded, Some(503)));
    assert_eq!(failure.message, "`acme` reported: overloaded");
    assert_eq!(usage, Usage { input: 50, output: 1, estimated: true, ..Usage::default() });
}

#[tokio::test]
async fn a_prompt_that_is_blocked_is_refused() {
    let blocked = json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}});
    let server = Server::start([Reply::raw_sse(format!("data: {blocked}\r\n\r\n"))]);
    let answer = GEMINI.ask_once(&endpoint(&server)).await.unwrap();
    assert_eq!(answer.stop, StopReason::Refused);
    assert_eq!(answer.message.text(), "the prompt was blocked: `PROHIBITED_CONTENT`");
}

#[tokio::test]
async fn effort_and_limit_go_along_or_are_refused_before_anything_is_sent() {
    let server = Server::start([Reply::text("hi")]);
    let provider = Gemini::new(&endpoint(&server), client(&endpoint(&server)));
    let spec = SampleSpec { effort: Some(Effort::High), max_output: Some(30_000), ..SampleSpec::default() };
    for model in ["google/models/gemini-3-pro-preview", "google/gemini-2.0-flash"] {
        let mut dialogue = provider.dialogue(&Epoch { model: ModelId::new(model), ..epoch() });
        push(&mut *dialogue, &Message::user("go"));
        match dialogue.sample(&spec, &mut |_| (), &Cancel::new()).await {
            Ok(answer) => assert_eq!(answer.message.text(), "hi"),
            Err(error) => assert_eq!(
                error.to_string(),
                "cannot ask `acme`: `gemini-2.0-flash` does not think, so it takes no `effort`: leave it out"
            ),
        }
    }
    assert_eq!(server.requests().len(), 1);
    assert_eq!(server.requests()[0].path, "/v1/models/gemini-3-pro-preview:streamGenerateContent?alt=sse");
    assert_eq!(
        server.json(0)["generationConfig"],
        json!({
            "maxOutputTokens": 30_000,
            "thinkingConfig": {"includeThoughts": true, "thinkingLevel": "high"},
        })
    );
}
