//! Checks: the work is done when a command says so, and tries that fail are taken back.

use std::time::{Duration, Instant};

use codetether_testkit::Reply;
use serde_json::{Value, json};

use crate::bench::{Bench, Run};
use crate::interrupt::{signal, wait_for};

/// A call that writes this into `n`, and what the model says then.
fn tries(values: &[&str]) -> Vec<Reply> {
    let made = values.iter().flat_map(|value| [writes(value), Reply::text(format!("it is {value} now"))]);
    made.collect()
}

fn writes(value: &str) -> Reply {
    Reply::call("bash", json!({ "command": format!("echo {value} > n; echo {value} > made-{value}") }))
}

/// `n` is as it should be.
const CHECK: &str = "echo n is $(cat n); test $(cat n) = 3";

fn bench(replies: Vec<Reply>) -> Bench {
    let bench = Bench::new(replies);
    bench.file("n", "0\n");
    bench
}

fn checked(bench: &Bench) -> Vec<Value> {
    bench.event_values().into_iter().filter(|event| event["type"] == "turn.checked").collect()
}

fn outcome(bench: &Bench) -> Value {
    let ended = bench.event_values().into_iter().rfind(|event| event["type"] == "turn.ended");
    ended.unwrap()["outcome"].clone()
}

fn body(bench: &Bench, request: usize) -> String {
    String::from_utf8(bench.server.requests()[request].body.clone()).unwrap()
}

fn resumed(bench: &Bench) -> Run {
    bench.run_as_it_was(&["--last"])
}

