//! Snapshots of a working tree, and the way back: what a step changed is restored, what the user changed since is not
//! touched without a choice. Deals with files only. Never touches the user's git refs, index or stash, and never runs
//! `git`. All calls block.
//!
//! ```no_run
//! # fn main() -> Result<(), codetether_undo::Error> {
//! use codetether_undo::{Options, Step, Undo};
//!
//! let options = Options::new("/home/me/.local/share/codetether/undo", "/home/me/project", "session-1");
//! let mut undo = Undo::open(&options)?;
//! let before = undo.snapshot()?;
//! // … a call changes files …
//! let after = undo.snapshot()?;
//! let plan = undo.plan(&[Step { before, after }])?;
//! assert!(plan.conflicts().is_empty());
//! let undone = undo.restore(plan)?;
//! // Taking the undo back is undoing it.
//! let redo = undo.plan(&[undone.step()])?;
//! # Ok(())
//! # }
//! ```

mod cache;
mod changes;
mod collect;
mod entry;
mod error;
mod git;
mod id;
mod ignored;
mod lease;
mod manifest;
mod objects;
mod pins;
mod plan;
mod restore;
mod scan;
mod store;
mod tree;
mod undo;
mod watch;

pub use changes::Change;
pub use collect::{Budget, Collected};
pub use entry::{Content, Entry, Why};
pub use error::Error;
pub use id::SnapshotId;
pub use ignored::Policy;
pub use lease::Lease;
pub use plan::{Choice, Conflict, HeadMoved, NotKept, Plan, Reason, Step};
pub use restore::Restored;
pub use store::Store;
pub use undo::{Options, Undo};
