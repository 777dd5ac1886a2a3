//! What holds answers of a request to their form: a value that fits its schema; or, where there are tools, text as the
//! model likes until it begins a call, which then is one of a tool that is there, with arguments that fit.

use codetether_event::ResponseFormat;
use codetether_schema::mask;
use codetether_schema::mask::{Bounds, Form, Grammar, Held, Masks, Policy, Step, Width};
use serde_json::json;

use crate::engine::{Hold, Token, Took, Vocabulary};
use crate::request::Request;

const OPEN: &[u8] = b"<tool_call>";
const CLOSE: &[u8] = b"\n</tool_call>";

/// The forms of a model's answers.
pub struct Forms {
    masks: Masks,
    /// The token of each byte.
    bytes: Vec<Token>,
    texts: std::sync::Arc<Vocabulary>,
}

impl Forms {
    /// For the vocabulary of a model; takes a third of a second for 150,000 tokens.
    ///
    /// # Errors
    /// When nothing ends an answer.
    pub fn new(vocabulary: &std::sync::Arc<Vocabulary>) -> Result<Self, String> {
        let ends = vocabulary.ends.iter().filter_map(|token| u32::try_from(*token).ok()).collect();
        // Bytes that no text in UTF-8 has may have no token: they get one behind all others, which never comes.
        let mut tokens = vocabulary.bytes.clone();
        let mut bytes = Vec::with_capacity(256);
        for byte in 0..=u8::MAX {
            let at = tokens.iter().position(|bytes| *bytes == [byte]).unwrap_or_else(|| {
                tokens.push(vec![byte]);
                tokens.len() - 1
            });
            bytes.push(Token::try_from(at).map_err(|error| error.to_string())?);
        }
        let known = mask::Vocabulary { tokens, ends };
        let masks = Masks::new(&known).map_err(|refused| refused.to_string())?;
        Ok(Self { masks, bytes, texts: vocabulary.clone() })
    }

    /// What holds the answer of a request; nothing where it is text and no tools are there.
    ///
    /// # Errors
    /// When the form cannot be held, with the reason.
    pub fn hold(&self, request: &Request) -> Result<Option<Box<dyn Hold>>, String> {
        match &request.format {
            ResponseFormat::Text if request.tools.is_empty() => Ok(None),
            ResponseFormat::Text => {
                let tools = request.tools.iter().map(|tool| (tool.name.clone(), tool.schema.clone()));
                // Where not even the loosest policy holds them, calls are free and checked when they are read.
                let Ok(grammar) = self.compile(&Form::Call(tools.collect())) else { return Ok(None) };
                Ok(Some(Box::new(Calls {
                    grammar,
                    begun: false,
                    must: request.must_call,
                    said: Vec::new(),
                    held: None,
                    pending: Vec::new(),
                    closed: false,
                    open: self.spelled(OPEN),
                    close: self.spelled(CLOSE),
                    texts: self.texts.clone(),
                })))
            }
            ResponseFormat::Json => {
                let grammar = self.compile(&Form::Schema(json!({})))?;
                Ok(Some(Box::new(Value { grammar, held: None })))
            }
            ResponseFormat::Schema { schema, .. } => {
                let grammar = self.compile(&Form::Schema((**schema).clone()))?;
                Ok(Some(Box::new(Value { grammar, held: None })))
            }
        }
    }

    /// The tokens of a mark: the one that it is, behind what stands before it, else one for each of its bytes.
    fn spelled(&self, text: &[u8]) -> Vec<Token> {
        let at = text.iter().position(|byte| *byte == b'<').unwrap_or(0);
        let (before, mark) = text.split_at(at);
        let whole = self.texts.bytes.iter().position(|bytes| bytes == mark);
        let whole = whole.and_then(|token| Token::try_from(token).ok());
        let bytes = |text: &[u8]| -> Vec<Token> {
            text.iter().filter_map(|byte| self.bytes.get(usize::from(*byte)).copied()).collect()
        };
        let mut tokens = bytes(before);
        match whole {
            Some(token) => tokens.push(token),
            None => tokens.extend(bytes(mark)),
        }
        tokens
    }

    /// By the strictest policy that takes it.
    fn compile(&self, form: &Form) -> Result<Grammar, String> {
        let mut first = None;
        for policy in Policy::ALL {
            match self.masks.compile(form, policy, Width::Tight(Bounds::default())) {
                Ok(grammar) => return Ok(grammar),
                Err(refused) => first = first.or(Some(refused.to_string())),
            }
        }
        Err(format!("the schema cannot be held: {}", first.unwrap_or_default()))
    }
}

fn restrict(held: &mut Held, logits: &mut [f32]) -> Result<(), String> {
    let mask = held.mask().map_err(|refused| refused.to_string())?;
    for (token, logit) in (0_u32..).zip(logits) {
        if !mask.is_allowed(token) {
            *logit = f32::NEG_INFINITY;
        }
    }
    Ok(())
}

