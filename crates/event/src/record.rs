//! A fact with its place in the journal.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
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
    /// Written by a newer build, kept verbatim.
    #[serde(untagged)]
    #[schemars(skip)]
    Unknown(RawJson),
}

impl<'de> Deserialize<'de> for Cause {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Known {
            Op(OpId),
            After(Seq),
            Timer,
            Recovery,
        }
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(match serde_json::from_str(raw.get()) {
            Ok(Known::Op(op)) => Self::Op(op),
            Ok(Known::After(seq)) => Self::After(seq),
            Ok(Known::Timer) => Self::Timer,
            Ok(Known::Recovery) => Self::Recovery,
            Err(_) => Self::Unknown(RawJson(raw)),
        })
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_reads_back_also_one_of_a_newer_build() {
        for json in
            [r#"{"after":3}"#, r#""timer""#, r#""recovery""#, r#"{"alarm":{"b":1, "a":2}}"#, r#""moon""#]
        {
            let cause: Cause = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&cause).unwrap(), json);
            assert_eq!(
                matches!(cause, Cause::Unknown(_)),
                json.contains("alarm") || json.contains("moon"),
                "{json}"
            );
        }
    }
}
