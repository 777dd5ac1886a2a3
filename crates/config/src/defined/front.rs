//! Markdown with front matter, as people and other programs write it: `key: value`, lists, one table in another, quoted and
//! folded texts, between two lines `---`. Not YAML as a whole: nothing refers to anything, nothing has a type of its own.
//! What is wrong has a place. A file of another program is taken as far as it can be understood, and never wrong.

use std::ops::Range;
use std::path::Path;
use std::str::FromStr;

use crate::ConfigError;
use crate::problem::{Problems, Shown, brief, list, near};

/// Tables in tables.
const DEEPEST: usize = 4;

/// Most keys of a file.
const KEYS: usize = 200;

/// A text and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) span: Range<usize>,
}

/// A key, where it stands, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    span: Range<usize>,
    value: Held,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Held {
    Text(Text),
    List(Vec<Text>),
    Table(Vec<Field>),
}

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strictness {
    /// Ours: what is not understood is a mistake.
    Ours,
    /// Another program's: what is not understood is not for us.
    Foreign,
}

/// A file that is being read.
pub(crate) struct Front<'a> {
    text: &'a str,
    /// What follows the front matter.
    pub(crate) body: &'a str,
    fields: Vec<Field>,
    problems: Problems,
    shown: Shown,
    strictness: Strictness,
}

#[derive(Clone, Copy)]
struct Line<'a> {
    start: usize,
    text: &'a str,
}

