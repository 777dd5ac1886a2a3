//! Standard error while a run is under way: what the agent does, on a terminal only.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use codetether_agent::Frame;
use codetether_event::{
    CallEvent, CheckPoint, ChildEvent, Confinement, ContextEvent, ContextSource, Delta, EgressEvent, Event,
    HookPoint, InterruptReason, ItemEvent, ItemId, Message, ModelId, NoteEvent, Outcome, Piece, ProcessEvent,
    ProcessStatus, Reading, SampleEvent, SampleOutcome, SessionId, Structured, ToolCall, TurnEvent, Verdict,
    Work,
};
use serde_json::Value;

use crate::printer::{self, count};
use crate::run::figures::Figures;
use crate::run::routing;
use crate::run::summing::Summing;
use crate::run::todo;
use crate::run::writing::Writing;

/// Time between two pictures of the spinner.
pub(crate) const TICK: Duration = Duration::from_millis(100);
/// How old a wait must be to be drawn: by then, what ends the line before it is on the screen.
const SETTLED: Duration = Duration::from_millis(50);
const SPINNER: [&str; 4] = ["|", "/", "-", "\\"];
/// Characters of a call's arguments that are shown.
const SHOWN: usize = 100;

pub(crate) struct Progress {
    /// Whether anything but warnings is shown.
    terminal: bool,
    /// Whether the terminal can take a line back.
    redraws: bool,
    quiet: bool,
    session: SessionId,
    calls: HashMap<ItemId, (String, Instant)>,
    waiting: Option<(String, Instant)>,
    /// The children at work, in words.
    children: HashMap<SessionId, String>,
    /// The calls of the answer that is coming.
    writing: Option<Writing>,
    /// Why the last request failed; said once, however often it is tried again.
    problem: Option<String>,
    /// The same, as long as it may be what ends the turn, which says it.
    unsaid: Option<String>,
    /// Whether the model was asked in this turn.
    begun: bool,
    /// Answers of this turn that did not have the form that was asked for.
    misfits: u32,
    /// What summaries cost.
    summing: Summing,
    frame: usize,
    drawn: bool,
    /// Lines that wait until the question on the screen is answered.
    held: Option<String>,
}

impl Progress {
    pub(crate) fn new(wanted: bool, session: SessionId) -> Self {
        let terminal = wanted && std::io::stderr().is_terminal();
        Self {
            terminal,
            redraws: std::env::var_os("TERM").is_none_or(|term| !term.eq_ignore_ascii_case("dumb")),
            quiet: !wanted,
            session,
            calls: HashMap::new(),
            waiting: None,
            children: HashMap::new(),
            writing: None,
            problem: None,
            unsaid: None,
            begun: false,
            misfits: 0,
            summing: Summing::default(),
            frame: 0,
            drawn: false,
            held: None,
        }
    }

    /// Never takes a line back.
    pub(crate) fn plainly(self, plain: bool) -> Self {
        Self { redraws: self.redraws && !plain, ..self }
    }

    /// Says what begins.
    pub(crate) fn announce(&self, model: &ModelId, agent: Option<&str>, confinement: Confinement) {
        if self.terminal {
            let session = self.session;
            let agent = agent.map(|agent| format!(" · agent {}", printer::plain(agent))).unwrap_or_default();
            printer::err(&format!("session {session} · {model}{agent}{}\n", unconfined(confinement)));
        }
    }

    /// Whether a line is drawn again and again.
    pub(crate) fn is_shown(&self) -> bool {
        self.terminal && self.redraws
    }

