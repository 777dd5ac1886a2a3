//! What `git diff` writes is applied as `git apply` does it, and an envelope gives the file that it was made for.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::json;

use crate::bench::Bench;

/// Files by path: content, and whether they may be run.
type Tree = BTreeMap<String, (Vec<u8>, bool)>;

fn git(dir: &Path, args: &[&str]) -> Vec<u8> {
    let output = Command::new("git")
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", dir)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CEILING_DIRECTORIES", dir.parent().unwrap())
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn put(dir: &Path, tree: &Tree) {
    for (path, (content, program)) in tree {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        let mode = if *program { 0o755 } else { 0o644 };
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    }
}

fn clear(dir: &Path) {
    for entry in
        std::fs::read_dir(dir).unwrap().map(Result::unwrap).filter(|entry| entry.file_name() != ".git")
    {
        match entry.file_type().unwrap().is_dir() {
            true => std::fs::remove_dir_all(entry.path()).unwrap(),
            false => std::fs::remove_file(entry.path()).unwrap(),
        }
    }
}

fn take(dir: &Path) -> Tree {
    fn walk(root: &Path, dir: &Path, tree: &mut Tree) {
        for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                if entry.file_name() != ".git" {
                    walk(root, &path, tree);
                }
                continue;
            }
            let program = path.metadata().unwrap().permissions().mode() & 0o100 != 0;
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            tree.insert(name, (std::fs::read(&path).unwrap(), program));
        }
    }
    let mut tree = Tree::new();
    walk(dir, dir, &mut tree);
    tree
}

/// The diff from one tree to the other, as git writes it with these options.
fn diff(old: &Tree, new: &Tree, options: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    git(dir.path(), &["init", "-q"]);
    let mut ids = Vec::new();
    for tree in [old, new] {
        clear(dir.path());
        put(dir.path(), tree);
        git(dir.path(), &["-c", "core.autocrlf=false", "-c", "core.safecrlf=false", "add", "-A"]);
        ids.push(String::from_utf8(git(dir.path(), &["write-tree"])).unwrap().trim().to_owned());
    }
    let args: Vec<&str> = ["diff"]
        .into_iter()
        .chain(options.iter().copied())
        .chain([ids[0].as_str(), ids[1].as_str()])
        .collect();
    String::from_utf8(git(dir.path(), &args)).unwrap()
}

/// What our tool makes of a tree by a patch, and what it says.
fn ours(old: &Tree, patch: &str) -> (Tree, Result<String, String>) {
    let bench = Bench::new();
    put(bench.cx.root.path(), old);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let told = runtime.block_on(bench.call("apply_patch", json!({"patch": patch})));
    (take(bench.cx.root.path()), told.map(|output| output.text).map_err(|error| error.to_string()))
}

/// What git makes of it.
fn gits(old: &Tree, patch: &str) -> Tree {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), old);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), patch).unwrap();
    git(dir.path(), &["apply", "--whitespace=nowarn", file.path().to_str().unwrap()]);
    take(dir.path())
}

/// A content: lines that often are the same as others, with line ends that may be mixed, and without the last one or with it.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        4 => "[a-d]{0,2}",
        1 => "    (let|if|return) [a-c] = [0-9];",
        1 => "(---|\\+\\+\\+|@@|diff|-- |\\\\|\\*\\*\\*| ) ?[ab]?",
        1 => "[äöü€]{1,3}[ \t]{0,2}",
    ];
    let end = prop_oneof![6 => Just("\n"), 1 => Just("\r\n")];
    let lines = prop::collection::vec((line, end), 0..30);
    (
        lines,
        any::<bool>(),
        prop_oneof![3 => Just(false), 1 => Just(true)],
        prop_oneof![5 => Just(false), 1 => Just(true)],
    )
        .prop_map(|(lines, crlf, unended, mark)| {
            let mut text = if mark { "\u{FEFF}".to_owned() } else { String::new() };
            for (line, end) in &lines {
                let _ = write!(text, "{line}{}", if crlf { end } else { "\n" });
            }
            let text = if unended { text.trim_end_matches(['\r', '\n']) } else { &text };
            text.as_bytes().to_vec()
        })
}

/// How one file goes on.
#[derive(Debug, Clone)]
enum Step {
    Lines { from: Index, count: usize, new: Vec<String> },
    Remove,
    Add(String, Vec<u8>),
    Rename(String),
    Mode,
    Replace(Vec<u8>),
    End,
}

fn name() -> impl Strategy<Value = String> {
    let names =
        ["a.txt", "src/b.rs", "src/deep/c", "with space.txt", "näme", "q\"uote\t", "README", "b/a", "x\\y"];
    select(names.to_vec()).prop_map(str::to_owned)
}

