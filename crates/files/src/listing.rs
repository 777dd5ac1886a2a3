//! The names in a folder, read from the open folder itself: what its path leads to by now does not matter. Never
//! follows a link and never goes into another folder.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use rustix::fs::{AtFlags, Dir, FileType};
use rustix::io::Errno;

use crate::Error;

/// The entries of one folder as the system gives them: in no order, `.` and `..` left out. Reads on only as it is
/// asked to, so whoever takes a bounded number holds no more than these.
pub struct Listing {
    dir: Dir,
    path: PathBuf,
}

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name.
    pub name: OsString,
    /// What it names.
    pub kind: EntryKind,
}

/// What a name in a folder stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A folder.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link, and what it says; where that leads was not looked at.
    Link(PathBuf),
    /// A pipe, a device or a socket.
    Other,
}

impl Listing {
    /// Of an open folder; `path` is for messages.
    pub(crate) fn new(folder: std::fs::File, path: PathBuf) -> Result<Self, Error> {
        match Dir::new(folder) {
            Ok(dir) => Ok(Self { dir, path }),
            Err(cause) => Err(Error::new("list", path, cause)),
        }
    }

    /// What a name stands for; `None` when it is gone.
    fn kind(&self, name: &OsStr, told: FileType) -> Result<Option<EntryKind>, Errno> {
        let folder = self.dir.fd()?;
        let kind = match told {
            // Some file systems do not say it with the name.
            FileType::Unknown => match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(there) => FileType::from_raw_mode(there.st_mode),
                Err(Errno::NOENT) => return Ok(None),
                Err(error) => return Err(error),
            },
            told => told,
        };
        Ok(Some(match kind {
            FileType::Directory => EntryKind::Directory,
            FileType::RegularFile => EntryKind::File,
            FileType::Symlink => match rustix::fs::readlinkat(folder, name, Vec::new()) {
                Ok(target) => EntryKind::Link(OsString::from_vec(target.into_bytes()).into()),
                Err(Errno::NOENT) => return Ok(None),
                // It is no link any more.
                Err(Errno::INVAL) if told != FileType::Unknown => return self.kind(name, FileType::Unknown),
                Err(Errno::INVAL) => EntryKind::Other,
                Err(error) => return Err(error),
            },
            _ => EntryKind::Other,
        }))
    }
}

impl Iterator for Listing {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let read = self.dir.read()?.and_then(|entry| {
                let name = OsStr::from_bytes(entry.file_name().to_bytes()).to_owned();
                if name == "." || name == ".." {
                    return Ok(None);
                }
                let kind = self.kind(&name, entry.file_type())?;
                Ok(kind.map(|kind| Entry { name, kind }))
            });
            match read {
                Ok(None) => {}
                Ok(Some(entry)) => return Some(Ok(entry)),
                Err(cause) => return Some(Err(Error::new("list", &self.path, cause))),
            }
        }
    }
}

impl fmt::Debug for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listing").field("path", &self.path).finish_non_exhaustive()
    }
}
