//! The writer: one thread a process that appends to all its open journals, each append at once. Syncs are elsewhere,
//! so that a slow disk never holds up a write. A write that fails leaves nothing of itself behind.

use std::fs::File;
use std::io::Write;
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
        self.syncs.ask(file, reply);
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
            (Ok(()), Durable::Synced) => syncs.ask(file, reply),
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
    folders: [PathBuf; 3],
    file: File,
    state: Mutex<State>,
    _lock: Lock,
}

#[derive(Debug)]
struct State {
    /// Bytes of whole, acknowledged records.
    length: u64,
    /// The folders that name a new journal are not known to be on the disk.
    is_new: bool,
    /// Why nothing can be appended any more.
    broken: Option<String>,
    /// Who waits for the next sync.
    waiting: Vec<Reply>,
}

impl Open {
    pub(crate) fn new(
        layout: &Layout,
        id: SessionId,
        lock: Lock,
        file: File,
        length: u64,
        is_new: bool,
    ) -> Self {
        Self {
            id,
            path: layout.journal(id),
            blobs: layout.blobs(id),
            folders: [layout.session(id), layout.sessions(), layout.data_dir().to_owned()],
            file,
            state: Mutex::new(State { length, is_new, broken: None, waiting: Vec::new() }),
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

    /// Joins those who wait for the next sync; true when the caller has to see to it that there is one.
    pub(crate) fn wait_for_sync(&self, reply: Reply) -> Result<bool, (Error, Reply)> {
        let mut state = self.state();
        if let Err(error) = self.sound(&state) {
            return Err((error, reply));
        }
        if state.waiting.len() >= WAITING_MAX {
            return Err((Error::Busy { path: self.path.clone() }, reply));
        }
        state.waiting.push(reply);
        Ok(state.waiting.len() == 1)
    }

    /// Syncs once for all who wait by now.
    pub(crate) fn sync(self: Arc<Self>) {
        let (waiting, is_new) = {
            let mut state = self.state();
            (std::mem::take(&mut state.waiting), state.is_new)
        };
        let synced = self.sync_all(is_new);
        {
            let mut state = self.state();
            match &synced {
                Ok(()) => state.is_new = false,
                // After a failed sync the system no longer knows which pages the disk lacks.
                Err(error) => state.broken = Some(error.to_string()),
            }
        }
        // So that the session is free once its owner has heard.
        drop(self);
        for reply in waiting {
            let _ = reply.send(synced.clone());
        }
    }

    fn sync_all(&self, is_new: bool) -> Result<(), Error> {
        // Records name blobs, so these come first.
        self.blobs.sync()?;
        self.file.sync_data().map_err(|cause| codetether_files::Error::new("sync", &self.path, cause))?;
        if is_new {
            self.folders.iter().try_for_each(codetether_files::sync_dir)?;
        }
        Ok(())
    }

    fn sound(&self, state: &State) -> Result<(), Error> {
        match &state.broken {
            None => Ok(()),
            Some(reason) => Err(Error::Broken { path: self.path.clone(), reason: reason.clone() }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
