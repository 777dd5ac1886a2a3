//! Later looks at places that can be written: before each further command of a kept sandbox, and after every command.
//! Only folders that have changed are read again; of all others the kernel is asked whether they have. Repositories are
//! guarded as they are now: git outside may have put other settings in the place of those that were mounted over.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, lstat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::time::{ClockId, clock_gettime};

use super::fault::Fault;
use super::repository::{self, Wanted};
use super::survey::{Mask, Pin};
use super::walk::{MOST_UNSEEN, Manner, Walk};

/// The clock of file systems ticks this often at least, in nanoseconds: two changes within a tick look like one.
const TICK: i64 = 20_000_000;

/// Which folder it was, and when something in it was last made, renamed or removed. Programs can set other times, not
/// this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    id: (u64, u64),
    changed: (i64, i64),
    /// Whether a change after this would show.
    sure: bool,
}

impl Stamp {
    /// To be taken before the folder is read.
    pub(super) fn of(path: &Path) -> Self {
        let now = clock_gettime(ClockId::Realtime);
        let Ok(stat) = lstat(path) else { return Self { id: (0, 0), changed: (0, 0), sure: false } };
        let changed = (stat.st_ctime, stat.st_ctime_nsec.cast_signed());
        let passed = now.tv_sec.saturating_sub(changed.0).saturating_mul(1_000_000_000);
        let passed = passed.saturating_add(now.tv_nsec).saturating_sub(changed.1);
        Self { id: (stat.st_dev, stat.st_ino), changed, sure: passed > TICK }
    }
}

/// A folder that was looked into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) stamp: Stamp,
    pub(super) manner: Manner,
    /// How many entries it had.
    pub(super) entries: usize,
    /// What it is in.
    pub(super) place: PathBuf,
}

/// What has to be guarded now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) pins: Vec<Pin>,
    pub(crate) masks: Vec<Mask>,
    pub(crate) wanted: Vec<Wanted>,
    /// All of it: what must not be there after a command ran.
    pub(crate) unwanted: Vec<PathBuf>,
}

/// What a command made of repositories.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct NewRepositories {
    /// Folders that git keeps something of a repository in.
    pub(crate) git_dirs: Vec<PathBuf>,
    /// What leads git to where no repositories are looked for, or cannot be followed here, and perhaps outside.
    pub(crate) strays: Vec<PathBuf>,
    /// What holds so much that it was not looked at.
    pub(crate) unsearched: Vec<PathBuf>,
}

impl Walk {
    /// Looks again.
    ///
    /// # Errors
    /// When so much was not looked at that nothing may run.
    pub(crate) fn again(&mut self) -> Result<News, Fault> {
        self.look_again();
        self.follow_pointers();
        for git_dir in self.repositories.keys().cloned().collect::<Vec<_>>() {
            self.guard_repository(&git_dir);
            self.guard_common(&git_dir);
        }
        for place in self.places.clone() {
            self.startup(&place);
        }
        self.freeze_unseen()?;
        self.follow_links();
        self.learn_repositories();
        Ok(News {
            pins: std::mem::take(&mut self.pins),
            masks: std::mem::take(&mut self.masks)
                .into_iter()
                .filter(|mask| !is_left_behind(&mask.path))
                .collect(),
            wanted: std::mem::take(&mut self.wanted),
            unwanted: std::mem::take(&mut self.unwanted),
        })
    }

    /// What was not seen is read-only; where there is much of it, what it is in.
    fn freeze_unseen(&mut self) -> Result<(), Fault> {
        let mut unseen = self.unseen.clone();
        while unseen.len() > MOST_UNSEEN {
            unseen = unseen.iter().filter_map(|path| path.parent()).map(Path::to_owned).collect();
            if self.places.iter().any(|place| unseen.contains(place)) {
                return Err(Fault::new(
                    "looking for repositories that have come into the workspace",
                    "so many files have come that most of them were not looked at",
                )
                .with_cure("remove some of them, start in a smaller folder, or use `--mode read-only`"));
            }
        }
        let why = "not looked at before the command ran: so many files have come into the workspace";
        self.pins.extend(unseen.iter().map(|path| Pin::frozen(path, why)));
        Ok(())
    }

