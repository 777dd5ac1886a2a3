//! What was said and done in a session, in the order of its journal: what `session export` writes as a document. Knows no
//! format.

use codetether_event::{
    CallEvent, ContentPart, ContextEvent, Event, ItemId, Message, NoteEvent, Outcome, Record, SampleEvent,
    SampleOutcome, SessionEvent, TurnEvent,
};

use crate::printer;

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
                said(parts, format!("user ({}, mode {})", settings.model, settings.mode), &input.parts);
            }
            Event::Turn(TurnEvent::Steered { input, .. }) => {
                said(parts, "user, meanwhile".to_owned(), &input.parts);
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
            Event::Note(NoteEvent::Warned { text }) => parts.push(Part::Remark(text.clone())),
            Event::Unknown(_) => parts.push(Part::Remark("[a record of a newer version]".into())),
            _ => {}
        }
    }
    if story.title.is_empty() {
        let first = story.parts.iter().find_map(|part| match part {
            Part::Said { who: Who::User, text, .. } => text.trim().lines().next().map(str::to_owned),
            _ => None,
        });
        story.title = first.unwrap_or_else(|| "A session".to_owned());
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
    if !text.trim().is_empty() {
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

fn ended(outcome: &Outcome) -> Option<Part> {
    Some(Part::Remark(match outcome {
        Outcome::Completed => return None,
        Outcome::Interrupted => "the turn was stopped".to_owned(),
        Outcome::LimitReached { .. } => "the turn ended at a limit".to_owned(),
        Outcome::ProviderFailed { failure } => {
            format!("the turn ended: the provider failed: {}", failure.message)
        }
        Outcome::Misfit { problem } => {
            format!("the turn ended: the answer does not fit its schema: {problem}")
        }
        Outcome::Failed { error } => format!("the turn ended: {error}"),
        Outcome::Blocked { reason } => format!("a hook held the turn back: {reason}"),
    }))
}
