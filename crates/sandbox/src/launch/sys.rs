//! The few system calls that `rustix` does not have. Every unsafe line of this crate is here. Nothing here decides
//! anything.

#![allow(unsafe_code, reason = "system calls without a safe binding; each says why it is sound")]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::Errno;
use rustix::process::Pid;

/// Which process one is after [`fork`].
pub(crate) enum Side {
    /// The new one.
    Child,
    /// The one that forked; this is the other.
    Parent(Pid),
}

/// `clone(2)` as `fork(2)` with more flags (`CLONE_NEW…`), without a new stack.
pub(crate) fn fork(flags: libc::c_int) -> Result<Side, Errno> {
    // SAFETY: without CLONE_VM and without a stack this is `fork`. Callers have one thread (the launcher is entered
    // before any other exists, and has joined its own), so no lock can be held by a thread that the child lacks.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags | libc::SIGCHLD, 0, 0, 0, 0) };
    if pid < 0 {
        return Err(last());
    }
    Ok(i32::try_from(pid).ok().and_then(Pid::from_raw).map_or(Side::Child, Side::Parent))
}

/// Whether a process in new namespaces (`CLONE_NEW…`) can be started, and has rights in them: it may change how mounts
/// spread, and mount its own `/proc`. It says so before it ends, and is not waited for: taking namespaces apart lasts.
pub(crate) fn has_rights_in(flags: libc::c_int) -> bool {
    let Ok((told, tell)) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC) else { return false };
    // SAFETY: `fork`, as above; but callers may have threads, so the child only makes system calls, allocates nothing,
    // and ends by `_exit`.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags | libc::SIGCHLD, 0, 0, 0, 0) };
    if pid == 0 {
        let (nothing, proc) = (std::ptr::null(), c"proc".as_ptr());
        let (spread, inert) =
            (libc::MS_REC | libc::MS_SLAVE, libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC);
        // SAFETY: all pointers are null where that is allowed, or to terminated strings, or to a byte that is there.
        unsafe {
            let failed = libc::mount(nothing, c"/".as_ptr(), nothing, spread, nothing.cast()) < 0
                || libc::mount(proc, c"/proc".as_ptr(), proc, inert, nothing.cast()) < 0;
            if !failed {
                libc::write(tell.as_raw_fd(), c"y".as_ptr().cast(), 1);
            }
            libc::_exit(failed.into());
        }
    }
    drop(tell);
    if pid < 0 {
        return false;
    }
    let mut answer = [0];
    loop {
        match rustix::io::read(&told, &mut answer) {
            Err(Errno::INTR) => {}
            // It may have ended without a word.
            read => return read == Ok(1),
        }
    }
}

/// What can be added to a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attributes(u64);

impl Attributes {
    /// Set-user-id bits and devices mean nothing there.
    pub(crate) const INERT: Self = Self(libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV);
    /// Nothing can be written, and the above.
    pub(crate) const READ_ONLY: Self = Self(libc::MOUNT_ATTR_RDONLY | Self::INERT.0);
    /// A device: usable, not executable.
    pub(crate) const DEVICE: Self = Self(libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC);
}

/// How far an attribute reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// This mount.
    Here,
    /// And all below.
    Below,
}

/// `mount_setattr(2)` on a mount that `fd` is the root of.
pub(crate) fn add_attributes(fd: impl AsFd, reach: Reach, add: Attributes) -> Result<(), Errno> {
    let attr = libc::mount_attr { attr_set: add.0, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let flags = libc::AT_EMPTY_PATH | if reach == Reach::Below { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the pointers are to a terminated string and to a structure of the size that is given.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<libc::mount_attr>(),
        )
    })
}

/// Lets no descriptor from `first` on survive an `exec`.
pub(crate) fn close_on_exec(first: RawFd) -> Result<(), Errno> {
    // SAFETY: only marks descriptors; none is closed under an owner.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) })
}

