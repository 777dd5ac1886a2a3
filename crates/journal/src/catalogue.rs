//! Which sessions there are and what they are about. Looks at every journal's size and time, and reads only those
//! that changed since the index saw them. Never fails for the index's sake, and hides no damaged session.

use std::collections::HashMap;
use std::io::BufReader;
use std::marker::PhantomData;
use std::ops::Deref;
use std::thread;

use codetether_event::{Record, SessionId, UnixMillis};
use rustix::fs::{AtFlags, Mode, OFlags};
use serde::de::DeserializeOwned;

use crate::index::{Index, Known, Unusable, listed};
use crate::read::{End, scan};
use crate::{Error, Layout};

/// Sessions that are read before the index is told.
const CHUNK: usize = 256;

/// Letters around a match in a session that is not indexed.
const AROUND: usize = 60;

/// What a session's records say about it: the caller knows its events.
pub trait Indexed {
    /// The event that the journals hold.
    type Event: DeserializeOwned;

    /// Sums up the records of a session; there is at least one.
    fn entry(records: &[Record<Self::Event>]) -> Entry;
}

/// What a session is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// Its title.
    pub title: String,
    /// The folder it works in.
    pub project: String,
    /// When it began.
    pub created: UnixMillis,
    /// When it was last written.
    pub updated: UnixMillis,
    /// Turns.
    pub turns: u64,
    /// Tokens, input and output together.
    pub tokens: u64,
    /// Millionths of a dollar.
    pub cost_microdollars: i64,
    /// The messages that a search looks through; none in a [`Listed`].
    pub text: Vec<String>,
}

/// A session in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The session.
    pub id: SessionId,
    /// Why its journal cannot be read to its end; the rest then tells of its sound part.
    pub damaged: Option<String>,
    /// What it is about, but for the messages: of these only the index knows.
    pub entry: Entry,
}

impl Deref for Listed {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        &self.entry
    }
}

/// A session that a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The session.
    pub session: Listed,
    /// What stands around the match.
    pub snippet: String,
}

/// Which sessions are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Those that work in this folder; all when absent.
    pub project: Option<String>,
}

/// What tells a journal from an earlier state of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) size: u64,
    /// Nanoseconds since 1970.
    pub(crate) modified: i64,
}

/// The sessions of a data directory.
#[derive(Debug, Clone)]
pub struct Catalogue<I> {
    layout: Layout,
    indexed: PhantomData<fn() -> I>,
}

/// All sessions as they are now, and those among them whose words the index does not have.
struct Current {
    sessions: Vec<Listed>,
    unindexed: Vec<SessionId>,
}

impl<I: Indexed> Catalogue<I> {
    /// Of a data directory.
    #[must_use]
    pub fn new(layout: Layout) -> Self {
        Self { layout, indexed: PhantomData }
    }

    /// The sessions that are wanted, the one written last first.
    ///
    /// # Errors
    /// When the folder of sessions cannot be read.
    pub fn list(&self, filter: &Filter, limit: usize) -> Result<Vec<Listed>, Error> {
        let mut sessions = self.current()?.sessions;
        if let Some(project) = &filter.project {
            sessions.retain(|session| session.project == *project);
        }
        sessions.sort_unstable_by_key(|session| std::cmp::Reverse((session.updated, session.id)));
        sessions.truncate(limit);
        Ok(sessions)
    }

