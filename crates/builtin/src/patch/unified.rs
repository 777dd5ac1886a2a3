//! Unified diffs, as `git diff`, `git format-patch` and `diff -u` write them: also renames, copies, modes and names in quotes.
//! What stands around the files' sections is passed over; what is wrong within one is an error.

use std::borrow::Cow;

use super::{Act, Hunk, Line, Section, Sign, is_tail};

/// First names of paths that git puts before the old and the new path, and that are no folders.
const PREFIXES: [(&str, &str); 6] =
    [("a/", "b/"), ("b/", "a/"), ("i/", "w/"), ("c/", "i/"), ("c/", "w/"), ("o/", "w/")];

/// Where a file is not.
const NOWHERE: &str = "/dev/null";

/// Reads the sections.
pub(super) fn parse<'a>(lines: &[&'a str]) -> Result<Vec<Section<'a>>, String> {
    let mut sections = Vec::new();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        if line.starts_with("diff --git ") || begins_file(lines, at) {
            let (section, next) = section(lines, at)?;
            sections.push(section);
            at = next;
        } else if line.starts_with("diff --cc ") || line.starts_with("diff --combined ") {
            return Err(format!(
                "line {}: a merge's combined diff cannot be applied; give a plain one",
                at + 1
            ));
        } else if line.starts_with("@@ -") {
            return Err(format!(
                "line {}: a hunk without a file: `--- a/FILE` and `+++ b/FILE` must come before it",
                at + 1
            ));
        } else if is_binary(line) {
            return Err(binary(at));
        } else {
            at += 1;
        }
    }
    Ok(sections)
}

fn begins_file(lines: &[&str], at: usize) -> bool {
    let begins = |at: usize, with: &str| lines.get(at).is_some_and(|line| line.starts_with(with));
    begins(at, "--- ") && begins(at + 1, "+++ ")
}

fn is_binary(line: &str) -> bool {
    let line = line.trim_end();
    line == "GIT binary patch" || (line.starts_with("Binary files ") && line.ends_with(" differ"))
}

fn binary(at: usize) -> String {
    format!(
        "line {}: a binary file cannot be patched here; make it with a command, or `git apply` a patch of `git diff --binary` in `bash`",
        at + 1
    )
}

/// What the lines before the hunks say.
#[derive(Default)]
struct Header<'a> {
    /// As in `diff --git`, with their prefixes.
    git: Option<(Cow<'a, str>, Cow<'a, str>)>,
    /// As in `---` and `+++`.
    old: Option<Cow<'a, str>>,
    new: Option<Cow<'a, str>>,
    renamed: (Option<String>, Option<String>),
    copied: (Option<String>, Option<String>),
    is_new: bool,
    is_deleted: bool,
    program: Option<bool>,
}

/// Reads the section that begins at line `at`; gives where the next may begin.
fn section<'a>(lines: &[&'a str], at: usize) -> Result<(Section<'a>, usize), String> {
    let (header, mut next) = header(lines, at)?;
    if lines.get(next).is_some_and(|line| is_binary(line)) {
        return Err(binary(next));
    }
    let mut hunks = Vec::new();
    while lines.get(next).is_some_and(|line| line.starts_with("@@")) {
        let (hunk, after) = hunk(lines, next)?;
        hunks.push(hunk);
        next = after + lines.iter().skip(after).take_while(|line| line.trim().is_empty()).count();
        if after == next && !may_follow(lines, next) || is_stray(lines, next) {
            return Err(format!(
                "line {}: this is no line of a hunk, and nothing that may follow one (each line of a hunk begins with a space, `+` or `-`)",
                next + 1
            ));
        }
    }
    let program = header.program;
    let says_all = program.is_some() || header.is_deleted;
    let act = header.act().map_err(|problem| format!("line {}: {problem}", at + 1))?;
    if hunks.is_empty() && !says_all && !matches!(act, Act::Move { .. } | Act::Copy { .. }) {
        return Err(format!("line {}: nothing is to be done to this file: there is no hunk", at + 1));
    }
    Ok((Section { act, hunks, program }, next))
}

