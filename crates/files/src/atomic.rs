//! Whole files at once: a reader sees the old content or the new, never a part, also after a crash.

use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::BuildHasher;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::Error;

/// What has to hold when a write returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// The system has it: it survives the end of this process. A loss of power may undo it, which leaves what it
    /// replaced, or for a new file anything between nothing and all of it.
    #[default]
    Cached,
    /// The disk has it: it survives a loss of power.
    Synced,
}

/// How a file is written.
#[derive(Debug, Clone, Copy, Default)]
pub struct WriteOptions {
    /// Its mode; when absent, that of the file it replaces, else 0644 less the umask.
    pub mode: Option<u32>,
    /// What has to hold when the write returns.
    pub durability: Durability,
}

/// Writes a file, or replaces it. A symbolic link is kept and the file that it leads to is replaced.
///
/// # Errors
/// When the folder does not exist or cannot be written, or the disk is full; then the old content stands and
/// nothing else is left behind.
pub fn write_atomic(path: impl AsRef<Path>, bytes: &[u8], options: &WriteOptions) -> Result<(), Error> {
    let path = path.as_ref();
    replace_path(path, bytes, options).map_err(Error::of("write", path))
}

fn replace_path(path: &Path, bytes: &[u8], options: &WriteOptions) -> io::Result<()> {
    let target = match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => path.canonicalize()?,
        Ok(_) => path.to_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    let name = target.file_name().ok_or(Errno::ISDIR)?;
    let parent = match target.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let parent = File::open(parent)?;
    let old = std::fs::metadata(&target).ok();
    let mode = match (options.mode, &old) {
        (Some(mode), _) => Permission::Exactly(mode),
        (None, Some(old)) => Permission::Exactly(std::os::unix::fs::PermissionsExt::mode(&old.permissions())),
        (None, None) => Permission::Masked(0o644),
    };
    let content = if old.is_some() { Durability::Synced } else { options.durability };
    replace_at(parent.as_fd(), Path::new(name), bytes, mode, content)?;
    if options.durability == Durability::Synced {
        parent.sync_all()?;
    }
    Ok(())
}

/// The mode of a new file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Permission {
    /// Whatever the umask says.
    Exactly(u32),
    /// Less the umask.
    Masked(u32),
}

/// Writes a file beside `name` in an open folder, then gives it that name. `name` is one component; a symbolic link
/// of that name is replaced, never followed. `durability` is that of the content; its name is the caller's affair.
/// When there is something to replace it has to be [`Durability::Synced`]: the disk may get the new name before the
/// new content, and the old is gone then.
pub(crate) fn replace_at(
    dir: BorrowedFd<'_>,
    name: &Path,
    bytes: &[u8],
    mode: Permission,
    durability: Durability,
) -> io::Result<()> {
    put_at(dir, bytes, mode, durability, |temporary| rustix::fs::renameat(dir, temporary, dir, name))
}

/// The same where nothing has that name yet; an error of kind `AlreadyExists` where something does by then.
pub(crate) fn create_at(dir: BorrowedFd<'_>, name: &Path, bytes: &[u8], mode: Permission) -> io::Result<()> {
    put_at(dir, bytes, mode, Durability::Cached, |temporary| {
        match rustix::fs::renameat_with(dir, temporary, dir, name, RenameFlags::NOREPLACE) {
            // A file system that has no such renaming.
            Err(Errno::INVAL | Errno::NOSYS) => {
                rustix::fs::linkat(dir, temporary, dir, name, AtFlags::empty())?;
                rustix::fs::unlinkat(dir, temporary, AtFlags::empty())
            }
            done => done,
        }
    })
}

/// Writes a file in an open folder under a name of its own, which `name` then changes.
fn put_at(
    dir: BorrowedFd<'_>,
    bytes: &[u8],
    mode: Permission,
    durability: Durability,
    name: impl FnOnce(&Path) -> Result<(), Errno>,
) -> io::Result<()> {
    let (temporary, mut file) = create_temporary(dir, mode)?;
    let written = (|| {
        file.write_all(bytes)?;
        if durability == Durability::Synced {
            file.sync_data()?;
        }
        Ok(name(&temporary)?)
    })();
    if written.is_err() {
        // The first error is the one to tell.
        let _ = rustix::fs::unlinkat(dir, &temporary, AtFlags::empty());
    }
    written
}

/// A new file of a name that nobody uses.
pub(crate) fn create_temporary(dir: BorrowedFd<'_>, mode: Permission) -> io::Result<(PathBuf, File)> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let initial = match mode {
        Permission::Exactly(mode) => mode & 0o700,
        Permission::Masked(mode) => mode,
    };
    loop {
        let name = temporary_name();
        match rustix::fs::openat(dir, &name, flags, Mode::from_raw_mode(initial | 0o200)) {
            Ok(fd) => {
                if let Permission::Exactly(mode) = mode
                    && let Err(error) = rustix::fs::fchmod(&fd, Mode::from_raw_mode(mode & 0o7777))
                {
                    let _ = rustix::fs::unlinkat(dir, &name, AtFlags::empty());
                    return Err(error.into());
                }
                return Ok((name, File::from(fd)));
            }
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Unlike any other, hidden, and short enough for every file system whatever the final name's length.
pub(crate) fn temporary_name() -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let seed = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    PathBuf::from(format!(".codetether-{:016x}.tmp", RandomState::new().hash_one(seed)))
}

/// Whether a name is one of those.
pub(crate) fn is_temporary(name: &std::ffi::OsStr) -> bool {
    let Some(seed) = name.to_str().and_then(|name| name.strip_prefix(".codetether-")?.strip_suffix(".tmp"))
    else {
        return false;
    };
    seed.len() == 16 && seed.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_file_is_replaced_whole_and_keeps_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let private = WriteOptions { mode: Some(0o600), durability: Durability::Synced };
        write_atomic(&path, b"one", &private).unwrap();
        assert_eq!(mode(&path), 0o600);
        write_atomic(&path, b"two", &WriteOptions::default()).unwrap();
        assert_eq!((std::fs::read(&path).unwrap(), mode(&path)), (b"two".to_vec(), 0o600));
        assert_eq!(names(dir.path()), ["f"]);
    }

    #[test]
    fn a_symbolic_link_stays_one() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        std::fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink("real", &link).unwrap();
        write_atomic(&link, b"new", &WriteOptions::default()).unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&real).unwrap(), b"new");
    }

    #[test]
    fn a_failed_write_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("taken");
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("inner"), "").unwrap();
        let error = write_atomic(&path, b"x", &WriteOptions::default()).unwrap_err();
        assert_eq!(error.path(), path);
        assert_eq!(names(dir.path()), ["taken"]);
        assert!(
            write_atomic(dir.path().join("no/such"), b"x", &WriteOptions::default())
                .unwrap_err()
                .is_not_found()
        );
    }

    #[test]
    fn a_name_of_full_length_can_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("n".repeat(255));
        write_atomic(&path, b"x", &WriteOptions::default()).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"x");
    }
}
