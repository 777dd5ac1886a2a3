//! `skill`: gives the instructions of a skill, and further files of its folder. Reads nothing but what belongs to the skills
//! that it was made with, and runs nothing.

use std::path::PathBuf;

use codetether_event::{Touches, frame};
use codetether_files::{EntryKind, Root, RootError};
use codetether_tool::{Args, BoxFuture, Tool, ToolContext, ToolError, ToolOutput, ToolSpec};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::off_thread::off_thread;
use crate::text::one_line;
use crate::{known, near, spec};

/// Largest file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// Most files of a folder that are listed.
const LISTED: usize = 100;

/// Folders in folders that are listed.
const DEEPEST: usize = 4;

/// Bytes for what is said besides a text.
const FRAME: usize = 600;

/// A skill.
#[derive(Debug, Clone)]
pub struct SkillFolder {
    /// Its name.
    pub name: String,
    /// The instructions, without the head of their file.
    pub body: String,
    /// The file that they are from, for the model.
    pub from: String,
    /// What else is in the folder.
    pub files: SkillFiles,
}

/// The files of a skill.
#[derive(Debug, Clone)]
pub enum SkillFiles {
    /// Exactly these, by their path in the folder.
    Held(Vec<(String, Vec<u8>)>),
    /// What is in this folder by then.
    There(PathBuf),
}

#[derive(Deserialize, JsonSchema)]
struct SkillArgs {
    /// As it was told to you
    name: String,
    /// A further file of the skill, by its path in the skill's folder
    file: Option<String>,
    /// First line of it to show, 1 by default
    offset: Option<u64>,
}

/// The tool `skill`.
pub struct Skill {
    spec: ToolSpec,
    skills: Vec<SkillFolder>,
}

impl Skill {
    /// Of these skills.
    #[must_use]
    pub fn new(skills: Vec<SkillFolder>) -> Self {
        let description = "Load a skill: its instructions, or a further file of it.";
        Self { spec: spec::<SkillArgs>("skill", description), skills }
    }

    fn find(&self, name: &str) -> Result<&SkillFolder, ToolError> {
        self.skills.iter().find(|skill| skill.name == name).ok_or_else(|| {
            let near = near::names(name, self.skills.iter().map(|skill| skill.name.as_str()));
            let near: Vec<String> = near.iter().map(|near| format!("`{near}`")).collect();
            let name = one_line(name.as_ref());
            ToolError::ForModel(match near.as_slice() {
                [] => format!("there is no skill `{name}`"),
                near => format!("there is no skill `{name}`; did you mean {}?", near.join(" or ")),
            })
        })
    }
}

impl Tool for Skill {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn touches(&self, _: &Args) -> Touches {
        Touches::default()
    }

    fn preview<'a>(&'a self, args: &'a Args, _: &'a ToolContext) -> BoxFuture<'a, String> {
        Box::pin(async move {
            args.parse::<SkillArgs>().map_or_else(
                |error| error.to_string(),
                |args| [args.name].into_iter().chain(args.file).collect::<Vec<_>>().join("/"),
            )
        })
    }

    fn call<'a>(&'a self, args: Args, cx: &'a ToolContext) -> BoxFuture<'a, Result<ToolOutput, ToolError>> {
        Box::pin(async move {
            let SkillArgs { name, file, offset } = args.parse()?;
            let skill = self.find(name.trim())?.clone();
            let output = cx.limits.output;
            // The folder may lie on a slow disk.
            off_thread(&cx.cancel, move |_| match file.filter(|file| !file.trim().is_empty()) {
                None => Ok(ToolOutput::text(skill.shown(output))),
                Some(file) => skill.file(file.trim(), offset.unwrap_or(1), output).map(ToolOutput::text),
            })
            .await
        })
    }
}

impl SkillFolder {
    /// The instructions in their frame, and the files that there are besides.
    fn shown(&self, most: usize) -> String {
        let (files, more) = self.others();
        let mut list = String::new();
        if !files.is_empty() {
            list.push_str("files of this skill; `skill` with `file` shows one:\n");
            files.iter().for_each(|file| list.push_str(&format!("- {file}\n")));
            if more {
                list.push_str("- [and more]\n");
            }
            if matches!(self.files, SkillFiles::There(_)) {
                list.push_str("[they are not in the project: `read` and commands do not reach them]\n");
            }
        }
        let room = most.saturating_sub(FRAME + list.len()).max(FRAME);
        let body = match self.body.len() > room {
            false => self.body.clone(),
            true => {
                let end = self.body.floor_char_boundary(room);
                let cut = self.body.get(..end).unwrap_or_default();
                format!(
                    "{cut}\n[cut: {} bytes more; `skill` with `file`: `SKILL.md` and `offset` shows them]",
                    self.body.len() - end
                )
            }
        };
        format!("{}\n{list}", self.framed("SKILL.md", self.body.as_bytes(), &body))
    }

