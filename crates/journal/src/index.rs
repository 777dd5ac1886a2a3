//! The index in SQLite: what is known of each session, and the words of its messages. A cache: every failure here
//! is answered by doing without it or by making it anew, never by an error to the user.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use codetether_event::{SessionId, UnixMillis};
use codetether_files::Lock;
use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior, params};
use uuid::Uuid;

use crate::catalogue::{Entry, Listed, Stamp};

/// Raised with every change of the tables or of what is put into them.
const VERSION: i64 = 1;

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
        cost_micros INTEGER NOT NULL
    );
    CREATE VIRTUAL TABLE messages USING fts5(text, tokenize = 'unicode61 remove_diacritics 2');
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
        // SQLite gives its other files the mode of this one.
        codetether_files::open_append(path, 0o600)?;
        let db = Connection::open(path)?;
        db.busy_timeout(BUSY)?;
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
            "SELECT id, size, modified, damaged, title, project, created, updated, turns, tokens, cost_micros
             FROM sessions",
        )?;
        let mut rows = query.query([])?;
        let mut all = HashMap::new();
        while let Some(row) = rows.next()? {
            let id = SessionId(Uuid::from_bytes(row.get(0)?));
            let stamp = Stamp { size: natural(row.get(1)?), modified: row.get(2)? };
            let listed = Listed {
                id,
                damaged: row.get(3)?,
                title: row.get(4)?,
                project: row.get(5)?,
                created: UnixMillis(natural(row.get(6)?)),
                updated: UnixMillis(natural(row.get(7)?)),
                turns: natural(row.get(8)?),
                tokens: natural(row.get(9)?),
                cost_micros: row.get(10)?,
            };
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
        for id in gone.iter().chain(fresh.iter().map(|(_, listed, _)| &listed.id)) {
            let number: Option<i64> = change
                .prepare_cached("DELETE FROM sessions WHERE id = ? RETURNING number")?
                .query_row([id.0.as_bytes()], |row| row.get(0))
                .optional()?;
            if let Some(number) = number {
                let first = number.saturating_mul(MESSAGES);
                change
                    .prepare_cached("DELETE FROM messages WHERE rowid BETWEEN ? AND ?")?
                    .execute([first, first.saturating_add(MESSAGES - 1)])?;
            }
        }
        for (stamp, listed, text) in fresh {
            let number: i64 = change
                .prepare_cached(
                    "INSERT INTO sessions (id, size, modified, damaged, title, project, created, updated, turns,
                     tokens, cost_micros) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING number",
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
                        listed.cost_micros,
                    ],
                    |row| row.get(0),
                )?;
            let mut insert = change.prepare_cached("INSERT INTO messages (rowid, text) VALUES (?, ?)")?;
            let mut room = TEXT_MAX;
            for (message, text) in (0..MESSAGES).zip(text) {
                let text = text.get(..text.floor_char_boundary(room)).unwrap_or_default();
                insert.execute(params![number.saturating_mul(MESSAGES).saturating_add(message), text])?;
                room -= text.len();
                if room == 0 {
                    break;
                }
            }
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

/// What is kept of a session whose records were read.
pub(crate) fn listed(id: SessionId, entry: Entry, damaged: Option<String>) -> (Listed, Vec<String>) {
    let Entry { title, project, created, updated, turns, tokens, cost_micros, text } = entry;
    (Listed { id, damaged, title, project, created, updated, turns, tokens, cost_micros }, text)
}

fn integer(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn natural(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}
