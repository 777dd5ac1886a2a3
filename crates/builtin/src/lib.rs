//! The built-in tools, one a file: `read`, `write`, `edit`, `multi_edit`, `apply_patch`, `list`, `glob`, `grep`, `bash`, `process`,
//! `recall`, `question`, `todo`, `delegate`, `web_fetch`, and `skill` where there are skills; and `tool_search` and `call_tool`, for
//! those of them that are not shown from the start. Each does what its call says within the bounds of its context, and never decides
//! whether it may.
//!
//! Paths are relative to the context's root, which cannot be left. Every output is bounded and says so when the
//! bound was hit, and how to see more.

mod apply_patch;
mod bash;
mod call_tool;
mod change;
mod delegate;
mod diff;
mod edit;
mod glob;
mod grep;
mod ignores;
mod image;
mod indent;
mod known;
mod list;
mod multi_edit;
mod near;
mod off_thread;
mod patch;
mod place;
mod process;
mod question;
mod read;
mod recall;
mod replace;
mod sight;
mod skill;
mod text;
mod todo;
mod tool_search;
mod walk;
mod web_fetch;
mod write;

use std::sync::Arc;

use codetether_event::ToolName;
use codetether_tool::{Tool, ToolSource, ToolSpec};
use schemars::JsonSchema;

pub use apply_patch::ApplyPatch;
pub use bash::{Bash, Shell};
pub use call_tool::CallTool;
pub use delegate::Delegate;
pub use edit::Edit;
pub use glob::Glob;
pub use grep::Grep;
pub use list::List;
pub use multi_edit::MultiEdit;
pub use process::Process;
pub use question::Question;
pub use read::Read;
pub use recall::Recall;
pub use sight::{Fitted, described, fit, is_image};
pub use skill::{Skill, SkillFiles, SkillFolder};
pub use todo::Todo;
pub use tool_search::ToolSearch;
pub use web_fetch::{PrivateHosts, WebFetch};
pub use write::Write;

/// All built-in tools, in the order in which they are shown to the model: the core ones first, which always are.
#[must_use]
pub fn tools(shell: Shell, web: WebFetch) -> Vec<Arc<dyn Tool>> {
    vec![
        Arc::new(Read::default()),
        Arc::new(Write::default()),
        Arc::new(Edit::default()),
        Arc::new(List::default()),
        Arc::new(Glob::default()),
        Arc::new(Grep::default()),
        Arc::new(Bash::new(shell)),
        Arc::new(Recall::default()),
        // Those above are the core.
        Arc::new(Todo::default()),
        Arc::new(Question::default()),
        Arc::new(Process::default()),
        Arc::new(Delegate::default()),
        Arc::new(MultiEdit::default()),
        Arc::new(ApplyPatch::default()),
        Arc::new(web),
    ]
}

/// How many of the built-in tools are core.
const CORE: usize = 8;

/// The built-in tools as a source.
pub struct Builtin {
    tools: Vec<Arc<dyn Tool>>,
    /// How many of them, from the first, are shown always.
    core: usize,
    /// By which tools that are not shown are found and called.
    means: [Arc<dyn Tool>; 2],
}

impl Builtin {
    /// All of them, with commands that run there, and a web of public hosts alone.
    #[must_use]
    pub fn new(shell: Shell) -> Self {
        Self::with_web(shell, WebFetch::default())
    }

    /// All of them, with this web.
    #[must_use]
    pub fn with_web(shell: Shell, web: WebFetch) -> Self {
        Self {
            tools: tools(shell, web),
            core: CORE,
            means: [Arc::new(ToolSearch::default()), Arc::new(CallTool::default())],
        }
    }

    /// The same, and `skill` where there are any.
    #[must_use]
    pub fn with_skills(mut self, skills: Vec<SkillFolder>) -> Self {
        if !skills.is_empty() {
            // The system prompt speaks of it, so it is shown.
            self.tools.insert(self.core, Arc::new(Skill::new(skills)));
            self.core += 1;
        }
        self
    }
}

impl ToolSource for Builtin {
    fn manifest(&self) -> Vec<ToolSpec> {
        self.tools.iter().map(|tool| tool.spec().clone()).collect()
    }

    fn tool(&self, name: &ToolName) -> Option<Arc<dyn Tool>> {
        self.tools.iter().chain(&self.means).find(|tool| tool.spec().name == *name).cloned()
    }

    fn core(&self) -> usize {
        self.core
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
