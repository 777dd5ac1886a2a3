//! Every key there is: what it means, its default, the variable that sets it, and what a project may do with it. All
//! else that deals with keys follows from these tables. Puts no layers together.

use std::collections::BTreeMap;

use codetether_event::{Effort, Mode, Retry, Temperature};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::keys::{Table, Taken, Value, keys, table_field};
use crate::{Dollars, Hooks, Model, Models, Names, Seconds, Size};

/// What may happen without asking, where nothing is set and commands are confined in namespaces.
pub(crate) const MODE: Mode = Mode::AutoEdit;

/// The same, where they are not.
pub(crate) const MODE_ELSEWHERE: Mode = Mode::Ask;

/// Most answers of a turn, where nothing is set.
pub(crate) const MAX_STEPS: u32 = 100;

/// Most gigabytes kept of files, where nothing is set.
pub(crate) const UNDO_MAX_SIZE: u32 = 5;

/// The share of the window that a conversation may take, where nothing is set.
pub(crate) const COMPACT_AT: u32 = 80;

/// Seconds that a check may take, where nothing is set.
pub(crate) const CHECK_SECONDS: u64 = codetether_event::Check::TIME_MS / 1000;

/// Bytes of tools' schemas in a request.
const TOOL_SCHEMAS: u32 = 6_000;

keys! {
    /// What one source of settings may say. Every key is optional.
    pub struct Layer {
        /// The model that is asked, as `provider/model`.
        #[key(default = None, unset = "the usual one of the first known vendor whose key is there", variable = "CODETETHER_MODEL", project = SetWhenTrusted)]
        pub model: Option<Model>,
        /// The agent that does the job: `build`, `plan`, `explore` or one of your own (`agents/NAME.md`). It narrows what
        /// else is set, and may name a model that is asked in place of `model`.
        #[key(default = None, unset = "`build`", variable = "CODETETHER_AGENT", project = SetWhenTrusted)]
        pub agent: Option<String>,
        /// What may happen without asking: `plan` reads only, `ask` asks for writes and commands, `auto-edit` asks for
        /// commands, `bypass` asks for nothing. Where nothing is set and commands are not confined in namespaces, it is
        /// `ask`.
        #[key(default = Some(MODE), variable = "CODETETHER_MODE", project = Narrow)]
        pub mode: Option<Mode>,
        /// How hard a reasoning model thinks: `minimal`, `low`, `medium` or `high`.
        #[key(default = None, unset = "the provider's own", variable = "CODETETHER_EFFORT", project = SetWhenTrusted)]
        pub effort: Option<Effort>,
        /// Most tokens of one answer.
        #[key(default = None, unset = "the provider's own", variable = "CODETETHER_MAX_OUTPUT", project = Narrow)]
        pub max_output: Option<u32>,
        /// How much of an answer is left to chance: a number from 0 to 2.
        #[key(default = None, unset = "the provider's own", variable = "CODETETHER_TEMPERATURE", project = SetWhenTrusted)]
        pub temperature: Option<Temperature>,
        /// Most answers asked for in a turn.
        #[key(default = Some(MAX_STEPS), variable = "CODETETHER_MAX_STEPS", project = Narrow)]
        pub max_steps: Option<u32>,
        /// Models that go on, in order, where the one before failed for good: its server is not reached, overloaded or
        /// broken after all tries, or its account is spent. Each is told when it takes over.
        #[key(default = None, unset = "none", project = SetWhenTrusted)]
        pub fallback: Option<Models>,
        /// Models by size. Where one is set besides the usual one, each prompt goes to the one that should be enough for it,
        /// unless a flag, a variable or an agent names a model. [routing.md](routing.md) says how.
        #[key(default = Table::defaults(), project = SetWhenTrusted)]
        pub tiers: TiersLayer,
        /// Where models may be asked: `any`, or `local` for none but those on this machine.
        #[key(default = Some(Privacy::Any), variable = "CODETETHER_PRIVACY", project = Narrow)]
        pub privacy: Option<Privacy>,
        /// What may be spent.
        #[key(default = Table::defaults(), project = Nothing)]
        pub limits: Limits,
        /// What commands that the agent runs are confined in.
        #[key(default = Table::defaults(), project = Nothing)]
        pub sandbox: SandboxLayer,
        /// What is remembered of files, so that changes can be taken back.
        #[key(default = Table::defaults(), project = Nothing)]
        pub undo: UndoLayer,
        /// What the model is told.
        #[key(default = Table::defaults(), project = Nothing)]
        pub context: ContextLayer,
        /// What the tool `web_fetch` may reach.
        #[key(default = Table::defaults(), project = Nothing)]
        pub web: WebLayer,
        /// Longest time of a turn.
        #[key(default = None, unset = "no limit", variable = "CODETETHER_MAX_TIME", project = Narrow)]
        pub max_time: Option<Seconds>,
        /// The tools offered; an empty list offers none. A project offers those of its list that you offer too.
        #[key(default = None, unset = "all there are", project = Narrow)]
        pub tools: Option<Names>,
        /// Permission rules that allow, such as `bash(cargo test)`. Those of all layers count.
        #[key(default = Vec::new(), unset = "none", project = SetWhenTrusted)]
        pub allow: Vec<String>,
        /// Permission rules that ask; they outrank those that allow. Those of all layers count.
        #[key(default = Vec::new(), unset = "none", project = Narrow)]
        pub ask: Vec<String>,
        /// Permission rules that deny; they outrank all others. Those of all layers count.
        #[key(default = Vec::new(), unset = "none", project = Narrow)]
        pub deny: Vec<String>,
        /// Commands that have a say at a point of the work, such as `[[hooks.PreToolUse]]`; those of all layers run, in the
        /// order of the layers. [hooks.md](hooks.md) has the points, and what a hook is told and can answer.
        #[key(default = Hooks::default(), unset = "none", project = SetWhenTrusted)]
        pub hooks: Hooks,
        /// What tells whether the work is right. [checks.md](checks.md) says what comes of it.
        #[key(default = Table::defaults(), project = SetWhenTrusted)]
        pub check: CheckLayer,
        /// How failed requests are tried again.
        #[key(default = Table::defaults(), project = SetWhenTrusted)]
        pub retry: RetryLayer,
        /// Endpoints by name; a model `NAME/x` is asked there.
        #[key(default = BTreeMap::new(), unset = "none", project = Nothing)]
        pub providers: BTreeMap<String, Provider>,
        /// What is known of models, by `provider/model`, over what `codetether models show` tells of them: key by key. It
        /// holds for the dated variants of a model too, where they have no table of their own.
        #[key(default = BTreeMap::new(), unset = "none", project = Nothing)]
        pub models: BTreeMap<String, ModelSettings>,
        /// Where HashiCorp Vault or OpenBao is, with a secret per provider.
        #[key(default = Table::defaults(), project = Nothing)]
        pub vault: Vault,
        /// Rules that hold in one folder only, by its absolute path (without links); approvals "always" are kept here.
        #[key(default = BTreeMap::new(), unset = "none", project = Nothing, user_only = true)]
        pub folders: BTreeMap<String, Folder>,
    }
}

