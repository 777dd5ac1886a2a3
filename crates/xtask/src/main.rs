//! What a contributor runs: `cargo xtask demo`, `test`, `ci`, `bench`, `models`, `prove`.
//!
//! It sets up what is missing (in the user's cache directory), says each command before it runs it, and leaves the
//! work to the tools themselves. It is never shipped, and nothing that is shipped may use it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is for the person who runs it")]
#![allow(
    clippy::disallowed_methods,
    reason = "it writes only to its own cache, where a file lost to a power cut is made again"
)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod ci;
mod demo;
mod deny;
mod engine;
mod failure;
mod models;
mod places;
mod process;
mod prove;
mod route;
mod test;
mod tools;

use failure::Failure;

/// Tasks of this repository.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Set up a real local model and let codetether do a small job with it
    Demo {
        /// With a tiny model: checks that the run ends cleanly and the log is sound, not that the job is done
        #[arg(long)]
        smoke: bool,
    },
    /// Set up and pass all tests
    Test,
    /// Show what the engine for local models must do, with the release binary and the smallest model
    Engine,
    /// Format, lints, tests, documentation, dependencies, and a smoke of the demo
    Ci,
    /// Measure the release binary, and print each figure beside its aim
    Bench {
        /// Only these groups of figures: start, turns, stream, many, journal, models, pieces, sandbox. `local` stands
        /// alone: jobs for the embedded model, of all kinds or of those named behind it
        groups: Vec<String>,
    },
    /// Renew the table of models and prices from the packages that gather them
    Models(models::Task),
    /// Make the weights of the router's head
    RouteTrain(route::Task),
    /// The long proofs: many kills, many cases, fuzzing
    Prove(prove::Extent),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Demo { smoke: false } => demo::run(&demo::FULL),
        Task::Demo { smoke: true } => demo::run(&demo::SMOKE),
        Task::Test => test::run(),
        Task::Engine => engine::run(),
        Task::Ci => ci::run(),
        Task::Bench { groups } => bench::run(&groups),
        Task::Models(task) => models::run(&task),
        Task::RouteTrain(task) => route::run(&task),
        Task::Prove(extent) => prove::run(&extent),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}
