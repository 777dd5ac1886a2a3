//! `delegate`: gives a task to a child agent, which is a session of its own, and returns what it says at its end. Several
//! calls of one answer run side by side. What the child may do, and how its changes come back, is decided elsewhere.

use std::time::Duration;

use codetether_event::{LimitKind, Money, Outcome, ResponseFormat, Touches};
use codetether_schema::Validator;
use codetether_tool::{
    Args, BoxFuture, ChildEnd, ChildSpec, Tool, ToolContext, ToolError, ToolOutput, ToolSpec,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::spec;

/// How long a cancelled child may take: it has calls of its own to end, and a child of its own.
const GRACE: Duration = Duration::from_secs(20);
/// Bytes for what is said besides the answer.
const FOOTER: usize = 1_000;
/// Most bytes of a schema.
const SCHEMA_MAX: usize = 64 << 10;
/// More dollars than this are no limit.
const DOLLARS_MAX: f64 = 1_000_000.0;

#[derive(Deserialize, JsonSchema)]
struct DelegateArgs {
    /// The whole task: the child sees nothing else of this conversation
    prompt: String,
    /// `explore` (reads only) or `general`, the default, or another that is set up
    agent: Option<String>,
    /// Let it change files, in a copy of the folder; its changes come back when it ends
    writes: Option<bool>,
    /// JSON Schema, as JSON text, that its answer must fit
    output_schema: Option<String>,
    /// Most steps
    max_steps: Option<u32>,
    /// Most dollars
    max_cost: Option<f64>,
}

/// The tool `delegate`.
pub struct Delegate {
    spec: ToolSpec,
}

impl Default for Delegate {
    fn default() -> Self {
        let description = "Give a task to a child agent with a fresh context; returns its last answer. Calls in one answer run \
                           side by side.";
        Self { spec: spec::<DelegateArgs>("delegate", description) }
    }
}

impl Tool for Delegate {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    /// Nothing by itself: each call of the child is judged as its own, and so are the changes that it brings back.
    fn touches(&self, _: &Args) -> Touches {
        Touches::default()
    }

    fn preview<'a>(&'a self, args: &'a Args, _: &'a ToolContext) -> BoxFuture<'a, String> {
        Box::pin(async move {
            args.parse::<DelegateArgs>().map_or_else(|error| error.to_string(), |args| args.prompt)
        })
    }

    fn grace(&self) -> Duration {
        GRACE
    }

    fn call<'a>(&'a self, args: Args, cx: &'a ToolContext) -> BoxFuture<'a, Result<ToolOutput, ToolError>> {
        Box::pin(async move {
            let child = child(args.parse()?).map_err(ToolError::ForModel)?;
            let end = cx.host.spawn(child, cx).await?;
            Ok(told(&end, cx.limits.output))
        })
    }
}

fn child(args: DelegateArgs) -> Result<ChildSpec, String> {
    let DelegateArgs { prompt, agent, writes, output_schema, max_steps, max_cost } = args;
    if prompt.trim().is_empty() {
        return Err("`prompt` is empty: say what the child is to do".into());
    }
    if max_steps == Some(0) {
        return Err("`max_steps` is 0: a child takes at least one".into());
    }
    let format = match output_schema {
        None => ResponseFormat::Text,
        Some(text) => {
            if text.len() > SCHEMA_MAX {
                return Err(format!("`output_schema` has more than {SCHEMA_MAX} bytes: make it simpler"));
            }
            let wrong = |error: &dyn std::fmt::Display| format!("`output_schema` is no schema: {error}");
            let schema: Value = serde_json::from_str(&text).map_err(|error| wrong(&error))?;
            if !schema.is_object() {
                return Err(wrong(&"it is no object"));
            }
            Validator::new(&schema).map_err(|error| wrong(&error))?;
            ResponseFormat::Schema { name: "answer".into(), schema: Box::new(schema), strict: false }
        }
    };
    let max_cost = max_cost.map(dollars).transpose()?;
    Ok(ChildSpec { prompt, agent, writes: writes.unwrap_or(false), format, max_steps, max_cost })
}

