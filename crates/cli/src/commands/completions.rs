//! `codetether completions SHELL`.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Args;
use crate::exit::{Exit, Failure};
use crate::printer;

pub(crate) fn run(shell: Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "codetether", &mut script);
    printer::out(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
