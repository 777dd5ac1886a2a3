//! What is heard of a command's run besides its output: what the sandbox denied it, which the model is told and the user's
//! record keeps.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use codetether_event::{Mode, SessionId};
use codetether_sandbox::{Audit, Entry, Policy, Ran, Status};
use codetether_tool::{Command, ToolContext};

use crate::confine::Sandbox;

/// Most notes of one run that go to the model.
const NOTES: usize = 12;

/// What is heard of one run.
pub(crate) struct Heard {
    /// For the user's record.
    pub(crate) entry: Entry,
    /// For the model, a line each.
    pub(crate) notes: Vec<String>,
    dir: PathBuf,
    stays: bool,
}

impl Heard {
    /// Of a run that begins now.
    pub(crate) fn begun(command: &Command, dir: &Path, cx: &ToolContext, session: Option<SessionId>) -> Self {
        let argv: Vec<OsString> = command.argv.iter().map(OsString::from).collect();
        let mut entry = Entry::begun(cx.root.path(), &argv);
        entry.session = session.map(|session| session.to_string());
        entry.call = Some(cx.call.to_string());
        Self { entry, notes: Vec::new(), dir: dir.to_owned(), stays: stays(&command.argv) }
    }

    /// That it is confined.
    pub(crate) fn confined(&mut self, policy: &Policy) {
        self.entry.confined(policy, policy.tier);
    }

    /// Something that it was denied: `what` for the record, such as `read /a/b` or `reach example.com:443`, and the same
    /// for the model, with what the user can do about it.
    pub(crate) fn denied(&mut self, what: &str, note: String) {
        self.entry.denied(what);
        self.note(note);
    }

    /// What the sandbox did when it had ended.
    pub(crate) fn beside(&mut self, notes: &[String]) {
        for note in notes {
            self.denied(note, format!("sandbox: {note}"));
        }
    }

    /// Files and bounds, by what it said.
    pub(crate) async fn denials(&mut self, sandbox: Arc<Sandbox>, mode: Mode, status: Status, output: &str) {
        let (dir, stays, output) = (self.dir.clone(), self.stays, output.to_owned());
        // It may have to look at the machine.
        let look = move || {
            let ran = Ran { status, output: &output, dir: &dir, stays };
            codetether_sandbox::denials(&sandbox.policy(mode), &ran)
        };
        for denial in tokio::task::spawn_blocking(look).await.unwrap_or_default() {
            self.denied(&denial.what, denial.note);
        }
    }

    fn note(&mut self, note: String) {
        if self.notes.len() < NOTES && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

/// Records a run; an error says what went wrong.
pub(crate) async fn record(audit: Audit, entry: Entry) -> Result<(), String> {
    // It waits for others that record.
    let recorded = tokio::task::spawn_blocking(move || audit.add(&entry)).await;
    recorded.map_err(|error| error.to_string())?.map_err(|fault| format!("{}: {}", fault.step, fault.cause))
}

/// Whether a command runs where it starts, as far as its words tell.
fn stays(argv: &[String]) -> bool {
    let words = argv.iter().flat_map(|argument| {
        argument.split(|letter: char| letter.is_whitespace() || matches!(letter, ';' | '&' | '|' | '(' | ')'))
    });
    words.into_iter().all(|word| !["cd", "pushd", "-C", "chdir", "make", "env"].contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_goes_elsewhere_is_known_by_its_words() {
        let words = |program: &str| ["bash", "-c", program].map(str::to_owned);
        assert!(stays(&words("cat x; touch .git/config")));
        for program in ["cd a && cat x", "(cd a;cat x)", "git -C a status", "true;pushd a"] {
            assert!(!stays(&words(program)), "{program}");
        }
    }
}
