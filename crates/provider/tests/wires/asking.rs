//! How the tests ask: over which wires, at which endpoint, for what.

use std::time::Duration;

use codetether_event::{ContentPart, Message, ModelId, Piece, ProviderFailure, Role, ToolCall, ToolName};
use codetether_files::BlobStore;
use codetether_provider::{
    Anthropic, Cancel, Dialogue, Endpoint, Epoch, Gemini, OpenAiChat, OpenAiResponses, Provider, SampleError,
    SampleSpec, Sampled, ToolCalls, ToolDeclaration,
};
use codetether_secret::Secret;
use codetether_testkit::Server;
use serde_json::json;

pub(crate) const PATIENT: Duration = Duration::from_secs(60);
pub(crate) const SHORT: Duration = Duration::from_millis(60);

/// A wire, and what its servers send.
pub(crate) struct Wire {
    pub(crate) name: &'static str,
    pub(crate) provider: fn(&Endpoint) -> Box<dyn Provider>,
    pub(crate) path: &'static str,
    /// What is in the header of the key.
    pub(crate) key: (&'static str, &'static str),
    /// A stream that says `hi`,
    pub(crate) begun: &'static str,
    /// then why it stopped,
    pub(crate) reason: &'static str,
    /// then that it is over.
    pub(crate) end: &'static str,
    /// An answer that says `hi` in one object.
    pub(crate) object: &'static str,
    /// What the answers are called.
    pub(crate) answer: &'static str,
}

pub(crate) const OPENAI_CHAT: Wire = Wire {
    name: "openai-chat",
    provider: |endpoint| Box::new(OpenAiChat::new(endpoint, ToolCalls::Native, client(endpoint))),
    path: "/v1/chat/completions",
    key: ("authorization", "Bearer sk-123456789"),
    begun: "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n",
    reason: "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    end: "data: [DONE]\n\n",
    object: r#"{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}"#,
    answer: "a chat completion",
};

pub(crate) const ANTHROPIC: Wire = Wire {
    name: "anthropic",
    provider: |endpoint| Box::new(Anthropic::new(endpoint, client(endpoint))),
    path: "/v1/messages",
    key: ("x-api-key", "sk-123456789"),
    begun: concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{}}\n\n",
        "event: content_block_start\n",
        "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"hi\"}}\n\n",
    ),
    reason: "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n",
    end: "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    object: r#"{"type":"message","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn"}"#,
    answer: "a message",
};

pub(crate) const OPENAI_RESPONSES: Wire = Wire {
    name: "openai-responses",
    provider: |endpoint| Box::new(OpenAiResponses::new(endpoint, client(endpoint))),
    path: "/v1/responses",
    key: ("authorization", "Bearer sk-123456789"),
    begun: concat!(
        "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"status\":\"in_progress\"}}\n\n",
        "event: response.output_item.added\n",
        "data: {\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"type\":\"message\"}}\n\n",
        "event: response.output_text.delta\n",
        "data: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"delta\":\"hi\"}\n\n",
    ),
    reason: concat!(
        "event: response.completed\n",
        "data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\"}}\n\n",
    ),
    end: "",
    object: r#"{"object":"response","status":"completed","error":null,"output":[{"type":"message","content":[{"type":"output_text","text":"hi"}]}]}"#,
    answer: "a response",
};

pub(crate) const GEMINI: Wire = Wire {
    name: "gemini",
    provider: |endpoint| Box::new(Gemini::new(endpoint, client(endpoint))),
    path: "/v1/models/m-1:streamGenerateContent?alt=sse",
    key: ("x-goog-api-key", "sk-123456789"),
    begun: "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"hi\"}]}}]}\r\n\r\n",
    reason: "data: {\"candidates\":[{\"finishReason\":\"STOP\"}]}\r\n\r\n",
    // Google's own servers just end the body.
    end: "data: [DONE]\r\n\r\n",
    object: r#"[{"candidates":[{"content":{"parts":[{"text":"hi"}]},"finishReason":"STOP"}]}]"#,
    answer: "generated content",
};

/// Every wire there is.
pub(crate) const WIRES: [Wire; 4] = [OPENAI_CHAT, OPENAI_RESPONSES, ANTHROPIC, GEMINI];

impl Wire {
    pub(crate) fn dialogue(&self, endpoint: &Endpoint) -> Box<dyn Dialogue> {
        let mut dialogue = (self.provider)(endpoint).dialogue(&epoch());
        push(&mut *dialogue, &Message::user("go"));
        dialogue
    }

