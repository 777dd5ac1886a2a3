//! The wire of OpenAI's Chat Completions, as OpenAI and the many compatible servers speak it. Nothing is sent before the
//! first sample: no model is listed, no server probed. One attempt a sample; nothing is tried twice here.
//!
//! Source: OpenAI API reference, "Chat Completions" and its streaming events.

mod attempt;
mod errors;
mod request;
mod schema_calls;
mod sse;
mod stream;
mod usage;

use std::sync::Arc;
use std::time::Duration;

use codetether_event::{ProviderFailure, ProviderFailureKind};
use codetether_secret::Secret;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::Url;

use self::attempt::Chat;
use self::errors::Blame;
use self::request::LimitName;
use crate::{Dialogue, Epoch, Provider};

/// Longer limits are as good as none, and would overflow the clock.
const TIMEOUT_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Where models are asked.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its name in the settings, for messages.
    pub name: String,
    /// Such as `https://api.openai.com/v1`; `/chat/completions` is added.
    pub base_url: String,
    /// Goes into the `Authorization` header; local servers need none.
    pub key: Option<Secret>,
    /// Further headers of every request.
    pub headers: Vec<(String, String)>,
    /// How tools are called.
    pub tool_calls: ToolCalls,
    /// Longest silence before an attempt counts as failed.
    pub idle_timeout: Duration,
    /// Longest time of an attempt.
    pub total_timeout: Duration,
}

/// How an endpoint's models call tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ToolCalls {
    /// By the wire's own tool calls.
    #[default]
    Native,
    /// By an answer that must fit the union of the tools' schemas: for servers and models that make no tool calls.
    Schema,
}

/// An endpoint that speaks this wire.
#[derive(Debug)]
pub struct OpenAiChat {
    line: Arc<Line>,
}

impl OpenAiChat {
    /// Asks at this endpoint over this client's connections. What is wrong with the endpoint's URL, key or headers is
    /// told by the first sample.
    #[must_use]
    pub fn new(endpoint: Endpoint, client: reqwest::Client) -> Self {
        Self { line: Arc::new(Line::new(endpoint, client)) }
    }
}

impl Provider for OpenAiChat {
    fn dialogue(&self, epoch: &Epoch) -> Box<dyn Dialogue> {
        Box::new(Chat::new(Arc::clone(&self.line), epoch))
    }
}

/// What all dialogues with an endpoint share.
#[derive(Debug)]
struct Line {
    client: reqwest::Client,
    target: Result<Target, ProviderFailure>,
    blame: Blame,
    limit_name: LimitName,
    tool_calls: ToolCalls,
    idle_timeout: Duration,
    total_timeout: Duration,
}

#[derive(Debug)]
struct Target {
    url: Url,
    headers: HeaderMap,
}

impl Line {
    fn new(endpoint: Endpoint, client: reqwest::Client) -> Self {
        let blame = blame(&endpoint);
        let target = target(&endpoint, &blame);
        let official = target.as_ref().is_ok_and(|target| target.url.host_str() == Some("api.openai.com"));
        Self {
            client,
            target,
            blame,
            limit_name: if official { LimitName::MaxCompletionTokens } else { LimitName::MaxTokens },
            tool_calls: endpoint.tool_calls,
            idle_timeout: endpoint.idle_timeout.min(TIMEOUT_MAX),
            total_timeout: endpoint.total_timeout.min(TIMEOUT_MAX),
        }
    }
}

fn blame(endpoint: &Endpoint) -> Blame {
    let url = completions_url(&endpoint.base_url).ok();
    let host = url.as_ref().and_then(host_and_port).unwrap_or_default();
    Blame::new(&endpoint.name, host, secrets(endpoint))
}

fn target(endpoint: &Endpoint, blame: &Blame) -> Result<Target, ProviderFailure> {
    completions_url(&endpoint.base_url)
        .and_then(|url| Ok(Target { url, headers: headers(endpoint)? }))
        .map_err(|problem| {
            let message = format!("cannot ask `{}`: {problem}", endpoint.name);
            blame.failure(ProviderFailureKind::BadRequest, message)
        })
}

