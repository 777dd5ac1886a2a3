//! Children: sessions that a call of another session started, and what came back of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AskId, AskKind, ItemId, Money, Outcome, SessionId, SnapshotId, Usage};

/// The session that started this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Parent {
    /// It.
    pub session: SessionId,
    /// Its call that did.
    pub item: ItemId,
    /// How many sessions are above the child.
    pub depth: u8,
    /// The session at the top, which a person speaks to: money counts as spent by it.
    pub root: SessionId,
}

/// What a child may spend, never more than what was left to its parent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Grant {
    /// Steps.
    pub steps: u32,
    /// Time, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_ms: Option<u64>,
    /// Money of its own. The limits of the sessions above it hold besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// Whether it may change files, in a worktree of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub writes: bool,
}

/// A child and what comes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type")]
pub enum ChildEvent {
    /// It is about to begin.
    #[serde(rename = "child.spawned")]
    Spawned {
        /// The call that starts it.
        item: ItemId,
        /// Its session.
        session: SessionId,
        /// The kind of agent that it is.
        agent: String,
        /// The first line of its task.
        task: String,
        /// What it may spend.
        grant: Grant,
    },
    /// It asks something of whoever is there.
    #[serde(rename = "child.asked")]
    Asked {
        /// The call that started it.
        item: ItemId,
        /// Its session.
        session: SessionId,
        /// Its ask.
        ask: AskId,
        /// What it asks.
        kind: AskKind,
    },
    /// It needs no answer to that any more.
    #[serde(rename = "child.settled")]
    Settled {
        /// The call that started it.
        item: ItemId,
        /// Its session.
        session: SessionId,
        /// Its ask.
        ask: AskId,
    },
    /// It is at rest.
    #[serde(rename = "child.ended")]
    Ended {
        /// The call that started it.
        item: ItemId,
        /// Its session.
        session: SessionId,
        /// How it ended.
        outcome: Outcome,
        /// Its steps.
        steps: u32,
        /// The tokens of it and its own children.
        usage: Usage,
        /// What they cost; absent when the price of any is not known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cost: Option<Money>,
        /// What it said last, where the program ended before its parent could hear it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        said: Option<String>,
    },
    /// It has changed files of its worktree. Its call is judged again, as one that would change these in the workspace.
    #[serde(rename = "child.brought")]
    Brought {
        /// The call that started it.
        item: ItemId,
        /// What it is.
        brought: Brought,
    },
}

/// What a child made, which its call is to bring into the workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Brought {
    /// Its session, which names its worktree.
    pub session: SessionId,
    /// What the model is told besides.
    pub text: String,
    /// Whether the child failed.
    pub error: bool,
    /// The files of the worktree as the child found them.
    pub before: SnapshotId,
    /// As it left them.
    pub after: SnapshotId,
    /// The files that differ, relative to the root.
    pub paths: Vec<String>,
}
