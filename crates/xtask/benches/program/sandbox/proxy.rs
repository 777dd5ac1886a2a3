//! The way out: bytes a second through one tunnel, and what a connection takes longer. The client is this program once
//! more, inside of a sandbox; the server is on loopback.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use codetether_testkit::Home;

use crate::figure::{Aim, Figure};

use super::{beyond, time};

/// What tells this program that it is the client, before the address of the server.
const CLIENT: &str = "--tunnel-client";

const RUNS: usize = 7;
const CONNECTIONS: usize = 200;
const BYTES: usize = 1 << 30;

/// What the client asks the server for.
const FLOOD: u8 = b'f';
const ECHO: u8 = b'e';

pub(crate) fn measure(binary: &Path) -> Vec<Figure> {
    let address = serve();
    let home = Home::new();
    // Not in the home, which fails where the keys are that its tests plant: this program holds them.
    let project = tempfile::tempdir().unwrap();
    let client = project.path().join("client");
    std::fs::copy(std::env::current_exe().unwrap(), &client).unwrap();
    let mut command = home.command(binary);
    command.args(["sandbox", "run", "--net", &format!("allow:{address}/private"), "--"]);
    let output = command
        .arg(&client)
        .args([CLIENT, &address.to_string()])
        .current_dir(project.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    let numbers = |line: Option<&str>| -> Vec<f64> {
        line.unwrap_or_default().split_whitespace().map(|number| number.parse().unwrap()).collect()
    };
    let mut lines = told.lines();
    let (rates, tunnels) = (numbers(lines.next()), numbers(lines.next()));
    let tunnels: Vec<_> = tunnels.into_iter().map(Duration::from_secs_f64).collect();
    let direct: Vec<_> = (0..CONNECTIONS).map(|_| time(|| echo(&mut connect(address, None)))).collect();
    vec![
        Figure::of_runs("one tunnel through the proxy", Aim::AtLeast(500.0), rates, "MB/s"),
        Figure::of_runs(
            "a connection through the proxy, longer by",
            Aim::Below(0.3),
            beyond(&tunnels, &direct),
            "ms",
        ),
    ]
}

/// Whether this process is the client. Then it has done what a client does, and told it.
pub(crate) fn is_client() -> bool {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() != Some(CLIENT) {
        return false;
    }
    let server: SocketAddr = arguments.next().unwrap().parse().unwrap();
    let proxy = std::env::var("HTTPS_PROXY").expect("there is no proxy");
    let proxy: SocketAddr = proxy.trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
    let rates = (0..RUNS).map(|_| flood(&mut connect(server, Some(proxy))));
    let tunnels = (0..CONNECTIONS).map(|_| time(|| echo(&mut connect(server, Some(proxy)))).as_secs_f64());
    for numbers in [rates.collect::<Vec<_>>(), tunnels.collect()] {
        println!("{}", numbers.iter().map(f64::to_string).collect::<Vec<_>>().join(" "));
    }
    true
}

fn connect(server: SocketAddr, proxy: Option<SocketAddr>) -> TcpStream {
    let mut stream = TcpStream::connect(proxy.unwrap_or(server)).unwrap();
    stream.set_nodelay(true).unwrap();
    if proxy.is_some() {
        write!(stream, "CONNECT {server} HTTP/1.1\r\nHost: {server}\r\n\r\n").unwrap();
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).expect("the proxy answered nothing whole");
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
    }
    stream
}

fn echo(stream: &mut TcpStream) {
    stream.write_all(&[ECHO]).unwrap();
    let mut byte = [0];
    stream.read_exact(&mut byte).unwrap();
}

/// Megabytes a second.
fn flood(stream: &mut TcpStream) -> f64 {
    stream.write_all(&[FLOOD]).unwrap();
    let mut buffer = vec![0; 256 << 10];
    let (mut got, begun) = (0, Instant::now());
    loop {
        match stream.read(&mut buffer).unwrap() {
            0 => break,
            more => got += more,
        }
    }
    assert_eq!(got, BYTES, "bytes were lost");
    got as f64 / 1e6 / begun.elapsed().as_secs_f64()
}

/// Answers on loopback for as long as this program runs.
fn serve() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            answer(stream.unwrap());
        }
    });
    address
}

fn answer(mut stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let mut asked = [0];
    if stream.read_exact(&mut asked).is_err() {
        return;
    }
    match asked[0] {
        FLOOD => {
            let piece = vec![7; 256 << 10];
            (0..BYTES / piece.len()).for_each(|_| stream.write_all(&piece).unwrap());
        }
        other => stream.write_all(&[other]).unwrap(),
    }
}
