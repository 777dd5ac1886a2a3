//! What ended in the background is told before the next step, in a message of its own, however long ago it ended.

use codetether_event::{ContextEvent, ContextSource, Event, Message};

use super::append;
use crate::{Next, State, Turn};

pub(super) fn policy(state: &State, _: &Turn) -> Option<Next> {
    // What asks for a summary is the last word until it is answered.
    if state.context.summing.is_some() {
        return None;
    }
    let message = Message::user(state.processes.news()?);
    append(vec![Event::Context(ContextEvent::Added { message, source: ContextSource::Process })])
}

#[cfg(test)]
mod tests {
    use codetether_event::{ItemId, ProcessEvent, ProcessStatus, StopReason};

    use super::*;
    use crate::Effect;
    use crate::transcript::Transcript;

    fn process(t: &mut Transcript, event: ProcessEvent) {
        t.append(vec![Event::Process(event)]);
    }

    fn started(t: &mut Transcript, item: ItemId) {
        let (command, marker) = ("npm run dev\nx".into(), "m".into());
        process(t, ProcessEvent::Started { item, command, marker, confined: true });
    }

    fn exited(t: &mut Transcript, item: ItemId, status: ProcessStatus) {
        process(t, ProcessEvent::Exited { item, status, notes: Vec::new() });
    }

    /// A process of the first step, and the step's result.
    fn with_process() -> (Transcript, ItemId) {
        let mut t = Transcript::new();
        t.prompt("go").calls(&[("bash", "1")]).allow(0, true).run(0);
        let item = t.item(0);
        started(&mut t, item);
        t.end_call(0, "started");
        (t, item)
    }

    #[test]
    fn an_end_is_told_before_the_next_step_and_once() {
        let (mut t, item) = with_process();
        exited(&mut t, item, ProcessStatus::Code { code: 3 });
        t.settle();
        let text = "<processes>\nprocess 5.0 (`npm run dev x`) ended with exit code 3\n</processes>";
        assert_eq!(t.last_text().replace(&item.to_string(), "5.0"), text);
        assert!(matches!(t.decide(), Next::Start(effects) if matches!(effects[0], Effect::Sample { .. })));
    }

    #[test]
    fn an_end_between_turns_is_told_in_the_next_one_and_never_in_the_middle_of_a_step() {
        let (mut t, item) = with_process();
        t.sample();
        t.answer_text("done", StopReason::EndTurn).settle();
        exited(&mut t, item, ProcessStatus::Signal { signal: 9 });
        assert_eq!(t.decide(), Next::Rest);
        t.prompt("more");
        t.settle();
        assert!(t.last_text().contains("was ended by signal 9"), "{}", t.last_text());
        t.calls(&[("bash", "2")]).allow(0, true).run(0);
        let other = t.item(0);
        started(&mut t, other);
        exited(&mut t, other, ProcessStatus::Code { code: 0 });
        assert_eq!(t.decide(), Next::Wait { until: None });
    }

    #[test]
    fn what_a_result_told_and_what_was_asked_for_is_not_told_again() {
        let (mut t, item) = with_process();
        exited(&mut t, item, ProcessStatus::Code { code: 0 });
        process(&mut t, ProcessEvent::Told { item });
        assert!(matches!(t.decide(), Next::Start(_)), "{:?}", t.decide());
        started(&mut t, item);
        exited(&mut t, item, ProcessStatus::Killed);
        assert!(matches!(t.decide(), Next::Start(_)), "{:?}", t.decide());
    }

    #[test]
    fn what_ran_in_a_crash_is_lost_and_told() {
        let (mut t, item) = with_process();
        t.crash(true);
        assert_eq!(t.state().processes.running.get(&item), None);
        t.settle();
        assert!(t.last_text().contains("is gone: the program that ran it ended"), "{}", t.last_text());
    }
}
