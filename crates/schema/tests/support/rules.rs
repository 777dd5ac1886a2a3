//! The providers' rules, written down a second time, from their documentation and not from the code that obeys them:
//! a checker for each dialect. Says all that is broken, each with its place.

use std::collections::{HashMap, HashSet};

use codetether_schema::Dialect;
use serde_json::{Map, Value};

/// All rules of the dialect that the schema breaks.
pub(crate) fn broken(schema: &Value, dialect: Dialect, for_tool: bool) -> Vec<String> {
    let mut check = Check { root: schema, dialect, broken: Vec::new() };
    check.root(for_tool);
    check.schema(schema, "");
    match dialect {
        Dialect::OpenAi | Dialect::OpenRouter => check.openai_limits(),
        Dialect::Anthropic => check.no_recursion(),
        Dialect::Gemini => check.recursion_is_optional(),
        _ => {}
    }
    check.broken
}

struct Check<'s> {
    root: &'s Value,
    dialect: Dialect,
    broken: Vec<String>,
}

const OPENAI: &[&str] = &[
    "type",
    "title",
    "description",
    "enum",
    "const",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "anyOf",
    "$defs",
    "$ref",
    "pattern",
    "format",
    "multipleOf",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minItems",
    "maxItems",
];
const ANTHROPIC: &[&str] = &[
    "type",
    "title",
    "description",
    "enum",
    "const",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "anyOf",
    "$defs",
    "$ref",
    "format",
    "minItems",
];
const GEMINI: &[&str] = &[
    "$id",
    "$defs",
    "$ref",
    "$anchor",
    "type",
    "format",
    "title",
    "description",
    "enum",
    "items",
    "prefixItems",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "anyOf",
    "oneOf",
    "properties",
    "additionalProperties",
    "required",
    "propertyOrdering",
];
const GEMINI_OPENAPI: &[&str] = &[
    "type",
    "format",
    "title",
    "description",
    "nullable",
    "enum",
    "items",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "anyOf",
    "properties",
    "required",
    "propertyOrdering",
];
const OLLAMA: &[&str] = &[
    "type",
    "title",
    "description",
    "enum",
    "const",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "prefixItems",
    "anyOf",
    "$defs",
    "$ref",
    "pattern",
    "format",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
];

impl<'s> Check<'s> {
    fn fail(&mut self, at: &str, what: impl std::fmt::Display) {
        self.broken.push(format!("{at}: {what}"));
    }

    fn openai(&self) -> bool {
        matches!(self.dialect, Dialect::OpenAi | Dialect::OpenRouter)
    }

