//! The runner: drives a session by what its state decides, behind one gate, for any number of watchers.
//!
//! [`Opening`] opens, resumes or forks a session and gives a [`Hosted`]: wishes go in by [`Hosted::submit`],
//! records and streamed pieces come out by [`Hosted::subscribe`]. Never knows which surface is watching.

mod agents;
mod authorise;
mod checking;
mod children;
mod circumstances;
mod confine;
mod egress;
mod gate;
mod heard;
mod hooking;
mod hooks;
mod host;
mod hosted;
mod hub;
mod in_sight;
mod in_work;
mod instructions;
mod late;
mod live;
mod one_change;
mod parts;
mod placeless;
mod prepare;
mod processes;
mod purse;
mod readings;
mod redacted;
mod routing;
mod sampling;
mod shown;
mod workspace;
mod worktree;
mod wrapped;

pub use agents::{Agent, AgentNamed, built_in};
pub use children::{Children, ConfineAt};
pub use circumstances::followed;
use codetether_event::SessionId;
pub use confine::Confine;
pub use egress::{OpenWayOut, WayOut};
pub use hooks::{Child, Hook, Hooks, Interrupted, Power, Said};
pub use hosted::{Hosted, Opening, SubmitError, fork};
pub use hub::{Cursor, Frame, Subscription};
pub use live::now;
pub use parts::{AddRules, FindProvider, Parts, RuleFile};
pub use placeless::placeless;
pub use purse::{FindFacts, Purse};
pub use workspace::{Memory, plan};

/// Why a session could not be driven.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The journal could not be read or written.
    #[error(transparent)]
    Journal(#[from] codetether_journal::Error),
    /// A file or folder could not be opened.
    #[error(transparent)]
    Files(#[from] codetether_files::Error),
    /// A newer build wrote to the session.
    #[error(
        "session {0} was written by a newer version of codetether: this one can show it, not go on with it"
    )]
    ReadOnly(SessionId),
    /// A part of the program broke.
    #[error("a part of the program broke: {0}")]
    Broken(String),
}
