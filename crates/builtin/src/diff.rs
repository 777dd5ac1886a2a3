//! The changes that a call would make, as a person is shown them: a unified diff, bounded in size and time.

use std::time::Duration;

use codetether_files::Permissions;
use similar::TextDiff;

use crate::change::Change;
use crate::text::{count, first_bytes};

/// Most bytes of a diff.
const MAX: usize = 20_000;

/// After this long the rest of a difficult comparison is shown less finely.
const TIME: Duration = Duration::from_millis(200);

/// What changes in the file at `path`.
pub(crate) fn unified(path: &str, old: Option<&str>, new: &str) -> String {
    bounded(between(old.map(|old| (path, old)), Some((path, new))))
}

/// What several changes make of files.
pub(crate) fn all(changes: &[Change]) -> String {
    let mut text = String::new();
    let moved: Vec<&str> = changes.iter().filter_map(|change| change.moved_from.as_deref()).collect();
    for change in changes {
        if change.after.is_none() && moved.contains(&change.path.as_str()) {
            continue;
        }
        let from =
            change.moved_from.as_deref().and_then(|from| changes.iter().find(|other| other.path == from));
        let source = from.unwrap_or(change);
        let old = source.before.as_ref().map(|(bytes, mode)| (String::from_utf8_lossy(bytes), mode));
        let new = change.after.as_ref().map(|(bytes, _)| String::from_utf8_lossy(bytes));
        if from.is_some() {
            text += &format!("rename from {}\nrename to {}\n", source.path, change.path);
        }
        match (change.after.as_ref().map(|(_, permissions)| permissions), &old) {
            (Some(Permissions::Exactly(new)), Some((_, old))) if new & 0o777 != **old & 0o777 => {
                text += &format!("mode of {} {:o} -> {:o}\n", change.path, **old & 0o777, new & 0o777);
            }
            (Some(Permissions::Program), None) => text += &format!("new program {}\n", change.path),
            _ => {}
        }
        let old = old.as_ref().map(|(old, _)| (source.path.as_str(), &**old));
        text += &between(old, new.as_ref().map(|new| (change.path.as_str(), &**new)));
        if text.len() > MAX {
            break;
        }
    }
    bounded(text)
}

/// What differs between two files; nothing where there is none.
fn between(old: Option<(&str, &str)>, new: Option<(&str, &str)>) -> String {
    let name = |side: &str, file: Option<(&str, &str)>| {
        file.map_or_else(|| "/dev/null".to_owned(), |(path, _)| format!("{side}/{path}"))
    };
    let (from, to) = (name("a", old), name("b", new));
    let (before, after) = (old.map_or("", |(_, text)| text), new.map_or("", |(_, text)| text));
    let diff = TextDiff::configure().timeout(TIME).diff_lines(before, after);
    let shown = diff.unified_diff().header(&from, &to).to_string();
    // An empty file has no lines to show, so there is no header either.
    let is_told = !shown.is_empty() || (old.is_some() && new.is_some());
    if is_told { shown } else { format!("--- {from}\n+++ {to}\n") }
}

fn bounded(text: String) -> String {
    if text.len() <= MAX {
        return text;
    }
    let start = first_bytes(&text, MAX);
    let left = text[start.len()..].lines().count() as u64;
    format!("{start}\n[... {} more ...]\n", count(left, "line"))
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
