//! `run --input-format jsonl`: a program holds a whole conversation. Each line of standard input is an operation, each line
//! of standard output a record, a streamed piece, or the refusal of a line. Nobody is asked at a terminal.

mod lines;

use std::cell::Cell;

use codetether_agent::{Cursor, Frame, Hosted, SubmitError};
use codetether_config::Settings;
use codetether_event::{
    Audience, Event, ModelId, Op, OpId, Outcome, Principal, Seq, Submission, TurnEvent, TurnId, TurnSettings,
};
use codetether_files::WriteOptions;
use serde_json::json;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::args::{Format, RunArgs};
use crate::defined::{self, Own, Told};
use crate::exit::{Exit, Failure};
use crate::printer::{self, Output};
use crate::run::compose::{self, Composed, Venue};
use crate::run::figures::Figures;
use crate::run::form;
use crate::run::signals::Signals;
use crate::run::watch::{Asked, exit_of, fell_back, verdict};
use crate::run::window::Probe;
use crate::trust::Project;
use crate::{facts, models};

/// Refusals that may wait for a reader who does not read; then no further line is read either.
const REFUSALS: usize = 256;

pub(super) fn run(args: &RunArgs) -> Result<Exit, Failure> {
    check(args)?;
    let venue = Venue::of(&args.turn)?;
    let project = Project::at(&venue.root);
    let mut settings = compose::settings(&project, &args.turn)?;
    let own = Own::here();
    let places = own.places(&project);
    let mut told = Told::of(places, compose::is_alone(&args.turn), args.quiet);
    let agent = defined::chosen(places, &mut settings, None)?;
    let (turn, note) = compose::turn(
        &args.turn,
        &settings,
        (&agent, &mut told),
        form::of(args, Some(&agent))?,
        (&venue.root, ""),
    )?;
    let audience = Some(Audience::Script);
    let Composed { opening, found } =
        compose::opening(&args.turn, &settings, &turn, &venue, audience, (Some(&agent), &told))?;
    let supplement = told.supplement(&agent);
    if !args.quiet {
        let note = note.map(|note| format!("{note}\n")).unwrap_or_default();
        let left_out = project.left_out(&settings);
        printer::err(&format!("{left_out}{note}{}", compose::note(&opening.layout, &turn)));
    }
    let runtime = compose::runtime()?;
    let exit = runtime.block_on(async {
        let mut signals = Signals::new()?;
        let hosted = venue.open(opening, false).await?;
        let supplement = supplement.map(|text| hosted.blobs().put(text.as_bytes())).transpose()?;
        let turn = TurnSettings { supplement, ..turn };
        let model = turn.model.clone();
        let turn_is_replayed = turn.replayed;
        let mut conversation = Conversation {
            turn,
            settings: &settings,
            open: None,
            window: if turn_is_replayed { Probe::none(&model) } else { Probe::start(&found, &model) },
            model,
            figures: Figures::default(),
            last: None,
        };
        let mut output = Output::start();
        let held = conversation.hold(hosted, &mut output, &mut signals).await?;
        let printed = tokio::select! {
            printed = output.end() => printed,
            () = signals.next() => Ok(()),
        };
        if let Some(path) = &args.output_last_message {
            let answer = conversation.figures.answer();
            codetether_files::write_atomic(path, answer.as_bytes(), &WriteOptions::default())?;
        }
        printed?;
        held.exit(&conversation)
    });
    // The thread that waits for a line must not keep the program.
    runtime.shutdown_background();
    exit
}

/// What makes no sense together with a conversation.
fn check(args: &RunArgs) -> Result<(), Failure> {
    let problem = if args.format != Format::Jsonl {
        (
            "`--input-format jsonl` takes `--format jsonl`",
            "add `--format jsonl`: answers come as lines of JSON, too",
        )
    } else if args.prompt.is_some() || !args.file.is_empty() {
        (
            "with `--input-format jsonl` prompts come by standard input",
            "leave the prompt and `-f` out, and write `{\"type\":\"prompt\",\"text\":\"…\"}` to standard input",
        )
    } else if args.tries.is_some() {
        (
            "`--tries` is for one prompt, and here a program leads the conversation",
            "leave `--tries` out: with `--check` the model is told what the check said, and `turn.checked` tells you; \
             `{\"type\":\"restore\",…}` takes a try back",
        )
    } else {
        return Ok(());
    };
    Err(Failure::with_help(Exit::Usage, problem.0, problem.1))
}

