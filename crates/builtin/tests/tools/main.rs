//! What each tool does to real files, and what it does with hostile arguments.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod apply_patch;
mod bash;
mod bench;
mod edit;
mod glob;
mod grep;
mod hostile;
mod known;
mod list;
mod manifest;
mod multi_edit;
mod patch_git;
mod process;
mod read;
mod write;
