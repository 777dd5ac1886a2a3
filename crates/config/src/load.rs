//! Putting the layers together.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use codetether_permission::{List, Rule};

use crate::keys::{Key, Shape, Table, Taken};
use crate::problem::{self, Problem, Problems, Shown, near};
use crate::read::{KeyPath, LayerName, Named, Origin, Source, read};
use crate::settings::{LeftOut, SourcedRule, Why, as_toml};
use crate::{ConfigError, Folder, Hooks, Layer, Provider, Settings, SourcedHook};

/// The folder of a project's own files, relative to its root.
pub const PROJECT_DIR: &str = ".codetether";

/// Where a project's own settings are, relative to its root.
pub const PROJECT_FILE: &str = ".codetether/config.toml";

/// Carried by processes that an agent starts; no setting.
const MARKER: &str = "CODETETHER_CALL";

/// Largest file of settings, in bytes.
pub(crate) const LARGEST: usize = 1 << 20;

/// Where settings come from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The machine's file; need not exist.
    pub system: Option<PathBuf>,
    /// The user's file; need not exist.
    pub user: Option<PathBuf>,
    /// The folder that is worked in, absolute and free of links: a table `folders` of this name in the user's file
    /// counts.
    pub root: Option<PathBuf>,
    /// The project's own file, already read.
    pub project: Option<ProjectSettings>,
    /// Environment variables that begin with `CODETETHER_`.
    pub environment: Vec<(String, String)>,
    /// `-c key=value`, in order.
    pub overrides: Vec<String>,
    /// Flags of their own, which outrank all else.
    pub flags: Layer,
}

/// A project's own settings: the very bytes that trust was given to, or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectSettings {
    /// Where they were read.
    pub file: PathBuf,
    /// What was read.
    pub bytes: Vec<u8>,
    /// Whether the user trusts them.
    pub trusted: bool,
}

/// Puts the layers together.
///
/// # Errors
/// Everything that is wrong with any of the sources.
pub fn load(sources: &Sources) -> Result<Settings, ConfigError> {
    let mut problems = Problems::default();
    let mut merging = Merging { layer: Layer::defaults(), ..Merging::default() };
    for (layer, path) in [(LayerName::System, &sources.system), (LayerName::User, &sources.user)] {
        let Some(path) = path else { continue };
        let Some(text) = text_of(path, &mut problems) else { continue };
        merging.read.push((layer, path.clone()));
        let source = read(&Named::file(layer, path), &text, &mut problems);
        let folder = sources.root.as_deref().and_then(|root| folder_rules(&source, root));
        merging.lay_over(source);
        if let Some(folder) = folder {
            merging.rules_of(&folder.0, &folder.1);
            merging.layer.allow.extend(folder.0.allow);
            merging.layer.ask.extend(folder.0.ask);
            merging.layer.deny.extend(folder.0.deny);
        }
    }
    if let Some(project) = &sources.project
        && let Some(text) = utf8(&project.file, &project.bytes, &mut problems)
    {
        merging.read.push((LayerName::Project, project.file.clone()));
        let source = read(&Named::file(LayerName::Project, &project.file), text, &mut problems);
        merging.project(source, project.trusted);
    }
    for source in environment(&sources.environment, &mut problems) {
        merging.lay_over(source);
    }
    for text in &sources.overrides {
        if let Some(source) = override_of(text, &mut problems) {
            merging.lay_over(source);
        }
    }
    merging.lay_over(flags(&sources.flags, &mut problems));
    problems.none_or()?;
    let Merging { mut layer, rules, hooks, origins, left_out, read } = merging;
    for provider in layer.providers.values_mut() {
        let set = std::mem::replace(provider, Provider::defaults());
        provider.lay_over(set);
    }
    let mut settings = Settings::new(layer, rules, origins, left_out, read);
    settings.hooks = hooks;
    Ok(settings)
}

/// Checks one file of settings: as a project's own if it lies where those do, else as a user's.
///
/// # Errors
/// Everything that is wrong with it.
pub fn check_file(path: &Path) -> Result<LayerName, ConfigError> {
    let mut problems = Problems::default();
    let in_project = path.parent().is_some_and(|parent| parent.ends_with(PROJECT_DIR));
    let layer = if in_project { LayerName::Project } else { LayerName::User };
    match text_of(path, &mut problems) {
        Some(text) => drop(read(&Named::file(layer, path), &text, &mut problems)),
        None if problems.is_empty() => {
            problems.push(problem::of_file(path, format!("there is no file `{}`", path.display()), None));
        }
        None => {}
    }
    problems.none_or().map(|()| layer)
}

/// What is wrong with a text, were it in this file.
pub(crate) fn problems_of(layer: LayerName, path: &Path, text: &str) -> Problems {
    let mut problems = Problems::default();
    read(&Named::file(layer, path), text, &mut problems);
    problems
}

