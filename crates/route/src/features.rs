//! Cheap features of a job: counts over its text and its past, each a number.

use crate::Class;

/// A job that somebody set.
#[derive(Debug, Clone, Copy, Default)]
pub struct Job<'a> {
    /// What is asked for.
    pub prompt: &'a str,
    /// Messages of the session before it.
    pub history: usize,
    /// Turns or steps of it that failed before.
    pub failures: usize,
}

/// How many features there are.
pub const COUNT: usize = 27;

/// How many of them are of the text alone, from the first.
pub const TEXT: usize = 15;

/// Their names, in order.
pub const NAMES: [&str; COUNT] = [
    // of the text
    "chars",
    "lines",
    "words",
    "digits",
    "questions",
    "operators",
    "word_length",
    "distinct",
    "capitals",
    "commas",
    "code",
    "dollars",
    "quotes",
    "stops",
    "long_words",
    // of the job
    "job",
    "files",
    "design",
    "refactor",
    "fix",
    "write",
    "edit",
    "question",
    "scope",
    "failing",
    "history",
    "failures",
];

/// The features of one job, in the order of [`NAMES`].
pub type Features = [f64; COUNT];

/// Most bytes of a prompt that are looked at.
const MOST: usize = 16 << 10;

/// Words that make a job larger.
const SCOPE: &[&str] = &[
    "all",
    "every",
    "everywhere",
    "whole",
    "entire",
    "across",
    "throughout",
    "each",
    "several",
    "concurrent",
    "race",
    "deadlock",
    "thread",
    "threads",
    "async",
    "distributed",
    "protocol",
    "backwards",
    "compatible",
    "compatibility",
    "performance",
    "security",
    "scalable",
    "architecture",
    "design",
    "intermittent",
    "sometimes",
    "flaky",
    "memory",
    "leak",
    "production",
    "end",
];

/// Words of work on a project.
const PROJECT: &[&str] = &[
    "file",
    "files",
    "folder",
    "repo",
    "repository",
    "project",
    "code",
    "codebase",
    "function",
    "functions",
    "class",
    "method",
    "module",
    "test",
    "tests",
    "commit",
    "diff",
    "readme",
    "todo",
    "build",
    "compile",
    "compiler",
    "script",
    "docstring",
    "import",
    "imports",
    "pytest",
    "cargo",
    "npm",
    "git",
    "endpoint",
    "api",
    "parser",
    "benchmark",
];

/// Words of something that does not work.
const FAILING: &[&str] = &[
    "fail",
    "fails",
    "failing",
    "failed",
    "error",
    "panic",
    "panics",
    "panicked",
    "crash",
    "crashes",
    "traceback",
    "exception",
    "segfault",
    "broken",
    "hangs",
    "wrong",
    "bug",
];

