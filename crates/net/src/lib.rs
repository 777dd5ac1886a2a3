//! The HTTP client (one pool of connections, TLS roots, proxies), and the dialler that checks addresses. Knows no
//! protocol above HTTP.
//!
//! Nothing is loaded that is not needed: a client for a plain `http` address reads no certificates.

mod address;
mod dial;
mod get;
mod upstream;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use reqwest::redirect::Policy;
use rustls::{ClientConfig, RootCertStore};
use rustls_native_certs::CertificateResult;
use url::{Host, Url};

pub use address::{AddressKind, address_kind};
pub use dial::{Addresses, DialError, Dialled, Dialler, Reach, Reaching, System};
pub use get::{GetError, Got, get, host_of};
pub use upstream::{Purpose, Upstream, UpstreamError, UpstreamProxy};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(15);
/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(90);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is none.
    #[error("`{url}` is not an address: {reason}; write it as `https://HOST/…` or `http://127.0.0.1:PORT/…`")]
    Address {
        /// As it was given, but for what may be secret: user, password and query.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// TLS cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
    /// The client cannot be built.
    #[error("cannot set up the HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// A client for requests below this address. Clones share its connections.
///
/// For `https` the system's certificates are trusted, or Mozilla's where the system has none; where `SSL_CERT_FILE` or
/// `SSL_CERT_DIR` is set, those named by it and no others. The usual proxy variables are honoured, but never for this machine itself. Redirects
/// are not followed: a key must not travel to where it was not meant to go.
///
/// # Errors
/// When the address is none, or TLS cannot be set up.
pub fn client(base_url: &str) -> Result<Client, Error> {
    let url = parse(base_url)?;
    let mut builder = Client::builder()
        .user_agent(concat!("codetether/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .pool_idle_timeout(IDLE)
        .tcp_nodelay(true)
        .tcp_keepalive(Duration::from_secs(30))
        .redirect(Policy::none())
        .referer(false)
        .tls_backend_preconfigured(tls(roots(&url)?)?);
    if is_loopback_host(&url) {
        builder = builder.no_proxy();
    }
    Ok(builder.build()?)
}

/// Whether this address is on this machine.
#[must_use]
pub fn is_loopback(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| is_loopback_host(&url))
}

fn is_loopback_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::from(ip).to_canonical().is_loopback(),
        None => false,
    }
}

fn parse(base_url: &str) -> Result<Url, Error> {
    let wrong = |reason: String| Error::Address { url: shown(base_url), reason };
    let url = Url::parse(base_url).map_err(|error| wrong(error.to_string()))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(wrong(format!("the scheme `{other}` is not supported"))),
    }
}

/// The address without what may be secret in it, whether or not it is well formed.
fn shown(url: &str) -> String {
    let start = url.find("://").map_or(0, |end| end + "://".len());
    let (scheme, rest) = url.split_at(start);
    // A password may hold any character when it is written wrongly.
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    format!("{scheme}{}", rest.get(..end).unwrap_or_default())
}

/// Whom to trust: nobody where TLS is not used, so that no certificates are read for nothing, and so that a mistaken
/// use of such a client for TLS fails closed.
fn roots(url: &Url) -> Result<RootCertStore, Error> {
    if url.scheme() != "https" {
        return Ok(RootCertStore::empty());
    }
    let is_named = ["SSL_CERT_FILE", "SSL_CERT_DIR"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    trusted(rustls_native_certs::load_native_certs(), is_named)
}

/// The certificates that were loaded. Who names them wants them instead of others, so where there are none that is
/// an error, not a reason to trust more.
fn trusted(loaded: CertificateResult, is_named: bool) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(loaded.certs);
    if roots.is_empty() && is_named {
        let why: Vec<String> = loaded.errors.iter().take(3).map(ToString::to_string).collect();
        let why = if why.is_empty() { "there is no certificate there".to_owned() } else { why.join("; ") };
        return Err(Error::Tls(format!(
            "cannot load the certificates that `SSL_CERT_FILE` or `SSL_CERT_DIR` names: {why}"
        )));
    }
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    Ok(roots)
}

/// TLS with the one crypto provider of the program.
fn tls(roots: RootCertStore) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Tls(error.to_string()))?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_told_from_others() {
        for url in [
            "http://127.0.0.1:8080/v1",
            "http://127.9.9.9",
            "http://[::1]:1/",
            "http://localhost",
            "http://LOCALHOST/x",
            "http://[::ffff:127.0.0.1]/",
        ] {
            assert!(is_loopback(url), "{url}");
        }
        for url in [
            "http://127.0.0.1.evil.example/",
            "http://localhost.example",
            "https://10.0.0.1",
            "http://user@host:1/127.0.0.1",
            "nonsense",
            "",
        ] {
            assert!(!is_loopback(url), "{url}");
        }
    }

    #[test]
    fn a_client_is_made_for_http_and_https_only() {
        assert!(client("http://127.0.0.1:1/v1").is_ok());
        assert!(client("https://api.example.com/v1").is_ok());
        for (url, word) in [
            ("api.example.com", "not an address"),
            ("ftp://h", "`ftp` is not supported"),
            ("", "not an address"),
        ] {
            let problem = client(url).unwrap_err().to_string();
            assert!(problem.contains(word), "{problem}");
        }
    }

    #[test]
    fn a_message_repeats_no_secret_of_the_address() {
        for url in
            ["htps://me:pw@host/x", "htps://me:p/w@pw?pw@host/x?api-key=pw", "me:pw@host/x#pw", "host/x?pw"]
        {
            let problem = client(url).unwrap_err().to_string();
            assert!(problem.contains("host/x`") && !problem.contains("pw"), "{problem}");
        }
    }

    #[test]
    fn certificates_that_were_named_and_are_not_there_are_not_replaced_by_others() {
        let missing = || {
            let path = std::path::Path::new("/no/such/certificates.pem");
            rustls_native_certs::load_certs_from_paths(Some(path), None)
        };
        let problem = trusted(missing(), true).unwrap_err().to_string();
        assert!(problem.contains("SSL_CERT_FILE") && problem.contains("/no/such/"), "{problem}");
        assert!(trusted(CertificateResult::default(), true).is_err());
        assert!(!trusted(missing(), false).unwrap().is_empty());
    }

    #[test]
    fn certificates_are_read_only_for_https() {
        let roots = |url: &str| roots(&Url::parse(url).unwrap()).unwrap();
        assert!(roots("http://127.0.0.1:1/v1").is_empty());
        assert!(!roots("https://api.example.com/v1").is_empty());
    }
}
