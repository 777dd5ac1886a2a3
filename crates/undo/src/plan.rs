//! What an undo would do, worked out before anything is touched: what is to change, where the user's own changes stand
//! against it, and what cannot be brought back.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::{Path, PathBuf};

use crate::changes::Change;
use crate::entry::{Content, Entry, Why};
use crate::store::Trees;
use crate::tree::{self, Tree, os};
use crate::{Error, SnapshotId, Undo, git};

/// Something that was done between two snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// As it was before.
    pub before: SnapshotId,
    /// As it was right after; what the user changed from then on is the user's.
    pub after: SnapshotId,
}

/// What is to be done.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(crate) now: SnapshotId,
    pub(crate) tree: Tree,
    /// As it was before the first step: for the modes of folders that have to be made.
    first: Tree,
    /// What would be changed if nothing stood in its way.
    wishes: BTreeMap<Vec<u8>, Wish>,
    /// What is changed.
    pub(crate) moves: BTreeMap<Vec<u8>, Wish>,
    disputes: BTreeMap<Vec<u8>, Dispute>,
    blocked: BTreeSet<Vec<u8>>,
    not_kept: Vec<NotKept>,
    head: Option<HeadMoved>,
    /// What stands behind the name of what is put beside.
    suffix: String,
}

/// From what is there to what is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) from: Option<Entry>,
    pub(crate) to: Option<Entry>,
}

#[derive(Debug, Clone)]
struct Dispute {
    wanted: Option<Entry>,
    reason: Reason,
}

/// A path that is left as it is unless someone decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Below the root.
    pub path: PathBuf,
    /// What is there, once later steps are undone as far as they can be.
    pub now: Option<Entry>,
    /// What the undo would make of it.
    pub wanted: Option<Entry>,
    /// What stands against it.
    pub reason: Reason,
}

/// What stands against a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The user changed it since.
    Changed,
    /// Something of the user's is in its place: a file where a folder has to be, or files in a folder that has to go.
    InTheWay,
    /// What is there is not kept, so it could not be brought back.
    NotKept,
    /// What was there is lost.
    Lost,
}

/// What to do about a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The user's stays.
    Keep,
    /// The snapshot's takes its place.
    Take,
    /// The user's stays, and the snapshot's is put beside it as `NAME.snapshot`, or with another suffix.
    Both,
}

/// A path that a step changed and that the undo leaves alone, as it was left out of the snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotKept {
    /// Below the root.
    pub path: PathBuf,
    /// Why it was.
    pub why: Why,
}

/// HEAD moved since the first step. An undo does not move it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadMoved {
    /// Its reference and commit then.
    pub then: String,
    /// Those of now.
    pub now: String,
}

impl Plan {
    pub(crate) fn make(undo: &Undo, steps: &[Step], now: SnapshotId) -> Result<Self, Error> {
        let tree = undo.tree().cloned().unwrap_or_default();
        let mut plan = Self {
            now,
            tree,
            first: Tree::default(),
            wishes: BTreeMap::new(),
            moves: BTreeMap::new(),
            disputes: BTreeMap::new(),
            blocked: BTreeSet::new(),
            not_kept: Vec::new(),
            head: None,
            suffix: "snapshot".to_owned(),
        };
        let mut trees = Trees::of(&undo.store);
        for step in steps.iter().rev() {
            let (before, head) = trees.get(&step.before)?;
            let (after, _) = trees.get(&step.after)?;
            for found in before.differences(&after) {
                plan.go_back(undo, found.path, found.here, found.there);
            }
            plan.first = before;
            plan.head = (head != undo.head()).then(|| HeadMoved { then: head, now: undo.head().to_owned() });
        }
        plan.wishes.retain(|_, wish| wish.from != wish.to);
        plan.drop_lost(undo);
        plan.settle();
        Ok(plan)
    }

