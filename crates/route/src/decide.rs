//! The decision, in this order: what the small model cannot hold, the kind of job, what the larger one has read already,
//! and the head. Whoever chose a model for a job does not ask here.

use serde::Serialize;

pub use codetether_event::Tier;

use crate::{Class, Features, Head, Job, Kind};

/// What decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The kind of job.
    Kind,
    /// Its text and its past do not fit the small model's window.
    Window,
    /// It has images, which the small model cannot see.
    Images,
    /// A larger model has the conversation in its cache, and reading it anew would cost more than is saved.
    Warm,
    /// The head.
    Score,
}

/// What is known of a job and of the small model, beside the text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Needs {
    /// Tokens that the job needs, as an upper bound.
    pub tokens: u64,
    /// Tokens that the small model takes; nothing where that is not known.
    pub window: Option<u64>,
    /// Whether there are images in it that the small model cannot see.
    pub unseen_images: bool,
    /// Whether a larger model has the conversation in its cache, so that a change to the small one does not pay.
    pub warm: bool,
}

/// Where a job goes, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decision {
    /// What it asks for.
    pub class: Class,
    /// Where it goes.
    pub tier: Tier,
    /// What decided that.
    pub rule: Rule,
    /// How probable it is that the small model is not enough.
    pub score: f64,
}

/// Above this score, the small model is not tried.
pub const ENOUGH: f64 = 0.5;

/// Decides. `features` are the job's own.
#[must_use]
pub fn decide(head: &Head, kind: Kind, job: &Job<'_>, features: &Features, needs: Needs) -> Decision {
    let score = head.score(features);
    let (tier, rule) = if needs.window.is_some_and(|window| needs.tokens > window) {
        (Tier::Main, Rule::Window)
    } else if needs.unseen_images {
        (Tier::Main, Rule::Images)
    } else if kind.is_small() {
        (Tier::Small, Rule::Kind)
    } else if needs.warm {
        (Tier::Main, Rule::Warm)
    } else if score > ENOUGH {
        (Tier::Main, Rule::Score)
    } else {
        (Tier::Small, Rule::Score)
    };
    Decision { class: job.class(), tier, rule, score }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_come_before_the_head() {
        let head = Head::shipped().unwrap();
        let job = Job { prompt: "rename `a` to `b` in src/lib.rs", ..Job::default() };
        let features = job.features();
        let tier = |kind, needs| {
            let decision = decide(&head, kind, &job, &features, needs);
            (decision.tier, decision.rule)
        };
        assert_eq!(tier(Kind::Prompt, Needs::default()), (Tier::Small, Rule::Score));
        let large = Needs { tokens: 9_000, window: Some(8_192), ..Needs::default() };
        assert_eq!(tier(Kind::Prompt, large), (Tier::Main, Rule::Window));
        assert_eq!(tier(Kind::Summary, large), (Tier::Main, Rule::Window));
        let unseen = Needs { unseen_images: true, ..Needs::default() };
        assert_eq!(tier(Kind::Title, unseen), (Tier::Main, Rule::Images));
        let hard = Job {
            prompt: "design a distributed cache across all services, and prove that it cannot deadlock",
            ..job
        };
        let decision = decide(&head, Kind::CommitMessage, &hard, &hard.features(), Needs::default());
        assert_eq!((decision.tier, decision.rule, decision.class), (Tier::Small, Rule::Kind, Class::Design));
        let decision = decide(&head, Kind::Prompt, &hard, &hard.features(), Needs::default());
        assert_eq!((decision.tier, decision.rule), (Tier::Main, Rule::Score));
    }
}
