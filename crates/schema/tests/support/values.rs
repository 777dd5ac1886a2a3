//! Values that fit a schema, and schemas with some of what they say taken out.

use codetether_schema::{Loss, LossKind};
use serde_json::{Map, Value, json};

/// A small generator of numbers, so that a case is a seed.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % n.max(1)
    }

    fn one_of<'t, T>(&mut self, all: &'t [T]) -> Option<&'t T> {
        if all.is_empty() { None } else { all.get(self.below(all.len())) }
    }
}

/// A value that is likely to fit; whoever asks must check.
pub(crate) fn generate(schema: &Value, root: &Value, dice: &mut Dice, depth: usize) -> Value {
    let any = json!([null, true, 0, 3, "a", "abc", [], {}, [1], {"a": 1}]);
    let Some(map) = schema.as_object() else {
        return dice.one_of(any.as_array().unwrap()).unwrap().clone();
    };
    if depth == 0 {
        return Value::Null;
    }
    if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
        let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return target.map_or(Value::Null, |target| generate(target, root, dice, depth - 1));
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(variant) = map.get(key).and_then(Value::as_array).and_then(|all| dice.one_of(all)) {
            let value = generate(&merged(schema, variant, key), root, dice, depth - 1);
            return value;
        }
    }
    if let Some(Value::Array(all)) = map.get("allOf") {
        let mut whole = schema.clone();
        whole.as_object_mut().unwrap().remove("allOf");
        for part in all {
            whole = merged(&whole, part, "");
        }
        return generate(&whole, root, dice, depth - 1);
    }
    if let Some(value) = map.get("const") {
        return value.clone();
    }
    if let Some(value) = map.get("enum").and_then(Value::as_array).and_then(|all| dice.one_of(all)) {
        return value.clone();
    }
    let kinds: Vec<String> = match map.get("type") {
        Some(Value::String(kind)) => vec![kind.clone()],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ if map.contains_key("properties") || map.contains_key("required") => vec!["object".into()],
        _ if map.contains_key("items") || map.contains_key("prefixItems") => vec!["array".into()],
        _ => ["string", "integer", "null", "object", "array"].map(str::to_owned).to_vec(),
    };
    let kind = dice.one_of(&kinds).cloned().unwrap_or_default();
    match kind.to_lowercase().as_str() {
        "object" => object(map, root, dice, depth),
        "array" => array(map, root, dice, depth),
        kind => scalar(schema, kind, dice),
    }
}

fn object(map: &Map<String, Value>, root: &Value, dice: &mut Dice, depth: usize) -> Value {
    let required: Vec<&str> = map
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut value = Map::new();
    for (name, inner) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
        if required.contains(&name.as_str()) || (inner != &json!(false) && dice.below(3) > 0 && depth > 2) {
            value.insert(name.clone(), generate(inner, root, dice, depth - 1));
        }
    }
    for name in required {
        value.entry(name).or_insert(json!(1));
    }
    if let Some(additional) = map.get("additionalProperties")
        && additional != &json!(false)
        && dice.below(2) == 0
    {
        value.entry("other").or_insert_with(|| generate(additional, root, dice, depth - 1));
    }
    Value::Object(value)
}

fn array(map: &Map<String, Value>, root: &Value, dice: &mut Dice, depth: usize) -> Value {
    let count = |key| map.get(key).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    let prefix = map.get("prefixItems").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let least = count("minItems").unwrap_or(0);
    let most = count("maxItems").unwrap_or(least.max(prefix.len()) + 2).max(least).min(8);
    let length = least + dice.below(most - least.min(most) + 1);
    let length = if depth < 3 { least } else { length };
    let item = |n: usize| prefix.get(n).or_else(|| map.get("items")).cloned().unwrap_or(json!({}));
    (0..length).map(|n| generate(&item(n), root, dice, depth - 1)).collect()
}

