//! Children: what a call delegates, how it is bounded, how it comes back, and what is left when something goes wrong.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use codetether_testkit::{Reply, Request, planted};
use serde_json::{Value, json};

use crate::bench::{Bench, Run};
use crate::terminal::at_terminal;

/// A dollar per million tokens, either way, for the scripted server's model.
const PRICED: [&str; 4] =
    ["-c", "models.\"openai/scripted\".input_price=1", "-c", "models.\"openai/scripted\".output_price=1"];
/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// The prompt of the session that a request belongs to.
fn prompt(request: &Request) -> String {
    let body = request.json();
    let users = body["messages"].as_array().unwrap().iter().filter(|message| message["role"] == "user");
    users.map(|message| message["content"].to_string()).nth(1).unwrap_or_default()
}

/// The results that the last answer of the model got.
fn results(request: &Request) -> Vec<String> {
    let body = request.json();
    let messages = body["messages"].as_array().unwrap();
    let last = messages.iter().rev().take_while(|message| message["role"] == "tool");
    let mut results: Vec<String> =
        last.map(|message| message["content"].as_str().unwrap_or_default().to_owned()).collect();
    results.reverse();
    results
}

/// A model that answers each session by the word in its prompt, one reply after the other.
fn by_word(scripts: impl IntoIterator<Item = (&'static str, Vec<Reply>)>) -> Bench {
    let scripts: HashMap<&str, _> =
        scripts.into_iter().map(|(word, replies)| (word, Mutex::new(replies.into_iter()))).collect();
    Bench::of_model(move |request| {
        let prompt = prompt(request);
        let script = scripts.iter().find(|(word, _)| prompt.contains(*word));
        let reply = script.and_then(|(_, replies)| replies.lock().unwrap().next());
        reply.unwrap_or_else(|| {
            Reply::status(400).body(format!(r#"{{"error":{{"message":"unasked: {prompt:?}"}}}}"#))
        })
    })
}

fn delegate(arguments: Value) -> Reply {
    Reply::call("delegate", arguments)
}

/// The folders of all sessions, the oldest first.
fn sessions(bench: &Bench) -> Vec<PathBuf> {
    let dir = bench.home.data().join("codetether/sessions");
    let mut sessions: Vec<PathBuf> =
        std::fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    sessions.sort();
    sessions
}

/// The events of a session, the first being 0.
fn events(bench: &Bench, number: usize) -> Vec<Value> {
    let journal = sessions(bench).get(number).map(|folder| folder.join("journal.jsonl"));
    let text = journal.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
    // A line may be half written while the program works.
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.map(|mut line| line["record"]["event"].take()).collect()
}

fn of_kind(events: &[Value], kind: &str) -> Vec<Value> {
    events.iter().filter(|event| event["type"] == kind).cloned().collect()
}

/// What the calls of the first session returned.
fn returned(bench: &Bench) -> Vec<String> {
    let ended = of_kind(&events(bench, 0), "call.ended");
    ended.iter().map(|event| event["result"]["text"].as_str().unwrap().to_owned()).collect()
}

fn worktrees(bench: &Bench) -> Vec<PathBuf> {
    let dir = bench.home.data().join("codetether/worktrees");
    std::fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let limit = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < limit, "{what}");
        std::thread::yield_now();
    }
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    rustix::process::kill_process(rustix::process::Pid::from_child(child), signal).unwrap();
}

fn ok(run: Run) -> Run {
    assert_eq!(run.code, 0, "{}", run.shown());
    run
}

/// A parent with one child that writes, and what both say.
fn one_writer(child: Vec<Reply>) -> Bench {
    by_word([
        ("PARENT", vec![delegate(json!({"prompt": "CHILD", "writes": true})), Reply::text("done")]),
        ("CHILD", child),
    ])
}

fn write(path: &str, content: &str) -> Reply {
    Reply::call("write", json!({"path": path, "content": content}))
}

#[test]
fn two_children_work_at_once_and_what_one_wrote_comes_back_and_can_be_undone() {
    let here = Arc::new((Mutex::new(0), Condvar::new()));
    let bench = Bench::of_model(move |request| {
        let (prompt, results) = (prompt(request), results(request));
        let first = results.is_empty();
        if prompt.contains("PARENT") {
            return match first {
                true => Reply::calls([
                    ("delegate", json!({"prompt": "READ the notes", "agent": "explore"})),
                    ("delegate", json!({"prompt": "WRITE a file", "writes": true})),
                ]),
                false => Reply::text(results.join(" | ")),
            };
        }
        if first {
            // Neither gets an answer before both have asked.
            let (count, changed) = &*here;
            let mut count = count.lock().unwrap();
            *count += 1;
            changed.notify_all();
            let (count, _) = changed.wait_timeout_while(count, PATIENCE, |count| *count < 2).unwrap();
            assert!(*count >= 2, "the other child does not run meanwhile");
        }
        match (prompt.contains("READ"), first) {
            (true, true) => Reply::call("read", json!({"path": "notes.txt"})),
            (true, false) => Reply::text(format!("the notes say {}", results[0].contains("remember"))),
            (false, true) => write("made/new.txt", "new\n"),
            (false, false) => Reply::text("I made it"),
        }
    });
    bench.file("notes.txt", "remember\n");
    let said = ok(bench.run(&["PARENT"])).stdout;
    assert!(said.contains("the notes say true") && said.contains("I made it"), "{said}");
    assert_eq!(bench.read("made/new.txt"), "new\n");
    assert_eq!(worktrees(&bench).len(), 0, "what was brought in is no longer kept");
    let parent = events(&bench, 0);
    assert_eq!(of_kind(&parent, "child.spawned").len(), 2);
    let brought = of_kind(&parent, "child.brought");
    assert_eq!(brought[0]["brought"]["paths"], json!(["made", "made/new.txt"]));
    // Each has a journal of its own, which names the parent.
    let opened: Vec<Value> = (1..3).map(|n| events(&bench, n)[0]["parent"].clone()).collect();
    assert!(
        opened.iter().all(|parent| parent["depth"] == 1 && parent["session"] == parent["root"]),
        "{opened:?}"
    );
    let modes: Vec<Value> =
        (1..3).map(|n| of_kind(&events(&bench, n), "turn.started")[0]["settings"]["mode"].clone()).collect();
    assert!(modes.contains(&json!("plan")), "who only reads works in mode `plan`: {modes:?}");
    let undone = ok(bench.bare(&["undo", "--yes"]));
    assert!(!bench.path("made").exists(), "{}", undone.shown());
}

#[test]
fn what_children_spend_counts_once() {
    let bench = by_word([
        ("PARENT", vec![delegate(json!({"prompt": "CHILD"})), Reply::text("done")]),
        ("CHILD", vec![Reply::call("list", json!({})), Reply::text("seen")]),
    ]);
    let args: Vec<&str> = ["PARENT", "--format", "json"].into_iter().chain(PRICED).collect();
    let summary: Value = serde_json::from_str(&ok(bench.run(&args)).stdout).unwrap();
    // Four answers of 100 tokens in and 10 out.
    assert_eq!(summary["cost_microdollars"], 440, "{summary}");
    let ended = of_kind(&events(&bench, 0), "child.ended");
    assert_eq!((&ended[0]["cost"], &ended[0]["steps"]), (&json!(220), &json!(2)), "{}", ended[0]);
    let usage = bench.bare(&["usage", "--by", "model", "--json"]);
    let row: Value = serde_json::from_str(usage.stdout.lines().next().unwrap()).unwrap();
    assert_eq!((&row["cost_microdollars"], &row["samples"]), (&json!(440), &json!(4)), "{row}");
}

#[test]
fn a_child_may_have_a_child_and_that_one_may_not() {
    let bench = by_word([
        ("PARENT", vec![delegate(json!({"prompt": "FIRST"})), Reply::text("top")]),
        ("FIRST", vec![delegate(json!({"prompt": "SECOND"})), Reply::text("first is done")]),
        ("SECOND", vec![delegate(json!({"prompt": "THIRD"})), Reply::text("second is done")]),
    ]);
    ok(bench.run(&["PARENT"]));
    assert_eq!(sessions(&bench).len(), 3);
    let depths: Vec<Value> = (1..3).map(|n| events(&bench, n)[0]["parent"]["depth"].clone()).collect();
    assert_eq!(depths, [json!(1), json!(2)]);
    let refused = of_kind(&events(&bench, 2), "call.ended");
    insta::assert_snapshot!(refused[0]["result"]["text"].as_str().unwrap(), @"a child of a child of a child is not to be had (2 deep is the most): do it yourself");
    assert_eq!(returned(&bench), ["first is done"]);
}

#[test]
fn the_limit_of_money_holds_over_children_and_one_of_their_own_does_too() {
    let script = |child: Value| {
        by_word([
            ("PARENT", vec![delegate(child), Reply::text("done")]),
            ("CHILD", vec![Reply::text("seen")]),
        ])
    };
    // What a child asks for itself is less than a single request of it can cost.
    let bench = script(json!({"prompt": "CHILD", "max_cost": 0.0005}));
    let args: Vec<&str> = ["PARENT"].into_iter().chain(PRICED).collect();
    ok(bench.run(&args));
    let told = &returned(&bench)[0];
    assert!(told.contains("the child came to its limit of money"), "{told}");
    assert_eq!(bench.server.requests().len(), 2, "nothing of the child's was sent");
    // The parent's limit is enough for itself and not for a child beside it.
    let bench = script(json!({"prompt": "CHILD"}));
    let args: Vec<&str> =
        ["PARENT", "--max-cost", "0.0135", "--max-output", "1024"].into_iter().chain(PRICED).collect();
    let run = bench.run(&args);
    let spent: i64 = (0..sessions(&bench).len())
        .flat_map(|n| of_kind(&events(&bench, n), "sample.ended"))
        .map(|event| event["cost"].as_i64().unwrap())
        .sum();
    assert!(spent <= 13_500, "{spent}: {}", run.shown());
    let granted = of_kind(&events(&bench, 0), "child.spawned");
    assert_eq!(granted[0]["grant"]["cost"], Value::Null);
}

#[test]
fn an_answer_to_a_schema_is_the_value() {
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    let bench = by_word([
        (
            "PARENT",
            vec![
                delegate(json!({"prompt": "CHILD", "output_schema": schema.to_string()})),
                Reply::text("done"),
            ],
        ),
        ("CHILD", vec![Reply::text("no value"), Reply::text(r#"{"n": 7}"#)]),
    ]);
    ok(bench.run(&["PARENT"]));
    assert_eq!(returned(&bench), [r#"{"n":7}"#]);
    let wrong = by_word([(
        "PARENT",
        vec![delegate(json!({"prompt": "CHILD", "output_schema": r#"{"type": 7}"#})), Reply::text("done")],
    )]);
    ok(wrong.run(&["PARENT"]));
    assert!(returned(&wrong)[0].contains("`output_schema` is no schema"), "{:?}", returned(&wrong));
    assert_eq!(sessions(&wrong).len(), 1);
}

#[test]
fn what_was_changed_on_both_sides_is_kept_twice_and_the_model_is_told() {
    let bench = one_writer(vec![
        Reply::calls([
            ("read", json!({"path": "notes.txt"})),
            ("bash", json!({"command": "echo child > notes.txt; echo more > more.txt; rm gone.txt"})),
        ]),
        Reply::call(
            "bash",
            json!({"command": "touch ready; while [ ! -e go ]; do sleep 0.05; done; rm ready go"}),
        ),
        Reply::text("I changed it"),
    ]);
    bench.file("notes.txt", "first\n");
    bench.file("gone.txt", "x\n");
    let child = bench.spawn(&["PARENT"]);
    let tree = || {
        let tree = worktrees(&bench).pop()?;
        let mut folders = std::fs::read_dir(tree).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
        folders.find(|path| path.is_dir())
    };
    wait_until("the child does not work", || tree().is_some_and(|tree| tree.join("ready").exists()));
    bench.file("notes.txt", "mine\n");
    codetether_files::create_new(tree().unwrap().join("go"), 0o600).unwrap();
    ok(Run::from(child.wait_with_output().unwrap()));
    assert_eq!((bench.read("notes.txt"), bench.read("more.txt")), ("mine\n".into(), "more\n".into()));
    assert!(!bench.path("gone.txt").exists());
    let told = &returned(&bench)[0];
    let beside = told.split('`').find(|word| word.starts_with("notes.txt.child-")).expect(told);
    assert_eq!(bench.read(beside), "child\n");
    assert!(told.contains("`notes.txt` was changed here meanwhile and stays as it is"), "{told}");
    assert!(told.contains("[brought into this folder: gone.txt, more.txt"), "{told}");
    assert_eq!(worktrees(&bench).len(), 0);
}

#[test]
fn untracked_files_and_the_repository_are_there_and_the_users_is_not_touched() {
    let bench = one_writer(vec![
        Reply::call("bash", json!({"command": "git status --short; git log --oneline; cat untracked.txt"})),
        Reply::text("seen"),
    ]);
    let git = |args: &[&str]| {
        let mut git = std::process::Command::new("git");
        git.args(["-c", "user.name=a", "-c", "user.email=a@example.org"]).args(args);
        let out = git.current_dir(bench.path(".")).env("HOME", bench.home.path()).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    };
    git(&["init", "-q"]);
    bench.file("tracked.txt", "one\n");
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "first things"]);
    bench.file("tracked.txt", "two\n");
    bench.file("untracked.txt", "also here\n");
    let before = (git(&["status", "--short"]), std::fs::read(bench.path(".git/index")).unwrap());
    ok(bench.run(&["PARENT"]));
    let child = of_kind(&events(&bench, 1), "call.ended")[0]["result"]["text"].as_str().unwrap().to_owned();
    assert!(child.contains(" M tracked.txt") && child.contains("?? untracked.txt"), "{child}");
    assert!(child.contains("first things") && child.contains("also here"), "{child}");
    let after = (git(&["status", "--short"]), std::fs::read(bench.path(".git/index")).unwrap());
    assert_eq!(before, after);
    assert_eq!(git(&["worktree", "list"]).lines().count(), 1);
    assert_eq!(worktrees(&bench).len(), 0, "nothing was changed, so nothing is kept");
}

#[test]
fn what_a_rule_forbids_in_the_folder_a_child_cannot_bring_in() {
    let bench = one_writer(vec![
        write("s.sh", "mkdir -p secret; echo x > secret/x\n"),
        Reply::call("bash", json!({"command": "sh s.sh && rm s.sh"})),
        Reply::text("I made it"),
    ]);
    bench.user_settings("deny = [\"edit(/secret/**)\"]\n");
    let run = bench.run(&["PARENT"]);
    assert!(!bench.path("secret").exists(), "{}", run.shown());
    let told = returned(&bench)[0].clone();
    assert!(told.starts_with("I made it") && told.contains("not permitted"), "{told}");
    assert_eq!(worktrees(&bench).len(), 1, "it is kept");
}

#[test]
fn who_only_reads_changes_nothing_and_cannot_be_made_to_write() {
    let bench = by_word([
        (
            "PARENT",
            vec![
                Reply::calls([
                    ("delegate", json!({"prompt": "CHILD"})),
                    ("delegate", json!({"prompt": "OTHER", "agent": "explore", "writes": true})),
                    ("delegate", json!({"prompt": "OTHER", "agent": "nobody"})),
                ]),
                Reply::text("done"),
            ],
        ),
        (
            "CHILD",
            vec![
                Reply::calls([
                    ("write", json!({"path": "made.txt", "content": "x"})),
                    ("bash", json!({"command": "echo x > made.txt"})),
                ]),
                Reply::text("I could not"),
            ],
        ),
    ]);
    bench.run(&["PARENT"]);
    assert!(!bench.path("made.txt").exists());
    let told = returned(&bench);
    assert!(told.iter().any(|told| told == "I could not"), "{told:?}");
    assert!(told.iter().any(|told| told.contains("agent `explore` only reads")), "{told:?}");
    assert!(
        told.iter().any(|told| told
            .contains("there is no agent `nobody`; there is `explore`, `general`, `build`, `plan`")),
        "{told:?}"
    );
    let planning = by_word([(
        "PARENT",
        vec![delegate(json!({"prompt": "CHILD", "writes": true})), Reply::text("done")],
    )]);
    ok(planning.run(&["PARENT", "--mode", "plan"]));
    assert!(
        returned(&planning)[0].contains("in mode `plan` no child can change files"),
        "{:?}",
        returned(&planning)
    );
}

#[test]
fn an_interrupt_ends_children_and_what_they_run() {
    let bench = one_writer(vec![Reply::call("bash", json!({"command": "echo $$ > pid; sleep 1000"}))]);
    let child = bench.spawn(&["PARENT"]);
    let pid = || {
        let tree = worktrees(&bench).pop()?;
        let mut found =
            std::fs::read_dir(tree).ok()?.filter_map(|entry| Some(entry.ok()?.path().join("pid")));
        found.find(|path| std::fs::read_to_string(path).is_ok_and(|text| text.ends_with('\n')))
    };
    wait_until("the child's command does not start", || pid().is_some());
    signal(&child, rustix::process::Signal::INT);
    let run = Run::from(child.wait_with_output().unwrap());
    assert_eq!(run.code, 130, "{}", run.shown());
    let ended = of_kind(&events(&bench, 0), "child.ended");
    assert_eq!(ended[0]["outcome"]["kind"], "interrupted");
    let last = events(&bench, 1).pop().unwrap();
    assert_eq!((&last["type"], &last["outcome"]["kind"]), (&json!("turn.ended"), &json!("interrupted")));
    assert_eq!(sleepers(&bench), 0);
    // What it changed is not thrown away.
    assert_eq!(worktrees(&bench).len(), 1);
    assert!(returned(&bench)[0].contains("kept in its worktree"), "{:?}", returned(&bench));
}

/// Processes that still run for a call of one of these sessions.
fn sleepers(bench: &Bench) -> usize {
    let ids: Vec<String> =
        sessions(bench).iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let environ = std::fs::read(entry.ok()?.path().join("environ")).ok()?;
        Some(String::from_utf8_lossy(&environ).into_owned())
    });
    processes
        .filter(|environ| ids.iter().any(|id| environ.contains(&format!("CODETETHER_CALL={id}"))))
        .count()
}

#[test]
fn after_a_kill_the_parent_says_what_became_of_its_child() {
    let bench = by_word([
        (
            "PARENT",
            vec![
                delegate(json!({"prompt": "CHILD", "writes": true})),
                Reply::text("forked"),
                Reply::text("resumed"),
            ],
        ),
        (
            "CHILD",
            vec![
                Reply::text("so far so good")
                    .and_call("write", json!({"path": "half.txt", "content": "half\n"})),
                Reply::stall(),
            ],
        ),
    ]);
    let mut child = bench.spawn(&["PARENT"]);
    wait_until("the child does not work", || of_kind(&events(&bench, 1), "sample.started").len() == 2);
    child.kill().unwrap();
    child.wait().unwrap();
    let parent = sessions(&bench)[0].file_name().unwrap().to_string_lossy().into_owned();
    // A fork has the records of the child, which is none of its own.
    let fork = ok(bench.bare(&["session", "fork", &parent])).stdout.trim().to_owned();
    let of_child = events(&bench, 1);
    ok(bench.run_as_it_was(&["--resume", &fork]));
    assert_eq!(events(&bench, 1), of_child, "a fork writes to it");
    let run = ok(bench.run_as_it_was(&["--resume", &parent]));
    assert_eq!(run.stdout, "resumed\n");
    let told = returned(&bench)[0].clone();
    assert!(told.contains("the program ended while this child") && told.contains("after 2 steps"), "{told}");
    assert!(told.contains("so far so good") && told.contains("in its worktree"), "{told}");
    let ended = of_kind(&events(&bench, 0), "child.ended");
    assert_eq!((ended.len(), &ended[0]["outcome"]["kind"]), (1, &json!("interrupted")));
    assert!(ended[0]["usage"]["input"].as_u64().unwrap() > 100, "the lost request counts: {}", ended[0]);
    assert_eq!(events(&bench, 1).pop().unwrap()["type"], "turn.ended");
    let kept = worktrees(&bench).pop().unwrap();
    let mut files = std::fs::read_dir(kept).unwrap().map(|entry| entry.unwrap().path().join("half.txt"));
    assert!(files.any(|path| path.exists()), "what it wrote is kept");
    assert!(!bench.path("half.txt").exists());
}

#[test]
fn what_a_child_said_outlives_a_kill_before_its_parent_heard_it() {
    let bench = by_word([
        ("PARENT", vec![delegate(json!({ "prompt": "CHILD" })), Reply::text("I see")]),
        ("CHILD", vec![Reply::text("the answer is 42")]),
    ]);
    // The child has ended, and its call has not.
    bench.user_settings(
        "sandbox.tier = \"none\"\n[[hooks.ChildStop]]\ncommand = \"test -e killed || { touch killed; kill -9 $PPID; }\"\n",
    );
    let run = bench.run(&["PARENT"]);
    assert_eq!(run.code, -1, "{}", run.shown());
    assert!(of_kind(&events(&bench, 0), "call.ended").is_empty(), "{}", run.shown());
    let run = bench.run_as_it_was(&["--last"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "I see\n"), "{}", run.shown());
    let told = returned(&bench);
    assert!(told[0].contains("after 1 step. It said last:\nthe answer is 42"), "{told:?}");
}

#[test]
fn what_a_killed_run_left_is_removed_when_it_holds_nothing_new() {
    let bench = by_word([
        ("PARENT", vec![delegate(json!({"prompt": "CHILD", "writes": true}))]),
        ("CHILD", vec![Reply::stall()]),
        ("AGAIN", vec![delegate(json!({"prompt": "NEXT", "writes": true})), Reply::text("done")]),
        ("NEXT", vec![Reply::text("nothing to do")]),
    ]);
    bench.file("a.txt", "a\n");
    let mut child = bench.spawn(&["PARENT"]);
    wait_until("the child does not work", || of_kind(&events(&bench, 1), "sample.started").len() == 1);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(worktrees(&bench).len(), 1);
    ok(bench.run(&["AGAIN"]));
    assert_eq!(worktrees(&bench).len(), 0);
}

#[test]
fn a_child_asks_whoever_its_parent_would() {
    let bench = by_word([
        ("PARENT", vec![delegate(json!({"prompt": "CHILD", "writes": true})), Reply::text("done")]),
        ("CHILD", vec![write("made.txt", "x\n"), Reply::text("made")]),
    ]);
    let (code, screen) = at_terminal(&bench, &["PARENT"], &["y", "y"]);
    assert_eq!(code, 0, "{screen}");
    assert!(screen.contains("asks:") && screen.contains("✓ child "), "{screen}");
    assert!(screen.contains(": general \"CHILD\" 2 steps"), "{screen}");
    assert_eq!(bench.read("made.txt"), "x\n", "{screen}");
    let parent = events(&bench, 0);
    let kinds: Vec<Value> =
        of_kind(&parent, "ask.opened").iter().map(|event| event["ask"]["kind"].clone()).collect();
    assert_eq!(kinds, [json!("child"), json!("permission")], "its own, then what it brings in");
    // With nobody there it is refused, as its parent would be.
    let alone = by_word([
        ("PARENT", vec![delegate(json!({"prompt": "CHILD", "writes": true})), Reply::text("done")]),
        ("CHILD", vec![write("made.txt", "x\n"), Reply::text("refused")]),
    ]);
    ok(alone.run(&["PARENT", "--mode", "ask"]));
    assert!(!alone.path("made.txt").exists());
    let refused = of_kind(&events(&alone, 1), "call.ended");
    assert!(refused[0]["result"]["text"].as_str().unwrap().contains("nobody is here to allow it"));
}

#[test]
fn children_are_shown_apart_from_the_sessions_of_a_person() {
    let bench = by_word([
        ("PARENT", vec![delegate(json!({"prompt": "CHILD"})), Reply::text("done")]),
        ("CHILD", vec![Reply::text("seen")]),
        ("MORE", vec![Reply::text("more")]),
    ]);
    ok(bench.run(&["PARENT"]));
    let usual = bench.server.json(1)["messages"].to_string();
    assert!(usual.contains("You are a child agent:") && usual.contains("CHILD"), "{usual}");
    assert_eq!(bench.bare(&["session", "list"]).stdout.lines().count(), 1);
    assert_eq!(bench.bare(&["session", "list", "-n", "1"]).stdout.lines().count(), 1);
    let all = bench.bare(&["session", "list", "--children"]).stdout;
    assert!(all.lines().count() == 2 && all.contains("  CHILD  (child of "), "{all}");
    let child = sessions(&bench)[1].file_name().unwrap().to_string_lossy().into_owned();
    let shown = bench.bare(&["session", "show", &child]);
    assert!(
        shown.stdout.contains(", a child of session ") && shown.stdout.contains("seen"),
        "{}",
        shown.stdout
    );
    let parent = bench.bare(&["session", "show", "last"]);
    assert!(parent.stdout.contains(&format!("starts a child, session {child}")), "{}", parent.stdout);
    assert!(
        parent.stdout.contains("out): done\n") && parent.stdout.contains("the turn ended: done"),
        "{}",
        parent.stdout
    );
    let told = bench.bare(&["session", "export", "--format", "markdown"]).stdout;
    assert!(told.contains("the child of session") && told.contains("ended after 1 step: done"), "{told}");
    assert_eq!(told.matches("### model, step ").count(), 2, "a step of calls alone has a head: {told}");
    let told = bench.bare(&["session", "export", &child, "--format", "markdown"]).stdout;
    assert!(told.starts_with("# CHILD\n"), "{told}");
}

#[test]
fn a_secret_in_a_task_reaches_no_childs_journal() {
    // The check is the home's and the bench's, of every file and every request.
    let bench = by_word([
        (
            "PARENT",
            vec![
                delegate(json!({"prompt": format!("CHILD use {}", planted::KEY), "writes": true})),
                Reply::text("done"),
            ],
        ),
        ("CHILD", vec![write("a.txt", "x\n"), Reply::text("done")]),
    ]);
    ok(bench.run(&["PARENT"]));
    assert_eq!(sessions(&bench).len(), 2);
}

#[test]
fn a_hundred_children_end_without_loss() {
    let bench = Bench::of_model(|request| {
        let (prompt, results) = (prompt(request), results(request));
        match (prompt.contains("PARENT"), results.is_empty()) {
            (true, true) => {
                Reply::calls((0..100).map(|n| ("delegate", json!({"prompt": format!("number <{n}>")}))))
            }
            (true, false) => Reply::text(format!("{} came back", results.len())),
            (false, true) => Reply::call("read", json!({"path": "a.txt"})),
            (false, false) => {
                let number = prompt.split(['<', '>']).nth(1).unwrap().to_owned();
                Reply::text(format!("{number}: {}", results[0].contains("here")))
            }
        }
    });
    bench.file("a.txt", "here\n");
    let run = ok(bench.run(&["PARENT"]));
    assert_eq!(run.stdout, "100 came back\n");
    let requests = bench.server.requests();
    let last = requests.iter().rfind(|request| prompt(request).contains("PARENT")).unwrap();
    let wanted: Vec<String> = (0..100).map(|n| format!("{n}: true")).collect();
    assert_eq!(results(last), wanted, "in the order of the calls");
    assert_eq!(of_kind(&events(&bench, 0), "child.ended").len(), 100);
    assert_eq!(sessions(&bench).len(), 101);
}

#[test]
fn a_child_can_be_an_agent_of_the_users() {
    let bench = by_word([
        ("PARENT", vec![delegate(json!({"prompt": "CHILD", "agent": "reviewer"})), Reply::text("done")]),
        (
            "CHILD",
            vec![Reply::call("write", json!({"path": "made.txt", "content": "x"})), Reply::text("looked")],
        ),
    ]);
    let own = bench.home.config().join("codetether/agents/reviewer.md");
    codetether_files::create_dir_all(own.parent().unwrap()).unwrap();
    let text = "---\ndescription: Reviews\ntools: [read, grep]\n---\nLook for what is missing.\n";
    codetether_files::write_atomic(own, text.as_bytes(), &<_>::default()).unwrap();
    ok(bench.run(&["PARENT"]));
    assert!(!bench.path("made.txt").exists());
    let child = bench.server.json(1);
    let offered: Vec<&str> = child["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["function"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(offered, ["read", "grep"]);
    assert!(child.to_string().contains("Look for what is missing."));
}

#[test]
fn a_child_of_an_agent_with_skills_and_hooks_is_told_of_its_own_part_alone() {
    let bench = by_word([
        ("PARENT", vec![delegate(json!({"prompt": "CHILD", "agent": "explore"})), Reply::text("done")]),
        ("CHILD", vec![Reply::calls([("list", json!({"path": "."}))]), Reply::text("looked")]),
    ]);
    let own = |path: &str, text: &str| {
        let path = bench.home.config().join("codetether").join(path);
        codetether_files::create_dir_all(path.parent().unwrap()).unwrap();
        codetether_files::write_atomic(path, text.as_bytes(), &<_>::default()).unwrap();
    };
    own("agents/lead.md", "---\ndescription: Leads\n---\nYou LEAD others.\n");
    own("skills/tidy/SKILL.md", "---\ndescription: TIDIES up\n---\nTidy.\n");
    let points =
        ["SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "Stop", "ChildStop", "SessionEnd"];
    let hook = |point: &&str| format!("[[hooks.{point}]]\ncommand = \"echo {point} >> ran\"\n");
    own("config.toml", &points.iter().map(hook).collect::<String>());
    ok(bench.run(&["--agent", "lead", "PARENT"]));
    let system = |request: usize| bench.server.json(request)["messages"][0].to_string();
    assert!(system(0).contains("LEAD") && system(0).contains("TIDIES"));
    assert!(!system(1).contains("LEAD"), "{}", system(1));
    // The hooks of the child's call could not write: it only reads.
    let ran = bench.read("ran");
    let ran: Vec<&str> = ran.lines().collect();
    let parents =
        ["SessionStart", "UserPromptSubmit", "PreToolUse", "ChildStop", "PostToolUse", "Stop", "SessionEnd"];
    assert_eq!(ran, parents);
}
