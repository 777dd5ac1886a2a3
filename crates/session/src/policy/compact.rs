//! Before a request would no longer fit, the context gives way: outputs of older calls fold to a line each; where that is
//! not enough, the model sums up what is to go. A request that did not fit goes the same way, without a summary, since
//! asking for one would not fit either.

use codetether_event::{
    ContextEvent, ContextSource, Event, Message, Outcome, ProviderFailureKind, Seq, Tier, TurnEvent,
};

use super::append;
use crate::context::weight;
use crate::{Next, State, Turn};

/// Steps whose outputs stay whole.
const WHOLE: usize = 4;

/// The part of the window that steps may take that stay as they are: one of so many.
const STAYS: u64 = 4;

/// About as many bytes are a token.
const BYTES: u64 = 3;

/// The part of what there was, or of the window, that files in work may take: one of so many.
const SHOWN: u64 = 8;

/// Most bytes of them, however large the window is.
const SHOWN_MAX: u64 = 64 << 10;

/// Bytes from which on a summary that someone asks for can win anything.
const LEAST: u64 = 4_000;

const ASKED: &str = "The conversation is about to grow beyond what fits, so all before this gives way to your summary of it. \
Write it for yourself, so that you can go on without having to ask or look again: what the user wants, in their words where they matter; what \
was decided and why; what was done, with paths; what was found out, with names and numbers; what failed; what is still to do, and what comes \
next. Make no calls, and say nothing besides the summary.";

pub(super) fn policy(state: &State, turn: &Turn) -> Option<Next> {
    let context = &state.context;
    let too_long = is_too_long(turn);
    let pending: u64 = turn.pending.iter().map(|input| weight(&input.parts)).sum();
    let tokens = context.tokens().saturating_add(pending / BYTES);
    let near = turn.settings.compaction.is_some_and(|compaction| {
        tokens >= window(state, turn).saturating_mul(u64::from(compaction.share)) / 100
    });
    let too_long = too_long && turn.settings.compaction.is_some();
    if context.summing.is_some() || !(near || too_long || context.asked) {
        return None;
    }
    // Whoever asks wants the summary, and it is made of more where nothing was folded before.
    let is_text = turn.settings.format.is_text();
    let folds = !context.asked || !is_text || droppable(state, turn).is_none();
    if let Some((before, outputs)) = foldable(state, turn).filter(|_| folds) {
        return fact(ContextEvent::Folded { before, outputs: whole(outputs), tokens });
    }
    // An answer that must have a form is no summary, and without one nothing goes that need not.
    if !(is_text || near || too_long) {
        return None;
    }
    let (keep, messages) = droppable(state, turn)?;
    if let Some(hooks) = super::hooks::compact(state, turn) {
        return Some(hooks);
    }
    // Until a request no longer fits, this turn does without.
    if turn.hooks.keeps.is_some() && !too_long {
        return None;
    }
    if too_long || !is_text {
        return fact(ContextEvent::Compacted { keep, messages: whole(messages), tokens });
    }
    let asked = match &turn.hooks.compaction {
        None => ASKED.to_owned(),
        Some(more) => format!("{ASKED}\n{more}"),
    };
    let asked = ContextEvent::Added { message: Message::user(asked), source: ContextSource::Summary };
    let routed =
        super::route::summary(state, turn).map(|routed| Event::Turn(TurnEvent::Routed(Box::new(routed))));
    append([Event::Context(asked)].into_iter().chain(routed).collect())
}

/// What was asked for is there, or cannot be had.
pub(super) fn summed(state: &State, turn: &Turn) -> Option<Next> {
    state.context.summing?;
    let stop = turn.answered.as_ref()?;
    let given = state.context.summary(Some(stop)).is_some();
    if let Some(own) = super::route::no_summary(state, turn).filter(|_| !given) {
        return Some(own);
    }
    // Nothing is lost where nothing had to be.
    if turn.compacting && !given {
        let error = "the model gave no summary, so the conversation stays as it is".to_owned();
        // What the user has said meanwhile is answered.
        return if turn.pending.is_empty() {
            append(vec![Event::Turn(TurnEvent::Ended { outcome: Outcome::Failed { error } })])
        } else {
            fact(ContextEvent::Kept { why: error })
        };
    }
    give_way(state, turn)
}

