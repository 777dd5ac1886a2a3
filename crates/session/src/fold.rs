//! The fold: how each fact changes the state. Total: it accepts any journal and never fails.

use std::hash::{DefaultHasher, Hash, Hasher};

use codetether_event::{
    Answer, AskEvent, AskId, AskKind, CallEvent, Cause, ContentPart, ContextEvent, ContextSource,
    EgressEvent, Event, Evidence, FilesEvent, HookPoint, ItemEvent, ItemId, Message, Principal,
    ProviderFailureKind, Reading, Record, ResponseFormat, Role, RoutedJob, SampleEvent, SampleOutcome, Seq,
    SessionEvent, Sight, StopReason, Structured, Tier, ToolResult, TurnEvent, TurnId, TurnSettings,
    UnixMillis, Verdict, Way, Work,
};

use crate::context::{Compacting, Kind};
use crate::{
    Call, Checked, Checking, Context, EpochInfo, FailedSample, Hooking, Knock, OpenAsk, Phase, Refusal,
    State, Step, Turn,
};

/// The tool that shows a result again.
const RECALL: &str = "recall";

/// Most models whose windows are remembered.
const WINDOWS: usize = 64;

impl State {
    /// Folds a record into the state.
    pub fn apply(&mut self, record: &Record) {
        let before = self.now;
        self.next = record.seq.plus(1);
        self.now = self.now.max(record.at);
        self.attempt = record.attempt;
        if let Cause::Op(op) = &record.cause {
            self.seen.insert(*op);
        }
        match &record.event {
            Event::Session(event) => self.session_event(event, before),
            Event::Turn(event) => self.turn_event(event, record.seq),
            Event::Item(event) => self.item_event(event),
            Event::Context(event) => self.context_event(event, record.seq),
            Event::Sample(event) => self.sample_event(event, record.seq),
            Event::Call(event) => self.call_event(event, record.seq),
            Event::Ask(event) => self.ask_event(event, record.seq),
            Event::Files(event) => self.files_event(event),
            Event::Egress(event) => self.egress_event(event),
            Event::Process(event) => self.processes.event(event),
            Event::Child(event) => self.child_event(event),
            Event::Note(_) => {}
            Event::Unknown(_) => self.read_only = true,
        }
    }

    fn session_event(&mut self, event: &SessionEvent, before: UnixMillis) {
        match event {
            SessionEvent::Opened { session, root, parent, .. } => {
                self.session = Some(*session);
                self.parent = *parent;
                self.root.clone_from(root);
            }
            SessionEvent::Adopted { attempt, root, .. } => {
                self.attempt = *attempt;
                if self.root != *root {
                    // Files of the same names are others.
                    self.context.forget_files();
                }
                self.root.clone_from(root);
                self.audience = None;
                (self.greeted, self.summed_up) = (None, false);
                self.files.adopted();
                if let Some(turn) = &mut self.turn {
                    turn.preparing = None;
                    turn.authorizing = None;
                    turn.snapshotting = None;
                    turn.hooks.running = None;
                    turn.checking.running = None;
                    turn.step.before = None;
                    turn.cancelled = false;
                    // What waited has ended with its owner.
                    turn.knocks.clear();
                    turn.settled.clear();
                    // Days may have passed, and the folder may be another.
                    for call in turn.step.calls.iter_mut().filter(|call| call.phase == Phase::Judged) {
                        call.phase = Phase::Proposed;
                    }
                    // While an ask is open the time stands still anyway.
                    if turn.asks.is_empty() {
                        turn.paused = turn.paused.saturating_add(self.now.since(before));
                    }
                }
            }
            SessionEvent::Attached { audience } => self.audience = Some(*audience),
            SessionEvent::Detached => self.audience = None,
            SessionEvent::Renamed { title } => self.title = Some(title.clone()),
        }
    }

