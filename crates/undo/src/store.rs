//! Where snapshots are kept: contents, manifests, pins, and who needs them. One store serves all trees and processes of a
//! user. Writers hold its lock together while they write, collection holds it alone.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use codetether_files::{self as files, Durability, Folder, Lock, WriteOptions};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::entry::{Content, Entry};
use crate::git::{self, Blobs};
use crate::id::hex;
use crate::manifest::Manifest;
use crate::objects::Objects;
use crate::pins::Pins;
use crate::tree::{Tree, os};
use crate::{Error, SnapshotId};

/// No blob of git's is read that is larger, nor one that it is based on.
pub(crate) const BLOB_MAX: u64 = 512 << 20;

/// The store.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    pub(crate) objects: Objects,
    pub(crate) pins: Pins,
    pub(crate) manifests: Folder,
}

/// Nobody collects meanwhile, or nobody else writes; until the file is closed.
#[derive(Debug)]
pub(crate) struct Guard(#[allow(dead_code, reason = "it is the lock")] File);

fn lock(file: &File, how: FlockOperation) -> Result<(), Errno> {
    loop {
        match flock(file, how) {
            Err(Errno::INTR) => {}
            locked => return locked,
        }
    }
}

impl Store {
    /// Opens the store, and makes it where there is none.
    ///
    /// # Errors
    /// When its folder cannot be made or opened.
    pub fn open(dir: impl AsRef<Path>) -> Result<Arc<Self>, Error> {
        let dir = dir.as_ref().to_owned();
        for name in ["trees", "sessions", "roots"] {
            files::create_dir_private(dir.join(name))?;
        }
        Ok(Arc::new(Self {
            objects: Objects::open(&dir.join("objects"))?,
            pins: Pins::open(&dir.join("pins"))?,
            manifests: Folder::open(dir.join("trees"))?,
            dir,
        }))
    }

    /// Its folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// For those who add something and need it to stay until they have said so.
    pub(crate) fn share(&self) -> Result<Guard, Error> {
        let path = self.dir.join("lock");
        let file = files::open_append(&path, 0o600)?;
        lock(&file, FlockOperation::LockShared).map_err(|error| files::Error::new("lock", path, error))?;
        Ok(Guard(file))
    }

    /// For collection; `None` when someone is writing.
    pub(crate) fn claim(&self) -> Result<Option<Guard>, Error> {
        let path = self.dir.join("lock");
        let file = files::open_append(&path, 0o600)?;
        match lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Guard(file))),
            Err(Errno::AGAIN) => Ok(None),
            Err(error) => Err(files::Error::new("lock", path, error).into()),
        }
    }

    /// Keeps a manifest. The caller shares the store, and names the snapshot to its session before it lets go.
    pub(crate) fn put_manifest(&self, manifest: &Manifest) -> Result<SnapshotId, Error> {
        let text = manifest.encode();
        let id = SnapshotId(*blake3::hash(&text).as_bytes());
        let name = id.to_string();
        // What a crash spoilt is written again.
        if self.read_manifest(&id).is_err() {
            self.manifests.write(&name, 0o400, &mut text.as_slice())?;
        }
        Ok(id)
    }

    pub(crate) fn read_manifest(&self, id: &SnapshotId) -> Result<Manifest, Error> {
        let name = id.to_string();
        let mut text = Vec::new();
        let path = self.manifests.path().join(&name);
        match self.manifests.open_file(&name) {
            Err(error) if error.is_not_found() => return Err(Error::NoSnapshot { id: *id }),
            file => file?
                .read_to_end(&mut text)
                .map_err(|cause| Error::from(files::Error::new("read", &path, cause)))?,
        };
        if *blake3::hash(&text).as_bytes() != id.0 {
            return Err(Error::Damaged { path, why: "its content is not what its name says" });
        }
        Manifest::decode(&text).ok_or(Error::Damaged { path, why: "it is not a snapshot" })
    }

    /// The whole tree of a snapshot, and what HEAD was. For several, [`Trees`] is quicker.
    pub(crate) fn tree(&self, id: &SnapshotId) -> Result<(Tree, String), Error> {
        Trees::of(self).get(id)
    }

    /// The content of a kept file. Checked: what is not what it was is an error, at its end at the latest.
    pub(crate) fn content(
        &self,
        path: &[u8],
        content: &Content,
        size: u64,
        blobs: Option<&Blobs>,
    ) -> Result<Box<dyn Read>, Error> {
        let lost = || Error::Lost { path: os(path).to_owned() };
        let Some((format, id)) = git::blob(content) else {
            let Content::Stored(hash) = content else { return Err(lost()) };
            if !self.objects.has(hash, size) {
                return Err(lost());
            }
            return Ok(Box::new(self.objects.read(hash)?));
        };
        let found = self.pins.read(format, id, BLOB_MAX);
        let found = found.or_else(|| blobs?.read(id, BLOB_MAX));
        found.map(|content| Box::new(std::io::Cursor::new(content)) as Box<dyn Read>).ok_or_else(lost)
    }

    /// Whether the content of a file can probably be read.
    pub(crate) fn has(&self, entry: &Entry, blobs: Option<&Blobs>) -> bool {
        let Entry::File { content, size, .. } = entry else { return true };
        match (git::blob(content), content) {
            (Some((format, id)), _) => {
                self.pins.holds(format, id) || blobs.is_some_and(|blobs| blobs.find(id).is_some())
            }
            (None, Content::Stored(hash)) => self.objects.has(hash, *size),
            (None, _) => false,
        }
    }

    /// Where what belongs to one working tree is kept.
    pub(crate) fn root_dir(&self, root: &Path) -> Result<PathBuf, Error> {
        let dir = self.dir.join("roots").join(key(root));
        files::create_dir_private(&dir)?;
        Ok(dir)
    }

    pub(crate) fn sessions(&self) -> PathBuf {
        self.dir.join("sessions")
    }
}

