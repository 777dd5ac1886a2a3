//! An answer that does not fit its schema goes back to the model with what is wrong, twice at most; then the turn ends.

use codetether_event::{ContextEvent, ContextSource, Event, Message, Outcome, StopReason, TurnEvent};

use super::append;
use crate::{Next, State, Turn};

/// How often the model is told.
const ROUNDS: u32 = 2;

pub(super) fn policy(_: &State, turn: &Turn) -> Option<Next> {
    // What was cut or refused does not get better by being told.
    if matches!(turn.answered.as_ref()?, StopReason::MaxOutput | StopReason::Refused) {
        return None;
    }
    let problem = turn.misfit.as_ref()?;
    append(vec![if turn.misfits < ROUNDS {
        Event::Context(ContextEvent::Added {
            message: Message::user(format!(
                "This cannot be used as the answer: {problem}. Give the whole answer again, mended, and nothing besides \
                 it."
            )),
            source: ContextSource::Misfit,
        })
    } else {
        Event::Turn(TurnEvent::Ended { outcome: Outcome::Misfit { problem: problem.clone() } })
    }])
}

#[cfg(test)]
mod tests {
    use codetether_event::{Reading, ResponseFormat, Rung, Way};

    use super::*;
    use crate::transcript::Transcript;

    fn asked() -> Transcript {
        let mut t = Transcript::new();
        t.settings_mut().format = ResponseFormat::Json;
        t.prompt("go");
        t.start();
        t.epoch();
        t
    }

    fn misfit(t: &mut Transcript, problem: &str) {
        t.sample();
        t.answer_read(Way::Json, Reading::Misfits { problem: problem.into() });
        t.settle();
    }

    #[test]
    fn the_model_hears_what_is_wrong_twice_and_then_the_turn_ends() {
        let mut t = asked();
        for problem in ["`a` is missing", "`b` is missing"] {
            misfit(&mut t, problem);
            assert_eq!(t.state().last, None);
            let told = t.state().context.messages.last().unwrap().text();
            assert!(told.contains(problem), "{told}");
        }
        misfit(&mut t, "`c` is missing");
        assert_eq!(t.state().last, Some(Outcome::Misfit { problem: "`c` is missing".into() }));
    }

    #[test]
    fn an_answer_that_fits_ends_the_turn() {
        let mut t = asked();
        misfit(&mut t, "`a` is missing");
        t.sample();
        t.answer_read(Way::Json, Reading::Fits { rung: Rung::Strict, value: Box::new(true.into()) });
        t.settle();
        assert_eq!(t.state().last, Some(Outcome::Completed));
    }
}
