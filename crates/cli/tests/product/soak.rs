//! One session for a long time: commands, processes in the background and children, turn after turn. Memory stays, and
//! nothing is left behind.

use std::path::Path;

use codetether_testkit::{Reply, Request};
use serde_json::json;

use crate::bench::Bench;
use crate::scripting::{Talk, prompt};

/// How many turns: `CODETETHER_TURNS`, else 60.
fn turns() -> u32 {
    std::env::var("CODETETHER_TURNS").ok().and_then(|n| n.parse().ok()).unwrap_or(60)
}

/// By the last message alone, so that it answers any turn in any session.
fn model(request: &Request) -> Reply {
    let body = request.json();
    let last = body["messages"].as_array().unwrap().last().unwrap();
    let said = last["content"].as_str().unwrap_or_default();
    match (last["role"].as_str().unwrap(), said.strip_prefix("turn ")) {
        ("user", Some(number)) => match number.parse::<u32>().unwrap() % 4 {
            0 => Reply::call("delegate", json!({ "prompt": "look around", "agent": "explore" })),
            1 => Reply::call("bash", json!({ "command": "echo up; exec sleep 600", "background": true })),
            2 => Reply::call("bash", json!({ "command": format!("echo {number} > file-{}", number.len()) })),
            _ => Reply::call("bash", json!({ "command": "seq 2000" })),
        },
        ("tool", _) if said.starts_with("[process ") && said.contains("runs in the background") => {
            let id = said.trim_start_matches("[process ").split(' ').next().unwrap();
            Reply::call("process", json!({ "action": "kill", "id": id }))
        }
        _ => Reply::text("well"),
    }
    .no_usage()
}

/// Resident memory of a process, in KiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Processes that have this home.
fn left(home: &Path) -> Vec<String> {
    let home = format!("HOME={}", home.display());
    let all = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let has = |path: &std::path::PathBuf| {
        let environ = std::fs::read(path.join("environ")).unwrap_or_default();
        environ.split(|byte| *byte == 0).any(|variable| variable == home.as_bytes())
    };
    all.filter(has).map(|path| std::fs::read_to_string(path.join("cmdline")).unwrap_or_default()).collect()
}

#[test]
fn a_session_can_go_on_for_very_long() {
    let bench = Bench::of_model(model);
    let window = "models.\"openai/scripted\".window=60000";
    let mut talk = Talk::start(&bench, &["-c", window]);
    let turns = turns();
    let mut early = 0;
    for number in 0..turns {
        talk.say(&prompt(&format!("turn {number}")));
        let (ended, _) = talk.until("turn.ended");
        assert_eq!(ended["event"]["outcome"]["kind"], "completed", "turn {number}: {ended}");
        if number == turns / 3 {
            early = resident(talk.pid());
        }
    }
    let late = resident(talk.pid());
    eprintln!("{turns} turns: {early} KiB after a third, {late} KiB at the end");
    assert!(
        late < early + early / 4 + 4_096,
        "{early} KiB after a third of {turns} turns, {late} at the end"
    );
    let (code, _, stderr) = talk.end();
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(left(&bench.home.path()), Vec::<String>::new());
    let sessions = bench.home.data().join("codetether/sessions");
    let mut journals = 0;
    for session in std::fs::read_dir(sessions).unwrap().map(|entry| entry.unwrap().path()) {
        let spool = std::fs::read_dir(session.join("spool")).into_iter().flatten().count();
        assert_eq!(spool, 0, "{}", session.display());
        journals += 1;
    }
    assert_eq!(journals, 1 + turns.div_ceil(4), "one for each child");
    let worktrees = std::fs::read_dir(bench.home.data().join("codetether/worktrees"));
    assert_eq!(worktrees.into_iter().flatten().count(), 0);
}
