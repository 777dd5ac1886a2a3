//! Trees that are git repositories: blobs are referenced, stay whatever git does, and git notices nothing.

use std::os::unix::fs::symlink;

use codetether_undo::{Content, Entry};

use crate::world::{World, step, undo_all};

/// Snapshots hold `f` of this world as a blob.
fn is_blob(world: &World, path: &str) -> bool {
    let mut undo = world.open("look");
    let id = undo.snapshot().unwrap();
    std::fs::remove_file(world.root().join(path)).unwrap();
    let gone = undo.snapshot().unwrap();
    let changes = undo.changes(&gone, &id).unwrap();
    undo_all(&mut undo, &[codetether_undo::Step { before: id, after: gone }]);
    let entry = changes.into_iter().find(|change| change.path == std::path::Path::new(path)).unwrap().after;
    matches!(entry, Some(Entry::File { content: Content::Sha1(_) | Content::Sha256(_), .. }))
}

fn sample() -> World {
    let world = World::new();
    for n in 0..40 {
        world.write(&format!("d{}/f{n}", n % 5), &format!("line {n}\n").repeat(50));
    }
    world.write("f", &"content\n".repeat(100));
    world.commit();
    world
}

fn changed(world: &World) {
    for n in 0..40 {
        world.write(&format!("d{}/f{n}", n % 5), "changed");
    }
    world.write("f", "changed");
}

#[test]
fn clean_tracked_files_are_blobs_loose_packed_and_in_every_version_of_the_index() {
    for version in ["2", "3", "4"] {
        for is_packed in [false, true] {
            let world = sample();
            world.git(&["update-index", "--index-version", version]);
            if is_packed {
                // A change of a large file, so that there is a delta.
                let large: String = (0..4000).map(|n| format!("{n}\n")).collect();
                world.write("large", &large);
                world.commit();
                world.write("large", &large.replace("\n2000\n", "\nchanged\n"));
                world.commit();
                world.git(&["gc", "-q"]);
            }
            assert!(is_blob(&world, "d1/f1"), "version {version}, packed: {is_packed}");
            let before = world.nodes();
            let mut undo = world.open("s");
            let done = step(&mut undo, || {
                changed(&world);
                world.write("large", "");
            });
            undo_all(&mut undo, &[done]);
            assert!(!world.exists("large") || before.contains_key(std::path::Path::new("large")));
            let mut now = world.nodes();
            now.retain(|path, _| before.contains_key(path));
            assert_eq!(now, before, "version {version}, packed: {is_packed}");
        }
    }
}

#[test]
fn a_repository_that_uses_sha_256_is_understood() {
    let world = World::new();
    world.write("f", "content");
    world.git(&["init", "-q", "--object-format=sha256"]);
    world.commit();
    assert!(is_blob(&world, "f"));
}

#[test]
fn bytes_that_a_filter_changes_are_kept_as_they_are() {
    let world = World::new();
    world.write(".gitattributes", "*.txt text eol=crlf\n*.id ident\n");
    world.write("a.txt", "one\r\ntwo\r\n");
    world.write("b.id", "$Id$\n");
    world.commit();
    std::fs::remove_file(world.root().join("b.id")).unwrap();
    world.git(&["checkout", "b.id"]);
    assert_ne!(world.text("b.id"), "$Id$\n");
    assert!(!is_blob(&world, "a.txt") && !is_blob(&world, "b.id"));
    let before = world.nodes();
    let mut undo = world.open("s");
    let done = step(&mut undo, || {
        world.write("a.txt", "x");
        world.write("b.id", "x");
    });
    undo_all(&mut undo, &[done]);
    assert_eq!(world.nodes(), before);
}

