//! Reads words and redirections the way bash does, independently of the parse tree: where one begins and ends, and
//! what it says with quotes and escapes undone. The tree only tells where a substitution ends; where the two
//! disagree, the program counts as unclear. Runs nothing and expands nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::shell::word::Word;

/// Why a program cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unclear(pub(crate) &'static str);

type Read<T> = Result<T, Unclear>;

/// A substitution, as the tree sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Nested {
    pub(crate) end: usize,
    pub(crate) arithmetic: bool,
}

/// A redirection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Redirect {
    pub(crate) operator: &'static str,
    pub(crate) target: Word,
}

/// The words and redirections of a simple command.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Line {
    pub(crate) words: Vec<Word>,
    pub(crate) redirects: Vec<Redirect>,
}

/// Reads one program.
pub(crate) struct Lexer<'a> {
    source: &'a str,
    bytes: &'a [u8],
    nested: BTreeMap<usize, Nested>,
    /// Where the substitutions begin that were come across.
    pub(crate) met: BTreeSet<usize>,
    /// Those of them that nobody has gone into yet.
    pub(crate) pending: Vec<usize>,
    /// Variables that an expansion may set (`${x:=y}`).
    pub(crate) set: Vec<String>,
    /// Text of arithmetic that is evaluated.
    pub(crate) arithmetic: Vec<String>,
    /// Whether functions are defined, which may go by any name.
    has_functions: bool,
    /// How deep expansions stand within expansions.
    depth: usize,
    /// The backtick that ends the substitution that is being read.
    backtick: Option<usize>,
}

/// How deep expansions are followed.
const DEEPEST: usize = 50;
/// Bytes of a word that are looked at to tell a pattern; a longer one counts as one.
const RUN: usize = 1_000;

/// Longest operators first.
const REDIRECTS: &[&str] =
    &[">&-", "<&-", "&>>", "<<<", "<<-", "&>", ">>", ">|", ">&", "<>", "<&", "<<", ">", "<"];

impl<'a> Lexer<'a> {
    pub(crate) fn new(source: &'a str, nested: BTreeMap<usize, Nested>) -> Self {
        Self {
            source,
            bytes: source.as_bytes(),
            nested,
            met: BTreeSet::new(),
            pending: Vec::new(),
            has_functions: source.contains("()") || source.contains("function"),
            depth: 0,
            set: Vec::new(),
            arithmetic: Vec::new(),
            backtick: None,
        }
    }

    /// Words and redirections from `at` to exactly `end`, on one line.
    pub(crate) fn line(&mut self, at: usize, end: usize) -> Read<Line> {
        self.backtick = (self.byte(end) == Some(b'`')).then_some(end);
        let line = self.line_to(at, end);
        self.backtick = None;
        line
    }

    fn line_to(&mut self, mut at: usize, end: usize) -> Read<Line> {
        let mut line = Line::default();
        loop {
            at = self.blanks(at);
            if at >= end {
                return if at == end || self.only_blanks(end, at) { Ok(line) } else { Err(BORDERS) };
            }
            if self.names_descriptor(at) {
                return Err(Unclear("it opens a file under a number of the shell's choice"));
            }
            if let Some((operator, after)) = self.redirect(at) {
                // `>&-` closes: what follows it is a word of its own.
                if matches!(operator, ">&-" | "<&-") {
                    at = after;
                    continue;
                }
                let start = self.blanks(after);
                let (target, after) = self.word(start)?;
                line.redirects.push(Redirect { operator, target });
                at = after;
            } else {
                let (word, after) = self.word(at)?;
                line.words.push(word);
                at = after;
            }
            if at > end {
                return Err(BORDERS);
            }
        }
    }

