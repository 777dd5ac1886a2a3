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

/// Some servers write whole numbers with a decimal point; a negative one is none.
pub(crate) fn count(value: Option<&Value>) -> u64 {
    let number = value.and_then(Value::as_number);
    number.and_then(Number::as_u64).or_else(|| number.and_then(Number::as_f64).map(|n| n as u64)).unwrap_or(0)
}