#[test]
fn everything_can_be_taken_back_after_git_forgot_it_or_the_repository_was_removed() {
    for is_packed in [false, true] {
        for harm in ["prune", "remove"] {
            let world = sample();
            if is_packed {
                world.git(&["gc", "-q"]);
            }
            let before = world.nodes();
            let mut undo = world.open("s");
            let done = step(&mut undo, || {
                changed(&world);
                if harm == "remove" {
                    std::fs::remove_dir_all(world.root().join(".git")).unwrap();
                } else {
                    world.git(&["checkout", "-q", "--orphan", "other"]);
                    world.git(&["rm", "-rqf", "."]);
                    world.git(&["commit", "-qm", "nothing", "--allow-empty"]);
                    world.git(&["branch", "-D", "-q", "master"]);
                    world.git(&["reflog", "expire", "--expire=now", "--all"]);
                    world.git(&["gc", "-q", "--prune=now"]);
                }
            });
            undo_all(&mut undo, &[done]);
            assert_eq!(world.nodes(), before, "{harm}, packed: {is_packed}");
        }
    }
}

#[test]
fn what_cannot_be_pinned_is_copied_once_git_drops_it() {
    // The store lies on another file system, and packs are too large to copy: as if every pin failed.
    let world = sample();
    world.git(&["gc", "-q"]);
    let mut undo = world.open("s");
    std::fs::create_dir_all(world.store().join("pins")).unwrap();
    std::fs::remove_dir_all(world.store().join("pins/packs")).unwrap();
    let before = world.nodes();
    let first = undo.snapshot().unwrap();
    std::fs::remove_dir_all(world.root().join(".git/objects")).unwrap();
    // The files are still there: the next snapshot saves what it can no longer refer to.
    undo.snapshot().unwrap();
    changed(&world);
    let after = undo.snapshot().unwrap();
    undo_all(&mut undo, &[codetether_undo::Step { before: first, after }]);
    assert_eq!(world.nodes(), before);
}

#[test]
fn the_users_index_references_and_stash_are_not_touched_and_a_moved_head_is_told() {
    let world = sample();
    world.write("f", "stashed");
    world.git(&["stash"]);
    let mut undo = world.open("s");
    let done = step(&mut undo, || {
        changed(&world);
        world.git(&["commit", "-qam", "by the call"]);
        world.write("staged", "x");
        world.git(&["add", "staged"]);
    });
    let all = |dir: &str| {
        let mut files: Vec<(std::path::PathBuf, Vec<u8>)> = Vec::new();
        let mut todo = vec![world.root().join(".git").join(dir)];
        while let Some(path) = todo.pop() {
            if path.is_dir() {
                todo.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            } else if path.exists() {
                files.push((path.clone(), std::fs::read(&path).unwrap()));
            }
        }
        files.sort();
        files
    };
    let git = |dirs: [&str; 4]| dirs.map(all);
    let before = git(["index", "HEAD", "refs", "logs"]);
    let plan = undo.plan(&[done]).unwrap();
    let moved = plan.head_moved().unwrap();
    assert!(moved.then.starts_with("refs/heads/master ") && moved.then != moved.now, "{moved:?}");
    undo.restore(plan).unwrap();
    assert_eq!(git(["index", "HEAD", "refs", "logs"]), before);
    assert_eq!(world.text("f"), "content\n".repeat(100));
}

#[test]
fn tracked_files_are_kept_though_patterns_name_them() {
    let world = World::new();
    world.write("ignored/tracked", "x");
    world.write("ignored/not/tracked", "x");
    world.write("ignored/small", "x");
    world.git(&["init", "-q"]);
    world.git(&["add", "ignored/tracked"]);
    world.write(".gitignore", "ignored/\n");
    world.write(".git/info/exclude", "hidden/\n");
    world.write("hidden/f", "x");
    let mut undo = world.open("s");
    let done = step(&mut undo, || {
        world.write("ignored/tracked", "changed");
        std::fs::remove_file(world.root().join("ignored/small")).unwrap();
    });
    let mut left_out: Vec<_> = undo.left_out().into_iter().map(|(path, _)| path).collect();
    left_out.sort();
    assert_eq!(left_out, ["hidden", "ignored/not"].map(std::path::PathBuf::from));
    undo_all(&mut undo, &[done]);
    assert_eq!([world.text("ignored/tracked"), world.text("ignored/small")], ["x", "x"]);
}

