//! The file: opened, made, and begun anew where it is damaged. Only damage counts as damage: a ledger that is in use,
//! full, not ours to write or newer than this build stays where it is.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use codetether_files::{Lock, LockError};
use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use crate::{Error, Rebuilt};

/// Raised with every change of the tables.
const VERSION: i64 = 1;

/// How long others may keep us waiting. Each holds the ledger for about a millisecond.
const BUSY: Duration = Duration::from_secs(5);

const TABLES: &str = "
    CREATE TABLE leases (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        session BLOB NOT NULL,
        root BLOB NOT NULL,
        item TEXT NOT NULL,
        project TEXT NOT NULL,
        model TEXT NOT NULL,
        pid INTEGER NOT NULL,
        process TEXT NOT NULL,
        upper INTEGER NOT NULL,
        created INTEGER NOT NULL,
        UNIQUE (session, item)
    ) STRICT;
    CREATE TABLE spent (
        session BLOB NOT NULL,
        item TEXT NOT NULL,
        root BLOB NOT NULL,
        at INTEGER NOT NULL,
        project TEXT NOT NULL,
        model TEXT NOT NULL,
        input INTEGER NOT NULL,
        output INTEGER NOT NULL,
        cache_read INTEGER NOT NULL,
        cache_write INTEGER NOT NULL,
        reasoning INTEGER NOT NULL,
        estimated INTEGER NOT NULL,
        cost INTEGER,
        price_version TEXT,
        lost INTEGER NOT NULL,
        PRIMARY KEY (session, item)
    ) STRICT;
    CREATE INDEX spent_root ON spent (root, at, cost);
    CREATE INDEX spent_at ON spent (at, cost);
";

/// Opens the file, or begins it anew.
pub(crate) fn connect(path: &Path) -> Result<(Connection, Option<Rebuilt>), Error> {
    match open(path) {
        Err(Error::Sqlite { cause, .. }) if is_damage(&cause) => mend(path),
        opened => opened.map(|db| (db, None)),
    }
}

/// Puts a damaged file aside and begins a new one, unless another process has done so in the meantime.
pub(crate) fn mend(path: &Path) -> Result<(Connection, Option<Rebuilt>), Error> {
    let _lock = lock(&path.with_extension("lock"))?;
    let checked = open(path).and_then(|db| {
        let is_sound = is_sound(&db).map_err(|cause| Error::sqlite(path, cause))?;
        Ok((db, is_sound))
    });
    match checked {
        Ok((db, true)) => return Ok((db, None)),
        Ok((_, false)) => {}
        Err(Error::Sqlite { cause, .. }) if is_damage(&cause) => {}
        Err(error) => return Err(error),
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let aside = path.with_extension(format!("damaged-{}.sqlite", now.as_millis()));
    codetether_files::rename(path, &aside)?;
    match codetether_files::rename(beside(path), beside(&aside)) {
        Err(error) if !error.is_not_found() => return Err(error.into()),
        _ => {}
    }
    Ok((open(path)?, Some(Rebuilt { aside })))
}

/// Whether what is in the file is not what SQLite wrote there.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// What tells one file from another that takes its place; `None` when there is none.
pub(crate) type FileId = Option<(u64, u64)>;

/// The file that is at `path` now. Not opened: closing it would end the locks that this process has on it.
pub(crate) fn file_id(path: &Path) -> FileId {
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Whether a write was refused because the open file is no longer the one at its path.
pub(crate) fn is_moved(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_READONLY_DBMOVED)
}

fn open(path: &Path) -> Result<Connection, Error> {
    make_file(path)?;
    let failed = |cause| Error::sqlite(path, cause);
    let mut db = Connection::open(path).map_err(failed)?;
    db.busy_timeout(BUSY).map_err(failed)?;
    // Two syncs would cost each request more than all else that is done for it. What is written survives the end of any
    // process; a loss of power can take the last rows, or damage the file, and the journals, which are synced, have it all.
    db.pragma_update(None, "synchronous", "OFF").map_err(failed)?;
    let mut found = version(&db).map_err(failed)?;
    if found == 0 {
        found = make_tables(&mut db).map_err(failed)?;
    }
    if found == VERSION { Ok(db) } else { Err(Error::Newer { path: path.to_owned(), found, known: VERSION }) }
}

fn version(db: &Connection) -> Result<i64, rusqlite::Error> {
    db.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Makes the tables, unless another process was faster; gives the version.
fn make_tables(db: &mut Connection) -> Result<i64, rusqlite::Error> {
    let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if version(&change)? == 0 {
        change.execute_batch(TABLES)?;
        change.pragma_update(None, "user_version", VERSION)?;
    }
    let version = version(&change)?;
    change.commit()?;
    Ok(version)
}

/// Makes an empty file, for its owner alone, where there is none: SQLite gives its other files the mode of this one.
/// Never opens one that is there, since closing it would end the locks that this process has on it.
fn make_file(path: &Path) -> Result<(), Error> {
    static MAKING: Mutex<()> = Mutex::new(());
    // Until it is closed again nobody here takes a lock on it.
    let _only = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(dir) = path.parent() {
        codetether_files::create_dir_private(dir)?;
    }
    match codetether_files::create_new(path, 0o600) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => Ok(made.map(drop)?),
    }
}

fn is_sound(db: &Connection) -> Result<bool, rusqlite::Error> {
    db.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0)).map(|word| word == "ok")
}

/// The lock of those who put a damaged file aside; waits for others who do.
fn lock(path: &Path) -> Result<Lock, LockError> {
    let asked = Instant::now();
    loop {
        match Lock::acquire(path, "rebuild the ledger") {
            Err(LockError::Held { .. }) if asked.elapsed() < BUSY => {
                std::thread::sleep(Duration::from_millis(5));
            }
            done => return done,
        }
    }
}

/// SQLite's journal of the transaction under way.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-journal");
    name.into()
}

pub(crate) fn integer(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

pub(crate) fn natural(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn only_damage_counts_as_damage() {
        let found = [
            ffi::SQLITE_CORRUPT,
            ffi::SQLITE_CORRUPT_INDEX,
            ffi::SQLITE_NOTADB,
            ffi::SQLITE_BUSY,
            ffi::SQLITE_LOCKED,
            ffi::SQLITE_FULL,
            ffi::SQLITE_IOERR,
            ffi::SQLITE_PERM,
            ffi::SQLITE_READONLY,
            ffi::SQLITE_CANTOPEN,
            ffi::SQLITE_NOMEM,
            ffi::SQLITE_ERROR,
        ]
        .map(|code| is_damage(&rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)));
        let (damage, other) = found.split_at(3);
        assert_eq!((damage, other), ([true; 3].as_slice(), [false; 9].as_slice()));
    }
}
