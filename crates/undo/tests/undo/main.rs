//! Snapshots and undo as their users see them: on a real file system, beside a real git, with real kills.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

mod collection;
mod conflicts;
mod faults;
mod histories;
mod repositories;
mod snapshots;
mod world;
