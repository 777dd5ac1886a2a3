//! The release binary with its engine, in a home of its own: no key, no server, and, where it can be had, no network.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::At as _;
use crate::{Failure, places, process, tools};

/// The model that does work.
pub(crate) const MODEL: &str = "qwen2.5-coder-1.5b-instruct";

/// The model that shows that an engine runs.
pub(crate) const TINY: &str = "smollm2-135m-instruct";

/// Builds the program as it is shipped, with the engine, and gives its path.
pub(crate) fn build() -> Result<PathBuf, Failure> {
    tools::C_COMPILER.ensure()?;
    tools::CMAKE.ensure()?;
    tools::LIBCLANG.ensure()?;
    let mut build = process::cargo();
    if places::in_ci() {
        // What is looked at there is no matter of speed, and this takes half the time.
        build.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    }
    process::run(build.args(["build", "--release", "--package", "codetether", "--features", "local"]))?;
    Ok(process::target_folder()?.join("release/codetether"))
}

/// A home for the program.
#[derive(Debug)]
pub(crate) struct Home {
    binary: PathBuf,
    folder: PathBuf,
}

impl Home {
    /// An empty one in this folder. Its models are those of the cache directory, which all homes share.
    pub(crate) fn new(binary: &Path, folder: &Path) -> Result<Self, Failure> {
        let data = folder.join("data/codetether");
        fs::create_dir_all(&data).at("create", &data)?;
        let shared = places::cache()?.join("weights");
        fs::create_dir_all(&shared).at("create", &shared)?;
        let models = data.join("models");
        std::os::unix::fs::symlink(&shared, &models).at("link", &models)?;
        Ok(Self { binary: binary.to_owned(), folder: folder.to_owned() })
    }

    /// Where its sessions and models are.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The file of a model that was fetched.
    pub(crate) fn weights(&self, model: &str) -> PathBuf {
        self.data().join(format!("codetether/models/{model}.gguf"))
    }

    /// The program, with neither the user's settings and sessions nor keys of theirs.
    pub(crate) fn command(&self) -> Command {
        self.within(Command::new(&self.binary))
    }

    /// The same in a network of its own that reaches nothing, where this system lets a user have one.
    pub(crate) fn command_offline(&self) -> (Command, bool) {
        if !process::quietly(Command::new("unshare").args(["--user", "--map-root-user", "--net", "true"])) {
            return (self.command(), false);
        }
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-current-user", "--net", "--"]).arg(&self.binary);
        (self.within(command), true)
    }

    fn within(&self, mut command: Command) -> Command {
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CODETETHER_") || text.ends_with("_API_KEY") || text.ends_with("_BASE_URL") {
                command.env_remove(&name);
            }
        }
        for (name, place) in [("DATA", "data"), ("CONFIG", "config"), ("STATE", "state"), ("CACHE", "cache")]
        {
            command.env(format!("XDG_{name}_HOME"), self.folder.join(place));
        }
        command
    }

    /// Fetches a model, once for all homes.
    pub(crate) fn pull(&self, model: &str) -> Result<(), Failure> {
        let _held = places::hold_setup()?;
        process::run(self.command().args(["models", "pull", model]))
    }
}
