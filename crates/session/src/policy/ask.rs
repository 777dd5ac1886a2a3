//! A call that needs a yes: whoever is there is asked; when nobody is, it is refused, and the run says so.

use codetether_event::{AskEvent, CallEvent, Event, Verdict};

use super::append;
use crate::{Next, Phase, State, Turn};

pub(super) fn policy(state: &State, turn: &Turn) -> Option<Next> {
    let mut facts = Vec::new();
    for call in &turn.step.calls {
        let Some(Verdict::Ask { ask }) = &call.verdict else { continue };
        match (&call.phase, call.granted, state.audience) {
            (Phase::Judged, true, _) => facts.push(Event::Call(CallEvent::Authorized {
                item: call.item,
                verdict: Verdict::Allow { writes: true, rule: "answered".into() },
                helped: None,
            })),
            (Phase::Judged, false, Some(_)) => {
                facts.push(Event::Ask(AskEvent::Opened { item: call.item, ask: ask.clone() }));
            }
            (Phase::Judged, false, None) => facts.push(Event::Call(CallEvent::Authorized {
                item: call.item,
                verdict: Verdict::Deny { rule: unattended(ask.why(), ask.rules()) },
                helped: None,
            })),
            (Phase::Asked(ask), _, None) => facts.push(Event::Ask(AskEvent::Withdrawn { ask: *ask })),
            _ => {}
        }
    }
    append(facts)
}

/// Why a call is refused that nobody is there to allow.
fn unattended(why: &str, rules: &[String]) -> String {
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    let cure = match rules {
        [] => "no rule could".to_owned(),
        [rule] => format!("the rule `{rule}` would allow it"),
        rules => format!("the rules `{}` would allow it", rules.join("`, `")),
    };
    format!("nobody is here to allow it{why}; {cure}")
}

#[cfg(test)]
mod tests {
    use codetether_event::{Answer, Outcome, UnixMillis};

    use super::*;
    use crate::transcript::Transcript;

    #[test]
    fn with_nobody_there_an_ask_is_a_refusal() {
        let mut t = Transcript::new();
        t.prompt("go").calls(&[("bash", "{}")]).judge_ask(0);
        t.settle();
        assert!(t.last_results()[0].contains("nobody is here to allow it"), "{:?}", t.last_results());
        assert_eq!(t.state().turn.as_ref().unwrap().refused.len(), 1);
    }

    #[test]
    fn an_allowed_call_runs_once_it_was_judged_again() {
        let mut t = Transcript::new();
        let ask = t.prompt("go").calls(&[("bash", "{}")]).ask_at(UnixMillis(9));
        assert_eq!(t.decide(), Next::Wait { until: None });
        t.answer(ask, Answer::Allow);
        t.start();
        t.judge_ask(0);
        t.settle();
        assert!(
            matches!(t.decide(), Next::Start(effects) if matches!(effects[0], crate::Effect::Run { .. }))
        );
    }

    #[test]
    fn always_adds_the_rule_to_the_session() {
        let mut t = Transcript::new();
        let ask = t.prompt("go").calls(&[("bash", "{}")]).ask_at(UnixMillis(9));
        t.answer(ask, Answer::AllowSession);
        assert_eq!(t.state().grants, ["bash(x)"]);
        let mut t = Transcript::new();
        let ask = t.prompt("go").calls(&[("bash", "{}")]).ask_at(UnixMillis(9));
        t.answer(ask, Answer::AllowAlways);
        assert_eq!(t.state().grants, ["bash(x)"], "at least as long as the session lasts");
    }

    #[test]
    fn an_ask_is_withdrawn_when_everyone_leaves() {
        let mut t = Transcript::new();
        t.prompt("go").calls(&[("bash", "{}")]).ask_at(UnixMillis(9));
        t.append(vec![Event::Session(codetether_event::SessionEvent::Detached)]);
        t.settle();
        assert!(t.last_results()[0].contains("nobody is here"));
        assert_ne!(t.state().last, Some(Outcome::Interrupted));
    }
}
