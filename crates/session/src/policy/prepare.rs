//! A turn whose model, selection of tools or agent has no prefix yet gets one; a prefix that fits is kept, byte for byte.

use codetether_event::ItemId;

use crate::{Effect, EpochInfo, Next, State, Turn};

pub(super) fn policy(state: &State, turn: &Turn) -> Option<Next> {
    let settings = &turn.settings;
    let epoch = state.context.epoch.as_ref();
    let model = super::route::asked(state, turn);
    let asked_alike = epoch.filter(|epoch| epoch.model == *model && epoch.format == settings.format);
    let way = turn.way.or(asked_alike.map(|epoch| epoch.way)).unwrap_or_default();
    let told_alike = |epoch: &&EpochInfo| {
        epoch.offered == settings.offered(model)
            && epoch.supplement.as_ref() == settings.supplement_for(model)
    };
    if asked_alike.filter(told_alike).is_some_and(|epoch| epoch.way >= way) {
        return None;
    }
    // What asks for a summary is the last word until it is answered.
    let shows = state.context.summing.is_none();
    Some(Next::Start(vec![Effect::Prepare {
        item: ItemId::at(state.next),
        model: model.clone(),
        format: settings.format.clone(),
        way,
        files: if shows { state.context.to_show.clone() } else { Vec::new() },
        instructions: if shows { state.context.to_tell.clone() } else { Vec::new() },
        room: state.context.room,
    }]))
}

#[cfg(test)]
mod tests {
    use codetether_event::{ModelId, StopReason};

    use super::*;
    use crate::transcript::Transcript;

    #[test]
    fn a_prefix_is_prepared_once_and_again_for_another_model() {
        let mut t = Transcript::bare();
        t.prompt("go");
        assert!(matches!(&t.start()[..], [Effect::Prepare { .. }]));
        t.epoch();
        t.sample();
        t.answer_text("hi", StopReason::EndTurn);
        t.settle();
        t.prompt("again");
        assert!(matches!(t.decide(), Next::Start(effects) if matches!(effects[0], Effect::Sample { .. })));
        t.sample();
        t.answer_text("hi", StopReason::EndTurn);
        t.settle();
        t.settings_mut().model = ModelId::new("other/model");
        t.prompt("once more");
        assert!(matches!(t.decide(), Next::Start(effects) if matches!(effects[0], Effect::Prepare { .. })));
    }

    #[test]
    fn another_agents_prompt_is_another_prefix() {
        let mut t = Transcript::bare();
        t.prompt("go");
        assert!(matches!(&t.start()[..], [Effect::Prepare { .. }]));
        t.epoch();
        t.sample();
        t.answer_text("hi", StopReason::EndTurn);
        t.settle();
        t.settings_mut().supplement = Some(codetether_event::BlobId::new("plan"));
        t.prompt("again");
        assert!(matches!(&t.start()[..], [Effect::Prepare { .. }]));
        t.epoch();
        t.sample();
        t.answer_text("hi", StopReason::EndTurn);
        t.settle();
        t.prompt("the same once more");
        assert!(matches!(t.decide(), Next::Start(effects) if matches!(effects[0], Effect::Sample { .. })));
    }
}
