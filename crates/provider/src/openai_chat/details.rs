//! Thoughts as OpenRouter tells them: `reasoning_details`, a list that comes in pieces and is given back as it was, whole
//! or not at all. Bounded by the stream that it comes in.
//!
//! Source: OpenRouter, "Reasoning tokens: preserving reasoning blocks"; `@openrouter/ai-sdk-provider` 2.10.0.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

type Detail = Map<String, Value>;

/// What joins the pieces of one detail.
const TEXTS: [&str; 2] = ["text", "summary"];

/// The details that have come.
#[derive(Debug, Default)]
pub(super) struct Details {
    list: Vec<Detail>,
    /// What came was no list of details: then nothing of it is given back.
    broken: bool,
}

impl Details {
    /// Takes in the value of a delta's field; gives the texts in it.
    pub(super) fn take(&mut self, json: &str) -> String {
        let mut said = String::new();
        match serde_json::from_str::<Option<Vec<Detail>>>(json) {
            Ok(list) => {
                for detail in list.into_iter().flatten() {
                    said.extend(TEXTS.iter().filter_map(|key| detail.get(*key)?.as_str()));
                    self.add(detail);
                }
            }
            Err(_) => self.broken = true,
        }
        said
    }

    fn add(&mut self, detail: Detail) {
        let kind = detail.get("type").and_then(Value::as_str).unwrap_or_default();
        let joins = matches!(kind, "reasoning.text" | "reasoning.summary");
        let same = |last: &Detail| {
            let same = |key: &str| last.get(key) == detail.get(key);
            joins && same("type") && same("index")
        };
        match self.list.last_mut().filter(|last| same(last)) {
            None => self.list.push(detail),
            Some(last) => {
                for (key, value) in detail {
                    let old = last.entry(&key).or_insert(Value::Null);
                    match (old, value) {
                        (Value::String(old), Value::String(more)) if TEXTS.contains(&key.as_str()) => {
                            old.push_str(&more);
                        }
                        (old @ Value::Null, value) => *old = value,
                        (Value::String(old), Value::String(value)) if old.is_empty() => *old = value,
                        _ => {}
                    }
                }
            }
        }
    }

    /// The list as JSON, if it is there and whole: a text of Anthropic's without its signature was cut off.
    pub(super) fn sealed(&self) -> Option<String> {
        let text = |detail: &Detail, key: &str| detail.get(key)?.as_str().map(str::to_owned);
        let unsigned = |detail: &Detail| {
            text(detail, "type").as_deref() == Some("reasoning.text")
                && text(detail, "format").is_some_and(|format| format.starts_with("anthropic"))
                && text(detail, "signature").is_none_or(|signature| signature.is_empty())
        };
        if self.broken || self.list.is_empty() || self.list.iter().any(unsigned) {
            return None;
        }
        serde_json::to_string(&self.list).ok()
    }
}

/// The list that sealed thoughts are on this wire; none where another wire sealed them.
pub(super) fn read(sealed: &str) -> Option<&RawValue> {
    serde_json::from_str::<Vec<Detail>>(sealed).ok()?;
    serde_json::from_str(sealed).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(deltas: &[&str]) -> Option<String> {
        let mut details = Details::default();
        for delta in deltas {
            details.take(delta);
        }
        details.sealed()
    }

    #[test]
    fn pieces_of_a_text_are_joined_and_all_else_stays_as_it_came() {
        let deltas = [
            r#"[{"type":"reasoning.text","text":"one ","format":"anthropic-claude-v1","index":0,"signature":null}]"#,
            r#"[{"type":"reasoning.text","text":"two","format":"anthropic-claude-v1","index":0}]"#,
            r#"[{"type":"reasoning.text","signature":"sig","index":0},{"type":"reasoning.encrypted","data":"x","id":"r1","index":1}]"#,
            r#"[{"type":"reasoning.encrypted","data":"y","id":"r2","index":1}]"#,
            "null",
        ];
        let whole = concat!(
            r#"[{"type":"reasoning.text","text":"one two","format":"anthropic-claude-v1","index":0,"signature":"sig"},"#,
            r#"{"type":"reasoning.encrypted","data":"x","id":"r1","index":1},"#,
            r#"{"type":"reasoning.encrypted","data":"y","id":"r2","index":1}]"#,
        );
        assert_eq!(sealed(&deltas).as_deref(), Some(whole));
        assert_eq!(read(whole).map(RawValue::get), Some(whole));
        assert_eq!(Details::default().take(deltas[0]), "one ");
    }

    #[test]
    fn what_is_not_whole_is_not_given_back() {
        let unsigned = r#"[{"type":"reasoning.text","text":"one","format":"anthropic-claude-v1"}]"#;
        assert_eq!(sealed(&[unsigned]), None);
        assert_eq!(sealed(&[r#"[{"type":"reasoning.encrypted","data":"x"}]"#, r#""nonsense""#]), None);
        assert_eq!(sealed(&[]), None);
        for other in ["c2VhbGVk", "{}", "[1]", ""] {
            assert!(read(other).is_none(), "{other}");
        }
    }
}