    fn turn_event(&mut self, event: &TurnEvent, seq: Seq) {
        match event {
            TurnEvent::Started { input, by, settings } => {
                self.context.mark(seq, true);
                let turn = Turn::begun(TurnId(seq), self.now, by, settings);
                self.turn = Some(Turn { pending: vec![input.clone()], ..turn });
            }
            TurnEvent::Compacting { by, settings } => {
                self.context.asked = true;
                let turn = Turn::begun(TurnId(seq), self.now, by, settings);
                self.turn = Some(Turn { compacting: true, ..turn });
            }
            TurnEvent::Steered { input, .. } => {
                if let Some(turn) = &mut self.turn {
                    turn.pending.push(input.clone());
                }
            }
            TurnEvent::FellBack { model, .. } => {
                if let Some(turn) = &mut self.turn {
                    turn.model = model.clone();
                    turn.fallbacks = turn.fallbacks.saturating_add(1);
                    turn.way = None;
                    // The same step, asked of another model; a summary is none.
                    if turn.failed.take().is_some() && self.context.summing.is_none() {
                        turn.steps = turn.steps.saturating_sub(1);
                    }
                }
            }
            TurnEvent::Routed(routed) => {
                let Some(turn) = &mut self.turn else { return };
                match routed.job {
                    RoutedJob::Prompt => (turn.tier, turn.model) = (routed.tier, routed.model.clone()),
                    RoutedJob::Summary => turn.summarist = Some(routed.model.clone()),
                }
            }
            TurnEvent::Escalated { tier, model, why } => {
                let Some(turn) = &mut self.turn else { return };
                let failed = turn.failed.take().is_some();
                if self.context.summing.is_some() {
                    // Asked for once more, of the turn's own model.
                    self.context.ask_again_for_summary();
                    (turn.summarist, turn.answered) = (None, None);
                    return;
                }
                (turn.tier, turn.model, turn.way) = (*tier, model.clone(), None);
                (turn.repeat, turn.nudged, turn.invalid) = (None, false, 0);
                if failed {
                    turn.steps = turn.steps.saturating_sub(1);
                }
                if *why == Evidence::CheckFailed {
                    turn.checking.rounds = 0;
                }
            }
            TurnEvent::Hooked { item, point, blocked, context } => {
                let Some(turn) = &mut self.turn else { return };
                if turn.hooks.end(*item, *point, blocked.as_ref(), context.as_ref()) {
                    if *point == HookPoint::SessionStart {
                        (self.greeted, self.summed_up) = (Some(seq), false);
                    }
                    // Whoever asked for the summary does without.
                    if *point == HookPoint::PreCompact && blocked.is_some() {
                        self.context.asked = false;
                    }
                    if *point == HookPoint::UserPromptSubmit {
                        turn.judge(blocked.as_ref());
                    }
                }
            }
            TurnEvent::Checked { item, point, command, status, output, left_out, .. } => {
                let Some(turn) = &mut self.turn else { return };
                let (command, output) = (command.clone(), output.clone());
                let checked = Checked { command, status: status.clone(), output, left_out: *left_out };
                turn.checking.end(*item, *point, checked);
            }
            TurnEvent::Interrupted { reason } => {
                if let Some(turn) = &mut self.turn {
                    turn.interrupted.get_or_insert_with(|| reason.clone());
                }
            }
            TurnEvent::Ended { outcome } => {
                self.last = Some(outcome.clone());
                let Some(mut turn) = self.turn.take() else { return };
                for call in &mut turn.step.calls {
                    if !matches!(call.phase, Phase::Ended(_)) {
                        call.phase = Phase::Ended(not_run(call));
                    }
                }
                turn.close_step(&mut self.context);
                self.context.asked = false;
                self.context.give_up_summing();
                turn.keep_back_unheard();
                // What the model never heard is said again.
                self.greeted.take_if(|_| !turn.hooks.context.is_empty());
                self.context.take_in(&mut turn.pending, turn.id.0);
            }
        }
    }

