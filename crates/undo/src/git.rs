//! Reading a git repository without git: where it is, what its index tracks, and its blobs. Everything here was written
//! by whoever owns the workspace, so nothing of it is trusted or executed; what does not fit is as if it were not there.

mod blobs;
mod delta;
mod index;
mod pack;
mod repository;

pub(crate) use blobs::{Blobs, Place, read_loose};
pub(crate) use index::Index;
pub(crate) use repository::Repository;

use std::io::{self, Read};

use crate::entry::Content;

/// Which hash a repository names its objects by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Sha1,
    Sha256,
}

impl Format {
    pub(crate) fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    pub(crate) fn content(self, id: &[u8]) -> Option<Content> {
        match self {
            Self::Sha1 => id.try_into().ok().map(Content::Sha1),
            Self::Sha256 => id.try_into().ok().map(Content::Sha256),
        }
    }

    /// The name that git gives to a blob.
    pub(crate) fn name(self, size: u64, content: &mut dyn Read) -> io::Result<Content> {
        let header = format!("blob {size}\0");
        match self {
            Self::Sha1 => hash::<sha1::Sha1>(&header, content).map(|id| Content::Sha1(id.into())),
            Self::Sha256 => hash::<sha2::Sha256>(&header, content).map(|id| Content::Sha256(id.into())),
        }
    }
}

fn hash<D: sha2::Digest>(header: &str, content: &mut dyn Read) -> io::Result<sha2::digest::Output<D>> {
    let mut hasher = D::new();
    hasher.update(header);
    let mut buffer = [0; 16 << 10];
    loop {
        match content.read(&mut buffer)? {
            0 => return Ok(hasher.finalize()),
            length => hasher.update(buffer.get(..length).unwrap_or_default()),
        }
    }
}

/// The format and the bytes of a blob's name; `None` for what is no blob.
pub(crate) fn blob(content: &Content) -> Option<(Format, &[u8])> {
    match content {
        Content::Stored(_) => None,
        Content::Sha1(id) => Some((Format::Sha1, id)),
        Content::Sha256(id) => Some((Format::Sha256, id)),
    }
}
