//! `codetether structured …`.

use std::io::Write;
use std::process::Stdio;

use codetether_testkit::redact;
use serde_json::{Value, json};

use crate::bench::{Bench, Run};

fn fed(bench: &Bench, args: &[&str], input: &[u8]) -> Run {
    let mut command = bench.binary(args);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let run = child.wait_with_output().unwrap().into();
    let _ = writer.join().unwrap();
    run
}

fn person() -> Value {
    json!({
        "type": "object",
        "properties": {"name": {"type": "string", "minLength": 1}, "age": {"type": "integer"}},
        "required": ["name"]
    })
}

#[test]
fn a_schema_is_lowered_from_a_file_or_from_standard_input() {
    let bench = Bench::new([]);
    bench.file("person.json", &person().to_string());
    let lowered = json!({
        "schema": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "description": "{minLength: 1}"},
                "age": {"type": ["integer", "null"]}
            },
            "required": ["name", "age"],
            "additionalProperties": false
        },
        "strict": true,
        "losses": [{
            "path": "/properties/name",
            "keyword": "minLength",
            "kind": "not_enforced",
            "why": "the provider does not enforce it"
        }]
    });
    let file = bench.bare(&["structured", "lower", "--schema", "person.json", "--dialect", "openai"]);
    assert_eq!(file.code, 0, "{}", file.shown());
    assert_eq!(serde_json::from_str::<Value>(&file.stdout).unwrap(), lowered);
    let piped = fed(
        &bench,
        &["structured", "lower", "--schema", "-", "--dialect", "openai"],
        person().to_string().as_bytes(),
    );
    assert_eq!((piped.code, piped.stdout), (0, file.stdout));
}

#[test]
fn lines_are_answered_in_order_and_a_bad_one_does_not_stop_the_rest() {
    let bench = Bench::new([]);
    let lines = [
        json!({"id": 1, "schema": {"type": "string"}, "dialect": "gemini"}).to_string(),
        "{oops".into(),
        String::new(),
        json!({"id": "b", "schema": {"type": "string"}, "dialect": "bedrock"}).to_string(),
        json!({"id": [3], "schema": 5, "dialect": "gemini"}).to_string(),
        json!({"id": 4, "dialect": "gemini"}).to_string(),
        json!({"id": 5, "schema": {"type": "object"}, "dialect": "openai"}).to_string(),
        json!({"id": 6, "schema": {"const": 1}}).to_string(),
        "[]".into(),
    ];
    let run =
        fed(&bench, &["structured", "lower", "--stdin", "--dialect", "ollama"], lines.join("\n").as_bytes());
    assert_eq!((run.code, run.stderr.as_str()), (1, ""));
    let answers: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids: Vec<Value> = answers.iter().map(|answer| answer["id"].clone()).collect();
    assert_eq!(Value::from(ids), json!([1, null, "b", [3], 4, 5, 6, null]));
    assert_eq!(answers[0], json!({"id": 1, "schema": {"type": "string"}, "strict": true, "losses": []}));
    for (n, error) in [
        (1, "the line is not JSON"),
        (2, "there is no dialect `bedrock`: expected one of `openai`"),
        (3, "a schema is an object, `true` or `false`"),
        (4, "the line is no object with a `schema`"),
        (7, "the line is no object with a `schema`"),
    ] {
        assert!(answers[n]["error"].as_str().unwrap().starts_with(error), "{}", answers[n]);
    }
    assert_eq!(
        (&answers[5]["strict"], &answers[5]["losses"][0]["kind"]),
        (&json!(false), &json!("narrowed"))
    );
    assert_eq!(answers[6]["schema"], json!({"type": "integer", "const": 1}));
    let fine = fed(&bench, &["structured", "lower", "--stdin"], lines[0].as_bytes());
    assert_eq!(fine.code, 0, "{}", fine.shown());
}

#[test]
fn an_answer_comes_before_the_next_question_is_asked() {
    use std::io::{BufRead, BufReader};
    let bench = Bench::new([]);
    let mut command = bench.binary(&["structured", "lower", "--stdin", "--dialect", "openai"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    for id in 0..3 {
        writeln!(stdin, "{}", json!({"id": id, "schema": {"type": "object", "properties": {}}})).unwrap();
        let answer: Value = serde_json::from_str(&answers.next().unwrap().unwrap()).unwrap();
        assert_eq!(answer["id"], id);
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn what_is_no_schema_or_no_dialect_is_an_error() {
    let bench = Bench::new([]);
    bench.file("bad.json", "{\"type\": ");
    let run = bench.bare(&["structured", "lower", "--schema", "bad.json", "--dialect", "gemini"]);
    assert_eq!(run.code, 2);
    insta::assert_snapshot!(redact(&run.stderr), @r"
    codetether::usage

      × cannot read a schema from `bad.json`: EOF while parsing a value at line 1 column 9
    ");
    let missing = bench.bare(&["structured", "lower", "--schema", "none.json", "--dialect", "gemini"]);
    assert!(
        missing.code == 2 && missing.stderr.contains("cannot read a schema from `none.json`"),
        "{}",
        missing.shown()
    );
    assert_eq!(bench.bare(&["structured", "lower", "--schema", "bad.json"]).code, 2);
    assert_eq!(bench.bare(&["structured", "lower", "--schema", "bad.json", "--dialect", "bedrock"]).code, 2);
    assert_eq!(bench.bare(&["structured", "lower", "--dialect", "gemini"]).code, 2);
}
