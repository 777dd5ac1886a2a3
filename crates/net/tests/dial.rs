//! The dialler in a world of its own: what it looks up, what it dials, and what it refuses to.

#![allow(clippy::unwrap_used, reason = "a test may fail this way")]

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use codetether_net::{Addresses, Dialler, Purpose, Reach, Reaching, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Names with their addresses (`!` never answers), and a listener that stands behind each address but 1.0.0.1.
#[derive(Clone)]
struct World {
    names: &'static [(&'static str, &'static [&'static str])],
    behind: SocketAddr,
    did: Arc<Mutex<Vec<String>>>,
}

impl Reach for World {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Reaching<'a, Vec<SocketAddr>> {
        Box::pin(async move {
            self.did.lock().unwrap().push(format!("resolve {host}"));
            let Some((_, found)) = self.names.iter().find(|(name, _)| *name == host) else {
                return Err(io::Error::other("no such name"));
            };
            if found == &["!"] {
                std::future::pending::<()>().await;
            }
            Ok(found.iter().map(|ip| SocketAddr::new(ip.parse::<IpAddr>().unwrap(), port)).collect())
        })
    }

    fn connect(&self, address: SocketAddr) -> Reaching<'_, TcpStream> {
        Box::pin(async move {
            self.did.lock().unwrap().push(format!("connect {address}"));
            match address.ip().to_string().as_str() {
                "1.0.0.1" => Err(io::ErrorKind::ConnectionRefused.into()),
                "1.0.0.2" => std::future::pending().await,
                _ => TcpStream::connect(self.behind).await,
            }
        })
    }
}

const NAMES: &[(&str, &[&str])] = &[
    ("public.example", &["93.184.216.34"]),
    ("both.example", &["1.0.0.1", "1.0.0.2", "2606:4700::1"]),
    ("mixed.example", &["127.0.0.1", "10.0.0.1", "93.184.216.34"]),
    ("inside.example", &["10.0.0.7"]),
    ("metadata.example", &["169.254.169.254"]),
    ("mapped.example", &["::ffff:10.0.0.8"]),
    ("empty.example", &[]),
    ("mute.example", &["!"]),
    ("proxy.corp", &["10.1.1.1"]),
];

async fn world() -> (World, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let world = World { names: NAMES, behind: listener.local_addr().unwrap(), did: Arc::default() };
    (world, listener)
}

/// What was done, and what came of it.
async fn dial(host: &str, purpose: Purpose, addresses: Addresses, upstream: &Upstream) -> (String, String) {
    let (world, _listener) = world().await;
    let dialler = Dialler::with(world.clone(), upstream.clone());
    let said = match dialler.dial(host, 443, purpose, addresses).await {
        Ok(dialled) => format!("connected {:?}", dialled.proxy),
        Err(problem) => problem.to_string(),
    };
    (world.did.lock().unwrap().join(", "), said)
}

#[tokio::test(start_paused = true)]
async fn only_an_address_that_was_judged_is_dialled() {
    let table = [
        (
            "public.example",
            Addresses::Public,
            "resolve public.example, connect 93.184.216.34:443",
            "connected None",
        ),
        (
            "both.example",
            Addresses::Public,
            "resolve both.example, connect 1.0.0.1:443, connect [2606:4700::1]:443",
            "connected None",
        ),
        (
            "mixed.example",
            Addresses::Public,
            "resolve mixed.example, connect 93.184.216.34:443",
            "connected None",
        ),
        (
            "inside.example",
            Addresses::Public,
            "resolve inside.example",
            "`inside.example` leads to 10.0.0.7, which is an address of a private network",
        ),
        (
            "inside.example",
            Addresses::Internal,
            "resolve inside.example, connect 10.0.0.7:443",
            "connected None",
        ),
        (
            "mapped.example",
            Addresses::Public,
            "resolve mapped.example",
            "`mapped.example` leads to ::ffff:10.0.0.8, which is an address of a private network",
        ),
        (
            "mapped.example",
            Addresses::Internal,
            "resolve mapped.example, connect 10.0.0.8:443",
            "connected None",
        ),
        (
            "metadata.example",
            Addresses::Internal,
            "resolve metadata.example",
            "`metadata.example` leads to 169.254.169.254, which is a cloud's metadata address",
        ),
        (
            "127.0.0.1",
            Addresses::Public,
            "",
            "`127.0.0.1` leads to 127.0.0.1, which is an address of this machine",
        ),
        ("93.184.216.34", Addresses::Public, "connect 93.184.216.34:443", "connected None"),
        (
            "empty.example",
            Addresses::Public,
            "resolve empty.example",
            "cannot find the address of `empty.example`: it has none",
        ),
        (
            "unknown.example",
            Addresses::Public,
            "resolve unknown.example",
            "cannot find the address of `unknown.example`: no such name",
        ),
        (
            "1.0.0.1",
            Addresses::Public,
            "connect 1.0.0.1:443",
            "cannot connect to `1.0.0.1` at port 443: connection refused",
        ),
        (
            "1.0.0.2",
            Addresses::Public,
            "connect 1.0.0.2:443",
            "cannot connect to `1.0.0.2` at port 443: no answer in 15 seconds",
        ),
    ];
    for (host, addresses, did, said) in table {
        let done = dial(host, Purpose::Tunnel, addresses, &Upstream::none()).await;
        assert_eq!((host, done), (host, (did.to_owned(), said.to_owned())));
    }
}

