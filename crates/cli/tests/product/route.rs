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
