//! What the agent runs, in the sandbox of the settings.

use codetether_testkit::Reply;
use serde_json::json;

use crate::bench::Bench;

fn bash(command: &str) -> Reply {
    Reply::call("bash", json!({ "command": command }))
}

const CONFINED: [&str; 4] = ["-c", "sandbox.tier=namespaces", "--mode", "auto-edit"];

fn results(bench: &Bench) -> Vec<String> {
    let ended = bench.event_values().into_iter().filter(|event| event["type"] == "call.ended");
    ended.map(|event| event["result"]["text"].as_str().unwrap().to_owned()).collect()
}

fn verdicts(bench: &Bench) -> Vec<String> {
    let judged = bench.event_values().into_iter().filter(|event| event["type"] == "call.authorized");
    judged
        .map(|event| format!("{}: {}", event["verdict"]["kind"].as_str().unwrap(), event["verdict"]["rule"]))
        .collect()
}

#[test]
fn a_confined_command_runs_unasked_and_reaches_nothing_else() {
    let bench = Bench::new([
        bash("echo made > made.txt; cat ~/secret; echo x > ../outside; echo $CODETETHER_SANDBOX; exit 3"),
        bash("cat made.txt; ls /proc | grep -c '^[0-9]'"),
        Reply::text("done"),
    ]);
    let secret = bench.home.path().join("secret");
    codetether_files::write_atomic(&secret, b"hidden", &<_>::default()).unwrap();
    let run = bench.run(&[&CONFINED[..], &["work"]].concat());
    assert_eq!(run.code, 0, "{}", run.shown());
    assert_eq!(verdicts(&bench), ["allow: \"sandbox\"", "allow: \"sandbox\""]);
    let results = results(&bench);
    assert!(results[0].ends_with("1\n[exit code 3]\n") && !results[0].contains("hidden"), "{results:?}");
    assert!(results[1].starts_with("made\n"), "{results:?}");
    assert_eq!(bench.read("made.txt"), "made\n");
    assert!(!bench.path("../outside").exists());
    // It can be taken back like any other change.
    assert_eq!(bench.bare(&["undo", "--all", "--yes"]).code, 0);
    assert!(!bench.path("made.txt").exists());
}

#[test]
fn outside_needs_a_yes_and_destroying_does_too() {
    let outside = Reply::call("bash", json!({ "command": "cat ~/secret", "outside": true }));
    let bench = Bench::new([outside, bash("git reset --hard"), Reply::text("done")]);
    let run = bench.run(&[&CONFINED[..], &["work"]].concat());
    assert_eq!(run.code, 7, "{}", run.shown());
    assert!(
        verdicts(&bench).iter().filter(|verdict| verdict.starts_with("deny")).count() == 2,
        "{:?}",
        verdicts(&bench)
    );
    // A rule of the user is a yes.
    let secret = bench.home.path().join("secret");
    codetether_files::write_atomic(&secret, b"shown", &<_>::default()).unwrap();
    let outside = Reply::call("bash", json!({ "command": "cat ~/secret", "outside": true }));
    let again = Bench::new([outside, Reply::text("done")]);
    let secret = again.home.path().join("secret");
    codetether_files::write_atomic(&secret, b"shown", &<_>::default()).unwrap();
    let run = again.run(&[&CONFINED[..], &["--allow", "bash(cat *)", "work"]].concat());
    assert_eq!((run.code, results(&again)), (0, vec!["shown\n".to_owned()]), "{}", run.shown());
}

#[test]
fn what_would_happen_is_explained_as_it_would() {
    let bench = Bench::new([]);
    let explain = |flags: &[&str]| {
        bench.binary(&[&["permissions", "explain"], flags, &["make"]].concat()).output().unwrap()
    };
    let config = bench.home.config().join("codetether/config.toml");
    codetether_files::create_dir_all(config.parent().unwrap()).unwrap();
    let text = b"mode = \"auto-edit\"\n[sandbox]\ntier = \"namespaces\"\n";
    codetether_files::write_atomic(&config, text, &<_>::default()).unwrap();
    assert!(String::from_utf8(explain(&[]).stdout).unwrap().starts_with("allow\n"));
}

#[test]
fn not_even_bypass_lets_a_command_out_unasked() {
    let outside = Reply::call("bash", json!({ "command": "echo out > ../outside", "outside": true }));
    let bench = Bench::new([outside, Reply::text("done")]);
    let run = bench.run(&["-c", "sandbox.tier=namespaces", "--yes", "work"]);
    assert_eq!(run.code, 7, "{}", run.shown());
    assert!(!bench.path("../outside").exists());
}

#[test]
fn in_plan_nothing_can_be_written_even_by_what_only_reads() {
    let bench = Bench::new([bash("ls; touch made.txt"), bash("ls"), Reply::text("done")]);
    let run = bench.run(&["-c", "sandbox.tier=namespaces", "--mode", "plan", "look"]);
    assert!(!bench.path("made.txt").exists(), "{}", run.shown());
    assert!(results(&bench)[1].contains("Cargo.toml") || !results(&bench)[1].is_empty());
}

#[test]
fn a_confined_command_is_stopped_with_all_that_it_started() {
    let bench = Bench::new([
        Reply::call("bash", json!({ "command": "(setsid sleep 600 &) ; sleep 600", "timeout": 1 })),
        Reply::text("done"),
    ]);
    let run = bench.run(&[&CONFINED[..], &["wait"]].concat());
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(results(&bench)[0].contains("killed after 1 s"), "{:?}", results(&bench));
}

#[test]
fn without_a_sandbox_nothing_runs_where_the_settings_want_one() {
    let bench = Bench::new([bash("echo ran > made.txt"), Reply::text("done")]);
    let run = bench.run(&[&CONFINED[..], &["-c", "sandbox.writable=[\"/nowhere-at-all\"]", "work"]].concat());
    assert_eq!(run.code, 2, "{}", run.shown());
    assert!(!bench.path("made.txt").exists());
}
