//! `bash`: a shell command, run by the session's supervisor. Never starts a process by itself.

use std::time::Duration;

use codetether_event::Touches;
use codetether_tool::{
    Args, BoxFuture, Command, Exit, ExitStatus, Tool, ToolContext, ToolError, ToolOutput, ToolSpec,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::spec;
use crate::text::within;

/// What is kept of the output's bound for the lines about how the command ended.
const FOOTER: usize = 300;

#[derive(Deserialize, JsonSchema)]
struct BashArgs {
    /// Runs in the workspace, with no input
    command: String,
    /// Seconds until it is killed, 120 by default
    timeout: Option<u64>,
}

/// The tool `bash`.
pub struct Bash {
    spec: ToolSpec,
}

impl Default for Bash {
    fn default() -> Self {
        let description = "Run a shell command and return its output and, if it failed, its exit code.";
        Self { spec: spec::<BashArgs>("bash", description) }
    }
}

impl Tool for Bash {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn touches(&self, args: &Args) -> Touches {
        let commands = args.parse::<BashArgs>().map(|args| vec![args.command]).unwrap_or_default();
        Touches { commands, ..Touches::default() }
    }

    fn preview<'a>(&'a self, args: &'a Args, _: &'a ToolContext) -> BoxFuture<'a, String> {
        Box::pin(async move {
            args.parse::<BashArgs>().map_or_else(|error| error.to_string(), |args| args.command)
        })
    }

    fn call<'a>(&'a self, args: Args, cx: &'a ToolContext) -> BoxFuture<'a, Result<ToolOutput, ToolError>> {
        Box::pin(async move {
            let args: BashArgs = args.parse()?;
            let asked =
                args.timeout.map_or(cx.limits.command_time, |seconds| Duration::from_secs(seconds.max(1)));
            let command = Command {
                argv: ["bash", "-c", &args.command].map(str::to_owned).to_vec(),
                dir: String::new(),
                time: asked.min(cx.limits.command_time_max),
                output: cx.limits.output.saturating_sub(FOOTER),
            };
            let (time, most) = (command.time, command.output);
            let mut exit = cx.host.exec(command, cx).await?;
            // Bytes that are no text grow when they are decoded.
            exit.output = within(exit.output, most.saturating_add(FOOTER / 3));
            Ok(told(exit, time, cx.limits.command_time_max))
        })
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
    ToolOutput { text, failed: exit.status != ExitStatus::Code(0), whole: exit.whole, wrote: Vec::new() }
}
