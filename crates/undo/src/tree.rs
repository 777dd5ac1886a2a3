//! A tree as it was at one moment: folders by path, each a sorted list. Folders that did not change are shared, so that
//! a copy costs little and two trees are compared by what differs.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use codetether_files::{Seen, SeenKind};

use crate::entry::Entry;

/// A path below the root, names joined by `/`; the root is empty.
pub(crate) type Path = Arc<[u8]>;

/// One name in a folder.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) name: Box<[u8]>,
    pub(crate) entry: Entry,
    pub(crate) stat: Stat,
}

/// What told of a file when it was read; as long as it is the same, so is the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) size: u64,
    pub(crate) mtime: i64,
    /// [`Stat::NEVER`] when it cannot be gone by.
    pub(crate) ctime: i64,
    pub(crate) inode: u64,
}

impl Stat {
    const NEVER: i64 = i64::MIN;

    /// Of something that was not looked at, or changed so recently that it may change again unseen.
    pub(crate) const UNKNOWN: Self = Self { size: 0, mtime: 0, ctime: Self::NEVER, inode: 0 };

    pub(crate) fn of(seen: &Seen) -> Self {
        Self { size: seen.size, mtime: seen.mtime, ctime: seen.ctime, inode: seen.inode }
    }

    pub(crate) fn is_known(&self) -> bool {
        self.ctime != Self::NEVER
    }
}

impl Item {
    /// Whether what is there now is certainly what this says.
    pub(crate) fn still_holds(&self, seen: &Seen) -> bool {
        let kind = match (&self.entry, seen.kind) {
            (Entry::File { mode, .. }, SeenKind::File) => *mode == seen.mode,
            (Entry::Link { .. }, SeenKind::Link) | (Entry::LeftOut { .. }, _) => true,
            _ => false,
        };
        kind && self.stat == Stat::of(seen)
    }
}

/// The names in a folder, sorted.
pub(crate) type Items = Vec<Item>;

/// All folders of a tree.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    pub(crate) folders: BTreeMap<Path, Arc<Items>>,
}

impl Tree {
    /// What a path is.
    pub(crate) fn get(&self, path: &[u8]) -> Option<&Entry> {
        self.item(path).map(|item| &item.entry)
    }

    pub(crate) fn item(&self, path: &[u8]) -> Option<&Item> {
        let (folder, name) = split(path);
        find(self.folders.get(folder)?, name)
    }

    /// From paths and their entries, in any order.
    pub(crate) fn from_entries(entries: impl IntoIterator<Item = (Vec<u8>, Entry)>) -> Self {
        let mut folders: BTreeMap<Path, Items> = BTreeMap::new();
        folders.insert(Path::from(&b""[..]), Items::new());
        // They mostly come folder by folder: the last one is at hand.
        let mut current: (Vec<u8>, Items) = (Vec::new(), Items::new());
        for (path, entry) in entries {
            let (folder, name) = split(&path);
            if folder != current.0 {
                let (at, items) = std::mem::replace(&mut current, (folder.to_vec(), Items::new()));
                folders.entry(at.into()).or_default().extend(items);
            }
            if entry.is_folder() {
                folders.entry(path.as_slice().into()).or_default();
            }
            current.1.push(Item { name: name.into(), entry, stat: Stat::UNKNOWN });
        }
        folders.entry(current.0.into()).or_default().extend(current.1);
        let folders = folders
            .into_iter()
            .map(|(path, mut items)| {
                items.sort_by(|a, b| a.name.cmp(&b.name));
                (path, Arc::new(items))
            })
            .collect();
        Self { folders }
    }

    /// With some paths changed, or taken out; folders that are not changed are shared.
    pub(crate) fn with(&self, changes: Vec<(Vec<u8>, Option<Entry>)>) -> Self {
        let mut tree = self.clone();
        for (path, entry) in changes {
            let (folder, name) = split(&path);
            if entry.as_ref().is_some_and(Entry::is_folder) {
                tree.folders.entry(path.as_slice().into()).or_default();
            } else {
                tree.folders.remove(path.as_slice());
            }
            if entry.is_none() && !tree.folders.contains_key(folder) {
                continue;
            }
            let items = Arc::make_mut(tree.folders.entry(folder.into()).or_default());
            match (items.binary_search_by(|item| (*item.name).cmp(name)), entry) {
                (Ok(at), None) => drop(items.remove(at)),
                (Err(_), None) => {}
                (Ok(at), Some(entry)) => {
                    if let Some(item) = items.get_mut(at) {
                        *item = Item { entry, stat: Stat::UNKNOWN, name: std::mem::take(&mut item.name) };
                    }
                }
                (Err(at), Some(entry)) => {
                    items.insert(at, Item { name: name.into(), entry, stat: Stat::UNKNOWN });
                }
            }
        }
        tree
    }

