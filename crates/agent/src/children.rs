//! Children: sessions that a call starts, each with a journal of its own, in the same process, with the same providers,
//! rules and ledger. Never wider than their parent: not in mode, steps, time or money. What a child asks is asked by its
//! parent; what it changes stays in a worktree until its call has been judged again.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use codetether_event::{
    Answer, AskEvent, AskId, Audience, Brought, ChildEvent, ContentPart, ContextEvent, ContextSource, Event,
    Grant, Input, ItemId, Message, Mode, Money, Op, Outcome, Parent, Principal, Reading, Record, Role,
    SampleEvent, SessionEvent, SessionId, SnapshotId, TurnEvent, TurnSettings, UnixMillis, Usage, frame,
};
use codetether_journal::{Journals, Layout};
use codetether_session::State;
use codetether_tool::{Cancel, ChildEnd, ChildSpec, ToolError};
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc, oneshot};
use uuid::Uuid;

use crate::agents::{Agent, AgentNamed, USUAL};
use crate::hosted::{Hosted, Opening};
use crate::hub::{Cursor, Frame};
use crate::live::now;
use crate::parts::Parts;
use crate::purse::MoneyLimit;
use crate::workspace::Workspace;
use crate::worktree::{self, Worktree};
use crate::{Confine, RunError};

/// How many sessions may be above one.
const DEPTH: u8 = 2;
/// Children of one depth that run at once; the others wait.
const AT_ONCE: usize = 16;
/// Answers that may wait for a child to take them in.
const SAID: usize = 64;
/// Characters of a task that are shown.
const TASK: usize = 80;
/// Most files that a child's changes are brought in of.
const BROUGHT: usize = 5_000;
/// Bytes of a last word that a parent is told after a crash.
const LAST_WORD: usize = 2_000;

/// What children are made of besides their parent's parts.
#[derive(Clone)]
pub struct Children {
    /// Finds a kind of agent.
    pub agents: Arc<AgentNamed>,
    /// How commands are confined in a worktree, which may read these places besides; nothing where they are not.
    pub confine: Arc<ConfineAt>,
}

/// Makes of a worktree and places to read what confines commands in it.
pub type ConfineAt = dyn Fn(&Path, &[PathBuf]) -> Result<Option<Confine>, String> + Send + Sync;

/// What a session and its children share.
pub(crate) struct Family {
    layout: Layout,
    journals: Journals,
    parts: Parts,
    children: Children,
    build: String,
    running: [Semaphore; DEPTH as usize],
    hearing: Mutex<HashMap<SessionId, mpsc::Sender<Heard>>>,
    tidied: AtomicBool,
}

/// What a child's task hears from its parent's session.
#[derive(Debug)]
enum Heard {
    Answer(AskId, Answer),
    Attached(Audience),
    Detached,
}

/// A session's place among its kin.
#[derive(Debug, Clone)]
pub(crate) struct Kin {
    /// How many sessions are above it.
    pub(crate) depth: u8,
    /// The one at the top.
    pub(crate) root: SessionId,
    /// The folder that its money counts as spent in.
    pub(crate) project: String,
    /// What the turn of the one at the top may cost.
    pub(crate) above: Option<MoneyLimit>,
}

/// A fact, and who waits until it is written.
pub(crate) type Told = (Event, oneshot::Sender<()>);

/// What a call may start a child from.
pub(crate) struct Standing {
    pub(crate) family: Arc<Family>,
    pub(crate) session: SessionId,
    /// The place that a child has.
    pub(crate) kin: Kin,
    pub(crate) root: PathBuf,
    /// Those of the turn, with what was granted since.
    pub(crate) settings: TurnSettings,
    pub(crate) steps_left: u32,
    pub(crate) until: Option<UnixMillis>,
    /// What is left of the session's own limit of money, where that is not the one at the top.
    pub(crate) money_left: Option<Money>,
    pub(crate) hosts: Vec<String>,
    pub(crate) audience: Option<Audience>,
    pub(crate) workspace: Option<Workspace>,
    pub(crate) facts: mpsc::Sender<Told>,
}

