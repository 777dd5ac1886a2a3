//! Tries: a turn whose check fails is taken back, files and conversation, and its prompt is made anew with more left to
//! chance. It watches the session's records and says what is to be asked of it; it waits for nothing itself.
//!
//! Each try that fails is taken back, the last one too: what no check passed is not left behind. A file that is not as the
//! try left it is somebody's; then nothing is taken back, and there is no further try.

use codetether_agent::Frame;
use codetether_config::Settings;
use codetether_event::{
    Check, ContextEvent, Event, FilesEvent, Input, ItemEvent, ItemId, LimitKind, Manner, Money, OnConflict,
    Op, OpId, Outcome, Principal, Record, Restore, SessionEvent, SessionId, Submission, Temperature,
    Tries as Which, TurnEvent, TurnId, TurnSettings, UnixMillis, Which as Changes,
};
use codetether_journal::Layout;
use codetether_session::State;

use crate::args::RunArgs;
use crate::commands::undo::live;
use crate::exit::{Exit, Failure};
use crate::facts;
use crate::run::checks;

/// How much is left to chance in all tries but the first, in hundredths.
const RAISED: u16 = 80;

/// Files that are named.
const NAMED: usize = 10;

/// The settings of a turn of `run`, with the tries that flags and settings ask for.
pub(crate) fn asked(
    args: &RunArgs,
    settings: &Settings,
    turn: TurnSettings,
) -> Result<TurnSettings, Failure> {
    let check = checks::tried(turn.check.clone(), args.tries, settings.check.tries)?;
    let tries = check.as_ref().is_some_and(|check| check.tries.is_some());
    if tries && !turn.snapshots {
        return Err(Failure::with_help(
            Exit::Usage,
            "a try that fails cannot be taken back, since `undo.enabled` is false",
            "set `-c undo.enabled=true`, or leave out `--tries` and `check.tries`",
        ));
    }
    Ok(TurnSettings { check, ..turn })
}

/// Whether tries after the first are made with more left to chance: not where a flag says how much, nor with models that
/// reason, which seldom take such a number.
pub(crate) fn raised(args: &RunArgs, settings: &Settings, turn: &TurnSettings) -> bool {
    let reasons = facts::facts(settings, &turn.model).and_then(|facts| facts.reasoning) == Some(true);
    args.turn.temperature.is_none() && !reasons
}

/// What comes of a frame.
pub(crate) enum Act {
    /// The user should know this.
    Say(String),
    /// This is to be asked of the session.
    Post(Op),
    /// Another try has begun.
    Begun(TurnId),
    /// There is no further try: the run ends so.
    Ended(Outcome),
}

/// How far the tries have come.
pub(crate) struct Tries {
    state: State,
    layout: Layout,
    raised: bool,
    /// The try under way, or the last one.
    turn: Option<TurnId>,
    /// What is made anew.
    prompt: Option<(Input, Box<TurnSettings>)>,
    /// When the first one began, and what the session had cost by then.
    since: Option<(UnixMillis, Money)>,
    stage: Stage,
    /// Whether someone wants it to stop.
    stopped: bool,
    /// What was not taken back, because somebody changed it.
    kept: Vec<String>,
    /// What the process before left undone, until it is taken up.
    left: Option<Left>,
}

/// A try that failed, and how far it has been taken back.
#[derive(Clone)]
struct Left {
    outcome: Outcome,
    begun: bool,
    rewound: bool,
}

/// The last turn and its settings, where it was a try that failed and has no successor, since the process that made it
/// ended in between.
pub(crate) fn cut_short(past: &[Record], layout: &Layout) -> Option<(TurnId, TurnSettings)> {
    let tries = Tries::new(past, layout.clone(), false);
    let which = tries.which()?;
    let left = tries.left.as_ref()?;
    if left.rewound && which.number >= which.most {
        return None;
    }
    Some((tries.turn?, (*tries.prompt?.1).clone()))
}

enum Stage {
    Trying,
    /// The try that ended so is being taken back.
    TakingBack(Outcome),
    Prompting,
}

impl Tries {
    /// Of a session that has this behind it.
    pub(crate) fn new(past: &[Record], layout: Layout, raised: bool) -> Self {
        let mut tries = Self {
            state: State::default(),
            layout,
            raised,
            turn: None,
            prompt: None,
            since: None,
            stage: Stage::Trying,
            stopped: false,
            kept: Vec::new(),
            left: None,
        };
        for record in past {
            tries.learn(record);
            tries.state.apply(record);
            tries.leave(record);
        }
        tries
    }

    /// The turn that is the first of them here.
    pub(crate) fn begin(&mut self, turn: TurnId) {
        self.turn = Some(turn);
    }

    /// There is to be no further try.
    pub(crate) fn stop(&mut self) {
        self.stopped = true;
    }

