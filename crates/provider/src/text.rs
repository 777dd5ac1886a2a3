//! Texts in events, read without copying them.

use std::borrow::Cow;

use memchr::{memchr, memmem};
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

/// A text that is borrowed unless it holds escapes. (serde borrows a `Cow` only where it stands alone, not in an
/// `Option`.) A list of parts counts as the texts in it, as some servers send.
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }

            fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
                #[derive(Deserialize)]
                struct TextPart {
                    text: Option<String>,
                }
                let mut all = String::new();
                while let Some(part) = parts.next_element::<TextPart>()? {
                    all.push_str(&part.text.unwrap_or_default());
                }
                Ok(Text(Cow::Owned(all)))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

/// JSON in which each half of a surrogate pair that stands alone is replaced by U+FFFD; nothing where all are whole. Some
/// servers cut a character in two and write both halves as escapes, which no parser takes.
pub(crate) fn whole_pairs(json: &str) -> Option<String> {
    let mut mended = String::new();
    let (mut copied, mut at) = (0, 0);
    // Most events hold no such escape, and are not looked at twice.
    let bytes = json.as_bytes();
    memmem::find(bytes, b"\\ud").or_else(|| memmem::find(bytes, b"\\uD"))?;
    while let Some(escape) = bytes.get(at..).and_then(|rest| memchr(b'\\', rest)) {
        let start = at.saturating_add(escape);
        let (here, next) = (unit(bytes, start), unit(bytes, start.saturating_add(6)));
        at = start.saturating_add(match (here, next) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                mended.push_str(json.get(copied..start)?);
                mended.push('\u{fffd}');
                copied = start.saturating_add(6);
                6
            }
            (Some(_), _) => 6,
            (None, _) => 2,
        });
    }
    if copied == 0 {
        return None;
    }
    mended.push_str(json.get(copied..)?);
    Some(mended)
}

/// The number of an escape `\uXXXX` that begins here.
fn unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at.checked_add(6)?)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_that_stands_alone_is_replaced_and_nothing_else_is() {
        for (json, mended) in [
            (r#""a\ud83db""#, Some("\"a\u{fffd}b\"")),
            (r#""\udE00\ud83d\ude00\uD83D""#, Some("\"\u{fffd}\\ud83d\\ude00\u{fffd}\"")),
            (r#""\ud83d\ude00""#, None),
            (r#""\\ud83d""#, None),
            (r#""\ud8""#, None),
            (r#""\u00fc""#, None),
            ("plain", None),
        ] {
            assert_eq!(whole_pairs(json).as_deref(), mended, "{json}");
        }
    }
}
