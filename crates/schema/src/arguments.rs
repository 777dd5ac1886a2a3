//! Reading the arguments of a call: one JSON object, strictly.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Characters of a text of the model's that are repeated to it.
const REPEATED: usize = 400;

/// Reads the arguments of a call; nothing at all counts as an empty object. A property that is `null` counts as left
/// out, since many models write so what they do not give; deeper down `null` stays.
///
/// # Errors
/// For the model: where the text is not JSON, not an object, or names a property twice.
pub(crate) fn parse_arguments(text: &str) -> Result<Value, String> {
    if text.trim().is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    match strict(text).map_err(|error| format!("they are not valid JSON: {error}"))? {
        Value::Object(mut properties) => {
            properties.retain(|_, value| !value.is_null());
            Ok(Value::Object(properties))
        }
        Value::Null => Ok(Value::Object(Map::new())),
        other => Err(format!("they must be a JSON object, not {}", kind(&other))),
    }
}

/// JSON in which each object names each property once, of a depth that serde_json bounds, at 128.
pub(crate) fn strict(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text).map(|Strict(value)| value)
}

/// The text, or its beginning.
pub(crate) fn bounded(text: &str) -> String {
    match text.char_indices().nth(REPEATED) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A value whose objects name each property once.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Strictly;
        impl<'de> Visitor<'de> for Strictly {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(Value::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
                Ok(Value::Number(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
                Ok(Value::Number(value.into()))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
                Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number that is none"))
            }

            fn visit_str<E>(self, value: &str) -> Result<Value, E> {
                Ok(Value::String(value.to_owned()))
            }

            fn visit_string<E>(self, value: String) -> Result<Value, E> {
                Ok(Value::String(value))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
                let mut array = Vec::new();
                while let Some(Strict(item)) = items.next_element()? {
                    array.push(item);
                }
                Ok(Value::Array(array))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
                let mut object = Map::new();
                while let Some((key, Strict(value))) = entries.next_entry::<String, _>()? {
                    if object.contains_key(&key) {
                        return Err(A::Error::custom(format!(
                            "the property `{}` is there twice",
                            bounded(&key)
                        )));
                    }
                    object.insert(key, value);
                }
                Ok(Value::Object(object))
            }
        }
        deserializer.deserialize_any(Strictly).map(Strict)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_is_an_empty_object() {
        for text in ["", "  \n", "null", "{}"] {
            assert_eq!(parse_arguments(text), Ok(json!({})), "{text:?}");
        }
    }

    #[test]
    fn a_property_that_is_null_is_left_out() {
        let text = r#"{"a": null, "b": {"c": null}, "d": [null]}"#;
        assert_eq!(parse_arguments(text), Ok(json!({"b": {"c": null}, "d": [null]})));
        assert!(parse_arguments(r#"{"a": null, "a": 1}"#).is_err());
    }

    #[test]
    fn a_long_name_is_not_repeated_whole() {
        let name = "é".repeat(1_000_000);
        let problem = parse_arguments(&format!(r#"{{"{name}":1,"{name}":2}}"#)).unwrap_err();
        assert!(problem.contains("is there twice") && problem.len() < 1_000, "{}", problem.len());
    }

    #[test]
    fn what_is_wrong_is_said() {
        let problem = |text| parse_arguments(text).unwrap_err();
        assert!(
            problem("{\"a\": ").starts_with("they are not valid JSON: EOF while parsing a value at line 1")
        );
        assert_eq!(problem("[1]"), "they must be a JSON object, not an array");
        assert!(problem(r#"{"a":1,"a":2}"#).contains("the property `a` is there twice"));
        assert!(problem(&"[".repeat(1_000)).contains("recursion limit"));
    }

    proptest! {
        #[test]
        fn no_text_panics_and_every_object_reads_as_serde_json_reads_it(text in ".{0,80}") {
            let _ = parse_arguments(&text);
            let object = json!({ "text": text, "list": [1, -2, 0.5, true, null] });
            prop_assert_eq!(parse_arguments(&object.to_string()), Ok(object));
        }
    }
}
