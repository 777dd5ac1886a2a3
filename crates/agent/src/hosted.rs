//! Sessions hosted in this process: opened, resumed or forked, then driven by a task of their own.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use codetether_event::{
    Attempt, Audience, Cause, ContextEvent, ContextSource, Event, Fork, Message, NoteEvent, Op, OpId, Parent,
    Principal, Record, Seq, SessionEvent, SessionId, Submission, TurnId,
};
use codetether_files::{BlobStore, Root};
use codetether_journal::{Durable, Handle, Journals, Layout, Opened};
use codetether_session::{Phase, Refused, State};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use uuid::Uuid;

use crate::RunError;
use crate::authorise::Authoriser;
use crate::children::{Family, Kin, aftermath};
use crate::circumstances::ReadRules;
use crate::confine::Sandbox;
use crate::hooking::{self, Stance};
use crate::host::MARKER;
use crate::hub::{Cursor, Hub, Subscription};
use crate::live::{Live, Submitted, drive};
use crate::parts::Parts;
use crate::processes::Processes;
use crate::readings::Readings;
use crate::workspace::Workspace;

/// Version of the journal's form.
const SCHEMA: u32 = 1;
/// Wishes that may wait for the session to take them in.
const OPS: usize = 64;
/// Facts of the sandbox's, and of processes, that may wait to be written.
const FACTS: usize = 64;

/// What opening a session takes.
pub struct Opening {
    /// Where sessions are.
    pub layout: Layout,
    /// What writes them.
    pub journals: Journals,
    /// What the session works with.
    pub parts: Parts,
    /// Who is there to answer asks.
    pub audience: Option<Audience>,
    /// This program's name and version.
    pub build: String,
}

/// A session that this process drives.
pub struct Hosted {
    id: SessionId,
    opened_after: Seq,
    turn_under_way: Option<TurnId>,
    blobs: BlobStore,
    ops: mpsc::Sender<Submitted>,
    hub: Arc<Hub>,
    task: JoinHandle<Result<(), RunError>>,
}

/// Why a wish brought nothing about.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// It was refused.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The session ended; [`Hosted::close`] says why.
    #[error("the session has ended")]
    Ended,
}

impl Opening {
    /// Opens a new session in this folder.
    ///
    /// # Errors
    /// When the folder cannot be opened, or the journal not be written.
    pub async fn create(self, root: PathBuf) -> Result<Hosted, RunError> {
        let root = Root::open(&root)?;
        let id = SessionId(Uuid::now_v7());
        let (kin, family) = (Kin::own(id, &State::default(), root.path()), Family::of(&self));
        self.born(root, id, None, (kin, family, Vec::new())).await
    }

    /// Opens the session of a child in this folder; it shares what its family shares.
    ///
    /// # Errors
    /// As [`Opening::create`].
    pub(crate) async fn create_child(
        self,
        root: PathBuf,
        (id, parent, kin, family, hosts): (SessionId, Parent, Kin, Arc<Family>, Vec<String>),
    ) -> Result<Hosted, RunError> {
        let root = Root::open(&root)?;
        self.born(root, id, Some(parent), (kin, Some(family), hosts)).await
    }

    async fn born(
        self,
        root: Root,
        id: SessionId,
        parent: Option<Parent>,
        (kin, family, hosts): (Kin, Option<Arc<Family>>, Vec<String>),
    ) -> Result<Hosted, RunError> {
        let journal = self.journals.create::<Event>(&self.layout, id, &owner())?;
        let opened = SessionEvent::Opened {
            schema: SCHEMA,
            build: self.build.clone(),
            session: id,
            root: root.path().display().to_string(),
            forked: None,
            parent,
        };
        let (ops, mut live, hub) = self.live(root, State::default(), (journal, &[]), (kin, family, hosts));
        let mut facts = vec![Event::Session(opened)];
        facts.extend(self.audience.map(|audience| Event::Session(SessionEvent::Attached { audience })));
        live.append(facts, Cause::Timer, Durable::Written).await?;
        Ok(host(id, Seq(0), (ops, live, hub)))
    }

