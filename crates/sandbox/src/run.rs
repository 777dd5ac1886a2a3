//! One supervised run of one command. Waits for the command's exit, not for its output to be closed: something that
//! it left behind may hold that for ever.

use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::pin::pin;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, ioctl_fionread};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, getpgid, kill_process, kill_process_group, pidfd_open,
    waitid,
};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::confined::{self, Confined};
use crate::output::Output;
use crate::{Ended, Error, Kept, Streams, kill_marked, terminal};

/// How long a command that is told to stop may tidy up before it is killed.
const GRACE: Duration = Duration::from_millis(250);

/// How long a killed command may take to be gone: microseconds, unless the kernel holds it or it is not ours to kill.
const DEATH: Duration = Duration::from_secs(1);

/// More than a terminal holds.
const TERMINAL: u64 = 256 * 1024;

/// What one read takes; also what a pipe holds by default.
const READ: usize = 64 * 1024;

/// What every byte of a command's output goes through before it is kept, written to a file or shown: how secrets are
/// taken out of it. It may hold bytes back, as many as it needs to decide about them.
pub trait Filter: Send {
    /// Takes the next bytes, and adds to `out` what may pass.
    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>);
    /// Adds to `out` what was held back: nothing more comes.
    fn finish(&mut self, out: &mut Vec<u8>);
}

/// What to run, and within which bounds.
pub struct Spec {
    /// Program and arguments. A program without a slash is looked for in the `PATH` of `env`.
    pub argv: Vec<OsString>,
    /// The folder to run in.
    pub dir: PathBuf,
    /// The whole environment; nothing else is inherited. [`crate::environment`] makes one without secrets.
    pub env: Vec<(OsString, OsString)>,
    /// Added to the environment; when the command is stopped, whatever carries it is killed, even outside the group.
    pub marker: Option<Marker>,
    /// Longest run.
    pub time: Duration,
    /// Bytes of output to keep in memory: half from the start, half from the end.
    pub keep: usize,
    /// A new file for the whole output, created (owner only) once that is longer than `keep`.
    pub spool: PathBuf,
    /// Most bytes of output that go into that file.
    pub spool_max: u64,
    /// The sandbox that it runs in, with the environment that this gives: of `env` it has what commands have in addition
    /// to what they inherit. Without one it runs on the machine as it is.
    pub confined: Option<Arc<Kept>>,
    /// What it reads from and writes to.
    pub ends: Ends,
    /// What the output goes through; all that is counted, kept, written and shown is what comes out of it.
    pub filter: Option<Box<dyn Filter>>,
}

/// What a command reads from and writes to.
#[derive(Debug, Default)]
pub enum Ends {
    /// It has no input; its output and errors come through one pipe.
    #[default]
    Nothing,
    /// The same, but it is given what comes from here.
    Fed(Typing),
    /// It reads this, and its standard error does not go into its output.
    Apart(Streams),
    /// A terminal of its own, at which this is typed; without anything, the end of input is.
    Terminal(Option<Typing>),
}

/// Where the input of a command comes from.
pub type Typing = mpsc::Receiver<Typed>;

/// Input of a command.
#[derive(Debug)]
pub struct Typed {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Whether nothing more comes after them.
    pub is_last: bool,
    /// Told when all was taken, or that it will not be.
    pub taken: oneshot::Sender<io::Result<()>>,
}

/// Our ends of what a command reads and writes.
pub(crate) struct Line {
    pub(crate) from: OwnedFd,
    pub(crate) to: Option<OwnedFd>,
    pub(crate) is_terminal: bool,
}

/// A variable that only the processes of one run have in their environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// The variable.
    pub name: String,
    /// A value that nothing else has.
    pub value: String,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// By itself, with this code.
    Code(i32),
    /// By a signal that was not ours.
    Signal(i32),
    /// It ran out of time and was killed.
    TimedOut,
    /// It was told to stop and was killed.
    Cancelled,
}

