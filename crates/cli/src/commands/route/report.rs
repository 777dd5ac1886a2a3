//! `codetether route report`: what was routed where, what came of it, and what it cost, as the journals have it.

use std::collections::BTreeMap;

use clap::Args;
use codetether_event::{
    Event, Evidence, Money, Outcome, Record, RoutedJob, SampleEvent, SessionEvent, Tier, TierRates,
    TurnEvent, Usage,
};
use codetether_journal::{Catalogue, Filter, Layout};
use serde_json::{Value, json};

use crate::commands::session::About;
use crate::exit::{Exit, Failure};
use crate::{place, printer};

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Only sessions of this folder.
    #[arg(long, short = 'C', value_name = "DIR")]
    dir: Option<std::path::PathBuf>,
    /// As one JSON object; costs are in millionths of a US dollar.
    #[arg(long)]
    json: bool,
}

/// What came of the jobs of one kind at one tier.
#[derive(Debug, Default)]
struct Row {
    jobs: u64,
    completed: u64,
    escalated: u64,
    /// What was spent, as far as it is known.
    cost: Money,
    /// Samples whose cost is not known.
    unpriced: u64,
    /// What the same tokens would have cost at the model that was not chosen, as far as its prices are known.
    instead: Money,
    /// Jobs whose other model's prices are not known.
    incomparable: u64,
}

#[derive(Debug, Default)]
struct Report {
    rows: BTreeMap<(String, Tier), Row>,
    evidence: BTreeMap<&'static str, u64>,
    rules: BTreeMap<String, u64>,
}

/// A job under way.
struct Job {
    of: (String, Tier),
    other: Option<TierRates>,
    has_other: bool,
}

pub(super) fn run(args: &ReportArgs) -> Result<Exit, Failure> {
    let layout = Layout::new(place::data_dir()?);
    let root = args.dir.as_deref().map(|dir| crate::run::folder(Some(dir))).transpose()?;
    let filter = Filter { project: root.map(|root| root.display().to_string()) };
    let mut report = Report::default();
    for listed in Catalogue::<About>::new(layout.clone()).list(&filter, usize::MAX)? {
        match codetether_journal::read::<Event>(layout.journal(listed.id)) {
            Ok(read) => report.add(&read.records),
            Err(error) => printer::err(&format!("warning: session {}: {error}\n", listed.id)),
        }
    }
    if args.json {
        printer::out(&format!("{}\n", report.value()))?;
    } else if report.rows.is_empty() {
        printer::err(
            "nothing was routed yet: set `tiers.small` (docs: routing), and leave the model to the prompt\n",
        );
    } else {
        printer::out(&report.table())?;
    }
    Ok(Exit::Done)
}

impl Report {
    /// The decisions of a session, without those of the one that it was forked from.
    fn add(&mut self, records: &[Record]) {
        let mut own = None;
        let mut prompt: Option<Job> = None;
        let mut summary: Option<Job> = None;
        for record in records {
            if let Event::Session(SessionEvent::Opened { forked, .. }) = &record.event {
                own = forked.map(|fork| fork.at);
            }
            if own.is_some_and(|at| record.seq <= at) {
                continue;
            }
            match &record.event {
                Event::Turn(TurnEvent::Routed(routed)) => {
                    let what = match routed.job {
                        RoutedJob::Summary => "summary".to_owned(),
                        RoutedJob::Prompt => routed.class.clone().unwrap_or_default(),
                    };
                    let of = (what, routed.tier);
                    self.rows.entry(of.clone()).or_default().jobs += 1;
                    let rule = json!(routed.rule).as_str().unwrap_or_default().to_owned();
                    *self.rules.entry(rule).or_default() += 1;
                    let other = routed.instead_of.as_ref();
                    let job =
                        Job { of, other: other.and_then(|other| other.rates), has_other: other.is_some() };
                    match routed.job {
                        RoutedJob::Prompt => prompt = Some(job),
                        RoutedJob::Summary => summary = Some(job),
                    }
                }
                Event::Turn(TurnEvent::Escalated { why, .. }) => {
                    *self.evidence.entry(evidence(why)).or_default() += 1;
                    if let Some(row) = self.row(summary.as_ref().or(prompt.as_ref())) {
                        row.escalated += 1;
                    }
                }
                Event::Sample(SampleEvent::Ended { usage, cost, .. }) if usage.total() > 0 => {
                    if let Some(job) = summary.as_ref().or(prompt.as_ref())
                        && let Some(row) = self.rows.get_mut(&job.of)
                    {
                        row.spent(job, usage, *cost);
                    }
                }
                Event::Context(
                    codetether_event::ContextEvent::Compacted { .. }
                    | codetether_event::ContextEvent::Kept { .. },
                ) => {
                    if let Some(row) = self.row(summary.take().as_ref()) {
                        row.completed += 1;
                    }
                }
                Event::Turn(TurnEvent::Ended { outcome }) => {
                    summary = None;
                    let done = *outcome == Outcome::Completed;
                    if let Some(row) = self.row(prompt.take().as_ref()).filter(|_| done) {
                        row.completed += 1;
                    }
                }
                _ => {}
            }
        }
    }

