//! Blobs: bytes that never change, each a file named by the hash of its content. Never trusts a name or a file:
//! ids come from other files, and what is read is checked against its hash.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use codetether_event::BlobId;

use crate::atomic::{Permission, replace_at};
use crate::{Durability, Error, create_dir_private, open_read, remove_file, sync_dir};

/// Blobs that wait for [`BlobStore::sync`]; beyond, each is synced as it is put.
const WAITING_MAX: usize = 64;

/// Larger blobs are synced as they are put, so that a later sync stays short.
const WAITING_SIZE: u64 = 1 << 20;

/// A folder of blobs. Clones share it.
#[derive(Debug, Clone)]
pub struct BlobStore {
    dir: PathBuf,
    /// Put, but not yet known to be on the disk.
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    files: Vec<PathBuf>,
    names: bool,
}

impl BlobStore {
    /// Names the folder; it is made, for its owner alone, when the first blob is put.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), waiting: Arc::default() }
    }

    /// Keeps the bytes; writes nothing when they are kept already. They survive the end of the process at once, and
    /// a loss of power after [`sync`](Self::sync).
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn put(&self, bytes: &[u8]) -> Result<BlobId, Error> {
        let id = BlobId::new(blake3::hash(bytes).to_hex().as_str());
        let path = self.path(&id)?;
        if is_there(&path, bytes.len() as u64) {
            return Ok(id);
        }
        let durability = self.durability(bytes.len() as u64);
        let dir = self.open_dir()?;
        replace_at(dir.as_fd(), Path::new(id.as_str()), bytes, Permission::Exactly(0o600), durability)
            .map_err(Error::of("write", &path))?;
        self.wait_for(path, durability);
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
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(&content).map_err(Error::of("read", source))?;
        let id = BlobId::new(hasher.finalize().to_hex().as_str());
        let path = self.path(&id)?;
        let length = content.metadata().map_err(Error::of("read", source))?.len();
        if is_there(&path, length) {
            remove_file(source)?;
            return Ok(id);
        }
        let dir = self.open_dir()?;
        let durability = self.durability(length);
        content.set_permissions(PermissionsExt::from_mode(0o600)).map_err(Error::of("move", source))?;
        if durability == Durability::Synced {
            content.sync_data().map_err(Error::of("sync", source))?;
        }
        match std::fs::rename(source, &path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => copy_in(source, &dir, &path)?,
            Err(error) => return Err(Error::new("move", source, error)),
        }
        self.wait_for(path, durability);
        Ok(id)
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
        if name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
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

    /// Waits until all blobs put through this store and its clones are on the disk. Costs nothing when they are.
    ///
    /// # Errors
    /// When the disk fails; those not synced are tried again next time.
    pub fn sync(&self) -> Result<(), Error> {
        // Held throughout, so that a second caller does not return before the first is done.
        let mut waiting = self.waiting();
        while let Some(path) = waiting.files.last() {
            match open_read(path) {
                Ok(file) => file.sync_data().map_err(Error::of("sync", path))?,
                // Removed since, with its session.
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
            waiting.files.pop();
        }
        if waiting.names {
            match sync_dir(&self.dir) {
                Err(error) if !error.is_not_found() => return Err(error),
                _ => {}
            }
            waiting.names = false;
        }
        Ok(())
    }

    fn open_dir(&self) -> Result<File, Error> {
        match open_read(&self.dir) {
            Err(error) if error.is_not_found() => {
                create_dir_private(&self.dir)?;
                open_read(&self.dir)
            }
            opened => opened,
        }
    }

    fn durability(&self, bytes: u64) -> Durability {
        let can_wait = bytes <= WAITING_SIZE && self.waiting().files.len() < WAITING_MAX;
        if can_wait { Durability::Cached } else { Durability::Synced }
    }

    fn wait_for(&self, path: PathBuf, done: Durability) {
        let mut waiting = self.waiting();
        waiting.names = true;
        if done == Durability::Cached {
            waiting.files.push(path);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A shorter file of that name is what a crash left.
fn is_there(path: &Path, bytes: u64) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() == bytes)
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
    fn changed_content_is_an_error_and_a_cut_blob_is_written_again() {
        let (_dir, store) = store();
        let id = store.put(b"abc").unwrap();
        let path = store.path(&id).unwrap();
        std::fs::write(&path, "abd").unwrap();
        assert_eq!(store.get(&id).unwrap_err().kind(), io::ErrorKind::InvalidData);
        std::fs::write(&path, "").unwrap();
        assert_eq!(store.put(b"abc").unwrap(), id);
        assert_eq!(store.get(&id).unwrap(), b"abc");
    }

    #[test]
    fn more_blobs_than_may_wait_are_all_synced() {
        let (_dir, store) = store();
        for n in 0..100_u32 {
            store.put(&n.to_le_bytes()).unwrap();
        }
        assert!(store.waiting().files.len() <= WAITING_MAX);
        store.sync().unwrap();
        assert!(store.waiting().files.is_empty());
    }
}
