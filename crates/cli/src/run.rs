//! `codetether run`: a prompt goes in, text comes out, and the exit code says how it went.

mod asks;
mod figures;
mod input;
mod progress;
mod view;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use codetether_agent::{Cursor, Frame, Hosted, Opening, Parts, SubmitError};
use codetether_builtin::Builtin;
use codetether_event::{
    AskEvent, AskId, Audience, Event, LimitKind, ModelId, Op, Outcome, Principal, SessionId, TurnEvent,
};
use codetether_files::WriteOptions;
use codetether_journal::{Journals, Layout};
use codetether_secret::Redactor;
use codetether_tool::Limits;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args::RunArgs;
use crate::commands::session::lookup;
use crate::commands::version::BUILD;
use crate::exit::{Exit, Failure};
use crate::run::asks::Asks;
use crate::run::figures::Figures;
use crate::run::progress::Progress;
use crate::run::view::View;
use crate::{models, place, printer, settings};

/// Which session a run works in.
enum Target {
    New,
    Resume(SessionId),
    Fork(SessionId),
}

pub(crate) fn run(args: &RunArgs) -> Result<Exit, Failure> {
    let started = Instant::now();
    let here = folder(args.dir.as_deref())?;
    let settings = settings::load(&here, args.set.clone(), settings::flags(args))?;
    let model = models::chosen(&settings)?;
    let found = models::check(&settings, &model)?;
    let prompt = input::prompt(args)?;
    let layout = Layout::new(place::data_dir()?);
    let target = match (&args.resume, args.last, &args.fork) {
        (Some(id), ..) => Target::Resume(lookup(&layout, id, &here)?),
        (_, true, _) => Target::Resume(lookup(&layout, "last", &here)?),
        (.., Some(id)) => Target::Fork(lookup(&layout, id, &here)?),
        _ => Target::New,
    };
    let first_run = !layout.sessions().exists();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot start the runtime: {error}")))?;
    let parts = Parts {
        tools: Arc::new(Builtin::default()),
        providers: models::finder(&settings),
        environment: Arc::new(codetether_sandbox::environment(std::env::vars_os(), [])),
        limits: Limits::default(),
        redactor: Arc::new(Redactor::new(found.key)),
    };
    let attended = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    let opening = Opening {
        layout,
        journals: Journals::start()?,
        parts,
        audience: attended.then_some(Audience::Terminal),
        build: BUILD.into(),
    };
    if first_run && !args.quiet {
        printer::err(
            "note: this is the first run here. Commands that the agent runs are not sandboxed yet: what you allow \
             runs with your own rights.\n",
        );
    }
    let exit = runtime.block_on(async {
        let named = args.dir.is_some().then(|| here.clone());
        let hosted = match target {
            Target::New => opening.create(here.clone()).await,
            Target::Resume(id) => opening.resume(id, named, prompt.is_none()).await,
            Target::Fork(id) => opening.fork(id, named).await,
        }?;
        let turn = settings.turn(model.clone());
        let run = Run { args, hosted, model, started, attended };
        run.turn(prompt, turn).await
    });
    // A thread that waits for a line from the terminal must not keep the program.
    runtime.shutdown_background();
    exit
}

fn folder(dir: Option<&Path>) -> Result<PathBuf, Failure> {
    let dir = dir.unwrap_or(Path::new("."));
    dir.canonicalize().map_err(|error| {
        Failure::with_help(
            Exit::Usage,
            format!("cannot work in `{}`: {error}", dir.display()),
            "name a folder that exists, or leave `-C` out to work in the current one",
        )
    })
}

struct Run<'a> {
    args: &'a RunArgs,
    hosted: Hosted,
    model: ModelId,
    started: Instant,
    attended: bool,
}

/// What ends a run before its turn does.
enum Cut {
    /// A second signal.
    Signal,
    /// Nobody reads standard output.
    Output(Failure),
}

