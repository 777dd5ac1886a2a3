//! Makes texts of two runs the same: what differs from run to run or from machine to machine is replaced by its kind in
//! brackets. For snapshots; never for secrets.

use std::sync::LazyLock;

use regex::Regex;

/// What is replaced, by what. In this order: a time is looked for before the numbers in it are.
static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"(?:/[\w.-]+)*/(?:codetether-test-|\.tmp)[A-Za-z0-9]{6}\b", "[temp]"),
        (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "[uuid]"),
        (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z\b|[+-]\d\d:\d\d)?", "[time]"),
        (r"\b\d{4}-\d\d-\d\d\b", "[date]"),
        (r"\b\d\d:\d\d:\d\d(?:\.\d+)?\b", "[time]"),
        (r"(127\.0\.0\.1|localhost|\[::1\]):\d+\b", "$1:[port]"),
        // Milliseconds since 1970, from 2020 to 2033.
        (r"\b1[5-9]\d{11}\b", "[millis]"),
        (r"\b(?:\d+h ?)?(?:\d+m ?)?\d+(?:\.\d+)?[ \u{a0}\u{202f}]?(?:ns|µs|us|ms|s)\b", "[duration]"),
    ]
    .map(|(pattern, by)| (Regex::new(pattern).expect("the patterns are right"), by))
    .into()
});

/// Replaces UUIDs, times, dates, durations, ports of loopback and temporary folders.
#[must_use]
pub fn redact(text: &str) -> String {
    RULES.iter().fold(text.to_owned(), |text, (pattern, by)| pattern.replace_all(&text, *by).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_run_to_run_is_named() {
        for (text, wanted) in [
            ("session 019a1b2c-3d4e-7f60-8a9b-0c1d2e3f4a5b.", "session [uuid]."),
            ("at 2025-11-24T12:13:14.567Z, 2025-11-24 12:13+01:00", "at [time], [time]"),
            ("on 2025-11-24 at 12:13:14", "on [date] at [time]"),
            ("http://127.0.0.1:43121/v1 localhost:80", "http://127.0.0.1:[port]/v1 localhost:[port]"),
            (r#""at":1763986394123,"#, r#""at":[millis],"#),
            (
                "in 1.25 s, 3ms, 12 µs, 1m 02s, 2h 3m 4s",
                "in [duration], [duration], [duration], [duration], [duration]",
            ),
            ("`/tmp/codetether-test-aB3xyz/project/a`", "`[temp]/project/a`"),
            ("/var/tmp/x/.tmpQ1w2E3/a", "[temp]/a"),
        ] {
            assert_eq!(redact(text), wanted);
        }
    }

    #[test]
    fn what_is_the_same_stays() {
        for text in
            ["exit: 0", "3 steps", "1234 tokens", "a/b.txt:12:3", "v0.1.0", "\u{1b}[1mbold", "127.0.0.1"]
        {
            assert_eq!(redact(text), text);
        }
    }

    #[test]
    fn a_temporary_folder_is_one_of_the_home() {
        let home = crate::Home::new();
        let text = format!("in {}", home.project().join("main.py").display());
        assert_eq!(redact(&text), "in [temp]/project/main.py");
    }
}
