//! Test part: writes a session's journal sentence by sentence, and plays the runner's part without running.

use std::collections::BTreeMap;

use codetether_event::{
    Answer, AskEvent, AskId, AskKind, Attempt, Audience, BlobId, CallEvent, Cause, Choice, Confinement,
    ContentId, ContentPart, ContextEvent, Event, FilesEvent, Input, InterruptReason, ItemId, KnownFile,
    Message, Mode, ModelId, NoteEvent, OpId, Principal, ProviderFailure, Question, Reading, Record,
    ResponseFormat, Retry, Role, SampleEvent, SampleOutcome, Seq, SessionEvent, SessionId, SnapshotId,
    StopReason, Structured, Timing, TodoItem, TodoState, ToolCall, ToolName, ToolResult, TurnEvent,
    TurnSettings, UnixMillis, Usage, Verdict, Way,
};
use uuid::Uuid;

use crate::{Effect, Next, State};

pub(crate) struct Transcript {
    state: State,
    records: Vec<Record>,
    clock: u64,
    settings: TurnSettings,
    open: Option<ItemId>,
    known: Vec<KnownFile>,
}

impl Transcript {
    /// A session with a prefix for `test/model`.
    pub(crate) fn new() -> Self {
        let mut t = Self::bare();
        t.epoch();
        t
    }

    /// A session that was opened and nothing more.
    pub(crate) fn bare() -> Self {
        let mut t = Self {
            state: State::default(),
            records: Vec::new(),
            clock: 1_000,
            settings: Self::settings(),
            open: None,
            known: Vec::new(),
        };
        t.append(vec![Event::Session(SessionEvent::Opened {
            schema: 1,
            build: "test".into(),
            session: SessionId(Uuid::from_u128(1)),
            root: "/r".into(),
            forked: None,
            parent: None,
        })]);
        t
    }

    pub(crate) fn settings() -> TurnSettings {
        TurnSettings {
            model: ModelId::new("test/model"),
            mode: Mode::Ask,
            effort: None,
            max_output: None,
            temperature: None,
            max_steps: 50,
            max_time_ms: None,
            max_cost: None,
            allow_unknown_price: false,
            fallback: Vec::new(),
            manners: BTreeMap::new(),
            tools: None,
            allow: Vec::new(),
            ask: Vec::new(),
            deny: Vec::new(),
            format: ResponseFormat::Text,
            retry: Retry::default(),
            replayed: false,
            confinement: Confinement::None,
            snapshots: false,
            compaction: None,
            agent: None,
            supplement: None,
            hooks: Vec::new(),
            check: None,
            single: false,
            tiers: None,
            small: None,
        }
    }

