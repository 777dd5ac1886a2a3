//! Journals as their users see them: on a real file system, with real crashes of files, never with a mock.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

mod appends;
mod catalogue;
mod damage;
mod fact;
mod model;
mod upkeep;