    /// The words from `at` to exactly `end`, with nothing between them but blanks.
    pub(crate) fn words(&mut self, at: usize, end: usize) -> Read<Vec<Word>> {
        let line = self.line(at, end)?;
        if line.redirects.is_empty() { Ok(line.words) } else { Err(BORDERS) }
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    fn starts(&self, at: usize, with: &str) -> bool {
        self.bytes.get(at..).is_some_and(|rest| rest.starts_with(with.as_bytes()))
    }

    /// Past spaces, tabs and lines that go on.
    pub(crate) fn blanks(&self, mut at: usize) -> usize {
        loop {
            match self.byte(at) {
                Some(b' ' | b'\t') => at += 1,
                Some(b'\\') if self.byte(at + 1) == Some(b'\n') => at += 2,
                _ => return at,
            }
        }
    }

    fn only_blanks(&self, from: usize, to: usize) -> bool {
        self.blanks(from) >= to
    }

    /// `{name}` before a redirection.
    fn names_descriptor(&self, at: usize) -> bool {
        if self.byte(at) != Some(b'{') {
            return false;
        }
        let end = self.name(at + 1);
        self.byte(end) == Some(b'}') && matches!(self.byte(end + 1), Some(b'<' | b'>'))
    }

    /// A redirection's operator at this place, and where it ends.
    fn redirect(&self, at: usize) -> Option<(&'static str, usize)> {
        let mut start = at;
        while self.byte(start).is_some_and(|byte| byte.is_ascii_digit()) {
            start += 1;
        }
        let operator = REDIRECTS.iter().find(|operator| self.starts(start, operator))?;
        // `<(` and `>(` are words; `&>` takes no number before it.
        let substitution = matches!(*operator, "<" | ">") && self.byte(start + 1) == Some(b'(');
        let misplaced = operator.starts_with('&') && start != at;
        (!substitution && !misplaced).then_some((*operator, start + operator.len()))
    }

    /// The word that begins at this place, and where it ends.
    pub(crate) fn word(&mut self, start: usize) -> Read<(Word, usize)> {
        let mut word = Building::default();
        let mut at = start;
        while let Some(byte) = self.byte(at).filter(|_| Some(at) != self.backtick) {
            match byte {
                b' ' | b'\t' | b'\n' | b';' | b'|' | b'&' | b')' => break,
                b'(' => return Err(Unclear("a parenthesis stands where bash expects a word")),
                b'<' | b'>' if self.byte(at + 1) == Some(b'(') => {
                    at = self.substitution(at)?;
                    word.unknown(false);
                }
                b'<' | b'>' => break,
                b'\\' => match self.character(at + 1) {
                    None => return Err(Unclear("it ends in a backslash")),
                    Some('\n') if self.joins(at) => at += 2,
                    Some('\n') => return Err(BORDERS),
                    Some(c) => {
                        word.escaped(c);
                        at += 1 + c.len_utf8();
                    }
                },
                b'\'' => at = self.single(at + 1, &mut word)?,
                b'"' => at = self.double(at + 1, &mut word)?,
                b'$' if self.byte(at + 1) == Some(b'\'') => at = self.ansi(at + 2, &mut word)?,
                b'$' if self.byte(at + 1) == Some(b'"') => at = self.double(at + 2, &mut word)?,
                b'$' | b'`' => at = self.expansion(at, &mut word, Quotes::None)?,
                b'~' if at == start => {
                    // `~name` is another's home: not ours to know.
                    match self.byte(at + 1) {
                        None
                        | Some(b'/' | b' ' | b'\t' | b'\n' | b';' | b'|' | b'&' | b')' | b'<' | b'>') => {
                            word.home = true;
                            word.push('~');
                        }
                        Some(_) => word.unknown(false),
                    }
                    at += 1;
                }
                b'*' | b'?' => {
                    word.glob();
                    at += 1;
                }
                b'[' if self.closes(at, b']') => {
                    word.glob();
                    at += 1;
                }
                b'{' if self.is_brace_expansion(at) => {
                    word.glob();
                    at += 1;
                }
                _ => {
                    let Some(c) = self.character(at) else { return Err(BORDERS) };
                    word.push(c);
                    at += c.len_utf8();
                }
            }
        }
        if at == start {
            return Err(Unclear("a word is missing where bash expects one"));
        }
        Ok((word.finish(self.source.get(start..at).unwrap_or_default()), at))
    }

    fn character(&self, at: usize) -> Option<char> {
        self.source.get(at..)?.chars().next()
    }

    /// Whether a line that goes on parts nothing but the letters of a word, or blanks.
    fn joins(&self, at: usize) -> bool {
        let plain = |byte: Option<u8>| {
            byte.is_none_or(|byte| {
                byte.is_ascii_alphanumeric() || byte.is_ascii_whitespace() || b"-_./".contains(&byte)
            })
        };
        plain(at.checked_sub(1).and_then(|before| self.byte(before))) && plain(self.byte(at + 2))
    }

    /// What follows up to the next blank.
    fn run(&self, at: usize) -> &[u8] {
        let rest = self.bytes.get(at + 1..).unwrap_or_default();
        let rest = rest.get(..RUN).unwrap_or(rest);
        let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    }

    fn closes(&self, at: usize, with: u8) -> bool {
        let run = self.run(at);
        run.contains(&with) || run.len() == RUN
    }

    /// Whether the brace makes several words of one.
    fn is_brace_expansion(&self, at: usize) -> bool {
        let run = self.run(at);
        run.len() == RUN
            || run.contains(&b'}') && (run.contains(&b',') || run.windows(2).any(|two| two == b".."))
    }

    fn single(&self, start: usize, word: &mut Building) -> Read<usize> {
        let rest = self.source.get(start..).ok_or(BORDERS)?;
        let end = rest.find('\'').ok_or(Unclear("a quote is not closed"))?;
        word.quoted(rest.get(..end).unwrap_or_default());
        Ok(start + end + 1)
    }

    fn double(&mut self, mut at: usize, word: &mut Building) -> Read<usize> {
        word.quoted("");
        loop {
            match self.byte(at) {
                None => return Err(Unclear("a quote is not closed")),
                Some(b'"') => return Ok(at + 1),
                Some(b'\\') => match self.byte(at + 1) {
                    Some(b'\n') => at += 2,
                    Some(byte @ (b'$' | b'`' | b'"' | b'\\')) => {
                        word.push(char::from(byte));
                        at += 2;
                    }
                    _ => {
                        word.push('\\');
                        at += 1;
                    }
                },
                Some(b'$' | b'`') => at = self.expansion(at, word, Quotes::Double)?,
                Some(_) => {
                    let Some(c) = self.character(at) else { return Err(BORDERS) };
                    word.push(c);
                    at += c.len_utf8();
                }
            }
        }
    }

    /// `$'…'`.
    fn ansi(&self, mut at: usize, word: &mut Building) -> Read<usize> {
        word.quoted("");
        loop {
            match self.character(at) {
                None => return Err(Unclear("a quote is not closed")),
                Some('\'') => return Ok(at + 1),
                Some('\\') => {
                    let escape = self.character(at + 1).ok_or(Unclear("a quote is not closed"))?;
                    at += 1 + escape.len_utf8();
                    let (digits, radix) = match escape {
                        'x' => (2, 16),
                        'u' => (4, 16),
                        'U' => (8, 16),
                        '0'..='7' => (3, 8),
                        _ => (0, 0),
                    };
                    if digits == 0 {
                        let c = match escape {
                            'a' => '\u{7}',
                            'b' => '\u{8}',
                            'e' | 'E' => '\u{1b}',
                            'f' => '\u{c}',
                            'n' => '\n',
                            'r' => '\r',
                            't' => '\t',
                            'v' => '\u{b}',
                            '\\' | '\'' | '"' | '?' => escape,
                            _ => return Err(Unclear("it holds an escape that is rarely meant")),
                        };
                        word.push(c);
                        continue;
                    }
                    let from = if radix == 8 { at - 1 } else { at };
                    let text = self.source.get(from..).unwrap_or_default();
                    let length = text.chars().take(digits).take_while(|c| c.is_digit(radix)).count();
                    let number = u32::from_str_radix(text.get(..length).unwrap_or_default(), radix).ok();
                    // Bytes beyond ASCII depend on the locale; zero ends the word.
                    match number.filter(|&number| (1..0x80).contains(&number)).and_then(char::from_u32) {
                        Some(c) => word.push(c),
                        None => return Err(Unclear("it holds an escape that is rarely meant")),
                    }
                    at = from + length;
                }
                Some(c) => {
                    word.push(c);
                    at += c.len_utf8();
                }
            }
        }
    }

    /// What begins with `$` or a backtick.
    fn expansion(&mut self, at: usize, word: &mut Building, quotes: Quotes) -> Read<usize> {
        if self.depth >= DEEPEST {
            return Err(Unclear("it goes too deep"));
        }
        self.depth += 1;
        let end = self.expand(at, word, quotes);
        self.depth -= 1;
        end
    }

    fn expand(&mut self, at: usize, word: &mut Building, quotes: Quotes) -> Read<usize> {
        let quoted = quotes == Quotes::Double;
        if self.byte(at) == Some(b'`') || self.byte(at + 1) == Some(b'(') {
            let end = self.substitution(at)?;
            match self.nested.get(&at) {
                Some(nested) if nested.arithmetic => word.arithmetic(),
                _ => {
                    word.operand |= word.parts == 0 && self.prints_operands(at, end);
                    word.unknown(!quoted);
                }
            }
            return Ok(end);
        }
        match self.byte(at + 1) {
            Some(b'{') => {
                let (name, end, many) = self.braced(at, quotes)?;
                word.variable(name, !quoted || many);
                Ok(end)
            }
            Some(b'[') => Err(Unclear("it holds arithmetic in an old form")),
            Some(b'\\') if self.byte(at + 2) == Some(b'\n') => Err(BORDERS),
            Some(byte) if byte.is_ascii_alphabetic() || byte == b'_' => {
                let end = self.name(at + 1);
                let name = self.source.get(at + 1..end).unwrap_or_default();
                word.variable(Some(name.to_owned()), !quoted);
                Ok(end)
            }
            Some(byte) if byte.is_ascii_digit() || b"@*#?-$!".contains(&byte) => {
                word.variable(None, !quoted || byte == b'@');
                Ok(at + 2)
            }
            _ => {
                word.push('$');
                Ok(at + 1)
            }
        }
    }

    /// Whether a substitution is one plain command that prints names of objects, numbers or absolute paths.
    fn prints_operands(&self, at: usize, end: usize) -> bool {
        const GIT: &[&str] =
            &["describe", "hash-object", "merge-base", "rev-list", "rev-parse", "write-tree"];
        const FLAGS: &[&str] =
            &["--short", "--verify", "--abbrev-ref", "--show-toplevel", "--tags", "--always", "-n1", "-1"];
        let text = self.source.get(at + 2..end.saturating_sub(1)).unwrap_or_default();
        let plain = |c: char| c.is_ascii_alphanumeric() || " _./@~^-".contains(c);
        if self.has_functions || !self.starts(at, "$(") || !text.chars().all(plain) {
            return false;
        }
        match text.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["pwd" | "nproc" | "mktemp"] | ["git", "branch", "--show-current"] => true,
            ["git", command, rest @ ..] => {
                GIT.contains(command)
                    && rest.iter().all(|word| FLAGS.contains(word) || !word.starts_with('-'))
            }
            _ => false,
        }
    }

