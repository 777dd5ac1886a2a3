//! Watching a turn to its end: what it says is printed, what it asks is put to the user, signals stop it.

use std::time::Instant;

use codetether_agent::{Frame, Hosted, Subscription};
use codetether_event::{
    AskEvent, AskId, AskKind, CheckStatus, Confinement, Event, LimitKind, ModelId, Op, Outcome, Principal,
    ProviderFailure, RoutedJob, SampleEvent, SessionId, TurnEvent, TurnId,
};
use codetether_files::WriteOptions;

use crate::args::RunArgs;
use crate::exit::{Exit, Failure};
use crate::printer;
use crate::printer::Output;
use crate::run::asks::Asks;
use crate::run::cure;
use crate::run::figures::Figures;
use crate::run::progress::{self, Progress};
use crate::run::signals::Signals;
use crate::run::tries::{Act, Tries};
use crate::run::view::View;
use crate::run::window::Probe;

/// Why a session ended before its turn did.
pub(crate) async fn ended_early(hosted: Hosted) -> Failure {
    match hosted.close().await {
        Err(error) => error.into(),
        Ok(()) => Failure::new(Exit::Failed, "the session ended before its turn did"),
    }
}

pub(crate) struct Run<'a> {
    pub(crate) args: &'a RunArgs,
    pub(crate) hosted: Hosted,
    pub(crate) turn: TurnId,
    pub(crate) model: ModelId,
    /// The agent, where it is not the usual one.
    pub(crate) agent: Option<String>,
    /// What holds commands in.
    pub(crate) confinement: Confinement,
    /// The models that the user's settings name.
    pub(crate) named: Vec<ModelId>,
    /// Whether the last answer must have a form.
    pub(crate) formed: bool,
    pub(crate) started: Instant,
    /// Whether a person is there to answer.
    pub(crate) attended: bool,
    pub(crate) figures: Figures,
    pub(crate) window: Probe,
    pub(crate) tries: Tries,
}

/// How watching a turn ended.
enum Seen {
    Ended(Outcome),
    /// A second signal came.
    Left,
    /// Standard output cannot be written.
    Unprinted,
    /// The session is no longer hosted, or cannot be watched any more.
    Gone(Option<Failure>),
}

