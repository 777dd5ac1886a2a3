//! A sandbox that stays: its root, mounts and network are made once, and each command gets a process namespace of its
//! own in it, so that one costs little and nothing that it leaves behind meets the next. A process of this program
//! holds it (one with a single thread, which the asking one need not be); whoever has the [`Kept`] is its only master,
//! and when that is dropped, all inside ends.

use std::ffi::OsStr;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, WaitOptions};

use super::again::Beside;
use super::build::Stay;
use super::deep::Turns;
use super::enter::Terminal;
use super::fault::{Doing, Fault};
use super::host::Host;
use super::init::Holder;
use super::policy::Policy;
use super::sys::{self, Disposition, Side};
use super::tier::Way;
use super::wire::{self, Job, Report};
use super::{Plan, build, init, wait_for};
use crate::terminal;

/// A sandbox that stays until this is dropped.
#[derive(Debug)]
pub struct Kept {
    holder: Child,
    requests: Mutex<Option<OwnedFd>>,
    notes: Vec<String>,
    way_out: Option<TcpListener>,
}

impl Kept {
    /// Makes one: `program` is this program (`/proc/self/exe`), started as `sandbox keep`.
    ///
    /// # Errors
    /// When it cannot be set up.
    pub fn start(program: &Path, policy: &Policy) -> Result<Self, Fault> {
        let (near, far) = wire::pair().doing(|| "making a pair of sockets")?;
        let mut command = Command::new(program);
        command.args(["sandbox", "keep"].map(OsStr::new));
        command.stdin(Stdio::from(far)).stdout(Stdio::null()).stderr(Stdio::null());
        let holder = command.spawn().doing(|| format!("starting `{} sandbox keep`", program.display()))?;
        // It has the other end now, and only it.
        drop(command);
        let greeting = greet(&near, policy);
        // From here on, dropping this ends what was started, also where that failed.
        let mut kept = Self { holder, requests: Mutex::new(Some(near)), notes: Vec::new(), way_out: None };
        (kept.notes, kept.way_out) = greeting?;
        Ok(kept)
    }

    /// What people should hear of how it was set up.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What connections to the way out come in by, if the policy has one; whoever takes it leads them.
    pub fn take_way_out(&mut self) -> Option<TcpListener> {
        self.way_out.take()
    }

    /// Whether it was ended from outside: by a signal, or for lack of memory. Nothing can run in it any more.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(requests) = requests.as_ref() else { return true };
        let mut fds = [PollFd::new(requests, PollFlags::IN)];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        // What holds it says nothing more once it stands.
        !matches!(poll(&mut fds, Some(&at_once)), Ok(0) | Err(Errno::INTR))
    }

    /// Starts a command, with these as its standard input, output and error. What `job` has as environment is added to
    /// what the policy gives. Does not wait: not for the command, and not for its start.
    ///
    /// # Errors
    /// When the sandbox is gone.
    pub fn spawn(&self, job: &Job, descriptors: [BorrowedFd<'_>; 3]) -> Result<Running, Fault> {
        let (near, far) = wire::pair().doing(|| "making a pair of sockets")?;
        let [input, output, error] = descriptors;
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = || Fault::new("passing a command on", "the sandbox is gone");
        wire::send(requests.as_ref().ok_or_else(gone)?, &job.encode()?, &[input, output, error, far.as_fd()])
            .doing(|| "passing a command on")?;
        Ok(Running { status: near })
    }
}

