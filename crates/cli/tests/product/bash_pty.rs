//! Commands at a terminal of their own, in the sandbox and without.

use codetether_testkit::Reply;
use serde_json::{Value, json};

use crate::bench::Bench;

/// The ways in which commands run.
const WAYS: [&[&str]; 3] = [
    &["--allow", "process"],
    &["--no-sandbox", "--yes", "--allow", "process"],
    &["-c", "sandbox.tier=landlock", "--yes", "--allow", "process"],
];

fn results(bench: &Bench) -> Vec<String> {
    let ended = bench.event_values().into_iter().filter(|event| event["type"] == "call.ended");
    ended.map(|event| event["result"]["text"].as_str().unwrap().to_owned()).collect()
}

fn pty(command: &str) -> Reply {
    Reply::call("bash", json!({ "command": command, "pty": true }))
}

fn process(action: &str, more: Value) -> Reply {
    let mut arguments = json!({ "action": action, "id": "7.0" });
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Reply::call("process", arguments)
}

#[test]
fn a_command_has_a_terminal_of_its_own_when_it_is_to() {
    for flags in WAYS {
        let bench = Bench::new([
            pty("tty; stty size; test -t 2 && echo $TERM; stty -F /dev/tty size; cat; exit 3"),
            Reply::call("bash", json!({ "command": "tty" })),
            Reply::text("done"),
        ]);
        let run = bench.run(&[flags, &["go"]].concat());
        assert_eq!(run.code, 0, "{flags:?}: {}", run.shown());
        let results = results(&bench);
        let lines: Vec<&str> = results[0].lines().collect();
        assert!(lines[0].starts_with("/dev/pts/"), "{flags:?}: {results:?}");
        assert_eq!(lines[1..3], ["40 120", "dumb"], "{flags:?}: {results:?}");
        assert_eq!(lines.last(), Some(&"[exit code 3]"), "{flags:?}: {results:?}");
        assert!(results[1].starts_with("not a tty"), "{flags:?}: {results:?}");
        if !flags.contains(&"sandbox.tier=landlock") {
            assert_eq!(lines[3], "40 120", "{flags:?}: {results:?}");
        }
        if flags == WAYS[0] {
            assert_eq!(lines[0], "/dev/pts/0", "it is the sandbox's own");
        }
    }
}

#[test]
fn what_a_terminal_shows_in_the_end_is_told() {
    let bench = Bench::new([
        pty(
            r"for n in 1 50 100; do printf '\r%3d%%' $n; done; printf '\n\033[31mred\033[0m abd\bc\n'; printf last",
        ),
        pty("seq 1 100000"),
        Reply::text("done"),
    ]);
    let run = bench.run(&["go"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let results = results(&bench);
    assert_eq!(results[0], "100%\nred abc\nlast\n");
    assert!(results[1].starts_with("1\n2\n3\n") && results[1].contains("\n100000\n"), "{}", results[1].len());
    assert!(results[1].contains(" bytes left out ...]\n") && results[1].len() < 31_000);
}

#[test]
fn a_prompt_is_seen_and_what_is_typed_without_echo_is_not() {
    let ask = "stty -echo; printf 'Password: '; read -r word; stty echo; echo; echo \"got ${#word}\"; read -r more; echo $more";
    for flags in WAYS {
        let bench = Bench::new([
            Reply::call("bash", json!({ "command": ask, "background": true, "pty": true })),
            process("wait", json!({ "until": "Password: $", "timeout": 60 })),
            process("write", json!({ "text": "hunter2\n" })),
            process("write", json!({ "text": "seen\n" })),
            process("wait", json!({ "timeout": 60 })),
            Reply::text("done"),
        ]);
        let run = bench.run(&[flags, &["go"]].concat());
        assert_eq!(run.code, 0, "{flags:?}: {}", run.shown());
        let results = results(&bench);
        assert_eq!(results[1], "Password: \n[it came; process 7.0 runs]\n", "{flags:?}: {results:?}");
        let rest = results[2..].concat();
        assert!(rest.contains("got 7\n") && rest.contains("seen\n"), "{flags:?}: {results:?}");
        assert!(!rest.contains("hunter2"), "{flags:?}: {results:?}");
        assert!(rest.contains("[process 7.0 ended with exit code 0]"), "{flags:?}: {results:?}");
    }
}

#[test]
fn what_is_typed_at_a_terminal_may_be_a_signal() {
    let bench = Bench::new([
        Reply::call("bash", json!({ "command": "echo up; exec sleep 600", "background": true, "pty": true })),
        process("wait", json!({ "until": "up", "timeout": 60 })),
        process("write", json!({ "text": "\u{3}" })),
        process("wait", json!({ "timeout": 60 })),
        Reply::text("done"),
    ]);
    let run = bench.run(&["go"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(results(&bench)[3].contains("was ended by signal 2"), "{:?}", results(&bench));
}
