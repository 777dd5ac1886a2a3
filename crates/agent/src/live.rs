//! The runner: appends facts, starts effects, waits for the next fact. It decides nothing.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use codetether_event::{
    Answer, AskKind, Brought, CallEvent, Cause, ChildEvent, Confinement, ContextEvent, EgressEvent, Event,
    FilesEvent, ItemEvent, ItemId, Mode, ModelId, Money, NoteEvent, OnConflict, Op, OpId, ProcessEvent,
    Record, ResponseFormat, Seq, SnapshotId, Submission, TodoItem, TurnEvent, TurnId, TurnSettings,
    UnixMillis, Verdict, Way,
};
use codetether_journal::Durable;
use codetether_provider::{Cancel, SampleSpec};
use codetether_sandbox::Audit;
use codetether_session::{Call, Effect, Next, Pair, Permit, Phase, Refused, State};
use codetether_tool::{Hidden, Hosts, Known, ToolContext};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::RunError;
use crate::authorise::{Authoriser, Judged, Standing as Stands};
use crate::children::{Family, Kin, Standing, Told};
use crate::circumstances::{Circumstances, ReadRules};
use crate::confine::Sandbox;
use crate::gate::{CallEnd, Gate};
use crate::hooking::Stance;
use crate::hooks::{Child, Hook, Said};
use crate::host::CallHost;
use crate::hub::Hub;
use crate::in_sight;
use crate::in_work;
use crate::instructions;
use crate::late::Late;
use crate::parts::{FindProvider, RuleFile};
use crate::prepare::{self, Narrow};
use crate::processes::Processes;
use crate::purse::{MoneyLimit, Purse, Request};
use crate::redacted;
use crate::routing;
use crate::sampling::{Asking, Held, Sampling};
use crate::workspace::{PutBack, Taken, Workspace};

pub(crate) type Submitted = (Submission, oneshot::Sender<Result<Seq, Refused>>);

/// A session's state and all that works on it. One task owns it.
pub(crate) struct Live {
    pub(crate) state: State,
    pub(crate) journal: codetether_journal::Handle<Event>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) authoriser: Arc<Authoriser>,
    pub(crate) rules: ReadRules,
    pub(crate) rule_file: Option<RuleFile>,
    pub(crate) home: Option<PathBuf>,
    pub(crate) providers: Arc<FindProvider>,
    pub(crate) purse: Purse,
    pub(crate) environment: Arc<Vec<(OsString, OsString)>>,
    pub(crate) spool: PathBuf,
    /// Where the journal is, for reading.
    pub(crate) record_file: PathBuf,
    pub(crate) ops: mpsc::Receiver<Submitted>,
    pub(crate) effects: JoinSet<End>,
    pub(crate) cancels: HashMap<ItemId, Cancel>,
    pub(crate) dialogue: Option<Held>,
    /// What confines its commands.
    pub(crate) sandbox: Option<Arc<Sandbox>>,
    /// What runs in the background.
    pub(crate) processes: Arc<Processes>,
    /// What the sandbox denied to commands, and what becomes of processes.
    pub(crate) told: mpsc::Receiver<Event>,
    /// Its place among its kin.
    pub(crate) kin: Kin,
    /// What it shares with its children; nothing where it can have none.
    pub(crate) family: Option<Arc<Family>>,
    /// What is told of its children.
    pub(crate) told_by_children: mpsc::Sender<Told>,
    pub(crate) of_children: mpsc::Receiver<Told>,
    /// The hooks that are in force.
    pub(crate) hooks_in_force: Arc<Vec<Hook>>,
    /// What holds for those of its end, once a turn has begun.
    pub(crate) stance: Option<Stance>,
    /// Where its commands are recorded.
    pub(crate) audit: Option<Audit>,
    /// Where there is a place to remember its files.
    pub(crate) workspace: Option<Workspace>,
    /// A sync of results that overlaps the next request.
    pub(crate) syncing: Option<oneshot::Receiver<Result<(), codetether_journal::Error>>>,
}

