//! What a crash left open is closed by facts.

use codetether_event::{
    AskEvent, CallEvent, Event, InterruptReason, SampleEvent, SampleOutcome, SnapshotId, Timing, ToolResult,
    TurnEvent, Usage, Verdict,
};

use crate::{Call, Phase, State, Turn};

impl State {
    /// The facts that close what was under way when the session's owner ended: an open sample is lost, an open
    /// call may have run, a process in the background is lost, an open ask is withdrawn (it is asked anew, if the turn goes on and someone is there). With
    /// `go_on` false the turn is given up as well.
    ///
    /// `files` is a snapshot of now: what such a call changed lies between the one before it and this.
    ///
    /// Call it on the state after the `session.adopted` record, and after whatever survived was killed.
    #[must_use]
    pub fn recover(&self, go_on: bool, files: Option<&SnapshotId>) -> Vec<Event> {
        let mut facts = self.processes.lost();
        let Some(turn) = &self.turn else { return facts };
        if let Some(item) = turn.sampling {
            facts.push(Event::Sample(SampleEvent::Ended {
                item,
                outcome: SampleOutcome::Lost,
                message: None,
                structured: None,
                usage: Usage { input: self.context_tokens(), estimated: true, ..Usage::default() },
                cost: None,
                prices: None,
                timing: Timing::default(),
                jitter: None,
            }));
        }
        for call in turn.step.calls.iter().filter(|call| may_have_run(turn, call)) {
            facts.push(Event::Call(CallEvent::Ended {
                item: call.item,
                result: ToolResult {
                    call: call.call.id.clone(),
                    text: crate::child::cut_short(call).unwrap_or_else(|| {
                        "interrupted: the program ended while this call was running; it may have run, wholly or \
                         in part, so look before you do it again"
                            .into()
                    }),
                    error: true,
                },
                whole: None,
                wrote: Vec::new(),
                known: Vec::new(),
                timing: None,
                after: files.filter(|_| self.files.is_open(call.item)).cloned(),
            }));
        }
        facts.extend(turn.asks.iter().map(|open| Event::Ask(AskEvent::Withdrawn { ask: open.ask })));
        if !go_on && turn.interrupted.is_none() {
            facts.push(Event::Turn(TurnEvent::Interrupted { reason: InterruptReason::Abandoned }));
        }
        facts
    }

    /// About how many tokens the context holds: a quarter of its characters.
    fn context_tokens(&self) -> u64 {
        self.context.weight(0) / 4
    }
}

/// Whether a call that has no end may have run: it was started; or it could write, needed no answer, and one that could
/// write before it in the same answer was started. (Of those only the first start is synced before it is acted on, so
/// after a loss of power the starts of the others may be missing.)
fn may_have_run(turn: &Turn, call: &Call) -> bool {
    let started = |call: &Call| {
        let allowed = matches!(call.verdict, Some(Verdict::Allow { writes: true, .. }));
        call.phase == Phase::Running || (allowed && matches!(call.phase, Phase::Ended(_)))
    };
    let follows = |call: &Call| {
        let before = turn.step.calls.iter().take_while(|before| before.item != call.item);
        let allowed = matches!(call.verdict, Some(Verdict::Allow { writes: true, .. }));
        allowed && !call.granted && !call.judged_again && before.into_iter().any(started)
    };
    match call.phase {
        Phase::Running => true,
        Phase::Judged | Phase::Proposed => follows(call),
        Phase::Asked(_) | Phase::Declined(_) | Phase::Answered(_) | Phase::Ended(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use codetether_event::Outcome;

    use super::*;
    use crate::Next;
    use crate::transcript::Transcript;

    #[test]
    fn a_lost_sample_is_charged_and_asked_for_again() {
        let mut t = Transcript::new();
        t.prompt("a question of forty characters, or so, ok").sample();
        t.crash(true);
        assert!(t.state().ledger.usage.estimated && t.state().ledger.usage.input >= 10);
        assert!(
            matches!(t.decide(), Next::Start(effects) if matches!(effects[0], crate::Effect::Sample { .. }))
        );
    }

    #[test]
    fn a_call_that_was_running_may_have_run() {
        let mut t = Transcript::new();
        t.prompt("go").calls(&[("write", "{}")]).allow(0, true).run(0);
        t.crash(true);
        let last = t.state().context.messages.last().unwrap().clone();
        let codetether_event::ContentPart::ToolResult(result) = &last.parts[0] else { panic!("{last:?}") };
        assert!(result.error && result.text.contains("may have run"), "{}", result.text);
    }

    #[test]
    fn a_lost_sample_takes_no_step() {
        let mut t = Transcript::new();
        t.settings_mut().max_steps = 1;
        t.prompt("go").sample();
        t.crash(true);
        t.sample();
        t.answer_text("there", codetether_event::StopReason::EndTurn).settle();
        assert_eq!(t.state().last, Some(Outcome::Completed));
    }

    #[test]
    fn a_call_whose_start_may_be_lost_may_have_run_too() {
        let mut t = Transcript::new();
        t.prompt("go").calls(&[("write", "1"), ("write", "2"), ("read", "3")]);
        t.allow(0, true).allow(1, true).allow(2, false).run(0);
        t.crash(true);
        let step = &t.state().turn.as_ref().unwrap().step;
        let ended: Vec<bool> = step.calls.iter().map(|call| matches!(call.phase, Phase::Ended(_))).collect();
        assert_eq!(ended, [true, true, false], "the read can simply run");
    }

    #[test]
    fn what_was_judged_is_judged_again() {
        let mut t = Transcript::new();
        t.prompt("go").calls(&[("write", "1")]).allow(0, true);
        t.crash(true);
        let next = t.decide();
        assert!(
            matches!(&next, Next::Start(effects) if matches!(effects[0], crate::Effect::Authorize { .. })),
            "{next:?}"
        );
    }

    #[test]
    fn an_ask_that_was_open_is_asked_anew() {
        let mut t = Transcript::new();
        let ask = t.prompt("go").calls(&[("bash", "{}")]).ask_at(codetether_event::UnixMillis(9));
        t.crash(true);
        assert_eq!(t.state().turn.as_ref().unwrap().asks, []);
        t.append(vec![codetether_event::Event::Session(codetether_event::SessionEvent::Attached {
            audience: codetether_event::Audience::Terminal,
        })]);
        t.settle();
        let asks = &t.state().turn.as_ref().unwrap().asks;
        assert!(asks.len() == 1 && asks[0].ask != ask);
    }

    #[test]
    fn a_turn_that_is_not_taken_up_ends_interrupted() {
        let mut t = Transcript::new();
        t.prompt("go").calls(&[("write", "{}"), ("read", "{}")]).allow(0, true).run(0);
        t.crash(false);
        t.settle();
        assert_eq!(t.state().turn, None);
        assert_eq!(t.state().last, Some(Outcome::Interrupted));
    }

    #[test]
    fn time_without_an_owner_does_not_count() {
        let mut t = Transcript::new();
        t.settings_mut().max_time_ms = Some(1_000);
        t.prompt("go").sample();
        t.pass(10_000_000);
        t.crash(true);
        assert!(matches!(t.decide(), Next::Start(_)), "{:?}", t.decide());
    }
}
