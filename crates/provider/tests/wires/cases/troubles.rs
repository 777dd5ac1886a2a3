//! Streams that go wrong: errors before and after the first token, cuts, nonsense in the middle, silence.

use codetether_event::{ProviderFailureKind as Kind, Usage};
use codetether_testkit::Reply;

use super::streams::{Stream, Trouble, Why};
use super::{Case, Wanted, answer, fails, guessed, says};
use crate::asking::{Wire, call};

const CUT: &str = "`acme` at `HOST` closed the connection before its answer was whole";

/// Trouble before anything was said, and after.
fn before(wire: &'static Wire, trouble: Trouble) -> Vec<Reply> {
    vec![Stream::of(wire).trouble(trouble).reply()]
}

fn after(wire: &'static Wire, trouble: Trouble) -> Vec<Reply> {
    vec![Stream::of(wire).text("four").trouble(trouble).reply()]
}

/// What each vendor's error of this class is; Gemini's have a status.
fn reported(wire: &'static Wire, kind: Kind, status: u16, words: &str) -> Wanted {
    let failure = fails(kind, format!("`acme` reported: {words}"));
    if wire.name == "gemini" { failure.status(status) } else { failure }
}

fn too_long(wire: &'static Wire) -> Wanted {
    let words = match wire.name {
        "anthropic" => "prompt is too long: 205000 tokens > 200000 maximum",
        "gemini" => "The input token count (1100000) exceeds the maximum",
        _ => "no",
    };
    reported(wire, Kind::ContextTooLong, 400, words)
}

/// The same after `four` was handed out.
fn begun(wanted: Wanted) -> Wanted {
    wanted.spent(guessed(1)).said("four")
}

