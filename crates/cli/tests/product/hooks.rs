//! Hooks: what each point is told, what an answer does, and what no hook can do.

use codetether_testkit::{Reply, redact};
use serde_json::{Value, json};

use crate::bench::{Bench, Run};
use crate::interrupt::{signal, wait_for};

/// One hook as settings have it; single quotes in the command are allowed.
fn hook(point: &str, matcher: &str, command: &str) -> String {
    let matcher = if matcher.is_empty() { String::new() } else { format!("matcher = '{matcher}'\n") };
    format!("[[hooks.{point}]]\n{matcher}command = '''{command}'''\n")
}

fn bash(command: &str) -> Reply {
    Reply::call("bash", json!({ "command": command }))
}

fn results(bench: &Bench) -> Vec<String> {
    let ended = bench.event_values().into_iter().filter(|event| event["type"] == "call.ended");
    ended.map(|event| event["result"]["text"].as_str().unwrap().to_owned()).collect()
}

fn verdicts(bench: &Bench) -> Vec<String> {
    let judged = bench.event_values().into_iter().filter(|event| event["type"] == "call.authorized");
    let shown = |verdict: &Value| match &verdict["rule"] {
        Value::Null => format!("{}: {}", verdict["kind"], verdict["ask"]["why"]),
        rule => format!("{}: {rule}", verdict["kind"]),
    };
    judged.map(|event| shown(&event["verdict"])).collect()
}

fn body(bench: &Bench, request: usize) -> String {
    String::from_utf8(bench.server.requests()[request].body.clone()).unwrap()
}

/// What a hook was told and kept, an indented object.
fn told(bench: &Bench, name: &str) -> String {
    let value: Value = serde_json::from_str(&bench.read(name)).unwrap();
    redact(&serde_json::to_string_pretty(&value).unwrap())
}

fn outcome(bench: &Bench) -> Value {
    bench.event_values().last().unwrap()["outcome"].clone()
}

/// Trusts a project's own settings.
fn trusted(bench: &Bench, settings: &str) {
    codetether_files::create_dir_all(bench.path(".codetether")).unwrap();
    bench.file(".codetether/config.toml", settings);
    assert_eq!(bench.bare(&["trust", "add"]).code, 0);
}

