//! What confinement, snapshots and the way out cost: each measured beside the same thing without it, in turns, so that
//! what else the machine does falls on both.

use std::time::{Duration, Instant};

use crate::figure::median;

pub(crate) mod commands;
pub(crate) mod proxy;
pub(crate) mod steps;
pub(crate) mod undo;

fn time(run: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    run();
    begun.elapsed()
}

/// What each of these runs took beyond the middle of those, in milliseconds.
fn beyond(runs: &[Duration], bare: &[Duration]) -> Vec<f64> {
    let bare = median(bare.iter().copied());
    runs.iter().map(|run| (run.as_secs_f64() - bare.as_secs_f64()) * 1_000.0).collect()
}
