//! `process`: what becomes of commands that `bash` started in the background. Starts none by itself.
//!
//! `{"action": "wait", "id": "12.0", "until": "listening on"}` waits until process `12.0` says so, or ends.

use std::sync::Arc;
use std::time::Duration;

use codetether_event::{ItemId, Touches, Typed};
use codetether_tool::{
    Args, BoxFuture, Heard, Tool, ToolContext, ToolError, ToolOutput, ToolSpec, Until, Wish,
};
use grep_matcher::Matcher;
use grep_regex::RegexMatcherBuilder;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::spec;
use crate::text::{count, first_chars, within};

/// How long a wait lasts that names no time.
const WAIT: Duration = Duration::from_secs(30);
/// Most bytes that are typed at once.
const TYPED: usize = 64 * 1024;
/// What is kept of the output's bound for what is said besides.
const FOOTER: usize = 500;
/// Most characters of a command in a list.
const SHOWN: usize = 100;
/// Bytes that a regular expression may take.
const PATTERN: usize = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Action {
    Read,
    Write,
    Wait,
    Kill,
    List,
}

#[derive(Deserialize, JsonSchema)]
struct ProcessArgs {
    action: Action,
    /// As `bash` gave it; not for `list`
    id: Option<String>,
    /// For `write`: with `\n` where Enter is pressed
    text: Option<String>,
    /// For `write`: no more follows
    #[serde(default)]
    end: bool,
    /// For `wait`: a regular expression for new output; its end without
    until: Option<String>,
    /// For `wait`: seconds, 30 by default
    timeout: Option<u64>,
}

/// The tool `process`.
pub struct Process {
    spec: ToolSpec,
}

impl Default for Process {
    fn default() -> Self {
        let description = "Read what a process that `bash` started in the background said since, write to it, wait for its \
                           output or end, kill it, or list all.";
        Self { spec: spec::<ProcessArgs>("process", description) }
    }
}

impl Tool for Process {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn touches(&self, args: &Args) -> Touches {
        let Ok(ProcessArgs { action: Action::Write, id, text, .. }) = args.parse() else {
            return Touches::default();
        };
        let process = id.unwrap_or_default().trim().to_owned();
        let typed = Typed { process, text: text.unwrap_or_default(), ..Typed::default() };
        Touches { typed: Some(typed), ..Touches::default() }
    }

    fn preview<'a>(&'a self, args: &'a Args, _: &'a ToolContext) -> BoxFuture<'a, String> {
        Box::pin(async move {
            args.parse::<ProcessArgs>()
                .map_or_else(|error| error.to_string(), |args| args.text.unwrap_or_default())
        })
    }

    fn call<'a>(&'a self, args: Args, cx: &'a ToolContext) -> BoxFuture<'a, Result<ToolOutput, ToolError>> {
        Box::pin(async move {
            let args: ProcessArgs = args.parse()?;
            if args.action == Action::List {
                let all = cx.host.process(Wish::List, cx).await?;
                return Ok(ToolOutput::text(listed(&all, cx.limits.output)));
            }
            let process = named(args.id.as_deref())?;
            let time = args.timeout.map_or(WAIT, |seconds| Duration::from_secs(seconds.max(1)));
            let time = time.min(cx.limits.command_time_max);
            let waits_for = args.until.is_some();
            let wish = match args.action {
                Action::Read | Action::List => Wish::Read { process },
                Action::Write => Wish::Write { process, text: typed(args.text, args.end)?, end: args.end },
                Action::Wait => Wish::Wait { process, until: args.until.as_deref().map(until), time },
                Action::Kill => Wish::Kill { process },
            };
            let heard = cx.host.process(wish, cx).await?;
            let heard = heard
                .first()
                .ok_or_else(|| ToolError::Fatal("nothing was heard of a process that there is".into()))?;
            let most = cx.limits.output.saturating_sub(FOOTER);
            Ok(ToolOutput::text(told(heard, args.action, waits_for, time, most)))
        })
    }
}

fn named(id: Option<&str>) -> Result<ItemId, ToolError> {
    let id = id.ok_or_else(|| ToolError::ForModel("`id` is missing: which process?".into()))?;
    id.trim().parse().map_err(|_| {
        ToolError::ForModel(format!("there is no process `{}`; `list` shows them", first_chars(id, 40)))
    })
}

fn typed(text: Option<String>, end: bool) -> Result<String, ToolError> {
    match text {
        None if end => Ok(String::new()),
        None => Err(ToolError::ForModel("`text` is missing: what is to be written?".into())),
        Some(text) if text.len() > TYPED => Err(ToolError::ForModel(format!(
            "{} are too much to write at once: write {TYPED} at most, the rest in further calls",
            count(text.len() as u64, "byte")
        ))),
        Some(text) => Ok(text),
    }
}

/// What is no regular expression is looked for as it is.
fn until(pattern: &str) -> Until {
    let regex = RegexMatcherBuilder::new()
        .multi_line(true)
        .size_limit(PATTERN)
        .dfa_size_limit(PATTERN)
        .build(pattern);
    match regex {
        Ok(regex) => Arc::new(move |text| regex.is_match(text.as_bytes()).unwrap_or(false)),
        Err(_) => {
            let pattern = pattern.to_owned();
            Arc::new(move |text| text.contains(&pattern))
        }
    }
}

fn told(heard: &Heard, action: Action, waits_for: bool, time: Duration, most: usize) -> String {
    let mut text = within(heard.said.clone(), most);
    if text.is_empty() {
        text += "[nothing new]\n";
    } else if !text.ends_with('\n') {
        text.push('\n');
    }
    let process = heard.process;
    match (&heard.ended, action) {
        (Some(ended), Action::Write) if !heard.came => {
            text += &format!("[not written: process {process} {ended}]\n");
        }
        (Some(ended), _) => text += &format!("[process {process} {ended}]\n"),
        (None, Action::Write) if heard.came => text += &format!("[written; process {process} runs]\n"),
        (None, Action::Write) => text += "[it has not read all of that yet]\n",
        (None, Action::Wait) if heard.came => text += &format!("[it came; process {process} runs]\n"),
        (None, Action::Wait) => {
            let what = if waits_for { "has not said that" } else { "has not ended" };
            text += &format!(
                "[waited {} s: process {process} {what}; it has run for {} s]\n",
                time.as_secs(),
                heard.ran.as_secs()
            );
        }
        (None, Action::Kill) => {
            text += &format!("[process {process} could not be killed and may still run]\n")
        }
        (None, Action::Read | Action::List) => text += &format!("[process {process} runs]\n"),
    }
    text
}

fn listed(all: &[Heard], most: usize) -> String {
    if all.is_empty() {
        return "[no process was started in the background]\n".to_owned();
    }
    let line = |heard: &Heard| {
        let state = match &heard.ended {
            None => format!("runs for {} s", heard.ran.as_secs()),
            Some(ended) => ended.clone(),
        };
        let unread = match heard.unread {
            0 => String::new(),
            bytes => format!(", {} to read", count(bytes, "byte")),
        };
        let command = first_chars(&heard.command, SHOWN).replace(['\n', '\r'], " ");
        format!("{}: `{command}` {state}{unread}\n", heard.process)
    };
    within(all.iter().map(line).collect(), most)
}
