//! What a session's commands are confined in: a sandbox that is made for the first of them, and stays while the mode is
//! the same.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use codetether_event::Mode;
use codetether_sandbox::{Kept, Policy};

/// How commands are confined.
#[derive(Debug, Clone)]
pub struct Confine {
    /// This program, which holds a sandbox when it is started as `sandbox keep`.
    pub program: PathBuf,
    /// For modes in which the workspace may be written.
    pub writing: Policy,
    /// For mode `plan`.
    pub reading: Policy,
}

/// The sandbox that stands.
pub(crate) struct Sandbox {
    confine: Confine,
    standing: Mutex<Option<(bool, Arc<Kept>)>>,
}

impl Sandbox {
    pub(crate) fn new(confine: Confine) -> Self {
        Self { confine, standing: Mutex::default() }
    }

    /// The sandbox for commands in this mode. Blocks for some milliseconds where it has to be made.
    ///
    /// # Errors
    /// Why there is none, in words. Nothing may run then.
    pub(crate) fn kept(&self, mode: Mode) -> Result<Arc<Kept>, String> {
        let writes = mode != Mode::Plan;
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, kept)) = standing.as_ref().filter(|(writing, _)| *writing == writes) {
            return Ok(Arc::clone(kept));
        }
        let policy = if writes { &self.confine.writing } else { &self.confine.reading };
        let kept = Kept::start(&self.confine.program, policy).map_err(|fault| {
            let cure = fault.cure.as_ref().map(|cure| format!(" ({cure})")).unwrap_or_default();
            format!("there is no sandbox to run it in, so it was not run: {fault}{cure}")
        })?;
        let kept = Arc::new(kept);
        *standing = Some((writes, Arc::clone(&kept)));
        Ok(kept)
    }
}
