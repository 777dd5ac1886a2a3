//! What went wrong, in one of the classes that the rest of the program acts on, said in the server's own words where
//! it had any. Never shows a key or a URL: a message goes to the screen, to the journal and to bug reports.

use std::error::Error as _;
use std::io;
use std::time::{Duration, SystemTime};

use codetether_event::{ProviderFailure, ProviderFailureKind as Kind};
use codetether_secret::{Redactor, Secret};
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::waits;

/// Headers of the request's id: of Anthropic, OpenAI and most, Azure, Amazon, and the network in front of many.
const IDS: [&str; 5] = ["request-id", "x-request-id", "apim-request-id", "x-amzn-requestid", "cf-ray"];
/// Longest text of a server that is shown, in characters.
const SHOWN_MAX: usize = 600;
/// What stands before the id of a request.
const REQUEST: &str = " [request ";
/// Longest id of a request that is shown, in characters.
const ID_MAX: usize = 100;

/// Words of the many servers for "this is more than the model takes".
const TOO_LONG: [&str; 12] = [
    "context_length_exceeded",
    "exceed_context_size",
    "context length",
    "context window",
    "context size",
    "context limit",
    "request_too_large",
    "maximum context",
    "prompt is too long",
    "input is too long",
    "too many input tokens",
    "input token count",
];

/// Whom a message names.
#[derive(Debug)]
pub(crate) struct Blame {
    /// The endpoint's name in the settings.
    name: String,
    /// `host:port`.
    host: String,
    /// What the wire's answers are called.
    answer: &'static str,
    redactor: Redactor,
}

impl Blame {
    pub(crate) fn new(
        name: &str,
        host: String,
        answer: &'static str,
        secrets: impl IntoIterator<Item = Secret>,
    ) -> Self {
        Self { name: name.to_owned(), host, answer, redactor: Redactor::new(secrets) }
    }

    /// A failure in our own words, the server's among them.
    pub(crate) fn failure(&self, kind: Kind, message: impl AsRef<str>) -> ProviderFailure {
        let message = shown(&self.redactor.redact(message.as_ref()));
        ProviderFailure { kind, status: None, message, retry_after_ms: None }
    }

    /// The endpoint's name, as messages have it.
    pub(crate) fn named(&self) -> String {
        format!("`{}`", self.name)
    }

    /// What is asked for is not to be had from this wire or model.
    pub(crate) fn refused(&self, problem: &str) -> ProviderFailure {
        self.failure(Kind::BadRequest, format!("cannot ask `{}`: {problem}", self.name))
    }

    /// An answer with a status that says no. `body` is as much of its body as was read.
    pub(crate) fn status(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        model: &str,
    ) -> ProviderFailure {
        let said = Said::read(body);
        let kind = kind_of(status.as_u16(), &said);
        let name = &self.name;
        let mut message = match said.text.is_empty() {
            true => format!("`{name}` answered {status}"),
            false => format!("`{name}` answered {}: {}", status.as_u16(), said.text),
        };
        match status.as_u16() {
            404 if model.is_empty() => message.push_str(" (is `base_url` right?)"),
            404 => {
                message.push_str(&format!(" (is `{model}` the model's name there, and `base_url` right?)"))
            }
            300..=399 => message.push_str(" (it redirects: set `base_url` to where it leads)"),
            _ => {}
        }
        push_id(&mut message, request_id(headers).or(said.request_id.as_deref()));
        let now = SystemTime::now();
        let limit = || if kind == Kind::RateLimited { waits::of_limits(headers, now) } else { None };
        let wait = waits::asked(headers, now).or(said.retry_after_ms).or_else(limit);
        let failure = self.failure(kind, message);
        ProviderFailure { status: Some(status.as_u16()), retry_after_ms: wait, ..failure }
    }

    /// A failure in the middle of a response with these headers, with the id of its request where it names none yet.
    pub(crate) fn identified(&self, failure: ProviderFailure, id: Option<&str>) -> ProviderFailure {
        if failure.message.ends_with(']') && failure.message.contains(REQUEST) {
            return failure;
        }
        let mut message = failure.message;
        push_id(&mut message, id);
        ProviderFailure { message: shown(&self.redactor.redact(&message)), ..failure }
    }

