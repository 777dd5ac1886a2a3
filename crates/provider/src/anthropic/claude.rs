//! What a model's name says of it, as far as requests must know: how it is told to think, and how much it may say. Pure.
//!
//! Source: Claude documentation, "Models overview", "Effort", "Extended thinking" and "Adaptive thinking".

use codetether_event::{Effort, Temperature};
use serde::Serialize;
use serde_json::Value;

use crate::SampleSpec;

/// Most tokens of an answer where nothing is set, by the first version that takes so many. The wire has no default.
const LIMITS: [((u32, u32), u32); 4] = [((4, 5), 64_000), ((3, 7), 32_000), ((3, 5), 8_192), ((0, 0), 4_096)];
/// The same, for models that are no Claude: not too much for a server with a small window.
const LIMIT_OF_OTHERS: u32 = 16_384;

/// The first version that decides for itself how much it thinks, and takes an effort.
const ADAPTIVE: (u32, u32) = (4, 6);
/// The first version that thinks, within a budget of tokens.
const BUDGETED: (u32, u32) = (3, 7);
/// The least budget there is.
const BUDGET_MIN: u32 = 1_024;

/// What holds for one sample.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Settings {
    max_tokens: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Thinking>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutputConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<Temperature>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<ToolChoice>,
}

/// Which tool must be called.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ToolChoice {
    Any,
    Tool { name: String },
}

/// What an answer is held to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Held {
    /// A schema.
    Schema(Value),
    /// The call of a tool: this one, or any.
    Call(Option<String>),
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Thinking {
    /// As much as the model likes, told in a summary: later models show nothing unless they are asked to.
    Adaptive {
        display: &'static str,
    },
    Enabled {
        budget_tokens: u32,
    },
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct OutputConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<OutputFormat>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum OutputFormat {
    JsonSchema { schema: Value },
}

impl Settings {
    /// With what answers are held to. A model that thinks cannot be made to call a tool; it is only told to.
    pub(super) fn held(mut self, held: Option<&Held>) -> Self {
        match held {
            None => {}
            Some(Held::Schema(schema)) => {
                let config = self.output_config.get_or_insert(OutputConfig { effort: None, format: None });
                config.format = Some(OutputFormat::JsonSchema { schema: schema.clone() });
            }
            Some(Held::Call(_)) if self.thinking.is_some() => {}
            Some(Held::Call(name)) => {
                let name = name.clone();
                self.tool_choice = Some(name.map_or(ToolChoice::Any, |name| ToolChoice::Tool { name }));
            }
        }
        self
    }
}

/// The first version that holds its answers to a schema.
const SCHEMAS: (u32, u32) = (4, 5);

/// Whether the model holds its answers to a schema.
pub(super) fn takes_schemas(model: &str) -> bool {
    version(model).is_some_and(|version| version >= SCHEMAS)
}

/// Whether the model takes strict tools, where the settings want them: one of Anthropic's does that holds its answers to
/// a schema. Of others, which are behind compatible servers, nothing is known here that the settings do not know.
pub(super) fn takes_strict_tools(model: &str) -> bool {
    version(model).is_none_or(|version| version >= SCHEMAS)
}

/// Whether the model goes on from the beginning of an answer: one before 4.6 does, unless it thinks.
pub(super) fn goes_on(model: &str, spec: &SampleSpec) -> bool {
    let older = version(model).is_some_and(|version| version < ADAPTIVE);
    older && settings(model, spec).is_ok_and(|settings| settings.thinking.is_none())
}

/// Maps what is asked for to what the model takes. Where no effort is asked for, nothing is said of thinking: that is
/// the model's own default.
///
/// - Claude 4.6 and later: `output_config.effort` and adaptive thinking; with `minimal` the least effort, and no
///   thinking where the model leaves the choice.
/// - Claude 3.7 to 4.5: a budget of thinking tokens, at most half of the output limit; with `minimal` none.
/// - Earlier ones do not think, which is an error.
/// - Any other model: `output_config.effort` alone, for the server to judge.
pub(super) fn settings(model: &str, spec: &SampleSpec) -> Result<Settings, String> {
    let version = version(model);
    let max_tokens = spec.max_output.unwrap_or_else(|| limit(version));
    let temperature = spec.temperature;
    let mut settings =
        Settings { max_tokens, thinking: None, output_config: None, temperature, tool_choice: None };
    let Some(effort) = spec.effort else { return Ok(settings) };
    let thinks = effort != Effort::Minimal;
    match version {
        Some(version) if version < BUDGETED => {
            return Err(format!("`{model}` does not think, so it takes no `effort`: leave it out"));
        }
        Some(version) if version < ADAPTIVE => {
            let budget = budget(effort).min(max_tokens / 2);
            if thinks && budget < BUDGET_MIN {
                let least = BUDGET_MIN.saturating_mul(2);
                return Err(format!(
                    "an output limit of {max_tokens} leaves `{model}` no room to think: raise `max_output` to {least} \
                     or leave `effort` out"
                ));
            }
            settings.thinking = thinks.then_some(Thinking::Enabled { budget_tokens: budget });
        }
        version => {
            let adaptive = version.is_some() && thinks;
            settings.thinking = adaptive.then_some(Thinking::Adaptive { display: "summarized" });
            settings.output_config = Some(OutputConfig { effort: Some(level(effort)), format: None });
        }
    }
    if settings.thinking.is_some() && temperature.is_some() {
        return Err(format!(
            "`{model}` thinks at this `effort`, so it takes no `temperature`: leave one of them out"
        ));
    }
    Ok(settings)
}

fn level(effort: Effort) -> &'static str {
    match effort {
        Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
    }
}

