//! What was said and done in a session, in the order of its journal: what `session export` writes as a document. Knows no
//! format.

use codetether_event::{
    CallEvent, ChildEvent, ContentPart, ContextEvent, Event, ItemId, LimitKind, Message, NoteEvent, Outcome,
    Record, SampleEvent, SampleOutcome, SessionEvent, TurnEvent,
};

use crate::printer;
use crate::run::routing;

/// A session told.
#[derive(Debug, Default)]
pub(super) struct Story {
    pub(super) title: String,
    /// Lines about the session as a whole: a name and a value.
    pub(super) about: Vec<(&'static str, String)>,
    pub(super) parts: Vec<Part>,
}

/// A part of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Somebody speaks, in prose.
    Said { who: Who, head: String, text: String },
    /// Something that must be shown letter by letter: a call's arguments, a result.
    Verbatim { head: String, language: &'static str, text: String, failed: bool },
    /// An image or a document that somebody showed.
    Shown { media_type: String, blob: codetether_event::BlobId },
    /// A short remark.
    Remark(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    User,
    Model,
}

pub(super) fn tell(records: &[Record]) -> Story {
    let mut story = Story::default();
    let mut first: Option<String> = None;
    let mut names: std::collections::HashMap<ItemId, String> = std::collections::HashMap::new();
    for record in records {
        let parts = &mut story.parts;
        match &record.event {
            Event::Session(SessionEvent::Opened { session, root, build, forked, .. }) => {
                story.about.push(("session", session.to_string()));
                story.about.push(("folder", root.clone()));
                story.about.push(("begun", super::time(record.at)));
                story.about.push(("by", build.clone()));
                if let Some(fork) = forked {
                    story.about.push(("forked from", format!("{} at {}", fork.session, fork.at)));
                }
            }
            Event::Session(SessionEvent::Renamed { title }) => story.title.clone_from(title),
            Event::Turn(TurnEvent::Started { input, settings, .. }) => {
                first.get_or_insert_with(|| super::about::prompt(&input.parts));
                said(parts, format!("user ({}, mode {})", settings.model, settings.mode), &input.parts);
            }
            Event::Turn(TurnEvent::Steered { input, .. }) => {
                said(parts, "user, meanwhile".to_owned(), &input.parts);
            }
            Event::Turn(TurnEvent::Routed(routed)) => parts.push(Part::Remark(routing::told(routed))),
            Event::Turn(TurnEvent::Escalated { model, why, .. }) => {
                parts.push(Part::Remark(format!("the turn goes on with {model}: {why}")));
            }
            Event::Turn(TurnEvent::FellBack { model, .. }) => {
                parts.push(Part::Remark(format!("the turn goes on with {model}")));
            }
            Event::Turn(TurnEvent::Ended { outcome }) => parts.extend(ended(outcome)),
            Event::Context(ContextEvent::Rewound { to }) => {
                parts.push(Part::Remark(format!("the conversation went back to before record {to}")));
            }
            Event::Context(ContextEvent::Compacted { messages, tokens, .. }) => {
                parts.push(Part::Remark(format!(
                    "{} gave way to a summary, at about {tokens} tokens",
                    printer::count(*messages, "older message")
                )))
            }
            Event::Sample(SampleEvent::Ended { outcome, message, .. }) => {
                if let Some(message) = message {
                    answered(parts, record, message, &mut names);
                }
                match outcome {
                    SampleOutcome::Answered { .. } => {}
                    SampleOutcome::Failed { failure } => {
                        parts.push(Part::Remark(format!("the request failed: {}", failure.message)));
                    }
                    SampleOutcome::Interrupted => parts.push(Part::Remark("interrupted".into())),
                    SampleOutcome::Lost => {
                        parts.push(Part::Remark("the program ended before the answer".into()));
                    }
                }
            }
            Event::Call(CallEvent::Ended { item, result, .. }) => {
                let name = names.get(item).cloned().unwrap_or_default();
                parts.push(Part::Verbatim {
                    head: format!("result of {item} {name}").trim_end().to_owned(),
                    language: "text",
                    text: result.text.clone(),
                    failed: result.error,
                });
            }
            Event::Child(ChildEvent::Spawned { session, agent, task, .. }) => {
                parts.push(Part::Remark(format!("a child, session {session}: {agent} \"{task}\"")));
            }
            Event::Child(ChildEvent::Ended { session, outcome, steps, .. }) => {
                let (steps, how) = (printer::count(*steps, "step"), how(outcome));
                parts
                    .push(Part::Remark(format!("the child of session {session} ended after {steps}: {how}")));
            }
            Event::Note(NoteEvent::Warned { text }) => parts.push(Part::Remark(text.clone())),
            Event::Unknown(_) => parts.push(Part::Remark("[a record of a newer version]".into())),
            _ => {}
        }
    }
    if story.title.is_empty() {
        let line = first.as_deref().and_then(|text| text.trim().lines().next());
        story.title = line.unwrap_or("A session").to_owned();
    }
    story.title = crate::run::progress::shortened(&story.title);
    story
}

fn said(parts: &mut Vec<Part>, head: String, content: &[ContentPart]) {
    let mut head = Some(head);
    for part in content {
        match part {
            ContentPart::Text { text } => {
                let head = head.take().unwrap_or_else(|| "and".to_owned());
                parts.push(Part::Said { who: Who::User, head, text: text.clone() });
            }
            ContentPart::Image { media_type, blob } => {
                parts.push(Part::Shown { media_type: media_type.clone(), blob: blob.clone() });
            }
            _ => {}
        }
    }
}

fn answered(
    parts: &mut Vec<Part>,
    record: &Record,
    message: &Message,
    names: &mut std::collections::HashMap<ItemId, String>,
) {
    let text = message.text();
    if !text.trim().is_empty() || message.calls().next().is_some() {
        parts.push(Part::Said { who: Who::Model, head: format!("model, step {}", record.seq), text });
    }
    for (n, call) in message.calls().enumerate() {
        let item = ItemId::call(record.seq, n);
        names.insert(item, call.name.to_string());
        let pretty = serde_json::from_str::<serde_json::Value>(&call.arguments)
            .and_then(|value| serde_json::to_string_pretty(&value));
        parts.push(Part::Verbatim {
            head: format!("call {item} {}", call.name),
            language: "json",
            text: pretty.unwrap_or_else(|_| call.arguments.clone()),
            failed: false,
        });
    }
}

/// How a turn ended that was not completed.
fn ended(outcome: &Outcome) -> Option<Part> {
    (*outcome != Outcome::Completed).then(|| Part::Remark(format!("the turn ended: {}", how(outcome))))
}

/// An outcome in words.
pub(super) fn how(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Completed => "done".to_owned(),
        Outcome::Interrupted => "it was stopped".to_owned(),
        Outcome::LimitReached { limit } => match limit {
            LimitKind::Steps => "the limit of steps was reached".to_owned(),
            LimitKind::Time => "the time limit was reached".to_owned(),
            LimitKind::Cost => "the limit of money was reached".to_owned(),
            LimitKind::Output => "the answer was cut at the limit of output tokens".to_owned(),
            LimitKind::NoProgress => "the model went in circles".to_owned(),
        },
        Outcome::ProviderFailed { failure } => format!("the provider failed: {}", failure.message),
        Outcome::Misfit { problem } => format!("the answer does not fit its schema: {problem}"),
        Outcome::CheckFailed { status } => format!("its check {status}"),
        Outcome::Failed { error } => error.clone(),
        Outcome::Blocked { reason } => format!("a hook held it back: {reason}"),
    }
}
