//! Tool calls for models and servers that make none of their own: the answer must be one JSON object out of the union
//! of the tools' schemas, and that object *is* the call. Pure. Never validates arguments: that is the gate's work.

use std::fmt::Write as _;

use codetether_event::{ToolCall, ToolResult};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::ToolDeclaration;
use crate::calls::{arguments, told};

/// The name by which the model says that it is done.
const DONE: &str = "done";

/// The format that the server holds the model to; with `may_end`, to say that it is done is among the choices.
pub(super) fn response_format(tools: &[ToolDeclaration], may_end: bool) -> Value {
    let done = json!({
        "type": "object",
        "properties": {"message": {"type": "string"}},
        "required": ["message"],
        "additionalProperties": false,
    });
    let done = may_end.then_some((DONE, &done));
    let calls = tools.iter().map(|tool| (tool.name.as_str(), &tool.schema)).chain(done);
    let any: Vec<_> = calls
        .map(|(name, arguments)| {
            json!({
                "type": "object",
                "properties": {"tool": {"const": name}, "arguments": arguments},
                "required": ["tool", "arguments"],
                "additionalProperties": false,
            })
        })
        .collect();
    json!({"type": "json_schema", "json_schema": {"name": "step", "strict": true, "schema": {"anyOf": any}}})
}

/// The system prompt, and what the model must know of its tools, which the request does not carry otherwise.
pub(super) fn system(prompt: &str, tools: &[ToolDeclaration], may_end: bool) -> String {
    let mut text = prompt.to_owned();
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str(
        "Every answer is one JSON object: {\"tool\": NAME, \"arguments\": {…}} calls a tool, and its result comes \
         next.",
    );
    if may_end {
        text.push_str(
            " When the work is done: {\"tool\": \"done\", \"arguments\": {\"message\": TEXT}}, with TEXT for the \
             user.",
        );
    }
    text.push_str("\nTools:");
    for tool in tools {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n- {}: {}", tool.name, tool.description);
        let required: Vec<_> = list(&tool.schema, "required").iter().filter_map(Value::as_str).collect();
        let properties = tool.schema.get("properties").and_then(Value::as_object);
        for (name, schema) in properties.into_iter().flatten() {
            let optional = if required.contains(&name.as_str()) { "" } else { ", optional" };
            let _ = write!(text, "\n  {name} ({}{optional})", kind(schema));
            if let Some(description) = schema.get("description").and_then(Value::as_str) {
                let _ = write!(text, ": {description}");
            }
        }
    }
    text
}

/// An earlier answer, as the model would have written it.
pub(super) fn replay<'a>(text: &str, calls: impl Iterator<Item = &'a ToolCall>) -> String {
    let calls: Vec<_> = calls.map(|call| step(call.sent_name(), &arguments(call.sent_arguments()))).collect();
    if calls.is_empty() { step(DONE, &json!({"message": text}).to_string()) } else { calls.join("\n") }
}

/// A call's result, in the user's place.
pub(super) fn result(name: &str, result: &ToolResult) -> String {
    format!("result of {name}:\n{}", told(result))
}

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// A call, with the arguments as they were written.
    Call { name: String, arguments: String },
    /// The model is done.
    Done { message: String },
    /// It is none of our objects: the server does not hold the model to the format.
    Text { text: String },
}

/// Reads an answer; leniently, in case the server ignores the format: a fence or a tag may be around the object.
pub(super) fn read(answer: &str) -> Step {
    let whole = answer.trim();
    [Some(whole), fenced(whole), between(whole, "<tool_call>", "</tool_call>")]
        .into_iter()
        .flatten()
        .find_map(object)
        .unwrap_or_else(|| Step::Text { text: answer.to_owned() })
}

fn object(text: &str) -> Option<Step> {
    #[derive(Deserialize)]
    struct Written<'a> {
        #[serde(alias = "name")]
        tool: String,
        #[serde(borrow)]
        arguments: &'a RawValue,
    }
    #[derive(Deserialize)]
    struct Message {
        message: String,
    }
    let Written { tool: name, arguments } = serde_json::from_str(text).ok()?;
    let arguments = arguments.get();
    if !arguments.starts_with('{') {
        return None;
    }
    if name != DONE {
        return Some(Step::Call { name, arguments: arguments.to_owned() });
    }
    serde_json::from_str(arguments).ok().map(|Message { message }| Step::Done { message })
}

fn fenced(text: &str) -> Option<&str> {
    let inside = between(text, "```", "```")?;
    let (language, code) = inside.split_once('\n')?;
    if language.trim().chars().all(char::is_alphanumeric) { Some(code) } else { None }
}

fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let (_, after) = text.split_once(open)?;
    let (inside, _) = after.split_once(close)?;
    Some(inside)
}