    /// A refusal of a request with strict tools, with the way out where its words may be about them.
    pub(crate) fn of_strict_tools(&self, failure: ProviderFailure) -> ProviderFailure {
        const WORDS: [&str; 3] = ["strict", "schema", "grammar"];
        let said = failure.message.to_ascii_lowercase();
        if failure.kind != Kind::BadRequest || !WORDS.iter().any(|word| said.contains(word)) {
            return failure;
        }
        let way = format!(" (`strict_tools = false` in `[providers.{}]` asks for less)", self.name);
        let at = failure.message.rfind(REQUEST).unwrap_or(failure.message.len());
        let mut message = failure.message;
        message.insert_str(at, &way);
        ProviderFailure { message, ..failure }
    }

    /// A failure after some of the answer has come.
    pub(crate) fn begun(&self, failure: ProviderFailure) -> ProviderFailure {
        let kind = if failure.kind == Kind::Connection { Kind::Cut } else { failure.kind };
        ProviderFailure { kind, ..failure }
    }

    /// An error object where the answer should be.
    pub(crate) fn reported(&self, error: &str) -> ProviderFailure {
        let said = Said::read(error.as_bytes());
        let kind = said.status.map_or_else(|| kind_of_code(&said), |status| kind_of(status, &said));
        let text = if said.text.is_empty() { "an error without a message" } else { &said.text };
        let mut message = format!("`{}` reported: {text}", self.name);
        push_id(&mut message, said.request_id.as_deref());
        let retry_after_ms = said.retry_after_ms;
        ProviderFailure { status: said.status, retry_after_ms, ..self.failure(kind, message) }
    }

    /// The answer does not follow the protocol.
    pub(crate) fn protocol(&self, what: impl std::fmt::Display) -> ProviderFailure {
        self.failure(Kind::Protocol, format!("`{}` did not answer as {}: {what}", self.name, self.answer))
    }

    /// The connection broke, or none came about.
    pub(crate) fn transport(&self, error: &reqwest::Error) -> ProviderFailure {
        let (name, host) = (&self.name, &self.host);
        let cause = root_cause(error);
        let (kind, message) = if error.is_builder() {
            (Kind::BadRequest, format!("cannot ask `{name}`: {cause}"))
        } else if error.is_dns() {
            (
                Kind::Connection,
                format!("cannot find `{host}` for `{name}`: {cause} (check `base_url` and the network)"),
            )
        } else if error.is_connect() && error.is_timeout() {
            (Kind::Timeout, format!("`{name}` at `{host}` did not accept a connection in time"))
        } else if refused(error) {
            (Kind::Connection, format!("nothing listens at `{host}` for `{name}`: is the server running?"))
        } else if error.is_connect() {
            (Kind::Connection, format!("cannot connect to `{name}` at `{host}`: {cause}"))
        } else if error.is_timeout() {
            (Kind::Timeout, format!("`{name}` at `{host}` took too long: {cause}"))
        } else {
            (Kind::Connection, format!("the connection to `{name}` at `{host}` broke: {cause}"))
        };
        self.failure(kind, message)
    }

    /// The stream ended before the answer did.
    pub(crate) fn cut(&self) -> ProviderFailure {
        let (name, host) = (&self.name, &self.host);
        self.failure(
            Kind::Connection,
            format!("`{name}` at `{host}` closed the connection before its answer was whole"),
        )
    }

    /// Nothing came for this long.
    pub(crate) fn silent(&self, time: Duration) -> ProviderFailure {
        let text = format!("`{}` sent nothing for {} (`idle_timeout`)", self.name, seconds(time));
        self.failure(Kind::Timeout, text)
    }

    /// The whole answer took longer than this.
    pub(crate) fn endless(&self, time: Duration) -> ProviderFailure {
        let text = format!("`{}` did not finish within {} (`total_timeout`)", self.name, seconds(time));
        self.failure(Kind::Timeout, text)
    }
}

