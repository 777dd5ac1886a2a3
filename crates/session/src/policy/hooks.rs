//! Hooks at the edges of a turn: before the first request, when the model is done, and before older messages give way.
//! Those of calls run where calls are judged and run.

use codetether_event::{
    ContextEvent, ContextSource, Event, HookPoint, ItemId, Message, NoteEvent, Outcome, StopReason,
    TurnEvent, frame,
};

use super::{append, end};
use crate::{Effect, Next, State, Turn};

/// How often the end of a turn can be put off.
const PUT_OFF: u32 = 3;

/// The session and the turn begin. What a hook is against does not reach the model.
pub(super) fn begin(state: &State, turn: &Turn) -> Option<Next> {
    if let Some(reason) = &turn.hooks.refused {
        let outcome = Outcome::Blocked { reason: reason.clone() };
        return append(vec![Event::Turn(TurnEvent::Ended { outcome })]);
    }
    // Where nobody is answered, nothing begins.
    let answers = !turn.compacting || turn.steps > 0 || !turn.pending.is_empty();
    if state.greeted.is_none() && answers && in_force(turn, HookPoint::SessionStart) {
        return start(state, HookPoint::SessionStart);
    }
    let unjudged = turn.pending.len() > turn.hooks.passed();
    let point = HookPoint::UserPromptSubmit;
    if unjudged && in_force(turn, point) { start(state, point) } else { None }
}

/// What they want the model to know stands before what it is asked.
pub(super) fn told(state: &State, turn: &Turn) -> Option<Next> {
    let context = &turn.hooks.context;
    // What asks for a summary is the last word until it is answered.
    if context.is_empty() || state.context.summing.is_some() { None } else { tell(context.join("\n")) }
}

/// The model is done. Where a hook is against it, its reason goes to the model, and the turn goes on; not for ever.
pub(super) fn stop(state: &State, turn: &Turn) -> Option<Next> {
    // What was cut or refused has no end that could be put off.
    let stop = turn.answered.as_ref()?;
    if matches!(stop, StopReason::MaxOutput | StopReason::Refused) {
        return None;
    }
    match &turn.hooks.goes_on {
        Some(reason) if turn.hooks.stops < PUT_OFF => {
            let reason = frame::inside("hook", reason);
            tell(format!(
                "<hook point=\"Stop\">\n{reason}\n</hook>\nThe turn is not over before that is settled."
            ))
        }
        // What the check says counts all the same.
        Some(_) if let Some(next) = super::check::stop(state, turn) => Some(next),
        Some(reason) => {
            let text = format!(
                "the turn ends, although a hook is against it for the {}th time: {reason}",
                PUT_OFF + 1
            );
            append(vec![Event::Note(NoteEvent::Warned { text }), end::ended(stop)])
        }
        None => due(state, turn, HookPoint::Stop),
    }
}

/// Older messages are about to give way.
pub(super) fn compact(state: &State, turn: &Turn) -> Option<Next> {
    due(state, turn, HookPoint::PreCompact)
}

fn due(state: &State, turn: &Turn, point: HookPoint) -> Option<Next> {
    if in_force(turn, point) && !turn.hooks.is_done(point) { start(state, point) } else { None }
}

fn in_force(turn: &Turn, point: HookPoint) -> bool {
    turn.settings.hooks.contains(&point)
}

fn start(state: &State, point: HookPoint) -> Option<Next> {
    Some(Next::Start(vec![Effect::Hook { item: ItemId::at(state.next), point }]))
}

fn tell(text: String) -> Option<Next> {
    let fact = ContextEvent::Added { message: Message::user(text), source: ContextSource::Hook };
    append(vec![Event::Context(fact)])
}

#[cfg(test)]
mod tests {
    use codetether_event::{Compaction, InterruptReason};

    use super::*;
    use crate::transcript::Transcript;

    fn with(points: &[HookPoint]) -> Transcript {
        let mut t = Transcript::bare();
        t.settings_mut().hooks = points.to_vec();
        t
    }

    /// The hooks of this point start, and end with this.
    fn hook(t: &mut Transcript, point: HookPoint, blocked: Option<&str>, context: Option<&str>) {
        let effects = t.start();
        let [Effect::Hook { item, point: started }] = effects[..] else { panic!("{effects:?}") };
        assert_eq!(started, point);
        let (blocked, context) = (blocked.map(str::to_owned), context.map(str::to_owned));
        t.append(vec![Event::Turn(TurnEvent::Hooked { item, point, blocked, context })]);
        t.settle();
    }

    fn texts(t: &Transcript) -> Vec<String> {
        t.state().context.messages.iter().map(|message| message.text()).collect()
    }

