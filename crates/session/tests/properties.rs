//! The three properties of the pure half, on random sessions: `decide` reaches rest or a wait in bounded steps and
//! proposes nothing that is under way; any prefix of a journal recovers; the live state equals the replayed one.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;

use codetether_event::{
    Answer, AskId, AskKind, Attempt, Audience, BlobId, Brought, CallEvent, Candidate, Cause, Check,
    CheckStatus, ChildEvent, Choice, Compaction, Confinement, ContentId, ContentPart, ContextEvent,
    EgressEvent, Event, FilesEvent, Grant, HookPoint, Input, InterruptReason, ItemEvent, ItemId, KnownFile,
    Message, Mode, ModelId, OnConflict, Op, OpId, Outcome, Principal, ProcessEvent, ProcessStatus,
    ProviderFailure, ProviderFailureKind, Question, Reading, Record, ResponseFormat, Restore, Retry, Role,
    RouteRule, Routed, RoutedJob, Rung, SampleEvent, SampleOutcome, Seq, SessionEvent, SessionId, Small,
    SnapshotId, StopReason, Structured, Submission, Tier, Tiers, Timing, ToolCall, ToolName, ToolResult,
    TurnEvent, TurnSettings, UnixMillis, Usage, Verdict, Way, Which,
};
use codetether_session::{Effect, Next, Phase, State};
use proptest::prelude::*;
use uuid::Uuid;

/// A runner whose every choice comes from a list of bytes.
struct World {
    state: State,
    records: Vec<Record>,
    clock: u64,
    open: Vec<Effect>,
    choices: std::vec::IntoIter<u8>,
    ops: u128,
}

impl World {
    fn new(choices: Vec<u8>) -> Self {
        let mut world = Self {
            state: State::default(),
            records: Vec::new(),
            clock: 1,
            open: Vec::new(),
            choices: choices.into_iter(),
            ops: 0,
        };
        world.append(
            vec![Event::Session(SessionEvent::Opened {
                schema: 1,
                build: "test".into(),
                session: SessionId(Uuid::from_u128(9)),
                root: "/r".into(),
                forked: None,
                parent: None,
            })],
            Cause::Timer,
        );
        world
    }

    fn choose(&mut self, n: u8) -> u8 {
        self.choices.next().map_or(0, |choice| choice % n)
    }

    fn append(&mut self, events: Vec<Event>, cause: Cause) {
        for event in events {
            let record = Record {
                seq: self.state.next,
                attempt: Attempt(1),
                at: UnixMillis(self.clock),
                turn: self.state.turn.as_ref().map(|turn| turn.id),
                cause: cause.clone(),
                event,
            };
            let json = serde_json::to_string(&record).unwrap();
            let read: Record = serde_json::from_str(&json).unwrap();
            assert_eq!(read, record, "a record reads back as it was written");
            self.state.apply(&record);
            self.records.push(record);
        }
    }