keys! {
    /// How failed requests are tried again.
    pub struct RetryLayer {
        /// Tries of one step, the first among them.
        #[key(default = Some(Retry::default().max_tries))]
        pub max_tries: Option<u32>,
        /// Milliseconds before the second try, doubled at each further one.
        #[key(default = u32::try_from(Retry::default().base_ms).ok())]
        pub base_ms: Option<u32>,
        /// Longest time from a step's first failure to its last try.
        #[key(default = Some(Seconds(Retry::default().max_total_ms / 1000)))]
        pub max_time: Option<Seconds>,
    }
}
table_field!(RetryLayer);

keys! {
    /// A command that tells whether the work of a turn is right. It runs where a turn that has changed files would end.
    pub struct CheckLayer {
        /// What `bash` runs in the folder: the work is right if its exit code is 0. `auto` is what the folder's own files
        /// say, such as `cargo test` beside a `Cargo.toml`.
        #[key(default = None, unset = "none")]
        pub command: Option<String>,
        /// Most tries of `codetether run`, 1 to 20: one whose check fails is taken back, files and conversation, and made
        /// anew with more left to chance. Where it is not set, the model is told what the check said instead, and goes on.
        #[key(default = None, unset = "none: the model goes on")]
        pub tries: Option<u32>,
        /// Whether it runs before the model is asked, too, and the model is told what it said.
        #[key(default = Some(false))]
        pub first: Option<bool>,
        /// Longest run of it.
        #[key(default = Some(Seconds(CHECK_SECONDS)))]
        pub time: Option<Seconds>,
    }
}
table_field!(CheckLayer);

