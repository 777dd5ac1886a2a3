//! What files become by a patch. Reads them, and writes nothing.

use std::collections::{BTreeMap, BTreeSet};

use codetether_files::{Permissions, RootError, SeenKind};
use codetether_tool::{ToolContext, ToolError};

use super::fit::{Fitted, Numbers, fit};
use super::{Act, Form, Hunk, Patch, Section};
use crate::change::{Change, TOTAL_MAX};
use crate::known::{self, CHANGED, Standing};
use crate::place::{refused, relative};
use crate::replace::FILE_MAX;
use crate::text::size;

/// Most line numbers that are named of one file.
const PLACES: usize = 8;

/// The bits of a mode that let a file be run.
const RUN: u32 = 0o111;

/// What a patch would do.
pub(crate) struct Plan {
    /// In the order of their paths.
    pub(crate) changes: Vec<Change>,
    /// What was done, in words.
    pub(crate) told: String,
}

/// A file in the course of the patch.
#[derive(Clone)]
struct File {
    bytes: Vec<u8>,
    permissions: Permissions,
    /// Bits of its permissions; those of a new file are not known.
    mode: Option<u32>,
    standing: Standing,
    moved_from: Option<String>,
}

struct Files<'a> {
    cx: &'a ToolContext,
    /// The files as they are.
    before: BTreeMap<String, Option<File>>,
    /// The files that the patch has dealt with, as they are by then.
    now: BTreeMap<String, Option<File>>,
    /// In a unified diff, the files that it moves away or removes: their paths are free for others.
    leaving: BTreeSet<String>,
    form: Form,
    held: usize,
}

/// Works out what the files become.
///
/// # Errors
/// What does not fit, and where; then nothing would be done.
pub(crate) fn plan(cx: &ToolContext, patch: &Patch<'_>) -> Result<Plan, ToolError> {
    let mut files = Files {
        cx,
        before: BTreeMap::new(),
        now: BTreeMap::new(),
        leaving: BTreeSet::new(),
        form: patch.form,
        held: 0,
    };
    if patch.form == Form::Unified {
        for section in &patch.sections {
            if let Act::Delete { path } | Act::Move { from: path, .. } = &section.act {
                files.leaving.insert(relative(&cx.root, path)?);
            }
        }
    }
    let mut told = Vec::new();
    for section in &patch.sections {
        if cx.cancel.is_cancelled() {
            return Err(ToolError::Interrupted);
        }
        told.push(files.section(section)?);
    }
    let changes = files.changes();
    if changes.is_empty() {
        return Err(ToolError::ForModel("the patch changes nothing: the files are so already".to_owned()));
    }
    Ok(Plan { changes, told: told.join("\n") })
}

