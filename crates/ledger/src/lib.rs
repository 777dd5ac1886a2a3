//! What was spent, and what is about to be: one database of a user's, shared by every session and process, so that
//! what they may spend together is never exceeded. Never guesses a price, and never decides what a limit is.
//!
//! All calls block, for well under a millisecond when nobody else is writing and a few seconds at most when others are;
//! none of them is async. Journals remain the truth: the ledger can be deleted, and [`Ledger::rebuild`] fills it again.

mod error;
mod process;
mod report;
mod store;

use std::fmt;
use std::path::{Path, PathBuf};

use codetether_event::{ItemId, ModelId, Money, SessionId, UnixMillis, Usage};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

pub use error::{Error, Rebuilt, Refused, ReserveError};
pub use report::{By, Row};

use crate::process::Process;
use crate::store::{integer, natural};

/// An open ledger. Several, in this process or in others, may be open on one file.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    db: Connection,
    /// The file that is open; another process may have put it aside.
    file: store::FileId,
    rebuilt: Option<Rebuilt>,
}

/// What a limit is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One run: the session with this id, and the sessions below it, which name it as their root; what they spent from
    /// this moment on.
    Run {
        /// The session.
        root: SessionId,
        /// When the run began.
        since: UnixMillis,
    },
    /// One session alone, from its beginning on.
    Session(SessionId),
    /// All that the user spent from this moment on.
    Since(UnixMillis),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run { .. } => f.write_str("this run"),
            Self::Session(_) => f.write_str("this session"),
            Self::Since(_) => f.write_str("this time"),
        }
    }
}

/// The most that may be spent in a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// What is counted.
    pub scope: Scope,
    /// The most.
    pub max: Money,
}

/// A request that is about to be sent.
#[derive(Debug, Clone)]
pub struct Reservation<'a> {
    /// Now.
    pub at: UnixMillis,
    /// The session that asks.
    pub session: SessionId,
    /// The session of the run that this one belongs to; the session itself where it has no parent.
    pub root: SessionId,
    /// The sample. A retry is another item, with a reservation of its own.
    pub item: ItemId,
    /// The folder that is worked in.
    pub project: &'a str,
    /// The model that is asked.
    pub model: &'a ModelId,
    /// The most that the request can cost; less than nothing counts as nothing.
    pub upper: Money,
    /// What must hold with it; all of these.
    pub limits: &'a [Limit],
}

/// Money that is set aside for one request. It stays so until it is given to [`Ledger::settle`] or
/// [`Ledger::release`], or this process ends.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "money stays set aside until the lease is settled or released"]
pub struct Lease {
    id: i64,
    session: SessionId,
    item: ItemId,
}

/// A sample that was paid for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spent {
    /// When it ended.
    pub at: UnixMillis,
    /// Its session.
    pub session: SessionId,
    /// The session of the run that it belongs to; see [`Reservation::root`].
    pub root: SessionId,
    /// The sample.
    pub item: ItemId,
    /// The folder that was worked in.
    pub project: String,
    /// The model that was asked.
    pub model: ModelId,
    /// Tokens. `estimated` there says that the cost is an estimate too.
    pub usage: Usage,
    /// What it cost; `None` when the price is not known, which counts as nothing against a limit.
    pub cost: Option<Money>,
    /// The version of the price that the cost was reckoned with.
    pub price_version: Option<String>,
}

