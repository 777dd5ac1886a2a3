//! What every surface that runs turns takes: which session, which model, what may happen, which limits.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueHint};
use codetether_config::{Dollars, Model, Seconds};
use codetether_event::{Effort, Mode, Temperature};

use super::{answers, mode, model, time};

#[derive(Debug, Clone, Default, Args)]
#[command(group(ArgGroup::new("session").args(["resume", "last", "fork"])))]
pub(crate) struct TurnArgs {
    /// The agent that does it: `build`, `plan`, `explore` or one of your own, such as `codetether agents list` shows. It
    /// narrows what else is set.
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,

    /// The model, as `provider/model`.
    #[arg(short, long, value_name = "PROVIDER/MODEL", value_parser = model)]
    pub(crate) model: Option<Model>,

    /// A model on this machine, inside this program: the best of those that `codetether models pull` fetched.
    #[arg(long, conflicts_with = "model")]
    pub(crate) local: bool,

    /// Work in this folder instead of the current one.
    #[arg(short = 'C', long = "dir", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) dir: Option<PathBuf>,

    /// What may happen without asking: `plan` reads only, `ask` asks for writes and commands, `auto-edit` asks for
    /// commands, `bypass` asks for nothing.
    #[arg(long, value_parser = mode)]
    pub(crate) mode: Option<Mode>,

    /// The same as `--mode bypass`.
    #[arg(long, conflicts_with = "mode")]
    pub(crate) yes: bool,

    /// Run commands with your own rights, without the kernel sandbox. The same as `-c sandbox.tier=none`.
    #[arg(long)]
    pub(crate) no_sandbox: bool,

    /// Allow calls that match this rule, such as `bash(cargo test)` or `edit(src/**)`.
    #[arg(long, value_name = "RULE")]
    pub(crate) allow: Vec<String>,

    /// Ask about calls that match this rule; outranks those that allow.
    #[arg(long, value_name = "RULE")]
    pub(crate) ask: Vec<String>,

    /// Deny calls that match this rule; outranks every other rule and mode.
    #[arg(long, value_name = "RULE")]
    pub(crate) deny: Vec<String>,

    /// Offer only these tools, separated by commas; an empty list offers none.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(crate) tools: Option<Vec<String>>,

    /// Go on with the session whose id begins so.
    #[arg(long, value_name = "ID")]
    pub(crate) resume: Option<String>,

    /// Go on with this folder's last session.
    #[arg(long)]
    pub(crate) last: bool,

    /// Start a new session from the past of the one whose id begins so.
    #[arg(long, value_name = "ID")]
    pub(crate) fork: Option<String>,

    /// The last step of the other session that the new one shares: its past up to that step's results. `session show`
    /// tells the steps.
    #[arg(long, value_name = "STEP", requires = "fork")]
    pub(crate) at: Option<String>,

    /// End after this many answers.
    #[arg(long, value_name = "N", value_parser = answers)]
    pub(crate) max_steps: Option<u32>,

    /// End after this time, such as `90s`, `10m` or `1h30m`.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) max_time: Option<Seconds>,

    /// End before this many dollars are spent, such as `0.50`: the most that a request can cost is set aside before it
    /// is sent.
    #[arg(long, value_name = "DOLLARS")]
    pub(crate) max_cost: Option<Dollars>,

    /// Models that go on, in order, where the one before fails for good, separated by commas.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = model)]
    pub(crate) fallback: Option<Vec<Model>>,

    /// How hard a reasoning model should think: `minimal`, `low`, `medium` or `high`.
    #[arg(long, value_parser = effort)]
    pub(crate) effort: Option<Effort>,

    /// Most tokens of one answer.
    #[arg(long, value_name = "TOKENS")]
    pub(crate) max_output: Option<u32>,

    /// How much of an answer is left to chance: a number from 0 to 2.
    #[arg(long, value_name = "NUMBER", value_parser = temperature)]
    pub(crate) temperature: Option<Temperature>,

    /// Run this command where the work that changed files would end: the work is done if its exit code is 0. Where it
    /// fails, the model is told and goes on. `auto` is what the folder's own files say, such as `cargo test`.
    #[arg(long, value_name = "COMMAND")]
    pub(crate) check: Option<String>,

    /// Run the check before the model is asked, too, and tell it what the check said.
    #[arg(long)]
    pub(crate) check_first: bool,

    /// Write each request and its answer to a file in this folder, without keys; it must be empty, or is made.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "replay")]
    pub(crate) record: Option<PathBuf>,

    /// Answer from what `--record` wrote to this folder: no server is asked, no key is needed, and the first request
    /// that is not as it was recorded ends the run.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) replay: Option<PathBuf>,

    /// Set a setting for this run, such as `-c max_steps=20`. May be given several times.
    #[arg(short = 'c', value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ChatArgs {
    #[command(flatten)]
    pub(crate) turn: TurnArgs,
}

pub(crate) fn effort(text: &str) -> Result<Effort, String> {
    [Effort::Minimal, Effort::Low, Effort::Medium, Effort::High]
        .into_iter()
        .find(|effort| effort.as_str() == text)
        .ok_or_else(|| "expected `minimal`, `low`, `medium` or `high`".into())
}

fn temperature(text: &str) -> Result<Temperature, String> {
    let number: f64 = text.parse().map_err(|_| "expected a number from 0 to 2".to_owned())?;
    Temperature::try_from(number)
}