/// Runs a command to its end, within its bounds. Standard output and error come through one pipe, in the order in
/// which they were written; `on_output` sees every piece, cut anywhere, also inside characters (see
/// [`crate::Decoder`]).
///
/// When the time is up or `cancel` fires, the group gets SIGTERM, at most 250 ms later SIGKILL, and then everything
/// that carries the marker is killed. What a kill does not end within a second is left alone and told by
/// [`Ended::unkilled`]. When the command ends by itself, what it left running in the background goes
/// on, but its output is no longer read. Dropping the future kills the group at once.
///
/// # Errors
/// When the command cannot be started or watched. Its own failure is a [`Status`].
pub async fn run(
    mut spec: Spec,
    on_output: &mut (dyn FnMut(&[u8]) + Send),
    cancel: &CancellationToken,
) -> Result<Ended, Error> {
    let program = spec.argv.first().ok_or(Error::Empty)?.to_string_lossy().into_owned();
    let start = Instant::now();
    let (mut group, line) = match spec.confined.take() {
        Some(kept) => {
            let (confined, line) = confined::spawn(kept, &mut spec, &program)?;
            let line = match line {
                Some(line) => line,
                None => confined.terminal(&program).await?,
            };
            (Work::Confined(confined), line)
        }
        None => {
            let (group, line) = spawn(&mut spec, &program)?;
            (Work::Bare(group), line)
        }
    };
    let watch = |source| Error::Watch { program: program.clone(), source };

    let mut output = Output::new(spec.keep, spec.spool, spec.spool_max);
    let is_terminal = line.is_terminal;
    let mut feeding = pin!(feed(spec.ends, line.to, is_terminal));
    let mut is_fed = false;
    let mut pipe = Pipe::new(line.from, is_terminal).map_err(watch)?;
    let mut filter = spec.filter.take();
    let mut passed = Vec::new();
    // The next bytes, or none: the end.
    let mut take = |piece: Option<&[u8]>| {
        let piece = match (&mut filter, piece) {
            (Some(filter), piece) => {
                passed.clear();
                match piece {
                    Some(piece) => filter.push(piece, &mut passed),
                    None => filter.finish(&mut passed),
                }
                passed.as_slice()
            }
            (None, piece) => piece.unwrap_or_default(),
        };
        if !piece.is_empty() {
            output.push(piece);
            on_output(piece);
        }
    };

    let mut exit = pin!(group.exited());
    let mut time = pin!(tokio::time::sleep(spec.time));
    let mut cancelled = pin!(cancel.cancelled());
    let mut is_exited = false;
    let stopped = loop {
        tokio::select! {
            biased;
            () = &mut cancelled => break Some(Status::Cancelled),
            () = &mut time => break Some(Status::TimedOut),
            exited = &mut exit => { exited.map_err(watch)?; is_exited = true; break None }
            () = &mut feeding, if !is_fed => is_fed = true,
            piece = pipe.read() => take(Some(piece.map_err(watch)?)),
        }
    };
    if stopped.is_some() {
        group.signal(Signal::TERM);
        // Over when the command has exited and nothing holds its output any more: all of the group are gone.
        let tidied = async {
            while !is_exited || pipe.receiver.is_some() {
                tokio::select! {
                    exited = &mut exit, if !is_exited => { exited?; is_exited = true; }
                    piece = pipe.read() => take(Some(piece?)),
                }
            }
            Ok(())
        };
        if let Ok(Err(error)) = tokio::time::timeout(GRACE, tidied).await {
            return Err(watch(error));
        }
        group.signal(Signal::KILL);
        if !is_exited && let Ok(exited) = tokio::time::timeout(DEATH, exit).await {
            exited.map_err(watch)?;
            is_exited = true;
        }
    }
    pipe.drain(&mut |piece| take(Some(piece))).map_err(watch)?;
    take(None);
    let notes = group.notes();
    let reaped = group.reap(if is_exited { DEATH } else { Duration::ZERO }, &program).await?;
    // If it is still there, somebody else waits for it from here on.
    drop(group);
    let mut unkilled = Vec::new();
    if stopped.is_some() && reaped.is_none() {
        unkilled.push(format!("`{program}` could not be killed and may still run"));
    }
    if let (Some(_), Some(Marker { name, value })) = (stopped, spec.marker) {
        let sweep = tokio::task::spawn_blocking(move || kill_marked(&name, &value));
        let swept = sweep.await.map_err(|error| watch(io::Error::other(error)))?;
        unkilled.extend(swept.err().map(|error| error.to_string()));
    }
    let status = match (stopped, reaped) {
        (Some(status), _) => status,
        (None, Some(status)) => status,
        (None, None) => {
            return Err(watch(io::Error::other(
                "it has exited, but something that traces it keeps its status",
            )));
        }
    };
    let unkilled = (!unkilled.is_empty()).then(|| unkilled.join("; "));
    Ok(Ended { unkilled, notes, ..output.finish(status, start.elapsed()) })
}

