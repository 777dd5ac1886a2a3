//! Lowering: from one canonical JSON Schema (2020-12, with the spellings of older drafts understood) to what a provider
//! takes, with an account of what is lost. Pure; nothing outside the schema is read. The original stays what answers
//! are checked with.
//!
//! The parts: `document` finds what a reference leads to; `shape` adds up schemas that must all hold; `emit` says a
//! place in a dialect, with `object`, `array` and `scalar` for the types; `out` spells the whole.

mod array;
mod budget;
mod disjoint;
pub(crate) mod document;
mod emit;
mod guide;
mod object;
mod out;
mod scalar;
mod shape;
mod together;
mod types;

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use serde::Serialize;
use serde_json::{Map, Value};

pub use self::together::lower_tools;

pub(crate) use self::disjoint::are_disjoint;
pub(crate) use self::document::Document;
pub(crate) use self::guide::{Guide, Place};

use self::emit::Emitter;
use self::out::{Additional, Node, Notes, ObjectOut, Out, Property, Speller};
use crate::dialect::{Dialect, Limits, Refs, Rules};
use crate::loss::{Loss, LossKind};

/// The property that holds an answer which is no object, where the provider takes only objects.
const WRAPPER: &str = "value";

/// Passes to find all references that recur.
const PASSES: usize = 4;

/// A schema as a provider takes it.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Lowered {
    /// It obeys the provider's rules, whatever was lost.
    pub schema: Value,
    /// Whether the provider may be told to enforce it. If not, what is asked for is better said with the original, in
    /// a tool or a prompt that is not strict: enforcing this one would force wrong answers.
    pub strict: bool,
    /// What the provider will not do, in the order in which it was found.
    pub losses: Vec<Loss>,
    /// The answer is in a property of its own.
    #[serde(skip)]
    pub(crate) wrapped: bool,
    /// Properties that are null where they are left out, as JSON pointers into the schema.
    #[serde(skip)]
    pub(crate) nulls: HashSet<String>,
}

/// Lowers the schema of an answer.
#[must_use]
pub fn lower(schema: &Value, dialect: Dialect) -> Lowered {
    lower_for(schema, dialect.rules(), dialect.rules().object_root)
}

/// Lowers the schema of a tool's arguments, which are an object everywhere.
#[must_use]
pub fn lower_tool(schema: &Value, dialect: Dialect) -> Lowered {
    lower_for(schema, dialect.rules(), true)
}

fn lower_for(schema: &Value, rules: &'static Rules, object_root: bool) -> Lowered {
    let document = Document::new(schema);
    let mut emitter = Emitter::new(&document, rules, rules.refs);
    let mut root = emitter.root(schema);
    if emitter.recurs && rules.refs == Refs::CyclicIfOptional {
        // Only when it is known which references recur can their properties be left out; that may bring new ones.
        let mut known = HashMap::new();
        for pass in 0.. {
            let found = circles(&emitter);
            if found.keys().all(|key| known.contains_key(key)) {
                break;
            }
            known = found;
            let refs = if pass < PASSES { rules.refs } else { Refs::None };
            emitter = Emitter::new(&document, rules, refs);
            emitter.circles = known.clone();
            root = emitter.root(schema);
        }
    }
    let lowered = finish(emitter, root, rules, object_root);
    if depth_of(&lowered.schema) <= rules.limits.depth {
        return lowered;
    }
    // Definitions add up to more than each of them: written out, they are cut where it is too deep.
    let mut emitter = Emitter::new(&document, rules, Refs::None);
    emitter.containers = usize::from(lowered.wrapped);
    let root = emitter.root(schema);
    finish(emitter, root, rules, object_root)
}

