//! `codetether structured …`.

use std::io::Write;
use std::process::Stdio;

use codetether_testkit::{Reply, planted, redact};
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

/// Most that is read of the benchmark: every so many schemas.
const EACH: usize = 6;

/// The sample of MaskBench beside the repository, a part of it.
fn maskbench() -> Option<Vec<Value>> {
    use std::io::Read as _;

    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let file = std::fs::File::open(root.join("../shared/data/jsonschema/maskbench-sample.jsonl.gz")).ok()?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let each = if std::env::var_os("CODETETHER_PROVE").is_some() { 1 } else { EACH };
    Some(text.lines().step_by(each).map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn answers(bench: &Bench, args: &[&str], questions: &[Value]) -> Vec<Value> {
    let input: String = questions.iter().map(|question| format!("{question}\n")).collect();
    let run = fed(bench, args, input.as_bytes());
    run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn masks_let_through_what_a_benchmark_calls_valid_and_nothing_else() {
    let Some(rows) = maskbench() else {
        eprintln!(
            "NOT TESTED: the sample of MaskBench is not beside the repository, at ../shared/data/jsonschema"
        );
        return;
    };
    let bench = Bench::new([]);
    let (mut questions, mut valid) = (Vec::new(), Vec::new());
    for (id, row) in rows.iter().enumerate() {
        for test in row["tests"].as_array().unwrap() {
            questions.push(json!({ "id": id, "schema": row["schema"], "text": test["data"].to_string() }));
            valid.push(test["valid"] == true);
        }
    }
    let told = answers(&bench, &["structured", "check", "--stdin"], &questions);
    assert_eq!(told.len(), questions.len());
    let (mut covered, mut rejected, mut accepted) = (0, 0, 0);
    for (answer, valid) in told.iter().zip(&valid) {
        covered += usize::from(answer["status"] == "ok");
        rejected += usize::from(answer["accept"] == false && *valid);
        accepted += usize::from(answer["accept"] == true && !*valid);
    }
    assert_eq!(accepted, 0, "of {covered}");
    assert!(rejected * 500 <= covered, "{rejected} of {covered} were valid and rejected");
    assert!(covered * 100 >= told.len() * 85, "{covered} of {}", told.len());
    let samples = answers(
        &bench,
        &["structured", "sample", "--stdin"],
        &rows
            .iter()
            .enumerate()
            .map(|(id, row)| json!({ "id": id, "schema": row["schema"] }))
            .collect::<Vec<_>>(),
    );
    let drawn: Vec<&Value> = samples.iter().filter(|sample| sample["status"] == "ok").collect();
    assert!(drawn.len() * 10 >= rows.len() * 9, "{} of {}", drawn.len(), rows.len());
    // What is covered can be drawn.
    for (answer, question) in told.iter().zip(&questions) {
        let at = usize::try_from(question["id"].as_u64().unwrap()).unwrap();
        assert!(answer["status"] == "refused" || samples[at]["status"] == "ok", "{}", samples[at]);
    }
    for sample in drawn {
        let id = usize::try_from(sample["id"].as_u64().unwrap()).unwrap();
        let value: Value = serde_json::from_str(sample["text"].as_str().unwrap()).unwrap();
        let validator = codetether_schema::Validator::new(&rows[id]["schema"]).unwrap();
        assert!(validator.validate(&value).is_ok(), "{sample}");
    }
}

#[test]
fn a_text_is_checked_and_a_value_drawn_as_the_exit_code_says() {
    let bench = Bench::new([]);
    bench.file("s.json", r#"{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}"#);
    bench.file("not.json", r#"{"not":{"const":1}}"#);
    let check = |text: &str| bench.bare(&["structured", "check", "--schema", "s.json", text]);
    assert_eq!(check("{ \"n\" :\n 3 }").code, 0);
    assert_eq!((check(r#"{"n":"3"}"#).code, check("{").code), (1, 1));
    let refused = bench.bare(&["structured", "check", "--schema", "not.json", "3"]);
    assert_eq!(refused.code, 3, "{}", refused.shown());
    assert!(refused.stderr.contains("not"), "{}", refused.stderr);
    let asked = json!({ "schema": { "type": "integer" }, "text": "7" }).to_string();
    assert_eq!(fed(&bench, &["structured", "check"], asked.as_bytes()).code, 0);
    // A schema asks for no order, and the JSON of old drafts is understood.
    let any = json!({ "schema": { "properties": { "a": {}, "b": {} } }, "text": r#"{"b":1,"x":2,"a":3}"# });
    assert_eq!(fed(&bench, &["structured", "check"], any.to_string().as_bytes()).code, 0);
    for most in ["7", "8", "20"] {
        let drawn = bench.bare(&["structured", "sample", "--schema", "s.json", "--max-tokens", most]);
        assert_eq!(drawn.code, 0, "{}", drawn.shown());
        let value: Value = serde_json::from_str(drawn.stdout.trim()).unwrap();
        assert!(
            value["n"].is_i64() && drawn.stdout.trim().len() <= most.parse().unwrap(),
            "{}",
            drawn.stdout
        );
    }
    let refused = bench.bare(&["structured", "sample", "--schema", "s.json", "--max-tokens", "3"]);
    assert_eq!(refused.code, 3, "{}", refused.shown());
}

#[test]
fn a_bad_line_is_an_error_of_its_own_for_masks_too() {
    let bench = Bench::new([]);
    let schema = json!({ "type": "integer" });
    for command in ["check", "sample"] {
        let lines = [
            json!({ "id": 1, "schema": schema, "text": "7" }).to_string(),
            "{oops".into(),
            json!({ "id": 2 }).to_string(),
            json!({ "id": 3, "schema": 5, "text": "7" }).to_string(),
            json!({ "id": 4, "schema": { "not": { "const": 1 } }, "text": "7" }).to_string(),
            json!({ "id": 5, "schema": schema, "text": "7" }).to_string(),
        ];
        let run = fed(&bench, &["structured", command, "--stdin"], lines.join("\n").as_bytes());
        assert_eq!((run.code, run.stderr.as_str()), (1, ""), "{command}");
        let answers: Vec<Value> =
            run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told: Vec<_> =
            answers.iter().map(|answer| (answer["id"].clone(), answer["status"].clone())).collect();
        let fourth = if command == "check" { "refused" } else { "ok" };
        let expected = [
            (json!(1), json!("ok")),
            (json!(null), json!("error")),
            (json!(2), json!("error")),
            (json!(3), json!("error")),
            (json!(4), json!(fourth)),
            (json!(5), json!("ok")),
        ];
        assert_eq!(told, expected, "{command}");
        assert!(answers[1..4].iter().all(|answer| answer["reason"].is_string()), "{answers:?}");
    }
}

#[test]
fn a_model_is_asked_for_a_value_as_a_run_would() {
    let bench = Bench::new([Reply::text(r#"{"n": 4}"#)]);
    bench.file("s.json", r#"{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}"#);
    let args = ["structured", "sample", "--schema", "s.json", "--model", "openai/scripted"];
    let mut command =
        bench.binary(&[&args[..], &["--prompt", "four, please", "--max-tokens", "77"]].concat());
    command.env("OPENAI_BASE_URL", bench.server.base_url()).env("OPENAI_API_KEY", planted::KEY);
    let run: Run = command.output().unwrap().into();
    assert_eq!((run.code, run.stdout.as_str()), (0, "{\"n\":4}\n"), "{}", run.shown());
    let request: Value = serde_json::from_slice(&bench.server.requests()[0].body).unwrap();
    assert!(request.to_string().contains("four, please") && request.to_string().contains("77"), "{request}");
    assert!(request["response_format"]["json_schema"].is_object(), "{request}");
    let unknown = bench.bare(&["structured", "sample", "--schema", "s.json", "--model", "nowhere"]);
    assert!(unknown.code == 2 && unknown.stderr.contains("nowhere"), "{}", unknown.shown());
    assert_eq!(bench.bare(&["structured", "sample", "--schema", "s.json", "--prompt", "x"]).code, 2);
}
