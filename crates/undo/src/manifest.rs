//! Snapshots as bytes: a list of paths and what they are, each path without what it shares with the one before. A
//! snapshot names the one it is based on, and then lists only what differs. Reading trusts nothing: what does not fit
//! is an error, never a panic.

use crate::entry::{Content, Entry, Why};
use crate::id::Hash;

const MAGIC: &[u8] = b"codetether snapshot 1\n";

/// A snapshot as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Manifest {
    /// The snapshot that `entries` are to be applied to; it has none itself.
    pub(crate) base: Option<Hash>,
    /// What HEAD said and where it led, if there is a repository.
    pub(crate) head: String,
    /// Packs that hold blobs of this snapshot and are pinned.
    pub(crate) packs: Vec<String>,
    /// Paths; `None` is one that the base has and this has not.
    pub(crate) entries: Vec<(Vec<u8>, Option<Entry>)>,
}

impl Manifest {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.entries.len() * 64);
        out.extend_from_slice(MAGIC);
        out.push(u8::from(self.base.is_some()));
        out.extend_from_slice(self.base.as_ref().map_or(&[][..], |base| base));
        bytes(&mut out, self.head.as_bytes());
        number(&mut out, self.packs.len() as u64);
        for pack in &self.packs {
            bytes(&mut out, pack.as_bytes());
        }
        number(&mut out, self.entries.len() as u64);
        let mut last: &[u8] = b"";
        for (path, entry) in &self.entries {
            let shared = path.iter().zip(last).take_while(|(a, b)| a == b).count();
            number(&mut out, shared as u64);
            bytes(&mut out, path.get(shared..).unwrap_or_default());
            encode_entry(&mut out, entry.as_ref());
            last = path;
        }
        out
    }

    /// `None` when it is not one.
    pub(crate) fn decode(text: &[u8]) -> Option<Self> {
        let mut rest = Reader(text.strip_prefix(MAGIC)?);
        let base = match rest.byte()? {
            0 => None,
            1 => Some(rest.array()?),
            _ => return None,
        };
        let head = String::from_utf8(rest.bytes()?.to_vec()).ok()?;
        let mut packs = Vec::new();
        for _ in 0..rest.number()? {
            packs.push(String::from_utf8(rest.bytes()?.to_vec()).ok()?);
        }
        let count = usize::try_from(rest.number()?).ok()?;
        // Each takes three bytes at least, so a number that is wrong reserves no more than there is.
        let mut entries: Vec<(Vec<u8>, Option<Entry>)> = Vec::with_capacity(count.min(text.len() / 3));
        for _ in 0..count {
            let shared = usize::try_from(rest.number()?).ok()?;
            let last = entries.last().map_or(&[][..], |(path, _)| path);
            let path = [last.get(..shared)?, rest.bytes()?].concat();
            if !is_path(&path) {
                return None;
            }
            entries.push((path, decode_entry(&mut rest)?));
        }
        rest.0.is_empty().then_some(Self { base, head, packs, entries })
    }
}

/// Whether it has names only, none of them special: what leads out of a root is no path.
pub(crate) fn is_path(path: &[u8]) -> bool {
    !path.contains(&0) && path.split(|byte| *byte == b'/').all(|name| !matches!(name, b"" | b"." | b".."))
}

pub(crate) fn encode_entry(out: &mut Vec<u8>, entry: Option<&Entry>) {
    match entry {
        None => out.push(0),
        Some(Entry::Folder { mode }) => {
            out.push(1);
            number(out, (*mode).into());
        }
        Some(Entry::File { mode, size, content }) => {
            let (tag, id): (u8, &[u8]) = match content {
                Content::Stored(id) => (2, id),
                Content::Sha1(id) => (3, id),
                Content::Sha256(id) => (4, id),
            };
            out.push(tag);
            number(out, (*mode).into());
            number(out, *size);
            out.extend_from_slice(id);
        }
        Some(Entry::Link { target }) => {
            out.push(5);
            bytes(out, target);
        }
        Some(Entry::LeftOut { why, size, mtime }) => {
            out.push(6);
            out.push(
                Why::ALL
                    .iter()
                    .position(|each| each == why)
                    .and_then(|at| u8::try_from(at).ok())
                    .unwrap_or(0),
            );
            number(out, *size);
            out.extend_from_slice(&mtime.to_le_bytes());
        }
    }
}

