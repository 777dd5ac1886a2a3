//! What is defined in markdown, at the edge of the program: where it is looked for, what of it holds in a run, and what is
//! said of it.

use std::path::{Path, PathBuf};

use codetether_builtin::{Builtin, SkillFiles, SkillFolder};
use codetether_config::Settings;
use codetether_config::defined::{
    self, Agent, BUILD, Command, CommandError, Defined, FindError, Places, Skill,
};
use codetether_event::{Confinement, ToolName, TurnSettings};
use codetether_tool::ToolSource;

use crate::exit::{Exit, Failure};
use crate::run::Prompt;
use crate::trust::Project;
use crate::{keys, place, printer};

/// The tool that loads skills.
const SKILL: &str = "skill";

/// The user's own folders.
pub(crate) struct Own {
    user: Option<PathBuf>,
    home: Option<PathBuf>,
}

impl Own {
    /// This user's.
    pub(crate) fn here() -> Self {
        let user = place::config_file().and_then(|file| file.parent().map(PathBuf::from));
        Self { user, home: std::env::home_dir() }
    }

    /// Where definitions are looked for in a project.
    pub(crate) fn places<'a>(&'a self, project: &'a Project) -> Places<'a> {
        Places {
            user: self.user.as_deref(),
            home: self.home.as_deref(),
            project: project.files(),
            trusted: project.trusted(),
        }
    }
}

impl From<FindError> for Failure {
    fn from(error: FindError) -> Self {
        match error {
            FindError::Unknown { message, help } => {
                Self::with_help(Exit::Usage, printer::plain(&message), printer::plain(&help))
            }
            FindError::Broken(error) => error.into(),
        }
    }
}

/// A prompt with its command in its place, if it begins with one.
pub(crate) fn expanded(
    places: Places<'_>,
    prompt: Prompt,
    quiet: bool,
) -> Result<(Prompt, Option<Command>), Failure> {
    if prompt.is_text {
        return Ok((prompt, None));
    }
    let expanded = defined::expand(places, &prompt.said).map_err(|error| match error {
        CommandError::Find(FindError::Unknown { message, help }) => {
            let help = format!("{help}\nto send it as text, put a blank before it, or write `run -- \"/…\"`");
            Failure::with_help(Exit::Usage, printer::plain(&message), printer::plain(&help))
        }
        CommandError::Find(error) => error.into(),
        CommandError::TooLong { name } => Failure::with_help(
            Exit::Usage,
            format!("what comes of `/{name}` is longer than 1 MiB"),
            "say less behind it, or name a file with `@`",
        ),
    })?;
    let Some(expanded) = expanded else { return Ok((prompt, None)) };
    if expanded.shell > 0 && !quiet {
        printer::err(&format!(
            "note: `/{}` holds shell commands (!`…`), which are not run: they stay text\n",
            expanded.command.name
        ));
    }
    Ok((prompt.made(expanded.text), Some(expanded.command)))
}

/// The agent of a turn, by the flag, the command or the settings; these are narrowed by what it says.
pub(crate) fn chosen(
    places: Places<'_>,
    settings: &mut Settings,
    command: Option<&Command>,
) -> Result<Agent, Failure> {
    let of_command =
        command.and_then(|command| command.agent.clone()).filter(|_| !settings.is_by_flag("agent"));
    let name = of_command.or_else(|| settings.agent.clone()).unwrap_or_else(|| BUILD.to_owned());
    let agent = defined::agent(places, &name)?;
    settings.narrow(&agent);
    let model = command.and_then(|command| command.model.as_ref()).filter(|_| !settings.is_by_flag("model"));
    if let Some(model) = model {
        settings.model = Some(model.id());
        settings.is_model_named = true;
    }
    Ok(agent)
}

/// What a child is that is to be an agent of the user's or the project's: told of its part as any child is, then by its own
/// prompt. Read when it is asked for; what a project defines has to be trusted then.
pub(crate) fn child(root: &Path, name: &str) -> Result<codetether_agent::Agent, String> {
    let general = codetether_agent::built_in("general")?;
    let (project, own) = (Project::at(root), Own::here());
    let agent = defined::agent(own.places(&project), name).map_err(|error| match error {
        FindError::Unknown { .. } => {
            let others = defined::agents(own.places(&project)).all;
            let others = others.into_iter().map(|agent| agent.name).filter(|name| name != "explore");
            let names: Vec<String> =
                ["explore".to_owned(), "general".to_owned()].into_iter().chain(others).collect();
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            format!("there is no agent `{name}`; there is {}", names.join(", "))
        }
        FindError::Broken(error) => error.to_string(),
    })?;
    Ok(codetether_agent::Agent {
        name: agent.name,
        instructions: format!("{}\n\n{}", general.instructions, agent.prompt).trim_end().to_owned(),
        mode: agent.mode,
        tools: agent.tools.map(|tools| tools.into_iter().map(ToolName::new).collect()),
        model: agent.model.map(|model| model.id()),
        max_steps: agent.steps,
    })
}

