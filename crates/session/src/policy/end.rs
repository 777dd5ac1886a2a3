//! An answer without calls ends the turn.

use codetether_event::{
    Event, LimitKind, Outcome, ProviderFailure, ProviderFailureKind, StopReason, TurnEvent,
};

use super::append;
use crate::{Next, State, Turn};

pub(super) fn policy(_: &State, turn: &Turn) -> Option<Next> {
    append(vec![ended(turn.answered.as_ref()?)])
}

/// The end of a turn whose last answer stopped so.
pub(super) fn ended(stop: &StopReason) -> Event {
    let outcome = match stop {
        StopReason::EndTurn | StopReason::ToolUse | StopReason::Other(_) => Outcome::Completed,
        StopReason::MaxOutput => Outcome::LimitReached { limit: LimitKind::Output },
        StopReason::Refused => Outcome::ProviderFailed {
            failure: ProviderFailure {
                kind: ProviderFailureKind::Declined,
                status: None,
                message: "the provider or its model declined to answer".into(),
                retry_after_ms: None,
            },
        },
    };
    Event::Turn(TurnEvent::Ended { outcome })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::Transcript;

    fn outcome(stop: StopReason) -> Outcome {
        let mut t = Transcript::new();
        t.prompt("go").sample();
        t.answer_text("hello", stop);
        t.settle();
        assert_eq!(t.decide(), Next::Rest);
        t.state().last.clone().unwrap()
    }

    #[test]
    fn an_answer_without_calls_ends_the_turn() {
        assert_eq!(outcome(StopReason::EndTurn), Outcome::Completed);
    }

    #[test]
    fn an_answer_cut_at_its_limit_is_no_success() {
        assert_eq!(outcome(StopReason::MaxOutput), Outcome::LimitReached { limit: LimitKind::Output });
        assert!(matches!(outcome(StopReason::Refused), Outcome::ProviderFailed { .. }));
    }
}
