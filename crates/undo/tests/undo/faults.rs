//! Full disks and kills.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use codetether_undo::{Options, SnapshotId, Step, Undo};

use crate::world::{Node, Nodes, World, nodes, step, undo_all};

/// Runs itself again in a process whose files may have 4 KiB at most, which the system treats like a full disk but for
/// the error's number.
#[test]
fn on_a_full_disk_there_is_no_snapshot_and_nothing_is_harmed() {
    const NAME: &str = "faults::on_a_full_disk_there_is_no_snapshot_and_nothing_is_harmed";
    if let Some(dir) = std::env::var_os("TEST_OF_FULL_DISK") {
        let options =
            |session| Options::new(Path::new(&dir).join("store"), Path::new(&dir).join("tree"), session);
        let mut undo = Undo::open(&options("small")).unwrap();
        let error = undo.snapshot().unwrap_err();
        assert!(error.is_full(), "{error}");
        return;
    }
    let world = World::new();
    world.write("small", "0");
    let mut undo = world.open("s");
    let done = step(&mut undo, || world.write("small", "1"));
    world.write("large", &"x".repeat(100_000));
    let run = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -S -f 8; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env("TEST_OF_FULL_DISK", world.dir.path())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let mut other = world.open("small");
    other.snapshot().unwrap();
    undo_all(&mut undo, &[done]);
    assert_eq!((world.text("small"), world.text("large").len()), ("0".to_owned(), 100_000));
}

/// Two trees that differ in every way.
fn first(world: &World) -> Nodes {
    for n in 0..60 {
        world.write(&format!("d{}/f{n}", n % 7), &format!("{n}").repeat(100));
    }
    std::fs::create_dir_all(world.root().join("empty/er")).unwrap();
    world.write("turns/into/a", "file");
    world.write("stays", "x");
    world.nodes()
}

fn second(world: &World) -> Nodes {
    let root = world.root();
    for n in 0..60 {
        match n % 4 {
            0 => world.write(&format!("d{}/f{n}", n % 7), "changed"),
            1 => std::fs::remove_file(root.join(format!("d{}/f{n}", n % 7))).unwrap(),
            2 => world.write(&format!("new{}/f{n}", n % 5), "new"),
            _ => {}
        }
    }
    std::fs::remove_dir_all(root.join("turns")).unwrap();
    std::os::unix::fs::symlink("stays", root.join("turns")).unwrap();
    std::fs::remove_dir_all(root.join("empty")).unwrap();
    world.write("empty", "no folder");
    world.nodes()
}

fn kills() -> u32 {
    std::env::var("CODETETHER_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(40)
}

/// The child goes from one tree to the other and back, without end. Wherever it is killed, the next opening finishes what
/// was begun, and the tree is one of the two.
#[test]
fn a_kill_at_any_point_leaves_an_undo_that_can_be_finished() {
    const NAME: &str = "faults::a_kill_at_any_point_leaves_an_undo_that_can_be_finished";
    if let Some(dir) = std::env::var_os("TEST_OF_KILLS") {
        go_to_and_fro(Path::new(&dir));
    }
    let world = World::new();
    let one = first(&world);
    let mut undo = world.open("keep");
    let mut other = Nodes::new();
    let Step { before, after } = step(&mut undo, || other = second(&world));
    std::fs::write(world.dir.path().join("step"), format!("{before} {after}")).unwrap();
    drop(undo);
    let (mut finished, mut random) = (0, 0x9e37_79b9_7f4a_7c15_u64);
    for kill in 0..kills() {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture"])
            .env("TEST_OF_KILLS", world.dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(
            lines.map_while(Result::ok).any(|line| line.contains("begins now")),
            "the child did not begin"
        );
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Not to wait for anything, but to hit another place each time.
        std::thread::sleep(Duration::from_micros(random >> 32 & 0x7fff));
        child.kill().unwrap();
        child.wait().unwrap();
        let mut undo = world.open("keep");
        finished += u32::from(undo.finish().unwrap().is_some());
        assert!(!undo.is_unfinished().unwrap());
        let now = nodes(&world.root());
        assert!(
            now == one || now == other,
            "kill {kill}: neither tree: {:?}",
            differences(&now, &one, &other)
        );
        undo.snapshot().unwrap();
    }
    assert!(finished > 0, "no kill hit an undo");
}

fn differences<'a>(now: &'a Nodes, one: &'a Nodes, other: &'a Nodes) -> Vec<(&'a Path, Option<&'a Node>)> {
    let all: std::collections::BTreeSet<_> = now.keys().chain(one.keys()).chain(other.keys()).collect();
    let of = |nodes: &'a Nodes, path: &Path| nodes.get(path);
    let strange = all.into_iter().filter(|path| of(now, path) != of(one, path));
    strange.map(|path| (path.as_path(), of(now, path))).collect()
}

fn go_to_and_fro(dir: &Path) -> ! {
    let ids = std::fs::read_to_string(dir.join("step")).unwrap();
    let (before, after) = ids.split_once(' ').unwrap();
    let id = |text: &str| SnapshotId::parse(text).unwrap();
    let step = Step { before: id(before), after: id(after) };
    let options = Options::new(dir.join("store"), dir.join("tree"), "keep");
    let options = Options { durability: codetether_files::Durability::Cached, ..options };
    let mut undo = Undo::open(&options).unwrap();
    let mut out = std::io::stdout();
    writeln!(out, "begins now").unwrap();
    out.flush().unwrap();
    loop {
        let mut plan = undo.plan(&[step]).unwrap();
        if plan.changes().is_empty() {
            plan = undo.plan(&[Step { before: step.after, after: step.before }]).unwrap();
        }
        undo.restore(plan).unwrap();
    }
}
