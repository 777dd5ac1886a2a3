//! Where models are asked: an endpoint as the settings describe it, and what all dialogues with it share. Reaches no
//! network; knows no wire's words.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use codetether_event::{ProviderFailure, ProviderFailureKind};
use codetether_secret::Secret;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::Url;

use crate::cassette::{Cassettes, Transport};
use crate::errors::Blame;

/// Longer limits are as good as none, and would overflow the clock.
const TIMEOUT_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Longest silence where the settings name none.
const IDLE: Duration = Duration::from_secs(90);
/// The same where a model thinks, which some servers show nothing of.
const IDLE_THINKING: Duration = Duration::from_secs(300);

/// Where models are asked.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its name in the settings, for messages.
    pub name: String,
    /// Such as `https://api.openai.com/v1`; the wire's own path is added.
    pub base_url: String,
    /// Goes into the wire's header for it; local servers need none.
    pub key: Option<Secret>,
    /// Further headers of every request; they replace those of the wire.
    pub headers: Vec<(String, String)>,
    /// Longest silence before an attempt counts as failed. Without it: 90 seconds; 300 of a model that is known or
    /// asked to reason, and of a server on this machine, which may read a long prompt for so long.
    pub idle_timeout: Option<Duration>,
    /// Longest time of an attempt; without it there is no limit but that of silence.
    pub total_timeout: Option<Duration>,
    /// Whether the server is told to hold the model to the schemas of tools, where that loses nothing. Without it: as
    /// its vendor advises.
    pub strict_tools: Option<bool>,
}

/// How a wire addresses its servers.
#[derive(Debug)]
pub(crate) struct Protocol {
    /// What its answers are called.
    pub(crate) answer: &'static str,
    /// Where answers of a model are asked for, given the path of `base_url` without its last slashes, and the model's
    /// name. Not encoded, but for what the wire encodes itself.
    pub(crate) path: fn(base: &str, model: &str) -> String,
    /// What is added to the query.
    pub(crate) query: &'static [(&'static str, &'static str)],
    /// The header of the key, and what stands before the key in it.
    pub(crate) key: (HeaderName, &'static str),
    /// Headers of every request.
    pub(crate) headers: &'static [(&'static str, &'static str)],
}

/// What all dialogues with an endpoint share.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) client: reqwest::Client,
    pub(crate) cassettes: Cassettes,
    /// What is wrong with the endpoint is told by the first sample.
    pub(crate) target: Result<Target, ProviderFailure>,
    path: fn(&str, &str) -> String,
    query: &'static [(&'static str, &'static str)],
    pub(crate) blame: Blame,
    idle_timeout: Option<Duration>,
    pub(crate) total_timeout: Duration,
    /// What the settings say of strict tools.
    pub(crate) strict_tools: Option<bool>,
    /// Whether there may be a connection that was used before, by which the next request goes.
    answered: AtomicBool,
}

#[derive(Debug)]
pub(crate) struct Target {
    /// `base_url` and the wire's query: where the model's answers are asked for, [`Line::url`] tells.
    url: Url,
    pub(crate) headers: HeaderMap,
}

impl Line {
    pub(crate) fn new(endpoint: &Endpoint, transport: impl Into<Transport>, protocol: &Protocol) -> Self {
        let Transport { client, cassettes } = transport.into();
        cassettes.learn(secrets(endpoint));
        let blame = blame(endpoint, protocol);
        Self {
            client,
            cassettes,
            target: target(endpoint, protocol, &blame),
            path: protocol.path,
            query: protocol.query,
            blame,
            idle_timeout: endpoint.idle_timeout.map(|time| time.min(TIMEOUT_MAX)),
            total_timeout: endpoint.total_timeout.unwrap_or(TIMEOUT_MAX).min(TIMEOUT_MAX),
            strict_tools: endpoint.strict_tools,
            answered: AtomicBool::new(false),
        }
    }

    /// An answer has begun.
    pub(crate) fn answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    /// A request that was not answered. The first after one that was may have gone by a connection that the server was
    /// just closing, as it does with idle ones: that is no sign of trouble, and there is no reason to wait.
    pub(crate) fn unanswered(&self, error: &reqwest::Error) -> ProviderFailure {
        let failure = self.blame.transport(error);
        let broke = error.is_request() && !error.is_connect() && !error.is_timeout();
        match self.answered.swap(false, Ordering::Relaxed) && broke {
            true => ProviderFailure { retry_after_ms: Some(0), ..failure },
            false => failure,
        }
    }

    /// Longest silence, with a model that does or does not think before it speaks.
    pub(crate) fn idle_timeout(&self, thinks: bool) -> Duration {
        let usual = if thinks || self.is_local() { IDLE_THINKING } else { IDLE };
        self.idle_timeout.unwrap_or(usual)
    }

    /// Where answers of this model are asked for.
    pub(crate) fn url(&self, target: &Target, model: &str) -> Url {
        at(&target.url, self.path, model)
    }

