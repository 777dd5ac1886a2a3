//! The index in SQLite: what is known of each session, and the words of its messages. A cache: every failure here
//! is answered by doing without it or by making it anew, never by an error to the user.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use codetether_event::{SessionId, UnixMillis};
use codetether_files::Lock;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, params};
use uuid::Uuid;

use crate::catalogue::{Entry, Listed, Stamp};

/// Raised with every change of the tables or of what is put into them.
const VERSION: i64 = 2;

/// How long another process may keep the index from us before we do without.
const BUSY: Duration = Duration::from_millis(250);

/// Messages of one session that are indexed apart; their rows are numbered within this span.
const MESSAGES: i64 = 1 << 16;

/// Bytes of one session's text that are indexed.
const TEXT_MAX: usize = 1 << 20;

const TABLES: &str = "
    CREATE TABLE sessions (
        number INTEGER PRIMARY KEY,
        id BLOB NOT NULL UNIQUE,
        size INTEGER NOT NULL,
        modified INTEGER NOT NULL,
        damaged TEXT,
        title TEXT NOT NULL,
        project TEXT NOT NULL,
        created INTEGER NOT NULL,
        updated INTEGER NOT NULL,
        turns INTEGER NOT NULL,
        tokens INTEGER NOT NULL,
        cost_microdollars INTEGER NOT NULL
    );
    CREATE VIRTUAL TABLE messages USING fts5(text, tokenize = 'unicode61 remove_diacritics 2');
    INSERT INTO messages (messages, rank) VALUES ('secure-delete', 1);
";

/// An open index.
pub(crate) struct Index {
    db: Connection,
}

/// What the index knows, and of which state of each journal.
pub(crate) type Known = HashMap<SessionId, (Stamp, Listed)>;

/// What became of an attempt to use the index.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// It cannot be made sense of: to be made anew.
    Spoilt,
    /// Not now: someone else has it, there is no room, it may not be written.
    Unavailable,
}

impl From<rusqlite::Error> for Unusable {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::ReadOnly
                | ErrorCode::CannotOpen
                | ErrorCode::DiskFull
                | ErrorCode::PermissionDenied
                | ErrorCode::SystemIoFailure
                | ErrorCode::OutOfMemory,
            ) => Self::Unavailable,
            // Also tables that are missing and columns of the wrong type.
            _ => Self::Spoilt,
        }
    }
}

impl From<codetether_files::Error> for Unusable {
    fn from(_: codetether_files::Error) -> Self {
        Self::Unavailable
    }
}

