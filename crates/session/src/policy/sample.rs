//! The next step: the model is asked.

use codetether_event::{ItemId, Manner};

use crate::{Effect, Next, State, Turn};

pub(super) fn policy(state: &State, turn: &Turn) -> Option<Next> {
    Some(ask(state, turn, None))
}

/// Asks for an answer, as the settings say.
pub(super) fn ask(state: &State, turn: &Turn, retry_of: Option<ItemId>) -> Next {
    let model = super::route::asked(state, turn);
    let Manner { effort, max_output, temperature } = turn.settings.manner(model);
    Next::Start(vec![Effect::Sample {
        item: ItemId::at(state.next),
        retry_of,
        model: model.clone(),
        effort,
        max_output,
        temperature,
    }])
}
