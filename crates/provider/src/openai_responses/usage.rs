//! Tokens as the servers of this wire report them. What makes no sense counts as not reported.

use codetether_event::Usage;
use serde::Deserialize;
use serde_json::Value;

use crate::usage::openai;

/// Reads the `usage` object; nothing when it is null, of another form or all zero.
pub(super) fn read(json: &str) -> Option<Usage> {
    let reported: Reported = serde_json::from_str(json).ok()?;
    let input = reported.input_tokens_details.unwrap_or_default();
    let output = reported.output_tokens_details.unwrap_or_default();
    openai([
        reported.input_tokens.as_ref(),
        input.cached_tokens.as_ref(),
        input.cache_write_tokens.as_ref(),
        reported.output_tokens.as_ref(),
        output.reasoning_tokens.as_ref(),
    ])
}

#[derive(Deserialize)]
struct Reported {
    input_tokens: Option<Value>,
    output_tokens: Option<Value>,
    input_tokens_details: Option<Input>,
    output_tokens_details: Option<Output>,
}

#[derive(Deserialize, Default)]
struct Input {
    cached_tokens: Option<Value>,
    cache_write_tokens: Option<Value>,
}

#[derive(Deserialize, Default)]
struct Output {
    reasoning_tokens: Option<Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_read_with_its_details() {
        let json = r#"{"input_tokens":10,"output_tokens":5,"total_tokens":15,
            "input_tokens_details":{"cached_tokens":8},"output_tokens_details":{"reasoning_tokens":9}}"#;
        let usage = Usage { input: 10, output: 5, cache_read: 8, reasoning: 5, ..Usage::default() };
        assert_eq!(read(json), Some(usage));
    }

    #[test]
    fn what_makes_no_sense_counts_as_not_reported() {
        for json in ["null", "7", "{}", r#"{"input_tokens":-3,"output_tokens":"many"}"#, "[]"] {
            assert_eq!(read(json), None, "{json}");
        }
    }
}
