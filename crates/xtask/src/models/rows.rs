//! Rows of the model table: made of what two packages say, and written and read as lines of tabs. Fetches nothing.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A provider that we ship, and what the packages call it.
struct Vendor {
    name: &'static str,
    /// LiteLLM's name, and what it puts before ids.
    litellm: Option<(&'static str, &'static str)>,
    models_dev: &'static str,
    /// Sells others' models, most of which nobody would give tools: only those that can call tools are kept.
    resells: bool,
}

const fn vendor(
    name: &'static str,
    litellm: Option<(&'static str, &'static str)>,
    models_dev: &'static str,
    resells: bool,
) -> Vendor {
    Vendor { name, litellm, models_dev, resells }
}

const VENDORS: [Vendor; 21] = [
    vendor("alibaba", Some(("dashscope", "dashscope/")), "alibaba", false),
    vendor("anthropic", Some(("anthropic", "")), "anthropic", false),
    vendor("azure", Some(("azure", "azure/")), "azure", true),
    vendor("cerebras", Some(("cerebras", "cerebras/")), "cerebras", false),
    vendor("deepseek", Some(("deepseek", "deepseek/")), "deepseek", false),
    vendor("fireworks", Some(("fireworks_ai", "fireworks_ai/")), "fireworks-ai", true),
    vendor("github", None, "github-models", true),
    vendor("google", Some(("gemini", "gemini/")), "google", false),
    vendor("groq", Some(("groq", "groq/")), "groq", false),
    vendor("huggingface", None, "huggingface", true),
    vendor("minimax", Some(("minimax", "minimax/")), "minimax", false),
    vendor("mistral", Some(("mistral", "mistral/")), "mistral", false),
    vendor("moonshot", Some(("moonshot", "moonshot/")), "moonshotai", false),
    vendor("novita", Some(("novita", "novita/")), "novita-ai", true),
    vendor("nvidia", None, "nvidia", true),
    vendor("openai", Some(("openai", "")), "openai", false),
    vendor("openrouter", None, "openrouter", true),
    vendor("stepfun", None, "stepfun", false),
    vendor("together", Some(("together_ai", "together_ai/")), "togetherai", true),
    vendor("xai", Some(("xai", "xai/")), "xai", false),
    vendor("zai", Some(("zai", "zai/")), "zai", false),
];

/// Letters of what a model can do, upper case where it can and lower where it cannot: tools, images, PDFs, reasoning,
/// answers that fit a schema.
const ABILITIES: [char; 5] = ['T', 'I', 'P', 'R', 'S'];

/// What is known of a model.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Row {
    pub(crate) window: Option<u64>,
    max_output: Option<u64>,
    /// By the size of the prompt that they begin above, the first at zero; empty where no price is known.
    pub(crate) prices: Vec<(u64, Rates)>,
    abilities: [Option<bool>; 5],
    /// `l` LiteLLM, `m` models.dev, `b` LiteLLM with what it lacks from models.dev.
    source: char,
}

/// Millionths of a dollar per million tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Rates {
    pub(crate) input: u64,
    pub(crate) output: u64,
    pub(crate) cache_read: Option<u64>,
    pub(crate) cache_write: Option<u64>,
}

/// Rows by `provider/id`.
pub(crate) type Rows = BTreeMap<String, Row>;

/// The rows of all providers that we ship.
pub(crate) fn rows(litellm: &Value, models_dev: &Value) -> Rows {
    let mut rows = Rows::new();
    for vendor in &VENDORS {
        for row in vendor.litellm.into_iter().flat_map(|names| litellm_rows(litellm, names)) {
            rows.insert(format!("{}/{}", vendor.name, row.0), row.1);
        }
        for (id, older) in models_dev_rows(models_dev, vendor.models_dev) {
            let row = rows.entry(format!("{}/{id}", vendor.name));
            row.and_modify(|row| row.fill(&older)).or_insert(older);
        }
        if vendor.resells {
            let own = format!("{}/", vendor.name);
            rows.retain(|id, row| !id.starts_with(&own) || row.abilities[0] == Some(true));
        }
    }
    let steps: Vec<_> =
        rows.iter().filter_map(|(id, row)| Some((id.clone(), steps_of_vendor(&rows, id, row)?))).collect();
    for (id, prices) in steps {
        rows.entry(id).and_modify(|row| row.prices = prices);
    }
    // A dated variant is found by the name without its date.
    let said_twice = |id: &String| undated(id).is_some_and(|base| rows.get(base) == rows.get(id));
    let twice: Vec<String> = rows.keys().filter(|id| said_twice(id)).cloned().collect();
    rows.retain(|id, _| !twice.contains(id));
    rows
}

