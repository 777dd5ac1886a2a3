//! JSON that arrives in pieces, such as a tool's arguments while a model writes them: what is known so far, at any
//! time. Takes time in proportion to the text, holds the value and little beside it, and guesses nothing: text that is
//! no JSON is refused where it stops being that.

use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

/// Containers in one another.
const DEPTH: usize = 128;

/// Why a text cannot be the beginning of a JSON value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at byte {at}: {problem}")]
pub struct PartialError {
    /// Bytes before it.
    pub at: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a text that is read in pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Something that JSON does not allow here.
    #[error("not JSON")]
    Syntax,
    /// A property that its object has already.
    #[error("a property is there twice")]
    Duplicate,
    /// More than 128 containers in one another.
    #[error("nested too deep")]
    Depth,
    /// Bytes that are no UTF-8, or half of a surrogate pair.
    #[error("not Unicode")]
    Unicode,
    /// More after the value.
    #[error("more text after the value")]
    Trailing,
    /// The text ended inside the value.
    #[error("the text ends inside the value")]
    Unfinished,
}

/// A string, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix<'p> {
    /// What is there of it; only whole characters.
    pub text: &'p str,
    /// Whether that is all.
    pub whole: bool,
}

/// A JSON value of which a beginning was read.
///
/// ```
/// let mut arguments = codetether_schema::Partial::new();
/// arguments.push(br#"{"path": "src/main.rs", "content": "fn ma"#)?;
/// assert_eq!(arguments.member("path").map(|path| (path.text, path.whole)), Some(("src/main.rs", true)));
/// assert_eq!(arguments.member("content").map(|text| (text.text, text.whole)), Some(("fn ma", false)));
/// # Ok::<(), codetether_schema::PartialError>(())
/// ```
#[derive(Debug, Default)]
pub struct Partial {
    frames: Vec<Frame>,
    state: State,
    /// The string that is being read, or the number.
    text: String,
    /// Bytes of a character that is not whole.
    pending: Vec<u8>,
    /// The first half of a surrogate pair.
    high: Option<u32>,
    root: Option<Value>,
    read: usize,
    failed: Option<PartialError>,
}

#[derive(Debug)]
enum Frame {
    /// While `open`, the last entry stands for a value that is not whole.
    Object {
        map: Map<String, Value>,
        open: bool,
    },
    Array(Vec<Value>),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// A value must begin.
    #[default]
    Value,
    /// A value, or the end of an array with nothing in it.
    FirstItem,
    /// A key, or the end of an object with nothing in it.
    FirstKey,
    Key,
    Colon,
    /// After a value in a container.
    Comma,
    String {
        key: bool,
    },
    Escape {
        key: bool,
    },
    Unicode {
        key: bool,
        digits: u8,
        code: u32,
    },
    Number,
    Literal {
        word: &'static str,
        known: usize,
    },
    /// After the value.
    End,
}

