//! A connection of a running command, or something that a running child would do, needs a yes: whoever is there is asked
//! while the call goes on. The ask ends with the call, or when the child needs no answer any more.

use codetether_event::{AskEvent, AskKind, Event};

use super::append;
use crate::{Next, Phase, State, Turn};

pub(super) fn policy(state: &State, turn: &Turn) -> Option<Next> {
    let attended = state.audience.is_some();
    let knocks = turn.knocks.iter().filter(|_| attended);
    let opened =
        knocks.map(|knock| Event::Ask(AskEvent::Opened { item: knock.item, ask: knock.ask.clone() }));
    let waits = |item| attended && turn.call(item).is_some_and(|call| call.phase == Phase::Running);
    let idle = turn.asks.iter().filter(|open| match &open.kind {
        AskKind::Permission { .. } | AskKind::Question(_) => false,
        AskKind::Egress { .. } => !waits(open.item),
        AskKind::Child { session, ask, .. } => !waits(open.item) || turn.is_settled(*session, *ask),
    });
    let withdrawn = idle.map(|open| Event::Ask(AskEvent::Withdrawn { ask: open.ask }));
    append(withdrawn.chain(opened).collect())
}

#[cfg(test)]
mod tests {
    use codetether_event::{Answer, AskId, Audience, EgressEvent, SessionEvent};

    use super::*;
    use crate::transcript::Transcript;

    fn denied(t: &mut Transcript, waits: bool) {
        let item = t.item(0);
        t.append(vec![Event::Egress(EgressEvent::Denied {
            item,
            target: Some("a.example:443".into()),
            why: "no rule names it".into(),
            rule: Some("a.example".into()),
            waits,
            file: None,
            missed: 0,
        })]);
        t.settle();
    }

    /// Two calls, of which the first runs and somebody is there.
    fn running() -> Transcript {
        let mut t = Transcript::new();
        t.append(vec![Event::Session(SessionEvent::Attached { audience: Audience::Terminal })]);
        t.prompt("go").calls(&[("bash", "{}"), ("bash", "{}")]).allow(0, true).allow(1, true);
        t.run(0);
        t
    }

    fn asks(t: &Transcript) -> Vec<AskId> {
        t.state().turn.as_ref().unwrap().asks.iter().map(|open| open.ask).collect()
    }

    #[test]
    fn what_waits_is_asked_about_once_and_its_call_runs_on() {
        let mut t = running();
        denied(&mut t, true);
        denied(&mut t, true);
        let [ask] = asks(&t)[..] else { panic!("{:?}", asks(&t)) };
        assert_eq!(t.decide(), Next::Wait { until: None });
        t.answer(ask, Answer::Allow).settle();
        assert_eq!(t.state().hosts, [""; 0]);
        assert_eq!(t.state().turn.as_ref().unwrap().step.calls[0].phase, Phase::Running);
        // The next connection needs a yes of its own.
        denied(&mut t, true);
        let [ask] = asks(&t)[..] else { panic!("{:?}", asks(&t)) };
        t.answer(ask, Answer::AllowAlways).settle();
        assert_eq!(
            (t.state().hosts.clone(), t.state().grants.clone()),
            (vec!["a.example".into()], Vec::new())
        );
    }

    #[test]
    fn what_does_not_wait_or_does_not_run_is_not_asked_about() {
        let mut t = running();
        denied(&mut t, false);
        assert_eq!(asks(&t), []);
        t.end_call(0, "done").settle();
        denied(&mut t, true);
        assert_eq!(asks(&t), []);
    }

    #[test]
    fn an_ask_ends_with_its_call() {
        let mut t = running();
        denied(&mut t, true);
        t.end_call(0, "gave up").settle();
        assert_eq!(asks(&t), []);
        assert!(
            matches!(t.decide(), Next::Start(effects) if matches!(effects[0], crate::Effect::Run { .. })),
            "the next call may start"
        );
    }

    #[test]
    fn an_ask_ends_when_everyone_leaves_and_comes_again_with_the_next_connection() {
        let mut t = running();
        denied(&mut t, true);
        t.append(vec![Event::Session(SessionEvent::Detached)]).settle();
        assert_eq!(asks(&t), []);
        denied(&mut t, true);
        assert_eq!(asks(&t), [], "nobody is there");
        t.append(vec![Event::Session(SessionEvent::Attached { audience: Audience::Terminal })]).settle();
        assert_eq!(asks(&t).len(), 1);
    }

    #[test]
    fn an_ask_is_withdrawn_with_an_interrupted_turn_and_after_a_crash() {
        let mut t = running();
        denied(&mut t, true);
        t.interrupt().start();
        t.settle();
        assert_eq!(asks(&t), []);
        t.end_call(0, "stopped").settle();
        assert_eq!(t.state().turn, None);

        let mut t = running();
        denied(&mut t, true);
        t.crash(true).settle();
        assert_eq!(asks(&t), []);
        assert_eq!(t.state().turn.as_ref().unwrap().knocks, []);
        assert!(t.last_results()[0].contains("may have run"), "{:?}", t.last_results());
    }
}