impl Ledger {
    /// Opens the ledger at `path`, and makes it where there is none, for its owner alone. One that is damaged is put
    /// aside and begun anew: [`take_rebuilt`](Self::take_rebuilt) tells.
    ///
    /// # Errors
    /// When a newer build wrote it, or it cannot be opened or written now.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref().to_owned();
        let (db, rebuilt) = store::connect(&path)?;
        let file = store::file_id(&path);
        Ok(Self { path, db, file, rebuilt })
    }

    /// Whether the ledger was found damaged, here or in a later call, and begun anew. Told once; the user should hear it.
    pub fn take_rebuilt(&mut self) -> Option<Rebuilt> {
        self.rebuilt.take()
    }

    /// Sets money aside for a request, if all limits hold with it: what was spent, what others have set aside and
    /// this. Atomic among all processes.
    ///
    /// # Errors
    /// [`ReserveError::Refused`] with the first limit that would not hold; nothing is set aside then.
    /// [`Error::Twice`] when the item has a lease or was settled.
    pub fn reserve(&mut self, wanted: &Reservation<'_>) -> Result<Lease, ReserveError> {
        enum Outcome {
            Lease(i64),
            Refused(Refused),
            Twice,
        }
        let upper = wanted.upper.max(Money(0));
        let process = Process::this();
        let outcome = self.change(|change| {
            settle_dead(change, wanted.at)?;
            let key = params![wanted.session.0.as_bytes(), wanted.item.to_string()];
            let is_known: bool = change
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM leases WHERE session = ?1 AND item = ?2)
                     OR EXISTS (SELECT 1 FROM spent WHERE session = ?1 AND item = ?2)",
                )?
                .query_row(key, |row| row.get(0))?;
            if is_known {
                return Ok(Outcome::Twice);
            }
            for limit in wanted.limits {
                let (spent, reserved) = taken(change, limit.scope)?;
                if spent + reserved + upper > limit.max {
                    let Limit { scope, max } = *limit;
                    return Ok(Outcome::Refused(Refused { scope, max, spent, reserved, asked: upper }));
                }
            }
            change
                .prepare_cached(
                    "INSERT INTO leases (session, root, item, project, model, pid, process, upper, created)
                     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                )?
                .execute(params![
                    wanted.session.0.as_bytes(),
                    wanted.root.0.as_bytes(),
                    wanted.item.to_string(),
                    wanted.project,
                    wanted.model.to_string(),
                    process.pid,
                    process.started,
                    upper.0,
                    integer(wanted.at.0),
                ])?;
            Ok(Outcome::Lease(change.last_insert_rowid()))
        })?;
        match outcome {
            Outcome::Lease(id) => Ok(Lease { id, session: wanted.session, item: wanted.item }),
            Outcome::Refused(refused) => Err(refused.into()),
            Outcome::Twice => Err(Error::Twice { session: wanted.session, item: wanted.item }.into()),
        }
    }

    /// Records what a request cost, and frees what was set aside for it. What is settled already stays as it is,
    /// unless it was settled for a process that seemed to have ended.
    ///
    /// # Errors
    /// When the ledger cannot be written now; the lease then holds until this process ends.
    pub fn settle(&mut self, lease: Lease, spent: &Spent) -> Result<(), Error> {
        self.change(|change| {
            change.prepare_cached("DELETE FROM leases WHERE id = ?")?.execute([lease.id])?;
            put(change, spent).map(drop)
        })
    }

    /// Records what was spent without a lease, or for one of a process that has ended. Once for each item, as
    /// [`settle`](Self::settle).
    ///
    /// # Errors
    /// When the ledger cannot be written now.
    pub fn record(&mut self, spent: &Spent) -> Result<(), Error> {
        self.change(|change| put(change, spent).map(drop))
    }

    /// Frees what was set aside for a request that was never sent.
    ///
    /// # Errors
    /// When the ledger cannot be written now; the lease then holds until this process ends.
    pub fn release(&mut self, lease: Lease) -> Result<(), Error> {
        self.change(|change| {
            change.prepare_cached("DELETE FROM leases WHERE id = ?")?.execute([lease.id])?;
            // Another process may have taken this one for dead, as one that sees no processes of ours does.
            change
                .prepare_cached("DELETE FROM spent WHERE session = ? AND item = ? AND lost")?
                .execute(params![lease.session.0.as_bytes(), lease.item.to_string()])
                .map(drop)
        })
    }

    /// What may still be spent in a scope; never less than nothing. Another process may take it before a
    /// [`reserve`](Self::reserve) does.
    ///
    /// # Errors
    /// When the ledger cannot be read now.
    pub fn left(&mut self, scope: Scope, max: Money) -> Result<Money, Error> {
        let (spent, reserved) = self.change(|change| taken(change, scope))?;
        Ok((max - spent - reserved).max(Money(0)))
    }

    /// Records what journals say was spent; what is recorded already stays. Gives the number of samples that were
    /// new. May be repeated, and may be cut short at any point.
    ///
    /// # Errors
    /// When the ledger cannot be written now; a part may be recorded then.
    pub fn rebuild(&mut self, spent: impl IntoIterator<Item = Spent>) -> Result<u64, Error> {
        /// Samples of one transaction: others wait no longer than these take.
        const AT_ONCE: usize = 500;
        let mut spent = spent.into_iter();
        let mut fresh = 0_u64;
        loop {
            let some: Vec<_> = spent.by_ref().take(AT_ONCE).collect();
            if some.is_empty() {
                return Ok(fresh);
            }
            let added = self.change(|change| some.iter().try_fold(0, |n, one| Ok(n + put(change, one)?)))?;
            fresh = fresh.saturating_add(added);
        }
    }

    /// What was recorded from `since` on, summed up and in order: days from the first to the last, all else from the
    /// dearest to the cheapest.
    ///
    /// # Errors
    /// When the ledger cannot be read now.
    pub fn usage(&mut self, by: By, since: UnixMillis) -> Result<Vec<Row>, Error> {
        self.retrying(|db| report::usage(db, by, since))
    }

    /// One transaction that keeps every other writer out from its beginning on.
    fn change<T>(
        &mut self,
        mut act: impl FnMut(&Transaction<'_>) -> Result<T, rusqlite::Error>,
    ) -> Result<T, Error> {
        self.retrying(|db| {
            let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let outcome = act(&change)?;
            change.commit()?;
            Ok(outcome)
        })
    }

    /// Acts, and once more on a fresh file when this one is damaged or was put aside by another process.
    fn retrying<T>(
        &mut self,
        mut act: impl FnMut(&mut Connection) -> Result<T, rusqlite::Error>,
    ) -> Result<T, Error> {
        if store::file_id(&self.path) != self.file {
            self.take(store::connect(&self.path)?);
        }
        match act(&mut self.db) {
            Err(error) if store::is_damage(&error) => self.take(store::mend(&self.path)?),
            Err(error) if store::is_moved(&error) => self.take(store::connect(&self.path)?),
            done => return done.map_err(|cause| Error::sqlite(&self.path, cause)),
        }
        act(&mut self.db).map_err(|cause| Error::sqlite(&self.path, cause))
    }

    /// Goes on with a file that was opened anew.
    fn take(&mut self, (db, rebuilt): (Connection, Option<Rebuilt>)) {
        self.db = db;
        self.file = store::file_id(&self.path);
        self.rebuilt = rebuilt.or(self.rebuilt.take());
    }
}