    /// A text as what it is: data of this skill, by the name of its content.
    fn framed(&self, file: &str, bytes: &[u8], text: &str) -> String {
        let plain = |text: &str| one_line(text.as_ref()).replace(['"', '<', '>'], "?");
        let content = known::content(bytes);
        let text = frame::inside("skill", text);
        let from = if file == "SKILL.md" { plain(&self.from) } else { plain(file) };
        format!(
            "<skill name=\"{}\" from=\"{from}\" content=\"{content}\">\n{}\n</skill>",
            self.name,
            text.trim_end()
        )
    }

    fn file(&self, file: &str, offset: u64, most: usize) -> Result<String, ToolError> {
        let shown = one_line(file.as_ref());
        let bytes = match &self.files {
            SkillFiles::Held(files) => {
                let wanted = file.strip_prefix("./").unwrap_or(file);
                let found = files.iter().find(|(name, _)| name == wanted).map(|(_, bytes)| bytes.clone());
                found.ok_or_else(|| self.missing(&shown))?
            }
            SkillFiles::There(folder) => {
                let root = Root::open(folder).map_err(|error| ToolError::ForModel(error.to_string()))?;
                root.read(file, LARGEST).map_err(|error| match error {
                    RootError::NotFound { .. } => self.missing(&shown),
                    RootError::Outside { .. } => {
                        ToolError::ForModel(format!("`{shown}` is outside the skill's folder"))
                    }
                    error => ToolError::ForModel(error.to_string()),
                })?
            }
        };
        let Ok(text) = std::str::from_utf8(&bytes) else {
            return Err(ToolError::ForModel(format!("`{shown}` is no text")));
        };
        let total = text.lines().count();
        let skip = usize::try_from(offset.max(1) - 1).unwrap_or(usize::MAX);
        if skip > 0 && skip >= total {
            return Err(ToolError::ForModel(format!("`{shown}` has {total} lines")));
        }
        let start: usize = text.split_inclusive('\n').take(skip).map(str::len).sum();
        let rest = text.get(start..).unwrap_or_default();
        let room = most.saturating_sub(FRAME);
        if rest.len() <= room {
            return Ok(self.framed(file, &bytes, rest));
        }
        let end = rest.floor_char_boundary(room);
        let end = rest.get(..end).and_then(|rest| rest.rfind('\n')).map_or(end, |at| at + 1);
        let cut = rest.get(..end).unwrap_or_default();
        let next = skip + cut.lines().count() + 1;
        Ok(format!("{}\n[of {total} lines; go on with `offset` {next}]", self.framed(file, &bytes, cut)))
    }

    fn missing(&self, file: &str) -> ToolError {
        let (files, _) = self.others();
        let files: Vec<String> = files.iter().map(|file| format!("`{file}`")).collect();
        ToolError::ForModel(match files.as_slice() {
            [] => format!("the skill `{}` has no further files", self.name),
            files => format!("the skill `{}` has no file `{file}`; it has {}", self.name, files.join(", ")),
        })
    }

    /// The files besides the instructions, and whether there are more than these.
    fn others(&self) -> (Vec<String>, bool) {
        let mut files = Vec::new();
        match &self.files {
            SkillFiles::Held(held) => files.extend(held.iter().map(|(name, _)| name.clone())),
            SkillFiles::There(folder) => {
                if let Ok(root) = Root::open(folder) {
                    below(&root, "", DEEPEST, &mut files);
                }
            }
        }
        files.retain(|file| file != "SKILL.md");
        files.sort();
        let more = files.len() > LISTED;
        files.truncate(LISTED);
        (files.iter().map(|file| one_line(file.as_ref())).collect(), more)
    }
}

/// The files below a folder, as far as there is room for one more than are listed.
fn below(root: &Root, folder: &str, deeper: usize, files: &mut Vec<String>) {
    let Ok(listing) = root.list(if folder.is_empty() { "." } else { folder }) else { return };
    for entry in listing.flatten() {
        let Some(name) = entry.name.to_str().filter(|name| !name.starts_with('.')) else { continue };
        let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
        match entry.kind {
            EntryKind::Directory => {
                if let Some(deeper) = deeper.checked_sub(1) {
                    below(root, &path, deeper, files);
                }
            }
            _ if root.metadata(&path).is_ok_and(|metadata| metadata.is_file()) => files.push(path),
            _ => {}
        }
        if files.len() > LISTED + 1 {
            return;
        }
    }
}
