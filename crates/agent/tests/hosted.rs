//! Sessions hosted in process, on a provider that answers from a list: the runner, the gate, subscriptions.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use codetether_agent::{Cursor, Frame, Hosted, Opening, Parts, Purse};
use codetether_builtin::{Builtin, Shell};
use codetether_event::{
    Answer, AskEvent, AskId, Audience, CallEvent, Confinement, ContentPart, Event, Input, Message, Mode,
    ModelId, Op, Outcome, Piece, Principal, ProcessEvent, ProcessStatus, ProviderFailure, Record, Retry,
    Role, Seq, StopReason, ToolCall, ToolName, TurnEvent, TurnSettings, Usage,
};
use codetether_files::BlobStore;
use codetether_journal::{Journals, Layout};
use codetether_provider::{
    BoxFuture, Cancel, Dialogue, Epoch, Listed, Provider, SampleError, SampleSpec, Sampled,
};
use codetether_secret::{Redactor, Secret};
use codetether_tool::Limits;

type Script = Arc<Mutex<VecDeque<Step>>>;

/// One answer of the scripted model.
enum Step {
    Say(&'static str),
    Call(Vec<(&'static str, String)>),
    /// Says something and then waits for ever.
    Hang(&'static str),
}

struct Scripted(Script);

impl Provider for Scripted {
    fn dialogue(&self, epoch: &Epoch) -> Box<dyn Dialogue> {
        assert!(!epoch.system.is_empty());
        Box::new(Talk { script: self.0.clone(), said: 0 })
    }

    fn models(&self) -> BoxFuture<'_, Result<Vec<Listed>, ProviderFailure>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

struct Talk {
    script: Script,
    said: usize,
}

impl Dialogue for Talk {
    fn most_input(&self) -> u64 {
        0
    }

    fn way(&self) -> Option<codetether_event::Way> {
        None
    }

    fn push(&mut self, _: &Message, _: &BlobStore) -> Result<(), codetether_files::Error> {
        self.said += 1;
        Ok(())
    }

    fn sample<'a>(
        &'a mut self,
        _: &'a SampleSpec,
        out: &'a mut (dyn FnMut(Piece) + Send),
        cancel: &'a Cancel,
    ) -> BoxFuture<'a, Result<Sampled, SampleError>> {
        Box::pin(async move {
            assert!(self.said > 0, "a request has messages");
            let step = self.script.lock().unwrap().pop_front().expect("the script has a step left");
            let usage = Usage { input: 10, output: 2, ..Usage::default() };
            let (parts, stop) = match step {
                Step::Say(text) => {
                    out(Piece::Text(text.into()));
                    (vec![ContentPart::text(text)], StopReason::EndTurn)
                }
                Step::Call(calls) => {
                    let calls = calls.into_iter().enumerate().map(|(n, (name, arguments))| {
                        ContentPart::ToolCall(ToolCall {
                            id: format!("c{n}"),
                            name: ToolName::new(name),
                            arguments,
                            wrapped: None,
                        })
                    });
                    (calls.collect(), StopReason::ToolUse)
                }
                Step::Hang(text) => {
                    out(Piece::Text(text.into()));
                    cancel.cancelled().await;
                    let partial =
                        Some(Message { role: Role::Assistant, parts: vec![ContentPart::text(text)] });
                    return Err(SampleError::Interrupted { partial, usage });
                }
            };
            Ok(Sampled { message: Message { role: Role::Assistant, parts }, structured: None, stop, usage })
        })
    }
}

struct Place {
    dir: tempfile::TempDir,
    script: Script,
}

impl Place {
    fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        codetether_files::create_dir_all(dir.path().join("project")).unwrap();
        Self { dir, script: Arc::new(Mutex::new(steps.into_iter().collect())) }
    }

    fn project(&self) -> PathBuf {
        self.dir.path().join("project")
    }

    fn layout(&self) -> Layout {
        Layout::new(self.dir.path().join("data"))
    }

    fn opening(&self, audience: Option<Audience>) -> Opening {
        let script = self.script.clone();
        Opening {
            layout: self.layout(),
            journals: Journals::start().unwrap(),
            parts: Parts {
                tools: Arc::new(Builtin::new(Shell::Bare)),
                purse: Purse::new(Arc::new(|_| None), self.dir.path().join("ledger.sqlite")),
                providers: Arc::new(move |_| Ok(Arc::new(Scripted(script.clone())) as Arc<dyn Provider>)),
                instructions: None,
                environment: Arc::new(codetether_sandbox::environment(std::env::vars_os(), [])),
                limits: Limits::default(),
                tool_room: 6_000,
                redactor: Arc::new(Redactor::new([Secret::from("sk-a-known-key".to_owned())])),
                home: None,
                confine: None,
                audit: None,
                memory: None,
                hooks: Arc::default(),
                rule_file: None,
                children: None,
            },
            audience,
            build: "test".into(),
        }
    }
}

fn settings(mode: Mode) -> TurnSettings {
    TurnSettings {
        model: ModelId::new("test/scripted"),
        mode,
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
        format: codetether_event::ResponseFormat::Text,
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

async fn prompt(hosted: &Hosted, mode: Mode) {
    let op = Op::Prompt { input: Input::text("go"), settings: Box::new(settings(mode)) };
    hosted.submit(Principal::Local, op).await.unwrap();
}

/// Frames until the turn ends; each open ask gets the answer.
async fn watch(hosted: &Hosted, answer: Option<Answer>) -> Vec<Arc<Record>> {
    let mut records = Vec::new();
    let mut subscription = hosted.subscribe(Cursor { after: hosted.opened_after(), open: Vec::new() });
    while let Some(frame) = subscription.next().await.unwrap() {
        let Frame::Record(record) = frame else { continue };
        records.push(record.clone());
        match (&record.event, &answer) {
            (Event::Turn(TurnEvent::Ended { .. }), _) => break,
            (Event::Ask(AskEvent::Opened { .. }), Some(answer)) => {
                let op = Op::Answer { ask: AskId(record.seq), answer: answer.clone() };
                hosted.submit(Principal::Local, op).await.unwrap();
            }
            _ => {}
        }
    }
    records
}

fn outcome(records: &[Arc<Record>]) -> &Outcome {
    match &records.last().unwrap().event {
        Event::Turn(TurnEvent::Ended { outcome }) => outcome,
        event => panic!("{event:?}"),
    }
}

fn results(records: &[Arc<Record>]) -> Vec<String> {
    records
        .iter()
        .filter_map(|record| match &record.event {
            Event::Call(CallEvent::Ended { result, .. }) => Some(result.text.clone()),
            _ => None,
        })
        .collect()
}

fn bash(command: &str) -> Step {
    Step::Call(vec![("bash", serde_json::json!({ "command": command }).to_string())])
}

#[tokio::test]
async fn a_turn_runs_to_its_end_and_its_journal_folds_to_rest() {
    let place = Place::new([bash("echo hello > made; cat made"), Step::Say("done")]);
    let hosted = place.opening(None).create(place.project()).await.unwrap();
    let id = hosted.id();
    prompt(&hosted, Mode::Bypass).await;
    let records = watch(&hosted, None).await;
    assert_eq!(outcome(&records), &Outcome::Completed);
    assert_eq!(results(&records), ["hello\n"]);
    hosted.close().await.unwrap();
    let kept = codetether_journal::read::<Event>(place.layout().journal(id)).unwrap().records;
    assert_eq!(kept.iter().collect::<Vec<_>>(), records.iter().map(|record| &**record).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_ask_is_answered_once_and_always_is_remembered() {
    let place = Place::new([bash("date"), bash("date"), Step::Say("done")]);
    let hosted = place.opening(Some(Audience::Terminal)).create(place.project()).await.unwrap();
    prompt(&hosted, Mode::Ask).await;
    let records = watch(&hosted, Some(Answer::AllowSession)).await;
    let asks =
        records.iter().filter(|record| matches!(record.event, Event::Ask(AskEvent::Opened { .. }))).count();
    assert_eq!((asks, outcome(&records)), (1, &Outcome::Completed));
}

#[tokio::test]
async fn a_known_key_does_not_pass_the_gate() {
    let place = Place::new([bash("echo sk-a-known-key"), Step::Say("done")]);
    let hosted = place.opening(None).create(place.project()).await.unwrap();
    prompt(&hosted, Mode::Bypass).await;
    assert_eq!(results(&watch(&hosted, None).await), ["[redacted]\n"]);
}

#[tokio::test]
async fn an_interrupt_ends_the_stream_and_a_late_reader_sees_it_whole() {
    let place = Place::new([Step::Hang("half a sen")]);
    let hosted = place.opening(None).create(place.project()).await.unwrap();
    prompt(&hosted, Mode::Bypass).await;
    let mut early = hosted.subscribe(Cursor::default());
    while let Some(frame) = early.next().await.unwrap() {
        if matches!(&frame, Frame::Delta(delta) if delta.piece.text() == "half a sen") {
            break;
        }
    }
    let mut late = hosted.subscribe(Cursor::default());
    let mut texts = String::new();
    loop {
        match late.next().await.unwrap().unwrap() {
            Frame::Delta(delta) => texts.push_str(delta.piece.text()),
            Frame::CaughtUp(_) => break,
            Frame::Record(_) => {}
        }
    }
    assert_eq!(texts, "half a sen");
    hosted.submit(Principal::Local, Op::Interrupt).await.unwrap();
    assert_eq!(outcome(&watch(&hosted, None).await), &Outcome::Interrupted);
    hosted.close().await.unwrap();
}

#[tokio::test]
async fn a_session_is_owned_by_one_and_forks_keep_the_past() {
    let place = Place::new([Step::Say("one"), Step::Say("two")]);
    let first = place.opening(None).create(place.project()).await.unwrap();
    let id = first.id();
    prompt(&first, Mode::Ask).await;
    watch(&first, None).await;
    let held = place.opening(None).resume(id, None, false).await.err().unwrap().to_string();
    assert!(held.contains("in use by"), "{held}");
    let fork = place.opening(None).fork(id, None, None).await.unwrap();
    assert_ne!(fork.id(), id);
    prompt(&fork, Mode::Ask).await;
    assert_eq!(outcome(&watch(&fork, None).await), &Outcome::Completed);
    let kept = codetether_journal::read::<Event>(place.layout().journal(fork.id())).unwrap().records;
    let said: Vec<String> = kept
        .iter()
        .filter_map(|record| match &record.event {
            Event::Sample(codetether_event::SampleEvent::Ended { message, .. }) => {
                Some(message.clone()?.text())
            }
            _ => None,
        })
        .collect();
    assert_eq!(said, ["one", "two"]);
}

#[tokio::test]
async fn reads_of_one_answer_run_side_by_side_and_results_keep_their_order() {
    let place = Place::new([
        Step::Call(vec![
            ("read", r#"{"path":"b"}"#.into()),
            ("list", "{}".into()),
            ("read", r#"{"path":"a"}"#.into()),
        ]),
        Step::Say("done"),
    ]);
    for name in ["a", "b"] {
        let options = codetether_files::WriteOptions::default();
        codetether_files::write_atomic(place.project().join(name), name.as_bytes(), &options).unwrap();
    }
    let hosted = place.opening(None).create(place.project()).await.unwrap();
    prompt(&hosted, Mode::Plan).await;
    let records = watch(&hosted, None).await;
    let kinds: Vec<&str> = records
        .iter()
        .filter_map(|record| match record.event {
            Event::Call(CallEvent::Started { .. }) => Some("start"),
            Event::Call(CallEvent::Ended { .. }) => Some("end"),
            _ => None,
        })
        .collect();
    assert_eq!(kinds, ["start", "start", "start", "end", "end", "end"]);
    let kept = records.iter().filter_map(|record| match &record.event {
        Event::Sample(codetether_event::SampleEvent::Ended { message, .. }) => message.as_ref(),
        _ => None,
    });
    let calls: Vec<String> = kept.flat_map(|message| message.calls()).map(|call| call.id.clone()).collect();
    assert_eq!(calls, ["c0", "c1", "c2"]);
}

#[tokio::test]
async fn a_session_with_facts_of_a_newer_build_is_read_only() {
    let place = Place::new([Step::Say("one")]);
    let hosted = place.opening(None).create(place.project()).await.unwrap();
    let id = hosted.id();
    prompt(&hosted, Mode::Ask).await;
    watch(&hosted, None).await;
    hosted.close().await.unwrap();
    let journals = Journals::start().unwrap();
    let mut opened = journals.open::<Event>(&place.layout(), id, "test").unwrap();
    let mut record = opened.records.last().unwrap().clone();
    record.seq = Seq(record.seq.0 + 1);
    record.event = serde_json::from_str(r#"{"type":"swarm.planned","n":1}"#).unwrap();
    opened.handle.append(&[record], codetether_journal::Durable::Written).await.unwrap();
    drop(opened);
    let refused = place.opening(None).resume(id, None, false).await.err().unwrap().to_string();
    assert!(refused.contains("newer version"), "{refused}");
}

#[tokio::test]
async fn what_a_call_changed_is_taken_back_and_the_journal_knows() {
    let place = Place::new([bash("echo hello > made; rm old"), Step::Say("done"), Step::Say("again")]);
    codetether_files::write_atomic(place.project().join("old"), b"old", &<_>::default()).unwrap();
    let mut opening = place.opening(None);
    let memory = |name: &str| place.dir.path().join(name);
    opening.parts.memory = Some(codetether_agent::Memory {
        store: memory("undo"),
        leases: memory("leases"),
        max_bytes: 1 << 30,
        excludes: Vec::new(),
    });
    let hosted = opening.create(place.project()).await.unwrap();
    let settings = TurnSettings { snapshots: true, ..settings(Mode::Bypass) };
    let op = Op::Prompt { input: Input::text("go"), settings: Box::new(settings) };
    hosted.submit(Principal::Local, op).await.unwrap();
    let records = watch(&hosted, None).await;
    assert_eq!(outcome(&records), &Outcome::Completed);
    let call = records.iter().find_map(|record| match &record.event {
        Event::Call(CallEvent::Started { item, before: Some(_), .. }) => Some(*item),
        _ => None,
    });

    let what = codetether_event::Which::Undo { calls: vec![call.unwrap()] };
    let conflicts = codetether_event::OnConflict::Keep;
    let wish = codetether_event::Restore { what, files: Vec::new(), conflicts, rewind: None };
    let mut subscription = hosted.subscribe(Cursor { after: records.last().unwrap().seq, open: Vec::new() });
    hosted.submit(Principal::Local, Op::Restore(wish)).await.unwrap();
    loop {
        let Some(Frame::Record(record)) = subscription.next().await.unwrap() else { continue };
        if let Event::Files(codetether_event::FilesEvent::Restored { changed, kept, .. }) = &record.event {
            assert_eq!(
                (changed.as_slice(), kept.len()),
                (["made".to_owned(), "old".to_owned()].as_slice(), 0)
            );
            break;
        }
    }
    assert!(!place.project().join("made").exists());
    assert_eq!(std::fs::read_to_string(place.project().join("old")).unwrap(), "old");
    hosted.close().await.unwrap();
}

#[tokio::test]
async fn what_runs_in_the_background_outlives_a_turn_that_is_stopped_but_not_the_session() {
    let background = serde_json::json!({ "command": "exec sleep 600", "background": true });
    let list = serde_json::json!({ "action": "list" });
    let place = Place::new([
        Step::Call(vec![("bash", background.to_string())]),
        Step::Hang("half"),
        Step::Call(vec![("process", list.to_string())]),
        Step::Say("done"),
    ]);
    let hosted = place.opening(None).create(place.project()).await.unwrap();
    let id = hosted.id();
    prompt(&hosted, Mode::Bypass).await;
    let mut reader = hosted.subscribe(Cursor::default());
    while let Some(frame) = reader.next().await.unwrap() {
        if matches!(&frame, Frame::Delta(delta) if delta.piece.text() == "half") {
            break;
        }
    }
    hosted.submit(Principal::Local, Op::Interrupt).await.unwrap();
    assert_eq!(outcome(&watch(&hosted, None).await), &Outcome::Interrupted);
    prompt(&hosted, Mode::Bypass).await;
    hosted.close().await.unwrap();
    let kept = codetether_journal::read::<Event>(place.layout().journal(id)).unwrap().records;
    let kept: Vec<Arc<Record>> = kept.into_iter().map(Arc::new).collect();
    let results = results(&kept);
    assert!(results[1].contains(": `exec sleep 600` runs for "), "{results:?}");
    let last = &kept.last().unwrap().event;
    assert!(
        matches!(last, Event::Process(ProcessEvent::Exited { status: ProcessStatus::Closed, .. })),
        "{last:?}"
    );
}
