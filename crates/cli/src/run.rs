//! `codetether run`: a prompt goes in, text comes out, and the exit code says how it went.

pub(crate) mod asks;
mod cassettes;
mod checks;
mod choice;
pub(crate) mod compose;
mod conversation;
pub(crate) mod cure;
pub(crate) mod figures;
mod form;
pub(crate) mod input;
pub(crate) mod profile;
pub(crate) mod progress;
pub(crate) mod routing;
mod signals;
mod summing;
mod todo;
mod tries;
pub(crate) mod typed;
pub(crate) mod view;
pub(crate) mod watch;
pub(crate) mod window;
mod writing;

use std::io::IsTerminal;
use std::time::Instant;

use codetether_agent::{Cursor, SubmitError};
use codetether_config::Layer;
use codetether_event::{Audience, Op, Principal, SessionId, TurnId, TurnSettings};

use crate::args::{InputFormat, RunArgs};
use crate::defined::{self, Own, Told};
use crate::exit::{Exit, Failure};
use crate::run::compose::{Composed, Past, Target, Venue};
use crate::run::figures::Figures;
pub(crate) use crate::run::input::Prompt;
use crate::run::signals::Signals;
use crate::run::tries::Tries;
use crate::run::watch::{Run, ended_early};
use crate::run::window::Probe;
use crate::trust::Project;
use crate::{facts, printer, sandbox, settings};

pub(crate) use compose::folder;

/// What a run wants of its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// That it does what the prompt says, or goes on with what it was told.
    Work,
    /// That a summary takes the place of what was said.
    Compact,
}

pub(crate) fn run(args: &RunArgs) -> Result<Exit, Failure> {
    if args.input_format == InputFormat::Jsonl {
        return conversation::run(args);
    }
    asked(args, Wish::Work)
}

