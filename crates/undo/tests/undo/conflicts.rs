//! What the user changed since is the user's.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use codetether_undo::{Choice, Conflict, Plan, Reason};

use crate::world::{World, step, undo_all};

fn told(plan: &Plan) -> Vec<(String, Reason)> {
    plan.conflicts()
        .into_iter()
        .map(|Conflict { path, reason, .. }| (path.to_str().unwrap().to_owned(), reason))
        .collect()
}

#[test]
fn what_the_user_changed_since_is_left_and_told_and_the_rest_is_undone() {
    let world = World::new();
    world.write("ours", "0");
    world.write("both", "0");
    world.write("theirs", "0");
    let mut undo = world.open("s");
    let done = step(&mut undo, || {
        world.write("ours", "1");
        world.write("both", "1");
    });
    world.write("both", "2");
    world.write("theirs", "2");
    let plan = undo.plan(&[done]).unwrap();
    assert_eq!(told(&plan), [("both".to_owned(), Reason::Changed)]);
    undo.restore(plan).unwrap();
    assert_eq!([world.text("ours"), world.text("both"), world.text("theirs")], ["0", "2", "2"]);
}

#[test]
fn a_conflict_is_decided_in_one_of_three_ways() {
    for (choice, f, beside) in
        [(Choice::Keep, "user's", None), (Choice::Take, "0", None), (Choice::Both, "user's", Some("0"))]
    {
        let world = World::new();
        world.write("f", "0");
        let mut undo = world.open("s");
        let done = step(&mut undo, || world.write("f", "1"));
        world.write("f", "user's");
        let now = world.nodes();
        let mut plan = undo.plan(&[done]).unwrap();
        assert!(plan.decide(Path::new("f"), choice));
        assert_eq!(told(&plan), []);
        let undone = undo.restore(plan).unwrap();
        assert_eq!(world.text("f"), f);
        assert_eq!(world.exists("f.snapshot").then(|| world.text("f.snapshot")).as_deref(), beside);
        undo_all(&mut undo, &[undone.step()]);
        assert_eq!(world.nodes(), now, "{choice:?}");
    }
}

#[test]
fn what_a_later_step_did_to_the_users_version_is_taken_back_and_no_more() {
    for (choice, expected) in
        [(None, Some("user's")), (Some(Choice::Keep), Some("user's")), (Some(Choice::Take), None)]
    {
        let world = World::new();
        let mut undo = world.open("s");
        let first = step(&mut undo, || world.write("f", "1"));
        world.write("f", "user's");
        let second = step(&mut undo, || std::fs::remove_file(world.root().join("f")).unwrap());
        let mut plan = undo.plan(&[first, second]).unwrap();
        let [Conflict { now: Some(_), wanted: None, reason: Reason::Changed, .. }] = &plan.conflicts()[..]
        else {
            panic!("{:?}", plan.conflicts())
        };
        if let Some(choice) = choice {
            assert!(plan.decide(Path::new("f"), choice));
        }
        undo.restore(plan).unwrap();
        assert_eq!(world.exists("f").then(|| world.text("f")).as_deref(), expected, "{choice:?}");
    }
}

#[test]
fn what_the_user_did_between_two_steps_stays() {
    let world = World::new();
    world.write("a", "0");
    world.write("b", "0");
    let mut undo = world.open("s");
    let first = step(&mut undo, || world.write("a", "1"));
    world.write("b", "user's");
    let second = step(&mut undo, || world.write("a", "2"));
    undo_all(&mut undo, &[first, second]);
    assert_eq!([world.text("a"), world.text("b")], ["0", "user's"]);
}

#[test]
fn a_file_of_the_users_in_a_folder_that_has_to_go_keeps_the_folder() {
    let world = World::new();
    let mut undo = world.open("s");
    let done = step(&mut undo, || world.write("new/ours", "x"));
    world.write("new/theirs", "x");
    undo_all(&mut undo, &[done]);
    assert!(world.exists("new/theirs") && !world.exists("new/ours"));
}

