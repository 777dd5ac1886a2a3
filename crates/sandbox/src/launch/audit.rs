//! One line of JSON for each run, in a file of the owner's that does not grow for ever. Says what was asked, how it ended
//! and what it was denied; of the command only a hash, as its arguments may hold anything.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::Outcome;
use super::fault::Fault;
use super::policy::{Policy, Tier};
use super::wire::Report;
use crate::Status;

/// Longest file, in bytes; then it is put aside as `….1`, in place of the one before.
const LONGEST: u64 = 8 << 20;

/// Where runs are recorded.
#[derive(Debug, Clone)]
pub struct Audit {
    file: PathBuf,
}

/// Most that is recorded of what one run was denied, and of each of that, in bytes.
const DENIED: usize = 20;
const DENIED_LENGTH: usize = 1024;

/// One run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When it began, in milliseconds since 1970.
    pub time: u64,
    /// The session that it was run in, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The call of that session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// What names its policy; none where it was not confined.
    pub policy: Option<String>,
    /// What could be written at all.
    pub mode: String,
    /// By what it was confined; none where it was not.
    pub tier: Option<String>,
    /// The workspace.
    pub root: String,
    /// A hash of the arguments.
    pub argv: String,
    /// What it exited with; none where nothing ran.
    pub exit: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// How long it ran.
    pub ms: u64,
    /// What was denied, as far as that is known.
    pub denied: Vec<String>,
}

impl Entry {
    /// A run that begins now, of nothing confined so far.
    #[must_use]
    pub fn begun(root: &Path, argv: &[OsString]) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            time: whole_millis(now),
            mode: super::Mode::Unconfined.as_str().to_owned(),
            root: root.to_string_lossy().into_owned(),
            argv: hash(argv),
            ..Self::default()
        }
    }

    /// What it is confined by.
    pub fn confined(&mut self, policy: &Policy, tier: Option<Tier>) {
        self.policy = Some(policy.hash());
        policy.mode.as_str().clone_into(&mut self.mode);
        self.tier = tier.map(|tier| tier.as_str().to_owned());
    }

    /// How it ended.
    pub fn ended(&mut self, status: Status, took: Duration) {
        self.ms = whole_millis(took);
        match status {
            Status::Code(code) => self.exit = Some(code),
            Status::Signal(signal) => self.signal = Some(signal),
            Status::TimedOut => {
                self.signal = Some(libc::SIGTERM);
                self.denied("a longer run");
            }
            Status::Cancelled => self.signal = Some(libc::SIGTERM),
        }
    }

    /// Something that it was denied.
    pub fn denied(&mut self, what: &str) {
        if self.denied.len() < DENIED {
            self.denied.push(what.get(..what.floor_char_boundary(DENIED_LENGTH)).unwrap_or(what).to_owned());
        }
    }
}

impl Audit {
    /// In this file of the program's own, which no sandbox shows.
    #[must_use]
    pub fn own(file: PathBuf) -> Self {
        Self { file }
    }

    /// In this file, unless a command with this policy could write it.
    ///
    /// # Errors
    /// When it could, or when the folder is not there.
    pub fn new(file: &Path, policy: &Policy) -> Result<Self, Fault> {
        let doing = || format!("keeping a record in `{}`", file.display());
        let file = std::path::absolute(file).map_err(|error| Fault::of(doing(), error))?;
        let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else {
            return Err(Fault::new(doing(), "that is no file"));
        };
        let folder = folder.canonicalize().map_err(|error| Fault::of(doing(), error))?;
        let mut writable = policy.writable.iter().map(|grant| &grant.path).chain([&policy.root]);
        if policy.writes() && writable.any(|place| folder.starts_with(place)) {
            return Err(Fault::new(doing(), "the command could change it")
                .with_cure("name a file outside of the workspace"));
        }
        Ok(Self { file: folder.join(name) })
    }

