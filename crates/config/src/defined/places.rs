//! Where definitions lie, and which of a name counts. Reads names alone; a file is read when it is asked for.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use codetether_files::{Root, open_read};

use crate::problem::{self, Problem, Problems, brief, list, near};
use crate::trust::{Kind as FileKind, ProjectFile, ProjectFiles};
use crate::{ConfigError, PROJECT_DIR};

/// Largest file of a definition, in bytes.
pub(crate) const LARGEST: u64 = 256 << 10;

/// Most names in one of the user's folders.
const MOST: usize = 1_000;

/// Folders in folders, for commands.
const DEEPEST: usize = 4;

/// Longest name, in bytes.
const LONGEST: usize = 64;

/// What is defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `agents/NAME.md`.
    Agents,
    /// `skills/NAME/SKILL.md`.
    Skills,
    /// `commands/NAME.md`, also in folders: `commands/FOLDER/NAME.md` is `FOLDER:NAME`.
    Commands,
}

impl Kind {
    /// The folder's name.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::Agents => "agents",
            Self::Skills => "skills",
            Self::Commands => "commands",
        }
    }

    /// One of them, in a word.
    #[must_use]
    pub fn one(self) -> &'static str {
        match self {
            Self::Agents => "agent",
            Self::Skills => "skill",
            Self::Commands => "command",
        }
    }

    /// The folders of other programs that hold such files, too.
    fn foreign(self) -> &'static [&'static str] {
        match self {
            Self::Agents => &[],
            Self::Skills => &[".claude", ".agents"],
            Self::Commands => &[".claude"],
        }
    }
}

/// Whose definition it is, the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Ours.
    BuiltIn,
    /// The user's.
    User,
    /// The project's.
    Project,
}

impl Level {
    /// In a word or two.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BuiltIn => "built in",
            Self::User => "user",
            Self::Project => "project",
        }
    }
}

/// Where a definition is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Whose it is.
    pub level: Level,
    /// Whether it was written for another program.
    pub foreign: bool,
    /// Its file: absolute, or relative to the project's root; empty for what is built in.
    pub path: PathBuf,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.level {
            Level::BuiltIn => f.write_str("built in"),
            Level::User | Level::Project => write!(f, "{} {}", self.level.as_str(), self.path.display()),
        }
    }
}

/// Where definitions are looked for.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// The folder of the user's settings.
    pub user: Option<&'a Path>,
    /// The user's home, for what other programs keep there.
    pub home: Option<&'a Path>,
    /// The project's own files.
    pub project: &'a ProjectFiles,
    /// Whether they are trusted: nothing of them counts otherwise.
    pub trusted: bool,
}

/// What was found: by name, and what is wrong besides.
#[derive(Debug)]
pub struct Defined<T> {
    /// Sorted by name.
    pub all: Vec<T>,
    /// What could not be used, each with the reason.
    pub broken: Vec<ConfigError>,
}

/// Why there is no such definition.
#[derive(Debug)]
pub enum FindError {
    /// Nothing has this name.
    Unknown {
        /// What was looked for.
        message: String,
        /// What may have been meant.
        help: String,
    },
    /// It is wrong.
    Broken(ConfigError),
}

/// A definition that was found and not read yet.
#[derive(Debug, Clone)]
pub(crate) struct Entry<'a> {
    pub(crate) name: String,
    pub(crate) from: Place,
    pub(crate) content: Content<'a>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Content<'a> {
    BuiltIn(&'static str),
    /// Of a project: what was hashed.
    Held(&'a ProjectFile),
    /// Of the user: where `from` says.
    There,
}

impl Entry<'_> {
    /// How messages name it.
    pub(crate) fn called(&self, kind: Kind) -> String {
        format!("{} `{}`", kind.one(), brief(&self.name))
    }

    /// Its text.
    pub(crate) fn text(&self, kind: Kind) -> Result<String, ConfigError> {
        let bytes = match self.content {
            Content::BuiltIn(text) => return Ok(text.to_owned()),
            Content::Held(file) => Ok(file.content.clone()),
            Content::There => read(&self.from.path),
        };
        let bytes = bytes.and_then(|bytes| match bytes.len() as u64 > LARGEST {
            true => Err(format!("it is larger than {} KiB", LARGEST >> 10)),
            false => String::from_utf8(bytes).map_err(|_| "it is not UTF-8".into()),
        });
        bytes.map_err(|problem| self.broken(kind, problem))
    }

    /// What is wrong with the file as a whole.
    pub(crate) fn broken(&self, kind: Kind, message: String) -> ConfigError {
        let mut problems = Problems::default();
        problems.push(problem::of_file(&self.from.path, message, None));
        failed(problems, &self.called(kind))
    }
}

fn failed(problems: Problems, what: &str) -> ConfigError {
    match problems.none_in(what) {
        Err(error) => error,
        // There is one.
        Ok(()) => ConfigError::none(what),
    }
}

/// A regular file of the user's, of bounded size. Links are the user's own business.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: &dyn fmt::Display| error.to_string();
    if !path.metadata().map_err(|error| failed(&error))?.is_file() {
        return Err("it is no regular file".into());
    }
    let mut bytes = Vec::new();
    let file = open_read(path).map_err(|error| failed(&error))?;
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    Ok(bytes)
}

