//! The product: the real binary against a scripted model server, in a hermetic home.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod auth;
mod bench;
mod broken;
mod cassettes;
mod demo;
mod form;
mod interrupt;
mod kill;
mod models;
mod money;
mod network;
mod permissions;
mod run;
mod session;
mod settings;
mod strict;
mod structured;
mod terminal;
mod trust;
mod undo;
mod usage;
mod vendors;
mod wires;
