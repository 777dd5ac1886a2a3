//! Models behind an endpoint: the [`Provider`] trait and its wires. One attempt at a time: what failed is
//! classified here and retried, if at all, by whoever decides. Never runs a tool.

mod answer;
mod anthropic;
mod attempt;
mod calls;
mod cassette;
mod dialogue;
mod endpoint;
mod errors;
mod form;
mod gemini;
mod held;
mod listing;
mod local;
mod models;
mod openai_chat;
mod openai_responses;
mod parts;
mod sight;
mod size;
mod sse;
mod text;
mod transport;
mod usage;
pub mod vendors;
mod waits;

pub use anthropic::Anthropic;
pub use cassette::{CassetteError, Cassettes, Placeless, Transport};
pub use dialogue::{
    BoxFuture, Cancel, Dialogue, Epoch, Provider, SampleError, SampleSpec, Sampled, ToolDeclaration,
};
pub use endpoint::Endpoint;
pub use gemini::Gemini;
pub use listing::Listed;
pub use local::{LocalServer, LocalWindow, local_window};
pub use models::{ModelFacts, Prices, Rates, Source, Tier, all, facts, nearest, price_version};
pub use openai_chat::{OpenAiChat, ToolCalls};
pub use openai_responses::OpenAiResponses;
pub use sse::{EventStream, TooLong};
