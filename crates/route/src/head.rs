//! The head: a weight for each feature, and what comes of them as a probability.

use crate::features::{COUNT, Features, NAMES};

/// The weights that are part of the program.
const WEIGHTS: &str = include_str!("../weights.tsv");

/// A logistic head over features that were brought to one scale.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// What there is without any feature.
    pub bias: f64,
    /// For each feature: its middle, its spread, and its weight.
    pub weights: [(f64, f64, f64); COUNT],
}

impl Head {
    /// The one that the program has.
    ///
    /// # Errors
    /// When its table is damaged, which a test excludes.
    pub fn shipped() -> Result<Self, String> {
        Self::read(WEIGHTS)
    }

    /// Reads a table: a line for each feature, with its name, middle, spread and weight; one line is `bias`.
    ///
    /// # Errors
    /// Which line is wrong, or which feature missing.
    pub fn read(table: &str) -> Result<Self, String> {
        let mut bias = None;
        let mut weights = [None; COUNT];
        for line in table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let wrong = || format!("not a line of weights: `{line}`");
            let mut cells = line.split('\t');
            let name = cells.next().ok_or_else(wrong)?;
            let numbers: Vec<f64> = cells.map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?;
            match (NAMES.iter().position(|other| *other == name), numbers.as_slice()) {
                (None, [number]) if name == "bias" => bias = Some(*number),
                (Some(at), [middle, spread, weight]) => {
                    if let Some(place) = weights.get_mut(at) {
                        *place = Some((*middle, *spread, *weight));
                    }
                }
                _ => return Err(wrong()),
            }
        }
        let mut all = [(0.0, 1.0, 0.0); COUNT];
        for ((place, found), name) in all.iter_mut().zip(weights).zip(NAMES) {
            *place = found.ok_or_else(|| format!("no weights for `{name}`"))?;
        }
        Ok(Self { bias: bias.ok_or("no bias")?, weights: all })
    }

    /// The table that [`Head::read`] reads.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = format!("bias\t{:.6}\n", self.bias);
        for ((middle, spread, weight), name) in self.weights.iter().zip(NAMES) {
            table.push_str(&format!("{name}\t{middle:.6}\t{spread:.6}\t{weight:.6}\n"));
        }
        table
    }

    /// How probable it is that the small model is not enough, from 0 to 1.
    #[must_use]
    pub fn score(&self, features: &Features) -> f64 {
        probability(self.logit(features))
    }

    pub(crate) fn logit(&self, features: &Features) -> f64 {
        let weighted = self.weights.iter().zip(features);
        weighted.fold(self.bias, |sum, ((middle, spread, weight), value)| {
            sum + (value - middle) / spread * weight
        })
    }
}

pub(crate) fn probability(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Job;

    #[test]
    fn a_table_is_read_as_it_was_written() {
        let head = Head::shipped().unwrap();
        assert_eq!(Head::read(&head.table()).unwrap(), head);
    }

    #[test]
    fn a_damaged_table_says_where() {
        let table = Head::shipped().unwrap().table();
        assert_eq!(
            Head::read(&table.replace("lines\t", "lynes\t")).unwrap_err().split(':').next(),
            Some("not a line of weights")
        );
        let without: String =
            table.lines().filter(|line| !line.starts_with("files")).map(|line| format!("{line}\n")).collect();
        assert_eq!(Head::read(&without).unwrap_err(), "no weights for `files`");
    }

    #[test]
    fn larger_jobs_score_higher() {
        let head = Head::shipped().unwrap();
        let score =
            |prompt: &str, failures| head.score(&Job { prompt, failures, ..Job::default() }.features());
        let small = score("rename `count` to `total` in src/lib.rs", 0);
        let large = score(
            "find out why the scheduler deadlocks sometimes in production under load, and redesign the locking so that it cannot",
            0,
        );
        assert!(small < 0.4 && large > 0.6, "{small} {large}");
        assert!(score("rename `count` to `total` in src/lib.rs", 2) > small);
    }
}
