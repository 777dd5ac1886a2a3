//! A type's schema, as small as it can be: it is part of every request.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// The schema of a type that reads from a JSON object: draft 2020-12, subschemas inlined, closed against unknown
/// properties, descriptions kept, and nothing that says what the type says already.
#[must_use]
pub fn of<T: JsonSchema>() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    settings.meta_schema = None;
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    if let Some(root) = schema.as_object_mut() {
        // The type's own comment is for its reader; the tool's description is for the model.
        root.remove("description");
    }
    tidy(&mut schema);
    schema
}

/// Takes out what only Rust cares for, and closes objects.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            object.remove("title");
            object.remove("default");
            object.remove("$schema");
            let rust_only = |format: &Value| {
                format.as_str().is_some_and(|format| {
                    format.starts_with("uint")
                        || format.starts_with("int")
                        || matches!(format, "float" | "double")
                })
            };
            if object.get("format").is_some_and(rust_only) {
                object.remove("format");
            }
            optional(object);
            if object.contains_key("properties") {
                object.entry("additionalProperties").or_insert(Value::Bool(false));
            }
            for (key, value) in object.iter_mut() {
                // Names of properties are not keywords.
                match (key.as_str(), value) {
                    ("properties", Value::Object(properties)) => properties.values_mut().for_each(tidy),
                    ("enum" | "const" | "required", _) => {}
                    (_, value) => tidy(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// An optional property may be left out; that it may be null as well need not be said.
fn optional(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(variants)) = object.get_mut("anyOf") {
        variants.retain(|variant| variant.get("type").and_then(Value::as_str) != Some("null"));
        if variants.len() == 1
            && let Some(Value::Object(only)) = variants.pop()
        {
            object.remove("anyOf");
            for (key, value) in only {
                object.entry(key).or_insert(value);
            }
        }
    }
    if let Some(Value::Array(values)) = object.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Not for the model.
    #[derive(JsonSchema)]
    #[allow(dead_code)]
    struct Arguments {
        /// Where.
        path: String,
        /// How many.
        limit: Option<u32>,
        #[schemars(default)]
        all: bool,
        kind: Option<Kind>,
        title: String,
    }

    #[derive(JsonSchema)]
    #[schemars(rename_all = "lowercase")]
    #[allow(dead_code)]
    enum Kind {
        File,
        Folder,
    }

    #[test]
    fn a_types_schema_is_closed_inlined_and_free_of_noise() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&of::<Arguments>()).unwrap(), @r#"
        {
          "type": "object",
          "properties": {
            "path": {
              "type": "string",
              "description": "Where."
            },
            "limit": {
              "type": "integer",
              "description": "How many.",
              "minimum": 0
            },
            "all": {
              "type": "boolean"
            },
            "kind": {
              "type": "string",
              "enum": [
                "file",
                "folder"
              ]
            },
            "title": {
              "type": "string"
            }
          },
          "required": [
            "path",
            "title"
          ],
          "additionalProperties": false
        }
        "#);
    }
}
