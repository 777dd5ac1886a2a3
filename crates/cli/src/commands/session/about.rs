//! What a session's records say about it, for the index.

use codetether_event::{
    ContentPart, Event, Message, Record, SampleEvent, SessionEvent, SessionId, TurnEvent, Usage,
};
use codetether_journal::{Entry, Indexed};

/// Characters of a title made of a prompt.
const TITLE: usize = 80;
/// Bytes of messages that are searched, of one session.
const TEXT: usize = 1 << 20;

pub(crate) struct About;

impl Indexed for About {
    type Event = Event;

    fn entry(records: &[Record]) -> Entry {
        let mut entry = Entry::default();
        let mut named = None;
        let mut usage = Usage::default();
        let mut room = TEXT;
        let mut keep = |text: String, texts: &mut Vec<String>| {
            if !text.is_empty() && text.len() <= room {
                room -= text.len();
                texts.push(text);
            }
        };
        for record in records {
            entry.updated = entry.updated.max(record.at);
            match &record.event {
                Event::Session(SessionEvent::Opened { root, parent, .. }) => {
                    entry.created = record.at;
                    entry.project = parent.map_or_else(|| root.clone(), |parent| of_parent(parent.session));
                }
                // A child has no folder of its own to be found by.
                Event::Session(SessionEvent::Adopted { .. }) if is_child(&entry.project) => {}
                Event::Session(SessionEvent::Adopted { root, .. }) => entry.project.clone_from(root),
                Event::Session(SessionEvent::Renamed { title }) => named = Some(title.clone()),
                Event::Turn(TurnEvent::Started { input, .. }) => {
                    entry.turns += 1;
                    let text = prompt(&input.parts);
                    if entry.title.is_empty() {
                        entry.title = title(&text);
                    }
                    keep(text, &mut entry.text);
                }
                Event::Turn(TurnEvent::Steered { input, .. }) => keep(prompt(&input.parts), &mut entry.text),
                Event::Sample(SampleEvent::Ended { message, usage: spent, cost, .. }) => {
                    usage += *spent;
                    entry.cost_microdollars =
                        entry.cost_microdollars.saturating_add(cost.map_or(0, |cost| cost.0));
                    keep(message.as_ref().map(Message::text).unwrap_or_default(), &mut entry.text);
                }
                _ => {}
            }
        }
        entry.tokens = usage.total();
        if let Some(named) = named {
            entry.title = named;
        }
        entry
    }
}

/// What stands in the place of a child's folder: so nobody who looks for the sessions of a folder comes across it.
const CHILD_OF: &str = "child of ";

fn of_parent(parent: SessionId) -> String {
    format!("{CHILD_OF}{parent}")
}

/// Whether what is indexed as a session's folder says that it is a child. Folders begin with `/`.
pub(crate) fn is_child(project: &str) -> bool {
    project.starts_with(CHILD_OF)
}

/// What the user typed: the last text, behind what was attached.
pub(super) fn prompt(parts: &[ContentPart]) -> String {
    let mut texts = parts.iter().rev().filter_map(|part| match part {
        ContentPart::Text { text } => Some(text.as_str()),
        _ => None,
    });
    texts.next().unwrap_or_default().to_owned()
}

fn title(prompt: &str) -> String {
    let line = prompt.trim().lines().next().unwrap_or_default();
    match line.char_indices().nth(TITLE) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_the_first_line_of_the_first_prompt() {
        assert_eq!(title("  do this\nand that"), "do this");
        assert_eq!(title(&"ä".repeat(100)).chars().count(), TITLE + 1);
        assert_eq!(prompt(&[ContentPart::text("<file>"), ContentPart::text("what I want")]), "what I want");
    }
}
