//! The floors of the house: a crate may use only crates on lower floors, nothing goes round in a circle, and no file
//! grows past its limit. Read from `cargo metadata`, and from the files themselves.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail this way")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Every crate that may exist, by floor. A new crate is put here first.
const FLOORS: [&[&str]; 10] = [
    &["event"],
    &["session", "files", "secret", "permission", "net", "schema"],
    &[
        "journal", "ledger", "http", "config", "sandbox", "provider", "tool", "undo", "prompt", "route",
        "weights", "keys",
    ],
    &["builtin", "local", "wasm", "lsp", "worktree", "telemetry"],
    &["agent"],
    &["fleet", "spec", "rlm"],
    &["swarm"],
    &["ralph", "eval"],
    &["a2a", "mcp", "acp", "server", "tui"],
    &["cli"],
];

/// For tests alone: any crate's tests may use it, and nothing that is shipped.
const TESTKIT: &str = "testkit";

/// For contributors alone: it may use everything, and nothing may use it.
const XTASK: &str = "xtask";

/// A file of this many lines is two things.
const MOST_LINES: usize = 800;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 6] = ["mod.rs", "utils.rs", "helpers.rs", "common.rs", "manager.rs", "core.rs"];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Shipped,
    Tests,
}

/// One crate uses another of the workspace.
#[derive(Debug, Clone)]
struct Use {
    by: String,
    of: String,
    kind: Kind,
}

#[test]
fn a_crate_uses_only_crates_on_lower_floors() {
    let (crates, uses) = workspace();
    assert!(crates.contains("event") && crates.contains("cli"), "the workspace was not read: {crates:?}");
    assert_eq!(floor_violations(&crates, &uses), [""; 0]);
}

#[test]
fn no_crate_reaches_itself_not_even_through_tests() {
    let (_, uses) = workspace();
    assert!(!uses.is_empty(), "the workspace was not read");
    assert_eq!(cycle(&uses), None);
}

#[test]
fn no_source_file_passes_its_limit_or_has_an_empty_name() {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(root().join("crates")).unwrap() {
        rust_files(&entry.unwrap().path().join("src"), &mut files);
    }
    assert!(files.len() > 20, "the sources were not found: {files:?}");
    let violations: Vec<_> = files
        .iter()
        .filter_map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            file_violation(path.strip_prefix(root()).unwrap(), text.lines().count())
        })
        .collect();
    assert_eq!(violations, [""; 0]);
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// The crates of the workspace by their folder's name, and who uses whom.
fn workspace() -> (BTreeSet<String>, Vec<Use>) {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .other_options(["--offline".to_owned()])
        .exec()
        .expect("cannot run `cargo metadata`");
    let packages = metadata.workspace_packages();
    let crates: BTreeSet<_> = packages.iter().map(|package| folder(&package.name)).collect();
    let mut uses = Vec::new();
    for package in packages {
        for dependency in package.dependencies.iter().filter(|dependency| dependency.path.is_some()) {
            let kind =
                if dependency.kind == DependencyKind::Development { Kind::Tests } else { Kind::Shipped };
            uses.push(Use { by: folder(&package.name), of: folder(&dependency.name), kind });
        }
    }
    (crates, uses)
}

/// The binary's package is called as the program is.
fn folder(package: &str) -> String {
    if package == "codetether" { "cli" } else { package.strip_prefix("codetether-").unwrap_or(package) }
        .to_owned()
}

fn floor(name: &str) -> Option<usize> {
    FLOORS.iter().position(|crates| crates.contains(&name))
}

fn floor_violations(crates: &BTreeSet<String>, uses: &[Use]) -> Vec<String> {
    let mut found = Vec::new();
    for name in crates {
        if floor(name).is_none() && name != TESTKIT && name != XTASK {
            found.push(format!("`{name}` has no floor: put it into the table"));
        }
    }
    for Use { by, of, kind } in uses {
        if of == XTASK {
            found.push(format!("`{by}` uses `{XTASK}`, which is for contributors alone"));
        } else if of == TESTKIT && *kind == Kind::Shipped && by != XTASK {
            found.push(format!("`{by}` ships `{TESTKIT}`, which is for tests alone"));
        } else if let (Some(user), Some(used)) = (floor(by), floor(of))
            && used >= user
        {
            found.push(format!("`{by}` (floor {user}) uses `{of}` (floor {used})"));
        }
    }
    found
}

