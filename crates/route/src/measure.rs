//! What a router is worth: on tasks whose result with the small and with the large model is known.
//!
//! Tasks are given to the large model in the order of their scores. The share of the gap between both models that is
//! recovered (PGR), against the share of tasks that the large model got, is the curve; its mean is APGR, and CPT(q) is
//! the share of calls to the large model at which `q` of the gap is recovered (Ong et al., arXiv 2406.18665).

/// One task: the router's score, and whether each model did it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// The larger, the sooner the large model gets it.
    pub score: f64,
    /// Whether the small model did it.
    pub small: bool,
    /// Whether the large one did.
    pub large: bool,
}

/// The curve over all tasks.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Share of the gap recovered, with no task, one task, … all tasks given to the large model.
    recovered: Vec<f64>,
}

impl Curve {
    /// Of these tasks; nothing where both models do equally many, or the small one more: then there is no gap.
    #[must_use]
    pub fn of(outcomes: &[Outcome]) -> Option<Self> {
        let mut sorted = outcomes.to_vec();
        // Equal scores keep the order of the tasks.
        sorted.sort_by(|a, b| b.score.total_cmp(&a.score));
        let mut sum = 0.0;
        let mut recovered = vec![0.0];
        for outcome in &sorted {
            sum += f64::from(u8::from(outcome.large)) - f64::from(u8::from(outcome.small));
            recovered.push(sum);
        }
        (sum > 0.0).then(|| {
            recovered.iter_mut().for_each(|part| *part /= sum);
            Self { recovered }
        })
    }

    /// The mean share of the gap that is recovered, over all shares of calls.
    #[must_use]
    pub fn apgr(&self) -> f64 {
        let pairs = self.recovered.windows(2).map(|pair| pair.iter().sum::<f64>() / 2.0);
        pairs.sum::<f64>() / self.tasks()
    }

    /// The smallest share of calls to the large model at which this share of the gap is recovered.
    #[must_use]
    pub fn cpt(&self, share: f64) -> f64 {
        let first = self.recovered.iter().position(|part| *part >= share).unwrap_or(self.recovered.len() - 1);
        number(first) / self.tasks()
    }

    fn tasks(&self) -> f64 {
        number(self.recovered.len() - 1)
    }
}

fn number(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::from(u32::MAX), f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(scores: [f64; 4]) -> Vec<Outcome> {
        let did = [(true, true), (false, true), (false, false), (false, true)];
        scores.into_iter().zip(did).map(|(score, (small, large))| Outcome { score, small, large }).collect()
    }

    #[test]
    fn figures_are_those_that_are_reckoned_by_hand() {
        // Gains in order: 1, 1, 0, 0.
        let best = Curve::of(&outcomes([0.1, 0.9, 0.2, 0.8])).unwrap();
        assert_eq!((best.apgr(), best.cpt(0.5), best.cpt(0.8)), (0.75, 0.25, 0.5));
        // Gains in order: 0, 0, 1, 1.
        let worst = Curve::of(&outcomes([0.9, 0.1, 0.8, 0.2])).unwrap();
        assert_eq!((worst.apgr(), worst.cpt(0.5), worst.cpt(0.8)), (0.25, 0.75, 1.0));
    }

    #[test]
    fn without_a_gap_there_is_nothing_to_recover() {
        let same = [Outcome { score: 1.0, small: true, large: true }];
        assert_eq!(Curve::of(&same), None);
        assert_eq!(Curve::of(&[]), None);
    }
}
