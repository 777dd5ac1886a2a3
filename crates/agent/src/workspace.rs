//! The session's working tree: remembered before and after each call that could change it, and put back. Works beside the
//! loop, which waits for none of it but through facts.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use codetether_event::{Brought, OnConflict, SnapshotId};
use codetether_session::Pair;
use codetether_undo::{Budget, Choice, Lease, Options, Plan, Step, Store, Undo};

/// Where the files of working trees are remembered.
#[derive(Debug, Clone)]
pub struct Memory {
    /// The store; one for all trees of a user.
    pub store: PathBuf,
    /// Where it is written down who works in a tree.
    pub leases: PathBuf,
    /// Most bytes of it that are kept for sessions that are not open.
    pub max_bytes: u64,
    /// Files of patterns that git ignores in every tree of the user.
    pub excludes: Vec<PathBuf>,
}

/// A working tree, opened when it is first looked at.
#[derive(Clone)]
pub(crate) struct Workspace(Arc<Mutex<Tree>>);

struct Tree {
    memory: Memory,
    root: PathBuf,
    session: String,
    undo: Option<Undo>,
    lease: Option<Lease>,
    /// That somebody else works in the tree, until it was told.
    shared: Option<String>,
}

/// A snapshot, and what the user should know.
pub(crate) struct Taken {
    pub(crate) id: SnapshotId,
    pub(crate) note: Option<String>,
}

/// What was put back.
pub(crate) struct PutBack {
    pub(crate) after: SnapshotId,
    pub(crate) changed: Vec<String>,
    pub(crate) kept: Vec<String>,
}

/// What a child made, brought in.
pub(crate) struct BroughtIn {
    pub(crate) changed: Vec<String>,
    /// What someone changed meanwhile, which stays, and where the child's is; nowhere where the child removed it.
    pub(crate) conflicts: Vec<(String, Option<String>)>,
    /// What could not be changed.
    pub(crate) left: Vec<String>,
}

/// Files that the model is told the names of.
const NAMED: usize = 50;

impl BroughtIn {
    /// What the model is told.
    pub(crate) fn told(&self) -> String {
        let named = |paths: &[String]| {
            let more = paths.len().saturating_sub(NAMED);
            let names = paths.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
            if more == 0 { names } else { format!("{names} and {more} more") }
        };
        let mut lines = Vec::new();
        if !self.changed.is_empty() {
            lines.push(format!("[brought into this folder: {}]", named(&self.changed)));
        }
        for (path, beside) in self.conflicts.iter().take(NAMED) {
            lines.push(match beside {
                Some(beside) => format!(
                    "[`{path}` was changed here meanwhile and stays as it is; the child's is `{beside}`: join them]"
                ),
                None => format!("[`{path}` was changed here meanwhile and stays; the child removed it]"),
            });
        }
        if !self.left.is_empty() {
            lines.push(format!(
                "[could not be changed, and is kept in the child's worktree: {}]",
                named(&self.left)
            ));
        }
        if lines.is_empty() {
            lines.push("[what it changed is here already]".to_owned());
        }
        lines.join("\n")
    }
}

impl Workspace {
    pub(crate) fn new(memory: Memory, root: PathBuf, session: String) -> Self {
        let tree = Tree { memory, root, session, undo: None, lease: None, shared: None };
        Self(Arc::new(Mutex::new(tree)))
    }

    /// Has a first look, so that the first call that writes need not wait for it, and tidies up. What goes wrong is told
    /// with that call.
    pub(crate) fn warm(&self) {
        let tree = self.clone();
        drop(tokio::task::spawn_blocking(move || {
            let taken = tree.with(|undo| undo.snapshot().map(drop));
            let Memory { store, max_bytes, .. } = tree.tree().memory.clone();
            taken.and_then(|()| {
                let store = Store::open(store).map_err(|error| error.to_string())?;
                store.collect(Budget { bytes: max_bytes }).map_err(|error| error.to_string())
            })
        }));
    }

    /// Remembers the files as they are.
    ///
    /// # Errors
    /// What stands in the way, in words.
    pub(crate) async fn snapshot(&self) -> Result<Taken, String> {
        let tree = self.clone();
        let taken = tokio::task::spawn_blocking(move || tree.snapshot_now());
        taken.await.map_err(|error| error.to_string())?
    }

    /// The same, on this thread.
    ///
    /// # Errors
    /// What stands in the way, in words.
    pub(crate) fn snapshot_now(&self) -> Result<Taken, String> {
        let id = self.with(Undo::snapshot)?;
        let note = self.tree().shared.take();
        Ok(Taken { id: SnapshotId::new(id.to_string()), note })
    }

