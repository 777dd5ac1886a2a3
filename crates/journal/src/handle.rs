//! A session that this process owns: made or opened, then appended to. Dropping the handle gives it up.

use std::io::{Seek, SeekFrom};
use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;

use codetether_event::{Record, Seq, SessionId};
use codetether_files::{BlobStore, Lock};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use crate::upkeep::keep_copy;
use crate::writer::{Inner, Open};
use crate::{Error, Journals, Layout, Torn, line, read_from};

/// What has to hold when an append is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durable {
    /// The system has it: it survives the end of this process, however it ends.
    Written,
    /// The disk has it, with the blobs put before: it survives a loss of power.
    Synced,
}

/// The only way to append to a session.
#[derive(Debug)]
pub struct Handle<E> {
    pub(crate) file: Arc<Open>,
    writer: Arc<Inner>,
    next: Seq,
    /// An append was begun whose end nobody waited for.
    is_abandoned: bool,
    event: PhantomData<fn(&E)>,
}

/// A session that was opened.
#[derive(Debug)]
pub struct Opened<E> {
    /// To append to it.
    pub handle: Handle<E>,
    /// What it holds.
    pub records: Vec<Record<E>>,
    /// What a crash had left behind the last of them, and was cut off.
    pub torn: Option<Torn>,
}

impl Journals {
    /// Makes a session. `owner` says who writes it, to others who try.
    ///
    /// # Errors
    /// [`Error::Exists`], and when the folder cannot be written.
    pub fn create<E>(&self, layout: &Layout, id: SessionId, owner: &str) -> Result<Handle<E>, Error> {
        let folders = layout.naming(id);
        codetether_files::create_dir_private(layout.session(id))?;
        let lock = Lock::acquire(layout.lock(id), owner).map_err(|error| Error::lock(id, error))?;
        match codetether_files::create_new(layout.journal(id), 0o600) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(Error::Exists { id });
            }
            Err(error) => return Err(error.into()),
        }
        let file = codetether_files::open_append(layout.journal(id), 0o600)?;
        Ok(self.handle(Open::new(layout, id, folders, lock, file, 0), Seq(1)))
    }

    /// Opens a session to go on with it. What a crash left of a record is cut off; if that is more than half a line,
    /// a copy of the whole file is kept beside it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Locked`] and [`Error::Damaged`].
    pub fn open<E: DeserializeOwned>(
        &self,
        layout: &Layout,
        id: SessionId,
        owner: &str,
    ) -> Result<Opened<E>, Error> {
        let path = layout.journal(id);
        if !path.is_file() {
            return Err(Error::NotFound { id });
        }
        let lock = Lock::acquire(layout.lock(id), owner).map_err(|error| Error::lock(id, error))?;
        let mut file = codetether_files::open_append(&path, 0o600)?;
        let failed = |action| {
            let path = path.clone();
            move |cause| Error::from(codetether_files::Error::new(action, path, cause))
        };
        file.seek(SeekFrom::Start(0)).map_err(failed("read"))?;
        let loaded = read_from(std::io::BufReader::with_capacity(1 << 16, &file), &path)?;
        if let Some(torn) = loaded.torn {
            if torn.breaks > 0 {
                keep_copy(&path)?;
            }
            file.set_len(loaded.sound).map_err(failed("cut the torn end of"))?;
        }
        let next = Seq(1).plus(loaded.records.len() as u64);
        let handle = self.handle(Open::new(layout, id, layout.naming(id), lock, file, loaded.sound), next);
        Ok(Opened { handle, records: loaded.records, torn: loaded.torn })
    }

    fn handle<E>(&self, file: Open, next: Seq) -> Handle<E> {
        let writer = self.inner.clone();
        Handle { file: Arc::new(file), writer, next, is_abandoned: false, event: PhantomData }
    }
}

