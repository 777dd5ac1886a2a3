//! Walks the places that can be written, before a command runs: finds every repository in them, settings of agents and
//! editors, secrets, sockets and devices. Where the walk ends before the place does, that is said, and what was not
//! seen cannot be written. [`super::again`] has later looks, at what has changed since.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::again::{Known, Look, Stamp};
use super::folder::{Folder, is_too_long};
use super::gitsettings::Global;
use super::inside::Inside;
use super::policy::Policy;
use super::repository::{self, By, Guard, Wanted};
use super::secrets::is_secret;
use super::survey::{Mask, Pin, Survey};

/// How far a walk goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reach {
    /// Entries that are looked at in all places together.
    pub(super) entries: usize,
    /// Folders in folders.
    pub(super) depth: usize,
}

const REACH: Reach = Reach { entries: 200_000, depth: 24 };

impl Default for Reach {
    fn default() -> Self {
        REACH
    }
}

/// Unseen folders that are made read-only one by one; with more of them nothing runs.
pub(super) const MOST_UNSEEN: usize = 256;

/// Most entries that are searched, however deep, where a command made so much that a look ended at its bounds.
const MOST_SEARCHED: usize = 2_000_000;

/// Entries of folders that programs fill that are looked at, and of places that can only be read.
const AT_A_GLANCE: usize = 50_000;

const HELD: &str = "what git or an editor outside obeys is in it: it cannot be swapped for another";

/// Folders in one that is frozen that are looked into for links.
const LINKED: usize = 64;

/// Folders that programs fill and nobody works in: only repositories near their top are looked for.
const SKIPPED: &[&str] =
    &["node_modules", "target", ".venv", "__pycache__", ".tox", ".gradle", ".pnpm-store"];

/// Wherever they are: what agents, editors and shells take as instructions or run.
const SETTINGS: &[&str] = &[
    ".codetether",
    ".mcp.json",
    ".vscode",
    ".claude",
    ".claude.json",
    ".agents",
    ".cursor",
    ".codex",
    ".gemini",
    ".opencode",
    "opencode.json",
    ".windsurf",
    ".roo",
    ".kiro",
    ".zed",
    ".idea",
    ".fleet",
    ".continue",
    ".aider.conf.yml",
    ".goosehints",
    ".devcontainer",
    ".devcontainer.json",
    ".envrc",
    ".nvim.lua",
    ".nvimrc",
    ".exrc",
    ".vimrc",
    ".lvimrc",
    ".dir-locals.el",
];

/// In a home that is (in) the workspace: what shells and desktops run.
const STARTUP: &[&str] = &[
    ".bashrc",
    ".bash_profile",
    ".bash_login",
    ".bash_logout",
    ".bash_aliases",
    ".profile",
    ".zshrc",
    ".zshenv",
    ".zprofile",
    ".zlogin",
    ".inputrc",
    ".gitconfig",
    ".xprofile",
    ".xsessionrc",
    ".local/bin",
    "bin",
    ".cargo/bin",
    ".cargo/config.toml",
    ".cargo/env",
    ".tmux.conf",
    ".config/git/config",
    ".config/fish",
    ".config/autostart",
    ".config/systemd",
    ".local/share/systemd",
];

/// Finds what has to be guarded, and puts it into the survey.
pub(crate) fn guard(policy: &Policy, survey: &mut Survey) {
    guard_within(REACH, policy, survey);
}