/// How an effect ended.
pub(crate) struct End {
    pub(crate) item: ItemId,
    pub(crate) facts: Vec<Event>,
    /// What a call named, relative to the root.
    pub(crate) touched: Vec<String>,
    /// What the model has set itself to do by a call.
    pub(crate) todo: Option<Vec<TodoItem>>,
    pub(crate) held: Option<Held>,
}

impl End {
    pub(crate) fn of(item: ItemId, facts: Vec<Event>) -> Self {
        Self { item, facts, touched: Vec::new(), todo: None, held: None }
    }
}

/// Most files of instructions of entered folders that are told: at 32 KiB each, a megabyte.
const ENTERED: usize = 32;

/// How long processes may take to end with their session: longer than killing them takes.
const ENDING: Duration = Duration::from_secs(10);

/// Why nothing can be remembered or put back.
const NO_MEMORY: &str = "there is no place to remember files in";

async fn taken(workspace: Option<Workspace>) -> Result<Taken, String> {
    match workspace {
        Some(workspace) => workspace.snapshot().await,
        None => Err(NO_MEMORY.to_owned()),
    }
}

/// Drives the session until it is at rest and nobody holds it any more.
pub(crate) async fn drive(live: &mut Live) -> Result<(), RunError> {
    loop {
        match live.state.decide() {
            Next::Append(facts) => {
                let cause = Cause::After(Seq(live.state.next.0.saturating_sub(1)));
                live.append(facts, cause, Durable::Written).await?;
            }
            Next::Start(effects) => live.start(effects).await?,
            Next::Wait { until } => live.next(until).await?,
            Next::Rest => {
                if !live.idle().await? {
                    return Ok(());
                }
            }
        }
    }
}

impl Live {
    /// Writes facts, then lets the state and the readers know.
    pub(crate) async fn append(
        &mut self,
        facts: Vec<Event>,
        cause: Cause,
        durable: Durable,
    ) -> Result<(), RunError> {
        if facts.is_empty() {
            return Ok(());
        }
        let at = now();
        let mut seq = self.state.next;
        let mut turn = self.state.turn.as_ref().map(|turn| turn.id);
        let mut ends = false;
        let mut records = Vec::with_capacity(facts.len());
        for mut event in facts {
            redacted::redact(&self.gate.redactor, &mut event);
            if let Event::Turn(TurnEvent::Started { settings, .. } | TurnEvent::Compacting { settings, .. }) =
                &event
            {
                turn = Some(TurnId(seq));
                self.stance = Some(Stance::of(settings));
            }
            let ended = matches!(event, Event::Turn(TurnEvent::Ended { .. }));
            ends |= ended;
            records.push(Record { seq, attempt: self.state.attempt, at, turn, cause: cause.clone(), event });
            if ended {
                turn = None;
            }
            seq = seq.plus(1);
        }
        let durable = if ends { Durable::Synced } else { durable };
        self.journal.append(&records, durable).await?;
        let egress = self.sandbox.as_deref().and_then(Sandbox::egress);
        for record in records {
            egress.iter().for_each(|egress| egress.see(&self.state, &record.event));
            self.family.iter().for_each(|family| family.see(&self.state, &record.event));
            self.state.apply(&record);
            self.hub.record(Arc::new(record));
        }
        Ok(())
    }