/// What a server said about its error, in whichever of the usual forms.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    text: String,
    /// Code, type and the like, lower case.
    code: String,
    /// A status inside the body.
    status: Option<u16>,
    /// What the server's own people find the request by.
    request_id: Option<String>,
    /// How long it asks to wait.
    retry_after_ms: Option<u64>,
}

/// What stands behind an error that OpenRouter passes on: whose it is, and that one's own words.
fn upstream(error: &Value) -> String {
    let Some(metadata) = error.get("metadata") else { return String::new() };
    let Some(name) = metadata.get("provider_name").and_then(Value::as_str) else { return String::new() };
    match metadata.get("raw") {
        Some(Value::String(raw)) if !raw.trim().is_empty() => format!(" (`{name}`: {})", raw.trim()),
        _ => format!(" (`{name}`)"),
    }
}

impl Said {
    fn read(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let Ok(value) = serde_json::from_str::<Value>(&text) else {
            return Self { text: plain(&text), ..Self::default() };
        };
        let value = value.get(0).unwrap_or(&value);
        let error = value.get("error").filter(|error| !error.is_null()).unwrap_or(value);
        let text = ["message", "detail", "error", "msg"]
            .iter()
            .find_map(|key| error.get(key).or_else(|| value.get(key)).filter(|text| !text.is_object()))
            .unwrap_or(error);
        let mut words = ["code", "type", "status"].map(|key| word(error, key)).to_vec();
        // Google's details: `ErrorInfo`, `QuotaFailure` and `RetryInfo`.
        let list = |value: &Value, key| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        let details = list(error, "details");
        for detail in &details {
            words.push(word(detail, "reason"));
            words.extend(list(detail, "violations").iter().map(|violation| word(violation, "quotaId")));
        }
        let status = ["code", "status"]
            .iter()
            .filter_map(|key| error.get(key))
            .find_map(|status| status.as_u64().or_else(|| status.as_str()?.parse().ok()))
            .and_then(|status| u16::try_from(status).ok())
            .filter(|status| (400..600).contains(status));
        let mut text = match text {
            Value::String(text) => text.trim().to_owned(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        let said = text.clone();
        text.push_str(&upstream(error));
        Self {
            text,
            code: words.join(" ").trim().to_owned(),
            retry_after_ms: details.iter().find_map(retry_delay).or_else(|| waits::in_words(&said)),
            status,
            request_id: value.get("request_id").and_then(Value::as_str).map(str::to_owned),
        }
    }

    fn mentions(&self, words: &[&str]) -> bool {
        let text = self.text.to_lowercase();
        words.iter().any(|word| self.code.contains(word) || text.contains(word))
    }

    fn is_quota(&self) -> bool {
        // Anthropic says the last one with a 400 and the code of any wrong request.
        // Google calls a limit of a day by the code of one of a minute.
        const SPENT: [&str; 4] = ["insufficient_quota", "billing", "payment_required", "perday"];
        SPENT.iter().any(|word| self.code.contains(word)) || self.text.contains("credit balance is too low")
    }

    fn is_overloaded(&self) -> bool {
        self.mentions(&["overloaded", "unavailable", "at capacity", "over capacity"])
    }

    fn is_declined(&self) -> bool {
        ["content_filter", "_policy", "moderation"].iter().any(|word| self.code.contains(word))
    }
}

/// A word of an object, lower case; empty where there is none.
fn word(object: &Value, key: &str) -> String {
    object.get(key).and_then(Value::as_str).map(str::to_lowercase).unwrap_or_default()
}

/// The wait in a `RetryInfo` of Google's: seconds, such as `34.07s`.
fn retry_delay(detail: &Value) -> Option<u64> {
    let seconds = detail.get("retryDelay")?.as_str()?.strip_suffix('s')?.parse::<f64>().ok()?;
    (seconds >= 0.0).then_some((seconds * 1_000.0).ceil() as u64)
}

/// What the server's own people find the request by.
pub(crate) fn request_id(headers: &HeaderMap) -> Option<&str> {
    IDS.iter().find_map(|name| headers.get(*name)?.to_str().ok())
}

/// Appends the id of a request, cut where it has no end.
fn push_id(message: &mut String, id: Option<&str>) {
    if let Some(id) = id.filter(|id| !id.is_empty()) {
        message.push_str(REQUEST);
        message.extend(id.chars().take(ID_MAX));
        message.push(']');
    }
}

fn kind_of(status: u16, said: &Said) -> Kind {
    match status {
        402 => Kind::Quota,
        400..=499 if said.is_quota() => Kind::Quota,
        400..=403 | 422 if said.is_declined() => Kind::Declined,
        // Google says 400 to a wrong key.
        400 if said.code.contains("api_key_invalid") => Kind::Auth,
        401 | 403 => Kind::Auth,
        413 => Kind::ContextTooLong,
        // llama.cpp's server once said it with a 500.
        400 | 422 | 500 if said.mentions(&TOO_LONG) => Kind::ContextTooLong,
        408 => Kind::Timeout,
        409 | 425 => Kind::Server,
        429 => Kind::RateLimited,
        300..=499 => Kind::BadRequest,
        503 | 529 => Kind::Overloaded,
        _ if said.is_overloaded() => Kind::Overloaded,
        _ => Kind::Server,
    }
}

/// The class of an error that came without a status.
fn kind_of_code(said: &Said) -> Kind {
    let code = |words: &[&str]| words.iter().any(|word| said.code.contains(word));
    if said.is_quota() {
        Kind::Quota
    } else if said.is_declined() {
        Kind::Declined
    } else if said.mentions(&TOO_LONG) {
        Kind::ContextTooLong
    } else if code(&["rate_limit", "too_many_requests", "resource_exhausted"]) {
        Kind::RateLimited
    } else if code(&["authentication", "permission", "invalid_api_key", "unauthenticated"]) {
        Kind::Auth
    } else if code(&[
        "invalid_request",
        "invalid_prompt",
        "invalid_image",
        "invalid_argument",
        "not_found",
        "bad_request",
    ]) {
        Kind::BadRequest
    } else if said.is_overloaded() {
        Kind::Overloaded
    } else {
        Kind::Server
    }
}

/// Plain text, or a page in place of JSON: its words are enough, its markup is not.
fn plain(text: &str) -> String {
    let text = text.trim();
    if !text.starts_with('<') {
        return text.to_owned();
    }
    let words = text.split('<').filter_map(|piece| piece.split_once('>')).map(|(_, words)| words.trim());
    words.filter(|words| !words.is_empty()).collect::<Vec<_>>().join(" ")
}

/// One bounded line that cannot steer a terminal.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::new();
    let mut gap = false;
    for (count, c) in text.trim().chars().enumerate() {
        if count == SHOWN_MAX {
            shown.push('…');
            break;
        }
        match c {
            c if c.is_whitespace() || c.is_control() => gap = true,
            c => {
                if std::mem::take(&mut gap) {
                    shown.push(' ');
                }
                shown.push(c);
            }
        }
    }
    shown
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

fn refused(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    })
}