fn guard_within(reach: Reach, policy: &Policy, survey: &mut Survey) {
    let root = &policy.root;
    let places = policy.writable.iter().map(|grant| &grant.path).chain([root]);
    let named = policy.readable.iter().chain(&policy.writable).map(|grant| grant.path.clone());
    let mut walk = Walk {
        reach,
        home: survey.home.clone(),
        places: places.clone().cloned().collect(),
        named: named.collect(),
        global: survey.global.clone(),
        ..Walk::default()
    };
    if let Some(repository) = repository::confirmed_outside(root)
        && !policy.writable.iter().any(|grant| repository.starts_with(&grant.path))
    {
        walk.repository(&repository, Some(root), vec![repository.clone(), root.clone()]);
        let why = "the repository that the workspace is a working tree of";
        survey.repositories.push((repository, why.to_owned()));
    }
    for place in places.clone() {
        // What lies in another is walked with it.
        if places.clone().any(|other| place != other && place.starts_with(other)) {
            continue;
        }
        walk.place(place);
    }
    walk.follow_pointers();
    walk.outer();
    walk.hold_named(survey.toolchains.iter().chain(&survey.in_path));
    walk.note_glances();
    let read: Vec<_> = policy.readable.iter().map(|grant| grant.path.as_path()).collect();
    walk.only_read(&read, &places.clone().map(PathBuf::as_path).collect::<Vec<_>>());
    survey.notes.append(&mut walk.notes);
    match walk.closed.as_slice() {
        [] => {}
        [one] => survey.notes.push(format!("`{}` is read-only: it could not be looked into", one.display())),
        [first, ..] => survey.notes.push(format!(
            "{} folders are read-only, such as `{}`: they could not be looked into",
            walk.closed.len(),
            first.display()
        )),
    }
    survey.unseen = walk.unseen.len();
    if walk.unseen.len() <= MOST_UNSEEN {
        let why = "not looked at before the command ran: the workspace is too large or too deep";
        walk.freeze(&walk.unseen.clone(), why);
        if let Some(first) = walk.unseen.first() {
            survey.notes.push(format!(
                "the workspace has more than {} entries, or is deeper than {} folders: {} folders in it are read-only, such as `{}`",
                reach.entries,
                reach.depth,
                walk.unseen.len(),
                first.display()
            ));
        }
    }
    walk.follow_links();
    survey.pins = std::mem::take(&mut walk.pins);
    survey.masks.append(&mut walk.masks);
    survey.wanted = std::mem::take(&mut walk.wanted);
    survey.unwanted = std::mem::take(&mut walk.unwanted);
    walk.learn();
    survey.walk = walk;
}

/// Whether so much was not looked at that nothing may run.
pub(crate) fn is_too_large(survey: &Survey) -> bool {
    survey.unseen > MOST_UNSEEN
}

/// What a walk found, and what a later look has to know of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Walk {
    pub(super) reach: Reach,
    pub(super) home: PathBuf,
    pub(super) places: Vec<PathBuf>,
    /// What someone granted by its name: they want it to be seen.
    named: BTreeSet<PathBuf>,
    pub(super) seen: usize,
    pub(super) pins: Vec<Pin>,
    pub(super) masks: Vec<Mask>,
    pub(super) wanted: Vec<Wanted>,
    pub(super) unwanted: Vec<PathBuf>,
    pub(super) unseen: BTreeSet<PathBuf>,
    /// What a search met whose path is too long.
    pub(super) too_long: BTreeSet<PathBuf>,
    /// What could not be looked into.
    closed: Vec<PathBuf>,
    glanced: usize,
    notes: Vec<String>,
    /// The folders that were looked into.
    pub(super) looked: BTreeMap<PathBuf, Look>,
    /// The folders that git keeps repositories in, but for submodules'.
    pub(super) repositories: BTreeMap<PathBuf, Belongs>,
    /// Files and links that say where a repository is.
    pub(super) pointers: BTreeSet<PathBuf>,
    /// What was there when the last look ended beside which no command ran.
    pub(super) known: Known,
    /// What is in the repositories.
    pub(super) inside: Inside,
    /// What the person's own settings name.
    global: Global,
}

/// What a repository belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Belongs {
    /// Its working tree, where it has one.
    top: Option<PathBuf>,
    /// Where it, and what it names, could be written.
    within: Vec<PathBuf>,
}

/// How a folder is looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// With all that is in it, this far from its place.
    Whole(usize),
    /// One that programs fill: its packages are glanced at.
    Filled,
    /// A package, or a folder of packages, in one of those.
    Package {
        /// Whether packages can be in it.
        scope: bool,
    },
}

