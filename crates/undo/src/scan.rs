//! Reading a tree: what is there now, given what was there before. Threads share the folders among themselves; each
//! folder is entered by a handle that follows no link.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use codetether_files::{self as files, Folder, Seen, SeenKind};

use crate::entry::{Content, Entry, Why};
use crate::git::{self, Blobs, Format, Index, Place};
use crate::ignored::{self, Patterns, Policy, Verdict};
use crate::objects::WHOLE_MAX;
use crate::store::Store;
use crate::tree::{self, Item, Items, Path, Stat, Tree, os};
use crate::watch::Watch;
use crate::{Error, id};

/// More threads wait for each other.
const THREADS_MAX: usize = 8;

/// How often a file that changes while it is read is read again.
const READS: usize = 3;

/// Within this time the clock of a file system may not tell two changes apart, in nanoseconds.
const GRAIN: i64 = 20_000_000;

/// The same where times are whole seconds.
const COARSE_GRAIN: i64 = 2_100_000_000;

/// What is known beforehand.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    pub(crate) store: &'a Store,
    pub(crate) policy: &'a Policy,
    pub(crate) root: &'a Folder,
    /// Device and inode of the store: it is no part of the tree.
    pub(crate) own: (u64, u64),
    pub(crate) git: Option<Git<'a>>,
    pub(crate) watch: Option<&'a Watch>,
    /// What was there before.
    pub(crate) old: &'a Tree,
}

/// What a repository knows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Git<'a> {
    pub(crate) format: Format,
    pub(crate) index: &'a Index,
    pub(crate) blobs: &'a Blobs,
}

/// A folder to read.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) path: Path,
    /// Of the folders above it.
    pub(crate) patterns: Option<Arc<Patterns>>,
    /// Whether it lies in an ignored folder, where only tracked files and small ones are kept.
    pub(crate) is_ignored: bool,
    pub(crate) depth: Depth,
}

/// How far to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Folders that were there before are not entered.
    New,
    /// All folders are.
    All,
    /// All are, and whether something is left out is decided anew.
    Anew,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) folders: BTreeMap<Path, Arc<Items>>,
    /// Where patterns change: those that hold in that folder.
    pub(crate) patterns: BTreeMap<Path, Option<Arc<Patterns>>>,
    /// Folders with files that changed so recently that their stat says nothing.
    pub(crate) unsettled: BTreeSet<Path>,
    /// Folders that may not be read.
    pub(crate) unreadable: Vec<Path>,
    /// Packs that blobs were found in, and whether they are pinned.
    pub(crate) packs: BTreeMap<PathBuf, bool>,
}

/// What is still to do, and what was done.
#[derive(Debug)]
struct Shared {
    jobs: Vec<Job>,
    busy: usize,
    found: Found,
    error: Option<Error>,
}

struct Work<'a> {
    scanner: &'a Scanner<'a>,
    shared: Mutex<Shared>,
    more: Condvar,
    packs: Mutex<BTreeMap<PathBuf, bool>>,
    entries: AtomicUsize,
}

impl Scanner<'_> {
    /// Reads these folders and those below them, as far as their depth says.
    pub(crate) fn run(&self, jobs: Vec<Job>) -> Result<Found, Error> {
        let alone = jobs.len() == 1 && jobs.iter().all(|job| job.depth == Depth::New);
        let most = std::thread::available_parallelism().map_or(1, usize::from).clamp(1, THREADS_MAX);
        let threads = if alone { 1 } else { most };
        let shared = Shared { jobs, busy: 0, found: Found::default(), error: None };
        let work = Work {
            scanner: self,
            shared: Mutex::new(shared),
            more: Condvar::new(),
            packs: Mutex::default(),
            entries: AtomicUsize::new(0),
        };
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(|| work.go_on());
            }
            work.go_on();
        });
        let shared = work.shared.into_inner().unwrap_or_else(PoisonError::into_inner);
        match shared.error {
            Some(error) => Err(error),
            None => {
                let packs = work.packs.into_inner().unwrap_or_else(PoisonError::into_inner);
                Ok(Found { packs, ..shared.found })
            }
        }
    }
}

