//! Objects: which properties there are, which of them must be there, and whether others may be.

use std::collections::HashSet;

use serde_json::Value;

use super::document::{At, below};
use super::emit::Emitter;
use super::out::{Additional, Node, Notes, ObjectOut, Out, Property};
use super::scalar::Keywords;
use super::shape::{ObjectPart, Shape, Sub};
use crate::dialect::{Any, Refs};
use crate::loss::LossKind;

/// A property that must be there, and cannot.
struct Impossible;

impl<'s> Emitter<'_, 's> {
    /// Counts one more object or array around what follows; false, with the loss noted, where that is too deep.
    pub(super) fn enter(&mut self, at: &At) -> bool {
        if self.containers >= self.rules.limits.depth {
            let why =
                format!("the provider takes {} objects and arrays in one another", self.rules.limits.depth);
            self.loses(at, "type", LossKind::Cut, why);
            return false;
        }
        self.containers += 1;
        true
    }

    pub(super) fn object(&mut self, shape: &Shape<'s>) -> Out {
        let at = place(shape);
        if !self.enter(&at) {
            return Out::Cut;
        }
        let out = self.object_inside(shape, &at);
        self.containers -= 1;
        out
    }

    fn object_inside(&mut self, shape: &Shape<'s>, at: &At) -> Out {
        let names = self.names(shape);
        let mut notes = Notes::default();
        let additional = self.additional(shape, at, !names.is_empty(), &mut notes);
        let mut properties = Vec::with_capacity(names.len());
        let required: HashSet<&str> = shape.required.iter().map(|(name, _)| *name).collect();
        for name in &names {
            let required = required.contains(name);
            match self.property(shape, name, required, &additional, at) {
                Some(Ok(property)) => properties.push(property),
                Some(Err(Impossible)) => return Out::Never,
                None => {}
            }
        }
        let Keywords { notes: mut told_rules, impossible, .. } =
            self.object_rules(shape, &properties, &additional);
        if impossible {
            return Out::Never;
        }
        notes.extra.append(&mut told_rules.extra);
        let object = ObjectOut { properties, additional };
        Out::Node(Box::new(Node { kind: "object", notes, object: Some(object), ..Node::default() }))
    }

    /// The rules of objects that no provider heeds, but for those that hold anyhow.
    fn object_rules(
        &mut self,
        shape: &Shape<'s>,
        properties: &[Property],
        additional: &Additional,
    ) -> Keywords {
        let required = properties.iter().filter(|property| property.required).count() as u64;
        let closed = self.rules.closed || matches!(additional, Additional::Closed);
        let holds = |keyword: &str, value: &Value| match keyword {
            "minProperties" => value.as_u64().is_some_and(|least| least <= required),
            "maxProperties" => closed && value.as_u64().is_some_and(|most| most >= properties.len() as u64),
            "unevaluatedProperties" => closed && value != &Value::Bool(false),
            _ => false,
        };
        let mut rest = Shape::empty();
        rest.rules = shape.rules.iter().filter(|rule| !holds(rule.keyword, rule.value)).cloned().collect();
        self.keywords("object", &rest)
    }

    /// The properties that schemas name, in their order, and then those that are only required.
    fn names(&self, shape: &Shape<'s>) -> Vec<&'s str> {
        let mut names: Vec<&'s str> = Vec::new();
        let mut known = HashSet::new();
        let parts = shape.objects.iter().filter_map(|part| part.properties);
        let named = parts.flat_map(|properties| properties.keys().map(String::as_str));
        for name in named.chain(shape.required.iter().map(|(name, _)| *name)) {
            if known.insert(name) {
                names.push(name);
            }
        }
        names
    }

    /// One property: nothing where it is left out for good, an error where it must be there and cannot.
    fn property(
        &mut self,
        shape: &Shape<'s>,
        name: &'s str,
        required: bool,
        additional: &Additional,
        at: &At,
    ) -> Option<Result<Property, Impossible>> {
        if shape.forbidden.iter().any(|(forbidden, _)| *forbidden == name) {
            return self.refused(required, additional, at, name);
        }
        if self.is_full() {
            self.loses(at, "properties", LossKind::Cut, "the schema is too large from here on");
            return None;
        }
        let conj = self.property_schemas(shape, name);
        if !self.budget.property(name) {
            let why = "the provider takes fewer properties, or shorter names, in all";
            self.loses(at, "properties", LossKind::Cut, why);
            return None;
        }
        let cycles_before = std::mem::replace(&mut self.cycle_made, false);
        self.properties += 1;
        let out = if conj.is_empty() { self.unsaid(shape, at) } else { self.emit(&conj) };
        self.properties -= 1;
        let cyclic = std::mem::replace(&mut self.cycle_made, cycles_before);
        let mut required = required;
        match out {
            Out::Never => return self.refused(required, additional, at, name),
            // What cannot be said can be left out.
            Out::Cut if !required => return None,
            Out::Cut => self.leaves_out(&conj),
            _ => {}
        }
        if cyclic && required && self.refs == Refs::CyclicIfOptional {
            let why = format!("`{name}` contains the schema again, so the provider wants it optional");
            for (_, at) in shape.required.iter().filter(|(required, _)| *required == name) {
                self.loses(at, "required", LossKind::NotEnforced, why.as_str());
            }
            required = false;
        }
        let nulled = self.rules.all_required && !required && !(conj.is_empty() || self.allows_null(&conj));
        let out = if nulled { out.or_null() } else { out };
        Some(Ok(Property { name: name.to_owned(), out, required, nulled }))
    }

    /// A property that is only required: any value, unless no schema names it and others are refused.
    fn unsaid(&mut self, shape: &Shape<'s>, at: &At) -> Out {
        if shape.sealed {
            return Out::Never;
        }
        if self.rules.any == Any::Unspeakable {
            let why =
                "nothing is said of a property that is required, and that any value fits cannot be said";
            self.loses(at, "required", LossKind::Narrowed, why);
        }
        Out::Any(Notes::default())
    }

    /// A property that must not be there.
    fn refused(
        &mut self,
        required: bool,
        additional: &Additional,
        at: &At,
        name: &str,
    ) -> Option<Result<Property, Impossible>> {
        if required {
            return Some(Err(Impossible));
        }
        if !self.rules.closed && !matches!(additional, Additional::Closed) {
            let why = format!("that there is no `{name}` is not enforced");
            self.loses(at, "properties", LossKind::NotEnforced, why);
        }
        None
    }

    /// All schemas that a property must fit.
    fn property_schemas(&mut self, shape: &Shape<'s>, name: &str) -> Vec<Sub<'s>> {
        let mut conj = Vec::new();
        for part in &shape.objects {
            let before = conj.len();
            if let Some(schema) = part.properties.and_then(|properties| properties.get(name)) {
                conj.push(Sub::whole(schema, below(&part.at, &["properties", name])));
            }
            for (pattern, schema) in part.patterns.into_iter().flatten() {
                if self.matches(pattern, name) {
                    conj.push(Sub::whole(schema, below(&part.at, &["patternProperties", pattern])));
                }
            }
            if conj.len() == before
                && let Some(schema) = part.additional.filter(|schema| *schema != &Value::Bool(true))
            {
                conj.push(Sub::whole(schema, below(&part.at, &["additionalProperties"])));
            }
        }
        conj
    }

    /// Whether a name has a pattern, as the validator sees it.
    fn matches(&mut self, pattern: &str, name: &str) -> bool {
        if !self.patterns.contains_key(pattern) {
            let compiled = jsonschema::validator_for(&serde_json::json!({ "pattern": pattern })).ok();
            self.patterns.insert(pattern.to_owned(), compiled);
        }
        let compiled = self.patterns.get(pattern).and_then(Option::as_ref);
        compiled.is_some_and(|compiled| compiled.is_valid(&Value::from(name)))
    }

    /// What may be in the object beside the properties that are named.
    fn additional(&mut self, shape: &Shape<'s>, at: &At, named: bool, notes: &mut Notes) -> Additional {
        let has_patterns = shape.objects.iter().any(|part| part.patterns.is_some());
        let refuses =
            |part: &ObjectPart<'_>| part.patterns.is_none() && part.additional == Some(&Value::Bool(false));
        let refused = (shape.sealed && !has_patterns) || shape.objects.iter().any(refuses);
        if self.rules.closed {
            self.closes(shape, at, refused, named, notes);
            return Additional::Closed;
        }
        let mut all = Vec::new();
        let mut one_of_these: Option<Vec<Sub<'s>>> = None;
        for part in &shape.objects {
            let rest = part.additional.filter(|schema| *schema != &Value::Bool(true));
            let rest = rest.map(|schema| Sub::whole(schema, below(&part.at, &["additionalProperties"])));
            let Some(patterns) = part.patterns else {
                all.extend(rest);
                continue;
            };
            let why = "which names the pattern has is not enforced";
            self.loses(&part.at, "patternProperties", LossKind::NotEnforced, why);
            let by_pattern = |(pattern, schema): (&String, &'s Value)| {
                Sub::whole(schema, below(&part.at, &["patternProperties", pattern]))
            };
            for (pattern, schema) in patterns.iter().take(8) {
                self.describe(notes, &format!("patternProperties {pattern}"), schema);
            }
            // Without a rule for the rest any name will do.
            if rest.is_some() || shape.sealed {
                let any_pattern = patterns.iter().map(by_pattern).chain(rest).collect();
                one_of_these = one_of_these.or(Some(any_pattern));
            }
        }
        if refused {
            return Additional::Closed;
        }
        if all.is_empty() && one_of_these.is_none() {
            return Additional::Unsaid;
        }
        let cycles_before = std::mem::replace(&mut self.cycle_made, false);
        // An entry of a map may be left out.
        self.properties += 1;
        let out = match one_of_these {
            None => self.emit(&all),
            Some(variants) => {
                let outs = variants.into_iter().map(|variant| {
                    let conj: Vec<Sub<'s>> = std::iter::once(variant).chain(all.iter().cloned()).collect();
                    self.emit(&conj)
                });
                Out::union(outs.collect(), Notes::default())
            }
        };
        self.properties -= 1;
        self.cycle_made = cycles_before;
        match out {
            Out::Never | Out::Cut => Additional::Closed,
            out => Additional::Fits(Box::new(out)),
        }
    }

    /// Notes what is lost when an object is closed. That nothing is said of other properties is taken to mean that
    /// none are wanted, as the vendors' own libraries take it; a map is not.
    fn closes(&mut self, shape: &Shape<'s>, at: &At, refused: bool, named: bool, notes: &mut Notes) {
        let mut patterned = false;
        for part in &shape.objects {
            if let Some((pattern, schema)) = part.patterns.and_then(|patterns| patterns.iter().next()) {
                self.loses(&part.at, "patternProperties", LossKind::Narrowed, MAP);
                self.describe(notes, &format!("patternProperties {pattern}"), schema);
                patterned = true;
            }
        }
        if refused {
            return;
        }
        for part in &shape.objects {
            if let Some(schema) = part.additional.filter(|schema| *schema != &Value::Bool(false)) {
                self.loses(&part.at, "additionalProperties", LossKind::Narrowed, MAP);
                self.describe(notes, "additionalProperties", schema);
            }
        }
        for part in &shape.parts {
            if let Some(keyword) = conditional_names(shape, part.schema) {
                self.loses(
                    &part.at,
                    keyword,
                    LossKind::Narrowed,
                    "it names properties that are named nowhere else",
                );
            }
        }
        // To say that there are no properties is to mean it at the root, as the arguments of a tool that has none.
        let none_at_root = |part: &ObjectPart<'_>| part.properties.is_some() && part.at.is_empty();
        let said = named || shape.objects.iter().any(|part| part.additional.is_some() || none_at_root(part));
        if !said && !patterned {
            self.loses(at, "type", LossKind::Narrowed, MAP);
            self.describe(notes, "additionalProperties", &Value::Bool(true));
        }
    }
}

const MAP: &str = "the provider takes only properties that are named";

/// The keyword of a schema that names properties on a condition, where no schema names them without one.
fn conditional_names(shape: &Shape<'_>, schema: &Value) -> Option<&'static str> {
    let more = |schema: &Value| {
        let properties = schema.get("properties").and_then(Value::as_object);
        properties.is_some_and(|properties| properties.keys().any(|name| !shape.names(name)))
            || ["$ref", "allOf", "anyOf", "oneOf"].iter().any(|keyword| schema.get(*keyword).is_some())
    };
    if schema.get("if").is_some()
        && ["then", "else"].iter().filter_map(|branch| schema.get(*branch)).any(more)
    {
        return Some("if");
    }
    ["dependentSchemas", "dependencies"].into_iter().find(|keyword| {
        let map = schema.get(*keyword).and_then(Value::as_object);
        map.is_some_and(|map| map.values().any(more))
    })
}

/// Where an object's schema is.
fn place(shape: &Shape<'_>) -> At {
    let part = shape.objects.first().map(|part| part.at.clone());
    part.or_else(|| shape.required.first().map(|(_, at)| at.clone()))
        .or_else(|| shape.parts.first().map(|part| part.at.clone()))
        .unwrap_or_else(|| "".into())
}
