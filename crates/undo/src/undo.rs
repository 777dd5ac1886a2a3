//! One working tree as a session sees it: takes snapshots, and knows what it saw last.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use codetether_files::{self as files, Durability, Folder};

use crate::changes::Change;
use crate::entry::Entry;
use crate::git::{self, Blobs, Index, Repository};
use crate::id::Hash;
use crate::ignored::{self, Patterns, Policy, Verdict};
use crate::manifest::Manifest;
use crate::plan::{Plan, Step};
use crate::scan::{Depth, Found, Git, Job, Scanner};
use crate::store::{Session, Store, write_private};
use crate::tree::{self, Tree, os};
use crate::watch::Watch;
use crate::{Error, SnapshotId, cache, restore};

/// Fewer differences are never written as a whole tree.
const DIFFERENCES_MIN: usize = 1024;

/// Of an index more is not read.
const INDEX_MAX: u64 = 1 << 30;

/// What to watch over, and where to keep it.
#[derive(Debug, Clone)]
pub struct Options {
    /// The store's folder; one for all trees of a user.
    pub store: PathBuf,
    /// The working tree.
    pub root: PathBuf,
    /// The session's name: letters, digits, `-` and `_`. Its snapshots are kept while it is open.
    pub session: String,
    /// What is kept.
    pub policy: Policy,
    /// Files of patterns that hold in every tree of the user, as git's `core.excludesFile`.
    pub excludes: Vec<PathBuf>,
    /// Whether an undo is to survive a loss of power before it is called done.
    pub durability: Durability,
}

impl Options {
    /// With the policy that most want.
    pub fn new(store: impl Into<PathBuf>, root: impl Into<PathBuf>, session: impl Into<String>) -> Self {
        Self {
            store: store.into(),
            root: root.into(),
            session: session.into(),
            policy: Policy::default(),
            excludes: Vec::new(),
            durability: Durability::Synced,
        }
    }
}

/// A working tree and its history.
#[derive(Debug)]
pub struct Undo {
    pub(crate) store: Arc<Store>,
    pub(crate) root: Folder,
    /// Canonical.
    pub(crate) path: PathBuf,
    /// Where the store keeps what belongs to this tree.
    pub(crate) dir: PathBuf,
    pub(crate) durability: Durability,
    session: Session,
    policy: Policy,
    excludes: Vec<PathBuf>,
    own: (u64, u64),
    repository: Option<Known>,
    state: Option<State>,
}

/// What is known of the repository.
#[derive(Debug)]
struct Known {
    repository: Repository,
    index: Index,
    index_mark: Mark,
    blobs: Arc<Blobs>,
    blobs_mark: Mark,
}

/// Tells whether a file or a folder changed.
type Mark = Option<(i64, i64, u64, u64)>;

/// What was seen last.
#[derive(Debug)]
struct State {
    tree: Tree,
    /// What the next snapshots are based on.
    base: Option<Base>,
    /// That of `tree`.
    id: Option<SnapshotId>,
    head: String,
    /// Names of packs that hold blobs of the tree, and whether they are pinned.
    packs: BTreeMap<String, bool>,
    patterns: BTreeMap<tree::Path, Option<Arc<Patterns>>>,
    unsettled: BTreeSet<tree::Path>,
    watch: Option<Watch>,
    excludes_mark: Vec<Mark>,
    blobs_mark: Mark,
    /// Tells what is kept for the next session.
    stats_mark: Option<Hash>,
}

/// A snapshot that is whole.
#[derive(Debug)]
struct Base {
    id: SnapshotId,
    tree: Tree,
    head: String,
    packs: Vec<String>,
}

impl Undo {
    /// Opens a tree. Reads nothing of it yet.
    ///
    /// # Errors
    /// When the tree or the store cannot be opened, or another process has this session.
    pub fn open(options: &Options) -> Result<Self, Error> {
        let path = files::Root::open(&options.root)?.path().to_owned();
        let root = Folder::open(&path)?;
        let store = Store::open(&options.store)?;
        let own = Folder::open(store.dir())?.look_at_self()?;
        Ok(Self {
            dir: store.root_dir(&path)?,
            session: Session::open(&store, &options.session)?,
            policy: options.policy.clone(),
            excludes: options.excludes.clone(),
            durability: options.durability,
            own: (own.device, own.inode),
            repository: None,
            state: None,
            store,
            root,
            path,
        })
    }

