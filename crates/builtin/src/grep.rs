//! `grep`: lines by a regular expression, with ripgrep's own engine. Never holds a file, and shows no binary one.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use codetether_event::Touches;
use codetether_files::{EntryKind, Root};
use codetether_tool::{Args, BoxFuture, Cancel, Hidden, Tool, ToolContext, ToolError, ToolOutput, ToolSpec};
use globset::GlobMatcher;
use grep_matcher::Matcher;
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{
    BinaryDetection, Searcher, SearcherBuilder, Sink, SinkContext, SinkContextKind, SinkMatch,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::off_thread::{Stoppable, off_thread};
use crate::place::{join, refused, relative};
use crate::spec;
use crate::text::{count, first_chars, one_line};
use crate::walk::{Go, Walked, folder, left_out, pattern, walk};

/// Matching lines (or files) that are shown when nothing else is asked for, and at most.
const LIMIT: u64 = 100;
const LIMIT_MAX: u64 = 2_000;

/// Most lines around a match.
const CONTEXT_MAX: u64 = 20;

/// Longest part of a line that is shown, in characters, and how much of it stands before the match.
const LINE_CHARS: usize = 250;
const BEFORE_CHARS: usize = 60;

/// Longest line that is searched, in bytes; a file with a longer one is passed over and counted.
const LINE_BYTES: usize = 16 << 20;

/// What is kept of the output's bound for the lines about what is not shown.
const FOOTER: usize = 300;

#[derive(Deserialize, JsonSchema)]
struct GrepArgs {
    /// Regular expression
    pattern: String,
    /// File or folder, the workspace by default
    path: Option<String>,
    /// Only files like this, such as `*.rs`
    glob: Option<String>,
    ignore_case: Option<bool>,
    /// Lines around each match
    context: Option<u64>,
    /// Only name the files
    files_only: Option<bool>,
    /// Most matches, 100 by default
    limit: Option<u64>,
}

impl GrepArgs {
    fn path(&self) -> &str {
        self.path.as_deref().unwrap_or(".")
    }
}

/// The tool `grep`.
pub struct Grep {
    spec: ToolSpec,
}

impl Default for Grep {
    fn default() -> Self {
        Self {
            spec: spec::<GrepArgs>("grep", "Search files for lines. Ignored and binary files are left out."),
        }
    }
}

impl Tool for Grep {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn touches(&self, args: &Args) -> Touches {
        let reads = args.parse::<GrepArgs>().map(|args| vec![args.path().to_owned()]).unwrap_or_default();
        Touches { reads, ..Touches::default() }
    }

    fn preview<'a>(&'a self, args: &'a Args, _: &'a ToolContext) -> BoxFuture<'a, String> {
        Box::pin(async move {
            args.parse::<GrepArgs>()
                .map_or_else(|error| error.to_string(), |args| format!("{} in {}", args.pattern, args.path()))
        })
    }

    fn call<'a>(&'a self, args: Args, cx: &'a ToolContext) -> BoxFuture<'a, Result<ToolOutput, ToolError>> {
        Box::pin(async move {
            let args: GrepArgs = args.parse()?;
            let matcher = matcher(&args)?;
            let glob = args.glob.as_deref().map(|glob| pattern(&cx.root, glob)).transpose()?;
            let place = place(&cx.root, args.path())?;
            let (root, hidden) = (Arc::clone(&cx.root), cx.hidden.clone());
            let search = Search { root, hidden, matcher, glob, room: cx.limits.output, args };
            let text = off_thread(&cx.cancel, move |cancel| search.run(place, cancel)).await?;
            Ok(ToolOutput::text(text))
        })
    }
}

fn matcher(args: &GrepArgs) -> Result<RegexMatcher, ToolError> {
    let bad = |error: &dyn std::fmt::Display| {
        ToolError::ForModel(format!("bad pattern: {}", first_chars(&error.to_string(), 1_000)))
    };
    // The matcher wraps the pattern in a group: its own errors point beside the fault, and `a)(b` would pass.
    regex_syntax::parse(&args.pattern).map_err(|error| bad(&error))?;
    RegexMatcherBuilder::new()
        .case_insensitive(args.ignore_case == Some(true))
        .line_terminator(Some(b'\n'))
        .build(&args.pattern)
        .map_err(|error| bad(&error))
}

