//! Answers that are held to a form while a model writes them: which tokens may come next. Knows tokens as bytes and
//! ids, no engine.
//!
//! `Masks::new(vocabulary)` once for a model; `masks.compile(&form, policy, bounds)` once for a form; `grammar.held(n)`
//! once for an answer of at most `n` tokens. Then, for each token: `held.mask()`, sample, `held.consume(token)`. Where that
//! says `Step::WayOut`, the token was not taken, as what it begins would not end within the limit: what
//! `held.forced()` gives is the rest of the answer. `held.is_done()` says that the text so far is a whole answer.

mod draw;
mod order;
mod plain;
mod rest;
mod tighten;

use std::sync::Arc;

use llguidance::api::TopLevelGrammar;
use llguidance::{Matcher, ParserFactory};
use serde_json::{Value, json};
use toktrie::{ApproximateTokEnv, InferenceCapabilities, SimpleVob, TokEnv, TokRxInfo, TokTrie};

pub use draw::{draw, draw_held};
pub use tighten::{Bounds, tighten};

/// Most bytes of a way out that is looked for.
const WAY_MAX: usize = 16 << 10;
/// Most required names that a way out looks at.
const NAMES: usize = 256;
/// Most levels of a schema that are walked into for them.
const NESTED: usize = 128;
/// Orders in which the bytes of a way out are tried.
const TRIES: u32 = 4;

/// The tokens of a model; a token's id is its place.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    /// Each token's bytes; empty where a token stands for no text, as control tokens do.
    pub tokens: Vec<Vec<u8>>,
    /// The tokens that end an answer; not empty.
    pub ends: Vec<u32>,
}

impl Vocabulary {
    /// One token for each byte, and 256 for the end.
    #[must_use]
    pub fn bytes() -> Self {
        let mut tokens: Vec<Vec<u8>> = (0..=u8::MAX).map(|byte| vec![byte]).collect();
        tokens.push(Vec::new());
        Self { tokens, ends: vec![256] }
    }
}

/// How far an approximation of a schema may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Policy {
    /// What is let through fits.
    Strict,
    /// `oneOf` is held as `anyOf`; an answer must be validated.
    Coerce,
    /// Keywords that cannot be held are left out; an answer must be validated.
    Lenient,
}

impl Policy {
    /// From the strictest on.
    pub const ALL: [Self; 3] = [Self::Strict, Self::Coerce, Self::Lenient];

    /// Its name in commands.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Coerce => "coerce",
            Self::Lenient => "lenient",
        }
    }
}

/// Whether a schema is held as it is, or as a smaller one that is easier to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// As it is, with any white space of JSON between its parts.
    Whole,
    /// As it is, without white space.
    Compact,
    /// Tightened, without white space.
    Tight(Bounds),
}

/// What an answer must be.
#[derive(Debug, Clone, PartialEq)]
pub enum Form {
    /// JSON that fits a schema.
    Schema(Value),
    /// A call of one of these tools (name, schema of the arguments), as `{"name", "arguments"}`.
    Call(Vec<(String, Value)>),
}

impl Form {
    /// As one schema, in words that masks know.
    fn schema(&self, policy: Policy) -> Result<Value, Refused> {
        match self {
            Self::Schema(schema) => plain::plain(schema, policy).map_err(refused),
            Self::Call(tools) => {
                let calls = tools.iter().enumerate().map(|(n, (name, schema))| {
                    let mut schema = plain::plain(schema, policy)
                        .map_err(|reason| refused(format!("the schema of `{name}`: {reason}")))?;
                    // What a tool's schema refers to is inside of that schema.
                    rebase(&mut schema, &format!("#/anyOf/{n}/properties/arguments"));
                    Ok(json!({
                        "type": "object",
                        "properties": { "name": { "const": name }, "arguments": schema },
                        "required": ["name", "arguments"],
                        "additionalProperties": false,
                    }))
                });
                Ok(json!({ "anyOf": calls.collect::<Result<Vec<_>, _>>()? }))
            }
        }
    }
}

