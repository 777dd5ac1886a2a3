//! What the verdicts must be: tables of commands, programs made by the shell's grammar, and the shell itself as judge.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod commands;
mod confined;
mod files;
mod hostile;
mod plan;
mod programs;
mod proposals;
mod shell;
mod tables;

use std::path::{Path, PathBuf};

use codetether_event::{Mode, Touches};
use codetether_permission::{Judgement, List, Place, Rules, Stance, judge};

/// Rules as flags write them: `deny`, `ask` and `allow` in front of each.
fn rules(texts: &[&str]) -> Rules {
    Rules::parse(texts.iter().map(|text| {
        let (list, rule) = text.split_once(' ').unwrap();
        let list = match list {
            "deny" => List::Deny,
            "ask" => List::Ask,
            "allow" => List::Allow,
            other => panic!("no list {other}"),
        };
        (list, rule)
    }))
    .unwrap()
}

fn with_place<T>(judge: impl FnOnce(&Place<'_>) -> T) -> T {
    let follow = |path: &Path| PathBuf::from(path);
    judge(&Place { root: Path::new("/w/project"), home: Some(Path::new("/home/me")), follow: &follow })
}

fn on_shell(mode: impl Into<Stance>, rules: &Rules, command: &str) -> Judgement {
    let touches = Touches { commands: vec![command.to_owned()], ..Touches::default() };
    with_place(|place| judge(mode, rules, "bash", &touches, place))
}

/// The verdicts of a table that are not as expected.
fn wrong(stance: impl Into<Stance>, texts: &[&str], table: &[(&str, &str)]) -> Vec<String> {
    let (stance, rules) = (stance.into(), rules(texts));
    table
        .iter()
        .filter_map(|(command, expected)| {
            let judged = on_shell(stance, &rules, command);
            let why: Vec<String> = judged
                .parts
                .iter()
                .map(|part| format!("{} `{}`: {}", part.decision.as_str(), part.text, part.why))
                .collect();
            (judged.decision.as_str() != *expected)
                .then(|| format!("{command:?}: {}, expected {expected}; {why:#?}", judged.decision.as_str()))
        })
        .collect()
}

#[track_caller]
fn check(mode: Mode, texts: &[&str], table: &[(&str, &str)]) {
    let wrong = wrong(mode, texts, table);
    assert!(
        wrong.is_empty(),
        "{} of {} are wrong under {texts:?}:\n{}",
        wrong.len(),
        table.len(),
        wrong.join("\n")
    );
}
