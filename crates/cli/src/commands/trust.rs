//! `codetether trust …`: what the user decided about folders' own files, and deciding it.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueHint};
use codetether_config::trust::{Decision, TrustStore, Verdict};
use serde_json::json;

use crate::commands::session::time;
use crate::exit::{Exit, Failure};
use crate::trust::{Project, diffs, failed};
use crate::{place, printer};

/// What there is where nothing is to be trusted.
const NOTHING: &str =
    "no files of its own in `.codetether`, and no skills or commands in `.claude` or `.agents`";

#[derive(Debug, Args)]
pub(crate) struct TrustArgs {
    #[command(subcommand)]
    command: Option<TrustCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TrustCommand {
    /// List what was decided, by folder.
    List {
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Trust a folder's own files as they are now.
    Add {
        /// The folder; without it the current one.
        #[arg(value_hint = ValueHint::DirPath)]
        dir: Option<PathBuf>,
    },
    /// Forget what was decided about a folder.
    Remove {
        /// The folder; without it the current one.
        #[arg(value_hint = ValueHint::DirPath)]
        dir: Option<PathBuf>,
    },
    /// Show a folder's own files, what they would do, and whether they may.
    Show {
        /// The folder; without it the current one.
        #[arg(value_hint = ValueHint::DirPath)]
        dir: Option<PathBuf>,
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(args: TrustArgs) -> Result<Exit, Failure> {
    match args.command.unwrap_or(TrustCommand::Show { dir: None, json: false }) {
        TrustCommand::List { json } => list(json),
        TrustCommand::Add { dir } => add(dir.as_deref()),
        TrustCommand::Remove { dir } => remove(dir.as_deref()),
        TrustCommand::Show { dir, json } => show(dir.as_deref(), json),
    }
}

fn project(dir: Option<&Path>) -> Result<Project, Failure> {
    let dir = dir.unwrap_or(Path::new("."));
    let root = dir.canonicalize().map_err(|error| {
        Failure::with_help(
            Exit::Usage,
            format!("cannot find `{}`: {error}", dir.display()),
            "name a folder that exists",
        )
    })?;
    Ok(Project::at(&root))
}

fn list(as_json: bool) -> Result<Exit, Failure> {
    let mut text = String::new();
    for kept in TrustStore::new(&place::data_dir()?).list().map_err(failed)? {
        if as_json {
            let object = json!({ "folder": kept.folder, "decision": kept.decision, "at": kept.at });
            text.push_str(&format!("{object}\n"));
        } else {
            let folder = printer::plain(&kept.folder).replace('\n', " ");
            text.push_str(&format!("{:<8} {}  {folder}\n", name(kept.decision), time(kept.at)));
        }
    }
    printer::out(&text)?;
    Ok(Exit::Done)
}

fn add(dir: Option<&Path>) -> Result<Exit, Failure> {
    let mut project = project(dir)?;
    let folder = printer::plain(&project.files().root().display().to_string());
    if project.files().files().is_empty() && project.files().flaw().is_none() {
        printer::out(&format!("there is nothing to trust in `{folder}`: it has {NOTHING}\n"))?;
        return Ok(Exit::Done);
    }
    project.decide(Decision::Trusted)?;
    printer::out(&format!("trusted, as they are now: the files of `{folder}`\n{}", project.listing()))?;
    Ok(Exit::Done)
}

fn remove(dir: Option<&Path>) -> Result<Exit, Failure> {
    let dir = dir.unwrap_or(Path::new("."));
    // Also one that is gone.
    let root = dir.canonicalize().or_else(|_| std::path::absolute(dir)).unwrap_or_else(|_| dir.to_owned());
    let folder = printer::plain(&root.display().to_string());
    if TrustStore::new(&place::data_dir()?).forget(&root).map_err(failed)? {
        printer::out(&format!("forgot what was decided about `{folder}`\n"))?;
        return Ok(Exit::Done);
    }
    Err(Failure::with_help(
        Exit::Failed,
        format!("nothing was decided about `{folder}`"),
        "`codetether trust list` shows what was",
    ))
}

fn show(dir: Option<&Path>, as_json: bool) -> Result<Exit, Failure> {
    let project = project(dir)?;
    let text = if as_json { format!("{}\n", object(&project)) } else { description(&project) };
    printer::out(&text)?;
    Ok(Exit::Done)
}

fn name(decision: Decision) -> &'static str {
    match decision {
        Decision::Trusted => "trusted",
        Decision::Refused => "refused",
    }
}

/// One word for how it stands.
fn state(project: &Project) -> &'static str {
    match project.verdict() {
        Verdict::Flawed(_) => "flawed",
        _ if project.files().files().is_empty() => "none",
        Verdict::Trusted => "trusted",
        Verdict::Refused => "refused",
        Verdict::Changed(_) => "changed",
        Verdict::Unknown => "undecided",
    }
}

fn description(project: &Project) -> String {
    let folder = printer::plain(&project.files().root().display().to_string());
    let head = match (project.verdict(), state(project)) {
        (_, "none") => return format!("`{folder}` has {NOTHING}\n"),
        (Verdict::Flawed(flaw), _) => {
            let flaw = printer::plain(&flaw.to_string());
            format!("the files of `{folder}` cannot be trusted: {flaw}\n")
        }
        (Verdict::Trusted, _) => format!("you trust the files of `{folder}`\n"),
        (Verdict::Refused, _) => format!("you refused to trust the files of `{folder}`\n"),
        (Verdict::Changed(kept), _) => format!(
            "the files of `{folder}` have changed since you {} them on {}\n",
            name(kept.decision),
            time(kept.at)
        ),
        (Verdict::Unknown, _) if project.files().have_power() => {
            format!("the files of `{folder}` are not trusted; `codetether trust add` trusts them\n")
        }
        (Verdict::Unknown, _) => {
            format!("the files of `{folder}` only narrow what may happen: they need no trust\n")
        }
    };
    format!("{head}{}{}", project.listing(), diffs(&project.changes()))
}

fn object(project: &Project) -> serde_json::Value {
    let files = project.files();
    let sets: serde_json::Map<String, serde_json::Value> = files
        .powers()
        .iter()
        .map(|(key, value)| ((*key).to_owned(), serde_json::to_value(value).unwrap_or_default()))
        .collect();
    let listed: Vec<serde_json::Value> = files
        .files()
        .iter()
        .map(|file| json!({ "path": file.path.to_string_lossy(), "kind": file.kind, "bytes": file.content.len() }))
        .collect();
    let changes: Vec<serde_json::Value> = project
        .changes()
        .iter()
        .map(|change| json!({ "path": change.path, "what": change.what, "diff": change.diff }))
        .collect();
    json!({
        "folder": files.root().to_string_lossy(),
        "state": state(project),
        "flaw": files.flaw().map(ToString::to_string),
        "hash": files.hash().to_string(),
        "needs_trust": files.have_power(),
        "sets": sets,
        "files": listed,
        "changes": changes,
    })
}
