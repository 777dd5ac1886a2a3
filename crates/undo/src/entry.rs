//! What a name in a tree stands for, as a snapshot keeps it.

use crate::id::Hash;

/// What a path was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A folder. What is in it has entries of its own.
    Folder {
        /// Permission bits.
        mode: u16,
    },
    /// A regular file whose content is kept.
    File {
        /// Permission bits with setuid, setgid and sticky.
        mode: u16,
        /// In bytes.
        size: u64,
        /// Where its content is.
        content: Content,
    },
    /// A symbolic link.
    Link {
        /// What it says.
        target: Box<[u8]>,
    },
    /// Something that is there and is not kept.
    LeftOut {
        /// Why not.
        why: Why,
        /// Of a file, its size in bytes.
        size: u64,
        /// Of a file, when its content changed, in nanoseconds: the little there is to know it by.
        mtime: i64,
    },
}

/// Names the content of a file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Content {
    /// Kept in the store, under its BLAKE3 hash.
    Stored(Hash),
    /// A blob of the git repository, by its SHA-1.
    Sha1([u8; 20]),
    /// A blob of a git repository that uses SHA-256.
    Sha256([u8; 32]),
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kind, id): (_, &[u8]) = match self {
            Self::Stored(id) => ("Stored", id),
            Self::Sha1(id) => ("Sha1", id),
            Self::Sha256(id) => ("Sha256", id),
        };
        write!(f, "{kind}({})", crate::id::hex(id.get(..6).unwrap_or_default()))
    }
}

/// Why something is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// A folder that `.gitignore` names.
    IgnoredFolder,
    /// A file that `.gitignore` names, and that is not small.
    IgnoredFile,
    /// A cache or something that is made anew by a tool (`CACHEDIR.TAG`, `node_modules`, a virtual environment).
    Generated,
    /// A file larger than the policy keeps.
    TooLarge,
    /// A pipe, a device or a socket.
    Special,
    /// It may not be read.
    Unreadable,
    /// Another file system begins here.
    Mount,
    /// The store itself.
    Store,
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::IgnoredFolder => "a folder that `.gitignore` names",
            Self::IgnoredFile => "a file that `.gitignore` names and that is not small",
            Self::Generated => "a tool makes it anew",
            Self::TooLarge => "it is too large",
            Self::Special => "a pipe, a device or a socket",
            Self::Unreadable => "it may not be read",
            Self::Mount => "another file system",
            Self::Store => "where all this is kept",
        })
    }
}

impl Why {
    pub(crate) const ALL: [Self; 8] = [
        Self::IgnoredFolder,
        Self::IgnoredFile,
        Self::Generated,
        Self::TooLarge,
        Self::Special,
        Self::Unreadable,
        Self::Mount,
        Self::Store,
    ];
}

impl Entry {
    /// Whether it is a folder whose content has entries.
    #[must_use]
    pub fn is_folder(&self) -> bool {
        matches!(self, Self::Folder { .. })
    }

    /// Whether what it stood for can be brought back.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        !matches!(self, Self::LeftOut { .. })
    }
}
