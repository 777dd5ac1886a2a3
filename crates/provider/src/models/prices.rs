//! What tokens cost, and what a request may cost at most. Whole numbers all the way: nothing is rounded before the end.

use codetether_event::{Money, Usage};

/// Tokens that a price is for.
const PER: u128 = 1_000_000;

/// What a model's tokens cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prices {
    /// For prompts of any size that no tier is for.
    pub base: Rates,
    /// For long prompts, the lowest threshold first. A prompt that is longer than a threshold pays the tier's prices for
    /// all of its tokens and for the answer.
    pub tiers: Vec<Tier>,
}

/// Other prices for long prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tier {
    /// Tokens of the prompt, those from a cache among them, above which it holds.
    pub above: u64,
    /// The prices.
    pub rates: Rates,
}

/// Prices in millionths of a dollar per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Tokens of the prompt.
    pub input: u64,
    /// Tokens of the answer, thoughts among them.
    pub output: u64,
    /// Tokens of the prompt that a cache gave; where it is not known they cost what `input` does.
    pub cache_read: Option<u64>,
    /// Tokens of the prompt that a cache took; where it is not known they cost what `input` does.
    pub cache_write: Option<u64>,
}

impl Rates {
    fn cache_read(&self) -> u64 {
        self.cache_read.unwrap_or(self.input)
    }

    fn cache_write(&self) -> u64 {
        self.cache_write.unwrap_or(self.input)
    }
}

impl Prices {
    /// What these tokens cost, rounded once to the nearest millionth of a dollar. The tier is chosen by the size of the
    /// prompt, so that the usage has to be of one answer, not of several added up.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> Money {
        let rates = self.rates(usage.input);
        let read = usage.cache_read.min(usage.input);
        let written = usage.cache_write.min(usage.input.saturating_sub(read));
        let fresh = usage.input.saturating_sub(read).saturating_sub(written);
        let sum = sum([
            (fresh, rates.input),
            (read, rates.cache_read()),
            (written, rates.cache_write()),
            (usage.output, rates.output),
        ]);
        money(sum.saturating_add(PER / 2) / PER)
    }

    /// A bound that the cost of no answer to a prompt of up to so many tokens, itself of up to so many tokens, passes,
    /// whatever a cache does: all of the prompt at its dearest price, of the dearest tier that it can reach.
    #[must_use]
    pub fn worst(&self, input: u64, output: u64) -> Money {
        let tiers = self.tiers.iter().filter(|tier| tier.above < input).map(|tier| &tier.rates);
        let dearest = |rates: &Rates| rates.input.max(rates.cache_write()).max(rates.cache_read());
        let costs = std::iter::once(&self.base).chain(tiers);
        let costs = costs.map(|rates| sum([(input, dearest(rates)), (output, rates.output)]));
        money(costs.max().unwrap_or_default().div_ceil(PER))
    }

    /// The prices that hold for a prompt of this size.
    fn rates(&self, input: u64) -> &Rates {
        self.tiers.iter().rfind(|tier| input > tier.above).map_or(&self.base, |tier| &tier.rates)
    }
}

/// In millionths of millionths of a dollar.
fn sum<const N: usize>(parts: [(u64, u64); N]) -> u128 {
    let parts = parts.into_iter().map(|(tokens, rate)| u128::from(tokens) * u128::from(rate));
    parts.fold(0, u128::saturating_add)
}

fn money(micros: u128) -> Money {
    Money(i64::try_from(micros).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rates(input: u64, output: u64, cache_read: Option<u64>, cache_write: Option<u64>) -> Rates {
        Rates { input, output, cache_read, cache_write }
    }

    fn sonnet() -> Prices {
        Prices {
            base: rates(3_000_000, 15_000_000, Some(300_000), Some(3_750_000)),
            tiers: vec![Tier {
                above: 200_000,
                rates: rates(6_000_000, 22_500_000, Some(600_000), Some(7_500_000)),
            }],
        }
    }

    fn usage(input: u64, cache_read: u64, cache_write: u64, output: u64) -> Usage {
        Usage { input, output, cache_read, cache_write, ..Usage::default() }
    }

    #[test]
    fn each_part_of_the_prompt_has_its_price() {
        let prices = sonnet();
        assert_eq!(prices.cost(&usage(10_000, 8_000, 0, 1_000)), Money(23_400));
        assert_eq!(prices.cost(&usage(10_000, 0, 10_000, 0)), Money(37_500));
        assert_eq!(prices.cost(&Usage::default()), Money(0));
    }

    #[test]
    fn a_cache_of_no_known_price_costs_what_the_prompt_costs() {
        let prices = Prices { base: rates(2_000_000, 0, None, None), tiers: Vec::new() };
        assert_eq!(prices.cost(&usage(1_000, 400, 600, 0)), Money(2_000));
    }

    #[test]
    fn a_long_prompt_pays_the_tier_s_prices_for_all_of_it() {
        let prices = sonnet();
        assert_eq!(prices.cost(&usage(200_000, 0, 0, 1_000)), Money(615_000));
        assert_eq!(prices.cost(&usage(200_001, 0, 0, 1_000)), Money(1_222_506));
        assert_eq!(prices.cost(&usage(200_001, 200_001, 0, 0)), Money(120_001));
    }

    #[test]
    fn only_the_sum_is_rounded_and_to_the_nearest() {
        let prices = Prices { base: rates(125_000, 125_000, None, None), tiers: Vec::new() };
        assert_eq!(prices.cost(&usage(1, 0, 0, 0)), Money(0));
        assert_eq!(prices.cost(&usage(3, 0, 0, 0)), Money(0));
        assert_eq!(prices.cost(&usage(3, 0, 0, 1)), Money(1));
    }

    #[test]
    fn numbers_without_sense_neither_panic_nor_go_round() {
        let prices = Prices { base: rates(u64::MAX, u64::MAX, None, None), tiers: Vec::new() };
        assert_eq!(prices.cost(&usage(u64::MAX, u64::MAX, u64::MAX, u64::MAX)), Money(i64::MAX));
        assert_eq!(prices.worst(u64::MAX, u64::MAX), Money(i64::MAX));
        // More from the cache than there was.
        assert_eq!(sonnet().cost(&usage(10, 1_000, 1_000, 0)), Money(3));
    }

    #[test]
    fn the_bound_is_that_of_the_dearest_tier_within_reach() {
        let prices = sonnet();
        assert_eq!(prices.worst(1_000, 100), Money(5_250));
        assert_eq!(prices.worst(200_001, 0), Money(1_500_008));
        assert_eq!(prices.worst(0, 0), Money(0));
    }

    proptest! {
        #[test]
        fn no_cost_passes_the_bound(
            base in any_rates(), tier in any_rates(), above in 0_u64..1_000,
            input in 0_u64..2_000, output in 0_u64..2_000, less in 0_u64..100, read in 0_u64..2_000, written in 0_u64..2_000,
        ) {
            let prices = Prices { base, tiers: vec![Tier { above, rates: tier }] };
            let used = usage(input.saturating_sub(less), read, written, output.saturating_sub(less));
            prop_assert!(prices.cost(&used) <= prices.worst(input, output));
        }
    }

    prop_compose! {
        fn any_rates()(
            input in 0_u64..10_000_000, output in 0_u64..10_000_000,
            cache_read in proptest::option::of(0_u64..10_000_000), cache_write in proptest::option::of(0_u64..10_000_000),
        ) -> Rates {
            rates(input, output, cache_read, cache_write)
        }
    }
}
