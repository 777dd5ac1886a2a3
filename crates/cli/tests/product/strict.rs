//! `strict_tools`: the server is told to hold the model to the tools' schemas, and nothing else is different.

use codetether_testkit::Reply;
use serde_json::{Value, json};

use crate::bench::Bench;

/// What each tool of a request says of strictness, and whether all of its properties are required.
fn tools(bench: &Bench, request: usize) -> Vec<(String, bool, bool)> {
    let body: Value = serde_json::from_slice(&bench.server.requests()[request].body).unwrap();
    let tools = body["tools"].as_array().unwrap().iter().map(|tool| {
        let function = &tool["function"];
        let schema = &function["parameters"];
        let required = schema["required"].as_array().map_or(0, Vec::len);
        let all = schema["properties"].as_object().is_some_and(|properties| properties.len() == required);
        (function["name"].as_str().unwrap().to_owned(), function["strict"] == json!(true), all)
    });
    tools.collect()
}

#[test]
fn every_built_in_tool_can_be_held_to_its_schema_and_its_nulls_mean_nothing() {
    let read = json!({ "path": "greet.py", "offset": null, "limit": null });
    let edit = json!({ "path": "greet.py", "old": "Helo", "new": "Hello", "all": null });
    let bench = Bench::new([
        Reply::call("read", read),
        Reply::call("edit", edit),
        Reply::text("I fixed the greeting."),
    ]);
    bench.user_settings("[providers.openai]\nstrict_tools = true\n");
    bench.file("greet.py", "print('Helo')\n");
    let run = bench.run(&["fix the typo", "--mode", "auto-edit"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "I fixed the greeting.\n"), "{}", run.stderr);
    assert_eq!(bench.read("greet.py"), "print('Hello')\n");
    bench.assert_prefix_stable();
    let offered = tools(&bench, 0);
    // What is called through `call_tool` has a schema of its own, which this one does not know.
    let held = offered.iter().filter(|(name, ..)| name != "call_tool");
    assert!(offered.len() > 5 && held.clone().all(|(_, strict, all)| *strict && *all), "{offered:?}");
    let ended = bench.event_values().into_iter().find(|event| event["type"] == "sample.ended").unwrap();
    let call = ended["message"]["parts"].as_array().unwrap().last().unwrap();
    assert_eq!(call["arguments"], r#"{"path":"greet.py"}"#, "{ended}");
    let last: Value = serde_json::from_slice(&bench.server.requests()[2].body).unwrap();
    let given_back =
        last["messages"].as_array().unwrap().iter().find(|message| message["tool_calls"].is_array());
    assert_eq!(given_back.unwrap()["tool_calls"][0]["function"]["arguments"], r#"{"path":"greet.py"}"#);
}

#[test]
fn without_the_setting_a_server_at_another_address_is_told_nothing() {
    let bench = Bench::new([Reply::text("hi")]);
    assert_eq!(bench.run(&["hello"]).code, 0);
    assert!(tools(&bench, 0).iter().all(|(_, strict, _)| !strict));
}

#[test]
fn the_answer_that_is_a_call_is_held_to_its_schema_too() {
    let schema = r#"{"type": "object", "properties": {"files": {"type": "integer"}, "note": {"type": "string"}},
        "required": ["files"], "additionalProperties": false}"#;
    let bench = Bench::new([Reply::call("final_answer", json!({ "files": 1, "note": null }))]);
    bench.user_settings("[providers.openai]\nstrict_tools = true\n");
    let run = bench.run(&["count", "--output-schema-inline", schema]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "{\"files\":1}\n"), "{}", run.stderr);
    assert_eq!(tools(&bench, 0).last(), Some(&("final_answer".to_owned(), true, true)));
}
