//! Requests that may go through: what reaches the host, and what comes back.

use codetether_net::Upstream;
use codetether_sandbox::proxy::Limits;
use tokio::io::AsyncWriteExt;

use crate::world::{Answer, RULES, World, echo, exactly, rest, says};

/// The proxy's form of an answer of `echo`.
fn echoed(request: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nX-Kept: yes\r\nContent-Length: {}\r\nVia: 1.1 codetether\r\nConnection: close\r\n\r\n{request}",
        request.len()
    )
}

/// A request with `Connection: close`, so that the answer ends.
fn closing(line: &str, more: &str) -> String {
    format!("{line}\r\nConnection: close\r\n{more}\r\n")
}

#[tokio::test]
async fn a_plain_request_is_written_anew_for_its_host() {
    let end = "Via: 1.1 codetether\r\nConnection: close\r\n\r\n";
    let table = [
        (
            closing("GET http://ok.example/a?b=http://evil.example/ HTTP/1.1\r\nHost: ok.example", ""),
            format!("GET /a?b=http://evil.example/ HTTP/1.1\r\nHost: ok.example\r\n{end}"),
            "93.184.216.34:80",
        ),
        (
            closing("GET hTTp://OK.Example.:80 HTTP/1.1\r\nhOsT: ok.example.:80", ""),
            format!("GET / HTTP/1.1\r\nHost: ok.example\r\n{end}"),
            "93.184.216.34:80",
        ),
        (
            closing("GET http://ok.example:8080?x HTTP/1.1\r\nHost: ok.example:8080", ""),
            format!("GET /?x HTTP/1.1\r\nHost: ok.example:8080\r\n{end}"),
            "93.184.216.34:8080",
        ),
        (
            closing("GET http://93.184.216.34/ HTTP/1.1\r\nHost: 93.184.216.34", ""),
            format!("GET / HTTP/1.1\r\nHost: 93.184.216.34\r\n{end}"),
            "93.184.216.34:80",
        ),
        (
            closing("GET http://mirror:4873/pkg HTTP/1.1\r\nHost: mirror:4873", ""),
            format!("GET /pkg HTTP/1.1\r\nHost: mirror:4873\r\n{end}"),
            "10.9.9.9:4873",
        ),
        // Hop-by-hop fields stay here, and so do those that `Connection` names; the others keep order and spelling.
        (
            closing(
                "GET http://ok.example/ HTTP/1.1\r\nHost: ok.example",
                "Accept: a\r\nX-Hop: 1\r\nConnection: x-hop, keep-alive\r\nProxy-Authorization: Basic eA==\r\n\
                 Proxy-Connection: keep-alive\r\nKeep-Alive: 5\r\nTE: trailers\r\nTrailer: X\r\nUpgrade: h2c\r\n\
                 aCCept:  b\t\r\nX-Empty:\r\n",
            ),
            format!("GET / HTTP/1.1\r\nHost: ok.example\r\nAccept: a\r\naCCept: b\r\nX-Empty: \r\n{end}"),
            "93.184.216.34:80",
        ),
        // bodies
        (
            closing("POST http://ok.example/ HTTP/1.1\r\nHost: ok.example", "Content-Length: 5\r\n")
                + "hello",
            "POST / HTTP/1.1\r\nHost: ok.example\r\nContent-Length: 5\r\nVia: 1.1 codetether\r\nConnection: close\r\n\r\nhello".to_owned(),
            "93.184.216.34:80",
        ),
        (
            closing("PUT http://ok.example/ HTTP/1.1\r\nHost: ok.example", ""),
            format!("PUT / HTTP/1.1\r\nHost: ok.example\r\nContent-Length: 0\r\n{end}"),
            "93.184.216.34:80",
        ),
        (
            closing("POST http://ok.example/ HTTP/1.1\r\nHost: ok.example", "Transfer-Encoding: Chunked\r\n")
                + "0005;ext=\"x\"\r\nhello\r\nA \r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n",
            format!(
                "POST / HTTP/1.1\r\nHost: ok.example\r\nTransfer-Encoding: chunked\r\n{end}5\r\nhello\r\na\r\n0123456789\r\n0\r\n\r\n"
            ),
            "93.184.216.34:80",
        ),
        // An old client need not name the host twice.
        (
            "GET http://ok.example/ HTTP/1.0\r\n\r\n".to_owned(),
            format!("GET / HTTP/1.1\r\nHost: ok.example\r\n{end}"),
            "93.184.216.34:80",
        ),
    ];
    for (request, sent, dialled) in table {
        let world = World::new().await;
        assert_eq!((&request, world.ask(request.as_bytes()).await), (&request, echoed(&sent)));
        assert_eq!(world.dialled(), [dialled], "{request}");
    }
}

