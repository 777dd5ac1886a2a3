//! A request as cassettes hold it: without secrets, by parts, and with names for what differs from run to run; and
//! where two of them differ first. Pure.

use std::sync::Arc;

use codetether_secret::{Redactor, Secret, Stream};
use http::{HeaderMap, Method};
use serde_json::{Map, Value};

use super::{Headers, Line, Part, Placeless};

/// Keys of a body whose values differ from session to session, and what stands for them.
const VOLATILE: [(&str, &str); 1] = [("prompt_cache_key", "{session}")];
/// Characters of a value that a message shows,
const SHOWN: usize = 110;
/// and how many of them are before what differs.
const SHOWN_BEFORE: usize = 30;

/// Takes out what no cassette may hold.
pub(crate) struct Scrubber {
    /// Knows the secrets of the process.
    shared: Arc<Redactor>,
    /// Knows those of the endpoints.
    own: Arc<Redactor>,
    placeless: Placeless,
}

impl std::fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scrubber").finish_non_exhaustive()
    }
}

impl Scrubber {
    pub(crate) fn new(shared: Arc<Redactor>, placeless: Placeless) -> Self {
        Self { shared, own: Arc::default(), placeless }
    }

    pub(crate) fn learn(&self, secrets: impl IntoIterator<Item = Secret>) {
        self.own.learn(secrets);
    }

    /// A text without secrets.
    fn redact(&self, text: &str) -> String {
        self.own.redact(&self.shared.redact(text)).into_owned()
    }

    /// Takes secrets out of an answer as it comes.
    pub(crate) fn stream(&self) -> Scrubbed {
        Scrubbed { shared: self.shared.stream(), own: self.own.stream(), between: Vec::new() }
    }

    /// Headers, those whose name or mark speaks of a secret without their values.
    pub(crate) fn headers(&self, headers: &HeaderMap) -> Headers {
        let hides = |name: &str| ["cookie", "authorization"].iter().any(|word| name.contains(word));
        headers
            .iter()
            .map(|(name, value)| {
                let hidden = value.is_sensitive() || hides(name.as_str());
                let value = String::from_utf8_lossy(value.as_bytes());
                let value = if hidden { "[redacted]".to_owned() } else { self.redact(&value) };
                (name.as_str().to_owned(), value)
            })
            .collect()
    }

    /// The same value with every text in it scrubbed. Its depth is that of what was parsed, which is bounded.
    fn scrub(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String((self.placeless)(&self.redact(&text))),
            Value::Array(values) => values.into_iter().map(|value| self.scrub(value)).collect(),
            Value::Object(object) => {
                let object = object.into_iter().map(|(key, value)| (self.redact(&key), self.scrub(value)));
                Value::Object(object.collect())
            }
            other => other,
        }
    }
}

/// An answer on its way through both redactors.
#[derive(Debug)]
pub(crate) struct Scrubbed {
    shared: Stream,
    own: Stream,
    between: Vec<u8>,
}

impl Scrubbed {
    /// As [`Stream::push`].
    pub(crate) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.shared.push(bytes, &mut self.between);
        self.own.push(&self.between, out);
        self.between.clear();
    }

    /// As [`Stream::finish`].
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        self.shared.finish(&mut self.between);
        self.own.push(&self.between, out);
        self.between.clear();
        self.own.finish(out);
    }
}

/// A request.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: Headers,
    pub(super) parts: Vec<Part>,
}

impl Asked {
    pub(crate) fn new(
        scrubber: &Scrubber,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Self {
        let body = serde_json::from_slice(body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(body).into_owned()));
        Self {
            method: method.as_str().to_owned(),
            path: scrubber.redact(path),
            headers: scrubber.headers(headers),
            parts: parts(scrubber, body),
        }
    }

    /// The lines of a cassette that say it.
    pub(super) fn lines(self) -> impl Iterator<Item = Line> {
        let Self { method, path, headers, parts } = self;
        let request = Line::Request { version: super::VERSION, method, path, headers };
        std::iter::once(request).chain(parts.into_iter().map(Line::Body))
    }

