//! One pack: finding an object by its name in the index beside it (version 2), and reading it (gitformat-pack).

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

use codetether_files::Folder;
use flate2::read::ZlibDecoder;

use super::{Format, delta, index};

/// Where names begin in the index.
const NAMES: u64 = 8 + 256 * 4;

/// So many names are looked through at once; more are halved first.
const WINDOW: u64 = 64;

/// Deltas on deltas: git writes at most 4095.
const CHAIN_MAX: usize = 4096;

/// A pack and its index.
#[derive(Debug)]
pub(crate) struct Pack {
    /// Without an ending.
    pub(crate) name: String,
    format: Format,
    /// Kept open only where there are few packs.
    index: Option<File>,
    fanout: Vec<u32>,
    data: OnceLock<Option<File>>,
}

/// Whether indexes stay open: a process may not have that many files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    Open,
    Closed,
}

/// An object as it lies in a pack.
enum Piece {
    Blob(Vec<u8>),
    /// On the object that begins there.
    OnOffset(u64, Vec<u8>),
    /// On the object of this name.
    OnName(Vec<u8>, Vec<u8>),
}

impl Pack {
    /// `None` when it has no index that can be read.
    pub(crate) fn open(folder: &Folder, name: &str, format: Format, keep: Keep) -> Option<Self> {
        let index = folder.open_file(format!("{name}.idx")).ok()?;
        let mut head = [0; 8 + 256 * 4];
        index.read_exact_at(&mut head, 0).ok()?;
        let (magic, counts) = head.split_at_checked(8)?;
        if magic != b"\xfftOc\0\0\0\x02" {
            return None;
        }
        let fanout: Vec<u32> = counts
            .chunks_exact(4)
            .filter_map(|count| count.try_into().ok().map(u32::from_be_bytes))
            .collect();
        let index = (keep == Keep::Open).then_some(index);
        let data = OnceLock::new();
        fanout.is_sorted().then(|| Self { name: name.to_owned(), format, index, fanout, data })
    }

    fn count(&self) -> u64 {
        self.fanout.last().copied().unwrap_or(0).into()
    }

    /// Where an object begins.
    pub(crate) fn find(&self, folder: &Folder, id: &[u8]) -> Option<u64> {
        let first = usize::from(*id.first()?);
        let mut low =
            u64::from(first.checked_sub(1).and_then(|before| self.fanout.get(before)).copied().unwrap_or(0));
        let mut high = u64::from(*self.fanout.get(first)?);
        if low == high {
            return None;
        }
        let opened;
        let index = match &self.index {
            Some(index) => index,
            None => {
                opened = folder.open_file(format!("{}.idx", self.name)).ok()?;
                &opened
            }
        };
        let width = self.format.length();
        let mut name = vec![0; width];
        while high - low > WINDOW {
            let middle = low.midpoint(high);
            index.read_exact_at(&mut name, NAMES + middle * width as u64).ok()?;
            if name.as_slice() <= id {
                low = middle;
            } else {
                high = middle;
            }
        }
        let mut names = vec![0; usize::try_from(high - low).ok()? * width];
        index.read_exact_at(&mut names, NAMES + low * width as u64).ok()?;
        let at = low + names.chunks_exact(width).position(|name| name == id)? as u64;
        // Behind the names come a checksum for each, then where they begin.
        let offsets = NAMES + self.count() * (width as u64 + 4);
        let offset = u32::from_be_bytes(number(index, offsets + at * 4)?);
        if offset & 0x8000_0000 == 0 {
            return Some(offset.into());
        }
        let far = offsets + self.count() * 4 + u64::from(offset & 0x7fff_ffff) * 8;
        Some(u64::from_be_bytes(number(index, far)?))
    }

    /// The blob that begins at `offset`, of at most `max` bytes; `elsewhere` finds what lies in no pack of this name.
    pub(crate) fn read(
        &self,
        folder: &Folder,
        mut offset: u64,
        max: u64,
        elsewhere: &dyn Fn(&[u8]) -> Option<Vec<u8>>,
    ) -> Option<Vec<u8>> {
        let mut deltas = Vec::new();
        let mut content = loop {
            if deltas.len() > CHAIN_MAX {
                return None;
            }
            match self.piece(folder, offset, max)? {
                Piece::Blob(content) => break content,
                Piece::OnOffset(base, delta) => {
                    offset = base;
                    deltas.push(delta);
                }
                Piece::OnName(base, delta) => {
                    deltas.push(delta);
                    match self.find(folder, &base) {
                        Some(base) => offset = base,
                        None => break elsewhere(&base)?,
                    }
                }
            }
        };
        for delta in deltas.iter().rev() {
            content = delta::apply(&content, delta, max)?;
        }
        Some(content)
    }

    fn piece(&self, folder: &Folder, offset: u64, max: u64) -> Option<Piece> {
        let data = self.data.get_or_init(|| folder.open_file(format!("{}.pack", self.name)).ok()).as_ref()?;
        // The longest header: ten bytes of size, then ten of an offset or a name.
        let mut head = [0; 64];
        let length = At { file: data, offset }.read(&mut head).ok()?;
        let whole = head.get(..length)?;
        let mut rest = whole;
        let (mut byte, left) = rest.split_first()?;
        rest = left;
        let kind = byte >> 4 & 7;
        let mut size = u64::from(byte & 15);
        let mut shift = 4;
        while byte & 0x80 != 0 {
            (byte, rest) = rest.split_first()?;
            size |= u64::from(byte & 0x7f).checked_shl(shift)?;
            shift += 7;
        }
        if size > max {
            return None;
        }
        let base = match kind {
            3 => None,
            6 => Some(Ok(offset.checked_sub(index::offset(&mut rest)?)?)),
            7 => {
                let (name, left) = rest.split_at_checked(self.format.length())?;
                rest = left;
                Some(Err(name.to_vec()))
            }
            _ => return None,
        };
        let start = offset + (whole.len() - rest.len()) as u64;
        let content = inflate(At { file: data, offset: start }, size)?;
        Some(match base {
            None => Piece::Blob(content),
            // What is based on itself or on what comes later would go round in a circle.
            Some(Ok(at)) if at < offset => Piece::OnOffset(at, content),
            Some(Ok(_)) => return None,
            Some(Err(name)) => Piece::OnName(name, content),
        })
    }
}

fn number<const N: usize>(index: &File, at: u64) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    index.read_exact_at(&mut bytes, at).ok()?;
    Some(bytes)
}

/// What a stream holds, if it is exactly `size` bytes.
fn inflate(compressed: impl Read, size: u64) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    ZlibDecoder::new(compressed).take(size.saturating_add(1)).read_to_end(&mut content).ok()?;
    (content.len() as u64 == size).then_some(content)
}

/// A file read from some place on, without moving it for others.
struct At<'a> {
    file: &'a File,
    offset: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read_at(buffer, self.offset)?;
        self.offset += length as u64;
        Ok(length)
    }
}
