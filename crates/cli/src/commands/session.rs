//! `codetether session …`: looking at sessions, and tidying them up.

mod about;
mod compact;
mod export;
mod page;
mod show;
pub(crate) mod steps;
mod story;

use std::path::Path;

use codetether_event::{Event, OpId, SessionEvent, SessionId};
use codetether_journal::{Catalogue, Durable, Filter, Found, Journals, Layout, Listed};
use codetether_session::State;
use serde_json::json;

use crate::args::SessionCommand;
pub(crate) use crate::commands::session::about::About;
pub(crate) use crate::commands::session::compact::CompactArgs;
use crate::commands::version::BUILD;
use crate::exit::{Exit, Failure};
use crate::{place, printer};

pub(crate) fn run(command: SessionCommand) -> Result<Exit, Failure> {
    let layout = Layout::new(place::data_dir()?);
    let here = Path::new(".").canonicalize().unwrap_or_default();
    let find = |id: &str| lookup(&layout, id, &here);
    match command {
        SessionCommand::List { project, children, limit, json } => {
            list(&layout, project.as_deref(), children, limit, json)
        }
        SessionCommand::Show { id } => show::run(&layout, find(&id)?),
        SessionCommand::Export(args) => export::run(&layout, find(&args.id)?, &args),
        SessionCommand::Fork(args) => fork(&layout, find(&args.id)?, args.at.as_deref()),
        SessionCommand::Compact(args) => compact::run(*args),
        SessionCommand::Rename { id, title } => rename(layout.clone(), find(&id)?, title),
        SessionCommand::Delete { id, yes } => delete(&layout, find(&id)?, yes),
        SessionCommand::Search { words, limit, json } => search(&layout, &words.join(" "), limit, json),
        SessionCommand::Repair { id } => repair(&layout, find(&id)?),
    }
}

/// The one session whose id begins so; `last` is the last of this folder.
pub(crate) fn lookup(layout: &Layout, id: &str, here: &Path) -> Result<SessionId, Failure> {
    let listing = "`codetether session list` shows them";
    if id == "last" {
        let filter = Filter { project: Some(here.display().to_string()) };
        let last = Catalogue::<About>::new(layout.clone()).last(&filter)?;
        return last.map(|last| last.id).ok_or_else(|| {
            let message = format!("there is no session in `{}` yet", here.display());
            Failure::with_help(Exit::Usage, message, format!("{listing}, of all folders"))
        });
    }
    match layout.find(id)? {
        Found::One(id) => Ok(id),
        Found::None => Err(Failure::with_help(
            Exit::Usage,
            format!("there is no session whose id begins with `{id}`"),
            listing,
        )),
        Found::Several(ids) => {
            let message = format!("several sessions ({}) have ids that begin with `{id}`", ids.len());
            Err(Failure::with_help(Exit::Usage, message, format!("give more of the id; {listing}")))
        }
    }
}

fn list(
    layout: &Layout,
    project: Option<&Path>,
    children: bool,
    limit: usize,
    as_json: bool,
) -> Result<Exit, Failure> {
    let project = project
        .map(|dir| {
            let message =
                |error| Failure::new(Exit::Usage, format!("cannot find `{}`: {error}", dir.display()));
            dir.canonicalize().map(|dir| dir.display().to_string()).map_err(message)
        })
        .transpose()?;
    let catalogue = Catalogue::<About>::new(layout.clone());
    let mut asked = limit;
    // Children are left out, so that more have to be looked at for as many.
    let sessions = loop {
        let all = catalogue.list(&Filter { project: project.clone() }, asked)?;
        let is_all = all.len() < asked;
        let shown: Vec<Listed> = all
            .into_iter()
            .filter(|listed| children || !about::is_child(&listed.project))
            .take(limit)
            .collect();
        if is_all || shown.len() == limit {
            break shown;
        }
        asked = asked.saturating_mul(2).max(16);
    };
    let mut text = String::new();
    for session in &sessions {
        text.push_str(&if as_json { format!("{}\n", as_object(session)) } else { line(session) });
    }
    if text.is_empty() && !as_json {
        printer::err("note: there is no session yet\n");
    }
    printer::out(&text)?;
    Ok(Exit::Done)
}

