//! A schema made smaller: what fits the result fits the original. Takes a schema in plain words, of which all that a mask
//! holds is such that less allowed below means less allowed above.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::plain::{is_data, is_named};

/// Most levels that are walked into.
const NESTED: usize = 128;
/// A number that a schema leaves open is between this and its negative, written without an exponent.
const NUMBER: i64 = 1_000_000_000_000_000;
/// The definition of any value at all.
const ANY: &str = "any value";

/// What a value that a schema leaves open may have at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Characters of a string.
    pub string: u64,
    /// Characters of a string with a pattern or a format.
    pub pattern: u64,
    /// Characters of a string in which a pattern may match anywhere: to look for one takes all of them.
    pub search: u64,
    /// Items of an array.
    pub items: u64,
}

impl Bounds {
    /// For values that are as short as can be.
    pub const SHORT: Self = Self { string: 16, pattern: 64, search: 16, items: 2 };
}

impl Default for Bounds {
    fn default() -> Self {
        Self { string: 4096, pattern: 512, search: 96, items: 64 }
    }
}

/// Closes objects that name their properties, and bounds strings, arrays and numbers that have no bound.
#[must_use]
pub fn tighten(schema: &Value, bounds: Bounds) -> Value {
    changed(schema, Change::Tighten(bounds))
}

/// Leaves out, beside, all that need not be there.
pub(super) fn smallest(schema: &Value) -> Value {
    changed(schema, Change::Smallest)
}

#[derive(Clone, Copy)]
enum Change {
    Tighten(Bounds),
    Smallest,
}

fn changed(schema: &Value, change: Change) -> Value {
    let mut new = schema.clone();
    let conjoined = Conjoined::of(schema);
    narrow(&mut new, change, &conjoined, true, NESTED);
    if let Value::Object(map) = &mut new
        && matches!(change, Change::Tighten(_))
    {
        let open = map.clone();
        if map.get("$defs").is_none_or(|defs| defs.get(ANY).is_none())
            && let Value::Object(defs) = map.entry("$defs").or_insert_with(|| json!({}))
            && refers_to_any(&Value::Object(open))
        {
            defs.insert(ANY.into(), any(change));
        }
    }
    new
}

fn any_ref() -> Value {
    json!({ "$ref": format!("#/$defs/{ANY}") })
}

fn any(change: Change) -> Value {
    let mut schema = json!({
        "type": ["null", "boolean", "number", "string", "array", "object"],
        "items": any_ref(),
        "additionalProperties": any_ref(),
    });
    if let Value::Object(map) = &mut schema {
        bound(map, change);
    }
    schema
}

fn refers_to_any(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => {
            map.get("$ref").is_some_and(|to| *to == any_ref()["$ref"]) || map.values().any(refers_to_any)
        }
        Value::Array(items) => items.iter().any(refers_to_any),
        _ => false,
    }
}

/// Definitions of which a value must fit more than they say: to close them could leave nothing that fits.
struct Conjoined {
    names: BTreeSet<String>,
    all: bool,
}

impl Conjoined {
    fn of(root: &Value) -> Self {
        let mut found = Self { names: BTreeSet::new(), all: false };
        let mut queue = Vec::new();
        found.walk(root, true, &mut queue, NESTED);
        while let Some(name) = queue.pop() {
            if let Some(target) = name.strip_prefix('#').and_then(|at| root.pointer(at)) {
                found.walk(target, false, &mut queue, NESTED);
            }
        }
        found
    }