fn consume(held: &mut Held, token: Token) -> Result<Took, String> {
    let token = u32::try_from(token).map_err(|error| error.to_string())?;
    match held.consume(token).map_err(|refused| refused.to_string())? {
        Step::Taken => Ok(Took::Taken),
        Step::WayOut => Ok(Took::Left),
    }
}

fn forced(held: &Held) -> Vec<Token> {
    held.forced().iter().filter_map(|token| Token::try_from(*token).ok()).collect()
}

/// An answer that is one value.
struct Value {
    grammar: Grammar,
    /// From the first token on, when it is known how many there may be.
    held: Option<Held>,
}

impl Hold for Value {
    fn restrict(&mut self, logits: &mut [f32], left: usize) -> Result<(), String> {
        let held = match &mut self.held {
            Some(held) => held,
            none => none.insert(self.grammar.held(left).map_err(|refused| refused.to_string())?),
        };
        restrict(held, logits)
    }

    fn forced(&mut self) -> Vec<Token> {
        self.held.as_ref().map(forced).unwrap_or_default()
    }

    fn consume(&mut self, token: Token) -> Result<Took, String> {
        self.held.as_mut().map_or(Ok(Took::Taken), |held| consume(held, token))
    }

    fn is_done(&self) -> bool {
        self.held.as_ref().is_some_and(Held::is_done)
    }

    fn is_free(&self) -> bool {
        false
    }
}

/// Text, and then at most one call. A model that begins its answer with a fence, a brace or a tag means a call and has
/// forgotten how to make one: it is led to.
struct Calls {
    grammar: Grammar,
    /// Whether anything has come.
    begun: bool,
    /// Whether it must be a call, whatever it begins with.
    must: bool,
    /// The end of the text so far.
    said: Vec<u8>,
    held: Option<Held>,
    /// What comes next by itself: the end of the call.
    pending: Vec<Token>,
    closed: bool,
    /// What begins a call, and what ends it.
    open: Vec<Token>,
    close: Vec<Token>,
    texts: std::sync::Arc<Vocabulary>,
}

impl Calls {
    fn text(&self, token: usize) -> &[u8] {
        self.texts.bytes.get(token).map_or(&[], Vec::as_slice)
    }

    /// Whether the model would begin its answer so.
    fn means_a_call(&self, logits: &[f32]) -> bool {
        let first = logits.iter().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b));
        let begins = first.map(|(token, _)| self.text(token).trim_ascii_start()).unwrap_or_default();
        matches!(begins.first(), Some(b'`' | b'{' | b'<'))
    }
}

impl Hold for Calls {
    fn restrict(&mut self, logits: &mut [f32], left: usize) -> Result<(), String> {
        if self.held.is_none() && self.said.ends_with(OPEN) {
            let left = left.saturating_sub(CLOSE.len());
            self.held = Some(self.grammar.held(left).map_err(|refused| refused.to_string())?);
        }
        if !self.begun && (self.must || self.means_a_call(logits)) {
            self.pending = self.open.clone();
        }
        if let Some(held) = &mut self.held {
            return restrict(held, logits);
        }
        if let Some(first) = self.pending.first().and_then(|first| usize::try_from(*first).ok()) {
            logits.iter_mut().enumerate().filter(|(at, _)| *at != first).for_each(|(_, logit)| {
                *logit = f32::NEG_INFINITY;
            });
        }
        Ok(())
    }

    fn forced(&mut self) -> Vec<Token> {
        if self.closed {
            return Vec::new();
        }
        let Some(held) = &self.held else { return self.pending.clone() };
        let mut rest = forced(held);
        if held.is_done() || !rest.is_empty() {
            if self.pending.is_empty() {
                self.pending = self.close.clone();
            }
            rest.extend(&self.pending);
        }
        rest
    }

    fn consume(&mut self, token: Token) -> Result<Took, String> {
        match &mut self.held {
            Some(held) if !held.is_done() => consume(held, token),
            Some(_) => {
                if self.pending.first() == Some(&token) {
                    self.pending.remove(0);
                    self.closed = self.pending.is_empty();
                }
                Ok(Took::Taken)
            }
            None => {
                self.begun = true;
                if self.pending.first() == Some(&token) {
                    self.pending.remove(0);
                }
                let bytes = usize::try_from(token).map_or(Vec::new(), |token| self.text(token).to_owned());
                self.said.extend_from_slice(&bytes);
                let more = self.said.len().saturating_sub(2 * OPEN.len());
                self.said.drain(..more);
                Ok(Took::Taken)
            }
        }
    }

    fn is_done(&self) -> bool {
        self.closed
    }

    fn is_free(&self) -> bool {
        self.held.is_none() && self.pending.is_empty() && !self.said.ends_with(OPEN)
    }
}
