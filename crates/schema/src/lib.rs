//! JSON Schema: made from types, lowered to what providers take, and used to check what a model wrote. Pure: calls no
//! model, follows no reference over the network or into a file.

mod arguments;
mod dialect;
mod loss;
mod lower;
pub mod mask;
mod of;
mod partial;
mod raise;
mod read;
mod validate;

pub use codetether_event::Rung;
pub use dialect::Dialect;
pub use loss::{Loss, LossKind};
pub use lower::{Lowered, lower, lower_tool, lower_tools};
pub use of::of;
pub use partial::{Partial, PartialError, Prefix, Problem};
pub use read::{Answer, Mended, Unrepairable, Unusable, read_answer, read_arguments, repair};
pub use validate::{Error, Validator, Violation, Violations};
