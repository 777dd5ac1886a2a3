//! The OpenAI wire against a scripted server on loopback: whole answers, broken ones, waits and connections.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use codetether_event::{
    ContentPart, Message, ModelId, Piece, ProviderFailure, ProviderFailureKind as Kind, Role, StopReason,
    ToolCall, ToolName, ToolResult, Usage,
};
use codetether_files::BlobStore;
use codetether_provider::{
    Cancel, Dialogue, Endpoint, Epoch, OpenAiChat, Provider, SampleError, SampleSpec, Sampled, ToolCalls,
    ToolDeclaration,
};
use codetether_secret::Secret;
use codetether_testkit::{Reply, Server};
use serde_json::json;

const PATIENT: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(60);

fn endpoint(base_url: &str) -> Endpoint {
    Endpoint {
        name: "acme".into(),
        base_url: base_url.into(),
        key: Some(Secret::from("sk-123456789".to_owned())),
        headers: vec![("x-team".into(), "blue".into())],
        tool_calls: ToolCalls::Native,
        idle_timeout: PATIENT,
        total_timeout: PATIENT,
    }
}

fn epoch() -> Epoch {
    let schema = json!({
        "type": "object",
        "properties": {"path": {"type": "string"}},
        "required": ["path"],
        "additionalProperties": false,
    });
    let tool = ToolDeclaration { name: ToolName::new("read"), description: "Reads a file.".into(), schema };
    Epoch { model: ModelId::new("acme/m-1"), system: "Be brief.".into(), tools: vec![tool] }
}

fn dialogue(endpoint: Endpoint) -> Box<dyn Dialogue> {
    let client = codetether_net::client(&endpoint.base_url).unwrap();
    let mut dialogue = OpenAiChat::new(endpoint, client).dialogue(&epoch());
    push(&mut *dialogue, &Message::user("go"));
    dialogue
}

fn push(dialogue: &mut dyn Dialogue, message: &Message) {
    dialogue.push(message, &BlobStore::new("/nowhere")).unwrap();
}

async fn ask(dialogue: &mut dyn Dialogue) -> (Result<Sampled, SampleError>, Vec<Piece>) {
    let mut pieces = Vec::new();
    let answer =
        dialogue.sample(&SampleSpec::default(), &mut |piece| pieces.push(piece), &Cancel::new()).await;
    (answer, pieces)
}

async fn ask_once(endpoint: Endpoint) -> Result<Sampled, SampleError> {
    ask(&mut *dialogue(endpoint)).await.0
}

async fn failure(endpoint: Endpoint) -> ProviderFailure {
    match ask_once(endpoint).await {
        Err(SampleError::Failed { failure, .. }) => failure,
        other => panic!("{other:?}"),
    }
}

fn assistant(parts: impl IntoIterator<Item = ContentPart>) -> Message {
    Message { role: Role::Assistant, parts: parts.into_iter().collect() }
}

fn call(id: &str, arguments: &str) -> ContentPart {
    let name = ToolName::new("read");
    ContentPart::ToolCall(ToolCall { id: id.into(), name, arguments: arguments.into() })
}

/// A reply with everything in it, and the answer that it is.
fn rich() -> (Reply, Message) {
    let arguments = r#"{"path":"süß/𝄞.txt"}"#;
    let reply =
        Reply::reasoning("so so").and_text("Grüße 日本!").and_call("read", arguments).and_call("read", "{}");
    let parts = [
        ContentPart::Reasoning { text: "so so".into(), signature: None },
        ContentPart::text("Grüße 日本!"),
        call("call_0_0", arguments),
        call("call_0_1", "{}"),
    ];
    (reply, assistant(parts))
}

#[tokio::test]
async fn an_answer_comes_over_the_wire() {
    let (reply, message) = rich();
    let usage = json!({
        "prompt_tokens": 50, "completion_tokens": 20,
        "prompt_tokens_details": {"cached_tokens": 40}, "completion_tokens_details": {"reasoning_tokens": 4},
    });
    let server = Server::start([reply.usage(usage)]);
    let (answer, pieces) = ask(&mut *dialogue(endpoint(&server.base_url()))).await;
    let usage = Usage { input: 50, output: 20, cache_read: 40, reasoning: 4, ..Usage::default() };
    assert_eq!(answer, Ok(Sampled { message, stop: StopReason::ToolUse, usage }));
    let said: String = pieces.iter().map(Piece::text).collect();
    assert_eq!(said, "so soGrüße 日本!{\"path\":\"süß/𝄞.txt\"}{}");

    let request = &server.requests()[0];
    let header =
        |name: &str| request.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
    assert_eq!(request.path, "/v1/chat/completions");
    assert_eq!(header("authorization"), Some("Bearer sk-123456789"));
    assert_eq!(header("x-team"), Some("blue"));
    assert_eq!(server.json(0)["messages"][1], json!({"role": "user", "content": "go"}));
}

