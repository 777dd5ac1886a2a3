//! The session's processes in the background: started by a call, they outlive it, but not the session. Each is run and
//! watched by a task of its own; its end becomes a fact. Never decides whether one may be started, or who hears of its end.

mod held;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use codetether_event::{Event, ItemId, Mode, NoteEvent, ProcessEvent, ProcessStatus};
use codetether_sandbox::{Audit, Ended, Ends, Marker, Spec, Status, Typed, kill_marked};
use codetether_tool::{Command, Heard as Told, ToolContext, ToolError, Until, Wish};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::heard::{self, Heard};
use crate::host::{CallHost, MARKER};
use crate::shown::Shown;
use held::Held;

/// Most that run at once.
const MOST: usize = 16;
/// Most that are kept after their end, for who wants to read what they said.
const KEPT: usize = 16;
/// Most bytes of the output of one that are kept on disk.
const SPOOL_MAX: u64 = 64 << 20;
/// How long a process may take to read what is written to it, before that is told.
const TAKING: Duration = Duration::from_secs(5);
/// How long nothing more must come after a write for its answer to be whole, and how long that is waited for.
const QUIET: (Duration, Duration) = (Duration::from_millis(150), Duration::from_secs(1));
/// How long one that is killed may take to be gone.
const DEATH: Duration = Duration::from_secs(5);
/// Writes that may wait.
const WRITES: usize = 4;

/// The processes of a session.
pub(crate) struct Processes {
    all: Mutex<BTreeMap<ItemId, Arc<Entry>>>,
    tasks: Mutex<JoinSet<()>>,
    facts: mpsc::Sender<Event>,
}

/// A process.
struct Entry {
    item: ItemId,
    command: String,
    begun: Instant,
    held: Mutex<Held>,
    typing: mpsc::Sender<Typed>,
    /// Fires when it is to end.
    stop: CancellationToken,
    /// Why it is to end.
    why: Mutex<Option<Stop>>,
    /// The line that is being written at its terminal. Changes when it says something, and when it has ended.
    news: Arc<watch::Sender<String>>,
    is_told: AtomicBool,
}

/// Why a process is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Killed,
    Closed,
    /// Its sandbox was made anew.
    Replaced,
}

/// What one is started with.
struct Launch {
    entry: Arc<Entry>,
    spec: Spec,
    marker: String,
    /// Fires when another sandbox takes the place of its own.
    replaced: Option<CancellationToken>,
    heard: Heard,
    audit: Option<Audit>,
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing in here is left half done by a panic.
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Processes {
    /// What happens to them goes to `facts`.
    pub(crate) fn new(facts: mpsc::Sender<Event>) -> Self {
        Self { all: Mutex::default(), tasks: Mutex::default(), facts }
    }

    /// Takes one in, if there is room.
    fn take_in(&self, entry: &Arc<Entry>) -> Result<(), ToolError> {
        let mut all = lock(&self.all);
        if all.values().filter(|entry| entry.ended().is_none()).count() >= MOST {
            return Err(ToolError::ForModel(format!(
                "{MOST} processes run in the background already, and no more can: end one first (`process` with `list` shows \
                 them, with `kill` ends one)"
            )));
        }
        let over = all.values().filter(|entry| entry.ended().is_some()).map(|entry| entry.item);
        let over: Vec<ItemId> = over.collect();
        for item in over.iter().take(over.len().saturating_sub(KEPT)) {
            if let Some(entry) = all.remove(item) {
                lock(&entry.held).forget();
            }
        }
        all.insert(entry.item, Arc::clone(entry));
        Ok(())
    }

    fn get(&self, process: ItemId) -> Result<Arc<Entry>, ToolError> {
        lock(&self.all).get(&process).cloned().ok_or_else(|| {
            ToolError::ForModel(format!(
                "there is no process `{process}` (any more); `process` with `list` shows those that there are"
            ))
        })
    }

    /// Ends all that run, since the session ends. What is given back is done when they have ended.
    pub(crate) fn end_all(&self) -> JoinSet<()> {
        for entry in lock(&self.all).values() {
            entry.stop(Stop::Closed);
        }
        std::mem::take(&mut *lock(&self.tasks))
    }

    /// Forgets what they said.
    pub(crate) fn forget(&self) {
        for entry in std::mem::take(&mut *lock(&self.all)).into_values() {
            lock(&entry.held).forget();
        }
    }

    fn run(&self, launch: Launch) {
        let facts = self.facts.clone();
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(launch.run(facts));
    }
}

impl Launch {
    /// From its start to its end, which it tells.
    async fn run(self, facts: mpsc::Sender<Event>) {
        let Self { entry, spec, marker, replaced, mut heard, audit } = self;
        let is_confined = spec.confined.is_some();
        let said = Arc::clone(&entry);
        let mut take = move |bytes: &[u8]| {
            lock(&said.held).push(bytes);
            said.news.send_modify(|_| {});
        };
        let outcome = {
            let mut running = std::pin::pin!(codetether_sandbox::run(spec, &mut take, &entry.stop));
            let mut replaced = std::pin::pin!(async {
                match replaced {
                    Some(replaced) => replaced.cancelled_owned().await,
                    None => std::future::pending().await,
                }
            });
            loop {
                tokio::select! {
                    biased;
                    outcome = &mut running => break outcome,
                    () = &mut replaced, if !entry.stop.is_cancelled() => entry.stop(Stop::Replaced),
                }
            }
        };
        // What it left behind does not outlive it: inside, its own process 1 saw to that.
        if !is_confined {
            let swept = tokio::task::spawn_blocking(move || kill_marked(MARKER, &marker));
            if let Ok(Err(error)) = swept.await {
                let _ = facts.send(Event::Note(NoteEvent::Warned { text: error.to_string() })).await;
            }
        }
        let (fact, ended) = match outcome {
            Ok(ended) => {
                heard.entry.ended(ended.status, ended.took);
                heard.beside(&ended.notes);
                entry.over(ended)
            }
            Err(error) => {
                heard.entry.denied(&error.to_string());
                entry.lost(error.to_string())
            }
        };
        if let Some(audit) = audit
            && let Err(text) = heard::record(audit, heard.entry).await
        {
            let _ = facts.send(Event::Note(NoteEvent::Warned { text })).await;
        }
        // The fact comes before anyone can act on it. Nobody is there to hear it when this fails.
        let _ = facts.send(Event::Process(fact)).await;
        lock(&entry.held).end(ended);
        entry.news.send_modify(|_| {});
    }
}

impl Entry {
    fn ended(&self) -> Option<String> {
        lock(&self.held).ended()
    }