impl Run<'_> {
    async fn turn(
        self,
        prompt: Option<String>,
        settings: codetether_event::TurnSettings,
    ) -> Result<Exit, Failure> {
        let mut subscription =
            self.hosted.subscribe(Cursor { after: self.hosted.opened_after(), open: Vec::new() });
        match prompt {
            Some(prompt) => {
                let input = input::input(&prompt, &self.args.file, self.hosted.blobs())?;
                self.submit(Op::Prompt { input, settings }).await?;
            }
            None if self.hosted.turn_under_way() => {}
            None => {
                return Err(Failure::with_help(
                    Exit::Usage,
                    "there is no prompt, and no turn that was cut short to go on with",
                    "give a prompt: `codetether run --last \"…\"`",
                ));
            }
        }
        let mut view = View::new(self.args.format);
        let mut progress = Progress::new(!self.args.quiet, self.hosted.id(), &self.model);
        let mut figures = Figures::default();
        let mut asks = Asks::new(self.attended);
        let mut signals = Signals::new()?;
        let mut tick = tokio::time::interval(progress::TICK);
        let mut cut = None;
        let outcome = loop {
            tokio::select! {
                biased;
                () = signals.next() => {
                    if signals.seen > 1 {
                        cut = Some(Cut::Signal);
                        break None;
                    }
                    progress.say("stopping; once more to leave at once");
                    self.interrupt().await;
                }
                (ask, answer) = asks.next() => {
                    // Answered elsewhere, or withdrawn, by now: nothing is lost.
                    let _ = self.hosted.submit(Principal::Local, Op::Answer { ask, answer }).await;
                }
                frame = subscription.next() => match frame? {
                    None => break None,
                    Some(frame) => {
                        figures.see(&frame);
                        progress.see(&frame);
                        if let Err(failure) = view.see(&frame) && cut.is_none() {
                            cut = Some(Cut::Output(failure));
                            self.interrupt().await;
                        }
                        match ended_or_asked(&frame) {
                            Step::Ended(outcome) => break Some(outcome),
                            Step::Asked(ask, kind) => {
                                progress.clear();
                                asks.open(ask, kind);
                            }
                            Step::Withdrawn(ask) => asks.withdraw(ask),
                            Step::Else => {}
                        }
                    }
                },
                _ = tick.tick(), if progress.is_shown() && !asks.is_open() => progress.tick(),
            }
        };
        progress.clear();
        match (outcome, cut) {
            (Some(outcome), None) => self.finish(&outcome, view, &figures, &progress).await,
            (_, Some(Cut::Output(failure))) => {
                let _ = self.hosted.close().await;
                Err(failure)
            }
            (None, Some(Cut::Signal)) | (Some(_), Some(Cut::Signal)) => Ok(Exit::Interrupted),
            (None, None) => match self.hosted.close().await {
                Err(error) => Err(error.into()),
                Ok(()) => Err(Failure::new(Exit::Failed, "the session ended without an outcome")),
            },
        }
    }

    async fn submit(&self, op: Op) -> Result<(), Failure> {
        match self.hosted.submit(Principal::Local, op).await {
            Ok(_) => Ok(()),
            Err(SubmitError::Refused(refused)) => Err(Failure::new(Exit::Failed, refused.to_string())),
            // Why it ended is told when it is closed.
            Err(SubmitError::Ended) => Ok(()),
        }
    }

    async fn interrupt(&self) {
        // A turn that has just ended cannot be interrupted, and need not be.
        let _ = self.hosted.submit(Principal::Local, Op::Interrupt).await;
    }

    async fn finish(
        self,
        outcome: &Outcome,
        view: View,
        figures: &Figures,
        progress: &Progress,
    ) -> Result<Exit, Failure> {
        let id = self.hosted.id();
        let exit = exit_of(outcome, figures);
        let closed = self.hosted.close().await;
        if let Some(path) = &self.args.output_last_message {
            codetether_files::write_atomic(path, figures.last_message.as_bytes(), &WriteOptions::default())?;
        }
        view.end(id, outcome, exit, figures, self.started.elapsed())?;
        progress.end(figures, self.started.elapsed());
        if !self.args.quiet || exit != Exit::Refused {
            printer::err(&figures.refusals());
        }
        closed?;
        match outcome {
            Outcome::Completed => Ok(exit),
            Outcome::Interrupted => Ok(exit),
            Outcome::LimitReached { limit } => Err(limit_failure(*limit, id)),
            Outcome::ProviderFailed { failure } => Err(Failure::with_help(
                exit,
                format!("the provider of `{}` failed: {}", self.model, printer::plain(&failure.message)),
                format!("when it is mended, go on with `codetether run --resume {id} \"go on\"`"),
            )),
            Outcome::Failed { error } => Err(Failure::new(exit, printer::plain(error))),
        }
    }
}

fn limit_failure(limit: LimitKind, id: SessionId) -> Failure {
    let (what, flag) = match limit {
        LimitKind::Steps => ("the limit of steps was reached", "--max-steps"),
        LimitKind::Time => ("the time limit was reached", "--max-time"),
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

fn exit_of(outcome: &Outcome, figures: &Figures) -> Exit {
    match outcome {
        Outcome::Completed if figures.refused.is_empty() => Exit::Done,
        Outcome::Completed => Exit::Refused,
        Outcome::Interrupted => Exit::Interrupted,
        Outcome::LimitReached { .. } => Exit::Limit,
        Outcome::ProviderFailed { .. } => Exit::Provider,
        Outcome::Failed { .. } => Exit::Failed,
    }
}

enum Step {
    Ended(Outcome),
    Asked(AskId, codetether_event::AskKind),
    Withdrawn(AskId),
    Else,
}

fn ended_or_asked(frame: &Frame) -> Step {
    let Frame::Record(record) = frame else { return Step::Else };
    match &record.event {
        Event::Turn(TurnEvent::Ended { outcome }) => Step::Ended(outcome.clone()),
        Event::Ask(AskEvent::Opened { ask, .. }) => Step::Asked(AskId(record.seq), ask.clone()),
        Event::Ask(AskEvent::Withdrawn { ask }) => Step::Withdrawn(*ask),
        _ => Step::Else,
    }
}

/// The signals that ask a program to stop.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    seen: u32,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind)
                .map_err(|error| Failure::new(Exit::Failed, format!("cannot listen for signals: {error}")))
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
            seen: 0,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
        self.seen += 1;
    }
}
