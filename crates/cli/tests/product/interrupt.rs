//! Signals stop the work, and the journal says so.

use std::process::Child;

use codetether_testkit::Reply;
use serde_json::json;

use crate::bench::{Bench, Run};

pub(crate) fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Waits until the journal holds an event of this kind.
pub(crate) fn wait_for(bench: &Bench, kind: &str) {
    let needle = format!("\"type\":\"{kind}\"");
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while std::time::Instant::now() < limit {
        let there =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| bench.journal().contains(&needle)));
        if there.unwrap_or(false) {
            return;
        }
        std::thread::yield_now();
    }
    panic!("no {kind} in the journal");
}

#[test]
fn an_interrupt_stops_the_stream() {
    let bench = Bench::new([Reply::text("a long answer").stall_after(400)]);
    let child = bench.spawn(&["go"]);
    wait_for(&bench, "sample.started");
    signal(&child, rustix::process::Signal::INT);
    let run = Run::from(child.wait_with_output().unwrap());
    assert_eq!(run.code, 130, "{}", run.shown());
    assert!(
        bench.events().ends_with("turn.interrupted\nitem.begun\nsample.ended\nturn.ended\n"),
        "{}",
        bench.events()
    );
}

#[test]
fn an_interrupt_stops_the_process_group() {
    let bench = Bench::new([Reply::call(
        "bash",
        json!({ "command": "echo $$ > pid; (sleep 1000 & echo $! > child; wait)" }),
    )]);
    let child = bench.spawn(&["go", "--yes"]);
    wait_for(&bench, "call.started");
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !bench.path("child").exists() || bench.read("child").is_empty() {
        assert!(std::time::Instant::now() < limit, "the command does not start");
        std::thread::yield_now();
    }
    signal(&child, rustix::process::Signal::TERM);
    let run = Run::from(child.wait_with_output().unwrap());
    assert_eq!(run.code, 130, "{}", run.shown());
    for name in ["pid", "child"] {
        let pid = bench.read(name);
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        assert!(stat.is_empty() || stat.contains(") Z "), "process {name} lives: {stat}");
    }
    assert_eq!(bench.event_values().last().unwrap()["outcome"]["kind"], "interrupted");
}
