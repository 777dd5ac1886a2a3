//! `cargo xtask test`: sets up what the tests need and passes all of them, through nextest and rustdoc.

use std::process::Command;

use crate::{Failure, engine, places, process, tools};

/// What the line holds in which nextest sums up.
pub(crate) const SUMMARY: &str = "Summary [";

/// Runs all tests.
pub(crate) fn run() -> Result<(), Failure> {
    tools::C_COMPILER.ensure()?;
    tools::GIT.ensure()?;
    tools::PYTHON.ensure()?;
    let nextest = tools::NEXTEST.get()?;
    let profile = if places::in_ci() { "ci" } else { "default" };
    let mut tests = Command::new(nextest);
    tests.args(["nextest", "run", "--workspace", "--profile", profile]).current_dir(places::root());
    process::run(&mut tests)?;
    // nextest does not run the examples in the documentation.
    process::run(process::cargo().args(["test", "--quiet", "--doc", "--workspace"]))?;
    engine::run()
}