fn step() -> impl Strategy<Value = Step> {
    let lines = (any::<Index>(), 0_usize..4, prop::collection::vec("[a-f ]{0,4}", 0..4));
    prop_oneof![
        6 => lines.prop_map(|(from, count, new)| Step::Lines { from, count, new }),
        1 => Just(Step::Remove),
        1 => (name(), content()).prop_map(|(name, content)| Step::Add(name, content)),
        1 => name().prop_map(Step::Rename),
        1 => Just(Step::Mode),
        1 => content().prop_map(Step::Replace),
        1 => Just(Step::End),
    ]
}

fn edited(content: &[u8], from: Index, count: usize, new: &[String]) -> Vec<u8> {
    let lines: Vec<&[u8]> = content.split_inclusive(|byte| *byte == b'\n').collect();
    let from = from.index(lines.len() + 1);
    let to = (from + count).min(lines.len());
    let end: &[u8] = if lines.first().is_some_and(|line| line.ends_with(b"\r\n")) { b"\r\n" } else { b"\n" };
    let mut out = lines[..from].concat();
    for line in new {
        if !out.is_empty() && !out.ends_with(b"\n") {
            out.extend_from_slice(end);
        }
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(end);
    }
    out.extend_from_slice(&lines[to..].concat());
    out
}

/// Whether a path is a folder of another, so that both cannot be.
fn clashes(tree: &Tree, name: &str) -> bool {
    let is_above =
        |above: &str, below: &str| below.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'));
    tree.keys().any(|path| path == name || is_above(path, name) || is_above(name, path))
}

fn evolve(old: &Tree, steps: &[(Index, Step)]) -> Tree {
    let mut new = old.clone();
    for (which, step) in steps {
        if let Step::Add(name, content) = step {
            // A folder of the old tree may be no file of the new one: that is a change of kinds, which is refused.
            if !clashes(&new, name) && (old.contains_key(name) || !clashes(old, name)) {
                new.insert(name.clone(), (content.clone(), false));
            }
            continue;
        }
        if new.is_empty() {
            continue;
        }
        let path = new.keys().nth(which.index(new.len())).unwrap().clone();
        let (content, program) = new.remove(&path).unwrap();
        match step {
            Step::Remove => {}
            Step::Rename(name) if !clashes(&new, name) && (old.contains_key(name) || !clashes(old, name)) => {
                new.insert(name.clone(), (content, program));
            }
            Step::Lines { from, count, new: lines } => {
                new.insert(path, (edited(&content, *from, *count, lines), program));
            }
            Step::Mode => {
                new.insert(path, (content, !program));
            }
            Step::Replace(content) => {
                new.insert(path, (content.clone(), program));
            }
            Step::End => {
                let content = match content.strip_suffix(b"\n") {
                    Some(content) => content.to_vec(),
                    None => [content.as_slice(), b"\n"].concat(),
                };
                new.insert(path, (content, program));
            }
            Step::Add(..) | Step::Rename(_) => {
                new.insert(path, (content, program));
            }
        }
    }
    new
}

fn trees() -> impl Strategy<Value = (Tree, Tree)> {
    let files = prop::collection::btree_map(name(), (content(), any::<bool>()), 1..6);
    (files, prop::collection::vec((any::<Index>(), step()), 1..8)).prop_map(|(files, steps)| {
        let mut old = Tree::new();
        for (name, file) in files {
            if !clashes(&old, &name) {
                old.insert(name, file);
            }
        }
        let new = evolve(&old, &steps);
        (old, new)
    })
}

/// This crate's own sources.
fn sources() -> Vec<(String, Vec<u8>)> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = take(&dir).into_iter().map(|(path, (content, _))| (path, content));
    files.filter(|(path, _)| path.ends_with(".rs")).collect()
}

fn own_files() -> impl Strategy<Value = (Tree, Tree)> {
    let files = prop::collection::vec(select(sources()), 1..4);
    let line = prop_oneof![Just("}".to_owned()), Just(String::new()), "        let [a-z]{3} = [0-9]+;"];
    let edit = (any::<Index>(), any::<Index>(), 0_usize..6, prop::collection::vec(line, 0..5));
    (files, prop::collection::vec(edit, 1..12)).prop_map(|(files, edits)| {
        let old: Tree = files.into_iter().map(|(path, content)| (path, (content, false))).collect();
        let mut new = old.clone();
        for (which, from, count, lines) in edits {
            let path = old.keys().nth(which.index(old.len())).unwrap();
            let file = new.get_mut(path).unwrap();
            file.0 = edited(&file.0, from, count, &lines);
        }
        (old, new)
    })
}

const OPTIONS: [&[&str]; 6] = [
    &["-M"],
    &["-M30%", "-C", "--find-copies-harder"],
    &["--no-renames", "-U1"],
    &["-M", "-U7", "--no-prefix"],
    &["--patience", "--full-index", "--src-prefix=i/", "--dst-prefix=w/"],
    &["-M", "--stat", "-p", "--function-context"],
];

