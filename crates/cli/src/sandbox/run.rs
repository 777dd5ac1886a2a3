//! `codetether sandbox run`.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, ValueHint};
use codetether_sandbox::{Audit, Fault, Host, Net, Outcome, Plan, Policy, Proxy, Report, Tier};

use super::PolicyArgs;
use super::way_out::WayOut;

/// The sandbox could not be set up.
const SET_UP: i32 = 125;

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    policy: PolicyArgs,

    /// Add one line of JSON about this run to this file.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    audit: Option<PathBuf>,

    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "CMD", value_hint = ValueHint::CommandWithArguments)]
    command: Vec<OsString>,
}

pub(crate) fn run(args: &RunArgs) -> ExitCode {
    u8::try_from(code(args)).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// What to exit with.
pub(crate) fn code(args: &RunArgs) -> i32 {
    match confined(args) {
        Ok(code) => code,
        Err(message) => {
            say(&message);
            SET_UP
        }
    }
}

fn confined(args: &RunArgs) -> Result<i32, String> {
    let here = std::env::current_dir().map_err(|error| format!("cannot find the current folder: {error}"))?;
    let policy = args.policy.policy(&here).map_err(|error| error.to_string())?;
    let mut way_out = match &policy.net {
        Net::Allow(hosts) => Some(WayOut::to(hosts)?),
        Net::Off => None,
    };
    let audit = args
        .audit
        .as_ref()
        .map(|file| Audit::new(file, &policy))
        .transpose()
        .map_err(|fault| told(&fault))?;
    let start = Instant::now();
    let (tier, outcome) = match attempt(args, &policy, way_out.take()) {
        // The user left it to us which way to take.
        (_, Err(fault)) if fault.no_namespaces && policy.tier.is_none() && policy.net == Net::Off => {
            say(&format!("note: {fault}"));
            attempt(args, &Policy { tier: Some(Tier::Landlock), ..policy.clone() }, None)
        }
        other => other,
    };
    if let Some(audit) = audit {
        let recorded = audit.record(&policy, tier, &args.command, start.elapsed(), &outcome);
        recorded.unwrap_or_else(|fault| say(&format!("note: {}", told(&fault))));
    }
    let outcome = outcome.map_err(|fault| told(&fault))?;
    for note in &outcome.notes {
        say(&format!("note: {note}"));
    }
    Ok(match outcome.report {
        Report::Code(code) => code,
        Report::Signal(signal) => 128 + signal,
        Report::TimeUp => {
            say("its time was up, and it was ended (`--time` sets how long)");
            128 + TERMINATED
        }
        Report::NotRun { code, cause } => {
            let program =
                args.command.first().map(|program| program.display().to_string()).unwrap_or_default();
            say(&format!("cannot run `{program}`: {cause}"));
            code
        }
        Report::Ready | Report::WayOut | Report::Terminal | Report::Note(_) | Report::Failed(_) => SET_UP,
    })
}

/// Runs the command. Tells by what it was held in, too.
fn attempt(
    args: &RunArgs,
    policy: &Policy,
    way_out: Option<WayOut>,
) -> (Option<Tier>, Result<Outcome, Fault>) {
    let plan = match Plan::new(policy, &Host::here()) {
        Ok(plan) => plan,
        Err(fault) => return (None, Err(fault)),
    };
    for note in plan.notes() {
        say(&format!("note: {note}"));
    }
    let proxy = way_out.map(|way_out| -> Proxy<'_> {
        Box::new(|listener| {
            way_out.lead(listener, |denied| say(&denied.told(|rule| format!("`{}`", rule.flag()))))
        })
    });
    (plan.tier(), plan.run(args.command.clone(), &policy.root, proxy))
}

/// SIGTERM, which is how a command is told that its time is up.
const TERMINATED: i32 = 15;

fn told(fault: &Fault) -> String {
    match &fault.cure {
        Some(cure) => format!("{fault} ({cure})"),
        None => fault.to_string(),
    }
}

/// One line on standard error.
fn say(message: &str) {
    // Nobody is left to tell when this fails.
    let _ = writeln!(std::io::stderr(), "codetether sandbox: {message}");
}
