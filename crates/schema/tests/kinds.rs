//! Schemas of many kinds, in every dialect, with values that fit them and values that do not.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail this way")]

mod support {
    pub(crate) mod embed;
    pub(crate) mod rules;
}

use codetether_schema::{Dialect, Lowered, Validator, lower, lower_tool};
use serde_json::{Value, json};
use support::{embed, rules};

fn kinds() -> Vec<Value> {
    serde_json::from_str(include_str!("fixtures/kinds.json")).unwrap()
}

fn list<'k>(kind: &'k Value, key: &str) -> &'k [Value] {
    kind[key].as_array().unwrap()
}

/// Each kind in each dialect.
fn each(mut check: impl FnMut(&Value, Dialect, &Lowered)) {
    let kinds = kinds();
    assert!(kinds.len() >= 30);
    for kind in &kinds {
        for dialect in Dialect::ALL {
            check(kind, dialect, &lower(&kind["schema"], dialect));
        }
    }
}

#[test]
fn every_kind_obeys_every_providers_rules() {
    each(|kind, dialect, lowered| {
        let broken = rules::broken(&lowered.schema, dialect, false);
        assert!(broken.is_empty(), "{} {dialect:?}: {broken:?}\n{}", kind["name"], lowered.schema);
        let tool = lower_tool(&kind["schema"], dialect);
        let broken = rules::broken(&tool.schema, dialect, true);
        assert!(broken.is_empty(), "{} {dialect:?}: {broken:?}\n{}", kind["name"], tool.schema);
    });
}

#[test]
fn what_fits_can_be_said_where_the_schema_may_be_enforced() {
    each(|kind, dialect, lowered| {
        // Types in capitals are known to no validator.
        let Ok(validator) = jsonschema::validator_for(&lowered.schema) else {
            assert_eq!(dialect, Dialect::GeminiOpenApi);
            return;
        };
        for value in list(kind, "valid").iter().filter(|_| lowered.strict) {
            let embedded = embed::embed(value, &lowered.schema);
            assert!(
                validator.is_valid(&embedded),
                "{} {dialect:?}: {embedded}\n{}",
                kind["name"],
                lowered.schema
            );
            let Ok(original) = Validator::new(&kind["schema"]) else { continue };
            let raised = lowered.raise(embedded);
            assert!(original.validate(&raised).is_ok(), "{} {dialect:?}: {value} as {raised}", kind["name"]);
        }
    });
}

#[test]
fn what_does_not_fit_cannot_be_said() {
    each(|kind, dialect, lowered| {
        let Ok(validator) = jsonschema::validator_for(&lowered.schema) else { return };
        for value in list(kind, "invalid") {
            let wrapper =
                lowered.schema["properties"].as_object().is_some_and(|inner| inner.keys().eq(["value"]));
            let answer = if wrapper { json!({ "value": value }) } else { value.clone() };
            let original = Validator::new(&kind["schema"]);
            let passes = validator.is_valid(&answer)
                && original.as_ref().is_ok_and(|original| original.validate(&lowered.raise(answer)).is_ok());
            assert!(!passes, "{} {dialect:?}: {value}", kind["name"]);
        }
    });
}

#[test]
fn the_fixtures_values_are_what_they_are_said_to_be() {
    for kind in kinds() {
        let Ok(original) = Validator::new(&kind["schema"]) else {
            assert_eq!(kind["name"], "somewhere else");
            continue;
        };
        for value in list(&kind, "valid") {
            assert!(original.validate(value).is_ok(), "{}: {value}", kind["name"]);
        }
        for value in list(&kind, "invalid") {
            assert!(original.validate(value).is_err(), "{}: {value}", kind["name"]);
        }
    }
}

