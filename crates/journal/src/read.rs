//! Reading a journal: all whole records, and what the end looks like. Takes no lock and changes nothing.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use codetether_event::{Record, Seq};
use serde::de::DeserializeOwned;

use crate::{Error, LINE_MAX, line};

/// What a journal holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded<E> {
    /// The whole records; the first has position 1, each next one more.
    pub records: Vec<Record<E>>,
    /// Bytes that they take.
    pub sound: u64,
    /// What a crash left of the records that it interrupted.
    pub torn: Option<Torn>,
}

/// The rest of a file behind its last whole record: nothing in it is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Torn {
    /// Where it begins.
    pub at: u64,
    /// Its length.
    pub bytes: u64,
    /// The line breaks in it. A write that was cut short leaves none.
    pub breaks: u64,
}

/// Reads a journal. A file that is being written shows its whole records, and perhaps a torn one.
///
/// # Errors
/// [`Error::Damaged`] when something whole follows what is not, or positions do not follow on each other;
/// [`Error::Newer`] when a whole line holds a record of no known form.
pub fn read<E: DeserializeOwned>(path: impl AsRef<Path>) -> Result<Loaded<E>, Error> {
    let path = path.as_ref();
    read_from(BufReader::with_capacity(1 << 16, codetether_files::open_read(path)?), path)
}

/// Reads a journal from bytes; `path` is for messages.
///
/// # Errors
/// As [`read`].
pub fn read_from<E: DeserializeOwned>(reader: impl BufRead, path: &Path) -> Result<Loaded<E>, Error> {
    let mut records = Vec::new();
    let scanned = scan(reader, path, |record, _| records.push(record))?;
    match scanned.end {
        End::Sound => Ok(Loaded { records, sound: scanned.sound, torn: None }),
        End::Torn(torn) => Ok(Loaded { records, sound: scanned.sound, torn: Some(torn) }),
        End::Damaged(flaw) => Err(flaw.at(path)),
        End::Newer(flaw) => Err(flaw.newer(path)),
    }
}

/// How far a journal is sound, and what comes then.
#[derive(Debug)]
pub(crate) struct Scanned {
    /// Bytes of whole records.
    pub(crate) sound: u64,
    /// Lines of all the file.
    pub(crate) lines: u64,
    pub(crate) end: End,
}

#[derive(Debug)]
pub(crate) enum End {
    Sound,
    Torn(Torn),
    Damaged(Flaw),
    /// The flaw is in this build, not in the line.
    Newer(Flaw),
}

/// A line that should not be as it is.
#[derive(Debug)]
pub(crate) struct Flaw {
    pub(crate) line: u64,
    pub(crate) offset: u64,
    pub(crate) reason: String,
}

impl Flaw {
    pub(crate) fn at(self, path: &Path) -> Error {
        Error::Damaged { path: path.to_owned(), line: self.line, offset: self.offset, reason: self.reason }
    }

    pub(crate) fn newer(self, path: &Path) -> Error {
        Error::Newer { path: path.to_owned(), line: self.line, reason: self.reason }
    }
}

/// Gives every record of the sound part, with its line (line break included), and reads on to the end to tell a torn
/// tail from damage.
pub(crate) fn scan<E: DeserializeOwned>(
    mut reader: impl BufRead,
    path: &Path,
    mut each: impl FnMut(Record<E>, &[u8]),
) -> Result<Scanned, Error> {
    let failed = |cause| codetether_files::Error::new("read", path, cause);
    let mut buffer = Vec::new();
    let (mut offset, mut lines, mut breaks) = (0, 0, 0);
    let mut next = Seq(1);
    // The first line that is not whole, and whether it can be put down to a crash.
    let mut flaw: Option<(Flaw, Blame)> = None;
    loop {
        let line = next_line(&mut reader, &mut buffer).map_err(failed)?;
        if line.bytes == 0 {
            break;
        }
        let start = offset;
        offset += line.bytes;
        lines += 1;
        let judged = judge::<E>(&buffer, &line, next);
        match (&mut flaw, judged) {
            (None, Ok(record)) => {
                next = next.plus(1);
                each(record, &buffer);
            }
            (None, Err((reason, blame))) => {
                breaks += u64::from(line.has_end);
                flaw = Some((Flaw { line: lines, offset: start, reason }, blame));
            }
            (Some((_, blame)), judged) => {
                breaks += u64::from(line.has_end);
                if *blame == Blame::Crash && !matches!(judged, Err((_, Blame::Crash))) {
                    *blame = Blame::Damage;
                }
            }
        }
    }
    Ok(match flaw {
        None => Scanned { sound: offset, lines, end: End::Sound },
        Some((flaw, Blame::Damage)) => Scanned { sound: flaw.offset, lines, end: End::Damaged(flaw) },
        Some((flaw, Blame::Version)) => Scanned { sound: flaw.offset, lines, end: End::Newer(flaw) },
        Some((flaw, Blame::Crash)) => {
            let torn = Torn { at: flaw.offset, bytes: offset - flaw.offset, breaks };
            Scanned { sound: flaw.offset, lines, end: End::Torn(torn) }
        }
    })
}

/// What can have made a line unusable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blame {
    /// A write that was cut short.
    Crash,
    /// Nothing that we know of.
    Damage,
    /// Another version that wrote it.
    Version,
}

/// One line as it was read.
struct Line {
    /// Its length, the line break included; zero at the end of the file.
    bytes: u64,
    /// Whether there was a line break.
    has_end: bool,
    /// Whether it is longer than any record; then the buffer does not hold it.
    is_too_long: bool,
}

fn judge<E: DeserializeOwned>(buffer: &[u8], line: &Line, next: Seq) -> Result<Record<E>, (String, Blame)> {
    let crash = |reason: &str| (reason.to_owned(), Blame::Crash);
    if line.is_too_long {
        return Err(crash("it is longer than any record"));
    }
    let whole = buffer.strip_suffix(b"\n").ok_or_else(|| crash("it has no end"))?;
    let body = line::check(whole).map_err(|reason| {
        let blame = if line::hides_another(whole) { Blame::Damage } else { Blame::Crash };
        (reason.to_owned(), blame)
    })?;
    let record = line::parse::<E>(body).map_err(|reason| (reason, Blame::Version))?;
    if record.seq == next {
        Ok(record)
    } else {
        Err((format!("it holds record {}, where record {next} was expected", record.seq), Blame::Damage))
    }
}

/// Reads a line into `buffer`, line break included.
fn next_line(reader: &mut impl BufRead, buffer: &mut Vec<u8>) -> io::Result<Line> {
    buffer.clear();
    let most = LINE_MAX as u64 + 1;
    let bytes = reader.by_ref().take(most).read_until(b'\n', buffer)? as u64;
    let has_end = buffer.ends_with(b"\n");
    if has_end || bytes < most {
        return Ok(Line { bytes, has_end, is_too_long: false });
    }
    *buffer = Vec::new();
    let mut line = Line { bytes, has_end: false, is_too_long: true };
    loop {
        let here = match reader.fill_buf() {
            Ok(here) => here,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let end = memchr::memchr(b'\n', here);
        let used = end.map_or(here.len(), |end| end + 1);
        reader.consume(used);
        line.bytes += used as u64;
        line.has_end = end.is_some();
        if line.has_end || used == 0 {
            return Ok(line);
        }
    }
}
