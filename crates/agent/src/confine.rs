//! What a session's commands are confined in: a sandbox that is made for the first of them, and stays while the mode is
//! the same and nothing has ended it. It guards by itself what has come into the workspace before each command.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use codetether_event::{Event, Mode};
use codetether_sandbox::{Kept, Net, Policy};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::egress::{Egress, WayOut};

/// How commands are confined.
#[derive(Clone)]
pub struct Confine {
    /// This program, which holds a sandbox when it is started as `sandbox keep`.
    pub program: PathBuf,
    /// For modes in which the workspace may be written.
    pub writing: Policy,
    /// For mode `plan`.
    pub reading: Policy,
    /// What leads the way out, where `writing` has one.
    pub way_out: Option<WayOut>,
}

/// The sandbox that stands.
pub(crate) struct Sandbox {
    confine: Confine,
    egress: Option<Egress>,
    standing: Mutex<Option<Standing>>,
}

/// A sandbox, and what it is good for.
struct Standing {
    writes: bool,
    kept: Arc<Kept>,
    /// Fires when another takes its place: what runs in it in the background is to end.
    replaced: DropGuard,
}

impl Sandbox {
    /// With the rules for hosts that were allowed for the session; what is denied goes to `facts`.
    pub(crate) fn new(confine: Confine, hosts: Vec<String>, facts: mpsc::Sender<Event>) -> Self {
        let egress = confine.way_out.clone().map(|way_out| Egress::new(way_out, hosts, facts));
        Self { confine, egress, standing: Mutex::default() }
    }

    /// The way out, where there may be one.
    pub(crate) fn egress(&self) -> Option<&Egress> {
        self.egress.as_ref()
    }

    /// What commands in this mode may do.
    pub(crate) fn policy(&self, mode: Mode) -> Policy {
        let mut policy =
            if mode == Mode::Plan { &self.confine.reading } else { &self.confine.writing }.clone();
        if let (Net::Allow(hosts), Some(egress)) = (&mut policy.net, &self.egress) {
            hosts.extend(egress.granted());
        }
        policy
    }

    /// The sandbox for commands in this mode, and what fires when another takes its place. Blocks for some milliseconds where it has to be made.
    ///
    /// # Errors
    /// Why there is none, in words. Nothing may run then.
    pub(crate) fn kept(&self, mode: Mode) -> Result<(Arc<Kept>, CancellationToken), String> {
        let writes = mode != Mode::Plan;
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let good = |standing: &&Standing| standing.writes == writes && !standing.kept.is_gone();
        if let Some(Standing { kept, replaced, .. }) = standing.as_ref().filter(good) {
            return Ok((Arc::clone(kept), replaced.token().clone()));
        }
        let mut kept = Kept::start(&self.confine.program, &self.policy(mode)).map_err(|fault| {
            let cure = fault.cure.as_ref().map(|cure| format!(" ({cure})")).unwrap_or_default();
            format!("there is no sandbox to run it in, so it was not run: {fault}{cure}")
        })?;
        if let Some(egress) = &self.egress {
            egress
                .lead(kept.take_way_out())
                .map_err(|error| format!("its sandbox has no way out, so it was not run: {error}"))?;
        }
        let kept = Arc::new(kept);
        let replaced = CancellationToken::new();
        let token = replaced.clone();
        *standing = Some(Standing { writes, kept: Arc::clone(&kept), replaced: replaced.drop_guard() });
        Ok((kept, token))
    }
}
