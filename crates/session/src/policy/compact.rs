//! Before a request would no longer fit, the context gives way: outputs of older calls fold to a line each; where that is
//! not enough, the model sums up what is to go. A request that did not fit goes the same way, without a summary, since
//! asking for one would not fit either.

use codetether_event::{ContextEvent, ContextSource, Event, Message, ProviderFailureKind, Seq};

use super::append;
use crate::context::weight;
use crate::{Next, State, Turn};

/// Steps whose outputs stay whole.
const WHOLE: usize = 4;

/// The part of the window that steps may take that stay as they are: one of so many.
const STAYS: u64 = 4;

/// About as many bytes are a token.
const BYTES: u64 = 3;

const ASKED: &str = "The conversation is about to grow beyond what fits, so all before this gives way to your summary of it. \
Write it for yourself, so that you can go on without having to ask or look again: what the user wants, in their words where they matter; what \
was decided and why; what was done, with paths; what was found out, with names and numbers; what failed; what is still to do, and what comes \
next. Make no calls, and say nothing besides the summary.";

pub(super) fn policy(state: &State, turn: &Turn) -> Option<Next> {
    let (context, compaction) = (&state.context, turn.settings.compaction?);
    let too_long = is_too_long(turn);
    let pending: u64 = turn.pending.iter().map(|input| weight(&input.parts)).sum();
    let tokens = context.tokens().saturating_add(pending / BYTES);
    let near = tokens >= u64::from(compaction.window) * u64::from(compaction.share) / 100;
    if context.summing.is_some() || !(near || too_long) {
        return None;
    }
    if let Some((before, outputs)) = foldable(state, turn) {
        return fact(ContextEvent::Folded { before, outputs: whole(outputs), tokens });
    }
    let (keep, messages) = droppable(state, turn)?;
    // An answer that must have a form is no summary.
    if too_long || !turn.settings.format.is_text() {
        return fact(ContextEvent::Compacted { keep, messages: whole(messages), tokens });
    }
    fact(ContextEvent::Added { message: Message::user(ASKED), source: ContextSource::Summary })
}

/// What was asked for is there, or cannot be had.
pub(super) fn summed(state: &State, turn: &Turn) -> Option<Next> {
    state.context.summing?;
    turn.answered.as_ref()?;
    give_way(state, turn)
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
    state.context.droppable(stays(state, turn)?, turn.id.0)
}

/// Most bytes of the steps that stay as they are. What did not fit is more than the window, whatever that is.
fn stays(state: &State, turn: &Turn) -> Option<u64> {
    let window = u64::from(turn.settings.compaction?.window);
    let window = if is_too_long(turn) { window.min(state.context.tokens()) } else { window };
    Some(window / STAYS * BYTES)
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
}
