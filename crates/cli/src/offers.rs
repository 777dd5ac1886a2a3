//! What endpoints offer at the moment, joined with what is known of models without asking. Asks those that are set up, all
//! at once and for a bounded time; one that does not answer is said, and is no failure.

use std::collections::BTreeMap;
use std::time::Duration;

use codetether_config::Settings;
use codetether_event::ModelId;
use codetether_provider::{Listed, ModelFacts};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::exit::{Exit, Failure};
use crate::{facts, models};

/// Longest time that is waited for all lists together.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Asked<'a> {
    Nobody,
    /// This one alone, whether or not it is set up.
    One(&'a str),
    /// Every one that is set up.
    SetUp,
}

/// What came of asking.
#[derive(Debug, Default)]
pub(crate) struct Offers {
    /// The models of each endpoint that told them, or whose user did.
    told: BTreeMap<String, Vec<Listed>>,
    /// The endpoints that did not tell, each with the reason.
    pub(crate) silent: BTreeMap<String, String>,
}

/// A model, and whether its endpoint offers it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) facts: ModelFacts,
    /// Nothing where the endpoint was not asked or did not answer.
    pub(crate) offered: Option<bool>,
    /// Whether the endpoint alone knows of it.
    pub(crate) is_new: bool,
}

/// Asks. Lists that the settings hold count in any case, and those endpoints are not asked.
pub(crate) fn ask(settings: &Settings, asked: Asked<'_>) -> Result<Offers, Failure> {
    let mut offers = Offers::default();
    for (name, row) in &settings.providers {
        let one = |id: &String| Listed { id: id.clone(), ..Listed::default() };
        if let Some(names) = &row.models {
            offers.told.insert(name.clone(), names.0.iter().map(one).collect());
        }
    }
    let names = match asked {
        Asked::Nobody => Vec::new(),
        Asked::One(name) => vec![name.to_owned()],
        Asked::SetUp => models::set_up(settings)?,
    };
    let mut providers = Vec::new();
    for name in names.into_iter().filter(|name| !offers.told.contains_key(name)) {
        match models::reach(settings, &name) {
            Ok(provider) => providers.push((name, provider)),
            Err(problem) => drop(offers.silent.insert(name, problem)),
        }
    }
    if providers.is_empty() {
        return Ok(offers);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot start the runtime: {error}")))?;
    let answers = runtime.block_on(async {
        let mut asking = JoinSet::new();
        for (name, provider) in providers {
            asking.spawn(async move { (name, timeout(PATIENCE, provider.models()).await) });
        }
        asking.join_all().await
    });
    for (name, answer) in answers {
        match answer {
            Ok(Ok(listed)) => drop(offers.told.insert(name, listed)),
            Ok(Err(failure)) => drop(offers.silent.insert(name, failure.message)),
            Err(_) => {
                let problem = format!("`{name}` did not list its models within {} s", PATIENCE.as_secs());
                offers.silent.insert(name, problem);
            }
        }
    }
    Ok(offers)
}

impl Offers {
    /// Whether any endpoint told, or was asked in vain.
    pub(crate) fn any(&self) -> bool {
        !self.told.is_empty() || !self.silent.is_empty()
    }

    /// Whether this endpoint told, or was asked in vain.
    pub(crate) fn concerns(&self, provider: &str) -> bool {
        self.told.contains_key(provider) || self.silent.contains_key(provider)
    }

    /// The models that are offered.
    pub(crate) fn models(&self) -> Vec<ModelId> {
        let of = |(name, listed): (&String, &Vec<Listed>)| -> Vec<ModelId> {
            listed.iter().map(|one| ModelId::new(format!("{name}/{}", one.id))).collect()
        };
        self.told.iter().flat_map(of).collect()
    }

    /// What is known of a model, here or there.
    pub(crate) fn of(&self, settings: &Settings, model: &ModelId) -> Option<Known> {
        let told = self.told.get(model.provider());
        let listed = told.and_then(|listed| listed.iter().find(|one| one.id == model.model()));
        let known = facts::facts(settings, model);
        if known.is_none() && listed.is_none() {
            return None;
        }
        let is_new = known.is_none();
        let mut facts = known.unwrap_or_else(|| ModelFacts::unknown(model));
        if let Some(listed) = listed {
            let tokens = |told: Option<u64>| told.and_then(|told| u32::try_from(told).ok());
            facts.window = facts.window.or(tokens(listed.window));
            facts.max_output = facts.max_output.or(tokens(listed.max_output));
        }
        Some(Known { facts, offered: told.map(|_| listed.is_some()), is_new })
    }

    /// All models that are known here or there, of one provider or of all, in the order of their ids.
    pub(crate) fn all(&self, settings: &Settings, provider: Option<&str>) -> Vec<Known> {
        let mut known: BTreeMap<ModelId, Known> = BTreeMap::new();
        let here = facts::all(settings, provider).into_iter().map(|facts| facts.model());
        let there = self.models().into_iter();
        let there = there.filter(|model| provider.is_none_or(|provider| model.provider() == provider));
        for model in here.chain(there) {
            if let Some(mut one) = self.of(settings, &model) {
                // By the name that is listed, also where it is known by the one without its date.
                one.facts.id = model.model().to_owned();
                known.insert(model, one);
            }
        }
        known.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use codetether_config::{Sources, load};

    use super::*;

    fn settings(overrides: &[&str]) -> Settings {
        let overrides = overrides.iter().map(|text| (*text).to_owned()).collect();
        load(&Sources { overrides, ..Sources::default() }).unwrap()
    }

    fn listed(id: &str, window: u64) -> Listed {
        Listed { id: id.into(), window: Some(window), ..Listed::default() }
    }

    #[test]
    fn what_is_offered_fills_what_is_not_known_and_says_no_more() {
        let own = settings(&["models.\"own/x\".window=7", "models.\"own/y\".window=8"]);
        let told = BTreeMap::from([("own".to_owned(), vec![listed("x", 99), listed("z", u64::MAX)])]);
        let offers = Offers { told, ..Offers::default() };
        let shown: Vec<_> = offers
            .all(&own, Some("own"))
            .into_iter()
            .map(|known| (known.facts.id, known.facts.window, known.offered, known.is_new))
            .collect();
        let wanted = [
            ("x".to_owned(), Some(7), Some(true), false),
            ("y".to_owned(), Some(8), Some(false), false),
            ("z".to_owned(), None, Some(true), true),
        ];
        assert_eq!(shown, wanted);
        assert_eq!(offers.of(&own, &ModelId::new("own/w")), None);
        let known = offers.of(&own, &ModelId::new("openai/gpt-5")).unwrap();
        assert_eq!((known.offered, known.is_new), (None, false));
    }

    #[test]
    fn the_users_own_list_counts_and_nobody_is_asked() {
        let own = settings(&["providers.own.models=[\"a\", \"b\"]", "providers.own.base_url=\"http://h\""]);
        for asked in [Asked::Nobody, Asked::One("own")] {
            let offers = ask(&own, asked).unwrap();
            assert_eq!(offers.models(), [ModelId::new("own/a"), ModelId::new("own/b")]);
            assert!(offers.silent.is_empty() && offers.concerns("own") && !offers.concerns("openai"));
        }
    }
}
