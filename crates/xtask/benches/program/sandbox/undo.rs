//! Snapshots of a large repository, as `git clone` leaves one: what is committed lies in a pack.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use codetether_testkit::Home;
use codetether_undo::{Options, Undo};

use crate::figure::Figure;

use super::time;

const RUNS: usize = 5;
const AGAIN: usize = 20;
const FOLDERS: usize = 1_000;
const FILES_IN_EACH: usize = 50;

pub(crate) fn measure(_: &Path) -> Vec<Figure> {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    repository(root);
    let (mut first, mut watched, mut scanned) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..RUNS {
        let store = tempfile::tempdir().unwrap();
        let mut undo = Undo::open(&Options::new(store.path(), root, "bench")).unwrap();
        first.push(time(|| _ = undo.snapshot().unwrap()));
        assert!(undo.is_watched(), "this machine lets a program watch too few folders");
        for again in 0..AGAIN {
            let change = |of: &str| {
                let file = root.join(format!("folder-{}/file-{again}.txt", again * 7));
                fs::write(file, format!("{of} {run} {again}\n")).unwrap();
            };
            change("watched");
            watched.push(time(|| _ = undo.snapshot().unwrap()));
            change("scanned");
            scanned.push(time(|| _ = undo.snapshot_by_scan().unwrap()));
        }
    }
    let of = |what, below: f64, runs: Vec<Duration>| Figure::milliseconds_of(what, below, runs);
    vec![
        of("first snapshot of 50,000 files", 1_500.0, first),
        of("another snapshot of them, watched", 30.0, watched),
        of("another snapshot of them, by a scan", 150.0, scanned),
    ]
}

fn repository(root: &Path) {
    let home = Home::new();
    for outer in 0..FOLDERS {
        let inner = root.join(format!("folder-{outer}"));
        fs::create_dir_all(&inner).unwrap();
        for file in 0..FILES_IN_EACH {
            let text = format!("{outer} {file}\n").repeat(1 + (outer * 31 + file * 17) % 200);
            fs::write(inner.join(format!("file-{file}.txt")), text).unwrap();
        }
    }
    let author = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "gc.auto=0"];
    for arguments in [
        &["init", "--quiet"][..],
        &["add", "--all"],
        &["commit", "--quiet", "--message=Start"],
        &["gc", "--quiet"],
    ] {
        let mut git: Command = home.command("git".as_ref());
        let status = git.args(author).args(arguments).current_dir(root).status();
        assert!(status.is_ok_and(|status| status.success()), "git {arguments:?} failed");
    }
}
