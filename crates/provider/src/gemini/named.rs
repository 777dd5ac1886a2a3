//! What a model's name says of it, as far as requests must know: its version, and how it is told to think. Pure.
//!
//! Source: Gemini API documentation, "Thinking" and "OpenAI compatibility" (its table of efforts).

use codetether_event::{Effort, Temperature};
use serde::Serialize;
use serde_json::Value;

use crate::SampleSpec;

/// The first version that thinks, within a budget of tokens.
const BUDGETED: (u32, u32) = (2, 5);
/// The first version that is told a level, and wants its signatures back.
const LEVELLED: (u32, u32) = (3, 0);
/// The least budget of models that always think.
const BUDGET_MIN: u32 = 128;

/// What holds for one sample.
#[derive(Debug, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Settings {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_config: Option<Thinking>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<Temperature>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_json_schema: Option<Value>,
}

impl Settings {
    /// With the form that answers must have.
    pub(super) fn with_form(self, format: Option<&Format>) -> Self {
        match format {
            None => self,
            Some(Format { schema }) => Self {
                response_mime_type: Some("application/json"),
                response_json_schema: schema.clone(),
                ..self
            },
        }
    }
}

/// A form that answers are held to: JSON, or a schema besides.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Format {
    pub(super) schema: Option<Value>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Thinking {
    include_thoughts: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_level: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_budget: Option<u32>,
}

/// Maps what is asked for to what the model takes. Models that think are always asked to show it.
///
/// - Gemini 3 and later: a level; those called `pro` know no `minimal`, and the first of them no `medium`.
/// - Gemini 2.5: a budget of tokens, at most half of the output limit; with `minimal` none, or as few as there can be.
/// - Earlier ones do not think, which is an error.
/// - Any other model: a level, for the server to judge.
pub(super) fn settings(model: &str, spec: &SampleSpec) -> Result<Settings, String> {
    let version = version(model);
    let pro = model.to_ascii_lowercase().contains("pro");
    let thinking_config = match (version, spec.effort) {
        (Some(version), Some(_)) if version < BUDGETED => {
            return Err(format!("`{model}` does not think, so it takes no `effort`: leave it out"));
        }
        (Some(version), None) if version >= BUDGETED && !makes_media(model) => {
            Some(Thinking { include_thoughts: true, thinking_level: None, thinking_budget: None })
        }
        (_, None) => None,
        (Some(version), Some(effort)) if version < LEVELLED => {
            let half = spec.max_output.map_or(u32::MAX, |limit| limit / 2);
            let budget = match budget(effort).min(half) {
                budget if pro => budget.max(BUDGET_MIN),
                budget => budget,
            };
            let include_thoughts = budget > 0;
            Some(Thinking { include_thoughts, thinking_level: None, thinking_budget: Some(budget) })
        }
        (version, Some(effort)) => {
            let level = match effort {
                Effort::Minimal if !pro => "minimal",
                Effort::Minimal | Effort::Low => "low",
                Effort::Medium if !(pro && version == Some(LEVELLED)) => "medium",
                Effort::Medium | Effort::High => "high",
            };
            Some(Thinking { include_thoughts: true, thinking_level: Some(level), thinking_budget: None })
        }
    };
    Ok(Settings {
        max_output_tokens: spec.max_output,
        thinking_config,
        temperature: spec.temperature,
        ..Settings::default()
    })
}

/// Whether the model refuses calls of a step that come back without a signature, and takes sights inside results.
pub(super) fn is_third(model: &str) -> bool {
    version(model).is_some_and(|version| version >= LEVELLED)
}

fn makes_media(model: &str) -> bool {
    ["image", "tts", "audio"].iter().any(|word| model.contains(word))
}

fn budget(effort: Effort) -> u32 {
    match effort {
        Effort::Minimal => 0,
        Effort::Low => 1_024,
        Effort::Medium => 8_192,
        Effort::High => 24_576,
    }
}

/// The version of a Gemini, however its name is written; nothing for other models, and where none is named.
fn version(model: &str) -> Option<(u32, u32)> {
    let model = model.to_ascii_lowercase();
    let (_, name) = model.split_once("gemini-")?;
    let mut numbers = name.split('-').next()?.splitn(2, '.');
    let major = numbers.next()?.parse().ok()?;
    Some((major, numbers.next().and_then(|minor| minor.parse().ok()).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn asked(model: &str, effort: Option<Effort>, max_output: Option<u32>) -> Result<Value, String> {
        settings(model, &SampleSpec { effort, max_output, ..SampleSpec::default() })
            .map(|settings| serde_json::to_value(settings).unwrap())
    }

    #[test]
    fn versions_are_read_however_they_are_written() {
        for (name, wanted) in [
            ("gemini-3-pro-preview", Some((3, 0))),
            ("models/gemini-3.1-flash-lite", Some((3, 1))),
            ("google/Gemini-2.5-flash", Some((2, 5))),
            ("gemini-1.5-pro-002", Some((1, 5))),
            ("gemini-flash-latest", None),
            ("gemma-3-27b-it", None),
            ("gemini-99999999999-x", None),
        ] {
            assert_eq!(version(name), wanted, "{name}");
        }
    }

    #[test]
    fn an_effort_is_a_level_or_a_budget_as_the_model_takes_it() {
        let level = |model, effort| asked(model, Some(effort), None).unwrap()["thinkingConfig"].take();
        let leveled = |level| json!({"includeThoughts": true, "thinkingLevel": level});
        let budgeted = |budget| json!({"includeThoughts": budget > 0, "thinkingBudget": budget});
        for (model, effort, wanted) in [
            ("gemini-3-flash", Effort::Minimal, leveled("minimal")),
            ("gemini-3-pro-preview", Effort::Minimal, leveled("low")),
            ("gemini-3-pro-preview", Effort::Medium, leveled("high")),
            ("gemini-3.1-pro", Effort::Medium, leveled("medium")),
            ("gemini-flash-latest", Effort::High, leveled("high")),
            ("gemini-2.5-flash", Effort::Minimal, budgeted(0)),
            ("gemini-2.5-pro", Effort::Minimal, budgeted(128)),
            ("gemini-2.5-pro", Effort::Low, budgeted(1_024)),
            ("gemini-2.5-flash-lite", Effort::High, budgeted(24_576)),
        ] {
            assert_eq!(level(model, effort), wanted, "{model} {effort:?}");
        }
        assert_eq!(
            asked("gemini-2.5-flash", Some(Effort::High), Some(2_000)).unwrap(),
            json!({"maxOutputTokens": 2_000, "thinkingConfig": budgeted(1_000)})
        );
        let text = asked("gemini-2.0-flash", Some(Effort::Low), None).unwrap_err();
        assert_eq!(text, "`gemini-2.0-flash` does not think, so it takes no `effort`: leave it out");
    }

    #[test]
    fn models_that_think_are_asked_to_show_it_and_others_nothing() {
        let shown = json!({"thinkingConfig": {"includeThoughts": true}});
        for (model, wanted) in [
            ("gemini-3-pro", shown.clone()),
            ("gemini-2.5-flash", shown),
            ("gemini-2.5-flash-image", json!({})),
            ("gemini-2.0-flash", json!({})),
            ("m-1", json!({})),
        ] {
            assert_eq!(asked(model, None, None).unwrap(), wanted, "{model}");
        }
    }
}