/// Starts the command as the leader of a group of its own, and returns our ends of what it reads and writes.
fn spawn(spec: &mut Spec, program: &str) -> Result<(Group, Line), Error> {
    let failed = |source| Error::Start { program: program.to_owned(), source };
    let name = spec.argv.first().ok_or(Error::Empty)?;
    let path = find(name, spec).ok_or_else(|| Error::NotFound { program: program.to_owned() })?;
    if let Ends::Terminal(_) = spec.ends {
        return spawn_at_terminal(spec, path, program);
    }
    let (reader, writer) = io::pipe().map_err(failed)?;
    let mut errors = Stdio::from(writer.try_clone().map_err(failed)?);
    let (input, to) = match std::mem::take(&mut spec.ends) {
        Ends::Apart(Streams { input, errors: theirs }) => {
            errors = Stdio::from(theirs);
            (Stdio::from(input), None)
        }
        Ends::Fed(typing) => {
            spec.ends = Ends::Fed(typing);
            let (fed, feed) = io::pipe().map_err(failed)?;
            (Stdio::from(fed), Some(feed.into()))
        }
        Ends::Nothing | Ends::Terminal(_) => (Stdio::null(), None),
    };
    // With a path for a program and nothing to do in the child, `Command` takes its `posix_spawn` way, which does
    // not copy our page tables. The command is dropped at the end, and with it our ends for writing.
    //
    // The group stays in our session, since `posix_spawn` as it is used here starts no session: a program that opens
    // `/dev/tty` by itself (`ssh`, `sudo`) finds the terminal. Reading there stops it until its time is up.
    let mut command = prepared(spec, path);
    command.stdin(input).stdout(writer).stderr(errors).process_group(0);
    let group = started(command, spec, program)?;
    Ok((group, Line { from: reader.into(), to, is_terminal: false }))
}

/// The same at a terminal of its own: there it is in a session of its own too, and `/dev/tty` is that terminal.
fn spawn_at_terminal(spec: &Spec, path: PathBuf, program: &str) -> Result<(Group, Line), Error> {
    let failed = |source| Error::Start { program: program.to_owned(), source };
    let (from, theirs) = terminal::open().map_err(|errno| failed(errno.into()))?;
    let mut command = prepared(spec, path);
    let copy = || theirs.try_clone().map_err(failed);
    command.stdin(copy()?).stdout(copy()?).stderr(theirs.try_clone().map_err(failed)?);
    command.env("TERM", terminal::KIND);
    terminal::run_at(&mut command, &from).map_err(failed)?;
    let group = started(command, spec, program)?;
    let to = Some(from.try_clone().map_err(failed)?);
    Ok((group, Line { from, to, is_terminal: true }))
}

fn prepared(spec: &Spec, path: PathBuf) -> Command {
    let mut command = Command::new(path);
    command
        .args(spec.argv.iter().skip(1))
        .current_dir(&spec.dir)
        .env_clear()
        .envs(spec.env.iter().map(|(name, value)| (name, value)));
    if let Some(name) = spec.argv.first() {
        command.arg0(name);
    }
    if let Some(Marker { name, value }) = &spec.marker {
        command.env(name, value);
    }
    command
}

/// The command is dropped at the end, and with it its ends.
fn started(mut command: Command, spec: &Spec, program: &str) -> Result<Group, Error> {
    let child = command.spawn().map_err(|source| {
        if spec.dir.is_dir() {
            Error::Start { program: program.to_owned(), source }
        } else {
            Error::NoFolder { program: program.to_owned(), dir: spec.dir.clone() }
        }
    })?;
    Ok(Group { leader: Pid::from_child(&child), child: Some(child) })
}

