//! The proxy that this machine must use to get out, as the usual variables name it: `http_proxy`, `https_proxy`,
//! `all_proxy`, `no_proxy`, in small or capital letters. Reads no environment itself.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use url::Url;

/// A variable that names a proxy which cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot use the proxy that `{variable}` names: {reason}; write it as `http://HOST:PORT`")]
pub struct UpstreamError {
    /// The variable.
    pub variable: String,
    /// What is wrong with it. Never the value, which may hold a password.
    pub reason: String,
}

/// What a connection is for: two kinds of proxy can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A tunnel for any protocol, mostly TLS: `https_proxy`.
    Tunnel,
    /// One plain HTTP request: `http_proxy`.
    Plain,
}

/// One proxy. Its `Debug` shows no password.
#[derive(Clone, PartialEq, Eq)]
pub struct UpstreamProxy {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) authorization: Option<String>,
}

impl std::fmt::Debug for UpstreamProxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl UpstreamProxy {
    /// The value of `Proxy-Authorization`, where the proxy wants one.
    #[must_use]
    pub fn authorization(&self) -> Option<&str> {
        self.authorization.as_deref()
    }
}

/// Which proxy is used for what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upstream {
    tunnel: Option<UpstreamProxy>,
    plain: Option<UpstreamProxy>,
    except: Vec<Except>,
}

/// One entry of `no_proxy`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Except {
    All,
    /// This name and all below it; at this port, or at any.
    Name(String, Option<u16>),
    /// Addresses whose first bits are these.
    Net(IpAddr, u32),
}