    /// Takes up a session where its last owner left it. With `go_on` a turn that was under way goes on; else it
    /// is closed. The session works in `root`, or in its own folder when that is `None`.
    ///
    /// # Errors
    /// When the journal is damaged, owned by another process or written by a newer build, or the folder is gone.
    pub async fn resume(self, id: SessionId, root: Option<PathBuf>, go_on: bool) -> Result<Hosted, RunError> {
        let Opened { handle, records, torn } = self.journals.open::<Event>(&self.layout, id, &owner())?;
        let mut state = State::default();
        records.iter().for_each(|record| state.apply(record));
        if state.read_only {
            return Err(RunError::ReadOnly(id));
        }
        let root = root.unwrap_or_else(|| PathBuf::from(&state.root));
        let root = Root::open(&root)?;
        // What survived its owner is ended first, so that nothing writes behind our back.
        let calls = state.turn.iter().flat_map(|turn| &turn.step.calls);
        let running = calls.filter(|call| call.phase == Phase::Running).map(|call| call.item);
        // Hooks run where calls are judged, and by themselves.
        let judging = state.turn.iter().filter_map(|turn| turn.authorizing.as_ref()).map(|(item, _)| *item);
        let hooking = state.turn.iter().filter_map(|turn| turn.hooks.running).map(|(item, _)| item);
        let checking = state.turn.iter().filter_map(|turn| turn.checking.running).map(|(item, _)| item);
        for item in running.chain(judging).chain(hooking).chain(checking) {
            for marker in [state.marker(item), hooking::marker(&state, item)] {
                codetether_sandbox::kill_marked(MARKER, &marker)
                    .map_err(|e| RunError::Broken(e.to_string()))?;
            }
        }
        for item in state.processes.running.keys() {
            codetether_sandbox::kill_marked(MARKER, &state.marker(*item))
                .map_err(|e| RunError::Broken(e.to_string()))?;
        }
        let spool = self.layout.session(id).join("spool");
        if spool.exists() {
            codetether_files::remove_dir_all(&spool)?;
        }
        let attempt = Attempt(state.attempt.0.saturating_add(1));
        let adopted = SessionEvent::Adopted {
            attempt,
            build: self.build.clone(),
            root: root.path().display().to_string(),
            go_on,
        };
        state.attempt = attempt;
        let opened_after = Seq(state.next.0.saturating_sub(1));
        // Between the calls and the results of a turn that goes on there is no place for it.
        let moved = state.turn.is_none()
            && !state.context.messages.is_empty()
            && state.root != root.path().display().to_string();
        let moved = moved.then(|| {
            let text = format!(
                "<environment>\nproject folder: {} (it was another before)\n</environment>",
                root.path().display()
            );
            Event::Context(ContextEvent::Added {
                message: Message::user(text),
                source: ContextSource::Environment,
            })
        });
        let open_children = aftermath(&self, &state).await;
        let (kin, family, hosts) =
            (Kin::own(id, &state, root.path()), Family::of(&self), state.hosts.clone());
        let (ops, mut live, hub) = self.live(root, state, (handle, &records), (kin, family, hosts));
        let mut facts = vec![Event::Session(adopted)];
        facts.extend(self.audience.map(|audience| Event::Session(SessionEvent::Attached { audience })));
        facts.extend(torn.map(|torn| {
            let text =
                format!("the last {} bytes of the journal were not whole and were cut off", torn.bytes);
            Event::Note(NoteEvent::Warned { text })
        }));
        facts.extend(open_children);
        live.append(facts, Cause::Recovery, Durable::Written).await?;
        // Before anything else, so that half-done work is not taken for the user's.
        let files = live.half_done().await;
        let mut recovered = live.state.recover(go_on, files.as_ref());
        recovered.extend(moved);
        live.append(recovered, Cause::Recovery, Durable::Written).await?;
        Ok(host(id, opened_after, (ops, live, hub)))
    }

    /// Makes a new session that shares another's past, up to this record or all of it, and takes it up.
    ///
    /// # Errors
    /// As [`Opening::resume`]; the other session is only read.
    pub async fn fork(
        self,
        from: SessionId,
        at: Option<Seq>,
        root: Option<PathBuf>,
    ) -> Result<Hosted, RunError> {
        let id = fork(&self.layout, &self.build, from, at)?;
        self.resume(id, root, false).await
    }

    fn live(
        &self,
        root: Root,
        state: State,
        (journal, records): (Handle<Event>, &[Record]),
        (kin, family, hosts): (Kin, Option<Arc<Family>>, Vec<String>),
    ) -> (mpsc::Sender<Submitted>, Live, Arc<Hub>) {
        let root = Arc::new(root);
        let blobs = journal.blobs().clone();
        let (sender, ops) = mpsc::channel(OPS);
        let recent = records.iter().rev().take(256).rev().cloned().map(Arc::new);
        let hub = if kin.root == journal.id() {
            Hub::new(journal.path().to_owned(), recent)
        } else {
            Hub::of_child(journal.path().to_owned())
        };
        let spool = self.layout.session(journal.id()).join("spool");
        let record_file = self.layout.journal(journal.id());
        let readings = Arc::<Readings>::default();
        let memory = self.parts.memory.clone();
        let workspace =
            memory.map(|memory| Workspace::new(memory, root.path().to_owned(), journal.id().to_string()));
        let (facts, told) = mpsc::channel(FACTS);
        let processes = Arc::new(Processes::new(facts.clone()));
        let (told_by_children, of_children) = mpsc::channel(FACTS);
        let sandbox = self.parts.confine.clone();
        let sandbox = sandbox.map(|confine| Arc::new(Sandbox::new(confine, hosts, facts)));
        let stance = state.turn.as_ref().map(|turn| Stance::of(&turn.settings));
        let live = Live {
            state,
            journal,
            hub: hub.clone(),
            gate: Arc::new(self.parts.gate(root, blobs, readings.clone())),
            authoriser: Arc::new(Authoriser::new(&self.parts, readings)),
            rules: ReadRules::default(),
            rule_file: self.parts.rule_file.clone(),
            home: self.parts.home.clone(),
            providers: self.parts.providers.clone(),
            purse: self.parts.purse.clone(),
            environment: self.parts.environment.clone(),
            spool,
            record_file,
            ops,
            effects: JoinSet::new(),
            cancels: HashMap::new(),
            dialogue: None,
            sandbox,
            processes,
            told,
            kin,
            family,
            told_by_children,
            of_children,
            hooks_in_force: self.parts.hooks.clone(),
            stance,
            audit: self.parts.audit.clone(),
            workspace,
            syncing: None,
        };
        (sender, live, hub)
    }
}