    #[test]
    fn a_session_begins_once_and_each_turn_with_its_prompt() {
        let points = [HookPoint::SessionStart, HookPoint::UserPromptSubmit];
        let mut t = with(&points);
        t.prompt("go");
        hook(&mut t, points[0], None, Some("first"));
        hook(&mut t, points[1], None, Some("then"));
        t.start();
        t.epoch();
        t.sample();
        assert_eq!(texts(&t), ["first\nthen", "go"], "it stands behind what is about the place");
        t.answer_text("done", StopReason::EndTurn).settle();
        t.prompt("more");
        hook(&mut t, points[1], None, None);
        t.sample();
        t.answer_text("done", StopReason::EndTurn).settle();
        t.prompt("again");
        t.crash(true);
        hook(&mut t, points[0], None, None);
        hook(&mut t, points[1], None, None);
        t.sample();
    }

    #[test]
    fn a_prompt_that_is_refused_ends_the_turn_and_never_reaches_the_model() {
        let mut t = with(&[HookPoint::UserPromptSubmit]);
        t.prompt("the secret plan");
        hook(&mut t, HookPoint::UserPromptSubmit, Some("no plans"), None);
        assert_eq!(t.state().last, Some(Outcome::Blocked { reason: "no plans".into() }));
        assert_eq!(t.decide(), Next::Rest);
        t.prompt("hello");
        hook(&mut t, HookPoint::UserPromptSubmit, None, None);
        t.start();
        t.epoch();
        t.sample();
        assert_eq!(texts(&t), ["hello"]);
    }

    #[test]
    fn what_is_said_during_a_turn_is_judged_like_a_prompt_and_held_back_alone() {
        let point = HookPoint::UserPromptSubmit;
        let mut t = with(&[point]);
        t.prompt("go");
        hook(&mut t, point, None, None);
        t.start();
        t.epoch();
        t.sample();
        t.steer("the secret plan");
        t.answer_text("done", StopReason::EndTurn).settle();
        hook(&mut t, point, Some("no plans"), None);
        assert_eq!(t.state().last, Some(Outcome::Completed), "the turn is not to blame");
        t.prompt("more");
        hook(&mut t, point, None, None);
        t.sample();
        t.steer("and this");
        t.answer_text("done", StopReason::EndTurn).settle();
        // What comes meanwhile is judged by itself.
        let effects = t.start();
        t.steer("and that");
        let [Effect::Hook { item, .. }] = effects[..] else { panic!("{effects:?}") };
        t.append(vec![Event::Turn(TurnEvent::Hooked { item, point, blocked: None, context: None })]);
        assert_eq!(t.state().turn.as_ref().unwrap().hooks.passed(), 1);
        hook(&mut t, point, Some("not that"), Some("mind the gap"));
        t.sample();
        assert_eq!(texts(&t), ["go", "done", "more", "done", "mind the gap", "and this"]);
    }

    #[test]
    fn what_a_sessions_start_had_to_say_is_not_lost_with_a_refused_prompt() {
        let points = [HookPoint::SessionStart, HookPoint::UserPromptSubmit];
        let mut t = with(&points);
        t.prompt("no");
        hook(&mut t, points[0], None, Some("first"));
        hook(&mut t, points[1], Some("no"), None);
        t.prompt("yes");
        hook(&mut t, points[0], None, Some("first"));
        hook(&mut t, points[1], None, None);
        t.start();
        t.epoch();
        t.sample();
        assert_eq!(texts(&t), ["first", "yes"]);
    }

    #[test]
    fn nor_does_one_that_no_hook_has_passed_yet() {
        let mut t = with(&[HookPoint::UserPromptSubmit]);
        t.prompt("the secret plan");
        let item = t.start_only();
        t.interrupt();
        assert!(matches!(&t.start()[..], [Effect::Cancel { items, .. }] if items == &[item]));
        t.append(vec![Event::Item(codetether_event::ItemEvent::Failed {
            item,
            error: "interrupted".into(),
        })]);
        t.settle();
        assert_eq!(t.state().last, Some(Outcome::Interrupted));
        assert_eq!(texts(&t), Vec::<String>::new());
    }

    #[test]
    fn an_open_hook_is_begun_anew_after_a_crash() {
        let mut t = with(&[HookPoint::UserPromptSubmit]);
        t.prompt("go");
        let item = t.start_only();
        t.crash(true);
        let again = t.start_only();
        assert_ne!(item, again);
        // What the first would have said counts no more.
        let late = TurnEvent::Hooked {
            item,
            point: HookPoint::UserPromptSubmit,
            blocked: Some("late".into()),
            context: None,
        };
        t.append(vec![Event::Turn(late)]);
        assert_eq!(t.decide(), Next::Wait { until: None });
    }

