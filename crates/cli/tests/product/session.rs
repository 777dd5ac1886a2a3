//! `codetether session …`.

use codetether_testkit::{Reply, redact};

use crate::bench::Bench;

fn two_sessions() -> Bench {
    let bench = Bench::new([Reply::text("The sky is blue."), Reply::text("Grass is green.")]);
    bench.run(&["what colour is the sky"]);
    bench.run(&["what colour is grass"]);
    bench
}

#[test]
fn sessions_are_listed_the_latest_first() {
    let bench = two_sessions();
    let list = bench.bare(&["session", "list"]);
    let titles: Vec<_> = list.stdout.lines().map(|line| line.contains("grass")).collect();
    assert_eq!(titles, [true, false], "{}", list.shown());
    let json = bench.bare(&["session", "list", "--json", "-n", "1"]);
    let line: serde_json::Value = serde_json::from_str(json.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(line["id"], bench.last_session());
    assert!(line.get("cost_microdollars").is_none(), "a cost that is not known is not said to be nothing");
}

#[test]
fn a_session_is_shown_exported_renamed_and_deleted() {
    let bench = two_sessions();
    let id = bench.last_session();
    let shown = bench.bare(&["session", "show", "last"]);
    assert!(
        shown.stdout.contains("what colour is grass") && shown.stdout.contains("Grass is green."),
        "{}",
        shown.shown()
    );
    assert_eq!(bench.bare(&["session", "show"]).stdout, shown.stdout, "the last one where none is named");
    let exported = bench.bare(&["session", "export", &id]);
    assert_eq!(exported.stdout.lines().count(), bench.journal().lines().count());
    assert!(
        exported
            .stdout
            .lines()
            .all(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"].is_u64())
    );
    assert_eq!(bench.bare(&["session", "rename", &id, "About grass"]).code, 0);
    assert!(bench.bare(&["session", "list"]).stdout.contains("About grass"));
    assert_eq!(bench.bare(&["session", "delete", &id]).code, 2, "deleting takes a yes");
    assert_eq!(bench.bare(&["session", "delete", &id, "--yes"]).code, 0);
    assert!(!bench.bare(&["session", "list"]).stdout.contains("About grass"));
    let none = Bench::new([]).bare(&["session", "list"]);
    assert_eq!((none.stdout.as_str(), none.stderr.as_str()), ("", "note: there is no session yet\n"));
}

#[test]
fn sessions_are_found_by_what_was_said() {
    let bench = two_sessions();
    let found = bench.bare(&["session", "search", "blue"]);
    let sessions: Vec<&str> = found.stdout.lines().filter(|line| !line.starts_with(' ')).collect();
    assert!(matches!(sessions[..], [line] if line.contains("what colour is the sky")), "{}", found.shown());
    assert!(!found.stdout.contains("grass"), "{}", found.shown());
    assert_eq!(bench.bare(&["session", "search", "purple"]).stdout, "");
}

#[test]
fn an_id_that_is_not_there_or_not_one_is_an_error() {
    let bench = two_sessions();
    let run = bench.bare(&["session", "show", "ffffffff"]);
    assert_eq!(run.code, 2);
    insta::assert_snapshot!(redact(&run.stderr), @r"
    codetether::usage

      × there is no session whose id begins with `ffffffff`
      help: `codetether session list` shows them
    ");
    let run = bench.bare(&["session", "show", "0"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("several sessions"), "{}", run.stderr);
}

#[test]
fn damage_is_named_and_repaired() {
    let bench = two_sessions();
    let id = bench.last_session();
    let lines: Vec<String> = bench.journal().lines().map(str::to_owned).collect();
    let mut damaged = lines.clone();
    damaged[3] = damaged[3].replacen("seq", "sqe", 1);
    let text: String = damaged.iter().map(|line| format!("{line}\n")).collect();
    codetether_files::write_atomic(
        bench.journal_path(),
        text.as_bytes(),
        &codetether_files::WriteOptions::default(),
    )
    .unwrap();
    let run = bench.run(&["more", "--resume", &id]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("session repair"), "{}", run.stderr);
    let repaired = bench.bare(&["session", "repair", &id]);
    assert_eq!(repaired.code, 0, "{}", repaired.shown());
    assert_eq!(bench.journal().lines().count(), 3);
    assert_eq!(bench.bare(&["session", "show", &id]).code, 0);
}

#[test]
fn a_torn_tail_is_cut_and_said_so() {
    let bench = Bench::new([Reply::text("one"), Reply::text("two")]);
    bench.run(&["first"]);
    let mut text = bench.journal();
    text.push_str(r#"{"crc":"00000000","rec"#);
    codetether_files::write_atomic(
        bench.journal_path(),
        text.as_bytes(),
        &codetether_files::WriteOptions::default(),
    )
    .unwrap();
    let run = bench.run(&["second", "--last"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "two\n"), "{}", run.stderr);
    assert!(run.stderr.contains("not whole and were cut off"), "{}", run.stderr);
}

#[test]
fn doctor_completions_version_and_manual_pages_are_there() {
    let bench = Bench::new([]);
    let doctor = bench.bare(&["doctor"]);
    assert_eq!(doctor.code, 1, "no model is chosen: {}", doctor.shown());
    assert!(doctor.stdout.contains("error   model"), "{}", doctor.stdout);
    for shell in ["bash", "zsh", "fish"] {
        assert!(bench.bare(&["completions", shell]).stdout.contains("codetether"));
    }
    let version: serde_json::Value =
        serde_json::from_str(&bench.bare(&["version", "--json"]).stdout).unwrap();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(bench.bare(&["man", "pages"]).code, 0);
    assert!(bench.read("pages/codetether-session-list.1").contains(".TH"));
}
