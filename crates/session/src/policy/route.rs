//! A turn that was routed to a small model goes on with a larger one where there is evidence that the small one is not
//! enough. Summaries go to the small model where that costs less.

use codetether_event::{
    Alternative, Candidate, Event, Evidence, ModelId, ProviderFailure, RouteRule, Routed, RoutedJob, Tier,
    TierRates, TurnEvent,
};

use super::append;
use crate::{Next, State, Turn};

/// Calls running that cannot be made before a larger model is asked.
const INVALID: u32 = 2;

/// Times running that the same call is made before a larger model is asked.
const CIRCLES: u32 = 3;

/// About as many tokens as a summary has.
const SUMMARY: u64 = 2_000;

/// Between two steps.
pub(super) fn policy(_: &State, turn: &Turn) -> Option<Next> {
    let circles = turn.repeat.is_some_and(|(_, times)| times >= CIRCLES);
    if turn.invalid >= INVALID {
        larger(turn, Evidence::InvalidCalls)
    } else if circles {
        larger(turn, Evidence::NoProgress)
    } else {
        None
    }
}

/// The check fails although the model was told.
pub(super) fn still_fails(turn: &Turn) -> Option<Next> {
    if turn.checking.rounds > 0 { larger(turn, Evidence::CheckFailed) } else { None }
}

/// A request failed for good.
pub(super) fn failed(state: &State, turn: &Turn, failure: &ProviderFailure) -> Option<Next> {
    let why = Evidence::Failed { failure: failure.clone() };
    if state.context.summing.is_some() {
        return own(state, turn, why);
    }
    // The usual model's failures are what `fallback` is for.
    if turn.tier == Tier::Small { larger(turn, why) } else { None }
}

/// Another model than the turn's gave no summary.
pub(super) fn no_summary(state: &State, turn: &Turn) -> Option<Next> {
    own(state, turn, Evidence::NoSummary)
}

/// The model that is asked next.
pub(super) fn asked<'a>(state: &State, turn: &'a Turn) -> &'a ModelId {
    let summarist = turn.summarist.as_ref().filter(|_| state.context.summing.is_some());
    summarist.unwrap_or(&turn.model)
}

/// Which model sums up, where there is a choice.
pub(super) fn summary(state: &State, turn: &Turn) -> Option<Routed> {
    let tiers = turn.settings.tiers.as_ref()?;
    let small = tiers.small.as_ref().filter(|small| small.model != turn.model)?;
    let own = tiers.all().find(|(_, candidate)| candidate.model == turn.model);
    let own_rates = own.and_then(|(_, candidate)| candidate.rates);
    let tokens = state.context.tokens();
    let rule = if small.window.is_some_and(|window| tokens.saturating_add(SUMMARY) > u64::from(window)) {
        RouteRule::Window
    } else if small.embedded || !is_cheaper(small, own_rates, tokens) {
        // The turn's own model has read it all.
        RouteRule::Warm
    } else {
        RouteRule::Kind
    };
    let of = |tier, model: &ModelId, rates| Alternative { tier, model: model.clone(), rates };
    let own = of(turn.tier, &turn.model, own_rates);
    let small = of(Tier::Small, &small.model, small.rates);
    let (chosen, other) = if rule == RouteRule::Kind { (small, own) } else { (own, small) };
    Some(Routed {
        job: RoutedJob::Summary,
        tier: chosen.tier,
        model: chosen.model,
        rule,
        class: None,
        score: None,
        features: Default::default(),
        rates: chosen.rates,
        instead_of: Some(other),
    })
}

/// Whether reading it all anew costs less there than reading it from the cache here.
fn is_cheaper(small: &Candidate, own: Option<TierRates>, tokens: u64) -> bool {
    let (Some(small), Some(own)) = (small.rates, own) else { return true };
    let tokens = i128::from(tokens);
    let cost =
        |input: i64, output: i64| tokens * i128::from(input) + i128::from(SUMMARY) * i128::from(output);
    cost(small.input.0, small.output.0) < cost(own.cache_read.0, own.output.0)
}

fn larger(turn: &Turn, why: Evidence) -> Option<Next> {
    let (tier, candidate) = turn.settings.tiers.as_ref()?.above(turn.tier)?;
    // What went on with another model by `fallback` is of no tier.
    let of_tier = turn.settings.tiers.as_ref()?.get(turn.tier)?;
    if of_tier.model != turn.model {
        return None;
    }
    let model = candidate.model.clone();
    append(vec![Event::Turn(TurnEvent::Escalated { tier, model, why })])
}