impl Work<'_> {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One thread's share.
    fn go_on(&self) {
        let mut buffer = Vec::new();
        let mut shared = self.lock();
        loop {
            if shared.error.is_some() {
                self.more.notify_all();
                return;
            }
            let Some(job) = shared.jobs.pop() else {
                if shared.busy == 0 {
                    self.more.notify_all();
                    return;
                }
                shared = self.more.wait(shared).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            shared.busy += 1;
            drop(shared);
            let done = Reading::of(self, &job).and_then(|opened| match opened {
                Opened::Reading(reading) => reading.read(&job, &mut buffer).map(Outcome::Read),
                Opened::Unreadable => Ok(Outcome::Unreadable),
                Opened::Gone => Ok(Outcome::Gone),
            });
            shared = self.lock();
            shared.busy -= 1;
            match done {
                Err(error) => shared.error = Some(error),
                Ok(Outcome::Unreadable) => shared.found.unreadable.push(job.path),
                Ok(Outcome::Gone) => {}
                Ok(Outcome::Read(done)) => {
                    if done.patterns_change {
                        shared.found.patterns.insert(Path::clone(&job.path), done.patterns);
                    }
                    if done.is_unsettled {
                        shared.found.unsettled.insert(Path::clone(&job.path));
                    }
                    shared.found.folders.insert(job.path, done.items);
                    shared.jobs.extend(done.below);
                }
            }
            self.more.notify_all();
        }
    }

    /// Whether a blob can be relied on: it is there, and pinned as far as that can be.
    fn refer(&self, git: Git<'_>, content: &Content) -> bool {
        let Some((_, id)) = git::blob(content) else { return false };
        match git.blobs.find(id) {
            None => self.scanner.store.pins.has(id),
            Some(Place::Loose(path)) => self.scanner.store.pins.pin_loose(&path, id),
            Some(Place::Packed(path)) => {
                let mut packs = self.packs.lock().unwrap_or_else(PoisonError::into_inner);
                // Where it cannot be pinned it is referred to all the same, and looked for again whenever packs change.
                packs.entry(path).or_insert_with_key(|path| self.scanner.store.pins.pin_pack(path));
                true
            }
        }
    }
}

/// What became of opening a folder.
enum Opened<'a> {
    Reading(Reading<'a>),
    Unreadable,
    Gone,
}

/// What became of a folder.
enum Outcome {
    Read(Done),
    Unreadable,
    Gone,
}

/// A folder that is being read.
struct Reading<'a> {
    work: &'a Work<'a>,
    folder: Folder,
    device: u64,
    old: Option<&'a Arc<Items>>,
    patterns: Option<Arc<Patterns>>,
    patterns_change: bool,
    names: Vec<Box<[u8]>>,
}

/// A folder that was read.
struct Done {
    items: Arc<Items>,
    below: Vec<Job>,
    is_unsettled: bool,
    patterns: Option<Arc<Patterns>>,
    patterns_change: bool,
}

