//! Contents of files, each kept once under its hash. What is read is checked against it; what a crash spoilt is written
//! again when it is put again.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use codetether_files::{self as files, Folder, SeenKind};

use crate::Error;
use crate::id::{Hash, hex};

/// Larger files are read in pieces.
pub(crate) const WHOLE_MAX: u64 = 4 << 20;

const MODE: u16 = 0o400;

/// As many folders as a hexadecimal digit has values: two writers seldom meet in one.
const SHARDS: usize = 16;

/// The folder of contents.
#[derive(Debug)]
pub(crate) struct Objects {
    shards: Vec<Folder>,
}

impl Objects {
    pub(crate) fn open(dir: &std::path::Path) -> Result<Self, Error> {
        let mut shards = Vec::with_capacity(SHARDS);
        for shard in 0..SHARDS {
            let path = dir.join(format!("{shard:x}"));
            files::create_dir_private(&path)?;
            shards.push(Folder::open(&path)?);
        }
        Ok(Self { shards })
    }

    fn shard(&self, hash: &Hash) -> Option<&Folder> {
        self.shards.get(usize::from(hash.first()? >> 4))
    }

    fn place(&self, hash: &Hash) -> Result<(&Folder, String), Error> {
        let name = hex(hash);
        // The first four bits are one of the sixteen.
        let shard = self.shard(hash).ok_or(Error::NotAnId { text: name.clone() })?;
        Ok((shard, name))
    }

    /// Keeps the bytes.
    pub(crate) fn put(&self, bytes: &[u8]) -> Result<Hash, Error> {
        let hash = *blake3::hash(bytes).as_bytes();
        let (shard, name) = self.place(&hash)?;
        if !self.is_whole(&hash, bytes.len() as u64) {
            shard.write(&name, MODE, &mut &*bytes)?;
        }
        Ok(hash)
    }

    /// Keeps a whole file, read in pieces. `None` when it changed meanwhile.
    pub(crate) fn put_file(&self, file: &mut File) -> Result<Option<(Hash, u64)>, Error> {
        let unread = |cause| Error::from(files::Error::new("read", "a file", cause));
        file.seek(SeekFrom::Start(0)).map_err(unread)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(&*file).map_err(unread)?;
        let (hash, size) = (*hasher.finalize().as_bytes(), hasher.count());
        if self.is_whole(&hash, size) {
            return Ok(Some((hash, size)));
        }
        file.seek(SeekFrom::Start(0)).map_err(unread)?;
        let (shard, name) = self.place(&hash)?;
        let mut checked = Checked::new(&*file, hash);
        match shard.write(&name, MODE, &mut checked) {
            Ok(()) => Ok(Some((hash, size))),
            Err(_) if checked.failed => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether it is here, and as it was put.
    fn is_whole(&self, hash: &Hash, size: u64) -> bool {
        self.has(hash, size)
            && self.open_object(hash).is_ok_and(|mut file| {
                let mut hasher = blake3::Hasher::new();
                hasher.update_reader(&mut file).is_ok() && hasher.finalize().as_bytes() == hash
            })
    }

    /// Whether there is a file of that name and size.
    pub(crate) fn has(&self, hash: &Hash, size: u64) -> bool {
        self.shard(hash)
            .and_then(|shard| shard.look(hex(hash)).ok().flatten())
            .is_some_and(|seen| seen.kind == SeenKind::File && seen.size == size)
    }

    fn open_object(&self, hash: &Hash) -> Result<File, Error> {
        let (shard, name) = self.place(hash)?;
        Ok(shard.open_file(name)?)
    }

    /// Reads it; an error at its end when it is not what its name says.
    pub(crate) fn read(&self, hash: &Hash) -> Result<Checked<File>, Error> {
        Ok(Checked::new(self.open_object(hash)?, *hash))
    }

    /// Every content, with the room it takes.
    pub(crate) fn list(&self) -> Result<Vec<(Hash, u64)>, Error> {
        let mut found = Vec::new();
        for shard in &self.shards {
            for name in shard.names()? {
                let name = name.as_encoded_bytes();
                if let Some(hash) = crate::id::from_hex(name)
                    && let Some(seen) = shard.look(hex(&hash))?
                {
                    found.push((hash, seen.size));
                }
            }
        }
        Ok(found)
    }

    pub(crate) fn remove(&self, hash: &Hash) -> Result<(), Error> {
        let (shard, name) = self.place(hash)?;
        Ok(shard.remove(name)?)
    }

    /// Removes what killed writers left; nobody may be writing.
    pub(crate) fn remove_unfinished(&self) -> Result<(), Error> {
        for shard in &self.shards {
            shard.remove_unfinished()?;
        }
        Ok(())
    }
}

/// Reads on, and fails at the end when it was not what was asked for.
#[derive(Debug)]
pub(crate) struct Checked<R> {
    inner: R,
    hasher: blake3::Hasher,
    expected: Hash,
    /// Whether it failed because of that.
    failed: bool,
}

impl<R: Read> Checked<R> {
    fn new(inner: R, expected: Hash) -> Self {
        Self { inner, hasher: blake3::Hasher::new(), expected, failed: false }
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        if length > 0 {
            self.hasher.update(buffer.get(..length).unwrap_or_default());
        } else if !buffer.is_empty() && *self.hasher.finalize().as_bytes() != self.expected {
            self.failed = true;
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its content is not what it was"));
        }
        Ok(length)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "what others do to files")]
mod tests {
    use super::*;

    fn objects() -> (tempfile::TempDir, Objects) {
        let dir = tempfile::tempdir().unwrap();
        let objects = Objects::open(dir.path()).unwrap();
        (dir, objects)
    }

    fn text(objects: &Objects, hash: &Hash) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        objects.read(hash).unwrap().read_to_end(&mut text).map(|_| text)
    }

    #[test]
    fn contents_come_back_and_are_kept_once() {
        let (dir, objects) = objects();
        let hash = objects.put(b"abc").unwrap();
        assert_eq!(objects.put(b"abc").unwrap(), hash);
        let path = dir.path().join("a file");
        std::fs::write(&path, "abc").unwrap();
        let mut file = File::open(&path).unwrap();
        assert_eq!(objects.put_file(&mut file).unwrap(), Some((hash, 3)));
        assert_eq!(objects.list().unwrap(), [(hash, 3)]);
        assert_eq!(text(&objects, &hash).unwrap(), b"abc");
    }

    #[test]
    fn a_spoilt_content_is_noticed_and_written_again() {
        let (dir, objects) = objects();
        let hash = objects.put(b"abc").unwrap();
        let path = dir.path().join(&hex(&hash)[..1]).join(hex(&hash));
        for spoilt in ["abd", "a"] {
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, spoilt).unwrap();
            assert_eq!(text(&objects, &hash).unwrap_err().kind(), io::ErrorKind::InvalidData);
            objects.put(b"abc").unwrap();
            assert_eq!(text(&objects, &hash).unwrap(), b"abc");
        }
    }
}
