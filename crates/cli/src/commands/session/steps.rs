//! The steps of a session: an answer of the model and its calls, named by the answer's record.

use std::collections::BTreeSet;

use codetether_event::{
    CallEvent, ContextEvent, ContextSource, Event, Record, SampleEvent, SampleOutcome, Seq, SessionId,
    TurnEvent,
};

use crate::exit::{Exit, Failure};

/// A step of the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    /// The record of its answer.
    id: Seq,
    /// The last record that belongs to it: its last result, or the end of its turn.
    end: Seq,
}

/// The last record of the step that is named, as `session show` tells it.
pub(crate) fn end(session: SessionId, records: &[Record], step: &str) -> Result<Seq, Failure> {
    let steps = of(records);
    let found = steps.iter().find(|known| known.id.0.to_string() == step.trim());
    found.map(|step| step.end).ok_or_else(|| {
        let (message, help) = match (steps.first(), steps.last()) {
            (Some(first), Some(last)) => (
                format!(
                    "session {session} has no step `{step}`: its steps go from {} to {}",
                    first.id, last.id
                ),
                format!("`codetether session show {session}` tells them all"),
            ),
            _ => (
                format!("session {session} has no step `{step}`: the model has not answered in it yet"),
                "leave `--at` out to take all of its past".to_owned(),
            ),
        };
        Failure::with_help(Exit::Usage, message, help)
    })
}

/// The ids of all steps.
pub(super) fn ids(records: &[Record]) -> BTreeSet<Seq> {
    of(records).into_iter().map(|step| step.id).collect()
}

fn of(records: &[Record]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    // Whether nothing but the turn's end can belong to the last step any more.
    let mut over = true;
    let mut summing = false;
    for record in records {
        match &record.event {
            Event::Context(ContextEvent::Added { source: ContextSource::Summary, .. }) => summing = true,
            Event::Context(ContextEvent::Compacted { .. }) => summing = false,
            Event::Sample(SampleEvent::Ended { outcome: SampleOutcome::Answered { .. }, .. }) if !summing => {
                steps.push(Step { id: record.seq, end: record.seq });
                over = false;
            }
            Event::Sample(SampleEvent::Started { .. }) => over = true,
            Event::Call(CallEvent::Ended { item, .. }) => {
                if let Some(step) = steps.last_mut().filter(|step| step.id == item.seq) {
                    step.end = record.seq;
                }
            }
            Event::Turn(TurnEvent::Ended { .. }) => {
                summing = false;
                if let Some(step) = steps.last_mut().filter(|_| !over) {
                    step.end = record.seq;
                }
                over = true;
            }
            _ => {}
        }
    }
    steps
}
