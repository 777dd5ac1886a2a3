//! The composition of the rooms: which session in which folder, settings to a turn's settings, and these to what a session
//! is opened with. `run` and `chat` share it. Nothing here asks anyone or prints.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use codetether_agent::{Children, Hosted, Opening, Parts, Purse, RunError};
use codetether_builtin::{Builtin, PrivateHosts, Shell, WebFetch};
use codetether_config::Settings;
use codetether_config::defined::Agent;
use codetether_event::{
    Audience, Compaction, Confinement, Event, ModelId, Record, ResponseFormat, Seq, SessionId, ToolName,
    TurnSettings,
};
use codetether_journal::{Journals, Layout};
use codetether_net::Upstream;
use codetether_provider::Cassettes;
use codetether_session::State;
use codetether_tool::{Limits, ToolSource};

use crate::args::TurnArgs;
use crate::commands::models::files as models_files;
use crate::commands::permissions;
use crate::commands::session::{lookup, steps};
use crate::commands::version::BUILD;
use crate::defined::{self, Told};
use crate::exit::{Exit, Failure};
use crate::models::Found;
use crate::run::{cassettes, checks, profile, routing};
use crate::trust::Project;
use crate::{facts, hooks, keys, models, place, sandbox, settings};

/// Which session is worked in.
pub(crate) enum Target {
    New,
    Resume(Past),
    /// Its past, up to this record or all of it.
    Fork(Past, Option<Seq>),
}

/// What is known of a session before it is taken up.
pub(crate) struct Past {
    pub(crate) id: SessionId,
    /// The folder that it works in.
    pub(crate) root: PathBuf,
    pub(crate) records: Vec<Record>,
    /// The turn that was cut short, with its settings.
    pub(crate) turn: Option<TurnSettings>,
}

impl Past {
    pub(crate) fn read(layout: &Layout, id: SessionId) -> Result<Self, Failure> {
        let records = codetether_journal::read::<Event>(layout.journal(id))?.records;
        let mut state = State::default();
        records.iter().for_each(|record| state.apply(record));
        let turn = state.turn.filter(|turn| turn.interrupted.is_none()).map(|turn| turn.settings);
        Ok(Self { id, root: PathBuf::from(state.root), records, turn })
    }
}

/// Where it is worked: in which session, in which folder.
pub(crate) struct Venue {
    pub(crate) layout: Layout,
    pub(crate) target: Target,
    /// The folder, where the flags name it.
    pub(crate) named: Option<PathBuf>,
    /// The folder.
    pub(crate) root: PathBuf,
}

impl Venue {
    /// What the flags name.
    pub(crate) fn of(args: &TurnArgs) -> Result<Self, Failure> {
        let layout = Layout::new(place::data_dir()?);
        let here = folder(args.dir.as_deref())?;
        let past = |id: &str| Past::read(&layout, lookup(&layout, id, &here)?);
        let target = match (&args.resume, args.last, &args.fork) {
            (Some(id), ..) => Target::Resume(past(id)?),
            (_, true, _) => Target::Resume(past("last")?),
            (.., Some(id)) => {
                let past = past(id)?;
                let at =
                    args.at.as_deref().map(|step| steps::end(past.id, &past.records, step)).transpose()?;
                Target::Fork(past, at)
            }
            _ => Target::New,
        };
        let named = args.dir.is_some().then(|| here.clone());
        let root = match (&named, &target) {
            (None, Target::Resume(past) | Target::Fork(past, _)) => past.root.clone(),
            _ => here,
        };
        Ok(Self { layout, target, named, root })
    }

    /// What the session has behind it.
    pub(crate) fn past(&self) -> &[Record] {
        match &self.target {
            Target::New => &[],
            Target::Resume(past) => &past.records,
            Target::Fork(past, at) => {
                let shared = past.records.partition_point(|record| at.is_none_or(|at| record.seq <= at));
                past.records.get(..shared).unwrap_or_default()
            }
        }
    }

