//! Small things about text that is shown to a model: cuts that never fall inside a character, counts and sizes in
//! words, names that cannot break a line.

use std::borrow::Cow;
use std::path::Path;

/// At most `max` characters from the start.
pub(crate) fn first_chars(text: &str, max: usize) -> &str {
    // No character is longer than it takes bytes, so most text needs no counting.
    if text.len() <= max {
        return text;
    }
    text.char_indices().nth(max).map_or(text, |(at, _)| &text[..at])
}

/// At most `max` bytes from the start.
pub(crate) fn first_bytes(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

/// The text, or its start and its end with a line between them when it is longer than `max` bytes.
pub(crate) fn within(text: String, max: usize) -> String {
    if text.len() <= max {
        return text;
    }
    let head = first_bytes(&text, max - max / 2);
    let tail = &text[text.ceil_char_boundary(text.len() - max / 2)..];
    let left = text.len() - head.len() - tail.len();
    format!("{head}\n[... {left} bytes left out ...]\n{tail}")
}

/// `1 line`, `12 lines`.
pub(crate) fn count(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// `340 bytes`, `1.2 KB`, `3.4 MB`.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => count(bytes, "byte"),
        1_000..1_000_000 => format!("{}.{} KB", bytes / 1_000, bytes % 1_000 / 100),
        1_000_000..1_000_000_000 => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
        _ => format!("{}.{} GB", bytes / 1_000_000_000, bytes % 1_000_000_000 / 100_000_000),
    }
}

/// The path as one line of text: invalid UTF-8 replaced, control characters escaped.
pub(crate) fn one_line(path: &Path) -> String {
    match path.to_string_lossy() {
        Cow::Borrowed(text) if !text.contains(char::is_control) => text.to_owned(),
        text => text
            .chars()
            .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cut_falls_inside_a_character() {
        assert_eq!(first_chars("äöü", 2), "äö");
        assert_eq!(first_chars("äöü", 9), "äöü");
        assert_eq!(first_bytes("äöü", 3), "ä");
        assert_eq!(first_bytes("ä", usize::MAX), "ä");
    }

    #[test]
    fn the_middle_is_left_out_between_characters() {
        assert_eq!(within("äöüäöü".into(), 12), "äöüäöü");
        assert_eq!(within("äöüäöü".into(), 7), "äö\n[... 6 bytes left out ...]\nü");
        assert_eq!(within("ä".into(), 0), "\n[... 2 bytes left out ...]\n");
    }

    #[test]
    fn sizes_are_in_words() {
        let sizes = [1, 999, 1_000, 1_299, 3_450_000, 7_000_000_001].map(size);
        assert_eq!(sizes, ["1 byte", "999 bytes", "1.0 KB", "1.2 KB", "3.4 MB", "7.0 GB"]);
    }

    #[test]
    fn a_name_stays_on_its_line() {
        assert_eq!(one_line(Path::new("a\nb\u{1b}ü")), "a\\nb\\u{1b}ü");
    }
}
