//! Finds processes by a variable in their environment and kills them: those that left their group, and those that
//! outlived a crash of ours. Never touches another user's process or this one.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, geteuid, getpid, pidfd_open, pidfd_send_signal};

use crate::Error;

/// How long to go on; a process that forks as fast as it dies could do so for ever.
const LONGEST: Duration = Duration::from_secs(2);

/// More than the kernel allows an environment to be.
const ENVIRONMENT_MAX: u64 = 8 << 20;

/// Kills (SIGKILL) every process of this user whose environment, as it was when the process started, holds
/// `name=value`, and looks again until there is none. Returns how many it killed.
///
/// Blocks: some microseconds for each process of the machine, and until the killed ones are gone, two seconds at most.
/// A process that cleared its environment is not found.
///
/// # Errors
/// When `/proc` cannot be read, or when after two seconds there still are such processes.
pub fn kill_marked(name: &str, value: &str) -> Result<usize, Error> {
    let mark = format!("{name}={value}").into_bytes();
    let start = Instant::now();
    let mut killed = 0;
    loop {
        let doomed = scan(&mark)?;
        if doomed.is_empty() {
            return Ok(killed);
        }
        killed += kill(&doomed, start);
        if start.elapsed() >= LONGEST {
            let (name, value) = (name.to_owned(), value.to_owned());
            return Err(Error::Survivors { count: doomed.len(), name, value });
        }
    }
}

/// The marked processes that are alive.
fn scan(mark: &[u8]) -> Result<Vec<OwnedFd>, Error> {
    let (me, user) = (getpid(), geteuid().as_raw());
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").map_err(Error::Processes)? {
        let Ok(entry) = entry else { continue };
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        let Some(pid) = pid.filter(|pid| *pid != me) else { continue };
        if !entry.metadata().is_ok_and(|metadata| metadata.uid() == user) || !is_marked(pid, mark) {
            continue;
        }
        // The number may have gone to another process by now. The handle cannot: look again while holding it.
        if let Ok(handle) = pidfd_open(pid, PidfdFlags::empty())
            && is_marked(pid, mark)
        {
            found.push(handle);
        }
    }
    Ok(found)
}

fn is_marked(pid: Pid, mark: &[u8]) -> bool {
    let mut environment = Vec::new();
    let Ok(file) = File::open(format!("/proc/{}/environ", pid.as_raw_pid())) else { return false };
    // A process that ends while it is read counts as gone.
    file.take(ENVIRONMENT_MAX).read_to_end(&mut environment).is_ok()
        && environment.split(|byte| *byte == 0).any(|variable| variable == mark)
}

/// Kills them and waits until they are gone, as long as there is time; returns how many were alive.
fn kill(doomed: &[OwnedFd], start: Instant) -> usize {
    let killed: Vec<&OwnedFd> =
        doomed.iter().filter(|handle| pidfd_send_signal(handle, Signal::KILL).is_ok()).collect();
    for handle in &killed {
        let left = LONGEST.saturating_sub(start.elapsed());
        let left =
            Timespec { tv_sec: left.as_secs().try_into().unwrap_or(0), tv_nsec: left.subsec_nanos().into() };
        // On failure or timeout the next scan finds the process again.
        let _ = poll(&mut [PollFd::new(*handle, PollFlags::IN)], Some(&left));
    }
    killed.len()
}