    /// What is first not as it was when it was recorded, in words; `None` where all is.
    pub(super) fn difference(&self, method: &str, path: &str, recorded: &[Part]) -> Option<String> {
        let target = |method: &str, path: &str| Value::String(format!("{method} {path}"));
        let (before, now) = (target(method, path), target(&self.method, &self.path));
        if before != now {
            return Some(told("the target", Some(&before), Some(&now)));
        }
        let mut asked = self.parts.iter();
        for part in recorded {
            match asked.next() {
                Some(now) if now.at == part.at => {
                    if let Some(difference) = first_difference(&part.at, &part.is, &now.is) {
                        return Some(difference);
                    }
                }
                // Something stands before it, or in its place.
                Some(now) if self.parts.iter().any(|later| later.at == part.at) => {
                    return Some(told(&format!("`{}`", now.at), None, Some(&now.is)));
                }
                _ => return Some(told(&format!("`{}`", part.at), Some(&part.is), None)),
            }
        }
        asked.next().map(|now| told(&format!("`{}`", now.at), None, Some(&now.is)))
    }
}

/// The values of the body's object, of lists each element.
fn parts(scrubber: &Scrubber, body: Value) -> Vec<Part> {
    let object = match body {
        Value::Object(object) if !object.is_empty() => object,
        other => return vec![Part { at: String::new(), is: scrubber.scrub(other) }],
    };
    let mut parts = Vec::new();
    for (key, value) in object {
        let at = format!("/{}", token(&scrubber.redact(&key)));
        match value {
            Value::Array(values) if !values.is_empty() => {
                let element =
                    |(index, value)| Part { at: format!("{at}/{index}"), is: scrubber.scrub(value) };
                parts.extend(values.into_iter().enumerate().map(element));
            }
            value => {
                let name = VOLATILE.iter().find(|(volatile, _)| *volatile == key);
                let is = name.map_or_else(|| scrubber.scrub(value), |(_, name)| Value::from(*name));
                parts.push(Part { at, is });
            }
        }
    }
    parts
}

