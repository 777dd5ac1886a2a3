//! Lowering, rule by rule.

use serde_json::{Value, json};

use super::*;
use crate::LossKind::{Cut, Limit, Narrowed, NotEnforced};

/// An object that requires all its properties, closed.
fn object(properties: Value) -> Value {
    let required: Vec<String> = properties.as_object().unwrap().keys().cloned().collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// What becomes of the schema of the one property of an object, and what is lost.
fn property(schema: Value, dialect: Dialect) -> (Value, Vec<(String, LossKind)>) {
    let lowered = lower(&object(json!({ "p": schema })), dialect);
    let losses =
        lowered.losses.into_iter().map(|loss| (format!("{} {}", loss.path, loss.keyword), loss.kind));
    (lowered.schema["properties"]["p"].clone(), losses.collect())
}

fn lossless(schema: Value, dialect: Dialect) -> Value {
    let (lowered, losses) = property(schema.clone(), dialect);
    assert_eq!(losses, [], "{schema} in {dialect:?} became {lowered}");
    lowered
}

#[test]
fn what_obeys_already_stays_as_it_is() {
    let schema = object(json!({
        "text": {"type": "string", "title": "Text", "description": "Words.", "pattern": "^[a-z]+$"},
        "at": {"type": "string", "format": "date-time"},
        "count": {"type": "integer", "minimum": 1, "exclusiveMaximum": 10, "multipleOf": 2},
        "kind": {"type": "string", "enum": ["a", "b"]},
        "maybe": {"type": ["number", "null"]},
        "one": {"type": "boolean"},
        "list": {"type": "array", "items": {"$ref": "#/$defs/inner"}, "minItems": 1, "maxItems": 3},
        "either": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/inner"}, {"type": "null"}]}
    }));
    let mut schema = schema;
    schema["$defs"] = json!({"inner": object(json!({"x": {"type": "string", "const": "x"}}))});
    for dialect in [Dialect::OpenAi, Dialect::OpenRouter] {
        let lowered = lower(&schema, dialect);
        assert_eq!((lowered.schema, lowered.strict, lowered.losses), (schema.clone(), true, vec![]));
    }
}

#[test]
fn the_order_of_properties_is_kept() {
    let schema = object(json!({"z": {"type": "string"}, "a": {"type": "string"}, "m": {"type": "string"}}));
    for dialect in Dialect::ALL {
        let lowered = lower(&schema, dialect).schema;
        let names: Vec<&String> = lowered["properties"].as_object().unwrap().keys().collect();
        assert_eq!(names, ["z", "a", "m"]);
    }
    assert_eq!(lower(&schema, Dialect::Gemini).schema["propertyOrdering"], json!(["z", "a", "m"]));
}

#[test]
fn an_optional_property_is_null_where_all_are_required() {
    let schema = json!({"type": "object", "properties": {
        "a": {"type": "string"},
        "b": {"enum": ["x"]},
        "c": {"$ref": "#/$defs/c"},
        "d": {"anyOf": [{"type": "string"}, {"type": "integer"}], "description": "D"}
    }, "$defs": {"c": {"type": "integer"}}});
    let lowered = lower(&schema, Dialect::OpenAi);
    assert_eq!(
        lowered.schema,
        json!({
            "type": "object",
            "properties": {
                "a": {"type": ["string", "null"]},
                "b": {"type": ["string", "null"], "enum": ["x", null]},
                "c": {"anyOf": [{"$ref": "#/$defs/c"}, {"type": "null"}]},
                "d": {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}], "description": "D"}
            },
            "required": ["a", "b", "c", "d"],
            "additionalProperties": false,
            "$defs": {"c": {"type": "integer"}}
        })
    );
    assert!(lowered.strict && lowered.losses.is_empty());
    // Elsewhere it may be left out.
    let lowered = lower(&schema, Dialect::Anthropic).schema;
    assert_eq!(lowered["properties"]["a"], json!({"type": "string"}));
    assert_eq!(lowered.get("required"), None);
}

