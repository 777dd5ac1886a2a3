//! Any schema, in any dialect: what lowering gives obeys the provider's rules; what fits it fits the original when it
//! was raised, but for what a loss names; and what fits the original can be said in it, unless it says otherwise.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail this way")]

mod support {
    pub(crate) mod embed;
    pub(crate) mod rules;
    pub(crate) mod values;
}

use codetether_schema::{Dialect, Lowered, Validator, Violations, lower, lower_tool};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use support::values::{Dice, generate, weakened};
use support::{embed, rules};

/// Which schemas are made.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// Everything, well or badly used.
    Wild,
    /// Types are named and objects closed, so that lowering has no leave to narrow.
    Plain,
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned)
}

fn leaf(kind: Kind) -> BoxedStrategy<Value> {
    let scalar =
        prop::sample::select(vec![json!(null), json!(true), json!(1), json!(2.5), json!("a"), json!("b")]);
    let typed = prop_oneof![
        Just(json!({"type": "string"})),
        Just(json!({"type": "integer"})),
        Just(json!({"type": "number"})),
        Just(json!({"type": "boolean"})),
        Just(json!({"type": "null"})),
        Just(json!({"type": ["string", "null"]})),
        Just(json!({"type": ["integer", "string"]})),
        (0..4_u64, 2..6_u64)
            .prop_map(|(least, most)| json!({"type": "string", "minLength": least, "maxLength": most})),
        prop::sample::select(vec!["^[a-c]+$", "^x", "[0-9]", "^(?!x)"])
            .prop_map(|pattern| json!({"type": "string", "pattern": pattern})),
        prop::sample::select(vec!["date", "date-time", "uuid", "email", "regex"])
            .prop_map(|format| json!({"type": "string", "format": format})),
        (-2..4_i64, 3..8_i64)
            .prop_map(|(least, most)| json!({"type": "integer", "minimum": least, "maximum": most})),
        (-2..4_i64, 3..8_i64).prop_map(
            |(least, most)| json!({"type": "number", "exclusiveMinimum": least, "exclusiveMaximum": most})
        ),
        (1..4_i64).prop_map(|n| json!({"type": "integer", "multipleOf": n, "exclusiveMinimum": 0})),
        scalar.clone().prop_map(|value| json!({"const": value})),
        prop::collection::vec(scalar.clone(), 1..4).prop_map(|values| json!({"enum": values})),
        prop::sample::select(vec!["x", "y"]).prop_map(|name| json!({"$ref": format!("#/$defs/{name}")})),
    ];
    if kind == Kind::Plain {
        return typed.boxed();
    }
    prop_oneof![
        8 => typed,
        1 => Just(json!(true)),
        1 => Just(json!(false)),
        1 => Just(json!({})),
        1 => Just(json!({"type": "object"})),
        1 => Just(json!({"type": "array"})),
        1 => Just(json!({"minLength": 2})),
        1 => Just(json!({"type": ["number", "array"], "minimum": 2, "minItems": 1, "minLength": 1})),
        1 => Just(json!({"enum": [{"a": 1}, [1, "b"], [], "a", null]})),
        1 => Just(json!({"type": "string", "enum": ["a", 1, null, "abc"], "minLength": 2})),
        1 => Just(json!({"$ref": "#"})),
        1 => Just(json!({"$ref": "#/$defs/x", "description": "beside", "minLength": 1})),
        1 => Just(json!({"$ref": "http://127.0.0.1:1/x"})),
        1 => Just(json!({"$ref": "#/$defs/nowhere"})),
        1 => Just(json!({"not": {"type": "string"}})),
        1 => Just(json!({"type": "string", "not": {"const": "a"}})),
        1 => Just(json!({"if": {"type": "string"}, "then": {"minLength": 2}, "else": {"type": "integer"}})),
        1 => Just(json!({"type": "object", "patternProperties": {"^x": {"type": "integer"}}, "additionalProperties": false})),
        1 => Just(json!({"type": "object", "propertyNames": {"maxLength": 1}, "minProperties": 1})),
        1 => Just(json!({"prefixItems": [{"type": "string"}, {"type": "integer"}], "items": false})),
        1 => Just(json!({"type": "array", "contains": {"const": 1}, "uniqueItems": true, "maxItems": 3})),
        1 => Just(json!({"type": "string", "nullable": true})),
        1 => Just(json!({"type": "string", "title": "T", "default": "a", "examples": ["b"], "deprecated": true})),
    ]
    .boxed()
}

