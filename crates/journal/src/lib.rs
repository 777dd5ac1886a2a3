//! The truth: each session's append-only file of facts, and the index over them, which is a cache. Generic over the
//! event: never names a model or a tool, and never decides anything.
//!
//! A session is a folder: `journal.jsonl` (one line a record, `{"crc":"…","record":{…}}`, the CRC-32 taken over the
//! record's bytes), `blobs/` and `lock`. [`Journals`] writes, one owner a session; anyone may [`read`] or
//! [`follow`]. What an append acknowledged survives the end of the process; what was synced survives a loss of power.

mod catalogue;
mod error;
mod follow;
mod handle;
mod index;
mod layout;
mod line;
mod read;
mod sync;
mod upkeep;
mod writer;

pub use catalogue::{Catalogue, Entry, Filter, Hit, Indexed, Listed};
pub use error::Error;
pub use follow::{Follow, follow};
pub use handle::{Durable, Handle, Opened};
pub use layout::{Found, Layout};
pub use line::{LINE_MAX, encode};
pub use read::{Loaded, Torn, read, read_from};
pub use upkeep::{Repaired, delete, fork, repair};
pub use writer::Journals;