/// What is lost of each kind: `ok`, or the keywords with `!` before those that forbid strictness.
#[test]
fn what_is_lost_is_said() {
    let mut table = String::new();
    for kind in kinds() {
        table.push_str(&format!("{}\n", kind["name"].as_str().unwrap()));
        let mut before = (String::new(), String::new());
        for dialect in Dialect::ALL.into_iter().filter(|dialect| *dialect != Dialect::OpenRouter) {
            let mut lost: Vec<String> = lower(&kind["schema"], dialect)
                .losses
                .into_iter()
                .map(|loss| format!("{}{}", if loss.kind.is_unsafe() { "!" } else { "" }, loss.keyword))
                .collect();
            lost.sort();
            lost.dedup();
            let lost = if lost.is_empty() { "ok".to_owned() } else { lost.join(" ") };
            if before.1 == lost {
                before.0 = format!("{}, {}", before.0, dialect.as_str());
            } else {
                if !before.0.is_empty() {
                    table.push_str(&format!("  {}: {}\n", before.0, before.1));
                }
                before = (dialect.as_str().to_owned(), lost);
            }
        }
        table.push_str(&format!("  {}: {}\n", before.0, before.1));
    }
    insta::assert_snapshot!(table, @r"
    flat
      openai, anthropic, gemini, gemini-openapi, ollama: ok
    optional
      openai, anthropic, gemini, gemini-openapi, ollama: ok
    nullable and optional
      openai, anthropic, gemini, gemini-openapi, ollama: ok
    openapi nullable
      openai, anthropic, gemini, gemini-openapi, ollama: ok
    closed
      openai, anthropic, gemini, gemini-openapi, ollama: ok
    open map
      openai, anthropic: !additionalProperties
      gemini: ok
      gemini-openapi: !additionalProperties
      ollama: ok
    free object
      openai, anthropic: !type
      gemini: ok
      gemini-openapi: !type
      ollama: ok
    no arguments
      openai, anthropic, gemini, gemini-openapi, ollama: ok
    map by pattern
      openai, anthropic: !patternProperties
      gemini: patternProperties
      gemini-openapi: !patternProperties
      ollama: patternProperties
    any value
      openai, anthropic: !type
      gemini: ok
      gemini-openapi: !type
      ollama: ok
    never
      openai, anthropic: ok
      gemini: properties
      gemini-openapi: ok
      ollama: properties
    nothing
      openai, anthropic, gemini, gemini-openapi, ollama: !type
    everything
      openai, anthropic: !type
      gemini: ok
      gemini-openapi: !type
      ollama: ok
    list at the root
      openai: ok
      anthropic: maxItems
      gemini, gemini-openapi, ollama: ok
    scalar at the root
      openai, anthropic, gemini, gemini-openapi, ollama: ok
    union at the root
      openai, anthropic, gemini, gemini-openapi, ollama: ok
    told apart by a constant
      openai, anthropic, gemini, gemini-openapi, ollama: ok
    told apart by nothing
      openai: oneOf
      anthropic: minimum oneOf
      gemini, gemini-openapi: oneOf
      ollama: minimum oneOf
    required on a condition
      openai, anthropic, gemini, gemini-openapi, ollama: ok
    merged
      openai: ok
      anthropic: maximum minimum
      gemini, gemini-openapi, ollama: ok
    merged to nothing
      openai, anthropic: ok
      gemini: properties
      gemini-openapi: ok
      ollama: properties
    definitions
      openai, anthropic, gemini, gemini-openapi, ollama: ok
    a list that recurs
      openai: ok
      anthropic: !$ref
      gemini: ok
      gemini-openapi: !$ref
      ollama: ok
    a tree
      openai: ok
      anthropic: !$ref !type items
      gemini: required
      gemini-openapi: !$ref !type
      ollama: ok
    an expression
      openai: ok
      anthropic: !$ref
      gemini: required
      gemini-openapi: !$ref
      ollama: ok
    somewhere else
      openai, anthropic: !$ref !type
      gemini: !$ref
      gemini-openapi: !$ref !type
      ollama: !$ref
    strings
      openai: maxLength minLength
      anthropic, gemini: maxLength minLength pattern
      gemini-openapi: ok
      ollama: maxLength minLength
    formats
      openai: format
      anthropic: ok
      gemini, gemini-openapi, ollama: format
    numbers
      openai: ok
      anthropic: exclusiveMaximum exclusiveMinimum maximum multipleOf
      gemini, gemini-openapi, ollama: exclusiveMaximum multipleOf
    draft 4 bounds
      openai: ok
      anthropic: exclusiveMinimum minimum
      gemini, gemini-openapi, ollama: ok
    arrays
      openai: uniqueItems
      anthropic: maxItems minItems uniqueItems
      gemini, gemini-openapi, ollama: uniqueItems
    a tuple
      openai: prefixItems
      anthropic: items minItems prefixItems
      gemini: ok
      gemini-openapi: prefixItems
      ollama: ok
    a tuple of draft 7
      openai: items
      anthropic: additionalItems items minItems
      gemini: ok
      gemini-openapi: items
      ollama: ok
    values of many types
      openai, anthropic: ok
      gemini, gemini-openapi: enum
      ollama: ok
    values with parts
      openai: ok
      anthropic: enum
      gemini: ok
      gemini-openapi: enum
      ollama: ok
    types in a list
      openai: minLength
      anthropic: minLength minimum
      gemini: minLength
      gemini-openapi, ollama: ok
    no types
      openai, anthropic, gemini: minLength
      gemini-openapi, ollama: ok
    a condition
      openai, anthropic, gemini, gemini-openapi, ollama: if
    a condition with more properties
      openai, anthropic: !if if
      gemini: if
      gemini-openapi: !if if
      ollama: if
    not
      openai, anthropic: !items !type not
      gemini: not
      gemini-openapi: !items !type not
      ollama: not
    depends
      openai, anthropic, gemini, gemini-openapi, ollama: dependentRequired
    annotations
      openai, anthropic, gemini, gemini-openapi, ollama: ok
    too deep
      openai: !type
      anthropic, gemini, gemini-openapi, ollama: ok
    many values
      openai: enum
      anthropic, gemini, gemini-openapi, ollama: ok
    odd names
      openai, anthropic, gemini, gemini-openapi, ollama: ok
    kubernetes
      openai, anthropic: !additionalProperties
      gemini: oneOf
      gemini-openapi: !additionalProperties
      ollama: oneOf
    a function of a tool
      openai: ok
      anthropic: maximum minimum
      gemini, gemini-openapi, ollama: ok
    ");
}
