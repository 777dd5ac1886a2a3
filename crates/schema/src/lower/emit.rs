//! From what schemas say together to what a dialect can say: one call for each place in the schema. References become
//! definitions, unions are spread over what stands beside them, and what cannot be said is noted as a loss.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use serde_json::Value;

use super::budget::Budget;
use super::disjoint;
use super::document::{At, Document};
use super::out::{Notes, Out};
use super::shape::{Rule, Shape, Sub, Union, View, fold};
use super::types::Types;
use crate::dialect::{Any, Refs, Rules};
use crate::loss::{Loss, LossKind};

/// Places that are lowered, in all; past it they are cut off.
const PLACES: usize = 20_000;
/// The same, where there are no references and all is written out.
const PLACES_WRITTEN_OUT: usize = 3_000;
/// Places up to which a definition is written out where something stands beside its reference.
const INLINED: usize = 1_000;
/// Depth of places in one another.
const DEPTH: usize = 96;
/// Most that one union may be spread to: variants times the properties beside them.
const SPREAD: usize = 160;
/// The same, of all unions.
const SPREAD_ALL: usize = 2_000;
/// Characters of a value that is told in a description.
const TOLD: usize = 200;
/// Schemas that are looked at to see whether null fits.
const NULL_FOLDS: usize = 64;
/// Losses that are listed, and bytes of their paths.
const LOSSES: usize = 1_000;
const LOSS_TEXT: usize = 1 << 20;
/// Bytes of a path that count as a place more: long names make many long paths.
const PATH: usize = 256;

pub(super) struct Definition {
    key: String,
    pub(super) name: String,
    /// Nothing while it is being made.
    pub(super) out: Option<Rc<Out>>,
}

pub(super) struct Emitter<'d, 's> {
    pub(super) document: &'d Document<'s>,
    pub(super) rules: &'static Rules,
    pub(super) refs: Refs,
    pub(super) budget: Budget,
    pub(super) losses: Vec<Loss>,
    known: HashSet<(String, String, LossKind)>,
    loss_text: usize,
    /// The first is the root.
    pub(super) definitions: Vec<Definition>,
    by_key: HashMap<String, usize>,
    /// What is being lowered: keys of the places, and the objects and arrays around each.
    stack: Vec<(String, usize)>,
    /// The definition that is being made.
    current: usize,
    /// Where in the stack that definition begins.
    base: usize,
    pub(super) edges: HashSet<(usize, usize)>,
    pub(super) recurs: bool,
    /// Definitions that contain one another, by the number of their circle; found by an earlier pass.
    pub(super) circles: HashMap<String, usize>,
    /// Properties around this place, in the definition that is being made.
    pub(super) properties: usize,
    /// A reference that recurs was made since this was last cleared.
    pub(super) cycle_made: bool,
    /// Patterns of names that were asked for.
    pub(super) patterns: HashMap<String, Option<jsonschema::Validator>>,
    places: usize,
    spread: usize,
    /// Objects and arrays around this place.
    pub(super) containers: usize,
}

impl<'d, 's> Emitter<'d, 's> {
    pub(super) fn new(document: &'d Document<'s>, rules: &'static Rules, refs: Refs) -> Self {
        Self {
            document,
            rules,
            refs,
            budget: Budget::new(&rules.limits),
            losses: Vec::new(),
            known: HashSet::new(),
            loss_text: 0,
            definitions: Vec::new(),
            by_key: HashMap::new(),
            stack: Vec::new(),
            current: 0,
            base: 0,
            edges: HashSet::new(),
            recurs: false,
            circles: HashMap::new(),
            properties: 0,
            cycle_made: false,
            patterns: HashMap::new(),
            places: 0,
            spread: 0,
            containers: 0,
        }
    }

    pub(super) fn root(&mut self, schema: &'s Value) -> Rc<Out> {
        let conj = [Sub::whole(schema, "".into())];
        let number = self.define(key(&conj), "");
        self.body_of(number, &conj);
        self.definitions
            .get(number)
            .and_then(|definition| definition.out.clone())
            .unwrap_or(Rc::new(Out::Never))
    }

    pub(super) fn key_of(&self, number: usize) -> Option<String> {
        self.definitions.get(number).map(|definition| definition.key.clone())
    }

