//! Random histories of what agents and users do, and that undo is exact: 64 of them, in the long proofs as many as
//! `PROPTEST_CASES` says.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use codetether_undo::{Choice, Step};
use proptest::prelude::*;

use crate::world::{Node, Nodes, World, nodes};

#[derive(Debug, Clone)]
enum Act {
    Write(PathBuf, Vec<u8>),
    Append(PathBuf, u8),
    Rename(PathBuf, PathBuf),
    Chmod(PathBuf, u32),
    Delete(PathBuf),
    Link(PathBuf, String),
    Folder(PathBuf),
    /// Rewritten with the content that it has.
    Touch(PathBuf),
}

/// Who does it.
#[derive(Debug, Clone)]
enum Deed {
    Call(Vec<Act>),
    User(Vec<Act>),
}

fn path() -> impl Strategy<Value = PathBuf> {
    // Names that sort before and after `/`, so that folders do not come beside what is in them.
    prop::collection::vec(prop::sample::select(vec!["a", "b", "a.b", "a0"]), 1..=3)
        .prop_map(|names| names.iter().collect())
}

fn act() -> impl Strategy<Value = Act> {
    let text = prop::collection::vec(0_u8..4, 0..4);
    let mode = prop::sample::select(vec![0o644, 0o600, 0o755, 0o700, 0o444, 0o555, 0o500]);
    prop_oneof![
        4 => (path(), text).prop_map(|(path, text)| Act::Write(path, text)),
        2 => (path(), any::<u8>()).prop_map(|(path, byte)| Act::Append(path, byte)),
        3 => (path(), path()).prop_map(|(from, to)| Act::Rename(from, to)),
        2 => (path(), mode).prop_map(|(path, mode)| Act::Chmod(path, mode)),
        3 => path().prop_map(Act::Delete),
        1 => (path(), "[a-c./]{1,6}").prop_map(|(path, target)| Act::Link(path, target)),
        2 => path().prop_map(Act::Folder),
        1 => path().prop_map(Act::Touch),
    ]
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    prop::collection::vec(act(), 1..6)
}

/// What cannot be done is not: the history is what happens. Links are not followed, as that could lead out.
fn perform(root: &Path, acts: &[Act]) {
    let is_real = |path: &Path| path.ancestors().skip(1).all(|folder| !root.join(folder).is_symlink());
    for act in acts {
        let (Act::Write(path, _)
        | Act::Append(path, _)
        | Act::Rename(path, _)
        | Act::Chmod(path, _)
        | Act::Delete(path)
        | Act::Link(path, _)
        | Act::Folder(path)
        | Act::Touch(path)) = act;
        if !is_real(path) {
            continue;
        }
        let at = root.join(path);
        let make_room = || {
            let _ = std::fs::create_dir_all(at.parent().unwrap());
        };
        match act {
            Act::Write(_, text) if !at.is_symlink() => {
                make_room();
                let _ = std::fs::write(&at, text);
            }
            Act::Append(_, byte) if at.is_file() && !at.is_symlink() => {
                let file = std::fs::File::options().append(true).open(&at);
                let _ = file.map(|mut file| std::io::Write::write_all(&mut file, &[*byte]));
            }
            Act::Rename(_, to) if is_real(to) => {
                let _ = std::fs::rename(&at, root.join(to));
            }
            Act::Chmod(_, mode) if !at.is_symlink() => {
                // Nobody but root could take a folder apart that may not be entered.
                let mode = if at.is_dir() { mode | 0o700 } else { *mode };
                let _ = std::fs::set_permissions(&at, std::fs::Permissions::from_mode(mode));
            }
            Act::Delete(_) => {
                let _ = if at.is_dir() && !at.is_symlink() {
                    std::fs::remove_dir_all(&at)
                } else {
                    std::fs::remove_file(&at)
                };
            }
            Act::Link(_, target) => {
                make_room();
                let _ = symlink(target, &at);
            }
            Act::Folder(_) => {
                let _ = std::fs::create_dir_all(&at);
            }
            Act::Touch(_) if at.is_file() && !at.is_symlink() => {
                let _ = std::fs::read(&at).and_then(|text| std::fs::write(&at, text));
            }
            _ => {}
        }
    }
}

fn config() -> ProptestConfig {
    let config =
        ProptestConfig { failure_persistence: None, max_shrink_iters: 2_000, ..ProptestConfig::default() };
    // Each writes real trees: of many thousands of cases a twentieth part is enough.
    match std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse::<u32>().ok()) {
        Some(cases) => ProptestConfig { cases: (cases / 20).max(64), ..config },
        None => ProptestConfig { cases: 64, ..config },
    }
}

/// A tree to begin with, and whether it is a repository.
fn world(start: &[Act], is_repository: bool) -> World {
    let world = World::new();
    perform(&world.root(), start);
    if is_repository {
        world.commit();
    }
    world
}

