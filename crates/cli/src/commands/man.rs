//! `codetether man [DIR]`: manual pages from the command line's own description.

use std::path::Path;

use clap::CommandFactory;
use clap_mangen::Man;
use codetether_files::WriteOptions;

use crate::args::Args;
use crate::exit::{Exit, Failure};
use crate::printer;

pub(crate) fn run(dir: Option<&Path>) -> Result<Exit, Failure> {
    let mut command = Args::command();
    command.build();
    match dir {
        None => printer::out(&String::from_utf8_lossy(&page(command)?))?,
        Some(dir) => {
            codetether_files::create_dir_all(dir)?;
            write(dir, command)?;
        }
    }
    Ok(Exit::Done)
}

/// Writes the page of a command and of those below it: `codetether-session-list.1`.
fn write(dir: &Path, command: clap::Command) -> Result<(), Failure> {
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        write(dir, below.clone())?;
    }
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let path = dir.join(format!("{name}.1"));
    codetether_files::write_atomic(&path, &page(command)?, &WriteOptions::default())?;
    Ok(())
}

fn page(command: clap::Command) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    Man::new(command)
        .render(&mut page)
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot write a manual page: {error}")))?;
    Ok(page)
}