fn header<'a>(lines: &[&'a str], mut at: usize) -> Result<(Header<'a>, usize), String> {
    let mut header = Header::default();
    if let Some(names) = lines.get(at).and_then(|line| line.strip_prefix("diff --git ")) {
        header.git = both(names.trim_end_matches('\r'));
        at += 1;
        while let Some(line) = lines.get(at).map(|line| line.trim_end_matches('\r')) {
            let wrong = |problem: &str| format!("line {}: {problem}", at + 1);
            let path = |text: &str| {
                name(text).map(|(name, _)| Some(name.into_owned())).ok_or_else(|| wrong("this is no path"))
            };
            let mode = |text: &str| mode(text).map_err(|problem| wrong(&problem));
            if let Some(text) = line.strip_prefix("new file mode ") {
                (header.is_new, header.program) = (true, Some(mode(text)?));
            } else if let Some(text) = line.strip_prefix("deleted file mode ") {
                header.is_deleted = true;
                mode(text)?;
            } else if let Some(text) = line.strip_prefix("old mode ") {
                mode(text)?;
            } else if let Some(text) = line.strip_prefix("new mode ") {
                header.program = Some(mode(text)?);
            } else if let Some(text) = line.strip_prefix("rename from ") {
                header.renamed.0 = path(text)?;
            } else if let Some(text) = line.strip_prefix("rename to ") {
                header.renamed.1 = path(text)?;
            } else if let Some(text) = line.strip_prefix("copy from ") {
                header.copied.0 = path(text)?;
            } else if let Some(text) = line.strip_prefix("copy to ") {
                header.copied.1 = path(text)?;
            } else if let Some(text) = line.strip_prefix("index ") {
                if let Some((_, text)) = text.split_once(' ') {
                    mode(text)?;
                }
            } else if !line.starts_with("similarity index ") && !line.starts_with("dissimilarity index ") {
                break;
            }
            at += 1;
        }
    }
    if begins_file(lines, at) {
        let side = |line: Option<&&'a str>, sign: &str| {
            line.and_then(|line| line.strip_prefix(sign)).and_then(name).map(|(name, _)| name)
        };
        (header.old, header.new) = (side(lines.get(at), "--- "), side(lines.get(at + 1), "+++ "));
        if header.old.is_none() || header.new.is_none() {
            return Err(format!("line {}: this is no path", at + 1));
        }
        at += 2;
    }
    Ok((header, at))
}

impl Header<'_> {
    fn act(self) -> Result<Act, String> {
        for ((from, to), copied) in [(self.renamed, false), (self.copied, true)] {
            match (from, to) {
                (None, None) => {}
                (Some(from), Some(to)) if from == to => return Ok(Act::Update { path: to }),
                (Some(from), Some(to)) if copied => return Ok(Act::Copy { from, to }),
                (Some(from), Some(to)) => return Ok(Act::Move { from, to }),
                _ => return Err("of a rename or a copy both `from` and `to` must be named".to_owned()),
            }
        }
        let there =
            |name: &Option<Cow<'_, str>>| name.as_deref().filter(|name| *name != NOWHERE).map(str::to_owned);
        let (mut old, mut new) = (there(&self.old), there(&self.new));
        let is_named = self.old.is_some();
        let pair = match (&self.git, &old, &new) {
            (Some((old, new)), ..) => Some((old.to_string(), new.to_string())),
            (None, Some(old), Some(new)) => Some((old.clone(), new.clone())),
            _ => None,
        };
        let prefix = pair.as_ref().map_or(Some(("a/", "b/")), |(old, new)| prefix(old, new));
        if !is_named {
            (old, new) = pair.map_or((None, None), |(old, new)| (Some(old), Some(new)));
        }
        if let Some((before_old, before_new)) = prefix {
            let strip =
                |name: String, prefix: &str| name.strip_prefix(prefix).map(str::to_owned).unwrap_or(name);
            (old, new) = (old.map(|old| strip(old, before_old)), new.map(|new| strip(new, before_new)));
        }
        let is_new = self.is_new || (is_named && old.is_none());
        let is_deleted = self.is_deleted || (is_named && new.is_none());
        match (old, new) {
            (_, Some(path)) if is_new && !is_deleted => Ok(Act::Add { path }),
            (Some(path), _) if is_deleted && !is_new => Ok(Act::Delete { path }),
            (Some(old), Some(new)) if old == new && !is_new => Ok(Act::Update { path: new }),
            (Some(old), Some(new)) => Err(format!(
                "it names both `{old}` and `{new}`: to move a file say so by `rename from` and `rename to`"
            )),
            _ => Err("it does not say which file it is for".to_owned()),
        }
    }
}