    pub(crate) fn settings_mut(&mut self) -> &mut TurnSettings {
        &mut self.settings
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    pub(crate) fn decide(&self) -> Next {
        self.state.decide()
    }

    pub(crate) fn append(&mut self, events: Vec<Event>) -> &mut Self {
        self.append_with(events, Cause::Timer)
    }

    pub(crate) fn append_for(&mut self, op: OpId, events: Vec<Event>) -> &mut Self {
        self.append_with(events, Cause::Op(op))
    }

    fn append_with(&mut self, events: Vec<Event>, cause: Cause) -> &mut Self {
        for event in events {
            let record = Record {
                seq: self.state.next,
                attempt: Attempt(1),
                at: UnixMillis(self.clock),
                turn: self.state.turn.as_ref().map(|turn| turn.id),
                cause: cause.clone(),
                event,
            };
            self.state.apply(&record);
            self.records.push(record);
        }
        let mut replayed = State::default();
        self.records.iter().for_each(|record| replayed.apply(record));
        assert_eq!(replayed, self.state, "a replay gives the same state");
        self
    }

    /// Time goes by; a fact must follow for the state to know.
    pub(crate) fn pass(&mut self, millis: u64) -> &mut Self {
        self.clock += millis;
        self
    }

    /// A fact that changes nothing but the time.
    pub(crate) fn note(&mut self) -> &mut Self {
        self.append(vec![Event::Note(NoteEvent::Warned { text: "tick".into() })])
    }

    pub(crate) fn turn_started(&self) -> UnixMillis {
        self.state.turn.as_ref().unwrap().started
    }

    pub(crate) fn epoch(&mut self) -> &mut Self {
        let blob = || BlobId::new("0".repeat(64));
        let item = self.state.turn.as_ref().and_then(|turn| turn.preparing).unwrap_or(ItemId::at(Seq(0)));
        let (model, offered) = (self.settings.model.clone(), self.settings.tools.clone());
        self.append(vec![Event::Context(ContextEvent::Epoch {
            item,
            model,
            system: blob(),
            tools: blob(),
            offered,
            format: self.settings.format.clone(),
            way: self.state.turn.as_ref().and_then(|turn| turn.way).unwrap_or_default(),
            supplement: self.settings.supplement.clone(),
        })])
    }

    pub(crate) fn prompt(&mut self, text: &str) -> &mut Self {
        let (input, settings) = (Input::text(text), Box::new(self.settings.clone()));
        self.append(vec![Event::Turn(TurnEvent::Started { input, by: Principal::Local, settings })])
    }

    pub(crate) fn steer(&mut self, text: &str) -> &mut Self {
        self.append(vec![Event::Turn(TurnEvent::Steered { input: Input::text(text), by: Principal::Local })])
    }

    pub(crate) fn interrupt(&mut self) -> &mut Self {
        let reason = InterruptReason::Asked(Principal::Local);
        self.append(vec![Event::Turn(TurnEvent::Interrupted { reason })])
    }

    /// Carries out `decide`'s appends until it wants something else.
    pub(crate) fn settle(&mut self) {
        for _ in 0..100 {
            match self.decide() {
                Next::Append(facts) => self.append(facts),
                _ => return,
            };
        }
        panic!("decide appends for ever");
    }

    /// Writes the intents of what `decide` starts.
    pub(crate) fn start(&mut self) -> Vec<Effect> {
        self.settle();
        let Next::Start(effects) = self.decide() else { panic!("nothing starts: {:?}", self.decide()) };
        for effect in &effects {
            let intent = self.state.intent(effect);
            self.append(vec![intent]);
        }
        effects
    }

    /// Starts what must be one effect.
    pub(crate) fn start_only(&mut self) -> ItemId {
        let effects = self.start();
        assert_eq!(effects.len(), 1, "{effects:?}");
        effects[0].item()
    }

    /// The next sample starts.
    pub(crate) fn sample(&mut self) -> ItemId {
        let effects = self.start();
        assert!(matches!(&effects[..], [Effect::Sample { .. }]), "{effects:?}");
        self.open = Some(effects[0].item());
        effects[0].item()
    }

    fn end_sample(
        &mut self,
        outcome: SampleOutcome,
        message: Option<Message>,
        structured: Option<Structured>,
        jitter: Option<u16>,
    ) -> &mut Self {
        let item = self.open.take().unwrap();
        self.append(vec![Event::Sample(SampleEvent::Ended {
            item,
            outcome,
            message,
            structured,
            // About what a provider would count.
            usage: Usage { input: (self.state.context.weight(0) / 3).max(10), output: 5, ..Usage::default() },
            cost: None,
            prices: None,
            timing: Timing::default(),
            jitter,
        })])
    }

    pub(crate) fn answer_text(&mut self, text: &str, stop: StopReason) -> &mut Self {
        let message = Message { role: Role::Assistant, parts: vec![ContentPart::text(text)] };
        self.end_sample(SampleOutcome::Answered { stop }, Some(message), None, None)
    }

    /// An answer that must have a form.
    pub(crate) fn answer_read(&mut self, way: Way, reading: Reading) -> &mut Self {
        self.answer_text_read("{}", way, reading)
    }

    /// An answer of this text that must have a form.
    pub(crate) fn answer_text_read(&mut self, text: &str, way: Way, reading: Reading) -> &mut Self {
        let message = Message { role: Role::Assistant, parts: vec![ContentPart::text(text)] };
        let outcome = SampleOutcome::Answered { stop: StopReason::EndTurn };
        self.end_sample(outcome, Some(message), Some(Structured { way, reading: Some(reading) }), None)
    }

    /// A failed sample of an answer that was to have a form.
    pub(crate) fn fail_asked(&mut self, way: Way, failure: ProviderFailure) -> &mut Self {
        let structured = Structured { way, reading: None };
        self.end_sample(SampleOutcome::Failed { failure }, None, Some(structured), Some(0))
    }

    pub(crate) fn end_sample_interrupted(&mut self, partial: &str) -> &mut Self {
        let message = Message { role: Role::Assistant, parts: vec![ContentPart::text(partial)] };
        self.end_sample(SampleOutcome::Interrupted, Some(message), None, None)
    }

    pub(crate) fn fail(&mut self, failure: ProviderFailure, jitter: u16) -> &mut Self {
        self.end_sample(SampleOutcome::Failed { failure }, None, None, Some(jitter))
    }

    /// A sample whose answer makes these calls; none is judged yet.
    pub(crate) fn calls_unjudged(&mut self, calls: &[(&str, &str)]) -> &mut Self {
        self.sample();
        self.answer_calls(calls, StopReason::ToolUse)
    }

    fn answer_calls(&mut self, calls: &[(&str, &str)], stop: StopReason) -> &mut Self {
        let parts = calls.iter().enumerate().map(|(n, (name, arguments))| {
            ContentPart::ToolCall(ToolCall {
                id: format!("c{n}"),
                name: ToolName::new(*name),
                arguments: (*arguments).into(),
                wrapped: None,
            })
        });
        let message = Message { role: Role::Assistant, parts: parts.collect() };
        self.end_sample(SampleOutcome::Answered { stop }, Some(message), None, None)
    }

    /// A sample whose answer makes these calls, and their judging has begun.
    pub(crate) fn calls(&mut self, calls: &[(&str, &str)]) -> &mut Self {
        self.calls_stopped(calls, StopReason::ToolUse)
    }

    pub(crate) fn calls_stopped(&mut self, calls: &[(&str, &str)], stop: StopReason) -> &mut Self {
        self.sample();
        self.answer_calls(calls, stop);
        let effects = self.start();
        assert!(matches!(&effects[..], [Effect::Authorize { .. }]), "{effects:?}");
        self
    }

    pub(crate) fn item(&self, index: usize) -> ItemId {
        self.state.turn.as_ref().unwrap().step.calls[index].item
    }

    /// The calls that the judging under way has yet to judge.
    pub(crate) fn judging(&self) -> Vec<ItemId> {
        self.state.turn.as_ref().unwrap().authorizing.as_ref().unwrap().1.clone()
    }

    pub(crate) fn judge(&mut self, index: usize, verdict: Verdict) -> &mut Self {
        let item = self.item(index);
        self.append(vec![Event::Call(CallEvent::Authorized { item, verdict, helped: None })])
    }

    pub(crate) fn allow(&mut self, index: usize, writes: bool) -> &mut Self {
        self.judge(index, Verdict::Allow { writes, rule: "test".into() })
    }

    pub(crate) fn judge_ask(&mut self, index: usize) -> &mut Self {
        let tool = self.state.turn.as_ref().unwrap().step.calls[index].call.name.clone();
        let ask = AskKind::Permission {
            tool,
            title: "x".into(),
            detail: "x".into(),
            why: String::new(),
            rules: vec!["bash(x)".into()],
            file: None,
        };
        self.judge(index, Verdict::Ask { ask })
    }

    /// Someone is there, and the first call is a question that is open.
    pub(crate) fn question(&mut self, several: bool) -> AskId {
        self.append(vec![Event::Session(SessionEvent::Attached { audience: Audience::Terminal })]);
        self.judge_question(0, several);
        self.settle();
        self.state.turn.as_ref().unwrap().asks[0].ask
    }

    pub(crate) fn judge_question(&mut self, index: usize, several: bool) -> &mut Self {
        let option = |label: &str| Choice { label: label.into(), description: String::new() };
        let options = vec![option("red"), option("green")];
        let question = Question { question: "which?".into(), options, several };
        self.judge(index, Verdict::Ask { ask: AskKind::Question(question) })
    }

    /// The model sets itself to do this.
    pub(crate) fn todo(&mut self, text: &str) -> &mut Self {
        let items = vec![TodoItem { text: text.into(), state: TodoState::Pending }];
        let item = self.item(0);
        self.append(vec![Event::Context(ContextEvent::Todo { item, items })])
    }

    /// Someone is there, the first call needs a yes, and the ask is open.
    pub(crate) fn ask_at(&mut self, at: UnixMillis) -> AskId {
        self.append(vec![Event::Session(SessionEvent::Attached { audience: Audience::Terminal })]);
        self.clock = self.clock.max(at.0);
        self.judge_ask(0);
        self.settle();
        self.state.turn.as_ref().unwrap().asks[0].ask
    }

    pub(crate) fn answer(&mut self, ask: AskId, answer: Answer) -> &mut Self {
        self.append(vec![Event::Ask(AskEvent::Answered { ask, answer, by: Principal::Local })])
    }

    /// The allowed call starts.
    pub(crate) fn run(&mut self, index: usize) -> &mut Self {
        let item = self.item(index);
        let marker = self.state.marker(item);
        self.append(vec![Event::Call(CallEvent::Started { item, marker, before: None })])
    }

    /// By the call that ends next, the model knows this file.
    pub(crate) fn knows(&mut self, path: &str, content: Option<&str>) -> &mut Self {
        let content = content.map(ContentId::new);
        self.known.push(KnownFile { path: path.into(), content });
        self
    }

    pub(crate) fn end_call(&mut self, index: usize, text: &str) -> &mut Self {
        self.end_call_with(index, text, Vec::new(), None)
    }

    /// The call ended, and the files are as in this snapshot.
    pub(crate) fn end_call_after(&mut self, index: usize, text: &str, after: &str) -> &mut Self {
        self.end_call_with(index, text, Vec::new(), Some(SnapshotId::new(after)))
    }

    /// The snapshot under way was taken.
    pub(crate) fn snapshot(&mut self, id: &str) -> &mut Self {
        let turn = self.state.turn.as_ref().and_then(|turn| turn.snapshotting);
        let wanted = self.state.files.wanted.as_ref().and_then(|wanted| wanted.snapshotting);
        let item = turn.or(wanted).unwrap();
        self.append(vec![Event::Files(FilesEvent::Snapshot { item, id: SnapshotId::new(id) })])
    }

    pub(crate) fn end_call_wrote(&mut self, index: usize, text: &str, path: &str) -> &mut Self {
        self.end_call_with(index, text, vec![path.into()], None)
    }

    fn end_call_with(
        &mut self,
        index: usize,
        text: &str,
        wrote: Vec<String>,
        after: Option<SnapshotId>,
    ) -> &mut Self {
        let item = self.item(index);
        let result = ToolResult { call: format!("c{index}"), text: text.into(), error: false };
        let (whole, timing) = (None, None);
        let known = std::mem::take(&mut self.known);
        self.append(vec![Event::Call(CallEvent::Ended { item, result, whole, wrote, known, timing, after })])
    }

    /// The results of the last closed step.
    pub(crate) fn last_results(&self) -> Vec<String> {
        let results = |message: &Message| -> Vec<String> {
            message
                .parts
                .iter()
                .filter_map(|part| match part {
                    ContentPart::ToolResult(result) => Some(result.text.clone()),
                    _ => None,
                })
                .collect()
        };
        let messages = self.state.context.messages.iter().rev();
        messages.map(|message| results(message)).find(|results| !results.is_empty()).unwrap_or_default()
    }

    /// The text of the last message.
    pub(crate) fn last_text(&self) -> String {
        self.state.context.messages.last().map(|message| message.text()).unwrap_or_default()
    }

    /// The owner ends; another takes the session up.
    pub(crate) fn crash(&mut self, go_on: bool) -> &mut Self {
        self.append(vec![Event::Session(SessionEvent::Adopted {
            attempt: Attempt(1),
            build: "test".into(),
            root: "/r".into(),
            go_on,
        })]);
        let facts = self.state.recover(go_on, Some(&SnapshotId::new("recovered")));
        self.append_with(facts, Cause::Recovery)
    }
}
