//! Later looks at places that can be written: before each further command of a kept sandbox, and after every command.
//! Only folders that have changed are read again; of all others the kernel is asked whether they have. Repositories are
//! guarded as they are now: git outside may have put other settings in the place of those that were mounted over.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, lstat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::time::{ClockId, clock_gettime};

use super::deep::Since;
use super::fault::Fault;
use super::folder::Closed;
use super::inside::Link;
use super::repository::{self, Wanted};
use super::survey::{Mask, Pin};
use super::walk::{MOST_UNSEEN, Manner, Walk};

/// The clock of file systems ticks this often at least, in nanoseconds: two changes within a tick look like one.
const TICK: i64 = 20_000_000;

/// That of some ticks every two seconds; their times are whole hundredths of a second at most.
const SLOW_TICK: i64 = 2_000_000_000;

/// Whether a time is one that a file system with a slow clock gives.
pub(super) fn is_coarse(nanoseconds: i64) -> bool {
    nanoseconds % 10_000_000 == 0
}

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
        let tick = if is_coarse(changed.1) { SLOW_TICK } else { TICK };
        Self { id: (stat.st_dev, stat.st_ino), changed, sure: passed > tick }
    }

    /// Whether nothing has changed until a later one was taken.
    pub(super) fn is_still(&self, later: &Self) -> bool {
        self.sure && (self.id, self.changed) == (later.id, later.changed)
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
    /// Links in the folders of repositories, by which git would write elsewhere.
    pub(crate) links: Vec<PathBuf>,
    /// What is run when somebody logs in or opens a shell.
    pub(crate) startup: Vec<PathBuf>,
    /// Folders whose path is so long that nobody looks into them.
    pub(crate) too_long: Vec<PathBuf>,
    /// What holds so much that it was not looked at.
    pub(crate) unsearched: Vec<PathBuf>,
}

/// What was there before a command ran, by what it is and not by where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// Repositories, and what leads to them.
    ids: BTreeSet<Id>,
    /// What led to where repositories are looked for.
    led_well: BTreeSet<Id>,
    links: BTreeSet<Link>,
    /// Folders that were not looked into.
    unseen: BTreeSet<Id>,
    unfinished: BTreeSet<PathBuf>,
    /// What is run at a log-in, and was not there.
    absent: Vec<PathBuf>,
}

type Id = (u64, u64);

/// Whether other commands run while a look is taken: what they have made by then is not known until they have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beside {
    Nobody,
    Others,
}

/// Repositories, and what was found in them.
#[derive(Debug, Default)]
struct All {
    git_dirs: BTreeSet<PathBuf>,
    links: Vec<(PathBuf, Link)>,
    too_long: BTreeSet<PathBuf>,
    unfinished: BTreeSet<PathBuf>,
}

impl Walk {
    /// Looks again.
    ///
    /// # Errors
    /// When so much was not looked at that nothing may run.
    pub(crate) fn again(&mut self, beside: Beside) -> Result<News, Fault> {
        self.look_again();
        self.follow_pointers();
        for git_dir in self.repositories.keys().cloned().collect::<Vec<_>>() {
            self.guard_repository(&git_dir);
            self.guard_common(&git_dir);
        }
        for place in self.places.clone() {
            self.startup(&place);
        }
        self.global_again();
        self.freeze_unseen()?;
        self.follow_links();
        if beside == Beside::Nobody {
            self.learn();
        }
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
        self.freeze(&unseen, why);
        Ok(())
    }

