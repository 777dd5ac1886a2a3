//! `codetether models …`: what is known of models, what the endpoints that are set up offer of them, and the files of
//! those on this machine.

pub(crate) mod files;

use clap::Subcommand;
use codetether_config::{Layer, Model, Settings};
use codetether_event::ModelId;
use codetether_provider::{ModelFacts, Prices, Rates, nearest};
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::offers::{self, Asked, Known, Offers};
use crate::trust::Project;
use crate::{args, facts, models, printer, settings};

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// List the models of the endpoints that are set up, with their windows and prices; of all, where none is.
    ///
    /// Standard error names the model that is asked where none is chosen.
    List {
        /// Only those of this provider.
        #[arg(long, value_name = "NAME")]
        provider: Option<String>,
        /// Ask no endpoint what it offers: list what is known without it.
        #[arg(long)]
        offline: bool,
        /// Also those that are known but not offered, and those of endpoints that are not set up.
        #[arg(long)]
        all: bool,
        /// Those whose files are on this machine, and those that are known and can be fetched.
        #[arg(long, conflicts_with_all = ["provider", "offline", "all"])]
        local: bool,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Show what is known of a model, who says so, and whether its endpoint offers it; of `local/NAME`, what its file says.
    Show {
        /// The model, as `provider/model`.
        #[arg(value_name = "PROVIDER/MODEL", value_parser = args::model)]
        model: Model,
        /// Do not ask its endpoint.
        #[arg(long)]
        offline: bool,
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Fetch a model's file, to be asked on this machine as `local/NAME`.
    ///
    /// Sources are tried in order; what has come is kept and gone on with. Its SHA-256 is checked where it is known, and
    /// kept to be checked later where it is not.
    Pull(files::PullArgs),
    /// Take a copy of a GGUF file of this machine.
    Import(files::ImportArgs),
    /// Hash the files of models again, and say whether they are as they came.
    Verify {
        /// Only this one.
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
    /// Remove a model's file, and what was fetched of it.
    Remove {
        /// Which.
        #[arg(value_name = "NAME")]
        name: String,
    },
}

pub(crate) fn run(command: ModelsCommand) -> Result<Exit, Failure> {
    match command {
        ModelsCommand::Pull(args) => files::pull(&args),
        ModelsCommand::Import(args) => files::import(&args),
        ModelsCommand::Verify { name } => files::verify(name.as_deref()),
        ModelsCommand::Remove { name } => files::remove(&name),
        ModelsCommand::List { local: true, json, .. } => files::list(json),
        ModelsCommand::List { provider, offline, all, json, local: false } => {
            list(&settings()?, &Wish { provider, offline, all, json })
        }
        ModelsCommand::Show { model, offline, json } => match model.id() {
            id if id.provider() == "local" => files::show(id.model(), json),
            id => show(&settings()?, &id, offline, json),
        },
    }
}

fn settings() -> Result<Settings, Failure> {
    let root = crate::run::folder(None)?;
    Ok(settings::load(&Project::at(&root), Vec::new(), Layer::default())?)
}

/// What is to be listed, and how.
struct Wish {
    provider: Option<String>,
    offline: bool,
    all: bool,
    json: bool,
}

fn list(settings: &Settings, wish: &Wish) -> Result<Exit, Failure> {
    let provider = wish.provider.as_deref();
    let asked = match provider {
        _ if wish.offline => Asked::Nobody,
        Some(name) if models::is_known(settings, name) => Asked::One(name),
        Some(_) => Asked::Nobody,
        None => Asked::SetUp,
    };
    let offers = offers::ask(settings, asked)?;
    let mut models = offers.all(settings, provider);
    tell_silent(&offers);
    if let (Some(provider), []) = (provider, &models[..]) {
        let known = providers(settings, &offers).join(", ");
        return Err(Failure::with_help(
            Exit::Usage,
            format!("no model of a provider `{provider}` is known"),
            format!("there are models of {known}"),
        ));
    }
    let known = models.len();
    if !wish.all {
        let narrow = provider.is_none() && !wish.offline && offers.any();
        models.retain(|known| {
            let own = settings.models.contains_key(known.facts.model().as_str());
            match known.offered {
                Some(offered) => offered,
                None => own || !narrow || offers.concerns(&known.facts.provider),
            }
        });
    }
    if !wish.json {
        if let Ok(chosen) = models::chosen(settings) {
            let model = printer::plain(chosen.model.as_str());
            printer::err(&format!("default model: {model} (`-m PROVIDER/MODEL` names another)\n"));
        }
        if models.len() < known {
            printer::err(&format!(
                "note: {} more are known, but not offered by the endpoints that are set up: `--all` lists them\n",
                known - models.len()
            ));
        }
    }
    let text: String = match wish.json {
        true => models.iter().map(|known| format!("{}\n", as_json(known))).collect(),
        false => table(&models),
    };
    printer::out(&text)?;
    Ok(Exit::Done)
}

/// Endpoints that do not tell what they offer are told of, and stop nothing.
fn tell_silent(offers: &Offers) {
    for problem in offers.silent.values() {
        printer::err(&format!("note: {}\n", printer::plain(problem)));
    }
}

fn show(settings: &Settings, model: &ModelId, offline: bool, json: bool) -> Result<Exit, Failure> {
    let name = model.provider();
    let asked = match !offline && models::set_up(settings)?.iter().any(|known| known == name) {
        true => Asked::One(name),
        false => Asked::Nobody,
    };
    let offers = offers::ask(settings, asked)?;
    tell_silent(&offers);
    let Some(known) = offers.of(settings, model) else { return Err(unknown(settings, &offers, model)) };
    printer::out(&if json { format!("{}\n", as_json(&known)) } else { told(model, &known) })?;
    Ok(Exit::Done)
}

fn unknown(settings: &Settings, offers: &Offers, model: &ModelId) -> Failure {
    let mut own = facts::named(settings);
    own.extend(offers.models());
    let near = nearest(model, &own);
    let provider = model.provider();
    // First those that are set up here.
    let mut known = models::set_up(settings).unwrap_or_default();
    for name in providers(settings, offers) {
        if !known.contains(&name) {
            known.push(name);
        }
    }
    let help = match (near.is_empty(), known.iter().any(|name| name == provider)) {
        (false, _) => models::did_you_mean(&near),
        (true, true) => {
            format!("`codetether models list --provider {provider}` lists those of that provider")
        }
        (true, false) => format!("there are models of {}", known.join(", ")),
    };
    let help = format!("{help}; `[models.\"{model}\"]` in the settings makes a model known");
    Failure::with_help(Exit::Usage, format!("nothing is known of model `{model}`"), help)
}

/// The providers that models are known of, in order.
fn providers(settings: &Settings, offers: &Offers) -> Vec<String> {
    let all = offers.all(settings, None).into_iter();
    let mut names: Vec<String> = all.map(|known| known.facts.provider).collect();
    names.dedup();
    names
}

/// A line a model, in columns.
fn table(models: &[Known]) -> String {
    let width = |known: &Known| known.facts.model().as_str().chars().count();
    let widest = models.iter().map(width).max().unwrap_or_default().max("model".len());
    // Where all are, or none was asked about, there is nothing to tell apart.
    let differ = models.windows(2).any(|two| two[0].offered != two[1].offered);
    let column = |text: &'static str| if differ { format!("{text:<7}  ") } else { String::new() };
    let mut text = format!(
        "{:<widest$}  {:>9}  {:>9}  {:<20}  {}can\n",
        "model",
        "window",
        "output",
        "$/M in → out",
        column("offered")
    );
    for known in models {
        let facts = &known.facts;
        let price = facts.prices.as_ref().map(|prices| {
            let more = if prices.tiers.is_empty() { "" } else { " and more" };
            format!("{} → {}{more}", amount(prices.base.input), amount(prices.base.output))
        });
        let line = format!(
            "{:<widest$}  {:>9}  {:>9}  {:<20}  {}{}",
            printer::plain(facts.model().as_str()),
            number(facts.window),
            number(facts.max_output),
            price.as_deref().unwrap_or(PRICE_UNKNOWN),
            column(offer(known)),
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
fn told(asked: &ModelId, known: &Known) -> String {
    let facts = &known.facts;
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
                &format!("unknown (set `input_price` and `output_price` in {key} of the settings)"),
            );
        }
    }
    for (name, can) in named(facts) {
        line(name, can.map_or("unknown", |can| if can { "yes" } else { "no" }));
    }
    let date = facts.date.map(|date| format!(", {date}")).unwrap_or_default();
    line("source", &format!("{}{date}", source(known)));
    if known.offered.is_some() {
        line("offered", offer(known));
    }
    text
}

fn offer(known: &Known) -> &'static str {
    known.offered.map_or("", |offered| if offered { "yes" } else { "no" })
}

/// Who says what is known.
fn source(known: &Known) -> String {
    if known.is_new { "its endpoint".to_owned() } else { known.facts.source.describe() }
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
    number.map_or_else(|| "unknown".to_owned(), |number| number.to_string())
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
fn as_json(known: &Known) -> Value {
    let facts = &known.facts;
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
        "source": source(known),
        "date": facts.date,
        "offered": known.offered,
    })
}
