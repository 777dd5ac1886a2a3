//! The change that a call would make, as a person is shown it: a unified diff, bounded in size and time.

use std::time::Duration;

use similar::TextDiff;

use crate::text::{count, first_bytes};

/// Most bytes of a diff.
const MAX: usize = 20_000;

/// After this long the rest of a difficult comparison is shown less finely.
const TIME: Duration = Duration::from_millis(200);

/// What changes in the file at `path`.
pub(crate) fn unified(path: &str, old: Option<&str>, new: &str) -> String {
    let diff = TextDiff::configure().timeout(TIME).diff_lines(old.unwrap_or_default(), new);
    let from = old.map_or_else(|| "/dev/null".to_owned(), |_| format!("a/{path}"));
    let mut text = diff.unified_diff().header(&from, &format!("b/{path}")).to_string();
    if text.len() > MAX {
        let start = first_bytes(&text, MAX);
        let left = text[start.len()..].lines().count() as u64;
        text = format!("{start}\n[... {} more ...]\n", count(left, "line"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_shown_with_its_surroundings() {
        let got = unified("x.txt", Some("a\nb\nc\n"), "a\nB\nc\n");
        assert_eq!(got, "--- a/x.txt\n+++ b/x.txt\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n");
        assert!(unified("x.txt", None, "a\n").starts_with("--- /dev/null\n+++ b/x.txt\n"));
    }

    #[test]
    fn a_long_diff_is_cut_and_says_so() {
        let got = unified("x", None, &"ä line\n".repeat(10_000));
        assert!(got.len() < MAX + 100 && got.ends_with(" more ...]\n"));
    }
}
