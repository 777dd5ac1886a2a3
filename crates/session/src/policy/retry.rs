//! A failed sample is tried again as a new item, after a pause: what the server asked for, or a base doubled at
//! each try, and up to a quarter more by chance. Tries and time are bounded; what cannot succeed is not retried.

use codetether_event::{Event, Outcome, ProviderFailureKind as Kind, TurnEvent};

use super::append;
use crate::{FailedSample, Next, State, Turn};

pub(super) fn policy(state: &State, turn: &Turn) -> Option<Next> {
    let failed = turn.failed.as_ref()?;
    // It is asked again in another way, for which there must be a prefix first.
    if is_to_change(state, turn) || super::compact::helps(state, turn) {
        return None;
    }
    let retry = turn.settings.retry;
    let at = failed.at.plus(pause(failed, retry.base_ms));
    let in_time = at.since(failed.first_at) <= retry.max_total_ms;
    if !failed.failure.kind.is_retryable() || failed.tries >= retry.max_tries || !in_time {
        let failure = failed.failure.clone();
        if let Some(larger) = super::route::failed(state, turn, &failure) {
            return Some(larger);
        }
        // The provider works, and will not sum up. Any other failure would come again, and cost what was said.
        if state.context.summing.is_some()
            && (failure.kind == Kind::ContextTooLong
                || matches!(failure.kind, Kind::BadRequest | Kind::Declined) && !turn.compacting)
        {
            return super::compact::give_way(state, turn);
        }
        if let Some(model) =
            turn.settings.fallback.get(turn.fallbacks).filter(|_| failure.kind.may_fall_back())
        {
            return append(vec![Event::Turn(TurnEvent::FellBack { model: model.clone(), failure })]);
        }
        return append(vec![Event::Turn(TurnEvent::Ended { outcome: Outcome::ProviderFailed { failure } })]);
    }
    if state.now < at {
        return Some(Next::Wait { until: Some(turn.deadline().map_or(at, |deadline| deadline.min(at))) });
    }
    Some(super::sample::ask(state, turn, Some(failed.item)))
}

/// Whether the server refused the way in which an answer of a form was asked for, and there is another.
fn is_to_change(state: &State, turn: &Turn) -> bool {
    let epoch = state.context.epoch.as_ref();
    epoch.zip(turn.way).is_some_and(|(epoch, way)| epoch.way < way)
}

/// Milliseconds before the next try.
fn pause(failed: &FailedSample, base_ms: u64) -> u64 {
    let doubled = base_ms.saturating_mul(1 << failed.tries.saturating_sub(1).min(16));
    let wanted = failed.failure.retry_after_ms.unwrap_or(doubled);
    wanted.saturating_add((wanted / 4).saturating_mul(u64::from(failed.jitter)) / 1000)
}

#[cfg(test)]
mod tests {
    use codetether_event::{ItemId, ProviderFailure, ResponseFormat, UnixMillis, Way};

    use super::*;
    use crate::Effect;
    use crate::transcript::Transcript;

    fn failure(kind: Kind, retry_after_ms: Option<u64>) -> ProviderFailure {
        ProviderFailure { kind, status: None, message: "x".into(), retry_after_ms }
    }

    fn waits(t: &Transcript) -> u64 {
        match t.decide() {
            Next::Wait { until: Some(until) } => until.since(t.state().now),
            next => panic!("{next:?}"),
        }
    }

    #[test]
    fn the_pause_doubles_and_carries_the_recorded_chance() {
        let mut t = Transcript::new();
        t.prompt("go");
        for (jitter, expected) in [(0, 500), (1000, 1250), (500, 2250)] {
            t.sample();
            t.fail(failure(Kind::Server, None), jitter);
            assert_eq!(waits(&t), expected);
            t.pass(expected).note();
        }
    }

    #[test]
    fn the_server_is_obeyed() {
        let mut t = Transcript::new();
        t.prompt("go").sample();
        t.fail(failure(Kind::RateLimited, Some(7_000)), 0);
        assert_eq!(waits(&t), 7_000);
        t.pass(7_000).note();
        let first = ItemId::at(t.state().turn.as_ref().unwrap().failed.as_ref().unwrap().item.seq);
        assert!(matches!(&t.start()[..], [Effect::Sample { retry_of, .. }] if *retry_of == Some(first)));
    }

    #[test]
    fn tries_and_time_end() {
        for (tries, pause) in [(6, None), (1, Some(400_000))] {
            let mut t = Transcript::new();
            t.prompt("go");
            for _ in 0..tries {
                t.sample();
                t.fail(failure(Kind::Server, pause), 0);
                t.pass(20_000).note();
            }
            t.settle();
            assert!(matches!(t.state().last, Some(Outcome::ProviderFailed { .. })), "{:?}", t.state().last);
        }
    }

    #[test]
    fn what_cannot_succeed_is_not_tried_again() {
        for kind in [Kind::Auth, Kind::Quota, Kind::BadRequest, Kind::ContextTooLong, Kind::Declined] {
            let mut t = Transcript::new();
            t.prompt("go").sample();
            t.fail(failure(kind, None), 0);
            t.settle();
            assert!(matches!(t.state().last, Some(Outcome::ProviderFailed { .. })), "{kind:?}");
        }
    }

    #[test]
    fn a_way_of_asking_for_a_form_that_the_server_refuses_gives_place_to_the_next() {
        let refused = || ProviderFailure { status: Some(400), ..failure(Kind::BadRequest, None) };
        let mut t = Transcript::new();
        t.settings_mut().format = ResponseFormat::Json;
        t.prompt("go");
        for (way, next) in [(Way::Native, Way::Tool), (Way::Json, Way::Prompt)] {
            t.start();
            t.epoch();
            t.sample();
            t.fail_asked(way, refused());
            let Next::Start(effects) = t.decide() else { panic!("{:?}", t.decide()) };
            assert!(matches!(&effects[..], [Effect::Prepare { way, .. }] if *way == next), "{effects:?}");
        }
        t.start();
        t.epoch();
        t.sample();
        assert_eq!(t.state().turn.as_ref().unwrap().steps, 1, "it is one step all the while");
        t.fail_asked(Way::Prompt, refused());
        t.settle();
        assert!(matches!(t.state().last, Some(Outcome::ProviderFailed { .. })), "there is no other way");
    }

    #[test]
    fn a_server_that_has_answered_in_that_form_knows_the_way() {
        let mut t = Transcript::new();
        t.settings_mut().format = ResponseFormat::Json;
        t.prompt("go");
        t.start();
        t.epoch();
        t.calls(&[("read", "{}")]).allow(0, false).run(0).end_call(0, "r");
        t.sample();
        t.fail_asked(Way::Json, ProviderFailure { status: Some(400), ..failure(Kind::BadRequest, None) });
        t.settle();
        assert!(matches!(t.state().last, Some(Outcome::ProviderFailed { .. })));
    }

    #[test]
    fn a_success_forgets_the_tries() {
        let mut t = Transcript::new();
        t.prompt("go").sample();
        t.fail(failure(Kind::Server, None), 0);
        t.pass(1_000).note();
        t.calls(&[("read", "{}")]).allow(0, false).run(0).end_call(0, "r");
        t.sample();
        t.fail(failure(Kind::Server, None), 0);
        assert_eq!(t.state().turn.as_ref().unwrap().failed.as_ref().unwrap().tries, 1);
        assert_eq!(t.state().turn.as_ref().unwrap().steps, 2);
        assert!(t.state().now > UnixMillis(0));
    }
}
