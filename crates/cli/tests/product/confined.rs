//! What the agent runs, in the sandbox that it has by itself, and without.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use codetether_testkit::Reply;
use serde_json::json;

use crate::bench::Bench;

fn bash(command: &str) -> Reply {
    Reply::call("bash", json!({ "command": command }))
}

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
    let run = bench.run(&["work"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert_eq!(verdicts(&bench), ["allow: \"sandbox\"", "allow: \"sandbox\""]);
    let results = results(&bench);
    assert!(results[0].contains("1\n[exit code 3]\n") && !results[0].contains("hidden"), "{results:?}");
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
    let run = bench.run(&["work"]);
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
    let run = again.run(&["--allow", "bash(cat *)", "work"]);
    assert_eq!((run.code, results(&again)), (0, vec!["shown\n".to_owned()]), "{}", run.shown());
}

#[test]
fn mode_ask_asks_and_what_is_allowed_is_confined_still() {
    let bench = Bench::new([bash("touch refused"), bash("touch ../outside made"), Reply::text("done")]);
    let run = bench.run(&[
        "--mode",
        "ask",
        "--allow",
        "bash(touch ../outside made)",
        "--allow",
        "edit(//**)",
        "work",
    ]);
    assert_eq!(run.code, 7, "{}", run.shown());
    assert!(!bench.path("refused").exists() && bench.path("made").exists());
    assert!(!bench.path("../outside").exists());
}

#[test]
fn landlock_alone_asks_as_before_and_says_that_it_has_gaps() {
    let bench = Bench::new([bash("touch made"), Reply::text("done")]);
    bench.user_settings("[sandbox]\ntier = \"landlock\"\n");
    let run = bench.run(&["work"]);
    assert_eq!(run.code, 7, "{}", run.shown());
    assert!(
        run.stderr.contains("confined by Landlock alone") && run.stderr.contains("mode `ask` asks"),
        "{}",
        run.stderr
    );
    assert!(!bench.path("made").exists());
}

#[test]
fn no_sandbox_is_said_asked_about_and_in_the_journal() {
    let command = "echo x > ../outside";
    let bench = Bench::new([bash(command), Reply::text("done"), bash(command), Reply::text("done")]);
    let run = bench.run(&["--no-sandbox", "work"]);
    assert_eq!(run.code, 7, "{}", run.shown());
    assert!(
        run.stderr.contains("note: no sandbox: what you allow runs with your own rights"),
        "{}",
        run.stderr
    );
    let run = bench.run(&["--no-sandbox", "--yes", "work"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(bench.path("../outside").exists());
    let settings = |bench: &Bench| {
        let started = bench.event_values().into_iter().find(|event| event["type"] == "turn.started");
        started.unwrap()["settings"]["confinement"].clone()
    };
    assert_eq!(settings(&bench), json!(null));
    let confined = Bench::new([Reply::text("done")]);
    confined.run(&["work"]);
    assert_eq!(settings(&confined), json!("namespaces"));
}

#[test]
fn bypass_is_unconfined_where_the_user_says_so_alone() {
    let bench = Bench::new([bash("echo x > ../outside"), Reply::text("done")]);
    bench.user_settings("[sandbox]\nbypass = \"unconfined\"\n");
    let run = bench.run(&["--yes", "work"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(run.stderr.contains("note: no sandbox"), "{}", run.stderr);
    assert!(bench.path("../outside").exists());
    let bench = Bench::new([bash("echo x > ../outside"), Reply::text("done")]);
    codetether_files::create_dir_all(bench.path(".codetether")).unwrap();
    bench.file(".codetether/config.toml", "[sandbox]\nbypass = \"unconfined\"\ntier = \"none\"\n");
    bench.bare(&["trust", "add"]);
    bench.run(&["--yes", "work"]);
    assert!(!bench.path("../outside").exists());
}

#[test]
fn not_even_bypass_lets_a_command_out_unasked() {
    let outside = Reply::call("bash", json!({ "command": "echo out > ../outside", "outside": true }));
    let bench = Bench::new([outside, Reply::text("done")]);
    let run = bench.run(&["--yes", "work"]);
    assert_eq!(run.code, 7, "{}", run.shown());
    assert!(!bench.path("../outside").exists());
}

#[test]
fn in_plan_nothing_can_be_written_even_by_what_only_reads() {
    let bench = Bench::new([bash("ls; touch made.txt"), bash("ls"), Reply::text("done")]);
    let run = bench.run(&["--mode", "plan", "look"]);
    assert!(!bench.path("made.txt").exists(), "{}", run.shown());
    assert!(results(&bench)[1].contains("Cargo.toml") || !results(&bench)[1].is_empty());
}

#[test]
fn a_confined_command_is_stopped_with_all_that_it_started() {
    let bench = Bench::new([
        Reply::call("bash", json!({ "command": "(setsid sleep 600 &) ; sleep 600", "timeout": 1 })),
        Reply::text("done"),
    ]);
    let run = bench.run(&["wait"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(results(&bench)[0].contains("killed after 1 s"), "{:?}", results(&bench));
}

#[test]
fn without_a_sandbox_nothing_runs_where_the_settings_want_one() {
    let bench = Bench::new([bash("echo ran > made.txt"), Reply::text("done")]);
    let run = bench.run(&["-c", "sandbox.writable=[\"/nowhere-at-all\"]", "work"]);
    assert_eq!(run.code, 2, "{}", run.shown());
    assert!(!bench.path("made.txt").exists());
}

#[test]
fn the_model_hears_which_rule_stopped_it() {
    let bench = Bench::new([
        bash("cat ~/secret"),
        bash("cat ~/absent; cat absent"),
        bash("git init -q new && git -C new config user.name Ada && git -C new config alias.x '!true'"),
        bash("perl -e 'open(F, q(>>), q(new/.git/config)) or die qq(new/.git/config: $!\\n)'"),
        bash("head -c 2000000 /dev/zero > big"),
        Reply::text("done"),
    ]);
    let secret = bench.home.path().join("secret");
    codetether_files::write_atomic(&secret, b"hidden", &<_>::default()).unwrap();
    let run = bench.run(&["-c", "sandbox.file_size=\"1M\"", "work"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let results = results(&bench);
    let secret = secret.display();
    assert!(
        results[0].contains(&format!("[sandbox: `{secret}`: "))
            && results[0].contains("the user can show it with `sandbox.readable`"),
        "{results:?}"
    );
    assert!(
        !results[1].contains("sandbox"),
        "what is not there outside is no fault of the sandbox: {results:?}"
    );
    assert!(results[2].contains("took `alias.x` out"), "{results:?}");
    assert!(results[3].contains("is read-only: git outside would run what is in it"), "{results:?}");
    assert!(results[4].contains("no file may become larger than 1 MiB (`sandbox.file_size`)"), "{results:?}");
}

#[test]
fn what_ran_is_recorded_and_shown() {
    let bench = Bench::new([bash("exit 3"), bash("cat ~/secret"), Reply::text("done")]);
    codetether_files::write_atomic(bench.home.path().join("secret"), b"hidden", &<_>::default()).unwrap();
    let audit = |args: &[&str]| {
        let output = bench.binary(&[&["audit"], args].concat()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(audit(&["show"]), "");
    let run = bench.run(&["work"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let shown = audit(&["show", "--json"]);
    let all: Vec<serde_json::Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ends: Vec<_> = all.iter().map(|line| (line["exit"].clone(), line["tier"].clone())).collect();
    assert_eq!(ends, [(3.into(), "namespaces".into()), (1.into(), "namespaces".into())]);
    let session = all[0]["session"].as_str().unwrap();
    assert!(
        all[0]["policy"].is_string() && all[0]["call"].is_string() && !shown.contains("secret\\n"),
        "{shown}"
    );
    let columns = audit(&["show"]);
    let ends: Vec<Option<usize>> =
        columns.lines().filter(|line| line.contains(" ms ")).map(|line| line.find("namespaces")).collect();
    assert!(ends.len() == 2 && ends[0].is_some() && ends[0] == ends[1], "{columns}");
    let denied = audit(&["show", "--denied", "--session", &session[..8]]);
    assert!(
        denied.lines().count() == 2 && denied.contains("denied: read ") && denied.contains("/secret"),
        "{denied}"
    );
    assert_eq!(audit(&["show", "--session", "none"]), "");
    assert_eq!(audit(&["tail", "-n", "1", "--json"]).lines().next(), shown.lines().last());
    let file = bench.home.data().join("codetether/audit.jsonl");
    let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn who_follows_sees_what_is_run_from_then_on() {
    let bench = Bench::new([bash("exit 3"), Reply::text("done"), bash("exit 4"), Reply::text("done")]);
    assert_eq!(bench.run(&["work"]).code, 0);
    let mut follow = bench.binary(&["audit", "tail", "-f", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    let mut next = || {
        let line: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        line["exit"].clone()
    };
    assert_eq!(next(), 3);
    assert_eq!(bench.run(&["work"]).code, 0);
    assert_eq!(next(), 4);
    follow.kill().unwrap();
    follow.wait().unwrap();
}

#[test]
fn what_ran_unconfined_is_recorded_as_such_and_nothing_where_it_is_not_wanted() {
    let bench = Bench::new([bash("true"), Reply::text("done"), bash("true"), Reply::text("done")]);
    let run = bench.run(&["--yes", "-c", "sandbox.tier=none", "work"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let shown =
        || String::from_utf8(bench.binary(&["audit", "show", "--json"]).output().unwrap().stdout).unwrap();
    let line: serde_json::Value = serde_json::from_str(shown().trim()).unwrap();
    assert_eq!(
        (&line["tier"], &line["policy"], &line["mode"]),
        (&().into(), &().into(), &"unconfined".into())
    );
    let run = bench.run(&["--yes", "-c", "sandbox.tier=none", "-c", "sandbox.audit=false", "work"]);
    assert_eq!((run.code, shown().lines().count()), (0, 1), "{}", run.shown());
}

#[test]
fn a_sandbox_that_was_killed_is_remade_and_what_ran_in_it_fails_clearly() {
    let bench = Bench::new([
        bash("touch ready; sleep 600"),
        bash("echo again > made.txt; cat ~/secret"),
        Reply::text("done"),
    ]);
    let mut child = bench.spawn(&["work"]);
    while !bench.path("ready").exists() {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::yield_now();
    }
    let holders = crate::sandbox_kept::holders(child.id());
    assert!(!holders.is_empty());
    for pid in holders {
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let results = results(&bench);
    assert!(results[0].contains("the sandbox was ended while it ran"), "{results:?}");
    assert_eq!(bench.read("made.txt"), "again\n");
}
