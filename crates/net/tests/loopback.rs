//! The client against a server on loopback: what it sends, that it keeps its connection, and where it does not go.

#![allow(clippy::unwrap_used, reason = "a test may fail this way")]

use codetether_testkit::{Reply, Server};

/// Posts and reads the whole answer; gives its status and body.
async fn post(client: &reqwest::Client, server: &Server) -> (u16, String) {
    let response = client.post(format!("{}/x", server.base_url())).body("{}").send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let server = Server::with(|_| Reply::text("hi"));
    let client = codetether_net::client(&server.base_url()).unwrap();
    for _ in 0..3 {
        let (status, body) = post(&client, &server).await;
        assert_eq!(status, 200);
        assert!(body.ends_with("data: [DONE]\n\n"), "{body}");
    }
    let requests = server.requests();
    assert_eq!(requests.iter().map(|request| request.connection).collect::<Vec<_>>(), [0, 0, 0]);
    let agent = concat!("codetether/", env!("CARGO_PKG_VERSION"));
    assert_eq!(requests[0].header("user-agent"), Some(agent));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::start([]);
    let server = Server::start([Reply::status(307).header("location", elsewhere.base_url())]);
    let client = codetether_net::client(&server.base_url()).unwrap();
    assert_eq!(post(&client, &server).await.0, 307);
    assert_eq!(elsewhere.requests().len(), 0);
}
