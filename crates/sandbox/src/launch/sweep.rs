//! What is made in repositories before a command runs, so that the command cannot make it, and what is taken out of
//! them afterwards: files that would lead git outside to settings and hooks of the command's.

use std::path::{Path, PathBuf};

use super::fault::Fault;
use super::repository::Wanted;

/// Makes what is wanted: empty, and only where nothing is.
pub(crate) fn prepare(wanted: &[Wanted]) -> Result<(), Fault> {
    for want in wanted {
        let made = match want {
            Wanted::Folder(path) => codetether_files::create_dir_all(path),
            Wanted::File(path) => match codetether_files::create_new(path, 0o644) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
                other => other.map(drop),
            },
        };
        made.map_err(|error| {
            Fault::new("guarding a repository", error.to_string())
                .with_cure("it has to be there before a command runs, or the command could make it; use `--mode read-only`")
        })?;
    }
    Ok(())
}

/// Takes out what has appeared, and tells what that was.
pub(crate) fn clear(unwanted: &[PathBuf]) -> Vec<String> {
    let there = unwanted.iter().filter(|path| path.symlink_metadata().is_ok());
    there.map(|path| taken_out(path)).collect()
}

fn taken_out(path: &Path) -> String {
    match codetether_files::remove_file(path) {
        Ok(()) => format!(
            "took `{}` out: it would have led git outside to other hooks and settings",
            path.display()
        ),
        Err(error) => {
            format!("`{}` leads git outside to other hooks and settings, and stays: {error}", path.display())
        }
    }
}
