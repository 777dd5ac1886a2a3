//! What a turn of a small model is cut to: few tools, by what its prompt asks for, a check where the folder has one, and
//! bounds, so that a model that does not get there does not go on for long.

use std::path::Path;

use codetether_config::Settings;
use codetether_event::{Check, Confinement, Mode, ModelId, Small, ToolName, Tries, TurnSettings};
use codetether_route::{Class, Job};

use crate::models;
use crate::run::checks::{self, Detected};

/// Most tokens of an answer, where nothing else is set.
const OUTPUT: u32 = 1_536;

/// Most answers of a turn.
const STEPS: u32 = 12;

/// Most answers of a turn that is to make one change.
const SINGLE: u32 = 2;

/// Tries at what a check tells.
pub(crate) const TRIES: u32 = 5;

/// Whether a model is small, by what the settings say, else by where it runs.
pub(crate) fn is_small(settings: &Settings, model: &ModelId) -> bool {
    let said = settings.of_model(model).and_then(|row| row.small);
    said.unwrap_or_else(|| models::is_embedded(settings, model))
}

/// The turn as it is for the small models among those that may be asked; and why there is a check, where nobody set one.
pub(super) fn cut(
    settings: &Settings,
    turn: TurnSettings,
    prompt: &str,
    root: &Path,
) -> (TurnSettings, Option<String>) {
    let tiers = turn.tiers.iter().flat_map(|tiers| tiers.all()).map(|(_, candidate)| &candidate.model);
    let mut models: Vec<ModelId> =
        [&turn.model].into_iter().chain(&turn.fallback).chain(tiers).cloned().collect();
    models.sort();
    models.dedup();
    models.retain(|model| is_small(settings, model));
    if models.is_empty() {
        return (turn, None);
    }
    let class = Job { prompt, ..Job::default() }.class();
    let tools = turn
        .tools
        .clone()
        .unwrap_or_else(|| tools(class, prompt).iter().map(|name| ToolName::new(*name)).collect());
    let alone = models.contains(&turn.model) && turn.tiers.is_none();
    let turn = TurnSettings { small: Some(Box::new(Small { models, tools })), ..turn };
    if alone { alone_with(turn, class, (prompt, root)) } else { (turn, None) }
}

/// The turn of a small model that no larger one stands behind.
fn alone_with(
    turn: TurnSettings,
    class: Class,
    (prompt, root): (&str, &Path),
) -> (TurnSettings, Option<String>) {
    let mends = matches!(class, Class::Fix | Class::Edit | Class::Refactor);
    // What a folder's own files say is run unasked only where any command is, and is confined.
    let unasked = turn.confinement == Confinement::Namespaces && turn.mode >= Mode::AutoEdit;
    let may = unasked && turn.check.is_none() && mends;
    let found = if may { checks::of(root) } else { None };
    let note = found.as_ref().map(Detected::told);
    let found = found.map(|Detected { command, .. }| Check {
        command,
        time_ms: Check::TIME_MS,
        first: true,
        always: true,
        rounds: Check::ROUNDS,
        tries: None,
    });
    // What is mended is in one place, and the check tells whether it was the right one.
    // Who names a test may want that one changed.
    let names_test = prompt.split_whitespace().any(|word| word.contains("test") && word.contains('.'));
    let single = class == Class::Fix && (found.is_some() || turn.check.is_some()) && !names_test;
    let steps = if single { SINGLE } else { STEPS };
    let turn = TurnSettings {
        check: found.or(turn.check),
        single,
        max_output: turn.max_output.or(Some(OUTPUT)),
        max_steps: turn.max_steps.min(steps),
        ..turn
    };
    (turn, note)
}

/// The check of a small model's turn, tried as often as is worth it, where nobody said how often.
pub(super) fn tried(turn: TurnSettings) -> TurnSettings {
    let alone = turn.is_small(&turn.model) && turn.tiers.is_none() && turn.snapshots;
    let check = turn.check.map(|check| match check.tries {
        None if alone => Check { rounds: 0, tries: Some(Tries { number: 1, most: TRIES }), ..check },
        _ => check,
    });
    TurnSettings { check, ..turn }
}

/// The tools for what a prompt asks for.
fn tools(class: Class, prompt: &str) -> &'static [&'static str] {
    let runs = prompt.split_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case("run"));
    match class {
        _ if runs => &["bash", "read"],
        Class::Write => &["write", "edit", "read"],
        Class::Fix | Class::Edit => &["edit", "write", "read"],
        Class::Refactor => &["edit", "write", "read", "grep"],
        Class::Question | Class::Design => &["read", "grep", "list"],
        // It is not known what is asked for.
        Class::Other => &["edit", "write", "read", "grep"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_few_and_fit_the_job() {
        let of =
            |prompt: &str| -> Vec<&str> { tools(Job { prompt, ..Job::default() }.class(), prompt).to_vec() };
        assert_eq!(of("create fizz.py that prints FizzBuzz for 1 to 15"), ["write", "edit", "read"]);
        assert_eq!(of("fix the failing test"), ["edit", "write", "read"]);
        assert_eq!(of("where is the parser"), ["read", "grep", "list"]);
        assert_eq!(of("Run ls"), ["bash", "read"]);
        assert_eq!(of(""), ["edit", "write", "read", "grep"], "a conversation of which nothing was said yet");
    }
}
