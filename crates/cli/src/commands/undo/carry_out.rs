//! Asks, then lets the session do it.

use std::io::{BufRead as _, IsTerminal as _, Read as _};
use std::sync::Arc;

use codetether_agent::{Cursor, Frame, Hosted, Opening, Parts, Purse, SubmitError};
use codetether_builtin::{Builtin, Shell};
use codetether_config::UndoLayer;
use codetether_event::{
    ContextEvent, Event, FilesEvent, ItemEvent, OnConflict, Op, Principal, Restore, Seq, Which,
};
use codetether_journal::Journals;
use codetether_tool::Limits;
use codetether_undo::{Choice, Plan, Undo};

use super::{Past, failure, planned};
use crate::args::{Conflicts, How};
use crate::commands::version::BUILD;
use crate::exit::{Exit, Failure};
use crate::{keys, place, printer};

/// Bytes of an answer that are read.
const ANSWER: u64 = 64;
/// Files that are listed.
const LISTED: usize = 20;

pub(super) fn restore(past: &Past, mut wish: Restore, how: How) -> Result<Exit, Failure> {
    let pairs = past.files().pairs(&wish.what);
    let mut memory = past.memory()?;
    finish(&mut memory, how)?;
    let mut plan =
        codetether_agent::plan(&mut memory, &pairs, &wish.files).map_err(|error| failure(&error))?;
    // The session itself opens it next.
    drop(memory);
    if plan.is_empty() {
        let text = planned(&plan);
        printer::err(&format!("{text}note: the files are as they would be after it\n"));
        if wish.rewind.is_none() || how.dry_run {
            return Ok(Exit::Done);
        }
    }
    printer::out(&planned(&plan))?;
    if how.dry_run {
        return Ok(Exit::Done);
    }
    wish.conflicts = conflicts(&mut plan, how)?;
    if !how.yes && !confirmed()? {
        return Err(Failure::new(Exit::Failed, "nothing was changed"));
    }
    done(past, Op::Restore(wish))
}

/// Does the rest of an undo that was interrupted: nothing else can be planned before.
fn finish(memory: &mut Undo, how: How) -> Result<(), Failure> {
    if !memory.is_unfinished().map_err(|error| failure(&error))? {
        return Ok(());
    }
    if how.dry_run {
        let help = "leave `--dry-run` out to finish it, or give it up with `codetether undo --abandon`";
        return Err(Failure::with_help(Exit::Failed, "an undo was interrupted, and comes first", help));
    }
    match memory.finish() {
        Ok(_) => {
            printer::err("note: an undo that was interrupted was finished first\n");
            Ok(())
        }
        Err(error) => Err(Failure::with_help(
            Exit::Failed,
            format!("an undo was interrupted, and cannot be finished: {error}"),
            "mend that and try again, or give it up with `codetether undo --abandon`: what was done of it stays",
        )),
    }
}

pub(super) fn abandon(past: &Past) -> Result<Exit, Failure> {
    let mut memory = past.memory()?;
    let is_unfinished = memory.is_unfinished().map_err(|error| failure(&error))?;
    if is_unfinished && past.files().wanted.is_some() {
        // The session wants it still: it tries once more, and lets it go where it fails.
        drop(memory);
        let runtime = runtime()?;
        runtime.block_on(async {
            opening(past)?.resume(past.id, None, false).await?.close().await.map_err(Failure::from)
        })?;
        memory = past.memory()?;
    }
    let Some(given_up) = memory.abandon().map_err(|error| failure(&error))? else {
        let done =
            if is_unfinished { "it could be finished after all\n" } else { "no undo was interrupted\n" };
        printer::err(done);
        return Ok(Exit::Done);
    };
    for path in &given_up.left {
        printer::out(&format!("left as it is  {}\n", printer::plain(&path.display().to_string())))?;
    }
    printer::err(&format!("given up; left as it is: {}\n", printer::count(given_up.left.len(), "file")));
    Ok(Exit::Done)
}

pub(super) fn rewind(past: &Past, to: Seq, dry_run: bool) -> Result<Exit, Failure> {
    if dry_run {
        printer::out(&format!("the conversation would go back to before record {to}\n"))?;
        return Ok(Exit::Done);
    }
    done(past, Op::Rewind { to })
}

/// What becomes of files that the user has changed since.
fn conflicts(plan: &mut Plan, how: How) -> Result<OnConflict, Failure> {
    let conflicts = plan.conflicts();
    let chosen = match how.conflicts {
        Some(Conflicts::Keep) => OnConflict::Keep,
        Some(Conflicts::Overwrite) => OnConflict::Overwrite,
        Some(Conflicts::Both) => OnConflict::Both,
        None if conflicts.is_empty() => OnConflict::Keep,
        None if !attended() => {
            return Err(Failure::with_help(
                Exit::Failed,
                format!(
                    "you changed {} since, so nothing was taken back",
                    printer::count(conflicts.len(), "file")
                ),
                "say what becomes of them: `--conflicts keep` leaves them as they are, `overwrite` puts them back too \
                 (`codetether redo` has yours again), `both` puts them back and keeps yours beside them",
            ));
        }
        None => {
            match answer("files that you changed: [k]eep yours, [o]verwrite, keep [b]oth, or [c]ancel? ")?
                .as_str()
            {
                "k" | "keep" => OnConflict::Keep,
                "o" | "overwrite" => OnConflict::Overwrite,
                "b" | "both" => OnConflict::Both,
                _ => return Err(Failure::new(Exit::Failed, "nothing was changed")),
            }
        }
    };
    let choice = match chosen {
        OnConflict::Keep => return Ok(chosen),
        OnConflict::Overwrite => Choice::Take,
        OnConflict::Both => Choice::Both,
    };
    for conflict in conflicts {
        if !plan.decide(&conflict.path, choice) {
            let path = printer::plain(&conflict.path.display().to_string());
            printer::err(&format!("note: {path} stays as it is; there is no other way\n"));
        }
    }
    Ok(chosen)
}

