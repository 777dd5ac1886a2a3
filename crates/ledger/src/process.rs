//! Which process holds a lease, and whether it is still there. A process is named by its number and the moment it
//! started, since numbers come again. Never judges what it cannot see: that counts as running.

use std::io::ErrorKind;

/// A process, past or present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// The start of the machine, and the ticks from there to the start of the process.
    pub(crate) started: String,
}

impl Process {
    /// This one.
    pub(crate) fn this() -> Self {
        let pid = std::process::id();
        let started = match seen(pid) {
            Seen::Running(started) => started,
            Seen::Ended | Seen::Unclear => String::new(),
        };
        Self { pid, started }
    }

    /// Whether it has ended for sure.
    pub(crate) fn has_ended(&self) -> bool {
        if self.started.is_empty() {
            return false;
        }
        match seen(self.pid) {
            Seen::Running(started) => started != self.started,
            Seen::Ended => true,
            Seen::Unclear => false,
        }
    }
}

enum Seen {
    Running(String),
    Ended,
    Unclear,
}

fn seen(pid: u32) -> Seen {
    let Ok(boot) = std::fs::read_to_string("/proc/sys/kernel/random/boot_id") else { return Seen::Unclear };
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => parse(&stat).map_or(Seen::Unclear, |(state, ticks)| match state {
            // Dead, and not yet waited for.
            "Z" | "X" => Seen::Ended,
            _ => Seen::Running(format!("{} {ticks}", boot.trim())),
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Seen::Ended,
        Err(_) => Seen::Unclear,
    }
}

/// State and start (fields 3 and 22 of proc_pid_stat(5)). The name before them may hold anything, a `)` as well.
fn parse(stat: &str) -> Option<(&str, u64)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_runs_has_not_ended_and_one_that_was_waited_for_has() {
        let this = Process::this();
        assert!(!this.has_ended());
        assert!(Process { started: "another 1".into(), ..this.clone() }.has_ended());
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        assert!(Process { pid: child.id(), ..this }.has_ended());
    }

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "7 (a) S 1 2) R 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(parse(stat), Some(("R", 4711)));
    }
}
