//! `codetether hooks …`: which hooks there are, and whether they are in force.

use std::path::PathBuf;

use clap::Subcommand;
use codetether_config::{Layer, SourcedHook, Why};
use serde_json::json;

use crate::exit::{Exit, Failure};
use crate::trust::Project;
use crate::{printer, settings};

#[derive(Debug, Subcommand)]
pub(crate) enum HooksCommand {
    /// List the hooks there are here, in the order in which they run, with where each is from and whether it is in force.
    List {
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
        /// As if working in this folder.
        #[arg(short = 'C', long = "dir", value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
        dir: Option<PathBuf>,
    },
}

pub(crate) fn run(command: HooksCommand) -> Result<Exit, Failure> {
    let HooksCommand::List { json, dir } = command;
    let project = Project::at(&crate::run::folder(dir.as_deref())?);
    let settings = settings::load(&project, Vec::new(), Layer::default())?;
    let mut hooks: Vec<&SourcedHook> = settings.hooks.iter().collect();
    // Those of a point stay in the order of the layers.
    hooks.sort_by_key(|hook| hook.point);
    let mut text: String = hooks.into_iter().map(if json { object } else { line }).collect();
    if text.is_empty() && !json {
        text.push_str("no hooks\n");
    }
    printer::out(&text)?;
    printer::err(&project.left_out(&settings));
    Ok(Exit::Done)
}

fn why_not(hook: &SourcedHook) -> Option<&'static str> {
    hook.left_out.map(|why| match why {
        Why::Untrusted => "the folder is not trusted",
        Why::Wider => "it would widen what you set",
    })
}

fn object(hook: &SourcedHook) -> String {
    let line = json!({
        "point": hook.point,
        "matcher": hook.matcher,
        "command": hook.command,
        "timeout": hook.timeout.0,
        "from": hook.origin.to_string(),
        "file": hook.origin.file.as_ref().map(|file| file.to_string_lossy().into_owned()),
        "line": hook.origin.line,
        "in_force": hook.left_out.is_none(),
        "why_not": why_not(hook),
    });
    format!("{line}\n")
}

fn line(hook: &SourcedHook) -> String {
    let shown = |text: &str| printer::plain(text).replace('\n', " ");
    let matcher =
        hook.matcher.as_deref().map(|matcher| format!(" for {}", shown(matcher))).unwrap_or_default();
    let out = why_not(hook).map(|why| format!(", not in force: {why}")).unwrap_or_default();
    let (command, origin) = (shown(&hook.command), shown(&hook.origin.to_string()));
    format!("{}{matcher}: {command}    ({origin}, {}{out})\n", hook.point, hook.timeout)
}
