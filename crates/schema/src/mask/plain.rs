//! A schema said in the words that masks know: what fits the result fits the original and the other way round. What
//! would be read in another way than the validator reads it is refused.

use serde_json::{Map, Value, json};

use super::Policy;
use crate::lower::{Document, are_disjoint};
use crate::validate::{old_draft, spell_nullable};

/// Most levels that are walked into.
const NESTED: usize = 128;
/// Most alternatives that one keyword is written out into.
const ALTERNATIVES: usize = 24;
/// Most `dependencies` of one object that are written out: each doubles the alternatives.
const DEPENDENCIES: usize = 5;
/// Below it, every whole number is the same as a float.
const EXACT: f64 = 9_007_199_254_740_992.0;
/// Formats that JSON Schema defines; any other says nothing about what fits.
const FORMATS: [&str; 19] = [
    "date-time",
    "date",
    "time",
    "duration",
    "email",
    "idn-email",
    "hostname",
    "idn-hostname",
    "ipv4",
    "ipv6",
    "uri",
    "uri-reference",
    "iri",
    "iri-reference",
    "uri-template",
    "json-pointer",
    "relative-json-pointer",
    "regex",
    "uuid",
];

/// Keywords whose values are values, not schemas.
pub(super) fn is_data(key: &str) -> bool {
    matches!(key, "enum" | "const" | "default" | "examples" | "example")
}

/// Keywords whose values are schemas by name.
pub(super) fn is_named(key: &str) -> bool {
    matches!(
        key,
        "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas" | "dependencies"
    )
}

/// The same schema, plainer.
///
/// # Errors
/// With the reason when masks would misread it.
pub(super) fn plain(schema: &Value, policy: Policy) -> Result<Value, String> {
    let mut root = schema.clone();
    spell_nullable(&mut root, NESTED);
    if root.get("$schema").is_none()
        && let Some(draft) = old_draft(&root, NESTED)
        && let Value::Object(map) = &mut root
    {
        let number = if matches!(draft, jsonschema::Draft::Draft4) { "04" } else { "07" };
        map.insert("$schema".into(), format!("http://json-schema.org/draft-{number}/schema#").into());
    }
    let named = root.get("$schema").and_then(Value::as_str).unwrap_or_default();
    let id = if named.contains("/draft-04/") { "id" } else { "$id" };
    let mut moved = Map::new();
    if policy == Policy::Strict {
        count(&root, NESTED)?;
    }
    check(&root.clone(), &mut root, &mut moved, id, false, NESTED)?;
    if !moved.is_empty()
        && let Value::Object(map) = &mut root
        && let Value::Object(defs) = map.entry("$defs").or_insert_with(|| json!({}))
    {
        defs.extend(moved);
    }
    let whole = root.clone();
    let document = Document::new(&whole);
    let told = Told { whole: &whole, lone_refs: document.lone_refs };
    told.spell(&mut root, NESTED);
    Ok(root)
}

/// Refuses what would be misread, and moves targets of references that are spelled with escapes to a plain name.
fn check(
    root: &Value,
    schema: &mut Value,
    moved: &mut Map<String, Value>,
    id: &str,
    inside: bool,
    left: usize,
) -> Result<(), String> {
    if left == 0 {
        return Err(format!("it is nested deeper than {NESTED} levels"));
    }
    match schema {
        Value::Object(map) => {
            let scoped = left != NESTED
                && (map.get(id).and_then(Value::as_str)).is_some_and(|id| !id.starts_with('#'));
            let inside = inside || scoped;
            if let Some(Value::String(to)) = map.get_mut("$ref") {
                if inside {
                    return Err(format!("`{to}` is inside of a schema with an `{id}` of its own"));
                }
                if to.contains('%') {
                    return Err(format!("`{to}` is spelled with percent escapes"));
                }
                if to.contains('~') {
                    let target = to.strip_prefix('#').and_then(|at| root.pointer(at));
                    let target = target.ok_or_else(|| format!("`{to}` refers to nothing"))?;
                    let name = format!("plain {}", to.replace('~', "-").replace('/', " "));
                    if moved.get(&name).is_some_and(|other| other != target) {
                        return Err(format!("`{to}` cannot be spelled plainly"));
                    }
                    moved.insert(name.clone(), target.clone());
                    *to = format!("#/$defs/{name}");
                }
            }
            for (key, inner) in map.iter_mut() {
                match key.as_str() {
                    key if is_named(key) && inner.is_object() => inner
                        .as_object_mut()
                        .into_iter()
                        .flat_map(|named| named.values_mut())
                        .try_for_each(|schema| check(root, schema, moved, id, inside, left - 1))?,
                    key if is_data(key) => {}
                    _ => check(root, inner, moved, id, inside, left - 1)?,
                }
            }
            Ok(())
        }
        Value::Array(items) => {
            items.iter_mut().try_for_each(|item| check(root, item, moved, id, inside, left - 1))
        }
        _ => Ok(()),
    }
}

