//! The command line. The doc comments are the manual.

pub(crate) mod turn;
mod written;

use std::path::PathBuf;

use clap::{ArgGroup, Args as ClapArgs, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use codetether_config::{Model, Seconds};
use codetether_event::Mode;

use crate::commands::audit::AuditCommand;
use crate::commands::auth::AuthCommand;
use crate::commands::bench::BenchCommand;
use crate::commands::config::ConfigCommand;
use crate::commands::defined::DefinedCommand;
use crate::commands::hooks::HooksCommand;
use crate::commands::models::ModelsCommand;
use crate::commands::permissions::PermissionsCommand;
use crate::commands::route::RouteCommand;
use crate::commands::session::CompactArgs;
use crate::commands::structured::StructuredCommand;
use crate::commands::trust::TrustArgs;
use crate::commands::usage::UsageArgs;
use crate::sandbox::SandboxCommand;

pub(crate) use turn::{ChatArgs, TurnArgs};
pub(crate) use written::{ExportArgs, ExportFormat, ForkArgs};

/// An AI coding agent in one small binary: journaled, crash-safe and fast.
#[derive(Debug, Parser)]
#[command(name = "codetether", version, propagate_version = true, subcommand_required = false)]
pub(crate) struct Args {
    /// None talks with an agent, at a terminal.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Do a job: ask a model, run its tool calls, until it is done.
    ///
    /// Text of the model goes to standard output, everything else to standard error.
    ///
    /// Exit codes: 0 done · 1 failed · 2 usage · 4 limit reached · 5 provider · 6 the answer does not fit its schema ·
    /// 7 refused by permission or a hook · 130 interrupted.
    Run(Box<RunArgs>),
    /// Talk with an agent at the terminal, a line at a time. The same as no command at all.
    ///
    /// `/help` lists its commands. Ctrl-C stops a turn, Ctrl-D leaves.
    Chat(Box<ChatArgs>),
    /// Look at sessions, or tidy them up.
    #[command(subcommand)]
    Session(SessionCommand),
    /// Keep the keys of providers, or say where they are.
    ///
    /// A key is looked for in this order: the provider's environment variable, Vault or OpenBao, the keyring, the
    /// file of keys, the provider's `key_command`.
    #[command(subcommand)]
    Auth(AuthCommand),
    /// Look at settings, or change them.
    ///
    /// Layers, each over the one before: defaults, the machine's file, your own, your table for this folder, the
    /// project's own file (which can mostly only narrow), CODETETHER_* variables, flags.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look at what models there are: windows, prices, what they can do.
    ///
    /// A model is named `PROVIDER/MODEL`, such as `openai/gpt-5`: `run -m` asks it once, `model = "…"` in the settings
    /// always. Where none is chosen, the usual one of the first vendor whose key is there is asked; `models list` says
    /// which one that is.
    ///
    /// What is known is in a table that is part of this binary, with what `[models."PROVIDER/MODEL"]` in your settings
    /// says over it, joined with what your endpoints offer.
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Look at agents: what is built in, and what you and the project define in `agents/NAME.md`.
    #[command(subcommand)]
    Agents(DefinedCommand),
    /// Look at skills: folders with a `SKILL.md` that the model can load.
    #[command(subcommand)]
    Skills(DefinedCommand),
    /// Look at slash commands: templates that `run "/NAME …"` makes prompts of.
    #[command(subcommand)]
    Commands(DefinedCommand),
    /// Say what may run, and why; look at rules, or change them.
    ///
    /// For each part of a call: what denies wins, then what asks, then what allows, then the mode's default. The order
    /// of rules and the file that they are in do not matter.
    #[command(subcommand)]
    Permissions(PermissionsCommand),
    /// Say which hooks there are: your own commands that have a say while the agent works.
    #[command(subcommand)]
    Hooks(HooksCommand),
    /// Say whether a project's own files have power here; without a subcommand, how it stands with this folder.
    ///
    /// What a project's own files (settings, agents, skills, hooks and the like in `.codetether`; skills and commands in
    /// `.claude` and `.agents`) could do beyond narrowing holds only once you trust them: exactly these, in this folder.
    #[command(args_conflicts_with_subcommands = true)]
    Trust(TrustArgs),
    /// Run a command in the kernel sandbox.
    #[command(subcommand)]
    Sandbox(SandboxCommand),
    /// Look at what providers are given of JSON Schemas.
    #[command(subcommand)]
    Structured(StructuredCommand),
    /// Look at which size of model a job is for.
    #[command(subcommand)]
    Route(RouteCommand),
    /// Look at what parts of the program are worth, on recorded results.
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Take back what a session changed in its folder: the last step, or what is named.
    ///
    /// Files that you have changed since are not touched without a choice. Commits, branches and the index stay as they
    /// are. Session: this folder's last one.
    Undo(UndoArgs),
    /// Do again what `undo` took back last.
    Redo(RedoArgs),
    /// List what a session changed in its folder, and has not taken back.
    Changes(ChangesArgs),
    /// Show what a session changed in its folder, as a unified diff.
    Diff(DiffArgs),
    /// Say what was spent: tokens and money of all sessions, as recorded.
    Usage(UsageArgs),
    /// Show when commands ran, how they ended, and what the sandbox denied them.
    ///
    /// Commands are told by a hash, with the session and call that they belong to: `session show` has the words.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Check that everything is in place, and say what to do where it is not.
    Doctor(DoctorArgs),
    /// Hold a local model in memory for those who ask it by this socket. Started by whoever asks first.
    #[command(hide = true)]
    LocalEngine(LocalEngineArgs),
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print the version.
    Version {
        /// As JSON, with the build's details.
        #[arg(long)]
        json: bool,
    },
    /// Write manual pages.
    Man {
        /// The folder that they go into; it is made if need be. Without it the main page goes to standard output.
        #[arg(value_hint = ValueHint::DirPath)]
        dir: Option<PathBuf>,
    },
}

#[derive(Debug, Default, ClapArgs)]
#[command(group(ArgGroup::new("which").args(["steps", "step", "to", "all"])))]
pub(crate) struct UndoArgs {
    /// How many steps, from the last: one where nothing is said. A step is an answer of the model and its calls.
    #[arg(value_name = "N", value_parser = steps)]
    pub(crate) steps: Option<usize>,

    /// This step, or this call, alone.
    #[arg(long, value_name = "ID")]
    pub(crate) step: Option<String>,

    /// All after this step.
    #[arg(long, value_name = "STEP")]
    pub(crate) to: Option<String>,

    /// All that the session changed.
    #[arg(long)]
    pub(crate) all: bool,

    /// In these files and folders alone.
    #[arg(long, value_name = "PATH", num_args = 1.., value_hint = ValueHint::AnyPath)]
    pub(crate) files: Vec<PathBuf>,

    /// The conversation goes back as well, to where the first of those steps began. It cannot be had back, so `run --fork`
    /// first where it may be missed.
    #[arg(long, conflicts_with = "files")]
    pub(crate) conversation: bool,

    /// Leave the files as they are: the conversation alone goes back, by N turns.
    #[arg(long, requires = "conversation", conflicts_with_all = ["step", "to"])]
    pub(crate) keep_files: bool,

    /// Give up an undo that was interrupted and cannot be finished: what was done of it stays, the rest is told.
    #[arg(long, conflicts_with_all = ["steps", "step", "to", "all", "files", "conversation", "dry_run", "conflicts"])]
    pub(crate) abandon: bool,

    #[command(flatten)]
    pub(crate) how: How,

    /// The session, by the first digits of its id.
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RedoArgs {
    #[command(flatten)]
    pub(crate) how: How,

    /// The session, by the first digits of its id.
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<String>,
}

#[derive(Debug, Default, Clone, Copy, ClapArgs)]
pub(crate) struct How {
    /// What becomes of files that you have changed since.
    #[arg(long, value_name = "WHAT")]
    pub(crate) conflicts: Option<Conflicts>,

    /// Say what would be done, and do nothing.
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,

    /// Do not ask.
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Conflicts {
    /// They stay as they are.
    Keep,
    /// They go back as well.
    Overwrite,
    /// They go back, and yours is kept beside them.
    Both,
}

#[derive(Debug, Default, ClapArgs)]
pub(crate) struct ChangesArgs {
    /// This step, or this call, alone.
    #[arg(long, value_name = "ID")]
    pub(crate) step: Option<String>,

    /// As JSON, a line for each call.
    #[arg(long)]
    pub(crate) json: bool,

    /// The session, by the first digits of its id.
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<String>,
}

#[derive(Debug, Default, ClapArgs)]
pub(crate) struct DiffArgs {
    /// Of this step, or this call, alone.
    #[arg(long, value_name = "ID")]
    pub(crate) step: Option<String>,

    /// Of these files and folders alone.
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) files: Vec<PathBuf>,

    /// The session, by the first digits of its id.
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<String>,
}

#[derive(Debug, Default, ClapArgs)]
pub(crate) struct RunArgs {
    /// What to do; `-` reads it from standard input. With a prompt here, piped input is added as context.
    ///
    /// `/NAME …` is a slash command, such as `codetether commands list` shows; with a blank before it, or behind `--`, it
    /// is text.
    ///
    /// With `--resume` or `--last` and no prompt, a turn that was cut short goes on.
    pub(crate) prompt: Option<String>,

    /// The prompt, as text whatever it begins with.
    #[arg(last = true, value_name = "TEXT", conflicts_with = "prompt")]
    pub(crate) text: Option<String>,

    #[command(flatten)]
    pub(crate) turn: TurnArgs,

    /// Attach a file: text, an image or a PDF. May be given several times.
    #[arg(short, long = "file", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: Vec<PathBuf>,

    /// What goes to standard output: the model's text as it comes, one JSON object at the end, or every record of
    /// the session as a line of JSON.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,

    /// What comes in by standard input: a text, or with `jsonl` a whole conversation, an operation (a prompt, an answer
    /// to a question, an interrupt) as a line of JSON. Takes `--format jsonl`.
    #[arg(long, value_enum, default_value_t = InputFormat::Text)]
    pub(crate) input_format: InputFormat,

    /// Write the model's last message to this file as well.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output_last_message: Option<PathBuf>,

    /// Make the last answer a JSON value that fits the JSON Schema in this file; the run fails if it does not.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, group = "form")]
    pub(crate) output_schema: Option<PathBuf>,

    /// The same, with the schema given here.
    #[arg(long, value_name = "JSON", group = "form")]
    pub(crate) output_schema_inline: Option<String>,

    /// Refuse to ask where the provider would not enforce the schema by itself. Without this, what the provider cannot
    /// do is done here: answers are checked, and sent back to the model with what is wrong, twice at most.
    #[arg(long, requires = "form")]
    pub(crate) output_strict: bool,

    /// Where the check fails, take the try back, files and conversation, and make it anew with more left to chance: so
    /// many tries at most, 1 to 20. If none passes, the files are as before.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=20))]
    pub(crate) tries: Option<u32>,

    /// Nothing on standard error but errors.
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
    Jsonl,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum InputFormat {
    #[default]
    Text,
    Jsonl,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// List sessions, the latest first.
    List {
        /// Only those of this folder.
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        project: Option<PathBuf>,
        /// Those of children, too, which other sessions started.
        #[arg(long, conflicts_with = "project")]
        children: bool,
        /// At most this many.
        #[arg(short = 'n', long, default_value_t = 50)]
        limit: usize,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Show what was said and done in a session.
    Show {
        /// The beginning of its id; this folder's last one where none is given.
        #[arg(default_value = "last")]
        id: String,
    },
    /// Write a session out: its records as lines of JSON, or what was said and done as one document.
    Export(ExportArgs),
    /// Make a new session that shares the past of another, and print its id.
    Fork(ForkArgs),
    /// Put a summary in the place of what was said in a session, so that it goes on with less. What was said stays in its
    /// journal.
    ///
    /// Instructions, the first and the last prompt, the list of things to do, files in work and the last steps stay. A model
    /// is asked for the summary, as `run` would ask it; standard error says what gave way, and what that cost.
    Compact(Box<CompactArgs>),
    /// Give a session a title.
    Rename {
        /// The beginning of its id, or `last` for this folder's last.
        id: String,
        /// The title.
        title: String,
    },
    /// Delete a session for good.
    Delete {
        /// The beginning of its id.
        id: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Find sessions by what was said in them.
    Search {
        /// Words that must all be there.
        words: Vec<String>,
        /// At most this many.
        #[arg(short = 'n', long, default_value_t = 20)]
        limit: usize,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Cut a damaged journal at its last sound record. A copy of it is kept.
    Repair {
        /// The beginning of its id.
        id: String,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct DoctorArgs {
    /// Check as if working in this folder.
    #[arg(short = 'C', long = "dir", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) dir: Option<PathBuf>,

    /// Ask the endpoints of the model and its fallbacks whether they can be reached, for some seconds each. Those on this
    /// machine are always asked.
    #[arg(long)]
    pub(crate) online: bool,

    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn model(text: &str) -> Result<Model, String> {
    text.parse().map_err(|error| match text.contains('/') || text.trim().is_empty() {
        true => format!("{error} (write it as `provider/model`, such as `openai/gpt-5`)"),
        false => format!("{error}: {}", crate::models::where_to_ask(text)),
    })
}

fn steps(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|steps| *steps > 0).ok_or_else(|| {
        "expected a number of steps, from 1; a step is named with `--step`, a session with `--session`".into()
    })
}

/// A number of answers, one at least.
pub(crate) fn answers(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|answers| *answers > 0).ok_or_else(|| "expected a whole number from 1".into())
}

/// A time that does not end before it begins.
pub(crate) fn time(text: &str) -> Result<Seconds, String> {
    let time: Seconds = text.parse()?;
    if time.0 == 0 { Err("expected more than nothing, such as `90s`".into()) } else { Ok(time) }
}

pub(crate) fn mode(text: &str) -> Result<Mode, String> {
    [Mode::Plan, Mode::Ask, Mode::AutoEdit, Mode::Bypass]
        .into_iter()
        .find(|mode| mode.as_str() == text)
        .ok_or_else(|| "expected `plan`, `ask`, `auto-edit` or `bypass`".into())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }
}

/// What the process of a local model is begun with.
#[derive(Debug, clap::Args)]
pub(crate) struct LocalEngineArgs {
    /// Where it listens.
    #[arg(long)]
    pub(crate) socket: std::path::PathBuf,
    /// The model's file.
    #[arg(long)]
    pub(crate) model: std::path::PathBuf,
    /// The folder of kept states.
    #[arg(long)]
    pub(crate) kept: std::path::PathBuf,
}