impl Family {
    pub(crate) fn of(opening: &Opening) -> Option<Arc<Self>> {
        let hooks = opening.parts.hooks.iter().filter(|hook| hook.point.is_of_children());
        let parts = Parts { hooks: Arc::new(hooks.cloned().collect()), ..opening.parts.clone() };
        Some(Arc::new(Self {
            layout: opening.layout.clone(),
            journals: opening.journals.clone(),
            parts,
            children: opening.parts.children.clone()?,
            build: opening.build.clone(),
            running: std::array::from_fn(|_| Semaphore::new(AT_ONCE)),
            hearing: Mutex::default(),
            tidied: AtomicBool::new(false),
        }))
    }

    /// The folder of a child's worktree.
    pub(crate) fn worktree(&self, session: SessionId) -> PathBuf {
        worktrees(&self.layout).join(session.to_string())
    }

    /// What a child made is in its parent's folder: its worktree is no longer needed.
    pub(crate) async fn brought(&self, brought: &Brought) {
        let Some(memory) = self.parts.memory.clone() else { return };
        let (dir, session) = (self.worktree(brought.session), brought.session);
        let Ok(after) = codetether_undo::SnapshotId::parse(brought.after.as_str()) else { return };
        // What cannot be removed now is a left-over.
        let _ = tokio::task::spawn_blocking(move || worktree::brought(&memory, &dir, session, &after)).await;
    }

    /// A fact was written, which the state does not hold yet: what was answered, who is there.
    pub(crate) fn see(&self, state: &State, event: &Event) {
        let tell = |session: &SessionId, heard| {
            let hearing = self.hearing.lock().unwrap_or_else(PoisonError::into_inner);
            // One that has ended needs to hear nothing.
            if let Some(child) = hearing.get(session) {
                let _ = child.try_send(heard);
            }
        };
        let running = || {
            let calls = state.turn.iter().flat_map(|turn| &turn.step.calls);
            calls.filter_map(|call| call.child.as_ref()).filter(|child| child.ended.is_none())
        };
        match event {
            Event::Ask(AskEvent::Answered { ask, answer, .. }) => {
                let open = state.turn.iter().flat_map(|turn| &turn.asks).find(|open| open.ask == *ask);
                if let Some(codetether_event::AskKind::Child { session, ask, .. }) =
                    open.map(|open| &open.kind)
                {
                    tell(session, Heard::Answer(*ask, answer.clone()));
                }
            }
            Event::Session(SessionEvent::Attached { audience }) => {
                running().for_each(|child| tell(&child.session, Heard::Attached(*audience)));
            }
            Event::Session(SessionEvent::Detached) => {
                running().for_each(|child| tell(&child.session, Heard::Detached));
            }
            _ => {}
        }
    }

    fn hear(&self, session: SessionId) -> mpsc::Receiver<Heard> {
        let (sender, heard) = mpsc::channel(SAID);
        self.hearing.lock().unwrap_or_else(PoisonError::into_inner).insert(session, sender);
        heard
    }

    fn forget(&self, session: SessionId) {
        self.hearing.lock().unwrap_or_else(PoisonError::into_inner).remove(&session);
    }
}

fn worktrees(layout: &Layout) -> PathBuf {
    layout.data_dir().join("worktrees")
}

/// A child that runs: whoever drops it stops it.
struct Running {
    hosted: Hosted,
    ended: bool,
    family: Arc<Family>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.family.forget(self.hosted.id());
        if !self.ended {
            // Nobody waits for it any more, and it stops by itself.
            let _ = self.hosted.post(Principal::Local, Op::Interrupt);
        }
    }
}

/// A folder for a child, what confines it there, and the worktree if it is one.
struct Place {
    root: PathBuf,
    parts: Parts,
    worktree: Option<Worktree>,
}

