//! Replacing text in a file that must be there exactly as given, and only once unless told otherwise. Touches no other
//! byte: line ends (also mixed ones), a byte order mark and the lack of a final newline stay.

use std::borrow::Cow;

use codetether_files::RootError;
use codetether_tool::{ToolContext, ToolError};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::indent;
use crate::near;
use crate::place::refused;
use crate::text::size;

/// Largest file that can be edited, before and after.
pub(crate) const FILE_MAX: usize = 32 << 20;

/// Most line numbers that are named when the text is there more than once.
const PLACES: usize = 5;

#[derive(Deserialize, JsonSchema)]
pub(crate) struct EditArgs {
    /// Relative to the workspace
    pub(crate) path: String,
    /// Text to replace, exactly as in the file, without line numbers
    pub(crate) old: String,
    /// Text to put there
    pub(crate) new: String,
    /// Replace every occurrence
    pub(crate) replace_all: Option<bool>,
}

/// The text of the file that is to be edited.
pub(crate) fn text_of(cx: &ToolContext, args: &EditArgs) -> Result<String, ToolError> {
    let path = &args.path;
    let bytes = cx.root.read(path, FILE_MAX as u64).map_err(|error| match error {
        RootError::NotFound { .. } if args.old.is_empty() => {
            ToolError::ForModel(format!("there is no `{path}`; to create it use `write`"))
        }
        error => refused(&cx.root, path, error),
    })?;
    String::from_utf8(bytes).map_err(|_| {
        ToolError::ForModel(format!(
            "`{path}` is not UTF-8 text and cannot be edited; `bash` has tools for it"
        ))
    })
}

#[derive(Debug)]
pub(crate) struct Edited {
    pub(crate) text: String,
    /// How many times the text was replaced.
    pub(crate) places: usize,
    /// Line of the first.
    pub(crate) line: usize,
    /// Whether `old` was there with other indentation alone, and `new` was given that.
    pub(crate) indented: bool,
}

/// The new text of the file, or what the model is told instead.
pub(crate) fn edit(file: &str, args: &EditArgs) -> Result<Edited, String> {
    let path = &args.path;
    if args.old.is_empty() {
        return Err("`old` is empty: to create a file or replace all of it use `write`".to_owned());
    }
    let (mark, body) = file.split_at(if file.starts_with('\u{FEFF}') { '\u{FEFF}'.len_utf8() } else { 0 });
    let lines = Unified::of(body);
    let unify = |text| if lines.has_crlf() { unified(text) } else { Cow::Borrowed(text) };
    let (old, new) =
        (unify(args.old.trim_start_matches('\u{FEFF}')), unify(args.new.trim_start_matches('\u{FEFF}')));
    if old == new {
        return Err(match args.old == args.new {
            true => "`old` and `new` are the same: there is nothing to change".to_owned(),
            false => format!(
                "`old` and `new` differ in line ends only, and `edit` keeps those of `{path}`; `bash` can convert it"
            ),
        });
    }

    let mut indented = false;
    let (first, old, new) = match lines.text.find(&*old) {
        Some(first) => (first, old, new),
        None => {
            let Some((first, there, new)) = indent::as_there(&lines.text, &old, &new) else {
                return Err(not_found(path, &lines.text, &old));
            };
            indented = true;
            (first, Cow::Owned(there), Cow::Owned(new))
        }
    };
    if old == new {
        return Err(format!("`{path}` has `new` in the place of `old` already: there is nothing to change"));
    }
    let line_of = |at: usize| memchr::memchr_iter(b'\n', &lines.text.as_bytes()[..at]).count() + 1;
    let places = if args.replace_all == Some(true) {
        lines.text.matches(&*old).count()
    } else {
        // Also where it overlaps with itself, since either could be meant.
        let step = old.chars().next().map_or(1, char::len_utf8);
        let places: Vec<usize> = std::iter::successors(Some(first), |at| {
            lines.text[at + step..].find(&*old).map(|next| at + step + next)
        })
        .take(PLACES + 1)
        .collect();
        if places.len() > 1 {
            let more = if places.len() > PLACES { " and more" } else { "" };
            let named: Vec<String> = places.iter().take(PLACES).map(|at| line_of(*at).to_string()).collect();
            return Err(format!(
                "`old` occurs more than once in `{path}`, at lines {}{more}; give more of the text around it, or replace_all",
                named.join(", ")
            ));
        }
        1
    };

    let grown = places.checked_mul(new.len()).and_then(|more| more.checked_add(body.len()));
    if grown.is_none_or(|bytes| bytes > FILE_MAX) {
        let most = size(FILE_MAX as u64);
        return Err(format!("{places} replacements would make `{path}` larger than {most}"));
    }
    let mut text = mark.to_owned();
    let mut from = 0;
    let mut ends = LineEnds::of(body);
    let with_crlf = (lines.has_crlf() && new.contains('\n')).then(|| new.replace('\n', "\r\n"));
    for (at, _) in lines.text.match_indices(&*old).take(places) {
        let (start, end) = (lines.original(at), lines.original(at + old.len()));
        text += &body[from..start];
        text += match &with_crlf {
            Some(with_crlf) if ends.is_crlf(start) => with_crlf,
            _ => &new,
        };
        from = end;
    }
    text += &body[from..];
    Ok(Edited { text, places, line: line_of(first), indented })
}