/// What undo owes: every path of a step is taken back while it is as the step left it. In the error it is how far that
/// went until a change of the user's came.
fn owed(now: &Nodes, steps: &[(Nodes, Nodes)], path: &Path) -> Result<Option<Node>, Option<Node>> {
    let mut state = now.get(path);
    for (before, after) in steps.iter().rev() {
        let (before, after) = (before.get(path), after.get(path));
        if before == after || state == before {
            continue;
        }
        let folders = [state, before].iter().all(|node| matches!(node, Some(Node::Folder { .. })));
        if state == after {
            state = before;
        } else if !folders {
            return Err(state.cloned());
        }
    }
    Ok(state.cloned())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn without_a_user_every_step_can_be_taken_back_and_done_again(
        start in acts(),
        calls in prop::collection::vec(acts(), 1..6),
        is_repository in any::<bool>(),
        to in any::<prop::sample::Index>(),
    ) {
        let world = world(&start, is_repository);
        let mut undo = world.open("s");
        let (mut steps, mut trees) = (Vec::new(), vec![world.nodes()]);
        for acts in &calls {
            let before = undo.snapshot().unwrap();
            perform(&world.root(), acts);
            let after = undo.snapshot().unwrap();
            steps.push(Step { before, after });
            trees.push(world.nodes());
            // What the kernel told is what a scan sees.
            let seen = undo.snapshot_by_scan().unwrap();
            prop_assert_eq!(undo.changes(&after, &seen).unwrap(), []);
        }
        let to = to.index(steps.len());
        let plan = undo.plan(&steps[to..]).unwrap();
        prop_assert_eq!(plan.conflicts(), []);
        let undone = undo.restore(plan).unwrap();
        prop_assert!(undone.left.is_empty());
        prop_assert_eq!(&world.nodes(), &trees[to]);
        let plan = undo.plan(&[undone.step()]).unwrap();
        prop_assert_eq!(plan.conflicts(), []);
        undo.restore(plan).unwrap();
        prop_assert_eq!(&world.nodes(), trees.last().unwrap());
    }

    #[test]
    fn what_the_user_changed_is_never_lost(
        start in acts(),
        deeds in prop::collection::vec(prop_oneof![2 => acts().prop_map(Deed::Call), 1 => acts().prop_map(Deed::User)], 1..7),
        is_repository in any::<bool>(),
        takes in any::<bool>(),
    ) {
        let world = world(&start, is_repository);
        let mut undo = world.open("s");
        let (mut steps, mut trees) = (Vec::new(), Vec::new());
        for deed in &deeds {
            match deed {
                Deed::User(acts) => perform(&world.root(), acts),
                Deed::Call(acts) => {
                    let before = (undo.snapshot().unwrap(), world.nodes());
                    perform(&world.root(), acts);
                    let after = (undo.snapshot().unwrap(), world.nodes());
                    steps.push(Step { before: before.0, after: after.0 });
                    trees.push((before.1, after.1));
                }
            }
        }
        let now = world.nodes();
        let mut plan = undo.plan(&steps).unwrap();
        if takes {
            // One decision may settle or raise others.
            for _ in 0..100 {
                let Some(conflict) = plan.conflicts().into_iter().next() else { break };
                prop_assert!(plan.decide(&conflict.path, Choice::Take), "{:?}", conflict);
            }
            prop_assert_eq!(plan.conflicts(), []);
        }
        let conflicts = plan.conflicts();
        let undone = undo.restore(plan).unwrap();
        prop_assert_eq!(&undone.left, &Vec::<PathBuf>::new());
        let then = nodes(&world.root());
        if !takes {
            let paths: std::collections::BTreeSet<&PathBuf> = now.keys().chain(then.keys()).chain(trees.iter().flat_map(|(before, _)| before.keys())).collect();
            for path in paths {
                let got = then.get(path);
                let is_told = conflicts.iter().any(|conflict| conflict.path == *path);
                let is_folder = matches!(got, Some(Node::Folder { .. }));
                match owed(&now, &trees, path) {
                    Err(reached) => {
                        let is_right = got == reached.as_ref() || got == now.get(path) || is_folder;
                        prop_assert!(is_told && is_right, "{:?}: {:?}", path, got);
                    }
                    Ok(owed) if owed.as_ref() == got => {}
                    // Folders stay and come back for what is in them.
                    Ok(_) => prop_assert!(is_folder || is_told && got == now.get(path), "{:?}: {:?}", path, got),
                }
            }
        }
        // Whatever it was, the undo of it brings back all that was there.
        let plan = undo.plan(&[undone.step()]).unwrap();
        prop_assert_eq!(plan.conflicts(), []);
        undo.restore(plan).unwrap();
        prop_assert_eq!(nodes(&world.root()), now);
    }
}