impl<E> Handle<E> {
    /// The session.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.file.id
    }

    /// The journal.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// The session's blobs. Those put here (or into a clone) are synced before the records that name them.
    #[must_use]
    pub fn blobs(&self) -> &BlobStore {
        &self.file.blobs
    }

    /// The position of the next record.
    #[must_use]
    pub fn next(&self) -> Seq {
        self.next
    }

    /// Syncs what was acknowledged before, and the blobs. Returns at once; the outcome comes through the receiver,
    /// whose own error means that the process is ending.
    #[must_use]
    pub fn sync(&self) -> oneshot::Receiver<Result<(), Error>> {
        let (reply, outcome) = oneshot::channel();
        self.writer.sync(self.file.clone(), reply);
        outcome
    }
}

impl<E: Serialize> Handle<E> {
    /// Appends records: all of them or, when they cannot be written, none. Waits while too much is queued. Do not
    /// drop the future before its end: nobody would know whether the records are there, so no further append is
    /// taken.
    ///
    /// When they are written and only the sync fails, they are in the file, and perhaps on the disk; so no further
    /// append is taken then either, and whoever opens the session again finds out.
    ///
    /// # Errors
    /// [`Error::Sequence`] when they do not follow on the last one; [`Error::File`], with
    /// [`is_full`](Error::is_full) when the disk is: the handle can be used again once there is room;
    /// [`Error::Broken`] after an earlier failure that the handle does not survive.
    pub async fn append(&mut self, records: &[Record<E>], durable: Durable) -> Result<(), Error> {
        if self.is_abandoned {
            let reason = "an earlier append was abandoned".to_owned();
            return Err(Error::Broken { path: self.file.path.clone(), reason });
        }
        let mut bytes = Vec::with_capacity(records.len().saturating_mul(512));
        let mut next = self.next;
        for record in records {
            if record.seq != next {
                return Err(Error::Sequence { got: record.seq, expected: next });
            }
            line::encode(record, &mut bytes)?;
            next = next.plus(1);
        }
        if records.is_empty() {
            return match durable {
                Durable::Written => Ok(()),
                Durable::Synced => self.sync().await.map_err(|_| Error::Ended)?,
            };
        }
        let room = self.writer.room(bytes.len()).await?;
        let (reply, outcome) = oneshot::channel();
        self.is_abandoned = true;
        self.writer.append(self.file.clone(), bytes, durable, reply, room).await?;
        let outcome = outcome.await.map_err(|_| Error::Ended)?;
        self.is_abandoned = false;
        outcome?;
        self.next = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use codetether_event::{Attempt, Cause, UnixMillis};

    use super::*;

    fn records(seq: u64) -> [Record<u64>; 1] {
        let (seq, at) = (Seq(seq), UnixMillis(5));
        [Record { seq, attempt: Attempt(1), at, turn: None, cause: Cause::Timer, event: 0 }]
    }

    fn home() -> (tempfile::TempDir, Layout, SessionId, Journals) {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("new/data"));
        let id = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        (dir, layout, id, Journals::start().unwrap())
    }

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> std::task::Poll<F::Output> {
        future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
    }

    #[tokio::test]
    async fn an_abandoned_append_ends_the_handle_and_not_the_journal() {
        let (_dir, layout, id, journals) = home();
        let mut handle: Handle<u64> = journals.create(&layout, id, "a test").unwrap();
        handle.append(&records(1), Durable::Written).await.unwrap();
        {
            let file = handle.file.clone();
            // The writer cannot come to an end while this is held.
            let _held = file.state();
            let records = records(2);
            let mut append = Box::pin(handle.append(&records, Durable::Written));
            assert!(poll(append.as_mut()).is_pending());
        }
        let refused = handle.append(&records(2), Durable::Written).await.unwrap_err();
        assert!(matches!(refused, Error::Broken { .. }), "{refused}");
        handle.sync().await.unwrap().unwrap();
        drop(handle);
        // Its lock is held until the append is done, so whoever opens the session finds the record whole.
        let opened = loop {
            match journals.open::<u64>(&layout, id, "a test") {
                Err(Error::Locked { .. }) => tokio::task::yield_now().await,
                opened => break opened.unwrap(),
            }
        };
        assert_eq!((opened.records, opened.torn), ([records(1), records(2)].concat(), None));
    }
}
