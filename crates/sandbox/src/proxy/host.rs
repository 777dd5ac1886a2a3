//! The one form of a host: what a rule names, what a request asks for and what is dialled are compared in this form
//! and no other. Whatever could be read in two ways is refused here.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// The longest name of a host, in characters (RFC 1035).
const LONGEST: usize = 253;
/// The longest label of one.
const LONGEST_LABEL: usize = 63;

/// A host: a name in lower case without a dot at its end, or an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// A name: labels of `a-z`, `0-9`, `-` and `_`.
    Name(Box<str>),
    /// An address that was written out in its usual form; never IPv4 inside IPv6.
    Ip(IpAddr),
}

/// Why a text is no host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Nothing, or nothing between two dots.
    #[error("a label is empty")]
    Empty,
    /// Longer than any host is.
    #[error("it is too long")]
    TooLong,
    /// Blanks, controls, NUL, `%`, `@`, anything that is not ASCII.
    #[error("it holds a character that no host has; write other scripts as `xn--…`")]
    Character,
    /// A hyphen at the edge of a label.
    #[error("a label begins or ends with `-`")]
    Hyphen,
    /// It means an address, in a spelling other than the usual one.
    #[error("it is an address in an odd spelling")]
    OddAddress,
}

impl Host {
    /// Reads a host. One dot at the end is taken off, and capitals become small.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        if let Some(inner) = text.strip_prefix('[') {
            return v6(inner.strip_suffix(']').ok_or(HostError::Character)?);
        }
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(HostError::Empty);
        }
        if text.len() > LONGEST {
            return Err(HostError::TooLong);
        }
        for label in text.split('.') {
            check_label(label)?;
        }
        if ends_in_a_number(text) {
            // What is left of the spellings once `std` has taken the usual one: octal, hexadecimal, decimal, short.
            return text.parse().map(|ip| Self::Ip(IpAddr::V4(ip))).map_err(|_| HostError::OddAddress);
        }
        Ok(Self::Name(text.to_ascii_lowercase().into()))
    }

    /// As it is dialled and compared: without brackets.
    #[must_use]
    pub fn plain(&self) -> String {
        match self {
            Self::Name(name) => name.to_string(),
            Self::Ip(ip) => ip.to_string(),
        }
    }
}

/// As it stands in front of a port.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

fn v6(text: &str) -> Result<Host, HostError> {
    // `std` takes no zone, which would choose an interface.
    let ip: Ipv6Addr = text.parse().map_err(|_| HostError::OddAddress)?;
    host_of(IpAddr::V6(ip))
}

/// An address as a host. IPv4 inside IPv6 is refused: it would be a second spelling of the same address.
pub(crate) fn host_of(ip: IpAddr) -> Result<Host, HostError> {
    match ip {
        IpAddr::V6(v6) if v6.to_ipv4().is_some() && !v6.is_loopback() && !v6.is_unspecified() => {
            Err(HostError::OddAddress)
        }
        ip => Ok(Host::Ip(ip)),
    }
}

fn check_label(label: &str) -> Result<(), HostError> {
    if label.is_empty() {
        return Err(HostError::Empty);
    }
    if label.len() > LONGEST_LABEL {
        return Err(HostError::TooLong);
    }
    if !label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
        return Err(HostError::Character);
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err(HostError::Hyphen);
    }
    Ok(())
}

/// Whether some resolver would take this for an address (the rule of the WHATWG's URL standard, and of `inet_aton`).
fn ends_in_a_number(text: &str) -> bool {
    let last = text.rsplit('.').next().unwrap_or_default().as_bytes();
    match last {
        [b'0', b'x' | b'X', digits @ ..] => digits.iter().all(u8::is_ascii_hexdigit),
        digits => digits.iter().all(u8::is_ascii_digit),
    }
}