/// The first circle found, as a path that ends where it began.
fn cycle(uses: &[Use]) -> Option<Vec<&str>> {
    fn walk<'a>(path: &mut Vec<&'a str>, done: &mut BTreeSet<&'a str>, uses: &'a [Use]) -> bool {
        let here = *path.last().unwrap();
        for next in uses.iter().filter(|u| u.by == here).map(|u| u.of.as_str()) {
            if let Some(start) = path.iter().position(|name| *name == next) {
                path.drain(..start);
                path.push(next);
                return true;
            }
            if !done.contains(next) {
                path.push(next);
                if walk(path, done, uses) {
                    return true;
                }
                path.pop();
            }
        }
        done.insert(here);
        false
    }
    let mut done = BTreeSet::new();
    uses.iter().find_map(|start| {
        let mut path = vec![start.by.as_str()];
        walk(&mut path, &mut done, uses).then_some(path)
    })
}

/// All sources that are not tests: a test file is called `tests.rs` or lies in a folder `tests`.
fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && name != "tests" {
            rust_files(&path, into);
        } else if name.ends_with(".rs") && name != "tests.rs" {
            into.push(path);
        }
    }
}

fn file_violation(path: &Path, lines: usize) -> Option<String> {
    if lines > MOST_LINES {
        return Some(format!("{} has {lines} lines: find the seam", path.display()));
    }
    let name = path.file_name()?.to_str()?;
    EMPTY_NAMES.contains(&name).then(|| format!("{}: the name says nothing", path.display()))
}

fn shipped(by: &str, of: &str) -> Use {
    Use { by: by.into(), of: of.into(), kind: Kind::Shipped }
}

fn in_tests(by: &str, of: &str) -> Use {
    Use { kind: Kind::Tests, ..shipped(by, of) }
}

fn violations_of(uses: &[Use]) -> Vec<String> {
    let crates = uses.iter().flat_map(|u| [u.by.clone(), u.of.clone()]).collect();
    floor_violations(&crates, uses)
}

#[test]
fn the_checker_accepts_what_goes_down_and_what_tests_and_contributors_use() {
    let uses = [
        shipped("cli", "agent"),
        shipped("agent", "event"),
        in_tests("event", "testkit"),
        in_tests("agent", "journal"),
        shipped("testkit", "files"),
        shipped("xtask", "testkit"),
        shipped("xtask", "cli"),
    ];
    assert_eq!(violations_of(&uses), [""; 0]);
}

#[test]
fn the_checker_finds_what_goes_up_or_sideways() {
    let found = violations_of(&[
        shipped("event", "files"),
        shipped("journal", "config"),
        in_tests("session", "journal"),
        shipped("agent", "testkit"),
        in_tests("cli", "xtask"),
    ]);
    let wanted = [
        "`event` (floor 0) uses `files` (floor 1)",
        "`journal` (floor 2) uses `config` (floor 2)",
        "`session` (floor 1) uses `journal` (floor 2)",
        "`agent` ships `testkit`, which is for tests alone",
        "`cli` uses `xtask`, which is for contributors alone",
    ];
    assert_eq!(found, wanted);
}

#[test]
fn the_checker_finds_a_crate_without_a_floor() {
    assert_eq!(violations_of(&[shipped("attic", "event")]), ["`attic` has no floor: put it into the table"]);
}

#[test]
fn the_checker_finds_a_circle_through_tests() {
    let uses = [shipped("cli", "agent"), shipped("agent", "files"), in_tests("files", "testkit")];
    assert_eq!(cycle(&uses), None);
    let closed = [&uses[..], &[shipped("testkit", "agent")]].concat();
    assert_eq!(cycle(&closed).unwrap(), ["agent", "files", "testkit", "agent"]);
}

#[test]
fn the_checker_finds_long_files_and_empty_names() {
    assert_eq!(file_violation(Path::new("crates/agent/src/gate.rs"), MOST_LINES), None);
    let long = file_violation(Path::new("a/gate.rs"), MOST_LINES + 1);
    assert_eq!(long.unwrap(), "a/gate.rs has 801 lines: find the seam");
    assert_eq!(file_violation(Path::new("a/mod.rs"), 3).unwrap(), "a/mod.rs: the name says nothing");
}
