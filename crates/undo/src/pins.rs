//! Blobs of git repositories that snapshots rely on. The files they lie in get a second name here, so that they stay
//! whatever happens to the repository: packs and loose objects never change once they are written.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use codetether_files::{self as files, Folder};

use crate::Error;
use crate::entry::Content;
use crate::git::{self, Blobs, Format};
use crate::id::hex;

/// A larger pack on another file system is not copied.
const COPY_MAX: u64 = 256 << 20;

const MODE: u16 = 0o400;

/// The folder of pins.
#[derive(Debug)]
pub(crate) struct Pins {
    packs: Folder,
    /// Loose objects, as git has them.
    loose: Folder,
    /// Contents that were copied from the tree as their blob was gone.
    rescued: Folder,
    /// What is in `packs`, opened when it is first read from.
    opened: Mutex<Vec<(Format, std::sync::Arc<Blobs>)>>,
}

impl Pins {
    pub(crate) fn open(dir: &Path) -> Result<Self, Error> {
        let open = |name| {
            let path = dir.join(name);
            files::create_dir_private(&path)?;
            Folder::open(path)
        };
        Ok(Self {
            packs: open("packs")?,
            loose: open("loose")?,
            rescued: open("rescued")?,
            opened: Mutex::default(),
        })
    }

    /// Pins a pack; `path` has no ending. Whether it is pinned now.
    pub(crate) fn pin_pack(&self, path: &Path) -> bool {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
        // The index last: without it the pack is as if it were not there.
        ["pack", "idx"]
            .iter()
            .all(|ending| pin(&self.packs, &with_ending(path, ending), &format!("{name}.{ending}"), COPY_MAX))
    }

    /// Pins a loose object.
    pub(crate) fn pin_loose(&self, path: &Path, id: &[u8]) -> bool {
        pin(&self.loose, path, &hex(id), COPY_MAX)
    }

    /// Whether a pack is pinned.
    pub(crate) fn has_pack(&self, name: &str) -> bool {
        is_there(&self.packs, &format!("{name}.idx"))
    }

    /// Whether a blob has a file of its own here.
    pub(crate) fn has(&self, id: &[u8]) -> bool {
        let name = hex(id);
        is_there(&self.loose, &name) || is_there(&self.rescued, &name)
    }

    /// Whether a blob is here, in whichever way.
    pub(crate) fn holds(&self, format: Format, id: &[u8]) -> bool {
        self.has(id) || self.in_packs(format).find(id).is_some()
    }

    /// Keeps the content of a blob that is gone from its repository.
    pub(crate) fn rescue(&self, id: &[u8], content: &mut dyn Read) -> Result<(), Error> {
        Ok(self.rescued.write(hex(id), MODE, content)?)
    }

    /// The content of a blob of at most `max` bytes.
    pub(crate) fn read(&self, format: Format, id: &[u8], max: u64) -> Option<Vec<u8>> {
        let name = hex(id);
        let rescued = || {
            let mut content = Vec::new();
            self.rescued.open_file(&name).ok()?.take(max.saturating_add(1)).read_to_end(&mut content).ok()?;
            (content.len() as u64 <= max).then_some(content)
        };
        let is_it = |content: &Vec<u8>| {
            let named = format.name(content.len() as u64, &mut content.as_slice());
            named.is_ok_and(|named| Some(named) == format.content(id))
        };
        rescued()
            .filter(is_it)
            .or_else(|| git::read_loose(self.loose.open_file(&name).ok()?, max).filter(is_it))
            .or_else(|| self.in_packs(format).read(id, max))
    }

    fn in_packs(&self, format: Format) -> std::sync::Arc<Blobs> {
        let mut opened = self.opened.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((_, blobs)) = opened.iter().find(|(of, _)| *of == format) {
            return std::sync::Arc::clone(blobs);
        }
        let blobs = std::sync::Arc::new(Blobs::of_packs(self.packs.path(), format));
        opened.push((format, std::sync::Arc::clone(&blobs)));
        blobs
    }

    /// Forgets what was opened: packs came or went.
    pub(crate) fn look_again(&self) {
        self.opened.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clear();
    }

