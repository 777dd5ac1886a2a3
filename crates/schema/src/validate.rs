//! Checking a value against a schema, in words that help a model mend it.

use std::fmt;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::Value;

use crate::arguments::{bounded, kind};

/// Violations that are shown.
const SHOWN: usize = 8;
/// Longest name that is compared with others for likeness, in bytes.
const NAME_MAX: usize = 100;
/// Characters of a value that are repeated.
const ECHO: usize = 60;

/// A schema that is no schema.
#[derive(Debug, thiserror::Error)]
#[error("not a valid JSON Schema: {0}")]
pub struct Error(String);

/// A compiled schema.
#[derive(Debug)]
pub struct Validator {
    compiled: jsonschema::Validator,
    schema: Value,
}

/// One thing that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Where, as a JSON pointer; empty for the whole.
    pub at: String,
    /// What was expected.
    pub problem: String,
}

/// All that does not fit; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violations {
    /// The first few.
    pub shown: Vec<Violation>,
    /// How many more there are.
    pub more: usize,
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, Violation { at, problem }) in self.shown.iter().enumerate() {
            let separator = if n == 0 { "" } else { "; " };
            match at.as_str() {
                "" => write!(f, "{separator}{problem}")?,
                at => write!(f, "{separator}`{at}`: {problem}")?,
            }
        }
        if self.more > 0 {
            write!(f, "; and {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for Violations {}

fn problem(error: &jsonschema::ValidationError<'_>) -> String {
    match error.kind() {
        ValidationErrorKind::Referencing(jsonschema::ReferencingError::Unretrievable { uri, .. }) => {
            format!("it refers to `{uri}`, which is outside of it and is not fetched")
        }
        _ => error.to_string(),
    }
}

impl Validator {
    /// Compiles a schema.
    ///
    /// # Errors
    /// When it is no schema, or refers to something outside itself.
    pub fn new(schema: &Value) -> Result<Self, Error> {
        let mut schema = schema.clone();
        spell_nullable(&mut schema, NESTED);
        let mut options = jsonschema::options();
        // A schema that does not say of which draft it is, and is spelled as only an old one is.
        if schema.get("$schema").is_none()
            && let Some(draft) = old_draft(&schema, NESTED)
        {
            options = options.with_draft(draft);
        }
        let compiled = options.build(&schema).map_err(|error| Error(bounded(&problem(&error))))?;
        Ok(Self { compiled, schema })
    }

    /// The schema that is checked with.
    #[must_use]
    pub fn schema(&self) -> &Value {
        &self.schema
    }

    /// Checks a value.
    ///
    /// # Errors
    /// All that does not fit.
    pub fn validate(&self, value: &Value) -> Result<(), Violations> {
        if self.compiled.is_valid(value) {
            return Ok(());
        }
        let mut all = self.compiled.iter_errors(value).map(|error| Violation {
            at: bounded(error.instance_path().as_str()),
            problem: self
                .problem(error.kind(), error.instance(), error.schema_path().as_str(), || error.to_string()),
        });
        let shown: Vec<Violation> = all.by_ref().take(SHOWN).collect();
        Err(Violations { shown, more: all.count() })
    }

    fn problem(
        &self,
        error: &ValidationErrorKind,
        instance: &Value,
        rule: &str,
        otherwise: impl Fn() -> String,
    ) -> String {
        let text = match error {
            ValidationErrorKind::Required { property } => {
                format!("`{}` is missing", property.as_str().unwrap_or_default())
            }
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                let names = unexpected.iter().take(SHOWN);
                let names: Vec<String> = names.map(|name| self.unexpected(name, rule)).collect();
                names.join("; ")
            }
            ValidationErrorKind::Type { kind: TypeKind::Single(expected) } => {
                format!("must be of type {expected}, not {}", kind(instance))
            }
            ValidationErrorKind::Enum { options } => {
                format!("must be one of {options}, not {}", echo(instance))
            }
            ValidationErrorKind::Constant { expected_value } => format!("must be {expected_value}"),
            ValidationErrorKind::Minimum { limit } => {
                format!("must be at least {limit}, not {}", echo(instance))
            }
            ValidationErrorKind::Maximum { limit } => {
                format!("must be at most {limit}, not {}", echo(instance))
            }
            ValidationErrorKind::MinLength { limit } => format!("must have at least {limit} characters"),
            ValidationErrorKind::MaxLength { limit } => format!("must have at most {limit} characters"),
            ValidationErrorKind::MinItems { limit } => format!("must have at least {limit} items"),
            ValidationErrorKind::MaxItems { limit } => format!("must have at most {limit} items"),
            _ => otherwise(),
        };
        bounded(&text)
    }

    /// What to say of a property that is not in the object schema whose rule, at this pointer, refused it.
    fn unexpected(&self, name: &str, rule: &str) -> String {
        let object = rule.rsplit_once('/').map_or("", |(object, _)| object);
        let known = self.schema.pointer(object).and_then(|schema| schema.get("properties")?.as_object());
        let known: Vec<&str> = known.into_iter().flat_map(|known| known.keys()).map(String::as_str).collect();
        let near = known
            .iter()
            .filter(|known| known.len() <= NAME_MAX && name.len() <= NAME_MAX)
            .map(|known| (strsim::osa_distance(known, name), known))
            .filter(|(distance, known)| *distance <= 2.max(known.len() / 3))
            .min();
        match near {
            Some((_, known)) => format!("there is no `{}`; did you mean `{known}`?", bounded(name)),
            None if known.is_empty() => format!("there is no `{}`", bounded(name)),
            None => {
                let known: Vec<String> = known.iter().map(|known| format!("`{known}`")).collect();
                format!("there is no `{}`; there is {}", bounded(name), known.join(", "))
            }
        }
    }
}

/// Nesting in which old spellings are looked for.
const NESTED: usize = 200;

/// The draft of a schema with a list in `items`, or a flag in `exclusiveMinimum`.
pub(crate) fn old_draft(schema: &Value, depth: usize) -> Option<jsonschema::Draft> {
    let (object, depth) = (schema.as_object(), depth.checked_sub(1)?);
    let inner: Vec<&Value> = match schema {
        Value::Object(object) => {
            let data = |key: &str| matches!(key, "enum" | "const" | "default" | "examples");
            object.iter().filter(|(key, _)| !data(key)).map(|(_, inner)| inner).collect()
        }
        Value::Array(items) => items.iter().collect(),
        _ => return None,
    };
    let flag = |key| object.and_then(|object| object.get(key)).is_some_and(Value::is_boolean);
    if flag("exclusiveMinimum") || flag("exclusiveMaximum") {
        return Some(jsonschema::Draft::Draft4);
    }
    let tuple = object.and_then(|object| object.get("items")).is_some_and(Value::is_array);
    let mut found = tuple.then_some(jsonschema::Draft::Draft7);
    for inner in inner {
        match old_draft(inner, depth) {
            Some(jsonschema::Draft::Draft4) => return Some(jsonschema::Draft::Draft4),
            older => found = found.or(older),
        }
    }
    found
}

/// Says in `type` what OpenAPI 3.0 says with `nullable`.
pub(crate) fn spell_nullable(schema: &mut Value, depth: usize) {
    if depth == 0 {
        return;
    }
    match schema {
        Value::Object(object) => {
            if object.get("nullable") == Some(&Value::Bool(true)) {
                match object.get_mut("type") {
                    Some(Value::Array(types)) if !types.iter().any(|name| name == "null") => {
                        types.push("null".into());
                    }
                    Some(one @ Value::String(_)) if one != "null" => {
                        *one = serde_json::json!([one.take(), "null"]);
                    }
                    _ => {}
                }
            }
            for (key, inner) in object.iter_mut() {
                if !matches!(key.as_str(), "enum" | "const" | "default" | "examples") {
                    spell_nullable(inner, depth - 1);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| spell_nullable(item, depth - 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The value, or its beginning.
fn echo(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(ECHO) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(value: &Value) -> String {
        let schema = json!({
            "type": "object",
            "properties": {
                "path": { "type": "string" },
                "limit": { "type": "integer", "minimum": 1, "maximum": 9 },
                "kind": { "enum": ["file", "folder"] },
                "tags": { "type": "array", "items": { "type": "string" } },
                "range": {
                    "type": "object",
                    "properties": { "first": { "type": "integer" }, "last": { "type": "integer" } },
                    "additionalProperties": false
                }
            },
            "required": ["path"],
            "additionalProperties": false
        });
        match Validator::new(&schema).unwrap().validate(value) {
            Ok(()) => "fits".into(),
            Err(violations) => violations.to_string(),
        }
    }

    #[test]
    fn what_fits_fits() {
        assert_eq!(problems(&json!({ "path": "a", "limit": 1, "kind": "file", "tags": ["x"] })), "fits");
    }

    #[test]
    fn what_does_not_fit_is_said_so_that_it_can_be_mended() {
        assert_eq!(problems(&json!({})), "`path` is missing");
        assert_eq!(problems(&json!({ "path": 1 })), "`/path`: must be of type string, not a number");
        assert_eq!(problems(&json!({ "path": "a", "limit": 0 })), "`/limit`: must be at least 1, not 0");
        assert_eq!(
            problems(&json!({ "path": "a", "kind": "x".repeat(500) })).len(),
            "`/kind`: must be one of [\"file\",\"folder\"], not \"…".len() + ECHO - 1
        );
        assert_eq!(
            problems(&json!({ "path": "a", "tags": ["a", 2] })),
            "`/tags/1`: must be of type string, not a number"
        );
        assert!(problems(&json!({ "file_path": "a" })).contains("there is no `file_path`"));
        assert!(problems(&json!({ "path": "a", "limits": 1 })).contains("did you mean `limit`?"));
        let nested = problems(&json!({ "path": "a", "range": { "fist": 1 } }));
        assert_eq!(nested, "`/range`: there is no `fist`; did you mean `first`?");
    }

    #[test]
    fn the_text_is_bounded_however_much_is_wrong() {
        let value = json!({ "path": "a", "tags": vec![1; 10_000] });
        let text = problems(&value);
        assert!(text.ends_with("and 9992 more") && text.len() < 1_000, "{}", text.len());
    }

    #[test]
    fn names_without_end_are_answered_at_once() {
        let long = "x".repeat(4 << 20);
        assert!(problems(&json!({ "path": "a", long: 1 })).len() < 1_000);
        let many: serde_json::Map<_, _> = (0..100_000).map(|n| (format!("limit{n}"), 1.into())).collect();
        assert!(problems(&many.into()).len() < 2_000);
    }

    #[test]
    fn nothing_outside_the_schema_is_followed() {
        // Whoever followed this reference would reach this listener, and read the file.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let here = listener.local_addr().unwrap();
        for reference in [format!("http://{here}/x.json"), "file:///etc/passwd".into(), "other.json".into()] {
            for schema in [
                json!({ "$ref": reference }),
                json!({ "properties": { "a": { "items": { "$ref": format!("{reference}#/x") } } } }),
                json!({ "$schema": reference }),
                json!({ "$id": format!("http://{here}/"), "$ref": "x.json" }),
            ] {
                assert!(Validator::new(&schema).is_err(), "{schema}");
            }
            for dialect in crate::Dialect::ALL {
                let schema = json!({ "type": "object", "properties": { "a": { "$ref": reference } } });
                let lowered = crate::lower(&schema, dialect);
                assert!(!lowered.strict && !lowered.schema.to_string().contains(&reference), "{lowered:?}");
                assert_eq!(lowered.losses[0].path, "/properties/a");
            }
        }
        assert_eq!(
            listener.accept().unwrap_err().kind(),
            std::io::ErrorKind::WouldBlock,
            "something was fetched"
        );
        assert!(Validator::new(&json!({ "type": 5 })).is_err());
    }

    #[test]
    fn old_spellings_are_understood() {
        let fits = |schema: Value, value: Value| Validator::new(&schema).unwrap().validate(&value).is_ok();
        let tuple = json!({ "items": [{ "type": "string" }], "additionalItems": false });
        assert!(fits(tuple.clone(), json!(["a"])) && !fits(tuple, json!(["a", "b"])));
        let range = json!({ "minimum": 1, "exclusiveMinimum": true });
        assert!(fits(range.clone(), json!(2)) && !fits(range, json!(1)));
        let nullable = json!({ "properties": { "a": { "type": "string", "nullable": true } } });
        assert!(fits(nullable.clone(), json!({ "a": null })) && !fits(nullable, json!({ "a": 1 })));
    }
}