/// The turn's own model is asked for the summary instead.
fn own(state: &State, turn: &Turn, why: Evidence) -> Option<Next> {
    if *asked(state, turn) == turn.model {
        return None;
    }
    let (tier, model) = (turn.tier, turn.model.clone());
    append(vec![Event::Turn(TurnEvent::Escalated { tier, model, why })])
}

#[cfg(test)]
mod tests {
    use codetether_event::{
        Check, CheckPoint, CheckStatus, Compaction, ItemId, Money, Outcome, ProviderFailureKind as Kind,
        StopReason, Tiers, Timing,
    };

    use super::*;
    use crate::Effect;
    use crate::transcript::Transcript;

    fn candidate(model: &str, input: i64) -> Candidate {
        let rates =
            Some(TierRates { input: Money(input), output: Money(input), cache_read: Money(input / 10) });
        Candidate { model: ModelId::new(model), embedded: false, window: None, images: None, rates }
    }

    fn tiers() -> Tiers {
        Tiers {
            small: Some(candidate("test/small", 1)),
            main: candidate("test/model", 100),
            heavy: Some(candidate("test/heavy", 1_000)),
        }
    }

    /// A turn that was routed to the small model.
    fn routed(change: impl FnOnce(&mut codetether_event::TurnSettings)) -> Transcript {
        let mut t = Transcript::bare();
        t.settings_mut().tiers = Some(Box::new(tiers()));
        change(t.settings_mut());
        t.prompt("go");
        t.append(vec![Event::Turn(TurnEvent::Routed(Box::new(Routed {
            job: RoutedJob::Prompt,
            tier: Tier::Small,
            model: ModelId::new("test/small"),
            rule: RouteRule::Score,
            class: None,
            score: None,
            features: Default::default(),
            rates: None,
            instead_of: None,
        })))]);
        assert_eq!(model(&mut t), "test/small");
        t
    }

    /// The model that a prefix is made for, and asked next.
    fn model(t: &mut Transcript) -> String {
        let effects = t.start();
        let [Effect::Prepare { model, .. }] = &effects[..] else { panic!("{effects:?}") };
        let model = model.clone();
        let own = t.settings_mut().model.clone();
        t.settings_mut().model = model.clone();
        t.epoch();
        t.settings_mut().model = own;
        t.settle();
        let next = t.decide();
        assert!(
            matches!(&next, Next::Start(effects) if matches!(&effects[..], [Effect::Sample { model: asked, .. }] if *asked == model)),
            "{next:?}"
        );
        model.to_string()
    }

    fn failure(kind: Kind) -> ProviderFailure {
        ProviderFailure { kind, status: None, message: "x".into(), retry_after_ms: None }
    }

    #[test]
    fn two_calls_that_cannot_be_made_are_enough() {
        let mut t = routed(|_| ());
        let invalid = || codetether_event::Verdict::InvalidArguments { problems: "x".into() };
        for round in 0..2 {
            t.calls(&[("read", "{}")]).judge(0, invalid());
            t.settle();
            assert_eq!(t.state().turn.as_ref().unwrap().tier == Tier::Main, round == 1);
        }
        assert_eq!(model(&mut t), "test/model");
        t.calls(&[("read", "{}")]).allow(0, false).run(0).end_call(0, "r");
        t.sample();
        t.answer_text("done", StopReason::EndTurn).settle();
        assert_eq!(t.state().last, Some(Outcome::Completed));
    }

    #[test]
    fn a_call_that_is_made_is_a_new_beginning() {
        let mut t = routed(|_| ());
        let invalid = || codetether_event::Verdict::UnknownTool { offered: Vec::new() };
        for _ in 0..2 {
            t.calls(&[("reed", "{}")]).judge(0, invalid());
            t.settle();
            t.calls(&[("read", "{}")]).allow(0, false).run(0).end_call(0, "r");
            t.settle();
        }
        assert_eq!(t.state().turn.as_ref().unwrap().tier, Tier::Small);
    }

    #[test]
    fn going_in_circles_is_left_to_the_next_larger_until_there_is_none() {
        let mut t = routed(|_| ());
        let circle = |t: &mut Transcript| {
            for _ in 0..3 {
                t.calls(&[("read", "{}")]).allow(0, false).run(0).end_call(0, "same");
                t.settle();
            }
        };
        circle(&mut t);
        assert_eq!(model(&mut t), "test/model");
        circle(&mut t);
        assert_eq!(model(&mut t), "test/heavy");
        circle(&mut t);
        let told = t.state().context.messages.last().unwrap().text();
        assert!(told.contains("times running"), "the largest is told: {told}");
    }

