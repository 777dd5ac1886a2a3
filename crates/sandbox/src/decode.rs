//! Text from bytes that arrive in pieces: a character that was split between two pieces comes out whole.
//! Never holds more than the three bytes that a character can lack.

/// Decodes a stream of UTF-8, replacing what is invalid with U+FFFD.
///
/// ```
/// let mut decoder = codetether_sandbox::Decoder::default();
/// assert_eq!(decoder.push(b"caf\xc3"), "caf");
/// assert_eq!(decoder.push(b"\xa9!"), "é!");
/// assert_eq!(decoder.finish(), "");
/// ```
#[derive(Debug, Clone, Default)]
pub struct Decoder {
    /// The start of a character whose rest has not come yet.
    open: Vec<u8>,
}

impl Decoder {
    /// The text of this piece, without a character that it only begins.
    pub fn push(&mut self, piece: &[u8]) -> String {
        let joined;
        let bytes = if self.open.is_empty() {
            piece
        } else {
            self.open.extend_from_slice(piece);
            joined = std::mem::take(&mut self.open);
            &joined
        };
        let (whole, open) = bytes.split_at(bytes.len() - unfinished(bytes));
        self.open = open.to_vec();
        String::from_utf8_lossy(whole).into_owned()
    }

    /// What is left when nothing more comes: U+FFFD when the stream ended inside a character.
    pub fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.open)).into_owned()
    }
}

/// How many bytes at the end begin a character without ending it; at most three.
pub(crate) fn unfinished(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(3) {
        let Some(tail) = bytes.get(bytes.len() - back..) else { break };
        match tail[0] {
            0x80..=0xBF => {}
            0xC0.. => {
                // `error_len` is `None` exactly when more bytes could still make it valid.
                return match std::str::from_utf8(tail) {
                    Err(error) if error.error_len().is_none() => back,
                    _ => 0,
                };
            }
            _ => break,
        }
    }
    0
}

/// How many bytes at the start can only belong to a character that began before; at most three.
pub(crate) fn orphaned(bytes: &[u8]) -> usize {
    bytes.iter().take(3).take_while(|byte| matches!(byte, 0x80..=0xBF)).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_stream_that_ends_inside_a_character_says_so() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.push("x€".as_bytes().split_at(3).0), "x");
        assert_eq!(decoder.finish(), "\u{FFFD}");
    }

    #[test]
    fn bytes_that_are_no_text_do_not_wait_for_more() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.push(b"\xff\xfe"), "\u{FFFD}\u{FFFD}");
        assert_eq!(decoder.push(b"\xc3\x28"), "\u{FFFD}(");
    }

    proptest! {
        #[test]
        fn any_text_survives_any_split(text in ".{0,40}", cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
            let bytes = text.as_bytes();
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            let mut decoder = Decoder::default();
            let mut got: String = at.windows(2).map(|pair| decoder.push(&bytes[pair[0]..pair[1]])).collect();
            got += &decoder.finish();
            prop_assert_eq!(got, text);
        }

        #[test]
        fn any_bytes_decode_without_panic_and_hold_at_most_three(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..9)) {
            let mut decoder = Decoder::default();
            for piece in pieces {
                decoder.push(&piece);
                prop_assert!(decoder.open.len() <= 3);
            }
        }
    }
}
