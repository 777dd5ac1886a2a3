//! What tests need around the program: a scripted model server on loopback, a hermetic home, and texts made the same
//! on every run. For tests and benchmarks alone: nothing that is shipped uses it. It depends on no other crate of the
//! house, so that every one of them may use it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up fails")]
#![allow(clippy::disallowed_methods, reason = "it writes only to temporary folders of its own")]

mod dialect;
mod home;
pub mod planted;
mod redact;
mod reply;
mod request;
mod server;

pub use home::Home;
pub use redact::redact;
pub use reply::Reply;
pub use request::Request;
pub use server::Server;
