//! A child's own copy of the folder: what the parent's snapshot holds, written by `undo` into a new folder of the user's data.
//! No `git` is run, and nothing of the user's repository is written: where the folder is the top of one, the copy gets a
//! repository of its own with the same HEAD and index, which borrows the objects of the first. What a child changed is the
//! difference between two snapshots of it. Removed only when it holds nothing that is not elsewhere.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use codetether_event::SessionId;
use codetether_files::{self as files, Lock, WriteOptions};
use codetether_undo::{Options, SnapshotId, Step, Undo, Why};

use crate::workspace::Memory;

/// Most bytes of an index that is taken over.
const INDEX_MAX: u64 = 64 << 20;
/// Largest file that is not in the store and is copied.
const LOST_MAX: u64 = 1 << 30;
/// More of a small file of a repository is not read.
const SMALL_MAX: u64 = 1 << 20;
/// Packed references are more.
const REFS_MAX: u64 = 64 << 20;
/// Left-overs that are looked at in one go.
const LEFT_OVERS: usize = 64;

/// A child's copy of the folder, locked as long as this lives.
pub(crate) struct Worktree {
    place: Place,
    undo: Undo,
    before: SnapshotId,
    /// HEAD of its own repository, where it has one.
    head: Option<String>,
    /// The objects that it borrows.
    pub(crate) objects: Option<PathBuf>,
}

/// Where it is, and the right to it.
struct Place {
    dir: PathBuf,
    tree: PathBuf,
    _lock: Lock,
}

/// What a child left.
pub(crate) struct Left {
    pub(crate) before: SnapshotId,
    pub(crate) after: SnapshotId,
    /// The files that differ, relative to the root.
    pub(crate) paths: Vec<String>,
    /// What is only there and cannot be brought back, in words.
    pub(crate) only_there: Vec<String>,
}

impl Worktree {
    /// Makes the copy of what a snapshot of `root` holds. Blocks.
    ///
    /// # Errors
    /// What stands in the way, in words.
    pub(crate) fn make(
        memory: &Memory,
        dir: &Path,
        session: SessionId,
        root: &Path,
        snapshot: &SnapshotId,
    ) -> Result<Self, String> {
        files::create_dir_private(dir).map_err(said)?;
        let lock = Lock::acquire(dir.join("lock"), "a child's worktree").map_err(said)?;
        let tree = dir.join(root.file_name().unwrap_or("tree".as_ref()));
        files::create_dir_private(&tree).map_err(said)?;
        let place = Place { dir: dir.to_owned(), tree, _lock: lock };
        let mut undo = open(memory, &place.tree, session).map_err(said)?;
        let empty = undo.snapshot().map_err(said)?;
        let plan = undo.plan(&[Step { before: *snapshot, after: empty }]).map_err(said)?;
        // Contents that the store refers to and cannot read by itself are still in the folder.
        let lost: Vec<PathBuf> = plan.conflicts().into_iter().map(|conflict| conflict.path).collect();
        undo.restore(plan).map_err(said)?;
        copy(root, &place.tree, &lost)?;
        let borrowed = repository(root, &place.tree);
        let before = undo.snapshot_by_scan().map_err(said)?;
        let (head, objects) = borrowed.unzip();
        let worktree = Self { place, undo, before, head, objects };
        worktree.place.remember(&before)?;
        Ok(worktree)
    }

    /// The folder that the child works in.
    pub(crate) fn root(&self) -> &Path {
        &self.place.tree
    }

    /// What the child made of it. Blocks.
    ///
    /// # Errors
    /// What stands in the way, in words.
    pub(crate) fn left(&mut self) -> Result<Left, String> {
        let (after, differing) = differing(&mut self.undo, &self.before).map_err(said)?;
        let mut only_there = only_there(&self.undo);
        let mut paths = Vec::with_capacity(differing.len());
        for path in differing {
            match path.into_os_string().into_string() {
                Ok(path) => paths.push(path),
                Err(path) => only_there.push(format!("`{}` (its name is no text)", path.to_string_lossy())),
            }
        }
        if commits(&self.place.tree, self.head.as_deref()) {
            only_there.push("commits that the child made".into());
        }
        Ok(Left { before: self.before, after, paths, only_there })
    }

