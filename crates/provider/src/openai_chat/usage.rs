//! Tokens as the servers of this wire report them. What makes no sense counts as not reported.

use codetether_event::{Money, Usage};
use serde::Deserialize;
use serde_json::Value;

use crate::usage::openai;

/// Reads the `usage` object; nothing when it is null, of another form or all zero.
pub(super) fn read(json: &str) -> Option<Usage> {
    let reported: Reported = serde_json::from_str(json).ok()?;
    let prompt = reported.prompt_tokens_details.unwrap_or_default();
    let completion = reported.completion_tokens_details.unwrap_or_default();
    let cached = prompt.cached_tokens.as_ref().or(reported.prompt_cache_hit_tokens.as_ref());
    openai([
        reported.prompt_tokens.as_ref(),
        cached,
        prompt.cache_write_tokens.as_ref(),
        reported.completion_tokens.as_ref(),
        completion.reasoning_tokens.as_ref(),
    ])
}

/// What OpenRouter says that an answer costs, in dollars; where the key of an upstream vendor is the user's own, with what
/// that vendor bills beside it (OpenRouter API reference, "Usage accounting").
pub(super) fn cost(json: &str) -> Option<Money> {
    #[derive(Deserialize)]
    struct Told {
        cost: Option<f64>,
        #[serde(default)]
        is_byok: bool,
        cost_details: Option<Details>,
    }
    #[derive(Deserialize)]
    struct Details {
        upstream_inference_cost: Option<f64>,
    }
    let told: Told = serde_json::from_str(json).ok()?;
    let upstream =
        told.cost_details.filter(|_| told.is_byok).and_then(|details| details.upstream_inference_cost);
    let micros = ((told.cost? + upstream.unwrap_or(0.0)) * 1e6).round();
    // More than any answer costs is a slip, as a negative amount is.
    #[expect(clippy::cast_possible_truncation, reason = "it is in range")]
    (0.0..1e12).contains(&micros).then_some(Money(micros as i64))
}

#[derive(Deserialize)]
struct Reported {
    prompt_tokens: Option<Value>,
    completion_tokens: Option<Value>,
    prompt_tokens_details: Option<Prompt>,
    completion_tokens_details: Option<Completion>,
    /// DeepSeek's word.
    prompt_cache_hit_tokens: Option<Value>,
}

#[derive(Deserialize, Default)]
struct Prompt {
    cached_tokens: Option<Value>,
    /// OpenRouter's word.
    cache_write_tokens: Option<Value>,
}

#[derive(Deserialize, Default)]
struct Completion {
    reasoning_tokens: Option<Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_read_with_its_details() {
        let json = r#"{"prompt_tokens":10,"completion_tokens":5.0,"total_tokens":15,
            "prompt_tokens_details":{"cached_tokens":8},"completion_tokens_details":{"reasoning_tokens":3}}"#;
        let usage = Usage { input: 10, output: 5, cache_read: 8, reasoning: 3, ..Usage::default() };
        assert_eq!(read(json), Some(usage));
        let json = r#"{"prompt_tokens":10,"completion_tokens":1,"prompt_cache_hit_tokens":99,"prompt_tokens_details":null}"#;
        assert_eq!(read(json), Some(Usage { input: 10, output: 1, cache_read: 10, ..Usage::default() }));
    }

    #[test]
    fn a_cost_is_what_is_billed_in_all() {
        for (json, wanted) in [
            (r#"{"cost":0.00123449}"#, Some(1_234)),
            (r#"{"cost":0}"#, Some(0)),
            (r#"{"cost":0.01,"is_byok":false,"cost_details":{"upstream_inference_cost":0.2}}"#, Some(10_000)),
            (r#"{"cost":0.01,"is_byok":true,"cost_details":{"upstream_inference_cost":0.2}}"#, Some(210_000)),
            (r#"{"cost":0.01,"is_byok":true,"cost_details":null}"#, Some(10_000)),
            (r#"{"cost":null}"#, None),
            (r#"{"cost":-1}"#, None),
            (r#"{"cost":"0.1"}"#, None),
            (r#"{"cost":1e300}"#, None),
            ("{}", None),
        ] {
            assert_eq!(cost(json), wanted.map(Money), "{json}");
        }
    }

    #[test]
    fn what_makes_no_sense_counts_as_not_reported() {
        for json in ["null", "7", "{}", r#"{"prompt_tokens":-3,"completion_tokens":"many"}"#, "[]"] {
            assert_eq!(read(json), None, "{json}");
        }
    }
}
