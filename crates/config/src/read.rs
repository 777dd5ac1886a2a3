//! Reading one source: a text of TOML becomes a layer, with the place of every value. Whatever is wrong is reported,
//! and the rest read on. Knows no order of layers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use codetether_permission::Rule;
use serde::Serialize;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue, ValueDeserializer};

use crate::keys::{Key, ProjectMay, Table, Value};
use crate::problem::{Problems, Shown, brief, list, near};
use crate::{Layer, Model};

/// A layer of settings; later ones stand over earlier ones, but for the project's, which can mostly only narrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LayerName {
    /// What holds where nothing is set.
    Default,
    /// The machine's file.
    System,
    /// The user's file.
    User,
    /// The table of this folder in the user's file.
    Folder,
    /// The project's own file.
    Project,
    /// Environment variables.
    Environment,
    /// The command line.
    Flag,
}

impl LayerName {
    /// The name, as `config show --origin` prints it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::System => "system",
            Self::User => "user",
            Self::Folder => "folder",
            Self::Project => "project",
            Self::Environment => "environment",
            Self::Flag => "flag",
        }
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Which layer.
    pub layer: LayerName,
    /// The file, if it is one.
    pub file: Option<Arc<Path>>,
    /// The line in the file, from 1.
    pub line: Option<usize>,
    /// The variable or flag, if it is one.
    pub name: Option<Arc<str>>,
}

impl Origin {
    /// The one of defaults.
    #[must_use]
    pub fn default_value() -> Self {
        Self { layer: LayerName::Default, file: None, line: None, name: None }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.layer.as_str())?;
        if let Some(name) = &self.name {
            write!(f, " `{name}`")?;
        }
        if let Some(file) = &self.file {
            write!(f, " {}", file.display())?;
        }
        match self.line {
            Some(line) => write!(f, ":{line}"),
            None => Ok(()),
        }
    }
}

/// The name of a key in all its tables, the outermost first.
pub(crate) type KeyPath = Vec<String>;

/// What one source says, and where.
#[derive(Debug, Default)]
pub(crate) struct Source {
    pub(crate) layer: Layer,
    /// Where each value is; an item of a list has its position as last name.
    pub(crate) origins: BTreeMap<KeyPath, Origin>,
}

/// What a text is called and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) layer: LayerName,
    /// As problems show it.
    pub(crate) name: String,
    pub(crate) file: Option<Arc<Path>>,
}

impl Named {
    pub(crate) fn file(layer: LayerName, path: &Path) -> Self {
        Self { layer, name: path.display().to_string(), file: Some(Arc::from(path)) }
    }

    pub(crate) fn text(layer: LayerName, name: &str) -> Self {
        Self { layer, name: name.to_owned(), file: None }
    }
}

/// Reads a text of settings.
pub(crate) fn read(named: &Named, text: &str, problems: &mut Problems) -> Source {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut source = Source::default();
    let mut reader = Reader {
        named,
        text,
        lines: OnceLines::default(),
        shown: None,
        path: Vec::new(),
        origins: BTreeMap::new(),
        broken: BTreeSet::new(),
        lost: None,
        problems,
    };
    for error in errors {
        reader.syntax(&error);
    }
    source.layer.read(table.into_inner(), &mut reader);
    reader.check_names(&source.layer);
    source.origins = reader.origins;
    source
}

/// The starts of a text's lines, found when first asked for.
#[derive(Debug, Default)]
struct OnceLines(Option<Vec<usize>>);

impl OnceLines {
    /// The line, from 1, of a byte.
    fn of(&mut self, text: &str, at: usize) -> usize {
        let starts = self.0.get_or_insert_with(|| {
            text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect()
        });
        starts.partition_point(|newline| *newline < at).saturating_add(1)
    }
}

/// Reads one text, and knows where in it it is.
pub(crate) struct Reader<'a> {
    named: &'a Named,
    text: &'a str,
    lines: OnceLines,
    shown: Option<Shown>,
    path: KeyPath,
    origins: BTreeMap<KeyPath, Origin>,
    /// Lines that are no TOML: what else is wrong there follows from that.
    broken: BTreeSet<usize>,
    /// A line that should begin a table and does not: the keys after it are taken for those of the table before.
    lost: Option<usize>,
    problems: &'a mut Problems,
}