    /// Whether the endpoint is on this machine.
    pub(crate) fn is_local(&self) -> bool {
        let host = self.target.as_ref().ok().and_then(|target| target.url.host_str()).unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    /// Whether the endpoint is at this host.
    pub(crate) fn is_at(&self, host: &str) -> bool {
        self.target.as_ref().is_ok_and(|target| target.url.host_str() == Some(host))
    }

    /// Where something else is asked for; without the query of the wire's answers.
    pub(crate) fn beside(&self, target: &Target, path: fn(&str) -> String) -> Url {
        let mut url = target.url.clone();
        url.set_path(&path(target.url.path().trim_end_matches('/')));
        let query = target
            .url
            .query_pairs()
            .filter(|(name, value)| !self.query.iter().any(|(wires, with)| name == wires && value == with));
        let query: Vec<_> = query.collect();
        url.set_query(None);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }
}

fn blame(endpoint: &Endpoint, protocol: &Protocol) -> Blame {
    let url = url(&endpoint.base_url, protocol).ok();
    let host = url.as_ref().and_then(host_and_port).unwrap_or_default();
    Blame::new(&endpoint.name, host, protocol.answer, secrets(endpoint))
}

fn target(endpoint: &Endpoint, protocol: &Protocol, blame: &Blame) -> Result<Target, ProviderFailure> {
    url(&endpoint.base_url, protocol)
        .and_then(|url| Ok(Target { url, headers: headers(endpoint, protocol)? }))
        .map_err(|problem| {
            let message = format!("cannot ask `{}`: {problem}", endpoint.name);
            blame.failure(ProviderFailureKind::BadRequest, message)
        })
}

fn url(base: &str, protocol: &Protocol) -> Result<Url, String> {
    let mut url = Url::parse(base.trim()).map_err(|error| format!("`base_url` is not a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err("`base_url` must begin with `http://HOST` or `https://HOST`".to_owned());
    }
    if !protocol.query.is_empty() {
        url.query_pairs_mut().extend_pairs(protocol.query);
    }
    Ok(url)
}

fn at(base: &Url, path: fn(&str, &str) -> String, model: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&path(base.path().trim_end_matches('/'), model));
    url
}

fn host_and_port(url: &Url) -> Option<String> {
    Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
}

fn headers(endpoint: &Endpoint, protocol: &Protocol) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // Compressed, events would come late; what is compressed all the same is read.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream, application/json"));
    for (name, value) in protocol.headers {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let key = endpoint.key.as_ref().map_or("", |key| key.expose().trim());
    if !key.is_empty() {
        let (name, before) = &protocol.key;
        let value = HeaderValue::try_from(format!("{before}{key}"));
        let mut value = value.map_err(|_| "its key holds a character that no header can carry".to_owned())?;
        value.set_sensitive(true);
        headers.insert(name, value);
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
    use http::header::AUTHORIZATION;

    use super::*;

    const PROTOCOL: Protocol = Protocol {
        answer: "an answer",
        path: |base, model| format!("{base}/{model}/ask"),
        query: &[],
        key: (AUTHORIZATION, "Bearer "),
        headers: &[("x-version", "1")],
    };

    fn endpoint(base_url: &str) -> Endpoint {
        Endpoint {
            name: "acme".into(),
            base_url: base_url.into(),
            key: Some(Secret::from("sk-123456789\n".to_owned())),
            headers: Vec::new(),
            idle_timeout: None,
            total_timeout: Some(Duration::MAX),
            strict_tools: None,
        }
    }

    #[test]
    fn silence_is_borne_longer_where_a_model_thinks_or_the_server_is_here() {
        let client = codetether_net::client("http://h").unwrap();
        let idle = |endpoint: &Endpoint, thinks| {
            Line::new(endpoint, client.clone(), &PROTOCOL).idle_timeout(thinks).as_secs()
        };
        for (base_url, thinks, seconds) in [
            ("http://h/v1", false, 90),
            ("http://h/v1", true, 300),
            ("http://localhost:8080/v1", false, 300),
            ("http://[::1]/v1", false, 300),
        ] {
            assert_eq!(idle(&endpoint(base_url), thinks), seconds, "{base_url}");
            let own = Endpoint { idle_timeout: Some(Duration::from_secs(7)), ..endpoint(base_url) };
            assert_eq!(idle(&own, thinks), 7);
        }
    }

    #[test]
    fn the_path_is_added_to_whatever_the_base_is() {
        for (base, whole) in [
            ("https://api.openai.com/v1", "https://api.openai.com/v1/m/ask"),
            ("http://127.0.0.1:8080/v1/ ", "http://127.0.0.1:8080/v1/m/ask"),
            ("http://[::1]:1", "http://[::1]:1/m/ask"),
            ("https://h/deployments/d?api-version=1", "https://h/deployments/d/m/ask?api-version=1"),
        ] {
            let base = url(base, &PROTOCOL).unwrap();
            assert_eq!(at(&base, PROTOCOL.path, "m").as_str(), whole);
        }
        let asking = Protocol { query: &[("alt", "sse")], ..PROTOCOL };
        assert_eq!(url("http://h/v1?a=b", &asking).unwrap().as_str(), "http://h/v1?a=b&alt=sse");
    }

    #[test]
    fn a_key_loses_the_line_end_that_files_give_it() {
        let headers = headers(&endpoint("http://h"), &PROTOCOL).unwrap();
        assert_eq!(headers.get(AUTHORIZATION).unwrap(), "Bearer sk-123456789");
        assert!(headers.get(AUTHORIZATION).unwrap().is_sensitive());
    }

    #[test]
    fn a_header_of_the_settings_replaces_one_of_the_wire() {
        let own = vec![("X-Version".to_owned(), "2".to_owned())];
        let sent = headers(&Endpoint { headers: own, ..endpoint("http://h") }, &PROTOCOL).unwrap();
        assert_eq!(sent.get_all("x-version").iter().collect::<Vec<_>>(), ["2"]);
        assert_eq!(headers(&endpoint("http://h"), &PROTOCOL).unwrap().get("x-version").unwrap(), "1");
    }

    #[test]
    fn what_is_wrong_with_an_endpoint_is_told_without_its_secrets() {
        let problem = |endpoint: Endpoint| {
            target(&endpoint, &PROTOCOL, &blame(&endpoint, &PROTOCOL)).map(|_| ()).unwrap_err().message
        };
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
