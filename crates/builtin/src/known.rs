//! Whether a file is as the model saw it last. A command or the user may have changed it since, and the model would
//! overwrite what it has never seen.

use codetether_event::{ContentId, KnownFile};
use codetether_tool::ToolContext;

/// How a file's content stands to what the model knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It never read or wrote the file.
    Unknown,
    /// It is as the model saw it last.
    Same,
    /// It is another than the model saw last.
    Changed,
}

/// Said of a file that is another than the model saw last.
pub(crate) const CHANGED: &str = "has changed since you saw it last, by a command or by the user";

/// How the file at a path, relative to the root, stands to what the model knows.
pub(crate) fn standing(cx: &ToolContext, path: &str, bytes: &[u8]) -> Standing {
    match cx.known.content(path) {
        None => Standing::Unknown,
        Some(known) if known == content(bytes) => Standing::Same,
        Some(_) => Standing::Changed,
    }
}

/// The name of a content.
pub(crate) fn content(bytes: &[u8]) -> ContentId {
    named(&blake3::hash(bytes))
}

/// The name of a content that was hashed piece by piece.
pub(crate) fn named(hash: &blake3::Hash) -> ContentId {
    ContentId::new(hash.to_hex().as_str())
}

/// From now on the model knows this content of a file.
pub(crate) fn learnt(path: String, bytes: &[u8]) -> KnownFile {
    KnownFile { path, content: Some(content(bytes)) }
}

/// From now on the model knows no content of a file.
pub(crate) fn forgotten(path: String) -> KnownFile {
    KnownFile { path, content: None }
}