/// A host and a port: where a request wants to go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// The host.
    pub host: Host,
    /// The port; never 0.
    pub port: u16,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Why a text is not `HOST` or `HOST:PORT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// Something before an `@`.
    #[error("it names a user")]
    User,
    /// No number between 1 and 65535 in its usual form.
    #[error("its port is no port")]
    Port,
    /// The host.
    #[error(transparent)]
    Host(#[from] HostError),
}

/// Reads `HOST` or `HOST:PORT`, where the host of IPv6 stands in brackets.
///
/// # Errors
/// When it is neither.
pub fn authority(text: &str) -> Result<(Host, Option<u16>), AuthorityError> {
    if text.contains('@') {
        return Err(AuthorityError::User);
    }
    let (host, port) = match (text.rfind(':'), text.rfind(']')) {
        (Some(colon), bracket) if bracket.is_none_or(|bracket| colon > bracket) => {
            let (host, port) = text.split_at(colon);
            (host, Some(parse_port(port.get(1..).unwrap_or_default())?))
        }
        _ => (text, None),
    };
    Ok((Host::parse(host)?, port))
}

/// A port in its usual form: no sign, no leading zero.
fn parse_port(text: &str) -> Result<u16, AuthorityError> {
    let is_usual = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    if is_usual { text.parse().map_err(|_| AuthorityError::Port) } else { Err(AuthorityError::Port) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_host_has_one_form() {
        for (text, form) in [
            ("crates.io", "crates.io"),
            ("Crates.IO.", "crates.io"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("_a.b-c.d_e", "_a.b-c.d_e"),
            ("localhost", "localhost"),
            ("1.example", "1.example"),
            ("0x.example", "0x.example"),
            ("1.2.3.4a", "1.2.3.4a"),
            ("192.168.0.1", "192.168.0.1"),
            ("192.168.0.1.", "192.168.0.1"),
            ("[2606:4700:0:0::1]", "[2606:4700::1]"),
            ("[::1]", "[::1]"),
            ("[2606:4700::ABCD]", "[2606:4700::abcd]"),
        ] {
            assert_eq!((text, Host::parse(text).unwrap().to_string()), (text, form.to_owned()));
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_no_host() {
        use HostError::{Character, Empty, Hyphen, OddAddress, TooLong};
        let long = format!("{}.example", "a".repeat(64));
        let longer = ["abcdefgh"; 30].join(".");
        for (text, problem) in [
            ("", Empty),
            (".", Empty),
            ("a..b", Empty),
            (".a", Empty),
            ("a.b..", Empty),
            (&long, TooLong),
            (&longer, TooLong),
            ("a b", Character),
            ("a\0.example", Character),
            ("crates.io\0.evil.example", Character),
            ("a\n", Character),
            ("a%2e", Character),
            ("bücher.example", Character),
            ("evil.example\u{3002}", Character),
            ("ａ.example", Character),
            ("me@a.example", Character),
            ("a/b", Character),
            ("a\\b", Character),
            ("*.example", Character),
            ("-a.example", Hyphen),
            ("a-.example", Hyphen),
            ("2130706433", OddAddress),
            ("0x7f000001", OddAddress),
            ("0x7f.1", OddAddress),
            ("0X7F.0.0.1", OddAddress),
            ("0177.0.0.1", OddAddress),
            ("127.1", OddAddress),
            ("127.0.1", OddAddress),
            ("127.0.0.01", OddAddress),
            ("127.0.0.0x1", OddAddress),
            ("1.2.3.4.5", OddAddress),
            ("256.1.1.1", OddAddress),
            ("a.0x", OddAddress),
            ("::1", Character),
            ("[::1", Character),
            ("[fe80::1%eth0]", OddAddress),
            ("[fe80::1%25eth0]", OddAddress),
            ("[::ffff:127.0.0.1]", OddAddress),
            ("[::ffff:7f00:1]", OddAddress),
            ("[::127.0.0.1]", OddAddress),
            ("[127.0.0.1]", OddAddress),
            ("[v1.a]", OddAddress),
        ] {
            assert_eq!((text, Host::parse(text)), (text, Err(problem)));
        }
    }

    #[test]
    fn an_authority_has_a_port_or_none() {
        let read = |text| authority(text).map(|(host, port)| (host.to_string(), port));
        assert_eq!(read("a.example"), Ok(("a.example".into(), None)));
        assert_eq!(read("a.example:1"), Ok(("a.example".into(), Some(1))));
        assert_eq!(read("A.example.:65535"), Ok(("a.example".into(), Some(65535))));
        assert_eq!(read("[::1]:443"), Ok(("[::1]".into(), Some(443))));
        assert_eq!(read("[::1]"), Ok(("[::1]".into(), None)));
        for text in ["a:", "a:0", "a:080", "a:+80", "a:65536", "a:8x", "a: 80", "[::1]:", "a:٣"] {
            assert_eq!((text, read(text)), (text, Err(AuthorityError::Port)));
        }
        for text in ["me@a", "me:pw@a:1", "a:1@b:1", "@a"] {
            assert_eq!((text, read(text)), (text, Err(AuthorityError::User)));
        }
        for text in ["a:1:2", "::1", "::1:443", "[::1]x:1"] {
            assert!(matches!(read(text), Err(AuthorityError::Host(_))), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_form_of_a_form_is_itself(text in "[a-zA-Z0-9._:\\[\\]-]{0,40}") {
            if let Ok(host) = Host::parse(&text) {
                prop_assert_eq!(Host::parse(&host.to_string()), Ok(host.clone()));
                prop_assert_eq!(host.to_string().to_ascii_lowercase(), host.to_string());
            }
        }

        #[test]
        fn a_name_is_no_address_to_anyone(text in "[0-9a-fxX.]{1,20}") {
            if let Ok(Host::Name(name)) = Host::parse(&text) {
                let url = url::Url::parse(&format!("http://{name}/"));
                prop_assert!(url.is_ok_and(|url| url.domain() == Some(&name)));
            }
        }
    }
}