impl Standing {
    /// Starts a child and waits for its end; gives besides what it made that is to be brought in.
    pub(crate) async fn spawn(
        &self,
        item: ItemId,
        spec: ChildSpec,
        cancel: &Cancel,
    ) -> Result<(ChildEnd, Option<Brought>), ToolError> {
        let agent = (self.family.children.agents)(spec.agent.as_deref().unwrap_or(USUAL));
        let agent = agent.map_err(ToolError::ForModel)?;
        self.check(&agent, &spec)?;
        let depth = usize::from(self.kin.depth).saturating_sub(1);
        let running = self.family.running.get(depth).ok_or(ToolError::Interrupted)?;
        let _runs = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(ToolError::Interrupted),
            runs = running.acquire() => runs.map_err(|error| ToolError::Fatal(error.to_string()))?,
        };
        let settings = self.settings(&agent, &spec)?;
        let session = SessionId(Uuid::now_v7());
        let grant = Grant {
            steps: settings.max_steps,
            time_ms: settings.max_time_ms,
            cost: settings.max_cost,
            writes: spec.writes,
        };
        let (agent_name, task) = (agent.name.clone(), shown(&spec.prompt));
        self.tell(ChildEvent::Spawned { item, session, agent: agent_name, task, grant }).await?;
        let mut seen = Seen::default();
        let mut place = None;
        let outcome = match self.place(session, &spec).await {
            Ok(made) => {
                let made = place.insert(made);
                self.run(item, session, made, (agent, spec, settings), cancel, &mut seen).await
            }
            Err(error) => Outcome::Failed { error },
        };
        let Seen { steps, usage, cost, is_unpriced, .. } = seen;
        let cost = (!is_unpriced).then_some(cost);
        let (mut end, text) =
            (ChildEnd { session, outcome, steps, text: String::new(), notes: Vec::new() }, seen.answer());
        end.text = text;
        let brought = match place.and_then(|place| place.worktree) {
            None => None,
            Some(worktree) => self.leave(worktree, &mut end).await,
        };
        // Also here, so that it is not lost where the program ends before the call does.
        let (outcome, said) = (end.outcome.clone(), last_word(end.text.clone()));
        self.tell(ChildEvent::Ended { item, session, outcome, steps, usage, cost, said }).await?;
        Ok((end, brought))
    }

    fn check(&self, agent: &Agent, spec: &ChildSpec) -> Result<(), ToolError> {
        let refused = |why: String| Err(ToolError::ForModel(why));
        if self.kin.depth > DEPTH {
            return refused(format!(
                "a child of a child of a child is not to be had ({DEPTH} deep is the most): do it yourself"
            ));
        }
        if self.steps_left == 0 {
            return refused("this is the last step: nothing is left to a child".into());
        }
        if spec.writes && self.settings.mode == Mode::Plan {
            return refused("in mode `plan` no child can change files: leave `writes` out".into());
        }
        if spec.writes && agent.mode == Some(Mode::Plan) {
            return refused(format!(
                "agent `{}` only reads: leave `writes` out, or take another",
                agent.name
            ));
        }
        if spec.writes && (self.workspace.is_none() || self.family.parts.memory.is_none()) {
            return refused("there is no place for a worktree: leave `writes` out".into());
        }
        Ok(())
    }

    /// What holds in the child: what holds here, and less.
    fn settings(&self, agent: &Agent, spec: &ChildSpec) -> Result<TurnSettings, ToolError> {
        let mut settings = self.settings.clone();
        let narrower = agent.mode.map_or(settings.mode, |mode| mode.min(settings.mode));
        settings.mode = if spec.writes { narrower } else { Mode::Plan };
        settings.snapshots &= spec.writes;
        // It is told of its own part, by its prompt, and knows nothing of its parent's.
        (settings.agent, settings.supplement) = (Some(agent.name.clone()), None);
        settings.hooks.retain(|point| point.is_of_children());
        // Whether the whole work is right is asked at its end.
        (settings.check, settings.single) = (None, false);
        settings.format = spec.format.clone();
        if let Some(model) = &agent.model {
            settings.model = model.clone();
            settings.tiers = None;
        }
        if let Some(offered) = &agent.tools {
            let all = settings.tools.take().unwrap_or_else(|| self.family.parts.tool_names());
            settings.tools = Some(all.into_iter().filter(|tool| offered.contains(tool)).collect());
        }
        let steps = [spec.max_steps, agent.max_steps, Some(self.steps_left)];
        settings.max_steps = steps.into_iter().flatten().min().unwrap_or(1);
        settings.max_time_ms = match self.until.map(|until| until.since(now())) {
            Some(0) => return Err(ToolError::ForModel("no time is left for a child".into())),
            left => left,
        };
        settings.max_cost = spec.max_cost.into_iter().chain(self.money_left).min();
        if settings.max_cost.is_some_and(|cost| cost <= Money(0)) {
            return Err(ToolError::ForModel("no money is left for a child".into()));
        }
        Ok(settings)
    }

    /// Where the child works: here, or in a worktree.
    async fn place(&self, session: SessionId, spec: &ChildSpec) -> Result<Place, String> {
        let parts = self.family.parts.clone();
        if !spec.writes {
            return Ok(Place {
                root: self.root.clone(),
                parts: Parts { memory: None, ..parts },
                worktree: None,
            });
        }
        let (workspace, memory) = self.workspace.as_ref().zip(parts.memory.clone()).ok_or(NO_PLACE)?;
        let snapshot = workspace.snapshot().await?;
        let snapshot =
            codetether_undo::SnapshotId::parse(snapshot.id.as_str()).map_err(|error| error.to_string())?;
        let tidy = !self.family.tidied.swap(true, Ordering::Relaxed);
        let (dir, root) = (self.family.worktree(session), self.root.clone());
        let made = tokio::task::spawn_blocking(move || {
            if tidy && let Some(worktrees) = dir.parent() {
                worktree::collect(&memory, worktrees);
            }
            Worktree::make(&memory, &dir, session, &root, &snapshot)
        });
        let worktree = made.await.map_err(|error| error.to_string())??;
        let readable: Vec<PathBuf> = worktree.objects.iter().cloned().collect();
        let confine = match &self.family.parts.confine {
            None => None,
            Some(_) => (self.family.children.confine)(worktree.root(), &readable)?,
        };
        let root = worktree.root().to_owned();
        Ok(Place { root, parts: Parts { confine, ..parts }, worktree: Some(worktree) })
    }

    /// Runs the child to its end.
    async fn run(
        &self,
        item: ItemId,
        session: SessionId,
        place: &Place,
        (agent, spec, settings): (Agent, ChildSpec, TurnSettings),
        cancel: &Cancel,
        seen: &mut Seen,
    ) -> Outcome {
        let opening = Opening {
            layout: self.family.layout.clone(),
            journals: self.family.journals.clone(),
            parts: place.parts.clone(),
            audience: self.audience,
            build: self.family.build.clone(),
        };
        let parent = Parent { session: self.session, item, depth: self.kin.depth, root: self.kin.root };
        let mut heard = self.family.hear(session);
        let born = (session, parent, self.kin.clone(), self.family.clone(), self.hosts.clone());
        let failed = |error: String| Outcome::Failed { error };
        let hosted = match opening.create_child(place.root.clone(), born).await {
            Ok(hosted) => hosted,
            Err(error) => {
                self.family.forget(session);
                return failed(error.to_string());
            }
        };
        let mut running = Running { hosted, ended: false, family: self.family.clone() };
        let mut subscription = running.hosted.subscribe(Cursor::default());
        // The task stands last and alone: it is what the session is known by.
        let mut input = Input::text(spec.prompt);
        if !agent.instructions.is_empty() {
            input.parts.insert(0, ContentPart::text(agent.instructions));
        }
        let op = Op::Prompt { input, settings: Box::new(settings) };
        if let Err(error) = running.hosted.submit(Principal::Local, op).await {
            return failed(error.to_string());
        }
        let (mut is_stopped, mut is_over) = (false, false);
        let outcome = loop {
            let frame = tokio::select! {
                biased;
                () = cancel.cancelled(), if !is_stopped => {
                    is_stopped = true;
                    // What comes too late changes nothing.
                    let _ = running.hosted.post(Principal::Local, Op::Interrupt);
                    continue;
                }
                Some(heard) = heard.recv() => {
                    let op = match heard {
                        Heard::Answer(ask, answer) => Op::Answer { ask, answer },
                        Heard::Attached(audience) => Op::Attach { audience },
                        Heard::Detached => Op::Detach,
                    };
                    let _ = running.hosted.post(Principal::Local, op);
                    continue;
                }
                frame = subscription.next() => frame,
            };
            let record = match frame {
                Ok(Some(Frame::Record(record))) => record,
                Ok(Some(Frame::Delta(_) | Frame::CaughtUp(_))) => continue,
                Ok(None) => break failed("its session ended before its turn did".into()),
                Err(error) => break failed(error.to_string()),
            };
            seen.see(&record);
            let passed_on = match &record.event {
                Event::Turn(TurnEvent::Ended { outcome }) => {
                    is_over = true;
                    break outcome.clone();
                }
                Event::Ask(AskEvent::Opened { ask: kind, .. }) => {
                    let (ask, kind) = (AskId(record.seq), kind.clone());
                    self.tell(ChildEvent::Asked { item, session, ask, kind }).await
                }
                Event::Ask(AskEvent::Withdrawn { ask }) => {
                    self.tell(ChildEvent::Settled { item, session, ask: *ask }).await
                }
                _ => Ok(()),
            };
            if let Err(error) = passed_on {
                break failed(error.to_string());
            }
        };
        if !is_over {
            // Nobody watches it any more, so it must not go on by itself.
            let _ = running.hosted.post(Principal::Local, Op::Interrupt);
        }
        running.ended = true;
        self.family.forget(session);
        match running.hosted.rest().await {
            Ok(()) => outcome,
            Err(error) => failed(error.to_string()),
        }
    }

    /// What a child leaves in its worktree: to be brought in, to be kept there, or nothing.
    async fn leave(&self, mut worktree: Worktree, end: &mut ChildEnd) -> Option<Brought> {
        let looked = tokio::task::spawn_blocking(move || {
            let left = worktree.left();
            (worktree, left)
        });
        let (worktree, left) = looked.await.ok()?;
        let left = match left {
            Ok(left) => left,
            Err(error) => {
                end.notes.push(format!("what it changed could not be looked at, and is kept: {error}"));
                return None;
            }
        };
        if !left.only_there.is_empty() {
            let named = left.only_there.iter().take(8).map(|name| frame::quoted(name));
            let what = named.collect::<Vec<_>>().join(", ");
            end.notes.push(format!("kept in its worktree alone (session {}): {what}", end.session));
        }
        if left.paths.is_empty() {
            // Waited for, so that nothing is left behind when the program ends.
            let _ = tokio::task::spawn_blocking(move || worktree.discard()).await;
            return None;
        }
        if end.outcome == Outcome::Interrupted {
            let n = left.paths.len();
            end.notes.push(format!(
                "the {n} files that it changed are kept in its worktree (session {})",
                end.session
            ));
            return None;
        }
        if left.paths.len() > BROUGHT {
            let n = left.paths.len();
            end.notes.push(format!(
                "it changed {n} files, more than the {BROUGHT} that can be brought in at once: they are kept in its worktree \
                 (session {})",
                end.session
            ));
            return None;
        }
        let id = |id: &codetether_undo::SnapshotId| SnapshotId::new(id.to_string());
        Some(Brought {
            session: end.session,
            text: String::new(),
            error: false,
            before: id(&left.before),
            after: id(&left.after),
            paths: left.paths,
        })
    }

    /// Writes a fact to the session's journal.
    async fn tell(&self, fact: ChildEvent) -> Result<(), ToolError> {
        let (done, written) = oneshot::channel();
        let gone = || ToolError::Fatal("the session has ended".into());
        self.facts.send((Event::Child(fact), done)).await.map_err(|_| gone())?;
        written.await.map_err(|_| gone())
    }
}