fn search(layout: &Layout, words: &str, limit: usize, as_json: bool) -> Result<Exit, Failure> {
    if words.trim().is_empty() {
        return Err(Failure::new(Exit::Usage, "there is nothing to search for: name at least one word"));
    }
    let mut text = String::new();
    for hit in Catalogue::<About>::new(layout.clone()).search(words, limit)? {
        if as_json {
            let mut object = as_object(&hit.session);
            object["snippet"] = json!(hit.snippet);
            text.push_str(&format!("{object}\n"));
        } else {
            text.push_str(&line(&hit.session));
            text.push_str(&format!("    {}\n", printer::plain(&hit.snippet).replace('\n', " ")));
        }
    }
    printer::out(&text)?;
    Ok(Exit::Done)
}

fn as_object(session: &Listed) -> serde_json::Value {
    json!({
        "id": session.id,
        "title": session.title,
        "project": session.project,
        "created": session.created,
        "updated": session.updated,
        "turns": session.turns,
        "tokens": session.tokens,
        "damaged": session.damaged,
    })
}

fn line(session: &Listed) -> String {
    let title = printer::plain(&session.title).replace('\n', " ");
    let damaged =
        session.damaged.as_ref().map(|why| format!("  ! {}", printer::plain(why))).unwrap_or_default();
    let project = printer::plain(&session.project);
    let time = time(session.updated);
    let turns = if session.turns == 1 { "1 turn".to_owned() } else { format!("{} turns", session.turns) };
    format!("{}  {time}  {title}  ({project}, {turns}){damaged}\n", session.id)
}

/// The local time, to the minute.
pub(crate) fn time(at: codetether_event::UnixMillis) -> String {
    let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).map_or_else(
        |_| "?".into(),
        |at| at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string(),
    )
}

/// Makes a session of the past of another, and prints its id.
fn fork(layout: &Layout, id: SessionId, at: Option<&str>) -> Result<Exit, Failure> {
    let records = codetether_journal::read::<Event>(layout.journal(id))?.records;
    let at = at.map(|step| steps::end(id, &records, step)).transpose()?;
    let fork = codetether_agent::fork(layout, BUILD, id, at)?;
    printer::out(&format!("{fork}\n"))?;
    Ok(Exit::Done)
}

fn rename(layout: Layout, id: SessionId, title: String) -> Result<Exit, Failure> {
    if title.trim().is_empty() {
        return Err(Failure::new(Exit::Usage, "the title is empty"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot start the runtime: {error}")))?;
    let journals = Journals::start()?;
    let mut opened = journals.open::<Event>(&layout, id, BUILD)?;
    let mut state = State::default();
    opened.records.iter().for_each(|record| state.apply(record));
    if state.read_only {
        return Err(Failure::new(Exit::Failed, codetether_session::Refused::ReadOnly.to_string()));
    }
    let record = codetether_event::Record {
        seq: state.next,
        attempt: state.attempt,
        at: codetether_agent::now(),
        turn: state.turn.as_ref().map(|turn| turn.id),
        cause: codetether_event::Cause::Op(OpId(uuid::Uuid::now_v7())),
        event: Event::Session(SessionEvent::Renamed { title }),
    };
    runtime.block_on(opened.handle.append(&[record], Durable::Synced))?;
    Ok(Exit::Done)
}

fn delete(layout: &Layout, id: SessionId, yes: bool) -> Result<Exit, Failure> {
    if !yes {
        let message = format!("session {id} would be deleted for good");
        return Err(Failure::with_help(Exit::Usage, message, "say so with `--yes`"));
    }
    codetether_journal::delete(layout, id)?;
    Ok(Exit::Done)
}

fn repair(layout: &Layout, id: SessionId) -> Result<Exit, Failure> {
    let repaired = codetether_journal::repair::<Event>(layout, id)?;
    let text = match repaired.copy {
        None => format!("the journal is sound: {}\n", printer::count(repaired.records, "record")),
        Some(copy) => format!(
            "kept {}, dropped {}; the journal as it was is {}\n",
            printer::count(repaired.records, "record"),
            printer::count(repaired.dropped, "line"),
            copy.display()
        ),
    };
    printer::out(&text)?;
    Ok(Exit::Done)
}
