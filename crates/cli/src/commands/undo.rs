//! `codetether undo`, `redo`, `changes`, `diff`: what a session changed in its folder, and taking it back. The session
//! itself takes it back, so that its journal knows; here is only said what is meant, and shown what would come of it.

mod carry_out;
mod diff;
mod listing;
mod select;

use std::path::{Path, PathBuf};

use codetether_config::UndoLayer;
use codetether_event::{Event, OnConflict, Restore, SessionId, Which};
use codetether_journal::Layout;
use codetether_session::{Files, State};
use codetether_undo::{Change, Options, Plan, Reason, Undo};

use crate::args::{ChangesArgs, DiffArgs, RedoArgs, UndoArgs};
use crate::commands::session::lookup;
use crate::exit::{Exit, Failure};
use crate::{place, printer};

/// A session and its folder.
struct Past {
    layout: Layout,
    id: SessionId,
    state: State,
    /// Whether somebody else in this process has the session, so that it is only looked at.
    is_guest: bool,
}

impl Past {
    /// The session that was meant: this folder's last one where none was named.
    fn find(session: Option<&str>) -> Result<Self, Failure> {
        let layout = Layout::new(place::data_dir()?);
        let here = Path::new(".").canonicalize().unwrap_or_default();
        let id = lookup(&layout, session.unwrap_or("last"), &here)?;
        Self::read(&layout, id)
    }

    fn read(layout: &Layout, id: SessionId) -> Result<Self, Failure> {
        let mut state = State::default();
        let read = codetether_journal::read::<Event>(layout.journal(id))?;
        read.records.iter().for_each(|record| state.apply(record));
        Ok(Self { layout: layout.clone(), id, state, is_guest: false })
    }

    /// Who holds the snapshots.
    fn name(&self) -> String {
        if self.is_guest { format!("{}-look", self.id) } else { self.id.to_string() }
    }

    fn files(&self) -> &Files {
        &self.state.files
    }

    /// What is remembered of the folder. Nobody else may have the session open, but for who only looks.
    fn memory(&self) -> Result<Undo, Failure> {
        let memory = place::memory(&UndoLayer::default())?;
        let mut options = Options::new(memory.store, PathBuf::from(&self.state.root), self.name());
        options.excludes = memory.excludes;
        Undo::open(&options).map_err(|error| failure(&error))
    }
}

pub(crate) fn undo(args: &UndoArgs) -> Result<Exit, Failure> {
    let past = Past::find(args.session.as_deref())?;
    if args.abandon {
        return carry_out::abandon(&past);
    }
    let rewind = if args.conversation { Some(select::rewind(&past.state, args)?) } else { None };
    if let Some(to) = rewind.filter(|_| args.keep_files) {
        return carry_out::rewind(&past, to, args.how.dry_run);
    }
    let calls = select::calls(past.files(), args)?;
    select::tell_fewer(past.files(), args);
    let wish = Restore {
        what: Which::Undo { calls },
        files: select::files(&past.state.root, &args.files)?,
        conflicts: OnConflict::Keep,
        rewind,
    };
    carry_out::restore(&past, wish, args.how)
}

pub(crate) fn redo(args: &RedoArgs) -> Result<Exit, Failure> {
    let past = Past::find(args.session.as_deref())?;
    if past.files().undone.is_empty() {
        let help = "only what `codetether undo` took back last can be done again, until something else changes files";
        return Err(Failure::with_help(Exit::Usage, "nothing was taken back", help));
    }
    let wish = Restore { what: Which::Redo, files: Vec::new(), conflicts: OnConflict::Keep, rewind: None };
    carry_out::restore(&past, wish, args.how)
}

pub(crate) fn changes(args: &ChangesArgs) -> Result<Exit, Failure> {
    listing::run(&Past::find(args.session.as_deref())?, args)
}

pub(crate) fn diff(args: &DiffArgs) -> Result<Exit, Failure> {
    diff::run(&Past::find(args.session.as_deref())?, args)
}

/// The same two for a session that this process drives.
pub(crate) mod live {
    use codetether_event::{OnConflict, Op, Restore, SessionId, Which};
    use codetether_journal::Layout;

    use super::{Failure, Past, listing, select};
    use crate::args::{ChangesArgs, DiffArgs, UndoArgs};
    use crate::exit::Exit;
    use crate::printer;

