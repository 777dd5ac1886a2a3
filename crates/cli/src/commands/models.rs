//! `codetether models …`: what is known of models, without asking anyone.

use clap::Subcommand;
use codetether_config::{Layer, Model, Settings};
use codetether_event::ModelId;
use codetether_provider::{ModelFacts, Prices, Rates, nearest};
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::trust::Project;
use crate::{args, facts, printer, settings};

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// List models with their windows and prices.
    List {
        /// Only those of this provider.
        #[arg(long, value_name = "NAME")]
        provider: Option<String>,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Show what is known of a model, and who says so.
    Show {
        /// The model, as `provider/model`.
        #[arg(value_name = "PROVIDER/MODEL", value_parser = args::model)]
        model: Model,
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(command: ModelsCommand) -> Result<Exit, Failure> {
    let root = crate::run::folder(None)?;
    let settings = settings::load(&Project::at(&root), Vec::new(), Layer::default())?;
    match command {
        ModelsCommand::List { provider, json } => list(&settings, provider.as_deref(), json),
        ModelsCommand::Show { model, json } => show(&settings, &model.id(), json),
    }
}

fn list(settings: &Settings, provider: Option<&str>, json: bool) -> Result<Exit, Failure> {
    let models = facts::all(settings, provider);
    if let (Some(provider), []) = (provider, &models[..]) {
        let known = providers(settings).join(", ");
        return Err(Failure::with_help(
            Exit::Usage,
            format!("no model of a provider `{provider}` is known"),
            format!("there are models of {known}"),
        ));
    }
    let text: String = match json {
        true => models.iter().map(|facts| format!("{}\n", as_json(facts))).collect(),
        false => table(&models),
    };
    printer::out(&text)?;
    Ok(Exit::Done)
}

fn show(settings: &Settings, model: &ModelId, json: bool) -> Result<Exit, Failure> {
    let Some(facts) = facts::facts(settings, model) else { return Err(unknown(settings, model)) };
    printer::out(&if json { format!("{}\n", as_json(&facts)) } else { told(model, &facts) })?;
    Ok(Exit::Done)
}

fn unknown(settings: &Settings, model: &ModelId) -> Failure {
    let near: Vec<String> = nearest(model).iter().map(|near| format!("`{near}`")).collect();
    let provider = model.provider();
    let known = providers(settings);
    let help = match (&near[..], known.iter().any(|name| name == provider)) {
        ([], true) => format!("`codetether models list --provider {provider}` lists those of that provider"),
        ([], false) => format!("there are models of {}", known.join(", ")),
        (near, _) => format!("did you mean {}?", near.join(" or ")),
    };
    let help = format!("{help}; `[models.\"{model}\"]` in the settings makes a model known");
    Failure::with_help(Exit::Usage, format!("nothing is known of model `{model}`"), help)
}

/// The providers that models are known of, in order.
fn providers(settings: &Settings) -> Vec<String> {
    let mut names: Vec<String> = facts::all(settings, None).into_iter().map(|facts| facts.provider).collect();
    names.dedup();
    names
}

/// A line a model, in columns.
fn table(models: &[ModelFacts]) -> String {
    let widest = models.iter().map(|facts| facts.model().as_str().chars().count()).max().unwrap_or_default();
    let mut text =
        format!("{:<widest$}  {:>9}  {:>9}  {:<20}  can\n", "model", "window", "output", "$/M in → out");
    for facts in models {
        let price = facts.prices.as_ref().map(|prices| {
            let more = if prices.tiers.is_empty() { "" } else { " and more" };
            format!("{} → {}{more}", amount(prices.base.input), amount(prices.base.output))
        });
        let line = format!(
            "{:<widest$}  {:>9}  {:>9}  {:<20}  {}",
            printer::plain(facts.model().as_str()),
            number(facts.window),
            number(facts.max_output),
            price.as_deref().unwrap_or(PRICE_UNKNOWN),
            abilities(facts).join(" "),
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

const PRICE_UNKNOWN: &str = "price unknown";

/// What the model is known to be able to do.
fn abilities(facts: &ModelFacts) -> Vec<&'static str> {
    let all = named(facts);
    all.into_iter().filter(|(_, can)| *can == Some(true)).map(|(name, _)| name).collect()
}

fn named(facts: &ModelFacts) -> [(&'static str, Option<bool>); 5] {
    [
        ("tools", facts.tools),
        ("images", facts.images),
        ("pdfs", facts.pdfs),
        ("reasoning", facts.reasoning),
        ("schema", facts.schema),
    ]
}

/// What is known, a line each.
fn told(asked: &ModelId, facts: &ModelFacts) -> String {
    let mut text = format!("{}\n", printer::plain(asked.as_str()));
    let mut line = |name: &str, value: &str| text.push_str(&format!("  {name:<12}{value}\n"));
    if facts.model() != *asked {
        line("known as", &printer::plain(facts.model().as_str()));
    }
    line("window", &tokens(facts.window));
    line("max output", &tokens(facts.max_output));
    match &facts.prices {
        Some(prices) => {
            line("price", &rates(&prices.base));
            for tier in &prices.tiers {
                line("", &format!("{}, for prompts above {} tokens", rates(&tier.rates), tier.above));
            }
            line("prices of", facts.price_version());
        }
        None => {
            let key = format!("`[models.\"{}\"]`", printer::plain(asked.as_str()));
            line(
                "price",
                &format!("{PRICE_UNKNOWN} (set `input_price` and `output_price` in {key} of the settings)"),
            );
        }
    }
    for (name, can) in named(facts) {
        line(name, can.map_or("unknown", |can| if can { "yes" } else { "no" }));
    }
    let date = facts.date.map(|date| format!(", {date}")).unwrap_or_default();
    line("source", &format!("{}{date}", facts.source.describe()));
    text
}

fn rates(rates: &Rates) -> String {
    let cache = |what: &str, price: Option<u64>| price.map(|price| format!(", {what} {}", amount(price)));
    format!(
        "${} in, {} out{}{} per million tokens",
        amount(rates.input),
        amount(rates.output),
        cache("from cache", rates.cache_read).unwrap_or_default(),
        cache("into cache", rates.cache_write).unwrap_or_default(),
    )
}

fn number(number: Option<u32>) -> String {
    number.map_or_else(|| "?".to_owned(), |number| number.to_string())
}

fn tokens(number: Option<u32>) -> String {
    number.map_or_else(|| "unknown".to_owned(), |number| format!("{number} tokens"))
}

/// Dollars with as many decimals as there are.
fn amount(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Amounts are in millionths of a dollar per million tokens; what is not known is null.
fn as_json(facts: &ModelFacts) -> Value {
    let rates = |rates: &Rates| {
        json!({ "input": rates.input, "output": rates.output, "cache_read": rates.cache_read,
            "cache_write": rates.cache_write })
    };
    let prices = |prices: &Prices| {
        let mut all = rates(&prices.base);
        let tier = |above: u64, mut tier: Value| {
            tier["above"] = above.into();
            tier
        };
        let tiers = prices.tiers.iter().map(|one| tier(one.above, rates(&one.rates)));
        all["tiers"] = tiers.collect();
        all["version"] = facts.price_version().into();
        all
    };
    json!({
        "model": facts.model(),
        "window": facts.window,
        "max_output": facts.max_output,
        "micros_per_million": facts.prices.as_ref().map(prices),
        "tools": facts.tools,
        "images": facts.images,
        "pdfs": facts.pdfs,
        "reasoning": facts.reasoning,
        "schema": facts.schema,
        "source": facts.source.describe(),
        "date": facts.date,
    })
}
