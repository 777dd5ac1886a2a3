//! What a job is: its kind, where the program itself set it; else its class, read off the text.

use serde::{Deserialize, Serialize};

/// Who set a job, and for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A person or another agent did, by a prompt.
    Prompt,
    /// A title for a session.
    Title,
    /// A message for a commit.
    CommitMessage,
    /// A summary in the place of older messages.
    Summary,
    /// One of several given words.
    Classification,
    /// An answer that stands in what a search found.
    Lookup,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Prompt, Self::Title, Self::CommitMessage, Self::Summary, Self::Classification, Self::Lookup];

    /// Whether a small model does it as well as a large one, whatever the text.
    #[must_use]
    pub fn is_small(self) -> bool {
        self != Self::Prompt
    }
}

/// What a prompt asks for, as far as its verbs tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// It wants to know something, and nothing changed.
    Question,
    /// A small change that it names.
    Edit,
    /// Something new.
    Write,
    /// Something does not work.
    Fix,
    /// A change of form over several places.
    Refactor,
    /// A plan, a decision, or the cause of something.
    Design,
    /// None of these.
    Other,
}

/// Verbs, and what they ask for. The heavier class counts where there are several.
const VERBS: &[(Class, &[&str])] = &[
    (
        Class::Design,
        &[
            "design",
            "architect",
            "plan",
            "investigate",
            "diagnose",
            "analyze",
            "analyse",
            "debug",
            "optimize",
            "optimise",
            "profile",
            "evaluate",
            "compare",
            "review",
            "audit",
            "prove",
        ],
    ),
    (
        Class::Refactor,
        &[
            "refactor",
            "migrate",
            "port",
            "rewrite",
            "restructure",
            "split",
            "extract",
            "convert",
            "upgrade",
            "replace",
            "redesign",
            "decouple",
            "parallelize",
            "parallelise",
        ],
    ),
    (Class::Fix, &["fix", "repair", "resolve", "solve", "mend", "correct"]),
    (
        Class::Write,
        &["implement", "build", "write", "create", "add", "develop", "generate", "support", "make"],
    ),
    (
        Class::Edit,
        &[
            "rename",
            "remove",
            "delete",
            "change",
            "update",
            "bump",
            "format",
            "sort",
            "move",
            "set",
            "insert",
            "append",
            "comment",
            "uncomment",
            "capitalize",
            "indent",
            "revert",
            "print",
            "run",
        ],
    ),
    (
        Class::Question,
        &[
            "what",
            "which",
            "where",
            "who",
            "when",
            "how",
            "why",
            "is",
            "are",
            "does",
            "do",
            "can",
            "list",
            "show",
            "explain",
            "describe",
            "tell",
            "find",
            "count",
            "summarize",
            "summarise",
            "say",
            "read",
            "locate",
        ],
    ),
];

impl Class {
    /// Reads the class off the words of a prompt, in lower case: a verb near the start, where orders and questions have
    /// it, and heavier ones that follow.
    #[must_use]
    pub fn of<'a>(words: impl Iterator<Item = &'a str>) -> Self {
        let mut found: Option<(usize, Self)> = None;
        for (number, word) in words.take(FOLLOWING).enumerate() {
            let Some((rank, class)) = rank(word) else { continue };
            match found {
                None if number < FIRST => found = Some((rank, class)),
                None => return Self::Other,
                Some((before, _)) if rank < before && rank <= 2 => found = Some((rank, class)),
                Some(_) => {}
            }
        }
        found.map_or(Self::Other, |(_, class)| class)
    }

    /// Whether something is to be done, and not said.
    #[must_use]
    pub fn acts(self) -> bool {
        !matches!(self, Self::Question | Self::Other)
    }
}

/// The words that the first verb is among, and those that others are.
const FIRST: usize = 5;
const FOLLOWING: usize = 25;

fn rank(word: &str) -> Option<(usize, Class)> {
    VERBS
        .iter()
        .enumerate()
        .find(|(_, (_, verbs))| verbs.contains(&word))
        .map(|(rank, (class, _))| (rank, *class))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_read_off_the_verbs() {
        for (text, class) in [
            ("where is the parser", Class::Question),
            ("rename foo to bar in lib.rs", Class::Edit),
            ("add a test for the empty input", Class::Write),
            ("fix the failing test", Class::Fix),
            ("find out why it hangs and fix it", Class::Fix),
            ("split the module in two", Class::Refactor),
            ("can you design a cache for this", Class::Design),
            ("hello", Class::Other),
        ] {
            assert_eq!(Class::of(text.split(' ')), class, "{text}");
        }
    }

    #[test]
    fn only_prompts_are_looked_at() {
        assert_eq!(Kind::ALL.into_iter().filter(|kind| !kind.is_small()).collect::<Vec<_>>(), [Kind::Prompt]);
    }
}
