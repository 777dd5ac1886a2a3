//! Bytes from one side to the other: a buffered reader that stops exactly where a head or a body does, bodies by their
//! framing, and the two ways of a tunnel. Looks into no body.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use super::head::{Body, head_end};
use super::limits::Activity;

/// The buffer of one way of a tunnel, at first and at most: only one that is full of work grows.
const BUFFER: (usize, usize) = (16 * 1024, 256 * 1024);
/// How much is read at once of what is read to be understood.
const SMALL: usize = 4 * 1024;
/// The longest line that says how long a chunk is, and the most that may stand behind the last one.
const CHUNK_LINE: usize = 256;
const TRAILERS: usize = 8 * 1024;
/// How much, and for how long, is read from a client that we are done with.
const DRAIN: (usize, Duration) = (1024 * 1024, Duration::from_secs(1));

/// Why a body did not get across.
#[derive(Debug)]
pub(super) enum Broken {
    /// It could not be read, or is not framed as it says.
    Source(io::Error),
    /// It could not be written.
    Sink(io::Error),
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Reads in big pieces, gives out small ones.
pub(super) struct Reader<R> {
    from: R,
    buffer: Vec<u8>,
    start: usize,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, buffer: Vec::new(), start: 0 }
    }

    /// What was read and not yet taken.
    pub(super) fn rest(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    /// The source itself. What was read from it stays here.
    pub(super) fn source(&mut self) -> &mut R {
        &mut self.from
    }

    /// Reads on; `false` at the end.
    pub(super) async fn more(&mut self) -> io::Result<bool> {
        self.more_of(SMALL).await
    }

    async fn more_of(&mut self, about: usize) -> io::Result<bool> {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.reserve(about);
        Ok(self.from.read_buf(&mut self.buffer).await? > 0)
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let taken = self.rest().get(..length).unwrap_or_default().to_vec();
        self.start += taken.len();
        taken
    }

    /// So many bytes.
    pub(super) async fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.rest().len() < length {
            if !self.more().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.take(length))
    }

    /// A head with its empty line, or nothing where the source is at its end.
    pub(super) async fn head(&mut self, longest: usize) -> io::Result<Option<Vec<u8>>> {
        // Who sends byte by byte makes us look at each byte once.
        let mut seen: usize = 0;
        loop {
            let from = seen.saturating_sub(3);
            match head_end(self.rest().get(from..).unwrap_or_default()).map(|end| from + end) {
                Some(end) if end <= longest => return Ok(Some(self.take(end))),
                // An error of its own kind, which no socket gives.
                _ if self.rest().len() >= longest => return Err(io::ErrorKind::FileTooLarge.into()),
                _ => seen = self.rest().len(),
            }
            if !self.more().await? {
                let is_clean = self.rest().is_empty();
                return if is_clean { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    /// A line without its CR LF.
    async fn line(&mut self, longest: usize) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = self.rest().iter().position(|&byte| byte == b'\n') {
                let line = self.take(end + 1);
                let line = line.strip_suffix(b"\r\n").filter(|line| line.len() <= longest);
                let line = line.filter(|line| !line.iter().any(|&b| b.is_ascii_control() && b != b'\t'));
                return line.map(<[u8]>::to_vec).ok_or_else(|| malformed("a line of a chunk is none"));
            }
            if self.rest().len() > longest {
                return Err(malformed("a line of a chunk is too long"));
            }
            if !self.more().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Copies so many bytes, or all to the end.
    async fn copy<W: AsyncWrite + Unpin>(
        &mut self,
        to: &mut W,
        length: Option<u64>,
        activity: &Activity,
    ) -> Result<(), Broken> {
        let mut left = length.unwrap_or(u64::MAX);
        while left > 0 {
            if self.rest().is_empty() {
                let is_more = self.more_of(BUFFER.0).await.map_err(Broken::Source)?;
                match (is_more, length) {
                    (true, _) => {}
                    (false, None) => break,
                    (false, Some(_)) => return Err(Broken::Source(io::ErrorKind::UnexpectedEof.into())),
                }
            }
            activity.touch();
            let rest = self.rest();
            let piece = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
            to.write_all(rest.get(..piece).unwrap_or_default()).await.map_err(Broken::Sink)?;
            activity.touch();
            self.start += piece;
            left -= piece as u64;
        }
        Ok(())
    }

    /// Copies a body to its end and not further. Chunks are written anew (or not as chunks at all): what is in them is
    /// passed on, how they were cut, extended and trailed is not.
    pub(super) async fn copy_body<W: AsyncWrite + Unpin>(
        &mut self,
        to: &mut W,
        body: Body,
        keeps_chunks: bool,
        activity: &Activity,
    ) -> Result<(), Broken> {
        match body {
            Body::Length(length) => self.copy(to, Some(length), activity).await,
            Body::UntilEnd => self.copy(to, None, activity).await,
            Body::Chunked => {
                loop {
                    let line = self.line(CHUNK_LINE).await.map_err(Broken::Source)?;
                    let size =
                        chunk_size(&line).ok_or_else(|| Broken::Source(malformed("a chunk has no size")))?;
                    if size == 0 {
                        break;
                    }
                    if keeps_chunks {
                        to.write_all(format!("{size:x}\r\n").as_bytes()).await.map_err(Broken::Sink)?;
                    }
                    self.copy(to, Some(size), activity).await?;
                    let end = self.exactly(2).await.map_err(Broken::Source)?;
                    if end != b"\r\n" {
                        return Err(Broken::Source(malformed("a chunk is longer than it says")));
                    }
                    if keeps_chunks {
                        to.write_all(b"\r\n").await.map_err(Broken::Sink)?;
                    }
                }
                let mut left = TRAILERS;
                loop {
                    let line = self.line(left).await.map_err(Broken::Source)?;
                    if line.is_empty() {
                        break;
                    }
                    left = left.saturating_sub(line.len());
                }
                if keeps_chunks {
                    to.write_all(b"0\r\n\r\n").await.map_err(Broken::Sink)?;
                }
                Ok(())
            }
        }
    }

    /// One way of a tunnel: everything, then the end, which is passed on.
    pub(super) async fn pour<W: AsyncWrite + Unpin>(
        mut self,
        to: &mut W,
        activity: &Activity,
    ) -> io::Result<()> {
        to.write_all(self.rest()).await?;
        let mut buffer = vec![0; BUFFER.0];
        loop {
            let length = self.from.read(&mut buffer).await?;
            if length == 0 {
                return to.shutdown().await;
            }
            activity.touch();
            to.write_all(buffer.get(..length).unwrap_or_default()).await?;
            activity.touch();
            if length == buffer.len() && length < BUFFER.1 {
                buffer.resize(BUFFER.1, 0);
            }
        }
    }
}

/// Closes so that the client can read what was written: the kernel throws that away where something unread is left
/// (RFC 9112 §9.6).
pub(super) async fn close(reader: &mut Reader<OwnedReadHalf>, writer: &mut OwnedWriteHalf) {
    let drain = async {
        writer.shutdown().await?;
        let mut left = DRAIN.0;
        let mut rest = vec![0; 16 * 1024];
        while left > 0 {
            let length = reader.from.read(&mut rest).await?;
            if length == 0 {
                break;
            }
            left = left.saturating_sub(length);
        }
        Ok::<_, io::Error>(())
    };
    // Whatever goes wrong here, the connection is at its end.
    let _ = timeout(DRAIN.1, drain).await;
}

/// The size of a chunk. Extensions are passed over.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let end = line.iter().position(|&byte| byte == b';').unwrap_or(line.len());
    let digits = std::str::from_utf8(line.get(..end)?).ok()?.trim_end_matches([' ', '\t']);
    let is_number = (1..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_number.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}
