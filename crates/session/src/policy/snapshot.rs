//! Before a call that could write starts, the files are remembered, so that what it does can be taken back.

use codetether_event::{ItemId, Verdict};

use crate::{Effect, Next, Phase, State, Turn};

pub(super) fn policy(state: &State, turn: &Turn) -> Option<Next> {
    if !turn.settings.snapshots || turn.snapshotting.is_some() || turn.step.before.is_some() {
        return None;
    }
    let next = turn.step.calls.iter().find(|call| !matches!(call.phase, Phase::Ended(_)))?;
    let starts =
        next.phase == Phase::Judged && matches!(next.verdict, Some(Verdict::Allow { writes: true, .. }));
    starts.then(|| Next::Start(vec![Effect::Snapshot { item: ItemId::at(state.next) }]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::Transcript;

    fn remembering() -> Transcript {
        let mut t = Transcript::new();
        t.settings_mut().snapshots = true;
        t
    }

    #[test]
    fn a_call_that_could_write_starts_with_the_snapshot_before_it() {
        let mut t = remembering();
        t.prompt("go").calls(&[("read", "1"), ("write", "2")]).allow(0, false).allow(1, true);
        assert!(matches!(&t.start()[..], [Effect::Run { .. }]), "what reads waits for no snapshot");
        t.end_call(0, "r");
        assert!(matches!(&t.start()[..], [Effect::Snapshot { .. }]));
        assert_eq!(t.decide(), Next::Wait { until: None });
        t.snapshot("s1");
        assert!(matches!(&t.start()[..], [Effect::Run { .. }]));
        t.end_call_after(1, "w", "s2");
        let changes = &t.state().files.changes;
        assert_eq!(changes.len(), 1);
        assert_eq!((changes[0].before.as_str(), changes[0].after.as_ref().unwrap().as_str()), ("s1", "s2"));
    }

    #[test]
    fn each_call_that_could_write_has_a_snapshot_of_its_own() {
        let mut t = remembering();
        t.prompt("go").calls(&[("write", "1"), ("write", "2")]).allow(0, true).allow(1, true);
        t.start();
        t.snapshot("s1");
        t.start();
        t.end_call_after(0, "w", "s2");
        assert!(matches!(&t.start()[..], [Effect::Snapshot { .. }]));
    }

    #[test]
    fn a_call_that_changed_nothing_is_no_change() {
        let mut t = remembering();
        t.prompt("go").calls(&[("bash", "1")]).allow(0, true);
        t.start();
        t.snapshot("s1");
        t.start();
        t.end_call_after(0, "w", "s1");
        assert_eq!(t.state().files.changes, []);
    }

    #[test]
    fn a_snapshot_that_fails_ends_the_turn_before_the_call_runs() {
        let mut t = remembering();
        t.prompt("go").calls(&[("write", "1")]).allow(0, true);
        let item = t.start_only();
        t.append(vec![codetether_event::Event::Item(codetether_event::ItemEvent::Failed {
            item,
            error: "the disk is full".into(),
        })]);
        t.settle();
        assert!(matches!(&t.state().last, Some(codetether_event::Outcome::Failed { .. })));
    }
}
