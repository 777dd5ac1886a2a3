//! The one parser of HTTP heads: bytes in, a request that means one thing or a refusal out. Strict on purpose: what two
//! readers could take for two requests (RFC 9112 §11.2) is refused, not mended. Pure; never sees a body.

use std::fmt;

use super::host::{AuthorityError, Target, authority};

/// The longest head that is read, in bytes.
pub const LONGEST_HEAD: usize = 16 * 1024;
/// The most fields that a head has.
const FIELDS: usize = 128;

/// A request to the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Where it wants to go.
    pub target: Target,
    /// What it wants there.
    pub wish: Wish,
}

/// What a request wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// A tunnel (`CONNECT`).
    Tunnel,
    /// One exchange in plain HTTP (absolute form).
    Exchange(Exchange),
}

/// A plain request that is passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// `GET`, `POST`, …
    pub method: String,
    /// Path and query as they were; begins with `/`.
    pub path: String,
    /// The fields that are for the host (end to end), without `Host`, in order.
    pub fields: Vec<Field>,
    /// Its body.
    pub body: Body,
    /// The client speaks HTTP/1.0: no chunks, and one request a connection.
    pub is_old: bool,
    /// The client may ask again on this connection.
    pub keeps: bool,
}

/// A field of a head. The name keeps its spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name: a token.
    pub name: String,
    /// Its value without blanks around it. Bytes, as no encoding is said.
    pub value: Vec<u8>,
}

/// How long a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// So many bytes; 0 where there is none.
    Length(u64),
    /// In chunks, the last of which is empty.
    Chunked,
    /// Until the connection ends; of answers alone.
    UntilEnd,
}

/// Why a head is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "`Display` says what each is")]
pub enum BadHead {
    Line,
    Byte,
    Method,
    Version,
    Scheme,
    OriginForm,
    Path,
    NoPort,
    Authority(AuthorityError),
    FieldName,
    Fold,
    TooManyFields,
    NoHost,
    TwoHosts,
    OtherHost,
    Length,
    TwoLengths,
    LengthAndChunks,
    Coding,
    TunnelBody,
    Connection,
    Status,
}

impl fmt::Display for BadHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Line => "a line does not end as HTTP's do, or the first one has not three words",
            Self::Byte => "it holds a NUL or another control character",
            Self::Method => "the method is no token",
            Self::Version => "the version is neither HTTP/1.1 nor HTTP/1.0",
            Self::Scheme => "only `http://` can be asked for in full; other schemes go through `CONNECT`",
            Self::OriginForm => "this is a proxy: ask for a full address, or use `CONNECT`",
            Self::Path => "the path holds a character that must be written as `%…`",
            Self::NoPort => "`CONNECT` needs `HOST:PORT`",
            Self::Authority(error) => return write!(f, "the host cannot be used: {error}"),
            Self::FieldName => "the name of a field is no token",
            Self::Fold => "a field goes on in the next line",
            Self::TooManyFields => return write!(f, "it has more than {FIELDS} fields"),
            Self::NoHost => "`Host` is missing",
            Self::TwoHosts => "`Host` is there twice",
            Self::OtherHost => "`Host` names another host than the address",
            Self::Length => "`Content-Length` is no number",
            Self::TwoLengths => "`Content-Length` is there twice",
            Self::LengthAndChunks => "`Content-Length` and `Transfer-Encoding` are both there",
            Self::Coding => "`Transfer-Encoding` is not `chunked` alone, or not of HTTP/1.1",
            Self::TunnelBody => "`CONNECT` has no body",
            Self::Connection => "`Connection` names a field that the host needs",
            Self::Status => "the status is none",
        })
    }
}

/// Where a head ends: the number of bytes up to and with the empty line.
#[must_use]
pub fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

/// Reads the head of a request, given whole with its empty line.
///
/// # Errors
/// When it does not mean exactly one thing.
pub fn parse_request(head: &[u8]) -> Result<Request, BadHead> {
    let (line, fields) = split(head)?;
    let mut words = line.split(|&byte| byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(BadHead::Line);
    };
    let method = token(method).ok_or(BadHead::Method)?;
    let is_old = match version {
        b"HTTP/1.1" => false,
        b"HTTP/1.0" => true,
        _ => return Err(BadHead::Version),
    };
    let target = std::str::from_utf8(target).map_err(|_| BadHead::Path)?;
    let host = one(&fields, "host", BadHead::TwoHosts)?;
    if method == "CONNECT" {
        return connect(target, host, &fields);
    }
    let (target, path) = absolute(target)?;
    match host {
        Some(host) => agrees(host, &target, true)?,
        None if is_old => {}
        None => return Err(BadHead::NoHost),
    }
    let body = framing(&fields, is_old)?.unwrap_or(Body::Length(0));
    let keeps = !is_old && !connection_options(&fields).any(|option| option == "close");
    let fields = end_to_end(fields)?;
    let wish = Wish::Exchange(Exchange { method, path, fields, body, is_old, keeps });
    Ok(Request { target, wish })
}

