//! What a tool is, and all that it may ask of its session. Traits and their types; no tool lives here.
//!
//! A tool names what a call would touch ([`Tool::touches`], pure), shows what it would do ([`Tool::preview`]),
//! and does it ([`Tool::call`]) with nothing but its arguments and a [`ToolContext`]. Whether it may is decided
//! elsewhere, before.

mod process;

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub use codetether_event::CALL_TOOL;
use codetether_event::{
    ContentId, ItemId, KnownFile, Money, Outcome, Piece, Question, ResponseFormat, SessionId, TodoItem,
    ToolName, Touches,
};
use codetether_files::Root;
pub use process::{Heard, Until, Wish};
use serde::de::DeserializeOwned;
use serde_json::Value;
pub use tokio_util::sync::CancellationToken as Cancel;

/// A future on the heap, as trait objects need it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How a tool is shown to the model. Its bytes are stable: they are part of the cached prefix.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolSpec {
    /// At most 64 of `[A-Za-z0-9_-]`.
    pub name: ToolName,
    /// What it does, for the model; short.
    pub description: String,
    /// JSON Schema of the arguments: an object.
    pub schema: Value,
}

/// Arguments that fit the tool's schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Args(pub Value);

impl Args {
    /// Reads the arguments as the tool's own type.
    ///
    /// # Errors
    /// When the type asks for more than the schema promised; the model hears it.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ToolError> {
        T::deserialize(&self.0).map_err(|e| ToolError::ForModel(format!("the arguments do not fit: {e}")))
    }
}

/// A tool.
pub trait Tool: Send + Sync {
    /// How it is shown to the model.
    fn spec(&self) -> &ToolSpec;

    /// What a call with these arguments would touch. Pure.
    fn touches(&self, args: &Args) -> Touches;

    /// The question to the user that a call with these arguments is. Such a call never runs: the answer is its result. Pure.
    ///
    /// # Errors
    /// What is wrong with the question; the model hears it.
    fn asks(&self, _args: &Args) -> Result<Option<Question>, String> {
        Ok(None)
    }

    /// What a person is shown when asked for permission: the exact command, or the change as a unified diff.
    fn preview<'a>(&'a self, args: &'a Args, cx: &'a ToolContext) -> BoxFuture<'a, String>;

    /// How long a cancelled call may take to end by itself before it is dropped: longer than ending what it started takes.
    fn grace(&self) -> Duration {
        Duration::from_secs(5)
    }

    /// Does it. The future may be dropped at any `.await` when the call is cancelled.
    fn call<'a>(&'a self, args: Args, cx: &'a ToolContext) -> BoxFuture<'a, Result<ToolOutput, ToolError>>;
}

/// What a tool returns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ToolOutput {
    /// What the model is told.
    pub text: String,
    /// Whether that is a failure in the tool's own terms, such as a command's non-zero exit.
    pub failed: bool,
    /// A file of the session's spool that holds the whole output, where `text` holds only a part.
    pub whole: Option<PathBuf>,
    /// Files that were written or removed, relative to the root.
    pub wrote: Vec<String>,
    /// What the model has set itself to do, in place of what it had before.
    pub todo: Option<Vec<TodoItem>>,
    /// Files that the model knows by it: of which it was shown something, or that it wrote whole.
    pub known: Vec<KnownFile>,
    /// What the model is shown beside the text; only where it can see ([`Host::sees`]).
    pub images: Vec<Image>,
}

/// An image for the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Such as `image/png`.
    pub media_type: &'static str,
    /// The file's bytes.
    pub bytes: Vec<u8>,
}

impl ToolOutput {
    /// An output of one text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

/// Why a tool returned nothing.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// The model must hear it, and can do something about it.
    #[error("{0}")]
    ForModel(String),
    /// The call was cancelled.
    #[error("interrupted")]
    Interrupted,
    /// The run must stop: a fault of ours or of the machine.
    #[error("{0}")]
    Fatal(String),
}

/// Where tools come from.
pub trait ToolSource: Send + Sync {
    /// The tools there are, in a stable order. Never blocks.
    fn manifest(&self) -> Vec<ToolSpec>;

    /// The tool of that name. Also those by which late tools are found and called ([`TOOL_SEARCH`], [`CALL_TOOL`]), which
    /// are not in the manifest: whether they are needed is decided elsewhere.
    fn tool(&self, name: &ToolName) -> Option<Arc<dyn Tool>>;

    /// How many tools of the manifest, from its start, are shown whatever room they take. Those after them are *late* where
    /// all together take more than there is: they are found and called through two others.
    fn core(&self) -> usize {
        0
    }
}

/// The tool that finds late tools.
pub const TOOL_SEARCH: &str = "tool_search";

/// Bounds of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of output that go to the model.
    pub output: usize,
    /// Longest run of a command that names no time of its own.
    pub command_time: Duration,
    /// Longest run of a command whatever it asks for.
    pub command_time_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            output: 30_000,
            command_time: Duration::from_secs(120),
            command_time_max: Duration::from_secs(1_800),
        }
    }
}

/// All that a call has.
#[derive(Clone)]
pub struct ToolContext {
    /// The call.
    pub call: ItemId,
    /// The folder that it cannot leave.
    pub root: Arc<Root>,
    /// Its bounds.
    pub limits: Limits,
    /// Fires when it is to stop.
    pub cancel: Cancel,
    /// The way to the session.
    pub host: Arc<dyn Host>,
    /// What a search passes over.
    pub hidden: Hidden,
    /// What the model knows of files.
    pub known: Known,
    /// Where it may go besides, without anyone being asked.
    pub hosts: Hosts,
}

