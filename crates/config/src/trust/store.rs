//! What the user decided about folders: one file each, for its owner alone, replaced at once. Knows no more about a
//! folder than its path and what its own files were.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use codetether_event::UnixMillis;
use codetether_files::{WriteOptions, create_dir_private, open_read, remove_file, write_atomic};
use serde::{Deserialize, Serialize};

use crate::trust::{Flaw, Kind, ProjectFile, ProjectFiles};

/// Longest first line of a file, in bytes.
const LONGEST: u64 = 64 << 10;

/// Longest file, in bytes: what may be trusted, written as JSON, in which a byte may take six.
const LARGEST: u64 = 100 << 20;

/// What the user decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// The files have power.
    Trusted,
    /// They have none.
    Refused,
}

/// How it stands with a project's own files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// They may have power: the user trusts exactly these.
    Trusted,
    /// The user refused exactly these.
    Refused,
    /// The user decided about other files in this folder.
    Changed(Kept),
    /// The user has not decided.
    Unknown,
    /// They cannot be trusted.
    Flawed(Flaw),
}

impl Verdict {
    /// Whether the files have power.
    #[must_use]
    pub fn trusted(&self) -> bool {
        *self == Self::Trusted
    }
}

/// A decision that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The folder, for people: what is not UTF-8 in it is replaced.
    pub folder: String,
    /// What its own files were.
    hash: String,
    /// What was decided.
    pub decision: Decision,
    /// When.
    pub at: UnixMillis,
}

/// A file as it was when something was decided about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptFile {
    /// What is not UTF-8 in it is replaced.
    pub(crate) path: String,
    pub(crate) kind: Kind,
    /// Hash of the content.
    pub(crate) hash: String,
    /// The content, if it is a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
}

impl KeptFile {
    pub(crate) fn of(file: &ProjectFile) -> Self {
        Self {
            path: file.path.to_string_lossy().into_owned(),
            kind: file.kind,
            hash: blake3::hash(&file.content).to_hex().to_string(),
            text: String::from_utf8(file.content.clone()).ok(),
        }
    }
}

/// Why a decision cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The files cannot be trusted.
    #[error("`{folder}` cannot be trusted: {flaw}")]
    Flawed {
        /// The project's root.
        folder: String,
        /// Why.
        flaw: Flaw,
    },
    /// A file of ours cannot be used.
    #[error(transparent)]
    File(#[from] codetether_files::Error),
    /// It cannot be written as JSON.
    #[error("cannot write down what was decided: {0}")]
    Json(#[from] serde_json::Error),
}

/// The decisions of one user.
#[derive(Debug, Clone)]
pub struct TrustStore {
    dir: PathBuf,
}

impl TrustStore {
    /// Those kept in the program's data folder.
    #[must_use]
    pub fn new(data: &Path) -> Self {
        Self { dir: data.join("trust") }
    }

    /// How it stands with these files.
    #[must_use]
    pub fn verdict(&self, files: &ProjectFiles) -> Verdict {
        if let Some(flaw) = files.flaw() {
            return Verdict::Flawed(flaw.clone());
        }
        match self.kept(files.root()) {
            None => Verdict::Unknown,
            Some(kept) if kept.hash != files.hash().to_string() => Verdict::Changed(kept),
            Some(Kept { decision: Decision::Trusted, .. }) => Verdict::Trusted,
            Some(Kept { decision: Decision::Refused, .. }) => Verdict::Refused,
        }
    }

    /// What was decided about a folder, whatever its files are now. What cannot be read counts as nothing: then there
    /// is no trust.
    #[must_use]
    pub fn kept(&self, root: &Path) -> Option<Kept> {
        first_line(&self.path(root))
    }

    /// Keeps a decision about exactly these files.
    ///
    /// # Errors
    /// When they are flawed and are to be trusted, or the file cannot be written.
    pub fn keep(&self, files: &ProjectFiles, decision: Decision, at: UnixMillis) -> Result<(), TrustError> {
        let folder = files.root().to_string_lossy().into_owned();
        if let Some(flaw) = files.flaw() {
            return Err(TrustError::Flawed { folder, flaw: flaw.clone() });
        }
        let kept = Kept { folder, hash: files.hash().to_string(), decision, at };
        let contents: Vec<KeptFile> = files.files().iter().map(KeptFile::of).collect();
        let mut text = serde_json::to_vec(&kept)?;
        text.push(b'\n');
        serde_json::to_writer(&mut text, &contents)?;
        text.push(b'\n');
        create_dir_private(&self.dir)?;
        let options = WriteOptions { mode: Some(0o600), ..WriteOptions::default() };
        write_atomic(self.path(files.root()), &text, &options)?;
        Ok(())
    }

    /// Forgets what was decided about a folder; false when nothing was.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn forget(&self, root: &Path) -> Result<bool, TrustError> {
        match remove_file(self.path(root)) {
            Ok(()) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// All decisions, by folder.
    ///
    /// # Errors
    /// When the folder of decisions cannot be read.
    pub fn list(&self) -> Result<Vec<Kept>, TrustError> {
        let failed = |error| codetether_files::Error::new("read", &self.dir, error);
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error).into()),
        };
        let mut list = Vec::new();
        for entry in entries {
            list.extend(first_line(&entry.map_err(failed)?.path()));
        }
        list.sort_by(|a: &Kept, b| a.folder.cmp(&b.folder));
        Ok(list)
    }

    /// The files as they were when something was decided about them; none where that cannot be read.
    pub(crate) fn files(&self, root: &Path) -> Vec<KeptFile> {
        let read = || {
            let mut text = Vec::new();
            open_read(self.path(root)).ok()?.take(LARGEST).read_to_end(&mut text).ok()?;
            let contents = text.iter().position(|&byte| byte == b'\n').and_then(|at| text.get(at..))?;
            serde_json::from_slice(contents).ok()
        };
        read().unwrap_or_default()
    }

    /// Named by the folder's path, whatever that is made of.
    fn path(&self, root: &Path) -> PathBuf {
        self.dir.join(format!("{}.json", blake3::hash(root.as_os_str().as_bytes()).to_hex()))
    }
}

fn first_line(path: &Path) -> Option<Kept> {
    if path.extension().is_none_or(|extension| extension != "json") {
        return None;
    }
    let mut line = Vec::new();
    BufReader::new(open_read(path).ok()?.take(LONGEST)).read_until(b'\n', &mut line).ok()?;
    serde_json::from_slice(&line).ok()
}
