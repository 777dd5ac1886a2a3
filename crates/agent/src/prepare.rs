//! What an epoch is made of: the system prompt, the tools, and a first message about the place.

use std::path::Path;

use codetether_event::{
    BlobId, ContentPart, ContextEvent, ContextSource, Event, ItemId, Message, ModelId, ResponseFormat, Role,
    ToolName, Way, frame,
};
use codetether_files::{BlobStore, Root};
use codetether_provider::{Epoch, ToolDeclaration};
use codetether_session::EpochInfo;

use crate::gate::Gate;
use crate::in_sight;
use crate::instructions;
use crate::late::{self, Declared};
use crate::one_change;

const SYSTEM: &str = include_str!("../../../prompts/system.md");

/// For small models, in at most 300 tokens.
const SMALL: &str = include_str!("../../../prompts/small.md");

/// Bytes of instructions that a small model is told.
const FEW: usize = 1_500;

/// The facts that open an epoch, and the first message when there was none before. `readable` says which files a call of
/// the model's could read unasked.
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
    (gate, readable): (&Gate, &dyn Fn(&str) -> bool),
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
        one_change::narrow(&mut declared, gate, by_line, readable);
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
    let files: Vec<String> = in_sight::names(root).iter().map(|name| frame::quoted(name)).collect();
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
