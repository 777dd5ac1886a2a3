//! Processes that outlive the call that started them: what a tool may want of them, and what it hears.

use std::sync::Arc;
use std::time::Duration;

use codetether_event::ItemId;

use crate::Command;

/// What is wanted of the session's processes in the background.
#[derive(Clone)]
pub enum Wish {
    /// One more. Its time may be [`Duration::MAX`]; the call becomes its name.
    Start(Command),
    /// What one said since it was asked last.
    Read {
        /// Which.
        process: ItemId,
    },
    /// Something typed into one.
    Write {
        /// Which.
        process: ItemId,
        /// What.
        text: String,
        /// Whether nothing more comes after it.
        end: bool,
    },
    /// To wait for the end of one, or for something that it says.
    Wait {
        /// Which.
        process: ItemId,
        /// What it is to say: whether a text that it said has it.
        until: Option<Until>,
        /// Longest wait.
        time: Duration,
    },
    /// The end of one, and of all that it started.
    Kill {
        /// Which.
        process: ItemId,
    },
    /// All of them.
    List,
}

/// Whether a text is what is waited for.
pub type Until = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// What is heard of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Its name: the call that started it.
    pub process: ItemId,
    /// What it runs.
    pub command: String,
    /// How it ended, in words; nothing while it runs.
    pub ended: Option<String>,
    /// How long it has run.
    pub ran: Duration,
    /// What it said since it was asked last, within the bound of a call's output. Nothing of it in a list.
    pub said: String,
    /// Bytes that it said since and that are not told yet: only in a list.
    pub unread: u64,
    /// Whether what was waited for has come: an end, or what it was to say. Also whether all that was typed was taken.
    pub came: bool,
}