    fn root(&mut self, for_tool: bool) {
        let object = self.root["type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("object"));
        let wanted = for_tool || self.openai() || self.dialect == Dialect::Anthropic;
        if wanted && (!object || self.root.get("anyOf").is_some() || self.root.get("$ref").is_some()) {
            self.fail("", "the root is not an object");
        }
    }

    fn schema(&mut self, schema: &Value, at: &str) {
        let Some(map) = schema.as_object() else {
            self.fail(at, "not a schema object");
            return;
        };
        let known = match self.dialect {
            Dialect::OpenAi | Dialect::OpenRouter => OPENAI,
            Dialect::Anthropic => ANTHROPIC,
            Dialect::Gemini => GEMINI,
            Dialect::GeminiOpenApi => GEMINI_OPENAPI,
            _ => OLLAMA,
        };
        for key in map.keys().filter(|key| !known.contains(&key.as_str())) {
            self.fail(at, format!("`{key}` is not taken"));
        }
        if map.contains_key("$defs") && !at.is_empty() {
            self.fail(at, "definitions belong to the root");
        }
        self.reference(map, at);
        self.kinds(map, at);
        self.object(map, at);
        self.array(map, at);
        self.values(map, at);
        self.text_and_numbers(map, at);
        for (key, inner) in map {
            match (key.as_str(), inner) {
                ("properties" | "$defs", Value::Object(inner)) => {
                    for (name, inner) in inner {
                        self.schema(inner, &format!("{at}/{key}/{name}"));
                    }
                }
                ("anyOf" | "prefixItems", Value::Array(inner)) => {
                    for (n, inner) in inner.iter().enumerate() {
                        self.schema(inner, &format!("{at}/{key}/{n}"));
                    }
                }
                ("items", inner) => self.schema(inner, &format!("{at}/items")),
                ("additionalProperties", inner @ Value::Object(_)) => {
                    self.schema(inner, &format!("{at}/additionalProperties"));
                }
                _ => {}
            }
        }
    }

    fn reference(&mut self, map: &Map<String, Value>, at: &str) {
        let Some(reference) = map.get("$ref") else { return };
        if map.keys().any(|key| !key.starts_with('$')) {
            self.fail(at, "something stands beside `$ref`");
        }
        let pointer = reference.as_str().and_then(|reference| reference.strip_prefix('#'));
        if pointer.is_none_or(|pointer| self.root.pointer(pointer).is_none()) {
            self.fail(at, format!("{reference} leads nowhere"));
        }
        let whole = pointer == Some("");
        if whole && !self.openai() {
            self.fail(at, "the root cannot be referred to");
        }
    }

    fn kinds(&mut self, map: &Map<String, Value>, at: &str) {
        const TYPES: [&str; 7] = ["string", "number", "integer", "boolean", "object", "array", "null"];
        if let Some(Value::Array(variants)) = map.get("anyOf") {
            if variants.len() < 2 && map.get("nullable").is_none() {
                self.fail(at, "a union of fewer than two");
            }
            if self.dialect == Dialect::Ollama && (map.contains_key("type") || map.contains_key("properties"))
            {
                self.fail(at, "what stands beside `anyOf` is not heeded");
            }
        }
        match map.get("type") {
            Some(Value::String(kind)) => {
                let lower = kind.to_lowercase();
                let case =
                    if self.dialect == Dialect::GeminiOpenApi { kind.to_uppercase() } else { lower.clone() };
                if !TYPES.contains(&lower.as_str()) || *kind != case {
                    self.fail(at, format!("`{kind}` is no type"));
                }
            }
            Some(Value::Array(kinds)) => {
                let nullable = kinds.len() == 2 && kinds.contains(&Value::from("null"));
                let fine = match self.dialect {
                    Dialect::OpenAi | Dialect::OpenRouter | Dialect::Gemini => nullable,
                    Dialect::Ollama => true,
                    _ => false,
                };
                if !fine {
                    self.fail(at, "an array of types");
                }
            }
            Some(other) => self.fail(at, format!("{other} is no type")),
            None => {
                let said = ["$ref", "anyOf"].iter().any(|key| map.contains_key(*key));
                let free = match self.dialect {
                    Dialect::Gemini => true,
                    Dialect::Ollama => map.contains_key("enum") || map.contains_key("const"),
                    _ => false,
                };
                if !said && !free {
                    self.fail(at, "no type, union or reference");
                }
            }
        }
    }

    fn is(map: &Map<String, Value>, kind: &str) -> bool {
        match map.get("type") {
            Some(Value::String(name)) => name.eq_ignore_ascii_case(kind),
            Some(Value::Array(names)) => names.iter().any(|name| name == kind),
            _ => false,
        }
    }

    fn object(&mut self, map: &Map<String, Value>, at: &str) {
        let properties = map.get("properties").and_then(Value::as_object);
        let names: HashSet<&str> =
            properties.into_iter().flat_map(|properties| properties.keys()).map(String::as_str).collect();
        let listed = |key: &str| -> Option<Vec<&str>> {
            Some(map.get(key)?.as_array()?.iter().filter_map(Value::as_str).collect())
        };
        for key in ["required", "propertyOrdering"] {
            if let Some(list) = listed(key) {
                let set: HashSet<&str> = list.iter().copied().collect();
                if set.len() != list.len() {
                    self.fail(at, format!("`{key}` names one twice"));
                }
                if !set.is_subset(&names) {
                    self.fail(at, format!("`{key}` names what is not there"));
                }
                if key == "propertyOrdering" && set != names {
                    self.fail(at, "`propertyOrdering` is not whole");
                }
            }
        }
        if !Self::is(map, "object") {
            return;
        }
        let additional = map.get("additionalProperties");
        match self.dialect {
            Dialect::OpenAi | Dialect::OpenRouter => {
                let required: HashSet<&str> = listed("required").unwrap_or_default().into_iter().collect();
                if properties.is_none() || required != names || !map.contains_key("required") {
                    self.fail(at, "not every property is required");
                }
                if additional != Some(&Value::Bool(false)) {
                    self.fail(at, "an open object");
                }
            }
            Dialect::Anthropic if additional != Some(&Value::Bool(false)) => self.fail(at, "an open object"),
            _ => {}
        }
    }

    fn array(&mut self, map: &Map<String, Value>, at: &str) {
        if Self::is(map, "array")
            && self.dialect != Dialect::Ollama
            && !map.contains_key("items")
            && !map.contains_key("prefixItems")
        {
            self.fail(at, "an array of nobody knows what");
        }
        if self.dialect == Dialect::Ollama && map.contains_key("items") && map.contains_key("prefixItems") {
            self.fail(at, "`prefixItems` is not heeded beside `items`");
        }
        for key in ["minItems", "maxItems", "minLength", "maxLength"] {
            let Some(value) = map.get(key) else { continue };
            match value.as_u64() {
                None => self.fail(at, format!("`{key}` is no count")),
                Some(n) if self.dialect == Dialect::Anthropic && n > 1 => self.fail(at, "`minItems` above 1"),
                Some(n) if self.dialect == Dialect::Ollama && n > 2_000 => {
                    self.fail(at, "a repetition too long")
                }
                Some(_) => {}
            }
        }
    }

    fn values(&mut self, map: &Map<String, Value>, at: &str) {
        let Some(values) = map.get("enum") else { return };
        let values = values.as_array().map(Vec::as_slice).unwrap_or_default();
        if values.is_empty() {
            self.fail(at, "an empty list of values");
        }
        let fits = |value: &Value| match self.dialect {
            Dialect::Ollama => true,
            Dialect::Gemini => value.is_string() || value.is_number(),
            Dialect::GeminiOpenApi => value.is_string(),
            _ => !value.is_object() && !value.is_array(),
        };
        if !values.iter().all(fits) {
            self.fail(at, "a value that cannot be listed");
        }
    }

    fn text_and_numbers(&mut self, map: &Map<String, Value>, at: &str) {
        let formats: &[&str] = match self.dialect {
            Dialect::OpenAi | Dialect::OpenRouter => {
                &["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"]
            }
            Dialect::Anthropic => {
                &["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"]
            }
            Dialect::Gemini => &["date-time", "date", "time"],
            Dialect::GeminiOpenApi => &["date-time"],
            _ => &["date-time", "date", "time", "uuid"],
        };
        if let Some(format) = map.get("format")
            && !(format.as_str().is_some_and(|format| formats.contains(&format)) && Self::is(map, "string"))
        {
            self.fail(at, format!("format {format}"));
        }
        for key in ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"] {
            if let Some(value) = map.get(key) {
                let number = Self::is(map, "integer") || Self::is(map, "number");
                let whole =
                    self.dialect != Dialect::Ollama || (value.as_i64().is_some() && Self::is(map, "integer"));
                if !value.is_number() || !number || !whole {
                    self.fail(at, format!("`{key}` of {value}"));
                }
            }
        }
        if let Some(pattern) = map.get("pattern") {
            let pattern = pattern.as_str().unwrap_or_default();
            if pattern.contains("(?=") || pattern.contains("(?!") || pattern.contains("(?<") {
                self.fail(at, "a pattern that looks around");
            }
            if self.dialect == Dialect::Ollama {
                if !(pattern.starts_with('^') && pattern.ends_with('$')) {
                    self.fail(at, "a pattern that is not anchored");
                }
                for key in ["format", "minLength", "maxLength"] {
                    if map.contains_key(key) {
                        self.fail(at, format!("`{key}` is not heeded beside `pattern`"));
                    }
                }
            }
        }
    }

