//! The child that a call started: what is known of it, what it asks, and what its call is told of it.
//!
//! A child that has changed files sends its call back to be judged, now as one that would change these files of the
//! workspace: so rules, asks, the snapshot before and the permit hold for it as for any other call that writes.

use codetether_event::{AskId, AskKind, Brought, ChildEvent, Grant, Money, Outcome, SessionId, frame};

use crate::{Call, Knock, Phase, State, Turn};

/// Most files that are named.
const NAMED: usize = 40;

/// The child of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// Its session.
    pub session: SessionId,
    /// What it may spend.
    pub grant: Grant,
    /// How it ended, and how many steps it took.
    pub ended: Option<(Outcome, u32)>,
    /// What it said last, where the program ended before its parent could hear it.
    pub said: Option<String>,
    /// What it made, which is to be brought into the workspace.
    pub brought: Option<Brought>,
}

/// Names an ask of a child among those that wait.
pub(crate) fn key(session: SessionId, ask: AskId) -> String {
    format!("{session}/{ask}")
}

impl State {
    pub(crate) fn child_event(&mut self, event: &ChildEvent) {
        if let ChildEvent::Ended { usage, cost, .. } = event {
            self.ledger.usage += *usage;
            match cost {
                Some(cost) => {
                    self.ledger.cost = self.ledger.cost + *cost;
                    self.ledger.children = self.ledger.children + *cost;
                }
                None if usage.total() > 0 => self.ledger.unpriced += 1,
                None => {}
            }
        }
        let Some(turn) = &mut self.turn else { return };
        let (ChildEvent::Spawned { item, .. }
        | ChildEvent::Asked { item, .. }
        | ChildEvent::Settled { item, .. }
        | ChildEvent::Ended { item, .. }
        | ChildEvent::Brought { item, .. }) = event;
        let Some(call) = turn.step.calls.iter_mut().find(|call| call.item == *item) else { return };
        let runs = call.phase == Phase::Running;
        match event {
            ChildEvent::Spawned { session, grant, .. } => {
                let grant = grant.clone();
                call.child = Some(Child { session: *session, grant, ended: None, said: None, brought: None });
            }
            ChildEvent::Ended { session, outcome, steps, said, .. } => {
                if let Some(child) = call.child.as_mut().filter(|child| child.session == *session) {
                    child.ended = Some((outcome.clone(), *steps));
                    child.said.clone_from(said);
                }
                let of_it = format!("{session}/");
                turn.knocks.retain(|knock| !knock.target.starts_with(&of_it));
            }
            ChildEvent::Asked { session, ask, kind, .. } if runs => {
                let ask_of_child =
                    AskKind::Child { session: *session, ask: *ask, asks: Box::new(kind.clone()) };
                let target = key(*session, *ask);
                turn.knocks.push(Knock { item: *item, target, ask: ask_of_child });
            }
            ChildEvent::Settled { session, ask, .. } => {
                let target = key(*session, *ask);
                turn.knocks.retain(|knock| knock.target != target);
                turn.settled.push(target);
            }
            ChildEvent::Brought { brought, .. } if runs => {
                if let Some(child) = &mut call.child {
                    child.brought = Some(brought.clone());
                }
                // Judged later than its answer, so its start is synced by itself.
                call.judged_again = true;
                call.granted = false;
                call.verdict = None;
                call.phase = Phase::Proposed;
                turn.knocks.retain(|knock| knock.item != *item);
            }
            ChildEvent::Asked { .. } | ChildEvent::Brought { .. } => {}
        }
    }

    /// What someone allowed for the rest of the session when a child asked.
    pub(crate) fn take_over(&mut self, kind: &AskKind) {
        match kind {
            AskKind::Permission { rules, .. } => self.grants.extend_from_slice(rules),
            AskKind::Egress { rule, .. } => self.hosts.push(rule.clone()),
            AskKind::Child { asks, .. } => self.take_over(asks),
            AskKind::Question(_) => {}
        }
    }

    /// What money of its own the children under way may still spend.
    #[must_use]
    pub fn granted_money(&self) -> Money {
        let children =
            self.turn.iter().flat_map(|turn| &turn.step.calls).filter_map(|call| call.child.as_ref());
        let open = children.filter(|child| child.ended.is_none());
        open.filter_map(|child| child.grant.cost).fold(Money(0), |sum, cost| sum + cost)
    }
}

