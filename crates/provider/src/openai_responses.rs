//! The wire of OpenAI's Responses, as OpenAI and compatible servers speak it. The server keeps nothing: each request
//! holds the whole dialogue. Nothing is sent before the first sample. One attempt a sample; nothing is tried twice here.
//!
//! Source: OpenAI API reference, "Responses" and its streaming events; "Reasoning models", "Encrypted reasoning items".

mod request;
mod stream;
mod usage;

use std::sync::Arc;

use codetether_event::ProviderFailure;
use codetether_schema::Dialect;
use http::header::AUTHORIZATION;

use self::request::Body;
use crate::attempt::Conversation;
use crate::endpoint::{Line, Protocol};
use crate::form::{Means, Plan};
use crate::held::StrictTools;
use crate::listing::{self, Listed};
use crate::{BoxFuture, Dialogue, Endpoint, Epoch, Provider, Transport};

const PROTOCOL: Protocol = Protocol {
    answer: "a response",
    path: |base, _| path(base),
    query: &[],
    key: (AUTHORIZATION, "Bearer "),
    headers: &[],
};

/// An endpoint that speaks this wire.
#[derive(Debug)]
pub struct OpenAiResponses {
    line: Arc<Line>,
}

impl OpenAiResponses {
    /// Asks at this endpoint over this client's connections. What is wrong with the endpoint's URL, key or headers is
    /// told by the first sample.
    #[must_use]
    pub fn new(endpoint: &Endpoint, client: impl Into<Transport>) -> Self {
        Self { line: Arc::new(Line::new(endpoint, client, &PROTOCOL)) }
    }
}

impl Provider for OpenAiResponses {
    fn dialogue(&self, epoch: &Epoch) -> Box<dyn Dialogue> {
        let official = self.line.is_at("api.openai.com");
        // OpenAI advises it for all models and tools; what other servers make of it is for the settings to say.
        let strict_tools = match self.line.strict_tools.unwrap_or(official) {
            true => StrictTools::Each(Dialect::OpenAi),
            false => StrictTools::Never,
        };
        // What holds a model to a schema lets it call tools all the same.
        let means = Means { schemas: Some(Dialect::OpenAi), beside_tools: true, json: true, strict_tools };
        let plan = Plan::new(epoch, means);
        let body = Body::new(&plan.epoch, plan.ask(), official);
        Box::new(Conversation::new(Arc::clone(&self.line), plan, body))
    }

    fn models(&self) -> BoxFuture<'_, Result<Vec<Listed>, ProviderFailure>> {
        Box::pin(listing::list(&self.line, &listing::OPENAI))
    }
}

fn path(base: &str) -> String {
    const PATH: &str = "/responses";
    if base.ends_with(PATH) { base.to_owned() } else { format!("{base}{PATH}") }
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn a_path_that_is_whole_is_kept() {
        assert_eq!(path("/v1"), "/v1/responses");
        assert_eq!(path("/openai/v1/responses"), "/openai/v1/responses");
    }
}