/// A turn that only compacts ends when nothing more can give way, unless the user has said something meanwhile.
pub(super) fn done(state: &State, turn: &Turn) -> Option<Next> {
    let works = state.context.summing.is_some() || turn.steps > 0 || !turn.pending.is_empty();
    if works || !turn.compacting {
        return None;
    }
    let outcome = match &turn.hooks.keeps {
        Some(reason) => Outcome::Blocked { reason: reason.clone() },
        None => Outcome::Completed,
    };
    append(vec![Event::Turn(TurnEvent::Ended { outcome })])
}

impl State {
    /// Whether anything could give way now, because someone asks for it.
    pub(crate) fn can_compact(&self) -> bool {
        let goal = self.goal().unwrap_or_default();
        let weight = self.context.weight(0);
        let stays = weight / STAYS;
        if weight < LEAST {
            return false;
        }
        self.context.foldable(WHOLE).is_some() || self.context.droppable(stays, goal).is_some()
    }

    /// The turn whose prompts are what is being worked on.
    pub(crate) fn goal(&self) -> Option<Seq> {
        let turn = self.turn.as_ref().filter(|turn| !turn.compacting).map(|turn| turn.id.0);
        turn.or_else(|| self.context.last_prompt())
    }

    /// Most bytes of files in work that are shown anew after a summary: of what there was, and of the window, a part.
    pub(crate) fn room(&self) -> u64 {
        let window = self.turn.as_ref().map_or(u64::MAX, |turn| window(self, turn));
        let tokens = self.context.tokens().min(window);
        (tokens / SHOWN * BYTES).min(SHOWN_MAX)
    }
}

/// Drops what gives way, with the summary there is.
pub(super) fn give_way(state: &State, turn: &Turn) -> Option<Next> {
    let (keep, messages) = droppable(state, turn).unwrap_or_default();
    fact(ContextEvent::Compacted { keep, messages: whole(messages), tokens: state.context.tokens() })
}

/// Whether the last request did not fit, and the context can give way.
pub(super) fn helps(state: &State, turn: &Turn) -> bool {
    let gives = || foldable(state, turn).is_some() || droppable(state, turn).is_some();
    is_too_long(turn) && turn.settings.compaction.is_some() && state.context.summing.is_none() && gives()
}

/// Outputs of all but the last steps; of these, too, where the request did not fit.
fn foldable(state: &State, turn: &Turn) -> Option<(Seq, usize)> {
    let all = || state.context.foldable(1).filter(|_| is_too_long(turn));
    state.context.foldable(WHOLE).or_else(all)
}

fn droppable(state: &State, turn: &Turn) -> Option<(Option<Seq>, usize)> {
    state.context.droppable(stays(state, turn), state.goal().unwrap_or(turn.id.0))
}

/// Most bytes of the steps that stay as they are. What did not fit is more than the window, whatever that is; where someone
/// asks, it is as if the window were full.
fn stays(state: &State, turn: &Turn) -> u64 {
    let window = window(state, turn);
    let most = if is_too_long(turn) { window.min(state.context.tokens()) } else { window };
    let most = (most / STAYS).saturating_mul(BYTES);
    if state.context.asked { most.min(state.context.weight(0) / STAYS) } else { most }
}

/// Most tokens of a request: by the settings, and by what the server says, where that is less.
fn window(state: &State, turn: &Turn) -> u64 {
    let told = state.windows.get(&turn.model).copied();
    let set = turn.settings.compaction.map(|compaction| compaction.window);
    // What is set is for the usual model.
    let of_tier = turn.settings.tiers.as_ref().filter(|_| turn.tier != Tier::Main);
    let of_tier = of_tier.and_then(|tiers| tiers.get(turn.tier)?.window);
    u64::from([told, set, of_tier].into_iter().flatten().min().unwrap_or(u32::MAX))
}

fn is_too_long(turn: &Turn) -> bool {
    turn.failed.as_ref().is_some_and(|failed| failed.failure.kind == ProviderFailureKind::ContextTooLong)
}

fn fact(fact: ContextEvent) -> Option<Next> {
    append(vec![Event::Context(fact)])
}

