//! Text that is in a file with another indentation alone: found where it is the only one, and its replacement is given the
//! file's.

/// Most lines of `old` that are looked for so.
const LINES: usize = 200;

/// Where `old` is in `text` but for the indentation of its lines, as it is there, and `new` indented like it. Nothing
/// where it is there more than once, where one of its lines is indented in another way than the others, or where `new`
/// goes out farther than `old`.
pub(crate) fn as_there(text: &str, old: &str, new: &str) -> Option<(usize, String, String)> {
    let body = |text: &str| text.trim_matches('\n').to_owned();
    let (old, mut new) = (body(old), body(new));
    let wanted: Vec<&str> = old.lines().collect();
    if wanted.len() > LINES || wanted.iter().all(|line| line.trim().is_empty()) {
        return None;
    }
    let (first, there) = only(text, &wanted)?;
    // How the file indents what `old` does not.
    let mut pairs = there.lines().zip(&wanted).filter(|(there, _)| !there.trim().is_empty());
    let (begins, wanted_begins) = pairs.next()?;
    let (outer, inner) = (margin(begins), margin(wanted_begins));
    let same = |(there, wanted): (&str, &&str)| {
        margin(wanted).strip_prefix(inner).is_some_and(|more| margin(there) == format!("{outer}{more}"))
    };
    if !pairs.all(same) {
        return None;
    }
    let mut lines = Vec::new();
    for line in new.lines() {
        lines.push(match line.strip_prefix(inner) {
            _ if line.trim().is_empty() => String::new(),
            Some(rest) => format!("{outer}{rest}"),
            // One line for another stands where that stood.
            None if wanted.len() == 1 && new.lines().count() == 1 => format!("{outer}{}", line.trim_start()),
            None => return None,
        });
    }
    new = lines.join("\n");
    Some((first, there.to_owned(), new))
}

/// The only lines of a text that are these but for indentation, and where they begin.
fn only<'a>(text: &'a str, wanted: &[&str]) -> Option<(usize, &'a str)> {
    let mut starts = vec![0];
    starts.extend(memchr::memchr_iter(b'\n', text.as_bytes()).map(|end| end + 1));
    let lines: Vec<&str> = text.split('\n').collect();
    let head = wanted.first()?.trim();
    let mut found = None;
    for (at, line) in lines.iter().enumerate() {
        let like = line.trim() == head
            && lines.get(at..at + wanted.len()).is_some_and(|lines| {
                lines.iter().zip(wanted).all(|(line, wanted)| line.trim() == wanted.trim())
            });
        if like && found.replace(at).is_some() {
            return None;
        }
    }
    let (from, last) = (found?, found? + wanted.len() - 1);
    let (start, end) = (*starts.get(from)?, starts.get(last)? + lines.get(last)?.len());
    Some((start, text.get(start..end)?))
}

/// The white space that a line begins with.
fn margin(line: &str) -> &str {
    let text = line.trim_start_matches([' ', '\t']);
    line.get(..line.len() - text.len()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn replaced(text: &str, old: &str, new: &str) -> Option<String> {
        let (at, there, new) = as_there(text, old, new)?;
        assert_eq!(&text[at..at + there.len()], there);
        Some(format!("{}{new}{}", &text[..at], &text[at + there.len()..]))
    }

    const FILE: &str =
        "def f(xs):\n    for x in xs:\n        if x < 0:\n            return x\n    return 0\n";

    #[test]
    fn new_text_is_indented_as_the_old_is() {
        let got = replaced(FILE, "if x < 0:", "if x > 0:").unwrap();
        assert_eq!(got, FILE.replace("x < 0", "x > 0"));
        let got =
            replaced(FILE, "if x < 0:\n    return x", "if x > 0:\n    print(x)\n\n    return x").unwrap();
        let block = "        if x > 0:\n            print(x)\n\n            return x\n";
        assert!(got.contains(block), "{got}");
        assert_eq!(replaced(FILE, "    if x < 0:", "if x > 0:").unwrap(), FILE.replace("x < 0", "x > 0"));
        let deep = "                return 0";
        assert!(replaced(FILE, deep, "                return 1").unwrap().ends_with("\n    return 1\n"));
    }

    #[test]
    fn what_could_be_meant_otherwise_is_left_alone() {
        assert_eq!(replaced("  a\n    a\n", "a", "b"), None, "it is there twice");
        assert_eq!(replaced("\tif x:\n\t\ty\n", "if x:\n    y", "if x:\n    z"), None, "tabs and spaces");
        let out = "if x > 0:\n    return x";
        assert_eq!(replaced(FILE, "    if x < 0:\n        return x", out), None, "it goes out farther");
        assert_eq!(replaced(FILE, "if x <  0:", "y"), None, "other white space counts");
        assert_eq!(replaced("", " ", "y"), None);
    }

    proptest! {
        #[test]
        fn every_other_byte_stays(
            before in prop::collection::vec("[ ]{0,4}[a-c]{0,3}", 0..4), after in prop::collection::vec("[ ]{0,4}[a-c]{0,3}", 0..4),
            margin in "[ ]{0,6}", lines in prop::collection::vec("[ ]{0,3}[x-z]{1,3}", 1..4), new in "[d-f]{0,4}",
        ) {
            // The first line is the outermost of them, as that of a statement is.
            let lines: Vec<String> =
                lines.iter().enumerate().map(|(n, line)| if n == 0 { line.trim().to_owned() } else { line.clone() }).collect();
            let there: Vec<String> = lines.iter().map(|line| format!("{margin}{line}")).collect();
            let file = |middle: &str| [before.clone(), vec![middle.to_owned()], after.clone()].concat().join("\n");
            let wanted = if new.is_empty() { String::new() } else { format!("{margin}{new}") };
            prop_assert_eq!(replaced(&file(&there.join("\n")), &lines.join("\n"), &new), Some(file(&wanted)));
        }

        #[test]
        fn nothing_panics(text in "[ab \t\né]{0,30}", old in "[ab \t\né]{0,8}", new in "[ab \t\n]{0,8}") {
            let _ = as_there(&text, &old, &new);
        }
    }
}
