//! What schemas that must all hold say together of one value: types, values, rules, the parts of objects and arrays,
//! and the unions that are still open. References and `allOf` are followed here, so that an intersection is only a
//! list of schemas. Nothing here knows a dialect.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::document::{At, Document, below};
use super::types::Types;

/// A schema in the original, or a part of one.
#[derive(Clone)]
pub(super) struct Sub<'s> {
    pub(super) schema: &'s Value,
    pub(super) at: At,
    pub(super) view: View,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    Whole,
    /// All but `$ref`, `allOf`, `anyOf` and `oneOf`.
    Own,
    /// That union alone.
    Union(&'static str),
}

impl<'s> Sub<'s> {
    pub(super) fn whole(schema: &'s Value, at: At) -> Self {
        Self { schema, at, view: View::Whole }
    }
}

/// A keyword that narrows, and where it stands.
#[derive(Clone)]
pub(super) struct Rule<'s> {
    pub(super) keyword: &'static str,
    pub(super) value: &'s Value,
    pub(super) at: At,
    /// Where else the same keyword stands, saying the same or less.
    pub(super) also: Vec<At>,
}

impl<'s> Rule<'s> {
    fn new(keyword: &'static str, value: &'s Value, at: &At) -> Self {
        Self { keyword, value, at: at.clone(), also: Vec::new() }
    }
}

#[derive(Clone)]
pub(super) struct Union<'s> {
    pub(super) keyword: &'static str,
    pub(super) variants: &'s [Value],
    pub(super) schema: &'s Value,
    pub(super) at: At,
}

impl<'s> Union<'s> {
    pub(super) fn variant(&self, n: usize) -> Option<Sub<'s>> {
        let schema = self.variants.get(n)?;
        Some(Sub::whole(schema, below(&self.at, &[self.keyword, &n.to_string()])))
    }

    pub(super) fn alone(&self) -> Sub<'s> {
        Sub { schema: self.schema, at: self.at.clone(), view: View::Union(self.keyword) }
    }
}

/// What one schema says of an object's properties.
pub(super) struct ObjectPart<'s> {
    pub(super) properties: Option<&'s Map<String, Value>>,
    pub(super) additional: Option<&'s Value>,
    pub(super) patterns: Option<&'s Map<String, Value>>,
    pub(super) at: At,
}

/// What one schema says of an array's items.
pub(super) struct ArrayPart<'s> {
    pub(super) prefix: &'s [Value],
    pub(super) prefix_keyword: &'static str,
    pub(super) rest: Option<&'s Value>,
    pub(super) rest_keyword: &'static str,
    pub(super) at: At,
}

#[derive(Default)]
pub(super) struct Notes<'s> {
    pub(super) title: Option<&'s str>,
    pub(super) description: Option<&'s str>,
    pub(super) default: Option<&'s Value>,
    pub(super) examples: Option<&'s Value>,
}

