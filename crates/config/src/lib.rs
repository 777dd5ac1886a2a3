//! Settings: what the user, the project, the environment and the flags say, put together.
//!
//! Layers, each over the one before: defaults, the user's file, the environment, flags. A project's own file can
//! only narrow what the others allow: forbid more, offer fewer tools, lower a limit. What is not known, or has the
//! wrong type, is an error that names the file and the place. Reads no environment and no home directory by
//! itself: the caller hands them in.

mod diagnostic;
mod duration;
mod layer;
mod load;

pub use diagnostic::{ConfigError, Wrong};
pub use duration::Seconds;
pub use layer::{Layer, Narrowing, Provider, RetryLayer, ToolCalls};
pub use load::{ENVIRONMENT, PROJECT_FILE, Settings, Sources, load};