fn connect(target: &str, host: Option<&[u8]>, fields: &[Field]) -> Result<Request, BadHead> {
    let (name, port) = authority(target).map_err(BadHead::Authority)?;
    let target = Target { host: name, port: port.ok_or(BadHead::NoPort)? };
    if let Some(host) = host {
        agrees(host, &target, false)?;
    }
    if framing(fields, false)?.is_some_and(|body| body != Body::Length(0)) {
        return Err(BadHead::TunnelBody);
    }
    Ok(Request { target, wish: Wish::Tunnel })
}

/// Takes `http://HOST[:PORT]/PATH` apart.
fn absolute(target: &str) -> Result<(Target, String), BadHead> {
    let Some((scheme, rest)) = target.split_once("://") else {
        return Err(BadHead::OriginForm);
    };
    if target.starts_with(['/', '*']) {
        return Err(BadHead::OriginForm);
    }
    if !scheme.eq_ignore_ascii_case("http") {
        return Err(BadHead::Scheme);
    }
    let (name, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (host, port) = authority(name).map_err(BadHead::Authority)?;
    // Nothing is decoded, so nothing is read in two ways. Clients send more than RFC 3986 lists; what is left out here
    // is what some servers take for a border.
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'#' | b'\\' | b'<' | b'>');
    if !path.bytes().all(is_plain) {
        return Err(BadHead::Path);
    }
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Ok((Target { host, port: port.unwrap_or(80) }, path))
}

/// Whether a `Host` field means the target.
fn agrees(host: &[u8], target: &Target, is_plain: bool) -> Result<(), BadHead> {
    let text = std::str::from_utf8(host).map_err(|_| BadHead::OtherHost)?;
    let (name, port) = authority(text).map_err(|_| BadHead::OtherHost)?;
    // Clients leave the port out before a tunnel, too.
    let port = port.unwrap_or(if is_plain { 80 } else { target.port });
    if name == target.host && port == target.port { Ok(()) } else { Err(BadHead::OtherHost) }
}

/// The head of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// 100 to 999.
    pub(crate) status: u16,
    /// What stands behind it.
    pub(crate) reason: Vec<u8>,
    /// The fields that are for the client.
    pub(crate) fields: Vec<Field>,
    /// Its body, as the fields say. Some requests and states have none all the same.
    pub(crate) body: Body,
}

/// Reads the head of an answer.
pub(crate) fn parse_answer(head: &[u8]) -> Result<Answer, BadHead> {
    let (line, fields) = split(head)?;
    let (version, rest) = line.split_at_checked(9).ok_or(BadHead::Line)?;
    let is_old = match version {
        b"HTTP/1.1 " => false,
        b"HTTP/1.0 " => true,
        _ => return Err(BadHead::Version),
    };
    let (status, reason) = match rest {
        [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', reason @ ..] => {
            let digit = |byte: &u8| u16::from(byte - b'0');
            (digit(a) * 100 + digit(b) * 10 + digit(c), reason)
        }
        _ => return Err(BadHead::Status),
    };
    let reason = match reason {
        [] => &[],
        [b' ', reason @ ..] => reason,
        _ => return Err(BadHead::Status),
    };
    let body = framing(&fields, is_old)?.unwrap_or(Body::UntilEnd);
    Ok(Answer { status, reason: reason.to_vec(), fields: end_to_end(fields)?, body })
}

/// The first line and the fields.
fn split(head: &[u8]) -> Result<(&[u8], Vec<Field>), BadHead> {
    let lines = head.strip_suffix(b"\r\n\r\n").ok_or(BadHead::Line)?;
    let mut lines = Lines(Some(lines));
    let first = lines.next().ok_or(BadHead::Line)??;
    let mut fields = Vec::new();
    for line in lines {
        if fields.len() == FIELDS {
            return Err(BadHead::TooManyFields);
        }
        fields.push(field(line?)?);
    }
    Ok((first, fields))
}

/// Lines that end in CR LF, with no other CR, LF or control character in them.
struct Lines<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Lines<'a> {
    type Item = Result<&'a [u8], BadHead>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.0.take()?;
        let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(rest.len());
        let (line, behind) = rest.split_at(end);
        match behind {
            [] => {}
            [b'\r', b'\n', more @ ..] => self.0 = Some(more),
            _ => return Some(Err(BadHead::Line)),
        }
        if line.iter().any(|&byte| byte.is_ascii_control() && byte != b'\t') {
            return Some(Err(BadHead::Byte));
        }
        Some(Ok(line))
    }
}

