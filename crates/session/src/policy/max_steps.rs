//! A turn asks for a bounded number of answers.

use codetether_event::{Event, LimitKind, Outcome, TurnEvent};

use super::append;
use crate::{Next, State, Turn};

pub(super) fn policy(_: &State, turn: &Turn) -> Option<Next> {
    if turn.steps < turn.settings.max_steps {
        return None;
    }
    let outcome = Outcome::LimitReached { limit: LimitKind::Steps };
    append(vec![Event::Turn(TurnEvent::Ended { outcome })])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::Transcript;

    #[test]
    fn the_last_steps_calls_still_run() {
        let mut t = Transcript::new();
        t.settings_mut().max_steps = 2;
        t.prompt("go");
        for n in ["1", "2"] {
            assert_eq!(t.state().last, None);
            t.calls(&[("read", n)]).allow(0, false).run(0).end_call(0, n);
            t.settle();
        }
        assert_eq!(t.state().last, Some(Outcome::LimitReached { limit: LimitKind::Steps }));
        assert_eq!(t.last_results(), ["2"]);
    }
}
