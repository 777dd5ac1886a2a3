//! Which size of model a prompt would be for.

use std::io::Write;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};

use codetether_testkit::{Reply, Request};
use serde_json::{Value, json};

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
    for blank in ["", " \n"] {
        let run = bench.bare(&["route", "explain", blank]);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{}", run.shown());
        assert!(run.stderr.contains("the prompt is empty"), "{}", run.stderr);
    }
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

/// A model of each size, on the scripted server, with prices.
const TIERS: &str = r#"
model = "openai/large"
[tiers]
small = "openai/little"
[models."openai/little"]
window = 100000
input_price = 1
output_price = 4
[models."openai/large"]
window = 100000
input_price = 10
output_price = 40
cache_read_price = 1
"#;

/// A run whose model is left to the prompt.
fn routed(bench: &Bench, args: &[&str]) -> Run {
    bench.run_as_it_was(args)
}

fn models(bench: &Bench) -> Vec<String> {
    let requests = bench.server.requests();
    requests.iter().map(|request| request.json()["model"].as_str().unwrap().to_owned()).collect()
}

const EASY: &str = "rename `a` to `b` in src/lib.rs";
const HARD: &str =
    "find out why the scheduler deadlocks under load, and redesign the locking across all services";

#[test]
fn each_prompt_goes_to_the_model_that_should_be_enough_and_a_named_one_is_asked() {
    let bench = Bench::new((0..5).map(|_| Reply::text("done")));
    bench.user_settings(TIERS);
    let run = routed(&bench, &[EASY]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "done\n"), "{}", run.shown());
    assert!(run.stderr.contains("edit → small: openai/little (score 0."), "{}", run.stderr);
    let run = routed(&bench, &[HARD]);
    assert!(run.stderr.contains("refactor → main: openai/large (score 0."), "{}", run.stderr);
    routed(&bench, &[EASY, "-m", "openai/other"]);
    let mut command = bench.binary(&["run", EASY]);
    command.env("CODETETHER_MODEL", "openai/another").env("OPENAI_BASE_URL", bench.server.base_url());
    assert_eq!(command.env("OPENAI_API_KEY", "sk-none-of-these").output().unwrap().status.code(), Some(0));
    assert_eq!(models(&bench), ["little", "large", "other", "another"]);
    let told = &bench.event_values();
    assert!(told.iter().all(|event| event["type"] != "turn.routed"), "whoever names a model is obeyed");
}

#[test]
fn a_decision_is_a_fact_with_its_features_and_prices() {
    let bench = Bench::new([Reply::text("done")]);
    bench.user_settings(TIERS);
    routed(&bench, &[EASY]);
    let events = bench.event_values();
    let routed = events.iter().find(|event| event["type"] == "turn.routed").unwrap();
    assert_eq!(
        (&routed["tier"], &routed["rule"], &routed["class"]),
        (&json!("small"), &json!("score"), &json!("edit"))
    );
    assert_eq!(routed["rates"]["input"], 1_000_000);
    assert_eq!(routed["instead_of"]["model"], "openai/large");
    assert_eq!(routed["instead_of"]["rates"]["output"], 40_000_000);
    assert_eq!(routed["features"]["edit"], 1_000);
    let shown = bench.bare(&["session", "show", "last"]).stdout;
    assert!(shown.contains("edit → small: openai/little"), "{shown}");
}

#[test]
fn a_small_model_that_makes_no_valid_call_gives_way_and_the_report_says_so() {
    let bench = Bench::new([
        Reply::call("reed", json!({ "path": "a" })),
        Reply::call("read", json!({ "file": "a" })),
        Reply::call("read", json!({ "path": "a" })),
        Reply::text("done"),
    ]);
    bench.user_settings(TIERS);
    bench.file("a", "x\n");
    let run = routed(&bench, &[EASY]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "done\n"), "{}", run.shown());
    assert!(
        run.stderr.contains("going on with `openai/large`: it made calls that cannot be made"),
        "{}",
        run.stderr
    );
    assert_eq!(models(&bench), ["little", "little", "large", "large"]);
    let report = bench.bare(&["route", "report"]);
    insta::assert_snapshot!(report.stdout, @r"
    job   tier   jobs  completed  escalated      cost  the other model
    edit  small     1          1          1  $0.00308          $0.0056

    The other model: what the same tokens would have cost there. It would have used others, and may have done more or less, so this is no saving.
    Decided: 1 by score
    A larger model took over: 1 by invalid_calls
    ");
    let report: Value = serde_json::from_str(&bench.bare(&["route", "report", "--json"]).stdout).unwrap();
    assert_eq!(report["escalations"], json!({ "invalid_calls": 1 }));
    assert_eq!((&report["rows"][0]["jobs"], &report["rows"][0]["completed"]), (&json!(1), &json!(1)));
}

