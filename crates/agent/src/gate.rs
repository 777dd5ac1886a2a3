//! The one gate: no tool runs but through here, and only with a permit that the journal's state gave.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use codetether_event::{BlobId, KnownFile, Sight, Timing, TodoItem, ToolCall, ToolResult, Touches};
use codetether_files::{BlobStore, Root};
use codetether_secret::Redactor;
use codetether_session::Permit;
use codetether_tool::{
    Args, Cancel, Hidden, Host, Hosts, Known, Limits, ToolContext, ToolError, ToolOutput, ToolSource,
};
use futures_util::FutureExt;

use crate::authorise::inside;
use crate::children::Family;
use crate::readings::Readings;
use crate::workspace::Workspace;

/// Bytes of a result that go to the model, whatever the tool says.
const RESULT: usize = 100_000;

pub(crate) struct Gate {
    pub(crate) tools: Arc<dyn ToolSource>,
    pub(crate) root: Arc<Root>,
    pub(crate) limits: Limits,
    pub(crate) blobs: BlobStore,
    pub(crate) redactor: Arc<Redactor>,
    pub(crate) readings: Arc<Readings>,
    /// Bytes that the tools' schemas may take before some are shown late.
    pub(crate) tool_room: usize,
    /// The user's own file of instructions.
    pub(crate) instructions: Option<PathBuf>,
}

/// How a call ended.
#[derive(Debug)]
pub(crate) struct CallEnd {
    pub(crate) result: ToolResult,
    pub(crate) whole: Option<BlobId>,
    pub(crate) wrote: Vec<String>,
    /// What it named, relative to the root.
    pub(crate) touched: Vec<String>,
    pub(crate) known: Vec<KnownFile>,
    /// What the model has set itself to do by it.
    pub(crate) todo: Option<Vec<TodoItem>>,
    /// What the model is shown.
    pub(crate) images: Vec<Sight>,
    pub(crate) timing: Timing,
    /// Why the run must stop.
    pub(crate) fault: Option<String>,
}

impl Gate {
    /// Runs the call that the permit is for; by value, so that it runs once.
    pub(crate) async fn run(
        &self,
        permit: Permit,
        host: Arc<dyn Host>,
        (hidden, known, hosts): (Hidden, Known, Hosts),
        cancel: Cancel,
    ) -> CallEnd {
        let started = Instant::now();
        let mut touched = Vec::new();
        let outcome = self.outcome(&permit, host, (hidden, known, hosts), cancel, &mut touched).await;
        let mut fault = None;
        let output = match outcome {
            Ok(output) => output,
            Err(ToolError::ForModel(text)) => ToolOutput { text, failed: true, ..ToolOutput::default() },
            Err(ToolError::Interrupted) => ToolOutput {
                text: "interrupted before it ended".into(),
                failed: true,
                ..ToolOutput::default()
            },
            Err(ToolError::Fatal(text)) => {
                fault = Some(format!("`{}` failed: {text}", permit.call().name));
                ToolOutput { text, failed: true, ..ToolOutput::default() }
            }
        };
        let (text, mut whole) = self.bounded(self.redactor.redact(&output.text).into_owned());
        if let Some(path) = output.whole {
            // It may be large: hashing it must not hold up what else runs here.
            let blobs = self.blobs.clone();
            match tokio::task::spawn_blocking(move || blobs.put_file(&path)).await {
                Ok(Ok(blob)) => whole = Some(blob),
                Ok(Err(error)) => {
                    fault.get_or_insert_with(|| error.to_string());
                }
                Err(error) => {
                    fault.get_or_insert_with(|| error.to_string());
                }
            }
        }
        let images = match self.kept(output.images).await {
            Ok(images) => images,
            Err(error) => {
                fault.get_or_insert(error);
                Vec::new()
            }
        };
        CallEnd {
            result: ToolResult { call: permit.call().id.clone(), text, error: output.failed },
            whole,
            wrote: output.wrote,
            touched,
            known: output.known,
            todo: output.todo,
            images,
            timing: Timing {
                first_ms: None,
                total_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            },
            fault,
        }
    }

    /// Images as blobs.
    async fn kept(&self, images: Vec<codetether_tool::Image>) -> Result<Vec<Sight>, String> {
        if images.is_empty() {
            return Ok(Vec::new());
        }
        let blobs = self.blobs.clone();
        let keep = move || {
            images
                .into_iter()
                .map(|image| {
                    let blob = blobs.put(&image.bytes).map_err(|error| error.to_string())?;
                    Ok(Sight { media_type: image.media_type.to_owned(), blob })
                })
                .collect()
        };
        tokio::task::spawn_blocking(keep).await.unwrap_or_else(|error| Err(error.to_string()))
    }

