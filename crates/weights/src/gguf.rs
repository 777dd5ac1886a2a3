//! What a GGUF file says of itself: the pairs at its beginning and the list of its tensors. Nothing of the weights is read,
//! and nothing is believed: every number is bounded before it is acted upon. Format: ggml, `docs/gguf.md`, versions 2 and 3.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

/// Most pairs, and most tensors.
const PAIRS_MAX: u64 = 1 << 16;
/// Most bytes of a name.
const NAME_MAX: u64 = 1 << 10;
/// Most bytes of a text that is kept: a template has some kilobytes.
const TEXT_MAX: u64 = 1 << 20;
/// Most bytes of all that stands before the weights: vocabularies have some megabytes.
const HEAD_MAX: u64 = 256 << 20;
/// How deep lists are in lists.
const DEPTH_MAX: u32 = 4;
/// Most dimensions of a tensor.
const DIMENSIONS_MAX: u32 = 8;

/// Why a file is no model that can be used.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    /// It does not begin like one.
    #[error("it does not begin with `GGUF`")]
    Magic,
    /// Another version of the format.
    #[error("it is of version {0} of the format, where 2 and 3 can be read")]
    Version(u32),
    /// It ends in the middle.
    #[error("it ends in the middle of its head")]
    Short,
    /// A number in it cannot be.
    #[error("its head makes no sense: {0}")]
    Nonsense(&'static str),
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Io(io::Error),
}

impl From<io::Error> for GgufError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::Short } else { Self::Io(error) }
    }
}

/// What a file says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Head {
    /// Such as `qwen2`.
    pub architecture: String,
    /// Its name in words, where it has one.
    pub name: Option<String>,
    /// How its weights are kept, such as `Q4_K_M`.
    pub quantisation: String,
    /// All weights.
    pub parameters: u64,
    /// Tensors.
    pub tensors: u64,
    /// Tokens that it was trained to see at once.
    pub context: Option<u64>,
    /// Layers.
    pub layers: Option<u64>,
    /// Tokens of its vocabulary.
    pub vocabulary: Option<u64>,
    /// The template of a conversation, in Jinja.
    pub template: Option<String>,
    /// Bytes of keys and values that each token of a context takes, kept in 16 bits; where it can be told.
    pub context_bytes: Option<u64>,
}

/// What a pair has.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Number(u64),
    Text(String),
    /// So many of something.
    List(u64),
    /// Something that nobody asks for.
    Other,
}

impl Head {
    /// Reads it from the beginning of a file.
    ///
    /// # Errors
    /// When the file is no GGUF file, or is cut, or has numbers in its head that cannot be.
    pub fn read(file: impl Read + Seek) -> Result<Self, GgufError> {
        let mut reader = Reader { file: BufReader::new(file), left: HEAD_MAX };
        if reader.bytes::<4>()? != *b"GGUF" {
            return Err(GgufError::Magic);
        }
        let version = reader.u32()?;
        if !(2..=3).contains(&version) {
            return Err(GgufError::Version(version));
        }
        let (tensors, pairs) = (reader.u64()?, reader.u64()?);
        if tensors > PAIRS_MAX || pairs > PAIRS_MAX {
            return Err(GgufError::Nonsense("too many parts"));
        }
        let mut known = BTreeMap::new();
        for _ in 0..pairs {
            let key = reader.text(NAME_MAX)?.ok_or(GgufError::Nonsense("a name is too long"))?;
            let kind = reader.u32()?;
            let value = reader.value(kind, 0)?;
            known.insert(key, value);
        }
        let mut parameters = 0_u64;
        for _ in 0..tensors {
            reader.text(NAME_MAX)?.ok_or(GgufError::Nonsense("a name is too long"))?;
            let dimensions = reader.u32()?;
            if dimensions > DIMENSIONS_MAX {
                return Err(GgufError::Nonsense("a tensor has too many dimensions"));
            }
            let mut count = 1_u64;
            for _ in 0..dimensions {
                count = count.saturating_mul(reader.u64()?);
            }
            parameters = parameters.saturating_add(count);
            let (_kind, _offset) = (reader.u32()?, reader.u64()?);
        }
        // What was passed over must be there, too.
        let at = reader.file.stream_position()?;
        if reader.file.seek(SeekFrom::End(0))? < at {
            return Err(GgufError::Short);
        }
        Ok(Self { parameters, tensors, ..Self::of(&known) })
    }

