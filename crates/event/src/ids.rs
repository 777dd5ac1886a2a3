//! Identifiers. Sessions and operations carry a UUIDv7 (made at the edge, where there is a clock); everything
//! else is named by its position in the journal, so that a replay names it the same.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// This moment plus `millis`; stays at the largest value instead of overflowing.
    #[must_use]
    pub fn plus(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to this moment; zero when the clock went backwards.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Position of a record in its session's journal; the first is 1.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// The position `n` records later.
    #[must_use]
    pub fn plus(self, n: u64) -> Self {
        Self(self.0.saturating_add(n))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How often a session was taken up by a process, counted from 1; a later owner outranks an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Attempt(pub u32);

/// A turn: one prompt until rest. Named by the position of its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct TurnId(pub Seq);

/// An ask. Named by the position of its opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct AskId(pub Seq);

impl fmt::Display for AskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Anything with a start and an end: a sample, a call, or other work. Written `"12"` for the work that record 12
/// starts, and `"12.1"` for the second call of the answer that record 12 holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemId {
    /// Position of the record that gave rise to the item.
    pub seq: Seq,
    /// Zero for the item of the record itself; else the one-based number of a call within an answer.
    pub part: u32,
}

impl ItemId {
    /// The item that the record at `seq` starts.
    #[must_use]
    pub fn at(seq: Seq) -> Self {
        Self { seq, part: 0 }
    }

    /// The `index`-th call, from zero, of the answer recorded at `seq`.
    #[must_use]
    pub fn call(seq: Seq, index: usize) -> Self {
        Self { seq, part: u32::try_from(index).unwrap_or(u32::MAX - 1).saturating_add(1) }
    }
}

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            0 => write!(f, "{}", self.seq),
            part => write!(f, "{}.{}", self.seq, part - 1),
        }
    }
}

impl FromStr for ItemId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not an item id (expected `12` or `12.0`)");
        let (seq, index) = match text.split_once('.') {
            Some((seq, index)) => (seq, Some(index.parse::<u32>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let seq = Seq(seq.parse().map_err(|_| wrong())?);
        let part = match index {
            Some(index) => index.checked_add(1).ok_or_else(wrong)?,
            None => 0,
        };
        Ok(Self { seq, part })
    }
}

impl Serialize for ItemId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ItemId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for ItemId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ItemId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[0-9]+(\\.[0-9]+)?$",
            "description": "`12` for the work that record 12 starts, `12.1` for the second call of the answer in record 12"
        })
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Uuid::parse_str(text).map(Self)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "format": "uuid" })
            }
        }
    };
}

uuid_id!(
    /// A session: UUID version 7, so that ids sort by the time of their making.
    SessionId
);
uuid_id!(
    /// An operation that a surface submitted: UUID version 7; submitting the same id twice does nothing the
    /// second time.
    OpId
);

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes the text as it is.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

text_id!(
    /// A model, as `provider/model`; the model's own name may hold further slashes.
    ModelId
);
text_id!(
    /// Name of a tool as the model sees it: at most 64 of `[A-Za-z0-9_-]`.
    ToolName
);
text_id!(
    /// Content hash (BLAKE3, lower-case hex) of a blob that lies beside the journal.
    BlobId
);
text_id!(
    /// Content hash (BLAKE3, lower-case hex) of a file of the workspace.
    ContentId
);
text_id!(
    /// A snapshot of the workspace's files. Two in a row between which nothing changed are the same.
    SnapshotId
);

impl ModelId {
    /// The part before the first slash; empty when there is none.
    #[must_use]
    pub fn provider(&self) -> &str {
        self.0.split_once('/').map_or("", |(provider, _)| provider)
    }

    /// The part after the first slash: the name that goes over the wire.
    #[must_use]
    pub fn model(&self) -> &str {
        self.0.split_once('/').map_or(self.0.as_str(), |(_, model)| model)
    }
}

/// The id of a model without what names a variant by date: `-2026-01-01`, `-20260101` or `-latest` at its end; `None` where
/// there is nothing like that.
#[must_use]
pub fn undated(id: &str) -> Option<&str> {
    let base = |pattern: &str| {
        let (base, end) = id.split_at_checked(id.len().checked_sub(pattern.len())?)?;
        let fits = |(byte, wanted)| if wanted == b'0' { u8::is_ascii_digit(&byte) } else { byte == wanted };
        end.bytes().zip(pattern.bytes()).all(fits).then_some(base)
    };
    let base = base("-latest").or_else(|| base("-0000-00-00")).or_else(|| base("-00000000"))?;
    (!base.is_empty() && !base.ends_with('/')).then_some(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn item_ids_read_back_as_written() {
        for item in [ItemId::at(Seq(12)), ItemId::call(Seq(12), 0), ItemId::call(Seq(7), 31)] {
            assert_eq!(item.to_string().parse(), Ok(item));
        }
        assert_eq!(ItemId::call(Seq(12), 1).to_string(), "12.1");
        for wrong in ["", "x", "1.", "1.x", "-1", "1.4294967295", "1.2.3"] {
            assert!(wrong.parse::<ItemId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_model_id_splits_at_its_first_slash() {
        let model = ModelId::new("openrouter/meta-llama/llama-4");
        assert_eq!((model.provider(), model.model()), ("openrouter", "meta-llama/llama-4"));
        assert_eq!(ModelId::new("gpt").model(), "gpt");
    }
}