    /// Removes it, where it holds nothing but what it began with. Blocks.
    pub(crate) fn discard(self) {
        let Self { place, mut undo, before, head, .. } = self;
        if holds_no_more(&mut undo, &place.tree, &before, head.as_deref()) {
            place.remove(undo);
        }
    }
}

impl Place {
    /// What a left-over is compared with.
    fn remember(&self, known: &SnapshotId) -> Result<(), String> {
        files::write_atomic(self.dir.join("known"), known.to_string().as_bytes(), &private()).map_err(said)
    }

    /// What is not removed now is a left-over.
    fn remove(self, undo: Undo) {
        drop(undo);
        let _ = files::remove_dir_all(&self.dir);
    }
}

/// A worktree whose changes were brought into the folder is no longer needed, unless it holds more than these. Blocks.
pub(crate) fn brought(memory: &Memory, dir: &Path, session: SessionId, after: &SnapshotId) {
    let Some(place) = place(dir) else { return };
    let _ = place.remember(after);
    look_at(memory, place, session, after);
}

/// Removes worktrees that nobody works in and that hold nothing new. Blocks.
pub(crate) fn collect(memory: &Memory, worktrees: &Path) {
    let Ok(folder) = files::Folder::open(worktrees) else { return };
    let mut names = folder.names().unwrap_or_default();
    // The latest first: those that stay were looked at when they were.
    names.sort_by(|a, b| b.cmp(a));
    for name in names.into_iter().take(LEFT_OVERS) {
        let dir = worktrees.join(&name);
        let Some(session) = name.to_str().and_then(|name| name.parse::<SessionId>().ok()) else { continue };
        if !dir.join("lock").exists() {
            continue;
        }
        let Some(place) = place(&dir) else { continue };
        match small(&dir.join("known"), SMALL_MAX) {
            Some(known) => {
                if let Ok(known) = SnapshotId::parse(known.trim()) {
                    look_at(memory, place, session, &known);
                }
            }
            // It was never whole, so that no child has worked in it.
            None => drop(files::remove_dir_all(&dir)),
        }
    }
}

/// Removes a worktree where it holds no more than a snapshot.
fn look_at(memory: &Memory, place: Place, session: SessionId, known: &SnapshotId) {
    let head = small(&place.dir.join("head"), SMALL_MAX);
    if let Ok(mut undo) = open(memory, &place.tree, session)
        && holds_no_more(&mut undo, &place.tree, known, head.as_deref())
    {
        place.remove(undo);
    }
}

/// An old worktree, where nobody else has it.
fn place(dir: &Path) -> Option<Place> {
    let lock = Lock::acquire(dir.join("lock"), "a child's worktree").ok()?;
    let folder = files::Folder::open(dir).ok()?;
    let is_tree = |name: &std::ffi::OsString| {
        folder.look(name).ok().flatten().is_some_and(|seen| matches!(seen.kind, files::SeenKind::Folder))
    };
    let tree = folder.names().ok()?.into_iter().find(is_tree)?;
    Some(Place { dir: dir.to_owned(), tree: dir.join(tree), _lock: lock })
}

fn open(memory: &Memory, tree: &Path, session: SessionId) -> Result<Undo, codetether_undo::Error> {
    let mut options = Options::new(&memory.store, tree, format!("{session}-tree"));
    options.excludes.clone_from(&memory.excludes);
    options.durability = files::Durability::Cached;
    Undo::open(&options)
}