keys! {
    /// What may be spent. Before a request is sent, the most that it can cost is set aside, together with what all other
    /// sessions of yours have set aside.
    pub struct Limits {
        /// Most dollars of one run. The answer's limit of tokens is lowered to what is left; where that is below 1,024,
        /// the run ends.
        #[key(default = None, unset = "no limit")]
        pub max_cost: Option<Dollars>,
        /// Whether models whose price is not known may be asked under a limit of money, which they then escape.
        #[key(default = Some(false))]
        pub allow_unknown_price: Option<bool>,
    }
}
table_field!(Limits);

keys! {
    /// What commands that the agent runs are confined in. `codetether sandbox explain` says what that means here.
    pub struct SandboxLayer {
        /// How: `namespaces`, `landlock` (which has gaps: `codetether sandbox doctor` lists them), `none`, or `auto`: the
        /// first of these two that this machine has. Where what is set cannot be had, nothing runs. In `namespaces`, modes
        /// `auto-edit` and `bypass` ask only for what a rule asks about and for what destroys, and a command can ask to run
        /// outside.
        #[key(default = Some(SandboxTier::Auto))]
        pub tier: Option<SandboxTier>,
        /// What mode `bypass` does: `confined` keeps commands in the sandbox, `unconfined` runs them without one.
        #[key(default = Some(Bypass::Confined))]
        pub bypass: Option<Bypass>,
        /// More folders that may be written, besides the workspace.
        #[key(default = None, unset = "none")]
        pub writable: Option<Names>,
        /// More folders that may be read, besides the system and toolchains.
        #[key(default = None, unset = "none")]
        pub readable: Option<Names>,
        /// Variables that are passed on, besides those that commands always inherit.
        #[key(default = None, unset = "none")]
        pub env: Option<Names>,
        /// Hosts that commands may reach, in tier `namespaces` and modes other than `plan`: `HOST`, `*.SUFFIX`, each at
        /// ports 80 and 443 or with a `:PORT`, `HOST:PORT/private` in a private network, or a preset (`cargo`, `npm`,
        /// `pip`, `go`). At a terminal you are asked about others when a command wants to reach them; "always" adds them
        /// here.
        #[key(default = None, unset = "none")]
        pub net: Option<Names>,
        /// Most private memory of one process, such as `512M` or `8G`; `none` for no bound.
        #[key(default = None, unset = "`4G`")]
        pub memory: Option<Size>,
        /// Most processes and threads of a command at a time.
        #[key(default = None, unset = "512, and 32 for each processor")]
        pub processes: Option<u32>,
        /// Largest file that may be written, such as `1G`; `none` for no bound.
        #[key(default = None, unset = "`none`")]
        pub file_size: Option<Size>,
        /// Whether a line is recorded of each command that the agent runs, confined or not: when, how it ended, and what it
        /// was denied. `codetether audit` shows them.
        #[key(default = Some(true))]
        pub audit: Option<bool>,
    }
}
table_field!(SandboxLayer);

keys! {
    /// What is remembered of files, so that changes can be taken back.
    pub struct UndoLayer {
        /// Whether the files are remembered before and after each call that could change them.
        #[key(default = Some(true))]
        pub enabled: Option<bool>,
        /// Most gigabytes that are kept of all folders and sessions. Over that, what is longest unused goes first, but
        /// nothing of a session that is open.
        #[key(default = Some(UNDO_MAX_SIZE))]
        pub max_size: Option<u32>,
    }
}
table_field!(UndoLayer);

keys! {
    /// What the model is told.
    pub struct ContextLayer {
        /// The share of the model's window, in percent, from which on the conversation gives way: outputs of older calls
        /// are left out, then older messages become a summary. 0 is never. A request that did not fit is made to fit in
        /// any other case, also where the window is not known.
        #[key(default = Some(COMPACT_AT))]
        pub compact_at: Option<u32>,
        /// Bytes that the schemas of tools may take at the start of each request. Where all take more, the tools that are
        /// used most are shown, and the model finds the others through `tool_search`.
        #[key(default = Some(TOOL_SCHEMAS))]
        pub tool_schemas: Option<u32>,
    }
}
table_field!(ContextLayer);

keys! {
    /// Models by size, as `provider/model`.
    pub struct TiersLayer {
        /// The one for jobs that a small model does as well.
        #[key(default = None, unset = "none")]
        pub small: Option<Model>,
        /// The usual one.
        #[key(default = None, unset = "`model`")]
        pub main: Option<Model>,
        /// The one that goes on where the usual one is not enough.
        #[key(default = None, unset = "none")]
        pub heavy: Option<Model>,
    }
}
table_field!(TiersLayer);

