//! What the proxy tells, whom it lets in while it runs, and its bounds.

use std::time::Duration;

use codetether_net::Upstream;
use codetether_sandbox::proxy::{Denied, Limits, Origin, Rule, Target, Why, authority};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{RULES, World, echo, exactly, rest, says, within};

const OK: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

async fn world(limits: Limits) -> World {
    World::with(RULES, limits, echo, Upstream::none()).await
}

fn asking() -> Limits {
    Limits { wait: Some(Duration::from_secs(60)), ..Limits::default() }
}

fn target(text: &str) -> Target {
    let (host, port) = authority(text).unwrap();
    Target { host, port: port.unwrap() }
}

/// A client that has asked for this tunnel, and sends a first word through it.
async fn asked(world: &World, authority: &str) -> TcpStream {
    let mut stream = world.connect().await;
    stream.write_all(format!("CONNECT {authority} HTTP/1.1\r\n\r\nraw:").as_bytes()).await.unwrap();
    stream
}

/// Whether the tunnel stands: the first word came back.
async fn stands(stream: &mut TcpStream) -> bool {
    let expected = format!("{OK}raw:");
    exactly(stream, expected.len()).await == expected.as_bytes()
}

fn no_rule(host: &str) -> String {
    format!("`{host}:443` is not allowed by the sandbox: no rule names it; the rule `{host}` would allow it")
}

#[tokio::test]
async fn what_is_denied_is_told_once_with_the_rule_that_would_allow_it() {
    let mut world = World::new().await;
    for _ in 0..3 {
        let said = world.ask(b"CONNECT evil.example:443 HTTP/1.1\r\n\r\n").await;
        assert_eq!(said, says("403 Forbidden", &no_rule("evil.example")));
    }
    world.ask(b"GET / HTTP/1.1\r\n\r\n").await;
    world.ask(b"CONNECT metadata.sub.example:80 HTTP/1.1\r\n\r\n").await;
    let told: Vec<Denied> = std::iter::from_fn(|| world.denied.try_recv().ok()).collect();
    let evil = target("evil.example:443");
    let metadata = "169.254.169.254".parse().unwrap();
    assert_eq!(
        told,
        [
            Denied {
                target: Some(evil.clone()),
                why: Why::NoRule,
                rule: Some(Rule::exact(&evil, false, Origin::Approved)),
                is_waiting: false,
                missed: 0,
            },
            Denied {
                target: None,
                why: Why::Malformed("this is a proxy: ask for a full address, or use `CONNECT`".into()),
                rule: None,
                is_waiting: false,
                missed: 0,
            },
            Denied {
                target: Some(target("metadata.sub.example:80")),
                why: Why::Address(metadata, codetether_net::AddressKind::Metadata),
                rule: None,
                is_waiting: false,
                missed: 0,
            },
        ]
    );
}

#[tokio::test]
async fn a_host_that_is_allowed_while_a_client_waits_is_reached_then_and_later() {
    let mut world = world(asking()).await;
    let mut first = asked(&world, "evil.example:443").await;
    let denied = within(world.denied.recv()).await.unwrap();
    assert!(denied.is_waiting);
    world.allow.add(denied.rule.unwrap()).unwrap();
    assert!(stands(&mut first).await);
    assert!(stands(&mut asked(&world, "evil.example:443").await).await);
    assert_eq!(world.denied(), [""; 0]);
}

#[tokio::test]
async fn leave_for_once_is_for_one_of_those_who_wait_and_the_others_are_asked_about_again() {
    let mut world = world(asking()).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(asked(&world, "evil.example:443").await);
    }
    for _ in 0..3 {
        let denied = within(world.denied.recv()).await.unwrap();
        assert_eq!(denied.target, Some(target("evil.example:443")));
        world.allow.add_once(denied.target.unwrap(), denied.rule.unwrap()).unwrap();
    }
    for client in &mut clients {
        assert!(stands(client).await);
    }
    let _later = asked(&world, "evil.example:443").await;
    assert!(within(world.denied.recv()).await.unwrap().is_waiting);
}

#[tokio::test]
async fn a_no_ends_the_waiting_and_is_not_asked_for_again() {
    let mut world = world(asking()).await;
    let mut client = asked(&world, "evil.example:443").await;
    within(world.denied.recv()).await.unwrap();
    world.allow.refuse(target("evil.example:443")).unwrap();
    let no = says("403 Forbidden", "`evil.example:443` is not allowed by the sandbox: the user said no");
    assert_eq!(rest(&mut client).await, no);
    assert_eq!(world.ask(b"CONNECT evil.example:443 HTTP/1.1\r\n\r\n").await, no);
}

