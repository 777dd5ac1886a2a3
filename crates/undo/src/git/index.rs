//! What a repository tracks: `.git/index`, versions 2 to 4 (gitformat-index). Only paths and blobs are taken; whether a
//! file is unchanged is for its bytes to say.

use std::collections::HashSet;

use super::Format;
use crate::entry::Content;

/// Tracked files below the root, by path.
#[derive(Debug, Default)]
pub(crate) struct Index {
    paths: Vec<u8>,
    /// Where a path ends in `paths`, and its blob; in the order of paths.
    files: Vec<(usize, Content)>,
    /// Every folder that holds one, however deep.
    folders: HashSet<Box<[u8]>>,
}

impl Index {
    /// Of the bytes of an index; `prefix` is the root below the repository's top, with `/` at its end if there is any.
    /// `None` when it is not one, or is split in two files.
    pub(crate) fn read(bytes: &[u8], format: Format, prefix: &[u8]) -> Option<Self> {
        let mut rest = bytes.get(..bytes.len().checked_sub(format.length())?)?;
        if take(&mut rest, 4)? != b"DIRC" {
            return None;
        }
        let version = u32(&mut rest)?;
        let count = u32(&mut rest)?;
        if !(2..=4).contains(&version) {
            return None;
        }
        let mut index = Self::default();
        let mut path = Vec::new();
        for _ in 0..count {
            let start = rest.len();
            // Times, device and inode.
            take(&mut rest, 24)?;
            let mode = u32(&mut rest)?;
            // Owner, group and size.
            take(&mut rest, 12)?;
            let id = take(&mut rest, format.length())?;
            let flags = u16::from_be_bytes(take(&mut rest, 2)?.try_into().ok()?);
            if flags & 0x4000 != 0 {
                take(&mut rest, 2)?;
            }
            if version == 4 {
                let dropped = usize::try_from(offset(&mut rest)?).ok()?;
                path.truncate(path.len().checked_sub(dropped)?);
            } else {
                path.clear();
            }
            let length = memchr(rest)?;
            path.extend_from_slice(take(&mut rest, length)?);
            let padding = if version == 4 { 1 } else { 8 - (start - rest.len()) % 8 };
            take(&mut rest, padding)?;
            let is_file = mode & 0o170_000 == 0o100_000;
            // Stages above 0 are the sides of a conflict.
            if is_file
                && flags & 0x3000 == 0
                && let Some(below) = path.strip_prefix(prefix)
            {
                index.push(below, format.content(id)?)?;
            }
        }
        while rest.len() >= 8 {
            let name = take(&mut rest, 4)?;
            let length = u32(&mut rest)?;
            if name == b"link" {
                return None;
            }
            take(&mut rest, usize::try_from(length).ok()?)?;
        }
        Some(index)
    }

    /// Paths have to come in order; git sees to that.
    fn push(&mut self, path: &[u8], content: Content) -> Option<()> {
        if self.files.len().checked_sub(1).and_then(|last| self.path(last)).is_some_and(|last| last >= path) {
            return None;
        }
        self.paths.extend_from_slice(path);
        self.files.push((self.paths.len(), content));
        let mut folder = path;
        while let Some(at) = folder.iter().rposition(|byte| *byte == b'/') {
            folder = folder.get(..at)?;
            if self.folders.contains(folder) {
                break;
            }
            self.folders.insert(folder.into());
        }
        Some(())
    }

    fn path(&self, at: usize) -> Option<&[u8]> {
        let start = at.checked_sub(1).and_then(|before| self.files.get(before)).map_or(0, |file| file.0);
        self.paths.get(start..self.files.get(at)?.0)
    }

    /// The blob of a tracked file.
    pub(crate) fn file(&self, path: &[u8]) -> Option<Content> {
        let (mut low, mut high) = (0, self.files.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.path(middle)?.cmp(path) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return self.files.get(middle).map(|file| file.1),
            }
        }
        None
    }

    /// Whether a folder holds a tracked file.
    pub(crate) fn folder(&self, path: &[u8]) -> bool {
        self.folders.contains(path)
    }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn u32(rest: &mut &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(take(rest, 4)?.try_into().ok()?))
}

fn memchr(rest: &[u8]) -> Option<usize> {
    rest.iter().position(|byte| *byte == 0)
}

/// As in packs: each further group of seven bits adds one, so that no number can be written in two ways.
pub(super) fn offset(rest: &mut &[u8]) -> Option<u64> {
    let mut byte = *take(rest, 1)?.first()?;
    let mut n = u64::from(byte & 0x7f);
    while byte & 0x80 != 0 {
        byte = *take(rest, 1)?.first()?;
        n = n.checked_add(1)?.checked_mul(128)? | u64::from(byte & 0x7f);
    }
    Some(n)
}
