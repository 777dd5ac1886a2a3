//! Takes secrets out of bytes that arrive in pieces, wherever a piece ends. Holds back only the bytes that may be the
//! start of a secret, so what cannot be one is never late; never holds twice as much as the longest form of a
//! secret (each character with a line end).

use std::sync::Arc;

use crate::needle::{Hay, Needle};
use crate::{REDACTED, Redactor, runs};

/// A stream of bytes on its way through a [`Redactor`]. What comes out in all is what [`Redactor::redact`] would make
/// of the whole.
///
/// ```
/// let redactor = std::sync::Arc::new(codetether_secret::Redactor::new(["sk-123456".to_owned().into()]));
/// let (mut stream, mut out) = (redactor.stream(), Vec::new());
/// stream.push(b"the key: sk-1", &mut out);
/// assert_eq!(out, b"the key: ");
/// stream.push(b"23456.", &mut out);
/// stream.finish(&mut out);
/// assert_eq!(out, b"the key: [redacted].");
/// ```
#[derive(Debug)]
pub struct Stream {
    redactor: Arc<Redactor>,
    /// What came last, if it may be the start of a secret.
    held: Vec<u8>,
    /// How many bytes at the start of `held` belong to a secret in any case.
    known: usize,
    /// Whether what came before `held` ended in a secret, whose mark is out already.
    inside: bool,
}

impl Redactor {
    /// A stream that takes out the secrets known here.
    #[must_use]
    pub fn stream(self: &Arc<Self>) -> Stream {
        Stream { redactor: Arc::clone(self), held: Vec::new(), known: 0, inside: false }
    }
}

/// Where the longest end of `bytes` begins that is the start, not the whole, of a secret in any of its forms.
fn open(needles: &[Needle], bytes: &[u8]) -> usize {
    let hay = Hay::new(bytes);
    needles.iter().filter_map(|needle| hay.open(needle)).min().unwrap_or(bytes.len())
}

impl Stream {
    /// Takes the next bytes, and adds to `out` those that are decided.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let needles = self.redactor.needles();
        if needles.is_empty() {
            out.extend_from_slice(bytes);
            return;
        }
        self.held.extend_from_slice(bytes);
        let decided = open(&needles, &self.held);
        self.advance(&needles, decided, out);
    }

    /// Adds to `out` what was held back: nothing more comes.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.advance(&self.redactor.needles(), self.held.len(), out);
        self.inside = false;
    }

    /// Lets the first `decided` bytes go. No secret that is not whole yet begins in them.
    fn advance(&mut self, needles: &[Needle], decided: usize, out: &mut Vec<u8>) {
        if decided == 0 {
            return;
        }
        let runs = runs(needles, &self.held, self.known);
        self.known = 0;
        let mut at = 0;
        for run in runs {
            if run.start >= decided {
                // Found again when its bytes are decided: it begins in what is held.
                break;
            }
            if run.start > at {
                out.extend_from_slice(self.held.get(at..run.start).unwrap_or_default());
                self.inside = false;
            }
            if !self.inside {
                out.extend_from_slice(REDACTED.as_bytes());
                self.inside = true;
            }
            at = run.end.min(decided);
            self.known = run.end.saturating_sub(decided);
        }
        if decided > at {
            out.extend_from_slice(self.held.get(at..decided).unwrap_or_default());
            self.inside = false;
        }
        self.held.drain(..decided);
        // A burst must not stay in memory.
        self.held.shrink_to(1024);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Secret;

    fn redactor(secrets: &[&str]) -> Arc<Redactor> {
        Arc::new(Redactor::new(secrets.iter().map(|secret| Secret::from((*secret).to_owned()))))
    }

    #[test]
    fn what_cannot_be_a_secret_is_never_late() {
        let (mut stream, mut out) = (redactor(&["sk-123456"]).stream(), Vec::new());
        for piece in ["Password: ", "no s", "k-\n"] {
            stream.push(piece.as_bytes(), &mut out);
        }
        assert_eq!(out, b"Password: no sk-\n");
        let (mut stream, mut out) = (redactor(&[]).stream(), Vec::new());
        stream.push(b"sk-1", &mut out);
        assert_eq!(out, b"sk-1");
    }

    #[test]
    fn the_start_of_a_secret_comes_out_at_the_end() {
        let (mut stream, mut out) = (redactor(&["sk-123456"]).stream(), Vec::new());
        stream.push(b"\xff sk-12345", &mut out);
        stream.finish(&mut out);
        assert_eq!(out, b"\xff sk-12345");
    }

    proptest! {
        #[test]
        fn any_pieces_come_out_as_the_whole_would(
            secrets in prop::collection::vec("[ab]{8,12}", 0..4),
            pieces in prop::collection::vec("[abé]{0,20}", 0..12),
        ) {
            let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
            let longest = secrets.iter().map(|secret| secret.len() * 6).max().unwrap_or(1);
            let redactor = redactor(&secrets);
            let (mut stream, mut out) = (redactor.stream(), Vec::new());
            for piece in &pieces {
                stream.push(piece.as_bytes(), &mut out);
                prop_assert!(stream.held.len() < longest);
            }
            stream.finish(&mut out);
            let whole = pieces.concat();
            prop_assert_eq!(String::from_utf8(out).unwrap(), redactor.redact(&whole));
        }

        #[test]
        fn encoded_secrets_come_out_of_pieces_as_out_of_the_whole(
            secrets in prop::collection::vec("[ab+ ]{8,12}", 1..3),
            before in "[a ]{0,3}",
            width in 1_usize..30,
            cuts in prop::collection::vec(0_usize..9, 1..40),
            which in 0_usize..3,
        ) {
            use base64::Engine as _;
            let plain = format!("{before}{}--{}", secrets[0], secrets[secrets.len() - 1]);
            let text = match which {
                0 => base64::engine::general_purpose::STANDARD.encode(plain),
                1 => base64::engine::general_purpose::URL_SAFE.encode(plain),
                _ => plain.replace('+', "%2B").replace(' ', "%20"),
            };
            let lines: Vec<&str> = text.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap()).collect();
            let whole = lines.join(if width % 2 == 0 { "\n" } else { "\r\n" });
            let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
            let redactor = redactor(&secrets);
            let (mut stream, mut out) = (redactor.stream(), Vec::new());
            let mut rest = whole.as_bytes();
            for cut in cuts {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                stream.push(piece, &mut out);
                rest = after;
            }
            stream.push(rest, &mut out);
            stream.finish(&mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), redactor.redact(&whole));
        }
    }
}
