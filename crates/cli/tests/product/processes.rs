//! Processes in the background: they outlive the call that started them, and nothing outlives the session.

use std::process::Child;

use codetether_testkit::Reply;
use serde_json::{Value, json};

use crate::bench::{Bench, Run};

/// The name of a process that the first call of a session starts.
const FIRST: &str = "7.0";

fn background(command: &str) -> Reply {
    Reply::call("bash", json!({ "command": command, "background": true }))
}

fn bash(command: &str) -> Reply {
    Reply::call("bash", json!({ "command": command }))
}

fn process(action: &str, more: Value) -> Reply {
    let mut arguments = json!({ "action": action, "id": FIRST });
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Reply::call("process", arguments)
}

fn results(bench: &Bench) -> Vec<String> {
    let ended = bench.event_values().into_iter().filter(|event| event["type"] == "call.ended");
    ended.map(|event| event["result"]["text"].as_str().unwrap().to_owned()).collect()
}

/// What became of processes, but for their start.
fn ends(bench: &Bench) -> Vec<Value> {
    let of = |event: &Value| {
        let kind = event["type"].as_str().unwrap();
        kind.starts_with("process.") && kind != "process.started"
    };
    bench.event_values().into_iter().filter(of).collect()
}

/// How many processes carry a mark of the latest session.
fn marked(bench: &Bench) -> usize {
    let mark = format!("CODETETHER_CALL={}", bench.last_session());
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    all.filter(|entry| {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        String::from_utf8_lossy(&environment).contains(&mark)
    })
    .count()
}

fn wait_for(bench: &Bench, child: &mut Child, name: &str) {
    while !bench.path(name).exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before `{name}` was there");
        std::thread::yield_now();
    }
}

