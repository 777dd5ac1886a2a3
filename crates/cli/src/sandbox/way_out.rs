//! The way out of a sandbox: the proxy. For `sandbox run` it is on a thread and a runtime of its own, so that what a
//! command does to it holds up nothing else; the agent serves it itself.

use std::net::TcpListener;
use std::sync::Arc;

use codetether_agent::RuleFile;
use codetether_config::SettingsFile;
use codetether_net::{Dialler, Upstream};
use codetether_sandbox::proxy::{Allow, Denied, Limits, Origin, Place, Preset, Rule, serve};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::policy::NET;
use crate::place;

/// Denials that may wait to be told.
const TOLD: usize = 64;

/// The way out of what the agent runs, to the hosts and presets of the settings. What is no host and no preset is told
/// now; where presets lead is read before the first command. What is allowed for good goes to the user's own settings,
/// behind what is `of_machine`, in whose place that list comes.
pub(crate) fn of_settings(
    hosts: Vec<String>,
    of_machine: Vec<String>,
) -> Result<codetether_agent::WayOut, String> {
    let rules = hosts.iter().filter(|host| Preset::named(host).is_none());
    let rules: Result<Vec<Rule>, _> = rules.map(|host| Rule::parse(host, Origin::Given)).collect();
    rules
        .map_err(|error| error.to_string())
        .and_then(|rules| Allow::new(rules).map_err(|e| e.to_string()))?;
    let file = place::config_file().map(|path| {
        let shown = path.display().to_string();
        let file = SettingsFile::user(path);
        let add = move |rules: &[String]| {
            of_machine
                .iter()
                .chain(rules)
                .try_for_each(|rule| file.push(&NET, rule).map(drop).map_err(|error| error.to_string()))
        };
        RuleFile { path: shown, add: Arc::new(add) }
    });
    let open = move || WayOut::to(&hosts).map(|WayOut { allow, dialler }| (allow, dialler));
    Ok(codetether_agent::WayOut { open: Arc::new(open), file })
}

/// Where commands may go: read from what the user named, before anything runs.
pub(crate) struct WayOut {
    allow: Allow,
    dialler: Dialler,
}

impl WayOut {
    /// For these hosts and presets.
    pub(crate) fn to(hosts: &[String]) -> Result<Self, String> {
        let variable = |name: &str| std::env::var(name).ok();
        let home = std::env::home_dir().unwrap_or_default();
        let allow =
            Allow::parse(hosts, &Place::of_user(home, &variable)).map_err(|error| error.to_string())?;
        let upstream = Upstream::from_env(variable).map_err(|error| error.to_string())?;
        Ok(Self { allow, dialler: Dialler::new(upstream) })
    }

    /// Leads what comes in there, until the process ends.
    pub(crate) fn lead(self, listener: TcpListener, tell: impl Fn(&Denied) + Send + 'static) {
        let Self { allow, dialler } = self;
        let led = std::thread::Builder::new().name("egress".into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let Ok(runtime) = runtime else { return };
            let (events, mut denied) = mpsc::channel(TOLD);
            runtime.block_on(async move {
                let serving =
                    serve(listener, allow, events, dialler, Limits::default(), CancellationToken::new());
                let telling = async {
                    while let Some(denied) = denied.recv().await {
                        tell(&denied);
                    }
                };
                // Without it the command's connections are refused, which it hears by itself.
                tokio::join!(serving, telling).0.ok()
            });
        });
        // The listener is closed where no thread can be had.
        drop(led);
    }
}
