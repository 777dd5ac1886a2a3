//! What is done to whole sessions: repair, fork, delete. Each leaves the session as it was or as it should be, also
//! when it is cut short.

use std::fs::{DirEntry, File};
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use codetether_event::{Record, Seq, SessionId};
use codetether_files::Lock;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::index::Index;
use crate::read::{End, scan};
use crate::{Error, Layout, encode};

/// What a session's folder is called before it is whole, and when it is being removed; the id follows.
const DRAFT: &str = ".draft-";
const REMOVED: &str = ".removed-";

/// How old a draft is before anyone asks whether it is in use.
const DRAFT_AGE: Duration = Duration::from_secs(60);

/// The lock's name within a session's folder.
const LOCK: &str = "lock";

/// What a repair did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// Records that are kept.
    pub records: u64,
    /// Lines that were dropped: the first that was not whole and all behind it.
    pub dropped: u64,
    /// The file as it was; absent when it was sound.
    pub copy: Option<PathBuf>,
}

/// Keeps the longest sound beginning of a journal, and a copy of the whole as `journal.jsonl.damaged-N`.
///
/// # Errors
/// [`Error::NotFound`] and [`Error::Locked`], [`Error::Newer`] when what cannot be read is not damaged, and when the
/// copy cannot be written; then nothing was changed.
pub fn repair<E: DeserializeOwned>(layout: &Layout, id: SessionId) -> Result<Repaired, Error> {
    let path = layout.journal(id);
    if !path.is_file() {
        return Err(Error::NotFound { id });
    }
    let _lock = Lock::acquire(layout.lock(id), "repair").map_err(|error| Error::lock(id, error))?;
    let file = codetether_files::open_append(&path, 0o600)?;
    let mut records = 0;
    let reader = BufReader::with_capacity(1 << 16, codetether_files::open_read(&path)?);
    let scanned = scan::<E>(reader, &path, |_, _| records += 1)?;
    match scanned.end {
        End::Sound => return Ok(Repaired { records, dropped: 0, copy: None }),
        End::Newer(flaw) => return Err(flaw.newer(&path)),
        End::Torn(_) | End::Damaged(_) => {}
    }
    let copy = keep_copy(&path)?;
    file.set_len(scanned.sound)
        .and_then(|()| file.sync_all())
        .map_err(|cause| codetether_files::Error::new("cut", &path, cause))?;
    Ok(Repaired { records, dropped: scanned.lines - records, copy: Some(copy) })
}