impl<'a> Front<'a> {
    /// Reads the front matter of a text, which need not have one.
    pub(crate) fn read(path: &Path, text: &'a str, strictness: Strictness) -> Self {
        let shown = Shown::new(&path.display().to_string(), text);
        let mut front =
            Self { text, body: text, fields: Vec::new(), problems: Problems::default(), shown, strictness };
        let mut lines = Vec::new();
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            lines.push(Line { start, text: line.trim_end_matches(['\n', '\r']) });
            start += line.len();
        }
        let fence = |line: &Line<'_>| line.text.trim_start_matches('\u{feff}').trim_end() == "---";
        if !lines.first().is_some_and(fence) {
            return front;
        }
        let closes = |line: &Line<'_>| fence(line) || line.text.trim_end() == "...";
        let Some(end) = lines.iter().skip(1).position(closes).map(|at| at + 1) else {
            let span = lines.first().map_or(0..0, |line| line.start..line.start + line.text.len());
            let help = "end what stands before the text with a line `---`, too";
            front.problem(span, "what begins with `---` has no end".into(), Some(help));
            return front;
        };
        let after = lines.get(end + 1).map_or(text.len(), |line| line.start);
        front.body = text.get(after..).unwrap_or_default();
        front.fields = front.table(lines.get(1..end).unwrap_or_default(), DEEPEST);
        front
    }

    fn table(&mut self, lines: &[Line<'_>], deeper: usize) -> Vec<Field> {
        let indent = lines.iter().filter(|line| !line.is_blank()).map(Line::indent).next().unwrap_or(0);
        let mut fields: Vec<Field> = Vec::new();
        let mut at = 0;
        while let Some(line) = lines.get(at) {
            at += 1;
            if line.is_blank() {
                continue;
            }
            let found = (line.indent() == indent).then(|| line.key()).flatten();
            let Some((name, name_span, rest)) = found else {
                let help = "write `key: value`, a list with `- ` before each item, or put the text in quotes";
                self.problem(
                    line.span(),
                    format!("`{}` belongs to no key", brief(line.text.trim())),
                    Some(help),
                );
                continue;
            };
            let inner = lines.get(at..).unwrap_or_default();
            let listed = rest.text.is_empty();
            let belongs = |line: &&Line<'_>| {
                line.text.trim().is_empty()
                    || line.indent() > indent
                    || listed && line.indent() == indent && line.is_item()
            };
            let count = inner.iter().take_while(belongs).count();
            let inner = inner.get(..count).unwrap_or_default();
            at += count;
            if fields.len() == KEYS {
                self.problem(name_span, format!("there are more than {KEYS} keys"), None);
                break;
            }
            let value = self.held(rest, inner, deeper);
            if fields.iter().any(|field| field.name == name) {
                let message = format!("duplicate key `{}`", brief(&name));
                self.problem(name_span, message, Some("keep one of the two"));
                continue;
            }
            fields.push(Field { name, span: name_span, value });
        }
        fields
    }

    fn held(&mut self, rest: Text, inner: &[Line<'_>], deeper: usize) -> Held {
        let mut filled = inner.iter().filter(|line| !line.text.trim().is_empty());
        let end = filled.clone().next_back().map_or(rest.span.end, |line| line.start + line.text.len());
        let span = rest.span.start..end;
        let style = bare(&rest.text).trim_end_matches(['-', '+']);
        if matches!(style, "|" | ">") {
            return Held::Text(Text { text: block(inner, style == ">"), span });
        }
        let Some(first) = filled.find(|line| !line.is_blank()).copied() else {
            return Held::Text(self.text(rest));
        };
        if !bare(&rest.text).is_empty() {
            // A text that goes on.
            let lines = inner.iter().map(|line| line.text.trim()).filter(|line| !line.is_empty());
            let text = std::iter::once(rest.text.trim()).chain(lines).collect::<Vec<_>>().join(" ");
            return Held::Text(self.text(Text { text, span }));
        }
        if first.is_item() {
            let mut items = Vec::new();
            for line in inner.iter().filter(|line| !line.is_blank()) {
                match line.text.trim_start().strip_prefix('-') {
                    Some(item) if line.is_item() => {
                        let start = line.start + line.text.len() - item.trim_start().len();
                        let item = Text { text: item.trim().to_owned(), span: start..line.span().end };
                        items.push(self.text(item));
                    }
                    _ => self.problem(
                        line.span(),
                        format!("`{}` is no item of the list", brief(line.text.trim())),
                        Some("write `- ` before each item, each on a line of its own"),
                    ),
                }
            }
            return Held::List(items);
        }
        match (first.key(), deeper.checked_sub(1)) {
            (Some(_), Some(deeper)) => Held::Table(self.table(inner, deeper)),
            _ => {
                let lines = inner.iter().map(|line| line.text.trim()).filter(|line| !line.is_empty());
                let text = lines.collect::<Vec<_>>().join(" ");
                Held::Text(self.text(Text { text, span: first.start..end }))
            }
        }
    }

    /// A text without its quotes, or without the comment behind it.
    fn text(&mut self, raw: Text) -> Text {
        let Text { text, span } = raw;
        let unquoted = match text.chars().next() {
            Some('"') => double_quoted(&text),
            Some('\'') => single_quoted(&text),
            _ => return Text { text: bare(&text).to_owned(), span },
        };
        match unquoted {
            Some((text, rest)) if bare(rest).is_empty() => Text { text, span },
            Some((_, rest)) => {
                let message = format!("`{}` stands behind the quote's end", brief(rest.trim()));
                let help = "put the whole text in quotes, or none of it";
                self.problem(span.clone(), message, Some(help));
                Text { text, span }
            }
            None => {
                self.problem(
                    span.clone(),
                    "the quote has no end, or holds an escape that is none".into(),
                    None,
                );
                Text { text, span }
            }
        }
    }

    /// Notes what is wrong, if the file is ours.
    pub(crate) fn problem(&mut self, span: Range<usize>, message: String, help: Option<&str>) {
        if self.strictness == Strictness::Foreign {
            return;
        }
        let before = self.text.get(..span.start).unwrap_or_default();
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        self.problems.push(self.shown.problem(Some(span), Some(line), message, help.map(str::to_owned)));
    }

    /// Notes what is wrong with the file as a whole, whosever it is.
    pub(crate) fn missing(&mut self, message: String, help: &str) {
        self.problems.push(self.shown.problem(None, None, message, Some(help.to_owned())));
    }

    fn take(&mut self, name: &str) -> Option<Field> {
        let at = self.fields.iter().position(|field| field.name == name)?;
        Some(self.fields.remove(at))
    }

    /// What a key holds, with its place.
    pub(crate) fn placed(&mut self, name: &str) -> Option<Text> {
        let field = self.take(name)?;
        self.text_of(field)
    }

    fn text_of(&mut self, field: Field) -> Option<Text> {
        match field.value {
            Held::Text(text) if text.text.is_empty() => None,
            Held::Text(text) => Some(text),
            Held::List(_) | Held::Table(_) => {
                self.problem(field.span, format!("`{}` must be a text", field.name), None);
                None
            }
        }
    }

    /// What a key holds.
    pub(crate) fn string(&mut self, name: &str) -> Option<String> {
        self.placed(name).map(|text| text.text)
    }

    /// What a key holds, read.
    pub(crate) fn parsed<T: FromStr<Err: std::fmt::Display>>(&mut self, name: &str, help: &str) -> Option<T> {
        let text = self.placed(name)?;
        self.parse(name, &text, help)
    }

    fn parse<T: FromStr<Err: std::fmt::Display>>(
        &mut self,
        name: &str,
        text: &Text,
        help: &str,
    ) -> Option<T> {
        match text.text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(text.span.clone(), format!("`{name}`: {error}"), Some(help));
                None
            }
        }
    }

    /// The items of a key: a list in any of its forms, or a text with commas.
    pub(crate) fn items(&mut self, name: &str) -> Option<Vec<Text>> {
        let field = self.take(name)?;
        match field.value {
            Held::List(items) => Some(items),
            Held::Text(Text { text, span }) => {
                let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(&text);
                let items = inner.split(',').map(str::trim).filter(|item| !item.is_empty());
                let items: Vec<String> = items.map(str::to_owned).collect();
                Some(items.into_iter().map(|text| self.text(Text { text, span: span.clone() })).collect())
            }
            Held::Table(_) => {
                self.problem(field.span, format!("`{name}` must be a list"), Some("write it as `[a, b]`"));
                None
            }
        }
    }

    /// Reads what a table holds as if it were the file; the keys that are known there.
    pub(crate) fn inside<T>(
        &mut self,
        name: &str,
        known: &[&str],
        read: impl FnOnce(&mut Self) -> T,
    ) -> Option<T> {
        let field = self.take(name)?;
        let Held::Table(fields) = field.value else {
            let help = format!(
                "write {} on lines of their own below it, each further in",
                list(known.iter().copied())
            );
            self.problem(field.span, format!("`{name}` must be a table"), Some(&help));
            return None;
        };
        let outer = std::mem::replace(&mut self.fields, fields);
        let value = read(self);
        self.unknown(known, &format!("{name}."));
        self.fields = outer;
        Some(value)
    }

    fn unknown(&mut self, known: &[&str], before: &str) {
        for field in std::mem::take(&mut self.fields) {
            if known.contains(&field.name.as_str()) {
                continue;
            }
            let help = match near(&field.name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", list(known.iter().copied())),
            };
            let message = format!("unknown key `{}`", brief(&format!("{before}{}", field.name)));
            self.problem(field.span, message, Some(&help));
        }
    }

    /// The end: keys that are not known are wrong.
    ///
    /// # Errors
    /// All that is wrong.
    pub(crate) fn end(mut self, what: &str, known: &[&str]) -> Result<(), ConfigError> {
        self.unknown(known, "");
        self.end_anyway(what)
    }

    /// The same where keys that are not known are no mistake.
    ///
    /// # Errors
    /// All that is wrong.
    pub(crate) fn end_anyway(self, what: &str) -> Result<(), ConfigError> {
        self.problems.none_in(what)
    }
}