    pub(super) fn loses(&mut self, at: &At, keyword: &str, kind: LossKind, why: impl Into<String>) {
        let first_unsafe = kind.is_unsafe() && !self.losses.iter().any(|loss| loss.kind.is_unsafe());
        let room = self.losses.len() < LOSSES && self.loss_text.saturating_add(at.len()) <= LOSS_TEXT;
        if !room && !first_unsafe {
            return;
        }
        // However many there are, one that forbids strictness must not be missed.
        if self.known.insert((at.to_string(), keyword.to_owned(), kind)) {
            self.loss_text = self.loss_text.saturating_add(at.len());
            self.losses.push(Loss {
                path: at.to_string(),
                keyword: keyword.to_owned(),
                kind,
                why: why.into(),
            });
        }
    }

    /// What the provider does not heed is told to the model.
    pub(super) fn tells(&mut self, rule: &Rule<'_>, notes: &mut Notes) {
        for at in std::iter::once(&rule.at).chain(&rule.also) {
            self.loses(at, rule.keyword, LossKind::NotEnforced, "the provider does not enforce it");
        }
        self.describe(notes, rule.keyword, rule.value);
    }

    /// Tells a keyword and its value in a description, or the beginning of it.
    pub(super) fn describe(&mut self, notes: &mut Notes, keyword: &str, value: &Value) {
        let told = match value {
            Value::String(text) => shortened(keyword, text),
            other => told(keyword, other),
        };
        self.describe_so(notes, told);
    }

    /// The same, of a list of values.
    pub(super) fn describe_list(&mut self, notes: &mut Notes, keyword: &str, values: &[&Value]) {
        let mut text = String::new();
        head_of_list(values.iter().copied(), &mut text);
        self.describe_so(notes, shortened(keyword, &text));
    }

    fn describe_so(&mut self, notes: &mut Notes, told: String) {
        if self.budget.describes(&told) {
            notes.extra.push(told);
        }
    }