/// Gives a command what it is to read, as fast as it reads.
async fn feed(ends: Ends, to: Option<OwnedFd>, is_terminal: bool) {
    let (Some(to), Ends::Fed(_) | Ends::Terminal(_)) = (to, &ends) else { return };
    let Ok(mut to) = writable(to) else { return };
    let (Ends::Fed(mut typing) | Ends::Terminal(Some(mut typing))) = ends else {
        // Nobody types.
        let _ = to.write_all(&[terminal::END_OF_INPUT]).await;
        return;
    };
    while let Some(Typed { mut bytes, is_last, taken }) = typing.recv().await {
        if is_last && is_terminal {
            bytes.push(terminal::END_OF_INPUT);
        }
        let written = to.write_all(&bytes).await;
        let broken = written.is_err();
        // Whoever typed may no longer wait.
        let _ = taken.send(written);
        if broken || (is_last && !is_terminal) {
            return;
        }
    }
}

fn writable(to: OwnedFd) -> io::Result<Sender> {
    fcntl_setfl(&to, fcntl_getfl(&to)? | OFlags::NONBLOCK)?;
    Sender::from_owned_fd_unchecked(to)
}

/// Where the program is: what a shell would run in the folder and with the `PATH` of the specification.
fn find(name: &OsStr, spec: &Spec) -> Option<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        let path = spec.dir.join(name);
        return path.exists().then_some(path);
    }
    let path = spec.env.iter().rfind(|(variable, _)| variable == "PATH").map(|(_, value)| value.as_os_str());
    let runs = |file: Metadata| file.is_file() && file.permissions().mode() & 0o111 != 0;
    std::env::split_paths(path.unwrap_or(OsStr::new("/usr/local/bin:/usr/bin:/bin")))
        .map(|folder| spec.dir.join(folder).join(name))
        .find(|path| !name.is_empty() && path.metadata().is_ok_and(runs))
}

/// What runs.
enum Work {
    Bare(Group),
    Confined(Confined),
}

impl Work {
    /// Resolves when the command has ended.
    fn exited(&self) -> impl Future<Output = io::Result<()>> + use<> {
        let (bare, confined) = match self {
            Self::Bare(group) => (Some(group.leader), None),
            Self::Confined(confined) => (None, Some(confined.exited())),
        };
        async move {
            match (bare, confined) {
                (Some(leader), _) => exited(leader).await,
                (_, Some(confined)) => confined.await,
                (None, None) => Ok(()),
            }
        }
    }

    fn signal(&self, signal: Signal) {
        match self {
            Self::Bare(group) => group.signal(signal),
            Self::Confined(confined) => confined.signal(signal),
        }
    }

    /// What happened beside, for people.
    fn notes(&self) -> Vec<String> {
        match self {
            Self::Bare(_) => Vec::new(),
            Self::Confined(confined) => confined.notes(),
        }
    }

    /// How it ended; `None` when that is not to be had in this time.
    async fn reap(&mut self, within: Duration, program: &str) -> Result<Option<Status>, Error> {
        let group = match self {
            Self::Confined(confined) => return confined.ended(program),
            Self::Bare(group) => group,
        };
        let watch = |source| Error::Watch { program: program.to_owned(), source };
        let status = group.reap(within).await.map_err(watch)?;
        Ok(status.map(|status| match (status.code(), status.signal()) {
            (Some(code), _) => Status::Code(code),
            (None, signal) => Status::Signal(signal.unwrap_or_default()),
        }))
    }
}

/// A running process group. Dropped before it was reaped, it kills all of it.
struct Group {
    leader: Pid,
    /// Until it is reaped, the leader's number, and so the group's, cannot go to anyone else.
    child: Option<Child>,
}

impl Group {
    fn signal(&self, signal: Signal) {
        if self.child.is_none() {
            return;
        }
        // Fails when nobody is left in it, or nobody that is ours to kill.
        let _ = kill_process_group(self.leader, signal);
        if getpgid(Some(self.leader)).is_ok_and(|group| group != self.leader) {
            // It went into another group of our session.
            let _ = kill_process(self.leader, signal);
        }
    }