/// The files as they are, and which of them differ from a snapshot, however their contents are named in it.
fn differing(
    undo: &mut Undo,
    known: &SnapshotId,
) -> Result<(SnapshotId, Vec<PathBuf>), codetether_undo::Error> {
    let after = undo.snapshot_by_scan()?;
    let plan = undo.plan(&[Step { before: *known, after }])?;
    let changes = plan.changes().into_iter().map(|change| change.path);
    let mut paths: Vec<PathBuf> =
        changes.chain(plan.conflicts().into_iter().map(|conflict| conflict.path)).collect();
    paths.sort();
    Ok((after, paths))
}

/// Whether all that a worktree holds is in this snapshot.
fn holds_no_more(undo: &mut Undo, tree: &Path, known: &SnapshotId, head: Option<&str>) -> bool {
    differing(undo, known).is_ok_and(|(_, paths)| paths.is_empty())
        && only_there(undo).is_empty()
        && !commits(tree, head)
}

/// What a snapshot does not hold and no tool makes anew.
fn only_there(undo: &Undo) -> Vec<String> {
    let left_out = undo.left_out().into_iter();
    let counts = |why| match why {
        Why::IgnoredFolder | Why::Generated | Why::Special | Why::Store => false,
        Why::IgnoredFile | Why::TooLarge | Why::Unreadable | Why::Mount => true,
    };
    let kept = left_out.filter(|(_, why)| counts(*why));
    kept.map(|(path, why)| format!("`{}` ({why})", path.display())).collect()
}

/// Copies files of the folder that are not in the store. Neither reading nor writing follows a link out of its folder.
fn copy(root: &Path, tree: &Path, paths: &[PathBuf]) -> Result<(), String> {
    if paths.is_empty() {
        return Ok(());
    }
    let (from, to) = (files::Root::open(root).map_err(said)?, files::Root::open(tree).map_err(said)?);
    for path in paths {
        let name = path.to_str().ok_or_else(|| format!("the name of `{}` is no text", path.display()))?;
        let mode = from.metadata(name).map_err(said)?.permissions().mode() & 0o777;
        let bytes = from.read(name, LOST_MAX).map_err(said)?;
        to.write_as(name, &bytes, files::Permissions::Exactly(mode)).map_err(said)?;
    }
    Ok(())
}

/// Gives the copy a repository of its own with the HEAD and the index of the one that the folder is the top of; gives its
/// HEAD and the objects that it borrows. Nothing where there is none, or one of a kind that this does not know.
fn repository(root: &Path, tree: &Path) -> Option<(String, PathBuf)> {
    let from = root.join(".git");
    // What a link leads to is not the repository's: a child must not come to read it for that.
    let is_own = |path: &Path| path.symlink_metadata().is_ok_and(|meta| meta.is_dir());
    if !is_own(&from) || !is_own(&from.join("objects")) || from.join("info").is_symlink() {
        return None;
    }
    let objects = from.join("objects").canonicalize().ok()?;
    let name = objects.to_str().filter(|name| !name.contains('\n') && !name.starts_with(['"', '#']))?;
    let config = small(&from.join("config"), SMALL_MAX)?;
    // Another form of objects, references or index than the usual one.
    if config.to_lowercase().contains("extensions") {
        return None;
    }
    let head = commit(&from)?;
    let to = tree.join(".git");
    for folder in ["objects/info", "refs/heads", "refs/tags", "info", "hooks"] {
        files::create_dir_private(to.join(folder)).ok()?;
    }
    let write = |path: &str, bytes: &[u8]| files::write_atomic(to.join(path), bytes, &private()).ok();
    write("objects/info/alternates", format!("{name}\n").as_bytes())?;
    write("config", b"[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n")?;
    for file in ["index", "shallow", "info/exclude"] {
        if let Some(bytes) = bytes(&from.join(file), INDEX_MAX) {
            write(file, &bytes)?;
        }
    }
    let head = format!("{head}\n");
    write("HEAD", head.as_bytes())?;
    files::write_atomic(tree.parent()?.join("head"), head.as_bytes(), &private()).ok()?;
    Some((head, objects))
}

