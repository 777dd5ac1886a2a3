//! Secret values, and taking them out of texts. Never prints one: a [`Secret`] shows itself as `[redacted]`, cannot
//! be serialised, and is wiped from memory when it is dropped.

mod needle;
mod stream;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use secrecy::{ExposeSecret, SecretString};

use crate::needle::{Hay, Needle};

pub use stream::Stream;

/// What stands where a secret was.
const REDACTED: &str = "[redacted]";
/// Shorter values are no secrets worth the name, and would be found in innocent texts.
const SHORTEST: usize = 8;

/// A secret text.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// The text itself: for the one place that sends it to where it belongs.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(SecretString::from(text))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(REDACTED)
    }
}

/// Takes known secrets out of texts: as they are, in base64 and URL-encoded. It can be told of more at any time, for
/// a key is looked for only when it is needed.
#[derive(Debug, Default)]
pub struct Redactor {
    known: RwLock<Arc<[Needle]>>,
}

impl Redactor {
    /// Knows these secrets; those shorter than eight bytes are passed over.
    #[must_use]
    pub fn new(secrets: impl IntoIterator<Item = Secret>) -> Self {
        let redactor = Self::default();
        redactor.learn(secrets);
        redactor
    }

    /// Knows these too from now on, in streams that began earlier as well.
    pub fn learn(&self, secrets: impl IntoIterator<Item = Secret>) {
        let secrets = secrets.into_iter().filter(|secret| secret.expose().len() >= SHORTEST);
        let more: Vec<Needle> = secrets.flat_map(|secret| needle::needles(&secret)).collect();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let more: Vec<Needle> = more.into_iter().filter(|new| known.iter().all(|old| !old.is(new))).collect();
        if more.is_empty() {
            return;
        }
        *known = known.iter().cloned().chain(more).collect();
    }

    fn needles(&self) -> Arc<[Needle]> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The text with every known secret replaced: each run of bytes that belong to one becomes one `[redacted]`,
    /// also where secrets overlap or hold one another.
    #[must_use]
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let runs = runs(&self.needles(), text.as_bytes(), 0);
        if runs.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        for run in runs {
            // Secrets are text, and text is only found in text at the borders of characters.
            out.push_str(text.get(at..run.start).unwrap_or_default());
            out.push_str(REDACTED);
            at = run.end;
        }
        out.push_str(text.get(at..).unwrap_or_default());
        Cow::Owned(out)
    }
}

/// The bytes that belong to a secret, as ranges in order that do not touch. The first `known` bytes do.
fn runs(needles: &[Needle], bytes: &[u8], known: usize) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    if known > 0 {
        found.push(0..known);
    }
    if !needles.is_empty() {
        let hay = Hay::new(bytes);
        for needle in needles {
            hay.find(needle, |run| join(&mut found, run));
        }
    }
    found.sort_unstable_by_key(|run| run.start);
    let mut runs = Vec::with_capacity(found.len());
    for run in found {
        join(&mut runs, run);
    }
    runs
}

/// Adds a range, to the last one if it begins in it or at its end.
fn join(runs: &mut Vec<Range<usize>>, run: Range<usize>) {
    match runs.last_mut() {
        Some(last) if last.start <= run.start && run.start <= last.end => last.end = last.end.max(run.end),
        _ => runs.push(run),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_itself() {
        let secret = Secret::from("sk-123456".to_owned());
        assert_eq!(format!("{secret:?}"), "[redacted]");
        assert!(!format!("{:?}", Redactor::new([secret])).contains("sk-1"));
    }

    #[test]
    fn known_secrets_are_taken_out_wherever_they_are() {
        let redactor = Redactor::new(["sk-123456".to_owned(), "short".to_owned()].map(Secret::from));
        assert_eq!(redactor.redact("a sk-123456, sk-123456! short"), "a [redacted], [redacted]! short");
        assert!(matches!(redactor.redact("nothing here"), Cow::Borrowed(_)));
    }

    #[test]
    fn secrets_that_overlap_leave_nothing_of_themselves() {
        let redactor =
            |secrets: &[&str]| Redactor::new(secrets.iter().map(|s| Secret::from((*s).to_owned())));
        assert_eq!(redactor(&["sk-123456", "sk-1234567890"]).redact("<sk-1234567890>"), "<[redacted]>");
        assert_eq!(redactor(&["abcdefgh", "efghijkl"]).redact("<abcdefghijkl>"), "<[redacted]>");
        assert_eq!(redactor(&["abcdabcd"]).redact("<abcdabcdabcd é>"), "<[redacted] é>");
    }

    #[test]
    fn a_secret_is_known_in_other_clothes() {
        use base64::Engine as _;
        use base64::engine::general_purpose::{STANDARD, URL_SAFE};
        let key =
            "sk-?>~é/+key==&with%odd things-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let redactor = Redactor::new([Secret::from(key.to_owned())]);
        for before in ["", "x", "xy", "xyz"] {
            for encoded in
                [STANDARD.encode(format!("{before}{key}!")), URL_SAFE.encode(format!("{before}{key}!"))]
            {
                let wrapped: Vec<String> = encoded
                    .as_bytes()
                    .chunks(76)
                    .map(|line| String::from_utf8_lossy(line).into_owned())
                    .collect();
                for text in [encoded.clone(), wrapped.join("\n"), wrapped.join("\r\n")] {
                    let left = redactor.redact(&text).replace("[redacted]", "");
                    assert!(left.len() <= 10, "{left}");
                }
            }
        }
        let url = "sk-%3F%3E~%C3%A9%2F%2Bkey%3D%3D%26with%25odd%20things-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        assert_eq!(redactor.redact(&format!("k={url}&b")), "k=[redacted]&b");
        assert_eq!(
            redactor.redact(
                &url.replace("%3F%3E", "%3f%3e")
                    .replace("%C3%A9%2F%2B", "%c3%a9%2f%2b")
                    .replace("%3D%3D", "%3d%3d")
            ),
            "[redacted]"
        );
    }

    #[test]
    fn what_is_learnt_later_is_known_from_then_on() {
        let redactor = Redactor::default();
        assert_eq!(redactor.redact("sk-123456"), "sk-123456");
        redactor.learn([Secret::from("sk-123456".to_owned())]);
        assert_eq!(redactor.redact("sk-123456"), "[redacted]");
    }
}