/// Text with `\n` for every `\r\n`, and the way back.
struct Unified<'a> {
    text: Cow<'a, str>,
    /// For each `\r\n`, where its `\n` is in `text`.
    joined: Vec<usize>,
}

impl<'a> Unified<'a> {
    fn of(text: &'a str) -> Self {
        let joined =
            memchr::memmem::find_iter(text.as_bytes(), b"\r\n").enumerate().map(|(n, at)| at - n).collect();
        Self { text: unified(text), joined }
    }

    fn has_crlf(&self) -> bool {
        !self.joined.is_empty()
    }

    /// Where this place of `text` was. Before a line end is before all of it, behind is behind all of it.
    fn original(&self, at: usize) -> usize {
        at + self.joined.partition_point(|end| *end < at)
    }
}

fn unified(text: &str) -> Cow<'_, str> {
    if text.contains("\r\n") { Cow::Owned(text.replace("\r\n", "\n")) } else { Cow::Borrowed(text) }
}

/// Where lines end, for places that are asked for in ascending order: all of them take one pass over the text.
struct LineEnds<'a> {
    bytes: &'a [u8],
    /// The first line end at or behind the place asked for last.
    next: Option<usize>,
    last: Option<usize>,
}

impl<'a> LineEnds<'a> {
    fn of(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        Self { bytes, next: memchr::memchr(b'\n', bytes), last: memchr::memrchr(b'\n', bytes) }
    }

    /// Whether the line that holds this place ends, or when it is the last one the line before it, in `\r\n`.
    fn is_crlf(&mut self, at: usize) -> bool {
        if self.next.is_some_and(|next| next < at) {
            self.next = memchr::memchr(b'\n', &self.bytes[at..]).map(|end| at + end);
        }
        self.next.or(self.last).is_some_and(|end| end > 0 && self.bytes[end - 1] == b'\r')
    }
}

