//! Which changes are meant.

use std::path::{Component, Path, PathBuf};

use codetether_event::{ItemId, Seq};
use codetether_session::{Change, Files, Refused, State};

use crate::args::UndoArgs;
use crate::exit::{Exit, Failure};
use crate::printer;

const LISTING: &str = "`codetether changes` shows them";
/// Steps that are named, the last ones.
const LATEST: usize = 6;

/// The calls whose changes are to be taken back.
pub(super) fn calls(files: &Files, args: &UndoArgs) -> Result<Vec<ItemId>, Failure> {
    if files.changes.is_empty() {
        let help =
            "changes of files are remembered while `undo.enabled` is set; those of other programs are not";
        return Err(Failure::with_help(
            Exit::Usage,
            "this session has changed no files, or all was taken back",
            help,
        ));
    }
    let steps = steps(files);
    let meant: Vec<&Change> = if args.all {
        files.changes.iter().collect()
    } else if let Some(id) = &args.step {
        let found: Vec<&Change> = files.changes.iter().filter(|change| is_of(change, id)).collect();
        if found.is_empty() {
            return Err(unknown_of(files, id));
        }
        found
    } else if let Some(id) = &args.to {
        let last = files
            .changes
            .iter()
            .rposition(|change| is_of(change, id))
            .ok_or_else(|| unknown_of(files, id))?;
        files.changes.iter().skip(last + 1).collect()
    } else {
        let from = steps.len().saturating_sub(args.steps.unwrap_or(1));
        let meant = steps.get(from..).unwrap_or_default();
        files.changes.iter().filter(|change| meant.contains(&change.call.seq)).collect()
    };
    if meant.is_empty() {
        return Err(Failure::with_help(Exit::Usage, "nothing has changed files since that step", LISTING));
    }
    Ok(meant.into_iter().map(|change| change.call).collect())
}

/// Says so where fewer steps changed files than are to be taken back.
pub(super) fn tell_fewer(files: &Files, args: &UndoArgs) {
    let there = steps(files).len();
    if args.steps.is_some_and(|wanted| wanted > there) && !args.keep_files {
        printer::err(&format!("note: no more than {} changed files\n", printer::count(there, "step")));
    }
}

/// The steps that changed files, by the record of the answer that made their calls, in order.
fn steps(files: &Files) -> Vec<Seq> {
    let mut steps: Vec<Seq> = files.changes.iter().map(|change| change.call.seq).collect();
    steps.dedup();
    steps
}

/// Whether this is the id of the change's step, or of its very call.
pub(super) fn is_of(change: &Change, id: &str) -> bool {
    change.call.to_string() == id || change.call.seq.0.to_string() == id
}

/// Says that no change is of this step, and which steps have some.
pub(super) fn unknown_of(files: &Files, id: &str) -> Failure {
    let steps = steps(files);
    let from = steps.len().saturating_sub(LATEST);
    let latest: Vec<String> =
        steps.get(from..).unwrap_or_default().iter().map(|step| format!("`{step}`")).collect();
    let there = match latest.is_empty() {
        true => "none has, or all was taken back".to_owned(),
        false => format!("those that have: {}{}", if from > 0 { "… " } else { "" }, latest.join(", ")),
    };
    Failure::with_help(Exit::Usage, format!("no step `{id}` has changed files; {there}"), LISTING)
}

/// The record to which the conversation goes back: where the earliest step that is meant began; without the files, where
/// the last turns did.
pub(super) fn rewind(state: &State, args: &UndoArgs) -> Result<Seq, Failure> {
    let nowhere = || match state.context.has_lost_any() {
        true => Failure::new(Exit::Usage, Refused::TooFarBack.to_string()),
        false => Failure::new(Exit::Usage, "the conversation has no such step or turn"),
    };
    if args.keep_files {
        let turns = state.context.turns();
        let from = if args.all { 0 } else { turns.len().saturating_sub(args.steps.unwrap_or(1)) };
        return turns.get(from).copied().ok_or_else(nowhere);
    }
    let first = calls(&state.files, args)?.into_iter().min().ok_or_else(nowhere)?;
    state.context.began_before(first.seq).ok_or_else(nowhere)
}

/// Paths relative to the session's folder.
pub(super) fn files(root: &str, files: &[PathBuf]) -> Result<Vec<String>, Failure> {
    let here = std::env::current_dir().unwrap_or_default();
    files.iter().map(|path| relative(Path::new(root), &here, path)).collect()
}

fn relative(root: &Path, here: &Path, path: &Path) -> Result<String, Failure> {
    let mut whole = PathBuf::new();
    for part in here.join(path).components() {
        match part {
            Component::ParentDir => {
                whole.pop();
            }
            Component::CurDir => {}
            part => whole.push(part),
        }
    }
    let inside = whole.strip_prefix(root).map_err(|_| {
        let message = format!("`{}` is not in the session's folder `{}`", path.display(), root.display());
        Failure::new(Exit::Usage, message)
    })?;
    Ok(inside.to_string_lossy().into_owned())
}