impl Job<'_> {
    /// What kind of thing it asks for.
    #[must_use]
    pub fn class(&self) -> Class {
        let text = self.text().to_lowercase();
        Class::of(text.split(|letter: char| !letter.is_alphabetic()).filter(|word| !word.is_empty()))
    }

    fn text(&self) -> &str {
        let mut end = self.prompt.len().min(MOST);
        while !self.prompt.is_char_boundary(end) {
            end -= 1;
        }
        self.prompt.get(..end).unwrap_or_default()
    }

    /// Its features. Takes some microseconds.
    #[must_use]
    pub fn features(&self) -> Features {
        let text = self.text();
        let lower = text.to_lowercase();
        let words: Vec<&str> =
            lower.split(|letter: char| !letter.is_alphabetic()).filter(|word| !word.is_empty()).collect();
        let mut distinct = words.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let chars = text.chars().count();
        let of = |holds: fn(char) -> bool| count(text.chars().filter(|letter| holds(*letter)).count());
        let (all, each) = (count(chars) + 1.0, count(words.len()) + 1.0);
        let letters = count(words.iter().map(|word| word.chars().count()).sum());
        let long = count(words.iter().filter(|word| word.chars().count() >= 9).count());
        let code = text.contains(['`', '{', ';']);
        let files = text.split_whitespace().filter(|word| names_a_file(word)).count();
        let class = self.class();
        let is = |other: Class| f64::from(u8::from(class == other));
        let among = |known: &[&str]| count(words.iter().filter(|word| known.contains(word)).count());
        // Of what is no work on a project, nothing but the text counts.
        let about =
            class.acts() || files > 0 || self.history > 0 || words.iter().any(|word| PROJECT.contains(word));
        let job = f64::from(u8::from(about));
        [
            count(chars).ln_1p(),
            (of(|letter| letter == '\n') + 1.0).ln_1p(),
            count(words.len()).ln_1p(),
            of(|letter| letter.is_numeric()) / all,
            of(|letter| letter == '?'),
            of(|letter| "=+*/^<>".contains(letter)).ln_1p(),
            letters / each,
            count(distinct.len()) / each,
            of(char::is_uppercase) / all,
            of(|letter| letter == ',') / each,
            f64::from(u8::from(code)),
            of(|letter| letter == '$').ln_1p(),
            of(|letter| letter == '"') / each,
            of(|letter| letter == '.') / each,
            long / each,
            job,
            count(files).ln_1p(),
            job * is(Class::Design),
            job * is(Class::Refactor),
            job * is(Class::Fix),
            job * is(Class::Write),
            job * is(Class::Edit),
            job * is(Class::Question),
            job * among(SCOPE).ln_1p(),
            job * among(FAILING).ln_1p(),
            count(self.history).ln_1p(),
            count(self.failures).ln_1p(),
        ]
    }
}

fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::from(u32::MAX), f64::from)
}

/// Whether a word looks like a file or folder of a project: `a/b`, `x.rs`.
fn names_a_file(word: &str) -> bool {
    let word = word.trim_matches(|letter: char| !letter.is_alphanumeric() && letter != '/' && letter != '.');
    let word = word.trim_end_matches(['.', ',', ':']);
    let plain = |text: &str| {
        !text.is_empty()
            && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-./".contains(letter))
    };
    let lettered = word.chars().any(|letter| letter.is_ascii_alphabetic());
    if !plain(word) || !lettered || word.contains("//") {
        return false;
    }
    let ends = word.rsplit_once('.').is_some_and(|(name, end)| {
        !name.is_empty()
            && (1..=5).contains(&end.len())
            && end.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit())
            && end.starts_with(|letter: char| letter.is_ascii_lowercase())
            && name.chars().count() > 1
    });
    ends || word.matches('/').count() >= 2 || word.ends_with('/') && word.len() > 2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(prompt: &str, name: &str) -> f64 {
        let at = NAMES.iter().position(|other| *other == name).unwrap();
        Job { prompt, ..Job::default() }.features()[at]
    }

    #[test]
    fn files_are_told_from_prose() {
        for (prompt, files) in [
            ("fix src/main.rs and lib.rs.", 2),
            ("look in crates/cli/", 1),
            ("5/3 and/or e.g. 2.5 https://a.example/x", 0),
        ] {
            assert_eq!(value(prompt, "files"), f64::from(files).ln_1p(), "{prompt}");
        }
    }

    #[test]
    fn what_is_counted_is_there() {
        assert_eq!(value("why? why?", "questions"), 2.0);
        assert_eq!(value("rename a to b", "edit"), 1.0);
        assert_eq!(value("x\ny\nz", "lines"), 3.0_f64.ln_1p());
        assert_eq!(value("the test fails with an error", "failing"), 2.0_f64.ln_1p());
        assert_eq!(Job { history: 3, ..Job::default() }.features()[COUNT - 2], 3.0_f64.ln_1p());
    }

    proptest! {
        #[test]
        fn every_text_has_finite_features(prompt in "\\PC{0,300}", history in any::<usize>()) {
            let job = Job { prompt: &prompt, history, failures: 1 };
            prop_assert!(job.features().iter().all(|value| value.is_finite()));
        }

        #[test]
        fn what_is_too_long_is_looked_at_in_part(prompt in "[é\\n a-z]{0,50}") {
            let long = prompt.repeat(2_000);
            let features = Job { prompt: &long, ..Job::default() }.features();
            prop_assert!(features[0] <= (16_384.0_f64).ln_1p());
        }
    }
}
