//! Strings, numbers and listed values: which rules a provider heeds, and how they are written for it.

use serde_json::{Map, Value};

use super::document::At;
use super::emit::Emitter;
use super::out::{Additional, ArrayOut, Node, Notes, ObjectOut, Out, Property, Values};
use super::shape::{Rule, Shape, compare, concerns};
use super::types::Types;
use crate::dialect::Literals;
use crate::loss::LossKind;

/// Depth of a listed value that is an object or an array.
const LITERAL_DEPTH: usize = 8;
/// Whole numbers that a 64-bit float holds exactly.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Keywords that a node of a type is given, and what is told instead.
pub(super) struct Keywords {
    pub(super) given: Vec<(&'static str, Value)>,
    pub(super) notes: Notes,
    /// They contradict one another.
    pub(super) impossible: bool,
}

impl<'s> Emitter<'_, 's> {
    pub(super) fn scalar(&mut self, kind: &'static str, shape: &Shape<'s>) -> Out {
        let keywords = self.keywords(kind, shape);
        if keywords.impossible {
            return Out::Never;
        }
        Out::Node(Box::new(Node { kind, notes: keywords.notes, keywords: keywords.given, ..Node::default() }))
    }

    pub(super) fn keywords(&mut self, kind: &'static str, shape: &Shape<'s>) -> Keywords {
        let types = match kind {
            "string" => Types::STRING,
            "array" => Types::ARRAY,
            "object" => Types::OBJECT,
            _ => Types::NUMBER,
        };
        let mut given: Vec<(&'static str, Value)> = Vec::new();
        let mut notes = Notes::default();
        let mut rules: Vec<&Rule<'s>> =
            shape.rules.iter().filter(|rule| concerns(rule.keyword) == types).collect();
        if self.rules.one_string_rule && kind == "string" {
            let rank = |keyword| self.rules.string.iter().position(|known| *known == keyword);
            rules.sort_by_key(|rule| rank(rule.keyword).unwrap_or(usize::MAX));
        }
        for rule in &rules {
            let keyword = rule.keyword;
            let value = whole(rule.value);
            let taken = given.iter().any(|(known, _)| *known == keyword)
                || (self.rules.one_string_rule && kind == "string" && self.string_is_ruled(&given, keyword));
            if self.rules.heeds(kind, keyword, &value) && !taken {
                given.push((keyword, value));
            } else if let Some((bound, value, exact)) = inclusive(kind, keyword, &value)
                .filter(|(bound, value, _)| self.rules.heeds(kind, bound, value))
            {
                tighten(&mut given, bound, value);
                if !exact {
                    self.tells(rule, &mut notes);
                }
            } else {
                self.tells(rule, &mut notes);
            }
        }
        let impossible = contradicts(&rules);
        Keywords { given, notes, impossible }
    }

    /// Whether the grammar heeds something already that shuts this one out: it takes both lengths, else one rule.
    fn string_is_ruled(&self, given: &[(&'static str, Value)], keyword: &str) -> bool {
        let length = |keyword: &str| matches!(keyword, "minLength" | "maxLength");
        given.iter().any(|(known, _)| !(length(known) && length(keyword)))
    }

    /// Values that are listed, each type apart.
    pub(super) fn values(&mut self, shape: &Shape<'s>, mut notes: Notes) -> Out {
        let (at, keyword) = shape.listed.first().cloned().unwrap_or_else(|| ("".into(), "enum"));
        let losses_before = self.losses.len();
        let values = shape.values.as_deref().unwrap_or_default();
        let values: Vec<&Value> = values.iter().copied().filter(|value| fits(&shape.rules, value)).collect();
        let complex = |value: &Value| value.is_object() || value.is_array();
        let values = if values.iter().any(|value| complex(value)) && !only_lists(shape) {
            match self.that_fit(shape, &values) {
                Some(fitting) => fitting,
                None => {
                    let why = "the listed values were not compared with the rules for their parts";
                    self.loses(&at, keyword, LossKind::NotEnforced, why);
                    for part in &shape.parts {
                        self.loses(&part.at, "allOf", LossKind::NotEnforced, why);
                    }
                    values
                }
            }
        } else {
            values
        };
        let constant = keyword == "const" && values.len() == 1;
        let text: usize = values.iter().map(|value| weight(value)).sum();
        if !self.budget.values(values.len(), text) {
            let out = self.unlisted(shape, &values, &at, keyword, notes);
            self.loses_what_lists_imply(shape);
            return out;
        }
        if self.rules.literals == Literals::Anything && !values.is_empty() {
            let kind = self.kind_of_all(&values);
            let list = values.into_iter().cloned().collect();
            let node = Node { kind, values: Some(Values { list, constant }), ..Node::default() };
            return Out::union(vec![Out::Node(Box::new(node))], notes);
        }
        let mut outs: Vec<Out> = Vec::new();
        for value in &values {
            let of = Types::of(value);
            if complex(value) {
                outs.push(self.literal(value, &at, keyword, LITERAL_DEPTH));
                continue;
            }
            let kind = match () {
                () if of == Types::NULL => "null",
                () if of == Types::BOOLEAN => "boolean",
                () if of == Types::STRING => "string",
                // A number of a schema that says "number" stays one.
                () if shape.hints.meet(Types::NUMBER) || !all_whole(&values) => "number",
                () => "integer",
            };
            let same_kind = outs.iter_mut().find_map(|out| match out {
                Out::Node(node) if node.kind == kind && node.object.is_none() && node.array.is_none() => {
                    Some(node)
                }
                _ => None,
            });
            match same_kind.and_then(|node| node.values.as_mut()) {
                Some(values) => values.list.push((*value).clone()),
                None => {
                    let values = Values { list: vec![(*value).clone()], constant };
                    outs.push(Out::Node(Box::new(Node { kind, values: Some(values), ..Node::default() })));
                }
            }
        }
        for out in &mut outs {
            if let Out::Node(node) = out {
                self.spell_values(node, &at, keyword, &mut notes);
            }
        }
        if self.losses.len() > losses_before {
            self.loses_what_lists_imply(shape);
        }
        Out::union(outs, notes)
    }

    /// Where a list is not enforced, neither is what stands beside it: the listed values did obey it.
    fn loses_what_lists_imply(&mut self, shape: &Shape<'s>) {
        let why = "the list that obeys it is not enforced";
        let mut places: Vec<(&At, &str)> = Vec::new();
        places.extend(shape.listed.iter().map(|(at, keyword)| (at, *keyword)));
        for rule in &shape.rules {
            places.extend(std::iter::once(&rule.at).chain(&rule.also).map(|at| (at, rule.keyword)));
        }
        places.extend(shape.objects.iter().map(|part| (&part.at, "properties")));
        places.extend(shape.objects.iter().map(|part| (&part.at, "additionalProperties")));
        places.extend(shape.arrays.iter().map(|part| (&part.at, "items")));
        places.extend(shape.required.iter().map(|(_, at)| (at, "required")));
        places.extend(shape.forbidden.iter().map(|(_, at)| (at, "not")));
        if shape.sealed {
            places.extend(shape.parts.iter().map(|part| (&part.at, "unevaluatedProperties")));
        }
        for (at, keyword) in places {
            self.loses(at, keyword, LossKind::NotEnforced, why);
        }
    }

    /// The values that fit the schemas around their list; nothing where those cannot be asked.
    fn that_fit<'v>(&self, shape: &Shape<'s>, values: &[&'v Value]) -> Option<Vec<&'v Value>> {
        let registry = jsonschema::Registry::new();
        let registry = registry.add(ORIGINAL, self.document.root().clone()).ok()?.prepare().ok()?;
        let mut fitting = values.to_vec();
        for part in &shape.parts {
            let fragment = part.at.replace('%', "%25").replace(' ', "%20").replace('^', "%5E");
            let schema = serde_json::json!({ "$ref": format!("{ORIGINAL}#{fragment}") });
            let validator = jsonschema::options().with_registry(&registry).build(&schema).ok()?;
            fitting.retain(|value| validator.is_valid(value));
        }
        Some(fitting)
    }

    /// Leaves the list of one type as the dialect can say it.
    fn spell_values(&mut self, node: &mut Node, at: &At, keyword: &'static str, notes: &mut Notes) {
        let Some(values) = &mut node.values else { return };
        let implied = match node.kind {
            "null" => true,
            "boolean" => values.list.len() > 1,
            _ => false,
        };
        if implied {
            node.values = None;
            return;
        }
        let sayable = match (self.rules.literals, node.kind) {
            (Literals::Anything | Literals::Primitives, _) => true,
            (Literals::StringsAndNumbers, kind) => kind != "boolean",
            (Literals::Strings, kind) => kind == "string",
        };
        if !sayable {
            let list: Vec<Value> = std::mem::take(&mut values.list);
            self.loses(
                at,
                keyword,
                LossKind::NotEnforced,
                "the provider does not take values of this type in a list",
            );
            self.describe_list(notes, "enum", &list.iter().collect::<Vec<_>>());
            node.values = None;
        }
    }

    /// A list for which there is no room: the type alone.
    fn unlisted(
        &mut self,
        shape: &Shape<'s>,
        values: &[&Value],
        at: &At,
        keyword: &'static str,
        mut notes: Notes,
    ) -> Out {
        self.loses(
            at,
            keyword,
            LossKind::NotEnforced,
            "the provider takes fewer or shorter values in a list",
        );
        self.describe_list(&mut notes, keyword, values);
        let types = shape.types - (Types::OBJECT | Types::ARRAY);
        let mut outs: Vec<Out> = types.names().map(Out::node).collect();
        if outs.is_empty() {
            self.loses(at, keyword, LossKind::Cut, "the provider takes fewer or shorter values in a list");
            outs.push(Out::Cut);
        }
        Out::union(outs, notes)
    }

    fn kind_of_all(&self, values: &[&Value]) -> &'static str {
        let mut kinds = values.iter().map(|value| match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) if all_whole(values) => "integer",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        });
        let first = kinds.next().unwrap_or_default();
        if kinds.all(|kind| kind == first) { first } else { "" }
    }

    /// One value, as a schema that only it fits, as far as that can be said.
    fn literal(&mut self, value: &Value, at: &At, keyword: &'static str, depth: usize) -> Out {
        if depth == 0 {
            self.loses(at, keyword, LossKind::Cut, "the value is nested too deep to be described");
            return Out::Cut;
        }
        let scalar = |kind: &'static str| {
            let values = Some(Values { list: vec![value.clone()], constant: true });
            Node { kind, values, ..Node::default() }
        };
        let mut node = match value {
            Value::Null => return Out::node("null"),
            Value::Bool(_) => scalar("boolean"),
            Value::Number(number) if number.is_f64() => scalar("number"),
            Value::Number(_) => scalar("integer"),
            Value::String(_) => scalar("string"),
            Value::Array(items) => return self.literal_array(items, at, keyword, depth),
            Value::Object(map) => return self.literal_object(map, at, keyword, depth),
        };
        let text = value.as_str().map_or(0, str::len);
        let mut notes = Notes::default();
        if self.budget.values(1, text) {
            self.spell_values(&mut node, at, keyword, &mut notes);
        } else {
            self.loses(
                at,
                keyword,
                LossKind::NotEnforced,
                "the provider takes fewer or shorter values in a list",
            );
            self.describe(&mut notes, keyword, value);
            node.values = None;
        }
        node.notes = notes;
        Out::Node(Box::new(node))
    }