/// Copies a journal to the first free name of `journal.jsonl.damaged-1`, `-2` and so on.
pub(crate) fn keep_copy(path: &Path) -> Result<PathBuf, Error> {
    let mut number = 1_u64;
    loop {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".damaged-{number}"));
        let copy = PathBuf::from(name);
        match codetether_files::create_new(&copy, 0o600) {
            Ok(mut file) => {
                let mut source = codetether_files::open_read(path)?;
                let copied = io::copy(&mut source, &mut file).and_then(|_| file.sync_all());
                if let Err(cause) = copied {
                    // Half a copy is no copy; the first error is the one to tell.
                    let _ = codetether_files::remove_file(&copy);
                    return Err(codetether_files::Error::new("write", &copy, cause).into());
                }
                return Ok(copy);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Makes the session `to` of the records of `from` up to the one at `up_to`, with the same blobs. `first` rewrites
/// the first record, which says whose session it is. `from` may be in use.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Exists`], [`Error::NoRecord`], and [`Error::Damaged`] or [`Error::Newer`] when
/// `from` cannot be read to its end.
pub fn fork<E: Serialize + DeserializeOwned>(
    layout: &Layout,
    from: SessionId,
    to: SessionId,
    up_to: Seq,
    first: impl FnOnce(Record<E>) -> Record<E>,
) -> Result<(), Error> {
    let source = layout.journal(from);
    let opened = match codetether_files::open_read(&source) {
        Err(error) if error.is_not_found() => return Err(Error::NotFound { id: from }),
        opened => opened?,
    };
    if layout.session(to).exists() {
        return Err(Error::Exists { id: to });
    }
    // Under another name until it is whole.
    let draft = layout.sessions().join(format!("{DRAFT}{to}"));
    if draft.exists() {
        codetether_files::remove_dir_all(&draft)?;
    }
    codetether_files::create_dir_private(&draft)?;
    // It becomes the session's; until then it tells that the draft is in use.
    let lock = Lock::acquire(draft.join(LOCK), "fork").map_err(|error| Error::lock(to, error))?;
    let made = copy_records(opened, &source, &draft.join("journal.jsonl"), from, up_to, first)
        // Once the records are read: then all blobs that they name are there.
        .and_then(|()| Ok(layout.blobs(from).copy_to(draft.join("blobs"))?))
        .and_then(|()| {
            codetether_files::sync_dir(&draft)?;
            codetether_files::rename(&draft, layout.session(to))?;
            Ok(codetether_files::sync_dir(layout.sessions())?)
        });
    if made.is_err() {
        // The first error is the one to tell.
        let _ = codetether_files::remove_dir_all(&draft);
    }
    drop(lock);
    made
}

fn copy_records<E: Serialize + DeserializeOwned>(
    opened: File,
    source: &Path,
    target: &Path,
    id: SessionId,
    up_to: Seq,
    first: impl FnOnce(Record<E>) -> Record<E>,
) -> Result<(), Error> {
    let mut first = Some(first);
    let mut copied: Result<(), Error> = Ok(());
    let mut last = Seq(0);
    let mut out = io::BufWriter::with_capacity(1 << 16, codetether_files::create_new(target, 0o600)?);
    let mut write = |bytes: &[u8]| {
        out.write_all(bytes)
            .map_err(|cause| Error::from(codetether_files::Error::new("write", target, cause)))
    };
    let scanned = scan::<E>(BufReader::with_capacity(1 << 16, opened), source, |record, line| {
        last = record.seq;
        if record.seq > up_to || copied.is_err() {
            return;
        }
        copied = match first.take() {
            Some(first) => {
                let mut bytes = Vec::new();
                encode(&first(record), &mut bytes).and_then(|()| write(&bytes))
            }
            // The others byte for byte: there may be more in them than this build knows.
            None => write(line),
        };
    })?;
    copied?;
    match scanned.end {
        End::Damaged(flaw) => return Err(flaw.at(source)),
        End::Newer(flaw) => return Err(flaw.newer(source)),
        End::Sound | End::Torn(_) => {}
    }
    if up_to > last || up_to == Seq(0) {
        return Err(Error::NoRecord { id, seq: up_to, last });
    }
    out.into_inner()
        .map_err(io::IntoInnerError::into_error)
        .and_then(|file| file.sync_all())
        .map_err(|cause| codetether_files::Error::new("write", target, cause).into())
}

/// Removes a session and all that belongs to it, also what the index knows of it. It is gone for good when this
/// returns, whatever happens to the power.
///
/// # Errors
/// [`Error::NotFound`] and [`Error::Locked`]; [`Error::File`] when not all could be removed, for which the next
/// deletion and the next listing make up.
pub fn delete(layout: &Layout, id: SessionId) -> Result<(), Error> {
    let folder = layout.session(id);
    if !folder.is_dir() {
        return Err(Error::NotFound { id });
    }
    let _lock = Lock::acquire(layout.lock(id), "delete").map_err(|error| Error::lock(id, error))?;
    // Gone at once; what is cut short of the rest is done by the next.
    let gone = layout.sessions().join(format!("{REMOVED}{id}"));
    codetether_files::rename(&folder, &gone)?;
    let forgotten = Index::forget(&layout.index(), id);
    codetether_files::remove_dir_all(&gone)?;
    sweep(&layout.sessions())?;
    codetether_files::sync_dir(layout.sessions())?;
    Ok(forgotten?)
}

/// Removes what earlier deletions did not get to, and what forks left that were killed.
fn sweep(sessions: &Path) -> Result<(), Error> {
    let entries = std::fs::read_dir(sessions)
        .map_err(|cause| Error::from(codetether_files::Error::new("list", sessions, cause)))?;
    for entry in entries.flatten() {
        let name = entry.file_name();
        let starts = |prefix: &str| name.as_encoded_bytes().starts_with(prefix.as_bytes());
        // A fork that is still at it has the lock.
        let lock = (starts(DRAFT) && is_old(&entry))
            .then(|| Lock::acquire(entry.path().join(LOCK), "delete").ok())
            .flatten();
        if starts(REMOVED) || lock.is_some() {
            // Another deletion may be at it.
            let _ = codetether_files::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

/// Whether a draft is of an age at which its fork, if there is one, has its lock.
fn is_old(draft: &DirEntry) -> bool {
    let modified = draft.metadata().and_then(|draft| draft.modified());
    modified.is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age > DRAFT_AGE))
}
