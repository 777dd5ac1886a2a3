//! What lowering makes of a schema, against what the vendors' own libraries make of it (`goldens/make.py` asked them).
//! Where the two differ, it is said why; a difference that is gone must be taken from the list.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail this way")]

use codetether_schema::{Dialect, lower};
use serde_json::{Map, Value};

/// Case, library, and why ours is another.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    ("nullable", "openai", "null goes into the type: shorter, and what the documentation shows"),
    ("optional", "openai", "null stands for what is left out; the library makes it a must"),
    ("default", "openai", "`default` is refused by the provider; the model is told"),
    ("text of a length", "openai", "lengths are not among the keywords that the provider lists"),
    ("unknown format", "openai", "the format is not among those that the provider lists"),
    ("reference with a description", "openai", "a definition that nothing refers to any more is not sent"),
    ("one of", "openai", "`oneOf` is refused by the provider"),
    ("map", "openai", "an open object is refused by the provider; the loss forbids strictness"),
    ("two of all", "openai", "`allOf` is refused by the provider; it is merged"),
    ("enum", "anthropic", "the type stays"),
    ("constant", "anthropic", "the type stays"),
    ("recursion", "anthropic", "recursion is refused by the provider; the loss forbids strictness"),
    ("reference with a description", "anthropic", "the description is kept, in a copy of the definition"),
    ("one of all", "anthropic", "`allOf` is merged, since the provider takes only some of it"),
    ("two of all", "anthropic", "`allOf` is merged, since the provider takes only some of it"),
    ("map", "anthropic", "the model is told of the map"),
    ("types in a list", "anthropic", "the library refuses what can be said as a union"),
    ("recursion", "gemini-openapi", "what is cut off is said to be"),
    ("reference with a description", "gemini-openapi", "the description is kept"),
    ("one of all", "gemini-openapi", "the library refuses `allOf`, which can be merged"),
    ("two of all", "gemini-openapi", "the library refuses `allOf`, which can be merged"),
    ("one of", "gemini-openapi", "the library refuses `oneOf`, which can be said as `anyOf`"),
    ("default", "gemini-openapi", "the model is told instead"),
    (
        "unknown format",
        "gemini-openapi",
        "a format that the provider does not know is refused by some of its models",
    ),
    ("map", "gemini-openapi", "the field is not taken by the public API"),
    ("types in a list", "gemini-openapi", "the library refuses what can be said with `nullable`"),
];

#[test]
fn lowering_agrees_with_the_vendors_libraries_but_where_it_is_said_why_not() {
    let fixture: Value = serde_json::from_str(include_str!("goldens/sdks.json")).unwrap();
    let mut wrong = Vec::new();
    let mut agreed = 0;
    for case in fixture["cases"].as_array().unwrap() {
        for dialect in [Dialect::OpenAi, Dialect::Anthropic, Dialect::GeminiOpenApi] {
            let name = case["name"].as_str().unwrap();
            let ours = plain(lower(&case["schema"], dialect).schema);
            let theirs = plain(case[dialect.as_str()].clone());
            let known = DIFFERENCES
                .iter()
                .find(|(case, sdk, why)| *case == name && *sdk == dialect.as_str() && !why.is_empty());
            match (ours == theirs, known) {
                (true, None) => agreed += 1,
                (false, Some(_)) => {}
                (true, Some(_)) => {
                    wrong.push(format!("{name}, {}: no difference any more", dialect.as_str()))
                }
                (false, None) => {
                    wrong.push(format!("{name}, {}:\n  ours   {ours}\n  theirs {theirs}", dialect.as_str()))
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(agreed, 46, "of {} cases on three dialects", fixture["cases"].as_array().unwrap().len());
}

/// The schema without what does not count: the order of its keys, and of what is told in a description; whether a whole
/// number is written as a fraction.
fn plain(schema: Value) -> Value {
    match schema {
        Value::Object(map) => {
            let mut entries: Vec<(String, Value)> =
                map.into_iter().map(|(key, inner)| (key, plain(inner))).collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(entries.into_iter().collect::<Map<_, _>>())
        }
        Value::Array(items) => items.into_iter().map(plain).collect(),
        Value::Number(number) => match number.as_f64() {
            Some(n) if n.fract() == 0.0 => Value::from(n as i64),
            _ => Value::Number(number),
        },
        Value::String(text) => match text.strip_prefix('{').and_then(|told| told.strip_suffix('}')) {
            Some(told) => {
                let mut told: Vec<&str> = told.split(", ").collect();
                told.sort_unstable();
                Value::String(told.join(", "))
            }
            None => Value::String(text),
        },
        other => other,
    }
}
