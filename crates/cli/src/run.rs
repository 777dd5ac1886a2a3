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

use codetether_agent::{Cursor, Frame, Hosted, Opening, Parts, SubmitError, Subscription};
use codetether_builtin::Builtin;
use codetether_config::Layer;
use codetether_event::{
    AskEvent, AskId, AskKind, Audience, Event, LimitKind, ModelId, Op, Outcome, Principal, Record, SessionId,
    TurnEvent, TurnId, TurnSettings,
};
use codetether_files::WriteOptions;
use codetether_journal::{Journals, Layout};
use codetether_secret::Redactor;
use codetether_session::State;
use codetether_tool::Limits;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args::RunArgs;
use crate::commands::session::lookup;
use crate::commands::version::BUILD;
use crate::exit::{Exit, Failure};
use crate::printer::Output;
use crate::run::asks::Asks;
use crate::run::figures::Figures;
use crate::run::progress::Progress;
use crate::run::view::View;
use crate::{models, place, printer, settings};

/// Which session a run works in.
enum Target {
    New,
    Resume(Past),
    Fork(Past),
}

/// What is known of a session before it is taken up.
struct Past {
    id: SessionId,
    /// The folder that it works in.
    root: PathBuf,
    records: Vec<Record>,
    /// The turn that was cut short, with its settings.
    turn: Option<TurnSettings>,
}

pub(crate) fn run(args: &RunArgs) -> Result<Exit, Failure> {
    let started = Instant::now();
    let layout = Layout::new(place::data_dir()?);
    let here = folder(args.dir.as_deref())?;
    let past = |id: &str| Past::read(&layout, lookup(&layout, id, &here)?);
    let target = match (&args.resume, args.last, &args.fork) {
        (Some(id), ..) => Target::Resume(past(id)?),
        (_, true, _) => Target::Resume(past("last")?),
        (.., Some(id)) => Target::Fork(past(id)?),
        _ => Target::New,
    };
    let named = args.dir.is_some().then(|| here.clone());
    let root = match (&named, &target) {
        (None, Target::Resume(past) | Target::Fork(past)) => past.root.clone(),
        _ => here,
    };
    let settings = settings::load(&root, args.set.clone(), settings::flags(args))?;
    let files = input::attachments(&args.file)?;
    let prompt = input::prompt(args)?;
    let turn = match (&prompt, &target) {
        (Some(_), _) => settings.turn(models::chosen(&settings)?),
        (None, Target::Resume(Past { turn: Some(turn), .. })) => going_on(args, turn.clone())?,
        (None, _) => return Err(nothing_to_do()),
    };
    let found = models::check(&settings, &turn.model)?;
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
        redactor: Arc::new(Redactor::new(models::secrets(&settings).into_iter().chain(found.key))),
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
        let mut figures = Figures::default();
        let hosted = match target {
            Target::New => opening.create(root).await,
            Target::Resume(past) => {
                figures.learn(&past.records);
                opening.resume(past.id, named, prompt.is_none()).await
            }
            Target::Fork(past) => opening.fork(past.id, named).await,
        }?;
        let model = turn.model.clone();
        let subscription = hosted.subscribe(Cursor { after: hosted.opened_after(), open: Vec::new() });
        let turn = match prompt {
            Some(prompt) => {
                let input = input::input(&prompt, files, hosted.blobs())?;
                let asked = hosted.submit(Principal::Local, Op::Prompt { input, settings: turn }).await;
                match asked {
                    Ok(seq) => TurnId(seq),
                    Err(SubmitError::Refused(refused)) => {
                        return Err(Failure::new(Exit::Failed, refused.to_string()));
                    }
                    Err(SubmitError::Ended) => return Err(ended_early(hosted).await),
                }
            }
            None => hosted.turn_under_way().ok_or_else(nothing_to_do)?,
        };
        Run { args, hosted, turn, model, started, attended, figures }.watch(subscription).await
    });
    // A thread that waits for a line from the terminal must not keep the program.
    runtime.shutdown_background();
    exit
}

impl Past {
    fn read(layout: &Layout, id: SessionId) -> Result<Self, Failure> {
        let records = codetether_journal::read::<Event>(layout.journal(id))?.records;
        let mut state = State::default();
        records.iter().for_each(|record| state.apply(record));
        let turn = state.turn.filter(|turn| turn.interrupted.is_none()).map(|turn| turn.settings);
        Ok(Self { id, root: PathBuf::from(state.root), records, turn })
    }
}

