//! Agents: a prompt and narrower bounds. An agent takes away from what the user's settings allow and adds nothing: no
//! wider mode, no tool, no longer limit. Its prompt stands behind the system prompt, never in its place.

use std::path::Path;
use std::str::FromStr;

use codetether_event::Mode;

use crate::defined::front::{Front, Strictness};
use crate::defined::places::{Content, Entry, beside, broken, entries, unknown};
use crate::defined::{Defined, FindError, Kind, Level, Place, Places};
use crate::{ConfigError, Dollars, Model, Seconds};

/// The agent in force where none is chosen.
pub const BUILD: &str = "build";

/// The agents that are built in.
const BUILT_IN: [(&str, &str); 3] = [
    (BUILD, include_str!("../../../../prompts/agents/build.md")),
    ("explore", include_str!("../../../../prompts/agents/explore.md")),
    ("plan", include_str!("../../../../prompts/agents/plan.md")),
];

/// Longest prompt, in bytes: it is sent with every request.
const PROMPT: usize = 64 << 10;

/// The keys of an agent's file.
const KEYS: [&str; 6] = ["description", "model", "tools", "mode", "limits", "output_schema"];

/// An agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Its name.
    pub name: String,
    /// What it is for, in a line.
    pub description: String,
    /// The model that it is asked with, where no flag names one.
    pub model: Option<Model>,
    /// The tools that it is offered, of those that the settings offer; all of them where nothing is said.
    pub tools: Option<Vec<String>>,
    /// What may happen without asking.
    pub mode: Option<Mode>,
    /// Most answers of a turn.
    pub steps: Option<u32>,
    /// Longest time of a turn.
    pub time: Option<Seconds>,
    /// Most money of a turn.
    pub cost: Option<Dollars>,
    /// What its last answer must be.
    pub output_schema: Option<OutputSchema>,
    /// What the model is told behind the system prompt.
    pub prompt: String,
    /// Where it is from.
    pub from: Place,
}

/// A JSON Schema, not read yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputSchema {
    /// Its text.
    pub text: String,
    /// Where it stands.
    pub from: String,
}

/// A mode by its name.
struct Named(Mode);

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let modes = [Mode::Plan, Mode::Ask, Mode::AutoEdit, Mode::Bypass];
        let mode = modes.into_iter().find(|mode| mode.as_str() == text);
        mode.map(Self).ok_or_else(|| format!("`{}` is no mode", crate::problem::brief(text)))
    }
}

/// All agents.
#[must_use]
pub fn agents(places: Places<'_>) -> Defined<Agent> {
    let mut problems = Vec::new();
    let entries = all(places, &mut problems);
    let mut defined = Defined { all: Vec::new(), broken: broken(problems, Kind::Agents) };
    for entry in entries.values() {
        match read(entry, places) {
            Ok(agent) => defined.all.push(agent),
            Err(error) => defined.broken.push(error),
        }
    }
    defined
}

/// The agent of this name.
///
/// # Errors
/// When there is none, or its file is wrong.
pub fn agent(places: Places<'_>, name: &str) -> Result<Agent, FindError> {
    let entries = all(places, &mut Vec::new());
    match entries.get(name) {
        Some(entry) => read(entry, places).map_err(FindError::Broken),
        None => Err(unknown(Kind::Agents, places, name, entries.keys().map(String::as_str))),
    }
}

fn all<'a>(
    places: Places<'a>,
    problems: &mut Vec<crate::Problem>,
) -> std::collections::BTreeMap<String, Entry<'a>> {
    let built_in = |(name, text): (&str, &'static str)| {
        let from = Place { level: Level::BuiltIn, foreign: false, path: Path::new("").to_owned() };
        (name.to_owned(), Entry { name: name.to_owned(), from, content: Content::BuiltIn(text) })
    };
    let mut all: std::collections::BTreeMap<_, _> = BUILT_IN.into_iter().map(built_in).collect();
    all.extend(entries(Kind::Agents, places, problems));
    all
}

fn read(entry: &Entry<'_>, places: Places<'_>) -> Result<Agent, ConfigError> {
    let text = entry.text(Kind::Agents)?;
    let mut front = Front::read(&entry.from.path, &text, Strictness::Ours);
    let prompt = front.body.trim().to_owned();
    let description = front.string("description");
    let model = front.parsed("model", "write it as `provider/model`, such as `openai/gpt-5`");
    let tools = front.items("tools").map(|items| items.into_iter().map(|item| item.text).collect());
    let mode = front.parsed::<Named>("mode", "write `plan`, `ask`, `auto-edit` or `bypass`");
    let limits = front.inside("limits", &["steps", "time", "cost"], |front| {
        let steps = front.parsed("steps", "write a number of answers, such as `20`");
        let time = front.parsed("time", "write a duration, such as `10m`");
        let cost = front.parsed("cost", "write a number of dollars, such as `0.50`");
        (steps, time, cost)
    });
    let (steps, time, cost) = limits.unwrap_or_default();
    let output_schema = front.placed("output_schema").and_then(|value| {
        let path = entry.from.path.display().to_string();
        if value.text.starts_with('{') {
            return Some(OutputSchema { text: value.text, from: path });
        }
        let found = beside(places, &entry.from, &value.text);
        match found.and_then(|bytes| String::from_utf8(bytes).map_err(|_| "it is not UTF-8".into())) {
            Ok(text) => {
                let from = entry.from.path.with_file_name(&value.text).display().to_string();
                Some(OutputSchema { text, from })
            }
            Err(problem) => {
                let help =
                    "name a file beside the agent's, or write the schema here: `{\"type\": \"object\", …}`";
                front.problem(value.span, format!("`output_schema`: {problem}"), Some(help));
                None
            }
        }
    });
    if prompt.len() > PROMPT {
        front.missing(
            format!("its prompt is longer than {} KiB", PROMPT >> 10),
            "shorten it, or make a skill of it",
        );
    }
    front.end(&entry.called(Kind::Agents), &KEYS)?;
    let description = description.unwrap_or_else(|| first_line(&prompt));
    Ok(Agent {
        name: entry.name.clone(),
        description,
        model,
        tools,
        mode: mode.map(|mode| mode.0),
        steps,
        time,
        cost,
        output_schema,
        prompt,
        from: entry.from.clone(),
    })
}

/// The first line of a text that says something.
pub(crate) fn first_line(text: &str) -> String {
    let line = text.lines().map(|line| line.trim_start_matches('#').trim()).find(|line| !line.is_empty());
    crate::problem::brief(line.unwrap_or_default())
}
