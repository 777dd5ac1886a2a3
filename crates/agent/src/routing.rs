//! Which of its tiers' models a prompt goes to, decided where it is taken in: there its text and the past are known.

use codetether_event::{
    Alternative, Candidate, Input, Message, ModelId, Op, Role, RouteRule, Routed, RoutedJob, Tier, Tiers,
};
use codetether_route::{Class, Decision, Head, Job, Kind, NAMES, Needs, Rule, decide};
use codetether_session::State;

/// About as many tokens as the system prompt, the tools and an answer have.
const BESIDES: u64 = 6_000;

/// About as many bytes are a token.
const BYTES: u64 = 3;

/// About as many tokens as a turn reads and writes anew.
const READS: i128 = 8_000;
const WRITES: i128 = 2_000;

/// Tokens of a conversation from which on a model inside this program is not made to read it all.
const LONG: u64 = 4_000;

/// The decision, where there is one to make. A head that cannot be read decides nothing, which a test excludes.
pub(crate) fn routed(state: &State, op: &Op) -> Option<Routed> {
    let Op::Prompt { input, settings } = op else { return None };
    let tiers = settings.tiers.as_deref()?;
    let head = Head::shipped().ok()?;
    Some(decided(&head, state, input, tiers))
}

fn decided(head: &Head, state: &State, input: &Input, tiers: &Tiers) -> Routed {
    let message = Message { role: Role::User, parts: input.parts.clone() };
    let prompt = message.text();
    let job = Job {
        prompt: &prompt,
        history: state.context.messages.len(),
        failures: usize::from(
            state.last.as_ref().is_some_and(|last| *last != codetether_event::Outcome::Completed),
        ),
    };
    let features = job.features();
    let needs = match &tiers.small {
        None => Needs::default(),
        Some(small) => needs(state, tiers, small, &message),
    };
    let decision = decide(head, Kind::Prompt, &job, &features, needs);
    let (tier, rule) = place(&decision, tiers, state);
    let candidate = tiers.get(tier).unwrap_or(&tiers.main);
    let other = match tier {
        Tier::Small => Some((Tier::Main, &tiers.main)),
        Tier::Main | Tier::Heavy => tiers.small.as_ref().map(|small| (Tier::Small, small)),
    };
    Routed {
        job: RoutedJob::Prompt,
        tier,
        model: candidate.model.clone(),
        rule,
        class: Some(class(decision.class)),
        score: Some(thousandths(decision.score).try_into().unwrap_or(1_000)),
        features: NAMES.iter().map(|name| (*name).to_owned()).zip(features.map(thousandths)).collect(),
        rates: candidate.rates,
        instead_of: other.map(|(tier, other)| Alternative {
            tier,
            model: other.model.clone(),
            rates: other.rates,
        }),
    }
}

/// The tier, where it is one that there is.
fn place(decision: &Decision, tiers: &Tiers, state: &State) -> (Tier, RouteRule) {
    let rule = match decision.rule {
        Rule::Kind => RouteRule::Kind,
        Rule::Window => RouteRule::Window,
        Rule::Images => RouteRule::Images,
        Rule::Warm => RouteRule::Warm,
        Rule::Score => RouteRule::Score,
    };
    let tier = match (decision.tier, rule) {
        (Tier::Small, _) if tiers.small.is_none() => Tier::Main,
        (Tier::Small, _) => Tier::Small,
        // Where the conversation is in a cache, it is that of the model that answered last.
        (_, RouteRule::Warm) => warm(state, tiers).map_or(Tier::Main, |(tier, _)| tier),
        (tier, _) => tier,
    };
    (tier, rule)
}

fn needs(state: &State, tiers: &Tiers, small: &Candidate, message: &Message) -> Needs {
    let has_images =
        message.parts.iter().any(|part| matches!(part, codetether_event::ContentPart::Image { .. }));
    let before = state.context.tokens();
    let said = message.text().len() as u64 / BYTES;
    let large = warm(state, tiers).map(|(_, model)| model);
    Needs {
        tokens: before.saturating_add(said).saturating_add(BESIDES),
        window: small.window.map(u64::from),
        unseen_images: has_images && small.images == Some(false),
        warm: large.is_some_and(|large| !pays(small, large, before)),
    }
}

