//! The parts that go through every byte of an answer, and through every schema, each by itself.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use codetether_provider::{EventStream, TooLong};
use codetether_schema::{Dialect, Partial, Validator, lower, read_arguments};
use serde_json::{Map, Value, json};

use crate::figure::{Aim, Figure, median};

const RUNS: usize = 21;
/// Bytes of a read, as a connection gives them.
const READ: usize = 16 << 10;
/// Bytes of a piece of arguments, as models write them.
const PIECE: usize = 24;
/// Bytes of arguments.
const MEGABYTE: usize = 1_000_000;

pub(crate) fn measure(_: &Path) -> Vec<Figure> {
    let stream = stream();
    let (half, whole) = (arguments(MEGABYTE / 2), arguments(MEGABYTE));
    let events = time(|| events(&stream));
    let parsed = |text: &str| time(|| parse(text.as_bytes(), PIECE));
    let (first, second) = (parsed(&half), parsed(&whole));
    let (escaped, edits) = (code(MEGABYTE), edits(MEGABYTE));
    let ratio = second.as_secs_f64() / first.as_secs_f64();
    let schema = schema(200);
    let lowered = |dialect| time(|| drop(black_box(lower(black_box(&schema), dialect))));
    let lowered = Dialect::ALL.map(lowered).into_iter().max().unwrap_or_default();
    vec![
        Figure::megabytes_a_second("SSE parser", 200.0, stream.len(), events),
        Figure::megabytes_a_second(
            "argument parser, words in pieces of 24 bytes",
            100.0,
            whole.len(),
            second,
        ),
        Figure::megabytes_a_second(
            "argument parser, code with escapes",
            100.0,
            escaped.len(),
            parsed(&escaped),
        ),
        Figure::megabytes_a_second("argument parser, a list of edits", 100.0, edits.len(), parsed(&edits)),
        Figure::new("argument parser, 1 MB against 0.5 MB", Aim::Within(1.6, 2.4), ratio, ""),
        Figure::milliseconds("lowering of 200 properties, slowest dialect", 1.0, lowered),
        Figure::microseconds("check of a call, slowest built-in tool", 50.0, slowest_check()),
    ]
}

fn time(mut run: impl FnMut()) -> Duration {
    median((0..RUNS).map(|_| {
        let begun = Instant::now();
        run();
        begun.elapsed()
    }))
}

/// What a server sends for an answer of words.
fn stream() -> Vec<u8> {
    let event = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "m",
        "choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": null}],
    });
    format!("data: {event}\n\n").repeat(20_000).into_bytes()
}

fn events(stream: &[u8]) {
    let (mut events, mut seen) = (EventStream::default(), 0_usize);
    let mut event = |data: &[u8]| -> Result<(), TooLong> {
        seen += black_box(data).len();
        Ok(())
    };
    for read in stream.chunks(READ) {
        events.feed(read, &mut event).unwrap();
    }
    assert!(seen > stream.len() / 2, "the events were handed out");
}

/// Arguments of about so many bytes, most of them a text of words.
fn arguments(bytes: usize) -> String {
    json!({"path": "docs/words.md", "content": "some words in a row, ".repeat(bytes / 21)}).to_string()
}

/// The same of code: every line ends in an escape and begins with blanks, and quotes are escaped too.
fn code(bytes: usize) -> String {
    let line = "        println!(\"{}\", greeting.trim());\n";
    json!({"path": "src/main.rs", "content": line.repeat(bytes / 44)}).to_string()
}

/// The same as many small changes: more structure than text.
fn edits(bytes: usize) -> String {
    let edit = |n| {
        let old = format!("    let name_{n} = read(\"{n}\")?;\n    greet(name_{n});\n");
        json!({"old": old, "new": old.replace("name", "whom"), "all": n % 2 == 0, "line": n})
    };
    json!({"path": "src/main.rs", "edits": (0..bytes / 160).map(edit).collect::<Vec<_>>()}).to_string()
}

fn parse(text: &[u8], piece: usize) {
    let mut partial = Partial::new();
    for piece in text.chunks(piece) {
        partial.push(piece).unwrap();
    }
    black_box(partial.finish().unwrap());
}

/// An object of so many properties, as people write them: some required, some in objects of their own.
fn schema(properties: usize) -> Value {
    let kinds = [
        json!({"type": "string", "description": "A name.", "minLength": 1, "maxLength": 100}),
        json!({"type": "integer", "minimum": 0, "maximum": 65_535, "default": 80}),
        json!({"type": ["string", "null"], "format": "date-time"}),
        json!({"enum": ["low", "middle", "high"]}),
        json!({"type": "array", "items": {"type": "number", "multipleOf": 0.5}, "uniqueItems": true}),
        json!({"oneOf": [{"type": "boolean"}, {"$ref": "#/$defs/point"}]}),
        json!({"allOf": [{"$ref": "#/$defs/point"}], "title": "Where"}),
    ];
    let named = kinds.iter().cycle().take(properties).enumerate();
    let all: Map<String, Value> = named.map(|(n, kind)| (format!("property_{n}"), kind.clone())).collect();
    let required: Vec<String> = all.keys().step_by(2).cloned().collect();
    let point = json!({
        "type": "object",
        "properties": {"x": {"type": "number"}, "y": {"type": "number"}},
        "required": ["x", "y"],
        "additionalProperties": false,
    });
    json!({
        "type": "object", "properties": all, "required": required, "additionalProperties": false,
        "$defs": {"point": point},
    })
}

/// A short value of a schema without references.
fn some(schema: &Value) -> Value {
    match (&schema["enum"], schema["type"].as_str()) {
        (Value::Array(values), _) => values[0].clone(),
        (_, Some("integer" | "number")) => json!(1),
        (_, Some("boolean")) => json!(true),
        (_, Some("array")) => json!([]),
        (_, Some("object")) => json!({}),
        _ => json!("word"),
    }
}

/// The longest that reading and checking one call's arguments takes, of a call of each built-in tool.
fn slowest_check() -> Duration {
    let text = "fn main() {}\n".repeat(80);
    let known = [
        ("path", json!("src/main.rs")),
        ("content", json!(text)),
        ("old", json!(text)),
        ("new", json!(text)),
        ("pattern", json!("*.rs")),
        ("command", json!("cargo test --workspace")),
    ];
    let mut slowest = Duration::ZERO;
    for tool in &codetether_builtin::tools(
        codetether_builtin::Shell::Confined,
        codetether_builtin::WebFetch::default(),
    ) {
        let schema = &tool.spec().schema;
        let properties = schema["properties"].as_object().unwrap();
        let mut arguments: Map<String, Value> = known
            .iter()
            .filter(|(name, _)| properties.contains_key(*name))
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            arguments.entry(name).or_insert_with(|| some(&properties[name]));
        }
        let validator = Validator::new(schema).unwrap();
        let text = Value::Object(arguments).to_string();
        read_arguments(&text, &validator).unwrap();
        slowest = slowest.max(time(|| drop(black_box(read_arguments(black_box(&text), &validator)))));
    }
    slowest
}
