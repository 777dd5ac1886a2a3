//! What the user says: the prompt, piped input, attached files.

use std::fs::Metadata;
use std::io::{IsTerminal, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use codetether_builtin::{Fitted, fit, is_image};
use codetether_event::{ContentPart, Input, frame};
use codetether_files::{BlobStore, EntryKind, Root, RootError};

use crate::args::RunArgs;
use crate::exit::{Exit, Failure};
use crate::printer;

/// Most bytes of standard input, or of one attached file.
const LIMIT: u64 = 10 << 20;

/// Most files and folders that a prompt attaches by naming them.
const MENTIONS: usize = 50;

/// Most names of a folder that are listed.
const NAMES: usize = 200;

/// The media type of a document whose pages models look at.
const PDF: &str = "application/pdf";

/// What the user says.
pub(crate) struct Prompt {
    /// With piped input as context.
    pub(crate) whole: String,
    /// Without it: what was typed, and so can be taken at its word.
    pub(crate) said: String,
    /// Whether it is text even where it looks like a command.
    pub(crate) is_text: bool,
}

impl Prompt {
    fn piped(whole: String) -> Self {
        Self { whole, said: String::new(), is_text: true }
    }

    /// What was typed in a chat, and nothing beside it.
    pub(crate) fn typed(said: &str) -> Self {
        Self { whole: said.to_owned(), said: said.to_owned(), is_text: false }
    }

    /// The same with another text in the place of what was typed.
    pub(crate) fn made(self, text: String) -> Self {
        let piped = self.whole.strip_prefix(&self.said).unwrap_or_default();
        Self { whole: format!("{text}{piped}"), said: text, is_text: true }
    }
}

/// The prompt; `None` when there is neither one nor piped input, which is right only with a session to go on with.
pub(crate) fn prompt(args: &RunArgs) -> Result<Option<Prompt>, Failure> {
    let piped = || piped_input(args.quiet).map(|text| Some(text).filter(|text| !text.trim().is_empty()));
    let resumes = args.turn.resume.is_some() || args.turn.last;
    let is_text = args.text.is_some();
    match args.prompt.as_deref().or(args.text.as_deref()) {
        Some("-") if !is_text => {
            let text = read_input(args.quiet)?;
            if text.trim().is_empty() {
                return Err(Failure::new(Exit::Usage, "standard input holds no prompt"));
            }
            Ok(Some(Prompt::piped(text)))
        }
        Some(prompt) if prompt.trim().is_empty() => Err(Failure::new(Exit::Usage, "the prompt is empty")),
        Some(prompt) => Ok(Some(match piped()? {
            Some(text) => Prompt {
                whole: format!("{prompt}\n\n<stdin>\n{}\n</stdin>", text.trim_end()),
                said: prompt.to_owned(),
                is_text,
            },
            None => Prompt { whole: prompt.to_owned(), said: prompt.to_owned(), is_text },
        })),
        None => match piped()? {
            Some(text) => Ok(Some(Prompt::piped(text))),
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
    Image { name: String, fitted: Fitted },
    Pdf(Vec<u8>),
}

/// Reads the files to attach.
pub(crate) fn attachments(paths: &[PathBuf]) -> Result<Vec<Attached>, Failure> {
    paths.iter().map(|path| attached(path)).collect()
}

/// What a prompt attaches by naming it: `@src/main.rs`, `@"a name with blanks"`, a folder's listing. Only what is in the
/// project: the rest, and an `@word` that names nothing, stays text. All together are no longer than one attached file.
pub(crate) fn mentioned(prompt: &str, root: &Path) -> Result<Vec<Attached>, Failure> {
    if !prompt.contains('@') {
        return Ok(Vec::new());
    }
    let root = Root::open(root)?;
    let mut found: Vec<(String, Attached)> = Vec::new();
    let mut left = LIMIT;
    for name in mentions(prompt) {
        let Some((name, what)) = there(&root, name) else { continue };
        let plain = root.relative(name).map(|path| path.to_string()).unwrap_or_else(|_| name.to_owned());
        if found.iter().any(|(other, _)| *other == plain) {
            continue;
        }
        if found.len() == MENTIONS {
            return Err(Failure::new(
                Exit::Usage,
                format!("the prompt names more than {MENTIONS} files with `@`"),
            ));
        }
        let attached = match what {
            There::Folder => Attached::Text(listing(&root, name)?),
            There::File => {
                let failed = |problem: &dyn std::fmt::Display| {
                    Failure::new(Exit::Usage, format!("cannot attach `{name}`: {problem}"))
                };
                let bytes = root.read(name, left).map_err(|error| failed(&error))?;
                left = left.saturating_sub(bytes.len() as u64);
                content(name, bytes).map_err(|problem| failed(&problem))?
            }
        };
        found.push((plain, attached));
    }
    Ok(found.into_iter().map(|(_, attached)| attached).collect())
}

/// What follows an `@` at the start of a word.
fn mentions(prompt: &str) -> impl Iterator<Item = &str> {
    prompt.match_indices('@').filter_map(|(at, _)| {
        let before = prompt[..at].chars().next_back();
        let rest = &prompt[at + 1..];
        if before.is_some_and(|c| !c.is_whitespace() && !matches!(c, '(' | '[' | '"' | '\'' | '`')) {
            return None;
        }
        match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').map(|(name, _)| name),
            None => rest.split(char::is_whitespace).next(),
        }
        .filter(|name| !name.is_empty())
    })
}

enum There {
    File,
    Folder,
}

/// The name as far as it is one of a file or folder: punctuation may follow it.
fn there<'a>(root: &Root, name: &'a str) -> Option<(&'a str, There)> {
    let mut name = name;
    loop {
        if let Ok(meta) = root.metadata(name) {
            let what = if meta.is_dir() { There::Folder } else { There::File };
            return (meta.is_dir() || meta.is_file()).then_some((name, what));
        }
        let shorter = name.strip_suffix(|c: char| c.is_ascii_punctuation())?;
        name = Some(shorter).filter(|name| !name.is_empty())?;
    }
}

/// The names in a folder, folders with a `/` at their end.
fn listing(root: &Root, folder: &str) -> Result<String, Failure> {
    let failed = |error: RootError| Failure::new(Exit::Usage, format!("cannot attach `{folder}`: {error}"));
    let mut names = Vec::new();
    for entry in root.list(folder).map_err(failed)? {
        let entry = entry.map_err(|error| failed(error.into()))?;
        let name = entry.name.to_string_lossy();
        names.push(if entry.kind == EntryKind::Directory { format!("{name}/") } else { name.into_owned() });
    }
    names.sort_unstable();
    let more = names.len().saturating_sub(NAMES);
    names.truncate(NAMES);
    if more > 0 {
        names.push(format!("[and {more} more]"));
    }
    let names: Vec<String> = names.iter().map(|name| frame::quoted(name)).collect();
    Ok(format!("<folder path=\"{}\">\n{}\n</folder>", frame::quoted(folder), names.join("\n")))
}

/// The attached files and the prompt as the parts of one message. Images become blobs; a model that is known not to see is
/// told what they are.
pub(crate) fn input(
    prompt: &str,
    files: Vec<Attached>,
    sees: bool,
    blobs: &BlobStore,
) -> Result<Input, Failure> {
    let mut parts = Vec::with_capacity(files.len() + 1);
    for file in files {
        parts.push(match file {
            Attached::Text(text) => ContentPart::text(text),
            Attached::Image { name, fitted } if !sees => {
                let (what, name) = (fitted.what, frame::quoted(&name));
                ContentPart::text(format!(
                    "<file path=\"{name}\">\n[a {what}, which you cannot see: this model takes no images]\n</file>"
                ))
            }
            Attached::Image { fitted: Fitted { image, .. }, .. } => {
                ContentPart::Image { media_type: image.media_type.into(), blob: blobs.put(&image.bytes)? }
            }
            Attached::Pdf(bytes) => {
                ContentPart::Image { media_type: PDF.into(), blob: blobs.put(&bytes)? }
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
    content(&path.display().to_string(), bytes).map_err(|problem| usage(&problem))
}

/// A file by what is in it.
fn content(name: &str, bytes: Vec<u8>) -> Result<Attached, String> {
    if is_image(&bytes) {
        return Ok(Attached::Image { name: name.to_owned(), fitted: fit(bytes)? });
    }
    if bytes.starts_with(b"%PDF-") {
        return Ok(Attached::Pdf(bytes));
    }
    let text = String::from_utf8(bytes).map_err(|_| "it is neither text, nor an image, nor a PDF")?;
    let text = text.trim_end_matches('\n');
    let (name, text) = (frame::quoted(name), frame::inside("file", text));
    Ok(Attached::Text(format!("<file path=\"{name}\">\n{text}\n</file>")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_mention_files() {
        let words = |text| mentions(text).collect::<Vec<_>>();
        assert_eq!(words("see @a/b.rs, (@c) and @\"d e\"."), ["a/b.rs,", "c)", "d e"]);
        assert_eq!(words("me@example.org @ @\n @\"open"), [""; 0]);
    }
}
