//! The store keeps within its budget and never takes from a session that is open.

use codetether_undo::{Budget, Error, Store};

use crate::world::{World, step, undo_all};

#[test]
fn the_longest_unused_sessions_go_first_and_open_ones_never() {
    let world = World::new();
    let kib = |n: u8| String::from_utf8(vec![b'a' + n; 10_000]).unwrap();
    let mut steps = Vec::new();
    for n in 0..4 {
        let mut undo = world.open(&format!("old-{n}"));
        world.write("f", &kib(n));
        steps.push(step(&mut undo, || world.write("f", "")));
        let list = world.store().join("sessions").join(format!("old-{n}"));
        let age = std::time::Duration::from_secs(1000 - 100 * u64::from(n));
        std::fs::File::options()
            .append(true)
            .open(list)
            .unwrap()
            .set_modified(std::time::SystemTime::now() - age)
            .unwrap();
    }
    world.write("f", &kib(9));
    let mut open = world.open("open");
    let live = step(&mut open, || world.write("f", "now"));
    let store = Store::open(world.store()).unwrap();
    let plenty = store.collect(Budget { bytes: 1 << 30 }).unwrap();
    assert_eq!((plenty.sessions, plenty.freed), (0, 0));
    let collected = store.collect(Budget { bytes: 33_000 }).unwrap();
    assert_eq!((collected.sessions, collected.was_busy), (2, false));
    assert!(collected.freed >= 20_000 && collected.kept <= 33_000, "{collected:?}");
    let mut later = world.open("later");
    assert!(matches!(later.plan(&[steps[1]]).unwrap_err(), Error::NoSnapshot { .. }));
    assert_eq!(later.plan(&[steps[3]]).unwrap().conflicts().len(), 1);
    let nothing = store.collect(Budget { bytes: 0 }).unwrap();
    assert_eq!(nothing.sessions, 2);
    undo_all(&mut open, &[live]);
    assert_eq!(world.text("f"), kib(9));
}

#[test]
fn a_blob_of_git_stays_pinned_as_long_as_a_session_needs_it() {
    let world = World::new();
    world.write("f", "content");
    world.commit();
    let mut undo = world.open("s");
    let done = step(&mut undo, || std::fs::remove_dir_all(world.root().join(".git")).unwrap());
    world.write("g", "x");
    let second = step(&mut undo, || world.write("f", "changed"));
    let store = Store::open(world.store()).unwrap();
    assert_eq!(store.collect(Budget { bytes: 0 }).unwrap().sessions, 0);
    undo_all(&mut undo, &[done, second]);
    assert_eq!(world.text("f"), "content");
    drop(undo);
    let collected = store.collect(Budget { bytes: 0 }).unwrap();
    assert_eq!((collected.sessions, collected.kept), (1, 0));
}

#[test]
fn a_session_cannot_be_opened_twice_nor_by_a_name_that_leads_out() {
    let world = World::new();
    let _open = world.open("s");
    assert!(matches!(codetether_undo::Undo::open(&world.options("s")).unwrap_err(), Error::Lock(_)));
    for name in ["", "../x", "a/b", "a.lock"] {
        let error = codetether_undo::Undo::open(&world.options(name)).unwrap_err();
        assert!(matches!(error, Error::BadName { .. }), "{name}");
    }
}
