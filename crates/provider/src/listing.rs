//! Which models an endpoint offers, in each wire's words. Bounded in bytes, pages, models and time; asked for only when
//! someone wants to know.
//!
//! Sources: the list calls of the SDKs (`openai`; `anthropic` 2.13.0, `types/model_info.py`; `google-genai` 3.6.1,
//! `models.py`; `mistralai` 3.7.0, `basemodelcard.py`); other windows as LiteLLM reads them
//! (`llms/openai_like/model_info.py`), and by the names that OpenRouter and Groq give them.

use std::time::Duration;

use codetether_event::{ProviderFailure, ProviderFailureKind};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;

use crate::attempt::read_start;
use crate::endpoint::Line;
use crate::gemini;

/// Most bytes of all pages.
const BYTES_MAX: usize = 16 << 20;
/// Most pages.
const PAGES_MAX: usize = 50;
/// Most models.
const MODELS_MAX: usize = 20_000;
/// Longest text of a model that is kept, bytes: a longer one is no name.
const TEXT_MAX: usize = 512;
/// Longest time of the whole listing.
const TIME_MAX: Duration = Duration::from_secs(60);

/// A model that an endpoint offers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listed {
    /// What requests call it.
    pub id: String,
    /// Tokens of a request and its answer together, where it is told.
    pub window: Option<u64>,
    /// Most tokens of an answer, where it is told.
    pub max_output: Option<u64>,
    /// What people call it, where that is told.
    pub name: Option<String>,
}

/// How a wire lists its models.
pub(crate) struct Catalogue {
    /// Given the path of `base_url` without its last slashes.
    path: fn(base: &str) -> String,
    /// What asks for long pages.
    size: Option<(&'static str, &'static str)>,
    /// What names where the next page begins.
    cursor: &'static str,
    read: fn(&[u8]) -> Result<Page, serde_json::Error>,
}

struct Page {
    models: Vec<Listed>,
    next: Option<String>,
}

/// One page of `data`; some servers send the list alone.
pub(crate) const OPENAI: Catalogue = Catalogue {
    path: |base| {
        let stem = base.strip_suffix("/chat/completions").or_else(|| base.strip_suffix("/responses"));
        format!("{}/models", stem.unwrap_or(base))
    },
    size: None,
    cursor: "after",
    read: |json| {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Lists {
            Named { data: Vec<Value> },
            Bare(Vec<Value>),
        }
        let (Lists::Named { data } | Lists::Bare(data)) = serde_json::from_slice(json)?;
        let model = |value: &Value| {
            let window = ["context_length", "context_window", "max_context_length", "max_model_len"];
            let output = ["max_completion_tokens", "max_output_tokens", "max_output_length"];
            let routed = &value["top_provider"]["max_completion_tokens"];
            Some(Listed {
                id: text(value, "id")?,
                window: window.iter().find_map(|key| tokens(&value[*key])),
                max_output: output.iter().find_map(|key| tokens(&value[*key])).or_else(|| tokens(routed)),
                name: text(value, "name").or_else(|| text(value, "display_name")),
            })
        };
        Ok(Page { models: data.iter().filter_map(model).collect(), next: None })
    },
};

/// Pages that name their last model.
pub(crate) const ANTHROPIC: Catalogue = Catalogue {
    path: |base| {
        let base = base.strip_suffix("/messages").unwrap_or(base);
        if base.ends_with("/v1") { format!("{base}/models") } else { format!("{base}/v1/models") }
    },
    size: Some(("limit", "1000")),
    cursor: "after_id",
    read: |json| {
        #[derive(Deserialize)]
        struct List {
            data: Vec<Value>,
            #[serde(default)]
            has_more: bool,
            last_id: Option<String>,
        }
        let list: List = serde_json::from_slice(json)?;
        let model = |value: &Value| {
            Some(Listed {
                id: text(value, "id")?,
                window: tokens(&value["max_input_tokens"]),
                max_output: tokens(&value["max_tokens"]),
                name: text(value, "display_name"),
            })
        };
        let models = list.data.iter().filter_map(model).collect();
        Ok(Page { models, next: list.last_id.filter(|_| list.has_more) })
    },
};