#[test]
fn null_is_spelled_as_the_dialect_has_it() {
    let nullable = json!({"type": ["string", "null"], "description": "D"});
    let spelled = |dialect| lossless(nullable.clone(), dialect);
    assert_eq!(spelled(Dialect::OpenAi), json!({"type": ["string", "null"], "description": "D"}));
    assert_eq!(spelled(Dialect::Gemini), json!({"type": ["string", "null"], "description": "D"}));
    assert_eq!(
        spelled(Dialect::Anthropic),
        json!({"anyOf": [{"type": "string"}, {"type": "null"}], "description": "D"})
    );
    assert_eq!(
        spelled(Dialect::GeminiOpenApi),
        json!({"type": "STRING", "nullable": true, "description": "D"})
    );
}

#[test]
fn what_is_not_heeded_is_told_and_lost() {
    let (lowered, losses) = property(
        json!({"type": "string", "description": "A name.", "minLength": 2, "pattern": "(?=x)", "default": "xy"}),
        Dialect::OpenAi,
    );
    assert_eq!(
        lowered,
        json!({"type": "string", "description": "A name.\n\n{minLength: 2, pattern: (?=x), default: xy}"})
    );
    assert_eq!(
        losses,
        [("/properties/p minLength".into(), NotEnforced), ("/properties/p pattern".into(), NotEnforced)]
    );
    let (lowered, _) = property(
        json!({"type": "array", "items": {"type": "string"}, "contains": {"const": "x".repeat(900)}}),
        Dialect::Gemini,
    );
    let told = lowered["description"].as_str().unwrap();
    assert!(told.len() < 300 && told.ends_with("…}"), "a long rule is told in part: {told}");
}

#[test]
fn bounds_are_said_in_other_words_where_that_is_exact() {
    let integer = json!({"type": "integer", "exclusiveMinimum": 0, "maximum": 9.5});
    assert_eq!(
        lossless(integer.clone(), Dialect::Ollama),
        json!({"type": "integer", "minimum": 1, "maximum": 9})
    );
    let (number, losses) = property(json!({"type": "number", "exclusiveMinimum": 0}), Dialect::Gemini);
    assert_eq!(number, json!({"type": "number", "description": "{exclusiveMinimum: 0}", "minimum": 0}));
    assert_eq!(losses, [("/properties/p exclusiveMinimum".into(), NotEnforced)]);
    let old = json!({"type": "integer", "minimum": 3, "exclusiveMinimum": true});
    assert_eq!(
        lossless(old, Dialect::OpenAi),
        json!({"type": "integer", "minimum": 3, "exclusiveMinimum": 3})
    );
}

#[test]
fn a_grammar_heeds_one_rule_of_a_string() {
    let string = json!({"type": "string", "minLength": 1, "maxLength": 5});
    assert_eq!(lossless(string.clone(), Dialect::Ollama), string);
    let (lowered, losses) =
        property(json!({"type": "string", "minLength": 1, "pattern": "^[a-z]*$"}), Dialect::Ollama);
    assert_eq!(lowered, json!({"type": "string", "description": "{minLength: 1}", "pattern": "^[a-z]*$"}));
    assert_eq!(losses, [("/properties/p minLength".into(), NotEnforced)]);
}

#[test]
fn one_of_is_any_of_and_a_loss_unless_no_value_fits_two() {
    let apart = json!({"oneOf": [{"type": "string"}, {"type": "integer"}]});
    assert_eq!(lossless(apart, Dialect::Gemini), json!({"anyOf": [{"type": "string"}, {"type": "integer"}]}));
    let (_, losses) = property(
        json!({"oneOf": [{"type": "string", "pattern": "a"}, {"type": "string", "pattern": "b"}]}),
        Dialect::OpenAi,
    );
    assert_eq!(losses, [("/properties/p oneOf".into(), NotEnforced)]);
}

