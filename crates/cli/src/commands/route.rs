//! `codetether route …`: which size of model a prompt would be for and why, and what became of those that were routed.
//! Calls no model.

mod report;

use clap::{ArgGroup, Args, Subcommand};
use codetether_route::{Decision, Head, Job, Kind, NAMES, Needs, Tier, decide};
use serde_json::{Map, Value, json};

use crate::exit::{Exit, Failure};
use crate::{lines, printer};

/// Most bytes of a line with a prompt.
const LINE_MAX: usize = 16 << 20;

#[derive(Debug, Subcommand)]
pub(crate) enum RouteCommand {
    /// Say whether a small model should be enough for a prompt, and what that is read off.
    ///
    /// The score is the probability that it is not, from 0 to 1: a small logistic head over counts of the text. Nothing
    /// is sent anywhere.
    Explain(ExplainArgs),
    /// Say what was routed where, what came of it, and what it cost.
    Report(report::ReportArgs),
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("input").args(["prompt", "stdin"]).required(true)))]
pub(crate) struct ExplainArgs {
    /// The prompt.
    prompt: Option<String>,

    /// As JSON: `{class, tier, rule, score, features}`.
    #[arg(long, conflicts_with = "stdin")]
    json: bool,

    /// Read lines of `{id, prompt}` from standard input, and answer each with a line of
    /// `{id, class, tier, rule, score, features}`, or of `{id, error}` where a line is no such thing; the exit code is 1 then.
    #[arg(long)]
    stdin: bool,
}

pub(crate) fn run(command: RouteCommand) -> Result<Exit, Failure> {
    let args = match command {
        RouteCommand::Explain(args) => args,
        RouteCommand::Report(args) => return report::run(&args),
    };
    let head = Head::shipped().map_err(|error| Failure::new(Exit::Failed, format!("the router: {error}")))?;
    let Some(prompt) = &args.prompt else {
        return lines::answered(LINE_MAX, |question| answer(&head, question));
    };
    if prompt.trim().is_empty() {
        return Err(Failure::with_help(
            Exit::Usage,
            "the prompt is empty",
            "say what is to be done, as in `codetether route explain \"rename a to b\"`",
        ));
    }
    if args.json {
        printer::out(&format!("{}\n", explained(&head, prompt)))?;
    } else {
        printer::out(&shown(&head, prompt))?;
    }
    Ok(Exit::Done)
}

fn answer(head: &Head, question: &Value) -> Value {
    let id = question.get("id").unwrap_or(&Value::Null);
    let Some(prompt) = question.get("prompt").and_then(Value::as_str) else {
        return json!({ "id": id, "error": "the line is no object with a text `prompt`" });
    };
    let mut answer = explained(head, prompt);
    if let Value::Object(answer) = &mut answer {
        answer.insert("id".into(), id.clone());
    }
    answer
}

fn decided(head: &Head, job: &Job<'_>) -> Decision {
    decide(head, Kind::Prompt, job, &job.features(), Needs::default())
}

fn explained(head: &Head, prompt: &str) -> Value {
    let job = Job { prompt, ..Job::default() };
    let Decision { class, tier, rule, score } = decided(head, &job);
    let features: Map<String, Value> =
        NAMES.iter().zip(job.features()).map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    json!({ "class": class, "tier": tier, "rule": rule, "score": score, "features": features })
}

/// The features that moved the score most.
const SHOWN: usize = 6;

fn shown(head: &Head, prompt: &str) -> String {
    let job = Job { prompt, ..Job::default() };
    let decision = decided(head, &job);
    let enough = match decision.tier {
        Tier::Small => "a small model should be enough",
        Tier::Main | Tier::Heavy => "a small model may not be enough",
    };
    let class = json!(decision.class).as_str().unwrap_or_default().to_owned();
    let mut text = format!("{enough} (score {:.2})\n  class  {class}\n", decision.score);
    let features = job.features();
    let mut moved: Vec<(f64, &str, f64)> = head
        .weights
        .iter()
        .zip(features)
        .zip(NAMES)
        .map(|(((middle, spread, weight), value), name)| ((value - middle) / spread * weight, name, value))
        .collect();
    moved.sort_by(|a, b| b.0.abs().total_cmp(&a.0.abs()));
    for (by, name, value) in moved.iter().take(SHOWN).filter(|(by, ..)| by.abs() >= 0.01) {
        text.push_str(&format!("  {by:+.2}  {name} {value:.2}\n"));
    }
    text
}