    /// Writes the intents of effects, then starts them.
    async fn start(&mut self, effects: Vec<Effect>) -> Result<(), RunError> {
        let intents = effects.iter().map(|effect| self.state.intent(effect)).collect();
        let cause = Cause::After(Seq(self.state.next.0.saturating_sub(1)));
        let durable = if effects.iter().any(|effect| self.needs_sync(effect)) {
            Durable::Synced
        } else {
            Durable::Written
        };
        self.append(intents, cause, durable).await?;
        for effect in effects {
            match effect {
                Effect::Prepare { item, model, format, way, files, instructions, room } => {
                    self.prepare(item, model, (format, way), (files, instructions, room));
                }
                Effect::Authorize { item, calls } => self.authorise(item, &calls),
                Effect::Sample { item, model, effort, max_output, temperature, .. } => {
                    self.syncing = Some(self.journal.sync());
                    let cache_key = self.state.session.map(|session| session.to_string());
                    // Where one change is all that is asked for, words alone are none.
                    let must_call = self.state.turn.as_ref().is_some_and(|turn| turn.settings.single)
                        && !self.state.context.is_summing();
                    let draw = item.seq.0;
                    let spec = SampleSpec { effort, max_output, temperature, cache_key, must_call, draw };
                    self.sample(item, &model, spec);
                }
                Effect::Snapshot { item } => self.snapshot(item),
                Effect::Restore { item, pairs, files, conflicts, .. } => {
                    self.restore(item, pairs, files, conflicts);
                }
                Effect::Hook { item, point } => self.hook(item, point),
                Effect::Check { item, point } => self.check(item, point),
                Effect::Run { call } => {
                    if let Some(permit) = self.state.permit(call) {
                        self.run(permit);
                    }
                }
                Effect::Cancel { items, .. } => {
                    items.iter().filter_map(|item| self.cancels.get(item)).for_each(Cancel::cancel);
                }
            }
        }
        Ok(())
    }

    /// Whether the journal must be on the disk before this effect starts: so for the first call of an answer that
    /// could write, and for each that was judged later than its answer. Recovery takes the others for started with the
    /// first.
    fn needs_sync(&self, effect: &Effect) -> bool {
        let (Effect::Run { call: item }, Some(turn)) = (effect, &self.state.turn) else { return false };
        let writes = |call: &Call| matches!(call.verdict, Some(Verdict::Allow { writes: true, .. }));
        let mut before = turn.step.calls.iter().take_while(|call| call.item != *item);
        let follows =
            before.any(|call| writes(call) && matches!(call.phase, Phase::Running | Phase::Ended(_)));
        turn.call(*item).is_none_or(|call| writes(call) && (call.granted || call.judged_again || !follows))
    }

    pub(crate) fn cancel_for(&mut self, item: ItemId) -> Cancel {
        let cancel = Cancel::new();
        self.cancels.insert(item, cancel.clone());
        cancel
    }

    fn prepare(
        &mut self,
        item: ItemId,
        model: ModelId,
        form: (ResponseFormat, Way),
        (files, instructions, room): (Vec<String>, Vec<String>, u64),
    ) {
        let settings = self.state.turn.as_ref().map(|turn| &turn.settings);
        let offered = settings.and_then(|settings| settings.offered(&model));
        let supplement = settings.and_then(|settings| settings.supplement_for(&model).cloned());
        let small = settings.filter(|settings| settings.is_small(&model));
        let small = small.map(|settings| match settings.single {
            true => Narrow::OneChange {
                // What a file written anew did not mend, another line may.
                by_line: settings
                    .check
                    .as_ref()
                    .and_then(|check| check.tries)
                    .is_some_and(|tries| tries.number % 2 == 0),
            },
            false => Narrow::Little,
        });
        let first = self.state.context.messages.is_empty();
        let gate = self.gate.clone();
        // A small model is shown at once what it would have to find.
        let (files, room, what) = match self.state.turn.as_ref().and_then(|turn| turn.checking.untold()) {
            Some(checked) if small.is_some() && first => {
                (in_sight::files(&gate.root, &checked.output), in_sight::ROOM, in_work::HERE)
            }
            _ => (files, room, in_work::IN_WORK),
        };
        // What cannot be judged is not shown.
        let judges = !files.is_empty() || small.is_some();
        let circumstances = self.circumstances().and_then(Result::ok).filter(|_| judges);
        self.effects.spawn(async move {
            let readable =
                |path: &str| circumstances.as_ref().is_some_and(|circumstances| circumstances.may_read(path));
            let gated = (&*gate, &readable as &dyn Fn(&str) -> bool);
            let facts = prepare::prepare(item, (model, small), offered, form, supplement, first, gated)
                .map(|mut facts| {
                    facts.extend(instructions::anew(item, &instructions, room, &gate));
                    let shown = circumstances.as_ref().and_then(|circumstances| {
                        in_work::shown(item, (&files, what), room, &gate, circumstances)
                    });
                    facts.extend(shown);
                    facts
                })
                .unwrap_or_else(|error| vec![Event::Item(ItemEvent::Failed { item, error })]);
            End::of(item, facts)
        });
    }

