//! The dialler that checks addresses: a name is looked up, what it leads to is judged, and exactly an address that was
//! judged is dialled, so a name that means something else a moment later (DNS rebinding) gains nothing.
//!
//! Where the machine has to go through a proxy of its own, that proxy looks the name up and we cannot see what it
//! finds. Then what *this* machine's resolver says is judged, if it says anything in time; a name that it does not know
//! is left to the proxy. Addresses written out are judged always.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::address::{AddressKind, address_kind};
use crate::upstream::{Purpose, Upstream, UpstreamProxy};

/// How long looking up and connecting may take together.
const CONNECT: Duration = Duration::from_secs(15);
/// After this long the next address is tried as well (RFC 8305).
const STAGGER: Duration = Duration::from_millis(250);
/// How many addresses of a name are tried.
const ADDRESSES: usize = 8;
/// How long to wait for our own resolver where the proxy's counts.
const SECOND_OPINION: Duration = Duration::from_secs(1);
/// How long the head of a proxy's answer may be.
const HEAD: usize = 8 * 1024;

/// A boxed future, so that `Reach` can be a trait object.
pub type Reaching<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// What the dialler asks of the world. [`System`] is the real one; tests have their own, which needs no network.
pub trait Reach: Send + Sync {
    /// The addresses of a name.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Reaching<'a, Vec<SocketAddr>>;
    /// A connection to exactly this address.
    fn connect(&self, address: SocketAddr) -> Reaching<'_, TcpStream>;
}

/// The machine's resolver and its network.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Reach for System {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Reaching<'a, Vec<SocketAddr>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }

    fn connect(&self, address: SocketAddr) -> Reaching<'_, TcpStream> {
        Box::pin(TcpStream::connect(address))
    }
}

/// Which addresses may be dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addresses {
    /// Public ones, and those that nobody has in public.
    Public,
    /// Also this machine and private networks: someone named this host and port as internal. Link-local, metadata and
    /// other odd addresses are never dialled.
    Internal,
}

impl Addresses {
    fn allow(self, kind: AddressKind) -> bool {
        kind.is_outside() || (self == Self::Internal && kind.is_internal())
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// Every address of the host is one that must not be dialled.
    #[error("`{host}` leads to {address}, which is {}", kind.words())]
    Forbidden {
        /// As it was asked for.
        host: String,
        /// The first of them.
        address: IpAddr,
        /// What it is.
        kind: AddressKind,
    },
    /// The name has no address.
    #[error("cannot find the address of `{host}`: {source}")]
    Resolve {
        /// As it was asked for.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// Nobody answered there.
    #[error("cannot connect to `{host}` at port {port}: {source}")]
    Connect {
        /// As it was asked for.
        host: String,
        /// The port.
        port: u16,
        /// What the kernel said, of the last address that was tried.
        source: io::Error,
    },
    /// It took too long.
    #[error("cannot connect to `{host}` at port {port}: no answer in {} seconds", CONNECT.as_secs())]
    TimedOut {
        /// As it was asked for.
        host: String,
        /// The port.
        port: u16,
    },
    /// The machine's own proxy would not go there.
    #[error("the proxy {proxy} of this machine does not connect to `{host}`: {reason}")]
    Upstream {
        /// Host and port of the proxy.
        proxy: String,
        /// As it was asked for.
        host: String,
        /// What it said.
        reason: String,
    },
}

/// A connection.
#[derive(Debug)]
pub struct Dialled {
    /// To the host, or for [`Purpose::Plain`] perhaps to the proxy.
    pub stream: TcpStream,
    /// The proxy that the stream leads to. It must be given a request in absolute form. Never for a tunnel: what is
    /// written into one goes to the host.
    pub proxy: Option<UpstreamProxy>,
}

/// Dials what may be dialled. Clones share what was learnt.
#[derive(Clone)]
pub struct Dialler {
    reach: Arc<dyn Reach>,
    upstream: Arc<Upstream>,
    /// Our own resolver did not answer in time once: where the proxy's counts, it is not waited for again.
    is_mute: Arc<AtomicBool>,
}

impl std::fmt::Debug for Dialler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialler").field("upstream", &self.upstream).finish_non_exhaustive()
    }
}

impl Dialler {
    /// A dialler in this machine's network.
    #[must_use]
    pub fn new(upstream: Upstream) -> Self {
        Self::with(System, upstream)
    }

    /// A dialler in another world.
    #[must_use]
    pub fn with(reach: impl Reach + 'static, upstream: Upstream) -> Self {
        Self { reach: Arc::new(reach), upstream: Arc::new(upstream), is_mute: Arc::default() }
    }

    /// Connects to a host, which is a name in lower case or an address in its usual spelling.
    ///
    /// # Errors
    /// When its addresses are forbidden, or nobody answers within 15 seconds.
    pub async fn dial(
        &self,
        host: &str,
        port: u16,
        purpose: Purpose,
        addresses: Addresses,
    ) -> Result<Dialled, DialError> {
        let late = || DialError::TimedOut { host: host.to_owned(), port };
        let dialling = async {
            match self.upstream.proxy_for(host, port, purpose) {
                Some(proxy) => self.through(proxy, host, port, purpose, addresses).await,
                None => {
                    let found = self.look_up(host, port, addresses).await?;
                    let stream = self.connect(found).await.map_err(|source| DialError::Connect {
                        host: host.to_owned(),
                        port,
                        source,
                    })?;
                    Ok(Dialled { stream, proxy: None })
                }
            }
        };
        let dialled = timeout(CONNECT, dialling).await.map_err(|_| late())??;
        // A refusal changes nothing but speed.
        let _ = dialled.stream.set_nodelay(true);
        Ok(dialled)
    }

