//! One turn of a chat, from its prompt to its end: what is said is printed, what is asked is put to the person, what they
//! type is steering, and Ctrl-C stops the turn alone. While someone types nothing else is printed.

use std::path::Path;
use std::time::Instant;

use codetether_agent::{Frame, Hosted, SubmitError, Subscription};
use codetether_event::{AskEvent, AskId, Event, Op, Outcome, Principal, TurnEvent, TurnId};

use crate::args::Format;
use crate::chat::editor::{Happened, Heard, Input};
use crate::chat::signals::{Signal, Signals};
use crate::chat::{commands, terminal};
use crate::exit::Failure;
use crate::printer::{self, Output};
use crate::run::asks::Asks;
use crate::run::figures::Figures;
use crate::run::input;
use crate::run::progress::{self, Progress};
use crate::run::view::View;
use crate::run::watch::{fell_back, is_retry};
use crate::run::window::Probe;

/// What is shown before a line that is typed while the model works.
const STEER: &str = "steer> ";
/// Most lines that wait for the end of a turn.
const WAITING: usize = 16;

/// How a turn ended, as a person saw it.
pub(super) struct Watched {
    /// Nothing where it was not waited for.
    pub(super) outcome: Option<Outcome>,
    pub(super) figures: Figures,
    /// The model that answered last.
    pub(super) model: codetether_event::ModelId,
    /// Whether the program is to end.
    pub(super) leave: bool,
    /// Lines that came too late, and commands: the next to be taken, in their order. At most `WAITING`.
    pub(super) waits: Vec<String>,
}

pub(super) struct Turn<'a> {
    pub(super) hosted: &'a Hosted,
    pub(super) turn: TurnId,
    pub(super) subscription: &'a mut Subscription,
    pub(super) input: &'a mut Input,
    pub(super) signals: &'a mut Signals,
    pub(super) model: codetether_event::ModelId,
    /// The question how long the model's context is.
    pub(super) window: &'a mut Probe,
    pub(super) desk: Desk<'a>,
}

/// What is needed to attach what a line names.
pub(super) struct Desk<'a> {
    /// The project's folder.
    pub(super) root: &'a Path,
    /// Whether the model may see images.
    pub(super) sees: bool,
}

