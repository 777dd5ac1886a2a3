//! What a process said, within bounds: the last of it in memory, the first in its file, and how far it was told.

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Bytes that are held in memory: more than one call tells.
const RING: usize = 256 << 10;
/// How much of what was looked through already is looked through again, since what is waited for may be cut in two.
const OVERLAP: u64 = 4 << 10;

/// What one process said.
pub(crate) struct Held {
    ring: VecDeque<u8>,
    /// Bytes that came, all together.
    total: u64,
    /// Bytes that were told, or left out.
    told: u64,
    /// The unfinished line that was told last.
    line: String,
    begun: Instant,
    end: Option<(String, Duration)>,
    /// The file with the first of it, and most bytes that it has.
    spool: PathBuf,
    spool_max: u64,
}

impl Held {
    pub(crate) fn new(spool: PathBuf, spool_max: u64) -> Self {
        Self {
            ring: VecDeque::new(),
            total: 0,
            told: 0,
            line: String::new(),
            begun: Instant::now(),
            end: None,
            spool,
            spool_max,
        }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.total = self.total.saturating_add(bytes.len() as u64);
        let bytes = bytes.get(bytes.len().saturating_sub(RING)..).unwrap_or_default();
        let over = (self.ring.len() + bytes.len()).saturating_sub(RING);
        self.ring.drain(..over);
        self.ring.extend(bytes);
    }

    pub(crate) fn end(&mut self, how: String) {
        self.end = Some((how, self.begun.elapsed()));
    }

    pub(crate) fn ended(&self) -> Option<String> {
        self.end.as_ref().map(|(how, _)| how.clone())
    }

    /// How long it ran, once it has ended.
    pub(crate) fn ran(&self) -> Option<Duration> {
        self.end.as_ref().map(|(_, ran)| *ran)
    }

    pub(crate) fn unread(&self) -> u64 {
        self.total - self.told
    }

    /// Where the ring begins.
    fn start(&self) -> u64 {
        self.total - self.ring.len() as u64
    }

    /// Removes its file.
    pub(crate) fn forget(&mut self) {
        // There is none where it said nothing, and the next opening of the session removes what is left.
        let _ = codetether_files::remove_file(&self.spool);
    }

    /// What was not told yet, and the unfinished line behind it if that is new; its start and its end where that is longer
    /// than `most` bytes. It counts as told.
    pub(crate) fn take(&mut self, line: &str, most: usize) -> String {
        let half = (most / 2).min(RING) as u64;
        let unread = self.unread();
        let mut text = if unread <= half.saturating_mul(2) {
            let bytes = self.ring_from(self.told);
            // The rest of a character comes with the next bytes.
            let rest = if self.end.is_none() { unfinished(&bytes) } else { 0 };
            self.told = self.total - rest as u64;
            String::from_utf8_lossy(bytes.get(..bytes.len() - rest).unwrap_or_default()).into_owned()
        } else {
            let first = self.between(self.told, half);
            let last = self.ring_from(self.total - half);
            let left = unread - first.len() as u64 - last.len() as u64;
            self.told = self.total;
            let (first, last) = (String::from_utf8_lossy(&first), String::from_utf8_lossy(&last));
            format!("{first}\n[... {left} bytes left out ...]\n{last}")
        };
        if line != self.line {
            text.push_str(line);
            line.clone_into(&mut self.line);
        }
        text
    }

    /// What was not told and not looked through yet, and a little before it.
    pub(crate) fn unheard(&self, looked: &mut u64) -> String {
        let from = self.told.max(looked.saturating_sub(OVERLAP));
        *looked = self.total;
        String::from_utf8_lossy(&self.ring_from(from)).into_owned()
    }

    /// From there on, as far as it is in memory.
    fn ring_from(&self, at: u64) -> Vec<u8> {
        let skip = usize::try_from(at.saturating_sub(self.start())).unwrap_or(usize::MAX);
        self.ring.iter().skip(skip).copied().collect()
    }

    /// So many bytes from there on: out of memory, or out of the file; nothing where neither has them.
    fn between(&self, at: u64, many: u64) -> Vec<u8> {
        if at >= self.start() {
            let mut bytes = self.ring_from(at);
            bytes.truncate(usize::try_from(many).unwrap_or(usize::MAX));
            return bytes;
        }
        if at.saturating_add(many) > self.spool_max {
            return Vec::new();
        }
        let mut bytes = vec![0; usize::try_from(many).unwrap_or(0)];
        let read = codetether_files::open_read(&self.spool).ok();
        match read.map(|file: File| file.read_exact_at(&mut bytes, at)) {
            Some(Ok(())) => bytes,
            Some(Err(_)) | None => Vec::new(),
        }
    }
}

/// How many bytes at the end begin a character that is not whole.
fn unfinished(bytes: &[u8]) -> usize {
    let tail = bytes.get(bytes.len().saturating_sub(4)..).unwrap_or_default();
    let begins = tail.iter().rposition(|byte| *byte >= 0xc0);
    let Some(begun) = begins.and_then(|at| tail.get(at..)) else { return 0 };
    match std::str::from_utf8(begun) {
        Err(error) if error.error_len().is_none() => begun.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(dir: &tempfile::TempDir) -> Held {
        Held::new(dir.path().join("spool"), 1 << 20)
    }

    #[test]
    fn what_was_told_is_not_told_again_and_no_character_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let mut held = held(&dir);
        held.push("one\nü".as_bytes().split_last().unwrap().1);
        assert_eq!(held.take("", 100), "one\n");
        held.push(&"ü".as_bytes()[1..]);
        assert_eq!(held.take("", 100), "ü");
        assert_eq!((held.take("", 100), held.unread()), (String::new(), 0));
        held.push(b"\xff");
        assert_eq!(held.take("", 100), "\u{fffd}");
    }

    #[test]
    fn a_prompt_is_told_once_though_its_line_has_no_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut held = held(&dir);
        assert_eq!(held.take("Password: ", 100), "Password: ");
        assert_eq!(held.take("Password: ", 100), "");
        held.push(b"Password: \nwelcome\n");
        assert_eq!(held.take("$ ", 100), "Password: \nwelcome\n$ ");
    }

    #[test]
    fn a_flood_is_held_in_bounds_and_what_is_left_out_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let mut held = held(&dir);
        let line = "0123456789abcde\n";
        let many = (RING * 3) / line.len();
        let whole = line.repeat(many);
        codetether_files::write_atomic(dir.path().join("spool"), whole.as_bytes(), &<_>::default()).unwrap();
        for _ in 0..many {
            held.push(line.as_bytes());
        }
        assert!(held.ring.capacity() <= 2 * RING);
        let (text, total) = (held.take("", 64), many * line.len());
        let expected = format!("{0}{0}\n[... {1} bytes left out ...]\n{0}{0}", line, total - 64);
        assert_eq!(text, expected, "its start comes from the file");
        held.forget();
        for _ in 0..many {
            held.push(line.as_bytes());
        }
        let text = held.take("", 64);
        assert_eq!(text, format!("\n[... {} bytes left out ...]\n{line}{line}", total - 32));
    }

    #[test]
    fn what_is_waited_for_is_found_where_it_was_cut_in_two() {
        let dir = tempfile::tempdir().unwrap();
        let (mut held, mut looked) = (held(&dir), 0);
        held.push(b"listen");
        assert_eq!(held.unheard(&mut looked), "listen");
        held.push(b"ing\n");
        assert_eq!(held.unheard(&mut looked), "listening\n");
        held.take("", 100);
        assert_eq!(held.unheard(&mut looked), "");
    }
}
