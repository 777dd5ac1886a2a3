//! What holds for every wire: whole answers, broken ones, waits and connections.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use codetether_event::{
    ContentPart, Message, Piece, ProviderFailureKind as Kind, Role, StopReason, ToolCall, ToolResult, Usage,
};
use codetether_provider::{Cancel, Endpoint, SampleError, SampleSpec, Sampled};
use codetether_testkit::{Reply, Server};
use futures_util::future::join_all;

use crate::asking::{SHORT, WIRES, Wire, ask, assistant, call, endpoint, endpoint_at, epoch, push};

/// A reply with everything in it, and the answer that it is.
fn rich(wire: &Wire) -> (Reply, Message) {
    let arguments = r#"{"path":"süß/𝄞.txt"}"#;
    let reply =
        Reply::reasoning("so so").and_text("Grüße 日本!").and_call("read", arguments).and_call("read", "{}");
    let parts = [
        wire.reasoning("so so", 0),
        ContentPart::text("Grüße 日本!"),
        call("call_0_0", arguments),
        call("call_0_1", "{}"),
    ];
    (reply, assistant(parts))
}

#[tokio::test]
async fn an_answer_comes_over_the_wire() {
    for wire in &WIRES {
        let (reply, message) = rich(wire);
        let server = Server::start([reply]);
        let (answer, pieces) = ask(&mut *wire.dialogue(&endpoint(&server))).await;
        let usage = Usage { input: 100, output: 10, ..Usage::default() };
        assert_eq!(answer, Ok(Sampled { message, structured: None, stop: StopReason::ToolUse, usage }));
        let said: String = pieces.iter().map(Piece::text).collect();
        assert_eq!(said, "so soGrüße 日本!{\"path\":\"süß/𝄞.txt\"}{}");

        let request = &server.requests()[0];
        assert_eq!(request.path, wire.path);
        assert_eq!(request.header(wire.key.0), Some(wire.key.1));
        assert_eq!(request.header("x-team"), Some("blue"));
    }
}

#[tokio::test]
async fn a_local_server_needs_no_key() {
    for wire in &WIRES {
        let server = Server::start([Reply::text("hi").no_usage()]);
        let answer = wire.ask_once(&Endpoint { key: None, ..endpoint(&server) }).await.unwrap();
        assert_eq!(server.requests()[0].header(wire.key.0), None);
        assert!(
            answer.usage.estimated && answer.usage.input > 20 && answer.usage.output == 1,
            "{:?}",
            answer.usage
        );
    }
}

#[tokio::test]
async fn the_bytes_may_come_in_any_pieces() {
    for wire in &WIRES {
        for bytes in [1, 2, 3, 5, 64] {
            let (reply, message) = rich(wire);
            let server = Server::start([reply.chunked_every(bytes)]);
            let answer = wire.ask_once(&endpoint(&server)).await.unwrap();
            assert_eq!(answer.message, message, "{} {bytes}", wire.name);
        }
    }
}

#[tokio::test]
async fn a_connection_cut_at_any_byte_is_a_failure_or_the_whole_answer() {
    for wire in &WIRES {
        let (next, reply) = (AtomicUsize::new(0), rich(wire).0);
        let server = Server::with(move |_| reply.clone().cut_after(next.fetch_add(1, Ordering::SeqCst)));
        let provider = (wire.provider)(&endpoint(&server));
        // The server's ids and signatures count its requests.
        let parts = |message: &Message| {
            let plain = |part: &ContentPart| match part.clone() {
                ContentPart::ToolCall(call) => ContentPart::ToolCall(ToolCall { id: String::new(), ..call }),
                ContentPart::Reasoning { text, .. } => ContentPart::reasoning(text),
                part => part,
            };
            message.parts.iter().map(plain).collect::<Vec<_>>()
        };
        let (mut failures, mut answers) = (0, 0);
        while answers < 100 {
            let mut dialogue = provider.dialogue(&epoch());
            let (answer, pieces) = ask(&mut *dialogue).await;
            match answer {
                Err(SampleError::Failed { failure, usage }) => {
                    let kind = if pieces.is_empty() { Kind::Connection } else { Kind::Cut };
                    assert_eq!(failure.kind, kind, "{failure:?}");
                    assert!(usage.estimated || usage == Usage::default(), "{usage:?}");
                    assert_eq!(answers, 0, "cut later, and a failure again");
                    failures += 1;
                }
                Err(other) => panic!("{other:?}"),
                Ok(answer) => {
                    assert_eq!(parts(&answer.message), parts(&rich(wire).1));
                    answers += 1;
                }
            }
        }
        assert!(failures > 1_000, "{failures}");
    }
}

