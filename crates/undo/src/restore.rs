//! Doing what a plan says, so that it can be finished after a kill: the plan is written down first, every change is one
//! rename or removal, and one that was made is recognised by what is there.

use std::io::ErrorKind;
use std::path::PathBuf;

use codetether_files::{self as files, Folder, SeenKind};

use crate::entry::Entry;
use crate::id::Hash;
use crate::manifest::{self, Reader};
use crate::plan::{Plan, Step, Wish};
use crate::store::write_private;
use crate::tree::{self, os};
use crate::{Error, SnapshotId, Undo, scan};

const MAGIC: &[u8] = b"codetether restoring 1\n";

/// What an undo came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The tree before it.
    pub before: SnapshotId,
    /// The tree after it.
    pub after: SnapshotId,
    /// Paths that were to change and did not, as they were changed after the plan was made.
    pub left: Vec<PathBuf>,
}

impl Restored {
    /// To undo the undo.
    #[must_use]
    pub fn step(&self) -> Step {
        Step { before: self.before, after: self.after }
    }
}

/// What is being done, as it is written down.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Intent {
    pub(crate) now: SnapshotId,
    /// By path.
    pub(crate) moves: Vec<(Vec<u8>, Wish)>,
    /// Folders that have to be opened up for it, and the mode that they get at the end.
    locked: Vec<(Vec<u8>, u16)>,
}

pub(crate) fn begin(undo: &mut Undo, plan: Plan) -> Result<Restored, Error> {
    let _guard = undo.store.share()?;
    let path = intent_path(undo);
    if files::open_read(&path).is_ok() {
        return Err(Error::Unfinished { root: undo.path.clone() });
    }
    let intent = Intent::of(plan);
    write_private(&path, &intent.encode(), undo.durability)?;
    intent.execute(undo, Run::First)
}