keys! {
    /// What the tool `web_fetch` may reach, besides public hosts, which it asks about.
    pub struct WebLayer {
        /// Hosts on this machine and in private networks that it may reach, where permission is given for them: `HOST:PORT`,
        /// or `HOST` for ports 80 and 443, such as `127.0.0.1:8080`. No other private address is ever dialled.
        #[key(default = None, unset = "none")]
        pub allow_private: Option<Names>,
    }
}
table_field!(WebLayer);

keys! {
    /// A KV2 store of HashiCorp Vault or OpenBao; asked once, for a key that is not in the environment.
    pub struct Vault {
        /// Its address, such as `https://vault.example.com:8200`.
        #[key(default = None, unset = "`VAULT_ADDR`, else no such store is asked")]
        pub address: Option<String>,
        /// Where the KV2 engine is mounted.
        #[key(default = None, unset = "`VAULT_MOUNT`, else `secret`")]
        pub mount: Option<String>,
        /// The path whose children are named after providers; each holds the key as `api_key`.
        #[key(default = None, unset = "`VAULT_SECRETS_PATH`, else `codetether/providers`")]
        pub path: Option<String>,
        /// The namespace.
        #[key(default = None, unset = "`VAULT_NAMESPACE`, else none")]
        pub namespace: Option<String>,
        /// The role of an AppRole login, which is used where there is no token.
        #[key(default = None, unset = "`VAULT_ROLE_ID`, else no login")]
        pub role_id: Option<String>,
        /// The environment variable that holds the secret id of that login.
        #[key(default = None, unset = "`VAULT_SECRET_ID`")]
        pub secret_id_env: Option<String>,
        /// The environment variable that holds the token.
        #[key(default = None, unset = "`VAULT_TOKEN`")]
        pub token_env: Option<String>,
    }
}
table_field!(Vault);

keys! {
    /// An endpoint.
    pub struct Provider {
        /// Where it is, such as `http://127.0.0.1:8080/v1`.
        #[key(default = None, unset = "none: it has to be set, but for the vendors that are known by name")]
        pub base_url: Option<String>,
        /// What it speaks: `openai-chat` (OpenAI's Chat Completions, as most servers do), `openai-responses` (OpenAI's
        /// Responses), `anthropic` (Anthropic's Messages) or `gemini` (Google's Gemini).
        #[key(default = None, unset = "`openai-chat`; `anthropic` for `anthropic`, `gemini` for `google`")]
        pub wire: Option<Wire>,
        /// The environment variable that holds its key.
        #[key(default = None, unset = "none; the usual one for the vendors that are known by name, such as `OPENAI_API_KEY` for `openai`")]
        pub key_env: Option<String>,
        /// A command whose standard output is the key, asked last: words, with quotes where a word holds spaces, not a
        /// shell's program. It is run once, and may take 30 seconds.
        #[key(default = None, unset = "none")]
        pub key_command: Option<String>,
        /// How tools are called: `native`, or `schema` (over `openai-chat` alone) for servers and models that make no
        /// tool calls of their own.
        #[key(default = Some(ToolCalls::Native))]
        pub tool_calls: Option<ToolCalls>,
        /// Whether the server is told to hold the model to the schemas of tools: by `strict`, or by Gemini's mode
        /// `VALIDATED`. A tool whose schema could not be held to without forcing wrong arguments is declared as it is
        /// (with Gemini, all are then). Compatible servers differ in what they make of it, and Anthropic refuses
        /// requests whose tools add up to more than it documents. Arguments are checked here either way.
        #[key(default = None, unset = "`true` at OpenAI's own address, else `false`")]
        pub strict_tools: Option<bool>,
        /// The models that it offers, for an endpoint that does not list them; it is not asked then, and a model that is
        /// not among them is a slip.
        #[key(default = None, unset = "what it lists when it is asked")]
        pub models: Option<Names>,
        /// Further headers of every request.
        #[key(default = BTreeMap::new(), unset = "none")]
        pub headers: BTreeMap<String, String>,
        /// Longest silence of the server before a try counts as failed.
        #[key(default = None, unset = "90 seconds; 300 with a model that reasons or an `effort`, and with a server on this machine")]
        pub idle_timeout: Option<Seconds>,
        /// Longest time of one answer.
        #[key(default = None, unset = "no limit")]
        pub total_timeout: Option<Seconds>,
    }
}

