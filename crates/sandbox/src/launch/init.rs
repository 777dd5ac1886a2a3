//! Process 1 of a command's own process namespace: starts the command, takes in what it leaves behind, passes signals
//! on, keeps the time, and tells how it ended. When it exits, the kernel ends all that is left inside.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    DumpableBehavior, Pid, Signal, WaitOptions, WaitStatus, kill_process, kill_process_group,
    set_dumpable_behavior, wait,
};

use super::PASSED_ON;
use super::deep::{self, Turns};
use super::disarm;
use super::enter::{Bounds, Terminal, become_command};
use super::fault::{Doing, Fault};
use super::sweep;
use super::sys::{self, Disposition, Side};
use super::wire::{Job, Report, report};

/// How long a command whose time is up may tidy up before it is killed.
const GRACE: Duration = Duration::from_millis(250);

/// The sandbox that a command runs in, where it outlives the command.
#[derive(Debug)]
pub(crate) struct Holder<'a> {
    /// Closes when the sandbox ends.
    pub(crate) held: &'a OwnedFd,
    /// What its commands share.
    pub(crate) turns: &'a Turns,
    /// Open until what the command made has been looked at.
    pub(crate) runs: Option<OwnedFd>,
}

/// Runs a command, from its start to its end. Returns what to exit with. Signals come over `status` from outside, a byte
/// each; when the other end closes, the command is to end at once.
/// So it is when its sandbox ends.
pub(crate) fn run(
    job: &Job,
    bounds: &Bounds,
    terminal: Terminal,
    status: &OwnedFd,
    mut holder: Option<Holder<'_>>,
) -> i32 {
    let last = match supervise(job, bounds, terminal, status, holder.as_ref()) {
        Ok(last) => last,
        Err(fault) => Some(Report::Failed(fault)),
    };
    end_all();
    let mut notes = sweep::clear(&bounds.unwanted);
    let mut seen = bounds.seen.clone();
    if let Some(seen) = &mut seen {
        notes.extend(disarm::all(&seen.new_repositories(bounds.since)));
        match &holder {
            Some(holder) => notes.extend(holder.turns.notes()),
            None => notes.extend(deep::disarm(seen, bounds.since)),
        }
    }
    for note in notes {
        // Nobody listens only where nobody is left.
        let _ = report(status, &Report::Note(note));
    }
    // From here on, all that there is of its work is known to the next command.
    drop(holder.as_mut().and_then(|holder| holder.runs.take()));
    let told = last.is_none_or(|last| report(status, &last).is_ok());
    if let (Some(seen), Some(holder)) = (seen, holder) {
        // Nobody waits for this but the end of the sandbox.
        let _ = holder.turns.look(&seen, bounds.since);
    }
    i32::from(!told)
}

