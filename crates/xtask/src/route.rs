//! `cargo xtask route-train`: makes the weights of the router's head, and says what they are worth.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use codetether_route::measure::{Curve, Outcome};
use codetether_route::train::{self, Row};
use codetether_route::{Head, Job};
use serde::Deserialize;

use crate::failure::At as _;
use crate::{Failure, places};

/// Parts that the questions are cut into for cross-validation.
const PARTS: usize = 5;

/// What to learn from.
#[derive(Debug, Args)]
pub(crate) struct Task {
    /// General questions, as lines of `{id, prompt, weak, strong}`: whether a weak and a strong model answered rightly
    #[arg(value_name = "FILE")]
    questions: PathBuf,
    /// Only say what they are worth, and write nothing
    #[arg(long)]
    check: bool,
}

/// One general question.
#[derive(Debug, Deserialize)]
struct Question {
    prompt: String,
    weak: bool,
    strong: bool,
}

/// Trains, measures by cross-validation, and writes the table.
pub(crate) fn run(task: &Task) -> Result<(), Failure> {
    let wrong = |what: String| Failure::Wrong(what);
    let text = fs::read_to_string(&task.questions).at("read", &task.questions)?;
    let questions: Vec<Question> = text
        .lines()
        .enumerate()
        .map(|(number, line)| {
            serde_json::from_str(line)
                .map_err(|error| wrong(format!("{}, line {}: {error}", task.questions.display(), number + 1)))
        })
        .collect::<Result<_, _>>()?;
    let folder = places::root().join("crates/route");
    let path = folder.join("jobs.tsv");
    let jobs = train::jobs(&fs::read_to_string(&path).at("read", &path)?).map_err(wrong)?;
    let rows: Vec<Row> = questions
        .iter()
        .map(|question| Row {
            features: Job { prompt: &question.prompt, ..Job::default() }.features(),
            hard: !question.weak,
        })
        .collect();
    let mut outcomes = Vec::with_capacity(rows.len());
    for part in 0..PARTS {
        let others = rows.iter().enumerate().filter(|(at, _)| at % PARTS != part).map(|(_, row)| row.clone());
        let head = train::with_jobs(train::text(&others.collect::<Vec<_>>()), &jobs);
        let own = rows.iter().zip(&questions).enumerate().filter(|(at, _)| at % PARTS == part);
        outcomes.extend(own.map(|(_, (row, question))| Outcome {
            score: head.score(&row.features),
            small: question.weak,
            large: question.strong,
        }));
    }
    let curve =
        Curve::of(&outcomes).ok_or_else(|| wrong("the strong model is no better than the weak".into()))?;
    println!(
        "{} questions in {PARTS} parts: APGR {:.3}, CPT(50) {:.3}, CPT(80) {:.3}",
        questions.len(),
        curve.apgr(),
        curve.cpt(0.5),
        curve.cpt(0.8)
    );
    let text = train::text(&rows);
    let mut right = 0;
    for part in 0..jobs.len() {
        let others: Vec<Row> =
            jobs.iter().enumerate().filter(|(at, _)| *at != part).map(|(_, row)| row.clone()).collect();
        let head = train::with_jobs(text.clone(), &others);
        right += usize::from(jobs.get(part).is_some_and(|job| (head.score(&job.features) > 0.5) == job.hard));
    }
    println!("{} of {} labelled jobs are told rightly by the others", right, jobs.len());
    if !task.check {
        let path = folder.join("weights.tsv");
        fs::write(&path, weights(&train::with_jobs(text, &jobs))).at("write", &path)?;
        println!("wrote {}", path.display());
    }
    Ok(())
}

fn weights(head: &Head) -> String {
    format!("# Made by `cargo xtask route-train`: name, middle, spread, weight.\n{}", head.table())
}