#[tokio::test]
async fn a_dialogue_uses_one_connection_and_its_requests_only_grow() {
    for wire in &WIRES {
        let refused =
            || Reply::status(429).header("retry-after", "2").body("{\"error\":{\"message\":\"slow down\"}}");
        let script = (0..20).flat_map(|_| [refused(), Reply::call("read", "{\"path\":\"a\"}")]);
        let server = Server::start(script);
        let mut dialogue = wire.dialogue(&endpoint(&server));
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
            let result =
                ContentPart::ToolResult(ToolResult { call, text: "line\n".repeat(50), error: false });
            push(&mut *dialogue, &Message { role: Role::User, parts: vec![result] });
        }
        let requests = server.requests();
        assert_eq!(requests.len(), 40);
        assert!(requests.iter().all(|request| request.connection == 0));
        for pair in requests.windows(2) {
            let [before, after] = [&pair[0], &pair[1]].map(|request| wire.prompt(&request.body));
            assert!(after.starts_with(&before), "{before}\n{after}");
        }
    }
}

#[tokio::test]
async fn an_answer_is_not_held_back_by_the_end_of_its_body_and_the_connection_is_used_again() {
    for wire in &WIRES {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let (answered, wait) = mpsc::channel::<()>();
        let event = whole(wire);
        let server = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            for _ in 0..3 {
                take_request(&mut reader);
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
                let answer = format!("{head}{:x}\r\n{event}\r\n", event.len());
                reader.get_mut().write_all(answer.as_bytes()).unwrap();
                // The end comes only once the answer has been heard.
                wait.recv().unwrap();
                reader.get_mut().write_all(b"0\r\n\r\n").unwrap();
            }
        });
        let mut dialogue = wire.dialogue(&endpoint_at(&url));
        for _ in 0..3 {
            assert_eq!(ask(&mut *dialogue).await.0.unwrap().message.text(), "hi");
            answered.send(()).unwrap();
        }
        server.join().unwrap();
    }
}

#[tokio::test]
async fn an_answer_that_drips_is_waited_for_however_long_it_takes() {
    // All at once, for each takes longer than any silence may.
    join_all(WIRES.iter().map(async |wire| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let text = whole(wire);
        let server = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            stream.set_nodelay(true).unwrap();
            let mut reader = BufReader::new(stream);
            take_request(&mut reader);
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
            reader.get_mut().write_all(head.as_bytes()).unwrap();
            let (_never, clock) = mpsc::channel::<()>();
            let piece = text.len().div_ceil(48);
            for piece in text.as_bytes().chunks(piece) {
                assert!(clock.recv_timeout(Duration::from_millis(50)).is_err());
                reader.get_mut().write_all(piece).unwrap();
            }
        });
        let patient =
            Endpoint { idle_timeout: Some(Duration::from_secs(2)), total_timeout: None, ..endpoint_at(&url) };
        let begun = std::time::Instant::now();
        assert_eq!(wire.ask_once(&patient).await.unwrap().message.text(), "hi");
        assert!(begun.elapsed() > Duration::from_secs(2), "{:?}", begun.elapsed());
        server.join().unwrap();
    }))
    .await;
}

/// A whole stream that says `hi`.
fn whole(wire: &Wire) -> String {
    [wire.begun, wire.reason, wire.end].concat()
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
    for wire in &WIRES {
        let done = whole(wire);
        let length = done.len();
        let server = Server::start([Reply::raw_sse(done).stall_after(length), Reply::text("again")]);
        let mut dialogue = wire.dialogue(&endpoint(&server));
        assert_eq!(ask(&mut *dialogue).await.0.unwrap().message.text(), "hi");
        assert_eq!(ask(&mut *dialogue).await.0.unwrap().message.text(), "again");
        assert_eq!(server.requests()[1].connection, 1);
    }
}

#[tokio::test]
async fn a_refusal_is_a_failure_of_its_class_in_the_servers_words() {
    for wire in &WIRES {
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
            (529, "", Kind::Overloaded, "`acme` answered 529"),
        ] {
            let server = Server::start([Reply::status(status).body(body)]);
            let failure = wire.failure(&endpoint(&server)).await;
            assert_eq!((failure.kind, failure.status), (kind, Some(status)));
            assert!(failure.message.contains(message), "{}", failure.message);
        }
    }
}

#[tokio::test]
async fn what_is_no_answer_is_told_apart() {
    for wire in &WIRES {
        let page = || Reply::status(200).header("content-type", "text/html").body("<html>Sign in</html>");
        let server = Server::start([page(), Reply::raw_sse("data: hello\n\n")]);
        let text = wire.failure(&endpoint(&server)).await;
        assert_eq!(text.kind, Kind::Protocol);
        assert!(text.message.contains("a web page (is `base_url` right?)"), "{}", text.message);
        let text = wire.failure(&endpoint(&server)).await;
        assert_eq!(text.kind, Kind::Protocol);
        let wanted = format!("`acme` did not answer as {}: ", wire.answer);
        assert!(
            text.message.starts_with(&wanted) && text.message.ends_with("in `hello`"),
            "{}",
            text.message
        );
    }
}

