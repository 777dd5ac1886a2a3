//! What one source of settings may say. Every key is optional; its meaning and default stand beside it.

use std::collections::BTreeMap;

use codetether_event::{Effort, Mode};
use serde::Deserialize;

use crate::Seconds;

/// The keys of the user's file, of `-c key=value`, and (those without tables) of `CODETETHER_KEY` variables.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// The model, as `provider/model`. No default.
    pub model: Option<String>,
    /// What may happen without asking: `plan`, `ask`, `auto-edit` or `bypass`. Default: `ask`.
    pub mode: Option<Mode>,
    /// How hard a reasoning model thinks: `minimal`, `low`, `medium` or `high`. Default: the provider's.
    pub effort: Option<Effort>,
    /// Most tokens of one answer. Default: the provider's.
    pub max_output: Option<u32>,
    /// Most answers asked for in a turn. Default: 100.
    pub max_steps: Option<u32>,
    /// Longest time of a turn, such as `"10m"`. Default: none.
    pub max_time: Option<Seconds>,
    /// The tools offered. Default: all.
    pub tools: Option<Vec<String>>,
    /// Permission rules that allow, such as `bash(cargo test)`. Those of all layers count.
    #[serde(default)]
    pub allow: Vec<String>,
    /// Permission rules that deny. Those of all layers count.
    #[serde(default)]
    pub deny: Vec<String>,
    /// How failed requests are tried again.
    #[serde(default)]
    pub retry: RetryLayer,
    /// Endpoints by name; a model `NAME/x` is asked there.
    #[serde(default)]
    pub providers: BTreeMap<String, Provider>,
}

/// How failed requests are tried again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryLayer {
    /// Tries of one step, the first among them. Default: 6.
    pub max_tries: Option<u32>,
    /// Milliseconds before the second try, doubled at each further one. Default: 500.
    pub base_ms: Option<u64>,
    /// Longest time from a step's first failure to its last try. Default: `"5m"`.
    pub max_time: Option<Seconds>,
}

/// An endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Where it is, such as `http://127.0.0.1:8080/v1`.
    pub base_url: Option<String>,
    /// The environment variable that holds its key. Default: none; `OPENAI_API_KEY` for `openai`.
    pub key_env: Option<String>,
    /// How tools are called: `native`, or `schema` for servers and models that make no tool calls of their own.
    pub tool_calls: Option<ToolCalls>,
    /// Further headers of every request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Longest silence of the server before a try counts as failed. Default: `"5m"`.
    pub idle_timeout: Option<Seconds>,
    /// Longest time of one answer. Default: `"30m"`.
    pub total_timeout: Option<Seconds>,
}

/// How tools are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ToolCalls {
    /// By the wire's own tool calls.
    #[default]
    Native,
    /// By an answer that must fit the union of the tools' schemas.
    Schema,
}

/// The keys of a project's file: it can narrow and nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Narrowing {
    /// Permission rules that deny, besides the user's.
    #[serde(default)]
    pub deny: Vec<String>,
    /// The tools offered, as far as the user offers them.
    pub tools: Option<Vec<String>>,
    /// Most tokens of one answer, if lower than the user's.
    pub max_output: Option<u32>,
    /// Most answers asked for in a turn, if lower than the user's.
    pub max_steps: Option<u32>,
    /// Longest time of a turn, if shorter than the user's.
    pub max_time: Option<Seconds>,
}

/// The keys of [`Layer`], in order.
pub(crate) const KEYS: &[&str] = &[
    "model",
    "mode",
    "effort",
    "max_output",
    "max_steps",
    "max_time",
    "tools",
    "allow",
    "deny",
    "retry",
    "providers",
];
/// The keys of [`Narrowing`], in order.
pub(crate) const NARROWING_KEYS: &[&str] = &["deny", "tools", "max_output", "max_steps", "max_time"];
