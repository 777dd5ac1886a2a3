//! What is known of models here: the table that is compiled in, with what the user's settings say over it. Asks nobody;
//! what an endpoint offers at the moment is joined to this by whoever asks it.

use std::collections::BTreeSet;

use codetether_config::{Dollars, ModelSettings, Settings};
use codetether_event::ModelId;
use codetether_provider::{ModelFacts, Prices, Rates, Source};

/// What is known of a model; `None` where neither the table nor the settings name it.
pub(crate) fn facts(settings: &Settings, model: &ModelId) -> Option<ModelFacts> {
    match (codetether_provider::facts(model), settings.of_model(model)) {
        (known, None) => known,
        (known, Some(row)) => Some(with(known.unwrap_or_else(|| ModelFacts::unknown(model)), row)),
    }
}

/// The models that the user's settings name: as known, or as what an endpoint offers.
pub(crate) fn named(settings: &Settings) -> Vec<ModelId> {
    let lists = settings.providers.iter().filter_map(|(name, row)| Some((name, row.models.as_ref()?)));
    let offered = lists.flat_map(|(name, ids)| ids.0.iter().map(move |id| format!("{name}/{id}")));
    settings.models.keys().cloned().chain(offered).map(ModelId::new).collect()
}

/// All models that are known, of one provider or of all, in the order of their ids.
pub(crate) fn all(settings: &Settings, provider: Option<&str>) -> Vec<ModelFacts> {
    let table = codetether_provider::all(provider).map(|facts| facts.model());
    let own = settings.models.keys().map(ModelId::new);
    let own = own.filter(|model| provider.is_none_or(|provider| model.provider() == provider));
    let models: BTreeSet<ModelId> = table.chain(own).collect();
    // By the name that is listed, also where it is known by the one without its date.
    let named =
        |model: ModelId| Some(ModelFacts { id: model.model().to_owned(), ..facts(settings, &model)? });
    models.into_iter().filter_map(named).collect()
}

/// What is known, with what the settings say in its place.
fn with(known: ModelFacts, row: &ModelSettings) -> ModelFacts {
    let says_price = [row.input_price, row.output_price, row.cache_read_price, row.cache_write_price];
    let prices = prices(known.prices.as_ref(), row);
    let (source, date) = match says_price.iter().any(Option::is_some) {
        true => (Source::Settings, None),
        false => (known.source, known.date),
    };
    ModelFacts {
        window: row.window.or(known.window),
        max_output: row.max_output.or(known.max_output),
        tools: row.tools.or(known.tools),
        images: row.images.or(known.images),
        reasoning: row.reasoning.or(known.reasoning),
        schema: row.schema.or(known.schema),
        prices,
        source,
        date,
        ..known
    }
}

/// Key by key; a price of the prompt or of the answer leaves no other for long prompts. Without one of those two no cost
/// is known.
fn prices(known: Option<&Prices>, row: &ModelSettings) -> Option<Prices> {
    let micros = |price: Option<Dollars>| price.map(Dollars::micros);
    let base = known.map(|prices| prices.base);
    let cache = |rates: Option<Rates>| {
        let (read, write) = (micros(row.cache_read_price), micros(row.cache_write_price));
        (
            read.or(rates.and_then(|rates| rates.cache_read)),
            write.or(rates.and_then(|rates| rates.cache_write)),
        )
    };
    let (cache_read, cache_write) = cache(base);
    let base = Rates {
        input: micros(row.input_price).or(base.map(|base| base.input))?,
        output: micros(row.output_price).or(base.map(|base| base.output))?,
        cache_read,
        cache_write,
    };
    let one_size = row.input_price.is_some() || row.output_price.is_some();
    let tiers = known.filter(|_| !one_size).map(|prices| prices.tiers.clone());
    let mut tiers = tiers.unwrap_or_default();
    for tier in &mut tiers {
        (tier.rates.cache_read, tier.rates.cache_write) = cache(Some(tier.rates));
    }
    Some(Prices { base, tiers })
}

#[cfg(test)]
mod tests {
    use codetether_config::{Sources, load};
    use codetether_provider::Tier;

    use super::*;

