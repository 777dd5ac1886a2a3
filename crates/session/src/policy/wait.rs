//! While anything is under way, nothing else happens: the next fact decides, or the turn's time.

use crate::{Next, State, Turn};

pub(super) fn policy(_: &State, turn: &Turn) -> Option<Next> {
    let busy = turn.open().next().is_some() || !turn.asks.is_empty();
    busy.then(|| Next::Wait { until: turn.deadline() })
}
