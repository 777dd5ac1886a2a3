//! `sh` may be another shell than bash: a program for it that holds a form which only bash knows is unclear.

use crate::shell::lexer::Unclear;

/// What another shell than bash would read otherwise, if the program holds any of it.
pub(crate) fn only_bash(text: &str) -> Option<Unclear> {
    const FORMS: &[&str] = &[
        "$'", "$\"", "((", "[[", "&>", "<<<", "<(", ">(", "=(", "|&", ">&", ";&", "+=", "select", "function",
        "coproc", "source", "declare", "typeset", "local", "${!", "shopt",
    ];
    let unlike = FORMS.iter().any(|form| {
        // `2>&1` and `>&2` are the same everywhere.
        if *form == ">&" {
            return text
                .split(">&")
                .skip(1)
                .any(|rest| !rest.starts_with(|c: char| c.is_ascii_digit() || c == '-'));
        }
        text.contains(form)
    });
    let sliced = text.split("${").skip(1).any(|rest| {
        let rest = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
        rest.starts_with(['/', '^', ',', '@', '[']) || rest.starts_with(":0") || rest.starts_with(": ")
    });
    (unlike || sliced).then_some(Unclear("another shell than bash would read it otherwise"))
}
