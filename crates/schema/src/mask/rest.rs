//! How long the rest of an answer can be at most, told from the schema alone. While that is within the limit nothing
//! needs to be searched for. Tells nothing of a schema in which values must fit more than one part, or with patterns.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::plain::is_data;

/// Most levels that are walked into.
const NESTED: usize = 128;
/// Rounds in which the smallest values of definitions that refer to each other are found.
const ROUNDS: usize = 64;
/// Most bytes of a character as it is written, and of one that is half written.
const CHARACTER: u64 = 12;
/// A rest that is too long to be told.
const ENDLESS: u64 = u64::MAX / 4;

/// A bound of the shortest rest: what a level adds for each object or array that is open, and what the value adds in which
/// the text ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rest {
    level: u64,
    value: u64,
}

impl Rest {
    /// Of a schema, where it can be told.
    pub(super) fn of(root: &Value) -> Option<Self> {
        let mut known = Known { root, smallest: BTreeMap::new() };
        known.gather(root, NESTED)?;
        for _ in 0..ROUNDS {
            let mut changed = false;
            let names: Vec<String> = known.smallest.keys().cloned().collect();
            for name in names {
                let target = name.strip_prefix('#').and_then(|at| root.pointer(at))?;
                let least = known.least(target, NESTED)?;
                changed |= known.smallest.insert(name, least) != Some(least);
            }
            if !changed {
                break;
            }
        }
        let mut rest = Self { level: 0, value: 0 };
        known.rest(root, &mut rest, NESTED)?;
        for name in known.smallest.keys() {
            let target = name.strip_prefix('#').and_then(|at| root.pointer(at))?;
            known.rest(target, &mut rest, NESTED)?;
        }
        // A way out takes required names first; it must not take them where they need not be.
        let mut names = Required::default();
        names.gather(root, NESTED);
        let clear = names.free.is_disjoint(&names.needed);
        (clear && rest.level < ENDLESS && rest.value < ENDLESS).then_some(rest)
    }

    /// The most bytes that the shortest rest has where so many objects and arrays are open.
    pub(super) fn most(self, open: usize) -> usize {
        let most = self.level.saturating_mul(open as u64 + 1).saturating_add(self.value);
        usize::try_from(most).unwrap_or(usize::MAX)
    }
}

/// Names that some object of a schema must have, and that some need not have.
#[derive(Default)]
pub(super) struct Required<'s> {
    pub(super) needed: BTreeSet<&'s str>,
    free: BTreeSet<&'s str>,
}

impl<'s> Required<'s> {
    pub(super) fn gather(&mut self, schema: &'s Value, left: usize) {
        match schema {
            _ if left == 0 => {}
            Value::Object(map) => {
                let required = map.get("required").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                self.needed.extend(required.iter().filter_map(Value::as_str));
                let named = map.get("properties").and_then(Value::as_object);
                self.free.extend(
                    named
                        .into_iter()
                        .flat_map(|named| named.keys())
                        .map(String::as_str)
                        .filter(|name| !required.iter().any(|required| required == name)),
                );
                map.iter()
                    .filter(|(key, _)| !is_data(key))
                    .for_each(|(_, inner)| self.gather(inner, left - 1));
            }
            Value::Array(items) => items.iter().for_each(|item| self.gather(item, left - 1)),
            _ => {}
        }
    }
}

struct Known<'s> {
    root: &'s Value,
    /// The size of the smallest value, by reference.
    smallest: BTreeMap<String, u64>,
}

/// The keywords that are understood, by what they are about.
fn is_understood(map: &Map<String, Value>) -> bool {
    const SAID: [&str; 15] = [
        "type",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "minItems",
        "maxItems",
        "minLength",
        "maxLength",
        "minimum",
        "maximum",
        "enum",
        "const",
        "anyOf",
        "$ref",
    ];
    const NOTES: [&str; 12] = [
        "$schema",
        "$id",
        "id",
        "writeOnly",
        "$comment",
        "$defs",
        "definitions",
        "title",
        "description",
        "default",
        "examples",
        "readOnly",
    ];
    let said = map.keys().filter(|key| !NOTES.contains(&key.as_str())).count();
    let known = map.keys().filter(|key| SAID.contains(&key.as_str())).count();
    // What stands for a value by itself must not have to agree with more.
    let whole = ["enum", "const", "anyOf", "$ref"].iter().filter(|key| map.contains_key(**key)).count();
    said == known && (whole == 0 || said == 1 || (said == 2 && map.contains_key("type") && agrees(map)))
}