fn schema(kind: Kind) -> impl Strategy<Value = Value> {
    leaf(kind).prop_recursive(4, 24, 4, move |inner| {
        let properties = prop::collection::vec((name(), inner.clone()), 0..4);
        let object = (properties, prop::collection::vec(name(), 0..3), inner.clone(), 0..6_u8).prop_map(
            move |(properties, required, additional, form)| {
                let properties: Map<String, Value> = properties.into_iter().collect();
                let required: std::collections::BTreeSet<String> = required.into_iter().collect();
                let required: Vec<String> = required
                    .into_iter()
                    .filter(|name| kind == Kind::Wild || properties.contains_key(name))
                    .collect();
                let mut object = json!({"type": "object", "properties": properties, "required": required});
                let map = object.as_object_mut().unwrap();
                match form {
                    _ if kind == Kind::Plain => map.insert("additionalProperties".into(), json!(false)),
                    0 | 1 => map.insert("additionalProperties".into(), json!(false)),
                    2 => map.insert("additionalProperties".into(), additional),
                    3 => map.remove("type"),
                    4 => map.insert("unevaluatedProperties".into(), json!(false)),
                    _ => None,
                };
                object
            },
        );
        let array = (inner.clone(), 0..3_u64, 2..5_u64).prop_map(|(items, least, most)| {
            json!({"type": "array", "items": items, "minItems": least, "maxItems": most})
        });
        let variants = prop::collection::vec(inner.clone(), 1..4);
        let any_of = variants.clone().prop_map(|variants| json!({"anyOf": variants}));
        let one_of = variants.clone().prop_map(|variants| json!({"oneOf": variants}));
        let all_of = prop::collection::vec(inner.clone(), 1..3).prop_map(|variants| json!({"allOf": variants}));
        let beside = (inner.clone(), variants.clone(), prop::sample::select(vec!["anyOf", "oneOf", "allOf"])).prop_map(
            |(base, variants, keyword)| match base {
                Value::Object(mut base) if !base.contains_key("$ref") => {
                    base.insert(keyword.to_owned(), variants.into());
                    Value::Object(base)
                }
                other => other,
            },
        );
        if kind == Kind::Plain {
            return prop_oneof![4 => object, 2 => array, 2 => any_of, 2 => one_of, 1 => all_of].boxed();
        }
        let tuple = (prop::collection::vec(inner.clone(), 1..3), inner.clone(), 0..3_u8).prop_map(
            |(prefix, rest, form)| match form {
                0 => json!({"type": "array", "prefixItems": prefix, "items": rest}),
                1 => json!({"type": "array", "prefixItems": prefix, "items": false, "minItems": 1}),
                _ => json!({"type": "array", "prefixItems": prefix}),
            },
        );
        let forbids = (inner, name()).prop_map(|(base, name)| match base {
            Value::Object(mut base) => {
                base.insert("not".into(), json!({"required": [name]}));
                Value::Object(base)
            }
            other => other,
        });
        prop_oneof![4 => object, 2 => array, 2 => any_of, 2 => one_of, 2 => all_of, 2 => beside, 1 => tuple, 1 => forbids]
            .boxed()
    })
}

/// A schema with the two definitions that its references name.
fn document(kind: Kind) -> impl Strategy<Value = Value> {
    (schema(kind), schema(kind), schema(kind)).prop_map(|(root, x, y)| match root {
        Value::Object(mut root) => {
            root.insert("$defs".into(), json!({"x": x, "y": y}));
            Value::Object(root)
        }
        other => other,
    })
}

fn dialect() -> impl Strategy<Value = Dialect> {
    prop::sample::select(Dialect::ALL.to_vec())
}

fn asserts_formats(schema: &Value) -> Option<jsonschema::Validator> {
    jsonschema::options().should_validate_formats(true).build(schema).ok()
}

