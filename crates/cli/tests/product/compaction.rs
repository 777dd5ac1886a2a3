//! A job that is several times as long as the model's window.

use codetether_testkit::Reply;
use serde_json::json;

use crate::bench::Bench;

const WINDOW: usize = 20_000;

/// Bytes of a token, about.
const TOKEN: usize = 4;

/// Reads that together are five windows.
const READS: usize = 70;
const SIZE: usize = 6_000;

/// What the model learns from a file.
fn fact(n: usize) -> String {
    format!("fact-{n}-{}-which-only-this-file-tells", n * 7919)
}

/// The model says all it knows with every call, so whatever it is asked, it sums up.
fn script() -> impl Iterator<Item = Reply> {
    let known = |n: usize| (0..n).map(fact).collect::<Vec<_>>().join(" ");
    let read = move |n: usize| {
        Reply::text(format!("I know {}", known(n)))
            .and_call("read", json!({ "path": format!("f{n}") }))
            .no_usage()
    };
    (0..READS).map(read).chain([Reply::text("all done").no_usage()])
}

/// What the model notes at first, and never again.
fn notes() -> [Reply; 2] {
    let item = |text: &str, state: &str| json!({ "text": text, "state": state });
    let items = [item("read all files", "in_progress"), item("name the moon's colour", "pending")];
    [
        Reply::call("todo", json!({ "items": items })).no_usage(),
        Reply::call("write", json!({ "path": "deep/notes", "content": "first line\n" })).no_usage(),
    ]
}

fn bench() -> Bench {
    let bench = Bench::new(notes().into_iter().chain(script()));
    bench.user_settings(&format!("[models.\"openai/scripted\"]\nwindow = {WINDOW}\n"));
    bench.file("AGENTS.md", "Never touch the moon.\n");
    codetether_files::create_dir_all(bench.path("deep")).unwrap();
    bench.file("deep/AGENTS.md", "Here the tides are kept.\n");
    for n in 0..READS {
        bench.file(
            &format!("f{n}"),
            &format!("{}\n{}\n", fact(n), "filler filler filler\n".repeat(SIZE / 21)),
        );
    }
    bench
}

#[test]
fn a_task_of_five_windows_ends_and_what_matters_survives() {
    const { assert!(READS * SIZE / TOKEN >= WINDOW * 5) };
    let bench = bench();
    let run = bench.run(&["find every fact, and keep the word XYZZY in mind"]);
    assert_eq!((run.code, run.stdout.lines().last()), (0, Some("all done")), "{}", run.shown());
    let events = bench.events();
    assert!(events.contains("context.folded\n") && events.contains("context.compacted\n"), "{events}");
    assert!(run.stderr.contains("older messages gave way, at about"), "{}", run.stderr);
    let requests = bench.server.requests();
    let (mut told_anew, mut shown) = (0, 0);
    for (n, request) in requests.iter().enumerate() {
        assert!(request.body.len() / TOKEN < WINDOW, "request {n} has {} bytes", request.body.len());
        let body = String::from_utf8_lossy(&request.body);
        for pinned in ["Never touch the moon", "find every fact", "XYZZY"] {
            assert!(body.contains(pinned), "request {n} lacks `{pinned}`");
        }
        if n > 0 {
            assert!(body.contains("name the moon's colour"), "request {n} lacks the list");
        }
        if n > 1 {
            // What a folder says that was entered once.
            assert_eq!(body.matches("Here the tides are kept").count(), 1, "request {n}");
        }
        // The list by itself, not the call that wrote it; the file as it is, not as it was written.
        told_anew += usize::from(body.contains("[ ] name the moon's colour"));
        shown += usize::from(body.contains(r#"<file path=\"deep/notes\">\nfirst line\n</file>"#));
    }
    assert!(told_anew > 10 && shown > 10, "{told_anew} {shown}");
    let last = String::from_utf8_lossy(&requests.last().unwrap().body).into_owned();
    for n in 0..READS - 3 {
        assert!(last.contains(&fact(n)), "{} is forgotten", fact(n));
    }
    // What it says to itself is not what it says to the user.
    let told = bench.event_values();
    let asked =
        told.iter().filter(|event| event["type"] == "context.added" && event["source"] == "summary").count();
    assert!(asked >= 2, "{asked}");
    assert_eq!(run.stdout.matches("I know").count(), READS - asked, "{}", run.stdout);
    assert_eq!(requests.len(), READS + 3, "each was asked for once");
}

#[test]
fn what_was_left_out_is_read_again_from_the_journal() {
    let mut script: Vec<Reply> = script().take(12).collect();
    script.push(Reply::text("and now").and_call("recall", json!({ "id": "7.0" })).no_usage());
    script.push(Reply::call("recall", json!({ "id": "7.5" })).no_usage());
    script.push(Reply::text("done"));
    let bench = Bench::new(script);
    bench.user_settings(&format!("[models.\"openai/scripted\"]\nwindow = {WINDOW}\n"));
    for n in 0..READS {
        bench.file(
            &format!("f{n}"),
            &format!("{}\n{}\n", fact(n), "filler filler filler\n".repeat(SIZE / 21)),
        );
    }
    let run = bench.run(&["go"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let requests = bench.server.requests();
    let folded = requests.iter().map(|request| String::from_utf8_lossy(&request.body).into_owned());
    assert!(folded.clone().any(|body| body.contains(r#"`recall` with the id \"7.0\" shows them"#)));
    let ended = bench.event_values().into_iter().filter(|event| event["type"] == "call.ended");
    let results: Vec<String> =
        ended.map(|event| event["result"]["text"].as_str().unwrap().to_owned()).collect();
    let recalled = results.iter().rev().nth(1).unwrap();
    assert!(recalled.contains(&fact(0)), "{recalled}");
    assert!(results.last().unwrap().contains("there is no result of a call `7.5`"), "{results:?}");
}

#[test]
fn a_request_that_did_not_fit_is_made_to_fit() {
    let long = Reply::status(400).body(
        r#"{"error":{"message":"maximum context length is 8192 tokens","code":"context_length_exceeded"}}"#,
    );
    let mut script: Vec<Reply> = script().take(6).collect();
    script.extend([long, Reply::text("it fits now")]);
    let bench = Bench::new(script);
    for n in 0..READS {
        bench.file(
            &format!("f{n}"),
            &format!("{}\n{}\n", fact(n), "filler filler filler\n".repeat(SIZE / 21)),
        );
    }
    let run = bench.run(&["go"]);
    assert_eq!((run.code, run.stdout.lines().last()), (0, Some("it fits now")), "{}", run.shown());
    let sizes: Vec<usize> = bench.server.requests().iter().map(|request| request.body.len()).collect();
    assert!(sizes[7] < sizes[6] * 3 / 4, "{sizes:?}");
}
