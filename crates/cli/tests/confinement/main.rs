//! The escape suite: attempts to get out of `codetether sandbox run`, each judged from outside of it and run bare as a
//! control, and everyday jobs that must work inside. Run with `--no-capture` for the tables.
//!
//! An attempt that fails bare proves nothing, so that is a failure of the suite, unless it says why this machine or this
//! person cannot do it; then it is named and not counted. The numbers of system calls are those of x86-64.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(clippy::print_stderr, reason = "the tables are for people")]

mod attempt;
mod bench;
mod config;
mod descriptors;
mod gaps;
mod git;
mod jobs;
mod judge;
mod known;
mod listeners;
mod network;
mod person;
mod proc;
mod processes;
mod processes_seen;
mod races;
mod reads;
mod resources;
mod run;
mod scene;
mod surface;
mod table;
mod terminal;
mod tree;
mod victim;
mod writes;

use std::collections::BTreeSet;

use attempt::{Attempt, Who};
use bench::{Bench, Place};
use judge::Verdict;
use person::Person;
use run::Way;
use scene::Scene;

fn attempts() -> Vec<Attempt> {
    let all = [
        writes::ATTEMPTS,
        reads::ATTEMPTS,
        network::ATTEMPTS,
        processes::ATTEMPTS,
        git::ATTEMPTS,
        config::ATTEMPTS,
        races::ATTEMPTS,
        descriptors::ATTEMPTS,
        proc::ATTEMPTS,
        resources::ATTEMPTS,
        surface::ATTEMPTS,
    ];
    let all = all.into_iter().flatten().copied();
    match std::env::var("CODETETHER_ATTEMPTS") {
        // For who works on one of them.
        Ok(part) => all.filter(|attempt| attempt.name.contains(&part)).collect(),
        Err(_) => all.collect(),
    }
}

/// Why somebody cannot do it at all.
fn left_out(attempt: &Attempt, person: Person) -> Option<&'static str> {
    match attempt.who {
        Who::Root if !person.is_root() => Some("it needs root"),
        Who::NormalUser if person.is_root() => Some("root gains nothing by it"),
        _ => (attempt.lacking)(),
    }
}

/// Runs all that this person can do, prints the table, and gives back those that did not come to `wanted`.
fn all_are(wanted: &Verdict, person: Person, way: Way) -> Vec<String> {
    let bench = Bench::new(person, Place::Memory);
    let (out, in_): (Vec<Attempt>, Vec<Attempt>) =
        attempts().into_iter().partition(|attempt| left_out(attempt, person).is_some());
    let results = table::each(&in_, |number, attempt| {
        let scene = Scene::new(&bench, number, way, &attempt.text());
        judge::judge(&scene, attempt)
    });
    let rows = in_
        .iter()
        .zip(&results)
        .map(|(attempt, (verdict, _))| (format!("{:?}", attempt.category), verdict == wanted, attempt.name));
    let title = match way {
        Way::Bare => format!("bare, as {}: through of all", person.name()),
        Way::Confined(tier) => format!("tier {tier}, as {}: blocked of all", person.name()),
    };
    eprint!("{}", table::table(&title, rows));
    for attempt in &out {
        eprintln!("  left out: {} ({})", attempt.name, left_out(attempt, person).unwrap_or_default());
    }
    let wrong = in_.iter().zip(results).filter(|(_, (verdict, _))| verdict != wanted);
    wrong.map(|(attempt, (verdict, log))| format!("{}: {verdict:?}: {}", attempt.name, log.trim())).collect()
}

fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Whether there is a second person to run as. Where root does not run the suite, its runner is a normal user already.
fn someone_normal() -> Option<Person> {
    let root = Person::Runner.is_root();
    if !root {
        eprintln!("the suite is run by a normal user: see its other tests");
    }
    root.then_some(Person::Normal)
}

