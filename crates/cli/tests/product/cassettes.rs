//! Runs that are recorded, and played back where there is no server, no key and another folder.

use std::path::{Path, PathBuf};

use codetether_testkit::{Reply, redact};
use serde_json::json;

use crate::bench::{Bench, Run};

/// How each wire is asked: the model, the variable with the address, and a setting.
const WIRES: [(&str, &str, &str); 4] = [
    ("openai/gpt-5", "OPENAI_BASE_URL", "openai-chat"),
    ("openai/gpt-5", "OPENAI_BASE_URL", "openai-responses"),
    ("anthropic/claude-opus-5", "ANTHROPIC_BASE_URL", "anthropic"),
    ("google/gemini-3-pro-preview", "GEMINI_BASE_URL", "gemini"),
];

const KEY: &str = "sk-planted-0123456789";
/// The same in base64.
const ENCODED: &str = "c2stcGxhbnRlZC0wMTIzNDU2Nzg5";

fn run(bench: &Bench, (model, base, wire): (&str, &str, &str), address: &str, args: &[&str]) -> Run {
    let provider = model.split('/').next().unwrap();
    let wire = format!("providers.{provider}.wire=\"{wire}\"");
    let mut command = bench.binary(&["run", "-m", model, "-c", &wire]);
    command.args(args).env(base, address).output().unwrap().into()
}

