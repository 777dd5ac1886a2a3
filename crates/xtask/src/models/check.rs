//! How far the table is from others' word: from a judge that gathered prices on its own, and from the newest packages.
//! Says it on standard error; changes nothing.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::ask;
use super::rows::{Row, Rows, dollars, is_resold, line};
use crate::Failure;

/// Most lines of each list that are shown.
const SHOWN: usize = 40;

/// Prices that differ by no more than a fiftieth are the same, rounded by someone on the way; so are sizes of prompts.
const TOLERANCE: u64 = 50;

/// Where a lower price than the judge's is right, and why. No other of a vendor that sets its own prices may be lower: one
/// that is would let spending pass its limit. What is dearer, and what resellers take (it changes from day to day, with
/// the hosts that a router chooses), is only listed.
const RIGHTLY_LOWER: &[(&str, &str)] = &[
    ("deepseek/deepseek-chat", "the judge has the prices from before V3.2"),
    ("deepseek/deepseek-reasoner", "the judge has the prices from before V3.2"),
    ("mistral/magistral-medium-latest", "the name has moved on to Mistral Medium 3.5"),
    ("mistral/magistral-small-latest", "the name has moved on to Mistral Small 4"),
    ("mistral/mistral-large-latest", "the name has moved on to Mistral Large 3"),
];

/// Compares every price with the judge's.
pub(super) fn with_oracle(kept: &Rows, python: &Path) -> Result<(), Failure> {
    let priced: Vec<(&String, &Row)> = kept.iter().filter(|(_, row)| !row.prices.is_empty()).collect();
    let asked: Vec<_> = priced.iter().filter_map(|(id, _)| id.split_once('/')).collect();
    let said = ask(python, include_str!("oracle.py"), &serde_json::json!(asked).to_string())?;
    let said: Vec<Value> = serde_json::from_str(&said)
        .map_err(|error| Failure::Wrong(format!("the judge of prices said no list: {error}")))?;
    let mut told = Told::default();
    for ((id, row), said) in priced.iter().zip(&said) {
        told.take(id, row, said);
    }
    told.report()
}

/// What came out of the comparison.
#[derive(Debug, Default)]
struct Told {
    /// Models that the judge knows too.
    compared: usize,
    /// Of those, the ones of which nothing differs.
    same: usize,
    /// Differences that must not be.
    wrong: Vec<String>,
    /// Differences that may be.
    other: Vec<String>,
    excused: BTreeSet<&'static str>,
}

impl Told {
    fn take(&mut self, id: &str, row: &Row, said: &Value) {
        let Some(rates) = said["rates"].as_array() else { return };
        self.compared += 1;
        let (lower, differences) = differences(row, rates);
        if differences.is_empty() {
            self.same += 1;
            return;
        }
        let model = said["model"].as_str().unwrap_or_default();
        let text = format!("{id}: {} (judged as `{model}`)", differences.join(", "));
        match RIGHTLY_LOWER.iter().find(|(known, _)| *known == id) {
            Some((known, why)) => {
                self.excused.insert(known);
                self.other.push(format!("{text}: {why}"));
            }
            None if !lower || is_resold(id) => self.other.push(text),
            None => self.wrong.push(text),
        }
    }

    fn report(mut self) -> Result<(), Failure> {
        let stale = RIGHTLY_LOWER.iter().filter(|(known, _)| !self.excused.contains(known));
        self.other.extend(stale.map(|(known, _)| format!("{known}: need not be excused any more")));
        eprintln!("models: {} of {} prices are those of the judge", self.same, self.compared);
        show("prices that differ: dearer, a reseller's, or for a reason", &self.other);
        show("prices that are lower and must not be", &self.wrong);
        match self.wrong.len() {
            0 => Ok(()),
            wrong => Err(Failure::Wrong(format!(
                "the prices of {wrong} models are lower than the judge's: renew the table with `cargo xtask models`, or say in \
                 `crates/xtask/src/models/check.rs` why they are right"
            ))),
        }
    }
}

/// Says what the newest packages would change.
pub(super) fn drift(kept: &Rows, newest: &Rows) {
    let gone = kept.keys().filter(|id| !newest.contains_key(*id));
    let gone: Vec<String> = gone.map(|id| format!("- {id}")).collect();
    let new = newest.iter().filter(|(id, _)| !kept.contains_key(*id));
    let new: Vec<String> = new.map(|(id, row)| format!("+ {}", line(id, row))).collect();
    let changed = newest.iter().filter(|(id, row)| kept.get(*id).is_some_and(|kept| kept != *row));
    let changed: Vec<String> = changed.map(|(id, row)| format!("~ {}", line(id, row))).collect();
    if gone.is_empty() && new.is_empty() && changed.is_empty() {
        return eprintln!("models: the newest packages say nothing else");
    }
    show("models that the newest packages drop", &gone);
    show("models that the newest packages add", &new);
    show("models of which the newest packages say something else", &changed);
}

