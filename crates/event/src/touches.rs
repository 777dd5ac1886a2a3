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
    /// Whether its commands would outlive the call.
    pub background: bool,
    /// What it would type into a process that runs.
    pub typed: Option<Typed>,
}

/// What a call would type into a process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Typed {
    /// The process, as the call names it.
    pub process: String,
    /// The text.
    pub text: String,
    /// What the process runs; filled in by whoever knows the session.
    pub command: String,
    /// Whether the process reaches nothing but the workspace; filled in likewise.
    pub confined: bool,
}

impl Touches {
    /// Whether the call could change anything.
    #[must_use]
    pub fn could_write(&self) -> bool {
        !self.writes.is_empty() || !self.commands.is_empty() || self.typed.is_some()
    }
}
