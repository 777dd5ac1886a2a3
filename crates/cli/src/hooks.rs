//! Hooks of the settings as the agent takes them.

use codetether_agent::{Hook, Power};
use codetether_config::{LayerName, Settings, SourcedHook};
use codetether_permission::Matcher;

use crate::printer;

/// The hooks that are in force, in their order.
pub(crate) fn in_force(settings: &Settings) -> Vec<Hook> {
    settings.hooks.iter().filter(|hook| hook.left_out.is_none()).filter_map(of).collect()
}

fn of(hook: &SourcedHook) -> Option<Hook> {
    // They were checked where they came from.
    let matcher = hook.matcher.as_deref().map(Matcher::parse).transpose().ok()?;
    Some(Hook {
        point: hook.point,
        matcher,
        command: hook.command.clone(),
        time: hook.timeout.into(),
        from: printer::plain(&hook.origin.to_string()),
        power: match hook.origin.layer {
            LayerName::Project => Power::Narrows,
            _ => Power::AllowsAsks,
        },
    })
}