impl Walk {
    fn place(&mut self, place: &Path) {
        if !place.is_dir() {
            return;
        }
        self.startup(place);
        // Nearest first: where the walk ends early, it is far down.
        self.look(VecDeque::from([(place.to_owned(), Manner::Whole(0))]), place);
    }

    /// Guards what is run when somebody logs in, where that is in a place.
    pub(super) fn startup(&mut self, place: &Path) {
        if self.home.starts_with(place) {
            let home = self.home.clone();
            let why = "it is run when you log in or open a shell";
            for path in STARTUP.iter().map(|name| home.join(name)).filter(|path| path.exists()) {
                self.pins.extend(repository::links_to(&path, &[place], why));
                let (Some(above), Some(name)) = (path.parent(), path.file_name()) else { continue };
                // Nothing is guarded behind a link.
                let Ok(above) = above.canonicalize() else { continue };
                if above.starts_with(place) {
                    self.held_above(&above, place);
                    self.pins.push(Pin::frozen(above.join(name), why));
                }
            }
        }
    }

    /// Which of that is not there.
    pub(super) fn absent_at_startup(&self) -> Vec<PathBuf> {
        if !self.places.iter().any(|place| self.home.starts_with(place)) {
            return Vec::new();
        }
        let all = STARTUP.iter().map(|name| self.home.join(name));
        all.filter(|path| path.symlink_metadata().is_err()).collect()
    }

    /// Guards what is named in the places by repositories above them, and by the person's own settings.
    fn outer(&mut self) {
        let places = self.places.clone();
        let within: Vec<&Path> = places.iter().map(PathBuf::as_path).collect();
        let by = By { within: &within, home: &self.home, global: &self.global };
        let mut all = vec![repository::guard_global(by)];
        all.extend(places.iter().map(|place| repository::guard_above(place, by, &mut self.inside)));
        all.into_iter().for_each(|guard| self.add(guard));
    }

    /// What a later look guards of that again: files may have been put in the place of others.
    pub(super) fn global_again(&mut self) {
        let within: Vec<&Path> = self.places.iter().map(PathBuf::as_path).collect();
        let guard = repository::guard_global(By { within: &within, home: &self.home, global: &self.global });
        self.add(guard);
    }

    fn add(&mut self, guard: Guard) {
        self.pins.extend(guard.pins);
        self.wanted.extend(guard.wanted);
        self.unwanted.extend(guard.unwanted);
    }

