//! The small Python project that the demo works on, its job, and its check.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::At as _;
use crate::{Failure, process};

/// The whole prompt.
pub(super) const JOB: &str = "fix the failing test";

/// Arguments of Python, in the project's folder: the check that the demo runs before and after.
pub(super) const CHECK: [&str; 4] = ["-B", "-m", "unittest", "--quiet"];

const FILES: [(&str, &str); 3] = [
    (".gitignore", "__pycache__/\n"),
    (
        "stats.py",
        "def total(xs):
    result = 0
    for x in xs:
        result -= x
    return result


def mean(xs):
    return total(xs) / len(xs)
",
    ),
    (
        "test_stats.py",
        "import unittest

from stats import mean, total


class StatsTest(unittest.TestCase):
    def test_total(self):
        self.assertEqual(total([1, 2, 3]), 6)

    def test_mean(self):
        self.assertEqual(mean([2, 4]), 3)
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
        let stats = project.join("stats.py");
        let mended = fs::read_to_string(&stats).unwrap().replace("result -= x", "result += x");
        fs::write(&stats, mended).unwrap();
        assert!(check(&project));
    }

    #[test]
    fn a_new_file_is_part_of_the_change() {
        let folder = tempfile::tempdir().unwrap();
        let project = create(folder.path()).unwrap();
        assert_eq!(change(&project).unwrap(), "");
        fs::write(project.join("new.py"), "x = 1\n").unwrap();
        let change = change(&project).unwrap();
        assert!(change.contains("+++ b/new.py") && change.contains("+x = 1"), "{change}");
    }
}
