//! A file on its way: it has another name, and is hashed as it comes.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use codetether_files::Error;
use sha2::{Digest as _, Sha256};

/// Bytes that are read at once.
pub(crate) const PIECE: usize = 1 << 20;

/// A file on its way.
pub(crate) struct Arrival {
    path: PathBuf,
    file: File,
    hasher: Sha256,
    done: u64,
}

impl Arrival {
    /// Goes on with what is there of it.
    pub(crate) fn resume(path: &Path) -> Result<Self, Error> {
        let mut file = codetether_files::open_append(path, 0o600)?;
        let (mut hasher, mut done) = (Sha256::new(), 0);
        let mut piece = vec![0; PIECE];
        loop {
            let read = file.read(&mut piece).map_err(|error| Error::new("read", path, error))?;
            if read == 0 {
                break;
            }
            hasher.update(piece.get(..read).unwrap_or_default());
            done += read as u64;
        }
        Ok(Self { path: path.to_owned(), file, hasher, done })
    }

    /// Begins anew.
    pub(crate) fn restart(&mut self) -> Result<(), Error> {
        self.file.set_len(0).map_err(|error| Error::new("cut", &self.path, error))?;
        (self.hasher, self.done) = (Sha256::new(), 0);
        Ok(())
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(|error| Error::new("write", &self.path, error))?;
        self.hasher.update(bytes);
        self.done += bytes.len() as u64;
        Ok(())
    }

    /// Bytes that are there.
    pub(crate) fn done(&self) -> u64 {
        self.done
    }

    /// All of it is there, and on the disk. Gives its SHA-256.
    pub(crate) fn finish(self) -> Result<String, Error> {
        self.file.sync_all().map_err(|error| Error::new("sync", &self.path, error))?;
        Ok(hex(&self.hasher.finalize()))
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 of a file, and its size.
pub(crate) fn hash(path: &Path, mut progress: impl FnMut(u64)) -> Result<(String, u64), Error> {
    let mut file = codetether_files::open_read(path)?;
    let (mut hasher, mut done) = (Sha256::new(), 0);
    let mut piece = vec![0; PIECE];
    loop {
        let read = file.read(&mut piece).map_err(|error| Error::new("read", path, error))?;
        if read == 0 {
            return Ok((hex(&hasher.finalize()), done));
        }
        hasher.update(piece.get(..read).unwrap_or_default());
        done += read as u64;
        progress(done);
    }
}
