//! The same calls with the same results three steps running, and nothing written: the model is told; when it does
//! it once more, the turn ends.

use codetether_event::{ContextEvent, ContextSource, Event, LimitKind, Message, Outcome, TurnEvent};

use super::append;
use crate::{Next, State, Turn};

const RUNNING: u32 = 3;

pub(super) fn policy(_: &State, turn: &Turn) -> Option<Next> {
    let (_, times) = turn.repeat?;
    match (times, turn.nudged) {
        (RUNNING.., false) => append(vec![Event::Context(ContextEvent::Added {
            message: Message::user(format!(
                "You have made the same call {times} times running, with the same result, and nothing has changed. \
                 Doing it again will not help: do something else, or end with what you know."
            )),
            source: ContextSource::NoProgress,
        })]),
        (4.., true) => {
            let outcome = Outcome::LimitReached { limit: LimitKind::NoProgress };
            append(vec![Event::Turn(TurnEvent::Ended { outcome })])
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::Transcript;

    fn step(t: &mut Transcript, arguments: &str, result: &str) {
        t.calls(&[("read", arguments)]).allow(0, false).run(0).end_call(0, result);
        t.settle();
    }

    fn told(t: &Transcript) -> bool {
        t.state().context.messages.iter().any(|message| message.text().contains("times running"))
    }

    #[test]
    fn the_model_is_told_and_then_the_turn_ends() {
        let mut t = Transcript::new();
        t.prompt("go");
        step(&mut t, "{}", "same");
        step(&mut t, "{}", "same");
        assert!(!told(&t));
        step(&mut t, "{}", "same");
        assert!(told(&t));
        step(&mut t, "{}", "same");
        assert_eq!(t.state().last, Some(Outcome::LimitReached { limit: LimitKind::NoProgress }));
    }

    #[test]
    fn leaving_the_circle_starts_the_count_again() {
        let mut t = Transcript::new();
        t.prompt("go");
        for _ in 0..3 {
            step(&mut t, "{}", "same");
        }
        step(&mut t, r#"{"path":"b"}"#, "other");
        for _ in 0..3 {
            step(&mut t, "{}", "same");
        }
        assert_eq!(t.state().last, None);
        step(&mut t, "{}", "same");
        assert!(t.state().last.is_some());
    }

    #[test]
    fn another_result_or_a_write_is_progress() {
        let mut t = Transcript::new();
        t.prompt("go");
        for n in 0..6 {
            step(&mut t, "{}", &n.to_string());
        }
        for _ in 0..6 {
            t.calls(&[("edit", "{}")]).allow(0, true).run(0).end_call_wrote(0, "edited", "a.txt");
            t.settle();
        }
        assert!(!told(&t));
    }
}