pub(super) struct Shape<'s> {
    pub(super) types: Types,
    /// Whether a type or values were named; if not, `hints` are what is meant.
    pub(super) typed: bool,
    /// The types that keywords were given for.
    pub(super) hints: Types,
    pub(super) values: Option<Vec<&'s Value>>,
    /// Where values are listed.
    pub(super) listed: Vec<(At, &'static str)>,
    pub(super) rules: Vec<Rule<'s>>,
    pub(super) objects: Vec<ObjectPart<'s>>,
    pub(super) arrays: Vec<ArrayPart<'s>>,
    pub(super) required: Vec<(&'s str, At)>,
    pub(super) forbidden: Vec<(&'s str, At)>,
    /// Properties that no schema names are refused.
    pub(super) sealed: bool,
    /// Where that is said, of what the schema there leads to.
    sealing: Vec<(At, &'s Value)>,
    pub(super) unions: Vec<Union<'s>>,
    pub(super) notes: Notes<'s>,
    /// The schemas that were followed, each without what was followed.
    pub(super) parts: Vec<Sub<'s>>,
}

/// The types that a rule is about.
pub(super) fn concerns(keyword: &str) -> Types {
    match keyword {
        "minLength" | "maxLength" | "pattern" | "format" => Types::STRING,
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => Types::NUMBER,
        "minItems" | "maxItems" | "uniqueItems" | "contains" | "minContains" | "maxContains"
        | "unevaluatedItems" => Types::ARRAY,
        "minProperties"
        | "maxProperties"
        | "propertyNames"
        | "dependentRequired"
        | "dependentSchemas"
        | "dependencies"
        | "unevaluatedProperties" => Types::OBJECT,
        _ => Types::ALL,
    }
}

/// What a keyword of a schema is, as far as it matters here.
enum Word {
    /// A rule; those of every type are such as no provider heeds.
    Rule(&'static str),
    Has(Has),
    Other,
}

/// Kinds of keywords, to look only for what is there.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Has(u8);

impl Has {
    const NOTHING: Self = Self(0);
    const REFERENCE: Self = Self(1);
    const COMBINES: Self = Self(2);
    const TYPE: Self = Self(4);
    const NOT: Self = Self(8);
    const ARRAY: Self = Self(16);
    const OBJECT: Self = Self(32);
    const NOTES: Self = Self(64);

    fn any(self, of: Self) -> bool {
        self.0 & of.0 != 0
    }
}

fn word(key: &str) -> Word {
    let rule = match key {
        "$ref" => return Word::Has(Has::REFERENCE),
        "allOf" | "anyOf" | "oneOf" => return Word::Has(Has::COMBINES),
        "type" | "const" | "enum" => return Word::Has(Has::TYPE),
        "not" => return Word::Has(Has::NOT),
        "items" | "prefixItems" => return Word::Has(Has::ARRAY),
        "properties"
        | "additionalProperties"
        | "patternProperties"
        | "required"
        | "unevaluatedProperties" => {
            return Word::Has(Has::OBJECT);
        }
        "title" | "description" | "default" | "examples" => return Word::Has(Has::NOTES),
        "minLength" => "minLength",
        "maxLength" => "maxLength",
        "pattern" => "pattern",
        "format" => "format",
        "minimum" => "minimum",
        "maximum" => "maximum",
        "exclusiveMinimum" => "exclusiveMinimum",
        "exclusiveMaximum" => "exclusiveMaximum",
        "multipleOf" => "multipleOf",
        "minItems" => "minItems",
        "maxItems" => "maxItems",
        "uniqueItems" => "uniqueItems",
        "contains" => "contains",
        "minContains" => "minContains",
        "maxContains" => "maxContains",
        "unevaluatedItems" => "unevaluatedItems",
        "minProperties" => "minProperties",
        "maxProperties" => "maxProperties",
        "propertyNames" => "propertyNames",
        "dependentRequired" => "dependentRequired",
        "dependentSchemas" => "dependentSchemas",
        "dependencies" => "dependencies",
        "if" => "if",
        "$dynamicRef" => "$dynamicRef",
        "$recursiveRef" => "$recursiveRef",
        _ => return Word::Other,
    };
    Word::Rule(rule)
}

/// Schemas that one value is followed into through references and `allOf`.
const FOLLOWED: usize = 1_000;

pub(super) fn fold<'s>(document: &Document<'s>, conj: &[Sub<'s>]) -> Shape<'s> {
    let mut shape = Shape::empty();
    let mut queue: Vec<Sub<'s>> = conj.iter().rev().cloned().collect();
    let mut excluded = Vec::new();
    while let Some(sub) = queue.pop() {
        let seen = |part: &Sub<'s>| part.at == sub.at && (part.view == sub.view || part.view == View::Own);
        if sub.view == View::Whole && shape.parts.iter().any(seen) {
            continue;
        }
        if shape.parts.len() >= FOLLOWED {
            shape.rules.push(Rule::new("allOf", sub.schema, &sub.at));
            break;
        }
        match (sub.schema, sub.view) {
            (Value::Bool(false), _) => shape.types = Types::NONE,
            (Value::Object(object), View::Union(keyword)) => shape.union(keyword, object, &sub),
            (Value::Object(object), view) => {
                let mut has = object.keys().fold(Has::NOTHING, |has, key| match word(key) {
                    Word::Has(more) => Has(has.0 | more.0),
                    Word::Rule(_) | Word::Other => has,
                });
                let lone = document.lone_refs && has.any(Has::REFERENCE);
                if lone {
                    has = Has(has.0 & (Has::REFERENCE.0 | Has::NOTES.0));
                } else {
                    shape.own(object, has, &sub.at, &mut excluded);
                }
                if has.any(Has::NOTES) {
                    shape.annotations(object);
                }
                if view == View::Whole {
                    follow(document, object, has, &sub, &mut shape, &mut queue);
                }
                shape.parts.push(Sub { view: View::Own, ..sub });
            }
            _ => {}
        }
    }
    shape.exclude(&excluded);
    for (place, value) in std::mem::take(&mut shape.sealing) {
        // It sees only what its own schema leads to.
        let within =
            |at: &str| at.strip_prefix(&*place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if conj.iter().all(|sub| within(&sub.at)) {
            shape.sealed = true;
        } else {
            shape.rules.push(Rule::new("unevaluatedProperties", value, &place));
        }
    }
    if let Some(values) = &mut shape.values {
        values.retain(|value| shape.types.contain(value));
        shape.types = values.iter().fold(Types::NONE, |types, value| types | Types::of(value));
        shape.typed = true;
    }
    shape
}

fn follow<'s>(
    document: &Document<'s>,
    object: &'s Map<String, Value>,
    has: Has,
    sub: &Sub<'s>,
    shape: &mut Shape<'s>,
    queue: &mut Vec<Sub<'s>>,
) {
    let mut next = Vec::new();
    if has.any(Has::REFERENCE)
        && let Some(reference) = object.get("$ref")
    {
        match reference.as_str().and_then(|text| document.resolve(text, &sub.at)) {
            Some((schema, at)) => next.push(Sub::whole(schema, at)),
            None => shape.rules.push(Rule::new("$ref", reference, &sub.at)),
        }
    }
    if has.any(Has::COMBINES) {
        if let Some(Value::Array(all)) = object.get("allOf") {
            for (n, schema) in all.iter().enumerate() {
                next.push(Sub::whole(schema, below(&sub.at, &["allOf", &n.to_string()])));
            }
        }
        shape.union("anyOf", object, sub);
        shape.union("oneOf", object, sub);
    }
    queue.extend(next.into_iter().rev());
}

impl<'s> Shape<'s> {
    /// What fits everything.
    pub(super) fn empty() -> Self {
        Self {
            types: Types::ALL,
            typed: false,
            hints: Types::NONE,
            values: None,
            listed: Vec::new(),
            rules: Vec::new(),
            objects: Vec::new(),
            arrays: Vec::new(),
            required: Vec::new(),
            forbidden: Vec::new(),
            sealed: false,
            sealing: Vec::new(),
            unions: Vec::new(),
            notes: Notes::default(),
            parts: Vec::new(),
        }
    }

    fn union(&mut self, keyword: &'static str, object: &'s Map<String, Value>, sub: &Sub<'s>) {
        if let Some(Value::Array(variants)) = object.get(keyword)
            && !variants.is_empty()
        {
            let union = Union { keyword, variants, schema: sub.schema, at: sub.at.clone() };
            if !self.unions.iter().any(|known| known.keyword == keyword && known.at == union.at) {
                self.unions.push(union);
            }
        }
    }

    fn annotations(&mut self, object: &'s Map<String, Value>) {
        let text = |key| object.get(key).and_then(Value::as_str).filter(|text: &&str| !text.is_empty());
        self.notes.title = self.notes.title.or_else(|| text("title"));
        self.notes.description = self.notes.description.or_else(|| text("description"));
        self.notes.default = self.notes.default.or_else(|| object.get("default"));
        self.notes.examples = self.notes.examples.or_else(|| object.get("examples"));
    }

    /// What one schema says of itself.
    fn own(
        &mut self,
        object: &'s Map<String, Value>,
        has: Has,
        at: &At,
        excluded: &mut Vec<(&'s Value, &'s Value, At)>,
    ) {
        if has.any(Has::TYPE) {
            self.type_and_values(object, at);
        }
        for (key, value) in object {
            if let Word::Rule(keyword) = word(key) {
                self.rule(keyword, value, object, at);
            }
        }
        if has.any(Has::NOT)
            && let Some(negated) = object.get("not")
        {
            self.negation(negated, at, excluded);
        }
        if has.any(Has::ARRAY) {
            self.array_part(object, at);
        }
        if has.any(Has::OBJECT) {
            self.object_part(object, at);
        }
    }

    fn type_and_values(&mut self, object: &'s Map<String, Value>, at: &At) {
        if let Some(named) = object.get("type") {
            match Types::named(named) {
                Some(mut types) => {
                    if object.get("nullable") == Some(&Value::Bool(true)) {
                        types = types | Types::NULL;
                    }
                    self.types = self.types & types;
                    self.typed = true;
                }
                None => self.rules.push(Rule::new("type", named, at)),
            }
        }
        for (keyword, values) in [
            ("const", object.get("const").map(std::slice::from_ref)),
            ("enum", object.get("enum").and_then(Value::as_array).map(Vec::as_slice)),
        ] {
            let Some(values) = values else { continue };
            match &mut self.values {
                Some(known) => known.retain(|known| values.iter().any(|value| same(known, value))),
                None => {
                    let mut unique: Vec<&Value> = Vec::with_capacity(values.len());
                    // A long list is taken to name each value once: to look would be quadratic.
                    for value in values {
                        if values.len() > 200 || !unique.iter().any(|known| same(known, value)) {
                            unique.push(value);
                        }
                    }
                    self.values = Some(unique);
                }
            }
            self.listed.push((at.clone(), keyword));
        }
    }

    fn rule(&mut self, keyword: &'static str, value: &'s Value, object: &'s Map<String, Value>, at: &At) {
        let (keyword, value) = match (keyword, value) {
            // Up to draft 4 these said whether the bound beside them is part of the range.
            ("exclusiveMinimum" | "exclusiveMaximum", Value::Bool(exclusive)) => {
                let bound = if keyword == "exclusiveMinimum" { "minimum" } else { "maximum" };
                match object.get(bound).filter(|_| *exclusive) {
                    Some(bound) => (keyword, bound),
                    None => return,
                }
            }
            ("minLength" | "minItems" | "minProperties", Value::Number(n)) if n.as_f64() == Some(0.0) => {
                return;
            }
            ("uniqueItems", Value::Bool(false))
            | ("propertyNames" | "unevaluatedItems", Value::Bool(true)) => {
                return;
            }
            ("dependencies" | "dependentRequired" | "dependentSchemas", Value::Object(map))
                if map.is_empty() =>
            {
                return;
            }
            ("minContains" | "maxContains", _) if !object.contains_key("contains") => return,
            ("if", _) if !object.contains_key("then") && !object.contains_key("else") => return,
            other => other,
        };
        let concerns = concerns(keyword);
        if concerns != Types::ALL {
            self.hints = self.hints | concerns;
        }
        let new = Rule::new(keyword, value, at);
        for known in self.rules.iter_mut().filter(|known| known.keyword == keyword) {
            let tighter = match keyword {
                "minimum" | "exclusiveMinimum" | "minLength" | "minItems" | "minProperties" => {
                    compare(value, known.value).map(|order| order == Ordering::Greater)
                }
                "maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" | "maxProperties" => {
                    compare(value, known.value).map(|order| order == Ordering::Less)
                }
                _ => (known.value == value).then_some(false),
            };
            match tighter {
                Some(true) => {
                    let known = std::mem::replace(known, new);
                    self.also(keyword, known.also.into_iter().chain([known.at]));
                    return;
                }
                Some(false) => {
                    self.also(keyword, [at.clone()].into_iter());
                    return;
                }
                None => {}
            }
        }
        self.rules.push(new);
    }

    fn also(&mut self, keyword: &str, places: impl Iterator<Item = At>) {
        if let Some(rule) = self.rules.iter_mut().find(|rule| rule.keyword == keyword) {
            for place in places {
                if rule.at != place && !rule.also.contains(&place) {
                    rule.also.push(place);
                }
            }
        }
    }

    fn negation(&mut self, whole: &'s Value, at: &At, excluded: &mut Vec<(&'s Value, &'s Value, At)>) {
        let mut keep = || self.rules.push(Rule::new("not", whole, at));
        let Some(negated) = whole.as_object() else {
            if whole == &Value::Bool(true) {
                self.types = Types::NONE;
            }
            return;
        };
        let mut keys = negated.iter().filter(|(key, _)| !matches!(key.as_str(), "description" | "title"));
        match (keys.next(), keys.next()) {
            (None, _) => self.types = Types::NONE,
            (Some((key, value)), None) => match (key.as_str(), value) {
                ("type", value) if Types::named(value).is_some_and(|types| types != Types::INTEGER) => {
                    self.types = self.types - Types::named(value).unwrap_or(Types::NONE);
                }
                ("const" | "enum", value) => excluded.push((value, whole, at.clone())),
                ("required", Value::Array(names)) => match names.as_slice() {
                    [Value::String(name)] => {
                        // What is no object lacks nothing that is required.
                        self.types = self.types & Types::OBJECT;
                        self.forbidden.push((name, at.clone()));
                        self.hints = self.hints | Types::OBJECT;
                    }
                    _ => keep(),
                },
                _ => keep(),
            },
            _ => keep(),
        }
    }

    /// Takes out of the listed values what `not` takes out; without a list it is a rule.
    fn exclude(&mut self, excluded: &[(&'s Value, &'s Value, At)]) {
        for (out, whole, at) in excluded {
            let list = whole.get("enum").and_then(Value::as_array);
            match &mut self.values {
                Some(values) => values.retain(|value| match list {
                    Some(list) => !list.iter().any(|out| same(out, value)),
                    None => !same(out, value),
                }),
                None => self.rules.push(Rule::new("not", whole, at)),
            }
        }
    }

    fn array_part(&mut self, object: &'s Map<String, Value>, at: &At) {
        let items = object.get("items");
        let prefix = object.get("prefixItems").and_then(Value::as_array);
        let part = match (items, prefix) {
            (Some(Value::Array(prefix)), _) => ArrayPart {
                prefix,
                prefix_keyword: "items",
                rest: object.get("additionalItems"),
                rest_keyword: "additionalItems",
                at: at.clone(),
            },
            (None, None) => return,
            (rest, prefix) => ArrayPart {
                prefix: prefix.map(Vec::as_slice).unwrap_or_default(),
                prefix_keyword: "prefixItems",
                rest,
                rest_keyword: "items",
                at: at.clone(),
            },
        };
        self.hints = self.hints | Types::ARRAY;
        self.arrays.push(part);
    }

    fn object_part(&mut self, object: &'s Map<String, Value>, at: &At) {
        let patterns = object.get("patternProperties").and_then(Value::as_object);
        let part = ObjectPart {
            properties: object.get("properties").and_then(Value::as_object),
            additional: object.get("additionalProperties"),
            patterns: patterns.filter(|patterns| !patterns.is_empty()),
            at: at.clone(),
        };
        if part.properties.is_some() || part.additional.is_some() || part.patterns.is_some() {
            self.hints = self.hints | Types::OBJECT;
            self.objects.push(part);
        }
        if let Some(Value::Array(names)) = object.get("required") {
            self.hints = self.hints | Types::OBJECT;
            for name in names.iter().filter_map(Value::as_str) {
                if !self.required.iter().any(|(known, place)| *known == name && place == at) {
                    self.required.push((name, at.clone()));
                }
            }
        }
        match object.get("unevaluatedProperties") {
            Some(value @ Value::Bool(false)) => {
                self.sealing.push((at.clone(), value));
                self.hints = self.hints | Types::OBJECT;
            }
            Some(value) if value != &Value::Bool(true) => {
                self.rules.push(Rule::new("unevaluatedProperties", value, at));
            }
            _ => {}
        }
    }

    /// The types that are meant: those named, or else those that keywords were given for.
    pub(super) fn meant(&self) -> Types {
        if self.typed || self.hints == Types::NONE { self.types } else { self.types & self.hints }
    }

    /// Whether a schema names this property.
    pub(super) fn names(&self, property: &str) -> bool {
        self.objects.iter().any(|part| part.properties.is_some_and(|known| known.contains_key(property)))
    }

    /// Whether nothing is said but the type, and in unions.
    pub(super) fn is_bare(&self) -> bool {
        self.values.is_none()
            && self.rules.is_empty()
            && self.objects.is_empty()
            && self.arrays.is_empty()
            && self.required.is_empty()
            && self.forbidden.is_empty()
            && !self.sealed
    }
}

/// Which of two numbers is larger.
pub(super) fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

/// Equal as JSON Schema sees it: 1 is 1.0.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    a == b || (a.is_number() && b.is_number() && compare(a, b) == Some(Ordering::Equal))
}
