//! What is wrong with settings: all of it at once, each with where it is and what to write instead. What is shown of a
//! source can neither act on a terminal nor flood it.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode, SourceSpan};

/// What is read where nothing else is said.
const SETTINGS: &str = "the settings";

/// Most problems that are kept; the others are counted.
const KEPT: usize = 50;

/// Longest line of a source, in bytes, that is shown around a problem.
const LONGEST_LINE: usize = 400;

/// Longest text, in characters, that a message repeats.
const LONGEST_TEXT: usize = 80;

/// One thing that is wrong with settings.
#[derive(Debug, Clone)]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The file, variable or flag that it is in.
    pub source: String,
    /// The line in the file, from 1.
    pub line: Option<usize>,
    span: Option<Range<usize>>,
    /// The source's text, where it can be shown.
    text: Option<Arc<NamedSource<Arc<str>>>>,
}

impl Problem {
    /// The part of the source that is wrong.
    #[must_use]
    pub fn part(&self) -> Option<&str> {
        self.text.as_ref()?.inner().get(self.span.clone()?)
    }

    /// The same without a place: for a text that is nowhere but in memory.
    pub(crate) fn without_text(self) -> Self {
        Self { text: None, span: None, line: None, ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match (&self.text, self.line) {
            (Some(_), _) => Ok(()),
            (None, Some(line)) => write!(f, " (in {}, line {line})", self.source),
            (None, None) => write!(f, " (in {})", self.source),
        }
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.text.as_deref().map(|text| text as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = SourceSpan::from(self.text.as_ref().and(self.span.clone())?);
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(Some("here".into()), span))))
    }
}

/// Settings that cannot be used: everything that is wrong with any of their sources.
#[derive(Debug)]
pub struct ConfigError {
    /// What cannot be read.
    what: String,
    problems: Vec<Problem>,
    /// Problems that were not kept.
    more: usize,
}

impl ConfigError {
    /// What is wrong; the first ones when there is very much.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = &self.what;
        match (&self.problems[..], self.more) {
            ([only], 0) => write!(f, "cannot read {what}: {only}"),
            (problems, 0) => write!(f, "cannot read {what}: {} problems", problems.len()),
            (problems, more) => write!(
                f,
                "cannot read {what}: {} problems, of which the first {} are shown",
                problems.len().saturating_add(more),
                problems.len()
            ),
        }
    }
}

impl std::error::Error for ConfigError {}

impl Diagnostic for ConfigError {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(if self.what == SETTINGS { "codetether::settings" } else { "codetether::definition" }))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.only().and_then(Diagnostic::help)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.only().and_then(Diagnostic::source_code)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.only().and_then(Diagnostic::labels)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        match self.only() {
            Some(_) => None,
            None => Some(Box::new(self.problems.iter().map(|problem| problem as &dyn Diagnostic))),
        }
    }
}

impl ConfigError {
    /// One without a problem in it.
    pub(crate) fn none(what: &str) -> Self {
        Self { what: what.to_owned(), problems: Vec::new(), more: 0 }
    }

    fn only(&self) -> Option<&Problem> {
        match &self.problems[..] {
            [only] if self.more == 0 => Some(only),
            _ => None,
        }
    }
}

/// The problems found so far.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    kept: Vec<Problem>,
    more: usize,
}

