//! Answers requests from cassettes, one after the other. Asks no server, keeps no time, and says what is not as it was
//! recorded instead of answering something else.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use codetether_event::{ProviderFailure, ProviderFailureKind};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio_util::bytes::Bytes;

use super::asked::{Asked, Scrubber};
use super::{How, Line, VERSION, cassette};
use crate::errors::Blame;

/// Longest line of a cassette, bytes: more than any message with its images or any read of a connection makes.
const LINE_MAX: u64 = 128 << 20;
/// The last line is within so many bytes of the end.
const END_MAX: u64 = 8 << 10;

/// A folder that is played back.
#[derive(Debug)]
pub(crate) struct Player {
    dir: PathBuf,
    played: AtomicU32,
    pub(crate) scrubber: Scrubber,
}

/// A recorded answer that begins.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Playback,
}

/// The body of a recorded answer.
#[derive(Debug)]
pub(crate) struct Playback {
    lines: Lines,
    /// There is no cassette after this one.
    last: bool,
    end: Option<How>,
}

impl Player {
    pub(super) fn new(dir: PathBuf, scrubber: Scrubber) -> Self {
        Self { dir, played: AtomicU32::new(0), scrubber }
    }

    /// The answer that was recorded to this request.
    pub(crate) fn answer(&self, asked: &Asked, blame: &Blame) -> Result<Begun, ProviderFailure> {
        let number = self.played.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let path = cassette(&self.dir, number);
        if !path.is_file() {
            let recorded = number.saturating_sub(1);
            let dir = self.dir.display();
            return Err(blame.refused(&format!(
                "request {number} was not recorded: `{dir}` holds {recorded} (record anew with `--record`)"
            )));
        }
        let last = !cassette(&self.dir, number.saturating_add(1)).is_file();
        let mut lines = Lines::open(&path).map_err(|problem| blame.refused(&problem))?;
        let mut recorded = Vec::new();
        let (method, target) = match lines.next().map_err(|problem| blame.refused(&problem))? {
            Line::Request { version: VERSION, method, path, .. } => (method, path),
            Line::Request { version, .. } => {
                let problem = format!("it is of version {version}, and this build reads {VERSION}");
                return Err(blame.refused(&lines.problem(problem)));
            }
            _ => return Err(blame.refused(&lines.out_of_place())),
        };
        let begun = loop {
            match lines.next().map_err(|problem| blame.refused(&problem))? {
                Line::Body(part) => recorded.push(part),
                begun => break begun,
            }
        };
        if let Some(difference) = asked.difference(&method, &target, &recorded) {
            let name = lines.path.display();
            return Err(blame.refused(&format!("request {number} is not that of `{name}`: {difference}")));
        }
        let mut body = Playback { lines, last, end: None };
        match begun {
            Line::Response { status, headers, .. } => {
                let status = StatusCode::from_u16(status)
                    .map_err(|error| blame.refused(&body.lines.problem(error)))?;
                Ok(Begun { status, headers: header_map(headers), body })
            }
            Line::End { how, .. } => Err(body.ended(how, blame).err().unwrap_or_else(|| blame.cut())),
            _ => Err(blame.refused(&body.lines.out_of_place())),
        }
    }
}

impl Playback {
    /// The next bytes; `None` at the end.
    pub(crate) async fn chunk(&mut self, blame: &Blame) -> Result<Option<Bytes>, ProviderFailure> {
        // As a connection would, it lets others have a turn.
        tokio::task::coop::consume_budget().await;
        if let Some(how) = self.end.clone() {
            return self.ended(how, blame);
        }
        match self.lines.next().map_err(|problem| blame.refused(&problem))? {
            Line::Text { is, .. } => Ok(Some(is.into())),
            Line::Bytes { base64, .. } => match STANDARD.decode(base64) {
                Ok(bytes) => Ok(Some(bytes.into())),
                Err(error) => Err(blame.refused(&self.lines.problem(error))),
            },
            Line::End { how, .. } => self.ended(how, blame),
            _ => Err(blame.refused(&self.lines.out_of_place())),
        }
    }

    fn ended(&mut self, how: How, blame: &Blame) -> Result<Option<Bytes>, ProviderFailure> {
        self.end = Some(how.clone());
        match how {
            How::Whole => Ok(None),
            How::Failed(failure) => Err(failure),
            How::Left => {
                let problem = self.lines.problem("nobody read on there: it was interrupted or took too long");
                // Where there was another request after it, it had been given up for its time, and tried again.
                let kind = match self.last {
                    true => ProviderFailureKind::BadRequest,
                    false => ProviderFailureKind::Timeout,
                };
                Err(ProviderFailure { kind, ..blame.refused(&problem) })
            }
        }
    }
}

/// Headers as they were; those that no header can be are left out, for nobody could have sent them.
fn header_map(headers: super::Headers) -> HeaderMap {
    let header = |(name, value): (String, String)| {
        Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
    };
    let mut map = HeaderMap::new();
    for (name, value) in headers.into_iter().filter_map(header) {
        map.append(name, value);
    }
    map
}

/// The lines of a cassette.
#[derive(Debug)]
struct Lines {
    file: BufReader<File>,
    path: PathBuf,
    number: u64,
}

impl Lines {
    /// Opens a cassette that is whole.
    fn open(path: &Path) -> Result<Self, String> {
        let file = codetether_files::open_read(path).map_err(|error| error.to_string())?;
        let mut lines = Self { file: BufReader::new(file), path: path.to_owned(), number: 0 };
        if !lines.ends().map_err(|error| lines.unreadable(&error))? {
            return Err(lines.cut());
        }
        Ok(lines)
    }

    /// Whether the last line is that of an end. Then reads from the start.
    fn ends(&mut self) -> std::io::Result<bool> {
        let length = self.file.seek(SeekFrom::End(0))?;
        self.file.seek(SeekFrom::Start(length.saturating_sub(END_MAX)))?;
        let mut tail = Vec::new();
        self.file.by_ref().take(END_MAX).read_to_end(&mut tail)?;
        self.file.rewind()?;
        let Some(tail) = tail.strip_suffix(b"\n") else { return Ok(false) };
        let last = tail.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        Ok(matches!(serde_json::from_slice(last), Ok(Line::End { .. })))
    }

    fn next(&mut self) -> Result<Line, String> {
        self.number = self.number.saturating_add(1);
        let mut line = Vec::new();
        let read = self.file.by_ref().take(LINE_MAX).read_until(b'\n', &mut line);
        read.map_err(|error| self.unreadable(&error))?;
        if line.last() != Some(&b'\n') {
            return Err(match line.is_empty() {
                true => self.cut(),
                false => self.problem(format!("it is longer than {} MiB", LINE_MAX >> 20)),
            });
        }
        serde_json::from_slice(&line).map_err(|error| self.problem(error))
    }

    fn unreadable(&self, error: &std::io::Error) -> String {
        format!("cannot read `{}`: {error}", self.path.display())
    }

    fn cut(&self) -> String {
        format!(
            "`{}` is cut: it does not say how the answer ended (record anew with `--record`)",
            self.path.display()
        )
    }

    fn out_of_place(&self) -> String {
        self.problem("it has no place there")
    }

    /// What is wrong with the line that was read last.
    fn problem(&self, what: impl std::fmt::Display) -> String {
        format!("line {} of `{}`: {what}", self.number, self.path.display())
    }
}
