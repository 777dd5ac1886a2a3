//! Calls as every wire takes them back: ids, names and arguments, whatever the model made of them. One that a server
//! refuses would spoil the whole dialogue. Pure.

use std::borrow::Cow;

use codetether_event::ToolResult;
use serde::de::IgnoredAny;
use serde_json::json;

/// Rough number of tokens of an image, where nobody counts them.
pub(crate) const IMAGE_TOKENS: u64 = 1_000;
/// Rough number of bytes of a token.
pub(crate) const TOKEN_BYTES: u64 = 4;
/// Longest name of a tool.
const NAME_MAX: usize = 64;
/// Ids made here begin with this.
const MADE_ID: &str = "call_";

/// The name of the `number`-th call that came without an id.
pub(crate) fn made_id(number: u64) -> String {
    format!("{MADE_ID}{number}")
}

/// Arguments as a server can parse them again: the bytes received, where they are a JSON object; none, where they are
/// nothing or `null`. Strict servers refuse a request with anything else in it, now and for the rest of the dialogue.
pub(crate) fn arguments(received: &str) -> String {
    let trimmed = received.trim();
    if matches!(trimmed, "" | "null") {
        "{}".to_owned()
    } else if trimmed.starts_with('{') && serde_json::from_str::<IgnoredAny>(received).is_ok() {
        received.to_owned()
    } else {
        json!({"not_json": received}).to_string()
    }
}

/// The number behind the greatest of these ids that look as if made here, so that none is made twice.
pub(crate) fn next_id<'a>(ids: impl Iterator<Item = &'a str>) -> u64 {
    // Larger numbers are not ours: nobody makes so many calls, and counting must never come to an end.
    let numbers = ids.filter_map(|id| id.strip_prefix(MADE_ID)?.parse::<u32>().ok());
    numbers.map(|number| u64::from(number).saturating_add(1)).max().unwrap_or(0)
}

/// What the model is told of a result, failed ones marked, where the wire has no other place for it.
pub(crate) fn told(result: &ToolResult) -> String {
    let begins = result.text.get(.."error".len()).is_some_and(|word| word.eq_ignore_ascii_case("error"));
    if result.error && !begins { format!("error: {}", result.text) } else { result.text.clone() }
}

/// A name as vendors take it.
pub(crate) fn sendable(name: &str) -> Cow<'_, str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if (1..=NAME_MAX).contains(&name.len()) && name.chars().all(fits) {
        return Cow::Borrowed(name);
    }
    let name: String = name.chars().take(NAME_MAX).map(|c| if fits(c) { c } else { '_' }).collect();
    if name.is_empty() { Cow::Borrowed("unnamed") } else { Cow::Owned(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_the_model_made_up_spoils_no_later_request() {
        let long = "é".repeat(100);
        for (name, sent) in [("read", "read"), ("functions.read:0", "functions_read_0"), ("", "unnamed")] {
            assert_eq!(sendable(name), sent);
        }
        assert_eq!(sendable(&long), "_".repeat(64));
    }

    #[test]
    fn arguments_that_are_no_object_are_sent_as_one() {
        for (received, sent) in [
            ("", "{}"),
            (" null\n", "{}"),
            (" { \"a\": 1 }", " { \"a\": 1 }"),
            ("5", r#"{"not_json":"5"}"#),
            ("[1]", r#"{"not_json":"[1]"}"#),
            ("{\"a\"", r#"{"not_json":"{\"a\""}"#),
        ] {
            assert_eq!(arguments(received), sent);
        }
    }
}
