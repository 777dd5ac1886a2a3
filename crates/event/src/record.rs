//! A fact with its place in the journal.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Attempt, Event, OpId, Seq, TurnId, UnixMillis};

/// One line of a session's journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Record<E = Event> {
    /// Its position; each is one more than the one before.
    pub seq: Seq,
    /// The ownership under which it was written.
    pub attempt: Attempt,
    /// When it was written.
    pub at: UnixMillis,
    /// The turn that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<TurnId>,
    /// What brought it about.
    pub cause: Cause,
    /// The fact.
    pub event: E,
}

/// What brought a record about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A surface asked for it.
    Op(OpId),
    /// An earlier record: an effect that it started has ended, or a policy followed from it.
    After(Seq),
    /// The passing of time.
    Timer,
    /// The session was opened after its owner had ended without closing what was under way.
    Recovery,
}

/// JSON kept byte for byte.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RawJson(pub Box<RawValue>);

impl PartialEq for RawJson {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

impl Eq for RawJson {}