impl Reader<'_> {
    /// Reads what belongs to `name`.
    pub(crate) fn inside<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(name.to_owned());
        let read = read(self);
        self.path.pop();
        read
    }

    /// Notes where what is being read is.
    pub(crate) fn place(&mut self, span: Range<usize>) {
        let line = self.named.file.as_ref().map(|_| self.lines.of(self.text, span.start));
        let origin = Origin {
            layer: self.named.layer,
            file: self.named.file.clone(),
            line,
            name: self.named.file.is_none().then(|| Arc::from(self.named.name.as_str())),
        };
        self.origins.insert(self.path.clone(), origin);
    }

    pub(crate) fn value<T: Value>(&mut self, value: Spanned<DeValue<'_>>) -> Option<T> {
        let (span, found) = (value.span(), described(value.get_ref()));
        let error = match T::deserialize(ValueDeserializer::from(value)) {
            Ok(value) => {
                self.place(span);
                return Some(value);
            }
            Err(error) => error,
        };
        let key = self.key();
        let message = error.message().lines().next().unwrap_or_default();
        let (message, help) = if let Some(rest) = message.strip_prefix("unknown variant `") {
            let mut words = rest.split('`').step_by(2);
            let given = words.next().unwrap_or_default();
            let known: Vec<&str> = words.collect();
            let help = match near(given, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("write one of {}", list(known)),
            };
            (format!("{key} cannot be `{}`", brief(given)), Some(help))
        } else if message.starts_with("invalid ") || message.starts_with("wanted string or table") {
            (format!("{key} must be {}, not {found}", T::WANTED), None)
        } else {
            (message.to_owned(), T::HELP.map(str::to_owned))
        };
        self.problem(Some(error.span().unwrap_or(span)), message, help);
        None
    }

    pub(crate) fn rules(&mut self, value: Spanned<DeValue<'_>>, rules: &mut Vec<String>) {
        let (span, found) = (value.span(), described(value.get_ref()));
        let DeValue::Array(items) = value.into_inner() else {
            let message = format!("{} must be a list of rules, not {found}", self.key());
            return self.problem(Some(span), message, Some("write it as `[\"bash(cargo test)\"]`".into()));
        };
        self.place(span);
        for item in items {
            let (span, found) = (item.span(), described(item.get_ref()));
            let DeValue::String(rule) = item.into_inner() else {
                let message = format!("{} must hold rules, which are texts, not {found}", self.key());
                self.problem(Some(span), message, None);
                continue;
            };
            match Rule::parse(&rule) {
                Ok(_) => {
                    let position = rules.len().to_string();
                    rules.push(rule.into_owned());
                    self.inside(&position, |reader| reader.place(span));
                }
                Err(error) => self.problem(Some(span), error.to_string(), None),
            }
        }
    }

    pub(crate) fn table<'i>(&mut self, value: Spanned<DeValue<'i>>) -> Option<DeTable<'i>> {
        let (span, found) = (value.span(), described(value.get_ref()));
        match value.into_inner() {
            DeValue::Table(table) => Some(table),
            _ => {
                let key = self.path.join(".");
                let help = format!("write `[{}]`, and its keys on lines of their own", brief(&key));
                self.problem(Some(span), format!("{} must be a table, not {found}", self.key()), Some(help));
                None
            }
        }
    }

    /// Whether the source may set a key at all.
    pub(crate) fn may_set(&mut self, key: &Spanned<DeString<'_>>, keys: &[Key]) -> bool {
        let Some(known) = keys.iter().find(|known| known.name == key.get_ref().as_ref()) else { return true };
        if self.named.layer == LayerName::Project && known.project == ProjectMay::Nothing {
            let set = |may| keys.iter().filter(move |key| key.project == may).map(|key| key.name);
            let help = format!(
                "set it in your own settings; a project can narrow {}, and set {} once you trust it",
                list(set(ProjectMay::Narrow)),
                list(set(ProjectMay::SetWhenTrusted))
            );
            self.problem(
                Some(key.span()),
                format!("a project's own file cannot set `{}`", known.name),
                Some(help),
            );
            return false;
        }
        if known.user_only && self.named.layer != LayerName::User {
            let message = format!("`{}` can be set in your own settings file only", known.name);
            self.problem(
                Some(key.span()),
                message,
                Some("`codetether config path` shows where it is".into()),
            );
            return false;
        }
        true
    }

    pub(crate) fn unknown(&mut self, key: &Spanned<DeString<'_>>, keys: &[Key]) {
        let name = key.get_ref().as_ref();
        if self.lost.is_some_and(|lost| self.lines.of(self.text, key.span().start) > lost) {
            return;
        }
        let here = |key: &&Key| {
            let project = self.named.layer == LayerName::Project;
            !(project && key.project == ProjectMay::Nothing)
        };
        let known: Vec<&str> = keys.iter().filter(here).map(|key| key.name).collect();
        let help = match near(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known here: {}", list(known)),
        };
        let mut path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        path.push(name);
        self.problem(Some(key.span()), format!("unknown key `{}`", brief(&path.join("."))), Some(help));
    }

    /// A name that is none of those that there are.
    pub(crate) fn unknown_name(&mut self, name: &Spanned<DeString<'_>>, help: String) {
        let mut path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        path.push(name.get_ref().as_ref());
        self.problem(Some(name.span()), format!("unknown key `{}`", brief(&path.join("."))), Some(help));
    }

    /// Names that are the user's own choice, within bounds.
    fn check_names(&mut self, layer: &Layer) {
        for name in layer.folders.keys().filter(|name| !PathBuf::from(name).is_absolute()) {
            let message = format!("`{}` is not the path of a folder", brief(name));
            let help = "write it from the root on: `[folders.\"/home/me/project\"]`";
            self.named_problem(&["folders", name], message, help);
        }
        for name in layer.providers.keys().filter(|name| name.is_empty() || name.contains('/')) {
            let message = format!("`{}` cannot be the name of a provider", brief(name));
            let help = "models are named `provider/model`: choose a name without a slash";
            self.named_problem(&["providers", name], message, help);
        }
        for (name, problem) in
            layer.models.keys().filter_map(|name| Some((name, name.parse::<Model>().err()?)))
        {
            self.named_problem(&["models", name], problem, "write it as `[models.\"provider/model\"]`");
        }
    }

    fn named_problem(&mut self, path: &[&str], message: String, help: &str) {
        let path: KeyPath = path.iter().map(|&name| name.to_owned()).collect();
        let line = self.origins.get(&path).and_then(|origin| origin.line);
        let name = path.last().map(String::as_str).unwrap_or_default();
        // The first mention on the line of its place; a name written with escapes is shown without one.
        let start = line.map_or(0, |line| {
            self.text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum::<usize>()
        });
        let found = self.text.get(start..).and_then(|rest| rest.find(name)).filter(|_| !name.is_empty());
        let span = found.map(|at| start + at..start + at + name.len());
        self.problem(span, message, Some(help.to_owned()));
    }

    fn syntax(&mut self, error: &toml::de::Error) {
        let span = error.span();
        if let Some(span) = &span {
            let line = self.lines.of(self.text, span.start);
            if !self.broken.insert(line) {
                return;
            }
            let before = self.text.get(..span.start).unwrap_or_default();
            let start = before.rfind('\n').map_or(0, |newline| newline + 1);
            if self.text.get(start..).is_some_and(|line| line.trim_start().starts_with('[')) {
                self.lost = Some(self.lost.map_or(line, |lost| lost.min(line)));
            }
        }
        let message = error.message().lines().next().unwrap_or_default();
        let part = span.clone().and_then(|span| self.text.get(span)).unwrap_or_default();
        if message == "duplicate key" {
            let message = format!("duplicate key `{}`", brief(part));
            return self.push(span, message, Some("keep one of the two".into()));
        }
        self.push(span, message.to_owned(), None);
    }

    pub(crate) fn problem(&mut self, span: Option<Range<usize>>, message: String, help: Option<String>) {
        let line = span.as_ref().map(|span| self.lines.of(self.text, span.start));
        if line.is_some_and(|line| self.broken.contains(&line)) {
            return;
        }
        self.push(span, message, help);
    }

    fn push(&mut self, span: Option<Range<usize>>, message: String, help: Option<String>) {
        let line = match (&self.named.file, &span) {
            (Some(_), Some(span)) => Some(self.lines.of(self.text, span.start)),
            _ => None,
        };
        let shown = self.shown.get_or_insert_with(|| Shown::new(&self.named.name, self.text));
        self.problems.push(shown.problem(span, line, message, help));
    }

    /// The key that is being read.
    fn key(&self) -> String {
        format!("`{}`", brief(&self.path.join(".")))
    }
}

/// A value in a message.
fn described(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) if text.len() <= 40 => format!("the text `{}`", brief(text)),
        DeValue::String(_) => "a text".into(),
        DeValue::Integer(number) => format!("the number `{}`", brief(&number.to_string())),
        DeValue::Float(number) => format!("the number `{}`", brief(number.as_str())),
        DeValue::Boolean(value) => format!("`{value}`"),
        DeValue::Datetime(_) => "a date".into(),
        DeValue::Array(_) => "a list".into(),
        DeValue::Table(_) => "a table".into(),
    }
}