/// Whether the model's provider sells others' models.
pub(crate) fn is_resold(id: &str) -> bool {
    let provider = id.split_once('/').map_or(id, |(provider, _)| provider);
    VENDORS.iter().any(|vendor| vendor.name == provider && vendor.resells)
}

/// The vendor's own prices by size, of a model for which OpenRouter takes what the vendor takes, and of which it does not
/// say that long prompts cost more.
fn steps_of_vendor(rows: &Rows, id: &str, row: &Row) -> Option<Vec<(u64, Rates)>> {
    let id = id.strip_prefix("openrouter/")?;
    let names = [id.to_owned(), id.replace('.', "-"), id.replacen("x-ai/", "xai/", 1)];
    let vendor = names.iter().find_map(|name| rows.get(name))?;
    let ([(0, ours)], [(0, theirs), _, ..]) = (&row.prices[..], &vendor.prices[..]) else { return None };
    ((ours.input, ours.output) == (theirs.input, theirs.output)).then(|| vendor.prices.clone())
}

impl Row {
    /// Takes what is not known here from an older source.
    fn fill(&mut self, older: &Self) {
        let before = self.clone();
        self.window = self.window.or(older.window);
        self.max_output = self.max_output.or(older.max_output);
        if self.prices.is_empty() {
            self.prices.clone_from(&older.prices);
        }
        for (own, theirs) in self.abilities.iter_mut().zip(older.abilities) {
            *own = own.or(theirs);
        }
        if *self != before {
            self.source = 'b';
        }
    }
}

fn litellm_rows<'a>(
    all: &'a Value,
    (provider, prefix): (&'a str, &'a str),
) -> impl Iterator<Item = (&'a str, Row)> {
    let of_provider = move |entry: &&Map<String, Value>| text(entry, "litellm_provider") == provider;
    all.as_object().into_iter().flatten().filter_map(move |(key, entry)| {
        let entry = entry.as_object().filter(of_provider)?;
        // Plain ids of vendors that others' ids begin with; and the prices of a region, which no name of ours tells.
        let id = key.strip_prefix(prefix)?;
        let odd = match provider {
            "azure" | "openai" | "anthropic" => id.contains('/') || id.starts_with("ft:"),
            _ => false,
        };
        let chats = matches!(text(entry, "mode"), "chat" | "responses");
        let says = entry.get("supported_output_modalities").and_then(Value::as_array);
        let writes = says.is_none_or(|kinds| kinds.iter().all(|kind| kind == "text"));
        (chats && writes && !odd && is_plain(id)).then(|| (id, from_litellm(entry)))
    })
}

fn from_litellm(entry: &Map<String, Value>) -> Row {
    let flag = |name| entry.get(name).and_then(Value::as_bool);
    Row {
        window: count(entry.get("max_input_tokens")),
        max_output: count(entry.get("max_output_tokens")),
        prices: sold(litellm_prices(entry)),
        abilities: [
            flag("supports_function_calling"),
            flag("supports_vision"),
            flag("supports_pdf_input"),
            flag("supports_reasoning"),
            flag("supports_response_schema"),
        ],
        source: 'l',
    }
}

const LITELLM_PRICES: [&str; 4] = [
    "input_cost_per_token",
    "output_cost_per_token",
    "cache_read_input_token_cost",
    "cache_creation_input_token_cost",
];

