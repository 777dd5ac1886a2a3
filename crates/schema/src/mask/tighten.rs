//! A schema made smaller: what fits the result fits the original. Only keywords under which less is allowed below means
//! less is allowed above are walked through.

use serde_json::{Map, Value, json};

/// Most levels that are walked into.
const NESTED: usize = 64;

/// What a value that a schema leaves open may have at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Characters of a string.
    pub string: u64,
    /// Items of an array.
    pub items: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { string: 4096, items: 64 }
    }
}

/// Closes objects that name their properties, and bounds strings and arrays that have no bound. A schema with keywords
/// that turn less into more (`not`, `oneOf`, `if` and their like) is left as it is.
#[must_use]
pub fn tighten(schema: &Value, bounds: Bounds) -> Value {
    let mut tight = schema.clone();
    if is_monotone(schema, NESTED) {
        narrow(&mut tight, bounds, NESTED);
    }
    tight
}

fn is_monotone(schema: &Value, left: usize) -> bool {
    const NOT: [&str; 10] = [
        "not",
        "oneOf",
        "if",
        "contains",
        "dependencies",
        "dependentSchemas",
        "unevaluatedProperties",
        "unevaluatedItems",
        "allOf",
        "propertyNames",
    ];
    match schema {
        _ if left == 0 => false,
        Value::Object(map) => {
            map.keys().all(|key| !NOT.contains(&key.as_str()))
                && map.values().all(|value| is_monotone(value, left - 1))
        }
        Value::Array(items) => items.iter().all(|item| is_monotone(item, left - 1)),
        _ => true,
    }
}

fn narrow(schema: &mut Value, bounds: Bounds, left: usize) {
    let Value::Object(map) = schema else { return };
    if left == 0 {
        return;
    }
    match map.get("type").and_then(Value::as_str) {
        Some("object") => close(map),
        Some("string")
            if !["pattern", "format", "enum", "const"].iter().any(|key| map.contains_key(*key)) =>
        {
            let least = map.get("minLength").and_then(Value::as_u64).unwrap_or(0);
            map.entry("maxLength").or_insert_with(|| json!(bounds.string.max(least)));
        }
        Some("array") => {
            let least = map.get("minItems").and_then(Value::as_u64).unwrap_or(0);
            map.entry("maxItems").or_insert_with(|| json!(bounds.items.max(least)));
        }
        _ => {}
    }
    for key in ["properties", "$defs", "definitions", "patternProperties"] {
        if let Some(Value::Object(inner)) = map.get_mut(key) {
            inner.values_mut().for_each(|schema| narrow(schema, bounds, left - 1));
        }
    }
    for key in ["items", "additionalProperties", "anyOf", "prefixItems"] {
        match map.get_mut(key) {
            Some(Value::Array(inner)) => {
                inner.iter_mut().for_each(|schema| narrow(schema, bounds, left - 1));
            }
            Some(inner) => narrow(inner, bounds, left - 1),
            None => {}
        }
    }
}

fn close(map: &mut Map<String, Value>) {
    let Some(Value::Object(named)) = map.get("properties") else { return };
    let needs_others = map.get("minProperties").is_some()
        || map.contains_key("patternProperties")
        || map.contains_key("anyOf")
        || map.contains_key("$ref")
        || (map.get("required").and_then(Value::as_array)).is_some_and(|names| {
            names.iter().any(|name| name.as_str().is_none_or(|n| !named.contains_key(n)))
        });
    if !needs_others && map.get("additionalProperties").is_none_or(|open| *open == Value::Bool(true)) {
        map.insert("additionalProperties".into(), Value::Bool(false));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_is_closed_and_bounded() {
        let schema =
            json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "array"}}});
        assert_eq!(
            tighten(&schema, Bounds { string: 5, items: 2 }),
            json!({
                "type": "object",
                "properties": {"a": {"type": "string", "maxLength": 5}, "b": {"type": "array", "maxItems": 2}},
                "additionalProperties": false
            })
        );
    }

    #[test]
    fn a_schema_where_less_can_mean_more_is_left_as_it_is() {
        let schema = json!({"oneOf": [{"type": "string"}, {"type": "string", "minLength": 3}]});
        assert_eq!(tighten(&schema, Bounds::default()), schema);
    }
}