#[test]
fn a_folder_with_the_users_files_is_not_made_a_file_unless_they_say_so() {
    let world = World::new();
    world.write("it", "a file");
    let mut undo = world.open("s");
    let done = step(&mut undo, || {
        std::fs::remove_file(world.root().join("it")).unwrap();
        world.write("it/ours", "x");
    });
    world.write("it/theirs", "x");
    let now = world.nodes();
    let mut plan = undo.plan(&[done]).unwrap();
    assert_eq!(told(&plan), [("it".to_owned(), Reason::InTheWay)]);
    assert!(plan.decide(Path::new("it"), Choice::Take));
    assert_eq!(told(&plan), []);
    let undone = undo.restore(plan).unwrap();
    assert_eq!(world.text("it"), "a file");
    undo_all(&mut undo, &[undone.step()]);
    assert_eq!(world.nodes(), now);
}

#[test]
fn a_file_of_the_users_where_a_folder_was_stays_until_they_say_so() {
    let world = World::new();
    world.write("it/f", "0");
    world.write("it/g", "0");
    let mut undo = world.open("s");
    let done = step(&mut undo, || std::fs::remove_file(world.root().join("it/f")).unwrap());
    std::fs::remove_dir_all(world.root().join("it")).unwrap();
    world.write("it", "user's");
    let mut plan = undo.plan(&[done]).unwrap();
    assert_eq!(told(&plan), [("it/f".to_owned(), Reason::InTheWay)]);
    assert!(plan.decide(Path::new("it/f"), Choice::Take));
    undo.restore(plan).unwrap();
    assert_eq!(world.text("it/f"), "0");
}

#[test]
fn what_changes_after_the_plan_was_made_is_not_overwritten() {
    let world = World::new();
    world.write("f", "0");
    world.write("g", "0");
    let mut undo = world.open("s");
    let done = step(&mut undo, || {
        world.write("f", "1");
        world.write("g", "1");
    });
    let plan = undo.plan(&[done]).unwrap();
    world.write("f", "while they thought about it");
    let restored = undo.restore(plan).unwrap();
    assert_eq!(restored.left, [PathBuf::from("f")]);
    assert_eq!([world.text("f"), world.text("g")], ["while they thought about it", "0"]);
}

#[test]
fn only_the_files_that_were_asked_for_are_taken_back() {
    let world = World::new();
    for path in ["a/f", "ab", "b"] {
        world.write(path, "0");
    }
    let mut undo = world.open("s");
    let done = step(&mut undo, || {
        for path in ["a/f", "ab", "b"] {
            world.write(path, "1");
        }
    });
    let mut plan = undo.plan(&[done]).unwrap();
    plan.limit_to(&[PathBuf::from("a"), PathBuf::from("b")]);
    undo.restore(plan).unwrap();
    assert_eq!([world.text("a/f"), world.text("ab"), world.text("b")], ["0", "1", "0"]);
}

#[test]
fn no_link_leads_an_undo_out_of_the_tree() {
    let world = World::new();
    let outside = tempfile::tempdir().unwrap();
    world.write("dir/f", "0");
    let mut undo = world.open("s");
    let done = step(&mut undo, || world.write("dir/f", "1"));
    let plan = undo.plan(&[done]).unwrap();
    // After the plan was made, its folder becomes a link to where a file of that name and content lies.
    std::fs::remove_dir_all(world.root().join("dir")).unwrap();
    std::fs::write(outside.path().join("f"), "1").unwrap();
    symlink(outside.path(), world.root().join("dir")).unwrap();
    let restored = undo.restore(plan).unwrap();
    assert_eq!(restored.left, [PathBuf::from("dir/f")]);
    assert_eq!(std::fs::read_to_string(outside.path().join("f")).unwrap(), "1");
}

#[test]
fn what_is_not_kept_does_not_give_way_unasked() {
    let world = World::new();
    world.write("f", "small");
    let policy = codetether_undo::Policy { file_max: 100, ..codetether_undo::Policy::default() };
    let options = codetether_undo::Options { policy, ..world.options("s") };
    let mut undo = codetether_undo::Undo::open(&options).unwrap();
    let done = step(&mut undo, || world.write("f", &"x".repeat(200)));
    let mut plan = undo.plan(&[done]).unwrap();
    assert_eq!(told(&plan), [("f".to_owned(), Reason::NotKept)]);
    assert!(plan.decide(Path::new("f"), Choice::Take));
    undo.restore(plan).unwrap();
    assert_eq!(world.text("f"), "small");
}
