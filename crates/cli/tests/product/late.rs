//! Tools that are found late: where their schemas take more room than there is, over every wire.

use codetether_testkit::Reply;
use serde_json::{Value, json};

use crate::bench::{Bench, Run};

/// Room for no more than the core.
const NARROW: [&str; 2] = ["-c", "context.tool_schemas=100"];

fn run(bench: &Bench, args: &[&str]) -> Run {
    bench.run(&[args, NARROW.as_slice()].concat())
}

fn edits() -> Value {
    json!({ "edits": [
        { "path": "a.txt", "old": "one", "new": "1" },
        { "path": "b.txt", "old": "two", "new": "2" },
    ] })
}

fn search() -> Reply {
    Reply::call("tool_search", json!({ "query": "several edits at once" }))
}

fn late(name: &str, arguments: &Value) -> Reply {
    Reply::call("call_tool", json!({ "name": name, "arguments": arguments }))
}

/// The names of the tools of a request, whatever the wire.
fn tools(request: &Value) -> Vec<String> {
    let list = match &request["tools"][0]["functionDeclarations"] {
        Value::Null => &request["tools"],
        list => list,
    };
    let name = |tool: &Value| tool["function"]["name"].as_str().or(tool["name"].as_str()).unwrap().to_owned();
    list.as_array().unwrap().iter().map(name).collect()
}