fn rebase(schema: &mut Value, at: &str) {
    match schema {
        Value::Object(map) => {
            for (key, inner) in map.iter_mut() {
                match inner {
                    Value::String(to) if key == "$ref" && to.starts_with('#') => to.replace_range(..1, at),
                    Value::Object(named) if plain::is_named(key) => {
                        named.values_mut().for_each(|schema| rebase(schema, at));
                    }
                    inner if !plain::is_data(key) => rebase(inner, at),
                    _ => {}
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rebase(item, at)),
        _ => {}
    }
}

/// A form that cannot be held.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refused {
    /// Why.
    pub reason: String,
}

fn refused(reason: impl std::fmt::Display) -> Refused {
    Refused { reason: reason.to_string() }
}

/// A vocabulary, prepared; slow to make (a third of a second for 150,000 tokens), once for a model.
pub struct Masks {
    factory: ParserFactory,
    /// The token of each single byte.
    bytes: Arc<[u32]>,
}

impl Masks {
    /// Prepares a vocabulary.
    ///
    /// # Errors
    /// When there is no token for some byte, or none that ends.
    pub fn new(vocabulary: &Vocabulary) -> Result<Self, Refused> {
        let Some(end) = vocabulary.ends.first() else {
            return Err(refused("the vocabulary has no end token"));
        };
        let size = u32::try_from(vocabulary.tokens.len()).map_err(refused)?;
        let trie =
            TokTrie::from(&TokRxInfo::new(size, *end), &vocabulary.tokens).with_eos_tokens(&vocabulary.ends);
        let bytes: Option<Arc<[u32]>> = (0..=u8::MAX).map(|byte| trie.token_id_at_bytes(&[byte])).collect();
        let bytes = bytes.ok_or_else(|| refused("the vocabulary has not a token for each byte"))?;
        let env: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let mut factory = ParserFactory::new(
            &env,
            InferenceCapabilities::default(),
            &llguidance::earley::SlicedBiasComputer::general_slices(),
        )
        .map_err(refused)?;
        factory.quiet();
        factory.limits_mut().verbose_errors = false;
        Ok(Self { factory, bytes })
    }

    /// Compiles a form.
    ///
    /// # Errors
    /// When the form cannot be held under this policy.
    pub fn compile(&self, form: &Form, policy: Policy, width: Width) -> Result<Grammar, Refused> {
        let whole = form.schema(policy)?;
        let Width::Tight(bounds) = width else { return self.build(whole, policy, width) };
        let tight = tighten(&whole, bounds);
        let smallest = tighten::smallest(&tight);
        let rest = rest::Rest::of(&tight);
        let names = self.names(&tight);
        let grammar = self.build(tight, policy, width).map(|mut grammar| {
            (grammar.rest, grammar.names) = (rest, names);
            grammar.smallest = self.build(smallest, policy, width).ok().map(|grammar| grammar.matcher);
            grammar
        });
        match grammar {
            Ok(grammar) if grammar.ends() => Ok(grammar),
            // The bounds left nothing: it is held as it is.
            _ => self.build(whole, policy, Width::Compact),
        }
    }

    /// Compiles a form as it is, with properties in the order in which a value has them, which a schema leaves open and
    /// a mask does not.
    ///
    /// # Errors
    /// When the form cannot be held under this policy.
    pub fn compile_like(&self, form: &Form, policy: Policy, like: &Value) -> Result<Grammar, Refused> {
        self.build(order::ordered(&form.schema(policy)?, like), policy, Width::Whole)
    }

    fn names(&self, schema: &Value) -> Arc<[Vec<u32>]> {
        let mut required = rest::Required::default();
        required.gather(schema, NESTED);
        let quoted = required.needed.iter().take(NAMES).map(|name| format!("{}:", Value::from(*name)));
        quoted.map(|name| name.bytes().map(|byte| self.bytes[usize::from(byte)]).collect()).collect()
    }

    fn build(&self, mut schema: Value, policy: Policy, width: Width) -> Result<Grammar, Refused> {
        if schema == Value::Bool(true) {
            schema = json!({});
        }
        let Value::Object(root) = &mut schema else {
            return Err(refused("nothing fits the schema, or it is no schema"));
        };
        // A name spelled with `\\u` would pass for one that the schema does not name.
        let escapes = if width == Width::Whole { "nrbtf\\\"u" } else { "nrbtf\\\"" };
        root.insert(
            "x-guidance".into(),
            json!({
                "whitespace_flexible": width == Width::Whole,
                "coerce_one_of": policy == Policy::Coerce,
                "lenient": policy == Policy::Lenient,
                "json_allow_general_unicode_escapes": width == Width::Whole,
                "json_allowed_escapes": escapes,
            }),
        );
        let parser =
            self.factory.create_parser(TopLevelGrammar::from_json_schema(schema)).map_err(refused)?;
        let matcher = Matcher::new(Ok(parser));
        Ok(Grammar { matcher, smallest: None, rest: None, names: Arc::default(), bytes: self.bytes.clone() })
    }
}

/// A form, compiled for a vocabulary; one for many answers.
#[derive(Clone)]
pub struct Grammar {
    matcher: Matcher,
    /// For what has only what must be there.
    smallest: Option<Matcher>,
    rest: Option<rest::Rest>,
    /// Names that some object must have, each as the tokens of its quoted bytes and the colon.
    names: Arc<[Vec<u32>]>,
    bytes: Arc<[u32]>,
}

impl Grammar {
    /// Whether exactly this text is let through.
    ///
    /// # Errors
    /// When the text needs more work than is allowed.
    pub fn accepts(&self, text: &str) -> Result<bool, Refused> {
        let mut matcher = self.matcher.deep_clone();
        let tokens: Vec<u32> = text.bytes().map(|byte| self.bytes[usize::from(byte)]).collect();
        let taken = matcher.try_consume_tokens(&tokens).map_err(refused)?;
        Ok(taken == tokens.len() && matcher.is_accepting().map_err(refused)?)
    }

    /// Whether a way to an end is found at all.
    fn ends(&self) -> bool {
        self.way(WAY_MAX).is_some()
    }

    fn way(&self, most: usize) -> Option<Vec<u32>> {
        let ways = self.smallest.iter().chain([&self.matcher]);
        ways.filter_map(|matcher| way_out(&self.bytes, &self.names, matcher, Place::Between, most))
            .min_by_key(Vec::len)
    }

    /// Begins an answer of at most so many tokens.
    ///
    /// # Errors
    /// When no answer that ends within them was found.
    pub fn held(&self, tokens: usize) -> Result<Held, Refused> {
        let way = self.way(tokens).ok_or_else(|| {
            refused(format!("no answer of at most {tokens} tokens was found that fits the schema"))
        })?;
        Ok(Held {
            matcher: self.matcher.deep_clone(),
            bytes: self.bytes.clone(),
            names: self.names.clone(),
            way: Some(way),
            rest: self.rest,
            left: tokens,
            spot: Spot::START,
            is_closing: false,
        })
    }
}

/// Where in JSON a text ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Between,
    InString,
    Escaped,
}