fn field(line: &[u8]) -> Result<Field, BadHead> {
    if line.starts_with(b" ") || line.starts_with(b"\t") {
        return Err(BadHead::Fold);
    }
    let colon = line.iter().position(|&byte| byte == b':').ok_or(BadHead::FieldName)?;
    let (name, value) = line.split_at(colon);
    let name = token(name).ok_or(BadHead::FieldName)?;
    Ok(Field { name, value: trim(value.get(1..).unwrap_or_default()).to_vec() })
}

fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// A token of RFC 9110 §5.6.2, of a length that someone means.
fn token(bytes: &[u8]) -> Option<String> {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let is_one = (1..=256).contains(&bytes.len()) && bytes.iter().all(is_token);
    is_one.then(|| String::from_utf8_lossy(bytes).into_owned())
}

fn named<'a>(fields: &'a [Field], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| &*field.value)
}

/// The value of a field that may be there once.
fn one<'a>(fields: &'a [Field], name: &'a str, twice: BadHead) -> Result<Option<&'a [u8]>, BadHead> {
    let mut values = named(fields, name);
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(twice),
        (value, None) => Ok(value),
    }
}

/// How long the body is, if the fields say so.
fn framing(fields: &[Field], is_old: bool) -> Result<Option<Body>, BadHead> {
    let length = one(fields, "content-length", BadHead::TwoLengths)?;
    let coding = one(fields, "transfer-encoding", BadHead::Coding)?;
    match (length, coding) {
        (Some(_), Some(_)) => Err(BadHead::LengthAndChunks),
        (None, None) => Ok(None),
        (None, Some(coding)) if !is_old && coding.eq_ignore_ascii_case(b"chunked") => Ok(Some(Body::Chunked)),
        (None, Some(_)) => Err(BadHead::Coding),
        (Some(length), None) => {
            let is_number = (1..=18).contains(&length.len()) && length.iter().all(u8::is_ascii_digit);
            let length = std::str::from_utf8(length).ok().filter(|_| is_number);
            length.and_then(|text| text.parse().ok()).map(|n| Some(Body::Length(n))).ok_or(BadHead::Length)
        }
    }
}

/// What `Connection` names, in lower case.
fn connection_options(fields: &[Field]) -> impl Iterator<Item = String> {
    let values = named(fields, "connection").chain(named(fields, "proxy-connection"));
    values
        .flat_map(|value| value.split(|&byte| byte == b','))
        .map(|option| String::from_utf8_lossy(trim(option)).to_ascii_lowercase())
}

/// Fields that end at each hop (RFC 9110 §7.6.1), and `Host` and the body's length, which are written anew. One that is
/// called `close` would be taken away by the next hop, since we write `Connection: close`.
const HOP_BY_HOP: &[&str] = &[
    "close",
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Fields that `Connection` must not take away, as the request would become another one without them.
const NEEDED: &[&str] =
    &["authorization", "content-length", "content-type", "cookie", "host", "transfer-encoding"];

/// The fields that are passed on.
fn end_to_end(fields: Vec<Field>) -> Result<Vec<Field>, BadHead> {
    let options: Vec<String> = connection_options(&fields).collect();
    if options.iter().any(|option| NEEDED.contains(&option.as_str())) {
        return Err(BadHead::Connection);
    }
    let is_kept = |field: &Field| {
        let name = field.name.to_ascii_lowercase();
        !HOP_BY_HOP.contains(&name.as_str()) && !options.contains(&name)
    };
    Ok(fields.into_iter().filter(is_kept).collect())
}

impl Exchange {
    /// The head that is sent on: to the host itself, or in full to a proxy that wants this authorization.
    #[must_use]
    pub fn head(&self, target: &Target, proxy: Option<Option<&str>>) -> Vec<u8> {
        let host = if target.port == 80 { target.host.to_string() } else { target.to_string() };
        let full = if proxy.is_some() { format!("http://{host}") } else { String::new() };
        let mut head =
            format!("{} {full}{} HTTP/1.1\r\nHost: {host}\r\n", self.method, self.path).into_bytes();
        write_fields(&mut head, &self.fields);
        match self.body {
            Body::Length(0) if !matches!(&*self.method, "POST" | "PUT" | "PATCH") => {}
            Body::Length(length) => {
                head.extend_from_slice(format!("Content-Length: {length}\r\n").as_bytes())
            }
            Body::Chunked | Body::UntilEnd => head.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        }
        if let Some(Some(authorization)) = proxy {
            head.extend_from_slice(format!("Proxy-Authorization: {authorization}\r\n").as_bytes());
        }
        head.extend_from_slice(b"Via: 1.1 codetether\r\nConnection: close\r\n\r\n");
        head
    }
}

pub(crate) fn write_fields(head: &mut Vec<u8>, fields: &[Field]) {
    for field in fields {
        head.extend_from_slice(field.name.as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(&field.value);
        head.extend_from_slice(b"\r\n");
    }
}
