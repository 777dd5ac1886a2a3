//! What a terminal shows in the end, as plain lines: carriage returns and backspaces are carried out, colours and other
//! sequences left out. One line at a time: what goes up to an earlier one begins another.

use vte::{Params, Parser, Perform};

/// Most columns that are held: a longer line is let go in pieces.
const LONGEST: usize = 16 * 1024;
/// How far a tab goes where it does not stand at the end.
const TAB: usize = 8;

/// Makes lines of what comes from a terminal.
#[derive(Default)]
pub struct Screen {
    parser: Parser,
    line: Line,
}

/// The line that is being written, and those that were.
#[derive(Default)]
struct Line {
    cells: Vec<char>,
    at: usize,
    /// Whether something of it was written over.
    edited: bool,
    done: String,
}

impl Screen {
    /// Takes what came, cut anywhere, and adds the lines that are done by now to `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut String) {
        self.parser.advance(&mut self.line, bytes);
        out.push_str(&self.line.done);
        self.line.done.clear();
    }

    /// The line that is being written.
    #[must_use]
    pub fn line(&self) -> String {
        self.line.text()
    }

    /// Adds the line that is being written to `out`: nothing more comes.
    pub fn finish(&mut self, out: &mut String) {
        out.push_str(&self.line.text());
        self.line = Line::default();
    }
}

impl Line {
    fn text(&self) -> String {
        let text: String = self.cells.iter().collect();
        // What wiped something out is not meant to be seen.
        if self.edited { text.trim_end_matches(' ').to_owned() } else { text }
    }

    fn end(&mut self) {
        let text = self.text();
        self.done.push_str(&text);
        self.done.push('\n');
        self.cells.clear();
        (self.at, self.edited) = (0, false);
    }

    fn put(&mut self, letter: char) {
        if self.at >= LONGEST {
            let text = self.text();
            self.done.push_str(&text);
            self.cells.clear();
            (self.at, self.edited) = (0, false);
        }
        if self.cells.len() < self.at {
            self.cells.resize(self.at, ' ');
        }
        match self.cells.get_mut(self.at) {
            Some(cell) => {
                *cell = letter;
                self.edited = true;
            }
            None => self.cells.push(letter),
        }
        self.at += 1;
    }

    fn go(&mut self, to: usize) {
        self.at = to.min(LONGEST);
    }

    fn erase(&mut self, what: usize) {
        self.edited = true;
        match what {
            0 => self.cells.truncate(self.at),
            1 => self.cells.iter_mut().take(self.at.saturating_add(1)).for_each(|cell| *cell = ' '),
            _ => self.cells.clear(),
        }
    }
}

impl Perform for Line {
    fn print(&mut self, letter: char) {
        self.put(letter);
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            b'\n' | 0x0b | 0x0c => self.end(),
            b'\r' => self.at = 0,
            0x08 => self.at = self.at.saturating_sub(1),
            b'\t' if self.at >= self.cells.len() => self.put('\t'),
            b'\t' => self.go((self.at / TAB + 1) * TAB),
            _ => {}
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], _: bool, action: char) {
        if !intermediates.is_empty() {
            return;
        }
        let first = params.iter().next().and_then(|param| param.first()).copied().map_or(0, usize::from);
        let some = first.max(1);
        match action {
            'K' => self.erase(first),
            'J' => self.erase(if first == 0 { 0 } else { 2 }),
            'G' | '`' => self.go(some - 1),
            'C' | 'a' => self.go(self.at.saturating_add(some)),
            'D' => self.go(self.at.saturating_sub(some)),
            'P' => {
                let from = self.at.min(self.cells.len());
                let to = from.saturating_add(some).min(self.cells.len());
                self.cells.drain(from..to);
                self.edited = true;
            }
            // Another line.
            'A' | 'B' | 'E' | 'F' | 'H' | 'd' | 'f' if !self.cells.is_empty() => self.end(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(bytes: &[u8]) -> String {
        let (mut screen, mut out) = (Screen::default(), String::new());
        screen.push(bytes, &mut out);
        screen.finish(&mut out);
        out
    }

    #[test]
    fn what_was_written_over_is_not_shown() {
        for (bytes, wanted) in [
            ("a\r\nb\r\n", "a\nb\n"),
            ("  0%\r 50%\r100%\r\ndone", "100%\ndone"),
            ("long text\rshort    \r\n", "short\n"),
            ("abc\u{8}\u{8}X\r\n", "aXc\n"),
            ("secret\u{8} \u{8}\u{8} \u{8}\r\n", "secr\n"),
            ("wiped\r\u{1b}[Kkept\n", "kept\n"),
            ("kept  \n", "kept  \n"),
            ("\u{1b}[1;31mred\u{1b}[0m \u{1b}]0;title\u{7}text\n", "red text\n"),
            ("a\tb\n", "a\tb\n"),
            ("one\u{1b}[3D\u{1b}[2Ctwo\n", "ontwo\n"),
            ("\u{1b}[10Gx\n", "         x\n"),
            ("first\u{1b}[1A\u{1b}[2Ksecond\n", "first\nsecond\n"),
            ("abcdef\u{1b}[1G\u{1b}[2Px\n", "xdef\n"),
            ("äöü\r€\n", "€öü\n"),
            ("\u{7}bell\0\n", "bell\n"),
        ] {
            assert_eq!(shown(wanted_bytes(bytes)), wanted, "{bytes:?}");
        }
    }

    fn wanted_bytes(text: &str) -> &[u8] {
        text.as_bytes()
    }

    #[test]
    fn a_line_without_end_is_let_go_in_pieces() {
        let long = "x".repeat(3 * LONGEST + 5);
        assert_eq!(shown(long.as_bytes()), long);
        let (mut screen, mut out) = (Screen::default(), String::new());
        screen.push(long.as_bytes(), &mut out);
        assert_eq!((screen.line().len(), out.len()), (5, 3 * LONGEST));
        screen.push(b"\x1b[60000C\x1b[60000Cy\x1b[9999999999P", &mut out);
        assert!(screen.line.cells.capacity() <= 2 * LONGEST);
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_it_is_cut_and_nothing_panics(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\x1b'), Just(b'['), Just(b'\r'), b'0'..=b'9', Just(b'K')], 0..200),
            at in any::<prop::sample::Index>(),
        ) {
            let (first, second) = bytes.split_at(at.index(bytes.len() + 1));
            let (mut screen, mut out) = (Screen::default(), String::new());
            screen.push(first, &mut out);
            screen.push(second, &mut out);
            screen.finish(&mut out);
            prop_assert!(!out.contains('\x1b') && !out.contains('\r'));
            prop_assert_eq!(out, shown(&bytes));
        }
    }
}
