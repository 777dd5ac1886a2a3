//! Where paths lead: within the workspace, outside it, or nobody knows. Lexical; links are followed by whoever judges,
//! through a function that it hands in.

use std::path::{Component, Path, PathBuf};

use crate::shell::{Dirs, Word};

/// The workspace that a call is judged in.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The workspace's root, absolute and without links.
    pub root: &'a Path,
    /// The user's home folder.
    pub home: Option<&'a Path>,
    /// Follows the links of an absolute path as far as they can be followed.
    pub follow: &'a dyn Fn(&Path) -> PathBuf,
}

impl std::fmt::Debug for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place").field("root", &self.root).field("home", &self.home).finish_non_exhaustive()
    }
}

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Spot {
    /// Within the workspace, relative to its root; `.` is the root.
    Inside(String),
    /// Outside, absolute.
    Outside(PathBuf),
    /// Only running tells.
    Anywhere,
}

impl Place<'_> {
    /// Where a path relative to the root leads, as it is written and with links followed.
    pub(crate) fn spots(&self, path: &str) -> Vec<Spot> {
        self.leads(&self.root.join(path))
    }

    /// Where a word of the shell leads as a path, in any of the folders.
    pub(crate) fn word(&self, word: &Word, dirs: &Dirs) -> Vec<Spot> {
        if !word.values.is_empty() {
            return word.values.iter().flat_map(|value| self.word(value, dirs)).collect();
        }
        let path = match word.known() {
            Some(text) => text,
            // The names of files: those of the folder that the pattern stands in.
            None if word.is_pattern() && !word.raw.contains("..") => match word.text.rsplit_once('/') {
                Some(("", _)) => "/",
                Some((dir, _)) => dir,
                None if word.raw.starts_with('.') || word.raw.contains(['{', '\'', '"', '\\']) => {
                    return vec![Spot::Anywhere];
                }
                None => ".",
            },
            None => return vec![Spot::Anywhere],
        };
        if word.home {
            let Some(home) = self.home else { return vec![Spot::Anywhere] };
            return self.leads(&home.join(path.trim_start_matches('~').trim_start_matches('/')));
        }
        if path.starts_with('/') {
            return self.leads(Path::new(path));
        }
        match dirs.known() {
            None => vec![Spot::Anywhere],
            Some(dirs) => dirs.iter().flat_map(|dir| self.leads(&self.root.join(dir).join(path))).collect(),
        }
    }

    fn leads(&self, path: &Path) -> Vec<Spot> {
        let written = normal(path);
        let led = (self.follow)(path);
        let mut spots = vec![self.spot(&written)];
        let followed = self.spot(&normal(&led));
        if !spots.contains(&followed) {
            spots.push(followed);
        }
        spots
    }

    fn spot(&self, path: &Path) -> Spot {
        match path.strip_prefix(self.root) {
            Ok(inside) if inside.as_os_str().is_empty() => Spot::Inside(".".into()),
            Ok(inside) => Spot::Inside(inside.to_string_lossy().into_owned()),
            Err(_) => Spot::Outside(path.to_owned()),
        }
    }
}

/// The path without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                normal.pop();
            }
            Component::CurDir => {}
            other => normal.push(other),
        }
    }
    normal
}
