//! Agents: what is built in, what people define, and that an agent takes away and never adds.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use codetether_testkit::{Reply, redact};
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::terminal::at_terminal;

/// A file of the user's own, beside the settings.
pub(crate) fn own(bench: &Bench, name: &str, text: &str) {
    let path = bench.home.config().join("codetether").join(name);
    codetether_files::create_dir_all(path.parent().unwrap()).unwrap();
    codetether_files::write_atomic(path, text.as_bytes(), &<_>::default()).unwrap();
}

/// A file of the project, with its folders.
pub(crate) fn put(bench: &Bench, name: &str, text: &str) {
    codetether_files::create_dir_all(bench.path(name).parent().unwrap()).unwrap();
    bench.file(name, text);
}

/// The names of the tools that a request offers.
pub(crate) fn offered(bench: &Bench, request: usize) -> Vec<String> {
    let body = bench.server.json(request);
    let tools = body["tools"].as_array().cloned().unwrap_or_default();
    tools.iter().map(|tool| tool["function"]["name"].as_str().unwrap().to_owned()).collect()
}

/// The system prompt of a request.
pub(crate) fn system(bench: &Bench, request: usize) -> String {
    bench.server.json(request)["messages"][0]["content"].as_str().unwrap().to_owned()
}

/// The settings of the last turn.
fn turn(bench: &Bench) -> Value {
    let started = bench.event_values().into_iter().rfind(|event| event["type"] == "turn.started");
    started.unwrap()["settings"].clone()
}

/// Every file below a folder: its permissions and bytes, or where it leads.
fn all_bytes(folder: &Path, all: &mut BTreeMap<String, (u32, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let meta = path.symlink_metadata().unwrap();
        let bytes = match (meta.is_dir(), meta.is_symlink()) {
            (true, _) => Vec::new(),
            (_, true) => std::fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes(),
            _ => std::fs::read(&path).unwrap(),
        };
        all.insert(path.display().to_string(), (meta.permissions().mode(), bytes));
        if meta.is_dir() {
            all_bytes(&path, all);
        }
    }
}

/// Calls of every tool that there is, with arguments that would change something where the tool can.
fn attacks() -> Vec<(&'static str, Value)> {
    let bash = |command: &str| ("bash", json!({ "command": command }));
    vec![
        ("write", json!({ "path": "made.txt", "content": "x" })),
        ("write", json!({ "path": "README.md", "content": "x" })),
        ("edit", json!({ "path": "main.py", "old": "hello", "new": "owned" })),
        ("multi_edit", json!({ "edits": [{ "path": "main.py", "old": "hello", "new": "owned" }] })),
        ("apply_patch", json!({ "patch": "*** Begin Patch\n*** Delete File: README.md\n*** End Patch" })),
        bash("echo x > by-redirection"),
        bash("touch by-touch"),
        bash("rm -f README.md"),
        bash("python3 -c 'open(\"by-python\", \"w\")'"),
        bash("sed -i s/hello/owned/ main.py"),
        bash("git -c user.name=a -c user.email=b commit --allow-empty -qm x"),
        bash("cat README.md | tee by-tee"),
        bash("find . -name '*.py' -delete"),
        bash("chmod 700 main.py"),
        bash("ls; mkdir by-mkdir"),
        bash("cat README.md"),
        ("bash", json!({ "command": "touch by-touch-outside", "outside": true })),
        ("bash", json!({ "command": "touch in-background", "background": true })),
        ("bash", json!({ "command": "touch at-a-terminal", "pty": true })),
        ("process", json!({ "action": "list" })),
        ("process", json!({ "action": "write", "id": "1.0", "text": "touch by-typing\n" })),
        ("todo", json!({ "items": [{ "text": "write everything", "state": "pending" }] })),
        ("question", json!({ "question": "May I?", "options": [{ "label": "yes" }, { "label": "no" }] })),
        ("web_fetch", json!({ "url": "http://127.0.0.1:9/" })),
        ("tool_search", json!({ "query": "write" })),
        ("call_tool", json!({ "name": "write", "arguments": { "path": "late.txt", "content": "x" } })),
        (
            "call_tool",
            json!({ "name": "multi_edit", "arguments": { "edits": [{ "path": "main.py", "old": "hello", "new": "late" }] } }),
        ),
        ("read", json!({ "path": "README.md" })),
        ("list", json!({ "path": "." })),
        ("glob", json!({ "pattern": "*" })),
        ("grep", json!({ "pattern": "hello" })),
        ("recall", json!({ "id": "1" })),
        ("skill", json!({ "name": "a", "file": "../../../made" })),
        // Where there is a child, it takes the next answer.
        ("delegate", json!({ "prompt": "write everything", "writes": true })),
    ]
}

