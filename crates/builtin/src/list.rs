//! `list`: the names in one folder. Never goes into another.

use std::collections::BTreeSet;

use codetether_event::Touches;
use codetether_files::{Entry, EntryKind, Root, RootError};
use codetether_tool::{Args, BoxFuture, Cancel, Tool, ToolContext, ToolError, ToolOutput, ToolSpec};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::off_thread::off_thread;
use crate::place::refused;
use crate::spec;
use crate::text::{count, one_line};

/// Most names that are shown.
const SHOWN: usize = 500;

/// Most names that are looked at.
const SEEN: u64 = 100_000;

#[derive(Deserialize, JsonSchema)]
struct ListArgs {
    /// The workspace by default
    path: Option<String>,
}

impl ListArgs {
    fn path(&self) -> &str {
        self.path.as_deref().unwrap_or(".")
    }
}

/// The tool `list`.
pub struct List {
    spec: ToolSpec,
}

impl Default for List {
    fn default() -> Self {
        Self { spec: spec::<ListArgs>("list", "List a folder. Folders end in `/`.") }
    }
}

impl Tool for List {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn touches(&self, args: &Args) -> Touches {
        let reads = args.parse::<ListArgs>().map(|args| vec![args.path().to_owned()]).unwrap_or_default();
        Touches { reads, ..Touches::default() }
    }

    fn preview<'a>(&'a self, args: &'a Args, _: &'a ToolContext) -> BoxFuture<'a, String> {
        Box::pin(async move {
            args.parse::<ListArgs>().map_or_else(|error| error.to_string(), |args| args.path().to_owned())
        })
    }

    fn call<'a>(&'a self, args: Args, cx: &'a ToolContext) -> BoxFuture<'a, Result<ToolOutput, ToolError>> {
        Box::pin(async move {
            let args: ListArgs = args.parse()?;
            let (root, most) = (cx.root.clone(), cx.limits.output);
            off_thread(&cx.cancel, move |cancel| list(&root, args.path(), most, cancel)).await
        })
    }
}

/// The names in a folder: the first ones, as many as may be shown.
fn list(root: &Root, path: &str, most: usize, cancel: &Cancel) -> Result<ToolOutput, ToolError> {
    let entries = root.list(path).map_err(|error| match error {
        RootError::NotADirectory { .. } if root.metadata(path).is_ok() => {
            ToolError::ForModel(format!("`{path}` is a file; `read` shows what is in it"))
        }
        error => refused(root, path, error),
    })?;
    let mut names = BTreeSet::new();
    let mut seen = 0;
    for entry in entries.take(SEEN as usize + 1) {
        if cancel.is_cancelled() {
            return Err(ToolError::Interrupted);
        }
        let entry = entry.map_err(|error| ToolError::ForModel(error.to_string()))?;
        seen += 1;
        names.insert(shown(&entry));
        if names.len() > SHOWN {
            names.pop_last();
        }
    }
    if seen == 0 {
        return Ok(ToolOutput::text(format!("`{path}` is empty")));
    }
    let mut text = String::new();
    for name in &names {
        // The bound of all output holds here too; names are at most 255 bytes.
        if text.len() + name.len() + 80 > most.max(400) {
            break;
        }
        text += name;
        text.push('\n');
    }
    let left = seen - text.lines().count() as u64;
    if seen > SEEN {
        text += &format!("[... more than {}; `glob` finds files by name]\n", count(SEEN, "name"));
    } else if left > 0 {
        text += &format!("[... {left} more; `glob` finds files by name]\n");
    }
    Ok(ToolOutput::text(text))
}

/// The name as it is shown: a folder with a slash, a link with its target.
fn shown(entry: &Entry) -> String {
    let name = one_line(entry.name.as_ref());
    match &entry.kind {
        EntryKind::Directory => name + "/",
        EntryKind::Link(target) => format!("{name} -> {}", one_line(target)),
        EntryKind::File | EntryKind::Other => name,
    }
}