/// What was spent in a scope, and what is set aside in it.
fn taken(db: &Connection, scope: Scope) -> Result<(Money, Money), rusqlite::Error> {
    let sum = |query: &str, of: &[&dyn rusqlite::ToSql]| -> Result<Money, rusqlite::Error> {
        let mut query = db.prepare_cached(query)?;
        let mut rows = query.query(of)?;
        let mut sum = Money(0);
        while let Some(row) = rows.next()? {
            sum = sum + Money(row.get(0)?);
        }
        Ok(sum)
    };
    match scope {
        Scope::Run { root, since } => {
            let (root, since) = (root.0.as_bytes(), integer(since.0));
            Ok((
                sum(
                    "SELECT cost FROM spent WHERE root = ? AND at >= ? AND cost IS NOT NULL",
                    &[&root, &since],
                )?,
                sum("SELECT upper FROM leases WHERE root = ?", &[&root])?,
            ))
        }
        Scope::Session(session) => {
            let session = session.0.as_bytes();
            Ok((
                sum("SELECT cost FROM spent WHERE session = ? AND cost IS NOT NULL", &[&session])?,
                sum("SELECT upper FROM leases WHERE session = ?", &[&session])?,
            ))
        }
        Scope::Since(at) => {
            let at = integer(at.0);
            Ok((
                sum("SELECT cost FROM spent WHERE at >= ? AND cost IS NOT NULL", &[&at])?,
                // What is under way now ends now, whenever it began.
                sum("SELECT upper FROM leases WHERE ? IS NOT NULL", &[&at])?,
            ))
        }
    }
}

/// Records a sample and frees its lease; gives 1 if it was new, else 0.
fn put(db: &Connection, spent: &Spent) -> Result<u64, rusqlite::Error> {
    let item = spent.item.to_string();
    let session = spent.session.0.as_bytes();
    db.prepare_cached("DELETE FROM leases WHERE session = ? AND item = ?")?
        .execute(params![session, item])?;
    let usage = spent.usage;
    let changed = db
        .prepare_cached(
            "INSERT INTO spent (session, item, root, at, project, model, input, output, cache_read, cache_write,
             reasoning, estimated, cost, price_version, lost)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)
             ON CONFLICT (session, item) DO UPDATE SET root = excluded.root, at = excluded.at,
             project = excluded.project, model = excluded.model, input = excluded.input, output = excluded.output,
             cache_read = excluded.cache_read, cache_write = excluded.cache_write, reasoning = excluded.reasoning,
             estimated = excluded.estimated, cost = excluded.cost, price_version = excluded.price_version, lost = 0
             WHERE spent.lost",
        )?
        .execute(params![
            session,
            item,
            spent.root.0.as_bytes(),
            integer(spent.at.0),
            spent.project,
            spent.model.to_string(),
            integer(usage.input),
            integer(usage.output),
            integer(usage.cache_read),
            integer(usage.cache_write),
            integer(usage.reasoning),
            usage.estimated,
            spent.cost.map(|cost| cost.0),
            spent.price_version,
        ])?;
    Ok(natural(i64::try_from(changed).unwrap_or(i64::MAX)))
}

/// Settles the leases of processes that have ended at their upper bounds, since their requests may have been sent.
fn settle_dead(db: &Connection, now: UnixMillis) -> Result<(), rusqlite::Error> {
    let mut query = db.prepare_cached("SELECT DISTINCT pid, process FROM leases")?;
    let processes = query
        .query_map([], |row| Ok(Process { pid: row.get(0)?, started: row.get(1)? }))?
        .collect::<Result<Vec<_>, _>>()?;
    for process in processes.into_iter().filter(Process::has_ended) {
        let of = params![process.pid, process.started, integer(now.0)];
        db.prepare_cached(
            "INSERT INTO spent (session, item, root, at, project, model, input, output, cache_read, cache_write,
             reasoning, estimated, cost, price_version, lost)
             SELECT session, item, root, ?3, project, model, 0, 0, 0, 0, 0, 1, upper, NULL, 1
             FROM leases WHERE pid = ?1 AND process = ?2
             ON CONFLICT (session, item) DO NOTHING",
        )?
        .execute(of)?;
        db.prepare_cached("DELETE FROM leases WHERE pid = ? AND process = ?")?
            .execute(params![process.pid, process.started])?;
    }
    Ok(())
}