pub(crate) fn asked(args: &RunArgs, wish: Wish) -> Result<Exit, Failure> {
    let started = Instant::now();
    let venue = Venue::of(&args.turn)?;
    let attended = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    let mut project = Project::at(&venue.root);
    let load = |project: &Project| compose::settings(project, &args.turn);
    let mut settings = load(&project)?;
    let mut files = input::attachments(&args.file)?;
    let prompt = if wish == Wish::Work { input::prompt(args)? } else { None };
    let begins = prompt.is_some() || wish == Wish::Compact;
    if let (Wish::Compact, Target::Resume(Past { id, turn: Some(_), .. })) = (wish, &venue.target) {
        return Err(cut_short(*id));
    }
    // A turn that goes on has its settings already.
    if begins {
        if attended && project.ask()? {
            settings = load(&project)?;
        }
        if !args.quiet {
            printer::err(&project.left_out(&settings));
        }
    }
    let own = Own::here();
    let places = own.places(&project);
    let mut told = Told::of(places, compose::is_alone(&args.turn), args.quiet);
    let mut agent = None;
    let prompt = match prompt {
        None => {
            if begins {
                agent = Some(defined::chosen(places, &mut settings, None)?);
            }
            None
        }
        Some(prompt) => {
            let (prompt, command) = defined::expanded(places, prompt, args.quiet)?;
            files.extend(input::mentioned(&prompt.said, &venue.root)?);
            agent = Some(defined::chosen(places, &mut settings, command.as_ref())?);
            Some(prompt.whole)
        }
    };
    let turn = match (&agent, &venue.target) {
        (Some(agent), _) => {
            let format = form::of(args, Some(agent).filter(|_| wish == Wish::Work))?;
            let asked = prompt.as_deref().unwrap_or_default();
            let (turn, note) =
                compose::turn(&args.turn, &settings, (agent, &mut told), format, (&venue.root, asked))?;
            if let Some(note) = note.filter(|_| !args.quiet) {
                printer::err(&format!("{note}\n"));
            }
            if wish == Wish::Work {
                profile::tried(tries::asked(args, &settings, turn)?)
            } else {
                TurnSettings { check: None, ..turn }
            }
        }
        (None, Target::Resume(Past { turn: Some(turn), .. })) => {
            let turn = going_on(args, turn.clone())?;
            if turn.confinement < sandbox::confinement(&settings)? {
                return Err(Failure::with_help(
                    Exit::Usage,
                    "the turn began with a weaker sandbox than your settings ask for now",
                    "give a prompt to begin another turn, in that sandbox",
                ));
            }
            turn
        }
        (None, Target::Resume(past)) => match tries::cut_short(&past.records, &venue.layout) {
            Some((_, turn)) => going_on(args, turn)?,
            None => return Err(nothing_to_do()),
        },
        (None, _) => return Err(nothing_to_do()),
    };
    let audience = attended.then_some(Audience::Terminal);
    let Composed { opening, found } =
        compose::opening(&args.turn, &settings, &turn, &venue, audience, (agent.as_ref(), &told))?;
    let supplement = agent.as_ref().and_then(|agent| told.supplement(agent));
    if !args.quiet {
        printer::err(&compose::note(&opening.layout, &turn));
    }
    let runtime = compose::runtime()?;
    let exit = runtime.block_on(async {
        let mut signals = Signals::new()?;
        let mut figures = Figures::default();
        let goes_on = !begins;
        // What a turn that goes on has behind it.
        let mut before = match &venue.target {
            Target::Resume(past) if goes_on => past.records.clone(),
            _ => Vec::new(),
        };
        let raised = tries::raised(args, &settings, &turn);
        let layout = venue.layout.clone();
        let mut tries = Tries::new(venue.past(), layout.clone(), raised);
        let hosted = venue.open(opening, goes_on).await?;
        let (model, confinement, formed) = (turn.model.clone(), turn.confinement, !turn.format.is_text());
        let agent = turn.agent.clone();
        let named = facts::named(&settings);
        let subscription = hosted.subscribe(Cursor { after: hosted.opened_after(), open: Vec::new() });
        let supplement = supplement.map(|text| hosted.blobs().put(text.as_bytes())).transpose()?;
        // A turn that goes on has its own.
        let turn = TurnSettings { supplement: supplement.or(turn.supplement), ..turn };
        let op = match (prompt, wish) {
            (Some(prompt), _) => {
                let sees = facts::facts(&settings, &turn.model).and_then(|facts| facts.images);
                let input = input::input(&prompt, files, sees != Some(false), hosted.blobs())?;
                Some(Op::Prompt { input, settings: Box::new(turn) })
            }
            (None, Wish::Compact) => Some(Op::Compact { settings: Some(Box::new(turn)) }),
            (None, Wish::Work) => None,
        };
        let turn = match op {
            Some(op) => match hosted.submit(Principal::Local, op).await {
                Ok(seq) => TurnId(seq),
                Err(SubmitError::Refused(refused)) => {
                    return Err(Failure::new(Exit::Failed, refused.to_string()));
                }
                Err(SubmitError::Ended) => return Err(ended_early(hosted).await),
            },
            None => {
                let left = || tries::cut_short(&before, &layout).map(|(turn, _)| turn);
                let turn = hosted.turn_under_way().or_else(left).ok_or_else(nothing_to_do)?;
                figures.learn(&std::mem::take(&mut before), turn);
                turn
            }
        };
        tries.begin(turn);
        let window =
            if args.turn.replay.is_some() { Probe::none(&model) } else { Probe::start(&found, &model) };
        Run {
            args,
            hosted,
            turn,
            model,
            agent,
            confinement,
            named,
            formed,
            started,
            attended,
            figures,
            window,
            tries,
        }
        .watch(subscription, &mut signals)
        .await
    });
    // A thread that waits for a line from the terminal must not keep the program.
    runtime.shutdown_background();
    exit
}

/// The settings of a turn that goes on: those that it began with.
fn going_on(args: &RunArgs, turn: TurnSettings) -> Result<TurnSettings, Failure> {
    let flags = settings::flags(&args.turn) != Layer::default() || !args.turn.set.is_empty();
    let replays = args.turn.replay.is_some() != turn.replayed;
    let changes = flags
        || args.tries.is_some()
        || replays
        || form::is_asked(args)
        || !args.file.is_empty()
        || args.turn.dir.is_some();
    if changes {
        return Err(Failure::with_help(
            Exit::Usage,
            "a turn that goes on keeps the settings that it began with",
            "leave out the flags that change them, or give a prompt to begin another turn",
        ));
    }
    Ok(turn)
}

fn cut_short(id: SessionId) -> Failure {
    Failure::with_help(
        Exit::Usage,
        "a turn of this session was cut short, and comes first",
        format!("go on with it by `codetether run --resume {id}`, or begin another with a prompt"),
    )
}

fn nothing_to_do() -> Failure {
    Failure::with_help(
        Exit::Usage,
        "there is no prompt, and no turn that was cut short to go on with",
        "give a prompt: `codetether run --last \"…\"`",
    )
}