    fn stop(&self, why: Stop) {
        lock(&self.why).get_or_insert(why);
        self.stop.cancel();
    }

    /// What is to be said of its end.
    fn over(&self, ended: Ended) -> (ProcessEvent, String) {
        let status = match (ended.status, *lock(&self.why)) {
            (Status::Code(code), _) => ProcessStatus::Code { code },
            (Status::Signal(signal), _) => ProcessStatus::Signal { signal },
            (Status::TimedOut, _) => ProcessStatus::TimedOut,
            (Status::Cancelled, Some(Stop::Killed)) => ProcessStatus::Killed,
            (Status::Cancelled, Some(Stop::Replaced)) => {
                return self.lost("the sandbox that it ran in was made anew".to_owned());
            }
            (Status::Cancelled, Some(Stop::Closed) | None) => ProcessStatus::Closed,
        };
        let mut notes = ended.notes;
        notes.extend(ended.unkilled);
        (ProcessEvent::Exited { item: self.item, status, notes }, status.to_string())
    }

    fn lost(&self, why: String) -> (ProcessEvent, String) {
        let ended = format!("is gone: {why}");
        (ProcessEvent::Lost { item: self.item, why }, ended)
    }

    /// What it said since it was asked last, and how it is.
    fn hear(&self, most: usize, came: bool) -> Told {
        let line = self.news.borrow().clone();
        let mut held = lock(&self.held);
        let said = held.take(&line, most);
        Told { said, came, ..self.about(&held) }
    }

    /// How it is.
    fn about(&self, held: &Held) -> Told {
        Told {
            process: self.item,
            command: self.command.clone(),
            ended: held.ended(),
            ran: held.ran().unwrap_or_else(|| self.begun.elapsed()),
            said: String::new(),
            unread: held.unread(),
            came: held.ended().is_some(),
        }
    }

    /// Gives it something to read; whether all of that was taken.
    async fn write(&self, text: String, end: bool) -> bool {
        let (taken, answer) = oneshot::channel();
        let typed = Typed { bytes: text.into_bytes(), is_last: end, taken };
        let written = async {
            self.typing.send(typed).await.ok()?;
            answer.await.ok()?.ok()
        };
        let taken = tokio::time::timeout(TAKING, written).await.ok().flatten().is_some();
        if taken {
            self.quiet().await;
        }
        taken
    }

    /// Waits until it has said what there is to say for now.
    async fn quiet(&self) {
        let (pause, longest) = QUIET;
        let mut news = self.news.subscribe();
        let quiet = async {
            // The end of the pause is the time that is waited for.
            while self.ended().is_none()
                && matches!(tokio::time::timeout(pause, news.changed()).await, Ok(Ok(())))
            {}
        };
        let _ = tokio::time::timeout(longest, quiet).await;
    }