    /// The session that was written last.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn last(&self, filter: &Filter) -> Result<Option<Listed>, Error> {
        Ok(self.list(filter, 1)?.pop())
    }

    /// The sessions with a message that holds all the words (the last may be the beginning of one), best first.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn search(&self, text: &str, limit: usize) -> Result<Vec<Hit>, Error> {
        let words: Vec<_> =
            text.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric)).collect();
        if words.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        let Current { sessions, unindexed } = self.current()?;
        let by_index = Index::open(&self.layout.index()).and_then(|index| index.search(&words, limit));
        let (found, to_read) = match by_index {
            Ok(found) => (found, unindexed),
            Err(unusable) => {
                if matches!(unusable, Unusable::Spoilt) {
                    // The next one to look makes it anew.
                    let _ = Index::remove(&self.layout.index());
                }
                (Vec::new(), sessions.iter().map(|session| session.id).collect())
            }
        };
        let mut sessions: HashMap<_, _> = sessions.into_iter().map(|session| (session.id, session)).collect();
        let read = to_read.into_iter().filter_map(|id| {
            let (_, text) = self.summary(id).ok()??;
            Some((id, text.iter().find_map(|message| matched(message, &words))?))
        });
        let hits = found
            .into_iter()
            .chain(read)
            .filter_map(|(id, snippet)| Some(Hit { session: sessions.remove(&id)?, snippet }));
        Ok(hits.take(limit).collect())
    }

    /// Brings the index up to date.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn sync(&self) -> Result<(), Error> {
        self.current().map(drop)
    }

    fn current(&self) -> Result<Current, Error> {
        let path = self.layout.index();
        // Looking at ten thousand files and reading as many rows takes about the same time.
        let (stamps, loaded) = thread::scope(|scope| {
            let load = || path.exists().then(|| Index::load(&path));
            let loading = thread::Builder::new().spawn_scoped(scope, load);
            (self.stamps(), loading.ok().and_then(|loading| loading.join().ok()).flatten())
        });
        let stamps = stamps?;
        if stamps.is_empty() {
            return Ok(Current { sessions: Vec::new(), unindexed: Vec::new() });
        }
        let loaded = loaded.unwrap_or_else(|| Index::load(&path));
        let updated =
            loaded.and_then(|loaded| self.update(loaded, &stamps)).or_else(|unusable| match unusable {
                Unusable::Spoilt => {
                    Index::remove(&path)?;
                    self.update(Index::load(&path)?, &stamps)
                }
                Unusable::Unavailable => Err(unusable),
            });
        Ok(updated.unwrap_or_else(|_| {
            let sessions: Vec<_> = stamps.iter().filter_map(|(id, stamp)| self.look(*id, *stamp)).collect();
            let unindexed = sessions.iter().map(|(_, listed, _)| listed.id).collect();
            Current { sessions: sessions.into_iter().map(|(_, listed, _)| listed).collect(), unindexed }
        }))
    }

    /// Takes what the index knows, and tells it what it does not.
    fn update(
        &self,
        (mut index, mut known): (Index, Known),
        stamps: &[(SessionId, Stamp)],
    ) -> Result<Current, Unusable> {
        let mut sessions = Vec::with_capacity(stamps.len());
        let mut changed = Vec::new();
        for (id, stamp) in stamps {
            match known.remove(id) {
                Some((seen, listed)) if seen == *stamp => sessions.push(listed),
                _ => changed.push((*id, *stamp)),
            }
        }
        let mut gone: Vec<_> = known.into_keys().collect();
        let mut unindexed = Vec::new();
        let mut is_open = true;
        // Those of which only the gone are left are told with an empty chunk.
        for chunk in changed.chunks(CHUNK).chain(changed.is_empty().then_some([].as_slice())) {
            let fresh: Vec<_> = chunk.iter().filter_map(|(id, stamp)| self.look(*id, *stamp)).collect();
            if is_open {
                match index.update(&fresh, &std::mem::take(&mut gone)) {
                    Ok(()) => {}
                    Err(Unusable::Spoilt) => return Err(Unusable::Spoilt),
                    Err(Unusable::Unavailable) => is_open = false,
                }
            }
            if !is_open {
                unindexed.extend(fresh.iter().map(|(_, listed, _)| listed.id));
            }
            sessions.extend(fresh.into_iter().map(|(_, listed, _)| listed));
        }
        Ok(Current { sessions, unindexed })
    }

    /// The size and time of every journal.
    fn stamps(&self) -> Result<Vec<(SessionId, Stamp)>, Error> {
        let ids = self.layout.ids()?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let path = self.layout.sessions();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(&path, flags, Mode::empty())
            .map_err(|cause| codetether_files::Error::new("list", &path, cause))?;
        let mut stamps = Vec::with_capacity(ids.len());
        for id in ids {
            // None yet, or none any more: then there is nothing to list.
            if let Ok(file) = rustix::fs::statat(&folder, format!("{id}/journal.jsonl"), AtFlags::empty()) {
                let size = u64::try_from(file.st_size).unwrap_or(0);
                let nanos = i64::try_from(file.st_mtime_nsec).unwrap_or(0);
                let modified = file.st_mtime.saturating_mul(1_000_000_000).saturating_add(nanos);
                stamps.push((id, Stamp { size, modified }));
            }
        }
        Ok(stamps)
    }

    /// Reads a session; `None` when it holds nothing or is gone.
    fn look(&self, id: SessionId, stamp: Stamp) -> Option<(Stamp, Listed, Vec<String>)> {
        match self.summary(id) {
            Ok(summary) => summary.map(|(listed, text)| (stamp, listed, text)),
            Err(Error::File(error)) if error.is_not_found() => None,
            Err(error) => {
                // Whether a file can be read does not show in its size and time: look again next time.
                let is_unread = matches!(error, Error::File(_));
                let seen = if is_unread { Stamp { modified: -1, ..stamp } } else { stamp };
                let at = UnixMillis(u64::try_from(stamp.modified / 1_000_000).unwrap_or(0));
                let entry = Entry { created: at, updated: at, ..Entry::default() };
                let (listed, text) = listed(id, entry, Some(error.to_string()));
                Some((seen, listed, text))
            }
        }
    }

    fn summary(&self, id: SessionId) -> Result<Option<(Listed, Vec<String>)>, Error> {
        let path = self.layout.journal(id);
        let mut records = Vec::new();
        let reader = BufReader::with_capacity(1 << 16, codetether_files::open_read(&path)?);
        let scanned = scan(reader, &path, |record, _| records.push(record))?;
        let damaged = match scanned.end {
            End::Sound | End::Torn(_) => None,
            End::Damaged(flaw) => Some(flaw.at(&path)),
            End::Newer(flaw) => Some(flaw.newer(&path)),
        };
        match (records.is_empty(), damaged) {
            (true, None) => Ok(None),
            (true, Some(error)) => Err(error),
            (false, damaged) => {
                Ok(Some(listed(id, I::entry(&records), damaged.map(|error| error.to_string()))))
            }
        }
    }
}

/// What stands around the first of the words, if the message holds them all.
fn matched(message: &str, words: &[&str]) -> Option<String> {
    let lower = message.to_lowercase();
    if !words.iter().all(|word| lower.contains(&word.to_lowercase())) {
        return None;
    }
    // Letters may change their length with their case; near enough for a look around.
    let at = lower.find(&words.first()?.to_lowercase())?.min(message.len());
    let from = message.floor_char_boundary(at.saturating_sub(AROUND));
    let to = message.ceil_char_boundary(at.saturating_add(AROUND).min(message.len()));
    let (before, after) = (if from > 0 { "…" } else { "" }, if to < message.len() { "…" } else { "" });
    Some(format!("{before}{}{after}", message.get(from..to)?))
}
