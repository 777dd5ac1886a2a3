//! One owner at a time, and everyone else hears who it is. The kernel drops the lock when its owner ends, however
//! it ends; the file stays.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::Pid;

use crate::{Error, open_append};

/// How long an owner in this very process may take to let go: another thread may be at it, and a process that is just
/// being started holds a copy of what we held until it is.
const PATIENCE: Duration = Duration::from_millis(200);

/// How long what such a process holds of an owner that has ended meanwhile is waited for.
const LEFT_BEHIND: Duration = Duration::from_secs(2);

/// Most bytes of an owner's name that are read back.
const OWNER_MAX: u64 = 256;

/// Exclusive ownership of what a file stands for, until dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Someone has it.
    #[error("`{}` is in use by {owner}", path.display())]
    Held {
        /// Process id, and what the owner wrote about itself.
        owner: String,
        /// The file.
        path: PathBuf,
    },
    /// The file could not be used.
    #[error(transparent)]
    File(#[from] Error),
}

impl Lock {
    /// Takes the lock and writes `owner` (one line) beside this process's id into the file, for others to read. Another
    /// process is not waited for, an owner in this one or one that has just been killed for a moment.
    ///
    /// # Errors
    /// [`LockError::Held`] when another has it, be it in this process.
    pub fn acquire(path: impl AsRef<Path>, owner: &str) -> Result<Self, LockError> {
        let path = path.as_ref();
        let asked = Instant::now();
        loop {
            let mut file = open_append(path, 0o600)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::AGAIN) => {
                    let owner = owner_of(file);
                    if asked.elapsed() < patience(&owner) {
                        std::thread::sleep(Duration::from_millis(1));
                        continue;
                    }
                    return Err(LockError::Held { owner, path: path.to_owned() });
                }
                Err(error) => return Err(Error::new("lock", path, error).into()),
            }
            // Whoever had it may have removed the file in the meantime: then this is a lock on nothing.
            if is_at(&file, path).map_err(Error::of("lock", path))? {
                let line = format!("process {} ({})\n", std::process::id(), owner.replace('\n', " "));
                file.set_len(0)
                    .and_then(|()| file.write_all(line.as_bytes()))
                    .map_err(Error::of("write", path))?;
                return Ok(Self { _file: file });
            }
        }
    }
}

/// How long to wait for this owner.
fn patience(owner: &str) -> Duration {
    let id = owner.strip_prefix("process ").and_then(|rest| rest.split_once(' ')?.0.parse().ok());
    match id.and_then(Pid::from_raw) {
        Some(id) if id == rustix::process::getpid() => PATIENCE,
        Some(id) if rustix::process::test_kill_process(id) == Err(Errno::SRCH) => LEFT_BEHIND,
        _ => Duration::ZERO,
    }
}

fn owner_of(mut file: File) -> String {
    let mut text = Vec::new();
    let read = file.rewind().and_then(|()| file.take(OWNER_MAX).read_to_end(&mut text));
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    if read.is_err() || text.is_empty() { "another process".to_owned() } else { text }
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(there) => Ok((ours.dev(), ours.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_owner_is_refused_and_hears_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let lock = Lock::acquire(&path, "the\nfirst").unwrap();
        let refused = Lock::acquire(&path, "the second").unwrap_err();
        let owner = format!("process {} (the first)", std::process::id());
        assert_eq!(refused.to_string(), format!("`{}` is in use by {owner}", path.display()));
        drop(lock);
        Lock::acquire(&path, "the second").unwrap();
    }

    #[test]
    fn an_owner_in_this_process_that_lets_go_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let lock = Lock::acquire(&path, "first").unwrap();
        let second = std::thread::spawn({
            let path = path.clone();
            move || Lock::acquire(path, "second").map(drop)
        });
        drop(lock);
        second.join().unwrap().unwrap();
    }

    #[test]
    fn what_an_owner_that_was_killed_left_behind_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let mut gone = std::process::Command::new("true").spawn().unwrap();
        gone.wait().unwrap();
        let lock = Lock::acquire(&path, "it").unwrap();
        std::fs::write(&path, format!("process {} (it)\n", gone.id())).unwrap();
        let second = std::thread::spawn({
            let path = path.clone();
            move || Lock::acquire(path, "second").map(drop)
        });
        std::thread::sleep(PATIENCE * 2);
        drop(lock);
        second.join().unwrap().unwrap();
    }

    #[test]
    fn a_lock_on_a_removed_file_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let _old = Lock::acquire(&path, "old").unwrap();
        std::fs::remove_file(&path).unwrap();
        let _new = Lock::acquire(&path, "new").unwrap();
        assert!(matches!(Lock::acquire(&path, "third"), Err(LockError::Held { .. })));
    }
}