/// A request's messages, and all else of it.
fn parted(mut request: Value) -> (Vec<String>, Value) {
    let text = request.to_string().replace(r#","cache_control":{"type":"ephemeral"}"#, "");
    request = serde_json::from_str(&text).unwrap();
    let key = ["messages", "contents", "input"].into_iter().find(|key| request[*key].is_array()).unwrap();
    let messages = request[key].take();
    (messages.as_array().unwrap().iter().map(ToString::to_string).collect(), request)
}

#[test]
fn a_late_tool_is_found_and_used_over_every_wire_and_the_prefix_never_changes() {
    let wires = ["openai-chat", "openai-responses", "anthropic", "gemini"];
    for wire in wires {
        let bench =
            Bench::new([search(), late("multi_edit", &edits()), Reply::text("done"), Reply::text("gladly")]);
        bench.file("a.txt", "one\n");
        bench.file("b.txt", "two\n");
        let address = format!("providers.near.base_url=\"{}\"", bench.server.base_url());
        let wire_set = format!("providers.near.wire=\"{wire}\"");
        let run = |args: &[&str]| {
            let set = ["-m", "near/m", "-c", address.as_str(), "-c", wire_set.as_str()];
            bench.bare(&[&["run"], args, set.as_slice(), NARROW.as_slice()].concat())
        };
        let done = run(&["make them numbers"]);
        assert_eq!((done.code, done.stdout.as_str()), (0, "done\n"), "{wire}: {}", done.stderr);
        assert_eq!((bench.read("a.txt"), bench.read("b.txt")), ("1\n".into(), "2\n".into()), "{wire}");
        let done = run(&["thanks", "--last"]);
        assert_eq!((done.code, done.stdout.as_str()), (0, "gladly\n"), "{wire}: {}", done.stderr);

        let core = ["read", "write", "edit", "list", "glob", "grep", "bash", "recall"];
        let shown: Vec<&str> = core.into_iter().chain(["tool_search", "call_tool"]).collect();
        assert_eq!(tools(&bench.server.json(0)), shown, "{wire}");
        let requests: Vec<_> = (0..4).map(|at| parted(bench.server.json(at))).collect();
        for pair in requests.windows(2) {
            let [(before, all), (after, all_after)] = pair else { unreachable!() };
            assert_eq!(all, all_after, "{wire}");
            assert_eq!(before[..], after[..before.len()], "{wire}");
        }
        // What the model is told of its own call is what it wrote; what happened is recorded by its real name.
        let sent = requests[2].0.join("\n");
        assert!(sent.contains("call_tool") && sent.contains("multi_edit"), "{wire}: {sent}");
        let events = bench.event_values();
        let calls =
            events.iter().flat_map(|event| event["message"]["parts"].as_array().into_iter().flatten());
        let call = calls.filter(|part| part["name"] == "multi_edit").collect::<Vec<_>>();
        let arguments: Value = serde_json::from_str(call[0]["arguments"].as_str().unwrap()).unwrap();
        assert_eq!((call.len(), arguments), (1, edits()), "{wire}");
        let wrapped: Value = serde_json::from_str(call[0]["wrapped"].as_str().unwrap()).unwrap();
        assert_eq!(wrapped, json!({ "name": "multi_edit", "arguments": edits() }), "{wire}");
        // So it is judged, remembered and taken back like any other.
        let undone = bench.bare(&["undo", "--yes"]);
        assert_eq!(undone.code, 0, "{wire}: {}", undone.shown());
        assert_eq!(bench.read("a.txt"), "one\n", "{wire}");
    }
}

#[test]
fn where_all_tools_fit_nothing_is_late() {
    let bench = Bench::new([Reply::text("hi"), Reply::text("hi")]);
    let done = bench.run(&["-c", "context.tool_schemas=20000", "go"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let is_means = |name: &String| name == "tool_search" || name == "call_tool";
    assert!(!tools(&bench.server.json(0)).iter().any(is_means));
    // Without the setting they do not all fit, and what is shown does.
    assert_eq!(bench.run(&["go"]).code, 0);
    let request = bench.server.json(1);
    assert_eq!(tools(&request).iter().filter(|name| is_means(name)).count(), 2);
    let schemas = request["tools"].to_string().len();
    let first = bench.server.requests()[1].body.len();
    assert!(schemas < 6_144 && first < 9_000, "{schemas} bytes of tools, {first} of the first request");
}

#[test]
fn a_late_tool_is_refused_as_it_would_be_at_any_time() {
    let bench = Bench::new([late("multi_edit", &edits()), Reply::text("I may not.")]);
    bench.file("a.txt", "one\n");
    bench.file("b.txt", "two\n");
    let done = run(&bench, &["go", "--deny", "edit(b.txt)"]);
    assert!(done.stderr.contains("multi_edit"), "{}", done.shown());
    assert_eq!(bench.read("a.txt"), "one\n");
    let request = bench.server.json(1);
    let told =
        request["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap().to_owned();
    assert!(told.starts_with("error: not permitted (rule `edit(b.txt)`"), "{told}");
}

#[test]
fn a_call_that_names_no_tool_or_does_not_fit_hears_what_is_near_and_what_is_wrong() {
    let bench = Bench::new([
        late("multi_edt", &edits()),
        late("multi_edit", &json!({ "edits": [{ "path": "a.txt" }] })),
        Reply::call("call_tool", json!({ "arguments": {} })),
        late("call_tool", &json!({})),
        late("bash", &json!({ "command": "echo no" })),
        Reply::text("I give up."),
    ]);
    let done = run(&bench, &["go", "--tools", "read,edit,multi_edit,apply_patch"]);
    assert_eq!(done.code, 0, "{}", done.shown());
    let request = bench.server.json(5);
    let results = request["messages"].as_array().unwrap().iter().filter(|message| message["role"] == "tool");
    let results: Vec<&str> = results.map(|message| message["content"].as_str().unwrap()).collect();
    insta::assert_snapshot!(results.join("\n"), @"
    error: there is no tool `multi_edt`; near it is `multi_edit`, and `tool_search` finds what there is
    error: not run: the arguments of `multi_edit` do not fit: `/edits/0`: `old` is missing; `/edits/0`: `new` is missing
    error: not run: the arguments of `call_tool` do not fit: `name` is missing
    error: `call_tool` cannot be called in this way
    error: there is no tool `bash`; `tool_search` finds what there is
    ");
    assert_eq!(tools(&request), ["read", "edit", "tool_search", "call_tool"]);
}

#[test]
fn a_search_says_what_there_is() {
    let bench = Bench::new([
        Reply::calls([
            ("tool_search", json!({ "query": "unified diff" })),
            ("tool_search", json!({ "query": "weather" })),
        ]),
        Reply::text("ok"),
    ]);
    let done = run(&bench, &["go", "--mode", "plan"]);
    assert_eq!(done.code, 0, "{}", done.shown());
    let request = bench.server.json(1);
    let results = request["messages"].as_array().unwrap().iter().filter(|message| message["role"] == "tool");
    let results: Vec<&str> = results.map(|message| message["content"].as_str().unwrap()).collect();
    let found = results[0].lines().nth(1).unwrap();
    assert!(found.starts_with(r#"{"name":"apply_patch","description":"#), "{found}");
    assert!(found.contains(r#""arguments":{"type":"object""#), "{found}");
    assert_eq!(
        results[1].trim_end(),
        "no tool fits these words. Others there are: todo, question, process, delegate, multi_edit, apply_patch, web_fetch"
    );
}
