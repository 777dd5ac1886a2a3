//! Which size of model a job is for. Pure, and quick: no model is asked which model to ask.
//!
//! A [`Job`] has a [`Kind`], a text and a past. Kinds that a small model does as well are known by name; for all else a
//! small logistic head looks at cheap features of text and past, and says how probable it is that the small model is not
//! enough ([`decide`]). Its weights are in `weights.tsv`, made by `cargo xtask route-train` ([`train`]); [`measure`] says
//! what a router is worth on recorded results.

mod class;
mod decide;
mod features;
mod head;
pub mod measure;
pub mod replay;
pub mod train;

pub use class::{Class, Kind};
pub use decide::{Decision, ENOUGH, Needs, Rule, Tier, decide};
pub use features::{COUNT, Features, Job, NAMES, TEXT};
pub use head::Head;