    /// Every path and its entry, folder by folder.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (Vec<u8>, &Entry)> {
        self.folders
            .iter()
            .flat_map(|(folder, items)| items.iter().map(|item| (join(folder, &item.name), &item.entry)))
    }

    pub(crate) fn len(&self) -> usize {
        self.folders.values().map(|items| items.len()).sum()
    }

    /// Takes out a folder and all below it.
    pub(crate) fn remove_below(&mut self, folder: &[u8]) {
        let below: Vec<Path> = self.folders_below(folder).cloned().collect();
        for path in below {
            self.folders.remove(&path);
        }
    }

    /// A folder and those below it.
    pub(crate) fn folders_below(&self, folder: &[u8]) -> impl Iterator<Item = &Path> {
        let (from, to) = (join(folder, b""), after_children(folder));
        let own = self.folders.get_key_value(folder).map(|(path, _)| path);
        let range = (Bound::Excluded(from.as_slice()), Bound::Excluded(to.as_slice()));
        let below: Vec<&Path> = if folder.is_empty() {
            self.folders.keys().filter(|path| !path.is_empty()).collect()
        } else {
            self.folders.range::<[u8], _>(range).map(|(path, _)| path).collect()
        };
        own.into_iter().chain(below)
    }

    /// Every path that differs, with what it is here and what it is in `other`.
    pub(crate) fn differences(&self, other: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        let empty = Arc::new(Items::new());
        let (mut ours, mut theirs) = (self.folders.iter().peekable(), other.folders.iter().peekable());
        loop {
            let order = match (ours.peek(), theirs.peek()) {
                (None, None) => return found,
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some((a, _)), Some((b, _))) => a.cmp(b),
            };
            let our = if order.is_le() { ours.next() } else { None };
            let their = if order.is_ge() { theirs.next() } else { None };
            let Some((path, _)) = our.or(their) else { return found };
            let (a, b) = (our.map_or(&empty, |x| x.1), their.map_or(&empty, |x| x.1));
            if !Arc::ptr_eq(a, b) {
                compare(path, a, b, &mut found);
            }
        }
    }
}

/// A path that differs between two trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) path: Vec<u8>,
    pub(crate) here: Option<Entry>,
    pub(crate) there: Option<Entry>,
}

fn compare(folder: &[u8], ours: &[Item], theirs: &[Item], found: &mut Vec<Difference>) {
    let (mut ours, mut theirs) = (ours.iter().peekable(), theirs.iter().peekable());
    loop {
        let order = match (ours.peek(), theirs.peek()) {
            (None, None) => return,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(a), Some(b)) => a.name.cmp(&b.name),
        };
        let our = if order.is_le() { ours.next() } else { None };
        let their = if order.is_ge() { theirs.next() } else { None };
        let Some(item) = our.or(their) else { return };
        let (here, there) = (our.map(|item| &item.entry), their.map(|item| &item.entry));
        if here != there {
            let path = join(folder, &item.name);
            found.push(Difference { path, here: here.cloned(), there: there.cloned() });
        }
    }
}

pub(crate) fn find<'a>(items: &'a [Item], name: &[u8]) -> Option<&'a Item> {
    let at = items.binary_search_by(|item| (*item.name).cmp(name)).ok()?;
    items.get(at)
}

/// A folder's path and a name in it.
pub(crate) fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() }
}

/// The folder of a path, and its name.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (path.get(..at).unwrap_or_default(), path.get(at + 1..).unwrap_or_default()),
        None => (b"", path),
    }
}

/// Whether `path` lies below `folder`, however deep.
pub(crate) fn is_below(path: &[u8], folder: &[u8]) -> bool {
    folder.is_empty()
        || (path.len() > folder.len() && path.starts_with(folder) && path.get(folder.len()) == Some(&b'/'))
}

/// The first path, in order, behind everything below a folder.
fn after_children(folder: &[u8]) -> Vec<u8> {
    // `0` follows `/`.
    [folder, b"0"].concat()
}

/// As the system has it.
pub(crate) fn os(path: &[u8]) -> &std::path::Path {
    std::path::Path::new(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> Entry {
        Entry::Folder { mode: 0o755 }
    }

    fn link(target: &str) -> Entry {
        Entry::Link { target: target.as_bytes().into() }
    }

    fn tree(entries: &[(&str, Entry)]) -> Tree {
        Tree::from_entries(entries.iter().map(|(path, entry)| (path.as_bytes().to_vec(), entry.clone())))
    }

    #[test]
    fn differences_name_every_path_that_differs_and_no_other() {
        let ours = tree(&[("a", folder()), ("a/x", link("1")), ("a.b", link("1")), ("same", link("s"))]);
        let theirs =
            tree(&[("a", link("now a link")), ("a.b", link("2")), ("new", folder()), ("same", link("s"))]);
        let mut found: Vec<_> = ours
            .differences(&theirs)
            .into_iter()
            .map(|found| (String::from_utf8(found.path).unwrap(), found.here, found.there))
            .collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let expected = [
            ("a", Some(folder()), Some(link("now a link"))),
            ("a.b", Some(link("1")), Some(link("2"))),
            ("a/x", Some(link("1")), None),
            ("new", None, Some(folder())),
        ];
        assert_eq!(found, expected.map(|(path, here, there)| (path.to_owned(), here, there)));
    }

    #[test]
    fn a_tree_with_its_differences_from_another_is_the_other() {
        let ours = tree(&[
            ("a", folder()),
            ("a/x", link("1")),
            ("b", link("1")),
            ("c", folder()),
            ("c/d", folder()),
        ]);
        let theirs =
            tree(&[("a", link("2")), ("b", folder()), ("b/x", link("1")), ("c", folder()), ("e", link("e"))]);
        let changes = ours.differences(&theirs).into_iter().map(|found| (found.path, found.there)).collect();
        let made = ours.with(changes);
        assert_eq!(made.differences(&theirs), []);
        assert!(made.folders.keys().eq(theirs.folders.keys()));
    }

    #[test]
    fn below_a_folder_is_not_beside_it() {
        let tree = tree(&[
            ("a", folder()),
            ("a/b", folder()),
            ("a/b/c", folder()),
            ("a.", folder()),
            ("a0", folder()),
        ]);
        let below: Vec<_> =
            tree.folders_below(b"a").map(|path| String::from_utf8_lossy(path).into_owned()).collect();
        assert_eq!(below, ["a", "a/b", "a/b/c"]);
        assert_eq!(tree.folders_below(b"").count(), 6);
    }
}