    fn of(known: &BTreeMap<String, Value>) -> Self {
        let text = |key: &str| match known.get(key) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        };
        let number = |key: &str| match known.get(key) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        };
        let architecture = text("general.architecture").unwrap_or_default();
        let own = |key: &str| number(&format!("{architecture}.{key}"));
        let vocabulary = match known.get("tokenizer.ggml.tokens") {
            Some(Value::List(count)) => Some(*count),
            _ => own("vocab_size"),
        };
        let layers = own("block_count");
        let heads = own("attention.head_count").filter(|heads| *heads > 0);
        let width = own("attention.key_length")
            .or_else(|| own("embedding_length")?.checked_div(heads?))
            .filter(|width| *width > 0);
        let kept_heads = own("attention.head_count_kv").or(heads);
        let context_bytes = layers.zip(kept_heads).zip(width).map(|((layers, heads), width)| {
            // Keys and values, of two bytes.
            layers.saturating_mul(heads).saturating_mul(width).saturating_mul(4)
        });
        Self {
            name: text("general.name"),
            quantisation: number("general.file_type").map_or_else(|| "unknown".to_owned(), quantisation),
            context: own("context_length"),
            layers,
            vocabulary,
            template: text("tokenizer.chat_template"),
            context_bytes,
            architecture,
            ..Self::default()
        }
    }
}

/// The names of llama.cpp's `llama_ftype`.
fn quantisation(number: u64) -> String {
    let name = match number {
        0 => "F32",
        1 => "F16",
        2 => "Q4_0",
        3 => "Q4_1",
        7 => "Q8_0",
        8 => "Q5_0",
        9 => "Q5_1",
        10 => "Q2_K",
        11 => "Q3_K_S",
        12 => "Q3_K_M",
        13 => "Q3_K_L",
        14 => "Q4_K_S",
        15 => "Q4_K_M",
        16 => "Q5_K_S",
        17 => "Q5_K_M",
        18 => "Q6_K",
        19 => "IQ2_XXS",
        20 => "IQ2_XS",
        21 => "Q2_K_S",
        22 => "IQ3_XS",
        23 => "IQ3_XXS",
        24 => "IQ1_S",
        25 => "IQ4_NL",
        26 => "IQ3_S",
        27 => "IQ3_M",
        28 => "IQ2_S",
        29 => "IQ2_M",
        30 => "IQ4_XS",
        31 => "IQ1_M",
        32 => "BF16",
        _ => return format!("type {number}"),
    };
    name.to_owned()
}

struct Reader<R> {
    file: BufReader<R>,
    /// Bytes that may still be read.
    left: u64,
}

