//! `codetether run`, from prompt to exit code.

use codetether_event::{ContextEvent, Event};
use codetether_testkit::Reply;
use serde_json::json;

use crate::bench::{Bench, message};

#[test]
fn the_main_job_reads_edits_and_reports() {
    let bench = Bench::new([
        Reply::call("read", json!({ "path": "greet.py" })),
        Reply::call("edit", json!({ "path": "greet.py", "old": "Helo", "new": "Hello" })),
        Reply::text("I fixed the greeting."),
    ]);
    bench.file("greet.py", "print('Helo, world')\n");
    let run = bench.run(&["fix the typo in greet.py", "--mode", "auto-edit"]);
    insta::assert_snapshot!(run.shown(), @r"
    exit: 0
    --- stdout
    I fixed the greeting.
    --- stderr
    note: this is the first run here. Commands run in a sandbox: they change this folder alone, and reach no network. `codetether undo` takes back what they change; `--mode ask` asks before each.
    ");
    assert_eq!(bench.read("greet.py"), "print('Hello, world')\n");
    insta::assert_snapshot!(bench.events(), @r"
    session.opened
    turn.started
    item.begun
    context.epoch
    context.added
    sample.started
    sample.ended
    item.begun
    call.authorized
    call.started
    call.ended
    sample.started
    sample.ended
    item.begun
    call.authorized
    item.begun
    files.snapshot
    call.started
    call.ended
    sample.started
    sample.ended
    turn.ended
    ");
    let requests = bench.server.requests();
    assert_eq!(requests.len(), 3);
    let request: serde_json::Value = serde_json::from_slice(&requests[2].body).unwrap();
    let said: Vec<String> = request["messages"].as_array().unwrap().iter().map(message).collect();
    let said: Vec<String> = said.iter().map(|line| line.replace(std::env::consts::ARCH, "[arch]")).collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    system: You are codetether, a coding agent. You work in the user's project folder with the tools you are given, and you finish t
    user: <environment>⏎project folder: [temp]/project⏎platform: linux [arch]⏎date: [date]⏎</environment>
    user: fix the typo in greet.py
    assistant: [{"id":"call_0_0","type":"function","function":{"name":"read","arguments":"{\"path\":\"greet.py\"}"}}]
    tool:      1	print('Helo, world')⏎
    assistant: [{"id":"call_1_0","type":"function","function":{"name":"edit","arguments":"{\"path\":\"greet.py\",\"old\":\"Helo\",\"new
    tool: edited `greet.py` at line 1
    "#);
}

#[test]
fn every_request_begins_with_the_whole_of_the_one_before() {
    let bench = Bench::new(
        (0..20)
            .map(|n| Reply::call("bash", json!({ "command": format!("echo {n}") })))
            .chain([Reply::text("done")]),
    );
    let run = bench.run(&["count", "--yes", "--max-steps", "201"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    bench.assert_prefix_stable();
    let connections: std::collections::BTreeSet<u64> =
        bench.server.requests().iter().map(|request| request.connection).collect();
    assert_eq!(connections.len(), 1, "one connection serves them all");
}

#[test]
fn system_prompt_and_tools_are_small() {
    let bench = Bench::new([Reply::text("hi")]);
    bench.run(&["say hi"]);
    let request: serde_json::Value = serde_json::from_slice(&bench.server.requests()[0].body).unwrap();
    let tools = request["tools"].to_string().len();
    let system = request["messages"][0].to_string().len();
    assert!(tools < 6_000, "tools take {tools} bytes");
    assert!(tools + system < 9_000, "tools and system prompt take {} bytes", tools + system);
}

#[test]
fn with_nobody_there_what_needs_a_yes_is_refused() {
    let bench =
        Bench::new([Reply::call("bash", json!({ "command": "touch made" })), Reply::text("I could not.")]);
    let run = bench.run(&["make a file", "--mode", "ask"]);
    assert_eq!(run.code, 7);
    insta::assert_snapshot!(run.stderr_after_first_run(), @"refused: `bash` (nobody is here to allow it: no rule allows it, and mode `ask` asks; the rule `bash(touch made)` would allow it)");
    assert!(!bench.path("made").exists());
}

#[test]
fn rules_allow_and_deny() {
    let bench = Bench::new([
        Reply::calls([
            ("bash", json!({ "command": "touch allowed" })),
            ("bash", json!({ "command": "touch denied" })),
            ("write", json!({ "path": "secret.txt", "content": "x" })),
        ]),
        Reply::text("done"),
    ]);
    let run =
        bench.run(&["go", "--mode", "ask", "--allow", "bash(touch allowed)", "--deny", "write(secret.*)"]);
    assert_eq!(run.code, 7, "{}", run.shown());
    assert!(bench.path("allowed").exists());
    assert!(!bench.path("denied").exists() && !bench.path("secret.txt").exists());
}

#[test]
fn plan_mode_changes_nothing() {
    let bench = Bench::new([
        Reply::calls([
            ("write", json!({ "path": "a", "content": "x" })),
            ("bash", json!({ "command": "touch b" })),
            ("list", json!({})),
        ]),
        Reply::text("a plan"),
    ]);
    let run = bench.run(&["go", "--mode", "plan", "--allow", "bash", "--allow", "write"]);
    assert_eq!(run.code, 7, "{}", run.shown());
    assert!(!bench.path("a").exists() && !bench.path("b").exists());
}

#[test]
fn a_path_out_of_the_project_is_not_touched() {
    let bench = Bench::new([
        Reply::calls([
            ("write", json!({ "path": "../out.txt", "content": "x" })),
            ("read", json!({ "path": "/etc/passwd" })),
            ("read", json!({ "path": "link" })),
        ]),
        Reply::text("done"),
    ]);
    std::os::unix::fs::symlink("/etc/passwd", bench.path("link")).unwrap();
    let run = bench.run(&["go", "--yes"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(!bench.path("../out.txt").exists());
    let request = String::from_utf8(bench.server.requests()[1].body.clone()).unwrap();
    assert!(!request.contains("root:x:"), "nothing of the file was read");
    assert_eq!(request.matches("outside the workspace").count(), 3, "{request}");
}

#[test]
fn bad_calls_go_back_to_the_model() {
    let bench = Bench::new([
        Reply::calls([("raed", json!({ "path": "a" })), ("read", json!({ "file": "a" }))]),
        Reply::text("sorry"),
    ]);
    let run = bench.run(&["go"]);
    assert_eq!(run.code, 0);
    let request: serde_json::Value = serde_json::from_slice(&bench.server.requests()[1].body).unwrap();
    let results: Vec<&str> = request["messages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|message| message["role"] == "tool")
        .map(|message| message["content"].as_str().unwrap())
        .collect();
    assert!(results[0].contains("there is no tool `raed`"), "{results:?}");
    assert!(results[1].contains("`path`"), "{results:?}");
}

#[test]
fn a_busy_server_is_tried_again() {
    let bench = Bench::new([
        Reply::status(429).header("retry-after", "0"),
        Reply::status(503).header("retry-after", "0"),
        Reply::text("at last"),
    ]);
    let run = bench.run(&["go"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "at last\n"));
    assert_eq!(bench.server.requests().len(), 3);
}

#[test]
fn a_provider_that_says_no_ends_with_its_words() {
    let bench = Bench::new([Reply::status(401).body(r#"{"error":{"message":"that key is not ours"}}"#)]);
    let run = bench.run(&["go"]);
    assert_eq!(run.code, 5);
    assert!(run.stderr.contains("that key is not ours"), "{}", run.stderr);
    assert_eq!(bench.server.requests().len(), 1);
}

#[test]
fn going_in_circles_ends_with_a_limit() {
    let bench = Bench::new((0..9).map(|_| Reply::call("list", json!({}))));
    let run = bench.run(&["go"]);
    assert_eq!(run.code, 4);
    assert!(run.stderr.contains("went in circles"), "{}", run.stderr);
    assert_eq!(bench.server.requests().len(), 4);
}

#[test]
fn steps_and_time_are_limited() {
    let bench = Bench::new((0..9).map(|n| Reply::call("bash", json!({ "command": format!("echo {n}") }))));
    assert_eq!(bench.run(&["go", "--yes", "--max-steps", "2"]).code, 4);
    assert_eq!(bench.server.requests().len(), 2);
    let bench = Bench::new([Reply::stall()]);
    let run = bench.run(&["go", "--max-time", "1s"]);
    assert_eq!(run.code, 4);
    assert!(run.stderr.contains("the time limit was reached"), "{}", run.stderr);
}

#[test]
fn json_is_one_object_and_jsonl_is_every_record() {
    let bench = Bench::new([Reply::text("hi"), Reply::text("ho")]);
    let run = bench.run(&["go", "--format", "json", "--output-last-message", "last.txt"]);
    let summary: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&summary["text"], &summary["exit"], &summary["steps"]), (&json!("hi"), &json!(0), &json!(1)));
    assert_eq!(bench.read("last.txt"), "hi");
    let run = bench.run(&["go", "--format", "jsonl"]);
    let types: Vec<String> = run
        .stdout
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["event"]["type"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(types.first().map(String::as_str), Some("session.opened"));
    assert_eq!(types.last().map(String::as_str), Some("turn.ended"));
}

#[test]
fn a_session_is_resumed_with_the_same_bytes() {
    let bench = Bench::new([Reply::text("one"), Reply::text("two"), Reply::text("three")]);
    bench.run(&["first"]);
    let run = bench.run(&["second", "--last"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "two\n"), "{}", run.stderr);
    bench.assert_prefix_stable();
    let id = bench.last_session();
    let run = bench.run(&["third", "--fork", &id]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "three\n"), "{}", run.stderr);
    bench.assert_prefix_stable();
    assert_ne!(bench.last_session(), id);
}

#[test]
fn a_session_keeps_the_prompt_it_began_with_through_an_upgrade() {
    let bench = Bench::new([Reply::text("one"), Reply::text("two")]);
    bench.run(&["first"]);
    // The session as an older build would have left it, whose system prompt was another.
    bench.rewrite_journal(|record, blobs| {
        if let Event::Context(ContextEvent::Epoch { system, .. }) = &mut record.event {
            *system = blobs.put(b"You are an older codetether.").unwrap();
        }
    });
    let run = bench.run(&["second", "--last"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "two\n"), "{}", run.stderr);
    let request = bench.server.json(1);
    assert_eq!(request["messages"][0]["content"], "You are an older codetether.");
    assert_eq!(request["tools"], bench.server.json(0)["tools"]);
}

#[test]
fn piped_input_and_files_are_context() {
    let bench = Bench::new([Reply::text("ok")]);
    bench.file("notes.txt", "a note\n");
    bench.bytes("dot.png", &crate::sight::png(1, 1));
    bench.bytes("paper.pdf", b"%PDF-1.7\n...");
    let args = ["look", "-f", "notes.txt", "-f", "dot.png", "-f", "paper.pdf"];
    let run = bench.run_with_input(&args, "piped text\n");
    assert_eq!(run.code, 0, "{}", run.shown());
    let body = String::from_utf8(bench.server.requests()[0].body.clone()).unwrap();
    for part in
        ["a note", "piped text", "data:image/png;base64,iVBORw0KGgo", "data:application/pdf;base64,JVBERi0"]
    {
        assert!(body.contains(part), "{part}: {body}");
    }
}

#[test]
fn no_key_reaches_a_command_or_the_session() {
    let key = "sk-very-secret-key";
    let bench = Bench::new([
        Reply::calls([
            ("bash", json!({ "command": "env; tr '\\0' '\\n' < /proc/self/environ" })),
            ("read", json!({ "path": "leak.txt" })),
            ("bash", json!({ "command": "cat leak.txt; yes | head -c 100000; cat leak.txt" })),
            ("edit", json!({ "path": "leak.txt", "old": "key", "new": "lock" })),
        ]),
        Reply::reasoning(format!("the key is {key}")).and_text(format!("done with {key}")),
    ]);
    bench.file("leak.txt", &format!("{key} ghp_another-one\n"));
    let variables = [("OPENAI_API_KEY", key), ("GITHUB_TOKEN", "ghp_another-one")];
    let prompt = format!("go, my key is {key}");
    let run = bench.run_env(&[&prompt, "--mode", "ask", "--allow", "bash"], &variables);
    assert_eq!(run.code, 7, "{}", run.shown());
    let body = String::from_utf8(bench.server.requests()[1].body.clone()).unwrap();
    assert!(body.contains("[redacted]"), "{body}");
    for secret in [key, "ghp_another-one"] {
        assert!(!body.contains(secret), "{body}");
        let kept = bench.session_bytes();
        assert!(
            !kept.windows(secret.len()).any(|window| window == secret.as_bytes()),
            "{secret} is in the session"
        );
    }
    let header = bench.server.requests()[0].header("authorization").map(str::to_owned);
    assert_eq!(header.as_deref(), Some("Bearer sk-very-secret-key"));
}

#[test]
fn a_turn_that_goes_on_keeps_its_settings() {
    let bench = Bench::new([Reply::stall(), Reply::text("there")]);
    let mut child = bench.spawn(&["go", "--yes"]);
    bench.server.wait_for(1);
    child.kill().unwrap();
    child.wait().unwrap();
    let run = bench.run(&["--last", "--mode", "plan"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("keeps the settings that it began with"), "{}", run.stderr);
    let run = bench.run_as_it_was(&["--last"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "there\n"), "{}", run.stderr);
}

#[test]
fn what_came_before_a_crash_counts() {
    let bench = Bench::new([Reply::call("bash", json!({ "command": "x" })), Reply::text("I could not.")]);
    bench.run(&["go", "--mode", "ask"]);
    // The program was killed between the answer and the turn's end.
    let journal = bench.journal();
    let whole = &journal[..journal.trim_end().rfind('\n').unwrap() + 1];
    codetether_files::write_atomic(
        bench.journal_path(),
        whole.as_bytes(),
        &codetether_files::WriteOptions::default(),
    )
    .unwrap();
    let run = bench.run_as_it_was(&["--last"]);
    assert_eq!((run.code, run.stdout.as_str()), (7, "I could not.\n"), "{}", run.stderr);
    assert!(run.stderr.contains("refused: `bash`"), "{}", run.stderr);
}

#[test]
fn a_result_is_printed_even_when_its_copy_cannot_be_written() {
    let bench = Bench::new([Reply::text("paid for")]);
    let run = bench.run(&["go", "--format", "json", "--output-last-message", "no/such/folder/x"]);
    assert_eq!(run.code, 1);
    assert!(run.stdout.contains("paid for"), "{}", run.shown());
}

#[test]
fn a_prompt_on_a_cut_short_turn_is_answered() {
    let bench = Bench::new([Reply::stall(), Reply::text("the second")]);
    let mut child = bench.spawn(&["first"]);
    bench.server.wait_for(1);
    child.kill().unwrap();
    child.wait().unwrap();
    let run = bench.run(&["second", "--last", "--format", "json"]);
    let summary: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&summary["text"], &summary["steps"]), (&json!("the second"), &json!(1)), "{}", run.shown());
}

#[test]
fn links_in_the_project_do_not_get_round_rules() {
    let bench = Bench::new([
        Reply::calls([
            ("write", json!({ "path": "notes/hook", "content": "x" })),
            ("write", json!({ "path": "notes/plain", "content": "x" })),
            ("read", json!({ "path": "env" })),
        ]),
        Reply::text("done"),
    ]);
    bench.file(".env", "a secret\n");
    codetether_files::create_dir_all(bench.path("notes")).unwrap();
    std::os::unix::fs::symlink("../.git/hooks/pre-commit", bench.path("notes/hook")).unwrap();
    std::os::unix::fs::symlink(".env", bench.path("env")).unwrap();
    let run = bench.run(&["go", "--allow", "write(notes/**)", "--deny", "read(.env)"]);
    assert_eq!(run.code, 7, "{}", run.shown());
    assert!(!bench.path(".git/hooks/pre-commit").exists());
    assert_eq!(bench.read("notes/plain"), "x");
    let body = String::from_utf8(bench.server.requests()[1].body.clone()).unwrap();
    assert!(!body.contains("a secret"), "{body}");
}

#[test]
fn a_session_works_by_its_own_projects_settings_from_wherever_it_is_resumed() {
    let bench = Bench::new([
        Reply::text("one"),
        Reply::call("bash", json!({ "command": "touch made" })),
        Reply::text("two"),
    ]);
    bench.run(&["first"]);
    codetether_files::create_dir_all(bench.path(".codetether")).unwrap();
    bench.file(".codetether/config.toml", "deny = [\"bash\"]\n");
    let id = bench.last_session();
    let mut command = bench.run_command(&["second", "--resume", &id, "--yes"]);
    let run = crate::bench::Run::from(command.current_dir("/").output().unwrap());
    assert_eq!(run.code, 7, "{}", run.shown());
    assert!(!bench.path("made").exists());
}

#[test]
fn an_empty_answer_is_no_success() {
    let bench = Bench::new((0..2).map(|_| Reply::text("")));
    let run = bench.run(&["go", "-c", "retry.max_tries=2", "-c", "retry.base_ms=1"]);
    assert_eq!(run.code, 5);
    assert!(run.stderr.contains("the answer is empty"), "{}", run.stderr);
}

#[test]
fn a_reader_who_does_not_read_holds_up_neither_the_work_nor_a_signal() {
    let bench = Bench::new([
        Reply::call("bash", json!({ "command": "yes | head -c 29000; touch made" })),
        Reply::deltas(4, "x".repeat(50_000)),
    ]);
    let mut child = bench.spawn(&["go", "--yes", "--format", "jsonl"]);
    bench.server.wait_for(2);
    assert!(bench.path("made").exists());
    // Signals that come together count as one.
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None => {
                let pid = rustix::process::Pid::from_child(&child);
                rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
                std::thread::yield_now();
            }
        }
    };
    assert_eq!(status.code(), Some(130));
}

#[test]
fn a_reader_who_leaves_ends_it_quietly() {
    let bench = Bench::new([Reply::text("hi")]);
    let mut child = bench.spawn(&["go"]);
    drop(child.stdout.take());
    let run = crate::bench::Run::from(child.wait_with_output().unwrap());
    assert_eq!(run.code, 1, "{}", run.shown());
    assert!(!run.stderr.contains("nobody reads"), "{}", run.shown());
}

#[test]
fn the_ways_to_a_model_are_shown() {
    let bench = Bench::new([]);
    let run = bench.bare(&["run", "go"]);
    assert_eq!(run.code, 2);
    insta::assert_snapshot!(run.stderr, @r"
    codetether::usage

      × no model is chosen
      help: either set `OPENAI_API_KEY` and choose a model with `-m openai/MODEL`,
            or set `ANTHROPIC_API_KEY` and choose one with `-m anthropic/MODEL`,
            or set `GEMINI_API_KEY` and choose one with `-m google/MODEL`,
            or keep a key with `codetether auth login openai` (or in Vault: `VAULT_ADDR`),
            or point `OPENAI_BASE_URL` at any OpenAI-compatible server (one on this machine needs no key),
            or run a small one on this machine: `codetether models pull qwen2.5-coder-1.5b-instruct`, then add `--local`,
            or describe an endpoint in the settings file: `[providers.NAME]` with `base_url` and `key_env`, and use `-m NAME/MODEL`
    ");
    let run = bench.bare(&["run", "go", "-m", "openai/x"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("there is no key for provider `openai`"), "{}", run.stderr);
}

#[test]
fn a_tool_that_is_not_there_is_said_before_anything_is_written() {
    let bench = Bench::new([]);
    let run = bench.run(&["go", "--tools", "read,nope"]);
    assert_eq!(run.code, 2);
    insta::assert_snapshot!(run.stderr, @r"
    codetether::usage

      × there is no tool `nope` to offer
      help: there is `read`, `write`, `edit`, `list`, `glob`, `grep`, `bash`, `recall`, `todo`, `question`, `process`, `delegate`, `multi_edit`, `apply_patch`, `web_fetch`
    ");
    assert_eq!(bench.bare(&["session", "list"]).stdout, "");
}

#[test]
fn wrong_settings_are_pointed_at() {
    let bench = Bench::new([]);
    let run = bench.bare(&["run", "go", "-c", "modle=x"]);
    assert_eq!(run.code, 2);
    insta::assert_snapshot!(run.stderr, @r#"
    codetether::settings

      × cannot read the settings: unknown key `modle`
       ╭─[-c:1:1]
     1 │ modle = "x"
       · ──┬──
       ·   ╰── here
       ╰────
      help: did you mean `model`?
    "#);
}