impl Place {
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Between, b'"') | (Self::Escaped, _) => Self::InString,
            (Self::InString, b'"') => Self::Between,
            (Self::InString, b'\\') => Self::Escaped,
            (place, _) => place,
        }
    }
}

/// Most digits of a number, and of its exponent: what is longer may be no number that can be read.
const DIGITS: (u16, u16) = (200, 2);

/// What a text has come to.
#[derive(Debug, Clone, Copy)]
struct Spot {
    place: Place,
    /// Objects and arrays that are open.
    open: usize,
    /// Digits of the number in which the text ends, and of its exponent.
    digits: Option<(u16, Option<u16>)>,
}

impl Spot {
    const START: Self = Self { place: Place::Between, open: 0, digits: None };

    fn after<'b>(mut self, bytes: impl IntoIterator<Item = &'b u8>) -> Self {
        for byte in bytes {
            self.digits = match (self.place, byte, self.digits) {
                (Place::Between, b'-', None) => Some((0, None)),
                (Place::Between, b'0'..=b'9', None) => Some((1, None)),
                (Place::Between, b'0'..=b'9', Some((digits, None))) => Some((digits.saturating_add(1), None)),
                (Place::Between, b'0'..=b'9', Some((digits, Some(more)))) => {
                    Some((digits, Some(more.saturating_add(1))))
                }
                (Place::Between, b'e' | b'E', Some((digits, _))) => Some((digits, Some(0))),
                (Place::Between, b'.' | b'+' | b'-', digits) => digits,
                _ => None,
            };
            match (self.place, byte) {
                (Place::Between, b'{' | b'[') => self.open += 1,
                (Place::Between, b'}' | b']') => self.open = self.open.saturating_sub(1),
                _ => {}
            }
            self.place = self.place.after(*byte);
        }
        self
    }

    fn is_readable(self) -> bool {
        self.digits
            .is_none_or(|(digits, more)| digits <= DIGITS.0 && more.is_none_or(|more| more <= DIGITS.1))
    }
}

