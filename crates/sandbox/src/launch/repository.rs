//! What of a git repository runs programs outside, or says which: hooks, settings, attributes, and the files that say
//! where those are. Reads files as the workspace left them, and believes none that another could not confirm.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::gitsettings::{Global, entries, included, lead, read};
use super::inside::{Found, holds_branches, top};
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
        self.pins.extend(links_to(path, within, RUNS));
        self.pins.push(Pin::frozen(real, RUNS));
    }

    /// Guards what one setting names. `tree` is where git runs what it names.
    fn obey(&mut self, (key, value): (&str, &str), tree: &Path, within: &[&Path], home: &Path) {
        match key {
            "core.hookspath" => self.freeze_named(&tree.join(tilde(value, home)), Named::Hooks, within),
            "core.attributesfile" => self.freeze_named(&tree.join(tilde(value, home)), Named::File, within),
            key => {
                let module = key.strip_prefix("submodule.").and_then(|rest| rest.strip_suffix(".update"));
                let tree = module.map_or_else(|| tree.to_owned(), |module| tree.join(module));
                for word in programs(key, value) {
                    let file = tree.join(tilde(word, home));
                    if file.is_file() {
                        self.freeze_named(&file, Named::Program, within);
                    }
                }
            }
        }
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
    ("submodule.", "update"),
];

/// Most words of one setting that are looked at.
const WORDS: usize = 64;

/// The words of a setting that git runs, as they are written, that may name a file: a program, what a program is to run, or
/// a file that it reads.
pub(crate) fn programs<'a>(key: &str, value: &'a str) -> Vec<&'a str> {
    let runs = COMMANDS.iter().any(|(section, name)| {
        key.strip_prefix(section).is_some_and(|rest| name.is_empty() || rest.rsplit('.').next() == Some(name))
    });
    // Without this, they name something of git's own.
    let of_git = key.starts_with("alias.") || key.starts_with("submodule.");
    if !runs || of_git && !value.starts_with('!') {
        return Vec::new();
    }
    let parts = |letter: char| letter.is_whitespace() || "\"';()&|<>`$,!".contains(letter);
    let mut found = Vec::new();
    let mut is_first = true;
    for word in value.split(parts).filter(|word| !word.is_empty()).take(WORDS) {
        let (before, word) = word.rsplit_once('=').unwrap_or(("", word));
        let looked_for_elsewhere = is_first && before.is_empty() && !word.contains('/');
        is_first &= !before.is_empty();
        if !(looked_for_elsewhere || word.is_empty() || word.starts_with('-')) {
            found.push(word);
        }
    }
    found
}

/// A path and the folders above it, up to a place that it is in, without that.
pub(crate) fn between<'a>(path: &'a Path, place: &'a Path) -> impl Iterator<Item = &'a Path> {
    path.ancestors().take_while(move |above| *above != place && above.starts_with(place))
}

/// Most steps of a path that are followed.
const STEPS: usize = 256;

/// Holds the links that lead to a path, where they are in the places: they could be made to lead elsewhere.
pub(crate) fn links_to(path: &Path, within: &[&Path], why: &str) -> Vec<Pin> {
    let steps_of = |path: &Path| path.components().map(|step| PathBuf::from(step.as_os_str())).collect();
    // To a place no link leads.
    let start = within.iter().find_map(|place| Some((*place, path.strip_prefix(place).ok()?)));
    let (start, path) = start.unwrap_or((Path::new("/"), path));
    let (mut pins, mut here, mut rest): (_, _, VecDeque<PathBuf>) =
        (Vec::new(), start.to_owned(), steps_of(path));
    let mut steps = 0;
    while let Some(step) = rest.pop_front().filter(|_| steps < STEPS) {
        steps += 1;
        if step == Path::new("..") {
            here.pop();
            continue;
        }
        here.push(&step);
        let Ok(target) = here.read_link() else { continue };
        if let Some(place) = within.iter().find(|place| here.starts_with(place)) {
            pins.extend(between(&here, place).map(|step| Pin::held(step, why)));
        }
        here.pop();
        let mut target: VecDeque<PathBuf> = steps_of(&target);
        target.append(&mut rest);
        rest = target;
    }
    pins
}

/// Whether a folder with these names in it is where git keeps a repository.
pub(crate) fn is_git_dir(has: impl Fn(&str) -> bool) -> bool {
    has("HEAD") && (has("commondir") || has("objects") && has("refs"))
}

/// Most repositories in one that are guarded one by one.
const MOST_INNER: usize = 1_000;

/// What is guarded by: the places that the command can write at all, and what the person's own settings say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct By<'a> {
    pub(crate) within: &'a [&'a Path],
    pub(crate) home: &'a Path,
    pub(crate) global: &'a Global,
}

