//! Masks against the validator: what a mask lets through fits, what fits is let through, and an answer that is left to
//! chance ends within its limit and fits.
#![allow(clippy::unwrap_used, reason = "a test may fail this way")]

use std::sync::LazyLock;

use codetether_schema::Validator;
use codetether_schema::mask::{Bounds, Form, Held, Masks, Policy, Step, Vocabulary, Width, draw, draw_held};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Over single bytes; a mask's lexers are not shared by threads.
static BYTES: LazyLock<Vocabulary> = LazyLock::new(Vocabulary::bytes);

fn masks() -> Masks {
    Masks::new(&BYTES).unwrap()
}

/// A schema of a kind that masks cover.
fn schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({})),
        Just(json!({"type": "null"})),
        Just(json!({"type": "boolean"})),
        Just(json!({"type": "number"})),
        (-9..9_i64, 0..20_i64)
            .prop_map(|(least, more)| json!({"type": "integer", "minimum": least, "maximum": least + more})),
        Just(json!({"type": "string"})),
        (0..3_u64, 0..5_u64).prop_map(
            |(least, more)| json!({"type": "string", "minLength": least, "maxLength": least + more})
        ),
        prop::sample::select(vec!["^[a-c]+$", "b", "^.$", "x.*y"])
            .prop_map(|pattern| json!({"type": "string", "pattern": pattern})),
        Just(json!({"enum": ["a", 1, null, {"a": [true]}]})),
        Just(json!({"const": "b"})),
        Just(json!({"$ref": "#/$defs/tree"})),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let names = prop::sample::subsequence(vec!["a", "b", "c"], 0..=3);
        prop_oneof![
            (inner.clone(), 0..3_u64, 0..3_u64).prop_map(|(items, least, more)| {
                json!({"type": "array", "items": items, "minItems": least, "maxItems": least + more})
            }),
            (prop::collection::vec(inner.clone(), 3), names.clone(), names, any::<bool>()).prop_map(
                |(values, named, required, closed)| {
                    let properties: Map<String, Value> =
                        named.into_iter().map(str::to_owned).zip(values).collect();
                    let required: Vec<&str> =
                        required.into_iter().filter(|name| properties.contains_key(*name)).collect();
                    let mut object =
                        json!({"type": "object", "properties": properties, "required": required});
                    if closed {
                        object["additionalProperties"] = json!(false);
                    }
                    object
                }
            ),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|any| json!({ "anyOf": any })),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|one| json!({ "oneOf": one })),
            (inner.clone(), inner.clone()).prop_map(|(one, other)| json!({ "allOf": [one, other] })),
            inner.prop_map(|schema| json!({
                "type": "object",
                "properties": {"a": schema, "b": {"type": "integer"}},
                "dependencies": {"a": ["b"]}
            })),
            Just(json!({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]})),
        ]
    })
}

fn whole(mut schema: Value) -> Value {
    schema["$schema"] = "http://json-schema.org/draft-07/schema#".into();
    schema["$defs"] = json!({"tree": {
        "type": "object",
        "properties": {"b": {"type": "array", "items": {"$ref": "#/$defs/tree"}}, "c": {"type": "string"}},
        "required": ["c"]
    }});
    schema
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        (-10..30_i64).prop_map(Value::from),
        (-30..30_i32).prop_map(|n| Value::from(f64::from(n) / 4.0 + 0.125)),
        prop::sample::select(vec!["", "a", "b", "abc", "x\ry", "\u{2028}", "\"\\\n", "é🙂"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(vec!["a", "b", "c", "d"]), inner), 0..4).prop_map(
                |members| {
                    members
                        .into_iter()
                        .map(|(name, value)| (name.to_owned(), value))
                        .collect::<Map<_, _>>()
                        .into()
                }
            ),
        ]
    })
}

