//! The everyday calls of `std::fs`, with errors that name the path.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use crate::Error;

/// The whole content of a file.
///
/// # Errors
/// When it cannot be read.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<u8>, Error> {
    let path = path.as_ref();
    fs::read(path).map_err(Error::of("read", path))
}

/// The whole content of a file that is UTF-8.
///
/// # Errors
/// When it cannot be read or is not UTF-8.
pub fn read_to_string(path: impl AsRef<Path>) -> Result<String, Error> {
    let path = path.as_ref();
    fs::read_to_string(path).map_err(Error::of("read", path))
}

/// Makes a folder and the missing ones above it.
///
/// # Errors
/// When it cannot be made; not when it is there already.
pub fn create_dir_all(path: impl AsRef<Path>) -> Result<(), Error> {
    let path = path.as_ref();
    fs::create_dir_all(path).map_err(Error::of("create the folder", path))
}

/// Makes a folder and the missing ones above it, each for its owner alone (mode 0700). Those that were there keep
/// their mode.
///
/// # Errors
/// When it cannot be made; not when it is there already.
pub fn create_dir_private(path: impl AsRef<Path>) -> Result<(), Error> {
    let path = path.as_ref();
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(Error::of("create the folder", path))
}

/// Removes a file or a symbolic link.
///
/// # Errors
/// When it cannot be removed; also when it is not there.
pub fn remove_file(path: impl AsRef<Path>) -> Result<(), Error> {
    let path = path.as_ref();
    fs::remove_file(path).map_err(Error::of("remove", path))
}

/// Removes a folder and all that is in it; a symbolic link is removed, not followed.
///
/// # Errors
/// When something in it cannot be removed; also when it is not there.
pub fn remove_dir_all(path: impl AsRef<Path>) -> Result<(), Error> {
    let path = path.as_ref();
    fs::remove_dir_all(path).map_err(Error::of("remove", path))
}

/// Renames within one file system, replacing what has the new name.
///
/// # Errors
/// When the system refuses.
pub fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<(), Error> {
    let (from, to) = (from.as_ref(), to.as_ref());
    fs::rename(from, to).map_err(Error::of("rename", from))
}

/// Copies a file's content and mode; returns the number of bytes.
///
/// # Errors
/// When one cannot be read or the other cannot be written.
pub fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<u64, Error> {
    let (from, to) = (from.as_ref(), to.as_ref());
    fs::copy(from, to).map_err(Error::of("copy", from))
}

/// Lets everyone run the file who may read it.
///
/// # Errors
/// When its mode cannot be read or set.
pub fn set_executable(path: impl AsRef<Path>) -> Result<(), Error> {
    let path = path.as_ref();
    let change = || {
        let mut permissions = fs::metadata(path)?.permissions();
        let mode = permissions.mode();
        permissions.set_mode(mode | (mode & 0o444) >> 2);
        fs::set_permissions(path, permissions)
    };
    change().map_err(Error::of("make executable", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn private_folders_are_for_their_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b");
        create_dir_private(&deep).unwrap();
        create_dir_private(&deep).unwrap();
        assert_eq!((mode(&deep), mode(&dir.path().join("a"))), (0o700, 0o700));
    }

    #[test]
    fn executable_follows_readable() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        for (before, after) in [(0o600, 0o700), (0o644, 0o755), (0o640, 0o750)] {
            fs::write(&path, "x").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(before)).unwrap();
            set_executable(&path).unwrap();
            assert_eq!(mode(&path), after);
        }
    }

    #[test]
    fn an_error_names_the_path_and_what_was_done() {
        let error = read("/nonexistent/file").unwrap_err();
        assert_eq!(error.to_string(), "cannot read `/nonexistent/file`: No such file or directory");
        assert!(error.is_not_found());
    }
}
