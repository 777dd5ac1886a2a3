//! The folders that a command may run in, as changes of folder before it tell. A change may fail, so that the folder
//! before it stays possible.

use std::path::Path;

/// Folders, relative to the root, that a command may run in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dirs(Option<Vec<String>>);

/// Most folders that are followed.
const MOST_DIRS: usize = 16;

impl Dirs {
    pub(crate) fn root() -> Self {
        Self(Some(vec![String::new()]))
    }

    /// Them all, unless it may be any.
    pub(crate) fn known(&self) -> Option<&[String]> {
        self.0.as_deref()
    }

    pub(crate) fn is_root(&self) -> bool {
        matches!(self.known(), Some([only]) if only.is_empty())
    }

    /// After changing to a folder, which may fail.
    fn enter(&mut self, dir: &str) {
        let Some(dirs) = &mut self.0 else { return };
        let inside =
            !dir.starts_with(['/', '~', '-']) && !dir.is_empty() && !dir.split('/').any(|part| part == "..");
        let entered: Vec<String> = dirs
            .iter()
            .map(|base| if base.is_empty() { dir.to_owned() } else { format!("{base}/{dir}") })
            .collect();
        if !inside || dirs.len() + entered.len() > MOST_DIRS {
            self.0 = None;
            return;
        }
        let new: Vec<String> = entered.into_iter().filter(|dir| !dirs.contains(dir)).collect();
        dirs.extend(new);
    }

    /// After changing to a folder, which may fail; also to one of the workspace by its whole path.
    pub(crate) fn change(&mut self, dir: &str, root: &Path) {
        let inside = root.to_str().and_then(|root| dir.strip_prefix(root));
        match inside
            .filter(|rest| rest.is_empty() || rest.starts_with('/'))
            .map(|rest| rest.trim_matches('/'))
        {
            None => self.enter(dir),
            Some("") => self.add(String::new()),
            Some(rest) if rest.split('/').any(|part| part == "..") => self.lose(),
            Some(rest) => self.add(rest.to_owned()),
        }
    }

    /// After a change that cannot be told.
    pub(crate) fn lose(&mut self) {
        self.0 = None;
    }

    fn add(&mut self, dir: String) {
        match &mut self.0 {
            Some(dirs) if dirs.contains(&dir) => {}
            Some(dirs) if dirs.len() < MOST_DIRS => dirs.push(dir),
            _ => self.lose(),
        }
    }
}
