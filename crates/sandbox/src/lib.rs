//! Runs commands and never loses one: own process group, closed input, bounded time, bounded output, and nothing
//! left behind when it is stopped. Knows nothing of tools, models or sessions.
//!
//! The kernel sandbox is not here yet: a command runs with all the rights of the user.

mod decode;
mod environment;
mod error;
mod marked;
mod output;
mod run;

pub use decode::Decoder;
pub use environment::{environment, is_secret_name, secrets};
pub use error::Error;
pub use marked::kill_marked;
pub use output::Ended;
pub use run::{Filter, Marker, Spec, Status, run};