/// What became of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is part of the answer.
    Taken,
    /// It was not taken: from here on only the way out is open.
    WayOut,
}

/// One answer while it is written. At any time there is a rest that ends it within the limit.
pub struct Held {
    matcher: Matcher,
    bytes: Arc<[u32]>,
    names: Arc<[Vec<u32>]>,
    /// A rest that makes the text a whole answer, as tokens, never longer than `left`; nothing where the schema alone
    /// says that there is one.
    way: Option<Vec<u32>>,
    rest: Option<rest::Rest>,
    left: usize,
    spot: Spot,
    is_closing: bool,
}

impl Held {
    /// The tokens that may come next.
    ///
    /// # Errors
    /// When the mask needs more work than is allowed. The answer is not lost: [`Held::close`] gives a rest that ends it.
    pub fn mask(&mut self) -> Result<SimpleVob, Refused> {
        if self.is_closing || self.left == 0 {
            let env = self.matcher.tok_env().map_err(refused)?;
            return Ok(match self.way.as_deref().and_then(<[u32]>::first) {
                Some(token) => env.tok_trie().singleton_token_set(*token),
                None => env.tok_trie().eos_token_set(),
            });
        }
        self.matcher.compute_mask_or_eos().map_err(refused)
    }

    /// The rest of the answer, where only the way out is open; otherwise nothing.
    #[must_use]
    pub fn forced(&self) -> &[u32] {
        if self.is_closing { self.way.as_deref().unwrap_or_default() } else { &[] }
    }

    /// The tokens that come next whatever the model says, as the form leaves no other text; a model can read them in one
    /// batch, with no mask. Nothing where there is a choice. The last token of the text is left out, as it may be one with
    /// what follows. Each that is used must be given to [`Held::consume`].
    pub fn fixed(&mut self) -> Vec<u32> {
        if self.is_closing {
            return self.way.clone().unwrap_or_default();
        }
        let Ok(env) = self.matcher.tok_env() else { return Vec::new() };
        let mut next = env.tok_trie().greedy_tokenize(&self.matcher.compute_ff_bytes());
        next.pop();
        next.truncate(self.left);
        next
    }

    /// Opens only the way out from here on, and gives it.
    pub fn close(&mut self) -> &[u32] {
        if self.way.is_none() {
            self.way = way_out(&self.bytes, &self.names, &self.matcher, self.spot.place, self.left);
        }
        self.is_closing = true;
        self.way.as_deref().unwrap_or_default()
    }

