//! What runs in the background, and what the model has yet to hear of it. Never rewinds with the conversation: what runs,
//! runs.

use std::collections::BTreeMap;

use codetether_event::{Event, ItemId, ProcessEvent, ProcessStatus, frame};

/// Processes that one message tells of.
const NAMED: usize = 32;
/// Characters of a command that a message shows.
const SHOWN: usize = 200;

/// The processes of a session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Processes {
    /// Those that run.
    pub running: BTreeMap<ItemId, Process>,
    /// Those that ended, with what the model is to hear of it.
    untold: BTreeMap<ItemId, String>,
}

/// A process that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// What it runs.
    pub command: String,
    /// Whether it reaches nothing but the workspace.
    pub confined: bool,
}

impl Processes {
    pub(crate) fn event(&mut self, event: &ProcessEvent) {
        match event {
            ProcessEvent::Started { item, command, confined, .. } => {
                self.untold.remove(item);
                self.running.insert(*item, Process { command: command.clone(), confined: *confined });
            }
            ProcessEvent::Exited { item, status, notes } => {
                let Some(process) = self.running.remove(item) else { return };
                // Whoever asked for it has heard it.
                if *status != ProcessStatus::Killed || !notes.is_empty() {
                    let mut text = line(*item, &process, &status.to_string());
                    for note in notes {
                        text += &format!("\n  sandbox: {note}");
                    }
                    self.untold.insert(*item, text);
                }
            }
            ProcessEvent::Lost { item, why } => {
                let Some(process) = self.running.remove(item) else { return };
                self.untold.insert(*item, line(*item, &process, &format!("is gone: {why}")));
            }
            ProcessEvent::Told { item } => {
                self.untold.remove(item);
            }
        }
    }

    /// The model was told of all that ended.
    pub(crate) fn told(&mut self) {
        self.untold.clear();
    }

    /// What runs when its owner has ended does no more.
    pub(crate) fn lost(&self) -> Vec<Event> {
        let why = "the program that ran it ended, and it with the program";
        let lost = self.running.keys().map(|item| ProcessEvent::Lost { item: *item, why: why.into() });
        lost.map(Event::Process).collect()
    }

    /// What the model is to hear of those that ended; nothing where there are none.
    pub(crate) fn news(&self) -> Option<String> {
        if self.untold.is_empty() {
            return None;
        }
        let mut lines: Vec<&str> = self.untold.values().map(String::as_str).take(NAMED).collect();
        let more = format!("… and {} more", self.untold.len().saturating_sub(NAMED));
        if self.untold.len() > NAMED {
            lines.push(&more);
        }
        Some(format!("<processes>\n{}\n</processes>", frame::inside("processes", &lines.join("\n"))))
    }
}

fn line(item: ItemId, process: &Process, what: &str) -> String {
    let mut command: String = process.command.trim().chars().take(SHOWN).collect();
    if command.len() < process.command.trim().len() {
        command.push('…');
    }
    format!("process {item} (`{}`) {what}", command.replace(['\n', '\r'], " "))
}
