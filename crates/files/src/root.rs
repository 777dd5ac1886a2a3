//! A folder that cannot be left: every path is taken relative to it, and checked when it is opened, not before.
//! Never asks whether something may be read or written, only where it is.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, OFlags};
use rustix::io::Errno;

use crate::atomic::{Permission, create_at, replace_at};
use crate::folder::seen;
use crate::resolve::{Beneath, LINKS_MAX};
use crate::{Durability, Error, Listing, RootError, Seen};

/// How often a folder that moves while it is looked at is looked at again.
const LOOKS: usize = 16;

/// The folder.
#[derive(Debug)]
pub struct Root {
    beneath: Beneath,
}

/// The permissions of a file that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permissions {
    /// Those of the file that is replaced; else those of any new file.
    Kept,
    /// The same, but a new file may be run.
    Program,
    /// These bits, whatever was there.
    Exactly(u32),
}

/// A normalised path relative to a root: no `.` and no `..` among its names; the root itself is `.`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(String);

impl RelPath {
    /// With `/` between names.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<Path> for RelPath {
    fn as_ref(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl Root {
    /// Opens a folder as a root. It stays this folder, whatever happens to its name.
    ///
    /// # Errors
    /// When it is not a folder or cannot be opened.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, Error> {
        let dir = dir.as_ref();
        let path = dir.canonicalize().map_err(Error::of("open the folder", dir))?;
        let beneath = Beneath::open(path).map_err(Error::of("open the folder", dir))?;
        Ok(Self { beneath })
    }

    /// Its absolute path when it was opened, free of links.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.beneath.path()
    }

    /// Where a path leads by its text alone: relative ones and absolute ones below the root are accepted. An empty
    /// path is the root. Looks at no file, so links are not followed: opening checks again.
    ///
    /// # Errors
    /// [`RootError::Outside`] and [`RootError::Invalid`].
    pub fn relative(&self, path: &str) -> Result<RelPath, RootError> {
        if path.contains('\0') {
            return Err(RootError::Invalid { path: path.to_owned() });
        }
        let mut absolute = PathBuf::new();
        for component in self.path().join(path).components() {
            match component {
                Component::ParentDir => drop(absolute.pop()),
                Component::CurDir => {}
                other => absolute.push(other),
            }
        }
        let outside = || RootError::Outside { path: path.to_owned() };
        let relative = absolute.strip_prefix(self.path()).map_err(|_| outside())?;
        let relative = relative.to_str().ok_or_else(outside)?;
        Ok(RelPath(if relative.is_empty() { ".".to_owned() } else { relative.to_owned() }))
    }