    fn item_event(&mut self, event: &ItemEvent) {
        let Some(turn) = &mut self.turn else {
            match event {
                ItemEvent::Begun { item, what: Work::Snapshot } => self.files.snapshotting(*item),
                ItemEvent::Failed { item, .. } => self.files.failed(*item),
                ItemEvent::Begun { .. } => {}
            }
            return;
        };
        match event {
            ItemEvent::Begun { item, what: Work::Snapshot } => turn.snapshotting = Some(*item),
            ItemEvent::Begun { item, what: Work::Prepare } => turn.preparing = Some(*item),
            ItemEvent::Begun { item, what: Work::Authorize { calls } } => {
                turn.authorizing = Some((*item, calls.clone()));
            }
            ItemEvent::Begun { item, what: Work::Hook { point } } => {
                turn.hooks.begin(*item, *point, turn.pending.len())
            }
            ItemEvent::Begun { item, what: Work::Check { point } } => turn.checking.begin(*item, *point),
            ItemEvent::Begun { what: Work::Cancel { .. }, .. } => turn.cancelled = true,
            ItemEvent::Failed { item, error } => {
                if turn.preparing == Some(*item) {
                    turn.preparing = None;
                }
                turn.authorizing.take_if(|(judging, _)| judging == item);
                turn.snapshotting.take_if(|taking| taking == item);
                turn.hooks.fail(*item);
                turn.checking.fail(*item);
                if turn.interrupted.is_none() {
                    turn.fault.get_or_insert_with(|| error.clone());
                }
            }
        }
    }

    fn files_event(&mut self, event: &FilesEvent) {
        match (&mut self.turn, event) {
            (Some(turn), FilesEvent::Snapshot { item, id }) if turn.snapshotting == Some(*item) => {
                turn.snapshotting = None;
                turn.step.before = Some(id.clone());
            }
            _ => self.files.event(event),
        }
    }

    fn context_event(&mut self, event: &ContextEvent, seq: Seq) {
        self.files.context_event(event);
        match event {
            ContextEvent::Rewound { to } => {
                self.context.rewind(*to);
                self.greeted.take_if(|at| *at >= *to);
            }
            ContextEvent::Entered { item, files } => self.context.enter(seq, Some(*item), files),
            ContextEvent::Folded { before, .. } => {
                let offered = self.turn.as_ref().and_then(|turn| turn.settings.offered(&turn.model));
                let recalls = offered.is_none_or(|tools| tools.iter().any(|tool| tool.as_str() == RECALL));
                let room = self.room();
                self.context.fold(*before, recalls, room);
                self.as_it_is_now(false);
            }
            ContextEvent::Compacted { keep, .. } => {
                let goal = self.goal().unwrap_or(seq);
                let stop = self.turn.as_ref().and_then(|turn| turn.answered.clone());
                let summed = self.context.summing.is_some();
                let room = self.room();
                self.context.compact(Compacting { at: seq, keep: *keep, goal, room }, stop.as_ref());
                self.as_it_is_now(summed);
                self.turn.iter_mut().for_each(|turn| {
                    turn.hooks.compacted();
                    turn.summarist = None;
                });
                // What the hooks of the start had to say went with the rest.
                let went = |at: &mut Seq| keep.is_none_or(|keep| *at < keep);
                self.summed_up |= self.greeted.take_if(went).is_some();
            }
            ContextEvent::Kept { .. } => {
                self.context.give_up_summing();
                self.context.asked = false;
                self.turn.iter_mut().for_each(|turn| (turn.answered, turn.summarist) = (None, None));
            }
            ContextEvent::CompactionAsked { .. } => self.context.asked = true,
            ContextEvent::Shown { message, known, instructions, .. } => {
                self.context.known.learn(seq, known);
                self.context.enter(seq, None, instructions);
                self.context.push(message.clone(), Kind::Other);
            }
            ContextEvent::Todo { items, .. } => self.context.set_todo(seq, items),
            ContextEvent::Window { model, tokens } => {
                if self.windows.len() < WINDOWS || self.windows.contains_key(model) {
                    self.windows.insert(model.clone(), *tokens);
                }
            }
            ContextEvent::Epoch { item, model, system, tools, offered, format, way, supplement } => {
                self.context.epoch = Some(EpochInfo {
                    seq,
                    model: model.clone(),
                    system: system.clone(),
                    tools: tools.clone(),
                    offered: offered.clone(),
                    format: format.clone(),
                    way: *way,
                    supplement: supplement.clone(),
                    answered: false,
                });
                // What asks for a summary is the last word until it is answered.
                if self.context.summing.is_none() {
                    self.context.to_show.clear();
                    self.context.to_tell.clear();
                }
                if let Some(turn) = &mut self.turn
                    && turn.preparing == Some(*item)
                {
                    turn.preparing = None;
                    // The same step, asked for in another way.
                    if turn.way.is_some() && turn.failed.take().is_some() {
                        turn.steps = turn.steps.saturating_sub(1);
                    }
                }
            }
            ContextEvent::Added { message, source } => {
                if *source == ContextSource::Summary {
                    self.context.summing = Some(self.context.messages.len());
                }
                let kind =
                    if *source == ContextSource::Environment { Kind::Environment } else { Kind::Other };
                self.context.push(message.clone(), kind);
                if *source == ContextSource::Process {
                    self.processes.told();
                }
                let Some(turn) = &mut self.turn else { return };
                match source {
                    ContextSource::Environment | ContextSource::Restored | ContextSource::Process => {}
                    ContextSource::Summary => turn.answered = None,
                    ContextSource::NoProgress => turn.nudged = true,
                    ContextSource::Hook => {
                        if turn.hooks.told() {
                            turn.answered = None;
                        }
                    }
                    ContextSource::Check => {
                        if turn.checking.told(turn.answered.is_some()) {
                            turn.answered = None;
                        }
                    }
                    ContextSource::Misfit => {
                        turn.misfit = None;
                        turn.misfits = turn.misfits.saturating_add(1);
                        turn.answered = None;
                    }
                }
            }
        }
    }