#[test]
fn all_of_is_merged() {
    let merged = lossless(
        json!({
            "type": "object",
            "properties": {"a": {"type": ["string", "integer"]}},
            "allOf": [
                {"properties": {"a": {"type": "integer", "minimum": 1}}, "required": ["a"]},
                {"properties": {"a": {"minimum": 3}, "b": {"type": "null"}}}
            ]
        }),
        Dialect::Ollama,
    );
    assert_eq!(
        merged,
        json!({
            "type": "object",
            "properties": {"a": {"type": "integer", "minimum": 3}, "b": {"type": "null"}},
            "required": ["a"]
        })
    );
    // Closed against each other, nothing is left but what both name.
    let merged = lossless(
        json!({"allOf": [
            {"type": "object", "properties": {"a": {"type": "string"}, "c": {"type": "string"}}, "additionalProperties": false},
            {"type": "object", "properties": {"b": {"type": "string"}, "c": {"enum": ["x", 1]}}, "additionalProperties": false}
        ]}),
        Dialect::Anthropic,
    );
    assert_eq!(
        merged,
        json!({
            "type": "object",
            "properties": {"c": {"type": "string", "enum": ["x"]}},
            "additionalProperties": false
        })
    );
}

#[test]
fn a_union_is_spread_over_what_stands_beside_it() {
    let spread = lossless(
        json!({
            "type": "object",
            "description": "D",
            "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
            "anyOf": [{"required": ["a"]}, {"required": ["b"]}]
        }),
        Dialect::Anthropic,
    );
    let with = |name: &str| {
        json!({
            "type": "object",
            "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
            "required": [name],
            "additionalProperties": false
        })
    };
    assert_eq!(spread, json!({"anyOf": [with("a"), with("b")], "description": "D"}));
    // What would become too large is not spread.
    let many: serde_json::Map<String, Value> =
        (0..100).map(|n| (format!("p{n}"), json!({"type": "string"}))).collect();
    let (lowered, losses) = property(
        json!({"type": "object", "properties": many, "anyOf": [{"required": ["p1"]}, {"required": ["p2"]}]}),
        Dialect::Anthropic,
    );
    assert_eq!(lowered["properties"].as_object().unwrap().len(), 100);
    assert_eq!(losses[0], ("/properties/p anyOf".into(), NotEnforced));
}

#[test]
fn a_map_cannot_be_enforced_where_objects_are_closed() {
    let map = json!({"type": "object", "additionalProperties": {"type": "integer"}});
    let (lowered, losses) = property(map.clone(), Dialect::OpenAi);
    assert_eq!(losses, [("/properties/p additionalProperties".into(), Narrowed)]);
    assert_eq!(lowered["additionalProperties"], json!(false));
    assert!(!lower(&object(json!({ "p": map })), Dialect::OpenAi).strict);
    assert_eq!(lossless(map.clone(), Dialect::Gemini), map);
    assert_eq!(lossless(map.clone(), Dialect::Ollama), map);
}

#[test]
fn a_root_that_is_no_object_is_wrapped_where_it_must_be_one() {
    let list = json!({"type": "array", "items": {"type": "string"}});
    let wrapped = object(json!({ "value": list }));
    assert_eq!(lower(&list, Dialect::OpenAi).schema, wrapped);
    assert_eq!(lower(&list, Dialect::Anthropic).schema, wrapped);
    assert_eq!(lower(&list, Dialect::Gemini).schema, list);
    assert_eq!(lower_tool(&list, Dialect::Gemini).schema["properties"]["value"], list);
    // A reference to the root then leads to a definition.
    let tree = json!({"type": "array", "items": {"$ref": "#"}});
    let lowered = lower(&tree, Dialect::OpenAi);
    assert_eq!(
        lowered.schema["$defs"],
        json!({"root": {"type": "array", "items": {"$ref": "#/$defs/root"}}})
    );
    assert_eq!(lowered.schema["properties"]["value"]["items"], json!({"$ref": "#/$defs/root"}));
}

#[test]
fn recursion_is_kept_cut_or_made_optional() {
    let schema = json!({
        "$ref": "#/$defs/node",
        "$defs": {"node": object(json!({
            "name": {"type": "string"},
            "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}
        }))}
    });
    let openai = lower(&schema, Dialect::OpenAi);
    assert!(openai.strict && openai.losses.is_empty());
    assert_eq!(openai.schema["$defs"], schema["$defs"]);
    let anthropic = lower(&schema, Dialect::Anthropic);
    assert!(!anthropic.strict);
    assert_eq!(anthropic.losses[0].path, "/$defs/node/properties/children/items");
    assert_eq!((anthropic.losses[0].keyword.as_str(), anthropic.losses[0].kind), ("$ref", Cut));
    let gemini = lower(&schema, Dialect::Gemini);
    assert!(gemini.strict);
    assert_eq!(gemini.schema["$defs"]["node"]["required"], json!(["name"]));
    assert_eq!(
        (gemini.losses[0].path.as_str(), gemini.losses[0].keyword.as_str()),
        ("/$defs/node", "required")
    );
}

