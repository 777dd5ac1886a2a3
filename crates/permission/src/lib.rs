//! May this call run? Rules, modes and the verdict; pure. Asks nobody, runs nothing, and reads no file: it is given what
//! the call touches, and a function that follows links.
//!
//! A rule is `tool` (every call of that tool) or `tool(pattern)`. For `bash` the pattern is words of one simple command,
//! for `fetch` a host, for all others a gitignore pattern; `read(…)` and `edit(…)` speak of every tool that reads or
//! writes files, and of redirections in the shell. Whatever denies wins, then whatever asks, then whatever allows;
//! where no rule matches, the mode decides.

mod assignments;
mod command_pattern;
mod file_words;
mod hazards;
mod judge;
mod matcher;
mod place;
mod readers;
mod rule;
mod shell;

pub use judge::{By, Decision, Judgement, Part, Rules, Stance, What, judge};
pub use matcher::Matcher;
pub use place::Place;
pub use rule::{Rule, RuleError};

/// The list that a rule stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum List {
    /// What may not run.
    Deny,
    /// What takes a yes.
    Ask,
    /// What may run.
    Allow,
}

impl List {
    /// All of them, in the order of the settings' reference.
    pub const ALL: [Self; 3] = [Self::Allow, Self::Ask, Self::Deny];

    /// The name that it has in settings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Ask => "ask",
            Self::Allow => "allow",
        }
    }
}
