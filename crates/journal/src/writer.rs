//! The writer: one thread a process that appends to all its open journals, each append at once. Syncs are elsewhere,
//! so that a slow disk never holds up a write. A write that fails leaves nothing of itself behind.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use codetether_event::SessionId;
use codetether_files::{BlobStore, Lock};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::handle::Durable;
use crate::sync::{Reply, Syncs};
use crate::{Error, Layout};

/// Appends that may wait for the thread.
const JOBS_MAX: usize = 1_024;

/// Bytes that may wait for the thread, in units of [`ROOM_UNIT`].
const ROOM: u32 = 64 << 10;

/// Bytes.
const ROOM_UNIT: usize = 1 << 10;

/// Callers that may wait for one file's sync.
const WAITING_MAX: usize = 1_024;

/// How long the thread stays awake for the next append.
const AWAKE: Duration = Duration::from_micros(20);

const STACK: usize = 256 << 10;

/// Writes to journals. Clones share the threads, which end with the last of them and of the handles made by it.
#[derive(Debug, Clone)]
pub struct Journals {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    jobs: mpsc::Sender<Job>,
    room: Arc<Semaphore>,
    syncs: Arc<Syncs>,
}

/// One append.
#[derive(Debug)]
struct Job {
    file: Arc<Open>,
    bytes: Vec<u8>,
    durable: Durable,
    reply: Reply,
    _room: OwnedSemaphorePermit,
}

impl Journals {
    /// Starts the writer's thread.
    ///
    /// # Errors
    /// [`Error::Thread`].
    pub fn start() -> Result<Self, Error> {
        let (jobs, queue) = mpsc::channel(JOBS_MAX);
        let syncs = Arc::new(Syncs::default());
        let ours = syncs.clone();
        thread::Builder::new()
            .name("journal".to_owned())
            .stack_size(STACK)
            .spawn(move || work(queue, &ours))
            .map_err(|error| Error::Thread(error.to_string()))?;
        Ok(Self { inner: Arc::new(Inner { jobs, room: Arc::new(Semaphore::new(ROOM as usize)), syncs }) })
    }
}

impl Inner {
    /// Waits until there is room for so many bytes.
    pub(crate) async fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Error> {
        let units = u32::try_from(bytes / ROOM_UNIT + 1).map_or(ROOM, |units| units.min(ROOM));
        self.room.clone().acquire_many_owned(units).await.map_err(|_| Error::Ended)
    }

    /// Puts an append before the thread.
    pub(crate) async fn append(
        &self,
        file: Arc<Open>,
        bytes: Vec<u8>,
        durable: Durable,
        reply: Reply,
        room: OwnedSemaphorePermit,
    ) -> Result<(), Error> {
        let job = Job { file, bytes, durable, reply, _room: room };
        self.jobs.send(job).await.map_err(|_| Error::Ended)
    }

    /// Syncs what was acknowledged.
    pub(crate) fn sync(&self, file: Arc<Open>, reply: Reply) {
        self.syncs.ask(file, reply, For::Before);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.syncs.close();
    }
}

fn work(mut queue: mpsc::Receiver<Job>, syncs: &Arc<Syncs>) {
    while let Some(Job { file, bytes, durable, reply, _room }) = next(&mut queue) {
        match (file.write(&bytes), durable) {
            (Ok(()), Durable::Synced) => syncs.ask(file, reply, For::Append),
            (written, _) => {
                drop(file);
                let _ = reply.send(written);
            }
        }
    }
}

/// The next append. Appends come in bursts, and sleeping and waking costs more than writing: so before sleeping this
/// looks a few times whether there is another.
fn next(queue: &mut mpsc::Receiver<Job>) -> Option<Job> {
    let idle_since = Instant::now();
    loop {
        match queue.try_recv() {
            Ok(job) => return Some(job),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) if idle_since.elapsed() < AWAKE => thread::yield_now(),
            Err(TryRecvError::Empty) => return queue.blocking_recv(),
        }
    }
}

/// A session's journal, open for appending, and the lock that makes it ours. It stays ours until the last append
/// that anyone asked for is done.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) id: SessionId,
    pub(crate) path: PathBuf,
    pub(crate) blobs: BlobStore,
    /// Those that have to be on the disk for the journal's name to be.
    folders: Vec<PathBuf>,
    file: File,
    state: Mutex<State>,
    _lock: Lock,
}

#[derive(Debug)]
pub(crate) struct State {
    /// Bytes of whole, acknowledged records.
    length: u64,
    /// The folders are not known to be on the disk: so it is after every opening, since whoever had the session
    /// before may have been killed.
    is_unnamed: bool,
    /// Why nothing can be appended any more.
    broken: Option<String>,
    /// Who waits for the next sync.
    waiting: Vec<Reply>,
    /// The file is in the queue of syncs or being synced: never two syncs of one file at a time, since the system
    /// tells a failure to only one of them.
    is_syncing: bool,
}

/// Who wants a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    /// An append that is written. There is one a handle at most, so it is never turned away.
    Append,
    /// A caller who wants what was appended before on the disk.
    Before,
}

impl Open {
    /// `folders` are those of [`Layout::naming`], asked for before any was made.
    pub(crate) fn new(
        layout: &Layout,
        id: SessionId,
        folders: Vec<PathBuf>,
        lock: Lock,
        file: File,
        length: u64,
    ) -> Self {
        let state = State { length, is_unnamed: true, broken: None, waiting: Vec::new(), is_syncing: false };
        Self {
            id,
            path: layout.journal(id),
            blobs: BlobStore::take_over(layout.blobs_dir(id)),
            folders,
            file,
            state: Mutex::new(state),
            _lock: lock,
        }
    }