fn litellm_prices(entry: &Map<String, Value>) -> Vec<(u64, Rates)> {
    let rates = |of: &dyn Fn(&str) -> Option<u64>, otherwise: Option<Rates>| {
        let [input, output, cache_read, cache_write] = LITELLM_PRICES.map(of);
        // Thoughts that cost more than the rest of an answer make all of it cost that: better too much than too little.
        let output = output.max(of("output_cost_per_reasoning_token"));
        let (input, output) =
            (input.or(otherwise.map(|rates| rates.input)), output.or(otherwise.map(|rates| rates.output)));
        Some(Rates { input: input?, output: output?, cache_read, cache_write })
    };
    if let Some(steps) = entry.get("tiered_pricing").and_then(Value::as_array) {
        let step = |step: &Value| {
            let step = step.as_object()?;
            let above = step.get("range")?.as_array()?.first()?.as_f64()?;
            Some((above as u64, rates(&|name| price(step.get(name), 1e12), None)?))
        };
        let steps: Option<Vec<_>> = steps.iter().map(step).collect();
        return steps.filter(|steps| steps.first().is_some_and(|first| first.0 == 0)).unwrap_or_default();
    }
    let Some(base) = rates(&|name| price(entry.get(name), 1e12), None) else { return Vec::new() };
    let thresholds = entry.keys().filter_map(|key| {
        let (name, above) = key.split_once("_above_")?;
        let thousands = above.strip_suffix("k_tokens")?.parse::<u64>().ok()?;
        LITELLM_PRICES[..2].contains(&name).then_some(thousands)
    });
    let mut thresholds: Vec<u64> = thresholds.collect();
    thresholds.sort_unstable();
    thresholds.dedup();
    let tier = |thousands: u64| {
        let of = |name: &str| price(entry.get(&format!("{name}_above_{thousands}k_tokens")), 1e12);
        Some((thousands * 1000, rates(&of, Some(base))?))
    };
    std::iter::once((0, base)).chain(thresholds.into_iter().filter_map(tier)).collect()
}

fn models_dev_rows<'a>(all: &'a Value, provider: &str) -> impl Iterator<Item = (&'a str, Row)> {
    let models = all[provider]["models"].as_object();
    models.into_iter().flatten().filter_map(|(_, entry)| {
        let id = entry["id"].as_str().filter(|id| is_plain(id))?;
        let writes = modality(entry, "output", "text") && !modality(entry, "output", "image");
        (writes && !id.contains("embed")).then(|| (id, from_models_dev(entry)))
    })
}

fn modality(entry: &Value, way: &str, kind: &str) -> bool {
    entry["modalities"][way].as_array().is_some_and(|kinds| kinds.iter().any(|one| one == kind))
}

fn from_models_dev(entry: &Value) -> Row {
    let rates = |cost: &Value| {
        let of = |name| price(cost.get(name), 1e6);
        Some(Rates {
            input: of("input")?,
            output: of("output")?.max(of("reasoning").unwrap_or_default()),
            cache_read: of("cache_read"),
            cache_write: of("cache_write"),
        })
    };
    let cost = &entry["cost"];
    let tier = |tier: &Value| Some((tier["tier"]["size"].as_u64()?, rates(tier)?));
    let tiers = cost["tiers"].as_array().into_iter().flatten().filter_map(tier);
    let base = rates(cost).map(|base| (0, base));
    Row {
        window: count(entry["limit"].get("context")),
        max_output: count(entry["limit"].get("output")),
        prices: base.map(|base| sold(std::iter::once(base).chain(tiers).collect())).unwrap_or_default(),
        abilities: [
            entry["tool_call"].as_bool(),
            Some(modality(entry, "input", "image")),
            Some(modality(entry, "input", "pdf")),
            entry["reasoning"].as_bool(),
            entry["structured_output"].as_bool(),
        ],
        source: 'm',
    }
}

/// The prices, where they are such. Nothing for nothing means that the source does not know, or that a vendor sells it
/// in another way: it is taken for unknown. So is a cache that gives for nothing, or takes for less than the rest costs.
fn sold(mut prices: Vec<(u64, Rates)>) -> Vec<(u64, Rates)> {
    if prices.iter().any(|(_, rates)| rates.input == 0 && rates.output == 0) {
        return Vec::new();
    }
    for (_, rates) in &mut prices {
        let input = rates.input;
        rates.cache_read = rates.cache_read.filter(|price| *price > 0);
        rates.cache_write = rates.cache_write.filter(|price| *price >= input);
    }
    prices
}

fn text<'a>(entry: &'a Map<String, Value>, name: &str) -> &'a str {
    entry.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn count(value: Option<&Value>) -> Option<u64> {
    let count = value?.as_f64()?;
    (1.0..=f64::from(u32::MAX)).contains(&count).then_some(count as u64)
}

