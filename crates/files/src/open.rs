//! Open files for those who keep them: logs, spools and journals. Never truncates what is there.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::Error;

/// Opens a file for reading and for writing at its end; makes it with `mode` (less the umask) when it is missing.
///
/// # Errors
/// When it can neither be opened nor made.
pub fn open_append(path: impl AsRef<Path>, mode: u32) -> Result<File, Error> {
    let path = path.as_ref();
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(mode)
        .open(path)
        .map_err(Error::of("open", path))
}

/// Opens a file for reading.
///
/// # Errors
/// When it cannot be opened.
pub fn open_read(path: impl AsRef<Path>) -> Result<File, Error> {
    let path = path.as_ref();
    File::open(path).map_err(Error::of("open", path))
}

/// Makes a file with `mode` (less the umask) and opens it for writing.
///
/// # Errors
/// When it cannot be made; also when something of that name is there, be it a dangling link.
pub fn create_new(path: impl AsRef<Path>, mode: u32) -> Result<File, Error> {
    let path = path.as_ref();
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(Error::of("create", path))
}

/// Waits until the names in a folder are on the disk.
///
/// # Errors
/// When the folder cannot be opened or the disk fails.
pub fn sync_dir(path: impl AsRef<Path>) -> Result<(), Error> {
    let path = path.as_ref();
    File::open(path).and_then(|dir| dir.sync_all()).map_err(Error::of("sync the folder", path))
}
