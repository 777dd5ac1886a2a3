//! Where the hunks of a file go, and what the file becomes. A hunk goes where its lines are: exactly, else but for white space
//! at line ends. Where that is in several places, the line that it is said to follow decides, then its number; else it is
//! refused. Lines that are kept stay as the file has them, line ends and all.

use super::{Hunk, Line, Sign};
use crate::near;

/// Most places that are named when a hunk fits in several.
const PLACES: usize = 5;

const MARK: &str = "\u{FEFF}";

/// What a file becomes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fitted {
    pub(super) bytes: Vec<u8>,
    /// For each hunk, the first line that it changed, as the new file has it.
    pub(super) at: Vec<usize>,
    /// Whether white space at line ends was not as in the patch.
    pub(super) loosely: bool,
}

/// Whether the number of a hunk that gives no line of the file is enough to say where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbers {
    Trusted,
    Doubtful,
}

/// A run of lines of the old file that others replace.
struct Edit<'a> {
    hunk: usize,
    start: usize,
    end: usize,
    new: Vec<Line<'a>>,
    /// Whether the new lines end as those around them, whatever they have in the patch.
    adapts: bool,
}

struct File<'a> {
    /// With their ends.
    lines: Vec<&'a [u8]>,
    /// Without their ends.
    exact: Vec<&'a [u8]>,
    /// Without white space at their ends.
    loose: Vec<&'a [u8]>,
}

/// Does the hunks of one file. An error says which does not fit, and what comes near it.
pub(super) fn fit(path: &str, old: &[u8], hunks: &[Hunk<'_>], numbers: Numbers) -> Result<Fitted, String> {
    // A byte order mark is no part of the first line, unless the patch has it there.
    let says_mark = hunks.iter().flat_map(|hunk| &hunk.lines).any(|line| line.text.starts_with(MARK));
    let (mark, body) = match old.strip_prefix(MARK.as_bytes()) {
        Some(body) if !says_mark => old.split_at(old.len() - body.len()),
        _ => old.split_at(0),
    };
    let lines: Vec<&[u8]> = body.split_inclusive(|byte| *byte == b'\n').collect();
    let exact = lines.iter().map(|line| line.strip_suffix(b"\n").unwrap_or(line)).collect();
    let loose = lines.iter().map(|line| line.trim_ascii_end()).collect();
    let file = File { lines, exact, loose };

    let mut edits: Vec<Edit<'_>> = Vec::new();
    let (mut floor, mut drift, mut loosely) = (0, 0, false);
    for (n, hunk) in hunks.iter().enumerate() {
        let which = || match hunks.len() {
            1 => format!("the hunk of `{path}`"),
            all => format!("hunk {} of {all} of `{path}`", n + 1),
        };
        let search = Search { file: &file, hunk, floor, drift, numbers, edits: &edits };
        let place = search.place().map_err(|problem| problem.told(&which(), body, hunk))?;
        loosely |= place.loosely && differs(&file, hunk, place.at);
        if let Some(expected) = hunk.expected() {
            drift = place.at.cast_signed() - expected.cast_signed();
        }
        let new = edits_of(n, hunk, &place, &file);
        floor = new.last().map_or(floor, |edit| edit.end).max(floor);
        edits.extend(new);
    }
    edits.sort_by_key(|edit| (edit.start, edit.hunk));
    let mut at = vec![0; hunks.len()];
    let mut bytes = mark.to_vec();
    written(&file, &edits, &mut bytes, &mut at);
    end_as_said(&mut bytes, mark.len(), body, hunks);
    Ok(Fitted { bytes, at, loosely })
}

/// Whether a hunk's lines at its place are others by more than how they end.
fn differs(file: &File<'_>, hunk: &Hunk<'_>, at: usize) -> bool {
    fn bare(line: &[u8]) -> &[u8] {
        line.strip_suffix(b"\r").unwrap_or(line)
    }
    let there = file.exact.iter().skip(at);
    hunk.old().zip(there).any(|(line, there)| bare(line.text.as_bytes()) != bare(there))
}

impl Hunk<'_> {
    fn old(&self) -> impl Iterator<Item = &Line<'_>> {
        self.lines.iter().filter(|line| line.sign != Sign::Add)
    }

    /// The index of its first line in the old file, as its number says.
    fn expected(&self) -> Option<usize> {
        let first = usize::from(self.old().next().is_some());
        self.at.map(|at| at.saturating_sub(first))
    }
}

/// Where a hunk goes.
struct Place {
    at: usize,
    loosely: bool,
}

/// Why it goes nowhere.
enum Problem<'a> {
    Nowhere,
    /// A line that it is to follow is not there.
    NoLine(&'a str),
    /// Its lines are there, but not at the file's end, where it has to be.
    NotAtEnd,
    /// Its lines are there, but hunks before it change them.
    Taken,
    Several(Vec<usize>),
    /// It has no line by which its place could be told.
    NoLines,
}

