//! The next step: the model is asked.

use codetether_event::ItemId;

use crate::{Effect, Next, State, Turn};

pub(super) fn policy(state: &State, turn: &Turn) -> Option<Next> {
    Some(Next::Start(vec![Effect::Sample {
        item: ItemId::at(state.next),
        retry_of: None,
        model: turn.settings.model.clone(),
        effort: turn.settings.effort,
        max_output: turn.settings.max_output,
    }]))
}
