//! A process of the host, with the person's identity, that an attempt could harm or rob: secrets in its memory, its
//! arguments, its environment, an open file, shared memory, queues and the keyring.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::bench::Bench;

/// It.
#[derive(Debug)]
pub(crate) struct Victim {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    names: Vec<(String, String)>,
}

/// Rows of its state that others can change.
const STATUS: &[&str] = &["Uid:", "Gid:", "Cpus_allowed:", "TracerPid:", "Seccomp:"];

impl Victim {
    /// Starts it, with what the text asks for.
    pub(crate) fn new(bench: &Bench, folder: &Path, token: &str, text: &str) -> Self {
        let wants = ["SHM", "MSG", "SEM", "MQ", "POSIX", "KEY", "HANDLE"];
        let wants: Vec<&str> =
            wants.into_iter().filter(|want| text.contains(&format!("@V.{want}@"))).collect();
        let mut command = bench.command("python3");
        command.args(["-S", "-c", include_str!("victim.py"), &bench.secret]).arg(folder).arg(token);
        command.arg(wants.join(",")).env("VICTIM", &bench.secret).current_dir(folder);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let names: Value = serde_json::from_str(&line).unwrap();
        let names = names.as_object().unwrap().iter();
        let names =
            names.map(|(name, value)| (format!("@V.{name}@"), value.as_str().unwrap().to_owned())).collect();
        Self { input: child.stdin.take(), child, output, names }
    }

    /// What the text's names stand for.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.names.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// All of it that others can change, looked at from outside, and asked where it can answer.
    pub(crate) fn state(&mut self) -> String {
        let folder = format!("/proc/{}", self.child.id());
        let read = |name: &str| std::fs::read_to_string(format!("{folder}/{name}")).unwrap_or_default();
        let stat = read("stat");
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
        let mode = match fields.first().copied().unwrap_or("gone") {
            "R" | "S" | "D" | "I" => "lives",
            other => other,
        };
        let status = read("status");
        let status: Vec<&str> =
            status.lines().filter(|line| STATUS.iter().any(|name| line.starts_with(name))).collect();
        let nice = fields.get(16).copied().unwrap_or("");
        let mut state = format!("{mode}\n{nice}\n{status:?}\n{}\n{}", read("limits"), read("oom_score_adj"));
        if mode == "lives"
            && !status.iter().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
        {
            let mut line = String::new();
            // One that was stopped a moment ago does not answer; it is not waited for long.
            if self.input.as_mut().is_some_and(|input| input.write_all(b"?\n").is_ok()) && self.has_said() {
                self.output.read_line(&mut line).unwrap();
            }
            state.push_str(&line);
        }
        state
    }
}

impl Victim {
    /// Its number on the host.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn has_said(&self) -> bool {
        let mut wait = [PollFd::new(self.output.get_ref(), PollFlags::IN)];
        let limit = Timespec { tv_sec: 3, tv_nsec: 0 };
        rustix::event::poll(&mut wait, Some(&limit)).is_ok_and(|ready| ready > 0)
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        drop(self.input.take());
        let pid = Pid::from_child(&self.child);
        let _ = kill_process(pid, Signal::CONT);
        // Ends when it has cleaned up, or was ended by an attempt.
        let _ = self.child.wait();
    }
}
