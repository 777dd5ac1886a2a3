//! One line of JSON for each run, in a file of the owner's that does not grow for ever. Says what was asked and how it
//! ended; of the command only a hash, as its arguments may hold anything.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, flock};
use serde::Serialize;

use super::Outcome;
use super::fault::Fault;
use super::policy::{Policy, Tier};
use super::wire::Report;

/// Longest file, in bytes; then it is put aside as `….1`, in place of the one before.
const LONGEST: u64 = 8 << 20;

/// Where runs are recorded.
#[derive(Debug, Clone)]
pub struct Audit {
    file: PathBuf,
}

/// One run.
#[derive(Debug, Clone, Serialize)]
struct Line<'a> {
    /// Milliseconds since 1970.
    time: u64,
    policy: String,
    mode: &'a str,
    tier: Option<&'a str>,
    root: String,
    /// Of the arguments.
    argv: String,
    /// What it exited with; none where nothing ran.
    exit: Option<i32>,
    signal: Option<i32>,
    ms: u64,
    /// What was denied, as far as that is known.
    denied: Vec<String>,
}

impl Audit {
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

    /// Records a run.
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
        let (exit, signal, denied) = match outcome {
            Ok(outcome) => {
                let mut denied = outcome.notes.clone();
                let (exit, signal) = match &outcome.report {
                    Report::Code(code) => (Some(*code), None),
                    Report::Signal(signal) => (None, Some(*signal)),
                    Report::TimeUp => {
                        denied.push("a longer run".to_owned());
                        (None, Some(libc::SIGTERM))
                    }
                    Report::NotRun { code, cause } => {
                        denied.push(format!("running the command: {cause}"));
                        (Some(*code), None)
                    }
                    Report::Failed(fault) => {
                        denied.push(fault.to_string());
                        (None, None)
                    }
                    Report::Ready | Report::WayOut | Report::Note(_) => (None, None),
                };
                (exit, signal, denied)
            }
            Err(fault) => (None, None, vec![fault.to_string()]),
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let line = Line {
            time: whole_millis(now),
            policy: policy.hash(),
            mode: policy.mode.as_str(),
            tier: tier.map(Tier::as_str),
            root: policy.root.to_string_lossy().into_owned(),
            argv: hash(argv),
            exit,
            signal,
            ms: whole_millis(took),
            denied,
        };
        let json =
            serde_json::to_string(&line).map_err(|error| Fault::new("recording a run", error.to_string()))?;
        self.append(&json)
            .map_err(|error| Fault::of(format!("recording a run in `{}`", self.file.display()), error))
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