/// Where this bench's cassettes are.
fn tapes(bench: &Bench) -> PathBuf {
    bench.home.path().join("tapes")
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What the last session's journal says was said and done.
fn transcript(bench: &Bench) -> String {
    let shown = bench.bare(&["session", "show", "last"]);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    // Its first line names the session and the folder.
    let said = shown.stdout.split_once('\n').unwrap().1;
    format!("{}{}", bench.events(), redact(said))
}

/// A recorded run of one answer.
fn recorded(said: &str) -> Bench {
    let bench = Bench::new([Reply::text(said)]);
    let done = bench.run(&["say hi to Ada", "--record", text(&tapes(&bench))]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    bench
}

#[test]
fn over_every_wire_a_recorded_run_is_played_back_elsewhere_without_a_server_or_a_key() {
    for wire in WIRES {
        let bench = Bench::new([
            Reply::reasoning("First I look.").and_call("bash", json!({ "command": "pwd; cat greet.py" })),
            Reply::status(529).header("retry-after", "0").body(r#"{"error":{"message":"Overloaded"}}"#),
            Reply::text("Now the change. é")
                .and_call("edit", json!({ "path": "greet.py", "old": "Helo", "new": "Hello" }))
                .and_call("list", json!({})),
            Reply::text("I fixed the greeting."),
        ]);
        bench.file("greet.py", "print('Helo, world')\n");
        let dir = tapes(&bench);
        let args = ["fix the typo in greet.py", "--yes", "--record", text(&dir)];
        let first = run(&bench, wire, &bench.server.base_url(), &args);
        assert_eq!(first.code, 0, "{wire:?}: {}", first.shown());
        assert_eq!(bench.server.requests().len(), 4);

        // A remote address: a key would be needed if it were asked.
        let other = Bench::new([]);
        other.file("greet.py", "print('Helo, world')\n");
        let args = ["fix the typo in greet.py", "--yes", "--replay", text(&dir)];
        let again = run(&other, wire, "https://models.invalid/v1", &args);
        assert_eq!(again.shown(), first.shown(), "{wire:?}");
        assert_eq!(other.read("greet.py"), "print('Hello, world')\n");
        assert_eq!(transcript(&other), transcript(&bench), "{wire:?}");
    }
}

#[test]
fn a_changed_prompt_ends_a_replay_with_what_differs() {
    let bench = recorded("hi");
    let done = bench.run(&["say hi to Bob", "--replay", text(&tapes(&bench))]);
    assert_eq!((done.code, done.stdout.as_str()), (5, ""), "{}", done.shown());
    let told = done.stderr.replace(text(&tapes(&bench)), "DIR");
    assert!(
        told.contains(
            "cannot ask `openai`: request 1 is not that of `DIR/0001.cassette`: `/messages/2/content` was \
             `say hi to Ada` when it was recorded, and is `say hi to Bob` now"
        ),
        "{told}"
    );
    assert_eq!(told.matches("request 1 is not that of").count(), 1, "it is said once: {told}");
    assert!(told.contains("record again with `--record`") && !told.contains("models list"), "{told}");
    let asked = bench.events().matches("sample.started").count();
    assert_eq!((asked, bench.server.requests().len()), (1, 1), "it is not tried again");
}

#[test]
fn no_cassette_holds_a_key() {
    let bench = Bench::new([
        Reply::text("the key is ").and_text(KEY).and_text(ENCODED).header("x-echo", KEY),
        Reply::status(401).body(format!(r#"{{"error":{{"message":"wrong key {KEY}"}}}}"#)),
    ]);
    for number in ["0001", "0002"] {
        let dir = tapes(&bench).join(number);
        let key = [("OPENAI_API_KEY", KEY)];
        bench.run_env(&[&format!("repeat {KEY} and {ENCODED}"), "--record", text(&dir)], &key);
        let cassette = codetether_files::read_to_string(dir.join("0001.cassette")).unwrap();
        for secret in [KEY, ENCODED] {
            assert!(!cassette.contains(secret), "{cassette}");
        }
        assert!(cassette.contains(r#"["authorization","[redacted]"]"#), "{cassette}");
        assert!(cassette.contains("repeat [redacted] and [redacted]"), "{cassette}");
    }
    assert_eq!(bench.server.requests().len(), 2);
}

#[test]
fn a_cassette_that_is_cut_in_the_middle_is_told_of() {
    let bench = recorded("hi");
    let path = tapes(&bench).join("0001.cassette");
    let whole = codetether_files::read(&path).unwrap();
    codetether_files::write_atomic(&path, &whole[..whole.len() / 2], &Default::default()).unwrap();
    let done = bench.run(&["say hi to Ada", "--replay", text(&tapes(&bench))]);
    assert_eq!((done.code, done.stdout.as_str()), (5, ""), "{}", done.shown());
    assert!(
        done.stderr.contains("0001.cassette` is cut: it does not say how the answer ended"),
        "{}",
        done.stderr
    );
}

#[test]
fn a_run_that_asks_for_more_than_was_recorded_is_told_so() {
    let bench = Bench::new([Reply::call("list", json!({})), Reply::text("done")]);
    let dir = tapes(&bench);
    let done = bench.run(&["look", "--record", text(&dir)]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    codetether_files::remove_file(dir.join("0002.cassette")).unwrap();
    let done = bench.run(&["look", "--replay", text(&dir)]);
    assert_eq!(done.code, 5, "{}", done.shown());
    let told = format!("request 2 was not recorded: `{}` holds 1", text(&dir));
    assert!(done.stderr.contains(&told), "{}", done.stderr);
}

#[test]
fn folders_that_cannot_be_recorded_into_or_played_back_are_usage_errors() {
    let bench = recorded("hi");
    let dir = tapes(&bench);
    let sessions = bench.last_session();
    let failed = |args: &[&str]| {
        let done = bench.run(args);
        assert_eq!(done.code, 2, "{}", done.shown());
        done.stderr.replace(text(&dir), "DIR")
    };
    assert!(failed(&["go", "--record", text(&dir)]).contains("cannot record into `DIR`: it is not empty"));
    let none = dir.join("none");
    assert!(failed(&["go", "--replay", text(&none)]).contains("there is no `0001.cassette` in it"));
    assert!(failed(&["go", "--record", text(&none), "--replay", text(&dir)]).contains("cannot be used with"));
    assert_eq!((bench.last_session(), bench.server.requests().len()), (sessions, 1), "nothing was begun");
}