/// Pages that name the next; of the models, those that generate content.
pub(crate) const GEMINI: Catalogue = Catalogue {
    path: |base| format!("{}/models", gemini::versioned(base)),
    size: Some(("pageSize", "1000")),
    cursor: "pageToken",
    read: |json| {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct List {
            #[serde(default)]
            models: Vec<Value>,
            next_page_token: Option<String>,
        }
        let list: List = serde_json::from_slice(json)?;
        let generates = |value: &&Value| match value["supportedGenerationMethods"].as_array() {
            Some(methods) => methods.iter().any(|method| method == "generateContent"),
            None => true,
        };
        let model = |value: &Value| {
            let name = text(value, "name")?;
            Some(Listed {
                id: name.strip_prefix("models/").unwrap_or(&name).to_owned(),
                window: tokens(&value["inputTokenLimit"]),
                max_output: tokens(&value["outputTokenLimit"]),
                name: text(value, "displayName"),
            })
        };
        let models = list.models.iter().filter(generates).filter_map(model).collect();
        Ok(Page { models, next: list.next_page_token.filter(|token| !token.is_empty()) })
    },
};

/// A text of a model, if it is a short one.
fn text(value: &Value, key: &str) -> Option<String> {
    let text = value.get(key)?.as_str()?;
    (1..=TEXT_MAX).contains(&text.len()).then(|| text.to_owned())
}

/// A number of tokens; none for what is no such number.
fn tokens(value: &Value) -> Option<u64> {
    value.as_u64().filter(|tokens| *tokens > 0)
}

/// Asks for all pages.
pub(crate) async fn list(line: &Line, catalogue: &Catalogue) -> Result<Vec<Listed>, ProviderFailure> {
    let most = line.total_timeout.min(TIME_MAX);
    match timeout(most, pages(line, catalogue)).await {
        Ok(listed) => listed,
        Err(_) => Err(line.blame.failure(
            ProviderFailureKind::Timeout,
            format!("{} did not list its models within {} s", line.blame.named(), most.as_secs()),
        )),
    }
}

async fn pages(line: &Line, catalogue: &Catalogue) -> Result<Vec<Listed>, ProviderFailure> {
    let wrong = |problem: String| {
        let text = format!("{} did not list its models: {problem}", line.blame.named());
        line.blame.failure(ProviderFailureKind::Protocol, text)
    };
    let target = line.target.as_ref().map_err(Clone::clone)?;
    let idle = line.idle_timeout(false);
    let mut listed = Vec::new();
    let mut bytes = 0_usize;
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let mut url = line.beside(target, catalogue.path);
        let next = cursor.as_deref().map(|cursor| (catalogue.cursor, cursor));
        let query: Vec<_> = catalogue.size.into_iter().chain(next).collect();
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = line.client.get(url).headers(target.headers.clone()).send();
        let mut response = match timeout(idle, request).await {
            Ok(response) => response.map_err(|error| line.blame.transport(&error))?,
            Err(_) => return Err(line.blame.silent(idle)),
        };
        if !response.status().is_success() {
            let (status, headers) = (response.status(), response.headers().clone());
            return Err(line.blame.status(status, &headers, &read_start(response, &line.blame).await, ""));
        }
        let mut body = Vec::new();
        while let Some(read) = response.chunk().await.map_err(|error| line.blame.transport(&error))? {
            bytes = bytes.saturating_add(read.len());
            if bytes > BYTES_MAX {
                return Err(wrong(format!("the list is longer than {} MiB", BYTES_MAX >> 20)));
            }
            body.extend_from_slice(&read);
        }
        let page = (catalogue.read)(&body).map_err(|error| wrong(error.to_string()))?;
        listed.extend(page.models);
        if listed.len() > MODELS_MAX {
            return Err(wrong(format!("there are more than {MODELS_MAX}")));
        }
        match page.next {
            None => return Ok(listed),
            // A page that leads to itself has no end.
            Some(next) if cursor.as_ref() == Some(&next) => return Ok(listed),
            Some(next) => cursor = Some(next),
        }
    }
    Err(wrong(format!("there are more than {PAGES_MAX} pages")))
}