    pub(crate) use super::carry_out::{Typed, carried_out};

    pub(crate) fn changes(layout: &Layout, id: SessionId) -> Result<(), Failure> {
        listing::run(&guest(layout, id)?, &ChangesArgs::default()).map(drop)
    }

    pub(crate) fn diff(layout: &Layout, id: SessionId) -> Result<(), Failure> {
        let text = super::diff::text(&guest(layout, id)?, &DiffArgs::default())?;
        if text.is_empty() {
            printer::err("note: this session has changed no files\n");
        }
        // What is in files must not move the terminal's cursor.
        printer::out(&printer::plain(&text))
    }

    /// The files that stand against taking back what these calls changed, since they are not as these left them.
    pub(crate) fn conflicts(
        layout: &Layout,
        id: SessionId,
        calls: &[codetether_event::ItemId],
    ) -> Result<Vec<String>, Failure> {
        let past = guest(layout, id)?;
        let pairs = past.files().pairs(&Which::Undo { calls: calls.to_vec() });
        let plan =
            codetether_agent::plan(&mut past.memory()?, &pairs, &[]).map_err(|e| super::failure(&e))?;
        Ok(plan.conflicts().iter().map(|conflict| conflict.path.display().to_string()).collect())
    }

    fn guest(layout: &Layout, id: SessionId) -> Result<Past, Failure> {
        Ok(Past { is_guest: true, ..Past::read(layout, id)? })
    }

    /// What takes back the last steps that changed files; the conversation, too, where that is wanted. What the user changed
    /// since stays.
    pub(crate) fn undo(
        layout: &Layout,
        id: SessionId,
        steps: usize,
        conversation: bool,
    ) -> Result<Op, Failure> {
        let args = UndoArgs { steps: Some(steps), conversation, ..UndoArgs::default() };
        let past = Past::read(layout, id)?;
        // Where nothing was changed, there may still have been words.
        if conversation && past.files().changes.is_empty() {
            let turns = UndoArgs { keep_files: true, ..args };
            return Ok(Op::Rewind { to: select::rewind(&past.state, &turns)? });
        }
        let rewind = if conversation { Some(select::rewind(&past.state, &args)?) } else { None };
        let calls = select::calls(past.files(), &args)?;
        select::tell_fewer(past.files(), &args);
        let what = Which::Undo { calls };
        Ok(Op::Restore(Restore { what, files: Vec::new(), conflicts: OnConflict::Keep, rewind }))
    }

    /// What does again what was taken back last.
    pub(crate) fn redo(layout: &Layout, id: SessionId) -> Result<Op, Failure> {
        if Past::read(layout, id)?.files().undone.is_empty() {
            return Err(Failure::new(Exit::Usage, "nothing was taken back"));
        }
        Ok(keeping(Which::Redo))
    }

    fn keeping(what: Which) -> Op {
        Op::Restore(Restore { what, files: Vec::new(), conflicts: OnConflict::Keep, rewind: None })
    }
}

/// What a plan would do, a line each.
fn planned(plan: &Plan) -> String {
    let mut text = String::new();
    for Change { path, before, after } in plan.changes() {
        let what = match (before, after) {
            (None, Some(_)) => "bring back",
            (Some(_), None) => "remove    ",
            _ => "put back  ",
        };
        text.push_str(&format!("{what}  {}\n", printer::plain(&path.display().to_string())));
    }
    for conflict in plan.conflicts() {
        let why = match conflict.reason {
            Reason::Changed => "you changed it since",
            Reason::InTheWay => "something of yours is in the way",
            Reason::NotKept => "what is there now is not kept, so it could not be had back",
            Reason::Lost => "what it was is lost",
        };
        text.push_str(&format!(
            "conflict    {}: {why}\n",
            printer::plain(&conflict.path.display().to_string())
        ));
    }
    for left in plan.not_kept() {
        let path = printer::plain(&left.path.display().to_string());
        text.push_str(&format!("not kept    {path}: {}\n", left.why));
    }
    if plan.head_moved().is_some() {
        text.push_str(
            "note: commits were made or HEAD moved since; that stays as it is, only files go back\n",
        );
    }
    text
}

fn failure(error: &codetether_undo::Error) -> Failure {
    Failure::new(Exit::Failed, error.to_string())
}