/// Refuses what a mask would take too much for, where answers may not be validated.
fn count(schema: &Value, left: usize) -> Result<(), String> {
    match schema {
        _ if left == 0 => Ok(()),
        Value::Object(map) => {
            for (key, inner) in map {
                match key.as_str() {
                    "default" | "examples" | "example" => {}
                    "enum" | "const" => exact(inner)?,
                    "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => exact(inner)?,
                    _ => {}
                }
                match inner {
                    Value::Object(named) if is_named(key) => {
                        named.values().try_for_each(|schema| count(schema, left - 1))?;
                    }
                    inner if !is_data(key) => count(inner, left - 1)?,
                    _ => {}
                }
            }
            uncounted(map)
        }
        Value::Array(items) => items.iter().try_for_each(|item| count(item, left - 1)),
        _ => Ok(()),
    }
}

/// Masks compare numbers as floats.
fn exact(value: &Value) -> Result<(), String> {
    match value {
        Value::Number(number) if !number.is_f64() && number.as_f64().is_none_or(|n| n.abs() >= EXACT) => {
            Err(format!("{number} is too large a whole number to be held exactly"))
        }
        Value::Array(items) => items.iter().try_for_each(exact),
        Value::Object(map) => map.values().try_for_each(exact),
        _ => Ok(()),
    }
}

/// Properties that are not named can come twice in a mask, and count once in a value.
fn uncounted(map: &Map<String, Value>) -> Result<(), String> {
    let least = map.get("minProperties").and_then(Value::as_u64).unwrap_or(0);
    let required = map.get("required").and_then(Value::as_array).map_or(0, Vec::len) as u64;
    if least > 1 && least > required {
        return Err("a `minProperties` of more than one is not held".into());
    }
    Ok(())
}

/// What is known of the whole while parts are spelled anew.
struct Told<'s> {
    whole: &'s Value,
    lone_refs: bool,
}

