//! The binary `codetether`: arguments, the composition of the rooms, and exit codes. It contains no logic of its
//! own; each command is one file.

#[cfg(not(target_os = "linux"))]
compile_error!("codetether runs on Linux only, so far: x86-64 and arm64 are what is supported and tested");

mod args;
mod chat;
mod commands;
mod defined;
mod exit;
mod facts;
mod hooks;
mod keys;
mod lines;
mod models;
mod offers;
mod place;
mod printer;
mod run;
mod sandbox;
mod settings;
mod trust;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    if let Some(code) = sandbox::early() {
        return code;
    }
    // What we started must not read our memory or environment, where keys are. (Nothing keeps root from it.)
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    exit::prepare();
    keys::redact_panics();
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(error) => return exit::usage(&error),
    };
    match commands::dispatch(args) {
        Ok(exit) => exit.into(),
        Err(failure) => failure.report(),
    }
}