    /// Takes a snapshot: by what the kernel told where the tree is watched, else by a scan. The first one scans.
    ///
    /// # Errors
    /// When a file cannot be read or kept. Then there is no snapshot, and a call that writes must not begin;
    /// [`is_full`](Error::is_full) tells of a full disk.
    pub fn snapshot(&mut self) -> Result<SnapshotId, Error> {
        self.take(Extent::Changed)
    }

    /// Takes a snapshot by looking at every file, whatever the kernel told.
    ///
    /// # Errors
    /// As [`snapshot`](Self::snapshot).
    pub fn snapshot_by_scan(&mut self) -> Result<SnapshotId, Error> {
        self.take(Extent::All)
    }

    /// What of the tree is not kept, in its last snapshot: paths below the root and why.
    #[must_use]
    pub fn left_out(&self) -> Vec<(PathBuf, crate::Why)> {
        let entries = self.state.iter().flat_map(|state| state.tree.entries());
        let left_out = entries.filter_map(|(path, entry)| match entry {
            Entry::LeftOut { why, .. } => Some((os(&path).to_owned(), *why)),
            _ => None,
        });
        left_out.collect()
    }

    /// Whether the next snapshot need not look at every file.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.state.as_ref().and_then(|state| state.watch.as_ref()).is_some_and(Watch::is_whole)
    }

    /// What differs from one snapshot to another, by path.
    ///
    /// # Errors
    /// When one of them is gone.
    pub fn changes(&self, from: &SnapshotId, to: &SnapshotId) -> Result<Vec<Change>, Error> {
        crate::changes::between(self, from, to)
    }

    /// The content of a file of a snapshot.
    ///
    /// # Errors
    /// When it is no file that is kept, or its content is lost.
    pub fn content(&mut self, path: &Path, entry: &Entry) -> Result<Vec<u8>, Error> {
        self.look_at_repository();
        let lost = || Error::Lost { path: path.to_owned() };
        let Entry::File { content, size, .. } = entry else { return Err(lost()) };
        let name = path.as_os_str().as_encoded_bytes();
        let mut bytes = Vec::new();
        let mut reader = self.store.content(name, content, *size, self.blobs().as_deref())?;
        std::io::Read::read_to_end(&mut reader, &mut bytes).map_err(|_| lost())?;
        Ok(bytes)
    }

    /// What undoing these steps would do, the oldest first. Takes a snapshot of what is there now, by a scan.
    ///
    /// # Errors
    /// When a snapshot is gone, none can be taken, or an undo is unfinished.
    pub fn plan(&mut self, steps: &[Step]) -> Result<Plan, Error> {
        if restore::is_unfinished(self)? {
            return Err(Error::Unfinished { root: self.path.clone() });
        }
        let now = self.snapshot_by_scan()?;
        Plan::make(self, steps, now)
    }

    /// Does what a plan says; its conflicts that were not decided stay as they are. The tree before and after are
    /// snapshots, so that it can be undone.
    ///
    /// # Errors
    /// When a file cannot be changed; what was done until then is done, and [`finish`](Self::finish) does the rest.
    pub fn restore(&mut self, plan: Plan) -> Result<restore::Restored, Error> {
        restore::begin(self, plan)
    }

    /// Whether an undo of this tree was interrupted.
    ///
    /// # Errors
    /// When that cannot be told.
    pub fn is_unfinished(&self) -> Result<bool, Error> {
        restore::is_unfinished(self)
    }

    /// Does the rest of an undo that was interrupted; `None` when there is none.
    ///
    /// # Errors
    /// As [`restore`](Self::restore).
    pub fn finish(&mut self) -> Result<Option<restore::Restored>, Error> {
        restore::finish(self)
    }

    /// Gives up an undo that was interrupted and cannot be finished: what was done stays, the rest is told as left.
    ///
    /// # Errors
    /// When that cannot be looked at, or no snapshot of it taken.
    pub fn abandon(&mut self) -> Result<Option<restore::Restored>, Error> {
        restore::abandon(self)
    }

    /// Keeps what was learnt of the files, so that the next session need not read them again.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep_stats(&mut self) -> Result<(), Error> {
        let Some(State { tree, id: Some(id), stats_mark, .. }) = &mut self.state else { return Ok(()) };
        let stats = self.dir.join("stats");
        let text = cache::encode(&id.0, tree);
        let mark = cache::mark(&text);
        if *stats_mark == mark {
            return Ok(());
        }
        // A file in the place of another is synced, which a cache with a checksum need not be: what is not whole is not read.
        if stats.exists() {
            files::remove_file(&stats)?;
        }
        write_private(&stats, &text, Durability::Cached)?;
        *stats_mark = mark;
        Ok(())
    }

    /// Lets go of the tree at the end of a session, without the wait of some milliseconds that dropping is: for its watch,
    /// which the kernel then takes down in its own time. What was learnt of the files is kept.
    ///
    /// # Errors
    /// As [`keep_stats`](Self::keep_stats); the tree is let go of all the same.
    pub fn close(mut self) -> Result<(), Error> {
        let kept = self.keep_stats();
        if let Some(watch) = self.state.take().and_then(|state| state.watch) {
            watch.leave();
        }
        kept
    }

    pub(crate) fn tree(&self) -> Option<&Tree> {
        self.state.as_ref().map(|state| &state.tree)
    }

    pub(crate) fn head(&self) -> &str {
        self.state.as_ref().map_or("", |state| &state.head)
    }

    pub(crate) fn blobs(&self) -> Option<Arc<Blobs>> {
        self.repository.as_ref().map(|known| Arc::clone(&known.blobs))
    }

    /// From now on a snapshot that another session took stays as long as this one.
    pub(crate) fn hold(&mut self, id: SnapshotId) -> Result<(), Error> {
        self.session.add(id)
    }

    fn take(&mut self, extent: Extent) -> Result<SnapshotId, Error> {
        // Until the session names the snapshot nobody may collect what it consists of.
        let _guard = self.store.share()?;
        self.look_at_repository();
        let excludes_mark = self.excludes_marks();
        let mut state = match self.state.take() {
            Some(state) => state,
            None => self.remembered(),
        };
        let is_first = state.id.is_none();
        let jobs = if is_first || state.excludes_mark != excludes_mark {
            None
        } else if extent == Extent::All {
            // What the kernel told until now is seen by the scan.
            state.watch.as_ref().map(Watch::changed);
            Some(None)
        } else {
            let told = state.watch.as_ref().and_then(Watch::changed);
            Some(told.map(|told| told.into_iter().chain(state.unsettled.iter().cloned()).collect()))
        };
        state.excludes_mark = excludes_mark;
        let read = match jobs {
            None => self.read_all(&mut state, Depth::Anew),
            Some(None) => self.read_all(&mut state, Depth::All),
            Some(Some(folders)) => self.read_changed(&mut state, &folders),
        };
        // What was seen so far is not known to be all: the next snapshot begins anew.
        read?;
        self.rescue(&state)?;
        let id = self.write(&mut state)?;
        self.session.add(id)?;
        state.id = Some(id);
        self.state = Some(state);
        if is_first {
            // A mere cache; the snapshot stands without it.
            let _ = self.keep_stats();
        }
        Ok(id)
    }

    /// What the last session knew of this tree.
    fn remembered(&self) -> State {
        let mut state = State {
            tree: Tree::default(),
            base: None,
            id: None,
            head: String::new(),
            packs: BTreeMap::new(),
            patterns: BTreeMap::new(),
            unsettled: BTreeSet::new(),
            watch: Watch::new(&self.root),
            excludes_mark: Vec::new(),
            blobs_mark: None,
            stats_mark: None,
        };
        let known = files::read(self.dir.join("stats")).ok().and_then(|text| {
            state.stats_mark = cache::mark(&text);
            let (snapshot, stats) = cache::decode(&text)?;
            let manifest = self.store.read_manifest(&SnapshotId(snapshot)).ok()?;
            let (mut tree, _) = self.store.tree(&SnapshotId(snapshot)).ok()?;
            cache::apply(&mut tree, &stats).then_some((tree, manifest.packs))
        });
        if let Some((tree, packs)) = known {
            state.tree = tree;
            state.packs = packs
                .into_iter()
                .map(|name| (self.store.pins.has_pack(&name), name))
                .map(|(is, name)| (name, is))
                .collect();
        }
        state
    }

    fn scanner<'a>(&'a self, tree: &'a Tree, watch: Option<&'a Watch>) -> Scanner<'a> {
        Scanner {
            store: &self.store,
            policy: &self.policy,
            root: &self.root,
            own: self.own,
            git: self.repository.as_ref().map(|known| Git {
                format: known.repository.format,
                index: &known.index,
                blobs: &known.blobs,
            }),
            watch,
            old: tree,
        }
    }

    fn read_all(&self, state: &mut State, depth: Depth) -> Result<(), Error> {
        let above = self.patterns_above();
        let job = Job { path: tree::Path::from(&b""[..]), patterns: above, is_ignored: false, depth };
        let found = self.scanner(&state.tree, state.watch.as_ref()).run(vec![job])?;
        let Found { folders, patterns, unsettled, .. } = found;
        state.tree = Tree { folders };
        state.patterns = patterns;
        state.unsettled = unsettled;
        self.take_over(state, found.packs, &found.unreadable);
        Ok(())
    }

    fn read_changed(&self, state: &mut State, folders: &BTreeSet<tree::Path>) -> Result<(), Error> {
        let above = self.patterns_above();
        let jobs: Vec<Job> = folders
            .iter()
            .filter(|folder| state.tree.folders.contains_key(&***folder))
            .map(|folder| {
                let (patterns, is_ignored) = state.patterns_for(folder, above.as_ref());
                Job { path: Arc::clone(folder), patterns, is_ignored, depth: Depth::New }
            })
            .collect();
        if jobs.is_empty() {
            return Ok(());
        }
        let read: BTreeSet<tree::Path> = jobs.iter().map(|job| Arc::clone(&job.path)).collect();
        let found = self.scanner(&state.tree, state.watch.as_ref()).run(jobs)?;
        for path in read.iter().chain(found.folders.keys()) {
            state.patterns.remove(path);
            state.unsettled.remove(path);
        }
        // Folders come before what is in them.
        for (path, items) in found.folders {
            let is_there = path.is_empty() || state.tree.get(&path).is_some_and(Entry::is_folder);
            if !is_there {
                continue;
            }
            if let Some(old) = state.tree.folders.insert(Arc::clone(&path), Arc::clone(&items)) {
                let still = |item: &tree::Item| {
                    tree::find(&items, &item.name).is_some_and(|item| item.entry.is_folder())
                };
                for gone in old.iter().filter(|item| item.entry.is_folder() && !still(item)) {
                    state.forget_below(&tree::join(&path, &gone.name));
                }
            }
        }
        let is_there = |path: &tree::Path| state.tree.folders.contains_key(path);
        let patterns: Vec<_> = found.patterns.into_iter().filter(|(path, _)| is_there(path)).collect();
        let unsettled: Vec<_> = found.unsettled.into_iter().filter(is_there).collect();
        state.patterns.extend(patterns);
        state.unsettled.extend(unsettled);
        if state.tree.len() > self.policy.entries_max {
            return Err(Error::TooMany { root: self.path.clone(), max: self.policy.entries_max });
        }
        self.take_over(state, found.packs, &found.unreadable);
        Ok(())
    }

    fn take_over(&self, state: &mut State, packs: BTreeMap<PathBuf, bool>, unreadable: &[tree::Path]) {
        if !packs.is_empty() {
            self.store.pins.look_again();
        }
        for (path, is_pinned) in packs {
            if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
                state.packs.insert(name.to_owned(), is_pinned);
            }
        }
        for path in unreadable {
            let (folder, name) = tree::split(path);
            state.forget_below(path);
            if let Some(items) = state.tree.folders.get_mut(folder)
                && let Some(item) = Arc::make_mut(items).iter_mut().find(|item| *item.name == *name)
            {
                item.entry = Entry::LeftOut { why: crate::Why::Unreadable, size: 0, mtime: 0 };
            }
        }
    }

    /// Keeps the content of blobs that are neither pinned nor in the repository any more.
    fn rescue(&mut self, state: &State) -> Result<(), Error> {
        let mark = self.repository.as_ref().and_then(|known| known.blobs_mark);
        let at_risk = state.packs.values().any(|is_pinned| !is_pinned);
        if !at_risk || state.blobs_mark == mark {
            return Ok(());
        }
        let blobs = self.blobs();
        for (path, entry) in state.tree.entries() {
            let Entry::File { content, size, .. } = entry else { continue };
            let Some((format, id)) = git::blob(content) else { continue };
            if self.store.pins.holds(format, id)
                || blobs.as_ref().is_some_and(|blobs| blobs.find(id).is_some())
            {
                continue;
            }
            // It is still in the tree, unless it was changed and its blob was taken away in one go.
            let (folder, name) = tree::split(&path);
            let Ok(mut file) = self.root.descend(os(folder)).and_then(|folder| folder.open_file(os(name)))
            else {
                continue;
            };
            let mut bytes = Vec::new();
            if std::io::Read::read_to_end(&mut file, &mut bytes).is_ok()
                && format.name(*size, &mut bytes.as_slice()).is_ok_and(|name| name == *content)
            {
                self.store.pins.rescue(id, &mut bytes.as_slice())?;
            }
        }
        Ok(())
    }

    fn write(&self, state: &mut State) -> Result<SnapshotId, Error> {
        state.blobs_mark = self.repository.as_ref().and_then(|known| known.blobs_mark);
        state.head = self.repository.as_ref().map(|known| known.repository.head()).unwrap_or_default();
        let packs: Vec<String> = state.packs.keys().cloned().collect();
        if let Some(base) = &state.base {
            let differences = base.tree.differences(&state.tree);
            if differences.is_empty() && base.head == state.head && base.packs == packs {
                return Ok(base.id);
            }
            if differences.len() <= DIFFERENCES_MIN.max(state.tree.len() / 8) {
                let entries = differences.into_iter().map(|found| (found.path, found.there)).collect();
                let manifest = Manifest { base: Some(base.id.0), head: state.head.clone(), packs, entries };
                return self.store.put_manifest(&manifest);
            }
        }
        let entries = state.tree.entries().map(|(path, entry)| (path, Some(entry.clone()))).collect();
        let manifest = Manifest { base: None, head: state.head.clone(), packs, entries };
        let id = self.store.put_manifest(&manifest)?;
        let (tree, head, packs) = (state.tree.clone(), state.head.clone(), manifest.packs);
        state.base = Some(Base { id, tree, head, packs });
        Ok(id)
    }

    /// Reads of the repository what changed since.
    pub(crate) fn look_at_repository(&mut self) {
        let Some(repository) = Repository::of(&self.path) else {
            self.repository = None;
            return;
        };
        let index_mark = mark(&repository.index());
        let blobs_mark = mark(&repository.objects().join("pack"));
        let old = self.repository.take();
        let (index, blobs) = match old {
            Some(old) if old.repository.objects() == repository.objects() => (
                (old.index_mark == index_mark).then_some(old.index),
                (old.blobs_mark == blobs_mark).then_some(old.blobs),
            ),
            _ => (None, None),
        };
        let index = index.unwrap_or_else(|| read_index(&repository));
        let blobs = blobs.unwrap_or_else(|| Arc::new(Blobs::open(&repository.objects(), repository.format)));
        self.repository = Some(Known { repository, index, index_mark, blobs, blobs_mark });
    }

    /// Every file of patterns that lies outside the root, with the root's path below the folder it holds for; what
    /// counts least comes first.
    fn files_above(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let Some(Known { repository, .. }) = &self.repository else {
            return self.excludes.iter().map(|path| (path.clone(), Vec::new())).collect();
        };
        let prefix = repository.prefix.strip_suffix(b"/").unwrap_or_default();
        let mut files: Vec<_> = self.excludes.iter().map(|path| (path.clone(), prefix.to_vec())).collect();
        files.push((repository.excludes(), prefix.to_vec()));
        let between: Vec<&Path> =
            self.path.ancestors().skip(1).take_while(|folder| folder.starts_with(&repository.top)).collect();
        for folder in between.into_iter().rev() {
            let below = self.path.strip_prefix(folder).unwrap_or(Path::new(""));
            files.push((folder.join(".gitignore"), below.as_os_str().as_encoded_bytes().to_vec()));
        }
        files
    }

    fn excludes_marks(&self) -> Vec<Mark> {
        self.files_above().iter().map(|(path, _)| mark(path)).collect()
    }

    fn patterns_above(&self) -> Option<Arc<Patterns>> {
        let mut patterns: Option<Arc<Patterns>> = None;
        for (path, below) in self.files_above() {
            let text = path
                .parent()
                .zip(path.file_name())
                .and_then(|(folder, name)| ignored::read(&Folder::open(folder).ok()?, name.to_str()?));
            let Some(text) = text else { continue };
            let with = Patterns::from_above(&text, &below, patterns.clone());
            // Whoever works in an ignored folder means what is in it.
            if !is_root_ignored(&text, &below) {
                patterns = Some(with);
            }
        }
        patterns
    }
}

