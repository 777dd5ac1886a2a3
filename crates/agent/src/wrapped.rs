//! Calls that a model makes through `call_tool` become calls of the tools that they name, before anyone reads, judges or
//! records them. What came on the wire is kept beside, so that it goes back byte for byte.

use codetether_event::{CALL_TOOL, ContentPart, Message, ToolCall, ToolName};
use codetether_schema::Validator;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// Unwraps the calls of an answer. One that names no tool stays as it is: it is judged as a call of `call_tool` itself.
pub(crate) fn unwrap(message: &mut Message) {
    for part in &mut message.parts {
        if let ContentPart::ToolCall(call) = part
            && call.name.as_str() == CALL_TOOL
            && call.wrapped.is_none()
            && let Some((name, arguments)) = inner(&call.arguments)
        {
            let wrapped = std::mem::replace(&mut call.arguments, arguments);
            *call = ToolCall { name, wrapped: Some(wrapped), ..call.clone() };
        }
    }
}

#[derive(Deserialize)]
struct Written<'a> {
    name: String,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

/// The tool that is named, and its arguments as they were written as far as that can be told.
fn inner(arguments: &str) -> Option<(ToolName, String)> {
    let named = |name: &str| {
        let name = name.trim();
        (!name.is_empty() && name != CALL_TOOL).then(|| ToolName::new(name))
    };
    if let Ok(Written { name, arguments: Some(inner) }) = serde_json::from_str::<Written<'_>>(arguments)
        && inner.get().starts_with('{')
    {
        return Some((named(&name)?, inner.get().to_owned()));
    }
    // Else it is mended like the arguments of any call, first as a whole and later, by the tool's own schema, within.
    let shape = json!({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]});
    let (value, _) = codetether_schema::read_arguments(arguments, &Validator::new(&shape).ok()?).ok()?;
    let Value::Object(mut value) = value else { return None };
    let name = named(value.get("name")?.as_str()?)?;
    let inner = match value.remove("arguments") {
        // Some write them as a text.
        Some(Value::String(text)) => text,
        Some(inner) => inner.to_string(),
        // And some beside the name.
        None => {
            value.remove("name");
            Value::Object(value.into_iter().collect::<Map<_, _>>()).to_string()
        }
    };
    Some((name, inner))
}

#[cfg(test)]
mod tests {
    use codetether_event::Role;

    use super::*;

    fn unwrapped(arguments: &str) -> ToolCall {
        let call = ToolCall {
            id: "c".into(),
            name: ToolName::new(CALL_TOOL),
            arguments: arguments.into(),
            wrapped: None,
        };
        let mut message = Message { role: Role::Assistant, parts: vec![ContentPart::ToolCall(call)] };
        unwrap(&mut message);
        message.calls().next().unwrap().clone()
    }

    #[test]
    fn the_real_call_is_recorded_and_what_came_goes_back() {
        let sent = r#"{"name": "todo", "arguments": {"items" : [1.0, "\u00e9"]}}"#;
        let call = unwrapped(sent);
        assert_eq!((call.name.as_str(), call.arguments.as_str()), ("todo", r#"{"items" : [1.0, "\u00e9"]}"#));
        assert_eq!((call.sent_name(), call.sent_arguments()), (CALL_TOOL, sent));
    }

    #[test]
    fn what_small_models_write_is_understood() {
        let table = [
            (r#"{"name": "todo", "arguments": "{\"a\": 1}"}"#, r#"{"a": 1}"#),
            (r#"{"name": "todo", "a": 1}"#, r#"{"a":1}"#),
            (r#"{"name": "todo"}"#, "{}"),
            ("{name: 'todo', arguments: {a: 1,},}", r#"{"a":1}"#),
        ];
        for (sent, arguments) in table {
            let call = unwrapped(sent);
            assert_eq!((sent, call.name.as_str(), call.arguments.as_str()), (sent, "todo", arguments));
        }
    }

    #[test]
    fn what_names_no_tool_stays_a_call_of_its_own() {
        for sent in
            ["", "no", r#"{"arguments": {}}"#, r#"{"name": ""}"#, r#"{"name": "call_tool", "arguments": {}}"#]
        {
            let call = unwrapped(sent);
            assert_eq!(
                (call.name.as_str(), call.arguments.as_str(), &call.wrapped),
                (CALL_TOOL, sent, &None)
            );
        }
    }
}
