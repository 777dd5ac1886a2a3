//! Runs commands and never loses one: own process group, closed input, bounded time, bounded output, and nothing
//! left behind when it is stopped; and confines them by what the kernel has for that ([`Policy`], [`Plan`], [`Kept`]). Knows
//! nothing of tools, models or sessions.

mod confined;
mod decode;
mod environment;
mod error;
mod launch;
mod marked;
mod output;
pub mod proxy;
mod run;
mod screen;
mod streams;
mod terminal;

pub use decode::Decoder;
pub use environment::{environment, is_secret_name, secrets};
pub use error::Error;
#[cfg(any(test, fuzzing))]
pub use launch::fuzzing;
pub use launch::{
    Answer, Audit, Denial, Entry, Fault, Finding, Grant, Host, Job, Kept, Limits, Mode, Net, Outcome, Plan,
    Policy, PolicyError, Proxy, Ran, Report, Running, Tier, Words, denials, excludes_file, explain_host,
    gaps, keep, machine, strongest, summary,
};
pub use marked::kill_marked;
pub use output::Ended;
pub use run::{Ends, Filter, Marker, Spec, Status, Typed, Typing, run};
pub use screen::Screen;
pub use streams::{Errors, Streams};