/// A conversation under way.
struct Conversation<'a> {
    /// What holds in turns whose prompts bring no settings of their own.
    turn: TurnSettings,
    settings: &'a Settings,
    /// The turn that was seen to begin, and not yet to end.
    open: Option<TurnId>,
    model: ModelId,
    /// The question how long its context is.
    window: Probe,
    /// Of the last turn.
    figures: Figures,
    last: Option<Outcome>,
}

/// How a conversation ended.
enum Held {
    /// Its input came to an end, and the last turn to its.
    Through(codetether_event::SessionId),
    /// A signal ended it.
    Stopped,
    /// Standard output cannot be written.
    Unread,
}

impl Held {
    fn exit(self, conversation: &Conversation<'_>) -> Result<Exit, Failure> {
        let id = match self {
            Self::Unread => return Err(Failure::unread()),
            Self::Stopped => return Ok(Exit::Interrupted),
            Self::Through(id) => id,
        };
        let Some(outcome) = &conversation.last else { return Ok(Exit::Done) };
        let exit = exit_of(outcome, &conversation.figures);
        let asked = Asked {
            model: &conversation.model,
            named: &facts::named(conversation.settings),
            id,
            replayed: conversation.turn.replayed,
        };
        verdict(outcome, exit, &conversation.figures, &asked)
    }
}

impl Conversation<'_> {
    async fn hold(
        &mut self,
        hosted: Hosted,
        output: &mut Output,
        signals: &mut Signals,
    ) -> Result<Held, Failure> {
        let id = hosted.id();
        let mut subscription = hosted.subscribe(Cursor { after: hosted.opened_after(), open: Vec::new() });
        let (refuse, mut refusals) = mpsc::channel::<String>(REFUSALS);
        // The last record that a line brought about.
        let brought = Cell::new(Seq(0));
        let (turn, settings) = (self.turn.clone(), self.settings);
        let mut text = String::new();
        let (mut over, mut stopped, mut printing) = (false, false, true);
        {
            let feeding = feed(&hosted, &turn, settings, refuse, &brought);
            tokio::pin!(feeding);
            while !(over
                && text.is_empty()
                && refusals.is_empty()
                && self.is_at_rest(&subscription.cursor(), brought.get()))
            {
                tokio::select! {
                    biased;
                    () = signals.next() => {
                        if signals.seen > 1 {
                            return Ok(Held::Stopped);
                        }
                        // What comes too late changes nothing.
                        let _ = hosted.post(Principal::Local, Op::Interrupt);
                        (over, stopped) = (true, true);
                    }
                    // Before what is told, of which there may be no end.
                    () = &mut feeding, if !over => over = true,
                    printed = output.hand_over(&mut text), if !text.is_empty() => if !printed {
                        let _ = hosted.post(Principal::Local, Op::Interrupt);
                        printing = false;
                        break;
                    },
                    op = self.window.heard(), if self.window.is_open() => {
                        // What comes too late changes nothing.
                        let _ = op.map(|op| hosted.post(Principal::Local, op));
                    }
                    refusal = refusals.recv(), if text.is_empty() && !(refusals.is_closed() && refusals.is_empty()) => {
                        text.extend(refusal);
                    }
                    frame = subscription.next(), if text.is_empty() => match frame? {
                        Some(frame) => self.see(&frame, &mut text)?,
                        None => break,
                    },
                }
            }
        }
        // What was asked for and is no turn is done as well, and told.
        let closing = async {
            tokio::select! {
                closed = hosted.close() => closed.map(|()| true),
                () = signals.next() => Ok(false),
            }
        };
        let telling = async {
            while let Some(frame) = subscription.next().await? {
                self.see(&frame, &mut text)?;
                if !text.is_empty() && !output.hand_over(&mut text).await {
                    break;
                }
            }
            Ok::<(), Failure>(())
        };
        let closed = {
            tokio::pin!(closing, telling);
            let mut closed = None;
            // Where nothing can be printed any more, there is nothing to tell.
            let mut told = !printing;
            // An end by force waits for nobody.
            while !(told && closed.is_some()) && closed != Some(false) {
                tokio::select! {
                    end = &mut closing, if closed.is_none() => closed = Some(end?),
                    end = &mut telling, if !told => { end?; told = true; }
                }
            }
            closed
        };
        Ok(match (printing, stopped || closed == Some(false)) {
            (false, _) => Held::Unread,
            (true, true) => Held::Stopped,
            (true, false) => Held::Through(id),
        })
    }

    /// Whether all that was brought about was seen, and no turn is under way.
    fn is_at_rest(&self, cursor: &Cursor, brought: Seq) -> bool {
        self.open.is_none() && cursor.after >= brought
    }

    /// Adds the frame's line, and keeps account of turns.
    fn see(&mut self, frame: &Frame, text: &mut String) -> Result<(), Failure> {
        let failed = |error: serde_json::Error| Failure::new(Exit::Failed, error.to_string());
        let line = match frame {
            Frame::Record(record) => serde_json::to_string(&**record).map_err(failed)?,
            Frame::Delta(delta) => serde_json::to_string(delta).map_err(failed)?,
            Frame::CaughtUp(_) => return Ok(()),
        };
        text.push_str(&line);
        text.push('\n');
        if let Frame::Record(record) = frame {
            match &record.event {
                Event::Turn(TurnEvent::Started { settings, .. } | TurnEvent::Compacting { settings, .. }) => {
                    self.open = record.turn;
                    self.model.clone_from(&settings.model);
                    self.figures = Figures::default();
                }
                Event::Turn(TurnEvent::Ended { outcome }) => {
                    self.open = None;
                    self.last = Some(outcome.clone());
                }
                _ => {}
            }
            if let Some(turn) = record.turn {
                self.figures.see(frame, turn);
            }
            if let Some(model) = fell_back(frame) {
                self.model = model;
            }
        }
        Ok(())
    }
}

