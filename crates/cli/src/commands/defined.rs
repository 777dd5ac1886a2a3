//! `codetether agents|skills|commands …`: what is defined, and where.

use std::fmt::Write as _;

use clap::Subcommand;
use codetether_config::ConfigError;
use codetether_config::defined::{self, Agent, Command, Kind, Place, Places, Skill, SkillFiles};
use serde_json::{Value, json};

use crate::defined::Own;
use crate::exit::{Exit, Failure};
use crate::printer;
use crate::trust::Project;

/// Widest name that others are lined up with.
const WIDTH: usize = 24;

#[derive(Debug, Subcommand)]
pub(crate) enum DefinedCommand {
    /// List them, with where they are from.
    List {
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Show one, whole.
    Show {
        /// Its name.
        name: String,
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
}

/// One of them, as it is shown.
struct Shown {
    name: String,
    description: String,
    from: Place,
    /// What else its head says.
    says: Vec<(&'static str, Value)>,
    /// What is below it.
    text: (&'static str, String),
}

pub(crate) fn run(kind: Kind, command: DefinedCommand) -> Result<Exit, Failure> {
    let root = crate::run::folder(None)?;
    let project = Project::at(&root);
    let own = Own::here();
    let places = own.places(&project);
    match command {
        DefinedCommand::List { json } => list(kind, places, json),
        DefinedCommand::Show { name, json } => {
            let name = if kind == Kind::Commands { name.trim_start_matches('/') } else { &name };
            let shown = match kind {
                Kind::Agents => agent(places, name)?,
                Kind::Skills => defined::skill(places, name)?.into(),
                Kind::Commands => defined::command(places, name)?.into(),
            };
            show(&shown, json)
        }
    }
}

fn agent(places: Places<'_>, name: &str) -> Result<Shown, Failure> {
    match defined::agent(places, name) {
        Err(_) if name == "general" => Err(Failure::with_help(
            Exit::Usage,
            "`general` is no agent to choose: it is what a child is that the model starts without naming an agent",
            "it may do what its parent may; `codetether agents list` shows the agents to choose from",
        )),
        found => Ok(found?.into()),
    }
}

fn all<T: Into<Shown>>(defined: defined::Defined<T>) -> (Vec<Shown>, Vec<ConfigError>) {
    (defined.all.into_iter().map(Into::into).collect(), defined.broken)
}

fn list(kind: Kind, places: Places<'_>, as_json: bool) -> Result<Exit, Failure> {
    let (all, broken) = match kind {
        Kind::Agents => all(defined::agents(places)),
        Kind::Skills => all(defined::skills(places)),
        Kind::Commands => all(defined::commands(places)),
    };
    let width = all.iter().map(|one| one.name.len()).max().unwrap_or(0).min(WIDTH);
    let mut text = String::new();
    for one in &all {
        if as_json {
            let _ = writeln!(text, "{}", one.object(false));
        } else {
            let slash = if kind == Kind::Commands { "/" } else { "" };
            let line = format!("{slash}{:<width$}  {}  ({})", one.name, one.description, one.from);
            let _ = writeln!(text, "{}", printer::plain(&line).replace('\n', " "));
        }
    }
    printer::out(&text)?;
    let left: Vec<String> = defined::left_out(kind, places)
        .iter()
        .map(|(name, _)| format!("`{}`", printer::plain(name)))
        .collect();
    if text.is_empty() && left.is_empty() && broken.is_empty() && !as_json {
        let file = match kind {
            Kind::Agents => "agents/NAME.md",
            Kind::Skills => "skills/NAME/SKILL.md",
            Kind::Commands => "commands/NAME.md",
        };
        printer::err(&format!(
            "note: there are none; one is `{file}` beside your settings or in `.codetether`\n"
        ));
    }
    if !left.is_empty() {
        printer::err(&format!(
            "note: the project's own files are not trusted: left out {}; `codetether trust` shows them\n",
            left.join(", ")
        ));
    }
    if broken.is_empty() {
        return Ok(Exit::Done);
    }
    for error in broken {
        Failure::from(error).report();
    }
    Ok(Exit::Failed)
}

fn show(shown: &Shown, as_json: bool) -> Result<Exit, Failure> {
    if as_json {
        printer::out(&format!("{}\n", shown.object(true)))?;
        return Ok(Exit::Done);
    }
    let mut text = format!("{}: {}\nfrom: {}\n", shown.name, shown.description, shown.from);
    for (key, value) in &shown.says {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Array(items) => {
                items.iter().map(|item| item.as_str().unwrap_or_default()).collect::<Vec<_>>().join(", ")
            }
            other => other.to_string(),
        };
        let _ = writeln!(text, "{key}: {value}");
    }
    let _ = writeln!(text, "\n{}", shown.text.1);
    printer::out(&printer::plain(&text))?;
    Ok(Exit::Done)
}

impl Shown {
    fn object(&self, whole: bool) -> Value {
        let mut object = json!({
            "name": self.name,
            "description": self.description,
            "level": self.from.level.as_str(),
            "foreign": self.from.foreign,
            "path": self.from.path.to_string_lossy(),
        });
        if let Some(object) = object.as_object_mut() {
            let says = self.says.iter().map(|(key, value)| ((*key).to_owned(), value.clone()));
            object.extend(says);
            if whole {
                object.insert(self.text.0.to_owned(), self.text.1.clone().into());
            }
        }
        object
    }
}

/// What is there of these.
fn said<const N: usize>(pairs: [(&'static str, Option<Value>); N]) -> Vec<(&'static str, Value)> {
    pairs.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

impl From<Agent> for Shown {
    fn from(agent: Agent) -> Self {
        let limits = said([
            ("limits.steps", agent.steps.map(Value::from)),
            ("limits.time", agent.time.map(|time| time.to_string().into())),
            ("limits.cost", agent.cost.map(|cost| json!(cost))),
        ]);
        let mut says = said([
            ("mode", agent.mode.map(|mode| mode.as_str().into())),
            ("model", agent.model.map(|model| model.to_string().into())),
            ("tools", agent.tools.map(Value::from)),
        ]);
        says.extend(limits);
        says.extend(agent.output_schema.map(|schema| ("output_schema", schema.from.into())));
        Self {
            name: agent.name,
            description: agent.description,
            from: agent.from,
            says,
            text: ("prompt", agent.prompt),
        }
    }
}

impl From<Skill> for Shown {
    fn from(skill: Skill) -> Self {
        let files = match skill.files {
            SkillFiles::Held(files) => files.into_iter().map(|(name, _)| name).collect(),
            SkillFiles::There(_) => Vec::new(),
        };
        let others: Vec<String> = files.into_iter().filter(|name| name != "SKILL.md").collect();
        let says = said([("files", (!others.is_empty()).then(|| others.into()))]);
        Self {
            name: skill.name,
            description: skill.description,
            from: skill.from,
            says,
            text: ("body", skill.body),
        }
    }
}

impl From<Command> for Shown {
    fn from(command: Command) -> Self {
        let says = said([
            ("argument-hint", command.argument_hint.map(Value::from)),
            ("agent", command.agent.map(Value::from)),
            ("model", command.model.map(|model| model.to_string().into())),
        ]);
        Self {
            name: command.name,
            description: command.description,
            from: command.from,
            says,
            text: ("template", command.template),
        }
    }
}
