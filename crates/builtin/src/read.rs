//! `read`: lines of a text file, numbered, or an image. Never shows other binary data, says when bytes are no UTF-8, and never holds
//! more of a file than it shows.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read as _};
use std::os::unix::fs::FileExt;

use codetether_event::{ContentId, KnownFile, Touches};
use codetether_tool::{Args, BoxFuture, Cancel, Tool, ToolContext, ToolError, ToolOutput, ToolSpec};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::off_thread::{Stoppable, off_thread};
use crate::place::{refused, relative};
use crate::replace::FILE_MAX;
use crate::text::{count, first_bytes, first_chars, size};
use crate::{image, known, sight, spec};

/// Lines that are shown when nothing else is asked for.
const LINES: u64 = 2_000;

/// Longest part of a line that is shown, in characters.
const LINE_CHARS: usize = 2_000;

/// Bytes that hold that part for certain.
const LINE_BYTES: usize = LINE_CHARS * 4 + 4;

/// Files up to this size are read where we are; larger ones away from the session's thread.
const INLINE: u64 = 1 << 20;

/// In files up to this size the lines after those shown are counted.
const COUNTED: u64 = 64 << 20;

/// What is kept of the output's bound for the line that says how to go on.
const FOOTER: usize = 200;

#[derive(Deserialize, JsonSchema)]
struct ReadArgs {
    /// Relative to the workspace
    path: String,
    /// First line, from 1
    offset: Option<u64>,
    /// Number of lines, 2000 by default
    limit: Option<u64>,
}

/// The tool `read`.
pub struct Read {
    spec: ToolSpec,
}

impl Default for Read {
    fn default() -> Self {
        Self {
            spec: spec::<ReadArgs>(
                "read",
                "Read a text file, or look at an image. Lines come with their numbers.",
            ),
        }
    }
}

impl Tool for Read {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn touches(&self, args: &Args) -> Touches {
        let reads = args.parse::<ReadArgs>().map(|args| vec![args.path]).unwrap_or_default();
        Touches { reads, ..Touches::default() }
    }

    fn preview<'a>(&'a self, args: &'a Args, _: &'a ToolContext) -> BoxFuture<'a, String> {
        Box::pin(
            async move { args.parse::<ReadArgs>().map_or_else(|error| error.to_string(), |args| args.path) },
        )
    }

    fn call<'a>(&'a self, args: Args, cx: &'a ToolContext) -> BoxFuture<'a, Result<ToolOutput, ToolError>> {
        Box::pin(async move {
            let args: ReadArgs = args.parse()?;
            let path = relative(&cx.root, &args.path)?;
            let file = cx.root.open_file(&args.path).map_err(|error| refused(&cx.root, &args.path, error))?;
            let bytes = file.metadata().map_or(0, |metadata| metadata.len());
            if let Some((head, file)) = image_head(&file).zip(file.try_clone().ok()) {
                return picture(file, &args.path, path, &head, cx).await;
            }
            let output = cx.limits.output;
            let shown = if bytes <= INLINE {
                show(file, bytes, &args, output, &cx.cancel)?
            } else {
                off_thread(&cx.cancel, move |cancel| show(file, bytes, &args, output, cancel)).await?
            };
            let known = KnownFile { path, content: shown.content };
            Ok(ToolOutput { text: shown.text, known: vec![known], ..ToolOutput::default() })
        })
    }
}

/// The first bytes of a file that begins like an image; it is read from its start afterwards all the same.
fn image_head(file: &File) -> Option<Vec<u8>> {
    let mut head = vec![0; image::HEAD];
    let read = file.read_at(&mut head, 0).ok()?;
    head.truncate(read);
    image::recognise(&head).is_some().then_some(head)
}

