//! The way out of a sandbox: the proxy, on a thread and a runtime of its own, so that what a command does to it holds up
//! nothing else.

use std::net::TcpListener;

use codetether_net::{Dialler, Upstream};
use codetether_sandbox::proxy::{Allow, Denied, Limits, Place, serve};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Denials that may wait to be told.
const TOLD: usize = 64;

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