#[tokio::test]
async fn what_stands_behind_a_body_is_another_request_and_is_judged() {
    let world = World::new().await;
    let first = "POST http://ok.example/ HTTP/1.1\r\nHost: ok.example\r\nContent-Length: 3\r\n\r\nabc";
    let second = "GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n";
    let passed = "POST / HTTP/1.1\r\nHost: ok.example\r\nContent-Length: 3\r\nVia: 1.1 codetether\r\nConnection: close\r\n\r\nabc";
    let denied = says(
        "403 Forbidden",
        "`evil.example:80` is not allowed by the sandbox: no rule names it; the rule `evil.example` would allow it",
    );
    let kept = |answer: String| answer.replace("Connection: close\r\n\r\nPOST", "\r\nPOST");
    assert_eq!(
        world.ask(format!("{first}{first}{second}{first}").as_bytes()).await,
        format!("{0}{0}{denied}", kept(echoed(passed)))
    );
    assert_eq!(world.dialled(), ["93.184.216.34:80", "93.184.216.34:80"]);
}

#[tokio::test]
async fn a_tunnel_carries_any_bytes_to_the_host_that_was_asked_for() {
    let ok = "HTTP/1.1 200 Connection established\r\n\r\n";
    let table = [
        ("CONNECT ok.example:443 HTTP/1.1\r\nHost: ok.example:443\r\n\r\n", "93.184.216.34:443"),
        ("CONNECT OK.EXAMPLE.:80 HTTP/1.0\r\n\r\n", "93.184.216.34:80"),
        ("CONNECT ok.example:443 HTTP/1.1\r\nHost: ok.example\r\n\r\n", "93.184.216.34:443"),
        (
            "CONNECT ok.example:443 HTTP/1.1\r\nContent-Length: 0\r\nProxy-Authorization: x\r\n\r\n",
            "93.184.216.34:443",
        ),
        ("CONNECT a.sub.example:443 HTTP/1.1\r\n\r\n", "93.184.216.35:443"),
        // Of two addresses, the one that is public.
        ("CONNECT both.sub.example:443 HTTP/1.1\r\n\r\n", "93.184.216.38:443"),
        ("CONNECT 127.0.0.1:9000 HTTP/1.1\r\n\r\n", "127.0.0.1:9000"),
        ("CONNECT [2606:4700:0::1]:443 HTTP/1.1\r\n\r\n", "[2606:4700::1]:443"),
        ("CONNECT mirror.corp:443 HTTP/1.1\r\n\r\n", "10.9.9.8:443"),
    ];
    for (request, dialled) in table {
        let world = World::new().await;
        let mut stream = world.connect().await;
        // The first bytes of the client's may come with its request.
        stream.write_all(format!("{request}raw:\0\r\n\r\nGET").as_bytes()).await.unwrap();
        stream.write_all(b"\xff end").await.unwrap();
        stream.shutdown().await.unwrap();
        let expected = [ok.as_bytes(), b"raw:\0\r\n\r\nGET\xff end"].concat();
        let got = rest(&mut stream).await;
        assert_eq!((request, got), (request, expected.escape_ascii().to_string()));
        assert_eq!(world.dialled(), [dialled], "{request}");
    }
}

