//! What is left of a provider's limits of a whole schema.

use crate::dialect::Limits;

pub(super) struct Budget {
    limits: &'static Limits,
    properties: usize,
    values: usize,
    text: usize,
    described: usize,
}

/// Bytes of titles and descriptions in all: what is written out in many places must not grow without end.
const DESCRIBED: usize = 8 << 20;

impl Budget {
    pub(super) fn new(limits: &'static Limits) -> Self {
        Self { limits, properties: 0, values: 0, text: 0, described: 0 }
    }

    /// Whether one more property of this name has room; if so it is counted.
    pub(super) fn property(&mut self, name: &str) -> bool {
        let fits = self.properties < self.limits.properties
            && self.text.saturating_add(name.len()) <= self.limits.text;
        if fits {
            self.properties += 1;
            self.text += name.len();
        }
        fits
    }

    /// Whether an `enum` of so many values and bytes has room; if so it is counted, with one value more, since null
    /// may come to it.
    pub(super) fn values(&mut self, count: usize, text: usize) -> bool {
        let count = count.saturating_add(1);
        let fits = self.values.saturating_add(count) <= self.limits.enum_values
            && self.text.saturating_add(text) <= self.limits.text
            && (count <= self.limits.long_enum || text <= self.limits.long_enum_text);
        if fits {
            self.values += count;
            self.text += text;
        }
        fits
    }

    /// Whether a description has room; if so it is counted.
    pub(super) fn describes(&mut self, text: &str) -> bool {
        let fits = self.described.saturating_add(text.len()) <= DESCRIBED;
        if fits {
            self.described += text.len();
        }
        fits
    }

    /// Counts text that is there in any case.
    pub(super) fn text(&mut self, bytes: usize) {
        self.text = self.text.saturating_add(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;

    #[test]
    fn what_has_no_room_is_not_counted() {
        let mut budget = Budget::new(&Dialect::OpenAi.rules().limits);
        assert!(budget.values(249, 20_000) && budget.values(749, 15_000));
        assert!(!budget.values(1, 1));
        assert!(budget.property("name"));
        assert!(!budget.property(&"x".repeat(120_000)));
        let mut budget = Budget::new(&Dialect::OpenAi.rules().limits);
        assert!(!budget.values(250, 15_001));
        assert!(budget.values(249, 15_001));
    }
}
