//! Trust: whether a project's own files (everything below `.codetether/` but `AGENTS.md`, which is context and never
//! power) have power here. Reads them once, so that what is used is what was judged; remembers the user's decision for
//! exactly these files in this folder. Asks nobody.

mod change;
mod scan;
mod store;

pub use change::{FileChange, changes};
pub use scan::{Flaw, Hash, Kind, ProjectFile, ProjectFiles};
pub use store::{Decision, Kept, TrustError, TrustStore, Verdict};

#[cfg(test)]
mod tests;
