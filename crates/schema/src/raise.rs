//! Undoing in an answer what lowering did to its schema: nulls that stand for properties left out, and the property
//! that an answer which is no object was put into. Never mends anything else.

use serde_json::{Map, Value};

use crate::arguments::strict;
use crate::lower::Lowered;
use crate::lower::document::push;

/// References that are followed in a row.
const FOLLOWED: usize = 64;

impl Lowered {
    /// The answer as the original schema has it. What does not fit the lowered schema is left as it is, for the check
    /// with the original to find.
    #[must_use]
    pub fn raise(&self, mut answer: Value) -> Value {
        self.restore(&mut answer, &self.schema, "");
        match &mut answer {
            Value::Object(object) if self.wrapped && object.len() == 1 => match object.remove("value") {
                Some(inner) => inner,
                None => answer,
            },
            _ => answer,
        }
    }

    /// The text of a call's arguments as the tool's own schema has them; nothing where that is the text as it is, or
    /// where it cannot be read, which is for the check to say.
    #[must_use]
    pub fn raise_arguments(&self, text: &str) -> Option<String> {
        // Most have nothing to undo, and some are long.
        if !self.wrapped && !text.contains("null") {
            return None;
        }
        let written = strict(text).ok()?;
        let raised = self.raise(written.clone());
        (raised != written && raised.is_object()).then(|| raised.to_string())
    }

