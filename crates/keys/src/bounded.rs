//! Work that blocks, on a thread of its own and with a limit of time. What does not end by then is left behind: it
//! holds nothing that anyone waits for.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Late {
    /// The time is over.
    Time,
    /// There is no thread to be had, or it broke down.
    Thread,
}

/// What the work gives, if it does in time.
pub(crate) fn within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Late> {
    let (done, answer) = mpsc::sync_channel(1);
    let started = std::thread::Builder::new().name("keys".into()).spawn(move || {
        // Nobody waits for it any more where this fails.
        let _ = done.send(work());
    });
    if started.is_err() {
        return Err(Late::Thread);
    }
    answer.recv_timeout(limit).map_err(|error| match error {
        RecvTimeoutError::Timeout => Late::Time,
        RecvTimeoutError::Disconnected => Late::Thread,
    })
}