pub(super) const CASES: &[Case] = &[
    Case {
        name: "overloaded before the first token",
        sent: |w| before(w, Trouble::Overloaded),
        wanted: |w| reported(w, Kind::Overloaded, 503, "no"),
    },
    Case {
        name: "a limit before the first token",
        sent: |w| before(w, Trouble::RateLimit),
        wanted: |w| reported(w, Kind::RateLimited, 429, "no"),
    },
    Case {
        name: "a failed server before the first token",
        sent: |w| before(w, Trouble::Server),
        wanted: |w| reported(w, Kind::Server, 500, "no"),
    },
    Case {
        name: "no right before the first token",
        sent: |w| before(w, Trouble::Auth),
        wanted: |w| reported(w, Kind::Auth, 403, "no"),
    },
    Case { name: "too long before the first token", sent: |w| before(w, Trouble::TooLong), wanted: too_long },
    Case {
        name: "no credit before the first token",
        sent: |w| before(w, Trouble::Quota),
        wanted: |w| reported(w, Kind::Quota, 429, "no"),
    },
    Case {
        name: "a wrong request before the first token",
        sent: |w| before(w, Trouble::Request),
        wanted: |w| reported(w, Kind::BadRequest, 400, "no"),
    },
    Case {
        name: "overloaded after the first token",
        sent: |w| after(w, Trouble::Overloaded),
        wanted: |w| begun(reported(w, Kind::Overloaded, 503, "no")),
    },
    Case {
        name: "a limit after the first token",
        sent: |w| after(w, Trouble::RateLimit),
        wanted: |w| begun(reported(w, Kind::RateLimited, 429, "no")),
    },
    Case {
        name: "a failed server after the first token",
        sent: |w| after(w, Trouble::Server),
        wanted: |w| begun(reported(w, Kind::Server, 500, "no")),
    },
    Case {
        name: "no right after the first token",
        sent: |w| after(w, Trouble::Auth),
        wanted: |w| begun(reported(w, Kind::Auth, 403, "no")),
    },
    Case {
        name: "too long after the first token",
        sent: |w| after(w, Trouble::TooLong),
        wanted: |w| begun(too_long(w)),
    },
    Case {
        name: "no credit after the first token",
        sent: |w| after(w, Trouble::Quota),
        wanted: |w| begun(reported(w, Kind::Quota, 429, "no")),
    },
    Case {
        name: "a wrong request after the first token",
        sent: |w| after(w, Trouble::Request),
        wanted: |w| begun(reported(w, Kind::BadRequest, 400, "no")),
    },
    Case {
        name: "trouble, and the request's id in the headers",
        sent: |w| {
            vec![Stream::of(w).text("four").trouble(Trouble::Server).reply().header("x-request-id", "req_9")]
        },
        wanted: |w| begun(reported(w, Kind::Server, 500, "no [request req_9]")),
    },
    Case {
        name: "trouble in words that any server may use",
        sent: |w| {
            let flat = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_3"}"#;
            vec![Stream::of(w).raw("error", flat).reply()]
        },
        wanted: |_| fails(Kind::Overloaded, "`acme` reported: Overloaded [request req_3]"),
    },
    Case {
        name: "a wait in trouble's words",
        sent: |w| {
            let error = r#"{"type":"error","error":{"type":"rate_limit_error","code":"rate_limit_exceeded","message":"Please try again in 2s"}}"#;
            vec![Stream::of(w).raw("error", error).reply()]
        },
        wanted: |_| fails(Kind::RateLimited, "`acme` reported: Please try again in 2s").wait(2_000),
    },
    Case {
        name: "a cut before the first token",
        sent: |w| vec![Stream::of(w).reply(), Stream::of(w).text("").reply()],
        wanted: |_| fails(Kind::Connection, CUT),
    },
    Case {
        name: "a cut after the first token",
        sent: |w| vec![Stream::of(w).text("four").reply()],
        wanted: |_| begun(fails(Kind::Cut, CUT)),
    },
    Case {
        name: "a cut inside an event",
        sent: |w| {
            let bytes = Stream::of(w).text("four").bytes();
            let next = br#"data: {"type":"x","choi"#;
            vec![Reply::raw_sse([&bytes[..], next].concat())]
        },
        wanted: |_| begun(fails(Kind::Cut, CUT)),
    },
    Case {
        name: "a cut inside arguments",
        sent: |w| vec![Stream::of(w).call("a", &["{\"p\":1", ",\"q\":2}"]).reply()],
        wanted: |_| fails(Kind::Cut, CUT).spent(guessed(4)).said("{\"p\":1,\"q\":2}"),
    },
    Case {
        name: "the connection breaks after the first token",
        sent: |w| {
            let bytes = Stream::of(w).text("four").bytes();
            let length = bytes.len();
            vec![Reply::raw_sse([&bytes[..], b"data: {}"].concat()).cut_after(length)]
        },
        wanted: |_| {
            let message = "the connection to `acme` at `HOST` broke: unexpected EOF during chunk size line";
            begun(fails(Kind::Cut, message))
        },
    },
    Case {
        name: "the connection breaks after the reason to stop",
        sent: |w| {
            let bytes = Stream::of(w).text("hi").stop(Why::Done).bytes();
            let length = bytes.len();
            vec![Reply::raw_sse([&bytes[..], b"data: [DONE]\n\n"].concat()).cut_after(length)]
        },
        wanted: |_| says("hi"),
    },
    Case {
        name: "the server hangs up",
        sent: |_| vec![Reply::hang_up().header("connection", "close")],
        wanted: |_| {
            fails(
                Kind::Connection,
                "the connection to `acme` at `HOST` broke: connection closed before message completed",
            )
        },
    },
    Case {
        name: "an event that is no JSON",
        sent: |w| vec![Stream::of(w).text("four").raw("", "{broken").reply()],
        wanted: |_| {
            let what = "key must be a string at line 1 column 2 in `{broken`";
            begun(fails(Kind::Protocol, format!("`acme` did not answer as ANSWER: {what}")))
        },
    },
    Case {
        name: "an event that is no object",
        sent: |w| vec![Stream::of(w).text("four").raw("", "5").reply()],
        wanted: |_| {
            let what = "invalid type: integer `5`, expected an object at line 1 column 1 in `5`";
            begun(fails(Kind::Protocol, format!("`acme` did not answer as ANSWER: {what}")))
        },
    },
    Case {
        name: "an event that has no end",
        sent: |w| {
            let mut bytes = Stream::of(w).text("four").bytes();
            bytes.extend_from_slice(b"data: ");
            bytes.resize(bytes.len() + (8 << 20) + 1, b'x');
            vec![Reply::raw_sse(bytes)]
        },
        wanted: |_| {
            let what = "one event of the answer is longer than 8 MiB";
            begun(fails(Kind::Protocol, format!("`acme` did not answer as ANSWER: {what}")))
        },
    },
    Case {
        name: "trouble after the reason to stop",
        sent: |w| {
            vec![Stream::of(w).call("a", &["{}"]).stop(Why::Calls).reply().header("connection", "close")]
        },
        wanted: |_| answer([call("a", "{}")], codetether_event::StopReason::ToolUse),
    },
    Case {
        name: "what was spent is known in spite of the trouble",
        sent: |w| {
            vec![
                Stream::of(w)
                    .text("four")
                    .counted_before_it_stops(Why::Done)
                    .trouble(Trouble::Server)
                    .reply(),
            ]
        },
        wanted: |w| match w.name {
            "openai-responses" => says("four"),
            _ => reported(w, Kind::Server, 500, "no").said("four").spent(Usage {
                input: 100,
                output: 10,
                ..Usage::default()
            }),
        },
    },
];
