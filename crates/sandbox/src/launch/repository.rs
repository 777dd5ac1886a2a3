//! What of a git repository runs programs outside, or says which: hooks, settings, attributes, and the files that say
//! where those are. Reads files as the workspace left them, and believes none that another could not confirm.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::gitsettings::{entries, included, read};
use super::survey::Pin;

const RUNS: &str = "git outside would run what is in it";
const PLACE: &str = "a repository: it cannot be swapped for another";
const LEADS: &str = "it says where a repository is";

/// What there is to be guarded in one repository.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Guard {
    pub(crate) pins: Vec<Pin>,
    /// What is to be there before a command runs, so that the command cannot make it: empty folders and files.
    pub(crate) wanted: Vec<Wanted>,
    /// What must not be there after a command ran, since it would lead git elsewhere, and cannot be there empty.
    pub(crate) unwanted: Vec<PathBuf>,
}

/// Something that git reads, and that does nothing while it is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A folder.
    Folder(PathBuf),
    /// A file.
    File(PathBuf),
}

impl Guard {
    fn freeze_file(&mut self, path: PathBuf) {
        if path.symlink_metadata().is_err() {
            self.wanted.push(Wanted::File(path.clone()));
        }
        self.pins.push(Pin::frozen(path, RUNS));
    }

    /// Guards what is there already.
    fn freeze(&mut self, path: PathBuf, why: &str) {
        if path.symlink_metadata().is_ok() {
            self.pins.push(Pin::frozen(path, why));
        }
    }

    /// Guards what the settings name, where it could be written at all.
    fn freeze_named(&mut self, path: &Path, named: Named, within: &[&Path]) {
        // What is not there has a folder that is.
        let real = path
            .canonicalize()
            .ok()
            .or_else(|| Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?)));
        let Some(real) = real else { return };
        let Some(place) = within.iter().find(|place| real.starts_with(place) && real != **place) else {
            return;
        };
        match (real.exists(), named) {
            (true, _) => {}
            (false, Named::Hooks) => self.wanted.push(Wanted::Folder(real.clone())),
            (false, Named::File) => return self.unwanted.push(real),
        }
        self.pins.extend(between(&real, place).skip(1).map(|above| Pin::held(above, RUNS)));
        self.pins.push(Pin::frozen(real, RUNS));
    }

    fn extend(&mut self, other: Self) {
        self.pins.extend(other.pins);
        self.wanted.extend(other.wanted);
        self.unwanted.extend(other.unwanted);
    }
}

/// What a repository's settings name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    Hooks,
    File,
}

/// A path and the folders above it, up to a place that it is in, without that.
pub(crate) fn between<'a>(path: &'a Path, place: &'a Path) -> impl Iterator<Item = &'a Path> {
    path.ancestors().take_while(move |above| *above != place && above.starts_with(place))
}

/// Whether a folder with these names in it is where git keeps a repository.
pub(crate) fn is_git_dir(has: impl Fn(&str) -> bool) -> bool {
    has("HEAD") && has("objects") && has("refs")
}