    fn literal_array(&mut self, items: &[Value], at: &At, keyword: &'static str, depth: usize) -> Out {
        if !self.enter(at) {
            return Out::Cut;
        }
        let outs = items.iter().map(|item| self.literal(item, at, keyword, depth - 1)).collect();
        self.containers -= 1;
        let mut node = Node { kind: "array", ..Node::default() };
        let count = Value::from(items.len());
        let mut exact = items.len() < 2;
        for bound in ["minItems", "maxItems"] {
            if self.rules.heeds("array", bound, &count) {
                node.keywords.push((bound, count.clone()));
            } else {
                exact = false;
            }
        }
        if !exact {
            let why = "the order and number of the items of a listed array are not enforced";
            self.loses(at, keyword, LossKind::NotEnforced, why);
            self.describe_list(&mut node.notes, keyword, &items.iter().collect::<Vec<_>>());
        }
        let items = match Out::union(outs, Notes::default()) {
            Out::Never => Out::node("string"),
            out => out,
        };
        node.array = Some(ArrayOut { prefix: Vec::new(), items: Some(Box::new(items)) });
        Out::Node(Box::new(node))
    }

    fn literal_object(
        &mut self,
        map: &Map<String, Value>,
        at: &At,
        keyword: &'static str,
        depth: usize,
    ) -> Out {
        if !self.enter(at) {
            return Out::Cut;
        }
        let mut properties = Vec::with_capacity(map.len());
        for (name, value) in map {
            if !self.budget.property(name) {
                self.loses(at, keyword, LossKind::Cut, "the provider takes fewer properties in all");
                break;
            }
            let out = self.literal(value, at, keyword, depth - 1);
            properties.push(Property { name: name.clone(), out, required: true, nulled: false });
        }
        self.containers -= 1;
        let object = ObjectOut { properties, additional: Additional::Closed };
        Out::Node(Box::new(Node { kind: "object", object: Some(object), ..Node::default() }))
    }
}

