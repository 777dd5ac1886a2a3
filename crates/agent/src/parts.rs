//! What a session is made of: all that the composition of the program gives to it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use codetether_event::{ModelId, ToolName};
use codetether_files::{BlobStore, Root};
use codetether_provider::Provider;
use codetether_sandbox::Audit;
use codetether_tool::ToolSource;

use crate::children::Children;
use crate::confine::Confine;
use crate::gate::Gate;
use crate::hooks::Hook;
use crate::purse::Purse;
use crate::readings::Readings;
use crate::workspace::Memory;

/// Finds the provider of a model; an error says what is missing.
pub type FindProvider = dyn Fn(&ModelId) -> Result<Arc<dyn Provider>, String> + Send + Sync;

/// What a live session is made of, besides its journal.
#[derive(Clone)]
pub struct Parts {
    /// The tools there are.
    pub tools: Arc<dyn ToolSource>,
    /// Finds the provider of a model.
    pub providers: Arc<FindProvider>,
    /// What samples cost, and where that is recorded.
    pub purse: Purse,
    /// The environment of every command.
    pub environment: Arc<Vec<(OsString, OsString)>>,
    /// Bounds of every call.
    pub limits: codetether_tool::Limits,
    /// Bytes that the tools' schemas may take together before those that are not core are shown late.
    pub tool_room: usize,
    /// Takes known secrets out of what tools return.
    pub redactor: Arc<codetether_secret::Redactor>,
    /// The user's home folder, for rules and paths that speak of it.
    pub home: Option<PathBuf>,
    /// The user's own file of instructions; need not exist.
    pub instructions: Option<PathBuf>,
    /// How commands are confined, in turns whose settings want it.
    pub confine: Option<Confine>,
    /// Where commands are recorded, if they are.
    pub audit: Option<Audit>,
    /// Where files are remembered, so that changes can be taken back.
    pub memory: Option<Memory>,
    /// The hooks that are in force, in their order.
    pub hooks: Arc<Vec<Hook>>,
    /// Where rules go that were allowed for good; without it they last as long as the session.
    pub rule_file: Option<RuleFile>,
    /// What children are made of, where there may be any.
    pub children: Option<Children>,
}

/// The file that rules are written to when a call was allowed for good.
#[derive(Clone)]
pub struct RuleFile {
    /// What a person is told of it.
    pub path: String,
    /// Adds them.
    pub add: Arc<AddRules>,
}

/// Adds rules that allow; an error says what went wrong.
pub type AddRules = dyn Fn(&[String]) -> Result<(), String> + Send + Sync;

impl Parts {
    pub(crate) fn gate(&self, root: Arc<Root>, blobs: BlobStore, readings: Arc<Readings>) -> Gate {
        let redactor = self.redactor.clone();
        let instructions = self.instructions.clone();
        let tools = self.tools.clone();
        let (limits, tool_room) = (self.limits, self.tool_room);
        Gate { tools, root, limits, blobs, redactor, readings, tool_room, instructions }
    }

    /// The names of the tools there are.
    #[must_use]
    pub fn tool_names(&self) -> Vec<ToolName> {
        self.tools.manifest().into_iter().map(|spec| spec.name).collect()
    }
}
