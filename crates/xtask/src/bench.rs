//! `cargo xtask bench`: the figures of the whole program, beside the aims. The measuring is in `benches/program`, which
//! is built like the program itself, so that it does not stand in its own light.

mod local;

use crate::{Failure, process, tools};

/// Measures all figures, or those of the groups named.
pub(crate) fn run(groups: &[String]) -> Result<(), Failure> {
    if let Some((first, kinds)) = groups.split_first()
        && first == "local"
    {
        return local::run(kinds);
    }
    tools::C_COMPILER.ensure()?;
    tools::GIT.ensure()?;
    process::run(process::cargo().args(["build", "--release", "--package", "codetether"]))?;
    let binary = process::target_folder()?.join("release/codetether");
    let mut bench = process::cargo();
    bench.args(["bench", "--quiet", "--package", "xtask", "--bench", "program", "--"]).args(groups);
    process::run(bench.env("CODETETHER_BENCH_BINARY", binary))
}