#[test]
fn a_schema_that_is_said_to_be_itself_ends() {
    for schema in [
        json!({"$ref": "#"}),
        json!({"$ref": "#/$defs/x", "$defs": {"x": {"$ref": "#/$defs/y"}, "y": {"allOf": [{"$ref": "#/$defs/x"}]}}}),
        json!({"anyOf": [{"$ref": "#"}, {"type": "string"}]}),
        json!({"description": "x", "properties": {"a": {"$ref": "#", "description": "y"}}}),
        json!({"allOf": [{"$ref": "#"}, {"properties": {"a": {"allOf": [{"$ref": "#"}]}}}]}),
    ] {
        for dialect in Dialect::ALL {
            assert!(lower(&schema, dialect).schema.to_string().len() < 2_000, "{schema}");
        }
    }
}

#[test]
fn what_beside_a_reference_stands_is_merged_and_a_description_kept() {
    let mut schema = object(json!({"p": {"$ref": "#/$defs/n", "maximum": 5, "description": "Mine."}}));
    schema["$defs"] = json!({"n": {"type": "integer", "minimum": 1, "description": "Theirs."}});
    let lowered = lower(&schema, Dialect::OpenAi).schema;
    let p = &lowered["properties"]["p"];
    assert_eq!(p, &json!({"type": "integer", "description": "Mine.", "maximum": 5, "minimum": 1}));
    assert_eq!(lowered.get("$defs"), None, "nothing refers to it any more");
    // Up to draft 7 a reference stands alone.
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    let lowered = lower(&schema, Dialect::OpenAi).schema;
    let p = &lowered["properties"]["p"];
    assert_eq!(p, &json!({"type": "integer", "description": "Mine.", "minimum": 1}));
}

#[test]
fn limits_are_kept() {
    let deep = (0..15).fold(json!({"type": "string"}), |inner, _| object(json!({ "a": inner })));
    let lowered = lower(&deep, Dialect::OpenAi);
    assert!(!lowered.strict && lowered.losses[0].kind == Cut);
    assert_eq!(depth_of(&lowered.schema), 10);
    let many: serde_json::Map<String, Value> =
        (0..6_000).map(|n| (format!("p{n}"), json!({"type": "string"}))).collect();
    let lowered = lower(&object(many.into()), Dialect::OpenAi);
    assert_eq!(lowered.schema["properties"].as_object().unwrap().len(), 5_000);
    assert!(!lowered.strict);
    let values: Vec<String> = (0..1_200).map(|n| format!("v{n}")).collect();
    let (lowered, losses) = property(json!({"type": "string", "enum": values}), Dialect::OpenAi);
    assert!(lowered.get("enum").is_none() && lowered["description"].as_str().unwrap().starts_with("{enum: "));
    assert_eq!(losses, [("/properties/p enum".into(), NotEnforced)]);
    let optional: serde_json::Map<String, Value> =
        (0..25).map(|n| (format!("p{n}"), json!({"type": "string"}))).collect();
    let lowered = lower(&json!({"type": "object", "properties": optional}), Dialect::Anthropic);
    assert_eq!(lowered.losses[0].kind, Limit);
    assert!(!lowered.strict);
}

#[test]
fn losses_are_bounded_and_no_strictness_slips_past_the_bound() {
    let mut properties: serde_json::Map<String, Value> =
        (0..3_000).map(|n| (format!("p{n}"), json!({"type": "string", "minLength": 1}))).collect();
    properties.insert("map".into(), json!({"type": "object", "additionalProperties": true}));
    let lowered = lower(&object(properties.into()), Dialect::OpenAi);
    assert!(lowered.losses.len() <= 1_001 && !lowered.strict);
}

