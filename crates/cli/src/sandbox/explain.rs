//! `codetether sandbox explain`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;
use codetether_sandbox::{Answer, Fault, Host, Plan, Policy, explain_host, summary};

use super::PolicyArgs;
use crate::exit::{Exit, Failure};
use crate::printer;

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    policy: PolicyArgs,

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
    let policy = args.policy.policy(&here).map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    let host = Host::here();
    let plan = Plan::to_explain(&policy, &host).map_err(failure)?;
    let answer = match (&args.what, args.command.first()) {
        (Some(what), _) => about(what, &policy, &plan)?,
        (None, Some(program)) => plan.explain_command(Path::new(program)),
        (None, None) => {
            printer::out(&format!("{}\n", summary(&policy, &plan, &host).join("\n")))?;
            return Ok(Exit::Done);
        }
    };
    let cure = answer.cure.map(|cure| format!("\n{cure}")).unwrap_or_default();
    printer::out(&format!("{}: {}{cure}\n", answer.may, answer.why))?;
    Ok(if answer.may == "nothing" { Exit::Refused } else { Exit::Done })
}

fn about(what: &Path, policy: &Policy, plan: &Plan) -> Result<Answer, Failure> {
    match what.to_str() {
        Some(host) if !host.contains('/') && what.symlink_metadata().is_err() => {
            Ok(explain_host(policy, host))
        }
        _ => {
            let path = std::path::absolute(what).map_err(|error| {
                Failure::new(Exit::Usage, format!("cannot tell where `{}` is: {error}", what.display()))
            })?;
            Ok(plan.explain_path(&path))
        }
    }
}

fn failure(fault: Fault) -> Failure {
    match &fault.cure {
        Some(cure) => Failure::with_help(Exit::Failed, fault.to_string(), cure.clone()),
        None => Failure::new(Exit::Failed, fault.to_string()),
    }
}