    /// Looks into folders that have changed, and into new ones.
    fn look_again(&mut self) {
        self.inside.begin();
        let (mut changed, mut gone) = (Vec::new(), Vec::new());
        for (path, look) in &self.looked {
            let stamp = Stamp::of(path);
            if stamp.id == (0, 0) {
                gone.push(path.clone());
            } else if !look.stamp.is_still(&stamp) {
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
            covered.extend(self.inside.of(git_dir).git_dirs);
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
        let within: Vec<&Path> = self.places.iter().map(PathBuf::as_path).collect();
        let written = self.leads(&covered).into_iter().filter_map(|lead| repository::written(&lead));
        let links =
            written.flat_map(|path| repository::links_to(&path, &within, "a repository is found by it"));
        self.pins.extend(links.collect::<Vec<_>>());
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

    /// Remembers what there is.
    pub(super) fn learn(&mut self) {
        let all = self.git_dirs();
        let leads = self.leads(&all.git_dirs);
        self.known = Known {
            ids: ids(all.git_dirs.iter().chain(&leads)),
            led_well: ids(leads.iter().filter(|lead| self.leads_well(lead))),
            links: all.links.into_iter().map(|(_, link)| link).collect(),
            unseen: ids(self.unseen.iter().chain(&all.too_long)),
            unfinished: all.unfinished,
            absent: self.absent_at_startup(),
        };
    }

    /// What of repositories nobody knew when the last look ended; it is as new to the next.
    pub(crate) fn new_repositories(&mut self, since: Since) -> NewRepositories {
        let known = std::mem::take(&mut self.known);
        self.inside.closed = Closed::Opened(since);
        self.look_again();
        let beyond: Vec<PathBuf> =
            self.unseen.iter().filter(|path| is_new(path, &known.unseen)).cloned().collect();
        let unsearched: Vec<PathBuf> = beyond.into_iter().filter(|path| !self.search(path)).collect();
        // What was guarded is the next look's.
        (self.pins, self.masks) = (Vec::new(), Vec::new());
        (self.wanted, self.unwanted) = (Vec::new(), Vec::new());
        let mut new = self.news_of(&known);
        new.unsearched.extend(unsearched);
        self.known = known;
        new
    }

    /// What there is of repositories that is not among these.
    pub(super) fn news_of(&mut self, known: &Known) -> NewRepositories {
        let mut all = self.git_dirs();
        let mut strays = self.leads(&all.git_dirs);
        let led_well = |lead: &Path| id(lead).is_some_and(|id| known.led_well.contains(&id));
        strays.retain(|lead| (is_new(lead, &known.ids) || led_well(lead)) && !self.leads_well(lead));
        all.too_long.append(&mut self.too_long);
        let links = all.links.into_iter().filter(|(_, link)| !known.links.contains(link));
        let mut links: Vec<PathBuf> = links.map(|(path, _)| path).collect();
        links.sort();
        links.dedup();
        NewRepositories {
            git_dirs: all.git_dirs.into_iter().filter(|path| is_new(path, &known.ids)).collect(),
            strays,
            links,
            startup: known.absent.iter().filter(|path| path.symlink_metadata().is_ok()).cloned().collect(),
            too_long: all.too_long.into_iter().filter(|path| is_new(path, &known.unseen)).collect(),
            unsearched: all.unfinished.difference(&known.unfinished).cloned().collect(),
        }
    }

    /// What leads git from one folder to another: `.git` files and links, and `commondir`.
    fn leads(&self, git_dirs: &BTreeSet<PathBuf>) -> Vec<PathBuf> {
        let common = git_dirs.iter().map(|git_dir| git_dir.join("commondir"));
        let common = common.filter(|path| path.symlink_metadata().is_ok());
        self.pointers.iter().cloned().chain(common).collect()
    }

    /// Whether it leads to where repositories are looked for, as git reads it.
    fn leads_well(&self, lead: &Path) -> bool {
        let within = |path: PathBuf| path.is_dir() && self.places.iter().any(|place| path.starts_with(place));
        match lead.file_name() {
            Some(name) if name == "commondir" => {
                lead.parent().and_then(repository::common).is_some_and(within)
            }
            _ => self.led_to(lead).is_some(),
        }
    }

    /// All folders that git keeps something of a repository in, and reads settings or hooks from.
    fn git_dirs(&mut self) -> All {
        let mut tops = BTreeSet::new();
        let within = |path: &PathBuf| self.places.iter().any(|place| path.starts_with(place));
        let led: Vec<PathBuf> = self.pointers.iter().filter_map(|pointer| self.led_to(pointer)).collect();
        for git_dir in self.repositories.keys().chain(&led) {
            tops.extend(repository::common(git_dir).filter(within));
            tops.insert(git_dir.clone());
        }
        let mut all = All::default();
        for git_dir in tops {
            let found = self.inside.of(&git_dir);
            all.git_dirs.extend(found.git_dirs);
            all.git_dirs.insert(git_dir);
            all.links.extend(found.links);
            all.too_long.extend(found.too_long);
            all.unfinished.extend(found.unfinished);
        }
        all
    }
}

fn ids<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> BTreeSet<Id> {
    paths.filter_map(|path| id(path)).collect()
}

/// Whether it is none of these; what cannot be looked at may be anything.
fn is_new(path: &Path, known: &BTreeSet<Id>) -> bool {
    id(path).is_none_or(|id| !known.contains(&id))
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

fn id(path: &Path) -> Option<Id> {
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
        let news = walk.again(Beside::Nobody).unwrap();
        assert!(frozen(&news, "old/.git/config") && !frozen(&news, "a/b/c/.git/config"));

        repository(root.join("a/b/c/.git"));
        repository(root.join("node_modules/x/.git"));
        std::fs::create_dir(root.join("a/.vscode")).unwrap();
        std::fs::write(root.join("a/.netrc"), "").unwrap();
        let news = walk.again(Beside::Nobody).unwrap();
        for path in ["old/.git/config", "a/b/c/.git/config", "node_modules/x/.git/hooks", "a/.vscode"] {
            assert!(frozen(&news, path), "{path}: {news:?}");
        }
        assert!(news.pins.iter().any(|pin| !pin.frozen && pin.path == root.join("a/b")));
        assert_eq!(news.masks.iter().map(|mask| &mask.path).collect::<Vec<_>>(), [&root.join("a/.netrc")]);

        std::fs::remove_dir_all(root.join("a")).unwrap();
        let news = walk.again(Beside::Nobody).unwrap();
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
        let news = walk.again(Beside::Nobody).unwrap();
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
        let again = survey.walk.again(Beside::Nobody).unwrap();
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
        let mut masked: Vec<_> =
            walk.again(Beside::Nobody).unwrap().masks.into_iter().map(|mask| mask.path).collect();
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
        let frozen: Vec<_> =
            walk.again(Beside::Nobody).unwrap().pins.into_iter().filter(|pin| pin.frozen).collect();
        assert_eq!(frozen.iter().map(|pin| &pin.path).collect::<Vec<_>>(), [&root.join("a/b")]);
        walk.reach.depth = 0;
        for number in 0..=MOST_UNSEEN {
            std::fs::create_dir_all(root.join(format!("top-{number}"))).unwrap();
        }
        assert!(walk.again(Beside::Nobody).is_err());
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
        let found = after.new_repositories(Since::now());
        assert_eq!(found.strays, Vec::<PathBuf>::new());
        assert_eq!(found.git_dirs, new.map(|path| root.join(path)));
        let mut next = walk.clone();
        next.again(Beside::Nobody).unwrap();
        assert_eq!(next.new_repositories(Since::now()), NewRepositories::default());
    }

    #[test]
    fn links_in_repositories_are_new_once_and_those_that_were_moved_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let link = |name: &str| std::os::unix::fs::symlink("/nowhere", root.join(name)).unwrap();
        repository(root.join("old/.git"));
        link("old/.git/gc.log");
        let mut walk = walked(&root);
        std::fs::rename(root.join("old"), root.join("moved")).unwrap();
        link("moved/.git/FETCH_HEAD");
        link("moved/.git/refs/heads");
        let links = walk.clone().new_repositories(Since::now()).links;
        assert_eq!(links, ["moved/.git/FETCH_HEAD", "moved/.git/refs/heads"].map(|name| root.join(name)));
        walk.again(Beside::Others).unwrap();
        assert_eq!(walk.clone().new_repositories(Since::now()).links.len(), 2, "their command still runs");
        walk.again(Beside::Nobody).unwrap();
        assert_eq!(walk.new_repositories(Since::now()), NewRepositories::default());
    }

    #[test]
    fn a_lead_that_leads_well_no_more_is_a_stray() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        repository(root.join("real/g"));
        std::os::unix::fs::symlink("real", root.join("way")).unwrap();
        for (tree, target) in [("one", "../way/g"), ("two", "/nowhere")] {
            std::fs::create_dir(root.join(tree)).unwrap();
            std::fs::write(root.join(tree).join(".git"), format!("gitdir: {target}\n")).unwrap();
        }
        let mut walk = walked(&root);
        std::fs::remove_file(root.join("way")).unwrap();
        std::os::unix::fs::symlink("/tmp", root.join("way")).unwrap();
        assert_eq!(walk.new_repositories(Since::now()).strays, [root.join("one/.git")]);
    }

    #[test]
    fn what_a_shell_runs_is_new_where_it_was_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::write(root.join(".bashrc"), "").unwrap();
        let policy = Policy::new(Mode::WorkspaceWrite, &root).unwrap();
        let mut survey = Survey { home: root.clone(), ..Survey::default() };
        walk::guard(&policy, &mut survey);
        for name in [".zshrc", ".config/git/config"] {
            std::fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            std::fs::write(root.join(name), "").unwrap();
        }
        let startup = survey.walk.new_repositories(Since::now()).startup;
        assert_eq!(startup, [".zshrc", ".config/git/config"].map(|name| root.join(name)));
    }
}