    fn authorise(&mut self, item: ItemId, calls: &[ItemId]) {
        let Some(turn) = &self.state.turn else { return };
        let calls: Vec<_> = calls
            .iter()
            .filter_map(|call| turn.call(*call))
            .map(|call| {
                let brought = call.child.as_ref().and_then(|child| child.brought.clone());
                let settled = turn.step.is_settled_before(call.item);
                (call.item, call.call.clone(), Stands { settled, granted: call.granted }, brought)
            })
            .collect();
        let hooks = self.hooks(item);
        let circumstances = self.circumstances().unwrap_or_else(|| Err("no turn is under way".to_owned()));
        let cancel = self.cancel_for(item);
        let (gate, authoriser) = (self.gate.clone(), self.authoriser.clone());
        let (host, known) = (self.host(String::new()), self.known());
        self.effects.spawn(async move {
            let judging = async {
                let circumstances = circumstances?;
                let (mut facts, mut besides) = (Vec::with_capacity(calls.len()), Vec::new());
                for (item, call, standing, brought) in calls {
                    if let Some(brought) = brought {
                        let verdict = authoriser.of_brought(&call, &brought, &circumstances, &gate.root);
                        facts.push(Event::Call(CallEvent::Authorized { item, verdict, helped: None }));
                        continue;
                    }
                    let cx = ToolContext {
                        call: item,
                        root: gate.root.clone(),
                        limits: gate.limits,
                        cancel: cancel.clone(),
                        host: host.clone(),
                        hidden: Hidden::default(),
                        known: known.clone(),
                        hosts: Hosts::default(),
                    };
                    let judged = authoriser.verdict((&call, standing), &circumstances, &hooks, &cx).await?;
                    let Judged { verdict, helped, facts: said } = judged;
                    facts.push(Event::Call(CallEvent::Authorized { item, verdict, helped }));
                    besides.extend(said);
                }
                facts.extend(besides);
                Ok(facts)
            };
            let outcome = tokio::select! {
                biased;
                () = cancel.cancelled() => Err("interrupted".to_owned()),
                outcome = judging => outcome,
            };
            let facts = outcome.unwrap_or_else(|error| vec![Event::Item(ItemEvent::Failed { item, error })]);
            End::of(item, facts)
        });
    }

    /// What holds in the turn under way.
    pub(crate) fn circumstances(&mut self) -> Option<Result<Circumstances, String>> {
        let settings = self.state.turn.as_ref()?.settings.clone();
        let (root, home) = (self.gate.root.clone(), self.home.clone());
        Some(Circumstances::new(settings, &self.state, root, home, &mut self.rules))
    }

    /// What the model knows of files by now.
    fn known(&self) -> Known {
        let known = self.state.context.known.clone();
        Known::by(move |path| known.content(path).cloned())
    }

    fn host(&self, marker: String) -> Arc<CallHost> {
        let settings = self.state.turn.as_ref().map(|turn| &turn.settings);
        let confined = settings.filter(|settings| !settings.confinement.is_none());
        let turn = self.state.turn.as_ref();
        let late = Late {
            tools: self.gate.tools.clone(),
            offered: settings.and_then(|settings| settings.tools.clone()),
            declared: self.state.context.epoch.as_ref().map(|epoch| epoch.tools.clone()),
        };
        Arc::new(CallHost {
            hub: self.hub.clone(),
            environment: self.environment.clone(),
            spool: self.spool.clone(),
            journal: self.record_file.clone(),
            blobs: self.gate.blobs.clone(),
            marker,
            redactor: self.gate.redactor.clone(),
            commands: AtomicU64::new(0),
            sandbox: self.sandbox.clone().zip(confined.map(|settings| settings.mode)),
            audit: self.audit.clone(),
            session: self.state.session,
            warnings: Mutex::default(),
            late,
            sees: turn.is_some_and(|turn| self.purse.sees(&turn.model)),
            processes: self.processes.clone(),
            is_walled: confined.is_some_and(|settings| settings.confinement == Confinement::Namespaces),
            told_of: Mutex::default(),
            standing: self.standing(),
            brought: Mutex::default(),
            child: Mutex::default(),
        })
    }