#[test]
fn there_are_many_attempts_and_jobs_and_each_has_a_name_of_its_own() {
    let mut names: Vec<&str> = attempts().iter().map(|attempt| attempt.name).collect();
    assert!(names.len() >= 120, "{} attempts", names.len());
    assert!(jobs::JOBS.len() >= 30, "{} jobs", jobs::JOBS.len());
    names.extend(jobs::JOBS.iter().map(|job| job.name));
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn every_attempt_succeeds_bare() {
    none(&all_are(&Verdict::Through, Person::Runner, Way::Bare));
}

#[test]
fn every_attempt_succeeds_bare_for_a_normal_user() {
    if let Some(person) = someone_normal() {
        none(&all_are(&Verdict::Through, person, Way::Bare));
    }
}

/// All but those that are known to come through, which are told.
fn all_others_are_blocked(person: Person) {
    let came = all_are(&Verdict::Blocked, person, Way::Confined("namespaces"));
    let is_of =
        |line: &str, names: &[&str]| names.iter().any(|name| line.starts_with(&format!("{name}: Through")));
    let (known, others): (Vec<String>, Vec<String>) =
        came.into_iter().partition(|line| is_of(line, known::OF_NAMESPACES));
    for line in &known {
        eprintln!("  known: {}", line.split(": ").next().unwrap_or_default());
    }
    none(&others);
    let able: BTreeSet<&str> = attempts()
        .iter()
        .filter(|attempt| left_out(attempt, person).is_none())
        .map(|attempt| attempt.name)
        .collect();
    let blocked = known::OF_NAMESPACES.iter().filter(|name| able.contains(**name));
    let blocked: Vec<_> = blocked.filter(|name| !known.iter().any(|line| is_of(line, &[**name]))).collect();
    assert!(blocked.is_empty(), "blocked by now, so take them off the list: {blocked:?}");
}

#[test]
fn every_attempt_is_blocked_but_for_those_that_are_known() {
    all_others_are_blocked(Person::Runner);
}

#[test]
fn every_attempt_is_blocked_for_a_normal_user_but_for_those_that_are_known() {
    if let Some(person) = someone_normal() {
        all_others_are_blocked(person);
    }
}

/// What this kernel's Landlock can do; 0 where there is none.
fn landlock_abi() -> u32 {
    let ask = "import ctypes; print(max(0, ctypes.CDLL(None).syscall(444, None, 0, 1)))";
    let output = std::process::Command::new("python3").args(["-S", "-c", ask]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

#[test]
fn the_landlock_tier_has_the_gaps_that_it_says_and_no_others() {
    let abi = landlock_abi();
    let wrong = all_are(&Verdict::Blocked, Person::Runner, Way::Confined("landlock"));
    let (gaps, not_run): (Vec<&String>, Vec<&String>) =
        wrong.iter().partition(|text| text.contains(": Through: "));
    assert!(not_run.is_empty(), "{not_run:?}");
    let gaps: BTreeSet<&str> =
        gaps.iter().filter_map(|text| Some(text.split_once(": Through: ")?.0)).collect();
    let listed: BTreeSet<&str> = gaps::OF_LANDLOCK.iter().copied().collect();
    if abi < 7 {
        eprintln!("  Landlock's ABI is {abi} here: it lets more through than is listed");
        return;
    }
    let unknown: Vec<&&str> = gaps.difference(&listed).collect();
    assert!(unknown.is_empty(), "gaps that are not listed: {unknown:?}");
    // A newer ABI closes some, and what needs root's power cannot be seen by others.
    if abi == 7 && Person::Runner.is_root() && std::env::var_os("CODETETHER_ATTEMPTS").is_none() {
        assert_eq!(gaps, listed);
    }
}

#[test]
fn every_job_works() {
    none(&jobs::all(Person::Runner, "namespaces"));
}

#[test]
fn every_job_works_for_a_normal_user() {
    if let Some(person) = someone_normal() {
        none(&jobs::all(person, "namespaces"));
    }
}
