//! What the user says: the prompt, piped input, attached files.

use std::fs::Metadata;
use std::io::{IsTerminal, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use codetether_event::{ContentPart, Input};
use codetether_files::BlobStore;

use crate::args::RunArgs;
use crate::exit::{Exit, Failure};
use crate::printer;

/// Most bytes of standard input, or of one attached file.
const LIMIT: u64 = 10 << 20;

/// The prompt with piped input as context; `None` when there is neither, which is right only with a session to go
/// on with.
pub(crate) fn prompt(args: &RunArgs) -> Result<Option<String>, Failure> {
    let piped = || piped_input(args.quiet).map(|text| Some(text).filter(|text| !text.trim().is_empty()));
    let resumes = args.resume.is_some() || args.last;
    match args.prompt.as_deref() {
        Some("-") => {
            let text = read_input(args.quiet)?;
            if text.trim().is_empty() {
                return Err(Failure::new(Exit::Usage, "standard input holds no prompt"));
            }
            Ok(Some(text))
        }
        Some(prompt) if prompt.trim().is_empty() => Err(Failure::new(Exit::Usage, "the prompt is empty")),
        Some(prompt) => Ok(Some(match piped()? {
            Some(text) => format!("{prompt}\n\n<stdin>\n{}\n</stdin>", text.trim_end()),
            None => prompt.to_owned(),
        })),
        None => match piped()? {
            Some(text) => Ok(Some(text)),
            None if resumes => Ok(None),
            None => Err(Failure::with_help(
                Exit::Usage,
                "there is no prompt",
                "say what to do: `codetether run \"…\"`, or pipe it in",
            )),
        },
    }
}

/// Standard input, if something was piped or redirected into it.
fn piped_input(quiet: bool) -> Result<String, Failure> {
    let stdin = std::io::stdin();
    let kind = stdin.as_fd().try_clone_to_owned().map(std::fs::File::from).and_then(|file| file.metadata());
    let has_input =
        |kind: &Metadata| kind.file_type().is_fifo() || kind.is_file() || kind.file_type().is_socket();
    match kind {
        Ok(kind) if !stdin.is_terminal() && has_input(&kind) => read_input(quiet),
        _ => Ok(String::new()),
    }
}

fn read_input(quiet: bool) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let stdin = std::io::stdin();
    let mut ready = [rustix::event::PollFd::new(&stdin, rustix::event::PollFlags::IN)];
    let patience = rustix::event::Timespec { tv_sec: 2, tv_nsec: 0 };
    if !quiet && rustix::event::poll(&mut ready, Some(&patience)) == Ok(0) {
        printer::err(
            "reading standard input; close it, or redirect it from /dev/null, if there is nothing to come\n",
        );
    }
    std::io::stdin()
        .take(LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot read standard input: {error}")))?;
    if bytes.len() as u64 > LIMIT {
        return Err(Failure::with_help(
            Exit::Usage,
            "standard input is longer than 10 MiB",
            "put it into a file of the project and name that file in the prompt",
        ));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A file that was attached, read.
pub(crate) enum Attached {
    Text(String),
    Image { media_type: &'static str, bytes: Vec<u8> },
}

/// Reads the files to attach.
pub(crate) fn attachments(paths: &[PathBuf]) -> Result<Vec<Attached>, Failure> {
    paths.iter().map(|path| attached(path)).collect()
}

/// The attached files and the prompt as the parts of one message. Images become blobs.
pub(crate) fn input(prompt: &str, files: Vec<Attached>, blobs: &BlobStore) -> Result<Input, Failure> {
    let mut parts = Vec::with_capacity(files.len() + 1);
    for file in files {
        parts.push(match file {
            Attached::Text(text) => ContentPart::text(text),
            Attached::Image { media_type, bytes } => {
                ContentPart::Image { media_type: media_type.into(), blob: blobs.put(&bytes)? }
            }
        });
    }
    parts.push(ContentPart::text(prompt));
    Ok(Input { parts })
}

fn attached(path: &Path) -> Result<Attached, Failure> {
    let usage = |problem: &dyn std::fmt::Display| {
        Failure::new(Exit::Usage, format!("cannot attach `{}`: {problem}", path.display()))
    };
    let mut bytes = Vec::new();
    let file = codetether_files::open_read(path).map_err(|error| usage(&error))?;
    if !file.metadata().map_err(|error| usage(&error))?.is_file() {
        return Err(usage(&"it is no file"));
    }
    file.take(LIMIT + 1).read_to_end(&mut bytes).map_err(|error| usage(&error))?;
    if bytes.len() as u64 > LIMIT {
        return Err(usage(&"it is longer than 10 MiB"));
    }
    if let Some(media_type) = image(&bytes) {
        return Ok(Attached::Image { media_type, bytes });
    }
    let text = String::from_utf8(bytes).map_err(|_| usage(&"it is neither text, nor an image, nor a PDF"))?;
    let text = text.trim_end_matches('\n');
    Ok(Attached::Text(format!("<file path=\"{}\">\n{text}\n</file>", path.display())))
}

/// The media type of an image or a document that models take, by its first bytes.
fn image(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        [b'%', b'P', b'D', b'F', b'-', ..] => Some("application/pdf"),
        _ => None,
    }
}