    /// Remembers how far the last turn came, if it was a try that failed.
    fn leave(&mut self, record: &Record) {
        match (&record.event, &mut self.left) {
            (Event::Turn(TurnEvent::Started { .. } | TurnEvent::Compacting { .. }), left) => {
                (self.turn, *left) = (Some(TurnId(record.seq)), None);
                self.kept.clear();
            }
            (Event::Turn(TurnEvent::Ended { outcome }), left) => {
                let missed = is_a_miss(outcome).then(|| outcome.clone());
                *left = missed.map(|outcome| Left { outcome, begun: false, rewound: false });
            }
            (Event::Files(FilesEvent::Restoring { .. }), Some(left)) => left.begun = true,
            (Event::Files(FilesEvent::Restored { kept, .. }), Some(_)) => self.kept.clone_from(kept),
            (Event::Context(ContextEvent::Rewound { .. }), Some(left)) => left.rewound = true,
            _ => {}
        }
    }

    /// Goes on with what the process before left undone.
    fn go_on(&mut self, left: Left, session: SessionId) -> Vec<Act> {
        let Left { outcome, begun, rewound } = left;
        if !begun && !rewound {
            return self.ended(&outcome, session);
        }
        self.stage = Stage::TakingBack(outcome.clone());
        // What was begun, the session ends by itself.
        if rewound { self.taken_back(outcome) } else { Vec::new() }
    }

    /// Remembers what the last turn was asked.
    fn learn(&mut self, record: &Record) {
        if let Event::Turn(TurnEvent::Started { input, settings, .. }) = &record.event {
            self.since.get_or_insert((record.at, self.state.ledger.cost));
            let first =
                settings.check.as_ref().and_then(|check| check.tries).is_none_or(|tries| tries.number == 1);
            if first {
                self.since = Some((record.at, self.state.ledger.cost));
                self.prompt = Some((input.clone(), settings.clone()));
            } else if let Some((_, prompt)) = &mut self.prompt {
                // Limits and chance are counted from those of the first.
                prompt.check.clone_from(&settings.check);
            }
        }
    }

    pub(crate) fn see(&mut self, frame: &Frame, session: SessionId) -> Vec<Act> {
        let Frame::Record(record) = frame else { return Vec::new() };
        self.learn(record);
        self.state.apply(record);
        match (&record.event, &self.stage) {
            (Event::Session(SessionEvent::Adopted { go_on: true, .. }), Stage::Trying) => {
                let left = self.left.take();
                left.map(|left| self.go_on(left, session)).unwrap_or_default()
            }
            (Event::Turn(TurnEvent::Ended { outcome }), Stage::Trying) if record.turn == self.turn => {
                self.ended(outcome, session)
            }
            (Event::Files(FilesEvent::Restored { kept, .. }), Stage::TakingBack(_)) => {
                self.kept.clone_from(kept);
                Vec::new()
            }
            (Event::Item(ItemEvent::Failed { error, .. }), Stage::TakingBack(outcome)) => {
                vec![
                    Act::Say(format!("the try could not be taken back: {error}")),
                    Act::Ended(outcome.clone()),
                ]
            }
            (Event::Context(ContextEvent::Rewound { .. }), Stage::TakingBack(outcome)) => {
                let outcome = outcome.clone();
                self.taken_back(outcome)
            }
            (Event::Turn(TurnEvent::Started { .. }), Stage::Prompting) => {
                let turn = TurnId(record.seq);
                (self.turn, self.stage) = (Some(turn), Stage::Trying);
                vec![Act::Begun(turn)]
            }
            _ => Vec::new(),
        }
    }

    /// Which try the last turn was; nothing where there is to be one alone.
    fn which(&self) -> Option<Which> {
        self.check()?.tries
    }

    fn check(&self) -> Option<&Check> {
        self.prompt.as_ref()?.1.check.as_ref()
    }

    /// A try ended: it is taken back if it failed in a way that chance may mend.
    fn ended(&mut self, outcome: &Outcome, session: SessionId) -> Vec<Act> {
        let Some(tries) = self.which().filter(|_| is_a_miss(outcome) && !self.stopped) else {
            return vec![Act::Ended(outcome.clone())];
        };
        let Some(turn) = self.turn else { return vec![Act::Ended(outcome.clone())] };
        let give_up = |why: String| {
            let text =
                format!("{}: {why}; it stays as it is, and there is no further try", missed(tries, outcome));
            vec![Act::Say(text), Act::Ended(outcome.clone())]
        };
        let changes = self.state.files.changes.iter().filter(|change| change.turn == turn);
        let calls: Vec<ItemId> = changes.map(|change| change.call).collect();
        let op = if calls.is_empty() {
            Op::Rewind { to: turn.0 }
        } else {
            match live::conflicts(&self.layout, session, &calls) {
                Ok(conflicts) if conflicts.is_empty() => {}
                Ok(conflicts) => {
                    return give_up(format!("someone else has changed {} meanwhile", named(&conflicts)));
                }
                Err(failure) => return give_up(failure.message()),
            }
            let what = Changes::Undo { calls };
            let (conflicts, rewind) = (OnConflict::Keep, Some(turn.0));
            Op::Restore(Restore { what, files: Vec::new(), conflicts, rewind })
        };
        // It is asked first, since what is posted and refused would never be heard of.
        let wish = Submission { id: OpId(uuid::Uuid::nil()), from: Principal::Local, op };
        if let Err(refused) = self.state.accept(&wish) {
            return give_up(refused.to_string());
        }
        self.stage = Stage::TakingBack(outcome.clone());
        vec![Act::Say(format!("{}; it is taken back", missed(tries, outcome))), Act::Post(wish.op)]
    }