#[tokio::test]
async fn socks_leads_to_a_name_or_to_an_address_that_a_rule_names() {
    let name = [&[5, 2, 2, 0, 5, 1, 0, 3, 11][..], b"OK.example.", &[1, 187]].concat();
    let address = [&[5, 1, 0, 5, 1, 0, 1, 93, 184, 216, 34][..], &[1, 187]].concat();
    let text = [&[5, 1, 0, 5, 1, 0, 3, 13][..], b"93.184.216.34", &[1, 187]].concat();
    for request in [name, address, text] {
        let world = World::new().await;
        let mut stream = world.connect().await;
        stream.write_all(&request).await.unwrap();
        assert_eq!(exactly(&mut stream, 12).await, [5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        stream.write_all(b"raw:hello").await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(rest(&mut stream).await, "raw:hello");
        assert_eq!(world.dialled(), ["93.184.216.34:443"]);
    }
}

#[tokio::test]
async fn a_host_that_is_down_or_unknown_is_said_to_be() {
    let world = World::new().await;
    let said = world.ask(b"CONNECT unknown.sub.example:443 HTTP/1.1\r\n\r\n").await;
    assert_eq!(
        said,
        says("502 Bad Gateway", "cannot find the address of `unknown.sub.example`: no such name")
    );
    let said = world.ask(b"GET http://down.sub.example/ HTTP/1.1\r\nHost: down.sub.example\r\n\r\n").await;
    assert_eq!(
        said,
        says("502 Bad Gateway", "cannot connect to `down.sub.example` at port 80: connection refused")
    );
}

/// What the client gets where the origin answers so.
async fn answered(method: &str, version: &str, answer: Answer) -> String {
    let world = World::with(RULES, Limits::default(), answer, Upstream::none()).await;
    let request = format!(
        "{method} http://ok.example/ HTTP/{version}\r\nHost: ok.example\r\nConnection: close\r\n\r\n"
    );
    world.ask(request.as_bytes()).await
}

#[tokio::test]
async fn an_answer_ends_where_its_framing_says() {
    let table: &[(&str, &str, Answer, &str)] = &[
        (
            "GET",
            "1.1",
            |_| {
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nKeep-Alive: 5\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\nabcdef".into()
            },
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nVia: 1.1 codetether\r\nConnection: close\r\n\r\nabc",
        ),
        (
            "GET",
            "1.1",
            |_| {
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n03;x\r\nabc\r\n0\r\nT: x\r\n\r\njunk"
                    .into()
            },
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nVia: 1.1 codetether\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        ),
        // An old client knows no chunks.
        (
            "GET",
            "1.0",
            |_| "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n".into(),
            "HTTP/1.1 200 OK\r\nVia: 1.1 codetether\r\nConnection: close\r\n\r\nabcd",
        ),
        (
            "GET",
            "1.1",
            |_| "HTTP/1.0 200\r\n\r\nto the end".into(),
            "HTTP/1.1 200 \r\nVia: 1.1 codetether\r\nConnection: close\r\n\r\nto the end",
        ),
        (
            "HEAD",
            "1.1",
            |_| "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n".into(),
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nVia: 1.1 codetether\r\nConnection: close\r\n\r\n",
        ),
        (
            "GET",
            "1.1",
            |_| "HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\njunk".into(),
            "HTTP/1.1 304 Not Modified\r\nETag: x\r\nVia: 1.1 codetether\r\nConnection: close\r\n\r\n",
        ),
        (
            "GET",
            "1.1",
            |_| "HTTP/1.1 204 None\r\nContent-Length: 3\r\n\r\nabc".into(),
            "HTTP/1.1 204 None\r\nVia: 1.1 codetether\r\nConnection: close\r\n\r\n",
        ),
        (
            "GET",
            "1.1",
            |_| {
                "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
                    .into()
            },
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\nVia: 1.1 codetether\r\nConnection: close\r\n\r\n",
        ),
        (
            "GET",
            "1.0",
            |_| "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".into(),
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nVia: 1.1 codetether\r\nConnection: close\r\n\r\n",
        ),
    ];
    for (method, version, answer, expected) in table {
        assert_eq!(answered(method, version, *answer).await, *expected);
    }
}

#[tokio::test]
async fn an_answer_that_means_two_things_is_not_passed_on() {
    let table: &[(Answer, &str)] = &[
        (
            |_| "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(),
            "`Content-Length` and `Transfer-Encoding` are both there",
        ),
        (
            |_| "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd".into(),
            "`Content-Length` is there twice",
        ),
        (
            |_| "HTTP/1.1 200 OK\nContent-Length: 3\n\nabc\r\n\r\n".into(),
            "a line does not end as HTTP's do, or the first one has not three words",
        ),
        (|_| "HTTP/1.1 20 OK\r\n\r\n".into(), "the status is none"),
        (|_| "HTTP/1.1 2000 OK\r\n\r\n".into(), "the status is none"),
        (|_| "HTTP/2 200 OK\r\n\r\n".into(), "the version is neither HTTP/1.1 nor HTTP/1.0"),
        (|_| "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n".into(), "it wants to speak another protocol"),
        (|_| "HTTP/1.1 100 C\r\n\r\n".repeat(9), "it never comes"),
        (
            |_| format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(70_000)),
            "its head is longer than 65536 bytes",
        ),
        (|_| String::new(), "it hung up"),
    ];
    for (answer, reason) in table {
        let line = format!("cannot pass on the answer of `ok.example:80`: {reason}");
        // Interim answers were passed on before.
        let said = answered("GET", "1.1", *answer).await.replace("HTTP/1.1 100 C\r\n\r\n", "");
        assert_eq!(said, says("502 Bad Gateway", &line));
    }
}

#[tokio::test]
async fn the_machines_own_proxy_is_given_the_address_in_full() {
    let upstream =
        Upstream::from_env(|name| (name == "http_proxy").then(|| "http://me:hush@10.7.7.7:3128".to_owned()));
    let world = World::with(RULES, Limits::default(), echo, upstream.unwrap()).await;
    let request = closing("GET http://ok.example:8080/a HTTP/1.1\r\nHost: ok.example:8080", "");
    let sent = "GET http://ok.example:8080/a HTTP/1.1\r\nHost: ok.example:8080\r\n\
                Proxy-Authorization: Basic bWU6aHVzaA==\r\nVia: 1.1 codetether\r\nConnection: close\r\n\r\n";
    assert_eq!(world.ask(request.as_bytes()).await, echoed(sent));
    assert_eq!(world.dialled(), ["10.7.7.7:3128"]);
    let denied = world.ask(b"GET http://loop.sub.example/ HTTP/1.1\r\nHost: loop.sub.example\r\n\r\n").await;
    assert!(denied.contains("`loop.sub.example:80` is not allowed by the sandbox: it leads to 127.0.0.1"));
    assert_eq!(world.dialled(), [""; 0]);
}

#[tokio::test]
async fn a_chunk_that_is_none_ends_the_connection() {
    let bad = |reason: &str| {
        says("400 Bad Request", &format!("the sandbox's proxy refuses this request: {reason}"))
    };
    let table = [
        ("xyz\r\n", bad("a chunk has no size")),
        ("-1\r\n", bad("a chunk has no size")),
        ("0x3\r\nabc\r\n", bad("a chunk has no size")),
        (";x\r\n", bad("a chunk has no size")),
        ("10000000000000000\r\n", bad("a chunk has no size")),
        ("3\nabc\r\n", bad("a line of a chunk is none")),
        ("3\r\nabcd\r\n0\r\n\r\n", bad("a chunk is longer than it says")),
        ("3\r\nabc\n0\r\n\r\n", bad("a chunk is longer than it says")),
        ("3;\0\r\nabc\r\n", bad("a line of a chunk is none")),
    ];
    for (body, answer) in table {
        let world = World::new().await;
        let request = format!(
            "POST http://ok.example/ HTTP/1.1\r\nHost: ok.example\r\nTransfer-Encoding: chunked\r\n\r\n{body}"
        );
        assert_eq!((body, world.ask(request.as_bytes()).await), (body, answer));
    }
}

#[tokio::test]
async fn a_request_that_comes_byte_by_byte_is_the_same_request() {
    let chunked = "POST http://ok.example/ HTTP/1.1\r\nHost: ok.example\r\nTransfer-Encoding: chunked\r\n\
                   Connection: close\r\n\r\n5\r\nhello\r\n1;x\r\n!\r\n0\r\nT: x\r\n\r\n";
    let tunnel = "CONNECT ok.example:443 HTTP/1.1\r\nHost: ok.example:443\r\n\r\nraw:x";
    for request in [chunked, tunnel] {
        let world = World::new().await;
        let mut whole = world.connect().await;
        whole.write_all(request.as_bytes()).await.unwrap();
        let mut slow = world.connect().await;
        slow.set_nodelay(true).unwrap();
        for byte in request.bytes() {
            slow.write_all(&[byte]).await.unwrap();
            // The proxy is on this thread, so it has its turn here.
            tokio::task::yield_now().await;
        }
        for stream in [&mut whole, &mut slow] {
            stream.shutdown().await.unwrap();
        }
        assert_eq!(rest(&mut slow).await, rest(&mut whole).await);
        assert_eq!(world.dialled().len(), 2);
    }
}
