//! `question`: the user is asked, with options to choose from. The call never runs: the session asks, and the answer is the
//! call's result.

use std::collections::HashSet;

use codetether_event::{Choice, Question as Asked, Touches};
use codetether_tool::{Args, BoxFuture, Tool, ToolContext, ToolError, ToolOutput, ToolSpec};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::spec;

/// How many options there can be.
const OPTIONS: std::ops::RangeInclusive<usize> = 2..=6;
/// Most characters of the question, of an option's label, and of its description.
const QUESTION: usize = 2_000;
const LABEL: usize = 100;
const DESCRIPTION: usize = 500;

#[derive(Deserialize, JsonSchema)]
struct QuestionArgs {
    question: String,
    /// 2 to 6
    options: Vec<OptionArgs>,
    /// More than one may be chosen
    several: Option<bool>,
}

#[derive(Deserialize, JsonSchema)]
struct OptionArgs {
    label: String,
    description: Option<String>,
}

/// The tool `question`.
pub struct Question {
    spec: ToolSpec,
}

impl Default for Question {
    fn default() -> Self {
        let description = "Ask the user, who chooses or answers in words. Only what you cannot find out.";
        Self { spec: spec::<QuestionArgs>("question", description) }
    }
}

impl Tool for Question {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn touches(&self, _: &Args) -> Touches {
        Touches::default()
    }

    fn asks(&self, args: &Args) -> Result<Option<Asked>, String> {
        let QuestionArgs { question, options, several } = args.parse().map_err(|error| error.to_string())?;
        text("the question", &question, QUESTION)?;
        if !OPTIONS.contains(&options.len()) {
            return Err(format!("there are {} options, and there must be 2 to 6", options.len()));
        }
        let mut seen = HashSet::new();
        for OptionArgs { label, description } in &options {
            text("a label", label, LABEL)?;
            if label.contains('\n') {
                return Err("a label is more than one line".to_owned());
            }
            if !seen.insert(label.trim().to_lowercase()) {
                return Err(format!("two options have the label `{}`", label.trim()));
            }
            let long = description.as_ref().is_some_and(|text| text.chars().count() > DESCRIPTION);
            if long {
                return Err(format!("a description has more than {DESCRIPTION} characters"));
            }
        }
        let options = options.into_iter().map(|OptionArgs { label, description }| Choice {
            label: label.trim().to_owned(),
            description: description.unwrap_or_default().trim().to_owned(),
        });
        Ok(Some(Asked {
            question: question.trim().to_owned(),
            options: options.collect(),
            several: several.unwrap_or(false),
        }))
    }

    fn preview<'a>(&'a self, args: &'a Args, _: &'a ToolContext) -> BoxFuture<'a, String> {
        Box::pin(async move {
            args.parse::<QuestionArgs>().map_or_else(|error| error.to_string(), |args| args.question)
        })
    }

    fn call<'a>(&'a self, _: Args, _: &'a ToolContext) -> BoxFuture<'a, Result<ToolOutput, ToolError>> {
        // Whoever runs it does not ask.
        Box::pin(async move { Err(ToolError::ForModel("the user cannot be asked here".to_owned())) })
    }
}

/// An error when a text is empty or too long.
fn text(what: &str, text: &str, most: usize) -> Result<(), String> {
    match text.trim().chars().count() {
        0 => Err(format!("{what} is empty")),
        n if n > most => Err(format!("{what} has {n} characters, and there can be {most}")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(options: &serde_json::Value) -> Result<Option<Asked>, String> {
        Question::default().asks(&Args(json!({ "question": "which?", "options": options })))
    }

    #[test]
    fn a_question_has_two_to_six_options_of_different_names() {
        let good = asked(&json!([{ "label": " a ", "description": "first" }, { "label": "b" }]));
        let option =
            |label: &str, description: &str| Choice { label: label.into(), description: description.into() };
        let wanted = Asked {
            question: "which?".into(),
            options: vec![option("a", "first"), option("b", "")],
            several: false,
        };
        assert_eq!(good, Ok(Some(wanted)));
        let seven: Vec<_> = (0..7).map(|n| json!({ "label": n.to_string() })).collect();
        for (options, problem) in [
            (json!([{ "label": "a" }]), "there are 1 options, and there must be 2 to 6"),
            (json!(seven), "there are 7 options, and there must be 2 to 6"),
            (json!([{ "label": "a" }, { "label": "A " }]), "two options have the label `A`"),
            (json!([{ "label": "a" }, { "label": " " }]), "a label is empty"),
            (json!([{ "label": "a" }, { "label": "b\nc" }]), "a label is more than one line"),
            (
                json!([{ "label": "a" }, { "label": "x".repeat(101) }]),
                "a label has 101 characters, and there can be 100",
            ),
        ] {
            assert_eq!(asked(&options), Err(problem.to_owned()));
        }
    }
}
