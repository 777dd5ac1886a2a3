//! A pseudo-terminal for a command: its own, of a fixed size. Never the terminal of whoever started us.
//!
//! The leader of the terminal's session is not the command but a process of ours that outlives it by a moment: when a
//! leader ends, the kernel throws away what was written and has not reached the other side yet.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, Signal, WaitOptions, ioctl_tiocsctty, setrlimit, setsid};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::launch::sys::{self, Disposition, Side};

/// Lines and columns.
const SIZE: (u16, u16) = (40, 120);

/// How many milliseconds what was written may take to be read, when the command has ended.
const SETTLING: u32 = 1_000;

/// What is typed to say that nothing more comes.
pub(crate) const END_OF_INPUT: u8 = 4;

/// What `TERM` says: of a terminal that can do nothing, programs ask nothing, and what they write can be read.
pub(crate) const KIND: &str = "dumb";

/// Signals that are typed at a terminal, or sent to end what runs there.
const FOR_THE_COMMAND: &[libc::c_int] =
    &[libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGTSTP];

/// Makes one: our side, which does not block, and the command's.
pub(crate) fn open() -> Result<(OwnedFd, OwnedFd), Errno> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let ours = openpt(flags)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let theirs = ioctl_tiocgptpeer(&ours, flags)?;
    tcsetwinsize(&theirs, Winsize { ws_row: SIZE.0, ws_col: SIZE.1, ws_xpixel: 0, ws_ypixel: 0 })?;
    fcntl_setfl(&ours, fcntl_getfl(&ours)? | OFlags::NONBLOCK)?;
    Ok((ours, theirs))
}

/// Makes this process the leader of the terminal's session. It must not lead a group yet.
pub(crate) fn lead(theirs: impl AsFd) -> Result<(), Errno> {
    setsid()?;
    ioctl_tiocsctty(theirs)
}

/// Waits until all that was written was read on our side, where the end of the session no longer reaches it, as long as
/// there is someone who reads. Makes system calls alone.
pub(crate) fn settle(ours: impl AsFd) {
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let moment = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
    for _ in 0..SETTLING {
        // Looking makes the kernel carry over what is on its way.
        match poll(&mut [PollFd::new(&ours, PollFlags::IN)], Some(&at_once)) {
            Ok(0) => return,
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return,
        }
        let _ = rustix::thread::nanosleep(&moment);
    }
}

/// Lets the command run at a terminal, below a process that leads its session and ends as it does.
#[allow(unsafe_code, reason = "only between `fork` and `exec` can a process be made the leader of a session")]
pub(crate) fn run_at(command: &mut Command, ours: &OwnedFd) -> io::Result<()> {
    let ours = ours.try_clone()?;
    let start = move || {
        lead(rustix::stdio::stdin())?;
        // It holds the signals back that are for the command, which must not have that from it.
        match sys::fork(0)? {
            Side::Child => Ok(()),
            Side::Parent(command) => end_like(command, ours.as_fd()),
        }
    };
    // SAFETY: runs in a process with one thread and makes system calls alone; nothing is allocated, no lock taken.
    unsafe { command.pre_exec(start) };
    Ok(())
}

/// Waits for the command, and ends as it did.
#[allow(unsafe_code, reason = "a process between `fork` and `exec` may only make system calls")]
fn end_like(command: Pid, ours: BorrowedFd<'_>) -> ! {
    for signal in FOR_THE_COMMAND {
        sys::set_disposition(*signal, Disposition::Ignore);
    }
    let kept = ours.as_raw_fd();
    // Whoever started us waits until its pipe is closed by all but the command.
    // SAFETY: this process only makes system calls from here on, none of them on those.
    unsafe {
        for (first, last) in [(3, kept - 1), (kept + 1, libc::c_int::MAX)] {
            if first <= last {
                libc::syscall(libc::SYS_close_range, first, last, 0);
            }
        }
    }
    let status = loop {
        match rustix::process::waitpid(Some(command), WaitOptions::empty()) {
            Ok(Some((_, status))) => break status,
            Ok(None) | Err(Errno::INTR) => {}
            // SAFETY: ends this process and runs nothing.
            Err(_) => unsafe { libc::_exit(125) },
        }
    };
    settle(ours);
    if let Some(signal) = status.terminating_signal() {
        let none = Rlimit { current: Some(0), maximum: Some(0) };
        let _ = setrlimit(Resource::Core, none);
        sys::set_disposition(signal, Disposition::Default);
        if let Some(signal) = Signal::from_named_raw(signal) {
            let _ = rustix::process::kill_process(rustix::process::getpid(), signal);
        }
    }
    // SAFETY: as above.
    unsafe { libc::_exit(status.exit_status().unwrap_or(125)) }
}