/// Dearer than any model is per token; such a number is a mistake.
const ABSURD: f64 = 1e10;

fn price(value: Option<&Value>, factor: f64) -> Option<u64> {
    let price = (value?.as_f64()? * factor).round();
    (0.0..=ABSURD).contains(&price).then_some(price as u64)
}

fn is_plain(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The id without the date or the `-latest` at its end: what look-ups try when they do not find the whole.
fn undated(id: &str) -> Option<&str> {
    if let Some(base) = id.strip_suffix("-latest") {
        return Some(base);
    }
    for pattern in ["-dddd-dd-dd", "-dddddddd"] {
        let Some((base, end)) = id.len().checked_sub(pattern.len()).and_then(|at| id.split_at_checked(at))
        else {
            continue;
        };
        let fits = |(byte, wanted)| if wanted == b'd' { u8::is_ascii_digit(&byte) } else { byte == wanted };
        if end.bytes().zip(pattern.bytes()).all(fits) {
            return Some(base);
        }
    }
    None
}

/// A line of the table, without its end.
pub(crate) fn line(id: &str, row: &Row) -> String {
    let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    let amount = |amount: Option<u64>| amount.map(dollars).unwrap_or_default();
    let mut prices = row.prices.iter();
    let base = prices.next().map(|(_, rates)| rates);
    let tier = |(above, rates): &(u64, Rates)| {
        let Rates { input, output, cache_read, cache_write } = *rates;
        let rates = [Some(input), Some(output), cache_read, cache_write].map(amount);
        format!("{above}:{}", rates.join(":"))
    };
    let ability = |(letter, can): (char, Option<bool>)| {
        can.map(|can| if can { letter } else { letter.to_ascii_lowercase() })
    };
    let abilities: String = ABILITIES.into_iter().zip(row.abilities).filter_map(ability).collect();
    [
        id.to_owned(),
        number(row.window),
        number(row.max_output),
        amount(base.map(|rates| rates.input)),
        amount(base.map(|rates| rates.output)),
        amount(base.and_then(|rates| rates.cache_read)),
        amount(base.and_then(|rates| rates.cache_write)),
        prices.map(tier).collect::<Vec<_>>().join(" "),
        abilities,
        row.source.to_string(),
    ]
    .join("\t")
}

/// The row of a line; `None` where it is none.
pub(crate) fn parse(line: &str) -> Option<(String, Row)> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [id, window, max_output, input, output, cache_read, cache_write, tiers, abilities, source] =
        fields.try_into().ok()?;
    let rates = |[input, output, cache_read, cache_write]: [&str; 4]| {
        let [cache_read, cache_write] = [cache_read, cache_write].map(micros);
        Some(Rates { input: micros(input)?, output: micros(output)?, cache_read, cache_write })
    };
    let base = rates([input, output, cache_read, cache_write]).map(|base| (0, base));
    let tier = |tier: &str| {
        let parts: Vec<&str> = tier.split(':').collect();
        let [above, input, output, cache_read, cache_write] = parts.try_into().ok()?;
        Some((above.parse().ok()?, rates([input, output, cache_read, cache_write])?))
    };
    let tiers = tiers.split(' ').filter(|tier| !tier.is_empty()).map(tier).collect::<Option<Vec<_>>>()?;
    let ability = |letter: char| {
        let says = abilities.chars().find(|one| one.eq_ignore_ascii_case(&letter));
        says.map(|one| one == letter)
    };
    let row = Row {
        window: window.parse().ok(),
        max_output: max_output.parse().ok(),
        prices: base.into_iter().chain(tiers).collect(),
        abilities: ABILITIES.map(ability),
        source: source.chars().next()?,
    };
    Some((id.to_owned(), row))
}

