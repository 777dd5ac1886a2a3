//! What was typed, kept in a file that only the user can read: a JSON text a line, bounded. Known keys are taken out of it.

use std::io::{Read, Write};
use std::path::PathBuf;

use codetether_files::WriteOptions;

use crate::{keys, place, printer};

/// Most entries that are kept.
pub(super) const ENTRIES: usize = 1_000;
/// When the file is longer than this it is written anew, bytes.
const SIZE: u64 = 1 << 20;
/// Longer entries are not kept, bytes.
const ENTRY: usize = 64 << 10;

pub(super) struct History {
    path: Option<PathBuf>,
    /// Whether it was said that it cannot be written.
    said: bool,
}

impl History {
    pub(super) fn new() -> Self {
        Self { path: place::data_dir().ok().map(|dir| dir.join("chat_history.jsonl")), said: false }
    }

    /// The entries, the oldest first. What is no entry is passed over.
    pub(super) fn entries(&self) -> Vec<String> {
        let mut bytes = Vec::new();
        let file = self.path.as_ref().and_then(|path| codetether_files::open_read(path).ok());
        let read = file.map(|file| file.take(SIZE * 4).read_to_end(&mut bytes));
        if !matches!(read, Some(Ok(_))) {
            return Vec::new();
        }
        let text = String::from_utf8_lossy(&bytes);
        let mut entries: Vec<String> =
            text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        entries.drain(..entries.len().saturating_sub(ENTRIES));
        entries
    }

    /// Keeps one more.
    pub(super) fn add(&mut self, entry: &str) {
        if entry.len() > ENTRY {
            return;
        }
        let Some(path) = &self.path else { return };
        let redactor = keys::redactor();
        let line = |entry: &str| format!("{}\n", serde_json::json!(redactor.redact(entry)));
        let added = || -> Result<(), codetether_files::Error> {
            if let Some(dir) = path.parent() {
                codetether_files::create_dir_private(dir)?;
            }
            let mut file = codetether_files::open_append(path, 0o600)?;
            file.write_all(line(entry).as_bytes())
                .map_err(|cause| codetether_files::Error::new("write", path, cause))?;
            if file.metadata().is_ok_and(|meta| meta.len() > SIZE) {
                // Half of it, so that this is rare.
                let entries = self.entries();
                let mut kept: Vec<String> = entries.iter().rev().map(|entry| line(entry)).collect();
                let mut size = 0;
                kept.retain(|line| {
                    size += line.len() as u64;
                    size <= SIZE / 2
                });
                kept.reverse();
                let options = WriteOptions { mode: Some(0o600), ..WriteOptions::default() };
                codetether_files::write_atomic(path, kept.concat().as_bytes(), &options)?;
            }
            Ok(())
        };
        if let Err(error) = added()
            && !std::mem::replace(&mut self.said, true)
        {
            printer::err(&format!("note: what you type is not kept: {error}\n"));
        }
    }
}
