//! What one folder has in it, as far as it matters: names by what they are. Links are not followed.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, Dir, FileType, Mode, OFlags, accessat, openat};
use rustix::io::Errno;

use super::deep::Since;

/// Longest path that is looked at, in bytes: what git keeps in a folder with such a path can still be opened by its own.
pub(super) const LONGEST_PATH: usize = 3_800;

/// Whether a path is too long to be looked at.
pub(super) fn is_too_long(path: &Path) -> bool {
    path.as_os_str().len() > LONGEST_PATH
}

/// What to do with a folder that cannot be looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Closed {
    /// It stays.
    #[default]
    Stays,
    /// It is opened for its owner where it has changed since: a command made it so, and has ended.
    Opened(Since),
}

/// The names in a folder.
#[derive(Debug, Default)]
pub(super) struct Folder {
    pub(super) folders: Vec<Box<OsStr>>,
    /// Links among them.
    pub(super) files: Vec<Box<OsStr>>,
    pub(super) links: Vec<Box<OsStr>>,
    pub(super) sockets: Vec<Box<OsStr>>,
    /// Pipes, and what else there is.
    others: Vec<Box<OsStr>>,
}

impl Folder {
    pub(super) fn read(path: &Path) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(CWD, path, flags, Mode::empty())?;
        // One that can be listed and not entered tells nothing of what is in it.
        accessat(&fd, ".", Access::EXEC_OK, AtFlags::empty())?;
        let mut dir = Dir::new(fd)?;
        let mut found = Self::default();
        while let Some(Ok(entry)) = dir.next() {
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let kind = match entry.file_type() {
                // Some file systems do not say it here.
                FileType::Unknown => rustix::fs::lstat(path.join(name))
                    .map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode)),
                kind => kind,
            };
            match kind {
                FileType::Directory => found.folders.push(name.into()),
                FileType::RegularFile => found.files.push(name.into()),
                FileType::Symlink => {
                    found.files.push(name.into());
                    found.links.push(name.into());
                }
                FileType::Socket | FileType::CharacterDevice | FileType::BlockDevice => {
                    found.sockets.push(name.into())
                }
                _ => found.others.push(name.into()),
            }
        }
        Ok(found)
    }

    /// The same; one that nobody can look into is opened first, if it may be.
    pub(super) fn open(path: &Path, closed: Closed) -> Result<Self, Errno> {
        match Self::read(path) {
            Err(Errno::ACCESS | Errno::PERM) if matches!(closed, Closed::Opened(since) if since.changed(path)) =>
            {
                open_up(path)?;
                Self::read(path)
            }
            read => read,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.folders.len() + self.files.len() + self.sockets.len() + self.others.len()
    }

    pub(super) fn has_folder(&self, name: &str) -> bool {
        self.folders.iter().any(|other| **other == *name)
    }

    /// Whether there is something of this name, whatever it is: git does not ask either.
    pub(super) fn has(&self, name: &str) -> bool {
        [&self.folders, &self.files, &self.sockets, &self.others]
            .into_iter()
            .any(|all| all.iter().any(|other| **other == *name))
    }
}

/// Lets the owner look into a folder, and change it.
pub(super) fn open_up(path: &Path) -> Result<(), Errno> {
    let stat = rustix::fs::lstat(path)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(Errno::NOTDIR);
    }
    let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
    if mode.contains(Mode::RWXU) { Ok(()) } else { rustix::fs::chmod(path, mode | Mode::RWXU) }
}
