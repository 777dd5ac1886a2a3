//! What the user says during a turn is taken in with the next sample; an answer does not end the turn while
//! something was said that no sample has seen.

use crate::{Next, State, Turn};

pub(super) fn policy(state: &State, turn: &Turn) -> Option<Next> {
    let unseen = turn.answered.is_some() && !turn.pending.is_empty();
    if !unseen {
        return None;
    }
    super::hooks::begin(state, turn)
        .or_else(|| super::max_steps::policy(state, turn))
        .or_else(|| super::compact::policy(state, turn))
        .or_else(|| super::prepare::policy(state, turn))
        .or_else(|| super::process::policy(state, turn))
        .or_else(|| super::hooks::told(state, turn))
        .or_else(|| super::sample::policy(state, turn))
}

#[cfg(test)]
mod tests {
    use codetether_event::{Outcome, StopReason};

    use super::*;
    use crate::Effect;
    use crate::transcript::Transcript;

    #[test]
    fn an_answer_does_not_end_a_turn_that_was_steered() {
        let mut t = Transcript::new();
        t.prompt("go").sample();
        t.steer("and also this");
        t.answer_text("done", StopReason::EndTurn);
        assert!(matches!(t.decide(), Next::Start(effects) if matches!(effects[0], Effect::Sample { .. })));
        t.sample();
        assert_eq!(t.state().context.messages.last().unwrap().text(), "and also this");
        t.answer_text("done too", StopReason::EndTurn);
        t.settle();
        assert_eq!(t.state().last, Some(Outcome::Completed));
    }

    #[test]
    fn steering_comes_after_the_results_of_the_step() {
        let mut t = Transcript::new();
        t.prompt("go").calls(&[("read", "{}")]).allow(0, false).run(0);
        t.steer("look at b instead");
        t.end_call(0, "a's text");
        t.sample();
        let texts: Vec<_> = t.state().context.messages.iter().map(|message| message.text()).collect();
        assert_eq!(texts.last().map(String::as_str), Some("look at b instead"));
        assert_eq!(t.last_results(), ["a's text"]);
    }
}