impl Told<'_> {
    fn spell(&self, schema: &mut Value, left: usize) {
        let Value::Object(map) = schema else { return };
        if left == 0 {
            return;
        }
        if self.lone_refs && map.get("$ref").is_some_and(Value::is_string) {
            map.retain(|key, _| {
                matches!(key.as_str(), "$ref" | "$schema" | "$id" | "id" | "$defs" | "definitions")
            });
        }
        self.one_of(map);
        for (key, inner) in map.iter_mut() {
            match (key.as_str(), inner) {
                (key, Value::Object(named)) if is_named(key) => {
                    named.values_mut().for_each(|schema| self.spell(schema, left - 1));
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
                    Value::Array(list) => list.iter_mut().for_each(|schema| self.spell(schema, left - 1)),
                    inner => self.spell(inner, left - 1),
                },
                _ => {}
            }
        }
        format(map);
        patterns(map);
        unique(map);
        depends(map);
        self.names(map);
        negation(map);
    }

    /// `oneOf` is `anyOf` where no value fits two, or where its parts only require properties.
    fn one_of(&self, map: &mut Map<String, Value>) {
        let Some(Value::Array(variants)) = map.get("oneOf") else { return };
        let instead = match requiring(variants) {
            Some(any) => any,
            None => {
                let around: Map<String, Value> = map
                    .iter()
                    .filter(|(key, _)| matches!(key.as_str(), "type" | "properties" | "required"))
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect();
                if !are_disjoint(self.whole, &Value::Object(around), variants) {
                    return;
                }
                json!(variants)
            }
        };
        if map.contains_key("anyOf") {
            map.shift_remove("oneOf");
            also(map, json!({ "anyOf": instead }));
        } else {
            // In its place: names are held in the order in which a schema names them.
            let old = std::mem::take(map);
            map.extend(old.into_iter().map(|(key, value)| match key.as_str() {
                "oneOf" => ("anyOf".to_owned(), instead.clone()),
                _ => (key, value),
            }));
        }
    }

    /// `propertyNames` that is a pattern, or a list of names, of an object that names nothing else.
    fn names(&self, map: &mut Map<String, Value>) {
        let Some(mut names) = map.get("propertyNames") else { return };
        if ["properties", "patternProperties", "required", "minProperties", "maxProperties"]
            .iter()
            .any(|key| map.contains_key(*key))
        {
            return;
        }
        let target = names.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix('#'));
        if names.as_object().is_some_and(|map| map.len() == 1)
            && let Some(target) = target.and_then(|at| self.whole.pointer(at))
        {
            names = target;
        }
        let Some(rule) = names.as_object() else { return };
        let known = |key: &str| {
            matches!(key, "type" | "pattern" | "enum" | "description" | "title" | "$comment" | "examples")
        };
        if !rule.keys().all(|key| known(key)) || rule.get("type").is_some_and(|kind| kind != "string") {
            return;
        }
        let value = map.get("additionalProperties").cloned().unwrap_or(Value::Bool(true));
        match (rule.get("pattern"), rule.get("enum").and_then(Value::as_array)) {
            (None, None) => {}
            (Some(Value::String(pattern)), None) => {
                map.insert("patternProperties".into(), json!({ pattern.clone(): value }));
                map.insert("additionalProperties".into(), Value::Bool(false));
            }
            (None, Some(names)) => {
                let named: Option<Map<String, Value>> =
                    names.iter().map(|name| Some((name.as_str()?.to_owned(), value.clone()))).collect();
                let Some(named) = named else { return };
                map.insert("properties".into(), Value::Object(named));
                map.insert("additionalProperties".into(), Value::Bool(false));
            }
            _ => return,
        }
        map.shift_remove("propertyNames");
    }
}

/// Adds a schema that must be fitted too.
fn also(map: &mut Map<String, Value>, schema: Value) {
    if let Value::Array(all) = map.entry("allOf").or_insert_with(|| json!([])) {
        all.push(schema);
    }
}

/// The required names of a schema that says nothing else but that it is of an object.
fn only_required(schema: &Value) -> Option<(Vec<&str>, bool)> {
    let map = schema.as_object()?;
    let known = |key: &str| matches!(key, "required" | "type" | "description" | "title" | "$comment");
    let of_object = match map.get("type") {
        None => false,
        Some(kind) if kind == "object" => true,
        Some(_) => return None,
    };
    let names: Vec<&str> =
        map.get("required")?.as_array()?.iter().map(Value::as_str).collect::<Option<_>>()?;
    (map.keys().all(|key| known(key)) && !names.is_empty()).then_some((names, of_object))
}

/// Exactly one of some lists of names is there: for each list, it is, and of each other a name is not.
fn requiring(variants: &[Value]) -> Option<Value> {
    let lists: Vec<Vec<&str>> =
        variants.iter().map(|variant| Some(only_required(variant)?.0)).collect::<Option<_>>()?;
    if lists.len() < 2 {
        return None;
    }
    let mut any = Vec::new();
    for (n, list) in lists.iter().enumerate() {
        let mut absent: Vec<Vec<&str>> = vec![Vec::new()];
        for (_, other) in lists.iter().enumerate().filter(|(other, _)| *other != n) {
            let free: Vec<&str> = other.iter().copied().filter(|name| !list.contains(name)).collect();
            absent = absent
                .iter()
                .flat_map(|names| free.iter().map(|name| [names.as_slice(), &[*name]].concat()))
                .collect();
            if absent.len() + any.len() > ALTERNATIVES {
                return None;
            }
        }
        any.extend(absent.into_iter().map(|names| {
            let never: Map<String, Value> =
                names.into_iter().map(|name| (name.to_owned(), Value::Bool(false))).collect();
            json!({ "type": "object", "required": list, "properties": never })
        }));
    }
    Some(if any.is_empty() { json!([false]) } else { Value::Array(any) })
}