/// An agent narrows what the user allows, and never widens it.
pub(crate) fn check_mode(
    settings: &Settings,
    agent: Option<&Agent>,
    confinement: Confinement,
) -> Result<(), Failure> {
    let Some((agent, (wants, yours))) = agent.zip(settings.widened(confinement)) else { return Ok(()) };
    Err(Failure::with_help(
        Exit::Usage,
        format!("agent `{}` asks for mode `{wants}`, which is wider than yours, `{yours}`", agent.name),
        format!(
            "allow it yourself with `--mode {wants}`, or take `mode` out of `{}`",
            printer::plain(&agent.from.path.display().to_string())
        ),
    ))
}

/// Whether the tools that an agent names are there.
pub(crate) fn check_tools(agent: Option<&Agent>, tools: &Builtin) -> Result<(), Failure> {
    let Some(agent) = agent else { return Ok(()) };
    let mut there: Vec<String> = tools.manifest().into_iter().map(|spec| spec.name.to_string()).collect();
    if !there.iter().any(|tool| tool == SKILL) {
        there.push(SKILL.to_owned());
    }
    match agent.tools.iter().flatten().find(|tool| !there.contains(tool)) {
        None => Ok(()),
        Some(unknown) => {
            let names: Vec<String> = there.iter().map(|tool| format!("`{tool}`")).collect();
            Err(Failure::with_help(
                Exit::Usage,
                format!(
                    "agent `{}` names a tool `{}`, which there is not",
                    agent.name,
                    printer::plain(unknown)
                ),
                format!("there is {}", names.join(", ")),
            ))
        }
    }
}

/// The skills of a run, and what the model is told of them.
pub(crate) struct Told {
    skills: Vec<Skill>,
    /// Whether the model is offered them.
    offered: bool,
    quiet: bool,
}

impl Told {
    /// Reads the skills; those that cannot be used are said. Where a run is to be the same for others, the user's own are
    /// left out.
    pub(crate) fn of(places: Places<'_>, alone: bool, quiet: bool) -> Self {
        let places = if alone { Places { user: None, home: None, ..places } } else { places };
        let Defined { all, broken } = defined::skills(places);
        if !quiet {
            for error in broken {
                printer::err(&format!("note: {}: it is left out\n", printer::plain(&error.to_string())));
            }
        }
        Self { skills: all, offered: true, quiet }
    }

    /// Takes the tool out of what the turn offers where there are no skills, and the skills where it does not offer it.
    pub(crate) fn narrow(&mut self, turn: &mut TurnSettings) {
        if let Some(tools) = &mut turn.tools {
            self.offered = tools.iter().any(|tool| tool.as_str() == SKILL);
            if self.skills.is_empty() {
                tools.retain(|tool| tool.as_str() != SKILL);
            }
        }
    }

    /// All tools that there are with them.
    pub(crate) fn tools(&self) -> Builtin {
        Builtin::new(codetether_builtin::Shell::Bare).with_skills(self.skills())
    }

    /// For the tool.
    pub(crate) fn skills(&self) -> Vec<SkillFolder> {
        let folder = |skill: &Skill| SkillFolder {
            name: skill.name.clone(),
            body: skill.body.clone(),
            from: skill.from.path.display().to_string(),
            files: match &skill.files {
                defined::SkillFiles::Held(files) => SkillFiles::Held(files.clone()),
                defined::SkillFiles::There(folder) => SkillFiles::There(folder.clone()),
            },
        };
        self.skills.iter().map(folder).collect()
    }

    /// What the system prompt says besides its own text.
    pub(crate) fn supplement(&self, agent: &Agent) -> Option<String> {
        let told = defined::told(&self.skills).filter(|_| self.offered);
        if let Some(told) = told.as_ref().filter(|told| !told.left_out.is_empty() && !self.quiet) {
            printer::err(&format!(
                "note: there are many skills: the model is not told what {} of them are for\n",
                told.left_out.len()
            ));
        }
        let prompt =
            Some(agent.prompt.clone()).filter(|prompt| !prompt.is_empty()).map(|text| format!("{text}\n"));
        let parts: Vec<String> = prompt.into_iter().chain(told.map(|told| told.text)).collect();
        let text = Some(parts.join("\n")).filter(|text| !text.is_empty())?;
        Some(keys::redactor().redact(&text).into_owned())
    }
}
