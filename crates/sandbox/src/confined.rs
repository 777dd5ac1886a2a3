//! A command in a kept sandbox, as the supervisor sees it: started, watched, signalled and ended like any other, though
//! it is no child of ours.

use std::io;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::environment::ours;
use crate::run::{Ends, Line, Marker, Spec, Status};
use crate::{Error, Job, Kept, Report, Running, Streams, terminal};

/// Most notes that are kept of one command.
const NOTES: usize = 20;

/// A command in a kept sandbox. Dropped, it ends, and all that it started.
pub(crate) struct Confined {
    running: Arc<Running>,
    /// It stays for as long as this runs, also where later commands have another.
    kept: Arc<Kept>,
    told: Arc<Mutex<Told>>,
}

/// What was reported.
#[derive(Default)]
struct Told {
    /// How it ended.
    last: Option<Report>,
    /// What happened beside.
    notes: Vec<String>,
}

/// Starts the command in the sandbox, and returns our ends of what it reads and writes; of a terminal's, see
/// [`Confined::terminal`].
pub(crate) fn spawn(
    kept: Arc<Kept>,
    spec: &mut Spec,
    program: &str,
) -> Result<(Confined, Option<Line>), Error> {
    let failed = |source| Error::Start { program: program.to_owned(), source };
    let (reader, writer) = io::pipe().map_err(failed)?;
    let writer = OwnedFd::from(writer);
    let nothing =
        codetether_files::open_read("/dev/null").map_err(|error| failed(io::Error::other(error)))?;
    let mut env = ours();
    let at_terminal = matches!(spec.ends, Ends::Terminal(_));
    if at_terminal {
        env.push(("TERM".into(), terminal::KIND.into()));
    }
    let (mut fed, mut feed, mut errors) = (None, None, None);
    match &spec.ends {
        Ends::Fed(_) => {
            let (ours, theirs) = io::pipe().map(|(fed, feed)| (feed, fed)).map_err(failed)?;
            (fed, feed) = (Some(OwnedFd::from(theirs)), Some(ours.into()));
        }
        Ends::Apart(_) => {
            if let Ends::Apart(Streams { input, errors: theirs }) = std::mem::take(&mut spec.ends) {
                (fed, errors) = (Some(input), Some(theirs));
            }
        }
        Ends::Nothing | Ends::Terminal(_) => {}
    }
    if let Some(Marker { name, value }) = &spec.marker {
        env.push((name.into(), value.into()));
    }
    let job = Job { argv: spec.argv.clone(), env, dir: spec.dir.clone(), time: None, terminal: at_terminal };
    let confine = |cause: String| Error::Confine { program: program.to_owned(), cause };
    let input = fed.as_ref().map_or(nothing.as_fd(), AsFd::as_fd);
    let running = kept
        .spawn(&job, [input, writer.as_fd(), errors.as_ref().unwrap_or(&writer).as_fd()])
        .map_err(|fault| confine(fault.to_string()))?;
    let confined = Confined { running: Arc::new(running), kept, told: Arc::default() };
    let line = (!at_terminal).then(|| Line { from: reader.into(), to: feed, is_terminal: false });
    Ok((confined, line))
}

impl Confined {
    /// Our end of its terminal: it comes from inside, as soon as the command's own process 1 stands.
    pub(crate) async fn terminal(&self, program: &str) -> Result<Line, Error> {
        let confine = |cause: String| Error::Confine { program: program.to_owned(), cause };
        let running = Arc::clone(&self.running);
        let waited = tokio::task::spawn_blocking(move || running.terminal()).await;
        let from = waited.map_err(|error| confine(error.to_string()))?;
        let from = from.map_err(|fault| confine(fault.to_string()))?;
        let to = from.try_clone().map_err(|error| confine(error.to_string()))?;
        Ok(Line { from, to: Some(to), is_terminal: true })
    }

    /// Resolves when the command has ended.
    pub(crate) fn exited(&self) -> impl Future<Output = io::Result<()>> + use<> {
        let (running, told) = (Arc::clone(&self.running), Arc::clone(&self.told));
        async move {
            let handle = running.as_fd().try_clone_to_owned()?;
            #[allow(unsafe_code, reason = "the runtime has no safe way to watch a file descriptor")]
            // SAFETY: the `AsyncFd` owns the handle, and an `OwnedFd` names the same open file until it is dropped.
            let handle = unsafe { AsyncFd::register_with_interest(handle, Interest::READABLE) }?;
            loop {
                let mut ready = handle.readable().await?;
                while is_readable(&running) {
                    let mut told = lock(&told);
                    match running.next()? {
                        Report::Note(note) if told.notes.len() < NOTES => told.notes.push(note),
                        Report::Note(_) => {}
                        report => {
                            told.last = Some(report);
                            return Ok(());
                        }
                    }
                }
                ready.clear_ready();
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.running.signal(signal.as_raw());
    }

    /// What happened beside, for people.
    pub(crate) fn notes(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.told).notes)
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&self, program: &str) -> Result<Option<Status>, Error> {
        let confine = |cause| Error::Confine { program: program.to_owned(), cause };
        match lock(&self.told).last.take() {
            Some(Report::Signal(libc::SIGKILL)) if self.kept.is_gone() => Err(confine(
                "the sandbox was ended while it ran, by a signal from outside or for lack of memory; the next command gets a new one"
                    .to_owned(),
            )),
            None => Ok(None),
            Some(Report::Code(code)) => Ok(Some(Status::Code(code))),
            Some(Report::Signal(signal)) => Ok(Some(Status::Signal(signal))),
            Some(Report::TimeUp) => Ok(Some(Status::TimedOut)),
            Some(Report::NotRun { cause, .. }) => Err(confine(cause)),
            Some(Report::Failed(fault)) => Err(confine(fault.to_string())),
            Some(Report::Ready | Report::WayOut | Report::Terminal | Report::Note(_)) => {
                Err(confine("the sandbox said something that makes no sense here".to_owned()))
            }
        }
    }
}

fn lock(told: &Mutex<Told>) -> MutexGuard<'_, Told> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether there is a report, or the end of all reports.
fn is_readable(running: &Running) -> bool {
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(running, PollFlags::IN)], Some(&at_once)).is_ok_and(|count| count > 0)
}
