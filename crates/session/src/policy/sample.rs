//! The next step: the model is asked.

use codetether_event::ItemId;

use crate::{Effect, Next, State, Turn};

pub(super) fn policy(state: &State, turn: &Turn) -> Option<Next> {
    Some(ask(state, turn, None))
}

/// Asks for an answer, as the settings say.
pub(super) fn ask(state: &State, turn: &Turn, retry_of: Option<ItemId>) -> Next {
    let settings = &turn.settings;
    Next::Start(vec![Effect::Sample {
        item: ItemId::at(state.next),
        retry_of,
        model: turn.model.clone(),
        effort: settings.effort,
        max_output: settings.max_output,
        temperature: settings.temperature,
    }])
}