/// What git put before both paths; nothing where they stand as they are.
fn prefix(old: &str, new: &str) -> Option<(&'static str, &'static str)> {
    let fits = |(a, b): &(&str, &str)| {
        old.strip_prefix(a).zip(new.strip_prefix(b)).is_some_and(|(old, new)| old == new || *a == "a/")
    };
    PREFIXES.into_iter().find(|pair| fits(&(pair.0, pair.1)))
}

/// Whether a file of this mode may be run.
fn mode(text: &str) -> Result<bool, String> {
    match text.trim() {
        "100644" | "100664" => Ok(false),
        "100755" => Ok(true),
        "120000" => Err("a symbolic link cannot be patched here; `bash` can make or remove it".to_owned()),
        "160000" => Err("a submodule cannot be patched here; `git` in `bash` can".to_owned()),
        other => Err(format!("`{other}` is no mode of a file")),
    }
}

/// Both paths of `diff --git`. Where they are not in quotes and hold spaces, only paths that are the same but for their
/// prefix can be told apart; others are named elsewhere.
fn both(names: &str) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    if names.starts_with('"') || names.ends_with('"') {
        let (old, rest) = match names.starts_with('"') {
            true => name(names)?,
            false => names.split_once(" \"").map(|(old, _)| (Cow::Borrowed(old), &names[old.len()..]))?,
        };
        let rest = rest.strip_prefix(' ')?;
        let new = if rest.starts_with('"') { name(rest)?.0 } else { Cow::Borrowed(rest) };
        return Some((old, new));
    }
    let middle = names.len() / 2;
    let halves = names.is_char_boundary(middle).then(|| names.split_at(middle));
    let same = halves.and_then(|(old, new)| {
        let new = new.strip_prefix(' ')?;
        let is_same =
            old == new || prefix(old, new).is_some_and(|(a, b)| old.get(a.len()..) == new.get(b.len()..));
        is_same.then_some((old, new))
    });
    let (old, new) = same.or_else(|| names.split_once(' ').filter(|(_, new)| !new.contains(' ')))?;
    Some((Cow::Borrowed(old), Cow::Borrowed(new)))
}

/// A path at the start of a text, and what follows it: in quotes as C has them, or up to a tab.
fn name(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let name = text.split('\t').next().unwrap_or_default();
        let name = if name.len() < text.len() { name } else { name.trim_end() };
        return (!name.is_empty()).then(|| (Cow::Borrowed(name), &text[name.len()..]));
    };
    let mut bytes = Vec::new();
    let mut rest = quoted.bytes().enumerate();
    while let Some((at, byte)) = rest.next() {
        match byte {
            b'"' => {
                let name = String::from_utf8(bytes).ok().filter(|name| !name.is_empty())?;
                return Some((Cow::Owned(name), quoted.get(at + 1..)?));
            }
            b'\\' => bytes.push(match rest.next()?.1 {
                b'a' => 7,
                b'b' => 8,
                b't' => b'\t',
                b'n' => b'\n',
                b'v' => 11,
                b'f' => 12,
                b'r' => b'\r',
                first @ b'0'..=b'3' => {
                    let (second, third) = (octal(rest.next()?.1)?, octal(rest.next()?.1)?);
                    (first - b'0') << 6 | second << 3 | third
                }
                other @ (b'"' | b'\\') => other,
                _ => return None,
            }),
            other => bytes.push(other),
        }
    }
    None
}

fn octal(digit: u8) -> Option<u8> {
    matches!(digit, b'0'..=b'7').then(|| digit - b'0')
}

/// The numbers of a hunk's first line, behind the `@@`: where it starts in the old file and how many lines it has there, and
/// the same for the new one.
pub(super) fn numbers(text: &str) -> Option<(usize, usize, usize, usize)> {
    let range = |text: &str, sign: char| -> Option<(usize, usize)> {
        let text = text.strip_prefix(sign)?;
        let (start, count) = text.split_once(',').unwrap_or((text, "1"));
        let number =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        Some((number(start)?, number(count)?))
    };
    let mut words = text.split_whitespace();
    let (old, new) = (range(words.next()?, '-')?, range(words.next()?, '+')?);
    words.next().is_none_or(|word| word == "@@").then_some((old.0, old.1, new.0, new.1))
}