    pub(crate) fn see(&mut self, frame: &Frame) {
        if let Frame::Record(record) = frame
            && let Some(gave_way) = self.summing.see(&record.event)
        {
            self.say(&gave_way);
        }
        if let Frame::Record(record) = frame
            && let Some(problem) = self.unsaid.take()
            && !matches!(
                record.event,
                Event::Turn(TurnEvent::Ended { outcome: Outcome::ProviderFailed { .. } })
            )
        {
            self.say(&format!("the request failed: {problem}"));
        }
        match frame {
            Frame::Record(record) => match &record.event {
                Event::Turn(TurnEvent::Started { .. }) => (self.begun, self.misfits) = (false, 0),
                Event::Sample(SampleEvent::Started { retry_of, .. }) => {
                    self.begun = true;
                    let what = if retry_of.is_some() { "trying again" } else { "thinking" };
                    self.waiting = Some((what.into(), Instant::now()));
                    self.writing = None;
                }
                Event::Sample(SampleEvent::Ended { outcome, message, structured, .. }) => {
                    self.waiting = None;
                    self.writing = None;
                    if let SampleOutcome::Failed { failure } = outcome {
                        let problem = printer::plain(&failure.message);
                        if self.problem.as_ref() == Some(&problem) {
                            // It was said.
                        } else if !failure.kind.is_retryable() {
                            self.unsaid = Some(problem.clone());
                        } else {
                            self.say(&format!("the request failed: {problem}"));
                        }
                        self.problem = Some(problem);
                    }
                    self.misread(structured.as_ref());
                    self.proposed(record.seq, message.as_ref());
                }
                Event::Call(CallEvent::Authorized { item, verdict, .. }) => self.judged(*item, verdict),
                Event::Call(CallEvent::Started { item, .. }) => {
                    if let Some((what, since)) = self.calls.get_mut(item) {
                        *since = Instant::now();
                        self.waiting = Some((what.clone(), *since));
                    }
                }
                Event::Call(CallEvent::Ended { item, result, timing, .. }) => {
                    self.waiting = None;
                    if let Some((what, _)) = self.calls.remove(item) {
                        let mark = if result.error { "✗" } else { "✓" };
                        let took =
                            timing.map(|timing| format!(" {}", seconds(timing.total_ms))).unwrap_or_default();
                        let problem = if result.error { first_line(&result.text) } else { String::new() };
                        self.line(&format!("{mark} {what}{took}{problem}"));
                    }
                }
                Event::Context(ContextEvent::Folded { outputs, tokens, .. }) => {
                    self.say(&format!(
                        "left {} out, at about {tokens} tokens",
                        count(*outputs, "older output")
                    ));
                }
                Event::Context(ContextEvent::Kept { why }) => {
                    self.say(&format!("no summary was made: {why}"));
                }
                Event::Context(ContextEvent::Shown { known, instructions, .. }) => {
                    let files = known.iter().map(|file| &file.path).chain(instructions);
                    let files: Vec<&str> = files.map(String::as_str).collect();
                    self.line(&format!("shown anew: {}", shortened(&files.join(", "))));
                }
                Event::Context(ContextEvent::Todo { item, items }) => {
                    // Its call says no more.
                    self.calls.remove(item);
                    self.waiting = None;
                    self.line(&todo::lines(items));
                }
                Event::Turn(TurnEvent::Routed(routed)) => self.say(&routing::told(routed)),
                Event::Turn(TurnEvent::Escalated { model, why, .. }) => {
                    self.say(&format!("going on with `{model}`: {}", shortened(&why.to_string())));
                }
                Event::Turn(TurnEvent::FellBack { model, .. }) => {
                    self.say(&format!("going on with `{model}`"))
                }
                Event::Turn(TurnEvent::Interrupted { reason: InterruptReason::CostLimit(problem) }) => {
                    self.say(problem);
                }
                Event::Turn(TurnEvent::Hooked { point: HookPoint::Stop, blocked: Some(blocked), .. }) => {
                    self.say(&format!("the turn goes on for {}", printer::plain(blocked)));
                }
                // Where the turn ends for it, its end says so.
                Event::Turn(TurnEvent::Hooked {
                    point: HookPoint::UserPromptSubmit,
                    blocked: Some(blocked),
                    ..
                }) if self.begun => {
                    self.say(&format!("held back from the model: {}", printer::plain(blocked)));
                }
                Event::Turn(TurnEvent::Checked { point: CheckPoint::First, status, .. }) => {
                    self.line(&format!(
                        "the check {}, before anything is done",
                        printer::plain(&status.to_string())
                    ));
                }
                Event::Context(ContextEvent::Added { source: ContextSource::Check, .. }) => {
                    self.line("the model is told what the check said");
                }
                Event::Item(ItemEvent::Begun { what: Work::Check { .. }, .. }) => {
                    self.waiting = Some(("checking".into(), Instant::now()));
                }
                // What waits is asked about.
                Event::Egress(EgressEvent::Denied { target, why, rule, waits: false, .. }) => {
                    self.say(&printer::plain(&denied(target.as_deref(), why, rule.as_deref())));
                }
                Event::Process(event) => self.process(event),
                Event::Child(event) => self.child(event),
                Event::Note(NoteEvent::Warned { text }) => self.say(&printer::plain(text)),
                _ => {}
            },
            Frame::Delta(delta) if self.terminal => self.stream(delta),
            Frame::Delta(_) | Frame::CaughtUp(_) => {}
        }
    }

