//! What a snapshot holds and what it leaves out, and that it comes back.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::time::SystemTime;

use codetether_undo::{Change, Entry, Error, Policy, Step, Undo, Why};

use crate::world::{World, step, undo_all};

fn set_mode(path: PathBuf, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn everything_that_a_call_did_is_taken_back_and_can_be_done_again() {
    let world = World::new();
    let root = world.root();
    world.write("src/main.rs", "fn main() {}\n");
    world.write("src/old.rs", "old");
    world.write("script", "#!/bin/sh\n");
    world.write("becomes-a-folder", "file");
    world.write("becomes-a-file/inside", "x");
    std::fs::create_dir(root.join("empty")).unwrap();
    symlink("src/main.rs", root.join("link")).unwrap();
    let before = world.nodes();
    let mut undo = world.open("s");
    let done = step(&mut undo, || {
        world.write("src/main.rs", "fn main() { todo!() }\n");
        std::fs::rename(root.join("src/old.rs"), root.join("src/new.rs")).unwrap();
        set_mode(root.join("script"), 0o755);
        std::fs::remove_file(root.join("becomes-a-folder")).unwrap();
        world.write("becomes-a-folder/deep/er", "y");
        std::fs::remove_dir_all(root.join("becomes-a-file")).unwrap();
        world.write("becomes-a-file", "now a file");
        std::fs::remove_dir(root.join("empty")).unwrap();
        std::fs::create_dir_all(root.join("new/empty")).unwrap();
        std::fs::remove_file(root.join("link")).unwrap();
        symlink("elsewhere", root.join("link")).unwrap();
        symlink("/etc/passwd", root.join("away")).unwrap();
        world.write("new/file", "new");
    });
    let after = world.nodes();
    assert_ne!(before, after);
    let undone = undo_all(&mut undo, &[done]);
    assert_eq!(world.nodes(), before);
    undo_all(&mut undo, &[undone]);
    assert_eq!(world.nodes(), after);
}

#[test]
fn only_the_last_steps_are_taken_back_when_so_asked() {
    let world = World::new();
    world.write("f", "0");
    let mut undo = world.open("s");
    let steps: Vec<Step> = (1..=3).map(|n| step(&mut undo, || world.write("f", &n.to_string()))).collect();
    undo_all(&mut undo, &steps[1..]);
    assert_eq!(world.text("f"), "1");
}

#[test]
fn what_is_restored_looks_new_to_build_tools() {
    let world = World::new();
    world.write("f", "before");
    let old = SystemTime::now() - std::time::Duration::from_hours(1);
    std::fs::File::open(world.root().join("f")).unwrap().set_modified(old).unwrap();
    let mut undo = world.open("s");
    let done = step(&mut undo, || world.write("f", "after"));
    let changed = std::fs::metadata(world.root().join("f")).unwrap().modified().unwrap();
    undo_all(&mut undo, &[done]);
    assert!(std::fs::metadata(world.root().join("f")).unwrap().modified().unwrap() >= changed);
}

#[test]
fn names_need_not_be_text() {
    use std::os::unix::ffi::OsStrExt;
    let world = World::new();
    let name = world.root().join(std::ffi::OsStr::from_bytes(b"\xff\n \xfe"));
    std::fs::write(&name, "x").unwrap();
    let mut undo = world.open("s");
    let done = step(&mut undo, || std::fs::remove_file(&name).unwrap());
    undo_all(&mut undo, &[done]);
    assert_eq!(std::fs::read(&name).unwrap(), b"x");
}

#[test]
fn a_large_file_is_kept_in_pieces() {
    let world = World::new();
    let large: Vec<u8> = (0..9_000_000_u32).flat_map(u32::to_le_bytes).take(9_000_000).collect();
    std::fs::write(world.root().join("large"), &large).unwrap();
    let mut undo = world.open("s");
    let done = step(&mut undo, || world.write("large", "small now"));
    undo_all(&mut undo, &[done]);
    assert!(std::fs::read(world.root().join("large")).unwrap() == large);
}

#[test]
fn small_ignored_files_are_kept_and_ignored_folders_caches_and_large_files_are_left_out_and_listed() {
    let world = World::new();
    world.write(".gitignore", ".env\n/target/\n*.big\n");
    world.write(".env", "SECRET=1");
    world.write("target/debug/binary", "x");
    world.write("ignored.big", &"x".repeat(200));
    world.write("large", &"x".repeat(2000));
    world.write("cache/CACHEDIR.TAG", "Signature");
    world.write("web/node_modules/left-pad/index.js", "x");
    world.write("kept/file", "x");
    std::os::unix::net::UnixListener::bind(world.root().join("socket")).unwrap();
    let policy = Policy { file_max: 1000, ignored_max: 100, ..Policy::default() };
    let mut undo = Undo::open(&codetether_undo::Options { policy, ..world.options("s") }).unwrap();
    let done = step(&mut undo, || {
        std::fs::remove_file(world.root().join(".env")).unwrap();
        std::fs::remove_dir_all(world.root().join("target")).unwrap();
        std::fs::remove_file(world.root().join("large")).unwrap();
        world.write("build/CACHEDIR.TAG", "new");
        world.write("kept/file", "changed");
    });
    let first = world.open("other");
    let left_out = |undo: &Undo| {
        let mut left_out: Vec<_> =
            undo.left_out().into_iter().map(|(path, why)| (path.to_str().unwrap().to_owned(), why)).collect();
        left_out.sort_by(|a, b| a.0.cmp(&b.0));
        left_out
    };
    assert_eq!(left_out(&first), []);
    let expected = [
        ("build", Why::Generated),
        ("cache", Why::Generated),
        ("ignored.big", Why::IgnoredFile),
        ("socket", Why::Special),
        ("web/node_modules", Why::Generated),
    ];
    assert_eq!(left_out(&undo), expected.map(|(path, why)| (path.to_owned(), why)));
    let plan = undo.plan(&[done]).unwrap();
    let not_kept: Vec<_> =
        plan.not_kept().iter().map(|it| (it.path.to_str().unwrap().to_owned(), it.why)).collect();
    assert_eq!(
        not_kept,
        [
            ("build".to_owned(), Why::Generated),
            ("large".to_owned(), Why::TooLarge),
            ("target".to_owned(), Why::IgnoredFolder)
        ]
    );
    undo.restore(plan).unwrap();
    assert_eq!((world.text(".env"), world.text("kept/file")), ("SECRET=1".to_owned(), "x".to_owned()));
    assert!(world.exists("build/CACHEDIR.TAG"));
}

#[test]
fn changed_patterns_hold_from_the_next_snapshot_on() {
    let world = World::new();
    world.write("out/made", "x");
    world.write("deep/out/made", "x");
    let mut undo = world.open("s");
    undo.snapshot().unwrap();
    assert_eq!(undo.left_out(), []);
    world.write(".gitignore", "out/\n");
    undo.snapshot().unwrap();
    let mut left_out = undo.left_out();
    left_out.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(
        left_out,
        [(PathBuf::from("deep/out"), Why::IgnoredFolder), (PathBuf::from("out"), Why::IgnoredFolder)]
    );
    world.write(".gitignore", "/out/\n");
    undo.snapshot().unwrap();
    assert_eq!(undo.left_out(), [(PathBuf::from("out"), Why::IgnoredFolder)]);
}

#[test]
fn a_store_within_the_tree_is_no_part_of_it() {
    let world = World::new();
    world.write("f", "x");
    let options = codetether_undo::Options { store: world.root().join("data/undo"), ..world.options("s") };
    let mut undo = Undo::open(&options).unwrap();
    undo.snapshot().unwrap();
    assert_eq!(undo.left_out(), [(PathBuf::from("data/undo"), Why::Store)]);
}

#[test]
fn a_snapshot_of_what_did_not_change_is_the_same_one_and_changes_are_told_by_path() {
    let world = World::new();
    world.write("a/f", "1");
    let mut undo = world.open("s");
    let first = undo.snapshot().unwrap();
    assert_eq!(undo.snapshot().unwrap(), undo.snapshot_by_scan().unwrap());
    world.write("a/f", "1");
    let touched = undo.snapshot().unwrap();
    assert_eq!(undo.changes(&first, &touched).unwrap(), []);
    world.write("a/f", "22");
    let second = undo.snapshot().unwrap();
    let changes = undo.changes(&first, &second).unwrap();
    let [Change { path, before: Some(before), after: Some(after @ Entry::File { size: 2, .. }) }] =
        &changes[..]
    else {
        panic!("{changes:?}")
    };
    assert_eq!(path, std::path::Path::new("a/f"));
    assert_eq!(undo.content(path, before).unwrap(), b"1");
    assert_eq!(undo.content(path, after).unwrap(), b"22");
}

#[test]
fn the_next_session_reads_only_what_changed() {
    let world = World::new();
    world.write("a/f", "1");
    world.write("a/g", "2");
    let mut first = world.open("first");
    first.snapshot().unwrap();
    // Once the clock has gone on, what was read can be gone by.
    let settled = || {
        world.write("clock", "x");
        std::fs::metadata(world.root().join("clock")).unwrap().modified().unwrap()
    };
    let start = settled();
    while settled().duration_since(start).unwrap().as_millis() < 60 {}
    std::fs::remove_file(world.root().join("clock")).unwrap();
    let id = first.snapshot_by_scan().unwrap();
    first.close().unwrap();
    // A file that is not read need not be readable: its stat is all that is asked for. Root may read all, so the content
    // in the store goes instead.
    std::fs::remove_dir_all(world.store().join("objects")).unwrap();
    let mut second = world.open("second");
    assert_eq!(second.snapshot().unwrap(), id);
    let objects = walk(&world.store().join("objects"));
    assert_eq!(objects, 0, "files were read again");
    // And what it learnt is what is kept already.
    let kept = || {
        let roots = std::fs::read_dir(world.store().join("roots")).unwrap();
        let stats: Vec<_> =
            roots.map(|root| root.unwrap().path().join("stats").metadata().unwrap()).collect();
        stats.iter().map(|stats| (stats.ino(), stats.ctime(), stats.ctime_nsec())).collect::<Vec<_>>()
    };
    let before = kept();
    second.close().unwrap();
    assert_eq!(kept(), before);
    let mut third = world.open("third");
    world.write("a/f", "changed");
    third.snapshot().unwrap();
    assert_ne!(kept(), before);
}

fn walk(dir: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries.map(|entry| if entry.path().is_dir() { walk(&entry.path()) } else { 1 }).sum()
}

#[test]
fn a_tree_that_is_too_large_is_refused() {
    let world = World::new();
    for n in 0..20 {
        world.write(&format!("f{n}"), "x");
    }
    let policy = Policy { entries_max: 10, ..Policy::default() };
    let mut undo = Undo::open(&codetether_undo::Options { policy, ..world.options("s") }).unwrap();
    assert!(matches!(undo.snapshot().unwrap_err(), Error::TooMany { max: 10, .. }));
}

#[test]
fn a_folder_that_is_swapped_for_another_is_seen_by_the_watch() {
    let world = World::new();
    let root = world.root();
    world.write("a/sub/f", "in a");
    world.write("b/sub/f", "in b");
    let mut undo = world.open("s");
    let before = world.nodes();
    assert!({
        undo.snapshot().unwrap();
        undo.is_watched()
    });
    let first = step(&mut undo, || {
        std::fs::rename(root.join("a"), root.join("c")).unwrap();
        std::fs::rename(root.join("b"), root.join("a")).unwrap();
        std::fs::rename(root.join("c"), root.join("b")).unwrap();
    });
    // Each is watched under the name that it has now.
    let second = step(&mut undo, || world.write("a/sub/f", "changed, was in b"));
    let third = step(&mut undo, || {
        std::fs::remove_dir_all(root.join("b")).unwrap();
        world.write("b/sub/f", "a new one");
    });
    let fourth = step(&mut undo, || world.write("b/sub/f", "and changed"));
    let (told, seen) = (undo.snapshot().unwrap(), undo.snapshot_by_scan().unwrap());
    assert_eq!(undo.changes(&told, &seen).unwrap(), []);
    undo_all(&mut undo, &[first, second, third, fourth]);
    assert_eq!(world.nodes(), before);
}