/// Shows an image to a model that can see.
async fn picture(
    file: File,
    shown: &str,
    path: String,
    head: &[u8],
    cx: &ToolContext,
) -> Result<ToolOutput, ToolError> {
    let bytes = file.metadata().map_or(0, |metadata| metadata.len());
    let what = format!("`{shown}` is a {} ({})", sight::described(head), size(bytes));
    if !cx.host.sees() {
        let why = "which you cannot see: nothing says that this model takes images";
        return Err(ToolError::ForModel(format!("{what}, {why}")));
    }
    if bytes > sight::FILE {
        let most = size(sight::FILE);
        return Err(ToolError::ForModel(format!("{what}; images over {most} are not shown")));
    }
    let (fitted, content) = off_thread(&cx.cancel, move |cancel| {
        let mut bytes = Vec::new();
        let stoppable = Stoppable { inner: file, cancel };
        let read = stoppable.take(sight::FILE).read_to_end(&mut bytes);
        read.map_err(|error| ToolError::ForModel(format!("cannot read the image: {error}")))?;
        let content = known::content(&bytes);
        Ok((sight::fit(bytes), content))
    })
    .await?;
    let fitted = fitted.map_err(|problem| ToolError::ForModel(format!("{what}, but {problem}")))?;
    let text = match fitted.change {
        Some(change) => format!("{what}, shown as {change}"),
        None => what,
    };
    let known = vec![KnownFile { path, content: Some(content) }];
    Ok(ToolOutput { text, known, images: vec![fitted.image], ..ToolOutput::default() })
}

/// What is shown of a file.
struct Shown {
    text: String,
    /// What the whole file holds, where it is not too large to be edited.
    content: Option<ContentId>,
}

/// A reader that hashes what passes.
struct Hashing<R> {
    inner: R,
    hasher: blake3::Hasher,
}

impl<R: io::Read> io::Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// The lines that were asked for, or why they cannot be shown.
fn show(file: File, bytes: u64, args: &ReadArgs, output: usize, cancel: &Cancel) -> Result<Shown, ToolError> {
    let path = &args.path;
    let failed = |error: io::Error| match cancel.is_cancelled() {
        true => ToolError::Interrupted,
        false => ToolError::ForModel(format!("cannot read `{path}`: {error}")),
    };
    let mut file = Hashing { inner: Stoppable { inner: file, cancel }, hasher: blake3::Hasher::new() };
    let mut head = Vec::new();
    file.by_ref().take(image::HEAD as u64).read_to_end(&mut head).map_err(failed)?;
    if head.is_empty() {
        return Ok(Shown { text: format!("`{path}` is empty"), content: Some(known::content(&[])) });
    }
    let is_head_utf8 = text_or_why(path, &head, bytes).map_err(ToolError::ForModel)?;
    let first = args.offset.unwrap_or(1).max(1);
    let limit = args.limit.unwrap_or(LINES).max(1);
    let room = output.saturating_sub(FOOTER).max(FOOTER);
    let mut lines = BufReader::with_capacity(64 * 1024, Cursor::new(head).chain(&mut file));
    let window = window(&mut lines, first, limit, room, bytes <= COUNTED).map_err(failed)?;

    if let Some(line) = window.binary {
        return Err(ToolError::ForModel(format!(
            "`{path}` holds binary data in line {line}; `read` can show lines before it, and `bash` has tools to look into it"
        )));
    }
    let Some(last) = window.last else {
        let total = count(window.seen, "line");
        return Err(ToolError::ForModel(format!("`{path}` has {total}; line {first} lies beyond its end")));
    };
    let mut text = window.text;
    let next = last.saturating_add(1);
    match window.end {
        End::Reached if first == 1 => {}
        End::Reached => text += &format!("[lines {first}-{last} of {last}: the end]\n"),
        End::Counted(total) => {
            text += &format!("[lines {first}-{last} of {total}; go on with offset {next}]\n");
        }
        End::Unknown => {
            text +=
                &format!("[lines {first}-{last} of a file of {}; go on with offset {next}]\n", size(bytes));
        }
    }
    if !is_head_utf8 || !window.is_utf8 {
        text += "[not UTF-8: bytes that are no text are shown as \u{FFFD}]\n";
    }
    let mut content = None;
    if bytes <= FILE_MAX as u64 {
        // The lines behind those shown were counted, so most of it has passed already.
        io::copy(&mut file.by_ref().take(FILE_MAX as u64), &mut io::sink()).map_err(failed)?;
        content = Some(known::named(&file.hasher.finalize()));
    }
    Ok(Shown { text, content })
}