#[test]
fn the_smallest_schema_that_grows_without_end_is_cut() {
    // Each level is written out twice in the one below.
    let level = |n: usize| {
        json!({"properties": {
            "a": {"$ref": format!("#/$defs/l{}", n + 1), "description": "x"},
            "b": {"$ref": format!("#/$defs/l{}", n + 1), "description": "y"}
        }})
    };
    let mut definitions: serde_json::Map<String, Value> =
        (0..40).map(|n| (format!("l{n}"), level(n))).collect();
    definitions.insert("l40".into(), json!({"type": "string"}));
    let schema = json!({"$ref": "#/$defs/l0", "$defs": definitions});
    for dialect in Dialect::ALL {
        let lowered = lower(&schema, dialect);
        assert!(
            lowered.schema.to_string().len() < 3 << 20,
            "{dialect:?}: {}",
            lowered.schema.to_string().len()
        );
    }
}

#[test]
fn a_hostile_schema_takes_little_time_and_room() {
    let text = "x".repeat(50_000);
    let many = |schema: Value| -> Value {
        (0..1_000).map(|n| (format!("p{n}"), schema.clone())).collect::<serde_json::Map<_, _>>().into()
    };
    let described = json!({"type": "object", "properties": {"a": {"type": "string", "description": text}}});
    let listed = json!({"enum": [text, [text], {"a": text}]});
    for (definition, beside) in
        [(described, "description"), (listed, "title"), (json!({"not": {"const": text}}), "title")]
    {
        let schema = json!({
            "type": "object",
            "properties": many(json!({"$ref": "#/$defs/d", beside: "x"})),
            "$defs": {"d": definition}
        });
        for dialect in Dialect::ALL {
            let length = lower(&schema, dialect).schema.to_string().len();
            assert!(length < 20 << 20, "{dialect:?}: {length}");
        }
    }
    let named = json!({"type": "object", "properties": {text: {"type": "object", "properties": many(json!({"minLength": 1}))}}});
    for dialect in Dialect::ALL {
        let lowered = lower(&named, dialect);
        let losses: usize = lowered.losses.iter().map(|loss| loss.path.len()).sum();
        assert!(losses < 2 << 20, "{dialect:?}: {losses}");
    }
}

#[test]
fn listed_values_are_split_by_type_where_they_must_be() {
    let mixed = json!({"enum": ["a", 1, null, {"k": [true]}]});
    assert_eq!(lossless(mixed.clone(), Dialect::Ollama), mixed);
    let (lowered, losses) = property(mixed, Dialect::OpenAi);
    assert_eq!(losses, []);
    assert_eq!(
        lowered,
        json!({"anyOf": [
            {"type": "string", "enum": ["a"]},
            {"type": "integer", "enum": [1]},
            {"type": "null"},
            object(json!({"k": {
                "type": "array", "minItems": 1, "maxItems": 1, "items": {"type": "boolean", "const": true}
            }}))
        ]})
    );
    assert_eq!(lossless(json!({"const": "a"}), Dialect::Gemini), json!({"type": "string", "enum": ["a"]}));
    assert_eq!(
        lossless(json!({"type": "string", "enum": ["a", "abc", 3], "minLength": 2}), Dialect::OpenAi),
        json!({"type": "string", "enum": ["abc"]})
    );
}

#[test]
fn tuples_are_said_in_place_or_all_together() {
    let tuple = json!({
        "type": "array",
        "prefixItems": [{"type": "string"}, {"type": "integer"}],
        "items": false,
        "minItems": 2
    });
    assert_eq!(
        lossless(tuple.clone(), Dialect::Gemini),
        json!({"type": "array", "minItems": 2, "maxItems": 2, "prefixItems": [{"type": "string"}, {"type": "integer"}]})
    );
    let (lowered, losses) = property(tuple, Dialect::OpenAi);
    assert_eq!(
        lowered,
        json!({"type": "array", "minItems": 2, "maxItems": 2, "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}})
    );
    assert_eq!(losses, [("/properties/p prefixItems".into(), NotEnforced)]);
}
