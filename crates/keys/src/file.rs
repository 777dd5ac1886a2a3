//! The file of keys: `keys.toml`, one line a provider, readable by its owner alone. Never read where others could.

use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use codetether_files::{Durability, WriteOptions};
use codetether_secret::Secret;

use crate::KeyError;

/// Most bytes of the file.
const MOST: u64 = 1024 * 1024;

/// A file of keys.
#[derive(Debug, Clone)]
pub struct KeyFile {
    path: PathBuf,
}

impl KeyFile {
    /// The file at this path, whether or not it is there.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A provider's key, if it is in it.
    ///
    /// # Errors
    /// When the file is there and cannot be used.
    pub fn get(&self, provider: &str) -> Result<Option<Secret>, KeyError> {
        match self.read()?.remove(provider) {
            None => Ok(None),
            Some(toml::Value::String(key)) => Ok(Some(Secret::from(key))),
            Some(_) => Err(self.shape(format!("`{provider}` is not a text"))),
        }
    }

    /// The providers whose keys are in it.
    ///
    /// # Errors
    /// When the file is there and cannot be used.
    pub fn names(&self) -> Result<Vec<String>, KeyError> {
        Ok(self.read()?.into_iter().map(|(name, _)| name).collect())
    }

    /// Keeps a provider's key, instead of what was kept for it.
    ///
    /// # Errors
    /// When the name is none, or the file cannot be used or written.
    pub fn set(&self, provider: &str, key: &Secret) -> Result<(), KeyError> {
        if !crate::is_name(provider) {
            return Err(KeyError::Name(provider.to_owned()));
        }
        let mut keys = self.read()?;
        keys.insert(provider.to_owned(), toml::Value::String(key.expose().to_owned()));
        self.write(&keys)
    }

    /// Forgets a provider's key. Says whether there was one.
    ///
    /// # Errors
    /// When the file cannot be used or written.
    pub fn remove(&self, provider: &str) -> Result<bool, KeyError> {
        let mut keys = self.read()?;
        let was_there = keys.remove(provider).is_some();
        if was_there {
            self.write(&keys)?;
        }
        Ok(was_there)
    }

    fn read(&self) -> Result<toml::Table, KeyError> {
        let file = match codetether_files::open_read(&self.path) {
            Ok(file) => file,
            Err(error) if error.is_not_found() => return Ok(toml::Table::new()),
            Err(error) => return Err(error.into()),
        };
        let failed = |error: std::io::Error| codetether_files::Error::new("read", &self.path, error);
        // Of the open file, so that what is checked is what is read.
        let about = file.metadata().map_err(failed)?;
        let me = rustix::process::geteuid().as_raw();
        if about.permissions().mode() & 0o077 != 0 || (about.uid() != me && me != 0) {
            return Err(KeyError::Open { path: self.path.display().to_string() });
        }
        let mut text = String::new();
        file.take(MOST + 1).read_to_string(&mut text).map_err(failed)?;
        if text.len() as u64 > MOST {
            return Err(self.shape(format!("it is longer than {MOST} bytes")));
        }
        // The parser's own message would show the line.
        text.parse::<toml::Table>().map_err(|error| {
            let before = error.span().map_or("", |span| text.get(..span.start).unwrap_or_default());
            self.shape(format!("line {} is wrong", before.matches('\n').count() + 1))
        })
    }

    fn write(&self, keys: &toml::Table) -> Result<(), KeyError> {
        if let Some(folder) = self.path.parent() {
            codetether_files::create_dir_private(folder)?;
        }
        let text = toml::to_string(keys).map_err(|_| self.shape("a key cannot be written".into()))?;
        let options = WriteOptions { mode: Some(0o600), durability: Durability::Synced };
        codetether_files::write_atomic(&self.path, text.as_bytes(), &options)?;
        Ok(())
    }

    fn shape(&self, reason: String) -> KeyError {
        KeyError::Shape { path: self.path.display().to_string(), reason }
    }
}
