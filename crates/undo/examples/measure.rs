//! Measures snapshots of a real tree: `measure TREE STORE`. With `measure make TREE FILES` it makes a git repository of so
//! many small files first (20 to a folder), packed as a clone would be.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use codetether_undo::{Options, Step, Undo};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["make", tree, files] => make(Path::new(tree), files.parse().unwrap()),
        [tree, store] => measure(Path::new(tree), Path::new(store)),
        _ => println!("measure TREE STORE | measure make TREE FILES"),
    }
}

fn make(tree: &Path, files: usize) {
    for n in 0..files {
        let folder = tree.join(format!("part{}/folder{}", n / 1000, n / 20));
        if n % 20 == 0 {
            std::fs::create_dir_all(&folder).unwrap();
        }
        let text = format!("// file {n}\n").repeat(20 + n % 400);
        std::fs::write(folder.join(format!("file{n}.rs")), text).unwrap();
    }
    std::fs::write(tree.join(".gitignore"), "/target\n*.log\n").unwrap();
    let name = ["-c", "user.name=n", "-c", "user.email=e", "-c", "gc.auto=0"];
    for arguments in [&["init", "-q"][..], &["add", "-A"], &["commit", "-qm", "all"], &["gc", "-q"]] {
        let run = Command::new("git").args(name).args(arguments).current_dir(tree).status().unwrap();
        assert!(run.success());
    }
}

/// The time that passed and the time that processors worked for us: the machine may be busy with other things.
struct Clock(Instant, Duration);

impl Clock {
    fn start() -> Self {
        Self(Instant::now(), work())
    }

    fn read(&self) -> (Duration, Duration) {
        (self.0.elapsed(), work() - self.1)
    }
}

fn work() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
}

fn print(what: &str, (passed, work): (Duration, Duration)) {
    println!("{what:<44} {:>9.2} ms, {:>9.2} ms of processors", ms(passed), ms(work));
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn timed<T>(what: &str, act: impl FnOnce() -> T) -> T {
    let clock = Clock::start();
    let value = act();
    print(what, clock.read());
    value
}

/// The median of nine.
fn median(what: &str, mut act: impl FnMut(usize)) {
    let mut times: Vec<_> = (0..9)
        .map(|n| {
            let clock = Clock::start();
            act(n);
            clock.read()
        })
        .collect();
    times.sort();
    print(what, times[4]);
}

fn measure(tree: &Path, store: &Path) {
    let mut undo = Undo::open(&Options::new(store, tree, "measure")).unwrap();
    let first = timed("the first snapshot", || undo.snapshot().unwrap());
    println!("watched: {}", undo.is_watched());
    // What was read right after it was written settles in the meantime.
    std::thread::sleep(Duration::from_millis(50));
    timed("the second, by scan", || undo.snapshot_by_scan().unwrap());
    median("nothing changed, by scan", |_| {
        undo.snapshot_by_scan().unwrap();
    });
    median("nothing changed, watched", |_| {
        undo.snapshot().unwrap();
    });
    let touched = tree.join("part0/folder3/file60.rs");
    let kept = std::fs::read(&touched).unwrap();
    let change = |n: usize| std::fs::write(&touched, format!("changed {n}\n")).unwrap();
    median("a file changed, watched (the change with it)", |n| {
        change(n);
        undo.snapshot().unwrap();
    });
    median("a file changed, by scan (the change with it)", |n| {
        change(n + 100);
        undo.snapshot_by_scan().unwrap();
    });
    let after = undo.snapshot().unwrap();
    let plan = timed("a plan to undo it", || undo.plan(&[Step { before: first, after }]).unwrap());
    timed("doing it", || undo.restore(plan).unwrap());
    assert_eq!(std::fs::read(&touched).unwrap(), kept);
    drop(undo);
    let mut next = Undo::open(&Options::new(store, tree, "measure-next")).unwrap();
    timed("the first snapshot of the next session", || next.snapshot().unwrap());
    println!("the store: {} bytes", codetether_undo::Store::open(store).unwrap().size().unwrap());
}
