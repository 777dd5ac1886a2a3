//! What a small model is shown at once, since it finds little by itself: the names of a folder's files, and those files that
//! a check speaks of.

use std::collections::BTreeSet;

use codetether_files::{EntryKind, Root};

/// Most bytes of files that are shown at once.
pub(crate) const ROOM: u64 = 6 << 10;

/// Most files that are shown at once.
const FILES: usize = 6;

/// Most names.
const NAMES: usize = 40;

/// Most entries that are looked at.
const ENTRIES: usize = 2_000;

/// Folders below the root that are looked into.
const DEPTH: usize = 2;

/// Folders of what is made and fetched, not written.
const MADE: [&str; 7] = ["target", "node_modules", "__pycache__", "venv", "dist", "build", "vendor"];

/// Names that source files end in.
const SOURCES: [&str; 14] =
    ["py", "rs", "js", "ts", "go", "c", "h", "cpp", "java", "rb", "sh", "php", "lua", "toml"];

/// The names of the folder's files, those of its own first; hidden ones and what is made are left out.
pub(crate) fn names(root: &Root) -> Vec<String> {
    let mut all = walked(root);
    all.sort_by(|a, b| a.matches('/').count().cmp(&b.matches('/').count()).then(a.cmp(b)));
    let more = all.len().saturating_sub(NAMES);
    all.truncate(NAMES);
    if more > 0 {
        all.push(format!("and {more} more"));
    }
    all
}

/// All of the folder's files, where they are few enough to be named.
pub(crate) fn all(root: &Root) -> Option<Vec<String>> {
    let mut all = walked(root);
    all.sort();
    (!all.is_empty() && all.len() <= NAMES).then_some(all)
}

/// Whether a file of this name holds tests.
pub(crate) fn is_test(name: &str) -> bool {
    let stem = name.rsplit('/').next().unwrap_or(name).split('.').next().unwrap_or_default();
    let marked =
        stem.starts_with("test_") || ["_test", "_tests", "_spec"].iter().any(|end| stem.ends_with(end));
    let inner = name.contains(".test.") || name.contains(".spec.");
    marked || inner || name.split('/').rev().skip(1).any(|folder| matches!(folder, "tests" | "test"))
}

/// The files to show for what a check wrote: those that it names, those that these are tests of, and, where all that there
/// is is little, the others.
pub(crate) fn files(root: &Root, output: &str) -> Vec<String> {
    let all = walked(root);
    let top = format!("{}/", root.path().display());
    let mut chosen: Vec<String> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut take = |name: &str| {
        if seen.insert(name.to_owned()) {
            chosen.push(name.to_owned());
        }
    };
    let parts = |c: char| c.is_whitespace() || "\"'`()[]<>,;:=".contains(c);
    for word in output.split(parts) {
        let word = word.strip_prefix(&top).unwrap_or(word).trim_start_matches("./");
        if all.iter().any(|name| name == word) {
            take(word);
            all.iter().filter(|name| is_tested(word, name)).for_each(|name| take(name));
        }
    }
    let sources = all.iter().filter(|name| is_code(name));
    let size = |name: &String| root.metadata(name).map_or(u64::MAX, |metadata| metadata.len());
    let mut others: Vec<(u64, &String)> = sources.map(|name| (size(name), name)).collect();
    if others.iter().fold(0_u64, |sum, (size, _)| sum.saturating_add(*size)) <= ROOM {
        others.sort();
        others.iter().for_each(|(_, name)| take(name));
    }
    chosen.truncate(FILES);
    chosen
}

/// Whether a test of this name is one of that file: `test_sum.py` and `sum_test.py` of `sum.py`, `sum.test.js` of `sum.js`.
fn is_tested(test: &str, file: &str) -> bool {
    let stem = |name: &str| -> (String, String) {
        let name = name.rsplit('/').next().unwrap_or(name);
        let (stem, end) = name.rsplit_once('.').unwrap_or((name, ""));
        (stem.to_owned(), end.to_owned())
    };
    let ((test, test_end), (file, end)) = (stem(test), stem(file));
    let bare = ["test_", "tests_"].iter().find_map(|before| test.strip_prefix(before));
    let behind =
        ["_test", "_tests", ".test", ".spec", "_spec"].iter().find_map(|after| test.strip_suffix(after));
    test_end == end && [bare, behind].into_iter().flatten().any(|bare| bare == file)
}

/// Whether a file of this name holds code that is no test.
pub(crate) fn is_source(name: &str) -> bool {
    is_code(name) && !is_test(name)
}

fn is_code(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, end)| SOURCES.contains(&end))
}

fn walked(root: &Root) -> Vec<String> {
    let (mut files, mut folders, mut looked) = (Vec::new(), vec![(String::new(), 0)], 0);
    while let Some((folder, depth)) = folders.pop() {
        let path = if folder.is_empty() { "." } else { &folder };
        let Ok(entries) = root.list(path) else { continue };
        for entry in entries.filter_map(Result::ok) {
            looked += 1;
            if looked > ENTRIES {
                return files;
            }
            let name = entry.name.to_string_lossy().into_owned();
            let hidden = name.starts_with('.') || MADE.contains(&name.as_str());
            if hidden || name.contains(char::is_control) {
                continue;
            }
            let name = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            match entry.kind {
                EntryKind::Directory if depth < DEPTH => folders.push((name, depth + 1)),
                EntryKind::File => files.push(name),
                _ => {}
            }
        }
    }
    files
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests set up files as a person would")]
mod tests {
    use super::*;

    fn place(files: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let root = Root::open(dir.path()).unwrap();
        (dir, root)
    }

    #[test]
    fn files_are_named_the_nearest_first_without_what_is_made() {
        let (_dir, root) = place(&[
            ("b.py", ""),
            ("a/c.py", ""),
            (".git/config", ""),
            ("__pycache__/b.pyc", ""),
            ("README.md", ""),
        ]);
        assert_eq!(names(&root), ["README.md", "b.py", "a/c.py"]);
        let many: Vec<(String, &str)> = (0..50).map(|n| (format!("f{n:02}"), "")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|(name, text)| (name.as_str(), *text)).collect();
        let (_dir, root) = place(&many);
        assert_eq!(names(&root).last().unwrap(), "and 10 more");
    }

    #[test]
    fn tests_are_known_by_their_names() {
        for test in ["test_a.py", "a/b_test.go", "a.test.ts", "tests/a.rs", "x/spec/a_spec.rb"] {
            assert!(is_test(test), "{test}");
        }
        for other in ["total.py", "contest.py", "src/latest.rs", "testing.md"] {
            assert!(!is_test(other), "{other}");
        }
    }

    #[test]
    fn what_a_check_names_is_shown_with_what_it_tests() {
        let big = "x".repeat(7_000);
        let (dir, root) = place(&[
            ("tests/test_sum.py", "import sum"),
            ("src/sum.py", "def sum(): pass"),
            ("src/other.py", &big),
            ("web/sum.js", ""),
        ]);
        let output = format!("File \"{}/tests/test_sum.py\", line 5, in test", root.path().display());
        assert_eq!(files(&root, &output), ["tests/test_sum.py", "src/sum.py"]);
        assert_eq!(files(&root, "nothing of note"), [""; 0], "there is too much to show it all");
        std::fs::remove_file(dir.path().join("src/other.py")).unwrap();
        assert_eq!(files(&root, "").len(), 3, "all of it is little");
    }
}