fn step(tool: &str, arguments: &str) -> String {
    #[derive(Serialize)]
    struct Step<'a> {
        tool: &'a str,
        arguments: Option<&'a RawValue>,
    }
    // What `arguments` gives is JSON.
    serde_json::to_string(&Step { tool, arguments: serde_json::from_str(arguments).ok() }).unwrap_or_default()
}

/// A schema in a word, where a word can say it.
fn kind(schema: &Value) -> String {
    let choices = list(schema, "enum");
    if !choices.is_empty() {
        return choices.iter().map(Value::to_string).collect::<Vec<_>>().join(" | ");
    }
    match schema.get("type").and_then(Value::as_str) {
        Some(kind @ ("string" | "integer" | "number" | "boolean")) => kind.to_owned(),
        _ => schema.to_string(),
    }
}

fn list<'a>(schema: &'a Value, key: &str) -> &'a [Value] {
    schema.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use codetether_event::ToolName;

    use super::*;

    fn tools() -> [ToolDeclaration; 1] {
        [ToolDeclaration {
            name: ToolName::new("read"),
            description: "Reads a file.".into(),
            schema: json!({
                "type": "object",
                "properties": {
                    "path": {"type": "string", "description": "which"},
                    "as": {"enum": ["text", "hex"]},
                    "lines": {"type": "array", "items": {"type": "integer"}},
                },
                "required": ["path"],
                "additionalProperties": false,
            }),
            strict: false,
        }]
    }

    #[test]
    fn the_format_is_the_union_of_the_tools_and_of_being_done() {
        let format = response_format(&tools(), true);
        let any = &format["json_schema"]["schema"]["anyOf"];
        assert_eq!(any[0]["properties"]["tool"], json!({"const": "read"}));
        assert_eq!(any[0]["properties"]["arguments"], tools()[0].schema);
        assert_eq!(any[1]["properties"]["tool"], json!({"const": "done"}));
        assert_eq!(any[1]["properties"]["arguments"]["required"], json!(["message"]));
        assert_eq!(format["json_schema"]["strict"], json!(true));
    }

    #[test]
    fn the_prompt_lists_the_tools_and_their_arguments() {
        let text = system("Be brief.", &tools(), true);
        assert!(text.starts_with("Be brief.\n\nEvery answer is one JSON object"), "{text}");
        assert!(
            text.ends_with(
                "\n- read: Reads a file.\n  path (string): which\n  as (\"text\" | \"hex\", optional)\
                 \n  lines ({\"type\":\"array\",\"items\":{\"type\":\"integer\"}}, optional)"
            ),
            "{text}"
        );
    }

    #[test]
    fn the_object_is_the_call_and_keeps_its_bytes() {
        let call = Step::Call { name: "read".into(), arguments: "{ \"path\" : \"a\" }".into() };
        let bare = r#" {"tool":"read","arguments":{ "path" : "a" }} "#;
        for answer in [
            bare.to_owned(),
            format!("```json\n{bare}\n```"),
            format!("Sure:\n```\n{bare}```\nDone."),
            format!("<tool_call>\n{bare}\n</tool_call>"),
            bare.replace("\"tool\"", "\"name\""),
        ] {
            assert_eq!(read(&answer), call, "{answer}");
        }
    }

    #[test]
    fn being_done_is_a_message() {
        let answer = r#"{"arguments":{"message":"fine: é"},"tool":"done"}"#;
        assert_eq!(read(answer), Step::Done { message: "fine: é".into() });
    }

    #[test]
    fn anything_else_is_text() {
        for answer in [
            "",
            "hello",
            "{}",
            r#"{"tool":"read"}"#,
            r#"{"tool":"read","arguments":"x"}"#,
            r#"{"tool":"done","arguments":{}}"#,
            r#"{"tool":"read","arguments":{"path":"#,
            "```rust\nfn main() {}\n```",
            "```",
        ] {
            assert_eq!(read(answer), Step::Text { text: answer.into() }, "{answer}");
        }
    }

    #[test]
    fn earlier_answers_read_back_as_what_they_were() {
        let call = |arguments: &str| ToolCall {
            id: "1".into(),
            name: ToolName::new("read"),
            arguments: arguments.into(),
            wrapped: None,
        };
        assert_eq!(replay("", [&call(r#"{"a": 1}"#)].into_iter()), r#"{"tool":"read","arguments":{"a": 1}}"#);
        assert_eq!(replay("hi \"", [].into_iter()), r#"{"tool":"done","arguments":{"message":"hi \""}}"#);
        let broken = replay("", [&call("{\"a")].into_iter());
        assert_eq!(broken, r#"{"tool":"read","arguments":{"not_json":"{\"a"}}"#);
    }
}