    /// One path of one step.
    fn go_back(&mut self, undo: &Undo, path: Vec<u8>, before: Option<Entry>, after: Option<Entry>) {
        if let Some(dispute) = self.disputes.get_mut(&path) {
            // What is wanted is older still.
            if same(undo, &path, dispute.wanted.as_ref(), after.as_ref()) {
                dispute.wanted = before;
            }
            return;
        }
        let there = self.tree.get(&path);
        let now = self.wishes.get(&path).map_or(there, |wish| wish.to.as_ref());
        if let (Some(Entry::LeftOut { why, .. }), _) | (None, Some(Entry::LeftOut { why, .. })) =
            (&before, &after)
        {
            let not_kept = NotKept { path: os(&path).to_owned(), why: *why };
            if !self.not_kept.contains(&not_kept) {
                self.not_kept.push(not_kept);
            }
            return;
        }
        if same(undo, &path, now, before.as_ref()) {
            return;
        }
        let both_folders = [now, before.as_ref()].iter().all(|entry| entry.is_some_and(Entry::is_folder));
        if !same(undo, &path, now, after.as_ref()) {
            // The user's mode of a folder is nothing to ask about.
            if !both_folders {
                self.disputes.insert(path, Dispute { wanted: before, reason: Reason::Changed });
            }
            return;
        }
        if now.is_some_and(|entry| !entry.is_kept()) {
            self.disputes.insert(path, Dispute { wanted: before, reason: Reason::NotKept });
            return;
        }
        let from = there.cloned();
        self.wishes.entry(path).or_insert(Wish { from, to: None }).to = before;
    }

    /// What cannot be had is not begun.
    fn drop_lost(&mut self, undo: &Undo) {
        undo.store.pins.look_again();
        let blobs = undo.blobs();
        let lost: Vec<_> = self
            .wishes
            .iter()
            .filter(|(_, wish)| wish.to.as_ref().is_some_and(|to| !undo.store.has(to, blobs.as_deref())))
            .map(|(path, _)| path.clone())
            .collect();
        for path in lost {
            if let Some(wish) = self.wishes.remove(&path) {
                self.disputes.insert(path, Dispute { wanted: wish.to, reason: Reason::Lost });
            }
        }
        for dispute in self.disputes.values_mut() {
            if dispute.wanted.as_ref().is_some_and(|wanted| !undo.store.has(wanted, blobs.as_deref())) {
                dispute.reason = Reason::Lost;
            }
        }
    }

    /// What of the wishes makes a tree: a name needs a folder above it, and a folder that goes has to be empty.
    fn settle(&mut self) {
        self.moves = self.wishes.clone();
        self.blocked.clear();
        loop {
            let mut again = self.settle_parents();
            again |= self.settle_removals();
            if !again {
                return;
            }
        }
    }

    /// Whether something changed.
    fn settle_parents(&mut self) -> bool {
        let mut changed = false;
        let wanted: Vec<_> =
            self.moves.iter().filter(|(_, wish)| wish.to.is_some()).map(|(path, _)| path.clone()).collect();
        for path in wanted {
            let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
            for folder in ends.filter_map(|end| path.get(..end)) {
                let outcome = self.outcome(folder).map(Entry::is_folder);
                match outcome {
                    Some(true) => continue,
                    Some(false) => {
                        self.moves.remove(&path);
                        self.blocked.insert(path.clone());
                    }
                    None => {
                        let was = self.moves.remove(folder).and_then(|wish| wish.from);
                        // A folder that was to be removed has to stay; anything else gives way to one.
                        if !was.as_ref().is_some_and(Entry::is_folder) {
                            let mode = match self.first.get(folder) {
                                Some(Entry::Folder { mode }) => *mode,
                                _ => 0o755,
                            };
                            let to = Some(Entry::Folder { mode });
                            self.moves.insert(folder.to_vec(), Wish { from: was, to });
                        }
                    }
                }
                changed = true;
                if outcome == Some(false) {
                    break;
                }
            }
        }
        changed
    }

    fn settle_removals(&mut self) -> bool {
        let mut changed = false;
        let is_removal = |wish: &Wish| {
            wish.from.as_ref().is_some_and(Entry::is_folder)
                && !wish.to.as_ref().is_some_and(Entry::is_folder)
        };
        let folders: Vec<_> =
            self.moves.iter().filter(|(_, wish)| is_removal(wish)).map(|(path, _)| path.clone()).collect();
        // Those within come first.
        for folder in folders.into_iter().rev() {
            let stays = |item: &tree::Item| self.outcome(&tree::join(&folder, &item.name)).is_some();
            let is_left =
                self.tree.folders.get(folder.as_slice()).is_some_and(|items| items.iter().any(stays));
            let below = tree::join(&folder, b"");
            let comes = self
                .moves
                .range::<[u8], _>((Bound::Excluded(below.as_slice()), Bound::Unbounded))
                .take_while(|(path, _)| tree::is_below(path, &folder))
                .any(|(_, wish)| wish.to.is_some());
            if !is_left && !comes {
                continue;
            }
            changed = true;
            // A folder that merely stays is nothing to ask about; one that is to become a file is.
            if self.moves.remove(&folder).is_some_and(|wish| wish.to.is_some()) {
                self.blocked.insert(folder);
            }
        }
        changed
    }

