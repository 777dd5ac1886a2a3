//! `codetether sandbox explain`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;
use codetether_config::Layer;
use codetether_event::Confinement;
use codetether_sandbox::proxy::Place;
use codetether_sandbox::{Answer, Fault, Host, Plan, Policy, Words, explain_host, summary};

use super::PolicyArgs;
use crate::exit::{Exit, Failure};
use crate::trust::Project;
use crate::{printer, settings};

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    policy: PolicyArgs,

    /// Leave the settings out: what `sandbox run` with these flags alone would do.
    #[arg(long)]
    flags_only: bool,

    /// A path, or the name of a host. What has a `/` in it or is there is a path.
    #[arg(value_name = "PATH|HOST", conflicts_with = "command")]
    what: Option<PathBuf>,

    /// A command.
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub(crate) fn run(args: &ExplainArgs) -> Result<Exit, Failure> {
    let here = std::env::current_dir()
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot find the current folder: {error}")))?;
    let policy = if args.flags_only {
        args.policy.policy(&here).map_err(|error| Failure::new(Exit::Usage, error.to_string()))?
    } else {
        of_agent(args, &here)?
    };
    let words = if args.flags_only { Words::Flags } else { Words::Keys };
    let host = Host::here();
    let plan = Plan::to_explain(&policy, &host).map_err(failure)?;
    let answer = match (&args.what, args.command.first()) {
        (Some(what), _) => about(what, &policy, &plan, words)?,
        (None, Some(program)) => plan.explain_command(Path::new(program), words),
        (None, None) => {
            printer::out(&format!("{}\n", summary(&policy, &plan, &host).join("\n")))?;
            return Ok(Exit::Done);
        }
    };
    let cure = answer.cure.map(|cure| format!("\n{cure}")).unwrap_or_default();
    let is_denied = answer.may == "nothing";
    let may = if is_denied { "denied" } else { answer.may };
    printer::out(&format!("{may}: {}{cure}\n", answer.why))?;
    if let Some(what) = &args.what {
        printer::err(&meant(what));
    }
    Ok(if is_denied { Exit::Refused } else { Exit::Done })
}

/// What the agent's commands may do here, with the flags over it.
fn of_agent(args: &ExplainArgs, here: &Path) -> Result<Policy, Failure> {
    let root = here.canonicalize().unwrap_or_else(|_| here.to_owned());
    let settings = settings::load(&Project::at(&root), Vec::new(), Layer::default())?;
    let confinement = match super::confinement(&settings)? {
        Confinement::None => {
            printer::err(
                "note: the agent's commands are not confined, as your settings say; this is what they could do if they were\n",
            );
            Confinement::Namespaces
        }
        confinement => confinement,
    };
    let policy = args.policy.policy_of_agent(&settings, &root, confinement);
    policy.map_err(|error| Failure::new(Exit::Usage, error))
}

fn about(what: &Path, policy: &Policy, plan: &Plan, words: Words) -> Result<Answer, Failure> {
    match what.to_str() {
        Some(host) if !host.contains('/') && what.symlink_metadata().is_err() => {
            let home = std::env::home_dir().unwrap_or_default();
            let variable = |name: &str| std::env::var(name).ok();
            Ok(explain_host(policy, host, &Place::of_user(home, &variable), words))
        }
        _ => {
            let path = std::path::absolute(what).map_err(|error| {
                Failure::new(Exit::Usage, format!("cannot tell where `{}` is: {error}", what.display()))
            })?;
            Ok(plan.explain_path(&path, words))
        }
    }
}

/// What may be meant by a word that names nothing here.
fn meant(what: &Path) -> String {
    if what.symlink_metadata().is_ok() {
        return String::new();
    }
    let text = what.to_string_lossy();
    if text.contains('/') {
        return format!("note: there is no `{}` outside\n", printer::plain(&text));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    match std::env::split_paths(&path).any(|dir| dir.join(what).is_file()) {
        true => format!(
            "note: that was taken for a host; `codetether sandbox explain -- {}` speaks of the command\n",
            printer::plain(&text)
        ),
        false => String::new(),
    }
}

fn failure(fault: Fault) -> Failure {
    match &fault.cure {
        Some(cure) => Failure::with_help(Exit::Failed, fault.to_string(), cure.clone()),
        None => Failure::new(Exit::Failed, fault.to_string()),
    }
}