    /// Drives until rest, a wait, or a start; every start is checked and recorded.
    fn settle(&mut self) -> Next {
        for _ in 0..64 {
            match self.state.decide() {
                Next::Append(facts) => {
                    assert!(!facts.is_empty());
                    self.append(facts, Cause::Timer);
                }
                Next::Start(effects) => {
                    assert!(!effects.is_empty());
                    for effect in effects {
                        let item = effect.item();
                        assert!(
                            self.open.iter().all(|open| open.item() != item),
                            "{item} is under way already"
                        );
                        let intent = self.state.intent(&effect);
                        self.append(vec![intent], Cause::Timer);
                        match effect {
                            Effect::Cancel { items, .. } => {
                                let open: Vec<ItemId> = self.open.iter().map(Effect::item).collect();
                                assert!(items.iter().all(|item| open.contains(item)));
                            }
                            effect => self.open.push(effect),
                        }
                    }
                }
                next => {
                    let turn = self.state.turn.as_ref();
                    let wanted = self.state.files.wanted.as_ref();
                    let wanted =
                        wanted.into_iter().flat_map(|wanted| [wanted.snapshotting, wanted.restoring]);
                    let under_way = turn.into_iter().flat_map(|turn| turn.open()).chain(wanted.flatten());
                    let under_way: Vec<ItemId> = under_way.collect();
                    let ours: Vec<ItemId> = self.open.iter().map(Effect::item).collect();
                    assert!(
                        under_way.iter().all(|item| ours.contains(item)),
                        "{under_way:?} but only {ours:?} run"
                    );
                    for open in turn.iter().flat_map(|turn| &turn.asks) {
                        let runs = turn.and_then(|turn| turn.call(open.item)).map(|call| &call.phase);
                        let waits = match open.kind {
                            AskKind::Permission { .. } | AskKind::Question(_) => {
                                runs == Some(&Phase::Asked(open.ask))
                            }
                            AskKind::Egress { .. } | AskKind::Child { .. } => runs == Some(&Phase::Running),
                        };
                        assert!(waits, "nothing waits for {open:?}");
                    }
                    if let Next::Wait { until } = next {
                        let asked = turn.is_some_and(|turn| !turn.asks.is_empty());
                        assert!(!ours.is_empty() || asked || until.is_some(), "it waits for nothing");
                    }
                    return next;
                }
            }
        }
        panic!("decide does not come to rest: {:?}", self.state.decide());
    }

    fn submit(&mut self, op: Op) {
        self.ops += 1;
        let id = OpId(Uuid::from_u128(self.ops));
        if let Ok(facts) = self.state.accept(&Submission { id, from: Principal::Local, op }) {
            self.append(facts, Cause::Op(id));
        }
    }

    fn prompt(&mut self) {
        let settings = Box::new(self.settings());
        let before = self.state.turn.is_none();
        self.submit(Op::Prompt { input: Input::text("go"), settings });
        if before && self.choose(2) == 0 {
            self.route();
        }
    }

    fn tiers(&mut self) -> Tiers {
        let candidate = |model: &str, window| Candidate {
            model: ModelId::new(model),
            embedded: false,
            window,
            images: None,
            rates: None,
        };
        let small = (self.choose(3) > 0).then(|| candidate("test/small", Some(20)));
        let heavy = (self.choose(2) == 0).then(|| candidate("test/heavy", None));
        Tiers { small, main: candidate("test/0", None), heavy }
    }

    /// As the runner does where a prompt is taken in.
    fn route(&mut self) {
        let Some(turn) = &self.state.turn else { return };
        let small = turn.settings.tiers.as_ref().and_then(|tiers| tiers.small.clone());
        let Some(Candidate { model, .. }) = small else { return };
        let routed = Routed {
            job: RoutedJob::Prompt,
            tier: Tier::Small,
            model,
            rule: RouteRule::Score,
            class: None,
            score: Some(1),
            features: BTreeMap::new(),
            rates: None,
            instead_of: None,
        };
        self.append(vec![Event::Turn(TurnEvent::Routed(Box::new(routed)))], Cause::Timer);
    }

    fn settings(&mut self) -> TurnSettings {
        TurnSettings {
            model: ModelId::new(format!("test/{}", self.choose(2))),
            mode: Mode::Ask,
            effort: None,
            max_output: None,
            temperature: None,
            max_steps: u32::from(self.choose(5)),
            max_time_ms: (self.choose(3) == 0).then_some(5_000),
            max_cost: None,
            allow_unknown_price: false,
            fallback: vec![ModelId::new("test/fallback"); usize::from(self.choose(2))],
            manners: BTreeMap::new(),
            tools: None,
            allow: Vec::new(),
            ask: Vec::new(),
            deny: Vec::new(),
            format: if self.choose(3) == 0 { ResponseFormat::Json } else { ResponseFormat::Text },
            retry: Retry { max_tries: 3, base_ms: 100, max_total_ms: 10_000 },
            replayed: false,
            confinement: Confinement::None,
            snapshots: self.choose(2) == 0,
            // Nearly nothing fits.
            compaction: (self.choose(2) == 0).then_some(Compaction { window: 30, share: 50 }),
            agent: None,
            supplement: None,
            hooks: HookPoint::ALL.into_iter().filter(|_| self.choose(3) == 0).collect(),
            check: (self.choose(2) == 0).then(|| Check {
                command: "c".into(),
                time_ms: 1,
                first: self.choose(2) == 0,
                always: self.choose(2) == 0,
                rounds: u32::from(self.choose(3)),
                tries: None,
            }),
            single: self.choose(3) == 0,
            small: (self.choose(3) == 0).then(|| {
                let models = vec![ModelId::new("test/small"), ModelId::new("test/1")];
                Box::new(Small { models, tools: vec![ToolName::new("read")] })
            }),
            tiers: (self.choose(2) == 0).then(|| Box::new(self.tiers())),
        }
    }

