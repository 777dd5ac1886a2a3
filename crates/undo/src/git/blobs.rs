//! The blobs of a repository, loose and packed, its own and those of its alternates. What is read is checked against
//! its name.

use std::io::Read;
use std::path::{Path, PathBuf};

use codetether_files::{Folder, SeenKind};
use flate2::read::ZlibDecoder;

use super::Format;
use super::pack::{Keep, Pack};
use crate::id::hex;

/// Alternates of alternates: git follows five.
const ALTERNATES_MAX: usize = 5;

/// The indexes of more files are opened anew for each look.
const OPEN_MAX: usize = 128;

/// More than this in a file of alternates is not read.
const LIST_MAX: u64 = 64 << 10;

/// How deep an object of one pack may lie on those of others.
const DETOURS_MAX: usize = 8;

/// Folders of objects.
#[derive(Debug)]
pub(crate) struct Blobs {
    format: Format,
    places: Vec<Objects>,
}

#[derive(Debug)]
struct Objects {
    folder: Folder,
    packs: Option<Folder>,
    list: Vec<Pack>,
}

/// Where a blob was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A file of its own.
    Loose(PathBuf),
    /// A pack; its path without an ending.
    Packed(PathBuf),
}

impl Blobs {
    /// Of a folder of objects and what its alternates name. Packs that come later are not seen.
    pub(crate) fn open(objects: &Path, format: Format) -> Self {
        let mut blobs = Self { format, places: Vec::new() };
        blobs.add(objects, ALTERNATES_MAX);
        blobs
    }

    /// Of a folder that holds packs and nothing else.
    pub(crate) fn of_packs(packs: &Path, format: Format) -> Self {
        let mut blobs = Self { format, places: Vec::new() };
        if let (Ok(folder), Ok(packs)) = (Folder::open(packs), Folder::open(packs)) {
            blobs.push(folder, Some(packs));
        }
        blobs
    }

    fn add(&mut self, objects: &Path, depth: usize) {
        let Ok(folder) = Folder::open(objects) else { return };
        let alternates = folder.descend("info").ok().and_then(|info| info.open_file("alternates").ok());
        let packs = folder.descend("pack").ok();
        self.push(folder, packs);
        let mut text = String::new();
        if let Some(file) = alternates
            && depth > 0
            && file.take(LIST_MAX).read_to_string(&mut text).is_ok()
        {
            for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
                self.add(&objects.join(line), depth - 1);
            }
        }
    }

    fn push(&mut self, folder: Folder, packs: Option<Folder>) {
        let names = packs.as_ref().and_then(|packs| packs.names().ok()).unwrap_or_default();
        let keep = if names.len() <= OPEN_MAX { Keep::Open } else { Keep::Closed };
        let list = names
            .iter()
            .filter_map(|name| name.to_str()?.strip_suffix(".idx"))
            .filter_map(|name| {
                let packs = packs.as_ref()?;
                packs.look(format!("{name}.pack")).ok()??;
                Pack::open(packs, name, self.format, keep)
            })
            .collect();
        self.places.push(Objects { folder, packs, list });
    }

    /// Where a blob is; whether it can be read is another matter.
    pub(crate) fn find(&self, id: &[u8]) -> Option<Place> {
        let loose = loose(id);
        for place in &self.places {
            if let Some(packs) = &place.packs
                && let Some(pack) = place.list.iter().find(|pack| pack.find(packs, id).is_some())
            {
                return Some(Place::Packed(packs.path().join(&pack.name)));
            }
            if let Ok(Some(seen)) = place.folder.look(&loose)
                && seen.kind == SeenKind::File
            {
                return Some(Place::Loose(place.folder.path().join(&loose)));
            }
        }
        None
    }

    /// The content of a blob of at most `max` bytes.
    pub(crate) fn read(&self, id: &[u8], max: u64) -> Option<Vec<u8>> {
        self.read_with(id, max, DETOURS_MAX).filter(|content| {
            let name = self.format.name(content.len() as u64, &mut content.as_slice());
            name.is_ok_and(|name| Some(name) == self.format.content(id))
        })
    }

    fn read_with(&self, id: &[u8], max: u64, detours: usize) -> Option<Vec<u8>> {
        let elsewhere = |base: &[u8]| self.read_with(base, max, detours.checked_sub(1)?);
        self.places.iter().find_map(|place| {
            let packed = place.packs.as_ref().and_then(|folder| {
                place.list.iter().find_map(|pack| pack.read(folder, pack.find(folder, id)?, max, &elsewhere))
            });
            packed.or_else(|| read_loose(place.folder.open_file(loose(id)).ok()?, max))
        })
    }
}

fn loose(id: &[u8]) -> String {
    let name = hex(id);
    let (folder, file) = name.split_at_checked(2).unwrap_or_default();
    format!("{folder}/{file}")
}

/// A blob that lies in a file of its own.
pub(crate) fn read_loose(file: impl Read, max: u64) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    // The header is a word and a number.
    ZlibDecoder::new(file).take(max.saturating_add(64)).read_to_end(&mut text).ok()?;
    let end = text.iter().position(|byte| *byte == 0)?;
    let size: usize = std::str::from_utf8(text.get(..end)?).ok()?.strip_prefix("blob ")?.parse().ok()?;
    text.drain(..=end);
    (text.len() == size && size as u64 <= max).then_some(text)
}