    /// Opens a regular file for reading. Does not wait for a pipe's writer.
    ///
    /// # Errors
    /// [`RootError::IsDirectory`] and [`RootError::NotAFile`] when it is something else.
    pub fn open_file(&self, path: &str) -> Result<File, RootError> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = self.resolve("read", path, flags)?;
        let kind = file.metadata().map_err(Error::of("read", &self.path().join(path)))?.file_type();
        match (kind.is_dir(), kind.is_file()) {
            (true, _) => Err(RootError::IsDirectory { path: path.to_owned() }),
            (_, true) => Ok(file),
            _ => Err(RootError::NotAFile { path: path.to_owned() }),
        }
    }

    /// The content of a regular file of at most `max` bytes.
    ///
    /// # Errors
    /// Those of [`open_file`](Self::open_file), and [`RootError::TooLarge`].
    pub fn read(&self, path: &str, max: u64) -> Result<Vec<u8>, RootError> {
        let file = self.open_file(path)?;
        let failed = || self.path().join(path);
        let length = file.metadata().map_err(|cause| Error::new("read", failed(), cause))?.len();
        let too_large = |bytes| RootError::TooLarge { path: path.to_owned(), bytes, max };
        if length > max {
            return Err(too_large(length));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        file.take(max.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|cause| Error::new("read", failed(), cause))?;
        // It may have grown, and some files of the system say that they are empty.
        if bytes.len() as u64 > max { Err(too_large(bytes.len() as u64)) } else { Ok(bytes) }
    }

    /// What is known of a file or folder; of a link, what it leads to.
    ///
    /// # Errors
    /// When there is none, or it is outside.
    pub fn metadata(&self, path: &str) -> Result<Metadata, RootError> {
        let file = self.resolve("look at", path, OFlags::PATH)?;
        Ok(file.metadata().map_err(Error::of("look at", &self.path().join(path)))?)
    }

    /// The names in a folder. The folder itself is read, not what its path leads to by now; ask
    /// [`metadata`](Self::metadata) before going on to what a name stands for.
    ///
    /// # Errors
    /// [`RootError::NotADirectory`] when it is something else.
    pub fn list(&self, path: &str) -> Result<Listing, RootError> {
        let folder = self.resolve("list", path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        Ok(Listing::new(folder, self.path().join(path))?)
    }

    /// The absolute path of a folder, free of links at the time of asking: where to start a walk or a command. The
    /// names below it are for the caller to check again.
    ///
    /// # Errors
    /// [`RootError::NotADirectory`] when it is something else.
    pub fn open_dir(&self, path: &str) -> Result<PathBuf, RootError> {
        for _ in 0..LOOKS {
            let folder = self.resolve("open the folder", path, OFlags::PATH | OFlags::DIRECTORY)?;
            let failed = |cause| RootError::Io(Error::new("open the folder", self.path().join(path), cause));
            let opened = folder.metadata().map_err(failed)?;
            let Ok(real) = self.path().join(self.relative(path)?).canonicalize() else { continue };
            let Ok(named) = std::fs::symlink_metadata(&real) else { continue };
            if real.starts_with(self.path()) && (named.dev(), named.ino()) == (opened.dev(), opened.ino()) {
                return Ok(real);
            }
        }
        Err(RootError::Outside { path: path.to_owned() })
    }

    /// Writes a file or replaces it, at once or not at all, and makes missing folders above it. What was there keeps
    /// its permissions, and stays whole also when the power is lost. A link is kept and the file that it leads to is
    /// replaced, if that lies in the root too.
    ///
    /// # Errors
    /// [`RootError::IsDirectory`] and [`RootError::NotAFile`] when something else is there; an error of kind
    /// `PermissionDenied` when the file there is write-protected.
    pub fn write(&self, path: &str, bytes: &[u8]) -> Result<(), RootError> {
        self.write_as(path, bytes, Permissions::Kept)
    }

    /// The same as [`write`](Self::write), with these permissions.
    ///
    /// # Errors
    /// As there.
    pub fn write_as(&self, path: &str, bytes: &[u8], permissions: Permissions) -> Result<(), RootError> {
        let relative = self.relative(path)?;
        self.replace(Path::new(relative.as_str()), bytes, permissions).map_err(|refusal| match refusal {
            // There is a file where a folder would have to be.
            Refusal::System(Errno::NOTDIR) => {
                RootError::Io(Error::new("write", self.path().join(relative.as_str()), Errno::NOTDIR))
            }
            Refusal::System(error) => self.refused("write", path, error),
            Refusal::NotAFile => RootError::NotAFile { path: path.to_owned() },
            Refusal::Io(cause) => {
                RootError::Io(Error::new("write", self.path().join(relative.as_str()), cause))
            }
        })
    }

    /// Writes a new file where nothing has that name, with the folders that it needs.
    ///
    /// # Errors
    /// [`RootError::Exists`] where something has it by now, a link included; else as [`write`](Self::write).
    pub fn create_as(&self, path: &str, bytes: &[u8], permissions: Permissions) -> Result<(), RootError> {
        let relative = self.relative(path)?;
        let relative = Path::new(relative.as_str());
        let (Some(folder), Some(name)) = (relative.parent(), relative.file_name()) else {
            return Err(RootError::IsDirectory { path: path.to_owned() });
        };
        let whole = || self.path().join(relative);
        let dir = self.beneath.resolve_or_make_dir(folder).map_err(|error| match error {
            Errno::NOTDIR => RootError::Io(Error::new("write", whole(), Errno::NOTDIR)),
            error => self.refused("write", path, error),
        })?;
        create_at(dir.as_fd(), Path::new(name), bytes, permissions.of_new()).map_err(|cause| {
            match cause.kind() {
                std::io::ErrorKind::AlreadyExists => RootError::Exists { path: path.to_owned() },
                _ => RootError::Io(Error::new("write", whole(), cause)),
            }
        })
    }

    /// What a path names, itself: a link is not followed. `None` where there is no such name.
    ///
    /// # Errors
    /// When it is outside, the root itself, or the system does not say.
    pub fn look(&self, path: &str) -> Result<Option<Seen>, RootError> {
        match self.at_name("look at", path, |folder, name| {
            rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
        }) {
            Ok(stat) => Ok(Some(seen(&stat))),
            Err(RootError::NotFound { .. } | RootError::NotADirectory { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes a file, or a link and not what it leads to.
    ///
    /// # Errors
    /// [`RootError::NotFound`], and [`RootError::IsDirectory`] for a folder.
    pub fn remove(&self, path: &str) -> Result<(), RootError> {
        self.at_name("remove", path, |folder, name| rustix::fs::unlinkat(folder, name, AtFlags::empty()))
    }

    /// Removes an empty folder.
    ///
    /// # Errors
    /// When it is missing, not empty, or no folder.
    pub fn remove_folder(&self, path: &str) -> Result<(), RootError> {
        self.at_name("remove", path, |folder, name| rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR))
    }

    /// Does something to a path's last name in the folder that it is in. The root itself has none.
    fn at_name<T>(
        &self,
        action: &'static str,
        path: &str,
        act: impl FnOnce(&OwnedFd, &OsStr) -> Result<T, Errno>,
    ) -> Result<T, RootError> {
        let relative = self.relative(path)?;
        let relative = Path::new(relative.as_str());
        let (Some(folder), Some(name)) = (relative.parent(), relative.file_name()) else {
            return Err(RootError::IsDirectory { path: path.to_owned() });
        };
        let folder = self.beneath.resolve(folder, OFlags::PATH | OFlags::DIRECTORY);
        folder.and_then(|folder| act(&folder, name)).map_err(|error| self.refused(action, path, error))
    }

    fn replace(&self, relative: &Path, bytes: &[u8], permissions: Permissions) -> Result<(), Refusal> {
        let mut path = relative.to_owned();
        for _ in 0..=LINKS_MAX {
            let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
                return Err(Errno::ISDIR.into());
            };
            let dir = self.beneath.resolve_or_make_dir(folder)?;
            let (mode, durability) = match rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => (permissions.of_new(), Durability::Cached),
                Err(error) => return Err(error.into()),
                Ok(there) => match FileType::from_raw_mode(there.st_mode) {
                    FileType::RegularFile if there.st_mode & 0o222 == 0 => return Err(Errno::ACCESS.into()),
                    // New content does not inherit the right to run as someone else.
                    FileType::RegularFile => (permissions.over(there.st_mode), Durability::Synced),
                    FileType::Directory => return Err(Errno::ISDIR.into()),
                    FileType::Symlink => {
                        let target = match rustix::fs::readlinkat(&dir, name, Vec::new()) {
                            // It is no link any more: look again.
                            Err(Errno::INVAL | Errno::NOENT) => continue,
                            target => target?,
                        };
                        let target: &OsStr = std::os::unix::ffi::OsStrExt::from_bytes(target.to_bytes());
                        path = self.beneath.link_target(folder, Path::new(target))?;
                        continue;
                    }
                    _ => return Err(Refusal::NotAFile),
                },
            };
            return replace_at(dir.as_fd(), Path::new(name), bytes, mode, durability).map_err(Refusal::Io);
        }
        Err(Errno::LOOP.into())
    }

    fn resolve(&self, action: &'static str, path: &str, flags: OFlags) -> Result<File, RootError> {
        let relative = self.relative(path)?;
        self.beneath
            .resolve(Path::new(relative.as_str()), flags)
            .map(File::from)
            .map_err(|error| self.refused(action, path, error))
    }

    fn refused(&self, action: &'static str, path: &str, error: Errno) -> RootError {
        let given = path.to_owned();
        match error {
            Errno::XDEV => RootError::Outside { path: given },
            Errno::NOENT => RootError::NotFound { path: given },
            Errno::ISDIR => RootError::IsDirectory { path: given },
            Errno::NOTDIR => RootError::NotADirectory { path: given },
            // What opening a socket or a pipe that nobody writes says.
            Errno::NXIO => RootError::NotAFile { path: given },
            error => RootError::Io(Error::new(action, self.path().join(path), error)),
        }
    }
}

impl Permissions {
    fn of_new(self) -> Permission {
        match self {
            Self::Kept => Permission::Masked(0o666),
            Self::Program => Permission::Masked(0o777),
            Self::Exactly(mode) => Permission::Exactly(mode & 0o777),
        }
    }

    fn over(self, mode: u32) -> Permission {
        match self {
            Self::Kept | Self::Program => Permission::Exactly(mode & 0o777),
            Self::Exactly(mode) => Permission::Exactly(mode & 0o777),
        }
    }
}

/// Why nothing was written.
enum Refusal {
    System(Errno),
    NotAFile,
    Io(std::io::Error),
}

impl From<Errno> for Refusal {
    fn from(error: Errno) -> Self {
        Self::System(error)
    }
}

#[cfg(test)]
#[path = "root_tests.rs"]
mod tests;
