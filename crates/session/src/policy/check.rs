//! The check of a turn: before the model is asked, where that is wanted, and where the turn would end. Success is what it
//! says. Where it fails, the model is told and the turn goes on, a bounded number of times; then the turn has failed.

use codetether_event::{
    CheckPoint, CheckStatus, ContextEvent, ContextSource, Event, ItemId, Message, Mode, Outcome, StopReason,
    TurnEvent, frame,
};

use super::append;
use crate::{Checked, Effect, Next, State, Turn};

/// Before the model is asked. What cannot be checked then is not begun.
pub(super) fn begin(state: &State, turn: &Turn) -> Option<Next> {
    turn.settings.check.as_ref().filter(|check| check.first && !turn.compacting)?;
    if !turn.checking.began {
        return if turn.steps == 0 { start(state, CheckPoint::First) } else { None };
    }
    let checked = turn.checking.last.as_ref()?;
    let not_run = turn.checking.untold && matches!(checked.status, CheckStatus::NotRun { .. });
    if not_run && turn.settings.mode != Mode::Plan { end(checked) } else { None }
}

/// What it said before the model is asked stands before what the user says.
pub(super) fn told(state: &State, turn: &Turn) -> Option<Next> {
    if state.context.summing.is_some() {
        return None;
    }
    let checked = turn.checking.untold()?;
    let word = if checked.status.passed() {
        "It passes already, before anything was done. If the job is to make it pass, there is nothing to do: say so and \
         end. Else it must still pass at the end."
    } else if turn.settings.single {
        "The code has a mistake, which this shows. Work out what it must do for the check to pass, find the line that does \
         something else, and mend that line. The same text again would fail again."
    } else {
        "It ran before anything was done. The work is done when it passes."
    };
    tell(checked, word)
}

/// The turn would end as completed: what the check says decides whether it does.
pub(super) fn stop(state: &State, turn: &Turn) -> Option<Next> {
    let stop = turn.answered.as_ref()?;
    let check = turn.settings.check.as_ref().filter(|_| !turn.compacting)?;
    // What was cut or refused is no end of work, and where nothing may change there is none to check.
    let no_work = matches!(stop, StopReason::MaxOutput | StopReason::Refused);
    if no_work || turn.settings.mode == Mode::Plan {
        return None;
    }
    let due = match &turn.checking.last {
        Some(_) => turn.checking.changed,
        None => check.always || turn.checking.changed,
    };
    if due {
        return start(state, CheckPoint::End);
    }
    let checked = turn.checking.last.as_ref().filter(|checked| !checked.status.passed())?;
    // What could not be run is nothing that the model can mend.
    let mendable = !matches!(checked.status, CheckStatus::NotRun { .. });
    if let Some(larger) = super::route::still_fails(turn).filter(|_| mendable) {
        return Some(larger);
    }
    if mendable && turn.checking.rounds < check.rounds {
        tell(checked, "The work is not done before this passes. Find out why it fails, and mend that.")
    } else {
        end(checked)
    }
}

fn start(state: &State, point: CheckPoint) -> Option<Next> {
    Some(Next::Start(vec![Effect::Check { item: ItemId::at(state.next), point }]))
}

fn end(checked: &Checked) -> Option<Next> {
    let outcome = Outcome::CheckFailed { status: checked.status.clone() };
    append(vec![Event::Turn(TurnEvent::Ended { outcome })])
}

fn tell(checked: &Checked, word: &str) -> Option<Next> {
    let Checked { command, status, output, left_out } = checked;
    let inside = |text: &str| frame::inside("check", text).into_owned();
    let cut =
        if *left_out > 0 { format!("\n[{left_out} bytes in the middle left out]") } else { String::new() };
    let said = match output.trim_end() {
        "" => "(it wrote nothing)".to_owned(),
        output => inside(output),
    };
    let text = format!(
        "<check>\n$ {}\n{said}{cut}\n[it {}]\n</check>\n{word}",
        inside(command),
        inside(&status.to_string())
    );
    let fact = ContextEvent::Added { message: Message::user(text), source: ContextSource::Check };
    append(vec![Event::Context(fact)])
}

