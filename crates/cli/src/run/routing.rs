//! The models that a prompt may be routed to, as the settings and the table of models have them, and how a decision is told.

use codetether_config::{Model, Settings};
use codetether_event::{Candidate, ModelId, Money, RouteRule, Routed, RoutedJob, TierRates, Tiers};

use crate::{facts, models};

/// The tiers, where there are several and nobody named a model; `main` is the usual one.
pub(super) fn tiers(settings: &Settings, main: &ModelId) -> Option<Tiers> {
    if !settings.routes() {
        return None;
    }
    let of = |model: &Option<Model>| model.as_ref().map(|model| candidate(settings, model.id()));
    Some(Tiers {
        small: of(&settings.tiers.small),
        main: candidate(settings, main.clone()),
        heavy: of(&settings.tiers.heavy),
    })
}

fn candidate(settings: &Settings, model: ModelId) -> Candidate {
    let facts = facts::facts(settings, &model);
    let rates = facts.as_ref().and_then(|facts| facts.prices.as_ref()).map(|prices| {
        let money = |rate: u64| Money(i64::try_from(rate).unwrap_or(i64::MAX));
        let base = &prices.base;
        TierRates {
            input: money(base.input),
            output: money(base.output),
            cache_read: money(base.cache_read.unwrap_or(base.input)),
        }
    });
    Candidate {
        embedded: models::is_embedded(settings, &model),
        window: facts.as_ref().and_then(|facts| facts.window),
        images: facts.as_ref().and_then(|facts| facts.images),
        rates,
        model,
    }
}

/// A decision in one line.
pub(crate) fn told(routed: &Routed) -> String {
    let Routed { tier, model, class, .. } = routed;
    let what = match routed.job {
        RoutedJob::Summary => "summary",
        RoutedJob::Prompt => class.as_deref().unwrap_or("prompt"),
    };
    let why = match routed.rule {
        RouteRule::Kind => "a small model does it as well".to_owned(),
        RouteRule::Window => "it does not fit the small one's window".to_owned(),
        RouteRule::Images => "the small one sees no images".to_owned(),
        RouteRule::Warm => "it has read the conversation".to_owned(),
        RouteRule::Score => {
            format!("score {:.2}", f64::from(routed.score.unwrap_or_default()) / 1_000.0)
        }
    };
    format!("{what} → {tier}: {model} ({why})")
}
