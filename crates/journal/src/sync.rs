//! Syncs, on a few threads of their own: while one file waits for the disk, others are written and synced. All who
//! wait for a file when its sync begins share that one sync. Never syncs what nobody asked for.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::oneshot;

use crate::Error;
use crate::writer::{For, Open};

/// Where an outcome goes. Whoever asked may have gone.
pub(crate) type Reply = oneshot::Sender<Result<(), Error>>;

/// Threads at most: a disk has more than one sync under way at a time to its advantage, but not many.
const THREADS_MAX: usize = 4;

const STACK: usize = 256 << 10;

/// Files that wait for the disk, each at one place at most: here or with one thread. Its threads start with the need and end with [`close`](Self::close).
#[derive(Debug, Default)]
pub(crate) struct Syncs {
    queue: Mutex<Queue>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    /// Each file once.
    files: VecDeque<Arc<Open>>,
    threads: usize,
    idle: usize,
    is_closed: bool,
}

impl Syncs {
    /// Sees to it that all that was written to the file so far gets to the disk, then replies.
    pub(crate) fn ask(self: &Arc<Self>, file: Arc<Open>, reply: Reply, who: For) {
        match file.wait_for_sync(reply, who) {
            // It is in the queue already, or comes there again once its sync is done.
            Ok(false) => return,
            Ok(true) => {}
            Err((error, reply)) => {
                let _ = reply.send(Err(error));
                return;
            }
        }
        let mut queue = self.queue();
        queue.files.push_back(file);
        if queue.idle >= queue.files.len() || queue.threads >= THREADS_MAX {
            drop(queue);
            self.news.notify_one();
            return;
        }
        let syncs = self.clone();
        let started = thread::Builder::new()
            .name("journal-sync".to_owned())
            .stack_size(STACK)
            .spawn(move || syncs.work());
        match started {
            Ok(_) => queue.threads += 1,
            // Without a thread of its own the file waits for one of the others, or is synced here.
            Err(_) if queue.threads > 0 => self.news.notify_one(),
            Err(_) => {
                let mut file = queue.files.pop_back();
                drop(queue);
                while let Some(next) = file {
                    file = next.sync();
                }
            }
        }
    }

    /// Lets the threads end once the queue is empty.
    pub(crate) fn close(&self) {
        self.queue().is_closed = true;
        self.news.notify_all();
    }

    fn work(&self) {
        let mut queue = self.queue();
        loop {
            if let Some(file) = queue.files.pop_front() {
                drop(queue);
                let again = file.sync();
                queue = self.queue();
                // Behind the others; this thread looks again before it sleeps or ends.
                queue.files.extend(again);
            } else if queue.is_closed {
                queue.threads -= 1;
                return;
            } else {
                queue.idle += 1;
                queue = self.news.wait(queue).unwrap_or_else(PoisonError::into_inner);
                queue.idle -= 1;
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
