//! The proxy, by what it says to clients: hostile ones, plain ones, and real ones.

#![allow(clippy::unwrap_used, reason = "a test may fail this way")]

mod agree;
mod asking;
mod hostile;
mod presets;
mod serving;
mod world;
