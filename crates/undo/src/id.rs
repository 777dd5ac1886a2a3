//! Names of things by their content.

use std::fmt;

use crate::Error;

/// A BLAKE3 hash.
pub(crate) type Hash = [u8; 32];

/// Names a snapshot: the hash of its manifest, as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId(pub(crate) Hash);

impl SnapshotId {
    /// Reads an id back.
    ///
    /// # Errors
    /// When it is not 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, Error> {
        from_hex(text.as_bytes()).map(Self).ok_or_else(|| Error::NotAnId { text: text.to_owned() })
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SnapshotId({})", hex(self.0.get(..6).unwrap_or_default()))
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |n: u8| char::from(if n < 10 { b'0' + n } else { b'a' - 10 + n });
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

pub(crate) fn from_hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if text.len() != N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_as_written_and_nothing_else_is_one() {
        let id = SnapshotId(*blake3::hash(b"x").as_bytes());
        assert_eq!(SnapshotId::parse(&id.to_string()).unwrap(), id);
        let upper = id.to_string().to_uppercase();
        for wrong in ["", "ab", &upper, &format!("{}/", &id.to_string()[..63])] {
            assert!(SnapshotId::parse(wrong).is_err(), "{wrong}");
        }
    }
}
