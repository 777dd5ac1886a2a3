//! Trust: whether a project's own files have power here: everything below `.codetether/` but `AGENTS.md`, which is context
//! and never power; skills and commands that were written for other agents' programs (`.claude`, `.agents`); and agents,
//! skills and commands further up in the repository. Reads them once, so that what is used is what was judged; remembers the user's decision for
//! exactly these files in this folder. Asks nobody.

mod change;
mod scan;
mod store;

pub use change::{FileChange, changes};
pub use scan::{Flaw, Hash, Kind, ProjectFile, ProjectFiles};
pub use store::{Decision, Kept, TrustError, TrustStore, Verdict};

#[cfg(test)]
mod tests;