    /// Appends all the bytes or none.
    fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        let length = {
            let state = self.state();
            self.sound(&state)?;
            state.length
        };
        match (&self.file).write_all(bytes) {
            Ok(()) => {
                self.state().length = length + bytes.len() as u64;
                Ok(())
            }
            Err(cause) => {
                let error = codetether_files::Error::new("append to", &self.path, cause);
                if let Err(cut) = self.file.set_len(length) {
                    self.state().broken = Some(format!("{error}; its torn end cannot be cut off: {cut}"));
                }
                Err(error.into())
            }
        }
    }

    /// Joins those who wait for the next sync; true when the caller has to put the file in the queue.
    pub(crate) fn wait_for_sync(&self, reply: Reply, who: For) -> Result<bool, (Error, Reply)> {
        let mut state = self.state();
        if let Err(error) = self.sound(&state) {
            return Err((error, reply));
        }
        if state.waiting.len() >= WAITING_MAX && who == For::Before {
            return Err((Error::Busy { path: self.path.clone() }, reply));
        }
        state.waiting.push(reply);
        Ok(!std::mem::replace(&mut state.is_syncing, true))
    }

    /// Syncs once for all who wait by now. Gives the file back when others have come since: it has to be put in the
    /// queue again.
    pub(crate) fn sync(self: Arc<Self>) -> Option<Arc<Self>> {
        let (waiting, is_unnamed, sound) = {
            let mut state = self.state();
            (std::mem::take(&mut state.waiting), state.is_unnamed, self.sound(&state))
        };
        let synced = sound.and_then(|()| self.sync_all(is_unnamed));
        let is_wanted = {
            let mut state = self.state();
            match &synced {
                Ok(()) => state.is_unnamed = false,
                // After a failed sync the system no longer knows which pages the disk lacks.
                Err(error) if state.broken.is_none() => state.broken = Some(error.to_string()),
                Err(_) => {}
            }
            state.is_syncing = !state.waiting.is_empty();
            state.is_syncing
        };
        let again = is_wanted.then(|| self.clone());
        // So that the session is free once its owner has heard.
        drop(self);
        for reply in waiting {
            let _ = reply.send(synced.clone());
        }
        again
    }

    fn sync_all(&self, is_unnamed: bool) -> Result<(), Error> {
        // Records name blobs, so these come first.
        self.blobs.sync()?;
        self.file.sync_data().map_err(|cause| codetether_files::Error::new("sync", &self.path, cause))?;
        if !is_unnamed {
            return Ok(());
        }
        for folder in &self.folders {
            match codetether_files::sync_dir(folder) {
                // One above the data directory may not be for us to read.
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
                synced => synced?,
            }
        }
        Ok(())
    }

    fn sound(&self, state: &State) -> Result<(), Error> {
        match &state.broken {
            None => Ok(()),
            Some(reason) => Err(Error::Broken { path: self.path.clone(), reason: reason.clone() }),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use codetether_event::{Attempt, Cause, Record, Seq, UnixMillis};

    use super::*;
    use crate::Handle;

    fn records(seq: u64) -> [Record<u64>; 1] {
        let (seq, at) = (Seq(seq), UnixMillis(5));
        [Record { seq, attempt: Attempt(1), at, turn: None, cause: Cause::Timer, event: 0 }]
    }

    fn session() -> (tempfile::TempDir, Handle<u64>) {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let id = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        let handle = Journals::start().unwrap().create(&layout, id, "a test").unwrap();
        (dir, handle)
    }

    fn waiting<E>(handle: &Handle<E>) -> usize {
        handle.file.state().waiting.len()
    }

    #[tokio::test]
    async fn a_synced_append_is_never_turned_away_once_it_is_written() {
        let (_dir, mut handle) = session();
        let file = handle.file.clone();
        // As if a thread were at it, so that nobody else is.
        file.state().is_syncing = true;
        let early: Vec<_> = (0..WAITING_MAX).map(|_| handle.sync()).collect();
        let late = handle.sync().await.unwrap().unwrap_err();
        assert!(matches!(late, Error::Busy { .. }), "{late}");
        let append = tokio::spawn(async move {
            handle.append(&records(1), Durable::Synced).await.unwrap();
            handle.append(&records(2), Durable::Synced).await.unwrap();
            handle
        });
        while file.state().waiting.len() == WAITING_MAX && !append.is_finished() {
            tokio::task::yield_now().await;
        }
        assert!(file.sync().is_none());
        let handle = append.await.unwrap();
        for reply in early {
            reply.await.unwrap().unwrap();
        }
        assert_eq!(crate::read::<u64>(handle.path()).unwrap().records.len(), 2);
    }

    #[tokio::test]
    async fn a_sync_that_is_asked_for_during_another_hears_of_its_failure() {
        let (_dir, mut handle) = session();
        handle.append(&records(1), Durable::Written).await.unwrap();
        // What opens only when its other end does, and cannot be synced.
        let blob = handle.blobs().put(b"a blob").unwrap();
        let blob = handle.blobs().path(&blob).unwrap();
        codetether_files::remove_file(&blob).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &blob, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let first = handle.sync();
        while waiting(&handle) > 0 {
            tokio::task::yield_now().await;
        }
        let second = handle.sync();
        let end = std::thread::spawn(move || codetether_files::open_append(blob, 0o600).unwrap());
        let failed = first.await.unwrap().unwrap_err();
        assert!(matches!(failed, Error::File(_)), "{failed}");
        let told = second.await.unwrap().unwrap_err();
        assert!(matches!(told, Error::Broken { .. }), "{told}");
        drop(end.join().unwrap());
    }
}