impl Turn<'_> {
    pub(super) async fn watch(self) -> Result<Watched, Failure> {
        let Self { hosted, turn, subscription, input, signals, model, window, desk } = self;
        let started = Instant::now();
        let plain = input.is_plain();
        let mut view = View::new(Format::Text, false, false);
        let mut progress = Progress::new(true, hosted.id()).plainly(plain);
        let mut asks = Asks::new(true);
        let mut output = Output::start();
        let mut watched =
            Watched { outcome: None, figures: Figures::default(), model, leave: false, waits: Vec::new() };
        let mut text = String::new();
        let mut ended = None;
        let mut steering = false;
        let mut asked = false;
        let mut tick = tokio::time::interval(progress::TICK);
        if !plain {
            terminal::keys();
        }
        let post = |op| {
            // What comes too late changes nothing; what cannot be taken in at all is seen as the session's end.
            let _ = hosted.post(Principal::Local, op);
        };
        loop {
            if text.is_empty()
                && !steering
                && let Some(outcome) = ended.take()
            {
                watched.outcome = Some(outcome);
                break;
            }
            tokio::select! {
                biased;
                signal = signals.next() => {
                    post(Op::Interrupt);
                    match signal {
                        Signal::Interrupt => progress.say("stopping"),
                        Signal::Leave if watched.leave => break,
                        Signal::Leave => (watched.leave, steering) = (true, false),
                    }
                }
                printing = output.hand_over(&mut text), if !text.is_empty() => if !printing {
                    post(Op::Interrupt);
                    watched.leave = true;
                    break;
                },
                happened = input.happens(steering), if steering || (!asks.is_open() && !watched.leave) => {
                    let heard = match happened {
                        Happened::Heard(heard) => heard,
                        Happened::Key => {
                            progress.clear();
                            if view.is_mid_line() {
                                printer::err("\n");
                            }
                            input.ask(STEER);
                            steering = true;
                            continue;
                        }
                    };
                    steering = false;
                    match heard {
                        Heard::Line(line) if line.trim().is_empty() => {}
                        Heard::Line(line) => match steer(hosted, &desk, line).await {
                            Ok(None) => {}
                            Ok(Some(_)) if watched.waits.len() == WAITING => printer::err(&format!(
                                "{WAITING} lines wait for the end of the turn already; this one was left out\n"
                            )),
                            Ok(Some(line)) => watched.waits.push(line),
                            Err(failure) => printer::err(&failure.shown()),
                        },
                        // It threw away what was typed, and no more than that.
                        Heard::Interrupt { empty: false } => {}
                        Heard::Interrupt { empty: true } => {
                            post(Op::Interrupt);
                            progress.say("stopping");
                        }
                        // At a plain terminal that is the end of it, for nothing can come any more.
                        Heard::End => watched.leave = plain,
                    }
                    if !plain {
                        terminal::keys();
                    }
                    if watched.leave {
                        post(Op::Interrupt);
                        break;
                    }
                }
                op = window.heard(), if window.is_open() => {
                    op.into_iter().for_each(post);
                }
                (ask, answer) = asks.next() => post(Op::Answer { ask, answer }),
                frame = subscription.next(), if text.is_empty() && !steering => {
                    let Some(frame) = frame? else { break };
                    watched.figures.see(&frame, turn);
                    if let Some(model) = fell_back(&frame) {
                        watched.model = model;
                    }
                    progress.see(&frame);
                    view.see(&frame, &mut text)?;
                    if view.is_broken() && is_retry(&frame) {
                        progress.say("the answer broke off; asking for it again");
                    }
                    let Frame::Record(record) = &frame else { continue };
                    match &record.event {
                        Event::Turn(TurnEvent::Ended { outcome }) if record.turn == Some(turn) => {
                            ended = Some(outcome.clone());
                        }
                        Event::Ask(AskEvent::Opened { ask, .. }) => {
                            progress.clear();
                            if !plain {
                                terminal::lines();
                            }
                            asks.open(AskId(record.seq), ask.clone());
                        }
                        Event::Ask(AskEvent::Withdrawn { ask }) => asks.withdraw(*ask),
                        _ => {}
                    }
                }
                _ = tick.tick(), if progress.is_shown() && !steering => progress.tick(),
            }
            progress.hold(asks.is_open());
            if asked && !asks.is_open() && !plain {
                terminal::keys();
            }
            asked = asks.is_open();
        }
        progress.hold(false);
        progress.clear();
        if let Some(outcome) = &watched.outcome {
            let exit = crate::run::watch::exit_of(outcome, &watched.figures);
            view.end(hosted.id(), outcome, exit, &watched.figures, started.elapsed(), &mut text);
        }
        let printed = async {
            if !text.is_empty() {
                output.hand_over(&mut text).await;
            }
            output.end().await
        };
        tokio::select! {
            // What cannot be printed any more has nobody to read it.
            _ = printed => {}
            signal = signals.next() => watched.leave |= signal == Signal::Leave,
        }
        if !plain {
            terminal::lines();
        }
        progress.end(&watched.figures, started.elapsed(), false);
        printer::err(&watched.figures.refusals());
        Ok(watched)
    }
}

/// Gives a line to the turn, with what it attaches. Given back where it has to wait: the turn is over, or the line is a
/// command.
async fn steer(hosted: &Hosted, desk: &Desk<'_>, line: String) -> Result<Option<String>, Failure> {
    let said = line.trim();
    if commands::called(said).is_some() {
        printer::err("that waits for the end of the turn\n");
        return Ok(Some(line));
    }
    let files = input::mentioned(said, desk.root)?;
    let op = Op::Steer { input: input::input(said, files, desk.sees, hosted.blobs())? };
    match hosted.submit(Principal::Local, op).await {
        Ok(_) => Ok(None),
        Err(SubmitError::Refused(_) | SubmitError::Ended) => Ok(Some(line)),
    }
}
