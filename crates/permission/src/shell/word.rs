//! One word of a shell program, as far as reading it tells what it will be.

use crate::shell::variables::is_name;

/// What a word becomes when the shell runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Word {
    /// With quotes and escapes undone; up to the first part that only running tells.
    pub(crate) text: String,
    /// As it is written.
    pub(crate) raw: String,
    /// Whether `text` is all of it.
    pub(crate) known: bool,
    /// Whether it may become any number of words.
    pub(crate) splits: bool,
    /// Whether it is written without a quote, an escape or an expansion, so that it can be a reserved word.
    pub(crate) bare: bool,
    /// Whether its first character is a `~` or `$HOME` that stands for the home folder.
    pub(crate) home: bool,
    /// Whether a variable or a substitution is part of it.
    pub(crate) expanded: bool,
    /// The variable that it is and nothing else.
    pub(crate) variable: Option<String>,
    /// Whether it is the result of arithmetic and nothing else.
    pub(crate) number: bool,
    /// Whether it cannot begin with a dash, whatever it becomes.
    pub(crate) operand: bool,
    /// What it may be, when it is a variable that the program gives these values and no other.
    pub(crate) values: Vec<Word>,
}

impl Word {
    /// A word that is known.
    pub(crate) fn literal(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { raw: text.clone(), text, known: true, bare: true, ..Self::default() }
    }

    /// A word that may be anything, even nothing or many.
    pub(crate) fn anything() -> Self {
        Self { raw: "…".into(), splits: true, expanded: true, ..Self::default() }
    }

    /// A word that begins so and goes on as only running tells.
    pub(crate) fn beginning(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { raw: format!("{text}…"), text, expanded: true, ..Self::default() }
    }

    /// The text, when it is all of the word.
    pub(crate) fn known(&self) -> Option<&str> {
        self.known.then_some(self.text.as_str())
    }

    /// Whether it is this and nothing else.
    pub(crate) fn is(&self, text: &str) -> bool {
        self.known() == Some(text)
    }

    /// Whether it could begin with a dash.
    pub(crate) fn may_be_option(&self) -> bool {
        match self.text.bytes().next() {
            Some(first) => first == b'-',
            None if self.number || self.operand => false,
            None if !self.values.is_empty() => self.values.iter().any(Self::may_be_option),
            None => !self.known,
        }
    }

    /// The name that it assigns to, when it is written as an assignment.
    pub(crate) fn assigns(&self) -> Option<&str> {
        let (head, _) = self.raw.split_once('=')?;
        let head = head.strip_suffix('+').unwrap_or(head);
        let name = head.split_once('[').map_or(head, |(name, _)| name);
        is_name(name).then_some(name)
    }

    /// Whether only the names of files decide what it becomes.
    pub(crate) fn is_pattern(&self) -> bool {
        !self.known && !self.expanded
    }

    /// The word with what is known of its variable: its one value, or the values that it may have.
    pub(crate) fn with_values(mut self, values: &[Self]) -> Self {
        // Without quotes the shell would part a value at its blanks.
        let whole = !self.splits || values.iter().all(|value| value.known && value.is_one_word());
        if !whole {
            return self;
        }
        match values {
            [one] if one.known && !one.home => {
                (self.text, self.known, self.splits) = (one.text.clone(), true, false);
            }
            _ => {
                self.splits = false;
                self.values = values.to_vec();
            }
        }
        self
    }

    /// Whether the shell would leave it one word without quotes.
    fn is_one_word(&self) -> bool {
        !self.text.is_empty() && !self.text.contains([' ', '\t', '\n', '*', '?', '['])
    }

    /// As it would be written in a rule or shown to a person.
    pub(crate) fn quoted(&self) -> String {
        let plain = |c: char| c.is_alphanumeric() || "-_./:=@%+,~^{}#".contains(c);
        match self.known() {
            None => self.raw.clone(),
            Some("") => "''".to_owned(),
            Some(text) if text.chars().all(plain) => text.to_owned(),
            Some(text) => format!("'{}'", text.replace('\'', r"'\''")),
        }
    }
}

/// Words as a line.
pub(crate) fn line(words: &[Word]) -> String {
    words.iter().map(Word::quoted).collect::<Vec<_>>().join(" ")
}
