//! Blobs: bytes that never change, each a file named by the hash of its content. Never trusts a name or a file:
//! ids come from other files, and what is read is checked against its hash.

use std::fs::{File, Metadata, Permissions};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use codetether_event::BlobId;

use crate::atomic::{Permission, replace_at};
use crate::{Durability, Error, create_dir_private, open_read, remove_file, sync_dir};

/// Blobs that wait for [`BlobStore::sync`]; the next one syncs them first.
const WAITING_MAX: usize = 64;

/// Larger blobs are synced as they are put, so that a later sync stays short.
const WAITING_SIZE: u64 = 1 << 20;

/// The mode of a blob that is not known to be on the disk.
const UNSYNCED: u32 = 0o600;

/// The mode of a blob whose content and name the disk has. The next owner of the folder goes by it.
const SYNCED: u32 = 0o400;

/// A folder of blobs. Clones share it.
#[derive(Debug, Clone)]
pub struct BlobStore {
    dir: PathBuf,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// Held by the one that syncs.
    syncing: Mutex<()>,
}

/// What is not known to be on the disk.
#[derive(Debug, Default)]
struct Waiting {
    files: Vec<PathBuf>,
    /// There may be more in the folder, left by a process that was killed or by a sync that failed.
    has_others: bool,
    /// The folder was made here.
    is_dir_new: bool,
}

