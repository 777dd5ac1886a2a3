//! Secret values, and taking them out of texts. Never prints one: a [`Secret`] shows itself as `[redacted]`, cannot
//! be serialised, and is wiped from memory when it is dropped.

mod stream;

use std::borrow::Cow;
use std::ops::Range;

use memchr::memmem::Finder;
use secrecy::{ExposeSecret, SecretString};

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

/// Takes known secrets out of texts.
#[derive(Debug, Default)]
pub struct Redactor {
    secrets: Vec<Secret>,
}

impl Redactor {
    /// Knows these secrets; those shorter than eight bytes are passed over.
    #[must_use]
    pub fn new(secrets: impl IntoIterator<Item = Secret>) -> Self {
        Self { secrets: secrets.into_iter().filter(|secret| secret.expose().len() >= SHORTEST).collect() }
    }

    /// The text with every known secret replaced: each run of bytes that belong to one becomes one `[redacted]`,
    /// also where secrets overlap or hold one another.
    #[must_use]
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let runs = self.runs(text.as_bytes(), 0);
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

    /// The bytes that belong to a secret, as ranges in order that do not touch. The first `known` bytes do.
    fn runs(&self, bytes: &[u8], known: usize) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        if known > 0 {
            found.push(0..known);
        }
        for secret in &self.secrets {
            let finder = Finder::new(secret.expose());
            let mut from = 0;
            // One place can begin inside another, so the search goes on one byte further.
            while let Some(start) = bytes.get(from..).and_then(|rest| finder.find(rest)).map(|at| from + at) {
                join(&mut found, start..start + secret.expose().len());
                from = start + 1;
            }
        }
        found.sort_unstable_by_key(|run| run.start);
        let mut runs = Vec::with_capacity(found.len());
        for run in found {
            join(&mut runs, run);
        }
        runs
    }
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
        assert_eq!(format!("{:?}", Redactor::new([secret])), "Redactor { secrets: [[redacted]] }");
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
}