    /// Waits until it has ended, or has said what it is to say; whether that came in time.
    async fn wait(&self, until: Option<Until>, time: Duration) -> bool {
        let mut news = self.news.subscribe();
        let mut looked = 0;
        let waited = async {
            loop {
                // What it said last is there once it has ended.
                let ended = self.ended().is_some();
                if let Some(until) = &until {
                    let line = self.news.borrow().clone();
                    let text = lock(&self.held).unheard(&mut looked);
                    if until(&(text + &line)) {
                        return true;
                    }
                }
                if ended {
                    return until.is_none();
                }
                if news.changed().await.is_err() {
                    return false;
                }
            }
        };
        tokio::time::timeout(time, waited).await.unwrap_or(false)
    }
}

impl CallHost {
    /// Does what a tool wants of the processes.
    pub(crate) async fn with_processes(&self, wish: Wish, cx: &ToolContext) -> Result<Vec<Told>, ToolError> {
        let most = cx.limits.output / 2;
        let (entry, came) = match wish {
            Wish::List => {
                let all: Vec<Arc<Entry>> = lock(&self.processes.all).values().cloned().collect();
                return Ok(all.iter().map(|entry| entry.about(&lock(&entry.held))).collect());
            }
            Wish::Start(command) => {
                let entry = self.start(command, cx).await?;
                let about = entry.about(&lock(&entry.held));
                return Ok(vec![about]);
            }
            Wish::Read { process } => (self.processes.get(process)?, true),
            Wish::Write { process, text, end } => {
                let entry = self.processes.get(process)?;
                let taken = entry.ended().is_none() && unless(cx, entry.write(text, end)).await?;
                (entry, taken)
            }
            Wish::Wait { process, until, time } => {
                let entry = self.processes.get(process)?;
                let came = unless(cx, entry.wait(until, time)).await?;
                (entry, came)
            }
            Wish::Kill { process } => {
                let entry = self.processes.get(process)?;
                entry.stop(Stop::Killed);
                let ended = entry.wait(None, DEATH).await;
                (entry, ended)
            }
        };
        let heard = entry.hear(most, came);
        if heard.ended.is_some() && !entry.is_told.swap(true, Ordering::Relaxed) {
            lock(&self.told_of).push(entry.item);
        }
        Ok(vec![heard])
    }

    async fn start(&self, command: Command, cx: &ToolContext) -> Result<Arc<Entry>, ToolError> {
        let dir = self.dir(&command, cx)?;
        let sandbox = self.sandbox.clone().filter(|_| !command.outside);
        let mut heard = Heard::begun(&command, &dir, cx, self.session);
        let (typing, typed) = mpsc::channel(WRITES);
        let spool = self.spool.join(format!("{}-process", cx.call));
        let entry = Arc::new(Entry {
            item: cx.call,
            // What the shell runs says more than that it is a shell.
            command: command.argv.last().cloned().unwrap_or_default(),
            begun: Instant::now(),
            held: Mutex::new(Held::new(spool.clone(), SPOOL_MAX)),
            typing,
            stop: CancellationToken::new(),
            why: Mutex::default(),
            news: Arc::new(watch::Sender::new(String::new())),
            is_told: AtomicBool::new(false),
        });
        let (confined, replaced, is_confined) = match sandbox {
            None => (None, None, false),
            Some((_, Mode::Plan)) => {
                let why = "nothing can be started in the background in mode `plan`";
                return Err(ToolError::ForModel(why.to_owned()));
            }
            Some((sandbox, mode)) => {
                let policy = sandbox.policy(mode);
                heard.confined(&policy);
                let (kept, replaced) = self.kept(sandbox, mode).await?;
                (Some(kept), Some(replaced), self.is_walled)
            }
        };
        self.processes.take_in(&entry)?;
        let started = ProcessEvent::Started {
            item: cx.call,
            command: entry.command.clone(),
            marker: self.marker.clone(),
            confined: is_confined,
        };
        self.processes
            .facts
            .send(Event::Process(started))
            .await
            .map_err(|_| ToolError::Fatal("the session has ended".to_owned()))?;
        let ends = if command.terminal { Ends::Terminal(Some(typed)) } else { Ends::Fed(typed) };
        let filter = Shown::with_line(&self.redactor, command.terminal, Arc::clone(&entry.news));
        let spec = Spec {
            argv: command.argv.iter().map(OsString::from).collect(),
            dir,
            env: self.environment.to_vec(),
            marker: Some(Marker { name: MARKER.into(), value: self.marker.clone() }),
            time: command.time,
            // All of it goes to the file, for who reads late.
            keep: 0,
            spool: PathBuf::clone(&spool),
            spool_max: SPOOL_MAX,
            confined,
            ends,
            filter: Some(Box::new(filter)),
        };
        let (marker, audit) = (self.marker.clone(), self.audit.clone());
        self.processes.run(Launch { entry: Arc::clone(&entry), spec, marker, replaced, heard, audit });
        Ok(entry)
    }
}

/// What comes of it, unless the call is cancelled before.
async fn unless<T>(cx: &ToolContext, work: impl Future<Output = T>) -> Result<T, ToolError> {
    tokio::select! {
        biased;
        () = cx.cancel.cancelled() => Err(ToolError::Interrupted),
        done = work => Ok(done),
    }
}
