//! `cargo xtask ci`: everything that must hold before a change is taken. Each step runs even when an earlier one
//! failed, so that one run shows all there is to mend; the table at the end says what each took.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::failure::At as _;
use crate::{Failure, deny, places, process, test, tools};

/// A build folder that many clones have shared is thrown away when it has grown beyond this.
const LARGEST_BUILD_FOLDER: u64 = 20_000_000_000;

/// Runs every step, prints what each took, and fails if any failed.
pub(crate) fn run() -> Result<(), Failure> {
    tools::C_COMPILER.ensure()?;
    tools::GIT.ensure()?;
    tools::PYTHON.ensure()?;
    let build_folder = build_folder()?;
    eprintln!("ci: building in {}", build_folder.display());
    let cargo = |arguments: &[&str]| {
        let mut command = process::cargo();
        command.args(arguments).env("CARGO_TARGET_DIR", &build_folder);
        command
    };
    // Asked before the first build, which may put a new file in the place of the one that runs.
    let this_program = env::current_exe().at("find", Path::new("xtask"))?;
    let nested = |task: &[&str]| {
        let mut command = Command::new(&this_program);
        command.args(task).env("CARGO_TARGET_DIR", &build_folder).env("CI", "true");
        command
    };

    let mut report = Report::default();
    report.step("format", || process::run(&mut cargo(&["fmt", "--all", "--", "--check"])));
    report.step("clippy", || {
        process::run(&mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    });
    let mut tests = None;
    report.step("test", || {
        tests = process::run_and_find(&mut nested(&["test"]), test::SUMMARY)?;
        Ok(())
    });
    report.step("doc", || {
        let mut command = cargo(&["doc", "--no-deps", "--workspace"]);
        process::run(command.env("RUSTDOCFLAGS", "-D warnings"))
    });
    let mut advisories = None;
    report.step("deny", || {
        advisories = Some(deny::run()?);
        Ok(())
    });
    report.step("demo --smoke", || process::run(&mut nested(&["demo", "--smoke"])));

    eprintln!("\n{}", report.table());
    if let Some(advisories) = advisories {
        eprintln!("{advisories}");
    }
    if let Some(tests) = tests {
        eprintln!("{tests}");
    }
    report.verdict().map(|line| eprintln!("{line}"))
}

/// What the environment says, or a folder in the cache that every clone shares, so that a fresh one compiles only
/// the workspace's own crates.
fn build_folder() -> Result<PathBuf, Failure> {
    let folder = match env::var_os("CARGO_TARGET_DIR").filter(|value| !value.is_empty()) {
        Some(given) => places::root().join(given),
        None => places::cache()?.join(format!("target-{}", places::toolchain()?)),
    };
    let size = size(&folder);
    if size > LARGEST_BUILD_FOLDER {
        eprintln!("ci: `{}` has grown to {} GB: emptying it", folder.display(), size / 1_000_000_000);
        fs::remove_dir_all(&folder).at("remove", &folder)?;
    }
    fs::create_dir_all(&folder).at("create", &folder)?;
    Ok(folder)
}

/// Bytes of all files below; what cannot be read counts nothing.
fn size(folder: &Path) -> u64 {
    let mut sum = 0_u64;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                folders.push(entry.path());
            } else {
                sum = sum.saturating_add(metadata.len());
            }
        }
    }
    sum
}

/// What became of each step.
#[derive(Debug, Default)]
struct Report {
    steps: Vec<(&'static str, Duration, Result<(), String>)>,
}

impl Report {
    fn step(&mut self, name: &'static str, run: impl FnOnce() -> Result<(), Failure>) {
        eprintln!("\n== {name}");
        let begun = Instant::now();
        let result = run().map_err(|failure| failure.to_string());
        if let Err(failure) = &result {
            eprintln!("== {name}: {failure}");
        }
        self.steps.push((name, begun.elapsed(), result));
    }

    fn table(&self) -> String {
        let mut table = String::new();
        for (name, took, result) in &self.steps {
            let outcome = match result {
                Ok(()) => "passed",
                Err(failure) => &format!("FAILED: {failure}"),
            };
            table.push_str(&format!("{name:<14}{:>8.1} s  {outcome}\n", took.as_secs_f64()));
        }
        let all: Duration = self.steps.iter().map(|(_, took, _)| took).sum();
        table.push_str(&format!("{:<14}{:>8.1} s\n", "all", all.as_secs_f64()));
        table
    }

    fn verdict(&self) -> Result<String, Failure> {
        let failed: Vec<_> =
            self.steps.iter().filter(|(_, _, result)| result.is_err()).map(|(name, _, _)| *name).collect();
        if failed.is_empty() {
            return Ok(format!("ci: {} steps passed", self.steps.len()));
        }
        let all = self.steps.len();
        Err(Failure::Wrong(format!("ci: {} of {all} steps failed: {}", failed.len(), failed.join(", "))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failed_step_fails_the_run_and_the_others_still_run() {
        let mut report = Report::default();
        report.step("first", || Ok(()));
        report.step("second", || Err(Failure::Wrong("no".into())));
        report.step("third", || Ok(()));
        assert_eq!(report.verdict().unwrap_err().to_string(), "ci: 1 of 3 steps failed: second");
        let table = report.table();
        let outcomes: Vec<_> = table.lines().map(|line| line.split(" s").last().unwrap().trim()).collect();
        assert_eq!(outcomes, ["passed", "FAILED: no", "passed", ""]);
    }

    #[test]
    fn a_run_without_failures_says_how_many_steps_passed() {
        let mut report = Report::default();
        report.step("only", || Ok(()));
        assert_eq!(report.verdict().unwrap(), "ci: 1 steps passed");
    }

    #[test]
    fn the_size_of_a_folder_is_that_of_all_files_below() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        fs::write(folder.path().join("a/b/c"), "123").unwrap();
        fs::write(folder.path().join("d"), "4567").unwrap();
        assert_eq!(size(folder.path()), 7);
    }
}
