//! A tool's way to its session: commands run supervised, output is shown as it comes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use codetether_event::{Brought, CallEvent, Event, ItemId, Mode, Piece, SessionId};
use codetether_files::BlobStore;
use codetether_sandbox::{Audit, Decoder, Ends, Kept, Marker, Spec, Status};
use codetether_secret::Redactor;
use codetether_tool::{
    BoxFuture, ChildEnd, ChildSpec, Command, Exit, ExitStatus, Heard as Told, Host, ToolContext, ToolError,
    ToolSpec, Wish,
};
use tokio_util::sync::CancellationToken;

use crate::agents;
use crate::children::Standing;
use crate::confine::Sandbox;
use crate::egress::Listening;
use crate::heard::{self, Heard};
use crate::hub::Hub;
use crate::late::Late;
use crate::processes::Processes;
use crate::shown::Shown;

/// The variable that processes of a call carry, so that survivors of a crash can be found.
pub(crate) const MARKER: &str = "CODETETHER_CALL";
/// Most bytes of one command's output that are kept on disk.
const SPOOL_MAX: u64 = 1 << 30;

/// The host of one call.
pub(crate) struct CallHost {
    pub(crate) hub: Arc<Hub>,
    pub(crate) environment: Arc<Vec<(OsString, OsString)>>,
    pub(crate) spool: PathBuf,
    pub(crate) marker: String,
    pub(crate) redactor: Arc<Redactor>,
    pub(crate) commands: AtomicU64,
    /// The session's journal, and where the rest of long results is.
    pub(crate) journal: PathBuf,
    pub(crate) blobs: BlobStore,
    /// What confines its commands, and the mode that they run in; nothing where they run on the machine as it is.
    pub(crate) sandbox: Option<(Arc<Sandbox>, Mode)>,
    /// Where runs are recorded, where they are.
    pub(crate) audit: Option<Audit>,
    pub(crate) session: Option<SessionId>,
    /// What it may start a child from; nothing where there can be none.
    pub(crate) standing: Option<Standing>,
    /// What its child made, which is to be brought into the workspace.
    pub(crate) brought: Mutex<Option<Brought>>,
    /// The child that it started, once that has ended: its session, the kind of agent, what it said last.
    pub(crate) child: Mutex<Option<(SessionId, String, String)>>,
    /// What the user should know: that a run could not be recorded.
    pub(crate) warnings: Mutex<Vec<String>>,
    /// Which tools the model was not shown.
    pub(crate) late: Late,
    /// Whether the model is known to take images.
    pub(crate) sees: bool,
    /// What runs in the background.
    pub(crate) processes: Arc<Processes>,
    /// Whether the sandbox, where there is one, has walls all around.
    pub(crate) is_walled: bool,
    /// The processes of whose end the model hears by the result of this call.
    pub(crate) told_of: Mutex<Vec<ItemId>>,
}

impl Host for CallHost {
    fn exec<'a>(&'a self, command: Command, cx: &'a ToolContext) -> BoxFuture<'a, Result<Exit, ToolError>> {
        Box::pin(async move {
            let dir = self.dir(&command, cx)?;
            let mut listening = None;
            let sandbox = self.sandbox.clone().filter(|_| !command.outside);
            let mut heard = Heard::begun(&command, &dir, cx, self.session);
            let confined = match sandbox.clone() {
                Some((sandbox, mode)) => {
                    heard.confined(&sandbox.policy(mode));
                    listening = sandbox.egress().map(|egress| egress.listen(cx.call));
                    match self.kept(sandbox, mode).await {
                        Ok((kept, _)) => Some(kept),
                        Err(why) => {
                            heard.entry.denied(&why.to_string());
                            self.record(heard).await;
                            return Err(why);
                        }
                    }
                }
                None => None,
            };
            let number = self.commands.fetch_add(1, Ordering::Relaxed);
            let spec = Spec {
                argv: command.argv.iter().map(OsString::from).collect(),
                dir,
                env: self.environment.to_vec(),
                marker: Some(Marker { name: MARKER.into(), value: self.marker.clone() }),
                time: command.time,
                keep: command.output,
                spool: self.spool.join(format!("{}-{number}", cx.call)),
                spool_max: SPOOL_MAX,
                confined,
                ends: if command.terminal { Ends::Terminal(None) } else { Ends::Nothing },
                filter: Some(Box::new(Shown::new(&self.redactor, command.terminal))),
            };
            let mut decoder = Decoder::default();
            let mut show = |bytes: &[u8]| {
                let text = decoder.push(bytes);
                if !text.is_empty() {
                    self.hub.piece(cx.call, Piece::Output(text));
                }
            };
            let ended = match codetether_sandbox::run(spec, &mut show, &cx.cancel).await {
                Ok(ended) => ended,
                Err(error) => {
                    heard.entry.denied(&error.to_string());
                    self.record(heard).await;
                    return Err(ToolError::ForModel(error.to_string()));
                }
            };
            let rest = decoder.finish();
            if !rest.is_empty() {
                self.hub.piece(cx.call, Piece::Output(rest));
            }
            heard.entry.ended(ended.status, ended.took);
            let mut output = ended.text();
            if let Some((sandbox, mode)) = sandbox {
                heard.beside(&ended.notes);
                for (what, note) in listening.map(Listening::notes).unwrap_or_default() {
                    heard.denied(&what, note);
                }
                if ended.status != Status::Cancelled {
                    heard.denials(sandbox, mode, ended.status, &output).await;
                }
            }
            let notes = heard.notes.clone();
            self.record(heard).await;
            let status = match ended.status {
                Status::Code(code) => ExitStatus::Code(code),
                Status::Signal(signal) => ExitStatus::Signal(signal),
                Status::TimedOut => ExitStatus::TimedOut,
                Status::Cancelled => {
                    if let Some(whole) = &ended.whole {
                        codetether_files::remove_file(whole).map_err(|e| ToolError::Fatal(e.to_string()))?;
                    }
                    return Err(match ended.unkilled {
                        Some(unkilled) => ToolError::ForModel(format!("interrupted; {unkilled}")),
                        None => ToolError::Interrupted,
                    });
                }
            };
            if let Some(lacks) = &ended.whole_lacks {
                output.push_str(&format!("\n[the whole output is not kept: {lacks}]\n"));
            }
            Ok(Exit { status, output, whole: ended.whole, notes })
        })
    }

