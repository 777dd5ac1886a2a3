//! The only door to the file system for writing: whole files at once or not at all, appends, locks, blobs named by
//! their content, and a root that no path leads out of. Errors carry the path. Never knows what is in a file.

#![allow(clippy::disallowed_methods, reason = "this is the crate that the lint sends everyone else to")]

mod atomic;
mod blobs;
mod error;
mod folder;
mod listing;
mod lock;
mod open;
mod plain;
mod repository;
mod resolve;
mod root;

pub use atomic::{Durability, WriteOptions, write_atomic};
pub use blobs::BlobStore;
pub use error::{Error, RootError};
pub use folder::{Folder, Seen, SeenKind};
pub use listing::{Entry, EntryKind, Listing};
pub use lock::{Lock, LockError};
pub use open::{create_new, open_append, open_read, sync_dir};
pub use plain::{
    copy, create_dir_all, create_dir_private, read, read_to_string, remove_dir_all, remove_file, rename,
    set_executable,
};
pub use repository::above;
pub use root::{Permissions, RelPath, Root};