/// Where to search.
enum Place {
    File(String),
    Folder(String),
}

fn place(root: &Root, path: &str) -> Result<Place, ToolError> {
    let metadata = root.metadata(path).map_err(|error| refused(root, path, error))?;
    if metadata.is_dir() {
        return Ok(Place::Folder(folder(root, path)?));
    }
    Ok(Place::File(relative(root, path)?))
}

struct Search {
    root: Arc<Root>,
    hidden: Hidden,
    matcher: RegexMatcher,
    glob: Option<GlobMatcher>,
    /// Most bytes of output.
    room: usize,
    args: GrepArgs,
}

impl Search {
    fn run(self, place: Place, cancel: &Cancel) -> Result<String, ToolError> {
        let context = usize::try_from(self.args.context.unwrap_or(0).min(CONTEXT_MAX)).unwrap_or(0);
        let mut searcher = SearcherBuilder::new()
            .line_number(true)
            .before_context(context)
            .after_context(context)
            .binary_detection(BinaryDetection::quit(0))
            .heap_limit(Some(LINE_BYTES))
            .build();
        let mut found = Found {
            text: String::new(),
            room: self.room.saturating_sub(FOOTER).max(FOOTER),
            limit: self.args.limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX),
            matches: 0,
            files: 0,
            unread: 0,
            is_full: false,
        };
        let walked = match place {
            Place::File(path) => {
                let file = self.root.open_file(&path).map_err(|error| refused(&self.root, &path, error))?;
                self.file(&mut searcher, &path, file, &mut found, cancel)?;
                Walked::default()
            }
            Place::Folder(base) => walk(&self.root, &base, &self.hidden, cancel, |path, kind| {
                if *kind != EntryKind::File || self.glob.as_ref().is_some_and(|glob| !glob.is_match(path)) {
                    return Go::On;
                }
                // Opened beneath the root, whatever has become of the path since it was walked.
                match self.open(&base, path) {
                    Some((path, file)) => match self.file(&mut searcher, &path, file, &mut found, cancel) {
                        Ok(()) if !found.is_full => Go::On,
                        _ => Go::Stop,
                    },
                    None => {
                        found.unread += 1;
                        Go::On
                    }
                }
            })?,
        };
        if cancel.is_cancelled() {
            return Err(ToolError::Interrupted);
        }
        Ok(found.told(walked))
    }

    /// The file and its path within the root; a name that is no text cannot be told to the model, nor asked for.
    fn open(&self, base: &str, path: &Path) -> Option<(String, File)> {
        let path = join(base, path.to_str()?);
        let file = self.root.open_file(&path).ok()?;
        Some((path, file))
    }

    /// Searches one file. Fails only when the call was cancelled.
    fn file(
        &self,
        searcher: &mut Searcher,
        path: &str,
        file: File,
        found: &mut Found,
        cancel: &Cancel,
    ) -> Result<(), ToolError> {
        let (start, matches) = (found.text.len(), found.matches);
        let path = one_line(Path::new(path));
        let files_only = self.args.files_only == Some(true);
        let mut lines =
            Lines { path: &path, matcher: &self.matcher, files_only, start, is_binary: false, found };
        let searched = searcher.search_reader(&self.matcher, Stoppable { inner: file, cancel }, &mut lines);
        let is_binary = lines.is_binary;
        if cancel.is_cancelled() {
            return Err(ToolError::Interrupted);
        }
        found.files += 1;
        if is_binary {
            // What matched before the first zero byte is no text either.
            found.text.truncate(start);
            found.matches = matches;
            found.files -= 1;
        }
        found.unread += u64::from(searched.is_err());
        Ok(())
    }
}

/// What was found so far.
struct Found {
    text: String,
    /// Most bytes of `text`.
    room: usize,
    /// Most matches.
    limit: u64,
    matches: u64,
    /// Text files that were searched.
    files: u64,
    /// Files that could not be searched, or not to their end.
    unread: u64,
    /// There is a match that was not taken.
    is_full: bool,
}

impl Found {
    fn push(&mut self, line: &str) -> bool {
        self.is_full = self.is_full || self.text.len() + line.len() > self.room;
        if !self.is_full {
            self.text += line;
        }
        !self.is_full
    }