fn scalar(schema: &Value, kind: &str, dice: &mut Dice) -> Value {
    let all = match kind {
        "string" => json!([
            "",
            "a",
            "b",
            "ab",
            "abc",
            "abcdef",
            "x1",
            "x",
            "0",
            "2020-01-01",
            "not a date",
            "2018-11-13T20:20:39+00:00",
            "123e4567-e89b-12d3-a456-426614174000",
            "a@example.com"
        ]),
        "integer" => json!([0, 1, 2, 3, 4, 5, 6, 7, 10, -1, -5, 100]),
        "number" => json!([0, 1, 2, 3, 2.5, 0.5, -0.5, 5, 6, 4.75, -3, 100.25]),
        "boolean" => json!([true, false]),
        _ => json!([null]),
    };
    let mut own = schema.clone();
    if let Some(own) = own.as_object_mut() {
        own.remove("not");
    }
    let fitting = jsonschema::options().should_validate_formats(true).build(&own);
    let fits = |value: &&Value| fitting.as_ref().is_ok_and(|schema| schema.is_valid(value));
    let fitting: Vec<Value> = all.as_array().unwrap().iter().filter(fits).cloned().collect();
    dice.one_of(&fitting).or(all.get(0)).cloned().unwrap_or_default()
}

/// Both schemas in one, crudely: the second outranks the first.
fn merged(base: &Value, variant: &Value, without: &str) -> Value {
    let (Some(base), Some(variant)) = (base.as_object(), variant.as_object()) else { return variant.clone() };
    let mut whole = base.clone();
    whole.remove(without);
    for (key, value) in variant {
        match (whole.get_mut(key), value) {
            (Some(Value::Object(known)), Value::Object(more)) if key == "properties" => {
                known.extend(more.clone());
            }
            (Some(Value::Array(known)), Value::Array(more)) if key == "required" => {
                known.extend(more.clone())
            }
            _ => {
                whole.insert(key.clone(), value.clone());
            }
        }
    }
    Value::Object(whole)
}

/// The original without what the losses say is not enforced: the least that every answer must fit.
pub(crate) fn weakened(original: &Value, losses: &[Loss]) -> Value {
    let mut schema = original.clone();
    for loss in losses {
        let Some(place) = schema.pointer_mut(&loss.path) else { continue };
        if loss.kind == LossKind::Cut {
            *place = json!(true);
        }
        let Some(map) = place.as_object_mut() else { continue };
        let also: &[&str] = match loss.keyword.as_str() {
            "patternProperties" => &["additionalProperties", "properties"],
            "properties" => &["additionalProperties", "patternProperties"],
            "contains" | "minContains" | "maxContains" => &["contains", "minContains", "maxContains"],
            "if" => &["then", "else"],
            "items" | "prefixItems" | "additionalItems" => {
                &["items", "prefixItems", "additionalItems", "maxItems"]
            }
            _ => &[],
        };
        map.shift_remove(&loss.keyword);
        for keyword in also {
            map.shift_remove(*keyword);
        }
    }
    // What surrounds it can no longer tell variants apart; from the inside out, since the paths change.
    let mut around = std::collections::BTreeSet::new();
    for loss in losses {
        let mut at = loss.path.as_str();
        around.insert((at.matches('/').count(), at.to_owned()));
        while let Some((outer, _)) = at.rsplit_once('/') {
            at = outer;
            around.insert((at.matches('/').count(), at.to_owned()));
        }
    }
    for (_, at) in around.iter().rev() {
        one_of_to_any_of(&mut schema, at);
    }
    schema
}

fn one_of_to_any_of(schema: &mut Value, at: &str) {
    if let Some(Value::Object(map)) = schema.pointer_mut(at)
        && let Some(variants) = map.shift_remove("oneOf")
    {
        let both = match map.shift_remove("anyOf") {
            Some(known) => json!({"allOf": [{"anyOf": known}, {"anyOf": variants}]}),
            None => json!({"anyOf": variants}),
        };
        for (key, value) in both.as_object().unwrap() {
            match (map.get_mut(key), value) {
                (Some(Value::Array(known)), Value::Array(more)) => known.extend(more.clone()),
                _ => {
                    map.insert(key.clone(), value.clone());
                }
            }
        }
    }
}
