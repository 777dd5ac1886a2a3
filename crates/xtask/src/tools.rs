//! The tools that tasks need: found, or installed, or named in one line with the way to get them.
//!
//! Cargo tools go into the cache directory, never into the user's own `~/.cargo/bin`; system packages are installed
//! only when we are root on a machine with `apt-get`.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::failure::At as _;
use crate::{Failure, places, process};

/// A cargo subcommand that is built from source when it is not there.
#[derive(Debug)]
pub(crate) struct CargoTool {
    /// Package and binary.
    name: &'static str,
    /// The version that is built; a newer or older one on `PATH` is as good where `any_version` is set.
    version: &'static str,
    any_version: bool,
}

/// The test runner.
pub(crate) const NEXTEST: CargoTool =
    CargoTool { name: "cargo-nextest", version: "0.9.151", any_version: true };

/// The judge of dependencies. Its verdicts change with its version, so that one is fixed.
pub(crate) const DENY: CargoTool = CargoTool { name: "cargo-deny", version: "0.20.2", any_version: false };

/// The fuzzer.
pub(crate) const FUZZ: CargoTool = CargoTool { name: "cargo-fuzz", version: "0.13.2", any_version: true };

impl CargoTool {
    /// Path of the binary, after building it if need be.
    pub(crate) fn get(&self) -> Result<PathBuf, Failure> {
        if self.any_version
            && let Some(found) = on_path(self.name)
        {
            return Ok(found);
        }
        let folder =
            places::cache()?.join(format!("tools/{}-{}-{}", self.name, self.version, places::toolchain()?));
        let binary = folder.join("bin").join(self.name);
        if !binary.exists() {
            let _held = places::hold_setup()?;
            if !binary.exists() {
                eprintln!("building {} {} from source, once: some minutes", self.name, self.version);
                let mut install = process::cargo();
                install.args([
                    "install",
                    "--quiet",
                    "--locked",
                    self.name,
                    "--version",
                    self.version,
                    "--root",
                ]);
                // A build folder of the caller's would only fill up with it.
                process::run(install.arg(&folder).env_remove("CARGO_TARGET_DIR"))?;
            }
        }
        Ok(binary)
    }
}

/// A program that comes with the system.
#[derive(Debug)]
pub(crate) struct SystemTool {
    /// What to call it.
    what: &'static str,
    /// A command that ends well when it is there.
    proof: &'static [&'static str],
    /// Debian's packages that hold it.
    packages: &'static [&'static str],
}

/// The version control that tests and the demo work on.
pub(crate) const GIT: SystemTool =
    SystemTool { what: "git", proof: &["git", "--version"], packages: &["git"] };

/// Python with its virtual environments; the model server's wheel needs 3.10.
pub(crate) const PYTHON: SystemTool = SystemTool {
    what: "python3 (3.10 or newer, with venv)",
    proof: &["python3", "-c", "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))"],
    packages: &["python3", "python3-venv"],
};

/// Some dependencies are C.
pub(crate) const C_COMPILER: SystemTool =
    SystemTool { what: "a C compiler", proof: &["cc", "--version"], packages: &["build-essential"] };

/// The engine for local models is C++, built by CMake, …
pub(crate) const CMAKE: SystemTool =
    SystemTool { what: "cmake", proof: &["cmake", "--version"], packages: &["cmake", "g++"] };

/// … and its bindings are made with libclang.
pub(crate) const LIBCLANG: SystemTool = SystemTool {
    what: "clang with libclang",
    proof: &["clang", "--version"],
    packages: &["clang", "libclang-dev"],
};

/// A session bus for one program.
pub(crate) const DBUS: SystemTool =
    SystemTool { what: "dbus-run-session", proof: &["dbus-run-session", "--version"], packages: &["dbus"] };

/// A Secret Service.
pub(crate) const KEYRING: SystemTool = SystemTool {
    what: "gnome-keyring-daemon",
    proof: &["gnome-keyring-daemon", "--version"],
    packages: &["gnome-keyring"],
};

impl SystemTool {
    /// Makes sure that it is there.
    pub(crate) fn ensure(&self) -> Result<(), Failure> {
        if self.is_there() {
            return Ok(());
        }
        if !is_root() || on_path("apt-get").is_none() {
            return Err(self.missing());
        }
        let apt = |arguments: &[&str]| {
            let mut command = Command::new("apt-get");
            command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
            process::run(&mut command)
        };
        apt(&["update", "--quiet"])?;
        apt(&[&["install", "--yes", "--no-install-recommends"], self.packages].concat())?;
        if self.is_there() { Ok(()) } else { Err(self.missing()) }
    }

    fn missing(&self) -> Failure {
        let packages = self.packages.join(" ");
        Failure::Missing {
            what: self.what.into(),
            fix: format!("on Debian or Ubuntu, `apt-get install {packages}` as root installs it"),
        }
    }

    fn is_there(&self) -> bool {
        let [program, arguments @ ..] = self.proof else { return false };
        process::quietly(Command::new(program).args(arguments))
    }
}

/// A Python of our own with one package, what that needs, and nothing else in it. Gives the path of its interpreter.
pub(crate) fn python_with(package: &str, version: &str) -> Result<PathBuf, Failure> {
    let import = format!("import {}", package.replace('-', "_"));
    python_with_all(&format!("{package}-{version}"), &[&format!("{package}=={version}")], &import)
}

/// A Python of our own of this name with these packages, which is good when this statement runs.
pub(crate) fn python_with_all(name: &str, wanted: &[&str], import: &str) -> Result<PathBuf, Failure> {
    let folder = places::cache()?.join(format!("python-{name}"));
    let python = folder.join("bin/python");
    let works = || process::quietly(Command::new(&python).args(["-c", import]));
    if works() {
        return Ok(python);
    }
    let _held = places::hold_setup()?;
    if works() {
        return Ok(python);
    }
    PYTHON.ensure()?;
    if folder.exists() {
        // Half made, or its interpreter went away with an upgrade of the system.
        fs::remove_dir_all(&folder).at("remove", &folder)?;
    }
    process::run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    let pip = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--only-binary=:all:"];
    process::run(Command::new(&python).args(pip).args(wanted))?;
    if works() {
        Ok(python)
    } else {
        Err(Failure::Wrong(format!(
            "`{}` was installed but cannot be imported by `{}`",
            wanted.join(" "),
            python.display()
        )))
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn is_root() -> bool {
    // The effective user, as the kernel tells it to everyone; elsewhere than on Linux nothing is installed.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    ids.and_then(|ids| ids.split_whitespace().nth(1)) == Some("0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_in_one_line_with_the_way_to_get_it() {
        let tool =
            SystemTool { what: "a unicorn", proof: &["no-such-program"], packages: &["horse", "horn"] };
        assert!(!tool.is_there());
        let wanted =
            "a unicorn is missing: on Debian or Ubuntu, `apt-get install horse horn` as root installs it";
        assert_eq!(tool.missing().to_string(), wanted);
    }

    #[test]
    fn a_program_on_the_path_is_found() {
        assert!(on_path("sh").is_some_and(|path| path.is_absolute()));
        assert_eq!(on_path("no-such-program"), None);
    }
}