    fn told(mut self, mut walked: Walked) -> String {
        walked.unread += self.unread;
        if self.matches == 0 {
            self.text = format!("no match in {}\n", count(self.files, "file"));
        } else if self.is_full {
            let shown = self.matches;
            let raise = if self.matches >= self.limit { ", or raise `limit`" } else { "" };
            self.text += &format!(
                "[these are {shown}, and there are more; narrow the pattern, `path` or `glob`{raise}]\n"
            );
        }
        self.text + &left_out(walked)
    }
}

/// Takes the lines of one file.
struct Lines<'a> {
    path: &'a str,
    matcher: &'a RegexMatcher,
    files_only: bool,
    /// Where this file's lines start in the text.
    start: usize,
    is_binary: bool,
    found: &'a mut Found,
}

impl Lines<'_> {
    /// Separates this file's lines with their surroundings from those of the file before.
    fn separate(&mut self, searcher: &Searcher) {
        let has_context = searcher.before_context() + searcher.after_context() > 0;
        if has_context && !self.files_only && self.start > 0 && self.found.text.len() == self.start {
            self.found.push("--\n");
        }
    }
}

impl Sink for Lines<'_> {
    type Error = io::Error;

    fn matched(&mut self, searcher: &Searcher, line: &SinkMatch<'_>) -> io::Result<bool> {
        if self.found.matches >= self.found.limit {
            self.found.is_full = true;
            return Ok(false);
        }
        self.separate(searcher);
        let line = if self.files_only {
            format!("{}\n", self.path)
        } else {
            let number = line.line_number().unwrap_or_default();
            let at = self.matcher.find(line.bytes()).ok().flatten().map_or(0, |found| found.start());
            format!("{}:{number}:{}\n", self.path, excerpt(line.bytes(), at))
        };
        let is_taken = self.found.push(&line);
        self.found.matches += u64::from(is_taken);
        Ok(is_taken && !self.files_only)
    }

    fn context(&mut self, searcher: &Searcher, line: &SinkContext<'_>) -> io::Result<bool> {
        if self.files_only {
            return Ok(true);
        }
        if *line.kind() == SinkContextKind::Before && self.found.matches >= self.found.limit {
            self.found.is_full = true;
            return Ok(false);
        }
        self.separate(searcher);
        let number = line.line_number().unwrap_or_default();
        Ok(self.found.push(&format!("{}-{number}-{}\n", self.path, excerpt(line.bytes(), 0))))
    }

    fn context_break(&mut self, _: &Searcher) -> io::Result<bool> {
        Ok(self.files_only || self.found.matches >= self.found.limit || self.found.push("--\n"))
    }

    fn binary_data(&mut self, _: &Searcher, _: u64) -> io::Result<bool> {
        self.is_binary = true;
        Ok(false)
    }
}

/// The part of a line around the byte `at` that is short enough to be shown.
fn excerpt(line: &[u8], at: usize) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = String::from_utf8_lossy(line);
    let total = text.chars().count();
    if total <= LINE_CHARS {
        return text.into_owned();
    }
    let before = String::from_utf8_lossy(&line[..at.min(line.len())]).chars().count();
    let skip = before.saturating_sub(BEFORE_CHARS).min(total - LINE_CHARS);
    let start = text.char_indices().nth(skip).map_or(0, |(at, _)| at);
    let left = if skip > 0 { "[...] " } else { "" };
    let right = if skip + LINE_CHARS < total { " [...]" } else { "" };
    format!("{left}{}{right}", first_chars(&text[start..], LINE_CHARS))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_long_line_is_shown_around_its_match() {
        let line = format!("{}needle{}\r\n", "é".repeat(400), "ü".repeat(400));
        let shown = excerpt(line.as_bytes(), 800);
        assert_eq!(shown.chars().count(), LINE_CHARS + 12);
        assert!(shown.starts_with("[...] é") && shown.contains("éneedleü") && shown.ends_with("ü [...]"));
        assert_eq!(excerpt("short ü\n".as_bytes(), 3), "short ü");
    }

    proptest! {
        #[test]
        fn no_line_is_cut_inside_a_character(line in prop::collection::vec(any::<u8>(), 0..2_000), at: usize) {
            prop_assert!(excerpt(&line, at).chars().count() <= LINE_CHARS + 12);
        }
    }
}
