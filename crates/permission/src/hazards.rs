//! What a yes to a program does not cover: options of it that execute or write, and acts that destroy. A rule covers
//! them only when it names them. The tables are the documentation; `docs/permissions.md` is made from them.

mod git;
mod options;
#[cfg(test)]
mod reference;
mod scripts;

use crate::command_pattern::MustName;
use crate::place::{Place, Spot};
use crate::shell::{Simple, Word};

pub(crate) use git::{bare as git_bare, plain as git_plain};

/// Why a command takes more than a rule for its program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hazard {
    pub(crate) kind: Kind,
    /// The words that make it so, by their place; a rule covers it when it names them.
    pub(crate) words: Vec<usize>,
    pub(crate) why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It executes or writes what the program as such does not.
    Executes,
    /// It destroys what cannot be had back; asked about in every mode.
    Destroys,
    /// It runs what it reads from its input: no rule can name that.
    RunsInput,
    /// It removes outside the workspace; asked about in every mode. A rule must name where the path begins.
    Removes,
}

impl Hazard {
    fn executes(words: Vec<usize>, why: impl Into<String>) -> Self {
        Self { kind: Kind::Executes, words, why: why.into() }
    }

    fn runs_input(name: &str) -> Self {
        let why = format!("`{name}` runs what it reads from its input");
        Self { kind: Kind::RunsInput, words: Vec::new(), why }
    }

    fn destroys(words: Vec<usize>, why: impl Into<String>) -> Self {
        Self { kind: Kind::Destroys, words, why: why.into() }
    }
}

/// What a rule must name to cover all of them.
pub(crate) fn must_name(hazards: &[Hazard]) -> MustName {
    let mut must = MustName::default();
    for hazard in hazards {
        match hazard.kind {
            Kind::Removes => must.beginning.extend(&hazard.words),
            Kind::RunsInput => must.never = true,
            Kind::Executes | Kind::Destroys => must.exactly.extend(&hazard.words),
        }
    }
    must
}

/// The hazards of a command.
pub(crate) fn of(simple: &Simple, place: &Place<'_>) -> Vec<Hazard> {
    let mut hazards = Vec::new();
    if simple.assigned > 0 {
        let names: Vec<&str> = simple
            .words
            .iter()
            .take(simple.assigned)
            .map(|word| word.raw.split('=').next().unwrap_or_default())
            .collect();
        hazards.push(Hazard::executes(
            (0..simple.assigned).collect(),
            format!("`{}=` before it changes what runs", names.join("=`, `")),
        ));
    }
    let words = simple.words.get(simple.assigned..).unwrap_or_default();
    let Some(first) = words.first() else { return hazards };
    let name = crate::shell::base(&first.text);
    let from = hazards.len();
    if name == "git" {
        hazards.extend(git::hazards(words));
    }
    hazards.extend(options::hazards(name, words));
    hazards.extend(scripts::hazards(name, words));
    hazards.extend(removals(name, words, simple, place));
    if !first.text.contains('/') {
        hazards.extend(powerful(name, words, simple, place));
    }
    // The places are those of the words without the assignments, so far.
    for hazard in hazards.iter_mut().skip(from) {
        hazard.words.iter_mut().for_each(|at| *at += simple.assigned);
    }
    if first.text.contains('/') && !first.text.starts_with('/') && !simple.dirs.is_root() {
        hazards.push(Hazard::executes(
            (0..simple.words.len()).collect(),
            "it runs a program by a relative path after the folder was changed",
        ));
    }
    hazards
}

/// The words that are no options, with their places; what follows `--` is none, whatever it looks like.
pub(crate) fn operands(words: &[Word]) -> Vec<(usize, &Word)> {
    let mut only = false;
    words
        .iter()
        .enumerate()
        .skip(1)
        .filter(|(_, word)| {
            if !only && word.is("--") {
                only = true;
                return false;
            }
            only || !word.text.starts_with('-') || word.is("-")
        })
        .collect()
}

/// Programs that remove what their operands name.
const REMOVERS: &[&str] = &["rm", "rmdir", "shred", "srm", "trash", "unlink"];