/// The larger model that has the conversation in its cache.
fn warm<'a>(state: &State, tiers: &'a Tiers) -> Option<(Tier, &'a Candidate)> {
    let model: &ModelId = &state.context.epoch.as_ref().filter(|epoch| epoch.answered)?.model;
    tiers.all().find(|(tier, candidate)| *tier > Tier::Small && candidate.model == *model)
}

/// Whether it pays to have the small model read anew what the large one has in its cache.
fn pays(small: &Candidate, large: &Candidate, tokens: u64) -> bool {
    if small.embedded && tokens > LONG {
        return false;
    }
    let (Some(small), Some(large)) = (small.rates, large.rates) else { return true };
    let turn = |input: i64, output: i64| READS * i128::from(input) + WRITES * i128::from(output);
    let tokens = i128::from(tokens);
    tokens * i128::from(small.input.0) + turn(small.input.0, small.output.0)
        < tokens * i128::from(large.cache_read.0) + turn(large.input.0, large.output.0)
}

fn class(class: Class) -> String {
    serde_json::to_value(class).ok().and_then(|name| Some(name.as_str()?.to_owned())).unwrap_or_default()
}

// What is out of range is at its end.
#[expect(clippy::cast_possible_truncation, reason = "features are small, and a cast saturates")]
fn thousandths(value: f64) -> i64 {
    (value * 1_000.0).round() as i64
}

#[cfg(test)]
mod tests {
    use codetether_event::{Money, TierRates};

    use super::*;

    fn candidate(model: &str, rates: Option<(i64, i64, i64)>) -> Candidate {
        let rates = rates.map(|(input, output, cache_read)| TierRates {
            input: Money(input),
            output: Money(output),
            cache_read: Money(cache_read),
        });
        Candidate { model: ModelId::new(model), embedded: false, window: Some(32_000), images: None, rates }
    }

    fn tiers() -> Tiers {
        Tiers {
            small: Some(candidate("a/small", Some((100, 400, 10)))),
            main: candidate("a/main", Some((3_000, 15_000, 300))),
            heavy: None,
        }
    }

    fn of(prompt: &str, tiers: &Tiers) -> Routed {
        decided(&Head::shipped().unwrap(), &State::default(), &Input::text(prompt), tiers)
    }

    #[test]
    fn a_decision_tells_what_it_was_made_of_and_the_price_of_both() {
        let routed = of("rename `a` to `b` in src/lib.rs", &tiers());
        assert_eq!(
            (routed.tier, routed.rule, routed.model.as_str()),
            (Tier::Small, RouteRule::Score, "a/small")
        );
        assert_eq!(routed.class.as_deref(), Some("edit"));
        assert_eq!(routed.features.len(), NAMES.len());
        let other = routed.instead_of.unwrap();
        assert_eq!((other.model.as_str(), other.rates.unwrap().input), ("a/main", Money(3_000)));
        let hard = "design a distributed cache across all services, and prove that it cannot deadlock";
        assert_eq!(of(hard, &tiers()).tier, Tier::Main);
        let long = "x ".repeat(60_000);
        assert_eq!(of(&long, &tiers()).rule, RouteRule::Window);
    }

    #[test]
    fn without_a_small_model_the_usual_one_is_asked() {
        let routed = of("rename `a` to `b`", &Tiers { small: None, ..tiers() });
        assert_eq!((routed.tier, routed.model.as_str(), routed.instead_of), (Tier::Main, "a/main", None));
    }

    #[test]
    fn a_long_conversation_stays_in_the_cache_where_that_costs_less() {
        let (small, large) =
            (candidate("a/s", Some((500, 2_000, 50))), candidate("a/m", Some((3_000, 15_000, 300))));
        assert!(pays(&small, &large, 10_000));
        assert!(!pays(&small, &large, 1_000_000), "reading it anew costs more than all that is saved");
        let embedded = Candidate { embedded: true, rates: None, ..small };
        assert!(pays(&embedded, &large, 1_000) && !pays(&embedded, &large, 10_000));
    }
}
