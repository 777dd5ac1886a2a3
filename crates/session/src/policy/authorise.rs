//! Calls that were not judged yet are judged, all of an answer together. One that must be asked about is judged again
//! in its turn, when nothing before it can change what it would do; so is one that was allowed, since days may have
//! passed.

use codetether_event::ItemId;

use crate::{Effect, Next, Phase, State, Turn};

pub(super) fn policy(state: &State, turn: &Turn) -> Option<Next> {
    let proposed = turn.step.calls.iter().filter(|call| {
        call.phase == Phase::Proposed && (call.verdict.is_none() || turn.step.is_settled_before(call.item))
    });
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
    fn a_call_to_ask_about_waits_until_nothing_before_it_can_change_it() {
        let mut t = Transcript::new();
        let first = t.prompt("go").calls(&[("write", "1"), ("edit", "2")]).ask_at(UnixMillis(9));
        t.judge_ask(1);
        assert_eq!(t.decide(), Next::Wait { until: None }, "the second is not asked about yet");
        t.answer(first, Answer::Allow);
        assert!(matches!(&t.start()[..], [Effect::Authorize { calls, .. }] if calls == &[t.item(0)]));
        t.judge_ask(0);
        t.start();
        t.end_call(0, "written");
        assert!(matches!(&t.start()[..], [Effect::Authorize { calls, .. }] if calls == &[t.item(1)]));
        t.judge_ask(1).settle();
        assert_eq!(t.state().turn.as_ref().unwrap().asks.len(), 1);
    }

    #[test]
    fn a_judging_ends_with_its_own_last_verdict_whatever_became_of_the_calls() {
        let mut t = Transcript::new();
        t.prompt("go").calls_unjudged(&[("read", "1"), ("read", "2")]);
        t.start();
        t.interrupt();
        t.start();
        t.settle();
        let items = t.judging();
        for item in items {
            t.append(vec![codetether_event::Event::Call(codetether_event::CallEvent::Authorized {
                item,
                verdict: codetether_event::Verdict::Allow { writes: false, rule: "late".into() },
                helped: None,
            })]);
        }
        t.settle();
        assert_eq!(t.state().turn, None, "the turn ends");
    }

    #[test]
    fn an_allowed_call_is_judged_again() {
        let mut t = Transcript::new();
        let ask = t.prompt("go").calls(&[("bash", "{}")]).ask_at(UnixMillis(9));
        t.answer(ask, Answer::Allow);
        assert!(matches!(t.decide(), Next::Start(effects) if matches!(effects[0], Effect::Authorize { .. })));
    }
}
