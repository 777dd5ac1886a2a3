//! `codetether undo`, `redo`, `changes`, `diff`.

use codetether_testkit::Reply;
use serde_json::json;

use crate::bench::{Bench, Run};

fn write(path: &str, content: &str) -> Reply {
    Reply::call("write", json!({"path": path, "content": content}))
}

/// A session of three steps that changed files: by a tool, and by a command.
fn worked() -> Bench {
    let bench = Bench::new([
        write("notes.txt", "one\n"),
        Reply::call(
            "bash",
            json!({"command": "mkdir -p made && echo two > made/new.txt && chmod 600 old.txt"}),
        ),
        write("notes.txt", "three\n"),
        Reply::text("done"),
        Reply::text("again"),
    ]);
    bench.file("old.txt", "old\n");
    let run = bench.run(&["--mode", "bypass", "work"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    bench
}

fn read(bench: &Bench, path: &str) -> Option<String> {
    std::fs::read_to_string(bench.path(path)).ok()
}

#[test]
fn what_a_session_changed_is_listed_and_shown() {
    let bench = worked();
    let changes = bench.bare(&["changes"]);
    assert_eq!(changes.code, 0, "{}", changes.shown());
    let files: Vec<&str> =
        changes.stdout.lines().map(|line| line.split_once(' ').unwrap().1.trim()).collect();
    assert_eq!(
        files,
        [
            "created  notes.txt",
            "created  made",
            "created  made/new.txt",
            "changed  old.txt",
            "changed  notes.txt"
        ]
    );
    let diff = bench.bare(&["diff"]);
    insta::assert_snapshot!(diff.stdout, @r"
    --- /dev/null
    +++ b/made/new.txt
    @@ -0,0 +1 @@
    +two
    --- /dev/null
    +++ b/notes.txt
    @@ -0,0 +1 @@
    +three
    mode of old.txt 644 -> 600
    ");
    let json = bench.bare(&["changes", "--json"]);
    let lines: Vec<serde_json::Value> =
        json.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["files"], json!([{"path": "notes.txt", "change": "created"}]));
}

#[test]
fn steps_are_taken_back_from_the_last_and_done_again() {
    let bench = worked();
    let looked = bench.bare(&["undo", "--dry-run"]);
    assert_eq!((looked.code, looked.stdout.as_str()), (0, "put back    notes.txt\n"), "{}", looked.shown());
    assert_eq!(read(&bench, "notes.txt").as_deref(), Some("three\n"));

    assert_eq!(bench.bare(&["undo"]).code, 2, "nobody is here to confirm it");
    let undone = bench.bare(&["undo", "--yes"]);
    assert_eq!(undone.code, 0, "{}", undone.shown());
    assert_eq!(read(&bench, "notes.txt").as_deref(), Some("one\n"));
    let undone = bench.bare(&["undo", "5", "--yes"]);
    assert_eq!(undone.code, 0, "{}", undone.shown());
    assert!(undone.stderr.starts_with("note: no more than 2 steps changed files\n"), "{}", undone.shown());
    assert!(
        undone.stderr.contains("4 files changed; `codetether redo` turns it round"),
        "{}",
        undone.shown()
    );
    assert_eq!((read(&bench, "notes.txt"), read(&bench, "made/new.txt")), (None, None));
    assert!(!bench.path("made").exists(), "a folder that was not there goes as well");

    for expected in ["one\n", "three\n"] {
        let redone = bench.bare(&["redo", "--yes"]);
        assert_eq!(redone.code, 0, "{}", redone.shown());
        assert_eq!(read(&bench, "notes.txt").as_deref(), Some(expected));
    }
    assert_eq!(read(&bench, "made/new.txt").as_deref(), Some("two\n"));
    let nothing = bench.bare(&["redo", "--yes"]);
    assert_eq!(
        (nothing.code, nothing.stderr.contains("nothing was taken back")),
        (2, true),
        "{}",
        nothing.shown()
    );
}

#[test]
fn what_the_user_changed_since_is_not_touched_without_a_choice() {
    let bench = worked();
    bench.file("notes.txt", "mine\n");
    let refused = bench.bare(&["undo", "--all", "--yes"]);
    assert_eq!(refused.code, 1, "{}", refused.shown());
    assert!(refused.stdout.contains("conflict    notes.txt: you changed it since"), "{}", refused.shown());
    assert!(
        refused.stderr.contains("you changed 1 file since, so nothing was taken back"),
        "{}",
        refused.shown()
    );
    assert_eq!(read(&bench, "made/new.txt").as_deref(), Some("two\n"), "nothing was changed at all");

    let kept = bench.bare(&["undo", "--all", "--yes", "--conflicts", "keep"]);
    assert_eq!(kept.code, 0, "{}", kept.shown());
    assert_eq!((read(&bench, "notes.txt").as_deref(), read(&bench, "made/new.txt")), (Some("mine\n"), None));
    bench.bare(&["redo", "--yes"]);
    let overwritten = bench.bare(&["undo", "--all", "--yes", "--conflicts", "overwrite"]);
    assert_eq!(overwritten.code, 0, "{}", overwritten.shown());
    assert_eq!(read(&bench, "notes.txt"), None);
    let redone = bench.bare(&["redo", "--yes"]);
    assert_eq!(redone.code, 0, "{}", redone.shown());
    assert_eq!(read(&bench, "notes.txt").as_deref(), Some("mine\n"), "what was overwritten comes back");
}

#[test]
fn the_model_hears_of_it_or_the_conversation_goes_back_too() {
    let bench = worked();
    bench.bare(&["undo", "--yes"]);
    let run = bench.run(&["--last", "and now?"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let last = bench.server.requests().last().unwrap().json().to_string();
    assert!(last.contains("the user took changes of these files back"), "{last}");

    let bench = worked();
    let undone = bench.bare(&["undo", "--all", "--yes", "--conversation"]);
    assert_eq!(undone.code, 0, "{}", undone.shown());
    let run = bench.run(&["--last", "start anew"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let last = bench.server.requests().last().unwrap().json()["messages"].to_string();
    assert!(last.contains("start anew") && !last.contains("notes.txt"), "{last}");
}

#[test]
fn a_step_is_named_by_its_id_and_a_wrong_one_is_told() {
    let bench = worked();
    let changes = bench.bare(&["changes"]);
    let first = changes.stdout.lines().next().unwrap().split_whitespace().next().unwrap().to_owned();
    let later = bench.bare(&["undo", "--to", &first, "--dry-run"]);
    assert!(
        !later.stdout.contains("bring back") && later.stdout.contains("remove      made/new.txt"),
        "{}",
        later.shown()
    );
    let wrong = bench.bare(&["undo", "--step", "999", "--yes"]);
    let steps: Vec<&str> =
        changes.stdout.lines().filter_map(|line| line.split_once('.').map(|(step, _)| step)).collect();
    let steps: std::collections::BTreeSet<u64> = steps.iter().map(|step| step.parse().unwrap()).collect();
    let steps: Vec<String> = steps.iter().map(|step| format!("`{step}`")).collect();
    let told = format!("no step `999` has changed files; those that have: {}\n", steps.join(", "));
    assert!(wrong.stderr.contains(&told), "{}", wrong.stderr);
    for number in ["0", "abc"] {
        let wrong = bench.bare(&["undo", number]);
        assert!(
            wrong.code == 2 && wrong.stderr.contains("expected a number of steps, from 1"),
            "{}",
            wrong.shown()
        );
    }
    assert_eq!(wrong.code, 2);
    let outside = bench.bare(&["undo", "--files", "/etc/passwd", "--yes"]);
    assert_eq!(outside.code, 2, "{}", outside.shown());
}

#[test]
fn nothing_is_remembered_where_the_user_does_not_want_it() {
    let bench = Bench::new([write("a.txt", "x\n"), Reply::text("done")]);
    let run = bench.run(&["-c", "undo.enabled=false", "--mode", "auto-edit", "work"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(!bench.journal().contains("files.snapshot"));
    assert_eq!(bench.bare(&["undo", "--yes"]).code, 2);
}

#[test]
fn an_undo_that_cannot_be_finished_can_be_given_up() {
    let bench = Bench::new([Reply::call("bash", json!({"command": "rm large"})), Reply::text("done")]);
    bench.file("large", &"line\n".repeat(500_000));
    let run = bench.run(&["--mode", "bypass", "work"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    // No file may become larger than a megabyte.
    let bounded = || -> Run {
        let program = "trap '' XFSZ; ulimit -f 2048; exec \"$0\" undo --all --yes";
        let mut command = bench.home.command("sh".as_ref());
        command.args(["-c", program, env!("CARGO_BIN_EXE_codetether")]).current_dir(bench.path(""));
        command.stdin(std::process::Stdio::null()).output().unwrap().into()
    };
    assert_eq!(bounded().code, 1);
    let again = bounded();
    assert!(again.code == 1 && again.stderr.contains("`codetether undo --abandon`"), "{}", again.shown());
    let given_up = bench.bare(&["undo", "--abandon"]);
    assert_eq!(
        (given_up.code, given_up.stdout.as_str()),
        (0, "left as it is  large\n"),
        "{}",
        given_up.shown()
    );
    assert!(bench.bare(&["undo", "--abandon"]).stderr.contains("no undo was interrupted"));
    let whole = bench.bare(&["undo", "--all", "--yes"]);
    assert_eq!(
        (whole.code, read(&bench, "large").map(|text| text.len())),
        (0, Some(2_500_000)),
        "{}",
        whole.shown()
    );
}

#[test]
fn an_undo_that_was_interrupted_is_finished_by_the_next() {
    let bench = Bench::new([Reply::call("bash", json!({"command": "rm large"})), Reply::text("done")]);
    bench.file("large", &"line\n".repeat(500_000));
    assert_eq!(bench.run(&["--mode", "bypass", "work"]).code, 0);
    let program = "ulimit -f 2048; exec \"$0\" undo --all --yes";
    let mut command = bench.home.command("sh".as_ref());
    command.args(["-c", program, env!("CARGO_BIN_EXE_codetether")]).current_dir(bench.path(""));
    assert!(!command.stdin(std::process::Stdio::null()).output().unwrap().status.success());
    let next = bench.bare(&["undo", "--all", "--yes"]);
    assert!(next.code == 0 && next.stderr.contains("was finished first"), "{}", next.shown());
    assert_eq!(read(&bench, "large").map(|text| text.len()), Some(2_500_000));
}

#[test]
fn what_git_ignores_everywhere_is_not_remembered() {
    for is_named in [true, false] {
        let bench = Bench::new([
            Reply::call("bash", json!({"command": "mkdir scratch && echo x > scratch/y && echo z > z"})),
            Reply::text("done"),
        ]);
        let (file, settings) = (bench.home.path().join("ignored"), bench.home.path().join(".gitconfig"));
        codetether_files::write_atomic(&file, b"scratch/\n", &<_>::default()).unwrap();
        if is_named {
            let text = b"[core]\n\texcludesFile = ~/ignored\n";
            codetether_files::write_atomic(&settings, text, &<_>::default()).unwrap();
        }
        assert_eq!(bench.run(&["--mode", "bypass", "work"]).code, 0);
        let changes = bench.bare(&["changes"]).stdout;
        assert!(changes.contains("  z\n") && changes.contains("scratch/y") != is_named, "{changes}");
    }
}
