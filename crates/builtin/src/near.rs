//! Names and text that come near what was asked for and not found.

use std::path::Path;

use strsim::{normalized_damerau_levenshtein, sorensen_dice};

use crate::text::{count, first_bytes, first_chars};

/// Longest name that is compared, in bytes.
const NAME_MAX: usize = 128;

/// The names that come nearest, best first, at most three; none when none is near.
pub(crate) fn names<'a>(wanted: &str, there: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    if wanted.len() > NAME_MAX {
        return Vec::new();
    }
    let wanted = wanted.to_lowercase();
    let stem = |name: &str| Path::new(name).file_stem().map(|stem| stem.to_owned());
    let mut near: Vec<(f64, &str)> = there
        .into_iter()
        .filter(|name| name.len() <= NAME_MAX)
        .filter_map(|name| {
            let lower = name.to_lowercase();
            let score = normalized_damerau_levenshtein(&wanted, &lower);
            // `main.ts` for `main.tsx`
            let same_stem = if stem(&wanted) == stem(&lower) { 0.3 } else { 0.0 };
            (score + same_stem > 0.6).then_some((score + same_stem, name))
        })
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    near.into_iter().map(|(_, name)| name).take(3).collect()
}

/// Where text that was not found comes nearest.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Passage {
    /// Index of its first line.
    pub(crate) line: usize,
    /// Its number of lines.
    pub(crate) lines: usize,
    /// Whether only white space is different.
    pub(crate) only_white_space: bool,
}

/// Most lines of a file that are compared one by one for likeness.
const LIKE_LINES: usize = 5_000;

/// Most places that are compared as a whole, and most bytes that all of them together take to compare.
const PLACES: usize = 1_000;
const PLACES_BYTES: usize = 1 << 20;

/// Longest part of a line that is compared for likeness, in bytes.
const LIKE_LINE: usize = 200;

/// The passage of `text` that comes nearest to `wanted`; `None` when nothing is alike.
pub(crate) fn passage(text: &str, wanted: &str) -> Option<Passage> {
    let there: Vec<&str> = text.lines().collect();
    let mut lines: Vec<&str> = wanted.lines().collect();
    // Blank lines at the ends are matched too easily to say anything.
    while lines.last().is_some_and(|line| line.trim().is_empty()) {
        lines.pop();
    }
    let blank = lines.iter().take_while(|line| line.trim().is_empty()).count();
    lines.drain(..blank);
    let size = lines.len();
    if size == 0 || there.is_empty() {
        return None;
    }

    // A passage is found by its longest line, which is also the most telling one.
    let (at, anchor) =
        lines.iter().enumerate().max_by_key(|(at, line)| (line.trim().len(), std::cmp::Reverse(*at)))?;
    let score = |start: usize| lines.iter().zip(&there[start..]).filter(|(a, b)| same_words(a, b)).count();
    let passage = |start: usize| Passage {
        line: start,
        lines: size.min(there.len() - start),
        only_white_space: score(start) == size,
    };
    let places = (PLACES_BYTES / wanted.len().max(1)).clamp(1, PLACES);
    let mut best: Option<(usize, usize)> = None;
    for (found, _) in there.iter().enumerate().filter(|(_, line)| same_words(line, anchor)).take(places) {
        let start = found.saturating_sub(at);
        let score = score(start);
        if best.is_none_or(|(most, _)| score > most) {
            best = Some((score, start));
        }
    }
    if let Some((_, start)) = best {
        return Some(passage(start));
    }

    let clip = |line: &str| first_bytes(line.trim(), LIKE_LINE).to_owned();
    let anchor = clip(anchor);
    let alike = |line: &str| sorensen_dice(&anchor, &clip(line));
    let (found, likeness) = there
        .iter()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .take(LIKE_LINES)
        .map(|(at, line)| (at, alike(line)))
        .max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))?;
    (likeness > 0.6).then(|| passage(found.saturating_sub(at)))
}

/// Most lines of a passage that are shown, and the longest part of one in characters.
const SHOWN_LINES: usize = 12;
const SHOWN_CHARS: usize = 300;

/// The passage as it is shown: `line 7:` and its lines, numbered.
pub(crate) fn shown(text: &str, passage: &Passage) -> String {
    let mut told = format!("line {}:\n", passage.line + 1);
    let lines = text.lines().enumerate().skip(passage.line).take(passage.lines);
    for (at, line) in lines.take(SHOWN_LINES) {
        let start = first_chars(line, SHOWN_CHARS);
        let more = if start.len() < line.len() { " [...]" } else { "" };
        told += &format!("{:>6}\t{start}{more}\n", at + 1);
    }
    if passage.lines > SHOWN_LINES {
        told += &format!("[... {} more]\n", count((passage.lines - SHOWN_LINES) as u64, "line"));
    }
    told
}

/// Whether two lines differ in nothing but white space.
fn same_words(a: &str, b: &str) -> bool {
    a.split_whitespace().eq(b.split_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_and_another_ending_are_near() {
        let there = ["main.rs", "lib.rs", "Main.rs.bak", "README.md", "app.tsx"];
        assert_eq!(names("mian.rs", there), ["main.rs"]);
        assert_eq!(names("readme.md", there), ["README.md"]);
        assert_eq!(names("app.ts", there), ["app.tsx"]);
        assert_eq!(names("nothing-like-it", there), Vec::<&str>::new());
    }

    #[test]
    fn white_space_alone_is_told_apart() {
        let text = "a\n\tif x  {\n\t\ty();\n\t}\nb\n";
        let got = passage(text, "    if x {\n        y();\n    }\n");
        assert_eq!(got, Some(Passage { line: 1, lines: 3, only_white_space: true }));
    }

    #[test]
    fn the_best_of_several_places_is_taken() {
        let text = "fn a() {\n    call_me(1);\n    x\n}\nfn b() {\n    call_me(1);\n    y\n}\n";
        let got = passage(text, "fn c() {\n    call_me(1);\n    y\n}");
        assert_eq!(got, Some(Passage { line: 4, lines: 4, only_white_space: false }));
    }

    #[test]
    fn long_texts_that_are_alike_everywhere_are_compared_in_bounded_time() {
        let lines = "x\n".repeat(200_000);
        let got = passage(&lines, &format!("{lines}y"));
        assert_eq!(got, Some(Passage { line: 0, lines: 200_000, only_white_space: false }));
    }

    #[test]
    fn a_changed_line_is_found_by_likeness() {
        let got = passage("x\nlet total = price * count;\ny", "let total = price * counts;");
        assert_eq!(got, Some(Passage { line: 1, lines: 1, only_white_space: false }));
        assert_eq!(passage("alpha\nbeta", "something entirely different"), None);
        assert_eq!(passage("", "x"), None);
        assert_eq!(passage("x", "\n \n"), None);
    }
}