    /// Every file: what it pins, and the room that it takes alone.
    pub(crate) fn list(&self) -> Result<Vec<(Pin, u64)>, Error> {
        let mut found = Vec::new();
        for (folder, is_pack) in [(&self.packs, true), (&self.loose, false), (&self.rescued, false)] {
            for name in folder.names()? {
                let Some(name) = name.to_str() else { continue };
                let path = folder.path().join(name);
                let Ok(file) = std::fs::symlink_metadata(&path) else { continue };
                // With another name elsewhere it takes no room of ours.
                let is_alone = std::os::unix::fs::MetadataExt::nlink(&file) == 1;
                let size = if is_alone { file.len() } else { 0 };
                let pin = if is_pack {
                    match name.rsplit_once('.') {
                        Some((pack, "pack" | "idx")) => Pin::Pack(pack.to_owned()),
                        _ => continue,
                    }
                } else if let Some(id) = crate::id::from_hex::<20>(name.as_bytes()) {
                    Pin::Blob(Content::Sha1(id), path)
                } else if let Some(id) = crate::id::from_hex::<32>(name.as_bytes()) {
                    Pin::Blob(Content::Sha256(id), path)
                } else {
                    continue;
                };
                found.push((pin, size));
            }
        }
        Ok(found)
    }

    /// Lets go of one.
    pub(crate) fn remove(&self, pin: &Pin) -> Result<(), Error> {
        match pin {
            Pin::Blob(_, path) => files::remove_file(path)?,
            Pin::Pack(name) => {
                // The index first: what is left then is no pack.
                for ending in ["idx", "pack"] {
                    match self.packs.remove(format!("{name}.{ending}")) {
                        Err(error) if !error.is_not_found() => return Err(error.into()),
                        _ => {}
                    }
                }
            }
        }
        Ok(())
    }

    /// Removes what killed writers left; nobody may be writing.
    pub(crate) fn remove_unfinished(&self) -> Result<(), Error> {
        for folder in [&self.packs, &self.loose, &self.rescued] {
            folder.remove_unfinished()?;
        }
        Ok(())
    }
}

/// A file here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pin {
    /// A pack and its index, by name.
    Pack(String),
    /// One blob, and the file that it is in.
    Blob(Content, PathBuf),
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(".");
    path.push(ending);
    path.into()
}

fn is_there(folder: &Folder, name: &str) -> bool {
    folder.look(name).is_ok_and(|seen| seen.is_some())
}

/// Links or copies a file of the repository.
fn pin(folder: &Folder, from: &Path, name: &str, copy_max: u64) -> bool {
    match folder.link_here(from, name) {
        Ok(()) => true,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => true,
        // Another file system, or one that has no links.
        Err(_) => copy(folder, from, name, copy_max).is_some(),
    }
}

fn copy(folder: &Folder, from: &Path, name: &str, max: u64) -> Option<()> {
    let mut file = Folder::open(from.parent()?).ok()?.open_file(from.file_name()?).ok()?;
    let size = file.metadata().ok()?.len();
    (size <= max).then(|| folder.write(name, MODE, &mut file).ok()).flatten()
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "what others do to files")]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_another_file_system_is_copied_while_it_is_small() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
        let from = elsewhere.path().join("o");
        std::fs::write(&from, "abc").unwrap();
        assert!(!pin(&folder, &from, "n", 2));
        assert!(pin(&folder, &from, "n", 3));
        assert_eq!(std::fs::read(dir.path().join("n")).unwrap(), b"abc");
    }

    #[test]
    fn a_link_takes_no_room_and_a_copy_does() {
        let dir = tempfile::tempdir().unwrap();
        let pins = Pins::open(&dir.path().join("pins")).unwrap();
        let object = dir.path().join("object");
        std::fs::write(&object, "abc").unwrap();
        assert!(pins.pin_loose(&object, &[1; 20]));
        let sizes = || pins.list().unwrap().into_iter().map(|(_, size)| size).collect::<Vec<_>>();
        assert_eq!(sizes(), [0]);
        std::fs::remove_file(&object).unwrap();
        assert_eq!(sizes(), [3]);
        assert!(pins.has(&[1; 20]));
    }
}
