//! Who starts a sandbox, and with what environment: all that is read of the process that asks for one.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Mode, Uid};
use rustix::io::Errno;

use super::fault::{Doing, Fault};

/// The process that asks for a sandbox.
#[derive(Debug, Clone)]
pub struct Host {
    pub(crate) home: PathBuf,
    pub(crate) user: Uid,
    pub(crate) group: Gid,
    pub(crate) vars: BTreeMap<OsString, OsString>,
    /// Where things are kept that can be deleted at any time.
    pub(crate) cache: Option<PathBuf>,
}

impl Host {
    /// This process.
    #[must_use]
    pub fn here() -> Self {
        Self::with(std::env::vars_os().collect())
    }

    fn with(vars: BTreeMap<OsString, OsString>) -> Self {
        let absolute =
            |name: &str| vars.get(OsStr::new(name)).map(PathBuf::from).filter(|path| path.is_absolute());
        let home =
            absolute("HOME").and_then(|home| home.canonicalize().ok()).filter(|home| home != Path::new("/"));
        let cache = absolute("XDG_CACHE_HOME").or_else(|| home.as_ref().map(|home| home.join(".cache")));
        Self {
            home: home.unwrap_or_else(|| PathBuf::from("/nonexistent")),
            user: rustix::process::geteuid(),
            group: rustix::process::getegid(),
            cache: cache.map(|cache| cache.join("codetether/sandbox")),
            vars,
        }
    }

    /// A variable, unless it is empty.
    pub(crate) fn var(&self, name: &str) -> Option<&OsStr> {
        self.vars.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }
}

/// A private folder for temporary files and an empty home, for when there is no new root to have them in. Gone when
/// dropped.
pub(crate) struct Private {
    path: PathBuf,
}

impl Private {
    /// Makes one.
    pub(crate) fn new() -> Result<Self, Fault> {
        let doing = || "making a private folder";
        let mut number = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.subsec_nanos());
        for _ in 0..100 {
            let path = std::env::temp_dir().join(format!("codetether-{}-{number:x}", std::process::id()));
            // Fails where something is there already, whoever put it there.
            match rustix::fs::mkdir(&path, Mode::RWXU) {
                Ok(()) => {
                    let private = Self { path };
                    rustix::fs::mkdir(private.home(), Mode::RWXU).doing(doing)?;
                    return Ok(private);
                }
                Err(Errno::EXIST) => number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223),
                Err(errno) => return Err(Fault::of(doing(), errno)),
            }
        }
        Err(Fault::new(doing(), "every name is taken"))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.path.join("home")
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // What cannot be removed is in the folder for temporary files.
        let _ = codetether_files::remove_dir_all(&self.path);
    }
}
