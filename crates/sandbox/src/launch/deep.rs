//! The slow look for repositories: among packages, however deep, where the look before each command sees no further than
//! the top. It is taken after a command, in nobody's way: in a kept sandbox the command has been told of as ended by
//! then. Nothing is remembered from one such look to the next; the kernel says what has changed since the sandbox began.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, MemfdFlags, fcntl_lock, ftruncate, lstat, memfd_create};
use rustix::io::{Errno, pread, pwrite};
use rustix::time::{ClockId, clock_gettime};

use super::again::NewRepositories;
use super::disarm;
use super::fault::{Doing, Fault};
use super::walk::{Manner, Walk};

/// Most bytes of notes that wait for the next command.
const NOTES: usize = 16 << 10;

/// A time as the kernel gives it to files: seconds and nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Since(i64, i64);

impl Since {
    /// What is changed from here on has this time or a later one. Programs cannot set it, nor this clock.
    pub(crate) fn now() -> Self {
        let now = clock_gettime(ClockId::RealtimeCoarse);
        Self(now.tv_sec, now.tv_nsec)
    }

    /// Whether what is at this path has been changed, made or given this name since.
    fn changed(self, path: &Path) -> bool {
        lstat(path).is_ok_and(|stat| Self(stat.st_ctime, stat.st_ctime_nsec.cast_signed()) >= self)
    }
}

impl Walk {
    /// What of repositories among packages has changed since then. Those that are guarded are not among them.
    pub(crate) fn deep_repositories(&self, since: Since) -> NewRepositories {
        let filled = self.looked.iter().filter(|(_, look)| look.manner == Manner::Filled);
        let mut deep = Self::default();
        (deep.home, deep.places) = (self.home.clone(), self.places.clone());
        let unsearched = filled.map(|(path, _)| path.clone()).filter(|path| !deep.search(path)).collect();
        let mut new = deep.news_of(&self.known);
        let newly_led: Vec<PathBuf> = deep
            .pointers
            .iter()
            .filter(|lead| since.changed(lead))
            .filter_map(|lead| deep.led_to(lead))
            .collect();
        new.git_dirs.retain(|git_dir| newly_led.contains(git_dir) || has_changed(git_dir, since));
        new.strays.retain(|lead| since.changed(lead));
        NewRepositories { unsearched, ..new }
    }
}

/// Whether something that git could run or follow has changed there since.
fn has_changed(git_dir: &Path, since: Since) -> bool {
    let hooks = git_dir.join("hooks");
    let inside = std::fs::read_dir(&hooks).into_iter().flatten().flatten().map(|entry| entry.path());
    let parts = ["config", "config.worktree", "commondir", "modules", "worktrees"];
    let parts = parts.into_iter().map(|name| git_dir.join(name));
    [git_dir.to_owned(), hooks.clone()]
        .into_iter()
        .chain(parts)
        .chain(inside)
        .any(|path| since.changed(&path))
}

/// Looks, and sets aside what is armed. Gives what people should hear.
pub(crate) fn disarm(seen: &Walk, since: Since) -> Vec<String> {
    disarm::all(&seen.deep_repositories(since))
}

/// What the slow looks of one kept sandbox share: the lock that lets one of them look at a time, when the last one that has
/// ended began, and what it found that nobody has been told of. In memory; the descriptor is never duplicated within one
/// process, since closing either would let the lock go.
#[derive(Debug)]
pub(crate) struct Turns(OwnedFd);

impl Turns {
    pub(crate) fn new() -> Result<Self, Fault> {
        memfd_create("looks", MemfdFlags::CLOEXEC).map(Self).doing(|| "making what slow looks share")
    }

    /// Looks, unless another look has begun since and ended.
    pub(crate) fn look(&self, seen: &Walk, since: Since) -> Result<(), Errno> {
        let asked = clock_gettime(ClockId::Monotonic);
        // This ends with this process, however that ends.
        fcntl_lock(&self.0, FlockOperation::LockExclusive)?;
        let (last, mut notes) = self.read()?;
        if last > (asked.tv_sec, asked.tv_nsec) {
            return fcntl_lock(&self.0, FlockOperation::Unlock);
        }
        let began = clock_gettime(ClockId::Monotonic);
        notes.extend(disarm(seen, since));
        self.write((began.tv_sec, began.tv_nsec), &notes)?;
        fcntl_lock(&self.0, FlockOperation::Unlock)
    }

    /// What looks have found since this was asked last; nothing while one is under way.
    pub(crate) fn notes(&self) -> Vec<String> {
        if fcntl_lock(&self.0, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Vec::new();
        }
        let found = self.read().and_then(|(began, notes)| {
            if !notes.is_empty() {
                self.write(began, &[])?;
            }
            Ok(notes)
        });
        let _ = fcntl_lock(&self.0, FlockOperation::Unlock);
        found.unwrap_or_default()
    }