    /// What a call may start a child from.
    fn standing(&self) -> Option<Standing> {
        let (turn, session) = self.state.turn.as_ref().zip(self.state.session)?;
        let mut settings = turn.settings.clone();
        settings.model = turn.model.clone();
        settings.allow.extend(self.state.grants.iter().cloned());
        Some(Standing {
            family: self.family.clone()?,
            session,
            kin: self.kin.child(session, &settings, turn.started),
            root: self.gate.root.path().to_owned(),
            steps_left: settings.max_steps.saturating_sub(turn.steps),
            until: settings.max_time_ms.map(|limit| turn.started.plus(limit).plus(turn.paused)),
            money_left: self.own_money(&settings).filter(|_| self.kin.root != session),
            settings,
            hosts: self.state.hosts.clone(),
            audience: self.state.audience,
            workspace: self.workspace.clone(),
            facts: self.told_by_children.clone(),
        })
    }

    /// The session's own limit of money; of a child's, what its own children took is gone, and what they may take set aside.
    fn own_money(&self, settings: &TurnSettings) -> Option<Money> {
        let max = settings.max_cost?;
        if Some(self.kin.root) == self.state.session {
            return Some(max);
        }
        Some((max - self.state.ledger.children - self.state.granted_money()).max(Money(0)))
    }

    fn snapshot(&mut self, item: ItemId) {
        let workspace = self.workspace.clone();
        self.effects.spawn(async move {
            let facts = match taken(workspace).await {
                Ok(Taken { id, note }) => {
                    let note = note.map(|text| Event::Note(NoteEvent::Warned { text }));
                    note.into_iter().chain([Event::Files(FilesEvent::Snapshot { item, id })]).collect()
                }
                Err(error) => vec![Event::Item(ItemEvent::Failed { item, error })],
            };
            End::of(item, facts)
        });
    }

    /// The files as a call that had no end left them; nothing where there was none, or they cannot be read.
    pub(crate) async fn half_done(&self) -> Option<SnapshotId> {
        let changes = &self.state.files.changes;
        let workspace =
            self.workspace.as_ref().filter(|_| changes.iter().any(|change| change.after.is_none()))?;
        workspace.snapshot().await.ok().map(|taken| taken.id)
    }

    fn restore(&mut self, item: ItemId, pairs: Vec<Pair>, files: Vec<String>, conflicts: OnConflict) {
        let workspace = self.workspace.clone();
        self.effects.spawn(async move {
            let done = match workspace {
                Some(workspace) => workspace.restore(pairs, files, conflicts).await,
                None => Err(NO_MEMORY.to_owned()),
            };
            let fact = match done {
                Ok(PutBack { after, changed, kept }) => {
                    Event::Files(FilesEvent::Restored { item, after, changed, kept })
                }
                Err(error) => Event::Item(ItemEvent::Failed { item, error }),
            };
            End::of(item, vec![fact])
        });
    }