impl Index {
    /// Opens the index, and makes its tables in an empty file.
    pub(crate) fn open(path: &Path) -> Result<Self, Unusable> {
        Self::make_file(path)?;
        let db = Connection::open(path)?;
        db.busy_timeout(BUSY)?;
        // What is deleted is overwritten.
        db.pragma_update(None, "secure_delete", true)?;
        let version = |db: &Connection| db.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0));
        if version(&db)? == 0 {
            let mut db = db;
            let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            // Another process may have been faster.
            if version(&change)? == 0 {
                change.execute_batch(TABLES)?;
                change.pragma_update(None, "user_version", VERSION)?;
            }
            change.commit()?;
            return Self { db }.of_this_version();
        }
        Self { db }.of_this_version()
    }

    /// Makes an empty file, for its owner alone, where there is none: SQLite gives its other files the mode of this
    /// one. Never opens one that is there, since closing it would end the locks that this process has on it.
    fn make_file(path: &Path) -> Result<(), Unusable> {
        static MAKING: Mutex<()> = Mutex::new(());
        // Until it is closed again nobody here takes a lock on it.
        let _only = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        match codetether_files::create_new(path, 0o600) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            made => Ok(made.map(drop)?),
        }
    }

    /// Removes what is known of a session. When that cannot be done the whole index goes: it can be made anew.
    ///
    /// # Errors
    /// When the index cannot be removed either.
    pub(crate) fn forget(path: &Path, id: SessionId) -> Result<(), codetether_files::Error> {
        if !path.exists() {
            return Ok(());
        }
        let forgotten = Self::open(path).and_then(|mut index| index.update(&[], &[id]));
        forgotten.or_else(|_| Self::remove(path)).map_err(|_| {
            let cause = std::io::Error::other("it is in use");
            codetether_files::Error::new("remove the session's words from", path, cause)
        })
    }

    fn of_this_version(self) -> Result<Self, Unusable> {
        let version: i64 = self.db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version == VERSION { Ok(self) } else { Err(Unusable::Spoilt) }
    }

    /// Removes the index, so that the next [`open`](Self::open) makes it anew.
    pub(crate) fn remove(path: &Path) -> Result<(), Unusable> {
        let _lock =
            Lock::acquire(path.with_extension("lock"), "rebuild").map_err(|_| Unusable::Unavailable)?;
        for suffix in ["", "-journal", "-wal", "-shm"] {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            match codetether_files::remove_file(Path::new(&name)) {
                Err(error) if !error.is_not_found() => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Opens the index and reads all that it knows.
    pub(crate) fn load(path: &Path) -> Result<(Self, Known), Unusable> {
        let index = Self::open(path)?;
        let known = index.all()?;
        Ok((index, known))
    }

    fn all(&self) -> Result<Known, Unusable> {
        let mut query = self.db.prepare(
            "SELECT id, size, modified, damaged, title, project, created, updated, turns, tokens, cost_microdollars
             FROM sessions",
        )?;
        let mut rows = query.query([])?;
        let mut all = HashMap::new();
        while let Some(row) = rows.next()? {
            let id = SessionId(Uuid::from_bytes(row.get(0)?));
            let stamp = Stamp { size: natural(row.get(1)?), modified: row.get(2)? };
            let entry = Entry {
                title: row.get(4)?,
                project: row.get(5)?,
                created: UnixMillis(natural(row.get(6)?)),
                updated: UnixMillis(natural(row.get(7)?)),
                turns: natural(row.get(8)?),
                tokens: natural(row.get(9)?),
                cost_microdollars: row.get(10)?,
                text: Vec::new(),
            };
            let listed = Listed { id, damaged: row.get(3)?, entry };
            all.insert(id, (stamp, listed));
        }
        Ok(all)
    }

    /// Replaces what is known of some sessions, and forgets others.
    pub(crate) fn update(
        &mut self,
        fresh: &[(Stamp, Listed, Vec<String>)],
        gone: &[SessionId],
    ) -> Result<(), Unusable> {
        if fresh.is_empty() && gone.is_empty() {
            return Ok(());
        }
        let change = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for id in gone {
            let number: Option<i64> = change
                .prepare_cached("DELETE FROM sessions WHERE id = ? RETURNING number")?
                .query_row([id.0.as_bytes()], |row| row.get(0))
                .optional()?;
            if let Some(number) = number {
                replace_messages(&change, number, &[])?;
            }
        }
        for (stamp, listed, text) in fresh {
            let number: i64 = change
                .prepare_cached(
                    "INSERT OR REPLACE INTO sessions (number, id, size, modified, damaged, title, project, created,
                     updated, turns, tokens, cost_microdollars) VALUES ((SELECT number FROM sessions WHERE id = ?1),
                     ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) RETURNING number",
                )?
                .query_row(
                    params![
                        listed.id.0.as_bytes(),
                        integer(stamp.size),
                        stamp.modified,
                        listed.damaged,
                        listed.title,
                        listed.project,
                        integer(listed.created.0),
                        integer(listed.updated.0),
                        integer(listed.turns),
                        integer(listed.tokens),
                        listed.cost_microdollars,
                    ],
                    |row| row.get(0),
                )?;
            replace_messages(&change, number, text)?;
        }
        Ok(change.commit()?)
    }

    /// The sessions whose messages hold all the words, best first, with what stands around the first of them.
    pub(crate) fn search(&self, words: &[&str], limit: usize) -> Result<Vec<(SessionId, String)>, Unusable> {
        let mut query = self.db.prepare(
            "SELECT sessions.id, snippet(messages, 0, '', '', '…', 16)
             FROM messages JOIN sessions ON sessions.number = messages.rowid / ?2
             WHERE messages MATCH ?1 ORDER BY messages.rank",
        )?;
        // Each word as a string of its own, so that nothing in it is an operator; the last may go on.
        let quoted: Vec<_> = words.iter().map(|word| format!("\"{}\"", word.replace('"', "\"\""))).collect();
        let mut rows = query.query(params![format!("{} *", quoted.join(" ")), MESSAGES])?;
        let mut found: Vec<(SessionId, String)> = Vec::new();
        while let Some(row) = rows.next()? {
            let id = SessionId(Uuid::from_bytes(row.get(0)?));
            if found.iter().all(|(other, _)| *other != id) {
                found.push((id, row.get(1)?));
            }
            if found.len() >= limit {
                break;
            }
        }
        Ok(found)
    }
}

/// Makes these the messages of a session. Those that are there already are left alone: sessions grow at their end,
/// and to overwrite a word takes much longer than to read it.
fn replace_messages(change: &Transaction<'_>, number: i64, text: &[String]) -> Result<(), Unusable> {
    let mut room = TEXT_MAX;
    let wanted: Vec<_> = (0..MESSAGES)
        .zip(text)
        .map_while(|(message, text)| {
            let text = text.get(..text.floor_char_boundary(room)).unwrap_or_default();
            let is_room = room > 0;
            room -= text.len();
            is_room.then_some((message, text))
        })
        .collect();
    let first = number.saturating_mul(MESSAGES);
    let last = first.saturating_add(MESSAGES - 1);
    let mut kept = 0_usize;
    {
        let mut query = change
            .prepare_cached("SELECT rowid, text FROM messages WHERE rowid BETWEEN ? AND ? ORDER BY rowid")?;
        let mut rows = query.query([first, last])?;
        let mut wanted = wanted.iter();
        while let (Some((message, text)), Some(row)) = (wanted.next(), rows.next()?) {
            let is_there = row.get::<_, i64>(0)? == first.saturating_add(*message)
                && row.get_ref(1)?.as_bytes().is_ok_and(|there| there == text.as_bytes());
            if !is_there {
                break;
            }
            kept += 1;
        }
    }
    let from = first.saturating_add(integer(kept as u64));
    change.prepare_cached("DELETE FROM messages WHERE rowid BETWEEN ? AND ?")?.execute([from, last])?;
    let mut insert = change.prepare_cached("INSERT INTO messages (rowid, text) VALUES (?, ?)")?;
    for (message, text) in wanted.iter().skip(kept) {
        insert.execute(params![first.saturating_add(*message), text])?;
    }
    Ok(())
}

/// What is kept of a session whose records were read.
pub(crate) fn listed(id: SessionId, mut entry: Entry, damaged: Option<String>) -> (Listed, Vec<String>) {
    let text = std::mem::take(&mut entry.text);
    (Listed { id, damaged, entry }, text)
}

fn integer(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn natural(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}