#[test]
fn the_model_hears_what_the_check_says_and_goes_on() {
    let bench = bench(tries(&["1", "3"]));
    let run = bench.run(&["make it 3", "--yes", "--check", CHECK]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let said: Vec<(bool, String)> = checked(&bench)
        .iter()
        .map(|event| (event["passed"].as_bool().unwrap(), event["output"].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(said, [(false, "n is 1\n".to_owned()), (true, "n is 3\n".to_owned())]);
    assert!(body(&bench, 2).contains("n is 1\\n[it fails with exit code 1]"), "{}", body(&bench, 2));
    assert!(run.stderr.contains("passes (exit code 0)"), "{}", run.stderr);
    bench.assert_prefix_stable();
}

#[test]
fn a_check_that_goes_on_failing_is_no_success() {
    let bench = bench(tries(&["1", "2", "4", "5"]));
    let run = bench.run(&["make it 3", "--yes", "--format", "json", "--check", CHECK]);
    assert_eq!(run.code, 8, "{}", run.shown());
    assert_eq!(checked(&bench).len(), 4);
    let summary: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&summary["check"]["passed"], &summary["check"]["exit"]), (&json!(false), &json!(1)));
    assert_eq!(outcome(&bench)["kind"], "check_failed");
    assert_eq!(bench.read("n"), "5\n", "without tries the work stays");
}

#[test]
fn a_try_that_fails_is_taken_back_before_the_next() {
    let bench = bench(tries(&["1", "2", "3"]));
    let check = format!("ls > seen-$(cat n); {CHECK}");
    let run = bench.run(&["make it 3", "--yes", "--format", "json", "--tries", "5", "--check", &check]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let summary: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(summary["tries"], 3, "{summary}");
    assert_eq!(summary["check"]["passed"], true);
    assert_eq!(summary["text"], "it is 3 now");
    assert_eq!(bench.read("n"), "3\n");
    for gone in ["made-1", "made-2"] {
        assert!(!bench.path(gone).exists(), "{gone} was not taken back");
        assert!(!bench.read("seen-3").contains(gone), "the last try saw {gone}");
    }
    // The conversation has no trace of what failed, and each further try leaves more to chance.
    let first = bench.server.json(0);
    for (request, temperature) in [(0, Value::Null), (2, json!(0.8)), (4, json!(0.8))] {
        let body = bench.server.json(request);
        assert_eq!(body["messages"], first["messages"], "request {request}");
        assert_eq!(body["temperature"], temperature, "request {request}");
    }
    assert!(
        run.stderr.contains("try 1 of 5: the check fails with exit code 1; it is taken back"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("passes (exit code 0), try 3 of 5"), "{}", run.stderr);
}

#[test]
fn what_no_check_passed_is_not_left_behind_and_can_be_had_back() {
    let bench = bench(tries(&["1", "2"]));
    let run = bench.run(&["make it 3", "--yes", "--tries", "2", "--check", CHECK, "--temperature", "0.3"]);
    assert_eq!(run.code, 8, "{}", run.shown());
    assert_eq!(bench.read("n"), "0\n");
    assert!(!bench.path("made-2").exists());
    assert!(
        run.stderr.contains("no try of 2 passed the check: the files are as they were"),
        "{}",
        run.stderr
    );
    assert_eq!(bench.server.json(2)["temperature"], json!(0.3), "what a flag says holds");
    let redone = bench.bare(&["redo", "--yes"]);
    assert_eq!((redone.code, bench.read("n").as_str()), (0, "2\n"), "{}", redone.shown());
}

#[test]
fn what_someone_else_changed_meanwhile_stops_the_tries() {
    let bench = bench(tries(&["1", "3"]));
    // As a user does it: while the check runs, in the file that the try has changed.
    let check = format!("{CHECK} || {{ echo mine > n; false; }}");
    let run = bench.run(&["make it 3", "--yes", "--tries", "3", "--check", &check]);
    assert_eq!(run.code, 8, "{}", run.shown());
    assert!(
        run.stderr.contains("someone else has changed `n` meanwhile; it stays as it is"),
        "{}",
        run.stderr
    );
    assert_eq!(bench.read("n"), "mine\n");
    assert!(bench.path("made-1").exists(), "nothing of the try was taken back");
    assert_eq!(bench.server.requests().len(), 2, "there was no further try");
}

#[test]
fn a_denied_command_is_not_run() {
    let bench = bench(tries(&["3"]));
    let args = ["make it 3", "--yes", "--tries", "3", "--check", "touch ran", "--deny", "bash(touch *)"];
    let run = bench.run(&args);
    assert_eq!(run.code, 8, "{}", run.shown());
    assert!(
        run.stderr.contains("was not run: denied by") && run.stderr.contains("bash(touch *)"),
        "{}",
        run.stderr
    );
    assert!(!bench.path("ran").exists());
    assert_eq!(bench.read("n"), "3\n", "no further try would help, so the work stays");
    // With the check first, nothing is begun.
    let bench = self::bench(tries(&["3"]));
    let run = bench.run(&[&args[..], &["--check-first"]].concat());
    assert_eq!((run.code, bench.server.requests().len()), (8, 0), "{}", run.shown());
}

#[test]
fn a_check_that_never_ends_is_ended() {
    let bench = bench(tries(&["3"]));
    let began = Instant::now();
    let check = "echo before; sleep 600 & sleep 600";
    let run = bench.run(&["go", "--yes", "--check", check, "--tries", "1", "-c", "check.time=1"]);
    assert_eq!(run.code, 8, "{}", run.shown());
    assert!(began.elapsed() < Duration::from_secs(60));
    let said = &checked(&bench)[0];
    assert_eq!((&said["status"]["kind"], &said["output"]), (&json!("timed_out"), &json!("before\n")));
}

#[test]
fn a_check_that_floods_is_cut_and_that_is_said() {
    let bench = bench(tries(&["3"]));
    let check = "echo the beginning; yes | head -c 3000000; echo the end; false";
    let run = bench.run(&["go", "--yes", "--tries", "1", "--check", check]);
    assert_eq!(run.code, 8, "{}", run.shown());
    let said = &checked(&bench)[0];
    let output = said["output"].as_str().unwrap();
    assert!(output.len() < 20_000 && said["left_out"].as_u64().unwrap() > 2_900_000, "{}", output.len());
    assert!(output.starts_with("the beginning\n") && output.ends_with("the end\n"));
}

#[test]
fn the_model_can_be_told_first() {
    let bench = bench(tries(&["3"]));
    let run = bench.run(&["make it 3", "--yes", "--check", CHECK, "--check-first"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(body(&bench, 0).contains("n is 0\\n[it fails with exit code 1]"), "{}", body(&bench, 0));
    let points: Vec<Value> = checked(&bench).iter().map(|event| event["point"].clone()).collect();
    assert_eq!(points, ["first", "end"]);

    let bench = self::bench(vec![Reply::text("there is nothing to do")]);
    bench.file("n", "3\n");
    let run = bench.run(&["make it 3", "--yes", "--check", CHECK, "--check-first"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(body(&bench, 0).contains("It passes already"), "{}", body(&bench, 0));
    assert_eq!(checked(&bench).len(), 1, "nothing was changed, so it holds");
}

#[test]
fn a_check_of_the_settings_runs_where_files_were_changed() {
    let bench = bench([tries(&["3"]), vec![Reply::text("it is 3"), Reply::text("it is 3")]].concat());
    bench.user_settings(&format!("[check]\ncommand = '''{CHECK}'''\n"));
    assert_eq!(bench.run(&["make it 3", "--yes"]).code, 0);
    assert_eq!(checked(&bench).len(), 1);
    for args in [["what is n", "--yes"], ["what is n", "--mode=plan"]] {
        let run = bench.run(&args);
        assert_eq!(run.code, 0, "{}", run.shown());
        assert_eq!(checked(&bench), Vec::<Value>::new(), "nothing was changed");
    }
}

#[test]
fn a_project_sets_no_check_without_trust() {
    let bench = bench(tries(&["1"]));
    codetether_files::create_dir_all(bench.path(".codetether")).unwrap();
    bench.file(".codetether/config.toml", "[check]\ncommand = \"touch ran\"\n");
    let run = bench.run(&["go", "--yes"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(!bench.path("ran").exists() && run.stderr.contains("`check`"), "{}", run.stderr);
}

#[test]
fn a_check_is_held_in_by_the_sandbox() {
    let bench = bench(tries(&["3"]));
    let outside = bench.home.path().join("outside");
    let check = format!("echo x > {}", outside.display());
    let run = bench.run(&["go", "--mode", "auto-edit", "--check", &check]);
    let confined = bench.journal().contains("\"confinement\":\"namespaces\"");
    assert!(confined, "this machine has no sandbox to test: {}", run.shown());
    assert!(!outside.exists(), "{}", run.shown());
    let bare = self::bench(tries(&["3"]));
    let outside = bare.home.path().join("outside");
    let check = format!("echo x > {}", outside.display());
    let run = bare.run(&["go", "--yes", "--no-sandbox", "--check", &check]);
    assert!(outside.exists(), "without a sandbox it can: {}", run.shown());
}

#[test]
fn what_the_folder_says_is_named_and_never_guessed() {
    let bench = bench(tries(&["3"]));
    codetether_files::remove_file(bench.path("main.py")).unwrap();
    let run = bench.run(&["go", "--yes", "--check", "auto"]);
    assert_eq!((run.code, bench.server.requests().len()), (2, 0), "{}", run.shown());
    assert!(run.stderr.contains("no check was found") && run.stderr.contains("--check"), "{}", run.stderr);
    bench.file("Makefile", "test:\n\ttest $$(cat n) = 3\n");
    let run = bench.run(&["go", "--yes", "--check", "auto"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let note = "check: `make test`, since there is a target `test` in `Makefile`";
    assert!(run.stderr.contains(note), "{}", run.stderr);
}

#[test]
fn what_makes_no_sense_is_said() {
    for (args, wanted) in [
        (&["--tries", "3"][..], "`--tries` needs something"),
        (&["--check-first"], "`--check-first` runs a check"),
        (&["--check", " "], "the check is empty"),
        (&["--check", "x", "--tries", "21"], "21 is not in 1..=20"),
        (&["--check", "x", "--tries", "2", "-c", "undo.enabled=false"], "cannot be taken back"),
    ] {
        let bench = bench(tries(&["3"]));
        let run = bench.run(&[&["go", "--yes"], args].concat());
        assert_eq!(run.code, 2, "{args:?}: {}", run.shown());
        assert!(run.stderr.contains(wanted), "{args:?}: {}", run.stderr);
        assert_eq!(bench.server.requests().len(), 0);
    }
}

#[test]
fn a_kill_during_the_check_loses_neither_it_nor_the_tries() {
    let bench = bench(tries(&["1", "3"]));
    let check = format!("test -e started || {{ touch started; sleep 600; }}; {CHECK}");
    let mut child = bench.spawn(&["make it 3", "--yes", "--tries", "3", "--check", &check]);
    let until = Instant::now() + Duration::from_secs(30);
    while !bench.path("started").exists() {
        assert!(Instant::now() < until, "the check never began");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let run = resumed(&bench);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert_eq!((bench.read("n").as_str(), checked(&bench).len()), ("3\n", 2), "{}", run.shown());
    assert!(!bench.path("made-1").exists());
    assert!(run.stderr.contains("try 2 of 3"), "{}", run.stderr);
    assert_eq!(bench.server.json(2)["messages"], bench.server.json(0)["messages"]);
}

#[test]
fn a_kill_while_a_try_is_taken_back_leaves_nothing_half_done() {
    let mut killed = 0;
    for kind in ["files.asked", "files.restoring", "files.restored", "context.rewound"] {
        // The kill may come later than it is meant to, and what was asked for then is asked for again.
        let bench = bench(tries(&["1", "3", "3", "3"]));
        let check = format!("sleep 0.5; {CHECK}");
        let mut child = bench.spawn(&["make it 3", "--yes", "--tries", "3", "--check", &check]);
        wait_for(&bench, kind);
        child.kill().unwrap();
        if child.wait().unwrap().success() {
            continue;
        }
        let run = resumed(&bench);
        if run.code == 2 && bench.read("n") == "3\n" {
            continue;
        }
        killed += 1;
        assert_eq!(run.code, 0, "{kind}: {}", run.shown());
        assert_eq!(bench.read("n"), "3\n", "{kind}");
        assert!(!bench.path("made-1").exists(), "{kind}");
        let first = &bench.server.json(0)["messages"];
        let again = (1..bench.server.requests().len()).any(|at| bench.server.json(at)["messages"] == *first);
        assert!(again, "{kind}: no try began like the first");
    }
    assert!(killed > 0, "it was over each time before it could be killed");
}

#[test]
fn a_signal_ends_the_tries() {
    let bench = bench(tries(&["1", "3"]));
    let check = "touch started; sleep 600";
    let child = bench.spawn(&["make it 3", "--yes", "--tries", "3", "--check", check]);
    wait_for(&bench, "item.begun");
    let until = Instant::now() + Duration::from_secs(30);
    while !bench.path("started").exists() {
        assert!(Instant::now() < until, "the check never began");
        std::thread::sleep(Duration::from_millis(10));
    }
    signal(&child, rustix::process::Signal::INT);
    let run: Run = child.wait_with_output().unwrap().into();
    assert_eq!(run.code, 130, "{}", run.shown());
    assert_eq!(bench.server.requests().len(), 2);
}
