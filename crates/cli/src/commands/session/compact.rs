//! `codetether session compact`: a summary takes the place of what was said, now and not only where the window is full. It is a
//! run without a prompt.

use clap::Args as ClapArgs;
use codetether_config::{Dollars, Model, Seconds};
use codetether_event::Effort;

use crate::args::{Format, RunArgs, TurnArgs, model, time, turn::effort};
use crate::exit::{Exit, Failure};
use crate::run::{self, Wish};

#[derive(Debug, ClapArgs)]
pub(crate) struct CompactArgs {
    /// The beginning of its id; this folder's last session where nothing is said.
    id: Option<String>,

    /// The model that sums up, as `provider/model`.
    #[arg(short, long, value_name = "PROVIDER/MODEL", value_parser = model)]
    model: Option<Model>,

    /// Models that go on, in order, where the one before fails for good, separated by commas.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = model)]
    fallback: Option<Vec<Model>>,

    /// How hard a reasoning model should think: `minimal`, `low`, `medium` or `high`.
    #[arg(long, value_parser = effort)]
    effort: Option<Effort>,

    /// Most tokens of the summary.
    #[arg(long, value_name = "TOKENS")]
    max_output: Option<u32>,

    /// End after this time, such as `90s`.
    #[arg(long, value_name = "TIME", value_parser = time)]
    max_time: Option<Seconds>,

    /// End before this many dollars are spent, such as `0.50`.
    #[arg(long, value_name = "DOLLARS")]
    max_cost: Option<Dollars>,

    /// What goes to standard output: nothing, one JSON object at the end, or every record as a line of JSON.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// Set a setting for this run, such as `-c max_time=60`. May be given several times.
    #[arg(short = 'c', value_name = "KEY=VALUE")]
    set: Vec<String>,

    /// Nothing on standard error but errors.
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn run(args: CompactArgs) -> Result<Exit, Failure> {
    let CompactArgs { id, model, fallback, effort, max_output, max_time, max_cost, format, set, quiet } =
        args;
    let args = RunArgs {
        turn: TurnArgs {
            resume: Some(id.unwrap_or_else(|| "last".to_owned())),
            model,
            fallback,
            effort,
            max_output,
            max_time,
            max_cost,
            set,
            ..TurnArgs::default()
        },
        format,
        quiet,
        ..RunArgs::default()
    };
    run::asked(&args, Wish::Compact)
}