    /// What a path would be afterwards.
    fn outcome(&self, path: &[u8]) -> Option<&Entry> {
        match self.moves.get(path) {
            Some(wish) => wish.to.as_ref(),
            None => self.tree.get(path),
        }
    }

    /// What would be changed, by path.
    #[must_use]
    pub fn changes(&self) -> Vec<Change> {
        let change = |(path, wish): (&Vec<u8>, &Wish)| Change {
            path: os(path).to_owned(),
            before: wish.from.clone(),
            after: wish.to.clone(),
        };
        self.moves.iter().map(change).collect()
    }

    /// What is left as it is until someone [decides](Self::decide), by path.
    #[must_use]
    pub fn conflicts(&self) -> Vec<Conflict> {
        let conflict = |path: &[u8], wanted: Option<&Entry>, reason| Conflict {
            path: os(path).to_owned(),
            now: self.reached(path).cloned(),
            wanted: wanted.cloned(),
            reason,
        };
        let disputes = self
            .disputes
            .iter()
            .map(|(path, dispute)| conflict(path, dispute.wanted.as_ref(), dispute.reason));
        let blocked = self.blocked.iter().map(|path| {
            let wanted = self.wishes.get(path).and_then(|wish| wish.to.as_ref());
            conflict(path, wanted, Reason::InTheWay)
        });
        let mut conflicts: Vec<_> = disputes.chain(blocked).collect();
        conflicts.sort_by(|a, b| a.path.cmp(&b.path));
        conflicts
    }

    /// What the steps changed and the undo leaves alone.
    #[must_use]
    pub fn not_kept(&self) -> &[NotKept] {
        &self.not_kept
    }

    /// What the steps that could be undone make of a path.
    fn reached(&self, path: &[u8]) -> Option<&Entry> {
        self.wishes
            .get(path)
            .filter(|_| !self.blocked.contains(path))
            .map_or(self.tree.get(path), |wish| wish.to.as_ref())
    }

    /// Whether HEAD moved since the first step.
    #[must_use]
    pub fn head_moved(&self) -> Option<&HeadMoved> {
        self.head.as_ref()
    }

