//! Any text as a shell program: judging it never breaks, no verdict depends on chance, and what is denied stays denied
//! when more is added behind it on a line of its own.
#![no_main]

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use codetether_event::{Mode, Touches};
use codetether_permission::{Decision, List, Place, Rules, judge};
use libfuzzer_sys::fuzz_target;

static RULES: LazyLock<Rules> = LazyLock::new(|| {
    let rules = [
        (List::Deny, "bash(rm *)"),
        (List::Ask, "bash(git push *)"),
        (List::Allow, "bash(git *)"),
        (List::Allow, "bash(echo *)"),
        (List::Allow, "edit(out/**)"),
        (List::Deny, "read(.env)"),
    ];
    Rules::parse(rules).expect("the rules are rules")
});

fn verdict(mode: Mode, command: &str) -> Decision {
    let follow = |path: &Path| PathBuf::from(path);
    let place = Place { root: Path::new("/w"), home: Some(Path::new("/home/me")), follow: &follow };
    let touches = Touches { commands: vec![command.to_owned()], ..Touches::default() };
    let judged = judge(mode, &RULES, "bash", &touches, &place);
    assert!(!judged.parts.is_empty());
    let _ = (judged.by(), judged.why(), judged.proposals());
    judged.decision
}

fuzz_target!(|program: &str| {
    let bypass = verdict(Mode::Bypass, program);
    assert_eq!(bypass, verdict(Mode::Bypass, program));
    assert!(verdict(Mode::Ask, program) >= bypass, "a wider mode is never stricter");
    assert!(verdict(Mode::Plan, program) >= Decision::Allow);
    let longer = format!("echo a\n{program}");
    if bypass == Decision::Deny {
        assert_ne!(verdict(Mode::Bypass, &longer), Decision::Allow);
    }
});