/// Whether all listed values are of the type.
fn agrees(map: &Map<String, Value>) -> bool {
    let kind = |value: &Value| match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let values = map.get("enum").and_then(Value::as_array).map(Vec::as_slice);
    let values = values.or_else(|| map.get("const").map(std::slice::from_ref));
    let (Some(values), Some(Value::String(said))) = (values, map.get("type")) else { return false };
    values.iter().all(|value| kind(value) == said)
}

fn written(value: &Value) -> u64 {
    value.to_string().len() as u64 * 2
}

fn count(map: &Map<String, Value>, key: &str) -> u64 {
    map.get(key).and_then(Value::as_u64).unwrap_or(0)
}

impl Known<'_> {
    /// Notes all references; nothing where a part is not understood.
    fn gather(&mut self, schema: &Value, left: usize) -> Option<()> {
        let Value::Object(map) = schema else { return schema.is_boolean().then_some(()) };
        if left == 0 || !is_understood(map) {
            return None;
        }
        if let Some(to) = map.get("$ref") {
            let to = to.as_str()?;
            if self.smallest.insert(to.to_owned(), ENDLESS).is_none() {
                let target = to.strip_prefix('#').and_then(|at| self.root.pointer(at))?;
                self.gather(target, left - 1)?;
            }
        }
        children(map).into_iter().try_for_each(|schema| self.gather(schema, left - 1))
    }

    /// The size of the smallest value; nothing where some part has none.
    fn least(&self, schema: &Value, left: usize) -> Option<u64> {
        let Value::Object(map) = schema else {
            return Some(if *schema == Value::Bool(true) { 4 } else { ENDLESS });
        };
        let left = left.checked_sub(1)?;
        if let Some(to) = map.get("$ref").and_then(Value::as_str) {
            return self.smallest.get(to).copied();
        }
        if let Some(Value::Array(any)) = map.get("anyOf") {
            let all: Vec<u64> = any.iter().map(|schema| self.least(schema, left)).collect::<Option<_>>()?;
            return all.into_iter().min();
        }
        if let Some(values) = map.get("enum").and_then(Value::as_array) {
            return values.iter().map(written).max();
        }
        if let Some(value) = map.get("const") {
            return Some(written(value));
        }
        let kinds: Vec<&str> = match map.get("type") {
            Some(Value::String(kind)) => vec![kind],
            Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
            _ => vec!["null"],
        };
        let sizes =
            kinds.into_iter().map(|kind| self.least_of(map, kind, left)).collect::<Option<Vec<_>>>()?;
        sizes.into_iter().min()
    }

    fn least_of(&self, map: &Map<String, Value>, kind: &str, left: usize) -> Option<u64> {
        Some(
            match kind {
                "null" | "boolean" => 5,
                "number" | "integer" => number(map, kind)?,
                "string" => {
                    let least = count(map, "minLength");
                    if map.get("maxLength").and_then(Value::as_u64).is_some_and(|most| most < least) {
                        return Some(ENDLESS);
                    }
                    2 + least.saturating_mul(CHARACTER)
                }
                "array" => self.of_array(map, left)?.saturating_add(2),
                "object" => self.of_object(map, left)?.saturating_add(2),
                _ => return None,
            }
            .min(ENDLESS),
        )
    }

    fn of_array(&self, map: &Map<String, Value>, left: usize) -> Option<u64> {
        let least = count(map, "minItems");
        if map.get("maxItems").and_then(Value::as_u64).is_some_and(|most| most < least) {
            return Some(ENDLESS);
        }
        if least == 0 {
            return Some(0);
        }
        let item = map.get("items").map_or(Some(4), |schema| self.least(schema, left))?;
        Some(item.saturating_add(1).saturating_mul(least).min(ENDLESS))
    }

    fn of_object(&self, map: &Map<String, Value>, left: usize) -> Option<u64> {
        let named = map.get("properties").and_then(Value::as_object);
        let required = map.get("required").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let mut sum: u64 = 0;
        for name in required {
            let name = name.as_str()?;
            let schema = named.and_then(|named| named.get(name)).or_else(|| map.get("additionalProperties"));
            let value = schema.map_or(Some(4), |schema| self.least(schema, left))?;
            sum = sum.saturating_add(key(name)).saturating_add(value);
        }
        Some(sum.min(ENDLESS))
    }

    /// Widens the rest by what this schema and those in it can leave open.
    fn rest(&self, schema: &Value, rest: &mut Rest, left: usize) -> Option<()> {
        let Value::Object(map) = schema else {
            rest.value = rest.value.max(CHARACTER + 8);
            return Some(());
        };
        let left = left.checked_sub(1)?;
        let own = |kind: &str| match map.get("type") {
            Some(Value::String(one)) => one == kind,
            Some(Value::Array(kinds)) => kinds.iter().any(|one| one == kind),
            _ => true,
        };
        let listed = map.get("enum").and_then(Value::as_array).map(Vec::as_slice);
        let listed = listed.or_else(|| map.get("const").map(std::slice::from_ref)).unwrap_or(&[]);
        let mut value = listed.iter().map(written).max().unwrap_or(0).max(8);
        if own("string") {
            value = value.max(CHARACTER + 2 + count(map, "minLength").saturating_mul(CHARACTER));
        }
        if own("number") || own("integer") {
            value = value.max(number(map, "number")?);
        }
        rest.value = rest.value.max(value);
        // A value that was begun may be any of those that are below, whole.
        let below = children(map)
            .into_iter()
            .filter(|schema| **schema != Value::Bool(false))
            .map(|schema| self.least(schema, left))
            .collect::<Option<Vec<_>>>()?
            .into_iter()
            .max()
            .unwrap_or(4);
        let named = map.get("properties").and_then(Value::as_object);
        let longest = named.map_or(0, |named| named.keys().map(|name| key(name)).max().unwrap_or(0));
        let must = self.of_object(map, left)?.saturating_add(self.of_array(map, left)?);
        // A mask lets a value begin that cannot end.
        if must >= ENDLESS || below >= ENDLESS {
            return None;
        }
        rest.level = rest.level.max(must + below + longest + CHARACTER + 8);
        children(map).into_iter().try_for_each(|schema| self.rest(schema, rest, left))
    }
}