    /// Looks into folders that have changed, and into new ones.
    fn look_again(&mut self) {
        let (mut changed, mut gone) = (Vec::new(), Vec::new());
        for (path, look) in &self.looked {
            let stamp = Stamp::of(path);
            if stamp.id == (0, 0) {
                gone.push(path.clone());
            } else if !look.stamp.sure || (stamp.id, stamp.changed) != (look.stamp.id, look.stamp.changed) {
                changed.push((path.clone(), look.manner, look.place.clone()));
            }
        }
        for path in gone {
            if let Some(look) = self.looked.remove(&path) {
                self.seen = self.seen.saturating_sub(look.entries);
            }
        }
        self.unseen.retain(|path| path.symlink_metadata().is_ok());
        self.pointers.retain(|path| path.symlink_metadata().is_ok_and(|meta| !meta.is_dir()));
        self.repositories.retain(|path, _| path.is_dir());
        for (path, manner, place) in changed {
            self.look(VecDeque::from([(path, manner)]), &place);
        }
    }

    /// Guards the repositories that `.git` files and links lead to, wherever in the places those are: git follows them there.
    pub(super) fn follow_pointers(&mut self) {
        let mut found = Vec::new();
        let mut covered: BTreeSet<PathBuf> = self.repositories.keys().cloned().collect();
        for git_dir in self.repositories.keys() {
            covered.extend(repository::modules(&git_dir.join("modules")));
        }
        for pointer in &self.pointers {
            let Some(git_dir) = self.led_to(pointer) else { continue };
            match repository::common(&git_dir) {
                Some(common) => {
                    // A linked worktree's own folder is guarded with the repository, where git puts it.
                    if git_dir.parent() != Some(&common.join("worktrees")) {
                        self.pins.extend(repository::guard_admin(&git_dir, &mut self.wanted));
                        found.push((git_dir, None));
                    }
                    found.push((common, None));
                }
                None => found.push((git_dir, pointer.parent().map(Path::to_owned))),
            }
        }
        for (git_dir, top) in found {
            let Some(place) = self.places.iter().find(|place| git_dir.starts_with(place)).cloned() else {
                continue;
            };
            self.held_above(git_dir.parent().unwrap_or(&place), &place);
            if repository::common(&git_dir).is_none() && covered.insert(git_dir.clone()) {
                self.repository(&git_dir, top.as_deref(), vec![place]);
            }
        }
    }

    /// Where a `.git` file or link leads, where that is in one of the places.
    pub(super) fn led_to(&self, pointer: &Path) -> Option<PathBuf> {
        let git_dir =
            if pointer.is_symlink() { pointer.canonicalize().ok() } else { repository::pointed_at(pointer) };
        git_dir.filter(|path| path.is_dir() && self.places.iter().any(|place| path.starts_with(place)))
    }

    /// Remembers which repositories there are, by what they are and not by where.
    pub(super) fn learn_repositories(&mut self) {
        let git_dirs = self.git_dirs();
        self.known = git_dirs.iter().chain(&self.leads(&git_dirs)).filter_map(|path| id(path)).collect();
    }

    /// What of repositories nobody knew when the last look ended; it is as new to the next.
    pub(crate) fn new_repositories(&mut self) -> NewRepositories {
        let (known, unseen) = (self.known.clone(), self.unseen.clone());
        self.look_again();
        let beyond: Vec<PathBuf> = self.unseen.difference(&unseen).cloned().collect();
        let unsearched = beyond.into_iter().filter(|path| !self.search(path)).collect();
        // What was guarded is the next look's.
        (self.pins, self.masks) = (Vec::new(), Vec::new());
        (self.wanted, self.unwanted) = (Vec::new(), Vec::new());
        NewRepositories { unsearched, ..self.news_of(&known) }
    }

    /// What there is of repositories that is not among these.
    pub(super) fn news_of(&self, known: &BTreeSet<(u64, u64)>) -> NewRepositories {
        let is_new = |path: &PathBuf| id(path).is_some_and(|id| !known.contains(&id));
        let all = self.git_dirs();
        let mut strays = self.leads(&all);
        strays.retain(|lead| is_new(lead) && !self.leads_well(lead));
        NewRepositories { git_dirs: all.into_iter().filter(is_new).collect(), strays, unsearched: Vec::new() }
    }

    /// What leads git from one folder to another: `.git` files and links, `commondir`, links in the place of `modules`.
    fn leads(&self, git_dirs: &BTreeSet<PathBuf>) -> Vec<PathBuf> {
        let of_git_dirs = git_dirs.iter().flat_map(|git_dir| {
            let modules = Some(git_dir.join("modules")).filter(|path| path.is_symlink());
            [Some(git_dir.join("commondir")).filter(|path| path.symlink_metadata().is_ok()), modules]
        });
        self.pointers.iter().cloned().chain(of_git_dirs.flatten()).collect()
    }

