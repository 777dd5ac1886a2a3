//! How a provider failed, and what may be done about it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a provider failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProviderFailure {
    /// Its class.
    pub kind: ProviderFailureKind,
    /// HTTP status, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What went wrong, in the server's words where it had any.
    pub message: String,
    /// How long the server asks to wait, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// Class of a provider's failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderFailureKind {
    /// The server could not be reached, or the connection broke before the answer began.
    Connection,
    /// The connection broke in the middle of the answer.
    Cut,
    /// Nothing came for too long.
    Timeout,
    /// Too many requests for now.
    RateLimited,
    /// The server has too much to do for now.
    Overloaded,
    /// The server failed.
    Server,
    /// What came does not follow the protocol.
    Protocol,
    /// The key is missing or wrong, or has no right to this.
    Auth,
    /// The account has no credit left.
    Quota,
    /// The request does not fit the model's context.
    ContextTooLong,
    /// The request is wrong, or the model does not exist.
    BadRequest,
    /// The provider or the model declined to answer.
    Declined,
}

impl ProviderFailureKind {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        match self {
            Self::Connection
            | Self::Cut
            | Self::Timeout
            | Self::RateLimited
            | Self::Overloaded
            | Self::Server
            | Self::Protocol => true,
            Self::Auth | Self::Quota | Self::ContextTooLong | Self::BadRequest | Self::Declined => false,
        }
    }

    /// Whether another model may do what this one failed at: the fault is the provider's, or its account is spent.
    #[must_use]
    pub fn may_fall_back(self) -> bool {
        self.is_retryable() || self == Self::Quota
    }
}