#[test]
fn a_server_is_started_waited_for_spoken_to_read_and_killed() {
    let serve = "perl -MIO::Socket::INET -e '$| = 1; my $s = IO::Socket::INET->new(Listen => 5, LocalAddr => q(127.0.0.1:8765)) \
                 or die; print qq(listening on 8765\n); while (my $c = $s->accept) { print q(asked: ), scalar <$c>; print $c \
                 qq(greetings\n); close $c }'";
    let ask = "perl -MIO::Socket::INET -e 'my $c = IO::Socket::INET->new(q(127.0.0.1:8765)) or die; print $c qq(hello\n); print <$c>'";
    let bench = Bench::new([
        background(serve),
        process("wait", json!({ "until": "listening on [0-9]+$", "timeout": 60 })),
        bash(ask),
        process("wait", json!({ "until": "hello", "timeout": 60 })),
        process("read", json!({})),
        Reply::call("process", json!({ "action": "list" })),
        process("kill", json!({})),
        process("read", json!({})),
        Reply::text("done"),
    ]);
    let run = bench.run(&["serve"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let results = results(&bench);
    assert!(results[0].starts_with("[process 7.0 runs in the background"), "{results:#?}");
    assert_eq!(results[1], "listening on 8765\n[it came; process 7.0 runs]\n");
    assert_eq!(results[2], "greetings\n");
    assert_eq!(results[3], "asked: hello\n[it came; process 7.0 runs]\n");
    assert_eq!(results[4], "[nothing new]\n[process 7.0 runs]\n");
    assert!(results[5].starts_with("7.0: `perl -MIO::Socket::INET"), "{results:#?}");
    assert_eq!(results[6], "[nothing new]\n[process 7.0 was killed, as asked]\n");
    assert_eq!(results[7], results[6]);
    assert_eq!(
        ends(&bench),
        [
            json!({ "type": "process.exited", "item": "7.0", "status": { "kind": "killed" } }),
            json!({ "type": "process.told", "item": "7.0" })
        ]
    );
    assert!(!bench.events().contains("context.added\nsample.started\nsample.ended\nturn.ended"));
    bench.assert_prefix_stable();
}

#[test]
fn an_end_is_told_to_the_model_before_its_next_step() {
    let mut script = vec![
        background("exec 9>lock; flock 9; touch locked; until [ -e go ]; do sleep 0.01; done; exit 3"),
        bash("until [ -e locked ]; do sleep 0.01; done; touch go; flock lock true"),
    ];
    // Its end is known to others a moment before it is to us.
    script.extend((0..12).map(|n| bash(&format!("echo {n}"))));
    script.push(Reply::text("done"));
    let bench = Bench::new(script);
    let run = bench.run(&["go"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let status = json!({ "kind": "code", "code": 3 });
    assert_eq!(
        ends(&bench),
        [json!({ "type": "process.exited", "item": "7.0", "status": status })],
        "{}",
        bench.events()
    );
    let told: Vec<Value> = bench
        .event_values()
        .into_iter()
        .filter(|event| event["type"] == "context.added" && event["source"] == "process")
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    let text = told[0]["message"]["parts"][0]["text"].as_str().unwrap();
    assert!(text.contains("process 7.0 (`exec 9>lock;") && text.contains("ended with exit code 3"), "{text}");
    let requests = bench.server.requests();
    assert!(String::from_utf8_lossy(&requests.last().unwrap().body).contains("ended with exit code 3"));
    bench.assert_prefix_stable();
}

#[test]
fn what_runs_ends_with_the_session_and_the_next_turn_hears_of_it() {
    for flags in [&[][..], &["--no-sandbox", "--yes"], &["-c", "sandbox.tier=landlock", "--yes"]] {
        let bench = Bench::new([
            background("touch up; (setsid sleep 600 &); exec sleep 600"),
            bash("until [ -e up ]; do sleep 0.01; done"),
            Reply::text("done"),
            Reply::text("heard"),
        ]);
        let run = bench.run(&[flags, &["go"]].concat());
        assert_eq!((run.code, run.stdout.as_str()), (0, "done\n"), "{flags:?}: {}", run.shown());
        let line =
            "ended what still ran in the background: `touch up; (setsid sleep 600 &); exec sleep 600`\n";
        assert!(run.stderr.contains(line), "{flags:?}: {}", run.stderr);
        assert_eq!(marked(&bench), 0, "{flags:?}");
        assert_eq!(ends(&bench)[0]["status"]["kind"], "closed", "{flags:?}: {}", bench.events());
        let spool = bench.journal_path().parent().unwrap().join("spool");
        assert_eq!(std::fs::read_dir(spool).map_or(0, Iterator::count), 0, "nothing is left of what it said");

        let again = bench.run(&[flags, &["--last", "more"]].concat());
        assert_eq!(again.code, 0, "{flags:?}: {}", again.shown());
        let last = bench.server.requests().pop().unwrap();
        assert!(String::from_utf8_lossy(&last.body).contains("was ended with the session"), "{flags:?}");
    }
}

#[test]
fn what_survives_a_kill_is_ended_at_the_next_opening_and_told() {
    for flags in [&[][..], &["--no-sandbox", "--yes"]] {
        let bench = Bench::new([
            background("touch up; exec sleep 600"),
            bash("until [ -e up ]; do sleep 0.01; done; touch both; sleep 600"),
            Reply::text("heard"),
        ]);
        let mut child = bench.spawn(&[flags, &["go"]].concat());
        wait_for(&bench, &mut child, "both");
        child.kill().unwrap();
        child.wait().unwrap();
        let run = bench.run(&[flags, &["--last", "more"]].concat());
        assert_eq!(run.code, 0, "{flags:?}: {}", run.shown());
        assert_eq!(marked(&bench), 0, "{flags:?}");
        assert_eq!(ends(&bench)[0]["type"], "process.lost", "{flags:?}: {}", bench.events());
        let last = bench.server.requests().pop().unwrap();
        let body = String::from_utf8_lossy(&last.body).into_owned();
        assert!(body.contains("is gone: the program that ran it ended"), "{flags:?}: {body}");
    }
}

#[test]
fn an_interrupt_ends_the_run_and_with_it_what_runs() {
    let bench = Bench::new([background("exec sleep 600"), bash("touch up; sleep 600")]);
    let mut child = bench.spawn(&["--no-sandbox", "--yes", "go"]);
    wait_for(&bench, &mut child, "up");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let run = Run::from(child.wait_with_output().unwrap());
    assert_eq!(run.code, 130, "{}", run.shown());
    assert!(
        run.stderr.contains("ended what still ran in the background: `exec sleep 600`"),
        "{}",
        run.stderr
    );
    assert_eq!(marked(&bench), 0);
}

#[test]
fn a_flood_is_bounded_and_what_is_left_out_is_said() {
    let bench = Bench::new([
        background("echo begins; yes | head -c 30000000; echo ENDS; exec sleep 600"),
        process("wait", json!({ "until": "^ENDS$", "timeout": 120 })),
        process("read", json!({})),
        Reply::text("done"),
    ]);
    let run = bench.run(&["go"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let results = results(&bench);
    let text = &results[1];
    assert!(text.len() < 20_000 && text.starts_with("begins\ny\n"), "{} bytes", text.len());
    assert!(
        text.contains(" bytes left out ...]\n") && text.contains("\nENDS\n"),
        "{}",
        &text[text.len() - 200..]
    );
    assert_eq!(results[2], "[nothing new]\n[process 7.0 runs]\n");
}

#[test]
fn the_seventeenth_is_refused() {
    let one = |n: usize| ("bash", json!({ "command": format!("exec sleep 60{n}"), "background": true }));
    let bench = Bench::new([Reply::calls((0..17).map(one)), Reply::text("done")]);
    let run = bench.run(&["go"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let results = results(&bench);
    let started = results.iter().filter(|text| text.contains("runs in the background")).count();
    assert_eq!((results.len(), started), (17, 16), "{results:#?}");
    assert!(results[16].starts_with("16 processes run in the background already"), "{}", results[16]);
    assert!(run.stderr.contains("ended 16 processes that still ran in the background"), "{}", run.stderr);
    assert_eq!(marked(&bench), 0);
}

#[test]
fn with_a_sandbox_that_was_killed_its_processes_are_lost() {
    let bench = Bench::new([
        background("touch up; exec sleep 600"),
        bash("until [ -e up ]; do sleep 0.01; done; touch ready; sleep 600"),
        process("wait", json!({ "timeout": 60 })),
        Reply::text("done"),
    ]);
    let mut child = bench.spawn(&["work"]);
    wait_for(&bench, &mut child, "ready");
    for pid in crate::sandbox_kept::holders(child.id()) {
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let results = results(&bench);
    assert!(
        results[2].contains("[process 7.0 is gone: ")
            && results[2].contains("the sandbox was ended while it ran"),
        "{results:?}"
    );
    assert_eq!(ends(&bench)[0]["type"], "process.lost");
}

#[test]
fn what_is_typed_needs_a_yes_outside_and_none_inside() {
    let script = || [background("cat"), process("write", json!({ "text": "said\n" })), Reply::text("done")];
    let inside = Bench::new(script());
    let run = inside.run(&["go"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert_eq!(results(&inside)[1], "said\n[written; process 7.0 runs]\n");

    let outside = Bench::new(script());
    let run = outside.run(&["--no-sandbox", "--yes", "go"]);
    assert_eq!(run.code, 7, "{}", run.shown());

    let allowed = Bench::new(script());
    let run = allowed.run(&["--no-sandbox", "--allow", "bash(cat)", "go"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert_eq!(results(&allowed)[1], "said\n[written; process 7.0 runs]\n");
}

#[test]
fn input_ends_where_the_model_says_so() {
    let bench = Bench::new([
        background("wc -c"),
        process("write", json!({ "text": "12345" })),
        process("write", json!({ "text": "678", "end": true })),
        process("wait", json!({})),
        Reply::text("done"),
    ]);
    let run = bench.run(&["go"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let said = results(&bench).split_off(2).concat();
    assert!(said.contains("8\n") && said.contains("[process 7.0 ended with exit code 0]"), "{said}");
}

#[test]
fn what_is_wrong_with_a_call_is_told() {
    let bench = Bench::new([
        process("read", json!({})),
        process("write", json!({ "text": "x" })),
        Reply::call("process", json!({ "action": "wait" })),
        Reply::call("process", json!({ "action": "list" })),
        Reply::text("done"),
    ]);
    let run = bench.run(&["go"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let results = results(&bench);
    assert_eq!(
        results[0],
        "there is no process `7.0` (any more); `process` with `list` shows those that there are"
    );
    assert!(results[1].contains("no process `7.0` runs"), "{results:#?}");
    assert_eq!(results[2], "`id` is missing: which process?");
    assert_eq!(results[3], "[no process was started in the background]\n");
}

#[test]
fn in_plan_nothing_is_started_in_the_background() {
    let bench = Bench::new([background("ls"), Reply::text("done")]);
    let run = bench.run(&["--mode", "plan", "look"]);
    assert_eq!(run.code, 7, "{}", run.shown());
    assert_eq!(ends(&bench), [] as [Value; 0]);
}

#[test]
fn a_time_that_a_call_names_ends_its_process() {
    let bench = Bench::new([
        Reply::call("bash", json!({ "command": "exec sleep 600", "background": true, "timeout": 1 })),
        process("wait", json!({ "timeout": 60 })),
        Reply::text("done"),
    ]);
    let run = bench.run(&["go"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert_eq!(results(&bench)[1], "[nothing new]\n[process 7.0 was ended when its time was up]\n");
}
