//! Statuses that say no: their class, the server's words, how long it asks to wait, the id of the request.

use codetether_event::ProviderFailureKind as Kind;
use codetether_testkit::Reply;
use serde_json::json;

use super::streams::gzip;
use super::{Case, Wanted, fails};
use crate::asking::Wire;

/// A refusal with these words, in the form of each wire's vendor.
fn no(wire: &Wire, status: u16, words: &str) -> Reply {
    let body = match wire.name {
        "anthropic" => json!({ "type": "error", "error": { "type": "some_error", "message": words } }),
        "gemini" => json!({ "error": { "code": status, "message": words, "status": "SOMETHING" } }),
        _ => json!({ "error": { "message": words, "type": "some_error", "param": null, "code": null } }),
    };
    Reply::status(status).body(body.to_string())
}

fn json_error(status: u16, body: serde_json::Value) -> Vec<Reply> {
    vec![Reply::status(status).body(body.to_string())]
}

fn refused(kind: Kind, status: u16, words: &str) -> Wanted {
    fails(kind, format!("`acme` answered {status}: {words}")).status(status)
}

/// A refusal with one more header, and no words.
fn slow_down(name: &str, value: &str) -> Vec<Reply> {
    vec![Reply::status(429).header(name, value).body(r#"{"error":{"message":"slow down"}}"#)]
}

fn slowed(millis: u64) -> Wanted {
    refused(Kind::RateLimited, 429, "slow down").wait(millis)
}

pub(super) const CASES: &[Case] = &[
    Case { name: "400", sent: |w| vec![no(w, 400, "no")], wanted: |_| refused(Kind::BadRequest, 400, "no") },
    Case { name: "401", sent: |w| vec![no(w, 401, "no")], wanted: |_| refused(Kind::Auth, 401, "no") },
    Case { name: "402", sent: |w| vec![no(w, 402, "no")], wanted: |_| refused(Kind::Quota, 402, "no") },
    Case { name: "403", sent: |w| vec![no(w, 403, "no")], wanted: |_| refused(Kind::Auth, 403, "no") },
    Case {
        name: "404",
        sent: |w| vec![no(w, 404, "no")],
        wanted: |_| {
            refused(Kind::BadRequest, 404, "no (is `m-1` the model's name there, and `base_url` right?)")
        },
    },
    Case { name: "408", sent: |w| vec![no(w, 408, "no")], wanted: |_| refused(Kind::Timeout, 408, "no") },
    Case { name: "409", sent: |w| vec![no(w, 409, "no")], wanted: |_| refused(Kind::Server, 409, "no") },
    Case {
        name: "413",
        sent: |w| vec![no(w, 413, "no")],
        wanted: |_| refused(Kind::ContextTooLong, 413, "no"),
    },
    Case { name: "422", sent: |w| vec![no(w, 422, "no")], wanted: |_| refused(Kind::BadRequest, 422, "no") },
    Case { name: "429", sent: |w| vec![no(w, 429, "no")], wanted: |_| refused(Kind::RateLimited, 429, "no") },
    Case { name: "500", sent: |w| vec![no(w, 500, "no")], wanted: |_| refused(Kind::Server, 500, "no") },
    Case { name: "502", sent: |w| vec![no(w, 502, "no")], wanted: |_| refused(Kind::Server, 502, "no") },
    Case { name: "503", sent: |w| vec![no(w, 503, "no")], wanted: |_| refused(Kind::Overloaded, 503, "no") },
    Case { name: "504", sent: |w| vec![no(w, 504, "no")], wanted: |_| refused(Kind::Server, 504, "no") },
    Case { name: "529", sent: |w| vec![no(w, 529, "no")], wanted: |_| refused(Kind::Overloaded, 529, "no") },
    Case {
        name: "a redirect",
        sent: |_| vec![Reply::status(307).header("location", "http://h/")],
        wanted: |_| {
            let words =
                "`acme` answered 307 Temporary Redirect (it redirects: set `base_url` to where it leads)";
            fails(Kind::BadRequest, words).status(307)
        },
    },
    Case {
        name: "500 because of too much to do",
        sent: |w| vec![no(w, 500, "The server is currently overloaded with other requests")],
        wanted: |_| refused(Kind::Overloaded, 500, "The server is currently overloaded with other requests"),
    },
    Case {
        name: "a page with a status",
        sent: |_| {
            let page = "<html><head><title>502 Bad Gateway</title></head><hr>nginx</html>";
            vec![Reply::status(502).header("content-type", "text/html").body(page)]
        },
        wanted: |_| refused(Kind::Server, 502, "502 Bad Gateway nginx"),
    },
    Case {
        name: "no words with a status",
        sent: |_| vec![Reply::status(500), Reply::status(500).body("\n")],
        wanted: |_| fails(Kind::Server, "`acme` answered 500 Internal Server Error").status(500),
    },
    Case {
        name: "words that are no JSON",
        sent: |_| vec![Reply::status(500).body("upstream\u{7}  went\naway")],
        wanted: |_| refused(Kind::Server, 500, "upstream went away"),
    },
    Case {
        name: "words that are not UTF-8",
        sent: |_| vec![Reply::status(500).body(&b"no \xff!"[..])],
        wanted: |_| refused(Kind::Server, 500, "no \u{fffd}!"),
    },
    Case {
        name: "words in gzip",
        sent: |_| {
            let body = gzip(br#"{"error":{"message":"no"}}"#);
            vec![Reply::status(500).header("content-encoding", "gzip").body(body)]
        },
        wanted: |_| refused(Kind::Server, 500, "no"),
    },
    Case {
        name: "words that are cut",
        sent: |w| vec![no(w, 500, "no").cut_after(0)],
        wanted: |_| fails(Kind::Server, "`acme` answered 500 Internal Server Error").status(500),
    },
    Case { name: "a wait in seconds", sent: |_| slow_down("retry-after", "7"), wanted: |_| slowed(7_000) },
    Case {
        name: "a wait in parts of seconds",
        sent: |_| slow_down("Retry-After", "0.25"),
        wanted: |_| slowed(250),
    },
    Case {
        name: "a wait until a date",
        sent: |_| slow_down("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"),
        wanted: |_| slowed(0),
    },
    Case {
        name: "a wait in milliseconds",
        sent: |_| slow_down("retry-after-ms", "320"),
        wanted: |_| slowed(320),
    },
    Case {
        name: "a wait that is none",
        sent: |_| ["soon", "-3", "NaN"].iter().flat_map(|value| slow_down("retry-after", value)).collect(),
        wanted: |_| refused(Kind::RateLimited, 429, "slow down"),
    },
    Case {
        name: "a wait until OpenAI's limit is whole again",
        sent: |_| {
            let limits = |reply: Reply| {
                reply
                    .header("x-ratelimit-remaining-requests", "59")
                    .header("x-ratelimit-reset-requests", "1s")
                    .header("x-ratelimit-remaining-tokens", "0")
                    .header("x-ratelimit-reset-tokens", "1m2.5s")
            };
            slow_down("x-request-id", "").into_iter().map(limits).collect()
        },
        wanted: |_| slowed(62_500),
    },
    Case {
        name: "a wait until Anthropic's limit is whole again",
        sent: |_| slow_down("anthropic-ratelimit-tokens-reset", "1994-11-06T08:49:37Z"),
        wanted: |_| slowed(0),
    },
    Case {
        name: "a wait in Google's details",
        sent: |_| {
            json_error(
                429,
                json!({ "error": { "code": 429, "message": "slow down", "details": [
                    { "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.07s" },
                ] } }),
            )
        },
        wanted: |_| slowed(34_070),
    },
    Case {
        name: "a wait in words",
        sent: |_| {
            json_error(
                429,
                json!({ "error": { "message": "Limit reached. Please try again in 1.5s. See x" } }),
            )
        },
        wanted: |_| {
            refused(Kind::RateLimited, 429, "Limit reached. Please try again in 1.5s. See x").wait(1_500)
        },
    },
    Case {
        name: "the header outranks the words",
        sent: |_| {
            let body = r#"{"error":{"message":"try again in 9s"}}"#;
            vec![Reply::status(429).header("retry-after", "2").body(body)]
        },
        wanted: |_| refused(Kind::RateLimited, 429, "try again in 9s").wait(2_000),
    },
    Case {
        name: "a context too long for OpenAI",
        sent: |_| {
            json_error(400, json!({ "error": { "message": "too long", "code": "context_length_exceeded" } }))
        },
        wanted: |_| refused(Kind::ContextTooLong, 400, "too long"),
    },
    Case {
        name: "a context too long for Anthropic",
        sent: |_| {
            let message = "prompt is too long: 205000 tokens > 200000 maximum";
            json_error(
                400,
                json!({ "type": "error", "error": { "type": "invalid_request_error", "message": message } }),
            )
        },
        wanted: |_| refused(Kind::ContextTooLong, 400, "prompt is too long: 205000 tokens > 200000 maximum"),
    },
    Case {
        name: "an answer and a context too long for Anthropic",
        sent: |_| {
            let message = "input length and `max_tokens` exceed context limit: 198000 + 8192 > 200000";
            json_error(
                400,
                json!({ "type": "error", "error": { "type": "invalid_request_error", "message": message } }),
            )
        },
        wanted: |_| {
            let words = "input length and `max_tokens` exceed context limit: 198000 + 8192 > 200000";
            refused(Kind::ContextTooLong, 400, words)
        },
    },
    Case {
        name: "a context too long for Gemini",
        sent: |_| {
            let message =
                "The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).";
            json_error(
                400,
                json!({ "error": { "code": 400, "message": message, "status": "INVALID_ARGUMENT" } }),
            )
        },
        wanted: |_| {
            let words =
                "The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).";
            refused(Kind::ContextTooLong, 400, words)
        },
    },
    Case {
        name: "a context too long for llama.cpp",
        sent: |_| {
            let message = "the request exceeds the available context size, try increasing it";
            json_error(
                400,
                json!({ "error": { "code": 400, "message": message, "type": "exceed_context_size_error" } }),
            )
        },
        wanted: |_| {
            let words = "the request exceeds the available context size, try increasing it";
            refused(Kind::ContextTooLong, 400, words)
        },
    },
    Case {
        name: "a context too long for vLLM",
        sent: |_| {
            let message =
                "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens";
            json_error(
                400,
                json!({ "object": "error", "message": message, "type": "BadRequestError", "code": 400 }),
            )
        },
        wanted: |_| {
            let words =
                "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens";
            refused(Kind::ContextTooLong, 400, words)
        },
    },
    Case {
        name: "a context too long for Mistral",
        sent: |_| {
            let message = "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length";
            json_error(400, json!({ "object": "error", "message": message, "type": "invalid_request_error" }))
        },
        wanted: |_| {
            let words = "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length";
            refused(Kind::ContextTooLong, 400, words)
        },
    },
    Case {
        name: "a request too large for Anthropic",
        sent: |_| {
            json_error(
                413,
                json!({ "type": "error", "error": { "type": "request_too_large", "message": "no" } }),
            )
        },
        wanted: |_| refused(Kind::ContextTooLong, 413, "no"),
    },
    Case {
        name: "no credit at OpenAI",
        sent: |_| {
            json_error(
                429,
                json!({ "error": { "message": "no credit", "type": "insufficient_quota", "code": "insufficient_quota" } }),
            )
        },
        wanted: |_| refused(Kind::Quota, 429, "no credit"),
    },
    Case {
        name: "no credit at Anthropic",
        sent: |_| {
            let message = "Your credit balance is too low to access the Anthropic API.";
            json_error(
                400,
                json!({ "type": "error", "error": { "type": "invalid_request_error", "message": message } }),
            )
        },
        wanted: |_| refused(Kind::Quota, 400, "Your credit balance is too low to access the Anthropic API."),
    },
    Case {
        name: "the day's limit at Gemini",
        sent: |_| {
            json_error(
                429,
                json!({ "error": { "code": 429, "message": "spent", "status": "RESOURCE_EXHAUSTED", "details": [
                    { "violations": [{ "quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier" }] },
                ] } }),
            )
        },
        wanted: |_| refused(Kind::Quota, 429, "spent"),
    },
    Case {
        name: "no credit at DeepSeek and OpenRouter",
        sent: |_| json_error(402, json!({ "error": { "message": "Insufficient Balance", "code": 402 } })),
        wanted: |_| refused(Kind::Quota, 402, "Insufficient Balance"),
    },
    Case {
        name: "a wrong key at Gemini",
        sent: |_| {
            json_error(
                400,
                json!({ "error": { "code": 400, "message": "no key", "status": "INVALID_ARGUMENT", "details": [
                    { "reason": "API_KEY_INVALID" },
                ] } }),
            )
        },
        wanted: |_| refused(Kind::Auth, 400, "no key"),
    },
    Case {
        name: "a prompt that a filter declines",
        sent: |_| json_error(400, json!({ "error": { "message": "filtered", "code": "content_filter" } })),
        wanted: |_| refused(Kind::Declined, 400, "filtered"),
    },
    Case {
        name: "OpenRouter passes on what another server said",
        sent: |_| {
            json_error(
                502,
                json!({ "error": { "code": 502, "message": "Provider returned error", "metadata": {
                    "provider_name": "Acme", "raw": "out of memory",
                } } }),
            )
        },
        wanted: |_| refused(Kind::Server, 502, "Provider returned error (`Acme`: out of memory)"),
    },
    Case {
        name: "the request's id in the headers",
        sent: |w| {
            let names = ["request-id", "x-request-id", "apim-request-id", "cf-ray"];
            names.iter().map(|name| no(w, 500, "no").header(*name, "req_1")).collect()
        },
        wanted: |_| refused(Kind::Server, 500, "no [request req_1]"),
    },
    Case {
        name: "the request's id in the body",
        sent: |_| json_error(500, json!({ "error": { "message": "no" }, "request_id": "req_2" })),
        wanted: |_| refused(Kind::Server, 500, "no [request req_2]"),
    },
];
