//! An interrupted turn: what is under way is cancelled once, asks are withdrawn, calls that never started are
//! answered, and when all is closed the turn ends. Nothing new starts.

use codetether_event::{AskEvent, Event, InterruptReason, ItemId, LimitKind, Outcome, TurnEvent};

use super::{append, unstarted};
use crate::{Effect, Next, Phase, State, Turn};

pub(super) fn policy(state: &State, turn: &Turn) -> Option<Next> {
    let reason = turn.interrupted.as_ref()?;
    let open: Vec<ItemId> = turn.open().collect();
    if !open.is_empty() && !turn.cancelled {
        return Some(Next::Start(vec![Effect::Cancel { item: ItemId::at(state.next), items: open }]));
    }
    let withdrawn = turn.asks.iter().map(|open| Event::Ask(AskEvent::Withdrawn { ask: open.ask }));
    let unstarted =
        turn.step.calls.iter().filter(|call| !matches!(call.phase, Phase::Running | Phase::Ended(_))).map(
            |call| match &call.phase {
                // What the user said is not lost.
                Phase::Answered(answer) => super::ask::answered(call, answer),
                _ => unstarted(call, "not run: the turn was interrupted".into()),
            },
        );
    let facts: Vec<Event> = withdrawn.chain(unstarted).collect();
    if !facts.is_empty() {
        return append(facts);
    }
    if !open.is_empty() {
        return Some(Next::Wait { until: None });
    }
    let outcome = match reason {
        InterruptReason::Asked(_) | InterruptReason::Abandoned => Outcome::Interrupted,
        InterruptReason::TimeLimit => Outcome::LimitReached { limit: LimitKind::Time },
        InterruptReason::CostLimit(_) => Outcome::LimitReached { limit: LimitKind::Cost },
        InterruptReason::Hook(reason) => Outcome::Blocked { reason: reason.clone() },
        InterruptReason::Fault(error) => Outcome::Failed { error: error.clone() },
    };
    append(vec![Event::Turn(TurnEvent::Ended { outcome })])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::Transcript;

    #[test]
    fn what_is_under_way_is_cancelled_once_and_waited_for() {
        let mut t = Transcript::new();
        let sample = t.prompt("go").sample();
        t.interrupt();
        assert!(
            matches!(t.start(), effects if matches!(&effects[..], [Effect::Cancel { items, .. }] if items == &[sample]))
        );
        assert_eq!(t.decide(), Next::Wait { until: None });
        t.end_sample_interrupted("half a sen");
        t.settle();
        assert_eq!(t.state().last, Some(Outcome::Interrupted));
        assert_eq!(t.state().context.messages.last().unwrap().text(), "half a sen");
    }

    #[test]
    fn a_verdict_that_comes_too_late_opens_nothing_again() {
        let mut t = Transcript::new();
        t.prompt("go").calls(&[("read", "1"), ("write", "2")]).allow(0, false).run(0);
        t.interrupt();
        t.start();
        t.settle();
        t.allow(1, true).settle();
        t.end_call(0, "stopped");
        t.settle();
        assert_eq!(t.state().last, Some(Outcome::Interrupted));
        assert_eq!(t.last_results().len(), 2);
    }

    #[test]
    fn every_call_of_an_interrupted_step_has_a_result() {
        let mut t = Transcript::new();
        t.prompt("go").calls(&[("write", "{}"), ("bash", "{}"), ("read", "{}")]);
        t.allow(0, true).allow(1, true).allow(2, false).run(0);
        t.interrupt();
        t.start();
        t.settle();
        assert!(t.state().turn.is_some(), "the running call is waited for");
        t.end_call(0, "stopped");
        t.settle();
        assert_eq!(t.state().last, Some(Outcome::Interrupted));
        assert_eq!(t.state().context.messages.last().unwrap().parts.len(), 3);
    }
}
