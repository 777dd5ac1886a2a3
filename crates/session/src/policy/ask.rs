//! A call that needs a yes: whoever is there is asked; when nobody is, it is refused, and the run says so. A call that is a
//! question never runs: what the user answers is its result.

use codetether_event::{Answer, AskEvent, AskKind, CallEvent, Event, ToolResult, Verdict};

use super::{append, unstarted};
use crate::{Call, Next, Phase, State, Turn};

/// Said of a question that nobody is there to answer.
const ALONE: &str = "nobody is here to answer; go on with the assumption that is most likely right, and say in your last answer which one \
                     you made";

/// What to do without an answer.
const BEST: &str = "go on with the assumption that is most likely right, and say which one you made";

pub(super) fn policy(state: &State, turn: &Turn) -> Option<Next> {
    let mut facts = Vec::new();
    for call in &turn.step.calls {
        let Some(Verdict::Ask { ask }) = &call.verdict else { continue };
        match (&call.phase, call.granted, state.audience) {
            (Phase::Answered(answer), ..) => facts.push(answered(call, answer)),
            (Phase::Judged, false, None) if matches!(ask, AskKind::Question(_)) => {
                facts.push(unstarted(call, ALONE.into()));
            }
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

/// The end of a call that is a question: its result is what the user said.
pub(super) fn answered(call: &Call, answer: &Answer) -> Event {
    let (text, error) = match answer {
        Answer::Chosen { options, text } => {
            let chosen: Vec<String> = options.iter().map(|option| format!("\"{option}\"")).collect();
            let chosen = (!chosen.is_empty()).then(|| format!("the user chose {}", chosen.join(" and ")));
            let said = text.as_ref().map(|text| format!("the user says: {text}"));
            (chosen.into_iter().chain(said).collect::<Vec<_>>().join("\n"), false)
        }
        Answer::Deny { reason: Some(reason) } => (format!("the user did not choose: {reason}"), true),
        Answer::Allow | Answer::AllowSession | Answer::AllowAlways | Answer::Deny { reason: None } => {
            (format!("the user gave no answer; {BEST}"), true)
        }
    };
    Event::Call(CallEvent::Ended {
        item: call.item,
        result: ToolResult { call: call.call.id.clone(), text, error },
        whole: None,
        wrote: Vec::new(),
        known: Vec::new(),
        timing: None,
        after: None,
    })
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

    fn chosen(options: &[&str], text: Option<&str>) -> Answer {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        Answer::Chosen { options, text: text.map(str::to_owned) }
    }

    #[test]
    fn what_the_user_answers_is_the_result_of_a_question_which_never_runs() {
        for (answer, told) in [
            (chosen(&["green"], None), "the user chose \"green\""),
            (chosen(&["red", "green"], None), "the user chose \"red\" and \"green\""),
            (chosen(&["red"], Some("a dark one")), "the user chose \"red\"\nthe user says: a dark one"),
            (chosen(&[], Some("blue")), "the user says: blue"),
            (Answer::Deny { reason: Some("later".into()) }, "the user did not choose: later"),
        ] {
            let mut t = Transcript::new();
            let ask = t.prompt("go").calls(&[("question", "{}")]).question(true);
            assert_eq!(t.decide(), Next::Wait { until: None });
            t.answer(ask, answer);
            t.settle();
            assert_eq!(t.last_results(), [told]);
            assert!(
                matches!(t.decide(), Next::Start(effects) if matches!(effects[0], crate::Effect::Sample { .. }))
            );
        }
    }

    #[test]
    fn a_question_that_nobody_can_answer_is_no_refusal() {
        let mut t = Transcript::new();
        t.prompt("go").calls(&[("question", "{}")]).judge_question(0, false);
        t.settle();
        assert!(t.last_results()[0].contains("go on with the assumption"), "{:?}", t.last_results());
        assert_eq!(t.state().turn.as_ref().unwrap().refused, []);
    }

    #[test]
    fn a_question_holds_up_no_reads_but_the_writes_behind_it() {
        let mut t = Transcript::new();
        t.prompt("go").calls(&[("question", "1"), ("read", "2"), ("write", "3")]);
        t.append(vec![Event::Session(codetether_event::SessionEvent::Attached {
            audience: codetether_event::Audience::Terminal,
        })]);
        t.judge_question(0, false).allow(1, false).allow(2, true);
        let effects = t.start();
        assert!(matches!(&effects[..], [crate::Effect::Run { call }] if *call == t.item(1)), "{effects:?}");
    }

    #[test]
    fn an_answer_survives_the_end_of_the_program_and_an_open_question_is_asked_anew() {
        let mut t = Transcript::new();
        let ask = t.prompt("go").calls(&[("question", "{}")]).question(false);
        t.answer(ask, chosen(&["red"], None)).crash(true);
        t.settle();
        assert_eq!(t.last_results(), ["the user chose \"red\""]);
        for go_on in [true, false] {
            let mut t = Transcript::new();
            let ask = t.prompt("go").calls(&[("question", "{}")]).question(false);
            t.crash(go_on);
            t.append(vec![Event::Session(codetether_event::SessionEvent::Attached {
                audience: codetether_event::Audience::Terminal,
            })]);
            t.settle();
            if !go_on {
                assert_eq!(t.last_results(), ["not run: the turn was interrupted"]);
            }
            let waits: Vec<bool> = t.state().turn.iter().map(|turn| turn.asks.len() == 1).collect();
            assert_eq!(waits, if go_on { vec![true] } else { vec![] });
            assert!(t.state().turn.iter().flat_map(|turn| &turn.asks).all(|open| open.ask != ask));
        }
    }

    #[test]
    fn time_stands_still_while_a_question_is_open() {
        let mut t = Transcript::new();
        t.settings_mut().max_time_ms = Some(1_000);
        let ask = t.prompt("go").calls(&[("question", "{}")]).question(false);
        t.pass(1_000_000).note();
        assert_eq!(t.decide(), Next::Wait { until: None });
        t.answer(ask, chosen(&["red"], None)).settle();
        assert_eq!(t.last_results(), ["the user chose \"red\""]);
    }
}