fn attacked(bare: bool) -> Bench {
    let calls: Vec<(&str, Value)> = attacks()
        .into_iter()
        // Without a sandbox there is no such argument.
        .filter(|(_, args)| !(bare && args.get("outside").is_some()))
        .collect();
    let answers = calls.into_iter().map(|(tool, args)| Reply::call(tool, args));
    let bench = Bench::new(
        answers.chain([Reply::text("the child is done"), Reply::text("done")]).collect::<Vec<_>>(),
    );
    own(&bench, "skills/a/SKILL.md", "---\ndescription: of no use\n---\nNothing.\n");
    bench
}

fn changed(bench: &Bench, args: &[&str]) -> Vec<String> {
    let look = || {
        let mut all = BTreeMap::new();
        all_bytes(&bench.path("."), &mut all);
        all
    };
    let before = look();
    let run = bench.run(args);
    assert!(run.stdout.contains("done"), "{}", run.shown());
    let after = look();
    let paths: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    paths.into_iter().filter(|path| before.get(*path) != after.get(*path)).cloned().collect()
}

const EVERYTHING: &str =
    "mode = \"bypass\"\nallow = [\"bash\", \"edit\", \"write\", \"multi_edit\", \"apply_patch\"]\n";

#[test]
fn plan_and_explore_cannot_change_a_byte_whatever_the_user_allows() {
    // As a control: with the usual agent the same calls do.
    let bench = attacked(false);
    bench.user_settings(EVERYTHING);
    let by_build = changed(&bench, &["go"]);
    for name in ["made.txt", "main.py", "by-redirection", "by-touch", "by-tee", "by-mkdir"] {
        assert!(by_build.iter().any(|path| path.ends_with(name)), "{name}: {by_build:?}");
    }
    let tried: Vec<&str> = attacks().into_iter().map(|(tool, _)| tool).collect();
    for tool in offered(&bench, 0) {
        assert!(tried.contains(&tool.as_str()), "`{tool}` needs a row in `attacks`");
    }
    let unconfined = format!("{EVERYTHING}[sandbox]\nbypass = \"unconfined\"\n");
    let settings: [(&str, &[&str], bool); 4] = [
        ("", &[], false),
        (EVERYTHING, &[], false),
        (EVERYTHING, &["--yes", "--no-sandbox"], true),
        (&unconfined, &[], false),
    ];
    for agent in ["plan", "explore"] {
        for (settings, flags, bare) in settings {
            let bench = attacked(bare);
            bench.user_settings(settings);
            let args: Vec<&str> = ["--agent", agent, "go"].iter().chain(flags).copied().collect();
            assert_eq!(changed(&bench, &args), [""; 0], "{agent} {settings} {flags:?}");
            assert_eq!(turn(&bench)["agent"], agent);
        }
    }
}