    #[test]
    fn a_check_that_still_fails_asks_a_larger_one_which_is_told_as_often() {
        let check =
            Check { command: "make".into(), time_ms: 1, first: false, always: true, rounds: 2, tries: None };
        let mut t = routed(|settings| settings.check = Some(check));
        let mut models = Vec::new();
        for _ in 0..5 {
            t.calls(&[("write", "{}")]).allow(0, true).run(0).end_call_wrote(0, "written", "a");
            t.sample();
            t.answer_text("done", StopReason::EndTurn);
            let item: ItemId = t.start_only();
            t.append(vec![Event::Turn(TurnEvent::Checked {
                item,
                point: CheckPoint::End,
                command: "make".into(),
                status: CheckStatus::Exited { code: 1 },
                passed: false,
                output: String::new(),
                left_out: 0,
                timing: Timing::default(),
            })]);
            t.settle();
            let Some(turn) = &t.state().turn else { break };
            let tier = turn.tier;
            models.push(tier);
            if matches!(t.decide(), Next::Start(effects) if matches!(effects[..], [Effect::Prepare { .. }])) {
                model(&mut t);
            }
        }
        use Tier::{Heavy, Main, Small};
        assert_eq!(models, [Small, Main, Heavy, Heavy]);
        assert!(matches!(t.state().last, Some(Outcome::CheckFailed { .. })), "{:?}", t.state().last);
    }

    #[test]
    fn a_small_model_that_cannot_be_asked_is_done_without() {
        let mut t = routed(|_| ());
        t.sample();
        t.fail(failure(Kind::Auth), 0);
        t.settle();
        assert_eq!(model(&mut t), "test/model");
        t.sample();
        assert_eq!(t.state().turn.as_ref().unwrap().steps, 1, "it is one step");
        t.fail(failure(Kind::Auth), 0);
        t.settle();
        assert!(matches!(t.state().last, Some(Outcome::ProviderFailed { .. })), "heavy is for other things");
    }

    /// A turn of the usual model's that is about to be summed up.
    fn long(small: i64) -> Transcript {
        let mut t = Transcript::bare();
        let tiers = Tiers { small: Some(candidate("test/small", small)), heavy: None, ..tiers() };
        t.settings_mut().tiers = Some(Box::new(tiers));
        t.prompt("go");
        t.start();
        t.epoch();
        t.sample();
        t.answer_text(&"it is long ".repeat(1_000), StopReason::EndTurn).settle();
        t.prompt("short");
        t.sample();
        t.answer_text("done", StopReason::EndTurn).settle();
        t.settings_mut().compaction = Some(Compaction { window: 4_000, share: 80 });
        t.prompt("more");
        t.settle();
        assert!(t.state().context.summing.is_some());
        t
    }

    #[test]
    fn a_summary_goes_to_the_small_model_where_reading_it_all_there_costs_less() {
        let mut t = long(1);
        assert_eq!(model(&mut t), "test/small");
        t.sample();
        t.answer_text("so far", StopReason::EndTurn).settle();
        assert!(
            t.state().context.messages.iter().any(|message| message.text().contains("so far\n</summary>"))
        );
        assert_eq!(model(&mut t), "test/model");
        let t = long(50);
        let next = t.decide();
        let own = |effects: &[Effect]| matches!(effects, [Effect::Sample { model, .. }] if model.as_str() == "test/model");
        assert!(matches!(&next, Next::Start(effects) if own(effects)), "{next:?}");
    }

    #[test]
    fn a_small_model_that_gives_no_summary_is_done_without() {
        for fails in [true, false] {
            let mut t = long(1);
            assert_eq!(model(&mut t), "test/small");
            if fails {
                t.sample();
                t.fail(failure(Kind::BadRequest), 0);
            } else {
                t.calls_unjudged(&[("bash", "{}")]);
            }
            t.settle();
            assert!(t.state().context.summing.is_some(), "it is still asked for");
            assert_eq!(model(&mut t), "test/model");
            t.sample();
            t.answer_text("so far", StopReason::EndTurn).settle();
            let told = &t.state().context.messages;
            assert!(told.iter().any(|message| message.text().contains("so far\n</summary>")), "{told:?}");
        }
    }
}
