//! What is made in repositories before a command runs, so that the command cannot make it, and what is taken out of
//! them afterwards: files that would lead git outside to settings and hooks of the command's.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, mkdirat, openat, openat2, unlinkat};
use rustix::io::Errno;

use super::fault::Fault;
use super::repository::Wanted;

/// Makes what is wanted: empty, and only where nothing is.
pub(crate) fn prepare(wanted: &[Wanted]) -> Result<(), Fault> {
    for want in wanted {
        let made = match want {
            Wanted::Folder(path) => made_folder(path).map(drop),
            Wanted::File(path) => made_file(path),
        };
        made.map_err(|errno| {
            let cause = match errno {
                Errno::LOOP => "a link was put in its place while the sandbox was being set up".to_owned(),
                errno => std::io::Error::from(errno).to_string(),
            };
            Fault::new("guarding a repository", cause)
                .with_cure("it has to be there before a command runs, or the command could make it; use `--mode read-only`")
        })?;
    }
    Ok(())
}

/// No `NOFOLLOW`: with that, a link at the end would be opened as such.
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A folder, where no link is on the way: one that is exchanged with a link meanwhile leads nowhere.
pub(crate) fn folder(path: &Path) -> Result<OwnedFd, Errno> {
    openat2(CWD, path, FOLDER, Mode::empty(), ResolveFlags::NO_SYMLINKS)
}

/// The same, made where it is not there.
fn made_folder(path: &Path) -> Result<OwnedFd, Errno> {
    let (Err(Errno::NOENT), Some(above), Some(name)) = (folder(path), path.parent(), path.file_name()) else {
        return folder(path);
    };
    let above = made_folder(above)?;
    match mkdirat(&above, name, Mode::from_raw_mode(0o777)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    openat2(&above, name, FOLDER, Mode::empty(), ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH)
}

fn made_file(path: &Path) -> Result<(), Errno> {
    let (Some(above), Some(name)) = (path.parent(), path.file_name()) else { return Err(Errno::INVAL) };
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(folder(above)?, name, flags, Mode::from_raw_mode(0o644)) {
        Ok(_) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Takes out what has appeared, and tells what that was.
pub(crate) fn clear(unwanted: &[PathBuf]) -> Vec<String> {
    unwanted.iter().filter_map(|path| taken_out(path)).collect()
}

fn taken_out(path: &Path) -> Option<String> {
    let removed = match (path.parent().map(folder), path.file_name()) {
        (Some(Ok(above)), Some(name)) => unlinkat(above, name, AtFlags::empty()),
        (Some(Err(errno)), Some(_)) => Err(errno),
        _ => return None,
    };
    match removed {
        Ok(()) => Some(format!(
            "took `{}` out: it would have led git outside to other hooks and settings",
            path.display()
        )),
        Err(Errno::NOENT | Errno::NOTDIR) => None,
        // Behind a link that has appeared, nothing is anyone's to take out.
        Err(Errno::LOOP) => None,
        // Where it cannot be written, asking for what is not there may be refused before it is looked for.
        Err(_) if path.symlink_metadata().is_err() => None,
        Err(errno) => Some(format!(
            "`{}` leads git outside to other hooks and settings, and stays: {}",
            path.display(),
            std::io::Error::from(errno)
        )),
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests set up files as a person would")]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_made_or_taken_out_behind_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("outside")).unwrap();
        std::fs::write(root.join("outside/commondir"), "x").unwrap();
        std::os::unix::fs::symlink("outside", root.join("link")).unwrap();
        for want in [Wanted::File(root.join("link/file")), Wanted::Folder(root.join("link/a/b"))] {
            assert!(prepare(&[want]).unwrap_err().cause.contains("a link was put in its place"));
        }
        assert!(clear(&[root.join("link/commondir"), root.join("absent/commondir")]).is_empty());
        assert_eq!(std::fs::read_dir(root.join("outside")).unwrap().count(), 1);
        assert_eq!(clear(&[root.join("outside/commondir")]).len(), 1);
        assert_eq!(std::fs::read_dir(root.join("outside")).unwrap().count(), 0);
    }

    #[test]
    fn what_is_there_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let wanted = [Wanted::Folder(root.join("a/b")), Wanted::File(root.join("a/b/file"))];
        prepare(&wanted).unwrap();
        std::fs::write(root.join("a/b/file"), "kept").unwrap();
        prepare(&wanted).unwrap();
        assert_eq!(std::fs::read_to_string(root.join("a/b/file")).unwrap(), "kept");
    }
}