struct Search<'a> {
    file: &'a File<'a>,
    hunk: &'a Hunk<'a>,
    /// What the hunks before it have changed ends here.
    floor: usize,
    /// How far the hunk before it was from where its number says.
    drift: isize,
    numbers: Numbers,
    edits: &'a [Edit<'a>],
}

impl<'a> Search<'a> {
    fn place(&self) -> Result<Place, Problem<'a>> {
        let count = self.file.lines.len();
        let old: Vec<&[u8]> = self.hunk.old().map(|line| line.text.as_bytes()).collect();
        if old.is_empty() {
            let given = self.hunk.at.filter(|at| *at <= count && self.numbers == Numbers::Trusted);
            return match given {
                Some(at) => Ok(Place { at, loosely: false }),
                None if count == 0 || self.hunk.ends_file => Ok(Place { at: count, loosely: false }),
                None => Err(Problem::NoLines),
            };
        }
        let loose: Vec<&[u8]> = old.iter().map(|line| line.trim_ascii_end()).collect();
        let spans = self.spans();
        // Whether nothing that it changes at a place was changed before.
        let is_free = |at: &usize| {
            let overlaps = |edit: &Edit<'_>| {
                spans.iter().any(|(start, end)| at + start < edit.end && edit.start < at + end)
            };
            !self.edits.iter().any(overlaps)
        };
        let (mut elsewhere, mut taken) = (false, false);
        for (lines, wanted, loosely) in [(&self.file.exact, &old, false), (&self.file.loose, &loose, true)] {
            let mut places = occurrences(lines, wanted);
            taken |= !places.is_empty();
            places.retain(is_free);
            if self.hunk.ends_file {
                elsewhere |= !places.is_empty();
                places.retain(|at| at + wanted.len() == count && (loosely || self.ends_alike()));
            }
            if places.is_empty() {
                continue;
            }
            match self.chosen(places) {
                Err(Problem::Nowhere) => taken = false,
                chosen => return chosen.map(|at| Place { at, loosely }),
            }
        }
        Err(match (elsewhere, taken) {
            (true, _) => Problem::NotAtEnd,
            (false, true) => Problem::Taken,
            (false, false) => Problem::Nowhere,
        })
    }

    /// The runs of lines that it changes, from its place on.
    fn spans(&self) -> Vec<(usize, usize)> {
        let mut spans = vec![(0, 0)];
        for line in &self.hunk.lines {
            let next = spans.last().map_or(0, |(_, end)| end + 1);
            match (line.sign, spans.last_mut()) {
                (Sign::Keep, _) => spans.push((next, next)),
                (Sign::Remove, Some((_, end))) => *end += 1,
                (Sign::Remove | Sign::Add, _) => {}
            }
        }
        spans
    }

    /// Whether the file's last line ends as the hunk says, where it says so.
    fn ends_alike(&self) -> bool {
        let is_unended = self.file.lines.last().is_some_and(|line| !line.ends_with(b"\n"));
        let says_unended = self.hunk.old().last().is_some_and(|line| line.unended);
        let says = self.hunk.lines.iter().any(|line| line.unended);
        !says || is_unended == says_unended
    }

    /// One of several places.
    fn chosen(&self, places: Vec<usize>) -> Result<usize, Problem<'a>> {
        if let Some(expected) = self.hunk.expected() {
            let expected = expected.saturating_add_signed(self.drift);
            let distance = |at: &usize| at.abs_diff(expected);
            let nearest = places.iter().map(distance).min();
            let near: Vec<usize> = places.into_iter().filter(|at| Some(distance(at)) == nearest).collect();
            return only(near);
        }
        if self.hunk.behind.is_empty() {
            // Hunks come in the order of the file, unless there is no other way.
            let (later, earlier): (Vec<usize>, Vec<usize>) =
                places.into_iter().partition(|at| *at >= self.floor);
            return only(if later.is_empty() { earlier } else { later });
        }
        let later: Vec<usize> = places.iter().copied().filter(|at| *at >= self.floor).collect();
        let places = if later.is_empty() { places } else { later };
        let first_from = |from: usize| places.get(places.partition_point(|at| *at < from)).copied();
        let mut found: Vec<usize> = self.starts()?.into_iter().filter_map(first_from).collect();
        found.dedup();
        only(found)
    }

    /// The lines behind those that the hunk is said to follow.
    fn starts(&self) -> Result<Vec<usize>, Problem<'a>> {
        let mut starts = vec![0];
        for wanted in &self.hunk.behind {
            let lines = self.file.exact.iter().enumerate();
            let found = lines.filter(|(_, line)| line.trim_ascii() == wanted.trim().as_bytes());
            let behind: Vec<usize> = found.map(|(at, _)| at + 1).collect();
            starts = match starts.as_slice() {
                [0] => behind,
                // Of those behind each, the first.
                starts => {
                    let first = |from: &usize| behind.get(behind.partition_point(|at| at <= from)).copied();
                    let mut next: Vec<usize> = starts.iter().filter_map(first).collect();
                    next.dedup();
                    next
                }
            };
            if starts.is_empty() {
                return Err(Problem::NoLine(wanted));
            }
        }
        Ok(starts)
    }
}

