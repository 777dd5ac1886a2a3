//! Opening a path beneath a folder, so that no link, no `..` and no race leads out of it. The kernel does it where it
//! can (`openat2`); elsewhere, and where it is stricter than needed, the path is walked one name at a time.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// As many symbolic links as Linux follows in one path.
pub(crate) const LINKS_MAX: usize = 40;

/// How often something that changed under our hands is tried again.
const TRIES: usize = 128;

/// How paths are resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// `openat2` with `RESOLVE_BENEATH`.
    Kernel,
    /// Name by name, following no link but by reading it.
    Walk,
}

/// A folder, open.
#[derive(Debug)]
pub(crate) struct Beneath {
    fd: OwnedFd,
    path: PathBuf,
    strategy: Strategy,
}

impl Beneath {
    /// `path` must be canonical.
    pub(crate) fn open(path: PathBuf) -> Result<Self, Errno> {
        let mut folder = Self::with(path, Strategy::Kernel)?;
        if matches!(folder.ask_kernel(Path::new("."), OFlags::PATH), Err(Errno::NOSYS | Errno::PERM)) {
            folder.strategy = Strategy::Walk;
        }
        Ok(folder)
    }

    pub(crate) fn with(path: PathBuf, strategy: Strategy) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { fd: rustix::fs::open(&path, flags, Mode::empty())?, path, strategy })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    #[cfg(test)]
    pub(crate) fn strategy(&self) -> Strategy {
        self.strategy
    }

    /// Opens a relative path; `..` in it is taken after links are followed, as the system does. A path that leads
    /// out is `EXDEV`.
    pub(crate) fn resolve(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        match self.strategy {
            Strategy::Kernel => match self.ask_kernel(path, flags) {
                // The kernel refuses every absolute link, also one that leads back in.
                Err(Errno::XDEV) => self.walk(path, flags),
                opened => opened,
            },
            Strategy::Walk => self.walk(path, flags),
        }
    }

    /// Opens a folder, and makes those of its names that are missing.
    pub(crate) fn resolve_or_make_dir(&self, path: &Path) -> Result<OwnedFd, Errno> {
        let open = || self.resolve(path, OFlags::PATH | OFlags::DIRECTORY);
        match open() {
            Err(Errno::NOENT) => {}
            opened => return opened,
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(Errno::NOENT) };
        let parent = self.resolve_or_make_dir(parent)?;
        match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => open(),
            Err(error) => Err(error),
        }
    }

    /// Where a link that lies in `folder` leads; an absolute one that leads below the root is made relative to it.
    pub(crate) fn link_target(&self, folder: &Path, link: &Path) -> Result<PathBuf, Errno> {
        if link.is_absolute() {
            return link.strip_prefix(&self.path).map(Path::to_owned).map_err(|_| Errno::XDEV);
        }
        Ok(folder.join(link))
    }

    fn ask_kernel(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let path = if path == Path::new("") { Path::new(".") } else { path };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        for _ in 0..TRIES {
            match rustix::fs::openat2(&self.fd, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
                // Something was renamed while the kernel followed a `..`.
                Err(Errno::AGAIN | Errno::INTR) => {}
                opened => return opened,
            }
        }
        self.walk(path, flags)
    }

    fn walk(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let mut todo: VecDeque<OsString> = VecDeque::new();
        push_front(&mut todo, path)?;
        // The folders entered, so that `..` goes back where we came from and never further than the root.
        let mut entered: Vec<OwnedFd> = Vec::new();
        let mut links = 0;
        while let Some(name) = todo.pop_front() {
            if name == ".." {
                entered.pop().ok_or(Errno::XDEV)?;
                continue;
            }
            let here = entered.last().map_or(self.fd.as_fd(), AsFd::as_fd);
            let next = step(here, &name, OFlags::PATH)?;
            let kind = FileType::from_raw_mode(rustix::fs::fstat(&next)?.st_mode);
            if kind == FileType::Symlink {
                links += 1;
                if links > LINKS_MAX {
                    return Err(Errno::LOOP);
                }
                let target = rustix::fs::readlinkat(&next, "", Vec::new())?;
                let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                let relative = self.link_target(Path::new(""), &target)?;
                if target.is_absolute() {
                    entered.clear();
                }
                push_front(&mut todo, &relative)?;
            } else if kind == FileType::Directory {
                entered.push(next);
            } else if !todo.is_empty() {
                return Err(Errno::NOTDIR);
            } else {
                match step(here, &name, flags) {
                    // It became a link since: look again.
                    Err(Errno::LOOP) if links < LINKS_MAX => {
                        links += 1;
                        todo.push_front(name);
                    }
                    opened => return opened,
                }
            }
        }
        let here = entered.last().map_or(self.fd.as_fd(), AsFd::as_fd);
        step(here, OsStr::new("."), flags)
    }
}

/// Opens one name, no matter to what a link of that name leads.
fn step(folder: BorrowedFd<'_>, name: &OsStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    loop {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(folder, name, flags, Mode::empty()) {
            Err(Errno::INTR) => {}
            opened => return opened,
        }
    }
}

/// Puts the names of a relative path before those that are left.
fn push_front(todo: &mut VecDeque<OsString>, path: &Path) -> Result<(), Errno> {
    for component in path.components().rev() {
        match component {
            Component::Normal(name) => todo.push_front(name.to_owned()),
            Component::ParentDir => todo.push_front("..".into()),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return Err(Errno::XDEV),
        }
    }
    Ok(())
}
