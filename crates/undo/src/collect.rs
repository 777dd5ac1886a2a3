//! Keeping the store within a budget: sessions that ended are dropped whole, the longest unused first, then all that no
//! session needs any more.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use codetether_files::{self as files, Lock};

use crate::entry::{Content, Entry};
use crate::id::Hash;
use crate::pins::Pin;
use crate::restore::Intent;
use crate::store::{Store, snapshots};
use crate::{Error, SnapshotId};

/// How much may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// In bytes of content and manifests. Open sessions may take more.
    pub bytes: u64,
}

/// What collection came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Collected {
    /// Sessions whose snapshots are gone.
    pub sessions: usize,
    /// Bytes that were freed.
    pub freed: u64,
    /// Bytes that are kept.
    pub kept: u64,
    /// Someone was taking a snapshot or restoring one, so nothing was done.
    pub was_busy: bool,
}

/// A session's list.
struct Listed {
    path: PathBuf,
    changed: std::time::SystemTime,
    /// While we hold it the session cannot be opened; `None` when it is open.
    lock: Option<Lock>,
    snapshots: BTreeSet<SnapshotId>,
}

/// What is needed.
#[derive(Debug, Default)]
struct Needed {
    manifests: BTreeSet<SnapshotId>,
    objects: BTreeSet<Hash>,
    blobs: BTreeSet<Content>,
    packs: BTreeSet<String>,
    bytes: u64,
}

impl Store {
    /// Frees what is above the budget; does nothing while it is not reached.
    ///
    /// # Errors
    /// When the store cannot be read, or something cannot be removed: the rest is then removed the next time.
    pub fn collect(&self, budget: Budget) -> Result<Collected, Error> {
        let size = self.size()?;
        if size <= budget.bytes {
            return Ok(Collected { kept: size, ..Collected::default() });
        }
        let Some(_guard) = self.claim()? else {
            return Ok(Collected { kept: size, was_busy: true, ..Collected::default() });
        };
        let mut sessions = self.listed()?;
        // Open ones first, then the last used.
        sessions.sort_by_key(|session| (session.lock.is_some(), std::cmp::Reverse(session.changed)));
        let sizes = self.pin_sizes()?;
        let mut needed = self.needed_by_intents(&sizes)?;
        let mut dropped = Vec::new();
        for session in &sessions {
            let is_open = session.lock.is_none();
            if !is_open && !dropped.is_empty() {
                dropped.push(session);
                continue;
            }
            let mut more = Needed::default();
            for snapshot in &session.snapshots {
                self.need(&needed, &mut more, &sizes, snapshot)?;
            }
            if is_open || needed.bytes + more.bytes <= budget.bytes {
                needed.take_over(more);
            } else {
                dropped.push(session);
            }
        }
        for session in &dropped {
            files::remove_file(&session.path)?;
        }
        self.sweep(&needed)?;
        for session in &dropped {
            // Nobody waits for it: whoever opens the session makes another.
            files::remove_file(session.path.with_extension("lock"))?;
        }
        let kept = self.size()?;
        Ok(Collected { sessions: dropped.len(), freed: size.saturating_sub(kept), kept, was_busy: false })
    }

