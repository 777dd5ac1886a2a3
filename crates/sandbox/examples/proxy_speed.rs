//! What the proxy costs: bytes a second through a tunnel, and the time that it adds to a connection, both on loopback.
//!
//! `cargo run --release -p codetether-sandbox --example proxy_speed`

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "it measures, and says what it measured")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use codetether_net::{Dialler, Upstream};
use codetether_sandbox::proxy::{Allow, Limits, Origin, Rule, serve};
use tokio_util::sync::CancellationToken;

const BYTES: usize = 4 << 30;
const CONNECTIONS: usize = 2000;

fn main() {
    let origin = origin();
    let proxy = proxy(origin);
    for round in 1..=3 {
        let direct = throughput(origin, None);
        let through = throughput(origin, Some(proxy));
        println!("round {round}: {direct:.0} MB/s direct, {through:.0} MB/s through the proxy");
    }
    let direct = connections(origin, None);
    let through = connections(origin, Some(proxy));
    let added = through.saturating_sub(direct);
    println!(
        "a connection and its first byte: {direct:?} direct, {through:?} through the proxy (+{added:?})"
    );
}

/// Answers `s` with one byte, and `b` with many.
fn origin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = [0];
            stream.read_exact(&mut asked).unwrap();
            if asked == *b"s" {
                stream.write_all(b"s").unwrap();
            } else {
                std::thread::spawn(move || {
                    let piece = vec![7; 256 * 1024];
                    for _ in 0..BYTES / piece.len() {
                        stream.write_all(&piece).unwrap();
                    }
                });
            }
        }
    });
    at
}

fn proxy(origin: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let rule = Rule::parse(&format!("{origin}/private"), Origin::Given).unwrap();
        let allow = Allow::new(vec![rule]).unwrap();
        let (events, _told) = tokio::sync::mpsc::channel(8);
        let dialler = Dialler::new(Upstream::none());
        let served = serve(listener, allow, events, dialler, Limits::default(), CancellationToken::new());
        runtime.block_on(served).unwrap();
    });
    at
}

fn connect(origin: SocketAddr, proxy: Option<SocketAddr>) -> TcpStream {
    let Some(proxy) = proxy else { return TcpStream::connect(origin).unwrap() };
    let mut stream = TcpStream::connect(proxy).unwrap();
    stream.write_all(format!("CONNECT {origin} HTTP/1.1\r\nHost: {origin}\r\n\r\n").as_bytes()).unwrap();
    let mut head = [0; b"HTTP/1.1 200 Connection established\r\n\r\n".len()];
    stream.read_exact(&mut head).unwrap();
    assert!(head.starts_with(b"HTTP/1.1 200"));
    stream
}

/// Megabytes (10⁶) a second.
fn throughput(origin: SocketAddr, proxy: Option<SocketAddr>) -> f64 {
    let mut stream = connect(origin, proxy);
    let start = Instant::now();
    stream.write_all(b"b").unwrap();
    let mut buffer = vec![0; 256 * 1024];
    let mut got = 0;
    while got < BYTES {
        got += stream.read(&mut buffer).unwrap();
    }
    got as f64 / 1e6 / start.elapsed().as_secs_f64()
}

/// The median.
fn connections(origin: SocketAddr, proxy: Option<SocketAddr>) -> Duration {
    let mut took: Vec<Duration> = (0..CONNECTIONS)
        .map(|_| {
            let start = Instant::now();
            let mut stream = connect(origin, proxy);
            stream.write_all(b"s").unwrap();
            stream.read_exact(&mut [0]).unwrap();
            start.elapsed()
        })
        .collect();
    took.sort();
    took[took.len() / 2]
}
