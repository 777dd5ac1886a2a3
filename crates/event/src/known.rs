//! What the model knows of files, so that nothing is overwritten that it has not seen.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ContentId;

/// A file that a call showed to the model or wrote for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KnownFile {
    /// Relative to the root.
    pub path: String,
    /// What it held then; absent where the model knows no content of it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<ContentId>,
}
