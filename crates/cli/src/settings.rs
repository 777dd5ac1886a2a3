//! The settings of a run: the layers' sources, gathered from the environment and the flags.

use std::env;
use std::path::PathBuf;

use codetether_config::{
    CheckLayer, ConfigError, Layer, Limits, Models, Names, SandboxLayer, SandboxTier, Settings, Sources,
};
use codetether_event::Mode;

use crate::args::TurnArgs;
use crate::place;
use crate::trust::Project;

/// Where the machine's file is, where no folder of `XDG_CONFIG_DIRS` has one.
const SYSTEM: &str = "/etc";

/// The machine's settings file: the first that there is, in the order of the XDG base directory specification.
pub(crate) fn system_file() -> PathBuf {
    let dirs = env::var_os("XDG_CONFIG_DIRS").unwrap_or_default();
    let file = |dir: PathBuf| dir.join("codetether/config.toml");
    let mut named = env::split_paths(&dirs).filter(|dir| dir.is_absolute()).map(file);
    named.find(|file| file.exists()).unwrap_or_else(|| file(SYSTEM.into()))
}

/// The settings for work in a project.
pub(crate) fn load(project: &Project, overrides: Vec<String>, flags: Layer) -> Result<Settings, ConfigError> {
    let environment = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with("CODETETHER_"))
        .collect();
    codetether_config::load(&Sources {
        system: Some(system_file()),
        user: place::config_file(),
        root: Some(project.files().root().to_owned()),
        project: project.files().settings(project.trusted()),
        environment,
        overrides,
        flags,
    })
}

/// What the flags of a surface that runs turns say.
pub(crate) fn flags(args: &TurnArgs) -> Layer {
    let named = |tools: Vec<String>| Names(tools.into_iter().filter(|tool| !tool.is_empty()).collect());
    Layer {
        model: args.model.clone(),
        agent: args.agent.clone(),
        mode: if args.yes { Some(Mode::Bypass) } else { args.mode },
        effort: args.effort,
        max_output: args.max_output,
        temperature: args.temperature,
        limits: Limits { max_cost: args.max_cost, ..Limits::default() },
        sandbox: SandboxLayer {
            tier: args.no_sandbox.then_some(SandboxTier::None),
            ..SandboxLayer::default()
        },
        check: CheckLayer {
            command: args.check.clone(),
            first: args.check_first.then_some(true),
            ..CheckLayer::default()
        },
        fallback: args.fallback.clone().map(Models),
        max_steps: args.max_steps,
        max_time: args.max_time,
        tools: args.tools.clone().map(named),
        allow: args.allow.clone(),
        ask: args.ask.clone(),
        deny: args.deny.clone(),
        ..Layer::default()
    }
}
