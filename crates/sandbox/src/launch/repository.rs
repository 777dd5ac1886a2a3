//! What of a git repository runs programs outside, or says which: hooks, settings, attributes, and the files that say
//! where those are. Reads files as the workspace left them, and believes none that another could not confirm.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::gitsettings::{entries, included, lead, read};
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

impl Wanted {
    /// Where it is to be.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Folder(path) | Self::File(path) => path,
        }
    }
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
        let Some(real) = real(path) else { return };
        let Some(place) = within.iter().find(|place| real.starts_with(place) && real != **place) else {
            return;
        };
        match (real.exists(), named) {
            (true, _) => {}
            (false, Named::Hooks) => self.wanted.push(Wanted::Folder(real.clone())),
            (false, Named::File) => return self.unwanted.push(real),
            (false, Named::Program) => return,
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
    Program,
}

/// A path without links. What is not there has a folder above it that is.
fn real(path: &Path) -> Option<PathBuf> {
    let there = path.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
    let (above, real) = there?;
    let rest = path.strip_prefix(above).ok()?;
    // A step back from what is not there leads nowhere, and a link to what is not there is no folder.
    let plain = rest.components().all(|step| matches!(step, std::path::Component::Normal(_)));
    let first_is_link = rest.components().next().is_some_and(|step| real.join(step).is_symlink());
    if rest.as_os_str().is_empty() { Some(real) } else { (plain && !first_is_link).then(|| real.join(rest)) }
}

/// Settings whose value git runs, in lower case: how they begin, and their last part; with none, whatever that is.
const COMMANDS: &[(&str, &str)] = &[
    ("core.", "fsmonitor"),
    ("core.", "sshcommand"),
    ("core.", "editor"),
    ("core.", "pager"),
    ("core.", "askpass"),
    ("core.", "gitproxy"),
    ("core.", "alternaterefscommand"),
    ("sequence.", "editor"),
    ("diff.", "external"),
    ("diff.", "command"),
    ("diff.", "textconv"),
    ("difftool.", "cmd"),
    ("difftool.", "path"),
    ("mergetool.", "cmd"),
    ("mergetool.", "path"),
    ("merge.", "driver"),
    ("filter.", "clean"),
    ("filter.", "smudge"),
    ("filter.", "process"),
    ("gpg.", "program"),
    ("gpg.", "defaultkeycommand"),
    ("credential.", "helper"),
    ("interactive.", "difffilter"),
    ("trailer.", "command"),
    ("trailer.", "cmd"),
    ("uploadpack.", "packobjectshook"),
    ("remote.", "uploadpack"),
    ("remote.", "receivepack"),
    ("alias.", ""),
    ("pager.", ""),
];

/// Programs that run what comes after them.
const RUNNERS: &[&str] = &[
    "sh", "bash", "dash", "zsh", "fish", "python", "python3", "node", "deno", "bun", "ruby", "perl", "php",
    "env", "exec", "command", "nohup", "time", "sudo", "source", ".",
];

/// The file that a setting has git run, as it is written, if it does.
fn program<'a>(key: &str, value: &'a str) -> Option<&'a str> {
    let runs = COMMANDS.iter().any(|(section, name)| {
        key.strip_prefix(section).is_some_and(|rest| name.is_empty() || rest.rsplit('.').next() == Some(name))
    });
    if !runs {
        return None;
    }
    let mut after_runner = false;
    for word in value.trim_start_matches('!').split_whitespace() {
        let word = word.trim_matches(|letter| matches!(letter, '"' | '\'' | ';' | '(' | ')' | '&' | '|'));
        let name = word.rsplit('/').next().unwrap_or(word);
        if RUNNERS.contains(&name) {
            after_runner = true;
        } else if !(word.is_empty() || word.starts_with('-') || word.contains('=')) {
            // What has no slash in it is looked for elsewhere.
            return (after_runner || word.contains('/')).then_some(word);
        }
    }
    None
}

/// A path and the folders above it, up to a place that it is in, without that.
pub(crate) fn between<'a>(path: &'a Path, place: &'a Path) -> impl Iterator<Item = &'a Path> {
    path.ancestors().take_while(move |above| *above != place && above.starts_with(place))
}

