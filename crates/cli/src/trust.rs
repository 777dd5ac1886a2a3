//! A project's own files at the edge of the program: they are read once, judged by what the user decided, shown and
//! asked about at a terminal, and what they may not do is said. All that is shown of them is plain.

use std::fmt::Write as _;
use std::io::BufRead as _;
use std::path::{Component, Path, PathBuf};

use codetether_config::trust::{
    Decision, FileChange, ProjectFiles, TrustError, TrustStore, Verdict, changes,
};
use codetether_config::{PROJECT_FILE, Settings, Why};

use crate::exit::{Exit, Failure};
use crate::{place, printer};

const QUESTION: &str = "trust them? [y]es · [n]o > ";

/// Most lines of each part of what is shown before a question.
const LINES: usize = 60;

/// Longest line, in characters.
const WIDTH: usize = 200;

/// Most bytes of an answer.
const ANSWER: u64 = 1_000;

/// A project's own files and how it stands with them.
pub(crate) struct Project {
    files: ProjectFiles,
    verdict: Verdict,
    /// `None` where the program has no place for its data.
    store: Option<TrustStore>,
}

impl Project {
    /// Reads the files of a project. `root` is absolute and free of links.
    pub(crate) fn at(root: &Path) -> Self {
        let files = ProjectFiles::read(root);
        let store = place::data_dir().ok().map(|data| TrustStore::new(&data));
        let verdict = store.as_ref().map_or(Verdict::Unknown, |store| store.verdict(&files));
        Self { files, verdict, store }
    }

    pub(crate) fn files(&self) -> &ProjectFiles {
        &self.files
    }

    pub(crate) fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    pub(crate) fn trusted(&self) -> bool {
        self.verdict.trusted()
    }

    /// What changed since something was decided.
    pub(crate) fn changes(&self) -> Vec<FileChange> {
        match (&self.store, &self.verdict) {
            (Some(store), Verdict::Changed(_)) => changes(store, &self.files),
            _ => Vec::new(),
        }
    }

    /// Keeps a decision about exactly the files that were read.
    pub(crate) fn decide(&mut self, decision: Decision) -> Result<(), Failure> {
        // Says why there is no place.
        let store = match &self.store {
            Some(store) => store.clone(),
            None => TrustStore::new(&place::data_dir()?),
        };
        store.keep(&self.files, decision, codetether_agent::now()).map_err(failed)?;
        self.verdict = store.verdict(&self.files);
        self.store = Some(store);
        Ok(())
    }

    /// Asks, at a terminal, about files that have power and have not been decided about. True when something was
    /// decided.
    pub(crate) fn ask(&mut self) -> Result<bool, Failure> {
        let open = matches!(self.verdict, Verdict::Unknown | Verdict::Changed(_));
        if !open || !self.files.have_power() {
            return Ok(false);
        }
        let question = self.question();
        // What was typed before the question is no answer to it. (It is none either when this fails.)
        let _ = rustix::termios::tcflush(std::io::stdin(), rustix::termios::QueueSelector::IFlush);
        printer::err(&question);
        let Some(decision) = read_answer() else { return Ok(false) };
        self.decide(decision)?;
        Ok(true)
    }

    fn question(&self) -> String {
        let folder = shown(&self.files.root().display().to_string());
        let mut text = match &self.verdict {
            Verdict::Changed(kept) => {
                let decided = match kept.decision {
                    Decision::Trusted => "trusted",
                    Decision::Refused => "refused",
                };
                format!(
                    "\n`{folder}` has files of its own with power; they have changed since you {decided} them\n"
                )
            }
            _ => format!("\n`{folder}` has files of its own with power: they change what happens here\n"),
        };
        text.push_str(&bounded(&self.listing()));
        let changes = self.changes();
        if !changes.is_empty() {
            text.push_str(&bounded(&diffs(&changes)));
        }
        text.push_str(QUESTION);
        text
    }

    /// The files, and what the settings among them would set.
    pub(crate) fn listing(&self) -> String {
        let mut text = String::new();
        for file in self.files.files() {
            let path = shown(&file.path.display().to_string());
            let _ = writeln!(text, "  {path} ({}, {} bytes)", file.kind.as_str(), file.content.len());
        }
        if !self.files.powers().is_empty() {
            let _ = writeln!(text, "the settings among them set");
        }
        for (key, value) in self.files.powers() {
            match (value.as_array(), value.as_table()) {
                (Some(items), _) => {
                    for item in items {
                        let _ = writeln!(text, "  {key}: {}", shown(&item.to_string()));
                    }
                }
                // Such as hooks: each on a line of its own.
                (_, Some(table)) => {
                    for (name, value) in table {
                        let one = std::slice::from_ref(value);
                        for item in value.as_array().map_or(one, Vec::as_slice) {
                            let _ = writeln!(text, "  {key}.{}: {}", shown(name), shown(&item.to_string()));
                        }
                    }
                }
                _ => drop(writeln!(text, "  {key} = {}", shown(&value.to_string()))),
            }
        }
        text
    }