impl BlobStore {
    /// Names the folder; it is made, for its owner alone, when the first blob is put.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), shared: Arc::default() }
    }

    /// Takes over a folder from a process that may have ended before it synced: the first [`sync`](Self::sync) sees
    /// to its blobs too.
    #[must_use]
    pub fn take_over(dir: impl Into<PathBuf>) -> Self {
        let store = Self::new(dir);
        store.waiting().has_others = true;
        store
    }

    /// Keeps the bytes; writes nothing when they are kept already. They survive the end of the process at once, and
    /// a loss of power after [`sync`](Self::sync).
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn put(&self, bytes: &[u8]) -> Result<BlobId, Error> {
        let id = BlobId::new(blake3::hash(bytes).to_hex().as_str());
        let path = self.path(&id)?;
        if let Some(there) = there(&path, bytes.len() as u64)
            && holds(&path, bytes)
        {
            self.keep(path, &there)?;
            return Ok(id);
        }
        self.make_room()?;
        let durability = durability(bytes.len() as u64);
        let dir = self.open_dir()?;
        replace_at(dir.as_fd(), Path::new(id.as_str()), bytes, Permission::Exactly(UNSYNCED), durability)
            .map_err(Error::of("write", &path))?;
        self.wait_for(path);
        Ok(id)
    }

    /// Keeps a file by moving it in; it is gone from where it was. For files too large for memory. Nobody may be
    /// writing it any more.
    ///
    /// # Errors
    /// When it cannot be read or moved; then it is still where it was.
    pub fn put_file(&self, file: impl AsRef<Path>) -> Result<BlobId, Error> {
        let source = file.as_ref();
        let content = open_read(source)?;
        let id = hash(&content).map_err(Error::of("read", source))?;
        let path = self.path(&id)?;
        let length = content.metadata().map_err(Error::of("read", source))?.len();
        if let Some(there) = there(&path, length)
            && open_read(&path).is_ok_and(|kept| hash(&kept).is_ok_and(|kept| kept == id))
        {
            self.keep(path, &there)?;
            remove_file(source)?;
            return Ok(id);
        }
        self.make_room()?;
        let dir = self.open_dir()?;
        content.set_permissions(Permissions::from_mode(UNSYNCED)).map_err(Error::of("move", source))?;
        if durability(length) == Durability::Synced {
            content.sync_data().map_err(Error::of("sync", source))?;
        }
        match std::fs::rename(source, &path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => copy_in(source, &dir, &path)?,
            Err(error) => return Err(Error::new("move", source, error)),
        }
        self.wait_for(path);
        Ok(id)
    }

    /// Gives another folder all blobs of this one, on the disk: what only waited here is synced here first. Blobs
    /// put meanwhile may be left out.
    ///
    /// # Errors
    /// When they cannot be read, linked or synced; some may be there then.
    pub fn copy_to(&self, folder: impl AsRef<Path>) -> Result<(), Error> {
        let folder = folder.as_ref();
        let names = self.names()?;
        if names.is_empty() {
            return Ok(());
        }
        Self::take_over(&self.dir).sync()?;
        create_dir_private(folder)?;
        for (from, _) in names {
            let Some(name) = from.file_name() else { continue };
            let to = folder.join(name);
            match std::fs::hard_link(&from, &to) {
                Ok(()) => {}
                // Removed since, or there already: a copy would empty both if they are one file.
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists) => {}
                Err(_) => {
                    std::fs::copy(&from, &to)
                        .and_then(|_| File::open(&to)?.sync_all())
                        .map_err(Error::of("copy", &from))?;
                }
            }
        }
        sync_dir(folder)
    }

    /// The bytes.
    ///
    /// # Errors
    /// When there is no such blob, the id is not one, or the content is not what it was.
    pub fn get(&self, id: &BlobId) -> Result<Vec<u8>, Error> {
        let path = self.path(id)?;
        let bytes = crate::read(&path)?;
        if blake3::hash(&bytes).to_hex().as_str() == id.as_str() {
            Ok(bytes)
        } else {
            let cause = io::Error::new(io::ErrorKind::InvalidData, "its content is not what its name says");
            Err(Error::new("read", path, cause))
        }
    }

    /// Where the blob is, if it is there.
    ///
    /// # Errors
    /// When the id is not 64 lower-case hexadecimal digits.
    pub fn path(&self, id: &BlobId) -> Result<PathBuf, Error> {
        let name = id.as_str();
        if is_id(name) {
            return Ok(self.dir.join(name));
        }
        let cause = io::Error::new(io::ErrorKind::InvalidInput, "it is not the id of a blob");
        Err(Error::new("find", name.escape_debug().to_string(), cause))
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Waits until all blobs put through this store and its clones are on the disk, and so are their names. Costs
    /// nothing when they are.
    ///
    /// # Errors
    /// When the disk fails; those not synced are tried again next time.
    pub fn sync(&self) -> Result<(), Error> {
        // A second caller does not return before the first is done; those who put do not wait for either.
        let _only = self.shared.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = std::mem::take(&mut *self.waiting());
        let synced = self.sync_these(&waiting);
        if synced.is_err() {
            let mut again = self.waiting();
            again.has_others = true;
            again.is_dir_new |= waiting.is_dir_new;
        }
        synced
    }

    fn sync_these(&self, waiting: &Waiting) -> Result<(), Error> {
        let mut files = waiting.files.clone();
        if waiting.has_others {
            let others = self
                .names()?
                .into_iter()
                .filter(|(path, file)| !is_synced(file) && !waiting.files.contains(path));
            files.extend(others.map(|(path, _)| path));
        }
        for paths in files.chunks(WAITING_MAX) {
            let mut synced = Vec::with_capacity(paths.len());
            for path in paths {
                match open_read(path) {
                    Ok(file) => {
                        file.sync_data().map_err(Error::of("sync", path))?;
                        synced.push(file);
                    }
                    // Removed since, with its session.
                    Err(error) if error.is_not_found() => {}
                    Err(error) => return Err(error),
                }
            }
            if synced.is_empty() {
                continue;
            }
            sync_dir(&self.dir)?;
            if (waiting.is_dir_new || waiting.has_others)
                && let Some(parent) = self.dir.parent()
            {
                sync_dir(if parent == Path::new("") { Path::new(".") } else { parent })?;
            }
            for file in synced {
                // Without the mark it is synced once more by the next owner, no worse.
                let _ = file.set_permissions(Permissions::from_mode(SYNCED));
            }
        }
        Ok(())
    }

    /// All blobs, those that are on their way in left out.
    fn names(&self) -> Result<Vec<(PathBuf, Metadata)>, Error> {
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::new("list", &self.dir, error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(Error::of("list", &self.dir))?;
            if !entry.file_name().to_str().is_some_and(is_id) {
                continue;
            }
            match entry.metadata() {
                Ok(file) if file.is_file() => names.push((entry.path(), file)),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::new("look at", entry.path(), error)),
            }
        }
        Ok(names)
    }

    fn open_dir(&self) -> Result<File, Error> {
        match open_read(&self.dir) {
            Err(error) if error.is_not_found() => {
                create_dir_private(&self.dir)?;
                self.waiting().is_dir_new = true;
                open_read(&self.dir)
            }
            opened => opened,
        }
    }

    /// Bounds what a later sync has to do.
    fn make_room(&self) -> Result<(), Error> {
        let is_full = self.waiting().files.len() >= WAITING_MAX;
        if is_full { self.sync() } else { Ok(()) }
    }

    /// Sees to it that a blob that is there gets to the disk, whoever put it.
    fn keep(&self, path: PathBuf, file: &Metadata) -> Result<(), Error> {
        if !is_synced(file) && !self.waiting().files.contains(&path) {
            self.make_room()?;
            self.wait_for(path);
        }
        Ok(())
    }

    fn wait_for(&self, path: PathBuf) {
        self.waiting().files.push(path);
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_id(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_synced(file: &Metadata) -> bool {
    file.permissions().mode() & 0o777 == SYNCED
}

fn durability(bytes: u64) -> Durability {
    if bytes <= WAITING_SIZE { Durability::Cached } else { Durability::Synced }
}

/// A file of this length; a shorter one is what a crash left.
fn there(path: &Path, bytes: u64) -> Option<Metadata> {
    std::fs::metadata(path).ok().filter(|file| file.is_file() && file.len() == bytes)
}

/// Whether a file begins with these bytes.
fn holds(path: &Path, bytes: &[u8]) -> bool {
    let Ok(mut file) = File::open(path) else { return false };
    let mut buffer = vec![0; bytes.len().min(64 << 10)];
    bytes.chunks(64 << 10).all(|expected| {
        buffer.get_mut(..expected.len()).is_some_and(|got| file.read_exact(got).is_ok() && got == expected)
    })
}

fn hash(content: &File) -> io::Result<BlobId> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(content)?;
    Ok(BlobId::new(hasher.finalize().to_hex().as_str()))
}

/// Moves a file in from another file system.
fn copy_in(source: &Path, dir: &File, path: &Path) -> Result<(), Error> {
    let temporary = path.with_file_name(crate::atomic::temporary_name());
    let copied = std::fs::copy(source, &temporary)
        .and_then(|_| File::open(&temporary)?.sync_data())
        .and_then(|()| std::fs::rename(&temporary, path))
        .and_then(|()| dir.sync_all());
    if copied.is_err() {
        // The first error is the one to tell.
        let _ = std::fs::remove_file(&temporary);
    }
    copied.map_err(Error::of("move", source))?;
    remove_file(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, BlobStore) {
        let dir = tempfile::tempdir().unwrap();
        let store = BlobStore::new(dir.path().join("blobs"));
        (dir, store)
    }

    #[test]
    fn bytes_come_back_and_are_kept_once_for_their_owner_alone() {
        let (_dir, store) = store();
        let id = store.put(b"abc").unwrap();
        assert_eq!(id.as_str(), "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
        let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(path).unwrap());
        let path = store.path(&id).unwrap();
        let first = inode(&path);
        assert_eq!(store.put(b"abc").unwrap(), id);
        assert_eq!(inode(&path), first);
        assert_eq!(store.get(&id).unwrap(), b"abc");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(store.dir())), (0o600, 0o700));
        store.sync().unwrap();
        store.sync().unwrap();
        assert_eq!(mode(&path), 0o400);
        assert_eq!(std::fs::read_dir(store.dir()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_is_moved_in() {
        let (dir, store) = store();
        for _ in 0..2 {
            let file = dir.path().join("spool");
            std::fs::write(&file, "abc").unwrap();
            let id = store.put_file(&file).unwrap();
            assert_eq!(store.get(&id).unwrap(), b"abc");
            assert!(!file.exists());
        }
    }

    #[test]
    fn an_id_cannot_name_another_file() {
        let (dir, store) = store();
        store.put(b"x").unwrap();
        std::fs::write(dir.path().join("secret"), "s").unwrap();
        for wrong in ["../secret", "", &"A".repeat(64), &"a".repeat(63), &format!("{}/", "a".repeat(63))] {
            let error = store.get(&BlobId::new(wrong)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{wrong}");
        }
    }

    #[test]
    fn changed_content_is_an_error_and_a_spoilt_blob_is_written_again() {
        let (dir, store) = store();
        let id = store.put(b"abc").unwrap();
        let path = store.path(&id).unwrap();
        std::fs::write(&path, "abd").unwrap();
        assert_eq!(store.get(&id).unwrap_err().kind(), io::ErrorKind::InvalidData);
        for spoilt in ["", "abd"] {
            std::fs::write(&path, spoilt).unwrap();
            assert_eq!(store.put(b"abc").unwrap(), id);
            assert_eq!(store.get(&id).unwrap(), b"abc");
            std::fs::write(&path, spoilt).unwrap();
            let file = dir.path().join("spool");
            std::fs::write(&file, "abc").unwrap();
            assert_eq!(store.put_file(&file).unwrap(), id);
            assert_eq!(store.get(&id).unwrap(), b"abc");
        }
    }

    #[test]
    fn a_spoilt_blob_of_many_pages_is_written_again() {
        let (_dir, store) = store();
        let mut bytes = vec![7; 200_000];
        let id = store.put(&bytes).unwrap();
        bytes[199_999] = 8;
        std::fs::write(store.path(&id).unwrap(), &bytes).unwrap();
        bytes[199_999] = 7;
        store.put(&bytes).unwrap();
        assert_eq!(store.get(&id).unwrap(), bytes);
    }

    fn unsynced(store: &BlobStore) -> usize {
        store.names().unwrap().iter().filter(|(_, file)| !is_synced(file)).count()
    }

    #[test]
    fn more_blobs_than_may_wait_are_all_synced() {
        let (_dir, store) = store();
        for n in 0..100_u32 {
            store.put(&n.to_le_bytes()).unwrap();
        }
        assert!((1..=WAITING_MAX).contains(&unsynced(&store)));
        store.sync().unwrap();
        assert_eq!(unsynced(&store), 0);
    }

    #[test]
    fn what_a_killed_process_left_unsynced_is_synced_by_the_next() {
        let (_dir, store) = store();
        store.put(b"put again").unwrap();
        store.put(b"not put again").unwrap();
        let next = BlobStore::new(store.dir());
        next.put(b"put again").unwrap();
        next.sync().unwrap();
        assert_eq!(unsynced(&store), 1);
        BlobStore::take_over(store.dir()).sync().unwrap();
        assert_eq!(unsynced(&store), 0);
    }

    #[test]
    fn a_sync_that_failed_is_done_again() {
        let (_dir, store) = store();
        let id = store.put(b"abc").unwrap();
        let other = store.put(b"def").unwrap();
        let path = store.path(&id).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&path, &path).unwrap();
        assert!(store.sync().is_err());
        std::fs::remove_file(&path).unwrap();
        assert_eq!(store.put(b"abc").unwrap(), id);
        store.sync().unwrap();
        let is_synced = |id| is_synced(&std::fs::metadata(store.path(id).unwrap()).unwrap());
        assert!(is_synced(&id) && is_synced(&other));
    }

    #[test]
    fn a_blob_can_be_put_while_another_thread_syncs() {
        let (_dir, store) = store();
        let syncing = store.shared.syncing.lock().unwrap();
        std::thread::scope(|scope| {
            let put = scope.spawn(|| store.put(b"abc").unwrap());
            put.join().unwrap();
        });
        drop(syncing);
        store.sync().unwrap();
        assert_eq!(unsynced(&store), 0);
    }

    #[test]
    fn copied_blobs_are_on_the_disk_and_so_are_those_they_were_made_from() {
        let (dir, store) = store();
        let id = store.put(b"abc").unwrap();
        std::fs::write(store.dir().join(".on-its-way"), "x").unwrap();
        let copy = BlobStore::new(dir.path().join("copy"));
        store.copy_to(copy.dir()).unwrap();
        assert_eq!(copy.get(&id).unwrap(), b"abc");
        assert_eq!((unsynced(&store), unsynced(&copy)), (0, 0));
        assert_eq!(std::fs::read_dir(copy.dir()).unwrap().count(), 1);
        BlobStore::new(dir.path().join("none")).copy_to(dir.path().join("nothing")).unwrap();
        assert!(!dir.path().join("nothing").exists());
    }
}