#[tokio::test]
async fn an_answer_in_one_object_is_an_answer() {
    for wire in &WIRES {
        let server = Server::start([Reply::status(200).body(wire.object)]);
        let answer = wire.ask_once(&endpoint(&server)).await.unwrap();
        assert_eq!(answer.message, assistant([ContentPart::text("hi")]));
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    for wire in &WIRES {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let failure = wire.failure(&endpoint_at(&format!("http://{address}/v1"))).await;
        assert_eq!(failure.kind, Kind::Connection);
        assert_eq!(
            failure.message,
            format!("nothing listens at `{address}` for `acme`: is the server running?")
        );
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_is_a_broken_connection() {
    for wire in &WIRES {
        let server = Server::start([Reply::hang_up()]);
        let failure = wire.failure(&endpoint(&server)).await;
        assert_eq!(failure.kind, Kind::Connection);
        assert!(
            failure.message.starts_with("the connection to `acme` at `127.0.0.1:"),
            "{}",
            failure.message
        );
    }
}

#[tokio::test]
async fn silence_is_a_failure_wherever_it_falls() {
    for wire in &WIRES {
        for reply in
            [Reply::stall(), Reply::text("one two").stall_after(0), Reply::text("one two").stall_after(300)]
        {
            let server = Server::start([reply]);
            let failure = wire.failure(&Endpoint { idle_timeout: Some(SHORT), ..endpoint(&server) }).await;
            assert_eq!(failure.kind, Kind::Timeout);
            assert_eq!(failure.message, "`acme` sent nothing for 0.06 s (`idle_timeout`)");
        }
    }
}

#[tokio::test]
async fn silence_after_the_reason_to_finish_is_the_end() {
    // All at once, for each takes its time.
    join_all(WIRES.iter().map(async |wire| {
        let text = [wire.begun, wire.reason].concat();
        let length = text.len();
        let server = Server::start([Reply::raw_sse(text).stall_after(length)]);
        let endpoint = Endpoint { idle_timeout: Some(Duration::from_secs(2)), ..endpoint(&server) };
        assert_eq!(wire.ask_once(&endpoint).await.unwrap().message.text(), "hi");
    }))
    .await;
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_a_failure_and_what_came_is_counted() {
    // All at once, for each takes its time.
    join_all(WIRES.iter().map(async |wire| {
        let server = Server::start([Reply::deltas(40, "four").stall_after(4_000)]);
        let mut dialogue =
            wire.dialogue(&Endpoint { total_timeout: Some(Duration::from_secs(3)), ..endpoint(&server) });
        let (answer, pieces) = ask(&mut *dialogue).await;
        let Err(SampleError::Failed { failure, usage }) = answer else { panic!("{answer:?}") };
        assert_eq!(failure.kind, Kind::Timeout);
        assert_eq!(failure.message, "`acme` did not finish within 3 s (`total_timeout`)");
        let said: usize = pieces.iter().map(|piece| piece.text().len()).sum();
        assert!(said > 0 && usage.estimated && usage.output == said as u64 / 4, "{said} {usage:?}");
    }))
    .await;
}

#[tokio::test]
async fn a_cancelled_sample_keeps_the_text_that_came() {
    for wire in &WIRES {
        let server = Server::start([Reply::raw_sse(wire.begun).stall_after(wire.begun.len())]);
        let mut dialogue = wire.dialogue(&endpoint(&server));
        let cancel = Cancel::new();
        let mut said = String::new();
        let mut out = |piece: Piece| {
            said.push_str(piece.text());
            cancel.cancel();
        };
        let answer = dialogue.sample(&SampleSpec::default(), &mut out, &cancel).await;
        let Err(SampleError::Interrupted { partial, usage }) = answer else { panic!("{answer:?}") };
        assert_eq!(partial, Some(assistant([ContentPart::text("hi")])));
        assert_eq!(said, "hi");
        assert!(usage.estimated && usage.input > 0 && usage.output == 1, "{usage:?}");
    }
}

#[tokio::test]
async fn a_sample_cancelled_before_anything_came_has_no_text() {
    for wire in &WIRES {
        let server = Server::start([Reply::stall()]);
        let mut dialogue = wire.dialogue(&endpoint(&server));
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
}

#[tokio::test]
async fn many_deltas_are_joined_into_few_pieces() {
    for wire in &WIRES {
        let server = Server::start([Reply::deltas(20_000, "word ")]);
        let (answer, pieces) = ask(&mut *wire.dialogue(&endpoint(&server))).await;
        assert_eq!(answer.unwrap().message.text().len(), 100_000);
        assert!(pieces.len() < 2_000, "{} pieces", pieces.len());
        assert_eq!(pieces.iter().map(|piece| piece.text().len()).sum::<usize>(), 100_000);
    }
}