/// What is beside a definition in its folder or below, by a relative path that goes down alone.
pub(crate) fn beside(places: Places<'_>, from: &Place, name: &str) -> Result<Vec<u8>, String> {
    let down = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    if !down || name.is_empty() {
        return Err(format!("`{}` is no path below its own folder", brief(name)));
    }
    let folder = from.path.parent().unwrap_or(Path::new(""));
    let none = || format!("there is no file `{}` beside it", brief(name));
    match from.level {
        Level::BuiltIn => Err(none()),
        Level::Project => {
            let path = folder.join(name);
            let is_it = |file: &&ProjectFile| file.path == path && file.kind != FileKind::Link;
            places.project.files().iter().find(is_it).map(|file| file.content.clone()).ok_or_else(none)
        }
        Level::User => {
            let root = Root::open(folder).map_err(|error| error.to_string())?;
            root.read(name, LARGEST).map_err(|error| error.to_string())
        }
    }
}

/// Whether this can be the name of a definition: it is said to the model, and typed by people.
pub(crate) fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    name.len() <= LONGEST && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(plain)
}

/// All there are of a kind, by name.
pub(crate) fn entries<'a>(
    kind: Kind,
    places: Places<'a>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, Entry<'a>> {
    let mut found = BTreeMap::new();
    let mut add = |entry: Entry<'a>| drop(found.insert(entry.name.clone(), entry));
    let foreign =
        kind.foreign().iter().filter_map(|outer| Some(places.home?.join(outer).join(kind.folder())));
    for folder in foreign {
        of_user(kind, &folder, true, problems).into_iter().for_each(&mut add);
    }
    if let Some(user) = places.user {
        of_user(kind, &user.join(kind.folder()), false, problems).into_iter().for_each(&mut add);
    }
    if places.trusted && places.project.flaw().is_none() {
        of_project(kind, places.project, problems).into_iter().for_each(&mut add);
    }
    found
}

/// What a project would define were it trusted: the names and files.
#[must_use]
pub fn left_out(kind: Kind, places: Places<'_>) -> Vec<(String, PathBuf)> {
    untrusted(kind, places).into_iter().map(|entry| (entry.name, entry.from.path)).collect()
}

fn untrusted<'a>(kind: Kind, places: Places<'a>) -> Vec<Entry<'a>> {
    if places.trusted { Vec::new() } else { of_project(kind, places.project, &mut Vec::new()) }
}

/// Notes a name that is none, where the file is ours.
fn misnamed(kind: Kind, from: &Place, name: &str, problems: &mut Vec<Problem>) -> bool {
    if is_name(name) {
        return false;
    }
    if !from.foreign {
        let message = format!("`{}` cannot be the name of {}", brief(name), with_article(kind));
        let help = "use letters, digits, `-` and `_`, beginning with a letter or digit";
        problems.push(problem::of_file(&from.path, message, Some(help.into())));
    }
    true
}

fn with_article(kind: Kind) -> String {
    let article = if kind == Kind::Agents { "an" } else { "a" };
    format!("{article} {}", kind.one())
}

fn of_user(kind: Kind, folder: &Path, foreign: bool, problems: &mut Vec<Problem>) -> Vec<Entry<'static>> {
    let mut files = Vec::new();
    let deeper = if kind == Kind::Commands { DEEPEST } else { 0 };
    if let Err(error) = list_user(kind, folder, "", deeper, &mut files) {
        problems.push(problem::unreadable(folder, &error));
    }
    if files.len() > MOST {
        files.truncate(MOST);
        let message = format!("there are more than {MOST} {} in it; the rest is left out", kind.folder());
        problems.push(problem::of_file(folder, message, None));
    }
    files.sort();
    let mut entries = Vec::new();
    for (name, path) in files {
        let from = Place { level: Level::User, foreign, path };
        if !misnamed(kind, &from, &name, problems) {
            entries.push(Entry { name, from, content: Content::There });
        }
    }
    entries
}

