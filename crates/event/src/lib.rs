//! The words of the program: plain data that every room shares, and the JSON it is written as.
//!
//! Facts ([`Event`], wrapped in a [`Record`]), wishes ([`Op`], wrapped in a [`Submission`]), streamed pieces
//! ([`Delta`]), messages, usage and money. Nothing here does I/O, reads a clock or knows who is watching.
//! The JSON is additive from version to version: a field may be added, none is renamed or removed, and what a
//! newer build wrote is kept verbatim as [`Event::Unknown`].

mod check;
mod child;
mod context;
mod delta;
mod egress;
mod events;
mod failure;
mod files;
mod format;
pub mod frame;
mod hooks;
mod ids;
mod known;
mod message;
mod op;
mod process;
mod question;
mod record;
mod routing;
mod settings;
mod todo;
mod touches;
mod usage;

pub use check::{Check, CheckPoint, CheckStatus, Tries};
pub use child::{Brought, ChildEvent, Grant, Parent};
pub use context::{ContextEvent, ContextSource};
pub use delta::{Delta, Piece};
pub use egress::EgressEvent;
pub use events::{
    AskEvent, AskKind, CallEvent, Event, Fork, InterruptReason, ItemEvent, LimitKind, NoteEvent, Outcome,
    SampleEvent, SampleOutcome, SessionEvent, StopReason, Timing, TurnEvent, Verdict, Work,
};
pub use failure::{ProviderFailure, ProviderFailureKind};
pub use files::{FilesEvent, OnConflict, Restore, Which};
pub use format::{Reading, ResponseFormat, Rung, Structured, Way};
pub use hooks::HookPoint;
pub use ids::{
    AskId, Attempt, BlobId, ContentId, ItemId, ModelId, OpId, Seq, SessionId, SnapshotId, ToolName, TurnId,
    UnixMillis, undated,
};
pub use known::KnownFile;
pub use message::{CALL_TOOL, ContentPart, Message, Role, Sight, ToolCall, ToolResult};
pub use op::{Answer, Audience, Input, Op, Principal, Submission};
pub use process::{ProcessEvent, ProcessStatus};
pub use question::{Choice, Question};
pub use record::{Cause, RawJson, Record};
pub use routing::{Alternative, Candidate, Evidence, RouteRule, Routed, RoutedJob, Tier, TierRates, Tiers};
pub use settings::{Compaction, Confinement, Effort, Manner, Mode, Retry, Small, Temperature, TurnSettings};
pub use todo::{TodoItem, TodoState, todo_lines};
pub use touches::{Touches, Typed};
pub use usage::{Money, Usage};