    fn run(&mut self, permit: Permit) {
        let item = permit.item();
        let remember = self.state.files.is_open(item).then(|| self.workspace.clone());
        let cancel = self.cancel_for(item);
        let host = self.host(permit.marker().to_owned());
        let gate = self.gate.clone();
        let call = permit.call().clone();
        let circumstances = self.circumstances().and_then(Result::ok);
        let tool = call.name.as_str();
        let (hidden, hosts) = circumstances
            .as_ref()
            .map(|circumstances| (circumstances.hidden(tool), circumstances.hosts(tool)))
            .unwrap_or_default();
        let known = self.known();
        let (workspace, family) = (self.workspace.clone(), self.family.clone());
        let hooks = self.hooks(item);
        self.effects.spawn(async move {
            let ended = match permit.brought().is_some() {
                true => gate.bring(permit, workspace, family.as_deref()).await,
                false => gate.run(permit, host.clone(), (hidden, known, hosts), cancel.clone()).await,
            };
            let CallEnd { mut result, whole, wrote, touched, known, images, todo, timing, fault } = ended;
            let child = host.child.lock().unwrap_or_else(PoisonError::into_inner).take();
            let mut of_child = match child {
                Some((session, agent, last_message)) if !cancel.is_cancelled() => {
                    let child = Child { session, agent: &agent, last_message: &last_message, again: false };
                    hooks.after_child(child, &mut result, &cancel).await
                }
                _ => Said::default(),
            };
            let brought = host.brought.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(brought) = brought.filter(|_| fault.is_none()) {
                // The call is not over: what its child changed is judged first.
                let brought = Brought { text: result.text, error: result.error, ..brought };
                let facts = [Event::Child(ChildEvent::Brought { item, brought })];
                let facts = facts.into_iter().chain(of_child.notes()).chain(of_child.stop());
                return End::of(item, facts.collect());
            }
            // Before the files are remembered, so that what they change is the call's.
            let said = match circumstances {
                Some(circumstances) if !cancel.is_cancelled() => {
                    hooks.after(&gate, (item, &call), &circumstances, &mut result, &cancel).await
                }
                _ => Said::default(),
            };
            let after = match remember {
                Some(workspace) => taken(workspace).await.map(|taken| Some(taken.id)),
                None => Ok(None),
            };
            let fault = fault.or(after.as_ref().err().cloned());
            let after = after.ok().flatten();
            let ended = CallEvent::Ended { item, result, whole, wrote, known, timing: Some(timing), after };
            let mut facts = vec![Event::Call(ended)];
            let warnings = std::mem::take(&mut *host.warnings.lock().unwrap_or_else(PoisonError::into_inner));
            if !images.is_empty() {
                facts.insert(0, Event::Call(CallEvent::Showed { item, images }));
            }
            facts.extend(warnings.into_iter().map(|text| Event::Note(NoteEvent::Warned { text })));
            let told = std::mem::take(&mut *host.told_of.lock().unwrap_or_else(PoisonError::into_inner));
            facts.extend(told.into_iter().map(|item| Event::Process(ProcessEvent::Told { item })));
            for mut said in [of_child, said] {
                facts.extend(said.notes().into_iter().chain(said.stop()));
            }
            facts.extend(fault.map(|error| Event::Item(ItemEvent::Failed { item, error })));
            End { touched, todo, ..End::of(item, facts) }
        });
    }

    fn sample(&mut self, item: ItemId, model: &ModelId, spec: SampleSpec) {
        if let Some(workspace) = self.workspace.as_ref().filter(|_| self.remembers()) {
            workspace.warm();
        }
        let context = &self.state.context;
        let epoch = context.epoch.clone();
        let held = self.dialogue.take();
        let pushed = held.as_ref().zip(epoch.as_ref()).and_then(|(held, epoch)| held.pushed(epoch.seq));
        let asking = Asking {
            held: held.filter(|_| pushed.is_some()),
            epoch,
            fresh: context.messages.iter().skip(pushed.unwrap_or(0)).cloned().collect(),
            providers: self.providers.clone(),
            blobs: self.gate.blobs.clone(),
            request: self.request(item, model, &spec),
        };
        let sampling = Sampling {
            item,
            spec,
            asking,
            purse: self.purse.clone(),
            hub: self.hub.clone(),
            cancel: self.cancel_for(item),
            first_step: self.state.turn.as_ref().is_some_and(|turn| turn.steps <= 1),
        };
        self.effects.spawn(sampling.run());
    }

    /// Whether this is the first answer of a turn whose calls may change files.
    fn remembers(&self) -> bool {
        let turn = self.state.turn.as_ref();
        turn.is_some_and(|turn| {
            turn.settings.snapshots && turn.settings.mode != Mode::Plan && turn.steps == 1
        })
    }

