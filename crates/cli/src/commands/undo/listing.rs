//! `codetether changes`: the changes that stand, by step.

use codetether_session::Change;
use codetether_undo::{SnapshotId, Undo};
use serde_json::json;

use super::{Past, failure, select};
use crate::args::ChangesArgs;
use crate::exit::{Exit, Failure};
use crate::printer;

/// A file that a call changed.
struct Changed {
    path: String,
    what: &'static str,
}

pub(super) fn run(past: &Past, args: &ChangesArgs) -> Result<Exit, Failure> {
    let changes = &past.files().changes;
    let meant: Vec<&Change> = changes
        .iter()
        .filter(|change| args.step.as_ref().is_none_or(|id| select::is_of(change, id)))
        .collect();
    if let (Some(id), true) = (&args.step, meant.is_empty()) {
        return Err(select::unknown_of(past.files(), id));
    }
    let mut memory = past.memory()?;
    let mut text = String::new();
    for change in meant {
        let files = changed(&mut memory, change)?;
        if args.json {
            let files: Vec<_> =
                files.iter().map(|file| json!({"path": file.path, "change": file.what})).collect();
            let (step, call) = (change.call.seq.0.to_string(), change.call.to_string());
            let line = json!({"step": step, "call": call, "turn": change.turn, "files": files});
            text.push_str(&format!("{line}\n"));
            continue;
        }
        for file in files {
            let path = printer::plain(&file.path);
            text.push_str(&format!("{:<8} {:<8} {path}\n", change.call.to_string(), file.what));
        }
    }
    let undone = past.files().undone.len();
    if undone > 0 && !args.json {
        printer::err(&format!("note: {undone} undone; `codetether redo` does the last one again\n"));
    } else if changes.is_empty() && !args.json {
        printer::err("note: this session has changed no files\n");
    }
    printer::out(&text)?;
    Ok(Exit::Done)
}

fn changed(memory: &mut Undo, change: &Change) -> Result<Vec<Changed>, Failure> {
    let (before, after) = pair(memory, change)?;
    let files = memory.changes(&before, &after).map_err(|error| failure(&error))?;
    let changed = files.into_iter().map(|file| Changed {
        path: file.path.to_string_lossy().into_owned(),
        what: match (file.before, file.after) {
            (None, _) => "created",
            (_, None) => "removed",
            _ => "changed",
        },
    });
    Ok(changed.collect())
}

/// The snapshots before and after; the folder as it is now where the call had no end.
pub(super) fn pair(memory: &mut Undo, change: &Change) -> Result<(SnapshotId, SnapshotId), Failure> {
    let before = SnapshotId::parse(change.before.as_str());
    let after = match &change.after {
        Some(after) => SnapshotId::parse(after.as_str()),
        None => memory.snapshot(),
    };
    before.and_then(|before| Ok((before, after?))).map_err(|error| failure(&error))
}