    /// What becomes of processes in the background.
    fn process(&mut self, event: &ProcessEvent) {
        let line = match event {
            // The session's end is told as a whole.
            ProcessEvent::Started { .. }
            | ProcessEvent::Told { .. }
            | ProcessEvent::Exited { status: ProcessStatus::Closed, .. } => return,
            ProcessEvent::Exited { item, status, .. } => format!("process {item} {status}"),
            ProcessEvent::Lost { item, why } => format!("process {item} is gone: {}", printer::plain(why)),
        };
        self.line(&line);
    }

    fn child(&mut self, event: &ChildEvent) {
        match event {
            ChildEvent::Spawned { session, agent, task, .. } => {
                let what = format!("child {}: {agent} \"{}\"", short(*session), shortened(task));
                self.line(&format!("· {what}"));
                self.children.insert(*session, what);
            }
            ChildEvent::Ended { session, outcome, steps, .. } => {
                let what =
                    self.children.remove(session).unwrap_or_else(|| format!("child {}", short(*session)));
                let mark = if *outcome == Outcome::Completed { "✓" } else { "✗" };
                self.line(&format!("{mark} {what} {}", count(*steps, "step")));
            }
            ChildEvent::Asked { .. } | ChildEvent::Settled { .. } | ChildEvent::Brought { .. } => {}
        }
    }

    fn stream(&mut self, delta: &Delta) {
        match delta.piece {
            // The answer's text may share the line with the spinner, which must not wipe it out.
            Piece::Text(_) => {
                self.clear();
                self.waiting = None;
            }
            // Behind a text, the line is ended by who shows it.
            Piece::Arguments(_) => {
                self.waiting.get_or_insert_with(|| (String::new(), Instant::now()));
            }
            Piece::Reasoning(_) => {}
            Piece::Output(_) => return,
        }
        match &mut self.writing {
            Some(writing) if writing.item() == delta.item => writing.see(delta),
            slot => slot.insert(Writing::new(delta.item)).see(delta),
        }
    }

    fn misread(&mut self, structured: Option<&Structured>) {
        if let Some(Reading::Misfits { problem }) =
            structured.and_then(|structured| structured.reading.as_ref())
        {
            self.misfits += 1;
            let again = if self.misfits > 1 { format!(" (try {})", self.misfits) } else { String::new() };
            self.say(&format!("the answer cannot be used{again}: {}", shortened(problem)));
        }
    }

    fn proposed(&mut self, seq: codetether_event::Seq, message: Option<&Message>) {
        let calls = message.into_iter().flat_map(Message::calls).enumerate();
        for (n, call) in calls {
            self.calls.insert(ItemId::call(seq, n), (title(call), Instant::now()));
        }
    }

    fn judged(&mut self, item: ItemId, verdict: &Verdict) {
        if let (Verdict::Deny { rule }, Some((what, _))) = (verdict, self.calls.get(&item)) {
            let line = format!("✗ {what}: not permitted ({})", printer::plain(rule));
            self.calls.remove(&item);
            self.line(&line);
        }
    }

    /// Keeps lines back while a question is on the screen.
    pub(crate) fn hold(&mut self, hold: bool) {
        match (hold, &self.held) {
            (true, None) => self.held = Some(String::new()),
            (false, Some(_)) => printer::err(&self.held.take().unwrap_or_default()),
            _ => {}
        }
    }

    /// A line for a person who watches.
    fn line(&mut self, text: &str) {
        if self.terminal {
            self.write(text);
        }
    }

    fn write(&mut self, text: &str) {
        self.clear();
        match &mut self.held {
            Some(held) => held.push_str(&format!("{text}\n")),
            None => printer::err(&format!("{text}\n")),
        }
    }

    /// A line that matters without a terminal too.
    pub(crate) fn say(&mut self, text: &str) {
        if !self.quiet {
            self.write(text);
        }
    }

    pub(crate) fn tick(&mut self) {
        let shown = |(_, since): &&(String, Instant)| self.held.is_none() && since.elapsed() >= SETTLED;
        let Some((what, since)) = self.waiting.as_ref().filter(shown) else { return };
        let writing = self.writing.as_ref().filter(|writing| writing.has_begun()).map(Writing::said);
        let what = writing.as_ref().unwrap_or(what);
        let picture = SPINNER.get(self.frame % SPINNER.len()).copied().unwrap_or_default();
        self.frame += 1;
        let line = format!(
            "\r\x1b[2K{picture} {what} {}",
            seconds(u64::try_from(since.elapsed().as_millis()).unwrap_or(0))
        );
        printer::err(&line);
        self.drawn = true;
    }