impl<'a> Line<'a> {
    fn indent(&self) -> usize {
        self.text.len() - self.text.trim_start().len()
    }

    /// Whether there is nothing in it but a comment.
    fn is_blank(&self) -> bool {
        let text = self.text.trim_start();
        text.is_empty() || text.starts_with('#')
    }

    fn is_item(&self) -> bool {
        let text = self.text.trim_start();
        text == "-" || text.starts_with("- ")
    }

    fn span(&self) -> Range<usize> {
        self.start + self.indent()..self.start + self.text.trim_end().len()
    }

    /// The key of a line and the text behind it.
    fn key(&self) -> Option<(String, Range<usize>, Text)> {
        let text = self.text;
        let colon = text.match_indices(':').map(|(at, _)| at).find(|at| {
            text.get(at + 1..).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
        })?;
        let name = text.get(..colon)?.trim();
        if name.is_empty() || self.is_item() {
            return None;
        }
        let start = self.start + self.indent();
        let rest = text.get(colon + 1..)?;
        let at = self.start + text.len() - rest.trim_start().len();
        let rest = rest.trim();
        let bare = name.trim_matches(['"', '\'']).to_owned();
        Some((bare, start..start + name.len(), Text { text: rest.to_owned(), span: at..at + rest.len() }))
    }
}

/// A plain text without a comment behind it. What looks like JSON is taken whole.
fn bare(text: &str) -> &str {
    let text = text.trim();
    if text.starts_with('#') {
        return "";
    }
    if text.starts_with(['{', '[']) {
        return text;
    }
    text.find(" #").and_then(|at| text.get(..at)).unwrap_or(text).trim_end()
}

/// The text of a block: with its line breaks, or folded into paragraphs.
fn block(lines: &[Line<'_>], folded: bool) -> String {
    let filled = |line: &&Line<'_>| !line.text.trim().is_empty();
    let indent = lines.iter().filter(filled).map(Line::indent).min().unwrap_or(0);
    let mut text = String::new();
    for line in lines {
        let line = line.text.get(indent..).unwrap_or_default().trim_end();
        if !folded {
            text.push_str(line);
            text.push('\n');
        } else if line.is_empty() {
            text.push('\n');
        } else {
            if !text.is_empty() && !text.ends_with('\n') {
                text.push(' ');
            }
            text.push_str(line);
        }
    }
    text.trim_end().to_owned()
}

/// The text between double quotes, and what follows them.
fn double_quoted(text: &str) -> Option<(String, &str)> {
    let mut chars = text.char_indices().skip(1);
    let mut unquoted = String::new();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((unquoted, text.get(at + 1..)?)),
            '\\' => match chars.next()?.1 {
                'n' => unquoted.push('\n'),
                't' => unquoted.push('\t'),
                c @ ('"' | '\\' | '/' | ' ') => unquoted.push(c),
                'u' => {
                    let digits: String = chars.by_ref().take(4).map(|(_, c)| c).collect();
                    unquoted.push(u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32)?);
                }
                _ => return None,
            },
            c => unquoted.push(c),
        }
    }
    None
}

/// The text between single quotes, and what follows them.
fn single_quoted(text: &str) -> Option<(String, &str)> {
    let mut chars = text.char_indices().skip(1).peekable();
    let mut unquoted = String::new();
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' if chars.next_if(|(_, next)| *next == '\'').is_some() => unquoted.push('\''),
            '\'' => return Some((unquoted, text.get(at + 1..)?)),
            c => unquoted.push(c),
        }
    }
    None
}

#[cfg(test)]
#[path = "front_tests.rs"]
mod tests;
