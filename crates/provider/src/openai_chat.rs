//! The wire of OpenAI's Chat Completions, as OpenAI and the many compatible servers speak it. Nothing is sent before the
//! first sample: no model is listed, no server probed. One attempt a sample; nothing is tried twice here.
//!
//! Source: OpenAI API reference, "Chat Completions" and its streaming events.

mod request;
mod schema_calls;
mod stream;
mod usage;

use std::sync::Arc;

use codetether_schema::Dialect;
use http::header::AUTHORIZATION;

use self::request::{Body, LimitName};
use crate::attempt::Conversation;
use crate::endpoint::{Line, Protocol};
use crate::form::{Means, Plan};
use crate::{Dialogue, Endpoint, Epoch, Provider};

const PROTOCOL: Protocol = Protocol {
    answer: "a chat completion",
    path: |base, _| path(base),
    query: &[],
    key: (AUTHORIZATION, "Bearer "),
    headers: &[],
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
    limit: LimitName,
}

impl OpenAiChat {
    /// Asks at this endpoint over this client's connections. What is wrong with the endpoint's URL, key or headers is
    /// told by the first sample.
    #[must_use]
    pub fn new(endpoint: &Endpoint, tool_calls: ToolCalls, client: reqwest::Client) -> Self {
        let line = Line::new(endpoint, client, &PROTOCOL);
        let official = line.is_at("api.openai.com");
        let limit = if official { LimitName::MaxCompletionTokens } else { LimitName::MaxTokens };
        Self { line: Arc::new(line), tool_calls, limit }
    }
}

impl OpenAiChat {
    /// Most servers hold a model to a schema from its first word on, so that it could call no tool. Those that run
    /// models on this machine make a grammar of it; all others take what OpenAI takes.
    fn means(&self) -> Means {
        let knows = |host| self.line.is_at(host);
        let schemas = if self.line.is_local() { Dialect::Ollama } else { Dialect::OpenAi };
        let beside_tools = knows("api.openai.com") || knows("openrouter.ai") || knows("api.x.ai");
        Means {
            schemas: Some(schemas),
            beside_tools: beside_tools && self.tool_calls == ToolCalls::Native,
            json: true,
        }
    }
}

impl Provider for OpenAiChat {
    fn dialogue(&self, epoch: &Epoch) -> Box<dyn Dialogue> {
        let plan = Plan::new(epoch, self.means());
        let body = Body::new(&plan.epoch, plan.ask(), self.tool_calls, self.limit);
        Box::new(Conversation::new(Arc::clone(&self.line), plan, body))
    }
}

fn path(base: &str) -> String {
    const PATH: &str = "/chat/completions";
    if base.ends_with(PATH) { base.to_owned() } else { format!("{base}{PATH}") }
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn a_path_that_is_whole_is_kept() {
        assert_eq!(path("/v1"), "/v1/chat/completions");
        assert_eq!(path("/x/chat/completions"), "/x/chat/completions");
    }
}
