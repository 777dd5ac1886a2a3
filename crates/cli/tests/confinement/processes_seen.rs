//! The processes of a run as the host sees them in `/proc`: which there are, what they hold, what they are.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::run::Way;
use crate::scene::Scene;
use crate::tree;

/// One process, in short.
struct Process {
    parent: u32,
    command_line: Vec<u8>,
}

fn all() -> HashMap<u32, Process> {
    let mut found = HashMap::new();
    for pid in numbers() {
        // Those that end meanwhile are left out.
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let Ok(command_line) = std::fs::read(format!("/proc/{pid}/cmdline")) else { continue };
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok());
        if let Some(parent) = parent {
            found.insert(pid, Process { parent, command_line });
        }
    }
    found
}

fn contains(bytes: &[u8], text: &str) -> bool {
    memchr::memmem::find(bytes, text.as_bytes()).is_some()
}

/// Those that run the program of a scene, or were started by it; the launcher's own are left out.
pub(crate) fn of_program(scene: &Scene<'_>, root: u32) -> Vec<u32> {
    let all = all();
    let launcher = scene.bench.binary();
    let launcher = launcher.to_string_lossy();
    let ours = |process: &Process| process.command_line.starts_with(launcher.as_bytes());
    let mut known: HashSet<u32> = HashSet::from([root]);
    loop {
        let more: Vec<u32> = all
            .iter()
            .filter(|(pid, process)| !known.contains(pid) && known.contains(&process.parent))
            .map(|(pid, _)| *pid)
            .collect();
        if more.is_empty() {
            break;
        }
        known.extend(more);
    }
    let victim = scene.victim.as_ref().map(|victim| victim.borrow().pid());
    let mut pids: Vec<u32> = all
        .iter()
        .filter(|(pid, process)| known.contains(pid) || contains(&process.command_line, &scene.token))
        .filter(|(pid, process)| Some(**pid) != victim && !ours(process))
        .map(|(pid, _)| *pid)
        .collect();
    pids.sort_unstable();
    pids
}

/// All that a scene's program has left behind, wherever they went. Bare, the environment tells, too.
fn left_of(scene: &Scene<'_>) -> Vec<u32> {
    let victim = scene.victim.as_ref().map(|victim| victim.borrow().pid());
    let has = |pid: u32, name: &str| match std::fs::read(format!("/proc/{pid}/{name}")) {
        Ok(text) => (contains(&text, &scene.token), text.is_empty()),
        Err(_) => (false, true),
    };
    let mine = |pid: u32| {
        let (named, nothing) = has(pid, "cmdline");
        // The kernel's own threads have no command line.
        named || (scene.way == Way::Bare && !nothing && has(pid, "environ").0)
    };
    numbers().filter(|pid| Some(*pid) != victim && mine(*pid)).collect()
}

fn numbers() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Whether any of them is still there a moment later: what is being ended may take as long to go.
pub(crate) fn any_stays(scene: &Scene<'_>) -> bool {
    left_of(scene).into_iter().any(|pid| {
        let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return false };
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { return false };
        let mut wait = [PollFd::new(&handle, PollFlags::IN)];
        let limit = Timespec { tv_sec: 0, tv_nsec: 400_000_000 };
        rustix::event::poll(&mut wait, Some(&limit)).is_ok_and(|ended| ended == 0)
    })
}

/// Ends what a scene's program has left behind.
pub(crate) fn end_all_of(scene: &Scene<'_>) {
    for pid in left_of(scene) {
        if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// Whether one of them has a descriptor whose link contains this, or a socket of a family of this name.
pub(crate) fn holds(pids: &[u32], what: &str, for_writing: bool) -> bool {
    pids.iter().any(|pid| {
        let folder = PathBuf::from(format!("/proc/{pid}/fd"));
        std::fs::read_dir(folder).into_iter().flatten().flatten().any(|entry| {
            let link = entry.path().read_link().map(|link| tree::text_of(&link)).unwrap_or_default();
            let mut family = [0_u8; 64];
            let family = match rustix::fs::getxattr(entry.path(), "system.sockprotoname", &mut family[..]) {
                Ok(length) if link.starts_with("socket:") => {
                    String::from_utf8_lossy(&family[..length]).into_owned()
                }
                _ => String::new(),
            };
            let number = entry.file_name().to_string_lossy().into_owned();
            (link.contains(what) || family.trim_end_matches('\0') == what)
                && (!for_writing || writes(*pid, &number))
        })
    })
}

fn writes(pid: u32, number: &str) -> bool {
    let text = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).unwrap_or_default();
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & 3 != 0)
}

/// How many threads they have in all.
pub(crate) fn threads(pids: &[u32]) -> usize {
    let of = |pid: &u32| std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().count();
    pids.iter().map(of).sum()
}

/// A row of `/proc/PID/status` in each of them.
pub(crate) fn status(pids: &[u32], name: &str) -> Vec<String> {
    let of = |pid: &u32| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(|rest| rest.trim().to_owned()))
    };
    pids.iter().filter_map(of).collect()
}

/// In how many namespaces of a kind they are.
pub(crate) fn namespaces(pids: &[u32], kind: &str) -> usize {
    let of = |pid: &u32| std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok();
    pids.iter().filter_map(of).collect::<HashSet<_>>().len()
}

/// Whether one of them sees a mount with this in its line.
pub(crate) fn mounts(pids: &[u32], what: &str) -> bool {
    let of = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
    pids.iter().any(|pid| of(pid).contains(what))
}