fn attended() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

fn confirmed() -> Result<bool, Failure> {
    if !attended() {
        let help = "look with `--dry-run`, then say so with `--yes`";
        return Err(Failure::with_help(Exit::Usage, "nobody is here to confirm it", help));
    }
    Ok(matches!(answer("do that? [y/N] ")?.as_str(), "y" | "yes"))
}

fn answer(question: &str) -> Result<String, Failure> {
    printer::err(question);
    let mut line = String::new();
    let read = std::io::stdin().lock().take(ANSWER).read_line(&mut line);
    read.map_err(|error| Failure::new(Exit::Failed, format!("cannot read the answer: {error}")))?;
    Ok(line.trim().to_lowercase())
}

/// Opens the session, asks it, and says what came of it.
fn done(past: &Past, op: Op) -> Result<Exit, Failure> {
    let (runtime, opening) = (runtime()?, opening(past)?);
    runtime.block_on(async {
        let hosted = opening.resume(past.id, None, false).await?;
        let outcome = carried_out(&hosted, hosted.opened_after(), op, Typed::InShell).await;
        hosted.close().await?;
        outcome
    })
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot start the runtime: {error}")))
}

/// Takes the session up with nothing but its files.
fn opening(past: &Past) -> Result<Opening, Failure> {
    let parts = Parts {
        tools: Arc::new(Builtin::new(Shell::Bare)),
        providers: Arc::new(|model| Err(format!("`{model}` is not asked here"))),
        purse: Purse::new(Arc::new(|_| None), place::ledger()?),
        environment: Arc::default(),
        limits: Limits::default(),
        tool_room: usize::MAX,
        redactor: keys::redactor(),
        home: std::env::home_dir(),
        instructions: None,
        confine: None,
        audit: None,
        memory: Some(place::memory(&UndoLayer::default())?),
        hooks: Arc::default(),
        rule_file: None,
        children: None,
    };
    Ok(Opening {
        layout: past.layout.clone(),
        journals: Journals::start()?,
        parts,
        audience: None,
        build: BUILD.into(),
    })
}

/// Where it was typed: how what turns it round is typed there, and whether the files were shown before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Typed {
    InShell,
    InChat,
}

/// Asks the session, and says what came of it after this record.
pub(crate) async fn carried_out(hosted: &Hosted, after: Seq, op: Op, typed: Typed) -> Result<Exit, Failure> {
    let cursor = Cursor { after, open: Vec::new() };
    let opposite = match &op {
        Op::Restore(Restore { what: Which::Redo, .. }) => "undo",
        _ => "redo",
    };
    let mut subscription = hosted.subscribe(cursor);
    match hosted.submit(Principal::Local, op).await {
        Ok(_) => {}
        Err(SubmitError::Refused(refused)) => return Err(Failure::new(Exit::Failed, refused.to_string())),
        Err(SubmitError::Ended) => return Err(Failure::new(Exit::Failed, "the session ended early")),
    }
    while let Some(frame) = subscription.next().await? {
        let Frame::Record(record) = frame else { continue };
        match &record.event {
            Event::Files(FilesEvent::Restored { changed, kept, .. }) => {
                let listed = if typed == Typed::InChat { listed(changed, kept) } else { String::new() };
                let kept = match kept.len() {
                    0 => String::new(),
                    n => format!(
                        "; {} left, since you changed {}",
                        printer::count(n, "file"),
                        if n == 1 { "it" } else { "them" }
                    ),
                };
                let call = if typed == Typed::InChat { "/" } else { "codetether " };
                printer::err(&format!(
                    "{listed}{} changed{kept}; `{call}{opposite}` turns it round\n",
                    printer::count(changed.len(), "file")
                ));
                return Ok(Exit::Done);
            }
            Event::Context(ContextEvent::Rewound { to }) => {
                printer::err(&format!("the conversation is as it was before record {to}\n"));
                return Ok(Exit::Done);
            }
            Event::Item(ItemEvent::Failed { error, .. }) => {
                return Err(Failure::new(Exit::Failed, error.clone()));
            }
            _ => {}
        }
    }
    Err(Failure::new(Exit::Failed, "the session ended early"))
}

/// The files, a line each.
fn listed(changed: &[String], kept: &[String]) -> String {
    let lines = changed.iter().map(|path| ("changed", path)).chain(kept.iter().map(|path| ("left", path)));
    let mut text: String = lines
        .clone()
        .take(LISTED)
        .map(|(what, path)| format!("  {what:<7}  {}\n", printer::plain(path).replace('\n', " ")))
        .collect();
    let more = lines.count().saturating_sub(LISTED);
    if more > 0 {
        text.push_str(&format!("  … and {more} more\n"));
    }
    text
}