    #[test]
    fn the_end_is_put_off_a_few_times_and_not_for_ever() {
        let mut t = with(&[HookPoint::Stop]);
        t.prompt("go");
        t.start();
        t.epoch();
        for n in 0..PUT_OFF {
            t.sample();
            t.answer_text("done", StopReason::EndTurn);
            assert_eq!(t.state().turn.as_ref().unwrap().hooks.stops, n);
            hook(&mut t, HookPoint::Stop, Some(&format!("test {n} fails")), None);
            let told = format!(
                "<hook point=\"Stop\">\ntest {n} fails\n</hook>\nThe turn is not over before that is settled."
            );
            assert_eq!(texts(&t).last().unwrap(), &told);
        }
        t.sample();
        t.answer_text("done", StopReason::EndTurn);
        hook(&mut t, HookPoint::Stop, Some("still"), None);
        assert_eq!(t.state().last, Some(Outcome::Completed));
    }

    #[test]
    fn an_end_that_nothing_is_against_is_one_and_what_was_cut_is_not_asked_about() {
        let mut t = with(&[HookPoint::Stop]);
        t.prompt("go");
        t.start();
        t.epoch();
        t.sample();
        t.answer_text("done", StopReason::EndTurn);
        // What the user says meanwhile comes first; then the end is another one.
        let item = t.start_only();
        t.steer("and this");
        let end = TurnEvent::Hooked { item, point: HookPoint::Stop, blocked: None, context: None };
        t.append(vec![Event::Turn(end)]);
        t.sample();
        t.answer_text("done too", StopReason::EndTurn);
        hook(&mut t, HookPoint::Stop, None, None);
        assert_eq!(t.state().last, Some(Outcome::Completed));
        t.prompt("more").sample();
        t.answer_text("do", StopReason::MaxOutput).settle();
        assert!(matches!(t.state().last, Some(Outcome::LimitReached { .. })));
    }

    #[test]
    fn before_each_summary_its_hooks_add_to_what_is_asked_for() {
        let mut t = with(&[HookPoint::PreCompact]);
        t.settings_mut().compaction = Some(Compaction { window: 4_000, share: 80 });
        t.prompt("find the bug");
        t.start();
        t.epoch();
        let (mut summaries, mut n) = (0, 0);
        while summaries < 2 {
            n += 1;
            assert!(n < 40, "no summary comes");
            t.calls(&[("read", &format!("{{\"path\":\"file{n}\"}}"))]).allow(0, false).run(0);
            t.end_call(0, &"x".repeat(2_500));
            t.settle();
            if matches!(t.decide(), Next::Start(effects) if matches!(effects[..], [Effect::Hook { .. }])) {
                hook(&mut t, HookPoint::PreCompact, None, Some("keep the names"));
                assert!(texts(&t).last().unwrap().ends_with("\nkeep the names"), "{:?}", texts(&t));
                t.sample();
                t.answer_text("so far", StopReason::EndTurn).settle();
                summaries += 1;
            }
            if matches!(t.decide(), Next::Start(effects) if matches!(effects[..], [Effect::Prepare { .. }])) {
                t.start();
                t.epoch();
            }
        }
    }

    /// A turn in a window of so many tokens that is near its end, at the edge of a prompt.
    fn near(points: &[HookPoint]) -> Transcript {
        let mut t = with(points);
        t.settings_mut().hooks.clear();
        t.prompt("find the bug");
        t.start();
        t.epoch();
        t.sample();
        t.answer_text(&"it is long ".repeat(1_000), StopReason::EndTurn).settle();
        t.prompt("short");
        t.sample();
        t.answer_text("done", StopReason::EndTurn).settle();
        t.settings_mut().hooks = points.to_vec();
        t.settings_mut().compaction = Some(Compaction { window: 4_000, share: 80 });
        t
    }

    #[test]
    fn what_hooks_want_the_model_to_know_stands_behind_the_summary() {
        let points = [HookPoint::SessionStart, HookPoint::UserPromptSubmit];
        let mut t = near(&points);
        t.prompt("more");
        hook(&mut t, points[0], None, Some("first"));
        hook(&mut t, points[1], None, Some("mind the gap"));
        t.settle();
        assert!(t.state().context.summing.is_some());
        assert!(!texts(&t).iter().any(|text| text.contains("mind the gap")));
        t.sample();
        t.answer_text("so far", StopReason::EndTurn).settle();
        t.start();
        t.epoch();
        t.sample();
        let told = texts(&t);
        assert!(told.iter().any(|text| text.contains("so far\n</summary>")), "{told:?}");
        assert_eq!(told[told.len() - 2..], ["first\nmind the gap", "more"]);
        t.answer_text("done", StopReason::EndTurn).settle();
        t.prompt("and this");
        assert!(!t.state().summed_up, "what the start said is there");
        hook(&mut t, points[1], None, None);
    }

