//! What the model is told besides the prompt: instruction files, and what the prompt names.

use codetether_testkit::Reply;
use serde_json::json;

use crate::bench::Bench;

fn put(bench: &Bench, name: &str, text: &str) {
    codetether_files::create_dir_all(bench.path(name).parent().unwrap()).unwrap();
    bench.file(name, text);
}

fn body(bench: &Bench, request: usize) -> String {
    String::from_utf8(bench.server.requests()[request].body.clone()).unwrap()
}

#[test]
fn instructions_are_the_users_the_repositorys_and_the_folders() {
    let bench = Bench::new([Reply::text("done")]);
    codetether_files::create_dir_all(bench.path(".git")).unwrap();
    put(&bench, "AGENTS.md", "Of the top.\n");
    put(&bench, "sub/CLAUDE.md", "Of the folder.\n");
    let own = bench.home.config().join("codetether/AGENTS.md");
    codetether_files::create_dir_all(own.parent().unwrap()).unwrap();
    codetether_files::write_atomic(own, b"Of the user.\n", &<_>::default()).unwrap();
    bench.run(&["-C", "sub", "go"]);
    let body = body(&bench, 0);
    let at = |text: &str| body.find(text).unwrap_or_else(|| panic!("{text}: {body}"));
    assert!(at("Of the user.") < at("Of the top.") && at("Of the top.") < at("Of the folder."), "{body}");
    assert!(body.contains(r#"<instructions from=\"../AGENTS.md\">"#), "{body}");
}

#[test]
fn a_folder_has_its_say_when_the_work_enters_it_and_says_it_once() {
    let bench = Bench::new([
        Reply::calls([("read", json!({ "path": "sub/a.txt" })), ("read", json!({ "path": "sub/b.txt" }))]),
        Reply::text("done"),
        Reply::call("read", json!({ "path": "sub/a.txt" })),
        Reply::text("done"),
    ]);
    put(&bench, "sub/a.txt", "a\n");
    put(&bench, "sub/b.txt", "b\n");
    put(&bench, "sub/AGENTS.md", "Mind the gap.\n");
    bench.run(&["go"]);
    assert!(!body(&bench, 0).contains("Mind the gap"));
    assert_eq!(body(&bench, 1).matches("Mind the gap").count(), 1, "{}", body(&bench, 1));
    bench.run(&["--last", "again"]);
    assert_eq!(body(&bench, 3).matches("Mind the gap").count(), 1, "{}", body(&bench, 3));
    assert!(bench.events().contains("call.ended\ncontext.entered\n"), "{}", bench.events());
}

#[test]
fn what_the_prompt_names_is_attached() {
    let bench = Bench::new([Reply::text("done"), Reply::text("done")]);
    put(&bench, "src/a.rs", "fn a() {}\n");
    put(&bench, "src/deep/b.rs", "");
    put(&bench, "a name.txt", "blank\n");
    let run = bench
        .run(&["look at @src/a.rs, @src and @\"a name.txt\"; write to me@src and @nobody (@../outside)"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let sent: serde_json::Value = serde_json::from_str(&body(&bench, 0)).unwrap();
    let content = sent["messages"].as_array().unwrap().last().unwrap()["content"].to_string();
    for attached in [
        r#"<file path=\"src/a.rs\">\nfn a() {}\n</file>"#,
        r#"<folder path=\"src\">\na.rs\ndeep/\n</folder>"#,
        r#"<file path=\"a name.txt\">\nblank\n</file>"#,
        "write to me@src and @nobody (@../outside)",
    ] {
        assert!(content.contains(attached), "{attached}: {content}");
    }
    assert_eq!(content.matches("<file").count() + content.matches("<folder").count(), 3, "{content}");
    // What is piped in is not what the user says.
    bench.run_with_input(&["explain"], "@src/a.rs");
    assert!(!body(&bench, 1).contains("fn a()"), "{}", body(&bench, 1));
}

#[test]
fn what_cannot_be_attached_is_said_before_anything_is_asked() {
    let bench = Bench::new([]);
    bench.bytes("raw", &[0, 159, 146, 150]);
    let run = bench.run(&["look at @raw"]);
    assert_eq!(run.code, 2, "{}", run.shown());
    assert!(run.stderr.contains("cannot attach `raw`: it is neither text"), "{}", run.stderr);
}