#[tokio::test]
async fn a_local_server_needs_no_key() {
    let server = Server::start([Reply::text("hi").no_usage()]);
    let answer = ask_once(Endpoint { key: None, ..endpoint(&server.base_url()) }).await.unwrap();
    assert!(server.requests()[0].headers.iter().all(|(name, _)| name != "authorization"));
    assert!(
        answer.usage.estimated && answer.usage.input > 20 && answer.usage.output == 1,
        "{:?}",
        answer.usage
    );
}

#[tokio::test]
async fn the_bytes_may_come_in_any_pieces() {
    for bytes in [1, 2, 3, 5, 64] {
        let (reply, message) = rich();
        let server = Server::start([reply.chunked_every(bytes)]);
        assert_eq!(ask_once(endpoint(&server.base_url())).await.unwrap().message, message, "{bytes}");
    }
}

#[tokio::test]
async fn a_connection_cut_at_any_byte_is_a_failure_or_the_whole_answer() {
    let next = AtomicUsize::new(0);
    let server = Server::with(move |_| rich().0.cut_after(next.fetch_add(1, Ordering::SeqCst)));
    let provider = {
        let endpoint = endpoint(&server.base_url());
        let client = codetether_net::client(&endpoint.base_url).unwrap();
        OpenAiChat::new(endpoint, client)
    };
    let parts = |message: &Message| {
        // The server's ids of calls count its requests.
        message
            .parts
            .iter()
            .cloned()
            .map(|part| match part {
                ContentPart::ToolCall(call) => ContentPart::ToolCall(ToolCall { id: String::new(), ..call }),
                part => part,
            })
            .collect::<Vec<_>>()
    };
    let (mut failures, mut answers) = (0, 0);
    while answers < 100 {
        let mut dialogue = provider.dialogue(&epoch());
        match ask(&mut *dialogue).await.0 {
            Err(SampleError::Failed { failure, usage }) => {
                assert_eq!(failure.kind, Kind::Connection, "{failure:?}");
                assert!(usage.estimated || usage == Usage::default(), "{usage:?}");
                assert_eq!(answers, 0, "cut later, and a failure again");
                failures += 1;
            }
            Err(other) => panic!("{other:?}"),
            Ok(answer) => {
                assert_eq!(parts(&answer.message), parts(&rich().1));
                answers += 1;
            }
        }
    }
    assert!(failures > 1_000, "{failures}");
}

#[tokio::test]
async fn a_dialogue_uses_one_connection_and_its_requests_only_grow() {
    let refused =
        || Reply::status(429).header("retry-after", "2").body("{\"error\":{\"message\":\"slow down\"}}");
    let script = (0..20).flat_map(|_| [refused(), Reply::call("read", "{\"path\":\"a\"}")]);
    let server = Server::start(script);
    let mut dialogue = dialogue(endpoint(&server.base_url()));
    for _ in 0..20 {
        match ask(&mut *dialogue).await.0 {
            Err(SampleError::Failed { failure, usage }) => {
                assert_eq!((failure.kind, failure.status), (Kind::RateLimited, Some(429)));
                assert_eq!(failure.retry_after_ms, Some(2_000));
                assert_eq!(failure.message, "`acme` answered 429: slow down");
                assert_eq!(usage, Usage::default());
            }
            other => panic!("{other:?}"),
        }
        let answer = ask(&mut *dialogue).await.0.unwrap();
        let call = answer.message.calls().next().unwrap().id.clone();
        push(&mut *dialogue, &answer.message);
        let result = ContentPart::ToolResult(ToolResult { call, text: "line\n".repeat(50), error: false });
        push(&mut *dialogue, &Message { role: Role::User, parts: vec![result] });
    }
    let requests = server.requests();
    assert_eq!(requests.len(), 40);
    assert!(requests.iter().all(|request| request.connection == 0));
    for pair in requests.windows(2) {
        assert!(pair[1].body.starts_with(pair[0].body.strip_suffix(b"]}").unwrap()));
    }
}