    #[test]
    fn what_the_start_had_to_say_is_said_again_when_it_is_gone() {
        let point = HookPoint::SessionStart;
        let mut t = with(&[point]);
        t.prompt("go");
        hook(&mut t, point, None, Some("first"));
        t.start();
        t.epoch();
        t.sample();
        t.answer_text("done", StopReason::EndTurn).settle();
        let start = t.state().context.turns()[0];
        t.append(vec![Event::Context(ContextEvent::Rewound { to: start })]);
        t.prompt("go again");
        hook(&mut t, point, None, Some("first"));
        t.start();
        t.epoch();
        t.sample();
        assert_eq!(texts(&t), ["first", "go again"]);
        let gone = ContextEvent::Compacted { keep: None, messages: 1, tokens: 1 };
        t.answer_text("done", StopReason::EndTurn).settle();
        t.append(vec![Event::Context(gone)]);
        assert!(t.state().summed_up);
        t.prompt("once more");
        hook(&mut t, point, None, Some("first"));
        assert!(!t.state().summed_up);
    }

    #[test]
    fn a_summary_that_is_asked_for_and_refused_leaves_folding_on() {
        let mut t = near(&[HookPoint::PreCompact]);
        t.settings_mut().compaction = Some(Compaction { window: u32::MAX, share: 80 });
        t.prompt("more");
        t.calls(&[("read", "{}")]).allow(0, false).run(0);
        let by = codetether_event::Principal::Local;
        t.append(vec![Event::Context(ContextEvent::CompactionAsked { by })]);
        t.end_call(0, "r");
        t.settle();
        hook(&mut t, HookPoint::PreCompact, Some("it is all needed"), None);
        assert!(!t.state().context.is_asked());
        assert!(matches!(t.decide(), Next::Start(effects) if matches!(effects[..], [Effect::Sample { .. }])));
    }

    #[test]
    fn what_is_said_while_a_summary_is_refused_is_answered() {
        let mut t = near(&[HookPoint::PreCompact]);
        let settings = Box::new(t.settings_mut().clone());
        let by = codetether_event::Principal::Local;
        t.append(vec![Event::Turn(TurnEvent::Compacting { by, settings })]);
        let effects = t.start();
        let [Effect::Hook { item, point }] = effects[..] else { panic!("{effects:?}") };
        t.steer("and this");
        let blocked = Some("it is all needed".to_owned());
        t.append(vec![Event::Turn(TurnEvent::Hooked { item, point, blocked, context: None })]);
        t.settle();
        t.sample();
        assert_eq!(texts(&t).last().unwrap(), "and this");
        t.answer_text("answered", StopReason::EndTurn).settle();
        assert_eq!(t.state().last, Some(Outcome::Completed));
    }

    #[test]
    fn older_messages_stay_where_a_hook_is_against_it_until_a_request_no_longer_fits() {
        let mut t = with(&[HookPoint::PreCompact]);
        t.settings_mut().compaction = Some(Compaction { window: 4_000, share: 80 });
        t.prompt("find the bug");
        t.start();
        t.epoch();
        let mut asked = 0;
        for n in 0..24 {
            t.calls(&[("read", &format!("{{\"path\":\"file{n}\"}}"))]).allow(0, false).run(0);
            t.end_call(0, &"x".repeat(2_500));
            t.settle();
            match t.decide() {
                Next::Start(effects) if matches!(effects[..], [Effect::Hook { .. }]) => {
                    hook(&mut t, HookPoint::PreCompact, Some("it is all needed"), None);
                    asked += 1;
                }
                Next::Start(effects) if matches!(effects[..], [Effect::Prepare { .. }]) => {
                    t.start();
                    t.epoch();
                }
                _ => {}
            }
        }
        assert_eq!(asked, 1, "it had its say for this turn");
        assert!(texts(&t).iter().all(|text| !text.contains("gives way to your summary")));
    }

    #[test]
    fn a_hook_that_ends_the_turn_is_its_outcome() {
        let mut t = Transcript::new();
        t.prompt("go").sample();
        let reason = InterruptReason::Hook("enough".into());
        t.append(vec![Event::Turn(TurnEvent::Interrupted { reason })]);
        t.start();
        t.end_sample_interrupted("half a sen");
        t.settle();
        assert_eq!(t.state().last, Some(Outcome::Blocked { reason: "enough".into() }));
    }
}