fn only(places: Vec<usize>) -> Result<usize, Problem<'static>> {
    match places.as_slice() {
        [] => Err(Problem::Nowhere),
        [only] => Ok(*only),
        _ => Err(Problem::Several(places)),
    }
}

/// Where `wanted` occurs in `lines`, also where it overlaps with itself (Knuth, Morris and Pratt).
fn occurrences(lines: &[&[u8]], wanted: &[&[u8]]) -> Vec<usize> {
    let mut borders = vec![0; wanted.len()];
    let mut matched = 0;
    for at in 1..wanted.len() {
        while matched > 0 && wanted[at] != wanted[matched] {
            matched = borders[matched - 1];
        }
        matched += usize::from(wanted[at] == wanted[matched]);
        borders[at] = matched;
    }
    let mut found = Vec::new();
    matched = 0;
    for (at, line) in lines.iter().enumerate() {
        while matched > 0 && (matched == wanted.len() || *line != wanted[matched]) {
            matched = borders[matched - 1];
        }
        matched += usize::from(*line == wanted[matched]);
        if matched == wanted.len() {
            found.push(at + 1 - matched);
        }
    }
    found
}

impl Problem<'_> {
    fn told(&self, which: &str, body: &[u8], hunk: &Hunk<'_>) -> String {
        match self {
            Self::NoLine(line) => {
                format!("{which} does not fit: no line of the file is `{line}`, which it is to follow")
            }
            Self::NotAtEnd => format!(
                "{which} does not fit: its lines are in the file, but not at its end, where the patch says they are"
            ),
            Self::Taken => format!("{which} does not fit: the patch changes its lines before already"),
            Self::NoLines => format!(
                "{which} only adds lines, so it cannot be told where: give lines of the file around them"
            ),
            Self::Several(places) => {
                let named: Vec<String> = places.iter().take(PLACES).map(|at| (at + 1).to_string()).collect();
                let more = if places.len() > PLACES { " and more" } else { "" };
                format!(
                    "{which} fits equally at lines {}{more}: give more of the lines around it",
                    named.join(", ")
                )
            }
            Self::Nowhere => {
                let text = String::from_utf8_lossy(body);
                let wanted: Vec<&str> = hunk.old().map(|line| line.text).collect();
                let near = near::passage(&text, &wanted.join("\n"));
                let told = format!("{which} does not fit: its lines are not in the file");
                match near {
                    Some(passage) if passage.only_white_space => {
                        format!("{told}. Only white space differs from {}", near::shown(&text, &passage))
                    }
                    Some(passage) => format!("{told}. Nearest is {}", near::shown(&text, &passage)),
                    None => format!("{told}, nor anything like them; read it again"),
                }
            }
        }
    }
}

/// The runs of lines that a hunk changes at its place.
fn edits_of<'a>(n: usize, hunk: &Hunk<'a>, place: &Place, file: &File<'_>) -> Vec<Edit<'a>> {
    // Where the lines of the file that it gives do not tell how lines end, the patch's may be others by accident.
    let is_told = file.lines.is_empty()
        || hunk.lines.iter().any(|line| line.unended)
        || file.lines.iter().skip(place.at).take(hunk.old().count()).any(|line| line.ends_with(b"\n"));
    let adapts = place.loosely || !is_told;
    let empty = |at: usize| Edit { hunk: n, start: at, end: at, new: Vec::new(), adapts };
    let mut edits = Vec::new();
    let mut edit = empty(place.at);
    for line in &hunk.lines {
        match line.sign {
            Sign::Add => edit.new.push(*line),
            Sign::Remove => edit.end += 1,
            Sign::Keep => {
                let next = edit.end + 1;
                edits.push(std::mem::replace(&mut edit, empty(next)));
            }
        }
    }
    edits.push(edit);
    edits.retain(|edit| edit.end > edit.start || !edit.new.is_empty());
    edits
}