    /// Whether there is nothing to do and nothing to decide.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.moves.is_empty() && self.disputes.is_empty() && self.blocked.is_empty()
    }

    /// The tree as it is now.
    #[must_use]
    pub fn now(&self) -> SnapshotId {
        self.now
    }

    /// Leaves alone all but these files and folders, given by their paths below the root.
    pub fn limit_to(&mut self, paths: &[PathBuf]) {
        let paths: Vec<&[u8]> = paths.iter().map(|path| path.as_os_str().as_encoded_bytes()).collect();
        let is_meant = |path: &[u8]| paths.iter().any(|meant| path == *meant || tree::is_below(path, meant));
        self.wishes.retain(|path, _| is_meant(path));
        self.disputes.retain(|path, _| is_meant(path));
        self.not_kept.retain(|not_kept| is_meant(not_kept.path.as_os_str().as_encoded_bytes()));
        self.settle();
    }

    /// What is put beside something from now on is named so, instead of `NAME.snapshot`: letters, digits and `-`.
    pub fn name_beside(&mut self, suffix: &str) {
        suffix.clone_into(&mut self.suffix);
    }

    /// Decides a conflict; whether it is one that can be decided so. What is lost cannot be taken, and what is not kept
    /// and is a folder cannot give way.
    pub fn decide(&mut self, path: &Path, choice: Choice) -> bool {
        let name = path.as_os_str().as_encoded_bytes();
        let (wanted, is_blocked) = match (self.disputes.get(name), self.blocked.contains(name)) {
            (Some(dispute), _) => {
                if dispute.reason == Reason::Lost && choice != Choice::Keep {
                    return false;
                }
                (dispute.wanted.clone(), false)
            }
            (None, true) => (self.wishes.get(name).and_then(|wish| wish.to.clone()), true),
            (None, false) => return false,
        };
        let now = self.tree.get(name).cloned();
        match choice {
            Choice::Keep if is_blocked => drop(self.wishes.remove(name)),
            // A later step may have been undone to what the user made of it.
            Choice::Keep => {}
            Choice::Take if is_blocked => {
                if !self.clear_the_way(name) {
                    return false;
                }
            }
            Choice::Take => {
                if matches!(now, Some(Entry::LeftOut { why, .. }) if is_left_out_folder(why)) {
                    return false;
                }
                self.wishes.insert(name.to_vec(), Wish { from: now, to: wanted });
            }
            Choice::Both => {
                if let Some(wanted) = wanted.filter(|wanted| !wanted.is_folder()) {
                    let Some(beside) = self.beside(name) else { return false };
                    self.wishes.insert(beside, Wish { from: None, to: Some(wanted) });
                }
                if is_blocked {
                    self.wishes.remove(name);
                }
            }
        }
        self.disputes.remove(name);
        self.settle();
        true
    }

    /// Removes what is in the way of a path: what is in the folder of its name, or the file that is where a folder has
    /// to be. It is in the snapshot of now, so it can be brought back.
    fn clear_the_way(&mut self, path: &[u8]) -> bool {
        let mut way: Vec<(Vec<u8>, Entry)> = Vec::new();
        for folder in self.tree.folders_below(path).cloned().collect::<Vec<_>>() {
            let items = self.tree.folders.get(&folder).cloned().unwrap_or_default();
            way.extend(items.iter().map(|item| (tree::join(&folder, &item.name), item.entry.clone())));
        }
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        for folder in ends.filter_map(|end| path.get(..end)) {
            match self.outcome(folder) {
                Some(entry) if !entry.is_folder() => way.push((folder.to_vec(), entry.clone())),
                _ => {}
            }
        }
        if way.iter().any(|(_, entry)| !entry.is_kept()) {
            return false;
        }
        for (path, entry) in way {
            self.disputes.remove(&path);
            self.wishes.insert(path, Wish { from: Some(entry), to: None });
        }
        true
    }

    /// A free name beside a path.
    fn beside(&self, path: &[u8]) -> Option<Vec<u8>> {
        let names = (1..1000).map(|n| match n {
            1 => [path, format!(".{}", self.suffix).as_bytes()].concat(),
            n => [path, format!(".{}-{n}", self.suffix).as_bytes()].concat(),
        });
        let (folder, _) = tree::split(path);
        let is_folder = folder.is_empty() || self.outcome(folder).is_some_and(Entry::is_folder);
        names
            .filter(|_| is_folder)
            .find(|name| self.outcome(name).is_none() && !self.wishes.contains_key(name))
    }
}

fn is_left_out_folder(why: Why) -> bool {
    matches!(why, Why::IgnoredFolder | Why::Generated | Why::Mount | Why::Store | Why::Special)
}

/// Whether two entries are the same, also when their content goes by different names.
pub(crate) fn same(undo: &Undo, path: &[u8], a: Option<&Entry>, b: Option<&Entry>) -> bool {
    match (a, b) {
        (
            Some(Entry::File { mode: mode_a, size: size_a, content: a }),
            Some(Entry::File { mode: mode_b, size: size_b, content: b }),
        ) => mode_a == mode_b && size_a == size_b && same_content(undo, path, *size_a, a, b),
        (a, b) => a == b,
    }
}

fn same_content(undo: &Undo, path: &[u8], size: u64, a: &Content, b: &Content) -> bool {
    if a == b {
        return true;
    }
    let kind = |content: &Content| git::blob(content).map(|(format, _)| format);
    if kind(a) == kind(b) {
        return false;
    }
    // The one that is no blob is the one to read: it is in the store.
    let (read, other) = if kind(a).is_none() { (a, b) } else { (b, a) };
    let Some((format, _)) = git::blob(other) else { return false };
    let content = undo.store.content(path, read, size, undo.blobs().as_deref());
    content.is_ok_and(|mut content| format.name(size, &mut content).is_ok_and(|name| name == *other))
}