    /// Opens the session. With `go_on` a turn that was cut short goes on.
    pub(crate) async fn open(self, opening: Opening, go_on: bool) -> Result<Hosted, RunError> {
        match self.target {
            Target::New => opening.create(self.root).await,
            Target::Resume(past) => opening.resume(past.id, self.named, go_on).await,
            Target::Fork(past, at) => opening.fork(past.id, at, self.named).await,
        }
    }
}

/// The settings that hold, flags among them.
pub(crate) fn settings(project: &Project, args: &TurnArgs) -> Result<Settings, Failure> {
    let mut flags = settings::flags(args);
    if args.local {
        flags.model = Some(models::best_embedded()?);
    }
    Ok(settings::load(project, args.set.clone(), flags)?)
}

/// The settings of a turn that begins now; why it is this model and this check, where nobody chose them.
/// `settings` are narrowed by the agent already.
pub(crate) fn turn(
    args: &TurnArgs,
    settings: &Settings,
    (agent, told): (&Agent, &mut Told),
    format: ResponseFormat,
    (root, prompt): (&Path, &str),
) -> Result<(TurnSettings, Option<String>), Failure> {
    let models::Chosen { model, note } = models::chosen(settings)?;
    let (check, found) = checks::settled(args, settings, root)?;
    let confinement = sandbox::confinement(settings)?;
    defined::check_mode(settings, Some(agent), confinement)?;
    let mut turn = settings.turn(model, confinement);
    told.narrow(&mut turn);
    let compaction = compaction(settings, &turn);
    turn.tiers = routing::tiers(settings, &turn.model).map(Box::new);
    let turn = TurnSettings { format, replayed: args.replay.is_some(), compaction, check, ..turn };
    let (turn, of_small) = profile::cut(settings, turn, prompt, root);
    let notes: Vec<String> = note.into_iter().chain(found).chain(of_small).collect();
    Ok((turn, (!notes.is_empty()).then(|| notes.join("\n"))))
}

/// What a session is opened with, and where its model is asked.
pub(crate) struct Composed {
    pub(crate) opening: Opening,
    pub(crate) found: Found,
}

/// Checks that the turn can run, and puts together what a session needs for it.
pub(crate) fn opening(
    args: &TurnArgs,
    settings: &Settings,
    turn: &TurnSettings,
    venue: &Venue,
    audience: Option<Audience>,
    (agent, told): (Option<&Agent>, &Told),
) -> Result<Composed, Failure> {
    keys::redactor().learn(models::secrets(settings));
    let cassettes = cassettes::asked(args, &venue.root)?;
    let found = models::check(settings, &turn.model, &cassettes)?;
    others(turn).try_for_each(|model| models::check_known(settings, model))?;
    // What a turn that goes on may reach is as the settings say now; how it is confined, as it began.
    let confine = sandbox::confine(settings, &venue.root, turn.confinement)
        .map_err(|error| Failure::new(Exit::Usage, format!("the sandbox of the settings: {error}")))?;
    let shell = if confine.is_some() { Shell::Confined } else { Shell::Bare };
    let tools = Builtin::with_web(shell, web(settings)?).with_skills(told.skills());
    defined::check_tools(agent, &tools)?;
    check_tools(turn, &tools)?;
    check_prices(settings, turn)?;
    let parts = Parts {
        tools: Arc::new(tools),
        providers: models::finder(settings, cassettes),
        purse: purse(settings, args.replay.is_some())?,
        environment: Arc::new(codetether_sandbox::environment(std::env::vars_os(), [])),
        limits: Limits::default(),
        tool_room: settings.context.tool_schemas.unwrap_or_default() as usize,
        redactor: keys::redactor(),
        home: std::env::home_dir(),
        instructions: place::instructions().filter(|_| !is_alone(args)),
        confine,
        audit: place::audit(&settings.sandbox)?,
        memory: Some(place::memory(&settings.undo)?),
        hooks: Arc::new(hooks::in_force(settings)),
        rule_file: permissions::rule_file(&venue.root),
        children: Some(children(settings, turn.confinement, &venue.root)),
    };
    let opening = Opening {
        layout: venue.layout.clone(),
        journals: Journals::start()?,
        parts,
        audience,
        build: BUILD.into(),
    };
    Ok(Composed { opening, found })
}