/// Takes the lines in, one after the other, to their end; then nobody is there any more to answer.
async fn feed(
    hosted: &Hosted,
    turn: &TurnSettings,
    settings: &Settings,
    refuse: mpsc::Sender<String>,
    brought: &Cell<Seq>,
) {
    let mut input = lines::read();
    while let Some(line) = input.recv().await {
        let taken = match line.text.and_then(|text| lines::operation(&text, turn)) {
            Err(refused) => Err(refused),
            Ok((id, op)) => {
                let named = id.map(|id| json!(id));
                match fits(&op, turn, settings) {
                    Err(reason) => Err(lines::Refused { id: named, reason }),
                    Ok(()) => {
                        let id = id.unwrap_or_else(|| OpId(Uuid::now_v7()));
                        let submission = Submission { id, from: Principal::Local, op };
                        match hosted.take_in(submission).await {
                            Ok(seq) => Ok(seq),
                            Err(SubmitError::Ended) => return,
                            Err(SubmitError::Refused(refused)) => {
                                Err(lines::Refused { id: named, reason: refused.to_string() })
                            }
                        }
                    }
                }
            }
        };
        match taken {
            Ok(seq) => brought.set(seq.max(brought.get())),
            Err(lines::Refused { id, reason }) => {
                let told = json!({ "refused": { "line": line.number, "id": id, "reason": reason } });
                if refuse.send(format!("{told}\n")).await.is_err() {
                    return;
                }
            }
        }
    }
    if let Ok(seq) = hosted.submit(Principal::Local, Op::Detach).await {
        brought.set(seq.max(brought.get()));
    }
}

/// Whether a turn's own settings can hold here: its models are known, and its sandbox is the one that there is.
fn fits(op: &Op, turn: &TurnSettings, settings: &Settings) -> Result<(), String> {
    let (Op::Prompt { settings: wanted, .. } | Op::Compact { settings: Some(wanted) }) = op else {
        return Ok(());
    };
    if wanted.confinement != turn.confinement {
        let reason = "`settings.confinement` must be the one of this run, which the command line and the settings choose";
        return Err(reason.to_owned());
    }
    let mut models = std::iter::once(&wanted.model).chain(compose::others(wanted));
    models.try_for_each(|model| models::check_known(settings, model)).map_err(|failure| failure.message())
}
