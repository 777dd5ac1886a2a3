//! A command's output within bounds: its start and its end in memory, the whole in a file once it is longer. Never
//! holds more than was asked for, and never fails a command because its output could not be kept.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Status;
use crate::decode::{orphaned, unfinished};

/// How a command ended and what it said.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub status: Status,
    /// The start of the output: all of it when `total` is no more than `head.len()`.
    pub head: Vec<u8>,
    /// The end of the output; what lies between `head` and this is only in `whole`.
    pub tail: Vec<u8>,
    /// Bytes of output, standard output and error together.
    pub total: u64,
    /// The file with the whole output, when it was longer than the bytes that were to be kept.
    pub whole: Option<PathBuf>,
    /// Why `whole` lacks something, in words: its limit was reached, or it could not be written. When it could not
    /// even be created, `whole` is `None`.
    pub whole_lacks: Option<String>,
    /// What may still run although it was to be killed, in words.
    pub unkilled: Option<String>,
    /// What the sandbox did beside, such as setting hooks aside that the command made.
    pub notes: Vec<String>,
    /// How long it ran.
    pub took: Duration,
}

impl Ended {
    /// Bytes that are neither in `head` nor in `tail`.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.total.saturating_sub(self.head.len() as u64).saturating_sub(self.tail.len() as u64)
    }

    /// The output as text: invalid UTF-8 replaced, and where something is missing a line that says how much. No
    /// character is cut by that gap. A last line says what could not be killed.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.said();
        if let Some(unkilled) = &self.unkilled {
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text += &format!("[{unkilled}]\n");
        }
        text
    }

    fn said(&self) -> String {
        let missing = self.missing();
        if missing == 0 {
            return String::from_utf8_lossy(&[self.head.as_slice(), self.tail.as_slice()].concat())
                .into_owned();
        }
        let (head, cut) = self.head.split_at(self.head.len() - unfinished(&self.head));
        let (lost, tail) = self.tail.split_at(orphaned(&self.tail));
        let missing = missing.saturating_add((cut.len() + lost.len()) as u64);
        let mut text = String::from_utf8_lossy(head).into_owned();
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text += &format!("[... {missing} bytes left out ...]\n");
        text += &String::from_utf8_lossy(tail);
        text
    }
}

/// Takes the output as it comes.
pub(crate) struct Output {
    head: Vec<u8>,
    head_max: usize,
    tail: Tail,
    total: u64,
    spool: Spool,
}

impl Output {
    /// `keep` bytes in memory, half from the start and half from the end; the whole in a file at `spool` once there
    /// is more, of which no more than `spool_max` bytes are written.
    pub(crate) fn new(keep: usize, spool: PathBuf, spool_max: u64) -> Self {
        let head_max = keep - keep / 2;
        Self {
            head: Vec::new(),
            head_max,
            tail: Tail { ring: Vec::new(), at: 0, max: keep / 2 },
            total: 0,
            spool: Spool { path: spool, max: spool_max, written: 0, state: SpoolState::Unneeded },
        }
    }

    pub(crate) fn push(&mut self, piece: &[u8]) {
        let kept = self.head_max.saturating_add(self.tail.max) as u64;
        let after = self.total.saturating_add(piece.len() as u64);
        if after > kept {
            if matches!(self.spool.state, SpoolState::Unneeded) {
                // Until now the start and the end were all there is.
                self.spool.create();
                self.spool.write(&self.head);
                self.spool.write(&self.tail.ring);
            }
            self.spool.write(piece);
        }
        self.total = after;
        let room = self.head_max - self.head.len();
        let (first, rest) = piece.split_at(room.min(piece.len()));
        grow(&mut self.head, first.len(), self.head_max);
        self.head.extend_from_slice(first);
        self.tail.push(rest);
    }

    pub(crate) fn finish(mut self, status: Status, took: Duration) -> Ended {
        let (whole, whole_lacks) = self.spool.finish();
        Ended {
            status,
            head: self.head,
            tail: self.tail.finish(),
            total: self.total,
            whole,
            whole_lacks,
            unkilled: None,
            notes: Vec::new(),
            took,
        }
    }
}

/// Makes room for `more` bytes without ever reserving beyond `max`, as `Vec` alone would.
fn grow(buffer: &mut Vec<u8>, more: usize, max: usize) {
    let needed = buffer.len() + more;
    if needed > buffer.capacity() {
        let capacity = needed.max(buffer.capacity().saturating_mul(2)).min(max);
        buffer.reserve_exact(capacity - buffer.len());
    }
}

/// The last bytes of a stream, in a ring once it is full.
struct Tail {
    ring: Vec<u8>,
    /// Where the oldest byte is, once the ring is full.
    at: usize,
    max: usize,
}

impl Tail {
    fn push(&mut self, piece: &[u8]) {
        let piece = &piece[piece.len().saturating_sub(self.max)..];
        let (fill, over) = piece.split_at((self.max - self.ring.len()).min(piece.len()));
        grow(&mut self.ring, fill.len(), self.max);
        self.ring.extend_from_slice(fill);
        if over.is_empty() {
            return;
        }
        let (first, second) = over.split_at((self.max - self.at).min(over.len()));
        self.ring[self.at..self.at + first.len()].copy_from_slice(first);
        self.ring[..second.len()].copy_from_slice(second);
        self.at = (self.at + over.len()) % self.max;
    }

    fn finish(mut self) -> Vec<u8> {
        self.ring.rotate_left(self.at);
        self.ring
    }
}

