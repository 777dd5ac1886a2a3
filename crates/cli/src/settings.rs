//! The settings of a run: the layers' sources, gathered from the environment and the flags.

use std::env;
use std::path::Path;

use codetether_config::{ConfigError, Layer, Settings, Sources};
use codetether_event::Mode;

use crate::args::RunArgs;
use crate::place;

/// The settings for work in `root`.
pub(crate) fn load(root: &Path, overrides: Vec<String>, flags: Layer) -> Result<Settings, ConfigError> {
    let environment = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with("CODETETHER_"))
        .collect();
    codetether_config::load(&Sources {
        user: place::config_file(),
        project: Some(root.to_owned()),
        environment,
        overrides,
        flags,
    })
}

/// What the flags of `run` say.
pub(crate) fn flags(args: &RunArgs) -> Layer {
    Layer {
        model: args.model.clone(),
        mode: if args.yes { Some(Mode::Bypass) } else { args.mode },
        effort: args.effort,
        max_output: args.max_output,
        max_steps: args.max_steps,
        max_time: args.max_time,
        tools: args.tools.clone().map(|tools| tools.into_iter().filter(|tool| !tool.is_empty()).collect()),
        allow: args.allow.clone(),
        deny: args.deny.clone(),
        ..Layer::default()
    }
}