/// The commit that HEAD names.
fn commit(git: &Path) -> Option<String> {
    let head = small(&git.join("HEAD"), SMALL_MAX)?;
    let id = match head.trim_end().strip_prefix("ref: ") {
        None => head.trim_end().to_owned(),
        Some(name) if name.split('/').any(|part| matches!(part, "" | "." | "..")) => return None,
        Some(name) => match small(&git.join(name), SMALL_MAX) {
            Some(id) => id.trim_end().to_owned(),
            None => {
                let packed = small(&git.join("packed-refs"), REFS_MAX)?;
                let mut lines = packed.lines().filter_map(|line| line.split_once(' '));
                lines.find_map(|(id, at)| (at == name).then(|| id.to_owned()))?
            }
        },
    };
    (id.len() == 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

/// Whether a child made commits in its repository, or something else that only it has.
fn commits(tree: &Path, head: Option<&str>) -> bool {
    let git = tree.join(".git");
    let Some(head) = head else { return git.symlink_metadata().is_ok() };
    let refs = ["refs/heads", "refs/tags"].map(|refs| {
        files::Folder::open(git.join(refs)).and_then(|refs| refs.names()).map_or(1, |names| names.len())
    });
    small(&git.join("HEAD"), SMALL_MAX).as_deref() != Some(head)
        || refs != [0, 0]
        || ["refs/stash", "packed-refs"].iter().any(|name| git.join(name).symlink_metadata().is_ok())
}

fn bytes(path: &Path, most: u64) -> Option<Vec<u8>> {
    let (folder, name) = path.parent().zip(path.file_name())?;
    let file = files::Folder::open(folder).ok()?.open_file(name).ok()?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= most).then_some(bytes)
}

fn small(path: &Path, most: u64) -> Option<String> {
    String::from_utf8(bytes(path, most)?).ok()
}

fn private() -> WriteOptions {
    WriteOptions { mode: Some(0o600), ..WriteOptions::default() }
}

fn said(error: impl std::fmt::Display) -> String {
    format!("the child's worktree: {error}")
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "what others do to files")]
mod tests {
    use uuid::Uuid;

    use super::*;

    struct Bench {
        dir: tempfile::TempDir,
        memory: Memory,
        parent: Undo,
    }

    impl Bench {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let root = dir.path().join("project");
            std::fs::create_dir_all(root.join("folder")).unwrap();
            std::fs::write(root.join("folder/a.txt"), "a\n").unwrap();
            let memory = Memory {
                store: dir.path().join("data/undo"),
                leases: dir.path().join("data"),
                max_bytes: u64::MAX,
                excludes: Vec::new(),
            };
            let parent = Undo::open(&Options::new(&memory.store, &root, "parent")).unwrap();
            Self { dir, memory, parent }
        }

        fn root(&self) -> PathBuf {
            self.dir.path().join("project")
        }

        fn worktrees(&self) -> PathBuf {
            self.dir.path().join("data/worktrees")
        }