fn whole(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use codetether_event::{
        Compaction, Outcome, ProviderFailure, ProviderFailureKind as Kind, ResponseFormat, StopReason,
    };

    use super::*;
    use crate::Effect;
    use crate::transcript::Transcript;

    /// A turn under a window of so many tokens.
    fn turn(window: u32) -> Transcript {
        let mut t = Transcript::bare();
        t.settings_mut().compaction = Some(Compaction { window, share: 80 });
        t.prompt("find the bug");
        t.start();
        t.epoch();
        t
    }

    /// A step that reads something long.
    fn step(t: &mut Transcript, name: &str) {
        t.calls(&[("read", &format!("{{\"path\":\"{name}\"}}"))]).allow(0, false).run(0);
        t.end_call(0, &format!("{name} begins\n{}", "x".repeat(2_500)));
    }

    fn asks_for_a_sample(t: &mut Transcript) -> bool {
        t.settle();
        if let Next::Start(effects) = t.decide()
            && matches!(effects[..], [Effect::Prepare { .. }])
        {
            t.start();
            t.epoch();
        }
        matches!(t.decide(), Next::Start(effects) if matches!(effects[..], [Effect::Sample { .. }]))
    }

    fn texts(t: &Transcript) -> Vec<String> {
        let of = |message: &std::sync::Arc<Message>| match &message.parts[..] {
            [codetether_event::ContentPart::ToolResult(result)] => result.text.clone(),
            _ => message.text(),
        };
        t.state().context.messages.iter().map(of).collect()
    }

    fn failure(kind: Kind) -> ProviderFailure {
        ProviderFailure { kind, status: None, message: "x".into(), retry_after_ms: None }
    }

    #[test]
    fn outputs_fold_first_and_the_last_steps_stay_whole() {
        let mut t = turn(10_000);
        for n in 0..12 {
            step(&mut t, &format!("file{n}"));
            assert!(asks_for_a_sample(&mut t));
        }
        let texts = texts(&t);
        let folded =
            texts.iter().filter(|text| text.contains("left out to save room; `recall` with the id")).count();
        assert!(folded >= 4, "{texts:?}");
        assert!(texts.iter().rev().take(2).any(|text| text.starts_with("file11 begins")), "{texts:?}");
        assert!(t.state().context.tokens() < 8_000);
    }

    #[test]
    fn then_a_summary_takes_the_place_of_what_is_old() {
        let mut t = turn(4_000);
        let mut summed = 0;
        for n in 0..20 {
            step(&mut t, &format!("file{n}"));
            assert!(asks_for_a_sample(&mut t));
            if t.state().context.summing.is_some() {
                summed += 1;
                let steps = t.state().turn.as_ref().unwrap().steps;
                t.sample();
                t.answer_text(&format!("read up to file{n}"), StopReason::EndTurn);
                assert!(asks_for_a_sample(&mut t), "the summary does not end the turn");
                assert_eq!(t.state().turn.as_ref().unwrap().steps, steps, "nor is it a step");
                let texts = texts(&t);
                assert!(texts.iter().any(|text| text == "find the bug"), "{texts:?}");
                assert!(texts.iter().any(|text| text.contains(&format!("read up to file{n}\n</summary>"))));
                assert!(texts.iter().any(|text| text.starts_with(&format!("file{n} begins"))), "{texts:?}");
                assert!(!texts.iter().any(|text| text.contains("Make no calls")), "{texts:?}");
            }
        }
        assert!(summed >= 2, "{summed}");
        assert!(t.state().context.tokens() < 4_000);
    }

    #[test]
    fn instructions_of_entered_folders_are_told_anew_when_they_give_way() {
        let mut t = turn(4_000);
        let mut told = 0;
        for n in 0..20 {
            t.calls(&[("read", &format!("{{\"path\":\"a/file{n}\"}}"))]).allow(0, false).run(0);
            let item = t.item(0);
            t.end_call(0, &format!("file{n} begins\n{}", "x".repeat(2_500)));
            let files = match t.state().context.entered().next() {
                None => vec!["a/AGENTS.md".to_owned()],
                Some(_) => Vec::new(),
            };
            assert_eq!(files.is_empty(), n > 0, "it is known from the first step on");
            t.append(vec![Event::Context(ContextEvent::Entered { item, files })]);
            t.settle();
            if t.state().context.summing.is_some() {
                t.sample();
                t.answer_text("so far", StopReason::EndTurn);
            }
            t.settle();
            if let Next::Start(effects) = t.decide()
                && let [Effect::Prepare { item, instructions, room, .. }] = &effects[..]
            {
                let (item, instructions) = (*item, instructions.clone());
                assert!(*room > 0);
                t.start();
                t.epoch();
                told += instructions.len();
                let message = Message::user("told anew");
                let shown = ContextEvent::Shown { item, message, known: Vec::new(), instructions };
                t.append(vec![Event::Context(shown)]);
            }
        }
        assert!(told >= 2, "{told}");
        assert!(texts(&t).iter().any(|text| text == "told anew"));
    }

    #[test]
    fn what_did_not_fit_gives_way_without_being_asked_about() {
        let mut t = turn(u32::MAX);
        for n in 0..3 {
            step(&mut t, &format!("file{n}"));
        }
        t.sample();
        t.fail(failure(Kind::ContextTooLong), 0);
        assert!(asks_for_a_sample(&mut t));
        assert_eq!(texts(&t).iter().filter(|text| text.contains("left out to save room")).count(), 3);
        t.sample();
        t.fail(failure(Kind::ContextTooLong), 0);
        assert!(asks_for_a_sample(&mut t));
        assert!(texts(&t).iter().any(|text| text.contains("were dropped, since they no longer fit")));
        assert_eq!(t.state().turn.as_ref().unwrap().steps, 3, "it is one step still");
        // What cannot become less ends the turn.
        t.sample();
        t.fail(failure(Kind::ContextTooLong), 0);
        t.settle();
        assert!(matches!(t.state().last, Some(Outcome::ProviderFailed { .. })), "{:?}", t.state().last);
    }

    #[test]
    fn a_summary_that_cannot_be_had_is_done_without() {
        for outcome in ["fails", "calls", "interrupted"] {
            let mut t = turn(4_000);
            for n in 0..20 {
                if t.state().context.summing.is_some() {
                    break;
                }
                step(&mut t, &format!("file{n}"));
                assert!(asks_for_a_sample(&mut t));
            }
            match outcome {
                "fails" => {
                    let steps = t.state().turn.as_ref().unwrap().steps;
                    t.sample();
                    t.fail(failure(Kind::BadRequest), 0);
                    assert!(asks_for_a_sample(&mut t));
                    assert_eq!(t.state().turn.as_ref().unwrap().steps, steps);
                    assert!(texts(&t).iter().any(|text| text.contains("were dropped")));
                }
                "calls" => {
                    t.calls_unjudged(&[("bash", "{}")]);
                    assert!(asks_for_a_sample(&mut t), "calls are not made");
                    assert!(texts(&t).iter().any(|text| text.contains("were dropped")));
                }
                _ => {
                    t.interrupt();
                    t.settle();
                    assert!(!texts(&t).iter().any(|text| text.contains("Make no calls")));
                    assert!(matches!(t.state().last, Some(Outcome::Interrupted)), "{:?}", t.state().last);
                }
            }
        }
    }

    #[test]
    fn a_provider_that_fails_while_it_sums_up_costs_nothing_of_what_was_said() {
        let mut t = turn(4_000);
        for n in 0..20 {
            if t.state().context.summing.is_some() {
                break;
            }
            step(&mut t, &format!("file{n}"));
            assert!(asks_for_a_sample(&mut t));
        }
        let before = texts(&t).len();
        t.sample();
        t.fail(failure(Kind::Auth), 0);
        t.settle();
        assert!(matches!(t.state().last, Some(Outcome::ProviderFailed { .. })));
        assert_eq!(texts(&t).len(), before - 1, "all but the question is there");
    }

    #[test]
    fn prompts_that_stay_bring_about_no_end_of_summaries() {
        let mut t = turn(4_000);
        for n in 0..4 {
            t.steer(&format!("{n} {}", "y".repeat(4_000)));
        }
        for n in 0..3 {
            step(&mut t, &format!("file{n}"));
            // Settling panics where it never ends.
            let mut summaries = 0;
            while asks_for_a_sample(&mut t) && t.state().context.summing.is_some() {
                summaries += 1;
                t.sample();
                t.answer_text("so far", StopReason::EndTurn);
            }
            assert!(summaries <= 1, "{summaries}");
        }
    }

    #[test]
    fn an_answer_of_a_form_is_no_summary() {
        let mut t = Transcript::bare();
        t.settings_mut().compaction = Some(Compaction { window: 3_000, share: 80 });
        t.settings_mut().format = ResponseFormat::Json;
        t.prompt("go");
        t.start();
        t.epoch();
        for n in 0..12 {
            step(&mut t, &format!("file{n}"));
            assert!(asks_for_a_sample(&mut t));
            assert!(t.state().context.summing.is_none());
        }
        assert!(texts(&t).iter().any(|text| text.contains("were dropped")));
    }

    /// A session at rest whose steps would all fit, with a list and files.
    fn worked() -> Transcript {
        let mut t = Transcript::bare();
        t.prompt("the first wish");
        t.start();
        t.epoch();
        for n in 0..4 {
            t.knows(&format!("file{n}"), Some("x"));
            step(&mut t, &format!("file{n}"));
        }
        t.calls(&[("todo", "{}")]).allow(0, false).run(0).todo("mend it").end_call(0, "noted");
        t.sample();
        t.answer_text("done", StopReason::EndTurn).settle();
        t.prompt("the second wish");
        for n in 4..8 {
            t.knows(&format!("file{n}"), Some("x"));
            step(&mut t, &format!("file{n}"));
        }
        t.sample();
        t.answer_text("done again", StopReason::EndTurn).settle();
        t
    }

    fn compact(t: &mut Transcript, op: u128) -> Result<usize, crate::Refused> {
        let in_turn = t.state().turn.is_some();
        let settings = (!in_turn).then(|| Box::new(Transcript::settings()));
        let id = codetether_event::OpId(uuid::Uuid::from_u128(op));
        let from = codetether_event::Principal::Local;
        let wish = codetether_event::Submission { id, from, op: codetether_event::Op::Compact { settings } };
        let facts = t.state().accept(&wish)?;
        let count = facts.len();
        t.append_for(id, facts);
        Ok(count)
    }

    #[test]
    fn between_turns_a_summary_can_be_asked_for_and_what_is_in_work_is_put_back() {
        let mut t = worked();
        assert_eq!(compact(&mut t, 1), Ok(1));
        assert!(asks_for_a_sample(&mut t));
        t.sample();
        t.answer_text("what was found out", StopReason::EndTurn).settle();
        assert_eq!((t.state().turn.is_some(), t.state().last.clone()), (false, Some(Outcome::Completed)));
        let told = texts(&t);
        assert_eq!(told.first().unwrap(), "the first wish");
        assert!(told.iter().any(|text| text == "the second wish"), "{told:?}");
        let summary = told.iter().find(|text| text.contains("what was found out\n</summary>")).unwrap();
        assert!(summary.ends_with("(`todo` changes it):\n[ ] mend it"), "{summary}");
        assert!(told.iter().any(|text| text.starts_with("file7 begins")), "the last step stays: {told:?}");
        assert!(!told.iter().any(|text| text.starts_with("file0 begins")), "{told:?}");
        // What stays need not be shown anew.
        let shown = &t.state().context.to_show;
        assert!(shown.contains(&"file0".to_owned()) && !shown.contains(&"file7".to_owned()), "{shown:?}");
        assert!(t.state().context.room > 1_000, "{}", t.state().context.room);
        assert_eq!(compact(&mut t, 2), Err(crate::Refused::NothingToCompact));
        t.prompt("go on");
        let effects = t.start();
        assert!(matches!(&effects[..], [Effect::Prepare { files, .. }] if files.len() >= 4), "{effects:?}");
        t.epoch();
        assert!(t.state().context.to_show.is_empty(), "they are shown once");
    }

    #[test]
    fn within_a_turn_it_is_done_at_the_next_step() {
        let mut t = worked();
        t.prompt("the third wish");
        t.calls(&[("read", "{}")]).allow(0, false).run(0);
        assert_eq!(compact(&mut t, 1), Ok(1));
        assert_eq!(compact(&mut t, 2), Ok(0), "it is asked for already");
        t.end_call(0, "r");
        assert!(asks_for_a_sample(&mut t));
        assert!(t.state().context.summing.is_some());
        t.sample();
        t.answer_text("so far", StopReason::EndTurn);
        assert!(asks_for_a_sample(&mut t), "the turn goes on");
        assert!(texts(&t).iter().any(|text| text.contains("so far\n</summary>")));
        assert!(texts(&t).iter().any(|text| text == "the third wish"));
    }

    #[test]
    fn there_may_be_nothing_to_compact() {
        let mut t = Transcript::new();
        assert_eq!(compact(&mut t, 1), Err(crate::Refused::NothingToCompact));
        t.prompt("go").sample();
        t.answer_text("done", StopReason::EndTurn).settle();
        assert_eq!(compact(&mut t, 2), Err(crate::Refused::NothingToCompact));
    }

    #[test]
    fn a_summary_that_was_asked_for_and_cannot_be_had_costs_nothing() {
        for outcome in ["refused", "calls"] {
            let mut t = worked();
            let before = texts(&t);
            compact(&mut t, 1).unwrap();
            assert!(asks_for_a_sample(&mut t));
            match outcome {
                "refused" => {
                    t.sample();
                    t.fail(failure(Kind::BadRequest), 0);
                }
                _ => drop(t.calls_unjudged(&[("bash", "{}")])),
            }
            t.settle();
            assert_eq!(t.state().turn, None, "{outcome}");
            assert!(!matches!(t.state().last, Some(Outcome::Completed)), "{:?}", t.state().last);
            assert_eq!(texts(&t), before, "{outcome}");
        }
    }

    #[test]
    fn what_is_said_meanwhile_is_answered_although_no_summary_came() {
        let mut t = worked();
        let before = texts(&t);
        compact(&mut t, 1).unwrap();
        assert!(asks_for_a_sample(&mut t));
        t.steer("and this");
        t.calls_unjudged(&[("bash", "{}")]);
        assert!(asks_for_a_sample(&mut t));
        assert!(t.state().context.summing.is_none());
        assert_eq!(texts(&t), before);
        t.sample();
        assert_eq!(texts(&t).last().unwrap(), "and this");
        t.answer_text("answered", StopReason::EndTurn).settle();
        assert_eq!(t.state().last, Some(Outcome::Completed));
    }

    #[test]
    fn what_the_server_says_of_its_window_holds_from_the_next_step_on() {
        let mut t = turn(u32::MAX);
        for n in 0..6 {
            step(&mut t, &format!("file{n}"));
            assert!(asks_for_a_sample(&mut t));
        }
        assert!(!texts(&t).iter().any(|text| text.contains("left out to save room")));
        let model = codetether_event::ModelId::new("test/model");
        t.append(vec![Event::Context(ContextEvent::Window { model, tokens: 4_000 })]);
        assert!(asks_for_a_sample(&mut t));
        assert!(texts(&t).iter().any(|text| text.contains("left out to save room")), "{:?}", texts(&t));
    }

    #[test]
    fn the_conversation_goes_back_over_a_summary() {
        let mut t = worked();
        let first = t.state().context.turns()[0];
        let second = t.state().context.turns()[1];
        let before = texts(&t);
        compact(&mut t, 1).unwrap();
        assert!(asks_for_a_sample(&mut t));
        t.sample();
        t.answer_text("what was found out", StopReason::EndTurn).settle();
        assert_eq!(t.state().context.turns(), [first, second], "to compact is no turn to go back to");
        t.append(vec![Event::Context(ContextEvent::Rewound { to: second })]);
        let upto = before.iter().position(|text| text == "the second wish").unwrap();
        assert_eq!(texts(&t), before[..upto]);
        assert_eq!(t.state().context.todo().len(), 1);
        assert!(t.state().context.known.content("file0").is_some(), "it is known again");
        assert!(t.state().context.known.content("file4").is_none());
        t.append(vec![Event::Context(ContextEvent::Rewound { to: first })]);
        assert_eq!((texts(&t), t.state().context.todo().len()), (Vec::new(), 0));
    }

    #[test]
    fn too_far_back_is_said_to_be_so() {
        let mut t = Transcript::new();
        let mut first = None;
        for n in 0..4_u128 {
            // Each is more than a third of what is kept at hand.
            t.prompt(&format!("{n} {}", "y".repeat(3 << 20))).sample();
            t.answer_text("done", StopReason::EndTurn).settle();
            t.prompt("more").sample();
            t.answer_text("done", StopReason::EndTurn).settle();
            first = first.or(t.state().context.turns().first().copied());
            let keep = None;
            let gone = ContextEvent::Compacted { keep, messages: 1, tokens: 1 };
            t.append(vec![Event::Context(gone)]);
            t.epoch();
        }
        let id = codetether_event::OpId(uuid::Uuid::from_u128(1));
        let op = codetether_event::Op::Rewind { to: first.unwrap() };
        let wish = codetether_event::Submission { id, from: codetether_event::Principal::Local, op };
        assert_eq!(t.state().accept(&wish), Err(crate::Refused::TooFarBack));
        assert!(!t.state().context.turns().contains(&first.unwrap()));
        let last = *t.state().context.turns().last().unwrap();
        t.append(vec![Event::Context(ContextEvent::Rewound { to: last })]);
        assert!(!t.state().context.turns().contains(&last));
    }
}
