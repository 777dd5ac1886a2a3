//! Writes cassettes while requests are asked and answered. What cannot be written fails the request: a recording with
//! holes is none. Lines are written where they are read, so nothing is held. The last line is written when the answer is let go, so a cassette that lacks it was cut.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use codetether_event::ProviderFailure;
use codetether_files::Error;
use http::{HeaderMap, StatusCode};

use super::asked::{Asked, Scrubbed, Scrubber};
use super::{How, Line, cassette};

/// A folder that is recorded into.
#[derive(Debug)]
pub(crate) struct Recorder {
    dir: PathBuf,
    made: AtomicU32,
    pub(crate) scrubber: Scrubber,
}

impl Recorder {
    pub(super) fn new(dir: PathBuf, scrubber: Scrubber) -> Self {
        Self { dir, made: AtomicU32::new(0), scrubber }
    }

    /// Begins the cassette of a request that is about to be sent. It is for its owner's eyes alone.
    pub(crate) fn begin(&self, asked: Asked) -> Result<Recording, Error> {
        let number = self.made.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let path = cassette(&self.dir, number);
        let file = codetether_files::create_new(&path, 0o600)?;
        let scrubbed = self.scrubber.stream();
        let mut recording =
            Recording { file, path, began: Instant::now(), scrubbed, held: Vec::new(), open: true };
        for line in asked.lines() {
            recording.write(&line)?;
        }
        Ok(recording)
    }
}

/// A cassette that is being written.
#[derive(Debug)]
pub(crate) struct Recording {
    file: File,
    path: PathBuf,
    began: Instant,
    scrubbed: Scrubbed,
    /// The beginning of a character whose end has not come.
    held: Vec<u8>,
    /// More may be written.
    open: bool,
}

impl Recording {
    /// The answer begins.
    pub(crate) fn answered(
        &mut self,
        scrubber: &Scrubber,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<(), Error> {
        let headers = scrubber.headers(headers);
        self.write(&Line::Response { ms: self.ms(), status: status.as_u16(), headers })
    }

    /// What was read of the answer; nothing when it is at its end.
    pub(crate) fn read<B: AsRef<[u8]>>(
        &mut self,
        read: &Result<Option<B>, ProviderFailure>,
    ) -> Result<(), Error> {
        match read {
            Ok(Some(bytes)) => {
                let mut bare = std::mem::take(&mut self.held);
                self.scrubbed.push(bytes.as_ref(), &mut bare);
                self.write_bytes(bare)
            }
            Ok(None) => self.end(How::Whole),
            Err(failure) => self.failed(failure),
        }
    }

    /// It broke off, or never came.
    pub(crate) fn failed(&mut self, failure: &ProviderFailure) -> Result<(), Error> {
        self.end(How::Failed(failure.clone()))
    }

    fn write_bytes(&mut self, mut bare: Vec<u8>) -> Result<(), Error> {
        let valid = match std::str::from_utf8(&bare) {
            Ok(_) => bare.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => return self.write_raw(&bare),
        };
        self.held = bare.split_off(valid);
        match String::from_utf8(bare) {
            Ok(text) if text.is_empty() => Ok(()),
            Ok(is) => self.write(&Line::Text { ms: self.ms(), is }),
            Err(error) => self.write_raw(error.as_bytes()),
        }
    }

    fn write_raw(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.write(&Line::Bytes { ms: self.ms(), base64: STANDARD.encode(bytes) })
    }

    fn end(&mut self, how: How) -> Result<(), Error> {
        let mut bare = std::mem::take(&mut self.held);
        self.scrubbed.finish(&mut bare);
        self.write_bytes(bare)?;
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            self.write_raw(&held)?;
        }
        self.write(&Line::End { ms: self.ms(), how })?;
        self.open = false;
        Ok(())
    }

    fn write(&mut self, line: &Line) -> Result<(), Error> {
        if !self.open {
            return Ok(());
        }
        let written = serde_json::to_vec(line).map_err(std::io::Error::from).and_then(|mut line| {
            line.push(b'\n');
            self.file.write_all(&line)
        });
        written.map_err(|cause| {
            // What would come after a hole must not make it look whole.
            self.open = false;
            Error::new("write", &self.path, cause)
        })
    }

    fn ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if self.open {
            // A cassette without its last line says by itself that it was cut.
            let _ = self.end(How::Left);
        }
    }
}