fn root_cause(error: &reqwest::Error) -> String {
    causes(error).last().map_or_else(|| "no cause given".to_owned(), ToString::to_string)
}

/// What lies beneath; reqwest's own text is passed over, for it names the URL.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |error| (**error).source())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blame() -> Blame {
        Blame::new("acme", "h:1".into(), "a chat completion", [Secret::from("sk-123456789".to_owned())])
    }

    fn status(code: u16, body: &str) -> (Kind, String) {
        let status = StatusCode::from_u16(code).unwrap();
        let failure = blame().status(status, &HeaderMap::new(), body.as_bytes(), "m1");
        assert_eq!(failure.status, Some(code));
        (failure.kind, failure.message)
    }

    #[test]
    fn a_status_has_a_class_and_the_server_the_word() {
        let error =
            |message: &str, code: &str| format!(r#"{{"error":{{"message":"{message}","code":"{code}"}}}}"#);
        assert_eq!(
            status(401, &error("Incorrect API key", "invalid_api_key")),
            (Kind::Auth, "`acme` answered 401: Incorrect API key".into())
        );
        assert_eq!(
            status(403, r#"{"error":"no access"}"#),
            (Kind::Auth, "`acme` answered 403: no access".into())
        );
        let cases = [
            (402, "{}", Kind::Quota),
            (429, &error("x", "insufficient_quota"), Kind::Quota),
            (429, &error("maximum context length per minute", "rate_limit_exceeded"), Kind::RateLimited),
            (400, &error("x", "context_length_exceeded"), Kind::ContextTooLong),
            (
                400,
                r#"{"error":{"code":400,"message":"x","type":"exceed_context_size_error"}}"#,
                Kind::ContextTooLong,
            ),
            (500, &error("the request exceeds the available context size", ""), Kind::ContextTooLong),
            (400, &error("filtered", "content_filter"), Kind::Declined),
            (400, &error("bad schema", "invalid_value"), Kind::BadRequest),
            (408, "", Kind::Timeout),
            (409, "", Kind::Server),
            (413, "", Kind::ContextTooLong),
            (425, "", Kind::Server),
            (500, "", Kind::Server),
            (
                529,
                r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
                Kind::Overloaded,
            ),
        ];
        for (code, body, kind) in cases {
            assert_eq!(status(code, body).0, kind, "{code} {body}");
        }
    }

    #[test]
    fn a_message_says_what_to_check() {
        let (kind, message) = status(404, r#"{"detail":"model not found"}"#);
        assert_eq!(kind, Kind::BadRequest);
        assert_eq!(
            message,
            "`acme` answered 404: model not found (is `m1` the model's name there, and `base_url` right?)"
        );
        let (kind, message) = status(307, "");
        assert_eq!(kind, Kind::BadRequest);
        assert!(message.contains("it redirects"), "{message}");
        assert_eq!(status(502, "<html><h1>Bad\n Gateway</h1></html>").1, "`acme` answered 502: Bad Gateway");
        assert_eq!(status(503, "").1, "`acme` answered 503 Service Unavailable");
        assert_eq!(
            status(422, r#"[{"error":{"message":"first of a list"}}]"#).1,
            "`acme` answered 422: first of a list"
        );
        assert_eq!(status(422, r#"{"detail":[{"msg":"m"}]}"#).1, r#"`acme` answered 422: [{"msg":"m"}]"#);
    }

    #[test]
    fn a_message_holds_no_key_no_control_character_and_no_end() {
        let text = format!("key sk-123456789 \u{1b}[31mis\nwrong {}", "ä".repeat(5_000));
        let (_, message) = status(401, &serde_json::json!({"error": {"message": text}}).to_string());
        assert!(message.starts_with("`acme` answered 401: key [redacted] [31mis wrong ää"), "{message}");
        assert!(message.chars().count() <= SHOWN_MAX + 1 && message.ends_with('…'), "{message}");
    }

    #[test]
    fn an_error_in_the_stream_is_classified_by_its_status_or_its_code() {
        let cases = [
            (r#"{"message":"slow down","code":429}"#, Kind::RateLimited, Some(429)),
            (r#"{"message":"slow down","code":"429"}"#, Kind::RateLimited, Some(429)),
            (r#"{"message":"x","type":"server_error"}"#, Kind::Server, None),
            (r#"{"message":"x","code":"rate_limit_exceeded"}"#, Kind::RateLimited, None),
            (r#"{"message":"x","type":"authentication_error"}"#, Kind::Auth, None),
            (r#"{"message":"x","type":"invalid_request_error"}"#, Kind::BadRequest, None),
            (
                r#"{"message":"prompt is too long","type":"invalid_request_error"}"#,
                Kind::ContextTooLong,
                None,
            ),
            (r#"{"message":"x","code":"insufficient_quota"}"#, Kind::Quota, None),
            (r#""just words""#, Kind::Server, None),
        ];
        for (error, kind, status) in cases {
            let failure = blame().reported(error);
            assert_eq!((failure.kind, failure.status), (kind, status), "{error}");
        }
        assert_eq!(blame().reported(r#""just words""#).message, "`acme` reported: just words");
        assert_eq!(blame().reported("{}").message, "`acme` reported: {}");
    }
}
