//! A patch as text: what it would do to which files. Pure; [`plan`] looks at the files and works out what they become.
//!
//! Two forms are read, told apart by their first line: the envelope `*** Begin Patch`, whose hunks are found by their lines
//! alone, and unified diffs, as `git diff` and `diff -u` write them.

mod envelope;
mod fit;
mod plan;
mod unified;

use codetether_event::Touches;

pub(crate) use plan::{Plan, plan};

/// Most sections of a patch.
const SECTIONS: usize = 500;

/// A patch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Patch<'a> {
    pub(crate) form: Form,
    pub(crate) sections: Vec<Section<'a>>,
}

/// How it is written, and so how its sections stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Each section is done to what the one before it left.
    Envelope,
    /// A unified diff: moves and copies start from the files as they were before the patch.
    Unified,
}

/// What is done to one file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Section<'a> {
    pub(crate) act: Act,
    pub(crate) hunks: Vec<Hunk<'a>>,
    /// Whether it may be run afterwards; as before where the patch does not say.
    pub(crate) program: Option<bool>,
}

/// What is done, besides the hunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    Add { path: String },
    Delete { path: String },
    Update { path: String },
    Move { from: String, to: String },
    Copy { from: String, to: String },
}

/// Lines that are there, go and come.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Hunk<'a> {
    /// Lines of the file that come before it, each behind the one before.
    pub(crate) behind: Vec<&'a str>,
    /// Its first line in the old file, from 1; where it has none there, the line that it follows.
    pub(crate) at: Option<usize>,
    pub(crate) lines: Vec<Line<'a>>,
    /// Whether it goes to the end of the file.
    pub(crate) ends_file: bool,
}

/// A line of a hunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub(crate) sign: Sign,
    pub(crate) text: &'a str,
    /// Whether the file ends in it without a line end.
    pub(crate) unended: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    Keep,
    Remove,
    Add,
}

impl<'a> Line<'a> {
    /// A line of a patch with the sign that it begins with; an empty one stands for an empty line that is kept, since white
    /// space at line ends gets lost on the way.
    fn read(line: &'a str) -> Option<Self> {
        let mut chars = line.chars();
        let sign = match chars.next() {
            Some(' ') => Sign::Keep,
            Some('-') => Sign::Remove,
            Some('+') => Sign::Add,
            None | Some('\r') => return Some(Self { sign: Sign::Keep, text: line, unended: false }),
            Some(_) => return None,
        };
        Some(Self { sign, text: chars.as_str(), unended: false })
    }
}

/// Reads a patch. An error says what is wrong in which line.
pub(crate) fn parse(text: &str) -> Result<Patch<'_>, String> {
    let lines: Vec<&str> = text.strip_suffix('\n').unwrap_or(text).split('\n').collect();
    let start = lead(&lines);
    let first = lines.get(start).map_or("", |line| line.trim());
    let patch = if first == envelope::BEGIN {
        Patch { form: Form::Envelope, sections: envelope::parse(&lines, start + 1)? }
    } else if first.starts_with("*** ") {
        return Err(format!("the patch begins with `{first}`: its first line must be `{}`", envelope::BEGIN));
    } else {
        Patch { form: Form::Unified, sections: unified::parse(&lines)? }
    };
    match patch.sections.len() {
        0 => Err(format!(
            "this is no patch: it must begin with `{}`, or be a unified diff with `--- a/FILE` and `+++ b/FILE`",
            envelope::BEGIN
        )),
        1..=SECTIONS => Ok(patch),
        more => Err(format!("the patch changes {more} files: one call takes at most {SECTIONS}")),
    }
}

/// How many lines come before the patch: blank ones, a code fence, the beginning of a here-document.
fn lead(lines: &[&str]) -> usize {
    let is_lead = |line: &&&str| {
        let line = line.trim();
        let here = line.rsplit_once("<<").is_some_and(|(_, word)| {
            let word = word.trim_start_matches('-').trim_matches(['\'', '"']);
            !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        });
        line.is_empty() || is_fence(line) || here
    };
    lines.iter().take_while(is_lead).count()
}

fn is_fence(line: &str) -> bool {
    line.starts_with("```") || line.starts_with("~~~")
}

/// Whether a line may follow a patch: what is left of a code fence or a here-document.
fn is_tail(line: &str) -> bool {
    let line = line.trim();
    let word = !line.is_empty() && line.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    line.is_empty() || word || is_fence(line)
}

impl Patch<'_> {
    /// The files that it would read and write.
    pub(crate) fn touches(&self) -> Touches {
        let mut touches = Touches::default();
        let add = |list: &mut Vec<String>, path: &String| {
            if !list.contains(path) {
                list.push(path.clone());
            }
        };
        for Section { act, .. } in &self.sections {
            match act {
                Act::Add { path } => add(&mut touches.writes, path),
                // What does not fit is shown to the model as it is.
                Act::Update { path } | Act::Delete { path } => {
                    add(&mut touches.reads, path);
                    add(&mut touches.writes, path);
                }
                Act::Move { from, to } => {
                    add(&mut touches.reads, from);
                    add(&mut touches.writes, from);
                    add(&mut touches.writes, to);
                }
                Act::Copy { from, to } => {
                    add(&mut touches.reads, from);
                    add(&mut touches.writes, to);
                }
            }
        }
        touches
    }
}
