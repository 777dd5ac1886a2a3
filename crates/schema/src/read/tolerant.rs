//! JSON as models write it when they do not write JSON: in a fence, with prose around it, cut off, with Python's
//! literals or quotes. Mends form alone: what was cut in a number, a literal or a key is left out; what can be read in
//! two ways is refused.

use serde_json::{Map, Number, Value};

use crate::arguments::bounded;

/// Containers in one another.
const DEPTH: usize = 128;
/// Places where a value is looked for.
const STARTS: usize = 32;

/// A value that was read with its form mended.
#[derive(Debug, Clone, PartialEq)]
pub struct Mended {
    /// The value.
    pub value: Value,
    /// The text ended inside it; what was not whole is not in it, but for the beginning of a string.
    pub was_cut: bool,
}

/// Why a text cannot be read as JSON, even with its form mended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unrepairable {
    /// Nothing in it looks like a value.
    #[error("there is no JSON value in it")]
    NoValue,
    /// A property is there twice, and which is meant cannot be known.
    #[error("the property `{0}` is there twice")]
    Duplicate(String),
    /// It is nested too deep.
    #[error("it is nested deeper than 128")]
    Depth,
    /// Something can be read in no way, or in two.
    #[error("{what}, at character {at}")]
    Unclear {
        /// Characters before it.
        at: usize,
        /// What.
        what: &'static str,
    },
}

/// The values in a text, those first that are most likely meant: in fences before outside of them, whole before cut,
/// with something in them before empty ones. Never none.
///
/// # Errors
/// When there is none; and when one names a property twice or is nested too deep, since to take another would be to
/// guess.
pub fn repair(text: &str) -> Result<Vec<Mended>, Unrepairable> {
    let mut found: Vec<(u8, Mended)> = Vec::new();
    let mut problem = None;
    for (fenced, part) in parts(text) {
        let mut starts = 0;
        let mut at = 0;
        while let Some(offset) = part.get(at..).and_then(|rest| rest.find(['{', '['])) {
            at += offset;
            starts += 1;
            if starts > STARTS {
                break;
            }
            let mut reader = Reader::new(part.get(at..).unwrap_or_default());
            match reader.value(0) {
                Ok(Read::Whole(value)) => {
                    found.push((rank(fenced, &value, false), Mended { value, was_cut: false }));
                    at += reader.at.max(1);
                }
                Ok(Read::Begun(value)) => {
                    found.push((rank(fenced, &value, true), Mended { value, was_cut: true }));
                    break;
                }
                Ok(Read::Lost) => break,
                Err(refused @ (Unrepairable::Duplicate(_) | Unrepairable::Depth)) => return Err(refused),
                Err(Unrepairable::Unclear { at: inside, what }) => {
                    let before = part.get(..at).unwrap_or_default().chars().count();
                    problem = problem.or(Some(Unrepairable::Unclear { at: before + inside, what }));
                    at += 1;
                }
                Err(other) => return Err(other),
            }
        }
        // A fence holds the answer, if it holds anything.
        if fenced && !found.is_empty() {
            break;
        }
    }
    if found.is_empty() {
        // A scalar stands alone.
        let mut reader = Reader::new(text.trim());
        if let Ok(Read::Whole(value)) = reader.value(0)
            && reader.rest().trim().is_empty()
        {
            return Ok(vec![Mended { value, was_cut: false }]);
        }
        return Err(problem.unwrap_or(Unrepairable::NoValue));
    }
    found.sort_by_key(|(rank, _)| *rank);
    Ok(found.into_iter().map(|(_, mended)| mended).collect())
}

fn rank(fenced: bool, value: &Value, was_cut: bool) -> u8 {
    let empty = match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    u8::from(!fenced) * 4 + u8::from(empty) * 2 + u8::from(was_cut)
}

/// What comes after the first fence. One inside a value is none: on its line a value has begun before it.
fn after_fence(text: &str) -> Option<&str> {
    text.match_indices("```").find_map(|(at, fence)| {
        let before = text.get(..at)?;
        let line = before.rsplit('\n').next().unwrap_or_default();
        (!line.contains(['{', '[', '"'])).then(|| text.get(at + fence.len()..))?
    })
}

