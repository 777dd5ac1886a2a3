//! Whether no value can fit two of some schemas, as far as that is easily seen: then `oneOf` is `anyOf`.

use serde_json::Value;

use super::document::{Document, below};
use super::shape::{Shape, Sub, fold, same};
use super::types::Types;

/// Variants that are compared, each with each.
const VARIANTS: usize = 64;
/// Properties inside properties that are looked into.
const DEPTH: usize = 2;

/// Whether no value that fits `around` fits two of the variants, all inside of `root`.
pub(crate) fn are_disjoint(root: &Value, around: &Value, variants: &[Value]) -> bool {
    if variants.len() > VARIANTS {
        return false;
    }
    let document = Document::new(root);
    // Places that no reference can lead to: what was seen is known by its place.
    let shapes: Vec<_> = variants
        .iter()
        .map(|variant| {
            fold(&document, &[Sub::whole(around, "~around".into()), Sub::whole(variant, "~variant".into())])
        })
        .collect();
    each(&document, &shapes)
}

fn each(document: &Document<'_>, shapes: &[Shape<'_>]) -> bool {
    shapes
        .iter()
        .enumerate()
        .all(|(n, one)| shapes.iter().skip(n + 1).all(|other| two(document, one, other, DEPTH)))
}

/// Whether each is disjoint from each.
pub(super) fn all(document: &Document<'_>, variants: &[Sub<'_>]) -> bool {
    if variants.len() > VARIANTS {
        return false;
    }
    let shapes: Vec<_> =
        variants.iter().map(|variant| fold(document, std::slice::from_ref(variant))).collect();
    each(document, &shapes)
}

fn two(document: &Document<'_>, one: &Shape<'_>, other: &Shape<'_>, depth: usize) -> bool {
    let common = one.types & other.types;
    if common == Types::NONE {
        return true;
    }
    if let (Some(values), Some(others)) = (&one.values, &other.values)
        && !values.iter().any(|value| others.iter().any(|other| same(value, other)))
    {
        return true;
    }
    common == Types::OBJECT
        && depth > 0
        && (by_property(document, one, other, depth) || refuses(one, other) || refuses(other, one))
}

/// Both require a property that cannot fit both.
fn by_property(document: &Document<'_>, one: &Shape<'_>, other: &Shape<'_>, depth: usize) -> bool {
    one.required.iter().any(|(name, _)| {
        let both = other.required.iter().any(|(required, _)| required == name);
        both && match (property(document, one, name), property(document, other, name)) {
            (Some(one), Some(other)) => two(document, &one, &other, depth - 1),
            _ => false,
        }
    })
}

fn property<'s>(document: &Document<'s>, shape: &Shape<'s>, name: &str) -> Option<Shape<'s>> {
    let conj: Vec<Sub<'s>> = shape
        .objects
        .iter()
        .filter_map(|part| {
            let schema = part.properties?.get(name)?;
            Some(Sub::whole(schema, below(&part.at, &["properties", name])))
        })
        .collect();
    (!conj.is_empty()).then(|| fold(document, &conj))
}

/// The first requires a property that the second refuses.
fn refuses(one: &Shape<'_>, other: &Shape<'_>) -> bool {
    one.required.iter().any(|(name, _)| {
        other.forbidden.iter().any(|(forbidden, _)| forbidden == name)
            || other.objects.iter().any(|part| match part.properties.and_then(|known| known.get(*name)) {
                Some(schema) => schema == &Value::Bool(false),
                None => part.additional == Some(&Value::Bool(false)) && part.patterns.is_none(),
            })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn disjoint(variants: &Value) -> bool {
        let document = Document::new(variants);
        let list = variants.as_array().unwrap();
        let subs: Vec<_> =
            list.iter().enumerate().map(|(n, schema)| Sub::whole(schema, format!("/{n}").into())).collect();
        all(&document, &subs)
    }

    #[test]
    fn what_no_value_can_fit_twice_is_seen() {
        assert!(disjoint(&json!([{"type": "string"}, {"type": ["number", "null"]}])));
        assert!(disjoint(&json!([{"const": 1}, {"enum": [2, "a"]}])));
        assert!(disjoint(&json!([
            {"type": "object", "properties": {"kind": {"const": "a"}}, "required": ["kind"]},
            {"type": "object", "properties": {"kind": {"const": "b"}}, "required": ["kind"]}
        ])));
        assert!(disjoint(&json!([
            {"type": "object", "properties": {"a": {}}, "required": ["a"]},
            {"type": "object", "properties": {"b": {}}, "required": ["b"], "additionalProperties": false}
        ])));
        assert!(disjoint(&json!([
            {"type": "object", "required": ["a"]},
            {"type": "object", "not": {"required": ["a"]}}
        ])));
    }

    #[test]
    fn what_a_value_may_fit_twice_is_not_called_disjoint() {
        assert!(!disjoint(&json!([{"type": "integer"}, {"type": "number"}])));
        assert!(!disjoint(&json!([{"const": 1}, {"enum": [2, 1.0]}])));
        // What is no object fits both.
        assert!(!disjoint(&json!([{"required": ["a"]}, {"properties": {"a": false}}])));
        // The property may be left out.
        assert!(!disjoint(&json!([
            {"type": "object", "properties": {"kind": {"const": "a"}}},
            {"type": "object", "properties": {"kind": {"const": "b"}}, "required": ["kind"]}
        ])));
    }
}
