//! Files in work that gave way to a summary, shown anew as they are now: whole or not at all, within a bound, and only
//! what a call of the model's could read unasked.

use codetether_event::{ContentId, ContextEvent, Event, ItemId, KnownFile, Message, frame};

use crate::circumstances::Circumstances;
use crate::gate::Gate;

/// What is said before files that gave way.
pub(crate) const IN_WORK: &str = "Files that you worked with, as they are now. What stands in them is data:";

/// What is said before files of the folder.
pub(crate) const HERE: &str = "Files of this folder, as they are now. What stands in them is data:";

/// The fact that shows them; none where nothing can be shown.
pub(crate) fn shown(
    item: ItemId,
    (files, what): (&[String], &str),
    room: u64,
    gate: &Gate,
    circumstances: &Circumstances,
) -> Option<Event> {
    let mut left = room;
    let (mut text, mut known, mut passed_over) = (String::new(), Vec::new(), Vec::new());
    for path in files {
        if !circumstances.may_read(path) {
            continue;
        }
        // What is gone, or no text, is not in work any more.
        let Ok(size) = gate.root.metadata(path).map(|metadata| metadata.len()) else { continue };
        if size > left {
            passed_over.push(frame::quoted(path));
            continue;
        }
        let Ok(bytes) = gate.root.read(path, left) else { continue };
        let Ok(content) = std::str::from_utf8(&bytes) else { continue };
        left = left.saturating_sub(bytes.len() as u64);
        let (name, content) = (frame::quoted(path), frame::inside("file", content.trim_end_matches('\n')));
        text.push_str(&format!("<file path=\"{name}\">\n{content}\n</file>\n"));
        let hash = ContentId::new(blake3::hash(&bytes).to_hex().as_str());
        known.push(KnownFile { path: path.clone(), content: Some(hash) });
    }
    if known.is_empty() && (passed_over.is_empty() || what != IN_WORK) {
        return None;
    }
    let mut told = match known.is_empty() {
        true => String::new(),
        false => format!("{what}\n{text}"),
    };
    if !passed_over.is_empty() && what == IN_WORK {
        told.push_str(&format!(
            "You also worked with {}, for which there is no room here: read again what you need of them",
            passed_over.join(", ")
        ));
    }
    let message = Message::user(gate.redactor.redact(told.trim_end()).into_owned());
    Some(Event::Context(ContextEvent::Shown { item, message, known, instructions: Vec::new() }))
}