    /// One open effect ends, in one of the ways in which it can.
    fn end_one(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let at = usize::from(self.choose(8)) % self.open.len();
        let effect = self.open.remove(at);
        let events = match effect {
            Effect::Prepare { item, model, format, way, files, instructions, .. } => match self.choose(6) {
                0 => vec![Event::Item(ItemEvent::Failed { item, error: "x".into() })],
                _ => {
                    let turn = self.state.turn.as_ref();
                    let offered = turn.and_then(|turn| turn.settings.offered(&model));
                    let epoch = ContextEvent::Epoch {
                        item,
                        model,
                        system: BlobId::new("a"),
                        tools: BlobId::new("b"),
                        offered,
                        format,
                        way,
                        supplement: None,
                    };
                    let known = files.into_iter().map(|path| KnownFile { path, content: None }).collect();
                    let message = Message::user("shown");
                    let shown = Event::Context(ContextEvent::Shown { item, message, known, instructions });
                    [Event::Context(epoch), shown].into()
                }
            },
            Effect::Authorize { item, calls } => match self.choose(8) {
                0 => vec![Event::Item(ItemEvent::Failed { item, error: "x".into() })],
                _ => calls.into_iter().map(|item| self.verdict(item)).collect(),
            },
            Effect::Sample { item, .. } => vec![self.answer(item)],
            Effect::Run { call } if !self.has_brought(call) && self.choose(3) == 0 => self.child(call),
            Effect::Run { call } => {
                let id = self.state.turn.as_ref().unwrap().call(call).unwrap().call.id.clone();
                let text = "r".repeat(usize::from(self.choose(4)) * 300);
                vec![Event::Call(CallEvent::Ended {
                    item: call,
                    result: ToolResult { call: id, text, error: self.choose(2) == 0 },
                    whole: None,
                    wrote: Vec::new(),
                    known: self.known(),
                    timing: Some(Timing::default()),
                    after: self.snapshot(),
                })]
            }
            Effect::Snapshot { item } => match self.snapshot() {
                None => vec![Event::Item(ItemEvent::Failed { item, error: "x".into() })],
                Some(id) => vec![Event::Files(FilesEvent::Snapshot { item, id })],
            },
            Effect::Hook { item, point } => match self.choose(6) {
                0 => vec![Event::Item(ItemEvent::Failed { item, error: "x".into() })],
                n => {
                    let blocked = (n == 1).then(|| "no".to_owned());
                    let context = (n == 2).then(|| "look".to_owned());
                    let mut facts = vec![Event::Turn(TurnEvent::Hooked { item, point, blocked, context })];
                    let stops = TurnEvent::Interrupted { reason: InterruptReason::Hook("no".into()) };
                    facts.extend((n == 5).then_some(Event::Turn(stops)));
                    facts
                }
            },
            Effect::Check { item, point } => match self.choose(5) {
                0 => vec![Event::Item(ItemEvent::Failed { item, error: "x".into() })],
                n => {
                    let status = match n {
                        1 => CheckStatus::NotRun { why: "no".into() },
                        n => CheckStatus::Exited { code: i32::from(n) - 2 },
                    };
                    vec![Event::Turn(TurnEvent::Checked {
                        item,
                        point,
                        command: "c".into(),
                        passed: status.passed(),
                        status,
                        output: "o".into(),
                        left_out: 0,
                        timing: Timing::default(),
                    })]
                }
            },
            Effect::Restore { item, .. } => match self.snapshot() {
                None => vec![Event::Item(ItemEvent::Failed { item, error: "x".into() })],
                Some(after) => {
                    let (changed, kept) = (vec!["a".into()], Vec::new());
                    vec![Event::Files(FilesEvent::Restored { item, after, changed, kept })]
                }
            },
            Effect::Cancel { .. } => unreachable!("a cancel is never open"),
        };
        self.append(events, Cause::Timer);
    }