/// The schemas in a schema, but for its definitions.
fn children(map: &Map<String, Value>) -> Vec<&Value> {
    let named = map.get("properties").and_then(Value::as_object).into_iter().flat_map(|named| named.values());
    let any = map.get("anyOf").and_then(Value::as_array).into_iter().flatten();
    let rest = ["items", "additionalProperties"].into_iter().filter_map(|key| map.get(key));
    named.chain(any).chain(rest).collect()
}

fn key(name: &str) -> u64 {
    name.len() as u64 * 2 + 4
}

/// Bytes of a number within its bounds; nothing where no whole number may be between them.
fn number(map: &Map<String, Value>, kind: &str) -> Option<u64> {
    let end = |key: &str| map.get(key).map(|end| end.as_f64());
    let (low, high) = (end("minimum"), end("maximum"));
    let (low, high) = (low.unwrap_or(Some(0.0))?, high.unwrap_or(Some(0.0))?);
    if map.contains_key("minimum") && map.contains_key("maximum") && low > high {
        return Some(ENDLESS);
    }
    if kind == "integer"
        && map.contains_key("minimum")
        && map.contains_key("maximum")
        && low.ceil() > high.floor()
    {
        return Some(ENDLESS);
    }
    Some(low.to_string().len().max(high.to_string().len()) as u64 + 8)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_level_that_is_open_adds_what_it_still_needs() {
        let schema = json!({
            "type": "object",
            "properties": { "child": { "$ref": "#" }, "name": { "type": "string", "minLength": 3 } },
            "required": ["name"],
            "additionalProperties": false
        });
        let rest = Rest::of(&schema).unwrap();
        assert!(rest.most(2) - rest.most(1) == rest.most(1) - rest.most(0));
        assert!(rest.most(0) >= r#"{"name":"abc"}"#.len() && rest.most(0) < 400, "{}", rest.most(0));
    }

    #[test]
    fn of_what_is_not_understood_nothing_is_told() {
        for schema in [
            json!({ "type": "string", "pattern": "a" }),
            json!({ "allOf": [{ "type": "string" }] }),
            json!({ "anyOf": [{ "type": "string" }], "minLength": 3 }),
            json!({ "type": "object", "patternProperties": { "a": {} } }),
        ] {
            assert_eq!(Rest::of(&schema), None, "{schema}");
        }
    }

    #[test]
    fn of_a_value_that_can_begin_and_never_end_nothing_is_told() {
        let schema = json!({
            "type": "object",
            "properties": { "a": { "$ref": "#" } },
            "required": ["a"]
        });
        assert_eq!(Rest::of(&schema), None);
        let begun = json!({ "type": "object", "properties": { "a": schema } });
        assert_eq!(Rest::of(&begun), None);
    }
}