    fn settings(overrides: &[&str]) -> Settings {
        let overrides = overrides.iter().map(|text| (*text).to_owned()).collect();
        load(&Sources { overrides, ..Sources::default() }).unwrap()
    }

    fn of(model: &str, overrides: &[&str]) -> Option<ModelFacts> {
        facts(&settings(overrides), &ModelId::new(model))
    }

    #[test]
    fn settings_stand_over_the_table_key_by_key() {
        let table = of("openai/gpt-5", &[]).unwrap();
        let own = ["models.\"openai/gpt-5\".window=99", "models.\"openai/gpt-5\".images=false"];
        let wanted = ModelFacts { window: Some(99), images: Some(false), ..table.clone() };
        assert_eq!(of("openai/gpt-5", &own), Some(wanted.clone()));
        assert_eq!(of("openai/gpt-5-2031-12-31", &own), Some(wanted), "a dated variant is the same model");
        let priced = of("openai/gpt-5", &["models.\"openai/gpt-5\".cache_read_price=0.5"]).unwrap();
        let base = Rates { cache_read: Some(500_000), ..table.prices.as_ref().unwrap().base };
        assert_eq!(priced.prices, Some(Prices { base, tiers: Vec::new() }));
        assert_eq!((priced.source, priced.price_version()), (Source::Settings, "settings"));
        assert_eq!(table.price_version(), codetether_provider::price_version());
    }

    #[test]
    fn a_model_of_the_settings_alone_is_known_by_what_they_say() {
        assert_eq!(of("own/x", &[]), None);
        let half = of("own/x", &["models.\"own/x\".input_price=1"]).unwrap();
        assert_eq!(half.prices, None, "half a price is none");
        let whole = ["models.\"own/x\".input_price=1", "models.\"own/x\".output_price=0.25"];
        let base = Rates { input: 1_000_000, output: 250_000, cache_read: None, cache_write: None };
        let wanted = ModelFacts {
            prices: Some(Prices { base, tiers: Vec::new() }),
            ..ModelFacts::unknown(&ModelId::new("own/x"))
        };
        assert_eq!(of("own/x", &whole), Some(wanted));
    }

    #[test]
    fn a_price_of_the_users_holds_for_prompts_of_any_size() {
        let rates = |input| Rates { input, output: 9, cache_read: Some(2), cache_write: None };
        let known = Prices { base: rates(3), tiers: vec![Tier { above: 10, rates: rates(6) }] };
        let row = |text: &str| {
            let key = format!("models.\"x/y\".{text}");
            settings(&[key.as_str()]).models.remove("x/y").unwrap()
        };
        let flat = Prices { base: rates(7_000_000), tiers: Vec::new() };
        assert_eq!(prices(Some(&known), &row("input_price=7")), Some(flat));
        let cached = |input| Rates { cache_write: Some(5_000_000), ..rates(input) };
        let tiered = Prices { base: cached(3), tiers: vec![Tier { above: 10, rates: cached(6) }] };
        assert_eq!(prices(Some(&known), &row("cache_write_price=5")), Some(tiered));
        assert_eq!(prices(Some(&known), &row("tools=true")), Some(known));
    }

    #[test]
    fn all_models_are_those_of_the_table_and_of_the_settings() {
        let own = settings(&["models.\"openai/zz-2031-12-31\".window=5", "models.\"own/x\".window=7"]);
        let table = codetether_provider::all(Some("openai")).count();
        let openai = all(&own, Some("openai"));
        assert_eq!(openai.len(), table + 1);
        assert_eq!(
            openai.last().map(|facts| (facts.id.as_str(), facts.window)),
            Some(("zz-2031-12-31", Some(5)))
        );
        assert_eq!(all(&own, Some("own")).len(), 1);
        assert_eq!(all(&own, Some("nobody")), []);
        assert_eq!(all(&own, None).len(), codetether_provider::all(None).count() + 2);
        let dated = settings(&["models.\"openai/gpt-4o\".window=5"]);
        let windows =
            all(&dated, Some("openai")).into_iter().filter(|facts| facts.id.starts_with("gpt-4o-2024"));
        assert!(windows.map(|facts| facts.window).all(|window| window == Some(5)));
    }
}
