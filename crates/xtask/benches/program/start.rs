//! From the start of the process to its first request, and from the last byte to its end.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use codetether_testkit::{Home, Reply, Server};

use crate::agent;
use crate::figure::{Figure, median};

const RUNS: usize = 40;
const FOLDERS: usize = 500;
const FILES_IN_EACH: usize = 100;

pub(crate) fn measure(binary: &Path) -> Vec<Figure> {
    let server = Server::model(|_| Reply::text("done"));
    let small = tempfile::tempdir().unwrap();
    let large = large_repository();

    let home = Home::new();
    let _warm_up = once(binary, &home, &server, small.path());
    let warm: Vec<_> = (0..RUNS).map(|_| once(binary, &home, &server, small.path())).collect();
    let empty: Vec<_> = (0..RUNS).map(|_| once(binary, &Home::new(), &server, small.path())).collect();
    let in_large: Vec<_> = (0..RUNS).map(|_| once(binary, &home, &server, large.path())).collect();

    let to_request = |runs: &[(Duration, Duration)]| median(runs.iter().map(|run| run.0));
    vec![
        Figure::megabytes("the binary", 15.0, std::fs::metadata(binary).unwrap().len()),
        Figure::milliseconds("`--version`", 4.0, version(binary)),
        Figure::milliseconds("start → first request, warm", 10.0, to_request(&warm)),
        Figure::milliseconds("start → first request, empty home", 15.0, to_request(&empty)),
        Figure::milliseconds("start → first request, 50,000-file repository", 15.0, to_request(&in_large)),
        Figure::milliseconds(
            "last byte → exit (request → exit, a little more)",
            5.0,
            median(warm.iter().map(|run| run.1)),
        ),
        Figure::milliseconds("`permissions explain`", 5.0, explain(binary, &home, small.path())),
    ]
}

/// Time from the start to the request, and from there to the exit. The server answers at once, so the latter is little
/// more than the time from the last byte.
fn once(binary: &Path, home: &Home, server: &Server, project: &Path) -> (Duration, Duration) {
    let run = agent::to_end(&mut agent::run(binary, home, server, project));
    let asked = server.requests().last().expect("it asked nothing").at;
    (asked.duration_since(run.begun), run.ended.duration_since(asked))
}

fn version(binary: &Path) -> Duration {
    let mut command = Command::new(binary);
    command.arg("--version").stdout(Stdio::null());
    median((0..RUNS).map(|_| agent::to_end(&mut command).wall()))
}

/// A verdict on a command of several parts, with rules.
fn explain(binary: &Path, home: &Home, project: &Path) -> Duration {
    const PROGRAM: &str = "for f in a b; do git diff \"$f\" | grep -n x > out/$f; done; rm -rf ../y && $X";
    let mut command = home.command(binary);
    command.args(["permissions", "explain", "--json", "--allow", "bash(git diff *)", "--deny", "bash(rm *)"]);
    command.args(["--allow", "edit(out/**)", PROGRAM]).current_dir(project).stdout(Stdio::null());
    median((0..RUNS).map(|_| agent::to_end(&mut command).wall()))
}

fn large_repository() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for outer in 0..FOLDERS {
        let inner = folder.path().join(format!("folder-{outer}"));
        std::fs::create_dir(&inner).unwrap();
        for file in 0..FILES_IN_EACH {
            std::fs::write(inner.join(format!("file-{file}.txt")), "text\n").unwrap();
        }
    }
    let git = Command::new("git").args(["init", "--quiet"]).current_dir(folder.path()).status();
    assert!(git.unwrap().success());
    folder
}
