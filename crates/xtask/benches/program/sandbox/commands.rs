//! One command in a sandbox of its own, one in a sandbox that stands, and a build, each against the same outside.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use codetether_sandbox::{Job, Kept, Mode, Policy, Report};
use codetether_testkit::Home;
use std::os::fd::AsFd as _;

use super::{beyond, time};
use crate::figure::{Aim, Figure};

const RUNS: usize = 100;
const BUILDS: usize = 9;

/// Functions of the crate that is built: about a second's work.
const FUNCTIONS: usize = 1_500;

pub(crate) fn measure(binary: &Path) -> Vec<Figure> {
    let home = Home::new();
    // As on a machine where people work: each of these is a mount of its own inside.
    for cache in [".cargo/registry", ".npm", ".cache/pip", "go/pkg/mod"] {
        fs::create_dir_all(home.path().join(cache)).unwrap();
    }
    vec![alone(binary, &home), kept(binary, &home), build(binary, &home)]
}

fn alone(binary: &Path, home: &Home) -> Figure {
    let project = home.project();
    let mut bare = home.command("true".as_ref());
    let mut confined = home.command(binary);
    confined.args(["sandbox", "run", "--", "true"]);
    let pairs: Vec<_> = (0..RUNS)
        .map(|_| [&mut bare, &mut confined].map(|command| time(|| to_end(command.current_dir(&project)))))
        .collect();
    let (bare, confined): (Vec<_>, Vec<_>) =
        pairs.into_iter().map(|[bare, confined]| (bare, confined)).unzip();
    let added = beyond(&confined, &bare);
    Figure::of_runs("`sandbox run -- true`, more than `true`", Aim::Below(5.0), added, "ms")
}

fn kept(binary: &Path, home: &Home) -> Figure {
    let project = home.project();
    let policy = Policy::new(Mode::WorkspaceWrite, &project).unwrap();
    let kept = Kept::start(binary, &policy).expect("cannot make a sandbox here");
    let null = fs::File::options().read(true).write(true).open("/dev/null").unwrap();
    let job =
        Job { argv: vec!["true".into()], env: Vec::new(), dir: project.clone(), time: None, terminal: false };
    let inside = || {
        let running = kept.spawn(&job, [null.as_fd(), null.as_fd(), null.as_fd()]).unwrap();
        while let Report::Note(_) = is_end(running.next().unwrap()) {}
    };
    let mut bare = home.command("true".as_ref());
    bare.current_dir(&project);
    let pairs: Vec<_> = (0..RUNS).map(|_| (time(|| to_end(&mut bare)), time(inside))).collect();
    let (bare, confined): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let added = beyond(&confined, &bare);
    Figure::of_runs("`true` in a sandbox that stands, more than `true`", Aim::Below(2.0), added, "ms")
}

/// The report, unless it says that the command went wrong.
fn is_end(report: Report) -> Report {
    assert!(matches!(report, Report::Note(_) | Report::Code(0)), "the command ended with {report:?}");
    report
}

fn build(binary: &Path, home: &Home) -> Figure {
    let project = home.project();
    let source: String = (0..FUNCTIONS)
        .map(|n| format!("fn f{n}(v: &[u64]) -> u64 {{ v.iter().map(|x| x.wrapping_mul({n})).fold({n}, u64::wrapping_add) }}\n"))
        .collect();
    let calls: String = (0..FUNCTIONS).map(|n| format!("f{n}(&v), ")).collect();
    let source = format!("{source}fn main() {{ let v = [1, 2, 3]; println!(\"{{}}\", [{calls}].len()); }}\n");
    fs::create_dir_all(project.join("src")).unwrap();
    fs::write(project.join("src/main.rs"), source).unwrap();
    let manifest = "[package]\nname = \"small\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n";
    fs::write(project.join("Cargo.toml"), manifest).unwrap();
    let once = |inside: bool| {
        let target = project.join("target");
        if target.exists() {
            fs::remove_dir_all(&target).unwrap();
        }
        let mut command = if inside { home.command(binary) } else { home.command("cargo".as_ref()) };
        if inside {
            command.args(["sandbox", "run", "--", "cargo"]);
        }
        command.args(["build", "--offline", "--quiet"]).current_dir(&project);
        // Which toolchain there is, is the person's.
        let toolchains =
            std::env::var_os("RUSTUP_HOME").or_else(|| Some(std::env::home_dir()?.join(".rustup").into()));
        command.envs(toolchains.map(|folder| ("RUSTUP_HOME", folder)));
        command.envs(std::env::var_os("RUSTUP_TOOLCHAIN").map(|name| ("RUSTUP_TOOLCHAIN", name)));
        time(|| to_end(&mut command)).as_secs_f64()
    };
    let _to_warm_up = (once(false), once(true));
    let ratios = (0..BUILDS).map(|_| {
        let (outside, inside) = (once(false), once(true));
        (inside / outside - 1.0) * 100.0
    });
    Figure::of_runs(
        "`cargo build` in a sandbox, longer than outside",
        Aim::Below(3.0),
        ratios.collect::<Vec<_>>(),
        "%",
    )
}

/// Runs it to its end, which must be a good one.
fn to_end(command: &mut Command) {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    assert!(status.as_ref().is_ok_and(std::process::ExitStatus::success), "{command:?}: {status:?}");
}