    fn read(&self) -> Result<((i64, i64), Vec<String>), Errno> {
        let mut text = vec![0; NOTES];
        let mut length = 0;
        while let Some(rest) = text.get_mut(length..).filter(|rest| !rest.is_empty()) {
            match pread(&self.0, rest, length as u64) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        text.truncate(length);
        Ok(serde_json::from_slice(&text).unwrap_or_default())
    }

    fn write(&self, began: (i64, i64), notes: &[String]) -> Result<(), Errno> {
        let mut text = serde_json::to_vec(&(began, notes)).unwrap_or_default();
        if text.len() > NOTES {
            let more = format!("{} repositories among packages were disarmed", notes.len());
            text = serde_json::to_vec(&(began, [more])).unwrap_or_default();
        }
        ftruncate(&self.0, 0)?;
        // Memory takes all of so little at once.
        pwrite(&self.0, &text, 0).map(drop)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests set up files as a person would")]
mod tests {
    use super::*;
    use crate::launch::policy::{Mode, Policy};
    use crate::launch::survey::Survey;
    use crate::launch::walk;

    fn repository(path: &Path) {
        std::fs::create_dir_all(path.join("refs")).unwrap();
        std::fs::create_dir_all(path.join("objects")).unwrap();
        std::fs::write(path.join("HEAD"), "ref: refs/heads/main\n").unwrap();
        std::fs::write(path.join("config"), "[core]\n\tbare = false\n").unwrap();
    }

    /// A later time than all files have.
    fn later() -> Since {
        std::thread::sleep(std::time::Duration::from_millis(30));
        Since::now()
    }

    fn walked(root: &Path) -> Walk {
        let policy = Policy::new(Mode::WorkspaceWrite, root).unwrap();
        let mut survey = Survey { home: "/home/ada".into(), ..Survey::default() };
        walk::guard(&policy, &mut survey);
        survey.walk
    }

    #[test]
    fn what_has_changed_deep_among_packages_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let deep = root.join("node_modules/a/b/c");
        for name in ["old/.git", "set/.git", "hooked/.git", "led"] {
            repository(&deep.join(name));
        }
        std::fs::create_dir(deep.join("hooked/.git/hooks")).unwrap();
        repository(&root.join("node_modules/seen/.git"));
        let since = later();
        std::fs::write(deep.join("set/.git/config"), "[core]\n\tfsmonitor = x\n").unwrap();
        std::fs::write(deep.join("hooked/.git/hooks/post-commit"), "").unwrap();
        std::fs::create_dir_all(deep.join("d/e")).unwrap();
        std::fs::write(deep.join("d/.git"), "gitdir: ../led\n").unwrap();
        std::fs::write(deep.join("d/e/.git"), "gitdir: /nowhere\n").unwrap();
        repository(&deep.join("new/node_modules/x/y/z/.git"));
        std::fs::write(root.join("node_modules/seen/.git/config"), "").unwrap();
        let found = walked(&root).deep_repositories(since);
        let new = ["hooked/.git", "led", "new/node_modules/x/y/z/.git", "set/.git"];
        assert_eq!(found.git_dirs, new.map(|path| deep.join(path)));
        assert_eq!(found.strays, [deep.join("d/e/.git")]);
        assert_eq!(walked(&root).deep_repositories(later()), NewRepositories::default());
    }

    #[test]
    fn one_look_serves_all_who_asked_before_it_began() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let git_dir = root.join("target/a/b/c/.git");
        repository(&git_dir);
        std::fs::create_dir(git_dir.join("hooks")).unwrap();
        std::fs::write(git_dir.join("hooks/post-commit"), "").unwrap();
        let (walk, turns) = (walked(&root), Turns::new().unwrap());
        let ahead = clock_gettime(ClockId::Monotonic).tv_sec + 3600;
        turns.write((ahead, 0), &[]).unwrap();
        turns.look(&walk, Since(0, 0)).unwrap();
        assert!(turns.notes().is_empty());
        turns.write((0, 0), &[]).unwrap();
        turns.look(&walk, Since(0, 0)).unwrap();
        let notes = turns.notes();
        assert!(matches!(notes.as_slice(), [note] if note.contains("target/a/b/c/.git/hooks")), "{notes:?}");
        assert!(turns.notes().is_empty(), "each is told once");
        assert!(turns.read().unwrap().0 > (0, 0));
        let many: Vec<String> = (0..2_000).map(|number| format!("note {number}")).collect();
        turns.write((1, 0), &many).unwrap();
        assert_eq!(turns.read().unwrap().1, ["2000 repositories among packages were disarmed"]);
    }
}
