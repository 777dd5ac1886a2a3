//! A tree and a store in a folder of their own, and the tree as plain data.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use codetether_files::Durability;
use codetether_undo::{Options, Step, Undo};
use tempfile::TempDir;

/// What is there, down to the last byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    Folder { mode: u32 },
    File { mode: u32, bytes: Vec<u8> },
    Link { target: Vec<u8> },
}

pub(crate) type Nodes = BTreeMap<PathBuf, Node>;

pub(crate) struct World {
    pub(crate) dir: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let world = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir(world.root()).unwrap();
        world
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("tree")
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    pub(crate) fn options(&self, session: &str) -> Options {
        Options { durability: Durability::Cached, ..Options::new(self.store(), self.root(), session) }
    }

    pub(crate) fn open(&self, session: &str) -> Undo {
        Undo::open(&self.options(session)).unwrap()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn text(&self, path: &str) -> String {
        std::fs::read_to_string(self.root().join(path)).unwrap()
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        self.root().join(path).symlink_metadata().is_ok()
    }

    pub(crate) fn nodes(&self) -> Nodes {
        nodes(&self.root())
    }

    /// Runs the user's git, with nobody's settings.
    pub(crate) fn git(&self, arguments: &[&str]) {
        let out = Command::new("git")
            .args(["-c", "user.name=n", "-c", "user.email=e", "-c", "gc.auto=0"])
            .args(arguments)
            .current_dir(self.root())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .unwrap();
        assert!(out.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    }

    /// A repository of all that is there.
    pub(crate) fn commit(&self) {
        self.git(&["init", "-q"]);
        self.git(&["add", "-A"]);
        self.git(&["commit", "-qm", "all", "--allow-empty"]);
    }
}

/// Does something between two snapshots.
pub(crate) fn step(undo: &mut Undo, act: impl FnOnce()) -> Step {
    let before = undo.snapshot().unwrap();
    act();
    Step { before, after: undo.snapshot().unwrap() }
}

/// Undoes steps that have no conflicts.
pub(crate) fn undo_all(undo: &mut Undo, steps: &[Step]) -> Step {
    let plan = undo.plan(steps).unwrap();
    assert_eq!(plan.conflicts(), []);
    let restored = undo.restore(plan).unwrap();
    assert_eq!(restored.left, Vec::<PathBuf>::new());
    restored.step()
}

pub(crate) fn nodes(root: &Path) -> Nodes {
    let mut nodes = Nodes::new();
    walk(root, root, &mut nodes);
    nodes
}

fn walk(root: &Path, dir: &Path, nodes: &mut Nodes) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap() == ".git" {
            continue;
        }
        let metadata = path.symlink_metadata().unwrap();
        let mode = metadata.permissions().mode() & 0o7777;
        let node = if metadata.is_dir() {
            walk(root, &path, nodes);
            Node::Folder { mode }
        } else if metadata.is_symlink() {
            Node::Link { target: std::fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec() }
        } else {
            Node::File { mode, bytes: std::fs::read(&path).unwrap() }
        };
        nodes.insert(path.strip_prefix(root).unwrap().to_owned(), node);
    }
}
