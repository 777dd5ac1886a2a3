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

impl Validator {
    /// Compiles a schema.
    ///
    /// # Errors
    /// When it is no schema, or refers to something outside itself.
    pub fn new(schema: &Value) -> Result<Self, Error> {
        let compiled =
            jsonschema::validator_for(schema).map_err(|error| Error(bounded(&error.to_string())))?;
        Ok(Self { compiled, schema: schema.clone() })
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
        assert!(Validator::new(&json!({ "$ref": "http://127.0.0.1:1/x.json" })).is_err());
        assert!(Validator::new(&json!({ "$ref": "file:///etc/passwd" })).is_err());
        assert!(Validator::new(&json!({ "type": 5 })).is_err());
    }
}