    /// 5,000 properties, 10 levels, 1,000 listed values, 120,000 characters of names and values; 15,000 in a list of
    /// more than 250 strings.
    fn openai_limits(&mut self) {
        let mut totals = Totals::default();
        totals.add(self.root);
        let depth = self.depth(self.root, &mut Vec::new(), &mut HashMap::new());
        for (what, found, most) in [
            ("properties", totals.properties, 5_000),
            ("levels", depth, 10),
            ("listed values", totals.values, 1_000),
            ("characters", totals.characters, 120_000),
            ("characters in one list", totals.longest_list, 15_000),
        ] {
            if found > most {
                self.fail("", format!("{found} {what}"));
            }
        }
    }

    fn depth(
        &self,
        schema: &'s Value,
        open: &mut Vec<&'s str>,
        known: &mut HashMap<&'s str, usize>,
    ) -> usize {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            if open.contains(&reference) || open.len() > 64 {
                return 0;
            }
            if let Some(depth) = known.get(reference) {
                return *depth;
            }
            open.push(reference);
            let depth = self.root.pointer(&reference[1..]).map_or(0, |inner| self.depth(inner, open, known));
            open.pop();
            known.insert(reference, depth);
            return depth;
        }
        let own = schema.as_object().is_some_and(|map| Self::is(map, "object") || Self::is(map, "array"));
        let inner = inner_schemas(schema).into_iter().map(|inner| self.depth(inner, open, known)).max();
        inner.unwrap_or(0) + usize::from(own)
    }

    fn references_in(schema: &'s Value, found: &mut Vec<&'s str>) {
        found.extend(schema.get("$ref").and_then(Value::as_str));
        for inner in inner_schemas(schema) {
            Self::references_in(inner, found);
        }
    }

    fn reaches(&self, from: &'s str, wanted: &str) -> bool {
        let mut seen = HashSet::from([from]);
        let mut open = vec![from];
        while let Some(here) = open.pop() {
            if here == wanted {
                return true;
            }
            let mut next = Vec::new();
            if let Some(target) = self.root.pointer(&here[1..]) {
                Self::references_in(target, &mut next);
            }
            open.extend(next.into_iter().filter(|reference| seen.insert(reference)));
        }
        false
    }

    fn definitions(&self) -> Vec<(String, &'s Value)> {
        let definitions = self.root.get("$defs").and_then(Value::as_object);
        definitions.into_iter().flatten().map(|(name, inner)| (format!("#/$defs/{name}"), inner)).collect()
    }

    fn no_recursion(&mut self) {
        for (name, definition) in self.definitions() {
            let mut references = Vec::new();
            Self::references_in(definition, &mut references);
            if references.iter().any(|reference| self.reaches(reference, &name)) {
                self.fail(&name, "a definition that contains itself");
            }
        }
    }

    /// Every reference of a definition that leads back to it is in a property that is not required.
    fn recursion_is_optional(&mut self) {
        for (name, definition) in self.definitions() {
            let mut mandatory = Vec::new();
            Self::mandatory_references(definition, &mut mandatory);
            if mandatory.iter().any(|reference| self.reaches(reference, &name)) {
                self.fail(&name, "it contains itself in a property that is required");
            }
        }
    }

    fn mandatory_references(schema: &'s Value, found: &mut Vec<&'s str>) {
        found.extend(schema.get("$ref").and_then(Value::as_str));
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        for (name, inner) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            if required.contains(&name.as_str()) {
                Self::mandatory_references(inner, found);
            }
        }
        for inner in ["items"].iter().filter_map(|key| schema.get(*key)) {
            Self::mandatory_references(inner, found);
        }
        for key in ["anyOf", "prefixItems"] {
            for inner in schema.get(key).and_then(Value::as_array).into_iter().flatten() {
                Self::mandatory_references(inner, found);
            }
        }
    }
}

