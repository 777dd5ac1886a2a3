//! Errors in settings: what is wrong, where, and what to write instead.

use miette::{Diagnostic, NamedSource, SourceSpan};

use crate::layer::{KEYS, NARROWING_KEYS};

/// An error in settings.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum ConfigError {
    /// A source of settings is wrong.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Wrong(Box<Wrong>),
    /// A file cannot be read.
    #[error(transparent)]
    #[diagnostic(code(codetether::settings::file))]
    File(#[from] codetether_files::Error),
    /// The project's file cannot be read.
    #[error("cannot read the project's settings: {0}")]
    #[diagnostic(code(codetether::settings::project))]
    Project(codetether_files::RootError),
}

/// What is wrong with a source of settings.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("cannot read the settings: {message}")]
#[diagnostic(code(codetether::settings))]
pub struct Wrong {
    message: String,
    #[help]
    help: Option<String>,
    #[source_code]
    source_code: NamedSource<String>,
    #[label("here")]
    span: Option<SourceSpan>,
}

impl Wrong {
    /// The part of the source that is wrong.
    #[must_use]
    pub fn part(&self) -> Option<&str> {
        let span = self.span?;
        self.source_code.inner().get(span.offset()..span.offset() + span.len())
    }
}

/// Where a text of settings comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    User,
    Project,
    Flag,
    Environment,
}

impl ConfigError {
    pub(crate) fn from_toml(error: &toml::de::Error, kind: Kind, name: &str, text: &str) -> Self {
        let (message, help) = explain(error.message(), kind);
        let span = error.span().map(SourceSpan::from);
        wrong(message, help, name, text, span)
    }

    pub(crate) fn at(name: &str, text: &str, part: &str, message: String, help: Option<String>) -> Self {
        let span = text.find(part).filter(|_| !part.is_empty()).map(|at| SourceSpan::from((at, part.len())));
        wrong(message, help, name, text, span)
    }
}

fn wrong(
    message: String,
    help: Option<String>,
    name: &str,
    text: &str,
    span: Option<SourceSpan>,
) -> ConfigError {
    let source_code = NamedSource::new(visible(name), visible(text));
    let (message, help) = (visible(&message), help.map(|help| visible(&help)));
    ConfigError::Wrong(Box::new(Wrong { message, help, source_code, span }))
}

/// The text with what could act on a terminal replaced, byte for byte, so that places in it stay right.
fn visible(text: &str) -> String {
    let acts = |c: char| {
        let reorders =
            matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        reorders || (c.is_control() && !matches!(c, '\n' | '\t'))
    };
    text.chars().flat_map(|c| if acts(c) { vec!['?'; c.len_utf8()] } else { vec![c] }).collect()
}

/// serde's words, made ours.
fn explain(message: &str, kind: Kind) -> (String, Option<String>) {
    let first = message.lines().next().unwrap_or(message);
    let Some(rest) = first.strip_prefix("unknown field `") else { return (first.to_owned(), None) };
    let Some((key, rest)) = rest.split_once('`') else { return (first.to_owned(), None) };
    if kind == Kind::Project && KEYS.contains(&key) && !NARROWING_KEYS.contains(&key) {
        return (
            format!("a project's own file cannot set `{key}`"),
            Some(format!(
                "set it in your own settings; a project can narrow {} only",
                list(NARROWING_KEYS.iter())
            )),
        );
    }
    let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    let help = near(key, known.iter().copied())
        .map(|near| format!("did you mean `{near}`?"))
        .or_else(|| Some(format!("known here: {}", list(known.iter()))));
    (format!("unknown key `{key}`"), help)
}

fn list<'a>(names: impl Iterator<Item = &'a &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The candidate that was probably meant.
pub(crate) fn near<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| {
            (strsim::osa_distance(word, candidate), word.len().abs_diff(candidate.len()), candidate)
        })
        .filter(|(distance, _, candidate)| *distance <= 1.max(candidate.len() / 3))
        .min_by_key(|(distance, by_length, _)| (*distance, *by_length))
        .map(|(_, _, candidate)| candidate)
}