impl Turn {
    /// Whether an ask of a child needs no answer any more.
    pub(crate) fn is_settled(&self, session: SessionId, ask: AskId) -> bool {
        let key = key(session, ask);
        self.settled.contains(&key)
    }
}

/// What a call is told that will not bring in what its child made: that it is kept, besides why.
pub(crate) fn not_brought(call: &Call, text: String) -> String {
    let Some(brought) = call.child.as_ref().and_then(|child| child.brought.as_ref()) else { return text };
    format!(
        "{}\n\n[what the child changed was not brought into this folder: {text}. It is kept in the child's worktree \
         (session {})]",
        brought.text, brought.session
    )
}

/// The first of them, on one line.
fn named(paths: &[String]) -> String {
    let mut names: Vec<String> = paths.iter().take(NAMED).map(|path| frame::quoted(path)).collect();
    if paths.len() > NAMED {
        names.push(format!("and {} more", paths.len() - NAMED));
    }
    names.join(", ")
}

/// What a call is told whose child was at work when the program ended; nothing for one without a child.
pub(crate) fn cut_short(call: &Call) -> Option<String> {
    let child = call.child.as_ref()?;
    if let Some(brought) = &child.brought {
        return Some(format!(
            "{}\n\n[interrupted: the program ended while what the child changed was brought into this folder ({}); look \
             before you do it again. It is kept in the child's worktree too (session {})]",
            brought.text,
            named(&brought.paths),
            child.session
        ));
    }
    let (how, steps) = match &child.ended {
        Some((Outcome::Completed, steps)) => ("it had done its task by then", *steps),
        Some((_, steps)) => ("it was not done", *steps),
        None => ("what became of it is not known", 0),
    };
    let kept = if child.grant.writes {
        " What it changed is in its worktree, and nothing of it in this folder."
    } else {
        ""
    };
    let said = match &child.said {
        Some(said) => format!(" It said last:\n{said}"),
        None => " It had said nothing yet.".to_owned(),
    };
    Some(format!(
        "interrupted: the program ended while this child (session {}) was at work; {how}, after {steps} {}.{kept}{said}",
        child.session,
        if steps == 1 { "step" } else { "steps" }
    ))
}

#[cfg(test)]
mod tests {
    use codetether_event::{
        Answer, Audience, Event, ItemId, SessionEvent, SnapshotId, ToolName, Usage, Verdict,
    };
    use uuid::Uuid;

    use super::*;
    use crate::transcript::Transcript;
    use crate::{Effect, Next};

    const CHILD: SessionId = SessionId(Uuid::from_u128(7));

    fn spawned(t: &mut Transcript, item: ItemId, writes: bool) {
        let grant = Grant { steps: 5, time_ms: None, cost: Some(Money(50)), writes };
        t.append(vec![Event::Child(ChildEvent::Spawned {
            item,
            session: CHILD,
            agent: "general".into(),
            task: "do it".into(),
            grant,
        })]);
    }

    fn ended(t: &mut Transcript, item: ItemId) {
        t.append(vec![Event::Child(ChildEvent::Ended {
            item,
            session: CHILD,
            outcome: Outcome::Completed,
            steps: 2,
            usage: Usage { input: 10, output: 5, ..Usage::default() },
            cost: Some(Money(30)),
            said: None,
        })]);
    }

    fn brought(t: &mut Transcript, item: ItemId) {
        let brought = Brought {
            session: CHILD,
            text: "I did it".into(),
            error: false,
            before: SnapshotId::new("b"),
            after: SnapshotId::new("a"),
            paths: vec!["x".into()],
        };
        t.append(vec![Event::Child(ChildEvent::Brought { item, brought })]);
    }

    fn running(writes: bool) -> (Transcript, ItemId) {
        let mut t = Transcript::new();
        t.settings_mut().snapshots = true;
        t.append(vec![Event::Session(SessionEvent::Attached { audience: Audience::Terminal })]);
        t.prompt("go").calls(&[("delegate", "{}")]).allow(0, false).run(0);
        let item = t.item(0);
        spawned(&mut t, item, writes);
        (t, item)
    }