    fn has_brought(&self, call: ItemId) -> bool {
        let call = self.state.turn.as_ref().and_then(|turn| turn.call(call));
        call.and_then(|call| call.child.as_ref()).is_some_and(|child| child.ended.is_some())
    }

    /// A call starts a child, which asks something and goes on; or its child ends and has changed something.
    fn child(&mut self, item: ItemId) -> Vec<Event> {
        let session = SessionId(Uuid::from_u128(u128::from(item.seq.0)));
        let child = self.state.turn.as_ref().unwrap().call(item).unwrap().child.clone();
        let ask = AskId(Seq(7));
        if child.is_none() {
            let grant = Grant { steps: 1, time_ms: None, cost: None, writes: true };
            let (agent, task) = ("general".into(), "t".into());
            let asked =
                AskKind::Egress { target: "a:443".into(), why: String::new(), rule: "a".into(), file: None };
            self.open.push(Effect::Run { call: item });
            return vec![
                Event::Child(ChildEvent::Spawned { item, session, agent, task, grant }),
                Event::Child(ChildEvent::Asked { item, session, ask, kind: asked }),
            ];
        }
        let brought = Brought {
            session,
            text: "t".into(),
            error: false,
            before: SnapshotId::new("1"),
            after: SnapshotId::new("2"),
            paths: vec!["a".into()],
        };
        vec![
            Event::Child(ChildEvent::Settled { item, session, ask }),
            Event::Child(ChildEvent::Ended {
                item,
                session,
                outcome: Outcome::Completed,
                steps: 1,
                usage: Usage::default(),
                cost: None,
                said: None,
            }),
            Event::Child(ChildEvent::Brought { item, brought }),
        ]
    }

    fn known(&mut self) -> Vec<KnownFile> {
        let (path, content) = (self.choose(3), self.choose(4));
        let content = (content > 0).then(|| ContentId::new(content.to_string()));
        vec![KnownFile { path: path.to_string(), content }]
    }

    fn snapshot(&mut self) -> Option<SnapshotId> {
        let n = self.choose(5);
        (n > 0).then(|| SnapshotId::new(n.to_string()))
    }

    /// A wish to take back what a call changed, to do it again, or to go back in the conversation.
    fn restore(&mut self) -> Op {
        let seq = Seq(u64::from(self.choose(255)));
        let calls: Vec<ItemId> = self.state.files.changes.iter().map(|change| change.call).collect();
        let what = match self.choose(4) {
            0 => return Op::Rewind { to: seq },
            1 => Which::Redo,
            n => Which::Undo { calls: calls.into_iter().skip(usize::from(n - 2)).collect() },
        };
        let rewind = (self.choose(4) == 0).then_some(seq);
        Op::Restore(Restore { what, files: Vec::new(), conflicts: OnConflict::Keep, rewind })
    }

    fn verdict(&mut self, item: ItemId) -> Event {
        let tool = ToolName::new("bash");
        let verdict = match self.choose(7) {
            6 => {
                let option = |label: &str| Choice { label: label.into(), description: String::new() };
                let options = vec![option("a"), option("b")];
                Verdict::Ask {
                    ask: AskKind::Question(Question { question: "q".into(), options, several: false }),
                }
            }
            0 => Verdict::Deny { rule: "no".into() },
            1 => Verdict::InvalidArguments { problems: "x".into() },
            2 => Verdict::UnknownTool { offered: vec![tool] },
            3 => Verdict::Ask {
                ask: AskKind::Permission {
                    tool,
                    title: "t".into(),
                    detail: "d".into(),
                    why: String::new(),
                    rules: vec!["bash(x)".into()],
                    file: None,
                },
            },
            n => Verdict::Allow { writes: n == 4, rule: "yes".into() },
        };
        Event::Call(CallEvent::Authorized { item, verdict, helped: None })
    }