impl<'a> Reading<'a> {
    fn of(work: &'a Work<'a>, job: &Job) -> Result<Opened<'a>, Error> {
        let scanner = work.scanner;
        let old = scanner.old.folders.get(&job.path);
        let folder = match scanner.root.descend(os(&job.path)) {
            Ok(folder) => folder,
            Err(error) if error.kind() == ErrorKind::PermissionDenied => return Ok(Opened::Unreadable),
            Err(error) if is_gone(&error) => return Ok(Opened::Gone),
            Err(error) => return Err(error.into()),
        };
        if let Some(watch) = scanner.watch {
            watch.add(&job.path, &folder);
        }
        let device = folder.look_at_self()?.device;
        let mut names: Vec<Box<[u8]>> = Vec::new();
        let (mut is_repository, mut has_patterns) = (false, false);
        for name in folder.names()? {
            match name.as_bytes() {
                b".git" => is_repository = true,
                name => {
                    has_patterns |= name == b".gitignore";
                    names.push(name.into());
                }
            }
        }
        names.sort_unstable();
        let entries = work.entries.fetch_add(names.len(), Ordering::Relaxed) + names.len();
        if entries > scanner.policy.entries_max {
            let root = scanner.root.path().to_owned();
            return Err(Error::TooMany { root, max: scanner.policy.entries_max });
        }
        // A repository in the tree has patterns of its own alone.
        let is_nested = is_repository && !job.path.is_empty();
        let above = if is_nested { None } else { job.patterns.clone() };
        let patterns = if has_patterns { Patterns::enter(above.as_ref(), &job.path, &folder) } else { above };
        let patterns_change = has_patterns || is_nested;
        Ok(Opened::Reading(Self { work, folder, device, old, patterns, patterns_change, names }))
    }

    fn read(mut self, job: &Job, buffer: &mut Vec<u8>) -> Result<Done, Error> {
        let names = std::mem::take(&mut self.names);
        let was = self.old.map_or(&[][..], |items| items.as_slice());
        let mut was_next = was.iter().peekable();
        let mut items = Items::with_capacity(names.len());
        let (mut below, mut is_same, mut is_unsettled) = (Vec::new(), self.old.is_some(), false);
        let depth = self.depth(job, &names, was)?;
        for name in names {
            while was_next.next_if(|item| *item.name < *name).is_some() {}
            let old = was_next.next_if(|item| *item.name == *name);
            let Some(seen) = self.folder.look(os(&name))? else { continue };
            let path = tree::join(&job.path, &name);
            let item = match seen.kind {
                SeenKind::Folder => {
                    let next = self.folder_below(job, depth, &path, &name, old, &seen);
                    // Another folder may have the name by now.
                    let is_new =
                        !old.is_some_and(|old| old.entry.is_folder() && old.stat.inode == seen.inode);
                    let entry = match next {
                        Err(why) => Entry::LeftOut { why, size: 0, mtime: 0 },
                        Ok(next) => {
                            if is_new {
                                // All of it is new then.
                                below.push(Job { depth: depth.max_all(), ..next });
                            } else if depth != Depth::New {
                                below.push(next);
                            }
                            Entry::Folder { mode: seen.mode }
                        }
                    };
                    Some((entry, Stat { inode: seen.inode, ..Stat::UNKNOWN }))
                }
                SeenKind::File => self.file(job, depth, &path, &name, old, &seen, buffer)?,
                SeenKind::Link => self.link(&name, old, &seen)?,
                SeenKind::Other => {
                    Some((Entry::LeftOut { why: Why::Special, size: 0, mtime: 0 }, Stat::UNKNOWN))
                }
            };
            let Some((entry, stat)) = item else { continue };
            is_same &= old.is_some_and(|old| old.entry == entry && old.stat == stat);
            is_unsettled |= !stat.is_known() && matches!(entry, Entry::File { .. } | Entry::Link { .. });
            items.push(Item { name, entry, stat });
        }
        let items = match self.old {
            Some(old) if is_same && old.len() == items.len() => Arc::clone(old),
            _ => Arc::new(items),
        };
        let (patterns, patterns_change) = (self.patterns, self.patterns_change);
        Ok(Done { items, below, is_unsettled, patterns, patterns_change })
    }

    /// When a folder's patterns changed, all below it is judged anew.
    fn depth(&self, job: &Job, names: &[Box<[u8]>], was: &[Item]) -> Result<Depth, Error> {
        let now = if names.iter().any(|name| **name == *b".gitignore") {
            self.folder.look(".gitignore")?
        } else {
            None
        };
        let is_same = match (tree::find(was, b".gitignore"), now) {
            (None, None) => true,
            (Some(old), Some(seen)) => old.still_holds(&seen),
            _ => false,
        };
        Ok(if is_same || self.old.is_none() { job.depth } else { Depth::Anew })
    }

    fn is_ignored(&self, job: &Job, path: &[u8], is_folder: bool) -> bool {
        job.is_ignored || Patterns::judge(self.patterns.as_ref(), path, is_folder) == Verdict::Ignored
    }

    fn folder_below(
        &self,
        job: &Job,
        depth: Depth,
        path: &[u8],
        name: &[u8],
        old: Option<&Item>,
        seen: &Seen,
    ) -> Result<Job, Why> {
        let scanner = self.work.scanner;
        if (seen.device, seen.inode) == scanner.own {
            return Err(Why::Store);
        }
        if self.device != seen.device {
            return Err(Why::Mount);
        }
        let is_tracked = scanner.git.is_some_and(|git| git.index.folder(path));
        let is_ignored = self.is_ignored(job, path, true);
        if is_ignored && !is_tracked {
            return Err(Why::IgnoredFolder);
        }
        let is_decided = depth != Depth::Anew && old.is_some_and(|old| old.entry.is_folder());
        if !is_tracked && !is_decided && ignored::is_generated(&self.folder, name) {
            return Err(Why::Generated);
        }
        Ok(Job { path: path.into(), patterns: self.patterns.clone(), is_ignored, depth })
    }

    #[allow(clippy::too_many_arguments, reason = "what is known of one name")]
    fn file(
        &self,
        job: &Job,
        depth: Depth,
        path: &[u8],
        name: &[u8],
        old: Option<&Item>,
        seen: &Seen,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<(Entry, Stat)>, Error> {
        let scanner = self.work.scanner;
        let same = old.filter(|old| old.still_holds(seen));
        let is_out = same.is_some_and(|old| !old.entry.is_kept());
        if let Some(old) = same
            && !is_out
            && depth != Depth::Anew
        {
            return Ok(Some((old.entry.clone(), old.stat)));
        }
        let tracked = scanner.git.and_then(|git| git.index.file(path));
        if let Some(old) = same
            && is_out
            && depth != Depth::Anew
            && tracked.is_none()
        {
            return Ok(Some((old.entry.clone(), old.stat)));
        }
        let is_ignored = tracked.is_none() && self.is_ignored(job, path, false);
        let verdict = if is_ignored { Verdict::Ignored } else { Verdict::Kept };
        let left_out =
            |why| Some((Entry::LeftOut { why, size: seen.size, mtime: seen.mtime }, Stat::of(seen)));
        if let Some(why) = scanner.policy.leaves_out(seen.size, verdict) {
            return Ok(left_out(why));
        }
        if let Some(old) = same.filter(|_| !is_out) {
            return Ok(Some((old.entry.clone(), old.stat)));
        }
        let mut read = None;
        for _ in 0..READS {
            let now = now();
            let mut file = match self.folder.open_file(os(name)) {
                Ok(file) => file,
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                    return Ok(left_out(Why::Unreadable));
                }
                Err(error) if is_gone(&error) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let failed =
                |cause| Error::from(files::Error::new("read", self.folder.path().join(os(name)), cause));
            let first = Folder::look_at_open(&file).map_err(failed)?;
            let was = old.map(|old| &old.entry);
            let kept =
                self.keep(&mut file, first.size, tracked, was, buffer).map_err(|fault| match fault {
                    Fault::Reading(cause) => failed(cause),
                    Fault::Keeping(error) => error,
                })?;
            let last = Folder::look_at_open(&file).map_err(failed)?;
            let Some((content, size)) = kept else { continue };
            let is_settled = first == last && has_settled(last.ctime, now);
            let stat = if is_settled { Stat::of(&last) } else { Stat::UNKNOWN };
            read = Some((Entry::File { mode: last.mode, size, content }, stat));
            if first == last {
                break;
            }
        }
        // A log that someone writes to all the time is kept as far as it was read.
        Ok(read.or_else(|| left_out(Why::Unreadable)))
    }

    /// The content of an open file, and its length; `None` when it changes while it is read.
    fn keep(
        &self,
        file: &mut std::fs::File,
        size: u64,
        tracked: Option<Content>,
        was: Option<&Entry>,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<(Content, u64)>, Fault> {
        let scanner = self.work.scanner;
        let was = match was {
            Some(Entry::File { content, size: length, .. }) if *length == size => Some(*content),
            _ => None,
        };
        let is_whole = size <= WHOLE_MAX;
        if is_whole {
            buffer.clear();
            file.take(WHOLE_MAX + 1).read_to_end(buffer).map_err(Fault::Reading)?;
            if buffer.len() as u64 > WHOLE_MAX {
                return Ok(None);
            }
            // The name that it had is kept: two names of one content would look like a change.
            if let Some(Content::Stored(hash)) = was
                && *blake3::hash(buffer).as_bytes() == hash
                && scanner.store.objects.has(&hash, size)
            {
                return Ok(Some((Content::Stored(hash), size)));
            }
        }
        if let Some(git) = scanner.git
            && [was, tracked].iter().flatten().any(|content| git::blob(content).is_some())
        {
            let name = if is_whole {
                git.format.name(buffer.len() as u64, &mut buffer.as_slice())
            } else {
                git.format.name(size, file)
            };
            let name = name.map_err(Fault::Reading)?;
            if [was, tracked].contains(&Some(name)) && self.work.refer(git, &name) {
                return Ok(Some((name, if is_whole { buffer.len() as u64 } else { size })));
            }
        }
        if is_whole {
            let hash = scanner.store.objects.put(buffer).map_err(Fault::Keeping)?;
            return Ok(Some((Content::Stored(hash), buffer.len() as u64)));
        }
        file.seek(SeekFrom::Start(0)).map_err(Fault::Reading)?;
        let kept = scanner.store.objects.put_file(file).map_err(Fault::Keeping)?;
        Ok(kept.map(|(hash, size)| (Content::Stored(hash), size)))
    }

    fn link(&self, name: &[u8], old: Option<&Item>, seen: &Seen) -> Result<Option<(Entry, Stat)>, Error> {
        if let Some(old) = old.filter(|old| old.still_holds(seen)) {
            return Ok(Some((old.entry.clone(), old.stat)));
        }
        let now = now();
        match self.folder.read_link(os(name)) {
            Ok(target) => {
                let stat = if has_settled(seen.ctime, now) { Stat::of(seen) } else { Stat::UNKNOWN };
                Ok(Some((Entry::Link { target: target.as_os_str().as_bytes().into() }, stat)))
            }
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whose fault it is that a file is not kept.
enum Fault {
    Reading(io::Error),
    Keeping(Error),
}

impl Depth {
    fn max_all(self) -> Self {
        if self == Self::New { Self::All } else { self }
    }
}

/// It is not there any more, or has become something else since it was looked at.
fn is_gone(error: &files::Error) -> bool {
    let kind = error.kind();
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidInput)
}

/// The time, as files get it.
fn now() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    now.tv_sec.saturating_mul(1_000_000_000).saturating_add(now.tv_nsec)
}

/// Whether a change after `now` would show in the ctime.
fn has_settled(ctime: i64, now: i64) -> bool {
    let grain = if ctime % 1_000_000_000 == 0 { COARSE_GRAIN } else { GRAIN };
    ctime.saturating_add(grain) < now
}

/// The name of a file's content, as it is named elsewhere; `None` when it cannot be read.
pub(crate) fn name_as(file: &mut std::fs::File, size: u64, like: &Content) -> Option<Content> {
    match git::blob(like) {
        Some((format, _)) => format.name(size, file).ok(),
        None => {
            let mut hasher = blake3::Hasher::new();
            hasher.update_reader(file).ok()?;
            let hash: id::Hash = *hasher.finalize().as_bytes();
            Some(Content::Stored(hash))
        }
    }
}