    /// The addresses of a host that may be dialled; at least one.
    async fn look_up(
        &self,
        host: &str,
        port: u16,
        addresses: Addresses,
    ) -> Result<Vec<SocketAddr>, DialError> {
        let found = match host.parse::<IpAddr>() {
            Ok(ip) => vec![SocketAddr::new(ip, port)],
            Err(_) => self
                .reach
                .resolve(host, port)
                .await
                .map_err(|source| DialError::Resolve { host: host.to_owned(), source })?,
        };
        let mut forbidden = None;
        let mut may = Vec::new();
        for address in found {
            let kind = address_kind(address.ip());
            if addresses.allow(kind) {
                // The port is what was asked for, whatever a resolver makes of it.
                may.push(SocketAddr::new(address.ip().to_canonical(), port));
            } else if forbidden.is_none() {
                forbidden = Some((address.ip(), kind));
            }
        }
        match (may.is_empty(), forbidden) {
            (false, _) => Ok(alternate(may)),
            (true, Some((address, kind))) => {
                Err(DialError::Forbidden { host: host.to_owned(), address, kind })
            }
            (true, None) => Err(DialError::Resolve {
                host: host.to_owned(),
                source: io::Error::new(io::ErrorKind::NotFound, "it has none"),
            }),
        }
    }

    /// The first of these that answers; each gets a head start on the next.
    async fn connect(&self, addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
        let mut waiting = addresses.into_iter().take(ADDRESSES);
        let mut trying = FuturesUnordered::new();
        let mut problem = io::Error::from(io::ErrorKind::AddrNotAvailable);
        trying.extend(waiting.next().map(|address| self.reach.connect(address)));
        loop {
            let mut stagger = pin!(sleep(STAGGER));
            tokio::select! {
                tried = trying.next() => match tried {
                    Some(Ok(stream)) => return Ok(stream),
                    Some(Err(error)) => problem = error,
                    None => return Err(problem),
                },
                () = &mut stagger, if waiting.len() > 0 => {}
            }
            trying.extend(waiting.next().map(|address| self.reach.connect(address)));
        }
    }

    /// Goes through the machine's own proxy.
    async fn through(
        &self,
        proxy: &UpstreamProxy,
        host: &str,
        port: u16,
        purpose: Purpose,
        addresses: Addresses,
    ) -> Result<Dialled, DialError> {
        self.second_opinion(host, port, addresses).await?;
        let failed = |reason: String| DialError::Upstream {
            proxy: format!("{proxy:?}"),
            host: host.to_owned(),
            reason,
        };
        // The proxy is what the user of this machine named, so it may be anywhere.
        let at = match proxy.host.parse::<IpAddr>() {
            Ok(ip) => vec![SocketAddr::new(ip, proxy.port)],
            Err(_) => self
                .reach
                .resolve(&proxy.host, proxy.port)
                .await
                .map_err(|error| failed(format!("cannot find its address: {error}")))?,
        };
        let mut stream =
            self.connect(alternate(at)).await.map_err(|error| failed(format!("cannot reach it: {error}")))?;
        if purpose == Purpose::Plain {
            return Ok(Dialled { stream, proxy: Some(proxy.clone()) });
        }
        tunnel(&mut stream, proxy, host, port).await.map_err(failed)?;
        Ok(Dialled { stream, proxy: None })
    }

    /// What our own resolver says against a host that a proxy will look up.
    async fn second_opinion(&self, host: &str, port: u16, addresses: Addresses) -> Result<(), DialError> {
        if host.parse::<IpAddr>().is_err() && self.is_mute.load(Ordering::Relaxed) {
            return Ok(());
        }
        match timeout(SECOND_OPINION, self.look_up(host, port, addresses)).await {
            Ok(Err(problem @ DialError::Forbidden { .. })) => Err(problem),
            Ok(_) => Ok(()),
            Err(_) => {
                self.is_mute.store(true, Ordering::Relaxed);
                Ok(())
            }
        }
    }
}

/// IPv6 and IPv4 in turns, beginning with what the resolver put first.
fn alternate(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addresses.first().map(SocketAddr::is_ipv6) else { return addresses };
    let (one, other): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|a| a.is_ipv6() == first);
    let mut mixed = Vec::with_capacity(one.len() + other.len());
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    loop {
        let pair = (one.next(), other.next());
        if pair == (None, None) {
            return mixed;
        }
        mixed.extend(pair.0);
        mixed.extend(pair.1);
    }
}

/// Asks a proxy for a tunnel, and reads its answer to the last byte and no further.
async fn tunnel(stream: &mut TcpStream, proxy: &UpstreamProxy, host: &str, port: u16) -> Result<(), String> {
    let to = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let authorization = match proxy.authorization() {
        Some(value) => format!("Proxy-Authorization: {value}\r\n"),
        None => String::new(),
    };
    let ask = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{authorization}\r\n");
    stream.write_all(ask.as_bytes()).await.map_err(|error| error.to_string())?;
    let mut head = Vec::with_capacity(256);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == HEAD {
            return Err(format!("the head of its answer is longer than {HEAD} bytes"));
        }
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return Err("it hung up".into()),
        }
    }
    let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
    match line {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', _, b' ', b'2', _, _, ..] => Ok(()),
        _ => Err(format!("it answered `{}`", line.escape_ascii())),
    }
}
