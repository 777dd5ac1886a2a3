//! Scalars that were written in the wrong type, taken for the one that the schema wants, where that loses nothing and
//! can mean nothing else: `"3"` is 3 where an integer is wanted and no string may stand.

use serde_json::{Number, Value};

use crate::arguments::strict;
use crate::lower::Guide;

/// The value with its scalars coerced; what cannot be coerced stays, for the check to find.
pub(super) fn coerce(value: &Value, schema: &Value) -> Value {
    let guide = Guide::new(schema);
    let mut value = value.clone();
    inside(&mut value, &guide, &guide.root(), DEPTH);
    value
}

/// Levels of a value that are looked into.
const DEPTH: usize = 64;

fn inside<'s>(value: &mut Value, guide: &Guide<'s>, place: &crate::lower::Place<'s>, depth: usize) {
    if depth == 0 {
        return;
    }
    if !guide.takes(place, value)
        && let Some(coerced) = scalar(value, |candidate| guide.takes(place, candidate))
    {
        *value = coerced;
    }
    match value {
        Value::Object(object) => {
            let variant = guide.choose(place, object);
            for (name, inner) in object.iter_mut() {
                inside(inner, guide, &guide.property(&variant, name), depth - 1);
            }
        }
        Value::Array(items) => {
            for (n, item) in items.iter_mut().enumerate() {
                inside(item, guide, &guide.item(place, n), depth - 1);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The one other way to read a scalar that is wanted here; nothing where there are two.
fn scalar(value: &Value, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
    let mut readings = readings(value).into_iter().filter(|reading| wanted(reading));
    let only = readings.next()?;
    readings.next().is_none().then_some(only)
}

fn readings(value: &Value) -> Vec<Value> {
    match value {
        Value::String(text) => match text.as_str() {
            "true" | "True" => vec![Value::Bool(true)],
            "false" | "False" => vec![Value::Bool(false)],
            "null" | "None" => vec![Value::Null],
            // An object or a list that was written into a string.
            text if text.trim_start().starts_with(['{', '[']) => strict(text).ok().into_iter().collect(),
            text if text.trim() != text => Vec::new(),
            text => serde_json::from_str::<Number>(text).ok().map(Value::Number).into_iter().collect(),
        },
        // Fractions have more than one spelling.
        Value::Number(number) if !number.is_f64() => vec![Value::String(number.to_string())],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_scalar_is_taken_for_the_type_that_is_wanted() {
        let schema = json!({
            "type": "object",
            "properties": {
                "n": {"$ref": "#/$defs/n"},
                "x": {"type": ["number", "null"]},
                "b": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
                "id": {"type": "string"},
                "list": {"type": "array", "items": {"type": "integer"}},
                "inner": {"type": "object", "properties": {"n": {"type": "integer"}}}
            },
            "$defs": {"n": {"type": "integer"}}
        });
        let value = json!({
            "n": "-3", "x": "0.5", "b": "True", "id": 7, "list": ["1", 2], "inner": "{\"n\": \"4\"}"
        });
        let coerced = json!({"n": -3, "x": 0.5, "b": true, "id": "7", "list": [1, 2], "inner": {"n": 4}});
        assert_eq!(coerce(&value, &schema), coerced);
    }

    #[test]
    fn what_may_stand_or_would_change_stays() {
        let schema = json!({
            "properties": {
                "n": {"type": "integer"}, "either": {"type": ["integer", "string"]}, "free": {},
                "id": {"type": "string"}, "limit": {"enum": [1, 2]}
            }
        });
        for value in [
            json!({"n": "3.5"}),
            json!({"n": "03"}),
            json!({"n": " 3"}),
            json!({"n": "3e"}),
            json!({"n": true}),
            json!({"either": "3"}),
            json!({"free": "3"}),
            json!({"other": "3"}),
            json!({"id": 0.5}),
            json!({"limit": "3"}),
            json!({"n": [3]}),
        ] {
            assert_eq!(coerce(&value, &schema), value);
        }
    }

    #[test]
    fn the_variant_that_is_meant_says_what_is_wanted() {
        let schema = json!({"oneOf": [
            {"properties": {"kind": {"const": "text"}, "v": {"type": "string"}}, "required": ["kind"]},
            {"properties": {"kind": {"const": "count"}, "v": {"type": "integer"}}, "required": ["kind"]}
        ]});
        let value = json!({"kind": "count", "v": "3"});
        assert_eq!(coerce(&value, &schema), json!({"kind": "count", "v": 3}));
        let value = json!({"kind": "text", "v": "3"});
        assert_eq!(coerce(&value, &schema), value);
    }
}