/// What a project's file would set that needs trust, and the values as they would be written. Nothing where it is
/// wrong.
pub(crate) fn powers_of(file: &Path, bytes: &[u8]) -> Vec<(&'static str, toml::Value)> {
    let mut problems = Problems::default();
    let Some(text) = utf8(file, bytes, &mut problems) else { return Vec::new() };
    let source = read(&Named::file(LayerName::Project, file), text, &mut problems);
    let written = as_toml(&source.layer);
    let powers = source.layer.powers().into_iter();
    powers.filter_map(|key| Some((key, written.get(key)?.clone()))).collect()
}

/// The layers so far.
#[derive(Default)]
struct Merging {
    layer: Layer,
    rules: Vec<SourcedRule>,
    hooks: Vec<SourcedHook>,
    origins: BTreeMap<KeyPath, Origin>,
    left_out: Vec<LeftOut>,
    read: Vec<(LayerName, PathBuf)>,
}

impl Merging {
    fn lay_over(&mut self, source: Source) {
        let Source { layer, origins } = source;
        let own = Folder { allow: layer.allow.clone(), ask: layer.ask.clone(), deny: layer.deny.clone() };
        self.rules_of(&own, &origins);
        self.hooks_of(&layer.hooks, &origins, None);
        self.layer.lay_over(layer);
        self.origins.extend(origins);
    }

    /// Adds rules, whose places are by list and position.
    fn rules_of(&mut self, rules: &Folder, origins: &BTreeMap<KeyPath, Origin>) {
        for list in List::ALL {
            let texts = match list {
                List::Allow => &rules.allow,
                List::Ask => &rules.ask,
                List::Deny => &rules.deny,
            };
            for (at, rule) in texts.iter().enumerate() {
                let place = [list.as_str().to_owned(), at.to_string()];
                let origin = origins.get(&place[..]).cloned().unwrap_or_else(Origin::default_value);
                self.rules.push(SourcedRule { list, rule: rule.clone(), origin });
            }
        }
    }

    /// Adds hooks, whose places are by point and position.
    fn hooks_of(&mut self, hooks: &Hooks, origins: &BTreeMap<KeyPath, Origin>, left_out: Option<Why>) {
        for (point, hooks) in &hooks.0 {
            for (at, hook) in hooks.iter().enumerate() {
                let place = ["hooks".to_owned(), point.as_str().to_owned(), at.to_string()];
                let origin = origins.get(&place[..]).cloned().unwrap_or_else(Origin::default_value);
                self.hooks.push(hook.sourced(*point, origin, left_out));
            }
        }
    }

    fn project(&mut self, source: Source, trusted: bool) {
        let Source { mut layer, origins } = source;
        let mut rules =
            Folder { allow: layer.allow.clone(), ask: layer.ask.clone(), deny: layer.deny.clone() };
        if !trusted {
            rules.allow.clear();
        }
        self.rules_of(&rules, &origins);
        self.hooks_of(&layer.hooks, &origins, (!trusted).then_some(Why::Untrusted));
        layer.providers.clear();
        let outcomes = self.layer.take_from_project(layer, trusted);
        for (key, taken) in outcomes {
            match taken {
                Taken::Yes => {
                    let of_key = |path: &&KeyPath| path.first().is_some_and(|first| first == key);
                    let places: Vec<KeyPath> = origins.keys().filter(of_key).cloned().collect();
                    for place in places {
                        if let Some(origin) = origins.get(&place) {
                            self.origins.insert(place, origin.clone());
                        }
                    }
                }
                Taken::NoNeed => {}
                Taken::Wider => self.left_out.push(LeftOut { key, why: Why::Wider }),
                Taken::Untrusted => self.left_out.push(LeftOut { key, why: Why::Untrusted }),
            }
        }
    }
}

/// The rules of the user's table for this folder, with their places as if they stood outside of it.
fn folder_rules(source: &Source, root: &Path) -> Option<(Folder, BTreeMap<KeyPath, Origin>)> {
    let (name, rules) = source.layer.folders.iter().find(|(name, _)| Path::new(name) == root)?;
    let inside = |(path, origin): (&KeyPath, &Origin)| {
        let [first, second, rest @ ..] = path.as_slice() else { return None };
        let here = first == "folders" && second == name && !rest.is_empty();
        here.then(|| (rest.to_vec(), Origin { layer: LayerName::Folder, ..origin.clone() }))
    };
    Some((rules.clone(), source.origins.iter().filter_map(inside).collect()))
}

/// The text of a settings file; `None` when there is no such file, or it cannot be read, which is reported.
pub(crate) fn text_of(path: &Path, problems: &mut Problems) -> Option<String> {
    let file = match codetether_files::open_read(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return None,
        Err(error) => {
            problems.push(problem::unreadable(path, &error));
            return None;
        }
    };
    let mut bytes = Vec::new();
    let most = u64::try_from(LARGEST).unwrap_or(u64::MAX).saturating_add(1);
    if let Err(error) = file.take(most).read_to_end(&mut bytes) {
        problems.push(problem::unreadable(path, &codetether_files::Error::new("read", path, error)));
        return None;
    }
    utf8(path, &bytes, problems).map(str::to_owned)
}

