//! Models behind an endpoint: the [`Provider`] trait and its wires. One attempt at a time: what failed is
//! classified here and retried, if at all, by whoever decides. Never runs a tool.

mod dialogue;
mod openai_chat;

pub use dialogue::{
    BoxFuture, Cancel, Dialogue, Epoch, Provider, SampleError, SampleSpec, Sampled, ToolDeclaration,
};
pub use openai_chat::{Endpoint, OpenAiChat, ToolCalls};