fn dollars(amount: f64) -> Result<Money, String> {
    if !(amount > 0.0 && amount <= DOLLARS_MAX) {
        return Err(format!("`max_cost` is an amount in dollars, such as 0.25, not {amount}"));
    }
    #[expect(clippy::cast_possible_truncation, reason = "in range")]
    Ok(Money((amount * 1_000_000.0).round() as i64))
}

/// What the model is told: the answer, as far as it fits, and how the child ended where that was not by itself.
fn told(end: &ChildEnd, most: usize) -> ToolOutput {
    let ChildEnd { session, outcome, steps, text, notes } = end;
    let mut told = text.clone();
    let room = most.saturating_sub(FOOTER);
    let mut lines = Vec::new();
    if told.len() > room {
        told.truncate(told.floor_char_boundary(room));
        lines.push(format!("cut: its answer has {} bytes", text.len()));
    }
    match outcome {
        Outcome::Completed => {}
        Outcome::Interrupted => lines.push("the child was stopped".into()),
        Outcome::LimitReached { limit } => {
            let limit = match limit {
                LimitKind::Steps => "steps",
                LimitKind::Time => "time",
                LimitKind::NoProgress => "patience: it went in circles",
                LimitKind::Output => "output",
                LimitKind::Cost => "money",
            };
            lines.push(format!("the child came to its limit of {limit}"));
        }
        Outcome::ProviderFailed { failure } => lines.push(format!("the model failed: {}", failure.message)),
        Outcome::Misfit { problem } => lines.push(format!("its answer never fitted the schema: {problem}")),
        Outcome::Blocked { reason } => lines.push(format!("a hook held the child back: {reason}")),
        Outcome::CheckFailed { status } => lines.push(format!("the check of its work {status}")),
        Outcome::Failed { error } => lines.push(format!("the child failed: {error}")),
    }
    let failed = *outcome != Outcome::Completed;
    if failed {
        lines.push(format!("{steps} steps; session {session}"));
    }
    lines.extend(notes.iter().cloned());
    if told.trim().is_empty() {
        told = "[it said nothing]".into();
    }
    for line in lines {
        let line = line.get(..line.floor_char_boundary(FOOTER / 2)).unwrap_or_default().to_owned();
        told.push_str(&format!("\n[{line}]"));
    }
    ToolOutput { failed, ..ToolOutput::text(told) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(args: Value) -> Result<ChildSpec, String> {
        child(Args(args).parse().map_err(|error| error.to_string())?)
    }

    #[test]
    fn what_makes_no_child_is_said_before_one_is_started() {
        let spec = parsed(json!({"prompt": "find it", "max_cost": 0.25})).unwrap();
        assert_eq!(
            (spec.max_cost, spec.writes, spec.format),
            (Some(Money(250_000)), false, ResponseFormat::Text)
        );
        for (args, problem) in [
            (json!({"prompt": " "}), "`prompt` is empty"),
            (json!({"prompt": "x", "max_steps": 0}), "at least one"),
            (json!({"prompt": "x", "max_cost": -1.0}), "amount in dollars"),
            (json!({"prompt": "x", "output_schema": r#"{"type": 7}"#}), "no schema"),
            (json!({"prompt": "x", "output_schema": "[]"}), "it is no object"),
            (json!({"prompt": "x", "output_schema": "a number"}), "no schema"),
        ] {
            let error = parsed(args).unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn a_long_answer_is_cut_and_a_bad_end_is_told() {
        let end = |outcome, text: &str| ChildEnd {
            session: "00000000-0000-0000-0000-000000000007".parse().unwrap(),
            outcome,
            steps: 3,
            text: text.into(),
            notes: vec!["a note".into()],
        };
        let done = told(&end(Outcome::Completed, "found"), 30_000);
        assert_eq!((done.text.as_str(), done.failed), ("found\n[a note]", false));
        let long = told(&end(Outcome::Completed, &"é".repeat(5_000)), 3_000);
        assert!(long.text.len() < 3_000 && long.text.contains("cut: its answer has 10000 bytes"));
        let limit = told(&end(Outcome::LimitReached { limit: LimitKind::Steps }, ""), 30_000);
        assert!(
            limit.failed
                && limit.text.starts_with("[it said nothing]\n[the child came to its limit of steps]")
        );
    }
}