fn show(what: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    eprintln!("models: {what}: {}", lines.len());
    for line in lines.iter().take(SHOWN) {
        eprintln!("  {line}");
    }
    if let Some(more) = lines.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        eprintln!("  and {more} more");
    }
}

/// What differs, just above each size of prompt at which the judge's prices change, and whether any of ours is lower. What
/// only one of the two knows is no difference: a cache whose price is not known costs what the rest of the prompt costs.
/// Nor is a price of prompts that the model does not take.
fn differences(row: &Row, said: &[Value]) -> (bool, Vec<String>) {
    let (mut lower, mut differences) = (false, Vec::new());
    for said in said {
        let above = said[0].as_u64().unwrap_or_default();
        let about = above + above / TOLERANCE;
        let ours = row.prices.iter().rfind(|(from, _)| *from <= about);
        let Some((_, ours)) = ours.filter(|_| row.window.is_none_or(|window| about < window)) else {
            continue;
        };
        let ours = [
            ("input", Some(ours.input)),
            ("output", Some(ours.output)),
            ("cache read", ours.cache_read),
            ("cache write", ours.cache_write),
        ];
        for ((what, ours), theirs) in ours.into_iter().zip(said.as_array().into_iter().flatten().skip(1)) {
            let theirs = theirs.as_u64().filter(|price| *price > 0);
            let (Some(ours), Some(theirs)) = (ours, theirs) else { continue };
            if ours.abs_diff(theirs) > theirs / TOLERANCE {
                lower |= ours < theirs;
                let size = if above > 0 { format!(" above {above} tokens") } else { String::new() };
                differences.push(format!("{what}{size} {} and not {}", dollars(ours), dollars(theirs)));
            }
        }
    }
    (lower, differences)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::rows::parse;
    use super::*;

    fn row(prices: &str) -> (String, Row) {
        parse(&format!("{prices}\t\tl")).unwrap()
    }

    #[test]
    fn prices_are_compared_at_every_size_at_which_the_judge_changes_its_own() {
        let (id, row) = row("openai/x\t400000\t1\t1.25\t10\t0.125\t\t200000:2.5:15::");
        let same = json!([
            [0, 1_250_000, 10_000_000, 125_000, null],
            [200_000, 2_500_000, 15_000_000, 250_000, null]
        ]);
        let said = |rates: &Value| json!({ "model": "x", "rates": rates });
        let mut told = Told::default();
        told.take(&id, &row, &said(&same));
        told.take(&id, &row, &Value::Null);
        told.take(
            &id,
            &row,
            &said(&json!([
                [0, 1_250_000, 10_000_000, null, null],
                [100_000, 2_500_000, 15_000_000, null, null]
            ])),
        );
        assert_eq!((told.compared, told.same), (2, 1));
        assert_eq!(
            told.wrong,
            [
                "openai/x: input above 100000 tokens 1.25 and not 2.5, output above 100000 tokens 10 and not 15 (judged as `x`)"
            ]
        );
        assert!(told.report().is_err());
    }

    #[test]
    fn what_is_dearer_than_the_judge_says_is_only_listed() {
        let (id, row) = row("openai/x\t9\t1\t3\t10\t\t\t");
        let mut told = Told::default();
        told.take(
            &id,
            &row,
            &json!({ "model": "x", "rates": [[0, 2_000_000, 10_000_000, null, null], [9, 99, 99, 9, 9]] }),
        );
        assert_eq!(told.other, ["openai/x: input 3 and not 2 (judged as `x`)"]);
        assert!(told.wrong.is_empty());
    }

    #[test]
    fn what_resellers_take_is_only_listed() {
        let (id, row) = row("openrouter/a/x\t9\t1\t1\t10\t\t\t");
        let mut told = Told::default();
        told.take(&id, &row, &json!({ "model": "x", "rates": [[0, 2_000_000, 10_000_000, null, null]] }));
        assert_eq!((told.wrong.len(), told.other.len()), (0, 1));
        assert!(told.report().is_ok());
    }
}