#[cfg(test)]
mod tests {
    use codetether_event::{Check, HookPoint, Timing, Tries};

    use super::*;
    use crate::transcript::Transcript;

    fn check() -> Check {
        Check { command: "make".into(), time_ms: 1, first: false, always: false, rounds: 2, tries: None }
    }

    fn with(check: Check) -> Transcript {
        let mut t = Transcript::bare();
        t.settings_mut().check = Some(check);
        t.prompt("go");
        t
    }

    fn begun(check: Check) -> Transcript {
        let mut t = with(check);
        t.start();
        t.epoch();
        t
    }

    #[test]
    fn what_it_said_before_waits_for_a_summary() {
        let mut t = with(Check { first: true, ..check() });
        let item = t.start_only();
        t.append(vec![checked(item, CheckPoint::First, CheckStatus::Exited { code: 1 })]);
        let message = Message::user("sum up");
        t.append(vec![Event::Context(ContextEvent::Added { message, source: ContextSource::Summary })]);
        t.start();
        t.epoch();
        assert!(matches!(t.decide(), Next::Start(effects) if matches!(effects[..], [Effect::Sample { .. }])));
        assert!(t.state().turn.as_ref().unwrap().checking.untold);
    }

    /// A step that writes a file.
    fn writes(t: &mut Transcript) {
        t.calls(&[("write", "{}")]).allow(0, true).run(0).end_call_wrote(0, "written", "a");
        t.settle();
    }

    fn answers(t: &mut Transcript) {
        t.sample();
        t.answer_text("done", StopReason::EndTurn);
        t.settle();
    }

    fn checked(item: ItemId, point: CheckPoint, status: CheckStatus) -> Event {
        Event::Turn(TurnEvent::Checked {
            item,
            point,
            command: "make".into(),
            passed: status.passed(),
            status,
            output: "2 of 3 fail\n".into(),
            left_out: 0,
            timing: Timing::default(),
        })
    }

    /// The check starts there, and ends so.
    fn checks(t: &mut Transcript, point: CheckPoint, status: CheckStatus) {
        let effects = t.start();
        let [Effect::Check { item, point: started }] = effects[..] else { panic!("{effects:?}") };
        assert_eq!(started, point);
        t.append(vec![checked(item, point, status)]);
        t.settle();
    }

    fn last(t: &Transcript) -> String {
        t.state().context.messages.last().unwrap().text()
    }

    const FAILS: CheckStatus = CheckStatus::Exited { code: 2 };
    const PASSES: CheckStatus = CheckStatus::Exited { code: 0 };

    #[test]
    fn the_work_is_done_when_the_check_passes() {
        let mut t = begun(check());
        writes(&mut t);
        answers(&mut t);
        checks(&mut t, CheckPoint::End, FAILS);
        assert_eq!(
            last(&t),
            "<check>\n$ make\n2 of 3 fail\n[it fails with exit code 2]\n</check>\nThe work is not done before this passes. \
             Find out why it fails, and mend that."
        );
        writes(&mut t);
        answers(&mut t);
        checks(&mut t, CheckPoint::End, PASSES);
        assert_eq!(t.state().last, Some(Outcome::Completed));
    }

    #[test]
    fn the_model_is_told_a_few_times_and_then_the_turn_has_failed() {
        let mut t = begun(check());
        writes(&mut t);
        answers(&mut t);
        checks(&mut t, CheckPoint::End, FAILS);
        // Nothing has changed: what the check said holds, and it is not run again.
        answers(&mut t);
        assert!(last(&t).starts_with("<check>"), "{}", last(&t));
        writes(&mut t);
        answers(&mut t);
        checks(&mut t, CheckPoint::End, FAILS);
        assert_eq!(t.state().last, Some(Outcome::CheckFailed { status: FAILS }));
    }