/// Whether a folder with these names in it is where git keeps a repository.
pub(crate) fn is_git_dir(has: impl Fn(&str) -> bool) -> bool {
    has("HEAD") && (has("commondir") || has("objects") && has("refs"))
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
    if info.is_symlink() {
        // Nothing is made behind a link; what it leads to is frozen with it.
        guard.pins.push(Pin::frozen(&info, RUNS));
    } else {
        // Else the folder could be renamed, and another put there.
        guard.pins.push(Pin::held(&info, RUNS));
        guard.freeze_file(info.join("attributes"));
    }
    let common = git_dir.join("commondir");
    if common.symlink_metadata().is_ok() {
        guard.freeze(common, LEADS);
    } else {
        // Only a linked worktree's own folder has one.
        guard.unwanted.push(common);
    }
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
                key => {
                    if let Some(word) = program(key, &value) {
                        let file = top.unwrap_or(git_dir).join(tilde(word, home));
                        if file.is_file() {
                            guard.freeze_named(&file, Named::Program, within);
                        }
                    }
                }
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

/// Guards a linked worktree's own folder that is not where git puts it.
pub(crate) fn guard_admin(admin: &Path, wanted: &mut Vec<Wanted>) -> Vec<Pin> {
    let mut guard = Guard::default();
    guard.pins.push(Pin::held(admin, PLACE));
    guard.freeze(admin.join("commondir"), LEADS);
    guard.freeze(admin.join("gitdir"), LEADS);
    guard.freeze_file(admin.join("config.worktree"));
    wanted.extend(guard.wanted);
    guard.pins
}

/// Where programs of git's own listen: in the repository, its linked worktrees and submodules.
pub(crate) fn meeting_places(git_dir: &Path) -> Vec<PathBuf> {
    let mut all = vec![git_dir.to_owned()];
    all.extend(folders(&git_dir.join("worktrees")));
    all.extend(modules(&git_dir.join("modules")));
    all
}

/// The repositories of submodules, and of submodules of these, in no order. Their names can have slashes in them. A link
/// is not followed.
pub(crate) fn modules(under: &Path) -> Vec<PathBuf> {
    let (mut found, mut open, mut seen) = (Vec::new(), vec![under.to_owned()], 0);
    while let Some(folder) = open.pop().filter(|_| seen < MODULES) {
        if folder.is_symlink() {
            continue;
        }
        for path in folders(&folder) {
            seen += 1;
            if is_git_dir(|name| path.join(name).exists()) {
                open.push(path.join("modules"));
                found.push(path);
            } else {
                open.push(path);
            }
        }
    }
    found
}

/// Most folders that are looked at for submodules of one repository.
const MODULES: usize = 20_000;

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
    let text = lead(file)?;
    let target = text.strip_prefix(b"gitdir: ")?;
    file.parent()?.join(OsStr::from_bytes(target)).canonicalize().ok()
}

/// The folder that a linked worktree's own folder shares with the others.
pub(crate) fn common(git_dir: &Path) -> Option<PathBuf> {
    let text = lead(&git_dir.join("commondir"))?;
    git_dir.join(OsStr::from_bytes(&text)).canonicalize().ok()
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
    let back = lead(&git_dir.join("gitdir"))
        .and_then(|text| git_dir.join(OsStr::from_bytes(&text)).canonicalize().ok());
    if let Some(back) = back
        && back == file
    {
        let common = common(&git_dir)?;
        // It is where git puts it: what is in `commondir` is no reason to open anything else.
        return (git_dir.parent() == Some(&common.join("worktrees"))).then_some(common);
    }
    // A submodule: its settings lead back to the working tree.
    let settings = read(&git_dir.join("config"))?;
    let tree = entries(&settings).into_iter().find(|(key, _)| key == "core.worktree")?.1;
    let tree = git_dir.join(tree).canonicalize().ok()?;
    (tree == root && is_git_dir(|name| git_dir.join(name).exists())).then_some(git_dir)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests set up files as a person would")]
mod tests {
    use super::*;

    #[test]
    fn programs_are_told_from_what_is_looked_for_elsewhere() {
        let runs = |key, value| program(key, value);
        assert_eq!(runs("core.fsmonitor", "./tools/watch --now"), Some("./tools/watch"));
        assert_eq!(runs("filter.a.b.clean", "python3 -u 'tools/clean.py' %f"), Some("tools/clean.py"));
        assert_eq!(runs("alias.x", "!LANG=C sh run.sh"), Some("run.sh"));
        assert_eq!(runs("core.pager", "less -R"), None);
        assert_eq!(runs("core.bare", "tools/watch"), None);
        assert_eq!(runs("remote.origin.url", "../other"), None);
    }

    #[test]
    fn what_is_not_there_is_where_the_folders_above_really_are() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("folder")).unwrap();
        std::os::unix::fs::symlink("folder", root.join("link")).unwrap();
        std::os::unix::fs::symlink("nowhere", root.join("broken")).unwrap();
        assert_eq!(real(&root.join("link/a/b")), Some(root.join("folder/a/b")));
        assert_eq!(real(&root.join("link")), Some(root.join("folder")));
        assert_eq!(real(&root.join("a/../b")), None);
        assert_eq!(real(&root.join("broken/a")), None);
    }

    #[test]
    fn a_folder_of_hooks_that_is_not_there_is_made_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir(root.join(".git")).unwrap();
        std::fs::write(root.join(".git/config"), "[core]\nhooksPath = .husky/_\n").unwrap();
        let guard = guard(&root.join(".git"), Some(&root), &[&root], Path::new("/home/ada"));
        assert!(guard.wanted.contains(&Wanted::Folder(root.join(".husky/_"))));
        assert!(guard.pins.contains(&Pin::frozen(root.join(".husky/_"), RUNS)));
        assert!(guard.pins.contains(&Pin::held(root.join(".husky"), RUNS)));
    }
}