fn upstream() -> Upstream {
    let variable = |name: &str| {
        let value = match name {
            "https_proxy" => "http://me:hush@proxy.corp:3128",
            "http_proxy" => "http://10.2.2.2:3128",
            "no_proxy" => "mixed.example",
            _ => return None,
        };
        Some(value.to_owned())
    };
    Upstream::from_env(variable).unwrap()
}

/// A proxy that gives this answer; what it was asked, and what the dialler said.
async fn tunnel(host: &str, answer: &'static str) -> (String, String) {
    let (world, listener) = world().await;
    let dialler = Dialler::with(world.clone(), upstream());
    let proxy = async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = vec![0; 1024];
        let length = stream.read(&mut asked).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        (String::from_utf8_lossy(&asked[..length]).into_owned(), stream)
    };
    let dial = async {
        match dialler.dial(host, 443, Purpose::Tunnel, Addresses::Public).await {
            Ok(mut dialled) => {
                let mut first = [0; 5];
                dialled.stream.read_exact(&mut first).await.unwrap();
                format!("first bytes `{}`", first.escape_ascii())
            }
            Err(problem) => problem.to_string(),
        }
    };
    let ((asked, stream), said) = tokio::join!(
        async {
            let (asked, stream) = proxy.await;
            (asked, stream)
        },
        dial
    );
    drop(stream);
    (asked, said)
}

#[tokio::test]
async fn a_tunnel_through_the_machines_proxy_begins_where_its_answer_ends() {
    let asked = "CONNECT public.example:443 HTTP/1.1\r\nHost: public.example:443\r\n\
                 Proxy-Authorization: Basic bWU6aHVzaA==\r\n\r\n";
    let ok = tunnel("public.example", "HTTP/1.1 200 OK\r\nX: y\r\n\r\nhello").await;
    assert_eq!(ok, (asked.to_owned(), "first bytes `hello`".to_owned()));
    let no = tunnel("public.example", "HTTP/1.1 403 Not \x01 there\r\n\r\n").await;
    let said = "the proxy proxy.corp:3128 of this machine does not connect to `public.example`: it answered `HTTP/1.1 403 Not \\x01 there`";
    assert_eq!(no, (asked.to_owned(), said.to_owned()));
}

#[tokio::test(start_paused = true)]
async fn what_this_machine_knows_of_a_name_counts_with_a_proxy_too() {
    let plain =
        |host: &'static str| async move { dial(host, Purpose::Plain, Addresses::Public, &upstream()).await };
    let table = [
        ("public.example", "resolve public.example, connect 10.2.2.2:3128", "connected Some(10.2.2.2:3128)"),
        // The proxy may know it.
        (
            "unknown.example",
            "resolve unknown.example, connect 10.2.2.2:3128",
            "connected Some(10.2.2.2:3128)",
        ),
        ("mute.example", "resolve mute.example, connect 10.2.2.2:3128", "connected Some(10.2.2.2:3128)"),
        (
            "inside.example",
            "resolve inside.example",
            "`inside.example` leads to 10.0.0.7, which is an address of a private network",
        ),
        ("10.9.9.9", "", "`10.9.9.9` leads to 10.9.9.9, which is an address of a private network"),
        // Not through the proxy.
        ("mixed.example", "resolve mixed.example, connect 93.184.216.34:443", "connected None"),
    ];
    for (host, did, said) in table {
        assert_eq!((host, plain(host).await), (host, (did.to_owned(), said.to_owned())));
    }
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_was_mute_once_is_not_waited_for_again() {
    let (world, _listener) = world().await;
    let dialler = Dialler::with(world, upstream());
    let mut took = Vec::new();
    for _ in 0..2 {
        let start = tokio::time::Instant::now();
        dialler.dial("mute.example", 80, Purpose::Plain, Addresses::Public).await.unwrap();
        took.push(start.elapsed().max(Duration::from_millis(1)).as_secs());
    }
    assert_eq!(took, [1, 0]);
}
