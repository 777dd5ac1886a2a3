//! Changing a file of settings: one key at a time, with comments and order kept, checked before it is written, and so
//! that two writers lose nothing. Never writes what could not be read back.

use std::fs::TryLockError;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use codetether_files::{
    Durability, WriteOptions, create_dir_all, create_dir_private, open_read, write_atomic,
};
use miette::Diagnostic;
use toml_edit::{Array, DocumentMut, InlineTable, Item, Key, Table, TableLike, Value};

use crate::load::{PROJECT_FILE, problems_of, text_of};
use crate::problem::{Problem, Problems};
use crate::read::LayerName;
use crate::{ConfigError, dotted};

/// How long another writer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A file of settings that can be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsFile {
    path: PathBuf,
    layer: LayerName,
}

/// Why a file was not changed.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum EditError {
    /// What it would say is wrong.
    #[error("cannot change `{}`: {}", path.display(), problem.message)]
    #[diagnostic(code(codetether::settings), help("{}", problem.help.as_deref().unwrap_or("nothing was changed")))]
    Refused {
        /// The file.
        path: PathBuf,
        /// What would be wrong.
        problem: Box<Problem>,
    },
    /// What it says is no TOML.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Wrong(Box<ConfigError>),
    /// The text is no key.
    #[error("`{text}` is not a key")]
    #[diagnostic(
        code(codetether::settings),
        help("write names with dots between them, and quotes around those with dots in them")
    )]
    Key {
        /// The text.
        text: String,
    },
    /// Something else is where the key would be.
    #[error("cannot change `{}`: `{key}` is not {wanted} there", path.display())]
    #[diagnostic(code(codetether::settings), help("`codetether config edit` opens the file"))]
    Shape {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What it would have to be.
        wanted: &'static str,
    },
    /// A project's file is a link, or in one: it could lead anywhere.
    #[error("cannot change `{}`: it is, or is in, a symbolic link", path.display())]
    #[diagnostic(code(codetether::settings), help("put the file itself there"))]
    Link {
        /// The file.
        path: PathBuf,
    },
    /// Another process is changing it.
    #[error("cannot change `{}`: another process has been changing it for {} s", path.display(), PATIENCE.as_secs())]
    #[diagnostic(code(codetether::settings), help("try again when it has ended"))]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read or written.
    #[error(transparent)]
    #[diagnostic(code(codetether::settings::file))]
    File(#[from] codetether_files::Error),
}