/// The outer `None`: it is not one.
pub(crate) fn decode_entry(rest: &mut Reader<'_>) -> Option<Option<Entry>> {
    let tag = rest.byte()?;
    Some(match tag {
        0 => None,
        1 => Some(Entry::Folder { mode: rest.mode()? }),
        2..=4 => {
            let (mode, size) = (rest.mode()?, rest.number()?);
            let content = match tag {
                2 => Content::Stored(rest.array()?),
                3 => Content::Sha1(rest.array()?),
                _ => Content::Sha256(rest.array()?),
            };
            Some(Entry::File { mode, size, content })
        }
        5 => Some(Entry::Link { target: rest.bytes()?.into() }),
        6 => {
            let why = *Why::ALL.get(usize::from(rest.byte()?))?;
            Some(Entry::LeftOut { why, size: rest.number()?, mtime: i64::from_le_bytes(rest.array()?) })
        }
        _ => return None,
    })
}

/// Seven bits a byte, the lowest first.
pub(crate) fn number(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n.to_le_bytes()[0] | 0x80);
        n >>= 7;
    }
    out.push(n.to_le_bytes()[0]);
}

pub(crate) fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// What is left to read.
#[derive(Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    pub(crate) fn number(&mut self) -> Option<u64> {
        let mut n = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            n |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(n);
            }
        }
        None
    }

    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(usize::try_from(length).ok()?)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn mode(&mut self) -> Option<u16> {
        self.number()?.try_into().ok().filter(|mode| *mode <= 0o7777)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Manifest {
        let file = |content| Some(Entry::File { mode: 0o4755, size: 300, content });
        Manifest {
            base: Some([9; 32]),
            head: "refs/heads/main 12ab".to_owned(),
            packs: vec!["pack-1".to_owned()],
            entries: vec![
                (b"a".to_vec(), Some(Entry::Folder { mode: 0o755 })),
                (b"a/\xff name".to_vec(), file(Content::Stored([1; 32]))),
                (b"a/\xff other".to_vec(), file(Content::Sha1([2; 20]))),
                (b"b".to_vec(), file(Content::Sha256([3; 32]))),
                (b"c".to_vec(), Some(Entry::Link { target: b"../x".to_vec().into() })),
                (b"d".to_vec(), Some(Entry::LeftOut { why: Why::Store, size: 1 << 40, mtime: -5 })),
                (b"e".to_vec(), None),
            ],
        }
    }

    #[test]
    fn a_manifest_reads_back_as_written() {
        let manifest = example();
        assert_eq!(Manifest::decode(&manifest.encode()), Some(manifest));
        let empty = Manifest::default();
        assert_eq!(Manifest::decode(&empty.encode()), Some(empty));
    }

    #[test]
    fn no_cut_and_no_changed_byte_makes_it_panic_and_no_cut_is_one() {
        let text = example().encode();
        for end in 0..text.len() {
            assert_eq!(Manifest::decode(&text[..end]), None, "{end}");
        }
        for at in 0..text.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut changed = text.clone();
                changed[at] = value;
                // Some are other manifests; none may lead out.
                if let Some(manifest) = Manifest::decode(&changed) {
                    assert!(manifest.entries.iter().all(|(path, _)| is_path(path)));
                }
            }
        }
    }

    #[test]
    fn a_path_that_leads_out_is_none() {
        for path in ["../x", "a/../b", "/etc", "a//b", "", ".", "a/", "a\0b"] {
            let manifest =
                Manifest { entries: vec![(path.as_bytes().to_vec(), None)], ..Manifest::default() };
            assert_eq!(Manifest::decode(&manifest.encode()), None, "{path}");
        }
    }
}