/// Whether the file is UTF-8 as far as can be seen, or why it is nothing to be shown.
fn text_or_why(path: &str, head: &[u8], bytes: u64) -> Result<bool, String> {
    let all = size(bytes);
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
        return Err(format!("`{path}` is UTF-16 text ({all}); `iconv -f UTF-16 -t UTF-8` makes it readable"));
    }
    // A character cut by the end of the head is no fault.
    let wrong: usize = head.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
    let wrong = wrong.saturating_sub(if head.len() >= image::HEAD { 3 } else { 0 });
    if head.contains(&0) || wrong > head.len() / 10 {
        return Err(format!("`{path}` is not text ({all} of binary data); `bash` has tools to look into it"));
    }
    Ok(wrong == 0)
}

/// What was found of the lines that were asked for.
struct Window {
    /// Numbered.
    text: String,
    /// Number of the last line in `text`.
    last: Option<u64>,
    /// Lines that were gone through.
    seen: u64,
    /// The first of the lines to be shown that holds a zero byte; no more were read then.
    binary: Option<u64>,
    /// Whether all lines shown are UTF-8.
    is_utf8: bool,
    end: End,
}

enum End {
    /// The last line shown is the file's last.
    Reached,
    /// There are this many lines.
    Counted(u64),
    /// There is more, of which the lines were not counted.
    Unknown,
}

/// Reads up to `limit` lines from number `first`, no more than `room` bytes of output, at least one line.
fn window(
    reader: &mut impl BufRead,
    first: u64,
    limit: u64,
    room: usize,
    count_rest: bool,
) -> io::Result<Window> {
    let mut window =
        Window { text: String::new(), last: None, seen: 0, binary: None, is_utf8: true, end: End::Reached };
    let mut line = Vec::new();
    while window.seen < first - 1 {
        if next_line(reader, &mut line, 0)?.is_none() {
            return Ok(window);
        }
        window.seen += 1;
    }
    let end = first.saturating_add(limit);
    let mut is_full = false;
    while let Some(length) = next_line(reader, &mut line, LINE_BYTES)? {
        window.seen += 1;
        is_full = is_full || window.seen >= end;
        if !is_full {
            let shown = numbered(window.seen, &line, length, room);
            if window.last.is_none() || window.text.len() + shown.len() <= room {
                if memchr::memchr(0, &line).is_some() {
                    window.binary = Some(window.seen);
                    return Ok(window);
                }
                window.is_utf8 &= is_utf8(&line);
                window.text += &shown;
                window.last = Some(window.seen);
                continue;
            }
            is_full = true;
        }
        if !count_rest {
            window.end = End::Unknown;
            return Ok(window);
        }
        window.end = End::Counted(window.seen);
    }
    Ok(window)
}

/// Reads one line and returns its length in bytes; `line` gets at most `keep` bytes of it, without its end.
fn next_line(reader: &mut impl BufRead, line: &mut Vec<u8>, keep: usize) -> io::Result<Option<u64>> {
    line.clear();
    let mut length = 0;
    loop {
        let buffer = match reader.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            buffer => buffer?,
        };
        if buffer.is_empty() {
            return Ok((length > 0).then_some(length));
        }
        let end = memchr::memchr(b'\n', buffer);
        let piece = &buffer[..end.unwrap_or(buffer.len())];
        line.extend_from_slice(&piece[..piece.len().min(keep - line.len())]);
        let used = piece.len() + usize::from(end.is_some());
        length += used as u64;
        reader.consume(used);
        if end.is_some() {
            return Ok(Some(length));
        }
    }
}

/// Whether it is UTF-8, but for a character that is cut at the end of what is kept of a long line.
fn is_utf8(line: &[u8]) -> bool {
    match std::str::from_utf8(line) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none() && line.len() >= LINE_BYTES,
    }
}

/// The line as `cat -n` shows it, cut when it is too long.
fn numbered(number: u64, line: &[u8], length: u64, room: usize) -> String {
    let is_whole = line.len() as u64 + 1 >= length;
    let line = if is_whole { line.strip_suffix(b"\r").unwrap_or(line) } else { line };
    let line = if number == 1 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
    let text = String::from_utf8_lossy(line);
    let start = first_bytes(first_chars(&text, LINE_CHARS), room);
    let mut shown = format!("{number:>6}\t{start}");
    let left = length.saturating_sub(start.len() as u64);
    if start.len() < text.len() || !is_whole {
        shown += &format!(" [... about {} more on this line]", count(left, "byte"));
    }
    shown.push('\n');
    shown
}
