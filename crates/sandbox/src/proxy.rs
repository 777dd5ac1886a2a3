//! The egress proxy: the only way out of a sandbox with a network, for hosts that rules name. It takes HTTP `CONNECT`,
//! plain HTTP in absolute form and SOCKS5 by name, and looks into no body. What it denies it tells, and waits, if it is
//! to, for someone to allow it. Policy comes from the user alone: nothing in here reads a workspace.
//!
//! ```no_run
//! # async fn example(listener: std::net::TcpListener) -> Result<(), Box<dyn std::error::Error>> {
//! use codetether_net::{Dialler, Upstream};
//! use codetether_sandbox::proxy::{Allow, Limits, Place, serve};
//!
//! let variable = |name: &str| std::env::var(name).ok();
//! let allow = Allow::parse(&["cargo", "*.example.org"], &Place::of_user("/home/me".into(), &variable))?;
//! let dialler = Dialler::new(Upstream::from_env(variable)?);
//! let (events, _denied) = tokio::sync::mpsc::channel(64);
//! serve(listener, allow, events, dialler, Limits::default(), Default::default()).await?;
//! # Ok(()) }
//! ```

mod allow;
mod denied;
mod environment;
mod gate;
mod head;
mod host;
mod http;
mod limits;
mod preset;
mod rule;
mod socks;
mod stream;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use codetether_net::Dialler;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

pub use allow::{Allow, AllowError, Verdict};
pub use denied::{Denied, Why};
pub use environment::variables;
pub use head::{BadHead, Body, Exchange, Field, LONGEST_HEAD, Request, Wish, head_end, parse_request};
pub use host::{AuthorityError, Host, HostError, Target, authority};
pub use limits::Limits;
pub use preset::{Place, Preset, PresetError};
pub use rule::{Origin, Rule, RuleError};

use denied::Reporter;
use gate::Shared;
use limits::Activity;
use stream::Reader;

/// How long to wait when the kernel has no more descriptors for us.
const PAUSE: Duration = Duration::from_millis(50);

/// Why there is no proxy, or no longer.
#[derive(Debug, thiserror::Error)]
#[error("cannot take connections for the sandbox's network: {0}")]
pub struct ProxyError(#[from] io::Error);

/// Serves everyone who connects to this listener (which may be in another network namespace) until it is cancelled;
/// then all connections are ended. Whom the rules allow is decided when it asks, so rules may come later.
///
/// # Errors
/// When the listener breaks.
pub async fn serve(
    listener: std::net::TcpListener,
    allow: Allow,
    events: mpsc::Sender<Denied>,
    dialler: Dialler,
    limits: Limits,
    cancel: CancellationToken,
) -> Result<(), ProxyError> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(limits.connections));
    let waiting = Semaphore::new(limits.waiting);
    let shared = Arc::new(Shared { allow, dialler, limits, reporter: Reporter::new(events), waiting });
    // Dropped, and with it every connection, when this returns or is dropped itself.
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) if is_passing(&error) => {
                sleep(PAUSE).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            turn_away(&stream, limits.connections);
            continue;
        };
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            // What a client does wrong with its connection is its own affair.
            let _ = connection(&shared, stream).await;
            drop(place);
        });
    }
}

/// Whether the next attempt may go well: the client has left, or descriptors and memory are short.
fn is_passing(error: &io::Error) -> bool {
    let is_short = matches!(error.raw_os_error(), Some(errno) if [
        rustix::io::Errno::MFILE,
        rustix::io::Errno::NFILE,
        rustix::io::Errno::NOBUFS,
        rustix::io::Errno::NOMEM,
    ].map(rustix::io::Errno::raw_os_error).contains(&errno));
    is_short || matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted)
}

/// Says without waiting that there is no place. If the kernel takes it, the client reads it.
fn turn_away(stream: &TcpStream, most: usize) {
    let line = format!("the sandbox has {most} connections already\n");
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{line}",
        line.len()
    );
    let _ = stream.try_write(answer.as_bytes());
}

async fn connection(shared: &Shared, stream: TcpStream) -> io::Result<()> {
    // A refusal changes nothing but speed.
    let _ = stream.set_nodelay(true);
    let (reader, writer) = stream.into_split();
    let mut reader = Reader::new(reader);
    match timeout(shared.limits.head, reader.more()).await {
        Ok(Ok(true)) => {}
        _ => return Ok(()),
    }
    match reader.rest().first() {
        Some(5) => socks::serve(shared, reader, writer).await,
        _ => http::serve(shared, reader, writer).await,
    }
}

/// Both ways, until both have ended, one breaks, or neither says anything for too long.
async fn tunnel(
    shared: &Shared,
    reader: Reader<OwnedReadHalf>,
    mut writer: OwnedWriteHalf,
    host: TcpStream,
) -> io::Result<()> {
    let (from, mut to) = host.into_split();
    let activity = Activity::new();
    let out = reader.pour(&mut to, &activity);
    let back = Reader::new(from).pour(&mut writer, &activity);
    tokio::select! {
        done = async { tokio::try_join!(out, back) } => done.map(|_| ()),
        () = activity.idle(shared.limits.idle) => Ok(()),
    }
}