const NO_PLACE: &str = "there is no place for a worktree";

/// What was seen of a child.
#[derive(Debug, Default)]
struct Seen {
    steps: u32,
    usage: Usage,
    cost: Money,
    is_unpriced: bool,
    said: String,
    value: Option<Value>,
    is_summing: bool,
}

impl Seen {
    fn see(&mut self, record: &Record) {
        match &record.event {
            Event::Context(ContextEvent::Added { source: ContextSource::Summary, .. }) => {
                self.is_summing = true
            }
            Event::Context(ContextEvent::Compacted { .. }) => self.is_summing = false,
            Event::Sample(SampleEvent::Started { retry_of: None, .. }) if !self.is_summing => self.steps += 1,
            Event::Sample(SampleEvent::Ended { message, structured, usage, cost, .. }) => {
                self.spent(usage, *cost);
                let reading = structured.as_ref().and_then(|structured| structured.reading.as_ref());
                self.value = match reading {
                    Some(Reading::Fits { value, .. }) => Some((**value).clone()),
                    _ => None,
                };
                let answer = message.as_ref().filter(|message| message.role == Role::Assistant);
                if let Some(text) = answer.filter(|_| !self.is_summing).map(Message::text)
                    && !text.trim().is_empty()
                {
                    self.said = text;
                }
            }
            Event::Child(ChildEvent::Ended { usage, cost, .. }) => self.spent(usage, *cost),
            _ => {}
        }
    }