    /// Whether it leads to where repositories are looked for, as git reads it.
    fn leads_well(&self, lead: &Path) -> bool {
        let within = |path: PathBuf| path.is_dir() && self.places.iter().any(|place| path.starts_with(place));
        match lead.file_name() {
            Some(name) if name == "commondir" => {
                lead.parent().and_then(repository::common).is_some_and(within)
            }
            Some(name) if name == "modules" => false,
            _ => self.led_to(lead).is_some(),
        }
    }

    /// All folders that git keeps something of a repository in, and reads settings or hooks from.
    fn git_dirs(&self) -> BTreeSet<PathBuf> {
        let mut all = BTreeSet::new();
        let within = |path: &PathBuf| self.places.iter().any(|place| path.starts_with(place));
        for git_dir in self.repositories.keys() {
            for git_dir in repository::common(git_dir).filter(within).iter().chain([git_dir]) {
                all.extend(repository::modules(&git_dir.join("modules")));
                all.insert(git_dir.clone());
            }
        }
        for pointer in &self.pointers {
            let Some(git_dir) = self.led_to(pointer) else { continue };
            if let Some(common) = repository::common(&git_dir).filter(within) {
                all.extend(repository::modules(&common.join("modules")));
                all.insert(common);
            }
            all.extend(repository::modules(&git_dir.join("modules")));
            all.insert(git_dir);
        }
        all
    }
}

/// Whether it is a socket that nobody listens at: a command left it behind, and another has to be able to take it away.
fn is_left_behind(path: &Path) -> bool {
    let is_socket = lstat(path).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Socket);
    let Ok(address) = SocketAddrUnix::new(path) else { return false };
    is_socket
        && [SocketType::STREAM, SocketType::DGRAM, SocketType::SEQPACKET].into_iter().all(|kind| {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let Ok(socket) = socket_with(AddressFamily::UNIX, kind, flags, None) else { return false };
            matches!(connect(&socket, &address), Err(Errno::CONNREFUSED | Errno::PROTOTYPE | Errno::NOENT))
        })
}