    fn name(&self, mut at: usize) -> usize {
        while self.byte(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            at += 1;
        }
        at
    }

    /// A substitution or arithmetic; where it ends, the tree tells.
    fn substitution(&mut self, at: usize) -> Read<usize> {
        let nested =
            *self.nested.get(&at).ok_or(Unclear("it holds a substitution that cannot be told apart"))?;
        if self.met.insert(at) {
            self.pending.push(at);
        }
        if nested.arithmetic {
            let text = self.source.get(at + 3..nested.end.saturating_sub(2)).unwrap_or_default().to_owned();
            if !self.source.get(..nested.end).is_some_and(|whole| whole.ends_with("))")) {
                return Err(BORDERS);
            }
            self.inner(at + 3, nested.end - 2)?;
            self.arithmetic.push(text);
        }
        Ok(nested.end)
    }

    /// Meets the substitutions between two places of a text that is expanded as within double quotes.
    pub(crate) fn inner(&mut self, mut at: usize, end: usize) -> Read<()> {
        let mut ignored = Building::default();
        while at < end {
            at = match self.byte(at) {
                Some(b'\\') => at + 2,
                Some(b'$' | b'`') => self.expansion(at, &mut ignored, Quotes::Double)?,
                _ => at + 1,
            };
        }
        if at == end || self.byte(end) == Some(b'\n') { Ok(()) } else { Err(BORDERS) }
    }