impl Problems {
    pub(crate) fn push(&mut self, problem: Problem) {
        if self.kept.len() < KEPT {
            self.kept.push(problem);
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// `Ok` when there are none in the settings.
    pub(crate) fn none_or(self) -> Result<(), ConfigError> {
        self.none_in(SETTINGS)
    }

    /// `Ok` when there are none in what is called so.
    pub(crate) fn none_in(mut self, what: &str) -> Result<(), ConfigError> {
        if self.kept.is_empty() {
            return Ok(());
        }
        // In the order of the text, whatever found them; sources stay together in theirs.
        let mut sources: Vec<String> = Vec::new();
        for problem in &self.kept {
            if !sources.contains(&problem.source) {
                sources.push(problem.source.clone());
            }
        }
        let place = |problem: &Problem| {
            let source = sources.iter().position(|source| *source == problem.source);
            (source, problem.span.as_ref().map(|span| span.start))
        };
        self.kept.sort_by_key(place);
        Err(ConfigError { what: what.to_owned(), problems: self.kept, more: self.more })
    }

    pub(crate) fn kept(&self) -> &[Problem] {
        &self.kept
    }
}

/// A text of settings, as problems show it.
#[derive(Debug)]
pub(crate) struct Shown {
    name: String,
    text: Arc<NamedSource<Arc<str>>>,
}

impl Shown {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let name = visible(name);
        let text = NamedSource::new(&name, Arc::from(visible(text)));
        Self { text: Arc::new(text), name }
    }

    pub(crate) fn problem(
        &self,
        span: Option<Range<usize>>,
        line: Option<usize>,
        message: String,
        help: Option<String>,
    ) -> Problem {
        let text = self.text.inner();
        // A place that the text does not have would break the rendering.
        let span = span.filter(|span| text.get(span.clone()).is_some());
        let short = span.as_ref().is_some_and(|span| lines_are_short(text, span));
        Problem {
            message: visible(&message),
            help: help.map(|help| visible(&help)),
            source: self.name.clone(),
            line,
            span,
            text: short.then(|| self.text.clone()),
        }
    }
}

/// A problem with a source as a whole.
pub(crate) fn of_file(path: &Path, message: String, help: Option<String>) -> Problem {
    Problem {
        message: visible(&message),
        help: help.map(|help| visible(&help)),
        source: visible(&path.display().to_string()),
        line: None,
        span: None,
        text: None,
    }
}

/// A problem with a file that cannot be read; the error names the file.
pub(crate) fn unreadable(path: &Path, error: &dyn fmt::Display) -> Problem {
    of_file(path, error.to_string(), Some("make it a file that you can read, or remove it".into()))
}

/// Whether the span, the lines that it is on and those beside them are short enough to be shown.
fn lines_are_short(text: &str, span: &Range<usize>) -> bool {
    let before = text.get(..span.start).unwrap_or_default().rsplit('\n').take(2);
    let within = text.get(span.clone()).unwrap_or_default();
    let after = text.get(span.end..).unwrap_or_default().split('\n').take(2);
    let mut parts = before.chain(after).chain([within]);
    parts.all(|part| part.len() <= LONGEST_LINE)
}

/// The text with what could act on a terminal replaced, byte for byte, so that places in it stay right.
pub(crate) fn visible(text: &str) -> String {
    let acts = |c: char| {
        let reorders =
            matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        reorders || (c.is_control() && !matches!(c, '\n' | '\t'))
    };
    let mut visible = String::with_capacity(text.len());
    for c in text.chars() {
        if acts(c) { visible.extend(std::iter::repeat_n('?', c.len_utf8())) } else { visible.push(c) }
    }
    visible
}

/// A text in a message: on one line, and not longer than a line.
pub(crate) fn brief(text: &str) -> String {
    let mut brief: String = text.chars().take(LONGEST_TEXT).collect();
    if brief.len() < text.len() {
        brief.push('…');
    }
    brief.replace('\n', " ")
}

/// Names in backticks, with commas.
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The candidate that was probably meant.
pub(crate) fn near<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST_TEXT {
        return None;
    }
    candidates
        .map(|candidate| {
            (strsim::osa_distance(word, candidate), word.len().abs_diff(candidate.len()), candidate)
        })
        .filter(|(distance, _, candidate)| *distance <= 1.max(candidate.len() / 3))
        .min_by_key(|(distance, by_length, _)| (*distance, *by_length))
        .map(|(_, _, candidate)| candidate)
}
