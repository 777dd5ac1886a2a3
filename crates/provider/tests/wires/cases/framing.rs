//! The same answer in every frame that servers and what stands between put around it.

use codetether_event::{ContentPart, StopReason};
use codetether_testkit::Reply;

use super::streams::{Stream, Why, deflate, gzip};
use super::{Case, Wanted, answer, says};
use crate::asking::{Wire, call};

/// A text and two calls.
fn rich(wire: &'static Wire) -> Stream {
    Stream::of(wire)
        .text("Grüße ")
        .text("日本!")
        .call("a", &["{\"path\":", "\"süß\"}"])
        .call("b", &["{}"])
        .stop(Why::Calls)
        .end()
}

fn whole(_: &'static Wire) -> Wanted {
    answer(
        [ContentPart::text("Grüße 日本!"), call("a", "{\"path\":\"süß\"}"), call("b", "{}")],
        StopReason::ToolUse,
    )
}

fn small(wire: &'static Wire) -> Stream {
    Stream::of(wire).text("é").call("a", &["{}"]).stop(Why::Calls).end()
}

fn small_whole(_: &'static Wire) -> Wanted {
    answer([ContentPart::text("é"), call("a", "{}")], StopReason::ToolUse)
}

/// One reply for each place to split at.
fn split_everywhere(bytes: &[u8]) -> Vec<Reply> {
    (1..bytes.len()).map(|at| Reply::raw_sse(bytes).split_at(at)).collect()
}

fn sse(bytes: impl Into<Vec<u8>>) -> Vec<Reply> {
    vec![Reply::raw_sse(bytes)]
}

