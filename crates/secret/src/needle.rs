//! The forms in which a secret is looked for: as it is, in base64 and URL-encoded. Knows nothing of where it is
//! looked for, and finds only what it was made from.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use memchr::memmem::Finder;

use crate::Secret;

/// One form of one secret.
#[derive(Clone)]
pub(crate) struct Needle {
    text: Secret,
    /// Programs break base64 into lines, so single line ends inside are passed over.
    across_lines: bool,
}

impl Needle {
    /// Whether both are the same.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.across_lines == other.across_lines && self.text.expose() == other.text.expose()
    }
}

impl std::fmt::Debug for Needle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.text.fmt(f)
    }
}

/// Every form of a secret, each once. Base64 has three, by where in a group of three bytes the secret begins, of which
/// only the characters count that hold nothing but bits of the secret.
pub(crate) fn needles(secret: &Secret) -> Vec<Needle> {
    let plain = secret.expose();
    let mut forms = vec![(plain.to_owned(), false)];
    for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
        for before in 0..3_usize {
            let mut bytes = vec![0; before];
            bytes.extend_from_slice(plain.as_bytes());
            let (from, to) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
            let encoded = engine.encode(&bytes);
            forms.push((encoded.get(from..to).unwrap_or_default().to_owned(), true));
        }
    }
    forms.extend([true, false].map(|capitals| (url_encoded(plain, capitals), false)));
    let mut needles: Vec<Needle> = Vec::with_capacity(forms.len());
    for (text, across_lines) in forms {
        if !text.is_empty() && needles.iter().all(|known| known.text.expose() != text) {
            needles.push(Needle { text: Secret::from(text), across_lines });
        }
    }
    needles
}

fn url_encoded(plain: &str, capitals: bool) -> String {
    let mut encoded = String::with_capacity(plain.len());
    for byte in plain.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ if capitals => encoded.push_str(&format!("%{byte:02X}")),
            _ => encoded.push_str(&format!("%{byte:02x}")),
        }
    }
    encoded
}

/// Bytes to look in, also without the single line ends in them.
pub(crate) struct Hay<'a> {
    bytes: &'a [u8],
    /// The bytes without them, and where each was; absent where there are none.
    joined: Option<(Vec<u8>, Vec<usize>)>,
}

impl<'a> Hay<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let joined = memchr::memchr2(b'\n', b'\r', bytes).map(|_| {
            let last = bytes.len().saturating_sub(1);
            let (mut kept, mut places) = (Vec::with_capacity(bytes.len()), Vec::with_capacity(bytes.len()));
            let mut before = None;
            for (at, byte) in bytes.iter().copied().enumerate() {
                let ends = match byte {
                    b'\n' => true,
                    // At the end it may be the first half of a line end.
                    b'\r' => at == last || bytes.get(at + 1) == Some(&b'\n'),
                    _ => false,
                };
                // Only one line end in a row is passed over, so what is held back has a bound.
                if !(ends && before != Some(b'\n')) {
                    kept.push(byte);
                    places.push(at);
                }
                before = Some(byte);
            }
            (kept, places)
        });
        Self { bytes, joined }
    }

    /// Every place where the needle is, those that overlap too.
    pub(crate) fn find(&self, needle: &Needle, mut found: impl FnMut(Range<usize>)) {
        let text = needle.text.expose().as_bytes();
        let finder = Finder::new(text);
        let (bytes, places) = self.view(needle);
        let mut from = 0;
        // One place can begin inside another, so the search goes on one byte further.
        while let Some(start) = bytes.get(from..).and_then(|rest| finder.find(rest)).map(|at| from + at) {
            let last = start + text.len() - 1;
            match places {
                None => found(start..last + 1),
                Some(places) => {
                    if let (Some(start), Some(last)) = (places.get(start), places.get(last)) {
                        found(*start..last + 1);
                    }
                }
            }
            from = start + 1;
        }
    }

    /// Where the longest end begins that is the start, not the whole, of the needle.
    pub(crate) fn open(&self, needle: &Needle) -> Option<usize> {
        let text = needle.text.expose().as_bytes();
        let (bytes, places) = self.view(needle);
        let most = bytes.len().min(text.len().saturating_sub(1));
        let len =
            (1..=most).rev().find(|len| text.get(..*len).is_some_and(|start| bytes.ends_with(start)))?;
        let start = bytes.len() - len;
        places.map_or(Some(start), |places| places.get(start).copied())
    }

    fn view(&self, needle: &Needle) -> (&[u8], Option<&[usize]>) {
        match &self.joined {
            Some((kept, places)) if needle.across_lines => (kept, Some(places)),
            _ => (self.bytes, None),
        }
    }
}
