//! JSON Schema: made from types, and used to check what a model wrote. Pure: calls no model, follows no reference
//! over the network or into a file.

mod arguments;
mod of;
mod validate;

pub use arguments::parse_arguments;
pub use of::of;
pub use validate::{Error, Validator, Violation, Violations};
