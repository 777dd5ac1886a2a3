//! The commands, one a file.

pub(crate) mod audit;
pub(crate) mod auth;
pub(crate) mod bench;
mod completions;
pub(crate) mod config;
pub(crate) mod defined;
mod doctor;
pub(crate) mod hooks;
mod local_engine;
mod man;
pub(crate) mod models;
pub(crate) mod permissions;
pub(crate) mod route;
pub(crate) mod session;
pub(crate) mod structured;
pub(crate) mod trust;
pub(crate) mod undo;
pub(crate) mod usage;
pub(crate) mod version;

use codetether_config::defined::Kind;

use crate::args::{Args, Command};
use crate::exit::{Exit, Failure};
use crate::{chat, run, sandbox};

/// Does what the command line says.
pub(crate) fn dispatch(args: Args) -> Result<Exit, Failure> {
    let Some(command) = args.command else { return chat::bare() };
    match command {
        Command::Run(args) => run::run(&args),
        Command::Chat(args) => chat::run(&args.turn),
        Command::Auth(command) => auth::run(command),
        Command::Session(command) => session::run(command),
        Command::Config(command) => config::run(command),
        Command::Models(command) => models::run(command),
        Command::Agents(command) => defined::run(Kind::Agents, command),
        Command::Skills(command) => defined::run(Kind::Skills, command),
        Command::Commands(command) => defined::run(Kind::Commands, command),
        Command::Permissions(command) => permissions::run(command),
        Command::Hooks(command) => hooks::run(command),
        Command::Trust(args) => trust::run(args),
        Command::Sandbox(command) => sandbox::dispatch(command),
        Command::Structured(command) => structured::run(command),
        Command::Route(command) => route::run(command),
        Command::Bench(command) => bench::run(command),
        Command::Undo(args) => undo::undo(&args),
        Command::Redo(args) => undo::redo(&args),
        Command::Changes(args) => undo::changes(&args),
        Command::Diff(args) => undo::diff(&args),
        Command::Usage(args) => usage::run(&args),
        Command::Audit(command) => audit::run(command),
        Command::Doctor(args) => doctor::run(&args),
        Command::LocalEngine(args) => local_engine::run(args),
        Command::Completions { shell } => completions::run(shell),
        Command::Version { json } => version::run(json),
        Command::Man { dir } => man::run(dir.as_deref()),
    }
}