pub(crate) fn is_unfinished(undo: &Undo) -> Result<bool, Error> {
    match files::open_read(intent_path(undo)) {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

pub(crate) fn finish(undo: &mut Undo) -> Result<Option<Restored>, Error> {
    let _guard = undo.store.share()?;
    let Some(intent) = read(undo)? else { return Ok(None) };
    undo.look_at_repository();
    intent.execute(undo, Run::Again).map(Some)
}

pub(crate) fn abandon(undo: &mut Undo) -> Result<Option<Restored>, Error> {
    let _guard = undo.store.share()?;
    let Some(intent) = read(undo)? else { return Ok(None) };
    let mut left = Vec::new();
    for (path, wish) in &intent.moves {
        let is_done = match (&wish.to, parent(undo, path)?) {
            (Some(to), Some((folder, name))) => is_now(&folder, name, to),
            (None, Some((folder, name))) => folder.look(os(name))?.is_none(),
            (to, None) => to.is_none(),
        };
        if !is_done {
            left.push(os(path).to_owned());
        }
    }
    intent.remove_unfinished(undo)?;
    intent.set_modes(undo)?;
    intent.close(undo, left).map(Some)
}

/// What was being done, if it was interrupted.
fn read(undo: &Undo) -> Result<Option<Intent>, Error> {
    let path = intent_path(undo);
    let text = match files::read(&path) {
        Err(error) if error.is_not_found() => return Ok(None),
        text => text?,
    };
    Intent::decode(&text).map(Some).ok_or(Error::Damaged { path, why: "it is not the plan of an undo" })
}

fn intent_path(undo: &Undo) -> PathBuf {
    undo.dir.join("restoring")
}

/// Whether an earlier run was interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    First,
    Again,
}

impl Intent {
    fn of(plan: Plan) -> Self {
        let mut locked = Vec::new();
        let mut last: Option<Vec<u8>> = None;
        for path in plan.moves.keys() {
            let (folder, _) = tree::split(path);
            if last.as_deref() == Some(folder) {
                continue;
            }
            last = Some(folder.to_vec());
            if let Some(Entry::Folder { mode }) = plan.tree.get(folder)
                && mode & 0o700 != 0o700
                && !locked.iter().any(|(path, _)| path == folder)
            {
                locked.push((folder.to_vec(), *mode));
            }
        }
        Self { now: plan.now, moves: plan.moves.into_iter().collect(), locked }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&self.now.0);
        manifest::number(&mut out, self.moves.len() as u64);
        for (path, wish) in &self.moves {
            manifest::bytes(&mut out, path);
            manifest::encode_entry(&mut out, wish.from.as_ref());
            manifest::encode_entry(&mut out, wish.to.as_ref());
        }
        manifest::number(&mut out, self.locked.len() as u64);
        for (path, mode) in &self.locked {
            manifest::bytes(&mut out, path);
            manifest::number(&mut out, (*mode).into());
        }
        let check: Hash = *blake3::hash(&out).as_bytes();
        out.extend_from_slice(&check);
        out
    }

    pub(crate) fn decode(text: &[u8]) -> Option<Self> {
        let (body, check) = text.split_at_checked(text.len().checked_sub(32)?)?;
        if blake3::hash(body).as_bytes() != check {
            return None;
        }
        let mut rest = Reader(body.strip_prefix(MAGIC)?);
        let now = SnapshotId(rest.array()?);
        let path = |rest: &mut Reader<'_>| {
            let path = rest.bytes()?.to_vec();
            manifest::is_path(&path).then_some(path)
        };
        let (mut moves, mut locked) = (Vec::new(), Vec::new());
        for _ in 0..rest.number()? {
            let path = path(&mut rest)?;
            let from = manifest::decode_entry(&mut rest)?;
            moves.push((path, Wish { from, to: manifest::decode_entry(&mut rest)? }));
        }
        for _ in 0..rest.number()? {
            let path = path(&mut rest)?;
            locked.push((path, u16::try_from(rest.number()?).ok()?));
        }
        Some(Self { now, moves, locked })
    }

    /// Does all of it that is not done.
    fn execute(&self, undo: &mut Undo, run: Run) -> Result<Restored, Error> {
        let mut left = Vec::new();
        for (path, _) in &self.locked {
            let Some((folder, name)) = parent(undo, path)? else { continue };
            if let Some(seen) = folder.look(os(name))?
                && seen.kind == SeenKind::Folder
            {
                folder.set_mode(os(name), seen.mode | 0o700)?;
            }
        }
        if run == Run::Again {
            self.remove_unfinished(undo)?;
        }
        for (path, wish) in self.moves.iter().rev() {
            if !remove(undo, path, wish)? {
                left.push(os(path).to_owned());
            }
        }
        for (path, wish) in &self.moves {
            if let Some(to) = &wish.to
                && !left.iter().any(|left| left == os(path))
                && !put(undo, path, wish, to, run)?
            {
                left.push(os(path).to_owned());
            }
        }
        self.set_modes(undo)?;
        if undo.durability == files::Durability::Synced {
            undo.root.sync_all()?;
        }
        self.close(undo, left)
    }

    fn close(&self, undo: &mut Undo, mut left: Vec<PathBuf>) -> Result<Restored, Error> {
        let after = undo.snapshot_by_scan()?;
        undo.hold(self.now)?;
        files::remove_file(intent_path(undo))?;
        left.sort();
        Ok(Restored { before: self.now, after, left })
    }

    /// What a killed run was about to rename.
    fn remove_unfinished(&self, undo: &Undo) -> Result<(), Error> {
        let mut last: Option<&[u8]> = None;
        for (path, _) in &self.moves {
            let (name, _) = tree::split(path);
            if last != Some(name)
                && let Some(folder) = open(undo, name)?
            {
                folder.remove_unfinished()?;
            }
            last = Some(name);
        }
        Ok(())
    }

    /// Of folders, now that nothing is written into them any more: those within first.
    fn set_modes(&self, undo: &Undo) -> Result<(), Error> {
        let made = self.moves.iter().filter_map(|(path, wish)| match wish.to {
            Some(Entry::Folder { mode }) => Some((path, mode)),
            _ => None,
        });
        let is_moved = |path: &Vec<u8>| self.moves.binary_search_by(|(moved, _)| moved.cmp(path)).is_ok();
        let opened = self.locked.iter().filter(|(path, _)| !is_moved(path)).map(|(path, mode)| (path, *mode));
        let mut modes: Vec<_> = made.chain(opened).collect();
        modes.sort();
        for (path, mode) in modes.into_iter().rev() {
            let Some((folder, name)) = parent(undo, path)? else { continue };
            if let Some(seen) = folder.look(os(name))?
                && seen.kind == SeenKind::Folder
                && seen.mode != mode
            {
                folder.set_mode(os(name), mode)?;
            }
        }
        Ok(())
    }
}

