//! States behind system prompts and tools, kept on disk so that a first answer need not wait for them to be read. Each
//! is named by the hash of model, build and tokens, and stands beside the hash of its own bytes: what does not fit is
//! removed and made again. Bounded; what was used longest ago goes first.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use codetether_files::{WriteOptions, create_dir_private, remove_file, rename, write_atomic};

use crate::engine::{Engine, Token};

/// Most bytes of all states.
pub const BYTES_MAX: u64 = 1 << 30;

/// A folder of states of one model.
#[derive(Debug)]
pub struct Kept {
    folder: PathBuf,
    id: String,
    most: u64,
}

impl Kept {
    /// In this folder, for the engine that is named `id`; all of them take at most `most` bytes.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, id: impl Into<String>, most: u64) -> Self {
        Self { folder: folder.into(), id: id.into(), most }
    }

    /// Whether there is one for these tokens.
    #[must_use]
    pub fn has(&self, tokens: &[Token]) -> bool {
        self.sum_file(tokens).is_file()
    }

    /// Fills an empty sequence. Says whether it is filled now; one that cannot be used is removed.
    pub fn load(&mut self, engine: &mut impl Engine, sequence: usize, tokens: &[Token]) -> bool {
        let (file, sum) = (self.state_file(tokens), self.sum_file(tokens));
        let whole = codetether_files::read(&sum).is_ok_and(|wanted| {
            hash(&file).is_some_and(|found| found.to_hex().as_bytes() == wanted.trim_ascii())
        });
        let loaded = whole && engine.load(sequence, &file, tokens.len()).is_ok_and(|had| had == tokens);
        if loaded {
            touch(&file);
        } else {
            engine.cut(sequence, 0);
            remove(&file);
        }
        loaded
    }

    /// Keeps the state of a sequence. What goes wrong costs time later, and nothing else.
    pub fn save(&mut self, engine: &mut impl Engine, sequence: usize, tokens: &[Token]) {
        if self.has(tokens) || create_dir_private(&self.folder).is_err() {
            return;
        }
        let (file, sum) = (self.state_file(tokens), self.sum_file(tokens));
        let part = file.with_extension(format!("{}.part", std::process::id()));
        let saved = engine.save(sequence, tokens, &part).is_ok();
        let hash = if saved { hash(&part) } else { None };
        let done = hash.is_some_and(|hash| {
            let options = WriteOptions { mode: Some(0o600), ..WriteOptions::default() };
            rename(&part, &file).is_ok() && write_atomic(&sum, hash.to_hex().as_bytes(), &options).is_ok()
        });
        if !done {
            let _ = remove_file(&part);
            remove(&file);
        }
        self.trim();
    }

    /// Removes what was used longest ago, until the rest fits.
    fn trim(&self) {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return };
        let mut states: Vec<(SystemTime, u64, PathBuf)> = entries
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let about = entry.metadata().ok()?;
                let is_sum = entry.path().extension().is_some_and(|extension| extension == "sum");
                (about.is_file() && !is_sum).then_some((about.modified().ok()?, about.len(), entry.path()))
            })
            .collect();
        states.sort();
        let mut total: u64 = states.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, bytes, file) in states {
            if total <= self.most {
                return;
            }
            remove(&file);
            total = total.saturating_sub(bytes);
        }
    }

    fn state_file(&self, tokens: &[Token]) -> PathBuf {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.id.as_bytes()).update(&[0]);
        for token in tokens {
            hasher.update(&token.to_le_bytes());
        }
        self.folder.join(format!("{}.state", hasher.finalize().to_hex()))
    }

    fn sum_file(&self, tokens: &[Token]) -> PathBuf {
        self.state_file(tokens).with_extension("sum")
    }
}

/// The state and its sum.
fn remove(file: &Path) {
    let _ = remove_file(file.with_extension("sum"));
    let _ = remove_file(file);
}

fn touch(file: &Path) {
    // Where this fails it is removed earlier than it need be.
    let _ = File::open(file).and_then(|file| file.set_modified(SystemTime::now()));
}

fn hash(file: &Path) -> Option<blake3::Hash> {
    let mut file = File::open(file).ok()?;
    let (mut hasher, mut piece) = (blake3::Hasher::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut piece).ok()? {
            0 => return Some(hasher.finalize()),
            count => hasher.update(piece.get(..count)?),
        };
    }
}
