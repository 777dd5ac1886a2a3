//! Front matter as people, and other programs, write it.

use std::path::Path;

use miette::Diagnostic;

use super::*;

fn read(text: &str, strictness: Strictness) -> Front<'_> {
    Front::read(Path::new("a.md"), text, strictness)
}

fn told(text: &str) -> Vec<String> {
    let front = read(text, Strictness::Ours);
    let error = front.end("it", &["name", "tools", "limits"]).unwrap_err();
    let told = |problem: &crate::Problem| {
        let help = problem.help().map(|help| format!(" ({help})")).unwrap_or_default();
        format!("{}: {problem} [{}]{help}", problem.line.unwrap_or(0), problem.part().unwrap_or_default())
    };
    error.problems().iter().map(told).collect()
}

#[test]
fn a_head_is_read_as_it_is_usually_written() {
    let text = "\u{feff}---\n# a comment\nname: review\ndescription: Looks at: all # of it\nquoted: \"a \\\"b\\\" \\u00e9\" # why\n\
                single: 'it''s'\nfolded: >-\n  one\n  two\n\n  three\nliteral: |\n  {\n    \"a\": 1\n  }\ngoes: on\n  and on\n\
                tools:\n  - read # it\n  - \"grep\"\nflow: [a, 'b', c]\nwords: a, b\nlimits:\n  steps: 3\n  # none\n  time: 5m\n\
                hint: [issue] [priority]\nunindented:\n- x\n- y\nnull:\n---\n\nBody\n---\nmore\n";
    let mut front = read(text, Strictness::Ours);
    let expected = [
        ("name", "review"),
        ("description", "Looks at: all"),
        ("quoted", "a \"b\" é"),
        ("single", "it's"),
        ("folded", "one two\nthree"),
        ("literal", "{\n  \"a\": 1\n}"),
        ("goes", "on and on"),
        ("hint", "[issue] [priority]"),
    ];
    for (key, wanted) in expected {
        assert_eq!(front.string(key).as_deref(), Some(wanted), "{key}");
    }
    let mut items =
        |key: &str| -> Vec<String> { front.items(key).unwrap().into_iter().map(|item| item.text).collect() };
    assert_eq!(items("tools"), ["read", "grep"]);
    assert_eq!(items("flow"), ["a", "b", "c"]);
    assert_eq!(items("words"), ["a", "b"]);
    assert_eq!(items("unindented"), ["x", "y"]);
    let limits = front.inside("limits", &["steps", "time"], |front| {
        (front.parsed::<u32>("steps", ""), front.string("time"))
    });
    assert_eq!(limits, Some((Some(3), Some("5m".to_owned()))));
    assert_eq!(front.string("null"), None);
    assert_eq!(front.body, "\nBody\n---\nmore\n");
    front.end("it", &[]).unwrap();
}

#[test]
fn a_text_without_a_head_is_all_body() {
    for text in ["", "Body\n---\nx: y\n---\n", "-- -\n"] {
        let front = read(text, Strictness::Ours);
        assert_eq!(front.body, text);
        front.end("it", &[]).unwrap();
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    assert_eq!(
        told("---\nnmae: x\nname: \"a\" b\ntools: read\ntools: grep\nno key\n  limits: 1\n---\n"),
        [
            "2: unknown key `nmae` [nmae] (did you mean `name`?)",
            "3: `b` stands behind the quote's end [\"a\" b] (put the whole text in quotes, or none of it)",
            "5: duplicate key `tools` [tools] (keep one of the two)",
            "6: `no key` belongs to no key [no key] (write `key: value`, a list with `- ` before each item, or put the text in quotes)",
            "7: `limits: 1` belongs to no key [limits: 1] (write `key: value`, a list with `- ` before each item, or put the text in quotes)",
        ]
    );
    assert_eq!(
        told("---\nname: x\n"),
        [
            "1: what begins with `---` has no end [---] (end what stands before the text with a line `---`, too)"
        ]
    );
    assert_eq!(
        told("---\ntools:\n  - a\n  b\nname: 'x\n---\n"),
        [
            "4: `b` is no item of the list [b] (write `- ` before each item, each on a line of its own)",
            "5: the quote has no end, or holds an escape that is none ['x]",
        ]
    );
}

#[test]
fn what_another_program_wrote_is_never_wrong() {
    let text = "---\nname: x\nwhat is this\nallowed-tools: Bash(git add:*), Bash(git diff:*)\n\tmore: {\nname: y\nq: \"open\n---\nBody";
    let mut front = read(text, Strictness::Foreign);
    assert_eq!((front.string("name").as_deref(), front.body), (Some("x"), "Body"));
    front.end("it", &[]).unwrap();
    read("---\nno end", Strictness::Foreign).end("it", &[]).unwrap();
}

#[test]
fn no_text_breaks_the_reader() {
    let pieces = [
        "---", "\n", "a: ", "b:", " ", "- ", "|", ">", "\"", "'", "\\", "#", "[", "{", "é", "\t", ":", "...",
    ];
    let mut state = 7_u32;
    for _ in 0..20_000 {
        let mut text = String::from("---\n");
        for _ in 0..20 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            text.push_str(pieces[(state >> 16) as usize % pieces.len()]);
        }
        for strictness in [Strictness::Ours, Strictness::Foreign] {
            let mut front = read(&text, strictness);
            let _ = (front.string("a"), front.items("b"), front.body.len());
            let _ = front.end("it", &["a"]);
        }
    }
}
