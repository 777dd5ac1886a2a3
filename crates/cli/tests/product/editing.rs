//! The tools that change several places at once, and what they do about files that changed under the model.

use codetether_testkit::Reply;
use serde_json::json;

use crate::bench::Bench;
use crate::terminal::at_terminal;

const PATCH: &str = "*** Begin Patch\n*** Add File: docs/new.md\n+# New\n*** Update File: greet.py\n@@\n-print('Hello')\n+print('Hello!')\n*** Update File: old.txt\n*** Move to: kept/new.txt\n*** Delete File: gone.txt\n*** End Patch";

fn files(bench: &Bench) {
    bench.file("greet.py", "import sys\nprint('Helo')\n");
    bench.file("other.py", "# Helo\n");
    bench.file("old.txt", "old\n");
    bench.file("gone.txt", "gone\n");
}

fn replies() -> [Reply; 3] {
    let edits = json!([
        { "path": "greet.py", "old": "Helo", "new": "Hello" },
        { "path": "other.py", "old": "Helo", "new": "Hello" },
        { "path": "greet.py", "old": "import sys\n", "new": "" },
    ]);
    [
        Reply::call("multi_edit", json!({ "edits": edits })),
        Reply::call("apply_patch", json!({ "patch": PATCH })),
        Reply::text("done"),
    ]
}

/// What the model was told by the last call of a request.
fn told(bench: &Bench, request: usize) -> String {
    let messages = bench.server.requests()[request].json()["messages"].clone();
    let last = messages.as_array().unwrap().iter().rev().find(|message| message["role"] == "tool").cloned();
    last.unwrap()["content"].as_str().unwrap().to_owned()
}

fn there(bench: &Bench, path: &str) -> Option<String> {
    std::fs::read_to_string(bench.path(path)).ok()
}

#[test]
fn several_files_change_at_once_and_undo_takes_it_back() {
    let bench = Bench::new(replies());
    files(&bench);
    let run = bench.run(&["fix it", "--mode", "auto-edit"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert_eq!(told(&bench, 1), "edited `greet.py` in 2 places\nedited `other.py` at line 1");
    assert_eq!(
        told(&bench, 2),
        "created `docs/new.md`\nedited `greet.py` at line 1\nmoved `old.txt` to `kept/new.txt`\nremoved `gone.txt`"
    );
    assert_eq!(bench.read("greet.py"), "print('Hello!')\n");
    assert_eq!((there(&bench, "old.txt"), there(&bench, "gone.txt")), (None, None));

    let undone = bench.bare(&["undo", "--yes"]);
    assert_eq!(undone.code, 0, "{}", undone.shown());
    assert_eq!(bench.read("greet.py"), "print('Hello')\n");
    assert_eq!((bench.read("old.txt").as_str(), bench.read("gone.txt").as_str()), ("old\n", "gone\n"));
    assert!(!bench.path("docs").exists() && !bench.path("kept").exists());
    let undone = bench.bare(&["undo", "--yes"]);
    assert_eq!(undone.code, 0, "{}", undone.shown());
    assert_eq!(bench.read("greet.py"), "import sys\nprint('Helo')\n");
    assert_eq!(bench.read("other.py"), "# Helo\n");
}

#[test]
fn at_a_terminal_all_that_would_change_is_shown_as_a_diff() {
    let bench = Bench::new(replies());
    files(&bench);
    let (code, screen) = at_terminal(&bench, &["fix it"], &["y", "n not that"]);
    assert_eq!(code, 0, "{screen}");
    for line in [
        "multi_edit greet.py, other.py",
        "--- a/other.py",
        "-import sys",
        "+print('Hello')",
        "apply_patch docs/new.md, greet.py, old.txt, kept/new.txt, gone.txt",
        "+# New",
        "rename from old.txt",
        "-gone",
    ] {
        assert!(screen.contains(line), "{line}: {screen}");
    }
    assert_eq!(bench.read("greet.py"), "print('Hello')\n");
    assert!(there(&bench, "docs/new.md").is_none() && there(&bench, "gone.txt").is_some());
}

#[test]
fn rules_for_edits_speak_of_every_file_of_a_patch() {
    for (rule, code) in
        [("edit(kept/**)", 7), ("edit(gone.txt)", 7), ("read(old.txt)", 7), ("edit(elsewhere)", 0)]
    {
        let [_, patch, done] = replies();
        let bench = Bench::new([patch, done]);
        files(&bench);
        bench.file("greet.py", "print('Hello')\n");
        let run = bench.run(&["go", "--mode", "auto-edit", "--deny", rule]);
        assert_eq!(run.code, code, "{rule}: {}", run.shown());
        assert_eq!(there(&bench, "docs/new.md").is_some(), code == 0, "{rule}");
    }
    let bench = Bench::new(replies());
    files(&bench);
    let run = bench.run(&["go", "--allow", "edit(*.py)", "--allow", "edit(*.txt)", "--allow", "edit(docs/)"]);
    assert_eq!(run.code, 0, "allowed by rules alone: {}", run.shown());
    let outside = "*** Begin Patch\n*** Add File: ../out.txt\n+x\n*** End Patch";
    let bench = Bench::new([Reply::call("apply_patch", json!({ "patch": outside })), Reply::text("no")]);
    let run = bench.run(&["go", "--mode", "bypass"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(told(&bench, 1).contains("outside the workspace"), "{}", told(&bench, 1));
}

#[test]
fn what_a_command_changed_is_read_again_before_it_is_replaced() {
    let write = |content: &str| Reply::call("write", json!({ "path": "a.txt", "content": content }));
    let read = || Reply::call("read", json!({ "path": "a.txt" }));
    let bench = Bench::new([
        write("blind\n"),
        read(),
        Reply::call("bash", json!({ "command": "echo more >> a.txt" })),
        write("lost\n"),
        read(),
        write("mine\n"),
        Reply::text("done"),
    ]);
    bench.file("a.txt", "theirs\n");
    let run = bench.run(&["go", "--mode", "bypass"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(told(&bench, 1).contains("you have not read it"), "{}", told(&bench, 1));
    assert!(told(&bench, 4).contains("by a command or by the user"), "{}", told(&bench, 4));
    assert!(told(&bench, 5).contains("more"), "{}", told(&bench, 5));
    assert!(told(&bench, 6).starts_with("overwrote"), "{}", told(&bench, 6));
    assert_eq!(bench.read("a.txt"), "mine\n");
}

#[test]
fn what_was_seen_is_known_in_the_next_run_and_an_undo_makes_it_another() {
    let write = |content: &str| Reply::call("write", json!({ "path": "a.txt", "content": content }));
    let bench = Bench::new([
        write("one\n"),
        Reply::text("done"),
        write("two\n"),
        Reply::text("done"),
        write("three\n"),
        Reply::text("done"),
    ]);
    assert_eq!(bench.run(&["go", "--mode", "bypass"]).code, 0);
    let run = bench.run(&["--last", "go on", "--mode", "bypass"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(told(&bench, 3).starts_with("overwrote"), "{}", told(&bench, 3));
    assert_eq!(bench.bare(&["undo", "--yes"]).code, 0);
    assert_eq!(bench.read("a.txt"), "one\n");
    let run = bench.run(&["--last", "go on", "--mode", "bypass"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(told(&bench, 5).contains("has changed since you saw it last"), "{}", told(&bench, 5));
    assert_eq!(bench.read("a.txt"), "one\n");
}
