//! Reading an answer that must fit a schema: strictly; else with its form mended; else with its scalars coerced to the
//! types that the schema wants; else what is wrong with it. Which rung was needed is part of the result. Never
//! invents a value, and never takes one of two.

mod coerce;
mod tolerant;

use codetether_event::Rung;
use serde_json::Value;

use crate::arguments::{parse_arguments, strict};
use crate::lower::Lowered;
use crate::validate::{Validator, Violations};

pub use tolerant::{Mended, Unrepairable, repair};

/// An answer that fits.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// It fits the original schema.
    pub value: Value,
    /// What it took.
    pub rung: Rung,
    /// The text ended inside it, so that its last string or list may be only a beginning: good enough to be shown,
    /// not to be acted on.
    pub was_cut: bool,
}

/// An answer that cannot be used; the words are for the model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unusable {
    /// It cannot be read as JSON.
    #[error("it is not JSON: {0}")]
    NotJson(#[from] Unrepairable),
    /// It does not fit, and cannot be coerced to.
    #[error("it does not fit the schema: {0}")]
    DoesNotFit(#[from] Violations),
}

/// Reads an answer that must fit a schema. `lowered` is what the provider was given, if it was not the original; what
/// that did to the answer is undone.
///
/// # Errors
/// When no rung helps.
pub fn read_answer(text: &str, original: &Validator, lowered: Option<&Lowered>) -> Result<Answer, Unusable> {
    let (mended, rung) = match strict(text) {
        Ok(value) => (vec![Mended { value, was_cut: false }], Rung::Strict),
        Err(_) => (repair(text)?, Rung::Repaired),
    };
    let mut wrong = None;
    let mut misfits = Vec::new();
    for Mended { value, was_cut } in mended {
        let value = match lowered {
            Some(lowered) => lowered.raise(value),
            None => value,
        };
        match original.validate(&value) {
            Ok(()) => return Ok(Answer { value, rung, was_cut }),
            Err(violations) => wrong = wrong.or(Some(violations)),
        }
        misfits.push((value, was_cut));
    }
    for (value, was_cut) in misfits {
        let coerced = coerce::coerce(&value, original.schema());
        if coerced != value && original.validate(&coerced).is_ok() {
            return Ok(Answer { value: coerced, rung: Rung::Coerced, was_cut });
        }
    }
    Err(match wrong {
        Some(violations) => violations.into(),
        None => Unrepairable::NoValue.into(),
    })
}

/// Reads the arguments of a call, which must be an object; nothing at all counts as an empty one, and a property that is
/// `null` as left out. They are helped as answers are, but for text that ends inside: what was cut is not acted on.
///
/// # Errors
/// For the model: what is wrong with them as they were written.
pub fn read_arguments(text: &str, tool: &Validator) -> Result<(Value, Rung), String> {
    let problem = match parse_arguments(text) {
        Ok(value) => match tool.validate(&value) {
            Ok(()) => return Ok((value, Rung::Strict)),
            Err(violations) => {
                let coerced = coerce::coerce(&value, tool.schema());
                if coerced != value && tool.validate(&coerced).is_ok() {
                    return Ok((coerced, Rung::Coerced));
                }
                violations.to_string()
            }
        },
        Err(problem) => problem,
    };
    match read_answer(text, tool, None) {
        Ok(Answer { value: value @ Value::Object(_), rung, was_cut: false }) => Ok((value, rung)),
        _ => Err(problem),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Dialect, lower};

    fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {"name": {"type": "string"}, "age": {"type": "integer"}, "ok": {"type": "boolean"}},
            "required": ["name"],
            "additionalProperties": false
        })
    }

    fn answer(text: &str) -> Result<(Value, Rung), String> {
        let read = read_answer(text, &Validator::new(&schema()).unwrap(), None);
        read.map(|answer| (answer.value, answer.rung)).map_err(|problem| problem.to_string())
    }

    #[test]
    fn each_rung_is_used_only_when_the_one_below_does_not_hold() {
        let ann = json!({"name": "Ann", "age": 3});
        assert_eq!(answer(r#"{"name": "Ann", "age": 3}"#), Ok((ann.clone(), Rung::Strict)));
        assert_eq!(answer("```json\n{'name': 'Ann', 'age': 3,}\n```"), Ok((ann.clone(), Rung::Repaired)));
        assert_eq!(answer(r#"{"name": "Ann", "age": "3"}"#), Ok((ann.clone(), Rung::Coerced)));
        assert_eq!(answer(r#"Here: {"name": "Ann", "age": "3"} ok?"#), Ok((ann, Rung::Coerced)));
    }

    #[test]
    fn of_several_values_the_one_that_fits_is_taken() {
        let text = r#"With {"age": 1} it would not do, so: {"name": "Ann"}"#;
        assert_eq!(answer(text), Ok((json!({"name": "Ann"}), Rung::Repaired)));
    }

    #[test]
    fn what_is_wrong_is_said_and_nothing_is_made_up() {
        assert_eq!(answer(r#"{"age": 3}"#), Err("it does not fit the schema: `name` is missing".into()));
        let cut = answer(r#"{"name": "Ann", "ok": tr"#);
        assert_eq!(cut, Ok((json!({"name": "Ann"}), Rung::Repaired)));
        assert_eq!(
            answer(r#"{"name": "Ann", "age": "three"}"#),
            Err("it does not fit the schema: `/age`: must be of type integer, not a string".into())
        );
        assert_eq!(answer("no"), Err("it is not JSON: there is no JSON value in it".into()));
        let twice = answer(r#"{"name": "Ann", "name": "Bob"}"#);
        assert_eq!(twice, Err("it is not JSON: the property `name` is there twice".into()));
        let deep = answer(&format!("{{\"name\": {}", "[".repeat(200)));
        assert_eq!(deep, Err("it is not JSON: it is nested deeper than 128".into()));
    }

    #[test]
    fn arguments_are_helped_but_never_when_they_were_cut() {
        let tool = Validator::new(&schema()).unwrap();
        let read = |text: &str| read_arguments(text, &tool);
        let ann = json!({"name": "Ann", "age": 3});
        assert_eq!(read(r#"{"name": "Ann", "age": 3, "ok": null}"#), Ok((ann.clone(), Rung::Strict)));
        assert_eq!(read(r#"{"name": "Ann", "age": "3", "ok": null}"#), Ok((ann.clone(), Rung::Coerced)));
        assert_eq!(read("```json\n{'name': 'Ann', 'age': 3,}\n```"), Ok((ann, Rung::Repaired)));
        assert_eq!(read("").unwrap_err(), "`name` is missing");
        let cut = read(r#"{"name": "An"#).unwrap_err();
        assert!(cut.starts_with("they are not valid JSON"), "{cut}");
        let twice = read(r#"{"name": "Ann", "name": "Bob"}"#).unwrap_err();
        assert!(twice.contains("twice"), "{twice}");
    }

    #[test]
    fn what_lowering_did_is_undone_before_the_check() {
        let validator = Validator::new(&schema()).unwrap();
        let lowered = lower(&schema(), Dialect::OpenAi);
        let read = read_answer(r#"{"name": "Ann", "age": null, "ok": null}"#, &validator, Some(&lowered));
        assert_eq!(read, Ok(Answer { value: json!({"name": "Ann"}), rung: Rung::Strict, was_cut: false }));
    }
}