/// Guards the folder that git keeps a repository in, and those in it that were `found`. `top` is its working tree's, where it
/// has one.
pub(crate) fn guard(git_dir: &Path, top: Option<&Path>, by: By<'_>, found: &Found) -> Guard {
    let mut guard = Guard::default();
    guard_one(git_dir, top, by, found, &mut guard);
    let unfinished = found.unfinished.iter().filter(|path| !holds_branches(path));
    let mut whole: BTreeSet<PathBuf> = unfinished.chain(&found.too_long).cloned().collect();
    if found.git_dirs.len() > MOST_INNER {
        whole.extend(found.git_dirs.iter().filter_map(|inner| self::top(inner, git_dir)));
    } else {
        for inner in &found.git_dirs {
            guard.pins.extend(between(inner, git_dir).map(|above| Pin::held(above, PLACE)));
            guard_one(inner, None, by, found, &mut guard);
        }
    }
    for path in whole {
        guard.pins.extend(between(&path, git_dir).skip(1).map(|above| Pin::held(above, PLACE)));
        guard.pins.push(Pin::frozen(path, "there is too much in it to be looked at"));
    }
    guard
}

fn guard_one(git_dir: &Path, top: Option<&Path>, by: By<'_>, found: &Found, guard: &mut Guard) {
    let By { within, home, global } = by;
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
    let mut all = Vec::new();
    while let Some(file) = settings.pop() {
        if !seen.insert(file.clone()) || seen.len() > 64 {
            continue;
        }
        for (key, value) in entries(&read(&file).unwrap_or_default()) {
            if key == "include.path" || key.starts_with("includeif.") && key.ends_with(".path") {
                let file = included(&file, &value, home);
                guard.freeze_named(&file, Named::File, within);
                settings.push(file);
            } else if key == "extensions.worktreeconfig" {
                per_worktree = matches!(value.to_ascii_lowercase().as_str(), "true" | "yes" | "on" | "1");
            } else {
                all.push((key, value));
            }
        }
    }
    // Of a submodule, its settings say which its working tree is.
    let named = || {
        let (_, tree) = all.iter().find(|(key, _)| key == "core.worktree")?;
        git_dir
            .join(tree)
            .canonicalize()
            .ok()
            .filter(|tree| within.iter().any(|place| tree.starts_with(place)))
    };
    let tree = top.map(Path::to_owned).or_else(named);
    let run_in = tree.as_deref().unwrap_or(git_dir);
    for (key, value) in &all {
        guard.obey((key, value), run_in, within, home);
    }
    if tree.is_some() {
        for (key, value) in &global.entries {
            guard.obey((key, value), run_in, within, home);
        }
        for file in global.words.iter().map(|word| run_in.join(word)).filter(|file| file.is_file()) {
            guard.freeze_named(&file, Named::Program, within);
        }
    }
    guard_worktrees(git_dir, per_worktree, found, guard);
    if per_worktree {
        guard.freeze_file(git_dir.join("config.worktree"));
    } else {
        guard.freeze(git_dir.join("config.worktree"), RUNS);
    }
}

/// Guards the files of the person's own settings, and what they name by a whole path, where these are in the places.
pub(crate) fn guard_global(by: By<'_>) -> Guard {
    let mut guard = Guard::default();
    for file in &by.global.files {
        guard.freeze_named(file, Named::File, by.within);
    }
    for file in by.global.programs.iter().filter(|file| file.is_file()) {
        guard.freeze_named(file, Named::Program, by.within);
    }
    guard
}

/// Guards what the repositories above a place name in it.
pub(crate) fn guard_above(place: &Path, by: By<'_>, inside: &mut super::inside::Inside) -> Guard {
    let mut guard = Guard::default();
    for above in place.ancestors().skip(1) {
        let git = above.join(".git");
        let git_dir = if git.is_dir() { git.canonicalize().ok() } else { pointed_at(&git) };
        let Some(git_dir) = git_dir.filter(|git_dir| git_dir.is_dir()) else { continue };
        let git_dir = common(&git_dir).unwrap_or(git_dir);
        let found = inside.of(&git_dir);
        let mut one = self::guard(&git_dir, Some(above), by, &found);
        let is_in = |path: &Path| by.within.iter().any(|place| path.starts_with(place) && path != *place);
        one.pins.retain(|pin| is_in(&pin.path));
        one.wanted.retain(|want| is_in(want.path()));
        one.unwanted.retain(|path| is_in(path));
        guard.pins.extend(one.pins);
        guard.wanted.extend(one.wanted);
        guard.unwanted.extend(one.unwanted);
    }
    guard
}