/// Reads the trees of snapshots, and remembers the one that the last was based on: most share it.
#[derive(Debug)]
pub(crate) struct Trees<'a> {
    store: &'a Store,
    base: Option<(SnapshotId, Tree)>,
}

impl<'a> Trees<'a> {
    pub(crate) fn of(store: &'a Store) -> Self {
        Self { store, base: None }
    }

    pub(crate) fn get(&mut self, id: &SnapshotId) -> Result<(Tree, String), Error> {
        let manifest = self.store.read_manifest(id)?;
        let base = SnapshotId(manifest.base.unwrap_or(id.0));
        if self.base.as_ref().is_none_or(|(known, _)| *known != base) {
            let whole = match manifest.base {
                None => manifest.entries.clone(),
                Some(_) => self.store.read_manifest(&base)?.entries,
            };
            let entries = whole.into_iter().filter_map(|(path, entry)| Some((path, entry?)));
            self.base = Some((base, Tree::from_entries(entries)));
        }
        let tree = self.base.as_ref().map(|(_, tree)| tree.clone()).unwrap_or_default();
        let tree = if manifest.base.is_some() { tree.with(manifest.entries) } else { tree };
        Ok((tree, manifest.head))
    }
}

/// A folder's name for a path, whatever is in it.
pub(crate) fn key(root: &Path) -> String {
    let hash = blake3::hash(root.as_os_str().as_encoded_bytes());
    hex(hash.as_bytes().get(..16).unwrap_or_default())
}

/// A session and the snapshots that it needs. As long as it is open they stay.
#[derive(Debug)]
pub(crate) struct Session {
    path: PathBuf,
    file: File,
    known: BTreeSet<SnapshotId>,
    _lock: Lock,
}

impl Session {
    pub(crate) fn open(store: &Store, name: &str) -> Result<Self, Error> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if name.is_empty() || name.len() > 128 || !name.bytes().all(is_plain) {
            return Err(Error::BadName { name: name.to_owned() });
        }
        let path = store.sessions().join(name);
        // While it is locked it is not collected, so that the list stays the one that we add to.
        let lock = Lock::acquire(path.with_extension("lock"), "a session")?;
        let mut file = files::open_append(&path, 0o600)?;
        let mut text = String::new();
        let failed = |cause| Error::from(files::Error::new("read", &path, cause));
        file.read_to_string(&mut text).map_err(failed)?;
        if !text.is_empty() && !text.ends_with('\n') {
            // A half line that a crash left must not swallow the next.
            file.write_all(b"\n").map_err(|cause| Error::from(files::Error::new("write", &path, cause)))?;
        }
        let known = snapshots(&text);
        Ok(Self { path, file, known, _lock: lock })
    }

    /// From now on the snapshot stays as long as the session.
    pub(crate) fn add(&mut self, id: SnapshotId) -> Result<(), Error> {
        if self.known.contains(&id) {
            return Ok(());
        }
        self.file
            .write_all(format!("{id}\n").as_bytes())
            .map_err(|cause| files::Error::new("write", &self.path, cause))?;
        self.known.insert(id);
        Ok(())
    }
}

/// The ids in a session's list.
pub(crate) fn snapshots(text: &str) -> BTreeSet<SnapshotId> {
    text.lines().filter_map(|line| SnapshotId::parse(line).ok()).collect()
}

/// Writes a small file that others may be reading, for its owner alone.
pub(crate) fn write_private(path: &Path, text: &[u8], durability: Durability) -> Result<(), Error> {
    Ok(files::write_atomic(path, text, &WriteOptions { mode: Some(0o600), durability })?)
}
