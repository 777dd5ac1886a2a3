//! Small models: what they are told and offered, and how their work is checked and tried again.

use codetether_testkit::{Reply, Request};
use serde_json::{Value, json};

use crate::bench::Bench;

/// The scripted server's model is a small one.
const SMALL: &str = "[models.\"openai/scripted\"]\nsmall = true\n";

fn tools(request: &Request) -> Vec<String> {
    let tools = request.json()["tools"].as_array().unwrap().clone();
    tools.iter().map(|tool| tool["function"]["name"].as_str().unwrap().to_owned()).collect()
}

fn messages(request: &Request) -> Vec<String> {
    let text = |message: &Value| message["content"].as_str().unwrap_or_default().to_owned();
    request.json()["messages"].as_array().unwrap().iter().map(text).collect()
}

/// A project whose test fails, since a line is wrong.
fn broken(script: impl IntoIterator<Item = Reply>) -> Bench {
    let bench = Bench::new(script);
    bench.user_settings(SMALL);
    bench.file(
        "total.py",
        "def total(xs):\n    result = 0\n    for x in xs:\n        result -= x\n    return result\n",
    );
    bench.file(
        "Makefile",
        "test:\n\t@grep -q 'result += x' total.py || { echo 'total.py: total([1, 2]) is not 3'; exit 1; }\n",
    );
    bench
}

fn edit(new: &str) -> Reply {
    Reply::call("edit", json!({ "path": "total.py", "old": "result -= x", "new": new }))
}

#[test]
fn a_small_model_is_told_little_and_offered_what_the_job_takes() {
    let bench = Bench::new([Reply::text("done"), Reply::text("done")]);
    bench.user_settings(SMALL);
    bench.file("AGENTS.md", &"Never touch the moon. ".repeat(200));
    bench.file("lib.py", "x = 1\n");
    bench.run(&["create fizz.py that prints FizzBuzz for 1 to 15"]);
    bench.run(&["where is x defined"]);
    let requests = bench.server.requests();
    assert_eq!(tools(&requests[0]), ["read", "write", "edit"]);
    assert_eq!(tools(&requests[1]), ["read", "list", "grep"]);
    let told = messages(&requests[0]);
    let system = requests[0].json()["messages"][0]["content"].as_str().unwrap().to_owned();
    assert!(system.starts_with("You are codetether") && system.len() < 1_200, "{} bytes", system.len());
    assert!(
        told[1].contains("files here: AGENTS.md, README.md, lib.py, main.py")
            && told[1].contains("[cut: there are more"),
        "{}",
        told[1]
    );
    assert!(told[1].len() < 1_800, "{}", told[1].len());
    assert_eq!(
        requests[0].json()["max_tokens"].as_u64().or(requests[0].json()["max_completion_tokens"].as_u64()),
        Some(1_536)
    );
}

#[test]
fn what_a_test_tells_wrong_is_shown_at_once_and_tried_until_it_passes() {
    let bench = broken([edit("result += 1"), edit("result += x")]);
    let run = bench.run(&["fix the failing test"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(
        run.stderr.contains("check: `make test`, since there is a target `test` in `Makefile`"),
        "{}",
        run.stderr
    );
    assert!(bench.read("total.py").contains("        result += x\n"));
    let requests = bench.server.requests();
    assert_eq!(requests.len(), 2, "one decision a try, and the check says whether it was right");
    let told = messages(&requests[0]).join("\n");
    assert!(
        told.contains("The same text again would fail again") && told.contains("total([1, 2]) is not 3"),
        "{told}"
    );
    assert!(told.contains("<file path=\"total.py\">\ndef total(xs):"), "{told}");
    assert_eq!((tools(&requests[0]), tools(&requests[1])), (vec!["write".into()], vec!["edit".into()]));
    let edit = &requests[1].json()["tools"][0]["function"]["parameters"]["properties"];
    assert_eq!(edit["path"]["enum"], json!(["main.py", "total.py"]));
    let lines = edit["old"]["enum"].as_array().unwrap();
    assert!(lines.contains(&json!("        result -= x")), "{lines:?}");
    assert_eq!(requests[0].json()["tool_choice"], "required", "words alone mend nothing");
    assert_eq!(requests[0].json()["temperature"], Value::Null);
    assert_eq!(requests[1].json()["temperature"], 0.8);
    assert_eq!(messages(&requests[1]), messages(&requests[0]), "the first try is taken back");
}

#[test]
fn what_may_not_be_read_is_in_no_list_to_choose_from() {
    let bench = broken((0..5).map(|n| edit(&format!("result += {n}"))));
    bench.user_settings(&format!("deny = [\"read(hidden.py)\"]\n{SMALL}"));
    bench.file("hidden.py", "PASSWORD = \"the moon is cheese\"\n");
    bench.run(&["fix the failing test"]);
    let requests = bench.server.requests();
    assert!(requests.len() == 5 && tools(&requests[1]) == ["edit"], "{:?}", tools(&requests[1]));
    for request in requests {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        assert!(!body.contains("the moon is cheese"), "{body}");
        assert!(!request.json()["tools"].to_string().contains("hidden.py"), "{body}");
    }
}

#[test]
fn what_a_folder_says_is_not_run_where_commands_are_asked_about() {
    for how in [["--mode", "ask"], ["-c", "sandbox.tier=\"none\""]] {
        let bench = Bench::new([Reply::text("done")]);
        bench.user_settings(SMALL);
        bench.file("Makefile", "test:\n\t@touch ran; exit 1\n");
        let run = bench.run(&["fix the failing test", how[0], how[1]]);
        assert_eq!(run.code, 0, "{}", run.shown());
        assert!(!run.stderr.contains("check:") && !bench.path("ran").exists(), "{}", run.stderr);
    }
}

#[test]
fn a_job_that_no_try_gets_right_leaves_the_files_as_they_were() {
    let bench = broken((0..5).map(|n| edit(&format!("result += {n}"))));
    let before = bench.read("total.py");
    let run = bench.run(&["fix the failing test"]);
    assert_eq!(run.code, 8, "{}", run.shown());
    assert_eq!(bench.server.requests().len(), 5);
    assert_eq!(bench.read("total.py"), before);
}

#[test]
fn the_usual_model_behind_a_small_one_is_told_all() {
    let bench =
        Bench::new([Reply::call("reed", json!({})), Reply::call("reed", json!({})), Reply::text("done")]);
    bench.user_settings(
        "model = \"openai/large\"\n[tiers]\nsmall = \"openai/little\"\n[models.\"openai/little\"]\nsmall = true\n",
    );
    let run = bench.run_as_it_was(&["rename `a` to `b` in src/lib.rs"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let requests = bench.server.requests();
    assert_eq!((tools(&requests[0]).len(), requests[2].json()["model"].as_str()), (3, Some("large")));
    assert!(tools(&requests[2]).len() > 8, "{:?}", tools(&requests[2]));
}

#[test]
fn without_a_model_on_this_machine_it_is_said_how_to_get_one() {
    let bench = Bench::new([]);
    let run = bench.run_as_it_was(&["go", "--local"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("no model is on this machine yet"), "{}", run.stderr);
    assert!(run.stderr.contains("codetether models pull qwen2.5-coder-1.5b-instruct"), "{}", run.stderr);
}
