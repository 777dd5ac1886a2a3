//! Which command tells whether the work is right: the one that was set, or what the folder's own files say.

use std::path::Path;

use codetether_config::Settings;
use codetether_event::{Check, Tries};
use serde_json::Value;

use crate::args::TurnArgs;
use crate::exit::{Exit, Failure};
use crate::printer;

/// The word for what the folder's own files say.
const AUTO: &str = "auto";

/// Bytes of a file that are looked at.
const LOOKED_AT: u64 = 256 << 10;

/// Most entries of a folder that are looked at.
const ENTRIES: usize = 4096;

/// A check that a folder's files speak of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Detected {
    /// What is to be run.
    pub(crate) command: String,
    /// What says so.
    pub(crate) by: String,
}

impl Detected {
    /// For a person: which it is, and why.
    pub(crate) fn told(&self) -> String {
        format!("check: `{}`, since there is {}", printer::plain(&self.command), printer::plain(&self.by))
    }
}

/// The check of turns by these settings, and what a person should know of it: where it was found.
pub(crate) fn settled(
    args: &TurnArgs,
    settings: &Settings,
    root: &Path,
) -> Result<(Option<Check>, Option<String>), Failure> {
    let set = &settings.check;
    let first = set.first.unwrap_or(false);
    let Some(command) = &set.command else {
        return if args.check_first {
            Err(no_check("`--check-first` runs a check"))
        } else {
            Ok((None, None))
        };
    };
    if command.trim().is_empty() {
        return Err(no_check("the check is empty"));
    }
    let detected = if command.trim() == AUTO { Some(detected(root)?) } else { None };
    let note = detected.as_ref().map(Detected::told);
    let time_ms = set.time.map_or(Check::TIME_MS, codetether_config::Seconds::millis);
    let check = Check {
        command: detected.map_or_else(|| command.clone(), |detected| detected.command),
        time_ms,
        first,
        always: args.check.is_some(),
        rounds: Check::ROUNDS,
        tries: None,
    };
    Ok((Some(check), note))
}

/// The check for a turn that is tried so often.
pub(crate) fn tried(
    check: Option<Check>,
    asked: Option<u32>,
    set: Option<u32>,
) -> Result<Option<Check>, Failure> {
    let Some(most) = asked.or(set) else { return Ok(check) };
    if !(1..=Tries::MOST).contains(&most) {
        return Err(Failure::with_help(
            Exit::Usage,
            format!("`check.tries` is {most}"),
            format!("it is a number from 1 to {}", Tries::MOST),
        ));
    }
    match check {
        Some(check) => Ok(Some(Check { rounds: 0, tries: Some(Tries { number: 1, most }), ..check })),
        None if asked.is_some() => {
            Err(no_check("`--tries` needs something that says whether a try is right"))
        }
        None => Ok(None),
    }
}

fn no_check(what: &str) -> Failure {
    Failure::with_help(
        Exit::Usage,
        format!("{what}, and there is none"),
        "name it: `--check \"cargo test\"`; or `--check auto` for what the folder's own files say",
    )
}

fn detected(root: &Path) -> Result<Detected, Failure> {
    of(root).ok_or_else(|| {
        Failure::with_help(
            Exit::Usage,
            format!("no check was found in `{}`", root.display()),
            "there is no Cargo.toml, go.mod, package.json with a `test` script, Makefile with a target `test`, no Python \
             tests and no single Python file: name the command, such as `--check \"./test.sh\"`",
        )
    })
}

/// The check that a folder's own files speak of; the first of a fixed order, nothing where none does. Looks at the folder's
/// own entries and those of `tests`, runs nothing.
pub(crate) fn of(folder: &Path) -> Option<Detected> {
    let detected =
        |command: &str, by: &str| Some(Detected { command: command.to_owned(), by: by.to_owned() });
    let there = |name: &str| folder.join(name).is_file();
    let read = |name: &str| {
        let path = folder.join(name);
        path.metadata().ok().filter(|there| there.is_file() && there.len() <= LOOKED_AT)?;
        codetether_files::read_to_string(path).ok()
    };
    if there("Cargo.toml") {
        return detected("cargo test", "`Cargo.toml`");
    }
    if there("go.mod") {
        return detected("go test ./...", "`go.mod`");
    }
    if read("package.json").is_some_and(|text| has_test_script(&text)) {
        return detected("npm test --silent", "a `test` script in `package.json`");
    }
    for name in ["Makefile", "makefile", "GNUmakefile"] {
        if read(name).is_some_and(|text| has_target(&text, "test")) {
            return detected("make test", &format!("a target `test` in `{name}`"));
        }
    }
    let names = names(folder);
    let python_test =
        |name: &&String| name.ends_with(".py") && (name.starts_with("test_") || name.ends_with("_test.py"));
    let beside = names.iter().find(python_test).map(|name| (name.clone(), format!("`{name}`")));
    let below = || {
        let inside = self::names(&folder.join("tests"));
        inside.iter().find(python_test).map(|name| (format!("tests/{name}"), format!("`tests/{name}`")))
    };
    if let Some((file, by)) = beside.or_else(below) {
        let text = read(&file).unwrap_or_default();
        let pytest = ["pytest.ini", "conftest.py"].into_iter().any(there)
            || read("pyproject.toml").is_some_and(|text| text.contains("[tool.pytest"))
            || !text.contains("unittest");
        return if pytest {
            // Its cache would be in the way of taking a try back.
            detected("python3 -m pytest -q -p no:cacheprovider", &by)
        } else if file.starts_with("tests/") {
            detected("python3 -m unittest discover -s tests -p '*test*.py'", &by)
        } else {
            detected("python3 -m unittest discover -p '*test*.py'", &by)
        };
    }
    let mut python = names.iter().filter(|name| name.ends_with(".py"));
    match (python.next(), python.next()) {
        (Some(file), None) => detected(
            &format!("python3 -m py_compile {}", quoted(file)),
            &format!("one Python file, `{file}`"),
        ),
        _ => None,
    }
}

