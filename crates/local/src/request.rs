//! What is asked of an engine's process: a whole conversation, and what its answer must be. Here it becomes tokens.

use codetether_event::{ContentPart, Message, ResponseFormat, Role};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::engine::{Engine, Token};
use crate::template::{self, Piece, Template};

/// What is said in place of an image, which these models do not see.
const UNSEEN: &str = "[an image, which this model cannot see]";

/// A tool that is offered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// JSON Schema of its arguments.
    pub schema: Value,
}

/// A conversation that wants an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The system prompt.
    pub system: String,
    /// The tools offered.
    pub tools: Vec<Tool>,
    /// What was said so far.
    pub messages: Vec<Message>,
    /// What the answer must be.
    pub format: ResponseFormat,
    /// Most tokens of the answer; 4,096 when absent, and never more than the window has room for.
    pub max_output: Option<u32>,
    /// In hundredths; greedy when absent.
    pub temperature: Option<u16>,
    /// Of the chance, where any is left.
    pub seed: u64,
    /// Whether the answer must be a call, where there are tools.
    #[serde(default)]
    pub must_call: bool,
}

/// A prompt in tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// All of them.
    pub tokens: Vec<Token>,
    /// How many of them system prompt and tools are, whatever is said behind them.
    pub prefix: usize,
}

impl Request {
    /// The tokens that the model reads.
    ///
    /// # Errors
    /// When the conversation is too large to be rendered.
    pub fn prompt(&self, engine: &impl Engine, template: &Template) -> Result<Prompt, String> {
        let tokens = self.tokens(engine, template, &self.messages)?;
        let begun = |text: &str| self.tokens(engine, template, &[Message::user(text)]);
        let (one, other) = (begun("a")?, begun("1")?);
        let shared = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
        let fits = tokens.len() > shared && tokens.get(..shared) == one.get(..shared);
        Ok(Prompt { tokens, prefix: if fits { shared } else { 0 } })
    }

    fn tokens(
        &self,
        engine: &impl Engine,
        template: &Template,
        messages: &[Message],
    ) -> Result<Vec<Token>, String> {
        let mut said = Vec::new();
        if !self.system.is_empty() {
            said.push(plain(template::Role::System, self.system.clone()));
        }
        messages.iter().for_each(|message| lay_out(message, messages, &mut said));
        let tool = |tool: &Tool| {
            json!({"type": "function", "function": {
                "name": tool.name, "description": tool.description, "parameters": tool.schema,
            }})
        };
        let tools: Vec<Value> = self.tools.iter().map(tool).collect();
        let rendered = template.render(&said, &tools, true).map_err(|error| error.to_string())?;
        let vocabulary = engine.vocabulary();
        let names: Vec<&str> = vocabulary.control.iter().map(|(name, _)| name.as_str()).collect();
        let mut tokens = Vec::new();
        for piece in rendered.pieces(&names) {
            match piece {
                Piece::Text(text) => tokens.extend(engine.tokens(&text)),
                Piece::Control(name) => {
                    let known = vocabulary.control.iter().find(|(known, _)| *known == name);
                    tokens.extend(known.map(|(_, token)| *token));
                }
            }
        }
        if let Some(begin) = vocabulary.begin
            && tokens.first() != Some(&begin)
        {
            tokens.insert(0, begin);
        }
        Ok(tokens)
    }
}

fn plain(role: template::Role, content: String) -> template::Message {
    template::Message { role, content, calls: Vec::new(), answers: None }
}

/// A message as templates know it; each result of a call is one of its own.
fn lay_out(message: &Message, all: &[Message], into: &mut Vec<template::Message>) {
    let role = match message.role {
        Role::User => template::Role::User,
        Role::Assistant => template::Role::Assistant,
    };
    let mut own = plain(role, String::new());
    for part in &message.parts {
        match part {
            ContentPart::Text { text } => own.content.push_str(text),
            ContentPart::Image { .. } => own.content.push_str(UNSEEN),
            ContentPart::Reasoning { .. } => {}
            ContentPart::ToolCall(call) => own.calls.push(template::Call {
                id: call.id.clone(),
                name: call.sent_name().to_owned(),
                arguments: serde_json::from_str(call.sent_arguments()).unwrap_or_else(|_| json!({})),
            }),
            ContentPart::ToolResult(result) => {
                let made = all.iter().flat_map(Message::calls).find(|call| call.id == result.call);
                let name = made.map_or_else(String::new, |call| call.sent_name().to_owned());
                into.push(template::Message {
                    answers: Some((result.call.clone(), name)),
                    ..plain(template::Role::Tool, result.text.clone())
                });
            }
        }
    }
    if !own.content.is_empty() || !own.calls.is_empty() {
        into.push(own);
    }
}
