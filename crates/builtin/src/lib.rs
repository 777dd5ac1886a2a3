//! The built-in tools, one a file: `read`, `write`, `edit`, `multi_edit`, `apply_patch`, `list`, `glob`, `grep`, `bash`, `recall`,
//! `question`, `todo`, and `skill` where there are skills. Each does what its call says within the bounds of its context, and never
//! decides whether it may.
//!
//! Paths are relative to the context's root, which cannot be left. Every output is bounded and says so when the
//! bound was hit, and how to see more.

mod apply_patch;
mod bash;
mod change;
mod diff;
mod edit;
mod glob;
mod grep;
mod ignores;
mod image;
mod known;
mod list;
mod multi_edit;
mod near;
mod off_thread;
mod patch;
mod place;
mod question;
mod read;
mod recall;
mod replace;
mod skill;
mod text;
mod todo;
mod walk;
mod write;

use std::sync::Arc;

use codetether_event::ToolName;
use codetether_tool::{Tool, ToolSource, ToolSpec};
use schemars::JsonSchema;

pub use apply_patch::ApplyPatch;
pub use bash::{Bash, Shell};
pub use edit::Edit;
pub use glob::Glob;
pub use grep::Grep;
pub use list::List;
pub use multi_edit::MultiEdit;
pub use question::Question;
pub use read::Read;
pub use recall::Recall;
pub use skill::{Skill, SkillFiles, SkillFolder};
pub use todo::Todo;
pub use write::Write;

/// All built-in tools, in the order in which they are shown to the model.
#[must_use]
pub fn tools(shell: Shell) -> Vec<Arc<dyn Tool>> {
    vec![
        Arc::new(Read::default()),
        Arc::new(Write::default()),
        Arc::new(Edit::default()),
        Arc::new(MultiEdit::default()),
        Arc::new(ApplyPatch::default()),
        Arc::new(List::default()),
        Arc::new(Glob::default()),
        Arc::new(Grep::default()),
        Arc::new(Bash::new(shell)),
        Arc::new(Recall::default()),
        Arc::new(Question::default()),
        Arc::new(Todo::default()),
    ]
}

/// The built-in tools as a source.
pub struct Builtin {
    tools: Vec<Arc<dyn Tool>>,
}

impl Builtin {
    /// All of them, with commands that run there.
    #[must_use]
    pub fn new(shell: Shell) -> Self {
        Self { tools: tools(shell) }
    }

    /// The same, and `skill` where there are any.
    #[must_use]
    pub fn with_skills(mut self, skills: Vec<SkillFolder>) -> Self {
        if !skills.is_empty() {
            self.tools.push(Arc::new(Skill::new(skills)));
        }
        self
    }
}

impl ToolSource for Builtin {
    fn manifest(&self) -> Vec<ToolSpec> {
        self.tools.iter().map(|tool| tool.spec().clone()).collect()
    }

    fn tool(&self, name: &ToolName) -> Option<Arc<dyn Tool>> {
        self.tools.iter().find(|tool| tool.spec().name == *name).cloned()
    }
}

/// A specification with the schema of the arguments' type.
fn spec<A: JsonSchema>(name: &str, description: &str) -> ToolSpec {
    ToolSpec {
        name: ToolName::new(name),
        description: description.to_owned(),
        schema: codetether_schema::of::<A>(),
    }
}
