//! Tokens as the servers of this wire report them: what is known of the prompt at the beginning, the whole at the end.
//! Each report replaces the one before, but for what it leaves out. What makes no sense counts as not reported.

use codetether_event::Usage;
use serde::Deserialize;
use serde_json::Value;

use crate::usage::count;

/// What has been reported.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    /// Those of the prompt that a cache neither gave nor took.
    input: u64,
    cache_read: u64,
    cache_write: u64,
    output: u64,
    reasoning: u64,
    reported: bool,
    /// The output is all there is.
    settled: bool,
}

impl Counts {
    /// Takes in a `usage` object of an answer that has only begun.
    pub(super) fn begin(&mut self, json: &str) {
        self.take(json);
    }

    /// Takes in the `usage` object of an answer that is whole.
    pub(super) fn settle(&mut self, json: &str) {
        self.settled |= self.take(json);
    }

    /// What it comes to, if an answer of about so many tokens has come.
    pub(super) fn usage(&self, said: u64) -> Option<Usage> {
        if !self.reported {
            return None;
        }
        let input = self.input.saturating_add(self.cache_read).saturating_add(self.cache_write);
        let output = if self.settled { self.output } else { self.output.max(said) };
        Some(Usage {
            input,
            output,
            cache_read: self.cache_read,
            cache_write: self.cache_write,
            reasoning: self.reasoning.min(output),
            estimated: !self.settled,
        })
    }

    /// Gives whether it told the output.
    fn take(&mut self, json: &str) -> bool {
        let Ok(told) = serde_json::from_str::<Told>(json) else { return false };
        let thinking = told.output_tokens_details.and_then(|details| details.thinking_tokens);
        for (own, told) in [
            (&mut self.input, &told.input_tokens),
            (&mut self.cache_read, &told.cache_read_input_tokens),
            (&mut self.cache_write, &told.cache_creation_input_tokens),
            (&mut self.output, &told.output_tokens),
            (&mut self.reasoning, &thinking),
        ] {
            if told.is_some() {
                *own = count(told.as_ref());
            }
        }
        self.reported |= self.input > 0 || self.cache_read > 0 || self.cache_write > 0 || self.output > 0;
        self.reported && told.output_tokens.is_some()
    }
}

#[derive(Deserialize)]
struct Told {
    input_tokens: Option<Value>,
    cache_read_input_tokens: Option<Value>,
    cache_creation_input_tokens: Option<Value>,
    output_tokens: Option<Value>,
    output_tokens_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    thinking_tokens: Option<Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prompt_is_all_of_it_whatever_the_cache_did() {
        let mut counts = Counts::default();
        counts.begin(
            r#"{"input_tokens":5,"cache_read_input_tokens":100,"cache_creation_input_tokens":20,"output_tokens":1}"#,
        );
        let begun = Usage {
            input: 125,
            output: 3,
            cache_read: 100,
            cache_write: 20,
            estimated: true,
            ..Usage::default()
        };
        assert_eq!(counts.usage(3), Some(begun));
        counts.settle(r#"{"output_tokens":40,"output_tokens_details":{"thinking_tokens":30}}"#);
        assert_eq!(
            counts.usage(3),
            Some(Usage { output: 40, reasoning: 30, estimated: false, ..begun }),
            "what the end leaves out stays as the beginning told it"
        );
        counts.settle(r#"{"input_tokens":7,"cache_read_input_tokens":0,"output_tokens":41}"#);
        assert_eq!(counts.usage(0).map(|usage| (usage.input, usage.output)), Some((27, 41)));
    }

    #[test]
    fn what_makes_no_sense_counts_as_not_reported() {
        for json in ["null", "7", "{}", r#"{"input_tokens":-3,"output_tokens":"many"}"#, "[]"] {
            let mut counts = Counts::default();
            counts.begin(json);
            counts.settle(json);
            assert_eq!(counts.usage(9), None, "{json}");
        }
    }
}