    /// The messages are others: what failed to fit, or was asked for a summary, is over.
    fn as_it_is_now(&mut self, summed: bool) {
        let Some(turn) = &mut self.turn else { return };
        turn.answered = None;
        turn.misfit = None;
        if turn.failed.take().is_some() && !summed {
            // The same step, with less before it.
            turn.steps = turn.steps.saturating_sub(1);
        }
    }

    fn sample_event(&mut self, event: &SampleEvent, seq: Seq) {
        match event {
            SampleEvent::Started { item, retry_of, .. } => {
                self.ledger.samples += 1;
                let Some(turn) = &mut self.turn else { return };
                turn.sampling = Some(*item);
                turn.answered = None;
                turn.hooks.asked();
                if self.context.summing.is_some() {
                    return;
                }
                self.context.take_in(&mut turn.pending, turn.id.0);
                turn.hooks.heard();
                self.context.mark(seq, false);
                if retry_of.is_none() {
                    turn.steps = turn.steps.saturating_add(1);
                }
            }
            SampleEvent::Ended { item, outcome, message, structured, usage, cost, jitter, .. } => {
                self.ledger.usage += *usage;
                match cost {
                    Some(cost) => self.ledger.cost = self.ledger.cost + *cost,
                    None => self.ledger.unpriced += 1,
                }
                if let Some(message) = message
                    && !message.parts.is_empty()
                {
                    self.context.push(message.clone(), Kind::Other);
                }
                if matches!(outcome, SampleOutcome::Answered { .. }) {
                    self.context.count(usage);
                }
                let Some(turn) = &mut self.turn else { return };
                turn.sampling = None;
                turn.misfit = None;
                let failed = turn.failed.take();
                match outcome {
                    SampleOutcome::Answered { stop } => {
                        if let Some(epoch) = &mut self.context.epoch {
                            epoch.answered = true;
                        }
                        turn.misfit = structured.as_ref().and_then(|structured| match &structured.reading {
                            Some(Reading::Misfits { problem }) => Some(problem.clone()),
                            _ => None,
                        });
                        if turn.misfit.is_some()
                            && *stop == StopReason::EndTurn
                            && self.context.epoch.as_ref().is_some_and(may_go_unheld)
                        {
                            turn.way = after_silence(structured.as_ref(), message.as_ref()).or(turn.way);
                        }
                        turn.answered = Some(stop.clone());
                        if self.context.summing.is_none() {
                            turn.step = proposed(message.as_ref(), seq);
                        }
                    }
                    SampleOutcome::Failed { failure } => {
                        // A server that has never answered in this form may not know the way of asking for it.
                        let unknown = failure.kind == ProviderFailureKind::BadRequest
                            && failure.status.is_some()
                            && self.context.epoch.as_ref().is_some_and(|epoch| !epoch.answered);
                        let lower =
                            structured.as_ref().filter(|_| unknown).and_then(|tried| tried.way.below());
                        turn.way = lower.or(turn.way);
                        turn.failed = Some(FailedSample {
                            item: *item,
                            failure: failure.clone(),
                            at: self.now,
                            first_at: failed.as_ref().map_or(self.now, |failed| failed.first_at),
                            tries: failed.map_or(0, |failed| failed.tries).saturating_add(1),
                            jitter: jitter.unwrap_or(0).min(1000),
                        });
                    }
                    // It will be asked for again, as the same step.
                    SampleOutcome::Lost => {
                        if self.context.summing.is_none() {
                            turn.steps = turn.steps.saturating_sub(1);
                        }
                        turn.failed = failed;
                    }
                    SampleOutcome::Interrupted => {}
                }
            }
        }
    }