/// Makes a new session that shares another's past, up to this record or all of it. Nobody takes it up yet.
///
/// # Errors
/// When there is no such session, or the new one cannot be written; the other is only read.
pub fn fork(layout: &Layout, build: &str, from: SessionId, at: Option<Seq>) -> Result<SessionId, RunError> {
    let id = SessionId(Uuid::now_v7());
    let last = || -> Result<Seq, RunError> {
        let records = codetether_journal::read::<Event>(layout.journal(from))?.records;
        Ok(records.last().map_or(Seq(0), |record| record.seq))
    };
    let at = at.map_or_else(last, Ok)?;
    codetether_journal::fork::<Event>(layout, from, id, at, |mut record: Record| {
        if let Event::Session(SessionEvent::Opened { session, forked, build: made_by, parent, .. }) =
            &mut record.event
        {
            *session = id;
            *parent = None;
            build.clone_into(made_by);
            *forked = Some(Fork { session: from, at });
        }
        record
    })?;
    Ok(id)
}

/// The task that drives the session from here on.
fn host(
    id: SessionId,
    opened_after: Seq,
    (ops, mut live, hub): (mpsc::Sender<Submitted>, Live, Arc<Hub>),
) -> Hosted {
    let closing = hub.clone();
    let blobs = live.gate.blobs.clone();
    let turn_under_way =
        live.state.turn.as_ref().filter(|turn| turn.interrupted.is_none()).map(|turn| turn.id);
    let task = tokio::spawn(async move {
        let mut outcome = drive(&mut live).await;
        if outcome.is_ok() {
            outcome = live.end_session().await;
        }
        live.effects.abort_all();
        let ended = live.end_processes().await;
        if let Some(workspace) = &live.workspace {
            workspace.close();
        }
        closing.close();
        outcome.and(ended)
    });
    Hosted { id, opened_after, turn_under_way, blobs, ops, hub, task }
}

/// Who holds the lock, for whoever finds it held.
fn owner() -> String {
    format!("process {}", std::process::id())
}

impl Hosted {
    /// The session's id.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The last record from before this process took the session up.
    #[must_use]
    pub fn opened_after(&self) -> Seq {
        self.opened_after
    }

    /// The session's blobs, for what an input refers to.
    #[must_use]
    pub fn blobs(&self) -> &BlobStore {
        &self.blobs
    }

    /// The turn that was under way when the session was opened, if it goes on.
    #[must_use]
    pub fn turn_under_way(&self) -> Option<TurnId> {
        self.turn_under_way
    }

    /// Asks for something; gives the position of the last fact that it brought about.
    ///
    /// # Errors
    /// When the wish is refused, or the session has ended.
    pub async fn submit(&self, from: Principal, op: Op) -> Result<Seq, SubmitError> {
        self.take_in(Submission { id: OpId(Uuid::now_v7()), from, op }).await
    }

    /// The same for an operation that has an id already: the second time it brings nothing about.
    ///
    /// # Errors
    /// When the wish is refused, or the session has ended.
    pub async fn take_in(&self, submission: Submission) -> Result<Seq, SubmitError> {
        let (reply, answer) = oneshot::channel();
        self.ops.send((submission, reply)).await.map_err(|_| SubmitError::Ended)?;
        Ok(answer.await.map_err(|_| SubmitError::Ended)??)
    }

    /// Asks for something without waiting for what comes of it.
    ///
    /// # Errors
    /// When too much is waiting already, or the session has ended.
    pub fn post(&self, from: Principal, op: Op) -> Result<(), SubmitError> {
        let (reply, _) = oneshot::channel();
        let submission = Submission { id: OpId(Uuid::now_v7()), from, op };
        self.ops.try_send((submission, reply)).map_err(|_| SubmitError::Ended)
    }

    /// Watches the session from this cursor on.
    #[must_use]
    pub fn subscribe(&self, cursor: Cursor) -> Subscription {
        self.hub.subscribe(cursor)
    }

    /// As [`Hosted::close`], for one that is to be dropped later: nothing can be asked of it any more.
    pub(crate) async fn rest(&mut self) -> Result<(), RunError> {
        // Its own end of the wishes goes, so that the session knows that nobody can have one.
        let (nobody, _) = mpsc::channel(1);
        self.ops = nobody;
        (&mut self.task).await.map_err(|e| RunError::Broken(e.to_string()))?
    }

    /// Waits until the session is at rest, then lets it go.
    ///
    /// # Errors
    /// Why it could not be driven to its rest.
    pub async fn close(self) -> Result<(), RunError> {
        drop(self.ops);
        self.task.await.map_err(|e| RunError::Broken(e.to_string()))?
    }
}