impl Partial {
    /// Nothing read yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a piece, which may end anywhere: in a character, in an escape.
    ///
    /// # Errors
    /// When what was read so far is not how JSON begins, names a property twice or is nested deeper than 128. It is the
    /// same error from then on; what was known before stays known.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), PartialError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        let mut rest = piece;
        while let Some(&byte) = rest.first() {
            let used = match self.state {
                State::String { key } => self.run(rest, key),
                State::Number => self.digits(rest),
                _ => self.step(byte),
            };
            match used {
                Ok(used) => {
                    self.read += used;
                    rest = rest.get(used..).unwrap_or_default();
                }
                Err(problem) => {
                    let failed = PartialError { at: self.read, problem };
                    self.failed = Some(failed.clone());
                    return Err(failed);
                }
            }
        }
        Ok(())
    }

    /// A string member of the outermost object, as far as it is known.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<Prefix<'_>> {
        self.find(&[name])
    }

    /// A string member of an object in an object …, as far as it is known: the names of the members that lead to it,
    /// from the outermost object on.
    #[must_use]
    pub fn find(&self, names: &[&str]) -> Option<Prefix<'_>> {
        if let Some(root) = &self.root {
            return whole(root, names);
        }
        let mut names = names;
        for (depth, frame) in self.frames.iter().enumerate() {
            let Frame::Object { map, open } = frame else { return None };
            let (name, inner) = names.split_first()?;
            let value = map.get(*name)?;
            if !*open || map.keys().next_back().is_none_or(|last| last != name) {
                return whole(value, inner);
            }
            if inner.is_empty() {
                let reading = self.frames.len() == depth + 1 && self.in_string_value();
                return reading.then_some(Prefix { text: &self.text, whole: false });
            }
            names = inner;
        }
        None
    }

    /// What is known, without what is not whole but for strings and containers; nothing before a value has begun.
    /// Takes time in proportion to all that was read.
    #[must_use]
    pub fn value(&self) -> Option<Value> {
        if let Some(root) = &self.root {
            return Some(root.clone());
        }
        let mut inner = self.in_string_value().then(|| Value::String(self.text.clone()));
        for frame in self.frames.iter().rev() {
            inner = Some(match frame {
                Frame::Array(items) => {
                    let mut items = items.clone();
                    items.extend(inner);
                    Value::Array(items)
                }
                Frame::Object { map, open } => {
                    let mut map = map.clone();
                    match (open, inner) {
                        (true, Some(inner)) => {
                            if let Some(last) = map.values_mut().next_back() {
                                *last = inner;
                            }
                        }
                        (true, None) => {
                            let last = map.keys().next_back().cloned().unwrap_or_default();
                            map.shift_remove(&last);
                        }
                        (false, _) => {}
                    }
                    Value::Object(map)
                }
            });
        }
        inner
    }

    /// Where the value is that is being read, as a JSON pointer.
    #[must_use]
    pub fn path(&self) -> String {
        let mut path = String::new();
        for frame in &self.frames {
            match frame {
                Frame::Array(items) => crate::lower::document::push(&mut path, &items.len().to_string()),
                Frame::Object { map, open: true } => {
                    let key = map.keys().next_back().map(String::as_str).unwrap_or_default();
                    crate::lower::document::push(&mut path, key);
                }
                Frame::Object { open: false, .. } => {}
            }
        }
        path
    }

    /// The value, when there is no more to come.
    ///
    /// # Errors
    /// When the text was refused, or ends inside the value.
    pub fn finish(mut self) -> Result<Value, PartialError> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        let at = self.read;
        if self.state == State::Number && self.frames.is_empty() {
            self.number().map_err(|problem| PartialError { at, problem })?;
        }
        self.root.ok_or(PartialError { at, problem: Problem::Unfinished })
    }

    fn in_string_value(&self) -> bool {
        matches!(
            self.state,
            State::String { key: false } | State::Escape { key: false } | State::Unicode { key: false, .. }
        )
    }

    /// One byte that is not in the middle of a string.
    fn step(&mut self, byte: u8) -> Result<usize, Problem> {
        match self.state {
            State::String { key } => return self.run(&[byte], key),
            State::Escape { key } => self.escape(byte, key)?,
            State::Unicode { key, digits, code } => self.unicode(byte, key, digits, code)?,
            State::Number => return self.digits(&[byte]),
            State::Literal { word, known } => self.literal(byte, word, known)?,
            _ if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') => {}
            State::Value => self.begin(byte)?,
            State::FirstItem if byte == b']' => self.close()?,
            State::FirstItem => self.begin(byte)?,
            State::FirstKey if byte == b'}' => self.close()?,
            State::FirstKey | State::Key if byte == b'"' => {
                self.text.clear();
                self.state = State::String { key: true };
            }
            State::Colon if byte == b':' => self.state = State::Value,
            State::Comma => match (byte, self.frames.last()) {
                (b',', Some(Frame::Object { .. })) => self.state = State::Key,
                (b',', Some(Frame::Array(_))) => self.state = State::Value,
                (b'}', Some(Frame::Object { .. })) | (b']', Some(Frame::Array(_))) => self.close()?,
                _ => return Err(Problem::Syntax),
            },
            State::End => return Err(Problem::Trailing),
            State::FirstKey | State::Key | State::Colon => return Err(Problem::Syntax),
        }
        Ok(1)
    }

    fn begin(&mut self, byte: u8) -> Result<(), Problem> {
        match byte {
            b'{' | b'[' if self.frames.len() >= DEPTH => return Err(Problem::Depth),
            b'{' => {
                self.frames.push(Frame::Object { map: Map::new(), open: false });
                self.state = State::FirstKey;
            }
            b'[' => {
                self.frames.push(Frame::Array(Vec::new()));
                self.state = State::FirstItem;
            }
            b'"' => {
                self.text.clear();
                self.state = State::String { key: false };
            }
            b'-' | b'0'..=b'9' => {
                self.text.clear();
                self.text.push(char::from(byte));
                self.state = State::Number;
            }
            b't' => self.state = State::Literal { word: "true", known: 1 },
            b'f' => self.state = State::Literal { word: "false", known: 1 },
            b'n' => self.state = State::Literal { word: "null", known: 1 },
            _ => return Err(Problem::Syntax),
        }
        Ok(())
    }

    /// As much of a string as stands before a quote or an escape.
    fn run(&mut self, rest: &[u8], key: bool) -> Result<usize, Problem> {
        let plain =
            rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)).unwrap_or(rest.len());
        if plain > 0 {
            self.add(rest.get(..plain).unwrap_or_default())?;
            return Ok(plain);
        }
        if !self.pending.is_empty() {
            return Err(Problem::Unicode);
        }
        match rest.first() {
            Some(b'\\') => self.state = State::Escape { key },
            Some(b'"') if self.high.is_some() => return Err(Problem::Unicode),
            Some(b'"') if key => self.key()?,
            Some(b'"') => {
                let text = std::mem::take(&mut self.text);
                self.put(Value::String(text))?;
            }
            _ => return Err(Problem::Syntax),
        }
        Ok(1)
    }

    /// Adds bytes to the string, but for the last ones if they are not a whole character.
    fn add(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        if self.high.is_some() {
            return Err(Problem::Unicode);
        }
        let mut rest = bytes;
        // A character that the piece before has begun.
        while !self.pending.is_empty() {
            let Some((&byte, after)) = rest.split_first() else { return Ok(()) };
            self.pending.push(byte);
            rest = after;
            match std::str::from_utf8(&self.pending) {
                Ok(text) => {
                    self.text.push_str(text);
                    self.pending.clear();
                }
                Err(error) if error.error_len().is_some() => return Err(Problem::Unicode),
                Err(_) => {}
            }
        }
        match std::str::from_utf8(rest) {
            Ok(text) => self.text.push_str(text),
            Err(error) if error.error_len().is_some() => return Err(Problem::Unicode),
            Err(error) => {
                let (whole, begun) = rest.split_at(error.valid_up_to());
                self.text.push_str(std::str::from_utf8(whole).unwrap_or_default());
                self.pending.extend_from_slice(begun);
            }
        }
        Ok(())
    }

    fn escape(&mut self, byte: u8, key: bool) -> Result<(), Problem> {
        let plain = match byte {
            b'u' => {
                self.state = State::Unicode { key, digits: 0, code: 0 };
                return Ok(());
            }
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            _ => return Err(Problem::Syntax),
        };
        if self.high.is_some() {
            return Err(Problem::Unicode);
        }
        self.text.push(plain);
        self.state = State::String { key };
        Ok(())
    }

    fn unicode(&mut self, byte: u8, key: bool, digits: u8, code: u32) -> Result<(), Problem> {
        let digit = char::from(byte).to_digit(16).ok_or(Problem::Syntax)?;
        let code = code * 16 + digit;
        if digits < 3 {
            self.state = State::Unicode { key, digits: digits + 1, code };
            return Ok(());
        }
        self.state = State::String { key };
        match (self.high.take(), code) {
            (None, 0xd800..=0xdbff) => self.high = Some(code),
            (Some(high), 0xdc00..=0xdfff) => {
                let code = 0x10000 + ((high - 0xd800) << 10) + (code - 0xdc00);
                self.text.push(char::from_u32(code).ok_or(Problem::Unicode)?);
            }
            (None, code) => self.text.push(char::from_u32(code).ok_or(Problem::Unicode)?),
            (Some(_), _) => return Err(Problem::Unicode),
        }
        Ok(())
    }

    fn literal(&mut self, byte: u8, word: &'static str, known: usize) -> Result<(), Problem> {
        if word.as_bytes().get(known) != Some(&byte) {
            return Err(Problem::Syntax);
        }
        if known + 1 < word.len() {
            self.state = State::Literal { word, known: known + 1 };
            return Ok(());
        }
        self.put(match word {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => Value::Null,
        })
    }

    /// As much of a number as is there; no bytes are used where it has ended.
    fn digits(&mut self, rest: &[u8]) -> Result<usize, Problem> {
        let part = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
        let length = rest.iter().position(|byte| !part(byte)).unwrap_or(rest.len());
        if length == 0 {
            self.number()?;
        } else {
            let digits = rest.get(..length).unwrap_or_default();
            self.text.push_str(std::str::from_utf8(digits).map_err(|_| Problem::Unicode)?);
        }
        Ok(length)
    }

    fn number(&mut self) -> Result<(), Problem> {
        // Most are small; what is left is for the one who knows all of them.
        let small = match self.text.as_bytes() {
            [b'0'] => Some(0),
            [b'1'..=b'9', rest @ ..] if rest.len() < 18 => self.text.parse::<u64>().ok(),
            _ => None,
        };
        let number = match small {
            Some(number) => number.into(),
            None => serde_json::from_str::<Number>(&self.text).map_err(|_| Problem::Syntax)?,
        };
        self.put(Value::Number(number))
    }

    fn key(&mut self) -> Result<(), Problem> {
        let text = std::mem::take(&mut self.text);
        let Some(Frame::Object { map, open }) = self.frames.last_mut() else { return Err(Problem::Syntax) };
        match map.entry(text) {
            Entry::Occupied(_) => Err(Problem::Duplicate),
            Entry::Vacant(entry) => {
                entry.insert(Value::Null);
                *open = true;
                self.state = State::Colon;
                Ok(())
            }
        }
    }

    /// Puts a value that is whole where it belongs.
    fn put(&mut self, value: Value) -> Result<(), Problem> {
        self.state = State::Comma;
        match self.frames.last_mut() {
            None => {
                self.root = Some(value);
                self.state = State::End;
            }
            Some(Frame::Array(items)) => items.push(value),
            Some(Frame::Object { map, open }) => {
                *map.values_mut().next_back().ok_or(Problem::Syntax)? = value;
                *open = false;
            }
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), Problem> {
        match self.frames.pop() {
            Some(Frame::Array(items)) => self.put(Value::Array(items)),
            Some(Frame::Object { map, .. }) => self.put(Value::Object(map)),
            None => Err(Problem::Syntax),
        }
    }
}

