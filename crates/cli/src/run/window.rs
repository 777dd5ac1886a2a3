//! The context of a model on this machine, looked up beside the first sample: the session is told, so that its conversation
//! gives way in time, and a short one is said, with what to do. Holds nothing up; a server that does not say is no matter.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use codetether_event::{ModelId, Op};
use codetether_provider::{LocalServer, LocalWindow, local_window};
use tokio::task::JoinHandle;

use crate::models::Found;

/// With less than this a job in a project does not fit, tokens.
const ENOUGH: u64 = 65_536;
/// The first sample goes first.
const AFTER: Duration = Duration::from_millis(100);
/// How long the end of a run waits for an answer that is on its way.
const END_WAIT: Duration = Duration::from_millis(250);

/// The question how long the context is. Dropped, it is asked no more.
pub(crate) struct Probe {
    task: Option<JoinHandle<Option<Window>>>,
    /// Whether it has been sent.
    sent: Arc<AtomicBool>,
    window: Option<Window>,
    model: ModelId,
}

/// The context of a model.
#[derive(Debug, Clone, Copy)]
enum Window {
    /// On a server of this machine, whose user can make it longer.
    Served(LocalWindow),
    /// Of the engine in this program, tokens: what memory allows.
    Embedded(u64),
}

impl Probe {
    /// Asks the model's server or engine, if it is on this machine.
    pub(crate) fn start(found: &Found, model: &ModelId) -> Self {
        if let Some(place) = found.embedded.clone() {
            let task =
                tokio::spawn(async move { codetether_local::window(&place).await.map(Window::Embedded) });
            return Self { task: Some(task), sent: Arc::default(), window: None, model: model.clone() };
        }
        let client = codetether_net::is_loopback(&found.base_url)
            .then(|| codetether_net::client(&found.base_url).ok())
            .flatten();
        let (base_url, name) = (found.base_url.clone(), model.model().to_owned());
        let sent = Arc::<AtomicBool>::default();
        let sending = sent.clone();
        let task = client.map(|client| {
            tokio::spawn(async move {
                tokio::time::sleep(AFTER).await;
                sending.store(true, Ordering::Relaxed);
                local_window(&client, &base_url, &name).await.map(Window::Served)
            })
        });
        Self { task, sent, window: None, model: model.clone() }
    }

    /// Asks nobody.
    pub(crate) fn none(model: &ModelId) -> Self {
        Self { task: None, sent: Arc::default(), window: None, model: model.clone() }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.task.is_some()
    }

    /// Waits for the answer, and makes of it what the session is to know. Without a question it does not come back.
    pub(crate) async fn heard(&mut self) -> Option<Op> {
        let Some(task) = &mut self.task else { return std::future::pending().await };
        self.window = task.await.ok().flatten();
        self.task = None;
        let tokens = match self.window? {
            Window::Served(window) => window.tokens,
            Window::Embedded(tokens) => tokens,
        };
        let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
        Some(Op::Window { model: self.model.clone(), tokens })
    }

    /// What there is to say once the run is over, if anything. A question that was not sent by then is not waited for.
    pub(crate) async fn end(&mut self) -> Option<String> {
        if self.is_open() && self.sent.load(Ordering::Relaxed) {
            // What does not come in time is not said.
            let _ = tokio::time::timeout(END_WAIT, self.heard()).await;
        }
        match self.window? {
            Window::Served(window) => warning(&self.model, window),
            Window::Embedded(_) => None,
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

fn warning(model: &ModelId, window: LocalWindow) -> Option<String> {
    if window.tokens >= ENOUGH {
        return None;
    }
    let cure = match window.server {
        LocalServer::Ollama => {
            "start Ollama with `OLLAMA_CONTEXT_LENGTH=65536`, or set `num_ctx` in the model's file"
        }
        LocalServer::LlamaServer => "start the server with `-c 65536` or more (shared by its slots: `-np 1`)",
        LocalServer::LmStudio => "load the model with a longer context (`lms load --context-length 65536`)",
        LocalServer::Vllm => "start the server with `--max-model-len 65536` or more",
        LocalServer::Other => "start the server with a longer context",
    };
    Some(format!(
        "warning: `{model}` has a context of {} tokens on this server, and work in a project needs {ENOUGH}: {cure}",
        window.tokens
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_context_is_said_with_its_cure() {
        let said = |tokens, server| warning(&ModelId::new("h/m"), LocalWindow { tokens, server });
        assert_eq!(said(65_536, LocalServer::Ollama), None);
        let text = said(4_096, LocalServer::Ollama).unwrap();
        assert!(text.contains("4096 tokens") && text.contains("`OLLAMA_CONTEXT_LENGTH=65536`"), "{text}");
        for (server, cure) in [
            (LocalServer::LlamaServer, "-c 65536"),
            (LocalServer::LmStudio, "--context-length"),
            (LocalServer::Vllm, "--max-model-len"),
        ] {
            assert!(said(65_535, server).unwrap().contains(cure));
        }
    }
}
