//! `codetether run --output-schema`: the last answer fits the schema, or the run fails and says why.

use codetether_testkit::Reply;
use serde_json::{Value, json};

use crate::bench::Bench;

const SCHEMA: &str = r#"{"title": "Report", "type": "object", "properties": {"files": {"type": "integer"}},
    "required": ["files"], "additionalProperties": false}"#;

#[test]
fn the_answer_is_the_value_alone() {
    let bench = Bench::new([
        Reply::text("Let me count.").and_call("list", json!({})),
        Reply::call("final_answer", json!({"files": 1})),
    ]);
    bench.file("schema.json", SCHEMA);
    let run =
        bench.run(&["count the files", "--output-schema", "schema.json", "--output-last-message", "last"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "{\"files\":1}\n"), "{}", run.stderr);
    assert_eq!(bench.read("last"), r#"{"files":1}"#);
    let request: Value = serde_json::from_slice(&bench.server.requests()[0].body).unwrap();
    let tools = request["tools"].as_array().unwrap();
    assert_eq!(tools.last().unwrap()["function"]["name"], "final_answer");
    assert_eq!(request["tool_choice"], "required");
    bench.assert_prefix_stable();
    let shown = bench.bare(&["session", "show", "last"]).stdout;
    assert!(shown.contains("fits the schema (asked by tool, strict)"), "{shown}");
}

#[test]
fn without_tools_the_server_is_held_to_the_schema_and_json_output_has_the_value() {
    let bench = Bench::new([Reply::text("```\n{\"files\": \"2\"}\n```")]);
    let args = ["count", "--tools", "", "--output-schema-inline", SCHEMA, "--format", "json"];
    let run = bench.run(&args);
    let summary: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&summary["exit"], &summary["value"]), (&json!(0), &json!({"files": 2})));
    let request: Value = serde_json::from_slice(&bench.server.requests()[0].body).unwrap();
    assert_eq!(request["response_format"]["json_schema"]["name"], "Report");
    let ended = bench.event_values().into_iter().find(|event| event["type"] == "sample.ended").unwrap();
    let wanted =
        json!({"way": "native", "reading": {"kind": "fits", "rung": "coerced", "value": {"files": 2}}});
    assert_eq!(ended["structured"], wanted);
}