/// What is in fences, then the whole.
fn parts(text: &str) -> Vec<(bool, &str)> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(after) = after_fence(rest) {
        // The name of a language is not a part of it.
        let inside = after
            .split_once('\n')
            .map_or(after, |(first, inside)| if first.contains(['{', '[']) { after } else { inside });
        match inside.split_once("\n```").or_else(|| inside.split_once("```")) {
            Some((inside, after)) if parts.len() < STARTS => {
                parts.push((true, inside));
                rest = after;
            }
            _ => {
                parts.push((true, inside));
                break;
            }
        }
    }
    parts.push((false, text));
    parts
}

/// What was read of a value.
enum Read {
    Whole(Value),
    /// The text ended inside it.
    Begun(Value),
    /// The text ended inside it, and nothing can be said of it.
    Lost,
}

struct Reader<'t> {
    text: &'t str,
    /// Bytes that were read.
    at: usize,
}

type Reading<T> = Result<T, Unrepairable>;

impl<'t> Reader<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn unclear<T>(&self, what: &'static str) -> Reading<T> {
        let at = self.text.get(..self.at).unwrap_or_default().chars().count();
        Err(Unrepairable::Unclear { at, what })
    }

    /// White space and comments.
    fn skip(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            let comment = if trimmed.starts_with("//") {
                trimmed.find('\n').unwrap_or(trimmed.len())
            } else if trimmed.starts_with("/*") {
                trimmed.find("*/").map_or(trimmed.len(), |end| end + 2)
            } else {
                return;
            };
            self.at += comment;
        }
    }

    fn value(&mut self, depth: usize) -> Reading<Read> {
        self.skip();
        match self.peek() {
            None => Ok(Read::Lost),
            Some('{' | '[') if depth >= DEPTH => Err(Unrepairable::Depth),
            Some('{') => self.object(depth),
            Some('[') => self.array(depth),
            Some(quote @ ('"' | '\'')) => {
                let (text, whole) = self.string(quote)?;
                Ok(if whole { Read::Whole(text.into()) } else { Read::Begun(text.into()) })
            }
            Some('-' | '+' | '.' | '0'..='9') => self.number(),
            Some(c) if c.is_alphabetic() => self.literal(),
            Some(_) => self.unclear("what stands here is no value"),
        }
    }

    fn object(&mut self, depth: usize) -> Reading<Read> {
        self.bump();
        let mut map = Map::new();
        loop {
            self.skip();
            let key = match self.peek() {
                None => return Ok(Read::Begun(map.into())),
                Some('}') => {
                    self.bump();
                    return Ok(Read::Whole(map.into()));
                }
                // The bracket of what is around this: its own was left out.
                Some(']') if depth > 0 => return Ok(Read::Whole(map.into())),
                Some(quote @ ('"' | '\'')) => match self.string(quote)? {
                    (key, true) => key,
                    (_, false) => return Ok(Read::Begun(map.into())),
                },
                Some(c) if c.is_alphabetic() || c == '_' || c == '$' => {
                    let word = self.word();
                    if self.rest().is_empty() {
                        return Ok(Read::Begun(map.into()));
                    }
                    word.to_owned()
                }
                Some(_) => return self.unclear("what stands here is no name of a property"),
            };
            self.skip();
            match self.peek() {
                None => return Ok(Read::Begun(map.into())),
                Some(':') => self.bump(),
                Some(_) => return self.unclear("there is no colon after the name of a property"),
            };
            if map.contains_key(&key) {
                return Err(Unrepairable::Duplicate(bounded(&key)));
            }
            match self.value(depth + 1)? {
                Read::Whole(value) => {
                    map.insert(key, value);
                }
                Read::Begun(value) => {
                    map.insert(key, value);
                    return Ok(Read::Begun(map.into()));
                }
                Read::Lost => return Ok(Read::Begun(map.into())),
            }
            self.skip();
            match self.peek() {
                Some(',') => {
                    self.bump();
                }
                None | Some('}') => {}
                Some(']') if depth > 0 => {}
                Some(_) => return self.unclear("there is no comma after a property"),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Reading<Read> {
        self.bump();
        let mut items = Vec::new();
        loop {
            self.skip();
            match self.peek() {
                None => return Ok(Read::Begun(items.into())),
                Some(']') => {
                    self.bump();
                    return Ok(Read::Whole(items.into()));
                }
                Some('}') if depth > 0 => return Ok(Read::Whole(items.into())),
                Some(_) => {}
            }
            match self.value(depth + 1)? {
                Read::Whole(value) => items.push(value),
                Read::Begun(value) => {
                    items.push(value);
                    return Ok(Read::Begun(items.into()));
                }
                Read::Lost => return Ok(Read::Begun(items.into())),
            }
            self.skip();
            match self.peek() {
                Some(',') => {
                    self.bump();
                }
                None | Some(']') => {}
                Some('}') if depth > 0 => {}
                Some(_) => return self.unclear("there is no comma after an item"),
            }
        }
    }

    /// A string, and whether it is whole; what is cut inside an escape is left out.
    fn string(&mut self, quote: char) -> Reading<(String, bool)> {
        self.bump();
        let mut text = String::new();
        loop {
            match self.bump() {
                None => return Ok((text, false)),
                Some(c) if c == quote => return Ok((text, true)),
                Some('\\') => match self.bump() {
                    None => return Ok((text, false)),
                    Some(c @ ('"' | '\'' | '\\' | '/')) => text.push(c),
                    Some('b') => text.push('\u{8}'),
                    Some('f') => text.push('\u{c}'),
                    Some('n') => text.push('\n'),
                    Some('r') => text.push('\r'),
                    Some('t') => text.push('\t'),
                    Some('u') => match self.unicode()? {
                        Some(c) => text.push(c),
                        None => return Ok((text, false)),
                    },
                    Some(_) => return self.unclear("this escape is not known"),
                },
                Some(c) => text.push(c),
            }
        }
    }

    /// The character of `\u....`, or of two of them; nothing where the text ends inside.
    fn unicode(&mut self) -> Reading<Option<char>> {
        let Some(high) = self.code()? else { return Ok(None) };
        let code = match high {
            0xd800..=0xdbff => {
                for wanted in ['\\', 'u'] {
                    match self.bump() {
                        None => return Ok(None),
                        Some(c) if c == wanted => {}
                        Some(_) => return self.unclear("half of a character is missing"),
                    }
                }
                match self.code()? {
                    None => return Ok(None),
                    Some(low @ 0xdc00..=0xdfff) => 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00),
                    Some(_) => return self.unclear("half of a character is missing"),
                }
            }
            code => code,
        };
        match char::from_u32(code) {
            Some(c) => Ok(Some(c)),
            None => self.unclear("half of a character is missing"),
        }
    }

    fn code(&mut self) -> Reading<Option<u32>> {
        let mut code = 0;
        for _ in 0..4 {
            match self.bump().map(|c| c.to_digit(16)) {
                None => return Ok(None),
                Some(Some(digit)) => code = code * 16 + digit,
                Some(None) => return self.unclear("this escape is not known"),
            }
        }
        Ok(Some(code))
    }

    fn word(&mut self) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '$'))).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    /// A number that ends where the text ends may have been longer.
    fn number(&mut self) -> Reading<Read> {
        let rest = self.rest();
        let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.' | '_');
        let end = rest.find(|c: char| !part(c)).unwrap_or(rest.len());
        let text = rest.get(..end).unwrap_or_default();
        if end == rest.len() && self.at > 0 {
            self.at += end;
            return Ok(Read::Lost);
        }
        // As JavaScript has them: `+1`, `.5`, `1.`.
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", text.strip_prefix('+').unwrap_or(text)),
        };
        let zero = if digits.starts_with('.') { "0" } else { "" };
        let mut json = format!("{sign}{zero}{digits}");
        if json.ends_with('.') && digits.len() > 1 {
            json.push('0');
        }
        match serde_json::from_str::<Number>(&json) {
            Ok(number) => {
                self.at += end;
                Ok(Read::Whole(number.into()))
            }
            Err(_) => self.unclear("this is no number"),
        }
    }

    fn literal(&mut self) -> Reading<Read> {
        let start = self.at;
        let value = match self.word() {
            "true" | "True" => Value::Bool(true),
            "false" | "False" => Value::Bool(false),
            "null" | "None" | "undefined" => Value::Null,
            _ if self.rest().is_empty() => return Ok(Read::Lost),
            _ => {
                self.at = start;
                return self.unclear("this word is no value");
            }
        };
        Ok(Read::Whole(value))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn first(text: &str) -> Result<Value, String> {
        repair(text).map(|found| found[0].value.clone()).map_err(|problem| problem.to_string())
    }

    #[test]
    fn form_is_mended() {
        let mended = json!({"a": [1, true, null], "b": "x"});
        for text in [
            "```json\n{\"a\": [1, true, null], \"b\": \"x\"}\n```",
            "Sure! Here {it} is:\n{\"a\": [1, true, null], \"b\": \"x\"}\nHope that helps {you}.",
            "{'a': [1, True, None,], 'b': 'x',}",
            "{a: [1, true, undefined], b: \"x\"}",
            "{\"a\": [1, true, null, // the list\n], /* and */ \"b\": \"x\"}",
            "{\"a\": [1, true, null], \"b\": \"x\"",
            "{\"a\": [1, true, null, \"b\": \"x\"}".replace(", \"b\"", "], \"b\"").as_str(),
            "```\n{\"a\": [1, true, null], \"b\": \"x",
        ] {
            assert_eq!(first(text), Ok(mended.clone()), "{text}");
        }
        assert_eq!(first("{\"a\": [1, {\"b\": [2}]}"), Ok(json!({"a": [1, {"b": [2]}]})));
        assert_eq!(first("[+1, .5, 2., -3]"), Ok(json!([1, 0.5, 2.0, -3])));
        assert_eq!(first("{\"a\": \"line\nline\"}"), Ok(json!({"a": "line\nline"})));
        assert_eq!(first("True"), Ok(json!(true)));
    }

    #[test]
    fn what_was_cut_is_left_out_and_never_completed() {
        for (text, value) in [
            ("{\"a\": 1, \"b\": 12", json!({"a": 1})),
            ("{\"a\": 1, \"b\": tru", json!({"a": 1})),
            ("{\"a\": 1, \"b\": true", json!({"a": 1, "b": true})),
            ("{\"a\": 1, \"b\":", json!({"a": 1})),
            ("{\"a\": 1, \"b", json!({"a": 1})),
            ("{\"a\": 1, bcd", json!({"a": 1})),
            ("[1, 2, -", json!([1, 2])),
            ("[\"x\\u00", json!(["x"])),
            ("[\"x\\ud83d\\ude", json!(["x"])),
            ("[[", json!([[]])),
        ] {
            assert_eq!(first(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for text in [
            "{\"a\": 1, \"a\": 2}",
            "{\"a\": \"x\" \"b\": 2}",
            "{\"a\": \"\\d\"}",
            "{\"a\": NaN}",
            "{\"a\": 01}",
            "{\"a\": 1 2}",
            "[1, , 2]",
            "{\"a\": ...}",
            "{\"a\": 0x10}",
            "no value",
            "",
            "12 or 13",
        ] {
            assert!(first(text).is_err(), "{text}: {:?}", first(text));
        }
        assert_eq!(
            first("x {\"a\": 1 2}"),
            Err("there is no comma after a property, at character 10".into())
        );
    }

    #[test]
    fn values_come_in_the_order_in_which_they_are_likely_meant() {
        let text = "{} and {\"a\": 1}\n```\n[2]\n```\nand {\"c\": ";
        let values: Vec<_> = repair(text).unwrap().into_iter().map(|mended| mended.value).collect();
        assert_eq!(values, [json!([2])]);
        let text = "Here: {\"code\": \"```\"} Done.";
        assert_eq!(first(text), Ok(json!({"code": "```"})));
        let text = "{} and {\"a\": 1} and [3, ";
        let values: Vec<_> = repair(text).unwrap().into_iter().map(|mended| mended.value).collect();
        assert_eq!(values, [json!({"a": 1}), json!([3]), json!({})]);
    }

    proptest! {
        #[test]
        fn no_text_panics_and_json_is_read_as_it_is(text in ".{0,60}", json in "[\\[\\]{}\",:'a1 .\\\\-]{0,40}") {
            let _ = repair(&text);
            let _ = repair(&json);
            let value = json!({"text": text, "list": [json, 1, null, {"x": 0.5}]});
            prop_assert_eq!(first(&format!("Here: {value} Done.")), Ok(value));
        }
    }
}
