//! `codetether sandbox`: what the kernel sandbox is on the command line. `run` is entered before anything else of the
//! program: making namespaces needs a process with one thread, and starting a command should cost little.

mod doctor;
mod explain;
mod policy;
mod run;
mod way_out;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::exit::{Exit, Failure};

pub(crate) use policy::{PolicyArgs, caveat, confine, confinement};

#[derive(Debug, Subcommand)]
pub(crate) enum SandboxCommand {
    /// Run one command in a sandbox.
    ///
    /// It can write the workspace (the current folder) and private temporary folders, read the system and toolchains, and
    /// reach no network. The home is empty. Hooks and settings of repositories, and settings of agents and editors, stay
    /// as they are.
    ///
    /// Exit codes: the command's own · 125 the sandbox could not be set up, and nothing ran · 126 the command cannot be
    /// executed · 127 there is no such command · 128+n a signal ended it.
    Run(Box<run::RunArgs>),
    /// Say what this machine offers to a sandbox, and what to do where that is not enough.
    Doctor {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say why something would be allowed or denied, and by which rule; without anything, all rules.
    ///
    /// Exit codes: 0 allowed, or partly · 7 denied.
    Explain(Box<explain::ExplainArgs>),
}

/// `run`, parsed without the rest of the command line.
#[derive(Debug, Parser)]
#[command(name = "codetether sandbox run")]
struct Alone {
    #[command(flatten)]
    args: run::RunArgs,
}

/// Does what has to be done first, if that is asked for. Mistakes are left to the usual way, which explains them.
pub(crate) fn early() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    if args.next()? != "sandbox" {
        return None;
    }
    match args.next()?.to_str()? {
        "run" => {}
        // Not for people: it is what an agent starts, and speaks to over its standard input.
        "keep" if args.next().is_none() => return Some(codetether_sandbox::keep().into()),
        _ => return None,
    }
    let alone = Alone::try_parse_from(std::iter::once("run".into()).chain(args)).ok()?;
    Some(run::run(&alone.args))
}

/// Does what the command line says.
pub(crate) fn dispatch(command: SandboxCommand) -> Result<Exit, Failure> {
    match command {
        SandboxCommand::Doctor { json } => doctor::run(json),
        SandboxCommand::Explain(args) => explain::run(&args),
        // `early` has done this, unless it could not be parsed, and then it did not come so far.
        SandboxCommand::Run(args) => std::process::exit(run::code(&args)),
    }
}
