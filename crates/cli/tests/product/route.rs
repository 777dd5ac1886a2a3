//! Which size of model a prompt would be for.

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use crate::bench::{Bench, Run};

#[test]
fn a_prompt_is_explained() {
    let bench = Bench::new([]);
    let run = bench.bare(&["route", "explain", "rename `a` to `b` in src/lib.rs"]);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert!(lines[0].starts_with("a small model should be enough (score 0."), "{lines:?}");
    assert_eq!((lines[1], lines.len()), ("  class  edit", 8), "{lines:?}");
    assert!(lines[2..].iter().any(|line| line.ends_with("  edit 1.00")), "{lines:?}");
    let hard = "find out why the scheduler deadlocks sometimes under load, and redesign the locking across all services";
    let run = bench.bare(&["route", "explain", "--json", hard]);
    let told: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        (&told["class"], &told["tier"], &told["rule"]),
        (&"refactor".into(), &"main".into(), &"score".into())
    );
    assert!(
        told["score"].as_f64().unwrap() > 0.5 && told["features"]["scope"].as_f64().unwrap() > 0.0,
        "{told}"
    );
    assert_eq!(bench.bare(&["route", "explain"]).code, 2);
}

#[test]
fn lines_are_answered_in_order() {
    let bench = Bench::new([]);
    let mut child = bench.binary(&["route", "explain", "--stdin"]);
    let mut child =
        child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = "{\"id\": 7, \"prompt\": \"which file has the parser\"}\n\n{\"id\": \"x\"}\nnonsense\n";
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let run = Run::from(child.wait_with_output().unwrap());
    let answers: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(run.code, 1);
    assert_eq!(
        (&answers[0]["id"], &answers[0]["class"], &answers[0]["tier"]),
        (&7.into(), &"question".into(), &"small".into())
    );
    assert_eq!(
        (&answers[1]["id"], &answers[1]["error"]),
        (&"x".into(), &"the line is no object with a text `prompt`".into())
    );
    assert!(answers[2]["error"].as_str().unwrap().starts_with("the line is not JSON"));
}

#[test]
fn what_routing_would_have_come_to_is_told_from_recorded_results() {
    let bench = Bench::new([]);
    let line = |prompt: &str, small: bool| {
        format!(
            "{{\"id\":1,\"prompt\":\"{prompt}\",\"tiers\":{{\"small\":{{\"pass\":{small},\"cost\":0.001}},\"main\":{{\"pass\":true,\"cost\":0.1}}}}}}\n"
        )
    };
    let easy = line("rename `a` to `b` in src/lib.rs", true);
    let hard =
        line("design a distributed cache across all services, and prove that it cannot deadlock", false);
    bench.file("tasks.jsonl", &format!("{easy}\n{hard}"));
    let run = bench.bare(&["bench", "route", "--replay", "tasks.jsonl"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    insta::assert_snapshot!(run.stdout, @"
    2 tasks: 1 to small, 1 to main

                    passed          cost
    router          100.0%       $0.1010
    oracle          100.0%       $0.1010
    random           75.0%       $0.1010
    always small     50.0%       $0.0020
    always main     100.0%       $0.2000

    regret   0.0 points and $0.0000 against the oracle
    score    APGR 0.750, CPT(50) 0.500, CPT(80) 0.500
    saving   2.0 times cheaper than always main, at an equal pass rate
    ");
    let json: serde_json::Value =
        serde_json::from_str(&bench.bare(&["bench", "route", "--replay", "tasks.jsonl", "--json"]).stdout)
            .unwrap();
    assert_eq!(json["router"]["pass"], 1.0);
    bench.file("tasks.jsonl", &format!("{easy}{{\"prompt\":\"x\",\"tiers\":{{}}}}\n"));
    let run = bench.bare(&["bench", "route", "--replay", "tasks.jsonl"]);
    assert_eq!(run.code, 2, "{}", run.shown());
    assert!(run.stderr.contains("tasks.jsonl, line 2: it has no result of `small`"), "{}", run.stderr);
    bench.file("tasks.jsonl", "");
    let run = bench.bare(&["bench", "route", "--replay", "tasks.jsonl"]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{}", run.shown());
}
