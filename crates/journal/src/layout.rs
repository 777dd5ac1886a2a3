//! Where everything is within the data directory, and which sessions there are. Makes nothing.

use std::path::{Path, PathBuf};

use codetether_event::SessionId;
use codetether_files::BlobStore;

use crate::Error;

/// The data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    data: PathBuf,
}

/// The sessions whose id begins with some text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Just this one.
    One(SessionId),
    /// None does.
    None,
    /// More than one, in order.
    Several(Vec<SessionId>),
}

impl Layout {
    /// Of the data directory at this path.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self { data: data_dir.into() }
    }

    /// The data directory.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data
    }

    /// The folder of all sessions.
    #[must_use]
    pub fn sessions(&self) -> PathBuf {
        self.data.join("sessions")
    }

    /// A session's folder.
    #[must_use]
    pub fn session(&self, id: SessionId) -> PathBuf {
        self.sessions().join(id.to_string())
    }

    /// A session's journal.
    #[must_use]
    pub fn journal(&self, id: SessionId) -> PathBuf {
        self.session(id).join("journal.jsonl")
    }

    /// A session's blobs, for reading. To add some, use those of its [`Handle`](crate::Handle), which are synced
    /// with its records.
    #[must_use]
    pub fn blobs(&self, id: SessionId) -> BlobStore {
        BlobStore::new(self.blobs_dir(id))
    }

    pub(crate) fn blobs_dir(&self, id: SessionId) -> PathBuf {
        self.session(id).join("blobs")
    }

    /// The folders whose names have to be on the disk for a session's to be: the data directory's own, and those
    /// above it that do not exist yet, with the first that does.
    pub(crate) fn naming(&self, id: SessionId) -> Vec<PathBuf> {
        let mut folders = vec![self.session(id), self.sessions(), self.data.clone()];
        for above in self.data.ancestors().skip(1) {
            let above = if above == Path::new("") { Path::new(".") } else { above };
            folders.push(above.to_owned());
            if above.is_dir() {
                break;
            }
        }
        folders
    }

    /// The file that a session's writer locks.
    #[must_use]
    pub fn lock(&self, id: SessionId) -> PathBuf {
        self.session(id).join("lock")
    }

    /// The index over all sessions: a cache.
    #[must_use]
    pub fn index(&self) -> PathBuf {
        self.data.join("index.sqlite")
    }

    /// All sessions, in order of their ids, which is that of their making.
    ///
    /// # Errors
    /// When the folder cannot be read; not when there is none.
    pub fn ids(&self) -> Result<Vec<SessionId>, Error> {
        let path = self.sessions();
        let failed = |cause| Error::from(codetether_files::Error::new("list", &path, cause));
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut ids = Vec::new();
        for entry in entries {
            // Anything else in there is not ours.
            ids.extend(entry.map_err(failed)?.file_name().to_str().and_then(session_of));
        }
        ids.sort_unstable();
        Ok(ids)
    }

    /// The sessions whose id begins with `prefix`; hyphens may be left out.
    ///
    /// # Errors
    /// As [`ids`](Self::ids).
    pub fn find(&self, prefix: &str) -> Result<Found, Error> {
        let bare = |text: &str| text.replace('-', "").to_ascii_lowercase();
        let prefix = bare(prefix);
        let mut found = self.ids()?;
        found.retain(|id| bare(&id.to_string()).starts_with(&prefix));
        Ok(match found.as_slice() {
            [] => Found::None,
            [id] => Found::One(*id),
            _ => Found::Several(found),
        })
    }
}

/// The session whose folder has this name.
fn session_of(name: &str) -> Option<SessionId> {
    let id: SessionId = name.parse().ok()?;
    // The parser accepts other ways to write an id, which name other folders.
    (id.to_string() == name).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_found_by_the_beginning_of_its_id() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        assert_eq!(layout.find("0").unwrap(), Found::None);
        let names = ["01890a5d-ac96-774b-bcce-b302099a8057", "01890a5d-ac96-774b-bcce-b302099a8058"];
        for name in names.iter().chain(&["01890a5dac96774bbcceb302099a8059", ".removed", "notes"]) {
            codetether_files::create_dir_all(layout.sessions().join(name)).unwrap();
        }
        let ids = names.map(|name| name.parse::<SessionId>().unwrap());
        assert_eq!(layout.ids().unwrap(), ids);
        assert_eq!(layout.find("01890a5d").unwrap(), Found::Several(ids.into()));
        assert_eq!(layout.find("01890A5DAC96774BBCCEB302099A8058").unwrap(), Found::One(ids[1]));
        assert_eq!(layout.find(names[0]).unwrap(), Found::One(ids[0]));
        assert_eq!(layout.find("1").unwrap(), Found::None);
    }
}
