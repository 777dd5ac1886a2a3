//! How long a context really is on a server of this machine: such servers cut it to what memory allows, and cut requests
//! to it without a word. Asks only addresses of this machine, and only reads; never fails, for nothing depends on it.
//!
//! Sources: Ollama, `docs/context-length.mdx`, and `ollama` 0.6.3, `_types.py`; llama.cpp's `/props`; LM Studio, REST API
//! v0; vLLM's `max_model_len` (LiteLLM, `llms/openai_like/model_info.py`).

use std::time::Duration;

use http::header::{CONNECTION, CONTENT_TYPE};
use reqwest::{Client, RequestBuilder, Url};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

/// Most bytes of an answer.
const BYTES_MAX: usize = 4 << 20;
/// Longest time of one question.
const ANSWER_WAIT: Duration = Duration::from_secs(3);
/// Time between two questions whether Ollama has loaded the model.
const LOADING: Duration = Duration::from_millis(500);
/// How often it is asked: a model that is loaded for the first sample is there after a minute.
const LOADING_MAX: usize = 120;

/// Which server it is, as far as it says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalServer {
    /// Ollama.
    Ollama,
    /// llama.cpp's server.
    LlamaServer,
    /// LM Studio.
    LmStudio,
    /// vLLM, or another that says what vLLM says.
    Vllm,
    /// One that names the length of contexts in its list of models.
    Other,
}

/// The context of a model as it is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalWindow {
    /// Tokens of a request and its answer together.
    pub tokens: u64,
    /// Who says so.
    pub server: LocalServer,
}

/// The real window of a model that is asked at this address of this machine, if the server says. With Ollama it waits
/// until the model is loaded, at most a minute, for nothing else says how long its context is. Dropped, it asks no more.
pub async fn local_window(client: &Client, base_url: &str, model: &str) -> Option<LocalWindow> {
    let asked = Asked { client, base: Url::parse(base_url.trim()).ok()?, model };
    let local = match asked.base.host_str()? {
        "localhost" => true,
        host => {
            let host = host.trim_matches(['[', ']']);
            host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
        }
    };
    if !local {
        return None;
    }
    let found = |server: LocalServer| move |tokens| LocalWindow { tokens, server };
    let listed = asked.listed().await;
    if let Some(window) = listed.as_ref().and_then(vllm).map(found(LocalServer::Vllm)) {
        return Some(window);
    }
    if let Some(window) = asked.llama_server().await.map(found(LocalServer::LlamaServer)) {
        return Some(window);
    }
    if let Some(window) = asked.lm_studio().await.map(found(LocalServer::LmStudio)) {
        return Some(window);
    }
    if let Some(window) = listed.as_ref().and_then(other).map(found(LocalServer::Other)) {
        return Some(window);
    }
    asked.ollama().await.map(found(LocalServer::Ollama))
}

struct Asked<'a> {
    client: &'a Client,
    base: Url,
    model: &'a str,
}

impl Asked<'_> {
    /// The model as it stands in the list of a compatible server.
    async fn listed(&self) -> Option<Value> {
        let models = self.get(&format!("{}/models", self.base.path().trim_end_matches('/'))).await?;
        models["data"].as_array()?.iter().find(|model| model["id"] == self.model).cloned()
    }

    async fn llama_server(&self) -> Option<u64> {
        let props = self.get("/props").await?;
        tokens(&props["default_generation_settings"]["n_ctx"])
    }

    async fn lm_studio(&self) -> Option<u64> {
        let models = self.get("/api/v0/models").await?;
        let model = models["data"].as_array()?.iter().find(|model| model["id"] == self.model)?;
        tokens(&model["loaded_context_length"]).or_else(|| tokens(&model["max_context_length"]))
    }

    async fn ollama(&self) -> Option<u64> {
        if let Some(window) = self.loaded(&self.get("/api/ps").await?)? {
            return Some(window);
        }
        let body = json!({ "model": self.model }).to_string();
        let show = self.client.post(self.at("/api/show")).header(CONTENT_TYPE, "application/json").body(body);
        let about = self.json(show).await?;
        let set = about["parameters"].as_str().unwrap_or_default().lines().find_map(|line| {
            line.trim().strip_prefix("num_ctx")?.trim().parse::<u64>().ok().filter(|tokens| *tokens > 0)
        });
        if set.is_some() {
            return set;
        }
        for _ in 0..LOADING_MAX {
            sleep(LOADING).await;
            if let Some(window) = self.loaded(&self.get("/api/ps").await?)? {
                return Some(window);
            }
        }
        None
    }

    /// The window of the model if it is loaded; nothing at all where this is no list of loaded models.
    fn loaded(&self, list: &Value) -> Option<Option<u64>> {
        let models = list["models"].as_array()?;
        let latest = format!("{}:latest", self.model);
        let is_meant = |name: &Value| *name == self.model || *name == latest.as_str();
        let model = models.iter().find(|model| is_meant(&model["name"]) || is_meant(&model["model"]));
        Some(model.and_then(|model| tokens(&model["context_length"])))
    }

    fn at(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_query(None);
        url.set_path(path);
        url
    }

    async fn get(&self, path: &str) -> Option<Value> {
        self.json(self.client.get(self.at(path))).await
    }

    async fn json(&self, request: RequestBuilder) -> Option<Value> {
        let read = async {
            // A server that serves one connection at a time must not wait for the end of this one.
            let request = request.header(CONNECTION, "close");
            let mut response = request.send().await.ok().filter(|response| response.status().is_success())?;
            let mut body = Vec::new();
            while let Some(bytes) = response.chunk().await.ok()? {
                body.extend_from_slice(&bytes);
                if body.len() > BYTES_MAX {
                    return None;
                }
            }
            serde_json::from_slice(&body).ok()
        };
        timeout(ANSWER_WAIT, read).await.ok().flatten()
    }
}

fn vllm(model: &Value) -> Option<u64> {
    tokens(&model["max_model_len"])
}

/// What other servers say of a model in their list. (`meta.n_ctx_train` is what it was trained with, and no window.)
fn other(model: &Value) -> Option<u64> {
    let said = [&model["n_ctx"], &model["meta"]["n_ctx"], &model["context_length"], &model["context_window"]];
    said.into_iter().find_map(tokens)
}

/// A number of tokens; none for what is no such number.
fn tokens(value: &Value) -> Option<u64> {
    value.as_u64().filter(|tokens| *tokens > 0)
}