    /// `${…}`: the variable when that is all, where it ends, and whether it may be many words.
    fn braced(&mut self, start: usize, quotes: Quotes) -> Read<(Option<String>, usize, bool)> {
        const RARE: Unclear = Unclear("it holds an expansion that can run what a variable says");
        let mut at = start + 2;
        if self.byte(at) == Some(b'#') && self.byte(at + 1) != Some(b'}') {
            // The length: a number.
            at = self.name(at + 1);
            if self.starts(at, "[@]") || self.starts(at, "[*]") {
                at += 3;
            }
            return if self.byte(at) == Some(b'}') { Ok((None, at + 1, false)) } else { Err(RARE) };
        }
        let end = self.name(at);
        let name = self.source.get(at..end).unwrap_or_default().to_owned();
        at = match (name.is_empty(), self.byte(at)) {
            (false, _) => end,
            (true, Some(byte)) if b"@*#?-$".contains(&byte) => at + 1,
            _ => return Err(RARE),
        };
        let mut many = matches!(self.byte(at - 1), Some(b'@' | b'*'));
        if self.byte(at) == Some(b'[') {
            let close = self.bytes.get(at..).and_then(|rest| rest.iter().position(|&byte| byte == b']'));
            let index = close.and_then(|close| self.source.get(at + 1..at + close)).ok_or(RARE)?;
            many |= matches!(index, "@" | "*");
            if !many && (index.is_empty() || !index.bytes().all(|byte| byte.is_ascii_digit())) {
                return Err(RARE);
            }
            at += index.len() + 2;
        } else if self.byte(at) == Some(b'}') && !many && !name.is_empty() {
            return Ok((Some(name), at + 1, false));
        }
        let rest = self.source.get(at..).unwrap_or_default();
        if rest.starts_with('}') {
            return Ok((None, at + 1, many));
        }
        if let Some(rest) = rest.strip_prefix('@') {
            let plain = rest.starts_with(|c| "QULuEAaKk".contains(c)) && rest.get(1..2) == Some("}");
            return if plain { Ok((None, at + 3, true)) } else { Err(RARE) };
        }
        let part = rest.strip_prefix(':').unwrap_or(rest);
        if rest.starts_with(':') && !part.starts_with(['-', '=', '?', '+']) {
            // A part of the text: its borders are arithmetic.
            let close = part.find('}').ok_or(RARE)?;
            let borders = part.get(..close).unwrap_or_default();
            let plain = borders.bytes().all(|byte| byte.is_ascii_digit() || b" :-".contains(&byte));
            return if plain { Ok((None, at + 1 + close + 1, many)) } else { Err(RARE) };
        }
        if !part.starts_with(['-', '=', '?', '+', '#', '%', '/', '^', ',']) {
            return Err(RARE);
        }
        if part.starts_with('=') {
            self.set.push(name);
        }
        let end = self.braced_rest(at + (rest.len() - part.len()) + 1, quotes)?;
        Ok((None, end, many))
    }

