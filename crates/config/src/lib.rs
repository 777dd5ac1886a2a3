//! Settings: what the machine, the user, the project, the environment and the flags say, put together; where each
//! value is from; and how a file of settings is changed. And trust: whether a project's own files have power.
//!
//! Layers, each over the one before: defaults, the machine's file, the user's, the user's table for this folder, the
//! project's own, the environment, flags. A project's own file can narrow what the layers below it allow, and set a
//! few keys once the user trusts it. What is not known, or has the wrong type, is an error that names the file and the
//! place, all of them at once. Reads no environment and no home directory by itself: the caller hands them in.

pub mod defined;
mod duration;
mod edit;
mod hooks;
mod keys;
mod layer;
mod load;
mod problem;
mod read;
mod reference;
mod settings;
mod size;
pub mod trust;
mod values;

pub use duration::Seconds;
pub use edit::{EditError, SettingsFile, parse_key};
pub use hooks::{Hook, Hooks, SourcedHook};
pub use keys::{Key, ProjectMay, Shape};
pub use layer::{
    Bypass, CheckLayer, ContextLayer, Folder, Layer, Limits, ModelSettings, Privacy, Provider, RetryLayer,
    SandboxLayer, SandboxTier, TiersLayer, ToolCalls, UndoLayer, Vault, WebLayer, Wire,
};
pub use load::{PROJECT_DIR, PROJECT_FILE, ProjectSettings, Sources, check_file, load, variables};
pub use problem::{ConfigError, Problem};
pub use read::{LayerName, Origin};
pub use reference::{page, schema};
pub use settings::{Entry, LeftOut, Settings, SourcedRule, Why, dotted};
pub use size::Size;
pub use values::{Dollars, Model, Models, Names};
