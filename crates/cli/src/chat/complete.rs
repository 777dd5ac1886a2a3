//! What Tab completes: commands, their arguments where there is a list of them, and after `@` the project's paths.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use codetether_config::defined;
use codetether_files::{EntryKind, Root};
use codetether_journal::{Catalogue, Filter, Layout};
use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

use crate::chat::commands;
use crate::commands::session::About;
use crate::defined::Own;
use crate::trust::Project;

/// Most sessions that are offered.
const SESSIONS: usize = 50;

/// Most names of a folder that are looked at.
const NAMES: usize = 2_000;

/// What completion depends on, shared with who changes it.
#[derive(Clone, Default)]
pub(super) struct Words {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    root: PathBuf,
    layout: Option<Layout>,
    models: Vec<String>,
    /// Commands that files define.
    defined: Vec<String>,
}

impl Words {
    pub(super) fn set(&self, (root, layout): (PathBuf, Layout), models: Vec<String>, defined: Vec<String>) {
        let inner = Inner { root, layout: Some(layout), models, defined };
        *self.inner.lock().unwrap_or_else(PoisonError::into_inner) = inner;
    }

    /// Where the word begins, and what it could become.
    fn of(&self, before: &str) -> (usize, Vec<String>) {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let start = before.rfind(char::is_whitespace).map_or(0, |at| {
            at + before.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8)
        });
        let word = before.get(start..).unwrap_or_default();
        if let Some(name) = word.strip_prefix('@') {
            return (start, paths(&inner.root, name));
        }
        let starting = |word: &str, list: &mut dyn Iterator<Item = &str>| -> Vec<String> {
            list.filter(|one| one.starts_with(word)).map(str::to_owned).collect()
        };
        match before.strip_prefix('/') {
            Some(name) if start == 0 => {
                let mut names = starting(name, &mut commands::names());
                names.extend(inner.defined.iter().filter(|own| own.starts_with(name)).cloned());
                (0, names.into_iter().map(|name| format!("/{name} ")).collect())
            }
            Some(line) if line.starts_with("mode ") => {
                (start, starting(word, &mut ["plan", "ask", "auto-edit", "bypass"].into_iter()))
            }
            Some(line) if line.starts_with("model ") => {
                (start, starting(word, &mut inner.models.iter().map(String::as_str)))
            }
            Some(line) if line.starts_with("agent ") => {
                (start, starting(word, &mut agents(&inner.root).iter().map(String::as_str)))
            }
            Some(line) if line.starts_with("resume ") => {
                (start, starting(word, &mut inner.sessions().iter().map(String::as_str)))
            }
            _ => (start, Vec::new()),
        }
    }
}

impl Inner {
    /// The ids of the folder's sessions, the latest first. Looked up when they are asked for.
    fn sessions(&self) -> Vec<String> {
        let filter = Filter { project: Some(self.root.display().to_string()) };
        let listed = self
            .layout
            .as_ref()
            .and_then(|layout| Catalogue::<About>::new(layout.clone()).list(&filter, SESSIONS).ok());
        listed.unwrap_or_default().iter().map(|session| session.id.to_string()).collect()
    }
}

/// The names of the agents that there are here.
fn agents(root: &std::path::Path) -> Vec<String> {
    let (project, own) = (Project::at(root), Own::here());
    defined::agents(own.places(&project)).all.into_iter().map(|agent| agent.name).collect()
}

/// The paths of the project that begin so, each as it is mentioned.
fn paths(root: &std::path::Path, begun: &str) -> Vec<String> {
    let (folder, prefix) = begun.rsplit_once('/').map_or(("", begun), |(folder, prefix)| (folder, prefix));
    let shown = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    let listing =
        Root::open(root).ok().and_then(|root| root.list(if folder.is_empty() { "." } else { folder }).ok());
    let mut found: Vec<String> = listing
        .into_iter()
        .flatten()
        .take(NAMES)
        .flatten()
        .filter_map(|entry| {
            let name = entry.name.to_str()?.to_owned();
            let hidden = name.starts_with('.') && !prefix.starts_with('.');
            if hidden || !name.starts_with(prefix) || name.chars().any(|c| c.is_control() || c == '"') {
                return None;
            }
            let end = if entry.kind == EntryKind::Directory { "/" } else { "" };
            let path = format!("{shown}{name}{end}");
            Some(if path.contains(char::is_whitespace) { format!("@\"{path}\"") } else { format!("@{path}") })
        })
        .collect();
    found.sort();
    found
}

pub(super) struct Completion(pub(super) Words);

impl Completer for Completion {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, words) = self.0.of(line.get(..pos).unwrap_or_default());
        Ok((start, words.into_iter().map(|word| Pair { display: word.clone(), replacement: word }).collect()))
    }
}

impl Hinter for Completion {
    type Hint = String;
}

impl Highlighter for Completion {}
impl Validator for Completion {}
impl Helper for Completion {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_arguments_and_paths_are_completed() {
        let root = tempfile::tempdir().unwrap();
        for name in ["main.rs", "map.rs", ".hidden", "two words"] {
            codetether_files::write_atomic(root.path().join(name), b"", &<_>::default()).unwrap();
        }
        codetether_files::create_dir_all(root.path().join("müll/x")).unwrap();
        let words = Words::default();
        words.set(
            (root.path().canonicalize().unwrap(), Layout::new(root.path().join("data"))),
            vec!["a/b".into(), "c/d".into()],
            vec!["review".into()],
        );
        let of = |before: &str| words.of(before);
        assert_eq!(of("/he"), (0, vec!["/help ".into()]));
        assert_eq!(of("/rev"), (0, vec!["/review ".into()]));
        assert_eq!(of("/mode a"), (6, vec!["ask".into(), "auto-edit".into()]));
        assert_eq!(of("/model c"), (7, vec!["c/d".into()]));
        assert_eq!(of("/agent pl"), (7, vec!["plan".into()]));
        assert_eq!(of("/resume 0"), (8, Vec::new()), "there is no session yet");
        assert_eq!(of("see @ma"), (4, vec!["@main.rs".into(), "@map.rs".into()]));
        assert_eq!(of("@m"), (0, vec!["@main.rs".into(), "@map.rs".into(), "@müll/".into()]));
        assert_eq!(of("ü @müll/"), (3, vec!["@müll/x/".into()]));
        assert_eq!(of("@.h").1, ["@.hidden"]);
        assert_eq!(of("@tw").1, ["@\"two words\""]);
        assert_eq!(of("@../"), (0, Vec::new()), "nothing outside the project");
        assert_eq!(of("me@example"), (0, Vec::new()));
    }
}
