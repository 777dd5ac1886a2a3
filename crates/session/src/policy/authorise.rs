//! Calls that were not judged yet are judged, all of an answer together; so is a call that someone has allowed,
//! since days may have passed.

use codetether_event::ItemId;

use crate::{Effect, Next, Phase, State, Turn};

pub(super) fn policy(state: &State, turn: &Turn) -> Option<Next> {
    let proposed = turn.step.calls.iter().filter(|call| call.phase == Phase::Proposed);
    let calls: Vec<ItemId> = proposed.map(|call| call.item).collect();
    if calls.is_empty() || turn.authorizing.is_some() {
        return None;
    }
    Some(Next::Start(vec![Effect::Authorize { item: ItemId::at(state.next), calls }]))
}

#[cfg(test)]
mod tests {
    use codetether_event::{Answer, UnixMillis};

    use super::*;
    use crate::transcript::Transcript;

    #[test]
    fn an_answers_calls_are_judged_together_and_once() {
        let mut t = Transcript::new();
        t.prompt("go").calls_unjudged(&[("read", "{}"), ("list", "{}")]);
        assert!(matches!(&t.start()[..], [Effect::Authorize { calls, .. }] if calls.len() == 2));
        assert_eq!(t.decide(), Next::Wait { until: None });
    }

    #[test]
    fn an_allowed_call_is_judged_again() {
        let mut t = Transcript::new();
        let ask = t.prompt("go").calls(&[("bash", "{}")]).ask_at(UnixMillis(9));
        t.answer(ask, Answer::Allow);
        assert!(matches!(t.decide(), Next::Start(effects) if matches!(effects[0], Effect::Authorize { .. })));
    }
}