/// Holds these signals back and lets them be read from a descriptor instead.
pub(crate) fn catch_signals(signals: &[libc::c_int]) -> Result<OwnedFd, Errno> {
    let set = signal_set(signals);
    // SAFETY: `set` is initialised; the old mask is not asked for.
    check(unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut()) }.into())?;
    // SAFETY: as above; the descriptor is new and nobody else's.
    let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
    check(fd.into())?;
    // SAFETY: `signalfd` has just made it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Lets every signal through again.
pub(crate) fn release_signals() -> Result<(), Errno> {
    let set = signal_set(&[]);
    // SAFETY: as in `catch_signals`.
    check(unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut()) }.into())
}

/// A signal that came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caught {
    pub(crate) signal: libc::c_int,
    /// Whether the kernel sent it, as it does to all at a terminal where someone types Ctrl-C.
    pub(crate) by_kernel: bool,
}

/// The next signal that came in through such a descriptor.
pub(crate) fn next_signal(fd: impl AsFd) -> Result<Option<Caught>, Errno> {
    let mut info = MaybeUninit::<libc::signalfd_siginfo>::uninit();
    // SAFETY: the buffer has the size that is given.
    let read = unsafe {
        libc::read(fd.as_fd().as_raw_fd(), info.as_mut_ptr().cast(), size_of::<libc::signalfd_siginfo>())
    };
    if read < 0 {
        return match last() {
            Errno::AGAIN | Errno::INTR => Ok(None),
            errno => Err(errno),
        };
    }
    if read == 0 {
        return Ok(None);
    }
    // SAFETY: the kernel writes whole structures only.
    let info = unsafe { info.assume_init() };
    let by_kernel = info.ssi_code == libc::SI_KERNEL;
    Ok(Some(Caught { signal: info.ssi_signo.cast_signed(), by_kernel }))
}

/// What a signal does by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// What the kernel does with it.
    Default,
    /// Nothing.
    Ignore,
}

/// Sets what a signal does.
pub(crate) fn set_disposition(signal: libc::c_int, to: Disposition) {
    let handler = match to {
        Disposition::Default => libc::SIG_DFL,
        Disposition::Ignore => libc::SIG_IGN,
    };
    // SAFETY: no handler of ours is installed, so nothing can run at a bad moment.
    unsafe { libc::signal(signal, handler) };
}

/// Kills all others in a process namespace that this is process 1 of. Anywhere else it does nothing: there, all others
/// are those of the user.
pub(crate) fn kill_others() -> Result<(), Errno> {
    if std::process::id() != 1 {
        return Err(Errno::SRCH);
    }
    // SAFETY: no memory is involved.
    check(unsafe { libc::kill(-1, libc::SIGKILL) }.into())
}

/// Brings the loopback interface of this network namespace up.
pub(crate) fn loopback_up() -> io::Result<()> {
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None)?;
    // SAFETY: all zeroes is a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo\0") {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads an `ifreq`, which lives until the call returns.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw mut request) }.into())?;
    Ok(())
}

/// Joins a new, anonymous session keyring: that of the user is out of reach.
pub(crate) fn leave_keyring() -> Result<(), Errno> {
    const JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: a null name asks for an anonymous keyring.
    match check(unsafe {
        libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>())
    }) {
        // A kernel without keyrings has none to leave.
        Err(Errno::NOSYS) => Ok(()),
        other => other,
    }
}

/// The version of Landlock that this kernel has; 0 for none.
pub(crate) fn landlock_abi() -> u32 {
    const VERSION: libc::c_uint = 1;
    // SAFETY: with this flag the call takes no attributes and only returns a number.
    let abi = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<libc::c_void>(), 0_usize, VERSION)
    };
    u32::try_from(abi).unwrap_or(0)
}

fn signal_set(signals: &[libc::c_int]) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `sigemptyset` initialises the set; `sigaddset` changes an initialised one.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), *signal);
        }
        set.assume_init()
    }
}

fn check(result: libc::c_long) -> Result<(), Errno> {
    if result < 0 { Err(last()) } else { Ok(()) }
}

fn last() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)
}
