//! Which models endpoints offer, over every wire, and how long a context is on a server of this machine.

use codetether_event::{ProviderFailure, ProviderFailureKind as Kind};
use codetether_provider::{Listed, LocalServer, LocalWindow, local_window};
use codetether_testkit::{Reply, Request, Server};
use serde_json::{Value, json};

use crate::asking::{ANTHROPIC, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES, SHORT, WIRES, Wire, client, endpoint};

/// A server that answers at these paths, and knows no others.
fn server<const N: usize>(pages: [(&'static str, Value); N]) -> Server {
    Server::with(move |request| {
        let page = pages.iter().find(|(path, _)| *path == request.path);
        page.map_or_else(|| Reply::status(404), |(_, page)| json_reply(page))
    })
}

fn json_reply(value: &Value) -> Reply {
    Reply::status(200).header("content-type", "application/json").body(value.to_string())
}

async fn list(wire: &Wire, server: &Server) -> Result<Vec<Listed>, ProviderFailure> {
    (wire.provider)(&endpoint(server)).models().await
}

fn listed(id: &str, window: impl Into<Option<u64>>, max_output: impl Into<Option<u64>>) -> Listed {
    Listed { id: id.into(), window: window.into(), max_output: max_output.into(), name: None }
}

#[tokio::test]
async fn openais_list_is_read_in_the_words_of_many_servers() {
    let models = json!([
        {"id": "plain", "object": "model"},
        {"id": "a/routed", "name": "Routed", "context_length": 200_000, "top_provider": {"max_completion_tokens": 64_000}},
        {"id": "fast", "context_window": 131_072, "max_completion_tokens": 32_768},
        {"id": "served", "max_model_len": 4_096, "max_output_tokens": -1},
        {"id": 7}, {"name": "no id"}, null,
    ]);
    let wanted = vec![
        listed("plain", None, None),
        Listed { name: Some("Routed".into()), ..listed("a/routed", 200_000, 64_000) },
        listed("fast", 131_072, 32_768),
        listed("served", 4_096, None),
    ];
    for page in [json!({"object": "list", "data": models}), models] {
        let server = server([("/v1/models", page)]);
        for wire in [&OPENAI_CHAT, &OPENAI_RESPONSES] {
            assert_eq!(list(wire, &server).await.unwrap(), wanted);
        }
        let requests = server.requests();
        let (key, value) = OPENAI_CHAT.key;
        assert!(requests.iter().all(|request| request.header(key) == Some(value) && request.method == "GET"));
        assert_eq!(requests[0].header("x-team"), Some("blue"));
    }
}

#[tokio::test]
async fn anthropics_pages_are_followed_to_the_last() {
    let first = json!({"data": [{"id": "a", "display_name": "A", "max_input_tokens": 1_000_000, "max_tokens": 64_000}],
        "has_more": true, "last_id": "a"});
    let last = json!({"data": [{"id": "b", "max_input_tokens": null}], "has_more": false, "last_id": "b"});
    let server = server([("/v1/models?limit=1000", first), ("/v1/models?limit=1000&after_id=a", last)]);
    let a = Listed { name: Some("A".into()), ..listed("a", 1_000_000, 64_000) };
    assert_eq!(list(&ANTHROPIC, &server).await.unwrap(), [a, listed("b", None, None)]);
    assert_eq!(server.requests()[1].header("anthropic-version"), Some("2023-06-01"));
}

#[tokio::test]
async fn geminis_pages_are_followed_and_what_generates_nothing_is_left_out() {
    let first = json!({"models": [
        {"name": "models/g", "displayName": "G", "inputTokenLimit": 1_048_576, "outputTokenLimit": 65_536,
         "supportedGenerationMethods": ["generateContent"]},
        {"name": "models/embed", "supportedGenerationMethods": ["embedContent"]},
    ], "nextPageToken": "t/2"});
    let last = json!({"models": [{"name": "tunedModels/mine"}]});
    let server =
        server([("/v1/models?pageSize=1000", first), ("/v1/models?pageSize=1000&pageToken=t%2F2", last)]);
    let g = Listed { name: Some("G".into()), ..listed("g", 1_048_576, 65_536) };
    assert_eq!(list(&GEMINI, &server).await.unwrap(), [g, listed("tunedModels/mine", None, None)]);
}

#[tokio::test]
async fn a_list_that_cannot_be_had_is_a_failure_of_its_class() {
    for wire in &WIRES {
        let failed = |reply: Reply| async move {
            let server = Server::with(move |_| reply.clone());
            let mut endpoint = endpoint(&server);
            endpoint.idle_timeout = Some(SHORT);
            let failure = (wire.provider)(&endpoint).models().await.unwrap_err();
            (failure.kind, failure.message)
        };
        let (kind, message) = failed(Reply::status(401).body(r#"{"error":{"message":"bad key"}}"#)).await;
        assert_eq!((kind, message.as_str()), (Kind::Auth, "`acme` answered 401: bad key"));
        let (kind, message) = failed(Reply::status(404)).await;
        assert!(kind == Kind::BadRequest && message.ends_with("(is `base_url` right?)"), "{message}");
        let (kind, message) = failed(Reply::status(200).body("<html>")).await;
        assert!(kind == Kind::Protocol && message.starts_with("`acme` did not list its models"), "{message}");
        assert_eq!(failed(Reply::stall()).await.0, Kind::Timeout);
        assert_eq!(failed(Reply::hang_up()).await.0, Kind::Connection);
    }
}

#[tokio::test]
async fn a_list_without_an_end_is_left() {
    let numbered = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::with(move |_| {
        let number = numbered.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        json_reply(&json!({"data": [], "models": [], "has_more": true, "last_id": format!("{number}"),
            "nextPageToken": format!("{number}")}))
    });
    for wire in [&ANTHROPIC, &GEMINI] {
        let failure = list(wire, &server).await.unwrap_err();
        assert!(failure.message.ends_with("there are more than 50 pages"), "{}", failure.message);
    }
    let circle = json_reply(&json!({"data": [{"id": "a"}], "has_more": true, "last_id": "a"}));
    let server = Server::with(move |_| circle.clone());
    assert_eq!(list(&ANTHROPIC, &server).await.unwrap().len(), 2, "a page that leads to itself is the last");
}

async fn window(server: &Server, model: &str) -> Option<(u64, LocalServer)> {
    let window = local_window(&client(&endpoint(server)), &server.base_url(), model).await;
    window.map(|LocalWindow { tokens, server }| (tokens, server))
}

#[tokio::test]
async fn the_real_window_is_read_from_each_server_of_this_machine() {
    let vllm = json!({"data": [{"id": "x", "max_model_len": 1}, {"id": "m", "max_model_len": 8_192}]});
    assert_eq!(window(&server([("/v1/models", vllm)]), "m").await, Some((8_192, LocalServer::Vllm)));
    let props = json!({"default_generation_settings": {"n_ctx": 4_096}, "total_slots": 1});
    let llama = server([("/v1/models", json!({"data": [{"id": "m"}]})), ("/props", props)]);
    assert_eq!(window(&llama, "m").await, Some((4_096, LocalServer::LlamaServer)));
    let studio =
        json!({"data": [{"id": "m", "max_context_length": 131_072, "loaded_context_length": 4_096}]});
    let studio = server([("/api/v0/models", studio)]);
    assert_eq!(window(&studio, "m").await, Some((4_096, LocalServer::LmStudio)));
    assert_eq!(window(&studio, "other").await, None);
    for said in [json!({"n_ctx": 2_048}), json!({"meta": {"n_ctx": 2_048}}), json!({"context_length": 2_048})]
    {
        let mut model = said;
        model["id"] = "m".into();
        let other = server([("/v1/models", json!({"data": [model]}))]);
        assert_eq!(window(&other, "m").await, Some((2_048, LocalServer::Other)));
    }
    let loaded = json!({"models": [{"name": "m:latest", "context_length": 32_768}]});
    assert_eq!(window(&server([("/api/ps", loaded)]), "m").await, Some((32_768, LocalServer::Ollama)));
    let set =
        json!({"parameters": "stop \"x\"\nnum_ctx    16384\n", "model_info": {"q.context_length": 40_960}});
    let ollama = server([("/api/ps", json!({"models": []})), ("/api/show", set)]);
    assert_eq!(window(&ollama, "m").await, Some((16_384, LocalServer::Ollama)));
    let asked: Vec<(String, String)> =
        ollama.requests().into_iter().map(|Request { method, path, .. }| (method, path)).collect();
    assert_eq!(asked.last().unwrap(), &("POST".to_owned(), "/api/show".to_owned()));
    assert_eq!(ollama.json(asked.len() - 1), json!({"model": "m"}));
}

#[tokio::test]
async fn a_model_that_is_still_being_loaded_is_waited_for() {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::with(move |request| match request.path.as_str() {
        "/api/ps" if asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 => {
            json_reply(&json!({"models": []}))
        }
        "/api/ps" => json_reply(&json!({"models": [{"model": "m", "context_length": 4_096}]})),
        "/api/show" => json_reply(&json!({"model_info": {"q.context_length": 40_960}})),
        _ => Reply::status(404),
    });
    assert_eq!(window(&server, "m").await, Some((4_096, LocalServer::Ollama)));
}

#[tokio::test]
async fn a_server_that_says_nothing_is_only_looked_at() {
    let server = Server::with(|_| Reply::status(200).body("hello"));
    assert_eq!(window(&server, "m").await, None);
    assert!(server.requests().iter().all(|request| request.method == "GET"));
    let elsewhere = local_window(&client(&endpoint(&server)), "https://h.example/v1", "m").await;
    assert_eq!(elsewhere, None);
}