impl SettingsFile {
    /// The user's own. When it is new it is made for its owner alone.
    #[must_use]
    pub fn user(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), layer: LayerName::User }
    }

    /// A project's, below its root.
    #[must_use]
    pub fn project(root: &Path) -> Self {
        Self { path: root.join(PROJECT_FILE), layer: LayerName::Project }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes it, empty, if it is not there; true when it was not.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(&self) -> Result<bool, EditError> {
        self.locked(|text| Ok((text.is_none().then(String::new), text.is_none())))
    }

    /// Sets a key. The value is TOML, or text where that is no TOML or not what the key holds.
    ///
    /// # Errors
    /// When the file would be wrong then, or cannot be written.
    pub fn set(&self, key: &[&str], value: &str) -> Result<(), EditError> {
        let as_toml = value.parse::<Value>().ok();
        let as_text = Value::from(value);
        self.change(|document| {
            let mut candidates = as_toml.iter().chain([&as_text]);
            let mut first = None;
            for candidate in candidates.by_ref() {
                let mut changed = document.clone();
                set_in(&mut changed, key, candidate.clone()).map_err(|wanted| self.shape(key, wanted))?;
                match self.refused(document, &changed) {
                    None => {
                        *document = changed;
                        return Ok(());
                    }
                    Some(refused) => first = first.or(Some(refused)),
                }
            }
            first.map_or(Ok(()), Err)
        })
    }

    /// Removes a key, and the table that is empty then; false when it was not there.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn unset(&self, key: &[&str]) -> Result<bool, EditError> {
        self.change(|document| Ok(unset_in(document.as_table_mut(), key)))
    }

    /// Adds a text to a list, unless it is there; false when it was.
    ///
    /// # Errors
    /// When the file would be wrong then, or cannot be written.
    pub fn push(&self, key: &[&str], text: &str) -> Result<bool, EditError> {
        self.change(|document| {
            let mut changed = document.clone();
            let list = list_in(&mut changed, key).map_err(|wanted| self.shape(key, wanted))?;
            if list.iter().any(|item| item.as_str() == Some(text)) {
                return Ok(false);
            }
            push(list, text);
            match self.refused(document, &changed) {
                None => *document = changed,
                Some(refused) => return Err(refused),
            }
            Ok(true)
        })
    }

    /// Removes a text from a list, and the list that is empty then; false when it was not there.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn remove(&self, key: &[&str], text: &str) -> Result<bool, EditError> {
        self.change(|document| {
            let Some(list) = find(document.as_table_mut(), key).and_then(Item::as_array_mut) else {
                return Ok(false);
            };
            let before = list.len();
            list.retain(|item| item.as_str() != Some(text));
            let (removed, empty) = (list.len() < before, list.is_empty());
            if removed && empty {
                unset_in(document.as_table_mut(), key);
            }
            Ok(removed)
        })
    }

    /// Changes what the file says.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut DocumentMut) -> Result<T, EditError>,
    ) -> Result<T, EditError> {
        self.locked(|text| {
            let before = text.unwrap_or_default();
            let Ok(mut document) = before.parse::<DocumentMut>() else {
                let problems = problems_of(self.layer, &self.path, &before).none_or();
                let wrong = |error| EditError::Wrong(Box::new(error));
                return Err(problems.err().map_or_else(|| self.shape(&[], "TOML"), wrong));
            };
            let changed = change(&mut document)?;
            let after = document.to_string();
            Ok(((after != before).then_some(after), changed))
        })
    }

    /// What would be wrong with the file after a change and was not before.
    fn refused(&self, before: &DocumentMut, after: &DocumentMut) -> Option<EditError> {
        let problems = |document: &DocumentMut| problems_of(self.layer, &self.path, &document.to_string());
        let before = problems(before);
        let known = |problem: &Problem| before.kept().iter().any(|old| old.message == problem.message);
        let problem = problems(after).kept().iter().find(|problem| !known(problem)).cloned()?;
        // The text that it points into is one that the user never saw.
        let problem = Box::new(problem.without_text());
        Some(EditError::Refused { path: self.path.clone(), problem })
    }

    /// Reads the file, and writes what it is to be, while nobody else does either. The lock is on the folder: a file
    /// beside a project's own would become one of them.
    fn locked<T>(
        &self,
        change: impl FnOnce(Option<String>) -> Result<(Option<String>, T), EditError>,
    ) -> Result<T, EditError> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        match self.layer {
            LayerName::Project => {
                let is_link =
                    |path: &Path| path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
                if is_link(folder) || is_link(&self.path) {
                    return Err(EditError::Link { path: self.path.clone() });
                }
                create_dir_all(folder)?;
            }
            _ => create_dir_private(folder)?,
        }
        let lock = open_read(folder)?;
        let asked = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if asked.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(TryLockError::WouldBlock) => return Err(EditError::Busy { path: self.path.clone() }),
                Err(TryLockError::Error(error)) => {
                    return Err(codetether_files::Error::new("lock", folder, error).into());
                }
            }
        }
        let mut problems = Problems::default();
        let text = text_of(&self.path, &mut problems);
        problems.none_or().map_err(|error| EditError::Wrong(Box::new(error)))?;
        let mode = (text.is_none() && self.layer == LayerName::User).then_some(0o600);
        let (text, changed) = change(text)?;
        if let Some(text) = text {
            let options = WriteOptions { mode, durability: Durability::Synced };
            write_atomic(&self.path, text.as_bytes(), &options)?;
        }
        Ok(changed)
    }

    fn shape(&self, key: &[&str], wanted: &'static str) -> EditError {
        let key: Vec<String> = key.iter().map(|&name| name.to_owned()).collect();
        EditError::Shape { path: self.path.clone(), key: dotted(&key), wanted }
    }
}

/// The names of a key that is written with dots.
///
/// # Errors
/// When it is not one.
pub fn parse_key(text: &str) -> Result<Vec<String>, EditError> {
    let wrong = |_| EditError::Key { text: text.to_owned() };
    Key::parse(text).map(|names| names.iter().map(|name| name.get().to_owned()).collect()).map_err(wrong)
}

