//! A session to test with, whose only fact is a text.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use codetether_event::{Attempt, Cause, Record, Seq, SessionId, UnixMillis};
use codetether_journal::{Durable, Handle, Journals, Layout};
use serde::{Deserialize, Serialize};

/// An event like no real one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fact {
    pub(crate) text: String,
}

pub(crate) fn fact(seq: u64, text: &str) -> Record<Fact> {
    Record {
        seq: Seq(seq),
        attempt: Attempt(1),
        at: UnixMillis(1_000 + seq),
        turn: None,
        cause: Cause::Timer,
        event: Fact { text: text.to_owned() },
    }
}

pub(crate) fn facts(seqs: std::ops::RangeInclusive<u64>) -> Vec<Record<Fact>> {
    seqs.map(|seq| fact(seq, &format!("fact {seq}, with an é"))).collect()
}

/// The `n`-th session.
pub(crate) fn id(n: u32) -> SessionId {
    format!("01890a5d-ac96-774b-bcce-{n:012x}").parse().unwrap()
}

/// A data directory.
pub(crate) struct Home {
    _dir: tempfile::TempDir,
    pub(crate) layout: Layout,
    pub(crate) journals: Journals,
}

impl Home {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("data"));
        Self { _dir: dir, layout, journals: Journals::start().unwrap() }
    }

    pub(crate) async fn session(&self, n: u32, records: &[Record<Fact>]) -> Handle<Fact> {
        let mut handle = self.journals.create(&self.layout, id(n), "a test").unwrap();
        handle.append(records, Durable::Written).await.unwrap();
        handle
    }

    pub(crate) fn bytes(&self, n: u32) -> Vec<u8> {
        std::fs::read(self.layout.journal(id(n))).unwrap()
    }

    /// The blobs that a loss of power may take: those that do not carry the mark of being on the disk.
    pub(crate) fn unsynced_blobs(&self, n: u32) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.layout.blobs(id(n)).dir()) else { return Vec::new() };
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777 != 0o400).collect()
    }

    pub(crate) fn set_bytes(&self, n: u32, bytes: &[u8]) {
        std::fs::write(self.layout.journal(id(n)), bytes).unwrap();
    }
}