    fn restore(&self, value: &mut Value, schema: &Value, at: &str) {
        let Some((schema, mut place)) = self.follow(schema, at) else { return };
        if let Some(Value::Array(variants)) = schema.get("anyOf") {
            let fitting = variants.iter().position(|variant| self.fits(value, variant, DEPTH));
            if let Some((n, variant)) = fitting.and_then(|n| Some((n, variants.get(n)?))) {
                push(&mut place, "anyOf");
                push(&mut place, &n.to_string());
                self.restore(value, variant, &place);
            }
            return;
        }
        match value {
            Value::Object(object) => self.restore_object(object, schema, &mut place),
            Value::Array(items) => {
                let prefix = schema.get("prefixItems").and_then(Value::as_array);
                for (n, item) in items.iter_mut().enumerate() {
                    let length = place.len();
                    match prefix.and_then(|prefix| prefix.get(n)) {
                        Some(schema) => {
                            push(&mut place, "prefixItems");
                            push(&mut place, &n.to_string());
                            self.restore(item, schema, &place);
                        }
                        None => {
                            if let Some(schema) = schema.get("items") {
                                push(&mut place, "items");
                                self.restore(item, schema, &place);
                            }
                        }
                    }
                    place.truncate(length);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn restore_object(&self, object: &mut Map<String, Value>, schema: &Value, at: &mut String) {
        let properties = schema.get("properties").and_then(Value::as_object);
        let length = at.len();
        object.retain(|name, value| {
            push(at, "properties");
            push(at, name);
            let keep = match properties.and_then(|properties| properties.get(name)) {
                Some(_) if value.is_null() => !self.nulls.contains(at.as_str()),
                Some(schema) => {
                    self.restore(value, schema, at);
                    true
                }
                None => true,
            };
            at.truncate(length);
            if let Some(additional) = schema.get("additionalProperties")
                && properties.is_none_or(|properties| !properties.contains_key(name))
            {
                push(at, "additionalProperties");
                self.restore(value, additional, at);
                at.truncate(length);
            }
            keep
        });
    }

    /// The schema behind references, and where it is.
    fn follow<'s>(&'s self, mut schema: &'s Value, at: &str) -> Option<(&'s Value, String)> {
        let mut place = at.to_owned();
        for _ in 0..FOLLOWED {
            let Some(reference) = schema.get("$ref").and_then(Value::as_str) else {
                return Some((schema, place));
            };
            place = reference.strip_prefix('#')?.to_owned();
            schema = self.schema.pointer(&place)?;
        }
        None
    }

    /// Whether a value fits a lowered schema, as far as types, values, bounds and parts say.
    fn fits(&self, value: &Value, schema: &Value, depth: usize) -> bool {
        let Some((schema, _)) = self.follow(schema, "") else { return false };
        if depth == 0 {
            return true;
        }
        if let Some(Value::Array(variants)) = schema.get("anyOf")
            && !variants.iter().any(|variant| self.fits(value, variant, depth - 1))
        {
            return schema.get("nullable") == Some(&Value::Bool(true)) && value.is_null();
        }
        let typed = match schema.get("type") {
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).any(|name| is(value, name)),
            Some(Value::String(name)) => {
                is(value, name) || (value.is_null() && schema.get("nullable") == Some(&Value::Bool(true)))
            }
            _ => true,
        };
        typed
            && schema.get("const").is_none_or(|constant| constant == value)
            && schema.get("enum").and_then(Value::as_array).is_none_or(|values| values.contains(value))
            && in_bounds(value, schema)
            && match value {
                Value::Object(object) => self.object_fits(object, schema, depth),
                Value::Array(items) => self.items_fit(items, schema, depth),
                _ => true,
            }
    }

    fn object_fits(&self, object: &Map<String, Value>, schema: &Value, depth: usize) -> bool {
        let required = schema.get("required").and_then(Value::as_array);
        let properties = schema.get("properties").and_then(Value::as_object);
        required
            .is_none_or(|names| names.iter().filter_map(Value::as_str).all(|name| object.contains_key(name)))
            && object.iter().all(|(name, value)| match properties.and_then(|known| known.get(name)) {
                Some(schema) => self.fits(value, schema, depth - 1),
                None => match schema.get("additionalProperties") {
                    Some(Value::Bool(open)) => *open,
                    Some(schema) => self.fits(value, schema, depth - 1),
                    None => true,
                },
            })
    }

    fn items_fit(&self, items: &[Value], schema: &Value, depth: usize) -> bool {
        let count = |keyword| schema.get(keyword).and_then(Value::as_u64);
        let length = items.len() as u64;
        let prefix = schema.get("prefixItems").and_then(Value::as_array);
        count("minItems").is_none_or(|least| least <= length)
            && count("maxItems").is_none_or(|most| length <= most)
            && items.iter().enumerate().all(|(n, item)| {
                let schema = prefix.and_then(|prefix| prefix.get(n)).or_else(|| schema.get("items"));
                schema.is_none_or(|schema| self.fits(item, schema, depth - 1))
            })
    }
}

/// Levels of a value that are compared to tell variants apart.
const DEPTH: usize = 32;

fn is(value: &Value, kind: &str) -> bool {
    match kind.to_ascii_lowercase().as_str() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.as_f64().is_some_and(|n| n.fract() == 0.0),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

fn in_bounds(value: &Value, schema: &Value) -> bool {
    let bound = |keyword| schema.get(keyword).and_then(Value::as_f64);
    let number = value.as_f64().is_none_or(|n| {
        bound("minimum").is_none_or(|least| n >= least)
            && bound("maximum").is_none_or(|most| n <= most)
            && bound("exclusiveMinimum").is_none_or(|least| n > least)
            && bound("exclusiveMaximum").is_none_or(|most| n < most)
    });
    let length = value.as_str().is_none_or(|text| {
        let n = text.chars().count() as f64;
        bound("minLength").is_none_or(|least| n >= least) && bound("maxLength").is_none_or(|most| n <= most)
    });
    number && length
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{Dialect, lower, lower_tool};

    #[test]
    fn null_that_stands_for_nothing_is_dropped_and_null_that_was_asked_for_stays() {
        let schema = json!({
            "type": "object",
            "properties": {
                "a": {"type": "string"},
                "b": {"type": ["string", "null"]},
                "c": {"type": "object", "properties": {"d": {"type": "integer"}, "e": {"type": "null"}}},
                "list": {"type": "array", "items": {"type": "object", "properties": {"x": {"const": 1}}}}
            },
            "required": ["list"]
        });
        let lowered = lower(&schema, Dialect::OpenAi);
        assert_eq!((lowered.strict, lowered.losses.len()), (true, 0), "{:?}", lowered.losses);
        let answer =
            json!({"a": null, "b": null, "c": {"d": null, "e": null}, "list": [{"x": null}, {"x": 1}]});
        let raised = json!({"b": null, "c": {"e": null}, "list": [{}, {"x": 1}]});
        assert_eq!(lowered.raise(answer), raised);
    }

    #[test]
    fn an_answer_that_is_no_object_is_taken_out_of_its_wrapper() {
        let lowered = lower(&json!({"type": "array", "items": {"type": "integer"}}), Dialect::OpenAi);
        assert_eq!(lowered.raise(json!({"value": [1, 2]})), json!([1, 2]));
        assert_eq!(lowered.raise(json!([1, 2])), json!([1, 2]), "a model may answer without it");
    }

    #[test]
    fn the_variant_that_fits_says_what_null_means() {
        let schema = json!({
            "type": "object",
            "properties": {"shape": {"anyOf": [
                {"type": "object", "properties": {"kind": {"const": "a"}, "x": {"type": "integer"}},
                 "required": ["kind"]},
                {"type": "object", "properties": {"kind": {"const": "b"}, "x": {"type": ["integer", "null"]}},
                 "required": ["kind", "x"]}
            ]}},
            "required": ["shape"]
        });
        let lowered = lower(&schema, Dialect::OpenAi);
        let raised = |kind| lowered.raise(json!({"shape": {"kind": kind, "x": null}}));
        assert_eq!(raised("a"), json!({"shape": {"kind": "a"}}));
        assert_eq!(raised("b"), json!({"shape": {"kind": "b", "x": null}}));
    }

    #[test]
    fn the_arguments_of_a_call_are_written_anew_only_where_something_is_undone() {
        let schema = json!({
            "type": "object",
            "properties": {
                "path": {"type": "string"},
                "range": {"type": "object", "properties": {"first": {"type": "integer"}, "last": {"type": "integer"}},
                          "required": ["first"]},
                "limit": {"type": "integer"}
            },
            "required": ["path"]
        });
        let lowered = lower_tool(&schema, Dialect::OpenAi);
        assert!(lowered.strict, "{:?}", lowered.losses);
        let raised = |text: &str| lowered.raise_arguments(text);
        assert_eq!(
            raised(r#"{"path": "null", "range": {"first": 1, "last": null}, "limit": null}"#).as_deref(),
            Some(r#"{"path":"null","range":{"first":1}}"#)
        );
        assert_eq!(raised(r#"{"path": "a", "limit": 1}"#), None);
        assert_eq!(raised(r#"{"path": null, "limit": 1}"#), None, "it is not to be left out");
        assert_eq!(raised(r#"{"path": "a", "limit": null, "limit": 1}"#), None, "which is meant?");
        assert_eq!(raised(r#"{"path": "a", "limit": nul"#), None);
        let either = json!({"anyOf": [
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
            {"type": "object", "properties": {"b": {"type": "string"}, "c": {"type": "string"}}, "required": ["b"]}
        ]});
        let lowered = lower_tool(&either, Dialect::OpenAi);
        assert_eq!(
            lowered.raise_arguments(r#"{"value": {"b": "x", "c": null}}"#).as_deref(),
            Some(r#"{"b":"x"}"#)
        );
        assert_eq!(lowered.raise_arguments(r#"{"value": 1}"#), None);
    }

    #[test]
    fn recursion_is_followed() {
        let schema = json!({
            "type": "object",
            "properties": {"next": {"$ref": "#"}, "n": {"type": "integer"}},
            "required": ["n"]
        });
        let lowered = lower(&schema, Dialect::OpenAi);
        assert!(lowered.strict, "{:?}", lowered.losses);
        let raised = lowered.raise(json!({"n": 1, "next": {"n": 2, "next": {"n": 3, "next": null}}}));
        assert_eq!(raised, json!({"n": 1, "next": {"n": 2, "next": {"n": 3}}}));
    }
}
