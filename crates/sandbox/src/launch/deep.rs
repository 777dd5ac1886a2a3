//! The slow look for repositories: among packages, however deep, where the look before each command sees no further than
//! the top. It is taken after a command, in nobody's way: in a kept sandbox the command has been told of as ended by
//! then. Nothing is remembered from one such look to the next; the kernel says what has changed since the sandbox began.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FlockOperation, MemfdFlags, StatxFlags, fcntl_lock, ftruncate, lstat, memfd_create, statx,
};
use rustix::io::{Errno, pread, pwrite};
use rustix::time::{ClockId, clock_gettime};

use super::again::{Known, NewRepositories, is_coarse};
use super::disarm;
use super::fault::{Doing, Fault};
use super::folder::Closed;
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

    /// Whether what is at this path has been changed, made or given this name since; also where nobody can tell.
    pub(super) fn changed(self, path: &Path) -> bool {
        match lstat(path) {
            Ok(stat) => self.is_until(stat.st_ctime, stat.st_ctime_nsec.cast_signed()),
            Err(errno) => !matches!(errno, Errno::NOENT | Errno::NOTDIR),
        }
    }

    /// The same for a folder, where what is in it is looked at by itself: whether it was made since.
    fn made(self, path: &Path) -> bool {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        match statx(CWD, path, flags, StatxFlags::BTIME) {
            Ok(seen) if StatxFlags::from_bits_retain(seen.stx_mask).contains(StatxFlags::BTIME) => {
                self.is_until(seen.stx_btime.tv_sec, seen.stx_btime.tv_nsec.into())
            }
            // Not all file systems know it.
            _ => self.changed(path),
        }
    }

    /// Whether this is not after a time of a file, which some file systems round down to two seconds.
    fn is_until(self, seconds: i64, nanoseconds: i64) -> bool {
        let slack = if is_coarse(nanoseconds) { 2 } else { 0 };
        self <= Self(seconds.saturating_add(slack), nanoseconds)
    }
}

impl Walk {
    /// What of repositories among packages has changed since then. Those that are guarded are not among them.
    pub(crate) fn deep_repositories(&self, since: Since) -> NewRepositories {
        let filled = self.looked.iter().filter(|(_, look)| look.manner == Manner::Filled);
        let filled: Vec<PathBuf> = filled.map(|(path, _)| path.clone()).collect();
        let mut deep = Self::default();
        (deep.home, deep.places) = (self.home.clone(), self.places.clone());
        deep.changed_below(&filled, &self.known, since)
    }

    fn changed_below(&mut self, folders: &[PathBuf], known: &Known, since: Since) -> NewRepositories {
        self.inside.closed = Closed::Opened(since);
        let unsearched: Vec<PathBuf> = folders.iter().filter(|path| !self.search(path)).cloned().collect();
        let mut new = self.news_of(known);
        let newly_led: Vec<PathBuf> = self
            .pointers
            .iter()
            .filter(|lead| since.changed(lead))
            .filter_map(|lead| self.led_to(lead))
            .collect();
        new.git_dirs.retain(|git_dir| newly_led.contains(git_dir) || has_changed(git_dir, since));
        new.strays.retain(|lead| since.changed(lead));
        new.links.retain(|link| since.changed(link));
        new.too_long.retain(|path| since.changed(path));
        new.startup.clear();
        new.unsearched.extend(unsearched);
        new
    }
}

/// Sets aside what is armed in folders that are no places, and has changed since. Gives what people should hear.
pub(crate) fn disarm_below(folders: &[PathBuf], since: Since) -> Vec<String> {
    let mut walk = Walk::default();
    walk.places = folders.to_vec();
    let new = walk.changed_below(folders, &Known::default(), since);
    // What leads out of them leads to where it is guarded, or to nothing of a command's.
    disarm::all(&NewRepositories { strays: Vec::new(), ..new })
}

/// Whether something that git could run or follow has changed there since.
fn has_changed(git_dir: &Path, since: Since) -> bool {
    let hooks = git_dir.join("hooks");
    let inside = std::fs::read_dir(&hooks).into_iter().flatten().flatten().map(|entry| entry.path());
    let parts = ["config", "config.worktree", "commondir", "modules", "worktrees"];
    let parts = parts.into_iter().map(|name| git_dir.join(name));
    // Its own time changes with all that git does there.
    since.made(git_dir) || parts.chain(inside).chain([hooks.clone()]).any(|path| since.changed(&path))
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
    fn a_time_that_a_slow_clock_gave_counts_two_seconds_longer() {
        let since = Since(10, 500);
        for (seconds, nanoseconds, is_later) in
            [(10, 501, true), (10, 499, false), (10, 0, true), (9, 20_000_000, true), (9, 999_999_999, false)]
        {
            assert_eq!(since.is_until(seconds, nanoseconds), is_later, "{seconds}.{nanoseconds}");
        }
        assert!(!since.is_until(8, 0));
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