    fn walk(&mut self, schema: &Value, alone: bool, queue: &mut Vec<String>, left: usize) {
        match schema {
            _ if left == 0 => self.all = true,
            Value::Object(map) => {
                let alone = alone && stands_alone(map);
                if let (false, Some(to)) = (alone, map.get("$ref").and_then(Value::as_str)) {
                    let mut steps = to.split('/');
                    let simple = steps.next() == Some("#")
                        && matches!(steps.next(), Some("$defs" | "definitions"))
                        && steps.next().is_some()
                        && steps.next().is_none();
                    self.all |= !simple;
                    if self.names.insert(to.to_owned()) {
                        queue.push(to.to_owned());
                    }
                }
                for (key, inner) in map {
                    match inner {
                        Value::Object(named) if is_named(key) => {
                            let alone = alone || matches!(key.as_str(), "$defs" | "definitions");
                            named.values().for_each(|schema| self.walk(schema, alone, queue, left - 1));
                        }
                        inner if !is_data(key) => self.walk(inner, alone, queue, left - 1),
                        _ => {}
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.walk(item, alone, queue, left - 1)),
            _ => {}
        }
    }

    fn has(&self, key: &str, name: &str) -> bool {
        self.all || self.names.contains(&format!("#/{key}/{name}"))
    }
}

/// Keywords that say nothing about what fits.
fn is_note(key: &str) -> bool {
    matches!(
        key,
        "$schema"
            | "$id"
            | "id"
            | "$comment"
            | "$defs"
            | "definitions"
            | "title"
            | "description"
            | "default"
            | "examples"
            | "readOnly"
            | "writeOnly"
    )
}

/// Whether no two parts of the schema are about the same value.
fn stands_alone(map: &Map<String, Value>) -> bool {
    let parts = ["allOf", "anyOf", "oneOf", "$ref"].iter().filter(|key| map.contains_key(**key)).count();
    let rest = map.keys().filter(|key| !is_note(key)).count() - parts;
    let all = map.get("allOf").and_then(Value::as_array).map_or(0, Vec::len);
    parts == 0 || (parts == 1 && rest == 0 && all <= 1)
}

fn is_open(schema: &Value) -> bool {
    match schema {
        Value::Bool(open) => *open,
        Value::Object(map) => map.keys().all(|key| is_note(key)),
        _ => false,
    }
}

fn narrow(schema: &mut Value, change: Change, conjoined: &Conjoined, alone: bool, left: usize) {
    if left == 0 {
        return;
    }
    let root = left == NESTED;
    if is_open(schema) && alone && !root && matches!(change, Change::Tighten(_)) {
        *schema = any_ref();
        return;
    }
    let Value::Object(map) = schema else { return };
    if root && map.keys().all(|key| is_note(key)) {
        map.insert("type".into(), json!(["null", "boolean", "number", "string", "array", "object"]));
    }
    let alone = alone && stands_alone(map) && !(root && conjoined.names.contains("#"));
    if !map.contains_key("enum") && !map.contains_key("const") {
        if alone {
            close(map, change);
        }
        bound(map, change);
    }
    for (key, inner) in map.iter_mut() {
        match (key.as_str(), inner) {
            ("$defs" | "definitions", Value::Object(named)) => {
                for (name, schema) in named.iter_mut() {
                    narrow(schema, change, conjoined, !conjoined.has(key, name), left - 1);
                }
            }
            ("properties" | "patternProperties", Value::Object(named)) => {
                named.values_mut().for_each(|schema| narrow(schema, change, conjoined, alone, left - 1));
            }
            (
                "items"
                | "additionalItems"
                | "additionalProperties"
                | "anyOf"
                | "oneOf"
                | "allOf"
                | "prefixItems",
                inner,
            ) => match inner {
                Value::Array(list) => {
                    list.iter_mut().for_each(|schema| narrow(schema, change, conjoined, alone, left - 1));
                }
                inner => narrow(inner, change, conjoined, alone, left - 1),
            },
            _ => {}
        }
    }
}

/// Whether the schema says that a value may be of this type.
fn is_of(map: &Map<String, Value>, kind: &str) -> bool {
    match map.get("type") {
        Some(Value::String(one)) => one == kind,
        Some(Value::Array(kinds)) => kinds.iter().any(|one| one == kind),
        _ => false,
    }
}

fn bound(map: &mut Map<String, Value>, change: Change) {
    let least = |map: &Map<String, Value>, key: &str| map.get(key).and_then(Value::as_u64).unwrap_or(0);
    let looks = ["pattern", "format"].iter().any(|key| map.contains_key(*key));
    if is_of(map, "string") {
        let shortest = least(map, "minLength");
        match change {
            Change::Tighten(bounds) => {
                let anywhere = map
                    .get("pattern")
                    .and_then(Value::as_str)
                    .is_some_and(|pattern| !pattern.starts_with('^'));
                let most = if anywhere {
                    bounds.search
                } else if looks {
                    bounds.pattern
                } else {
                    bounds.string
                };
                map.entry("maxLength").or_insert_with(|| json!(most.max(shortest)));
            }
            Change::Smallest if !looks => {
                map.insert("maxLength".into(), json!(shortest));
            }
            Change::Smallest => {}
        }
    }
    if is_of(map, "array") {
        let fewest = least(map, "minItems");
        match change {
            Change::Tighten(bounds) => {
                map.entry("maxItems").or_insert_with(|| json!(bounds.items.max(fewest)));
            }
            Change::Smallest => {
                map.insert("maxItems".into(), json!(fewest));
            }
        }
    }
    let parts = ["allOf", "anyOf", "oneOf", "$ref"].iter().any(|key| map.contains_key(*key));
    let untyped = !map.contains_key("type") && !parts && !map.keys().all(|key| is_note(key));
    if is_of(map, "number") || is_of(map, "integer") || untyped {
        let end = |map: &Map<String, Value>, keys: [&str; 2]| {
            keys.iter().find_map(|key| map.get(*key).and_then(Value::as_f64))
        };
        let low = end(map, ["minimum", "exclusiveMinimum"]);
        let high = end(map, ["maximum", "exclusiveMaximum"]);
        let open = NUMBER as f64;
        if high.is_none() && low.is_none_or(|low| low < open) {
            map.insert("maximum".into(), json!(NUMBER));
        }
        if low.is_none() && high.is_none_or(|high| high > -open) {
            map.insert("minimum".into(), json!(-NUMBER));
        }
    }
}

fn close(map: &mut Map<String, Value>, change: Change) {
    if !is_of(map, "object") && !is_of(map, "array") && !map.contains_key("properties") {
        return;
    }
    if matches!(change, Change::Tighten(_)) && is_of(map, "array") {
        let said = ["items", "prefixItems", "additionalItems"].iter().any(|key| map.contains_key(*key));
        if !said {
            map.insert("items".into(), any_ref());
        }
    }
    let named = map.get("properties").and_then(Value::as_object);
    let required: Vec<&str> = map
        .get("required")
        .and_then(Value::as_array)
        .map_or_else(Vec::new, |names| names.iter().filter_map(Value::as_str).collect());
    let all_named = required.iter().all(|name| named.is_some_and(|named| named.contains_key(*name)));
    let counted = map.contains_key("minProperties") || map.contains_key("maxProperties");
    let patterns = map.contains_key("patternProperties");
    let open = map.get("additionalProperties").is_none_or(is_open);
    let untyped = map.contains_key("properties") && !map.contains_key("type");
    if !is_of(map, "object") && !untyped {
        return;
    }
    match change {
        Change::Tighten(_) if open && all_named && named.is_some() && !counted && !patterns => {
            map.insert("additionalProperties".into(), Value::Bool(false));
        }
        Change::Tighten(_) if open => {
            map.insert("additionalProperties".into(), any_ref());
        }
        Change::Smallest if all_named && !counted => {
            let required: Vec<String> = required.into_iter().map(str::to_owned).collect();
            if let Some(Value::Object(named)) = map.get_mut("properties") {
                named.retain(|name, _| required.contains(name));
            }
            map.shift_remove("patternProperties");
            map.insert("additionalProperties".into(), Value::Bool(false));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: Bounds = Bounds { string: 5, pattern: 4, search: 3, items: 2 };

    #[test]
    fn what_is_open_is_closed_and_bounded() {
        let schema = json!({
            "type": "object",
            "properties": {
                "a": {"type": "string"},
                "b": {"type": "array", "items": {"type": "string", "pattern": "x"}},
                "c": {"type": "integer", "minimum": 0}
            }
        });
        assert_eq!(
            tighten(&schema, FEW),
            json!({
                "type": "object",
                "properties": {
                    "a": {"type": "string", "maxLength": 5},
                    "b": {"type": "array", "items": {"type": "string", "pattern": "x", "maxLength": 3}, "maxItems": 2},
                    "c": {"type": "integer", "minimum": 0, "maximum": NUMBER}
                },
                "additionalProperties": false,
                "$defs": {}
            })
        );
    }

    #[test]
    fn what_must_fit_more_than_one_part_is_bounded_and_not_closed() {
        let schema = json!({
            "allOf": [{"$ref": "#/$defs/a"}, {"properties": {"b": {"type": "string"}}}],
            "$defs": {"a": {"type": "object", "properties": {"a": {"type": "string"}}}}
        });
        let tight = tighten(&schema, FEW);
        assert_eq!(
            tight["allOf"][1],
            json!({"properties": {"b": {"type": "string", "maxLength": 5}}, "minimum": -NUMBER, "maximum": NUMBER})
        );
        assert_eq!(
            tight["$defs"]["a"],
            json!({"type": "object", "properties": {"a": {"type": "string", "maxLength": 5}}})
        );
    }

    #[test]
    fn the_smallest_has_only_what_is_required() {
        let schema = json!({
            "type": "object",
            "properties": {"more": {"$ref": "#"}, "name": {"type": "string", "minLength": 2}},
            "required": ["name"]
        });
        assert_eq!(
            smallest(&schema),
            json!({
                "type": "object",
                "properties": {"name": {"type": "string", "minLength": 2, "maxLength": 2}},
                "required": ["name"],
                "additionalProperties": false
            })
        );
    }
}