    /// Holds the folders that shells outside look for programs in, and what is on the way to them.
    fn hold_named<'a>(&mut self, paths: impl Iterator<Item = &'a PathBuf>) {
        let why = "shells outside look for programs in it";
        let places = self.places.clone();
        let within: Vec<&Path> = places.iter().map(PathBuf::as_path).collect();
        for path in paths {
            self.pins.extend(repository::links_to(path, &within, why));
            let Ok(real) = path.canonicalize() else { continue };
            if let Some(place) = within.iter().find(|place| real.starts_with(place)) {
                self.pins.extend(repository::between(&real, place).map(|path| Pin::held(path, why)));
            }
        }
    }

    /// Freezes what was not looked into, where it is.
    pub(super) fn freeze(&mut self, paths: &BTreeSet<PathBuf>, why: &str) {
        for path in paths {
            let place = self.places.iter().find(|place| path.starts_with(place)).cloned();
            if let (Some(place), Some(above)) = (place, path.parent()) {
                self.held_above(above, &place);
            }
            self.pins.push(Pin::frozen(path, why));
        }
    }

    /// Looks into folders, and into those in them that nobody has looked into.
    pub(super) fn look(&mut self, mut open: VecDeque<(PathBuf, Manner)>, place: &Path) {
        while let Some((path, manner)) = open.pop_front() {
            match manner {
                Manner::Whole(depth) => self.look_into(path, depth, place, &mut open),
                Manner::Filled => self.glance(&path, place, &mut open),
                Manner::Package { scope } => self.glance_at_package(&path, scope, place, &mut open),
            }
        }
    }

    fn look_into(
        &mut self,
        path: PathBuf,
        depth: usize,
        place: &Path,
        open: &mut VecDeque<(PathBuf, Manner)>,
    ) {
        if depth > self.reach.depth || self.seen > self.reach.entries || is_too_long(&path) {
            self.unseen.insert(path);
            return;
        }
        let stamp = Stamp::of(&path);
        let folder = match Folder::open(&path, self.inside.closed) {
            Ok(folder) => folder,
            Err(Errno::ACCESS | Errno::PERM) => {
                // It may be the user's own: then the command could open it, and find a repository in it.
                self.held_above(path.parent().unwrap_or(place), place);
                self.pins.push(Pin::frozen(&path, "it could not be looked into before the command ran"));
                self.closed.push(path);
                return;
            }
            Err(_) => return,
        };
        self.remember(&path, stamp, Manner::Whole(depth), folder.len(), place);
        self.folder(&path, &folder, place);
        self.settings(&path, &folder, place);
        for name in &folder.folders {
            let inner = path.join(&**name);
            let manner = if SKIPPED.iter().any(|skipped| **name == **skipped) {
                Manner::Filled
            } else {
                Manner::Whole(depth + 1)
            };
            // What was looked into before is looked at again by itself.
            if **name != *".git" && !self.looked.contains_key(&inner) {
                open.push_back((inner, manner));
            }
        }
    }

    fn remember(&mut self, path: &Path, stamp: Stamp, manner: Manner, entries: usize, place: &Path) {
        let look = Look { stamp, manner, entries, place: place.to_owned() };
        if let Some(before) = self.looked.insert(path.to_owned(), look) {
            self.seen = self.seen.saturating_sub(before.entries);
        }
        self.seen += entries;
    }

    /// Looks for repositories among packages: `X` and `X/Y` of a folder that programs fill, `@X/Y` of one with packages
    /// for Node.
    fn glance(&mut self, path: &Path, place: &Path, open: &mut VecDeque<(PathBuf, Manner)>) {
        let stamp = Stamp::of(path);
        let Ok(filled) = Folder::read(path) else { return };
        self.remember(path, stamp, Manner::Filled, 0, place);
        self.folder(path, &filled, place);
        let flat = path.ends_with("node_modules");
        for name in filled.folders.iter().filter(|name| ***name != *".git") {
            let scope = !flat || name.as_bytes().starts_with(b"@");
            self.open_package(path.join(&**name), scope, open);
        }
    }

    fn open_package(&mut self, path: PathBuf, scope: bool, open: &mut VecDeque<(PathBuf, Manner)>) {
        if self.looked.contains_key(&path) {
            return;
        }
        self.glanced += 1;
        if self.glanced <= AT_A_GLANCE {
            open.push_back((path, Manner::Package { scope }));
        }
    }

    fn glance_at_package(
        &mut self,
        path: &Path,
        scope: bool,
        place: &Path,
        open: &mut VecDeque<(PathBuf, Manner)>,
    ) {
        let stamp = Stamp::of(path);
        self.remember(path, stamp, Manner::Package { scope }, 0, place);
        let has_repository = path.join(".git").symlink_metadata().is_ok();
        if !scope && !has_repository {
            return;
        }
        let Ok(folder) = Folder::read(path) else { return };
        if has_repository {
            self.folder(path, &folder, place);
            self.settings(path, &folder, place);
        }
        if scope {
            for name in folder.folders.iter().filter(|name| ***name != *".git") {
                self.open_package(path.join(&**name), false, open);
            }
        }
    }

    fn note_glances(&mut self) {
        if self.glanced > AT_A_GLANCE {
            let first = self.places.first().map(|place| place.display().to_string()).unwrap_or_default();
            self.notes.push(format!(
                "`{first}` has so many packages that repositories were not looked for in all of them"
            ));
        }
    }

    /// In what can only be read, who listens at a socket would still hear: that is no writing.
    fn only_read(&mut self, read: &[&Path], written: &[&Path]) {
        let mut open: VecDeque<_> = read.iter().map(|path| ((*path).to_owned(), 0)).collect();
        let mut seen = 0;
        while let Some((path, depth)) = open.pop_front() {
            // What can be written was walked.
            if written.iter().any(|place| path.starts_with(place)) {
                continue;
            }
            let Ok(folder) = Folder::read(&path) else { continue };
            seen += folder.len();
            self.sockets(&path, &folder);
            if seen <= AT_A_GLANCE && depth < self.reach.depth {
                open.extend(folder.folders.iter().map(|name| (path.join(&**name), depth + 1)));
            } else {
                self.notes.push(format!(
                    "sockets in places that can be read were not all looked for: below `{}` some may be in reach",
                    path.display()
                ));
                return;
            }
        }
    }

    fn sockets(&mut self, path: &Path, folder: &Folder) {
        self.masks.extend(folder.sockets.iter().map(|name| Self::socket(path.join(&**name))));
    }

    fn socket(path: PathBuf) -> Mask {
        Mask { path, folder: false, why: "a socket or device: who listens there is outside".into() }
    }

    /// Guards what is directly in a folder.
    fn folder(&mut self, path: &Path, folder: &Folder, place: &Path) {
        self.sockets(path, folder);
        for name in &folder.files {
            let full = || path.join(&**name);
            if is_secret(name.as_bytes(), &full()) && !self.named.contains(&full()) {
                self.masks.push(Mask {
                    path: full(),
                    folder: false,
                    why: "keys and passwords are kept there".into(),
                });
            }
        }
        let git = path.join(".git");
        if folder.has_folder(".git") {
            self.held_above(path, place);
            self.repository(&git, Some(path), vec![place.to_owned()]);
        } else if folder.has(".git") {
            self.held_above(path, place);
            self.pointers.insert(git.clone());
            self.pins.push(Pin::frozen(git, "it says where a repository is"));
        }
        // Also beside a `.git` that is none: git goes on to this then.
        if repository::is_git_dir(|name| folder.has(name)) {
            self.held_above(path, place);
            self.repository(path, None, vec![place.to_owned()]);
        }
    }

    /// Looks for repositories however deep, where a look ended at its bounds: false when there is too much even so.
    pub(super) fn search(&mut self, from: &Path) -> bool {
        let Some(place) = self.places.iter().find(|place| from.starts_with(place)).cloned() else {
            return true;
        };
        let (mut open, mut seen) = (vec![from.to_owned()], 0);
        while let Some(path) = open.pop() {
            if is_too_long(&path) {
                self.too_long.insert(path);
                continue;
            }
            let Ok(folder) = Folder::open(&path, self.inside.closed) else { continue };
            seen += folder.len();
            if seen > MOST_SEARCHED {
                return false;
            }
            self.folder(&path, &folder, &place);
            open.extend(
                folder.folders.iter().filter(|name| ***name != *".git").map(|name| path.join(&**name)),
            );
        }
        true
    }

    pub(super) fn repository(&mut self, git_dir: &Path, top: Option<&Path>, within: Vec<PathBuf>) {
        self.repositories.insert(git_dir.to_owned(), Belongs { top: top.map(Path::to_owned), within });
        self.guard_repository(git_dir);
        self.guard_common(git_dir);
    }

    /// Guards one that was found, as it is now.
    pub(super) fn guard_repository(&mut self, git_dir: &Path) {
        let Some(Belongs { top, within }) = self.repositories.get(git_dir) else { return };
        let within: Vec<&Path> = within.iter().map(PathBuf::as_path).collect();
        let found = self.inside.of(git_dir);
        let by = By { within: &within, home: &self.home, global: &self.global };
        let guard = repository::guard(git_dir, top.as_deref(), by, &found);
        self.add(guard);
        self.masks.extend(found.sockets.into_iter().map(Self::socket));
    }

    /// What a folder of a repository shares with others, where that is in the places: git takes settings and hooks from there,
    /// and it need not look like a repository by itself.
    pub(super) fn guard_common(&mut self, git_dir: &Path) {
        let Some(common) = repository::common(git_dir).filter(|common| common.is_dir()) else { return };
        let Some(place) = self.places.iter().find(|place| common.starts_with(place)).cloned() else { return };
        if !self.repositories.contains_key(&common) {
            self.held_above(common.parent().unwrap_or(&place), &place);
            self.repositories.insert(common.clone(), Belongs { top: None, within: vec![place] });
            self.guard_repository(&common);
        }
    }

    fn settings(&mut self, path: &Path, folder: &Folder, place: &Path) {
        // Nearly all names are told apart by their first letter.
        let names = folder.folders.iter().chain(&folder.files);
        let there: Vec<_> = names
            .filter(|name| matches!(name.as_bytes().first(), Some(b'.' | b'o')))
            .filter(|name| SETTINGS.iter().any(|setting| ***name == **setting))
            .collect();
        if there.is_empty() {
            return;
        }
        self.held_above(path, place);
        let why = "an agent, an editor or a shell outside does what it says";
        self.pins.extend(there.into_iter().map(|name| Pin::frozen(path.join(&**name), why)));
    }

    /// What is frozen and is a link, or has links in it, leads to something that is to be frozen, too.
    pub(super) fn follow_links(&mut self) {
        let frozen = self.pins.iter().filter(|pin| pin.frozen && !self.unseen.contains(&pin.path));
        let frozen: BTreeMap<PathBuf, String> =
            frozen.map(|pin| (pin.path.clone(), pin.why.clone())).collect();
        let mut links = Vec::new();
        for (path, why) in frozen {
            if path.is_symlink() {
                links.push((path, why));
            } else if path.is_dir() {
                let below = self.inside.links_below(&path, LINKED);
                links.extend(below.into_iter().map(|path| (path, why.clone())));
            }
        }
        let targets = links.into_iter().filter_map(|(path, why)| Some((path.canonicalize().ok()?, why)));
        for (target, why) in targets.collect::<BTreeMap<_, _>>() {
            let place = self.places.iter().find(|place| target.starts_with(place) && target != **place);
            if let Some(place) = place {
                let above = repository::between(&target, place).skip(1);
                self.pins.extend(above.map(|above| Pin::held(above, &why)));
                self.pins.push(Pin::frozen(target, &why));
            }
        }
    }

    /// Holds the folders between a place and something in it: else one of them could be renamed, and another put there.
    pub(super) fn held_above(&mut self, path: &Path, place: &Path) {
        self.pins.extend(repository::between(path, place).map(|above| Pin::held(above, HELD)));
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests set up files as a person would")]
mod tests {
    use super::*;
    use crate::launch::policy::Mode as PolicyMode;

    fn guarded(reach: Reach, folders: &[&str]) -> (PathBuf, Survey) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for folder in folders {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        let policy = Policy::new(PolicyMode::WorkspaceWrite, &root).unwrap();
        let mut survey = Survey { home: "/home/ada".into(), ..Survey::default() };
        guard_within(reach, &policy, &mut survey);
        (root, survey)
    }

    fn frozen(root: &Path, survey: &Survey) -> Vec<String> {
        let pins = survey.pins.iter().filter(|pin| pin.frozen);
        let mut names: Vec<_> =
            pins.map(|pin| pin.path.strip_prefix(root).unwrap().display().to_string()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_too_deep_to_be_seen_is_read_only_and_said() {
        let (root, survey) = guarded(Reach { depth: 2, ..REACH }, &["a/b/c/d/.git", "a/x"]);
        assert_eq!(frozen(&root, &survey), ["a/b/c"]);
        assert_eq!(survey.notes.len(), 1);
        assert!(!is_too_large(&survey));
        for above in ["a", "a/b"] {
            assert!(survey.pins.contains(&Pin::held(root.join(above), HELD)), "{above} keeps its place");
        }
    }

    #[test]
    fn where_too_much_was_not_seen_nothing_may_run() {
        let many: Vec<_> = (0..=MOST_UNSEEN).map(|number| format!("folder-{number}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert!(is_too_large(&guarded(Reach { entries: 10, ..REACH }, &many).1));
        assert!(!is_too_large(&guarded(REACH, &many).1));
    }

    #[test]
    fn repositories_and_settings_are_found_wherever_they_are() {
        let (root, survey) = guarded(REACH, &["a/b/.git", ".vscode", "a/.vscode"]);
        let hooks = ["config", "hooks", "info/attributes"].map(|name| format!("a/b/.git/{name}"));
        let settings = [".vscode", "a/.vscode"].map(str::to_owned);
        assert_eq!(frozen(&root, &survey), [&settings[..], &hooks].concat());
        let held = |path: &str| survey.pins.iter().any(|pin| !pin.frozen && pin.path == root.join(path));
        assert!(held("a") && held("a/b") && held("a/b/.git"));
    }

    #[test]
    fn among_packages_repositories_are_looked_for_near_the_top() {
        let folders =
            ["node_modules/x/.git", "node_modules/@s/y/.git", "node_modules/x/z/.git", "target/debug/t/.git"];
        let (root, survey) = guarded(REACH, &folders);
        let hooks = |path: &str| {
            survey.pins.iter().any(|pin| pin.frozen && pin.path == root.join(path).join("hooks"))
        };
        assert_eq!(folders.map(hooks), [true, true, false, true]);
    }

    #[test]
    fn what_links_in_a_frozen_folder_lead_to_is_frozen_too() {
        let (root, survey) = {
            let dir = tempfile::tempdir().unwrap();
            let root = dir.path().canonicalize().unwrap();
            for folder in [".git/hooks", "scripts", ".vscode"] {
                std::fs::create_dir_all(root.join(folder)).unwrap();
            }
            std::fs::write(root.join("scripts/check"), "").unwrap();
            std::os::unix::fs::symlink("../../scripts/check", root.join(".git/hooks/pre-commit")).unwrap();
            std::os::unix::fs::symlink("/etc/passwd", root.join(".vscode/outside")).unwrap();
            let policy = Policy::new(PolicyMode::WorkspaceWrite, &root).unwrap();
            let mut survey = Survey { home: "/home/ada".into(), ..Survey::default() };
            guard_within(REACH, &policy, &mut survey);
            (root, survey)
        };
        assert!(frozen(&root, &survey).contains(&"scripts/check".to_owned()));
        assert!(survey.pins.iter().any(|pin| !pin.frozen && pin.path == root.join("scripts")));
    }

    #[test]
    fn sockets_are_masked_in_repositories_and_in_what_can_only_be_read() {
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [root, other] = dirs.each_ref().map(|dir| dir.path().canonicalize().unwrap());
        std::fs::create_dir_all(root.join(".git/worktrees/w")).unwrap();
        std::fs::create_dir_all(other.join("a/b")).unwrap();
        let sockets = [
            root.join(".git/fsmonitor--daemon.ipc"),
            root.join(".git/worktrees/w/fsmonitor--daemon.ipc"),
            other.join("a/b/agent"),
        ];
        let _open = sockets.each_ref().map(|path| std::os::unix::net::UnixListener::bind(path).unwrap());
        let mut policy = Policy::new(PolicyMode::WorkspaceWrite, &root).unwrap();
        policy.grant_read(&other, "--readable").unwrap();
        let mut survey = Survey { home: "/home/ada".into(), ..Survey::default() };
        guard_within(REACH, &policy, &mut survey);
        let masked: Vec<_> = survey.masks.into_iter().map(|mask| mask.path).collect();
        assert!(sockets.iter().all(|path| masked.contains(path)), "{masked:?}");
        assert!(survey.notes.is_empty());
    }
}