#[tokio::test]
async fn an_answer_is_not_held_back_by_the_end_of_its_body_and_the_connection_is_used_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let (answered, wait) = mpsc::channel::<()>();
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        for _ in 0..3 {
            take_request(&mut reader);
            let event = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
            let head =
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
            let answer = format!("{head}{:x}\r\n{event}\r\n", event.len());
            reader.get_mut().write_all(answer.as_bytes()).unwrap();
            // The end comes only once the answer has been heard.
            wait.recv().unwrap();
            reader.get_mut().write_all(b"0\r\n\r\n").unwrap();
        }
    });
    let mut dialogue = dialogue(endpoint(&url));
    for _ in 0..3 {
        assert_eq!(ask(&mut *dialogue).await.0.unwrap().message.text(), "hi");
        answered.send(()).unwrap();
    }
    server.join().unwrap();
}

fn take_request(reader: &mut BufReader<TcpStream>) {
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
}

#[tokio::test]
async fn a_body_without_an_end_costs_the_connection_and_nothing_else() {
    let done = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let server = Server::start([Reply::raw_sse(done).stall_after(done.len()), Reply::text("again")]);
    let mut dialogue = dialogue(endpoint(&server.base_url()));
    assert_eq!(ask(&mut *dialogue).await.0.unwrap().message.text(), "hi");
    assert_eq!(ask(&mut *dialogue).await.0.unwrap().message.text(), "again");
    assert_eq!(server.requests()[1].connection, 1);
}