/// Each starts several programs: of many thousands of cases a twentieth part is enough.
fn cases() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse::<u32>().ok());
    let cases = cases.map_or(64, |cases| (cases / 20).max(64));
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// An envelope that makes `new` of `old`, with so many lines around each change.
fn envelope(path: &str, old: &str, new: &str, around: usize) -> String {
    let diff = similar::TextDiff::from_lines(old, new);
    let mut text = format!("*** Begin Patch\n*** Update File: {path}\n");
    for group in diff.grouped_ops(around) {
        text += "@@\n";
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let _ = writeln!(text, "{}{}", change.tag(), change.value().trim_end_matches('\n'));
        }
    }
    text + "*** End Patch\n"
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn what_git_diffs_is_applied_as_git_does_it((old, new) in trees(), options in select(OPTIONS.to_vec())) {
        let patch = diff(&old, &new, options);
        prop_assume!(!patch.is_empty());
        let (got, told) = ours(&old, &patch);
        prop_assert!(told.is_ok(), "{:?}\n{}", told, patch);
        prop_assert_eq!(&got, &new, "{}", patch);
        if !options.contains(&"--no-prefix") {
            prop_assert_eq!(got, gits(&old, &patch), "{}", patch);
        }
    }

    #[test]
    fn diffs_of_real_sources_are_applied_as_git_does_it((old, new) in own_files()) {
        let patch = diff(&old, &new, &["-M"]);
        prop_assume!(!patch.is_empty());
        let (got, told) = ours(&old, &patch);
        prop_assert!(told.is_ok(), "{:?}", told);
        prop_assert_eq!(&got, &new, "{}", patch);
        prop_assert_eq!(got, gits(&old, &patch));
    }

    /// Wrong numbers are of no matter where the lines are there once: every line of these is another.
    #[test]
    fn numbers_that_are_wrong_do_no_harm_where_lines_tell(
        edits in prop::collection::vec((any::<Index>(), 0_usize..3, prop::collection::vec("[a-f]{1,4}", 0..3)), 1..5),
        shift in -20_isize..20,
    ) {
        let old: String = (0..60).map(|n| format!("line {n}\n")).collect();
        let mut content = old.clone().into_bytes();
        for (from, count, lines) in edits {
            content = edited(&content, from, count, &lines);
        }
        let tree = |content: &[u8]| Tree::from([("f".to_owned(), (content.to_vec(), false))]);
        let patch = diff(&tree(old.as_bytes()), &tree(&content), &[]);
        prop_assume!(!patch.is_empty());
        let wrong: Vec<String> = patch
            .lines()
            .map(|line| match line.strip_prefix("@@ -").and_then(|rest| rest.split_once([',', ' '])) {
                Some((at, _)) => format!("@@ -{},9 +1,2 @@", at.parse::<usize>().unwrap().saturating_add_signed(shift)),
                None => line.to_owned(),
            })
            .collect();
        let (got, told) = ours(&tree(old.as_bytes()), &wrong.join("\n"));
        prop_assert!(told.is_ok(), "{:?}\n{}", told, wrong.join("\n"));
        prop_assert_eq!(got, tree(&content));
    }

    /// Either the file that it was made for, or an answer that says where it could be meant.
    #[test]
    fn an_envelope_is_never_taken_for_another((old, new) in own_files(), around in 0_usize..4) {
        for (path, (old, _)) in &old {
            let (old, new) = (String::from_utf8(old.clone()).unwrap(), String::from_utf8(new[path].0.clone()).unwrap());
            prop_assume!(old != new);
            let patch = envelope(path, &old, &new, around);
            let (got, told) = ours(&Tree::from([(path.clone(), (old.clone().into_bytes(), false))]), &patch);
            match told {
                Ok(_) => prop_assert_eq!(String::from_utf8(got[path].0.clone()).unwrap(), new, "{}", patch),
                Err(told) => {
                    let is_honest = told.contains("fits equally at lines") || (around == 0 && told.contains("only adds lines"));
                    prop_assert!(is_honest, "{}\n{}", told, patch);
                    prop_assert_eq!(String::from_utf8(got[path].0.clone()).unwrap(), old);
                }
            }
        }
    }

    #[test]
    fn an_envelope_gives_the_file_that_it_was_made_for_where_lines_tell(
        edits in prop::collection::vec((any::<Index>(), 0_usize..3, prop::collection::vec("[a-f ]{0,4}", 0..3)), 1..5),
        around in 1_usize..4,
    ) {
        let old: String = (0..60).map(|n| format!("line {n}\n")).collect();
        let mut content = old.clone().into_bytes();
        for (from, count, lines) in edits {
            content = edited(&content, from, count, &lines);
        }
        let new = String::from_utf8(content).unwrap();
        prop_assume!(old != new);
        let patch = envelope("f", &old, &new, around);
        let (got, told) = ours(&Tree::from([("f".to_owned(), (old.into_bytes(), false))]), &patch);
        prop_assert!(told.is_ok(), "{:?}\n{}", told, patch);
        prop_assert_eq!(String::from_utf8(got["f"].0.clone()).unwrap(), new);
    }
}
