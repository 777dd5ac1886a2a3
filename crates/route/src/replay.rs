//! What routing would have been worth on tasks whose outcome is known for each size of model.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::measure::{Curve, Outcome};
use crate::{Head, Job, Kind, Needs, Tier, decide};

/// How a model did a task.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Result {
    /// Whether it did it.
    pub pass: bool,
    /// What that cost, in dollars.
    pub cost: f64,
}

/// A task that was tried with several sizes of model.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Task {
    /// Who set it.
    #[serde(default = "prompt")]
    pub kind: Kind,
    /// What was asked.
    #[serde(default)]
    pub prompt: String,
    /// How each size did it; at least `small` and `main`.
    #[serde(alias = "results")]
    pub tiers: BTreeMap<Tier, Result>,
}

fn prompt() -> Kind {
    Kind::Prompt
}

impl Task {
    /// What is wrong with it, if anything is.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let missing = [Tier::Small, Tier::Main].into_iter().find(|tier| !self.tiers.contains_key(tier));
        if let Some(tier) = missing {
            return Some(format!("it has no result of `{}`", tier.as_str()));
        }
        let odd = self.tiers.values().find(|result| !result.cost.is_finite() || result.cost < 0.0);
        odd.map(|result| format!("{} is no cost", result.cost))
    }

    fn result(&self, tier: Tier) -> Result {
        // Both of the first two are there; a heavy one that is not is no better than the usual one.
        let usual = self.tiers.get(&tier).or_else(|| self.tiers.get(&Tier::Main));
        usual.copied().unwrap_or(Result { pass: false, cost: 0.0 })
    }
}

/// What a way of choosing comes to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Sum {
    /// Share of the tasks that were done, from 0 to 1.
    pub pass: f64,
    /// What all of them cost, in dollars.
    pub cost: f64,
}

/// What routing would have been worth.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Tasks.
    pub tasks: usize,
    /// Of them to each size.
    pub routed: BTreeMap<Tier, usize>,
    /// As the router chooses.
    pub router: Sum,
    /// Always the cheapest that does it, or the cheapest where none does.
    pub oracle: Sum,
    /// As many to the usual model as the router gives it, but any: what to expect of that.
    pub random: Sum,
    /// Always the small one.
    pub small: Sum,
    /// Always the usual one.
    pub main: Sum,
    /// Always the heavy one, where each task was tried with one.
    pub heavy: Option<Sum>,
    /// Mean share of the gap between small and usual that the score recovers; nothing where there is no gap.
    pub apgr: Option<f64>,
    /// Share of tasks for the usual model at which 50 % of the gap is recovered.
    pub cpt50: Option<f64>,
    /// The same for 80 %.
    pub cpt80: Option<f64>,
    /// How far the router is from the oracle: tasks that it would have done, as a share, and dollars more.
    pub regret: Sum,
    /// How many times cheaper than always the usual model, where it does as many tasks, give or take a point, and costs less.
    pub times_cheaper: Option<f64>,
    /// The share of that cost that is saved, under the same terms; 1 where the router's choices cost nothing.
    pub saved: Option<f64>,
}

/// Pass rates that differ by no more than this are equal.
const EQUAL: f64 = 0.01;

impl Report {
    /// Of these tasks; nothing where there are none.
    #[must_use]
    pub fn of(head: &Head, tasks: &[Task]) -> Option<Self> {
        if tasks.is_empty() {
            return None;
        }
        let mut routed = BTreeMap::new();
        let (mut chosen, mut outcomes) = (Vec::with_capacity(tasks.len()), Vec::with_capacity(tasks.len()));
        for task in tasks {
            let job = Job { prompt: &task.prompt, ..Job::default() };
            let decision = decide(head, task.kind, &job, &job.features(), Needs::default());
            *routed.entry(decision.tier).or_insert(0) += 1;
            chosen.push(task.result(decision.tier));
            let (small, large) = (task.result(Tier::Small).pass, task.result(Tier::Main).pass);
            // Kinds that are always for the small one come last.
            let score = if task.kind.is_small() { -1.0 } else { decision.score };
            outcomes.push(Outcome { score, small, large });
        }
        let all = |tier: Tier| sum(tasks.iter().map(|task| task.result(tier)));
        let (router, small, main) = (sum(chosen), all(Tier::Small), all(Tier::Main));
        let oracle = sum(tasks.iter().map(|task| {
            let cheaper = |one: &&Result, other: &&Result| {
                other.pass.cmp(&one.pass).then(one.cost.total_cmp(&other.cost))
            };
            task.tiers.values().min_by(cheaper).copied().unwrap_or_else(|| task.result(Tier::Small))
        }));
        let share = routed.get(&Tier::Main).map_or(0.0, |main: &usize| *main as f64) / tasks.len() as f64;
        let between = |small: f64, main: f64| small + (main - small) * share;
        let random = Sum { pass: between(small.pass, main.pass), cost: between(small.cost, main.cost) };
        let has_heavy = tasks.iter().all(|task| task.tiers.contains_key(&Tier::Heavy));
        let curve = Curve::of(&outcomes);
        let saves = router.pass >= main.pass - EQUAL - f64::EPSILON && router.cost < main.cost;
        Some(Self {
            tasks: tasks.len(),
            routed,
            router,
            oracle,
            random,
            small,
            main,
            heavy: has_heavy.then(|| all(Tier::Heavy)),
            apgr: curve.as_ref().map(Curve::apgr),
            cpt50: curve.as_ref().map(|curve| curve.cpt(0.5)),
            cpt80: curve.as_ref().map(|curve| curve.cpt(0.8)),
            regret: Sum { pass: oracle.pass - router.pass, cost: router.cost - oracle.cost },
            times_cheaper: (saves && router.cost > 0.0).then(|| main.cost / router.cost),
            saved: saves.then(|| 1.0 - router.cost / main.cost),
        })
    }
}