    /// Takes the spinner off the line.
    pub(crate) fn clear(&mut self) {
        if std::mem::take(&mut self.drawn) {
            printer::err("\r\x1b[2K");
        }
    }

    /// The figures of the turn, and where it can be looked at or gone on with, where that is not on the screen.
    pub(crate) fn end(&self, figures: &Figures, took: Duration, names_session: bool) {
        if !self.terminal {
            return;
        }
        let usage = figures.usage;
        let about = if usage.estimated { "about " } else { "" };
        let cost = figures.cost.map_or_else(|| "price unknown".into(), |cost| format!("{about}{cost}"));
        let session = if names_session { format!(" · session {}", self.session) } else { String::new() };
        let hit = usage.cache_read.saturating_mul(100) / usage.input.max(1);
        printer::err(&format!(
            "{} · {} · {about}{} tokens in ({} cached, {hit} %), {} out · {cost} · {}{session}\n",
            count(figures.steps, "step"),
            count(figures.calls, "call"),
            usage.input,
            usage.cache_read,
            usage.output,
            seconds(u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
        ));
    }
}

/// What holds commands in, where it is not the sandbox that they are meant to be in.
pub(crate) fn unconfined(confinement: Confinement) -> &'static str {
    match confinement {
        Confinement::None => " · no sandbox",
        Confinement::Landlock => " · Landlock alone",
        Confinement::Namespaces => "",
    }
}

/// What a command could not reach, and what would change that.
fn denied(target: Option<&str>, why: &str, rule: Option<&str>) -> String {
    let cure = match rule {
        Some(rule) => format!("; `{rule}` in `sandbox.net` would allow it"),
        None => String::new(),
    };
    let target = target.map_or_else(|| "a request".to_owned(), |target| format!("`{target}`"));
    format!("the sandbox kept a command from {target}: {why}{cure}")
}

/// The end of a session's id, which tells sessions of the same moment apart.
pub(crate) fn short(session: SessionId) -> String {
    let id = session.to_string();
    id.get(id.len().saturating_sub(4)..).unwrap_or_default().to_owned()
}

pub(crate) fn seconds(millis: u64) -> String {
    format!("{}.{} s", millis / 1000, millis % 1000 / 100)
}

fn first_line(text: &str) -> String {
    text.lines().next().map(|line| format!(": {}", shortened(line))).unwrap_or_default()
}

/// A call in one line: its name and its first argument, which says most.
fn title(call: &ToolCall) -> String {
    let first = serde_json::from_str::<Value>(&call.arguments)
        .ok()
        .and_then(|arguments| Some(said(arguments.as_object()?.values().next()?)));
    shortened(&format!("{} {}", call.name, first.unwrap_or_default()))
}

/// What an argument says of its call: a text itself, of a patch without its first line, of several edits their files.
fn said(argument: &Value) -> String {
    if let Some(text) = argument.as_str() {
        return text.strip_prefix("*** Begin Patch\n").unwrap_or(text).to_owned();
    }
    let items = argument.as_array().map_or(&[][..], Vec::as_slice);
    let mut paths: Vec<&str> = items.iter().filter_map(|item| item.get("path")?.as_str()).collect();
    paths.dedup();
    if paths.is_empty() { argument.to_string() } else { paths.join(", ") }
}

/// One line without control characters, or its beginning.
pub(crate) fn shortened(text: &str) -> String {
    let line = printer::plain(text).replace(['\n', '\t'], " ");
    match line.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
        None => line.trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use codetether_event::ToolName;

    use super::*;

    #[test]
    fn a_call_is_one_short_line_without_control_characters() {
        let call = |arguments: &str| ToolCall {
            id: "c".into(),
            name: ToolName::new("bash"),
            arguments: arguments.into(),
            wrapped: None,
        };
        assert_eq!(title(&call(r#"{"command":"a\nb\u001b[31m"}"#)), r"bash a b\u{1b}[31m");
        assert_eq!(title(&call("{broken")), "bash");
        let edits = r#"{"edits":[{"path":"a","old":"x"},{"path":"a"},{"path":"b"}]}"#;
        assert_eq!(title(&call(edits)), "bash a, b");
        assert_eq!(
            title(&call(r#"{"patch":"*** Begin Patch\n*** Add File: a\n+x"}"#)),
            "bash *** Add File: a +x"
        );
        assert_eq!(
            title(&call(&format!(r#"{{"command":"{}"}}"#, "ä".repeat(300)))).chars().count(),
            SHOWN + 1
        );
    }
}