    /// Whether the text so far is a whole answer that can only end.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.matcher.is_stopped()
            || (self.way.as_ref().is_some_and(Vec::is_empty) && (self.is_closing || self.left == 0))
    }

    /// Takes a token that the mask allows.
    ///
    /// # Errors
    /// When the mask does not allow it.
    pub fn consume(&mut self, token: u32) -> Result<Step, Refused> {
        let env = self.matcher.tok_env().map_err(refused)?;
        let trie = env.tok_trie();
        if trie.eos_tokens().contains(&token) {
            self.matcher.consume_token(token).map_err(refused)?;
            (self.way, self.is_closing) = (Some(Vec::new()), true);
            return Ok(Step::Taken);
        }
        let next = self.way.as_deref().and_then(<[u32]>::first);
        if self.left == 0 || (self.is_closing && next != Some(&token)) {
            return Err(refused("only the way out is open"));
        }
        let left = self.left - 1;
        let spot = self.spot.after(trie.token(token));
        let fits = |rest: Option<rest::Rest>, times: usize| {
            rest.is_some_and(|rest| rest.most(spot.open).saturating_mul(times) <= left)
        };
        let way = if next == Some(&token) {
            self.way.as_ref().map(|way| way[1..].to_vec())
        } else if spot.is_readable() && fits(self.rest, 2) {
            None
        } else {
            let way = if spot.is_readable() { self.way_after(token, spot, left) } else { None };
            match way {
                Some(way) => Some(way),
                None if spot.is_readable() && fits(self.rest, 1) => None,
                None => {
                    self.close();
                    return Ok(Step::WayOut);
                }
            }
        };
        self.matcher.consume_token(token).map_err(refused)?;
        (self.way, self.spot, self.left) = (way, spot, left);
        Ok(Step::Taken)
    }

    /// A way out from behind a token: the one that is known, where that goes on; else one that is searched for.
    fn way_after(&mut self, token: u32, spot: Spot, left: usize) -> Option<Vec<u32>> {
        if let Some(way) = &self.way
            && way.len() <= left
            // Digits that end one number must not go on with another.
            && spot.digits.is_none()
            // What closes the whole value also ends it.
            && way.last().is_some_and(|last| b"}]\"".iter().any(|byte| self.bytes[usize::from(*byte)] == *last))
        {
            let ahead: Vec<u32> = std::iter::once(token).chain(way.iter().copied()).collect();
            if self.matcher.validate_tokens(&ahead).ok() == Some(ahead.len()) && self.ends(&ahead) {
                return Some(way.clone());
            }
        }
        let mut ahead = self.matcher.clone();
        ahead.consume_token(token).ok()?;
        way_out(&self.bytes, &self.names, &ahead, spot.place, left)
    }

    /// Whether nothing is open behind these tokens.
    fn ends(&self, tokens: &[u32]) -> bool {
        let Ok(env) = self.matcher.tok_env() else { return false };
        let bytes = tokens.iter().flat_map(|token| env.tok_trie().token(*token));
        let spot = self.spot.after(bytes);
        spot.open == 0 && spot.place == Place::Between
    }
}

/// A rest of at most so many tokens that makes a whole answer. That none is found narrows what may come and never lets
/// through what does not end.
fn way_out(bytes: &[u32], names: &[Vec<u32>], from: &Matcher, place: Place, most: usize) -> Option<Vec<u32>> {
    (0..TRIES).find_map(|attempt| walk(bytes, names, from.clone(), place, most.min(WAY_MAX), attempt))
}

fn walk(
    bytes: &[u32],
    names: &[Vec<u32>],
    mut matcher: Matcher,
    mut place: Place,
    most: usize,
    attempt: u32,
) -> Option<Vec<u32>> {
    let mut way = Vec::new();
    loop {
        if matcher.is_accepting().ok()? {
            return Some(way);
        }
        if way.len() >= most {
            return None;
        }
        let first: &[u8] = match place {
            Place::Between => b"}]\"0123456789ntf[{:,-.eE",
            Place::InString => b"\"a0A-/.:@ _",
            Place::Escaped => b"nu\"",
        };
        // Other orders get past patterns in which a byte may be repeated for ever.
        let turn = attempt * 37 + u32::try_from(way.len()).ok()? * attempt;
        let rest = (0..=u8::MAX).map(|byte| byte.wrapping_add(turn.to_le_bytes()[0]));
        let allowed = |byte: &u8| matches!(matcher.validate_tokens(&[bytes[usize::from(*byte)]]), Ok(1));
        let byte = if attempt.is_multiple_of(2) || place != Place::InString {
            first.iter().copied().chain(rest).find(allowed)?
        } else {
            std::iter::once(b'"').chain(rest).find(allowed)?
        };
        if (place, byte) == (Place::Between, b'"')
            && let Some(name) =
                names.iter().find(|name| matcher.validate_tokens(name).ok() == Some(name.len()))
        {
            matcher.consume_tokens(name).ok()?;
            way.extend(name);
            continue;
        }
        let token = bytes[usize::from(byte)];
        matcher.consume_token(token).ok()?;
        place = place.after(byte);
        way.push(token);
    }
}
