//! What a context keeps: the list of things to do, files in work, the real window; compaction when it is asked for; and the
//! conversation that goes back over one.

use std::io::Write;

use std::process::{Command, Stdio};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use codetether_testkit::{Reply, Server, planted, redact};
use serde_json::{Value, json};

use crate::bench::{Bench, Run};
use crate::terminal::answered;

fn todo(items: &[(&str, &str)]) -> Reply {
    let items: Vec<Value> =
        items.iter().map(|(text, state)| json!({ "text": text, "state": state })).collect();
    Reply::call("todo", json!({ "items": items })).no_usage()
}

fn summary() -> Reply {
    let usage = json!({ "prompt_tokens": 4_000, "completion_tokens": 50, "total_tokens": 4_050 });
    Reply::text("They say facts 0 to 6.").usage(usage)
}

/// `codetether session compact`, with the scripted server's model.
fn compact(bench: &Bench, args: &[&str]) -> Run {
    let mut command: Command = bench.binary(&["session", "compact"]);
    command.args(args).args(["-m", "openai/scripted"]).env("OPENAI_BASE_URL", bench.server.base_url());
    command.env("OPENAI_API_KEY", planted::KEY).output().unwrap().into()
}

/// What a request tells, as one text.
fn request(bench: &Bench, number: usize) -> String {
    let body = bench.server.json(number);
    let texts = body["messages"].as_array().unwrap().iter().map(|message| match &message["content"] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// A session of two turns with a list, files that were read and one that was written.
fn worked(more: impl IntoIterator<Item = Reply>) -> Bench {
    let read = |n: usize| Reply::call("read", json!({ "path": format!("f{n}") })).no_usage();
    let mut script = vec![todo(&[("read them", "done"), ("say what they say", "in_progress")])];
    script.extend((0..4).map(read));
    script.push(Reply::call("write", json!({ "path": "notes", "content": "as it was\n" })).no_usage());
    script.push(Reply::text("read").no_usage());
    script.extend((4..7).map(read));
    script.push(Reply::text("read more").no_usage());
    script.extend(more);
    let bench = Bench::new(script);
    bench
        .user_settings("[models.\"openai/scripted\"]\nwindow = 100000\ninput_price = 1\noutput_price = 10\n");
    bench.file("AGENTS.md", "Never touch the moon.\n");
    for n in 0..7 {
        bench.file(&format!("f{n}"), &format!("fact {n}\n{}\n", "filler ".repeat(200)));
    }
    assert_eq!(bench.run(&["the first wish", "--yes"]).code, 0);
    assert_eq!(bench.run(&["the second wish", "--yes", "--last"]).code, 0);
    bench
}

#[test]
fn a_summary_that_someone_asks_for_is_held_back_by_a_hook() {
    let bench = Bench::new([Reply::text("filler ".repeat(900)), Reply::text("and more ".repeat(900))]);
    bench.user_settings("[[hooks.PreCompact]]\ncommand = \"echo it is all needed >&2; exit 2\"\n");
    for args in [&["tell me much"][..], &["--last", "and more"]] {
        let run = bench.run(args);
        assert_eq!(run.code, 0, "{}", run.shown());
    }
    let held = compact(&bench, &["last"]);
    assert_eq!(held.code, 7, "{}", held.shown());
    assert!(held.stderr.contains("it is all needed"), "{}", held.shown());
    assert_eq!(bench.server.requests().len(), 2, "no summary was asked for");
}

#[test]
fn a_list_of_things_to_do_is_shown_when_it_changes_and_kept() {
    let bench = Bench::new([
        todo(&[("look", "in_progress"), ("mend", "pending")]),
        todo(&[("look", "done"), ("mend", "in_progress")]),
        Reply::text("done"),
    ]);
    let (code, screen) = answered(&bench, &["go"], "\u{0}", &[]);
    assert_eq!(code, 0, "{screen}");
    assert!(screen.contains("to do: 0 of 2 done\r\n  [>] look\r\n  [ ] mend\r\n"), "{screen}");
    assert!(
        screen.contains("to do: 1 of 2 done\r\n  [>] mend\r\n") && !screen.contains("✓ todo"),
        "{screen}"
    );
    assert!(request(&bench, 2).ends_with("noted: 1 of 2 done"), "{}", request(&bench, 2));
    let show = bench.bare(&["session", "show", "last"]).stdout;
    assert!(show.contains("to do:\n[x] look\n[>] mend\n"), "{show}");
    // In a mode that reads only it may be written as well.
    let bench = Bench::new([todo(&[("look", "done")]), Reply::text("done")]);
    assert_eq!(bench.run(&["go", "--mode", "plan"]).code, 0);
    assert!(bench.events().contains("context.todo\ncall.ended\n"), "{}", bench.events());
}

#[test]
fn what_was_said_gives_way_when_someone_asks_and_what_matters_is_put_back() {
    let bench = worked([summary(), Reply::text("good")]);
    let asked = bench.server.requests().len();
    bench.file("notes", "as it is now\n");
    let run = compact(&bench, &[]);
    insta::assert_snapshot!(redact(&run.shown()), @r"
    exit: 0
    --- stdout
    --- stderr
    17 older messages gave way, at about 4050 tokens; their summary took 4000 tokens in, 50 out, $0.0045
    ");
    assert!(request(&bench, asked).contains("Make no calls"), "{}", request(&bench, asked));
    assert_eq!(bench.run(&["and now?", "--last"]).code, 0);
    let told = request(&bench, asked + 1);
    for kept in [
        "Never touch the moon",
        "the first wish",
        "the second wish",
        "They say facts 0 to 6.\n</summary>",
        "Files that were written so far: notes",
        "[x] read them\n[>] say what they say",
        "<file path=\"notes\">\nas it is now\n</file>",
        "fact 6",
    ] {
        assert!(told.contains(kept), "`{kept}` is not in:\n{told}");
    }
    assert!(!told.contains("Make no calls") && told.ends_with("and now?"), "{told}");
    assert!(told.len() < request(&bench, asked).len() * 3 / 4, "{told}");
    let again = compact(&bench, &["last", "-q"]);
    assert_eq!((again.code, again.stdout.as_str()), (1, ""), "{}", again.shown());
}

#[test]
fn where_there_is_nothing_to_compact_it_says_so() {
    let bench = Bench::new([Reply::text("hello")]);
    assert_eq!(bench.run(&["hi"]).code, 0);
    let run = compact(&bench, &[]);
    insta::assert_snapshot!(run.shown(), @r"
    exit: 1
    --- stdout
    --- stderr
    codetether::failed

      × there is nothing to compact: what could give way is too little, or the model has not answered since the last time
    ");
    assert_eq!(bench.server.requests().len(), 1, "nobody is asked");
}

#[test]
fn a_summary_that_cannot_be_had_leaves_all_as_it_is() {
    let refused = Reply::status(400).body(r#"{"error":{"message":"no such model"}}"#);
    let bench = worked([refused, Reply::text("good")]);
    let asked = bench.server.requests().len();
    let before = request(&bench, asked - 1);
    let run = compact(&bench, &[]);
    assert_eq!(run.code, 5, "{}", run.shown());
    assert_eq!(bench.run(&["and now?", "--last", "--yes"]).code, 0);
    assert!(request(&bench, asked + 1).starts_with(&before), "{}", request(&bench, asked + 1));
}

#[test]
fn a_turn_that_was_cut_short_comes_first() {
    let bench = Bench::new([Reply::call(
        "question",
        json!({
            "question": "Which?", "options": [{ "label": "a" }, { "label": "b" }],
        }),
    )]);
    answered(&bench, &["go"], "says more to it) > ", &[crate::terminal::KILL]);
    let run = compact(&bench, &[]);
    assert_eq!(run.code, 2, "{}", run.shown());
    assert!(run.stderr.contains("a turn of this session was cut short, and comes first"), "{}", run.shown());
}

#[test]
fn a_file_that_may_not_be_read_any_more_is_not_shown_anew() {
    let bench = worked([summary(), Reply::text("good")]);
    let asked = bench.server.requests().len();
    assert_eq!(compact(&bench, &[]).code, 0);
    assert_eq!(bench.run(&["and now?", "--last", "--deny", "read(notes)"]).code, 0);
    let told = request(&bench, asked + 1);
    assert!(told.contains("<file path=\"f") && !told.contains("as it was"), "{told}");
}

#[test]
fn the_conversation_goes_back_over_a_compaction() {
    let bench = worked([summary(), Reply::text("good")]);
    let asked = bench.server.requests().len();
    assert_eq!(compact(&bench, &[]).code, 0);
    let undone = bench.bare(&["undo", "--conversation", "--keep-files"]);
    assert_eq!(undone.code, 0, "{}", undone.shown());
    assert_eq!(bench.run(&["another wish", "--last"]).code, 0);
    let told = request(&bench, asked + 1);
    assert!(
        told.contains("fact 0") && told.contains("the first wish") && told.ends_with("another wish"),
        "{told}"
    );
    assert!(!told.contains("the second wish") && !told.contains("</summary>"), "{told}");
}

#[test]
fn files_go_back_with_the_conversation_over_a_compaction() {
    let bench = worked([summary(), Reply::text("good")]);
    let asked = bench.server.requests().len();
    assert_eq!(compact(&bench, &[]).code, 0);
    let undone = bench.bare(&["undo", "--conversation", "--yes"]);
    assert_eq!(undone.code, 0, "{}", undone.shown());
    assert!(!bench.path("notes").exists());
    assert_eq!(bench.run(&["another wish", "--last"]).code, 0);
    let told = request(&bench, asked + 1);
    assert!(told.contains("fact 3") && !told.contains("as it was") && !told.contains("</summary>"), "{told}");
}

/// A server of this machine that says how long its model's context is, beside the first answer.
fn with_a_window() -> Server {
    let looked = (Mutex::new(false), Condvar::new());
    let asked = Mutex::new(0_usize);
    Server::with(move |request| match request.path.as_str() {
        "/v1/chat/completions" => {
            let number = {
                let mut asked = asked.lock().unwrap();
                *asked += 1;
                *asked
            };
            // The first request waits for nothing; the second is answered once the window was asked for.
            if number == 2 {
                let seen = looked.0.lock().unwrap();
                let waited = looked.1.wait_timeout_while(seen, Duration::from_secs(20), |seen| !*seen);
                assert!(!waited.unwrap().1.timed_out());
            }
            let gave_way = String::from_utf8_lossy(&request.body).contains("; `recall` with the id");
            match gave_way || number > 200 {
                true => Reply::text("done"),
                false => Reply::call("read", json!({ "path": "f", "offset": 1, "limit": number })).no_usage(),
            }
        }
        "/v1/models" => {
            *looked.0.lock().unwrap() = true;
            looked.1.notify_all();
            Reply::status(200).body(json!({ "data": [{ "id": "m", "context_length": 9_000 }] }).to_string())
        }
        _ => Reply::status(404),
    })
}

/// What a run of such a server's model leaves.
fn gave_way_by_the_window(ran: impl FnOnce(&Bench, &str) -> Run) {
    let bench = Bench::new([]);
    bench.file("f", &format!("{}\n", "filler ".repeat(400)));
    let server = with_a_window();
    let run = ran(&bench, &server.base_url());
    assert_eq!(run.code, 0, "{}", run.stderr);
    let events = bench.event_values();
    let window = events.iter().find(|event| event["type"] == "context.window").unwrap();
    assert_eq!((&window["model"], &window["tokens"]), (&json!("vllm/m"), &json!(9_000)));
    assert!(events.iter().any(|event| event["type"] == "context.folded"));
}

#[test]
fn the_window_that_the_server_has_is_a_fact_and_the_context_gives_way_by_it() {
    gave_way_by_the_window(|bench, base| {
        let args = ["run", "go", "-q", "-m", "vllm/m", "--max-steps", "200"];
        let run: Run = bench.binary(&args).env("HOSTED_VLLM_API_BASE", base).output().unwrap().into();
        assert_eq!(run.stdout, "done\n", "{}", run.stderr);
        run
    });
}

#[test]
fn so_it_is_in_a_conversation() {
    gave_way_by_the_window(|bench, base| {
        let jsonl = ["--input-format", "jsonl", "--format", "jsonl"];
        let args = [&["run", "-q", "-m", "vllm/m", "--max-steps", "200"], &jsonl[..]].concat();
        let mut command = bench.binary(&args);
        command.env("HOSTED_VLLM_API_BASE", base).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let line = b"{\"type\":\"prompt\",\"text\":\"go\"}\n";
        child.stdin.take().unwrap().write_all(line).unwrap();
        child.wait_with_output().unwrap().into()
    });
}

#[test]
fn a_step_is_counted_once_however_often_it_is_asked_for() {
    let failed = || Reply::status(402).body(r#"{"error":{"message":"no credit"}}"#);
    let bench = Bench::new([failed(), Reply::text("hello")]);
    let run = bench.run(&["go", "--fallback", "openai/other", "--format", "json"]);
    let summary: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((run.code, &summary["steps"]), (0, &json!(1)), "{}", run.shown());
    let long = Reply::status(400).body(
        r#"{"error":{"message":"maximum context length is 8192 tokens","code":"context_length_exceeded"}}"#,
    );
    let bench = Bench::new([
        Reply::call("read", json!({ "path": "f" })),
        Reply::call("read", json!({ "path": "f", "limit": 500 })),
        long,
        Reply::text("it fits"),
    ]);
    bench.file("f", &"filler filler\n".repeat(400));
    let run = bench.run(&["go", "--format", "json"]);
    let summary: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((run.code, &summary["steps"]), (0, &json!(3)), "{}", run.shown());
}