#[test]
fn each_point_is_told_what_there_is_to_know() {
    let bench = Bench::new([bash("echo hello"), bash("echo asked"), Reply::text("all done")]);
    let keep = |point: &str| hook(point, "", &format!("cat > told-{point}"));
    let points = ["SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "Stop", "SessionEnd"];
    let mut settings = "ask = [\"bash(echo asked)\"]\n".to_owned();
    settings.extend(points.map(keep));
    let allow =
        r#"cat > told-PermissionRequest; echo '{"hookSpecificOutput": {"decision": {"behavior": "allow"}}}'"#;
    settings.push_str(&hook("PermissionRequest", "", allow));
    bench.user_settings(&settings);
    let run = bench.run(&["say hello"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert_eq!(results(&bench), ["hello\n", "asked\n"]);
    assert_eq!(run.stderr.lines().count(), 1, "nothing is said of hooks that say nothing: {}", run.stderr);
    insta::assert_snapshot!(told(&bench, "told-SessionStart"), @r#"
    {
      "session_id": "[uuid]",
      "turn_id": 2,
      "transcript_path": "[temp]/home/.local/share/codetether/sessions/[uuid]/journal.jsonl",
      "cwd": "[temp]/project",
      "permission_mode": "auto-edit",
      "hook_event_name": "SessionStart",
      "source": "startup",
      "model": "openai/scripted"
    }
    "#);
    insta::assert_snapshot!(told(&bench, "told-UserPromptSubmit"), @r#"
    {
      "session_id": "[uuid]",
      "turn_id": 2,
      "transcript_path": "[temp]/home/.local/share/codetether/sessions/[uuid]/journal.jsonl",
      "cwd": "[temp]/project",
      "permission_mode": "auto-edit",
      "hook_event_name": "UserPromptSubmit",
      "prompt": "say hello"
    }
    "#);
    insta::assert_snapshot!(told(&bench, "told-PreToolUse"), @r#"
    {
      "session_id": "[uuid]",
      "turn_id": 2,
      "transcript_path": "[temp]/home/.local/share/codetether/sessions/[uuid]/journal.jsonl",
      "cwd": "[temp]/project",
      "permission_mode": "auto-edit",
      "hook_event_name": "PreToolUse",
      "tool_name": "bash",
      "tool_input": {
        "command": "echo asked"
      },
      "tool_use_id": "call_1_0"
    }
    "#);
    insta::assert_snapshot!(told(&bench, "told-PermissionRequest"), @r#"
    {
      "session_id": "[uuid]",
      "turn_id": 2,
      "transcript_path": "[temp]/home/.local/share/codetether/sessions/[uuid]/journal.jsonl",
      "cwd": "[temp]/project",
      "permission_mode": "auto-edit",
      "hook_event_name": "PermissionRequest",
      "tool_name": "bash",
      "tool_input": {
        "command": "echo asked"
      },
      "tool_use_id": "call_1_0",
      "reason": "it matches"
    }
    "#);
    insta::assert_snapshot!(told(&bench, "told-PostToolUse"), @r#"
    {
      "session_id": "[uuid]",
      "turn_id": 2,
      "transcript_path": "[temp]/home/.local/share/codetether/sessions/[uuid]/journal.jsonl",
      "cwd": "[temp]/project",
      "permission_mode": "auto-edit",
      "hook_event_name": "PostToolUse",
      "tool_name": "bash",
      "tool_input": {
        "command": "echo asked"
      },
      "tool_use_id": "call_1_0",
      "tool_response": {
        "text": "asked\n",
        "is_error": false
      }
    }
    "#);
    insta::assert_snapshot!(told(&bench, "told-Stop"), @r#"
    {
      "session_id": "[uuid]",
      "turn_id": 2,
      "transcript_path": "[temp]/home/.local/share/codetether/sessions/[uuid]/journal.jsonl",
      "cwd": "[temp]/project",
      "permission_mode": "auto-edit",
      "hook_event_name": "Stop",
      "stop_hook_active": false,
      "last_assistant_message": "all done"
    }
    "#);
    insta::assert_snapshot!(told(&bench, "told-SessionEnd"), @r#"
    {
      "session_id": "[uuid]",
      "turn_id": null,
      "transcript_path": "[temp]/home/.local/share/codetether/sessions/[uuid]/journal.jsonl",
      "cwd": "[temp]/project",
      "permission_mode": "auto-edit",
      "hook_event_name": "SessionEnd",
      "reason": "other"
    }
    "#);
    let hooked = bench.event_values().into_iter().filter(|event| event["type"] == "turn.hooked");
    let points: Vec<_> = hooked.map(|event| event["point"].as_str().unwrap().to_owned()).collect();
    assert_eq!(points, ["SessionStart", "UserPromptSubmit", "Stop"]);
    // A session that is taken up begins again, and says so.
    let again = Bench::new([Reply::text("one"), Reply::text("two")]);
    again.user_settings(&keep("SessionStart"));
    again.run(&["go"]);
    again.run(&["--last", "go on"]);
    assert!(told(&again, "told-SessionStart").contains(r#""source": "resume""#));
}

/// What came of a turn in which a hook answers so.
fn answered(point: &str, command: &str, script: Vec<Reply>) -> (Bench, Run) {
    let bench = Bench::new(script);
    let ask = if point == "PermissionRequest" { "ask = [\"bash\"]\n" } else { "" };
    bench.user_settings(&format!("{ask}{}", hook(point, "", command)));
    let run = bench.run(&["go"]);
    (bench, run)
}

/// The two ways of being against something.
const AGAINST: [&str; 2] =
    ["echo 'not here' >&2; exit 2", r#"echo '{"decision": "block", "reason": "not here"}'"#];

#[test]
fn a_call_that_a_hook_is_against_does_not_run() {
    let deny = r#"echo '{"hookSpecificOutput": {"permissionDecision": "deny", "permissionDecisionReason": "not here"}}'"#;
    let refuse =
        r#"echo '{"hookSpecificOutput": {"decision": {"behavior": "deny", "message": "not here"}}}'"#;
    for point in ["PreToolUse", "PermissionRequest"] {
        for command in AGAINST.into_iter().chain([deny, refuse]) {
            let (bench, run) = answered(point, command, vec![bash("touch made"), Reply::text("then not")]);
            assert_eq!(run.code, 7, "{}", run.shown());
            assert!(run.stderr.contains(": not here)"), "{}", run.stderr);
            assert!(results(&bench)[0].starts_with("not permitted (hook `echo "), "{:?}", results(&bench));
            assert!(!bench.path("made").exists());
        }
    }
}

#[test]
fn a_prompt_that_a_hook_is_against_reaches_no_model() {
    for command in AGAINST {
        let (bench, run) = answered("UserPromptSubmit", command, vec![Reply::text("hello")]);
        assert_eq!((run.code, run.stdout.as_str()), (7, ""), "{}", run.shown());
        assert!(
            run.stderr.contains("held back: hook `echo ") && run.stderr.contains(": not here"),
            "{}",
            run.stderr
        );
        assert_eq!(bench.server.requests().len(), 0);
        assert_eq!(outcome(&bench)["kind"], "blocked");
        bench.user_settings("");
        let run = bench.run(&["--last", "good morning"]);
        assert_eq!(run.code, 0, "{}", run.shown());
        let body = body(&bench, 0);
        assert!(body.contains("good morning") && !body.contains(r#""content":"go""#), "{body}");
    }
}

#[test]
fn what_a_hook_says_of_a_result_is_added_to_it() {
    for command in AGAINST {
        let (bench, run) = answered("PostToolUse", command, vec![bash("echo ran"), Reply::text("done")]);
        assert_eq!(run.code, 0, "{}", run.shown());
        let result = &results(&bench)[0];
        assert!(
            result.starts_with("ran\n<hook point=\"PostToolUse\">\nhook `echo ")
                && result.contains(": not here\n</hook>"),
            "{result}"
        );
        assert!(body(&bench, 1).contains(": not here"));
    }
    let context = r#"echo '{"hookSpecificOutput": {"additionalContext": "it has a test"}}'"#;
    let (bench, _) = answered("PostToolUse", context, vec![bash("echo ran"), Reply::text("done")]);
    assert!(results(&bench)[0].ends_with("\nit has a test\n</hook>"), "{:?}", results(&bench));
}

#[test]
fn an_end_that_a_hook_is_against_is_put_off_but_not_for_ever() {
    for command in AGAINST {
        let script = (0..5).map(|n| Reply::text(format!("done {n}"))).collect();
        let (bench, run) = answered("Stop", &format!("cat > told; {command}"), script);
        assert_eq!(run.code, 0, "{}", run.shown());
        assert_eq!(bench.server.requests().len(), 4, "three times, and then it ends");
        assert_eq!(run.stdout, "done 0\ndone 1\ndone 2\ndone 3\n");
        assert!(told(&bench, "told").contains(r#""stop_hook_active": true"#));
        assert!(run.stderr.contains("the turn goes on for hook `cat > told"), "{}", run.stderr);
        assert!(
            run.stderr.contains("the turn ends, although a hook is against it for the 4th time"),
            "{}",
            run.stderr
        );
        assert!(
            body(&bench, 1).contains("The turn is not over before that is settled."),
            "{}",
            body(&bench, 1)
        );
        bench.assert_prefix_stable();
    }
    // The way out of it that hooks have.
    let once = r#"grep -q '"stop_hook_active":true' && exit 0; echo first >&2; exit 2"#;
    let (bench, run) = answered("Stop", once, vec![Reply::text("one"), Reply::text("two")]);
    assert_eq!((run.code, bench.server.requests().len()), (0, 2), "{}", run.shown());
}

#[test]
fn what_cannot_be_held_back_is_said() {
    for point in ["SessionStart", "SessionEnd"] {
        for command in AGAINST {
            let (_, run) = answered(point, command, vec![Reply::text("done")]);
            assert_eq!((run.code, run.stdout.as_str()), (0, "done\n"), "{}", run.shown());
            let line = format!("of {point} (user ");
            assert!(
                run.stderr.contains(&line) && run.stderr.contains("which it cannot hold back: not here"),
                "{}",
                run.stderr
            );
        }
    }
}

#[test]
fn a_turn_can_be_ended_at_any_point() {
    let enough = r#"echo '{"continue": false, "stopReason": "enough for today"}'"#;
    for point in
        ["SessionStart", "UserPromptSubmit", "PreToolUse", "PermissionRequest", "PostToolUse", "Stop"]
    {
        let (bench, run) = answered(point, enough, vec![bash("echo ran"), Reply::text("done")]);
        assert_eq!(run.code, 7, "{point}: {}", run.shown());
        assert!(run.stderr.contains("ends the turn: enough for today"), "{point}: {}", run.stderr);
        assert_eq!(outcome(&bench)["kind"], "blocked", "{point}");
    }
}

#[test]
fn what_hooks_want_the_model_to_know_stands_before_the_prompt() {
    let bench = Bench::new([Reply::text("done")]);
    let json =
        r#"echo '{"hookSpecificOutput": {"additionalContext": "mind the gap"}, "systemMessage": "told it"}'"#;
    bench.user_settings(&format!(
        "{}{}",
        hook("SessionStart", "", "echo plain"),
        hook("UserPromptSubmit", "", json)
    ));
    let run = bench.run(&["the prompt itself"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let request = bench.server.requests()[0].json();
    let messages: Vec<String> =
        request["messages"].as_array().unwrap().iter().map(crate::bench::message).collect();
    insta::assert_snapshot!(messages[2..].join("\n"), @r#"
    user: <hook point="SessionStart" command="echo plain">⏎plain⏎</hook>⏎<hook point="UserPromptSubmit" command="echo '{'hookSpeci
    user: the prompt itself
    "#);
    assert!(run.stderr.contains("): told it\n"), "{}", run.stderr);
}

#[test]
fn a_summary_is_asked_for_with_what_hooks_add() {
    let read = |n: usize| {
        Reply::text(format!("read {n}")).and_call("read", json!({ "path": format!("f{n}") })).no_usage()
    };
    let bench = Bench::new((0..40).map(read).chain([Reply::text("done").no_usage()]));
    let add = r#"cat > told; echo '{"hookSpecificOutput": {"additionalContext": "keep the numbers"}}'"#;
    let window = "[models.\"openai/scripted\"]\nwindow = 12000\n";
    bench.user_settings(&format!("{}{window}", hook("PreCompact", "", add)));
    for n in 0..40 {
        bench.file(&format!("f{n}"), &"filler filler filler\n".repeat(300));
    }
    let run = bench.run(&["read all"]);
    let asked = bench.server.requests().into_iter().filter(|request| {
        let body = String::from_utf8_lossy(&request.body);
        body.contains("Make no calls") && body.contains("keep the numbers\\n</hook>")
    });
    assert!(asked.count() > 0, "{}\n{}", run.shown(), bench.events());
    insta::assert_snapshot!(told(&bench, "told"), @r#"
    {
      "session_id": "[uuid]",
      "turn_id": 2,
      "transcript_path": "[temp]/home/.local/share/codetether/sessions/[uuid]/journal.jsonl",
      "cwd": "[temp]/project",
      "permission_mode": "auto-edit",
      "hook_event_name": "PreCompact",
      "trigger": "auto",
      "custom_instructions": ""
    }
    "#);
}

#[test]
fn a_hook_whose_time_is_up_or_that_fails_is_said_and_the_work_goes_on() {
    let bench = Bench::new([bash("touch made"), Reply::text("done")]);
    let slow = format!("{}timeout = 1\n", hook("PreToolUse", "", "sleep 600"));
    bench.user_settings(&format!("{slow}{}", hook("PreToolUse", "", "echo oh >&2; exit 1")));
    let run = bench.run(&["go"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(bench.path("made").exists());
    insta::assert_snapshot!(run.stderr_after_first_run(), @"
    hook `sleep 600` of PreToolUse (user [temp]/home/.config/codetether/config.toml:1): it was ended after [duration], its limit of time; the work goes on
    hook `echo oh >&2; exit 1` of PreToolUse (user [temp]/home/.config/codetether/config.toml:4): it ended with exit code 1: oh; the work goes on
    ");
}

#[test]
fn no_hook_widens_what_is_denied_or_gives_a_project_power() {
    let allow = |point: &str| {
        let both = r#"echo '{"decision": "approve", "hookSpecificOutput": {"permissionDecision": "allow", "decision": {"behavior": "allow"}}}'"#;
        hook(point, "", both)
    };
    let both = format!("{}{}", allow("PreToolUse"), allow("PermissionRequest"));
    // A rule that denies.
    let bench = Bench::new([bash("touch made"), Reply::text("done")]);
    bench.user_settings(&format!("deny = [\"bash(touch *)\"]\n{both}"));
    assert_eq!(bench.run(&["go"]).code, 7);
    assert_eq!(verdicts(&bench), [r#""deny": "rule `bash(touch *)`""#]);
    // A mode that does.
    let bench =
        Bench::new([Reply::call("write", json!({ "path": "made", "content": "x" })), Reply::text("done")]);
    bench.user_settings(&both);
    assert_eq!(bench.run(&["go", "--mode", "plan"]).code, 7);
    assert!(!bench.path("made").exists());
    // `PreToolUse` gives no yes, and a project's hook none at all.
    for (user, project) in [(allow("PreToolUse"), String::new()), (String::new(), both.clone())] {
        let bench = Bench::new([bash("touch made"), Reply::text("done")]);
        bench.user_settings(&format!("ask = [\"bash(touch *)\"]\n{user}"));
        trusted(&bench, &format!("max_steps = 9\n{project}"));
        let run = bench.run(&["go"]);
        assert_eq!(run.code, 7, "{}", run.shown());
        assert!(!bench.path("made").exists());
        assert_eq!(run.stderr.contains("which a project's hook cannot"), user.is_empty(), "{}", run.stderr);
    }
    // Nor does it let anything out of the sandbox.
    let outside = Reply::call("bash", json!({ "command": "touch ../made", "outside": true }));
    let bench = Bench::new([outside, Reply::text("done")]);
    bench.user_settings(&allow("PermissionRequest"));
    let run = bench.run(&["go"]);
    assert_eq!(run.code, 7, "{}", run.shown());
    assert!(!bench.path("../made").exists());
    assert!(run.stderr.contains("outside the sandbox takes a person's yes"), "{}", run.stderr);
    // One that is changed does not run as it was.
    let change = r#"echo '{"hookSpecificOutput": {"permissionDecision": "allow", "updatedInput": {"command": "ls"}}}'"#;
    let (bench, run) = answered("PreToolUse", change, vec![bash("touch made"), Reply::text("done")]);
    assert_eq!(run.code, 7, "{}", run.shown());
    assert!(!bench.path("made").exists() && results(&bench)[0].contains("`updatedInput`"));
}

#[test]
fn a_matcher_chooses_calls_and_a_hook_can_have_someone_asked() {
    let bench = Bench::new([bash("git status"), bash("git push"), Reply::text("done")]);
    let ask = r#"echo x >> asked; echo '{"hookSpecificOutput": {"permissionDecision": "ask", "permissionDecisionReason": "look first"}}'"#;
    let other = hook("PreToolUse", "write|read", "echo no >&2; exit 2");
    bench.user_settings(&format!("{other}{}", hook("PreToolUse", "Write|Bash(git push *)", ask)));
    let run = bench.run(&["go"]);
    assert_eq!(run.code, 7, "{}", run.shown());
    insta::assert_snapshot!(verdicts(&bench).join("\n"), @r#"
    "allow": "sandbox"
    "ask": "hook `echo x >> asked; echo '{\"hookSpecificOutput\": {\"permissionDe…`: look first"
    "deny": "nobody is here to allow it: hook `echo x >> asked; echo '{\"hookSpecificOutput\": {\"permissionDe…`: look first; no rule could"
    "#);
    assert_eq!(bench.read("asked"), "x\n", "once a call");
}

#[test]
fn a_projects_hooks_run_once_it_is_trusted_and_the_list_says_so() {
    let bench = Bench::new([Reply::text("one"), Reply::text("two")]);
    let settings = hook("Stop", "", "echo project >> ran");
    codetether_files::create_dir_all(bench.path(".codetether")).unwrap();
    bench.file(".codetether/config.toml", &settings);
    bench.user_settings(&format!(
        "{}timeout = \"2m\"\n",
        hook("PreToolUse", "bash|edit(src/**)", "./guard.sh")
    ));
    let run = bench.run(&["go"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(!bench.path("ran").exists());
    assert!(run.stderr.contains("`.codetether` is not trusted: left out `hooks`"), "{}", run.stderr);
    insta::assert_snapshot!(bench.bare(&["hooks", "list"]).shown(), @"
    exit: 0
    --- stdout
    PreToolUse for bash|edit(src/**): ./guard.sh    (user [temp]/home/.config/codetether/config.toml:1, 2m)
    Stop: echo project >> ran    (project [temp]/project/.codetether/config.toml:1, 1m, not in force: the folder is not trusted)
    --- stderr
    note: `.codetether` is not trusted: left out `hooks`; `codetether trust` shows it, `codetether trust add` trusts it
    ");
    insta::assert_snapshot!(bench.bare(&["trust"]).shown(), @r#"
    exit: 0
    --- stdout
    the files of `[temp]/project` are not trusted; `codetether trust add` trusts them
      .codetether/config.toml (file, 51 bytes)
    the settings among them set
      hooks.Stop: { command = "echo project >> ran" }
    --- stderr
    "#);
    assert_eq!(bench.bare(&["trust", "add"]).code, 0);
    assert_eq!(bench.run(&["go"]).code, 0);
    assert_eq!(bench.read("ran"), "project\n");
    let list = bench.bare(&["hooks", "list", "--json"]).stdout;
    insta::assert_snapshot!(redact(&list), @r#"
    {"point":"PreToolUse","matcher":"bash|edit(src/**)","command":"./guard.sh","timeout":120,"from":"user [temp]/home/.config/codetether/config.toml:1","file":"[temp]/home/.config/codetether/config.toml","line":1,"in_force":true,"why_not":null}
    {"point":"Stop","matcher":null,"command":"echo project >> ran","timeout":60,"from":"project [temp]/project/.codetether/config.toml:1","file":"[temp]/project/.codetether/config.toml","line":1,"in_force":true,"why_not":null}
    "#);
    let none = Bench::new([]).bare(&["hooks", "list"]);
    assert_eq!((none.code, none.stdout.as_str()), (0, "no hooks\n"));
}

#[test]
fn hooks_of_all_layers_run_in_their_order_and_settings_show_them() {
    let bench = Bench::new([Reply::text("done")]);
    let say = |who: &str| hook("Stop", "", &format!("echo {who} >> ran"));
    codetether_files::write_atomic(bench.home.system_config(), say("machine").as_bytes(), &<_>::default())
        .unwrap();
    bench.user_settings(&format!("{}{}", say("user"), say("user again")));
    trusted(&bench, &say("project"));
    assert_eq!(bench.run(&["go"]).code, 0);
    assert_eq!(bench.read("ran"), "machine\nuser\nuser again\nproject\n");
    let shown = bench.bare(&["config", "show", "--origin"]).stdout;
    let hooks: Vec<&str> = shown.lines().skip_while(|line| !line.starts_with("hooks")).take(6).collect();
    insta::assert_snapshot!(redact(&hooks.join("\n")), @r#"
    hooks.Stop = [
        { command = "echo machine >> ran" },  # system [temp]/etc/codetether/config.toml:1
        { command = "echo user >> ran" },  # user [temp]/home/.config/codetether/config.toml:1
        { command = "echo user again >> ran" },  # user [temp]/home/.config/codetether/config.toml:3
        { command = "echo project >> ran" },  # project [temp]/project/.codetether/config.toml:1
    ]
    "#);
}

#[test]
fn an_interrupt_ends_a_hook_and_all_that_it_started() {
    let bench = Bench::new([Reply::text("done")]);
    bench.user_settings(&hook("UserPromptSubmit", "", "echo $$ > pid; (sleep 1000 & echo $! > child; wait)"));
    for sandbox in [&["go"][..], &["go", "--no-sandbox"]] {
        let child = bench.spawn(sandbox);
        wait_for(&bench, "item.begun");
        let limit = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while !bench.path("child").exists() || bench.read("child").is_empty() {
            assert!(std::time::Instant::now() < limit, "the hook does not start");
            std::thread::yield_now();
        }
        signal(&child, rustix::process::Signal::INT);
        let run = Run::from(child.wait_with_output().unwrap());
        assert_eq!(run.code, 130, "{}", run.shown());
        assert_eq!(outcome(&bench)["kind"], "interrupted");
        if sandbox.len() > 1 {
            let pid = bench.read("child");
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
            assert!(stat.is_empty() || stat.contains(") Z "), "it lives: {stat}");
        }
        codetether_files::remove_file(bench.path("child")).unwrap();
    }
    // What no hook has passed reaches no model later.
    bench.user_settings("");
    assert_eq!(bench.run(&["--last", "hello"]).code, 0);
    assert!(!body(&bench, 0).contains(r#""content":"go""#), "{}", body(&bench, 0));
}

#[test]
fn a_hook_runs_in_the_sandbox_and_is_recorded() {
    let command = "cat ~/secret; echo x > ../outside; echo x > made; env > environment; \
                   (exec 3<>/dev/tcp/127.0.0.1/$PORT) && echo reached > reached; exit 0";
    let bench = Bench::new([Reply::text("done"), Reply::text("done")]);
    let port = bench.server.base_url().split(':').nth(2).unwrap().split('/').next().unwrap().to_owned();
    let secret = bench.home.path().join("secret");
    codetether_files::write_atomic(&secret, b"hidden", &<_>::default()).unwrap();
    bench.user_settings(&hook("UserPromptSubmit", "", &command.replace("$PORT", &port)));
    let run = bench.run(&["go"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(!bench.path("../outside").exists() && !bench.path("reached").exists());
    assert_eq!(bench.read("made"), "x\n");
    assert!(!body(&bench, 0).contains("hidden"));
    let environment = bench.read("environment");
    assert!(
        environment.contains("CLAUDE_PROJECT_DIR=") && !environment.contains("OPENAI_API_KEY"),
        "{environment}"
    );
    let audit = bench.bare(&["audit", "show", "--json"]).stdout;
    let entry: Value = serde_json::from_str(audit.lines().last().unwrap()).unwrap();
    assert_eq!((&entry["exit"], &entry["tier"]), (&json!(0), &json!("namespaces")), "{audit}");
    assert!(entry["call"].as_str().unwrap().ends_with(" UserPromptSubmit"), "{audit}");
    // In a mode that only reads, it only reads.
    codetether_files::remove_file(bench.path("made")).unwrap();
    assert_eq!(bench.run(&["go", "--mode", "plan"]).code, 0);
    assert!(!bench.path("made").exists());
}

#[test]
fn a_hook_that_was_cut_short_by_a_kill_runs_again() {
    for tier in ["auto", "none"] {
        let bench = Bench::new([Reply::text("done")]);
        let command = "echo $$ >> pids; test -e again || sleep 1000; echo passed";
        let settings = hook("UserPromptSubmit", "", command);
        bench.user_settings(&format!("{settings}[sandbox]\ntier = \"{tier}\"\n"));
        let mut child = bench.spawn(&["go"]);
        let limit = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while !bench.path("pids").exists() || bench.read("pids").is_empty() {
            assert!(std::time::Instant::now() < limit, "the hook does not start");
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        bench.file("again", "");
        let run = bench.run_as_it_was(&["--last"]);
        assert_eq!((run.code, run.stdout.as_str()), (0, "done\n"), "{}", run.shown());
        assert_eq!(bench.read("pids").lines().count(), 2);
        if tier == "none" {
            let first = bench.read("pids").lines().next().unwrap().to_owned();
            let stat = std::fs::read_to_string(format!("/proc/{first}/stat")).unwrap_or_default();
            assert!(stat.is_empty() || stat.contains(") Z "), "it lives: {stat}");
        }
        assert!(body(&bench, 0).contains("passed"), "{}", body(&bench, 0));
    }
}

/// The examples of the page: name and settings.
fn examples() -> Vec<(String, String)> {
    let page = include_str!("../../../../docs/hooks.md");
    let blocks = page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks
        .map(|block| {
            let name = block.lines().next().unwrap().strip_prefix("# example: ").unwrap();
            (name.to_owned(), block.to_owned())
        })
        .collect()
}

#[test]
fn the_examples_of_the_page_do_what_it_says() {
    let write = |path: &str, content: &str| Reply::call("write", json!({ "path": path, "content": content }));
    let mut names = Vec::new();
    for (name, settings) in examples() {
        let run = |script: Vec<Reply>, prompt: &str, more: &str| {
            let bench = Bench::new(script);
            bench.file(".unattended", "");
            bench.user_settings(&format!("{more}{settings}"));
            let run = bench.run(&[prompt]);
            (bench, run)
        };
        let done = || Reply::text("done");
        match name.as_str() {
            "no pushing" => {
                let (bench, run) =
                    run(vec![bash("git add . && git push"), bash("git status"), done()], "go", "");
                assert_eq!(run.code, 7, "{}", run.shown());
                assert!(results(&bench)[0].contains("pushing is done by hand here"), "{:?}", results(&bench));
                assert!(results(&bench)[1].contains("On branch main"), "{:?}", results(&bench));
            }
            "ask about migrations" => {
                let (bench, run) =
                    run(vec![write("migrations/1.sql", "x"), write("a.sql", "x"), done()], "go", "");
                assert_eq!(run.code, 7, "{}", run.shown());
                assert!(
                    results(&bench)[0].contains("nobody is here to allow it: hook `"),
                    "{:?}",
                    results(&bench)
                );
                assert!(results(&bench)[0].contains("migrations are looked at first"));
                assert!(bench.path("a.sql").exists() && !bench.path("migrations").exists());
            }
            "allow unattended" => {
                let (bench, run) = run(vec![bash("touch made"), done()], "go", "ask = [\"bash\"]\n");
                assert_eq!(run.code, 0, "{}", run.shown());
                assert!(bench.path("made").exists());
            }
            "check what was written" => {
                let (bench, run) =
                    run(vec![write("a.sh", "echo (\n"), write("b.sh", "echo\n"), done()], "go", "");
                assert_eq!(run.code, 0, "{}", run.shown());
                assert!(results(&bench)[0].contains("syntax error"), "{:?}", results(&bench));
                assert!(!results(&bench)[1].contains("hook"), "{:?}", results(&bench));
            }
            "no private keys" => {
                let (bench, run) = run(vec![done()], "what is -----BEGIN RSA PRIVATE KEY-----", "");
                assert_eq!((run.code, bench.server.requests().len()), (7, 0), "{}", run.shown());
            }
            "begin with the log" => {
                let (bench, run) = run(vec![done()], "go", "");
                assert_eq!(run.code, 0, "{}", run.shown());
                assert!(body(&bench, 0).contains(" Start\\n</hook>"), "{}", body(&bench, 0));
            }
            "check before the end" => {
                let (bench, run) = run(
                    vec![write("check.sh", "exit 1"), done(), write("check.sh", "exit 0"), done()],
                    "go",
                    "",
                );
                // It knows the file by what it wrote.
                assert_eq!(run.code, 0, "{}", run.shown());
                assert!(body(&bench, 2).contains("check.sh must pass"), "{}", body(&bench, 2));
            }
            "keep numbers" => {
                let (bench, _) = run(vec![done()], "go", "");
                let list = bench.bare(&["hooks", "list"]);
                assert!(list.stdout.starts_with("PreCompact: "), "{}", list.shown());
            }
            "write a diary" => {
                let (bench, run) = run(vec![done()], "go", "");
                assert_eq!(run.code, 0, "{}", run.shown());
                let line: Value = serde_json::from_str(bench.read("diary.jsonl").trim()).unwrap();
                assert_eq!(line["hook_event_name"], "SessionEnd");
            }
            "children report" => {
                let (bench, _) = run(vec![done()], "go", "");
                let list = bench.bare(&["hooks", "list"]);
                assert!(list.stdout.starts_with("ChildStop: "), "{}", list.shown());
            }
            other => panic!("the example `{other}` is not tried"),
        }
        names.push(name);
    }
    assert_eq!(names.len(), 10, "{names:?}");
}
