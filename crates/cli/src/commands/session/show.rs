//! `codetether session show ID`: what was said and done, for a person.

use codetether_event::{
    AskEvent, AskKind, CallEvent, ChildEvent, ContentPart, ContextEvent, Event, Message, NoteEvent,
    ProcessEvent, Reading, Record, SampleEvent, SampleOutcome, SessionEvent, SessionId, Structured,
    TurnEvent, todo_lines,
};
use codetether_journal::Layout;

use crate::commands::session::{steps, story, time};
use crate::exit::{Exit, Failure};
use crate::printer;
use crate::run::routing;

/// Lines of a result that are shown.
const LINES: usize = 12;

pub(crate) fn run(layout: &Layout, id: SessionId) -> Result<Exit, Failure> {
    let loaded = codetether_journal::read::<Event>(layout.journal(id))?;
    let steps = steps::ids(&loaded.records);
    for record in &loaded.records {
        if let Some(text) = told(record, steps.contains(&record.seq)) {
            printer::out(&format!("{} {}\n", time(record.at), printer::plain(&text).trim_end()))?;
        }
    }
    if let Some(torn) = loaded.torn {
        printer::out(&format!(
            "(the last {} bytes are not whole yet, or were torn by a crash)\n",
            torn.bytes
        ))?;
    }
    Ok(Exit::Done)
}

/// A fact in words; none for those that a person need not see.
fn told(record: &Record, is_step: bool) -> Option<String> {
    Some(match &record.event {
        Event::Session(SessionEvent::Opened { session, root, build, parent, .. }) => {
            let of =
                parent.map(|parent| format!(", a child of session {}", parent.session)).unwrap_or_default();
            format!("session {session} in {root} ({build}){of}")
        }
        Event::Child(ChildEvent::Spawned { item, session, agent, task, .. }) => {
            format!("{item} starts a child, session {session}: {agent} \"{task}\"")
        }
        Event::Child(ChildEvent::Ended { session, outcome, steps, usage, .. }) => {
            let outcome = story::how(outcome);
            format!(
                "child of session {session} ended after {} ({} tokens in, {} out): {outcome}",
                printer::count(*steps, "step"),
                usage.input,
                usage.output
            )
        }
        Event::Session(SessionEvent::Adopted { root, build, .. }) => format!("taken up in {root} ({build})"),
        Event::Session(SessionEvent::Renamed { title }) => format!("title: {title}"),
        Event::Turn(TurnEvent::Started { input, settings, .. }) => {
            let agent = settings.agent.as_ref().map(|agent| format!(", agent {agent}")).unwrap_or_default();
            format!("user ({}, mode {}{agent}):\n{}", settings.model, settings.mode, parts(&input.parts))
        }
        Event::Turn(TurnEvent::Routed(routed)) => routing::told(routed),
        Event::Turn(TurnEvent::Escalated { model, why, .. }) => format!("going on with {model}: {why}"),
        Event::Turn(TurnEvent::FellBack { model, failure }) => {
            format!("going on with {model}: {}", failure.message)
        }
        Event::Turn(TurnEvent::Steered { input, .. }) => format!("user, meanwhile:\n{}", parts(&input.parts)),
        Event::Turn(TurnEvent::Compacting { settings, .. }) => {
            format!("compaction asked for ({})", settings.model)
        }
        Event::Context(ContextEvent::CompactionAsked { .. }) => "compaction asked for".into(),
        Event::Context(ContextEvent::Folded { outputs, .. }) => {
            format!("{outputs} older outputs were left out")
        }
        Event::Context(ContextEvent::Compacted { messages, .. }) => {
            format!("{messages} older messages gave way to what the model said last")
        }
        Event::Context(ContextEvent::Todo { items, .. }) => format!("to do:\n{}", todo_lines(items)),
        Event::Context(ContextEvent::Kept { why }) => format!("no summary was made: {why}"),
        Event::Context(ContextEvent::Shown { message, .. }) => {
            format!("context:\n{}", shortened(&message.text()))
        }
        Event::Ask(AskEvent::Opened { ask: AskKind::Question(question), .. }) => {
            let options: Vec<&str> = question.options.iter().map(|option| option.label.as_str()).collect();
            format!("the model asks: {}\n[{}]", question.question, options.join("] ["))
        }
        Event::Turn(TurnEvent::Interrupted { .. }) => "interrupted".into(),
        Event::Turn(TurnEvent::Ended { outcome }) => {
            format!("the turn ended: {}", story::how(outcome))
        }
        Event::Process(ProcessEvent::Started { item, command, .. }) => {
            format!("process {item} started: {}", shortened(command))
        }
        Event::Process(ProcessEvent::Exited { item, status, .. }) => format!("process {item} {status}"),
        Event::Process(ProcessEvent::Lost { item, why }) => format!("process {item} is gone: {why}"),
        Event::Context(ContextEvent::Added { message, .. }) => {
            format!("context:\n{}", shortened(&message.text()))
        }
        Event::Sample(SampleEvent::Ended { outcome, message, structured, usage, .. }) => {
            let said = message.as_ref().map(answer).unwrap_or_default();
            let failed = match outcome {
                SampleOutcome::Answered { .. } => String::new(),
                SampleOutcome::Failed { failure } => format!("the request failed: {}\n", failure.message),
                SampleOutcome::Interrupted => "interrupted\n".into(),
                SampleOutcome::Lost => "lost: the program ended before the answer\n".into(),
            };
            let read = structured.as_ref().map(reading).unwrap_or_default();
            let step = if is_step { format!("step {}, ", record.seq) } else { String::new() };
            format!("model ({step}{} tokens in, {} out):\n{failed}{said}{read}", usage.input, usage.output)
        }
        Event::Call(CallEvent::Ended { item, result, .. }) => {
            let failed = if result.error { " (failed)" } else { "" };
            format!("result of {item}{failed}:\n{}", shortened(&result.text))
        }
        Event::Note(NoteEvent::Warned { text }) => format!("note: {text}"),
        Event::Unknown(raw) => format!("written by a newer version: {}", shortened(raw.0.get())),
        _ => return None,
    })
}

/// What came of an answer that must have a form.
fn reading(structured: &Structured) -> String {
    let way = structured.way.as_str();
    match &structured.reading {
        None => String::new(),
        Some(Reading::Fits { rung, .. }) => format!("fits the schema (asked by {way}, {})\n", rung.as_str()),
        Some(Reading::Misfits { problem }) => {
            format!("does not fit (asked by {way}): {}\n", shortened(problem))
        }
    }
}

fn answer(message: &Message) -> String {
    let calls = message.calls().map(|call| format!("calls {} {}\n", call.name, shortened(&call.arguments)));
    let text = message.text();
    let text = if text.is_empty() { text } else { format!("{}\n", text.trim_end()) };
    format!("{text}{}", calls.collect::<String>())
}

fn parts(parts: &[ContentPart]) -> String {
    let lines = parts.iter().map(|part| match part {
        ContentPart::Text { text } => text.clone(),
        ContentPart::Image { media_type, .. } => format!("[{media_type}]"),
        _ => String::new(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The first lines, and how many follow.
fn shortened(text: &str) -> String {
    let count = text.lines().count();
    let shown: Vec<&str> = text.lines().take(LINES).collect();
    let more = count.saturating_sub(LINES);
    if more == 0 { shown.join("\n") } else { format!("{}\n[… {more} more lines …]", shown.join("\n")) }
}