    fn answer(&mut self, item: ItemId) -> Event {
        let calls = self.choose(4);
        let parts = (0..calls).map(|n| {
            ContentPart::ToolCall(ToolCall {
                id: format!("{item}-{n}"),
                name: ToolName::new("bash"),
                arguments: "{}".into(),
                wrapped: None,
            })
        });
        let message = Message { role: Role::Assistant, parts: parts.collect() };
        let kind = match self.choose(2) {
            0 => ProviderFailureKind::Server,
            _ => ProviderFailureKind::Auth,
        };
        let way = [Way::Native, Way::Tool, Way::Json, Way::Prompt][usize::from(self.choose(4))];
        let reading = match self.choose(3) {
            0 => None,
            1 => Some(Reading::Fits { rung: Rung::Strict, value: Box::new(true.into()) }),
            _ => Some(Reading::Misfits { problem: "x".into() }),
        };
        let (outcome, message) = match self.choose(6) {
            0 => {
                let failure =
                    ProviderFailure { kind, status: None, message: "x".into(), retry_after_ms: None };
                (SampleOutcome::Failed { failure }, None)
            }
            1 => (SampleOutcome::Interrupted, None),
            _ => (SampleOutcome::Answered { stop: StopReason::EndTurn }, Some(message)),
        };
        Event::Sample(SampleEvent::Ended {
            item,
            outcome,
            message,
            structured: Some(Structured { way, reading }),
            usage: Usage::default(),
            cost: None,
            prices: None,
            timing: Timing::default(),
            jitter: Some(u16::from(self.choose(255))),
        })
    }

    /// Something happens that nobody in the session planned.
    fn happen(&mut self) {
        self.clock += u64::from(self.choose(50)) * 10;
        let ask = self.state.turn.iter().flat_map(|turn| &turn.asks).map(|open| open.ask).next();
        match self.choose(21) {
            16 => {
                let settings = (self.choose(2) == 0).then(|| Box::new(self.settings()));
                self.submit(Op::Compact { settings });
            }
            17 => {
                let model = ModelId::new("test/0");
                let tokens = u32::from(self.choose(100));
                self.submit(Op::Window { model, tokens });
            }
            18 | 19 => self.process(),
            14 | 15 => self.knock(),
            12 | 13 => {
                let op = self.restore();
                self.submit(op);
            }
            0 => self.submit(Op::Interrupt),
            1 => self.submit(Op::Steer { input: Input::text("also") }),
            2 => self.submit(Op::Attach { audience: Audience::Terminal }),
            3 => self.submit(Op::Detach),
            4 => self.clock += 6_000,
            5 | 6 => {
                if let Some(ask) = ask {
                    let answer = match self.choose(6) {
                        4 | 5 => Answer::Chosen { options: vec!["a".into()], text: None },
                        0 => Answer::Allow,
                        1 => Answer::AllowSession,
                        2 => Answer::AllowAlways,
                        _ => Answer::Deny { reason: None },
                    };
                    self.submit(Op::Answer { ask, answer });
                }
            }
            7 => {
                // The owner dies; another takes over.
                self.open.clear();
                let go_on = self.choose(2) == 0;
                self.adopt(go_on);
            }
            _ => self.end_one(),
        }
        let tick = Event::Note(codetether_event::NoteEvent::Warned { text: "tick".into() });
        self.append(vec![tick], Cause::Timer);
    }