keys! {
    /// What is known of a model.
    pub struct ModelSettings {
        /// Most tokens of a prompt.
        #[key(default = None, unset = "what is known")]
        pub window: Option<u32>,
        /// Most tokens of an answer. Requests ask for no more, unless a flag says so.
        #[key(default = None, unset = "what is known; requests ask for what `max_output` for all models says")]
        pub max_output: Option<u32>,
        /// How hard it thinks: `minimal`, `low`, `medium` or `high`. A flag outranks it; it outranks `effort` for all
        /// models.
        #[key(default = None, unset = "`effort` for all models")]
        pub effort: Option<Effort>,
        /// How much of its answers is left to chance: a number from 0 to 2. A flag outranks it; it outranks
        /// `temperature` for all models.
        #[key(default = None, unset = "`temperature` for all models")]
        pub temperature: Option<Temperature>,
        /// Dollars of the prompt's tokens, in dollars per million. It holds for prompts of any size.
        #[key(default = None, unset = "what is known")]
        pub input_price: Option<Dollars>,
        /// Dollars of the answer's tokens, in dollars per million. It holds for prompts of any size.
        #[key(default = None, unset = "what is known")]
        pub output_price: Option<Dollars>,
        /// Dollars of the prompt's tokens that a cache gave, in dollars per million.
        #[key(default = None, unset = "what is known, else `input_price`")]
        pub cache_read_price: Option<Dollars>,
        /// Dollars of the prompt's tokens that a cache took, in dollars per million.
        #[key(default = None, unset = "what is known, else `input_price`")]
        pub cache_write_price: Option<Dollars>,
        /// Whether it calls tools.
        #[key(default = None, unset = "what is known")]
        pub tools: Option<bool>,
        /// Whether it is a small model: it is told less, offered three or four tools, and, where it is asked alone, held to a
        /// check of the folder's own.
        #[key(default = None, unset = "`true` for a model inside this program, else `false`")]
        pub small: Option<bool>,
        /// Whether it takes images.
        #[key(default = None, unset = "what is known")]
        pub images: Option<bool>,
        /// Whether it reasons before it answers.
        #[key(default = None, unset = "what is known")]
        pub reasoning: Option<bool>,
        /// Whether the provider makes its answers fit a JSON Schema.
        #[key(default = None, unset = "what is known")]
        pub schema: Option<bool>,
    }
}

keys! {
    /// Rules that hold in one folder only.
    pub struct Folder {
        /// Permission rules that allow.
        #[key(default = Vec::new(), unset = "none")]
        pub allow: Vec<String>,
        /// Permission rules that ask.
        #[key(default = Vec::new(), unset = "none")]
        pub ask: Vec<String>,
        /// Permission rules that deny.
        #[key(default = Vec::new(), unset = "none")]
        pub deny: Vec<String>,
    }
}

/// Where models may be asked, the narrowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Privacy {
    /// On this machine alone.
    Local,
    /// Anywhere.
    #[default]
    Any,
}

impl Value for Privacy {
    const WANTED: &'static str = "text";

    fn narrower(ours: Self, theirs: Self) -> (Self, Taken) {
        if theirs < ours { (theirs, Taken::Yes) } else { (ours, Taken::NoNeed) }
    }
}

/// What commands are confined in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SandboxTier {
    /// The strongest that this machine has.
    #[default]
    Auto,
    /// Namespaces, Landlock and seccomp.
    Namespaces,
    /// Landlock and seccomp alone, which leave gaps.
    Landlock,
    /// Nothing.
    None,
}

impl Value for SandboxTier {
    const WANTED: &'static str = "text";
}

/// What mode `bypass` does to the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Bypass {
    /// Nothing: commands run in it.
    #[default]
    Confined,
    /// There is none.
    Unconfined,
}

impl Value for Bypass {
    const WANTED: &'static str = "text";
}

/// What an endpoint speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Wire {
    /// OpenAI's Chat Completions.
    #[default]
    #[serde(rename = "openai-chat")]
    OpenAiChat,
    /// OpenAI's Responses.
    #[serde(rename = "openai-responses")]
    OpenAiResponses,
    /// Anthropic's Messages.
    Anthropic,
    /// Google's Gemini.
    Gemini,
}

impl Value for Wire {
    const WANTED: &'static str = "text";
}

/// How tools are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ToolCalls {
    /// By the wire's own tool calls.
    #[default]
    Native,
    /// By an answer that must fit the union of the tools' schemas.
    Schema,
}

impl Value for ToolCalls {
    const WANTED: &'static str = "text";
}