    fn call_event(&mut self, event: &CallEvent, seq: Seq) {
        if let CallEvent::Ended { known, .. } = event {
            self.context.known.learn(seq, known);
        }
        let Some(turn) = &mut self.turn else { return };
        let item = match event {
            CallEvent::Authorized { item, .. }
            | CallEvent::Started { item, .. }
            | CallEvent::Showed { item, .. }
            | CallEvent::Ended { item, .. } => *item,
        };
        // Before its end is written down there, which forgets what changed nothing.
        let before = self.files.before(item).cloned();
        self.files.call_event(event, turn.id);
        if let CallEvent::Authorized { .. } = event {
            // Also when the call is over by now: a judging ends with its last verdict.
            turn.authorizing.take_if(|(_, calls)| {
                calls.retain(|call| *call != item);
                calls.is_empty()
            });
        }
        let settled = turn.step.is_settled_before(item);
        let Some(call) = turn.step.calls.iter_mut().find(|call| call.item == item) else { return };
        match event {
            // A verdict that came too late.
            CallEvent::Authorized { .. } if matches!(call.phase, Phase::Ended(_)) => {}
            CallEvent::Authorized { verdict, .. } => {
                call.judged_again |= call.verdict.is_some();
                call.verdict = Some(verdict.clone());
                // What would be asked now may not be what would happen then: it is judged again in its turn.
                let waits = matches!(verdict, Verdict::Ask { .. }) && !settled;
                call.phase = if waits { Phase::Proposed } else { Phase::Judged };
                if let Verdict::Deny { rule } = verdict {
                    let (tool, rule) = (call.call.name.clone(), rule.clone());
                    turn.refused.push(Refusal { item, tool, rule });
                }
            }
            CallEvent::Started { before, .. } => {
                call.phase = Phase::Running;
                turn.step.ran = true;
                if before.is_some() {
                    turn.step.before = None;
                }
            }
            CallEvent::Showed { images, .. } => call.images.clone_from(images),
            CallEvent::Ended { result, wrote, after, .. } => {
                let invalid = matches!(
                    call.verdict,
                    Some(Verdict::InvalidArguments { .. } | Verdict::UnknownTool { .. })
                );
                turn.invalid = if invalid { turn.invalid.saturating_add(1) } else { 0 };
                turn.checking.call_ended(call, wrote, (before.as_ref(), after.as_ref()));
                call.phase = Phase::Ended(result.clone());
                turn.knocks.retain(|knock| knock.item != item);
                turn.step.wrote |= !wrote.is_empty();
                self.context.wrote(wrote);
                if turn.step.is_closed() {
                    turn.close_step(&mut self.context);
                }
            }
        }
    }