/// Reads the hunk that begins at line `at`; gives the line behind it.
fn hunk<'a>(lines: &[&'a str], at: usize) -> Result<(Hunk<'a>, usize), String> {
    let told = lines.get(at).and_then(|line| numbers(line.trim_start_matches('@')));
    let strict = told.and_then(|(_, old, _, new)| counted(lines, at + 1, old, new));
    let (body, next) = match strict {
        Some(read) => read,
        None => uncounted(lines, at + 1)?,
    };
    let ends_file = body.iter().any(|line| line.unended);
    Ok((Hunk { behind: Vec::new(), at: told.map(|told| told.0), lines: body, ends_file }, next))
}

/// As many lines as the hunk's first line says; `None` when it says something else than what follows.
fn counted<'a>(
    lines: &[&'a str],
    mut at: usize,
    mut old: usize,
    mut new: usize,
) -> Option<(Vec<Line<'a>>, usize)> {
    let mut body: Vec<Line<'a>> = Vec::new();
    while old > 0 || new > 0 {
        let text = lines.get(at)?;
        at += 1;
        if is_unended(text) {
            body.last_mut()?.unended = true;
            continue;
        }
        let line = Line::read(text)?;
        if line.sign != Sign::Add {
            old = old.checked_sub(1)?;
        }
        if line.sign != Sign::Remove {
            new = new.checked_sub(1)?;
        }
        body.push(line);
    }
    if lines.get(at).is_some_and(|text| is_unended(text)) {
        body.last_mut()?.unended = true;
        at += 1;
    }
    let more = lines.get(at).is_some_and(|line| line.starts_with([' ', '+', '-']) && !is_over(lines, at));
    (!body.is_empty() && !more).then_some((body, at))
}

/// Lines up to what cannot belong to the hunk: its numbers are wrong.
fn uncounted<'a>(lines: &[&'a str], first: usize) -> Result<(Vec<Line<'a>>, usize), String> {
    let (mut body, mut signed): (Vec<Line<'a>>, usize) = (Vec::new(), 0);
    let mut at = first;
    while let Some(text) = lines.get(at).filter(|_| !is_over(lines, at)) {
        if is_unended(text) {
            if let Some(last) = body.last_mut() {
                last.unended = true;
            }
        } else {
            let line = Line::read(text).ok_or_else(|| {
                format!("line {}: a line of a hunk must begin with a space, `+` or `-`", at + 1)
            })?;
            body.push(line);
            if !text.trim_end_matches('\r').is_empty() {
                signed = body.len();
            }
        }
        at += 1;
    }
    // Empty lines at its end, without even a sign, are more likely to be space behind it.
    body.truncate(signed);
    if body.is_empty() { Err(format!("line {first}: the hunk has no lines")) } else { Ok((body, at)) }
}

/// What the next line after a hunk may begin with, besides what [`is_over`] knows.
const FOLLOW: [&str; 6] = ["diff ", "Index: ", "index ", "Only in ", "From ", "commit "];

fn may_follow(lines: &[&str], at: usize) -> bool {
    is_over(lines, at) || lines.get(at).is_some_and(|line| FOLLOW.iter().any(|start| line.starts_with(start)))
}

/// Whether a line looks like one of a hunk, and is in none.
fn is_stray(lines: &[&str], at: usize) -> bool {
    lines.get(at).is_some_and(|line| line.starts_with([' ', '+', '-'])) && !is_over(lines, at)
}

fn is_unended(line: &str) -> bool {
    line.starts_with('\\')
}

/// Whether no hunk goes on in this line, whatever numbers it has.
fn is_over(lines: &[&str], at: usize) -> bool {
    let Some(line) = lines.get(at) else { return true };
    line.starts_with("@@")
        || line.starts_with("diff --git ")
        || (begins_file(lines, at) && lines.get(at + 2).is_none_or(|line| line.starts_with("@@")))
        || (is_signature(line)
            && lines.get(at + 1).is_some_and(|line| line.starts_with(|c: char| c.is_ascii_digit())))
        || (!line.trim().is_empty() && lines.iter().skip(at).all(|line| is_tail(line)))
}

/// How `git format-patch` ends, before its version.
fn is_signature(line: &str) -> bool {
    line.trim_end_matches('\r') == "-- "
}
