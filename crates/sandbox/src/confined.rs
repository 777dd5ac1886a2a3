//! A command in a kept sandbox, as the supervisor sees it: started, watched, signalled and ended like any other, though
//! it is no child of ours.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::Signal;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::environment::ours;
use crate::run::{Marker, Spec, Status};
use crate::{Error, Job, Kept, Report, Running};

/// A command in a kept sandbox. Dropped, it ends, and all that it started.
pub(crate) struct Confined {
    running: Arc<Running>,
    /// What was reported last: how it ended.
    last: Arc<Mutex<Option<Report>>>,
}

/// Starts the command in the sandbox, and returns the end of the pipe that its output comes from.
pub(crate) fn spawn(kept: &Kept, spec: &Spec, program: &str) -> Result<(Confined, OwnedFd), Error> {
    let failed = |source| Error::Start { program: program.to_owned(), source };
    let (reader, writer) = io::pipe().map_err(failed)?;
    let nothing =
        codetether_files::open_read("/dev/null").map_err(|error| failed(io::Error::other(error)))?;
    let mut env = ours();
    if let Some(Marker { name, value }) = &spec.marker {
        env.push((name.into(), value.into()));
    }
    let job = Job { argv: spec.argv.clone(), env, dir: spec.dir.clone(), time: None };
    let running = kept
        .spawn(&job, [nothing.as_fd(), writer.as_fd(), writer.as_fd()])
        .map_err(|fault| Error::Confine { program: program.to_owned(), cause: fault.to_string() })?;
    Ok((Confined { running: Arc::new(running), last: Arc::default() }, reader.into()))
}

impl Confined {
    /// Resolves when the command has ended.
    pub(crate) fn exited(&self) -> impl Future<Output = io::Result<()>> + use<> {
        let (running, last) = (Arc::clone(&self.running), Arc::clone(&self.last));
        async move {
            let handle = running.as_fd().try_clone_to_owned()?;
            #[allow(unsafe_code, reason = "the runtime has no safe way to watch a file descriptor")]
            // SAFETY: the `AsyncFd` owns the handle, and an `OwnedFd` names the same open file until it is dropped.
            let handle = unsafe { AsyncFd::register_with_interest(handle, Interest::READABLE) }?;
            loop {
                let mut ready = handle.readable().await?;
                match running.next()? {
                    Report::Note(_) => ready.clear_ready(),
                    report => {
                        *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(report);
                        return Ok(());
                    }
                }
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.running.signal(signal.as_raw());
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&self, program: &str) -> Result<Option<Status>, Error> {
        let confine = |cause| Error::Confine { program: program.to_owned(), cause };
        match self.last.lock().unwrap_or_else(PoisonError::into_inner).take() {
            None => Ok(None),
            Some(Report::Code(code)) => Ok(Some(Status::Code(code))),
            Some(Report::Signal(signal)) => Ok(Some(Status::Signal(signal))),
            Some(Report::TimeUp) => Ok(Some(Status::TimedOut)),
            Some(Report::NotRun { cause, .. }) => Err(confine(cause)),
            Some(Report::Failed(fault)) => Err(confine(fault.to_string())),
            Some(Report::Ready | Report::WayOut | Report::Note(_)) => {
                Err(confine("the sandbox said something that makes no sense here".to_owned()))
            }
        }
    }
}