fn id(path: &Path) -> Option<(u64, u64)> {
    lstat(path).ok().map(|stat| (stat.st_dev, stat.st_ino))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests set up files as a person would")]
mod tests {
    use super::*;
    use crate::launch::policy::{Mode, Policy};
    use crate::launch::survey::Survey;
    use crate::launch::walk;

    fn walked(root: &Path) -> Walk {
        let policy = Policy::new(Mode::WorkspaceWrite, root).unwrap();
        let mut survey = Survey { home: "/home/ada".into(), ..Survey::default() };
        walk::guard(&policy, &mut survey);
        survey.walk
    }

    fn repository(path: PathBuf) {
        std::fs::create_dir_all(path.join("refs")).unwrap();
        std::fs::create_dir_all(path.join("objects")).unwrap();
        std::fs::write(path.join("HEAD"), "ref: refs/heads/main\n").unwrap();
        std::fs::write(path.join("config"), "[core]\n\tbare = false\n").unwrap();
    }

    #[test]
    fn what_has_come_is_guarded_and_all_repositories_are_guarded_anew() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        repository(root.join("old/.git"));
        std::fs::create_dir_all(root.join("a/b/c")).unwrap();
        let mut walk = walked(&root);
        let frozen =
            |news: &News, path: &str| news.pins.iter().any(|pin| pin.frozen && pin.path == root.join(path));
        let news = walk.again().unwrap();
        assert!(frozen(&news, "old/.git/config") && !frozen(&news, "a/b/c/.git/config"));

        repository(root.join("a/b/c/.git"));
        repository(root.join("node_modules/x/.git"));
        std::fs::create_dir(root.join("a/.vscode")).unwrap();
        std::fs::write(root.join("a/.netrc"), "").unwrap();
        let news = walk.again().unwrap();
        for path in ["old/.git/config", "a/b/c/.git/config", "node_modules/x/.git/hooks", "a/.vscode"] {
            assert!(frozen(&news, path), "{path}: {news:?}");
        }
        assert!(news.pins.iter().any(|pin| !pin.frozen && pin.path == root.join("a/b")));
        assert_eq!(news.masks.iter().map(|mask| &mask.path).collect::<Vec<_>>(), [&root.join("a/.netrc")]);

        std::fs::remove_dir_all(root.join("a")).unwrap();
        let news = walk.again().unwrap();
        assert!(!frozen(&news, "a/b/c/.git/config") && frozen(&news, "old/.git/config"));
    }

    #[test]
    fn a_folder_in_the_place_of_another_is_looked_into() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        let mut walk = walked(&root);
        repository(root.join("other/b/.git"));
        std::fs::rename(root.join("a"), root.join("gone")).unwrap();
        std::fs::rename(root.join("other"), root.join("a")).unwrap();
        let news = walk.again().unwrap();
        assert!(news.pins.iter().any(|pin| pin.path == root.join("a/b/.git/hooks")));
    }

    #[test]
    fn what_a_file_leads_to_is_guarded_wherever_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let hidden = root.join("node_modules/a/b/c");
        repository(hidden.join("g"));
        repository(hidden.join("common"));
        std::fs::create_dir_all(hidden.join("own")).unwrap();
        std::fs::write(hidden.join("own/commondir"), "../common\n").unwrap();
        for (tree, target) in [("one", "g"), ("two", "own")] {
            std::fs::create_dir(root.join(tree)).unwrap();
            std::fs::write(root.join(tree).join(".git"), format!("gitdir: ../node_modules/a/b/c/{target}\n"))
                .unwrap();
        }
        let policy = Policy::new(Mode::WorkspaceWrite, &root).unwrap();
        let mut survey = Survey { home: "/home/ada".into(), ..Survey::default() };
        walk::guard(&policy, &mut survey);
        let again = survey.walk.again().unwrap();
        for pins in [survey.pins, again.pins] {
            for path in ["g/config", "g/hooks", "common/config", "own/commondir", "own/config.worktree"] {
                assert!(pins.iter().any(|pin| pin.frozen && pin.path == hidden.join(path)), "{path}");
            }
        }
        assert!(!again.unwanted.contains(&hidden.join("own/commondir")), "it is what makes it a worktree");
    }

    #[test]
    fn a_socket_that_a_command_left_behind_is_in_nobodys_way() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let mut walk = walked(&root);
        let _listens = std::os::unix::net::UnixListener::bind(root.join("listens")).unwrap();
        let _hears = std::os::unix::net::UnixDatagram::bind(root.join("hears")).unwrap();
        drop(std::os::unix::net::UnixListener::bind(root.join("left")).unwrap());
        let mut masked: Vec<_> = walk.again().unwrap().masks.into_iter().map(|mask| mask.path).collect();
        masked.sort();
        assert_eq!(masked, [root.join("hears"), root.join("listens")]);
    }

    #[test]
    fn where_very_much_has_come_what_it_is_in_is_read_only() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let mut walk = walked(&root);
        walk.reach.depth = 2;
        for number in 0..=MOST_UNSEEN {
            std::fs::create_dir_all(root.join(format!("a/b/c-{number}/d"))).unwrap();
        }
        let frozen: Vec<_> = walk.again().unwrap().pins.into_iter().filter(|pin| pin.frozen).collect();
        assert_eq!(frozen.iter().map(|pin| &pin.path).collect::<Vec<_>>(), [&root.join("a/b")]);
        walk.reach.depth = 0;
        for number in 0..=MOST_UNSEEN {
            std::fs::create_dir_all(root.join(format!("top-{number}"))).unwrap();
        }
        assert!(walk.again().is_err());
    }

    #[test]
    fn a_repository_is_new_once_and_one_that_was_moved_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        repository(root.join("old/.git"));
        let walk = walked(&root);
        std::fs::rename(root.join("old"), root.join("moved")).unwrap();
        repository(root.join("deep/new/.git"));
        repository(root.join("moved/.git/modules/m"));
        repository(root.join("node_modules/a/b/c/hidden"));
        std::fs::create_dir(root.join("pointing")).unwrap();
        std::fs::write(root.join("pointing/.git"), "gitdir: ../node_modules/a/b/c/hidden\n").unwrap();
        let new = ["deep/new/.git", "moved/.git/modules/m", "node_modules/a/b/c/hidden"];
        let mut after = walk.clone();
        let found = after.new_repositories();
        assert_eq!(found.strays, Vec::<PathBuf>::new());
        assert_eq!(found.git_dirs, new.map(|path| root.join(path)));
        let mut next = walk.clone();
        next.again().unwrap();
        assert_eq!(next.new_repositories(), NewRepositories::default());
    }
}