/// A key as JSON pointers write it.
fn token(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn first_difference(at: &str, recorded: &Value, asked: &Value) -> Option<String> {
    match (recorded, asked) {
        (Value::Object(recorded), Value::Object(asked)) => {
            let of = |key: &str| format!("{at}/{}", token(key));
            let changed = recorded.iter().find_map(|(key, value)| match asked.get(key) {
                Some(now) => first_difference(&of(key), value, now),
                None => Some(told(&format!("`{}`", of(key)), Some(value), None)),
            });
            let added = |asked: &Map<String, Value>| {
                let added = asked.iter().find(|(key, _)| !recorded.contains_key(key.as_str()));
                added.map(|(key, now)| told(&format!("`{}`", of(key)), None, Some(now)))
            };
            changed.or_else(|| added(asked))
        }
        (Value::Array(recorded), Value::Array(asked)) => {
            (0..recorded.len().max(asked.len())).find_map(|index| {
                let at = format!("{at}/{index}");
                match (recorded.get(index), asked.get(index)) {
                    (Some(recorded), Some(asked)) => first_difference(&at, recorded, asked),
                    (recorded, asked) => Some(told(&format!("`{at}`"), recorded, asked)),
                }
            })
        }
        _ if recorded == asked => None,
        _ => Some(told(&format!("`{at}`"), Some(recorded), Some(asked))),
    }
}

fn told(what: &str, recorded: Option<&Value>, asked: Option<&Value>) -> String {
    // Texts that begin alike are shown from shortly before where they part.
    let common = match (recorded, asked) {
        (Some(Value::String(one)), Some(Value::String(other))) => {
            one.chars().zip(other.chars()).take_while(|(one, other)| one == other).count()
        }
        _ => 0,
    };
    let skipped = common.saturating_sub(SHOWN_BEFORE);
    let shown = |value: Option<&Value>| match value {
        None => "nothing".to_owned(),
        Some(Value::String(text)) => format!("`{}`", excerpt(text, skipped)),
        Some(other) => format!("`{}`", excerpt(&other.to_string(), 0)),
    };
    format!("{what} was {} when it was recorded, and is {} now", shown(recorded), shown(asked))
}

fn excerpt(text: &str, skipped: usize) -> String {
    let mut rest = text.chars().skip(skipped);
    let mut excerpt = if skipped > 0 { "…".to_owned() } else { String::new() };
    excerpt.extend(rest.by_ref().take(SHOWN));
    if rest.next().is_some() {
        excerpt.push('…');
    }
    excerpt
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use serde_json::json;

    use super::*;

    fn scrubber() -> Scrubber {
        let redactor = Redactor::new([Secret::from("sk-123456\"789".to_owned())]);
        Scrubber::new(Arc::new(redactor), Arc::new(|text| text.replace("/home/ada", "{folder}")))
    }

    fn asked(body: &Value) -> Asked {
        let body = serde_json::to_vec(body).unwrap();
        Asked::new(&scrubber(), &Method::POST, "/v1/ask", &HeaderMap::new(), &body)
    }

    fn difference(recorded: &Value, now: &Value) -> Option<String> {
        asked(now).difference("POST", "/v1/ask", &asked(recorded).parts)
    }

    #[test]
    fn a_request_is_taken_apart_without_its_secrets_and_its_place() {
        let asked = asked(&json!({
            "model": "m", "messages": [{"content": "in /home/ada with sk-123456\"789"}, "two"], "tools": [],
            "a/b": {"c": [1]}, "prompt_cache_key": "session-7",
        }));
        let part = |at: &str, is: Value| Part { at: at.into(), is };
        assert_eq!(
            asked.parts,
            [
                part("/model", json!("m")),
                part("/messages/0", json!({"content": "in {folder} with [redacted]"})),
                part("/messages/1", json!("two")),
                part("/tools", json!([])),
                part("/a~1b", json!({"c": [1]})),
                part("/prompt_cache_key", json!("{session}")),
            ]
        );
    }

    #[test]
    fn headers_keep_no_key() {
        let mut headers = HeaderMap::new();
        let mut key = HeaderValue::from_static("unknown-key");
        key.set_sensitive(true);
        headers.insert("x-api-key", key);
        headers.insert("set-cookie", HeaderValue::from_static("a=b"));
        headers.insert("x-echo", HeaderValue::from_static("sk-123456\"789"));
        headers.insert("accept", HeaderValue::from_static("*/*"));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            scrubber().headers(&headers),
            [
                pair("x-api-key", "[redacted]"),
                pair("set-cookie", "[redacted]"),
                pair("x-echo", "[redacted]"),
                pair("accept", "*/*"),
            ]
        );
    }

    #[test]
    fn the_first_difference_is_told_by_its_pointer() {
        let recorded = json!({"model": "m", "messages": [{"role": "user", "content": ["a", "b"]}], "top": 1});
        assert_eq!(difference(&recorded, &recorded), None);
        for (now, expected) in [
            (
                json!({"model": "n", "messages": [{"role": "user", "content": ["a", "b"]}], "top": 2}),
                "`/model` was `m` when it was recorded, and is `n` now",
            ),
            (
                json!({"model": "m", "messages": [{"content": ["a", "b", "c"], "role": "user"}], "top": 1}),
                "`/messages/0/content/2` was nothing when it was recorded, and is `c` now",
            ),
            (
                json!({"model": "m", "messages": [{"role": "user"}], "top": 1}),
                "`/messages/0/content` was `[\"a\",\"b\"]` when it was recorded, and is nothing now",
            ),
            (
                json!({"model": "m", "messages": [{"role": "user", "content": ["a", "b"], "x": null}], "top": 1}),
                "`/messages/0/x` was nothing when it was recorded, and is `null` now",
            ),
            (
                json!({"model": "m", "messages": [{"role": "user", "content": ["a", "b"]}, 2], "top": 1}),
                "`/messages/1` was nothing when it was recorded, and is `2` now",
            ),
            (
                json!({"model": "m", "messages": [{"role": "user", "content": ["a", "b"]}]}),
                "`/top` was `1` when it was recorded, and is nothing now",
            ),
            (
                json!({"model": "m", "messages": [{"role": "user", "content": ["a", "b"]}], "top": 1, "p": 0}),
                "`/p` was nothing when it was recorded, and is `0` now",
            ),
        ] {
            assert_eq!(difference(&recorded, &now).as_deref(), Some(expected));
        }
        assert_eq!(
            asked(&recorded).difference("POST", "/v2/ask", &[]).unwrap(),
            "the target was `POST /v2/ask` when it was recorded, and is `POST /v1/ask` now"
        );
    }

    #[test]
    fn a_long_text_is_shown_where_it_differs() {
        let text = |word: &str| json!({"text": format!("{}{word}{}", "é".repeat(500), "z".repeat(500))});
        let told = difference(&text("one"), &text("two")).unwrap();
        let side = |word: &str| format!("`…{}{word}{}…`", "é".repeat(30), "z".repeat(77));
        let expected =
            format!("`/text` was {} when it was recorded, and is {} now", side("one"), side("two"));
        assert_eq!(told, expected);
    }
}
