//! Following a journal that another process writes: without a lock, and without ever seeing half a record.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use codetether_event::{Record, Seq};
use serde::de::DeserializeOwned;

use crate::{Error, LINE_MAX, line};

/// Bytes of lines that one [`Follow::poll`] reads at most, but for the last line.
const POLL_MAX: u64 = 4 << 20;

/// A reader's place in a journal that grows.
#[derive(Debug)]
pub struct Follow<E> {
    file: File,
    path: PathBuf,
    /// Behind the last whole line.
    offset: u64,
    lines: u64,
    next: Seq,
    after: Seq,
    event: PhantomData<fn() -> E>,
}

/// Follows a journal from behind the record at `after`; zero gives all of them.
///
/// Records are seen as soon as they are written, before their append is acknowledged. When the disk is full in the
/// middle of several that are appended at once, those seen are taken back and the follower hears that the file
/// became shorter or is damaged: it then has to begin anew.
///
/// # Errors
/// When it cannot be opened.
pub fn follow<E: DeserializeOwned>(path: impl AsRef<Path>, after: Seq) -> Result<Follow<E>, Error> {
    let path = path.as_ref().to_owned();
    let file = codetether_files::open_read(&path)?;
    Ok(Follow { file, path, offset: 0, lines: 0, next: Seq(1), after, event: PhantomData })
}

impl<E: DeserializeOwned> Follow<E> {
    /// The records that have come since; none when there are none yet. Does not wait. There may be more when it
    /// gave any. An error behind some records is told by the next call.
    ///
    /// # Errors
    /// [`Error::Damaged`] when a line that has its end is not whole, or the file became shorter; [`Error::Newer`]
    /// when its record is of no known form.
    pub fn poll(&mut self) -> Result<Vec<Record<E>>, Error> {
        let mut records = Vec::new();
        match self.read_on(&mut records) {
            Err(error) if records.is_empty() => Err(error),
            _ => Ok(records),
        }
    }

    fn read_on(&mut self, records: &mut Vec<Record<E>>) -> Result<(), Error> {
        let path = self.path.clone();
        let failed = |cause| Error::from(codetether_files::Error::new("read", &path, cause));
        if self.file.metadata().map_err(failed)?.len() < self.offset {
            return Err(self.damaged("the file became shorter while it was followed".to_owned()));
        }
        self.file.seek(SeekFrom::Start(self.offset)).map_err(failed)?;
        let mut reader = BufReader::with_capacity(1 << 16, &self.file);
        let (mut buffer, mut taken) = (Vec::new(), 0);
        while taken < POLL_MAX || records.is_empty() {
            buffer.clear();
            let most = LINE_MAX as u64 + 1;
            let bytes = reader.by_ref().take(most).read_until(b'\n', &mut buffer).map_err(failed)? as u64;
            let Some(whole) = buffer.strip_suffix(b"\n") else {
                if bytes == most {
                    return Err(self.damaged("it is longer than any record".to_owned()));
                }
                return Ok(());
            };
            let body = line::check(whole).map_err(|reason| self.damaged(reason.to_owned()))?;
            let record = line::parse::<E>(body).map_err(|reason| Error::Newer {
                path: path.clone(),
                line: self.lines + 1,
                reason,
            })?;
            if record.seq != self.next {
                let reason =
                    format!("it holds record {}, where record {} was expected", record.seq, self.next);
                return Err(self.damaged(reason));
            }
            self.next = self.next.plus(1);
            self.offset += bytes;
            self.lines += 1;
            taken += bytes;
            if record.seq > self.after {
                records.push(record);
            }
        }
        Ok(())
    }

    fn damaged(&self, reason: String) -> Error {
        Error::Damaged { path: self.path.clone(), line: self.lines + 1, offset: self.offset, reason }
    }
}