    fn spent(&mut self, usage: &Usage, cost: Option<Money>) {
        self.usage += *usage;
        match cost {
            Some(cost) => self.cost = self.cost + cost,
            None => self.is_unpriced |= usage.total() > 0,
        }
    }

    fn answer(self) -> String {
        self.value.map_or(self.said, |value| value.to_string())
    }
}

/// The first line of a task, shortened.
fn shown(task: &str) -> String {
    let line = task.trim().lines().next().unwrap_or_default();
    match line.char_indices().nth(TASK) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
        None => line.to_owned(),
    }
}

/// What became of children that were at work when the program ended: what survived of them is killed, their turns are
/// closed, and what they spent is told.
pub(crate) async fn aftermath(opening: &Opening, state: &State) -> Vec<Event> {
    let calls = state.turn.iter().flat_map(|turn| &turn.step.calls);
    let open: Vec<(ItemId, SessionId)> = calls
        .filter_map(|call| {
            Some((call.item, call.child.as_ref().filter(|child| child.ended.is_none())?.session))
        })
        .collect();
    let mut facts = Vec::with_capacity(open.len());
    for (item, session) in open {
        // A fork has the records of another's children, which is for that one to close.
        let of_this = parent_of(&opening.layout, session) == state.session;
        // Its own folder may be gone; nothing runs in it any more, so that another does as well. A child that cannot be
        // closed is read as it is, and closed by whoever takes it up.
        for root in [None, Some(PathBuf::from(&state.root))].into_iter().filter(|_| of_this) {
            let closing = Opening {
                layout: opening.layout.clone(),
                journals: opening.journals.clone(),
                parts: Parts { memory: None, confine: None, ..opening.parts.clone() },
                audience: None,
                build: opening.build.clone(),
            };
            let closed: Result<(), RunError> =
                Box::pin(async { closing.resume(session, root, false).await?.close().await }).await;
            if closed.is_ok() {
                break;
            }
        }
        facts.push(Event::Child(ended(&opening.layout, item, session)));
    }
    facts
}

