//! The schema as a document: where its parts are, and what a reference in it leads to. Follows no reference out of
//! the document.

use std::collections::HashMap;
use std::rc::Rc;

use serde_json::Value;

/// A place in the original, as a JSON pointer.
pub(super) type At = Rc<str>;

/// Keywords whose values are values, not schemas.
const DATA: [&str; 5] = ["enum", "const", "default", "examples", "example"];

pub(crate) struct Document<'s> {
    root: &'s Value,
    /// `$ref` stands alone: what is beside it does not count (up to draft 7).
    pub(crate) lone_refs: bool,
    /// Schemas with an id of their own, and with an anchor, by the text that refers to them.
    named: HashMap<String, (&'s Value, At)>,
    /// Where the schemas with an id are, but for the root: pointers in them start there.
    resources: Vec<(At, &'s Value)>,
}

impl<'s> Document<'s> {
    pub(crate) fn new(root: &'s Value) -> Self {
        let draft = root.get("$schema").and_then(Value::as_str).unwrap_or_default();
        let lone_refs = ["draft-03", "draft-04", "draft-05", "draft-06", "draft-07"]
            .iter()
            .any(|old| draft.contains(&format!("/{old}/")));
        let mut document = Self { root, lone_refs, named: HashMap::new(), resources: Vec::new() };
        let id = if draft.contains("/draft-03/") || draft.contains("/draft-04/") { "id" } else { "$id" };
        if names_one(root, id, DEPTH) {
            document.index(root, &mut String::new(), id, DEPTH);
        }
        document
    }

    pub(super) fn root(&self) -> &'s Value {
        self.root
    }

    fn index(&mut self, schema: &'s Value, at: &mut String, id: &str, depth: usize) {
        if depth == 0 {
            return;
        }
        let length = at.len();
        match schema {
            Value::Object(object) => {
                if let Some(id) = object.get(id).and_then(Value::as_str) {
                    let here: At = at.as_str().into();
                    if !id.starts_with('#') && !at.is_empty() {
                        self.resources.push((here.clone(), schema));
                    }
                    self.named.entry(id.trim_end_matches('#').to_owned()).or_insert((schema, here));
                }
                for keyword in ["$anchor", "$dynamicAnchor"] {
                    if let Some(anchor) = object.get(keyword).and_then(Value::as_str) {
                        self.named
                            .entry(format!("#{anchor}"))
                            .or_insert_with(|| (schema, at.as_str().into()));
                    }
                }
                for (key, value) in object {
                    if (value.is_object() || value.is_array()) && !DATA.contains(&key.as_str()) {
                        push(at, key);
                        self.index(value, at, id, depth - 1);
                        at.truncate(length);
                    }
                }
            }
            Value::Array(items) => {
                for (n, item) in items.iter().enumerate() {
                    if item.is_object() || item.is_array() {
                        push(at, &n.to_string());
                        self.index(item, at, id, depth - 1);
                        at.truncate(length);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// What this reference, made at a place, leads to; nothing where that is not in the document.
    pub(super) fn resolve(&self, reference: &str, from: &str) -> Option<(&'s Value, At)> {
        let (base, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let (root, at) = if base.is_empty() {
            let around = self
                .resources
                .iter()
                .filter(|(at, _)| {
                    from.strip_prefix(&**at).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                })
                .max_by_key(|(at, _)| at.len());
            around.map_or((self.root, At::from("")), |(at, root)| (*root, at.clone()))
        } else {
            self.named.get(base).cloned()?
        };
        if !fragment.is_empty() && !fragment.starts_with('/') {
            return self.named.get(&format!("#{fragment}")).cloned();
        }
        let fragment = decoded(fragment);
        let schema = root.pointer(&fragment)?;
        (schema.is_object() || schema.is_boolean()).then(|| (schema, format!("{at}{fragment}").into()))
    }
}

/// Whether a schema in this one has a name; most have none, and need no index.
fn names_one(schema: &Value, id: &str, depth: usize) -> bool {
    if depth == 0 {
        return false;
    }
    match schema {
        Value::Object(object) => object.iter().any(|(key, inner)| match inner {
            Value::String(_) => key == id || key == "$anchor" || key == "$dynamicAnchor",
            Value::Object(_) | Value::Array(_) => {
                !DATA.contains(&key.as_str()) && names_one(inner, id, depth - 1)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }),
        Value::Array(items) => items.iter().any(|item| names_one(item, id, depth - 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Deepest nesting that is looked into.
const DEPTH: usize = 200;

/// Adds a step to a JSON pointer.
pub(crate) fn push(pointer: &mut String, step: &str) {
    pointer.push('/');
    if step.contains(['~', '/']) {
        pointer.push_str(&step.replace('~', "~0").replace('/', "~1"));
    } else {
        pointer.push_str(step);
    }
}

/// The pointer to what is at these steps below another.
pub(super) fn below(at: &str, steps: &[&str]) -> At {
    let mut pointer =
        String::with_capacity(at.len() + steps.iter().map(|step| step.len() + 1).sum::<usize>());
    pointer.push_str(at);
    for step in steps {
        push(&mut pointer, step);
    }
    pointer.into()
}

/// Percent signs of a URI fragment undone.
fn decoded(fragment: &str) -> String {
    if !fragment.contains('%') {
        return fragment.to_owned();
    }
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        match code.filter(|_| byte == b'%').and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(decoded) => {
                bytes.push(decoded);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn leads_to(schema: &Value, reference: &str, from: &str) -> Option<String> {
        Document::new(schema).resolve(reference, from).map(|(_, at)| at.to_string())
    }

    #[test]
    fn references_inside_the_document_are_found() {
        let schema = json!({
            "$id": "https://example.com/root.json",
            "$defs": {
                "a b/c": {"$anchor": "here"},
                "inner": {"$id": "inner.json", "$defs": {"x": {}}, "$ref": "#/$defs/x"}
            }
        });
        let found = |reference| leads_to(&schema, reference, "");
        assert_eq!(found("#").as_deref(), Some(""));
        assert_eq!(found("#/$defs/a%20b~1c").as_deref(), Some("/$defs/a b~1c"));
        assert_eq!(found("#here").as_deref(), Some("/$defs/a b~1c"));
        assert_eq!(found("https://example.com/root.json#/$defs/inner").as_deref(), Some("/$defs/inner"));
        assert_eq!(found("inner.json").as_deref(), Some("/$defs/inner"));
        assert_eq!(leads_to(&schema, "#/$defs/x", "/$defs/inner").as_deref(), Some("/$defs/inner/$defs/x"));
    }

    #[test]
    fn references_out_of_the_document_lead_nowhere() {
        let schema = json!({"enum": [{"$id": "data.json"}], "properties": {"$id": {"type": "string"}}});
        for reference in
            ["http://127.0.0.1/x", "file:///etc/passwd", "#/nowhere", "#none", "data.json", "#/enum"]
        {
            assert_eq!(leads_to(&schema, reference, ""), None, "{reference}");
        }
    }
}