    pub(crate) async fn ask_once(&self, endpoint: &Endpoint) -> Result<Sampled, SampleError> {
        ask(&mut *self.dialogue(endpoint)).await.0
    }

    pub(crate) async fn failure(&self, endpoint: &Endpoint) -> ProviderFailure {
        match self.ask_once(endpoint).await {
            Err(SampleError::Failed { failure, .. }) => failure,
            other => panic!("{}: {other:?}", self.name),
        }
    }

    /// The prompt in a request, without what may change from one to the next.
    pub(crate) fn prompt(&self, body: &[u8]) -> String {
        const MARK: &str = r#","cache_control":{"type":"ephemeral"}"#;
        let text = String::from_utf8(body.to_vec()).unwrap();
        match self.name {
            "anthropic" => text.replace(MARK, "").rsplit_once("]}],\"max_tokens\"").unwrap().0.to_owned(),
            "gemini" => text.strip_suffix("]}]}").unwrap().to_owned(),
            _ => text.strip_suffix("]}").unwrap().to_owned(),
        }
    }

    /// Thoughts as the scripted server's answers to the request of this number have them, in block 0.
    pub(crate) fn reasoning(&self, text: &str, number: usize) -> ContentPart {
        match self.name {
            "anthropic" => ContentPart::Reasoning {
                text: text.into(),
                signature: Some(format!("sig_{number}_0")),
                sealed: None,
                model: Some(epoch().model),
            },
            "openai-responses" => {
                let summary = json!([{"type": "summary_text", "text": text}]);
                thoughts(text, number, &summary, &format!("enc_{number}_0"))
            }
            _ => ContentPart::reasoning(text),
        }
    }
}

/// Thoughts as the scripted server's Responses have them, in item 0.
pub(crate) fn thoughts(text: &str, number: usize, summary: &serde_json::Value, sealed: &str) -> ContentPart {
    let item = json!({
        "id": format!("rs_{number}_0"), "type": "reasoning", "summary": summary, "encrypted_content": sealed,
    });
    ContentPart::Reasoning {
        text: text.into(),
        signature: None,
        sealed: Some(item.to_string()),
        model: Some(epoch().model),
    }
}

pub(crate) fn client(endpoint: &Endpoint) -> reqwest::Client {
    codetether_net::client(&endpoint.base_url).unwrap()
}

pub(crate) fn endpoint(server: &Server) -> Endpoint {
    endpoint_at(&server.base_url())
}

pub(crate) fn endpoint_at(base_url: &str) -> Endpoint {
    Endpoint {
        name: "acme".into(),
        base_url: base_url.into(),
        key: Some(Secret::from("sk-123456789".to_owned())),
        headers: vec![("x-team".into(), "blue".into())],
        idle_timeout: Some(PATIENT),
        total_timeout: Some(PATIENT),
        strict_tools: None,
    }
}

pub(crate) fn epoch() -> Epoch {
    let schema = json!({
        "type": "object",
        "properties": {"path": {"type": "string"}},
        "required": ["path"],
        "additionalProperties": false,
    });
    let tool = ToolDeclaration {
        name: ToolName::new("read"),
        description: "Reads a file.".into(),
        schema,
        strict: false,
    };
    Epoch {
        model: ModelId::new("acme/m-1"),
        system: "Be brief.".into(),
        tools: vec![tool],
        format: codetether_event::ResponseFormat::Text,
        way: codetether_event::Way::Native,
    }
}

pub(crate) fn push(dialogue: &mut dyn Dialogue, message: &Message) {
    dialogue.push(message, &BlobStore::new("/nowhere")).unwrap();
}

pub(crate) async fn ask(dialogue: &mut dyn Dialogue) -> (Result<Sampled, SampleError>, Vec<Piece>) {
    let mut pieces = Vec::new();
    let answer =
        dialogue.sample(&SampleSpec::default(), &mut |piece| pieces.push(piece), &Cancel::new()).await;
    (answer, pieces)
}

pub(crate) fn assistant(parts: impl IntoIterator<Item = ContentPart>) -> Message {
    Message { role: Role::Assistant, parts: parts.into_iter().collect() }
}

pub(crate) fn call(id: &str, arguments: &str) -> ContentPart {
    let name = ToolName::new("read");
    ContentPart::ToolCall(ToolCall { id: id.into(), name, arguments: arguments.into(), wrapped: None })
}
