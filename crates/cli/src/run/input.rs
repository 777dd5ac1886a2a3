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

/// Most bytes of standard input, or of one attached file.
const LIMIT: u64 = 10 << 20;

/// The prompt with piped input as context; `None` when there is neither, which is right only with a session to go
/// on with.
pub(crate) fn prompt(args: &RunArgs) -> Result<Option<String>, Failure> {
    let piped = || piped_input().map(|text| Some(text).filter(|text| !text.trim().is_empty()));
    let resumes = args.resume.is_some() || args.last;
    match args.prompt.as_deref() {
        Some("-") => {
            let text = read_input()?;
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
fn piped_input() -> Result<String, Failure> {
    let stdin = std::io::stdin();
    let kind = stdin.as_fd().try_clone_to_owned().map(std::fs::File::from).and_then(|file| file.metadata());
    let has_input =
        |kind: &Metadata| kind.file_type().is_fifo() || kind.is_file() || kind.file_type().is_socket();
    match kind {
        Ok(kind) if !stdin.is_terminal() && has_input(&kind) => read_input(),
        _ => Ok(String::new()),
    }
}

fn read_input() -> Result<String, Failure> {
    let mut bytes = Vec::new();
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

/// The prompt and the attached files as the parts of one message. Images become blobs.
pub(crate) fn input(prompt: &str, files: &[PathBuf], blobs: &BlobStore) -> Result<Input, Failure> {
    let mut parts = Vec::with_capacity(files.len() + 1);
    for path in files {
        parts.push(attached(path, blobs)?);
    }
    parts.push(ContentPart::text(prompt));
    Ok(Input { parts })
}

fn attached(path: &Path, blobs: &BlobStore) -> Result<ContentPart, Failure> {
    let usage = |message: String| Failure::new(Exit::Usage, message);
    let size = std::fs::metadata(path)
        .map_err(|error| usage(format!("cannot attach `{}`: {error}", path.display())))?
        .len();
    if size > LIMIT {
        return Err(usage(format!("cannot attach `{}`: it is longer than 10 MiB", path.display())));
    }
    let bytes = codetether_files::read(path)?;
    if let Some(media_type) = image(&bytes) {
        return Ok(ContentPart::Image { media_type: media_type.into(), blob: blobs.put(&bytes)? });
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| usage(format!("cannot attach `{}`: it is neither text nor an image", path.display())))?;
    Ok(ContentPart::text(format!(
        "<file path=\"{}\">\n{}\n</file>",
        path.display(),
        text.trim_end_matches('\n')
    )))
}

/// The media type of an image that models take, by its first bytes.
fn image(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}