/// How far to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Where something changed, as far as that is told.
    Changed,
    All,
}

impl State {
    /// The patterns that hold for a folder from above, and whether it lies in an ignored one.
    fn patterns_for(&self, folder: &[u8], above: Option<&Arc<Patterns>>) -> (Option<Arc<Patterns>>, bool) {
        let mut patterns = above.cloned();
        let mut is_ignored = false;
        if folder.is_empty() {
            return (patterns, false);
        }
        let ends = folder.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        let mut parent: &[u8] = b"";
        for end in ends.chain([folder.len()]) {
            if let Some(own) = self.patterns.get(parent) {
                patterns.clone_from(own);
            }
            let path = folder.get(..end).unwrap_or_default();
            is_ignored |= Patterns::judge(patterns.as_ref(), path, true) == Verdict::Ignored;
            parent = path;
        }
        (patterns, is_ignored)
    }

    fn forget_below(&mut self, folder: &[u8]) {
        self.tree.remove_below(folder);
        let is_below = |path: &tree::Path| **path == *folder || tree::is_below(path, folder);
        self.patterns.retain(|path, _| !is_below(path));
        self.unsettled.retain(|path| !is_below(path));
        if let Some(watch) = &self.watch {
            watch.remove_below(folder);
        }
    }
}

fn is_root_ignored(text: &str, root: &[u8]) -> bool {
    let patterns = Patterns::from_above(text, b"", None);
    let ends = root.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    ends.chain([root.len()]).filter(|end| *end > 0).any(|end| {
        let path = root.get(..end).unwrap_or_default();
        Patterns::judge(Some(&patterns), path, true) == Verdict::Ignored
    })
}

fn mark(path: &Path) -> Mark {
    let (folder, name) = path.parent().zip(path.file_name())?;
    let seen = Folder::open(folder).ok()?.look(name).ok()??;
    Some((seen.mtime, seen.ctime, seen.size, seen.inode))
}

fn read_index(repository: &Repository) -> Index {
    let path = repository.index();
    let bytes = path.parent().zip(path.file_name()).and_then(|(folder, name)| {
        let file = Folder::open(folder).ok()?.open_file(name).ok()?;
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::Read::take(file, INDEX_MAX), &mut bytes).ok()?;
        Some(bytes)
    });
    let index = bytes.and_then(|bytes| Index::read(&bytes, repository.format, &repository.prefix));
    index.unwrap_or_default()
}
