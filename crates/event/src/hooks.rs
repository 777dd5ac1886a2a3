//! The points of a session at which a user's own commands have a say.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A point at which hooks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum HookPoint {
    /// The first turn of a session begins, or the first since it was taken up again.
    SessionStart,
    /// A turn begins with what the user said.
    UserPromptSubmit,
    /// A call was judged, and is not denied.
    PreToolUse,
    /// A call takes a yes.
    PermissionRequest,
    /// A call has run.
    PostToolUse,
    /// Older messages are about to give way.
    PreCompact,
    /// The model is done.
    Stop,
    /// A child is done.
    ChildStop,
    /// The session is let go.
    SessionEnd,
}

impl HookPoint {
    /// Whether its hooks run in children, too. The beginning and the end of a session, what the user says, and when the
    /// work is done are the parent's alone; a child's end has a point of its own.
    #[must_use]
    pub fn is_of_children(self) -> bool {
        !matches!(self, Self::SessionStart | Self::UserPromptSubmit | Self::Stop | Self::SessionEnd)
    }

    /// All of them, in the order in which they come.
    pub const ALL: [Self; 9] = [
        Self::SessionStart,
        Self::UserPromptSubmit,
        Self::PreToolUse,
        Self::PermissionRequest,
        Self::PostToolUse,
        Self::PreCompact,
        Self::Stop,
        Self::ChildStop,
        Self::SessionEnd,
    ];

    /// The name used in settings, in the journal and in what a hook is told.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SessionStart => "SessionStart",
            Self::UserPromptSubmit => "UserPromptSubmit",
            Self::PreToolUse => "PreToolUse",
            Self::PermissionRequest => "PermissionRequest",
            Self::PostToolUse => "PostToolUse",
            Self::PreCompact => "PreCompact",
            Self::Stop => "Stop",
            Self::ChildStop => "ChildStop",
            Self::SessionEnd => "SessionEnd",
        }
    }

    /// Whether it is about a call, so that a matcher can choose among calls.
    #[must_use]
    pub fn is_of_calls(self) -> bool {
        matches!(self, Self::PreToolUse | Self::PermissionRequest | Self::PostToolUse)
    }
}

impl fmt::Display for HookPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_written_by_its_name() {
        for point in HookPoint::ALL {
            let json = serde_json::to_string(&point).unwrap();
            assert_eq!(json, format!("\"{point}\""));
            assert_eq!(serde_json::from_str::<HookPoint>(&json).unwrap(), point);
        }
    }
}
