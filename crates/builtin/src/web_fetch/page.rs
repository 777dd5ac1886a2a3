//! What an answer holds, as text: unpacked within bounds, in the characters that it is written in, HTML as what a reader sees
//! of it. Pure.

use std::io::Read;

use codetether_net::Got;
use encoding_rs::{Encoding, UTF_8};
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use url::Url;

use super::READ;
use super::markdown::of_html;

/// How far into a page it may say what its characters are.
const META: usize = 1_024;

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) text: String,
    /// How many bytes were read, where there are more.
    pub(super) cut: Option<usize>,
}

enum Kind {
    Html,
    Text,
}

/// The text of an answer; an error says what it is instead.
pub(super) fn read(got: Got, url: &Url, raw: bool) -> Result<Page, String> {
    let (bytes, mut cut) = unpacked(got.body, got.encoding.as_deref(), got.cut)?;
    let declared = got.content_type.unwrap_or_default();
    let kind = kind(&declared, &bytes)?;
    let meta = matches!(kind, Kind::Html).then(|| meta_charset(&bytes)).flatten();
    let encoding = charset(&declared).or(meta);
    let encoding = encoding.and_then(|label| Encoding::for_label(label.as_bytes())).unwrap_or(UTF_8);
    let (text, ..) = encoding.decode(&bytes);
    let text = match kind {
        Kind::Html if !raw => {
            let (text, whole) = of_html(&text, url, READ);
            cut |= !whole;
            text
        }
        Kind::Html | Kind::Text => text.into_owned(),
    };
    // What cannot be seen has no place in what a person may look at.
    let text: String = text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
    Ok(Page { text, cut: cut.then_some(bytes.len()) })
}

/// What is packed, unpacked: no more than could have come unpacked.
fn unpacked(body: Vec<u8>, encoding: Option<&str>, cut: bool) -> Result<(Vec<u8>, bool), String> {
    let encoding = encoding.unwrap_or_default().trim().to_ascii_lowercase();
    let reader: Box<dyn Read> = match encoding.as_str() {
        "" | "identity" => return Ok((body, cut)),
        "gzip" | "x-gzip" => Box::new(MultiGzDecoder::new(body.as_slice())),
        "deflate" => Box::new(ZlibDecoder::new(body.as_slice())),
        other => return Err(format!("it is packed as `{}`, which cannot be read", plain(other))),
    };
    let mut bytes = Vec::new();
    let read = reader.take(READ as u64 + 1).read_to_end(&mut bytes);
    let is_long = bytes.len() > READ;
    bytes.truncate(READ);
    match read {
        Ok(_) => Ok((bytes, cut || is_long)),
        // The end of what was not read to its end.
        Err(_) if cut && !bytes.is_empty() => Ok((bytes, true)),
        Err(error) => Err(format!("it is not packed as it says: {error}")),
    }
}

/// What it is, as far as that can be shown.
fn kind(declared: &str, bytes: &[u8]) -> Result<Kind, String> {
    let essence = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "text/html" | "application/xhtml+xml" => Ok(Kind::Html),
        "text/plain"
        | "text/markdown"
        | "text/x-markdown"
        | "application/json"
        | "text/json"
        | "application/x-ndjson" => Ok(Kind::Text),
        json if json.ends_with("+json") => Ok(Kind::Text),
        "" => {
            let head = bytes.get(..META).unwrap_or(bytes);
            let start = String::from_utf8_lossy(head).trim_start().to_ascii_lowercase();
            match std::str::from_utf8(bytes) {
                _ if start.starts_with("<!doctype html") || start.starts_with("<html") => Ok(Kind::Html),
                Ok(text) if !text.contains('\0') => Ok(Kind::Text),
                _ => Err("it does not say what it is, and it is no text".to_owned()),
            }
        }
        other => {
            Err(format!("it is `{}`, and only HTML, plain text, Markdown and JSON are shown", plain(other)))
        }
    }
}

/// `charset=` of a content type.
fn charset(declared: &str) -> Option<String> {
    let parameter = declared.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then_some(value)
    })?;
    Some(parameter.trim().trim_matches(['"', '\'']).to_owned())
}

/// What a page says of its own characters.
fn meta_charset(bytes: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(bytes.get(..META).unwrap_or(bytes)).to_ascii_lowercase();
    let (_, rest) = head.split_once("charset")?;
    let value = rest.trim_start().strip_prefix('=')?.trim_start().trim_start_matches(['"', '\'']);
    let end = value.find(|c: char| !(c.is_ascii_alphanumeric() || "-_:.".contains(c)));
    Some(value.get(..end.unwrap_or(value.len()))?.to_owned())
}

/// A name that a server gave, short and visible.
fn plain(name: &str) -> String {
    name.chars().take(80).map(|c| if c.is_control() || c == '`' { '?' } else { c }).collect()
}

/// A status in words.
pub(super) fn status(status: u16) -> String {
    let words = match status {
        400 => " (bad request)",
        401 => " (it wants a login)",
        403 => " (forbidden)",
        404 => " (not found)",
        410 => " (gone)",
        429 => " (too many requests)",
        500..=599 => " (a fault of the server)",
        _ => "",
    };
    format!("{status}{words}")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn got(content_type: &str, body: impl Into<Vec<u8>>) -> Got {
        Got {
            status: 200,
            location: None,
            content_type: Some(content_type.to_owned()).filter(|kind| !kind.is_empty()),
            encoding: None,
            body: body.into(),
            cut: false,
        }
    }

    fn at() -> Url {
        Url::parse("https://h/").unwrap()
    }

    fn text(content_type: &str, body: impl Into<Vec<u8>>) -> Result<String, String> {
        read(got(content_type, body), &at(), false).map(|page| page.text)
    }

    #[test]
    fn characters_are_read_as_the_page_says() {
        assert_eq!(text("text/plain; charset=ISO-8859-1", b"caf\xe9".to_vec()).unwrap(), "café");
        assert_eq!(text("text/plain; charset=\"shift_jis\"", b"\x93\xfa".to_vec()).unwrap(), "日");
        let html = b"<html><head><meta charset='windows-1252'></head><p>\x80</p>".to_vec();
        assert_eq!(text("text/html", html).unwrap().trim(), "€");
        assert_eq!(text("text/plain", b"\xef\xbb\xbfx\xff".to_vec()).unwrap(), "x\u{fffd}");
        assert_eq!(text("text/plain; charset=nonsense", "é".as_bytes().to_vec()).unwrap(), "é");
    }

    #[test]
    fn what_is_not_to_be_read_is_refused_by_name() {
        for (kind, name) in [
            ("application/pdf", "`application/pdf`"),
            ("image/png", "`image/png`"),
            ("text/`css\u{7}`", "`text/?css??`"),
        ] {
            let problem = text(kind, "x").unwrap_err();
            assert!(problem.contains(name), "{problem}");
        }
        assert!(text("", b"\0\x01".to_vec()).is_err());
        assert_eq!(text("", "plain").unwrap(), "plain");
        assert_eq!(text("application/ld+json", "{}").unwrap(), "{}");
        assert!(read(Got { encoding: Some("br".into()), ..got("text/plain", "x") }, &at(), false).is_err());
    }

    #[test]
    fn a_packed_bomb_ends_at_the_bound() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let zeros = vec![b' '; 1 << 20];
        (0..64).for_each(|_| packed.write_all(&zeros).unwrap());
        let bomb = Got { encoding: Some("gzip".into()), ..got("text/plain", packed.finish().unwrap()) };
        let page = read(bomb, &at(), false).unwrap();
        assert_eq!((page.text.len(), page.cut), (READ, Some(READ)));
    }
}