#[test]
fn the_agents_that_are_built_in_offer_what_they_need() {
    let bench = Bench::new([Reply::text("a"), Reply::text("b"), Reply::text("c")]);
    bench.run(&["go"]);
    bench.run(&["--agent", "plan", "go"]);
    bench.run(&["--agent", "explore", "go"]);
    assert!(offered(&bench, 0).contains(&"write".to_owned()));
    let reads = ["read", "list", "glob", "grep"];
    let of_plan = ["bash", "recall", "todo", "question", "web_fetch"];
    assert_eq!(offered(&bench, 1), [&reads[..], &of_plan].concat());
    assert_eq!(offered(&bench, 2), [&reads[..], &["recall", "web_fetch"]].concat());
    let usual = system(&bench, 0);
    for (request, name) in [(1, "plan"), (2, "explore")] {
        let added = system(&bench, request);
        let added = added.strip_prefix(&usual).unwrap_or_else(|| panic!("{added}"));
        assert!(added.starts_with(&format!("\nYou are the agent `{name}`.")), "{added}");
    }
    let listed = bench.bare(&["agents", "list"]);
    insta::assert_snapshot!(listed.shown(), @r#"
    exit: 0
    --- stdout
    build    The usual one. Does the job, with all tools that are offered.  (built in)
    explore  Reads only, with few tools, and answers with what it found.  (built in)
    plan     Reads only, and ends with a plan of what to change, and where.  (built in)
    --- stderr
    "#);
    let general = bench.bare(&["agents", "show", "general"]);
    assert!(general.code == 2 && general.stderr.contains("it is what a child is"), "{}", general.shown());
    insta::assert_snapshot!(bench.bare(&["agents", "show", "explore"]).shown(), @r#"
    exit: 0
    --- stdout
    explore: Reads only, with few tools, and answers with what it found.
    from: built in
    mode: plan
    tools: read, list, glob, grep, recall, web_fetch, skill

    You are the agent `explore`. You look things up and answer; you can change nothing and run nothing.
    - Search broadly first, then read what matters. Look in several places at once where you can.
    - Answer the question that was asked, with what you found: name the files and lines that show it, and say what you looked for and did not find.
    - Propose no changes unless you are asked for them.
    --- stderr
    "#);
}

const REVIEWER: &str = "---\ndescription: Reads a change\nmodel: openai/other\ntools:\n  - read\n  - grep\nmode: plan\n\
                        limits:\n  steps: 7\n  time: 5m\n  cost: 0.25\noutput_schema: verdict.json\n---\nBe strict.\n";

#[test]
fn an_agent_of_the_users_narrows_what_is_set() {
    let bench = Bench::new([Reply::text("{\"good\": true}"), Reply::text("{\"good\": true}")]);
    own(&bench, "agents/reviewer.md", REVIEWER);
    own(&bench, "agents/verdict.json", r#"{"type": "object", "properties": {"good": {"type": "boolean"}}}"#);
    bench.user_settings("model = \"openai/usual\"\ntools = [\"read\", \"write\"]\nmax_steps = 9\nmax_time = \"1m\"\n[limits]\nallow_unknown_price = true\n");
    let run = bench.run_as_it_was(&["--agent", "reviewer", "go"]);
    assert_eq!((run.code, run.stdout.trim()), (0, "{\"good\":true}"), "{}", run.shown());
    let set = turn(&bench);
    let told = json!({
        "agent": set["agent"], "model": set["model"], "mode": set["mode"], "tools": set["tools"],
        "steps": set["max_steps"], "ms": set["max_time_ms"], "cost": set["max_cost"],
        "format": set["format"]["schema"]["properties"],
    });
    let wanted = json!({
        "agent": "reviewer", "model": "openai/other", "mode": "plan", "tools": ["read"],
        "steps": 7, "ms": 60_000, "cost": 250_000,
        "format": { "good": { "type": "boolean" } },
    });
    assert_eq!(told, wanted);
    assert!(system(&bench, 0).contains("\nBe strict.\n"), "{}", system(&bench, 0));
    let show = bench.bare(&["session", "show", "last"]).stdout;
    assert!(show.contains("user (openai/other, mode plan, agent reviewer):"), "{show}");
    insta::assert_snapshot!(bench.bare(&["agents", "show", "reviewer"]).shown(), @r#"
    exit: 0
    --- stdout
    reviewer: Reads a change
    from: user [temp]/home/.config/codetether/agents/reviewer.md
    mode: plan
    model: openai/other
    tools: read, grep
    limits.steps: 7
    limits.time: 5m
    limits.cost: 0.25
    output_schema: [temp]/home/.config/codetether/agents/verdict.json

    Be strict.
    --- stderr
    "#);
    let object: Value =
        serde_json::from_str(&bench.bare(&["agents", "show", "reviewer", "--json"]).stdout).unwrap();
    assert_eq!((&object["limits.cost"], &object["prompt"]), (&json!(0.25), &json!("Be strict.")));
    // A flag outranks its model, and its bounds hold beside the user's.
    let run = bench.run(&["--agent", "reviewer", "--max-steps", "3", "go"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert_eq!((&turn(&bench)["model"], &turn(&bench)["max_steps"]), (&json!("openai/scripted"), &json!(3)));
}

#[test]
fn the_setting_and_the_variable_choose_an_agent_and_a_flag_outranks_them() {
    let bench = Bench::new([Reply::text("a"), Reply::text("b"), Reply::text("c")]);
    bench.user_settings("agent = \"plan\"\n");
    bench.run(&["go"]);
    assert_eq!(turn(&bench)["agent"], "plan");
    bench.run_env(&["go"], &[("CODETETHER_AGENT", "explore")]);
    assert_eq!(turn(&bench)["agent"], "explore");
    bench.run_env(&["--agent", "build", "go"], &[("CODETETHER_AGENT", "explore")]);
    assert_eq!(turn(&bench).get("agent"), None);
}

#[test]
fn at_a_terminal_the_first_line_names_the_agent() {
    let bench = Bench::new([Reply::text("done")]);
    let (_, screen) = at_terminal(&bench, &["--agent", "plan", "go"], &[]);
    assert!(screen.contains(" · openai/scripted · agent plan"), "{screen}");
}

#[test]
fn the_prefix_is_the_same_from_turn_to_turn() {
    let bench = Bench::new([
        Reply::call("read", json!({ "path": "README.md" })),
        Reply::text("done"),
        Reply::text("again"),
    ]);
    own(&bench, "skills/a/SKILL.md", "---\ndescription: of no use\n---\nNothing.\n");
    bench.run(&["--agent", "plan", "go"]);
    bench.run(&["--agent", "plan", "--last", "once more"]);
    assert!(system(&bench, 2).contains("- `a`: of no use\n"), "{}", system(&bench, 2));
    bench.assert_prefix_stable();
}

#[test]
fn what_an_agent_cannot_be_is_said() {
    let bench = Bench::new([]);
    own(&bench, "agents/wide.md", "---\nmode: bypass\n---\nDo it.\n");
    own(&bench, "agents/odd.md", "---\ntools: [read, wriet]\n---\nDo it.\n");
    own(
        &bench,
        "agents/wrong.md",
        "---\ndescription: x\ntool: [read]\nlimits:\n  step: 3\n  cost: much\noutput_schema: ../secret\n---\nDo it.\n",
    );
    let said = |args: &[&str]| redact(&bench.run(args).shown());
    insta::assert_snapshot!(said(&["--agent", "wide", "go"]), @r#"
    exit: 2
    --- stdout
    --- stderr
    codetether::usage

      × agent `wide` asks for mode `bypass`, which is wider than yours, `auto-edit`
      help: allow it yourself with `--mode bypass`, or take `mode` out of `[temp]/home/.config/codetether/agents/wide.md`
    "#);
    assert!(
        bench.run(&["--agent", "wide", "go", "--mode", "plan"]).stderr.contains("wider than yours, `plan`")
    );
    insta::assert_snapshot!(said(&["--agent", "odd", "go"]), @r#"
    exit: 2
    --- stdout
    --- stderr
    codetether::usage

      × agent `odd` names a tool `wriet`, which there is not
      help: there is `read`, `write`, `edit`, `list`, `glob`, `grep`, `bash`, `recall`, `todo`, `question`, `process`, `delegate`, `multi_edit`, `apply_patch`, `web_fetch`, `skill`
    "#);
    insta::assert_snapshot!(said(&["--agent", "plna", "go"]), @r#"
    exit: 2
    --- stdout
    --- stderr
    codetether::usage

      × there is no agent `plna`
      help: did you mean `plan`?
    "#);
    insta::assert_snapshot!(said(&["--agent", "wrong", "go"]), @r#"
    exit: 2
    --- stdout
    --- stderr
    codetether::definition

      × cannot read agent `wrong`: 4 problems

    Error: 
      × unknown key `tool`
       ╭─[[temp]/home/.config/codetether/agents/wrong.md:3:1]
     2 │ description: x
     3 │ tool: [read]
       · ──┬─
       ·   ╰── here
     4 │ limits:
       ╰────
      help: did you mean `tools`?

    Error: 
      × unknown key `limits.step`
       ╭─[[temp]/home/.config/codetether/agents/wrong.md:5:3]
     4 │ limits:
     5 │   step: 3
       ·   ──┬─
       ·     ╰── here
     6 │   cost: much
       ╰────
      help: did you mean `steps`?

    Error: 
      × `cost`: `much` is not an amount: it is not a number of dollars
       ╭─[[temp]/home/.config/codetether/agents/wrong.md:6:9]
     5 │   step: 3
     6 │   cost: much
       ·         ──┬─
       ·           ╰── here
     7 │ output_schema: ../secret
       ╰────
      help: write a number of dollars, such as `0.50`

    Error: 
      × `output_schema`: `../secret` is no path below its own folder
       ╭─[[temp]/home/.config/codetether/agents/wrong.md:7:16]
     6 │   cost: much
     7 │ output_schema: ../secret
       ·                ────┬────
       ·                    ╰── here
     8 │ ---
       ╰────
      help: name a file beside the agent's, or write the schema here: `{"type": "object", …}`
    "#);
    let listed = bench.bare(&["agents", "list"]);
    assert_eq!(listed.code, 1);
    assert!(listed.stdout.contains("wide") && listed.stderr.contains("agent `wrong`"), "{}", listed.shown());
    // Others are not in the way.
    assert!(bench.server.requests().is_empty());
}

#[test]
fn a_projects_agents_count_once_it_is_trusted() {
    let bench = Bench::new([Reply::text("done"), Reply::text("done")]);
    put(&bench, ".codetether/agents/ours.md", "Of the project.\n");
    put(&bench, ".codetether/agents/plan.md", "---\ntools: [read]\n---\nPlan as we do.\n");
    let refused = bench.run(&["--agent", "ours", "go"]);
    insta::assert_snapshot!(refused.shown(), @r#"
    exit: 2
    --- stdout
    --- stderr
    note: `.codetether` is not trusted: left out 2 files; `codetether trust` shows it, `codetether trust add` trusts it
    codetether::usage

      × there is no agent `ours`
      help: `.codetether/agents/ours.md` would be one, but is not trusted: `codetether trust` shows it
    "#);
    bench.run(&["--agent", "plan", "go"]);
    assert!(!system(&bench, 0).contains("Plan as we do."));
    assert_eq!(bench.bare(&["trust", "add"]).code, 0);
    put(&bench, "sub/x", "");
    assert_eq!(bench.run(&["--agent", "ours", "go"]).code, 0);
    assert!(system(&bench, 1).ends_with("\nOf the project.\n"));
    // Another folder of the repository has not been trusted.
    assert_eq!(bench.run(&["-C", "sub", "--agent", "ours", "go"]).code, 2);
}