/// The definitions that lead back to themselves, each with the number of the circle that it is in.
fn circles(emitter: &Emitter<'_, '_>) -> HashMap<String, usize> {
    let mut next: HashMap<usize, Vec<usize>> = HashMap::new();
    for (from, to) in &emitter.edges {
        next.entry(*from).or_default().push(*to);
    }
    let reached = |from: usize| {
        let mut seen: HashSet<usize> = HashSet::new();
        let mut open = vec![from];
        while let Some(here) = open.pop() {
            open.extend(next.get(&here).into_iter().flatten().copied().filter(|there| seen.insert(*there)));
        }
        seen
    };
    let reached: Vec<HashSet<usize>> = (0..emitter.definitions.len()).map(reached).collect();
    let leads = |from: usize, to: usize| reached.get(from).is_some_and(|reached| reached.contains(&to));
    let circular = (0..reached.len()).filter(|n| leads(*n, *n));
    circular
        .filter_map(|n| {
            let first = (0..=n).find(|other| leads(n, *other) && leads(*other, n))?;
            Some((emitter.key_of(n)?, first))
        })
        .collect()
}

fn finish(mut emitter: Emitter<'_, '_>, root: Rc<Out>, rules: &'static Rules, object_root: bool) -> Lowered {
    let root = match *root {
        Out::Never | Out::Cut => {
            emitter.loses(
                &"".into(),
                "type",
                LossKind::Cut,
                "nothing that can be described fits this schema",
            );
            Rc::new(Out::Never)
        }
        _ => root,
    };
    let is_object = match &*root {
        Out::Node(node) => node.kind == "object" && node.object.is_some(),
        Out::Never => true,
        Out::Cut | Out::Any(_) | Out::Ref(_) | Out::Union(..) => false,
    };
    let wrapped = object_root && !is_object;
    let root = if wrapped { Rc::new(wrap(Out::clone(&root))) } else { root };
    let references: Vec<String> = emitter
        .definitions
        .iter()
        .enumerate()
        .map(|(n, definition)| match n {
            0 if rules.root_ref && !wrapped => "#".to_owned(),
            _ => format!("#/$defs/{}", definition.name),
        })
        .collect();
    let mut speller = Speller { rules, references: &references, used: HashSet::new(), nulls: HashSet::new() };
    let mut schema = match speller.spell(&root, &mut String::new()) {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    let definitions = definitions(&emitter, &mut speller, rules.root_ref && !wrapped);
    if !definitions.is_empty() {
        schema.insert("$defs".into(), definitions.into());
    }
    let nulls = speller.nulls;
    let schema = Value::Object(schema);
    count(&schema, &rules.limits, &mut emitter);
    let losses = emitter.losses;
    let strict = !losses.iter().any(|loss| loss.kind.is_unsafe());
    Lowered { schema, strict, losses, wrapped, nulls }
}

fn wrap(root: Out) -> Out {
    let property = Property { name: WRAPPER.to_owned(), out: root, required: true, nulled: false };
    let object = ObjectOut { properties: vec![property], additional: Additional::Closed };
    Out::Node(Box::new(Node { kind: "object", object: Some(object), ..Node::default() }))
}

/// The definitions that are referred to, directly or not.
fn definitions(
    emitter: &Emitter<'_, '_>,
    speller: &mut Speller<'_>,
    root_stands: bool,
) -> Map<String, Value> {
    let mut spelled: HashMap<usize, Value> = HashMap::new();
    loop {
        let done = |n: &usize| spelled.contains_key(n) || (*n == 0 && root_stands);
        let Some(number) = speller.used.iter().copied().filter(|n| !done(n)).min() else { break };
        let Some(definition) = emitter.definitions.get(number) else { break };
        let mut at = format!("/$defs/{}", definition.name);
        let unsaid = Out::Any(Notes::default());
        let out = definition.out.as_deref().unwrap_or(&unsaid);
        spelled.insert(number, speller.spell(out, &mut at));
    }
    let mut numbers: Vec<usize> = spelled.keys().copied().collect();
    numbers.sort_unstable();
    let mut definitions = Map::new();
    for number in numbers {
        if let (Some(definition), Some(value)) = (emitter.definitions.get(number), spelled.remove(&number)) {
            definitions.insert(definition.name.clone(), value);
        }
    }
    definitions
}

/// Notes where there are more optional properties, or properties of union types, than the provider takes.
fn count(schema: &Value, limits: &Limits, emitter: &mut Emitter<'_, '_>) {
    for (most, found, what) in Tally::of(schema, limits).past(limits) {
        let why = format!("the provider takes {most} {what}, and there are {found}");
        emitter.loses(&"".into(), "properties", LossKind::Limit, why);
    }
}

/// What some providers count in all schemas of a request.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    optional: usize,
    unions: usize,
}