/// Guards the folder that git keeps a repository in. `top` is its working tree's, where it has one; `within` are the
/// places that the command can write at all.
pub(crate) fn guard(git_dir: &Path, top: Option<&Path>, within: &[&Path], home: &Path) -> Guard {
    let mut guard = Guard::default();
    guard.pins.push(Pin::held(git_dir, PLACE));
    let hooks = git_dir.join("hooks");
    if hooks.symlink_metadata().is_err() {
        guard.wanted.push(Wanted::Folder(hooks.clone()));
    }
    guard.pins.push(Pin::frozen(hooks, RUNS));
    guard.freeze_file(git_dir.join("config"));
    let info = git_dir.join("info");
    if info.symlink_metadata().is_err() {
        guard.wanted.push(Wanted::Folder(info.clone()));
    }
    // Else the folder could be renamed, and another put there.
    guard.pins.push(Pin::held(&info, RUNS));
    guard.freeze_file(info.join("attributes"));
    // Only a linked worktree's own folder has one.
    guard.unwanted.push(git_dir.join("commondir"));
    guard.freeze(git_dir.join("gitdir"), LEADS);

    let mut seen = BTreeSet::new();
    let mut settings = vec![git_dir.join("config"), git_dir.join("config.worktree")];
    let mut per_worktree = false;
    while let Some(file) = settings.pop() {
        if !seen.insert(file.clone()) || seen.len() > 64 {
            continue;
        }
        for (key, value) in entries(&read(&file).unwrap_or_default()) {
            match key.as_str() {
                "core.hookspath" => {
                    guard.freeze_named(
                        &top.unwrap_or(git_dir).join(tilde(&value, home)),
                        Named::Hooks,
                        within,
                    );
                }
                "core.attributesfile" => {
                    guard.freeze_named(
                        &top.unwrap_or(git_dir).join(tilde(&value, home)),
                        Named::File,
                        within,
                    );
                }
                key if key == "include.path" || key.starts_with("includeif.") && key.ends_with(".path") => {
                    let file = included(&file, &value, home);
                    guard.freeze_named(&file, Named::File, within);
                    settings.push(file);
                }
                "extensions.worktreeconfig" => {
                    per_worktree = matches!(value.to_ascii_lowercase().as_str(), "true" | "yes" | "on" | "1");
                }
                _ => {}
            }
        }
    }
    guard_worktrees(git_dir, per_worktree, &mut guard);
    if per_worktree {
        guard.freeze_file(git_dir.join("config.worktree"));
    } else {
        guard.freeze(git_dir.join("config.worktree"), RUNS);
    }
    for module in modules(&git_dir.join("modules")) {
        guard.pins.extend(between(&module, git_dir).map(|above| Pin::held(above, PLACE)));
        guard.extend(self::guard(&module, None, within, home));
    }
    guard
}

/// What of linked worktrees says where they belong.
fn guard_worktrees(git_dir: &Path, per_worktree: bool, guard: &mut Guard) {
    let worktrees = git_dir.join("worktrees");
    let linked = folders(&worktrees);
    if !linked.is_empty() {
        guard.pins.push(Pin::held(&worktrees, PLACE));
    }
    for admin in linked {
        guard.pins.push(Pin::held(&admin, PLACE));
        guard.freeze(admin.join("commondir"), LEADS);
        guard.freeze(admin.join("gitdir"), LEADS);
        if per_worktree {
            guard.freeze_file(admin.join("config.worktree"));
        } else {
            guard.freeze(admin.join("config.worktree"), RUNS);
        }
    }
}

/// The repositories of submodules, in no order. Their names can have slashes in them.
fn modules(under: &Path) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![(under.to_owned(), 0)]);
    while let Some((folder, depth)) = open.pop() {
        for path in folders(&folder) {
            if is_git_dir(|name| path.join(name).exists()) {
                found.push(path);
            } else if depth < 8 {
                open.push((path, depth + 1));
            }
        }
    }
    found
}

/// The folders in a folder, links not counted.
fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

fn tilde(value: &str, home: &Path) -> PathBuf {
    value.strip_prefix("~/").map_or_else(|| PathBuf::from(value), |rest| home.join(rest))
}

/// Where the `.git` file of a linked worktree or submodule leads.
pub(crate) fn pointed_at(file: &Path) -> Option<PathBuf> {
    let text = read(file)?;
    let target = text.strip_prefix("gitdir:")?.trim();
    file.parent()?.join(target).canonicalize().ok()
}

/// The repository outside of the workspace that its `.git` file leads to, if that repository says the same: a file in
/// the workspace alone could have been written by anyone.
pub(crate) fn confirmed_outside(root: &Path) -> Option<PathBuf> {
    let file = root.join(".git");
    if !file.symlink_metadata().ok()?.is_file() {
        return None;
    }
    let git_dir = pointed_at(&file)?;
    if git_dir.starts_with(root) {
        return None;
    }
    // A linked worktree: `gitdir` leads back to the file.
    let back = read(&git_dir.join("gitdir")).and_then(|text| git_dir.join(text.trim()).canonicalize().ok());
    if let Some(back) = back
        && back == file
    {
        let common = read(&git_dir.join("commondir"))?;
        let common = git_dir.join(common.trim()).canonicalize().ok()?;
        // It is where git puts it: what is in `commondir` is no reason to open anything else.
        return (git_dir.parent() == Some(&common.join("worktrees"))).then_some(common);
    }
    // A submodule: its settings lead back to the working tree.
    let settings = read(&git_dir.join("config"))?;
    let tree = entries(&settings).into_iter().find(|(key, _)| key == "core.worktree")?.1;
    let tree = git_dir.join(tree).canonicalize().ok()?;
    (tree == root && is_git_dir(|name| git_dir.join(name).exists())).then_some(git_dir)
}
