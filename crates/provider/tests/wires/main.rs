//! The wires against a scripted server on loopback: what holds for every one of them, and what is one's own.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod anthropic;
mod asking;
mod cases;
mod every;
mod form;
mod gemini;
mod listing;
mod openai_chat;
mod openai_responses;
mod openrouter;
mod strict;
