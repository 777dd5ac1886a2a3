//! A home of its own for the program under test: empty folders, an environment with nothing of the person's in it, and
//! a small project. Gone when dropped, after a look through all that was written there for planted keys.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use tempfile::TempDir;

use crate::planted;

/// The one author, and the one date, of the project's commit.
const GIT: [(&str, &str); 6] = [
    ("GIT_AUTHOR_NAME", "Ada"),
    ("GIT_AUTHOR_EMAIL", "ada@example.com"),
    ("GIT_AUTHOR_DATE", "2024-01-01T12:00:00Z"),
    ("GIT_COMMITTER_NAME", "Ada"),
    ("GIT_COMMITTER_EMAIL", "ada@example.com"),
    ("GIT_COMMITTER_DATE", "2024-01-01T12:00:00Z"),
];

/// The files of the project.
const FILES: [(&str, &str); 2] =
    [("README.md", "# A small project\n\nIt greets.\n"), ("main.py", "print(\"hello\")\n")];

/// A hermetic home.
#[derive(Debug)]
pub struct Home {
    root: TempDir,
    project: OnceLock<PathBuf>,
    /// The files that may hold a planted key.
    may_hold: Mutex<HashSet<PathBuf>>,
}

impl Home {
    /// An empty one.
    ///
    /// # Panics
    /// When temporary folders cannot be made.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it makes folders: more than a default value should")]
    pub fn new() -> Self {
        let root = tempfile::Builder::new().prefix("codetether-test-").tempdir().expect("cannot make a home");
        let home = Self { root, project: OnceLock::new(), may_hold: Mutex::default() };
        // Where `auth login` keeps keys, for nobody else to read.
        home.may_hold_keys(home.data().join("codetether/keys.toml"));
        for folder in [home.path(), home.config(), home.data(), home.cache(), home.state(), home.temp()] {
            std::fs::create_dir_all(folder).expect("cannot make a folder of the home");
        }
        let system = home.system_config();
        std::fs::create_dir_all(system.parent().expect("a file has a folder")).expect("cannot make a folder");
        std::fs::write(system, "").expect("cannot write the machine's settings");
        home
    }

    /// `HOME`.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// `XDG_CONFIG_HOME`.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.path().join(".config")
    }

    /// The machine's settings, empty: the first in `XDG_CONFIG_DIRS`, so that those of the real machine are not read.
    #[must_use]
    pub fn system_config(&self) -> PathBuf {
        self.root.path().join("etc/codetether/config.toml")
    }

    /// `XDG_DATA_HOME`.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.path().join(".local/share")
    }

    /// `XDG_CACHE_HOME`.
    #[must_use]
    pub fn cache(&self) -> PathBuf {
        self.path().join(".cache")
    }

    /// `XDG_STATE_HOME`.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.path().join(".local/state")
    }

    /// `TMPDIR`.
    fn temp(&self) -> PathBuf {
        self.root.path().join("tmp")
    }

    /// A git repository with `README.md`, `main.py` and one commit, whose id is always the same. The same folder at
    /// each call; it is outside of `HOME`.
    ///
    /// # Panics
    /// When `git` is not there, or fails.
    #[must_use]
    pub fn project(&self) -> PathBuf {
        self.project.get_or_init(|| self.make_project()).clone()
    }

    fn make_project(&self) -> PathBuf {
        let project = self.root.path().join("project");
        std::fs::create_dir(&project).expect("cannot make the project");
        for (name, text) in FILES {
            std::fs::write(project.join(name), text).expect("cannot write the project");
        }
        for args in [
            &["init", "--quiet", "--initial-branch=main"][..],
            &["add", "--all"],
            &["commit", "--quiet", "--message=Start"],
        ] {
            let mut git = self.command("git".as_ref());
            let output = git.args(args).envs(GIT).current_dir(&project).output().expect("cannot start `git`");
            assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        project
    }

    /// The test itself writes a planted key to this file, or has it written there. No other file may hold one.
    pub fn may_hold_keys(&self, file: PathBuf) {
        self.may_hold.lock().unwrap_or_else(PoisonError::into_inner).insert(file);
    }

    /// The program with the environment of this home: `PATH`, folders, an English UTF-8 locale, UTC, no colours, no
    /// git settings, a planted token, and nothing else; in the folder `HOME`, with nothing to read from standard input.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().stdin(Stdio::null()).current_dir(self.path());
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.env("HOME", self.path()).env("TMPDIR", self.temp());
        command.env("XDG_CONFIG_HOME", self.config()).env("XDG_DATA_HOME", self.data());
        command.env("XDG_CONFIG_DIRS", self.root.path().join("etc"));
        command.env("XDG_CACHE_HOME", self.cache()).env("XDG_STATE_HOME", self.state());
        command.env("LANG", "C.UTF-8").env("TZ", "UTC").env("NO_COLOR", "1");
        command.env(planted::VARIABLE, planted::TOKEN);
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        command
    }
}

impl Drop for Home {
    /// Fails the test if a planted key is in a file that should hold none.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let may_hold = self.may_hold.get_mut().unwrap_or_else(PoisonError::into_inner);
        let leaks = planted::leaks(self.root.path(), may_hold);
        assert!(leaks.is_empty(), "{}", leaks.join("\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(command: &mut Command) -> String {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn two_projects_are_the_same_commit() {
        let id = |home: &Home| {
            let mut git = home.command("git".as_ref());
            output(git.args(["rev-parse", "HEAD"]).current_dir(home.project()))
        };
        let (one, other) = (Home::new(), Home::new());
        assert_ne!(one.project(), other.project());
        assert_eq!(one.project(), one.project());
        assert_eq!(id(&one), id(&other));
        let mut git = one.command("git".as_ref());
        assert_eq!(output(git.args(["status", "--porcelain"]).current_dir(one.project())), "");
    }

    #[test]
    fn a_program_sees_only_the_environment_of_the_home() {
        let home = Home::new();
        let shown = output(&mut home.command("env".as_ref()));
        let mut names: Vec<_> =
            shown.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
        names.sort_unstable();
        let wanted = "GIT_CONFIG_GLOBAL GIT_CONFIG_NOSYSTEM HOME LANG NO_COLOR PATH PLANTED_TOKEN TMPDIR TZ \
            XDG_CACHE_HOME XDG_CONFIG_DIRS XDG_CONFIG_HOME XDG_DATA_HOME XDG_STATE_HOME";
        assert_eq!(names.join(" "), wanted);
    }

    #[test]
    fn a_planted_key_in_a_file_fails_the_test_unless_it_may_be_there() {
        let leaks = |name: &str, text: &str, may_hold: bool| {
            let home = Home::new();
            let file = home.state().join(name);
            std::fs::write(&file, text).unwrap();
            if may_hold {
                home.may_hold_keys(file);
            }
            std::panic::catch_unwind(move || drop(home)).is_err()
        };
        let text = format!("key = {}", planted::KEY);
        assert!(leaks("a", &text, false));
        assert!(!leaks("a", &text, true));
        assert!(!leaks("a", "key = none", false));
        assert!(leaks(&planted::TOKEN.replace('/', "%2F"), "", false), "a name tells too");
    }

    #[test]
    fn nothing_is_left_of_a_dropped_home() {
        let home = Home::new();
        let (path, project) = (home.path(), home.project());
        assert!(path.exists() && project.exists());
        drop(home);
        assert!(!path.exists() && !project.exists());
    }
}
