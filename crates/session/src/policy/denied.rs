//! A call that permission refused, or that someone declined, is answered with who refused it.

use codetether_event::{Event, Verdict};

use super::{append, unstarted};
use crate::{Next, Phase, State, Turn};

pub(super) fn policy(_: &State, turn: &Turn) -> Option<Next> {
    let facts: Vec<Event> = turn
        .step
        .calls
        .iter()
        .filter_map(|call| match (&call.phase, &call.verdict) {
            (Phase::Judged, Some(Verdict::Deny { rule })) => {
                let text = format!("not permitted ({rule}); do not try to get round it: work without it, or end and say what you need");
                Some(unstarted(call, text))
            }
            (Phase::Declined(reason), _) => {
                let text = match reason {
                    Some(reason) => format!("the user said no: {reason}"),
                    None => "the user said no".to_owned(),
                };
                Some(unstarted(call, text))
            }
            _ => None,
        })
        .collect();
    append(facts)
}

#[cfg(test)]
mod tests {
    use codetether_event::{Answer, UnixMillis, Verdict};

    use crate::transcript::Transcript;

    #[test]
    fn a_denied_call_is_answered_and_reported() {
        let mut t = Transcript::new();
        t.prompt("go").calls(&[("bash", "{}")]).judge(0, Verdict::Deny { rule: "mode `plan`".into() });
        t.settle();
        assert!(t.last_results()[0].starts_with("not permitted (mode `plan`)"));
        let refused = &t.state().turn.as_ref().unwrap().refused;
        assert_eq!(refused.iter().map(|refusal| refusal.rule.as_str()).collect::<Vec<_>>(), ["mode `plan`"]);
    }

    #[test]
    fn a_declined_call_carries_the_users_reason() {
        let mut t = Transcript::new();
        let ask = t.prompt("go").calls(&[("bash", "{}")]).ask_at(UnixMillis(9));
        t.answer(ask, Answer::Deny { reason: Some("use make".into()) });
        t.settle();
        assert_eq!(t.last_results(), ["the user said no: use make"]);
    }
}