pub(super) const CASES: &[Case] = &[
    Case { name: "as the vendor sends it", sent: |w| vec![rich(w).reply()], wanted: whole },
    Case { name: "CRLF line ends", sent: |w| sse(rich(w).lines("\r\n")), wanted: whole },
    Case { name: "lone CR line ends", sent: |w| sse(rich(w).lines("\r")), wanted: whole },
    Case {
        name: "line ends of all kinds mixed",
        sent: |w| sse(rich(w).written(|kind, data| format!("event: {kind}\rdata: {data}\r\n\n"))),
        wanted: whole,
    },
    Case { name: "split at every byte", sent: |w| split_everywhere(&small(w).bytes()), wanted: small_whole },
    Case {
        name: "CRLF, split at every byte",
        sent: |w| split_everywhere(&small(w).lines("\r\n")),
        wanted: small_whole,
    },
    Case {
        name: "a byte at a time",
        sent: |w| vec![Reply::raw_sse(rich(w).bytes()).chunked_every(1)],
        wanted: whole,
    },
    Case {
        name: "CR line ends, a byte at a time",
        sent: |w| vec![Reply::raw_sse(rich(w).lines("\r")).chunked_every(1)],
        wanted: whole,
    },
    Case {
        name: "comments between and inside events",
        sent: |w| {
            sse(rich(w).written(|_, data| format!(": OPENROUTER PROCESSING\n\n:\ndata: {data}\n: x\n\n")))
        },
        wanted: whole,
    },
    Case {
        name: "pings between events",
        sent: |w| {
            sse(rich(w).written(|_, data| format!("event: ping\ndata:\n\ndata: {data}\n\nevent: ping\n\n")))
        },
        wanted: whole,
    },
    Case {
        name: "ids, waits and fields that nobody knows",
        sent: |w| {
            sse(rich(w).written(|_, data| format!("id: 7\nretry: 10\nx-new: y\ndata: {data}\nlone\n\n")))
        },
        wanted: whole,
    },
    Case {
        name: "no blank after the colon",
        sent: |w| sse(rich(w).written(|kind, data| format!("event:{kind}\ndata:{data}\n\n"))),
        wanted: whole,
    },
    Case {
        name: "data before the event's name",
        sent: |w| sse(rich(w).written(|kind, data| format!("data: {data}\nevent: {kind}\n\n"))),
        wanted: whole,
    },
    Case {
        name: "no names of events",
        sent: |w| sse(rich(w).written(|_, data| format!("data: {data}\n\n"))),
        wanted: whole,
    },
    Case {
        name: "wrong names of events",
        sent: |w| sse(rich(w).written(|_, data| format!("event: message\ndata: {data}\n\n"))),
        wanted: whole,
    },
    Case {
        name: "an event's data in two lines",
        sent: |w| {
            sse(rich(w).written(|_, data| match data.split_once('{') {
                Some((before, after)) => format!("data: {before}{{\ndata: {after}\n\n"),
                None => format!("data: {data}\n\n"),
            }))
        },
        wanted: whole,
    },
    Case {
        name: "a mark of the byte order",
        sent: |w| sse([&b"\xef\xbb\xbf"[..], &rich(w).bytes()].concat()),
        wanted: whole,
    },
    Case {
        name: "a mark of the byte order, split in the middle, and CRLF",
        sent: |w| {
            let bytes = [&b"\xef\xbb\xbf"[..], &rich(w).lines("\r\n")].concat();
            vec![Reply::raw_sse(&bytes[..]).split_at(1), Reply::raw_sse(bytes).split_at(2)]
        },
        wanted: whole,
    },
    Case {
        name: "blank lines first",
        sent: |w| sse([&b"\n\r\n  \n"[..], &rich(w).bytes()].concat()),
        wanted: whole,
    },
    Case {
        name: "the last line ends are missing",
        sent: |w| {
            let bytes = rich(w).bytes();
            sse(&bytes[..bytes.len() - 2])
        },
        wanted: whole,
    },
    Case {
        name: "no event that says that it is over",
        sent: |w| {
            let stream = Stream::of(w).text("hi").stop(Why::Done);
            vec![stream.reply(), stream.reply().header("connection", "close")]
        },
        wanted: |_| says("hi"),
    },
    Case {
        name: "`[DONE]` as other servers say it",
        sent: |w| vec![Stream::of(w).text("hi").stop(Why::Done).raw("", " [DONE] ").reply()],
        wanted: |_| says("hi"),
    },
    Case {
        name: "what comes after the end is not read",
        sent: |w| {
            vec![
                Stream::of(w)
                    .text("hi")
                    .stop(Why::Done)
                    .raw("", "[DONE]")
                    .raw("", "what?")
                    .text("no")
                    .reply(),
            ]
        },
        wanted: |_| says("hi"),
    },
    Case {
        name: "the media type is another",
        sent: |w| {
            let types = ["text/plain", "application/octet-stream", "text/event-stream;charset=UTF-8", ""];
            types.map(|kind| rich(w).reply().header("content-type", kind)).into()
        },
        wanted: whole,
    },
    Case {
        name: "a length in place of chunks",
        sent: |w| {
            let reply = Reply::status(200).header("content-type", "text/event-stream");
            vec![reply.body(rich(w).bytes())]
        },
        wanted: whole,
    },
    Case {
        name: "a body as long as the connection",
        sent: |w| {
            let bytes = rich(w).bytes();
            let head = Reply::status(200).header("content-type", "text/event-stream");
            vec![
                head.header("content-length", bytes.len().to_string())
                    .header("connection", "close")
                    .body(bytes),
            ]
        },
        wanted: whole,
    },
    Case {
        name: "gzip",
        sent: |w| {
            let zipped = Reply::raw_sse(gzip(&rich(w).bytes())).header("content-encoding", "gzip");
            vec![zipped.clone(), zipped.chunked_every(1)]
        },
        wanted: whole,
    },
    Case {
        name: "deflate",
        sent: |w| {
            let zipped = Reply::raw_sse(deflate(&rich(w).bytes())).header("content-encoding", "deflate");
            vec![zipped.clone(), zipped.chunked_every(3)]
        },
        wanted: whole,
    },
    Case {
        name: "one event of a megabyte",
        sent: |w| {
            let text = "word ".repeat(200_000);
            let stream = Stream::of(w).text(&text).stop(Why::Done).end();
            vec![stream.reply(), stream.reply().chunked_every(10_007)]
        },
        wanted: |_| says(&"word ".repeat(200_000)),
    },
];
