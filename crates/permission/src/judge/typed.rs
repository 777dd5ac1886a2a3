//! The verdict on what is typed into a process that runs.

use codetether_event::{Mode, Typed};

use super::{By, Decision, Judge, Part, Ruling, What};
use crate::List;
use crate::rule::SHELL;

impl Judge<'_> {
    /// What is typed into a process: what that makes of it cannot be told, so rules about its command hold for it, and
    /// where there is none that allows, only what confines it lets it pass.
    pub(super) fn typed(&self, typed: &Typed) -> Part {
        let mut parts = Vec::new();
        Judge { tool: SHELL, ..*self }.program(&typed.command, &mut parts);
        let of = |list: List| {
            parts.iter().find_map(|part| match &part.by {
                By::Rule(found, rule) if *found == list => Some(rule.clone()),
                _ => None,
            })
        };
        let ruled = |list: List, decision: Decision| {
            let rule = self.whole(list).map(ToString::to_string).or_else(|| of(list))?;
            let why = format!("it is about `{}`, which this is typed into", first_of(&typed.command));
            Some(Ruling { decision, by: By::Rule(list, rule), why })
        };
        let allowed = parts.iter().all(|part| match &part.by {
            By::Rule(..) | By::Nothing => part.decision == Decision::Allow,
            By::Mode(_) | By::Caution | By::Sandbox => false,
        });
        let quiet = self.rules.deny.is_empty() && self.rules.ask.is_empty();
        let ruling = ruled(List::Deny, Decision::Deny)
            .or_else(|| (self.mode == Mode::Plan).then(|| Ruling::mode(Decision::Deny, self.mode)))
            .or_else(|| ruled(List::Ask, Decision::Ask))
            .or_else(|| (self.confined && quiet).then(Ruling::sandbox))
            .or_else(|| {
                let named = allowed || self.whole(List::Allow).is_some();
                ruled(List::Allow, Decision::Allow).filter(|_| named)
            });
        let ruling = ruling.unwrap_or_else(|| {
            Ruling::caution("what is typed into a program may do anything that the program can")
        });
        // What allows the command by itself allows this.
        let mut proposals = parts.into_iter().filter_map(|part| part.proposal);
        let proposal = proposals.next().filter(|_| proposals.next().is_none());
        Self::part(What::Unclear, first_of(&typed.text), ruling, proposal)
    }
}

/// The beginning of a text, in one line.
fn first_of(text: &str) -> String {
    let line: String = text.trim().chars().take(200).collect();
    line.replace(['\n', '\r'], " ")
}
