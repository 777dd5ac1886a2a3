//! What the model has set itself to do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TodoItem {
    /// What.
    pub text: String,
    /// How far it has come.
    pub state: TodoState,
}

/// How far a thing to do has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TodoState {
    /// It was not begun.
    Pending,
    /// It is being done.
    InProgress,
    /// It is done.
    Done,
}

impl TodoState {
    /// The mark of lists in plain text.
    #[must_use]
    pub fn mark(self) -> &'static str {
        match self {
            Self::Pending => "[ ]",
            Self::InProgress => "[>]",
            Self::Done => "[x]",
        }
    }
}

/// A list of things to do, a line each.
#[must_use]
pub fn todo_lines(items: &[TodoItem]) -> String {
    items.iter().map(|item| format!("{} {}\n", item.state.mark(), item.text.replace('\n', " "))).collect()
}
