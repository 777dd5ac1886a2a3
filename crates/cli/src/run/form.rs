//! What the last answer must be, as the flags say it.

use std::io::Read;
use std::path::Path;

use codetether_config::defined::Agent;
use codetether_event::ResponseFormat;
use codetether_schema::Validator;
use serde_json::Value;

use crate::args::RunArgs;
use crate::exit::{Exit, Failure};

/// Most bytes of a schema. It goes into the journal with every prompt.
const SCHEMA_MAX: u64 = 256 << 10;
/// Most characters of a name that providers take.
const NAME_MAX: usize = 64;

/// Whether the flags ask for a form.
pub(crate) fn is_asked(args: &RunArgs) -> bool {
    args.output_schema.is_some() || args.output_schema_inline.is_some()
}

/// The form that the flags ask for.
pub(crate) fn asked(args: &RunArgs) -> Result<ResponseFormat, Failure> {
    let (text, from) = match (&args.output_schema, &args.output_schema_inline) {
        (Some(path), _) => (read(path)?, format!("`{}`", path.display())),
        (None, Some(text)) => (text.clone(), "`--output-schema-inline`".to_owned()),
        (None, None) => return Ok(ResponseFormat::Text),
    };
    read_as(&text, &from, args.output_strict)
}

/// The same; where they ask for none, the agent's.
pub(crate) fn of(args: &RunArgs, agent: Option<&Agent>) -> Result<ResponseFormat, Failure> {
    match agent.and_then(|agent| agent.output_schema.as_ref()) {
        Some(schema) if !is_asked(args) => {
            read_as(&schema.text, &format!("`{}`", schema.from), args.output_strict)
        }
        _ => asked(args),
    }
}

/// The form that a JSON Schema asks for.
fn read_as(text: &str, from: &str, strict: bool) -> Result<ResponseFormat, Failure> {
    let wrong = |problem: &dyn std::fmt::Display| {
        Failure::with_help(
            Exit::Usage,
            format!("{from} holds no schema to use: {problem}"),
            "a JSON Schema is a JSON object, such as `{\"type\": \"object\", \"properties\": {…}}`",
        )
    };
    if text.len() as u64 > SCHEMA_MAX {
        return Err(wrong(&format!("it has more than {SCHEMA_MAX} bytes")));
    }
    let schema: Value = serde_json::from_str(text).map_err(|error| wrong(&error))?;
    if !schema.is_object() {
        return Err(wrong(&"it is no object"));
    }
    Validator::new(&schema).map_err(|error| wrong(&error))?;
    Ok(ResponseFormat::Schema { name: name(&schema), schema: Box::new(schema), strict })
}

fn read(path: &Path) -> Result<String, Failure> {
    let problem = |problem: &dyn std::fmt::Display| {
        Failure::new(Exit::Usage, format!("cannot read the schema `{}`: {problem}", path.display()))
    };
    let file = codetether_files::open_read(path).map_err(|error| problem(&error))?;
    let mut bytes = Vec::new();
    file.take(SCHEMA_MAX + 1).read_to_end(&mut bytes).map_err(|error| problem(&error))?;
    String::from_utf8(bytes).map_err(|_| problem(&"it is no text"))
}

/// The schema's title, as far as providers take it for a name.
fn name(schema: &Value) -> String {
    let title = schema.get("title").and_then(Value::as_str).unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let name: String = title.trim().chars().take(NAME_MAX).map(plain).collect();
    if name.chars().any(|c| c.is_ascii_alphanumeric()) { name } else { "answer".to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::name;

    #[test]
    fn a_name_is_what_providers_take() {
        for (title, wanted) in
            [("Bug report, v2", "Bug_report__v2"), ("", "answer"), ("  ", "answer"), ("é", "answer")]
        {
            assert_eq!(name(&json!({"title": title})), wanted);
        }
        assert_eq!(name(&json!({"title": "x".repeat(99)})).len(), 64);
        assert_eq!(name(&json!({})), "answer");
    }
}
