//! `codetether run`: a prompt goes in, text comes out, and the exit code says how it went.

mod asks;
mod cassettes;
mod choice;
mod cure;
mod figures;
mod form;
mod input;
mod progress;
mod signals;
mod summing;
mod todo;
mod view;
mod watch;
mod window;
mod writing;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use codetether_agent::{Cursor, Opening, Parts, Purse, SubmitError};
use codetether_builtin::{Builtin, Shell};
use codetether_config::{Layer, Settings};
use codetether_event::{
    Audience, Compaction, Event, ModelId, Op, Principal, Record, SessionId, ToolName, TurnId, TurnSettings,
};
use codetether_journal::{Journals, Layout};
use codetether_session::State;
use codetether_tool::{Limits, ToolSource};

use crate::args::RunArgs;
use crate::commands::permissions;
use crate::commands::session::lookup;
use crate::commands::version::BUILD;
use crate::defined::{self, Own, Told};
use crate::exit::{Exit, Failure};
use crate::run::figures::Figures;
pub(crate) use crate::run::input::Prompt;
use crate::run::signals::Signals;
use crate::run::watch::{Run, ended_early};
use crate::run::window::Probe;
use crate::trust::Project;
use crate::{facts, keys, models, place, printer, sandbox, settings};

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

/// What a run wants of its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// That it does what the prompt says, or goes on with what it was told.
    Work,
    /// That a summary takes the place of what was said.
    Compact,
}

pub(crate) fn run(args: &RunArgs) -> Result<Exit, Failure> {
    asked(args, Wish::Work)
}