/// Until the command ended. None where someone else has said how.
fn supervise(
    job: &Job,
    bounds: &Bounds,
    terminal: Terminal,
    status: &OwnedFd,
    holder: Option<&Holder<'_>>,
) -> Result<Option<Report>, Fault> {
    // Whoever started this closes the other end of `status` by ending: the command is ended then, and what it made is
    // disarmed all the same.
    rustix::process::set_parent_process_death_signal(None).doing(|| "outliving the launcher")?;
    // Nothing inside may look into this process, which stands outside of what confines the command.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).doing(|| "hiding process 1")?;
    sys::set_disposition(libc::SIGCHLD, Disposition::Default);
    // What is sent to all at a terminal is for the command: this process has to outlive it.
    let caught: Vec<_> = PASSED_ON.iter().copied().chain([libc::SIGCHLD]).collect();
    let signals = sys::catch_signals(&caught).doing(|| "watching for ends of processes")?;
    let command = match sys::fork(0).doing(|| "starting a process for the command")? {
        Side::Child => {
            let ready = sys::release_signals().doing(|| "letting signals through");
            if let Err(fault) = ready {
                let _ = report(status, &Report::Failed(fault));
                std::process::exit(125);
            }
            std::process::exit(become_command(job, bounds, terminal, status));
        }
        Side::Parent(pid) => pid,
    };
    let mut end = job.time.map(|time| Instant::now() + time);
    let mut time_up = false;
    loop {
        if let Some(last) = reap(command)? {
            // A process that could not become the command has said so before; the first report is the one that counts.
            return Ok(Some(if time_up { Report::TimeUp } else { last.into() }));
        }
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        let timeout = left.map(|left| Timespec {
            tv_sec: left.as_secs().cast_signed(),
            tv_nsec: i64::from(left.subsec_nanos()),
        });
        let mut fds = vec![PollFd::new(&signals, PollFlags::IN), PollFd::new(status, PollFlags::IN)];
        fds.extend(holder.map(|holder| PollFd::new(holder.held, PollFlags::IN)));
        match poll(&mut fds, timeout.as_ref()) {
            Ok(0) if time_up => return Ok(Some(Report::TimeUp)),
            Ok(0) => {
                time_up = true;
                end = Some(Instant::now() + GRACE);
                tell(command, Signal::TERM, terminal);
                continue;
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(Fault::of("waiting for the command", errno)),
        }
        while sys::next_signal(&signals).doing(|| "waiting for the command")?.is_some() {}
        // Nobody holds the sandbox any more.
        if fds.get(2).is_some_and(|holder| !holder.revents().is_empty()) {
            return Ok(None);
        }
        if !fds[1].revents().is_empty() {
            let mut asked = [0];
            match rustix::io::read(status, &mut asked) {
                Ok(1..) => {
                    if let Some(signal) = Signal::from_named_raw(asked[0].into()) {
                        tell(command, signal, terminal);
                    }
                }
                Err(Errno::INTR | Errno::AGAIN) => {}
                // Nobody wants it any more.
                Ok(0) | Err(_) => return Ok(None),
            }
        }
    }
}

/// Ends all that is left inside, so that nothing happens after the last report.
fn end_all() {
    if std::process::id() == 1 {
        while sys::kill_others().is_ok() && wait_for_one() {}
    } else {
        end_children();
    }
}

/// The same without a process namespace: what the command left behind has become a child of this process.
fn end_children() {
    let children = format!("/proc/self/task/{}/children", std::process::id());
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(Errno::INTR) => continue,
            Ok(None) => {}
            Err(_) => return,
        }
        let left = std::fs::read_to_string(&children).unwrap_or_default();
        let left: Vec<Pid> =
            left.split_whitespace().filter_map(|pid| pid.parse().ok()).filter_map(Pid::from_raw).collect();
        for pid in &left {
            let _ = kill_process(*pid, Signal::KILL);
        }
        if left.is_empty() || !wait_for_one() {
            return;
        }
    }
}

/// False when there is none left.
fn wait_for_one() -> bool {
    matches!(wait(WaitOptions::empty()), Ok(_) | Err(Errno::INTR))
}

/// How the command's first process ended.
#[derive(Clone, Copy)]
enum End {
    Code(i32),
    Signal(i32),
}

impl From<End> for Report {
    fn from(end: End) -> Self {
        match end {
            End::Code(code) => Self::Code(code),
            End::Signal(signal) => Self::Signal(signal),
        }
    }
}

/// Takes in all that has ended; gives the end of the command when that is among it.
fn reap(command: Pid) -> Result<Option<End>, Fault> {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(None) | Err(Errno::CHILD) => return Ok(None),
            Ok(Some((pid, status))) if pid == command => {
                return Ok(end_of(status));
            }
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Err(errno) => return Err(Fault::of("waiting for the command", errno)),
        }
    }
}

fn end_of(status: WaitStatus) -> Option<End> {
    status.exit_status().map(End::Code).or_else(|| status.terminating_signal().map(End::Signal))
}

/// Passes a signal on: to the command's group where it has one of its own, else to its first process.
fn tell(command: Pid, signal: Signal, terminal: Terminal) {
    // It may have just ended.
    let _ = match terminal {
        Terminal::Leave | Terminal::Own => {
            kill_process_group(command, signal).or_else(|_| kill_process(command, signal))
        }
        Terminal::Share => kill_process(command, signal),
    };
}

/// Whether `fd` is a terminal, or any of the first three is.
pub(crate) fn any_terminal() -> bool {
    [rustix::stdio::stdin().as_fd(), rustix::stdio::stdout().as_fd(), rustix::stdio::stderr().as_fd()]
        .into_iter()
        .any(rustix::termios::isatty)
}
