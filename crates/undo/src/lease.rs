//! One writer for a working tree: two sessions that change the same files could not tell whose change is whose.

use std::path::{Path, PathBuf};

use codetether_files::{self as files, Lock};

use crate::Error;
use crate::store::key;

/// Held until dropped, however the process ends.
#[derive(Debug)]
pub struct Lease {
    root: PathBuf,
    _lock: Lock,
}

impl Lease {
    /// Takes the lease of a working tree. `data` is the user's folder for such things, `owner` what others hear.
    ///
    /// # Errors
    /// [`Error::Lock`] when another has it, with what it wrote about itself.
    pub fn acquire(data: impl AsRef<Path>, root: impl AsRef<Path>, owner: &str) -> Result<Self, Error> {
        let root = files::Root::open(root)?.path().to_owned();
        let dir = data.as_ref().join("leases");
        files::create_dir_private(&dir)?;
        let lock = Lock::acquire(dir.join(key(&root)), owner)?;
        Ok(Self { root, _lock: lock })
    }

    /// The tree, by its path without links.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "what others do to files")]
mod tests {
    use super::*;

    #[test]
    fn a_second_writer_hears_of_the_first_by_whatever_path_it_comes() {
        let dir = tempfile::tempdir().unwrap();
        let (data, tree) = (dir.path().join("data"), dir.path().join("tree"));
        std::fs::create_dir(&tree).unwrap();
        std::os::unix::fs::symlink(&tree, dir.path().join("link")).unwrap();
        let lease = Lease::acquire(&data, &tree, "session 1").unwrap();
        let refused = Lease::acquire(&data, dir.path().join("link"), "session 2").unwrap_err();
        assert!(refused.to_string().contains("session 1"), "{refused}");
        Lease::acquire(&data, dir.path(), "another tree").unwrap();
        drop(lease);
        Lease::acquire(&data, &tree, "session 2").unwrap();
    }
}