impl Files<'_> {
    /// Does a section, and says so.
    fn section(&mut self, section: &Section<'_>) -> Result<String, ToolError> {
        match &section.act {
            Act::Add { path } => self.add(path, section),
            Act::Delete { path } => self.delete(path, section),
            Act::Update { path } => {
                let file = self.there(path)?;
                let (file, how) = patched(path, file, &section.hunks, section.program)?;
                let name = relative(&self.cx.root, path)?;
                let what = match (section.hunks.is_empty(), section.program) {
                    (true, Some(true)) => format!("made `{path}` executable"),
                    (true, _) => format!("made `{path}` not executable"),
                    (false, _) => format!("edited `{path}`{how}"),
                };
                self.now.insert(name, Some(file));
                Ok(what)
            }
            Act::Move { from, to } => {
                let file = self.source(from, to)?;
                self.no_link(from)?;
                let (file, how) = patched(from, file, &section.hunks, section.program)?;
                let (old, new) = (relative(&self.cx.root, from)?, relative(&self.cx.root, to)?);
                // Another file may have taken its place.
                if self.form == Form::Envelope || !self.now.contains_key(&old) {
                    self.now.insert(old.clone(), None);
                }
                self.now.insert(new, Some(File { moved_from: Some(old), ..file }));
                let edited = if section.hunks.is_empty() { String::new() } else { format!(", edited{how}") };
                Ok(format!("moved `{from}` to `{to}`{edited}"))
            }
            Act::Copy { from, to } => {
                let file = self.source(from, to)?;
                let (file, how) = patched(from, file, &section.hunks, section.program)?;
                self.now.insert(relative(&self.cx.root, to)?, Some(file));
                let edited = if section.hunks.is_empty() { String::new() } else { format!(", edited{how}") };
                Ok(format!("copied `{from}` to `{to}`{edited}"))
            }
        }
    }

    fn add(&mut self, path: &str, section: &Section<'_>) -> Result<String, ToolError> {
        self.free(path)?;
        let file = File {
            bytes: Vec::new(),
            permissions: if section.program == Some(true) { Permissions::Program } else { Permissions::Kept },
            mode: None,
            standing: Standing::Same,
            moved_from: None,
        };
        let (file, _) = patched(path, file, &section.hunks, None)?;
        self.now.insert(relative(&self.cx.root, path)?, Some(file));
        Ok(format!("created `{path}`"))
    }

    fn delete(&mut self, path: &str, section: &Section<'_>) -> Result<String, ToolError> {
        let file = self.there(path)?;
        self.no_link(path)?;
        let error = |text: String| Err(ToolError::ForModel(text));
        match self.form {
            Form::Envelope if file.standing == Standing::Changed => {
                return error(format!("`{path}` {CHANGED}: `read` it again before you remove it"));
            }
            Form::Envelope => {}
            Form::Unified => {
                let (rest, _) = patched(path, file, &section.hunks, section.program)?;
                if !rest.bytes.is_empty() {
                    return error(format!(
                        "the patch removes `{path}`, but the file holds more than the lines it removes: read it again"
                    ));
                }
            }
        }
        let name = relative(&self.cx.root, path)?;
        if self.form == Form::Envelope || !self.now.contains_key(&name) {
            self.now.insert(name, None);
        }
        Ok(format!("removed `{path}`"))
    }

    /// What a moved or copied file is made of, once it is sure that nothing is in its new place.
    fn source(&mut self, from: &str, to: &str) -> Result<File, ToolError> {
        self.free(to)?;
        let mut file = match self.form {
            Form::Envelope => self.there(from)?,
            Form::Unified => {
                let found = self.before(&relative(&self.cx.root, from)?)?;
                found.ok_or_else(|| self.missing(from))?
            }
        };
        // It is a new file, but for its mode.
        if let (Permissions::Kept, Some(mode)) = (file.permissions, file.mode) {
            file.permissions = Permissions::Exactly(mode);
        }
        Ok(file)
    }

    /// The file as it is by now.
    fn there(&mut self, path: &str) -> Result<File, ToolError> {
        let name = relative(&self.cx.root, path)?;
        let found = match self.now.get(&name) {
            Some(now) => now.clone(),
            None => self.before(&name)?,
        };
        found.ok_or_else(|| self.missing(path))
    }

    fn missing(&self, path: &str) -> ToolError {
        refused(&self.cx.root, path, RootError::NotFound { path: path.to_owned() })
    }

    /// An error when there is something at this path by now.
    fn free(&mut self, path: &str) -> Result<(), ToolError> {
        let name = relative(&self.cx.root, path)?;
        let is_taken = match self.now.get(&name) {
            Some(now) => now.is_some(),
            None if self.leaving.contains(&name) => false,
            None => self.cx.root.look(&name).map_err(|error| refused(&self.cx.root, path, error))?.is_some(),
        };
        match is_taken {
            true => {
                Err(ToolError::ForModel(format!("`{path}` is there already: a patch can only update it")))
            }
            false => Ok(()),
        }
    }

    fn no_link(&self, path: &str) -> Result<(), ToolError> {
        let seen = self.cx.root.look(path).map_err(|error| refused(&self.cx.root, path, error))?;
        match seen.is_some_and(|seen| seen.kind == SeenKind::Link) {
            true => Err(ToolError::ForModel(format!(
                "`{path}` is a symbolic link, which a patch cannot move or remove; `bash` can"
            ))),
            false => Ok(()),
        }
    }

    /// The file as it is before the patch.
    fn before(&mut self, name: &str) -> Result<Option<File>, ToolError> {
        if let Some(before) = self.before.get(name) {
            return Ok(before.clone());
        }
        let root = &self.cx.root;
        let found = match root.read(name, FILE_MAX as u64) {
            Ok(bytes) => {
                let metadata = root.metadata(name).map_err(|error| refused(root, name, error))?;
                let mode = std::os::unix::fs::MetadataExt::mode(&metadata) & 0o777;
                let standing = known::standing(self.cx, name, &bytes);
                self.held += bytes.len();
                Some(File {
                    bytes,
                    permissions: Permissions::Kept,
                    mode: Some(mode),
                    standing,
                    moved_from: None,
                })
            }
            Err(RootError::NotFound { .. } | RootError::NotADirectory { .. }) => None,
            Err(error) => return Err(refused(root, name, error)),
        };
        if self.held > TOTAL_MAX / 2 {
            let most = size(TOTAL_MAX as u64 / 2);
            return Err(ToolError::ForModel(format!(
                "the patch's files are larger than {most} together: patch fewer at once"
            )));
        }
        self.before.insert(name.to_owned(), found.clone());
        Ok(found)
    }

    /// What is to be done to the files.
    fn changes(self) -> Vec<Change> {
        let Self { before, now, .. } = self;
        let change = |(path, now): (String, Option<File>)| {
            let before = before.get(&path).cloned().flatten().and_then(|file| Some((file.bytes, file.mode?)));
            let (after, standing, moved_from) = match now {
                Some(file) => (Some((file.bytes, file.permissions)), file.standing, file.moved_from),
                None => (None, Standing::Same, None),
            };
            let is_same = match (&before, &after) {
                (None, None) => true,
                (Some((old, mode)), Some((new, permissions))) => {
                    old == new
                        && match permissions {
                            Permissions::Exactly(new) => new == mode,
                            Permissions::Kept | Permissions::Program => true,
                        }
                }
                _ => false,
            };
            (!is_same).then_some(Change { path, before, after, moved_from, standing })
        };
        now.into_iter().filter_map(change).collect()
    }
}

