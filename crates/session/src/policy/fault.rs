//! A failure of ours stops the turn: what is under way is cancelled, and the turn ends as failed.

use codetether_event::{Event, InterruptReason, TurnEvent};

use super::append;
use crate::{Next, State, Turn};

pub(super) fn policy(_: &State, turn: &Turn) -> Option<Next> {
    let error = turn.fault.as_ref()?;
    if turn.interrupted.is_some() {
        return None;
    }
    append(vec![Event::Turn(TurnEvent::Interrupted { reason: InterruptReason::Fault(error.clone()) })])
}

#[cfg(test)]
mod tests {
    use codetether_event::{Event, ItemEvent, Outcome};

    use crate::transcript::Transcript;

    #[test]
    fn a_failed_preparation_ends_the_turn() {
        let mut t = Transcript::bare();
        t.prompt("go");
        let item = t.start_only();
        t.append(vec![Event::Item(ItemEvent::Failed { item, error: "no system prompt".into() })]);
        t.settle();
        assert_eq!(t.state().last, Some(Outcome::Failed { error: "no system prompt".into() }));
    }
}