    /// Lowers what must fit all of these schemas.
    pub(super) fn emit(&mut self, conj: &[Sub<'s>]) -> Out {
        let at = conj.first().map(|sub| sub.at.clone()).unwrap_or_else(|| "".into());
        self.places = self.places.saturating_add(1 + at.len() / PATH);
        if self.is_full() || self.stack.len() > DEPTH {
            self.loses(&at, "$ref", LossKind::Cut, "the schema is too large or too deep from here on");
            return Out::Cut;
        }
        if let [sub] = conj
            && self.refs != Refs::None
            && let Some(target) = self.referred(sub)
        {
            return self.reference(&[target], &at);
        }
        let key = key(conj);
        if let Some(around) = open(self.stack.get(self.base..).unwrap_or_default(), &key) {
            if around == self.containers {
                return self.itself(&at);
            }
            self.recurs = true;
            return match self.refs {
                Refs::None | Refs::Acyclic => self.cut_cycle(&at),
                Refs::Cyclic | Refs::CyclicIfOptional => self.reference(conj, &at),
            };
        }
        self.stack.push((key, self.containers));
        let out = self.body(conj);
        self.stack.pop();
        out
    }

    /// A schema that is itself, or itself or another: what JSON Schema leaves open is taken for the other alone.
    fn itself(&mut self, at: &At) -> Out {
        self.loses(at, "$ref", LossKind::Cut, "the schema is said to be itself here, which says nothing");
        Out::Never
    }

    /// Notes that all of a place is left out, since a part of it could not be said.
    pub(super) fn leaves_out(&mut self, conj: &[Sub<'s>]) {
        for sub in conj {
            self.loses(&sub.at, "type", LossKind::Cut, "what belongs here cannot be described");
        }
    }

    /// Whether there is no room for another place.
    pub(super) fn is_full(&self) -> bool {
        self.places > if self.refs == Refs::None { PLACES_WRITTEN_OUT } else { PLACES }
    }

    fn cut_cycle(&mut self, at: &At) -> Out {
        self.loses(
            at,
            "$ref",
            LossKind::Cut,
            "the schema contains itself here, which the provider does not take",
        );
        Out::Cut
    }

    /// What a schema leads to that says nothing of its own.
    fn referred(&self, sub: &Sub<'s>) -> Option<Sub<'s>> {
        let mut target = self.step(sub)?;
        // References to references; a circle of them ends where it began.
        for _ in 0..32 {
            match self.step(&target) {
                Some(next) => target = next,
                None => break,
            }
        }
        Some(target)
    }

    fn step(&self, sub: &Sub<'s>) -> Option<Sub<'s>> {
        let object = sub.schema.as_object().filter(|_| sub.view == View::Whole)?;
        let reference = object.get("$ref")?.as_str()?;
        let alone = object.iter().all(|(key, _)| match key.as_str() {
            "$ref" | "$defs" | "definitions" | "$schema" | "$id" | "id" | "$comment" | "default"
            | "examples" | "deprecated" | "readOnly" | "writeOnly" | "$anchor" => true,
            "title" | "description" => self.places > INLINED,
            _ => self.document.lone_refs,
        });
        if !alone {
            return None;
        }
        let (schema, at) = self.document.resolve(reference, &sub.at)?;
        Some(Sub::whole(schema, at))
    }

    /// A reference to a definition, which is made if need be.
    fn reference(&mut self, conj: &[Sub<'s>], from: &At) -> Out {
        let key = key(conj);
        let at = conj.first().map(|sub| sub.at.clone()).unwrap_or_else(|| "".into());
        if open(&self.stack, &key) == Some(self.containers) {
            return self.itself(from);
        }
        if self.is_circular(&key) {
            if self.properties == 0 {
                return self.written_out(key, conj, from);
            }
            self.cycle_made = true;
        }
        let number = match self.by_key.get(&key) {
            Some(number) => *number,
            None => {
                let number = self.define(key.clone(), &at);
                self.body_of(number, conj);
                number
            }
        };
        self.edges.insert((self.current, number));
        match self.definitions.get(number).map(|definition| definition.out.as_deref()) {
            Some(None) => {
                self.recurs = true;
                if self.refs == Refs::Acyclic { self.cut_cycle(from) } else { Out::Ref(number) }
            }
            Some(Some(Out::Never)) => Out::Never,
            Some(Some(Out::Cut)) => Out::Cut,
            _ => Out::Ref(number),
        }
    }

    /// Whether a reference from here to this leads back here.
    fn is_circular(&self, key: &str) -> bool {
        let here = self.definitions.get(self.current).and_then(|here| self.circles.get(&here.key));
        here.is_some_and(|circle| self.circles.get(key) == Some(circle))
    }

    /// A definition in the place of a reference that recurs and is in no property that could be left out.
    fn written_out(&mut self, key: String, conj: &[Sub<'s>], at: &At) -> Out {
        if open(self.stack.get(self.base..).unwrap_or_default(), &key).is_some() {
            return self.cut_cycle(at);
        }
        self.stack.push((key, self.containers));
        let out = self.body(conj);
        self.stack.pop();
        out
    }

    fn define(&mut self, key: String, at: &str) -> usize {
        let number = self.definitions.len();
        let name = self.name(at);
        self.budget.text(name.len());
        self.by_key.insert(key.clone(), number);
        self.definitions.push(Definition { key, name, out: None });
        number
    }

    /// A name that is free, after the last step of the pointer.
    fn name(&self, at: &str) -> String {
        let last = at.rsplit('/').next().unwrap_or_default();
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
        let base: String = last.chars().map(plain).take(60).collect();
        let base = if base.is_empty() { "root".to_owned() } else { base };
        let taken = |name: &str| self.definitions.iter().any(|definition| definition.name == name);
        let mut name = base.clone();
        let mut n = 2_usize;
        while taken(&name) {
            name = format!("{base}_{n}");
            n += 1;
        }
        name
    }

    fn body_of(&mut self, number: usize, conj: &[Sub<'s>]) {
        let before = std::mem::replace(&mut self.current, number);
        let cycle_before = std::mem::replace(&mut self.cycle_made, false);
        let properties_before = std::mem::replace(&mut self.properties, 0);
        let base_before = std::mem::replace(&mut self.base, self.stack.len());
        self.stack.push((key(conj), self.containers));
        let out = self.body(conj);
        self.stack.pop();
        if let Some(definition) = self.definitions.get_mut(number) {
            definition.out = Some(Rc::new(out));
        }
        self.current = before;
        self.cycle_made = cycle_before;
        self.properties = properties_before;
        self.base = base_before;
    }

    fn body(&mut self, conj: &[Sub<'s>]) -> Out {
        let shape = fold(self.document, conj);
        if shape.types == Types::NONE {
            return Out::Never;
        }
        match shape.unions.first() {
            None => self.typed(&shape),
            Some(union) => {
                let union = union.clone();
                self.union(&shape, &union)
            }
        }
    }

    /// A union, with what stands beside it spread over its variants.
    fn union(&mut self, shape: &Shape<'s>, union: &Union<'s>) -> Out {
        let alone = shape.is_bare() && shape.unions.len() == 1;
        let beside: usize =
            shape.objects.iter().filter_map(|part| part.properties).map(serde_json::Map::len).sum();
        if !alone {
            let cost = union.variants.len().saturating_mul(beside + 1);
            self.spread = self.spread.saturating_add(cost);
            if cost > SPREAD || self.spread > SPREAD_ALL {
                return self.without_union(shape, union);
            }
        }
        let mut outs = Vec::with_capacity(union.variants.len());
        let variants: Vec<Sub<'s>> = (0..union.variants.len()).filter_map(|n| union.variant(n)).collect();
        for variant in &variants {
            let out = if alone && self.stays_within(variant, shape) {
                self.emit(std::slice::from_ref(variant))
            } else {
                let mut conj = vec![variant.clone()];
                conj.extend(shape.parts.iter().cloned());
                conj.extend(shape.unions.iter().skip(1).map(Union::alone));
                if alone { self.emit(&conj) } else { self.emit_spread(&conj, &shape.notes.description) }
            };
            outs.push(out);
        }
        // A variant that fits nothing here may fit something where what stands beside it is not enforced.
        if union.keyword == "oneOf" && !disjoint::all(self.document, &variants) {
            let why = "that no more than one of them fits is not enforced";
            self.loses(&union.at, "oneOf", LossKind::NotEnforced, why);
        }
        let notes = self.annotations(shape);
        Out::union(outs, notes)
    }

    /// One variant with what stands beside it; a description of the whole is not repeated.
    fn emit_spread(&mut self, conj: &[Sub<'s>], whole: &Option<&str>) -> Out {
        let mut out = self.emit(conj);
        if let Some(notes) = out.notes_mut()
            && notes.description.as_deref() == *whole
        {
            notes.description = None;
        }
        out
    }

    /// Whether what stands beside a variant says nothing that the variant does not say itself.
    fn stays_within(&self, variant: &Sub<'s>, shape: &Shape<'s>) -> bool {
        if shape.types == Types::ALL {
            return true;
        }
        let variant = fold(self.document, std::slice::from_ref(variant));
        variant.typed && variant.types.within(shape.types)
    }

    fn without_union(&mut self, shape: &Shape<'s>, union: &Union<'s>) -> Out {
        let mut conj = shape.parts.clone();
        conj.extend(shape.unions.iter().skip(1).map(Union::alone));
        let variants = (0..union.variants.len()).filter_map(|n| union.variant(n));
        let mut named = variants.flat_map(|variant| fold(self.document, &[variant]).objects);
        let more = named
            .any(|part| part.properties.is_some_and(|inner| inner.keys().any(|name| !shape.names(name))));
        let kind = if more && self.rules.closed { LossKind::Narrowed } else { LossKind::NotEnforced };
        let why = "it was not spread over what stands beside it: the schema would become too large";
        self.loses(&union.at, union.keyword, kind, why);
        let mut out = self.emit(&conj);
        if let (Some(notes), Some(value)) = (out.notes_mut(), union.schema.get(union.keyword)) {
            notes.extra.push(told(union.keyword, value));
        }
        out
    }

    /// A place with no union of the schema's own.
    fn typed(&mut self, shape: &Shape<'s>) -> Out {
        let mut notes = self.annotations(shape);
        for rule in &shape.rules {
            if super::shape::concerns(rule.keyword) != Types::ALL {
                continue;
            }
            match rule.keyword {
                "$ref" => self.loses(
                    &rule.at,
                    "$ref",
                    LossKind::Cut,
                    "it leads out of the schema, and is not followed",
                ),
                _ => self.tells(rule, &mut notes),
            }
        }
        if shape.values.is_some() {
            return self.values(shape, notes);
        }
        let types = shape.meant();
        if types == Types::ALL && shape.hints == Types::NONE {
            if self.rules.any == Any::Unspeakable {
                let at = shape.parts.first().map(|part| part.at.clone()).unwrap_or_else(|| "".into());
                self.loses(
                    &at,
                    "type",
                    LossKind::Narrowed,
                    "that any value fits cannot be said: only scalars can",
                );
            }
            return Out::Any(notes);
        }
        if types.fractions_only() {
            let at = shape.parts.first().map(|part| part.at.clone()).unwrap_or_else(|| "".into());
            self.loses(&at, "not", LossKind::NotEnforced, "that a number is no whole one is not enforced");
        }
        let mut outs = Vec::new();
        for kind in types.names() {
            outs.push(match kind {
                "object" => self.object(shape),
                "array" => self.array(shape),
                "string" | "number" | "integer" => self.scalar(kind, shape),
                kind => Out::node(kind),
            });
        }
        Out::union(outs, notes)
    }

    pub(super) fn annotations(&mut self, shape: &Shape<'s>) -> Notes {
        let mut kept =
            |text: Option<&str>| text.filter(|text| self.budget.describes(text)).map(str::to_owned);
        let (title, description) = (kept(shape.notes.title), kept(shape.notes.description));
        let mut notes = Notes { title, description, extra: Vec::new() };
        if let Some(default) = shape.notes.default.filter(|default| !default.is_null()) {
            self.describe(&mut notes, "default", default);
        }
        if let Some(examples) = shape.notes.examples {
            self.describe(&mut notes, "examples", examples);
        }
        notes
    }

    /// Whether null fits, as far as types, values and unions say; in a doubt it does not.
    pub(super) fn allows_null(&self, conj: &[Sub<'s>]) -> bool {
        self.allows_null_in(conj, &mut { NULL_FOLDS })
    }

    fn allows_null_in(&self, conj: &[Sub<'s>], left: &mut usize) -> bool {
        let Some(less) = left.checked_sub(1) else { return false };
        *left = less;
        let shape = fold(self.document, conj);
        let fits = shape.meant().meet(Types::NULL)
            && shape.values.as_ref().is_none_or(|values| values.iter().any(|value| value.is_null()));
        fits && shape.unions.iter().all(|union| {
            let variants = (0..union.variants.len()).filter_map(|n| union.variant(n));
            let mut taking =
                variants.filter(|variant| self.allows_null_in(std::slice::from_ref(variant), left));
            // Of `oneOf` exactly one must.
            taking.next().is_some() && (union.keyword != "oneOf" || taking.next().is_none())
        })
    }
}

/// The objects and arrays around a place that is being lowered.
fn open(stack: &[(String, usize)], key: &str) -> Option<usize> {
    stack.iter().rev().find(|(open, _)| open == key).map(|(_, around)| *around)
}

/// What a place is known by while it is lowered.
fn key(conj: &[Sub<'_>]) -> String {
    let mut key = String::new();
    for sub in conj {
        key.push(match sub.view {
            View::Whole => 'w',
            View::Own => 'o',
            View::Union("anyOf") => 'a',
            View::Union(_) => '1',
        });
        key.push_str(&sub.at);
        key.push('\n');
    }
    key
}

/// A keyword and its value, or the beginning of it.
fn told(keyword: &str, value: &Value) -> String {
    let mut text = String::new();
    head(value, &mut text);
    shortened(keyword, &text)
}

fn shortened(keyword: &str, text: &str) -> String {
    match text.char_indices().nth(TOLD) {
        Some((at, _)) => format!("{keyword}: {}…", text.get(..at).unwrap_or_default()),
        None => format!("{keyword}: {text}"),
    }
}

/// The JSON of a value, or some more of it than is told; no more of it is looked at.
fn head(value: &Value, text: &mut String) {
    if text.len() > 4 * TOLD {
        return;
    }
    match value {
        Value::String(string) => head_of_string(string, text),
        Value::Array(items) => head_of_list(items.iter(), text),
        Value::Object(map) => {
            text.push('{');
            for (n, (key, inner)) in map.iter().enumerate() {
                if text.len() > 4 * TOLD {
                    return;
                }
                text.push_str(if n == 0 { "" } else { "," });
                head_of_string(key, text);
                text.push(':');
                head(inner, text);
            }
            text.push('}');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => text.push_str(&value.to_string()),
    }
}

fn head_of_list<'v>(items: impl Iterator<Item = &'v Value>, text: &mut String) {
    text.push('[');
    for (n, item) in items.enumerate() {
        if text.len() > 4 * TOLD {
            return;
        }
        text.push_str(if n == 0 { "" } else { "," });
        head(item, text);
    }
    text.push(']');
}

fn head_of_string(string: &str, text: &mut String) {
    let beginning =
        string.char_indices().nth(TOLD + 1).and_then(|(at, _)| string.get(..at)).unwrap_or(string);
    text.push_str(&Value::from(beginning).to_string());
}
