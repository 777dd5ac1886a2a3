//! Where a small model is to make one change: its tools are those of the change, and their arguments are chosen from what
//! there is, of the files that it may read.

use std::borrow::Cow;

use codetether_event::ToolName;
use serde_json::{Value, json};

use crate::gate::Gate;
use crate::in_sight;
use crate::late::Declared;

/// Largest file that is made anew for one change, in bytes: a small model does that better than an edit.
const ANEW: u64 = 3_000;

/// Most lines that one to change is chosen from, and longest one, in bytes.
const LINES: usize = 80;
const LINE: usize = 160;

/// Lets paths be none but those of files that there are, where they are few; files that are no tests, where something is
/// to be changed. What is short is made anew, or one of its lines is changed.
pub(crate) fn narrow(
    declared: &mut Vec<Declared>,
    gate: &Gate,
    by_line: bool,
    readable: &dyn Fn(&str) -> bool,
) {
    let root = &*gate.root;
    let Some(mut files) = in_sight::all(root) else { return };
    files.retain(|name| readable(name));
    let sources: Vec<&String> = files.iter().filter(|name| in_sight::is_source(name)).collect();
    let short = |name: &&&String| root.metadata(name).is_ok_and(|metadata| metadata.len() <= ANEW);
    let all_short = sources.iter().all(|name| short(&name));
    let lines = if by_line && all_short { lines(gate, &sources) } else { None };
    let named = |names: &[&str]| -> Vec<ToolName> { names.iter().map(|name| ToolName::new(*name)).collect() };
    let wanted = match (sources.is_empty(), all_short, &lines) {
        (true, ..) => return,
        (false, _, Some(_)) => named(&["edit"]),
        (false, true, None) => named(&["write"]),
        (false, false, None) => named(&["edit", "read"]),
    };
    if !declared.iter().any(|tool| Some(&tool.name) == wanted.first()) {
        return;
    }
    declared.retain(|tool| wanted.contains(&tool.name));
    for tool in declared {
        let names = if tool.name.as_str() == "read" { json!(files) } else { json!(sources) };
        let Some(properties) = tool.schema.pointer_mut("/properties").and_then(Value::as_object_mut) else {
            continue;
        };
        if let Some(lines) = &lines {
            // One line for another.
            properties.retain(|name, _| matches!(name.as_str(), "path" | "old" | "new"));
            let rest = |property: Option<&mut Value>, rest: Value| {
                if let (Some(Value::Object(property)), Value::Object(rest)) = (property, rest) {
                    property.extend(rest);
                }
            };
            rest(properties.get_mut("old"), json!({ "enum": lines }));
            rest(properties.get_mut("new"), json!({ "pattern": "^[^\n\r]+$", "maxLength": LINE }));
        }
        if let Some(Value::Object(path)) = properties.get_mut("path") {
            path.insert("enum".to_owned(), names);
        }
    }
}

/// Whether a line does something, and does not only name what is there. A small model that copies a file would choose its
/// first line else.
fn does(line: &str) -> bool {
    const NAMES: [&str; 16] = [
        "def ",
        "class ",
        "import ",
        "from ",
        "fn ",
        "pub ",
        "use ",
        "mod ",
        "struct ",
        "impl ",
        "function ",
        "export ",
        "package ",
        "func ",
        "#",
        "//",
    ];
    !NAMES.iter().any(|name| line.trim_start().starts_with(name))
}

/// The lines of files that do something, are there once and hold no secret; nothing where they are many or long.
fn lines(gate: &Gate, files: &[&String]) -> Option<Vec<String>> {
    let mut all: Vec<String> = Vec::new();
    for file in files {
        let text = String::from_utf8(gate.root.read(file, ANEW).ok()?).ok()?;
        all.extend(text.lines().filter(|line| line.trim().len() > 1 && does(line)).map(str::to_owned));
    }
    let once: Vec<String> = all
        .iter()
        .filter(|line| all.iter().filter(|other| other.contains(line.as_str())).count() == 1)
        .filter(|line| matches!(gate.redactor.redact(line), Cow::Borrowed(_)))
        .cloned()
        .collect();
    (!once.is_empty() && once.len() <= LINES && once.iter().all(|line| line.len() <= LINE)).then_some(once)
}
