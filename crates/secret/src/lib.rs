//! Secret values, and taking them out of texts. Never prints one: a [`Secret`] shows itself as `[redacted]`, cannot
//! be serialised, and is wiped from memory when it is dropped.

use std::borrow::Cow;

use secrecy::{ExposeSecret, SecretString};

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

    /// The text with every known secret replaced.
    #[must_use]
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for secret in &self.secrets {
            if text.contains(secret.expose()) {
                text = Cow::Owned(text.replace(secret.expose(), REDACTED));
            }
        }
        text
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
}