/// Says that the text is not there, and what comes near it.
fn not_found(path: &str, text: &str, old: &str) -> String {
    let Some(passage) = near::passage(text, old) else {
        return format!("`old` does not occur in `{path}`, nor anything like it; read the file again");
    };
    let how = if passage.only_white_space { "Only white space differs from" } else { "Nearest is" };
    format!("`old` does not occur in `{path}`. {how} {}", near::shown(text, &passage))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn args(old: &str, new: &str) -> EditArgs {
        EditArgs { path: "f".into(), old: old.into(), new: new.into(), replace_all: None }
    }

    fn edited(file: &str, old: &str, new: &str) -> Result<String, String> {
        edit(file, &args(old, new)).map(|edited| edited.text)
    }

    #[test]
    fn line_ends_are_kept() {
        assert_eq!(edited("a\r\nb\r\nc\r\n", "a\nb\n", "x\ny\nz\n").unwrap(), "x\r\ny\r\nz\r\nc\r\n");
        assert_eq!(edited("a\r\nb\nc", "b\nc", "d\ne").unwrap(), "a\r\nd\ne", "each line's own");
        assert_eq!(edited("a\r\nb", "b", "c\nd").unwrap(), "a\r\nc\r\nd", "the last line has that before it");
        assert_eq!(edited("a\r\nb\r\n", "a\r\n", "x\r\n").unwrap(), "x\r\nb\r\n");
        assert_eq!(edited("a\nb\n", "a", "a\r").unwrap(), "a\r\nb\n", "without CRLF nothing is converted");
    }

    #[test]
    fn a_byte_order_mark_and_the_lack_of_a_final_newline_are_kept() {
        assert_eq!(edited("\u{FEFF}a\nb", "a\nb", "c").unwrap(), "\u{FEFF}c");
        assert_eq!(edited("\u{FEFF}a", "\u{FEFF}a", "\u{FEFF}b").unwrap(), "\u{FEFF}b");
    }

    #[test]
    fn what_occurs_twice_is_not_guessed() {
        let error = edited("x\ny\nx\n", "x", "z").unwrap_err();
        assert!(error.contains("at lines 1, 3;"), "{error}");
        assert!(edited("aaa", "aa", "b").is_err(), "overlapping occurrences are two");
        assert!(edited(&"x\n".repeat(9), "x", "y").unwrap_err().contains("1, 2, 3, 4, 5 and more"));
        let all = EditArgs { replace_all: Some(true), ..args("x", "z") };
        assert_eq!(edit("x\ny\nx\n", &all).unwrap().text, "z\ny\nz\n");
    }

    #[test]
    fn what_nearly_matched_is_shown() {
        let file = "fn main() {\n\tprintln!(\"hi\");\n}\n";
        let twice = format!("{file}{file}");
        let error = edited(&twice, "    println!(\"hi\");", "x").unwrap_err();
        assert_eq!(
            error,
            "`old` does not occur in `f`. Only white space differs from line 2:\n     2\t\tprintln!(\"hi\");\n"
        );
        assert_eq!(edited(file, "    println!(\"hi\");", "x").unwrap(), "fn main() {\n\tx\n}\n");
        let error = edited(file, "    println!(\"hi!\");", "x").unwrap_err();
        assert!(error.contains("Nearest is line 2:"), "{error}");
        assert!(edited(file, "zebra", "x").unwrap_err().contains("nor anything like it"));
    }

    #[test]
    fn nothing_to_do_is_an_error() {
        assert!(edited("a", "", "b").unwrap_err().contains("`write`"));
        assert!(edited("a", "a", "a").unwrap_err().contains("the same"));
        assert!(edited("a\r\n", "a\r\n", "a\n").unwrap_err().contains("line ends only"));
    }

    #[test]
    fn a_file_cannot_be_blown_up() {
        let all = EditArgs { replace_all: Some(true), ..args("a", &"b".repeat(1 << 20)) };
        assert!(edit(&"a".repeat(1 << 20), &all).unwrap_err().contains("larger than"));
    }

    #[test]
    fn many_places_in_one_long_line_take_one_pass() {
        let all = EditArgs { replace_all: Some(true), ..args("a", "\n") };
        let body = "a".repeat(1 << 20);
        let got = edit(&format!("\r\n{body}"), &all).unwrap();
        assert_eq!((got.places, got.line), (1 << 20, 2));
        assert!(got.text.len() == (2 << 20) + 2 && got.text.ends_with("\r\n\r\n"));
        let got = edit(&format!("{body}\r\na\n"), &all).unwrap();
        assert!(got.text.starts_with("\r\n\r\n") && got.text.ends_with("\r\n\r\n\n\n"));
    }

    proptest! {
        #[test]
        fn exactly_one_place_changes_and_every_other_byte_stays(
            before in "[a-cé€\n\r]{0,20}", old in "[x-z😀\n\r]{1,8}", new in "[a-z€]{0,8}", after in "[a-cé€\n\r]{0,20}",
        ) {
            // The parts share only line ends; where those touch, the place is not the one we think of.
            prop_assume!(!old.starts_with(['\n', '\r']) && !old.ends_with(['\n', '\r']) && old != new);
            let file = format!("{before}{old}{after}");
            prop_assert_eq!(edited(&file, &old, &new).unwrap(), format!("{before}{new}{after}"));
        }

        #[test]
        fn crlf_files_take_lf_edits(
            lines in prop::collection::vec("[a-c]{0,4}", 1..8), at in any::<prop::sample::Index>(),
            new in prop::collection::vec("[d-f]{0,4}", 1..4),
        ) {
            let mut old = lines.clone();
            let at = at.index(lines.len());
            old[at] = "OLD\nOLD2".into();
            let mut expected = lines;
            expected[at] = new.join("\n");
            let crlf = |lines: Vec<String>| lines.join("\n").replace('\n', "\r\n");
            prop_assert_eq!(edited(&crlf(old), "OLD\nOLD2", &new.join("\n")).unwrap(), crlf(expected));
        }

        #[test]
        fn nothing_panics(file in "[ab\r\n\u{FEFF}é]{0,30}", old in "[ab\r\né]{0,5}", new in "[ab\r\n]{0,5}", all: bool) {
            let _ = edit(&file, &EditArgs { replace_all: Some(all), ..args(&old, &new) });
        }
    }
}