    /// Brings into the workspace what a child made: all that such a permit is for.
    pub(crate) async fn bring(
        &self,
        permit: Permit,
        workspace: Option<Workspace>,
        family: Option<&Family>,
    ) -> CallEnd {
        let started = Instant::now();
        let brought = permit.brought().cloned();
        let done = match (brought.clone(), workspace) {
            (Some(brought), Some(workspace)) => workspace.bring(brought).await,
            _ => Err("there is no place to remember files in".to_owned()),
        };
        let mut wrote = Vec::new();
        let (told, error) = match done {
            Ok(done) => {
                wrote.clone_from(&done.changed);
                if let Some((brought, family)) = brought.as_ref().zip(family).filter(|_| done.left.is_empty())
                {
                    family.brought(brought).await;
                }
                (done.told(), false)
            }
            Err(error) => {
                (format!("[what the child changed was not brought into this folder: {error}]"), true)
            }
        };
        let (text, failed) = brought.map(|brought| (brought.text, brought.error)).unwrap_or_default();
        let text = self.redactor.redact(&format!("{text}\n\n{told}")).into_owned();
        CallEnd {
            result: ToolResult { call: permit.call().id.clone(), text, error: error || failed },
            whole: None,
            touched: wrote.clone(),
            wrote,
            known: Vec::new(),
            images: Vec::new(),
            todo: None,
            timing: Timing {
                first_ms: None,
                total_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            },
            fault: None,
        }
    }

    /// The arguments of a call that has run, and what it touched; nothing where that cannot be told any more.
    pub(crate) fn seen(&self, call: &ToolCall) -> Option<(Args, Touches)> {
        let tool = self.tools.tool(&call.name)?;
        let (args, _) = self.readings.read(call, &*tool).ok()?.ok()?;
        let touches = inside(&self.root, &tool.touches(&args)).ok()?;
        Some((args, touches))
    }

    async fn outcome(
        &self,
        permit: &Permit,
        host: Arc<dyn Host>,
        (hidden, known, hosts): (Hidden, Known, Hosts),
        cancel: Cancel,
        touched: &mut Vec<String>,
    ) -> Result<ToolOutput, ToolError> {
        let call = permit.call();
        let tool = self
            .tools
            .tool(&call.name)
            .ok_or_else(|| ToolError::ForModel(format!("there is no tool `{}` any more", call.name)))?;
        let read = self.readings.read(call, &*tool).map_err(ToolError::Fatal)?;
        let (args, _) = read.map_err(ToolError::ForModel)?;
        let touches = tool.touches(&args);
        let inside = |path: &String| self.root.relative(path).ok().map(|path| path.to_string());
        touched.extend(touches.reads.iter().chain(&touches.writes).filter_map(inside));
        let cx = ToolContext {
            call: permit.item(),
            root: self.root.clone(),
            limits: self.limits,
            cancel: cancel.clone(),
            host,
            hidden,
            known,
            hosts,
        };
        let run = AssertUnwindSafe(tool.call(args, &cx)).catch_unwind();
        tokio::select! {
            outcome = run => outcome.unwrap_or_else(|panic| {
                Err(ToolError::ForModel(format!("the tool broke down: {}", panic_text(&*panic))))
            }),
            () = late(&cancel, tool.grace()) => Err(ToolError::Interrupted),
        }
    }

    /// The text, cut in the middle when it is too long; the whole is a blob then.
    fn bounded(&self, text: String) -> (String, Option<BlobId>) {
        if text.len() <= RESULT {
            return (text, None);
        }
        let head = text.floor_char_boundary(RESULT / 2);
        let tail = text.ceil_char_boundary(text.len() - RESULT / 2);
        let (first, last) = (text.get(..head).unwrap_or_default(), text.get(tail..).unwrap_or_default());
        let short = format!("{first}\n[… {} bytes left out …]\n{last}", tail - head);
        (short, self.blobs.put(text.as_bytes()).ok())
    }
}

/// Some time after the cancelling.
async fn late(cancel: &Cancel, grace: Duration) {
    cancel.cancelled().await;
    tokio::time::sleep(grace).await;
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no reason given")
}
