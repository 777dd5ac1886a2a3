//! The program under measurement, and what the kernel says about its process.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use codetether_testkit::{Home, Server};

/// `codetether run` in a project, against a scripted server, with everything allowed and no text kept.
pub(crate) fn run(binary: &Path, home: &Home, server: &Server, project: &Path) -> Command {
    let mut command = of(binary, home, "openai/bench", project);
    command.env("OPENAI_BASE_URL", server.base_url());
    command
}

/// The same with another model.
pub(crate) fn of(binary: &Path, home: &Home, model: &str, project: &Path) -> Command {
    let mut command = home.command(binary);
    command.args(["run", "go on", "--model", model, "--yes", "--max-steps", "1000"]).current_dir(project);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// What one run took.
pub(crate) struct Run {
    /// Just before it was started.
    pub(crate) begun: Instant,
    /// Just after its end was known.
    pub(crate) ended: Instant,
    /// Of it and of the processes that it waited for.
    pub(crate) cpu: Duration,
}

impl Run {
    pub(crate) fn wall(&self) -> Duration {
        self.ended.duration_since(self.begun)
    }
}

/// Runs it to its end, which must be a good one.
pub(crate) fn to_end(command: &mut Command) -> Run {
    let begun = Instant::now();
    let child = command.spawn().expect("cannot start the binary");
    wait(child, begun)
}

/// Waits for its end, which must be a good one.
#[allow(unsafe_code, reason = "no safe interface to `wait4` tells the processor time of one child")]
pub(crate) fn wait(child: Child, begun: Instant) -> Run {
    let pid = libc::pid_t::try_from(child.id()).unwrap();
    let mut status = 0;
    // SAFETY: all zeroes is a value of `rusage`, which is numbers alone.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live values of the types that the call fills in.
    let waited = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
    let ended = Instant::now();
    assert_eq!(waited, pid, "cannot wait for the binary");
    assert_eq!(status, 0, "the binary ended with wait status {status}");
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1_000);
    Run { begun, ended, cpu: time(usage.ru_utime) + time(usage.ru_stime) }
}

/// The most memory it ever had resident, while it still runs. (The kernel counts the parent's into what it reports
/// at the end.)
pub(crate) fn peak_memory(pid: u32) -> u64 {
    kilobytes(&format!("/proc/{pid}/status"), "VmHWM:")
}

/// Its proportional share of memory now: pages that several processes share count in parts.
pub(crate) fn share_of_memory(pid: u32) -> u64 {
    kilobytes(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
}

fn kilobytes(path: &str, field: &str) -> u64 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.trim().strip_suffix(" kB"));
    value.and_then(|value| value.trim().parse::<u64>().ok()).expect("the kernel does not tell") * 1_024
}