/// Millionths of a dollar, as dollars with as many decimals as there are.
pub(crate) fn dollars(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn micros(dollars: &str) -> Option<u64> {
    let (whole, decimals) = dollars.split_once('.').unwrap_or((dollars, ""));
    let decimals: u64 = format!("{decimals:0<6}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(decimals)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(litellm: &Value, models_dev: &Value) -> Vec<String> {
        rows(litellm, models_dev).iter().map(|(id, row)| line(id, row)).collect()
    }

    #[test]
    fn rows_are_made_of_what_the_newer_source_says_and_filled_from_the_older() {
        let litellm = json!({
            "gpt-x": {
                "litellm_provider": "openai", "mode": "chat", "max_input_tokens": 272_000,
                "input_cost_per_token": 1.25e-6, "output_cost_per_token": 1e-5, "cache_read_input_token_cost": 1.25e-7,
                "input_cost_per_token_above_272k_tokens": 2.5e-6, "supports_function_calling": true,
                "input_cost_per_token_above_272k_tokens_priority": 9e-6,
            },
            "gpt-image": { "litellm_provider": "openai", "mode": "image_generation" },
            "azure/eu/gpt-x": { "litellm_provider": "azure", "mode": "chat", "supports_function_calling": true },
            "together_ai/a/b": { "litellm_provider": "together_ai", "mode": "chat" },
        });
        let models_dev = json!({ "openai": { "models": { "gpt-x": {
            "id": "gpt-x", "cost": { "input": 99, "output": 99 }, "limit": { "context": 400_000, "output": 128_000 },
            "modalities": { "input": ["text", "image"], "output": ["text"] }, "reasoning": true, "tool_call": false,
        } } } });
        let wanted = "openai/gpt-x\t272000\t128000\t1.25\t10\t0.125\t\t272000:2.5:10::\tTIpR\tb";
        assert_eq!(lines(&litellm, &models_dev), [wanted]);
    }

    #[test]
    fn nothing_for_nothing_is_no_price() {
        let models_dev = json!({ "stepfun": { "models": { "s": {
            "id": "s", "cost": { "input": 0, "output": 0 }, "modalities": { "output": ["text"] },
        } } } });
        assert_eq!(lines(&json!({}), &models_dev), ["stepfun/s\t\t\t\t\t\t\t\tip\tm"]);
    }

    #[test]
    fn a_dated_variant_stays_only_where_it_says_something_else() {
        let entry = |price: f64| {
            json!({ "litellm_provider": "openai", "mode": "chat", "input_cost_per_token": price,
                "output_cost_per_token": price })
        };
        let litellm = json!({ "a": entry(1e-6), "a-2026-01-01": entry(1e-6), "a-20260102": entry(2e-6),
            "b-2026-01-01": entry(1e-6) });
        let rows = rows(&litellm, &json!({}));
        let ids: Vec<&str> = rows.keys().map(String::as_str).collect();
        assert_eq!(ids, ["openai/a", "openai/a-20260102", "openai/b-2026-01-01"]);
    }

    #[test]
    fn a_router_that_takes_what_the_vendor_takes_takes_more_for_long_prompts_too() {
        let model = |id: &str, cost: Value| json!({ "id": id, "cost": cost, "modalities": { "output": ["text"] }, "tool_call": true });
        let long = json!({ "input": 2, "output": 3, "tier": { "size": 100 } });
        let models_dev = json!({
            "google": { "models": { "g-1.5": model("g-1.5", json!({ "input": 1, "output": 2, "tiers": [long] })) } },
            "openrouter": { "models": {
                "google/g-1.5": model("google/g-1.5", json!({ "input": 1, "output": 2 })),
                "google/g-1.6": model("google/g-1.6", json!({ "input": 1, "output": 2 })),
            } },
        });
        assert_eq!(
            lines(&json!({}), &models_dev),
            [
                "google/g-1.5\t\t\t1\t2\t\t\t100:2:3::\tTip\tm",
                "openrouter/google/g-1.5\t\t\t1\t2\t\t\t100:2:3::\tTip\tm",
                "openrouter/google/g-1.6\t\t\t1\t2\t\t\t\tTip\tm",
            ]
        );
    }

    #[test]
    fn lines_read_back_as_written() {
        for text in [
            "openai/gpt-x\t272000\t128000\t1.25\t10\t0.125\t\t272000:2.5:10:: 300000:3:10:0.5:\tTIpR\tb",
            "x/y\t\t\t\t\t\t\t\t\tm",
        ] {
            let (id, row) = parse(text).unwrap();
            assert_eq!(line(&id, &row), text);
        }
        assert_eq!(parse("no row"), None);
    }
}