#[tokio::test]
async fn a_name_that_leads_inside_can_be_allowed_as_private() {
    let mut world = world(asking()).await;
    let mut client = asked(&world, "loop.sub.example:443").await;
    let rule = within(world.denied.recv()).await.unwrap().rule.unwrap();
    assert_eq!(rule.to_string(), "loop.sub.example:443/private");
    world.allow.add(rule).unwrap();
    assert!(stands(&mut client).await);
    assert_eq!(world.dialled(), ["127.0.0.1:443"]);
}

#[tokio::test(start_paused = true)]
async fn waiting_has_an_end() {
    let world = world(asking()).await;
    let mut client = asked(&world, "evil.example:443").await;
    assert_eq!(rest(&mut client).await, says("403 Forbidden", &no_rule("evil.example")));
}

#[tokio::test]
async fn only_so_many_wait_and_no_one_waits_for_what_no_rule_can_allow() {
    let mut world = world(Limits { waiting: 1, ..asking() }).await;
    let _waits = asked(&world, "evil.example:443").await;
    within(world.denied.recv()).await.unwrap();
    let said = world.ask(b"CONNECT other.example:443 HTTP/1.1\r\n\r\n").await;
    assert_eq!(said, says("403 Forbidden", &no_rule("other.example")));
    let said = world.ask(b"CONNECT metadata.sub.example:80 HTTP/1.1\r\n\r\n").await;
    assert!(said.ends_with("no rule can allow it\n"), "{said}");
}

#[tokio::test]
async fn who_hangs_up_while_waiting_gives_its_place_back() {
    let mut world = world(Limits { waiting: 1, connections: 1, ..asking() }).await;
    let mut stream = world.connect().await;
    stream.write_all(b"CONNECT evil.example:443 HTTP/1.1\r\n\r\n").await.unwrap();
    within(world.denied.recv()).await.unwrap();
    drop(stream);
    // Its place is free once the proxy has seen it.
    within(async {
        loop {
            let mut stream = world.connect().await;
            stream.write_all(b"CONNECT ok.example:443 HTTP/1.1\r\n\r\nraw:").await.unwrap();
            let mut first = [0; 12];
            if stream.read_exact(&mut first).await.is_ok() && first.ends_with(b"200") {
                break;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn one_connection_too_many_is_turned_away() {
    let world = world(Limits { connections: 2, ..Limits::default() }).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = asked(&world, "ok.example:443").await;
        assert!(stands(&mut stream).await);
        held.push(stream);
    }
    let mut third = world.connect().await;
    assert_eq!(
        rest(&mut third).await,
        says("503 Service Unavailable", "the sandbox has 2 connections already")
    );
}

#[tokio::test(start_paused = true)]
async fn a_head_that_never_ends_and_a_silent_tunnel_are_ended() {
    let world = World::new().await;
    let mut slow = world.connect().await;
    slow.write_all(b"GET http://ok.example/ HTTP/1.1\r\n").await.unwrap();
    let late = says("408 Request Timeout", "the head of the request was not whole after 10 seconds");
    assert_eq!(rest(&mut slow).await, late);
    let mut mute = world.connect().await;
    assert_eq!(rest(&mut mute).await, "");
    let mut silent = asked(&world, "ok.example:443").await;
    assert!(stands(&mut silent).await);
    assert_eq!(rest(&mut silent).await, "");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_does_not_answer_is_given_up() {
    let world = World::new().await;
    // A body that is announced and never comes: neither side says anything.
    let mut stream = world.connect().await;
    let request = b"POST http://ok.example/ HTTP/1.1\r\nHost: ok.example\r\nContent-Length: 9\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let late = says("504 Gateway Timeout", "`ok.example:80` did not answer for 300 seconds");
    assert_eq!(rest(&mut stream).await, late);
}

#[tokio::test]
async fn cancelling_ends_every_connection() {
    let world = World::new().await;
    let mut stream = asked(&world, "ok.example:443").await;
    assert!(stands(&mut stream).await);
    world.cancel.cancel();
    let mut rest = Vec::new();
    // The end, in whichever way the kernel gives it.
    let _ = within(stream.read_to_end(&mut rest)).await;
    assert_eq!(rest, b"");
    assert!(TcpStream::connect(world.proxy).await.is_err());
}

#[tokio::test]
async fn an_upload_that_is_refused_gets_its_answer_all_the_same() {
    let world = World::new().await;
    let mut stream = world.connect().await;
    let head = b"POST http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 500000\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let (mut from, mut to) = stream.into_split();
    let body = tokio::spawn(async move { to.write_all(&vec![b'x'; 500_000]).await });
    let mut said = String::new();
    within(from.read_to_string(&mut said)).await.unwrap();
    let line = "`evil.example:80` is not allowed by the sandbox: no rule names it; the rule `evil.example` would allow it";
    assert_eq!(said, says("403 Forbidden", line));
    within(body).await.unwrap().unwrap();
}
