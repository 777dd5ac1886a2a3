//! Answers in one object, pages for people, nothing at all: bodies with status 200 that are no event stream.

use codetether_event::ProviderFailureKind as Kind;
use codetether_testkit::Reply;

use super::streams::{Stream, gzip};
use super::{Case, Wanted, fails, guessed, says};
use crate::asking::Wire;

fn ok(body: impl Into<Vec<u8>>) -> Reply {
    Reply::status(200).body(body)
}

/// `hi`, and no usage with it.
fn hi(_: &'static Wire) -> Wanted {
    says("hi").spent(guessed(1))
}

fn cut() -> Wanted {
    fails(Kind::Connection, "`acme` at `HOST` closed the connection before its answer was whole")
}

fn page() -> Wanted {
    fails(Kind::Protocol, "`acme` did not answer as ANSWER: it sent a web page (is `base_url` right?)")
}

const PAGE: &str = "<!DOCTYPE html>\n<html><body>Sign in, data: please</body></html>";

pub(super) const CASES: &[Case] = &[
    Case { name: "one object in place of a stream", sent: |w| vec![ok(w.object)], wanted: hi },
    Case {
        name: "one object after blanks, in pieces",
        sent: |w| {
            let body = format!(" \n\n {}\n", w.object);
            vec![Reply::raw_sse(&body[..]).chunked_every(1), Reply::raw_sse(body).chunked_every(7)]
        },
        wanted: hi,
    },
    Case {
        name: "one object, said to be a stream",
        sent: |w| vec![ok(w.object).header("content-type", "text/event-stream")],
        wanted: hi,
    },
    Case {
        name: "one object, gzip",
        sent: |w| {
            vec![
                ok(gzip(w.object.as_bytes()))
                    .header("content-encoding", "gzip")
                    .header("content-type", "application/json"),
            ]
        },
        wanted: hi,
    },
    Case {
        name: "one object that is cut",
        sent: |w| (2..w.object.len()).step_by(9).map(|at| ok(&w.object.as_bytes()[..at])).collect(),
        wanted: |_| cut(),
    },
    Case {
        name: "one object that is something else",
        sent: |_| vec![ok(r#"{"status":"ok","hint":"wrong door"}"#)],
        wanted: |w| {
            let what = match w.name {
                "openai-chat" => "there is no choice in what it sent",
                "openai-responses" => "there is no output in what it sent",
                "anthropic" => "there is no content in what it sent",
                _ => "there is no candidate in what it sent",
            };
            fails(Kind::Protocol, format!("`acme` did not answer as ANSWER: {what}"))
        },
    },
    Case {
        name: "an error in one object",
        sent: |_| vec![ok(r#"{"error":{"message":"the model crashed","type":"server_error"}}"#)],
        wanted: |_| fails(Kind::Server, "`acme` reported: the model crashed"),
    },
    Case {
        name: "an error with a status in one object",
        sent: |_| vec![ok(r#"{"error":{"message":"slow down","code":429}}"#)],
        wanted: |_| fails(Kind::RateLimited, "`acme` reported: slow down").status(429),
    },
    Case {
        name: "an error of null beside the answer",
        sent: |w| {
            let inner = w.object.trim_start_matches('[').trim_end_matches(']');
            let body = inner.replacen('{', "{\"error\":null,", 1).replacen(
                "\"error\":null,\"content\"",
                "\"content\"",
                1,
            );
            let body = if body.matches("\"error\":null").count() > 1 { inner.to_owned() } else { body };
            vec![ok(body)]
        },
        wanted: hi,
    },
    Case {
        name: "a page for people",
        sent: |_| vec![Reply::status(200).header("content-type", "text/html").body(PAGE)],
        wanted: |_| page(),
    },
    Case {
        name: "a page for people, said to be a stream",
        sent: |_| {
            vec![
                Reply::raw_sse(PAGE),
                Reply::raw_sse(PAGE).chunked_every(1),
                Reply::raw_sse(["\r\n ", PAGE].concat()),
            ]
        },
        wanted: |_| page(),
    },
    Case {
        name: "a page for people of no type",
        sent: |_| vec![ok(PAGE).header("content-type", "")],
        wanted: |_| page(),
    },
    Case { name: "words in place of a stream", sent: |_| vec![ok("upstream went away")], wanted: |_| cut() },
    Case { name: "nothing", sent: |_| vec![ok(""), Reply::raw_sse("")], wanted: |_| cut() },
    Case { name: "blanks alone", sent: |_| vec![ok(" \n"), Reply::raw_sse("\n\n\n")], wanted: |_| cut() },
    Case {
        name: "comments alone",
        sent: |_| vec![Reply::raw_sse(": hello\n\n: still here\n\n")],
        wanted: |_| cut(),
    },
    Case { name: "status 204", sent: |_| vec![Reply::status(204)], wanted: |_| cut() },
    Case {
        name: "gzip that is none",
        sent: |w| vec![Stream::of(w).text("hi").reply().header("content-encoding", "gzip")],
        wanted: |_| fails(Kind::Connection, "the connection to `acme` at `HOST` broke: Invalid gzip header"),
    },
];