fn sum(results: impl IntoIterator<Item = Result>) -> Sum {
    let (mut passed, mut tasks, mut cost) = (0_usize, 0_usize, 0.0);
    for result in results {
        passed += usize::from(result.pass);
        tasks += 1;
        cost += result.cost;
    }
    Sum { pass: passed as f64 / tasks.max(1) as f64, cost }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(prompt: &str, small: bool, main: bool) -> Task {
        let result = |pass, cost| Result { pass, cost };
        let tiers = [(Tier::Small, result(small, 0.001)), (Tier::Main, result(main, 0.1))];
        Task { kind: Kind::Prompt, prompt: prompt.into(), tiers: tiers.into() }
    }

    const EASY: &str = "rename `a` to `b` in src/lib.rs";
    const HARD: &str = "design a distributed cache across all services, and prove that it cannot deadlock";

    #[test]
    fn a_router_that_is_right_is_as_good_as_the_oracle() {
        let head = Head::shipped().unwrap();
        let tasks = [task(EASY, true, true), task(HARD, false, true)];
        let report = Report::of(&head, &tasks).unwrap();
        assert_eq!(report.router, report.oracle);
        assert_eq!((report.router.pass, report.small.pass, report.random.pass), (1.0, 0.5, 0.75));
        assert_eq!((report.regret.pass, report.regret.cost), (0.0, 0.0));
        assert!((report.times_cheaper.unwrap() - 0.2 / 0.101).abs() < 1e-9);
        assert_eq!(report.routed, [(Tier::Small, 1), (Tier::Main, 1)].into());
        assert_eq!(report.cpt80, Some(0.5));
    }

    #[test]
    fn no_saving_is_claimed_where_less_was_done() {
        let head = Head::shipped().unwrap();
        let report = Report::of(&head, &[task(EASY, false, true), task(HARD, false, true)]).unwrap();
        assert_eq!((report.router.pass, report.main.pass, report.times_cheaper), (0.5, 1.0, None));
        assert_eq!(report.regret.pass, 0.5);
        assert!(report.regret.cost < 0.0, "what was not done was cheap");
        assert_eq!(Report::of(&head, &[]), None);
        // Nor where it costs as much or more.
        let mut dear = task(EASY, true, true);
        dear.tiers.insert(Tier::Small, Result { pass: true, cost: 0.5 });
        let report = Report::of(&head, &[dear.clone()]).unwrap();
        assert_eq!((report.times_cheaper, report.saved), (None, None));
        // What costs nothing saves all of it.
        dear.tiers.insert(Tier::Small, Result { pass: true, cost: 0.0 });
        let report = Report::of(&head, &[dear]).unwrap();
        assert_eq!((report.times_cheaper, report.saved), (None, Some(1.0)));
        // Where the usual model does no more, there is no gap to recover.
        assert_eq!(Report::of(&head, &[task(EASY, true, true)]).unwrap().apgr, None);
    }

    #[test]
    fn what_is_wrong_with_a_task_is_said() {
        let mut one = task(EASY, true, true);
        assert_eq!(one.problem(), None);
        one.tiers.insert(Tier::Main, Result { pass: true, cost: -1.0 });
        assert_eq!(one.problem().as_deref(), Some("-1 is no cost"));
        one.tiers.remove(&Tier::Main);
        assert_eq!(one.problem().as_deref(), Some("it has no result of `main`"));
    }
}
