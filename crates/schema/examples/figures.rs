//! How fast lowering and the incremental parser are: `cargo run --release -p codetether-schema --example figures`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a contributor's tool")]

use std::time::{Duration, Instant};

use codetether_schema::{Dialect, Partial, Validator, lower};
use serde_json::{Map, Value, json};

fn main() {
    let schema = of_200_properties();
    for dialect in Dialect::ALL {
        let took = best(200, || lower(&schema, dialect).losses.len());
        println!("lower, 200 properties, {:<15} {took:?}", dialect.as_str());
    }
    let tool = Validator::new(&schema).unwrap();
    let call = json!({"p0": "x", "p1": 3, "p2": {"a": "b", "c": [1, 2]}});
    println!("validate a call {:?}", best(1_000, || tool.validate(&call).is_ok()));
    let call = |bytes: usize| {
        json!({"path": "src/main.rs", "content": "let x = \"é\";\n".repeat(bytes / 15)}).to_string()
    };
    let many = |bytes: usize| {
        let items: Vec<Value> =
            (0..bytes / 30).map(|n| json!({"id": n, "name": "abc", "ok": true})).collect();
        json!({"items": items}).to_string()
    };
    for (name, text) in [("one long string", &call as &dyn Fn(usize) -> String), ("many small values", &many)]
    {
        for piece in [16, 512] {
            let time = |text: &str| {
                best(20, || {
                    let mut partial = Partial::new();
                    for piece in text.as_bytes().chunks(piece) {
                        partial.push(piece).unwrap();
                        std::hint::black_box(partial.member("path").map(|path| path.text.len()));
                    }
                    partial.finish().is_ok()
                })
            };
            let (half, whole) = (text(500_000), text(1_000_000));
            let (short, long) = (time(&half), time(&whole));
            let speed = whole.len() as f64 / long.as_secs_f64() / 1e6;
            let ratio = long.as_secs_f64() / short.as_secs_f64() * half.len() as f64 / whole.len() as f64;
            println!(
                "parse {name} in pieces of {piece}: {speed:.0} MB/s; twice as much takes {:.2} times as long",
                ratio * 2.0
            );
        }
    }
}

fn best<T>(times: usize, mut what: impl FnMut() -> T) -> Duration {
    let once = |what: &mut dyn FnMut() -> T| {
        let started = Instant::now();
        std::hint::black_box(what());
        started.elapsed()
    };
    (0..times).map(|_| once(&mut what)).min().unwrap()
}

fn of_200_properties() -> Value {
    let kinds = [
        json!({"type": "string", "description": "Some words on what it is.", "minLength": 1, "maxLength": 200}),
        json!({"type": "integer", "minimum": 0, "maximum": 100}),
        json!({"type": "object", "properties": {"a": {"type": "string"}, "c": {"type": "array", "items": {"type": "number"}}}}),
        json!({"anyOf": [{"type": "string", "format": "uri"}, {"type": "null"}]}),
        json!({"enum": ["one", "two", "three"]}),
        json!({"$ref": "#/$defs/shared"}),
    ];
    let properties: Map<String, Value> =
        (0..200).map(|n| (format!("p{n}"), kinds[n % kinds.len()].clone())).collect();
    let required: Vec<String> = (0..100).map(|n| format!("p{}", n * 2)).collect();
    json!({
        "type": "object", "properties": properties, "required": required,
        "$defs": {"shared": {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}}
    })
}
