//! `kill -9` at random points of a turn: nothing acknowledged is lost, and the session goes on.

use std::io::{BufRead, Read};
use std::time::{Duration, Instant};

use codetether_testkit::Reply;
use serde_json::{Value, json};

use crate::bench::Bench;

/// How many kills: `CODETETHER_KILLS`, else 40.
fn kills() -> u64 {
    std::env::var("CODETETHER_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(40)
}

fn script() -> Vec<Reply> {
    let mut script: Vec<Reply> = (0..3)
        .map(|n| {
            Reply::calls([
                ("write", json!({ "path": format!("made-{n}"), "content": format!("{n}\n") })),
                ("bash", json!({ "command": format!("cat made-{n}") })),
                ("read", json!({ "path": format!("made-{n}") })),
            ])
        })
        .collect();
    script.push(Reply::text("done"));
    script
}

#[test]
fn nothing_acknowledged_is_lost_at_a_kill() {
    let whole = {
        let bench = Bench::new(script());
        assert_eq!(bench.run(&["go", "--yes"]).code, 0);
        bench.event_values().len() as u64
    };
    let kills = kills();
    let mut in_turn = 0;
    for n in 0..kills {
        // After each record in turn, and a little later each time round: in the middle of what follows it.
        if kill_once(1 + n % whole, Duration::from_micros(n / whole * 137 + n % 5 * 53)) {
            in_turn += 1;
        }
    }
    assert!(in_turn * 2 >= kills, "only {in_turn} of {kills} kills hit a turn");
}

/// Runs a turn, kills it so long after it told of so many records, and resumes it; true when the kill hit the turn.
fn kill_once(records: u64, after: Duration) -> bool {
    let bench = Bench::new(script().into_iter().chain((0..3).map(|_| Reply::text("resumed"))));
    let mut child = bench.spawn(&["go", "--yes", "--format", "jsonl"]);
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    for _ in 0..records {
        if stdout.read_line(&mut text).unwrap() == 0 {
            break;
        }
    }
    let reached = Instant::now();
    while reached.elapsed() < after {
        std::hint::spin_loop();
    }
    child.kill().unwrap();
    stdout.read_to_string(&mut text).unwrap();
    codetether_testkit::planted::assert_none(text.as_bytes(), "standard output");
    child.wait().unwrap();
    let told: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    if told.is_empty() {
        return false;
    }
    // What was told to the outside is in the journal.
    let kept: Vec<Value> = bench
        .journal()
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .map(|mut line| line["record"].take())
        .collect();
    assert!(kept.len() >= told.len(), "{} records were told, {} are kept", told.len(), kept.len());
    assert_eq!(kept[..told.len()], told[..], "after {records} records and {after:?}");
    // What a finished call wrote is on the disk.
    for record in kept.iter().filter(|record| record["event"]["type"] == "call.ended") {
        for path in record["event"]["wrote"].as_array().into_iter().flatten() {
            assert!(bench.path(path.as_str().unwrap()).exists(), "{path} was written");
        }
    }
    let ended = kept.last().is_some_and(|record| record["event"]["type"] == "turn.ended");
    let begun = kept.iter().any(|record| record["event"]["type"] == "turn.started");
    // A turn that was cut short goes on by itself, or gives way to a new one.
    let cut_short = begun && !ended;
    let run = match cut_short && records.is_multiple_of(2) {
        true => bench.run_as_it_was(&["--last"]),
        false => bench.run(&["more", "--last", "--yes"]),
    };
    assert_eq!(run.code, 0, "after {records} records and {after:?}: {}\n{}", run.shown(), bench.journal());
    assert!(
        matches!(run.stdout.as_str(), "done\n" | "resumed\n"),
        "after {records} records and {after:?}: {}",
        run.shown()
    );
    // Every call that was judged or started has an end, and none has two.
    let events = bench.event_values();
    let items = |kind: &str| {
        let mut items: Vec<String> = events
            .iter()
            .filter(|event| event["type"] == kind)
            .map(|event| event["item"].to_string())
            .collect();
        items.sort();
        items
    };
    let ended = items("call.ended");
    for item in items("call.authorized").iter().chain(&items("call.started")) {
        assert_eq!(ended.iter().filter(|end| *end == item).count(), 1, "{item}: {}", bench.journal());
    }
    assert_eq!(events.last().unwrap()["outcome"]["kind"], "completed");
    cut_short
}