/// What of linked worktrees says where they belong.
fn guard_worktrees(git_dir: &Path, per_worktree: bool, found: &Found, guard: &mut Guard) {
    let worktrees = git_dir.join("worktrees");
    let linked: Vec<&PathBuf> =
        found.worktrees.iter().filter(|admin| admin.parent() == Some(&worktrees)).collect();
    if !linked.is_empty() {
        guard.pins.push(Pin::held(&worktrees, PLACE));
    }
    for admin in linked {
        guard.pins.push(Pin::held(admin, PLACE));
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

fn tilde(value: &str, home: &Path) -> PathBuf {
    value.strip_prefix("~/").map_or_else(|| PathBuf::from(value), |rest| home.join(rest))
}

/// Where the `.git` file of a linked worktree or submodule leads.
pub(crate) fn pointed_at(file: &Path) -> Option<PathBuf> {
    let text = lead(file)?;
    let target = text.strip_prefix(b"gitdir: ")?;
    file.parent()?.join(OsStr::from_bytes(target)).canonicalize().ok()
}

/// The same as it is written, and where the folder is that another shares with others: what links lead there matters.
pub(crate) fn written(file: &Path) -> Option<PathBuf> {
    if file.is_symlink() {
        return Some(file.to_owned());
    }
    let text = lead(file)?;
    let target = text.strip_prefix(b"gitdir: ").unwrap_or(&text);
    Some(file.parent()?.join(OsStr::from_bytes(target)))
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
    (tree == root && is_git_dir(|name| git_dir.join(name).symlink_metadata().is_ok())).then_some(git_dir)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests set up files as a person would")]
mod tests {
    use super::*;

    #[test]
    fn programs_are_told_from_what_is_looked_for_elsewhere() {
        assert_eq!(programs("core.fsmonitor", "./tools/watch --now"), ["./tools/watch"]);
        assert_eq!(programs("filter.a.b.clean", "python3 -u 'tools/clean.py' %f"), ["tools/clean.py", "%f"]);
        assert_eq!(programs("filter.a.clean", "cat %f|sh tools/clean"), ["%f", "sh", "tools/clean"]);
        assert_eq!(programs("alias.x", "!LANG=C sh run.sh"), ["C", "run.sh"]);
        assert_eq!(programs("core.sshcommand", "ssh -F conf --also=more"), ["conf", "more"]);
        assert_eq!(programs("submodule.s.update", "!sh ../tools/up"), ["../tools/up"]);
        for (key, value) in [
            ("core.pager", "less -R"),
            ("core.bare", "tools/watch"),
            ("remote.origin.url", "../other"),
            ("alias.x", "log tools/x"),
            ("submodule.s.update", "rebase"),
        ] {
            assert_eq!(programs(key, value), [""; 0], "{key}");
        }
    }

    fn guarded(git_dir: &Path, top: &Path, global: &Global) -> Guard {
        let by = By { within: &[top], home: Path::new("/home/ada"), global };
        guard(git_dir, Some(top), by, &super::super::inside::Inside::default().of(git_dir))
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
        let guard = guarded(&root.join(".git"), &root, &Global::default());
        assert!(guard.wanted.contains(&Wanted::Folder(root.join(".husky/_"))));
        assert!(guard.pins.contains(&Pin::frozen(root.join(".husky/_"), RUNS)));
        assert!(guard.pins.contains(&Pin::held(root.join(".husky"), RUNS)));
    }

    #[test]
    fn what_the_persons_own_settings_name_is_guarded_in_each_repository() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir(root.join(".git")).unwrap();
        std::fs::create_dir(root.join("tools")).unwrap();
        std::fs::write(root.join("tools/real"), "").unwrap();
        std::os::unix::fs::symlink("real", root.join("tools/watch")).unwrap();
        let entries = vec![("core.hookspath".to_owned(), ".githooks".to_owned())];
        let global = Global { entries, words: vec!["tools/watch".to_owned()], ..Global::default() };
        let guard = guarded(&root.join(".git"), &root, &global);
        assert!(guard.wanted.contains(&Wanted::Folder(root.join(".githooks"))));
        assert!(guard.pins.contains(&Pin::frozen(root.join("tools/real"), RUNS)));
        assert!(guard.pins.contains(&Pin::held(root.join("tools/watch"), RUNS)), "the link stays, too");
    }

    #[test]
    fn a_program_that_updates_a_submodule_is_found_from_where_it_runs() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for folder in [".git", "tools", "s"] {
            std::fs::create_dir(root.join(folder)).unwrap();
        }
        std::fs::write(root.join("tools/up"), "").unwrap();
        std::fs::write(root.join(".git/config"), "[submodule \"s\"]\nupdate = !sh ../tools/up\n").unwrap();
        let guard = guarded(&root.join(".git"), &root, &Global::default());
        assert!(guard.pins.contains(&Pin::frozen(root.join("tools/up"), RUNS)));
    }
}