    /// The folders that the files are in.
    fn folders(&self) -> String {
        let mut names: Vec<String> = Vec::new();
        for file in self.files.files() {
            let components = file.path.components();
            let up = components.clone().take_while(|part| matches!(part, Component::ParentDir)).count();
            let name = shown(&components.take(up + 1).collect::<PathBuf>().display().to_string());
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        match names.as_slice() {
            [only] => only.clone(),
            _ => format!("what is in {}", names.join(", ")),
        }
    }

    /// What of the project does not hold, a line for each reason; nothing when all holds.
    pub(crate) fn left_out(&self, settings: &Settings) -> String {
        let mut text = String::new();
        let keys = |why| {
            let left = settings.left_out.iter().filter(move |left| left.why == why);
            left.map(|left| format!("`{}`", left.key)).collect::<Vec<_>>()
        };
        let mut left = keys(Why::Untrusted);
        let others = self.files.others().count();
        if !self.trusted() && others > 0 {
            let file = if left.is_empty() { "file" } else { "further file" };
            left.push(printer::count(others, file));
        }
        let left = left.join(", ");
        let cure = "`codetether trust` shows it, `codetether trust add` trusts it";
        match &self.verdict {
            Verdict::Flawed(flaw) => {
                let flaw = shown(&flaw.to_string());
                let left = if left.is_empty() { String::new() } else { format!(": left out {left}") };
                let _ = writeln!(text, "note: the project's own files cannot be trusted ({flaw}){left}");
            }
            _ if left.is_empty() => {}
            Verdict::Trusted => {}
            Verdict::Refused => {
                let folders = self.folders();
                let _ = writeln!(text, "note: you refused to trust {folders} here: left out {left}; {cure}");
            }
            Verdict::Changed(_) => {
                let folders = self.folders();
                let _ = writeln!(
                    text,
                    "note: {folders} has changed since you decided about it: left out {left}; {cure}"
                );
            }
            Verdict::Unknown => {
                let _ = writeln!(text, "note: {} is not trusted: left out {left}; {cure}", self.folders());
            }
        }
        let wider = keys(Why::Wider);
        if !wider.is_empty() {
            let _ = writeln!(
                text,
                "note: `{PROJECT_FILE}` cannot widen what you set: left out {}",
                wider.join(", ")
            );
        }
        text
    }
}

/// What changed, with diffs.
pub(crate) fn diffs(changes: &[FileChange]) -> String {
    let mut text = String::new();
    for change in changes {
        let _ = writeln!(text, "{}: {}", printer::plain(&change.path).replace('\n', " "), change.what);
        if let Some(diff) = &change.diff {
            text.push_str(&printer::plain(diff));
        }
    }
    text
}

/// As a failure of a command.
pub(crate) fn failed(error: TrustError) -> Failure {
    let help = match &error {
        TrustError::Flawed { .. } => "put plain files there, fewer or smaller ones, and try again",
        TrustError::File(_) | TrustError::Json(_) => "nothing was decided",
    };
    Failure::with_help(Exit::Failed, printer::plain(&error.to_string()), help)
}

/// The first lines of a text, each of a width that can be read.
fn bounded(text: &str) -> String {
    let mut bounded = String::new();
    let mut lines = text.lines();
    for line in lines.by_ref().take(LINES) {
        let _ = writeln!(bounded, "{}", narrow(line));
    }
    match lines.count() {
        0 => {}
        more => {
            let _ =
                writeln!(bounded, "  … and {more} lines more: answer no, and `codetether trust` shows them");
        }
    }
    bounded
}

fn narrow(line: &str) -> String {
    let mut narrow: String = line.chars().take(WIDTH).collect();
    if narrow.len() < line.len() {
        narrow.push('…');
    }
    narrow
}

/// A text of the project's on one line.
fn shown(text: &str) -> String {
    printer::plain(text).replace('\n', " ")
}

/// Reads lines until one is an answer; `None` at the end of input.
fn read_answer() -> Option<Decision> {
    use std::io::Read as _;
    loop {
        let mut line = String::new();
        match std::io::stdin().lock().take(ANSWER).read_line(&mut line) {
            Ok(0) | Err(_) => return None,
            Ok(_) => match line.trim().to_lowercase().as_str() {
                "y" | "yes" => return Some(Decision::Trusted),
                "n" | "no" => return Some(Decision::Refused),
                _ => printer::err(QUESTION),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_bounded() {
        let text = bounded(&format!("{}\n", "x".repeat(1_000)).repeat(100));
        assert_eq!(text.lines().count(), LINES + 1);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH + 1));
        assert!(
            text.ends_with("and 40 lines more: answer no, and `codetether trust` shows them\n"),
            "{text}"
        );
    }
}
