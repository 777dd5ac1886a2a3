//! Skills: folders with instructions for a kind of task. The model is told their names and what each is for; it is given the
//! instructions when it asks for them, and further files of the folder one by one.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::ConfigError;
use crate::defined::front::{Front, Strictness};
use crate::defined::places::{Content, Entry, broken, entries, is_name, unknown};
use crate::defined::{Defined, FindError, Kind, Place, Places};
use crate::trust::Kind as FileKind;

/// Longest description that the model is told, in characters.
const DESCRIPTION: usize = 1_024;

/// Most bytes of what it is told of all skills.
const TOLD: usize = 12 << 10;

/// Most skills that it is told of.
const COUNT: usize = 64;

/// Most names that are told of those left out.
const NAMES: usize = 40;

/// A skill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skill {
    /// Its name.
    pub name: String,
    /// What it is for, and when: in one line.
    pub description: String,
    /// What the model is given when it asks for it.
    pub body: String,
    /// Where it is from: its `SKILL.md`.
    pub from: Place,
    /// What is in its folder.
    pub files: SkillFiles,
}

/// What is in a skill's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SkillFiles {
    /// Exactly these files, by their path in it: those that were trusted.
    Held(Vec<(String, Vec<u8>)>),
    /// What is in this folder of the user's when it is asked for.
    There(PathBuf),
}

/// What the model is told of skills.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The text: the same for the same skills.
    pub text: String,
    /// Those that it is not told of, for want of room.
    pub left_out: Vec<String>,
}

/// All skills.
#[must_use]
pub fn skills(places: Places<'_>) -> Defined<Skill> {
    let mut problems = Vec::new();
    let entries = entries(Kind::Skills, places, &mut problems);
    let mut defined = Defined { all: Vec::new(), broken: broken(problems, Kind::Skills) };
    for entry in entries.values() {
        match read(entry, places) {
            Ok(skill) => defined.all.push(skill),
            Err(error) => defined.broken.push(error),
        }
    }
    // A file may name its skill otherwise than its folder does.
    defined
        .all
        .sort_by(|one, other| one.name.cmp(&other.name).then_with(|| other.from.level.cmp(&one.from.level)));
    defined.all.dedup_by(|one, other| one.name == other.name);
    defined
}

/// The skill of this name.
///
/// # Errors
/// When there is none, or its file is wrong.
pub fn skill(places: Places<'_>, name: &str) -> Result<Skill, FindError> {
    let Defined { all, broken: _ } = skills(places);
    let entries = entries(Kind::Skills, places, &mut Vec::new());
    let names: Vec<String> = all.iter().map(|skill| skill.name.clone()).collect();
    match (all.into_iter().find(|skill| skill.name == name), entries.get(name)) {
        (Some(skill), _) => Ok(skill),
        (None, Some(entry)) => read(entry, places).map_err(FindError::Broken),
        (None, None) => Err(unknown(Kind::Skills, places, name, names.iter().map(String::as_str))),
    }
}

/// Keys of skills are many programs': those that are not ours are passed over, wherever it lies.
fn read(entry: &Entry<'_>, places: Places<'_>) -> Result<Skill, ConfigError> {
    let text = entry.text(Kind::Skills)?;
    let strictness = if entry.from.foreign { Strictness::Foreign } else { Strictness::Ours };
    let mut front = Front::read(&entry.from.path, &text, strictness);
    let body = front.body.trim().to_owned();
    let name = front.string("name").filter(|name| is_name(name)).unwrap_or_else(|| entry.name.clone());
    let description = front.string("description").unwrap_or_default();
    let description = one_line(&description);
    if description.is_empty() {
        let help = "say what it is for and when, between two lines `---` at the top: `description: …`";
        front.missing("it has no `description`, by which the model would know when to use it".into(), help);
    }
    front.end_anyway(&entry.called(Kind::Skills))?;
    let folder = entry.from.path.parent().map(PathBuf::from).unwrap_or_default();
    let files = match entry.content {
        Content::Held(_) => {
            let inside = |file: &crate::trust::ProjectFile| {
                let name = file.path.strip_prefix(&folder).ok()?.to_str()?.to_owned();
                (file.kind != FileKind::Link).then(|| (name, file.content.clone()))
            };
            SkillFiles::Held(places.project.files().iter().filter_map(inside).collect())
        }
        Content::BuiltIn(_) | Content::There => SkillFiles::There(folder),
    };
    Ok(Skill { name, description, body, from: entry.from.clone(), files })
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = crate::problem::visible(&words.join(" "));
    match line.char_indices().nth(DESCRIPTION) {
        None => line,
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
    }
}

/// What the model is told of these skills; nothing where there is none.
#[must_use]
pub fn told(skills: &[Skill]) -> Option<Told> {
    if skills.is_empty() {
        return None;
    }
    let mut text = String::from(
        "Skills\n- Each of these is a set of instructions for a kind of task, which the user or the project keeps. Where one \
         fits the task, load it with the tool `skill` before you begin, and follow it as far as it does not go against what \
         is said above or what the user asks for.\n",
    );
    let mut left_out = Vec::new();
    for (at, skill) in skills.iter().enumerate() {
        let line = format!("- `{}`: {}\n", skill.name, skill.description);
        if at < COUNT && text.len() + line.len() <= TOLD {
            text.push_str(&line);
        } else {
            left_out.push(skill.name.clone());
        }
    }
    if !left_out.is_empty() {
        let names: Vec<String> = left_out.iter().take(NAMES).map(|name| format!("`{name}`")).collect();
        let more = if left_out.len() > NAMES { ", …" } else { "" };
        let _ = writeln!(
            text,
            "- There are {} more, whose descriptions are left out: {}{more}",
            left_out.len(),
            names.join(", ")
        );
    }
    Some(Told { text, left_out })
}