/// Writes the file with the edits done, and for each hunk the number of its first changed line.
fn written(file: &File<'_>, edits: &[Edit<'_>], bytes: &mut Vec<u8>, at: &mut [usize]) {
    let mut from = 0;
    let mut number = 1;
    for edit in edits {
        for line in file.lines.get(from..edit.start).unwrap_or_default() {
            bytes.extend_from_slice(line);
            number += 1;
        }
        if let Some(at) = at.get_mut(edit.hunk).filter(|at| **at == 0) {
            *at = number;
        }
        let crlf = is_crlf(file, edit);
        for line in &edit.new {
            // The line before may have been the file's last.
            if number > 1 && !bytes.ends_with(b"\n") {
                bytes.extend_from_slice(if crlf { b"\r\n" } else { b"\n" });
            }
            let text =
                if edit.adapts { line.text.strip_suffix('\r').unwrap_or(line.text) } else { line.text };
            bytes.extend_from_slice(text.as_bytes());
            if edit.adapts && crlf {
                bytes.push(b'\r');
            }
            bytes.push(b'\n');
            number += 1;
        }
        from = edit.end;
    }
    file.lines.iter().skip(from).for_each(|line| bytes.extend_from_slice(line));
}

/// Whether the lines around end in `\r\n`; where there are none, those that come are left as they are.
fn is_crlf(file: &File<'_>, edit: &Edit<'_>) -> bool {
    let around = [Some(edit.start), edit.start.checked_sub(1)].into_iter().flatten();
    let line = around.filter_map(|at| file.lines.get(at)).find(|line| line.ends_with(b"\n"));
    match line {
        Some(line) => line.ends_with(b"\r\n"),
        None => edit.new.first().is_some_and(|line| line.text.ends_with('\r')),
    }
}

/// Ends the file's last line as the patch says, and else as it was.
fn end_as_said(bytes: &mut Vec<u8>, start: usize, body: &[u8], hunks: &[Hunk<'_>]) {
    let says = |side: Sign| {
        hunks
            .iter()
            .flat_map(|hunk| &hunk.lines)
            .any(|line| line.unended && (line.sign == side || line.sign == Sign::Keep))
    };
    let was_unended = !body.is_empty() && !body.ends_with(b"\n");
    let unended = match (says(Sign::Remove), says(Sign::Add)) {
        (false, true) => true,
        (true, false) => false,
        (true, true) | (false, false) => was_unended,
    };
    if bytes.len() <= start {
        return;
    }
    if unended && bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") && !hunks.iter().any(|hunk| hunk.lines.iter().any(|line| line.unended)) {
            bytes.pop();
        }
    } else if !unended && !bytes.ends_with(b"\n") {
        bytes.extend_from_slice(
            if body.split_inclusive(|byte| *byte == b'\n').next().is_some_and(|line| line.ends_with(b"\r\n"))
            {
                b"\r\n"
            } else {
                b"\n"
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn all_places_are_found(lines in prop::collection::vec(0_u8..3, 0..40), wanted in prop::collection::vec(0_u8..3, 1..6)) {
            let bytes = |numbers: &[u8]| numbers.iter().map(|n| vec![*n]).collect::<Vec<_>>();
            let (lines, wanted) = (bytes(&lines), bytes(&wanted));
            let (lines, wanted): (Vec<&[u8]>, Vec<&[u8]>) =
                (lines.iter().map(Vec::as_slice).collect(), wanted.iter().map(Vec::as_slice).collect());
            let naive: Vec<usize> = lines
                .windows(wanted.len())
                .enumerate()
                .filter(|(_, window)| *window == wanted.as_slice())
                .map(|(at, _)| at)
                .collect();
            prop_assert_eq!(occurrences(&lines, &wanted), naive);
        }

        /// Whatever a model writes is answered, and what is done is what some reading of the patch says: no line of the file is
        /// lost that the patch does not remove.
        #[test]
        fn nothing_panics_and_no_line_gets_lost(
            file in "(a|b|\r|\n|\u{FEFF}| ){0,20}",
            patch in prop::collection::vec(
                "(--- a/f|\\+\\+\\+ b/f|@@ -[0-9],[0-9] \\+[0-9] @@|@@ a|@@|[ +-][ab]{0,2}\r?|\\\\ No|\\*\\*\\* End of File|\\*\\*\\* Update File: f|\\*\\*\\* Move to: g|)",
                0..12,
            ),
            envelope: bool,
        ) {
            let text = match envelope {
                true => format!("*** Begin Patch\n*** Update File: f\n{}\n*** End Patch", patch.join("\n")),
                false => format!("--- a/f\n+++ b/f\n{}", patch.join("\n")),
            };
            let Ok(patch) = super::super::parse(&text) else { return Ok(()) };
            for section in &patch.sections {
                let Ok(fitted) = fit("f", file.as_bytes(), &section.hunks, Numbers::Trusted) else { continue };
                let removed = section.hunks.iter().flat_map(|hunk| &hunk.lines).filter(|line| line.sign == Sign::Remove);
                let new = String::from_utf8(fitted.bytes).unwrap();
                prop_assert!(new.lines().count() + removed.count() >= file.lines().count(), "{:?} {:?}", file, new);
            }
        }
    }
}
