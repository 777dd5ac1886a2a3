//! Tokens as the servers of this wire report them: with every event, each report in place of the one before, but for
//! what it leaves out. What makes no sense counts as not reported.

use codetether_event::Usage;
use serde::Deserialize;
use serde_json::Value;

use crate::usage::count;

/// What has been reported.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    prompt: u64,
    tools: u64,
    cached: u64,
    said: u64,
    thought: u64,
}

impl Counts {
    /// Takes in a `usageMetadata` object.
    pub(super) fn take(&mut self, json: &str) {
        let Ok(told) = serde_json::from_str::<Told>(json) else { return };
        for (own, told) in [
            (&mut self.prompt, &told.prompt_token_count),
            (&mut self.tools, &told.tool_use_prompt_token_count),
            (&mut self.cached, &told.cached_content_token_count),
            (&mut self.said, &told.candidates_token_count),
            (&mut self.thought, &told.thoughts_token_count),
        ] {
            if told.is_some() {
                *own = count(told.as_ref());
            }
        }
    }

    /// What it comes to, if an answer of about so many tokens has come, which is whole or not.
    pub(super) fn usage(&self, said: u64, whole: bool) -> Option<Usage> {
        let input = self.prompt.saturating_add(self.tools);
        let told = self.said.saturating_add(self.thought);
        if input == 0 && told == 0 {
            return None;
        }
        Some(Usage {
            input,
            output: if whole { told } else { told.max(said) },
            cache_read: self.cached.min(input),
            cache_write: 0,
            reasoning: self.thought,
            estimated: !whole,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    prompt_token_count: Option<Value>,
    tool_use_prompt_token_count: Option<Value>,
    cached_content_token_count: Option<Value>,
    candidates_token_count: Option<Value>,
    thoughts_token_count: Option<Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thoughts_are_part_of_the_output_and_results_of_tools_of_the_input() {
        let mut counts = Counts::default();
        counts.take(r#"{"promptTokenCount":90,"thoughtsTokenCount":4,"totalTokenCount":94}"#);
        let begun = Usage { input: 90, output: 9, reasoning: 4, estimated: true, ..Usage::default() };
        assert_eq!(counts.usage(9, false), Some(begun));
        counts.take(
            r#"{"promptTokenCount":90,"cachedContentTokenCount":64,"toolUsePromptTokenCount":10,
                "candidatesTokenCount":20,"thoughtsTokenCount":30}"#,
        );
        let whole = Usage { input: 100, output: 50, cache_read: 64, reasoning: 30, ..Usage::default() };
        assert_eq!(counts.usage(9, true), Some(whole));
    }

    #[test]
    fn what_makes_no_sense_counts_as_not_reported() {
        for json in ["null", "7", "{}", r#"{"promptTokenCount":-3,"candidatesTokenCount":"many"}"#, "[]"] {
            let mut counts = Counts::default();
            counts.take(json);
            assert_eq!(counts.usage(9, true), None, "{json}");
        }
    }
}
