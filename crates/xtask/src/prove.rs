//! `cargo xtask prove`: the proofs that take too long for every change. The same tests as always, with many more cases
//! and kills, and each fuzz target for a while; a second opinion on prices; and servers that are not ours.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use clap::{Args, Subcommand};

use crate::failure::At as _;
use crate::{Failure, models, places, process, tools};

mod keys;
mod product;
mod wires;

/// How long to go on.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Extent {
    #[command(subcommand)]
    only: Option<Part>,
    /// Kills of the real binary at random points of a turn.
    #[arg(long, default_value_t = 1_000)]
    kills: u32,
    /// Turns of one session, with processes and children.
    #[arg(long, default_value_t = 2_000)]
    turns: u32,
    /// Cases of each property test.
    #[arg(long, default_value_t = 20_000)]
    cases: u32,
    /// Seconds that each fuzz target runs.
    #[arg(long, default_value_t = 600)]
    fuzz_seconds: u32,
    /// Only tests that nextest's filter selects, such as `test(kill)`.
    #[arg(long, value_name = "EXPRESSION")]
    filter: Option<String>,
}

/// One proof alone.
#[derive(Debug, Clone, Copy, Subcommand)]
enum Part {
    /// Each wire with llama.cpp's server and LiteLLM's proxy, and a small model behind them.
    Wires,
    /// Keys in a real OpenBao and in a real Secret Service.
    Keys,
    /// Masks on the whole sample of MaskBench that is beside the repository, with figures.
    Masks,
}

/// Runs the tests with this extent, checks the prices, speaks to what is not ours, then runs the fuzz targets.
pub(crate) fn run(extent: &Extent) -> Result<(), Failure> {
    match extent.only {
        Some(Part::Wires) => return wires::run(),
        Some(Part::Keys) => return keys::run(),
        Some(Part::Masks) => return masks(),
        None => {}
    }
    tools::C_COMPILER.ensure()?;
    tools::GIT.ensure()?;
    tools::PYTHON.ensure()?;
    let mut tests = Command::new(tools::NEXTEST.get()?);
    tests.args(["nextest", "run", "--workspace", "--profile", "prove"]).current_dir(places::root());
    if let Some(filter) = &extent.filter {
        tests.args(["--filterset", filter]);
    }
    tests.env("CODETETHER_PROVE", "1");
    tests.env("CODETETHER_KILLS", extent.kills.to_string());
    tests.env("CODETETHER_TURNS", extent.turns.to_string());
    tests.env("PROPTEST_CASES", extent.cases.to_string());
    eprintln!("{} kills, {} cases a property", extent.kills, extent.cases);
    process::run(&mut tests)?;
    models::check()?;
    wires::run()?;
    keys::run()?;
    if sample_of_maskbench().is_file() {
        masks()?;
    } else {
        eprintln!("NOT PROVED: masks, as `{}` is not there", sample_of_maskbench().display());
    }
    fuzz(extent.fuzz_seconds)
}

/// What is read at test time and never part of the repository.
fn sample_of_maskbench() -> PathBuf {
    places::root().join("../shared/data/jsonschema/maskbench-sample.jsonl.gz")
}

/// Coverage, wrong verdicts, drawn values and times, on every schema; fails where an aim is missed.
fn masks() -> Result<(), Failure> {
    let sample = sample_of_maskbench();
    if !sample.is_file() {
        return Err(Failure::Missing {
            what: format!("the sample of MaskBench, `{}`", sample.display()),
            fix:
                "put it there: a line each of `{name, split, schema, tests: [{data, valid}]}`, packed by gzip"
                    .into(),
        });
    }
    let mut cargo = process::cargo();
    cargo
        .args(["run", "--release", "--package", "codetether-schema", "--example", "masks", "--"])
        .arg(sample);
    process::run(cargo.current_dir(places::root()))
}

fn fuzz(seconds: u32) -> Result<(), Failure> {
    if !process::quietly(Command::new("rustup").args(["run", "nightly", "rustc", "--version"])) {
        return Err(Failure::Missing {
            what: "the nightly toolchain, which fuzzing needs".into(),
            fix: "`rustup toolchain install nightly --profile minimal` installs it".into(),
        });
    }
    let cargo_fuzz = tools::FUZZ.get()?;
    let nightly = |arguments: &[&str]| {
        let mut command = Command::new("rustup");
        command.args(["run", "nightly"]).arg(&cargo_fuzz).args(arguments);
        // It would build with the toolchain that runs us.
        command.env_remove("CARGO").env_remove("RUSTC").current_dir(places::root());
        command
    };
    let targets = process::text(&mut nightly(&["list"]))?;
    let fuzz = places::root().join("fuzz");
    for target in targets.lines() {
        // What is found goes into the first; the seeds are part of the repository.
        let corpus = fuzz.join("corpus").join(target);
        fs::create_dir_all(&corpus).at("create", &corpus)?;
        let seeds = fuzz.join("seeds").join(target);
        let mut run = nightly(&["run", target]);
        run.arg(&corpus).args(seeds.is_dir().then_some(&seeds));
        let limit = format!("-max_total_time={seconds}");
        process::run(run.args(["--", &limit, "-rss_limit_mb=4096", "-print_final_stats=1"]))?;
    }
    Ok(())
}
