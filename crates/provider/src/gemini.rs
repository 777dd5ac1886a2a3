//! The wire of Google's Gemini: streamed `generateContent`, as Google and compatible servers speak it. Nothing is sent
//! before the first sample. One attempt a sample; nothing is tried twice here.
//!
//! Source: Gemini API reference, "Generating content", "Function calling", "Thinking" and "Thought signatures".

mod named;
mod parts;
mod request;
mod stream;
mod usage;

use std::fmt::Write as _;
use std::sync::Arc;

use codetether_event::ProviderFailure;
use codetether_schema::Dialect;
use http::HeaderName;

use self::request::Body;
use crate::attempt::Conversation;
use crate::endpoint::{Line, Protocol};
use crate::form::{Means, Plan};
use crate::held::StrictTools;
use crate::listing::{self, Listed};
use crate::{BoxFuture, Dialogue, Endpoint, Epoch, Provider, Transport};

const PROTOCOL: Protocol = Protocol {
    answer: "generated content",
    path,
    // Without it the answer is one list, which comes to an end before it can be read.
    query: &[("alt", "sse")],
    key: (HeaderName::from_static("x-goog-api-key"), ""),
    headers: &[],
};

/// An endpoint that speaks this wire.
#[derive(Debug)]
pub struct Gemini {
    line: Arc<Line>,
}

impl Gemini {
    /// Asks at this endpoint over this client's connections. What is wrong with the endpoint's URL, key or headers is
    /// told by the first sample.
    #[must_use]
    pub fn new(endpoint: &Endpoint, client: impl Into<Transport>) -> Self {
        Self { line: Arc::new(Line::new(endpoint, client, &PROTOCOL)) }
    }
}

impl Provider for Gemini {
    fn dialogue(&self, epoch: &Epoch) -> Box<dyn Dialogue> {
        // Earlier models call no tools while they are held to a form.
        let beside_tools = named::is_third(epoch.model.model());
        // One switch for all tools of a request, which is not said to be finished, so never by itself.
        let strict_tools = match self.line.strict_tools {
            Some(true) => StrictTools::Together(Dialect::Gemini),
            _ => StrictTools::Never,
        };
        let schemas = Some(Dialect::Gemini);
        let plan = Plan::new(epoch, Means { schemas, beside_tools, json: true, strict_tools });
        let body = Body::new(&plan.epoch, plan.ask());
        Box::new(Conversation::new(Arc::clone(&self.line), plan, body))
    }

    fn models(&self) -> BoxFuture<'_, Result<Vec<Listed>, ProviderFailure>> {
        Box::pin(listing::list(&self.line, &listing::GEMINI))
    }
}

/// Vendors write the base with or without its version, and models with or without their collection.
fn path(base: &str, model: &str) -> String {
    let (collection, name) = match model.split_once('/') {
        Some((collection @ ("models" | "tunedModels"), name)) => (collection, name),
        _ => ("models", model),
    };
    let base = versioned(base);
    format!("{base}/{collection}/{}:streamGenerateContent", encoded(name))
}

/// The base with its version.
pub(crate) fn versioned(base: &str) -> String {
    let version = if base.split('/').any(is_version) { "" } else { "/v1beta" };
    format!("{base}{version}")
}

/// `v1`, `v1beta`, `v1alpha2` and the like.
fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|rest| {
        let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = segment.len().saturating_sub(1) > rest.len();
        let stage = rest.trim_end_matches(|c: char| c.is_ascii_digit());
        digits && matches!(stage, "" | "alpha" | "beta")
    })
}

/// A name that stays within its segment of a path.
fn encoded(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => encoded.push(char::from(byte)),
            byte => {
                // Writing to a text cannot fail.
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn the_model_is_in_the_path_and_the_version_added_where_the_base_has_none() {
        for (base, model, whole) in [
            ("/v1beta", "gemini-3-pro", "/v1beta/models/gemini-3-pro"),
            ("", "gemini-2.5-flash", "/v1beta/models/gemini-2.5-flash"),
            ("/v1", "models/m", "/v1/models/m"),
            ("/v1alpha2/publishers/google", "m", "/v1alpha2/publishers/google/models/m"),
            ("/vertex", "tunedModels/mine-1", "/vertex/v1beta/tunedModels/mine-1"),
            ("/v", "m", "/v/v1beta/models/m"),
        ] {
            assert_eq!(path(base, model), format!("{whole}:streamGenerateContent"));
        }
    }

    #[test]
    fn a_models_name_does_not_leave_its_segment() {
        assert_eq!(
            path("/v1", "../a b?é#:x%2F"),
            "/v1/models/..%2Fa%20b%3F%C3%A9%23%3Ax%252F:streamGenerateContent"
        );
    }
}