    fn ask_event(&mut self, event: &AskEvent, seq: Seq) {
        let now = self.now;
        let Some(turn) = &mut self.turn else { return };
        match event {
            AskEvent::Opened { item, ask } => {
                turn.asks.push(OpenAsk { ask: AskId(seq), item: *item, kind: ask.clone() });
                turn.asking_since.get_or_insert(now);
                match ask {
                    AskKind::Permission { .. } | AskKind::Question(_) => {
                        if let Some(call) = turn.step.calls.iter_mut().find(|call| call.item == *item) {
                            call.phase = Phase::Asked(AskId(seq));
                        }
                    }
                    // Its call runs on.
                    AskKind::Egress { target, .. } => turn.knocks.retain(|knock| knock.target != *target),
                    AskKind::Child { session, ask, .. } => {
                        let key = crate::child::key(*session, *ask);
                        turn.knocks.retain(|knock| knock.target != key);
                    }
                }
            }
            AskEvent::Answered { ask, answer, .. } => {
                let Some(OpenAsk { item, kind, .. }) = turn.close_ask(*ask, now) else { return };
                let lasts = matches!(answer, Answer::AllowSession | Answer::AllowAlways);
                if let AskKind::Egress { rule, .. } = kind {
                    self.hosts.extend(lasts.then_some(rule));
                    return;
                }
                if let AskKind::Child { asks, .. } = kind {
                    // Its own session takes the answer in; what lasts holds here as well, and in later children.
                    if lasts {
                        self.take_over(&asks);
                    }
                    return;
                }
                let Some(call) = turn.step.calls.iter_mut().find(|call| call.item == item) else { return };
                if let AskKind::Question(_) = kind {
                    call.phase = Phase::Answered(answer.clone());
                    return;
                }
                call.granted = matches!(answer, Answer::Allow) || lasts;
                call.phase = match answer {
                    Answer::Allow | Answer::AllowSession | Answer::AllowAlways => Phase::Proposed,
                    Answer::Deny { reason } => Phase::Declined(reason.clone()),
                    // No permission is given so.
                    Answer::Chosen { .. } => Phase::Declined(None),
                };
                if lasts {
                    self.grants.extend_from_slice(kind.rules());
                }
            }
            AskEvent::Withdrawn { ask } => {
                let Some(OpenAsk { item, kind, .. }) = turn.close_ask(*ask, now) else { return };
                let call = turn.step.calls.iter_mut().find(|call| call.item == item);
                if let (AskKind::Permission { .. } | AskKind::Question(_), Some(call)) = (kind, call) {
                    call.phase = Phase::Judged;
                }
            }
        }
    }

    /// What waits is asked about once, while its call runs.
    fn egress_event(&mut self, event: &EgressEvent) {
        let Some(turn) = &mut self.turn else { return };
        let EgressEvent::Denied {
            item, target: Some(target), why, rule: Some(rule), waits: true, file, ..
        } = event
        else {
            return;
        };
        let known = turn.knocks.iter().any(|knock| knock.target == *target) || turn.is_asked_about(target);
        let runs = turn.call(*item).is_some_and(|call| call.phase == Phase::Running);
        if runs && !known {
            let ask = AskKind::Egress {
                target: target.clone(),
                why: why.clone(),
                rule: rule.clone(),
                file: file.clone(),
            };
            turn.knocks.push(Knock { item: *item, target: target.clone(), ask });
        }
    }
}

impl Turn {
    /// A turn at its start, without a prompt.
    fn begun(id: TurnId, started: UnixMillis, by: &Principal, settings: &TurnSettings) -> Self {
        Self {
            id,
            started,
            by: by.clone(),
            compacting: false,
            settings: settings.clone(),
            model: settings.model.clone(),
            fallbacks: 0,
            tier: Tier::Main,
            summarist: None,
            invalid: 0,
            paused: 0,
            pending: Vec::new(),
            steps: 0,
            preparing: None,
            authorizing: None,
            snapshotting: None,
            sampling: None,
            failed: None,
            answered: None,
            misfit: None,
            misfits: 0,
            way: None,
            step: Step::default(),
            asks: Vec::new(),
            knocks: Vec::new(),
            settled: Vec::new(),
            asking_since: None,
            fault: None,
            interrupted: None,
            cancelled: false,
            repeat: None,
            nudged: false,
            refused: Vec::new(),
            hooks: Hooking::default(),
            checking: Checking::default(),
        }
    }

