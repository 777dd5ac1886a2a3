//! The small Python project that the demo works on, its job, and its check.
//!
//! The job is worded for a small model: it names both files, needs two tool calls, and gives it nothing to copy wrongly.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::At as _;
use crate::{Failure, process};

/// The whole prompt.
pub(super) const JOB: &str = "Read TODO.md. Then create the file primes.py that it asks for.";

/// Arguments of Python, in the project's folder: the check that the demo runs before and after.
pub(super) const CHECK: [&str; 4] = ["-B", "-m", "unittest", "--quiet"];

const FILES: [(&str, &str); 5] = [
    (".gitignore", "__pycache__/\n"),
    (
        "TODO.md",
        "# To do

The tests in test_primes.py fail because the file primes.py is missing.
It needs one function, is_prime(n). It returns True when the whole number n is
prime and False when it is not. Numbers below 2 are not prime.
",
    ),
    (
        "calc.py",
        "def add(a, b):
    return a + b


def subtract(a, b):
    return a - b
",
    ),
    (
        "test_calc.py",
        "import unittest

from calc import add, subtract


class CalcTest(unittest.TestCase):
    def test_sum_and_difference(self):
        self.assertEqual(add(2, 3), 5)
        self.assertEqual(subtract(5, 3), 2)
",
    ),
    (
        "test_primes.py",
        "import unittest

from primes import is_prime


class PrimesTest(unittest.TestCase):
    def test_primes_below_thirty(self):
        found = [n for n in range(30) if is_prime(n)]
        self.assertEqual(found, [2, 3, 5, 7, 11, 13, 17, 19, 23, 29])

    def test_numbers_below_two_are_not_prime(self):
        self.assertFalse(any(is_prime(n) for n in (1, 0, -7)))
",
    ),
];

/// Makes the project, committed to a repository of its own, and gives its path.
pub(super) fn create(folder: &Path) -> Result<PathBuf, Failure> {
    fs::create_dir_all(folder).at("create", folder)?;
    for (name, text) in FILES {
        let path = folder.join(name);
        fs::write(&path, text).at("write", &path)?;
    }
    git(folder, &["init", "--quiet", "--initial-branch=main"])?;
    git(folder, &["add", "--all"])?;
    git(folder, &["commit", "--quiet", "--message=a small project with something to do"])?;
    Ok(folder.to_owned())
}

/// What is different from the commit, new files among it, as a unified diff.
pub(super) fn change(folder: &Path) -> Result<String, Failure> {
    git(folder, &["add", "--all", "--intent-to-add"])?;
    git(folder, &["diff", "--no-color", "--no-ext-diff"])
}

fn git(folder: &Path, arguments: &[&str]) -> Result<String, Failure> {
    let mut command = Command::new("git");
    // Nobody's settings: no hooks, no signing, no templates.
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    command.arg("-C").arg(folder).args(["-c", "user.name=demo", "-c", "user.email=demo@localhost"]);
    process::text(command.args(arguments))
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    const SOLUTION: &str = "def is_prime(n):
    return n > 1 and all(n % d for d in range(2, int(n**0.5) + 1))
";

    fn check(folder: &Path) -> bool {
        let mut python = Command::new("python3");
        python.args(CHECK).current_dir(folder).stdin(Stdio::null()).stderr(Stdio::null());
        python.status().unwrap().success()
    }

    #[test]
    fn the_check_fails_before_and_passes_after_the_job_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let project = create(folder.path()).unwrap();
        assert!(!check(&project));
        fs::write(project.join("primes.py"), SOLUTION).unwrap();
        assert!(check(&project));
    }

    #[test]
    fn a_new_file_is_part_of_the_change() {
        let folder = tempfile::tempdir().unwrap();
        let project = create(folder.path()).unwrap();
        assert_eq!(change(&project).unwrap(), "");
        fs::write(project.join("primes.py"), SOLUTION).unwrap();
        let change = change(&project).unwrap();
        assert!(change.contains("+++ b/primes.py") && change.contains("+def is_prime(n):"), "{change}");
    }
}
