//! The pattern of a shell rule: words, where a `*` that stands alone is any number of words (also none), and a `*`
//! within a word any characters of it.

use std::collections::BTreeSet;

use crate::shell::Word;

/// A shell rule's pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandPattern {
    words: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// Any number of words.
    Words,
    /// This word.
    Word(String),
    /// A word made of these texts with anything between them.
    Parts(Vec<String>),
}

/// Words of a command that a rule must name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct MustName {
    /// Word for word.
    pub(crate) exactly: BTreeSet<usize>,
    /// At least their beginning.
    pub(crate) beginning: BTreeSet<usize>,
    /// No rule can.
    pub(crate) never: bool,
}

/// Most words of a pattern.
const MOST: usize = 64;

impl CommandPattern {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut words = Vec::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (piece, after) = piece(rest)?;
            words.push(piece);
            rest = after.trim_start();
        }
        if words.len() > MOST {
            return Err(format!("its pattern has more than {MOST} words"));
        }
        words.dedup_by(|a, b| *a == Piece::Words && *b == Piece::Words);
        Ok(Self { words })
    }

    pub(crate) fn is_anything(&self) -> bool {
        self.words == [Piece::Words]
    }

    /// The same, for lists that forbid: a rule whose last word ends in `*` covers whatever follows.
    pub(crate) fn wide(&self) -> Self {
        let mut words = self.words.clone();
        if matches!(words.last(), Some(Piece::Parts(parts)) if parts.last().is_some_and(String::is_empty)) {
            words.push(Piece::Words);
        }
        Self { words }
    }

    /// Whether it matches for certain, and names what it must.
    pub(crate) fn matches(&self, words: &[Word], must: &MustName) -> bool {
        !must.never
            && self.run(words, |piece, at, word| match piece {
                Piece::Words => !must.exactly.contains(&at) && !must.beginning.contains(&at),
                Piece::Word(text) => word.is(text),
                Piece::Parts(parts) => {
                    let open = must.exactly.contains(&at)
                        || (must.beginning.contains(&at)
                            && (parts.first().is_none_or(String::is_empty) || word.text.contains("..")));
                    !open
                        && match (word.known(), parts.as_slice()) {
                            (Some(text), parts) => glob(parts, text),
                            (None, [beginning, end]) if end.is_empty() => {
                                !word.splits
                                    && !beginning.is_empty()
                                    && word.text.starts_with(beginning.as_str())
                            }
                            (None, _) => false,
                        }
                }
            })
    }

    /// Whether it could match, as far as is known.
    pub(crate) fn may_match(&self, words: &[Word]) -> bool {
        // A word that may become many counts as none, and as any number.
        let pieces = self.words.len();
        let mut reached = vec![false; pieces + 1];
        reached[0] = true;
        self.close(&mut reached);
        for word in words {
            let mut next = vec![false; pieces + 1];
            for at in 0..=pieces {
                if !reached.get(at).copied().unwrap_or_default() {
                    continue;
                }
                if word.splits {
                    (at..=pieces).for_each(|to| next[to] = true);
                }
                match self.words.get(at) {
                    Some(Piece::Words) => next[at] = true,
                    Some(piece) if could_be(word, piece) => next[at + 1] = true,
                    _ => {}
                }
            }
            self.close(&mut next);
            reached = next;
        }
        reached.last().copied().unwrap_or_default()
    }

    /// `Words` may be none.
    fn close(&self, reached: &mut [bool]) {
        for (at, piece) in self.words.iter().enumerate() {
            if *piece == Piece::Words && reached[at] {
                reached[at + 1] = true;
            }
        }
    }

    fn run(&self, words: &[Word], fits: impl Fn(&Piece, usize, &Word) -> bool) -> bool {
        let pieces = self.words.len();
        let mut reached = vec![false; pieces + 1];
        reached[0] = true;
        self.close(&mut reached);
        for (index, word) in words.iter().enumerate() {
            let mut next = vec![false; pieces + 1];
            for (at, piece) in self.words.iter().enumerate() {
                if reached[at] && fits(piece, index, word) {
                    next[if *piece == Piece::Words { at } else { at + 1 }] = true;
                }
            }
            self.close(&mut next);
            reached = next;
        }
        reached.last().copied().unwrap_or_default()
    }
}

/// Whether the word could be what the piece says.
fn could_be(word: &Word, piece: &Piece) -> bool {
    if !word.values.is_empty() {
        return word.values.iter().any(|value| could_be(value, piece));
    }
    match (piece, word.known()) {
        (Piece::Words, _) => true,
        (Piece::Word(expected), Some(text)) => expected == text,
        (Piece::Word(expected), None) => expected.starts_with(&word.text),
        (Piece::Parts(parts), Some(text)) => glob(parts, text),
        (Piece::Parts(parts), None) => {
            let beginning = parts.first().map_or("", String::as_str);
            beginning.starts_with(&word.text) || word.text.starts_with(beginning)
        }
    }
}

/// Whether the text is made of the parts with anything between them.
fn glob(parts: &[String], text: &str) -> bool {
    let (Some((first, rest)), true) = (parts.split_first(), parts.len() > 1) else {
        return parts.first().is_some_and(|only| only == text);
    };
    let Some(mut text) = text.strip_prefix(first.as_str()) else { return false };
    let Some((last, middle)) = rest.split_last() else { return false };
    for part in middle {
        match text.find(part.as_str()) {
            Some(at) => text = text.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    text.ends_with(last.as_str())
}

/// The first word of a pattern, and what follows it.
fn piece(text: &str) -> Result<(Piece, &str), String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        let mut push = |c| parts.last_mut().map(|part| part.push(c));
        match c {
            _ if c.is_whitespace() => break,
            '*' => {
                parts.push(String::new());
                rest = after;
                continue;
            }
            '\\' => {
                let escaped = after.chars().next().ok_or("its pattern ends in a backslash")?;
                quoted = true;
                push(escaped);
                rest = after.get(escaped.len_utf8()..).unwrap_or_default();
                continue;
            }
            '\'' | '"' => {
                let (inside, outside) = after.split_once(c).ok_or("a quote in its pattern is not closed")?;
                quoted = true;
                inside.chars().for_each(|c| {
                    push(c);
                });
                rest = outside;
                continue;
            }
            ';' | '|' | '&' | '<' | '>' | '`' => {
                return Err(format!(
                    "a rule is for one command, and `{c}` stands between commands or redirects; write one rule for \
                     each command, `edit(…)` for files, or quote it"
                ));
            }
            _ => {
                push(c);
            }
        }
        rest = after;
    }
    let piece = match parts.as_mut_slice() {
        [word] => Piece::Word(std::mem::take(word)),
        [before, after] if before.is_empty() && after.is_empty() && !quoted => Piece::Words,
        _ => Piece::Parts(parts),
    };
    Ok((piece, rest))
}