        fn make(&mut self, n: u128) -> (SessionId, PathBuf, Worktree) {
            let session = SessionId(Uuid::from_u128(n));
            let dir = self.worktrees().join(session.to_string());
            let snapshot = self.parent.snapshot().unwrap();
            let made = Worktree::make(&self.memory, &dir, session, &self.root(), &snapshot).unwrap();
            (session, dir, made)
        }
    }

    #[test]
    fn what_links_in_a_repository_lead_to_is_not_lent_to_a_child() {
        for linked in [".git", ".git/objects", ".git/info"] {
            let mut bench = Bench::new();
            let git = bench.root().join(".git");
            for folder in ["objects", "info", "refs/heads"] {
                std::fs::create_dir_all(git.join(folder)).unwrap();
            }
            std::fs::write(git.join("config"), "[core]\n").unwrap();
            std::fs::write(git.join("HEAD"), format!("{}\n", "a".repeat(40))).unwrap();
            let (_, _, whole) = bench.make(1);
            assert!(whole.objects.is_some());
            let secret = bench.dir.path().join("secret");
            std::fs::rename(bench.root().join(linked), &secret).unwrap();
            std::os::unix::fs::symlink(&secret, bench.root().join(linked)).unwrap();
            let (_, _, made) = bench.make(2);
            assert_eq!((&made.objects, &made.head), (&None, &None), "{linked}");
        }
    }

    #[test]
    fn a_copy_is_what_the_folder_is_and_goes_when_nothing_was_changed() {
        let mut bench = Bench::new();
        let (_, dir, mut made) = bench.make(1);
        assert_eq!(std::fs::read_to_string(made.root().join("folder/a.txt")).unwrap(), "a\n");
        assert_eq!(made.left().unwrap().paths, [""; 0]);
        made.discard();
        assert!(!dir.exists());
    }

    #[test]
    fn what_was_changed_is_told_and_the_copy_stays_until_it_was_brought_in() {
        let mut bench = Bench::new();
        let (session, dir, mut made) = bench.make(1);
        std::fs::write(made.root().join("folder/a.txt"), "b\n").unwrap();
        std::fs::write(made.root().join("new.txt"), "new\n").unwrap();
        let left = made.left().unwrap();
        assert_eq!(left.paths, ["folder/a.txt", "new.txt"]);
        made.discard();
        collect(&bench.memory, &bench.worktrees());
        assert!(dir.exists(), "what only it holds is not thrown away");
        brought(&bench.memory, &dir, session, &left.after);
        assert!(!dir.exists());
    }

    #[test]
    fn what_is_locked_or_holds_more_is_not_collected() {
        let mut bench = Bench::new();
        let (_, locked, _held) = bench.make(1);
        let (_, changed, made) = bench.make(2);
        std::fs::write(made.root().join("more.txt"), "x").unwrap();
        drop(made);
        let (_, same, made) = bench.make(3);
        drop(made);
        collect(&bench.memory, &bench.worktrees());
        assert_eq!([locked.exists(), changed.exists(), same.exists()], [true, true, false]);
    }

    #[test]
    fn a_repository_is_borrowed_and_commits_are_noticed() {
        let mut bench = Bench::new();
        let root = bench.root();
        let git = |folder: &Path, args: &[&str]| {
            let mut git = std::process::Command::new("git");
            git.args(["-c", "user.name=a", "-c", "user.email=a@example.org"]).args(args).current_dir(folder);
            let out = git.env("HOME", bench.dir.path()).env("GIT_CONFIG_NOSYSTEM", "1").output().unwrap();
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            String::from_utf8(out.stdout).unwrap()
        };
        git(&root, &["init", "-q"]);
        git(&root, &["add", "."]);
        git(&root, &["commit", "-q", "-m", "one"]);
        bench.parent.snapshot().unwrap();
        let session = SessionId(Uuid::from_u128(1));
        let dir = bench.worktrees().join(session.to_string());
        let snapshot = bench.parent.snapshot().unwrap();
        let mut made = Worktree::make(&bench.memory, &dir, session, &root, &snapshot).unwrap();
        assert_eq!(git(made.root(), &["status", "--short"]), "");
        std::fs::write(made.root().join("folder/a.txt"), "b\n").unwrap();
        git(made.root(), &["commit", "-q", "-a", "-m", "two"]);
        let left = made.left().unwrap();
        assert_eq!(
            (left.paths, left.only_there),
            (vec!["folder/a.txt".into()], vec!["commits that the child made".to_owned()])
        );
        assert_eq!(git(&root, &["log", "--oneline"]).lines().count(), 1);
        assert_eq!(git(&root, &["status", "--short"]), "");
        drop(made);
        brought(&bench.memory, &dir, session, &left.after);
        assert!(dir.exists(), "its commits are nowhere else");
    }
}