/// The file with the whole output.
struct Spool {
    path: PathBuf,
    max: u64,
    written: u64,
    state: SpoolState,
}

enum SpoolState {
    Unneeded,
    Open(File),
    Full,
    Broken { created: bool, why: String },
}

impl Spool {
    fn create(&mut self) {
        self.state = match self.open() {
            Ok(file) => SpoolState::Open(file),
            Err(error) => SpoolState::Broken { created: false, why: error.to_string() },
        };
    }

    fn open(&self) -> Result<File, codetether_files::Error> {
        codetether_files::create_dir_private(self.path.parent().unwrap_or(Path::new(".")))?;
        codetether_files::create_new(&self.path, 0o600)
    }

    fn write(&mut self, piece: &[u8]) {
        let SpoolState::Open(file) = &mut self.state else { return };
        let room = usize::try_from(self.max.saturating_sub(self.written)).unwrap_or(usize::MAX);
        let fits = &piece[..room.min(piece.len())];
        let mut result = file.write_all(fits);
        self.written += fits.len() as u64;
        let full = fits.len() < piece.len();
        if full && result.is_ok() {
            result =
                writeln!(file, "\n[... cut here: no more than {} bytes of output are kept ...]", self.max);
        }
        if let Err(error) = result {
            let why = format!("cannot write `{}`: {error}", self.path.display());
            self.state = SpoolState::Broken { created: true, why };
        } else if full {
            self.state = SpoolState::Full;
        }
    }

    fn finish(&mut self) -> (Option<PathBuf>, Option<String>) {
        let path = std::mem::take(&mut self.path);
        match std::mem::replace(&mut self.state, SpoolState::Unneeded) {
            SpoolState::Unneeded => (None, None),
            SpoolState::Open(_) => (Some(path), None),
            SpoolState::Full => (Some(path), Some(format!("only the first {} bytes are kept", self.max))),
            SpoolState::Broken { created, why } => (created.then_some(path), Some(why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn output(keep: usize, max: u64, pieces: &[&[u8]]) -> (Ended, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let mut output = Output::new(keep, dir.path().join("spool/out"), max);
        for piece in pieces {
            output.push(piece);
        }
        (output.finish(Status::Code(0), Duration::ZERO), dir)
    }

    #[test]
    fn short_output_makes_no_file() {
        let (ended, dir) = output(8, 100, &[b"abc", b"defgh"]);
        assert_eq!((ended.text().as_str(), ended.whole, ended.total), ("abcdefgh", None, 8));
        assert!(!dir.path().join("spool").exists());
    }

    #[test]
    fn a_gap_cuts_no_character_and_is_counted() {
        // head: "a" + first byte of "é"; tail: second byte of "ü" + "z"
        let (ended, _dir) = output(4, 100, &["aé".as_bytes(), b"12345", "üz".as_bytes()]);
        assert_eq!(ended.text(), "a\n[... 9 bytes left out ...]\nz");
        assert_eq!(std::fs::read(ended.whole.unwrap()).unwrap(), "aé12345üz".as_bytes());
    }

    #[test]
    fn what_could_not_be_killed_is_told_behind_the_output() {
        let (ended, _dir) = output(8, 100, &[b"abc"]);
        let ended = Ended { unkilled: Some("`x` may still run".into()), ..ended };
        assert_eq!(ended.text(), "abc\n[`x` may still run]\n");
    }

    #[test]
    fn the_file_is_bounded_and_says_so() {
        let (ended, _dir) = output(2, 5, &[b"abcdef", b"ghi"]);
        let text = std::fs::read_to_string(ended.whole.unwrap()).unwrap();
        assert_eq!(text, "abcde\n[... cut here: no more than 5 bytes of output are kept ...]\n");
        assert_eq!(ended.whole_lacks.as_deref(), Some("only the first 5 bytes are kept"));
        assert_eq!((ended.head, ended.tail), (b"a".to_vec(), b"i".to_vec()));
    }

    #[test]
    fn a_file_that_cannot_be_made_is_reported_and_fails_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut output = Output::new(2, dir.path().join("out"), 100);
        codetether_files::create_new(dir.path().join("out").as_path(), 0o600).unwrap();
        output.push(b"abcdef");
        let ended = output.finish(Status::Code(0), Duration::ZERO);
        assert_eq!((ended.whole, ended.total), (None, 6));
        assert!(ended.whole_lacks.unwrap().contains("out"));
    }

    proptest! {
        #[test]
        fn start_and_end_are_those_of_the_whole_and_memory_is_bounded(
            keep in 0usize..40,
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30), 0..12),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let mut output = Output::new(keep, dir.path().join("out"), u64::MAX);
            for piece in &pieces {
                output.push(piece);
                prop_assert!(output.head.capacity() + output.tail.ring.capacity() <= keep);
            }
            let whole = pieces.concat();
            let ended = output.finish(Status::Code(0), Duration::ZERO);
            prop_assert_eq!(ended.total, whole.len() as u64);
            prop_assert!(whole.starts_with(&ended.head) && whole.ends_with(&ended.tail));
            prop_assert_eq!(ended.head.len() + ended.tail.len(), whole.len().min(keep));
            prop_assert_eq!(ended.whole.is_some(), whole.len() > keep);
            if let Some(path) = &ended.whole {
                prop_assert_eq!(std::fs::read(path).unwrap(), whole);
            }
            let _ = ended.text();
        }
    }
}