impl Tally {
    /// Counts, where it matters.
    fn of(schema: &Value, limits: &Limits) -> Self {
        let mut tally = Self::default();
        if limits.optional == usize::MAX && limits.unions == usize::MAX {
            return tally;
        }
        each_schema(schema, &mut |schema| {
            let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
            let required = schema.get("required").and_then(Value::as_array).map_or(0, Vec::len);
            tally.optional += properties.len().saturating_sub(required);
            tally.unions += properties.values().filter(|schema| schema.get("anyOf").is_some()).count();
        });
        tally
    }

    fn and(self, other: Self) -> Self {
        Self {
            optional: self.optional.saturating_add(other.optional),
            unions: self.unions.saturating_add(other.unions),
        }
    }

    /// The limits that are passed: how many there may be, how many there are, and of what.
    fn past(self, limits: &Limits) -> impl Iterator<Item = (usize, usize, &'static str)> {
        [
            (limits.optional, self.optional, "optional properties"),
            (limits.unions, self.unions, "properties of a union type"),
        ]
        .into_iter()
        .filter(|(most, found, _)| found > most)
    }
}

/// Visits a lowered schema and all in it, definitions too.
fn each_schema<'s>(schema: &'s Value, visit: &mut impl FnMut(&'s Value)) {
    visit(schema);
    for keyword in ["properties", "$defs"] {
        for (_, inner) in schema.get(keyword).and_then(Value::as_object).into_iter().flatten() {
            each_schema(inner, visit);
        }
    }
    for keyword in ["anyOf", "prefixItems"] {
        for inner in schema.get(keyword).and_then(Value::as_array).into_iter().flatten() {
            each_schema(inner, visit);
        }
    }
    for keyword in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get(keyword).filter(|inner| inner.is_object()) {
            each_schema(inner, visit);
        }
    }
}

/// Objects and arrays in one another, through references, each definition once on a way.
fn depth_of(schema: &Value) -> usize {
    let mut known = HashMap::new();
    depth(schema, schema, &mut known)
}

fn depth<'s>(schema: &'s Value, root: &'s Value, known: &mut HashMap<&'s str, usize>) -> usize {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        if let Some(depth) = known.get(reference) {
            return *depth;
        }
        // While it is looked at it counts for nothing: it recurs.
        known.insert(reference, 0);
        let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        let found = target.map_or(0, |target| depth(target, root, known));
        known.insert(reference, found);
        return found;
    }
    let is = |kind: &str| match schema.get("type") {
        Some(Value::String(name)) => name.eq_ignore_ascii_case(kind),
        Some(Value::Array(names)) => names.iter().any(|name| name == kind),
        _ => false,
    };
    let mut inner = 0;
    for (_, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        inner = inner.max(depth(schema, root, known));
    }
    for keyword in ["items", "additionalProperties"] {
        inner = inner.max(schema.get(keyword).map_or(0, |schema| depth(schema, root, known)));
    }
    for keyword in ["anyOf", "prefixItems"] {
        for schema in schema.get(keyword).and_then(Value::as_array).into_iter().flatten() {
            inner = inner.max(depth(schema, root, known));
        }
    }
    inner + usize::from(is("object") || is("array"))
}

#[cfg(test)]
mod tests;
