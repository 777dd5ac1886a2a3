//! The scheduler, the process and the provider with an engine that is a script: it counts what it reads, and says the
//! alphabet over and over.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail this way")]
#![allow(clippy::disallowed_methods, reason = "tests make their own files")]

use std::path::Path;
use std::sync::{Arc, Mutex};

use codetether_local::{
    Choice, Engine, EngineError, Event, Facts, Fault, Hold, Job, Kept, Row, Scheduler, Token, Took,
    Vocabulary,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Bytes are tokens; 256 ends an answer.
const END: Token = 256;

#[derive(Default)]
struct Script {
    vocabulary: Arc<Vocabulary>,
    facts: Facts,
    sequences: Vec<Vec<Token>>,
    logits: Vec<Option<Vec<f32>>>,
    /// Rows of each reading.
    readings: Arc<Mutex<Vec<Vec<Row>>>>,
    /// How many answers' tokens come before the end.
    says: usize,
}

impl Script {
    fn new(window: usize, says: usize) -> Self {
        let mut bytes: Vec<Vec<u8>> = (0..=255_u8).map(|byte| vec![byte]).collect();
        bytes.push(Vec::new());
        let vocabulary = Vocabulary { bytes, ends: vec![END], ..Vocabulary::default() };
        let facts = Facts { id: "script".into(), window, sequences: 4, ..Facts::default() };
        let (vocabulary, sequences) = (Arc::new(vocabulary), vec![Vec::new(); 4]);
        Self { vocabulary, facts, sequences, says, ..Self::default() }
    }
}

impl Engine for Script {
    fn vocabulary(&self) -> &Arc<Vocabulary> {
        &self.vocabulary
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn tokens(&self, text: &str) -> Vec<Token> {
        text.bytes().map(Token::from).collect()
    }

    fn read(&mut self, rows: &[Row]) -> Result<(), EngineError> {
        let held: usize = self.sequences.iter().map(Vec::len).sum();
        if held + rows.len() > self.facts.window {
            return Err(EngineError::Full);
        }
        self.logits.clear();
        for row in rows {
            let sequence = &mut self.sequences[row.sequence];
            assert_eq!(sequence.len(), row.position, "a sequence goes on where it ends");
            sequence.push(row.token);
            // Lower-case letters are what it says itself: prompts have none.
            let said = sequence.iter().rev().take_while(|token| (97..=122).contains(*token)).count();
            let next = if said >= self.says { END } else { 97 + Token::try_from(said % 26).unwrap() };
            let mut logits = vec![0.0; 257];
            logits[usize::try_from(next).unwrap()] = 9.0;
            self.logits.push(row.wanted.then_some(logits));
        }
        self.readings.lock().unwrap().push(rows.to_vec());
        Ok(())
    }

    fn logits(&self, row: usize) -> Option<&[f32]> {
        self.logits.get(row)?.as_deref()
    }

    fn cut(&mut self, sequence: usize, from: usize) -> bool {
        self.sequences[sequence].truncate(from);
        true
    }

    fn copy(&mut self, from: usize, to: usize, count: usize) {
        assert!(self.sequences[to].is_empty(), "only an empty sequence is filled");
        self.sequences[to] = self.sequences[from][..count].to_vec();
    }

    fn save(&mut self, sequence: usize, tokens: &[Token], file: &Path) -> Result<(), EngineError> {
        assert_eq!(self.sequences[sequence], tokens);
        let text: Vec<String> = tokens.iter().map(Token::to_string).collect();
        std::fs::write(file, text.join(" ")).unwrap();
        Ok(())
    }

    fn load(&mut self, sequence: usize, file: &Path, most: usize) -> Result<Vec<Token>, EngineError> {
        assert!(self.sequences[sequence].is_empty(), "only an empty sequence is filled");
        let text = std::fs::read_to_string(file).unwrap();
        let tokens: Vec<Token> = text.split(' ').map(|token| token.parse().unwrap()).collect();
        assert!(tokens.len() <= most);
        self.sequences[sequence].clone_from(&tokens);
        Ok(tokens)
    }
}

struct Asked {
    events: mpsc::Receiver<Event>,
    cancel: CancellationToken,
}

fn ask(scheduler: &mut Scheduler<Script>, prompt: &str, with: impl FnOnce(&mut Job)) -> Asked {
    let (out, events) = mpsc::channel(1_024);
    let cancel = CancellationToken::new();
    let mut job = Job {
        prompt: prompt.bytes().map(Token::from).collect(),
        prefix: 0,
        most: 1_000,
        choice: Choice::default(),
        hold: None,
        cancel: cancel.clone(),
        out,
    };
    with(&mut job);
    scheduler.submit(job);
    Asked { events, cancel }
}

/// What was said, and how it ended.
fn answer(asked: &mut Asked) -> (String, Option<Event>) {
    let (mut said, mut end) = (String::new(), None);
    while let Ok(event) = asked.events.try_recv() {
        match event {
            Event::Token(token) => said.push(char::from(u8::try_from(token).unwrap())),
            Event::Reading { .. } => {}
            last => end = Some(last),
        }
    }
    (said, end)
}

fn finish(scheduler: &mut Scheduler<Script>) {
    for _ in 0..10_000 {
        if scheduler.is_idle() {
            return;
        }
        scheduler.step();
    }
    panic!("the scheduler never came to rest");
}

fn done(event: Option<Event>) -> codetether_local::Done {
    match event {
        Some(Event::Done(done)) => done,
        other => panic!("not whole: {other:?}"),
    }
}

fn scheduler(window: usize, says: usize) -> Scheduler<Script> {
    Scheduler::new(Script::new(window, says), None)
}

#[test]
fn an_answer_comes_to_its_end_and_is_counted() {
    let mut scheduler = scheduler(1_000, 3);
    let mut asked = ask(&mut scheduler, "HELLO", |_| {});
    finish(&mut scheduler);
    let (said, end) = answer(&mut asked);
    let end = done(end);
    assert_eq!(said, "abc");
    assert_eq!((end.input, end.reused, end.output, end.cut), (5, 0, 4, false));
    assert!(end.mean_log < 0.0 && end.mean_log > -0.1, "{}", end.mean_log);
}

#[test]
fn the_limit_cuts_an_answer_off() {
    let mut scheduler = scheduler(1_000, 100);
    let mut asked = ask(&mut scheduler, "HELLO", |job| job.most = 2);
    finish(&mut scheduler);
    let (said, end) = answer(&mut asked);
    assert_eq!((said.as_str(), done(end).cut), ("ab", true));
}

#[test]
fn an_answer_that_goes_round_in_a_loop_is_cut_off_long_before_its_limit() {
    let mut scheduler = scheduler(2_000, 1_000);
    let mut asked = ask(&mut scheduler, "HELLO", |_| {});
    finish(&mut scheduler);
    let (said, end) = answer(&mut asked);
    assert_eq!((said.len(), done(end).cut), (26 + 256, true));
}

#[test]
fn a_long_prompt_neither_holds_up_others_nor_a_cancel() {
    let mut scheduler = scheduler(10_000, 50);
    let mut long = ask(&mut scheduler, &"X".repeat(5_000), |_| {});
    let mut short = ask(&mut scheduler, "Y", |_| {});
    for _ in 0..60 {
        scheduler.step();
    }
    assert_eq!(answer(&mut short).0.len(), 50, "the short one is done while the long one is read");
    assert_eq!(answer(&mut long).1, None);
    let readings = scheduler.engine().readings.clone();
    let most = readings.lock().unwrap().iter().map(Vec::len).max().unwrap();
    assert!(most <= 36, "a batch has {most} rows");
    let before = readings.lock().unwrap().len();
    long.cancel.cancel();
    assert!(!scheduler.step() && scheduler.is_idle());
    assert_eq!(readings.lock().unwrap().len(), before, "nothing more is read for nobody");
}

#[test]
fn prompts_are_read_in_turn() {
    let mut scheduler = scheduler(10_000, 1);
    let _asked = ["A", "B", "C", "D"].map(|one| ask(&mut scheduler, &one.repeat(320), |_| {}));
    for _ in 0..8 {
        scheduler.step();
    }
    let readings = scheduler.engine().readings.lock().unwrap().clone();
    let order: Vec<usize> = readings.iter().map(|rows| rows[0].sequence).collect();
    assert_eq!(order, [0, 1, 2, 3, 0, 1, 2, 3]);
}

#[test]
fn what_was_read_is_not_read_again_and_a_fork_leaves_the_first_as_it_is() {
    let mut scheduler = scheduler(10_000, 3);
    let system = "S".repeat(100);
    let mut first = ask(&mut scheduler, &system, |_| {});
    finish(&mut scheduler);
    assert_eq!(done(answer(&mut first).1).reused, 0);
    // Goes on behind the answer.
    let mut second = ask(&mut scheduler, &format!("{system}abcT"), |_| {});
    // Begins like it, at the same time.
    let mut fork = ask(&mut scheduler, &format!("{system}FORK"), |_| {});
    finish(&mut scheduler);
    assert_eq!(done(answer(&mut second).1).reused, 103);
    assert_eq!(answer(&mut fork).0, "abc");
    let mut again = ask(&mut scheduler, &format!("{system}FORKabcU"), |_| {});
    finish(&mut scheduler);
    assert_eq!(done(answer(&mut again).1).reused, 107);
}

#[test]
fn more_than_there_are_sequences_wait_and_all_are_answered() {
    let mut scheduler = scheduler(10_000, 5);
    let mut asked: Vec<Asked> =
        (0..10).map(|one| ask(&mut scheduler, &format!("PROMPT {one}"), |_| {})).collect();
    finish(&mut scheduler);
    assert!(asked.iter_mut().all(|asked| answer(asked).0 == "abcde"));
}

#[test]
fn where_the_window_is_full_the_youngest_waits_and_what_can_never_fit_fails() {
    let mut scheduler = scheduler(150, 40);
    let mut asked: Vec<Asked> =
        ["A", "B", "C"].map(|one| ask(&mut scheduler, &one.repeat(40), |_| {})).into_iter().collect();
    finish(&mut scheduler);
    for asked in &mut asked {
        assert_eq!(answer(asked).0.len(), 40);
    }
    let mut long = ask(&mut scheduler, &"X".repeat(200), |_| {});
    let fault = Event::Failed(Fault::TooLong { tokens: 200, window: 150 });
    assert_eq!(answer(&mut long).1, Some(fault));
}

#[test]
fn a_slow_reader_holds_up_itself_alone() {
    let mut scheduler = scheduler(1_000, 30);
    let (out, mut events) = mpsc::channel(4);
    let mut slow = ask(&mut scheduler, "SLOW", |job| job.out = out);
    let mut fast = ask(&mut scheduler, "FAST", |_| {});
    for _ in 0..100 {
        scheduler.step();
    }
    assert_eq!(answer(&mut fast).0.len(), 30);
    assert!(!scheduler.is_idle() && !scheduler.step());
    let mut said = 0;
    while let Ok(event) = events.try_recv() {
        said += usize::from(matches!(event, Event::Token(_)));
        scheduler.step();
    }
    assert_eq!((said, scheduler.is_idle()), (30, true));
    assert_eq!(answer(&mut slow).1, None);
}

/// Lets through one text, of which all behind the first byte is forced.
struct One(Vec<Token>);

impl Hold for One {
    fn restrict(&mut self, logits: &mut [f32], _: usize) -> Result<(), String> {
        let next = *self.0.first().ok_or("nothing can come")?;
        for (token, logit) in logits.iter_mut().enumerate() {
            if Token::try_from(token) != Ok(next) {
                *logit = f32::NEG_INFINITY;
            }
        }
        Ok(())
    }

    fn forced(&mut self) -> Vec<Token> {
        self.0.clone()
    }

    fn consume(&mut self, token: Token) -> Result<Took, String> {
        if self.0.first() != Some(&token) {
            return Err("not allowed".into());
        }
        self.0.remove(0);
        Ok(Took::Taken)
    }

    fn is_done(&self) -> bool {
        self.0.is_empty()
    }

    fn is_free(&self) -> bool {
        false
    }
}

#[test]
fn an_answer_is_what_it_is_held_to_and_forced_tokens_need_no_reading_of_their_own() {
    let mut scheduler = scheduler(1_000, 3);
    let form: Vec<Token> = "{\"NAME\":1}".bytes().map(Token::from).collect();
    let mut asked = ask(&mut scheduler, "CALL", |job| job.hold = Some(Box::new(One(form))));
    finish(&mut scheduler);
    assert_eq!(answer(&mut asked).0, "{\"NAME\":1}");
    assert_eq!(scheduler.engine().readings.lock().unwrap().len(), 1);
}

#[test]
fn the_state_behind_the_prefix_is_kept_and_one_that_is_damaged_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let kept = |most| Some(Kept::new(folder.path(), "script", most));
    let prompt = format!("{}QUESTION", "S".repeat(80));
    let ask_anew = |most: u64| {
        let mut scheduler = Scheduler::new(Script::new(1_000, 3), kept(most));
        let mut asked = ask(&mut scheduler, &prompt, |job| job.prefix = 80);
        finish(&mut scheduler);
        let (said, end) = answer(&mut asked);
        assert_eq!(said, "abc");
        done(end).reused
    };
    let states = || {
        let entries = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.extension().unwrap() == "state").collect::<Vec<_>>()
    };
    assert_eq!(ask_anew(1 << 20), 0);
    assert_eq!(ask_anew(1 << 20), 80);
    let state = states().pop().unwrap();
    let mut bytes = std::fs::read(&state).unwrap();
    bytes[3] ^= 1;
    std::fs::write(&state, bytes).unwrap();
    assert_eq!(ask_anew(1 << 20), 0, "a damaged state is not used");
    assert_eq!(ask_anew(1 << 20), 80, "and was made again");
    std::fs::remove_file(&state).unwrap();
    assert_eq!(ask_anew(10), 0);
    assert_eq!(states(), [""; 0].map(std::path::PathBuf::from), "what does not fit is not kept");
}
