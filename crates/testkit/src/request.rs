//! A request as the scripted server got it, and reading one from a connection. Never answers anything.

use std::io::{self, BufRead, Read};
use std::time::Instant;

use serde_json::Value;

/// Longer heads are refused, bytes.
const LONGEST_HEAD: u64 = 64 * 1024;
/// Longer bodies are refused, bytes.
const LONGEST_BODY: u64 = 64 * 1024 * 1024;

/// One request, as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// When its last byte was read.
    pub at: Instant,
    /// `POST`, `GET`, …
    pub method: String,
    /// With the query, as sent: `/v1/chat/completions`.
    pub path: String,
    /// In the order of arrival; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The bytes of the body.
    pub body: Vec<u8>,
    /// Which connection it came over: the first is 0.
    pub connection: u64,
}

impl Request {
    /// The value of the first header of this name (in lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none: the test fails.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("the body is not JSON: {error}: {}", String::from_utf8_lossy(&self.body))
        })
    }

    /// The next request of a connection; `None` when the other side closed it between two requests.
    pub(crate) fn read(from: &mut impl BufRead, connection: u64) -> io::Result<Option<Self>> {
        let mut head = from.by_ref().take(LONGEST_HEAD);
        let Some(first) = line(&mut head)? else { return Ok(None) };
        let mut words = first.split(' ');
        let (Some(method), Some(path), Some("HTTP/1.1")) = (words.next(), words.next(), words.next()) else {
            return Err(wrong("the first line is not one of HTTP/1.1"));
        };
        let mut headers = Vec::new();
        loop {
            let header = line(&mut head)?.ok_or_else(|| wrong("the head has no end"))?;
            if header.is_empty() {
                break;
            }
            let (name, value) = header.split_once(':').ok_or_else(|| wrong("a header has no colon"))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut request = Self {
            at: Instant::now(),
            method: method.to_owned(),
            path: path.to_owned(),
            headers,
            body: Vec::new(),
            connection,
        };
        let length = request.length()?;
        request.body.reserve_exact(usize::try_from(length).unwrap_or_default());
        from.by_ref().take(length).read_to_end(&mut request.body)?;
        if request.body.len() as u64 != length {
            return Err(wrong("the body is shorter than its `content-length`"));
        }
        request.at = Instant::now();
        Ok(Some(request))
    }

    /// How many bytes of body follow the head.
    fn length(&self) -> io::Result<u64> {
        if self.header("transfer-encoding").is_some() {
            return Err(wrong("a body without `content-length` is not understood"));
        }
        let length = self.header("content-length").map_or(Ok(0), str::parse);
        let length = length.map_err(|_| wrong("`content-length` is not a number"))?;
        if length > LONGEST_BODY { Err(wrong("the body is too long")) } else { Ok(length) }
    }
}

/// A line without its end; `None` at the end of the stream.
fn line(from: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(Some(line.to_owned())),
        None => Err(wrong("a line of the head has no end")),
    }
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &str) -> io::Result<Option<Request>> {
        Request::read(&mut bytes.as_bytes(), 7)
    }

    #[test]
    fn a_request_is_read_with_its_headers_and_body() {
        let request = read("POST /v1/x?y HTTP/1.1\r\nHost: a:1\r\nContent-Length: 7\r\n\r\n{\"a\":1}rest")
            .unwrap()
            .unwrap();
        assert_eq!(
            (request.method.as_str(), request.path.as_str(), request.connection),
            ("POST", "/v1/x?y", 7)
        );
        assert_eq!(
            request.headers,
            [("host", "a:1"), ("content-length", "7")].map(|(n, v)| (n.to_owned(), v.to_owned()))
        );
        assert_eq!(request.json(), serde_json::json!({ "a": 1 }));
    }

    #[test]
    fn a_closed_connection_is_no_request() {
        assert!(read("").unwrap().is_none());
    }

    #[test]
    fn what_is_not_http_or_not_whole_is_an_error() {
        for bytes in [
            "hello\r\n\r\n",
            "GET / HTTP/1.1\r\n",
            "GET / HTTP/1.1\r\nno colon\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nabc",
            "POST / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
        ] {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
    }
}
