//! An answer that does not fit its schema goes back to the model with what is wrong, twice at most; then the turn ends.
//! What is no JSON at all is asked for in the next way, if the provider had said that it enforces the schema (in the fold).

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
    use crate::Effect;
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
    fn a_provider_that_passes_over_the_schema_is_asked_in_the_next_way() {
        for (strict, text, wanted) in [
            (false, "two birds", Some(Way::Tool)),
            // What it gave is JSON, so it may well enforce all but what it was not given.
            (false, "{}", None),
            // The next way would not be enforced.
            (true, "two birds", None),
        ] {
            let mut t = Transcript::new();
            let schema = Box::new(serde_json::json!({ "type": "object" }));
            t.settings_mut().format = ResponseFormat::Schema { name: "s".into(), schema, strict };
            t.prompt("go");
            t.start();
            t.epoch();
            t.sample();
            t.answer_text_read(text, Way::Native, Reading::Misfits { problem: "it does not fit".into() });
            t.settle();
            let Next::Start(effects) = t.decide() else { panic!("{:?}", t.decide()) };
            let asked = match &effects[..] {
                [Effect::Prepare { way, .. }] => Some(*way),
                [Effect::Sample { .. }] => None,
                other => panic!("{other:?}"),
            };
            assert_eq!(asked, wanted, "{text}, strict: {strict}");
        }
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
