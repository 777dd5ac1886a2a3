//! A turn stops when its time is up. Time while an ask is open, or while nobody owned the session, does not count.

use codetether_event::{Event, InterruptReason, TurnEvent};

use super::append;
use crate::{Next, State, Turn};

pub(super) fn policy(state: &State, turn: &Turn) -> Option<Next> {
    if turn.interrupted.is_some() || state.now < turn.deadline()? {
        return None;
    }
    append(vec![Event::Turn(TurnEvent::Interrupted { reason: InterruptReason::TimeLimit })])
}

#[cfg(test)]
mod tests {
    use codetether_event::{Answer, LimitKind, Outcome, UnixMillis};

    use crate::Next;
    use crate::transcript::Transcript;

    #[test]
    fn a_turn_out_of_time_is_cancelled_and_ends_at_its_limit() {
        let mut t = Transcript::new();
        t.settings_mut().max_time_ms = Some(5_000);
        t.prompt("go").sample();
        assert_eq!(t.decide(), Next::Wait { until: Some(UnixMillis(t.turn_started().0 + 5_000)) });
        t.pass(5_000).note();
        assert!(matches!(&t.start()[..], [crate::Effect::Cancel { .. }]));
        t.end_sample_interrupted("half").settle();
        assert_eq!(t.state().last, Some(Outcome::LimitReached { limit: LimitKind::Time }));
    }

    #[test]
    fn time_stands_still_while_an_ask_is_open() {
        let mut t = Transcript::new();
        t.settings_mut().max_time_ms = Some(5_000);
        let ask = t.prompt("go").calls(&[("bash", "{}")]).ask_at(UnixMillis(2_000));
        t.pass(9_000_000).note();
        assert_eq!(t.decide(), Next::Wait { until: None });
        t.answer(ask, Answer::Deny { reason: None });
        t.settle();
        assert_eq!(t.state().last, None, "the turn goes on to its next sample");
    }
}