#[test]
fn a_folder_below_the_top_obeys_the_patterns_above_it_and_refers_to_blobs() {
    let world = World::new();
    world.write(".gitignore", "*.log\n/part/made/\n");
    world.write("part/f", "x");
    world.write("part/made/f", "x");
    world.git(&["init", "-q"]);
    world.git(&["add", "-A"]);
    let options = codetether_undo::Options { root: world.root().join("part"), ..world.options("s") };
    let mut undo = codetether_undo::Undo::open(&options).unwrap();
    let first = undo.snapshot().unwrap();
    assert_eq!(undo.left_out(), [("made".into(), codetether_undo::Why::IgnoredFolder)]);
    world.write("part/f", "y");
    let second = undo.snapshot().unwrap();
    let changes = undo.changes(&first, &second).unwrap();
    assert!(matches!(changes[0].before, Some(Entry::File { content: Content::Sha1(_), .. })), "{changes:?}");
}

#[test]
fn a_linked_worktree_and_a_repository_within_are_understood() {
    let world = sample();
    world.git(&["worktree", "add", "-q", "../linked"]);
    let options =
        codetether_undo::Options { root: world.dir.path().join("linked"), ..world.options("linked") };
    let mut undo = codetether_undo::Undo::open(&options).unwrap();
    let first = undo.snapshot().unwrap();
    std::fs::write(world.dir.path().join("linked/f"), "x").unwrap();
    let second = undo.snapshot().unwrap();
    let changes = undo.changes(&first, &second).unwrap();
    assert!(matches!(changes[0].before, Some(Entry::File { content: Content::Sha1(_), .. })), "{changes:?}");

    world.write("inner/.git/HEAD", "ref: refs/heads/main");
    world.write(".gitignore", "*.log\n");
    world.write("inner/kept.log", &"x".repeat(10));
    world.write("inner/.gitignore", "out/\n");
    world.write("inner/out/f", "x");
    let mut undo = world.open("s");
    undo.snapshot().unwrap();
    assert_eq!(undo.left_out(), [("inner/out".into(), codetether_undo::Why::IgnoredFolder)]);
}

#[test]
fn a_repository_made_to_mislead_only_costs_references() {
    for (path, text) in [
        (".git/index", "DIRC\0\0\0\x02\u{7f}\u{7f}\u{7f}\u{7f}"),
        (".git/objects/info/alternates", "../../../../../../etc\n/proc/self/fd\n.\n"),
        (".git/HEAD", "ref: ../../../etc/passwd"),
        (".git/commondir", "/nonexistent"),
    ] {
        let world = sample();
        world.write(path, text);
        let before = world.nodes();
        let mut undo = world.open("s");
        let done = step(&mut undo, || changed(&world));
        undo_all(&mut undo, &[done]);
        assert_eq!(world.nodes(), before, "{path}");
    }
    // Packs and loose objects that are pipes and links are not waited for nor followed.
    let world = sample();
    world.git(&["gc", "-q"]);
    let pack = world.root().join(".git/objects/pack");
    for entry in std::fs::read_dir(&pack).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.extension().unwrap() == "pack" {
            std::fs::remove_file(&entry).unwrap();
            let made = std::process::Command::new("mkfifo").arg(&entry).status().unwrap();
            assert!(made.success());
        }
    }
    symlink("/etc/passwd", pack.join("pack-x.idx")).unwrap();
    let mut undo = world.open("s");
    let done = step(&mut undo, || changed(&world));
    let plan = undo.plan(&[done]).unwrap();
    assert!(plan.conflicts().iter().all(|conflict| conflict.reason == codetether_undo::Reason::Lost));
}