fn budget(effort: Effort) -> u32 {
    match effort {
        Effort::Minimal => 0,
        Effort::Low => 4_096,
        Effort::Medium => 10_240,
        Effort::High => 24_576,
    }
}

fn limit(version: Option<(u32, u32)>) -> u32 {
    let Some(version) = version else { return LIMIT_OF_OTHERS };
    LIMITS.iter().find(|(first, _)| version >= *first).map_or(LIMIT_OF_OTHERS, |(_, limit)| *limit)
}

/// The version of a Claude, whichever way vendors write its name; nothing for other models, and where none is named.
fn version(model: &str) -> Option<(u32, u32)> {
    let model = model.to_ascii_lowercase();
    let (_, name) = model.split_once("claude")?;
    // Numbers of more digits are dates.
    let number = |word: &str| word.parse::<u32>().ok().filter(|_| word.len() <= 2);
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
    let major = words.by_ref().find_map(number)?;
    Some((major, words.next().and_then(number).unwrap_or(0)))
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
            ("claude-opus-5-5", Some((5, 5))),
            ("claude-fable-5", Some((5, 0))),
            ("claude-sonnet-4-5-20250929", Some((4, 5))),
            ("claude-opus-4-20250514", Some((4, 0))),
            ("claude-3-5-haiku-latest", Some((3, 5))),
            ("claude-3-opus-20240229", Some((3, 0))),
            ("anthropic.claude-opus-4-1-20250805-v1:0", Some((4, 1))),
            ("anthropic/Claude-Sonnet-4.6", Some((4, 6))),
            ("claude-opus-4@20250514", Some((4, 0))),
            ("claude-mythos-preview", None),
            ("glm-4.6", None),
            ("", None),
        ] {
            assert_eq!(version(name), wanted, "{name}");
        }
    }

    #[test]
    fn an_answer_may_be_as_long_as_its_model_takes() {
        for (name, limit) in [
            ("claude-opus-5", 64_000),
            ("claude-haiku-4-5", 64_000),
            ("claude-opus-4-1", 32_000),
            ("claude-3-7-sonnet", 32_000),
            ("claude-3-5-sonnet", 8_192),
            ("claude-3-haiku", 4_096),
            ("minimax-m2", 16_384),
        ] {
            assert_eq!(asked(name, None, None), Ok(json!({"max_tokens": limit})), "{name}");
        }
        assert_eq!(asked("claude-opus-5", None, Some(7)), Ok(json!({"max_tokens": 7})));
    }

    #[test]
    fn effort_becomes_what_the_model_takes() {
        let adaptive = json!({"type": "adaptive", "display": "summarized"});
        for (name, effort, thinking, level) in [
            ("claude-opus-4-6", Effort::High, Some(&adaptive), "high"),
            ("claude-sonnet-5", Effort::Low, Some(&adaptive), "low"),
            ("claude-sonnet-5", Effort::Minimal, None, "low"),
            ("kimi-k3", Effort::Medium, None, "medium"),
        ] {
            let mut wanted = json!({"max_tokens": 9});
            if let Some(thinking) = thinking {
                wanted["thinking"] = thinking.clone();
            }
            wanted["output_config"] = json!({"effort": level});
            assert_eq!(asked(name, Some(effort), Some(9)), Ok(wanted), "{name} {effort:?}");
        }
        for (effort, limit, budget) in [
            (Effort::Low, 32_000, 4_096),
            (Effort::Medium, 32_000, 10_240),
            (Effort::High, 64_000, 24_576),
            (Effort::High, 2_048, 1_024),
        ] {
            let thinking = json!({"type": "enabled", "budget_tokens": budget});
            let wanted = json!({"max_tokens": limit, "thinking": thinking});
            assert_eq!(asked("claude-haiku-4-5", Some(effort), Some(limit)), Ok(wanted));
        }
        assert_eq!(
            asked("claude-opus-4-1", Some(Effort::Minimal), Some(9)),
            Ok(json!({"max_tokens": 9})),
            "it does not think unless it is told to"
        );
    }

    #[test]
    fn an_effort_that_is_not_to_be_had_is_refused_with_the_reason() {
        let problem = |model, max_output| asked(model, Some(Effort::High), max_output).unwrap_err();
        assert_eq!(
            problem("claude-3-5-haiku-latest", None),
            "`claude-3-5-haiku-latest` does not think, so it takes no `effort`: leave it out"
        );
        assert_eq!(
            problem("claude-sonnet-4-5", Some(2_047)),
            "an output limit of 2047 leaves `claude-sonnet-4-5` no room to think: raise `max_output` to 2048 or \
             leave `effort` out"
        );
    }
}
