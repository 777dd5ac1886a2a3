//! The program as it is, in a home of its own, with nothing of the user's environment; and what came of a run of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::failure::At as _;
use crate::{Failure, places, process};

/// The debug binary, and an empty folder with a small project in it.
#[derive(Debug)]
pub(super) struct Product {
    binary: PathBuf,
    /// Everything that the program writes is below it.
    pub(super) folder: PathBuf,
}

/// How a run of the program ended.
#[derive(Debug)]
pub(super) struct Run {
    /// None where a signal ended it.
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Product {
    /// Builds the program with these features of cargo's, and makes a new folder of this name in the cache.
    pub(super) fn build(name: &str, features: &[&str]) -> Result<Self, Failure> {
        let mut build = process::cargo();
        build.args(["build", "--package", "codetether"]);
        if !features.is_empty() {
            build.arg("--features").arg(features.join(","));
        }
        process::run(&mut build)?;
        let binary = process::target_folder()?.join("debug/codetether");
        let folder = places::cache()?.join(format!("prove/{name}-{}", std::process::id()));
        if folder.exists() {
            fs::remove_dir_all(&folder).at("remove", &folder)?;
        }
        let project = folder.join("project");
        fs::create_dir_all(&project).at("create", &project)?;
        for (name, text) in [("README.md", "A project that counts birds.\n"), ("birds.txt", "wren\n")] {
            let path = project.join(name);
            fs::write(&path, text).at("write", &path)?;
        }
        Ok(Self { binary, folder })
    }

    /// The program itself.
    pub(super) fn binary(&self) -> &Path {
        &self.binary
    }

    /// A command in the project that knows this home and the path alone.
    pub(super) fn alone(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("HOME", self.folder.join("home")).current_dir(self.folder.join("project"));
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path))).stdin(Stdio::null());
        command
    }

    /// Removes the folder: nothing in it is of interest any more.
    pub(super) fn remove(&self) -> Result<(), Failure> {
        fs::remove_dir_all(&self.folder).at("remove", &self.folder)
    }
}

impl Run {
    /// Runs it to its end.
    pub(super) fn of(command: &mut Command) -> Result<Self, Failure> {
        command.output().map(Self::from).map_err(process::not_started(command))
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}
