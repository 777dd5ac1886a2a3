//! What models say and servers make of it, in streams that are well framed.

use codetether_event::{ContentPart, ProviderFailureKind as Kind, StopReason, Usage};
use codetether_testkit::Reply;
use serde_json::{Value, json};

use super::streams::{Stream, Why};
use super::{COUNTED, Case, Wanted, answer, fails, guessed, says};
use crate::asking::{Wire, call};

fn done(stream: Stream) -> Vec<Reply> {
    vec![stream.stop(Why::Done).end().reply()]
}

fn called(stream: Stream) -> Vec<Reply> {
    vec![stream.stop(Why::Calls).end().reply()]
}

fn calls(parts: impl IntoIterator<Item = ContentPart>) -> Wanted {
    answer(parts, StopReason::ToolUse)
}

/// What a server of this wire may say some day.
fn new_event(wire: &Wire) -> (&'static str, &'static str) {
    match wire.name {
        "openai-chat" => ("", r#"{"object":"chat.completion.news","news":[1,{"a":null}]}"#),
        "openai-responses" => ("response.news", r#"{"type":"response.news","news":[1,{"a":null}]}"#),
        "anthropic" => ("news", r#"{"type":"news","index":9,"news":[1,{"a":null}]}"#),
        _ => ("", r#"{"news":[1,{"a":null}]}"#),
    }
}

/// Puts a field into an object and all that are in it, but for what is the model's own.
fn add_fields(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.iter_mut().filter(|(key, _)| !["args", "input"].contains(&key.as_str())).for_each(
                |(_, value)| {
                    add_fields(value);
                },
            );
            if !map.is_empty() {
                map.insert("x_new".into(), json!({ "deep": [[[1.5e3]]] }));
            }
        }
        Value::Array(list) => list.iter_mut().for_each(add_fields),
        _ => {}
    }
}

/// Puts `null` where the wire may leave a field out.
fn add_nulls(value: &mut Value) {
    const ABSENT: [&str; 16] = [
        "refusal",
        "tool_calls",
        "reasoning_content",
        "usage",
        "error",
        "logprobs",
        "stop_details",
        "signature",
        "thinking",
        "promptFeedback",
        "finishMessage",
        "thoughtSignature",
        "functionCall",
        "incomplete_details",
        "item_id",
        "delta",
    ];
    let Value::Object(map) = value else {
        if let Value::Array(list) = value {
            list.iter_mut().for_each(add_nulls);
        }
        return;
    };
    map.values_mut().for_each(add_nulls);
    for key in ABSENT {
        map.entry(key).or_insert(Value::Null);
    }
}

pub(super) const CASES: &[Case] = &[
    Case {
        name: "events of a new type",
        sent: |w| {
            let (kind, data) = new_event(w);
            done(Stream::of(w).raw(kind, data).text("a").raw(kind, data).text("b").raw(kind, data))
        },
        wanted: |_| says("ab"),
    },
    Case {
        name: "new fields everywhere",
        sent: |w| {
            let stream = Stream::of(w).text("a").call("c", &["{}"]).stop(Why::Calls).end();
            vec![stream.with_fields(add_fields).reply()]
        },
        wanted: |_| calls([ContentPart::text("a"), call("c", "{}")]),
    },
    Case {
        name: "null for what is absent",
        sent: |w| {
            let stream = Stream::of(w).text("a").stop(Why::Done).end();
            vec![stream.with_fields(add_nulls).reply()]
        },
        wanted: |_| says("a"),
    },
    Case {
        name: "a field that is nested beyond reason",
        sent: |w| {
            let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
            done(Stream::of(w).text("a").each(|data| match data.strip_suffix('}') {
                Some(data) => format!("{data},\"x_deep\":{deep}}}"),
                None => data.to_owned(),
            }))
        },
        wanted: |_| says("a"),
    },
    Case {
        name: "text with every kind of escape",
        sent: |w| {
            let escaped =
                |data: &str| data.replace("PLACE", r#"\u00fc\ud83d\ude00\n\t\"\\\/\u0000\u001b[0m"#);
            done(Stream::of(w).text("PLACE").each(escaped))
        },
        wanted: |_| says("ü😀\n\t\"\\/\0\u{1b}[0m"),
    },
    Case {
        name: "half of a surrogate pair",
        sent: |w| {
            let escaped = |data: &str| data.replace("PLACE", r"\ud83d\\ud83d\uDE00\ud83d\ude00");
            done(Stream::of(w).text("a").text("PLACE").each(escaped))
        },
        wanted: |_| says("a\u{fffd}\\ud83d\u{fffd}😀"),
    },
    Case {
        name: "half of a surrogate pair in arguments",
        sent: |w| {
            let stream = Stream::of(w).call("a", &["{\"path\":\"PLACE\"}"]).stop(Why::Calls).end();
            vec![stream.each(|data| data.replace("PLACE", r"\udc00")).reply()]
        },
        wanted: |_| {
            let failure = fails(
                Kind::Protocol,
                "`acme` did not answer as ANSWER: the arguments of a call are not UTF-8",
            );
            failure.spent(guessed(4)).said("{\"path\":\"\u{fffd}\"}")
        },
    },
    Case {
        name: "bytes that are not UTF-8 in a text",
        sent: |w| {
            let bytes = Stream::of(w).text("aPLACEb").stop(Why::Done).end().bytes();
            vec![Reply::raw_sse(replaced(&bytes, b"PLACE", b"\xe6\x97"))]
        },
        wanted: |_| says("a\u{fffd}b"),
    },
    Case {
        name: "bytes that are not UTF-8 in arguments",
        sent: |w| {
            let stream = Stream::of(w).text("hi").call("a", &["{\"path\":\"PLACE\"}"]).stop(Why::Calls).end();
            vec![Reply::raw_sse(replaced(&stream.bytes(), b"PLACE", b"\xff"))]
        },
        wanted: |_| {
            let failure = fails(
                Kind::Protocol,
                "`acme` did not answer as ANSWER: the arguments of a call are not UTF-8",
            );
            failure.spent(guessed(4)).said("hi{\"path\":\"\u{fffd}\"}")
        },
    },
    Case {
        name: "text that is only blanks",
        sent: |w| done(Stream::of(w).text(" \n ")),
        wanted: |_| says(" \n "),
    },
    Case {
        name: "an answer that says nothing",
        sent: |w| done(Stream::of(w)),
        wanted: |_| answer([], StopReason::EndTurn),
    },
    Case {
        name: "empty pieces of text",
        sent: |w| done(Stream::of(w).text("").text("a").text("").text("b").text("")),
        wanted: |_| says("ab"),
    },
    Case {
        name: "a call without a piece of arguments",
        sent: |w| called(Stream::of(w).call("a", &[])),
        wanted: |w| match w.name {
            "anthropic" | "gemini" => calls([call("a", "{}")]),
            _ => calls([call("a", "")]),
        },
    },
    Case {
        name: "a call with empty arguments",
        sent: |w| called(Stream::of(w).call("a", &[""])),
        wanted: |w| match w.name {
            "anthropic" | "gemini" => calls([call("a", "{}")]),
            _ => calls([call("a", "")]),
        },
    },
    Case {
        name: "a call with no arguments in an object",
        sent: |w| called(Stream::of(w).call("a", &["{", "}"])),
        wanted: |_| calls([call("a", "{}")]),
    },
    Case {
        name: "two calls with one id",
        sent: |w| called(Stream::of(w).call("a", &["{}"]).call("a", &["{\"path\":\"b\"}"])),
        wanted: |_| calls([call("a", "{}"), call("call_0", "{\"path\":\"b\"}")]),
    },
    Case {
        name: "calls without ids",
        sent: |w| called(Stream::of(w).call("", &["{}"]).call("", &["{\"path\":\"b\"}"])),
        wanted: |_| calls([call("call_0", "{}"), call("call_1", "{\"path\":\"b\"}")]),
    },
    Case {
        name: "calls whose pieces come in turn",
        sent: |w| {
            let calls: [(&str, &[&str]); 3] =
                [("a", &["{\"path\"", ":\"1\"}"]), ("b", &["{}"]), ("c", &["{\"path\"", ":", "\"3\"}"])];
            called(Stream::of(w).calls(&calls))
        },
        wanted: |w| {
            let wanted =
                calls([call("a", "{\"path\":\"1\"}"), call("b", "{}"), call("c", "{\"path\":\"3\"}")]);
            match w.name {
                "gemini" => wanted,
                _ => wanted.said("{\"path\"{}{\"path\":\"1\"}:\"3\"}"),
            }
        },
    },
    Case {
        name: "arguments a character at a time",
        sent: |w| {
            called(Stream::of(w).call("a", &["{", "\"", "p", "\"", ":", "\"", "ü", "\\", "n", "\"", "}"]))
        },
        wanted: |_| calls([call("a", "{\"p\":\"ü\\n\"}")]),
    },
    Case {
        name: "text before and after a call",
        sent: |w| called(Stream::of(w).text("before").call("a", &["{}"]).text("after")),
        wanted: |_| calls([ContentPart::text("before"), call("a", "{}"), ContentPart::text("after")]),
    },
    Case {
        name: "a call though the reason says that the model was done",
        sent: |w| done(Stream::of(w).call("a", &["{}"])),
        wanted: |_| calls([call("a", "{}")]),
    },
    Case {
        name: "usage before the last event",
        sent: |w| vec![Stream::of(w).text("hi").counted_before_it_stops(Why::Done).end().reply()],
        wanted: |_| says("hi"),
    },
    Case {
        name: "usage after the reason to stop",
        sent: |w| vec![Stream::of(w).text("hi").counted_after_it_stops(Why::Done).end().reply()],
        wanted: |_| says("hi"),
    },
    Case {
        name: "no usage",
        sent: |w| done(Stream::of(w).uncounted().text("hi there")),
        wanted: |_| says("hi there").spent(guessed(2)),
    },
    Case {
        name: "usage of null",
        sent: |w| done(Stream::of(w).counted(Value::Null, Value::Null).text("hi there")),
        wanted: |_| says("hi there").spent(guessed(2)),
    },
    Case {
        name: "usage with decimal points",
        sent: |w| done(Stream::of(w).counted(json!(100.0), json!(10.0)).text("hi")),
        wanted: |_| says("hi"),
    },
    Case {
        name: "usage that no number holds",
        sent: |w| done(Stream::of(w).counted(json!(1e300), json!(-5)).text("hi")),
        wanted: |_| says("hi").spent(Usage { input: u64::MAX, output: 0, ..COUNTED }),
    },
    Case {
        name: "the answer is cut at its limit",
        sent: |w| vec![Stream::of(w).text("hi").stop(Why::Length).end().reply()],
        wanted: |_| answer([ContentPart::text("hi")], StopReason::MaxOutput),
    },
    Case {
        name: "the answer is cut inside arguments",
        sent: |w| vec![Stream::of(w).call("a", &["{\"path\":", "\"so"]).stop(Why::Length).end().reply()],
        wanted: |w| match w.name {
            // Its calls come whole, or as a text.
            "gemini" => answer([call("a", "\"{\\\"path\\\":\\\"so\"")], StopReason::MaxOutput),
            _ => answer([call("a", "{\"path\":\"so")], StopReason::MaxOutput),
        },
    },
    Case {
        name: "the answer is cut before the first argument",
        sent: |w| vec![Stream::of(w).call("a", &[]).stop(Why::Length).end().reply()],
        wanted: |w| match w.name {
            "gemini" => answer([call("a", "{}")], StopReason::MaxOutput),
            _ => answer([call("a", "")], StopReason::MaxOutput),
        },
    },
    Case {
        name: "the provider's filter ends the answer",
        sent: |w| vec![Stream::of(w).text("hi").stop(Why::Filter).end().reply()],
        wanted: |w| match w.name {
            "gemini" => {
                let why = "the answer was withheld: `SAFETY`";
                answer([ContentPart::text("hi"), ContentPart::text(why)], StopReason::Refused)
            }
            _ => answer([ContentPart::text("hi")], StopReason::Refused),
        },
    },
    Case {
        name: "the model declines, and says so",
        sent: |w| {
            let stream = Stream::of(w);
            let stream = match w.name {
                "openai-chat" => {
                    stream.raw("", r#"{"choices":[{"delta":{"refusal":"I will not"}}]}"#).stop(Why::Done)
                }
                "openai-responses" => stream
                    .raw(
                        "",
                        r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"message"}}"#,
                    )
                    .raw("", r#"{"type":"response.refusal.delta","output_index":0,"delta":"I will not"}"#)
                    .stop(Why::Done),
                "anthropic" => stream.raw(
                    "message_delta",
                    json!({ "type": "message_delta", "delta": {
                        "stop_reason": "refusal",
                        "stop_details": { "type": "refusal", "explanation": "I will not" },
                    }, "usage": { "input_tokens": 100, "output_tokens": 10 } })
                    .to_string(),
                ),
                _ => stream.raw(
                    "",
                    json!({ "promptFeedback": { "blockReason": "OTHER", "blockReasonMessage": "I will not" },
                        "usageMetadata": { "promptTokenCount": 100, "candidatesTokenCount": 10 } })
                    .to_string(),
                ),
            };
            vec![stream.end().reply()]
        },
        wanted: |_| answer([ContentPart::text("I will not")], StopReason::Refused),
    },
    Case {
        name: "a reason that nobody knows",
        sent: |w| vec![Stream::of(w).text("hi").stop(Why::New).end().reply()],
        wanted: |w| {
            let reason = if w.name == "gemini" { "TIRED" } else { "tired" };
            answer([ContentPart::text("hi")], StopReason::Other(reason.into()))
        },
    },
    Case {
        name: "more calls than anyone makes",
        sent: |w| called((0..129).fold(Stream::of(w), |stream, n| stream.call(&n.to_string(), &[]))),
        wanted: |w| {
            let failure =
                fails(Kind::Protocol, "`acme` did not answer as ANSWER: more than 128 calls in one answer");
            match w.name {
                "gemini" => failure.spent(guessed(64)).said(&"{}".repeat(128)),
                _ => failure,
            }
        },
    },
];

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}