/// The names in a folder of the user's and the files that they stand for.
fn list_user(
    kind: Kind,
    folder: &Path,
    before: &str,
    deeper: usize,
    files: &mut Vec<(String, PathBuf)>,
) -> std::io::Result<()> {
    let listed = match std::fs::read_dir(folder) {
        Ok(listed) => listed,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in listed {
        if files.len() > MOST {
            break;
        }
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()).map(str::to_owned) else { continue };
        if kind == Kind::Skills {
            let file = path.join("SKILL.md");
            if file.is_file() {
                files.push((name, file));
            }
        } else if let Some(stem) = name.strip_suffix(".md") {
            if path.is_file() && name != "README.md" {
                files.push((format!("{before}{stem}"), path));
            }
        } else if let Some(deeper) = deeper.checked_sub(1)
            && path.is_dir()
        {
            list_user(kind, &path, &format!("{before}{name}:"), deeper, files)?;
        }
    }
    Ok(())
}

/// Those of a project, the weakest first: of folders further up, then of other programs.
fn of_project<'a>(kind: Kind, files: &'a ProjectFiles, problems: &mut Vec<Problem>) -> Vec<Entry<'a>> {
    let mut found = Vec::new();
    for file in files.files().iter().filter(|file| file.kind != FileKind::Link) {
        let Some(path) = file.path.to_str() else { continue };
        let up = path.split('/').take_while(|part| *part == "..").count();
        let mut parts = path.split('/').skip(up);
        let outer = parts.next().unwrap_or_default();
        let foreign = kind.foreign().contains(&outer);
        if !(outer == PROJECT_DIR || foreign) || parts.next() != Some(kind.folder()) {
            continue;
        }
        let rest: Vec<&str> = parts.collect();
        let name = match (kind, rest.as_slice()) {
            (Kind::Skills, [name, "SKILL.md"]) => (*name).to_owned(),
            (Kind::Agents, [file]) => match file.strip_suffix(".md") {
                Some(name) if *file != "README.md" => name.to_owned(),
                _ => continue,
            },
            (Kind::Commands, [folders @ .., file]) if folders.len() <= DEEPEST => {
                match file.strip_suffix(".md") {
                    Some(name) if *file != "README.md" => {
                        folders.iter().map(|folder| format!("{folder}:")).chain([name.to_owned()]).collect()
                    }
                    _ => continue,
                }
            }
            _ => continue,
        };
        let from = Place { level: Level::Project, foreign, path: file.path.clone() };
        if !misnamed(kind, &from, &name, problems) {
            found.push((up, Entry { name, from, content: Content::Held(file) }));
        }
    }
    found.sort_by_key(|(up, entry)| (std::cmp::Reverse(*up), !entry.from.foreign));
    found.into_iter().map(|(_, entry)| entry).collect()
}

/// Why nothing has this name, with what may have been meant, and whether a project that is not trusted has it.
pub(crate) fn unknown<'a>(
    kind: Kind,
    places: Places<'_>,
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> FindError {
    let message = format!("there is no {} `{}`", kind.one(), brief(name));
    if let Some(entry) = untrusted(kind, places).iter().find(|entry| entry.name == name) {
        let path = problem::visible(&entry.from.path.display().to_string());
        let help = format!("`{path}` would be one, but is not trusted: `codetether trust` shows it");
        return FindError::Unknown { message, help };
    }
    let help = match near(name, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.clone().next().is_none() => {
            let file = if kind == Kind::Skills { "NAME/SKILL.md" } else { "NAME.md" };
            let folder = kind.folder();
            format!(
                "there is none so far; `{folder}/{file}` beside your settings, or in `{PROJECT_DIR}`, makes one"
            )
        }
        None => format!("there is {}", list(known.take(20))),
    };
    FindError::Unknown { message, help }
}

/// The problems of names and folders, as errors of their own.
pub(crate) fn broken(problems: Vec<Problem>, kind: Kind) -> Vec<ConfigError> {
    let one = |problem| {
        let mut problems = Problems::default();
        problems.push(problem);
        failed(problems, &format!("the {}", kind.folder()))
    };
    problems.into_iter().map(one).collect()
}