/// A string in a value that is whole.
fn whole<'v>(value: &'v Value, names: &[&str]) -> Option<Prefix<'v>> {
    let value = names.iter().try_fold(value, |value, name| value.as_object()?.get(*name))?;
    value.as_str().map(|text| Prefix { text, whole: true })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn known(text: &str) -> Option<Value> {
        let mut partial = Partial::new();
        partial.push(text.as_bytes()).unwrap();
        partial.value()
    }

    fn problem(text: &[u8]) -> (usize, Problem) {
        let mut partial = Partial::new();
        let error = match partial.push(text) {
            Ok(()) => partial.finish().unwrap_err(),
            Err(error) => error,
        };
        (error.at, error.problem)
    }

    #[test]
    fn what_is_not_whole_is_not_known_but_for_strings_and_containers() {
        assert_eq!(known(""), None);
        assert_eq!(known("  12"), None);
        assert_eq!(known("{\"a"), Some(json!({})));
        assert_eq!(known("{\"a\": tru"), Some(json!({})));
        assert_eq!(known("{\"a\": 12"), Some(json!({})));
        assert_eq!(known("{\"a\": 12 "), Some(json!({"a": 12})));
        assert_eq!(known("{\"a\": [1, {\"b\": \"x\\u00e"), Some(json!({"a": [1, {"b": "x"}]})));
        assert_eq!(known("[1, -2.5e3, true, null, \"\"]  "), Some(json!([1, -2500.0, true, null, ""])));
    }

    #[test]
    fn a_member_is_there_while_another_streams() {
        let mut partial = Partial::new();
        let text = r#"{"path":"a/b.rs","deep":{"path":"no"},"content":"line\n é 😀"#;
        for byte in text.as_bytes() {
            partial.push(&[*byte]).unwrap();
        }
        assert_eq!(partial.member("path"), Some(Prefix { text: "a/b.rs", whole: true }));
        assert_eq!(partial.member("content"), Some(Prefix { text: "line\n é 😀", whole: false }));
        assert_eq!(partial.member("deep"), None);
        assert_eq!(partial.find(&["deep", "path"]), Some(Prefix { text: "no", whole: true }));
        assert_eq!(partial.path(), "/content");
        partial.push(b"\"}").unwrap();
        assert_eq!(partial.member("content"), Some(Prefix { text: "line\n é 😀", whole: true }));
        assert_eq!(partial.finish().unwrap()["deep"], json!({"path": "no"}));
    }

    #[test]
    fn a_member_of_a_member_is_found_while_and_after_it_streams() {
        let mut partial = Partial::new();
        partial.push(br#"{"tool":"write","arguments":{"path":"a.r"#).unwrap();
        let found = |partial: &Partial| {
            partial.find(&["arguments", "path"]).map(|path| (path.text.to_owned(), path.whole))
        };
        assert_eq!(found(&partial), Some(("a.r".into(), false)));
        assert_eq!(
            (partial.member("path"), partial.member("arguments"), partial.find(&[])),
            (None, None, None)
        );
        partial.push(br#"s","content":["#).unwrap();
        assert_eq!(found(&partial), Some(("a.rs".into(), true)));
        assert_eq!(partial.find(&["arguments", "content", "x"]), None);
        partial.push(br#"]}}"#).unwrap();
        assert_eq!(found(&partial), Some(("a.rs".into(), true)));
    }

    #[test]
    fn what_is_no_json_is_refused_where_it_stops_being_that() {
        assert_eq!(problem(br#"{"a":1,"a":2}"#), (9, Problem::Duplicate));
        assert_eq!(problem("[".repeat(129).as_bytes()), (128, Problem::Depth));
        assert_eq!(problem(b"[1,]"), (3, Problem::Syntax));
        assert_eq!(problem(b"{'a'"), (1, Problem::Syntax));
        assert_eq!(problem(b"[01]"), (3, Problem::Syntax));
        assert_eq!(problem(b"\"a\nb\""), (2, Problem::Syntax));
        assert_eq!(problem(b"\"\xff\""), (1, Problem::Unicode));
        assert_eq!(problem(b"\"\xc3\""), (2, Problem::Unicode));
        assert_eq!(problem(br#""\ud83d""#), (7, Problem::Unicode));
        assert_eq!(problem(br#""\ud83dx""#), (7, Problem::Unicode));
        assert_eq!(problem(b"{} {}"), (3, Problem::Trailing));
        assert_eq!(problem(b"{"), (1, Problem::Unfinished));
        assert_eq!(problem(b""), (0, Problem::Unfinished));
    }

    #[test]
    fn an_error_stays_and_what_was_known_too() {
        let mut partial = Partial::new();
        let error = partial.push(b"{\"a\": \"x\", oops").unwrap_err();
        assert_eq!(partial.push(b"}"), Err(error));
        assert_eq!(partial.member("a"), Some(Prefix { text: "x", whole: true }));
    }

    /// Whether the first is what is known of the second.
    fn is_prefix(part: &Value, whole: &Value) -> bool {
        match (part, whole) {
            (Value::String(part), Value::String(whole)) => whole.starts_with(part.as_str()),
            (Value::Array(part), Value::Array(whole)) => {
                part.len() <= whole.len()
                    && part.iter().zip(whole).all(|(part, whole)| is_prefix(part, whole))
            }
            (Value::Object(part), Value::Object(whole)) => part
                .iter()
                .zip(whole)
                .all(|((key, part), (name, whole))| key == name && is_prefix(part, whole)),
            (part, whole) => part == whole,
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1e9..1e9).prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((".{0,6}", inner), 0..6)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_known_of_a_cut_document_is_a_prefix_of_the_truth(
            value in any_value(),
            pretty in any::<bool>(),
            ascii in any::<bool>(),
            size in 1_usize..9,
        ) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let text = text.unwrap();
            let text = if ascii { escaped(&text) } else { text };
            let mut partial = Partial::new();
            let mut known = 0;
            for piece in text.as_bytes().chunks(size) {
                partial.push(piece).unwrap();
                if let Some(part) = partial.value() {
                    prop_assert!(is_prefix(&part, &value), "{part} of {value}");
                    let length = part.to_string().len();
                    prop_assert!(length >= known, "something known was forgotten");
                    known = length;
                }
            }
            prop_assert_eq!(partial.finish().unwrap(), value);
        }

        #[test]
        fn any_bytes_are_read_as_serde_json_reads_them_or_refused(
            bytes in prop::collection::vec(prop_oneof![
                prop::sample::select(b"{}[]\",:0123.-eE\\utrfalsn \n".to_vec()), any::<u8>()
            ], 0..40),
        ) {
            let mut partial = Partial::new();
            let whole = partial.push(&bytes).and_then(|()| partial.finish());
            match (whole, serde_json::from_slice::<Value>(&bytes)) {
                (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours, theirs),
                (Ok(ours), Err(error)) => prop_assert!(false, "{ours} is refused by serde_json: {error}"),
                (Err(error), Ok(_)) => prop_assert_eq!(error.problem, Problem::Duplicate),
                (Err(_), Err(_)) => {}
            }
        }
    }

    /// The same document with every character of its strings that is not ASCII escaped.
    fn escaped(text: &str) -> String {
        let mut escaped = String::new();
        for c in text.chars() {
            if c.is_ascii() {
                escaped.push(c);
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    escaped.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
        escaped
    }
}