#[tokio::test]
async fn a_refusal_is_a_failure_of_its_class_in_the_servers_words() {
    for (status, body, kind, message) in [
        (
            400,
            r#"{"error":{"message":"too much","code":"context_length_exceeded"}}"#,
            Kind::ContextTooLong,
            "too much",
        ),
        (401, r#"{"error":{"message":"bad key sk-123456789"}}"#, Kind::Auth, "bad key [redacted]"),
        (
            404,
            r#"{"error":{"message":"unknown model"}}"#,
            Kind::BadRequest,
            "is `m-1` the model's name there",
        ),
        (500, "oops", Kind::Server, "`acme` answered 500: oops"),
        (529, "", Kind::Server, "`acme` answered 529"),
    ] {
        let server = Server::start([Reply::status(status).body(body)]);
        let failure = failure(endpoint(&server.base_url())).await;
        assert_eq!((failure.kind, failure.status), (kind, Some(status)));
        assert!(failure.message.contains(message), "{}", failure.message);
    }
}

#[tokio::test]
async fn what_is_no_chat_completion_is_told_apart() {
    let page = || Reply::status(200).header("content-type", "text/html").body("<html>Sign in</html>");
    let server = Server::start([page(), Reply::raw_sse("data: hello\n\n")]);
    let text = failure(endpoint(&server.base_url())).await;
    assert_eq!(text.kind, Kind::Protocol);
    assert!(text.message.contains("a web page (is `base_url` right?)"), "{}", text.message);
    let text = failure(endpoint(&server.base_url())).await;
    assert_eq!(text.kind, Kind::Protocol);
    assert!(text.message.contains("in `hello`"), "{}", text.message);
}

#[tokio::test]
async fn an_answer_in_one_object_is_an_answer() {
    let object = json!({"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]});
    let server = Server::start([Reply::status(200).body(object.to_string())]);
    let answer = ask_once(endpoint(&server.base_url())).await.unwrap();
    assert_eq!(answer.message, assistant([ContentPart::text("hi")]));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let failure = failure(endpoint(&format!("http://{address}/v1"))).await;
    assert_eq!(failure.kind, Kind::Connection);
    assert_eq!(failure.message, format!("nothing listens at `{address}` for `acme`: is the server running?"));
}

#[tokio::test]
async fn a_server_that_hangs_up_is_a_broken_connection() {
    let server = Server::start([Reply::hang_up()]);
    let failure = failure(endpoint(&server.base_url())).await;
    assert_eq!(failure.kind, Kind::Connection);
    assert!(failure.message.starts_with("the connection to `acme` at `127.0.0.1:"), "{}", failure.message);
}

#[tokio::test]
async fn silence_is_a_failure_wherever_it_falls() {
    for reply in
        [Reply::stall(), Reply::text("one two").stall_after(0), Reply::text("one two").stall_after(300)]
    {
        let server = Server::start([reply]);
        let failure = failure(Endpoint { idle_timeout: SHORT, ..endpoint(&server.base_url()) }).await;
        assert_eq!(failure.kind, Kind::Timeout);
        assert_eq!(failure.message, "`acme` sent nothing for 0.06 s (`idle_timeout`)");
    }
}

#[tokio::test]
async fn silence_after_the_reason_to_finish_is_the_end() {
    let text = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\n";
    let server = Server::start([Reply::raw_sse(text).stall_after(text.len())]);
    let answer = ask_once(Endpoint { idle_timeout: Duration::from_secs(2), ..endpoint(&server.base_url()) })
        .await
        .unwrap();
    assert_eq!(answer.message.text(), "hi");
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_a_failure_and_what_came_is_counted() {
    let server = Server::start([Reply::deltas(40, "four").stall_after(4_000)]);
    let mut dialogue =
        dialogue(Endpoint { total_timeout: Duration::from_secs(3), ..endpoint(&server.base_url()) });
    let (answer, pieces) = ask(&mut *dialogue).await;
    let Err(SampleError::Failed { failure, usage }) = answer else { panic!("{answer:?}") };
    assert_eq!(failure.kind, Kind::Timeout);
    assert_eq!(failure.message, "`acme` did not finish within 3 s (`total_timeout`)");
    let said: usize = pieces.iter().map(|piece| piece.text().len()).sum();
    assert!(said > 0 && usage.estimated && usage.output == said as u64 / 4, "{said} {usage:?}");
}

#[tokio::test]
async fn a_cancelled_sample_keeps_the_text_that_came() {
    let server = Server::start([Reply::text("one two").stall_after(400)]);
    let mut dialogue = dialogue(endpoint(&server.base_url()));
    let cancel = Cancel::new();
    let mut said = String::new();
    let mut out = |piece: Piece| {
        said.push_str(piece.text());
        cancel.cancel();
    };
    let answer = dialogue.sample(&SampleSpec::default(), &mut out, &cancel).await;
    let Err(SampleError::Interrupted { partial, usage }) = answer else { panic!("{answer:?}") };
    assert_eq!(partial, Some(assistant([ContentPart::text("one ")])));
    assert_eq!(said, "one ");
    assert!(usage.estimated && usage.input > 0 && usage.output == 1, "{usage:?}");
}

#[tokio::test]
async fn a_sample_cancelled_before_anything_came_has_no_text() {
    let server = Server::start([Reply::stall()]);
    let mut dialogue = dialogue(endpoint(&server.base_url()));
    let cancel = Cancel::new();
    let canceller = cancel.clone();
    let (spec, mut out) = (SampleSpec::default(), |_| ());
    let (answer, server) = tokio::join!(dialogue.sample(&spec, &mut out, &cancel), async {
        let arrived = tokio::task::spawn_blocking(move || {
            server.wait_for(1);
            server
        });
        let server = arrived.await.unwrap();
        canceller.cancel();
        server
    });
    assert!(matches!(answer, Err(SampleError::Interrupted { partial: None, .. })), "{answer:?}");
    let answer = dialogue.sample(&spec, &mut out, &cancel).await;
    assert_eq!(answer, Err(SampleError::Interrupted { partial: None, usage: Usage::default() }));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn where_the_answer_is_the_call_the_server_sees_no_tools() {
    let step = r#"{"tool":"read","arguments":{"path": "a"}}"#;
    let done = r#"{"tool":"done","arguments":{"message":"fertig"}}"#;
    let server = Server::start([Reply::text(step), Reply::text(done)]);
    let mut dialogue = dialogue(Endpoint { tool_calls: ToolCalls::Schema, ..endpoint(&server.base_url()) });
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
async fn many_deltas_are_joined_into_few_pieces() {
    let server = Server::start([Reply::deltas(20_000, "word ")]);
    let (answer, pieces) = ask(&mut *dialogue(endpoint(&server.base_url()))).await;
    assert_eq!(answer.unwrap().message.text().len(), 100_000);
    assert!(pieces.len() < 2_000, "{} pieces", pieces.len());
    assert_eq!(pieces.iter().map(|piece| piece.text().len()).sum::<usize>(), 100_000);
}
