//! The words of a command that may be paths: for rules that forbid reading or writing files. What a command does with
//! a word is its own; what is certain denies, what may be asks.

use crate::Rule;
use crate::hazards;
use crate::place::{Place, Spot};
use crate::rule::{EDIT, READ};
use crate::shell::{Simple, Word};

/// Where the words of a command may lead.
#[derive(Debug, Default)]
pub(crate) struct FileWords {
    /// What it writes, or can read, by its words as they are.
    certain: Vec<(&'static str, Spot)>,
    /// What it names and may write.
    named: Vec<Spot>,
    /// Words that only running tells.
    unknown: Vec<(&'static str, Word)>,
}

impl FileWords {
    pub(crate) fn of(simple: &Simple, words: &[Word], reads: bool, place: &Place<'_>) -> Self {
        let mut found = Self::default();
        let name = words.first().map_or("", |word| crate::shell::base(&word.text));
        for (_, word) in hazards::written(name, words) {
            found.certain.extend(place.word(word, &simple.dirs).into_iter().map(|spot| (EDIT, spot)));
            if !word.known {
                found.unknown.push((EDIT, word.clone()));
            }
        }
        for word in words.iter().skip(1) {
            if !word.known {
                found.unknown.push((READ, word.clone()));
                continue;
            }
            for text in candidates(&word.text) {
                let spots = place.word(&Word { home: word.home, ..Word::literal(text) }, &simple.dirs);
                if !reads {
                    found.named.extend(spots.iter().cloned());
                }
                found.certain.extend(spots.into_iter().map(|spot| (READ, spot)));
            }
        }
        found
    }

    /// Whether a rule about files matches.
    pub(crate) fn matches(&self, rule: &Rule, tool: &str, place: &Place<'_>) -> bool {
        self.certain.iter().any(|(class, spot)| rule.matches_path(tool, class, spot, place))
    }

    /// Whether it may match, as far as can be told.
    pub(crate) fn may_match(&self, rule: &Rule, tool: &str, place: &Place<'_>) -> bool {
        self.named.iter().any(|spot| rule.matches_path(tool, EDIT, spot, place))
            || self.unknown.iter().any(|(class, word)| rule.may_be_word(class, word))
    }
}

/// The parts of a word that may be a path: `path`, `--file=path`, `-fpath`, `@path`, `-d@path`, `HEAD:path`.
fn candidates(text: &str) -> Vec<&str> {
    let value = text.split_once('=').map_or(text, |(_, value)| value);
    let attached = text.strip_prefix('-').and_then(|rest| rest.get(1..)).unwrap_or_default();
    let behind = text.rsplit_once(':').map_or("", |(_, path)| path);
    let mut parts = Vec::new();
    for part in
        [text, value, attached, behind].into_iter().flat_map(|part| [part, part.trim_start_matches('@')])
    {
        if !part.is_empty() && !part.starts_with('-') && !parts.contains(&part) {
            parts.push(part);
        }
    }
    parts
}
