//! Texts in events, read without copying them.

use std::borrow::Cow;

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
