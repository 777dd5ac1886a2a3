//! Answers that are held to a form while a model writes them: which tokens may come next. Knows tokens as bytes and
//! ids, no engine.
//!
//! `Masks::new(vocabulary)` once for a model; `masks.compile(&form, policy, bounds)` once for a form; `grammar.held(n)`
//! once for an answer of at most `n` tokens. Then, for each token: `held.mask()`, sample, `held.consume(token)`. Where that
//! says `Step::WayOut`, the token was not taken, as what it begins would not end within the limit: what
//! `held.forced()` gives is the rest of the answer. `held.is_done()` says that the text so far is a whole answer.

mod tighten;

use std::sync::Arc;

use llguidance::api::TopLevelGrammar;
use llguidance::{Matcher, ParserFactory};
use serde_json::{Value, json};
use toktrie::{ApproximateTokEnv, InferenceCapabilities, SimpleVob, TokEnv, TokRxInfo, TokTrie};

pub use tighten::{Bounds, tighten};

/// Most bytes of a way out that is looked for.
const WAY_MAX: usize = 16 << 10;
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
    fn schema(&self) -> Value {
        match self {
            Self::Schema(schema) => schema.clone(),
            // Definitions of a tool are referred to from its own root, so that each stays a schema of its own.
            Self::Call(tools) => json!({ "anyOf": tools.iter().map(|(name, schema)| json!({
                "type": "object",
                "properties": { "name": { "const": name }, "arguments": schema },
                "required": ["name", "arguments"],
                "additionalProperties": false,
            })).collect::<Vec<_>>() }),
        }
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
        let whole = form.schema();
        if matches!(form, Form::Call(tools) if tools.iter().any(|(_, schema)| refers(schema))) {
            return Err(refused("a tool's schema has a `$ref`; write out what it refers to"));
        }
        let mut schema = match width {
            Width::Whole => whole,
            Width::Tight(bounds) => tighten(&whole, bounds),
        };
        if schema == Value::Bool(true) {
            schema = json!({});
        }
        let Value::Object(root) = &mut schema else {
            return Err(refused("nothing fits the schema, or it is no schema"));
        };
        root.insert(
            "x-guidance".into(),
            json!({
                "whitespace_flexible": width == Width::Whole,
                "coerce_one_of": policy == Policy::Coerce,
                "lenient": policy == Policy::Lenient,
                "json_allow_general_unicode_escapes": width == Width::Whole,
            }),
        );
        let parser =
            self.factory.create_parser(TopLevelGrammar::from_json_schema(schema)).map_err(refused)?;
        let matcher = Matcher::new(Ok(parser));
        Ok(Grammar { matcher, bytes: self.bytes.clone() })
    }
}

fn refers(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => map.contains_key("$ref") || map.values().any(refers),
        Value::Array(items) => items.iter().any(refers),
        _ => false,
    }
}

/// A form, compiled for a vocabulary; one for many answers.
#[derive(Clone)]
pub struct Grammar {
    matcher: Matcher,
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

    /// Begins an answer of at most so many tokens.
    ///
    /// # Errors
    /// When no answer that ends within them was found.
    pub fn held(&self, tokens: usize) -> Result<Held, Refused> {
        let matcher = self.matcher.deep_clone();
        let mut held = Held {
            matcher,
            bytes: self.bytes.clone(),
            way: Vec::new(),
            left: tokens,
            place: Place::Between,
            is_closing: false,
        };
        held.way = held.way_out(&held.matcher, held.place, tokens).ok_or_else(|| {
            refused(format!("no answer of at most {tokens} tokens was found that fits the schema"))
        })?;
        Ok(held)
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

/// What became of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is part of the answer.
    Taken,
    /// It was not taken: from here on only the way out is open.
    WayOut,
}

/// One answer while it is written. At any time it knows a rest that ends it within the limit.
pub struct Held {
    matcher: Matcher,
    bytes: Arc<[u32]>,
    /// A rest that makes the text a whole answer, as tokens; never longer than `left`.
    way: Vec<u32>,
    left: usize,
    place: Place,
    is_closing: bool,
}

impl Held {
    /// The tokens that may come next.
    ///
    /// # Errors
    /// When the mask needs more work than is allowed; the way out is open then.
    pub fn mask(&mut self) -> Result<SimpleVob, Refused> {
        if self.is_closing || self.left == 0 {
            let env = self.matcher.tok_env().map_err(refused)?;
            return Ok(match self.way.first() {
                Some(token) => env.tok_trie().singleton_token_set(*token),
                None => env.tok_trie().eos_token_set(),
            });
        }
        self.matcher.compute_mask_or_eos().map_err(refused)
    }

    /// The rest of the answer, where only the way out is open; otherwise nothing.
    #[must_use]
    pub fn forced(&self) -> &[u32] {
        if self.is_closing { &self.way } else { &[] }
    }

    /// Opens only the way out from here on, and gives it.
    pub fn close(&mut self) -> &[u32] {
        self.is_closing = true;
        &self.way
    }

    /// Whether the text so far is a whole answer that can only end.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.matcher.is_stopped() || (self.way.is_empty() && (self.is_closing || self.left == 0))
    }

    /// Takes a token that the mask allows.
    ///
    /// # Errors
    /// When the mask does not allow it.
    pub fn consume(&mut self, token: u32) -> Result<Step, Refused> {
        let env = self.matcher.tok_env().map_err(refused)?;
        if env.tok_trie().eos_tokens().contains(&token) {
            self.matcher.consume_token(token).map_err(refused)?;
            (self.way, self.is_closing) = (Vec::new(), true);
            return Ok(Step::Taken);
        }
        if self.left == 0 || (self.is_closing && self.way.first() != Some(&token)) {
            return Err(refused("only the way out is open"));
        }
        let place = env.tok_trie().token(token).iter().fold(self.place, |place, byte| place.after(*byte));
        let way = if self.way.first() == Some(&token) {
            Some(self.way[1..].to_vec())
        } else {
            let mut ahead = self.matcher.clone();
            ahead.consume_token(token).map_err(refused)?;
            self.way_out(&ahead, place, self.left - 1)
        };
        let Some(way) = way else {
            self.is_closing = true;
            return Ok(Step::WayOut);
        };
        self.matcher.consume_token(token).map_err(refused)?;
        (self.way, self.place, self.left) = (way, place, self.left - 1);
        Ok(Step::Taken)
    }

    /// A rest of at most so many tokens that makes a whole answer. That none is found narrows what may come and never
    /// lets through what does not end.
    fn way_out(&self, from: &Matcher, place: Place, most: usize) -> Option<Vec<u32>> {
        (0..TRIES).find_map(|attempt| self.attempt(from.clone(), place, most.min(WAY_MAX), attempt))
    }

    fn attempt(&self, mut matcher: Matcher, mut place: Place, most: usize, attempt: u32) -> Option<Vec<u32>> {
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
            let allowed = |byte: &u8| {
                let token = self.bytes[usize::from(*byte)];
                matches!(matcher.validate_tokens(&[token]), Ok(1))
            };
            let byte = if attempt.is_multiple_of(2) || place != Place::InString {
                first.iter().copied().chain(rest).find(allowed)?
            } else {
                std::iter::once(b'"').chain(rest).find(allowed)?
            };
            let token = self.bytes[usize::from(byte)];
            matcher.consume_token(token).ok()?;
            place = place.after(byte);
            way.push(token);
        }
    }
}