    /// A try was taken back: the next one begins, or there is none.
    fn taken_back(&mut self, outcome: Outcome) -> Vec<Act> {
        if !self.kept.is_empty() {
            let text = format!(
                "someone else has changed {} meanwhile; that stays as it is, and there is no further try",
                named(&self.kept)
            );
            return vec![Act::Say(text), Act::Ended(outcome)];
        }
        if self.stopped {
            return vec![Act::Ended(Outcome::Interrupted)];
        }
        let Some(tries) = self.which() else { return vec![Act::Ended(outcome)] };
        if tries.number >= tries.most {
            let text = format!(
                "no try of {} passed the check: the files are as they were before the first; `codetether redo` has the last \
                 one again",
                tries.most
            );
            return vec![Act::Say(text), Act::Ended(outcome)];
        }
        let next = match self.next(tries) {
            Ok(next) => next,
            Err(limit) => return vec![Act::Ended(Outcome::LimitReached { limit })],
        };
        let Some((input, settings)) = next else { return vec![Act::Ended(outcome)] };
        self.stage = Stage::Prompting;
        vec![Act::Post(Op::Prompt { input, settings })]
    }

    /// The prompt of the next try. Limits of time and money hold over all of them.
    fn next(&self, tries: Which) -> Result<Option<(Input, Box<TurnSettings>)>, LimitKind> {
        let Some((input, first)) = &self.prompt else { return Ok(None) };
        let mut settings = first.clone();
        if let Some((since, cost)) = self.since {
            let took = self.state.now.since(since);
            settings.max_time_ms = match settings.max_time_ms {
                Some(most) => Some(most.checked_sub(took).filter(|left| *left > 0).ok_or(LimitKind::Time)?),
                None => None,
            };
            let spent = self.state.ledger.cost - cost;
            settings.max_cost = match settings.max_cost {
                Some(most) if spent >= most => return Err(LimitKind::Cost),
                most => most.map(|most| most - spent),
            };
        }
        if self.raised {
            let raise = |now: Option<Temperature>| {
                let raised = Temperature::try_from(f64::from(RAISED) / 100.0).ok();
                now.max(raised)
            };
            settings.temperature = raise(settings.temperature);
            for Manner { temperature, .. } in settings.manners.values_mut() {
                *temperature = raise(*temperature);
            }
        }
        let next = Which { number: tries.number.saturating_add(1), ..tries };
        if let Some(check) = &mut settings.check {
            check.tries = Some(next);
        }
        Ok(Some((input.clone(), settings)))
    }
}

/// Whether a try failed in a way that chance may mend: what a limit of money or time, a person or the provider ended is none.
fn is_a_miss(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::CheckFailed { status } => !matches!(status, codetether_event::CheckStatus::NotRun { .. }),
        Outcome::LimitReached { limit } => {
            matches!(limit, LimitKind::Steps | LimitKind::NoProgress | LimitKind::Output)
        }
        Outcome::Misfit { .. } => true,
        Outcome::Completed
        | Outcome::Interrupted
        | Outcome::ProviderFailed { .. }
        | Outcome::Failed { .. }
        | Outcome::Blocked { .. } => false,
    }
}

fn missed(tries: Which, outcome: &Outcome) -> String {
    let why = match outcome {
        Outcome::CheckFailed { status } => format!("the check {status}"),
        Outcome::LimitReached { limit: LimitKind::Steps } => "the limit of steps was reached".to_owned(),
        Outcome::LimitReached { limit: LimitKind::NoProgress } => "the model went in circles".to_owned(),
        Outcome::LimitReached { .. } => "the answer was cut".to_owned(),
        _ => "the answer does not fit its schema".to_owned(),
    };
    format!("try {} of {}: {why}", tries.number, tries.most)
}

fn named(files: &[String]) -> String {
    let names: Vec<String> = files.iter().take(NAMED).map(|file| format!("`{file}`")).collect();
    let more = files.len().saturating_sub(NAMED);
    if more == 0 { names.join(", ") } else { format!("{} and {more} more", names.join(", ")) }
}
