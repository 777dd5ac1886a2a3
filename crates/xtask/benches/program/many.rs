//! Many agents at once, each a process that runs one command; and what one more of them costs in memory.

use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use codetether_testkit::{Home, Reply, Request, Server};

use crate::agent;
use crate::figure::{Figure, median};

const RUNS: usize = 5;

/// Processes held at their first request, beside the first of them.
const FURTHER: u64 = 8;

pub(crate) fn measure(binary: &Path) -> Vec<Figure> {
    let together = |count| median((0..RUNS).map(|_| together(binary, count)));
    vec![
        Figure::milliseconds("8 processes with one command each", 200.0, together(8)),
        Figure::milliseconds("32 processes with one command each", 800.0, together(32)),
        Figure::megabytes("one more process", 3.0, one_more(binary)),
    ]
}

fn together(binary: &Path, count: usize) -> Duration {
    let project = tempfile::tempdir().unwrap();
    let home = Home::new();
    let server = Server::model(|request: &Request| {
        let has_run = request.body.windows(14).any(|bytes| bytes == b"\"tool_call_id\"");
        if has_run { Reply::text("done") } else { Reply::call("bash", r#"{"command":"true"}"#) }
    });
    let begun = Instant::now();
    let spawn =
        |_| agent::run(binary, &home, &server, project.path()).spawn().expect("cannot start the binary");
    let children: Vec<_> = (0..count).map(spawn).collect();
    let ends = children.into_iter().map(|child| agent::wait(child, begun).ended);
    ends.max().map(|last| last.duration_since(begun)).unwrap_or_default()
}

fn one_more(binary: &Path) -> u64 {
    let project = tempfile::tempdir().unwrap();
    let home = Home::new();
    let server = Server::model(|_| Reply::stall());
    let mut held = Held(Vec::new());
    let mut alone = 0;
    for count in 1..=FURTHER + 1 {
        let child = agent::run(binary, &home, &server, project.path()).spawn();
        held.0.push(child.expect("cannot start the binary"));
        let begun = Instant::now();
        while (server.requests().len() as u64) < count {
            assert!(begun.elapsed() < Duration::from_secs(10), "it asked nothing");
            std::thread::sleep(Duration::from_millis(5));
        }
        if count == 1 {
            alone = held.memory();
        }
    }
    held.memory().saturating_sub(alone) / FURTHER
}

/// Processes that would never end by themselves.
struct Held(Vec<Child>);

impl Held {
    fn memory(&self) -> u64 {
        self.0.iter().map(|child| agent::share_of_memory(child.id())).sum()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // It may have ended by itself, which is as good.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
