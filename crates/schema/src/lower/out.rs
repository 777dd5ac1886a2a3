//! A lowered schema before it is spelled out: of one type, a reference, or a union; and how each dialect spells it.
//! Decides nothing about what is enforced.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::document::push;
use crate::dialect::{Any, Literals, Null, Rules};

/// What goes into `title` and `description`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Notes {
    pub(super) title: Option<String>,
    pub(super) description: Option<String>,
    /// What is told to the model since it cannot be enforced.
    pub(super) extra: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Out {
    /// Nothing fits.
    Never,
    /// Something belongs here that cannot be said.
    Cut,
    Any(Notes),
    /// The definition of this number.
    Ref(usize),
    Node(Box<Node>),
    Union(Vec<Out>, Notes),
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Node {
    /// Empty where only the values are named.
    pub(super) kind: &'static str,
    pub(super) notes: Notes,
    pub(super) values: Option<Values>,
    pub(super) keywords: Vec<(&'static str, Value)>,
    pub(super) object: Option<ObjectOut>,
    pub(super) array: Option<ArrayOut>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Values {
    pub(super) list: Vec<Value>,
    /// There is one, and it was given as `const`.
    pub(super) constant: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct ObjectOut {
    pub(super) properties: Vec<Property>,
    pub(super) additional: Additional,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Property {
    pub(super) name: String,
    pub(super) out: Out,
    pub(super) required: bool,
    /// Null stands for a property that is left out.
    pub(super) nulled: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Additional {
    Unsaid,
    Closed,
    Fits(Box<Out>),
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ArrayOut {
    pub(super) prefix: Vec<Out>,
    pub(super) items: Option<Box<Out>>,
}

/// Variants that are compared with each other, to find doubles.
const COMPARED: usize = 64;

impl Out {
    pub(super) fn node(kind: &'static str) -> Self {
        Self::Node(Box::new(Node { kind, ..Node::default() }))
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Node(node) if node.kind == "null")
    }

    pub(super) fn notes_mut(&mut self) -> Option<&mut Notes> {
        match self {
            Self::Node(node) => Some(&mut node.notes),
            Self::Any(notes) | Self::Union(_, notes) => Some(notes),
            Self::Never | Self::Cut | Self::Ref(_) => None,
        }
    }

    /// What fits one of these, without what nothing fits; unions in it are opened where they say nothing of their own.
    pub(super) fn union(outs: Vec<Self>, notes: Notes) -> Self {
        let mut flat = Vec::with_capacity(outs.len());
        let mut cut = false;
        for out in outs {
            match out {
                Self::Never => {}
                Self::Cut => cut = true,
                Self::Union(inner, inner_notes) if inner_notes == Notes::default() => flat.extend(inner),
                out if flat.len() < COMPARED && flat.contains(&out) => {}
                out => flat.push(out),
            }
        }
        match flat.len() {
            0 if cut => Self::Cut,
            0 => Self::Never,
            1 if notes == Notes::default() => flat.pop().unwrap_or(Self::Never),
            1 => {
                let mut only = flat.pop().unwrap_or(Self::Never);
                match only.notes_mut() {
                    Some(inner) => {
                        inner.title = notes.title.or(inner.title.take());
                        inner.description = notes.description.or(inner.description.take());
                        inner.extra.extend(notes.extra);
                        only
                    }
                    None => only,
                }
            }
            _ => Self::Union(flat, notes),
        }
    }

    pub(super) fn or_null(self) -> Self {
        match self {
            // Outer notes stay on the outside.
            Self::Union(mut outs, notes) => {
                if !outs.iter().any(Self::is_null) {
                    outs.push(Self::node("null"));
                }
                Self::Union(outs, notes)
            }
            out if out.is_null() => out,
            out => Self::Union(vec![out, Self::node("null")], Notes::default()),
        }
    }
}

/// Spells a lowered schema in its dialect.
pub(super) struct Speller<'a> {
    pub(super) rules: &'static Rules,
    /// What `$ref` says, by the number of the definition.
    pub(super) references: &'a [String],
    /// Definitions that were referred to.
    pub(super) used: HashSet<usize>,
    /// Properties that are null where they are left out, as JSON pointers into the lowered schema.
    pub(super) nulls: HashSet<String>,
}

impl Speller<'_> {
    pub(super) fn spell(&mut self, out: &Out, at: &mut String) -> Value {
        let mut map = Map::new();
        match out {
            Out::Never => self.nothing(&mut map),
            Out::Cut => {
                map.insert("type".into(), self.kind("string"));
                map.insert("description".into(), "what belongs here cannot be described".into());
            }
            Out::Any(notes) => self.any(notes, &mut map),
            Out::Ref(number) => {
                self.used.insert(*number);
                map.insert("$ref".into(), self.references.get(*number).cloned().unwrap_or_default().into());
            }
            Out::Node(node) => self.node(node, false, at, &mut map),
            Out::Union(outs, notes) => self.union(outs, notes, at, &mut map),
        }
        Value::Object(map)
    }

    fn kind(&self, kind: &str) -> Value {
        if self.rules.uppercase_types { kind.to_uppercase().into() } else { kind.into() }
    }

    /// An object with nothing in it, for where nothing fits.
    fn nothing(&self, map: &mut Map<String, Value>) {
        map.insert("type".into(), self.kind("object"));
        map.insert("description".into(), "nothing fits here".into());
        map.insert("properties".into(), json!({}));
        if self.rules.all_required {
            map.insert("required".into(), json!([]));
        }
        if !self.rules.uppercase_types {
            map.insert("additionalProperties".into(), false.into());
        }
    }

    fn any(&self, notes: &Notes, map: &mut Map<String, Value>) {
        match self.rules.any {
            Any::Empty => {}
            Any::AllTypes => {
                let types = json!(["object", "array", "string", "number", "boolean", "null"]);
                map.insert("type".into(), types);
            }
            Any::Unspeakable => {
                let mut types = vec!["string", "number", "boolean"];
                if self.rules.null == Null::Flag {
                    map.insert("nullable".into(), true.into());
                } else {
                    types.push("null");
                }
                let types: Vec<Value> =
                    types.into_iter().map(|kind| json!({"type": self.kind(kind)})).collect();
                map.insert("anyOf".into(), types.into());
            }
        }
        annotate(notes, map);
    }

    fn union(&mut self, outs: &[Out], notes: &Notes, at: &mut String, map: &mut Map<String, Value>) {
        let nullable = outs.iter().any(Out::is_null);
        let others: Vec<&Out> = outs.iter().filter(|out| !out.is_null()).collect();
        if nullable && self.rules.null == Null::InType
            && let [Out::Node(node)] = others.as_slice()
            // Null must be among the values then.
            && (node.values.is_none() || self.rules.literals == Literals::Primitives)
        {
            self.node(node, true, at, map);
            annotate(notes, map);
            return;
        }
        if nullable && self.rules.null == Null::Flag {
            match others.as_slice() {
                [one] => {
                    if let Value::Object(one) = self.spell(one, at) {
                        *map = one;
                    }
                }
                _ => {
                    map.insert("anyOf".into(), self.variants(others.into_iter(), at));
                }
            }
            map.insert("nullable".into(), true.into());
        } else {
            map.insert("anyOf".into(), self.variants(outs.iter(), at));
        }
        annotate(notes, map);
    }

    fn variants<'o>(&mut self, outs: impl Iterator<Item = &'o Out>, at: &mut String) -> Value {
        let length = at.len();
        let mut variants: Vec<Value> = Vec::new();
        for out in outs {
            push(at, "anyOf");
            push(at, &variants.len().to_string());
            variants.push(self.spell(out, at));
            at.truncate(length);
        }
        variants.into()
    }

    fn node(&mut self, node: &Node, nullable: bool, at: &mut String, map: &mut Map<String, Value>) {
        if !node.kind.is_empty() {
            let kind = self.kind(node.kind);
            map.insert("type".into(), if nullable { json!([kind, "null"]) } else { kind });
        }
        annotate(&node.notes, map);
        if let Some(values) = &node.values {
            match values.list.as_slice() {
                [only] if values.constant && self.rules.constants && !nullable => {
                    map.insert("const".into(), only.clone());
                }
                list => {
                    let mut list = list.to_vec();
                    if nullable && !list.contains(&Value::Null) {
                        list.push(Value::Null);
                    }
                    map.insert("enum".into(), list.into());
                }
            }
        }
        for (keyword, value) in &node.keywords {
            map.insert((*keyword).into(), value.clone());
        }
        if let Some(object) = &node.object {
            self.object(object, at, map);
        }
        if let Some(array) = &node.array {
            self.array(array, at, map);
        }
    }

    fn object(&mut self, object: &ObjectOut, at: &mut String, map: &mut Map<String, Value>) {
        let length = at.len();
        let mut properties = Map::new();
        for property in &object.properties {
            push(at, "properties");
            push(at, &property.name);
            if property.nulled {
                self.nulls.insert(at.clone());
            }
            properties.insert(property.name.clone(), self.spell(&property.out, at));
            at.truncate(length);
        }
        let named = |wanted: &dyn Fn(&Property) -> bool| -> Value {
            let names = object.properties.iter().filter(|property| wanted(property));
            names.map(|property| Value::from(property.name.as_str())).collect::<Vec<_>>().into()
        };
        let required = named(&|property| property.required || self.rules.all_required);
        let ordering = named(&|_| true);
        if !properties.is_empty() || self.rules.closed || matches!(object.additional, Additional::Closed) {
            let (is_empty, is_ordered) = (properties.is_empty(), properties.len() > 1);
            // The older field of Gemini's refuses an object of no properties.
            if !(is_empty && self.rules.uppercase_types) {
                map.insert("properties".into(), properties.into());
            }
            if is_ordered && self.rules.property_ordering {
                map.insert("propertyOrdering".into(), ordering);
            }
        }
        if self.rules.all_required || required.as_array().is_some_and(|names| !names.is_empty()) {
            map.insert("required".into(), required);
        }
        if self.rules.uppercase_types {
            return;
        }
        match &object.additional {
            _ if self.rules.closed => {
                map.insert("additionalProperties".into(), false.into());
            }
            Additional::Unsaid => {}
            Additional::Closed => {
                map.insert("additionalProperties".into(), false.into());
            }
            Additional::Fits(out) => {
                push(at, "additionalProperties");
                let fits = match &**out {
                    Out::Any(notes) if *notes == Notes::default() => Value::Bool(true),
                    out => self.spell(out, at),
                };
                at.truncate(length);
                map.insert("additionalProperties".into(), fits);
            }
        }
    }

    fn array(&mut self, array: &ArrayOut, at: &mut String, map: &mut Map<String, Value>) {
        let length = at.len();
        if !array.prefix.is_empty() {
            let mut prefix = Vec::with_capacity(array.prefix.len());
            for (n, out) in array.prefix.iter().enumerate() {
                push(at, "prefixItems");
                push(at, &n.to_string());
                prefix.push(self.spell(out, at));
                at.truncate(length);
            }
            map.insert("prefixItems".into(), prefix.into());
        }
        if let Some(items) = &array.items {
            push(at, "items");
            map.insert("items".into(), self.spell(items, at));
            at.truncate(length);
        }
    }
}

fn annotate(notes: &Notes, map: &mut Map<String, Value>) {
    if let Some(title) = &notes.title {
        map.insert("title".into(), title.as_str().into());
    }
    let extra = (!notes.extra.is_empty()).then(|| format!("{{{}}}", notes.extra.join(", ")));
    let description = match (&notes.description, extra) {
        (Some(description), Some(extra)) => Some(format!("{description}\n\n{extra}")),
        (Some(description), None) => Some(description.clone()),
        (None, extra) => extra,
    };
    if let Some(description) = description {
        map.insert("description".into(), description.into());
    }
}
