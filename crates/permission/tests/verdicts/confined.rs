//! What the sandbox changes: a confined command runs unasked, but for what a rule says and for what destroys.

use codetether_event::{Mode, Touches, Typed};
use codetether_permission::{By, Stance, judge};

use super::{on_shell, rules, with_place, wrong};

const CONFINED: Stance = Stance { mode: Mode::AutoEdit, confined: true };

#[test]
fn a_confined_command_runs_unasked() {
    let table = [
        ("cargo test", "allow"),
        ("make -j4 && ./target/debug/app --flag", "allow"),
        ("RUSTFLAGS=-g cargo build", "allow"),
        ("export A=1; env", "allow"),
        ("eval \"$(cat script)\"", "allow"),
        ("find . -name '*.rs' -exec sed -i s/a/b/ {} +", "allow"),
        ("curl https://example.org", "allow"),
        ("cat < /dev/tcp/example.org/80", "allow"),
        ("echo x > /tmp/out", "allow"),
        ("echo x > ../elsewhere", "allow"),
        ("rm -rf target", "allow"),
        ("git commit -qm done", "allow"),
    ];
    assert_eq!(wrong(CONFINED, &[], &table), [] as [String; 0]);
}

#[test]
fn what_destroys_still_asks() {
    let table = [
        ("git reset --hard", "ask"),
        ("git push --force", "ask"),
        ("rm -rf ~/work", "ask"),
        ("sh -c 'git clean -fdx'", "ask"),
        // It decides what runs later, outside.
        ("echo x > .git/hooks/pre-commit", "ask"),
    ];
    assert_eq!(wrong(CONFINED, &[], &table), [] as [String; 0]);
}

#[test]
fn rules_still_ask_and_deny_also_what_cannot_be_told() {
    let texts = ["deny bash(git push *)", "ask bash(cargo publish *)"];
    let table = [
        ("git push origin", "deny"),
        ("cargo publish", "ask"),
        ("cargo test", "allow"),
        ("$(cat what) now", "ask"),
        ("eval \"$x\"", "ask"),
    ];
    assert_eq!(wrong(CONFINED, &texts, &table), [] as [String; 0]);
    assert_eq!(
        wrong(CONFINED, &["deny read(.env)"], &[("cat .env", "deny"), ("cat $x", "ask")]),
        [] as [String; 0]
    );
}

#[test]
fn other_modes_are_as_ever() {
    let ask = Stance { mode: Mode::Ask, confined: true };
    assert_eq!(wrong(ask, &[], &[("cargo test", "ask")]), [] as [String; 0]);
    let plan = Stance { mode: Mode::Plan, confined: true };
    assert_eq!(wrong(plan, &[], &[("cargo test", "deny"), ("ls", "allow")]), [] as [String; 0]);
}

#[test]
fn what_would_run_outside_is_judged_as_without_a_sandbox() {
    let touches = Touches { commands: vec!["cargo fetch".into()], outside: true, ..Touches::default() };
    let judged = |texts: &[&str]| with_place(|place| judge(CONFINED, &rules(texts), "bash", &touches, place));
    assert_eq!(judged(&[]).decision.as_str(), "ask");
    assert_eq!(judged(&["allow bash(cargo fetch *)"]).decision.as_str(), "allow");
}

#[test]
fn no_mode_lets_a_command_out_unasked() {
    let touches = Touches { commands: vec!["ls".into()], outside: true, ..Touches::default() };
    let bypass = Stance { mode: Mode::Bypass, confined: true };
    let judged = with_place(|place| judge(bypass, &rules(&[]), "bash", &touches, place));
    assert_eq!(judged.decision.as_str(), "ask");
    let inside = Touches { outside: false, ..touches };
    let judged = with_place(|place| judge(bypass, &rules(&[]), "bash", &inside, place));
    assert_eq!(judged.decision.as_str(), "allow");
}

#[test]
fn the_verdict_names_the_sandbox() {
    let judged = on_shell(CONFINED, &rules(&[]), "cargo test");
    assert_eq!(judged.parts[0].by, By::Sandbox);
    assert_eq!(judged.by(), "sandbox");
}

fn typed_into(command: &str, confined: bool) -> Touches {
    let typed = Typed { process: "5.0".into(), text: "rm -rf /\n".into(), command: command.into(), confined };
    Touches { typed: Some(typed), ..Touches::default() }
}

#[test]
fn what_is_typed_into_a_process_asks_unless_it_is_confined_or_its_command_is_allowed() {
    let judged = |stance: Stance, texts: &[&str], touches: &Touches| {
        with_place(|place| judge(stance, &rules(texts), "process", touches, place)).decision.as_str()
    };
    let with_mode = |mode| Stance { mode, confined: true };
    let (inside, outside) = (typed_into("app serve", true), typed_into("app serve", false));
    for (stance, texts, touches, expected) in [
        (CONFINED, &[][..], &inside, "allow"),
        (with_mode(Mode::Bypass), &[], &inside, "allow"),
        (with_mode(Mode::Ask), &[], &inside, "ask"),
        (with_mode(Mode::Plan), &[], &inside, "deny"),
        (CONFINED, &[], &outside, "ask"),
        (with_mode(Mode::Bypass), &[], &outside, "ask"),
        (CONFINED, &["allow bash(app *)"], &outside, "allow"),
        (CONFINED, &["allow bash(node *)"], &outside, "ask"),
        (CONFINED, &["allow process"], &outside, "allow"),
        (with_mode(Mode::Plan), &["allow process"], &outside, "deny"),
        // What a rule is about may be hidden in it.
        (CONFINED, &["deny bash(rm *)"], &inside, "ask"),
        (CONFINED, &["deny bash(app *)", "allow process"], &inside, "deny"),
        (CONFINED, &["ask bash(app *)", "allow process"], &inside, "ask"),
        (CONFINED, &["deny process"], &inside, "deny"),
    ] {
        assert_eq!(judged(stance, texts, touches), expected, "{stance:?} {texts:?} {touches:?}");
    }
    // Only one of two commands is allowed.
    let two = typed_into("app serve; node", false);
    assert_eq!(judged(CONFINED, &["allow bash(app *)"], &two), "ask");
    let asked = with_place(|place| judge(CONFINED, &rules(&[]), "process", &outside, place));
    assert_eq!(asked.proposals(), ["bash(app serve)"]);
}

#[test]
fn nothing_is_started_in_the_background_in_plan() {
    let touches = |background| Touches { commands: vec!["ls".into()], background, ..Touches::default() };
    let judged = |mode, background| {
        let stance = Stance { mode, confined: true };
        with_place(|place| judge(stance, &rules(&[]), "bash", &touches(background), place)).decision.as_str()
    };
    assert_eq!((judged(Mode::Plan, true), judged(Mode::Plan, false)), ("deny", "allow"));
    assert_eq!(judged(Mode::AutoEdit, true), "allow");
}