    /// A process begins or ends in the background.
    fn process(&mut self) {
        let calls = self.state.turn.iter().flat_map(|turn| &turn.step.calls).map(|call| call.item);
        let running = self.state.processes.running.keys().copied();
        let items: Vec<ItemId> = calls.chain(running).collect();
        let at = usize::from(self.choose(4)).min(items.len().saturating_sub(1));
        let Some(item) = items.get(at).copied() else { return };
        let event = match self.choose(5) {
            0 => ProcessEvent::Exited { item, status: ProcessStatus::Code { code: 1 }, notes: Vec::new() },
            1 => ProcessEvent::Exited { item, status: ProcessStatus::Killed, notes: vec!["x".into()] },
            2 => ProcessEvent::Lost { item, why: "x".into() },
            3 => ProcessEvent::Told { item },
            _ => {
                let (command, marker) = ("x".into(), "m".into());
                ProcessEvent::Started { item, command, marker, confined: true }
            }
        };
        self.append(vec![Event::Process(event)], Cause::Timer);
    }

    /// A command of a call that runs, or ran, wants to reach something.
    fn knock(&mut self) {
        let calls = self.state.turn.iter().flat_map(|turn| &turn.step.calls).map(|call| call.item);
        let calls: Vec<ItemId> = calls.collect();
        let at = usize::from(self.choose(4)).min(calls.len().saturating_sub(1));
        let Some(item) = calls.get(at).copied() else { return };
        let denied = EgressEvent::Denied {
            item,
            target: Some(format!("h{}.example:443", self.choose(2))),
            why: "no rule names it".into(),
            rule: Some("h.example".into()),
            waits: self.choose(3) > 0,
            file: None,
            missed: 0,
        };
        self.append(vec![Event::Egress(denied)], Cause::Timer);
    }

    fn adopt(&mut self, go_on: bool) {
        let (attempt, build, root) = (Attempt(1), "test".into(), "/r".into());
        let adopted = SessionEvent::Adopted { attempt, build, root, go_on };
        self.append(vec![Event::Session(adopted)], Cause::Recovery);
        let facts = self.state.recover(go_on, Some(&SnapshotId::new("now")));
        self.append(facts, Cause::Recovery);
    }
}

fn replay(records: &[Record]) -> State {
    let mut state = State::default();
    records.iter().for_each(|record| state.apply(record));
    state
}

/// Every call that the model made has exactly one result, right after, in order.
fn check_results(state: &State) {
    let messages = &state.context.messages;
    for (at, message) in messages.iter().enumerate() {
        let calls: Vec<&str> = message.calls().map(|call| call.id.as_str()).collect();
        if calls.is_empty() {
            continue;
        }
        let next = messages.get(at + 1);
        let results: Vec<&str> = next
            .into_iter()
            .flat_map(|next| &next.parts)
            .filter_map(|part| match part {
                ContentPart::ToolResult(result) => Some(result.call.as_str()),
                _ => None,
            })
            .collect();
        let open = state.turn.is_some() && next.is_none();
        assert!(open || results == calls, "calls {calls:?}, results {results:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(300)))]

    #[test]
    fn every_session_comes_to_rest_replays_and_recovers(choices in proptest::collection::vec(any::<u8>(), 0..400), cut in any::<prop::sample::Index>()) {
        let mut world = World::new(choices);
        while world.choices.len() > 0 {
            match world.settle() {
                Next::Rest => {
                    prop_assert!(world.open.is_empty(), "at rest nothing is under way");
                    check_results(&world.state);
                    world.prompt();
                }
                _ => world.happen(),
            }
        }
        prop_assert_eq!(&replay(&world.records), &world.state);

        // Any prefix recovers, and an abandoned turn comes to rest by itself.
        let prefix = &world.records[..=cut.index(world.records.len())];
        for go_on in [true, false] {
            let mut again = World::new(Vec::new());
            again.records = prefix.to_vec();
            again.state = replay(prefix);
            again.clock = again.state.now.0 + 10;
            again.adopt(go_on);
            let next = again.settle();
            if !go_on {
                prop_assert_eq!(next, Next::Rest);
                check_results(&again.state);
            }
        }
    }
}