/// The operands that a command removes.
fn removed<'w>(name: &str, words: &'w [Word]) -> Vec<(usize, &'w Word)> {
    match name {
        _ if REMOVERS.contains(&name) => operands(words),
        "mv" => {
            let mut operands = operands(words);
            if !words.iter().any(|word| word.text.starts_with("-t") || word.text.starts_with("--t")) {
                operands.pop();
            }
            operands
        }
        "find" if words.iter().any(|word| word.is("-delete")) => crate::shell::find_starts(words),
        _ => Vec::new(),
    }
}

/// Removal outside the workspace, of the workspace itself, or of its history.
fn removals(name: &str, words: &[Word], simple: &Simple, place: &Place<'_>) -> Vec<Hazard> {
    let mut hazards = Vec::new();
    for (at, word) in removed(name, words) {
        let spots = place.word(word, &simple.dirs);
        let shown = word.quoted();
        let why = spots.iter().find_map(|spot| match spot {
            Spot::Outside(_) => Some(format!("it removes `{shown}`, which is outside the workspace")),
            Spot::Anywhere => Some(format!("it removes `{shown}`, which may be outside the workspace")),
            // `rm *` names files in the root, not the root.
            Spot::Inside(path) if path == "." && (word.known || name == "find") => match name {
                "find" => None,
                _ => Some("it removes the workspace itself".to_owned()),
            },
            Spot::Inside(path) if has_part(path, ".git") => {
                Some(format!("it removes `{shown}`, git's own files"))
            }
            Spot::Inside(_) => None,
        });
        if let Some(why) = why {
            hazards.push(Hazard { kind: Kind::Removes, words: vec![at], why });
        }
    }
    hazards
}

/// Files whose content decides what runs later.
const POWERFUL: &[&str] = &[".git", ".codetether"];

/// Whether a path, relative to the root, is one that decides what runs later.
pub(crate) fn has_power(path: &str) -> Option<&'static str> {
    POWERFUL.iter().find(|part| has_part(path, part)).copied()
}

fn has_part(path: &str, part: &str) -> bool {
    path.split('/').any(|piece| piece == part)
}

/// The operands that a command writes.
pub(crate) fn written<'w>(name: &str, words: &'w [Word]) -> Vec<(usize, &'w Word)> {
    let all = operands(words);
    match name {
        "tee" | "touch" | "truncate" | "mkdir" | "mkfifo" | "rm" | "rmdir" | "shred" | "unlink" => all,
        "chmod" | "chown" | "chgrp" => all.into_iter().skip(1).collect(),
        "mv" => all,
        "cp" | "ln" | "install" | "rsync" => {
            let named = words.iter().position(|word| word.is("-t") || word.is("--target-directory"));
            match named.and_then(|at| Some((at + 1, words.get(at + 1)?))) {
                Some(target) => vec![target],
                None => all.into_iter().next_back().into_iter().collect(),
            }
        }
        "sed" if words.iter().any(|word| word.text.starts_with("-i") || word.text.starts_with("--in")) => {
            all.into_iter().skip(1).collect()
        }
        _ => Vec::new(),
    }
}

/// Writing what decides what runs later.
fn powerful(name: &str, words: &[Word], simple: &Simple, place: &Place<'_>) -> Vec<Hazard> {
    let mut touched: Vec<(usize, &Word)> = written(name, words)
        .into_iter()
        .filter(|(_, word)| {
            let spots = place.word(word, &simple.dirs);
            spots.iter().any(|spot| matches!(spot, Spot::Inside(path) if has_power(path).is_some()))
        })
        .collect();
    if WRITERS.contains(&name) {
        // Also as the value of an option (`-t.git/hooks`), and as what a link leads to.
        let named = words.iter().enumerate().skip(1).filter(|(_, word)| names_power(&word.text));
        touched.extend(
            named.filter(|(at, _)| !touched.iter().any(|(known, _)| known == at)).collect::<Vec<_>>(),
        );
    }
    touched
        .into_iter()
        .map(|(at, word)| {
            let why = format!("it touches `{}`, which decides what runs later", word.quoted());
            Hazard::executes(vec![at], why)
        })
        .collect()
}

/// Programs whose operands or options name what they write.
const WRITERS: &[&str] = &["cp", "install", "ln", "mv", "rsync", "tee"];

/// Whether a part of the word is the name of what decides what runs later.
fn names_power(text: &str) -> bool {
    text.split(['=', '/']).any(|piece| {
        let attached =
            piece.strip_prefix('-').map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()));
        POWERFUL.contains(&attached.unwrap_or(piece))
    })
}
