//! Whether an attempt got through, looked at from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::attempt::{Attempt, Judge};
use crate::run::{self, Outcome, Program};
use crate::scene::Scene;
use crate::{processes_seen, tree};

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It did what it was after.
    Through,
    /// It did not.
    Blocked,
    /// Nothing ran, so nothing was proven.
    NotRun,
}

/// What was there before.
enum Before {
    Nothing,
    Tree(BTreeMap<PathBuf, String>),
    Path(PathBuf, String),
    Victim(String),
}

/// Runs an attempt, and what the host does after it. What it printed is for who reads the failure.
pub(crate) fn judge(scene: &Scene<'_>, attempt: &Attempt) -> (Verdict, String) {
    let mut log = String::new();
    if !attempt.before.is_empty() {
        let output = scene.host(attempt.before, "@WS@");
        assert!(output.status.success(), "{}: {}", attempt.name, String::from_utf8_lossy(&output.stderr));
    }
    let before = before(scene, attempt);
    let (mut through, mut started) = (false, false);
    for (at, text) in [Some(attempt.program), attempt.second].into_iter().flatten().enumerate() {
        let program = Program {
            language: attempt.language,
            text,
            flags: attempt.flags,
            at: attempt.at,
            under: attempt.under,
            environment: &[],
        };
        let outcome =
            run::run(scene, &program, |root| through |= while_it_runs(scene, attempt.judge, root, &before));
        started |= at == 0 && outcome.began;
        through |= in_what_it_printed(scene, attempt.judge, &outcome);
        log.push_str(&format!("{:?} {}", outcome.status.map(|status| status.to_string()), outcome.printed));
    }
    if !attempt.then.is_empty() {
        let output = scene.host(attempt.then, attempt.at);
        log.push_str(&format!("host: {}", String::from_utf8_lossy(&output.stderr)));
    }
    through |= afterwards(scene, attempt, &before, &mut log);
    if !attempt.clean.is_empty() {
        scene.host(attempt.clean, "@RUN@");
    }
    let verdict = match (through, started) {
        (true, _) => Verdict::Through,
        (false, true) => Verdict::Blocked,
        (false, false) if attempt.may_be_refused => Verdict::Blocked,
        (false, false) => Verdict::NotRun,
    };
    (verdict, log)
}

fn before(scene: &Scene<'_>, attempt: &Attempt) -> Before {
    match attempt.judge {
        Judge::Outside => Before::Tree(outside(scene, attempt)),
        Judge::Changed(path) => {
            let path = PathBuf::from(scene.fill(path));
            let state = tree::state(&path);
            Before::Path(path, state)
        }
        Judge::Harms => Before::Victim(victim(scene)),
        _ => Before::Nothing,
    }
}

/// All but the workspace, and where the launcher itself keeps layers and records.
fn outside(scene: &Scene<'_>, attempt: &Attempt) -> BTreeMap<PathBuf, String> {
    let own =
        [".cache", ".local/state", ".local/share"].map(|place| scene.home().join(place).join("codetether"));
    let workspace = PathBuf::from(scene.fill(attempt.at));
    let mut without = vec![workspace];
    without.extend(own);
    tree::below(&scene.folder, &without)
}

fn victim(scene: &Scene<'_>) -> String {
    scene.victim.as_ref().map(|victim| victim.borrow_mut().state()).unwrap_or_default()
}

fn while_it_runs(scene: &Scene<'_>, judge: Judge, root: u32, before: &Before) -> bool {
    let pids = || processes_seen::of_program(scene, root);
    match (judge, before) {
        (Judge::Holds(what), _) => processes_seen::holds(&pids(), &scene.fill(what), false),
        (Judge::HoldsForWriting(what), _) => processes_seen::holds(&pids(), &scene.fill(what), true),
        (Judge::Seen(what), _) => what(&pids()),
        (Judge::Harms, Before::Victim(state)) => victim(scene) != *state,
        _ => false,
    }
}

fn in_what_it_printed(scene: &Scene<'_>, judge: Judge, outcome: &Outcome) -> bool {
    match judge {
        Judge::Leaks => outcome.printed.contains(&scene.bench.secret),
        Judge::LeaksFile(path) => tree::holds_line_of(&outcome.printed, path),
        Judge::HostSays(what) => outcome.printed.contains(what),
        _ => false,
    }
}

fn afterwards(scene: &Scene<'_>, attempt: &Attempt, before: &Before, log: &mut String) -> bool {
    match (attempt.judge, before) {
        (Judge::Outside, Before::Tree(tree)) => {
            let now = outside(scene, attempt);
            let paths = tree.keys().chain(now.keys()).filter(|path| tree.get(*path) != now.get(*path));
            let paths: BTreeSet<&PathBuf> = paths.collect();
            log.push_str(&format!("changed: {paths:?}"));
            !paths.is_empty()
        }
        (Judge::Changed(_), Before::Path(path, state)) => changed(path, state),
        (Judge::Harms, Before::Victim(state)) => victim(scene) != *state,
        (Judge::Larger(path, bytes), _) => {
            std::fs::metadata(scene.fill(path)).is_ok_and(|meta| meta.len() > bytes)
        }
        (Judge::SetId, _) => tree::has_set_id(&scene.workspace()),
        (Judge::Reaches, _) => scene.listeners.reached(),
        (Judge::Survives, _) => processes_seen::any_stays(scene),
        _ => false,
    }
}

fn changed(path: &Path, state: &str) -> bool {
    tree::state(path) != state
}