/// A format that nothing defines says nothing.
fn format(map: &mut Map<String, Value>) {
    if map.get("format").and_then(Value::as_str).is_some_and(|name| !FORMATS.contains(&name)) {
        map.shift_remove("format");
    }
}

/// A dot is no end of a line, of which a mask knows one only.
fn patterns(map: &mut Map<String, Value>) {
    if let Some(Value::String(pattern)) = map.get_mut("pattern") {
        *pattern = dots(pattern);
    }
    if let Some(Value::Object(named)) = map.get_mut("patternProperties") {
        *named = std::mem::take(named).into_iter().map(|(name, schema)| (dots(&name), schema)).collect();
    }
}

fn dots(pattern: &str) -> String {
    let (mut new, mut escaped, mut class) = (String::with_capacity(pattern.len()), false, false);
    for c in pattern.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => class = true,
            ']' => class = false,
            '.' if !class => {
                new.push_str("[^\\n\\r\u{2028}\u{2029}]");
                continue;
            }
            _ => {}
        }
        new.push(c);
    }
    new
}

/// Items are unique where that is not asked for, or there is at most one.
fn unique(map: &mut Map<String, Value>) {
    let most = map.get("maxItems").and_then(Value::as_u64);
    match map.get("uniqueItems") {
        Some(Value::Bool(false)) => {}
        Some(Value::Bool(true)) if most.is_some_and(|most| most <= 1) => {}
        _ => return,
    }
    map.shift_remove("uniqueItems");
}

/// What depends on a property: it is not there, or the rest holds.
fn depends(map: &mut Map<String, Value>) {
    // A property of this name is no keyword; nor is a keyword what is no object.
    let parts: Vec<(&str, Map<String, Value>)> = ["dependencies", "dependentRequired", "dependentSchemas"]
        .into_iter()
        .filter_map(|key| Some((key, map.get(key)?.as_object()?.clone())))
        .collect();
    let count: usize = parts.iter().map(|(_, part)| part.len()).sum();
    if count > DEPENDENCIES || !parts.iter().all(|(_, part)| part.values().all(|v| !v.is_string())) {
        return;
    }
    for (key, part) in parts {
        map.shift_remove(key);
        for (name, needs) in part {
            let there = match needs {
                Value::Array(mut names) => {
                    names.push(name.clone().into());
                    json!({ "required": names })
                }
                schema => json!({ "allOf": [{ "required": [name] }, schema] }),
            };
            also(map, json!({ "anyOf": [{ "properties": { name: false } }, there] }));
        }
    }
}

/// `not` of required names, of types, or of any of such.
fn negation(map: &mut Map<String, Value>) {
    let Some(parts) = map.get("not").and_then(denied) else { return };
    map.shift_remove("not");
    parts.into_iter().for_each(|part| also(map, part));
}

