//! What a provider will not do for a schema that was lowered for it. Plain data; judging is done where the loss is
//! found.

use serde::Serialize;

/// One thing that a lowered schema does not say of what the original says.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Loss {
    /// The schema in the original that says it, as a JSON pointer; empty for the root.
    pub path: String,
    /// The keyword that says it.
    pub keyword: String,
    /// What that means for an answer.
    pub kind: LossKind,
    /// Why, in words.
    pub why: String,
}

/// What a loss means for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LossKind {
    /// The provider may let through what the original refuses. Harmless, since every answer is checked with the
    /// original; the keyword is told to the model in a description.
    NotEnforced,
    /// The provider refuses what the original allows, such as the entries of an open map. To enforce this would force
    /// wrong answers.
    Narrowed,
    /// A part was left out: it recurs where the provider allows no recursion, is past a limit of the provider's, or
    /// is somewhere else than in the schema.
    Cut,
    /// The whole is past a limit of the provider's.
    Limit,
}

impl LossKind {
    /// Whether the lowered schema must not be enforced.
    #[must_use]
    pub fn is_unsafe(self) -> bool {
        match self {
            Self::NotEnforced => false,
            Self::Narrowed | Self::Cut | Self::Limit => true,
        }
    }
}