/// What the original is called where its parts are asked whether they fit.
const ORIGINAL: &str = "urn:original";

/// About the bytes that a value takes when it is written.
fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(|item| weight(item) + 1).sum(),
        Value::Object(map) => map.iter().map(|(key, inner)| key.len() + weight(inner) + 4).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 4,
    }
}

/// Whether types and lists of values are all that is said.
fn only_lists(shape: &Shape<'_>) -> bool {
    let more =
        |rule: &Rule<'_>| concerns(rule.keyword) != Types::STRING && concerns(rule.keyword) != Types::NUMBER;
    shape.objects.is_empty()
        && shape.arrays.is_empty()
        && shape.required.is_empty()
        && shape.forbidden.is_empty()
        && !shape.sealed
        && !shape.rules.iter().any(more)
}

fn all_whole(values: &[&Value]) -> bool {
    values.iter().filter(|value| value.is_number()).all(|value| Types::of(value) == Types::INTEGER)
}

/// Whether a listed value fits the rules of strings and numbers beside the list.
fn fits(rules: &[Rule<'_>], value: &Value) -> bool {
    if value.is_object() || value.is_array() {
        return true;
    }
    let mut schema = Map::new();
    let mut all = Vec::new();
    for rule in rules.iter().filter(|rule| {
        let of = concerns(rule.keyword);
        (of == Types::STRING || of == Types::NUMBER) && of.contain(value)
    }) {
        all.push(serde_json::json!({ rule.keyword: rule.value }));
    }
    if all.is_empty() {
        return true;
    }
    schema.insert("allOf".into(), all.into());
    // A rule that is none refuses nothing here; the validator will say so.
    jsonschema::validator_for(&Value::Object(schema)).map_or(true, |validator| validator.is_valid(value))
}

/// A whole number that is written as a fraction, as a whole one.
pub(super) fn whole(value: &Value) -> Value {
    match value.as_f64() {
        Some(n) if value.is_f64() && n.fract() == 0.0 && n.abs() < EXACT => Value::from(n as i64),
        _ => value.clone(),
    }
}

/// A bound that is not part of the range, as one that is, where a dialect has only those; and whether that is exact.
fn inclusive(kind: &str, keyword: &str, value: &Value) -> Option<(&'static str, Value, bool)> {
    let n = value.as_f64().filter(|n| n.abs() < EXACT)?;
    let (bound, limit) = match keyword {
        "exclusiveMinimum" => ("minimum", n.floor() + 1.0),
        "exclusiveMaximum" => ("maximum", n.ceil() - 1.0),
        "minimum" => ("minimum", n.ceil()),
        "maximum" => ("maximum", n.floor()),
        _ => return None,
    };
    if kind == "integer" {
        Some((bound, Value::from(limit as i64), true))
    } else {
        Some((bound, value.clone(), keyword == bound))
    }
}

/// Adds a bound, unless a tighter one is there.
fn tighten(given: &mut Vec<(&'static str, Value)>, bound: &'static str, value: Value) {
    let wanted = if bound == "minimum" { std::cmp::Ordering::Greater } else { std::cmp::Ordering::Less };
    match given.iter_mut().find(|(known, _)| *known == bound) {
        Some((_, known)) => {
            if compare(&value, known) == Some(wanted) {
                *known = value;
            }
        }
        None => given.push((bound, value)),
    }
}

/// Whether a lower bound is above an upper one.
fn contradicts(rules: &[&Rule<'_>]) -> bool {
    let value = |keyword| rules.iter().find(|rule| rule.keyword == keyword).map(|rule| rule.value);
    let above = |low, high, or_equal: bool| match (value(low), value(high)) {
        (Some(low), Some(high)) => compare(low, high).is_some_and(|order| {
            order == std::cmp::Ordering::Greater || (or_equal && order == std::cmp::Ordering::Equal)
        }),
        _ => false,
    };
    above("minimum", "maximum", false)
        || above("exclusiveMinimum", "maximum", true)
        || above("minimum", "exclusiveMaximum", true)
        || above("exclusiveMinimum", "exclusiveMaximum", true)
        || above("minLength", "maxLength", false)
        || above("minItems", "maxItems", false)
        || above("minProperties", "maxProperties", false)
}