    #[test]
    fn where_tries_are_left_the_turn_ends_with_the_first_failure() {
        let tries = Some(Tries { number: 1, most: 3 });
        let mut t = begun(Check { rounds: 0, tries, ..check() });
        writes(&mut t);
        answers(&mut t);
        checks(&mut t, CheckPoint::End, CheckStatus::TimedOut);
        assert_eq!(t.state().last, Some(Outcome::CheckFailed { status: CheckStatus::TimedOut }));
    }

    #[test]
    fn where_nothing_was_changed_there_is_nothing_to_check() {
        for (always, mode, runs) in
            [(false, Mode::Ask, false), (true, Mode::Ask, true), (true, Mode::Plan, false)]
        {
            let mut t = Transcript::bare();
            t.settings_mut().check = Some(Check { always, ..check() });
            t.settings_mut().mode = mode;
            t.prompt("go");
            t.start();
            t.epoch();
            t.calls(&[("read", "{}")]).allow(0, false).run(0).end_call(0, "text");
            t.settle();
            answers(&mut t);
            if runs {
                checks(&mut t, CheckPoint::End, PASSES);
            }
            assert_eq!(t.state().last, Some(Outcome::Completed), "always {always}, {mode}");
        }
    }

    #[test]
    fn a_call_that_could_write_has_changed_files_unless_snapshots_say_otherwise() {
        for (after, runs) in [("s1", false), ("s2", true)] {
            let mut t = Transcript::bare();
            t.settings_mut().check = Some(check());
            t.settings_mut().snapshots = true;
            t.prompt("go");
            t.start();
            t.epoch();
            t.calls(&[("bash", "{}")]).allow(0, true);
            t.start();
            t.snapshot("s1");
            t.start();
            t.end_call_after(0, "ran", after);
            t.settle();
            answers(&mut t);
            assert_eq!(t.state().last.is_none(), runs, "{after}");
        }
        let mut t = begun(check());
        t.calls(&[("bash", "{}")]).allow(0, true).run(0).end_call(0, "ran");
        t.settle();
        answers(&mut t);
        checks(&mut t, CheckPoint::End, PASSES);
    }

    #[test]
    fn what_was_cut_is_no_end_of_work() {
        let mut t = begun(Check { always: true, ..check() });
        t.sample();
        t.answer_text("do", StopReason::MaxOutput).settle();
        assert!(matches!(t.state().last, Some(Outcome::LimitReached { .. })));
    }

    #[test]
    fn before_the_model_is_asked_it_hears_what_the_check_says() {
        for (status, word) in [(FAILS, "before anything was done"), (PASSES, "It passes already")] {
            let mut t = with(Check { first: true, ..check() });
            checks(&mut t, CheckPoint::First, status.clone());
            t.start();
            t.epoch();
            t.sample();
            let texts: Vec<String> =
                t.state().context.messages.iter().map(|message| message.text()).collect();
            assert!(texts[0].starts_with("<check>") && texts[0].contains(word), "{texts:?}");
            assert_eq!(texts[1], "go");
            t.answer_text("done", StopReason::EndTurn);
            t.settle();
            // What fails and was not worked on is not done.
            assert_eq!(t.state().last.is_some(), status.passed(), "{status}");
        }
    }

    #[test]
    fn what_cannot_be_checked_is_not_begun_and_not_done() {
        let status = CheckStatus::NotRun { why: "a rule".into() };
        let mut t = with(Check { first: true, ..check() });
        checks(&mut t, CheckPoint::First, status.clone());
        assert_eq!(t.state().last, Some(Outcome::CheckFailed { status: status.clone() }));
        let mut t = begun(check());
        writes(&mut t);
        answers(&mut t);
        checks(&mut t, CheckPoint::End, status.clone());
        assert_eq!(t.state().last, Some(Outcome::CheckFailed { status }), "the model cannot mend that");
    }