/// Passes the policy on, and waits until the sandbox stands. Gives what people should hear, and the way out.
fn greet(holder: &OwnedFd, policy: &Policy) -> Result<(Vec<String>, Option<TcpListener>), Fault> {
    let policy =
        serde_json::to_vec(policy).map_err(|error| Fault::new("passing the policy on", error.to_string()))?;
    wire::send(holder, &policy, &[]).doing(|| "passing the policy on")?;
    let (mut notes, mut way_out) = (Vec::new(), None);
    loop {
        match wire::next_report(holder).doing(|| "waiting for the sandbox")? {
            Some((Report::Ready, _)) => return Ok((notes, way_out)),
            Some((Report::WayOut, mut listener)) => way_out = listener.pop().map(TcpListener::from),
            Some((Report::Note(note), _)) => notes.push(note),
            Some((Report::Failed(fault), _)) => return Err(fault),
            Some(_) | None => {
                return Err(Fault::new("waiting for the sandbox", "the process that holds it ended early"));
            }
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // The holder ends when nobody can ask for anything any more; with it all inside does.
        drop(self.requests.get_mut().unwrap_or_else(PoisonError::into_inner).take());
        let _ = self.holder.wait();
    }
}

/// A command in a kept sandbox. When this is dropped, it ends, and all that it started.
#[derive(Debug)]
pub struct Running {
    status: OwnedFd,
}

impl Running {
    /// Waits for the next report; [`Report::Note`] is never the last. A command that was killed together with its
    /// process 1 is told as [`Report::Signal`].
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn next(&self) -> io::Result<Report> {
        Ok(wire::next_report(&self.status)?.map_or(Report::Signal(libc::SIGKILL), |(report, _)| report))
    }

    /// Waits for our side of the command's terminal, where it was started with one.
    ///
    /// # Errors
    /// Why there is none: then nothing runs.
    pub fn terminal(&self) -> Result<OwnedFd, Fault> {
        let doing = "waiting for the command's terminal";
        loop {
            match wire::next_report(&self.status).doing(|| doing)? {
                Some((Report::Terminal, mut ours)) => {
                    return ours.pop().ok_or_else(|| Fault::new(doing, "it came without its descriptor"));
                }
                Some((Report::Note(_), _)) => {}
                Some((Report::Failed(fault), _)) => return Err(fault),
                Some(_) | None => return Err(Fault::new(doing, "the command ended before it had one")),
            }
        }
    }

    /// Sends a signal to the command's group. That it has ended meanwhile is no error.
    pub fn signal(&self, signal: i32) {
        if let Ok(signal) = u8::try_from(signal) {
            let _ = rustix::net::send(&self.status, &[signal], rustix::net::SendFlags::NOSIGNAL);
        }
    }
}

/// Readable when there is a report.
impl AsFd for Running {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.status.as_fd()
    }
}

/// Holds a sandbox for whoever is at the other end of standard input, until that closes: what `sandbox keep` does.
/// This process must have one thread. Gives what to exit with.
#[must_use]
pub fn keep() -> u8 {
    match hold(rustix::stdio::stdin()) {
        Ok(()) => 0,
        Err(fault) => {
            // Whoever asked may be gone, too.
            let _ = wire::report(rustix::stdio::stdin(), &Report::Failed(fault));
            125
        }
    }
}

fn hold(master: BorrowedFd<'_>) -> Result<(), Fault> {
    // What is typed at the terminal of whoever asked is not for this process. Where it leads a session already, there
    // is none.
    let _ = rustix::process::setsid();
    sys::close_on_exec(3).doing(|| "closing descriptors")?;
    let Some((policy, _)) = wire::receive(master).doing(|| "reading the policy")? else { return Ok(()) };
    let policy: Policy = serde_json::from_slice(&policy)
        .map_err(|error| Fault::new("reading the policy", error.to_string()))?;
    let mut plan = Plan::new(&policy, &Host::here())?;
    for note in plan.notes().iter().cloned().chain(plan.prepare()?) {
        wire::report(master, &Report::Note(note)).doing(|| "reporting")?;
    }
    let holder = match plan.fork()? {
        Side::Child => {
            let end = plan.set_up(master, Stay::Kept).and_then(|()| serve(&mut plan, master));
            if let Err(fault) = &end {
                let _ = wire::report(master, &Report::Failed(fault.clone()));
            }
            std::process::exit(if end.is_ok() { 0 } else { 125 });
        }
        Side::Parent(pid) => pid,
    };
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    // The holder alone has this end now: when it is gone, whoever asks hears that at once.
    let nothing = codetether_files::open_read("/dev/null")
        .map_err(|error| Fault::new("opening `/dev/null`", error.to_string()))?;
    rustix::stdio::dup2_stdin(&nothing).doing(|| "leaving the commands to the holder")?;
    wait_for(holder);
    // Nobody is there to hear of it.
    drop(plan.disarm_layers());
    Ok(())
}

