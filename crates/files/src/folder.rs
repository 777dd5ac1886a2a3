//! An open folder whose names are taken one at a time: nothing here ever follows a link, so a tree that someone changes
//! while it is read or written cannot lead out of itself. Names are bytes, as the system has them.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags};
use rustix::io::Errno;

use crate::Error;
use crate::atomic::{Permission, create_temporary, is_temporary};

/// The folder.
#[derive(Debug)]
pub struct Folder {
    fd: OwnedFd,
    /// For messages alone.
    path: PathBuf,
}

/// What a name in a folder stood for when it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// What it is.
    pub kind: SeenKind,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u16,
    /// In bytes.
    pub size: u64,
    /// When the content changed, in nanoseconds of the Unix epoch.
    pub mtime: i64,
    /// When anything about it changed; nobody can set it.
    pub ctime: i64,
    /// Its number on its device.
    pub inode: u64,
    /// The file system.
    pub device: u64,
}

/// Kinds of things that have names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeenKind {
    /// A folder.
    Folder,
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
    /// A pipe, a device or a socket.
    Other,
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Folder {
    /// Opens a folder by its path, whose own links are followed.
    ///
    /// # Errors
    /// When it is not a folder or cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(Error::of("open the folder", path))?;
        Ok(Self { fd, path: path.to_owned() })
    }

    /// Opens a folder below this one. `below` has plain names only; an empty path is this folder again.
    ///
    /// # Errors
    /// When one of the names is no folder; a link is none (kind `NotADirectory`).
    pub fn descend(&self, below: impl AsRef<Path>) -> Result<Self, Error> {
        let below = below.as_ref();
        let path = self.path.join(below);
        let fd = self
            .step_down(below)
            .map_err(no_link(Errno::NOTDIR))
            .map_err(Error::of("open the folder", &path))?;
        Ok(Self { fd, path })
    }

    fn step_down(&self, below: &Path) -> Result<OwnedFd, Errno> {
        if below.as_os_str().is_empty() {
            return rustix::fs::openat(&self.fd, ".", FOLDER, Mode::empty());
        }
        if below.components().any(|part| !matches!(part, Component::Normal(_))) {
            return Err(Errno::INVAL);
        }
        let flags = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        match rustix::fs::openat2(&self.fd, below, FOLDER, Mode::empty(), flags) {
            // An old kernel, a filter that does not know the call, or something was renamed meanwhile.
            Err(Errno::NOSYS | Errno::PERM | Errno::AGAIN) => {}
            opened => return opened,
        }
        let mut fd = rustix::fs::openat(&self.fd, ".", FOLDER, Mode::empty())?;
        for name in below {
            fd = rustix::fs::openat(&fd, name, FOLDER, Mode::empty())?;
        }
        Ok(fd)
    }

    /// Its path, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All names in it, in no order.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn names(&self) -> Result<Vec<OsString>, Error> {
        let mut names = Vec::new();
        let mut buffer = [MaybeUninit::<u8>::uninit(); 16 << 10];
        rustix::fs::seek(&self.fd, rustix::fs::SeekFrom::Start(0)).map_err(self.failed("list", ""))?;
        let mut entries = RawDir::new(&self.fd, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(self.failed("list", ""))?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(OsStr::from_bytes(name).to_owned());
            }
        }
        Ok(names)
    }

    /// What a name stands for; `None` when there is no such name.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn look(&self, name: impl AsRef<OsStr>) -> Result<Option<Seen>, Error> {
        let name = name.as_ref();
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(seen(&stat))),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(self.failed("look at", name)(error)),
        }
    }

    /// What the folder itself is.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn look_at_self(&self) -> Result<Seen, Error> {
        rustix::fs::fstat(&self.fd).map(|stat| seen(&stat)).map_err(self.failed("look at", ""))
    }

    /// What an open file is.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn look_at_open(file: &File) -> io::Result<Seen> {
        Ok(seen(&rustix::fs::fstat(file)?))
    }

    /// What a link says.
    ///
    /// # Errors
    /// When it is no link.
    pub fn read_link(&self, name: impl AsRef<OsStr>) -> Result<PathBuf, Error> {
        let name = name.as_ref();
        let target =
            rustix::fs::readlinkat(&self.fd, name, Vec::new()).map_err(self.failed("read the link", name))?;
        Ok(OsString::from_vec(target.into_bytes()).into())
    }

    /// Opens a file for reading; does not wait for a pipe's writer.
    ///
    /// # Errors
    /// When it is missing, may not be read, or is no file (kind `InvalidInput`); a link is none.
    pub fn open_file(&self, name: impl AsRef<OsStr>) -> Result<File, Error> {
        let name = name.as_ref();
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.fd, name, flags, Mode::empty())
            .map(File::from)
            .map_err(no_link(Errno::INVAL))
            .map_err(self.failed("read", name))?;
        match Self::look_at_open(&file) {
            Ok(Seen { kind: SeenKind::File, .. }) => Ok(file),
            Ok(_) => Err(self.failed("read", name)(Errno::INVAL)),
            Err(cause) => Err(Error::new("read", self.path.join(name), cause)),
        }
    }

    /// Writes a file beside the name and then gives it that name: what had it (a file or a link, no folder) is
    /// replaced at once or not at all. It survives the end of the process, not a loss of power.
    ///
    /// # Errors
    /// When `content` cannot be read or the file cannot be written; then nothing is left behind.
    pub fn write(&self, name: impl AsRef<OsStr>, mode: u16, content: &mut dyn Read) -> Result<(), Error> {
        let name = name.as_ref();
        let path = || self.path.join(name);
        let (temporary, mut file) = create_temporary(self.fd.as_fd(), Permission::Exactly(mode.into()))
            .map_err(|cause| Error::new("write", path(), cause))?;
        let written = io::copy(content, &mut file).and_then(|_| {
            rustix::fs::renameat(&self.fd, &temporary, &self.fd, name).map_err(io::Error::from)
        });
        self.or_remove(written, &temporary, name)
    }

    /// Makes a link, or replaces a file or a link by it, at once or not at all.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write_link(&self, name: impl AsRef<OsStr>, target: impl AsRef<Path>) -> Result<(), Error> {
        let name = name.as_ref();
        let temporary = crate::atomic::temporary_name();
        rustix::fs::symlinkat(target.as_ref(), &self.fd, &temporary).map_err(self.failed("write", name))?;
        let written = rustix::fs::renameat(&self.fd, &temporary, &self.fd, name).map_err(io::Error::from);
        self.or_remove(written, &temporary, name)
    }

    fn or_remove(&self, written: io::Result<()>, temporary: &Path, name: &OsStr) -> Result<(), Error> {
        written.map_err(|cause| {
            // The first error is the one to tell.
            let _ = rustix::fs::unlinkat(&self.fd, temporary, AtFlags::empty());
            Error::new("write", self.path.join(name), cause)
        })
    }

    /// Makes a folder with exactly this mode.
    ///
    /// # Errors
    /// When the name is taken, by whatever.
    pub fn make_folder(&self, name: impl AsRef<OsStr>, mode: u16) -> Result<(), Error> {
        let name = name.as_ref();
        rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(0o700))
            .map_err(self.failed("create the folder", name))?;
        self.set_mode(name, mode)
    }

    /// Removes a file or a link.
    ///
    /// # Errors
    /// When it is missing, or a folder.
    pub fn remove(&self, name: impl AsRef<OsStr>) -> Result<(), Error> {
        let name = name.as_ref();
        rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()).map_err(self.failed("remove", name))
    }

    /// Removes an empty folder.
    ///
    /// # Errors
    /// When it is missing, not empty, or no folder.
    pub fn remove_folder(&self, name: impl AsRef<OsStr>) -> Result<(), Error> {
        let name = name.as_ref();
        rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR).map_err(self.failed("remove", name))
    }

    /// Sets the mode of a file or a folder, which need not be readable.
    ///
    /// # Errors
    /// When it is a link, or the system refuses.
    pub fn set_mode(&self, name: impl AsRef<OsStr>, mode: u16) -> Result<(), Error> {
        let name = name.as_ref();
        let failed = |error: Errno| self.failed("change the mode of", name)(error);
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let there = rustix::fs::openat(&self.fd, name, flags, Mode::empty()).map_err(failed)?;
        if FileType::from_raw_mode(rustix::fs::fstat(&there).map_err(failed)?.st_mode) == FileType::Symlink {
            return Err(failed(Errno::LOOP));
        }
        // A handle that may not be read cannot be changed by itself, but by its name among our own.
        let own = format!("/proc/self/fd/{}", there.as_raw_fd());
        rustix::fs::chmod(own, Mode::from_raw_mode(mode.into())).map_err(failed)
    }

    /// Gives a file a second name, in this folder. `from` is not followed.
    ///
    /// # Errors
    /// Of kind `CrossesDevices` when they lie on different file systems, `AlreadyExists` when the name is taken.
    pub fn link_here(&self, from: impl AsRef<Path>, name: impl AsRef<OsStr>) -> Result<(), Error> {
        let from = from.as_ref();
        rustix::fs::linkat(rustix::fs::CWD, from, &self.fd, name.as_ref(), AtFlags::empty())
            .map_err(Error::of("link", from))
    }

    /// Removes what a killed writer left in this folder before it had its name. Nobody may be writing.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn remove_unfinished(&self) -> Result<(), Error> {
        for name in self.names()? {
            if is_temporary(&name) {
                // It may be a folder of that name: not ours then.
                let _ = self.remove(&name);
            }
        }
        Ok(())
    }

    /// Waits until the disk has all that was written to this file system.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sync_all(&self) -> Result<(), Error> {
        rustix::fs::syncfs(&self.fd).map_err(self.failed("sync", ""))
    }

    fn failed(&self, action: &'static str, name: impl AsRef<OsStr>) -> impl FnOnce(Errno) -> Error {
        move |error| Error::new(action, self.path.join(name.as_ref()), error)
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A link is nothing that may be opened; the system's word for that has no kind.
fn no_link(instead: Errno) -> impl FnOnce(Errno) -> Errno {
    move |error| if error == Errno::LOOP { instead } else { error }
}

#[allow(clippy::unnecessary_cast, clippy::cast_possible_wrap, reason = "their widths differ by platform")]
pub(crate) fn seen(stat: &rustix::fs::Stat) -> Seen {
    let nanoseconds = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
    Seen {
        kind: match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => SeenKind::Folder,
            FileType::RegularFile => SeenKind::File,
            FileType::Symlink => SeenKind::Link,
            _ => SeenKind::Other,
        },
        mode: (stat.st_mode & 0o7777) as u16,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        mtime: nanoseconds(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
        ctime: nanoseconds(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        inode: stat.st_ino,
        device: stat.st_dev,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn no_link_is_followed_on_the_way_down_nor_when_a_file_is_read_or_its_mode_set() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("f"), "secret").unwrap();
        symlink(outside.path(), dir.path().join("away")).unwrap();
        symlink(outside.path().join("f"), dir.path().join("f")).unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        assert!(folder.descend("away").is_err());
        assert!(folder.descend("../x").is_err());
        assert!(folder.open_file("f").is_err());
        assert!(folder.set_mode("f", 0o777).is_err());
        folder.write("f", 0o640, &mut b"ours".as_slice()).unwrap();
        assert_eq!(std::fs::read(outside.path().join("f")).unwrap(), b"secret");
        assert_eq!(std::fs::read(dir.path().join("f")).unwrap(), b"ours");
    }

    #[test]
    fn names_kinds_and_modes_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        folder.make_folder("d", 0o500).unwrap();
        folder.write("d2", 0o604, &mut b"abc".as_slice()).unwrap();
        folder.write_link("l", "nowhere").unwrap();
        let mut names = folder.names().unwrap();
        names.sort();
        assert_eq!(names, ["d", "d2", "l"]);
        let look = |name| folder.look(name).unwrap().map(|seen| (seen.kind, seen.mode, seen.size));
        assert_eq!(look("d").map(|seen| (seen.0, seen.1)), Some((SeenKind::Folder, 0o500)));
        assert_eq!(look("d2"), Some((SeenKind::File, 0o604, 3)));
        assert_eq!(look("l").map(|seen| seen.0), Some(SeenKind::Link));
        assert_eq!(look("none"), None);
        assert_eq!(folder.read_link("l").unwrap(), Path::new("nowhere"));
    }

    #[test]
    fn a_write_that_fails_leaves_nothing_and_what_a_killed_one_left_can_be_removed() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::Other.into())
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        folder.write("f", 0o644, &mut b"old".as_slice()).unwrap();
        assert!(folder.write("f", 0o644, &mut Broken).is_err());
        assert_eq!(folder.names().unwrap(), ["f"]);
        std::fs::write(dir.path().join(crate::atomic::temporary_name()), "half").unwrap();
        std::fs::write(dir.path().join(".codetether-mine.tmp"), "not of ours").unwrap();
        folder.remove_unfinished().unwrap();
        let mut names = folder.names().unwrap();
        names.sort();
        assert_eq!(names, [".codetether-mine.tmp", "f"]);
    }

    #[test]
    fn what_may_not_be_read_can_get_another_mode() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        folder.write("f", 0, &mut b"x".as_slice()).unwrap();
        folder.set_mode("f", 0o600).unwrap();
        assert_eq!(std::fs::metadata(dir.path().join("f")).unwrap().permissions().mode() & 0o7777, 0o600);
    }
}
