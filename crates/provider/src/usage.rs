//! Tokens as servers report them, and what is estimated where they do not.

use codetether_event::Usage;
use serde_json::{Number, Value};

/// What an answer has cost: as reported, or else with the prompt's tokens estimated too.
pub(crate) fn complete(usage: Option<Usage>, prompt: u64) -> Usage {
    match usage {
        Some(usage) if !usage.estimated => usage,
        // The prompt's are known where only the end of the stream is missing.
        Some(usage) if usage.input > 0 => usage,
        estimated => Usage { input: prompt, estimated: true, ..estimated.unwrap_or_default() },
    }
}

/// What both of OpenAI's wires report, in this order: the prompt's tokens, those of it that a cache gave and took, the
/// answer's tokens, those of it that were thoughts; nothing when all is zero.
pub(crate) fn openai(
    [input, cache_read, cache_write, output, reasoning]: [Option<&Value>; 5],
) -> Option<Usage> {
    let (input, output) = (count(input), count(output));
    if input == 0 && output == 0 {
        return None;
    }
    Some(Usage {
        input,
        output,
        cache_read: count(cache_read).min(input),
        cache_write: count(cache_write).min(input),
        reasoning: count(reasoning).min(output),
        estimated: false,
    })
}

/// Some servers write whole numbers with a decimal point; a negative one is none.
pub(crate) fn count(value: Option<&Value>) -> u64 {
    let number = value.and_then(Value::as_number);
    number.and_then(Number::as_u64).or_else(|| number.and_then(Number::as_f64).map(|n| n as u64)).unwrap_or(0)
}
