//! What told of each file when it was last read, kept between sessions: then the first snapshot of the next reads only
//! what changed. A mere cache: it may be deleted, and what does not fit is not used.

use crate::id::Hash;
use crate::tree::{Stat, Tree};

const MAGIC: &[u8] = b"codetether stats 1\n";

/// What is kept of an item.
const WIDTH: usize = 8 * 4;

/// The stats of all of a tree's items, in its order, bound to the snapshot of that tree.
pub(crate) fn encode(snapshot: &Hash, tree: &Tree) -> Vec<u8> {
    let mut out = Vec::with_capacity(MAGIC.len() + 64 + tree.len() * WIDTH);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(snapshot);
    for item in tree.folders.values().flat_map(|items| items.iter()) {
        let Stat { size, mtime, ctime, inode } = item.stat;
        out.extend_from_slice(&size.to_le_bytes());
        out.extend_from_slice(&mtime.to_le_bytes());
        out.extend_from_slice(&ctime.to_le_bytes());
        out.extend_from_slice(&inode.to_le_bytes());
    }
    let check = *blake3::hash(&out).as_bytes();
    out.extend_from_slice(&check);
    out
}

/// The snapshot, and the stats.
pub(crate) fn decode(text: &[u8]) -> Option<(Hash, Vec<Stat>)> {
    let (body, check) = text.split_at_checked(text.len().checked_sub(32)?)?;
    if blake3::hash(body).as_bytes() != check {
        return None;
    }
    let (snapshot, stats) = body.strip_prefix(MAGIC)?.split_at_checked(32)?;
    let stats = stats.chunks_exact(WIDTH).map(|stat| {
        let part = |at: usize| {
            stat.get(at * 8..at * 8 + 8).and_then(|part| part.try_into().ok()).unwrap_or_default()
        };
        Stat {
            size: u64::from_le_bytes(part(0)),
            mtime: i64::from_le_bytes(part(1)),
            ctime: i64::from_le_bytes(part(2)),
            inode: u64::from_le_bytes(part(3)),
        }
    });
    Some((snapshot.try_into().ok()?, stats.collect()))
}

/// Tells what was encoded from anything else.
pub(crate) fn mark(text: &[u8]) -> Option<Hash> {
    text.last_chunk().copied()
}

/// Gives a tree its stats; whether there were as many as it has items.
pub(crate) fn apply(tree: &mut Tree, stats: &[Stat]) -> bool {
    if stats.len() != tree.len() {
        return false;
    }
    let mut stats = stats.iter();
    for items in tree.folders.values_mut() {
        for (item, stat) in std::sync::Arc::make_mut(items).iter_mut().zip(&mut stats) {
            item.stat = *stat;
        }
    }
    true
}
