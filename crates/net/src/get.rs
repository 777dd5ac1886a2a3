//! One GET of a web address: over the dialler that checks addresses, on a connection of its own, with no more headers than
//! it takes. Follows no redirect, keeps no cookie, and reads no more of the answer than it was told to.

use std::pin::pin;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, CONNECTION, HOST, HeaderName, LOCATION, PROXY_AUTHORIZATION, USER_AGENT,
};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use url::{Host, Position, Url};

use crate::{Addresses, DialError, Dialler, Error, Purpose, roots, tls};

/// How long the head of an answer may be, in bytes.
const HEAD: usize = 64 * 1024;

/// What is sent as `User-Agent`.
const AGENT: &str = "codetether";

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum GetError {
    /// There is no connection.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// TLS cannot be set up here.
    #[error(transparent)]
    Setup(#[from] Error),
    /// The address names no host that can be asked.
    #[error("the address has no host that can be asked")]
    NoHost,
    /// The server's certificate, or what else it says in TLS, is not right.
    #[error("cannot speak TLS with `{host}`: {reason}")]
    Tls {
        /// As it was asked for.
        host: String,
        /// What is wrong.
        reason: String,
    },
    /// It does not speak HTTP as it should, or hung up.
    #[error("`{host}` did not answer as a web server: {reason}")]
    Http {
        /// As it was asked for.
        host: String,
        /// What is wrong.
        reason: String,
    },
}

/// An answer, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Got {
    /// Its status.
    pub status: u16,
    /// `Location`.
    pub location: Option<String>,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Content-Encoding`.
    pub encoding: Option<String>,
    /// The body, or its beginning.
    pub body: Vec<u8>,
    /// Whether there is more of it.
    pub cut: bool,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// The host of an address as the dialler takes it: a name in lower case, or an address without brackets.
#[must_use]
pub fn host_of(url: &Url) -> Option<String> {
    match url.host()? {
        Host::Domain(name) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            (!name.is_empty()).then_some(name)
        }
        Host::Ipv4(ip) => Some(ip.to_string()),
        Host::Ipv6(ip) => Some(ip.to_string()),
    }
}

/// Asks for an address, and reads at most `most` bytes of what it answers. Takes as long as it takes: whoever calls this
/// bounds the time.
///
/// # Errors
/// When there is no connection, or nobody answers in HTTP.
pub async fn get(
    dialler: &Dialler,
    url: &Url,
    addresses: Addresses,
    accept: &str,
    most: usize,
) -> Result<Got, GetError> {
    let host = host_of(url).ok_or(GetError::NoHost)?;
    let port = url.port_or_known_default().ok_or(GetError::NoHost)?;
    let secure = url.scheme() == "https";
    let purpose = if secure { Purpose::Tunnel } else { Purpose::Plain };
    let dialled = dialler.dial(&host, port, purpose, addresses).await?;
    let authority = match url.port() {
        Some(port) => format!("{}:{port}", bracketed(&host)),
        None => bracketed(&host),
    };
    let path = &url[Position::BeforePath..Position::AfterQuery];
    // A proxy that is no tunnel has to be told where to.
    let target = if dialled.proxy.is_some() { format!("http://{authority}{path}") } else { path.to_owned() };
    let http = |reason: String| GetError::Http { host: host.clone(), reason };
    let mut request = Request::get(target)
        .header(HOST, &authority)
        .header(USER_AGENT, AGENT)
        .header(ACCEPT, accept)
        .header(ACCEPT_ENCODING, "gzip")
        .header(CONNECTION, "close");
    if let Some(authorization) = dialled.proxy.as_ref().and_then(|proxy| proxy.authorization()) {
        request = request.header(PROXY_AUTHORIZATION, authorization);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| http(error.to_string()))?;
    let stream: Box<dyn Stream> = if secure {
        let config = tokio::task::spawn_blocking({
            let url = url.clone();
            move || -> Result<_, Error> {
                let mut config = tls(roots(&url)?)?;
                config.alpn_protocols = vec![b"http/1.1".to_vec()];
                Ok(config)
            }
        });
        let config = config.await.map_err(|error| http(error.to_string()))??;
        let wrong = |reason: String| GetError::Tls { host: host.clone(), reason };
        let name = ServerName::try_from(host.clone()).map_err(|error| wrong(error.to_string()))?;
        let connector = TlsConnector::from(std::sync::Arc::new(config));
        Box::new(connector.connect(name, dialled.stream).await.map_err(|error| wrong(error.to_string()))?)
    } else {
        Box::new(dialled.stream)
    };
    exchange(stream, request, most).await.map_err(|error| http(told(&error)))
}

/// Sends the request and reads the answer, both on this task.
async fn exchange(
    stream: Box<dyn Stream>,
    request: Request<Empty<Bytes>>,
    most: usize,
) -> Result<Got, hyper::Error> {
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(HEAD).handshake(TokioIo::new(stream)).await?;
    let mut connection = pin!(connection);
    let mut asking = pin!(async move { read(sender.send_request(request).await?, most).await });
    let mut open = true;
    loop {
        tokio::select! {
            got = &mut asking => return got,
            // What is wrong with it, the one who asks hears too; what has come of a body is still read.
            _ = &mut connection, if open => open = false,
        }
    }
}

async fn read(response: Response<hyper::body::Incoming>, most: usize) -> Result<Got, hyper::Error> {
    let header = |name: HeaderName| {
        let value = response.headers().get(name)?.as_bytes();
        Some(String::from_utf8_lossy(value).into_owned())
    };
    let mut got = Got {
        status: response.status().as_u16(),
        location: header(LOCATION),
        content_type: header(hyper::header::CONTENT_TYPE),
        encoding: header(hyper::header::CONTENT_ENCODING),
        body: Vec::new(),
        cut: false,
    };
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        let room = most.saturating_sub(got.body.len());
        got.body.extend_from_slice(data.get(..room).unwrap_or(&data));
        if data.len() > room {
            got.cut = true;
            break;
        }
    }
    Ok(got)
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// An error with what caused it.
fn told(error: &hyper::Error) -> String {
    use std::error::Error as _;
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_one_spelling() {
        let table = [
            ("http://Docs.RS/x", "docs.rs"),
            ("http://docs.rs./x", "docs.rs"),
            ("http://0x7f.1/", "127.0.0.1"),
            ("http://2130706433/", "127.0.0.1"),
            ("http://[::FFFF:7f00:1]/", "::ffff:127.0.0.1"),
            ("http://b\u{fc}cher.example/", "xn--bcher-kva.example"),
        ];
        for (url, host) in table {
            assert_eq!(host_of(&Url::parse(url).unwrap()).as_deref(), Some(host), "{url}");
        }
    }
}