pub(crate) fn asked(args: &RunArgs, wish: Wish) -> Result<Exit, Failure> {
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
    let attended = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    let mut project = Project::at(&root);
    let load = |project: &Project| settings::load(project, args.set.clone(), settings::flags(args));
    let mut settings = load(&project)?;
    let mut files = input::attachments(&args.file)?;
    let prompt = if wish == Wish::Work { input::prompt(args)? } else { None };
    let begins = prompt.is_some() || wish == Wish::Compact;
    if let (Wish::Compact, Target::Resume(Past { id, turn: Some(_), .. })) = (wish, &target) {
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
    // Recorded requests are for others, too.
    let alone = args.record.is_some() || args.replay.is_some();
    let own = Own::here();
    let places = own.places(&project);
    let mut told = Told::of(places, alone, args.quiet);
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
            files.extend(input::mentioned(&prompt.said, &root)?);
            agent = Some(defined::chosen(places, &mut settings, command.as_ref())?);
            Some(prompt.whole)
        }
    };
    let turn = match (begins, &target) {
        (true, _) => {
            let mut format = form::asked(args)?;
            if let Some(schema) = agent.as_ref().and_then(|agent| agent.output_schema.as_ref())
                && !form::is_asked(args)
                && wish == Wish::Work
            {
                format = form::read_as(&schema.text, &format!("`{}`", schema.from), args.output_strict)?;
            }
            let chosen = models::chosen(&settings)?;
            if let Some(note) = chosen.note.filter(|_| !args.quiet) {
                printer::err(&format!("{note}\n"));
            }
            let confinement = sandbox::confinement(&settings)?;
            defined::check_mode(&settings, agent.as_ref(), confinement)?;
            let mut turn = settings.turn(chosen.model, confinement);
            told.narrow(&mut turn);
            let compaction = compaction(&settings, &turn);
            TurnSettings { format, replayed: args.replay.is_some(), compaction, ..turn }
        }
        (false, Target::Resume(Past { turn: Some(turn), .. })) => {
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
        (false, _) => return Err(nothing_to_do()),
    };
    keys::redactor().learn(models::secrets(&settings));
    let cassettes = cassettes::asked(args, &root)?;
    let found = models::check(&settings, &turn.model, &cassettes)?;
    turn.fallback.iter().try_for_each(|model| models::check_known(&settings, model))?;
    // What a turn that goes on may reach is as the settings say now; how it is confined, as it began.
    let confine = sandbox::confine(&settings, &root, turn.confinement)
        .map_err(|error| Failure::new(Exit::Usage, format!("the sandbox of the settings: {error}")))?;
    let tools = Builtin::new(if confine.is_some() { Shell::Confined } else { Shell::Bare });
    let tools = tools.with_skills(told.skills());
    defined::check_tools(agent.as_ref(), &tools)?;
    check_tools(&turn, &tools)?;
    let supplement = agent.as_ref().and_then(|agent| told.supplement(agent));
    check_prices(&settings, &turn)?;
    let caveat = sandbox::caveat(turn.confinement);
    let first_run = !layout.sessions().exists();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot start the runtime: {error}")))?;
    let parts = Parts {
        tools: Arc::new(tools),
        providers: models::finder(&settings, cassettes),
        purse: purse(&settings, args.replay.is_some())?,
        environment: Arc::new(codetether_sandbox::environment(std::env::vars_os(), [])),
        limits: Limits::default(),
        redactor: keys::redactor(),
        home: std::env::home_dir(),
        instructions: place::instructions().filter(|_| !alone),
        confine,
        audit: place::audit(&settings.sandbox)?,
        memory: Some(place::memory(&settings.undo)?),
        rule_file: permissions::rule_file(&root),
    };
    let opening = Opening {
        layout,
        journals: Journals::start()?,
        parts,
        audience: attended.then_some(Audience::Terminal),
        build: BUILD.into(),
    };
    if let Some(caveat) = caveat.filter(|_| !args.quiet) {
        printer::err(&format!("{caveat}\n"));
    } else if first_run && !args.quiet {
        printer::err(
            "note: this is the first run here. Commands run in a sandbox: they change this folder alone, and reach no \
             network. `codetether undo` takes back what they change; `--mode ask` asks before each.\n",
        );
    }
    let exit = runtime.block_on(async {
        let mut signals = Signals::new()?;
        let mut figures = Figures::default();
        // What a turn that goes on has behind it.
        let mut before = Vec::new();
        let hosted = match target {
            Target::New => opening.create(root).await,
            Target::Resume(past) => {
                if !begins {
                    before = past.records;
                }
                opening.resume(past.id, named, !begins).await
            }
            Target::Fork(past) => opening.fork(past.id, named).await,
        }?;
        let (model, confinement, formed) = (turn.model.clone(), turn.confinement, !turn.format.is_text());
        let agent = turn.agent.clone();
        let named = facts::named(&settings);
        let subscription = hosted.subscribe(Cursor { after: hosted.opened_after(), open: Vec::new() });
        let supplement = supplement.map(|text| hosted.blobs().put(text.as_bytes())).transpose()?;
        // A turn that goes on has its own.
        let turn = TurnSettings { supplement: supplement.or(turn.supplement), ..turn };
        let op = match (prompt, wish) {
            (Some(prompt), _) => {
                let input = input::input(&prompt, files, hosted.blobs())?;
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
                let turn = hosted.turn_under_way().ok_or_else(nothing_to_do)?;
                figures.learn(&std::mem::take(&mut before), turn);
                turn
            }
        };
        let window = if args.replay.is_some() { Probe::none(&model) } else { Probe::start(&found, &model) };
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
        }
        .watch(subscription, &mut signals)
        .await
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
    let flags = settings::flags(args) != Layer::default() || !args.set.is_empty();
    let replays = args.replay.is_some() != turn.replayed;
    let changes = flags || replays || form::is_asked(args) || !args.file.is_empty() || args.dir.is_some();
    if changes {
        return Err(Failure::with_help(
            Exit::Usage,
            "a turn that goes on keeps the settings that it began with",
            "leave out the flags that change them, or give a prompt to begin another turn",
        ));
    }
    Ok(turn)
}

/// Prices by the table and the settings; records in the user's ledger, or in one of its own what a replay would cost.
fn purse(settings: &Settings, replays: bool) -> Result<Purse, Failure> {
    let settings = settings.clone();
    let ledger = if replays { place::replayed()? } else { place::ledger()? };
    Ok(Purse::new(Arc::new(move |model| facts::facts(&settings, model)), ledger))
}

/// When the context gives way: by the smallest window of the models that may be asked, as far as they are known.
fn compaction(settings: &Settings, turn: &TurnSettings) -> Option<Compaction> {
    let share = settings.context.compact_at.unwrap_or_default().min(100);
    let windows = std::iter::once(&turn.model).chain(&turn.fallback);
    let window = windows.filter_map(|model| facts::facts(settings, model)?.window).min().unwrap_or(u32::MAX);
    u8::try_from(share).ok().filter(|share| *share > 0).map(|share| Compaction { window, share })
}

/// Whether a limit of money can hold for the models that may be asked.
fn check_prices(settings: &Settings, turn: &TurnSettings) -> Result<(), Failure> {
    if turn.max_cost.is_none() || turn.allow_unknown_price {
        return Ok(());
    }
    let models = std::iter::once(&turn.model).chain(&turn.fallback);
    let unpriced =
        |model: &&ModelId| facts::facts(settings, model).is_none_or(|facts| facts.prices.is_none());
    match models.into_iter().find(unpriced) {
        None => Ok(()),
        Some(model) => Err(Failure::with_help(
            Exit::Usage,
            format!("the price of `{model}` is not known, so no limit of money can hold"),
            format!(
                "say it: `[models.\"{model}\"]` with `input_price` and `output_price` (0 for a model on this machine), or \
                 set `limits.allow_unknown_price` and let it escape the limit"
            ),
        )),
    }
}

/// Whether the tools that the turn is to offer are there.
fn check_tools(turn: &TurnSettings, tools: &Builtin) -> Result<(), Failure> {
    let there: Vec<ToolName> = tools.manifest().into_iter().map(|spec| spec.name).collect();
    match turn.tools.iter().flatten().find(|tool| !there.contains(tool)) {
        None => Ok(()),
        Some(unknown) => {
            let names: Vec<String> = there.iter().map(|tool| format!("`{tool}`")).collect();
            let help = format!("there is {}", names.join(", "));
            Err(Failure::with_help(Exit::Usage, format!("there is no tool `{unknown}` to offer"), help))
        }
    }
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

pub(crate) fn folder(dir: Option<&Path>) -> Result<PathBuf, Failure> {
    let dir = dir.unwrap_or(Path::new("."));
    dir.canonicalize().map_err(|error| {
        Failure::with_help(
            Exit::Usage,
            format!("cannot work in `{}`: {error}", dir.display()),
            "name a folder that exists, or leave `-C` out to work in the current one",
        )
    })
}
