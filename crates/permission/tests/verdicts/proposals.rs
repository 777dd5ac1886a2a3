//! The rules that an approval offers.

use codetether_event::{Mode, Touches};
use codetether_permission::{Decision, judge};

use crate::{on_shell, rules, with_place};

fn proposals(command: &str) -> Vec<String> {
    on_shell(Mode::Ask, &rules(&["allow bash(ls *)", "ask bash(ssh *)", "deny bash(rm *)"]), command)
        .proposals()
}

#[test]
fn an_approval_offers_the_rules_that_would_allow_it() {
    let table: &[(&str, &[&str])] = &[
        ("make check", &["bash(make check)"]),
        ("cargo test --lib", &["bash(cargo test *)"]),
        ("make a && ls && make b && make a", &["bash(make a)", "bash(make b)"]),
        ("tool 'a b' it\\'s '*'", &[r"bash(tool 'a b' it\'s '*')"]),
        ("env X=1 make check", &["bash(make check)"]),
        ("sed -i s/a/b/ x", &["bash(sed -i s/a/b/ x)"]),
        ("git reset --hard HEAD~1", &["bash(git reset --hard HEAD~1)"]),
        ("RUSTFLAGS=-Dx make", &["bash(RUSTFLAGS=-Dx make)"]),
        ("cat \"$F\"", &["bash(cat *)"]),
        ("ls > out.txt", &["edit(/out.txt)"]),
        ("rm -rf /tmp/x", &[]),
        ("ssh host", &[]),
        ("$X", &[]),
        ("make && $X", &[]),
        ("ls", &[]),
    ];
    for (command, expected) in table {
        assert_eq!(proposals(command), *expected, "{command}");
    }
}

#[test]
fn what_is_offered_allows_what_it_is_offered_for() {
    let commands = [
        "make check",
        "cargo test --lib",
        "sed -i s/a/b/ x",
        "git reset --hard",
        "git push --force origin main",
        "rm -rf /tmp/x",
        "A=b PATH=/x make",
        "tool \"it's\" '*' 'a b' \"\" '(x)'",
        "echo x > out/y",
        "xargs touch",
        "cat $F x",
        "timeout 5 make",
        "find . -delete",
        "python3 -c 'print(1)' && git clean -fdx",
    ];
    for command in commands {
        let none = rules(&[]);
        let offered = on_shell(Mode::Ask, &none, command).proposals();
        assert!(!offered.is_empty(), "{command}");
        let allow: Vec<String> = offered.iter().map(|rule| format!("allow {rule}")).collect();
        let allow = rules(&allow.iter().map(String::as_str).collect::<Vec<_>>());
        let judged = on_shell(Mode::Ask, &allow, command);
        assert_eq!(judged.decision, Decision::Allow, "{command} under {offered:?}: {judged:?}");
    }
}

#[test]
fn a_path_is_offered_as_itself() {
    let none = rules(&[]);
    let touches = Touches { writes: vec!["src/a.rs".into()], ..Touches::default() };
    let offered = with_place(|place| judge(Mode::Ask, &none, "edit", &touches, place)).proposals();
    assert_eq!(offered, ["edit(/src/a.rs)"]);
}