impl Upstream {
    /// No proxy: everything is dialled.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// As these variables say.
    ///
    /// # Errors
    /// When one names a proxy that is no `http://` proxy: going round it would be wrong.
    pub fn from_env(variable: impl Fn(&str) -> Option<String>) -> Result<Self, UpstreamError> {
        let first = |names: &[&str]| {
            let set =
                |name: &&str| variable(name).filter(|value| !value.is_empty()).map(|v| ((*name).into(), v));
            names.iter().find_map(set)
        };
        let proxy = |names: &[&str]| -> Result<Option<UpstreamProxy>, UpstreamError> {
            first(names).map(|(name, value): (String, String)| parse(&name, &value)).transpose()
        };
        let except = first(&["no_proxy", "NO_PROXY"]).map(|(_, list)| list).unwrap_or_default();
        Ok(Self {
            tunnel: proxy(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])?,
            plain: proxy(&["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])?,
            except: list(&except),
        })
    }

    /// The proxy to use for this host (a name in lower case, or an address), if any. This machine is never reached
    /// through one.
    #[must_use]
    pub fn proxy_for(&self, host: &str, port: u16, purpose: Purpose) -> Option<&UpstreamProxy> {
        let proxy = match purpose {
            Purpose::Tunnel => self.tunnel.as_ref(),
            Purpose::Plain => self.plain.as_ref(),
        }?;
        let ip: Option<IpAddr> = host.parse().ok();
        let is_here = match ip {
            Some(ip) => ip.to_canonical().is_loopback(),
            None => host == "localhost" || host.ends_with(".localhost"),
        };
        let is_excepted = is_here
            || self.except.iter().any(|except| match except {
                Except::All => true,
                Except::Name(name, at) => at.is_none_or(|at| at == port) && is_or_is_below(host, name),
                Except::Net(net, bits) => ip.is_some_and(|ip| shares(ip.to_canonical(), *net, *bits)),
            });
        (!is_excepted).then_some(proxy)
    }
}

fn parse(variable: &str, value: &str) -> Result<UpstreamProxy, UpstreamError> {
    let wrong = |reason: &str| UpstreamError { variable: variable.to_owned(), reason: reason.to_owned() };
    let full = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
    let url = Url::parse(&full).map_err(|error| wrong(&error.to_string()))?;
    if url.scheme() != "http" {
        return Err(wrong("only proxies that are spoken to in plain HTTP are supported"));
    }
    let host = match url.host() {
        Some(url::Host::Ipv6(ip)) => ip.to_string(),
        Some(host) => host.to_string(),
        None => return Err(wrong("it has no host")),
    };
    let authorization = (!url.username().is_empty() || url.password().is_some()).then(|| {
        let mut pair = percent(url.username());
        pair.push(b':');
        pair.extend(percent(url.password().unwrap_or_default()));
        format!("Basic {}", STANDARD.encode(pair))
    });
    Ok(UpstreamProxy { host, port: url.port_or_known_default().unwrap_or(80), authorization })
}

/// The bytes that `%41`-like text stands for.
fn percent(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let digit = |at: usize| tail.get(at).and_then(|&b| char::from(b).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    bytes
}

/// What cannot be read names nothing, as everywhere: it excepts nothing.
fn list(text: &str) -> Vec<Except> {
    let entry = |entry: &str| {
        if entry == "*" {
            return Some(Except::All);
        }
        if let Some((net, bits)) = entry.split_once('/') {
            let (net, bits): (IpAddr, u32) = (net.parse().ok()?, bits.parse().ok()?);
            return Some(Except::Net(net, bits));
        }
        if let Ok(ip) = entry.trim_start_matches('[').trim_end_matches(']').parse() {
            return Some(Except::Net(ip, 128));
        }
        let (name, port) = match entry.rsplit_once(':') {
            Some((name, port)) => (name, Some(port.parse().ok()?)),
            None => (entry, None),
        };
        let name = name.trim_start_matches('*').trim_matches('.').to_ascii_lowercase();
        (!name.is_empty()).then_some(Except::Name(name, port))
    };
    text.split([',', ' ']).map(str::trim).filter(|text| !text.is_empty()).filter_map(entry).collect()
}

fn is_or_is_below(host: &str, name: &str) -> bool {
    host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn shares(ip: IpAddr, net: IpAddr, bits: u32) -> bool {
    match (ip, net) {
        (IpAddr::V4(ip), IpAddr::V4(net)) => (ip.to_bits() ^ net.to_bits()).leading_zeros() >= bits.min(32),
        (IpAddr::V6(ip), IpAddr::V6(net)) => (ip.to_bits() ^ net.to_bits()).leading_zeros() >= bits.min(128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(pairs: &[(&str, &str)]) -> Result<Upstream, UpstreamError> {
        Upstream::from_env(|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_variables_name_a_proxy_for_each_purpose() {
        let upstream = from(&[
            ("HTTP_PROXY", "http://plain.corp:3128"),
            ("https_proxy", "me:p%40ss@tunnel.corp:8080"),
            ("HTTPS_PROXY", "http://not.this:1"),
        ])
        .unwrap();
        let named = |purpose| upstream.proxy_for("crates.io", 443, purpose).unwrap().clone();
        assert_eq!(format!("{:?}", named(Purpose::Plain)), "plain.corp:3128");
        let tunnel = named(Purpose::Tunnel);
        assert_eq!(format!("{tunnel:?}"), "tunnel.corp:8080");
        assert_eq!(tunnel.authorization(), Some("Basic bWU6cEBzcw=="));
        let all = from(&[("ALL_PROXY", "10.0.0.1"), ("http_proxy", "")]).unwrap();
        for purpose in [Purpose::Plain, Purpose::Tunnel] {
            assert_eq!(format!("{:?}", all.proxy_for("a.example", 80, purpose).unwrap()), "10.0.0.1:80");
        }
        assert_eq!(from(&[]).unwrap(), Upstream::none());
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_an_error_that_shows_no_password() {
        for value in ["socks5://me:hush@h:1", "https://me:hush@h", "http://", "http://me:hush@h:99999"] {
            let problem = from(&[("HTTPS_PROXY", value)]).unwrap_err().to_string();
            assert!(problem.contains("`HTTPS_PROXY`") && !problem.contains("hush"), "{problem}");
        }
    }

    #[test]
    fn no_proxy_names_hosts_ports_and_networks() {
        let upstream = from(&[
            ("https_proxy", "http://proxy:1"),
            ("NO_PROXY", ".corp, *.lan ,Exact.example,at.example:8443 10.0.0.0/8,192.168.1.1,fd00::/8,bad/x"),
        ])
        .unwrap();
        let table = [
            ("corp", 443, false),
            ("a.corp", 443, false),
            ("acorp", 443, true),
            ("a.lan", 443, false),
            ("exact.example", 443, false),
            ("below.exact.example", 443, false),
            ("inexact.example", 443, true),
            ("at.example", 8443, false),
            ("at.example", 443, true),
            ("10.9.8.7", 443, false),
            ("11.9.8.7", 443, true),
            ("192.168.1.1", 443, false),
            ("192.168.1.2", 443, true),
            ("fd12::1", 443, false),
            ("fe12::1", 443, true),
            ("crates.io", 443, true),
            ("localhost", 443, false),
            ("127.0.0.9", 443, false),
            ("::1", 443, false),
        ];
        for (host, port, through) in table {
            let proxy = upstream.proxy_for(host, port, Purpose::Tunnel);
            assert_eq!((host, port, proxy.is_some()), (host, port, through));
        }
        let none = from(&[("https_proxy", "http://proxy:1"), ("no_proxy", "*")]).unwrap();
        assert_eq!(none.proxy_for("crates.io", 443, Purpose::Tunnel), None);
    }
}