/// What a parent is told after a crash of what a child said last.
fn last_word(mut said: String) -> Option<String> {
    said.truncate(said.floor_char_boundary(LAST_WORD));
    Some(said).filter(|said| !said.trim().is_empty())
}

/// The session that started this one, by its journal.
fn parent_of(layout: &Layout, session: SessionId) -> Option<SessionId> {
    let read = codetether_journal::read::<Event>(layout.journal(session)).ok()?;
    read.records.iter().find_map(|record| match &record.event {
        Event::Session(SessionEvent::Opened { parent, .. }) => Some((*parent)?.session),
        _ => None,
    })
}

/// How a child that nobody drives any more has ended, by its journal.
fn ended(layout: &Layout, item: ItemId, session: SessionId) -> ChildEvent {
    let mut seen = Seen::default();
    let mut outcome = Outcome::Interrupted;
    match codetether_journal::read::<Event>(layout.journal(session)) {
        Ok(read) => {
            for record in &read.records {
                seen.see(record);
                if let Event::Turn(TurnEvent::Ended { outcome: how }) = &record.event {
                    outcome = how.clone();
                }
            }
        }
        Err(error) => outcome = Outcome::Failed { error: format!("its journal cannot be read: {error}") },
    }
    let Seen { steps, usage, cost, is_unpriced, .. } = seen;
    let said = last_word(seen.answer());
    ChildEvent::Ended { item, session, outcome, steps, usage, cost: (!is_unpriced).then_some(cost), said }
}

impl Kin {
    /// Of a session that is opened by itself.
    pub(crate) fn own(session: SessionId, state: &State, root: &Path) -> Self {
        Self {
            depth: state.parent.map_or(0, |parent| parent.depth),
            root: session,
            project: root.display().to_string(),
            above: None,
        }
    }

    /// Of a child of a session with this place, whose turn has these limits.
    pub(crate) fn child(&self, session: SessionId, settings: &TurnSettings, since: UnixMillis) -> Self {
        let own = settings.max_cost.filter(|_| self.root == session).map(|max| MoneyLimit {
            max,
            since,
            allow_unknown_price: settings.allow_unknown_price,
        });
        Self { depth: self.depth.saturating_add(1), above: own.or(self.above), ..self.clone() }
    }
}