    /// What is to be known of a request before it may cost anything.
    fn request(&self, item: ItemId, model: &ModelId, spec: &SampleSpec) -> Request {
        let turn = self.state.turn.as_ref();
        let limit = turn.and_then(|turn| {
            Some(MoneyLimit {
                max: self.own_money(&turn.settings)?,
                since: turn.started,
                allow_unknown_price: turn.settings.allow_unknown_price,
            })
        });
        Request {
            at: now(),
            session: self.state.session.unwrap_or(codetether_event::SessionId(uuid::Uuid::nil())),
            root: self.kin.root,
            item,
            project: self.kin.project.clone(),
            model: model.clone(),
            most_input: 0,
            max_output: spec.max_output,
            limit,
            above: self.kin.above,
        }
    }

    /// Waits for the next fact: an effect's end, a wish, or the time.
    async fn next(&mut self, until: Option<UnixMillis>) -> Result<(), RunError> {
        let wake = async {
            match until {
                Some(until) => tokio::time::sleep(Duration::from_millis(until.since(now()))).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(joined) = self.effects.join_next() => self.ended(joined).await,
            Some(submitted) = self.ops.recv() => self.accept(submitted).await,
            Some(fact) = self.told.recv() => self.tell(fact).await,
            Some(told) = self.of_children.recv() => self.tell_of_child(told).await,
            () = wake => {
                self.append(vec![Event::Note(NoteEvent::Woke)], Cause::Timer, Durable::Written).await
            }
        }
    }

    /// Waits for a wish; false when nobody can have one any more.
    async fn idle(&mut self) -> Result<bool, RunError> {
        tokio::select! {
            submitted = self.ops.recv() => match submitted {
                Some(submitted) => self.accept(submitted).await.map(|()| true),
                None => Ok(false),
            },
            Some(fact) = self.told.recv() => self.tell(fact).await.map(|()| true),
            Some(told) = self.of_children.recv() => self.tell_of_child(told).await.map(|()| true),
        }
    }

    /// Ends what runs in the background, since the session ends, and writes that.
    pub(crate) async fn end_processes(&mut self) -> Result<(), RunError> {
        let mut ends = self.processes.end_all();
        let mut late = std::pin::pin!(tokio::time::sleep(ENDING));
        let mut outcome = Ok(());
        while !ends.is_empty() {
            tokio::select! {
                biased;
                Some(fact) = self.told.recv() => if outcome.is_ok() {
                    outcome = self.tell(fact).await;
                },
                _ = ends.join_next() => {}
                () = &mut late => break,
            }
        }
        while let Ok(fact) = self.told.try_recv() {
            if outcome.is_ok() {
                outcome = self.tell(fact).await;
            }
        }
        self.processes.forget();
        outcome
    }

    /// Writes what is told of a child, whose call goes on then.
    async fn tell_of_child(&mut self, (fact, written): Told) -> Result<(), RunError> {
        let cause = Cause::After(Seq(self.state.next.0.saturating_sub(1)));
        self.append(vec![fact], cause, Durable::Written).await?;
        // It may have been dropped meanwhile.
        let _ = written.send(());
        Ok(())
    }

    /// Writes what the sandbox denied, and what became of a process.
    async fn tell(&mut self, fact: Event) -> Result<(), RunError> {
        let cause = match &fact {
            Event::Egress(EgressEvent::Denied { item, .. }) => Cause::After(item.seq),
            _ => Cause::After(Seq(self.state.next.0.saturating_sub(1))),
        };
        self.append(vec![fact], cause, Durable::Written).await
    }

    async fn ended(&mut self, joined: Result<End, tokio::task::JoinError>) -> Result<(), RunError> {
        let End { item, mut facts, touched, todo, held } =
            joined.map_err(|e| RunError::Broken(e.to_string()))?;
        self.cancels.remove(&item);
        self.enter(item, &touched, &mut facts);
        if let Some(items) = todo {
            // Before the call's end: what the model was told holds.
            facts.insert(0, Event::Context(ContextEvent::Todo { item, items }));
        }
        if held.is_some() {
            self.dialogue = held;
        }
        // What the model is answered upon must be as durable as the answer.
        if let Some(syncing) = self.syncing.take() {
            syncing.await.map_err(|_| RunError::Broken("the journal's writer ended".into()))??;
        }
        // What was denied to a command before it ended comes before its end.
        while let Ok(fact) = self.told.try_recv() {
            self.tell(fact).await?;
        }
        let cause = Cause::After(item.seq);
        self.append(facts, cause, Durable::Written).await
    }

    /// Adds to a call's result what the folders say that it entered. Here, one call after the other, so that each says it
    /// once.
    fn enter(&self, item: ItemId, touched: &[String], facts: &mut Vec<Event>) {
        let told: BTreeSet<&str> = self.state.context.entered().collect();
        if touched.is_empty() || told.len() >= ENTERED {
            return;
        }
        let end = facts.iter().position(|fact| matches!(fact, Event::Call(CallEvent::Ended { .. })));
        let Some(end) = end else { return };
        let most = ENTERED - told.len();
        let found =
            instructions::on_the_way(&self.gate.root, touched.iter().map(String::as_str), &told, most);
        if found.is_empty() {
            return;
        }
        let Some(Event::Call(CallEvent::Ended { result, .. })) = facts.get_mut(end) else { return };
        let mut files = Vec::with_capacity(found.len());
        for (file, text) in found {
            result.text.push_str(&self.gate.redactor.redact(&text));
            files.push(file);
        }
        facts.insert(end + 1, Event::Context(ContextEvent::Entered { item, files }));
    }

    async fn accept(&mut self, (submission, reply): Submitted) -> Result<(), RunError> {
        match self.state.accept(&submission) {
            Ok(mut facts) => {
                let kept = self.kept(&submission);
                let first = self.state.next;
                let routed = routing::routed(&self.state, &submission.op).filter(|_| !facts.is_empty());
                facts.extend(routed.map(|routed| Event::Turn(TurnEvent::Routed(Box::new(routed)))));
                let begins = facts.len() > 1;
                self.append(facts, Cause::Op(submission.id), Durable::Written).await?;
                if let Some((file, rules)) = kept {
                    self.keep(file, rules, submission.id).await?;
                }
                // A turn is known by the record that began it.
                let at = if begins { first } else { Seq(self.state.next.0.saturating_sub(1)) };
                // Whoever asked may have gone.
                let _ = reply.send(Ok(at));
            }
            Err(refused) => {
                let _ = reply.send(Err(refused));
            }
        }
        Ok(())
    }
}

impl Live {
    /// The rules that an answer allows for good, and their file.
    fn kept(&self, submission: &Submission) -> Option<(RuleFile, Vec<String>)> {
        let Op::Answer { ask, answer: Answer::AllowAlways } = &submission.op else { return None };
        let open = self.state.turn.as_ref()?.asks.iter().find(|open| open.ask == *ask)?;
        let to = match &open.kind {
            AskKind::Question(_) => None,
            AskKind::Permission { .. } => self.rule_file.as_ref(),
            AskKind::Egress { .. } => self.sandbox.as_deref().and_then(Sandbox::egress)?.file(),
            // The child's own session writes them, when it hears the answer.
            AskKind::Child { .. } => return None,
        };
        let rules = open.kind.rules().to_vec();
        let to = to.filter(|to| open.kind.file() == Some(&to.path) && !rules.is_empty())?;
        Some((to.clone(), rules))
    }

    /// Writes rules to their file; what goes wrong is told, for they hold in this session all the same.
    async fn keep(&mut self, file: RuleFile, rules: Vec<String>, op: OpId) -> Result<(), RunError> {
        let path = file.path.clone();
        let written = tokio::task::spawn_blocking(move || (file.add)(&rules)).await;
        let Err(problem) = written.map_err(|e| RunError::Broken(e.to_string()))? else { return Ok(()) };
        let text = format!("the rule holds in this session, but could not be written to {path}: {problem}");
        self.append(vec![Event::Note(NoteEvent::Warned { text })], Cause::Op(op), Durable::Written).await
    }
}

/// The time, for records.
#[must_use]
pub fn now() -> UnixMillis {
    UnixMillis(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis))
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