    /// Adds a run.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&self, entry: &Entry) -> Result<(), Fault> {
        let json =
            serde_json::to_string(entry).map_err(|error| Fault::new("recording a run", error.to_string()))?;
        self.append(&json)
            .map_err(|error| Fault::of(format!("recording a run in `{}`", self.file.display()), error))
    }

    /// Records a run that has ended.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn record(
        &self,
        policy: &Policy,
        tier: Option<Tier>,
        argv: &[OsString],
        took: Duration,
        outcome: &Result<Outcome, Fault>,
    ) -> Result<(), Fault> {
        let mut entry = Entry::begun(&policy.root, argv);
        entry.time = entry.time.saturating_sub(whole_millis(took));
        entry.confined(policy, tier);
        entry.ms = whole_millis(took);
        match outcome {
            Ok(outcome) => {
                outcome.notes.iter().for_each(|note| entry.denied(note));
                match &outcome.report {
                    Report::Code(code) => entry.ended(Status::Code(*code), took),
                    Report::Signal(signal) => entry.ended(Status::Signal(*signal), took),
                    Report::TimeUp => entry.ended(Status::TimedOut, took),
                    Report::NotRun { code, cause } => {
                        entry.ended(Status::Code(*code), took);
                        entry.denied(&format!("running the command: {cause}"));
                    }
                    Report::Failed(fault) => entry.denied(&fault.to_string()),
                    Report::Ready | Report::WayOut | Report::Terminal | Report::Note(_) => {}
                }
            }
            Err(fault) => entry.denied(&fault.to_string()),
        }
        self.add(&entry)
    }

    fn append(&self, line: &str) -> io::Result<()> {
        let other = |error: codetether_files::Error| io::Error::other(error.to_string());
        // Another process may put the file aside between the opening and the lock.
        for _ in 0..8 {
            let mut file = codetether_files::open_append(&self.file, 0o600).map_err(other)?;
            flock(&file, FlockOperation::LockExclusive)?;
            let here = rustix::fs::fstat(&file)?;
            if rustix::fs::stat(&self.file).is_ok_and(|there| there.st_ino != here.st_ino) {
                continue;
            }
            if here.st_size.cast_unsigned() > LONGEST {
                let mut aside = self.file.clone().into_os_string();
                aside.push(".1");
                codetether_files::rename(&self.file, &aside).map_err(other)?;
                continue;
            }
            return file.write_all(format!("{line}\n").as_bytes());
        }
        Err(io::Error::other("it is put aside again and again"))
    }
}

fn whole_millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Of the arguments, each ended by a NUL.
fn hash(argv: &[OsString]) -> String {
    let mut hasher = blake3::Hasher::new();
    for argument in argv {
        hasher.update(argument.as_bytes()).update(b"\0");
    }
    hasher.finalize().to_hex()[..16].to_owned()
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests set up files as a person would")]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::launch::policy::Mode;

    fn record(audit: &Audit, policy: &Policy) {
        let outcome = Ok(Outcome { report: Report::Code(3), notes: vec!["x".into()] });
        let argv = ["sh".into(), "-c".into(), "secret".into()];
        audit.record(policy, Some(Tier::Namespaces), &argv, Duration::from_millis(5), &outcome).unwrap();
    }

    #[test]
    fn a_run_is_one_line_that_only_the_owner_reads() {
        let (place, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let policy = Policy::new(Mode::WorkspaceWrite, root.path()).unwrap();
        let file = place.path().join("audit");
        record(&Audit::new(&file, &policy).unwrap(), &policy);
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text.lines().count(), 1);
        assert!(!text.contains("secret"), "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&line["exit"], &line["ms"], &line["denied"], &line["policy"]),
            (&3.into(), &5.into(), &serde_json::json!(["x"]), &policy.hash().into())
        );
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_long_file_is_put_aside() {
        let (place, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let policy = Policy::new(Mode::WorkspaceWrite, root.path()).unwrap();
        let file = place.path().join("audit");
        std::fs::write(&file, vec![b'x'; usize::try_from(LONGEST).unwrap() + 1]).unwrap();
        record(&Audit::new(&file, &policy).unwrap(), &policy);
        assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 1);
        assert_eq!(place.path().join("audit.1").metadata().unwrap().len(), LONGEST + 1);
    }

    #[test]
    fn what_the_command_could_write_is_no_record() {
        let root = tempfile::tempdir().unwrap();
        let policy = Policy::new(Mode::WorkspaceWrite, root.path()).unwrap();
        assert!(Audit::new(&root.path().join("audit"), &policy).is_err());
    }
}