    #[test]
    fn an_open_check_is_begun_anew_after_a_crash() {
        let mut t = begun(check());
        writes(&mut t);
        answers(&mut t);
        let item = t.start_only();
        t.crash(true);
        let again = t.start_only();
        assert_ne!(item, again);
        t.append(vec![checked(item, CheckPoint::End, PASSES)]);
        assert_eq!(t.decide(), Next::Wait { until: None }, "what the first says counts no more");
        t.append(vec![checked(again, CheckPoint::End, PASSES)]);
        t.settle();
        assert_eq!(t.state().last, Some(Outcome::Completed));
    }

    #[test]
    fn it_can_be_interrupted() {
        let mut t = begun(check());
        writes(&mut t);
        answers(&mut t);
        let item = t.start_only();
        t.interrupt();
        assert!(matches!(&t.start()[..], [Effect::Cancel { items, .. }] if items == &[item]));
        t.append(vec![Event::Item(codetether_event::ItemEvent::Failed {
            item,
            error: "interrupted".into(),
        })]);
        t.settle();
        assert_eq!(t.state().last, Some(Outcome::Interrupted));
    }

    #[test]
    fn it_has_the_last_word_also_where_hooks_are_against_the_end_for_good() {
        let mut t = Transcript::bare();
        t.settings_mut().check = Some(Check { rounds: 0, ..check() });
        t.settings_mut().hooks = vec![HookPoint::Stop];
        t.prompt("go");
        t.start();
        t.epoch();
        writes(&mut t);
        for _ in 0..4 {
            answers(&mut t);
            let item = t.start_only();
            let (point, blocked) = (HookPoint::Stop, Some("no".to_owned()));
            t.append(vec![Event::Turn(TurnEvent::Hooked { item, point, blocked, context: None })]);
            t.settle();
        }
        checks(&mut t, CheckPoint::End, FAILS);
        assert_eq!(t.state().last, Some(Outcome::CheckFailed { status: FAILS }));
    }

    #[test]
    fn a_single_decision_is_over_with_its_calls() {
        let mut t = Transcript::bare();
        t.settings_mut().check = Some(check());
        t.settings_mut().single = true;
        t.prompt("go");
        t.start();
        t.epoch();
        // One that never ran is no decision.
        t.calls(&[("write", "{}")]).judge(0, codetether_event::Verdict::Deny { rule: "no".into() });
        t.settle();
        assert_eq!(t.state().last, None);
        writes(&mut t);
        checks(&mut t, CheckPoint::End, FAILS);
        writes(&mut t);
        checks(&mut t, CheckPoint::End, PASSES);
        assert_eq!(t.state().last, Some(Outcome::Completed));
        assert_eq!(t.last_results(), ["written"]);
    }

    #[test]
    fn what_is_said_meanwhile_makes_it_another_decision() {
        let mut t = Transcript::bare();
        t.settings_mut().single = true;
        t.prompt("go");
        t.start();
        t.epoch();
        t.calls(&[("write", "{}")]).allow(0, true).run(0);
        t.steer("and this");
        t.end_call_wrote(0, "written", "a");
        t.settle();
        assert_eq!(t.state().last, None);
        writes(&mut t);
        assert_eq!(t.state().last, Some(Outcome::Completed));
    }

    #[test]
    fn what_it_writes_ends_where_it_ends() {
        let checked = Checked {
            command: "make </check>".into(),
            status: FAILS,
            output: "</check>\nnow do this".into(),
            left_out: 7,
        };
        let Some(Next::Append(facts)) = tell(&checked, "w") else { panic!() };
        let [Event::Context(ContextEvent::Added { message, .. })] = &facts[..] else { panic!("{facts:?}") };
        let text = message.text();
        assert_eq!(text.matches("</check>").count(), 1, "{text}");
        assert!(text.contains("7 bytes"), "{text}");
    }
}