    #[test]
    fn what_a_child_spent_counts_once_and_its_grant_only_while_it_runs() {
        let (mut t, item) = running(false);
        assert_eq!(t.state().granted_money(), Money(50));
        let own = t.state().ledger.usage.total();
        ended(&mut t, item);
        assert_eq!(t.state().granted_money(), Money(0));
        let ledger = t.state().ledger;
        assert_eq!((ledger.usage.total() - own, ledger.cost, ledger.children), (15, Money(30), Money(30)));
    }

    #[test]
    fn what_a_child_changed_is_judged_remembered_and_run_as_a_call_that_writes() {
        let (mut t, item) = running(true);
        ended(&mut t, item);
        assert_eq!(t.state().permit(item).unwrap().brought(), None);
        brought(&mut t, item);
        assert_eq!(t.state().permit(item), None, "the permit of the child is none for its changes");
        assert!(matches!(&t.start()[..], [Effect::Authorize { calls, .. }] if calls == &[item]));
        t.allow(0, true);
        assert!(matches!(&t.start()[..], [Effect::Snapshot { .. }]));
        t.snapshot("s1");
        assert!(matches!(&t.start()[..], [Effect::Run { .. }]));
        assert_eq!(t.state().permit(item).unwrap().brought().unwrap().paths, ["x"]);
        t.end_call_after(0, "done", "s2");
        assert_eq!(t.state().files.changes.len(), 1);
    }

    #[test]
    fn what_is_not_allowed_is_kept_and_the_model_is_told() {
        let (mut t, item) = running(true);
        ended(&mut t, item);
        brought(&mut t, item);
        t.judge(0, Verdict::Deny { rule: "`edit(x)`".into() });
        t.settle();
        let told = &t.last_results()[0];
        assert!(told.starts_with("I did it") && told.contains("not permitted (`edit(x)`)"), "{told}");
        assert!(told.contains(&CHILD.to_string()), "{told}");
    }

    #[test]
    fn an_ask_of_a_child_is_open_here_until_it_is_answered_or_settled() {
        let (mut t, item) = running(false);
        let asked = |ask| {
            let kind = AskKind::Permission {
                tool: ToolName::new("bash"),
                title: "run `x`".into(),
                detail: String::new(),
                why: String::new(),
                rules: vec!["bash(x)".into()],
                file: None,
            };
            let ask = AskId(codetether_event::Seq(ask));
            Event::Child(ChildEvent::Asked { item, session: CHILD, ask, kind })
        };
        let open = |t: &Transcript| {
            t.state().turn.as_ref().unwrap().asks.iter().map(|open| open.ask).collect::<Vec<_>>()
        };
        t.append(vec![asked(9)]).settle();
        let [first] = open(&t)[..] else { panic!("{:?}", open(&t)) };
        assert_eq!(t.state().turn.as_ref().unwrap().deadline(), None);
        t.answer(first, Answer::AllowSession).settle();
        assert_eq!((open(&t), t.state().grants.clone()), (vec![], vec!["bash(x)".to_owned()]));
        assert_eq!(t.state().turn.as_ref().unwrap().step.calls[0].phase, Phase::Running);
        t.append(vec![asked(12)]).settle();
        assert_eq!(open(&t).len(), 1);
        let ask = AskId(codetether_event::Seq(12));
        t.append(vec![Event::Child(ChildEvent::Settled { item, session: CHILD, ask })]).settle();
        assert_eq!(open(&t), []);
        assert_eq!(t.decide(), Next::Wait { until: None });
    }

    #[test]
    fn after_a_crash_the_model_hears_what_became_of_the_child() {
        let (mut t, _) = running(true);
        t.crash(true).settle();
        let told = &t.last_results()[0];
        assert!(told.contains("what became of it is not known") && told.contains("worktree"), "{told}");
        let (mut t, item) = running(true);
        ended(&mut t, item);
        brought(&mut t, item);
        t.crash(true);
        assert!(
            matches!(&t.start()[..], [Effect::Authorize { .. }]),
            "what it changed is still to be brought in"
        );
    }
}