#[test]
fn a_check_that_still_fails_is_left_to_the_larger_model() {
    let wrong = |text: &str| Reply::call("write", json!({ "path": "answer", "content": text }));
    let bench = Bench::new([
        wrong("1"),
        Reply::text("done"),
        wrong("2"),
        Reply::text("done"),
        wrong("42"),
        Reply::text("done"),
    ]);
    bench.user_settings(TIERS);
    let run = routed(&bench, &[EASY, "--yes", "--check", "grep -qx 42 answer"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert_eq!(models(&bench), ["little", "little", "little", "little", "large", "large"]);
    assert!(run.stderr.contains("going on with `openai/large`: the check failed again"), "{}", run.stderr);
}

#[test]
fn a_child_is_routed_by_its_own_task() {
    let bench = Bench::new([
        Reply::call("delegate", json!({ "prompt": EASY })),
        Reply::text("renamed"),
        Reply::text("done"),
    ]);
    bench.user_settings(TIERS);
    let run = routed(&bench, &[HARD]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert_eq!(models(&bench), ["large", "little", "large"]);
}

fn asks_for_a_summary(request: &Request) -> bool {
    String::from_utf8_lossy(&request.body).contains("Make no calls, and say nothing besides")
}

#[test]
fn a_summary_goes_where_reading_it_all_costs_less() {
    let reads = AtomicUsize::new(0);
    let bench = Bench::of_model(move |request| {
        if asks_for_a_summary(request) {
            return Reply::text("so far so good").no_usage();
        }
        match reads.fetch_add(1, Ordering::Relaxed) {
            n @ ..30 => Reply::call("read", json!({ "path": format!("f{n}") })).no_usage(),
            _ => Reply::text("done").no_usage(),
        }
    });
    let cheap = TIERS
        .replace("input_price = 1\n", "input_price = 0.1\n")
        .replace("window = 100000\ninput_price = 10", "window = 12000\ninput_price = 10");
    bench.user_settings(&cheap);
    for n in 0..30 {
        bench.file(&format!("f{n}"), &"filler filler filler\n".repeat(300));
    }
    let run = routed(&bench, &[HARD]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let requests = bench.server.requests();
    let (mut summaries, mut others) = (0, 0);
    for request in &requests {
        let asks = asks_for_a_summary(request);
        assert_eq!(asks, request.json()["model"] == "little");
        if asks { summaries += 1 } else { others += 1 }
    }
    assert!(summaries > 0 && others > 20, "{summaries} {others}");
}

#[test]
fn with_privacy_no_model_beyond_this_machine_is_asked() {
    let bench = Bench::new([Reply::text("done")]);
    bench.user_settings("privacy = \"local\"\n");
    let run = bench.run(&["go"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "done\n"), "a server on this machine: {}", run.shown());
    // Nor by a child whose agent names one.
    let bench = Bench::new([
        Reply::call("delegate", json!({ "prompt": "look", "agent": "far" })),
        Reply::text("done"),
    ]);
    bench.user_settings("privacy = \"local\"\n");
    let agents = bench.home.config().join("codetether/agents");
    codetether_files::create_dir_all(&agents).unwrap();
    let far = "---\ndescription: far away\nmodel: anthropic/claude-sonnet-4-5\n---\nLook.\n";
    codetether_files::write_atomic(agents.join("far.md"), far.as_bytes(), &<_>::default()).unwrap();
    let run = bench.run_env(&["go"], &[("ANTHROPIC_API_KEY", "sk-none-of-these")]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let told = String::from_utf8(bench.server.requests()[1].body.clone()).unwrap();
    assert!(told.contains("is no model of this machine, and `privacy` is `local`"), "{told}");
    let mut command = bench.binary(&["run", "-m", "openai/gpt-5", "go"]);
    let run: Run = command.env("OPENAI_API_KEY", "sk-none-of-these").output().unwrap().into();
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("is no model of this machine, and `privacy` is `local`"), "{}", run.stderr);
}
