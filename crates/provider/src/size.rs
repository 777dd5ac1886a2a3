//! How large a prompt is: an estimate of its tokens, and a bound that they do not pass, both the better the more of it
//! the server has counted already. Holds no table of any tokeniser.

use crate::calls::{IMAGE_TOKENS, TOKEN_BYTES};

/// More than any vendor counts for an image.
const SIGHT_MAX: u64 = 16_384;
/// More than any vendor counts for a document: a hundred pages, each as text and as an image, or a thousand small ones. How
/// many pages one has cannot be told from its bytes.
pub(crate) const DOCUMENT_MAX: u64 = 600_000;
/// Tokens that a server's template puts around what is sent, at most.
const AROUND: u64 = 1_024;

/// A prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Size {
    /// Bytes of the request without what images are made of.
    pub(crate) bytes: u64,
    /// Images and documents.
    pub(crate) sights: u64,
}

/// What the server said of an earlier request of the dialogue, which the next one begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    size: Size,
    /// Tokens of the prompt.
    tokens: u64,
}

impl Counted {
    pub(crate) fn new(size: Size, tokens: u64) -> Self {
        Self { size, tokens }
    }
}

impl Size {
    /// What is in this and was not in the other.
    fn since(self, before: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_sub(before.bytes),
            sights: self.sights.saturating_sub(before.sights),
        }
    }

    /// Its tokens, roughly: what was counted, and the rest by as many bytes a token as were found there.
    pub(crate) fn tokens(self, counted: Option<Counted>) -> u64 {
        let images = |sights: u64| sights.saturating_mul(IMAGE_TOKENS);
        match counted {
            None => (self.bytes / TOKEN_BYTES).saturating_add(images(self.sights)),
            Some(Counted { size, tokens }) => {
                let more = self.since(size);
                let text = tokens.saturating_sub(images(size.sights)).max(1);
                let more_text = more.bytes.saturating_mul(text) / size.bytes.max(1);
                tokens.saturating_add(more_text).saturating_add(images(more.sights))
            }
        }
    }

    /// A bound of its tokens: what was counted, and a token for every byte of the rest, for none is made of less.
    pub(crate) fn most_tokens(self, counted: Option<Counted>) -> u64 {
        let (tokens, more) = match counted {
            None => (0, self),
            Some(Counted { size, tokens }) => (tokens, self.since(size)),
        };
        tokens
            .saturating_add(more.bytes)
            .saturating_add(more.sights.saturating_mul(SIGHT_MAX))
            .saturating_add(AROUND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Size = Size { bytes: 4_000, sights: 0 };
    const WHOLE: Size = Size { bytes: 6_000, sights: 2 };

    #[test]
    fn what_was_counted_teaches_how_the_rest_is_estimated() {
        assert_eq!(HALF.tokens(None), 1_000);
        assert_eq!(WHOLE.tokens(None), 1_500 + 2 * IMAGE_TOKENS);
        let dense = Some(Counted::new(HALF, 2_000));
        assert_eq!(WHOLE.tokens(dense), 2_000 + 1_000 + 2 * IMAGE_TOKENS);
        assert_eq!(HALF.tokens(dense), 2_000);
    }

    #[test]
    fn no_token_is_made_of_less_than_a_byte() {
        assert_eq!(HALF.most_tokens(None), 4_000 + AROUND);
        let counted = Some(Counted::new(HALF, 900));
        assert_eq!(WHOLE.most_tokens(counted), 900 + 2_000 + 2 * SIGHT_MAX + AROUND);
    }
}
