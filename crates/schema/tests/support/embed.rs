//! The other way of `raise`: a value that fits the original, as a provider that obeys the lowered schema would write it.

use serde_json::{Map, Value, json};

/// The value with null for what the lowered schema wants and the value leaves out; in a property of its own where the
/// lowered schema has it so.
pub(crate) fn embed(value: &Value, root: &Value) -> Value {
    let properties = root.get("properties").and_then(Value::as_object);
    if properties.is_some_and(|properties| properties.keys().eq(["value"])) {
        let wrapped = json!({ "value": value });
        let embedded = inside(&wrapped, root, root, 24);
        if inside_fits(&embedded, root) {
            return embedded;
        }
    }
    inside(value, root, root, 24)
}

fn inside_fits(value: &Value, root: &Value) -> bool {
    jsonschema::validator_for(root).is_ok_and(|validator| validator.is_valid(value))
}

fn inside(value: &Value, schema: &Value, root: &Value, depth: usize) -> Value {
    if depth == 0 {
        return value.clone();
    }
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        return match root.pointer(&reference[1..]) {
            Some(target) => inside(value, target, root, depth - 1),
            None => value.clone(),
        };
    }
    if let Some(Value::Array(variants)) = schema.get("anyOf") {
        for variant in variants {
            let tried = inside(value, variant, root, depth - 1);
            let mut alone = variant.as_object().cloned().unwrap_or_default();
            if let Some(definitions) = root.get("$defs") {
                alone.insert("$defs".into(), definitions.clone());
            }
            if jsonschema::validator_for(&Value::Object(alone))
                .is_ok_and(|validator| validator.is_valid(&tried))
            {
                return tried;
            }
        }
        return value.clone();
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    match value {
        Value::Object(object) => {
            let mut whole = Map::new();
            for (name, inner) in object {
                let schema = properties
                    .and_then(|properties| properties.get(name))
                    .or_else(|| schema.get("additionalProperties").filter(|inner| inner.is_object()));
                let inner =
                    schema.map_or_else(|| inner.clone(), |schema| inside(inner, schema, root, depth - 1));
                whole.insert(name.clone(), inner);
            }
            for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
                if let Some(name) = name.as_str() {
                    whole.entry(name).or_insert(Value::Null);
                }
            }
            Value::Object(whole)
        }
        Value::Array(items) => {
            let prefix = schema.get("prefixItems").and_then(Value::as_array);
            let item = |(n, item): (usize, &Value)| {
                let schema = prefix.and_then(|prefix| prefix.get(n)).or_else(|| schema.get("items"));
                schema.map_or_else(|| item.clone(), |schema| inside(item, schema, root, depth - 1))
            };
            items.iter().enumerate().map(item).collect()
        }
        other => other.clone(),
    }
}