/// The names of a folder's files, in order.
fn names(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().into_iter().flatten().take(ENTRIES).filter_map(Result::ok);
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    let mut names: Vec<String> = files.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// Whether there is a script that tests; what `npm init` writes does not.
fn has_test_script(package: &str) -> bool {
    let package: Option<Value> = serde_json::from_str(package).ok();
    let script = package.as_ref().and_then(|package| package.get("scripts")?.get("test")?.as_str());
    script.is_some_and(|script| !script.trim().is_empty() && !script.contains("no test specified"))
}

fn has_target(makefile: &str, target: &str) -> bool {
    makefile.lines().any(|line| {
        let Some((names, rest)) = line.split_once(':') else { return false };
        // A variable is none (`test := x`), and a recipe begins with a tab.
        !rest.starts_with('=')
            && !line.starts_with('\t')
            && names.split_whitespace().any(|name| name == target)
    })
}

/// A word for the shell.
fn quoted(word: &str) -> String {
    let bare = |letter: char| letter.is_ascii_alphanumeric() || "._-/".contains(letter);
    let word = if word.starts_with('-') { format!("./{word}") } else { word.to_owned() };
    if word.chars().all(bare) { word } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names and contents.
    type Files<'a> = &'a [(&'a str, &'a str)];

    fn folder(files: Files<'_>) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            codetether_files::create_dir_all(path.parent().unwrap()).unwrap();
            codetether_files::write_atomic(path, text.as_bytes(), &<_>::default()).unwrap();
        }
        of(folder.path()).map(|detected| detected.command)
    }

    #[test]
    fn what_a_folders_files_speak_of() {
        let script = r#"{"scripts":{"test":"node --test"}}"#;
        let none = r#"{"scripts":{"test":"echo \"Error: no test specified\" && exit 1"}}"#;
        let rows: &[(Files<'_>, Option<&str>)] = &[
            (&[], None),
            (&[("README.md", "cargo test")], None),
            (&[("Cargo.toml", ""), ("package.json", script)], Some("cargo test")),
            (&[("go.mod", "module a")], Some("go test ./...")),
            (&[("package.json", script)], Some("npm test --silent")),
            (&[("package.json", none)], None),
            (&[("package.json", "{broken")], None),
            (&[("Makefile", "all: x\n\ntest: all\n\tx\n")], Some("make test")),
            (&[("Makefile", "test := x\nall:\n\ttest: x\n")], None),
            (
                &[("a.py", ""), ("test_a.py", "def test_a(): pass")],
                Some("python3 -m pytest -q -p no:cacheprovider"),
            ),
            (&[("test_a.py", "import unittest")], Some("python3 -m unittest discover -p '*test*.py'")),
            (
                &[("tests/a_test.py", "import unittest")],
                Some("python3 -m unittest discover -s tests -p '*test*.py'"),
            ),
            (
                &[("conftest.py", ""), ("test_a.py", "import unittest")],
                Some("python3 -m pytest -q -p no:cacheprovider"),
            ),
            (&[("it's.py", "")], Some(r"python3 -m py_compile 'it'\''s.py'")),
            (&[("-c.py", "")], Some("python3 -m py_compile ./-c.py")),
            (&[("a.py", ""), ("b.py", "")], None),
        ];
        for (files, wanted) in rows {
            assert_eq!(folder(files).as_deref(), *wanted, "{files:?}");
        }
    }

    #[test]
    fn tries_have_bounds_and_need_a_check() {
        let check = || Check {
            command: "make".into(),
            time_ms: 1,
            first: false,
            always: true,
            rounds: 3,
            tries: None,
        };
        for (most, right) in [(0, false), (1, true), (20, true), (21, false)] {
            assert_eq!(tried(Some(check()), None, Some(most)).is_ok(), right, "{most}");
        }
        assert!(tried(None, Some(2), None).is_err());
        assert_eq!(tried(None, None, Some(2)).unwrap(), None, "a setting alone asks for nothing");
        let tried = tried(Some(check()), Some(2), Some(9)).unwrap().unwrap();
        assert_eq!((tried.rounds, tried.tries), (0, Some(Tries { number: 1, most: 2 })));
    }
}
