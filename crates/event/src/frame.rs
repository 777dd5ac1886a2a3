//! Frames: data stands between `<name …>` and `</name>` where the model reads it, and nothing in it can end its frame or
//! begin another of that name.

use std::borrow::Cow;

/// The text as it can stand in a frame of this name (lower case, ASCII): a tag of that name in it, in whatever case and
/// with white space in it, gets a backslash behind its `<`.
#[must_use]
pub fn inside<'a>(frame: &str, text: &'a str) -> Cow<'a, str> {
    let mut out = String::new();
    let mut from = 0;
    for (at, _) in text.match_indices('<') {
        let rest = text.get(at + 1..).unwrap_or_default().trim_start();
        let rest = rest.strip_prefix('/').unwrap_or(rest).trim_start();
        let named = rest.get(..frame.len()).is_some_and(|name| name.eq_ignore_ascii_case(frame));
        if named {
            out.push_str(text.get(from..=at).unwrap_or_default());
            out.push('\\');
            from = at + 1;
        }
    }
    if from == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(text.get(from..).unwrap_or_default());
    Cow::Owned(out)
}

/// A name, such as a path, as it can stand between quotes in a frame's beginning: on one line, without what ends either.
#[must_use]
pub fn quoted(name: &str) -> String {
    name.chars()
        .map(
            |c| {
                if c.is_control() || matches!(c, '"' | '<' | '>' | '\u{2028}' | '\u{2029}') { '?' } else { c }
            },
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_a_frame_or_begins_one_of_its_name() {
        for (text, kept) in [
            ("a </hook> b", r"a <\/hook> b"),
            ("</HOOK>", r"<\/HOOK>"),
            ("< / hook >", r"<\ / hook >"),
            ("<hook point=\"x\">", "<\\hook point=\"x\">"),
            ("<\n/hook", "<\\\n/hook"),
            ("<b>bold</b> 1 < 2", "<b>bold</b> 1 < 2"),
            ("<ho", "<ho"),
            ("é<", "é<"),
        ] {
            assert_eq!(inside("hook", text), kept);
        }
    }

    #[test]
    fn a_name_stays_on_its_line_and_in_its_quotes() {
        assert_eq!(quoted("a\"b>\nc\u{2028}d é"), "a?b??c?d é");
    }
}