/// The folder of a path; `None` when it is gone.
fn open(undo: &Undo, folder: &[u8]) -> Result<Option<Folder>, Error> {
    match undo.root.descend(os(folder)) {
        Ok(folder) => Ok(Some(folder)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn parent<'a>(undo: &Undo, path: &'a [u8]) -> Result<Option<(Folder, &'a [u8])>, Error> {
    let (folder, name) = tree::split(path);
    Ok(open(undo, folder)?.map(|folder| (folder, name)))
}

/// Removes what has to make room. Whether the path can be gone on with.
fn remove(undo: &Undo, path: &[u8], wish: &Wish) -> Result<bool, Error> {
    let Some(from) = &wish.from else { return Ok(true) };
    let is_folder = |entry: &Entry| entry.is_folder();
    // A file or a link gives way to another in one rename.
    if wish.to.as_ref().is_some_and(|to| is_folder(to) == is_folder(from)) {
        return Ok(true);
    }
    let Some((folder, name)) = parent(undo, path)? else { return Ok(true) };
    if folder.look(os(name))?.is_none() || wish.to.as_ref().is_some_and(|to| is_now(&folder, name, to)) {
        return Ok(true);
    }
    if !is_now(&folder, name, from) {
        return Ok(false);
    }
    if !is_folder(from) {
        folder.remove(os(name))?;
        return Ok(true);
    }
    match folder.remove_folder(os(name)) {
        Ok(()) => Ok(true),
        // Something came into it meanwhile. A folder that merely stays is no conflict.
        Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => Ok(wish.to.is_none()),
        Err(error) => Err(error.into()),
    }
}

/// Makes a path what it is to be; whether it is.
fn put(undo: &Undo, path: &[u8], wish: &Wish, to: &Entry, run: Run) -> Result<bool, Error> {
    let Some((folder, name)) = parent(undo, path)? else { return Ok(false) };
    let is_there = folder.look(os(name))?.is_some();
    if is_now(&folder, name, to) {
        return Ok(true);
    }
    let may_be_gone = match &wish.from {
        None => true,
        // It made room, now or in the run that was interrupted.
        Some(from) => from.is_folder() != to.is_folder() || run == Run::Again,
    };
    let is_as_planned = match &wish.from {
        Some(from) if is_there => is_now(&folder, name, from),
        _ => !is_there && may_be_gone,
    };
    if !is_as_planned {
        return Ok(false);
    }
    match to {
        // Its own mode comes when it is filled.
        Entry::Folder { mode } if !is_there => folder.make_folder(os(name), mode | 0o700)?,
        Entry::Folder { .. } | Entry::LeftOut { .. } => {}
        Entry::Link { target } => folder.write_link(os(name), os(target))?,
        Entry::File { mode, content, .. } => match &wish.from {
            Some(Entry::File { content: now, .. }) if now == content && is_there => {
                folder.set_mode(os(name), *mode)?
            }
            _ => return write(undo, &folder, path, to),
        },
    }
    Ok(true)
}

/// Writes a file as it was; whether that could be had. What is lost is left, as it would be lost the next time too.
fn write(undo: &Undo, folder: &Folder, path: &[u8], to: &Entry) -> Result<bool, Error> {
    let Entry::File { mode, size, content } = to else { return Ok(false) };
    let mut reader = match undo.store.content(path, content, *size, undo.blobs().as_deref()) {
        Err(Error::Lost { .. }) => return Ok(false),
        reader => reader?,
    };
    match folder.write(os(tree::split(path).1), *mode, &mut reader) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::InvalidData => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether a name is exactly this. Of a folder only that it is one; its mode may be open for the time being.
fn is_now(folder: &Folder, name: &[u8], entry: &Entry) -> bool {
    let Ok(Some(seen)) = folder.look(os(name)) else { return false };
    match (entry, seen.kind) {
        (Entry::Folder { .. }, kind) => kind == SeenKind::Folder,
        (Entry::Link { target }, SeenKind::Link) => {
            folder.read_link(os(name)).is_ok_and(|now| now == os(target))
        }
        (Entry::File { mode, size, content }, SeenKind::File) => {
            seen.mode == *mode
                && seen.size == *size
                && folder.open_file(os(name)).is_ok_and(|mut file| {
                    scan::name_as(&mut file, *size, content).is_some_and(|name| name == *content)
                })
        }
        (Entry::LeftOut { size, mtime, .. }, SeenKind::File) => seen.size == *size && seen.mtime == *mtime,
        _ => false,
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "what users do to their files")]
mod tests {
    use codetether_files::Durability;

    use super::*;
    use crate::Options;

    /// A tree in which `a/f` and `b` were changed by a step, and the undo of it as a kill leaves it before the first
    /// change.
    fn interrupted() -> (tempfile::TempDir, Undo, Step) {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        std::fs::create_dir_all(tree.join("a")).unwrap();
        let write = |text: &str| {
            std::fs::write(tree.join("a/f"), text).unwrap();
            std::fs::write(tree.join("b"), text).unwrap();
        };
        let options = Options::new(dir.path().join("store"), &tree, "s");
        let mut undo = Undo::open(&Options { durability: Durability::Cached, ..options }).unwrap();
        write("0");
        let before = undo.snapshot().unwrap();
        write("1");
        let step = Step { before, after: undo.snapshot().unwrap() };
        let intent = Intent::of(undo.plan(&[step]).unwrap());
        assert_eq!(Intent::decode(&intent.encode()), Some(Intent::of(undo.plan(&[step]).unwrap())));
        write_private(&intent_path(&undo), &intent.encode(), Durability::Cached).unwrap();
        (dir, undo, step)
    }

    fn texts(dir: &tempfile::TempDir) -> [String; 2] {
        ["tree/a/f", "tree/b"].map(|path| std::fs::read_to_string(dir.path().join(path)).unwrap())
    }

    #[test]
    fn an_undo_that_was_interrupted_stands_before_any_other_and_is_finished() {
        let (dir, mut undo, step) = interrupted();
        assert!(matches!(undo.plan(&[step]).unwrap_err(), Error::Unfinished { .. }));
        std::fs::write(dir.path().join("tree/a/.codetether-0123456789abcdef.tmp"), "half").unwrap();
        let restored = undo.finish().unwrap().unwrap();
        assert_eq!(restored.left, Vec::<PathBuf>::new());
        assert_eq!(texts(&dir), ["0", "0"]);
        assert_eq!(std::fs::read_dir(dir.path().join("tree/a")).unwrap().count(), 1);
        assert_eq!(undo.finish().unwrap(), None);
        let redo = undo.plan(&[restored.step()]).unwrap();
        undo.restore(redo).unwrap();
        assert_eq!(texts(&dir), ["1", "1"]);
    }

    #[test]
    fn an_undo_that_cannot_be_finished_is_given_up_and_says_what_it_leaves() {
        let (dir, mut undo, step) = interrupted();
        std::fs::write(dir.path().join("tree/a/f"), "0").unwrap();
        let restored = undo.abandon().unwrap().unwrap();
        assert_eq!(restored.left, [PathBuf::from("b")]);
        assert_eq!(texts(&dir), ["0", "1"]);
        undo.plan(&[step]).unwrap();
    }

    #[test]
    fn a_damaged_plan_is_no_plan() {
        let (_dir, mut undo, _) = interrupted();
        let path = intent_path(&undo);
        let mut text = std::fs::read(&path).unwrap();
        for end in 0..text.len() {
            assert_eq!(Intent::decode(&text[..end]), None);
        }
        text[30] ^= 1;
        std::fs::write(&path, text).unwrap();
        assert!(matches!(undo.finish().unwrap_err(), Error::Damaged { .. }));
    }
}