impl Run<'_> {
    /// Watches the turn to its end. Nothing here waits for anything but the next thing to happen, so that a signal is
    /// heard at any time.
    pub(crate) async fn watch(
        mut self,
        mut subscription: Subscription,
        signals: &mut Signals,
    ) -> Result<Exit, Failure> {
        let mut view = View::new(self.args.format, self.formed, self.figures.summing);
        let mut progress = Progress::new(!self.args.quiet, self.hosted.id());
        progress.announce(&self.model, self.agent.as_deref(), self.confinement);
        let mut asks = Asks::new(self.attended);
        let mut output = Output::start();
        let mut text = String::new();
        let mut ended = None;
        let mut tick = tokio::time::interval(progress::TICK);
        let seen = loop {
            if text.is_empty()
                && let Some(outcome) = ended.take()
            {
                break Seen::Ended(outcome);
            }
            tokio::select! {
                biased;
                () = signals.next() => {
                    if signals.seen > 1 {
                        break Seen::Left;
                    }
                    progress.say("stopping; once more to leave at once");
                    self.tries.stop();
                    self.post(Op::Interrupt);
                }
                printing = output.hand_over(&mut text), if !text.is_empty() => if !printing {
                    break Seen::Unprinted;
                },
                heard = self.window.heard(), if self.window.is_open() => heard.into_iter().for_each(|op| self.post(op)),
                (ask, answer) = asks.next() => self.post(Op::Answer { ask, answer }),
                frame = subscription.next(), if text.is_empty() => {
                    let frame = match frame {
                        Ok(Some(frame)) => frame,
                        Ok(None) => break Seen::Gone(None),
                        Err(error) => break Seen::Gone(Some(error.into())),
                    };
                    self.figures.see(&frame, self.turn);
                    if let Some(model) = fell_back(&frame) {
                        self.model = model;
                    }
                    progress.see(&frame);
                    if let Err(failure) = view.see(&frame, &mut text) {
                        break Seen::Gone(Some(failure));
                    }
                    if view.is_broken() && is_retry(&frame) {
                        progress.say("the answer broke off; asking for it again");
                    }
                    for act in self.tries.see(&frame, self.hosted.id()) {
                        match act {
                            Act::Say(text) => progress.say(&printer::plain(&text)),
                            Act::Post(op) => self.post(op),
                            Act::Begun(turn) => {
                                self.turn = turn;
                                self.figures.anew();
                                self.figures.see(&frame, turn);
                            }
                            Act::Ended(outcome) => ended = Some(outcome),
                        }
                    }
                    match step(&frame) {
                        Step::Asked(ask, kind) => {
                            progress.clear();
                            asks.open(ask, kind);
                        }
                        Step::Withdrawn(ask) => asks.withdraw(ask),
                        Step::Else => {}
                    }
                }
                _ = tick.tick(), if progress.is_shown() => progress.tick(),
            }
            progress.hold(asks.is_open());
        };
        progress.hold(false);
        progress.clear();
        match seen {
            Seen::Ended(outcome) => {
                self.finish(&outcome, (view, output), signals, (&mut progress, subscription)).await
            }
            Seen::Left => Ok(Exit::Interrupted),
            Seen::Unprinted => {
                self.post(Op::Interrupt);
                let outcome = output.end().await;
                tokio::select! {
                    closed = self.hosted.close() => closed?,
                    () = signals.next() => {}
                }
                Err(outcome.err().unwrap_or_else(Failure::unread))
            }
            Seen::Gone(failure) => {
                // What was handed over is printed first.
                tokio::select! {
                    _ = output.end() => {}
                    () = signals.next() => {}
                }
                match failure {
                    Some(failure) => Err(failure),
                    None => Err(ended_early(self.hosted).await),
                }
            }
        }
    }

    fn post(&self, op: Op) {
        // What comes too late changes nothing; what cannot be taken in at all is seen as the session's end.
        let _ = self.hosted.post(Principal::Local, op);
    }

    async fn finish(
        self,
        outcome: &Outcome,
        (view, mut output): (View, Output),
        signals: &mut Signals,
        (progress, mut subscription): (&mut Progress, Subscription),
    ) -> Result<Exit, Failure> {
        let Self { args, hosted, model, named, started, figures, mut window, .. } = self;
        let id = hosted.id();
        let exit = exit_of(outcome, &figures);
        // Hooks of the session's end may take their time.
        let closed = tokio::select! {
            closed = hosted.close() => closed,
            () = signals.next() => return Ok(Exit::Interrupted),
        };
        // What was said while it was let go.
        while let Ok(Some(frame)) = subscription.next().await {
            progress.see(&frame);
        }
        let kept = args.output_last_message.as_ref().map_or(Ok(()), |path| {
            codetether_files::write_atomic(path, figures.answer().as_bytes(), &WriteOptions::default())
        });
        let mut text = String::new();
        view.end(id, outcome, exit, &figures, started.elapsed(), &mut text);
        let printed = async {
            if !text.is_empty() {
                output.hand_over(&mut text).await;
            }
            output.end().await
        };
        tokio::select! {
            printed = printed => printed?,
            () = signals.next() => return Ok(Exit::Interrupted),
        }
        // Not before, for it would stand in the middle of a text.
        if !args.quiet
            && let Some(warning) = window.end().await
        {
            progress.say(&printer::plain(&warning));
        }
        if let Some(ended) = figures.left_running() {
            progress.say(&ended);
        }
        if let Some(checked) = figures.checked() {
            progress.say(&checked);
        }
        progress.end(&figures, started.elapsed(), true);
        if !args.quiet || exit == Exit::Refused {
            printer::err(&figures.refusals());
        }
        closed?;
        kept?;
        let asked = Asked { model: &model, named: &named, id, replayed: args.turn.replay.is_some() };
        verdict(outcome, exit, &figures, &asked)
    }
}

/// What was asked: for words about what went wrong with it.
pub(crate) struct Asked<'a> {
    pub(crate) model: &'a ModelId,
    /// The models that the user's settings name.
    pub(crate) named: &'a [ModelId],
    pub(crate) id: SessionId,
    /// Whether cassettes answered, and no server.
    pub(crate) replayed: bool,
}

impl Asked<'_> {
    /// What to do about a provider that failed.
    fn cure(&self, failure: &ProviderFailure) -> String {
        match self.replayed {
            true => "only what was recorded is answered: record again with `--record`, into another folder, or leave \
                     `--replay` out"
                .to_owned(),
            false => cure::of(failure, self.model, self.named, self.id),
        }
    }
}

/// What of a frame is to be acted upon.
fn step(frame: &Frame) -> Step {
    let Frame::Record(record) = frame else { return Step::Else };
    match &record.event {
        Event::Ask(AskEvent::Opened { ask, .. }) => Step::Asked(AskId(record.seq), ask.clone()),
        Event::Ask(AskEvent::Withdrawn { ask }) => Step::Withdrawn(*ask),
        _ => Step::Else,
    }
}