    fn process<'a>(&'a self, wish: Wish, cx: &'a ToolContext) -> BoxFuture<'a, Result<Vec<Told>, ToolError>> {
        Box::pin(self.with_processes(wish, cx))
    }

    fn recall(&self, call: ItemId) -> BoxFuture<'_, Result<Option<String>, ToolError>> {
        let (journal, blobs) = (self.journal.clone(), self.blobs.clone());
        Box::pin(async move {
            let read = tokio::task::spawn_blocking(move || recalled(&journal, &blobs, call)).await;
            read.map_err(|error| error.to_string()).and_then(|read| read).map_err(ToolError::ForModel)
        })
    }

    fn late(&self) -> Vec<ToolSpec> {
        self.late.specs(&self.blobs)
    }

    fn sees(&self) -> bool {
        self.sees
    }

    fn spawn<'a>(
        &'a self,
        child: ChildSpec,
        cx: &'a ToolContext,
    ) -> BoxFuture<'a, Result<ChildEnd, ToolError>> {
        Box::pin(async move {
            let Some(standing) = &self.standing else {
                return Err(ToolError::ForModel("no child can be started here".into()));
            };
            let agent = child.agent.clone().unwrap_or_else(|| agents::USUAL.to_owned());
            let (end, brought) = standing.spawn(cx.call, child, &cx.cancel).await?;
            let ended = (end.session, agent, end.text.clone());
            *self.child.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended);
            *self.brought.lock().unwrap_or_else(PoisonError::into_inner) = brought;
            Ok(end)
        })
    }

    fn emit(&self, call: ItemId, piece: Piece) {
        self.hub.piece(call, piece);
    }
}

impl CallHost {
    /// Where a command runs. What it says may have to be kept, so there is a place for that.
    pub(crate) fn dir(&self, command: &Command, cx: &ToolContext) -> Result<PathBuf, ToolError> {
        let dir = match command.dir.as_str() {
            "" => cx.root.path().to_owned(),
            dir => cx.root.open_dir(dir).map_err(|e| ToolError::ForModel(e.to_string()))?,
        };
        codetether_files::create_dir_private(&self.spool).map_err(|e| ToolError::Fatal(e.to_string()))?;
        Ok(dir)
    }

    /// The sandbox for a command, and what fires when another takes its place.
    pub(crate) async fn kept(
        &self,
        sandbox: Arc<Sandbox>,
        mode: Mode,
    ) -> Result<(Arc<Kept>, CancellationToken), ToolError> {
        let kept = tokio::task::spawn_blocking(move || sandbox.kept(mode)).await;
        kept.map_err(|e| ToolError::Fatal(e.to_string()))?.map_err(ToolError::ForModel)
    }

    /// Records a run, if runs are recorded.
    async fn record(&self, heard: Heard) {
        let Some(audit) = self.audit.clone() else { return };
        if let Err(problem) = heard::record(audit, heard.entry).await {
            self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(problem);
        }
    }
}

/// What a journal has of the result of a call.
fn recalled(journal: &Path, blobs: &BlobStore, call: ItemId) -> Result<Option<String>, String> {
    let records = codetether_journal::read::<Event>(journal).map_err(|error| error.to_string())?.records;
    let ended = records.into_iter().rev().find_map(|record| match record.event {
        Event::Call(CallEvent::Ended { item, result, whole, .. }) if item == call => Some((result, whole)),
        _ => None,
    });
    Ok(match ended {
        None => None,
        Some((result, None)) => Some(result.text),
        Some((_, Some(whole))) => {
            Some(String::from_utf8_lossy(&blobs.get(&whole).map_err(|error| error.to_string())?).into_owned())
        }
    })
}
