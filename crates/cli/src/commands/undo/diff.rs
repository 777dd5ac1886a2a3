//! `codetether diff`: what the session's calls changed, as a unified diff: each file from what it was before the first of
//! them that touched it to what it was after the last.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use codetether_session::Change;
use codetether_undo::{Entry, Undo};
use similar::TextDiff;

use super::{Past, failure, listing, select};
use crate::args::DiffArgs;
use crate::exit::{Exit, Failure};
use crate::printer;

/// After this long the rest of a difficult comparison is shown less finely.
const TIME: Duration = Duration::from_secs(2);

pub(super) fn run(past: &Past, args: &DiffArgs) -> Result<Exit, Failure> {
    let text = text(past, args)?;
    if text.is_empty() {
        printer::err("note: nothing of that was changed\n");
    }
    printer::out(&text)?;
    Ok(Exit::Done)
}

/// The diff.
pub(super) fn text(past: &Past, args: &DiffArgs) -> Result<String, Failure> {
    let meant: Vec<&Change> = past
        .files()
        .changes
        .iter()
        .filter(|change| args.step.as_ref().is_none_or(|id| select::is_of(change, id)))
        .collect();
    if let (Some(id), true) = (&args.step, meant.is_empty()) {
        return Err(select::unknown_of(past.files(), id));
    }
    let only: Vec<PathBuf> =
        select::files(&past.state.root, &args.files)?.into_iter().map(PathBuf::from).collect();
    let mut memory = past.memory()?;
    let mut files: BTreeMap<PathBuf, (Option<Entry>, Option<Entry>)> = BTreeMap::new();
    for change in meant {
        let (before, after) = listing::pair(&mut memory, change)?;
        for file in memory.changes(&before, &after).map_err(|error| failure(&error))? {
            files.entry(file.path).or_insert((file.before, None)).1 = file.after;
        }
    }
    let mut text = String::new();
    for (path, (before, after)) in files {
        if before != after && (only.is_empty() || only.iter().any(|only| path.starts_with(only))) {
            text.push_str(&one(&mut memory, &path, before.as_ref(), after.as_ref())?);
        }
    }
    Ok(text)
}

/// One file.
fn one(
    memory: &mut Undo,
    path: &Path,
    before: Option<&Entry>,
    after: Option<&Entry>,
) -> Result<String, Failure> {
    let name = printer::plain(&path.to_string_lossy());
    let sides = [before, after];
    if sides.iter().flatten().all(|entry| matches!(entry, Entry::Folder { .. })) {
        return Ok(String::new());
    }
    let mut texts = Vec::with_capacity(2);
    for side in sides {
        texts.push(match side {
            None => Some(String::new()),
            Some(Entry::Link { target }) => Some(format!("-> {}\n", String::from_utf8_lossy(target))),
            Some(entry @ Entry::File { .. }) => {
                let bytes = memory.content(path, entry).map_err(|error| failure(&error))?;
                String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
            }
            Some(Entry::Folder { .. } | Entry::LeftOut { .. }) => None,
        });
    }
    let header = |entry: Option<&Entry>, side: &str| match entry {
        None => "/dev/null".to_owned(),
        Some(_) => format!("{side}/{name}"),
    };
    let (from, to) = (header(before, "a"), header(after, "b"));
    let [Some(old), Some(new)] = &texts[..] else {
        return Ok(format!("{from} and {to} differ, and are not both text\n"));
    };
    let diff = TextDiff::configure().timeout(TIME).diff_lines(old.as_str(), new.as_str());
    let mut text = diff.unified_diff().header(&from, &to).to_string();
    if let (Some(Entry::File { mode: old, .. }), Some(Entry::File { mode: new, .. })) = (before, after)
        && old != new
    {
        text = format!("mode of {name} {old:o} -> {new:o}\n{text}");
    }
    Ok(text)
}