/// Whether requests must be the same for others: they are recorded, or were.
pub(crate) fn is_alone(args: &TurnArgs) -> bool {
    args.record.is_some() || args.replay.is_some()
}

/// Checks that a turn with other settings can run in a session that is open already.
pub(crate) fn check(settings: &Settings, turn: &TurnSettings, told: &Told) -> Result<(), Failure> {
    models::check(settings, &turn.model, &Cassettes::default())?;
    others(turn).try_for_each(|model| models::check_known(settings, model))?;
    check_tools(turn, &told.tools())?;
    check_prices(settings, turn)
}

/// What a person should know before commands run: gaps of the sandbox, or that there is one. Empty where that was said before.
pub(crate) fn note(layout: &Layout, turn: &TurnSettings) -> String {
    match sandbox::caveat(turn.confinement) {
        Some(caveat) => format!("{caveat}\n"),
        None if !layout.sessions().exists() => {
            let small = match turn.is_small(&turn.model) {
                true => of_small(&turn.model),
                false => String::new(),
            };
            format!("{small}{FIRST}")
        }
        None => String::new(),
    }
}

/// What a person should know who runs it for the first time.
const FIRST: &str = "note: this is the first run here. Commands run in a sandbox: they change this folder alone, and reach no \
     network. `codetether undo` takes back what they change; `--mode ask` asks before each.\n";

/// What a person should know of a small model.
fn of_small(model: &ModelId) -> String {
    // One of a server may be small too, by the settings.
    let size = models_files::size_of(model);
    let size = size.map(|size| format!(" ({size}, on this machine)")).unwrap_or_default();
    format!(
        "note: `{model}`{size} is a small model. It makes small files, mends a line that a test tells wrong, \
         and answers where something is; leave larger work to a larger one: set a key, such as `ANTHROPIC_API_KEY`, or \
         `codetether auth login`, and choose that with `-m`.\n"
    )
}

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot start the runtime: {error}")))
}

/// What children are made of: in a worktree they are confined as the settings say, and read what it borrows.
fn children(settings: &Settings, confinement: Confinement, root: &Path) -> Children {
    let (settings, root) = (settings.clone(), root.to_owned());
    let agents = move |name: &str| codetether_agent::built_in(name).or_else(|_| defined::child(&root, name));
    let confine = move |root: &Path, readable: &[PathBuf]| {
        let mut confine = sandbox::confine(&settings, root, confinement)?;
        if let Some(confine) = &mut confine {
            for path in readable {
                let grant = |policy: &mut codetether_sandbox::Policy| policy.grant_read(path, "a worktree");
                grant(&mut confine.writing)
                    .and_then(|()| grant(&mut confine.reading))
                    .map_err(|e| e.to_string())?;
            }
        }
        Ok(confine)
    };
    Children { agents: Arc::new(agents), confine: Arc::new(confine) }
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

/// The models that may be asked besides the turn's own.
pub(crate) fn others(turn: &TurnSettings) -> impl Iterator<Item = &ModelId> {
    let tiers = turn.tiers.iter().flat_map(|tiers| tiers.all()).map(|(_, candidate)| &candidate.model);
    turn.fallback.iter().chain(tiers.filter(|model| **model != turn.model))
}

/// Whether a limit of money can hold for the models that may be asked.
fn check_prices(settings: &Settings, turn: &TurnSettings) -> Result<(), Failure> {
    if turn.max_cost.is_none() || turn.allow_unknown_price {
        return Ok(());
    }
    let models = std::iter::once(&turn.model).chain(others(turn));
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

/// What of the web can be read: through the proxy of this machine, and what is private only as the settings say.
fn web(settings: &Settings) -> Result<WebFetch, Failure> {
    let named = settings.web.allow_private.iter().flat_map(|hosts| &hosts.0).map(String::as_str);
    let private = PrivateHosts::parse(named)
        .map_err(|problem| Failure::new(Exit::Usage, format!("`web.allow_private`: {problem}")))?;
    Ok(WebFetch::new(private, Upstream::from_env(|name| std::env::var(name).ok())))
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
