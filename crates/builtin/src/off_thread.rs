//! File work that may take long, away from the thread that runs the session, and stopped when the call is.

use std::io;

use codetether_tool::{Cancel, ToolError};

/// Runs `work` on a thread of its own kind. The token it is given fires when the call is cancelled and also when
/// the call's future is dropped.
///
/// # Errors
/// What `work` returns; `Interrupted` as soon as the call is cancelled, without waiting for `work` to notice.
pub(crate) async fn off_thread<T: Send + 'static>(
    cancel: &Cancel,
    work: impl FnOnce(&Cancel) -> Result<T, ToolError> + Send + 'static,
) -> Result<T, ToolError> {
    let stop = cancel.child_token();
    let _stop_when_dropped = stop.clone().drop_guard();
    let running = tokio::task::spawn_blocking(move || work(&stop));
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(ToolError::Interrupted),
        done = running => done.unwrap_or_else(|error| Err(ToolError::Fatal(format!("a tool broke off: {error}")))),
    }
}

/// Runs `work` on a thread of its own kind and waits for its end, also when the call is cancelled meanwhile: for what must not
/// be left half done, and is short. Breaks down as `work` does.
///
/// # Errors
/// What `work` returns.
pub(crate) async fn to_the_end<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ToolError> + Send + 'static,
) -> Result<T, ToolError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => Err(ToolError::Fatal(format!("a tool broke off: {error}"))),
    }
}

/// A reader that fails once the call is cancelled.
pub(crate) struct Stoppable<'a, R> {
    pub(crate) inner: R,
    pub(crate) cancel: &'a Cancel,
}

impl<R: io::Read> io::Read for Stoppable<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancel.is_cancelled() {
            return Err(io::Error::other("the call was cancelled"));
        }
        self.inner.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn dropping_the_call_stops_the_work() {
        let (started, is_started) = tokio::sync::oneshot::channel();
        let (stopped, is_stopped) = mpsc::channel();
        let cancel = Cancel::new();
        let call = off_thread(&cancel, move |stop| {
            let _ = started.send(());
            while !stop.is_cancelled() {
                std::thread::yield_now();
            }
            stopped.send(()).map_err(|error| ToolError::Fatal(error.to_string()))
        });
        tokio::select! {
            biased;
            _ = call => panic!("nothing has stopped it yet"),
            started = is_started => started.unwrap(),
        }
        is_stopped.recv().unwrap();
    }

    #[tokio::test]
    async fn a_panic_is_an_error_of_the_call() {
        let got = off_thread(&Cancel::new(), |_| -> Result<(), ToolError> { panic!("broken") }).await;
        assert!(matches!(got, Err(ToolError::Fatal(_))));
    }
}