    /// Bytes of content, manifests and pins that have no other name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn size(&self) -> Result<u64, Error> {
        let mut size: u64 = self.objects.list()?.iter().map(|(_, size)| size).sum();
        size += self.pins.list()?.iter().map(|(_, size)| size).sum::<u64>();
        for name in self.manifests.names()? {
            size += self.manifests.look(&name)?.map_or(0, |seen| seen.size);
        }
        Ok(size)
    }

    fn listed(&self) -> Result<Vec<Listed>, Error> {
        let dir = self.sessions();
        let mut listed = Vec::new();
        for name in codetether_files::Folder::open(&dir)?.names()? {
            let path = dir.join(&name);
            if path.extension().is_some() {
                continue;
            }
            let lock = Lock::acquire(path.with_extension("lock"), "collection").ok();
            let Ok(text) = files::read_to_string(&path) else { continue };
            let changed = std::fs::metadata(&path).and_then(|file| file.modified());
            let changed = changed.unwrap_or(std::time::SystemTime::UNIX_EPOCH);
            listed.push(Listed { path, changed, lock, snapshots: snapshots(&text) });
        }
        Ok(listed)
    }

    fn pin_sizes(&self) -> Result<PinSizes, Error> {
        let mut sizes = PinSizes::default();
        for (pin, size) in self.pins.list()? {
            match pin {
                Pin::Pack(name) => *sizes.packs.entry(name).or_default() += size,
                Pin::Blob(content, _) => *sizes.blobs.entry(content).or_default() += size,
            }
        }
        Ok(sizes)
    }

    /// An undo that was interrupted can be finished, however old it is.
    fn needed_by_intents(&self, sizes: &PinSizes) -> Result<Needed, Error> {
        let (nothing, mut needed) = (Needed::default(), Needed::default());
        let roots = codetether_files::Folder::open(self.dir().join("roots"))?;
        for name in roots.names()? {
            let Ok(text) = files::read(roots.path().join(name).join("restoring")) else { continue };
            let Some(intent) = Intent::decode(&text) else { continue };
            self.need(&nothing, &mut needed, sizes, &intent.now)?;
            for wish in intent.moves.iter().map(|(_, wish)| wish) {
                for entry in [&wish.from, &wish.to].into_iter().flatten() {
                    needed.add(&nothing, sizes, entry);
                }
            }
            // Which packs its blobs are in is not said.
            for name in sizes.packs.keys() {
                needed.add_pack(&nothing, sizes, name);
            }
        }
        Ok(needed)
    }

    /// Adds to `more` what a snapshot needs and `needed` does not hold already.
    fn need(
        &self,
        needed: &Needed,
        more: &mut Needed,
        sizes: &PinSizes,
        snapshot: &SnapshotId,
    ) -> Result<(), Error> {
        if needed.manifests.contains(snapshot) || more.manifests.contains(snapshot) {
            return Ok(());
        }
        let manifest = match self.read_manifest(snapshot) {
            Ok(manifest) => manifest,
            // What it needed nobody can tell any more.
            Err(Error::NoSnapshot { .. } | Error::Damaged { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        more.manifests.insert(*snapshot);
        more.bytes += self.manifests.look(snapshot.to_string())?.map_or(0, |seen| seen.size);
        for entry in manifest.entries.iter().filter_map(|(_, entry)| entry.as_ref()) {
            more.add(needed, sizes, entry);
        }
        for name in &manifest.packs {
            more.add_pack(needed, sizes, name);
        }
        match manifest.base {
            Some(base) => self.need(needed, more, sizes, &SnapshotId(base)),
            None => Ok(()),
        }
    }

    fn sweep(&self, needed: &Needed) -> Result<(), Error> {
        // Manifests first: what is left of a sweep that was interrupted names nothing that is gone.
        for name in self.manifests.names()? {
            let id = name.to_str().and_then(|name| SnapshotId::parse(name).ok());
            if id.is_some_and(|id| !needed.manifests.contains(&id)) {
                self.manifests.remove(&name)?;
            }
        }
        for (hash, _) in self.objects.list()? {
            if !needed.objects.contains(&hash) {
                self.objects.remove(&hash)?;
            }
        }
        let mut packs = BTreeSet::new();
        for (pin, _) in self.pins.list()? {
            let is_needed = match &pin {
                Pin::Pack(name) => needed.packs.contains(name) || !packs.insert(name.clone()),
                Pin::Blob(content, _) => needed.blobs.contains(content),
            };
            if !is_needed {
                self.pins.remove(&pin)?;
            }
        }
        self.pins.look_again();
        self.manifests.remove_unfinished()?;
        self.objects.remove_unfinished()?;
        self.pins.remove_unfinished()
    }
}

impl Needed {
    fn add(&mut self, known: &Self, sizes: &PinSizes, entry: &Entry) {
        let Entry::File { content, size, .. } = entry else { return };
        if let Content::Stored(hash) = content {
            if !known.objects.contains(hash) && self.objects.insert(*hash) {
                self.bytes += size;
            }
        } else if !known.blobs.contains(content) && self.blobs.insert(*content) {
            self.bytes += sizes.blobs.get(content).copied().unwrap_or(0);
        }
    }

    fn add_pack(&mut self, known: &Self, sizes: &PinSizes, name: &str) {
        if !known.packs.contains(name) && self.packs.insert(name.to_owned()) {
            self.bytes += sizes.packs.get(name).copied().unwrap_or(0);
        }
    }

    fn take_over(&mut self, more: Self) {
        self.manifests.extend(more.manifests);
        self.objects.extend(more.objects);
        self.blobs.extend(more.blobs);
        self.packs.extend(more.packs);
        self.bytes += more.bytes;
    }
}

/// The room that pins take; none while the repository has the file as well.
#[derive(Debug, Default)]
struct PinSizes {
    packs: BTreeMap<String, u64>,
    blobs: BTreeMap<Content, u64>,
}