#[test]
fn an_answer_that_never_fits_fails_the_run_with_what_is_wrong() {
    let bench =
        Bench::new([Reply::text("{}"), Reply::text(r#"{"files": "two"}"#), Reply::text(r#"{"file": 2}"#)]);
    let args = ["count", "--tools", "", "--output-schema-inline", SCHEMA];
    insta::assert_snapshot!(bench.run(&args).shown(), @r"
    exit: 6
    --- stdout
    --- stderr
    note: this is the first run here. Commands run in a sandbox: they change this folder alone, and reach no network. `codetether undo` takes back what they change; `--mode ask` asks before each.
    the answer cannot be used: it does not fit the schema: `files` is missing
    the answer cannot be used (try 2): it does not fit the schema: `/files`: must be of type integer, not a string
    the answer cannot be used (try 3): it does not fit the schema: there is no `file`; did you mean `files`?; `files` is missing
    codetether::misfit

      × the answer cannot be used: it does not fit the schema: there is no `file`; did you mean `files`?; `files` is missing
      help: see what the model wrote with `codetether session show [uuid]`; try a larger model or a simpler schema
    ");
    let request: Value = serde_json::from_slice(&bench.server.requests()[1].body).unwrap();
    let told =
        request["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap().to_owned();
    insta::assert_snapshot!(told, @"This cannot be used as the answer: it does not fit the schema: `files` is missing. Give the whole answer again, mended, and nothing besides it.");
}

#[test]
fn a_server_that_refuses_one_way_is_asked_in_another() {
    let refused = || {
        Reply::status(400).body(r#"{"error":{"message":"response_format is not supported by this model"}}"#)
    };
    let bench = Bench::new([
        refused(),
        Reply::status(400).body(r#"{"error":{"message":"this model calls no tools"}}"#),
        refused(),
        Reply::text(r#"{"files": 2}"#),
        Reply::text(r#"{"files": 3}"#),
    ]);
    let args = ["count", "--tools", "", "--output-schema-inline", SCHEMA];
    let run = bench.run(&args);
    assert_eq!((run.code, run.stdout.as_str()), (0, "{\"files\":2}\n"), "{}", run.stderr);
    let forms: Vec<Value> = bench
        .server
        .requests()
        .iter()
        .map(|request| serde_json::from_slice::<Value>(&request.body).unwrap())
        .map(|body| json!([body["response_format"]["type"], body["tool_choice"]["type"]]))
        .collect();
    let wanted = [
        json!(["json_schema", null]),
        json!([null, "function"]),
        json!(["json_object", null]),
        json!([null, null]),
    ];
    assert_eq!(forms, wanted);
    let again = bench.run(&["--last", "again", "--tools", "", "--output-schema-inline", SCHEMA]);
    assert_eq!(again.stdout, "{\"files\":3}\n");
    let last: Value = serde_json::from_slice(&bench.server.requests()[4].body).unwrap();
    assert_eq!(last.get("response_format"), None, "the session has learned the way");
}

#[test]
fn a_server_that_passes_over_the_schema_in_silence_is_asked_in_another_way() {
    let bench = Bench::new([Reply::text("About two."), Reply::call("final_answer", json!({"files": 2}))]);
    let run = bench.run(&["count", "--tools", "", "--output-schema-inline", SCHEMA]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "{\"files\":2}\n"), "{}", run.stderr);
    let requests = bench.server.requests();
    let keys = ["response_format", "tool_choice"];
    let ways = requests.iter().map(|request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        keys.map(|key| body.get(key).is_some())
    });
    assert_eq!(ways.collect::<Vec<_>>(), [[true, false], [false, true]]);
}

#[test]
fn a_schema_that_cannot_be_used_is_refused_before_anything_is_asked() {
    let bench = Bench::new([]);
    bench.file("bad.json", r#"{"type": "objekt"}"#);
    let mut problems = Vec::new();
    for args in [
        ["--output-schema", "bad.json"],
        ["--output-schema", "none.json"],
        ["--output-schema-inline", "{"],
        ["--output-schema-inline", "[]"],
        ["--output-schema-inline", r#"{"$ref": "http://127.0.0.1:1/s.json"}"#],
    ] {
        let run = bench.run(&["count", args[0], args[1]]);
        assert_eq!(run.code, 2, "{args:?}: {}", run.stderr);
        problems.push(run.stderr.lines().filter(|line| line.contains('×')).collect::<String>());
    }
    insta::assert_snapshot!(problems.join("\n"), @r#"
    × `bad.json` holds no schema to use: not a valid JSON Schema: "objekt" is not valid under any of the schemas listed in the 'anyOf' keyword
    × cannot read the schema `none.json`: cannot open `none.json`: No such file or directory
    × `--output-schema-inline` holds no schema to use: EOF while parsing an object at line 1 column 1
    × `--output-schema-inline` holds no schema to use: it is no object
    × `--output-schema-inline` holds no schema to use: not a valid JSON Schema: it refers to `http://127.0.0.1:1/s.json`, which is outside of it and is not fetched
    "#);
    assert!(bench.server.requests().is_empty());
}

#[test]
fn arguments_of_a_call_are_helped_as_answers_are_and_the_journal_says_so() {
    let bench = Bench::new([
        Reply::call("read", r#"{"path": "a.txt", "limit": "1",}"#),
        Reply::call("read", r#"{"path": "a.t"#),
        Reply::text("Done."),
    ]);
    bench.file("a.txt", "one\ntwo\n");
    let run = bench.run(&["read it"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let helped: Vec<Value> = bench
        .event_values()
        .into_iter()
        .filter(|event| event["type"] == "call.authorized")
        .map(|event| json!([event["verdict"]["kind"], event["helped"]]))
        .collect();
    assert_eq!(helped, [json!(["allow", "coerced"]), json!(["invalid_arguments", null])]);
}
