//! `bash`: a shell command, run by the session's supervisor. Never starts a process by itself.

use std::time::Duration;

use codetether_event::{ItemId, Touches};
use codetether_tool::{
    Args, BoxFuture, Command, Exit, ExitStatus, Tool, ToolContext, ToolError, ToolOutput, ToolSpec, Wish,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::spec;
use crate::text::{first_chars, within};

/// What is kept of the output's bound for the lines about how the command ended.
const FOOTER: usize = 300;
/// Most notes about a run, and most characters of each.
const NOTES: (usize, usize) = (12, 500);

#[derive(Deserialize, JsonSchema)]
struct BashArgs {
    /// Runs in the workspace, with no input
    command: String,
    /// Seconds until it is killed, 120 by default
    timeout: Option<u64>,
    /// For servers: returns at once with an id for `process`
    #[serde(default)]
    background: bool,
    /// Gives it a terminal
    #[serde(default)]
    pty: bool,
}

#[derive(Deserialize, JsonSchema)]
struct ConfinedArgs {
    /// Runs in the workspace, with no input
    command: String,
    /// Seconds until it is killed, 120 by default
    timeout: Option<u64>,
    /// For servers: returns at once with an id for `process`
    #[serde(default)]
    background: bool,
    /// Gives it a terminal
    #[serde(default)]
    pty: bool,
    /// Asks the user to run it outside the sandbox; only after it failed inside for lack of a path or a service
    #[serde(default)]
    outside: bool,
}

/// What commands run in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shell {
    /// The sandbox, unless a call asks to run outside.
    Confined,
    /// The machine as it is.
    Bare,
}

/// The tool `bash`.
pub struct Bash {
    spec: ToolSpec,
    shell: Shell,
}

impl Bash {
    /// Where commands run decides what a call can say.
    #[must_use]
    pub fn new(shell: Shell) -> Self {
        let spec = match shell {
            Shell::Bare => spec::<BashArgs>(
                "bash",
                "Run a shell command and return its output and, if it failed, its exit code.",
            ),
            Shell::Confined => spec::<ConfinedArgs>(
                "bash",
                "Run a shell command in a sandbox and return its output and, if it failed, its exit code. It can \
                 write in the workspace and its own /tmp; the home folder is out of reach, and so are hosts that the \
                 user has not allowed.",
            ),
        };
        Self { spec, shell }
    }

    fn read(&self, args: &Args) -> Result<ConfinedArgs, ToolError> {
        match self.shell {
            Shell::Confined => args.parse(),
            Shell::Bare => {
                let BashArgs { command, timeout, background, pty } = args.parse()?;
                Ok(ConfinedArgs { command, timeout, background, pty, outside: false })
            }
        }
    }
}

impl Tool for Bash {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn touches(&self, args: &Args) -> Touches {
        let Ok(ConfinedArgs { command, outside, background, .. }) = self.read(args) else {
            return Touches::default();
        };
        Touches { commands: vec![command], outside, background, ..Touches::default() }
    }

    fn preview<'a>(&'a self, args: &'a Args, _: &'a ToolContext) -> BoxFuture<'a, String> {
        Box::pin(async move { self.read(args).map_or_else(|error| error.to_string(), |args| args.command) })
    }

    fn call<'a>(&'a self, args: Args, cx: &'a ToolContext) -> BoxFuture<'a, Result<ToolOutput, ToolError>> {
        Box::pin(async move {
            let args = self.read(&args)?;
            let asked =
                args.timeout.map_or(cx.limits.command_time, |seconds| Duration::from_secs(seconds.max(1)));
            let command = Command {
                argv: ["bash", "-c", &args.command].map(str::to_owned).to_vec(),
                dir: String::new(),
                time: asked.min(cx.limits.command_time_max),
                output: cx.limits.output.saturating_sub(FOOTER),
                outside: args.outside,
                terminal: args.pty,
            };
            if args.background {
                // It may run for as long as the session, unless its call says otherwise.
                let time = args.timeout.map_or(Duration::MAX, |seconds| Duration::from_secs(seconds.max(1)));
                cx.host.process(Wish::Start(Command { time, ..command }), cx).await?;
                return Ok(ToolOutput::text(begun(cx.call)));
            }
            let (time, most) = (command.time, command.output);
            let mut exit = cx.host.exec(command, cx).await?;
            let notes = noted(&exit.notes);
            // Bytes that are no text grow when they are decoded.
            exit.output = within(exit.output, most.saturating_add(FOOTER / 3).saturating_sub(notes.len()));
            let mut told = told(exit, time, cx.limits.command_time_max);
            told.text += &notes;
            Ok(told)
        })
    }
}

/// What the model is told of a process that was started.
fn begun(process: ItemId) -> String {
    format!(
        "[process {process} runs in the background until it ends, is killed or the session ends; `process` with id \"{process}\" \
         reads its output, or waits for some of it]\n"
    )
}

/// The notes about a run, a line each.
fn noted(notes: &[String]) -> String {
    let (most, longest) = NOTES;
    let mut text = String::new();
    for note in notes.iter().take(most) {
        text += &format!("[{}]\n", first_chars(note, longest).replace('\n', " "));
    }
    match notes.len().saturating_sub(most) {
        0 => text,
        more => text + &format!("[and {more} more like that]\n"),
    }
}

/// What the model is told of the end.
fn told(exit: Exit, time: Duration, time_max: Duration) -> ToolOutput {
    let mut text = exit.output;
    if text.is_empty() {
        text += "[no output]\n";
    } else if !text.ends_with('\n') {
        text.push('\n');
    }
    if exit.whole.is_some() {
        text += "[the output was too long to show; run it through `head`, `tail` or `grep`, or into a file, to see more]\n";
    }
    match exit.status {
        ExitStatus::Code(0) => {}
        ExitStatus::Code(code) => text += &format!("[exit code {code}]\n"),
        ExitStatus::Signal(signal) => text += &format!("[killed by signal {signal}]\n"),
        ExitStatus::TimedOut if time < time_max => {
            text += &format!("[killed after {} s; `timeout` gives it longer]\n", time.as_secs());
        }
        ExitStatus::TimedOut => {
            text += &format!("[killed after {} s, the longest that is allowed]\n", time.as_secs());
        }
    }
    ToolOutput {
        text,
        failed: exit.status != ExitStatus::Code(0),
        whole: exit.whole,
        ..ToolOutput::default()
    }
}