/// What all must be fitted where this schema must not be.
fn denied(schema: &Value) -> Option<Vec<Value>> {
    const TYPES: [&str; 6] = ["null", "boolean", "number", "string", "array", "object"];
    if let Some((names, of_object)) = only_required(schema) {
        let mut any: Vec<Value> =
            names.iter().map(|name| json!({ "type": "object", "properties": { *name: false } })).collect();
        if of_object {
            any.push(json!({ "type": TYPES.iter().filter(|kind| **kind != "object").collect::<Vec<_>>() }));
        }
        return Some(vec![json!({ "anyOf": any })]);
    }
    let map = schema.as_object()?;
    let (key, value) = map.iter().next()?;
    match (map.len(), key.as_str(), value) {
        (1, "anyOf", Value::Array(list)) => {
            let all: Vec<Vec<Value>> = list.iter().map(denied).collect::<Option<_>>()?;
            Some(all.concat())
        }
        (1, "type", value) => {
            let kinds: Vec<&str> = match value {
                Value::String(kind) => vec![kind],
                Value::Array(kinds) => kinds.iter().map(Value::as_str).collect::<Option<_>>()?,
                _ => return None,
            };
            // A number that is not whole cannot be named.
            if !kinds.iter().all(|kind| TYPES.contains(kind)) {
                return None;
            }
            let rest: Vec<&str> = TYPES.into_iter().filter(|kind| !kinds.contains(kind)).collect();
            Some(vec![if rest.is_empty() { Value::Bool(false) } else { json!({ "type": rest }) }])
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn becomes(schema: &Value, expected: &Value) {
        assert_eq!(plain(schema, Policy::Strict).as_ref(), Ok(expected));
    }

    #[test]
    fn variants_that_no_value_fits_twice_are_any() {
        becomes(
            &json!({
                "type": "object",
                "oneOf": [
                    { "properties": { "kind": { "const": "a" } }, "required": ["kind"] },
                    { "properties": { "kind": { "const": "b" } }, "required": ["kind"] }
                ]
            }),
            &json!({
                "type": "object",
                "anyOf": [
                    { "properties": { "kind": { "const": "a" } }, "required": ["kind"] },
                    { "properties": { "kind": { "const": "b" } }, "required": ["kind"] }
                ]
            }),
        );
        let overlapping = json!({ "oneOf": [{ "type": "integer" }, { "type": "number" }] });
        becomes(&overlapping, &overlapping);
    }

    #[test]
    fn exactly_one_of_some_names_is_written_out() {
        becomes(
            &json!({ "oneOf": [{ "required": ["a", "c"] }, { "required": ["b", "c"] }] }),
            &json!({ "anyOf": [
                { "type": "object", "required": ["a", "c"], "properties": { "b": false } },
                { "type": "object", "required": ["b", "c"], "properties": { "a": false } }
            ] }),
        );
    }

    #[test]
    fn what_says_nothing_is_left_out_and_what_is_not_held_stays() {
        becomes(
            &json!({ "type": "string", "format": "expose", "pattern": "a.[.]\\." }),
            &json!({ "type": "string", "pattern": "a[^\\n\\r\u{2028}\u{2029}][.]\\." }),
        );
        becomes(&json!({ "uniqueItems": true, "maxItems": 1 }), &json!({ "maxItems": 1 }));
        for stays in [
            json!({ "format": "uri-reference" }),
            json!({ "uniqueItems": true }),
            json!({ "not": { "type": "integer" } }),
            json!({ "if": {}, "then": false }),
        ] {
            becomes(&stays, &stays);
        }
    }

    #[test]
    fn old_references_stand_alone() {
        let schema = json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "properties": { "a": { "$ref": "#/definitions/a", "type": "null" } },
            "definitions": { "a": { "type": "string" } }
        });
        let plain = plain(&schema, Policy::Strict).unwrap();
        assert_eq!(plain["properties"]["a"], json!({ "$ref": "#/definitions/a" }));
    }

    #[test]
    fn what_would_be_misread_is_refused() {
        for (schema, word) in [
            (
                json!({
                    "properties": { "a": { "$id": "http://example.com/a", "properties": { "b": { "$ref": "#/$defs/x" } } } },
                    "$defs": { "x": { "type": "string" } }
                }),
                "an `$id` of its own",
            ),
            (json!({ "$ref": "#/$defs/a%20b" }), "percent"),
            (json!({ "const": 9_007_199_254_740_993_u64 }), "too large"),
            (json!({ "properties": { "default": { "const": 9_007_199_254_740_993_u64 } } }), "too large"),
            (json!({ "type": "object", "minProperties": 2 }), "minProperties"),
        ] {
            let refused = plain(&schema, Policy::Strict).unwrap_err();
            assert!(refused.contains(word), "{refused}");
        }
    }
}