    /// Puts back what changed in these pairs, the earliest first; does the rest of what was interrupted before.
    ///
    /// # Errors
    /// What stands in the way, in words.
    pub(crate) async fn restore(
        &self,
        pairs: Vec<Pair>,
        files: Vec<String>,
        conflicts: OnConflict,
    ) -> Result<PutBack, String> {
        let tree = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            tree.with(|undo| {
                undo.finish()?;
                put_back(undo, &pairs, &files, conflicts)
            })
        });
        done.await.map_err(|error| error.to_string())?
    }

    /// Brings in what a child changed in a copy of the files as they were; what was changed here meanwhile stays, and the
    /// child's is put beside it.
    ///
    /// # Errors
    /// What stands in the way, in words.
    pub(crate) async fn bring(&self, brought: Brought) -> Result<BroughtIn, String> {
        let tree = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            tree.with(|undo| {
                undo.finish()?;
                bring(undo, &brought)
            })
        });
        done.await.map_err(|error| error.to_string())?
    }

    /// Lets go of the files, and keeps what was learnt of them for the next session; unless a look at them is still under
    /// way: nobody waits for that.
    pub(crate) fn close(&self) {
        if let Ok(mut tree) = self.0.try_lock()
            && let Some(undo) = tree.undo.take()
        {
            // It saves time, and nothing else.
            let _ = undo.close();
        }
    }

    fn tree(&self) -> std::sync::MutexGuard<'_, Tree> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&mut Undo) -> Result<T, codetether_undo::Error>,
    ) -> Result<T, String> {
        let mut tree = self.tree();
        tree.open().and_then(work).map_err(|error| error.to_string())
    }
}

impl Tree {
    fn open(&mut self) -> Result<&mut Undo, codetether_undo::Error> {
        let undo = match self.undo.take() {
            Some(undo) => undo,
            None => {
                let mut options = Options::new(&self.memory.store, &self.root, &self.session);
                options.excludes.clone_from(&self.memory.excludes);
                let undo = Undo::open(&options)?;
                let owner = format!("session {} of process {}", self.session, std::process::id());
                match Lease::acquire(&self.memory.leases, &self.root, &owner) {
                    Ok(lease) => self.lease = Some(lease),
                    Err(error) => {
                        self.shared = Some(format!(
                            "someone else works in this folder, and what both change cannot be told apart: {error}"
                        ));
                    }
                }
                undo
            }
        };
        Ok(self.undo.insert(undo))
    }
}

/// Undoes the steps; files that the user has changed since are dealt with as was asked.
fn put_back(
    undo: &mut Undo,
    pairs: &[Pair],
    files: &[String],
    conflicts: OnConflict,
) -> Result<PutBack, codetether_undo::Error> {
    let mut plan = plan(undo, pairs, files)?;
    let choice = match conflicts {
        OnConflict::Keep => Choice::Keep,
        OnConflict::Overwrite => Choice::Take,
        OnConflict::Both => Choice::Both,
    };
    for conflict in plan.conflicts() {
        // What cannot be decided so stays as it is, and is told.
        plan.decide(&conflict.path, choice);
    }
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let planned = plan.changes();
    let mut kept: Vec<String> = plan.conflicts().iter().map(|conflict| path(&conflict.path)).collect();
    let restored = undo.restore(plan)?;
    let changed = planned.iter().filter(|change| !restored.left.contains(&change.path));
    let changed = changed.map(|change| path(&change.path)).collect();
    kept.extend(restored.left.iter().map(|left| path(left)));
    Ok(PutBack { after: SnapshotId::new(restored.after.to_string()), changed, kept })
}

/// Takes the step from the child's files after to those before, which is undone: so each file becomes the child's as long
/// as it is here as the child found it.
fn bring(undo: &mut Undo, brought: &Brought) -> Result<BroughtIn, codetether_undo::Error> {
    let id = |id: &SnapshotId| codetether_undo::SnapshotId::parse(id.as_str());
    let step = Step { before: id(&brought.after)?, after: id(&brought.before)? };
    let mut plan = undo.plan(&[step])?;
    // Nothing but what was judged.
    plan.limit_to(&brought.paths.iter().map(PathBuf::from).collect::<Vec<_>>());
    let session = brought.session.to_string();
    plan.name_beside(&format!("child-{}", session.get(session.len() - 4..).unwrap_or_default()));
    let name = |path: &Path| path.to_string_lossy().into_owned();
    let (mut conflicts, mut left) = (Vec::new(), Vec::new());
    for conflict in plan.conflicts() {
        let before: Vec<PathBuf> = plan.changes().into_iter().map(|change| change.path).collect();
        if !plan.decide(&conflict.path, Choice::Both) {
            left.push(name(&conflict.path));
            continue;
        }
        let beside = plan.changes().into_iter().map(|change| change.path).find(|path| !before.contains(path));
        conflicts.push((name(&conflict.path), beside.as_deref().map(name)));
    }
    let planned = plan.changes();
    let restored = undo.restore(plan)?;
    let changed = planned.iter().filter(|change| !restored.left.contains(&change.path));
    let changed = changed.map(|change| name(&change.path)).collect();
    left.extend(restored.left.iter().map(|path| name(path)));
    Ok(BroughtIn { changed, conflicts, left })
}

/// What undoing changes would do, the earliest first, in all files or in these.
///
/// # Errors
/// When a snapshot is gone, or the tree cannot be read.
pub fn plan(undo: &mut Undo, pairs: &[Pair], files: &[String]) -> Result<Plan, codetether_undo::Error> {
    let mut steps = Vec::with_capacity(pairs.len());
    for (before, after) in pairs {
        let after = match after {
            Some(after) => codetether_undo::SnapshotId::parse(after.as_str())?,
            None => undo.snapshot()?,
        };
        steps.push(Step { before: codetether_undo::SnapshotId::parse(before.as_str())?, after });
    }
    let mut plan = undo.plan(&steps)?;
    if !files.is_empty() {
        let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
        plan.limit_to(&files);
    }
    Ok(plan)
}
