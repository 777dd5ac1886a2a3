//! What commands wanted to reach and could not.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ItemId;

/// What commands wanted to reach and could not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type")]
pub enum EgressEvent {
    /// The sandbox let a connection through to nowhere, or keeps it waiting for an answer. The same thing is told once in
    /// a while, and a flood is held back.
    #[serde(rename = "egress.denied")]
    Denied {
        /// The call that ran; the first of them where several did.
        item: ItemId,
        /// Where it wanted to go, as `host:port`; absent where it did not say so in a way that can be understood.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target: Option<String>,
        /// What stopped it, in words.
        why: String,
        /// The rule that would allow it, as `sandbox.net` holds them; absent where none can.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rule: Option<String>,
        /// Whether it waits a while for someone to allow it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        waits: bool,
        /// The file that "always" would add the rule to; without one it lasts as long as the session.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<String>,
        /// How many others were not told since the last one that was.
        #[serde(default, skip_serializing_if = "is_zero")]
        missed: u64,
    },
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