/// The table that holds the key, made if need be; and the key's own name.
fn table_in<'d, 'k>(
    document: &'d mut DocumentMut,
    key: &[&'k str],
) -> Result<(&'d mut dyn TableLike, &'k str), &'static str> {
    let Some((&name, tables)) = key.split_last() else { return Err("a key") };
    let mut table: &mut dyn TableLike = document.as_table_mut();
    let mut inline = false;
    for (at, &part) in tables.iter().enumerate() {
        let missing = || match inline {
            true => Item::Value(Value::InlineTable(InlineTable::new())),
            false => {
                let mut table = Table::new();
                // Only the last one needs a line of its own.
                table.set_implicit(at + 1 < tables.len());
                Item::Table(table)
            }
        };
        let item = table.entry(part).or_insert_with(missing);
        inline = item.is_inline_table();
        table = item.as_table_like_mut().ok_or("a table")?;
    }
    Ok((table, name))
}

fn set_in(document: &mut DocumentMut, key: &[&str], mut value: Value) -> Result<(), &'static str> {
    let (table, name) = table_in(document, key)?;
    match table.get_mut(name) {
        Some(Item::Value(old)) => {
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        Some(item) => *item = Item::Value(value),
        None => drop(table.insert(name, Item::Value(value))),
    }
    Ok(())
}

fn find<'d>(table: &'d mut dyn TableLike, key: &[&str]) -> Option<&'d mut Item> {
    let (&first, rest) = key.split_first()?;
    let item = table.get_mut(first)?;
    if rest.is_empty() { Some(item) } else { find(item.as_table_like_mut()?, rest) }
}

fn unset_in(table: &mut dyn TableLike, key: &[&str]) -> bool {
    let Some((&first, rest)) = key.split_first() else { return false };
    if rest.is_empty() {
        return table.remove(first).is_some();
    }
    let Some(inner) = table.get_mut(first) else { return false };
    let removed = inner.as_table_like_mut().is_some_and(|inner| unset_in(inner, rest));
    let commented = |inner: &Item| {
        let prefix = inner.as_table().and_then(|table| table.decor().prefix()?.as_str());
        prefix.is_some_and(|prefix| prefix.contains('#'))
    };
    if removed && inner.as_table_like().is_some_and(TableLike::is_empty) && !commented(inner) {
        table.remove(first);
    }
    removed
}

fn list_in<'d>(document: &'d mut DocumentMut, key: &[&str]) -> Result<&'d mut Array, &'static str> {
    let (table, name) = table_in(document, key)?;
    let item = table.entry(name).or_insert_with(|| Item::Value(Value::Array(Array::new())));
    item.as_array_mut().ok_or("a list")
}

/// Adds a text in the way in which the list is written.
fn push(list: &mut Array, text: &str) {
    let mut value = Value::from(text);
    let trailing = list.trailing().as_str().unwrap_or_default().to_owned();
    let last = list.len().checked_sub(1).and_then(|last| list.get_mut(last));
    if let Some(last) = last {
        let of = |part: Option<&toml_edit::RawString>| {
            part.and_then(|part| part.as_str()).unwrap_or_default().to_owned()
        };
        let (before, after) = (of(last.decor().prefix()), of(last.decor().suffix()));
        let indentation = before.rfind('\n').and_then(|newline| before.get(newline..));
        let tail = format!("{after}{trailing}");
        // A comment behind the last item stays behind it.
        let comment = if tail.contains('#') { tail.trim_end() } else { "" };
        match indentation {
            Some(indentation) => {
                last.decor_mut().set_suffix("");
                value.decor_mut().set_prefix(format!("{comment}{indentation}"));
                let end = tail.rfind('\n').and_then(|newline| tail.get(newline..)).unwrap_or("\n");
                list.set_trailing(end);
                list.set_trailing_comma(true);
            }
            None if comment.is_empty() => value.decor_mut().set_prefix(" "),
            None => value.decor_mut().set_prefix("\n    "),
        }
    }
    list.push_formatted(value);
}

#[cfg(test)]
#[path = "edit_tests.rs"]
mod tests;
