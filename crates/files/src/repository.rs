//! Which folders above this one belong to the same repository, and to the user. Reads no file.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Most folders above that are looked into.
const ABOVE: usize = 32;

/// The folders above this one up to the top of its git repository, nearest first; none where it is in no repository, or one
/// that is not the user's: whoever can write above the folder is not to speak for them.
#[must_use]
pub fn above(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for (steps, folder) in folder.ancestors().take(ABOVE).enumerate() {
        if !is_ours(folder).unwrap_or(false) {
            return Vec::new();
        }
        if steps > 0 {
            found.push(folder.to_owned());
        }
        if is_ours(&folder.join(".git")).unwrap_or(false) {
            return found;
        }
    }
    Vec::new()
}

fn is_ours(path: &Path) -> io::Result<bool> {
    Ok(path.symlink_metadata()?.uid() == rustix::process::geteuid().as_raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folders_of_a_repository_end_at_its_top() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("top");
        crate::create_dir_all(top.join("a/b")).unwrap();
        assert!(above(&top.join("a/b")).is_empty());
        crate::create_dir_all(top.join(".git")).unwrap();
        assert_eq!(above(&top.join("a/b")), [top.join("a"), top.clone()]);
        assert!(above(&top).is_empty());
    }
}
