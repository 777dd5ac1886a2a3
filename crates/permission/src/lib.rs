//! May this call run? Rules, modes and the verdict; pure. Asks nobody and resolves no path: it is given what the
//! call touches, with paths already relative to the workspace.
//!
//! A rule is `tool` (every call of that tool) or `tool(pattern)`. For a tool that runs commands the pattern is
//! the exact command; for one that touches files it is a glob on the path relative to the workspace. Whatever
//! denies wins over whatever allows; where no rule matches, the mode decides.

mod judge;
mod rule;

pub use judge::{Judgement, Rules, judge};
pub use rule::{Rule, RuleError};