fn completions_url(base: &str) -> Result<Url, String> {
    const PATH: &str = "/chat/completions";
    let mut url = Url::parse(base.trim()).map_err(|error| format!("`base_url` is not a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err("`base_url` must begin with `http://HOST` or `https://HOST`".to_owned());
    }
    let path = url.path().trim_end_matches('/');
    let path = if path.ends_with(PATH) { path.to_owned() } else { format!("{path}{PATH}") };
    url.set_path(&path);
    Ok(url)
}

fn host_and_port(url: &Url) -> Option<String> {
    Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
}

fn headers(endpoint: &Endpoint) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream, application/json"));
    let key = endpoint.key.as_ref().map_or("", |key| key.expose().trim());
    if !key.is_empty() {
        let value = HeaderValue::try_from(format!("Bearer {key}"));
        let mut value = value.map_err(|_| "its key holds a character that no header can carry".to_owned())?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    for (name, text) in &endpoint.headers {
        let header =
            HeaderName::try_from(name).map_err(|_| format!("`{name}` is not the name of a header"))?;
        let value = HeaderValue::try_from(text);
        let mut value =
            value.map_err(|_| format!("the header `{name}` holds a character that no header can carry"))?;
        value.set_sensitive(true);
        headers.insert(header, value);
    }
    Ok(headers)
}

/// What must never be in a message: the key, the words of headers that are there to hold one, and what the URL tells
/// the server alone: its password and the values of its query but for versions.
fn secrets(endpoint: &Endpoint) -> Vec<Secret> {
    const HOLDERS: [&str; 7] = ["auth", "key", "token", "secret", "cookie", "pass", "credential"];
    let hides = |name: &str| HOLDERS.iter().any(|word| name.to_ascii_lowercase().contains(word));
    let words = endpoint
        .headers
        .iter()
        .filter(|(name, _)| hides(name))
        .flat_map(|(_, value)| value.split_whitespace());
    let key = endpoint.key.as_ref().map(|key| key.expose().trim());
    let url = Url::parse(endpoint.base_url.trim()).ok();
    key.into_iter()
        .chain(words)
        .map(str::to_owned)
        .chain(url.iter().flat_map(secrets_of))
        .map(Secret::from)
        .collect()
}

/// The secrets in a URL, as they are written there and as they are meant.
fn secrets_of(url: &Url) -> Vec<String> {
    let hides = |name: &str| !name.to_ascii_lowercase().contains("version");
    let written = url.query().into_iter().flat_map(|query| query.split('&'));
    let written = written.filter_map(|pair| pair.split_once('=')).filter(|(name, _)| hides(name));
    let meant = url.query_pairs().filter(|(name, _)| hides(name));
    let mut secrets: Vec<String> = written.map(|(_, value)| value.to_owned()).collect();
    secrets.extend(meant.map(|(_, value)| value.into_owned()));
    if let Some(password) = url.password() {
        secrets.push(password.to_owned());
        let mut decoder = url.clone();
        decoder.set_query(Some(&password.replace('+', "%2B").replace('&', "%26")));
        secrets.extend(decoder.query_pairs().map(|(password, _)| password.into_owned()));
    }
    secrets.sort_unstable();
    secrets.dedup();
    secrets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(base_url: &str) -> Endpoint {
        Endpoint {
            name: "acme".into(),
            base_url: base_url.into(),
            key: Some(Secret::from("sk-123456789\n".to_owned())),
            headers: Vec::new(),
            tool_calls: ToolCalls::Native,
            idle_timeout: Duration::MAX,
            total_timeout: Duration::MAX,
        }
    }

    #[test]
    fn the_path_is_added_to_whatever_the_base_is() {
        for (base, url) in [
            ("https://api.openai.com/v1", "https://api.openai.com/v1/chat/completions"),
            ("http://127.0.0.1:8080/v1/ ", "http://127.0.0.1:8080/v1/chat/completions"),
            ("http://[::1]:1", "http://[::1]:1/chat/completions"),
            ("https://h/x/chat/completions", "https://h/x/chat/completions"),
            (
                "https://h/deployments/d?api-version=1",
                "https://h/deployments/d/chat/completions?api-version=1",
            ),
        ] {
            assert_eq!(completions_url(base).unwrap().as_str(), url);
        }
    }

    #[test]
    fn a_key_loses_the_line_end_that_files_give_it() {
        let headers = headers(&endpoint("http://h")).unwrap();
        assert_eq!(headers.get(AUTHORIZATION).unwrap(), "Bearer sk-123456789");
        assert!(headers.get(AUTHORIZATION).unwrap().is_sensitive());
    }

    #[test]
    fn what_is_wrong_with_an_endpoint_is_told_without_its_secrets() {
        let problem =
            |endpoint: Endpoint| target(&endpoint, &blame(&endpoint)).map(|_| ()).unwrap_err().message;
        let text = problem(endpoint("h/v1"));
        assert!(text.starts_with("cannot ask `acme`: `base_url` is not a URL"), "{text}");
        assert!(problem(endpoint("ftp://h/v1")).contains("must begin with `http://HOST`"));
        let key = Some(Secret::from("sk-1234\n5678".to_owned()));
        assert_eq!(
            problem(Endpoint { key, ..endpoint("http://h") }),
            "cannot ask `acme`: its key holds a character that no header can carry"
        );
        let headers = vec![("a b".into(), "x".into())];
        assert!(
            problem(Endpoint { headers, ..endpoint("http://h") })
                .contains("`a b` is not the name of a header")
        );
    }

    #[test]
    fn headers_that_hold_keys_are_secret() {
        let headers =
            vec![("X-Title".into(), "codetether".into()), ("api-key".into(), "Token abcdefghi".into())];
        let secrets: Vec<_> = secrets(&Endpoint { headers, ..endpoint("http://h") })
            .iter()
            .map(|secret| secret.expose().to_owned())
            .collect();
        assert_eq!(secrets, ["sk-123456789", "Token", "abcdefghi"]);
    }

    #[test]
    fn the_secrets_of_the_url_and_of_other_names_are_known() {
        let url = "https://me:p%40ss+w&rd@h/v1?api-version=2026-01-01&sig=a%2Bbcdefgh";
        let headers =
            vec![("X-Passcode".into(), "opensesame".into()), ("x-credentials".into(), "abc".into())];
        let known: Vec<_> = secrets(&Endpoint { headers, key: None, ..endpoint(url) })
            .iter()
            .map(|secret| secret.expose().to_owned())
            .collect();
        assert_eq!(known, ["opensesame", "abc", "a%2Bbcdefgh", "a+bcdefgh", "p%40ss+w&rd", "p@ss+w&rd"]);
    }
}