/// The settings of a turn that goes on: those that it began with.
fn going_on(args: &RunArgs, turn: TurnSettings) -> Result<TurnSettings, Failure> {
    let changes = settings::flags(args) != Layer::default() || !args.set.is_empty() || !args.file.is_empty();
    if changes {
        return Err(Failure::with_help(
            Exit::Usage,
            "a turn that goes on keeps the settings that it began with",
            "leave out the flags that change them, or give a prompt to begin another turn",
        ));
    }
    Ok(turn)
}

fn nothing_to_do() -> Failure {
    Failure::with_help(
        Exit::Usage,
        "there is no prompt, and no turn that was cut short to go on with",
        "give a prompt: `codetether run --last \"…\"`",
    )
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

/// Why a session ended before its turn did.
async fn ended_early(hosted: Hosted) -> Failure {
    match hosted.close().await {
        Err(error) => error.into(),
        Ok(()) => Failure::new(Exit::Failed, "the session ended before its turn did"),
    }
}

struct Run<'a> {
    args: &'a RunArgs,
    hosted: Hosted,
    turn: TurnId,
    model: ModelId,
    started: Instant,
    attended: bool,
    figures: Figures,
}

/// How watching a turn ended.
enum Seen {
    Ended(Outcome),
    /// A second signal came.
    Left,
    /// Standard output cannot be written.
    Unprinted,
    /// The session is no longer hosted.
    Gone,
}

impl Run<'_> {
    /// Watches the turn to its end. Nothing here waits for anything but the next thing to happen, so that a signal is
    /// heard at any time.
    async fn watch(mut self, mut subscription: Subscription) -> Result<Exit, Failure> {
        let mut view = View::new(self.args.format);
        let mut progress = Progress::new(!self.args.quiet, self.hosted.id(), &self.model);
        let mut asks = Asks::new(self.attended);
        let mut signals = Signals::new()?;
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
                    self.post(Op::Interrupt);
                }
                printing = output.hand_over(&mut text), if !text.is_empty() => if !printing {
                    break Seen::Unprinted;
                },
                (ask, answer) = asks.next() => self.post(Op::Answer { ask, answer }),
                frame = subscription.next(), if text.is_empty() => {
                    let Some(frame) = frame? else { break Seen::Gone };
                    self.figures.see(&frame, self.turn);
                    progress.see(&frame);
                    view.see(&frame, &mut text)?;
                    match self.step(&frame) {
                        Step::Ended(outcome) => ended = Some(outcome),
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
            Seen::Ended(outcome) => self.finish(&outcome, view, output, &mut signals, &progress).await,
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
            Seen::Gone => Err(ended_early(self.hosted).await),
        }
    }

    fn post(&self, op: Op) {
        // What comes too late changes nothing; what cannot be taken in at all is seen as the session's end.
        let _ = self.hosted.post(Principal::Local, op);
    }

    fn step(&self, frame: &Frame) -> Step {
        let Frame::Record(record) = frame else { return Step::Else };
        match &record.event {
            Event::Turn(TurnEvent::Ended { outcome }) if record.turn == Some(self.turn) => {
                Step::Ended(outcome.clone())
            }
            Event::Ask(AskEvent::Opened { ask, .. }) => Step::Asked(AskId(record.seq), ask.clone()),
            Event::Ask(AskEvent::Withdrawn { ask }) => Step::Withdrawn(*ask),
            _ => Step::Else,
        }
    }

    async fn finish(
        self,
        outcome: &Outcome,
        view: View,
        mut output: Output,
        signals: &mut Signals,
        progress: &Progress,
    ) -> Result<Exit, Failure> {
        let Self { args, hosted, model, started, figures, .. } = self;
        let id = hosted.id();
        let exit = exit_of(outcome, &figures);
        let closed = hosted.close().await;
        if let Some(path) = &args.output_last_message {
            codetether_files::write_atomic(path, figures.last_message.as_bytes(), &WriteOptions::default())?;
        }
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
        progress.end(&figures, started.elapsed());
        if !args.quiet || exit == Exit::Refused {
            printer::err(&figures.refusals());
        }
        closed?;
        match outcome {
            Outcome::Completed | Outcome::Interrupted => Ok(exit),
            Outcome::LimitReached { limit } => Err(limit_failure(*limit, id)),
            Outcome::ProviderFailed { failure } => Err(Failure::with_help(
                exit,
                format!("the provider of `{model}` failed: {}", printer::plain(&failure.message)),
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
    Asked(AskId, AskKind),
    Withdrawn(AskId),
    Else,
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