/// Hosts that the permission of a call's tool holds for: a call that is led on to another host asks this first.
#[derive(Clone, Default)]
pub struct Hosts(Option<Arc<Holds>>);

impl Hosts {
    /// Those that this holds for.
    pub fn by(holds: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(holds)))
    }

    /// Whether the host may be reached.
    #[must_use]
    pub fn allow(&self, host: &str) -> bool {
        self.0.as_ref().is_some_and(|holds| holds(host))
    }
}

/// Files that a tool must pass over when it searches a folder, though it may search the folder: reading them is denied.
#[derive(Clone, Default)]
pub struct Hidden(Option<Arc<Holds>>);

type Holds = dyn Fn(&str) -> bool + Send + Sync;

impl Hidden {
    /// Those whose path, relative to the root, this holds for.
    pub fn by(holds: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(holds)))
    }

    /// Whether the file at this path is one of them. A path that is no text is, as soon as there are any.
    #[must_use]
    pub fn hides(&self, path: &std::path::Path) -> bool {
        self.0.as_ref().is_some_and(|holds| path.to_str().is_none_or(|path| holds(path)))
    }
}

/// What files held when the model saw them last in this session.
#[derive(Clone, Default)]
pub struct Known(Option<Arc<Recalls>>);

type Recalls = dyn Fn(&str) -> Option<ContentId> + Send + Sync;

impl Known {
    /// What this recalls of the file at a path, relative to the root.
    pub fn by(recalls: impl Fn(&str) -> Option<ContentId> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(recalls)))
    }

    /// What the file at this path, relative to the root, held when the model read or wrote it last; nothing where it never
    /// did.
    #[must_use]
    pub fn content(&self, path: &str) -> Option<ContentId> {
        self.0.as_ref().and_then(|recalls| recalls(path))
    }
}

/// The only way from a tool to its session.
pub trait Host: Send + Sync {
    /// Runs a command, supervised: its own process group, closed input, bounded time and output.
    ///
    /// # Errors
    /// [`ToolError::Interrupted`] when the call was cancelled, [`ToolError::ForModel`] when it cannot be started.
    fn exec<'a>(&'a self, command: Command, cx: &'a ToolContext) -> BoxFuture<'a, Result<Exit, ToolError>>;

    /// Does something with the processes that the session has in the background; tells of the one that it is about, or of
    /// all.
    ///
    /// # Errors
    /// [`ToolError::ForModel`] when there is no such process, or it cannot be done; [`ToolError::Interrupted`] when the call
    /// was cancelled while it waited.
    fn process<'a>(&'a self, wish: Wish, cx: &'a ToolContext)
    -> BoxFuture<'a, Result<Vec<Heard>, ToolError>>;

    /// The result of an earlier call of this session, as whole as it is kept; nothing where there is none.
    ///
    /// # Errors
    /// [`ToolError::ForModel`] when what is kept cannot be read.
    fn recall(&self, call: ItemId) -> BoxFuture<'_, Result<Option<String>, ToolError>>;

    /// The tools that are offered, and that the model was not shown when its context began.
    fn late(&self) -> Vec<ToolSpec> {
        Vec::new()
    }

    /// Whether the model that made the call is known to take images.
    fn sees(&self) -> bool {
        false
    }

    /// Starts a child: a session of its own with a task, within the bounds of this one. Waits for its end.
    ///
    /// # Errors
    /// [`ToolError::ForModel`] when there can be none, [`ToolError::Interrupted`] when the call was cancelled.
    fn spawn<'a>(
        &'a self,
        child: ChildSpec,
        cx: &'a ToolContext,
    ) -> BoxFuture<'a, Result<ChildEnd, ToolError>> {
        let _ = (child, cx);
        Box::pin(async { Err(ToolError::ForModel("no child can be started here".into())) })
    }

    /// Shows a piece of output while the call runs.
    fn emit(&self, call: ItemId, piece: Piece);
}

/// A child to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildSpec {
    /// Its task.
    pub prompt: String,
    /// The kind of agent that it is to be; the usual one when absent.
    pub agent: Option<String>,
    /// Whether it may change files, in a worktree of its own.
    pub writes: bool,
    /// What its last answer must be.
    pub format: ResponseFormat,
    /// Most steps; what is left to the parent when absent.
    pub max_steps: Option<u32>,
    /// Most money of its own.
    pub max_cost: Option<Money>,
}

/// How a child ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildEnd {
    /// Its session.
    pub session: SessionId,
    /// How it ended.
    pub outcome: Outcome,
    /// Its steps.
    pub steps: u32,
    /// What it said last; the value, where its answer had to have a form.
    pub text: String,
    /// What the model should know besides: few short lines.
    pub notes: Vec<String>,
}

/// A command to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Working folder, relative to the root; the root itself when empty.
    pub dir: String,
    /// Longest run.
    pub time: Duration,
    /// Most bytes of output to keep in memory: half from the start, half from the end.
    pub output: usize,
    /// Whether it runs outside the sandbox; its call was judged as one that does.
    pub outside: bool,
    /// Whether it has a terminal of its own.
    pub terminal: bool,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// How.
    pub status: ExitStatus,
    /// Standard output and error as they came, decoded (invalid UTF-8 replaced); when it was longer than asked
    /// for, its start and its end with a line between them that says how much is missing.
    pub output: String,
    /// A file that holds the whole output, where `output` is only a part.
    pub whole: Option<PathBuf>,
    /// What the model should know of the run besides: few short lines, such as what the sandbox kept from the command.
    pub notes: Vec<String>,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It ran out of time and was killed.
    TimedOut,
}
