//! The wire of Anthropic's Messages, as Anthropic and compatible servers speak it. Nothing is sent before the first
//! sample. One attempt a sample; nothing is tried twice here.
//!
//! Source: Claude API reference, "Messages", "Streaming messages", "Prompt caching", "Extended thinking" and "Effort".

mod blocks;
mod claude;
mod request;
mod stream;
mod usage;

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
    answer: "a message",
    path: |base, _| path(base),
    query: &[],
    key: (HeaderName::from_static("x-api-key"), ""),
    // The version that every server of this wire knows; a header of the settings replaces it. What the later one of
    // Anthropic's own took away is not used here.
    headers: &[("anthropic-version", "2023-06-01")],
};

/// An endpoint that speaks this wire.
#[derive(Debug)]
pub struct Anthropic {
    line: Arc<Line>,
}

impl Anthropic {
    /// Asks at this endpoint over this client's connections. What is wrong with the endpoint's URL, key or headers is
    /// told by the first sample.
    #[must_use]
    pub fn new(endpoint: &Endpoint, client: impl Into<Transport>) -> Self {
        Self { line: Arc::new(Line::new(endpoint, client, &PROTOCOL)) }
    }
}

impl Provider for Anthropic {
    fn dialogue(&self, epoch: &Epoch) -> Box<dyn Dialogue> {
        let schemas = claude::takes_schemas(epoch.model.model()).then_some(Dialect::Anthropic);
        // Never by itself: the server makes one grammar of all strict tools of a request, and refuses the request where
        // that passes a limit that is not documented; seven plain tools have been too many
        // (https://github.com/anthropics/anthropic-sdk-typescript/issues/885).
        let strict_tools = match self.line.strict_tools {
            Some(true) if claude::takes_strict_tools(epoch.model.model()) => {
                StrictTools::Each(Dialect::Anthropic)
            }
            _ => StrictTools::Never,
        };
        let plan = Plan::new(epoch, Means { schemas, beside_tools: true, json: false, strict_tools });
        let body = Body::new(&plan.epoch, plan.ask());
        Box::new(Conversation::new(Arc::clone(&self.line), plan, body))
    }

    fn models(&self) -> BoxFuture<'_, Result<Vec<Listed>, ProviderFailure>> {
        Box::pin(listing::list(&self.line, &listing::ANTHROPIC))
    }
}

/// Vendors write the base with or without its version.
fn path(base: &str) -> String {
    const PATH: &str = "/messages";
    const VERSION: &str = "/v1";
    if base.ends_with(PATH) {
        base.to_owned()
    } else if base.ends_with(VERSION) {
        format!("{base}{PATH}")
    } else {
        format!("{base}{VERSION}{PATH}")
    }
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn the_version_is_added_where_the_base_has_none() {
        for (base, whole) in [
            ("", "/v1/messages"),
            ("/v1", "/v1/messages"),
            ("/api/anthropic", "/api/anthropic/v1/messages"),
            ("/x/v1/messages", "/x/v1/messages"),
        ] {
            assert_eq!(path(base), whole);
        }
    }
}