proptest! {
    #[test]
    fn a_mask_lets_through_what_fits_and_nothing_else(
        schema in schema(),
        values in prop::collection::vec(value(), 8),
        seeds in prop::collection::vec(any::<u64>(), 2),
    ) {
        let (masks, schema) = (masks(), whole(schema));
        let validator = Validator::new(&schema).unwrap();
        let form = Form::Schema(schema.clone());
        let Ok(grammar) = masks.compile(&form, Policy::Strict, Width::Whole) else { return Ok(()) };
        let drawn = seeds.iter().filter_map(|seed| draw(&masks, &schema, *seed, 2_000).ok());
        // What was drawn counts as it is written: `-0` would be written `-0.0` anew.
        let drawn = drawn.map(|(text, _)| (serde_json::from_str(&text).unwrap(), text));
        let written = values.into_iter().map(|value| { let text = value.to_string(); (value, text) });
        for (value, text) in written.chain(drawn) {
            let fits = validator.validate(&value).is_ok();
            let passes = grammar.accepts(&text).unwrap()
                || (fits && masks.compile_like(&form, Policy::Strict, &value).unwrap().accepts(&text).unwrap());
            prop_assert_eq!(passes, fits, "{} {}", schema, text);
        }
    }

    #[test]
    fn what_is_left_to_chance_ends_within_its_limit_and_fits(
        schema in schema(),
        seed in any::<u64>(),
        most in 1..300_usize,
    ) {
        let (masks, schema) = (masks(), whole(schema));
        let validator = Validator::new(&schema).unwrap();
        let form = Form::Schema(schema.clone());
        let tight = Width::Tight(Bounds::default());
        let Ok(grammar) = masks.compile(&form, Policy::Strict, tight) else { return Ok(()) };
        let Ok(text) = draw_held(&grammar, seed, most, usize::MAX) else { return Ok(()) };
        prop_assert!(text.len() <= most, "{} {}", schema, text);
        let value = serde_json::from_str::<Value>(&text);
        prop_assert!(value.is_ok_and(|value| validator.validate(&value).is_ok()), "{} {}", schema, text);
    }
}

fn held(schema: &Value, most: usize) -> Held {
    let tight = Width::Tight(Bounds::default());
    masks().compile(&Form::Schema(schema.clone()), Policy::Strict, tight).unwrap().held(most).unwrap()
}

#[test]
fn a_form_that_leaves_no_choice_says_what_comes_next() {
    let mut held =
        held(&json!({"type": "object", "properties": {"key": {"enum": [1, 2]}}, "required": ["key"]}), 50);
    let next = held.fixed();
    let text: Vec<u8> = next.iter().map(|token| u8::try_from(*token).unwrap()).collect();
    assert_eq!(String::from_utf8(text).unwrap(), r#"{"key""#);
    for token in next.into_iter().chain([u32::from(b':')]) {
        assert_eq!(held.consume(token).unwrap(), Step::Taken);
    }
    assert_eq!(held.mask().unwrap().iter().collect::<Vec<_>>(), [u32::from(b'1'), u32::from(b'2')]);
}

#[test]
fn a_limit_below_the_smallest_answer_is_refused_before_anything_is_drawn() {
    let schema = json!({
        "type": "object",
        "properties": {"a": {"$ref": "#"}, "text": {"type": "string", "minLength": 5}},
        "required": ["text"]
    });
    let smallest = r#"{"text":"aaaaa"}"#.len();
    let tight = Width::Tight(Bounds::default());
    let grammar = masks().compile(&Form::Schema(schema), Policy::Strict, tight).unwrap();
    assert!(grammar.held(smallest).is_ok());
    let refused = grammar.held(smallest - 1).err().unwrap();
    assert!(refused.reason.contains(&format!("at most {} tokens", smallest - 1)), "{refused}");
}

#[test]
fn a_name_in_escapes_does_not_pass_for_one_that_is_not_named() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "integer"}});
    let masks = masks();
    let form = Form::Schema(schema);
    let grammar = masks.compile(&form, Policy::Strict, Width::Tight(Bounds::default())).unwrap();
    assert!(grammar.accepts(r#"{"a":"x","b":1}"#).unwrap());
    assert!(!grammar.accepts(r#"{"\u0061":1}"#).unwrap());
}

#[test]
fn tools_may_refer_to_parts_of_their_own_schema() {
    let tool = |kind: &str| json!({"type": "object", "properties": {"x": {"$ref": "#/$defs/x"}}, "required": ["x"], "$defs": {"x": {"type": kind}}});
    let form = Form::Call(vec![("one".into(), tool("string")), ("two".into(), tool("integer"))]);
    let grammar = masks().compile(&form, Policy::Strict, Width::Whole).unwrap();
    assert!(grammar.accepts(r#"{"name": "two", "arguments": {"x": 1}}"#).unwrap());
    assert!(!grammar.accepts(r#"{"name": "one", "arguments": {"x": 1}}"#).unwrap());
}