    /// Takes the exit status; `None` when it is not to be had in this time.
    async fn reap(&mut self, within: Duration) -> io::Result<Option<ExitStatus>> {
        let Some(child) = &mut self.child else { return Ok(None) };
        let start = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                self.child = None;
                return Ok(Some(status));
            }
            if start.elapsed() >= within {
                return Ok(None);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        if let Some(mut child) = self.child.take() {
            // It dies within microseconds, unless the kernel holds it: that must not hold us.
            let _ = std::thread::Builder::new().name("reap".to_owned()).spawn(move || child.wait());
        }
    }
}

/// Resolves when the process has exited, and leaves it to be reaped.
async fn exited(pid: Pid) -> io::Result<()> {
    match pidfd_open(pid, PidfdFlags::NONBLOCK) {
        Ok(handle) => {
            #[allow(unsafe_code, reason = "the runtime has no safe way to watch a file descriptor")]
            // SAFETY: the `AsyncFd` owns the handle, and an `OwnedFd` names the same open file until it is dropped.
            let handle = unsafe { AsyncFd::register_with_interest(handle, Interest::READABLE) }?;
            handle.readable().await.map(|_| ())
        }
        // Kernels and sandboxes without pidfds.
        Err(_) => {
            let wait = move || waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
            tokio::task::spawn_blocking(wait).await.map_err(io::Error::other)??;
            Ok(())
        }
    }
}

/// Our end of the output.
struct Pipe {
    /// `None` once the other end was closed.
    receiver: Option<Receiver>,
    buffer: Vec<u8>,
    is_terminal: bool,
}

/// Whether that is how a terminal says that nobody is at its other side any more.
fn hung_up(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EIO)
}

impl Pipe {
    fn new(from: OwnedFd, is_terminal: bool) -> io::Result<Self> {
        let receiver = if is_terminal {
            // It does not block since it was made.
            Receiver::from_owned_fd_unchecked(from)?
        } else {
            Receiver::from_owned_fd(from)?
        };
        Ok(Self { receiver: Some(receiver), buffer: Vec::with_capacity(READ), is_terminal })
    }

    /// The next piece; pending for ever once there can be none.
    async fn read(&mut self) -> io::Result<&[u8]> {
        let Some(receiver) = &mut self.receiver else { return pending().await };
        self.buffer.clear();
        match receiver.read_buf(&mut self.buffer).await {
            Ok(0) => self.receiver = None,
            Ok(_) => {}
            Err(error) if self.is_terminal && hung_up(&error) => self.receiver = None,
            Err(error) => return Err(error),
        }
        Ok(&self.buffer)
    }

    /// Takes what is there at this moment, and no more: something may still be writing.
    fn drain(&mut self, take: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let Some(receiver) = &self.receiver else { return Ok(()) };
        // A terminal does not say how much is on its way.
        let mut left = if self.is_terminal { TERMINAL } else { ioctl_fionread(receiver)? };
        while left > 0 {
            self.buffer.clear();
            // Not through the runtime, which may not have heard yet that there is something to read.
            match rustix::io::read(receiver, spare_capacity(&mut self.buffer)) {
                Ok(0) | Err(Errno::AGAIN) => break,
                Err(Errno::IO) if self.is_terminal => break,
                Ok(count) => left = left.saturating_sub(count as u64),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            take(&self.buffer);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_cannot_be_reaped_does_not_hold_us() {
        let dir = tempfile::tempdir().unwrap();
        let mut spec = Spec {
            argv: ["sleep", "600"].map(OsString::from).to_vec(),
            dir: dir.path().to_owned(),
            env: vec![("PATH".into(), std::env::var_os("PATH").unwrap())],
            marker: None,
            time: Duration::MAX,
            keep: 0,
            spool: dir.path().join("out"),
            spool_max: 0,
            confined: None,
            ends: Ends::Nothing,
            filter: None,
        };
        let (mut group, _line) = spawn(&mut spec, "sleep").unwrap();
        assert_eq!(group.reap(Duration::from_millis(20)).await.unwrap(), None);
        group.signal(Signal::KILL);
        exited(group.leader).await.unwrap();
        assert_eq!(group.reap(DEATH).await.unwrap().and_then(|status| status.signal()), Some(9));
        assert_eq!(group.reap(DEATH).await.unwrap(), None, "its number may be another's by now");
    }
}