fn inner_schemas(schema: &Value) -> Vec<&Value> {
    let mut inner = Vec::new();
    inner.extend(schema.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::values));
    for key in ["anyOf", "prefixItems"] {
        inner.extend(schema.get(key).and_then(Value::as_array).into_iter().flatten());
    }
    for key in ["items", "additionalProperties"] {
        inner.extend(schema.get(key).filter(|inner| inner.is_object()));
    }
    inner
}

#[derive(Default)]
struct Totals {
    properties: usize,
    values: usize,
    characters: usize,
    longest_list: usize,
}

impl Totals {
    fn add(&mut self, schema: &Value) {
        let length = |value: &Value| value.as_str().map_or(0, |text| text.chars().count());
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            self.properties += properties.len();
            self.characters += properties.keys().map(|name| name.chars().count()).sum::<usize>();
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            let characters: usize = values.iter().map(length).sum();
            self.values += values.len();
            self.characters += characters;
            if values.len() > 250 {
                self.longest_list = self.longest_list.max(characters);
            }
        }
        self.characters += schema.get("const").map_or(0, length);
        if let Some(definitions) = schema.get("$defs").and_then(Value::as_object) {
            self.characters += definitions.keys().map(|name| name.chars().count()).sum::<usize>();
            definitions.values().for_each(|inner| self.add(inner));
        }
        for inner in inner_schemas(schema) {
            self.add(inner);
        }
    }
}