    /// A prompt that a hook is against reaches no model. The turn that it begins ends; another one is left out.
    fn judge(&mut self, blocked: Option<&String>) {
        let begins = self.steps == 0 && self.hooks.passed() == 0;
        let judged = self.hooks.judged(blocked.is_some());
        if blocked.is_some() {
            self.pending.drain(judged.start.min(self.pending.len())..judged.end.min(self.pending.len()));
            self.hooks.refused = blocked.filter(|_| begins && self.pending.is_empty()).cloned();
        }
    }

    /// Nor does one that none of those that are to judge it has passed.
    fn keep_back_unheard(&mut self) {
        if self.settings.hooks.contains(&HookPoint::UserPromptSubmit) {
            self.pending.truncate(self.hooks.passed());
        }
    }

    /// Whether an ask about this target is open.
    fn is_asked_about(&self, target: &str) -> bool {
        self.asks
            .iter()
            .any(|open| matches!(&open.kind, AskKind::Egress { target: about, .. } if about == target))
    }

    /// Takes an ask off the list.
    fn close_ask(&mut self, ask: AskId, now: UnixMillis) -> Option<OpenAsk> {
        let at = self.asks.iter().position(|open| open.ask == ask)?;
        let open = self.asks.remove(at);
        if self.asks.is_empty()
            && let Some(since) = self.asking_since.take()
        {
            self.paused = self.paused.saturating_add(now.since(since));
        }
        Some(open)
    }

    /// Puts the results into the context, in the order of the calls.
    fn close_step(&mut self, context: &mut Context) {
        if self.step.calls.is_empty() {
            return;
        }
        let step = std::mem::take(&mut self.step);
        let key = fingerprint(&step);
        let times = match self.repeat {
            Some((last, times)) if last == key && !step.wrote => times.saturating_add(1),
            _ => {
                self.nudged = false;
                1
            }
        };
        self.repeat = Some((key, times));
        // Where one change is all that was asked for, this was it.
        let is_over = self.settings.single && step.wrote && self.interrupted.is_none();
        self.answered = is_over.then_some(StopReason::EndTurn);
        let (mut parts, mut items) = (Vec::new(), Vec::new());
        for call in step.calls {
            let Phase::Ended(result) = call.phase else { continue };
            parts.push(ContentPart::ToolResult(result));
            items.push(call.item);
            let images = call.images.into_iter();
            parts.extend(images.map(|Sight { media_type, blob }| ContentPart::Image { media_type, blob }));
        }
        context.push(Message { role: Role::User, parts }, Kind::Results(items));
    }
}

/// Whether an answer may be asked for by a way that the provider does not enforce.
fn may_go_unheld(epoch: &EpochInfo) -> bool {
    !matches!(epoch.format, ResponseFormat::Schema { strict: true, .. })
}

/// The next way, where the provider said that it enforces the schema and gave what is no JSON: some pass over in silence
/// what they do not know.
fn after_silence(tried: Option<&Structured>, answer: Option<&Message>) -> Option<Way> {
    let native = tried.filter(|tried| tried.way == Way::Native)?;
    let text = answer.map(Message::text).unwrap_or_default();
    if serde_json::from_str::<serde_json::Value>(&text).is_ok() { None } else { native.way.below() }
}

fn proposed(message: Option<&Message>, seq: Seq) -> Step {
    let calls = message.into_iter().flat_map(Message::calls).enumerate();
    let calls = calls.map(|(index, call)| Call {
        item: ItemId::call(seq, index),
        call: call.clone(),
        verdict: None,
        granted: false,
        judged_again: false,
        child: None,
        phase: Phase::Proposed,
        images: Vec::new(),
    });
    Step { calls: calls.collect(), ..Step::default() }
}

/// Two steps with the same calls and the same results have the same fingerprint.
fn fingerprint(step: &Step) -> u64 {
    let mut hasher = DefaultHasher::new();
    for call in &step.calls {
        (call.call.name.as_str(), &call.call.arguments).hash(&mut hasher);
        if let Phase::Ended(result) = &call.phase {
            (&result.text, result.error).hash(&mut hasher);
        }
    }
    hasher.finish()
}

fn not_run(call: &Call) -> ToolResult {
    let text = crate::child::not_brought(call, "not run: the turn ended before".into());
    ToolResult { call: call.call.id.clone(), text, error: true }
}