    /// What follows the operator within `${…}`.
    fn braced_rest(&mut self, mut at: usize, quotes: Quotes) -> Read<usize> {
        let mut ignored = Building::default();
        loop {
            at = match self.byte(at) {
                None => return Err(Unclear("a brace is not closed")),
                Some(b'}') => return Ok(at + 1),
                Some(b'\\') => at + 2,
                Some(b'\'' | b'"') if quotes == Quotes::Double => {
                    return Err(Unclear("it holds quotes within an expansion within quotes"));
                }
                Some(b'\'') => self.single(at + 1, &mut ignored)?,
                Some(b'"') => self.double(at + 1, &mut ignored)?,
                Some(b'$') if self.byte(at + 1) == Some(b'\'') => return Err(BORDERS),
                Some(b'$' | b'`') => self.expansion(at, &mut ignored, quotes)?,
                Some(b'<' | b'>') if self.byte(at + 1) == Some(b'(') => self.substitution(at)?,
                Some(_) => at + 1,
            };
        }
    }
}

/// The tree and the reading of the words disagree.
const BORDERS: Unclear = Unclear("where a word ends cannot be told for certain");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quotes {
    None,
    Double,
}

/// A word that is being read.
#[derive(Default)]
struct Building {
    text: String,
    /// What follows is not known.
    cut: bool,
    splits: bool,
    /// Some of it is quoted, escaped or expanded.
    dressed: bool,
    home: bool,
    expanded: bool,
    /// The variable that it is so far, and nothing else.
    variable: Option<String>,
    number: bool,
    /// It begins with what cannot begin with a dash.
    operand: bool,
    parts: usize,
}

impl Building {
    fn push(&mut self, c: char) {
        self.part();
        if !self.cut {
            self.text.push(c);
        }
    }

    fn escaped(&mut self, c: char) {
        self.dressed = true;
        self.push(c);
    }

    fn quoted(&mut self, text: &str) {
        self.dressed = true;
        if !text.is_empty() {
            self.part();
        }
        if !self.cut {
            self.text.push_str(text);
        }
    }

    fn part(&mut self) {
        self.parts += 1;
        self.variable = None;
        self.number = false;
    }

    /// A character that stands for the names of files.
    fn glob(&mut self) {
        self.part();
        (self.cut, self.splits) = (true, true);
    }

    fn unknown(&mut self, splits: bool) {
        self.part();
        (self.cut, self.expanded, self.dressed) = (true, true, true);
        self.splits |= splits;
    }

    fn arithmetic(&mut self) {
        self.unknown(false);
        self.number = self.parts == 1;
    }

    fn variable(&mut self, name: Option<String>, splits: bool) {
        if self.parts == 0 && name.as_deref() == Some("HOME") {
            self.push('~');
            (self.home, self.expanded, self.dressed) = (true, true, true);
            return;
        }
        self.unknown(splits);
        self.variable = name.filter(|_| self.parts == 1);
    }

    fn finish(self, raw: &str) -> Word {
        Word {
            text: self.text,
            raw: raw.to_owned(),
            known: !self.cut,
            splits: self.splits,
            bare: !self.dressed,
            home: self.home,
            expanded: self.expanded,
            variable: self.variable,
            number: self.number,
            operand: self.operand,
            values: Vec::new(),
        }
    }
}