impl<R: Read + Seek> Reader<R> {
    fn take(&mut self, bytes: u64) -> Result<(), GgufError> {
        self.left = self.left.checked_sub(bytes).ok_or(GgufError::Nonsense("its head is too long"))?;
        Ok(())
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], GgufError> {
        self.take(N as u64)?;
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, GgufError> {
        self.bytes().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, GgufError> {
        self.bytes().map(u64::from_le_bytes)
    }

    /// Passes over some bytes, which must be there: the next read tells.
    fn skip(&mut self, bytes: u64) -> Result<(), GgufError> {
        self.take(bytes)?;
        let bytes = i64::try_from(bytes).map_err(|_| GgufError::Nonsense("its head is too long"))?;
        Ok(self.file.seek_relative(bytes)?)
    }

    /// A text of at most so many bytes; a longer one is passed over.
    fn text(&mut self, most: u64) -> Result<Option<String>, GgufError> {
        let length = self.u64()?;
        if length > most {
            self.skip(length)?;
            return Ok(None);
        }
        self.take(length)?;
        let mut bytes = Vec::new();
        self.file.by_ref().take(length).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != length {
            return Err(GgufError::Short);
        }
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn value(&mut self, kind: u32, depth: u32) -> Result<Value, GgufError> {
        Ok(match kind {
            0 => Value::Number(self.bytes::<1>()?[0].into()),
            2 => Value::Number(u16::from_le_bytes(self.bytes()?).into()),
            4 => Value::Number(self.u32()?.into()),
            10 => Value::Number(self.u64()?),
            // What is signed is never below zero where it counts anything.
            5 => Value::Number(u64::try_from(i32::from_le_bytes(self.bytes()?)).unwrap_or_default()),
            11 => Value::Number(u64::try_from(i64::from_le_bytes(self.bytes()?)).unwrap_or_default()),
            8 => self.text(TEXT_MAX)?.map_or(Value::Other, Value::Text),
            9 => self.list(depth)?,
            other => {
                self.skip(size(other)?)?;
                Value::Other
            }
        })
    }

    fn list(&mut self, depth: u32) -> Result<Value, GgufError> {
        if depth >= DEPTH_MAX {
            return Err(GgufError::Nonsense("lists are too deep in lists"));
        }
        let (kind, count) = (self.u32()?, self.u64()?);
        match kind {
            8 => {
                for _ in 0..count {
                    let length = self.u64()?;
                    self.skip(length)?;
                }
            }
            9 => {
                for _ in 0..count {
                    self.list(depth + 1)?;
                }
            }
            other => self.skip(size(other)?.saturating_mul(count))?,
        }
        Ok(Value::List(count))
    }
}

/// Bytes of a value that has always as many.
fn size(kind: u32) -> Result<u64, GgufError> {
    match kind {
        0 | 1 | 7 => Ok(1),
        2 | 3 => Ok(2),
        4..=6 => Ok(4),
        10..=12 => Ok(8),
        _ => Err(GgufError::Nonsense("a value of no known kind")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> Vec<u8> {
        let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
        bytes.extend(text.as_bytes());
        bytes
    }

    fn pair(key: &str, kind: u32, value: &[u8]) -> Vec<u8> {
        [text(key), kind.to_le_bytes().to_vec(), value.to_vec()].concat()
    }

    fn number(key: &str, value: u32) -> Vec<u8> {
        pair(key, 4, &value.to_le_bytes())
    }

    fn file() -> Vec<u8> {
        let tokens =
            [8_u32.to_le_bytes().to_vec(), 3_u64.to_le_bytes().to_vec(), text("a"), text("b"), text("<end>")]
                .concat();
        let pairs = [
            pair("general.architecture", 8, &text("toy")),
            pair("general.name", 8, &text("A toy")),
            number("general.file_type", 15),
            number("toy.context_length", 2048),
            number("toy.block_count", 3),
            number("toy.embedding_length", 64),
            number("toy.attention.head_count", 4),
            number("toy.attention.head_count_kv", 2),
            pair("toy.scale", 6, &1.5_f32.to_le_bytes()),
            pair("tokenizer.ggml.tokens", 9, &tokens),
            pair("tokenizer.chat_template", 8, &text("{{ messages }}")),
        ];
        let tensor = |name: &str| {
            [
                text(name),
                2_u32.to_le_bytes().to_vec(),
                64_u64.to_le_bytes().to_vec(),
                10_u64.to_le_bytes().to_vec(),
                2_u32.to_le_bytes().to_vec(),
                0_u64.to_le_bytes().to_vec(),
            ]
            .concat()
        };
        [
            b"GGUF".to_vec(),
            3_u32.to_le_bytes().to_vec(),
            2_u64.to_le_bytes().to_vec(),
            (pairs.len() as u64).to_le_bytes().to_vec(),
            pairs.concat(),
            tensor("one"),
            tensor("two"),
        ]
        .concat()
    }

    #[test]
    fn a_head_says_what_the_model_is() {
        let head = Head::read(Cursor::new(file())).unwrap();
        let expected = Head {
            architecture: "toy".into(),
            name: Some("A toy".into()),
            quantisation: "Q4_K_M".into(),
            parameters: 1_280,
            tensors: 2,
            context: Some(2048),
            layers: Some(3),
            vocabulary: Some(3),
            template: Some("{{ messages }}".into()),
            context_bytes: Some(3 * 2 * 16 * 4),
        };
        assert_eq!(head, expected);
    }

    #[test]
    fn what_is_cut_anywhere_is_refused() {
        let whole = file();
        for end in 0..whole.len() {
            let cut = Head::read(Cursor::new(&whole[..end]));
            assert!(matches!(cut, Err(GgufError::Short)), "{end}: {cut:?}");
        }
    }

    #[test]
    fn what_is_no_such_file_or_makes_no_sense_is_refused() {
        let refused = |bytes: &[u8]| Head::read(Cursor::new(bytes)).unwrap_err().to_string();
        assert_eq!(refused(b"PK\x03\x04 and more"), "it does not begin with `GGUF`");
        assert!(refused(b"GGUF\x01\0\0\0").contains("version 1"));
        let many = [&b"GGUF\x03\0\0\0"[..], &u64::MAX.to_le_bytes(), &0_u64.to_le_bytes()].concat();
        assert!(refused(&many).contains("too many parts"));
        let long =
            [&b"GGUF\x03\0\0\0"[..], &0_u64.to_le_bytes(), &1_u64.to_le_bytes(), &u64::MAX.to_le_bytes()]
                .concat();
        assert!(refused(&long).contains("too long"));
        let mut deep = [&b"GGUF\x03\0\0\0"[..], &0_u64.to_le_bytes(), &1_u64.to_le_bytes()].concat();
        deep.extend(pair("deep", 9, &[]));
        for _ in 0..9 {
            deep.extend([&9_u32.to_le_bytes()[..], &1_u64.to_le_bytes()].concat());
        }
        assert!(refused(&deep).contains("too deep"));
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..400), at in 0..400_usize) {
            let _ = Head::read(Cursor::new(&bytes));
            let mut whole = file();
            let at = at.min(whole.len());
            let end = (at + bytes.len()).min(whole.len());
            whole.splice(at..end, bytes);
            let _ = Head::read(Cursor::new(whole));
        }
    }
}
