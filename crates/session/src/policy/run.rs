//! Allowed calls run: those that only read side by side, those that could write in the order in which the model
//! made them, each after all before it.

use crate::{Effect, Next, Phase, State, Turn};
use codetether_event::Verdict;

pub(super) fn policy(_: &State, turn: &Turn) -> Option<Next> {
    let remembered = !turn.settings.snapshots || turn.step.before.is_some();
    let mut effects = Vec::new();
    let (mut all_ended, mut only_reads) = (true, true);
    for call in &turn.step.calls {
        let allowed = call.phase == Phase::Judged && matches!(call.verdict, Some(Verdict::Allow { .. }));
        let in_turn = if call.could_write() { all_ended && remembered } else { only_reads };
        if allowed && in_turn {
            effects.push(Effect::Run { call: call.item });
        }
        if !matches!(call.phase, Phase::Ended(_)) {
            all_ended = false;
            only_reads &= !call.could_write();
        }
    }
    (!effects.is_empty()).then_some(Next::Start(effects))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::Transcript;

    fn started(t: &mut Transcript) -> usize {
        match t.decide() {
            Next::Start(_) => t.start().len(),
            _ => 0,
        }
    }

    #[test]
    fn reads_run_side_by_side() {
        let mut t = Transcript::new();
        t.prompt("go").calls(&[("read", "1"), ("read", "2"), ("read", "3")]);
        t.allow(0, false).allow(1, false).allow(2, false);
        assert_eq!(started(&mut t), 3);
    }

    #[test]
    fn a_write_waits_for_all_before_it_and_holds_up_all_after_it() {
        let mut t = Transcript::new();
        t.prompt("go").calls(&[("read", "1"), ("write", "2"), ("read", "3"), ("write", "4")]);
        t.allow(0, false).allow(1, true).allow(2, false).allow(3, true);
        assert_eq!(started(&mut t), 1);
        assert_eq!(started(&mut t), 0);
        t.end_call(0, "r");
        assert_eq!(started(&mut t), 1);
        t.end_call(1, "w");
        assert_eq!(started(&mut t), 1);
        t.end_call(2, "r");
        assert_eq!(started(&mut t), 1);
    }

    #[test]
    fn results_keep_the_order_of_the_calls() {
        let mut t = Transcript::new();
        t.prompt("go").calls(&[("read", "1"), ("read", "2")]).allow(0, false).allow(1, false);
        t.start();
        t.end_call(1, "second");
        t.end_call(0, "first");
        assert_eq!(t.last_results(), ["first", "second"]);
    }

    #[test]
    fn a_permit_exists_only_while_an_allowed_call_runs() {
        let mut t = Transcript::new();
        t.prompt("go").calls(&[("write", r#"{"path":"a"}"#)]);
        let item = t.item(0);
        assert_eq!(t.state().permit(item), None);
        t.allow(0, true);
        assert_eq!(t.state().permit(item), None);
        t.run(0);
        assert_eq!(t.state().permit(item).unwrap().call().arguments, r#"{"path":"a"}"#);
        t.end_call(0, "done");
        assert_eq!(t.state().permit(item), None);
    }
}