/// The file with a section's hunks done to it, and how that went.
fn patched(
    path: &str,
    file: File,
    hunks: &[Hunk<'_>],
    program: Option<bool>,
) -> Result<(File, String), ToolError> {
    let numbers = if file.standing == Standing::Same { Numbers::Trusted } else { Numbers::Doubtful };
    let Fitted { bytes, at, loosely } = fit(path, &file.bytes, hunks, numbers)
        .map_err(|error| ToolError::ForModel(error.trim_end().to_owned()))?;
    if bytes.len() > FILE_MAX {
        let most = size(FILE_MAX as u64);
        return Err(ToolError::ForModel(format!("the patch would make `{path}` larger than {most}")));
    }
    let permissions = match (program, file.mode) {
        // Who may read it may run it.
        (Some(true), Some(mode)) => Permissions::Exactly(mode | (mode & 0o444) >> 2),
        (Some(false), Some(mode)) => Permissions::Exactly(mode & !RUN),
        (Some(true), None) => Permissions::Program,
        (Some(false), None) => Permissions::Kept,
        (None, _) => file.permissions,
    };
    let mut how = places(&at);
    if loosely {
        how += " (white space at line ends was not as in the patch)";
    }
    if file.standing == Standing::Changed {
        how += &format!("; elsewhere it {CHANGED}");
    }
    Ok((File { bytes, permissions, ..file }, how))
}

/// ` at line 3`, ` at lines 3, 9`.
fn places(at: &[usize]) -> String {
    let mut lines: Vec<usize> = at.iter().copied().filter(|at| *at > 0).collect();
    lines.sort_unstable();
    let named: Vec<String> = lines.iter().take(PLACES).map(usize::to_string).collect();
    let more = if lines.len() > PLACES { " and more" } else { "" };
    match lines.len() {
        0 => String::new(),
        1 => format!(" at line {}", named.join("")),
        _ => format!(" at lines {}{more}", named.join(", ")),
    }
}
