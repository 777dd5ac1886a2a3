//! Models in the program itself: a process of their own that has the weights, and the provider that asks it. The engine
//! is behind the feature `llama`; all else is always built. Reaches no network.

mod client;
mod engine;
mod frames;
mod hold;
mod kept;
#[cfg(feature = "llama")]
mod llama;
mod looping;
mod memory;
mod pick;
mod reading;
mod request;
mod scheduler;
mod server;
mod template;

pub use client::{Local, Place, window};
pub use engine::{Engine, EngineError, Facts, Hold, Row, Token, Took, Vocabulary};
pub use frames::{Ask, REPLY_MAX, REQUEST_MAX, Reply, receive, send};
pub use hold::Forms;
pub use kept::{BYTES_MAX as KEPT_MAX, Kept};
#[cfg(feature = "llama")]
pub use llama::{Llama, open};
pub use memory::{Need, available};
pub use pick::{Choice, Picker};
pub use request::{Prompt, Request, Tool};
pub use scheduler::{Done, Event, Fault, Job, Scheduler};
pub use server::{Former, IDLE, Loaded, Refused, ServeError, serve};
pub use template::{Call, Message, Piece, Rendered, Role, Template, TemplateError};

/// Whether this build has an engine.
pub const HAS_ENGINE: bool = cfg!(feature = "llama");

/// What to do about a build without one.
pub const NO_ENGINE: &str = "this build has no engine for local models: build with \
     `cargo build --release --features local` (needs cmake, a C++ compiler and libclang)";
