//! The envelope: `*** Begin Patch`, sections that begin with `*** Add File:`, `*** Delete File:` or `*** Update File:`, and
//! `*** End Patch`. Hunks begin with `@@`, behind which a line of the file may stand that comes before them.

use super::{Act, Hunk, Line, Section, Sign, is_tail, unified};

pub(super) const BEGIN: &str = "*** Begin Patch";
const END: &str = "*** End Patch";
const END_OF_FILE: &str = "*** End of File";

/// Reads the sections, whose first line is `at`.
pub(super) fn parse<'a>(lines: &[&'a str], mut at: usize) -> Result<Vec<Section<'a>>, String> {
    let mut sections = Vec::new();
    loop {
        let Some(line) = lines.get(at).map(|line| line.trim_end()) else {
            return Err(format!("the patch does not end in `{END}`: is it whole?"));
        };
        let path = |name: &str| -> Option<Result<String, String>> {
            let path = line.strip_prefix("*** ")?.strip_prefix(name)?.strip_prefix(':')?.trim();
            let missing = || format!("line {}: a path is missing behind `*** {name}:`", at + 1);
            Some(if path.is_empty() { Err(missing()) } else { Ok(path.to_owned()) })
        };
        if line == END {
            return match lines.iter().skip(at + 1).position(|line| !is_tail(line)) {
                _ if sections.is_empty() => Err("the patch is empty".to_owned()),
                None => Ok(sections),
                Some(more) => Err(format!("line {}: something follows `{END}`", at + more + 2)),
            };
        } else if line.is_empty() {
            at += 1;
        } else if let Some(path) = path("Add File") {
            let (hunk, next) = added(lines, at + 1)?;
            let hunks = if hunk.lines.is_empty() { Vec::new() } else { vec![hunk] };
            sections.push(Section { act: Act::Add { path: path? }, hunks, program: None });
            at = next;
        } else if let Some(path) = path("Delete File") {
            sections.push(Section { act: Act::Delete { path: path? }, hunks: Vec::new(), program: None });
            at += 1;
        } else if let Some(path) = path("Update File") {
            let from = path?;
            let to = lines.get(at + 1).and_then(|line| line.trim_end().strip_prefix("*** Move to:"));
            let to = to.map(|to| to.trim().to_owned());
            if to.as_ref().is_some_and(String::is_empty) {
                return Err(format!("line {}: a path is missing behind `*** Move to:`", at + 2));
            }
            let (hunks, next) = hunks(lines, at + 1 + usize::from(to.is_some()))?;
            let act = match to.filter(|to| *to != from) {
                Some(to) => Act::Move { from, to },
                None if hunks.is_empty() => {
                    return Err(format!("line {}: nothing is to be done to `{from}`", at + 1));
                }
                None => Act::Update { path: from },
            };
            sections.push(Section { act, hunks, program: None });
            at = next;
        } else {
            return Err(format!(
                "line {}: expected `*** Add File: `, `*** Delete File: `, `*** Update File: ` or `{END}`",
                at + 1
            ));
        }
    }
}

/// Most blank lines in a row that are looked past, so that a patch of nothing else is read in good time.
const BLANK: usize = 1_000;

/// Whether a section ends before this line.
fn is_control(line: &str) -> bool {
    line.starts_with("*** ")
}

/// The lines of a new file.
fn added<'a>(lines: &[&'a str], mut at: usize) -> Result<(Hunk<'a>, usize), String> {
    let mut hunk = Hunk::default();
    while let Some(line) = lines.get(at).filter(|line| !is_control(line)) {
        match Line::read(line) {
            Some(line @ Line { sign: Sign::Add, .. }) => hunk.lines.push(line),
            // Only before what comes next.
            _ if line.trim().is_empty() && ends(lines, at) => {}
            _ => return Err(format!("line {}: each line of a new file must begin with `+`", at + 1)),
        }
        at += 1;
    }
    Ok((hunk, at))
}

/// Whether nothing but blank lines is left before the section ends.
fn ends(lines: &[&str], at: usize) -> bool {
    let mut next = lines.iter().skip(at).take(BLANK);
    next.find(|line| !line.trim().is_empty()).is_none_or(|line| is_control(line))
}

/// The hunks of an update.
fn hunks<'a>(lines: &[&'a str], mut at: usize) -> Result<(Vec<Hunk<'a>>, usize), String> {
    let mut hunks = Vec::new();
    loop {
        // Blank lines may stand between hunks.
        while lines.get(at).is_some_and(|line| line.trim_end().is_empty()) && begins(lines, at) {
            at += 1;
        }
        let Some(line) = lines.get(at) else { return Ok((hunks, at)) };
        if is_control(line) && line.trim_end() != END_OF_FILE {
            return Ok((hunks, at));
        }
        let mut hunk = Hunk::default();
        let first = at;
        while let Some(header) = lines.get(at).and_then(|line| line.trim_end().strip_prefix("@@")) {
            let header = header.trim_end_matches("@@").trim();
            match unified::numbers(header) {
                Some((start, _, _, _)) => hunk.at = Some(start),
                None if header.is_empty() => {}
                None => hunk.behind.push(header),
            }
            at += 1;
        }
        let mut signed = 0;
        while let Some(text) = lines.get(at).filter(|line| !is_control(line) && !line.starts_with("@@")) {
            let Some(line) = Line::read(text) else {
                return Err(format!("line {}: a line of a hunk must begin with a space, `+` or `-`", at + 1));
            };
            hunk.lines.push(line);
            if !text.trim_end_matches('\r').is_empty() {
                signed = hunk.lines.len();
            }
            at += 1;
        }
        if lines.get(at).is_some_and(|line| line.trim_end() == END_OF_FILE) {
            hunk.ends_file = true;
            at += 1;
        } else {
            // Empty lines at its end, without even a sign, are more likely to be space between hunks.
            hunk.lines.truncate(signed);
        }
        if hunk.lines.is_empty() {
            return Err(format!("line {}: the hunk has no lines", first + 1));
        }
        hunks.push(hunk);
    }
}

/// Whether the next line that is not blank begins a hunk or ends the section.
fn begins(lines: &[&str], at: usize) -> bool {
    let next = lines.iter().skip(at).take(BLANK).find(|line| !line.trim_end().is_empty());
    next.is_none_or(|line| is_control(line) || line.starts_with("@@"))
}
