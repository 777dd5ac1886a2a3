//! Programs made by the shell's grammar from allowed and denied commands.

use codetether_event::Mode;
use codetether_permission::Decision;
use proptest::prelude::*;

use crate::{on_shell, rules};

/// A way of writing a command; `%` is where the command goes.
const FORMS: &[&str] = &[
    "%",
    "( % )",
    "{ %; }",
    "! %",
    "%; ok",
    "ok; %",
    "ok && %",
    "% && ok",
    "ok || %",
    "ok | %",
    "% | ok",
    "ok & %",
    "if %; then ok; fi",
    "if ok; then %; fi",
    "if ok; then ok; else %; fi",
    "if ok; then ok; elif %; then ok; fi",
    "while %; do ok; done",
    "until ok; do %; done",
    "for i in 1 2; do %; done",
    "for ((i=0; i<2; i++)); do %; done",
    "case x in x) %;; esac",
    "case x in y) ok;; *) %;; esac",
    "f() { %; }; f",
    "function f { %; }",
    "ok $( % )",
    "ok \"$( % )\"",
    "ok `%`",
    "ok <(%)",
    "x=$( % )",
    "ok ${y:-$( % )}",
    "[ \"$( % )\" ]",
    "[[ -n $( % ) ]]",
    "cat <<E\n$( % )\nE",
    "ok <<< \"$( % )\"",
    "bash <<'E'\n%\nE",
    "env %",
    "env A=b %",
    "command %",
    "exec %",
    "time %",
    "nice -n 3 %",
    "nohup %",
    "timeout 5 %",
    "sudo %",
    "xargs %",
    "find . -exec % \\;",
    "%\nok",
    "ok\n%",
    "% # ok",
    "% > /dev/null",
    "% 2>&1",
    "set -e; %",
];
/// Forms that take the program as a text.
const TEXTS: &[&str] = &["bash -c '%'", "sh -c '%'", "eval '%'", "trap '%' EXIT", "bash <<< '%'"];
/// Words that begin what is no simple command.
const KEYWORDS: &[&str] = &["if ", "for ", "case ", "while ", "until ", "function ", "! "];
/// Ways of writing the denied command's name.
const NAMES: &[&str] =
    &["bad", "b\\ad", "'bad'", "\"bad\"", "b'a'd", "$'bad'", "/usr/bin/bad", "./bad", "b\\\nad", "\"b\"ad"];

fn program(with: &'static str) -> impl Strategy<Value = String> {
    let command = prop::sample::select(NAMES)
        .prop_map(move |name| if with == "bad" { name.to_owned() } else { with.to_owned() });
    let args = prop::sample::select(&["", " x", " -x y", " 'a b'", " \"a $H\"", " --k=v"][..]);
    (
        command,
        args,
        prop::collection::vec(
            (any::<bool>(), prop::sample::select(FORMS), prop::sample::select(TEXTS)),
            0..5,
        ),
    )
        .prop_map(|(command, args, forms)| {
            forms.into_iter().fold(format!("{command}{args}"), |inner, (as_text, form, text)| {
                // A text within a text would need its quotes escaped.
                let form = if as_text && !inner.contains('\'') { text } else { form };
                // One line within forms that are one line; a comment ends the line.
                if inner.contains(['\n', '#']) && form.contains('%') && form != "%\nok" && form != "ok\n%" {
                    return inner;
                }
                // Within backticks, backslashes and backticks would need escaping; exec'd words are no programs.
                let words = [
                    "env", "command", "exec", "time", "nice", "nohup", "timeout", "sudo", "xargs", "find",
                    "!",
                ];
                let simple = !inner.contains([';', '|', '&', '(', '{', '`', '<', '>', '['])
                    && !KEYWORDS.iter().any(|word| inner.starts_with(word));
                if words.iter().any(|word| form.starts_with(word)) && !simple
                    || form.contains('`') && inner.contains(['`', '\\'])
                {
                    return inner;
                }
                form.replace('%', &inner)
            })
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(400), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_program_that_contains_a_denied_command_is_allowed(program in program("bad")) {
        let all = rules(&["deny bash(bad *)", "allow bash(*)", "allow edit(**)"]);
        for mode in [Mode::Ask, Mode::AutoEdit, Mode::Bypass, Mode::Plan] {
            let judged = on_shell(mode, &all, &program);
            prop_assert_ne!(judged.decision, Decision::Allow, "{} under {}: {:?}", program, mode, judged.parts);
        }
    }

    #[test]
    fn no_program_that_contains_an_unlisted_command_is_allowed(program in program("other")) {
        let some = rules(&["allow bash(ok *)", "allow bash(cat *)", "allow bash(sudo *)", "allow bash(find *)"]);
        let judged = on_shell(Mode::Ask, &some, &program);
        prop_assert_ne!(judged.decision, Decision::Allow, "{}: {:?}", program, judged.parts);
    }

    #[test]
    fn nothing_breaks_the_reading(program in "[a-z $(){}|&;<>'\"`\\\\\n#=*?\\[\\]!~0-9-]{0,60}") {
        let judged = on_shell(Mode::Plan, &rules(&["allow bash(a *)"]), &program);
        prop_assert!(!judged.parts.is_empty());
    }
}