    fn row(&mut self, job: Option<&Job>) -> Option<&mut Row> {
        self.rows.get_mut(&job?.of)
    }

    fn value(&self) -> Value {
        let rows = self.rows.iter().map(|((what, tier), row)| {
            json!({
                "job": what,
                "tier": tier,
                "jobs": row.jobs,
                "completed": row.completed,
                "escalated": row.escalated,
                "cost_microdollars": row.cost.0,
                "unpriced": row.unpriced,
                "other_model_microdollars": row.instead.0,
                "incomparable": row.incomparable,
            })
        });
        json!({ "rows": rows.collect::<Vec<_>>(), "rules": self.rules, "escalations": self.evidence })
    }

    fn table(&self) -> String {
        let mut lines = vec![
            ["job", "tier", "jobs", "completed", "escalated", "cost", "the other model"].map(str::to_owned),
        ];
        for ((what, tier), row) in &self.rows {
            lines.push([
                what.clone(),
                tier.to_string(),
                row.jobs.to_string(),
                row.completed.to_string(),
                row.escalated.to_string(),
                money(row.cost, row.unpriced),
                money(row.instead, row.incomparable),
            ]);
        }
        let width = |column: usize| {
            lines
                .iter()
                .filter_map(|line| line.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..7).map(width).collect();
        let mut text = String::new();
        for line in &lines {
            let cells = line.iter().zip(&widths).enumerate().map(|(at, (cell, width))| match at {
                0 | 1 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
            text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
        }
        text.push_str(
            "\nThe other model: what the same tokens would have cost there. It would have used others, and may have done \
             more or less, so this is no saving.\n",
        );
        let list = |counts: Vec<String>| counts.join(", ");
        let rules = self.rules.iter().map(|(rule, count)| format!("{count} by {rule}")).collect();
        text.push_str(&format!("Decided: {}\n", list(rules)));
        if !self.evidence.is_empty() {
            let evidence = self.evidence.iter().map(|(why, count)| format!("{count} by {why}")).collect();
            text.push_str(&format!("A larger model took over: {}\n", list(evidence)));
        }
        text
    }
}

impl Row {
    fn spent(&mut self, job: &Job, usage: &Usage, cost: Option<Money>) {
        match cost {
            Some(cost) => self.cost = self.cost + cost,
            None => self.unpriced += 1,
        }
        match job.other {
            Some(rates) => self.instead = self.instead + at(rates, usage),
            None if job.has_other => self.incomparable += 1,
            None => {}
        }
    }
}

/// What these tokens cost at these prices.
fn at(rates: TierRates, usage: &Usage) -> Money {
    let cached = usage.cache_read.min(usage.input);
    let part = |tokens: u64, rate: Money| i128::from(tokens) * i128::from(rate.0) / 1_000_000;
    let sum = part(usage.input - cached, rates.input)
        + part(cached, rates.cache_read)
        + part(usage.output, rates.output);
    Money(i64::try_from(sum).unwrap_or(i64::MAX))
}

fn money(known: Money, unknown: u64) -> String {
    match (known, unknown) {
        (Money(0), 1..) => "not known".to_owned(),
        (known, 0) => known.to_string(),
        (known, _) => format!("{known} and more"),
    }
}

fn evidence(why: &Evidence) -> &'static str {
    match why {
        Evidence::InvalidCalls => "invalid_calls",
        Evidence::CheckFailed => "check_failed",
        Evidence::NoProgress => "no_progress",
        Evidence::NoSummary => "no_summary",
        Evidence::Failed { .. } => "failed",
    }
}