/// Values that fit the lowered schema must fit the original, but for what is said not to be enforced.
fn sound(original: &Value, lowered: &Lowered, seed: u64) -> Result<(), TestCaseError> {
    let (Some(fits), Ok(_)) = (asserts_formats(&lowered.schema), Validator::new(original)) else {
        return Ok(());
    };
    let least = weakened(original, &lowered.losses);
    let Ok(least) = Validator::new(&least) else { return Ok(()) };
    let mut dice = Dice(seed | 1);
    for _ in 0..12 {
        let answer = generate(&lowered.schema, &lowered.schema, &mut dice, 9);
        if fits.is_valid(&answer) {
            let raised = lowered.raise(answer.clone());
            let valid = least.validate(&raised);
            if valid.as_ref().is_err_and(|violations| is_the_checkers_own(violations, original)) {
                continue;
            }
            prop_assert!(
                valid.is_ok(),
                "{answer}, raised to {raised}: {}\nlowered {}\nlosses {:#?}\nleast {}",
                valid.unwrap_err(),
                lowered.schema,
                lowered.losses,
                least.schema()
            );
        }
    }
    Ok(())
}

/// The checker forgets what the other branch of a union has evaluated where one of its branches is conditional, which
/// other implementations do not.
fn is_the_checkers_own(violations: &Violations, original: &Value) -> bool {
    violations.to_string().contains("Unevaluated") && original.to_string().contains("\"if\":")
}

/// More cases where the environment asks for more.
fn config() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig { cases: config.cases.max(400), max_shrink_iters: 4_000, ..config }
}

fn without_null(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.into_iter().filter(|(_, inner)| !inner.is_null());
            Value::Object(kept.map(|(key, inner)| (key, without_null(inner))).collect())
        }
        Value::Array(items) => items.into_iter().map(without_null).collect(),
        other => other,
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_is_lowered_obeys_the_providers_rules(schema in document(Kind::Wild), dialect in dialect()) {
        for (lowered, for_tool) in [(lower(&schema, dialect), false), (lower_tool(&schema, dialect), true)] {
            let broken = rules::broken(&lowered.schema, dialect, for_tool);
            prop_assert!(broken.is_empty(), "{dialect:?}: {broken:#?}\n{}", lowered.schema);
        }
    }

    #[test]
    fn what_fits_the_lowered_schema_fits_the_original(
        schema in document(Kind::Wild), dialect in dialect(), seed in any::<u64>(),
    ) {
        sound(&schema, &lower(&schema, dialect), seed)?;
    }

    #[test]
    fn what_fits_the_original_can_be_said_in_the_lowered_schema(
        schema in document(Kind::Plain), dialect in dialect(), seed in any::<u64>(),
    ) {
        let lowered = lower(&schema, dialect);
        sound(&schema, &lowered, seed)?;
        let (Ok(original), Ok(fits)) = (Validator::new(&schema), jsonschema::validator_for(&lowered.schema)) else {
            return Ok(());
        };
        let least = Validator::new(&weakened(&schema, &lowered.losses)).unwrap();
        let mut dice = Dice(seed | 1);
        for _ in 0..12 {
            let value = generate(&schema, &schema, &mut dice, 9);
            if lowered.strict && original.validate(&value).is_ok() {
                let embedded = embed::embed(&value, &lowered.schema);
                prop_assert!(fits.is_valid(&embedded), "{value} as {embedded}\n{}", lowered.schema);
                let raised = lowered.raise(embedded);
                prop_assert!(least.validate(&raised).is_ok(), "{value} is raised to {raised}");
                // Null is kept where it fits, since it may be meant.
                prop_assert_eq!(without_null(raised), without_null(value));
            }
        }
    }

    #[test]
    fn any_json_can_be_lowered(value in any_json(), dialect in dialect()) {
        let lowered = lower(&value, dialect);
        let broken = rules::broken(&lowered.schema, dialect, false);
        prop_assert!(broken.is_empty(), "{broken:#?}\n{}", lowered.schema);
    }
}

/// JSON that uses the words of JSON Schema, in no order.
fn any_json() -> impl Strategy<Value = Value> {
    let words = vec![
        "type",
        "properties",
        "items",
        "anyOf",
        "allOf",
        "oneOf",
        "enum",
        "const",
        "$ref",
        "$defs",
        "required",
        "not",
        "additionalProperties",
        "minimum",
        "maxLength",
        "pattern",
        "format",
        "$id",
        "#",
        "#/$defs/a",
        "a",
        "object",
        "string",
        "prefixItems",
        "nullable",
        "if",
        "then",
        "dependencies",
        "minItems",
        "exclusiveMinimum",
    ];
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        prop::sample::select(vec![json!(0), json!(-1), json!(1e300), json!(u64::MAX), json!(2.5)]),
        prop::sample::select(words.clone()).prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(words.clone()), inner), 0..5).prop_map(|entries| {
                Value::Object(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
            }),
        ]
    })
}
