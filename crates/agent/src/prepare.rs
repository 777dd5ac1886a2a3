//! What an epoch is made of: the system prompt, the tools, and a first message about the place.

use std::path::Path;

use codetether_event::{
    BlobId, ContentPart, ContextEvent, ContextSource, Event, ItemId, Message, ModelId, ResponseFormat, Role,
    ToolName, Way,
};
use codetether_files::{BlobStore, Root};
use codetether_provider::{Epoch, ToolDeclaration};
use codetether_session::EpochInfo;
use serde_json::{Value, json};

use crate::gate::Gate;
use crate::in_sight;
use crate::instructions;
use crate::late::{self, Declared};

const SYSTEM: &str = include_str!("../../../prompts/system.md");

/// For small models, in at most 300 tokens.
const SMALL: &str = include_str!("../../../prompts/small.md");

/// Bytes of instructions that a small model is told.
const FEW: usize = 1_500;

/// The facts that open an epoch, and the first message when there was none before.
///
/// # Errors
/// When a tool that was asked for does not exist, or a blob cannot be written.
pub(crate) fn prepare(
    item: ItemId,
    (model, small): (ModelId, Option<Narrow>),
    offered: Option<Vec<ToolName>>,
    (format, way): (ResponseFormat, Way),
    supplement: Option<BlobId>,
    first: bool,
    gate: &Gate,
) -> Result<Vec<Event>, String> {
    let blobs = &gate.blobs;
    let specs = gate.tools.manifest();
    if let Some(unknown) = offered.iter().flatten().find(|name| !specs.iter().any(|spec| spec.name == **name))
    {
        let names: Vec<_> = specs.iter().map(|spec| format!("`{}`", spec.name)).collect();
        return Err(format!("there is no tool `{unknown}` to offer; there is {}", names.join(", ")));
    }
    let mut declared = late::shown(&*gate.tools, specs, offered.as_deref(), gate.tool_room);
    if let Some(Narrow::OneChange { by_line }) = small {
        name_files(&mut declared, &gate.root, by_line);
    }
    let json = serde_json::to_vec(&declared).map_err(|e| e.to_string())?;
    let own = if small.is_some() { SMALL } else { SYSTEM };
    let system = match &supplement {
        None => blobs.put(own.as_bytes()),
        Some(more) => blobs.get(more).and_then(|more| blobs.put(&[own.as_bytes(), b"\n", &more].concat())),
    };
    let system = system.map_err(|e| e.to_string())?;
    let tools = blobs.put(&json).map_err(|e| e.to_string())?;
    let epoch = ContextEvent::Epoch { item, model, system, tools, offered, format, way, supplement };
    let mut facts = vec![Event::Context(epoch)];
    if first {
        let text = match small {
            Some(_) => in_short(&gate.root, gate.instructions.as_deref()),
            None => environment(&gate.root, gate.instructions.as_deref()),
        };
        let parts = vec![ContentPart::text(gate.redactor.redact(&text).into_owned())];
        let message = Message { role: Role::User, parts };
        facts.push(Event::Context(ContextEvent::Added { message, source: ContextSource::Environment }));
    }
    Ok(facts)
}

/// How a prefix is cut for a small model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Narrow {
    /// It is told little.
    Little,
    /// And it makes one change to what is there: paths are names of files, and tests are not changed.
    OneChange {
        /// Whether it changes one line, which is one that there is.
        by_line: bool,
    },
}

/// Largest file that is made anew for one change, in bytes: a small model does that better than an edit.
const ANEW: u64 = 3_000;

/// Most lines that one to change is chosen from, and longest one, in bytes.
const LINES: usize = 80;
const LINE: usize = 160;

/// Lets paths be none but those of files that there are, where they are few; files that are no tests, where something is
/// to be changed. What is short is made anew, or one of its lines is changed.
fn name_files(declared: &mut Vec<Declared>, root: &Root, by_line: bool) {
    let Some(files) = in_sight::all(root) else { return };
    let sources: Vec<&String> = files.iter().filter(|name| in_sight::is_source(name)).collect();
    let short = |name: &&&String| root.metadata(name).is_ok_and(|metadata| metadata.len() <= ANEW);
    let all_short = sources.iter().all(|name| short(&name));
    let lines = if by_line && all_short { lines(root, &sources) } else { None };
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

/// The lines of files that do something and are there once; nothing where they are many or long.
fn lines(root: &Root, files: &[&String]) -> Option<Vec<String>> {
    let mut all: Vec<String> = Vec::new();
    for file in files {
        let text = String::from_utf8(root.read(file, ANEW).ok()?).ok()?;
        all.extend(text.lines().filter(|line| line.trim().len() > 1 && does(line)).map(str::to_owned));
    }
    let once: Vec<String> = all
        .iter()
        .filter(|line| all.iter().filter(|other| other.contains(line.as_str())).count() == 1)
        .cloned()
        .collect();
    (!once.is_empty() && once.len() <= LINES && once.iter().all(|line| line.len() <= LINE)).then_some(once)
}

/// The prefix that an epoch's blobs hold.
///
/// # Errors
/// When a blob cannot be read or is not what it should be.
pub(crate) fn epoch(info: &EpochInfo, blobs: &BlobStore) -> Result<Epoch, String> {
    let EpochInfo { system, tools, .. } = info;
    let system =
        String::from_utf8(blobs.get(system).map_err(|e| e.to_string())?).map_err(|e| e.to_string())?;
    let json = blobs.get(tools).map_err(|e| e.to_string())?;
    let declared: Vec<Declared> = serde_json::from_slice(&json).map_err(|e| e.to_string())?;
    let tools = declared
        .into_iter()
        .map(|tool| ToolDeclaration {
            name: tool.name,
            description: tool.description,
            schema: tool.schema,
            strict: false,
        })
        .collect();
    Ok(Epoch { model: info.model.clone(), system, tools, format: info.format.clone(), way: info.way })
}

/// The same for a small model: the files that it would have to find, and little else.
fn in_short(root: &Root, own: Option<&Path>) -> String {
    let files = in_sight::names(root);
    let files = match files.is_empty() {
        true => "none yet".to_owned(),
        false => files.join(", "),
    };
    let mut standing = instructions::standing(root, own);
    if standing.len() > FEW {
        standing.truncate(standing.floor_char_boundary(FEW));
        standing.push_str("\n[cut: there are more instructions]");
    }
    format!("<environment>\nfiles here: {files}\n</environment>{standing}")
}

/// What the model should know of the place. Volatile, so it is a message and not part of the prefix.
pub(crate) fn environment(root: &Root, own: Option<&Path>) -> String {
    format!(
        "<environment>\nproject folder: {}\nplatform: {} {}\ndate: {}\n</environment>{}",
        root.path().display(),
        std::env::consts::OS,
        std::env::consts::ARCH,
        jiff::Zoned::now().date(),
        instructions::standing(root, own),
    )
}
