//! What a call would reach: what permission judges.

/// What a call would reach, as its arguments say. Paths are as the model wrote them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Touches {
    /// Files and folders that it would read.
    pub reads: Vec<String>,
    /// Files that it would write, create or remove.
    pub writes: Vec<String>,
    /// Shell commands that it would run.
    pub commands: Vec<String>,
    /// Hosts that it would reach.
    pub hosts: Vec<String>,
    /// Whether its commands would run outside the sandbox.
    pub outside: bool,
}

impl Touches {
    /// Whether the call could change anything.
    #[must_use]
    pub fn could_write(&self) -> bool {
        !self.writes.is_empty() || !self.commands.is_empty()
    }
}
