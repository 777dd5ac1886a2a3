//! A world on loopback: names with made-up addresses, an origin that stands behind all of them, and a proxy that knows
//! no other network.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use codetether_net::{Dialler, Reach, Reaching, Upstream};
use codetether_sandbox::proxy::{Allow, Denied, Limits, Origin, Rule, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Names and what a resolver says of them.
const NAMES: &[(&str, &[&str])] = &[
    ("ok.example", &["93.184.216.34"]),
    ("a.sub.example", &["93.184.216.35", "2606:4700::1"]),
    ("sub.example", &["93.184.216.36"]),
    ("other.example", &["93.184.216.37"]),
    ("evil.example", &["93.184.216.66"]),
    ("loop.sub.example", &["127.0.0.1"]),
    ("loop6.sub.example", &["::1"]),
    ("private.sub.example", &["10.1.2.3"]),
    ("shared.sub.example", &["100.64.0.1"]),
    ("link.sub.example", &["169.254.3.4"]),
    ("metadata.sub.example", &["169.254.169.254"]),
    ("zero.sub.example", &["0.0.0.0"]),
    ("mapped.sub.example", &["::ffff:127.0.0.1"]),
    ("nat64.sub.example", &["64:ff9b::a00:1"]),
    ("sixtofour.sub.example", &["2002:7f00:1::1"]),
    ("ula.sub.example", &["fd12::1"]),
    ("both.sub.example", &["127.0.0.1", "93.184.216.38"]),
    ("mirror", &["10.9.9.9"]),
    ("mirror.corp", &["10.9.9.8"]),
    ("down.sub.example", &["93.184.216.99"]),
];

/// What the proxy may reach unless a test says otherwise.
pub(crate) const RULES: &[&str] = &[
    "ok.example",
    "ok.example:8080",
    "*.sub.example",
    "93.184.216.34",
    "mirror:4873/private",
    "mirror.corp:443/private",
    "127.0.0.1:9000/private",
    "[2606:4700::1]:443",
];

#[derive(Clone)]
struct Net {
    origin: SocketAddr,
    dialled: Arc<Mutex<Vec<String>>>,
}

impl Reach for Net {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Reaching<'a, Vec<SocketAddr>> {
        let found = NAMES.iter().find(|(name, _)| *name == host);
        Box::pin(async move {
            let Some((_, found)) = found else { return Err(io::Error::other("no such name")) };
            Ok(found.iter().map(|ip| SocketAddr::new(ip.parse::<IpAddr>().unwrap(), port)).collect())
        })
    }

    fn connect(&self, address: SocketAddr) -> Reaching<'_, TcpStream> {
        self.dialled.lock().unwrap().push(address.to_string());
        Box::pin(async move {
            if address.ip().to_string() == "93.184.216.99" {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            TcpStream::connect(self.origin).await
        })
    }
}

/// What the origin says to a request.
pub(crate) type Answer = fn(&str) -> String;

/// A proxy at work.
pub(crate) struct World {
    pub(crate) proxy: SocketAddr,
    pub(crate) allow: Allow,
    pub(crate) denied: mpsc::Receiver<Denied>,
    pub(crate) cancel: CancellationToken,
    dialled: Arc<Mutex<Vec<String>>>,
    _tasks: tokio::task::JoinSet<()>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(RULES, Limits::default(), echo, Upstream::none()).await
    }

    pub(crate) async fn with(rules: &[&str], limits: Limits, answer: Answer, upstream: Upstream) -> Self {
        let mut tasks = tokio::task::JoinSet::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let net = Net { origin: listener.local_addr().unwrap(), dialled: Arc::default() };
        tasks.spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(origin(stream, answer));
            }
        });
        let rules = rules.iter().map(|rule| Rule::parse(rule, Origin::Given).unwrap()).collect();
        let allow = Allow::new(rules).unwrap();
        let (events, denied) = mpsc::channel(64);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = listener.local_addr().unwrap();
        let cancel = CancellationToken::new();
        let dialler = Dialler::with(net.clone(), upstream);
        let served = serve(listener, allow.clone(), events, dialler, limits, cancel.clone());
        tasks.spawn(async move { served.await.unwrap() });
        Self { proxy, allow, denied, cancel, dialled: net.dialled, _tasks: tasks }
    }

    /// Sends these bytes and reads until the proxy closes.
    pub(crate) async fn ask(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        rest(&mut stream).await
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.proxy).await.unwrap()
    }

    /// The addresses that were dialled since the last call.
    pub(crate) fn dialled(&self) -> Vec<String> {
        std::mem::take(&mut *self.dialled.lock().unwrap())
    }

    /// The lines of what was denied since the last call.
    pub(crate) fn denied(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.denied.try_recv().ok()).map(|denied| denied.to_string()).collect()
    }
}

/// All that comes, in a form that can be compared: bytes that are no text are escaped.
pub(crate) async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A test that hangs says where.
    within(stream.read_to_end(&mut bytes)).await.unwrap();
    String::from_utf8(bytes).unwrap_or_else(|error| error.into_bytes().escape_ascii().to_string())
}

/// Exactly so many bytes.
pub(crate) async fn exactly(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    within(stream.read_exact(&mut bytes)).await.unwrap();
    bytes
}

/// The limit is for a broken proxy alone, so it is real time, which a paused clock does not shorten.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    let (over, late) = tokio::sync::oneshot::channel();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    std::thread::spawn(move || {
        if ended
            .recv_timeout(Duration::from_secs(20))
            .is_err_and(|e| e == std::sync::mpsc::RecvTimeoutError::Timeout)
        {
            let _ = over.send(());
        }
    });
    tokio::select! {
        done = future => { drop(end); done }
        Ok(()) = late => panic!("the proxy neither answers nor closes"),
    }
}

/// Answers with the request, as it came.
pub(crate) fn echo(request: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nX-Kept: yes\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{request}",
        request.len()
    )
}

/// Reads one request by its framing, in the simplest way, and answers. What does not look like HTTP gets its own bytes
/// back, to the end.
async fn origin(mut stream: TcpStream, answer: Answer) {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
        if bytes.starts_with(b"raw:") {
            let (mut from, mut to) = stream.split();
            let _ = to.write_all(&bytes).await;
            let _ = tokio::io::copy(&mut from, &mut to).await;
            return;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.split("Content-Length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
        let is_whole = match length {
            Some(length) => body.len() >= length,
            None => !head.contains("Transfer-Encoding: chunked") || body.ends_with("0\r\n\r\n"),
        };
        if is_whole {
            let _ = stream.write_all(answer(&text).as_bytes()).await;
            return;
        }
    }
}

/// The proxy's own answer, whole.
pub(crate) fn says(status: &str, line: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{line}\n",
        line.len() + 1
    )
}