/// In the new root, as process 1: starts what is asked for.
fn serve(plan: &mut Plan, master: BorrowedFd<'_>) -> Result<(), Fault> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).doing(|| "hiding process 1")?;
    // Nobody waits for a command's process 1: it tells by itself how it went.
    sys::set_disposition(libc::SIGCHLD, Disposition::Ignore);
    // What was asked for over a terminal is for the commands that have it.
    for signal in [libc::SIGINT, libc::SIGQUIT, libc::SIGHUP, libc::SIGTERM] {
        sys::set_disposition(signal, Disposition::Ignore);
    }
    wire::report(master, &Report::Ready).doing(|| "reporting")?;
    // Closes with this process, or when it has nothing more to do.
    let (holder, held) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .doing(|| "making a pipe to the commands")?;
    let mut held = Some(held);
    let turns = Turns::new()?;
    let mut first = true;
    // An end of a pipe for each command; the other is open while the command runs.
    let mut running: Vec<OwnedFd> = Vec::new();
    while let Some((request, descriptors)) = wire::receive(master).doing(|| "waiting for a command")? {
        let [input, output, error, status] = <[OwnedFd; 4]>::try_from(descriptors)
            .map_err(|_| Fault::new("waiting for a command", "one came without its descriptors"))?;
        // What was made here since by commands, or outside: repositories, settings, secrets.
        running.retain(is_open);
        let beside = if running.is_empty() { Beside::Nobody } else { Beside::Others };
        if !std::mem::take(&mut first)
            && let Err(fault) = plan.guard_again(beside)
        {
            // Whoever wanted it run may have gone.
            let _ = wire::report(&status, &Report::Failed(fault));
            continue;
        }
        let (ended, runs) = match rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC) {
            Ok(ends) => ends,
            Err(errno) => {
                let _ =
                    wire::report(&status, &Report::Failed(Fault::of("making a pipe to a command", errno)));
                continue;
            }
        };
        running.push(ended);
        let namespaces = if plan.way == Way::Namespaces { libc::CLONE_NEWPID | libc::CLONE_NEWNS } else { 0 };
        match sys::fork(namespaces) {
            Ok(Side::Parent(_)) => {}
            Ok(Side::Child) => {
                drop(held.take());
                let holder = Holder { held: &holder, turns: &turns, runs: Some(runs) };
                std::process::exit(command(plan, &request, [input, output, error], &status, holder));
            }
            Err(errno) => {
                let fault = Fault::of("making a process namespace for a command", errno);
                let _ = wire::report(&status, &Report::Failed(fault));
            }
        }
    }
    // Each command's process 1 sees that, ends the command, and disarms what it made. If this ended first, the kernel would
    // take them all along. As nobody waits for them, this returns when none is left.
    drop(held.take());
    while let Ok(Some(_)) | Err(Errno::INTR) = rustix::process::wait(WaitOptions::empty()) {}
    Ok(())
}

/// Whether the other end of a pipe is open.
fn is_open(end: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(end, PollFlags::IN)];
    matches!(poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(0) | Err(Errno::INTR))
}

/// As process 1 of a command's own process namespace.
fn command(
    plan: &Plan,
    request: &[u8],
    descriptors: [OwnedFd; 3],
    status: &OwnedFd,
    holder: Holder<'_>,
) -> i32 {
    let ready = || {
        for signal in [libc::SIGINT, libc::SIGQUIT, libc::SIGHUP, libc::SIGTERM] {
            sys::set_disposition(signal, Disposition::Default);
        }
        hand_over(&descriptors)?;
        match plan.way {
            Way::Namespaces => build::own_proc(plan.processes)?,
            Way::Landlock | Way::Unconfined => {
                rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
                    .doing(|| "taking over what the command leaves behind")?;
            }
        }
        let mut job = Job::decode(request)?;
        let own = std::mem::take(&mut job.env);
        job.env = plan
            .environment
            .iter()
            .filter(|(name, _)| own.iter().all(|(other, _)| other != name))
            .cloned()
            .collect();
        job.env.extend(own);
        job.time = job.time.or(plan.time);
        let ours = if job.terminal { Some(own_terminal(status)?) } else { None };
        Ok((job, ours))
    };
    match ready() {
        Ok((job, ours)) => {
            let terminal = if ours.is_some() { Terminal::Own } else { Terminal::Leave };
            let code = init::run(&job, &plan.bounds, terminal, status, Some(holder));
            ours.iter().for_each(terminal::settle);
            code
        }
        Err(fault) => {
            let _ = wire::report(status, &Report::Failed(fault));
            125
        }
    }
}

/// Makes these the first three descriptors.
fn hand_over([input, output, error]: &[OwnedFd; 3]) -> Result<(), Fault> {
    rustix::stdio::dup2_stdin(input).doing(|| "handing descriptors over")?;
    rustix::stdio::dup2_stdout(output).doing(|| "handing descriptors over")?;
    rustix::stdio::dup2_stderr(error).doing(|| "handing descriptors over")
}

/// Makes a terminal of the sandbox's own, which this process leads the session of, and sends our side of it out. It is one
/// of those in `/dev/pts` here; none of the machine's is ever inside.
fn own_terminal(status: &OwnedFd) -> Result<OwnedFd, Fault> {
    let doing = || "making a terminal for the command";
    let (ours, theirs) = terminal::open().doing(doing)?;
    let copies = || Ok::<_, std::io::Error>([theirs.try_clone()?, theirs.try_clone()?, theirs.try_clone()?]);
    hand_over(&copies().doing(doing)?)?;
    terminal::lead(&theirs).doing(doing)?;
    let report =
        serde_json::to_vec(&Report::Terminal).map_err(|error| Fault::new(doing(), error.to_string()))?;
    wire::send(status, &report, &[ours.as_fd()]).doing(doing)?;
    Ok(ours)
}