/// How a turn's outcome ends the program, or is told: what went wrong, and what to do next.
pub(crate) fn verdict(
    outcome: &Outcome,
    exit: Exit,
    figures: &Figures,
    asked: &Asked<'_>,
) -> Result<Exit, Failure> {
    let (model, id) = (asked.model, asked.id);
    match outcome {
        Outcome::Completed | Outcome::Interrupted => Ok(exit),
        // More time would not have helped.
        Outcome::LimitReached { limit: LimitKind::Time } if figures.failed.is_some() => {
            let failure = figures.failed.as_ref();
            let why = failure.map(|failure| printer::plain(&failure.message)).unwrap_or_default();
            Err(Failure::with_help(
                exit,
                format!("the time limit was reached while the provider of `{model}` failed: {why}"),
                failure.map(|failure| asked.cure(failure)).unwrap_or_default(),
            ))
        }
        Outcome::LimitReached { limit } => Err(limit_failure(*limit, id)),
        Outcome::ProviderFailed { failure } => Err(Failure::with_help(
            exit,
            format!("the provider of `{model}` failed: {}", printer::plain(&failure.message)),
            asked.cure(failure),
        )),
        Outcome::Misfit { problem } => Err(Failure::with_help(
            exit,
            format!("the answer cannot be used: {}", printer::plain(problem)),
            format!(
                "see what the model wrote with `codetether session show {id}`; try a larger model or a simpler schema"
            ),
        )),
        Outcome::CheckFailed { status } => Err(Failure::with_help(
            exit,
            format!("the work is not done: its check {}", printer::plain(&status.to_string())),
            match status {
                CheckStatus::NotRun { .. } => {
                    "`codetether permissions explain bash COMMAND` says which rule decides; `--check` names another check"
                        .to_owned()
                }
                CheckStatus::TimedOut => "give it more time with `-c check.time=30m`, or a check that takes less".to_owned(),
                _ => format!(
                    "see what it said with `codetether session show {id}`; go on with `codetether run --resume {id} \"…\"`"
                ),
            },
        )),
        Outcome::Failed { error } => Err(Failure::new(exit, printer::plain(error))),
        Outcome::Blocked { reason } => Err(Failure::with_help(
            exit,
            format!("held back: {}", printer::plain(reason)),
            "`codetether hooks list` says where the hook is from",
        )),
    }
}

/// The model that is asked from here on, where it is another: the prompt was routed, or one was not enough.
pub(crate) fn fell_back(frame: &Frame) -> Option<ModelId> {
    let Frame::Record(record) = frame else { return None };
    match &record.event {
        Event::Turn(TurnEvent::FellBack { model, .. } | TurnEvent::Escalated { model, .. }) => {
            Some(model.clone())
        }
        Event::Turn(TurnEvent::Routed(routed)) if routed.job == RoutedJob::Prompt => {
            Some(routed.model.clone())
        }
        _ => None,
    }
}

/// Whether a failed request is made again.
pub(crate) fn is_retry(frame: &Frame) -> bool {
    let Frame::Record(record) = frame else { return false };
    matches!(record.event, Event::Sample(SampleEvent::Started { retry_of: Some(_), .. }))
}

fn limit_failure(limit: LimitKind, id: SessionId) -> Failure {
    let (what, flag) = match limit {
        LimitKind::Steps => ("the limit of steps was reached", "--max-steps"),
        LimitKind::Time => ("the time limit was reached", "--max-time"),
        LimitKind::Cost => ("the limit of money was reached", "--max-cost"),
        LimitKind::Output => ("the answer was cut at the limit of output tokens", "--max-output"),
        LimitKind::NoProgress => {
            return Failure::with_help(
                Exit::Limit,
                "the model went in circles: the same call with the same result, again and again",
                format!(
                    "say more precisely what to do, or choose another model: `codetether run --resume {id} \"…\"`"
                ),
            );
        }
    };
    let help = format!("raise it with `{flag}`, or go on with `codetether run --resume {id} \"go on\"`");
    Failure::with_help(Exit::Limit, what, help)
}

pub(crate) fn exit_of(outcome: &Outcome, figures: &Figures) -> Exit {
    match outcome {
        Outcome::Completed if figures.refused.is_empty() => Exit::Done,
        Outcome::Completed => Exit::Refused,
        Outcome::Interrupted => Exit::Interrupted,
        Outcome::LimitReached { .. } => Exit::Limit,
        Outcome::ProviderFailed { .. } => Exit::Provider,
        Outcome::Misfit { .. } => Exit::Misfit,
        Outcome::CheckFailed { .. } => Exit::Check,
        Outcome::Failed { .. } => Exit::Failed,
        Outcome::Blocked { .. } => Exit::Refused,
    }
}

enum Step {
    Asked(AskId, AskKind),
    Withdrawn(AskId),
    Else,
}