fn utf8<'a>(path: &Path, bytes: &'a [u8], problems: &mut Problems) -> Option<&'a str> {
    if bytes.len() > LARGEST {
        let message = format!("`{}` is larger than a file of settings can be (1 MiB)", path.display());
        problems.push(problem::of_file(path, message, None));
        return None;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) => {
            let line = bytes.iter().take(error.valid_up_to()).filter(|&&byte| byte == b'\n').count();
            let line = line.saturating_add(1);
            let message = format!("`{}` is not UTF-8 in line {line}", path.display());
            problems.push(problem::of_file(path, message, Some("save it as UTF-8".into())));
            None
        }
    }
}

/// The variables that are settings, and their keys.
#[must_use]
pub fn variables() -> Vec<(&'static str, &'static str)> {
    Layer::KEYS.iter().filter_map(|key| Some((key.variable?, key.name))).collect()
}

fn environment(variables: &[(String, String)], problems: &mut Problems) -> Vec<Source> {
    let known = || Layer::KEYS.iter().filter_map(|key| key.variable);
    let mut sources = Vec::new();
    for (name, value) in variables.iter().filter(|(name, _)| name != MARKER) {
        match Layer::KEYS.iter().find(|key| key.variable == Some(name)) {
            Some(key) => {
                let named = Named::text(LayerName::Environment, name);
                sources.push(assignment(&named, key.name, value, problems));
            }
            None => {
                let help = match near(name, known()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "unset it; every other setting goes into the settings file or a flag".into(),
                };
                // What it holds is not shown: it may be a secret.
                problems.push(in_text("environment", name, format!("unknown variable `{name}`"), Some(help)));
            }
        }
    }
    sources
}

fn override_of(text: &str, problems: &mut Problems) -> Option<Source> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            let named = Named::text(LayerName::Flag, "-c");
            Some(assignment(&named, key.trim(), value.trim(), problems))
        }
        _ => {
            let help = "write `-c key=value`, such as `-c max_steps=20`";
            let message = format!("`{}` sets nothing", problem::brief(text));
            problems.push(in_text("-c", text, message, Some(help.into())));
            None
        }
    }
}

/// A problem with the whole of a text.
fn in_text(name: &str, text: &str, message: String, help: Option<String>) -> Problem {
    Shown::new(name, text).problem(Some(0..text.len()), None, message, help)
}

/// `key = value` as TOML; a value that is no TOML is taken as text, so that quotes are not needed.
fn assignment(named: &Named, key: &str, value: &str, problems: &mut Problems) -> Source {
    let as_is = format!("{key} = {value}");
    // One key and no more, whatever the value holds.
    let is_toml = !value.contains('\n') && as_is.parse::<toml::Table>().is_ok();
    let quoted = || format!("{key} = {}", toml::Value::String(value.to_owned()));
    let text = if is_toml { as_is } else { quoted() };
    read(named, &text, problems)
}

/// What the flags set, with the names of the flags.
fn flags(flags: &Layer, problems: &mut Problems) -> Source {
    for (list, rules) in [("--allow", &flags.allow), ("--ask", &flags.ask), ("--deny", &flags.deny)] {
        for rule in rules {
            if let Err(error) = Rule::parse(rule) {
                problems.push(in_text(list, rule, error.to_string(), None));
            }
        }
    }
    let mut origins = BTreeMap::new();
    flag_origins(&as_toml(flags), Layer::KEYS, &mut Vec::new(), &mut origins);
    Source { layer: flags.clone(), origins }
}

fn flag_origins(
    table: &toml::Table,
    keys: &[Key],
    path: &mut KeyPath,
    origins: &mut BTreeMap<KeyPath, Origin>,
) {
    for (name, value) in table {
        path.push(name.clone());
        let flag: Arc<str> = Arc::from(format!("--{}", path.join(".").replace('_', "-")));
        let origin = || Origin { layer: LayerName::Flag, file: None, line: None, name: Some(flag.clone()) };
        let shape = keys.iter().find(|key| key.name == name).map(|key| key.shape);
        match (shape, value) {
            (Some(Shape::Table(keys)), toml::Value::Table(table)) => flag_origins(table, keys, path, origins),
            (Some(Shape::Rules), toml::Value::Array(rules)) => {
                for at in 0..rules.len() {
                    let mut place = path.clone();
                    place.push(at.to_string());
                    origins.insert(place, origin());
                }
            }
            _ => drop(origins.insert(path.clone(), origin())),
        }
        path.pop();
    }
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
