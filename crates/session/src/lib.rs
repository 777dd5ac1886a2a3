//! The pure half of a session: the state that a journal folds to, and what follows from it.
//!
//! [`State::apply`] folds a record, [`State::accept`] turns a wish into facts, [`State::decide`] names what comes
//! next, [`State::recover`] closes what a crash left open. Nothing here does I/O, awaits, reads a clock or draws a
//! random number: the same records always give the same answer, so a session can be replayed, resumed and tested
//! as a transcript.

mod accept;
mod check;
mod child;
mod context;
mod effect;
mod files;
mod fold;
mod hooks;
mod known;
mod past;
mod policy;
mod processes;
mod recover;
mod state;
#[cfg(test)]
mod transcript;

pub use accept::Refused;
pub use check::{Checked, Checking};
pub use child::Child;
pub use context::Context;
pub use effect::{Effect, Next, Permit};
pub use files::{Change, Files, Pair, Undone, Wanted};
pub use hooks::Hooking;
pub use known::Known;
pub use processes::{Process, Processes};
pub use state::{Call, EpochInfo, FailedSample, Knock, Ledger, OpenAsk, Phase, Refusal, State, Step, Turn};
