//! The wire of OpenAI's Chat Completions, as OpenAI and the many compatible servers speak it. Nothing is sent before the
//! first sample: no model is listed, no server probed. One attempt a sample; nothing is tried twice here.
//!
//! Source: OpenAI API reference, "Chat Completions" and its streaming events.

mod details;
mod quirks;
mod request;
mod schema_calls;
mod stream;
mod usage;

use std::sync::Arc;

use codetether_event::ProviderFailure;
use codetether_schema::Dialect;
use http::HeaderName;
use http::header::AUTHORIZATION;

pub(crate) use self::quirks::{AnswerIds, EffortField, GivenBack, KeyHeader, LimitName, Quirks, UsageField};
use self::request::Body;
use crate::attempt::Conversation;
use crate::endpoint::{Line, Protocol};
use crate::form::{Means, Plan};
use crate::held::StrictTools;
use crate::listing::{self, Listed};
use crate::{BoxFuture, Dialogue, Endpoint, Epoch, Provider, Transport, vendors};

const PROTOCOL: Protocol = Protocol {
    answer: "a chat completion",
    path: |base, _| path(base),
    query: &[],
    key: (AUTHORIZATION, "Bearer "),
    headers: &[],
};

/// Where the key has a header of its own.
const API_KEY: Protocol = Protocol {
    answer: "a chat completion",
    path: |base, _| path(base),
    query: &[],
    key: (HeaderName::from_static("api-key"), ""),
    headers: &[],
};

/// Where requests name the program, so that the vendor's pages can show what is used for what.
const NAMED: Protocol = Protocol {
    answer: "a chat completion",
    path: |base, _| path(base),
    query: &[],
    key: (AUTHORIZATION, "Bearer "),
    headers: &[("x-title", "CodeTether Agent"), ("x-openrouter-title", "CodeTether Agent")],
};

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
    tool_calls: ToolCalls,
    quirks: Quirks,
}

impl OpenAiChat {
    /// Asks at this endpoint over this client's connections. What is wrong with the endpoint's URL, key or headers is
    /// told by the first sample.
    #[must_use]
    pub fn new(endpoint: &Endpoint, tool_calls: ToolCalls, client: impl Into<Transport>) -> Self {
        let quirks = vendors::quirks(&endpoint.name, &endpoint.base_url);
        let protocol = match quirks.key {
            KeyHeader::ApiKey => &API_KEY,
            KeyHeader::Bearer if quirks.names_program => &NAMED,
            KeyHeader::Bearer => &PROTOCOL,
        };
        Self { line: Arc::new(Line::new(endpoint, client, protocol)), tool_calls, quirks }
    }
}

impl OpenAiChat {
    /// Most servers hold a model to a schema from its first word on, so that it could call no tool. Those that run
    /// models on this machine make a grammar of it; all others take what OpenAI takes.
    fn means(&self) -> Means {
        let knows = |host| self.line.is_at(host);
        let schemas = if self.line.is_local() { Dialect::Ollama } else { Dialect::OpenAi };
        let beside_tools = knows("api.openai.com") || knows("openrouter.ai") || knows("api.x.ai");
        // OpenAI advises it for all models and tools. Other servers take the field, and then hold the model to the
        // schema, or to some of it, or refuse it, so that is for the settings to say; the field is OpenAI's, so what
        // stands beside it is what OpenAI takes, whoever reads it.
        let strict_tools = self.line.strict_tools.unwrap_or_else(|| knows("api.openai.com"));
        let strict_tools = match self.tool_calls {
            ToolCalls::Native if strict_tools => StrictTools::Each(Dialect::OpenAi),
            ToolCalls::Native | ToolCalls::Schema => StrictTools::Never,
        };
        Means {
            schemas: Some(schemas),
            beside_tools: beside_tools && self.tool_calls == ToolCalls::Native,
            json: true,
            strict_tools,
        }
    }
}

impl Provider for OpenAiChat {
    fn dialogue(&self, epoch: &Epoch) -> Box<dyn Dialogue> {
        let plan = Plan::new(epoch, self.means());
        let body = Body::new(&plan.epoch, plan.ask(), self.tool_calls, self.quirks);
        Box::new(Conversation::new(Arc::clone(&self.line), plan, body))
    }

    fn models(&self) -> BoxFuture<'_, Result<Vec<Listed>, ProviderFailure>> {
        Box::pin(listing::list(&self.line, &listing::OPENAI))
    }
}

fn path(base: &str) -> String {
    const PATH: &str = "/chat/completions";
    if base.ends_with(PATH) { base.to_owned() } else { format!("{base}{PATH}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_tools_are_usual_at_openai_alone_and_as_the_settings_say_elsewhere() {
        let means = |base_url: &str, strict_tools, tool_calls| {
            let endpoint = Endpoint {
                name: "openai".into(),
                base_url: base_url.into(),
                key: None,
                headers: Vec::new(),
                idle_timeout: None,
                total_timeout: None,
                strict_tools,
            };
            let client = codetether_net::client(base_url).unwrap();
            OpenAiChat::new(&endpoint, tool_calls, client).means().strict_tools
        };
        let (each, never) = (StrictTools::Each(Dialect::OpenAi), StrictTools::Never);
        let (openai, other) = ("https://api.openai.com/v1", "https://openrouter.ai/api/v1");
        assert_eq!(means(openai, None, ToolCalls::Native), each);
        assert_eq!(means(openai, Some(false), ToolCalls::Native), never);
        assert_eq!(means(other, None, ToolCalls::Native), never);
        assert_eq!(means(other, Some(true), ToolCalls::Native), each);
        assert_eq!(means("http://127.0.0.1:1/v1", Some(true), ToolCalls::Native), each);
        assert_eq!(means(openai, None, ToolCalls::Schema), never, "the answer is held to them all");
    }

    #[test]
    fn a_path_that_is_whole_is_kept() {
        assert_eq!(path("/v1"), "/v1/chat/completions");
        assert_eq!(path("/x/chat/completions"), "/x/chat/completions");
    }
}
